package checkpoint

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/proc"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	home, err := os.MkdirTemp("", "checkpoint-test-home-")
	if err != nil {
		panic(err)
	}
	for k, v := range map[string]string{"HOME": home, "XDG_CONFIG_HOME": home, "USERPROFILE": home} {
		os.Setenv(k, v)
	}
	// What a snapshot must work with, whatever the user's configuration says.
	config := "[commit]\n\tgpgSign = true\n[core]\n\tlogAllRefUpdates = always\n[diff]\n\tnoprefix = true\n\trenames = false\n[color]\n\tui = always\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o600); err != nil {
		panic(err)
	}
	kept = New(filepath.Join(home, "indexes"))
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

// kept is the store of all tests: its indexes are used again and again, as in the product.
var kept *Store

var identity = []string{"GIT_AUTHOR_NAME=T", "GIT_AUTHOR_EMAIL=t@example.invalid", "GIT_COMMITTER_NAME=T", "GIT_COMMITTER_EMAIL=t@example.invalid"}

func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	args = append([]string{"-c", "commit.gpgSign=false", "-c", "protocol.file.allow=always"}, args...)
	out, err := git.Run(t.Context(), git.Command{Dir: dir, Args: args, Env: identity})
	if err != nil {
		t.Fatal(err)
	}
	return string(out.Stdout)
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newRepo makes a repository with one commit of the given files; none for an
// empty repository.
func newRepo(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	runGit(t, dir, "init", "-q", "-b", "main")
	for name, content := range files {
		write(t, dir, name, content)
	}
	if files != nil {
		runGit(t, dir, "add", "-A")
		runGit(t, dir, "commit", "-q", "-m", "one")
	}
	return dir
}

func take(t *testing.T, dir, label string) string {
	t.Helper()
	ref, err := kept.Take(t.Context(), dir, "thread-1", label)
	if err != nil || ref == "" {
		t.Fatalf("take: %q, %v", ref, err)
	}
	return ref
}

// changes spells a summary as "status path" lines.
func changes(t *testing.T, dir, from, to string) string {
	t.Helper()
	sum, err := kept.Summary(t.Context(), dir, from, to)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range sum.Files {
		line := string(f.Status) + " " + f.Path
		if f.OldPath != "" {
			line += " from " + f.OldPath
		}
		if f.Binary {
			line += " binary"
		}
		lines = append(lines, fmt.Sprintf("%s +%d -%d", line, f.Additions, f.Deletions))
	}
	return strings.Join(lines, "\n")
}

