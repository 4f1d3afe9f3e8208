package codex

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/api"
	"catamaran/internal/build"
	"catamaran/internal/proc"
)

// unwanted are notifications that nobody here reads: one repeats the whole diff of
// the turn after every edit.
var unwanted = []string{"turn/diff/updated", "thread/readState/changed", "remoteControl/status/changed"}

type initialized struct {
	UserAgent string `json:"userAgent"`
	CodexHome string `json:"codexHome"`
}

type account struct {
	Account            json.RawMessage `json:"account"`
	RequiresOpenAIAuth bool            `json:"requiresOpenaiAuth"`
}

type opened struct {
	Thread struct {
		ID         string `json:"id"`
		CLIVersion string `json:"cliVersion"`
	} `json:"thread"`
	Model           string `json:"model"`
	ReasoningEffort string `json:"reasoningEffort"`
}

// initialize begins the conversation; it comes before anything else.
func (s *session) initialize(ctx context.Context) (in initialized, err error) {
	err = s.call(ctx, "initialize", object{
		"clientInfo":   object{"name": "catamaran", "title": "Catamaran", "version": build.Version},
		"capabilities": object{"experimentalApi": true, "optOutNotificationMethods": unwanted},
	}, &in)
	if err != nil {
		return in, err
	}
	return in, s.Notify(ctx, "initialized", nil)
}

// open initializes and gets a thread.
func (s *session) open(ctx context.Context) error {
	in, err := s.initialize(ctx)
	if err != nil {
		return err
	}
	if err := s.checkAccount(ctx); err != nil {
		return err
	}
	op, resumed, err := s.openThread(ctx, in.CodexHome)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.thread = op.Thread.ID
	s.own = agent.Settings{Model: op.Model, Effort: op.ReasoningEffort}
	version := op.Thread.CLIVersion
	if !resumed || version == "" {
		version = orVersion(in.UserAgent, version)
	}
	s.info = agent.SessionInfo{Resume: op.Thread.ID, Resumed: resumed, PID: s.PID(), Version: version, Steer: true}
	return nil
}

// orVersion reads the version of "name/1.2.3 (system) ...".
func orVersion(userAgent, otherwise string) string {
	_, rest, _ := strings.Cut(userAgent, "/")
	version, _, _ := strings.Cut(rest, " ")
	if version == "" {
		return otherwise
	}
	return version
}

// checkAccount finds out before the first prompt that nobody is signed in. A Codex
// that cannot tell is let through.
func (s *session) checkAccount(ctx context.Context) error {
	var a account
	err := s.call(ctx, "account/read", object{"refreshToken": false}, &a)
	var answer *jsonl.Error
	switch {
	case errors.As(err, &answer):
		s.Log.Info("codex does not tell its account", "error", err)
		return nil
	case err != nil:
		return err
	case a.RequiresOpenAIAuth && (len(a.Account) == 0 || string(a.Account) == "null"):
		return s.SignInNeeded("")
	}
	return nil
}

func (s *session) openThread(ctx context.Context, home string) (op opened, resumed bool, err error) {
	p := policyOf(s.o.Permission)
	params := object{"cwd": s.o.Dir, "approvalPolicy": p.approval, "sandbox": p.sandbox}
	trusted := trustEntries(home)
	if s.o.Resume != "" {
		again := object{"threadId": s.o.Resume, "excludeTurns": true}
		for k, v := range params {
			again[k] = v
		}
		err := s.call(ctx, "thread/resume", again, &op)
		var answer *jsonl.Error
		switch {
		case err == nil:
			if op.Thread.ID == "" {
				op.Thread.ID = s.o.Resume
			}
			resumed = true
		case errors.As(err, &answer) && answer.Code != overloaded:
			s.Log.Info("codex does not know the thread any more", "error", err, "data", proc.Text(answer.Data[:min(len(answer.Data), 1<<10)]))
			op = opened{}
		default:
			return op, false, err
		}
	}
	if !resumed {
		if err := s.call(ctx, "thread/start", params, &op); err != nil {
			return op, false, err
		}
		if op.Thread.ID == "" {
			return op, false, &api.Error{Code: api.CodeAgentFailed, Message: s.o.Agent.Name + " started a thread without an id.", Details: s.Details("")}
		}
	}
	if p.sandbox != "read-only" && trustEntries(home) > trusted {
		s.emit(agent.Event{Kind: agent.KindNotice, ID: "notice:" + s.t.nonce + "-trust", Level: "info",
			Append: "Because this mode lets " + s.o.Agent.Name + " write here, it has marked the project as trusted in " + filepath.Join(home, "config.toml") +
				". From now on it uses the project's own Codex settings."})
	}
	return op, resumed, nil
}

// trustEntries counts the projects that Codex's configuration calls trusted.
func trustEntries(home string) int {
	const most = 4 << 20
	if !filepath.IsAbs(home) {
		return 0
	}
	f, err := os.Open(filepath.Join(home, "config.toml"))
	if err != nil {
		return 0 // no file, no entries
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return 0
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, "trust_level"); ok && !strings.Contains(key, "#") && strings.Contains(value, `"trusted"`) {
			n++
		}
	}
	return n
}

// jittered is a random wait from half of d to d, so that many do not ask again together.
func jittered(d time.Duration) time.Duration {
	if d < 2 {
		return d
	}
	return d/2 + mathrand.N(d/2)
}
