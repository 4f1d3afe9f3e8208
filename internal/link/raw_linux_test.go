package link_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func raw(t *testing.T, tty *os.File) { makeRaw(t, tty, unix.TCGETS, unix.TCSETS) }
