package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// The test binary is also the agent: a real process that speaks JSON lines and
// does what the prompt says, so that the engine's ladder meets real processes.
const roleVariable = "CATAMARAN_ENGINE_TEST_ROLE"

func TestMain(m *testing.M) {
	proc.GuardMain()
	switch os.Getenv(roleVariable) {
	case "agent":
		agentMain()
		return
	case "backend":
		backendMain()
		return
	}
	goleak.VerifyTestMain(m)
}

type line struct {
	Type    string       `json:"type"`
	Text    string       `json:"text,omitempty"`
	ID      string       `json:"id,omitempty"`
	Option  string       `json:"option,omitempty"`
	Resume  string       `json:"resume,omitempty"`
	Resumed bool         `json:"resumed,omitempty"`
	Event   *agent.Event `json:"event,omitempty"`

	Images   []agent.Image            `json:"images,omitempty"`
	Settings *agent.Settings          `json:"settings,omitempty"`
	Answers  []api.QuestionAnswerPart `json:"answers,omitempty"`
}

// agentMain runs the steps of each prompt, separated by ";": see step.
func agentMain() {
	out := json.NewEncoder(os.Stdout)
	in := make(chan line)
	go func() {
		sc := bufio.NewScanner(os.Stdin)
		sc.Buffer(nil, 1<<22)
		for sc.Scan() {
			var l line
			if json.Unmarshal(sc.Bytes(), &l) == nil {
				in <- l
			}
		}
		close(in)
	}()
	hello := line{Type: "hello", Resume: fmt.Sprintf("session-%d", os.Getpid())}
	if r := os.Getenv("TEST_RESUME"); r != "" && r != "forgotten" {
		hello.Resume, hello.Resumed = r, true
	}
	out.Encode(hello)
	for l := range in {
		if l.Type == "prompt" {
			reason := "end_turn"
			last = l
			for _, s := range strings.Split(l.Text, ";") {
				verb, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
				if r := step(out, in, verb, rest); r != "" {
					reason = r
					break
				}
			}
			out.Encode(line{Type: "end", Text: reason})
		}
	}
}

// last is the newest prompt.
var last line

