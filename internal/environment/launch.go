package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link"
	"catamaran/internal/proc"
	"catamaran/internal/stage"
)

// launcher brings a backend's process up to where it waits for the envelope. It
// reports what it does with progress. Whatever it returns, a process in the
// result is the caller's to end.
type launcher func(ctx context.Context, o launchOptions) (placed, error)

type launchOptions struct {
	force    bool // copy the backend even if it seems to be there
	progress func(api.EnvironmentState, string)
	pinned   func(distro string) // the distro that is used for this run
	noise    func([]byte)
	stderr   io.Writer
}

// placed is a process that is about to say hello.
type placed struct {
	process *proc.Process
	out     io.Reader // stdout, or what the negotiation left of it
	// digest is what the hello must report, "" when anything will do; staged that it was copied just now.
	digest string
	staged bool
	// explain turns the end of the process into words; hello tells whether it came that far.
	explain func(output []byte, hello bool) *api.Error
}

// ladders: how patiently a backend is ended. It drains for up to 5 s by itself;
// a quit of the desktop has one second for everything (W5.8).
type ladder struct {
	goodbye time.Duration
	rungs   proc.Ladder
}

var (
	ladderStop = ladder{2 * time.Second, proc.Ladder{CloseStdin: 6 * time.Second, Terminate: 2 * time.Second, Kill: 3 * time.Second}}
	// A backend that never said hello has nothing to drain.
	ladderEarly = ladder{0, proc.Ladder{CloseStdin: 500 * time.Millisecond, Terminate: 500 * time.Millisecond, Kill: 3 * time.Second}}
	ladderQuit  = ladder{250 * time.Millisecond, proc.Ladder{CloseStdin: 250 * time.Millisecond, Terminate: 150 * time.Millisecond, Kill: 200 * time.Millisecond}}
)

const (
	// exitGrace is how long a process may outlive its link before that counts as a lost link.
	exitGrace = 500 * time.Millisecond
	maxHead   = 64 << 10
)

// launch is one numbered attempt, from nothing to no process left.
type launch struct {
	r      *runner
	number uint64
	ctx    context.Context
	cancel context.CancelCauseFunc
	again  chan struct{} // a further stop request while stuck
	hurry  chan struct{} // closed: the quick ladder

	log *lineLog

	mu       sync.Mutex
	patience *time.Timer // for the stage that was said last
	hurried  bool
	distro   string
	conn     *connection
	process  *proc.Process
	output   head
}

func newLaunch(r *runner, number uint64) *launch {
	l := &launch{r: r, number: number, again: make(chan struct{}, 1), hurry: make(chan struct{}), output: head{max: maxHead}, log: &lineLog{to: r.file}}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// stop asks for the ladder, the quick one for a quit; again while stuck walks it once more.
func (l *launch) stop(quick bool) {
	if quick {
		l.mu.Lock()
		if !l.hurried {
			l.hurried = true
			close(l.hurry)
		}
		l.mu.Unlock()
	}
	l.cancel(errStopped)
	select {
	case l.again <- struct{}{}:
	default:
	}
}

func (l *launch) facts() (distro string, c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.distro, l.conn
}

func (l *launch) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.process == nil {
		return ""
	}
	return l.process.StderrTail()
}

func (l *launch) post(e Event) {
	e.Launch = l.number
	l.r.post(e)
}

func (l *launch) noise(b []byte) {
	l.mu.Lock()
	l.output.add(b)
	l.mu.Unlock()
	l.r.file.Write(b)
}

// say reports what the attempt does, and that it still does it when that takes long (W5.4).
func (l *launch) say(phase api.EnvironmentState, words string) {
	l.hush()
	l.post(Event{Kind: evProgress, Phase: phase, Stage: words})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.patience = time.AfterFunc(l.r.patience, func() {
		l.post(Event{Kind: evNote, Was: words, Stage: waiting(phase, words)})
	})
}

func (l *launch) hush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.patience != nil {
		l.patience.Stop()
	}
}

