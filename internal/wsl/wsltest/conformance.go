package wsltest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"catamaran/internal/proc"
)

// Target is a wsl.exe and one WSL 2 distro in it that may be started, whose
// default user has a POSIX shell and coreutils or busybox.
type Target struct {
	Exe, Distro string
}

// deadline bounds every call; a real cold start can take more than a minute.
const deadline = 2 * time.Minute

type result struct {
	stdout, stderr string
	code           uint32
}

func (g Target) spec(t testing.TB, args []string, env ...string) (proc.Spec, string) {
	exit := filepath.Join(t.TempDir(), "exit")
	return proc.Spec{Name: "wsl.exe", Path: g.Exe, Args: args,
		Env: append(append(os.Environ(), "WSL_UTF8=1", "WSLENV=", "WSLSIM_EXIT_FILE="+exit), env...)}, exit
}

// code32 is the 32-bit exit code, from where Unix programs cannot put it into their status.
func code32(exitFile string, code int) uint32 {
	if b, err := os.ReadFile(exitFile); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32); err == nil {
			return uint32(n)
		}
	}
	return uint32(code)
}

func (g Target) call(t testing.TB, stdin string, args []string, env ...string) result {
	t.Helper()
	spec, exit := g.spec(t, args, env...)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	r, err := proc.Run(ctx, spec, strings.NewReader(stdin), 64<<20)
	if err != nil {
		t.Fatalf("%q: %v (stderr %q)", args, err, r.Stderr)
	}
	return result{string(r.Stdout), r.Stderr, code32(exit, r.ExitCode)}
}

// exec runs a program in the distro.
func (g Target) exec(t testing.TB, stdin string, argv ...string) result {
	t.Helper()
	return g.call(t, stdin, append([]string{"-d", g.Distro, "--cd", "~", "--exec"}, argv...))
}

func (g Target) start(t testing.TB, argv ...string) *proc.Process {
	t.Helper()
	spec, _ := g.spec(t, append([]string{"-d", g.Distro, "--cd", "~", "--exec"}, argv...))
	p, err := proc.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background(), proc.Ladder{Kill: 10 * time.Second}); err != nil {
			t.Error(err)
		}
	})
	return p
}

// line reads one line; the process is killed when none comes.
func line(t testing.TB, r *bufio.Reader, p *proc.Process) string {
	t.Helper()
	watch := time.AfterFunc(deadline, p.Kill)
	defer watch.Stop()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("no line: %v; stderr %q", err, p.StderrTail())
	}
	return strings.TrimSuffix(s, "\n")
}

func done(t testing.TB, p *proc.Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(deadline):
		t.Fatal("wsl.exe has not ended")
	}
}

// Conformance checks what product code relies on. It starts the distro and
// leaves nothing in it; it never terminates anything.
func Conformance(t *testing.T, g Target) {
	for name, check := range map[string]func(*testing.T, Target){
		"encoding": checkEncoding, "arguments": checkArguments, "environment": checkEnvironment, "terminal": checkTerminal,
		"half close": checkHalfClose, "eager stdin": checkEagerStdin, "bulk": checkBulk, "slow reader": checkSlowReader,
		"grandchild": checkGrandchild, "kill": checkKill, "own failures": checkFailures, "home": checkHome,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, g)
		})
	}
}

