package claude

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// Claude Code keeps one file of JSON lines for a conversation, in a folder named
// after the working directory (seen with 2.1.330). Entries form a tree by uuid and
// parentUuid: what was taken back stays in the file, off the branch that ends with
// the last message.

const (
	// headBytes is what is read of each file for a list; a file that is not longer is counted.
	headBytes = 256 << 10
	// nameMost is where Claude Code cuts the name of a folder and goes on with a hash.
	nameMost = 200
	// filesMost bounds the files that are looked into for one list.
	filesMost = 1000
)

type entry struct {
	Type        string          `json:"type"`
	UUID        string          `json:"uuid"`
	Parent      string          `json:"parentUuid"`
	Logical     string          `json:"logicalParentUuid"`
	Sidechain   bool            `json:"isSidechain"`
	Meta        bool            `json:"isMeta"`
	Summarising bool            `json:"isCompactSummary"`
	Timestamp   string          `json:"timestamp"`
	Cwd         string          `json:"cwd"`
	Title       string          `json:"customTitle"`
	AITitle     string          `json:"aiTitle"`
	Summary     string          `json:"summary"`
	Message     json.RawMessage `json:"message"`
}

// read decodes one line, field by field where the shape has changed.
func read(line []byte) (e entry, ok bool) {
	if json.Unmarshal(line, &e) == nil {
		return e, true
	}
	f := lenient.Fields(line)
	if f == nil {
		return e, false
	}
	return entry{Type: lenient.Text(f["type"]), UUID: lenient.Text(f["uuid"]), Parent: lenient.Text(f["parentUuid"]), Logical: lenient.Text(f["logicalParentUuid"]),
		Sidechain: lenient.True(f["isSidechain"]), Meta: lenient.True(f["isMeta"]), Summarising: lenient.True(f["isCompactSummary"]), Timestamp: lenient.Text(f["timestamp"]),
		Cwd: lenient.Text(f["cwd"]), Title: lenient.Text(f["customTitle"]), AITitle: lenient.Text(f["aiTitle"]), Summary: lenient.Text(f["summary"]), Message: f["message"]}, true
}

// folders are where conversations about dir can be.
func folders(dir string, env []string) []string {
	config := agent.Getenv(env, "CLAUDE_CONFIG_DIR")
	if !filepath.IsAbs(config) {
		config = filepath.Join(agent.HomeIn(env), ".claude")
	}
	root := filepath.Join(config, "projects")
	name := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' {
			return r
		}
		return '-'
	}, dir)
	if len(name) <= nameMost {
		return []string{filepath.Join(root, name)}
	}
	var all []string
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), name[:nameMost]) {
			all = append(all, filepath.Join(root, e.Name()))
		}
	}
	return all
}

// Kept lists the conversations Claude Code keeps about dir.
func (d *Driver) Kept(ctx context.Context, dir string, env []string) ([]agent.Kept, error) {
	type file struct {
		path string
		at   int64
	}
	var files []file
	for _, folder := range folders(dir, env) {
		entries, err := os.ReadDir(folder)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			info, err := e.Info()
			if id, ok := strings.CutSuffix(e.Name(), ".jsonl"); err == nil && ok && info.Mode().IsRegular() && agent.ValidKeptID(id) && !strings.HasPrefix(id, "agent-") {
				files = append(files, file{filepath.Join(folder, e.Name()), info.ModTime().UnixMilli()})
			}
		}
	}
	slices.SortFunc(files, func(a, b file) int { return int(min(max(b.at-a.at, -1), 1)) })
	var all []agent.Kept
	for _, f := range files[:min(len(files), filesMost)] {
		if len(all) == agent.KeptMost {
			break
		}
		k, ok := glance(ctx, f.path, dir)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if ok {
			k.UpdatedAt = f.at
			all = append(all, k)
		}
	}
	return agent.Newest(all), nil
}

// glance looks at the beginning of a file: whether it is a conversation about dir, and its title.
func glance(ctx context.Context, path, dir string) (agent.Kept, bool) {
	k := agent.Kept{ID: strings.TrimSuffix(filepath.Base(path), ".jsonl")}
	cwd, prompt, named, n := "", "", "", 0
	err := agent.Lines(ctx, path, headBytes, func(line []byte) bool {
		e, ok := read(line)
		if !ok {
			return true
		}
		named = lenient.Or(e.Title, lenient.Or(e.AITitle, lenient.Or(named, e.Summary)))
		if e.Sidechain {
			return true
		}
		cwd = lenient.Or(cwd, e.Cwd)
		switch e.Type {
		case "assistant":
			n++
		case "user":
			if text, _ := said(e); text != "" {
				n++
				prompt = lenient.Or(prompt, text)
			}
		}
		return true
	})
	if err != nil || prompt == "" || cwd != "" && filepath.Clean(cwd) != filepath.Clean(dir) {
		return k, false
	}
	k.Title = agent.TitleOf(lenient.Or(named, prompt))
	if info, err := os.Stat(path); err == nil && info.Size() <= headBytes {
		k.Messages = n
	}
	return k, true
}

