//go:build unix

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"catamaran/internal/api"
	"catamaran/internal/term"
)

// newTerminalFixture is a ready backend with terminals, whose shell runs the script.
func newTerminalFixture(t *testing.T, script string) (*fixture, string) {
	t.Helper()
	dir := t.TempDir()
	shell := dir + "/shell"
	if err := os.WriteFile(shell, []byte("#!/bin/bash\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	m, err := term.New(term.Options{
		Dir: t.TempDir(), Shell: func() string { return shell },
		Env: func(context.Context, bool) ([]string, string) {
			return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "PS1=$ "}, ""
		},
		Folder: func(_ context.Context, project, _ string) (string, error) {
			if project != "p" {
				return "", &api.Error{Code: api.CodeNotFound, Message: "no such project"}
			}
			return dir, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, nil)
	f.o.Terminals = m
	f.SetPhase(api.PhaseReady, nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	var info api.Terminal
	if status := f.do("POST", "/api/call/"+api.MethodTerminalOpen, f.token(), `{"projectId":"p"}`, &info); status != http.StatusOK {
		t.Fatalf("open: %d", status)
	}
	return f, info.ID
}

// screen is a client of one terminal on a connection of its own.
type screen struct {
	*client
	id   string
	seq  int64
	text []byte
	sent int64
	view api.TerminalView
}

// watch connects and subscribes after a number, or from the beginning.
func (f *fixture) watch(terminal string, after *int64) *screen {
	f.t.Helper()
	c := f.dial("/ws")
	c.want(api.FrameWelcome, "")
	s := &screen{client: c, id: "t1"}
	if after != nil {
		s.seq = *after
	}
	c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: s.id, Topic: api.TopicTerminal + terminal, After: after})
	s.until(func() bool { return s.view.Terminal.ID == terminal })
	return s
}

// next takes one message in; output is acknowledged.
func (s *screen) next() (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	kind, b, err := s.ws.Read(ctx)
	if err != nil {
		return "", err
	}
	if kind == websocket.MessageText {
		var f api.ServerFrame
		if err := json.Unmarshal(b, &f); err != nil {
			s.t.Fatal(err)
		}
		if f.Type == api.FrameError {
			s.t.Fatalf("%+v", f.Error)
		}
		if f.Terminal != nil {
			s.view = *f.Terminal
		}
		if f.Type == api.FrameSnapshot {
			s.seq, s.text = f.Seq, nil
		}
		return f.Type, nil
	}
	f, err := term.ParseFrame(b)
	if err != nil || f.ID != s.id {
		s.t.Fatalf("%+v, %v", f, err)
	}
	if f.Kind == api.TerminalOutput {
		if f.Seq != s.seq {
			s.t.Fatalf("output from %d on, not %d", f.Seq, s.seq)
		}
		s.seq += int64(len(f.Data))
		s.text = append(s.text, f.Data...)
		_ = s.ws.Write(ctx, websocket.MessageBinary, term.AppendHead(nil, api.TerminalAck, s.id, s.seq))
	}
	return "", nil
}

func (s *screen) until(done func() bool) {
	s.t.Helper()
	for !done() {
		if _, err := s.next(); err != nil {
			s.t.Fatalf("%v; the end of what came: %q", err, s.text[max(0, len(s.text)-300):])
		}
	}
}

func (s *screen) types(text string) {
	s.t.Helper()
	s.sendRaw(websocket.MessageBinary, append(term.AppendHead(nil, api.TerminalTyped, s.id, s.sent), text...))
	s.sent += int64(len(text))
}

// TestTerminalOverHundredDisconnects: a numbered stream, cut off at any byte a hundred times, arrives whole.
func TestTerminalOverHundredDisconnects(t *testing.T) {
	t.Parallel()
	const lines, cuts = 300_000, 100
	f, id := newTerminalFixture(t, fmt.Sprintf("stty -opost -echo; read go; seq -f %%07.0f 1 %d; read end", lines))
	s := f.watch(id, nil)
	s.types("\r")
	var text []byte
	rnd := rand.New(rand.NewPCG(3, 4))
	for cut := range cuts {
		for take := rnd.IntN(6); take >= 0 && len(text)+len(s.text) < 8*lines*(cut+1)/cuts; take-- {
			if _, err := s.next(); err != nil {
				t.Fatal(err)
			}
		}
		text = append(text, s.text...)
		seq := s.seq
		// What was on its way is lost with the connection.
		s.ws.CloseNow()
		s = f.watch(id, &seq)
	}
	last := fmt.Sprintf("%07d\n", lines)
	s.until(func() bool { return strings.HasSuffix(string(text), last) || strings.HasSuffix(string(s.text), last) })
	text = append(text, s.text...)
	// Before the first row there may be the echo of the key.
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, l := range rows {
		if l != fmt.Sprintf("%07d", i+1) {
			t.Fatalf("row %d is %q", i+1, l)
		}
	}
	if len(rows) != lines {
		t.Fatalf("%d rows", len(rows))
	}
}

