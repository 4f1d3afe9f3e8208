package browser

import (
	"context"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"catamaran/test/product"

	"github.com/chromedp/chromedp"
)

// home is a home folder in which Git knows who commits.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".gitconfig"), "[user]\n\tname = Dev\n\temail = dev@example.com\n[init]\n\tdefaultBranch = main\n", 0o644)
	return dir
}

// git runs git in dir as the person of a home folder and returns what it says.
func git(t *testing.T, home, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+home, "GIT_CONFIG_SYSTEM="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// inRepository opens a page at a new thread of a project in a repository of its own.
func inRepository(t *testing.T) (b *tab, person, repo string) {
	t.Helper()
	person, repo = home(t), product.GitRepo(t, t.TempDir())
	b = open(t, product.StartDesktop(t, product.Options{Env: []string{"HOME=" + person}}).URL)
	b.addProject(repo)
	b.newThread()
	return b, person, repo
}

// worktreeOf is the one worktree that a repository has beside its own.
func worktreeOf(t *testing.T, person, repo string) string {
	t.Helper()
	list := strings.Split(git(t, person, repo, "worktree", "list", "--porcelain"), "\n\n")
	if len(list) != 2 {
		t.Fatalf("worktrees: %q", list)
	}
	path, _, _ := strings.Cut(strings.TrimPrefix(list[1], "worktree "), "\n")
	return path
}

// gate lets the first bytes of an answer through and holds the rest until it is opened.
type gate struct {
	http.ResponseWriter
	ctx  context.Context
	most int
	open chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	n := min(len(p), g.most)
	if n > 0 {
		g.most -= n
		if n, err := g.ResponseWriter.Write(p[:n]); err != nil {
			return n, err
		}
	}
	if n == len(p) {
		return n, nil
	}
	select {
	case <-g.open:
	case <-g.ctx.Done():
		return n, g.ctx.Err()
	}
	rest, err := g.ResponseWriter.Write(p[n:])
	return n + rest, err
}

// serveRepos serves the repositories below root: those under private/ to nobody
// without a password, packs of the others only in part until open is closed.
func serveRepos(t *testing.T, root string, most int) (address string, open func()) {
	t.Helper()
	path := filepath.Join(git(t, root, root, "--exec-path"), "git-http-backend")
	if _, err := os.Stat(path); err != nil {
		t.Fatal("git-http-backend is missing: ", err)
	}
	opened := make(chan struct{})
	open = sync.OnceFunc(func() { close(opened) })
	backend := &cgi.Handler{Path: path, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}, Stderr: io.Discard}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/private/"):
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		case strings.HasSuffix(r.URL.Path, "/git-upload-pack"):
			w = &gate{ResponseWriter: w, ctx: r.Context(), most: most, open: opened}
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { open(); srv.CloseClientConnections(); srv.Close() })
	return srv.URL, open
}

// TestCloneDialog clones what asks for a password, stops a clone half-way, and brings one to its end.
func TestCloneDialog(t *testing.T) {
	t.Parallel()
	root, person, into := t.TempDir(), home(t), t.TempDir()
	src := product.GitRepo(t, t.TempDir())
	// What does not get smaller by packing, so that a part of it is a part of the files.
	noise := rand.New(rand.NewSource(1))
	for i := range 64 {
		b := make([]byte, 32<<10)
		noise.Read(b)
		put(t, src, fmt.Sprintf("noise/%02d.bin", i), string(b))
	}
	git(t, person, src, "add", "-A")
	git(t, person, src, "commit", "-q", "-m", "noise")
	git(t, person, src, "clone", "-q", "--bare", src, filepath.Join(root, "shop.git"))
	address, release := serveRepos(t, root, 1<<20)

	d := product.StartDesktop(t, product.Options{Env: []string{"HOME=" + person}})
	b := open(t, d.URL)
	b.click("add-project")
	b.click("project-clone")
	b.accessible("clone dialog")
	b.fill("clone-url", address+"/private/shop.git")
	b.fill("clone-parent", into)
	b.click("clone")
	b.seeText("clone-error", "git_auth")
	b.accessible("failed clone")
	b.look("clone-failed")
	if hint := b.eval(fmt.Sprintf(`document.querySelector(%q).innerText`, css("clone-error"))); !strings.Contains(hint, "credential") && !strings.Contains(hint, "sign in") {
		t.Errorf("no next step: %s", hint)
	}

	b.fill("clone-url", address+"/shop.git")
	b.fill("clone-name", "market")
	b.click("clone")
	b.until("progress", fmt.Sprintf(`/Receiving objects, [1-9]\d? %%/.test(document.querySelector(%q)?.innerText ?? "")`, css("clone-progress")))
	b.accessible("clone under way")
	b.look("clone-progress")
	b.click("clone-cancel")
	b.seeText("add-project-dialog", "Cancelled; nothing was left behind.")
	eventually(t, "nothing is left", func() bool {
		left, err := os.ReadDir(into)
		return err == nil && len(left) == 0
	})

	b.click("clone")
	b.see("clone-progress")
	release()
	b.gone("add-project-dialog")
	b.seeText("", "New thread in market")
	if text, err := os.ReadFile(filepath.Join(into, "market", "README.md")); err != nil || !strings.Contains(string(text), "A small shop") {
		t.Errorf("%q %v", text, err)
	}
	b.clean()
}

