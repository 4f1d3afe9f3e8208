package codex

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// Codex keeps one file of JSON lines ("rollout") for a thread, under
// CODEX_HOME/sessions by day; its first line names the working directory (seen with
// 0.169.0; older ones write messages as user_message and agent_message).

const (
	// filesMost bounds the files whose first line is looked at for one list.
	filesMost = 3000
	// headBytes is what is read of a file for a list; a file that is not longer is counted.
	headBytes = 256 << 10
)

var rolloutName = regexp.MustCompile(`^rollout-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-([0-9a-fA-F-]{36})\.jsonl$`)

type rollout struct {
	path, id string
	at       int64
}

// rollouts lists files, those of the newest days first.
func rollouts(ctx context.Context, env []string) ([]rollout, error) {
	home := agent.Getenv(env, "CODEX_HOME")
	if !filepath.IsAbs(home) {
		home = filepath.Join(agent.HomeIn(env), ".codex")
	}
	var all []rollout
	// The names of days and files sort by time.
	var walk func(folder string, depth int) error
	walk = func(folder string, depth int) error {
		entries, err := os.ReadDir(folder)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		slices.Reverse(entries)
		for _, e := range entries {
			if len(all) == filesMost || ctx.Err() != nil {
				return ctx.Err()
			}
			path := filepath.Join(folder, e.Name())
			if e.IsDir() && depth < 3 {
				if err := walk(path, depth+1); err != nil {
					return err
				}
			}
			m := rolloutName.FindStringSubmatch(e.Name())
			if m == nil || !e.Type().IsRegular() {
				continue
			}
			if info, err := e.Info(); err == nil {
				all = append(all, rollout{path, m[1], info.ModTime().UnixMilli()})
			}
		}
		return nil
	}
	return all, walk(filepath.Join(home, "sessions"), 0)
}

// Kept lists the threads Codex keeps about dir.
func (d *Driver) Kept(ctx context.Context, dir string, env []string) ([]agent.Kept, error) {
	files, err := rollouts(ctx, env)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(files, func(a, b rollout) int { return int(min(max(b.at-a.at, -1), 1)) })
	var all []agent.Kept
	for _, f := range files {
		if len(all) == agent.KeptMost {
			break
		}
		k, ok := glance(ctx, f, dir)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if ok {
			all = append(all, k)
		}
	}
	return agent.Newest(all), nil
}

// line is one entry of a rollout.
type line struct {
	Timestamp string
	Type      string
	Payload   map[string]json.RawMessage
}

func readLine(raw []byte) line {
	f := lenient.Fields(raw)
	return line{lenient.Text(f["timestamp"]), lenient.Text(f["type"]), lenient.Fields(f["payload"])}
}

// glance looks at the beginning of a file: whether it is a thread about dir, and its title.
func glance(ctx context.Context, f rollout, dir string) (agent.Kept, bool) {
	k := agent.Kept{ID: f.id, UpdatedAt: f.at}
	about, first := false, true
	var g gather
	err := agent.Lines(ctx, f.path, headBytes, func(raw []byte) bool {
		l := readLine(raw)
		if first {
			first = false
			// A sub-agent's thread is no conversation of a person.
			_, sub := lenient.Fields(l.Payload["source"])["subagent"]
			about = l.Type == "session_meta" && !sub && filepath.Clean(lenient.Text(l.Payload["cwd"])) == filepath.Clean(dir)
		}
		if about {
			g.add(l)
		}
		return about
	})
	items, _ := g.items()
	if err != nil || !about || len(items) == 0 {
		return k, false
	}
	k.Title = agent.TitleOf(items[0].Text)
	if info, err := os.Stat(f.path); err == nil && info.Size() <= headBytes {
		for _, it := range items {
			if it.Kind == api.ItemUserMessage || it.Kind == api.ItemAgentMessage {
				k.Messages++
			}
		}
	}
	return k, true
}

