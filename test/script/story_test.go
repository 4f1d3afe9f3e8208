//go:build linux

package script

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/test/page"
)

// patience bounds every wait of a story that has no bound of its own.
const patience = 60 * time.Second

// programs is the folder the product was built into.
var programs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "catamaran-script-*")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		programs = dir
		if err := build(dir); err != nil {
			fmt.Fprintln(os.Stderr, "build the product:", err)
			return 1
		}
		return m.Run()
	}())
}

// build makes what `make build` makes, for this architecture.
func build(dir string) error {
	for out, pkg := range map[string]string{
		dir + "/": "./cmd/...",
		filepath.Join(dir, "carried", "catamaran-backend-linux-"+runtime.GOARCH): "./cmd/catamaran-backend",
	} {
		cmd := exec.Command("go", "build", "-trimpath", "-o", out, pkg)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if b, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", pkg, err, b)
		}
	}
	return nil
}

func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"desktop":      command((*story).desktop),
			"page":         command((*story).page),
			"kill9":        command((*story).kill9),
			"gone":         command((*story).gone),
			"listeners":    command((*story).listeners),
			"nosecrets":    command((*story).noSecrets),
			"repo":         command((*story).repo),
			"distro-fault": command((*story).distroFault),
		},
	})
}

func command(f func(*story, *testscript.TestScript, bool, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		f(ts.Value(key{}).(*story), ts, neg, args)
	}
}

// story is the state of one script.
type story struct {
	work string
	// The running desktop.
	process *exec.Cmd
	stdin   io.WriteCloser
	ended   chan struct{}
	launch  api.Launch
	// The page.
	client page.Page
	// victims are the processes that the last kill9 must have taken along.
	victims []victim
	// secrets are what must be found nowhere.
	secrets []string
}

func setup(env *testscript.Env) error {
	work := env.WorkDir
	bin := filepath.Join(work, "bin")
	if err := linkTree(programs, bin); err != nil {
		return err
	}
	sim := filepath.Join(work, "sim")
	if err := wslsim.Create(sim, wslsim.Two()); err != nil {
		return err
	}
	if err := wslsim.Install(sim, filepath.Join(bin, "wslsim")); err != nil {
		return err
	}
	home := filepath.Join(work, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	const apiKey = "sk-story-secret-0123456789"
	env.Setenv("HOME", home)
	env.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	env.Setenv("CATAMARAN_HOME", filepath.Join(work, "state"))
	env.Setenv("CATAMARAN_LOG", "debug")
	env.Setenv("OPENAI_API_KEY", apiKey)
	env.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, "gitconfig"))
	env.Setenv("SIM", filepath.Join(sim, "wsl.exe"))
	env.Setenv("UBUNTU", filepath.Join(sim, "distros", "Ubuntu"))
	env.Setenv("XDG_DATA_HOME", "")
	if err := os.WriteFile(filepath.Join(home, "gitconfig"), []byte("[user]\n\tname = Story\n\temail = story@localhost\n"), 0o600); err != nil {
		return err
	}
	s := &story{work: work, secrets: []string{apiKey}}
	env.Values[key{}] = s
	env.Defer(func() {
		if s.process != nil {
			s.process.Process.Kill()
			<-s.ended
		}
		for _, v := range s.processes() {
			syscall.Kill(v.pid, syscall.SIGKILL)
		}
	})
	return nil
}

type key struct{}

// linkTree gives a story programs of its own, so that its processes can be told from others'.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(dst, 0o755)
		}
		return os.Link(path, dst)
	})
}

// desktop start [flags] | stop | owner-gone
func (s *story) desktop(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: desktop start [flags] | stop | owner-gone")
	}
	switch args[0] {
	case "start":
		ts.Check(s.start(ts, args[1:]))
	case "stop":
		began := time.Now()
		ts.Check(s.process.Process.Signal(syscall.SIGTERM))
		s.awaitEnd(ts, began)
	case "owner-gone":
		began := time.Now()
		ts.Check(s.stdin.Close())
		s.awaitEnd(ts, began)
	default:
		ts.Fatalf("desktop %s is not known", args[0])
	}
}

