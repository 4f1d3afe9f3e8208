package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// TestListen is the backend alone, as a browser meets it.
func TestListen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := proc.Start(proc.Spec{Name: "backend", Path: program, Args: []string{"serve", "--listen", "127.0.0.1:0", "--json"}, Dir: w.home, Env: w.env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	p.Stdin().Close() // its end means nothing at this door
	out := bufio.NewReader(p.Stdout())
	line, err := out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, p.StderrTail())
	}
	var launch api.Launch
	if err := json.Unmarshal(line, &launch); err != nil || launch.PID != p.PID() || launch.Version == "" {
		t.Fatalf("%s: %v", line, err)
	}
	u, err := url.Parse(launch.URL)
	if err != nil || u.Hostname() != "127.0.0.1" || u.RawQuery != "" {
		t.Fatalf("%q: %v", launch.URL, err)
	}
	code := strings.TrimPrefix(u.Fragment, "code=")
	base := "http://" + u.Host
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	do := func(method, path, token string, in any, out any, header ...string) int {
		t.Helper()
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", base)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprint(res.Header), "Access-Control-") || res.Header.Get("Set-Cookie") != "" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, res.Header)
		}
		if out != nil && res.StatusCode == 200 {
			if err := json.Unmarshal(body, out); err != nil {
				t.Fatalf("%s: %s", path, body)
			}
		}
		return res.StatusCode
	}
	if status := do("GET", "/", "", nil, nil); status != 200 && status != 404 && status != 503 { // the page may not be built
		t.Errorf("page: %d", status)
	}
	if status := do("POST", "/api/session", "", api.LaunchExchange{Code: code}, nil, "Origin", "https://evil.example"); status != 403 {
		t.Errorf("sign-in from another page: %d", status)
	}
	var s api.Session
	if status := do("POST", "/api/session", "", api.LaunchExchange{Code: code}, &s); status != 200 {
		t.Fatalf("sign-in: %d", status)
	}
	if status := do("POST", "/api/session", "", api.LaunchExchange{Code: code}, nil); status != 401 {
		t.Errorf("a used code: %d", status)
	}
	ws, _, err := websocket.Dial(t.Context(), "ws://"+u.Host+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {base}}})
	if err != nil {
		t.Fatal(err)
	}
	door := &socket{t: t, ws: ws}
	defer ws.CloseNow()
	door.send(api.ClientFrame{Type: api.FrameHello, Token: s.Token})
	door.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "e", Topic: api.TopicEnvironments})
	for {
		if f := door.next(); f.Environments != nil && f.Environments.Environments[0].State == api.EnvReady {
			break
		}
	}
	var project api.Project
	if status := do("POST", "/e/local/api/call/"+api.MethodProjectAdd, s.Token, api.ProjectAdd{Path: "~/project"}, &project); status != 200 || project.Path != w.repo {
		t.Errorf("project: %d %+v", status, project)
	}
	var agents api.Agents
	if status := do("POST", "/e/local/api/call/"+api.MethodAgentList, s.Token, api.AgentList{}, &agents); status != 200 || len(agents.Agents) == 0 || agents.Agents[0].ID != "demo" {
		t.Errorf("agents: %d %+v", status, agents)
	}
	inner, _, err := websocket.Dial(t.Context(), "ws://"+u.Host+"/e/local/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {base}}})
	if err != nil {
		t.Fatal(err)
	}
	defer inner.CloseNow()
	backend := &socket{t: t, ws: inner, items: map[string]api.Item{}, turns: map[string]api.Turn{}}
	backend.send(api.ClientFrame{Type: api.FrameHello, Token: s.Token})
	backend.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "s", Topic: api.TopicShell})
	for {
		if f := backend.next(); f.Shell != nil {
			if len(f.Shell.Projects) != 1 {
				t.Errorf("%+v", f.Shell)
			}
			break
		}
	}
	if _, res, err := websocket.Dial(t.Context(), "ws://"+u.Host+"/e/local/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}}); err == nil || res.StatusCode != 403 {
		t.Errorf("another page's socket: %v", err)
	}

	self, err := os.FindProcess(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(os.Interrupt); err != nil {
		t.Skip("this system sends no interrupts: ", err)
	}
	select {
	case <-p.Done():
	case <-time.After(maxDrain + 5*time.Second):
		t.Fatal("still there")
	}
	if rest, _ := io.ReadAll(out); p.ExitCode() != 0 || len(rest) > 0 {
		t.Errorf("exit code %d, more output %q, stderr %q", p.ExitCode(), rest, p.StderrTail())
	}
	noSecretsAt(t, w, code, s.Token)
}

// TestAnotherAddress presses Enter for a second tab's address.
func TestAnotherAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := proc.Start(proc.Spec{Name: "backend", Path: program, Args: []string{"serve", "--listen", "[::1]:0"}, Dir: w.home, Env: w.env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	seen := map[string]bool{}
	out := bufio.NewScanner(p.Stdout())
	for len(seen) < 2 {
		if !out.Scan() {
			if strings.Contains(p.StderrTail(), "cannot assign") || strings.Contains(p.StderrTail(), "not supported") {
				t.Skip("no IPv6 loopback here")
			}
			t.Fatalf("the output ended: %s", p.StderrTail())
		}
		if _, address, ok := strings.Cut(out.Text(), "http://[::1]:"); ok {
			seen[address] = true
			if _, err := io.WriteString(p.Stdin(), "\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Stop(t.Context(), proc.Ladder{Terminate: 5 * time.Second, Kill: 5 * time.Second}); err != nil {
		t.Error(err)
	}
}
