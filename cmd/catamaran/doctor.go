package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
	"catamaran/internal/shell"
	"catamaran/internal/stage"
)

// checkWait bounds each check of the doctor.
const checkWait = 10 * time.Second

type doctorCommand struct {
	JSON bool `name:"json" help:"Print one JSON document."`
}

// Run makes every check; it fails when one of them found a problem.
func (c *doctorCommand) Run(t *terminal) error {
	d := api.Diagnosis{Version: versionInfo()}
	pl, err := findPlaces()
	if err != nil {
		return err
	}
	for _, check := range []func(context.Context) []api.Finding{
		t.checkState, t.checkRunning,
		func(context.Context) []api.Finding { return checkBackend(pl) },
		checkGit,
		func(ctx context.Context) []api.Finding { return checkWSL(ctx, pl) },
	} {
		ctx, cancel := context.WithTimeout(t.ctx, checkWait)
		d.Findings = append(d.Findings, check(ctx)...)
		cancel()
	}
	problem := false
	for _, f := range d.Findings {
		problem = problem || f.Status == api.FindingProblem
	}
	if c.JSON {
		err = t.print(d)
	} else {
		for _, f := range d.Findings {
			fmt.Fprintf(t.out, "%-8s %s\n", f.Status, f.What)
			for _, more := range []string{f.Why, f.Repair} {
				if more != "" {
					fmt.Fprintf(t.out, "         %s\n", more)
				}
			}
		}
	}
	if err == nil && problem {
		err = errQuiet
	}
	return err
}

// checkState writes and removes a file in the state folder.
func (t *terminal) checkState(context.Context) []api.Finding {
	f := api.Finding{ID: "state-folder", Status: api.FindingOK, What: "State is kept in " + t.state + "."}
	err := os.MkdirAll(t.desktop, 0o700)
	if err == nil {
		var tmp *os.File
		if tmp, err = os.CreateTemp(t.desktop, ".doctor-*"); err == nil {
			err = errors.Join(tmp.Close(), os.Remove(tmp.Name()))
		}
	}
	if err != nil {
		f.Status, f.What = api.FindingProblem, fmt.Sprintf("The state folder %s cannot be written: %v.", t.state, err)
		f.Why = "Threads, settings and logs are kept there."
		f.Repair = "Make it writable, or set CATAMARAN_HOME to a folder that is."
	}
	return []api.Finding{f}
}

func (t *terminal) checkRunning(ctx context.Context) []api.Finding {
	var now api.Environments
	err := shell.NewClient(t.desktop).Call(ctx, api.MethodEnvironments, api.Empty{}, &now)
	if errors.Is(err, shell.ErrNotRunning) {
		return []api.Finding{{ID: "desktop", Status: api.FindingOK, What: "Catamaran is not running."}}
	}
	if err != nil {
		return []api.Finding{{
			ID: "desktop", Status: api.FindingProblem, What: fmt.Sprintf("Catamaran runs but does not answer: %v.", err),
			Why: "Terminal commands and a second start go through it.", Repair: "End it and start it again; catamaran logs has more.",
		}}
	}
	all := []api.Finding{{ID: "desktop", Status: api.FindingOK, What: "Catamaran is running, mode " + describe(now.Config) + "."}}
	for _, e := range now.Environments {
		f := api.Finding{ID: "environment:" + e.ID, Status: api.FindingOK, What: fmt.Sprintf("%s is %s.", e.Name, e.State)}
		if e.State == api.EnvFailed || e.State == api.EnvBackoff {
			f.Status, f.Repair = api.FindingProblem, "Run: catamaran env start "+e.ID
			if e.Error != nil {
				f.Why = e.Error.Message
				if e.Error.Hint != "" {
					f.Repair = e.Error.Hint
				}
			}
		}
		all = append(all, f)
	}
	return all
}

func checkBackend(pl places) []api.Finding {
	f := api.Finding{ID: "backend", Status: api.FindingOK, What: "The backend is " + pl.backend + "."}
	if _, err := proc.LookPath(pl.backend, ""); err != nil {
		f.Status, f.What = api.FindingProblem, fmt.Sprintf("The backend %s cannot be run: %v.", pl.backend, err)
		f.Why, f.Repair = "Nothing works on this computer's own system without it.", "Install Catamaran again."
	}
	return []api.Finding{f}
}

// The oldest Git whose commands and options we rely on (A4.1).
const gitMajor, gitMinor = 2, 34

func checkGit(ctx context.Context) []api.Finding {
	f := api.Finding{ID: "git", Status: api.FindingWarning, Why: "Without it projects have no checkpoints and no diffs.",
		Repair: fmt.Sprintf("Install Git %d.%d or newer: https://git-scm.com/downloads", gitMajor, gitMinor)}
	res, err := proc.Run(ctx, proc.Spec{Name: "git", Path: "git", Args: []string{"--version"}}, nil, 4<<10)
	if err != nil || res.ExitCode != 0 {
		f.What = "Git was not found on this computer's own system."
		return []api.Finding{f}
	}
	version := strings.TrimPrefix(strings.TrimSpace(string(res.Stdout)), "git version ")
	f.What = "Git is " + version + "."
	if gitEnough(version) {
		f.Status, f.Why, f.Repair = api.FindingOK, "", ""
	}
	return []api.Finding{f}
}

// gitEnough reads "2.39.5", "2.39.5 (Apple Git-154)", "2.47.0.windows.2".
func gitEnough(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return false
	}
	return major > gitMajor || major == gitMajor && minor >= gitMinor
}

func checkWSL(ctx context.Context, pl places) []api.Finding {
	client := wslClient()
	if client == nil {
		return nil
	}
	found := client.Discover(ctx)
	if e := found.Error; e != nil {
		return []api.Finding{{ID: "wsl", Status: api.FindingWarning, What: e.Message, Why: "Backends can run on this computer's own system only.", Repair: e.Hint}}
	}
	var names []string
	for _, d := range found.Distros {
		if d.Selectable {
			names = append(names, d.Name)
		}
	}
	all := []api.Finding{{ID: "wsl", Status: api.FindingOK, What: fmt.Sprintf("WSL %s, distros: %s.", found.Version, strings.Join(names, ", "))}}
	if _, err := stage.Load(pl.carried); err != nil {
		all = append(all, api.Finding{
			ID: "carried", Status: api.FindingProblem, What: fmt.Sprintf("The Linux backends are missing: %v.", err),
			Why: "No backend can be put into a distro.", Repair: "Install Catamaran again.",
		})
	}
	return all
}
