package environment

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"catamaran/internal/proc"
)

// maxLog bounds a backend's log file; one older file of the same size is kept.
const maxLog = 1 << 20

// backendLog takes what a backend says on stderr and before its hello. A write
// never fails and never blocks on anything but the disk: a log that cannot be
// written must not stop a backend.
type backendLog struct {
	mu   sync.Mutex
	path string
	f    *os.File
	size int64
}

// logPath names the log of an environment; ids hold a colon and distro names may hold anything.
func logPath(dir, id string) string {
	if dir == "" {
		return ""
	}
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, id)
	return filepath.Join(dir, "backend-"+safe+".log")
}

func (l *backendLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		return len(b), nil
	}
	if l.f == nil {
		if os.MkdirAll(filepath.Dir(l.path), 0o700) != nil {
			return len(b), nil
		}
		f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return len(b), nil
		}
		l.f = f
		if fi, err := f.Stat(); err == nil {
			l.size = fi.Size()
		}
	}
	if l.size+int64(len(b)) > maxLog {
		l.closeLocked()
		if os.Rename(l.path, l.path+".1") != nil {
			os.Truncate(l.path, 0)
		}
		f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return len(b), nil
		}
		l.f = f
	}
	n, _ := l.f.Write(b)
	l.size += int64(n)
	return len(b), nil
}

func (l *backendLog) closeLocked() {
	if l.f != nil {
		l.f.Close()
		l.f, l.size = nil, 0
	}
}

// Close releases the file; a later Write opens it again.
func (l *backendLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked()
	return nil
}

// lineLog passes a child's stderr on as whole lines of clean text (W4.3). It is
// written by one goroutine; flush follows when that has ended or has been given up.
type lineLog struct {
	to  io.Writer
	mu  sync.Mutex
	buf []byte
}

// maxLine is how much of an unfinished line is kept back.
const maxLine = 8 << 10

func (l *lineLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, b...)
	cut := bytes.LastIndexByte(l.buf, '\n') + 1
	if cut < len(l.buf) && l.buf[cut] == 0 {
		cut++ // the other half of a newline in UTF-16
	}
	if cut == 0 && len(l.buf) > maxLine {
		cut = len(l.buf)
	}
	l.passLocked(cut)
	return len(b), nil
}

func (l *lineLog) passLocked(n int) {
	if n > 0 {
		_, _ = io.WriteString(l.to, proc.Text(l.buf[:n])) // a backendLog never fails
		l.buf = append(l.buf[:0], l.buf[n:]...)
	}
}

func (l *lineLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passLocked(len(l.buf))
}

// head keeps the first bytes of what it is given.
type head struct {
	b   []byte
	max int
}

func (h *head) add(b []byte) {
	if room := h.max - len(h.b); room > 0 {
		h.b = append(h.b, b[:min(room, len(b))]...)
	}
}