// ReadKept reads a thread's rollout.
func (d *Driver) ReadKept(ctx context.Context, dir string, env []string, id string) (agent.Conversation, error) {
	files, err := rollouts(ctx, env)
	if err != nil {
		return agent.Conversation{}, err
	}
	for _, f := range files {
		if f.id != id {
			continue
		}
		k, ok := glance(ctx, f, dir)
		if !ok {
			continue
		}
		c := agent.Conversation{Kept: k}
		var g gather
		err := agent.Lines(ctx, f.path, 0, func(raw []byte) bool { g.add(readLine(raw)); return true })
		c.Items, c.Cut = g.items()
		return c, err
	}
	return agent.Conversation{}, agent.ErrNotKept
}

// gather makes items of lines. Most things are written twice, as what the model
// was told and as what people are shown; the latter is taken where there is one.
type gather struct {
	told, shown agent.Gather
	// calls are where tool calls are, in both, from the end of what was added.
	calls [2]map[string]int
	added [2]int
	turns [2][]int // where turns begin, likewise
	seen  bool     // something was written as people are shown it
}

const (
	told  = 0
	shown = 1
)

func (g *gather) in(which int) *agent.Gather {
	if which == told {
		return &g.told
	}
	return &g.shown
}

func (g *gather) items() ([]api.Item, bool) {
	if g.seen {
		return g.shown.Items()
	}
	return g.told.Items()
}

func (g *gather) put(which int, it api.Item) {
	if it.Kind == api.ItemUserMessage {
		g.turns[which] = append(g.turns[which], g.added[which])
	}
	g.added[which]++
	n := len(it.Text)
	if it.Tool != nil {
		n += len(it.Tool.Output) + len(it.Tool.Input)
	}
	g.in(which).Add(it, n)
}

func (g *gather) add(l line) {
	at := agent.Millis(l.Timestamp)
	switch l.Type {
	case "response_item":
		g.response(l.Payload, at)
	case "event_msg":
		g.event(l.Payload, at)
	}
}

func (g *gather) event(p map[string]json.RawMessage, at int64) {
	text := func(kind api.ItemKind, s string) {
		if strings.TrimSpace(s) != "" {
			g.seen = g.seen || kind == api.ItemUserMessage
			g.put(shown, api.Item{Kind: kind, CreatedAt: at, Text: s})
		}
	}
	switch lenient.Text(p["type"]) {
	case "user_message":
		text(api.ItemUserMessage, lenient.Text(p["message"]))
	case "agent_message":
		text(api.ItemAgentMessage, lenient.Text(p["message"]))
	case "agent_reasoning":
		text(api.ItemReasoning, lenient.Text(p["text"]))
	case "thread_rolled_back":
		n, _ := lenient.Whole(p["num_turns"])
		g.back(n)
	case "item_completed":
		f := lenient.Fields(p["item"])
		switch lenient.Text(f["type"]) {
		case "UserMessage":
			text(api.ItemUserMessage, parts(f["content"]))
		case "AgentMessage":
			text(api.ItemAgentMessage, parts(f["content"]))
		case "Reasoning":
			var all []string
			for _, s := range lenient.List(f["summary_text"]) {
				all = append(all, lenient.Text(s))
			}
			text(api.ItemReasoning, strings.Join(all, "\n"))
		}
	}
}

// back takes the last turns back.
func (g *gather) back(n int) {
	for which := range g.turns {
		turns := g.turns[which]
		if n <= 0 || n > len(turns) {
			continue
		}
		from := turns[len(turns)-n]
		g.turns[which] = turns[:len(turns)-n]
		in := g.in(which)
		in.Back(in.Len() - (g.added[which] - from))
		g.added[which] = from
	}
}

// parts are the texts of a message's content.
func parts(content json.RawMessage) string {
	var all []string
	for _, raw := range lenient.List(content) {
		f := lenient.Fields(raw)
		switch s := lenient.Text(f["text"]); {
		case s != "":
			all = append(all, s)
		case strings.Contains(lenient.Text(f["type"]), "image"):
			all = append(all, "[picture]")
		}
	}
	return strings.Join(all, "\n")
}

