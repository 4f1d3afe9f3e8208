package git

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catamaran/internal/api"
)

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

// newRepo makes a repository with an identity and one commit of the files.
func newRepo(t *testing.T, files ...string) string {
	t.Helper()
	dir := tempDir(t)
	run(t, dir, "init", "-q", "-b", "main")
	identify(t, dir)
	for _, f := range files {
		write(t, dir, f, f+"\n")
	}
	if len(files) > 0 {
		run(t, dir, "add", "-A")
		run(t, dir, "commit", "-q", "-m", "one")
	}
	return dir
}

func identify(t *testing.T, dir string) {
	t.Helper()
	run(t, dir, "config", "user.name", "T")
	run(t, dir, "config", "user.email", "t@example.invalid")
}

func status(t *testing.T, dir string) api.GitStatus {
	t.Helper()
	r, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := Status(t.Context(), r, dir)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// lines spells a status' files.
func lines(st api.GitStatus) []string {
	out := []string{}
	for _, f := range st.Files {
		s := f.Path
		for _, w := range []string{"staged:" + string(f.Staged), "unstaged:" + string(f.Unstaged), "conflict:" + f.Conflict, "from:" + f.OldPath} {
			if !strings.HasSuffix(w, ":") {
				s += " " + w
			}
		}
		if f.Untracked {
			s += " untracked"
		}
		out = append(out, s)
	}
	return out
}

func wantCode(t *testing.T, err error, code api.Code) {
	t.Helper()
	if e := api.AsError(err); e == nil || e.Code != code || e.Message == "" || e.Hint == "" {
		t.Fatalf("error %#v (%v), want %s with a hint", e, err, code)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, "a b.txt", "gone", "old name", "both", "sub/x", "run.sh", "ünï\tcode")
	write(t, dir, "a b.txt", "2\n")
	write(t, dir, "both", "2\n")
	run(t, dir, "add", "both")
	write(t, dir, "both", "3\n")
	run(t, dir, "rm", "-q", "gone")
	run(t, dir, "mv", "old name", "new\nname")
	write(t, dir, "sub/new", "n")
	write(t, dir, "ünï\tcode", "2\n")
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	st := status(t, dir)
	want := []string{"a b.txt unstaged:modified", "both staged:modified unstaged:modified", "gone staged:deleted",
		"new\nname staged:renamed from:old name", "run.sh unstaged:mode", "sub/new untracked", "ünï\tcode unstaged:modified"}
	if d := cmp.Diff(want, lines(st)); d != "" {
		t.Error(d)
	}
	if st.Branch != "main" || st.Head == "" || st.Staged != 3 || st.Unstaged != 4 || st.Untracked != 1 || st.Conflicted != 0 || st.Operation != "" {
		t.Errorf("%+v", st)
	}
	// From a folder within, names are relative to it.
	if got := lines(status(t, filepath.Join(dir, "sub"))); !slices.Contains(got, "new untracked") || !slices.Contains(got, "../a b.txt unstaged:modified") {
		t.Errorf("%q", got)
	}
}

func TestStatusOfBranches(t *testing.T) {
	t.Parallel()
	dir := newRepo(t)
	if st := status(t, dir); st.Head != "" || st.Branch != "main" || st.Detached {
		t.Errorf("before the first commit: %+v", st)
	}
	write(t, dir, "a", "1\n")
	run(t, dir, "add", "a")
	run(t, dir, "commit", "-q", "-m", "one")
	run(t, dir, "branch", "up")
	run(t, dir, "branch", "-q", "--set-upstream-to=up")
	run(t, dir, "commit", "-q", "--allow-empty", "-m", "two")
	if st := status(t, dir); st.Ahead != 1 || st.Behind != 0 || st.Upstream != "up" || st.UpstreamGone {
		t.Errorf("ahead: %+v", st)
	}
	run(t, dir, "branch", "-q", "-D", "up")
	if st := status(t, dir); !st.UpstreamGone {
		t.Errorf("gone: %+v", st)
	}
	run(t, dir, "checkout", "-q", "--detach")
	write(t, dir, "a", "2\n")
	run(t, dir, "stash")
	if st := status(t, dir); !st.Detached || st.Branch != "" || st.Stashes != 1 {
		t.Errorf("detached: %+v", st)
	}
}

// conflicted makes a repository in the middle of a merge or rebase with a conflict.
func conflicted(t *testing.T, how string) string {
	t.Helper()
	dir := newRepo(t, "a", "b", "c")
	run(t, dir, "checkout", "-q", "-b", "side")
	write(t, dir, "a", "side\n")
	run(t, dir, "rm", "-q", "b")
	run(t, dir, "commit", "-q", "-a", "-m", "side")
	run(t, dir, "checkout", "-q", "main")
	write(t, dir, "a", "main\n")
	write(t, dir, "b", "main\n")
	run(t, dir, "commit", "-q", "-a", "-m", "main")
	args := map[string][]string{"merge": {"merge", "side"}, "rebase": {"rebase", "side"}, "cherry-pick": {"cherry-pick", "side"}}[how]
	if _, err := Run(t.Context(), Command{Dir: dir, Args: args}); err == nil {
		t.Fatal("no conflict")
	} else {
		wantCode(t, Explain(how, err), api.CodeGitConflict)
	}
	return dir
}

func TestOperations(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"merge", "rebase", "cherry-pick"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := conflicted(t, how)
			st := status(t, dir)
			second := "b conflict:deleted-by-them"
			if how == "rebase" {
				second = "b conflict:deleted-by-us"
			}
			if d := cmp.Diff([]string{"a conflict:both-modified", second}, lines(st)); d != "" || st.Operation != how || st.Conflicted != 2 {
				t.Errorf("%+v %s", st, d)
			}
			if how == "rebase" && (st.Step != 1 || st.Steps != 1) {
				t.Errorf("step %d of %d", st.Step, st.Steps)
			}
			_, err := Commit(t.Context(), dir, "m", false)
			wantCode(t, err, api.CodeGitConflict)
		})
	}
}

