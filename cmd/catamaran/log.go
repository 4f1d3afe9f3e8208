package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"catamaran/internal/logfile"
)

// logs is the desktop's own log.
type logs struct {
	log  *slog.Logger
	file io.Closer // nil without a file
}

func discardLogs() *logs { return &logs{log: slog.New(slog.DiscardHandler)} }

// Close ends the log.
func (l *logs) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// openLogs opens dir/desktop.log, at the level CATAMARAN_LOG asks for.
func openLogs(dir string) (*logs, error) {
	level, levelErr := logfile.Level(os.Getenv("CATAMARAN_LOG"))
	f, err := logfile.Open(filepath.Join(dir, "desktop.log"), logfile.Options{Level: level})
	if err != nil {
		return nil, err
	}
	l := &logs{log: slog.New(f.Handler()), file: f}
	if levelErr != nil {
		l.log.Warn("CATAMARAN_LOG is not understood", "error", levelErr)
	}
	return l, nil
}
