// Package wslsim simulates wsl.exe and the Linux side it starts, as one program
// with several roles: the front (wsl.exe itself), one init per running distro,
// one relay per launch, and the session that becomes the launched program.
//
// It exists so that everything but the window and the registry can be run and
// tested on Linux. It never guesses: a command line or a scenario key it does
// not simulate is refused with exit 250 and a text that begins WSLSIM:. Marks in
// square brackets name the fact behind a behaviour: A.. and B.. are sections of
// the project's WSL facts, a letter with two digits is a shared vector.
// What passes here passes against a simulator; it says nothing about Windows.
//
// Called by cmd/wslsim and, for the state of a scenario, by test kits. No
// product code imports it.
//
// Not simulated: mount, PID and user namespaces. A distro's programs see the
// host's file system and process table; only home, PATH and environment are
// its own. Nothing here listens on a network: init has one abstract unix socket.
package wslsim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Variables of the simulator itself. None of them crosses into a distro by itself.
const (
	// EnvScenario names the scenario directory.
	EnvScenario = "WSLSIM_SCENARIO"
	// EnvExitFile names a file that receives the 32-bit exit code in decimal [B3].
	EnvExitFile = "WSLSIM_EXIT_FILE"
	// EnvRaw replaces the raw command line that is rebuilt from argv [B2].
	EnvRaw = "WSLSIM_RAW"
)

const (
	exitFailure = 0xffffffff // wsl.exe's own failure, -1 [A1.8]
	exitRefused = 250        // [B5]
)

// Roles, chosen by the name the program is started under.
const (
	roleInit    = "wslsim-init"
	roleRelay   = "wslsim-relay"
	roleSession = "wslsim-session"
)

// Main is the whole program; the result is its exit code.
func Main(argv []string) int {
	if len(argv) > 0 {
		switch argv[0] {
		case roleInit:
			return initMain(argv[1:])
		case roleRelay:
			return relayMain()
		case roleSession:
			return sessionMain()
		}
	}
	if len(argv) >= 2 && argv[1] == "wslsim-init" {
		if err := setUp(argv[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "WSLSIM:", err)
			return exitRefused
		}
		return 0
	}
	if len(argv) >= 4 && argv[1] == "wslsim-wslpath" {
		return wslpathMain(argv[2], argv[3], argv[4:])
	}
	return finish(front(argv, scenarioDir()))
}

// setUp is `wslsim wslsim-init [--if-missing] [--tool PROGRAM]... DIR`: the
// scenario of two distros, with wsl.exe in it and links to programs of this
// computer in the PATH of every distro. --if-missing keeps a scenario that is there.
func setUp(args []string) error {
	keep := false
	var tools, rest []string
	for len(args) > 0 {
		switch {
		case args[0] == "--if-missing":
			keep = true
		case args[0] == "--tool" && len(args) > 1:
			tools = append(tools, args[1])
			args = args[1:]
		default:
			rest = append(rest, args[0])
		}
		args = args[1:]
	}
	if len(rest) != 1 || rest[0] == "" || rest[0][0] == '-' {
		return errors.New("usage: wslsim wslsim-init [--if-missing] [--tool PROGRAM]... DIR")
	}
	dir := rest[0]
	s := Two()
	if _, err := os.Stat(filepath.Join(dir, scenarioFile)); err == nil && keep {
		if s, err = Load(dir); err != nil {
			return err
		}
	}
	exe, err := os.Executable()
	if err := errors.Join(err, Create(dir, s)); err != nil {
		return err
	}
	if s, err = Load(dir); err != nil {
		return err
	}
	for _, tool := range tools {
		target, err := filepath.Abs(tool)
		if err == nil {
			_, err = os.Stat(target)
		}
		if err != nil {
			return err
		}
		for _, d := range s.Distros {
			link := filepath.Join(d.bin(dir), filepath.Base(target))
			if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			if err := os.Symlink(target, link); err != nil {
				return err
			}
		}
	}
	return Install(dir, exe)
}

// scenarioDir is the directory the variable names or, without it, the one the
// program lies in if that is a scenario: so tests in one process can have a wsl.exe each.
func scenarioDir() string {
	if dir := os.Getenv(EnvScenario); dir != "" {
		return dir
	}
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	dir := filepath.Dir(exe)
	if _, err := os.Stat(filepath.Join(dir, scenarioFile)); err != nil {
		return ""
	}
	return dir
}

// Install puts the simulator exe into the scenario dir as wsl.exe, which then
// needs no variable to find its scenario. A hard link where possible.
func Install(dir, exe string) error {
	tmp := filepath.Join(dir, "wsl.exe."+strconv.Itoa(os.Getpid()))
	if os.Link(exe, tmp) != nil {
		b, err := os.ReadFile(exe)
		if err == nil {
			err = os.WriteFile(tmp, b, 0o700)
		}
		if err != nil {
			return fmt.Errorf("wslsim: install: %w", err)
		}
	}
	// When both names are links to one file, rename leaves the temporary one behind.
	defer os.Remove(tmp)
	if err := os.Rename(tmp, filepath.Join(dir, "wsl.exe")); err != nil {
		return fmt.Errorf("wslsim: install: %w", err)
	}
	return nil
}

