package proc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// guarded runs a test both ways.
func guarded(t *testing.T, test func(t *testing.T, guard bool)) {
	for _, guard := range []bool{false, true} {
		name := "plain"
		if guard {
			name = "guarded"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, guard)
		})
	}
}

func TestStdinEOFExit(t *testing.T) {
	t.Parallel()
	guarded(t, func(t *testing.T, guard bool) {
		spec := role("cat")
		spec.Guard = guard
		p := startRole(t, spec)
		if p.PID() <= 0 {
			t.Fatalf("pid %d", p.PID())
		}
		if _, err := io.WriteString(p.Stdin(), "hello"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := p.Stdin().Close(); err != nil {
				t.Fatal(err)
			}
		}
		out, err := io.ReadAll(p.Stdout())
		if err != nil || string(out) != "hello" {
			t.Fatalf("%q, %v", out, err)
		}
		waitDone(t, p, 10*time.Second)
		if p.ExitCode() != 0 || p.Signal() != "" {
			t.Fatalf("exit %d, signal %q", p.ExitCode(), p.Signal())
		}
	})
}

// Children that start at the same moment get no end of each other's pipes: each
// output ends when its child gives it up, while all of them live.
func TestPipesOfSiblings(t *testing.T) {
	t.Parallel()
	const siblings = 8
	started := make(chan *Process, siblings)
	for range siblings {
		go func() {
			p, err := Start(role("mute"))
			if err != nil {
				t.Error(err)
			}
			started <- p
		}()
	}
	ended := make(chan error, siblings)
	for range siblings {
		p := <-started
		if p == nil {
			ended <- nil
			continue
		}
		t.Cleanup(func() {
			p.Stop(context.Background(), Ladder{Kill: 10 * time.Second})
			p.Stdout().Close()
		})
		go func() {
			_, err := io.ReadAll(p.Stdout())
			select {
			case <-p.Done():
				err = errors.Join(err, errors.New("a child is gone before its time"))
			default:
			}
			ended <- err
		}()
	}
	for range siblings {
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("an output does not end: somebody else holds the pipe")
		}
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	guarded(t, func(t *testing.T, guard bool) {
		for _, code := range []string{"0", "1", "7", "127"} {
			spec := role("exit", code)
			spec.Guard = guard
			p := startRole(t, spec)
			waitDone(t, p, 10*time.Second)
			if got := p.ExitCode(); code != strings.TrimSpace(itoa(got)) {
				t.Errorf("exit %s: got %d", code, got)
			}
		}
	})
}

func TestStopLadder(t *testing.T) {
	t.Parallel()
	long := 20 * time.Second
	for _, c := range []struct {
		name   string
		leave  string
		ladder Ladder
		said   string
		signal string
	}{
		{"stdin is enough", "eof", Ladder{CloseStdin: long, Terminate: long, Kill: long}, "eof", ""},
		{"then terminate", "term", Ladder{CloseStdin: 300 * time.Millisecond, Terminate: long, Kill: long}, withTerm("eof", "term"), ""},
		{"then kill", "never", Ladder{CloseStdin: 300 * time.Millisecond, Terminate: 300 * time.Millisecond, Kill: long}, withTerm("eof", "term"), killedSignal},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			guarded(t, func(t *testing.T, guard bool) {
				spec := role("ladder", c.leave)
				spec.Guard = guard
				p := startRole(t, spec)
				out := bufio.NewReader(p.Stdout())
				lines(t, out, 1)
				began := time.Now()
				if err := p.Stop(context.Background(), c.ladder); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("took %v", took)
				}
				rest, _ := io.ReadAll(out)
				if got := strings.Join(strings.Fields(string(rest)), " "); got != c.said {
					t.Errorf("met %q, want %q", got, c.said)
				}
				if p.Signal() != c.signal {
					t.Errorf("signal %q, want %q", p.Signal(), c.signal)
				}
				if err := p.Stop(context.Background(), Ladder{}); err != nil {
					t.Errorf("second stop: %v", err)
				}
			})
		})
	}
}

