package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Somebody has the file open for a while; it is replaced once they have let go.
func TestReplaceWhatIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "settings")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	let := time.AfterFunc(200*time.Millisecond, func() { reader.Close() })
	defer let.Stop()
	if err := os.WriteFile(path+".new", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadFile(path); err != nil || string(b) != "new" {
		t.Errorf("%q %v", b, err)
	}
}

// Readers and writers at once: every read sees a whole file.
func TestReadersAndWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "settings")
	write := func(who, n int) error {
		temp := fmt.Sprintf("%s.%d", path, who)
		return errors.Join(os.WriteFile(temp, fmt.Appendf(nil, "%08d", n), 0o600), Rename(temp, path))
	}
	if err := write(0, 0); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for who := range 2 {
		all.Go(func() {
			for n := range 40 {
				if err := write(who, n); err != nil {
					t.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			for range 80 {
				b, err := ReadFile(path)
				if err != nil || len(b) != 8 {
					t.Errorf("%q %v", b, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// What is not there is said at once.
func TestMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none")
	if _, err := ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := Rename(path, path+".2"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := RenameWithin(time.Hour, path, path+".2"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
