//go:build linux && wine

package windows

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/test/page"
	"catamaran/test/windows/wine"
)

// patience bounds every wait of a story that has no bound of its own.
const patience = 2 * time.Minute

// exes are the programs of the product, which must be gone when a story says so.
var exes = []string{"catamaran.exe", "catamaran.com", "catamaran-backend.exe", "wsl.exe", "cmd.exe", "ping.exe"}

func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			// The shim around *testing.T has all of its methods.
			return setUp(env.T().(testing.TB), env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"desktop":      command((*story).desktop),
			"page":         command((*story).page),
			"win":          command((*story).win),
			"kill9":        command((*story).kill9),
			"gone":         command((*story).gone),
			"repo":         command((*story).repo),
			"folder":       command((*story).folder),
			"distro-fault": command((*story).distroFault),
			"registry":     command((*story).registry),
			"starts":       command((*story).starts),
			"tell":         command((*story).tell),
			"browser":      command((*story).browser),
			"opened":       command((*story).opened),
			"wine":         command((*story).wineCommand),
		},
	})
}

func command(f func(*story, *testscript.TestScript, bool, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		f(ts.Value(key{}).(*story), ts, neg, args)
	}
}

type key struct{}

// programs is the folder with the Windows programs and carried/; its sibling
// with the suffix -test has the simulator.
var programs string

// simulator is the Linux build of the simulator, teller the program that speaks as the system.
var simulator, teller string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		root, err := filepath.Abs(filepath.Join("..", ".."))
		if err == nil {
			programs = filepath.Join(root, "bin", "windows-amd64")
			if d := os.Getenv("CATAMARAN_WINDOWS_BIN"); d != "" {
				programs = d
			}
			_, err = os.Stat(filepath.Join(programs, "catamaran.exe"))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "the Windows programs are missing (make windows):", err)
			return 1
		}
		dir, err := os.MkdirTemp("", "catamaran-windows-*")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		simulator = filepath.Join(dir, "wslsim")
		cmd := exec.Command("go", "build", "-trimpath", "-o", simulator, "./cmd/wslsim")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if b, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the simulator: %v\n%s", err, b)
			return 1
		}
		teller = filepath.Join(dir, "tell.exe")
		cmd = exec.Command("go", "build", "-trimpath", "-o", teller, "./test/windows/testdata/tell")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
		if b, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build tell: %v\n%s", err, b)
			return 1
		}
		return m.Run()
	}())
}

// story is the state of one script: a Windows, a simulated WSL, a desktop, a page.
type story struct {
	t    testing.TB
	wine *wine.Session
	sim  string // scenario folder
	// The running desktop.
	process *exec.Cmd
	stdin   io.WriteCloser
	ended   chan struct{}
	errOut  *said
	launch  api.Launch
	woken   bool // its pipe has been dialled
	client  page.Page
	// victims are the processes that the last kill9 must have taken along.
	victims []int
}

// appDir is where the programs lie, as the installer for one user would put them.
const appDir = `C:\users\tester\AppData\Local\Programs\Catamaran`

func setUp(t testing.TB, env *testscript.Env) error {
	s := &story{t: t, wine: wine.Start(t)}
	env.Values[key{}] = s
	local := s.wine.C("users", "tester", "AppData", "Local")
	s.wine.Give(programs, filepath.Join(local, "Programs", "Catamaran"))
	if err := s.machine(); err != nil {
		return err
	}
	code := s.wine.C("code")
	if err := errors.Join(os.MkdirAll(code, 0o755), s.wine.Own(code)); err != nil {
		return err
	}
	env.Setenv("CODE", code)
	env.Setenv("LOCAL", local)
	env.Setenv("APP", appDir)
	env.Setenv("STATE", filepath.Join(local, "Catamaran"))
	env.Setenv("UBUNTU", filepath.Join(s.sim, "distros", "Ubuntu"))
	env.Setenv("SIM", s.sim)
	env.Defer(func() {
		if s.process != nil {
			_ = s.stdin.Close()
			s.wine.Kill9("catamaran.exe")
			<-s.ended
			if t.Failed() {
				log, _ := os.ReadFile(filepath.Join(local, "Catamaran", "desktop", "logs", "desktop.log"))
				t.Logf("the desktop's stderr:\n%s\nthe end of its log:\n%s", s.errOut, log[max(0, len(log)-8000):])
			}
		}
	})
	return nil
}