// waiting says what a stage that takes long waits for.
func waiting(phase api.EnvironmentState, words string) string {
	if distro, ok := strings.CutPrefix(words, wakingUp); ok {
		return "waiting for WSL to wake up " + distro + "; a cold start can take a minute or two"
	}
	if phase == api.EnvStarting && words == "starting the backend" {
		return "waiting for the backend's first answer"
	}
	return "still " + words
}

// run carries the attempt out and ends with exactly one evEnded.
func (l *launch) run() {
	defer l.cancel(errStopped)
	p, err := l.up()
	l.hush()
	if err == nil {
		err = l.stay(p)
	}
	alone := l.endsAlone(p, err)
	l.down(p)
	l.log.flush()
	e := l.why(p, err, alone)
	_, conn := l.facts()
	if p.digest != "" {
		// A file that was there already and never said hello may be damaged, and a wrong
		// digest says so outright. Either way it is copied anew at the next start.
		silent := conn == nil && api.AsError(err) == nil && l.ctx.Err() == nil
		l.r.restage(!p.staged && (silent || errors.Is(err, errDigest)))
	}
	l.post(Event{Kind: evEnded, Error: e, Definitive: definitive(e)})
}

// endsAlone reports whether the process comes to its end without our ladder. Its pipe ends a moment before it.
func (l *launch) endsAlone(p placed, err error) bool {
	if p.process == nil || api.AsError(err) != nil || errors.Is(err, errDigest) {
		return false
	}
	grace := time.NewTimer(exitGrace)
	defer grace.Stop()
	select {
	case <-p.process.Done():
		return true
	case <-grace.C:
	case <-l.ctx.Done():
	}
	return false
}

// errDigest: the running backend is not the one that was wanted.
var errDigest = errors.New("not the backend that was wanted")

// up brings the backend to readiness.
func (l *launch) up() (placed, error) {
	p, err := l.r.begin(l.ctx, launchOptions{
		force:    l.r.forced(),
		progress: l.say,
		pinned: func(distro string) {
			l.mu.Lock()
			l.distro = distro
			l.mu.Unlock()
		},
		noise:  l.noise,
		stderr: l.log,
	})
	l.mu.Lock()
	l.process = p.process
	l.mu.Unlock()
	if err != nil {
		return p, err
	}
	l.say(api.EnvStarting, "starting the backend")
	envelope := l.r.env()
	if envelope.Credential == "" {
		return p, errors.New("no credential could be made")
	}
	session, err := link.Connect(l.ctx, readCloser{p.out, p.process.Stdout()}, p.process.Stdin(), envelope, link.Options{Noise: l.noise})
	if api.CodeOf(err) == api.CodeProtocolMismatch && p.digest != "" {
		// The file is named after its content, so this cannot be an old version.
		err = fmt.Errorf("%w: %s", errDigest, err)
	}
	if err != nil {
		return p, err
	}
	c := newConnection(l.r.id, session, envelope.Credential)
	l.mu.Lock()
	l.conn = c
	distro := l.distro
	l.mu.Unlock()
	hello := session.Hello()
	l.r.met(distro, hello.EnvironmentID)
	// An empty digest could not be read there; the file's size is then all that was checked.
	if p.digest != "" && hello.Digest != "" && hello.Digest != p.digest {
		return p, fmt.Errorf("%w: want %s, have %q", errDigest, p.digest, hello.Digest)
	}
	return p, c.awaitReady(l.ctx, p.process.Done(), func(words string) {
		l.say(api.EnvStarting, words)
	})
}

// stay reports readiness and waits for the end.
func (l *launch) stay(p placed) error {
	_, c := l.facts()
	l.post(Event{Kind: evReady})
	select {
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	case <-p.process.Done():
		return nil
	case <-c.session.Done():
	case <-c.refused:
		l.lost(&api.Error{Code: api.CodeUnauthorized, Message: "the backend no longer accepts this session", Hint: "It is started anew.", Retryable: true})
		return context.Cause(l.ctx)
	}
	grace := time.NewTimer(exitGrace)
	defer grace.Stop()
	select {
	case <-p.process.Done():
		return nil
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	case <-grace.C:
	}
	message := "the backend no longer answers"
	if errors.Is(c.session.Err(), link.ErrGoodbye) {
		message = "the backend ended the connection"
	}
	l.lost(&api.Error{Code: api.CodeLinkLost, Message: message, Hint: "It is ended and started again.", Retryable: true, Details: fmt.Sprint(c.session.Err())})
	return context.Cause(l.ctx)
}

