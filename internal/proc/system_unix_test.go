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
