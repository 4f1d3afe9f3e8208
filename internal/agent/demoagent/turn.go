package demoagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// turn is one prompt being worked on. Its methods return ctx's error as soon as
// the turn is cancelled.
type turn struct {
	s     *server
	se    *session
	ctx   context.Context
	calls int
	words int

	pictures [][]byte
	pace     time.Duration // between two words
	planning bool
	model    string
}

var (
	backticked = regexp.MustCompile("`([^`\n]+)`")
	runPhrase  = regexp.MustCompile(`(?is)^run[: ]\s*(.+)$`)
	writeFile  = regexp.MustCompile(`(?is)^(?:write|create|edit)\s+(?:to\s+)?(?:the file\s+)?["']?([^\s:"']+)["']?\s*:\s*(.*)$`)
	addLine    = regexp.MustCompile(`(?is)^(?:edit|add a line)(?:\s+(?:(?:in|to)\s+)?([^\s:]+))?(?:\s*:\s*(.*))?$`)
	streamFor  = regexp.MustCompile(`(?i)^(?:stream|count slowly|count)(?:\s+(?:to|for)?\s*(\d+))?\b`)
	everything = regexp.MustCompile(`(?i)^(?:demo|tour|try everything|do everything|everything|show me everything|show me)?[.!]?$`)
)

// do follows the phrase in the prompt.
func (t *turn) do(text string) error {
	text = strings.TrimSpace(text)
	text = strings.TrimPrefix(text, "/") // a slash command is a phrase too
	lower := strings.ToLower(text)
	switch {
	case len(t.pictures) > 0:
		return t.look()
	case strings.Contains(lower, "which model"):
		return t.say("I run as **" + t.model + "**. It is the same handful of phrases, written at another pace.")
	case strings.HasPrefix(lower, "ask me") || strings.HasPrefix(lower, "question"):
		return t.question()
	case t.planning:
		return t.proposed(text)
	case everything.MatchString(text):
		return t.demo()
	case strings.HasPrefix(text, "Write a Git commit message"):
		return t.say(commitMessage(text))
	case writeFile.MatchString(text):
		m := writeFile.FindStringSubmatch(text)
		return t.writeAndSay(m[1], func(string) string { return strings.TrimRight(m[2], "\n") + "\n" })
	case addLine.MatchString(text):
		m := addLine.FindStringSubmatch(text)
		name, line := m[1], strings.TrimSpace(m[2])
		if name == "" {
			name = notesFile
		}
		if line == "" {
			line = "A line added by the demo agent at " + time.Now().Format(time.DateTime) + "."
		}
		return t.writeAndSay(name, func(old string) string {
			if old != "" && !strings.HasSuffix(old, "\n") {
				old += "\n"
			}
			return old + line + "\n"
		})
	case backticked.MatchString(text):
		return t.runAndSay(strings.TrimSpace(backticked.FindStringSubmatch(text)[1]))
	case runPhrase.MatchString(text):
		return t.runAndSay(strings.TrimSpace(runPhrase.FindStringSubmatch(text)[1]))
	case streamFor.MatchString(lower):
		seconds := 20
		if n, err := strconv.Atoi(streamFor.FindStringSubmatch(lower)[1]); err == nil {
			seconds = min(max(n, 1), 600)
		}
		return t.stream(seconds)
	case strings.HasPrefix(lower, "plan"):
		return t.planned()
	case lower == "ls" || strings.HasPrefix(lower, "list"):
		names, err := t.list()
		if err != nil {
			return err
		}
		return t.say(fmt.Sprintf("There are **%d** entries here.%s", len(names), inline(names)))
	}
	return t.say(help)
}

// commitMessage names the files that the changes in text are about.
func commitMessage(text string) string {
	var names []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if i := strings.LastIndex(line, " b/"); strings.HasPrefix(line, "diff --git ") && i > 0 {
			names = append(names, line[i+3:])
		} else if name, ok := strings.CutPrefix(line, "new file: "); ok {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return "Change nothing"
	case 1:
		return "Change " + names[0]
	}
	return fmt.Sprintf("Change %s and %d more", names[0], len(names)-1)
}

