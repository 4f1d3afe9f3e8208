package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
)

// LocalEnvironment is the id of the computer's own system.
const LocalEnvironment = "local"

// openPath adds the path as a project of the environment that owns it and tells the pages to show it.
func (g *Gateway) openPath(ctx context.Context, r api.OpenPath) (api.OpenedPath, error) {
	id, path, err := owner(r.Path, g.o.Environments.Snapshot())
	if err != nil {
		return api.OpenedPath{}, err
	}
	var p api.Project
	if err := g.callBackend(ctx, id, api.MethodProjectAdd, api.ProjectAdd{Path: path}, &p); err != nil {
		return api.OpenedPath{}, err
	}
	opened := api.OpenedPath{Environment: id, Project: p}
	if unseen := g.show(opened); unseen && g.o.Activate != nil {
		if err := g.o.Activate(ctx); err != nil {
			g.o.Log.Warn("the path was added, but no window shows it", "error", err)
		}
	}
	return opened, nil
}

// OpenPath is what the terminal's open does, for the desktop's own start.
func (g *Gateway) OpenPath(ctx context.Context, path string) error {
	_, err := g.openPath(ctx, api.OpenPath{Path: path})
	return err
}

// owner decides whose path it is: \\wsl.localhost\<distro>\... belongs to that
// distro's environment, everything else to this computer, where it has one. A path that nobody
// can take is refused, never guessed at (W2.3).
func owner(path string, now api.Environments) (id, native string, err error) {
	if path == "" {
		return "", "", &api.Error{Code: api.CodeInvalid, Message: "No path was given."}
	}
	w, err := hostpath.ParseWin(path)
	isWSL := err == nil && w.Kind == hostpath.KindWSL
	if err != nil && meansWSL(path) {
		return "", "", &api.Error{Code: api.CodePathUntranslatable, Message: err.Error(), Hint: `Give a path as \\wsl.localhost\<distro>\<path>, or one of this computer.`}
	}
	// Where no local environment runs a path on a drive goes to the primary distro, whose
	// backend translates or refuses it by its own mount table (W2.2).
	if err == nil && w.Kind == hostpath.KindDrive && now.Config.Mode == api.ModeWSLOnly {
		for _, e := range now.Environments {
			if e.ID == now.Primary && e.Distro != "" {
				return e.ID, path, nil
			}
		}
	}
	for _, e := range now.Environments {
		if isWSL && e.Distro != "" && hostpath.SameDistro(e.Distro, w.Distro) {
			return e.ID, string(w.Linux), nil
		}
		if !isWSL && e.ID == LocalEnvironment {
			return e.ID, path, nil
		}
	}
	if isWSL {
		return "", "", &api.Error{
			Code: api.CodeEnvironmentDown, Message: fmt.Sprintf("No environment runs in the distro %q, which owns %s.", w.Distro, path),
			Hint: "Run: catamaran env use both --distro " + w.Distro,
		}
	}
	return "", "", &api.Error{
		Code: api.CodeEnvironmentDown, Message: fmt.Sprintf("%s is a path of this computer, and no environment runs on it.", path),
		Hint: "Run: catamaran env use both",
	}
}

// meansWSL reports a path that was meant for a distro, well formed or not.
func meansWSL(path string) bool {
	p := strings.ToLower(strings.ReplaceAll(path, `\`, "/"))
	return strings.HasPrefix(p, "//") && (strings.Contains(p, "/wsl.localhost") || strings.Contains(p, "/wsl$"))
}

// callBackend makes one call of the desktop's own to a backend.
func (g *Gateway) callBackend(ctx context.Context, id, name string, req, res any) error {
	return g.callBackendWithin(ctx, answerWait, id, name, req, res)
}

func (g *Gateway) callBackendWithin(ctx context.Context, wait time.Duration, id, name string, req, res any) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	b, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("call %s: %w", name, err)
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+backendHost+"/api/call/"+name, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("call %s: %w", name, err)
	}
	hr.Header.Set("Content-Type", "application/json")
	resp, err := (&session{g: g, id: id}).RoundTrip(hr)
	if err != nil {
		return g.backendError(id, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFrame))
	if err != nil {
		return g.backendError(id, err)
	}
	if resp.StatusCode != http.StatusOK {
		var e api.Error
		if json.Unmarshal(body, &e) != nil || e.Code == "" {
			return fmt.Errorf("call %s: the backend answered %s", name, resp.Status)
		}
		return &e
	}
	if err := json.Unmarshal(body, res); err != nil {
		return fmt.Errorf("call %s: read answer: %w", name, err)
	}
	return nil
}

const (
	// toldMost is how much a page that is behind has before it; the oldest is dropped then.
	toldMost = 4
	// lateWait is how long a window that opens is still shown what was meant for it.
	lateWait = time.Minute
)

// tell sends a frame of topic environments to every page; no reader holds it up.
func (g *Gateway) tell(f api.ServerFrame) (pages int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for ch := range g.watchers {
		for {
			select {
			case ch <- f:
			default:
				select {
				case <-ch: // what it says is overtaken by what comes
				default:
				}
				continue
			}
			break
		}
	}
	return len(g.watchers)
}

// show has every page show it, or the one that opens within lateWait; it reports that none is there yet.
func (g *Gateway) show(o api.OpenedPath) (unseen bool) {
	if g.tell(api.ServerFrame{Type: api.FrameOpen, Opened: &o}) > 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late, g.lateUntil = &o, g.o.Now().Add(lateWait)
	return true
}

// watchTold delivers what tell sends until ctx ends.
func (g *Gateway) watchTold(ctx context.Context) <-chan api.ServerFrame {
	ch := make(chan api.ServerFrame, toldMost)
	g.mu.Lock()
	g.watchers[ch] = struct{}{}
	if g.late != nil {
		if g.o.Now().Before(g.lateUntil) {
			ch <- api.ServerFrame{Type: api.FrameOpen, Opened: g.late}
		}
		g.late = nil
	}
	g.mu.Unlock()
	context.AfterFunc(ctx, func() {
		g.mu.Lock()
		delete(g.watchers, ch)
		g.mu.Unlock()
	})
	return ch
}
