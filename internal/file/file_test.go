package file

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/proc"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	home, err := os.MkdirTemp("", "file-test-home-")
	if err != nil {
		panic(err)
	}
	for _, k := range []string{"HOME", "XDG_CONFIG_HOME", "USERPROFILE"} {
		os.Setenv(k, home)
	}
	code := m.Run()
	os.RemoveAll(home)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

func newFiles(t testing.TB) *Files {
	f := New(nil)
	t.Cleanup(func() { f.Close() })
	return f
}

func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		write(t, dir, name, content)
	}
	return dir
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func runGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := git.Run(ctx, git.Command{Dir: dir, Args: append([]string{"-c", "user.name=T", "-c", "user.email=t@example.invalid"}, args...)})
	if err != nil {
		t.Fatal(err)
	}
	return string(out.Stdout)
}

// repo is a repository in which all files are committed.
func repo(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := folder(t, files)
	runGit(t, dir, "init", "-q", "-b", "main")
	runGit(t, dir, "add", "-A")
	runGit(t, dir, "commit", "-q", "-m", "first")
	return dir
}

func code(err error) api.Code { return api.CodeOf(err) }

func TestCleanRefusesWhatLeadsOutByItsForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		goos, in, want string
		code           api.Code
	}{
		{"linux", "", ".", ""},
		{"linux", ".", ".", ""},
		{"linux", "a//b/./c", "a/b/c", ""},
		{"linux", "a/b/", "a/b", ""},
		{"linux", "name\nwith a line", "name\nwith a line", ""},
		{"linux", `back\slash`, `back\slash`, ""},
		{"linux", "..", "", api.CodePathOutside},
		{"linux", "a/../../b", "", api.CodePathOutside},
		{"linux", "a/../b", "", api.CodePathOutside},
		{"linux", "/etc/passwd", "", api.CodePathOutside},
		{"linux", "a\x00b", "", api.CodeInvalid},
		{"linux", "a\xffb", "", api.CodeInvalid},
		{"linux", strings.Repeat("a/", 3000), "", api.CodeInvalid},
		{"linux", "CON", "CON", ""},
		{"windows", "src/main.go", "src/main.go", ""},
		{"windows", "console.log", "console.log", ""},
		{"windows", "COMMON", "COMMON", ""},
		{"windows", "com10", "com10", ""},
		{"windows", `..\x`, "", api.CodePathOutside},
		{"windows", `a\b`, "", api.CodePathOutside},
		{"windows", `C:\x`, "", api.CodePathOutside},
		{"windows", "C:/x", "", api.CodeInvalid},
		{"windows", "file:stream", "", api.CodeInvalid},
		{"windows", "CON", "", api.CodeInvalid},
		{"windows", "src/nul.txt", "", api.CodeInvalid},
		{"windows", "lpt1", "", api.CodeInvalid},
		{"windows", "Com¹.log", "", api.CodeInvalid},
		{"windows", "aux .c", "", api.CodeInvalid},
		{"windows", "CONOUT$", "", api.CodeInvalid},
		{"windows", "dir./x", "", api.CodeInvalid},
		{"windows", "dir /x", "", api.CodeInvalid},
		{"windows", "what?", "", api.CodeInvalid},
		{"windows", "a\tb", "", api.CodeInvalid},
	} {
		got, err := clean(c.goos, c.in)
		if got != c.want || code(err) != c.code {
			t.Errorf("%s %.40q: %.40q, %v; want %q, %q", c.goos, c.in, got, err, c.want, c.code)
		}
	}
}