func checkEncoding(t *testing.T, g Target) { // B12
	utf8 := g.call(t, "", []string{"--list", "--quiet"})
	spec, _ := g.spec(t, []string{"--list", "--quiet"}, "WSL_UTF8=0")
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	r, err := proc.Run(ctx, spec, nil, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(utf8.stdout, g.Distro+"\r\n") || len(r.Stdout) != 2*len(utf8.stdout) || r.Stdout[1] != 0 {
		t.Errorf("UTF-8 %q, UTF-16 %q", utf8.stdout, r.Stdout)
	}
}

func checkArguments(t *testing.T, g Target) { // Q02 to Q20
	for _, argv := range [][]string{{`C:\Users\my name\`}, {`\\wsl.localhost\Ubuntu\home`}, {"$HOME", "`id`", ";x", "*"}, {`"a"`, `\"`, `\\`}, {"foo", "", "bar"}, {"a\nb", "é日"}, {"--", "-d", "~"}} {
		// The first word is printf's own format; each argument comes back between marks.
		r := g.exec(t, "", append([]string{"printf", `<%s>\n`}, argv...)...)
		if want := "<" + strings.Join(argv, ">\n<") + ">\n"; r.stdout != want || r.code != 0 {
			t.Errorf("%q came out as %q, %d, %q", argv, r.stdout, r.code, r.stderr)
		}
	}
}

func checkEnvironment(t *testing.T, g Target) { // W02, W16, W21, B19
	r := g.call(t, "", []string{"-d", g.Distro, "--exec", "env"}, "CONFORMANCE_A=x", "CONFORMANCE_B=y", "WSLENV=CONFORMANCE_A/u:CONFORMANCE_UNSET")
	env := "\n" + r.stdout
	for _, want := range []string{"\nCONFORMANCE_A=x\n", "\nWSLENV=CONFORMANCE_A/u:CONFORMANCE_UNSET\n", "\nCONFORMANCE_UNSET=\n", "\nWSL_DISTRO_NAME=" + g.Distro + "\n"} {
		if !strings.Contains(env, want) {
			t.Errorf("%q is not in %q", want, env)
		}
	}
	for _, leak := range []string{"CONFORMANCE_B", "\nWSL_UTF8=", "WSLSIM"} {
		if strings.Contains(env, leak) {
			t.Errorf("%s crossed into the distro", leak)
		}
	}
	if r := g.exec(t, "", "sh", "-c", `printf %s "${WSLENV-unset}"`); r.stdout != "" {
		t.Errorf("WSLENV is %q, want empty", r.stdout)
	}
}

func checkTerminal(t *testing.T, g Target) { // A3.1, B22: pipes, and still a controlling terminal of 80x24
	r := g.exec(t, "", "sh", "-c", `for f in 0 1 2; do test -t $f && echo tty $f; done; : < /dev/tty && echo opens; stty size < /dev/tty`)
	if r.stdout != "opens\n24 80\n" {
		t.Errorf("got %q, %q", r.stdout, r.stderr)
	}
}

func checkHalfClose(t *testing.T, g Target) { // A3.2
	r := g.exec(t, "abc", "sh", "-c", "cat; echo after")
	if r.stdout != "abcafter\n" || r.code != 0 {
		t.Errorf("got %q, %d", r.stdout, r.code)
	}
}

// checkEagerStdin: what the program does not read yet does not block the caller.
func checkEagerStdin(t *testing.T, g Target) { // B25
	p := g.start(t, "sh", "-c", "echo ready; read -r go < /dev/tty; wc -c")
	out := bufio.NewReader(p.Stdout())
	line(t, out, p)
	wrote := make(chan error, 1)
	go func() {
		_, err := p.Stdin().Write(bytes.Repeat([]byte("x"), 48<<10))
		wrote <- err
	}()
	select {
	case err := <-wrote:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(deadline):
		t.Error("the write waits for the program")
	}
	p.Kill()
	done(t, p)
}

func checkBulk(t *testing.T, g Target) { // B25, B26
	data := make([]byte, 8<<20)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	r := g.exec(t, string(data), "sh", "-c", "cat; head -c 300000 /dev/zero >&2; exit 3")
	if sha256.Sum256([]byte(r.stdout)) != sha256.Sum256(data) || r.code != 3 {
		t.Errorf("%d bytes came back, exit %d", len(r.stdout), r.code)
	}
}

// checkSlowReader: all output is delivered although the program ends at once and nobody reads until then.
func checkSlowReader(t *testing.T, g Target) { // B27, B28
	p := g.start(t, "sh", "-c", "head -c 2000000 /dev/zero; echo end >&2")
	p.Stdin().Close()
	var n int64
	first := make([]byte, 1)
	if _, err := io.ReadFull(p.Stdout(), first); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
		t.Error("wsl.exe ended although its output was not read")
	default:
	}
	n, err := io.Copy(io.Discard, p.Stdout())
	done(t, p)
	if n+1 != 2000000 || err != nil || p.ExitCode() != 0 {
		t.Errorf("%d bytes, %v, exit %d", n+1, err, p.ExitCode())
	}
}

// checkGrandchild: one that still holds stdout does not keep wsl.exe.
func checkGrandchild(t *testing.T, g Target) { // B29
	start := time.Now()
	r := g.exec(t, "", "sh", "-c", "sleep 60 & echo started")
	if r.stdout != "started\n" || r.code != 0 || time.Since(start) > 30*time.Second {
		t.Errorf("got %q, %d after %v", r.stdout, r.code, time.Since(start))
	}
}

// checkKill: the program gets SIGHUP and EOF when wsl.exe is killed, and nothing else.
func checkKill(t *testing.T, g Target) { // B30
	fifo := fmt.Sprintf("/tmp/wsl-conformance-%d-%d", os.Getpid(), time.Now().UnixNano())
	if r := g.exec(t, "", "mkfifo", fifo); r.code != 0 {
		t.Fatal(r.stderr)
	}
	defer g.exec(t, "", "rm", "-f", fifo)
	watcher := g.start(t, "sh", "-c", "echo ready; exec cat "+fifo)
	watched := bufio.NewReader(watcher.Stdout())
	line(t, watched, watcher)
	victim := g.start(t, "sh", "-c", `exec 9>"$0"; trap 'echo hup >&9; exit 0' HUP; echo ready; while :; do sleep 1 & wait $!; done`, fifo)
	line(t, bufio.NewReader(victim.Stdout()), victim)
	start := time.Now()
	victim.Kill()
	if got := line(t, watched, watcher); got != "hup" {
		t.Errorf("got %q", got)
	}
	// The bound in the facts is 100 ms; a loaded test machine needs more.
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("SIGHUP after %v", took)
	} else {
		t.Logf("SIGHUP after %v", took)
	}
}

