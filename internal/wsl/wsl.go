// Package wsl is the only speaker of wsl.exe: it discovers distros, launches
// programs in them with --exec, and classifies what goes wrong. Facts it leans
// on are kept in docs/wsl-facts.md. It stages nothing and supervises nothing.
package wsl

import (
	"context"
	"errors"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

var errSkeleton = errors.New("wsl: not built yet")

// Options of a client.
type Options struct {
	// Exe overrides System32's wsl.exe (CATAMARAN_WSL_EXE).
	Exe string
	// ListTimeout bounds discovery calls (default 5 s).
	ListTimeout time.Duration
}

// Client calls one wsl.exe.
type Client struct{}

// New returns a client, or nil where WSL mode does not exist (no override and not Windows).
func New(o Options) *Client { return nil }

// Discover lists distros: registry first where there is one, wsl.exe for the running
// state. The six kinds of "no WSL" come in WSL.Error, never as an empty list.
func (c *Client) Discover(ctx context.Context) api.WSL { return api.WSL{} }

// Resolve finds the distro to use: name "" is the default one. Errors: *api.Error
// CodeDistroNotFound, CodeDistroUtility, CodeDistroBusy, CodeDistroInvalid, CodeWSL*.
func (c *Client) Resolve(ctx context.Context, name string) (api.Distro, error) {
	return api.Distro{}, errSkeleton
}

// Launch starts argv in the distro (wsl.exe ... --cd ~ --exec argv) with pipes; the
// caller owns the process. env is added to wsl.exe's own environment, WSLENV kept byte for byte.
func (c *Client) Launch(d api.Distro, argv []string) (*proc.Process, error) {
	return nil, errSkeleton
}

// ExitError explains a wsl.exe process that ended before its hello: output is what it wrote to stdout.
// The result is *api.Error: wsl.exe's own failure classified by its error code, else CodeBackendExited.
func (c *Client) ExitError(p *proc.Process, output []byte) *api.Error { return nil }

// Terminate ends a distro, Shutdown the VM. Only ever called on an explicit user action.
func (c *Client) Terminate(ctx context.Context, d api.Distro) error { return errSkeleton }
func (c *Client) Shutdown(ctx context.Context) error                { return errSkeleton }
