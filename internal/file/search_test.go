package file

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/proc"
)

// engine is one of the three ways to search, forced.
type engine struct {
	name string
	run  func(ctx context.Context, f *Files, s *search) error
}

func engines(t testing.TB) []engine {
	t.Helper()
	rg, err := proc.LookPath("rg", pathOf(t))
	if err != nil {
		t.Fatal("ripgrep is missing; `go run ./tools/check -only tools` installs it")
	}
	return []engine{
		{"ripgrep", func(ctx context.Context, _ *Files, s *search) error { return s.ripgrep(ctx, rg) }},
		{"git", func(ctx context.Context, _ *Files, s *search) error { return s.gitGrep(ctx) }},
		{"own", func(ctx context.Context, f *Files, s *search) error { return f.searchOwn(ctx, s) }},
	}
}

func pathOf(t testing.TB) string {
	t.Helper()
	p, _ := proc.EnvValue(New(nil).environ(t.Context()), "PATH")
	return p
}

// search runs a request with this engine and sorts nothing: the tests compare sets.
func (e engine) search(t testing.TB, f *Files, dir string, r api.FileSearch) api.FileMatches {
	t.Helper()
	m, err := e.try(t, f, dir, r)
	if err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	return m
}

func (e engine) try(t testing.TB, f *Files, dir string, r api.FileSearch) (api.FileMatches, error) {
	t.Helper()
	s := &search{FileSearch: r, dir: dir, limit: r.Limit, env: f.environ(t.Context()), files: map[string]int{}}
	if err := s.check(); err != nil {
		return s.out, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := e.run(ctx, f, s)
	return s.out, err
}

func found(m api.FileMatches) map[string][]int {
	out := map[string][]int{}
	for _, f := range m.Files {
		for _, l := range f.Lines {
			out[f.Path] = append(out[f.Path], l.Line)
		}
	}
	return out
}

// TestEnginesFindTheSame: which program there is changes nothing but the time it takes.
func TestEnginesFindTheSame(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{
		".gitignore": "*.log\nbuild/\n",
		"a.go":       "package a\n\nfunc Needle() {}\n// needles, NEEDLE\n", "b/b.txt": "no\nneedle here\r\nand a needle there, needle\n", "b/c.md": "nee dle\n",
		".hidden/x.txt": "needle\n", "umlaut.txt": "Größe: groß 𝛑 needle\n", "-dash.txt": "needle\n", "regex.txt": "foo(bar)\nfoo1bar\n",
		"notes.log": "needle\n", "build/out.txt": "needle\n", "data.bin": "needle\x00needle",
	})
	write(t, dir, "new/untracked.txt", "a needle\n")
	f := newFiles(t)
	for _, c := range []struct {
		name string
		r    api.FileSearch
		want map[string][]int
	}{
		{"text", api.FileSearch{Text: "needle"}, map[string][]int{"a.go": {3, 4}, "b/b.txt": {2, 3}, ".hidden/x.txt": {1}, "umlaut.txt": {1}, "-dash.txt": {1}, "new/untracked.txt": {1}}},
		{"case", api.FileSearch{Text: "Needle", Case: true}, map[string][]int{"a.go": {3}}},
		{"word", api.FileSearch{Text: "needle", Word: true, Case: true}, map[string][]int{"b/b.txt": {2, 3}, ".hidden/x.txt": {1}, "umlaut.txt": {1}, "-dash.txt": {1}, "new/untracked.txt": {1}}},
		{"text that looks like an expression", api.FileSearch{Text: "foo(bar)"}, map[string][]int{"regex.txt": {1}}},
		{"expression", api.FileSearch{Text: `foo\d+bar$`, Regex: true}, map[string][]int{"regex.txt": {2}}},
		{"expression at the line's end", api.FileSearch{Text: `here$`, Regex: true}, map[string][]int{"b/b.txt": {2}}},
		{"text that looks like an option", api.FileSearch{Text: "-here"}, map[string][]int{}},
		{"glob of names", api.FileSearch{Text: "needle", Include: []string{"*.go", "*.md"}}, map[string][]int{"a.go": {3, 4}}},
		{"glob of a folder", api.FileSearch{Text: "needle", Include: []string{"b/**"}}, map[string][]int{"b/b.txt": {2, 3}}},
		{"glob that leaves out", api.FileSearch{Text: "needle", Include: []string{"!*.txt"}}, map[string][]int{"a.go": {3, 4}}},
		{"both", api.FileSearch{Text: "needle", Include: []string{"*.txt", "!b/**"}}, map[string][]int{".hidden/x.txt": {1}, "umlaut.txt": {1}, "-dash.txt": {1}, "new/untracked.txt": {1}}},
		{"letters of other languages", api.FileSearch{Text: "größe"}, map[string][]int{"umlaut.txt": {1}}},
		{"nothing", api.FileSearch{Text: "haystack"}, map[string][]int{}},
	} {
		for _, e := range engines(t) {
			m := e.search(t, f, dir, c.r)
			if diff := cmp.Diff(c.want, found(m)); diff != "" {
				t.Errorf("%s with %s:\n%s", c.name, e.name, diff)
			}
			if m.More {
				t.Errorf("%s with %s: more", c.name, e.name)
			}
		}
	}
}

