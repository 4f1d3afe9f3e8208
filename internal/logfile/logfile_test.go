package logfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, o Options) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "logs", "backend.log")
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, path
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLevel(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{"": slog.LevelInfo, "debug": slog.LevelDebug, "Info": slog.LevelInfo,
		" warn ": slog.LevelWarn, "ERROR": slog.LevelError} {
		if got, err := Level(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if got, err := Level("loud"); got != slog.LevelInfo || err == nil {
		t.Errorf("loud: %v, %v", got, err)
	}
}

func TestLevelFilters(t *testing.T) {
	t.Parallel()
	f, path := open(t, Options{Level: slog.LevelWarn})
	log := slog.New(f.Handler())
	log.Info("quiet")
	log.Warn("loud")
	if got := read(t, path); strings.Contains(got, "quiet") || !strings.Contains(got, "loud") {
		t.Errorf("%s", got)
	}
}

func TestRedactsKeys(t *testing.T) {
	t.Parallel()
	f, path := open(t, Options{})
	log := slog.New(f.Handler())
	for _, key := range []string{"token", "Token", "accessToken", "credential", "Authorization", "code", "key", "api_key", "secret", "clientSecret", "password"} {
		log.Info("x", key, "hideme")
		log.With(key, "hideme").Info("x")
		log.Info("x", slog.Group("g", key, "hideme"), slog.Group(key, "inner", "hideme"))
	}
	log.Info("x", "exitCode", 7, "keyboard", "shown", "encoder", "shown")
	got := read(t, path)
	if strings.Contains(got, "hideme") {
		t.Errorf("%s", got)
	}
	if strings.Count(got, "shown") != 2 || !strings.Contains(got, `"exitCode":7`) {
		t.Errorf("hides too much: %s", got[strings.LastIndex(got, "\n{")+1:])
	}
}

func TestRedactsValues(t *testing.T) {
	t.Parallel()
	f, path := open(t, Options{})
	log := slog.New(f.Handler())
	plain, odd := "sk-live-0123456789", "p\"ass\\wörd/with+more&ünicode"
	Secret(plain)
	Secret(odd)
	Secret("sk-live-0123456789-longer")
	Secret("short")
	for _, s := range []string{plain, odd} {
		log.Info("said "+s, "a", s, "list", []string{s}, "err", fmt.Errorf("bad %q", s), "any", map[string]string{"k": s})
		log.Error("nested", "err", fmt.Errorf("outer: %w", errors.New("inner "+s)))
		fmt.Fprintf(f, "a line of a child: %s\n", s)
	}
	log.Info("both", "v", "sk-live-0123456789-longer", "w", "short")
	got := read(t, path)
	for _, leak := range []string{"0123456789", "with+more", "nicode", "-longer"} {
		if strings.Contains(got, leak) {
			t.Errorf("%q leaks: %s", leak, got)
		}
	}
	if !strings.Contains(got, `"short"`) {
		t.Error("a value too short to be a secret is hidden")
	}
	for _, line := range strings.Split(strings.TrimSpace(got), "\n") {
		if strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) {
			t.Errorf("not JSON any more: %s", line)
		}
	}
	if got := Redact("Bearer " + plain); got != "Bearer "+redacted {
		t.Errorf("%q", got)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	f, path := open(t, Options{MaxBytes: 1000, Keep: 2})
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for i := range 50 {
				fmt.Fprintf(f, "writer %d line %d %s\n", w, i, strings.Repeat("x", 60))
			}
		})
	}
	group.Wait()
	fmt.Fprintf(f, "%s\n", strings.Repeat("y", 3000))
	fmt.Fprintf(f, "last\n")
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 3 {
		t.Fatalf("%q, %v", files, err)
	}
	if got := read(t, path); got != "last\n" {
		t.Errorf("newest: %q", got)
	}
	if got := read(t, path+".1"); len(got) != 3001 {
		t.Errorf("a long line: %d bytes", len(got))
	}
	if got := read(t, path+".2"); len(got) > 1000 || strings.Count(got, "\n")*2 != strings.Count(got, "writer")+strings.Count(got, "line") {
		t.Errorf("oldest: %d bytes", len(got))
	}
}

func TestContinuesAndCloses(t *testing.T) {
	t.Parallel()
	f, path := open(t, Options{})
	fmt.Fprintln(f, "first")
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Write([]byte("late\n")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	fmt.Fprintln(again, "second")
	if got := read(t, path); got != "first\nsecond\n" {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
