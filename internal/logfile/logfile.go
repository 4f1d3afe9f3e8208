// Package logfile writes a program's log: slog records as JSON lines into one
// file of bounded size with a few older ones beside it, readable by the user
// alone, and with every secret taken out.
//
// It never decides what is logged, and never writes to the standard streams. The
// mains and the desktop's supervisor use it. Invariant: a value that was
// registered with Secret reaches no file after that, wherever in a record it is.
package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	defaultMaxBytes = 8 << 20
	defaultKeep     = 3
)

// Options tune a log; zero values mean the defaults.
type Options struct {
	// MaxBytes bounds each file (default 8 MiB). A record longer than that gets a
	// file of its own.
	MaxBytes int64
	// Keep is how many older files stay, named <path>.1 (the newest) and so on
	// (default 3).
	Keep int
	// Level is what is written at least; the zero value is info.
	Level slog.Leveler
}

// Level reads the text of CATAMARAN_LOG and of the envelope's log level: debug,
// info, warn, error, in any case; "" is info. Anything else is info and an error.
func Level(text string) (slog.Level, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return slog.LevelInfo, fmt.Errorf("log level %q is none of debug, info, warn, error", text)
}

// File is an open log. It is an io.Writer of whole lines, so that a child's
// stderr can be kept in one too; these lines are redacted like records.
type File struct {
	path    string
	options Options

	mu   sync.Mutex
	file *os.File // nil after Close, and while a rotation could not open the next
	size int64
	shut bool
}

// Open opens or creates the log at path, and its folder (0700). An existing file
// is continued and made private.
func Open(path string, o Options) (*File, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	f := &File{path: path, options: o}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err := f.openLocked(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}

func (f *File) openLocked() error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.Mode().Perm() != 0o600 {
		err = file.Chmod(0o600)
	}
	if err != nil {
		file.Close()
		return err
	}
	f.file, f.size = file, info.Size()
	return nil
}

// Handler writes records to the file. Attributes whose key names a secret are redacted.
func (f *File) Handler() slog.Handler {
	return slog.NewJSONHandler(f, &slog.HandlerOptions{Level: f.options.Level, ReplaceAttr: redactAttr})
}

// Write writes one or more whole lines, redacted.
func (f *File) Write(line []byte) (int, error) {
	clean := redactBytes(line)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut {
		return 0, os.ErrClosed
	}
	if f.size > 0 && f.size+int64(len(clean)) > f.options.MaxBytes {
		if err := f.rotateLocked(); err != nil {
			return 0, fmt.Errorf("rotate log: %w", err)
		}
	}
	if f.file == nil {
		if err := f.openLocked(); err != nil {
			return 0, fmt.Errorf("open log: %w", err)
		}
	}
	n, err := f.file.Write(clean)
	f.size += int64(n)
	if err != nil {
		return 0, fmt.Errorf("write log: %w", err)
	}
	return len(line), nil
}

// rotateLocked moves every file one number up. Where a move fails (a virus
// scanner has the file open) the log goes on in the old file.
func (f *File) rotateLocked() error {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
	for i := f.options.Keep; i > 0; i-- {
		from := f.path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", f.path, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", f.path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return f.openLocked()
}

// Close closes the file; later writes fail.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut = true
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
