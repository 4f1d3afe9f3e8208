//go:build unix

package term

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// roleEnv makes the test binary a program in a terminal.
const roleEnv = "TERM_TEST_ROLE"

var roles = map[string]func(arg string){
	// count prints that many numbered lines, then waits for its input's end.
	"count": func(arg string) {
		n, _ := strconv.Atoi(arg)
		w := bufio.NewWriterSize(os.Stdout, 4096)
		for i := range n {
			fmt.Fprintf(w, "%08d\n", i)
			if i%5000 == 0 {
				w.Flush()
			}
		}
		w.Flush()
		io.Copy(io.Discard, os.Stdin)
	},
	"yes": func(string) {
		line := []byte(strings.Repeat(strings.Repeat("y", 63)+"\n", 64))
		for {
			if _, err := os.Stdout.Write(line); err != nil {
				return
			}
		}
	},
	// sink reads its input for ever, once told by SIGUSR1.
	"sink": func(string) {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGUSR1)
		stty := exec.Command("stty", "raw", "-echo")
		stty.Stdin = os.Stdin
		stty.Run()
		fmt.Printf("pid %d\n", os.Getpid())
		<-c
		n, last := 0, 0
		buf := make([]byte, 4096)
		for {
			m, err := os.Stdin.Read(buf)
			n += m
			if n/100_000 > last {
				last = n / 100_000
				fmt.Printf("read %d00000.", last)
			}
			if err != nil {
				return
			}
		}
	},
	// tree leaves processes that heed nothing: a child, a daemon, and itself.
	"tree": func(arg string) {
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
		fmt.Printf("pid %s %d\n", arg, os.Getpid())
		if arg == "parent" {
			for _, child := range []string{"child", "daemon"} {
				cmd := exec.Command("/proc/self/exe")
				cmd.Env = append(os.Environ(), roleEnv+"=tree "+child)
				cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
				cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: child == "daemon"}
				if err := cmd.Start(); err != nil {
					fmt.Println("error", err)
				}
			}
		}
		time.Sleep(time.Hour) // select {} would count as a deadlock
	},
	"exit": func(arg string) {
		code, _ := strconv.Atoi(arg)
		fmt.Print("bye")
		os.Exit(code)
	},
}

func TestMain(m *testing.M) {
	proc.GuardMain()
	if role := os.Getenv(roleEnv); role != "" {
		name, arg, _ := strings.Cut(role, " ")
		roles[name](arg)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const patience = 60 * time.Second

// bed is a Manager in a folder of its own, with one project p in dir.
type bed struct {
	t   *testing.T
	m   *Manager
	o   Options
	dir string
}

// newBed has shell "" for the test binary in the given role, else a shell.
func newBed(t *testing.T, shell, role string) *bed {
	t.Helper()
	dir := t.TempDir()
	if shell == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		shell = self
	}
	env := []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "PS1=prompt> ", "GORACE=atexit_sleep_ms=0"}
	if role != "" {
		env = append(env, roleEnv+"="+role)
	}
	b := &bed{t: t, dir: dir, o: Options{
		Dir:   t.TempDir(),
		Env:   func(_ ctx, _ bool) ([]string, string) { return env, "" },
		Shell: func() string { return shell },
		Folder: func(_ ctx, project, thread string) (string, error) {
			if project != "p" || thread == "deleted" {
				return "", &api.Error{Code: api.CodeNotFound, Message: "no such project"}
			}
			return dir, nil
		},
	}}
	b.start()
	t.Cleanup(func() { b.end() })
	return b
}

func (b *bed) start() {
	b.t.Helper()
	m, err := New(b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.m = m
}

func (b *bed) end() {
	b.t.Helper()
	if b.m == nil {
		return
	}
	c, cancel := withTimeout(patience)
	defer cancel()
	if err := b.m.Shutdown(c); err != nil {
		b.t.Error(err)
	}
	b.m = nil
}

func (b *bed) open() api.Terminal {
	b.t.Helper()
	info, err := b.m.Open(b.t.Context(), "", api.TerminalOpen{ProjectID: "p"})
	if err != nil {
		b.t.Fatal(err)
	}
	return info
}

// watcher is a viewer that takes everything in and acknowledges it.
type watcher struct {
	b      *bed
	v      *Viewer
	buf    []byte
	seq    int64 // everything before was seen
	text   []byte
	last   api.TerminalView
	first  *Piece // the snapshot
	typed  int64
	synced bool
	silent bool // acknowledges nothing
}

func (b *bed) attach(id string, after, tail *int64) *watcher {
	b.t.Helper()
	v, err := b.m.Attach(b.t.Context(), id, after, tail)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(v.Close)
	w := &watcher{b: b, v: v, buf: make([]byte, 64<<10)}
	if after != nil {
		w.seq = *after
	}
	return w
}

// next takes one piece in.
func (w *watcher) next() Piece {
	w.b.t.Helper()
	c, cancel := withTimeout(patience)
	defer cancel()
	p, err := w.v.Next(c, w.buf)
	if err != nil {
		w.b.t.Fatalf("next: %v; the end of what came: %q", err, w.text[max(0, len(w.text)-500):])
	}
	switch p.Kind {
	case PieceSnapshot:
		w.first, w.last, w.seq, w.text = &p, p.View, p.Seq, nil
	case PieceSynchronized:
		w.synced = true
	case PieceInfo:
		w.last = p.View
	case PieceOutput:
		if p.Seq != w.seq {
			w.b.t.Fatalf("output begins at %d, not at %d", p.Seq, w.seq)
		}
		w.text = append(w.text, w.buf[:p.N]...)
		w.seq += int64(p.N)
		if w.silent {
			break
		}
		if err := w.v.Ack(w.seq); err != nil {
			w.b.t.Fatal(err)
		}
	}
	return p
}

func (w *watcher) until(what string, done func() bool) {
	w.b.t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			w.b.t.Fatalf("no %s; the end of what came: %q", what, w.text[max(0, len(w.text)-500):])
		}
		w.next()
	}
}

func (w *watcher) sees(text string) {
	w.b.t.Helper()
	w.until(fmt.Sprintf("%q", text), func() bool { return strings.Contains(string(w.text), text) })
}

// state waits until the head is as wanted.
func (w *watcher) state(what string, ok func(api.Terminal) bool) {
	w.b.t.Helper()
	w.until(what, func() bool { return ok(w.last.Terminal) })
}

func (w *watcher) types(text string) {
	w.b.t.Helper()
	if err := w.v.Type(w.typed, []byte(text)); err != nil {
		w.b.t.Fatal(err)
	}
	w.typed += int64(len(text))
}