func TestListTellsWhatThereIs(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*.log\n/out/\n", "b.txt": "12345", "A.txt": "", "src/x.go": "", "notes.log": "x", "out/a": "", ".env": "x"})
	if err := os.Symlink("src", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	f := newFiles(t)
	got, err := f.List(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range got.Entries {
		n := e.Name
		if e.Kind == api.FileKindFolder {
			n += "/"
		}
		if e.Ignored {
			n += "!"
		}
		if e.Link {
			n += "@"
		}
		names = append(names, n)
	}
	want := []string{"link/@", "out/!", "src/", ".env", ".gitignore", "A.txt", "b.txt", "notes.log!"}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	in, err := f.List(t.Context(), dir, "out")
	if err != nil || len(in.Entries) != 1 || !in.Entries[0].Ignored {
		t.Errorf("%+v %v", in, err)
	}
	for path, want := range map[string]api.Code{"b.txt": api.CodeInvalid, "gone": api.CodeNotFound, "../x": api.CodePathOutside} {
		if _, err := f.List(t.Context(), dir, path); code(err) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	f.limits.entries = 3
	if got, err := f.List(t.Context(), dir, ""); err != nil || !got.Truncated || len(got.Entries) != 3 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestReadTellsTextPicturesAndDataApart(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"plain.txt": "häuser\n", "bom.txt": "\xEF\xBB\xBFx\n", "le.txt": "\xFF\xFEh\x00\xE4\x00\n\x00", "be.txt": "\xFE\xFF\x00h\x00\xE4", "old.txt": "h\xE4user \x80\n",
		"data": "a\x00b", "control": "\xE4\x01\x02", "empty": "", "pic": "\x89PNG\r\n\x1a\n0000", "pic.svg": "<svg xmlns='x'/>", "svg.txt": "<svg/>", "j": "\xFF\xD8\xFF\xE0",
		"w.webp": "RIFF0000WEBPVP8 ", "a.avif": "\x00\x00\x00\x20ftypavif",
	}
	dir := folder(t, files)
	f := newFiles(t)
	for _, c := range []struct {
		name           string
		content        api.FileContent
		encoding, text string
		mime           string
	}{
		{"plain.txt", api.ContentText, "utf-8", "häuser\n", ""},
		{"bom.txt", api.ContentText, "utf-8-bom", "x\n", ""},
		{"le.txt", api.ContentText, "utf-16le", "hä\n", ""},
		{"be.txt", api.ContentText, "utf-16be", "hä", ""},
		{"old.txt", api.ContentText, "windows-1252", "häuser €\n", ""},
		{"empty", api.ContentText, "utf-8", "", ""},
		{"data", api.ContentBinary, "", "", ""},
		{"control", api.ContentBinary, "", "", ""},
		{"pic", api.ContentImage, "", "", "image/png"},
		{"j", api.ContentImage, "", "", "image/jpeg"},
		{"w.webp", api.ContentImage, "", "", "image/webp"},
		{"a.avif", api.ContentImage, "", "", "image/avif"},
		{"pic.svg", api.ContentImage, "utf-8", "<svg xmlns='x'/>", "image/svg+xml"},
		{"svg.txt", api.ContentText, "utf-8", "<svg/>", ""},
	} {
		v, err := f.Read(t.Context(), dir, api.FileRead{Path: c.name})
		if err != nil || v.Content != c.content || v.Encoding != c.encoding || v.Text != c.text || v.Mime != c.mime || v.Next != 0 || v.Bytes != int64(len(files[c.name])) {
			t.Errorf("%s: %+v %v", c.name, v, err)
		}
	}
}

// TestReadInPieces: pieces end with lines, and together they are the file, in every encoding.
func TestReadInPieces(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 400 {
		text.WriteString(strings.Repeat("zäh€𝛑 ", i%9))
		text.WriteByte('\n')
	}
	text.WriteString(strings.Repeat("€", 3000)) // a line longer than a piece
	units := func(little bool) string {
		var b strings.Builder
		b.WriteString(map[bool]string{true: "\xFF\xFE", false: "\xFE\xFF"}[little])
		for _, r := range text.String() {
			us := []rune{r}
			if r > 0xFFFF {
				r -= 0x10000
				us = []rune{0xD800 + r>>10, 0xDC00 + r&0x3FF}
			}
			for _, u := range us {
				if little {
					b.Write([]byte{byte(u), byte(u >> 8)})
				} else {
					b.Write([]byte{byte(u >> 8), byte(u)})
				}
			}
		}
		return b.String()
	}
	dir := folder(t, map[string]string{"utf8": text.String(), "le": units(true), "be": units(false)})
	f := newFiles(t)
	for _, name := range []string{"utf8", "le", "be"} {
		var got strings.Builder
		pieces := 0
		for at := int64(0); ; pieces++ {
			v, err := f.Read(t.Context(), dir, api.FileRead{Path: name, Offset: at, Limit: 1001})
			if err != nil || len(v.Text) > 2002 || pieces > 1000 {
				t.Fatalf("%s at %d: %v, %d bytes", name, at, err, len(v.Text))
			}
			got.WriteString(v.Text)
			if v.Next == 0 {
				break
			}
			at = v.Next
		}
		if got.String() != text.String() || pieces < 10 {
			t.Errorf("%s: %d pieces are not the file", name, pieces)
		}
	}
	if v, err := f.Read(t.Context(), dir, api.FileRead{Path: "utf8", Offset: 1 << 40}); err != nil || v.Text != "" || v.Next != 0 {
		t.Errorf("behind the end: %+v %v", v, err)
	}
	if _, err := f.Read(t.Context(), dir, api.FileRead{Path: "utf8", Offset: -1}); code(err) != api.CodeInvalid {
		t.Error(err)
	}
}

func TestBytesAreBounded(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"p.png": "\x89PNG\r\n\x1a\nxx", "page.html": "<script>alert(1)</script>", "sub/x": ""})
	f := newFiles(t)
	b, err := f.Bytes(t.Context(), dir, "p.png")
	if err != nil || b.Mime != "image/png" || string(b.Data) != "\x89PNG\r\n\x1a\nxx" || b.Name != "p.png" {
		t.Errorf("%+v %v", b, err)
	}
	if b, err := f.Bytes(t.Context(), dir, "page.html"); err != nil || b.Mime != "application/octet-stream" {
		t.Errorf("%+v %v", b, err)
	}
	f.limits.bytes = 9
	if _, err := f.Bytes(t.Context(), dir, "p.png"); code(err) != api.CodeTooLarge {
		t.Error(err)
	}
	if _, err := f.Bytes(t.Context(), dir, "sub"); code(err) != api.CodeInvalid {
		t.Error(err)
	}
}
