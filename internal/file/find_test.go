package file

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catamaran/internal/api"
)

// of makes a list of paths.
func of(paths ...string) *list {
	var b strings.Builder
	for _, p := range paths {
		b.WriteString("H " + p + "\x00")
	}
	f := Files{limits: defaultLimits}
	return f.parse([]byte(b.String()), false)
}

func names(l *list, query string, recent map[string]int64) []string {
	hits, _ := l.find(query, 50, true, recent)
	var out []string
	for _, h := range hits {
		out = append(out, l.paths[h.at])
	}
	return out
}

// TestBestMatchIsFirst is the order people expect.
func TestBestMatchIsFirst(t *testing.T) {
	t.Parallel()
	l := of("web/src/app/ThreadPage.svelte", "web/src/app/Sidebar.svelte", "internal/server/server.go", "internal/server/server_test.go", "internal/engine/engine.go", "docs/server.md", "README.md",
		"web/README.md", "internal/agent/acp/translate.go", "internal/agent/codex/translate.go", "cmd/main.go", "cmd/catamaran/main.go", "web/src/data/environment.svelte.ts", "src/Größe.txt", "a/very/long/way/down/to/read/me/now.txt")
	for _, c := range []struct{ query, want string }{
		{"server.go", "internal/server/server.go"},
		{"server", "docs/server.md"},
		{"thp", "web/src/app/ThreadPage.svelte"},
		{"ThreadPage", "web/src/app/ThreadPage.svelte"},
		{"readme", "README.md"},
		{"web/readme", "web/README.md"},
		{"codex tr", "internal/agent/codex/translate.go"},
		{`agent\acp`, "internal/agent/acp/translate.go"},
		{"./cmd/main", "cmd/main.go"},
		{"catmain", "cmd/catamaran/main.go"},
		{"envts", "web/src/data/environment.svelte.ts"},
		{"größe", "src/Größe.txt"},
		{"servertest", "internal/server/server_test.go"},
	} {
		if got := names(l, c.query, nil); len(got) == 0 || got[0] != c.want {
			t.Errorf("%s: %q, want %s", c.query, got, c.want)
		}
	}
	if got := names(l, "zzz", nil); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := names(l, "translate", map[string]int64{"internal/agent/codex/translate.go": 3}); got[0] != "internal/agent/codex/translate.go" {
		t.Errorf("what was used last is not first: %q", got)
	}
	if got := names(l, "", map[string]int64{"cmd/main.go": 1, "docs/server.md": 2}); got[0] != "docs/server.md" || got[1] != "cmd/main.go" || len(got) != 15 {
		t.Errorf("without a query: %q", got)
	}
}

// TestMarksAreWhatMatched: the marked letters are the query.
func TestMarksAreWhatMatched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringOfN(rapid.SampledFrom([]rune("abcäöß𝛑/-_.AB")), 1, 30, -1).Draw(t, "path")
		p = strings.Trim(strings.ReplaceAll(p, "//", "/"), "/")
		q := fold(rapid.StringOfN(rapid.SampledFrom([]rune("abcäöß𝛑")), 1, 5, -1).Draw(t, "query"))
		folded := fold(p)
		if len(folded) != len(p) {
			t.Fatalf("%q is folded to another length", p)
		}
		_, ok := score(q, folded)
		sp := spans(q, folded)
		if ok != (sp != nil) {
			t.Fatalf("score says %v, spans say %v", ok, sp)
		}
		if ok && mask(folded)&mask(q) != mask(q) {
			t.Fatal("the mask leaves a match out")
		}
		// A subsequence by the letter-for-letter definition.
		rest := []rune(q)
		for _, r := range folded {
			if len(rest) > 0 && r == rest[0] {
				rest = rest[1:]
			}
		}
		if ok != (len(rest) == 0) {
			t.Fatalf("%q in %q: %v", q, folded, ok)
		}
		if !ok {
			return
		}
		got := ""
		for _, s := range sp {
			got += folded[s.start:s.end]
		}
		if got != q {
			t.Fatalf("%q in %q marks %q", q, folded, got)
		}
		units := 0
		for _, r := range p {
			units++
			if r > 0xFFFF {
				units++
			}
		}
		last := 0
		for _, m := range marks(p, sp) {
			if m.Start < last || m.End <= m.Start || m.End > units {
				t.Fatalf("%+v in %d units", m, units)
			}
			last = m.End
		}
	})
}

