//go:build unix

package file

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"catamaran/internal/api"
)

// TestNothingOutsideIsRead tries every way out that a file system offers.
func TestNothingOutsideIsRead(t *testing.T) {
	t.Parallel()
	outside := folder(t, map[string]string{"secret": "the secret", "sub/secret": "the secret"})
	dir := repo(t, map[string]string{"in": "inside", "sub/in": "inside"})
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	rel, err := filepath.Rel(dir, outside)
	if err != nil {
		t.Fatal(err)
	}
	link(filepath.Join(outside, "secret"), "absolute")
	link(filepath.Join(rel, "secret"), "relative")
	link(outside, "folder")
	link(rel, "folder-relative")
	link("folder", "chain")
	link("/proc/self/environ", "proc")
	link("/proc/self/root/etc/passwd", "proc-root")
	link("/dev/zero", "device")
	link("loop", "loop")
	link("gone", "nowhere")
	link(filepath.Join(dir, "sub", "in"), "absolute-inside")
	link(filepath.Join(dir, "sub"), "folder-inside")
	link("../in", "sub/up")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		_ = syscall.Mknod(filepath.Join(dir, "zero"), syscall.S_IFCHR|0o666, 1<<8|5) // refused in some containers
	}
	f := newFiles(t)
	for path, want := range map[string]api.Code{
		"absolute": api.CodePathOutside, "relative": api.CodePathOutside, "folder/secret": api.CodePathOutside, "folder-relative/secret": api.CodePathOutside,
		"folder/sub/../secret": api.CodePathOutside, "chain/secret": api.CodePathOutside, "proc": api.CodePathOutside, "proc-root": api.CodePathOutside, "device": api.CodePathOutside,
		"../secret": api.CodePathOutside, outside + "/secret": api.CodePathOutside, "sub/../../x": api.CodePathOutside,
		"pipe": api.CodeInvalid, "nowhere": api.CodeNotFound, "": api.CodeInvalid, "sub": api.CodeInvalid,
	} {
		for what, read := range map[string]func() (string, error){
			"read": func() (string, error) {
				v, err := f.Read(t.Context(), dir, api.FileRead{Path: path})
				return v.Text, err
			},
			"bytes": func() (string, error) { b, err := f.Bytes(t.Context(), dir, path); return string(b.Data), err },
		} {
			if text, err := read(); code(err) != want || text != "" {
				t.Errorf("%s %s: %q, %v; want %s", what, path, text, err, want)
			}
		}
	}
	if _, err := f.Read(t.Context(), dir, api.FileRead{Path: "loop"}); err == nil {
		t.Error("a loop was read")
	}
	if _, err := os.Lstat(filepath.Join(dir, "zero")); err == nil {
		if _, err := f.Read(t.Context(), dir, api.FileRead{Path: "zero"}); code(err) != api.CodeInvalid {
			t.Errorf("a device: %v", err)
		}
	}
	for _, path := range []string{"in", "absolute-inside", "folder-inside/in", "sub/up"} {
		if v, err := f.Read(t.Context(), dir, api.FileRead{Path: path}); err != nil || v.Text != "inside" {
			t.Errorf("%s: %+v %v", path, v, err)
		}
	}
	for _, path := range []string{"folder", "folder-relative", "chain"} {
		if _, err := f.List(t.Context(), dir, path); code(err) != api.CodePathOutside {
			t.Errorf("list %s: %v", path, err)
		}
	}
	l, err := f.List(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]api.FileKind{}
	for _, e := range l.Entries {
		kinds[e.Name] = e.Kind
		if e.Kind == api.FileKindOutside && e.Bytes != 0 {
			t.Errorf("%s tells how large it is", e.Name)
		}
	}
	for name, want := range map[string]api.FileKind{"absolute": api.FileKindOutside, "folder": api.FileKindOutside, "loop": api.FileKindOutside, "nowhere": api.FileKindOutside, "pipe": api.FileKindSpecial, "absolute-inside": api.FileKindFile, "folder-inside": api.FileKindFolder} {
		if kinds[name] != want {
			t.Errorf("%s is %s, want %s", name, kinds[name], want)
		}
	}
	// No way to search leaves the folder either.
	for _, engine := range engines(t) {
		got := engine.search(t, f, dir, api.FileSearch{Text: "the secret"})
		if len(got.Files) > 0 {
			t.Errorf("%s found %+v", engine.name, got.Files)
		}
		if got := engine.search(t, f, dir, api.FileSearch{Text: "inside"}); len(got.Files) < 2 {
			t.Errorf("%s found %+v", engine.name, got.Files)
		}
	}
}

func TestNamesThatAreNoText(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"ok": "x", "two\nlines": "y needle"})
	if err := os.WriteFile(filepath.Join(dir, "bad\xff"), []byte("needle"), 0o644); err != nil {
		t.Skipf("this file system takes text only: %v", err)
	}
	f := newFiles(t)
	l, err := f.List(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	broken := 0
	for _, e := range l.Entries {
		if e.Broken {
			broken++
		}
	}
	if broken != 1 || len(l.Entries) != 3 {
		t.Errorf("%+v", l.Entries)
	}
	found, err := f.Find(t.Context(), dir, api.FileFind{})
	if err != nil || found.Known != 2 {
		t.Errorf("%+v %v", found, err)
	}
	if v, err := f.Read(t.Context(), dir, api.FileRead{Path: "two\nlines"}); err != nil || v.Text != "y needle" {
		t.Errorf("%+v %v", v, err)
	}
	for _, e := range engines(t) {
		got := e.search(t, f, dir, api.FileSearch{Text: "needle"})
		if len(got.Files) != 1 || got.Files[0].Path != "two\nlines" {
			t.Errorf("%s: %+v", e.name, got)
		}
	}
}

func TestHugeFileIsReadInPart(t *testing.T) {
	t.Parallel()
	dir := folder(t, nil)
	file, err := os.Create(filepath.Join(dir, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(strings.Repeat("line\n", 4000)); err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(1 << 40); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	f := newFiles(t)
	v, err := f.Read(t.Context(), dir, api.FileRead{Path: "huge", Limit: 1 << 50})
	if err != nil || v.Bytes != 1<<40 || int64(len(v.Text)) > f.limits.text || v.Next == 0 {
		t.Errorf("%d bytes, next %d, %v", len(v.Text), v.Next, err)
	}
	if _, err := f.Bytes(t.Context(), dir, "huge"); code(err) != api.CodeTooLarge {
		t.Error(err)
	}
}

func TestPrivateFilesSaySo(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		// Nothing is closed to root: what is told apart is shown with the error itself.
		if err := openError("x", os.ErrPermission); code(err) != api.CodeForbidden {
			t.Error(err)
		}
		return
	}
	dir := folder(t, map[string]string{"x": "y"})
	if err := os.Chmod(filepath.Join(dir, "x"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := newFiles(t).Read(t.Context(), dir, api.FileRead{Path: "x"}); code(err) != api.CodeForbidden {
		t.Error(err)
	}
}