// said is what a person wrote in a user entry; "" for tool results and what the program added itself.
func said(e entry) (text string, pictures int) {
	if e.Meta || e.Summarising {
		return "", 0
	}
	content := lenient.Fields(e.Message)["content"]
	parts := []string{lenient.Text(content)}
	for _, raw := range lenient.List(content) {
		f := lenient.Fields(raw)
		switch lenient.Text(f["type"]) {
		case "text":
			parts = append(parts, lenient.Text(f["text"]))
		case "image":
			pictures++
		}
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" || added(s) })
	return strings.Join(parts, "\n"), pictures
}

// added reports whether a text was put into a message by the program.
func added(s string) bool {
	for _, tag := range []string{"<command-", "<local-command-", "<system-reminder>", "<bash-", "<task-notification>", "Caveat: The messages below"} {
		if strings.HasPrefix(strings.TrimSpace(s), tag) {
			return true
		}
	}
	return false
}

// ReadKept reads a conversation, along its last branch.
func (d *Driver) ReadKept(ctx context.Context, dir string, env []string, id string) (agent.Conversation, error) {
	if !agent.ValidKeptID(id) {
		return agent.Conversation{}, agent.ErrNotKept
	}
	for _, folder := range folders(dir, env) {
		path := filepath.Join(folder, id+".jsonl")
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		k, ok := glance(ctx, path, dir)
		if !ok {
			continue
		}
		k.UpdatedAt = info.ModTime().UnixMilli()
		c := agent.Conversation{Kept: k}
		c.Items, c.Cut, err = conversation(ctx, path)
		return c, err
	}
	return agent.Conversation{}, agent.ErrNotKept
}

func conversation(ctx context.Context, path string) ([]api.Item, bool, error) {
	branch, err := lastBranch(ctx, path)
	if err != nil {
		return nil, false, err
	}
	b := builder{tools: map[string]int{}}
	err = agent.Lines(ctx, path, 0, func(line []byte) bool {
		if e, ok := read(line); ok && !e.Sidechain {
			b.add(e, branch == nil || branch[e.UUID])
		}
		return true
	})
	items, cut := b.Items()
	return items, cut, err
}

// lastBranch are the uuids from the last message to the beginning; nil where entries form no tree.
func lastBranch(ctx context.Context, path string) (map[string]bool, error) {
	parents := map[string]string{}
	last := ""
	err := agent.Lines(ctx, path, 0, func(line []byte) bool {
		e, ok := read(line)
		if !ok || e.UUID == "" || e.Sidechain {
			return true
		}
		parents[e.UUID] = lenient.Or(e.Parent, e.Logical)
		if e.Type == "user" || e.Type == "assistant" {
			last = e.UUID
		}
		return true
	})
	if err != nil || last == "" {
		return nil, err
	}
	branch := map[string]bool{}
	for at := last; at != "" && !branch[at]; at = parents[at] {
		branch[at] = true
	}
	return branch, nil
}

type builder struct {
	agent.Gather
	tools map[string]int // where calls are, from the end of what has been added
	added int
}

func (b *builder) add(e entry, onBranch bool) {
	at := agent.Millis(e.Timestamp)
	content := lenient.Fields(e.Message)["content"]
	switch e.Type {
	case "user":
		// Results of calls side by side hang off the branch.
		for _, raw := range lenient.List(content) {
			if f := lenient.Fields(raw); lenient.Text(f["type"]) == "tool_result" {
				b.result(f)
			}
		}
		text, pictures := said(e)
		if pictures > 0 {
			text = strings.TrimSpace(text + "\n" + strings.Repeat("[picture] ", min(pictures, 20)))
		}
		if onBranch && text != "" {
			b.put(api.Item{Kind: api.ItemUserMessage, CreatedAt: at, Text: text})
		}
	case "assistant":
		if !onBranch {
			return
		}
		if s := lenient.Text(content); s != "" {
			b.put(api.Item{Kind: api.ItemAgentMessage, CreatedAt: at, Text: s})
		}
		for _, raw := range lenient.List(content) {
			b.part(lenient.Fields(raw), at)
		}
	}
}

func (b *builder) part(f map[string]json.RawMessage, at int64) {
	switch lenient.Text(f["type"]) {
	case "text":
		if s := lenient.Text(f["text"]); s != "" {
			b.put(api.Item{Kind: api.ItemAgentMessage, CreatedAt: at, Text: s})
		}
	case "thinking":
		if s := lenient.Text(f["thinking"]); s != "" {
			b.put(api.Item{Kind: api.ItemReasoning, CreatedAt: at, Text: s})
		}
	case "tool_use":
		u := describe(lenient.Text(f["name"]), f["input"])
		b.put(api.Item{Kind: api.ItemToolCall, CreatedAt: at, Tool: &api.ToolCall{Kind: u.Kind, Title: u.Title, Command: u.Command,
			Input: u.Input, Locations: u.Locations, Edits: u.Edits, Status: api.ToolCancelled}})
		if id := lenient.Text(f["id"]); id != "" {
			b.tools[id] = b.added
		}
	}
}

func (b *builder) put(it api.Item) {
	b.added++
	n := len(it.Text)
	if it.Tool != nil {
		n += 2 * len(it.Tool.Input)
	}
	b.Add(it, n)
}

// result completes a call that is still held.
func (b *builder) result(f map[string]json.RawMessage) {
	id := lenient.Text(f["tool_use_id"])
	n, ok := b.tools[id]
	delete(b.tools, id)
	i := b.Len() - 1 - (b.added - n)
	if !ok || i < 0 || b.At(i).Tool == nil {
		return
	}
	t := b.At(i).Tool
	t.Status = api.ToolCompleted
	if lenient.True(f["is_error"]) {
		t.Status = api.ToolFailed
	}
	t.Output = lenient.Text(f["content"])
	for _, raw := range lenient.List(f["content"]) {
		t.Output += lenient.Text(lenient.Fields(raw)["text"])
	}
	b.Grew(len(t.Output))
}