// machine makes the simulated WSL: distros that are Linux processes of this
// machine, a wsl.exe in System32 that reaches them, and their registry keys.
func (s *story) machine() error {
	s.sim = filepath.Join(s.wine.Dir, "sim")
	drives := filepath.Join(s.wine.Dir, "mnt")
	err := errors.Join(os.Mkdir(drives, 0o755), os.Symlink(s.wine.C(), filepath.Join(drives, "c")), wslsim.Create(s.sim, s.scenario()))
	if err == nil {
		err = s.bridge()
	}
	if err != nil {
		return err
	}
	// \\wsl.localhost\<distro>: the simulated distros share this machine's root.
	for _, host := range []string{"wsl.localhost", "wsl$"} {
		unc := filepath.Join(s.wine.Prefix, "dosdevices", "unc", host)
		err = errors.Join(err, os.MkdirAll(unc, 0o755))
		for _, d := range wslsim.Two().Distros {
			err = errors.Join(err, os.Symlink("/", filepath.Join(unc, d.Name)))
		}
	}
	return errors.Join(err, s.writeRegistry())
}

func (s *story) scenario() wslsim.Scenario {
	sc := wslsim.Two()
	for i := range sc.Distros {
		sc.Distros[i].AutomountRoot = filepath.Join(s.wine.Dir, "mnt")
	}
	return sc
}

// change rewrites the scenario; calls that start afterwards see it.
func (s *story) change(f func(*wslsim.Scenario)) error {
	sc := s.scenario()
	f(&sc)
	return errors.Join(wslsim.Create(s.sim, sc), ownTree(s.sim))
}

func ownTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, wine.User, wine.User)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil // removed by what runs there
		}
		return err
	})
}

// writeRegistry makes the real registry of this Windows say what the scenario says.
func (s *story) writeRegistry() error {
	_, errOut, code := s.wine.Run(nil, `C:\windows\system32\wsl.exe`, "wslsim-registry", s.wine.Win(wslsim.Registry(s.sim)))
	if code != 0 {
		return fmt.Errorf("write the registry: exit %d: %s", code, errOut)
	}
	return nil
}