func TestStageAndCommit(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		dir := newRepo(t)
		if !first {
			run(t, dir, "commit", "-q", "--allow-empty", "-m", "zero")
		}
		write(t, dir, "-dash", "1")
		write(t, dir, "a*", "1")
		write(t, dir, "ab", "1")
		ctx := t.Context()
		if err := Stage(ctx, dir, []string{"-dash", "a*"}, false); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"-dash staged:added", "a* staged:added", "ab untracked"}, lines(status(t, dir))); d != "" {
			t.Fatal(d)
		}
		if err := Unstage(ctx, dir, []string{"a*"}, false); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"-dash staged:added", "a* untracked", "ab untracked"}, lines(status(t, dir))); d != "" {
			t.Fatal(d)
		}
		if _, err := Commit(ctx, dir, "-m is no option\n\nbody\n# not a comment", false); err != nil {
			t.Fatal(err)
		}
		if got := run(t, dir, "log", "-1", "--format=%B"); got != "-m is no option\n\nbody\n# not a comment" {
			t.Errorf("message %q", got)
		}
		_, err := Commit(ctx, dir, "again", false)
		wantCode(t, err, api.CodeGitNothing)
		_, err = Commit(ctx, dir, " ", false)
		wantCode(t, err, api.CodeInvalid)
		if _, err := Commit(ctx, dir, "", true); err != nil {
			t.Error("amend:", err)
		}
		if err := Stage(ctx, dir, nil, true); err != nil {
			t.Fatal(err)
		}
		if err := Unstage(ctx, dir, nil, true); err != nil {
			t.Fatal(err)
		}
		if st := status(t, dir); st.Staged != 0 || st.Untracked != 2 {
			t.Errorf("%+v", st)
		}
		wantCode(t, Stage(ctx, dir, []string{"nowhere"}, false), api.CodeInvalid)
		wantCode(t, Stage(ctx, dir, nil, false), api.CodeInvalid)
		if err := Stage(ctx, dir, []string{"../x"}, false); err == nil {
			t.Error("a path outside was taken")
		}
	}
}

