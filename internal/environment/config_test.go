package environment

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
)

// localOptions are a native backend (this test binary) with folders of its own.
func localOptions(t testing.TB, dir string) Options {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	return Options{StateDir: filepath.Join(dir, "desktop"), LocalBackend: exe, LocalHome: home, LogDir: filepath.Join(dir, "logs"), ChangeTimeout: 20 * time.Second}
}

func TestUnreadableMode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, content string }{
		{"not JSON", "mode=local"},
		{"half", `{"mode":"wsl-o`},
		{"empty", ""},
		{"unknown field", `{"mode":"local","color":"red"}`},
		{"unknown mode", `{"mode":"cloud"}`},
		{"two values", `{"mode":"local"}{"mode":"both"}`},
		{"primary that does not run", `{"mode":"wsl-only","primary":"local"}`},
		{"huge", `{"mode":"local","distro":"` + strings.Repeat("x", maxModeFile) + `"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := localOptions(t, t.TempDir())
			if err := os.MkdirAll(o.StateDir, 0o700); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(o.StateDir, modeFile)
			if err := os.WriteFile(file, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			s := p.Snapshot()
			if s.Config != (api.ModeConfig{Mode: api.ModeLocal}) || s.Notice == nil || s.Notice.Hint == "" {
				t.Errorf("config %+v, notice %+v", s.Config, s.Notice)
			}
			if b, err := os.ReadFile(file + asideSuffix); err != nil || string(b) != tc.content {
				t.Errorf("set aside: %q, %v", b, err)
			}
			if p, err = New(o); err != nil || p.Snapshot().Notice != nil {
				t.Errorf("told twice: %v", err)
			}
		})
	}
}

func FuzzParseMode(f *testing.F) {
	for _, s := range []string{`{"mode":"local"}`, `{"mode":"both","distro":"Ubuntu","primary":"wsl:Ubuntu"}`, `{"mode":"wsl-only"}x`, `null`, `{"mode":"both","primary":"local"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMode(b)
		if err != nil {
			return
		}
		if !m.Mode.Valid() || len(ids(m)) == 0 || !serves(m, primary(m)) {
			t.Fatalf("%q was read as %+v", b, m)
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := parseMode(again); err != nil && len(again) <= maxModeFile || err == nil && n != m && strings.ToValidUTF8(m.Distro, "") == m.Distro {
			t.Fatalf("%+v does not survive: %+v, %v", m, n, err)
		}
	})
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := &backendLog{path: logPath(dir, "wsl:../Evil name")}
	line := []byte(strings.Repeat("x", 1000) + "\n")
	for range 3 * maxLog / len(line) {
		if n, err := l.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	l.Close()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v: want the log and one older one", files, err)
	}
	for _, f := range files {
		if fi, _ := f.Info(); fi.Size() > maxLog || os.PathSeparator == '/' && fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, %v", f.Name(), fi.Size(), fi.Mode())
		}
	}
}
