package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link"
	"catamaran/internal/proc"
)

// TestLifeOfAPrompt is the whole story over the link: a project, a thread, an
// approved command, an approved edit, the diff, a stop, kill -9, and what a new
// start makes of it.
func TestLifeOfAPrompt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := start(t, w)
	s := d.ready()
	project := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	if !project.Git || project.Branch != "main" || project.Path != w.repo {
		t.Fatalf("project %+v", project)
	}
	thread := call[api.Thread](d, api.MethodThreadCreate, api.ThreadCreate{ProjectID: project.ID, AgentID: "demo", Title: "Story"})
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicThread + thread.ID})

	turn := call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: thread.ID, Text: "run: echo hello-from-the-command"})
	if kinds := d.approve(s, turn.ID); len(kinds) != 1 {
		t.Errorf("approvals of a command: %v", kinds)
	}
	if got := s.turns[turn.ID]; got.State != api.TurnCompleted {
		t.Fatalf("turn %+v %+v", got, got.Reason)
	}
	if !slices.ContainsFunc(values(s.items), func(it api.Item) bool {
		return it.Tool != nil && strings.Contains(it.Tool.Output, "hello-from-the-command")
	}) {
		t.Errorf("no output of the command in %+v", s.items)
	}

	turn = call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: thread.ID, Text: "write notes.txt: remember the milk"})
	if kinds := d.approve(s, turn.ID); len(kinds) != 1 {
		t.Errorf("approvals of an edit: %v", kinds)
	}
	if b, err := os.ReadFile(filepath.Join(w.repo, "notes.txt")); err != nil || string(b) != "remember the milk\n" {
		t.Errorf("notes.txt: %q, %v", b, err)
	}
	got := s.turns[turn.ID]
	if got.State != api.TurnCompleted || got.Changes == nil || len(got.Changes.Files) != 1 || got.Changes.Files[0].Path != "notes.txt" || got.Changes.Additions != 1 {
		t.Fatalf("turn %+v, changes %+v", got, got.Changes)
	}
	diff := call[api.Diff](d, api.MethodDiffTurn, api.DiffTurn{TurnID: turn.ID})
	if len(diff.Files) != 1 || diff.Files[0].Status != api.FileAdded || diff.Files[0].Hunks[0].Lines[0] != "+remember the milk" {
		t.Errorf("diff %+v", diff)
	}

	turn = call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: thread.ID, Text: "stream 10000"})
	s.until("the turn to run", func() bool { return s.turns[turn.ID].State == api.TurnRunning })
	if stopping := call[api.Thread](d, api.MethodTurnStop, api.ThreadRef{ThreadID: thread.ID}); !stopping.Stopping {
		t.Errorf("stop: %+v", stopping)
	}
	s.until("the stop", func() bool { return s.turns[turn.ID].State.Final() })
	if got := s.turns[turn.ID].State; got != api.TurnInterrupted {
		t.Errorf("stopped turn is %s", got)
	}

	turn = call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: thread.ID, Text: "run: echo never"})
	s.until("an approval", func() bool { return s.pending() != nil })
	approval := *s.pending()
	d.proc.Kill()
	<-d.proc.Done()

	again := start(t, w)
	if again.session.Hello().EnvironmentID != d.session.Hello().EnvironmentID {
		t.Error("another identity after the restart")
	}
	s = again.ready()
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicThread + thread.ID})
	s.until("the snapshot", func() bool { return len(s.turns) > 0 })
	if got := s.turns[turn.ID]; got.State != api.TurnInterrupted || got.Reason == nil {
		t.Errorf("after kill -9: %+v", got)
	}
	if got := s.items[approval.ID]; got.Approval == nil || got.Approval.State != api.ApprovalExpired {
		t.Errorf("after kill -9: %+v", got.Approval)
	}
	if len(s.turns) != 4 {
		t.Errorf("%d turns, want 4", len(s.turns))
	}
	diff = call[api.Diff](again, api.MethodDiffTurn, api.DiffTurn{TurnID: turnOf(s, "write notes.txt")})
	if len(diff.Files) != 1 {
		t.Errorf("diff after the restart: %+v", diff)
	}
	turn = call[api.Turn](again, api.MethodTurnStart, api.TurnStart{ThreadID: thread.ID, Text: "run: echo on we go"})
	again.approve(s, turn.ID)
	if got := s.turns[turn.ID].State; got != api.TurnCompleted {
		t.Errorf("a turn after the restart: %s", got)
	}
	again.goodbye()
	noSecrets(t, w, d.token, again.token)
}