func TestCommitRefusals(t *testing.T) {
	t.Parallel()
	fresh := func(t *testing.T) string {
		dir := newRepo(t, "a")
		write(t, dir, "a", "2\n")
		run(t, dir, "add", "a")
		return dir
	}
	t.Run("hook", func(t *testing.T) {
		t.Parallel()
		dir := fresh(t)
		write(t, dir, ".git/hooks/pre-commit", "#!/bin/sh\necho 'lint: a:1 TLS could not resolve host'; exit 1\n")
		if err := os.Chmod(filepath.Join(dir, ".git/hooks/pre-commit"), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := Commit(t.Context(), dir, "m", false)
		wantCode(t, err, api.CodeGitHook)
		if e := api.AsError(err); !strings.Contains(e.Details, "lint: a:1") {
			t.Errorf("the hook's words are missing: %q", e.Details)
		}
	})
	t.Run("hook speaks", func(t *testing.T) {
		t.Parallel()
		dir := fresh(t)
		write(t, dir, ".git/hooks/post-commit", "#!/bin/sh\necho hello from a hook >&2\n")
		if err := os.Chmod(filepath.Join(dir, ".git/hooks/post-commit"), 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := Commit(t.Context(), dir, "m", false); err != nil || out != "hello from a hook" {
			t.Errorf("%q %v", out, err)
		}
	})
	t.Run("identity", func(t *testing.T) {
		t.Parallel()
		dir := fresh(t)
		run(t, dir, "config", "--unset", "user.name")
		run(t, dir, "config", "--unset", "user.email")
		run(t, dir, "config", "user.useConfigOnly", "true")
		_, err := Commit(t.Context(), dir, "m", false)
		wantCode(t, err, api.CodeGitIdentity)
	})
	t.Run("signing", func(t *testing.T) {
		t.Parallel()
		dir := fresh(t)
		run(t, dir, "config", "commit.gpgSign", "true")
		run(t, dir, "config", "gpg.program", "false")
		_, err := Commit(t.Context(), dir, "m", false)
		wantCode(t, err, api.CodeGitSigning)
	})
	t.Run("lock", func(t *testing.T) {
		t.Parallel()
		dir := fresh(t)
		write(t, dir, ".git/index.lock", "")
		_, err := Commit(t.Context(), dir, "m", false)
		wantCode(t, err, api.CodeConflict)
		if !api.AsError(err).Retryable {
			t.Error("not retryable")
		}
	})
	t.Run("a terminal is asked for", func(t *testing.T) {
		t.Parallel()
		dir := fresh(t)
		// An editor that waits for ever, and a hook that wants a terminal.
		run(t, dir, "config", "core.editor", "sleep 600")
		write(t, dir, ".git/hooks/pre-commit", "#!/bin/sh\nread answer < /dev/tty || { echo no terminal; exit 1; }\n")
		if err := os.Chmod(filepath.Join(dir, ".git/hooks/pre-commit"), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := Commit(t.Context(), dir, "m", false)
		wantCode(t, err, api.CodeGitHook)
	})
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		dir := fresh(t)
		write(t, dir, ".git/hooks/pre-commit", "#!/bin/sh\nsleep 600\n")
		if err := os.Chmod(filepath.Join(dir, ".git/hooks/pre-commit"), 0o755); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := Commit(ctx, dir, "m", false)
		wantCode(t, err, api.CodeTimeout)
	})
}

func TestBranches(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, "a")
	ctx := t.Context()
	if err := CreateBranch(ctx, dir, "feature/one", "", false); err != nil {
		t.Fatal(err)
	}
	if err := CreateBranch(ctx, dir, "two", "main", true); err != nil {
		t.Fatal(err)
	}
	if st := status(t, dir); st.Branch != "feature/one" {
		t.Errorf("%+v", st)
	}
	for _, bad := range []string{"", "-x", "a..b", "a b", "HEAD", "x.lock", "@{-1}"} {
		wantCode(t, CreateBranch(ctx, dir, bad, "", false), api.CodeInvalid)
	}
	wantCode(t, CreateBranch(ctx, dir, "two", "", false), api.CodeConflict)
	wantCode(t, CreateBranch(ctx, dir, "x", "nowhere", false), api.CodeInvalid)
	wantCode(t, Switch(ctx, dir, "nowhere"), api.CodeInvalid)
	wantCode(t, Switch(ctx, dir, "--detach"), api.CodeInvalid)

	// A clone has the remote's branches; switching to one makes it local.
	clone := filepath.Join(tempDir(t), "clone")
	run(t, dir, "clone", "-q", dir, clone)
	if err := Switch(ctx, clone, "origin/two"); err != nil {
		t.Fatal(err)
	}
	if st := status(t, clone); st.Branch != "two" || st.Upstream != "origin/two" {
		t.Errorf("%+v", st)
	}
	if err := Switch(ctx, clone, "feature/one"); err != nil {
		t.Fatal(err)
	}
	if err := Switch(ctx, clone, "origin/two"); err != nil {
		t.Fatal(err)
	}
	list, err := Branches(ctx, clone)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, b := range list.Branches {
		names = append(names, b.Name)
		if b.Name == "two" && (!b.Current || b.Upstream != "origin/two" || b.Worktree != clone || b.Subject != "one" || b.At == 0) {
			t.Errorf("%+v", b)
		}
	}
	slices.Sort(names)
	if want := []string{"feature/one", "origin/feature/one", "origin/main", "origin/two", "two"}; !slices.Equal(names, want) || list.Default != "feature/one" {
		t.Errorf("%q default %q", names, list.Default)
	}

	// Changes in the way are named, and nothing is lost.
	run(t, dir, "checkout", "-q", "two")
	write(t, dir, "a", "two\n")
	run(t, dir, "commit", "-q", "-a", "-m", "two")
	write(t, dir, "a", "mine\n")
	wantCode(t, Switch(ctx, dir, "main"), api.CodeGitDirty)
	if b, _ := os.ReadFile(filepath.Join(dir, "a")); string(b) != "mine\n" {
		t.Errorf("the file is %q", b)
	}
}

