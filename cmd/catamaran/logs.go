package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/home"
)

// tailBytes bounds what is read of each file for --tail.
const tailBytes = 1 << 20

type logsCommand struct {
	JSON bool `name:"json" help:"Print one JSON document."`
	Tail int  `placeholder:"N" help:"Print the last N lines of each file."`
}

// Run lists the log files of the desktop and of this system's own backend; a
// distro's backend logs in the distro, and what it said last is in the desktop's folder.
func (c *logsCommand) Run(t *terminal) error {
	if c.Tail < 0 {
		return usageError{errors.New("--tail takes a number of lines")}
	}
	list := api.LogFiles{Files: []api.LogFile{}}
	for _, dir := range []string{t.logDir(), filepath.Join(home.Backend(t.state), "logs")} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || !strings.Contains(d.Name(), ".log") {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			list.Files = append(list.Files, api.LogFile{Path: path, Bytes: info.Size(), Modified: info.ModTime().UnixMilli()})
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("list logs: %w", err)
		}
	}
	if c.JSON {
		return t.print(list)
	}
	for _, f := range list.Files {
		if c.Tail == 0 {
			fmt.Fprintln(t.out, f.Path)
			continue
		}
		fmt.Fprintf(t.out, "==> %s <==\n", f.Path)
		if err := tail(t.out, f.Path, c.Tail); err != nil {
			return err
		}
	}
	return nil
}

// tail prints the last n lines of a file, as far as they lie in its last MiB.
func tail(w io.Writer, path string, n int) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-tailBytes), tailBytes))
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	if b = bytes.TrimSuffix(b, []byte("\n")); len(b) == 0 {
		return nil
	}
	for i, lines := len(b)-1, 0; i >= 0; i-- {
		if b[i] == '\n' {
			if lines++; lines == n {
				b = b[i+1:]
				break
			}
		}
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}
