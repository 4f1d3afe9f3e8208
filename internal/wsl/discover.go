package wsl

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
)

// Discover lists distros: registry first where there is one, wsl.exe for the running
// state. The six kinds of "no WSL" come in WSL.Error, never as an empty list; with
// a registry its distros are given beside an error, their state then is Unknown.
// A nil client answers that WSL is not available.
func (c *Client) Discover(ctx context.Context) api.WSL {
	if c == nil {
		return api.WSL{Distros: []api.Distro{}}
	}
	var version string
	var wg sync.WaitGroup
	wg.Go(func() { version = c.version(ctx) })
	w := c.discover(ctx)
	wg.Wait()
	w.Version = version
	return w
}

func (c *Client) version(ctx context.Context) string {
	if c.registry != nil {
		if v := c.registry.Version(); v != "" {
			return v
		}
	}
	r, err := c.call(ctx, "asking for the version", c.listTimeout, "--version")
	if err != nil || r.exit != 0 {
		return "" // inbox builds have no --version
	}
	return parseVersion(r.stdout)
}

func (c *Client) discover(ctx context.Context) api.WSL {
	w := api.WSL{Available: true, Checked: time.Now().UnixMilli(), Distros: []api.Distro{}}
	listed, lerr := c.list(ctx)
	known := listed
	if c.registry != nil {
		def, entries, err := c.registry.Distros()
		if err != nil {
			c.log.Warn("wsl registry", "error", err)
		}
		if ds := fromRegistry(def, entries); err == nil && len(ds) > 0 {
			known = merge(ds, listed, lerr == nil)
		}
	}
	if len(known) > 0 {
		w.Distros = known
	}
	w.Error = lerr
	if lerr != nil && lerr.Code == api.CodeWSLNoDistro && len(known) > 0 {
		w.Error = nil
	}
	for _, d := range known {
		if d.Default {
			w.Default = d.Name
		}
	}
	return w
}

// merge takes the running state from the list, everything else from the registry.
func merge(registered, listed []api.Distro, haveList bool) []api.Distro {
	for i, d := range registered {
		if !d.Selectable && !d.Utility {
			continue
		}
		if !haveList && d.State == "Stopped" {
			registered[i].State = "Unknown"
		}
		for _, l := range listed {
			if hostpath.SameDistro(l.Name, d.Name) {
				registered[i].State = l.State
				if busyState(l.State) { // the service knows before the registry does
					registered[i] = judge(registered[i], false)
				}
			}
		}
	}
	return registered
}

// list asks wsl.exe. No row is never a success: it is one of the "no WSL" answers.
func (c *Client) list(ctx context.Context) ([]api.Distro, *api.Error) { return c.listed(ctx, true) }

// unexpected is the one failure that a second try is known to cure (WSL facts A8).
func unexpected(class class, code string) bool {
	return class == classService && (strings.HasSuffix(code, "/E_UNEXPECTED") || strings.HasSuffix(code, "/0x8000ffff"))
}

func (c *Client) listed(ctx context.Context, again bool) ([]api.Distro, *api.Error) {
	r, err := c.call(ctx, "listing the distros", c.listTimeout, "--list", "--verbose")
	if err != nil {
		return nil, asAPI(err)
	}
	rows, warnings := parseList(r.stdout)
	for _, w := range warnings {
		c.log.Warn("wsl list", "warning", w)
	}
	if len(rows) > 0 {
		return fromList(rows), nil
	}
	if class, code := classify(r.stdout, r.exit); again && unexpected(class, code) {
		c.log.Warn("wsl list", "failure", code, "again after", c.retryAfter)
		wait := time.NewTimer(c.retryAfter)
		defer wait.Stop()
		select {
		case <-wait.C:
			return c.listed(ctx, false)
		case <-ctx.Done():
			return nil, &api.Error{Code: api.CodeCancelled, Message: "Listing the distros was cancelled.", Retryable: true}
		}
	} else if code != "" || class == classKernel || class == classNotInstalled {
		return nil, failure(class, code, r.stdout)
	}
	// No table and no code: no distro, or no WSL behind the stub. The words are
	// translated, so --status tells: it succeeds wherever WSL is installed.
	s, err := c.call(ctx, "asking for the status", c.listTimeout, "--status")
	if err != nil {
		return nil, asAPI(err)
	}
	class, code := classify(s.stdout, s.exit)
	switch {
	case s.exit == 0 && r.exit != 0:
		return nil, failure(classNoDistro, "", r.stdout)
	case s.exit == 0:
		return nil, &api.Error{Code: api.CodeWSLBroken, Message: "wsl.exe listed nothing.", Hint: answers[classUnknown].hint, Retryable: true}
	case class == classLinuxExit:
		return nil, failure(classNotInstalled, "", s.stdout)
	default:
		return nil, failure(class, code, s.stdout)
	}
}

