package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"catamaran/internal/api"
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
	g.mu.Lock()
	for ch := range g.watchers {
		select {
		case ch <- opened:
		default: // this page has not shown the last one yet; the newest wins with the next open
		}
	}
	g.mu.Unlock()
	return opened, nil
}

// owner decides whose path it is: \\wsl.localhost\<distro>\... belongs to that
// distro's environment, everything else to this computer. A path that nobody
// can take is refused, never guessed at (W2.3).
func owner(path string, now api.Environments) (id, native string, err error) {
	if path == "" {
		return "", "", &api.Error{Code: api.CodeInvalid, Message: "No path was given."}
	}
	distro, inside, isWSL := splitWSL(path)
	for _, e := range now.Environments {
		if isWSL && e.Distro != "" && strings.EqualFold(e.Distro, distro) {
			return e.ID, inside, nil
		}
		if !isWSL && e.ID == LocalEnvironment {
			return e.ID, path, nil
		}
	}
	if isWSL {
		return "", "", &api.Error{
			Code: api.CodeEnvironmentDown, Message: fmt.Sprintf("No environment runs in the distro %q, which owns %s.", distro, path),
			Hint: "Run: catamaran env use both --distro " + distro,
		}
	}
	return "", "", &api.Error{
		Code: api.CodeEnvironmentDown, Message: fmt.Sprintf("%s is a path of this computer, and no environment runs on it.", path),
		Hint: "Run: catamaran env use both",
	}
}

// splitWSL reads \\wsl.localhost\<distro>\path and its spellings (wsl$, slashes
// either way, \\?\UNC\). inside is absolute and cleaned of empty, "." and ".."
// parts, which never lead above the root.
func splitWSL(path string) (distro, inside string, ok bool) {
	s := strings.ReplaceAll(path, `\`, "/")
	if rest, ok := cutPrefixFold(s, "//?/UNC/"); ok {
		s = "//" + rest
	}
	rest, ok := cutPrefixFold(s, "//wsl.localhost/")
	if !ok {
		if rest, ok = cutPrefixFold(s, "//wsl$/"); !ok {
			return "", "", false
		}
	}
	distro, rest, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if distro == "" {
		return "", "", false
	}
	var parts []string
	for p := range strings.SplitSeq(rest, "/") {
		switch p {
		case "", ".":
		case "..":
			parts = parts[:max(0, len(parts)-1)]
		default:
			parts = append(parts, p)
		}
	}
	return distro, "/" + strings.Join(parts, "/"), true
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// callBackend makes one call of the desktop's own to a backend.
func (g *Gateway) callBackend(ctx context.Context, id, name string, req, res any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
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

// watchOpened delivers opened paths until ctx ends; a reader that is behind misses all but the one it is at.
func (g *Gateway) watchOpened(ctx context.Context) <-chan api.OpenedPath {
	ch := make(chan api.OpenedPath, 1)
	g.mu.Lock()
	g.watchers[ch] = struct{}{}
	g.mu.Unlock()
	context.AfterFunc(ctx, func() {
		g.mu.Lock()
		delete(g.watchers, ch)
		g.mu.Unlock()
	})
	return ch
}
