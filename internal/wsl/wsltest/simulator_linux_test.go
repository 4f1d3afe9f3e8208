package wsltest

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"catamaran/internal/proc"
	"catamaran/internal/wsl/wslsim"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) { // B1: real processes throughout
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	Conformance(t, Target{Exe: m.Exe, Distro: "Ubuntu"})
}

func read[T any](t *testing.T, name string) []T {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []T
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var v T
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func TestExitCodeVectors(t *testing.T) { // B3, B32
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	g := Target{m.Exe, "Ubuntu"}
	type vector struct {
		ID   string
		Prog json.RawMessage
		Exit json.RawMessage
		Code string `json:"stdout_code"`
	}
	ran := 0
	for _, v := range read[vector](t, "exit-codes") {
		var argv []string
		if json.Unmarshal(v.Prog, &argv) != nil {
			continue // X14 is TestTerminate, X15 checkKill and TestForwarder
		}
		ran++
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			var one uint32
			var codes []uint32
			if json.Unmarshal(v.Exit, &one) == nil {
				codes = []uint32{one}
			} else if err := json.Unmarshal(v.Exit, &codes); err != nil {
				t.Fatal(err)
			}
			r := g.exec(t, "", argv...)
			if !slices.Contains(codes, r.code) || v.Code != "" && !strings.HasSuffix(r.stdout, ": "+v.Code+"\r\n") {
				t.Errorf("exit %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
			}
		})
	}
	if ran < 8 {
		t.Errorf("only %d vectors", ran)
	}
}

func TestCommandLineVectors(t *testing.T) {
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Default: "Ubuntu", Distros: []wslsim.Distro{{Name: "Ubuntu", User: "u", GUID: "{00000000-0000-0000-0000-0000000000aa}"}}})
	type vector struct {
		ID, Raw, Via string
		LinuxArgv    []string `json:"linux_argv"`
		Stdout       *string
		Exit         *uint32
		Code         string `json:"expect_code"`
	}
	g := Target{m.Exe, "Ubuntu"}
	args := m.Bin("Ubuntu") + "/show-args"
	if err := os.WriteFile(args, []byte("#!/bin/sh\nprintf '%s\\0' \"${0##*/}\" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	spaced := filepath.Join(m.Dir, "my app", "bin")
	if err := errors.Join(os.Mkdir(filepath.Dir(spaced), 0o700), os.Link(args, spaced)); err != nil {
		t.Fatal(err)
	}
	for _, v := range read[vector](t, "command-line") {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			raw := v.Raw
			if v.LinuxArgv != nil {
				// Same words, another program: one that shows what it was given.
				program := "show-args"
				if strings.Contains(v.LinuxArgv[0], " ") { // Q19
					program = spaced
				}
				raw = strings.Replace(raw, v.LinuxArgv[0], program, 1)
			}
			r := g.call(t, "", nil, wslsim.EnvRaw+"="+raw)
			switch {
			case v.LinuxArgv != nil:
				if got := strings.Split(strings.TrimSuffix(r.stdout, "\x00"), "\x00"); !slices.Equal(got[1:], v.LinuxArgv[1:]) {
					t.Errorf("got %q, want %q", got, v.LinuxArgv)
				}
			case v.ID == "Q28":
				if r.stdout != m.Dir+"/distros/Ubuntu/home/u\n" {
					t.Errorf("got %q", r.stdout)
				}
			case v.Stdout != nil && r.stdout != *v.Stdout:
				t.Errorf("got %q, want %q", r.stdout, *v.Stdout)
			}
			if v.Exit != nil && r.code != *v.Exit {
				t.Errorf("exit %d, want %d; stdout %q, stderr %q", r.code, *v.Exit, r.stdout, r.stderr)
			}
			if v.Code != "" && !strings.HasSuffix(r.stdout, ": "+v.Code+"\r\n") {
				t.Errorf("stdout %q, want %s", r.stdout, v.Code)
			}
		})
	}
}

// gone waits until the processes, which are nobody's children here, have ended.
func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // reaped already
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
		unix.Close(fd)
		if n != 1 {
			t.Fatalf("process %d is still there (%v)", pid, err)
		}
	}
}

