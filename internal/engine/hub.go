package engine

import (
	"context"
	"errors"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/store"
)

const (
	// queueFrames and queueBytes bound what waits for one subscriber; more is answered with one
	// resync. A snapshot costs about as much: whoever is further behind is better off with that.
	queueFrames = 512
	queueBytes  = 1 << 20

	subscribeBound = 10 * time.Second
)

// hub hands committed events and ephemeral deltas to subscribers and knows the live items.
type hub struct {
	mu     sync.Mutex
	topics map[string]*topic
	closed bool
}

type topic struct {
	subs map[*Subscription]struct{}
	live map[string]api.Item
}

func newHub() *hub { return &hub{topics: map[string]*topic{}} }

func (h *hub) topicLocked(name string) *topic {
	t := h.topics[name]
	if t == nil {
		t = &topic{subs: map[*Subscription]struct{}{}, live: map[string]api.Item{}}
		h.topics[name] = t
	}
	return t
}

func (h *hub) releaseLocked(name string, t *topic) {
	if len(t.subs) == 0 && len(t.live) == 0 {
		delete(h.topics, name)
	}
}

// publish is told of committed events by the store, in order.
func (h *hub) publish(events []store.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range events {
		ev := &events[i]
		t := h.topics[ev.Stream]
		if ev.Type == api.EventItemUpserted && ev.Item.Live {
			t = h.topicLocked(ev.Stream)
			t.live[ev.Item.ID] = *ev.Item
		}
		if t == nil {
			continue
		}
		switch {
		case ev.Type == api.EventItemUpserted && !ev.Item.Live:
			delete(t.live, ev.Item.ID)
		case ev.Type == api.EventItemRemoved:
			delete(t.live, ev.RemovedID)
		case ev.Type == api.EventThreadRemoved:
			clear(t.live)
		}
		t.send(api.ServerFrame{Type: api.FrameEvent, Seq: ev.Seq, Event: &ev.Event}, frameSize(&ev.Event))
		h.releaseLocked(ev.Stream, t)
	}
}

// delta shows a live item's change; it is the item as it is after that.
func (h *hub) delta(name string, it api.Item, d api.Delta) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topicLocked(name)
	t.live[it.ID] = it
	size := len(d.Text)
	if d.Item != nil {
		size += itemSize(d.Item)
	}
	t.send(api.ServerFrame{Type: api.FrameDelta, Delta: &d}, size)
}

// liveItem is an item as it streams now.
func (h *hub) liveItem(name, id string) (api.Item, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[name]; t != nil {
		it, ok := t.live[id]
		return it, ok
	}
	return api.Item{}, false
}

func (t *topic) send(f api.ServerFrame, size int) {
	for s := range t.subs {
		if !s.push(f, size) {
			delete(t.subs, s)
		}
	}
}

func (h *hub) attach(name string, s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		s.end()
		return
	}
	t := h.topicLocked(name)
	t.subs[s] = struct{}{}
	for _, it := range t.live {
		s.live = append(s.live, it)
	}
}

func (h *hub) detach(name string, s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[name]; t != nil {
		delete(t.subs, s)
		h.releaseLocked(name, t)
	}
}

func (h *hub) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, t := range h.topics {
		for s := range t.subs {
			s.end()
		}
	}
	clear(h.topics)
}

func frameSize(e *api.Event) int {
	const head = 256
	if e.Item != nil {
		return head + itemSize(e.Item)
	}
	return head
}

func itemSize(it *api.Item) int {
	n := 256 + len(it.Text) + len(it.Raw)
	if it.Tool != nil {
		n += len(it.Tool.Output) + len(it.Tool.Input)
		for _, ed := range it.Tool.Edits {
			n += len(ed.OldText) + len(ed.NewText)
		}
	}
	return n
}

// Subscribe attaches to a topic ("shell" or "thread:<id>"): live first, then the
// frames that bring the client from after (nil: nothing) to now, then
// "synchronized", then live ones. Frames carry no subscription id; the caller adds it.
func (e *Engine) Subscribe(topic string, after *int64) (*Subscription, error) {
	st, err := e.ready()
	if err != nil {
		return nil, err
	}
	if topic != api.TopicShell && !strings.HasPrefix(topic, api.TopicThread) {
		return nil, &api.Error{Code: api.CodeInvalid, Message: "There is no topic " + topic + "."}
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), subscribeBound, context.DeadlineExceeded)
	defer cancel()
	s := &Subscription{hub: e.hub, topic: topic, wake: make(chan struct{}, 1)}
	v, err := st.View(ctx, topic, after, func() { e.hub.attach(topic, s) })
	if err != nil {
		s.Close()
		if errors.Is(err, store.ErrNotFound) {
			return nil, &api.Error{Code: api.CodeNotFound, Message: "This thread does not exist (any more)."}
		}
		return nil, e.clientError("read the thread", err)
	}
	s.begin(v)
	return s, nil
}

