package proc

import (
	"os"
	"syscall"
)

const (
	exeSuffix             = ".exe"
	noExec    os.FileMode = 0o755
)

var terminateSignal os.Signal = syscall.SIGTERM
