package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
	"catamaran/internal/shell"
)

type envCommand struct {
	List  envListCommand  `cmd:"" help:"List the environments and their state."`
	Start envStartCommand `cmd:"" help:"Start an environment."`
	Stop  envStopCommand  `cmd:"" help:"Stop an environment."`
	Use   envUseCommand   `cmd:"" help:"Choose which environments run."`
}

type envListCommand struct {
	JSON bool `name:"json" help:"Print one JSON document."`
}

// Run asks the running desktop; without one it reads the configuration and
// looks for distros itself.
func (c *envListCommand) Run(t *terminal) error {
	var now api.Environments
	err := t.call(c.JSON, api.MethodEnvironments, api.Empty{}, &now)
	if errors.Is(err, shell.ErrNotRunning) {
		if now, err = t.offline(); err == nil {
			fmt.Fprintln(t.err, "Catamaran is not running; this is what its next start would use.")
		} else if errors.Is(err, shell.ErrRunning) {
			err = t.call(c.JSON, api.MethodEnvironments, api.Empty{}, &now)
		}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return t.print(now)
	}
	w := tabwriter.NewWriter(t.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATE\tSINCE\t")
	for _, e := range now.Environments {
		name := e.Name
		if e.ID == now.Primary {
			name += " (primary)"
		}
		since := ""
		if e.Since > 0 {
			since = time.UnixMilli(e.Since).Format(time.DateTime)
		}
		state := string(e.State)
		switch {
		case e.Error != nil:
			state += ": " + e.Error.Message
		case e.Stage != "":
			state += ": " + e.Stage
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", e.ID, name, state, since)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "Mode:", describe(now.Config))
	if !now.WSL.Available {
		return nil
	}
	if e := now.WSL.Error; e != nil {
		fmt.Fprintln(t.out, "WSL:", e.Message)
	}
	var names []string
	for _, d := range now.WSL.Distros {
		if !d.Selectable {
			continue
		}
		if d.Default {
			d.Name += " (default)"
		}
		names = append(names, d.Name)
	}
	if len(names) > 0 {
		fmt.Fprintln(t.out, "Distros:", strings.Join(names, ", "))
	}
	return nil
}

func describe(c api.ModeConfig) string {
	if c.Distro == "" {
		return string(c.Mode)
	}
	return string(c.Mode) + ", " + c.Distro
}

type envStartCommand struct {
	ID   string `arg:"" help:"Id of the environment, as env list prints it."`
	JSON bool   `name:"json" help:"Print one JSON document."`
}

// Run starts an environment of the running desktop.
func (c *envStartCommand) Run(t *terminal) error {
	return t.actOn(c.JSON, api.MethodEnvironmentStart, c.ID)
}

type envStopCommand struct {
	ID   string `arg:"" help:"Id of the environment, as env list prints it."`
	JSON bool   `name:"json" help:"Print one JSON document."`
}

// Run stops an environment of the running desktop.
func (c *envStopCommand) Run(t *terminal) error {
	return t.actOn(c.JSON, api.MethodEnvironmentStop, c.ID)
}

func (t *terminal) actOn(asJSON bool, method, id string) error {
	var e api.Environment
	if err := t.call(asJSON, method, api.EnvironmentRef{ID: id}, &e); err != nil {
		return err
	}
	if asJSON {
		return t.print(e)
	}
	_, err := fmt.Fprintf(t.out, "%s: %s\n", e.ID, e.State)
	return err
}

type envUseCommand struct {
	Mode   string  `arg:"" enum:"local,both,wsl-only" help:"local, both or wsl-only."`
	Distro *string `help:"WSL distro; without it the one chosen last, with an empty name WSL's default one."`
	JSON   bool    `name:"json" help:"Print one JSON document."`
}

// Run changes the mode of the running desktop and waits for the end of the change.
func (c *envUseCommand) Run(t *terminal) error {
	if c.Mode == string(api.ModeLocal) && c.Distro != nil {
		return usageError{errors.New("--distro has no meaning with local")}
	}
	to := api.ModeConfig{Mode: api.Mode(c.Mode)}
	if c.Distro != nil {
		to.Distro = *c.Distro
	} else {
		var now api.Environments
		if err := t.call(c.JSON, api.MethodEnvironments, api.Empty{}, &now); err != nil {
			return err
		}
		to.Distro = now.Config.Distro
	}
	var change api.ModeChange
	if err := t.call(c.JSON, api.MethodModeChange, to, &change); err != nil {
		return err
	}
	if c.JSON {
		if err := t.print(change); err != nil {
			return err
		}
	}
	if change.Error != nil || change.Phase == api.PhaseChangeFailed {
		if c.JSON {
			return errQuiet
		}
		if change.Error != nil {
			return change.Error
		}
		return errors.New("the mode was not changed")
	}
	if c.JSON {
		return nil
	}
	_, err := fmt.Fprintln(t.out, "Mode:", describe(change.To))
	return err
}

type openCommand struct {
	Path string `arg:"" help:"Folder of this computer, or a \\\\wsl.localhost\\ path."`
	JSON bool   `name:"json" help:"Print one JSON document."`
}

// Run adds the folder in the environment that owns it.
func (c *openCommand) Run(t *terminal) error {
	path := c.Path
	w, err := hostpath.ParseWin(path)
	isWSL := err == nil && w.Kind == hostpath.KindWSL
	if !isWSL {
		abs, err := filepath.Abs(path)
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		info, err := os.Stat(abs)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		if !info.IsDir() {
			return fmt.Errorf("open: %s is not a folder", abs)
		}
		path = abs
	}
	var opened api.OpenedPath
	if err := t.call(c.JSON, api.MethodOpenPath, api.OpenPath{Path: path}, &opened); err != nil {
		return err
	}
	if c.JSON {
		return t.print(opened)
	}
	_, err = fmt.Fprintf(t.out, "%s is open in %s.\n", opened.Project.Path, opened.Environment)
	return err
}