// TestPushPullAndPullRequest takes a suggested message, pushes, meets somebody
// else's commits, switches branches, and opens a pull request with a gh in PATH.
func TestPushPullAndPullRequest(t *testing.T) {
	t.Parallel()
	person, bin := home(t), t.TempDir()
	repo := product.GitRepo(t, t.TempDir())
	remote, other := filepath.Join(t.TempDir(), "shop.git"), filepath.Join(t.TempDir(), "other")
	git(t, person, repo, "clone", "-q", "--bare", repo, remote)
	git(t, person, repo, "remote", "add", "origin", remote)
	git(t, person, repo, "clone", "-q", remote, other)
	said := filepath.Join(bin, "said")
	write(t, filepath.Join(bin, "gh"), `#!/bin/sh
echo "$*" >>'`+said+`'
case "$1 $2" in
"pr view")
	[ -e '`+bin+`/in' ] || { echo 'To get started with GitHub CLI, please run:  gh auth login' >&2; exit 4; }
	[ -e '`+bin+`/made' ] || { echo 'no pull requests found for branch "fix/total"' >&2; exit 1; }
	echo '{"number":7,"url":"https://example.com/shop/pull/7","title":"Mend the total","state":"OPEN","isDraft":false,"baseRefName":"main"}' ;;
"pr create")
	[ -e '`+bin+`/works' ] || { echo 'GraphQL: was submitted too quickly (createPullRequest)' >&2; exit 1; }
	cat >'`+bin+`/body'; touch '`+bin+`/made'; echo https://example.com/shop/pull/7 ;;
esac
`, 0o755)
	touch := func(name string) { write(t, filepath.Join(bin, name), "", 0o644) }
	d := product.StartDesktop(t, product.Options{Env: []string{"HOME=" + person, "PATH=" + bin + ":" + os.Getenv("PATH")}})
	b := open(t, d.URL)
	b.addProject(repo)
	b.newThread()
	b.prompt("hello")
	b.see("turn-footer")
	put(t, repo, "src/total.go", "package shop\n")
	b.do("open Git", chromedp.KeyEvent("G", chromedp.KeyModifiers(chromedp.ModifierCtrl, chromedp.ModifierShift)))
	b.seeText("git-changed", "total.go")

	// A message by the agent, and the first push.
	b.click("commit-suggest")
	b.until("a suggestion", fmt.Sprintf(`document.querySelector(%q).value === "Change src/total.go"`, css("commit-message")))
	b.accessible("Git panel")
	b.look("git-suggested")
	b.click("commit")
	b.see("git-clean")
	if got := git(t, person, repo, "log", "-1", "--format=%s by %an"); got != "Change src/total.go by Dev" {
		t.Errorf("committed %q", got)
	}
	b.seeText("git-panel", "gh is not signed in here")
	b.click("git-push")
	b.seeText("git-ahead", "up to date")
	if a, c := git(t, person, repo, "rev-parse", "main"), git(t, person, remote, "rev-parse", "main"); a != c {
		t.Errorf("%s is not %s", c, a)
	}

	// Somebody else's commit comes in.
	theirs := func(name string) {
		t.Helper()
		git(t, person, other, "pull", "-q", "--rebase")
		put(t, other, name, "theirs\n")
		git(t, person, other, "add", "-A")
		git(t, person, other, "commit", "-q", "-m", "theirs")
		git(t, person, other, "push", "-q")
	}
	theirs("theirs.txt")
	b.click("git-menu")
	b.click("git-fetch")
	b.seeText("git-ahead", "↓1")
	b.click("git-pull")
	b.seeText("git-ahead", "up to date")
	if _, err := os.Stat(filepath.Join(repo, "theirs.txt")); err != nil {
		t.Error(err)
	}

	// Both sides have commits: the push is refused with a way on.
	theirs("more.txt")
	put(t, repo, "mine.txt", "mine\n")
	b.seeText("git-new", "mine.txt")
	b.fill("commit-message", "Add mine")
	b.click("commit-menu")
	b.click("commit-push")
	b.seeText("git-error", "git_rejected")
	b.seeText("git-error", "Committed, but not pushed")
	b.look("git-rejected")
	b.click("git-menu")
	b.click("git-pull-merge")
	b.gone("git-error")
	b.seeText("git-ahead", "↑2 ↓0")
	b.click("git-push")
	b.seeText("git-ahead", "up to date")

	// A branch, and a pull request from it: refused first, then opened.
	touch("in")
	b.click("git-branch")
	b.fill("branch-name", "fix/total")
	b.accessible("branches")
	b.click("branch-create")
	b.gone("branch-dialog")
	b.seeText("git-branch", "fix/total")
	b.click("git-request-open")
	b.fill("request-title", "Mend the total")
	b.accessible("pull request")
	b.look("pull-request")
	b.click("request-open")
	b.seeText("request-error", "submitted too quickly")
	touch("works")
	b.click("request-open")
	b.gone("request-dialog")
	b.seeText("git-request", "#7 Mend the total")
	if a, c := git(t, person, repo, "rev-parse", "fix/total"), git(t, person, remote, "rev-parse", "fix/total"); a != c {
		t.Errorf("the branch was not pushed: %s is not %s", c, a)
	}
	if text, _ := os.ReadFile(said); !strings.Contains(string(text), "pr create --head fix/total --title Mend the total --body-file -") {
		t.Errorf("gh was told\n%s", text)
	}

	// Back to main, which is not possible while it would lose a change.
	put(t, repo, "mine.txt", "changed\n")
	git(t, person, repo, "commit", "-q", "-am", "other mine")
	put(t, repo, "mine.txt", "changed again\n")
	b.seeText("git-changed", "mine.txt")
	b.click("git-branch")
	b.clickCSS(at("branch", "name", "main"))
	b.seeText("branch-error", "git_dirty")
	b.look("branch-refused")
	git(t, person, repo, "checkout", "-q", "--", "mine.txt")
	b.clickCSS(at("branch", "name", "main"))
	b.gone("branch-dialog")
	b.seeText("git-branch", "main")
	if got := git(t, person, repo, "branch", "--show-current"); got != "main" {
		t.Errorf("on %q", got)
	}
	b.clean()
}

