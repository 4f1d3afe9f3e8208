package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/shell"
)

type integrateCommand struct {
	On  []string `placeholder:"WHAT" help:"Turn on: links (catamaran: addresses), menu (Open in Catamaran on folders), login (start with this user's session)."`
	Off []string `placeholder:"WHAT" help:"Turn off."`
}

// Run changes how the system knows the app, for this user, and prints how it does.
func (c *integrateCommand) Run(t *terminal) error {
	exe, err := program()
	if err != nil {
		return err
	}
	all := shell.Integrations()
	for _, w := range append(slices.Clone(c.On), c.Off...) {
		if !slices.Contains(all, shell.Integration(w)) {
			return usageError{fmt.Errorf("%q is none of links, menu and login", w)}
		}
		if slices.Contains(c.On, w) && slices.Contains(c.Off, w) {
			return usageError{fmt.Errorf("%s cannot be turned on and off at once", w)}
		}
	}
	for _, w := range c.On {
		if err := shell.Integrate(shell.Integration(w), exe); err != nil {
			return err
		}
	}
	for _, w := range c.Off {
		if err := shell.Disintegrate(shell.Integration(w), exe); err != nil {
			return err
		}
	}
	for _, i := range all {
		on, err := shell.Integrated(i, exe)
		if err != nil {
			return err
		}
		fmt.Fprintf(t.out, "%-6s %s\n", i, map[bool]string{true: "on", false: "off"}[on])
	}
	return nil
}

type linkCommand struct {
	Link string `arg:"" help:"A link such as catamaran://open?path=..."`
}

// Run opens what a link asks for, in the running desktop or as a new one.
func (c *linkCommand) Run(t *terminal) error {
	path, err := shell.ParseLink(runtime.GOOS, c.Link)
	if err != nil {
		return err
	}
	return (&runCommand{Open: path}).Run(t)
}

// openWait bounds how long a folder that a start was asked to open waits for its environment.
const openWait = 2 * time.Minute

// folder is the path of --open as it was meant: "C:\" in quotes reaches a program as C:".
func folder(path string) string {
	if p, ok := strings.CutSuffix(path, `"`); ok {
		return p + `\`
	}
	return path
}

// openWhenReady adds the folder by open once an environment takes it, and shows it.
func openWhenReady(ctx context.Context, path string, open func(ctx context.Context, path string) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, openWait, errors.New("no environment was ready in time"))
	defer cancel()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := open(ctx, folder(path))
		e := api.AsError(err)
		// Right after the start there are no environments yet, or one that is only chosen.
		early := e != nil && (e.Code == api.CodeEnvironmentDown || e.Code == api.CodeEnvironmentUnknown)
		if err == nil || errors.Is(err, shell.ErrNotRunning) || e != nil && !e.Retryable && !early {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("open %s: %w: %w", path, context.Cause(ctx), err)
		}
	}
}
