package link

import (
	"io"
	"os"
)

// Stdio takes a backend's standard input and output for the link, once, at the
// start of main. Afterwards os.Stdin reads nothing and os.Stdout is os.Stderr, so
// that a stray print of this program cannot touch the link; its children get
// streams of their own (package proc).
func Stdio() (io.ReadCloser, io.WriteCloser) {
	in, out := os.Stdin, os.Stdout
	null, err := os.Open(os.DevNull)
	if err != nil {
		null = nil // reads of a nil file fail, which is as good
	}
	os.Stdin, os.Stdout = null, os.Stderr
	return in, out
}
