package term

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"catamaran/internal/api"
)

const (
	// DefaultMax is how many terminals there are at most, ended ones included.
	DefaultMax = 32
	// maxViewers bounds the attachments to one terminal.
	maxViewers = 16
	maxName    = 100
	// stall is how long a viewer that is behind may make no progress before the program goes on without it.
	stall = 5 * time.Second
)

var errGone = &api.Error{Code: api.CodeNotFound, Message: "This terminal does not exist (any more)."}

// Options of a Manager. Dir, Env and Folder are required.
type Options struct {
	// Dir is the folder of the terminals' files; it is made when it is needed.
	Dir string
	// Env returns the login environment, and a warning for people; loginenv.Source.Env is one.
	Env func(ctx context.Context, fresh bool) ([]string, string)
	// Shell is the login shell, "" where none is known; nil is none.
	Shell func() string
	// Folder is where a terminal of a project, or of a thread of it, starts; an *api.Error where there is no such one.
	Folder func(ctx context.Context, projectID, threadID string) (string, error)
	Log    *slog.Logger
	// Max bounds the terminals; 0 means DefaultMax.
	Max int
	// Grew is told, with a terminal's lock held, that what the histories take has changed; nil is nobody.
	Grew func()
	// Now is the clock of what is stored; nil means the system's.
	Now func() time.Time
}

// Manager owns the terminals of a backend. It is safe for concurrent use.
type Manager struct {
	o     Options
	bound int
	stall time.Duration
	life  sync.WaitGroup // of shells
	late  sync.WaitGroup // of things due in a moment
	// floods is for readers, held for everybody, both without mu.
	floods floods
	held   atomic.Int64

	loading sync.Mutex // held while what an earlier backend left is read
	opening sync.Mutex // one terminal opens at a time, so that a command id is one terminal

	mu        sync.Mutex
	loaded    bool
	ended     bool
	terminals map[string]*terminal
	news      chan struct{} // closed and replaced at every change
	viewers   int64
	timers    map[*time.Timer]struct{}
}

