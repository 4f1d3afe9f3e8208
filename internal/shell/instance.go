package shell

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// ErrRunning: another desktop owns the state folder and answers on its endpoint.
var ErrRunning = errors.New("the desktop app is running already")

// Bounds of taking over a state folder.
const (
	claimWait = 10 * time.Second // for another start, or for a desktop that is ending
	probeWait = 2 * time.Second  // for the running desktop's endpoint
)

// Instance is the ownership of one state folder.
type Instance struct {
	lock *lock
	ln   net.Listener
}

// Claim takes dir for this process and opens the control endpoint. It returns
// ErrRunning when another desktop has it, waits for one that is ending, and
// makes dir (0700) where there is none.
func Claim(ctx context.Context, dir string) (*Instance, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("claim state folder: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("claim state folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, claimWait)
	defer cancel()
	// "starting" is held from before the ownership is asked for until the
	// endpoint listens, so that an owner without an endpoint is one that is ending.
	starting, err := acquire(ctx, filepath.Join(dir, "starting.lock"))
	if err != nil {
		return nil, fmt.Errorf("claim state folder: wait for another start: %w", err)
	}
	defer starting.release()
	owner := filepath.Join(dir, "owner.lock")
	held, err := tryAcquire(owner)
	if err != nil {
		return nil, fmt.Errorf("claim state folder: %w", err)
	}
	if held == nil {
		if reachable(ctx, dir) {
			return nil, ErrRunning
		}
		if held, err = acquire(ctx, owner); err != nil {
			return nil, fmt.Errorf("claim state folder: a Catamaran that does not answer still owns %s: %w", dir, err)
		}
	}
	ln, err := listenControl(dir)
	if err != nil {
		held.release()
		return nil, fmt.Errorf("open control endpoint: %w", err)
	}
	return &Instance{lock: held, ln: ln}, nil
}

func reachable(ctx context.Context, dir string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	c, err := dialControl(ctx, dir)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// Serve answers the control endpoint with h until ctx ends. Who may connect is
// decided by the endpoint: the same user only.
func (i *Instance) Serve(ctx context.Context, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(i.ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("control endpoint: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if srv.Shutdown(end) != nil {
		srv.Close()
	}
	<-served
	return nil
}

// Close gives the state folder back. The endpoint goes first: a start that
// finds the lock without an endpoint waits for the lock.
func (i *Instance) Close() error {
	i.ln.Close()
	i.lock.release()
	return nil
}

// lock is an OS lock on a file; it is freed when the process ends in any way.
type lock struct{ f *os.File }

func (l *lock) release() {
	if l != nil {
		l.f.Close()
	}
}

func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

// tryAcquire returns nil and no error when another process has the lock.
func tryAcquire(path string) (*lock, error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	ok, err := lockFile(f, false)
	if err != nil || !ok {
		f.Close()
		return nil, err
	}
	return &lock{f}, nil
}

// acquire waits for the lock until ctx ends. The system's wait knows no
// deadline: when ctx ends first, the wait is left behind and lets go at once if it still comes through.
func acquire(ctx context.Context, path string) (*lock, error) {
	if l, err := tryAcquire(path); l != nil || err != nil {
		return l, err
	}
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	got := make(chan error)
	go func() {
		_, err := lockFile(f, true)
		select {
		case got <- err:
		case <-ctx.Done():
			f.Close()
		}
	}()
	select {
	case err := <-got:
		if err != nil {
			f.Close()
			return nil, err
		}
		return &lock{f}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
