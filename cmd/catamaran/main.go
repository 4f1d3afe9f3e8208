// Command catamaran is the desktop: it supervises the backends, serves the page
// through the gateway, and shows the window. With a subcommand it is the
// terminal's hand on the desktop that runs. It wires packages together and
// decides nothing itself; spec: exit codes 0 ok, 1 failed, 2 usage, 3 not running.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/alecthomas/kong"

	"catamaran/internal/api"
	"catamaran/internal/build"
	"catamaran/internal/home"
	"catamaran/internal/proc"
	"catamaran/internal/shell"
)

// Exit codes that scripts rely on.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitNotRunning = 3
)

type commands struct {
	Run       runCommand       `cmd:"" default:"withargs" hidden:"" help:"Run the desktop."`
	Env       envCommand       `cmd:"" help:"List, start, stop and choose the environments of the running desktop."`
	Open      openCommand      `cmd:"" help:"Add a folder as a project and show it."`
	Doctor    doctorCommand    `cmd:"" help:"Check what Catamaran needs, and say how to repair it."`
	Logs      logsCommand      `cmd:"" help:"Print where the logs are, or their last lines."`
	Integrate integrateCommand `cmd:"" help:"Say, and change, how this user's system knows the app: links, menu, start at login."`
	Link      linkCommand      `cmd:"" help:"Open what a catamaran: link asks for; the system calls it."`
	Quit      quitCommand      `cmd:"" help:"End the running desktop and its backends."`
	Install   installCommand   `cmd:"" name:"install-update" hidden:"" help:"Put a prepared update in place; the desktop starts it."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

// terminal is what every command gets.
type terminal struct {
	ctx      context.Context
	stop     context.CancelFunc // gives signals back to the system
	console  bool               // started by catamaran.com
	stdin    io.Reader
	out, err io.Writer
	// state is the state folder, desktop the desktop's half of it.
	state, desktop string
}

func main() {
	proc.GuardMain()
	console := os.Getenv(consoleVariable) != ""
	_ = os.Unsetenv(consoleVariable) // children are not on its account
	if len(os.Args) > 1 || console { // a command; the app itself does not end with a terminal
		shell.AttachConsole()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(run(ctx, stop, console, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// consoleVariable tells that catamaran.com runs this, for a terminal of Windows.
const consoleVariable = "CATAMARAN_CONSOLE"

func run(ctx context.Context, stop context.CancelFunc, console bool, args []string, stdin io.Reader, out, errOut io.Writer) int {
	var c commands
	helped := -1
	parser, err := kong.New(&c,
		kong.Name("catamaran"),
		kong.Description("Coding agents on this computer and in WSL.\n\nWithout a command it runs the desktop. State is kept under CATAMARAN_HOME."),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { helped = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(errOut, "catamaran:", err)
		return exitFailed
	}
	if len(args) == 1 && args[0] == "--version" {
		args = []string{"version"}
	}
	k, err := parser.Parse(args)
	if helped >= 0 {
		return helped
	}
	if err != nil {
		fmt.Fprintf(errOut, "catamaran: %v\nRun \"catamaran --help\" for what there is.\n", err)
		return exitUsage
	}
	userHome, _ := os.UserHomeDir() // Dir says what to do without one
	state, err := home.Dir(runtime.GOOS, os.Getenv, userHome)
	if err != nil {
		fmt.Fprintln(errOut, "catamaran:", err)
		return exitFailed
	}
	t := &terminal{ctx: ctx, stop: stop, console: console, stdin: stdin, out: out, err: errOut, state: state, desktop: home.Desktop(state)}
	return t.report(k.Run(t))
}

// usageError is a wrong command line that kong cannot know to be wrong.
type usageError struct{ error }

// errQuiet ends with code 1; everything has been printed.
var errQuiet = errors.New("failed")

// report prints an error with what to do next and returns the exit code.
func (t *terminal) report(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errQuiet):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(t.err, "catamaran: %v\n", err)
		return exitUsage
	case errors.Is(err, shell.ErrNotRunning):
		fmt.Fprintln(t.err, "Catamaran is not running. Start it with: catamaran")
		return exitNotRunning
	}
	e := api.AsError(err)
	if e == nil {
		fmt.Fprintf(t.err, "catamaran: %v\n", err)
		return exitFailed
	}
	fmt.Fprintln(t.err, e.Message)
	if e.Hint != "" {
		fmt.Fprintln(t.err, e.Hint)
	}
	if e.Details != "" {
		fmt.Fprintln(t.err, e.Details)
	}
	return exitFailed
}

// call asks the running desktop. With asJSON an error is a JSON document too.
func (t *terminal) call(asJSON bool, method string, req, res any) error {
	err := shell.NewClient(t.desktop).Call(t.ctx, method, req, res)
	if e := api.AsError(err); e != nil && asJSON {
		if err := t.print(e); err != nil {
			return err
		}
		return errQuiet
	}
	return err
}

// print writes one JSON document.
func (t *terminal) print(v any) error {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

type versionCommand struct {
	JSON bool `name:"json" help:"Print one JSON document."`
}

func versionInfo() api.VersionInfo {
	return api.VersionInfo{Version: build.Version, Commit: build.Commit, Protocol: api.ProtocolVersion, OS: runtime.GOOS, Arch: runtime.GOARCH}
}

// Run prints the version.
func (c *versionCommand) Run(t *terminal) error {
	v := versionInfo()
	if c.JSON {
		return t.print(v)
	}
	_, err := fmt.Fprintf(t.out, "catamaran %s (%s), %s/%s, protocol %d\n", v.Version, v.Commit, v.OS, v.Arch, v.Protocol)
	return err
}
