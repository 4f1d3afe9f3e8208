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

// script writes an executable script; $OUT is a fifo the test reads what happened from.
func script(t *testing.T, dir, name, body string) string {
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
	w := NewWindows(WindowsOptions{Ways: ways, URL: func() string { return "http://127.0.0.1:1/#code=x" },
		Closed: func() { closed <- struct{}{} }, State: t.TempDir(), Theme: func() string { return "dark" }, Log: slog.New(slog.DiscardHandler)})
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
	bad := script(t, dir, "bad", "echo cannot >&2; exit 1\n")
	good := script(t, dir, "good", `echo "$@" > `+out+"\n")
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
	p := script(t, dir, "catamaran-window", `read start; read focus; echo "$# $start $focus" > `+out+"; exit 0\n")
	w, closed := windows(t, []Way{{Kind: KindWindow, Path: p}})
	for range 2 {
		if err := w.Open(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "the closed window was not reported", closed)
	if b, _ := os.ReadFile(out); strings.TrimSpace(string(b)) != `0 {"op":"start","url":"http://127.0.0.1:1/#code=x","theme":"dark"} {"op":"focus"}` {
		t.Errorf("%q", b)
	}
}

// A folder dialog's answer comes back to who asked, noise on the program's output
// does not matter, the window's place is kept for the next start, and a program
// that dies with a dialog open ends the waiting.
func TestWindowProgramDialogAndPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	p := script(t, dir, "catamaran-window", `read start; echo "$start" >> `+out+`
echo 'Gtk-WARNING: not for us'; head -c 200000 /dev/zero | tr '\0' x; echo
echo '{"op":"place","place":{"x":5,"y":-6,"width":900,"height":700,"maximised":true}}'
read pick; echo "$pick" >> `+out+`
echo '{"op":"picked","id":1,"path":"/srv/kód"}'
read save; echo "$save" >> `+out+`
echo '{"op":"picked","id":2,"path":"/srv/x.zip"}'
read pick; exit 0
`)
	w, closed := windows(t, []Way{{Kind: KindWindow, Path: p}})
	if _, err := w.PickFolder(bounded(t), "Choose", ""); err != ErrNoWindow || w.Native() {
		t.Errorf("without a window: %v", err)
	}
	if err := w.Open(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if got, err := w.PickFolder(bounded(t), "Choose", "/srv"); got != "/srv/kód" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := w.SaveFile(bounded(t), "Save", "x.zip"); got != "/srv/x.zip" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := w.PickFolder(bounded(t), "Choose", "/srv"); got != "" || err == nil {
		t.Errorf("the program ended: %q, %v", got, err)
	}
	within(t, "the closed window was not reported", closed)
	b, _ := os.ReadFile(out)
	if !strings.Contains(string(b), `{"op":"pick","id":1,"title":"Choose","dir":"/srv"}`) || !strings.Contains(string(b), `{"op":"save","id":2,"title":"Save",`) || !strings.Contains(string(b), `"name":"x.zip"`) || strings.Contains(string(b), `"place"`) {
		t.Errorf("%s", b)
	}
	if err := w.Open(bounded(t)); err != nil { // the person's next start
		t.Fatal(err)
	}
	if _, err := w.PickFolder(bounded(t), "Choose", ""); err != nil {
		t.Fatal(err)
	}
	if b, _ = os.ReadFile(out); !strings.Contains(string(b), `"place":{"x":5,"y":-6,"width":900,"height":700,"maximised":true}`) {
		t.Errorf("the place was not kept: %s", b)
	}
}

// What is kept of a window's place is not trusted.
func TestLoadPlace(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		``: false, `{`: false, `{"width":0,"height":5}`: false, `{"x":9999999,"width":500,"height":500}`: false, `{"width":500,"height":500}`: true,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, placeFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := loadPlace(dir); (got != nil) != ok {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestWindowProgramIsRestartedWithinBounds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	window := script(t, dir, "catamaran-window", "read url; echo start >> "+out+"; exit 3\n")
	fifo := filepath.Join(dir, "opened")
	browser := script(t, dir, "browser", "echo ok > "+fifo+"\n")
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
	stays := script(t, dir, "stays", "exec sleep 600\n")
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
