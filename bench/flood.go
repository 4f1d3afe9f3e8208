package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The flood agent is an ACP agent of the benchmarks: "flood N S" sends N pieces of
// text a second for S seconds, "work" a turn as agents have them.
const floodRole = "flood-agent"

func floodMain() {
	for _, a := range os.Args[2:] {
		if a == "--version" {
			fmt.Println("1.0.0")
			return
		}
	}
	f := &flood{out: bufio.NewWriterSize(os.Stdout, 64<<10)}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 8<<20)
	for in.Scan() {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct {
				SessionID string `json:"sessionId"`
				Prompt    []struct{ Text string }
			}
		}
		if json.Unmarshal(in.Bytes(), &m) != nil || m.ID == nil || m.Method == "" {
			continue
		}
		switch m.Method {
		case "initialize":
			f.answer(m.ID, map[string]any{"protocolVersion": 1, "agentCapabilities": map[string]any{"loadSession": false}, "authMethods": []any{}})
		case "session/new":
			f.answer(m.ID, map[string]any{"sessionId": "s" + strconv.Itoa(os.Getpid())})
		case "session/prompt":
			text := ""
			for _, p := range m.Params.Prompt {
				text += p.Text
			}
			go f.turn(m.ID, m.Params.SessionID, text)
		default:
			f.send(map[string]any{"jsonrpc": "2.0", "id": m.ID, "error": map[string]any{"code": -32601, "message": "not here"}})
		}
	}
}

type flood struct {
	mu  sync.Mutex
	out *bufio.Writer
}

func (f *flood) send(v any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = json.NewEncoder(f.out).Encode(v)
	_ = f.out.Flush()
}

func (f *flood) answer(id json.RawMessage, result any) {
	f.send(map[string]any{"jsonrpc": "2.0", "id": id, "result": result})
}

func (f *flood) update(session string, u map[string]any) {
	f.send(map[string]any{"jsonrpc": "2.0", "method": "session/update", "params": map[string]any{"sessionId": session, "update": u}})
}

func (f *flood) text(session, kind, text string) {
	f.update(session, map[string]any{"sessionUpdate": kind, "content": map[string]any{"type": "text", "text": text}})
}

func piece(i int) string { return fmt.Sprintf("piece %06d \n", i) }

func (f *flood) turn(id json.RawMessage, session, prompt string) {
	words := strings.Fields(prompt)
	if len(words) == 3 && words[0] == "flood" {
		rate, _ := strconv.Atoi(words[1])
		seconds, _ := strconv.Atoi(words[2])
		start := time.Now()
		for i := range rate * seconds {
			if wait := time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))); wait > 0 {
				time.Sleep(wait)
			}
			f.text(session, "agent_message_chunk", piece(i))
		}
	} else {
		n, _ := strconv.Atoi(words[len(words)-1])
		f.work(session, n)
	}
	f.answer(id, map[string]any{"stopReason": "end_turn"})
}

// work plays a turn of the shape recorded sessions have: thinking, a few commands
// with output, an edit, text in small pieces; every tenth turn runs something long.
func (f *flood) work(session string, n int) {
	say := func(kind string, sentences int) {
		for i := range sentences {
			for _, w := range strings.SplitAfter(fmt.Sprintf("In turn %d sentence %d tells what was looked at, what follows from it and which file it is about. ", n, i), " ") {
				if w != "" {
					f.text(session, kind, w)
				}
			}
		}
	}
	say("agent_thought_chunk", 3)
	for c := range 6 {
		id := fmt.Sprintf("call-%d-%d", n, c)
		f.update(session, map[string]any{"sessionUpdate": "tool_call", "toolCallId": id, "title": fmt.Sprintf("Run check %d", c), "kind": "execute", "status": "in_progress",
			"rawInput": map[string]any{"command": fmt.Sprintf("go test ./part%d/...", c)}})
		lines := 20
		if n%10 == 9 && c == 0 {
			lines = 20_000
		}
		var all strings.Builder
		for l := range lines {
			fmt.Fprintf(&all, "ok  example/part%d/unit%05d 0.0%ds\n", c, l, l%90)
		}
		f.update(session, map[string]any{"sessionUpdate": "tool_call_update", "toolCallId": id, "status": "completed",
			"content": []any{map[string]any{"type": "content", "content": map[string]any{"type": "text", "text": all.String()}}}})
		say("agent_message_chunk", 2)
	}
	id := fmt.Sprintf("edit-%d", n)
	f.update(session, map[string]any{"sessionUpdate": "tool_call", "toolCallId": id, "title": "Edit main.go", "kind": "edit", "status": "completed",
		"content": []any{map[string]any{"type": "diff", "path": "/main.go", "oldText": strings.Repeat("old line\n", 30), "newText": strings.Repeat("new line\n", 34)}}})
	say("agent_message_chunk", 8)
}

// floodHome makes a home whose login shell finds the flood agent under the name of
// an agent the app knows, and returns the environment for the backend.
func floodHome(s *setup) ([]string, error) {
	home, err := os.MkdirTemp(s.tmp, "flood")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(home, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(home, "project"), 0o755); err != nil {
		return nil, err
	}
	files := map[string]string{
		filepath.Join(bin, "qwen"):      fmt.Sprintf("#!/bin/sh\nexec '%s' %s \"$@\"\n", self, floodRole),
		filepath.Join(home, ".profile"): fmt.Sprintf("PATH='%s':$PATH\nexport PATH\n", bin),
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			return nil, err
		}
	}
	return []string{"HOME=" + home, "SHELL=/bin/sh", "PATH=" + bin + ":" + os.Getenv("PATH"), "CATAMARAN_HOME=" + filepath.Join(home, "state"), "LANG=C.UTF-8"}, nil
}
