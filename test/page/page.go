// Package page is a small client that does what the page does: it signs in with
// the code and uses HTTP for calls and WebSockets for what changes. Stories of the
// whole product drive it by words; the product never imports it.
package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
	"github.com/coder/websocket"
)

// Page is one page, signed in or not.
type Page struct {
	Base  string // address of the gateway, without a slash at the end
	Token string // after signin; stories look for it where it must not be
	// threads is the thread in hand in each environment.
	threads map[string]string
	project map[string]string
	// pids are the backends' process ids as of the last ready.
	pids map[string]int
	// change is a mode change that goes on beside the story.
	change chan error
}

// Usage lists the words of Do.
const Usage = `usage: page signin | ready ENV | restarted ENV | state ENV STATE | projects ENV | project ENV NAME | add ENV PATH | thread ENV [AGENT] | threads ENV |
	prompt ENV TEXT | until ENV STATE | output ENV TEXT | approve ENV [KIND] | stop ENV | timeline ENV | diff ENV | mode MODE [DISTRO] | mode-start MODE [DISTRO] | mode-cancel | mode-wait | notify TITLE BODY | environments`

// patience bounds a mode change that goes on beside the story.
const patience = 60 * time.Second

// Do does what a word of a story says; a has the words after it. Paths that are
// not Windows' go through abs.
func (p *Page) Do(ctx context.Context, out io.Writer, verb string, a []string, abs func(string) string) error {
	a = append(slices.Clone(a), "", "")
	env := a[0]
	if p.threads == nil {
		p.threads, p.project, p.pids = map[string]string{}, map[string]string{}, map[string]int{}
	}
	switch verb {
	case "signin":
		return p.signIn(ctx, a[0])
	case "ready":
		return p.await(ctx, env, api.EnvReady, 0)
	case "restarted":
		return p.await(ctx, env, api.EnvReady, p.pids[env])
	case "state":
		return p.await(ctx, env, api.EnvironmentState(a[1]), 0)
	case "environments":
		var now api.Environments
		if err := p.Call(ctx, "", api.MethodEnvironments, api.Empty{}, &now); err != nil {
			return err
		}
		return show(out, now)
	case "mode":
		var c api.ModeChange
		if err := p.Call(ctx, "", api.MethodModeChange, api.ModeConfig{Mode: api.Mode(a[0]), Distro: a[1]}, &c); err != nil {
			return err
		}
		return show(out, c)
	case "mode-start":
		p.change = make(chan error, 1)
		to := api.ModeConfig{Mode: api.Mode(a[0]), Distro: a[1]}
		go func(p Page) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			p.change <- p.Call(ctx, "", api.MethodModeChange, to, nil)
		}(*p)
		return nil
	case "notify":
		return p.Call(ctx, "", api.MethodNotify, api.Notify{Title: a[0], Body: a[1]}, nil)
	case "mode-cancel":
		return p.Call(ctx, "", api.MethodModeCancel, api.Empty{}, nil)
	case "mode-wait":
		return <-p.change
	case "add":
		var pr api.Project
		if !hostpath.LooksWindows(a[1]) {
			a[1] = abs(a[1])
		}
		if err := p.Call(ctx, env, api.MethodProjectAdd, api.ProjectAdd{Path: a[1]}, &pr); err != nil {
			return err
		}
		p.project[env] = pr.ID
		return show(out, pr)
	case "thread":
		agent := a[1]
		if agent == "" {
			agent = "demo"
		}
		var th api.Thread
		if err := p.Call(ctx, env, api.MethodThreadCreate, api.ThreadCreate{ProjectID: p.project[env], AgentID: agent}, &th); err != nil {
			return err
		}
		p.threads[env] = th.ID
		return nil
	case "project": // waits for the project of that name
		return p.follow(ctx, env, api.TopicShell, func(f api.ServerFrame) (bool, error) {
			var all []api.Project
			if f.Shell != nil {
				all = f.Shell.Projects
			} else if f.Event != nil && f.Event.Project != nil {
				all = []api.Project{*f.Event.Project}
			}
			return slices.ContainsFunc(all, func(p api.Project) bool { return p.Name == a[1] }), nil
		})
	case "projects", "threads":
		return p.follow(ctx, env, api.TopicShell, func(f api.ServerFrame) (bool, error) {
			if f.Shell == nil {
				return false, nil
			}
			if verb == "projects" {
				return true, show(out, f.Shell.Projects)
			}
			return true, show(out, f.Shell.Threads)
		})
	case "prompt":
		return p.Call(ctx, env, api.MethodTurnStart, api.TurnStart{ThreadID: p.threads[env], Text: a[1]}, nil)
	case "stop":
		return p.Call(ctx, env, api.MethodTurnStop, api.ThreadRef{ThreadID: p.threads[env]}, nil)
	case "until":
		return p.until(ctx, env, api.TurnState(a[1]))
	case "output":
		return p.output(ctx, env, a[1])
	case "approve":
		return p.approve(ctx, env, a[1])
	case "timeline":
		th, err := p.thread(ctx, env)
		if err != nil {
			return err
		}
		return timeline(out, th)
	case "diff":
		th, err := p.thread(ctx, env)
		if err != nil {
			return err
		}
		if len(th.Turns) == 0 {
			return fmt.Errorf("no turn yet")
		}
		var d api.Diff
		if err := p.Call(ctx, env, api.MethodDiffTurn, api.DiffTurn{TurnID: th.Turns[len(th.Turns)-1].ID}, &d); err != nil {
			return err
		}
		for _, f := range d.Files {
			fmt.Fprintf(out, "%s %s\n", f.Status, f.Path)
			for _, h := range f.Hunks {
				fmt.Fprintf(out, "%s\n", strings.Join(h.Lines, "\n"))
			}
		}
		return nil
	}
	return fmt.Errorf("%s", Usage)
}

