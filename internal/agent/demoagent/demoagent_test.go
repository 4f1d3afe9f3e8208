//go:build !windows

package demoagent_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/agent/acp"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/demoagent"
	"catamaran/internal/api"
	"catamaran/internal/proc"
	"go.uber.org/goleak"
)

const roleVar = "CATAMARAN_TEST_DEMO"

func TestMain(m *testing.M) {
	proc.GuardMain()
	if os.Getenv(roleVar) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := demoagent.Main(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func target(t *testing.T) agenttest.Target {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return agenttest.Target{
		Driver: acp.New(nil), Config: agent.Config{ID: "demo", Name: "Demo agent", Path: exe},
		Env: func(*testing.T, string, string) []string {
			return append(os.Environ(), roleVar+"=1", "GORACE=atexit_sleep_ms=0")
		},
	}
}

func TestPhrases(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		prompt    string
		approvals int
		text      string // in the messages
		output    string // in a tool's output
		file      string // name=text that must be there afterwards
	}{
		{prompt: "Hello there", text: "demo agent"},
		{prompt: "list", text: "**1** entries", output: "present.txt"},
		{prompt: "run echo out; echo err >&2; exit 3", approvals: 1, text: "exit code 3", output: "err"},
		{prompt: "please run `printf ticked` for me", approvals: 1, text: "exit code 0", output: "ticked"},
		{prompt: "write new.txt: first line", approvals: 1, text: "I wrote `new.txt`", file: "new.txt=first line\n"},
		{prompt: "edit present.txt: other", approvals: 1, text: "I wrote", file: "present.txt=other\n"},
		{prompt: "add a line to present.txt: more", approvals: 1, text: "I wrote", file: "present.txt=here\nmore\n"},
		{prompt: "write ../outside.txt: no", text: "outside this folder"},
		{prompt: "write no/such/folder.txt: no", text: "I cannot write"},
		{prompt: "stream 1", text: "1 2 3 4 5 6 7 8 9 10 "},
		{prompt: "plan", text: "I followed the plan"},
		{prompt: "run yes 0123456789 | head -c 200000", approvals: 1, output: "[earlier output left out]"},
	} {
		t.Run(c.prompt, func(t *testing.T) {
			t.Parallel()
			s := agenttest.Open(t, target(t), api.PermissionSupervised)
			if err := os.WriteFile(filepath.Join(s.Dir, "present.txt"), []byte("here\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			s.AnswerAll("allow_once")
			if stop, err := s.Prompt(c.prompt); err != nil || stop != agent.StopEndTurn {
				t.Fatalf("prompt = %q, %v", stop, err)
			}
			if n := len(s.Approvals()); n != c.approvals {
				t.Errorf("%d approvals; want %d", n, c.approvals)
			}
			if text := s.Text(agent.KindMessage); !strings.Contains(text, c.text) {
				t.Errorf("text = %q; want %q in it", text, c.text)
			}
			var output strings.Builder
			for _, tool := range s.Tools() {
				output.WriteString(tool.Output)
			}
			if !strings.Contains(output.String(), c.output) {
				t.Errorf("output = %q; want %q in it", output.String(), c.output)
			}
			if name, want, ok := strings.Cut(c.file, "="); ok {
				if b, err := os.ReadFile(filepath.Join(s.Dir, name)); err != nil || string(b) != want {
					t.Errorf("%s = %q, %v; want %q", name, b, err, want)
				}
			}
		})
	}
}

func TestAllowForTheSession(t *testing.T) {
	t.Parallel()
	s := agenttest.Open(t, target(t), api.PermissionSupervised)
	s.AnswerAll("allow_always")
	for range 2 {
		if _, err := s.Prompt("run true"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Approvals()); n != 1 {
		t.Errorf("%d approvals; want one", n)
	}
}

// Stop must leave nothing of a command behind, its own children included.
func TestStopEndsTheCommand(t *testing.T) {
	t.Parallel()
	s := agenttest.Open(t, target(t), api.PermissionSupervised)
	s.AnswerAll("allow_once")
	fifo := filepath.Join(s.Dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	end := s.Start("run trap '' TERM; sleep 300 > fifo & sleep 300 > fifo")
	opened, closed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(closed)
		f, err := os.Open(fifo) // waits for a writer
		close(opened)
		if err == nil {
			_, _ = io.Copy(io.Discard, f) // ends when every writer is gone
			_ = f.Close()
		}
	}()
	select {
	case <-opened:
	case <-s.Ctx.Done():
		t.Fatal("the command did not start")
	}
	if err := s.Session.Interrupt(s.Ctx); err != nil {
		t.Fatal(err)
	}
	if stop, err := end(); err != nil || stop != agent.StopCancelled {
		t.Errorf("prompt = %q, %v", stop, err)
	}
	select {
	case <-closed:
	case <-s.Ctx.Done():
		t.Error("something of the command is still running")
	}
	for id, c := range s.Tools() {
		if c.Status != api.ToolCancelled {
			t.Errorf("tool %s is %s", id, c.Status)
		}
	}
}