func TestTerminalFramesAndRules(t *testing.T) {
	t.Parallel()
	f, id := newTerminalFixture(t, "exec bash --norc --noprofile")
	s := f.watch(id, nil)
	s.send(api.ClientFrame{Type: api.FrameResize, ID: s.id, Cols: 111, Rows: 33, Focused: true})
	s.types("stty size; echo o''k\r")
	s.until(func() bool {
		return strings.Contains(string(s.text), "33 111") && strings.Contains(string(s.text), "ok\r\n") && s.view.Owner && s.view.Terminal.Cols == 111
	})
	// The list is a topic of its own.
	list := f.dial("/ws")
	list.want(api.FrameWelcome, "")
	list.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "l", Topic: api.TopicTerminals})
	if got := list.want(api.FrameSnapshot, "l").Terminals.Terminals; len(got) != 1 || got[0].ID != id || got[0].Cols != 111 {
		t.Errorf("%+v", got)
	}
	list.want(api.FrameSynchronized, "l")
	if status := f.do("POST", "/api/call/"+api.MethodTerminalRename, f.token(), `{"terminalId":"`+id+`","name":"server"}`, nil); status != http.StatusOK {
		t.Errorf("rename: %d", status)
	}
	for {
		if got := list.want(api.FrameEvent, "l").Terminals.Terminals; got[0].Name == "server" {
			break
		}
	}
	for name, b := range map[string][]byte{
		"garbage":         []byte("nonsense that is no frame"),
		"output":          term.AppendHead(nil, api.TerminalOutput, "l", 0),
		"an empty id":     {2, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"cut":             term.AppendHead(nil, api.TerminalAck, "l", 0)[:9],
		"an empty one":    {},
		"a high number":   append([]byte{3, 1, 'l'}, 255, 255, 255, 255, 255, 255, 255, 255),
		"an unknown kind": term.AppendHead(nil, 9, "l", 0),
	} {
		list.sendRaw(websocket.MessageBinary, b)
		if e := list.want(api.FrameError, "").Error; e.Code != api.CodeInvalid {
			t.Errorf("%s: %+v", name, e)
		}
	}
	// A subscription that is none of a terminal takes none of it.
	list.sendRaw(websocket.MessageBinary, term.AppendHead(nil, api.TerminalTyped, "l", 0))
	list.send(api.ClientFrame{Type: api.FrameResize, ID: "l", Cols: 10, Rows: 10})
	list.send(api.ClientFrame{Type: api.FramePing, ID: "p"})
	list.want(api.FramePong, "p")
	for name, f := range map[string]api.ClientFrame{
		"no such terminal": {Type: api.FrameSubscribe, ID: "x", Topic: api.TopicTerminal + "../etc"},
		"a long id":        {Type: api.FrameSubscribe, ID: strings.Repeat("x", 256), Topic: api.TopicTerminal + id},
	} {
		list.send(f)
		if e := list.want(api.FrameError, f.ID).Error; e.Code != api.CodeNotFound && e.Code != api.CodeInvalid {
			t.Errorf("%s: %+v", name, e)
		}
	}
	// Breaking the rules ends the subscription and nothing else.
	for name, b := range map[string][]byte{
		"a gap in the input":          term.AppendHead(nil, api.TerminalTyped, "y", 5),
		"more than was sent":          term.AppendHead(nil, api.TerminalAck, "y", 1<<40),
		"more input than the program": append(term.AppendHead(nil, api.TerminalTyped, "y", 0), make([]byte, api.TerminalInput+1)...),
	} {
		t.Run(name, func(t *testing.T) {
			c := f.dial("/ws")
			c.want(api.FrameWelcome, "")
			c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "y", Topic: api.TopicTerminal + id})
			c.want(api.FrameSnapshot, "y")
			c.sendRaw(websocket.MessageBinary, b)
			for {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				kind, b, err := c.ws.Read(ctx)
				if err != nil {
					t.Fatal(err)
				}
				var f api.ServerFrame
				if kind == websocket.MessageText && json.Unmarshal(b, &f) == nil && f.Type == api.FrameError {
					if f.ID != "y" || f.Error.Code != api.CodeInvalid && f.Error.Code != api.CodeTooLarge {
						t.Errorf("%+v", f)
					}
					break
				}
			}
			c.send(api.ClientFrame{Type: api.FramePing, ID: "p"})
			c.want(api.FramePong, "p")
		})
	}
	// Closing ends every subscription.
	if status := f.do("POST", "/api/call/"+api.MethodTerminalClose, f.token(), `{"terminalId":"`+id+`"}`, nil); status != http.StatusOK {
		t.Errorf("close: %d", status)
	}
	for {
		kind, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		if kind == api.FrameResync {
			break
		}
	}
}

