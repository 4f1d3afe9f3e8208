package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/term/termtest"

	"github.com/coder/websocket"
	"github.com/creack/pty"
)

// echoing makes a terminal give every byte back: the program's echo, not the system's.
const echoing = "stty raw -echo; printf rea'dy'; exec cat"

// terminalBench is a desktop with its backend and a project.
type terminalBench struct {
	d       *door
	project api.Project
	pids    []int
	stop    func()
}

func startTerminals(ctx context.Context, s *setup) (*terminalBench, error) {
	home := filepath.Join(s.tmp, "terminals")
	dir := filepath.Join(s.tmp, "terminal-project")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	l, stop, err := startDesktop(ctx, s, home, "SHELL=/bin/sh", "ENV=", "PS1=$ ")
	if err != nil {
		return nil, err
	}
	b := &terminalBench{stop: stop, pids: []int{l.PID}}
	if b.d, err = signIn(l.URL); err == nil {
		err = ready(b.d, "local")
	}
	var envs api.Environments
	if err == nil {
		err = b.d.post("/api/call/"+api.MethodEnvironments, api.Empty{}, &envs)
	}
	for _, e := range envs.Environments {
		if e.PID != 0 {
			b.pids = append(b.pids, e.PID)
		}
	}
	if err == nil {
		err = b.call(api.MethodProjectAdd, api.ProjectAdd{Path: dir}, &b.project)
	}
	if err != nil {
		stop()
		return nil, err
	}
	return b, nil
}

func (b *terminalBench) call(method string, in, out any) error {
	return b.d.post("/e/local/api/call/"+method, in, out)
}

// open opens a terminal and subscribes to it on a connection of its own.
func (b *terminalBench) open(ctx context.Context) (*termtest.Screen, error) {
	var t api.Terminal
	if err := b.call(api.MethodTerminalOpen, api.TerminalOpen{ProjectID: b.project.ID}, &t); err != nil {
		return nil, err
	}
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(b.d.base, "http")+"/e/local/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + b.d.token}}})
	if err != nil {
		return nil, err
	}
	return termtest.Subscribe(ctx, ws, t.ID, nil)
}

// pings calls the API two hundred times a second until ctx ends, and tells how
// long each call took; without a pause the calls would be the load.
func (b *terminalBench) pings(ctx context.Context) sample {
	var took sample
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return took
		}
		start := time.Now()
		if b.call(api.MethodPing, api.Empty{}, nil) == nil {
			took = append(took, ms(time.Since(start)))
		}
	}
	return took
}

