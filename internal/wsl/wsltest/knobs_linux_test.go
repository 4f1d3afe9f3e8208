package wsltest

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"catamaran/internal/proc"
	"catamaran/internal/wsl/wslsim"
)

// raw runs wsl.exe without WSL_UTF8 and gives its bytes.
func (g Target) raw(t *testing.T, args []string, env ...string) (stdout []byte, stderr string, code uint32) {
	t.Helper()
	spec, exit := g.spec(t, args, append([]string{"WSL_UTF8=0"}, env...)...)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	r, err := proc.Run(ctx, spec, nil, 64<<20)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return r.Stdout, r.Stderr, code32(exit, r.ExitCode)
}

func narrow(b []byte) string { return strings.ReplaceAll(string(b), "\x00", "") }

func TestInboxProfile(t *testing.T) { // B9, V09
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Profile: "inbox-10"})
	g := Target{m.Exe, "Ubuntu"}
	list, _, code := g.raw(t, []string{"--list", "--verbose"}, "WSL_UTF8=1")
	if code != 0 || list[1] != 0 || !strings.HasPrefix(narrow(list), "  NAME      STATE           VERSION\r\r\n* Ubuntu    ") {
		t.Errorf("list %q, %d", list, code)
	}
	for _, args := range [][]string{{"--version"}, {"--distribution-id", "{00000000-0000-0000-0000-0000000000aa}", "--exec", "true"}, {"--shell-type", "none", "true"}, {"--nope"}} {
		out, stderr, code := g.raw(t, args)
		if want := "Invalid command line option: " + args[0] + "\r\nCopyright (c) Microsoft Corporation. All rights reserved.\r\n"; narrow(out) != want || code != 0xffffffff || stderr != "" {
			t.Errorf("%s: %q, %d", args[0], narrow(out), code)
		}
	}
	if out, _, code := g.raw(t, []string{"-d", "Nope", "--exec", "true"}); narrow(out) != "There is no distribution with the supplied name.\r\n" || code != 0xffffffff {
		t.Errorf("an error with a code line: %q, %d", narrow(out), code)
	}
	// The older form by GUID works on every version.
	if r := g.call(t, "", []string{"{00000000-0000-0000-0000-0000000000ab}", "--exec", "printenv", "WSL_DISTRO_NAME"}); r.stdout != "Debian\n" {
		t.Errorf("%+v", r)
	}
}

func TestQuietBytes(t *testing.T) { // B12, B14
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Default: "Ubuntu", Distros: []wslsim.Distro{{Name: "Ubuntu"}}})
	g := Target{m.Exe, "Ubuntu"}
	for utf8, want := range map[string]string{
		"0": "U\x00b\x00u\x00n\x00t\x00u\x00\r\x00\n\x00", "true": "U\x00b\x00u\x00n\x00t\x00u\x00\r\x00\n\x00", "1": "Ubuntu\r\n",
	} {
		if out, _, code := g.raw(t, []string{"--list", "--quiet"}, "WSL_UTF8="+utf8); string(out) != want || code != 0 {
			t.Errorf("%s: %q, %d", utf8, out, code)
		}
	}
	m.Edit(func(s *wslsim.Scenario) { s.Distros = []wslsim.Distro{} })
	if out, _, code := g.raw(t, []string{"--list", "--quiet"}); len(out) != 0 || code != 0 { // empty is zero bytes
		t.Errorf("%q, %d", out, code)
	}
}

func TestStubAndOldStoreKnobs(t *testing.T) { // B10, A1.5
	t.Parallel()
	g := Target{Exe: Scenario(t, wslsim.Scenario{Profile: "stub-absent", Knobs: wslsim.Knobs{StubExit: 1}}).Exe}
	if r := g.call(t, "", []string{"--status"}); r.code != 1 || !strings.Contains(r.stdout, "is not installed") {
		t.Errorf("%+v", r)
	}
	g = Target{Exe: Scenario(t, wslsim.Scenario{Profile: "stub-absent"}).Exe}
	for args, want := range map[string]uint32{"--status": 50, "--list": 1, "--version": 1} {
		if r := g.call(t, "", []string{args}); r.code != want || !strings.Contains(r.stdout, "is not installed") {
			t.Errorf("%s: %+v", args, r)
		}
	}
	g = Target{Exe: Scenario(t, wslsim.Scenario{Profile: "store-0.6x", Knobs: wslsim.Knobs{VersionExit: 128}}).Exe}
	if r := g.call(t, "", []string{"--version"}); r.code != 128 || r.stdout != "" {
		t.Errorf("%+v", r)
	}
	if r := g.call(t, "", []string{"--list", "--quiet"}); r.stdout != "Ubuntu\r\nDebian\r\n" {
		t.Errorf("%+v", r)
	}
}

