// Package demoagent is a small honest coding agent that needs no account, no
// model and no network: it shows what the app does with one. It speaks ACP v1 on
// the given streams, follows a few fixed phrases, and what it claims to do it
// does: it lists real files, runs real commands and writes real files, asking
// first. It never pretends to understand more than its phrases. The backend's
// demo-agent command, cmd/demoagent and tests start it.
//
// Invariants: one turn a session at a time; nothing is written outside the
// session's directory; a command's process group is gone before its turn ends.
package demoagent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"catamaran/internal/agent/jsonl"
	"catamaran/internal/build"
)

// Main serves one client until stdin ends. The error is of the streams; a client
// that goes away is none.
func Main(stdin io.Reader, stdout io.Writer) error {
	s := &server{sessions: map[string]*session{}}
	peer, err := jsonl.New(jsonl.Options{Reader: stdin, Writer: stdout, Handle: s.handle})
	if err != nil {
		return fmt.Errorf("demo agent: %w", err)
	}
	s.peer = peer
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx = ctx
	err = peer.Run(ctx)
	cancel()
	s.turns.Wait()
	if err != nil {
		return fmt.Errorf("demo agent: %w", err)
	}
	return nil
}

// pace is the time between two words of ordinary text, so that it reads as if typed.
const pace = 8 * time.Millisecond

type server struct {
	peer  *jsonl.Peer
	ctx   context.Context // ends with the client
	turns sync.WaitGroup

	mu       sync.Mutex
	sessions map[string]*session
	asks     bool // the client can show forms
}

type session struct {
	id  string
	dir string

	// guarded by server.mu
	mode   string
	model  string
	effort string
	always map[string]bool // kinds of tool calls allowed for the session
	cancel context.CancelFunc
}

// Modes as Gemini CLI names them, so that one client rule fits both.
const (
	modeAsk  = "default"
	modeEdit = "autoEdit"
	modeAll  = "yolo"
	modePlan = "plan"
)

type object = map[string]any

var modes = []object{
	{"id": modeAsk, "name": "Ask", "description": "Asks before every command and every edit"},
	{"id": modeEdit, "name": "Accept edits", "description": "Writes files without asking; asks before commands"},
	{"id": modeAll, "name": "Full access", "description": "Never asks"},
	{"id": modePlan, "name": "Plan", "description": "Says what it would do and asks before it does it"},
}

// models differ in how fast they write, efforts in how much they think aloud.
var (
	models  = []object{{"value": "demo-quick", "name": "Demo quick", "description": "Writes fast"}, {"value": "demo-thorough", "name": "Demo thorough", "description": "Writes at a walking pace"}}
	efforts = []object{{"value": "low", "name": "Low"}, {"value": "high", "name": "High", "description": "Thinks aloud"}}
	// commands are phrases too.
	commands = []object{
		{"name": "demo", "description": "Everything in one turn"},
		{"name": "question", "description": "Ask something back"},
		{"name": "run", "description": "Run a command", "input": object{"hint": "command"}},
	}
)

// options are a session's choices; server.mu must be held.
func (se *session) options() []object {
	return []object{
		{"id": "model", "name": "Model", "category": "model", "type": "select", "currentValue": se.model, "options": models},
		{"id": "effort", "name": "Effort", "category": "thought_level", "type": "select", "currentValue": se.effort, "options": efforts},
	}
}

// one reports whether a choice offers a value.
func one(of []object, value string) bool {
	for _, o := range of {
		if o["value"] == value || o["id"] == value {
			return true
		}
	}
	return false
}

var sessionID = regexp.MustCompile(`^demo-[0-9a-f]{12}$`)

func (s *server) handle(m jsonl.Message) {
	if m.ID == nil {
		if m.Method == "session/cancel" {
			s.cancel(m.Params)
		}
		return
	}
	if m.Method == "session/prompt" {
		s.prompt(m)
		return
	}
	result, err := s.call(m)
	if err != nil {
		code := jsonl.CodeInvalidParams
		if errors.Is(err, errUnknownMethod) {
			code = jsonl.CodeMethodNotFound
		}
		_ = s.peer.RespondError(m.ID, code, err.Error())
		return
	}
	_ = s.peer.Respond(m.ID, result)
}

var errUnknownMethod = errors.New("unknown method")

