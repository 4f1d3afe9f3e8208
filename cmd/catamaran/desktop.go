package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/build"
	"catamaran/internal/gateway"
	"catamaran/internal/logfile"
	"catamaran/internal/proc"
	"catamaran/internal/settings"
	"catamaran/internal/shell"
	"catamaran/internal/update"
	"catamaran/web"
)

// endWait bounds the end of the desktop: backends that cannot be stopped in it
// are left to their lifeline, which is the link this process holds.
const endWait = 10 * time.Second

type runCommand struct {
	NoWindow   bool   `help:"Open nothing; print one line of JSON with the address once the page can be loaded."`
	OwnerStdin bool   `help:"End when standard input ends."`
	Background bool   `help:"Open no window until a further start asks for one."`
	Open       string `placeholder:"PATH" help:"Add this folder as a project, and show it."`
}

// Run is the desktop, or the hand-over to the one that runs.
func (c *runCommand) Run(t *terminal) error {
	inst, err := shell.Claim(t.ctx, t.desktop)
	if errors.Is(err, shell.ErrRunning) {
		return c.handOver(t)
	}
	if err != nil {
		return err
	}
	defer inst.Close()
	if t.console && !c.NoWindow && !c.OwnerStdin {
		inst.Close()
		return c.leave(t)
	}
	logs, err := openLogs(t.logDir())
	if err != nil {
		return err
	}
	defer logs.Close()
	logs.log.Info("desktop starts", "version", build.Version, "commit", build.Commit, "pid", os.Getpid())
	d, err := c.wire(t, logs)
	if err != nil {
		logs.log.Error("desktop cannot start", "error", err)
		return err
	}
	err = d.run(t, inst)
	logs.log.Info("desktop ends", "error", err)
	return err
}

// leave starts the app so that it does not end with the terminal that this is typed in.
func (c *runCommand) leave(t *terminal) error {
	app, err := program()
	if err != nil {
		return err
	}
	args := []string{"run"}
	if c.Background {
		args = append(args, "--background")
	}
	if c.Open != "" {
		folder, err := filepath.Abs(c.Open)
		if err != nil {
			return err
		}
		args = append(args, "--open="+folder)
	}
	started, err := shell.StartDetached(t.desktop, app, args...)
	if err != nil {
		return err
	}
	return started.Release()
}

// handOver gives a second start's wish to the running desktop.
func (c *runCommand) handOver(t *terminal) error {
	method := api.MethodActivate
	if c.NoWindow {
		method = api.MethodLaunch
	}
	var l api.Launch
	if c.Open != "" {
		err := openWhenReady(t.ctx, c.Open, func(ctx context.Context, path string) error {
			return shell.NewClient(t.desktop).Call(ctx, api.MethodOpenPath, api.OpenPath{Path: path}, nil)
		})
		if err != nil {
			return err
		}
	}
	if c.Background {
		return nil
	}
	if err := shell.NewClient(t.desktop).Call(t.ctx, method, api.Empty{}, &l); err != nil {
		return err
	}
	if c.NoWindow {
		return printLaunch(t.out, l)
	}
	_, err := fmt.Fprintf(t.out, "Catamaran is running already. Its address, for the next 30 seconds and one use: %s\n", l.URL)
	return err
}

// printLaunch writes the one line that scripts read.
func printLaunch(w io.Writer, l api.Launch) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// desktop is the running whole.
type desktop struct {
	command *runCommand
	logs    *logs
	gateway *gateway.Gateway
	pool    runner
	windows *shell.Windows
	system  *shell.System
	said    func(shell.SystemEvent) // set before system runs
	updates *update.Updater
	quit    context.CancelFunc
	quitted <-chan struct{}
}

type runner interface {
	Run(ctx context.Context) error
	RescanDistros(ctx context.Context) (api.WSL, error)
}

