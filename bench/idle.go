package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"catamaran/internal/api"
)

// benchIdle: what a backend does while nobody wants anything of it, with a page
// open that follows projects and a thread. Linux only: it reads /proc.
func benchIdle(ctx context.Context, s *setup) ([]row, error) {
	home := filepath.Join(s.tmp, "idle")
	if err := fill(ctx, filepath.Join(home, "backend"), 50, 20, 0, false); err != nil {
		return nil, err
	}
	a, err := serveAlone(ctx, s, append(os.Environ(), "CATAMARAN_HOME="+home))
	if err != nil {
		return nil, err
	}
	defer a.stop()
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	f, err := a.feed(ctx)
	if err != nil {
		return nil, err
	}
	defer f.ws.CloseNow()
	for _, topic := range []string{api.TopicShell, api.TopicThread + "t_00001"} {
		if err := f.send(ctx, api.ClientFrame{Type: api.FrameSubscribe, ID: topic, Topic: topic}); err != nil {
			return nil, err
		}
		for {
			fr, err := f.next(ctx)
			if err != nil {
				return nil, err
			}
			if fr.Type == api.FrameSynchronized {
				break
			}
		}
	}
	a.client.CloseIdleConnections()
	during := 60 * time.Second
	if s.quick {
		during = 15 * time.Second
	}
	// What the start left to do is over by then.
	time.Sleep(5 * time.Second)
	pid := a.cmd.Process.Pid
	wakes, cpu := switches(pid), ticks(pid)
	children := 0
	for end := time.Now().Add(during); time.Now().Before(end) && ctx.Err() == nil; {
		time.Sleep(time.Second)
		children = max(children, len(tree(pid))-1)
	}
	w := row{What: "backend: wake-ups a second, idle with a page open", Unit: "/s", Ours: float64(switches(pid)-wakes) / during.Seconds(), Budget: "< 1", Peer: "4.8", Runs: 1,
		Note: fmt.Sprintf("over %s; %d child processes at most", during, children)}
	c := row{What: "backend: CPU, the same", Unit: "ms/min", Ours: float64(ticks(pid)-cpu) * 10 * 60 / during.Seconds(), Peer: "-", Runs: 1}
	return []row{w, c}, nil
}

// switches are the times any thread of a process has gone to sleep of its own will.
func switches(pid int) int {
	total := 0
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		for l := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(l, "voluntary_ctxt_switches:"); ok {
				n, _ := strconv.Atoi(strings.TrimSpace(v))
				total += n
			}
		}
	}
	return total
}

// ticks is the CPU time of a process in hundredths of a second.
func ticks(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return user + system
}