const help = "Hello! I am the **demo agent**: I need no account and no network, and I understand only a few phrases. What I say I do, I really do, and I ask first.\n\n" +
	"- `list`: list the files of this folder\n" +
	"- `run git status`: run a command, after your approval\n" +
	"- `write notes.txt: some text`: write a file, after your approval\n" +
	"- `add a line to notes.txt`: change a file\n" +
	"- `plan`: work along a plan\n" +
	"- `ask me`: ask you something back\n" +
	"- `which model`: tell the model you chose\n" +
	"- a picture: say what kind it is and how large\n" +
	"- `stream 20`: write for 20 seconds, so that you can try Stop\n" +
	"- `demo`: all of it in one turn\n"

func inline(names []string) string {
	if len(names) == 0 {
		return ""
	}
	shown := names[:min(len(names), 8)]
	s := "\n\n"
	for _, n := range shown {
		s += "- `" + n + "`\n"
	}
	if len(names) > len(shown) {
		s += fmt.Sprintf("- and %d more\n", len(names)-len(shown))
	}
	return s
}

func (t *turn) update(kind string, fields object) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	u := object{"sessionUpdate": kind}
	for k, v := range fields {
		u[k] = v
	}
	return t.s.peer.Notify(t.ctx, "session/update", object{"sessionId": t.se.id, "update": u})
}

func (t *turn) wait(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.ctx.Done():
		return t.ctx.Err()
	}
}

// say writes a message word by word.
func (t *turn) say(text string) error { return t.write("agent_message_chunk", text, t.pace) }

// think writes a thought.
func (t *turn) think(text string) error { return t.write("agent_thought_chunk", text, t.pace) }

func (t *turn) write(kind, text string, pause time.Duration) error {
	for word := range strings.SplitAfterSeq(text, " ") {
		if err := t.update(kind, object{"content": object{"type": "text", "text": word}}); err != nil {
			return err
		}
		t.words++
		if err := t.wait(pause); err != nil {
			return err
		}
	}
	return nil
}

func (t *turn) stream(seconds int) error {
	const each = 100 * time.Millisecond
	if err := t.say(fmt.Sprintf("I will count for %d seconds; press Stop whenever you like.\n\n", seconds)); err != nil {
		return err
	}
	for i := range seconds * int(time.Second/each) {
		word := strconv.Itoa(i+1) + " "
		if (i+1)%20 == 0 {
			word += "\n"
		}
		if err := t.update("agent_message_chunk", object{"content": object{"type": "text", "text": word}}); err != nil {
			return err
		}
		t.words++
		if err := t.wait(each); err != nil {
			return err
		}
	}
	return t.say("\nDone counting.")
}

// plan emits the whole plan with the steps before current completed.
func (t *turn) plan(current int, steps ...string) error {
	entries := make([]object, len(steps))
	for i, s := range steps {
		status := "pending"
		if i < current {
			status = "completed"
		} else if i == current {
			status = "in_progress"
		}
		entries[i] = object{"content": s, "priority": "medium", "status": status}
	}
	return t.update("plan", object{"entries": entries})
}

func (t *turn) planned() error {
	steps := []string{"Look at the folder", "Count files and folders", "Sum up"}
	if err := t.plan(0, steps...); err != nil {
		return err
	}
	names, err := t.list()
	if err != nil {
		return err
	}
	if err := t.plan(1, steps...); err != nil {
		return err
	}
	folders := 0
	for _, n := range names {
		if strings.HasSuffix(n, "/") {
			folders++
		}
	}
	if err := t.think("Counting what I have listed."); err != nil {
		return err
	}
	if err := t.plan(2, steps...); err != nil {
		return err
	}
	if err := t.say(fmt.Sprintf("I followed the plan: this folder holds **%d files** and **%d folders**.", len(names)-folders, folders)); err != nil {
		return err
	}
	return t.plan(3, steps...)
}

// list lists the session's directory as a tool call; folders end with a slash.
func (t *turn) list() ([]string, error) {
	id := t.newCall()
	if err := t.update("tool_call", object{
		"toolCallId": id, "title": "List files", "kind": "search", "status": "in_progress",
		"locations": []object{{"path": t.se.dir}}, "rawInput": object{"path": t.se.dir},
	}); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(t.se.dir)
	if err != nil {
		return nil, t.failed(id, err.Error())
	}
	const most = 1000
	var names []string
	for _, e := range entries[:min(len(entries), most)] {
		n := e.Name()
		if e.IsDir() {
			n += "/"
		}
		names = append(names, n)
	}
	slices.Sort(names)
	out := strings.Join(names, "\n")
	return names, t.update("tool_call_update", object{"toolCallId": id, "status": "completed", "content": text(out), "rawOutput": object{"output": out}})
}