func show(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

// signIn redeems the code of an address; without one, of the launch line's.
func (p *Page) signIn(ctx context.Context, address string) error {
	var s api.Session
	_, code, ok := strings.Cut(address, "#code=")
	if !ok {
		return fmt.Errorf("no code in the address")
	}
	if err := p.post(ctx, "/api/session", api.LaunchExchange{Code: code}, &s); err != nil {
		return err
	}
	p.Token = s.Token
	return nil
}

func route(env string) string {
	if env == "" {
		return ""
	}
	return "/e/" + url.PathEscape(env)
}

// Call makes one call of an environment's backend, of the desktop when env is empty.
func (p *Page) Call(ctx context.Context, env, method string, req, res any) error {
	return p.post(ctx, route(env)+"/api/call/"+method, req, res)
}

func (p *Page) post(ctx context.Context, path string, req, res any) error {
	b, err := json.Marshal(req)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Base+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", p.Base)
	if p.Token != "" {
		r.Header.Set("Authorization", "Bearer "+p.Token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	if res == nil {
		return nil
	}
	return json.Unmarshal(body, res)
}

// follow subscribes to a topic and hands on frames until fn is done.
func (p *Page) follow(ctx context.Context, env, topic string, fn func(api.ServerFrame) (bool, error)) error {
	c, _, err := websocket.Dial(ctx, p.Base+route(env)+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {p.Base}}})
	if err != nil {
		return err
	}
	defer c.CloseNow()
	c.SetReadLimit(16 << 20)
	for _, f := range []api.ClientFrame{{Type: api.FrameHello, Token: p.Token}, {Type: api.FrameSubscribe, ID: "1", Topic: topic}} {
		b, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, websocket.MessageText, b); err != nil {
			return err
		}
	}
	for {
		_, b, err := c.Read(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", topic, err)
		}
		var f api.ServerFrame
		if err := json.Unmarshal(b, &f); err != nil {
			return err
		}
		if f.Error != nil {
			return fmt.Errorf("%s: %s: %s", topic, f.Error.Code, f.Error.Message)
		}
		if done, err := fn(f); done || err != nil {
			return err
		}
	}
}

// await waits for an environment's state, by another process than not.
func (p *Page) await(ctx context.Context, env string, want api.EnvironmentState, not int) error {
	last := "no state"
	err := p.follow(ctx, "", api.TopicEnvironments, func(f api.ServerFrame) (bool, error) {
		if f.Environments == nil {
			return false, nil
		}
		for _, e := range f.Environments.Environments {
			if e.ID == env {
				b, _ := json.Marshal(e)
				last = string(b)
				if e.State != want || not != 0 && e.PID == not {
					return false, nil
				}
				p.pids[env] = e.PID
				return true, nil
			}
		}
		last = "not listed"
		return want == api.EnvOff, nil // the mode does not need it, so it is not shown
	})
	if err != nil {
		return fmt.Errorf("%s is not %s: %w; last: %s", env, want, err, last)
	}
	return nil
}

// watch keeps a thread up to date by its stream and asks fn after each change.
func (p *Page) watch(ctx context.Context, env string, fn func(api.ThreadSnapshot) (bool, error)) error {
	var th api.ThreadSnapshot
	return p.follow(ctx, env, api.TopicThread+p.threads[env], func(f api.ServerFrame) (bool, error) {
		switch {
		case f.Thread != nil:
			th = *f.Thread
		case f.Event != nil:
			apply(&th, *f.Event)
		case f.Delta != nil:
			grow(&th, *f.Delta)
		default:
			return false, nil
		}
		return fn(th)
	})
}