func step(out *json.Encoder, in chan line, verb, rest string) string {
	event := func(e agent.Event) { out.Encode(line{Type: "event", Event: &e}) }
	id, rest2, _ := strings.Cut(rest, " ")
	switch verb {
	case "say":
		event(agent.Event{Kind: agent.KindMessage, ID: "m", Append: rest})
	case "chatter": // n pieces
		n, _ := strconv.Atoi(rest)
		for i := range n {
			event(agent.Event{Kind: agent.KindMessage, ID: "m", Append: fmt.Sprintf("piece %d ä\n", i)})
		}
	case "think":
		event(agent.Event{Kind: agent.KindReasoning, ID: "r", Append: rest})
	case "start":
		event(agent.Event{Kind: agent.KindTool, ID: id, Tool: &agent.ToolUpdate{Kind: "execute", Title: rest2, Command: rest2, Status: api.ToolRunning}})
	case "output":
		event(agent.Event{Kind: agent.KindTool, ID: id, Append: rest2})
	case "big":
		n, _ := strconv.Atoi(rest2)
		for range n {
			event(agent.Event{Kind: agent.KindTool, ID: id, Append: strings.Repeat("0123456789abcde\n", 64)})
		}
	case "done":
		code := 0
		event(agent.Event{Kind: agent.KindTool, ID: id, Tool: &agent.ToolUpdate{Status: api.ToolCompleted, ExitCode: &code}})
	case "plan":
		event(agent.Event{Kind: agent.KindPlan, Plan: []api.PlanStep{{Text: rest, Status: "pending"}}})
	case "usage":
		event(agent.Event{Kind: agent.KindUsage, Usage: &api.Usage{InputTokens: 12, OutputTokens: 34}})
	case "unknown":
		event(agent.Event{Kind: "hologram", ID: "h", Raw: json.RawMessage(`{"new":"thing"}`)})
	case "ask", "oddask":
		e := agent.Event{Kind: agent.KindApproval, ID: "ask-" + id, ToolID: id, Raw: json.RawMessage(`{"odd":true}`)}
		if verb == "ask" {
			e.Approval = &api.Approval{Title: "Run it?", Kind: "execute", Options: []api.ApprovalOption{{ID: "yes", Name: "Allow", Kind: "allow_once"}, {ID: "no", Name: "Reject", Kind: "reject_once"}}}
		}
		event(e)
		for l := range in {
			if l.Type == "answer" && l.ID == e.ID {
				event(agent.Event{Kind: agent.KindMessage, ID: "m", Append: "answered " + l.Option + "."})
				if l.Option == "" {
					return "cancelled"
				}
				return ""
			}
			if l.Type == "interrupt" {
				return "cancelled"
			}
		}
	case "question":
		event(agent.Event{Kind: agent.KindQuestion, ID: "q", Question: &api.Question{Title: "Which?", Parts: []api.QuestionPart{
			{ID: "a", Text: "A colour", Options: []api.QuestionOption{{ID: "r", Label: "Red"}, {ID: "b", Label: "Blue"}}},
			{ID: "n", Text: "A number", FreeText: true, Format: "integer", Optional: true},
			{ID: "s", Text: "A secret", FreeText: true, Secret: true, Optional: true},
		}}})
		for l := range in {
			switch {
			case l.Type == "reply" && l.ID == "q":
				b, _ := json.Marshal(l.Answers)
				event(agent.Event{Kind: agent.KindMessage, ID: "m", Append: "told " + string(b)})
				return ""
			case l.Type == "interrupt":
				return "cancelled"
			}
		}
	case "steered": // waits for a message
		event(agent.Event{Kind: agent.KindMessage, ID: "m", Append: "waiting "})
		for l := range in {
			if l.Type == "steer" {
				event(agent.Event{Kind: agent.KindMessage, ID: "m2", Append: "steered " + l.Text})
				return ""
			}
		}
	case "told":
		b, _ := json.Marshal(last.Settings)
		for _, img := range last.Images {
			data, err := os.ReadFile(img.Path)
			b = fmt.Appendf(b, " %s %s %d %v", img.Name, img.Mime, len(data), err)
		}
		event(agent.Event{Kind: agent.KindMessage, ID: "m", Append: string(b)})
	case "carryout":
		event(agent.Event{Kind: agent.KindPlan, Append: "1. Look"})
		event(agent.Event{Kind: agent.KindMode, Planning: false})
	case "withdraw":
		event(agent.Event{Kind: agent.KindApproval, ID: "w", Approval: &api.Approval{Title: "Never mind"}})
		event(agent.Event{Kind: agent.KindApprovalResolved, ID: "w"})
	case "wait": // for the interrupt
		for l := range in {
			if l.Type == "interrupt" {
				return "cancelled"
			}
		}
	case "gate": // for the test
		for l := range in {
			if l.Type == "go" {
				return ""
			}
		}
	case "hang": // deaf to the protocol
		for range in {
		}
	case "stubborn": // deaf to everything but SIGKILL
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		out.Encode(line{Type: "event", Event: &agent.Event{Kind: agent.KindMessage, ID: "m", Append: "stubborn"}})
		select {}
	case "die":
		fmt.Fprintln(os.Stderr, rest)
		os.Exit(3)
	case "git":
		if b, err := exec.Command("git", strings.Fields(rest)...).CombinedOutput(); err != nil {
			event(agent.Event{Kind: agent.KindMessage, ID: "m", Append: fmt.Sprintf("git failed: %s", b)})
		}
	case "write":
		if err := os.WriteFile(id, []byte(rest2), 0o600); err != nil {
			panic(err)
		}
	case "refuse":
		return "refusal"
	}
	return ""
}

// processDriver runs the test binary as an agent.
type processDriver struct {
	mu     sync.Mutex
	opened []agent.OpenOptions
	procs  []*proc.Process
	asked  atomic.Int64
}

func (d *processDriver) Open(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
	env := append(os.Environ(), roleVariable+"=agent", "GORACE=atexit_sleep_ms=0", "TEST_RESUME="+o.Resume)
	p, err := proc.Start(proc.Spec{Name: "test agent", Path: os.Args[0], Dir: o.Dir, Env: env})
	if err != nil {
		return nil, &api.Error{Code: api.CodeAgentFailed, Message: err.Error()}
	}
	d.mu.Lock()
	d.opened = append(d.opened, o)
	d.procs = append(d.procs, p)
	d.mu.Unlock()
	s := &processSession{p: p, model: o.Settings.Model, done: make(chan struct{}), hello: make(chan line, 1), ends: make(chan string, 1)}
	go s.read(o.Sink)
	select {
	case h := <-s.hello:
		s.info = agent.SessionInfo{Resume: h.Resume, Resumed: h.Resumed, PID: p.PID(), Steer: true}
		return s, nil
	case <-s.done:
		return nil, s.Err()
	case <-ctx.Done():
		p.Kill()
		<-s.done
		return nil, ctx.Err()
	}
}

type processSession struct {
	p     *proc.Process
	model string
	info  agent.SessionInfo
	hello chan line
	ends  chan string
	done  chan struct{}
	mu    sync.Mutex
}

