//go:build linux && wine

package windows

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/test/product"
	"catamaran/test/windows/wine"
)

// TestUpdate updates the app where it is installed, started from its own folder as
// the Start menu does, with the archive that Windows gets: the running version's
// folder is moved away and the new one's put in its place, by a program that lies
// outside. A version that does not start is undone. What else would keep Windows
// from moving a folder is the limit folder-in-use.
func TestUpdate(t *testing.T) {
	t.Parallel()
	r := product.NewReleases(t, "windows", "amd64")
	s := &story{t: t, wine: wine.Start(t)}
	root := t.TempDir()
	build := func(version string) []byte {
		exe := filepath.Join(root, version+".exe")
		r.Program(version, exe, "-H windowsgui")
		return mustRead(t, exe)
	}
	first, second, backend := build("1.0.0"), build("1.1.0"), mustRead(t, filepath.Join(programs, "catamaran-backend.exe"))
	broken := filepath.Join(root, "broken.exe")
	cmd := exec.Command("go", "build", "-trimpath", "-o", broken, "./test/windows/testdata/broken")
	cmd.Dir = product.Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}

	local := s.wine.C("users", "tester", "AppData", "Local")
	app, state := filepath.Join(local, "Programs", "Catamaran"), filepath.Join(local, "Catamaran", "desktop")
	for name, b := range map[string][]byte{"catamaran.exe": first, "catamaran-backend.exe": backend, "uninstall.exe": []byte("the installer's")} {
		file := filepath.Join(root, "app", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.wine.Give(filepath.Join(root, "app"), app)
	if err := ownTree(app); err != nil {
		t.Fatal(err)
	}
	r.Publish("1.1.0", map[string][]byte{"catamaran.exe": second, "catamaran-backend.exe": backend, "carried/note": []byte("new")})

	start := s.wine.CommandIn(t.Context(), app, []string{"CATAMARAN_LOG=debug"}, appDir+`\catamaran.exe`, "--no-window")
	if err := start.Start(); err != nil {
		t.Fatal(err)
	}
	go start.Wait()
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(state, "logs", "*", "*"))
			for _, l := range append(logs, filepath.Join(state, "logs", "desktop.log")) {
				b, _ := os.ReadFile(l)
				t.Logf("%s: %s", filepath.Base(l), b[max(0, len(b)-6000):])
			}
		}
	})
	wait := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !ok(); time.Sleep(200 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("not in time: " + what)
			}
		}
	}
	call := func(method string, req, res any) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return s.client.Call(ctx, "", method, req, res)
	}
	runs := func(version string) bool {
		var u api.Update
		var e api.Environments
		return call(api.MethodUpdateGet, api.Empty{}, &u) == nil && u.Current == version &&
			call(api.MethodEnvironments, api.Empty{}, &e) == nil && len(e.Environments) > 0 && e.Environments[0].State == api.EnvReady
	}
	install := func(version string) {
		t.Helper()
		var u api.Update
		if err := call(api.MethodUpdateCheck, api.Empty{}, &u); err != nil || u.State != api.UpdateAvailable || u.Version != version {
			t.Fatalf("check: %+v, %v", u, err)
		}
		if err := call(api.MethodUpdateFetch, api.Empty{}, &u); err != nil {
			t.Fatal(err)
		}
		wait("the download of "+version, func() bool { return call(api.MethodUpdateGet, api.Empty{}, &u) == nil && u.State == api.UpdateReady })
		if err := call(api.MethodUpdateInstall, api.Empty{}, &u); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(name string, want []byte) bool {
		b, err := os.ReadFile(filepath.Join(app, name))
		return err == nil && bytes.Equal(b, want)
	}
	gone := func(path string) bool { _, err := os.Lstat(path); return os.IsNotExist(err) }

	wait("the desktop listens", func() bool {
		b, err := os.ReadFile(filepath.Join(state, "logs", "desktop.log"))
		return err == nil && bytes.Contains(b, []byte("gateway listens"))
	})
	wait("a further start names the page", func() bool {
		out, _, code := s.run("--no-window")
		return code == 0 && s.launched([]byte(out)) == nil
	})
	if err := s.client.Do(context.Background(), os.Stderr, "signin", []string{s.launch.URL}, nil); err != nil {
		t.Fatal(err)
	}
	wait("version 1.0.0 runs", func() bool { return runs("1.0.0") })
	install("1.1.0")
	wait("version 1.1.0 runs", func() bool { return runs("1.1.0") })
	wait("the old version is removed", func() bool { return gone(app + ".old") })
	if !holds("catamaran.exe", second) || !holds("uninstall.exe", []byte("the installer's")) || !holds("carried/note", []byte("new")) {
		t.Error("the app's folder does not hold what it should")
	}

	r.Publish("1.2.0", map[string][]byte{"catamaran.exe": mustRead(t, broken), "catamaran-backend.exe": backend})
	install("1.2.0")
	wait("version 1.1.0 is back", func() bool {
		var u api.Update
		return runs("1.1.0") && call(api.MethodUpdateGet, api.Empty{}, &u) == nil && u.RolledBack == "1.2.0" && strings.Contains(u.Error.Message, "1.2.0")
	})
	wait("the failed version is removed", func() bool { return gone(app + ".new") })
	if !holds("catamaran.exe", second) || !holds("uninstall.exe", []byte("the installer's")) {
		t.Error("the app's folder does not hold what it did before")
	}
	s.run("--no-window") // dials the newest desktop's pipe in vain (limit first-pipe-dial)
	wait("the end", func() bool { _, _, code := s.run("quit"); return code == 0 })
	if err := s.wine.Gone(patience, append([]string{"install.exe"}, exes...)...); err != nil {
		t.Error(err)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
