package gateway

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
)

type dialog struct {
	native bool
	answer string
	asked  string
	to     string // SaveFile's answer
}

func (d *dialog) Native() bool { return d.native }
func (d *dialog) PickFolder(_ context.Context, _, dir string) (string, error) {
	d.asked = dir
	return d.answer, nil
}

func (d *dialog) SaveFile(_ context.Context, _, name string) (string, error) {
	d.asked = name
	return d.to, nil
}

type fixedEnvironments struct {
	Environments
	now api.Environments
}

func (f fixedEnvironments) Snapshot() api.Environments { return f.now }

// What the native dialog gives is handed to the environment that owns it, and a
// share of a distro that does not run is refused with the way to start it (W2.4).
func TestPickFolderRoutes(t *testing.T) {
	t.Parallel()
	now := api.Environments{Config: api.ModeConfig{Mode: api.ModeBoth}, Environments: []api.Environment{{ID: "local", Name: "This computer"}, {ID: "wsl:Ubuntu", Distro: "Ubuntu"}}}
	for name, c := range map[string]struct {
		answer string
		want   api.PickedFolder
		code   api.Code
	}{
		"of this computer":  {`C:\code`, api.PickedFolder{Environment: "local", Path: `C:\code`}, ""},
		"of a distro":       {`\\wsl.localhost\Ubuntu\home\u\x`, api.PickedFolder{Environment: "wsl:Ubuntu", Path: "/home/u/x"}, ""},
		"of a stopped one":  {`\\wsl.localhost\Debian\srv`, api.PickedFolder{}, api.CodeEnvironmentDown},
		"cancelled":         {"", api.PickedFolder{}, ""},
		"a server's folder": {`\\server\share\x`, api.PickedFolder{Environment: "local", Path: `\\server\share\x`}, ""},
	} {
		g := &Gateway{o: Options{Environments: fixedEnvironments{now: now}, Dialogs: &dialog{native: true, answer: c.answer}}}
		got, err := g.pickFolder(context.Background(), api.PickFolder{Environment: "local"})
		if got != c.want || api.CodeOf(err) != c.code {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	g := &Gateway{o: Options{Environments: fixedEnvironments{now: now}, Dialogs: &dialog{}}}
	if _, err := g.pickFolder(context.Background(), api.PickFolder{Environment: "local"}); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("without a window: %v", err)
	}
	g.o.Dialogs = &dialog{native: true}
	if _, err := g.pickFolder(context.Background(), api.PickFolder{Environment: "wsl:Gone"}); api.CodeOf(err) != api.CodeEnvironmentUnknown {
		t.Errorf("an unknown environment: %v", err)
	}
}

// Only addresses of the web and of mail leave the page; a file's or a program's never.
func TestOpenURLRefuses(t *testing.T) {
	t.Parallel()
	var opened []string
	g := &Gateway{o: Options{OpenURL: func(_ context.Context, u string) error { opened = append(opened, u); return nil }}}
	for _, u := range []string{"https://example.org/a?b=c#d", "http://localhost:3000/", "mailto:a@example.org"} {
		if _, err := g.openURL(context.Background(), api.OpenURL{URL: u}); err != nil || opened[len(opened)-1] != u {
			t.Errorf("%s: %v, %v", u, err, opened)
		}
	}
	opened = nil
	for _, u := range []string{"", "file:///etc/passwd", "javascript:alert(1)", "/etc/passwd", "https://", `C:\Windows\System32\calc.exe`, "vscode://x", "ms-settings:"} {
		if _, err := g.openURL(context.Background(), api.OpenURL{URL: u}); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%s: %v", u, err)
		}
	}
	if len(opened) > 0 {
		t.Errorf("opened %v", opened)
	}
}

// The archive is written where the person chose, for them alone, and never over a
// file that is there; nothing is written when they cancel, or without a window.
func TestSaveDiagnostics(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &dialog{native: true, to: filepath.Join(dir, "mine.zip")}
	g := &Gateway{o: Options{Environments: fixedEnvironments{}, Dialogs: d, Doctor: &desk{}, Now: time.Now}}
	for _, want := range []string{"mine.zip", "mine-2.zip", "mine-3.zip"} {
		got, err := g.saveDiagnostics(t.Context(), api.Empty{})
		if err != nil || got.Path != filepath.Join(dir, want) || d.asked != "diag.zip" {
			t.Fatalf("%+v, %v; asked %q", got, err, d.asked)
		}
		if b, err := os.ReadFile(got.Path); err != nil || !strings.HasPrefix(string(b), "PK ") {
			t.Errorf("%s: %q, %v", want, b, err)
		}
		if st, err := os.Stat(got.Path); err != nil || st.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
			t.Errorf("%s: %v, %v", want, st.Mode(), err)
		}
	}
	d.to = ""
	if got, err := g.saveDiagnostics(t.Context(), api.Empty{}); got.Path != "" || err != nil {
		t.Errorf("cancelled: %+v, %v", got, err)
	}
	d.to = filepath.Join(dir, "gone", "x.zip")
	if _, err := g.saveDiagnostics(t.Context(), api.Empty{}); api.CodeOf(err) != api.CodeInvalid || api.AsError(err).Hint == "" {
		t.Errorf("a folder that is not there: %v", err)
	}
	d.native = false
	if _, err := g.saveDiagnostics(t.Context(), api.Empty{}); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("without a window: %v", err)
	}
	if all, _ := os.ReadDir(dir); len(all) != 3 {
		t.Errorf("%d files", len(all))
	}
}
