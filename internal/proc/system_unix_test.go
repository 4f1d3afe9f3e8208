//go:build unix

package proc

import (
	"os"
	"syscall"
)

const (
	exeSuffix             = ""
	noExec    os.FileMode = 0o644
)

var terminateSignal os.Signal = syscall.SIGTERM

const flood = 10_000_000

// withTerm is what a child notes when it meets stdin's end and then SIGTERM.
func withTerm(eof, term string) string { return eof + " " + term }

// killedSignal is how a child that was killed says so.
const killedSignal = "killed"

// notExecutable is the error for a file without the right to be run.
var notExecutable = os.ErrPermission
