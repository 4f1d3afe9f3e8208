package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/git"
)

func TestSlowReaderGetsOneResync(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	slow := must[*Subscription](t)(h.e.Subscribe("thread:"+th.ID, nil))
	defer slow.Close()
	for i := range queueFrames + 50 {
		must[api.Thread](t)(h.e.RenameThread(t.Context(), "", api.ThreadRename{ThreadID: th.ID, Title: strings.Repeat("x", i%100+1)}))
	}
	var types []string
	for {
		f, err := slow.Next(t.Context())
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		types = append(types, f.Type)
	}
	if len(types) != 1 || types[0] != api.FrameResync {
		t.Fatalf("%d frames: %v", len(types), types[:min(5, len(types))])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	again := must[*Subscription](t)(h.e.Subscribe("shell", nil))
	for range 2 {
		if _, err := again.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := again.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	again.Close()
	again.Close()
	if _, err := again.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v", err)
	}
}

func TestCommandsAreCarriedOutOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir, nil, nil)
	th := h.thread()
	var wg sync.WaitGroup
	ids := make([]string, 10)
	for i := range ids {
		wg.Go(func() {
			turn, err := h.e.StartTurn(context.Background(), "once", api.TurnStart{ThreadID: th.ID, Text: "say x"})
			if err != nil {
				t.Error(err)
			}
			ids[i] = turn.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("%v", ids)
		}
	}
	if _, err := h.e.RenameThread(t.Context(), "once", api.ThreadRename{ThreadID: th.ID, Title: "x"}); api.CodeOf(err) != api.CodeInvalid {
		t.Fatalf("a command id used twice: %v", err)
	}
	refused := func() *api.Error {
		_, err := h.e.StartTurn(t.Context(), "empty", api.TurnStart{ThreadID: th.ID, Text: " "})
		return api.AsError(err)
	}
	if e := refused(); e == nil || e.Code != api.CodeInvalid {
		t.Fatalf("%+v", e)
	}
	h.stop()
	h = start(t, dir, nil, nil)
	again := must[api.Turn](t)(h.e.StartTurn(t.Context(), "once", api.TurnStart{ThreadID: th.ID, Text: "say x"}))
	if again.ID != ids[0] {
		t.Fatal("a repeated command runs again after a restart")
	}
	if e := refused(); e == nil || e.Code != api.CodeInvalid {
		t.Fatalf("%+v", e)
	}
}

func TestProjects(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), func(o *Options) {
		o.Git = func(ctx context.Context, dir string) (git.CheckedOut, error) {
			return git.CheckedOut{Repo: strings.HasSuffix(dir, "repo"), Branch: "main"}, nil
		}
	}, nil)
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join(root, "a repo")
	file := filepath.Join(root, "file")
	if err := os.Mkdir(repo, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, "link")
	if err := os.Symlink(repo, link); err != nil {
		t.Fatal(err)
	}
	p := must[api.Project](t)(h.e.AddProject(t.Context(), "", api.ProjectAdd{Path: repo + "/../a repo/"}))
	if p.Path != repo || !p.Git || p.Branch != "main" || p.Name != "a repo" {
		t.Fatalf("%+v", p)
	}
	for _, same := range []string{repo, link, repo + "/"} {
		if got := must[api.Project](t)(h.e.AddProject(t.Context(), "", api.ProjectAdd{Path: same})); got.ID != p.ID {
			t.Fatalf("%s is another project", same)
		}
	}
	bad := map[string]api.Code{"": api.CodeInvalid, "relative": api.CodeInvalid, root + "/nothing": api.CodeNotFound, file: api.CodeInvalid, "x\x00y": api.CodeInvalid}
	if runtime.GOOS != "windows" {
		for _, p := range []string{`C:\Users\x`, `c:/Users/x`, `D:`, `\\wsl.localhost\Ubuntu\home`} {
			bad[p] = api.CodePathUntranslatable
		}
	}
	for path, code := range bad {
		if _, err := h.e.AddProject(t.Context(), "", api.ProjectAdd{Path: path}); api.CodeOf(err) != code {
			t.Errorf("%q: %v, want %s", path, err, code)
		}
	}
	home := must[api.Project](t)(h.e.AddProject(t.Context(), "", api.ProjectAdd{Path: "~"}))
	if !filepath.IsAbs(home.Path) {
		t.Fatalf("%+v", home)
	}
	th := must[api.Thread](t)(h.e.CreateThread(t.Context(), "", api.ThreadCreate{ProjectID: p.ID, AgentID: "demo"}))
	if _, err := h.e.CreateThread(t.Context(), "", api.ThreadCreate{ProjectID: "nobody", AgentID: "demo"}); api.CodeOf(err) != api.CodeNotFound {
		t.Fatalf("got %v", err)
	}
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "say x;wait")
	if _, err := h.e.RemoveProject(t.Context(), "", api.ProjectRef{ProjectID: p.ID}); api.CodeOf(err) != api.CodeConflict || !strings.Contains(api.AsError(err).Hint, "Stop it") {
		t.Fatalf("removed while a turn runs: %v", err)
	}
	must[api.Thread](t)(h.e.StopTurn(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
	c.until("the end", c.ended(turn.ID))
	must[api.Empty](t)(h.e.RemoveProject(t.Context(), "", api.ProjectRef{ProjectID: p.ID}))
	c.until("the removal", func() bool { return c.gone })
	if _, err := os.Stat(repo); err != nil {
		t.Fatal("the files are gone")
	}
	if _, err := h.e.RenameThread(t.Context(), "", api.ThreadRename{ThreadID: th.ID, Title: "x"}); api.CodeOf(err) != api.CodeNotFound {
		t.Fatalf("got %v", err)
	}
	s := must[*Subscription](t)(h.e.Subscribe("shell", nil))
	defer s.Close()
	f, err := s.Next(t.Context())
	if err != nil || len(f.Shell.Threads) != 0 || len(f.Shell.Projects) != 1 {
		t.Fatalf("%+v %v", f.Shell, err)
	}
}
