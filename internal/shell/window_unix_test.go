//go:build unix

package shell

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program writes an executable script; $OUT is a fifo the test reads what happened from.
func program(t *testing.T, dir, name, body string) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func windows(t *testing.T, ways []Way) (*Windows, chan struct{}) {
	t.Helper()
	closed := make(chan struct{}, 1)
	w := NewWindows(ways, func() string { return "http://127.0.0.1:1/#code=x" }, func() { closed <- struct{}{} }, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { w.Close() })
	return w, closed
}

func within(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(20 * time.Second):
		t.Fatal(what)
	}
}

func TestOpenTriesTheNextWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	bad := program(t, dir, "bad", "echo cannot >&2; exit 1\n")
	good := program(t, dir, "good", `echo "$@" > `+out+"\n")
	w, _ := windows(t, []Way{
		{Kind: KindWindow, Path: filepath.Join(dir, "missing")},
		{Kind: KindApp, Path: bad}, {Kind: KindBrowser, Path: good},
	})
	if err := w.Open(bounded(t)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil || strings.TrimSpace(string(b)) != "http://127.0.0.1:1/#code=x" {
		t.Errorf("%q %v", b, err)
	}
	none, _ := windows(t, nil)
	if err := none.Open(bounded(t)); err != ErrNoDisplay {
		t.Errorf("%v", err)
	}
}

// The window program takes its address on stdin, never in its arguments; its
// clean end is the user's wish; a second Open brings it to the front.
func TestWindowProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	p := program(t, dir, "catamaran-window", `read url; read focus; echo "$# $url $focus" > `+out+"; exit 0\n")
	w, closed := windows(t, []Way{{Kind: KindWindow, Path: p}})
	for range 2 {
		if err := w.Open(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "the closed window was not reported", closed)
	if b, _ := os.ReadFile(out); strings.TrimSpace(string(b)) != "0 http://127.0.0.1:1/#code=x focus" {
		t.Errorf("%q", b)
	}
}

func TestWindowProgramIsRestartedWithinBounds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	window := program(t, dir, "catamaran-window", "read url; echo start >> "+out+"; exit 3\n")
	fifo := filepath.Join(dir, "opened")
	browser := program(t, dir, "browser", "echo ok > "+fifo+"\n")
	w, closed := windows(t, []Way{{Kind: KindWindow, Path: window}, {Kind: KindBrowser, Path: browser}})
	if err := w.Open(bounded(t)); err != nil {
		t.Fatal(err)
	}
	w.work.Wait()
	b, _ := os.ReadFile(out)
	if n := strings.Count(string(b), "start"); n != 1+maxRestarts {
		t.Errorf("%d starts", n)
	}
	if _, err := os.Stat(fifo); err != nil {
		t.Error("the browser was not tried after the window program gave up")
	}
	select {
	case <-closed:
		t.Error("a crash was taken for the user's wish")
	default:
	}
}

func TestAppWindow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stays := program(t, dir, "stays", "exec sleep 600\n")
	w, closed := windows(t, []Way{{Kind: KindApp, Path: stays}})
	if err := w.Open(bounded(t)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.Close()
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("closing took %v", d)
	}
	select {
	case <-closed:
		t.Error("our own end was taken for the user's wish")
	default:
	}
	if err := w.Open(bounded(t)); err == nil {
		t.Error("a window after Close")
	}
}
