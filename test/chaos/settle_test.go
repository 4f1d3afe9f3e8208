//go:build linux

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
)

// book is what was written to one environment's database, by its environment id.
type book struct {
	mu              sync.Mutex
	project, thread string
	inThread        int
	messages        []*message
}

type message struct {
	thread, text string
	turn         string // once acknowledged
}

// perThread keeps threads, and so their snapshots, small.
const perThread = 12

func (c *chaos) book(id string) *book {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.books[id] == nil {
		c.books[id] = &book{}
	}
	return c.books[id]
}

// prompt sends a message to a ready environment, again with the same command id
// while its fate is unknown.
func (c *chaos) prompt() {
	n := c.r.IntN(1 << 20)
	kind := c.r.IntN(8)
	seconds := 1 + c.r.IntN(3)
	s, err := c.now()
	if err != nil {
		return
	}
	ready := slices.DeleteFunc(s.Environments, func(e api.Environment) bool { return e.State != api.EnvReady })
	if len(ready) == 0 {
		c.count("prompts without a ready environment")
		return
	}
	env := ready[n%len(ready)]
	id := fmt.Sprintf("%d-%d", time.Since(c.began).Milliseconds(), n)
	text := map[int]string{0: "list", 1: "plan", 2: fmt.Sprintf("stream %d", seconds), 3: "write f" + id + ".txt: hello"}[kind]
	if text == "" {
		text = "run: echo hello"
	}
	text += " # " + id
	c.work.Go(func() { c.send(env, id, text) })
}

func (c *chaos) send(env api.Environment, id, text string) {
	b := c.book(env.EnvironmentID)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := c.prepare(env, b); err != nil {
		c.count("prompts that found no thread")
		return
	}
	m := &message{thread: b.thread, text: text}
	b.messages = append(b.messages, m)
	b.inThread++
	for try := range 4 {
		var t api.Turn
		err := c.post(apiBound, route(env.ID)+"/api/call/"+api.MethodTurnStart, "chaos-"+id, api.TurnStart{ThreadID: m.thread, Text: text}, &t)
		if err == nil {
			m.turn = t.ID
			c.count("prompts acknowledged")
			if try > 0 {
				c.count("prompts acknowledged at a later try")
			}
			return
		}
		// "wsl:default" may by now be another distro, whose database knows nothing of this thread.
		if e := api.AsError(err); e != nil && !e.Retryable && e.Code != api.CodeEnvironmentDown {
			break
		}
		time.Sleep(150 * time.Millisecond)
	}
	c.count("prompts given up")
}

// prepare sees that the environment has a project and a thread with room.
func (c *chaos) prepare(env api.Environment, b *book) error {
	if b.project == "" {
		dir := filepath.Join(c.dir, "projects", env.EnvironmentID)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if env.ID == "local" { // one with checkpoints
			if err := exec.Command("git", "init", "-q", dir).Run(); err != nil {
				return err
			}
		}
		var p api.Project
		if err := c.call(apiBound, env.ID, api.MethodProjectAdd, api.ProjectAdd{Path: dir}, &p); err != nil {
			return err
		}
		b.project = p.ID
	}
	if b.thread != "" && b.inThread < perThread {
		return nil
	}
	var t api.Thread
	err := c.call(apiBound, env.ID, api.MethodThreadCreate,
		api.ThreadCreate{ProjectID: b.project, AgentID: "demo", Permission: api.PermissionFull}, &t)
	if err == nil {
		b.thread, b.inThread = t.ID, 0
	}
	return err
}

// settle takes the faults away, gives everything the time it needs, and then looks at all of it.
func (c *chaos) settle() {
	c.mend()
	c.cancel()
	c.work.Wait()
	began := time.Now()
	s, ok := c.allUp()
	if !ok {
		return
	}
	c.took("until all is up again", time.Since(began))
	c.mu.Lock()
	c.inFlight = 0
	c.mu.Unlock()
	c.agree(s.Config, false)
	for _, e := range s.Environments {
		if e.State == api.EnvReady {
			c.audit(e)
		}
	}
	c.noOrphans()
}