func asAPI(err error) *api.Error {
	if e := api.AsError(err); e != nil {
		return e
	}
	return &api.Error{Code: api.CodeInternal, Message: err.Error()}
}

// Resolve finds the distro to use: name "" is the default one; the case of name
// does not matter, the installed spelling wins. Errors: *api.Error
// CodeDistroNotFound, CodeDistroUtility, CodeDistroBusy, CodeDistroInvalid, CodeWSL*.
func (c *Client) Resolve(ctx context.Context, name string) (api.Distro, error) {
	if c == nil {
		return api.Distro{}, missingError()
	}
	if name != "" {
		if err := hostpath.CheckDistro(name); err != nil {
			return api.Distro{}, &api.Error{Code: api.CodeDistroInvalid, Message: fmt.Sprintf("%q cannot be a distro: %v.", name, err), Hint: "Choose a distro in Settings > Environments."}
		}
	}
	w := c.discover(ctx)
	// Distros can stay registered after WSL is gone; nothing can start them.
	if w.Error != nil && (w.Error.Code == api.CodeWSLMissing || w.Error.Code == api.CodeWSLNotInstalled) {
		return api.Distro{}, w.Error
	}
	for _, d := range w.Distros {
		if name != "" && hostpath.SameDistro(d.Name, name) || name == "" && d.Default {
			return d, usable(d, name == "")
		}
	}
	switch {
	case w.Error != nil:
		return api.Distro{}, w.Error
	case name == "":
		return api.Distro{}, &api.Error{Code: api.CodeDistroNotFound, Message: "WSL has no default distro.", Hint: "Choose a distro in Settings > Environments, or name one with: wsl.exe --set-default <distro>"}
	}
	e := failure(classDistroNotFound, "", nil)
	e.Message = fmt.Sprintf("The distro %q is not installed in WSL.", name)
	return api.Distro{}, e
}

// usable returns nil for a distro a backend can run in.
func usable(d api.Distro, asDefault bool) error {
	switch {
	case d.Selectable:
		return nil
	case d.Utility && asDefault:
		return &api.Error{Code: api.CodeDistroUtility, Message: fmt.Sprintf("The default distro of WSL is %q, which belongs to another program.", d.Name),
			Hint: "Choose a distro in Settings > Environments, or name another default with: wsl.exe --set-default <distro>"}
	case d.Utility:
		return &api.Error{Code: api.CodeDistroUtility, Message: fmt.Sprintf("The distro %q belongs to another program and is not meant for work.", d.Name), Hint: "Choose another distro in Settings > Environments."}
	case hostpath.CheckDistro(d.Name) != nil:
		return &api.Error{Code: api.CodeDistroInvalid, Message: fmt.Sprintf("The distro %q cannot be used: %s.", d.Name, d.Why), Hint: "Choose another distro in Settings > Environments."}
	}
	e := failure(classBusy, "", nil)
	e.Message = fmt.Sprintf("The distro %q cannot be used now: %s.", d.Name, d.Why)
	return e
}
