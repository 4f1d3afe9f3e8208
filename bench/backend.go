package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// server is a started HTTP server under measurement.
type server struct {
	cmd   *exec.Cmd
	stdin io.Closer
	url   string
	login string // url with the code to sign in with
	// first is the time from exec to the first answer.
	first time.Duration
}

func (s *server) stop() {
	if s.stdin != nil {
		s.stdin.Close()
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// startBackend starts `serve --listen` and waits for the descriptor's first answer.
func startBackend(ctx context.Context, s *setup, home string) (*server, error) {
	cmd := exec.CommandContext(ctx, s.program("catamaran-backend"), "serve", "--listen", "127.0.0.1:0", "--json")
	cmd.Env = append(os.Environ(), "CATAMARAN_HOME="+home)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	srv := &server{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		srv.stop()
		return nil, fmt.Errorf("backend said nothing: %w", err)
	}
	var l struct{ URL string }
	if err := json.Unmarshal(line, &l); err != nil {
		srv.stop()
		return nil, err
	}
	srv.login = l.URL
	srv.url, _, _ = strings.Cut(l.URL, "#")
	srv.url = strings.TrimSuffix(srv.url, "/")
	res, err := http.Get(srv.url + "/")
	if err != nil {
		srv.stop()
		return nil, err
	}
	res.Body.Close()
	srv.first = time.Since(start)
	return srv, nil
}

func openCode() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(cache, "catamaran-agents", "opencode-ai@*", "node_modules", ".bin", "opencode"))
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return found[len(found)-1], nil
	}
	return "", errors.New("OpenCode is not installed; run: go run ./tools/agents install")
}

// quick gives up on an answer: a port may accept before its handler is attached, and swallow the request.
var quick = &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// startOpenCode starts OpenCode's server offline in a home of its own.
func startOpenCode(ctx context.Context, s *setup, program string) (*server, error) {
	home, err := os.MkdirTemp(s.tmp, "opencode")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	cmd := exec.CommandContext(ctx, program, "serve", "--hostname", "127.0.0.1", "--port", strconv.Itoa(port))
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_DATA_HOME=" + home + "/d", "XDG_CONFIG_HOME=" + home + "/c", "XDG_STATE_HOME=" + home + "/s", "XDG_CACHE_HOME=" + home + "/h",
		"OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_MODELS_FETCH=1"}
	srv := &server{cmd: cmd, url: "http://127.0.0.1:" + strconv.Itoa(port)}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(60 * time.Second)
	for {
		res, err := quick.Get(srv.url + "/config")
		if err == nil {
			res.Body.Close()
			srv.first = time.Since(start)
			return srv, nil
		}
		if time.Now().After(deadline) {
			srv.stop()
			return nil, fmt.Errorf("OpenCode's server did not answer: %w", err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// pss is a process tree's proportional set size in MiB.
func pss(pid int) float64 {
	total := 0.0
	for _, p := range tree(pid) {
		total += pssOf(p)
	}
	return total
}

// pssOf is one process's.
func pssOf(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for l := range bytes.Lines(b) {
		f := bytes.Fields(l)
		if len(f) >= 2 && string(f[0]) == "Pss:" {
			n, _ := strconv.ParseFloat(string(f[1]), 64)
			return n / 1024
		}
	}
	return 0
}

func tree(pid int) []int {
	out := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				out = append(out, tree(n)...)
			}
		}
	}
	return out
}

func benchStart(ctx context.Context, s *setup) ([]row, error) {
	var ours, mem sample
	home := filepath.Join(s.tmp, "home")
	for i := range s.runs(20) + 1 {
		srv, err := startBackend(ctx, s, home)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			ours = append(ours, ms(srv.first))
		}
		if i%5 == 1 {
			time.Sleep(2 * time.Second)
			mem = append(mem, pss(srv.cmd.Process.Pid))
		}
		srv.stop()
	}
	start := ours.row("backend: exec to first answer, warm", "ms")
	start.Budget, start.Peer = "< 50 ms", "1,807 ms"
	idle := mem.row("backend: memory when idle (PSS)", "MiB")
	idle.Budget, idle.Peer = "< 30 MiB", "247 MiB"
	program, err := openCode()
	if err != nil {
		return []row{start, idle}, err
	}
	var theirs, theirMem sample
	for range s.runs(5) {
		srv, err := startOpenCode(ctx, s, program)
		if err != nil {
			return []row{start, idle}, err
		}
		theirs = append(theirs, ms(srv.first))
		time.Sleep(2 * time.Second)
		theirMem = append(theirMem, pss(srv.cmd.Process.Pid))
		srv.stop()
	}
	start.OtherName, start.Other = "OpenCode serve", theirs.quantile(.5)
	idle.OtherName, idle.Other = "OpenCode serve", theirMem.quantile(.5)
	return []row{start, idle}, nil
}
