package wslsim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Where a fault strikes.
const (
	OnAny        = "any"       // every call but --help
	OnList       = "list"      // any --list
	OnStatus     = "status"    // --status
	OnVersion    = "version"   // --version
	OnTerminate  = "terminate" // --terminate
	OnShutdown   = "shutdown"  // --shutdown
	OnSetDefault = "set-default"
	OnImport     = "import"
	OnUnregister = "unregister"
	OnLaunch     = "launch" // every start of a program in a distro
	OnStart      = "start"  // only the start of a stopped distro
)

// What a fault does.
const (
	// Hang never returns.
	Hang = "hang"
	// Delay goes on after DelayMS: a hang that then succeeds.
	Delay = "delay"
	// Fail prints Text and the code path Code and exits with 4294967295.
	Fail = "error"
	// Noise prints Text on stderr as a warning of wsl.exe; LinuxNoise as one of the Linux side. When says when.
	Noise      = "noise"
	LinuxNoise = "linux-noise"
	// Output writes Text as it is to stdout and exits with Exit.
	Output = "output"
	// Cut ends the call after Bytes bytes of output, with Exit (0 means 1).
	Cut = "cut"
	// HalfUnit leaves out the last byte of the output: half a UTF-16 unit.
	HalfUnit = "half-unit"
	// Held leaves a wslhost behind that keeps stdout open for DelayMS.
	Held = "held"
	// Deaf never reads stdin.
	Deaf = "deaf"
	// Pieces copies all streams in pieces of at most Bytes (0 means 4096), DelayMS apart.
	Pieces = "pieces"
	// OOM kills the program of the launch with SIGKILL after DelayMS.
	OOM = "oom"
	// Rename and Unregister change Distro after the list has been answered: to Text, or to nothing.
	Rename     = "rename"
	Unregister = "unregister"
)

// When noise comes.
const (
	Before = "" // before any output
	During = "during"
	After  = "after"
)

// Texts of faults that many tests inject.
const (
	TextUnexpected = "Catastrophic failure "
	CodeUnexpected = "Wsl/Service/E_UNEXPECTED"
	TextRPC        = "The RPC server is unavailable. "
	CodeRPC        = "Wsl/Service/0x800706ba"
	// TextHelp is the beginning of the help text, as very old stubs print it with exit 1.
	TextHelp = textUsage
)

// Fault makes the simulator misbehave as real machines were seen to do [A8, B40].
type Fault struct {
	// ID keeps the count of strikes; faults with the same id share it.
	ID string `json:"id"`
	On string `json:"on"`
	// Distro restricts launch, start, terminate and unregister to one; "" is any.
	Distro  string `json:"distro,omitempty"`
	Kind    string `json:"kind"`
	Text    string `json:"text,omitempty"`
	Code    string `json:"code,omitempty"`
	When    string `json:"when,omitempty"`
	DelayMS int    `json:"delayMs,omitempty"`
	Bytes   int    `json:"bytes,omitempty"`
	Exit    uint32 `json:"exit,omitempty"`
	// Times is how often it strikes; 0 means always.
	Times int `json:"times,omitempty"`
	// Skip is how many calls are spared first.
	Skip int `json:"skip,omitempty"`
}

func (f Fault) check() error {
	if f.ID == "" || !safeName.MatchString(f.ID) {
		return fmt.Errorf("wslsim: fault id %q", f.ID)
	}
	switch f.On {
	case OnAny, OnList, OnStatus, OnVersion, OnTerminate, OnShutdown, OnSetDefault, OnImport, OnUnregister, OnLaunch, OnStart:
	default:
		return fmt.Errorf("wslsim: fault %s: unknown place %q", f.ID, f.On)
	}
	switch f.When {
	case Before, During, After:
	default:
		return fmt.Errorf("wslsim: fault %s: unknown moment %q", f.ID, f.When)
	}
	switch f.Kind {
	case Hang, Delay, Fail, Noise, LinuxNoise, Output, HalfUnit:
	case Cut, Pieces:
		if f.Bytes < 0 {
			return fmt.Errorf("wslsim: fault %s: bytes %d", f.ID, f.Bytes)
		}
	case Held, Deaf, OOM:
		if f.On != OnLaunch {
			return fmt.Errorf("wslsim: fault %s: %s strikes only a launch", f.ID, f.Kind)
		}
	case Rename, Unregister:
		if f.On != OnList || f.Distro == "" {
			return fmt.Errorf("wslsim: fault %s: %s strikes only a list, and one distro", f.ID, f.Kind)
		}
	default:
		return fmt.Errorf("wslsim: fault %s: unknown kind %q", f.ID, f.Kind)
	}
	return nil
}

// effects are the faults of one call that show while it runs.
type effects struct {
	cut      bool
	bytes    int
	exit     uint32
	half     bool
	during   []Fault
	after    []Fault
	holdMS   int
	deaf     bool
	size     int
	pause    time.Duration
	oom      time.Duration
	hasOOM   bool
	atTheEnd []Fault
}