func TestTerminate(t *testing.T) { // B35, X14
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	ubuntu, debian := Target{m.Exe, "Ubuntu"}, Target{m.Exe, "Debian"}
	a := ubuntu.start(t, "sh", "-c", "trap '' HUP TERM; setsid sh -c 'echo ready; exec sleep 300' & cat")
	b := debian.start(t, "sh", "-c", "echo ready; cat")
	aOut := bufio.NewReader(a.Stdout())
	line(t, aOut, a)
	if _, err := a.Stdin().Write([]byte("cat\n")); err != nil || line(t, aOut, a) != "cat" {
		t.Fatal(err)
	}
	out := bufio.NewReader(b.Stdout())
	line(t, out, b)
	if !m.Running("Ubuntu") || !m.Running("Debian") {
		t.Fatal("not running")
	}
	pids := m.Processes("Ubuntu")
	if len(pids) != 3 { // sh, cat, sleep
		t.Fatalf("processes %v", pids)
	}
	r := ubuntu.call(t, "", []string{"--terminate", "ubuntu"})
	if r.stdout != "The operation completed successfully. \r\n" || r.code != 0 {
		t.Errorf("got %q, %d", r.stdout, r.code)
	}
	done(t, a)
	if a.ExitCode() != 1 {
		t.Errorf("its wsl.exe ended with %d", a.ExitCode())
	}
	gone(t, pids)
	if m.Running("Ubuntu") {
		t.Error("still running")
	}
	// The other one is unaffected.
	if _, err := b.Stdin().Write([]byte("hello\n")); err != nil || line(t, out, b) != "hello" {
		t.Error("the other distro was affected: ", err)
	}
	if r := debian.call(t, "", []string{"--shutdown"}); r.stdout != "" || r.code != 0 {
		t.Errorf("got %q, %d", r.stdout, r.code)
	}
	done(t, b)
	if b.ExitCode() != 1 || m.Running("Debian") {
		t.Errorf("after shutdown: %d", b.ExitCode())
	}
	if r := debian.call(t, "", []string{"-t", "Debian"}); r.code != 0 { // stopped already: success
		t.Errorf("got %d", r.code)
	}
}

// daemon leaves a process with a session of its own, prints its pid, and ends only when that process has its session.
const daemon = `mkfifo f$$; setsid sh -c 'echo $$ > '"f$$"'; exec sleep 300' > /dev/null 2>&1 < /dev/null & read -r pid < f$$; rm f$$; echo $pid`

// A process with its own session outlives wsl.exe, is found, and ends with the distro.
func TestDaemonOutlivesFront(t *testing.T) {
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	g := Target{m.Exe, "Ubuntu"}
	if r := g.exec(t, "", "sh", "-c", daemon); r.code != 0 {
		t.Fatal(r)
	}
	pids := m.Processes("Ubuntu")
	if len(pids) != 1 {
		t.Fatalf("processes %v", pids)
	}
	m.Terminate("Ubuntu")
	gone(t, pids)
}

