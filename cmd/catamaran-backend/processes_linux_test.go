package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link"
)

// processes lists the command lines of everything that lives in the world.
func processes(w world) (lines []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		env, err := os.ReadFile(filepath.Join(d, "environ"))
		if err != nil || !bytes.Contains(env, []byte("HOME="+w.home+"\x00")) {
			continue
		}
		line, err := os.ReadFile(filepath.Join(d, "cmdline"))
		if err == nil && len(line) > 0 {
			lines = append(lines, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return lines
}

// TestNoOrphans kills a backend while its agent runs a command, and looks for
// what is left of the tree.
func TestNoOrphans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := start(t, w)
	s := d.ready()
	project := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	thread := call[api.Thread](d, api.MethodThreadCreate, api.ThreadCreate{ProjectID: project.ID, AgentID: "demo", Permission: api.PermissionFull})
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicThread + thread.ID})
	call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: thread.ID, Text: "run: echo begun; sleep 600"})
	s.until("the command to run", func() bool {
		if it := s.pending(); it != nil {
			call[api.Item](d, api.MethodApprovalAnswer, api.ApprovalAnswer{ThreadID: thread.ID, ItemID: it.ID, OptionID: it.Approval.Options[0].ID})
			delete(s.items, it.ID)
		}
		return strings.Contains(strings.Join(processes(w), "\n"), "sleep 600")
	})
	for _, line := range processes(w) {
		for _, secret := range []string{credential, d.token, "forwarded-secret-value"} {
			if strings.Contains(line, secret) {
				t.Errorf("a secret in the arguments of %s", line)
			}
		}
	}
	d.proc.Kill()
	<-d.proc.Done()
	deadline := time.Now().Add(5 * time.Second)
	for len(processes(w)) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %q", processes(w))
		}
		// The end of a process that is nobody's child here cannot be waited for.
		time.Sleep(20 * time.Millisecond)
	}
}

// TestKindsOfStdin starts the backend with what may stand in for a pipe (A6.1).
func TestKindsOfStdin(t *testing.T) {
	t.Parallel()
	line, err := json.Marshal(envelope())
	if err != nil {
		t.Fatal(err)
	}
	line = append(line, '\n')
	for name, open := range map[string]func(t *testing.T) *os.File{
		"file": func(t *testing.T) *os.File {
			path := filepath.Join(t.TempDir(), "in")
			if err := os.WriteFile(path, line, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			return f
		},
		"socket kept open": func(t *testing.T) *os.File {
			pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := syscall.Write(pair[0], line); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { syscall.Close(pair[0]) })
			return os.NewFile(uintptr(pair[1]), "socket")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := open(t)
			defer in.Close()
			r, out, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cmd := exec.Command(program, "serve", "--stdio")
			cmd.Env, cmd.Stdin, cmd.Stdout = w.env, in, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			out.Close()
			if err := r.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
				t.Fatal(err)
			}
			var got []byte
			buf := make([]byte, 4096)
			for !bytes.Contains(got, []byte(link.Marker)) {
				n, err := r.Read(buf)
				if err != nil {
					t.Fatalf("%v after %q", err, got)
				}
				got = append(got, buf[:n]...)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && name != "file" {
				t.Error(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("end: %v", err)
			}
		})
	}
}
