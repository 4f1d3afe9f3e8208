package main

import (
	"errors"
	"fmt"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/shell"
)

// quitWait bounds the wait until a desktop that was asked to end has ended, its backends with it.
const quitWait = 20 * time.Second

type quitCommand struct {
	Force bool `help:"End even while agents work; their turns become interrupted."`
}

// Run ends the running desktop and waits until it is gone: installers replace files after it.
func (c *quitCommand) Run(t *terminal) error {
	if err := t.call(false, api.MethodQuit, api.Quit{Force: c.Force}, nil); err != nil {
		return err
	}
	deadline := time.Now().Add(quitWait)
	for {
		inst, err := shell.Claim(t.ctx, t.desktop)
		if err == nil {
			return inst.Close()
		}
		if !errors.Is(err, shell.ErrRunning) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the desktop was asked to end and is still there after %v; see: catamaran logs", quitWait)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
	}
}