func TestIdleStop(t *testing.T) { // B34
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{IdleStopMS: 1})
	g := Target{m.Exe, "Ubuntu"}
	r := g.exec(t, "", "sh", "-c", daemon)
	if r.code != 0 {
		t.Fatal(r)
	}
	pid := 0
	for _, c := range strings.TrimSpace(r.stdout) {
		pid = pid*10 + int(c-'0')
	}
	gone(t, []int{pid})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	g := Target{m.Exe, "Ubuntu"}
	m.SetFault(wslsim.Fault{ID: "once", On: wslsim.OnList, Kind: wslsim.Fail, Text: "Catastrophic failure ", Code: "Wsl/Service/E_UNEXPECTED", Times: 1})
	if r := g.call(t, "", []string{"-l", "-v"}); r.code != 0xffffffff || r.stdout != "Catastrophic failure \r\nError code: Wsl/Service/E_UNEXPECTED\r\n" {
		t.Errorf("%+v", r)
	}
	if r := g.call(t, "", []string{"-l", "-v"}); r.code != 0 {
		t.Errorf("it struck twice: %+v", r)
	}
	m.SetFault(wslsim.Fault{ID: "noise", On: wslsim.OnLaunch, Kind: wslsim.Noise, Text: "Unknown key 'wsl2.a'"})
	m.SetFault(wslsim.Fault{ID: "start", On: wslsim.OnStart, Distro: "Debian", Kind: wslsim.Fail, Text: "x", Code: "Wsl/Service/CreateInstance/WSL_E_DISK_CORRUPTED"})
	if r := g.exec(t, "", "echo", "hi"); r.stdout != "hi\n" || !strings.Contains(r.stderr, "wsl: Unknown key 'wsl2.a'") {
		t.Errorf("%+v", r)
	}
	if r := (Target{m.Exe, "Debian"}).exec(t, "", "true"); r.code != 0xffffffff || m.Running("Debian") {
		t.Errorf("%+v", r)
	}
	m.ClearFault("start")
	if r := (Target{m.Exe, "Debian"}).exec(t, "", "true"); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if r := g.call(t, "", []string{"--install"}); r.code != 250 || !strings.HasPrefix(r.stderr, "WSLSIM:") {
		t.Errorf("not refused: %+v", r)
	}
}

func TestWslpathInside(t *testing.T) { // P13, P59
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	g := Target{m.Exe, "Ubuntu"}
	for in, want := range map[string]string{`C:\Users\me`: "/mnt/c/Users/me\n", `\\wsl.localhost\Ubuntu\home\u`: "/home/u\n", `\\wsl.localhost\Ubuntu-22.04\home`: "-22.04/home\n"} {
		if r := g.exec(t, "", "wslpath", "-u", in); r.stdout != want || r.code != 0 {
			t.Errorf("%s: %+v", in, r)
		}
	}
	if r := g.exec(t, "", "wslpath", "-u", `Z:\x`); r.code != 1 || r.stdout != "" || r.stderr != `wslpath: Z:\x`+"\n" {
		t.Errorf("%+v", r)
	}
}

// The command line of `make run-wsl`, which may be repeated over a scenario that is in use.
func TestInitCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/new"
	t.Cleanup(func() {
		if err := wslsim.Shutdown(dir); err != nil {
			t.Error(err)
		}
	})
	exe := build(t)
	for i, args := range [][]string{{dir}, {"--if-missing", "--tool", "/bin/echo", dir}} {
		if r := (Target{Exe: exe}).call(t, "", append([]string{"wslsim-init"}, args...)); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		if i == 0 { // a change that the second call must keep
			if r := (Target{Exe: dir + "/wsl.exe"}).call(t, "", []string{"--set-default", "Debian"}); r.code != 0 {
				t.Fatalf("%+v", r)
			}
		}
		g := Target{dir + "/wsl.exe", "Debian"}
		if r := g.exec(t, "", "sh", "-c", "echo kept >> f; cat f"); r.code != 0 || !strings.HasPrefix(r.stdout, "kept\n") {
			t.Fatalf("%+v", r)
		}
	}
	if b, err := os.ReadFile(dir + "/distros/Debian/home/dev/f"); err != nil || string(b) != "kept\nkept\n" {
		t.Errorf("%q, %v", b, err)
	}
	if s, err := wslsim.Load(dir); err != nil || s.Default != "Debian" {
		t.Errorf("%+v, %v", s, err)
	}
	if link, err := os.Readlink(dir + "/distros/Ubuntu/bin/echo"); err != nil || link != "/bin/echo" {
		t.Errorf("%q, %v", link, err)
	}
}

func TestShiftedClock(t *testing.T) { // B40
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Default: "A", Distros: []wslsim.Distro{{Name: "A", ClockShiftMS: -3 * 3600 * 1000}}})
	r := (Target{m.Exe, "A"}).exec(t, "", "date", "+%s")
	n, err := strconv.ParseInt(strings.TrimSpace(r.stdout), 10, 64)
	if behind := time.Now().Unix() - n; err != nil || behind < 3*3600-5 || behind > 3*3600+60 {
		t.Errorf("%+v: %d s behind", r, behind)
	}
}
