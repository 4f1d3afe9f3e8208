package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/doctor/host"
	"catamaran/internal/forward"
	"catamaran/internal/home"
	"catamaran/internal/logfile"
	"catamaran/internal/openin"
	"catamaran/internal/shell"
	"catamaran/internal/stage"
)

// desk is what the desktop can do beside its environments: check itself, make
// the diagnostics archive, open folders.
type desk struct {
	t       *terminal
	pl      places
	forward *forward.List
	logs    *logs
}

func (d *desk) Version() api.VersionInfo { return versionInfo() }

// Check makes the desktop's own findings.
func (d *desk) Check(ctx context.Context) []api.Finding {
	o := host.Options{OS: runtime.GOOS, State: d.t.desktop, Backend: d.pl.backend, ForwardWarning: d.forward.Warning()}
	if client := wslClient(); client != nil {
		o.WSL = client
		_, o.CarriedError = stage.Load(d.pl.carried)
	}
	return host.Check(ctx, o)
}

func (d *desk) ArchiveName() string { return host.Name(time.Now()) }

// Archive makes the diagnostics archive. The forwarded values are learnt anew: one may have come since the start.
func (d *desk) Archive(diagnosis api.Diagnosis, now api.Environments, logs map[string]string) (string, []byte, error) {
	d.forwarded()
	at := time.Now()
	b := host.Bundle{
		Diagnosis: diagnosis, Environments: &now, Desktop: d.t.desktop, BackendLogs: logs, Redact: logfile.Redact, Now: at,
		LogDirs: []string{d.t.logDir(), filepath.Join(home.Backend(d.t.state), "logs")},
	}
	zip, err := host.Archive(b)
	return host.Name(at), zip, err
}

// forwarded gives the variables for an envelope and makes their values secrets of this process's logs.
func (d *desk) forwarded() (map[string]string, []string) {
	env, wins := d.forward.Values()
	for _, v := range env {
		logfile.Secret(v)
	}
	return env, wins
}

func (d *desk) Openers() []api.Opener { return openin.Openers(runtime.GOOS) }

// Open opens a folder. On this system it must be one: a file would be run or opened by whatever it says.
func (d *desk) Open(ctx context.Context, distro, path, target string) error {
	ways, err := openin.Build(runtime.GOOS, openin.Place{Distro: distro, Path: path}, openin.Target(target))
	if err != nil {
		return err
	}
	if distro == "" {
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() {
			return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("%s is not a folder of this computer.", path), Hint: "It may have been moved or deleted."}
		}
	}
	return shell.Open(ctx, ways, d.logs.log)
}

// newDesk reads the list of forwarded variables; a damaged one is told of and not used.
func (t *terminal) newDesk(pl places, logs *logs) *desk {
	d := &desk{t: t, pl: pl, forward: forward.Open(t.desktop, os.LookupEnv), logs: logs}
	if err := d.forward.Warning(); err != nil {
		logs.log.Warn("forwarded variables", "error", err)
	}
	return d
}

// diagnose asks the running desktop; without one it checks what it can itself.
func (t *terminal) diagnose(ctx context.Context, d *desk) (api.Diagnosis, error) {
	var got api.Diagnosis
	err := shell.NewClient(t.desktop).Call(ctx, api.MethodDiagnose, api.Empty{}, &got)
	if err == nil {
		var now api.Environments
		if err = shell.NewClient(t.desktop).Call(ctx, api.MethodEnvironments, api.Empty{}, &now); err == nil {
			running := api.Finding{ID: "desktop", Severity: api.SeverityOK, Title: "Catamaran is running, mode " + describe(now.Config) + "."}
			got.Findings = append([]api.Finding{running}, got.Findings...)
			return got, nil
		}
	}
	got = api.Diagnosis{Version: versionInfo(), Checked: time.Now().UnixMilli()}
	f := api.Finding{ID: "desktop", Severity: api.SeverityInfo, Title: "Catamaran is not running, so no environment was checked.", Why: "Agents, Git and the login environment are checked by the backend of each environment.", Repair: "catamaran", Command: true}
	if !errors.Is(err, shell.ErrNotRunning) {
		f = api.Finding{
			ID: "desktop", Severity: api.SeverityError, Title: fmt.Sprintf("Catamaran runs but does not answer: %v.", err),
			Why: "Terminal commands and a second start go through it.", Repair: "End it and start it again; catamaran logs has more.",
		}
	}
	got.Findings = append([]api.Finding{f}, d.Check(ctx)...)
	return got, nil
}