// TestTopIsTheBest compares the heap with sorting everything.
func TestTopIsTheBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := of(rapid.SliceOfNDistinct(rapid.StringMatching(`[ab]{1,4}(/[ab]{1,4}){0,2}`), 1, 40, rapid.ID[string]).Draw(t, "paths")...)
		q := rapid.StringMatching(`[ab]{0,3}`).Draw(t, "query")
		limit := rapid.IntRange(1, 10).Draw(t, "limit")
		all, n := l.find(q, len(l.paths), false, nil)
		some, m := l.find(q, limit, false, nil)
		if n != m || n != len(all) || !slices.Equal(some, all[:min(limit, len(all))]) {
			t.Fatalf("%d of %d: %v, all %v", m, n, some, all)
		}
	})
}

func TestFindKnowsARepository(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*.log\n", "src/kept.go": "x", "src/changed.go": "x", "src/removed.go": "x", "notes.log": ""})
	write(t, dir, "src/changed.go", "y, and longer")
	write(t, dir, "src/new.go", "x")
	runGit(t, dir, "rm", "-q", "--cached", "--", "src/removed.go")
	write(t, dir, "nested/inner.txt", "x")
	runGit(t, dir+"/nested", "init", "-q")
	f := newFiles(t)
	r, err := f.Find(t.Context(), dir, api.FileFind{Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, x := range r.Files {
		s := ""
		if x.Folder {
			s += "/"
		}
		if x.Changed {
			s += "~"
		}
		got[x.Path] = s
	}
	want := map[string]string{".gitignore": "", "src": "/", "src/kept.go": "", "src/changed.go": "~", "src/removed.go": "~", "src/new.go": "~", "nested": "/~"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	// A deleted file is not offered.
	gone := repo(t, map[string]string{"a.go": "", "b.go": ""})
	runGit(t, gone, "rm", "-q", "a.go")
	runGit(t, gone, "reset", "-q")
	if r, err := f.Find(t.Context(), gone, api.FileFind{}); err != nil || len(r.Files) != 1 || r.Files[0].Path != "b.go" {
		t.Errorf("%+v %v", r, err)
	}
	// A project in a part of a repository knows its own files only.
	if r, err := f.Find(t.Context(), dir+"/src", api.FileFind{Files: true}); err != nil || r.Matches != 4 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestFindKnowsAnyFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{".gitignore": "out\n", "a.txt": "", "out/b.txt": "", "node_modules/x.js": "", "sub/.gitignore": "*.tmp", "sub/c.tmp": "", "sub/c.txt": ""})
	f := newFiles(t)
	r, err := f.Find(t.Context(), dir, api.FileFind{Query: "txt"})
	if err != nil || len(r.Files) != 2 || r.Known != 5 {
		t.Errorf("%+v %v", r, err)
	}
	f.limits.paths = 3
	other := folder(t, map[string]string{"a": "", "b": "", "c": "", "d": "", "e": ""})
	if r, err := f.Find(t.Context(), other, api.FileFind{}); err != nil || !r.Partial || r.Known != 3 {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := f.Find(t.Context(), dir+"/gone", api.FileFind{}); code(err) != api.CodeNotFound {
		t.Error(err)
	}
	if _, err := f.Find(t.Context(), dir, api.FileFind{Query: strings.Repeat("a", 257)}); code(err) != api.CodeInvalid {
		t.Error(err)
	}
}

// TestIndexFollowsTheFolder: what is new is found, and nothing runs while nobody asks.
func TestIndexFollowsTheFolder(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a.txt": ""})
	f := newFiles(t)
	f.limits.fresh, f.limits.old = 0, 0
	f.limits.patience = time.Minute
	find := func(query string) int {
		r, err := f.Find(t.Context(), dir, api.FileFind{Query: query})
		if err != nil {
			t.Fatal(err)
		}
		return r.Matches
	}
	if find("late") != 0 {
		t.Fatal("found before it is there")
	}
	write(t, dir, "late.txt", "")
	// An answer may come from a list that was begun before; it ends with the next one.
	for deadline := time.Now().Add(time.Minute); find("late") == 0; {
		if time.Now().After(deadline) {
			t.Fatal("a new file is not found")
		}
		f.mu.Lock()
		f.indexes[dir].took = 0
		f.mu.Unlock()
	}
	// One that nobody uses is let go, and made again when asked for.
	f.mu.Lock()
	x := f.indexes[dir]
	f.mu.Unlock()
	f.wg.Wait()
	f.drop(dir, x)
	f.mu.Lock()
	empty := x.list == nil
	f.mu.Unlock()
	if !empty || find("late") != 1 {
		t.Error("an index is not dropped, or not made again")
	}
	// The folders kept are bounded.
	f.limits.indexes = 2
	for range 4 {
		if _, err := f.Find(t.Context(), folder(t, map[string]string{"x": ""}), api.FileFind{}); err != nil {
			t.Fatal(err)
		}
	}
	f.mu.Lock()
	n := len(f.indexes)
	f.mu.Unlock()
	if n > 2 {
		t.Errorf("%d folders are kept", n)
	}
}

func TestUsedFilesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	f.limits.recent = 3
	for i := range 10 {
		f.Used("/x", fmt.Sprint(i))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := f.indexes["/x"].recent; len(got) != 3 || got["9"] == 0 || got["7"] == 0 {
		t.Errorf("%v", got)
	}
}

func TestClosedFilesAnswerClearly(t *testing.T) {
	t.Parallel()
	f := New(nil)
	dir := folder(t, map[string]string{"a": ""})
	if _, err := f.Find(t.Context(), dir, api.FileFind{}); err != nil {
		t.Fatal(err)
	}
	f.Close()
	f.Close()
	if _, err := f.Find(t.Context(), dir, api.FileFind{}); code(err) != api.CodeUnavailable {
		t.Error(err)
	}
	f.Used(dir, "a")
}

func FuzzParseListing(f *testing.F) {
	f.Add([]byte("H a/b\x00? c\x00C a/b\x00R d\x00? nested/\x00"))
	f.Add([]byte("H \xff\x00\x00H"))
	f.Add([]byte("? /\x00H a//b\x00"))
	files := Files{limits: defaultLimits}
	files.limits.paths = 50
	f.Fuzz(func(t *testing.T, b []byte) {
		l := files.parse(b, false)
		if len(l.paths) != len(l.folded) || len(l.paths) != len(l.masks) || len(l.paths) != len(l.flags) || len(l.paths) > 50+strings.Count(string(b), "/") {
			t.Fatal("the list does not fit together")
		}
		l.find("a/b", 5, false, nil)
	})
}

func FuzzSearchOutput(f *testing.F) {
	f.Add([]byte(`{"type":"match","data":{"path":{"text":"./a"},"lines":{"text":"foo\n"},"line_number":1,"submatches":[{"start":0,"end":3}]}}`+"\n"), []byte("a\x001\x00foo\nb\x002:x foo\n"))
	f.Add([]byte(`{"type":"match","data":{"path":{"bytes":"/w=="},"lines":{"bytes":"/w=="},"line_number":-1,"submatches":[{"start":9,"end":1}]}}`), []byte("a\x00x"))
	f.Fuzz(func(t *testing.T, rg, grep []byte) {
		for _, read := range []func(*search){func(s *search) { _ = s.readRipgrep(strings.NewReader(string(rg))) }, func(s *search) { s.readGrep(grep) }} {
			s := &search{FileSearch: api.FileSearch{Text: "foo"}, files: map[string]int{}}
			if err := s.check(); err != nil {
				t.Fatal(err)
			}
			read(s)
			if s.out.Lines > s.limit {
				t.Fatal("more than the limit")
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte("häuser\r\n"), 3)
	f.Add([]byte("\xFF\xFEa\x00\x3d\xd8"), 5)
	f.Add([]byte("\xE4\x80"), 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		enc := encodingOf(b, false)
		if enc == "" || n < 0 {
			return
		}
		n = min(n, len(b))
		if strings.HasPrefix(enc, "utf-16") {
			n &^= 1
		}
		if c := cutText(b[:n], enc); c < 0 || c > n || n > 4 && c == 0 {
			t.Fatalf("cut at %d of %d", c, n)
		}
		decode(b, enc, true)
	})
}
