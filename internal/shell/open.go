package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/openin"
	"catamaran/internal/proc"
)

// openWait is how long a program may take to fail before it counts as started:
// launchers such as xdg-open end at once, editors stay.
const openWait = 3 * time.Second

// Open opens a folder by the first of the ways that this system has. What it
// starts is the person's own and outlives the desktop. The error is *api.Error.
func Open(ctx context.Context, ways []openin.Command, log *slog.Logger) error {
	var all []error
	for _, way := range ways {
		err := openBy(ctx, way)
		if err == nil {
			return nil
		}
		log.Info("a folder could not be opened this way", "error", err)
		all = append(all, err)
	}
	return &api.Error{
		Code: api.CodeUnavailable, Message: "The folder could not be opened.",
		Hint: "Check that the program is installed on this computer.", Details: errors.Join(all...).Error(),
	}
}

// OpenURL opens an address in the system's own program for it. The caller has looked at its scheme.
func OpenURL(ctx context.Context, url string, log *slog.Logger) error {
	way := openin.Command{Address: url}
	switch {
	case systemStarts:
	case runtime.GOOS == "darwin":
		way = openin.Command{Program: "/usr/bin/open", Args: []string{url}}
	default:
		way = openin.Command{Program: "xdg-open", Args: []string{url}}
	}
	if err := openBy(ctx, way); err != nil {
		log.Info("an address could not be opened", "error", err)
		return &api.Error{Code: api.CodeUnavailable, Message: "The address could not be opened.", Hint: "Copy it into a browser.", Details: err.Error()}
	}
	return nil
}

func openBy(ctx context.Context, way openin.Command) error {
	switch {
	case way.Address != "":
		return openDefault(way.Address)
	case way.Explore != "":
		return openSystem("explore", way.Explore, nil, "")
	}
	if systemStarts {
		return openSystem("open", way.Program, way.Args, way.Dir)
	}
	p, err := proc.Start(proc.Spec{Name: way.Program, Path: way.Program, Args: way.Args, Dir: way.Dir, Env: os.Environ()})
	if err != nil {
		return err
	}
	p.Stdin().Close()
	go io.Copy(io.Discard, p.Stdout()) // ends with the program, which is the person's own
	late := time.NewTimer(openWait)
	defer late.Stop()
	select {
	case <-p.Done():
		if p.ExitCode() != 0 {
			return fmt.Errorf("%s ended with exit code %d: %s", way.Program, p.ExitCode(), p.StderrTail())
		}
	case <-late.C:
	case <-ctx.Done():
	}
	return nil
}
