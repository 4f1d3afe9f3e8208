package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"catamaran/internal/api"
)

// alone is a backend served alone and a signed-in client of it.
type alone struct {
	*door
	cmd  *exec.Cmd
	stop func()
}

// serveAlone starts a backend with its own state; env replaces the environment.
func serveAlone(ctx context.Context, s *setup, env []string) (*alone, error) {
	cmd := exec.CommandContext(ctx, s.program("catamaran-backend"), "serve", "--listen", "127.0.0.1:0", "--json")
	cmd.Env = env
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	a := &alone{cmd: cmd, stop: sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		_ = cmd.Wait()
		in.Close()
	})}
	var l api.Launch
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &l)
	}
	if err == nil {
		a.door, err = signIn(l.URL)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		a.stop()
		return nil, err
	}
	return a, nil
}

func (a *alone) call(method string, in, out any) error {
	return a.post("/e/local/api/call/"+method, in, out)
}

// until asks the descriptor until the phase is ready.
func (a *alone) ready(ctx context.Context) error {
	for {
		var d api.Descriptor
		if err := a.call(api.MethodDescriptor, api.Empty{}, &d); err != nil {
			return err
		}
		switch d.Phase {
		case api.PhaseReady:
			return nil
		case api.PhaseFailed:
			return errors.New("the backend failed to start")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// feed is a socket to a backend.
type feed struct{ ws *websocket.Conn }

func (a *alone) feed(ctx context.Context) (*feed, error) {
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(a.base, "http")+"/e/local/ws", nil)
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(32 << 20)
	f := &feed{ws}
	return f, f.send(ctx, api.ClientFrame{Type: api.FrameHello, Token: a.token})
}

func (f *feed) send(ctx context.Context, c api.ClientFrame) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return f.ws.Write(ctx, websocket.MessageText, b)
}

func (f *feed) next(ctx context.Context) (api.ServerFrame, error) {
	var s api.ServerFrame
	_, b, err := f.ws.Read(ctx)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err == nil && s.Type == api.FrameError {
		err = s.Error
	}
	return s, err
}

// open subscribes to a thread and waits for its snapshot.
func (f *feed) open(ctx context.Context, id, thread string) (items int, err error) {
	if err := f.send(ctx, api.ClientFrame{Type: api.FrameSubscribe, ID: id, Topic: api.TopicThread + thread}); err != nil {
		return 0, err
	}
	for {
		s, err := f.next(ctx)
		if err != nil {
			return 0, err
		}
		if s.ID == id && s.Thread != nil {
			items = len(s.Thread.Items)
		}
		if s.ID == id && s.Type == api.FrameSynchronized {
			return items, f.send(ctx, api.ClientFrame{Type: api.FrameUnsubscribe, ID: id})
		}
	}
}

// watch follows threads until each has ended its turn, and returns their texts. A
// resync is answered as the page does, and counted.
func (f *feed) watch(ctx context.Context, threads []string, begun func()) (texts map[string]string, resyncs int, err error) {
	texts = map[string]string{}
	live := map[string]*strings.Builder{}
	ended := map[string]bool{}
	for _, t := range threads {
		if err := f.send(ctx, api.ClientFrame{Type: api.FrameSubscribe, ID: t, Topic: api.TopicThread + t}); err != nil {
			return nil, 0, err
		}
	}
	synced := 0
	take := func(it *api.Item) {
		if it.Kind != api.ItemAgentMessage {
			return
		}
		b := &strings.Builder{}
		b.WriteString(it.Text)
		live[it.ID] = b
		if !it.Live {
			texts[it.ThreadID] = it.Text
		}
	}
	for len(ended) < len(threads) {
		s, err := f.next(ctx)
		if err != nil {
			return nil, resyncs, err
		}
		switch {
		case s.Type == api.FrameSynchronized:
			if synced++; synced == len(threads) {
				begun()
			}
		case s.Type == api.FrameResync:
			resyncs++
			if err := f.send(ctx, api.ClientFrame{Type: api.FrameSubscribe, ID: s.ID, Topic: api.TopicThread + s.ID}); err != nil {
				return nil, resyncs, err
			}
		case s.Thread != nil:
			for i := range s.Thread.Items {
				take(&s.Thread.Items[i])
			}
		case s.Delta != nil && s.Delta.Item != nil:
			take(s.Delta.Item)
		case s.Delta != nil:
			b := live[s.Delta.ItemID]
			if b == nil || b.Len() != s.Delta.Offset {
				return nil, resyncs, fmt.Errorf("a delta was lost: it is for byte %d", s.Delta.Offset)
			}
			b.WriteString(s.Delta.Text)
		case s.Event != nil && s.Event.Item != nil:
			if b := live[s.Event.Item.ID]; b != nil && !s.Event.Item.Live && s.Event.Item.Kind == api.ItemAgentMessage && !strings.HasPrefix(s.Event.Item.Text, b.String()) {
				return nil, resyncs, errors.New("the streamed text is not that of the finished message")
			}
			take(s.Event.Item)
		case s.Event != nil && s.Event.Turn != nil && s.Event.Turn.State.Final():
			if s.Event.Turn.State != api.TurnCompleted {
				return nil, resyncs, fmt.Errorf("turn %s: %+v", s.Event.Turn.State, s.Event.Turn.Reason)
			}
			ended[s.Event.Turn.ThreadID] = true
		}
	}
	return texts, resyncs, nil
}