// bridge starts the Linux side of wsl.exe as the tester and puts the Windows side into System32.
func (s *story) bridge() error {
	exe := filepath.Join(s.wine.Dir, "wslsim")
	s.wine.Give(simulator, exe)
	if err := errors.Join(os.Chmod(exe, 0o755), ownTree(s.sim), ownTree(filepath.Join(s.wine.Dir, "mnt"))); err != nil {
		return err
	}
	cmd := exec.Command(exe, "wslsim-bridge", s.sim)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=/tmp"}
	cmd.SysProcAttr = asTester()
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.t.Cleanup(func() {
		if err := wslsim.Shutdown(s.sim); err != nil {
			s.t.Error(err)
		}
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the bridge did not start: %w", err)
	}
	system := s.wine.C("windows", "system32")
	if err := os.WriteFile(filepath.Join(system, wslsim.BridgeFile), line, 0o644); err != nil {
		return err
	}
	s.wine.Give(filepath.Join(programs+"-test", "wslsim.exe"), filepath.Join(system, "wsl.exe"))
	return nil
}

// wakePipe dials a new desktop's pipe once, by a further start, which closes its
// first connection at once: under Wine the first client of a pipe made by go-winio
// gets an instance that nobody serves (limit first-pipe-dial).
func (s *story) wakePipe() {
	if s.process != nil && !s.woken {
		s.run("--no-window")
		s.woken = true
	}
}

// run is the way to the terminal commands.
func (s *story) run(args ...string) (out, errOut string, code int) {
	return s.wine.Run([]string{"CATAMARAN_LOG=debug"}, appDir+`\catamaran.exe`, args...)
}

// win ARGS...: catamaran.exe with arguments; its output can be matched.
func (s *story) win(ts *testscript.TestScript, neg bool, args []string) {
	s.wakePipe()
	out, errOut, code := s.run(args...)
	fmt.Fprint(ts.Stdout(), strings.ReplaceAll(out, "\r\n", "\n"))
	fmt.Fprint(ts.Stderr(), strings.ReplaceAll(errOut, "\r\n", "\n"))
	if (code != 0) != neg {
		ts.Fatalf("catamaran %q: exit %d\n%s%s", args, code, out, errOut)
	}
}

// tell CLASS MESSAGE WPARAM sends a message to a window, as the system would.
func (s *story) tell(ts *testscript.TestScript, neg bool, args []string) {
	exe := s.wine.C("tell.exe")
	if _, err := os.Stat(exe); err != nil {
		s.wine.Give(teller, exe)
	}
	s.wineCommand(ts, neg, append([]string{`C:\tell.exe`}, args...))
}

// wineCommand PROGRAM ARGS... runs another program of this Windows.
func (s *story) wineCommand(ts *testscript.TestScript, neg bool, args []string) {
	out, errOut, code := s.wine.Run(nil, args[0], args[1:]...)
	fmt.Fprint(ts.Stdout(), strings.ReplaceAll(out, "\r\n", "\n"))
	fmt.Fprint(ts.Stderr(), strings.ReplaceAll(errOut, "\r\n", "\n"))
	if (code != 0) != neg {
		ts.Fatalf("%q: exit %d\n%s%s", args, code, out, errOut)
	}
}

// desktop start [flags] | background | stop | ended
func (s *story) desktop(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case neg || len(args) == 0:
	case args[0] == "start":
		ts.Check(s.start(ts, args[1:]))
		return
	case args[0] == "background":
		ts.Check(s.startInBackground())
		return
	case args[0] == "ended":
		s.awaitEnd(ts)
		return
	case args[0] == "stop":
		began := time.Now()
		ts.Check(s.stdin.Close())
		s.awaitEnd(ts)
		ts.Logf("ended after %v", time.Since(began).Round(time.Millisecond))
		return
	}
	ts.Fatalf("usage: desktop start [flags] | stop | ended")
}

func (s *story) start(ts *testscript.TestScript, flags []string) error {
	cmd := s.wine.Command(context.Background(), []string{"CATAMARAN_LOG=debug", "OPENAI_API_KEY=sk-story-secret-0123456789"},
		appDir+`\catamaran.exe`, append([]string{"--no-window", "--owner-stdin"}, flags...)...)
	s.errOut = &said{}
	cmd.Stderr = s.errOut
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	s.process, s.stdin, s.ended, s.woken = cmd, stdin, ended, false
	go func() { _ = cmd.Wait(); close(ended) }()
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no launch line: %w: %s", err, s.errOut)
	}
	return s.launched(line)
}

// launched takes the line that says where the page is.
func (s *story) launched(line []byte) error {
	s.launch = api.Launch{}
	if err := json.Unmarshal(line, &s.launch); err != nil {
		return fmt.Errorf("launch line %q: %w", line, err)
	}
	base, _, ok := strings.Cut(s.launch.URL, "/#code=")
	if !ok || s.launch.PID == 0 || s.launch.Version == "" {
		return fmt.Errorf("launch line %q", line)
	}
	s.client.Base = base
	return nil
}

