package file

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catamaran/internal/git"
)

// gitIgnores asks git check-ignore about paths that exist.
func gitIgnores(t interface{ Fatal(...any) }, dir string, paths []string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := git.Run(ctx, git.Command{Dir: dir, Args: []string{"check-ignore", "-z", "--stdin", "--no-index"}, Stdin: []byte(strings.Join(paths, "\x00") + "\x00")})
	if err != nil && len(out.Stdout) > 0 {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(out.Stdout), func(r rune) bool { return r == 0 })
}

func ourIgnores(dir string, paths []string) []string {
	var out []string
	for _, p := range paths {
		at := filepath.ToSlash(filepath.Dir(p))
		info, err := os.Lstat(filepath.Join(dir, p))
		if rulesFor(dir, at).ignored(p, err == nil && info.IsDir()) {
			out = append(out, p)
		}
	}
	return out
}

func TestIgnoreRulesOfTheManual(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		".gitignore":     "# comment\n\\#real\n*.log\n!keep.log\nbuild/\n/top.txt\ndoc/*.md\n**/deep/x\na/**/z\nlogs/**\nspace\\ \ntrail   \n[abc].c\n[!a-c]\\?.h\nfoo[\n\\!bang\n",
		"sub/.gitignore": "!x.log\nlocal\n/only-here\n",
	})
	runGit(t, dir, "init", "-q")
	write(t, dir, ".git/info/exclude", "private.txt\n")
	names := []string{"#real", "x.log", "keep.log", "sub/x.log", "sub/y.log", "top.txt", "sub/top.txt", "doc/a.md", "doc/in/a.md", "deep/x", "q/deep/x", "a/z", "a/b/c/z", "logs/one", "space ", "trail", "a.c", "d.c", "d?.h", "a?.h",
		"foo[", "!bang", "local", "sub/local", "sub/in/local", "sub/only-here", "sub/in/only-here", "private.txt", "sub/private.txt", "sub/build/in", "build/keep.log", "build.txt"}
	for _, n := range names {
		write(t, dir, n, "")
	}
	names = append(names, "logs", "build", "sub/build", "doc")
	ours, theirs := ourIgnores(dir, names), gitIgnores(t, dir, names)
	slices.Sort(ours)
	slices.Sort(theirs)
	if !slices.Equal(ours, theirs) {
		t.Errorf("ours   %q\nGit's  %q", ours, theirs)
	}
	if len(ours) < 15 {
		t.Errorf("only %q", ours)
	}
}

// TestIgnoreRulesAreGits compares with Git over rules and trees made at random.
func TestIgnoreRulesAreGits(t *testing.T) {
	elem := rapid.SampledFrom([]string{"a", "b", "ab", "abc", "b.c", "c"})
	part := rapid.SampledFrom([]string{"a", "b", "*", "**", "a*", "*b", "?", "[ab]", "[!a]", "b.c", "*.c", "a**b", "\\a", "abc"})
	line := rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(part, 1, 4).Draw(t, "parts"), "/")
		return rapid.SampledFrom([]string{"", "", "!", "/"}).Draw(t, "before") + s + rapid.SampledFrom([]string{"", "", "/", " "}).Draw(t, "after")
	})
	dir := t.TempDir()
	runGit(t, dir, "init", "-q")
	rapid.Check(t, func(rt *rapid.T) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != ".git" {
				os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
		write(t, dir, ".gitignore", strings.Join(rapid.SliceOfN(line, 0, 6).Draw(rt, "rules"), "\n"))
		seen := map[string]bool{}
		for _, p := range rapid.SliceOfN(rapid.SliceOfN(elem, 1, 4), 1, 8).Draw(rt, "paths") {
			path := strings.Join(p, "/")
			full := filepath.Join(dir, filepath.FromSlash(path))
			if os.MkdirAll(filepath.Dir(full), 0o755) != nil {
				continue // a file is in the way
			}
			if _, err := os.Lstat(full); err == nil {
				continue
			}
			if err := os.WriteFile(full, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			for at := path; at != "."; at = filepath.ToSlash(filepath.Dir(at)) {
				seen[at] = true
			}
		}
		if rapid.Bool().Draw(rt, "second") {
			if info, err := os.Stat(filepath.Join(dir, "a")); err == nil && info.IsDir() {
				write(t, dir, "a/.gitignore", strings.Join(rapid.SliceOfN(line, 0, 4).Draw(rt, "rules of a"), "\n"))
			}
		}
		var names []string
		for p := range seen {
			names = append(names, p)
		}
		if len(names) == 0 {
			return
		}
		slices.Sort(names)
		ours, theirs := ourIgnores(dir, names), gitIgnores(t, dir, names)
		slices.Sort(theirs)
		if !slices.Equal(ours, theirs) {
			b, _ := os.ReadFile(filepath.Join(dir, ".gitignore"))
			rt.Fatalf("rules %q\npaths %q\nours  %q\nGit's %q", b, names, ours, theirs)
		}
	})
}

func FuzzIgnore(f *testing.F) {
	f.Add("*.log\n!a\n[a-\n", "a/b.log")
	f.Add("**/**/**/**/x\n\\", "a/a/a/a/a/a/a")
	f.Add("[[:alpha:]-]*[]]", "q]")
	f.Fuzz(func(t *testing.T, text, p string) {
		for _, r := range parseRules([]byte(text), ".") {
			r.matches(p, p[strings.LastIndexByte(p, '/')+1:], false)
		}
	})
}