func TestMatchesAreMarked(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 3000) + "needle" + strings.Repeat("z", 3000)
	dir := repo(t, map[string]string{"a": "𝛑 needle and needle\r\n", "long": long})
	f := newFiles(t)
	for _, e := range engines(t) {
		m := e.search(t, f, dir, api.FileSearch{Text: "needle"})
		for _, file := range m.Files {
			l := file.Lines[0]
			switch file.Path {
			case "a":
				want := api.MatchLine{Line: 1, Text: "𝛑 needle and needle", Marks: []api.TextMark{{Start: 3, End: 9}, {Start: 14, End: 20}}}
				if diff := cmp.Diff(want, l); diff != "" {
					t.Errorf("%s:\n%s", e.name, diff)
				}
			case "long":
				u := []rune(l.Text) // no character here is two units
				if !l.Cut || len(l.Text) > maxShown || len(l.Marks) != 1 || string(u[l.Marks[0].Start:l.Marks[0].End]) != "needle" {
					t.Errorf("%s: %+v", e.name, l)
				}
			}
		}
		if len(m.Files) != 2 {
			t.Errorf("%s: %+v", e.name, m)
		}
	}
}

func TestSearchEndsAtItsLimit(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": strings.Repeat("needle\n", 5000), "b": strings.Repeat("needle\n", 50)})
	f := newFiles(t)
	for _, e := range engines(t) {
		m := e.search(t, f, dir, api.FileSearch{Text: "needle", Limit: 10})
		if m.Lines != 10 || !m.More {
			t.Errorf("%s: %d lines, more %v", e.name, m.Lines, m.More)
		}
	}
	m, err := f.Search(t.Context(), dir, api.FileSearch{Text: "needle", Limit: 1 << 30})
	if err != nil || m.Lines != maxLines || !m.More || m.Engine != "ripgrep" {
		t.Errorf("%d lines, more %v, %s: %v", m.Lines, m.More, m.Engine, err)
	}
}

// TestSearchTakesWhatThereIs: without ripgrep Git searches, outside a repository nothing but this program is needed.
func TestSearchTakesWhatThereIs(t *testing.T) {
	t.Parallel()
	f := New(func(context.Context) []string { return []string{"PATH="} })
	t.Cleanup(func() { f.Close() })
	dir := repo(t, map[string]string{"a": "needle"})
	m, err := f.Search(t.Context(), dir, api.FileSearch{Text: "needle"})
	if err != nil || m.Engine != "git" || m.Lines != 1 {
		t.Errorf("%+v %v", m, err)
	}
	plain := folder(t, map[string]string{"a": "needle", "node_modules/x": "needle"})
	if git.Inside(plain) {
		t.Fatal("the temporary folder is inside a repository")
	}
	m, err = f.Search(t.Context(), plain, api.FileSearch{Text: "needle"})
	if err != nil || m.Engine != "own" || m.Lines != 1 {
		t.Errorf("%+v %v", m, err)
	}
}

func TestSearchRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": "x"})
	f := newFiles(t)
	for name, r := range map[string]api.FileSearch{
		"nothing": {}, "two lines": {Text: "a\nb"}, "a broken expression": {Text: "(", Regex: true}, "an unknown expression": {Text: "(?=a)", Regex: true}, "an empty glob": {Text: "a", Include: []string{""}}, "too much": {Text: strings.Repeat("a", 1001)},
	} {
		if _, err := f.Search(t.Context(), dir, r); code(err) != api.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.Search(t.Context(), dir, api.FileSearch{Text: "(a+)+$", Regex: true}); err != nil {
		t.Error(err)
	}
	if m, err := f.Search(t.Context(), dir, api.FileSearch{Text: "x", Include: []string{"[z-a]{"}}); err == nil && len(m.Files) > 0 {
		t.Errorf("%+v", m)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Search(ctx, dir, api.FileSearch{Text: "x"}); err == nil {
		t.Error("a cancelled search answered")
	}
}
