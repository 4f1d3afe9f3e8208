package wsl

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode/utf16"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
	"catamaran/internal/proc"
)

// plainName is what wsl.exe takes after -d, where quotes would become part of the name.
var plainName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// maxCommandLine is the limit of Windows in UTF-16 units.
const maxCommandLine = 32767

// keepExits bounds how many ended launches ExitError still knows the full code of.
const keepExits = 32

// reapTimeout bounds how long ExitError waits for a process that is about to end.
const reapTimeout = 2 * time.Second

type launch struct {
	distro string
	file   *exitFile
	status exitStatus
	done   chan struct{} // closed once status is set
}

// launchArgs is the command line that starts argv in the distro: in the home
// directory, with an argument vector, without a shell.
func launchArgs(d api.Distro, argv []string) ([]string, error) {
	var args []string
	switch {
	case plainName.MatchString(d.Name):
		args = []string{"-d", d.Name}
	case guidKey.MatchString(d.ID):
		args = []string{"--distribution-id", d.ID}
	default:
		why := "wsl.exe can only start it by its id, which is not known"
		if err := hostpath.CheckDistro(d.Name); err != nil {
			why = err.Error()
		}
		return nil, &api.Error{Code: api.CodeDistroInvalid, Message: fmt.Sprintf("The distro %q cannot be started: %s.", d.Name, why), Hint: "Choose another distro in Settings > Environments."}
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, &api.Error{Code: api.CodeInvalid, Message: "There is no program to start in the distro."}
	}
	args = append(append(args, "--cd", "~", "--exec"), argv...)
	units := 0
	for _, a := range args {
		if strings.ContainsRune(a, 0) {
			return nil, &api.Error{Code: api.CodeInvalid, Message: "An argument for the distro holds a zero byte."}
		}
		// Quotes and escapes can double a word.
		units += 2*len(utf16.Encode([]rune(a))) + 3
	}
	if units > maxCommandLine {
		return nil, &api.Error{Code: api.CodeTooLarge, Message: "The command for the distro is longer than Windows allows.", Hint: "Send long texts through standard input."}
	}
	return args, nil
}

// Launch starts argv in the distro (wsl.exe ... --cd ~ --exec argv) with pipes; stderr, which may be
// nil, gets a copy of stderr as it comes and must not block (proc.Spec.Stderr). The
// caller owns the process and must read its stdout. It has no deadline: a cold start
// takes as long as it takes, and the caller decides how long it waits. Errors are
// *api.Error CodeDistroInvalid, CodeInvalid, CodeTooLarge, CodeWSLMissing or CodeWSLBroken.
func (c *Client) Launch(d api.Distro, argv []string, stderr io.Writer) (*proc.Process, error) {
	args, err := launchArgs(d, argv)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.exe); os.IsNotExist(err) {
		return nil, missingError()
	}
	l := &launch{distro: d.Name, file: newExitFile(), done: make(chan struct{})}
	p, err := proc.Start(proc.Spec{Name: "wsl.exe", Path: c.exe, Args: args, Dir: neutralDir(), Env: append(environ(os.Environ()), l.file.env()...), Stderr: stderr})
	if err != nil {
		l.file.close()
		return nil, &api.Error{Code: api.CodeWSLBroken, Message: "wsl.exe could not be started.", Hint: "Check that wsl.exe runs in a terminal.", Details: err.Error(), Retryable: true}
	}
	c.mu.Lock()
	c.launched[p] = l
	c.mu.Unlock()
	go c.collect(p, l)
	return p, nil
}

// collect lives as long as the process, which has an owner.
func (c *Client) collect(p *proc.Process, l *launch) {
	<-p.Done()
	l.status = l.file.code(p.ExitCode())
	l.file.close()
	close(l.done)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended = append(c.ended, p); len(c.ended) > keepExits {
		delete(c.launched, c.ended[0])
		c.ended = c.ended[1:]
	}
}

// ExitError explains a wsl.exe process that ended before its hello: output is what it wrote to stdout.
// The result is *api.Error: wsl.exe's own failure classified by its error code, else CodeBackendExited.
func (c *Client) ExitError(p *proc.Process, output []byte) *api.Error {
	c.mu.Lock()
	l := c.launched[p]
	c.mu.Unlock()
	name := "the distro"
	if l != nil {
		name = l.distro
		select {
		case <-l.done:
		case <-time.After(reapTimeout):
			return &api.Error{Code: api.CodeBackendExited, Message: "The channel to " + name + " closed, but wsl.exe has not ended.", Retryable: true, Details: details([]byte(p.StderrTail()))}
		}
	} else {
		l = &launch{status: exitStatus{uint32(p.ExitCode()), false}}
	}
	if p.ExitCode() < 0 {
		return exited(p, "wsl.exe was killed while it ran the backend in "+name+".", output)
	}
	exit := l.status.full(output)
	// Up to 255 it is the Linux program's code, whatever it printed; a stub without WSL is Resolve's to find.
	if ownFailure(exit) {
		class, code := classify(output, exit)
		e := failure(class, code, output)
		if class == classDistroNotFound {
			e.Message = fmt.Sprintf("The distro %q is not installed in WSL (%s).", name, code)
		}
		return e
	}
	if exit == 1 { // ambiguous: terminate, shutdown, crash, an update of WSL, a missing program, or a plain 1
		e := exited(p, "The backend in "+name+" ended without saying why (exit code 1).", output)
		e.Hint = "The distro may have been stopped, or WSL updated itself. Try again; if it stays, open the log."
		return e
	}
	return exited(p, fmt.Sprintf("The backend in %s ended with exit code %d.", name, exit), output)
}

func exited(p *proc.Process, message string, output []byte) *api.Error {
	text := details([]byte(p.StderrTail()))
	if out := details(output); out != "" {
		text = strings.TrimSpace(text + "\n" + out)
	}
	return &api.Error{Code: api.CodeBackendExited, Message: message, Hint: "Try again; if it stays, open the log.", Retryable: true, Details: text}
}
