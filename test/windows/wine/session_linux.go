package wine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// User is who the programs of a session run as.
const User = 1000

// Bounds of a session's beginning and end.
const (
	startWait = 2 * time.Minute
	endWait   = 30 * time.Second
)

// Session is one running Windows.
type Session struct {
	// Dir holds the session and is the tester's; Prefix is Wine's folder in it.
	Dir, Prefix string

	t     testing.TB
	enter *exec.Cmd
	stdin io.Closer
	inner int // process id, as seen from outside, of the first process inside
	ns    string

	watch   chan struct{} // closed to end the watch over hung processes
	watched chan struct{} // closed once it has ended
}

// Start makes a fresh Windows and keeps it up until the test ends. The folder
// must be there (Install); without it the test is skipped, or fails where CI is set.
func Start(t testing.TB) *Session {
	t.Helper()
	dir, err := Dir()
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err != nil || os.Geteuid() != 0 {
		text := "Wine is not installed (go run ./tools/wine install, as root)"
		if os.Getenv("CI") != "" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	// Not t.TempDir: the tester must be able to go there.
	work, err := os.MkdirTemp("/tmp", "catamaran-wine-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{Dir: work, Prefix: filepath.Join(work, "prefix"), t: t}
	t.Cleanup(s.close)
	if err := errors.Join(os.Chown(work, User, User), os.Chmod(work, 0o755)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", filepath.Join(dir, "prefix"), s.Prefix).CombinedOutput(); err != nil {
		t.Fatalf("copy the template: %v: %s", err, out)
	}
	if err := errors.Join(os.Chmod(s.Prefix, 0o755), noDisplay(s.Prefix)); err != nil {
		t.Fatal(err)
	}
	// The first process lives as long as its input, which ends with this process at
	// the latest; wineserver stays up between programs.
	s.enter = exec.Command("bash", filepath.Join(dir, "enter.sh"), filepath.Join(dir, "rootfs"), s.Prefix,
		"bash", "-c", "wineserver -p && wine cmd /c ver </dev/null >/dev/null && wine --version && read -r _")
	s.enter.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	s.enter.Stderr = &stderr
	if s.stdin, err = s.enter.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := s.enter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.enter.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(startWait, func() { _ = s.enter.Process.Kill() })
	defer late.Stop()
	version, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(version, "wine-10.") {
		t.Fatalf("Wine did not start: %q, %v\n%s", version, err, stderr.Bytes())
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.enter.Process.Pid, s.enter.Process.Pid))
	if err == nil {
		s.inner, err = strconv.Atoi(strings.TrimSpace(string(children)))
	}
	if err == nil {
		s.ns, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.inner))
	}
	if err != nil {
		t.Fatalf("find the first process of the session: %v", err)
	}
	s.watch, s.watched = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(s.watched)
		s.endHung(s.watch)
	}()
	return s
}

// noDisplay makes windows be made, but nowhere shown. It must be in the registry
// before the first program runs: the start of Windows itself makes the desktop,
// and with another driver, which finds no display, programs fail to make windows
// from then on, with no error said.
func noDisplay(prefix string) error {
	f, err := os.OpenFile(filepath.Join(prefix, "user.reg"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n[Software\\\\Wine\\\\Drivers] 1700000000\n\"Graphics\"=\"null\"\n")
	return errors.Join(err, f.Close())
}

func (s *Session) close() {
	if s.watch != nil {
		close(s.watch)
		<-s.watched
	}
	if s.enter != nil && s.enter.Process != nil {
		_ = s.stdin.Close()
		ended := make(chan struct{})
		go func() { _ = s.enter.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(endWait):
			_ = s.enter.Process.Kill()
			<-ended
		}
	}
	// Outside, and after the namespace is gone: Wine writes until then.
	if err := os.RemoveAll(s.Dir); err != nil {
		s.t.Error(err)
	}
}

// Command runs a program inside: name is a Windows path or the name of a program
// of Wine's. env is put over the user's environment. Killing the command does not
// kill the Windows program, which the session's end does.
func (s *Session) Command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	return s.CommandIn(ctx, s.C(), env, name, args...)
}

