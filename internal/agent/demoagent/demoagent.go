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
}

type session struct {
	id  string
	dir string

	// guarded by server.mu
	mode   string
	always map[string]bool // kinds of tool calls allowed for the session
	cancel context.CancelFunc
}

// Modes as Gemini CLI names them, so that one client rule fits both.
const (
	modeAsk  = "default"
	modeEdit = "autoEdit"
	modeAll  = "yolo"
)

type object = map[string]any

var modes = []object{
	{"id": modeAsk, "name": "Ask", "description": "Asks before every command and every edit"},
	{"id": modeEdit, "name": "Accept edits", "description": "Writes files without asking; asks before commands"},
	{"id": modeAll, "name": "Full access", "description": "Never asks"},
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
		return object{
			"protocolVersion": 1,
			"agentCapabilities": object{
				"loadSession":        true,
				"promptCapabilities": object{"image": false, "audio": false, "embeddedContext": false},
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
		return object{"sessionId": se.id, "modes": object{"availableModes": modes, "currentModeId": modeAsk}}, nil
	case "session/load":
		// It keeps no memory worth restoring, so every id of its own making is known.
		var p struct {
			SessionID string `json:"sessionId"`
		}
		if err := json.Unmarshal(m.Params, &p); err != nil || !sessionID.MatchString(p.SessionID) {
			return nil, fmt.Errorf("unknown session %q", p.SessionID)
		}
		if _, err := s.open(p.SessionID, m.Params); err != nil {
			return nil, err
		}
		return object{"modes": object{"availableModes": modes, "currentModeId": modeAsk}}, nil
	case "session/set_mode":
		var p struct {
			ModeID string `json:"modeId"`
		}
		se, err := s.find(m.Params)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(m.Params, &p); err != nil || (p.ModeID != modeAsk && p.ModeID != modeEdit && p.ModeID != modeAll) {
			return nil, fmt.Errorf("unknown mode %q", p.ModeID)
		}
		s.mu.Lock()
		se.mode = p.ModeID
		s.mu.Unlock()
		return object{}, nil
	}
	return nil, fmt.Errorf("%w %q", errUnknownMethod, m.Method)
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
	se := &session{id: id, dir: p.Cwd, mode: modeAsk, always: map[string]bool{}}
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
	for _, b := range p.Prompt {
		text += b.Text
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
	t := &turn{s: s, se: se, ctx: ctx}
	s.turns.Go(func() {
		err := t.do(text)
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