func (s *processSession) read(sink func(agent.Event)) {
	sc := bufio.NewScanner(s.p.Stdout())
	sc.Buffer(nil, 1<<22)
	for sc.Scan() {
		var l line
		if json.Unmarshal(sc.Bytes(), &l) != nil {
			continue
		}
		switch l.Type {
		case "hello":
			s.hello <- l
		case "event":
			sink(*l.Event)
		case "end":
			s.ends <- l.Text
		}
	}
	<-s.p.Done()
	close(s.done)
}

func (s *processSession) write(l line) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.NewEncoder(s.p.Stdin()).Encode(l)
}

// Takes: another model needs another process.
func (s *processSession) Takes(settings agent.Settings) bool { return settings.Model == s.model }

func (s *processSession) Steer(_ context.Context, in agent.Input) error {
	if strings.Contains(in.Text, "too late") {
		return &api.Error{Code: api.CodeConflict, Message: "No."}
	}
	return s.write(line{Type: "steer", Text: in.Text})
}

func (s *processSession) Reply(id string, answers []api.QuestionAnswerPart) error {
	return s.write(line{Type: "reply", ID: id, Answers: answers})
}

func (d *processDriver) Options(context.Context, agent.OpenOptions) (api.AgentOptions, error) {
	n := d.asked.Add(1)
	if n == 3 {
		return api.AgentOptions{}, &api.Error{Code: api.CodeAgentSignIn, Message: "Sign in."}
	}
	return api.AgentOptions{Models: []api.AgentModel{{ID: fmt.Sprintf("model-%d", n), Name: "Model"}}, Steer: true}, nil
}

func (s *processSession) Prompt(ctx context.Context, in agent.Input) (agent.StopReason, error) {
	if err := s.write(line{Type: "prompt", Text: in.Text, Images: in.Images, Settings: &in.Settings}); err != nil {
		return "", err
	}
	select {
	case r := <-s.ends:
		return agent.StopReason(r), nil
	case <-s.done:
		return "", s.Err()
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (s *processSession) Interrupt(context.Context) error { return s.write(line{Type: "interrupt"}) }
func (s *processSession) Answer(id, option string) error {
	return s.write(line{Type: "answer", ID: id, Option: option})
}
func (s *processSession) Info() agent.SessionInfo { return s.info }
func (s *processSession) Close(ctx context.Context) error {
	return s.p.Stop(ctx, proc.Ladder{CloseStdin: 200 * time.Millisecond, Terminate: 200 * time.Millisecond, Kill: 2 * time.Second})
}
func (s *processSession) Done() <-chan struct{} { return s.done }
func (s *processSession) Err() error {
	return &api.Error{Code: api.CodeAgentFailed, Message: fmt.Sprintf("The agent ended with exit code %d.", s.p.ExitCode()), Details: s.p.StderrTail()}
}

// registry gives every agent id the same driver, but for "missing".
type registry struct{ d agent.Driver }

func (r registry) List(context.Context, bool) ([]api.Agent, error) {
	return []api.Agent{{ID: "demo", State: "found"}}, nil
}

func (r registry) Resolve(_ context.Context, id string) (agent.Driver, agent.Config, []string, error) {
	if id == "missing" {
		return nil, agent.Config{}, nil, &api.Error{Code: api.CodeAgentNotFound, Message: "The agent is not installed.", Hint: "npm install -g missing"}
	}
	return r.d, agent.Config{ID: id}, nil, nil
}

// harness is a running engine.
type harness struct {
	t     *testing.T
	e     *Engine
	d     *processDriver
	dir   string
	stop  func()
	ready chan *api.Error
}

func start(t *testing.T, dir string, options func(*Options), tune func(*Engine)) *harness {
	t.Helper()
	h := &harness{t: t, d: &processDriver{}, dir: dir, ready: make(chan *api.Error, 8)}
	o := Options{DataDir: dir, Agents: registry{h.d}}
	if options != nil {
		options(&o)
	}
	o.Phase = func(p api.Phase, reason *api.Error) {
		if p == api.PhaseReady || p == api.PhaseFailed {
			h.ready <- reason
		}
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	e.t.interrupt, e.t.grace, e.t.shutdown, e.t.save = 300*time.Millisecond, 500*time.Millisecond, 4*time.Second, 50*time.Millisecond
	if tune != nil {
		tune(e)
	}
	h.e = e
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := e.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Logf("engine: %v", err)
		}
	}()
	h.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Error("the engine does not end")
		}
		h.d.mu.Lock()
		defer h.d.mu.Unlock()
		for _, p := range h.d.procs {
			select {
			case <-p.Done():
			default:
				t.Errorf("agent process %d is left behind", p.PID())
				p.Kill()
				<-p.Done()
			}
		}
	})
	t.Cleanup(h.stop)
	select {
	case <-h.ready:
	case <-time.After(30 * time.Second):
		t.Fatal("the engine does not get ready")
	}
	return h
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%v (%+v)", err, api.AsError(err))
		}
		return v
	}
}

