package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/term/termtest"
)

// TestTerminalsOverTheLink is the story of a terminal with the whole program:
// login environment, kill -9, the history in the next backend, and what is left
// when the thread goes.
func TestTerminalsOverTheLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// What only the login shell's start-up files know.
	if err := os.WriteFile(filepath.Join(w.home, ".bash_profile"), []byte("export ONLY_LOGIN=from-the-profile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "SHELL=/bin/bash", "TMUX=not-ours")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	d := start(t, w)
	d.ready()
	project := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	thread := call[api.Thread](d, api.MethodThreadCreate, api.ThreadCreate{ProjectID: project.ID, AgentID: "demo"})
	info := call[api.Terminal](d, api.MethodTerminalOpen, api.TerminalOpen{ProjectID: project.ID, ThreadID: thread.ID, Cols: 100, Rows: 30})
	if info.Cwd != w.repo || info.Shell != "bash" {
		t.Errorf("%+v", info)
	}
	see := func(d *desktop, steps ...string) *termtest.Screen {
		t.Helper()
		s, err := termtest.Subscribe(ctx, d.socket().ws, info.ID, nil)
		for i := 0; err == nil && i < len(steps); i += 2 {
			if steps[i] != "" {
				err = s.Type(ctx, steps[i]+"\r")
			}
			if err == nil {
				err = s.Sees(ctx, steps[i+1])
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	see(d,
		"echo [$ONLY_LOGIN] [$TERM] [$TMUX] [$CATAMARAN_HOME] [$PWD]", "[from-the-profile] [xterm-256color] [] [] ["+w.repo+"]",
		"stty size", "30 100",
		"(trap '' TERM HUP INT; sleep 601 & sleep 602) & nohup setsid sleep 603 >/dev/null 2>&1 & echo le''ft", "left",
	)
	for !strings.Contains(strings.Join(processes(w), "\n"), "sleep 603") {
		if ctx.Err() != nil {
			t.Fatal("the tree does not grow")
		}
		time.Sleep(10 * time.Millisecond)
	}
	// Until what was printed is on disk, see docs/disk.md.
	history := filepath.Join(w.state, "backend", "terminals", info.ID+".history")
	for {
		b, _ := os.ReadFile(history)
		if strings.Contains(string(b), "left\r\n") {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("not saved: %q", b)
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.proc.Kill()
	<-d.proc.Done()
	for len(processes(w)) > 0 {
		if ctx.Err() != nil {
			t.Fatalf("left behind: %q", processes(w))
		}
		time.Sleep(20 * time.Millisecond)
	}

	d = start(t, w)
	d.ready()
	list := call[api.Terminals](d, api.MethodTerminalList, api.Empty{})
	if len(list.Terminals) != 1 || list.Terminals[0].ID != info.ID || list.Terminals[0].State != api.TerminalLost || list.Terminals[0].Busy {
		t.Fatalf("%+v", list)
	}
	see(d, "", "left\r\n")
	call[api.Terminal](d, api.MethodTerminalRestart, api.TerminalRef{TerminalID: info.ID})
	see(d, "", "left\r\n", "echo a''new", "anew\r\n")
	// A clean end leaves it as history too, and no process.
	d.goodbye()
	if left := processes(w); len(left) > 0 {
		t.Fatalf("left behind: %q", left)
	}

	d = start(t, w)
	d.ready()
	see(d, "", "anew\r\n")
	call[api.Empty](d, api.MethodThreadDelete, api.ThreadRef{ThreadID: thread.ID})
	for {
		left, err := os.ReadDir(filepath.Dir(history))
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("files are left: %v", left)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestATerminalIsKnownOnceAnswered kills the backend as soon as it has answered that a
// terminal is open: the next one knows it, and what it was.
func TestATerminalIsKnownOnceAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env = append(w.env, "SHELL=/bin/bash")
	d := start(t, w)
	d.ready()
	project := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	var opened []api.Terminal
	for i := range 5 {
		info := call[api.Terminal](d, api.MethodTerminalOpen, api.TerminalOpen{ProjectID: project.ID, Name: fmt.Sprint("number ", i), Cols: 100 + i, Rows: 30})
		d.proc.Kill()
		<-d.proc.Done()
		opened = append(opened, info)
		d = start(t, w)
		d.ready()
		list := call[api.Terminals](d, api.MethodTerminalList, api.Empty{}).Terminals
		if len(list) != len(opened) {
			t.Fatalf("%d of %d terminals are known: %+v", len(list), len(opened), list)
		}
		for j, got := range list {
			want := opened[j]
			want.State = api.TerminalLost
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	}
	// It is history that can be gone on with.
	if again := call[api.Terminal](d, api.MethodTerminalRestart, api.TerminalRef{TerminalID: opened[0].ID}); again.State != api.TerminalRunning || again.Name != "number 0" {
		t.Errorf("%+v", again)
	}
	d.goodbye()
}
