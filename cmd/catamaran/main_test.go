package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	os.Exit(m.Run())
}

// exec runs the command line in this process with a state folder of its own.
func exec(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var o, e bytes.Buffer
	code = run(ctx, cancel, false, args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// spec/cli.md: 0 ok, 1 failed, 2 usage, 3 not running.
func TestExitCodes(t *testing.T) {
	t.Setenv("CATAMARAN_HOME", t.TempDir())
	for name, c := range map[string]struct {
		args []string
		code int
		out  string
	}{
		"version":               {[]string{"version"}, 0, "catamaran "},
		"version flag":          {[]string{"--version"}, 0, "catamaran "},
		"help":                  {[]string{"--help"}, 0, "doctor"},
		"unknown command":       {[]string{"fly"}, 2, ""},
		"unknown flag":          {[]string{"--fly"}, 2, ""},
		"unknown mode":          {[]string{"env", "use", "cloud"}, 2, ""},
		"distro with local":     {[]string{"env", "use", "local", "--distro", "D"}, 2, ""},
		"use, not running":      {[]string{"env", "use", "both"}, 3, ""},
		"start, not running":    {[]string{"env", "start", "local"}, 3, ""},
		"stop, not running":     {[]string{"env", "stop", "local", "--json"}, 3, ""},
		"open, not running":     {[]string{"open", "."}, 3, ""},
		"open, missing folder":  {[]string{"open", "/no/such/folder"}, 1, ""},
		"logs":                  {[]string{"logs"}, 0, ""},
		"negative tail":         {[]string{"logs", "--tail=-1"}, 2, ""},
		"env without a command": {[]string{"env"}, 2, ""},
	} {
		code, out, errOut := exec(t, c.args...)
		if code != c.code || !strings.Contains(out, c.out) {
			t.Errorf("%s: exit %d, want %d; out %q, err %q", name, code, c.code, out, errOut)
		}
		if code != 0 && errOut == "" {
			t.Errorf("%s: no word about the failure", name)
		}
	}
}

func TestVersionJSON(t *testing.T) {
	t.Setenv("CATAMARAN_HOME", t.TempDir())
	_, out, _ := exec(t, "version", "--json")
	var v api.VersionInfo
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Version == "" || v.Protocol != api.ProtocolVersion {
		t.Errorf("%s %v", out, err)
	}
}

func TestRelativeHomeIsRefused(t *testing.T) {
	t.Setenv("CATAMARAN_HOME", "relative")
	if code, _, errOut := exec(t, "logs"); code != 1 || !strings.Contains(errOut, "CATAMARAN_HOME") {
		t.Errorf("%d %q", code, errOut)
	}
}

func TestLogs(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CATAMARAN_HOME", dir)
	path := filepath.Join(dir, "desktop", "logs", "desktop.log")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out, _ := exec(t, "logs"); out != path+"\n" {
		t.Errorf("%q", out)
	}
	for n, want := range map[string]string{"1": "three\n", "2": "two\nthree\n", "9": "one\ntwo\nthree\n"} {
		if _, out, _ := exec(t, "logs", "--tail", n); !strings.HasSuffix(out, "<==\n"+want) {
			t.Errorf("tail %s: %q", n, out)
		}
	}
	_, out, _ := exec(t, "logs", "--json")
	var l api.LogFiles
	if err := json.Unmarshal([]byte(out), &l); err != nil || len(l.Files) != 1 || l.Files[0].Bytes != 14 {
		t.Errorf("%s %v", out, err)
	}
}

// A folder that is given to the start is opened once the environment is there; what is refused is refused at once.
func TestOpenWhenReady(t *testing.T) {
	t.Parallel()
	for code, want := range map[api.Code]int{api.CodeEnvironmentUnknown: 3, api.CodeEnvironmentDown: 3, api.CodeInvalid: 1} {
		calls := 0
		err := openWhenReady(t.Context(), t.TempDir(), func(context.Context, string) error {
			if calls++; calls == 3 {
				return nil
			}
			return &api.Error{Code: code, Message: "early"}
		})
		if calls != want || (err == nil) != (want == 3) {
			t.Errorf("%s: %d calls, %v", code, calls, err)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		goos             string
		files            []string
		backend, carried string
	}{
		"beside":    {"linux", []string{"/a/bin/catamaran-backend", "/a/bin/carried"}, "/a/bin/catamaran-backend", "/a/bin/carried"},
		"packaged":  {"linux", []string{"/a/lib/catamaran/catamaran-backend", "/a/lib/catamaran/carried"}, "/a/lib/catamaran/catamaran-backend", "/a/lib/catamaran/carried"},
		"missing":   {"linux", nil, "/a/bin/catamaran-backend", "/a/bin/carried"},
		"windows":   {"windows", []string{"/a/bin/catamaran-backend.exe"}, "/a/bin/catamaran-backend.exe", "/a/bin/carried"},
		"beside it": {"linux", []string{"/a/bin/catamaran-backend", "/a/lib/catamaran/catamaran-backend"}, "/a/bin/catamaran-backend", "/a/bin/carried"},
	} {
		got := placesIn("/a/bin", c.goos, func(p string) bool { return slices.Contains(c.files, filepath.ToSlash(p)) })
		if filepath.ToSlash(got.backend) != c.backend || filepath.ToSlash(got.carried) != c.carried {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