func TestWorktreeCommands(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, "a")
	ctx := t.Context()
	base := tempDir(t)
	one, two := filepath.Join(base, "one"), filepath.Join(base, "two ü")
	if err := AddWorktree(ctx, dir, one, "one", "", ""); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "branch", "side")
	if err := AddWorktree(ctx, dir, two, "", "", "side"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, AddWorktree(ctx, dir, filepath.Join(base, "three"), "", "", "side"), api.CodeConflict)
	wantCode(t, AddWorktree(ctx, dir, filepath.Join(base, "three"), "one", "", ""), api.CodeConflict)
	wantCode(t, AddWorktree(ctx, dir, filepath.Join(base, "three"), "bad..name", "", ""), api.CodeInvalid)
	write(t, one, "new", "n")
	write(t, one, "a", "changed\n")
	if n, err := Changed(ctx, one); n != 2 || err != nil {
		t.Errorf("%d changed, %v", n, err)
	}
	run(t, one, "add", "-A")
	run(t, one, "commit", "-q", "-m", "only here")
	if n, err := Unmerged(ctx, dir, "one", 100); n != 1 || err != nil {
		t.Errorf("%d unmerged, %v", n, err)
	}
	if n, err := Unmerged(ctx, dir, "side", 100); n != 0 || err != nil {
		t.Errorf("%d unmerged, %v", n, err)
	}
	// Removed outside the app: it is told, and can be made again with its branch.
	if err := os.RemoveAll(one); err != nil {
		t.Fatal(err)
	}
	list, err := Worktrees(ctx, dir)
	if err != nil || len(list) != 3 || !list[0].Main || list[0].Branch != "main" || !list[1].Missing || list[1].Branch != "one" || list[2].Path != two {
		t.Fatalf("%+v %v", list, err)
	}
	if kept, err := RepairWorktree(ctx, dir, one, "one", ""); err != nil || !kept {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(one, "new")); string(b) != "n" {
		t.Errorf("%q", b)
	}
	if err := os.RemoveAll(two); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "checkout", "-q", "--ignore-other-worktrees", "side")
	if kept, err := RepairWorktree(ctx, dir, two, "side", ""); err != nil || kept {
		t.Fatal(err)
	}
	if st := status(t, two); !st.Detached || !st.Linked {
		t.Errorf("%+v", st)
	}
	for _, w := range []string{one, two} {
		if err := RemoveWorktree(ctx, dir, w); err != nil {
			t.Fatal(err)
		}
	}
	if err := DeleteBranch(ctx, dir, "one"); err != nil {
		t.Fatal(err)
	}
	if list, err := Worktrees(ctx, dir); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte("# branch.oid abc\x00# branch.head main\x00# branch.ab +1 -2\x001 .M N... 100644 100644 100644 a b name\x002 R. N... 100644 100644 100644 a b R100 new\x00old\x00u UU N... 1 1 1 1 a b c x\x00? y\x00"))
	f.Add([]byte("1 .M N..."))
	f.Fuzz(func(t *testing.T, b []byte) {
		var st api.GitStatus
		if parseStatus(b, &st) == nil {
			for _, file := range st.Files {
				if file.Path == "" {
					t.Fatalf("%+v", file)
				}
			}
		}
	})
}

func FuzzBranches(f *testing.F) {
	f.Add("refs/heads/main\x00abc\x001\x00*\x00/w\x00origin/main\x00ahead 1, behind 2\x00\x00subject\n")
	f.Fuzz(func(t *testing.T, s string) {
		var list api.GitBranches
		parseBranches(s, &list)
	})
}

func FuzzWorktrees(f *testing.F) {
	f.Add([]byte("worktree /a\nHEAD abc\nbranch refs/heads/main\n\nworktree /b\nHEAD 000\ndetached\nlocked why\nprunable gone\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for i, w := range parseWorktrees(b) {
			if w.Main != (i == 0) {
				t.Fatalf("%+v", w)
			}
		}
	})
}

func FuzzProgress(f *testing.F) {
	f.Add("Receiving objects:  42% (42/100), 1.00 MiB | 2.00 MiB/s")
	f.Add("remote: Compressing objects: 100% (3/3), done.")
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := parseProgress(s); ok && (p.Percent < 0 || p.Percent > 100 || p.Phase == "") {
			t.Fatalf("%+v", p)
		}
	})
}