func text(s string) []object {
	return []object{{"type": "content", "content": object{"type": "text", "text": s}}}
}

func (t *turn) newCall() string {
	t.calls++
	return fmt.Sprintf("demo-call-%s-%d", strconv.FormatInt(time.Now().UnixNano(), 36), t.calls)
}

// failed ends a tool call that could not be done; the turn goes on to say so.
func (t *turn) failed(id, why string) error {
	return t.update("tool_call_update", object{"toolCallId": id, "status": "failed", "content": text(why)})
}

// allowed asks for permission unless the mode or an earlier answer gives it.
func (t *turn) allowed(kind string, call object) (bool, error) {
	t.s.mu.Lock()
	free := t.se.mode == modeAll || (t.se.mode == modeEdit && kind == "edit") || t.se.always[kind]
	t.s.mu.Unlock()
	if free {
		return true, nil
	}
	raw, err := t.s.peer.Call(t.ctx, "session/request_permission", object{
		"sessionId": t.se.id, "toolCall": call,
		"options": []object{
			{"optionId": "once", "name": "Allow", "kind": "allow_once"},
			{"optionId": "always", "name": "Allow for this session", "kind": "allow_always"},
			{"optionId": "reject", "name": "Decline", "kind": "reject_once"},
		},
	})
	if err != nil {
		return false, fmt.Errorf("ask for permission: %w", err)
	}
	var answer struct {
		Outcome struct {
			Outcome  string `json:"outcome"`
			OptionID string `json:"optionId"`
		} `json:"outcome"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return false, fmt.Errorf("ask for permission: %w", err)
	}
	if answer.Outcome.OptionID == "always" {
		t.s.mu.Lock()
		t.se.always[kind] = true
		t.s.mu.Unlock()
	}
	return answer.Outcome.Outcome == "selected" && (answer.Outcome.OptionID == "once" || answer.Outcome.OptionID == "always"), nil
}

// writeAndSay changes a file and tells how it went.
func (t *turn) writeAndSay(name string, change func(old string) string) error {
	done, err := t.edit(name, change)
	if err != nil {
		return err
	}
	return t.say(done)
}

var errOutside = errors.New("that path is outside this folder, so I leave it alone")

// within resolves name below the session's directory, symbolic links included.
func (t *turn) within(name string) (string, error) {
	root, err := filepath.EvalSymlinks(t.se.dir)
	if err != nil {
		return "", err
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(root, name)
	}
	// The file may be new; its folder must be there.
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	path = filepath.Join(parent, filepath.Base(path))
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return "", errors.New("that is not an ordinary file, so I leave it alone")
	}
	if rel, err := filepath.Rel(root, path); err != nil || !filepath.IsLocal(rel) {
		return "", errOutside
	}
	return path, nil
}

// edit proposes a change with its diff, asks, and writes. It returns what to say.
func (t *turn) edit(name string, change func(old string) string) (string, error) {
	path, err := t.within(name)
	if err != nil {
		return fmt.Sprintf("I cannot write `%s`: %v.", name, err), nil
	}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Sprintf("I cannot read `%s`: %v.", name, err), nil
	}
	before, title := object{"oldText": string(raw)}, "Edit "+name
	if err != nil {
		before, title = object{"oldText": nil}, "Write "+name
	}
	after := change(string(raw))
	diff := object{"type": "diff", "path": path, "newText": after}
	diff["oldText"] = before["oldText"]
	id := t.newCall()
	call := object{
		"toolCallId": id, "title": title, "kind": "edit", "status": "pending",
		"locations": []object{{"path": path}}, "content": []object{diff}, "rawInput": object{"path": path, "content": after},
	}
	if err := t.update("tool_call", call); err != nil {
		return "", err
	}
	ok, err := t.allowed("edit", call)
	if err != nil {
		return "", err
	}
	if !ok {
		return fmt.Sprintf("You declined it, so I left `%s` alone.", name), t.failed(id, "declined")
	}
	if err := os.WriteFile(path, []byte(after), 0o644); err != nil {
		return fmt.Sprintf("Writing `%s` failed: %v.", name, err), t.failed(id, err.Error())
	}
	return fmt.Sprintf("I wrote `%s`.", name), t.update("tool_call_update", object{"toolCallId": id, "status": "completed", "content": []object{diff}})
}
