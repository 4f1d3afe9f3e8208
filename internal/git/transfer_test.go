package git

import (
	"context"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"catamaran/internal/api"
)

// serveGit serves the repositories below root over HTTP with Git's own back end,
// for those who know the password.
func serveGit(t *testing.T, root string) *httptest.Server {
	t.Helper()
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("git-http-backend is missing: ", err)
		}
		t.Skip("git-http-backend is missing: ", err)
	}
	backend := &cgi.Handler{Path: program, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=u"}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "u" || pass != "secret-word" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// bare makes a bare repository with one commit, below root.
func bare(t *testing.T, root string) (path string) {
	t.Helper()
	src := newRepo(t, "a")
	path = filepath.Join(root, "r.git")
	run(t, src, "clone", "-q", "--bare", src, path)
	return path
}

func TestOverHTTP(t *testing.T) {
	t.Parallel()
	root := tempDir(t)
	remote := bare(t, root)
	run(t, remote, "config", "http.receivepack", "true")
	srv := serveGit(t, root)
	ctx := t.Context()
	dir := filepath.Join(tempDir(t), "clone")
	address := srv.URL + "/r.git"

	err := Clone(ctx, CloneOptions{URL: address, Dir: dir})
	wantCode(t, err, api.CodeGitAuth)
	if _, err := os.Stat(dir); err == nil {
		t.Error("a failed clone left its folder")
	}
	wantCode(t, Clone(ctx, CloneOptions{URL: strings.Replace(address, "//", "//u:secret-word@", 1), Dir: dir}), api.CodeInvalid)

	// A credential helper that knows it, as people have one.
	helper := filepath.Join(tempDir(t), "helper")
	write(t, filepath.Dir(helper), "helper", "#!/bin/sh\necho username=u\necho password=secret-word\n")
	if err := os.Chmod(helper, 0o755); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "HOME="+tempDir(t), "XDG_CONFIG_HOME=/nonexistent")
	home := env[len(env)-2][len("HOME="):]
	write(t, home, ".gitconfig", "[credential]\n\thelper = "+helper+"\n[user]\n\tname = T\n\temail = t@example.invalid\n")
	known := WithEnv(ctx, env)
	var mu sync.Mutex
	var phases []Progress
	var said strings.Builder
	err = Clone(known, CloneOptions{URL: address, Dir: dir,
		Progress: func(p Progress) { mu.Lock(); phases = append(phases, p); mu.Unlock() },
		Output:   func(b []byte) { mu.Lock(); said.Write(b); mu.Unlock() }})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if len(phases) == 0 || phases[len(phases)-1].Percent != 100 || !strings.Contains(said.String(), "Cloning into") {
		t.Errorf("%+v %q", phases, said.String())
	}
	mu.Unlock()

	write(t, dir, "b", "b\n")
	if err := Stage(known, dir, nil, true); err != nil {
		t.Fatal(err)
	}
	if _, err := Commit(known, dir, "two", false); err != nil {
		t.Fatal(err)
	}
	_, err = Push(ctx, dir, "", false)
	wantCode(t, err, api.CodeGitAuth)
	if _, err := Push(known, dir, "", false); err != nil {
		t.Fatal(err)
	}
	if st := status(t, dir); st.Ahead != 0 || st.Upstream != "origin/main" {
		t.Errorf("%+v", st)
	}
	srv.Close()
	_, err = Fetch(known, dir, true)
	wantCode(t, err, api.CodeGitNetwork)
}