func apply(th *api.ThreadSnapshot, e api.Event) {
	if e.Thread != nil {
		th.Thread = *e.Thread
	}
	if e.Turn != nil {
		if i := slices.IndexFunc(th.Turns, func(t api.Turn) bool { return t.ID == e.Turn.ID }); i >= 0 {
			th.Turns[i] = *e.Turn
		} else {
			th.Turns = append(th.Turns, *e.Turn)
		}
	}
	if e.Item != nil {
		if i := slices.IndexFunc(th.Items, func(t api.Item) bool { return t.ID == e.Item.ID }); i >= 0 {
			th.Items[i] = *e.Item
		} else {
			th.Items = append(th.Items, *e.Item)
		}
	}
}

// grow applies an ephemeral change.
func grow(th *api.ThreadSnapshot, d api.Delta) {
	if d.Item != nil {
		apply(th, api.Event{Item: d.Item})
		return
	}
	i := slices.IndexFunc(th.Items, func(it api.Item) bool { return it.ID == d.ItemID })
	if i < 0 {
		return
	}
	it := &th.Items[i]
	switch {
	case d.Field == "text" && d.Offset == len(it.Text):
		it.Text += d.Text
	case d.Field == "output" && it.Tool != nil && d.Offset == len(it.Tool.Output):
		tool := *it.Tool
		tool.Output += d.Text
		it.Tool = &tool
	}
}

// output waits until a tool call has written a text.
func (p *Page) output(ctx context.Context, env, text string) error {
	return p.watch(ctx, env, func(th api.ThreadSnapshot) (bool, error) {
		if n := len(th.Turns); n > 0 && th.Turns[n-1].State.Final() {
			return false, fmt.Errorf("the turn ended as %s", th.Turns[n-1].State)
		}
		return slices.ContainsFunc(th.Items, func(it api.Item) bool { return it.Tool != nil && strings.Contains(it.Tool.Output, text) }), nil
	})
}

func (p *Page) thread(ctx context.Context, env string) (api.ThreadSnapshot, error) {
	var got api.ThreadSnapshot
	err := p.watch(ctx, env, func(th api.ThreadSnapshot) (bool, error) { got = th; return true, nil })
	return got, err
}

// until waits until the newest turn is in a state.
func (p *Page) until(ctx context.Context, env string, want api.TurnState) error {
	last := "no turn"
	err := p.watch(ctx, env, func(th api.ThreadSnapshot) (bool, error) {
		if len(th.Turns) == 0 {
			return false, nil
		}
		t := th.Turns[len(th.Turns)-1]
		b, _ := json.Marshal(t)
		last = string(b)
		if t.State != want && t.State.Final() {
			return false, fmt.Errorf("the turn ended as %s", t.State)
		}
		return t.State == want, nil
	})
	if err != nil {
		return fmt.Errorf("%w; last: %s", err, last)
	}
	return nil
}

// approve answers the next pending approval with the option of a kind.
func (p *Page) approve(ctx context.Context, env, kind string) error {
	if kind == "" {
		kind = "allow_once"
	}
	var item api.Item
	err := p.watch(ctx, env, func(th api.ThreadSnapshot) (bool, error) {
		for _, it := range th.Items {
			if it.Approval != nil && it.Approval.State == api.ApprovalPending {
				item = it
				return true, nil
			}
		}
		if n := len(th.Turns); n > 0 && th.Turns[n-1].State.Final() {
			return false, fmt.Errorf("the turn ended as %s without asking", th.Turns[n-1].State)
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(item.Approval.Options, func(o api.ApprovalOption) bool { return o.Kind == kind })
	if i < 0 {
		return fmt.Errorf("no option %s in %+v", kind, item.Approval.Options)
	}
	return p.Call(ctx, env, api.MethodApprovalAnswer,
		api.ApprovalAnswer{ThreadID: p.threads[env], ItemID: item.ID, OptionID: item.Approval.Options[i].ID}, nil)
}

// timeline prints a thread as lines that a story can match.
func timeline(w io.Writer, th api.ThreadSnapshot) error {
	for _, t := range th.Turns {
		fmt.Fprintf(w, "turn %d %s", t.Ordinal, t.State)
		if t.Reason != nil {
			fmt.Fprintf(w, " (%s: %s)", t.Reason.Code, t.Reason.Message)
		}
		fmt.Fprintln(w)
	}
	for _, it := range th.Items {
		fmt.Fprintf(w, "%s", it.Kind)
		if it.Tool != nil {
			fmt.Fprintf(w, " %s %s %q %q", it.Tool.Kind, it.Tool.Status, it.Tool.Title, it.Tool.Output)
		}
		if it.Approval != nil {
			fmt.Fprintf(w, " %s %q", it.Approval.State, it.Approval.Title)
		}
		if it.Text != "" {
			fmt.Fprintf(w, " %q", it.Text)
		}
		fmt.Fprintln(w)
	}
	return nil
}
