//go:build linux

package script

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/shell"
	"catamaran/test/page"
	"catamaran/test/product"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestUpdate updates the real desktop: refused while a turn runs, then done with
// its backend gone; and a version that does not start is undone.
func TestUpdate(t *testing.T) {
	t.Parallel()
	r := product.NewReleases(t, runtime.GOOS, runtime.GOARCH)
	root, home := t.TempDir(), t.TempDir()
	app, backend := filepath.Join(root, "app"), read(t, filepath.Join(programs, "catamaran-backend"))
	if err := os.Mkdir(app, 0o755); err != nil {
		t.Fatal(err)
	}
	r.Program("1.0.0", filepath.Join(app, "catamaran"))
	if err := os.WriteFile(filepath.Join(app, "catamaran-backend"), backend, 0o755); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(root, "next")
	r.Program("1.1.0", next)
	r.Publish("1.1.0", map[string][]byte{"catamaran": read(t, next), "catamaran-backend": backend})

	cmd := exec.Command(filepath.Join(app, "catamaran"), "--no-window")
	cmd.Env = append(product.CleanEnv(t), "CATAMARAN_HOME="+home)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go cmd.Wait()
	desktop := shell.NewClient(filepath.Join(home, "desktop"))
	call := func(method string, req, res any) error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return desktop.Call(ctx, method, req, res)
	}
	t.Cleanup(func() { _ = call(api.MethodQuit, api.Quit{Force: true}, nil) })
	version := func() string {
		var l api.Launch
		_ = call(api.MethodLaunch, api.Empty{}, &l)
		return l.Version
	}
	wait := func(what string, ok func() bool) {
		t.Helper()
		deadline := time.Now().Add(2 * time.Minute)
		for !ok() {
			if time.Now().After(deadline) {
				logs, _ := filepath.Glob(filepath.Join(home, "desktop", "logs", "*", "*"))
				for _, l := range logs {
					t.Logf("%s: %s", filepath.Base(l), read(t, l))
				}
				t.Fatal("not in time: " + what)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	fetched := func(want string) {
		t.Helper()
		var u api.Update
		if err := call(api.MethodUpdateCheck, api.Empty{}, &u); err != nil || u.State != api.UpdateAvailable || u.Version != want {
			t.Fatalf("check: %+v, %v", u, err)
		}
		if err := call(api.MethodUpdateFetch, api.Empty{}, &u); err != nil {
			t.Fatal(err)
		}
		wait("the download of "+want, func() bool { return call(api.MethodUpdateGet, api.Empty{}, &u) == nil && u.State == api.UpdateReady })
	}
	ready := func() bool {
		var e api.Environments
		return call(api.MethodEnvironments, api.Empty{}, &e) == nil && len(e.Environments) > 0 && e.Environments[0].State == api.EnvReady
	}
	wait("version 1.0.0 runs", func() bool { return version() == "1.0.0" && ready() })
	fetched("1.1.0")

	// While a turn runs nothing is installed.
	var l api.Launch
	if err := call(api.MethodLaunch, api.Empty{}, &l); err != nil {
		t.Fatal(err)
	}
	base, _, _ := strings.Cut(l.URL, "/#")
	client, repo := page.Page{Base: base}, product.GitRepo(t, t.TempDir())
	say := func(words ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var out bytes.Buffer
		if err := client.Do(ctx, &out, words[0], words[1:], func(p string) string { return p }); err != nil {
			t.Fatalf("page %v: %v", words, err)
		}
	}
	say("signin", l.URL)
	say("add", "local", repo)
	say("thread", "local")
	say("prompt", "local", "stream 600")
	say("until", "local", "running")
	var u api.Update
	if err := call(api.MethodUpdateInstall, api.Empty{}, &u); api.CodeOf(err) != api.CodeConflict {
		t.Fatalf("install while a turn runs: %v", err)
	}
	say("stop", "local")
	say("until", "local", "interrupted")
	if err := call(api.MethodUpdateInstall, api.Empty{}, &u); err != nil {
		t.Fatal(err)
	}
	wait("version 1.1.0 runs", func() bool { return version() == "1.1.0" && ready() })
	if _, err := os.Stat(app + ".old"); err == nil {
		wait("the old version is removed", func() bool { _, err := os.Stat(app + ".old"); return err != nil })
	}

	// A version that says what it is and then does not run.
	r.Publish("1.2.0", map[string][]byte{"catamaran": []byte("#!/bin/sh\ntest \"$1\" = version && echo '{\"version\":\"1.2.0\"}' && exit 0\nexit 1\n"), "catamaran-backend": backend})
	fetched("1.2.0")
	if err := call(api.MethodUpdateInstall, api.Empty{}, &u); err != nil {
		t.Fatal(err)
	}
	wait("version 1.1.0 is back", func() bool {
		return version() == "1.1.0" && ready() && call(api.MethodUpdateGet, api.Empty{}, &u) == nil && u.RolledBack == "1.2.0"
	})
	if u.Error == nil || !strings.Contains(u.Error.Message, "1.2.0") || !bytes.Equal(read(t, filepath.Join(app, "catamaran")), read(t, next)) {
		t.Errorf("%+v", u)
	}
	if _, err := os.Stat(app + ".new"); err == nil {
		wait("the failed version is removed", func() bool { _, err := os.Stat(app + ".new"); return err != nil })
	}
}