func TestStateWords(t *testing.T) { // B15
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Knobs: wslsim.Knobs{StateWords: map[string]string{"Stopped": "Beendet"}}})
	if r := (Target{Exe: m.Exe}).call(t, "", []string{"-l", "-v"}); !strings.Contains(r.stdout, "* Ubuntu    Beendet         2\r\n") {
		t.Errorf("%q", r.stdout)
	}
}

func TestRunningFlag(t *testing.T) { // B18
	t.Parallel()
	g := Target{Exe: Scenario(t, wslsim.Scenario{}).Exe}
	for args, want := range map[string]result{
		"--list --running":           {stdout: "There are no running distributions.\r\n", code: 0xffffffff},
		"--list --running --quiet":   {},
		"--list --running --verbose": {stdout: "  NAME      STATE           VERSION\r\n* Ubuntu    Stopped         2\r\n  Debian    Stopped         2\r\n"},
	} {
		if r := g.call(t, "", strings.Fields(args)); r != want {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

func TestShells(t *testing.T) { // B20
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Default: "sh", Distros: []wslsim.Distro{{Name: "sh"}, {Name: "bash", Shell: "/bin/bash"}}})
	for args, want := range map[string]string{
		"-d sh -- echo $0 \"a  b\"":               "/bin/sh a  b\n",
		"-d bash -- echo $0":                      "/bin/bash\n",
		"-d bash --shell-type login -- echo $0":   "-bash\n",
		"-d sh --shell-type none printf %s\\n $0": "$0\n",
		"-d bash": "",
	} {
		r := (Target{Exe: m.Exe}).call(t, "", nil, wslsim.EnvRaw+"=wsl.exe "+args)
		if r.stdout != want || r.code != 0 {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

func TestUntranslatableDirectory(t *testing.T) { // B21
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{WindowsDir: `R:\x`})
	g := Target{m.Exe, "Ubuntu"}
	r := g.call(t, "", []string{"-d", "Ubuntu", "--exec", "pwd"})
	if r.stdout != m.Home("Ubuntu")+"\n" || r.stderr != "wsl: Failed to translate 'R:\\x'\n" {
		t.Errorf("%+v", r)
	}
	m.Edit(func(s *wslsim.Scenario) { s.OldWarnings = true })
	r = g.call(t, "", []string{"-d", "Ubuntu", "--exec", "pwd"})
	if r.stderr != "<3>WSL (1230 - Relay) ERROR: CreateProcessParseCommon:863: Failed to translate R:\\x\n" {
		t.Errorf("%+v", r)
	}
}

func TestHeldStdout(t *testing.T) { // B23, B40
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Knobs: wslsim.Knobs{HoldStdoutMS: 60_000}})
	g := Target{m.Exe, "Ubuntu"}
	p := g.start(t, "echo", "hi")
	p.Stdin().Close()
	if b := line(t, bufio.NewReader(p.Stdout()), p); b != "hi" {
		t.Fatal(b)
	}
	done(t, p) // wsl.exe ends, wslhost does not; the guard of the process takes it along
	if p.ExitCode() != 0 {
		t.Error(p.ExitCode())
	}
}

func TestForwarder(t *testing.T) { // B24
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Knobs: wslsim.Knobs{Forwarder: true}})
	g := Target{m.Exe, "Ubuntu"}
	for want, argv := range map[uint32][]string{7: {"sh", "-c", "exit 7"}, 0xffffffff: {"sh", "-c", "exit 87"}} {
		if r := g.exec(t, "", argv...); r.code != want {
			t.Errorf("%+v", r)
		}
	}
	p := g.start(t, "sh", "-c", "echo $$; exec cat")
	line(t, bufio.NewReader(p.Stdout()), p)
	pids := m.Processes("Ubuntu")
	if err := unix.Kill(p.PID(), unix.SIGKILL); err != nil { // the outer one alone
		t.Fatal(err)
	}
	gone(t, pids)
	done(t, p)
}

