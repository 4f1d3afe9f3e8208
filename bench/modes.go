package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
)

var benchmarks = []benchmark{
	{"git", benchGit},
	{"start", benchStart},
	{"calls", benchCalls},
	{"link", benchLink},
	{"modes", benchModes},
	{"page", benchPage},
	{"change", benchChange},
	{"timeline", benchTimeline},
	{"typing", benchTyping},
	{"heap", benchHeap},
	{"terminal", benchTerminals},
	{"stream", benchStream},
	{"history", benchHistory},
	{"growth", benchGrowth},
	{"restart", benchRestart},
	{"mention", benchMention},
	{"idle", benchIdle},
}

// door is a signed-in client of a gateway or of a backend served alone.
type door struct {
	base, token string
	client      *http.Client
}

func signIn(url string) (*door, error) {
	base, code, ok := strings.Cut(url, "#code=")
	if !ok {
		return nil, fmt.Errorf("no launch code in the address")
	}
	d := &door{base: strings.TrimSuffix(base, "/"), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 2 * time.Minute}}
	var s api.Session
	if err := d.post("/api/session", api.LaunchExchange{Code: code}, &s); err != nil {
		return nil, err
	}
	d.token = s.Token
	return d, nil
}

func (d *door) post(path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequest("POST", d.base+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	res, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err = io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s: %s: %s", path, res.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// startDesktop starts `catamaran --no-window` and waits for its line.
func startDesktop(ctx context.Context, s *setup, home string, env ...string) (api.Launch, func(), error) {
	var l api.Launch
	cmd := exec.CommandContext(ctx, s.program("catamaran"), "--no-window", "--owner-stdin")
	cmd.Env = append(append(os.Environ(), "CATAMARAN_HOME="+home), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return l, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return l, nil, err
	}
	if err := cmd.Start(); err != nil {
		return l, nil, err
	}
	stop := func() { in.Close(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &l)
	}
	if err != nil {
		stop()
		return l, nil, err
	}
	return l, stop, nil
}

// desktop starts the desktop and signs in.
func desktop(ctx context.Context, s *setup, home string, env ...string) (*door, func(), error) {
	l, stop, err := startDesktop(ctx, s, home, env...)
	if err != nil {
		return nil, nil, err
	}
	d, err := signIn(l.URL)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return d, stop, nil
}

// benchCalls measures the empty call on a backend served alone.
func benchCalls(ctx context.Context, s *setup) ([]row, error) {
	cmd := exec.CommandContext(ctx, s.program("catamaran-backend"), "serve", "--listen", "127.0.0.1:0", "--json")
	cmd.Env = append(os.Environ(), "CATAMARAN_HOME="+filepath.Join(s.tmp, "calls"))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() { in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var l api.Launch
	if err == nil {
		err = json.Unmarshal(line, &l)
	}
	if err != nil {
		return nil, err
	}
	d, err := signIn(l.URL)
	if err != nil {
		return nil, err
	}
	path := "/e/local/api/call/" + api.MethodPing
	deadline := time.Now().Add(10 * time.Second)
	for err = d.post(path, api.Empty{}, nil); err != nil && time.Now().Before(deadline); err = d.post(path, api.Empty{}, nil) {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	var one sample
	for range s.runs(8000) {
		start := time.Now()
		if err := d.post(path, api.Empty{}, nil); err != nil {
			return nil, err
		}
		one = append(one, ms(time.Since(start)))
	}
	p50 := row{What: "empty API call, one client, p50", Unit: "ms", Ours: one.quantile(.5), Runs: len(one), Budget: "< 0.15 ms", Peer: "0.44-0.6 ms"}
	p99 := row{What: "empty API call, one client, p99", Unit: "ms", Ours: one.quantile(.99), Runs: len(one), Budget: "< 0.6 ms", Peer: "2-5.6 ms"}
	n := s.runs(40000) / 32
	var wg sync.WaitGroup
	errs := make(chan error, 32)
	start := time.Now()
	for range 32 {
		wg.Go(func() {
			for range n {
				if err := d.post(path, api.Empty{}, nil); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	rate := float64(32*n) / time.Since(start).Seconds()
	select {
	case err := <-errs:
		return nil, err
	default:
	}
	return []row{p50, p99, {What: "empty API calls, 32 in flight", Unit: "/s", Ours: rate, Runs: 32 * n, Budget: "> 20,000/s", Peer: "2,000-3,100/s", Note: "Go's HTTP client on the same cores"}}, nil
}

// benchModes measures how long an environment in the simulated distro takes from the request to ready.
func benchModes(ctx context.Context, s *setup) ([]row, error) {
	var staging, warm, change, back sample
	for i := range s.runs(8) {
		scenario := filepath.Join(s.tmp, fmt.Sprintf("modes%d", i))
		if out, err := exec.CommandContext(ctx, s.program("wslsim"), "wslsim-init", scenario).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("make a scenario: %w: %s", err, out)
		}
		err := func() error {
			exe := filepath.Join(scenario, "wsl.exe")
			d, stop, err := desktop(ctx, s, filepath.Join(s.tmp, fmt.Sprintf("desktop%d", i)), "CATAMARAN_WSL_EXE="+exe)
			if err != nil {
				return err
			}
			defer exec.Command(exe, "--shutdown").Run()
			defer stop()
			if err := ready(d, "local"); err != nil {
				return err
			}
			to := func(m api.Mode) (float64, error) {
				start := time.Now()
				err := d.post("/api/call/"+api.MethodModeChange, api.ModeConfig{Mode: m, Distro: "Ubuntu"}, nil)
				return ms(time.Since(start)), err
			}
			for _, step := range []struct {
				to  api.Mode
				out *sample
			}{{api.ModeBoth, &staging}, {api.ModeLocal, nil}, {api.ModeBoth, &warm}, {api.ModeLocal, nil}, {api.ModeWSLOnly, &change}, {api.ModeLocal, &back}} {
				t, err := to(step.to)
				if err != nil {
					return err
				}
				if step.out != nil {
					*step.out = append(*step.out, t)
				}
			}
			return nil
		}()
		if err != nil {
			return nil, err
		}
	}
	a := staging.row("WSL environment (simulator): request to ready, with staging", "ms")
	a.Budget, a.Peer = "< 600 ms", "7.4-80 s reported"
	b := warm.row("WSL environment (simulator): request to ready, warm", "ms")
	b.Budget, b.Peer = "< 150 ms", "2.5 s"
	c := change.row("mode change local to wsl-only (simulator), whole transaction", "ms")
	c.Budget, c.Peer = "< 1 s in the page", "up to 30 s"
	e := back.row("mode change wsl-only to local, whole transaction", "ms")
	e.Budget = "< 1 s in the page"
	return []row{a, b, c, e}, nil
}

func ready(d *door, id string) error {
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		var e api.Environments
		if err := d.post("/api/call/"+api.MethodEnvironments, api.Empty{}, &e); err != nil {
			return err
		}
		for _, env := range e.Environments {
			if env.ID == id && env.State == api.EnvReady {
				return nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("%s was not ready within 20 s", id)
}