func (s *server) call(m jsonl.Message) (any, error) {
	switch m.Method {
	case "initialize":
		var p struct {
			ClientCapabilities struct {
				Elicitation struct {
					Form *object `json:"form"`
				} `json:"elicitation"`
			} `json:"clientCapabilities"`
		}
		_ = json.Unmarshal(m.Params, &p) // a client without it gets no questions
		s.mu.Lock()
		s.asks = p.ClientCapabilities.Elicitation.Form != nil
		s.mu.Unlock()
		return object{
			"protocolVersion": 1,
			"agentCapabilities": object{
				"loadSession":        true,
				"promptCapabilities": object{"image": true, "audio": false, "embeddedContext": false},
			},
			"agentInfo":   object{"name": "catamaran-demo", "title": "Demo agent", "version": build.Version},
			"authMethods": []object{},
		}, nil
	case "authenticate":
		return object{}, nil
	case "session/new":
		var raw [6]byte
		_, _ = rand.Read(raw[:]) // never fails
		se, err := s.open("demo-"+hex.EncodeToString(raw[:]), m.Params)
		if err != nil {
			return nil, err
		}
		s.offer(se)
		return object{"sessionId": se.id, "modes": object{"availableModes": modes, "currentModeId": modeAsk}, "configOptions": se.options()}, nil
	case "session/load":
		// It keeps no memory worth restoring, so every id of its own making is known.
		var p struct {
			SessionID string `json:"sessionId"`
		}
		if err := json.Unmarshal(m.Params, &p); err != nil || !sessionID.MatchString(p.SessionID) {
			return nil, fmt.Errorf("unknown session %q", p.SessionID)
		}
		se, err := s.open(p.SessionID, m.Params)
		if err != nil {
			return nil, err
		}
		s.offer(se)
		return object{"modes": object{"availableModes": modes, "currentModeId": modeAsk}, "configOptions": se.options()}, nil
	case "session/set_mode":
		var p struct {
			ModeID string `json:"modeId"`
		}
		se, err := s.find(m.Params)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(m.Params, &p); err != nil || !one(modes, p.ModeID) {
			return nil, fmt.Errorf("unknown mode %q", p.ModeID)
		}
		s.mu.Lock()
		se.mode = p.ModeID
		s.mu.Unlock()
		return object{}, nil
	}
	if m.Method == "session/set_config_option" {
		return s.configure(m.Params)
	}
	return nil, fmt.Errorf("%w %q", errUnknownMethod, m.Method)
}

// configure sets a choice.
func (s *server) configure(params json.RawMessage) (any, error) {
	var p struct {
		ConfigID string `json:"configId"`
		Value    string `json:"value"`
	}
	se, err := s.find(params)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case p.ConfigID == "model" && one(models, p.Value):
		se.model = p.Value
	case p.ConfigID == "effort" && one(efforts, p.Value):
		se.effort = p.Value
	default:
		return nil, fmt.Errorf("%q cannot be %q", p.ConfigID, p.Value)
	}
	return object{"configOptions": se.options()}, nil
}

// offer tells the slash commands, once the session is known to the client.
func (s *server) offer(se *session) {
	s.turns.Go(func() {
		_ = s.peer.Notify(s.ctx, "session/update", object{"sessionId": se.id, "update": object{"sessionUpdate": "available_commands_update", "availableCommands": commands}})
	})
}

func (s *server) open(id string, params json.RawMessage) (*session, error) {
	var p struct {
		Cwd string `json:"cwd"`
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(p.Cwd) {
		return nil, fmt.Errorf("cwd %q is not an absolute path", p.Cwd)
	}
	se := &session{id: id, dir: p.Cwd, mode: modeAsk, model: "demo-quick", effort: "low", always: map[string]bool{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[id] = se
	return se, nil
}

func (s *server) find(params json.RawMessage) (*session, error) {
	var p struct {
		SessionID string `json:"sessionId"`
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	se := s.sessions[p.SessionID]
	if se == nil {
		return nil, fmt.Errorf("unknown session %q", p.SessionID)
	}
	return se, nil
}

func (s *server) cancel(params json.RawMessage) {
	se, err := s.find(params)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if se.cancel != nil {
		se.cancel()
	}
}

func (s *server) prompt(m jsonl.Message) {
	var p struct {
		Prompt []struct {
			Type string `json:"type"`
			Text string `json:"text"`
			Data []byte `json:"data"` // base64 in JSON
		} `json:"prompt"`
	}
	se, err := s.find(m.Params)
	if err == nil {
		err = json.Unmarshal(m.Params, &p)
	}
	if err != nil {
		_ = s.peer.RespondError(m.ID, jsonl.CodeInvalidParams, err.Error())
		return
	}
	text := ""
	var pictures [][]byte
	for _, b := range p.Prompt {
		text += b.Text
		if b.Type == "image" {
			pictures = append(pictures, b.Data)
		}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.mu.Lock()
	busy := se.cancel != nil
	if !busy {
		se.cancel = cancel
	}
	s.mu.Unlock()
	if busy {
		cancel()
		_ = s.peer.RespondError(m.ID, jsonl.CodeInvalidRequest, "a turn is already running in this session")
		return
	}
	t := &turn{s: s, se: se, ctx: ctx, pictures: pictures}
	s.mu.Lock()
	t.pace, t.planning, t.model = pace, se.mode == modePlan, se.model
	if se.model == "demo-thorough" {
		t.pace = 4 * pace
	}
	aloud := se.effort == "high"
	s.mu.Unlock()
	s.turns.Go(func() {
		var err error
		if aloud {
			err = t.think("I was asked to think hard, so I say what I am about to do: what the phrase says. ")
		}
		if err == nil {
			err = t.do(text)
		}
		stop := "end_turn"
		if ctx.Err() != nil {
			stop, err = "cancelled", nil
		}
		cancel()
		s.mu.Lock()
		se.cancel = nil
		s.mu.Unlock()
		if err != nil {
			_ = s.peer.RespondError(m.ID, jsonl.CodeInternal, err.Error())
			return
		}
		words := int64(t.words)
		_ = s.peer.Respond(m.ID, object{"stopReason": stop, "usage": object{
			"inputTokens": int64(len(text)+3) / 4, "outputTokens": words, "totalTokens": int64(len(text)+3)/4 + words}})
	})
}