func TestWSL1HasNoHangup(t *testing.T) { // B30
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Default: "One", Distros: []wslsim.Distro{{Name: "One", Version: 1}}})
	g := Target{m.Exe, "One"}
	home := m.Home("One")
	if err := unix.Mkfifo(filepath.Join(home, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(filepath.Join(home, "fifo"), os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	_ = fifo.SetReadDeadline(time.Now().Add(deadline))
	p := g.start(t, "sh", "-c", "trap 'echo > hup; exit' HUP; echo ready; cat; exec sh -c 'echo eof > fifo; exec sleep 300'")
	line(t, bufio.NewReader(p.Stdout()), p)
	p.Kill()
	done(t, p)
	if said, err := bufio.NewReader(fifo).ReadString('\n'); said != "eof\n" {
		t.Fatal(said, err)
	}
	if pids := m.Processes("One"); len(pids) != 1 {
		t.Errorf("processes %v", pids)
	}
	if _, err := os.Stat(filepath.Join(home, "hup")); err == nil {
		t.Error("SIGHUP in WSL 1")
	}
	if r := g.exec(t, "", "wslinfo", "--networking-mode"); r.stdout != "wsl1\n" {
		t.Errorf("%+v", r)
	}
}

func TestInterrupt(t *testing.T) { // B31
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	g := Target{m.Exe, "Ubuntu"}
	p := g.start(t, "sh", "-c", "trap 'echo int > int' INT; trap 'echo hup > hup; exit' HUP; echo ready; while :; do sleep 1 & wait $!; done")
	line(t, bufio.NewReader(p.Stdout()), p)
	pids := m.Processes("Ubuntu")
	if err := unix.Kill(p.PID(), unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	done(t, p)
	gone(t, pids)
	if _, err := os.Stat(filepath.Join(m.Home("Ubuntu"), "int")); err == nil {
		t.Error("the signal was passed on")
	}
	if _, err := os.Stat(filepath.Join(m.Home("Ubuntu"), "hup")); err != nil {
		t.Error(err)
	}
}

func TestStartDelays(t *testing.T) { // B33, B34
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{VMDelayMS: 400, Default: "A", Distros: []wslsim.Distro{
		{Name: "A", StartDelayMS: 100, SystemdDelayMS: 60_000, InitTimeoutMS: 100}, {Name: "B"}}})
	took := func(distro string) time.Duration {
		began := time.Now()
		if r := (Target{m.Exe, distro}).exec(t, "", "true"); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		return time.Since(began)
	}
	cold, warm := took("A"), took("A")
	if cold < 600*time.Millisecond || cold > 30*time.Second {
		t.Errorf("cold %v, warm %v", cold, warm)
	}
	// The machine runs, since another distro does; then since its idle time is not over; then not.
	if d := took("B"); d > 400*time.Millisecond {
		t.Logf("second distro after %v", d)
	}
	m.Terminate("A")
	m.Terminate("B")
	if _, err := os.Stat(filepath.Join(m.Dir, "vm.stopped")); err != nil {
		t.Error(err)
	}
	m.Shutdown()
	if d := took("B"); d < 400*time.Millisecond {
		t.Errorf("after a shutdown %v", d)
	}
}

func TestBackgroundUpdate(t *testing.T) { // B35
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	g := Target{m.Exe, "Ubuntu"}
	p := g.start(t, "sh", "-c", "echo ready; cat")
	line(t, bufio.NewReader(p.Stdout()), p)
	m.BackgroundUpdate(time.Hour, "Server execution failed ", "Wsl/CallMsi/Install/0x80080005")
	done(t, p)
	if p.ExitCode() != 1 {
		t.Errorf("exit %d", p.ExitCode())
	}
	for _, args := range []string{"-l -v", "--status", "-d Ubuntu --exec true", "--shutdown"} {
		if r := g.call(t, "", strings.Fields(args)); r.code != 0xffffffff || !strings.HasSuffix(r.stdout, ": Wsl/CallMsi/Install/0x80080005\r\n") {
			t.Errorf("%s: %+v", args, r)
		}
	}
	if r := g.call(t, "", []string{"--version"}); r.code != 0 { // does not ask the service
		t.Errorf("%+v", r)
	}
	m.BackgroundUpdate(0, "", "")
	if r := g.exec(t, "", "true"); r.code != 0 {
		t.Errorf("%+v", r)
	}
}

func TestInstallTranscript(t *testing.T) { // B8
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Transcripts: map[string]wslsim.Transcript{"--install": {Stdout: "Downloading: Debian\r\nInstalling: Debian\r\n"}, "--update": {Stdout: "Checking for updates.\r\n", Exit: 1}, "--list --online": {Stdout: "NAME\r\n"}}})
	g := Target{Exe: m.Exe}
	if r := g.call(t, "", []string{"--install", "Debian"}); r.stdout != "Downloading: Debian\r\nInstalling: Debian\r\n" || r.code != 0 {
		t.Errorf("%+v", r)
	}
	if r := g.call(t, "", []string{"--list", "--online"}); r.stdout != "NAME\r\n" {
		t.Errorf("%+v", r)
	}
	if r := g.call(t, "", []string{"--update"}); r.code != 1 {
		t.Errorf("%+v", r)
	}
	if r := g.call(t, "", []string{"--system", "--exec", "true"}); !strings.HasSuffix(r.stdout, ": Wsl/Service/CreateInstance/WSL_E_GUI_APPLICATIONS_DISABLED\r\n") {
		t.Errorf("%+v", r)
	}
}