// thread makes a project in a fresh folder with one thread.
func (h *harness) thread() api.Thread {
	h.t.Helper()
	dir := filepath.Join(h.dir, "project")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	p := must[api.Project](h.t)(h.e.AddProject(h.t.Context(), "", api.ProjectAdd{Path: dir}))
	return must[api.Thread](h.t)(h.e.CreateThread(h.t.Context(), "", api.ThreadCreate{ProjectID: p.ID, AgentID: "demo"}))
}

func (h *harness) prompt(threadID, text string) api.Turn {
	h.t.Helper()
	return must[api.Turn](h.t)(h.e.StartTurn(h.t.Context(), "", api.TurnStart{ThreadID: threadID, Text: text}))
}

// client follows a thread as the page does and checks what the protocol promises.
type client struct {
	t      *testing.T
	s      *Subscription
	seq    int64
	thread api.Thread
	turns  map[string]api.Turn
	items  map[string]api.Item
	order  []string // item ids as first seen
	synced bool
	gone   bool
	deltas int
}

func (h *harness) follow(threadID string, after *int64) *client {
	h.t.Helper()
	s := must[*Subscription](h.t)(h.e.Subscribe(api.TopicThread+threadID, after))
	h.t.Cleanup(s.Close)
	return &client{t: h.t, s: s, turns: map[string]api.Turn{}, items: map[string]api.Item{}}
}

// until takes frames until ok.
func (c *client) until(what string, ok func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	for !c.synced || !ok() {
		f, err := c.s.Next(ctx)
		if err != nil {
			c.t.Fatalf("waiting for %s: %v; thread %+v, turns %+v", what, err, c.thread, c.turns)
		}
		c.apply(f)
	}
}

func (c *client) put(it api.Item) {
	if _, ok := c.items[it.ID]; !ok {
		c.order = append(c.order, it.ID)
	}
	c.items[it.ID] = it
}

func (c *client) apply(f api.ServerFrame) {
	c.t.Helper()
	switch f.Type {
	case api.FrameSnapshot:
		c.seq, c.thread = f.Seq, f.Thread.Thread
		for _, t := range f.Thread.Turns {
			c.turns[t.ID] = t
		}
		for _, it := range append(f.Thread.Items, f.Thread.Open...) {
			c.put(it)
		}
	case api.FrameEvent:
		if f.Seq != c.seq+1 && c.seq != 0 || f.Event.Seq != f.Seq {
			c.t.Fatalf("event %d after %d", f.Seq, c.seq)
		}
		c.seq = f.Seq
		switch {
		case f.Event.Thread != nil:
			c.thread = *f.Event.Thread
		case f.Event.Turn != nil:
			c.turns[f.Event.Turn.ID] = *f.Event.Turn
		case f.Event.Item != nil:
			c.put(*f.Event.Item)
		case f.Event.Type == api.EventThreadRemoved:
			c.gone = true
		default:
			delete(c.items, f.Event.RemovedID)
			delete(c.turns, f.Event.RemovedID)
		}
	case api.FrameDelta:
		c.deltas++
		if f.Delta.Item != nil {
			c.put(*f.Delta.Item)
			return
		}
		it, ok := c.items[f.Delta.ItemID]
		if !ok {
			c.t.Fatalf("delta of an item never seen")
		}
		if f.Delta.Field == "output" {
			tool := *it.Tool
			if len(tool.Output) != f.Delta.Offset {
				c.t.Fatalf("delta at %d, output has %d bytes", f.Delta.Offset, len(tool.Output))
			}
			tool.Output += f.Delta.Text
			it.Tool = &tool
		} else {
			if len(it.Text) != f.Delta.Offset {
				c.t.Fatalf("delta at %d, text has %d bytes", f.Delta.Offset, len(it.Text))
			}
			it.Text += f.Delta.Text
		}
		c.items[it.ID] = it
	case api.FrameSynchronized:
		c.synced, c.seq = true, f.Seq
	default:
		c.t.Fatalf("frame %s", f.Type)
	}
}

func (c *client) ended(turnID string) func() bool {
	return func() bool { return c.turns[turnID].State.Final() && !c.thread.Stopping && c.thread.State.Final() }
}

// texts returns the items of a kind, in timeline order.
func (c *client) kind(k api.ItemKind) []api.Item {
	var all []api.Item
	for _, it := range c.items {
		if it.Kind == k {
			all = append(all, it)
		}
	}
	for i := range all {
		for j := i + 1; j < len(all); j++ {
			if all[j].Ordinal < all[i].Ordinal {
				all[i], all[j] = all[j], all[i]
			}
		}
	}
	return all
}