func TestStopWithEndedContextKillsAtOnce(t *testing.T) {
	t.Parallel()
	p := startRole(t, role("ladder", "never"))
	lines(t, bufio.NewReader(p.Stdout()), 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	began := time.Now()
	if err := p.Stop(ctx, Ladder{CloseStdin: time.Minute, Terminate: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	guarded(t, func(t *testing.T, guard bool) {
		for _, c := range []struct {
			name string
			spec Spec
			want error
		}{
			{"missing file", Spec{Path: filepath.Join(dir, "missing")}, os.ErrNotExist},
			{"not executable", Spec{Path: plain}, notExecutable},
			{"missing folder", Spec{Path: role("cat").Path, Dir: filepath.Join(dir, "none")}, os.ErrNotExist},
		} {
			c.spec.Name, c.spec.Guard = "the thing", guard
			_, err := Start(c.spec)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "the thing") {
				t.Errorf("%s: %v", c.name, err)
			}
			if c.spec.Dir != "" && !strings.Contains(err.Error(), "enter the folder "+c.spec.Dir) {
				t.Errorf("%s does not name the folder: %v", c.name, err)
			}
		}
	})
	if _, err := Start(Spec{Path: "no-such-program", Env: []string{"PATH=" + dir}}); err == nil {
		t.Error("found no-such-program")
	}
	if _, err := Start(Spec{Path: plain, Guard: true, InheritConsole: true}); err == nil {
		t.Error("guarded on a console")
	}
}

func TestEnvAndDir(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	guarded(t, func(t *testing.T, guard bool) {
		spec := role("env", "COLOUR")
		spec.Env, spec.Dir, spec.Guard = append(spec.Env, "COLOUR=blue"), dir, guard
		r, err := Run(deadline(t, time.Minute), spec, nil, 1000)
		if err != nil || string(r.Stdout) != "blue|"+dir {
			t.Fatalf("%q, %v", r.Stdout, err)
		}
	})
}

func TestStderrTail(t *testing.T) {
	t.Parallel()
	guarded(t, func(t *testing.T, guard bool) {
		spec := role("flood", strconv.Itoa(flood))
		var all countingWriter
		spec.Guard, spec.StderrTail, spec.Stderr = guard, 1000, &all
		p := startRole(t, spec)
		waitDone(t, p, 3*time.Minute)
		tail := p.StderrTail()
		if len(tail) != 1000 || !strings.HasSuffix(tail, "x\nend") {
			t.Errorf("%d bytes, %q", len(tail), tail[max(0, len(tail)-20):])
		}
		if all.n != flood+3 {
			t.Errorf("copy has %d bytes", all.n)
		}
	})
}

type countingWriter struct{ n int }

func (w *countingWriter) Write(b []byte) (int, error) { w.n += len(b); return len(b), nil }

func TestRun(t *testing.T) {
	t.Parallel()
	guarded(t, func(t *testing.T, guard bool) {
		run := func(spec Spec, stdin io.Reader, most int64) Result {
			spec.Guard = guard
			r, err := Run(deadline(t, time.Minute), spec, stdin, most)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		if r := run(role("print", "out", "err\r\n"), nil, 3); string(r.Stdout) != "out" || r.Stderr != "err\n" || r.Truncated || r.ExitCode != 0 {
			t.Errorf("print: %+v", r)
		}
		if r := run(role("exit", "3"), nil, 10); r.ExitCode != 3 {
			t.Errorf("exit: %+v", r)
		}
		long := strings.Repeat("input ", 100_000)
		if r := run(role("cat"), strings.NewReader(long), 1<<20); string(r.Stdout) != long {
			t.Errorf("cat: %d bytes", len(r.Stdout))
		}
		if r := run(role("cat"), nil, 10); len(r.Stdout) != 0 || r.ExitCode != 0 {
			t.Errorf("empty stdin: %+v", r)
		}
		if r := run(role("exit", "0"), strings.NewReader(long), 10); r.ExitCode != 0 {
			t.Errorf("unread stdin: %+v", r)
		}
		if r := run(role("flood", "1000000", "out"), nil, 500); !r.Truncated || !bytes.Equal(r.Stdout, []byte(strings.Repeat(strings.Repeat("x", 99)+"\n", 5))) {
			t.Errorf("flood: truncated %v, %d bytes", r.Truncated, len(r.Stdout))
		}
	})
}

func TestRunDeadline(t *testing.T) {
	t.Parallel()
	guarded(t, func(t *testing.T, guard bool) {
		spec := role("ladder", "never")
		spec.Guard = guard
		began := time.Now()
		r, err := Run(deadline(t, 500*time.Millisecond), spec, nil, 1000)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "ladder") {
			t.Fatalf("%+v, %v", r, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
	if _, err := Run(context.Background(), role("cat"), nil, 10); err == nil {
		t.Error("ran without a deadline")
	}
}

func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestLookPath(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	name := "tool" + exeSuffix
	for path, mode := range map[string]os.FileMode{filepath.Join(first, name): noExec, filepath.Join(second, name): 0o755} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(second, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	list := strings.Join([]string{"", "relative", t.TempDir(), second}, string(os.PathListSeparator))
	want := filepath.Join(second, name)
	for _, c := range []struct{ name, arg, list, want string }{
		{"found", "tool", list, want},
		{"absolute", want, "", want},
		{"missing", "other", list, ""},
		{"folder", "folder", list, ""},
		{"empty", "", list, ""},
		{"empty list", "tool", "", ""},
	} {
		got, err := LookPath(c.arg, c.list)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	if noExec&0o111 == 0 {
		if got, err := LookPath("tool", first+string(os.PathListSeparator)+second); got != want {
			t.Errorf("behind one that is not executable: %q, %v", got, err)
		}
	}
}

func TestEnvValue(t *testing.T) {
	t.Parallel()
	env := []string{"A=1", "B=x=y", "A=2", "odd"}
	for key, want := range map[string]string{"A": "2", "B": "x=y"} {
		if got, ok := EnvValue(env, key); got != want || !ok {
			t.Errorf("%s: %q %v", key, got, ok)
		}
	}
	if _, ok := EnvValue(env, "odd"); ok {
		t.Error("a variable without a value was found")
	}
}