func TestImportAndUnregister(t *testing.T) { // B8, A1.6
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	g := Target{m.Exe, "New"}
	file := func(name string, b []byte) string {
		p := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	tar := make([]byte, 512)
	copy(tar[257:], "ustar")
	good := file("ok.tar", tar)
	for name, c := range map[string]struct {
		args []string
		code string
	}{
		"no file": {[]string{"New", `C:\n`, "/no/such.tar"}, "Wsl/ERROR_FILE_NOT_FOUND"}, "no tar": {[]string{"New", `C:\n`, file("x", []byte("text"))}, "Wsl/Service/RegisterDistro/WSL_E_IMPORT_FAILED"},
		"disk": {[]string{"New", `C:\n`, file("d", []byte("vhdxfile"))}, "Wsl/Service/RegisterDistro/WSL_E_IMPORT_FAILED"}, "bad name": {[]string{"a/b", `C:\n`, good}, "Wsl/E_INVALIDARG"},
		"legacy": {[]string{"Legacy", `C:\n`, good}, "Wsl/E_INVALIDARG"},
	} {
		if r := g.call(t, "", append([]string{"--import"}, c.args...)); r.code != 0xffffffff || !strings.HasSuffix(r.stdout, ": "+c.code+"\r\n") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := g.call(t, string(tar), []string{"--import", "New", `C:\n`, "-"}); r.code != 0 || r.stdout != "The operation completed successfully. \r\n" { // B16
		t.Fatalf("%+v", r)
	}
	if r := g.call(t, "", []string{"--import", "Other", `c:\N`, good}); !strings.Contains(r.stdout, "already in use") {
		t.Errorf("%+v", r)
	}
	if r := g.exec(t, "", "sh", "-c", "echo x > kept; printenv WSL_DISTRO_NAME"); r.stdout != "New\n" {
		t.Fatalf("%+v", r)
	}
	if r := g.call(t, "", []string{"--unregister", "new"}); r.code != 0 || m.Running("New") {
		t.Errorf("%+v", r)
	}
	if r := g.exec(t, "", "true"); !strings.HasSuffix(r.stdout, ": Wsl/Service/WSL_E_DISTRO_NOT_FOUND\r\n") {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(m.Home("New"), "kept")); err == nil {
		t.Error("its files are still there")
	}
}

func TestWslinfo(t *testing.T) { // B39
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Knobs: wslsim.Knobs{NetworkingMode: "mirrored"}})
	g := Target{m.Exe, "Ubuntu"}
	for args, want := range map[string]string{"--networking-mode": "mirrored\n", "--networking-mode -n": "mirrored", "--vm-id": "{3c9f5a10-0000-4000-8000-000000000001}\n", "--version": "2.7.7\n"} {
		if r := g.exec(t, "", append([]string{"wslinfo"}, strings.Fields(args)...)...); r.stdout != want || r.code != 0 {
			t.Errorf("%s: %+v", args, r)
		}
	}
	if r := g.exec(t, "", "wslinfo", "--nope"); r.code != 1 || r.stdout != "" {
		t.Errorf("%+v", r)
	}
}