func (c *runCommand) wire(t *terminal, logs *logs) (*desktop, error) {
	pl, err := findPlaces()
	if err != nil {
		return nil, err
	}
	identity, err := auth.LoadIdentity(t.desktop)
	if err != nil {
		return nil, fmt.Errorf("load the desktop's identity: %w", err)
	}
	desk := t.newDesk(pl, logs)
	pool, err := t.pool(pl, logs, desk)
	if err != nil {
		return nil, err
	}
	asked, quit := context.WithCancel(context.Background())
	d := &desktop{command: c, logs: logs, pool: pool, quit: quit, quitted: asked.Done()}
	o := gateway.Options{
		StateDir: t.desktop, Identity: identity, Backends: pool, Environments: pool, Modes: pool,
		Assets: web.Handler(), Version: build.Version, Log: logs.log,
		Doctor: desk, Forward: desk.forward, Opener: desk, Settings: settings.New(t.desktop),
	}
	d.updates = t.updater(pl, d)
	o.Updates = d.updates
	ways := shell.Ways(shell.Surroundings{
		GOOS: runtime.GOOS, Getenv: os.Getenv, ExeDir: pl.exeDir, Profile: filepath.Join(t.desktop, "window"), WebView: shell.WebView,
		Exists: func(p string) bool { _, err := os.Stat(p); return err == nil },
		Look: func(name string) string {
			p, err := proc.LookPath(name, os.Getenv("PATH"))
			if err != nil {
				return ""
			}
			return p
		},
	})
	d.windows = shell.NewWindows(shell.WindowsOptions{
		Ways: ways, URL: d.launchURL, Closed: quit, State: t.desktop, Data: filepath.Join(t.desktop, "webview"), Log: logs.log,
		Theme: func() string { return theme(o.Settings) },
	})
	o.Dialogs = d.windows
	d.system = shell.NewSystem(shell.SystemOptions{
		Tray: !c.NoWindow, Log: logs.log,
		On: func(e shell.SystemEvent) { d.said(e) }, Open: d.trayOpen, Quit: d.trayQuit,
	})
	o.Notifier = d.system
	o.Quit = quit
	o.OpenURL = func(ctx context.Context, url string) error { return shell.OpenURL(ctx, url, logs.log) }
	if !c.NoWindow {
		o.Activate = d.showWindow
	}
	if d.gateway, err = gateway.New(o); err != nil {
		return nil, err
	}
	return d, nil
}

// theme is the one that the person chose, "" for the system's and for what cannot be read.
func theme(s gateway.Settings) string {
	v, err := s.Get()
	if err != nil {
		return ""
	}
	var name string
	if json.Unmarshal(v.Values["appearance.theme"], &name) != nil || name != "light" && name != "dark" {
		return ""
	}
	return name
}

// launchURL is for programs, whose complaints may quote it and are logged.
func (d *desktop) launchURL() string {
	u := d.gateway.LaunchURL()
	if _, code, ok := strings.Cut(u, "#code="); ok {
		logfile.Secret(code)
	}
	return u
}

// showWindow is for a second start, which prints an address in any case.
func (d *desktop) showWindow(ctx context.Context) error {
	if err := d.windows.Open(ctx); err != nil && !errors.Is(err, shell.ErrNoDisplay) {
		return err
	}
	return nil
}