// peak samples the memory of desktop and backend together until ctx ends.
func (b *terminalBench) peak(ctx context.Context) float64 {
	most := 0.0
	for ctx.Err() == nil {
		sum := 0.0
		for _, pid := range b.pids {
			sum += pssOf(pid)
		}
		most = max(most, sum)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return most
}

// meanwhile runs f and tells what calls took and how much memory was held during it.
func (b *terminalBench) meanwhile(ctx context.Context, f func() error) (calls sample, memory float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var both sync.WaitGroup
	both.Go(func() { calls = b.pings(ctx) })
	both.Go(func() { memory = b.peak(ctx) })
	err = f()
	cancel()
	both.Wait()
	return calls, memory, err
}

// bare starts a shell command at a pseudo-terminal and nothing else.
func bare(command string) (*os.File, func(), error) {
	cmd := exec.Command("/bin/sh", "-c", command)
	f, err := pty.Start(cmd)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { f.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }, nil
}

func readUntil(r io.Reader, text string) error {
	var all []byte
	buf := make([]byte, 4096)
	for !strings.Contains(string(all), text) {
		n, err := r.Read(buf)
		if err != nil {
			return err
		}
		all = append(all, buf[:n]...)
	}
	return nil
}

func benchTerminals(ctx context.Context, s *setup) ([]row, error) {
	b, err := startTerminals(ctx, s)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	var rows []row
	for _, part := range []func(context.Context, *setup, *terminalBench) ([]row, error){benchEcho, benchCat, benchYes} {
		rs, err := part(ctx, s, b)
		rows = append(rows, rs...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// benchEcho measures one key there and back.
func benchEcho(ctx context.Context, s *setup, b *terminalBench) ([]row, error) {
	n := s.runs(4000)
	f, stop, err := bare(echoing)
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := readUntil(f, "ready"); err != nil {
		return nil, err
	}
	screen, err := b.open(ctx)
	if err == nil {
		err = screen.Type(ctx, echoing+"\r")
	}
	if err == nil {
		err = screen.Sees(ctx, "ready")
	}
	if err != nil {
		return nil, err
	}
	var floor, ours sample
	one := make([]byte, 1)
	screen.Output = func([]byte) {}
	// In turns, so that both meet the same machine.
	for range n {
		start := time.Now()
		if _, err := f.Write(one); err != nil {
			return nil, err
		}
		if _, err := f.Read(one); err != nil {
			return nil, err
		}
		floor = append(floor, ms(time.Since(start)))
		start = time.Now()
		want := screen.Seq + 1
		if err := screen.Type(ctx, "k"); err != nil {
			return nil, err
		}
		for screen.Seq < want {
			if _, err := screen.Next(ctx); err != nil {
				return nil, err
			}
		}
		ours = append(ours, ms(time.Since(start)))
	}
	at := func(q float64, name, budget, peer string) row {
		return row{What: "terminal: key to echo through gateway, link and PTY, " + name, Unit: "ms", Ours: ours.quantile(q), Runs: n, OtherName: "bare PTY", Other: floor.quantile(q), Budget: budget, Peer: peer}
	}
	rows := []row{at(.5, "p50", "< 0.3 ms", "1.4-2.4 ms"), at(.99, "p99", "< 1.5 ms", "8-16 ms")}
	return rows, b.beside(ctx, s, func(srv *server) error {
		theirs, err := peerEcho(ctx, openIn(srv), n/2)
		if err != nil {
			return err
		}
		plain, err := peerEcho(ctx, openTtyd, n/2)
		for i, q := range []float64{.5, .99} {
			rows[i].Note = fmt.Sprintf("ttyd: %s ms; OpenCode's terminal: %s ms", number(plain.quantile(q)), number(theirs.quantile(q)))
		}
		return err
	})
}

const catBytes = 100 << 20

// benchCat measures 100 MiB of text to one client.
func benchCat(ctx context.Context, s *setup, b *terminalBench) ([]row, error) {
	file := filepath.Join(s.tmp, "cat.txt")
	line := strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz ", 2) + "\n"
	if err := os.WriteFile(file, []byte(strings.Repeat(line, catBytes/len(line)+1)), 0o644); err != nil {
		return nil, err
	}
	// The system's own newline translation is off in both: the bytes are the file's.
	command := fmt.Sprintf("stty raw -echo; printf rea'dy'; cat %s; printf do'ne'; sleep 1000", file)
	var floor, ours, calls, outside sample
	memory := 0.0
	for range max(3, s.runs(5)) {
		f, stop, err := bare(command)
		if err != nil {
			return nil, err
		}
		took, _, err := b.meanwhile(ctx, func() error {
			start := time.Now()
			err := drain(f, catBytes)
			floor = append(floor, catBytes/1e6/time.Since(start).Seconds())
			return err
		})
		stop()
		if err != nil {
			return nil, err
		}
		outside = append(outside, took...)
		screen, err := b.open(ctx)
		if err != nil {
			return nil, err
		}
		got := 0
		screen.Output = func(b []byte) { got += len(b) }
		took, held, err := b.meanwhile(ctx, func() error {
			start := time.Now()
			if err := screen.Type(ctx, command+"\r"); err != nil {
				return err
			}
			for got < catBytes {
				if _, err := screen.Next(ctx); err != nil {
					return err
				}
			}
			ours = append(ours, catBytes/1e6/time.Since(start).Seconds())
			return nil
		})
		if err != nil {
			return nil, err
		}
		calls = append(calls, took...)
		memory = max(memory, held)
		if err := b.call(api.MethodTerminalClose, api.TerminalRef{TerminalID: screen.View.Terminal.ID}, nil); err != nil {
			return nil, err
		}
	}
	r := ours.row("terminal: 100 MiB cat to one client, end to end", "MB/s")
	r.OtherName, r.Other, r.Budget, r.Peer = "bare PTY loop", floor.quantile(.5), "> 60 MB/s", "2.3-3.2 MB/s"
	err := b.beside(ctx, s, func(srv *server) error {
		theirs, err := peerCat(ctx, openIn(srv), file, catBytes/5)
		if err != nil {
			return err
		}
		plain, err := peerCat(ctx, openTtyd, file, catBytes)
		r.Note = fmt.Sprintf("ttyd: %s MB/s; OpenCode's terminal: %s MB/s for a fifth of it", number(plain), number(theirs))
		return err
	})
	return []row{r,
		during(calls, outside, "while a bare PTY loop does the same", "66-118 ms"),
		{What: "terminal: memory of desktop and backend during it, peak (PSS)", Unit: "MiB", Ours: memory, Runs: len(ours), Budget: "< 80 MiB", Peer: "662-873 MiB"},
	}, err
}

// during is the row of what calls took, beside what they took while the same
// programs ran outside the app: the share of it that is the machine's.
func during(calls, outside sample, name, peer string) row {
	return row{What: "terminal: empty API call during it, p99", Unit: "ms", Ours: calls.quantile(.99), Runs: len(calls), OtherName: name, Other: outside.quantile(.99),
		Budget: "< 5 ms", Peer: peer, Note: fmt.Sprintf("p50 %s ms", number(calls.quantile(.5)))}
}

// beside runs f with OpenCode's server, which has terminals too.
func (b *terminalBench) beside(ctx context.Context, s *setup, f func(*server) error) error {
	program, err := openCode()
	if err != nil {
		return err
	}
	srv, err := startOpenCode(ctx, s, program)
	if err != nil {
		return err
	}
	defer srv.stop()
	return f(srv)
}

func drain(r io.Reader, n int) error {
	buf := make([]byte, 64<<10)
	for n > 0 {
		m, err := r.Read(buf)
		n -= m
		if err != nil {
			return err
		}
	}
	return nil
}

// outside tells what calls took while three terminals print without end that are not the app's.
func (b *terminalBench) outside(ctx context.Context, span time.Duration) (sample, error) {
	var loops sync.WaitGroup
	defer loops.Wait()
	for range 3 {
		f, stop, err := bare("exec yes")
		if err != nil {
			return nil, err
		}
		defer stop()
		loops.Go(func() { _ = drain(f, math.MaxInt) })
	}
	calls, _, err := b.meanwhile(ctx, func() error {
		time.Sleep(span)
		return nil
	})
	return calls, err
}

// benchYes lets three terminals print without end, each to a client of its own.
func benchYes(ctx context.Context, s *setup, b *terminalBench) ([]row, error) {
	span := time.Minute
	if s.quick {
		span = 10 * time.Second
	}
	outside, err := b.outside(ctx, span/4)
	if err != nil {
		return nil, err
	}
	until, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var screens []*termtest.Screen
	for range 3 {
		screen, err := b.open(ctx)
		if err == nil {
			err = screen.Type(ctx, "exec yes\r")
		}
		if err != nil {
			return nil, err
		}
		screen.Output = func([]byte) {}
		screens = append(screens, screen)
	}
	var least sync.Mutex
	slowest := -1.0
	calls, memory, err := b.meanwhile(ctx, func() error {
		var all sync.WaitGroup
		errs := make([]error, len(screens))
		for i, screen := range screens {
			all.Go(func() {
				from, start := screen.Seq, time.Now()
				var err error
				for err == nil && until.Err() == nil {
					_, err = screen.Next(until)
				}
				if until.Err() == nil {
					errs[i] = err
				}
				rate := float64(screen.Seq-from) / 1e6 / time.Since(start).Seconds()
				least.Lock()
				if slowest < 0 || rate < slowest {
					slowest = rate
				}
				least.Unlock()
			})
		}
		all.Wait()
		return errors.Join(errs...)
	})
	if err != nil {
		return nil, err
	}
	return []row{
		{What: fmt.Sprintf("terminal: `yes` in three for %.0f s: the slowest", span.Seconds()), Unit: "MB/s", Ours: slowest, Runs: 3},
		during(calls, outside, "while three bare PTY loops do the same", ""),
		{What: "terminal: memory of desktop and backend during it, peak (PSS)", Unit: "MiB", Ours: memory, Runs: 1, Budget: "< 80 MiB"},
	}, nil
}
