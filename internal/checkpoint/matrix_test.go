package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRulesChange(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": "a\n", "tracked.log": "t\n"})
	write(t, dir, "x.log", "x\n")
	one := take(t, dir, "1")
	write(t, dir, ".gitignore", "*.log\n")
	two := take(t, dir, "2")
	// What is ignored now is in no snapshot from here on, unless the user tracks it.
	wantChanges(t, dir, one, two, "added .gitignore +1 -0", "deleted x.log +0 -1")
	write(t, dir, "tracked.log", "u\n")
	write(t, dir, "x.log", "y\n")
	wantChanges(t, dir, two, take(t, dir, "3"), "modified tracked.log +1 -1")
}

func TestUserIndexMoves(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": "a\n", "b.txt": "b\n"})
	write(t, dir, "new.txt", "n\n")
	one := take(t, dir, "1")
	// The agent commits: the files are the same, so nothing has changed.
	runGit(t, dir, "add", "-A")
	runGit(t, dir, "commit", "-q", "-m", "two")
	wantChanges(t, dir, one, take(t, dir, "2"))
	runGit(t, dir, "rm", "-q", "--cached", "b.txt")
	wantChanges(t, dir, one, take(t, dir, "3"))
	runGit(t, dir, "checkout", "-q", "-f", "HEAD~")
	wantChanges(t, dir, one, take(t, dir, "4"), "deleted new.txt +0 -1")
}

func TestSparseAndSplit(t *testing.T) {
	t.Parallel()
	for name, config := range map[string][][]string{
		"sparse cone":  {{"sparse-checkout", "set", "--cone", "in"}},
		"sparse index": {{"config", "index.sparse", "true"}, {"sparse-checkout", "set", "--cone", "--sparse-index", "in"}},
		"split index":  {{"config", "core.splitIndex", "true"}, {"update-index", "--split-index"}},
		"untracked":    {{"config", "core.untrackedCache", "true"}, {"update-index", "--untracked-cache"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newRepo(t, map[string]string{"top.txt": "t\n", "in/a.txt": "a\n", "out/b.txt": "b\n", "out/deep/c.txt": "c\n"})
			for _, args := range config {
				runGit(t, dir, args...)
			}
			before := take(t, dir, "before")
			if got, want := before, strings.TrimSpace(runGit(t, dir, "rev-parse", "HEAD^{tree}")); got != want {
				t.Errorf("tree %s, want that of HEAD, %s", got, want)
			}
			write(t, dir, "in/a.txt", "A\n")
			write(t, dir, "in/new.txt", "n\n")
			after := take(t, dir, "after")
			wantChanges(t, dir, before, after, "modified in/a.txt +1 -1", "added in/new.txt +1 -0")
			if strings.HasPrefix(name, "sparse") {
				// More of it, then less, is checked out: neither is a change.
				runGit(t, dir, "sparse-checkout", "set", "--cone", "in", "out")
				wantChanges(t, dir, after, take(t, dir, "wide"))
				runGit(t, dir, "sparse-checkout", "set", "--cone", "in")
				wantChanges(t, dir, after, take(t, dir, "narrow"))
			}
		})
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{".gitattributes": "*.txt text eol=crlf\n*.up filter=up\n", "a.txt": "a\nb\n"})
	runGit(t, dir, "config", "filter.up.clean", "tr a-z A-Z")
	runGit(t, dir, "config", "filter.up.smudge", "tr A-Z a-z")
	write(t, dir, "a.txt", "a\r\nb\r\n")
	write(t, dir, "x.up", "hello\n")
	before := take(t, dir, "before")
	wantChanges(t, dir, strings.TrimSpace(runGit(t, dir, "rev-parse", "HEAD^{tree}")), before, "added x.up +1 -0")
	if got := runGit(t, dir, "cat-file", "blob", before+":x.up"); got != "HELLO\n" {
		t.Errorf("%q", got)
	}
	write(t, dir, "a.txt", "a\r\nc\r\n")
	wantChanges(t, dir, before, take(t, dir, "after"), "modified a.txt +1 -1")
}

func TestNames(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"Readme.md": "r\n"})
	before := take(t, dir, "before")
	if err := os.Rename(filepath.Join(dir, "Readme.md"), filepath.Join(dir, "README.md")); err != nil {
		t.Fatal(err)
	}
	after := take(t, dir, "after")
	wantChanges(t, dir, before, after, "renamed README.md from Readme.md +0 -0")
	// A file becomes a folder, and back.
	if err := os.Remove(filepath.Join(dir, "README.md")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "README.md/x", "x\n")
	folder := take(t, dir, "folder")
	wantChanges(t, dir, after, folder, "deleted README.md +0 -1", "added README.md/x +1 -0")
	if err := os.RemoveAll(filepath.Join(dir, "README.md")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "README.md", "r\n")
	wantChanges(t, dir, after, take(t, dir, "back"))
}

// TestLinks shows that a link is kept as a link, and what it points at is not read.
func TestLinks(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write(t, outside, "secret", "s\n")
	dir := newRepo(t, map[string]string{"a.txt": "a\n"})
	before := take(t, dir, "before")
	for name, to := range map[string]string{"file": filepath.Join(outside, "secret"), "folder": outside, "nowhere": "nothing there"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip("this system makes no links: ", err)
		}
	}
	after := take(t, dir, "after")
	wantChanges(t, dir, before, after, "added file +1 -0", "added folder +1 -0", "added nowhere +1 -0")
	write(t, outside, "secret", "changed\n")
	write(t, outside, "more", "m\n")
	wantChanges(t, dir, after, take(t, dir, "later"))
}

func TestPrune(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": "a\n"})
	for i := range 5 {
		for _, end := range []string{"before", "after"} {
			if _, err := kept.Take(t.Context(), dir, "t_1", fmt.Sprintf("u_%03d-%s", i, end)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tc := range [][2]int{{9, 10}, {2, 4}} {
		if err := kept.Prune(t.Context(), dir, "t_1", tc[0]); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(runGit(t, dir, "for-each-ref", "refs/catamaran"), "\n"); got != tc[1] {
			t.Errorf("%d refs stay with %d turns, want %d", got, tc[0], tc[1])
		}
	}
	if got := runGit(t, dir, "for-each-ref", "--format=%(refname)", "refs/catamaran"); !strings.Contains(got, "_5f004-after") || strings.Contains(got, "_5f002") {
		t.Errorf("left:\n%s", got)
	}
}

// TestKilledGit leaves the lock of a git that was killed in the middle.
func TestKilledGit(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": "a\n"})
	s := New(t.TempDir())
	one, err := s.Take(t.Context(), dir, "t", "1")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(s.indexes.dir)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	write(t, s.indexes.dir, files[0].Name()+".lock", "half")
	write(t, dir, "a.txt", "b\n")
	two, err := s.Take(t.Context(), dir, "t", "2")
	if err != nil {
		t.Fatal(err)
	}
	wantChanges(t, dir, one, two, "modified a.txt +1 -1")
	// Beyond its bound it forgets the folder used longest ago.
	for range maxIndexes + 3 {
		if _, err := s.Snapshot(t.Context(), newRepo(t, map[string]string{"a": "a"})); err != nil {
			t.Fatal(err)
		}
	}
	if files, _ := os.ReadDir(s.indexes.dir); len(files) != maxIndexes {
		t.Errorf("%d indexes are kept", len(files))
	}
}
