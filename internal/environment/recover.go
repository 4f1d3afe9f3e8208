package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"catamaran/internal/api"
)

// What a person can do about an environment that does not come up (W5.4).

// drainBound is how long a restart of WSL waits for backends to end by themselves;
// those that hang are the reason for it.
const drainBound = 3 * time.Second

// RestartWSL ends every distro on this computer (`wsl --shutdown`) and starts
// those environments again that were up or on their way. Only ever called
// because a person asked for it. It goes on when ctx ends. Errors are *api.Error:
// CodeWSLMissing, CodeConflict while a mode changes, and those of wsl.exe.
func (p *Pool) RestartWSL(ctx context.Context) error {
	if p.wsl == nil {
		return errNoWSL()
	}
	p.mu.Lock()
	run := p.running
	if run == nil || run.Err() != nil {
		p.mu.Unlock()
		return errQuitting()
	}
	p.changes.Add(1)
	p.mu.Unlock()
	select {
	case p.slot <- struct{}{}:
	default:
		p.changes.Done()
		return &api.Error{Code: api.CodeConflict, Message: "the mode is being changed now", Hint: "Cancel that, or wait until it has ended."}
	}
	ended := make(chan error, 1)
	go func() {
		defer p.changes.Done()
		defer func() { <-p.slot }()
		ended <- p.restartWSL(run)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return asError(context.Cause(ctx), api.CodeCancelled, "the request ended before WSL was restarted")
	}
}

func (p *Pool) restartWSL(run context.Context) error {
	t := &transaction{p: p, ctx: run}
	var again, up []string
	p.mu.Lock()
	for id, r := range p.runners {
		if id == localID {
			continue
		}
		if s := r.view().State; s != api.EnvOff && s != api.EnvStopping {
			again = append(again, id)
			if occupied(s) {
				up = append(up, id)
			}
		}
	}
	p.mu.Unlock()
	for _, id := range up {
		p.runner(id).send(run, Event{Kind: evStop})
	}
	drain, cancel := context.WithTimeout(run, drainBound)
	t.until(drain, up, func(s api.EnvironmentState) bool { return s == api.EnvOff })
	cancel()
	err := p.wsl.Shutdown(run)
	for _, id := range again {
		// Also after a failure: what was on its way before must not stay off.
		if r := p.runner(id); r != nil {
			r.send(run, Event{Kind: evStart})
		}
	}
	if err != nil {
		return asError(err, api.CodeWSLBroken, "WSL could not be shut down")
	}
	return nil
}

// Log returns the end of what an environment's backend and its way up said, with
// the file it is kept in. Errors are *api.Error.
func (p *Pool) Log(id string) (api.EnvironmentLog, error) {
	r := p.runner(id)
	if r == nil || p.o.LogDir == "" {
		return api.EnvironmentLog{}, errUnknown(id)
	}
	l := api.EnvironmentLog{Path: logPath(p.o.LogDir, id)}
	text, err := fileEnd(l.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, &api.Error{Code: api.CodeInternal, Message: "the log could not be read", Hint: "It is at " + l.Path + ".", Details: err.Error()}
	}
	if now := r.logTail(); now != "" && !strings.Contains(text, now) {
		// A distro's launch is written to the file when it has ended.
		text += now
	}
	l.Truncated = len(text) > api.MaxLogText
	l.Text = strings.ToValidUTF8(text[max(0, len(text)-api.MaxLogText):], "")
	return l, nil
}

// fileEnd reads at most one byte more than MaxLogText.
func fileEnd(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, fi.Size()-api.MaxLogText-1), api.MaxLogText+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return string(b), nil
}
