//go:build linux

package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/test/product"
)

var (
	duration = flag.Duration("duration", 0, "how long to go on; 0 means CATAMARAN_CHAOS, or 30 s")
	seed     = flag.Uint64("seed", 0, "of the steps; 0 picks one")
	keep     = flag.String("report", "", "file that also gets the report")
)

// Bounds. They are the product's promises with room for a busy machine.
const (
	apiBound    = 5 * time.Second  // an answer of the gateway, or of a ready local backend
	quitBound   = 3 * time.Second  // W5.8 says one
	noticeBound = 4 * time.Second  // W5.7 says two
	drainBound  = 10 * time.Second // W4.4 says five
	settleBound = 75 * time.Second // everything up once the faults are gone: the longest back-off is 20 s
	changeBound = 75 * time.Second // of a mode change: its own 6 s, a hand-over and a way back
)

func TestMain(m *testing.M) {
	code := m.Run()
	product.Clean()
	os.Exit(code)
}

func TestChaos(t *testing.T) {
	d := *duration
	if d == 0 {
		d = 30 * time.Second
		if v := os.Getenv("CATAMARAN_CHAOS"); v != "" {
			var err error
			if d, err = time.ParseDuration(v); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := *seed
	if s == 0 {
		s = rand.Uint64N(1_000_000_000) + 1
	}
	t.Logf("seed %d, %v", s, d)
	w := newWorld(t)
	w.report.seed = s
	c := &chaos{world: w, r: rand.New(rand.NewPCG(s, 1)), books: map[string]*book{}, confirmed: api.ModeConfig{Mode: api.ModeLocal}}
	c.run(d)
	w.report.took = time.Since(w.began)
	text := w.report.String()
	t.Log("\n" + text)
	if *keep != "" {
		if err := os.WriteFile(*keep, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	if len(w.report.violations) > 0 {
		t.Errorf("%d violations, seed %d", len(w.report.violations), s)
	}
}

// chaos is a run. One goroutine makes the steps; changes and prompts go on beside it.
type chaos struct {
	*world
	r *rand.Rand

	work  sync.WaitGroup // changes and prompts
	books map[string]*book

	// What the configuration may be: confirmed, or one of the wishes whose outcome is not known yet.
	confirmed api.ModeConfig
	wishes    []api.ModeConfig
	inFlight  int

	doomed []doomed
	faults []wslsim.Fault
	slow   int // delay of a distro's start in ms
}

// doomed is a process whose owner is gone.
type doomed struct {
	process
	fd    int
	until time.Time
}

func (c *chaos) violate(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := fmt.Sprintf("after %v: ", time.Since(c.began).Round(time.Millisecond)) + fmt.Sprintf(format, args...)
	c.report.violations = append(c.report.violations, v)
}

func (c *chaos) violated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.report.violations) > 0
}

func (c *chaos) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.report
	r.trail = append(r.trail, fmt.Sprintf("%8.2fs ", time.Since(c.began).Seconds())+fmt.Sprintf(format, args...))
	if len(r.trail) > maxTrail {
		r.trail = r.trail[1:]
	}
}

type step struct {
	name   string
	weight int
	do     func(*chaos)
}

var steps = []step{
	{"change mode and wait", 14, func(c *chaos) { <-c.change() }},
	{"change mode", 10, func(c *chaos) { c.change() }},
	{"change mode, then cancel", 4, func(c *chaos) {
		done := c.change()
		c.pause(400)
		c.cancel()
		<-done
	}},
	{"change mode, then kill -9 the desktop", 8, func(c *chaos) { c.change(); c.pause([]int{30, 120, 400, 2500}[c.r.IntN(4)]); c.killDesktop() }},
	{"prompt", 30, func(c *chaos) { c.prompt() }},
	{"kill -9 a backend", 8, func(c *chaos) { c.kill("backend") }},
	{"kill -9 wsl.exe", 8, func(c *chaos) { c.kill("wsl") }},
	{"kill -9 an agent", 3, func(c *chaos) { c.kill("agent") }},
	{"kill -9 the desktop", 4, func(c *chaos) { c.killDesktop() }},
	{"quit the desktop", 4, func(c *chaos) { c.quit() }},
	{"freeze a backend", 4, func(c *chaos) { c.freeze(func(d time.Duration) { time.Sleep(d) }) }},
	{"freeze a backend, then kill -9 the desktop", 6, func(c *chaos) {
		c.freeze(func(d time.Duration) {
			c.killDesktop() // the next desktop starts a second backend beside the frozen one
			time.Sleep(d)
			c.oneOwner()
		})
	}},
	{"a second backend on the local database", 6, func(c *chaos) { c.second() }},
	{"terminate a distro", 6, func(c *chaos) {
		c.hurt(func() { wslsim.Terminate(c.sim, c.pick("Ubuntu", "Debian")) })
	}},
	{"shut WSL down", 3, func(c *chaos) { c.hurt(func() { wslsim.Shutdown(c.sim) }) }},
	{"fault in wsl.exe", 9, func(c *chaos) { c.fault() }},
	{"no more faults", 5, func(c *chaos) { c.mend() }},
	{"start an environment", 4, func(c *chaos) { c.act(api.MethodEnvironmentStart) }},
	{"stop an environment", 4, func(c *chaos) { c.act(api.MethodEnvironmentStop) }},
	{"look for distros", 3, func(c *chaos) { c.call(20*time.Second, "", api.MethodDistrosRescan, api.Empty{}, nil) }},
	{"settle and look at everything", 7, func(c *chaos) { c.settle() }},
}

func (c *chaos) run(d time.Duration) {
	if err := c.start(); err != nil {
		c.violate("the desktop does not start: %v; %s", err, c.err)
		return
	}
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	for end := time.Now().Add(d); time.Now().Before(end) && !c.violated(); {
		at := c.r.IntN(total)
		i := slices.IndexFunc(steps, func(s step) bool { at -= s.weight; return at < 0 })
		c.make(steps[i])
		c.check()
		c.pause(300)
	}
	if !c.violated() {
		c.make(step{"settle and look at everything", 0, func(c *chaos) { c.settle() }})
		c.check()
	}
	if !c.violated() {
		c.make(step{"quit the desktop", 0, func(c *chaos) { c.quit() }})
	}
	c.work.Wait()
	for _, d := range c.doomed {
		unix.Close(d.fd)
	}
}

func (c *chaos) make(s step) {
	c.note("%s", s.name)
	c.mu.Lock()
	c.report.steps[s.name]++
	c.mu.Unlock()
	s.do(c)
}

// pause lets up to so many milliseconds pass.
func (c *chaos) pause(ms int) { time.Sleep(time.Duration(c.r.IntN(ms+1)) * time.Millisecond) }

func (c *chaos) pick(of ...string) string { return of[c.r.IntN(len(of))] }

// change asks for a random mode; the result is booked when it comes.
func (c *chaos) change() <-chan struct{} {
	to := api.ModeConfig{Mode: api.Mode(c.pick("local", "both", "both", "wsl-only")), Distro: c.pick("", "Ubuntu", "Debian")}
	if to.Mode == api.ModeBoth && c.r.IntN(2) == 0 {
		to.Primary = wanted(to)[1]
	}
	c.mu.Lock()
	c.wishes = append(c.wishes, to)
	c.inFlight++
	c.mu.Unlock()
	c.note("  to %+v", to)
	done := make(chan struct{})
	c.work.Go(func() {
		defer close(done)
		began := time.Now()
		var ch api.ModeChange
		err := c.call(changeBound, "", api.MethodModeChange, to, &ch)
		c.took("mode change", time.Since(began))
		c.mu.Lock()
		c.inFlight--
		e := api.AsError(err)
		switch {
		case err == nil:
			c.report.counts["mode changes done"]++
		case e != nil && e.Code == api.CodeModeChangeFailed:
			c.report.counts["mode changes rolled back"]++
			c.refusedLocked(to)
		case e != nil:
			c.report.counts["mode changes refused ("+string(e.Code)+")"]++
			c.refusedLocked(to)
		default:
			c.report.counts["mode changes cut off"]++
		}
		c.mu.Unlock()
		if time.Since(began) >= changeBound {
			c.violate("a mode change to %+v did not end within %v", to, changeBound)
		}
		c.note("  change to %+v: %v", to, err)
	})
	return done
}

// refusedLocked: what was answered with an error must not become the configuration.
func (c *chaos) refusedLocked(to api.ModeConfig) {
	if i := slices.Index(c.wishes, to); i >= 0 {
		c.wishes = slices.Delete(c.wishes, i, i+1)
	}
}

func (c *chaos) cancel() { c.call(apiBound, "", api.MethodModeCancel, api.Empty{}, nil) }

// agree checks that a configuration is one that was asked for, and takes it for confirmed when nothing is under way.
func (c *chaos) agree(now api.ModeConfig, forgotten bool) {
	c.mu.Lock()
	ok := now == c.confirmed || slices.Contains(c.wishes, now)
	wishes, confirmed := slices.Clone(c.wishes), c.confirmed
	if c.inFlight == 0 || forgotten {
		c.confirmed, c.wishes = now, nil
	}
	c.mu.Unlock()
	if !ok {
		c.violate("the configuration is %+v; confirmed was %+v, asked for %+v", now, confirmed, wishes)
	}
}

// doom notes that processes have lost their owner.
func (c *chaos) doom(of []process) {
	for _, p := range of {
		if p.role == "vm" || p.role == "relay" || p.role == "other" {
			continue
		}
		if fd, err := unix.PidfdOpen(p.pid, 0); err == nil {
			c.doomed = append(c.doomed, doomed{p, fd, time.Now().Add(drainBound)})
		}
	}
}

func (c *chaos) killDesktop() {
	victims := c.processes()
	c.cmd.Process.Kill()
	<-c.ended
	c.doom(victims)
	c.again()
}

func (c *chaos) quit() {
	victims := c.processes()
	began := time.Now()
	c.cmd.Process.Signal(syscall.SIGTERM)
	code, err := c.exited(15 * time.Second)
	took := time.Since(began)
	c.took("quit of the desktop", took)
	if err != nil || code != 0 || took > quitBound {
		c.violate("quit took %v, exit code %d, %v: %s", took, code, err, c.err)
		if err != nil {
			c.cmd.Process.Kill()
			<-c.ended
		}
	}
	c.doom(victims)
	c.again()
}

// again starts the desktop and compares its configuration with the last confirmed one.
func (c *chaos) again() {
	// What was cut off is booked first: those calls end with the connection.
	c.work.Wait()
	b, err := os.ReadFile(filepath.Join(c.state(), "desktop", "mode.json"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.violate("the configuration cannot be read: %v", err)
	}
	// The journal of a change that was not confirmed holds what the file has to be again.
	var journal *struct {
		Existed  bool
		Previous []byte
	}
	if j, err := os.ReadFile(filepath.Join(c.state(), "desktop", "mode.pending.json")); err == nil {
		c.count("ends of the desktop in the middle of a change")
		if err := json.Unmarshal(j, &journal); err != nil {
			c.violate("the journal %q: %v", j, err)
		}
	}
	if err := c.start(); err != nil {
		c.violate("the desktop does not start again: %v; %s", err, c.err)
		return
	}
	s, err := c.now()
	if err != nil {
		c.violate("the gateway does not answer after a start: %v", err)
		return
	}
	if s.Notice != nil && s.Notice.Code == api.CodeInvalid {
		c.violate("the configuration was not understood: %s; mode.json was %q", s.Notice.Details, b)
	}
	c.agree(s.Config, true)
	if after, _ := os.ReadFile(filepath.Join(c.state(), "desktop", "mode.json")); journal == nil && !bytes.Equal(b, after) {
		c.violate("nothing was under way, and the start changed mode.json from %q to %q", b, after)
	} else if journal != nil && !bytes.Equal(journal.Previous, after) {
		c.violate("a change was not confirmed, and the start made mode.json %q, not %q", after, journal.Previous)
	}
}

// hurt does something to environments and sees that it is noticed.
func (c *chaos) hurt(do func()) {
	before, err := c.now()
	if err != nil {
		return // check says so
	}
	do()
	began := time.Now()
	gone := func(e api.Environment) bool { return e.PID > 0 && syscall.Kill(e.PID, 0) != nil }
	for _, e := range before.Environments {
		if e.State != api.EnvReady || !gone(e) {
			continue
		}
		for {
			s, err := c.now()
			i := slices.IndexFunc(s.Environments, func(x api.Environment) bool { return x.ID == e.ID })
			if err == nil && (i < 0 || s.Environments[i].State != api.EnvReady || s.Environments[i].PID != e.PID) {
				c.took("until an end was noticed", time.Since(began))
				if i >= 0 && s.Environments[i].State == api.EnvBackoff && s.Environments[i].Error == nil {
					c.violate("%s ended and is started again without an explanation", e.ID)
				}
				break
			}
			if time.Since(began) > noticeBound {
				c.violate("%s ended and that was not noticed within %v: %+v", e.ID, noticeBound, s.Environments)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// kill ends one process of a role by SIGKILL.
func (c *chaos) kill(role string) {
	n := c.r.IntN(1 << 20)
	all := c.of(role)
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b process) int { return a.pid - b.pid })
	p := all[n%len(all)]
	c.count("killed: " + role)
	if role == "agent" {
		syscall.Kill(p.pid, syscall.SIGKILL)
		return
	}
	c.hurt(func() {
		syscall.Kill(p.pid, syscall.SIGKILL)
		fd, err := unix.PidfdOpen(p.pid, 0)
		if err != nil {
			return
		}
		defer unix.Close(fd)
		for alive(fd) {
			time.Sleep(time.Millisecond)
		}
	})
}

// freeze stops a backend for a while, rarely for longer than its link lives.
func (c *chaos) freeze(meanwhile func(time.Duration)) {
	n, d := c.r.IntN(1<<20), time.Duration(c.r.IntN(2500))*time.Millisecond
	if c.r.IntN(12) == 0 {
		d = 26 * time.Second
	}
	all := c.of("backend")
	if len(all) == 0 {
		return
	}
	p := all[n%len(all)]
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	unix.PidfdSendSignal(fd, syscall.SIGSTOP, nil, 0)
	meanwhile(d)
	unix.PidfdSendSignal(fd, syscall.SIGCONT, nil, 0)
	for i := range c.doomed {
		if c.doomed[i].pid == p.pid {
			c.doomed[i].until = time.Now().Add(drainBound)
		}
	}
}

// second starts another backend on the local database, as a person at a terminal may (W5.9).
func (c *chaos) second() {
	d := time.Duration(300+c.r.IntN(1200)) * time.Millisecond
	cmd := exec.Command(filepath.Join(c.dir, "bin", "catamaran-backend"), "serve", "--listen", "127.0.0.1:0")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(c.dir, "home"), "CATAMARAN_HOME=" + c.state()}
	if err := cmd.Start(); err != nil {
		c.violate("a second backend: %v", err)
		return
	}
	time.Sleep(d)
	c.oneOwner()
	cmd.Process.Kill()
	_ = cmd.Wait()
}

func (c *chaos) fault() {
	on := c.pick(wslsim.OnLaunch, wslsim.OnLaunch, wslsim.OnStart, wslsim.OnList)
	f := wslsim.Fault{ID: fmt.Sprintf("chaos%d", len(c.faults)), On: on, Times: 1 + c.r.IntN(3), Skip: c.r.IntN(2)}
	if on != wslsim.OnList {
		f.Distro = c.pick("", "Ubuntu", "Debian")
	}
	switch c.r.IntN(6) {
	case 0:
		f.Kind = wslsim.Hang
	case 1:
		f.Kind, f.DelayMS = wslsim.Delay, 100+c.r.IntN(4000)
	case 2:
		f.Kind, f.Text, f.Code = wslsim.Fail, "The operation timed out.", "Wsl/Service/CreateInstance/CreateVm/HCS_E_CONNECTION_TIMEOUT"
	case 3:
		f.Kind, f.Text = wslsim.Noise, "a warning in UTF-16 \u00e4\u6f22"
	case 4:
		f.Kind, f.Text = wslsim.LinuxNoise, "CATAMARAN-LINK/1 {broken"
	default:
		f.Kind, f.Text, f.Exit = wslsim.Output, "Welcome to the distro\n", uint32(1+c.r.IntN(130))
	}
	c.note("  %+v", f)
	c.faults = append(c.faults, f)
	if c.r.IntN(4) == 0 {
		c.slow = c.r.IntN(3000)
	}
	c.scenario()
}

func (c *chaos) mend() {
	for _, f := range c.faults {
		os.Remove(filepath.Join(c.sim, "fault-"+f.ID+".count"))
	}
	c.faults, c.slow = nil, 0
	c.scenario()
}

func (c *chaos) scenario() {
	sc := wslsim.Two()
	sc.Faults = c.faults
	for i := range sc.Distros {
		sc.Distros[i].StartDelayMS = c.slow
	}
	if err := wslsim.Create(c.sim, sc); err != nil {
		c.violate("the simulator: %v", err)
	}
}

func (c *chaos) act(method string) {
	id := c.pick("local", "wsl:default", "wsl:Ubuntu", "wsl:Debian")
	c.note("  %s", id)
	var e api.Environment
	_ = c.call(apiBound, "", method, api.EnvironmentRef{ID: id}, &e) // it may not be there
}

// check looks at what must hold at every moment.
func (c *chaos) check() {
	began := time.Now()
	s, err := c.now()
	c.took("answer of the gateway", time.Since(began))
	if err != nil {
		c.violate("the gateway does not answer: %v", err)
		return
	}
	c.agree(s.Config, false)
	c.oneOwner()
	b, err := os.ReadFile(filepath.Join(c.state(), "desktop", "mode.json"))
	if err == nil {
		var m api.ModeConfig
		if err := json.Unmarshal(b, &m); err != nil || !m.Mode.Valid() {
			c.violate("mode.json is %q: %v", b, err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		c.violate("mode.json: %v", err)
	}
	c.checkLocal(s)
	c.doomed = slices.DeleteFunc(c.doomed, func(d doomed) bool {
		if alive(d.fd) {
			if !time.Now().After(d.until) {
				return false
			}
			// What wsl.exe forks, to become the machine itself, looks like it for a moment.
			if !slices.ContainsFunc(c.of(d.role), func(p process) bool { return p.pid == d.pid }) {
				unix.Close(d.fd)
				return true
			}
			if alive(d.fd) {
				c.violate("%v outlives its owner by %v", d.process, time.Since(d.until)+drainBound)
			}
			return false
		}
		unix.Close(d.fd)
		return true
	})
}

func (c *chaos) oneOwner() {
	for name, pids := range c.databases() {
		if len(pids) > 1 {
			c.violate("%s is open in processes %v", name, pids)
		}
	}
}

// checkLocal: a local backend that is said to be ready answers.
func (c *chaos) checkLocal(s api.Environments) {
	began := time.Now()
	for {
		i := slices.IndexFunc(s.Environments, func(e api.Environment) bool { return e.ID == "local" })
		if i < 0 || s.Environments[i].State != api.EnvReady {
			return
		}
		err := c.call(apiBound, "local", api.MethodPing, api.Empty{}, nil)
		if err == nil {
			c.took("answer of a ready local backend", time.Since(began))
			return
		}
		if time.Since(began) > apiBound {
			c.violate("local is ready and does not answer: %v", err)
			return
		}
		time.Sleep(50 * time.Millisecond)
		if s, err = c.now(); err != nil {
			c.violate("the gateway does not answer: %v", err)
			return
		}
	}
}
