package demoagent

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"catamaran/internal/proc"
)

const (
	// commandTime is how long a command may run before it is ended.
	commandTime = 10 * time.Minute
	// keptOutput bounds the output that is kept, in bytes; the earlier part goes first.
	keptOutput = 64 << 10
	// outputPause is the least time between two updates of a running command.
	outputPause = 100 * time.Millisecond
)

// output collects what a command writes to both its streams.
type output struct {
	mu      sync.Mutex
	b       []byte
	cut     bool
	changed chan struct{} // capacity 1
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	o.b = append(o.b, b...)
	if over := len(o.b) - keptOutput; over > 0 {
		o.b, o.cut = append([]byte(nil), o.b[over:]...), true
	}
	o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := strings.ToValidUTF8(string(o.b), "\uFFFD")
	if o.cut {
		s = "[earlier output left out]\n" + s
	}
	return s
}

// runAndSay runs a command and tells how it went.
func (t *turn) runAndSay(command string) error {
	said, err := t.run(command)
	if err != nil {
		return err
	}
	return t.say(said)
}

// run asks, runs the command and streams its output. It returns what to say.
func (t *turn) run(command string) (string, error) {
	id := t.newCall()
	call := object{
		"toolCallId": id, "title": command, "kind": "execute", "status": "pending",
		"rawInput": object{"command": command, "cwd": t.se.dir},
	}
	if err := t.update("tool_call", call); err != nil {
		return "", err
	}
	ok, err := t.allowed("execute", call)
	if err != nil {
		return "", err
	}
	if !ok {
		return "You declined it, so I did not run `" + command + "`.", t.failed(id, "declined")
	}
	if err := t.update("tool_call_update", object{"toolCallId": id, "status": "in_progress"}); err != nil {
		return "", err
	}
	out := &output{changed: make(chan struct{}, 1)}
	spec := shell(command)
	spec.Name, spec.Dir, spec.Stderr = "command", t.se.dir, out
	p, err := proc.Start(spec)
	if err != nil {
		return "It could not be started.", t.failed(id, err.Error())
	}
	_ = p.Stdin().Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(out, p.Stdout())
	}()
	err = t.follow(id, p, out, read)
	stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if stopErr := p.Stop(stop, proc.Ladder{Terminate: 500 * time.Millisecond, Kill: 3 * time.Second}); stopErr != nil {
		return "", stopErr
	}
	<-read
	if err != nil {
		return "", err
	}
	code, status := p.ExitCode(), "completed"
	if code != 0 {
		status = "failed"
	}
	all := out.text()
	if err := t.update("tool_call_update", object{
		"toolCallId": id, "status": status, "content": text(all), "rawOutput": object{"output": all, "exitCode": code},
	}); err != nil {
		return "", err
	}
	if sig := p.Signal(); sig != "" {
		return fmt.Sprintf("`%s` was ended by a signal (%s).", command, sig), nil
	}
	return fmt.Sprintf("`%s` ended with exit code %d.", command, code), nil
}

// follow sends the growing output until the command ends or the turn is cancelled.
func (t *turn) follow(id string, p *proc.Process, out *output, read <-chan struct{}) error {
	deadline := time.NewTimer(commandTime)
	defer deadline.Stop()
	for {
		select {
		case <-p.Done():
			<-read
			return nil
		case <-t.ctx.Done():
			return t.ctx.Err()
		case <-deadline.C:
			return nil
		case <-out.changed:
			if err := t.update("tool_call_update", object{"toolCallId": id, "status": "in_progress", "content": text(out.text())}); err != nil {
				return err
			}
			if err := t.wait(outputPause); err != nil {
				return err
			}
		}
	}
}

// notesFile is what the demonstration writes.
const notesFile = "catamaran-demo.md"

// demo is the whole tour in one turn.
func (t *turn) demo() error {
	steps := []string{"List the files", "Look at the state of the folder", "Write " + notesFile, "Sum up"}
	if err := t.think("The demonstration: look around, run one harmless command, write one file, sum up."); err != nil {
		return err
	}
	if err := t.plan(0, steps...); err != nil {
		return err
	}
	if err := t.say("I will show you what an agent does here. First I look around."); err != nil {
		return err
	}
	names, err := t.list()
	if err != nil {
		return err
	}
	if err := t.plan(1, steps...); err != nil {
		return err
	}
	command := look
	if _, err := os.Stat(filepath.Join(t.se.dir, ".git")); err == nil {
		command = "git status --short"
	}
	if err := t.say("Next a command; you decide whether it may run."); err != nil {
		return err
	}
	ran, err := t.run(command)
	if err != nil {
		return err
	}
	if err := t.plan(2, steps...); err != nil {
		return err
	}
	if err := t.say(ran + " Now I write a small file."); err != nil {
		return err
	}
	note := fmt.Sprintf("# Written by the demo agent\n\n%s: this folder held %d entries.\n", time.Now().Format(time.DateTime), len(names))
	wrote, err := t.edit(notesFile, func(string) string { return note })
	if err != nil {
		return err
	}
	if err := t.plan(3, steps...); err != nil {
		return err
	}
	sum := fmt.Sprintf("## What happened\n\n- I listed **%d** entries.\n- %s\n- %s\n\nThe file's text:\n\n```markdown\n%s```\n\nTry `stream 20` and press Stop, or `run date`.", len(names), ran, wrote, note)
	if err := t.say(sum); err != nil {
		return err
	}
	return t.plan(4, steps...)
}
