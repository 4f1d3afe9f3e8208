package attachment

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"catamaran/internal/api"
)

func image(kind string, size int) []byte {
	head := map[string]string{
		"png": "\x89PNG\r\n\x1a\n", "jpeg": "\xff\xd8\xff\xe0", "gif": "GIF89a", "webp": "RIFF\x00\x00\x00\x00WEBPVP8 ",
		"svg": `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "html": "<!doctype html><script>", "text": "hello",
	}[kind]
	return append([]byte(head), make([]byte, max(0, size-len(head)))...)
}

func files(t *testing.T) (*Files, *time.Time) {
	now := time.Now()
	return New(filepath.Join(t.TempDir(), "a"), func() time.Time { return now }), &now
}

func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	f, _ := files(t)
	for kind, c := range map[string]struct {
		size int
		code api.Code
	}{
		"png": {200, ""}, "jpeg": {Most, ""}, "gif": {6, ""}, "webp": {100, ""},
		"svg": {0, api.CodeInvalid}, "html": {0, api.CodeInvalid}, "text": {0, api.CodeInvalid},
	} {
		data := image(kind, c.size)
		a, err := f.Save("x."+kind, iotest.HalfReader(bytes.NewReader(data)))
		if api.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %q", kind, err, c.code)
			continue
		}
		if c.code != "" {
			continue
		}
		path, same, err := f.Path("", a.ID)
		if err != nil || same != a || a.Mime != "image/"+kind || a.Bytes != int64(len(data)) {
			t.Errorf("%s: %+v, %+v, %v", kind, a, same, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: other bytes, %v", kind, err)
		}
	}
	for name, r := range map[string]io.Reader{
		"too large": bytes.NewReader(image("png", Most+1)),
		"cut off":   io.MultiReader(bytes.NewReader(image("png", 9000)), iotest.ErrReader(errors.New("the client went away"))),
		"empty":     strings.NewReader(""),
	} {
		if _, err := f.Save("x", r); api.AsError(err) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(f.dir, unused))
	if err != nil || len(entries) != 2*4 {
		t.Errorf("%d files of 4 images, %v", len(entries), err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": "image.png", "a.png": "a.png", "/etc/passwd": "passwd", `C:\x\y z.png`: "y z.png", "a\x00b\n\u202egnp.exe": "abgnp.exe",
		"../": "image.png", strings.Repeat("é", 500): strings.Repeat("é", nameMost), "\xff": "\uFFFD",
	} {
		if got := cleanName(given, "image/png"); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	f, now := files(t)
	save := func() string {
		a, err := f.Save("x.png", bytes.NewReader(image("png", 99)))
		if err != nil {
			t.Fatal(err)
		}
		return a.ID
	}
	one, two := save(), save()
	if _, _, err := f.Claim("t_1", []string{one, "a_missing"}); api.CodeOf(err) != api.CodeNotFound {
		t.Fatalf("%v", err)
	}
	if _, _, err := f.Path("", one); err != nil {
		t.Fatalf("a refused claim took a file: %v", err)
	}
	all, _, err := f.Claim("t_1", []string{one, one})
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if all, release, err := f.Claim("t_1", []string{one, two}); err != nil || len(all) != 2 {
		t.Fatalf("again: %+v, %v", all, err)
	} else {
		release()
	}
	if _, _, err := f.Path("t_1", one); err != nil {
		t.Errorf("releasing a second claim took a file that was sent: %v", err)
	}
	if _, _, err := f.Path("", two); err != nil {
		t.Errorf("a released file: %v", err)
	}
	if _, _, err := f.Claim("t_2", []string{one}); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("another thread took the file: %v", err)
	}
	for _, bad := range []string{"..", "../t_1", "", "_new", "a/b", `a\b`, strings.Repeat("x", 200)} {
		if _, _, err := f.Claim(bad, []string{two}); api.CodeOf(err) != api.CodeNotFound {
			t.Errorf("thread %q: %v", bad, err)
		}
		if _, _, err := f.Path("t_1", bad); api.CodeOf(err) != api.CodeNotFound {
			t.Errorf("file %q: %v", bad, err)
		}
	}
	*now = now.Add(unusedLife + time.Minute)
	three := save() // which sweeps
	if _, _, err := f.Path("", two); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("an unsent file stays: %v", err)
	}
	if _, _, err := f.Path("t_1", one); err != nil {
		t.Errorf("a sent file went: %v", err)
	}
	*now = now.Add(-unusedLife)
	if err := f.Sweep([]string{"t_9"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Path("t_1", one); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("a file outlives its thread: %v", err)
	}
	if _, _, err := f.Path("", three); err != nil {
		t.Errorf("a new file went: %v", err)
	}
}

func TestTooManyUnsent(t *testing.T) {
	t.Parallel()
	f, _ := files(t)
	for range unusedMost {
		if _, err := f.Save("x.gif", bytes.NewReader(image("gif", 6))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Save("x.gif", bytes.NewReader(image("gif", 6))); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("%v", err)
	}
}
