//go:build linux

package environment

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

// ask calls a method of an environment's backend as the gateway does.
func (b *bed) ask(id, method string, in, out any) {
	b.t.Helper()
	token, err := b.p.Token(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := b.p.live(id)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := c.request(b.t.Context(), token, http.MethodPost, "/api/call/"+method, in, out); err != nil {
		b.t.Fatal(err)
	}
}

// W7.1: a cloned distro is recognised, explained, and told apart by a new identity; its data stays.
func TestClonedDistro(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o, _ := realOptions(t, m, `{"mode":"wsl-only","distro":"Ubuntu"}`)
	b := lay(t, o, nil)
	original := b.state("wsl:Ubuntu", api.EnvReady)
	b.until("discovery", func(s api.Environments) bool { return len(s.WSL.Distros) == 2 })
	folder := t.TempDir()
	var project api.Project
	b.ask("wsl:Ubuntu", api.MethodProjectAdd, api.ProjectAdd{Path: folder}, &project)
	change := func(distro string) api.Environment {
		t.Helper()
		if _, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeWSLOnly, Distro: distro}); err != nil {
			t.Fatal(err)
		}
		return find(b.p.Snapshot(), "wsl:"+distro)
	}
	if original.Twin != nil {
		t.Errorf("alone, and yet %+v", original.Twin)
	}
	// `wsl --export` and `--import` copy the home with everything in it.
	if _, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeLocal, Distro: "Ubuntu"}); err != nil {
		t.Fatal(err) // the database is to be at rest
	}
	if err := os.CopyFS(home(m, "Debian"), os.DirFS(home(m, "Ubuntu"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(home(m, "Debian"), "backend", "identity"), 0o600); err != nil {
		t.Fatal(err)
	}
	clone := change("Debian")
	if clone.EnvironmentID != original.EnvironmentID {
		t.Fatalf("the copy has id %s, want the original's: this would show nothing", clone.EnvironmentID)
	}
	if e := clone.Twin; e == nil || e.Code != api.CodeEnvironmentTwin || !strings.Contains(e.Message, "Ubuntu") || !strings.Contains(e.Message, "Debian") || e.Hint == "" {
		t.Errorf("explanation %+v", clone.Twin)
	}
	// The other desktop run remembers.
	b.quit()
	b = lay(t, o, nil)
	b.until("the copy is recognised again", func(s api.Environments) bool {
		e := find(s, "wsl:Debian")
		return e.Twin != nil && e.State == api.EnvReady
	})

	if _, err := b.p.NewIdentity(t.Context(), "wsl:Debian"); err != nil {
		t.Fatal(err)
	}
	again := find(b.until("it comes up as itself", func(s api.Environments) bool {
		e := find(s, "wsl:Debian")
		return e.State == api.EnvReady && e.EnvironmentID != original.EnvironmentID
	}), "wsl:Debian")
	if again.Twin != nil {
		t.Errorf("told apart, and yet %+v", again.Twin)
	}
	var same api.Project
	b.ask("wsl:Debian", api.MethodProjectAdd, api.ProjectAdd{Path: folder}, &same)
	if same.ID != project.ID {
		t.Errorf("project %+v, want the one from before %+v", same, project)
	}
	if e := change("Ubuntu"); e.EnvironmentID != original.EnvironmentID || e.Twin != nil {
		t.Errorf("the original is now %+v", e)
	}
	if _, err := b.p.NewIdentity(t.Context(), "wsl:Debian"); api.CodeOf(err) != api.CodeEnvironmentDown && api.CodeOf(err) != api.CodeEnvironmentUnknown {
		t.Errorf("new identity of one that does not run: %v", err)
	}
}