// lost reports a lost link and waits for the stop that answers it.
func (l *launch) lost(e *api.Error) {
	l.post(Event{Kind: evLost, Error: e})
	<-l.ctx.Done()
}

// down walks the ladder until the process is gone, however often it takes.
func (l *launch) down(p placed) {
	_, c := l.facts()
	if p.process == nil {
		return
	}
	if c != nil {
		defer c.close()
	}
	for {
		err := l.walk(p, c)
		if err == nil {
			return
		}
		l.post(Event{Kind: evStuck, Error: &api.Error{Code: api.CodeTimeout, Message: "the backend does not end",
			Hint: "Start or stop it again to try once more; restarting the computer ends it for certain.", Details: err.Error()}})
		select {
		case <-p.process.Done():
			return
		case <-l.again:
		case <-l.r.done:
			return
		}
	}
}

// walk is the ladder: goodbye, close stdin, wait, terminate, kill, verified
// (W5.6). A quit that comes in between cuts the rungs that are left short.
func (l *launch) walk(p placed, c *connection) error {
	select {
	case <-p.process.Done():
		return nil
	default:
	}
	select {
	case <-l.again: // the request that led here
	default:
	}
	lad := ladderStop
	if c == nil {
		lad = ladderEarly
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	select {
	case <-l.hurry:
		lad = ladderQuit
	default:
		defer l.onHurry(func() { time.AfterFunc(ladderQuit.goodbye, cancel) })()
	}
	if c != nil {
		bye, done := context.WithTimeout(ctx, lad.goodbye)
		c.session.Goodbye(bye)
		done()
	}
	return p.process.Stop(ctx, lad.rungs)
}

// onHurry calls f when a quit comes, until the returned function is called.
func (l *launch) onHurry(f func()) (stop func()) {
	over := make(chan struct{})
	go func() {
		select {
		case <-l.hurry:
			f()
		case <-over:
		}
	}()
	return func() { close(over) }
}

// why says what ended the attempt; nil for a stop that was asked for, and for a lost link, which was told before.
func (l *launch) why(p placed, err error, alone bool) *api.Error {
	if l.ctx.Err() != nil {
		return nil
	}
	l.mu.Lock()
	output, conn := l.output.b, l.conn
	l.mu.Unlock()
	switch {
	case errors.Is(err, errDigest):
		e := &api.Error{Code: api.CodeStageFailed, Message: "the backend in the distro is not the one this desktop carries",
			Hint: "It is copied again at the next start.", Retryable: true, Details: err.Error()}
		if p.staged {
			e.Retryable, e.Hint = false, "It was copied just now, so the distro's disk may be damaged; otherwise install Catamaran again."
		}
		return e
	case api.AsError(err) != nil:
		return detailed(p, api.AsError(err))
	case p.process == nil:
		return asError(err, api.CodeBackendExited, "the backend could not be started")
	case !alone:
		if err == nil {
			err = errExited
		}
		return detailed(p, asError(err, api.CodeLinkLost, "the backend did not answer as expected"))
	}
	if conn == nil && p.digest != "" {
		if e := stage.ExplainExit(p.process.ExitCode()); e != nil {
			return detailed(p, e)
		}
	}
	return detailed(p, p.explain(output, conn != nil))
}

// detailed adds the end of stderr for "copy details".
func detailed(p placed, e *api.Error) *api.Error {
	if e == nil || p.process == nil || e.Details != "" {
		return e
	}
	c := *e
	c.Details = p.process.StderrTail()
	return &c
}

type readCloser struct {
	io.Reader
	io.Closer
}
