//go:build unix

package link_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"catamaran/internal/api"
	"catamaran/internal/link"
	"catamaran/internal/link/linktest"
)

// startWith runs the peer program on the given standard streams.
func startWith(t *testing.T, in, out, stderr *os.File) (wait func() int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess(self, []string{self, peerArg}, &os.ProcAttr{
		Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0"), Files: []*os.File{in, out, stderr}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	go func() {
		state, err := p.Wait()
		if err != nil {
			t.Error(err)
		}
		ended <- state.ExitCode()
	}()
	t.Cleanup(func() { p.Kill() })
	return func() int {
		select {
		case code := <-ended:
			return code
		case <-time.After(time.Minute):
			return -1
		}
	}
}

func tempFile(t *testing.T, content string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

const envelopeLine = `{"protocol":1,"credential":"x","environment":"test:1"}` + "\n"

func TestStdioFiles(t *testing.T) {
	t.Parallel()
	in, out, stderr := tempFile(t, envelopeLine), tempFile(t, ""), tempFile(t, "")
	if code := startWith(t, in, out, stderr)(); code != linktest.EndEOF {
		said, _ := os.ReadFile(stderr.Name())
		t.Fatalf("ended with %d: %s", code, said)
	}
	said, err := os.ReadFile(out.Name())
	if err != nil || !strings.Contains(string(said), "\n"+link.Marker+`{"protocol":1,`) {
		t.Errorf("%q, %v", said, err)
	}
}

func TestStdioNull(t *testing.T) {
	t.Parallel()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if code := startWith(t, null, null, null)(); code != linktest.EndEOF {
		t.Errorf("ended with %d", code)
	}
}

// overOne runs a link on one descriptor that is the peer's stdin and stdout.
func overOne(t *testing.T, owner *os.File, wait func() int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := link.Connect(ctx, owner, owner, api.Envelope{Protocol: api.ProtocolVersion}, link.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, what := range []string{"print\n", "source 300000\n"} {
		c, err := s.Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, what); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || len(got) != 300_000 && string(got) != "printed" {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
		c.Close()
	}
	if err := s.Goodbye(ctx); err != nil {
		t.Error(err)
	}
	if code := wait(); code != linktest.EndGoodbye {
		t.Errorf("ended with %d", code)
	}
}

func TestStdioTerminal(t *testing.T) {
	t.Parallel()
	owner, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	raw(t, tty)
	if err := unix.SetNonblock(int(owner.Fd()), true); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(owner.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	unix.CloseOnExec(fd)
	// The dup again non-blocking: Fd above has made the descriptor blocking.
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	owner.Close()
	owner = os.NewFile(uintptr(fd), "terminal")
	stderr := tempFile(t, "")
	overOne(t, owner, startWith(t, tty, tty, stderr))
	if said, err := os.ReadFile(stderr.Name()); err != nil || string(said) != "a stray print\na message\n" {
		t.Errorf("%q, %v", said, err)
	}
}

func TestStdioSocket(t *testing.T) {
	t.Parallel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	if err := unix.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	// Kept open here while the peer runs: its end of the link must not depend on that.
	theirs := os.NewFile(uintptr(fds[1]), "theirs")
	defer theirs.Close()
	overOne(t, os.NewFile(uintptr(fds[0]), "ours"), startWith(t, theirs, theirs, tempFile(t, "")))
}

// Standard streams that are closed give an error, not somebody else's file.
func TestStdioClosed(t *testing.T) {
	t.Parallel()
	stderr := tempFile(t, "")
	if code := startWith(t, nil, nil, stderr)(); code == linktest.EndGoodbye || code < 0 {
		t.Errorf("ended with %d", code)
	}
	if said, err := os.ReadFile(stderr.Name()); err != nil || strings.Contains(string(said), "panic") {
		t.Errorf("%q, %v", said, err)
	}
}

// makeRaw turns off whatever a terminal does to bytes.
func makeRaw(t *testing.T, tty *os.File, get, set uint) {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(tty.Fd()), get)
	if err != nil {
		t.Fatal(err)
	}
	mode.Iflag, mode.Oflag, mode.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(int(tty.Fd()), set, mode); err != nil {
		t.Fatal(err)
	}
}