// goodbye ends a backend as the desktop does; it must end by itself.
func (d *desktop) goodbye() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	if err := d.session.Goodbye(ctx); err != nil {
		d.t.Errorf("goodbye: %v", err)
	}
	select {
	case <-d.proc.Done():
	case <-ctx.Done():
		d.t.Fatal("the backend does not end after a goodbye")
	}
	if d.proc.ExitCode() != 0 {
		d.t.Errorf("exit code %d: %s", d.proc.ExitCode(), d.proc.StderrTail())
	}
}

func values[K comparable, V any](m map[K]V) (out []V) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func turnOf(s *socket, text string) string {
	for _, it := range s.items {
		if it.Kind == api.ItemUserMessage && strings.HasPrefix(it.Text, text) {
			return it.TurnID
		}
	}
	return ""
}

// noSecrets greps everything the backend wrote (W7.4).
func noSecrets(t *testing.T, w world, tokens ...string) {
	t.Helper()
	noSecretsAt(t, w, append([]string{credential, "forwarded-secret-value"}, tokens...)...)
}

func noSecretsAt(t *testing.T, w world, secrets ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(w.state, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, secret := range secrets {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds a secret", path)
			}
		}
		if st, err := e.Info(); err == nil && st.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
			t.Errorf("%s is %v", path, st.Mode())
		}
		return nil
	})
	if err != nil || files < 2 {
		t.Errorf("looked at %d files: %v", files, err)
	}
}

func TestEndings(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*desktop){
		"stdin closed": func(d *desktop) { d.proc.Stdin().Close() },
		"link closed":  func(d *desktop) { d.session.Close() },
		"goodbye": func(d *desktop) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			d.session.Goodbye(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := start(t, w)
			s := d.ready()
			project := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
			thread := call[api.Thread](d, api.MethodThreadCreate, api.ThreadCreate{ProjectID: project.ID, AgentID: "demo"})
			s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicThread + thread.ID})
			turn := call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: thread.ID, Text: "stream 10000"})
			s.until("the turn to run", func() bool { return s.turns[turn.ID].State == api.TurnRunning })
			end(d)
			began := time.Now()
			select {
			case <-d.proc.Done():
			case <-time.After(maxDrain + 3*time.Second):
				t.Fatal("still there")
			}
			if d.proc.ExitCode() != 0 {
				t.Errorf("exit code %d: %s", d.proc.ExitCode(), d.proc.StderrTail())
			}
			t.Logf("ended within %v", time.Since(began))
			// The next one owns the data at once and finds the turn interrupted.
			d = start(t, w)
			s = d.ready()
			s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicThread + thread.ID})
			s.until("the snapshot", func() bool { return len(s.turns) > 0 })
			if got := s.turns[turn.ID]; got.State != api.TurnInterrupted {
				t.Errorf("turn %+v", got)
			}
			d.goodbye()
		})
	}
}

func TestEndOfInputBeforeEnvelope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for name, in := range map[string]string{"nothing": "", "half a line": `{"protocol":1`} {
		res, err := proc.Run(ctx, proc.Spec{Path: program, Args: []string{"serve", "--stdio"}, Env: w.env}, strings.NewReader(in), 1<<20)
		if err != nil || res.ExitCode != 0 || len(res.Stdout) != 0 {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env   func(w *world)
		first string
		want  api.Code
	}{
		"other protocol":  {func(*world) {}, `{"protocol":99}`, api.CodeProtocolMismatch},
		"not an envelope": {func(*world) {}, `hello`, api.CodeInvalid},
		"state is a file": {func(w *world) {
			if err := os.WriteFile(w.state, nil, 0o600); err != nil {
				panic(err)
			}
		}, `{"protocol":1}`, api.CodeUnavailable},
		"relative state": {func(w *world) { w.env = append(w.env, "CATAMARAN_HOME=relative") }, `{"protocol":1}`, api.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.env(&w)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			res, err := proc.Run(ctx, proc.Spec{Path: program, Args: []string{"serve", "--stdio"}, Env: w.env}, strings.NewReader(tc.first+"\n"), 1<<20)
			if err != nil || res.ExitCode != exitFailed {
				t.Fatalf("%+v, %v", res, err)
			}
			_, line, _ := strings.Cut(string(res.Stdout), link.Marker)
			var hello api.Hello
			if err := json.Unmarshal([]byte(line), &hello); err != nil || hello.Refusal == nil || hello.Refusal.Code != tc.want || hello.Refusal.Hint == "" && tc.want != api.CodeInvalid {
				t.Fatalf("%s: %v", res.Stdout, err)
			}
			if !strings.Contains(res.Stderr, hello.Refusal.Message) {
				t.Errorf("stderr %q", res.Stderr)
			}
		})
	}
}

