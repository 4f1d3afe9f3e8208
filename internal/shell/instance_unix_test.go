//go:build unix

package shell

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	goleak.VerifyTestMain(m)
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func serve(t *testing.T, i *Instance, h http.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- i.Serve(ctx, h) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func answer(v any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/fails") {
			w.WriteHeader(http.StatusConflict)
			json.NewEncoder(w).Encode(api.Error{Code: api.CodeConflict, Message: "no"})
			return
		}
		json.NewEncoder(w).Encode(v)
	})
}

// W5.9: one owner; the second finds the first; a crash or an end frees the folder.
func TestClaim(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"usual path": filepath.Join(t.TempDir(), "desktop"),
		"long path":  filepath.Join(t.TempDir(), strings.Repeat("long", 30), "desktop"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := bounded(t)
			client := NewClient(dir)
			if err := client.Call(ctx, "x", nil, nil); !errors.Is(err, ErrNotRunning) {
				t.Errorf("before: %v", err)
			}
			first, err := Claim(ctx, dir)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("state folder: %v %v", info.Mode(), err)
			}
			if path, err := controlPath(dir); err != nil {
				t.Error(err)
			} else if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("socket: %v %v", info, err)
			}
			stop := serve(t, first, answer(api.Launch{PID: 7}))
			if _, err := Claim(ctx, dir); !errors.Is(err, ErrRunning) {
				t.Fatalf("second: %v", err)
			}
			var l api.Launch
			if err := client.Call(ctx, "works", api.Empty{}, &l); err != nil || l.PID != 7 {
				t.Errorf("call: %+v %v", l, err)
			}
			if err := client.Call(ctx, "fails", api.Empty{}, &l); api.CodeOf(err) != api.CodeConflict {
				t.Errorf("failing call: %v", err)
			}
			stop()
			first.Close()
			if err := client.Call(ctx, "x", nil, nil); !errors.Is(err, ErrNotRunning) {
				t.Errorf("after: %v", err)
			}
			again, err := Claim(ctx, dir)
			if err != nil {
				t.Fatal(err)
			}
			again.Close()
		})
	}
}

// A start while the owner is ending (no endpoint any more) waits for it.
func TestClaimWaitsForOneThatEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Claim(bounded(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	first.ln.Close()
	got := make(chan error, 1)
	go func() {
		second, err := Claim(bounded(t), dir)
		if err == nil {
			second.Close()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("the second did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	first.lock.release()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestClaimGivesUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Claim(bounded(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	first.ln.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := Claim(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	first.lock.release()
}

func TestClaimReplacesADeadDesktopsSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "control.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	i, err := Claim(bounded(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	i.Close()
}

func TestManyStartsAtOnceEndWithOneOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	type outcome struct {
		i   *Instance
		err error
	}
	got := make(chan outcome, 8)
	ctx := bounded(t)
	for range cap(got) {
		go func() { i, err := Claim(ctx, dir); got <- outcome{i, err} }()
	}
	owners := 0
	for range cap(got) {
		o := <-got
		switch {
		case o.err == nil:
			owners++
			t.Cleanup(func() { o.i.Close() })
		case !errors.Is(o.err, ErrRunning):
			t.Error(o.err)
		}
	}
	if owners != 1 {
		t.Errorf("%d owners", owners)
	}
}
