package proc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is also every program that the tests start: its first
// argument after roleArg names the role.
const roleArg = "proc-test-role"

var roles = map[string]func(args []string){
	// cat copies stdin to stdout and exits 0 at its end.
	"cat": func([]string) { io.Copy(os.Stdout, os.Stdin) },
	// mute gives stdout up at once and stays until stdin ends.
	"mute": func([]string) {
		os.Stdout.Close()
		io.Copy(io.Discard, os.Stdin)
	},
	"exit": func(args []string) {
		code, _ := strconv.Atoi(args[0])
		os.Exit(code)
	},
	// print writes args[0] to stdout and args[1] to stderr.
	"print": func(args []string) {
		fmt.Print(args[0])
		fmt.Fprint(os.Stderr, args[1])
	},
	// flood writes args[0] bytes and the word "end" to stderr, or to stdout.
	"flood": func(args []string) {
		n, _ := strconv.Atoi(args[0])
		out := os.Stderr
		if len(args) > 1 {
			out = os.Stdout
		}
		line := strings.Repeat("x", 99) + "\n"
		for ; n > 0; n -= len(line) {
			io.WriteString(out, line)
		}
		io.WriteString(out, "end")
	},
	"env": func(args []string) {
		dir, _ := os.Getwd()
		fmt.Printf("%s|%s", os.Getenv(args[0]), dir)
	},
	// ladder notes on stdout which rungs it meets, and leaves none of them by itself.
	"ladder": ladderRole,
}

func TestMain(m *testing.M) {
	GuardMain()
	if len(os.Args) > 2 && os.Args[1] == roleArg {
		roles[os.Args[2]](os.Args[3:])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func ladderRole(args []string) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, terminateSignal)
	fmt.Println("ready")
	eof := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(eof) }()
	for range 2 {
		select {
		case <-eof:
			fmt.Println("eof")
			if args[0] == "eof" {
				return
			}
			eof = nil
		case <-got:
			fmt.Println("term")
			if args[0] == "term" {
				return
			}
		}
	}
	select {}
}

// role is a Spec that runs a role of this binary.
func role(name string, args ...string) Spec {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Spec{
		Name: name, Path: self, Args: append([]string{roleArg, name}, args...),
		// Race-built children linger for a second at their end otherwise.
		Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0"),
	}
}

func startRole(t *testing.T, spec Spec) *Process {
	t.Helper()
	p, err := Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop(context.Background(), Ladder{Kill: 10 * time.Second})
		p.Stdout().Close()
	})
	return p
}

func waitDone(t *testing.T, p *Process, within time.Duration) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(within):
		t.Fatalf("%s is still there after %v", p.Name(), within)
	}
}

// lines reads n lines from the child's stdout.
func lines(t *testing.T, r *bufio.Reader, n int) []string {
	t.Helper()
	var out []string
	for range n {
		s, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", out, err)
		}
		out = append(out, strings.TrimSpace(s))
	}
	return out
}