// TestTheBranchShownIsCheckedOut switches branches in the repository and in a thread's
// worktree as a terminal does, with the page open and while it is not.
func TestTheBranchShownIsCheckedOut(t *testing.T) {
	t.Parallel()
	b, person, repo := inRepository(t)
	b.seeText("project-branch", "main")
	git(t, person, repo, "switch", "-q", "-c", "outside/one")
	b.seeText("project-branch", "outside/one")
	b.prompt("hello")
	b.see("turn-footer")
	b.seeText("thread-branch", "outside/one")
	git(t, person, repo, "switch", "-q", "main")
	b.seeText("thread-branch", "main")
	git(t, person, repo, "switch", "-q", "--detach")
	b.seeText("thread-branch", "Detached at "+git(t, person, repo, "rev-parse", "--short=8", "HEAD"))
	b.look("branch-detached")
	// The Git panel says the same, and what the app switches is shown.
	b.do("open Git", chromedp.KeyEvent("G", chromedp.KeyModifiers(chromedp.ModifierCtrl, chromedp.ModifierShift)))
	b.seeText("git-branch", "Detached at ")
	// Whoever comes back to the window has the repository looked at, for not all can be watched.
	focus := func(has bool, event string) {
		t.Helper()
		b.do(event, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`void (document.hasFocus = () => %v, dispatchEvent(new Event(%q)))`, has, event)), settled())
	}
	focus(false, "blur")
	before := b.asked("/git.status")
	focus(true, "focus")
	eventually(t, "the repository is looked at", func() bool { return b.asked("/git.status") > before })
	b.click("git-branch")
	b.clickCSS(at("branch", "name", "main"))
	b.gone("branch-dialog")
	b.seeText("thread-branch", "main")
	b.click("panel-close")

	// A thread with a worktree shows that one's.
	b.newThread()
	b.click("worktree-select")
	b.click("worktree-select-new")
	b.prompt("hello")
	b.see("turn-footer")
	b.seeText("thread-branch", "catamaran/")
	path := worktreeOf(t, person, repo)
	git(t, person, repo, "switch", "-q", "outside/one")
	git(t, person, path, "switch", "-q", "-c", "outside/two")
	b.seeText("thread-branch", "outside/two")
	b.newThread()
	b.seeText("project-branch", "outside/one")

	// What was switched while nobody looked is seen by whoever comes.
	b.do("leave", chromedp.Navigate("about:blank"))
	git(t, person, repo, "switch", "-q", "main")
	b.do("come back", chromedp.NavigateBack())
	b.seeText("project-branch", "main")
	b.clean()
}