// startInBackground starts the desktop as log-in does: no window and no line; a further start asks where it is.
func (s *story) startInBackground() error {
	cmd := s.wine.Command(context.Background(), []string{"CATAMARAN_LOG=debug"}, appDir+`\catamaran.exe`, "run", "--background", "--owner-stdin")
	s.errOut = &said{}
	cmd.Stderr = s.errOut
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.process, s.stdin, s.ended, s.woken = cmd, stdin, ended, true
	go func() { _ = cmd.Wait(); close(ended) }()
	log := s.wine.C("users", "tester", "AppData", "Local", "Catamaran", "desktop", "logs", "desktop.log")
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(log); err == nil && bytes.Contains(b, []byte("the icon is in the notification area")) {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the desktop has no icon: %s", s.errOut)
		}
	}
	out, errOut, code := s.run("--no-window")
	if code != 0 {
		return fmt.Errorf("a further start: exit %d: %s", code, errOut)
	}
	return s.launched([]byte(out))
}

// browser catches every address that this Windows opens in its browser.
func (s *story) browser(ts *testscript.TestScript, neg bool, args []string) {
	script := filepath.Join(s.wine.Dir, "browser")
	ts.Check(os.WriteFile(script, []byte("#!/bin/sh\necho \"$1\" >> '"+filepath.Join(s.wine.Dir, "opened")+"'\n"), 0o755))
	ts.Check(os.Chmod(script, 0o755))
	s.wineCommand(ts, false, []string{"reg", "add", `HKCU\Software\Wine\WineBrowser`, "/v", "Browsers", "/d", script, "/f"})
}

// opened waits for the next address that went to the browser, and prints it.
func (s *story) opened(ts *testscript.TestScript, neg bool, args []string) {
	file := filepath.Join(s.wine.Dir, "opened")
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(file); err == nil && bytes.HasSuffix(b, []byte("\n")) {
			fmt.Fprintf(ts.Stdout(), "%s", b)
			ts.Check(os.Remove(file))
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nothing was opened")
		}
	}
}

func (s *story) awaitEnd(ts *testscript.TestScript) {
	select {
	case <-s.ended:
	case <-time.After(patience):
		ts.Fatalf("the desktop did not end")
	}
	if code := s.process.ProcessState.ExitCode(); code != 0 {
		ts.Fatalf("the desktop ended with %d: %s", code, s.errOut)
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
	switch {
	case err == nil && neg:
		ts.Fatalf("page %s worked", args[0])
	case err != nil && !neg:
		ts.Fatalf("page %s: %v", args[0], err)
	case err != nil:
		fmt.Fprintln(ts.Stderr(), err)
	}
}

// distroFault NAME fail|exit|hang|none changes the simulated machine.
func (s *story) distroFault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: distro-fault NAME fail|exit|hang|none")
	}
	f := wslsim.Fault{ID: "f", On: wslsim.OnLaunch, Distro: args[0]}
	switch args[1] {
	case "fail":
		f.Kind, f.Text, f.Code = wslsim.Fail, "Virtualization is off.", "Wsl/Service/CreateInstance/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED"
	case "exit":
		f.Kind, f.Text, f.Exit = wslsim.Output, "broken profile\n", 126
	case "hang":
		f.Kind = wslsim.Hang
	case "none":
	default:
		ts.Fatalf("no fault %q", args[1])
	}
	ts.Check(s.change(func(sc *wslsim.Scenario) {
		if f.Kind != "" {
			sc.Faults = []wslsim.Fault{f}
		}
	}))
}

// registry set-distro NAME VALUE JSON | sync: what the keys of WSL say, in the real registry of this Windows.
func (s *story) registry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: registry DISTRO VALUE JSON")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(args[2]), &v))
	ts.Check(s.change(func(sc *wslsim.Scenario) {
		i := slices.IndexFunc(sc.Distros, func(d wslsim.Distro) bool { return d.Name == args[0] })
		sc.Distros[i].Registry = map[string]any{args[1]: v}
	}))
	ts.Check(s.writeRegistry())
}
