// Package wslsim simulates wsl.exe and the Linux side it starts, as one program
// with several roles: the front (wsl.exe itself), one init per running distro,
// one relay per launch, and the session that becomes the launched program [B1].
//
// It exists so that everything but the window and the registry can be run and
// tested on Linux. It never guesses: a command line or a scenario key it does
// not simulate is refused with exit 250 and a text that begins WSLSIM:. Marks in
// square brackets name the fact behind a behaviour: A.. and B.. are sections of
// the project's WSL facts, a letter with two digits is a shared vector [B41].
// What passes here passes against a simulator; it says nothing about Windows,
// where docs/wsl-facts.md lists what to check first [B43].
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
	"strings"
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

// pieceSize is the copy buffer of both relays [A3.1, B25, B26].
const pieceSize = 4096

// Roles, chosen by the name the program is started under.
const (
	roleInit    = "wslsim-init"
	roleRelay   = "wslsim-relay"
	roleSession = "wslsim-session"
	roleHost    = "wslsim-wslhost"
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
		case roleHost:
			return hostMain(argv[1:])
		}
	}
	if code, ok := bridgeFront(argv); ok {
		return code
	}
	if len(argv) == 3 && argv[1] == "wslsim-bridge" {
		return bridgeMain(argv[2])
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
	if len(argv) >= 4 && argv[1] == "wslsim-wslinfo" {
		return wslinfoMain(argv[2], argv[3], argv[4:])
	}
	if len(argv) == 3 && argv[1] == "wslsim-report" {
		return reportMain(argv[2])
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
	effects effects
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
	if d := os.Getenv(envWindowsDir); d != "" && s.WindowsDir == "" {
		s.WindowsDir = d
	}
	if p := os.Getenv(envWindowsPath); p != "" && s.WindowsPath == "" {
		s.WindowsPath = p
	}
	if s.Forwarder && os.Getenv(envInner) == "" {
		return forward(argv)
	}
	profile := profiles[s.profileName()]
	utf8 := os.Getenv("WSL_UTF8") == "1" && !profile.inbox // exactly [B12], ignored by inbox builds [B9]
	m := &machine{Scenario: s, dir: dir, profile: profile}
	m.out, m.err = own{&output{w: os.Stdout, m: m}, utf8}, own{os.Stderr, utf8}
	raw, ok := os.LookupEnv(EnvRaw)
	if !ok {
		raw = rawLine(argv)
	}
	c, perr := parse(raw)
	if perr == nil {
		perr = m.known(c)
	}
	report(s, c, perr)
	if m.profile.absent { // [B10], E31
		m.out.print(textAbsent)
		if c.verb != "status" {
			return 1
		}
		if s.StubExit != 0 {
			return s.StubExit
		}
		return 50
	}
	if perr != nil {
		return m.fail(perr)
	}
	if c.verb != "help" {
		if code, done := m.updating(c); done {
			return code
		}
	}
	return m.closing(m.run(c))
}

// known refuses what the profile's version does not know yet [B9].
func (m *machine) known(c command) error {
	switch {
	case !m.profile.inbox:
		return nil
	case c.verb == "version":
		return badArgument(c.option)
	case c.byID:
		return badArgument("--distribution-id")
	case c.shellType:
		return badArgument("--shell-type")
	}
	return nil
}

// fail prints an error of wsl.exe: on stdout, stderr stays empty [B11, B17].
func (m *machine) fail(err error) uint32 {
	var r refusal
	var u usageError
	var c *codeError
	switch {
	case errors.As(err, &r):
		return refuse(string(r))
	case errors.As(err, &u) && m.profile.inbox && strings.HasPrefix(string(u), invalidArgument): // V09
		arg, _, _ := strings.Cut(strings.TrimPrefix(string(u), invalidArgument), "\r\n")
		m.out.print("Invalid command line option: " + arg + "\r\n" + textCopyright)
	case errors.As(err, &u):
		m.out.print(string(u))
	case errors.As(err, &c) && m.profile.inbox: // no code line [B9]
		m.out.print(c.text + "\r\n")
	case errors.As(err, &c):
		m.out.print(c.text + "\r\n" + m.words().label + c.code + "\r\n")
	default:
		fmt.Fprintln(os.Stderr, "WSLSIM:", err)
		return exitRefused
	}
	return exitFailure
}

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
	return wslpath(s.mounts(d), s.WslpathReason, args, cwd, os.Stdout, os.Stderr)
}

func copyPieces(dst io.Writer, src io.Reader) (int64, error) {
	buf := make([]byte, pieceSize)
	var n int64
	for {
		k, rerr := src.Read(buf)
		if k > 0 {
			n += int64(k)
			if _, err := dst.Write(buf[:k]); err != nil {
				return n, err
			}
		}
		if rerr != nil {
			return n, rerr
		}
	}
}