func TestPushPull(t *testing.T) {
	t.Parallel()
	root := tempDir(t)
	remote := bare(t, root)
	ctx := t.Context()
	a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
	for _, d := range []string{a, b} {
		run(t, root, "clone", "-q", remote, d)
		identify(t, d)
	}
	commit := func(dir, file, text string) {
		t.Helper()
		write(t, dir, file, text)
		run(t, dir, "add", "-A")
		run(t, dir, "commit", "-q", "-m", file+" "+text)
	}
	// The first push of a branch sets its upstream.
	run(t, a, "checkout", "-q", "-b", "feature/x")
	commit(a, "f", "1\n")
	if _, err := Push(ctx, a, "", false); err != nil {
		t.Fatal(err)
	}
	if st := status(t, a); st.Upstream != "origin/feature/x" {
		t.Errorf("%+v", st)
	}
	run(t, a, "checkout", "-q", "main")

	commit(a, "one", "1\n")
	commit(b, "two", "2\n")
	if _, err := Push(ctx, a, "", false); err != nil {
		t.Fatal(err)
	}
	_, err := Push(ctx, b, "", false)
	wantCode(t, err, api.CodeGitRejected)
	_, err = Pull(ctx, b, "ff")
	wantCode(t, err, api.CodeGitRejected)
	_, err = Pull(ctx, b, "sideways")
	wantCode(t, err, api.CodeInvalid)
	if _, err := Pull(ctx, b, "rebase"); err != nil {
		t.Fatal(err)
	}
	if _, err := Push(ctx, b, "", false); err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(ctx, a, ""); err != nil {
		t.Fatal(err)
	}
	// Conflicts stay, to be resolved.
	commit(a, "one", "a\n")
	commit(b, "one", "b\n")
	if _, err := Push(ctx, a, "", false); err != nil {
		t.Fatal(err)
	}
	_, err = Pull(ctx, b, "merge")
	wantCode(t, err, api.CodeGitConflict)
	if st := status(t, b); st.Operation != "merge" || st.Conflicted != 1 {
		t.Errorf("%+v", st)
	}
	run(t, b, "merge", "--abort")
	// Uncommitted changes in the way.
	write(t, a, "two", "mine\n")
	run(t, b, "reset", "-q", "--hard", "origin/main")
	run(t, b, "pull", "-q", "--ff-only")
	commit(b, "two", "theirs\n")
	if _, err := Push(ctx, b, "", false); err != nil {
		t.Fatal(err)
	}
	_, err = Pull(ctx, a, "merge")
	wantCode(t, err, api.CodeGitDirty)
	run(t, a, "checkout", "-q", "--", "two")
	if _, err := Pull(ctx, a, "ff"); err != nil {
		t.Fatal(err)
	}

	// With force the remote branch is overwritten, unless it has moved meanwhile.
	run(t, a, "commit", "-q", "--amend", "-m", "other words")
	if _, err := Push(ctx, a, "", true); err != nil {
		t.Fatal(err)
	}
	run(t, b, "commit", "-q", "--amend", "-m", "words of another")
	_, err = Push(ctx, b, "", true)
	wantCode(t, err, api.CodeGitRejected)

	// The remote's hook refuses.
	write(t, remote, "hooks/pre-receive", "#!/bin/sh\necho no >&2; exit 1\n")
	if err := os.Chmod(filepath.Join(remote, "hooks/pre-receive"), 0o755); err != nil {
		t.Fatal(err)
	}
	commit(a, "x", "x")
	_, err = Push(ctx, a, "", false)
	wantCode(t, err, api.CodeGitHook)
	// So does the one here.
	write(t, a, ".git/hooks/pre-push", "#!/bin/sh\necho tests fail >&2; exit 1\n")
	if err := os.Chmod(filepath.Join(a, ".git/hooks/pre-push"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = Push(ctx, a, "", false)
	wantCode(t, err, api.CodeGitHook)
	if e := api.AsError(err); !strings.Contains(e.Details, "tests fail") {
		t.Errorf("%+v", e)
	}

	run(t, a, "checkout", "-q", "--detach")
	_, err = Push(ctx, a, "", false)
	wantCode(t, err, api.CodeGitDetached)
	_, err = Pull(ctx, a, "")
	wantCode(t, err, api.CodeGitDetached)
	run(t, a, "checkout", "-q", "-b", "alone")
	_, err = Pull(ctx, a, "")
	wantCode(t, err, api.CodeGitUpstream)
	run(t, a, "remote", "remove", "origin")
	_, err = Push(ctx, a, "", false)
	wantCode(t, err, api.CodeGitUpstream)
	_, err = Push(ctx, newRepo(t, "a"), "nowhere", false)
	wantCode(t, err, api.CodeGitUpstream)
}

// TestOverSSH has an ssh in PATH that says what a real one does where it may not ask.
func TestOverSSH(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		says string
		want api.Code
	}{
		"unknown host": {"No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.", api.CodeGitHostKey},
		"changed host": {"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", api.CodeGitHostKey},
		"key":          {"git@h: Permission denied (publickey).", api.CodeGitAuth},
		"down":         {"ssh: connect to host h port 22: Connection refused", api.CodeGitNetwork},
		"name":         {"ssh: Could not resolve hostname h: Name or service not known", api.CodeGitNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bin := tempDir(t)
			write(t, bin, "ssh", "#!/bin/sh\necho \"$*\" >> '"+bin+"/args'\ncat >&2 <<'END'\n"+tc.says+"\nEND\nexit 255\n")
			if err := os.Chmod(filepath.Join(bin, "ssh"), 0o755); err != nil {
				t.Fatal(err)
			}
			dir := newRepo(t, "a")
			run(t, dir, "remote", "add", "origin", "git@h:o/r.git")
			ctx := WithEnv(t.Context(), append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")))
			_, err := Push(ctx, dir, "", false)
			wantCode(t, err, tc.want)
			if b, _ := os.ReadFile(filepath.Join(bin, "args")); !strings.Contains(string(b), "BatchMode=yes") {
				t.Errorf("ssh was called with %q", b)
			}
			// A command that the repository names is left alone.
			run(t, dir, "config", "core.sshCommand", "ssh -v")
			os.Remove(filepath.Join(bin, "args"))
			_, err = Fetch(ctx, dir, false)
			wantCode(t, err, tc.want)
			if b, _ := os.ReadFile(filepath.Join(bin, "args")); strings.Contains(string(b), "BatchMode") {
				t.Errorf("ssh was called with %q", b)
			}
		})
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for url, name := range map[string]string{
		"https://h/o/name.git": "name", "git@h:o/name": "name", "ssh://git@h:22/o/name/": "name", "/srv/name.git/": "name", "file:///srv/name/.git": "name", "https://u@h/name": "name",
	} {
		if err := CheckURL(url); err != nil || RepoName(url) != name {
			t.Errorf("%s: %v, %q", url, err, RepoName(url))
		}
	}
	for _, url := range []string{"", "-x", "--upload-pack=x", "ext::sh -c x", "https://u:p@h/x", "javascript://x", "a\nb", "ssh://-oProxyCommand=x/y"} {
		if CheckURL(url) == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

func TestHideSecrets(t *testing.T) {
	t.Parallel()
	if got := hideSecrets("fatal: unable to access 'https://u:p@h/x'"); got != "fatal: unable to access 'https://h/x'" {
		t.Error(got)
	}
}

// TestCloneCancelled ends a clone whose remote has begun to answer: nothing of it stays.
func TestCloneCancelled(t *testing.T) {
	t.Parallel()
	root := tempDir(t)
	bare(t, root)
	inner := serveGit(t, root)
	for _, there := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
				// Only a request that was read is watched for its client's going away.
				_, _ = io.Copy(io.Discard, r.Body)
				cancel()
				<-r.Context().Done()
				return
			}
			r.SetBasicAuth("u", "secret-word")
			inner.Config.Handler.ServeHTTP(w, r)
		}))
		dir := filepath.Join(tempDir(t), "clone")
		if there {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := Clone(ctx, CloneOptions{URL: srv.URL + "/r.git", Dir: dir}); err == nil || ctx.Err() == nil {
			t.Errorf("%v, %v", err, ctx.Err())
		}
		left, err := os.ReadDir(dir)
		if len(left) > 0 || there != (err == nil) {
			t.Errorf("left: %v %v", left, err)
		}
		srv.CloseClientConnections()
		srv.Close()
		cancel()
	}
}

