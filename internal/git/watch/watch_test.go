package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mkdir(t *testing.T, elem ...string) string {
	t.Helper()
	d := filepath.Join(elem...)
	if err := os.MkdirAll(d, 0o755); err != nil {
		t.Fatal(err)
	}
	return d
}

func write(t *testing.T, elem ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(elem...), []byte(time.Now().String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func told(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.C:
	case <-time.After(time.Minute):
		t.Fatal("not told of " + what)
	}
}

// silence has something else happen afterwards: what is told first is that.
func silence(t *testing.T, w *Watcher, what string, act func()) {
	t.Helper()
	act()
	select {
	case <-w.C:
		t.Errorf("told of %s", what)
	case <-time.After(2 * quiet):
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	git := mkdir(t, top, ".git")
	mkdir(t, git, "refs", "heads")
	sub := mkdir(t, top, "sub")
	w, err := New(Options{Top: top, GitDir: git, CommonDir: git, Dirs: []string{sub}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if mode, notice := w.Mode(); mode != Files || notice != "" {
		t.Errorf("%s %s", mode, notice)
	}
	write(t, top, "a")
	told(t, w, "a file")
	write(t, sub, "b")
	told(t, w, "a file below")
	write(t, git, "index")
	told(t, w, "the index")
	write(t, git, "refs", "heads", "main")
	told(t, w, "a branch")
	mkdir(t, git, "refs", "heads", "feature")
	told(t, w, "a folder of branches")
	write(t, git, "refs", "heads", "feature", "x")
	told(t, w, "a branch in it")
	mkdir(t, top, "new", "deep")
	told(t, w, "a new folder")
	if f := w.Fresh(); len(f) != 1 || f[0] != filepath.Join(top, "new") {
		t.Errorf("fresh %v", f)
	}
	w.Cover([]string{filepath.Join(top, "new", "deep")})
	write(t, top, "new", "deep", "c")
	told(t, w, "a file in a folder covered later")
	silence(t, w, "what Git and we write for ourselves", func() {
		write(t, git, "index.lock")
		write(t, git, "FETCH_HEAD")
		mkdir(t, git, "refs", "catamaran", "checkpoints")
		write(t, git, "refs", "catamaran", "checkpoints", "x")
		mkdir(t, git, "catamaran-revert-1")
		write(t, top, ".catamaran-x.tmp")
	})
}

func TestBound(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	var dirs []string
	for _, n := range []string{"a", "b", "c", "d"} {
		dirs = append(dirs, mkdir(t, top, n))
	}
	w, err := New(Options{Top: top, Dirs: dirs, Most: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if mode, notice := w.Mode(); mode != Part || notice == "" {
		t.Errorf("%s %s", mode, notice)
	}
	write(t, top, "a", "x")
	told(t, w, "a folder that is watched")
}

func TestPoll(t *testing.T) {
	t.Parallel()
	w, err := New(Options{Top: t.TempDir(), Poll: true, Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if mode, notice := w.Mode(); mode != Poll || notice == "" {
		t.Errorf("%s %s", mode, notice)
	}
	told(t, w, "a tick")
	told(t, w, "another tick")
	w.Close()
	w.Close()
}