// New validates the options and starts nothing.
func New(o Options) (*Manager, error) {
	if !filepath.IsAbs(o.Dir) || o.Env == nil || o.Folder == nil {
		return nil, errors.New("term: an option is missing")
	}
	if o.Shell == nil {
		o.Shell = func() string { return "" }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Max <= 0 {
		o.Max = DefaultMax
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Manager{o: o, bound: api.TerminalHistory, stall: stall, terminals: map[string]*terminal{}, floods: floods{rate: floodPerCore * int64(runtime.NumCPU())}, news: make(chan struct{}), timers: map[*time.Timer]struct{}{}}, nil
}

// Held is how many bytes the histories in memory take.
func (m *Manager) Held() int64 { return m.held.Load() }

func (m *Manager) grew(n int) {
	m.held.Add(int64(n))
	if m.o.Grew != nil {
		m.o.Grew()
	}
}

// Open opens a terminal. The same command id again answers the terminal it opened.
func (m *Manager) Open(ctx context.Context, commandID string, r api.TerminalOpen) (api.Terminal, error) {
	cols, rows := cmp.Or(r.Cols, 80), cmp.Or(r.Rows, 24)
	name, err := cleanName(r.Name)
	if err == nil {
		err = checkSize(cols, rows)
	}
	if err == nil && r.ProjectID == "" {
		err = &api.Error{Code: api.CodeInvalid, Message: "A terminal needs a project."}
	}
	if err == nil {
		err = m.load(ctx)
	}
	if err != nil {
		return api.Terminal{}, err
	}
	m.opening.Lock()
	defer m.opening.Unlock()
	m.mu.Lock()
	count := len(m.terminals)
	for _, t := range m.terminals {
		if commandID != "" && t.command == commandID {
			m.mu.Unlock()
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.info, nil
		}
	}
	m.mu.Unlock()
	if count >= m.o.Max {
		return api.Terminal{}, &api.Error{Code: api.CodeTooLarge, Message: fmt.Sprintf("There are %d terminals already.", count), Hint: "Close one that is not needed any more."}
	}
	s, err := m.start(ctx, r.ProjectID, r.ThreadID)
	if err != nil {
		return api.Terminal{}, err
	}
	s.cols, s.rows = cols, rows
	if err := os.MkdirAll(m.o.Dir, 0o700); err != nil {
		return api.Terminal{}, err
	}
	c, err := openConsole(s)
	if err != nil {
		return api.Terminal{}, startError(s, err)
	}
	id := newID()
	t := &terminal{m: m, command: commandID, file: file{dir: m.o.Dir, id: id}, history: newHistory(m.bound, m.grew), viewers: map[*Viewer]struct{}{}}
	t.info = api.Terminal{
		ID: id, ProjectID: r.ProjectID, ThreadID: r.ThreadID, Name: name, Shell: shellName(s.shell), Cwd: s.dir,
		Cols: cols, Rows: rows, CreatedAt: m.o.Now().UnixMilli(), State: api.TerminalRunning,
	}
	// Whoever is answered may count on it, whatever becomes of the backend. A full disk
	// takes no terminal away: it may be wanted to make room.
	known := t.file.saveRecord(record{Terminal: t.info, Command: t.command})
	if known != nil {
		m.o.Log.Warn("write down a new terminal", "terminal", id, "err", known.Error())
	}
	m.mu.Lock()
	if m.ended {
		m.mu.Unlock()
		_ = c.stop(ctx)
		c.close()
		t.file.remove()
		return api.Terminal{}, &api.Error{Code: api.CodeUnavailable, Message: "The backend is ending.", Retryable: true}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beginLocked(c)
	m.terminals[id] = t
	m.mu.Unlock()
	if known != nil {
		t.saveSoonLocked()
	}
	m.changed()
	return t.info, nil
}

// start finds out what a shell of a project or thread is started with.
func (m *Manager) start(ctx context.Context, projectID, threadID string) (start, error) {
	dir, err := m.o.Folder(ctx, projectID, threadID)
	if err != nil {
		return start{}, err
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return start{}, &api.Error{Code: api.CodeNotFound, Message: "The folder " + dir + " is not there any more.", Hint: "Bring it back, or remove the project from the list."}
	}
	env, warning := m.o.Env(ctx, false)
	if warning != "" {
		m.o.Log.Warn("terminal environment", "warning", warning)
	}
	shell, args := chooseShell(m.o.Shell(), env)
	return start{shell: shell, args: args, dir: dir, env: terminalEnv(env)}, nil
}

// List returns all terminals, having looked at what runs in them.
func (m *Manager) List(ctx context.Context) (api.Terminals, error) {
	if err := m.load(ctx); err != nil {
		return api.Terminals{}, err
	}
	for _, t := range m.all() {
		t.mu.Lock()
		t.lookLocked()
		t.mu.Unlock()
	}
	list, _ := m.snapshot()
	return list, nil
}

// Rename names a terminal; "" leaves it to its title.
func (m *Manager) Rename(ctx context.Context, r api.TerminalRename) (api.Terminal, error) {
	name, err := cleanName(r.Name)
	if err != nil {
		return api.Terminal{}, err
	}
	t, err := m.find(ctx, r.TerminalID)
	if err != nil {
		return api.Terminal{}, err
	}
	t.mu.Lock()
	t.info.Name = name
	if err := t.wakeLocked(); err != nil {
		t.mu.Unlock()
		return api.Terminal{}, err
	}
	t.changedLocked()
	t.dirty = true
	info := t.info
	t.mu.Unlock()
	err = t.save()
	t.mu.Lock()
	t.restLocked()
	t.mu.Unlock()
	return info, err
}

// Restart starts a shell again in a terminal whose shell has ended.
func (m *Manager) Restart(ctx context.Context, r api.TerminalRef) (api.Terminal, error) {
	t, err := m.find(ctx, r.TerminalID)
	if err != nil {
		return api.Terminal{}, err
	}
	t.mu.Lock()
	info := t.info
	t.mu.Unlock()
	s, err := m.start(ctx, info.ProjectID, info.ThreadID)
	if err != nil {
		return api.Terminal{}, err
	}
	// Shutdown looks at the terminals under opening too: none begins behind its back.
	m.opening.Lock()
	defer m.opening.Unlock()
	if err := m.load(ctx); err != nil {
		return api.Terminal{}, err
	}
	if err := t.restart(s); err != nil {
		return api.Terminal{}, startError(s, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.info, nil
}

// Close ends everything in a terminal and drops it.
func (m *Manager) Close(ctx context.Context, r api.TerminalRef) (api.Empty, error) {
	t, err := m.find(ctx, r.TerminalID)
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, m.drop(ctx, t)
}

func (m *Manager) drop(ctx context.Context, t *terminal) error {
	if err := t.close(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	delete(m.terminals, t.file.id)
	m.mu.Unlock()
	m.changed()
	return nil
}

// Forget closes the terminals of what was deleted: a thread, or, with threadID
// "", a project.
func (m *Manager) Forget(ctx context.Context, projectID, threadID string) {
	if err := m.load(ctx); err != nil {
		return // the next start finds them without an owner
	}
	for _, t := range m.all() {
		t.mu.Lock()
		mine := threadID == "" && t.info.ProjectID == projectID || threadID != "" && t.info.ThreadID == threadID
		t.mu.Unlock()
		if !mine {
			continue
		}
		if err := m.drop(ctx, t); err != nil {
			m.o.Log.Warn("close a deleted thread's terminal", "terminal", t.file.id, "err", err.Error())
		}
	}
}

// Attach attaches a viewer to a terminal: to what comes after byte after where
// that is kept, else (nil too) to a snapshot of about the last tail bytes, nil
// for all. The caller closes it.
func (m *Manager) Attach(ctx context.Context, id string, after, tail *int64) (*Viewer, error) {
	t, err := m.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return t.attach(after, tail)
}

// Watch returns the terminals as of now, and a channel that is closed when they change.
func (m *Manager) Watch(ctx context.Context) (api.Terminals, <-chan struct{}, error) {
	if err := m.load(ctx); err != nil {
		return api.Terminals{}, nil, err
	}
	list, news := m.snapshot()
	return list, news, nil
}

// Shutdown ends every shell, hang-up first, and saves the histories, at most
// until ctx ends. What was running is "lost" for the next backend.
func (m *Manager) Shutdown(ctx context.Context) error {
	m.opening.Lock()
	m.mu.Lock()
	m.ended = true
	for timer := range m.timers {
		if timer.Stop() {
			delete(m.timers, timer)
			m.late.Done()
		}
	}
	m.mu.Unlock()
	m.opening.Unlock()
	var failed error
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, t := range m.all() {
		all.Go(func() {
			t.mu.Lock()
			running := t.run != nil
			t.mu.Unlock()
			if !running {
				return
			}
			err := t.stop(ctx)
			t.mu.Lock()
			t.info.State, t.info.ExitCode, t.info.Signal, t.dirty = api.TerminalLost, nil, "", true
			if werr := t.wakeLocked(); err == nil {
				err = werr
			}
			t.mu.Unlock()
			if serr := t.save(); err == nil {
				err = serr
			}
			if err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	done := make(chan struct{})
	go func() {
		all.Wait()
		m.life.Wait()
		m.late.Wait()
		close(done)
	}()
	select {
	case <-done:
		return failed
	case <-ctx.Done():
		return fmt.Errorf("terminals did not end: %w", context.Cause(ctx))
	}
}

func (m *Manager) find(ctx context.Context, id string) (*terminal, error) {
	if err := m.load(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.terminals[id]
	if t == nil {
		return nil, errGone
	}
	return t, nil
}

func (m *Manager) all() []*terminal {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*terminal, 0, len(m.terminals))
	for _, t := range m.terminals {
		list = append(list, t)
	}
	return list
}

func (m *Manager) snapshot() (api.Terminals, <-chan struct{}) {
	m.mu.Lock()
	news := m.news // before looking: what changes meanwhile is told
	m.mu.Unlock()
	out := api.Terminals{Terminals: []api.Terminal{}}
	for _, t := range m.all() {
		t.mu.Lock()
		if !t.gone {
			out.Terminals = append(out.Terminals, t.info)
		}
		t.mu.Unlock()
	}
	slices.SortFunc(out.Terminals, func(a, b api.Terminal) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return out, news
}

// changed tells the watchers. It may be called with a terminal's lock held.
func (m *Manager) changed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.news)
	m.news = make(chan struct{})
}

func (m *Manager) nextViewer() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.viewers++
	return m.viewers
}

func checkSize(cols, rows int) error {
	if cols < 1 || rows < 1 || cols > api.MaxTerminalSide || rows > api.MaxTerminalSide {
		return &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("A terminal has 1 to %d columns and rows.", api.MaxTerminalSide)}
	}
	return nil
}

func cleanName(name string) (string, error) {
	name = cleanTitle(name)
	if len(name) > maxName {
		return "", &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("A name has at most %d characters.", maxName)}
	}
	return name, nil
}

func startError(s start, err error) error {
	if api.AsError(err) != nil {
		return err
	}
	return &api.Error{Code: api.CodeUnavailable, Message: "The shell " + s.shell + " could not be started: " + err.Error() + ".", Hint: "Check that it is there, and that the system has pseudo-terminals left."}
}

func newID() string {
	var b [12]byte
	rand.Read(b[:])
	return "tm_" + hex.EncodeToString(b[:])
}