// TestWorktreeOfAThread gives a thread a worktree whose set-up script fails at
// first, works in it, removes it in spite of the warning, and loses another one outside the app.
func TestWorktreeOfAThread(t *testing.T) {
	t.Parallel()
	b, person, repo := inRepository(t)
	choose := func(kind string) {
		t.Helper()
		b.click("worktree-select")
		b.click("worktree-select-" + kind)
		b.until("the choice shows", fmt.Sprintf(`document.querySelector(%q)?.dataset.kind === %q`, css("worktree-choice"), kind))
	}
	choose("new")
	b.accessible("worktree chooser")
	b.look("worktree-chooser")
	b.click("script-open")
	b.fill("script-text", "echo installing; while [ ! -e \"$CATAMARAN_PROJECT/.git/go\" ]; do sleep 0.05; done; test -e \"$CATAMARAN_PROJECT/.git/good\" && echo ready > ready.tmp")
	b.accessible("set-up script")
	b.click("script-save")
	b.gone("script-dialog")

	b.prompt("write notes.txt: from the side")
	b.seeText("setup-output", "installing")
	b.until("it runs", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "running"`, css("setup")))
	b.accessible("set-up under way")
	b.look("setup-running")
	// The agent waits for it.
	if n := b.count("approval-edits"); n != "0" {
		t.Error("the turn did not wait for the script")
	}
	put(t, repo, ".git/go", "")
	b.until("it failed", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "failed"`, css("setup")))
	b.seeText("setup", "exit code 1")
	b.see("approval-edits")
	b.accessible("failed set-up")
	b.look("setup-failed")
	b.click("approve-allow_once")
	b.see("changes-card")
	b.seeText("thread-item-notice", "set-up did not succeed")
	branch := strings.TrimSpace(b.eval(fmt.Sprintf(`document.querySelector(%q).innerText`, css("thread-branch"))))
	if !strings.HasPrefix(branch, "catamaran/") {
		t.Errorf("the thread's branch is shown as %q", branch)
	}
	// It is mended, and run again.
	put(t, repo, ".git/good", "")
	b.click("setup-again")
	b.until("it is done", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "done"`, css("setup")))
	b.look("setup-done")
	b.click("setup-dismiss")
	b.gone("setup")
	path := worktreeOf(t, person, repo)
	for _, name := range []string{"notes.txt", "ready.tmp"} {
		if _, err := os.Stat(filepath.Join(path, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(repo, "notes.txt")); err == nil {
		t.Error("the turn worked in the project's folder")
	}

	// What is lost with it is told before it is removed: a file, and a commit that nothing else has.
	put(t, path, "lost.txt", "lost\n")
	git(t, person, path, "add", "notes.txt")
	git(t, person, path, "commit", "-q", "-m", "notes")
	b.do("open Git", chromedp.KeyEvent("G", chromedp.KeyModifiers(chromedp.ModifierCtrl, chromedp.ModifierShift)))
	b.seeText("git-branch", branch)
	worktrees := func() {
		t.Helper()
		b.click("git-menu")
		b.click("git-worktrees")
		b.until("two worktrees", fmt.Sprintf(`document.querySelectorAll(%q).length === 2`, css("worktree")))
	}
	worktrees()
	row := at("worktree", "path", path)
	b.do("see the worktree", chromedp.WaitVisible(chromedp.CSS(row)))
	b.clickCSS(row + " " + css("worktree-remove"))
	b.seeText("worktree-loses", "loses 1 changed file for good")
	b.click("worktree-branch-too")
	b.seeText("worktree-loses", "loses 1 changed file and 1 commit that no other branch has for good")
	b.accessible("removal of a worktree")
	b.look("worktree-removal")
	b.click("worktree-branch-too")
	b.seeText("worktree-loses", "loses 1 changed file for good")
	b.click("worktree-remove-confirm")
	b.until("one worktree", fmt.Sprintf(`document.querySelectorAll(%q).length === 1`, css("worktree")))
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if got := git(t, person, repo, "log", "-1", "--format=%s", branch); got != "notes" {
		t.Errorf("the branch went with it: %q", got)
	}
	b.do("close the dialog", chromedp.KeyEvent("\x1b"))
	b.gone("worktrees-dialog")
	b.click("panel-close")

	// The thread goes on: its worktree is made again, and so it is when the folder is removed outside the app.
	for i, name := range []string{"one.txt", "two.txt"} {
		if i > 0 {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
		b.prompt("write " + name + ": again")
		b.see("approval-edits")
		b.click("approve-allow_once")
		b.gone("approval-edits")
		eventually(t, name+" is written", func() bool {
			text, err := os.ReadFile(filepath.Join(path, name))
			return err == nil && string(text) == "again\n"
		})
		b.until("it is told", fmt.Sprintf(`[...document.querySelectorAll(%q)].filter(n => n.innerText.includes("made again from its branch") && n.innerText.includes("set-up script was run again")).length === %d`, css("thread-item-notice"), i+1))
	}
	b.look("worktree-made-again")
	b.clean()
}