func compare(t *testing.T, s *Store, dir, from, to string, o api.DiffOptions) api.Diff {
	t.Helper()
	d, err := s.Compare(t.Context(), dir, from, to, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// patch spells a file's hunks.
func patch(f api.DiffFile) string {
	var b strings.Builder
	for _, h := range f.Hunks {
		fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n", h.OldStart, h.OldLines, h.NewStart, h.NewLines)
		for _, l := range h.Lines {
			b.WriteString(l + "\n")
		}
		if h.OldNoNewline {
			b.WriteString("old has no newline\n")
		}
		if h.NewNoNewline {
			b.WriteString("new has no newline\n")
		}
	}
	return b.String()
}

func wantChanges(t *testing.T, dir, from, to string, want ...string) {
	t.Helper()
	if got := changes(t, dir, from, to); got != strings.Join(want, "\n") {
		t.Errorf("changes:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

const tenLines = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"

func TestChanges(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{
		".gitignore": "ignored/\n*.log\n", "a.txt": tenLines, "gone.txt": "x\n", "old name.txt": tenLines + "11\n", "run.sh": "#!/bin/sh\n",
		"bin": "a\x00b", "-dash": "1\n", "ünï\tcode": "1\n",
	})
	before := take(t, dir, "before")
	write(t, dir, "a.txt", strings.Replace(tenLines, "5\n", "five\nfive and a half\n", 1))
	write(t, dir, "new.txt", "one\ntwo\n")
	write(t, dir, "ignored/x", "x")
	write(t, dir, "debug.log", "x")
	write(t, dir, "bin", "a\x00c")
	write(t, dir, "-dash", "2\n")
	write(t, dir, "ünï\tcode", "2\n")
	for _, err := range []error{
		os.Remove(filepath.Join(dir, "gone.txt")),
		os.Rename(filepath.Join(dir, "old name.txt"), filepath.Join(dir, "new name.txt")),
		os.Chmod(filepath.Join(dir, "run.sh"), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	after := take(t, dir, "after")
	want := []string{
		"modified -dash +1 -1", "modified a.txt +2 -1", "modified bin binary +0 -0", "deleted gone.txt +0 -1", "renamed new name.txt from old name.txt +0 -0",
		"added new.txt +2 -0", "mode run.sh +0 -0", "modified ünï\tcode +1 -1"}
	wantChanges(t, dir, before, after, want...)
	wantChanges(t, dir, before, before)
	wantChanges(t, dir, "", after)
	patches := map[string]string{}
	for _, d := range compare(t, kept, dir, before, after, api.DiffOptions{}).Files {
		patches[d.Path] = patch(d)
		if d.Pending || d.Next != 0 {
			t.Errorf("%s is cut", d.Path)
		}
	}
	for path, patch := range map[string]string{
		"a.txt":     "@@ -2,7 +2,8 @@\n 2\n 3\n 4\n-5\n+five\n+five and a half\n 6\n 7\n 8\n",
		"new.txt":   "@@ -0,0 +1,2 @@\n+one\n+two\n",
		"gone.txt":  "@@ -1,1 +0,0 @@\n-x\n",
		"bin":       "",
		"run.sh":    "",
		"-dash":     "@@ -1,1 +1,1 @@\n-1\n+2\n",
		"ünï\tcode": "@@ -1,1 +1,1 @@\n-1\n+2\n",
	} {
		got := patches[path]
		if got != patch {
			t.Errorf("%s: patch %q, want %q", path, got, patch)
		}
	}
}

// TestUntouched shows that nothing of the user's moves, as Git itself tells it.
func TestUntouched(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": tenLines, "b.txt": "b\n"})
	write(t, dir, "a.txt", "stashed\n")
	runGit(t, dir, "stash")
	write(t, dir, "a.txt", "staged\n")
	runGit(t, dir, "add", "a.txt")
	write(t, dir, "a.txt", "staged, then changed\n")
	write(t, dir, "untracked", "u\n")
	trap := filepath.Join(dir, ".git", "trap")
	for _, hook := range []string{"pre-commit", "post-commit", "reference-transaction", "post-index-change", "pre-auto-gc", "post-checkout"} {
		path := filepath.Join(dir, ".git", "hooks", hook)
		write(t, dir, ".git/hooks/"+hook, "#!/bin/sh\necho "+hook+" >> '"+filepath.ToSlash(trap)+"'\n")
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	look := func() string {
		var b strings.Builder
		// A status with locks would itself refresh the index; git.Run forbids that.
		for _, args := range [][]string{
			{"status", "--porcelain=v2", "--branch", "--show-stash"}, {"log", "--all", "--decorate", "--oneline"}, {"log", "--all", "--graph", "--format=%H %D"},
			{"rev-list", "--all", "--count"}, {"branch", "-a", "-v"}, {"tag"}, {"stash", "list"}, {"reflog", "--all"}, {"diff", "--cached"}, {"config", "--local", "--list"},
		} {
			fmt.Fprintf(&b, "%v\n%s\n", args, runGit(t, dir, args...))
		}
		// Every file of the repository, byte for byte, but for new objects and our own refs.
		err := filepath.WalkDir(filepath.Join(dir, ".git"), func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(filepath.Join(dir, ".git"), path)
			switch filepath.ToSlash(rel) {
			case "objects", "refs/catamaran":
				return fs.SkipDir
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			fmt.Fprintf(&b, "%s %x\n", rel, sha256.Sum256(content))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	before := look()
	first := take(t, dir, "before")
	write(t, dir, "untracked", "v\n")
	second := take(t, dir, "after")
	write(t, dir, "untracked", "u\n")
	if after := look(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if b, err := os.ReadFile(trap); err == nil {
		t.Errorf("hooks ran:\n%s", b)
	}
	wantChanges(t, dir, first, second, "modified untracked +1 -1")

	// A thorough garbage collection leaves the snapshots alone ...
	runGit(t, dir, "-c", "gc.pruneExpire=now", "gc", "-q", "--prune=now")
	wantChanges(t, dir, first, second, "modified untracked +1 -1")
	// ... and frees them once they are forgotten.
	if err := kept.Forget(t.Context(), dir, "thread-1"); err != nil {
		t.Fatal(err)
	}
	if got := runGit(t, dir, "for-each-ref", "refs/catamaran"); got != "" {
		t.Errorf("refs stay: %s", got)
	}
	runGit(t, dir, "gc", "-q", "--prune=now")
	_, err := kept.Summary(t.Context(), dir, first, second)
	if e := api.AsError(err); e == nil || e.Code != api.CodeNotFound || e.Hint == "" {
		t.Errorf("forgotten snapshots: %v", err)
	}
}

func TestForgetOneThread(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": "a\n"})
	s := kept
	for _, thread := range []string{"thread-1", "thread-10", "Thread-1", "../evil", "x..lock"} {
		if ref, err := s.Take(t.Context(), dir, thread, "turn 1/before"); err != nil || ref == "" {
			t.Fatalf("%s: %q, %v", thread, ref, err)
		}
	}
	if err := s.Forget(t.Context(), dir, "thread-1"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(runGit(t, dir, "for-each-ref", "refs/catamaran"), "\n"); got != 4 {
		t.Errorf("%d refs stay, want 4", got)
	}
	for _, d := range []string{t.TempDir(), filepath.Join(dir, "gone", "for good")} {
		if err := s.Forget(t.Context(), d, "thread-1"); err != nil {
			t.Errorf("%s: %v", d, err)
		}
	}
}

func TestNoRepository(t *testing.T) {
	t.Parallel()
	ref, err := kept.Take(t.Context(), t.TempDir(), "thread-1", "before")
	if ref != "" || err != nil {
		t.Fatalf("%q, %v", ref, err)
	}
}

func TestNoCommitYet(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, nil)
	empty := take(t, dir, "1")
	write(t, dir, "a.txt", "a\n")
	one := take(t, dir, "2")
	runGit(t, dir, "add", "a.txt")
	write(t, dir, "a.txt", "b\n")
	two := take(t, dir, "3")
	wantChanges(t, dir, empty, one, "added a.txt +1 -0")
	wantChanges(t, dir, one, two, "modified a.txt +1 -1")
}

// TestSameTick changes a file to the same size right after a snapshot, within the
// second that the file system or Git may know it by.
func TestSameTick(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": "aaaa\n"})
	last := take(t, dir, "0")
	for i := range 12 {
		write(t, dir, "a.txt", fmt.Sprintf("%04d\n", i))
		next := take(t, dir, fmt.Sprint(i+1))
		wantChanges(t, dir, last, next, "modified a.txt +1 -1")
		last = next
	}
	// A change that goes with an old time is known by the time alone.
	at := time.Now().Add(-time.Hour)
	write(t, dir, "a.txt", "bbbb\n")
	if err := os.Chtimes(filepath.Join(dir, "a.txt"), at, at); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, dir, last, take(t, dir, "old"), "modified a.txt +1 -1")
}

func TestSubfolderProject(t *testing.T) {
	t.Parallel()
	top := newRepo(t, map[string]string{"a.txt": "a\n", "sub/b.txt": "b\n", "sub/deep/c.txt": "c\n"})
	dir := filepath.Join(top, "sub")
	before := take(t, dir, "before")
	write(t, top, "a.txt", "not ours\n")
	write(t, top, "staged elsewhere", "x\n")
	runGit(t, top, "add", "staged elsewhere")
	write(t, dir, "deep/c.txt", "d\n")
	write(t, dir, "new.txt", "n\n")
	wantChanges(t, dir, before, take(t, dir, "after"), "modified deep/c.txt +1 -1", "added new.txt +1 -0")

	// A merge with conflicts next door does not matter.
	runGit(t, top, "commit", "-q", "-a", "-m", "two")
	runGit(t, top, "checkout", "-q", "-b", "side", "HEAD~")
	write(t, top, "a.txt", "theirs\n")
	runGit(t, top, "commit", "-q", "-a", "-m", "three")
	if _, err := git.Run(t.Context(), git.Command{Dir: top, Args: []string{"merge", "-q", "main"}, Env: identity}); err == nil {
		t.Fatal("no conflict")
	}
	before = take(t, dir, "before")
	write(t, dir, "b.txt", "B\n")
	wantChanges(t, dir, before, take(t, dir, "after"), "modified b.txt +1 -1")
}

func TestIgnoredProject(t *testing.T) {
	t.Parallel()
	top := newRepo(t, map[string]string{".gitignore": "build/\n"})
	write(t, top, "build/x", "x")
	ref, err := kept.Take(t.Context(), filepath.Join(top, "build"), "thread-1", "before")
	if ref != "" || err != nil {
		t.Fatalf("%q, %v", ref, err)
	}
}

func TestWorktrees(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": "a\n"})
	work := filepath.Join(t.TempDir(), "work")
	runGit(t, dir, "worktree", "add", "-q", work)
	a, b := take(t, dir, "main"), take(t, work, "work")
	if a != b {
		t.Errorf("equal trees differ: %s %s", a, b)
	}
	write(t, work, "a.txt", "b\n")
	wantChanges(t, work, b, take(t, work, "work 2"), "modified a.txt +1 -1")
	wantChanges(t, dir, a, take(t, dir, "main 2"))
}

func TestSubmodule(t *testing.T) {
	t.Parallel()
	lib := newRepo(t, map[string]string{"lib.txt": "1\n"})
	dir := newRepo(t, map[string]string{"a.txt": "a\n"})
	runGit(t, dir, "submodule", "--quiet", "add", lib, "lib")
	runGit(t, dir, "commit", "-q", "-m", "lib")
	before := take(t, dir, "before")
	write(t, dir, "lib/lib.txt", "2\n")
	dirty := take(t, dir, "dirty")
	wantChanges(t, dir, before, dirty)
	runGit(t, filepath.Join(dir, "lib"), "commit", "-q", "-a", "-m", "two")
	wantChanges(t, dir, dirty, take(t, dir, "after"), "modified lib +1 -1")
	// A repository within that has no commit cannot be referred to.
	if err := os.MkdirAll(filepath.Join(dir, "fresh"), 0o755); err != nil {
		t.Fatal(err)
	}
	runGit(t, filepath.Join(dir, "fresh"), "init", "-q")
	write(t, dir, "fresh/x", "x\n")
	before = take(t, dir, "before")
	write(t, dir, "b.txt", "b\n")
	wantChanges(t, dir, before, take(t, dir, "after"), "added b.txt +1 -0")
}

func TestLarge(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": "a\n"})
	s := New(t.TempDir())
	s.maxFile = 100
	sub := filepath.Join(dir, "sub [1]")
	snap := func(label string) string {
		t.Helper()
		ref, err := s.Take(t.Context(), dir, "thread-1", label)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	write(t, sub, "big *.bin", strings.Repeat("x", 90))
	one := snap("1")
	write(t, sub, "big *.bin", strings.Repeat("x", 101))
	write(t, dir, "a.txt", "b\n")
	two := snap("2")
	wantChanges(t, dir, one, two, "modified a.txt +1 -1", "modified sub [1]/big *.bin +1 -1")
	if d := compare(t, s, dir, one, two, api.DiffOptions{}); !strings.Contains(patch(d.Files[1]), "+Not kept in the snapshot: 101 bytes") {
		t.Errorf("%+v", d)
	}
	// In a project below, names are relative to it.
	if ref, err := s.Take(t.Context(), sub, "thread-2", "1"); err != nil {
		t.Errorf("%q, %v", ref, err)
	} else if got := runGit(t, dir, "ls-tree", "-r", "--name-only", ref, "sub [1]"); got != "sub [1]/big *.bin\n" {
		t.Errorf("tree of the subfolder: %q", got)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("root and Windows read every file; TestSubmodule has a path that git add refuses for everybody")
	}
	dir := newRepo(t, map[string]string{"a.txt": "a\n", "tracked": "s\n"})
	before := take(t, dir, "before")
	write(t, dir, "tracked", "changed\n")
	write(t, dir, "new", "s\n")
	write(t, dir, "z.txt", "z\n")
	for _, name := range []string{"tracked", "new"} {
		if err := os.Chmod(filepath.Join(dir, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	wantChanges(t, dir, before, take(t, dir, "after"), "added z.txt +1 -0")
}

func TestFileBecomesLink(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": "a\n", "b.txt": "b\n"})
	before := take(t, dir, "before")
	if err := os.Remove(filepath.Join(dir, "a.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b.txt", filepath.Join(dir, "a.txt")); err != nil {
		t.Skip("this system makes no links: ", err)
	}
	write(t, dir, "b.txt", "B\n")
	after := take(t, dir, "after")
	d := compare(t, kept, dir, before, after, api.DiffOptions{})
	if len(d.Files) != 2 || d.Files[0].OldMode != "100644" || d.Files[0].NewMode != "120000" {
		t.Fatalf("%+v", d)
	}
	if want, got := "@@ -1,1 +0,0 @@\n-a\n@@ -0,0 +1,1 @@\n+b.txt\nnew has no newline\n", patch(d.Files[0]); got != want {
		t.Errorf("patch %q", got)
	}
	if want, got := "@@ -1,1 +1,1 @@\n-b\n+B\n", patch(d.Files[1]); got != want {
		t.Errorf("patch %q", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"a.txt": "a\n"})
	refs := make([]string, 8)
	var wg sync.WaitGroup
	for i := range refs {
		wg.Go(func() {
			ref, err := kept.Take(t.Context(), dir, fmt.Sprintf("thread-%d", i), "before")
			if err != nil {
				t.Error(err)
			}
			refs[i] = ref
		})
	}
	wg.Wait()
	for _, ref := range refs {
		if ref != refs[0] {
			t.Fatalf("refs %v", refs)
		}
	}
}