// allUp waits until everything the configuration names is ready. A person would
// start what is parked or stopped, and start anew what hangs.
func (c *chaos) allUp() (api.Environments, bool) {
	began := time.Now()
	asked := map[string]time.Time{}
	for {
		s, err := c.now()
		if err != nil {
			c.violate("the gateway does not answer: %v", err)
			return s, false
		}
		waits := 0
		for _, id := range wanted(s.Config) {
			i := slices.IndexFunc(s.Environments, func(e api.Environment) bool { return e.ID == id })
			if i >= 0 && s.Environments[i].State == api.EnvReady {
				continue
			}
			waits++
			if time.Since(asked[id]) < 8*time.Second {
				continue
			}
			asked[id] = time.Now()
			ref := api.EnvironmentRef{ID: id}
			if i >= 0 && (s.Environments[i].State == api.EnvStaging || s.Environments[i].State == api.EnvResolving || s.Environments[i].State == api.EnvStarting) {
				if time.Since(began) < 8*time.Second {
					continue
				}
				_ = c.call(apiBound, "", api.MethodEnvironmentStop, ref, nil)
			}
			_ = c.call(apiBound, "", api.MethodEnvironmentStart, ref, nil)
		}
		if waits == 0 {
			return s, true
		}
		if time.Since(began) > settleBound {
			c.violate("without faults not everything is up after %v: %+v", settleBound, describe(s))
			return s, false
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func wanted(m api.ModeConfig) []string {
	distro := "wsl:" + m.Distro
	if m.Distro == "" {
		distro = "wsl:default"
	}
	switch m.Mode {
	case api.ModeLocal:
		return []string{"local"}
	case api.ModeBoth:
		return []string{"local", distro}
	}
	return []string{distro}
}

func describe(s api.Environments) string {
	var b strings.Builder
	fmt.Fprintf(&b, "config %+v, primary %s", s.Config, s.Primary)
	for _, e := range s.Environments {
		fmt.Fprintf(&b, "; %s %s %q attempt %d pid %d", e.ID, e.State, e.Stage, e.Attempt, e.PID)
		if e.Error != nil {
			fmt.Fprintf(&b, " (%s: %s)", e.Error.Code, e.Error.Message)
		}
	}
	if s.Change != nil {
		fmt.Fprintf(&b, "; change %+v", *s.Change)
	}
	if s.Notice != nil {
		fmt.Fprintf(&b, "; notice %s", s.Notice.Message)
	}
	return b.String()
}

// turnBound is how long the turns of a quiet environment may take: the longest streams for three
// seconds, and a thread may hold a few in its queue.
const turnBound = 90 * time.Second

// audit compares an environment's threads with what was acknowledged.
func (c *chaos) audit(env api.Environment) {
	b := c.book(env.EnvironmentID)
	b.mu.Lock()
	defer b.mu.Unlock()
	threads := map[string][]*message{}
	for _, m := range b.messages {
		threads[m.thread] = append(threads[m.thread], m)
	}
	began := time.Now()
	for id, messages := range threads {
		for {
			th, err := c.thread(env.ID, id)
			if err != nil {
				c.violate("thread %s of %s cannot be read: %v", id, env.ID, err)
				return
			}
			open := slices.DeleteFunc(slices.Clone(th.Turns), func(t api.Turn) bool { return t.State.Final() })
			if len(open) > 0 {
				if time.Since(began) > turnBound {
					c.violate("turn %+v of %s does not end", open[0], env.ID)
					return
				}
				time.Sleep(100 * time.Millisecond)
				continue
			}
			c.compare(env, th, messages)
			break
		}
	}
	c.took("audit of an environment", time.Since(began))
}

func (c *chaos) compare(env api.Environment, th api.ThreadSnapshot, messages []*message) {
	for _, m := range messages {
		n := 0
		for _, it := range th.Items {
			if it.Kind == api.ItemUserMessage && it.Text == m.text {
				n++
			}
		}
		if m.turn != "" && n != 1 || n > 1 {
			c.violate("message %q (turn %q) is in %s %d times", m.text, m.turn, env.ID, n)
		}
		if m.turn != "" && !slices.ContainsFunc(th.Turns, func(t api.Turn) bool { return t.ID == m.turn }) {
			c.violate("turn %s of message %q is not in %s", m.turn, m.text, env.ID)
		}
	}
	for _, t := range th.Turns {
		if t.State == api.TurnInterrupted {
			c.count("turns seen interrupted")
			if t.Reason == nil {
				c.violate("turn %s of %s is interrupted without a reason", t.ID, env.ID)
			}
		}
	}
}

// noOrphans waits until only what belongs to the environments that run is there.
func (c *chaos) noOrphans() {
	end := time.Now().Add(drainBound + 5*time.Second)
	for {
		s, err := c.now()
		if err != nil {
			c.violate("the gateway does not answer: %v", err)
			return
		}
		owned, distros := map[int]bool{}, 0
		for _, e := range s.Environments {
			if e.State == api.EnvReady {
				owned[e.PID] = true
				if e.ID != "local" {
					distros++
				}
			}
		}
		all := c.processes()
		var extra []process
		fronts := 0
		for _, p := range all {
			switch p.role {
			case "backend":
				if !owned[p.pid] {
					extra = append(extra, p)
				}
			case "wsl":
				fronts++
			case "agent":
				if !descends(all, p, owned) {
					extra = append(extra, p)
				}
			case "desktop":
				if p.pid != c.cmd.Process.Pid && p.parent != c.cmd.Process.Pid {
					extra = append(extra, p)
				}
			}
		}
		if len(extra) == 0 && fronts <= distros {
			return
		}
		if time.Now().After(end) {
			c.violate("orphans: %v; %d wsl.exe for %d environments (%s)", extra, fronts, distros, describe(s))
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func descends(all []process, p process, from map[int]bool) bool {
	for range all {
		if from[p.parent] {
			return true
		}
		i := slices.IndexFunc(all, func(q process) bool { return q.pid == p.parent })
		if i < 0 {
			return false
		}
		p = all[i]
	}
	return false
}