func checkFailures(t *testing.T, g Target) { // B11, B17, Q22, E29, Q29, Q30, E19
	for _, c := range []struct {
		args []string
		code string
	}{
		{[]string{"-d", "no-such-distro", "--exec", "true"}, "Wsl/Service/WSL_E_DISTRO_NOT_FOUND"},
		{[]string{"-d", g.Distro, "--cd", "relative", "--exec", "pwd"}, "Wsl/E_INVALIDARG"},
		{[]string{"-d", g.Distro, "--exec"}, "Wsl/E_INVALIDARG"},
		{[]string{"-d", g.Distro, "-u", "no-such-user", "--exec", "true"}, "Wsl/WSL_E_USER_NOT_FOUND"},
		{[]string{"--nope"}, ""},
	} {
		r := g.call(t, "", c.args)
		if r.code != 0xffffffff || r.stderr != "" || !strings.HasSuffix(r.stdout, "\r\n") || c.code != "" && !strings.HasSuffix(r.stdout, ": "+c.code+"\r\n") {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", c.args, r.code, r.stdout, r.stderr)
		}
	}
}

func checkHome(t *testing.T, g Target) { // Q23, Q28
	r := g.call(t, "", []string{"-d", strings.ToUpper(g.Distro), "--cd", "~", "--exec", "sh", "-c", `test "$(pwd -P)" = "$(cd "$HOME" && pwd -P)" && echo home`})
	if r.stdout != "home\n" {
		t.Errorf("got %q, %q", r.stdout, r.stderr)
	}
}
