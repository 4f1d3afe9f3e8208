package codex_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/lenient"
)

// worker is a scripted app-server that behaves: it asks as its approval policy
// says, really makes its files, streams until it is stopped, and knows its thread again.
type worker struct {
	*fakeCodex
	policy, dir string
	turns       int
}

const fakeThread = "thread-of-the-worker"

func works(f *fakeCodex) int {
	w := &worker{fakeCodex: f}
	f.thread = fakeThread
	for {
		m, ok := f.Read()
		if !ok {
			return 0
		}
		p := lenient.Fields(m.Params)
		switch m.Method {
		case "initialize":
			f.Line(`{"id":%s,"result":{"userAgent":"catamaran/0.169.0 (x)"}}`, m.ID)
		case "account/read":
			f.Line(`{"id":%s,"result":{"requiresOpenaiAuth":false}}`, m.ID)
		case "thread/resume", "thread/start":
			if m.Method == "thread/resume" && lenient.Text(p["threadId"]) != fakeThread {
				f.Line(`{"id":%s,"error":{"code":-32600,"message":"no rollout found"}}`, m.ID)
				continue
			}
			w.policy, w.dir = lenient.Text(p["approvalPolicy"]), lenient.Text(p["cwd"])
			f.Line(`{"id":%s,"result":{"thread":{"id":%q}}}`, m.ID, fakeThread)
		case "turn/start":
			w.turns++
			id := fmt.Sprintf("u%d", w.turns)
			f.Line(`{"id":%s,"result":{"turn":{"id":%q}}}`, m.ID, id)
			status := w.turn(string(p["input"]))
			f.Line(`{"method":"turn/completed","params":{"threadId":%q,"turn":{"id":%q,"status":%q}}}`, fakeThread, id, status)
		}
	}
}

func (w *worker) turn(input string) string {
	if strings.Contains(input, "stream") {
		w.say("word ")
		for {
			if c, ok := w.Read(); !ok || c.Method == "turn/interrupt" {
				w.Line(`{"id":%s,"result":{}}`, c.ID)
				return "interrupted"
			}
		}
	}
	w.say("working ")
	command := fmt.Sprintf(`"type":"commandExecution","id":"c%d","command":"/bin/sh -c 'echo hello > made.txt'"`, w.turns)
	w.item("started", command+`,"status":"inProgress"`)
	if w.policy != "never" {
		if status := w.asked("item/commandExecution/requestApproval", fmt.Sprintf(`{"itemId":"c%d","command":"/bin/sh -c 'echo hello > made.txt'","availableDecisions":["accept","cancel"]}`, w.turns)); status != "" {
			w.item("completed", command+`,"status":"declined"`)
			return status
		}
	}
	_ = os.WriteFile(filepath.Join(w.dir, "made.txt"), []byte("hello\n"), 0o600) // the story looks
	w.item("completed", command+`,"status":"completed","exitCode":0,"aggregatedOutput":"hello\n"`)

	notes := filepath.Join(w.dir, "notes.md")
	edit := fmt.Sprintf(`"type":"fileChange","id":"f%d","changes":[{"path":%s,"kind":{"type":"add"},"diff":"written by the fake\n"}]`, w.turns, quote(notes))
	w.item("started", edit+`,"status":"inProgress"`)
	if w.policy == "untrusted" {
		if status := w.asked("item/fileChange/requestApproval", fmt.Sprintf(`{"itemId":"f%d"}`, w.turns)); status != "" {
			w.item("completed", edit+`,"status":"declined"`)
			return status
		}
	}
	_ = os.WriteFile(notes, []byte("written by the fake\n"), 0o600) // the story looks
	w.item("completed", edit+`,"status":"completed"`)
	w.say("done")
	return "completed"
}

// asked returns how the turn ends, "" where it goes on. "cancel" ends it, and so
// does an interrupt, which is answered.
func (w *worker) asked(method, params string) string {
	w.ids++
	w.Line(`{"id":%d,"method":%q,"params":%s}`, w.ids, method, params)
	for {
		m, ok := w.Read()
		switch {
		case !ok:
			return "interrupted"
		case m.Method == "turn/interrupt":
			w.Line(`{"id":%s,"result":{}}`, m.ID)
			return "interrupted"
		case m.Method != "":
		case strings.Contains(string(m.Result), "accept"):
			return ""
		case strings.Contains(string(m.Result), "cancel"):
			// Codex ends the turn; an interrupt that is still on its way is refused.
			return "interrupted"
		}
	}
}

func TestFakeConforms(t *testing.T) {
	t.Parallel()
	target := own(t, "works")
	target.Work, target.Stream = "work", "stream"
	target.Made, target.Wrote, target.WroteText, target.Output = "made.txt", "notes.md", "written by the fake", "hello"
	agenttest.Run(t, target)
}
