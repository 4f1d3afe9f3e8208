package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/build"
	"catamaran/internal/link"
	"catamaran/internal/logfile"
	"catamaran/internal/server"
)

// serveStdio serves the desktop at the other end of stdin and stdout: envelope
// in, hello out, then the API on the link's streams until the link ends.
func serveStdio() int {
	in, out := link.Stdio()
	ignoreBrokenStderr()
	// From here on a signal means to drain; before the hello there is nothing to
	// drain, and closing the input ends the wait for the envelope.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	early := make(chan struct{})
	signalled := later(func() os.Signal {
		s := <-stop
		select {
		case <-early:
		default:
			in.Close()
		}
		return s
	})
	// Both are ready by the time the envelope is.
	digest := later(ownDigest)
	loaded := later(func() loadedState {
		st, err := loadState()
		return loadedState{st, err}
	})
	env, err := link.ReadEnvelope(in)
	close(early)
	hello := api.Hello{Version: build.Version, PID: os.Getpid(), OS: runtime.GOOS, Arch: runtime.GOARCH, Phase: api.PhaseStarting}
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) {
			return exitOK // the owner went away, or a signal came, before anything had begun
		}
		return refuse(in, out, hello, err)
	}
	logfile.Secret(env.Credential)
	got := <-loaded
	if got.err != nil {
		return refuse(in, out, hello, got.err)
	}
	b, err := newBackend(got.state, options{
		name: env.Environment, logLevel: env.LogLevel, forward: env.Env, forwardWins: env.EnvWins,
		handler: func(s *server.Server) http.Handler { return s },
	})
	if err != nil {
		return refuse(in, out, hello, err)
	}
	b.codes.Add(env.Credential)
	hello.EnvironmentID = got.state.identity.EnvironmentID
	hello.Digest = <-digest
	session, err := link.Accept(in, out, hello, link.Options{})
	if err != nil {
		b.log.Error("the link did not come up", "err", err.Error())
		return fatal(err)
	}
	b.serve(session.Listener())
	b.log.Info("start", "version", build.Version, "pid", os.Getpid(), "environment", env.Environment,
		"desktop", env.DesktopVersion, "hello_ms", time.Since(started).Milliseconds())

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-session.Done():
			b.log.Info("the link ended", "why", describe(session.Err()))
		case s := <-signalled:
			b.log.Info("signal", "signal", s.String())
		}
		cancel()
	}()
	err = b.run(ctx, drainTime(env.Limits))
	bye, cancelBye := context.WithTimeout(context.Background(), time.Second)
	defer cancelBye()
	_ = session.Goodbye(bye) // nobody may be left to hear it
	if err != nil {
		return fatal(err)
	}
	return exitOK
}

type loadedState struct {
	state
	err error
}

func later[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	return c
}

// refuse tells the desktop why there will be no link.
func refuse(in io.ReadCloser, out io.WriteCloser, hello api.Hello, err error) int {
	hello.Refusal = api.AsError(err)
	if hello.Refusal == nil {
		hello.Refusal = &api.Error{Code: api.CodeInternal, Message: "The backend cannot start: " + err.Error() + "."}
	}
	// What it returns is the refusal again.
	_, _ = link.Accept(in, out, hello, link.Options{})
	return fatal(hello.Refusal)
}

func describe(err error) string {
	if err == nil {
		return "closed"
	}
	return err.Error()
}

func drainTime(l api.Limits) time.Duration {
	d := time.Duration(l.DrainMillis) * time.Millisecond
	if d <= 0 || d > maxDrain {
		return maxDrain
	}
	return d
}

// ownDigest is the hash of the running executable, "" when it cannot be read.
func ownDigest() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 256<<10)); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ignoreBrokenStderr keeps a write to a stderr that nobody reads any more from
// ending the process before it has drained. Catching, not ignoring: an ignored
// signal would be inherited by every agent.
func ignoreBrokenStderr() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