func (s *story) start(ts *testscript.TestScript, flags []string) error {
	cmd := exec.Command(filepath.Join(s.work, "bin", "catamaran"), append([]string{"--no-window"}, flags...)...)
	cmd.Dir = s.work
	for _, k := range []string{"HOME", "PATH", "CATAMARAN_HOME", "CATAMARAN_LOG", "CATAMARAN_WSL_EXE", "WSLSIM_REGISTRY", "WSLSIM_REPORT", "OPENAI_API_KEY", "GIT_CONFIG_GLOBAL", "TMPDIR"} {
		if v := ts.Getenv(k); v != "" {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
	}
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout = w
	began := time.Now()
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	s.process, s.stdin, s.ended = cmd, stdin, make(chan struct{})
	go func() { cmd.Wait(); close(s.ended) }()
	defer r.Close()
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no launch line: %w: %s", err, errOut.Bytes())
	}
	ts.Logf("launch line after %v", time.Since(began).Round(time.Millisecond))
	s.launch = api.Launch{}
	if err := json.Unmarshal(line, &s.launch); err != nil {
		return fmt.Errorf("launch line %q: %w", line, err)
	}
	base, code, ok := strings.Cut(s.launch.URL, "/#code=")
	if !ok || s.launch.PID != cmd.Process.Pid || s.launch.Version == "" {
		return fmt.Errorf("launch line %q", line)
	}
	s.secrets = append(s.secrets, code)
	s.client.Base = base
	return nil
}

func (s *story) awaitEnd(ts *testscript.TestScript, began time.Time) {
	select {
	case <-s.ended:
	case <-time.After(patience):
		ts.Fatalf("the desktop did not end")
	}
	took := time.Since(began)
	ts.Logf("ended after %v", took.Round(time.Millisecond))
	// The bound is one second (W5.8); the rest is for a busy machine.
	if took > 3*time.Second {
		ts.Fatalf("the desktop took %v to end", took)
	}
	if code := s.process.ProcessState.ExitCode(); code != 0 {
		ts.Fatalf("the desktop ended with %d", code)
	}
	s.process = nil
}

func (s *story) page(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf(page.Usage)
	}
	if args[0] == "signin" && len(args) == 1 {
		args = append(args, s.launch.URL)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	err := s.client.Do(ctx, ts.Stdout(), args[0], args[1:], ts.MkAbs)
	ts.Logf("page %s: %v", args[0], time.Since(began).Round(time.Millisecond))
	if err == nil && neg {
		ts.Fatalf("page %s worked", args[0])
	}
	if err != nil && !neg {
		ts.Fatalf("page %s: %v", args[0], err)
	}
	if err != nil {
		fmt.Fprintln(ts.Stderr(), err)
	}
}

// repo DIR makes a Git repository with one commit.
func (s *story) repo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: repo DIR")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "README.md"), []byte("# Story\n"), 0o644))
	for _, a := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-q", "-m", "start"}} {
		ts.Check(ts.Exec("git", append([]string{"-C", dir}, a...)...))
	}
}

// distro-fault NAME fail|exit|hang|none changes the simulated machine.
func (s *story) distroFault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: distro-fault NAME fail|exit|hang|none")
	}
	sc := wslsim.Two()
	switch args[1] {
	case "fail":
		sc.Faults = []wslsim.Fault{{ID: "f", On: wslsim.OnLaunch, Distro: args[0], Kind: wslsim.Fail,
			Text: "Virtualization is off.", Code: "Wsl/Service/CreateInstance/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED"}}
	case "exit":
		sc.Faults = []wslsim.Fault{{ID: "f", On: wslsim.OnLaunch, Distro: args[0], Kind: wslsim.Output, Text: "broken profile\n", Exit: 126}}
	case "hang":
		sc.Faults = []wslsim.Fault{{ID: "f", On: wslsim.OnLaunch, Distro: args[0], Kind: wslsim.Hang}}
	case "none":
	default:
		ts.Fatalf("no fault %q", args[1])
	}
	ts.Check(wslsim.Create(filepath.Join(s.work, "sim"), sc))
}