func TestWslpathReason(t *testing.T) { // B38
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Knobs: wslsim.Knobs{WslpathReason: "Result not representable"}})
	if r := (Target{m.Exe, "Ubuntu"}).exec(t, "", "wslpath", `Z:\x`); r.stderr != "wslpath: Z:\\x: Result not representable\n" || r.code != 1 || r.stdout != "" {
		t.Errorf("%+v", r)
	}
}

// The file side of \\wsl.localhost is the host's own path: a distro's home is a
// folder of the scenario, and the same path names it on both sides.
func TestFileSide(t *testing.T) { // B36
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	g := Target{m.Exe, "Ubuntu"}
	r := g.exec(t, "", "sh", "-c", "echo inside > f; wslpath -w ~/f")
	if want := `\\wsl.localhost\Ubuntu` + strings.ReplaceAll(m.Home("Ubuntu"), "/", `\`) + `\f` + "\n"; r.stdout != want {
		t.Errorf("got %q, want %q", r.stdout, want)
	}
	if b, err := os.ReadFile(filepath.Join(m.Home("Ubuntu"), "f")); err != nil || string(b) != "inside\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestFaultKinds(t *testing.T) { // B40
	t.Parallel()
	for name, c := range map[string]struct {
		fault  wslsim.Fault
		args   string
		stdout string
		stderr string
		code   uint32
	}{
		"cut while running":      {wslsim.Fault{On: wslsim.OnLaunch, Kind: wslsim.Cut, Bytes: 5}, "-d Ubuntu --exec sh -c 'echo 0123456789;exec/bin/cat'", "01234", "", 1},
		"cut list":               {wslsim.Fault{On: wslsim.OnList, Kind: wslsim.Cut, Bytes: 7, Exit: 9}, "--list --quiet", "Ubuntu\r", "", 9},
		"half a unit":            {wslsim.Fault{On: wslsim.OnList, Kind: wslsim.HalfUnit}, "--list --quiet", "Ubuntu\r\nDebian\r", "", 0},
		"empty":                  {wslsim.Fault{On: wslsim.OnList, Kind: wslsim.Output}, "--list --quiet", "", "", 0},
		"help":                   {wslsim.Fault{On: wslsim.OnList, Kind: wslsim.Output, Text: wslsim.TextHelp, Exit: 1}, "--list", wslsim.TextHelp, "", 1},
		"RPC":                    {wslsim.Fault{On: wslsim.OnAny, Kind: wslsim.Fail, Text: wslsim.TextRPC, Code: wslsim.CodeRPC}, "--status", "The RPC server is unavailable. \r\nError code: Wsl/Service/0x800706ba\r\n", "", 0xffffffff},
		"noise after":            {wslsim.Fault{On: wslsim.OnLaunch, Kind: wslsim.LinuxNoise, Text: "x", When: wslsim.After}, "-d Ubuntu --exec sh -c 'echo first>&2'", "", "first\nwsl: x\n", 0},
		"noise before":           {wslsim.Fault{On: wslsim.OnLaunch, Kind: wslsim.LinuxNoise, Text: "x"}, "-d Ubuntu --exec sh -c 'echo first>&2'", "", "wsl: x\nfirst\n", 0},
		"noise during":           {wslsim.Fault{On: wslsim.OnList, Kind: wslsim.Noise, Text: "x", When: wslsim.During}, "--list --quiet", "Ubuntu\r\nDebian\r\n", "wsl: x\n", 0},
		"deaf":                   {wslsim.Fault{On: wslsim.OnLaunch, Kind: wslsim.Deaf}, "-d Ubuntu --exec sh -c 'echo out'", "out\n", "", 0},
		"out of memory":          {wslsim.Fault{On: wslsim.OnLaunch, Kind: wslsim.OOM, DelayMS: 1}, "-d Ubuntu --exec sleep 300", "", "", 9},
		"hang, then success":     {wslsim.Fault{On: wslsim.OnLaunch, Kind: wslsim.Delay, DelayMS: 20}, "-d Ubuntu --exec echo ok", "ok\n", "", 0},
		"held open by the fault": {wslsim.Fault{On: wslsim.OnLaunch, Kind: wslsim.Held, DelayMS: 1}, "-d Ubuntu --exec echo ok", "ok\n", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := Scenario(t, wslsim.Scenario{})
			c.fault.ID = "x"
			m.SetFault(c.fault)
			raw := "wsl.exe " + strings.ReplaceAll(strings.ReplaceAll(c.args, "'", `"`), "exec/bin/cat", "exec sleep 300")
			r := (Target{m.Exe, "Ubuntu"}).call(t, "", nil, wslsim.EnvRaw+"="+raw)
			if r.stdout != c.stdout || r.stderr != c.stderr || r.code != c.code {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A fault can be aimed at the n-th call, and gone again after it.
func TestFaultByCall(t *testing.T) { // B40
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	m.SetFault(wslsim.Fault{ID: "x", On: wslsim.OnStatus, Kind: wslsim.Fail, Text: wslsim.TextUnexpected, Code: wslsim.CodeUnexpected, Skip: 1, Times: 1})
	for i, want := range []uint32{0, 0xffffffff, 0} {
		if r := (Target{Exe: m.Exe}).call(t, "", []string{"--status"}); r.code != want {
			t.Errorf("call %d: %+v", i, r)
		}
	}
}

func TestPieces(t *testing.T) { // B26, B40
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	m.SetFault(wslsim.Fault{ID: "x", On: wslsim.OnLaunch, Kind: wslsim.Pieces, Bytes: 100, DelayMS: 1})
	data := bytes.Repeat([]byte("é"), 5000)
	if r := (Target{m.Exe, "Ubuntu"}).exec(t, string(data), "cat"); r.stdout != string(data) || r.code != 0 {
		t.Errorf("%d bytes, %d", len(r.stdout), r.code)
	}
	p := (Target{m.Exe, "Ubuntu"}).start(t, "head", "-c", "1000", "/dev/zero")
	p.Stdin().Close()
	buf := make([]byte, 1000)
	if n, err := p.Stdout().Read(buf); n == 0 || n%100 != 0 || err != nil {
		t.Errorf("first piece %d, %v", n, err)
	}
	_, _ = io.Copy(io.Discard, p.Stdout())
}

func TestChangedBetweenListAndStart(t *testing.T) { // B40
	t.Parallel()
	for _, f := range []wslsim.Fault{{Kind: wslsim.Rename, Text: "Ubuntu-2"}, {Kind: wslsim.Unregister}} {
		m := Scenario(t, wslsim.Scenario{})
		f.ID, f.On, f.Distro, f.Times = "x", wslsim.OnList, "Ubuntu", 1
		m.SetFault(f)
		g := Target{m.Exe, "Ubuntu"}
		if r := g.call(t, "", []string{"-l", "-q"}); !strings.HasPrefix(r.stdout, "Ubuntu\r\n") {
			t.Errorf("%+v", r)
		}
		if r := g.exec(t, "", "true"); !strings.HasSuffix(r.stdout, ": Wsl/Service/WSL_E_DISTRO_NOT_FOUND\r\n") {
			t.Errorf("%s: %+v", f.Kind, r)
		}
	}
}

func TestReport(t *testing.T) { // B42
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{Profile: "store-2.9", Knobs: wslsim.Knobs{OldWarnings: true}, IdleStopMS: 20_000})
	m.SetFault(wslsim.Fault{ID: "x", On: wslsim.OnStatus, Kind: wslsim.Output})
	file := filepath.Join(t.TempDir(), "report")
	g := Target{m.Exe, "Ubuntu"}
	for range 2 {
		g.call(t, "", []string{"--status"}, wslsim.EnvReport+"="+file)
	}
	g.call(t, "", []string{"-d", "Ubuntu", "--exec", "true"}, wslsim.EnvReport+"="+file)
	r := g.call(t, "", []string{"wslsim-report", file})
	for _, want := range []string{"passes against a simulator", "3  profile store-2.9\n", "2  command status\n", "1  command launch\n", "3  knob    oldWarnings=true\n", "3  knob    idleStopMs=20000\n", "3  fault   output on status\n"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in %s", want, r.stdout)
		}
	}
}
