package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/doctor"
	"catamaran/internal/doctor/host"
	"catamaran/internal/shell"
)

// checkWait bounds all checks together, the backends' included.
const checkWait = 75 * time.Second

type doctorCommand struct {
	JSON   bool   `name:"json" help:"Print one JSON document."`
	Export string `placeholder:"FILE" help:"Write a zip for a report about a problem: findings, states, versions, settings and logs, without secrets."`
}

// Run makes every check; it fails when one of them found an error.
func (c *doctorCommand) Run(t *terminal) error {
	pl, err := findPlaces()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.ctx, checkWait)
	defer cancel()
	desk := t.newDesk(pl, discardLogs())
	if c.Export != "" {
		return c.export(ctx, t, desk)
	}
	d, err := t.diagnose(ctx, desk)
	if err != nil {
		return err
	}
	if !checked(d, "git") {
		d.Findings = append(d.Findings, doctor.CheckGit(ctx, nil, runtime.GOOS))
	}
	if c.JSON {
		err = t.print(d)
	} else {
		err = c.show(t, d)
	}
	if err == nil && host.Failed(d.Findings) {
		err = errQuiet
	}
	return err
}

// checked tells whether this computer's own system was looked at for id.
func checked(d api.Diagnosis, id string) bool {
	for _, f := range d.Findings {
		if f.ID == id && (f.Environment == "" || f.Environment == "local") {
			return true
		}
	}
	return false
}

func (c *doctorCommand) show(t *terminal, d api.Diagnosis) error {
	var b strings.Builder
	environment := ""
	for _, f := range d.Findings {
		if f.Environment != environment {
			environment = f.Environment
			name := environment
			if name == "" {
				name = "this computer"
			}
			fmt.Fprintf(&b, "\n%s\n", name)
		}
		fmt.Fprintf(&b, "%-8s %s\n", f.Severity, f.Title)
		if f.Severity == api.SeverityOK {
			continue
		}
		if f.Why != "" {
			fmt.Fprintf(&b, "         %s\n", f.Why)
		}
		if f.Repair != "" && f.Command {
			fmt.Fprintf(&b, "         Run: %s\n", f.Repair)
		} else if f.Repair != "" {
			fmt.Fprintf(&b, "         %s\n", f.Repair)
		}
	}
	_, err := fmt.Fprint(t.out, strings.TrimPrefix(b.String(), "\n"))
	return err
}

// export writes the archive that the running desktop makes, since it knows the
// secrets in play; without one it is made here.
func (c *doctorCommand) export(ctx context.Context, t *terminal, desk *desk) error {
	zip, err := shell.NewClient(t.desktop).Diagnostics(ctx)
	if errors.Is(err, shell.ErrNotRunning) {
		var d api.Diagnosis
		if d, err = t.diagnose(ctx, desk); err == nil {
			_, zip, err = desk.Archive(d, api.Environments{}, nil)
		}
	}
	if err != nil {
		return err
	}
	path, err := filepath.Abs(c.Export)
	if err == nil {
		err = os.WriteFile(path, zip, 0o600)
	}
	if err != nil {
		return fmt.Errorf("export diagnostics: %w", err)
	}
	if c.JSON {
		return t.print(map[string]any{"file": path, "bytes": len(zip)})
	}
	_, err = fmt.Fprintf(t.out, "%s (%d KB). Look through it before you send it.\n", path, len(zip)>>10)
	return err
}