// run serves until a signal, the owner's end, or the closed window; the page
// can be loaded before any backend is up (W8.6).
func (d *desktop) run(t *terminal, inst *shell.Instance) error {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	// Once the end has begun a second signal ends the process at once.
	context.AfterFunc(ctx, t.stop)
	context.AfterFunc(ctx, func() {
		time.AfterFunc(endWait, func() {
			d.logs.log.Error("the end took too long; leaving the backends to their lifeline")
			os.Exit(exitFailed)
		})
	})
	g.Go(func() error { return inst.Serve(ctx, d.gateway.Control()) })
	g.Go(func() error { return d.gateway.Run(ctx) })
	g.Go(func() error { return ended(ctx, d.pool.Run(ctx)) })
	g.Go(func() error {
		d.updates.Run(ctx)
		return nil
	})
	g.Go(func() error {
		select {
		case <-d.quitted:
			d.logs.log.Info("the window was closed, or a command asked for the end")
			cancel()
		case <-ctx.Done():
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		return d.windows.Close()
	})
	over := make(chan struct{})
	defer close(over)
	d.said = func(e shell.SystemEvent) { d.hear(ctx, e, cancel, over) }
	// Not in the group: a log-off waits in it for the end of the group.
	go func() {
		if err := d.system.Run(ctx); err != nil {
			d.logs.log.Warn("the system's events cannot be seen", "error", err)
		}
	}()
	if d.command.Open != "" {
		g.Go(func() error {
			if err := openWhenReady(ctx, d.command.Open, d.gateway.OpenPath); err != nil && ctx.Err() == nil {
				d.logs.log.Warn("the folder could not be opened", "error", err)
			}
			return nil
		})
	}
	if d.command.OwnerStdin {
		// Not in the group: a read of a terminal cannot be called back.
		go func() {
			io.Copy(io.Discard, t.stdin)
			d.logs.log.Info("the owner's input ended")
			cancel()
		}()
	}
	g.Go(func() error {
		select {
		case <-d.gateway.Ready():
			return d.announce(ctx, t)
		case <-ctx.Done():
			return nil
		}
	})
	return g.Wait()
}

// logoffWait bounds how long a log-off is held up; Windows itself waits 5 s.
const logoffWait = 4 * time.Second

// hear answers what the system says.
func (d *desktop) hear(ctx context.Context, e shell.SystemEvent, end func(), ended <-chan struct{}) {
	d.logs.log.Info("the system says", "event", e)
	switch e {
	case shell.SystemEnding:
		end()
		select {
		case <-ended:
		case <-time.After(logoffWait):
		}
	case shell.SystemResumed:
		// Distros may have been stopped, and WSL updated, in the meantime. Links notice
		// by themselves: a heartbeat that comes late counts as one (W4.5).
		go func() {
			if _, err := d.pool.RescanDistros(ctx); err != nil {
				d.logs.log.Info("distros could not be listed after sleep", "error", err)
			}
		}()
	}
}

// trayOpen and trayQuit are called on the system's thread, which must not wait.
func (d *desktop) trayOpen() {
	go func() {
		if err := d.showWindow(context.Background()); err != nil {
			d.logs.log.Warn("no window", "error", err)
		}
	}()
}

func (d *desktop) trayQuit() {
	go func() {
		err := d.gateway.AskQuit(context.Background())
		e := api.AsError(err)
		if e == nil {
			return
		}
		if err := d.system.Notify("Catamaran goes on", e.Message+" "+e.Hint, d.trayOpen); err != nil {
			d.logs.log.Warn("the person was not told why the app goes on", "error", err)
		}
	}()
}

// announce tells where the page is: to a script, by a window, or to a person.
func (d *desktop) announce(ctx context.Context, t *terminal) error {
	if d.command.NoWindow {
		return printLaunch(t.out, api.Launch{URL: d.gateway.LaunchURL(), PID: os.Getpid(), Version: build.Version})
	}
	if d.command.Background {
		return nil
	}
	err := d.windows.Open(ctx)
	if err == nil || ctx.Err() != nil {
		return nil
	}
	if !errors.Is(err, shell.ErrNoDisplay) {
		d.logs.log.Warn("no window", "error", err)
	}
	_, err = fmt.Fprintf(t.out, "Catamaran runs. Open this address in a browser on this computer within 30 seconds:\n\n  %s\n\n"+
		"It works once. For a fresh one run catamaran again in another terminal; Ctrl-C ends.\n", d.gateway.LaunchURL())
	return err
}

// ended drops the error that only says that ctx ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
