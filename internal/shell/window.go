package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// Bounds of showing the page.
const (
	settleTime   = 3 * time.Second // a browser that ends earlier with an error has shown nothing
	maxRestarts  = 3               // of the window program in restartFrame
	restartFrame = time.Minute
)

// ErrNoDisplay: there is nothing here that could show the page.
var ErrNoDisplay = errors.New("nothing here can show a window")

// WindowsOptions configure Windows.
type WindowsOptions struct {
	// Ways to show the page, best first (Ways).
	Ways []Way
	// URL makes a fresh address that signs a page in.
	URL func() string
	// Closed is called once when the user has closed the window.
	Closed func()
	// State is where the window program's place is kept, Data what its web view keeps; both are folders.
	State, Data string
	// Theme is how a window looks until its page is there: light or dark, "" for the system's; nil is always "".
	Theme func() string
	Log   *slog.Logger
}

// Windows opens windows and owns the programs that show them.
type Windows struct {
	o    WindowsOptions
	log  *slog.Logger
	open func(url string) error // the default browser of a system that has a call for it

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	window  *program // the window program, while it runs
	deaths  []time.Time
	closing bool
	once    sync.Once
}

// NewWindows prepares; it opens nothing.
func NewWindows(o WindowsOptions) *Windows {
	w := &Windows{o: o, log: o.Log, open: openDefault}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// Open shows a window, or brings the window program's to the front. It returns
// when a way has worked as far as can be told, ErrNoDisplay when none has.
func (w *Windows) Open(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return errors.New("open a window: Catamaran is ending")
	}
	if w.window != nil {
		if err := w.window.order(api.WindowOrder{Op: api.WindowFocus}); err == nil {
			return nil
		}
	}
	for _, way := range w.o.Ways {
		err := w.tryLocked(ctx, way)
		if err == nil {
			return nil
		}
		w.log.Warn("this way of showing the page failed; trying the next", "kind", way.Kind, "error", err)
	}
	return ErrNoDisplay
}

func (w *Windows) tryLocked(ctx context.Context, way Way) error {
	url := w.o.URL()
	switch way.Kind {
	case KindWindow:
		return w.startLocked(way, url)
	case KindApp:
		args := append(append([]string(nil), way.Args...), "--app="+url)
		p, err := proc.Start(proc.Spec{Name: "browser window", Path: way.Path, Args: args, Guard: true})
		if err != nil {
			return err
		}
		return w.follow(ctx, p)
	default:
		if way.Path == "" {
			return w.open(url)
		}
		// Without a group of its own: the browser it starts is the user's and outlives us.
		p, err := proc.Start(proc.Spec{Name: "default browser", Path: way.Path, Args: []string{url}, InheritConsole: true})
		if err != nil {
			return err
		}
		return w.settled(ctx, p)
	}
}

func (w *Windows) theme() string {
	if w.o.Theme == nil {
		return ""
	}
	return w.o.Theme()
}

// startLocked starts the window program.
func (w *Windows) startLocked(way Way, url string) error {
	p, err := startProgram(way.Path, url, w.o.State, w.o.Data, w.theme(), w.log)
	if err != nil {
		return err
	}
	w.window = p
	w.work.Go(p.read)
	w.work.Go(func() {
		select {
		case <-p.Done():
		case <-w.ctx.Done():
			stop(p.Process)
			return
		}
		w.ended(way, p)
	})
	return nil
}

// ended restarts a window that died, within bounds, and reports one that was closed.
func (w *Windows) ended(way Way, p *program) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.window = nil
	if w.closing {
		return
	}
	if p.ExitCode() == 0 {
		w.once.Do(w.o.Closed)
		return
	}
	now := time.Now()
	kept := w.deaths[:0]
	for _, t := range w.deaths {
		if now.Sub(t) < restartFrame {
			kept = append(kept, t)
		}
	}
	w.deaths = append(kept, now)
	w.log.Warn("the window program died", "exit", p.ExitCode(), "stderr", p.StderrTail())
	if len(w.deaths) <= maxRestarts {
		if err := w.startLocked(way, w.o.URL()); err == nil {
			return
		}
	}
	for _, next := range w.o.Ways {
		if next.Kind != KindWindow && w.tryLocked(w.ctx, next) == nil {
			return
		}
	}
	w.log.Error("no window can be shown any more; run catamaran for a new address")
}

// follow waits until a browser in app mode has settled, then for the user to close it.
func (w *Windows) follow(ctx context.Context, p *proc.Process) error {
	w.work.Go(func() { io.Copy(io.Discard, p.Stdout()) })
	if err := w.settled(ctx, p); err != nil {
		return err
	}
	select {
	case <-p.Done():
		return nil // it handed the address to a browser that runs already: nothing to follow
	default:
	}
	w.work.Go(func() {
		select {
		case <-p.Done():
			w.once.Do(w.o.Closed)
		case <-w.ctx.Done():
			stop(p)
		}
	})
	return nil
}

// settled returns an error when the program ends with one soon.
func (w *Windows) settled(ctx context.Context, p *proc.Process) error {
	t := time.NewTimer(settleTime)
	defer t.Stop()
	select {
	case <-p.Done():
		if p.ExitCode() != 0 {
			return fmt.Errorf("it ended with exit code %d: %s", p.ExitCode(), p.StderrTail())
		}
	case <-t.C:
	case <-ctx.Done():
	case <-w.ctx.Done(): // quitting is never held up
	}
	return nil
}

func stop(p *proc.Process) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = p.Stop(ctx, proc.Ladder{CloseStdin: 300 * time.Millisecond, Terminate: 300 * time.Millisecond, Kill: time.Second})
}

// Close ends the window programs and waits for them.
func (w *Windows) Close() error {
	w.cancel()
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.work.Wait()
	return nil
}