// TestPullRequest has a gh in PATH that answers as the real one.
func TestPullRequest(t *testing.T) {
	t.Parallel()
	with := func(t *testing.T, script string) (string, func(string) (api.GitPullRequest, error), func(api.GitPullRequestOpen) (api.GitPullRequest, error)) {
		bin := tempDir(t)
		if script != "" {
			write(t, bin, "gh", "#!/bin/sh\necho \"$*\" >> '"+bin+"/args'\n"+script)
			if err := os.Chmod(filepath.Join(bin, "gh"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		// The rest of PATH without a real gh.
		for _, p := range []string{"git", "sh", "cat", "env"} {
			real, err := exec.LookPath(p)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(real, filepath.Join(bin, p)); err != nil {
				t.Fatal(err)
			}
		}
		ctx := WithEnv(t.Context(), append(os.Environ(), "PATH="+bin))
		dir := newRepo(t, "a")
		return bin, func(string) (api.GitPullRequest, error) { return PullRequest(ctx, dir) },
			func(r api.GitPullRequestOpen) (api.GitPullRequest, error) { return OpenPullRequest(ctx, dir, r) }
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		_, view, _ := with(t, "")
		_, err := view("")
		wantCode(t, err, api.CodeUnavailable)
	})
	t.Run("signed out", func(t *testing.T) {
		t.Parallel()
		_, view, _ := with(t, "echo 'To get started with GitHub CLI, please run:  gh auth login' >&2; exit 4\n")
		_, err := view("")
		wantCode(t, err, api.CodeGitAuth)
	})
	t.Run("no remote", func(t *testing.T) {
		t.Parallel()
		_, view, _ := with(t, "echo 'none of the git remotes configured for this repository point to a known GitHub host' >&2; exit 1\n")
		_, err := view("")
		wantCode(t, err, api.CodeGitForge)
	})
	t.Run("none yet", func(t *testing.T) {
		t.Parallel()
		_, view, _ := with(t, "echo 'no pull requests found for branch \"main\"' >&2; exit 1\n")
		if pr, err := view(""); err != nil || pr.Number != 0 {
			t.Errorf("%+v %v", pr, err)
		}
	})
	t.Run("open", func(t *testing.T) {
		t.Parallel()
		bin, _, open := with(t, `case "$2" in
create) cat > "${0%/*}/body"; echo https://github.com/o/r/pull/7 ;;
view) echo '{"number":7,"url":"https://github.com/o/r/pull/7","title":"T","state":"OPEN","isDraft":true,"baseRefName":"main"}' ;;
esac
`)
		pr, err := open(api.GitPullRequestOpen{Title: "T; rm -rf", Body: "a body", Base: "main", Draft: true})
		if want := (api.GitPullRequest{Number: 7, URL: "https://github.com/o/r/pull/7", Title: "T", State: "open", Draft: true, Base: "main"}); err != nil || pr != want {
			t.Errorf("%+v %v", pr, err)
		}
		if b, _ := os.ReadFile(filepath.Join(bin, "body")); string(b) != "a body" {
			t.Errorf("body %q", b)
		}
		if b, _ := os.ReadFile(filepath.Join(bin, "args")); !strings.Contains(string(b), "pr create --head main --title T; rm -rf --body-file - --base main --draft") {
			t.Errorf("args %q", b)
		}
	})
}