// Subscription is a bounded queue of frames. A reader too slow gets one "resync" frame and nothing after it.
type Subscription struct {
	hub   *hub
	topic string
	wake  chan struct{}
	live  []api.Item // at the attachment

	mu    sync.Mutex
	first []api.ServerFrame // what brings the client up to date; bounded by what is stored
	queue []queued
	bytes int
	ended bool // nothing is added any more
	gone  bool // Close: nothing is given out any more
}

type queued struct {
	frame api.ServerFrame
	size  int
}

func (s *Subscription) begin(v store.View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		s.first = append(s.first, api.ServerFrame{Type: api.FrameSynchronized, Seq: v.Seq})
		s.live = nil
		s.signal()
	}()
	if v.Shell == nil && v.Thread == nil {
		for i := range v.Events {
			s.first = append(s.first, api.ServerFrame{Type: api.FrameEvent, Seq: v.Events[i].Seq, Event: &v.Events[i].Event})
		}
		for i := range s.live {
			s.first = append(s.first, api.ServerFrame{Type: api.FrameDelta, Delta: &api.Delta{Item: &s.live[i]}})
		}
		return
	}
	if v.Thread != nil {
		withLive(v.Thread, s.live)
	}
	s.first = append(s.first, api.ServerFrame{Type: api.FrameSnapshot, Seq: v.Seq, Shell: v.Shell, Thread: v.Thread})
}

// withLive puts items as they stream in the place of what is stored of them.
func withLive(sn *api.ThreadSnapshot, live []api.Item) {
	if len(live) == 0 {
		return
	}
	at := map[string]*api.Item{}
	for _, list := range [][]api.Item{sn.Items, sn.Open} {
		for i := range list {
			at[list[i].ID] = &list[i]
		}
	}
	var more []api.Item
	for _, it := range live {
		if known := at[it.ID]; known != nil {
			*known = it
		} else {
			more = append(more, it)
		}
	}
	for _, it := range more {
		if sn.Earlier && it.Ordinal < sn.Items[0].Ordinal {
			sn.Open = append(sn.Open, it)
		} else {
			sn.Items = append(sn.Items, it)
		}
	}
	for _, list := range [][]api.Item{sn.Items, sn.Open} {
		sort.SliceStable(list, func(i, j int) bool { return list[i].Ordinal < list[j].Ordinal })
	}
}

// push adds a frame; false means that the subscription takes no more.
func (s *Subscription) push(f api.ServerFrame, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.signal()
	if s.ended {
		return false
	}
	if len(s.queue) >= queueFrames || len(s.queue) > 0 && s.bytes+size > queueBytes {
		s.first, s.bytes, s.ended = nil, 0, true
		s.queue = []queued{{frame: api.ServerFrame{Type: api.FrameResync}}}
		return false
	}
	s.queue = append(s.queue, queued{f, size})
	s.bytes += size
	return true
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Subscription) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.signal()
}

// Next waits for the next frame; io.EOF after Close or after a resync, ctx's error otherwise.
// One goroutine at a time may call it.
func (s *Subscription) Next(ctx context.Context) (api.ServerFrame, error) {
	for {
		if f, ok, err := s.take(); ok || err != nil {
			return f, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return api.ServerFrame{}, ctx.Err()
		}
	}
}

func (s *Subscription) take() (api.ServerFrame, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
		s.signal()
		return api.ServerFrame{}, false, io.EOF
	case len(s.first) > 0:
		f := s.first[0]
		s.first[0] = api.ServerFrame{}
		s.first = s.first[1:]
		return f, true, nil
	case len(s.queue) > 0:
		q := s.queue[0]
		s.queue[0] = queued{}
		s.queue = s.queue[1:]
		s.bytes -= q.size
		return q.frame, true, nil
	case s.ended:
		s.signal()
		return api.ServerFrame{}, false, io.EOF
	}
	return api.ServerFrame{}, false, nil
}

// Close detaches; it is idempotent.
func (s *Subscription) Close() {
	s.hub.detach(s.topic, s)
	s.mu.Lock()
	s.ended, s.gone = true, true
	s.first, s.queue, s.bytes = nil, nil, 0
	s.mu.Unlock()
	s.signal()
}