// TestFloodsLeaveRoomForCalls: three terminals print without end to one connection, and calls on it are answered.
func TestFloodsLeaveRoomForCalls(t *testing.T) {
	t.Parallel()
	f, first := newTerminalFixture(t, "exec yes")
	ids := []string{first}
	for range 2 {
		var info api.Terminal
		f.do("POST", "/api/call/"+api.MethodTerminalOpen, f.token(), `{"projectId":"p"}`, &info)
		ids = append(ids, info.ID)
	}
	c := f.dial("/ws")
	c.want(api.FrameWelcome, "")
	next, lines := map[string]int64{}, map[string]int{}
	for _, id := range ids {
		c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: id, Topic: api.TopicTerminal + id, After: new(int64)})
	}
	answered, calls := 0, 0
	call := func() {
		calls++
		c.send(api.ClientFrame{Type: api.FrameCall, ID: fmt.Sprint(calls), Method: api.MethodPing})
	}
	call()
	for answered < 100 || lines[ids[0]] < 20<<20 || lines[ids[1]] < 20<<20 || lines[ids[2]] < 20<<20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		kind, b, err := c.ws.Read(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if kind == websocket.MessageText {
			var fr api.ServerFrame
			if err := json.Unmarshal(b, &fr); err != nil {
				t.Fatal(err)
			}
			switch {
			case fr.Type == api.FrameResult && fr.ID == fmt.Sprint(calls):
				answered++
				call()
			case fr.Type == api.FrameSnapshot:
				next[fr.ID] = fr.Seq
			case fr.Type == api.FrameError || fr.Type == api.FrameResync:
				t.Fatalf("%+v", fr)
			}
			continue
		}
		fr, err := term.ParseFrame(b)
		if err != nil {
			t.Fatal(err)
		}
		if fr.Seq != next[fr.ID] {
			t.Fatalf("%s: from %d on, not %d", fr.ID, fr.Seq, next[fr.ID])
		}
		for i, ch := range fr.Data {
			if want := "y\r\n"[(int(fr.Seq)+i)%3]; ch != want {
				t.Fatalf("%s: byte %d is %q", fr.ID, fr.Seq+int64(i), ch)
			}
		}
		next[fr.ID] += int64(len(fr.Data))
		lines[fr.ID] += len(fr.Data)
		c.sendRaw(websocket.MessageBinary, term.AppendHead(nil, api.TerminalAck, fr.ID, next[fr.ID]))
	}
}

func TestNoTerminalsWithoutThem(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.SetPhase(api.PhaseReady, nil)
	var e api.Error
	if status := f.do("POST", "/api/call/"+api.MethodTerminalOpen, f.token(), `{"projectId":"p"}`, &e); status != http.StatusServiceUnavailable || e.Code != api.CodeUnavailable {
		t.Errorf("%d %+v", status, e)
	}
	c := f.dial("/ws")
	c.want(api.FrameWelcome, "")
	for _, topic := range []string{api.TopicTerminals, api.TopicTerminal + "x"} {
		c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "s", Topic: topic})
		if e := c.want(api.FrameError, "s").Error; !errors.Is(e, errNoTerminals) && e.Code != api.CodeUnavailable {
			t.Errorf("%+v", e)
		}
	}
}