// CommandIn is Command in the folder dir, a path outside.
func (s *Session) CommandIn(ctx context.Context, dir string, env []string, name string, args ...string) *exec.Cmd {
	id := strconv.Itoa(User)
	line := []string{"-t", strconv.Itoa(s.inner), "-m", "-p", "-i", "--",
		"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "env", "-C", dir, "-i",
		"HOME=" + s.Prefix, "USER=tester", "LANG=C.UTF-8", "PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=" + filepath.Join(s.Prefix, "xdg"),
		"WINEPREFIX=" + s.Prefix, "WINEDEBUG=" + debug()}
	line = append(append(append(line, env...), "wine", name), args...)
	cmd := exec.CommandContext(ctx, "nsenter", line...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func debug() string {
	if d := os.Getenv("WINEDEBUG"); d != "" {
		return d
	}
	return "-all"
}

// Run runs a program to its end and returns its output and exit code, of which Wine passes on 8 bits.
func (s *Session) Run(env []string, name string, args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWait)
	defer cancel()
	cmd := s.Command(ctx, env, name, args...)
	// Files, because Wine's console server keeps pipes open after the program's end.
	o, err := os.CreateTemp(s.Dir, "out-")
	if err != nil {
		s.t.Fatal(err)
	}
	defer o.Close()
	e, err := os.CreateTemp(s.Dir, "err-")
	if err != nil {
		s.t.Fatal(err)
	}
	defer e.Close()
	cmd.Stdout, cmd.Stderr = o, e
	err = cmd.Run()
	out, oerr := os.ReadFile(o.Name())
	errOut, eerr := os.ReadFile(e.Name())
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil || oerr != nil || eerr != nil {
		s.t.Fatalf("%s %q: %v\n%s%s", name, args, errors.Join(err, oerr, eerr), out, errOut)
	}
	return string(out), string(errOut), cmd.ProcessState.ExitCode()
}

// C is the path outside of a path on drive C: C("app", "x.exe") is C:\app\x.exe.
func (s *Session) C(elem ...string) string {
	return filepath.Join(append([]string{s.Prefix, "drive_c"}, elem...)...)
}

// Win is the path inside of a path outside: on C: where it lies there, else on Z:.
func (s *Session) Win(path string) string {
	if rel, err := filepath.Rel(s.C(), path); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return `C:\` + strings.ReplaceAll(rel, "/", `\`)
	}
	return `Z:` + strings.ReplaceAll(path, "/", `\`)
}

// Give puts a file or folder into the session as the tester's; hard links where possible.
func (s *Session) Give(from, to string) {
	s.t.Helper()
	err := os.MkdirAll(filepath.Dir(to), 0o755)
	if err == nil {
		if err = exec.Command("cp", "-rl", from, to).Run(); err != nil { // another file system
			var out []byte
			if out, err = exec.Command("cp", "-r", from, to).CombinedOutput(); err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
		}
	}
	if err == nil {
		err = s.Own(filepath.Dir(to))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// Own makes the folders from path up to the session's the tester's; what lies in path stays as it is.
func (s *Session) Own(path string) error {
	for p := path; len(p) > len(s.Dir); p = filepath.Dir(p) {
		if err := os.Lchown(p, User, User); err != nil {
			return err
		}
	}
	return nil
}

// Process is one process of the session, as seen from outside.
type Process struct {
	PID  int
	Argv []string
	// Started tells the older from the younger, which the process id, being given
	// out anew, does not: in ticks since the machine's start.
	Started uint64
}

// started reads when a process began; 0 where it is gone.
func started(pid int) uint64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The name, in parentheses, may hold anything; proc(5) counts it as the second field.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return 0
	}
	n, _ := strconv.ParseUint(fields[19], 10, 64)
	return n
}

// ProcessOf is the process with that id and arguments.
func ProcessOf(pid int, line []byte) Process {
	p := Process{PID: pid, Started: started(pid)}
	for a := range bytes.SplitSeq(bytes.TrimSuffix(line, []byte{0}), []byte{0}) {
		p.Argv = append(p.Argv, string(a))
	}
	return p
}

// Is reports whether the process runs the Windows program with that file name.
func (p Process) Is(exe string) bool {
	if len(p.Argv) == 0 {
		return false
	}
	first := p.Argv[0]
	return strings.EqualFold(first[strings.LastIndexAny(first, `\/`)+1:], exe)
}

// Processes lists the session's processes, Wine's own included.
func (s *Session) Processes() []Process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		s.t.Fatal(err)
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if ns, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns", "pid")); err != nil || ns != s.ns {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || len(line) == 0 {
			continue
		}
		found = append(found, ProcessOf(pid, line))
	}
	return found
}

// Of lists the processes that run one of the programs.
func (s *Session) Of(exes ...string) []Process {
	return slices.DeleteFunc(s.Processes(), func(p Process) bool {
		return !slices.ContainsFunc(exes, p.Is)
	})
}

// Kill9 ends the processes of a program as a crash would, and reports how many there were.
func (s *Session) Kill9(exe string) int {
	ps := s.Of(exe)
	for _, p := range ps {
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
	return len(ps)
}

// Gone waits until no process runs one of the programs.
func (s *Session) Gone(within time.Duration, exes ...string) error {
	for deadline := time.Now().Add(within); ; {
		left := s.Of(exes...)
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("still there after %v: %v", within, left)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