// strike applies the faults of one place. done says that the call ends with code.
func (m *machine) strike(on, distro string) (code uint32, done bool) {
	for _, f := range m.Faults {
		// A start is part of a launch that has been counted already.
		here := f.On == on || f.On == OnAny && on != OnStart
		if !here || f.Distro != "" && f.Distro != distro && f.Kind != Rename && f.Kind != Unregister {
			continue
		}
		hit, err := m.count(f)
		if err != nil {
			fmt.Fprintln(os.Stderr, "WSLSIM:", err)
			return exitRefused, true
		}
		if !hit {
			continue
		}
		switch f.Kind {
		case Hang:
			hang()
		case Delay:
			wait(time.Duration(f.DelayMS) * time.Millisecond)
		case Noise, LinuxNoise:
			switch f.When {
			case Before:
				m.noise(f)
			case During:
				m.effects.during = append(m.effects.during, f)
			case After:
				m.effects.after = append(m.effects.after, f)
			}
		case Fail:
			return m.fail(&codeError{f.Text, f.Code}), true
		case Output:
			_, _ = io.WriteString(os.Stdout, f.Text)
			return f.Exit, true
		case Cut:
			m.effects.cut, m.effects.bytes, m.effects.exit = true, f.Bytes, max(f.Exit, 1)
		case HalfUnit:
			m.effects.half = true
		case Held:
			m.effects.holdMS = f.DelayMS
		case Deaf:
			m.effects.deaf = true
		case Pieces:
			m.effects.size, m.effects.pause = f.Bytes, time.Duration(f.DelayMS)*time.Millisecond
		case OOM:
			m.effects.hasOOM, m.effects.oom = true, time.Duration(f.DelayMS)*time.Millisecond
		case Rename, Unregister:
			m.effects.atTheEnd = append(m.effects.atTheEnd, f)
		}
	}
	return 0, false
}

func (m *machine) noise(f Fault) {
	if f.Kind == LinuxNoise { // [A1.7]: UTF-8, LF
		_, _ = io.WriteString(os.Stderr, "wsl: "+f.Text+"\n")
		return
	}
	m.err.print("wsl: " + f.Text + "\r\n") // own encoding, CRLF
}

// closing is what faults still do when the call has answered; it returns the exit code.
func (m *machine) closing(code uint32) uint32 {
	for _, f := range append(m.effects.during, m.effects.after...) {
		m.noise(f)
	}
	for _, f := range m.effects.atTheEnd {
		s, err := Load(m.dir)
		if err == nil {
			var keep []Distro
			for _, d := range s.Distros {
				if d.Name == f.Distro && f.Kind == Unregister {
					continue
				}
				if d.Name == f.Distro {
					d.Name = f.Text
				}
				keep = append(keep, d)
			}
			s.Distros = keep
			err = Create(m.dir, s)
		}
		if err != nil {
			return m.fail(err)
		}
	}
	return code
}

// output is the caller's stdout with the faults of the call in it.
type output struct {
	w       io.Writer
	m       *machine
	written int
	held    []byte
}

func (o *output) Write(p []byte) (int, error) {
	e, b := &o.m.effects, p
	if e.half && len(p) > 0 {
		b = append(append([]byte(nil), o.held...), p...)
		o.held, b = []byte{b[len(b)-1]}, b[:len(b)-1]
	}
	if e.cut && o.written+len(b) >= e.bytes {
		_, _ = o.w.Write(b[:e.bytes-o.written])
		os.Exit(finish(o.m.closing(e.exit)))
	}
	if len(e.during) > 0 && len(b) > 1 {
		half := len(b) / 2 &^ 1
		if _, err := o.w.Write(b[:half]); err != nil {
			return 0, err
		}
		for _, f := range e.during {
			o.m.noise(f)
		}
		e.during = nil
		o.written += half
		b = b[half:]
	}
	for {
		n := len(b)
		if e.size > 0 {
			n = min(n, e.size)
		}
		if _, err := o.w.Write(b[:n]); err != nil {
			return 0, err
		}
		o.written += n
		if b = b[n:]; len(b) == 0 {
			return len(p), nil
		}
		wait(e.pause)
	}
}

// count says whether the fault strikes at this call; the count is kept for all processes of the scenario.
func (m *machine) count(f Fault) (bool, error) {
	if f.Times == 0 && f.Skip == 0 {
		return true, nil
	}
	unlock, err := LockFile(filepath.Join(m.dir, "faults.lock"))
	if err != nil {
		return false, err
	}
	defer unlock()
	name := filepath.Join(m.dir, "fault-"+f.ID+".count")
	n := 0
	if b, err := os.ReadFile(name); err == nil {
		n = len(b)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	_, werr := file.WriteString(".")
	return n >= f.Skip && (f.Times == 0 || n < f.Skip+f.Times), errors.Join(werr, file.Close())
}

func hang() { wait(1<<63 - 1) }

// wait is simulated time passing; the process can be killed in it, as wsl.exe can.
func wait(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}