// finish leaves the 32-bit code where the caller asked for it and returns what Unix can carry [B3].
func finish(code uint32) int {
	if name := os.Getenv(EnvExitFile); name != "" {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err == nil {
			_, werr := f.WriteString(strconv.FormatUint(uint64(code), 10) + "\n")
			err = errors.Join(werr, f.Close())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "WSLSIM: exit file:", err)
		}
	}
	return int(code & 0xff)
}

func refuse(what string) uint32 {
	fmt.Fprintln(os.Stderr, "WSLSIM: not simulated:", what)
	return exitRefused
}

// machine is one call of wsl.exe on the simulated machine.
type machine struct {
	Scenario
	dir     string
	profile profile
	out     own
	err     own
}

func front(argv []string, dir string) uint32 {
	if dir == "" {
		fmt.Fprintln(os.Stderr, "WSLSIM: "+EnvScenario+" is not set; `wslsim wslsim-init DIR` makes a scenario")
		return exitRefused
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "WSLSIM:", err)
		return exitRefused
	}
	s, err := Load(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "WSLSIM:", err)
		return exitRefused
	}
	utf8 := os.Getenv("WSL_UTF8") == "1" // exactly [B12]
	m := &machine{Scenario: s, dir: dir, profile: profiles[s.profileName()], out: own{os.Stdout, utf8}, err: own{os.Stderr, utf8}}
	raw, ok := os.LookupEnv(EnvRaw)
	if !ok {
		raw = rawLine(argv)
	}
	c, perr := parse(raw)
	if m.profile.absent { // [B10], E31
		m.out.print(textAbsent)
		if c.verb == "status" {
			return 50
		}
		return 1
	}
	if perr == nil {
		return m.run(c)
	}
	return m.fail(perr)
}

// fail prints an error of wsl.exe: on stdout, stderr stays empty [B11, B17].
func (m *machine) fail(err error) uint32 {
	var r refusal
	var u usageError
	var c *codeError
	switch {
	case errors.As(err, &r):
		return refuse(string(r))
	case errors.As(err, &u):
		m.out.print(string(u))
	case errors.As(err, &c):
		m.out.print(c.text + "\r\n" + m.words().label + c.code + "\r\n")
	default:
		fmt.Fprintln(os.Stderr, "WSLSIM:", err)
		return exitRefused
	}
	return exitFailure
}

// strike applies the faults of one place. done says that the call ends with code.
func (m *machine) strike(on, distro string) (code uint32, done bool) {
	for _, f := range m.Faults {
		if f.On != on || f.Distro != "" && f.Distro != distro {
			continue
		}
		hit, err := m.count(f)
		if err != nil {
			fmt.Fprintln(os.Stderr, "WSLSIM:", err)
			return exitRefused, true
		}
		if !hit {
			continue
		}
		switch f.Kind {
		case Hang:
			hang()
		case Delay:
			wait(time.Duration(f.DelayMS) * time.Millisecond)
		case Noise: // [A1.7]: own encoding, CRLF
			m.err.print("wsl: " + f.Text + "\r\n")
		case LinuxNoise: // [A1.7]: UTF-8, LF
			_, _ = io.WriteString(os.Stderr, "wsl: "+f.Text+"\n")
		case Fail:
			return m.fail(&codeError{f.Text, f.Code}), true
		case Output:
			_, _ = io.WriteString(os.Stdout, f.Text)
			return f.Exit, true
		}
	}
	return 0, false
}

// count says whether the fault strikes at this call; the count is kept for all processes of the scenario.
func (m *machine) count(f Fault) (bool, error) {
	if f.Times == 0 && f.Skip == 0 {
		return true, nil
	}
	unlock, err := LockFile(filepath.Join(m.dir, "faults.lock"))
	if err != nil {
		return false, err
	}
	defer unlock()
	name := filepath.Join(m.dir, "fault-"+f.ID+".count")
	n := 0
	if b, err := os.ReadFile(name); err == nil {
		n = len(b)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	_, werr := file.WriteString(".")
	return n >= f.Skip && (f.Times == 0 || n < f.Skip+f.Times), errors.Join(werr, file.Close())
}

func hang() { wait(1<<63 - 1) }

// wait is simulated time passing; the process can be killed in it, as wsl.exe can.
func wait(d time.Duration) { <-time.After(d) }

func wslpathMain(dir, distro string, args []string) int {
	s, err := Load(dir)
	d, ok := s.find(distro)
	if err != nil || !ok {
		fmt.Fprintln(os.Stderr, "WSLSIM: wslpath:", err, distro)
		return exitRefused
	}
	cwd, err := os.Getwd()
	if err != nil {
		cwd = "/"
	}
	return wslpath(s.mounts(d), args, cwd, os.Stdout, os.Stderr)
}
