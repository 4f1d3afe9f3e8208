// Package wsl is the only speaker of wsl.exe: it discovers distros, launches
// programs in them with --exec, and classifies what goes wrong. Facts it leans
// on are kept in docs/wsl-facts.md. It stages nothing and supervises nothing, and
// retries only a list that WSL's service failed, once.
//
// Invariants: programs are started with an argument vector and never through a
// shell; texts of wsl.exe are read by layout and code path, never by words; every
// call but a launch has a deadline with a cause; none of our own variables is in
// wsl.exe's environment, and the user's WSLENV is passed on byte for byte.
package wsl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

const (
	defaultListTimeout = 5 * time.Second
	defaultRetryAfter  = 2 * time.Second
	// terminateTimeout: an immediate kill, but the service may have to be started first.
	terminateTimeout = 30 * time.Second
	// shutdownTimeout: WSL itself waits up to 30 s for its lock.
	shutdownTimeout = 45 * time.Second
	maxOutput       = 1 << 20
)

// Options of a client.
type Options struct {
	// Exe overrides System32's wsl.exe (CATAMARAN_WSL_EXE).
	Exe string
	// ListTimeout bounds discovery calls (default 5 s).
	ListTimeout time.Duration
	// RetryAfter is how long a list that failed with "catastrophic failure" waits before
	// it is asked for again, once (default 2 s; real machines were seen to need it after sleep).
	RetryAfter time.Duration
	// Log gets warnings about odd output; nil drops them.
	Log *slog.Logger
	// Registry overrides the machine's own, for tests.
	Registry Registry
}

// Client calls one wsl.exe. It is safe for concurrent use.
type Client struct {
	exe         string
	listTimeout time.Duration
	retryAfter  time.Duration
	registry    Registry
	log         *slog.Logger

	mu sync.Mutex
	// launched keeps the exit status of launches by process, the last keepExits of those that ended.
	launched map[*proc.Process]*launch
	ended    []*proc.Process
}

// New returns a client, or nil where WSL mode does not exist (no override and not Windows).
func New(o Options) *Client {
	c := &Client{exe: o.Exe, listTimeout: o.ListTimeout, retryAfter: o.RetryAfter, registry: o.Registry, log: o.Log, launched: map[*proc.Process]*launch{}}
	if c.exe == "" {
		c.exe = defaultExe()
	}
	if c.exe == "" {
		return nil
	}
	if abs, err := filepath.Abs(c.exe); err == nil {
		c.exe = abs
	}
	if c.listTimeout <= 0 {
		c.listTimeout = defaultListTimeout
	}
	if c.retryAfter <= 0 {
		c.retryAfter = defaultRetryAfter
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.registry == nil {
		c.registry = platformRegistry()
	}
	return c
}

// environ is wsl.exe's environment: this process's without our own variables,
// with WSL_UTF8=1 in place of whatever the user's shell has set.
func environ(base []string) []string {
	var out []string
	for _, kv := range base {
		name, _, _ := strings.Cut(kv, "=")
		if sameVariable(name, "WSL_UTF8") || strings.HasPrefix(strings.ToUpper(name), "CATAMARAN_") {
			continue
		}
		out = append(out, kv)
	}
	return append(out, "WSL_UTF8=1")
}

// exitStatus is a 32-bit exit code; sure is false when only 8 bits of it are known.
type exitStatus struct {
	code uint32
	sure bool
}

// full is the 32-bit code. Where only eight bits
// are known, 255 is one if the output bears it out.
func (s exitStatus) full(output []byte) uint32 {
	if !s.sure && s.code == 255 && extract(output) != "" {
		return exitOwn
	}
	return s.code
}

type callResult struct {
	stdout []byte
	exit   uint32
}

// call runs wsl.exe to its end. what names the call in errors; err is an
// *api.Error: CodeWSLMissing, CodeWSLHung, CodeCancelled or CodeInternal.
func (c *Client) call(ctx context.Context, what string, timeout time.Duration, args ...string) (callResult, error) {
	inner, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%s: no answer within %s", what, timeout))
	defer cancel()
	if _, err := os.Stat(c.exe); errors.Is(err, os.ErrNotExist) {
		return callResult{}, missingError()
	}
	ef := newExitFile()
	defer ef.close()
	r, err := proc.Run(inner, proc.Spec{Name: "wsl.exe", Path: c.exe, Args: args, Dir: neutralDir(), Env: append(environ(os.Environ()), ef.env()...)}, nil, maxOutput)
	switch {
	case ctx.Err() != nil:
		return callResult{}, &api.Error{Code: api.CodeCancelled, Message: what + " was cancelled.", Retryable: true}
	case inner.Err() != nil && err != nil:
		return callResult{}, hungError(what, timeout.String())
	case err != nil:
		return callResult{}, &api.Error{Code: api.CodeWSLBroken, Message: what + ": wsl.exe could not be run.", Hint: "Check that wsl.exe runs in a terminal.", Details: err.Error()}
	}
	s := ef.code(r.ExitCode)
	return callResult{r.Stdout, s.full(r.Stdout)}, nil
}

// Terminate ends a distro at once; its programs are killed. Only ever called on
// an explicit user action. Errors are *api.Error.
func (c *Client) Terminate(ctx context.Context, d api.Distro) error {
	if !plainName.MatchString(d.Name) {
		return &api.Error{Code: api.CodeDistroInvalid, Message: fmt.Sprintf("wsl.exe cannot terminate a distro called %q by its name.", d.Name),
			Hint: "Restart WSL as a whole instead: wsl.exe --shutdown"}
	}
	r, err := c.call(ctx, "terminating "+d.Name, terminateTimeout, "--terminate", d.Name)
	return verdict(r, err)
}

// Shutdown ends every distro and the virtual machine. Only ever called on an
// explicit user action. Errors are *api.Error.
func (c *Client) Shutdown(ctx context.Context) error {
	r, err := c.call(ctx, "shutting WSL down", shutdownTimeout, "--shutdown")
	return verdict(r, err)
}

func verdict(r callResult, err error) error {
	if err != nil {
		return err
	}
	if r.exit == 0 {
		return nil
	}
	class, code := classify(r.stdout, r.exit)
	if class == classLinuxExit {
		class = classUnknown
	}
	return failure(class, code, r.stdout)
}
