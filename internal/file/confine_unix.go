//go:build unix

package file

import "syscall"

// openFlags: a pipe that took a file's place does not make the opener wait, a terminal does not become ours.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY
