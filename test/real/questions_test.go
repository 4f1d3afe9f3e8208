//go:build realwsl

package real

import (
	"bufio"
	"context"
	"encoding/hex"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/internal/proc"
)

// The questions of docs/windows-checklist.md that a program can answer. A question
// does not fail for its answer; it fails when it could not be asked. The report
// collects the lines that begin with ANSWER.

func answer(t *testing.T, id, format string, args ...any) {
	t.Helper()
	t.Logf("ANSWER "+id+": "+format, args...)
}

// ask runs wsl.exe itself.
func ask(t *testing.T, exe string, env []string, args ...string) (proc.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return proc.Run(ctx, proc.Spec{Name: "wsl.exe", Path: exe, Args: args, Env: append(os.Environ(), env...)}, nil, 1<<20)
}

// C4, C8: what the lists look like, byte by byte, and how their commands end.
func TestQuestionLists(t *testing.T) {
	_, _, g := target(t)
	for _, args := range [][]string{{"--list", "--verbose"}, {"--list", "--quiet"}, {"--status"}, {"--version"}} {
		for _, utf8 := range []string{"0", "1"} {
			r, err := ask(t, g.Exe, []string{"WSL_UTF8=" + utf8}, args...)
			if err != nil {
				t.Errorf("%q: %v", args, err)
				continue
			}
			answer(t, "C4", "%s, WSL_UTF8=%s: exit %d, stderr %q, stdout %s", strings.Join(args, " "), utf8, uint32(r.ExitCode), r.Stderr, hex.EncodeToString(r.Stdout[:min(len(r.Stdout), 600)]))
		}
	}
}

// C9: the ways to name a distro.
func TestQuestionDistributionID(t *testing.T) {
	_, d, g := target(t)
	for _, args := range [][]string{{"--distribution-id", d.ID, "--exec", "true"}, {d.ID, "--exec", "true"}} {
		r, err := ask(t, g.Exe, []string{"WSL_UTF8=1"}, args...)
		if err != nil {
			t.Fatal(err)
		}
		answer(t, "C9", "%s: exit %d, stdout %.200q", args[0], uint32(r.ExitCode), r.Stdout)
	}
}

// C5: how fast the pipes are.
func TestQuestionSpeed(t *testing.T) {
	client, d, _ := target(t)
	p, err := client.Launch(d, []string{"cat"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	late := time.AfterFunc(patience, p.Kill)
	defer late.Stop()
	out := bufio.NewReaderSize(p.Stdout(), 64<<10)
	line := []byte("ping\n")
	var took []time.Duration
	for range 200 {
		began := time.Now()
		if _, err := p.Stdin().Write(line); err != nil {
			t.Fatal(err)
		}
		if _, err := out.ReadSlice('\n'); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	const size = 64 << 20
	began := time.Now()
	go func() {
		piece := make([]byte, 64<<10)
		for range size / len(piece) {
			if _, err := p.Stdin().Write(piece); err != nil {
				return
			}
		}
		_ = p.Stdin().Close()
	}()
	n, err := io.Copy(io.Discard, out)
	if err != nil || n != size {
		t.Fatalf("%d bytes came back: %v", n, err)
	}
	answer(t, "C5", "round trip of 5 bytes: median %v, 95th percentile %v; echo of 64 MiB: %.0f MB/s", took[len(took)/2], took[len(took)*95/100], size/1e6/time.Since(began).Seconds())
}

// C1, C2, C10, C11: what is left when wsl.exe is killed.
func TestQuestionKill(t *testing.T) {
	client, d, _ := target(t)
	p, err := client.Launch(d, []string{"sh", "-c", "echo $$; exec sleep 600"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, p.Kill)
	defer late.Stop()
	out := bufio.NewReader(p.Stdout())
	pid, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("no process id: %v; %s", err, p.StderrTail())
	}
	began := time.Now()
	p.Kill()
	<-p.Done()
	answer(t, "C11", "the job of wsl.exe was empty %v after it was killed", time.Since(began))
	_, err = io.Copy(io.Discard, out)
	answer(t, "C2", "its stdout ended %v after it was killed (%v)", time.Since(began), err)
	for deadline := time.Now().Add(time.Minute); ; {
		said, _ := run(t, client, d, nil, "sh", "-c", `kill -0 "$0" 2>/dev/null && echo alive || echo gone`, strings.TrimSpace(pid))
		if strings.TrimSpace(said) == "gone" {
			answer(t, "C10", "the Linux process was gone at the latest %v after wsl.exe was killed (one call of wsl.exe included)", time.Since(began))
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the Linux process %s outlives wsl.exe", strings.TrimSpace(pid))
		}
	}
}

// C12: whether a distro knows its machine's id, and how it is networked.
func TestQuestionWslinfo(t *testing.T) {
	client, d, _ := target(t)
	for _, what := range []string{"--vm-id", "--networking-mode", "--version"} {
		out, code := run(t, client, d, nil, "wslinfo", what)
		answer(t, "C12", "wslinfo %s: exit %d, %.100q", what, code, out)
	}
}
