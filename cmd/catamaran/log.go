package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// logs is the desktop's own log.
type logs struct {
	log  *slog.Logger
	file io.Closer
}

func discardLogs() *logs { return &logs{log: slog.New(slog.DiscardHandler)} }

// Close ends the log.
func (l *logs) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// openLogs appends to dir/desktop.log, at the level CATAMARAN_LOG asks for.
func openLogs(dir string) (*logs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make log folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "desktop.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	h := slog.NewJSONHandler(f, &slog.HandlerOptions{Level: logLevel(os.Getenv("CATAMARAN_LOG"))})
	return &logs{log: slog.New(h), file: f}, nil
}

func logLevel(s string) slog.Level {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}