// TestSecondOwner starts a second backend on the same data (W5.9).
func TestSecondOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := start(t, w)
	first.ready()
	second := start(t, w)
	s := second.socket()
	for {
		f := s.next()
		if f.Descriptor == nil || f.Descriptor.Phase != api.PhaseFailed {
			continue
		}
		if r := f.Descriptor.Reason; r == nil || r.Code != api.CodeDatabaseOwned || r.Hint == "" || !strings.Contains(r.Message+r.Details+r.Hint, fmt.Sprint(first.proc.PID())) {
			t.Errorf("reason %+v", r)
		}
		break
	}
	var e *api.Error
	if err := second.try("POST", "/api/call/"+api.MethodAgentList, api.AgentList{}, &api.Agents{}); !errors.As(err, &e) || e.Code != api.CodeDatabaseOwned {
		t.Errorf("a call: %v", err)
	}
	second.goodbye()
	first.goodbye()
}

func TestHello(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := start(t, w)
	h := d.session.Hello()
	if h.Protocol != api.ProtocolVersion || h.PID != d.proc.PID() || h.OS != runtime.GOOS || h.Arch != runtime.GOARCH || len(h.Digest) != 64 || h.Phase != api.PhaseStarting {
		t.Errorf("hello %+v", h)
	}
	d.goodbye()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tc := range map[string]struct {
		args   []string
		exit   int
		stdout string
		stderr string
	}{
		"version":           {[]string{"version"}, 0, "catamaran-backend ", ""},
		"version as JSON":   {[]string{"version", "--json"}, 0, `"protocol":1`, ""},
		"help":              {[]string{"--help"}, 0, "serve --stdio", ""},
		"help of a command": {[]string{"serve", "--help"}, 0, "serve --stdio", ""},
		"nothing":           {nil, 2, "", "serve --stdio"},
		"unknown command":   {[]string{"server"}, 2, "", `unknown command "server"`},
		"unknown flag":      {[]string{"serve", "--port", "1"}, 2, "", "-port"},
		"both doors":        {[]string{"serve", "--stdio", "--listen", "127.0.0.1:0"}, 2, "", "either"},
		"neither door":      {[]string{"serve"}, 2, "", "either"},
		"one too many":      {[]string{"serve", "--stdio", "now"}, 2, "", `"now"`},
		"all addresses":     {[]string{"serve", "--listen", "0.0.0.0:0"}, 2, "", "loopback"},
		"every address":     {[]string{"serve", "--listen", ":0"}, 2, "", "loopback"},
		"a name":            {[]string{"serve", "--listen", "example.invalid:0"}, 2, "", "loopback"},
		"no port":           {[]string{"serve", "--listen", "127.0.0.1"}, 2, "", "port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			res, err := proc.Run(ctx, proc.Spec{Path: program, Args: tc.args, Env: w.env}, nil, 1<<20)
			if err != nil || res.ExitCode != tc.exit || !strings.Contains(string(res.Stdout), tc.stdout) || !strings.Contains(res.Stderr, tc.stderr) || tc.stderr == "" && res.Stderr != "" {
				t.Fatalf("exit %d, stdout %q, stderr %q, %v", res.ExitCode, res.Stdout, res.Stderr, err)
			}
		})
	}
}