func (g *gather) response(p map[string]json.RawMessage, at int64) {
	switch kind := lenient.Text(p["type"]); kind {
	case "message":
		s := parts(p["content"])
		switch role := lenient.Text(p["role"]); {
		case strings.TrimSpace(s) == "":
		case role == "assistant":
			g.put(told, api.Item{Kind: api.ItemAgentMessage, CreatedAt: at, Text: s})
		case role == "user" && !added(s):
			g.put(told, api.Item{Kind: api.ItemUserMessage, CreatedAt: at, Text: s})
		}
	case "reasoning":
		if s := parts(p["summary"]); s != "" {
			g.put(told, api.Item{Kind: api.ItemReasoning, CreatedAt: at, Text: s})
		}
	case "function_call", "custom_tool_call", "local_shell_call":
		t := call(kind, p)
		id := lenient.Or(lenient.Text(p["call_id"]), lenient.Text(p["id"]))
		for which := range g.calls {
			if g.calls[which] == nil {
				g.calls[which] = map[string]int{}
			}
			own := *t
			g.put(which, api.Item{Kind: api.ItemToolCall, CreatedAt: at, Tool: &own})
			g.calls[which][id] = g.added[which]
		}
	case "function_call_output", "custom_tool_call_output":
		for which := range g.calls {
			g.output(which, lenient.Text(p["call_id"]), p["output"])
		}
	}
}

// added reports whether a message of the user's role was put there by the program.
func added(s string) bool {
	s = strings.TrimSpace(s)
	for _, tag := range []string{"<environment_context>", "<user_instructions>", "<turn_aborted>", "<skill>", "<user_shell_command>", "<permissions", "# AGENTS.md instructions"} {
		if strings.HasPrefix(s, tag) {
			return true
		}
	}
	return false
}

func call(kind string, p map[string]json.RawMessage) *api.ToolCall {
	name := lenient.Or(lenient.Text(p["name"]), kind)
	t := &api.ToolCall{Kind: "other", Title: name, Status: api.ToolCancelled}
	args := lenient.Fields(json.RawMessage(lenient.Text(p["arguments"])))
	if kind == "local_shell_call" {
		args = lenient.Fields(p["action"])
	}
	command := lenient.Or(lenient.Text(args["cmd"]), lenient.Text(args["command"]))
	if words := lenient.List(args["command"]); len(words) > 0 {
		// A shell's last argument is what was run.
		command = lenient.Text(words[len(words)-1])
		if len(words) != 3 {
			var all []string
			for _, w := range words {
				all = append(all, lenient.Text(w))
			}
			command = strings.Join(all, " ")
		}
	}
	switch {
	case command != "":
		t.Kind, t.Command, t.Title = "execute", command, command
	case name == "apply_patch":
		t.Kind, t.Title = "edit", "Edit files"
		if b, err := json.Marshal(lenient.Text(p["input"])); err == nil {
			t.Input = b
		}
	default:
		if raw := lenient.Text(p["arguments"]); json.Valid([]byte(raw)) {
			t.Input = json.RawMessage(raw)
		}
	}
	return t
}

func (g *gather) output(which int, id string, raw json.RawMessage) {
	n, ok := g.calls[which][id]
	delete(g.calls[which], id)
	in := g.in(which)
	i := in.Len() - 1 - (g.added[which] - n)
	if !ok || i < 0 || i >= in.Len() || in.At(i).Tool == nil {
		return
	}
	t := in.At(i).Tool
	t.Status = api.ToolCompleted
	text := lenient.Or(lenient.Text(raw), parts(raw))
	// Older ones wrap it once more.
	if f := lenient.Fields(json.RawMessage(text)); f["output"] != nil {
		text = lenient.Text(f["output"])
		if code, ok := lenient.Whole(lenient.Fields(f["metadata"])["exit_code"]); ok {
			exited(t, code)
		}
	}
	// Before the output stand lines for the model.
	if head, rest, ok := strings.Cut(text, "\nOutput:\n"); ok && len(head) < 1000 {
		for l := range strings.Lines(head) {
			for _, name := range []string{"Process exited with code ", "Exit code: "} {
				if s, ok := strings.CutPrefix(strings.TrimSpace(l), name); ok {
					if code, ok := lenient.Whole(json.RawMessage(s)); ok {
						exited(t, code)
					}
				}
			}
		}
		text = rest
	}
	t.Output = text
	in.Grew(len(text))
}

func exited(t *api.ToolCall, code int) {
	t.ExitCode = &code
	if code != 0 {
		t.Status = api.ToolFailed
	}
}
