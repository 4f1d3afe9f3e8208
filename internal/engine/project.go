package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/store"
	"catamaran/internal/thread"
)

// AddProject adds a directory; one that is there already is returned as it is.
func (e *Engine) AddProject(ctx context.Context, commandID string, r api.ProjectAdd) (api.Project, error) {
	return run(e, ctx, commandID, api.MethodProjectAdd, func(c *command) (api.Project, error) {
		path, err := projectPath(r.Path)
		if err != nil {
			return api.Project{}, err
		}
		var at git.CheckedOut
		if e.o.Git != nil {
			gctx, cancel := context.WithTimeout(ctx, e.t.call)
			if at, err = e.o.Git(gctx, path); err != nil {
				e.log.Info("look for a repository", "path", path, "error", err)
			}
			cancel()
		}
		e.shellMu.Lock()
		defer e.shellMu.Unlock()
		if p, err := c.st.ProjectAt(ctx, path); err == nil {
			return p, nil
		} else if !errors.Is(err, store.ErrNotFound) {
			return api.Project{}, err
		}
		name := strings.TrimSpace(r.Name)
		if name == "" {
			name = filepath.Base(path)
		}
		p := api.Project{ID: newID("p"), Name: name, Path: path, Git: at.Repo, Branch: at.Branch, DetachedAt: at.DetachedAt, CreatedAt: e.now()}
		return p, c.commit(ctx, p.ID, []store.Event{e.projectEvent(c, p)}, p)
	})
}

func (e *Engine) projectEvent(c *command, p api.Project) store.Event {
	return store.Event{Stream: store.Shell, Event: api.Event{Type: api.EventProjectUpserted, At: e.now(), TraceID: c.trace, Project: &p}}
}

// RenameProject changes a project's name.
func (e *Engine) RenameProject(ctx context.Context, commandID string, r api.ProjectRename) (api.Project, error) {
	return run(e, ctx, commandID, api.MethodProjectRename, func(c *command) (api.Project, error) {
		name := strings.TrimSpace(r.Name)
		if name == "" || len(name) > 500 {
			return api.Project{}, &api.Error{Code: api.CodeInvalid, Message: "A name has 1 to 500 characters."}
		}
		e.shellMu.Lock()
		defer e.shellMu.Unlock()
		p, err := e.project(ctx, c.st, r.ProjectID)
		if err != nil {
			return p, err
		}
		p.Name = name
		return p, c.commit(ctx, p.ID, []store.Event{e.projectEvent(c, p)}, p)
	})
}

func (e *Engine) project(ctx context.Context, st *store.Store, id string) (api.Project, error) {
	p, err := st.Project(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return p, &api.Error{Code: api.CodeNotFound, Message: "This project does not exist (any more)."}
	}
	return p, err
}

// RemoveProject removes a project and its threads; the files stay. It is refused while a turn runs.
func (e *Engine) RemoveProject(ctx context.Context, commandID string, r api.ProjectRef) (api.Empty, error) {
	return run(e, ctx, commandID, api.MethodProjectRemove, func(c *command) (api.Empty, error) {
		e.shellMu.Lock()
		defer e.shellMu.Unlock()
		p, err := e.project(ctx, c.st, r.ProjectID)
		if err != nil {
			return api.Empty{}, err
		}
		threads, err := c.st.Threads(ctx, p.ID)
		if err != nil {
			return api.Empty{}, err
		}
		defer e.freeze(p.ID)()
		var events []store.Event
		for _, t := range threads {
			err := e.onThread(ctx, t.ID, func(a *actor) error {
				if a.state.Active != nil {
					return &api.Error{Code: api.CodeConflict, Message: "The project can't be removed while a turn runs in it.", Hint: "Stop it first: " + t.Title}
				}
				return nil
			})
			if err != nil {
				return api.Empty{}, err
			}
			events = append(events, stored(t.ID, []api.Event{{Type: api.EventThreadRemoved, At: e.now(), TraceID: c.trace, RemovedID: t.ID}})...)
		}
		events = append(events, store.Event{Stream: store.Shell, Event: api.Event{Type: api.EventProjectRemoved, At: e.now(), TraceID: c.trace, RemovedID: p.ID}})
		if err := c.commit(ctx, "", events, api.Empty{}); err != nil {
			return api.Empty{}, err
		}
		e.deleted(p.ID, "")
		for _, t := range threads {
			e.forget(c.st, p.Path, t.ID)
			// An actor that is gone has nothing left to let go of.
			if err := e.onThread(ctx, t.ID, func(a *actor) error { a.removed(); return nil }); err != nil && !errors.Is(err, store.ErrNotFound) {
				e.log.Warn("let go of a removed thread", "thread", t.ID, "error", err)
			}
		}
		return api.Empty{}, nil
	})
}

// freeze lets no thread of a project change until the returned function is called.
func (e *Engine) freeze(projectID string) func() {
	e.mu.Lock()
	e.removing[projectID] = true
	e.mu.Unlock()
	return func() {
		e.mu.Lock()
		delete(e.removing, projectID)
		e.mu.Unlock()
	}
}

func (e *Engine) frozen(projectID string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.removing[projectID]
}

// forget drops what a removed thread leaves outside the database.
func (e *Engine) forget(st *store.Store, dir, threadID string) {
	if err := st.DropSpill(threadID); err != nil {
		e.log.Warn("remove spill files", "thread", threadID, "error", err)
	}
	if err := e.files.Forget(threadID); err != nil {
		e.log.Warn("remove attachments", "thread", threadID, "error", err)
	}
	e.deleted("", threadID)
	if e.o.Checkpoints == nil {
		return
	}
	e.chore(func() {
		ctx, cancel := context.WithTimeout(e.life, e.t.checkpoint)
		defer cancel()
		if err := e.o.Checkpoints.Forget(ctx, dir, threadID); err != nil {
			e.log.Warn("forget checkpoints", "thread", threadID, "error", err)
		}
	})
}

// deleted tells whoever keeps something of a project or a thread outside the engine.
func (e *Engine) deleted(projectID, threadID string) {
	if e.o.Deleted == nil {
		return
	}
	e.chore(func() {
		ctx, cancel := context.WithTimeout(e.life, e.t.call)
		defer cancel()
		e.o.Deleted(ctx, projectID, threadID)
	})
}

// CreateThread starts an empty thread. AgentID "" takes the project's last agent.
func (e *Engine) CreateThread(ctx context.Context, commandID string, r api.ThreadCreate) (api.Thread, error) {
	return run(e, ctx, commandID, api.MethodThreadCreate, func(c *command) (api.Thread, error) {
		if r.Permission == "" {
			r.Permission = api.PermissionSupervised
		}
		if !thread.ValidPermission(r.Permission) {
			return api.Thread{}, &api.Error{Code: api.CodeInvalid, Message: "The permission mode is not known.", Hint: "Use supervised, accept-edits or full."}
		}
		if !thread.ValidOption(r.Model) || !thread.ValidOption(r.Effort) {
			return api.Thread{}, &api.Error{Code: api.CodeInvalid, Message: "The name of the model or effort is too long or has characters that none has.", Hint: "Choose one that the agent offers."}
		}
		title := strings.TrimSpace(r.Title)
		if len(title) > 500 {
			return api.Thread{}, &api.Error{Code: api.CodeInvalid, Message: "A title has at most 500 characters."}
		}
		id := newID("t")
		own, discard, err := e.ownTree(ctx, c.st, id, r)
		if err != nil {
			return api.Thread{}, err
		}
		t, err := e.addThread(ctx, c, id, title, r, own)
		if err != nil {
			discard()
			return t, err
		}
		e.setUp(ctx, c.st, t, own)
		return t, nil
	})
}

// addThread stores a new thread.
func (e *Engine) addThread(ctx context.Context, c *command, id, title string, r api.ThreadCreate, own *ownTree) (api.Thread, error) {
	e.shellMu.Lock()
	defer e.shellMu.Unlock()
	p, err := e.project(ctx, c.st, r.ProjectID)
	if err != nil {
		return api.Thread{}, err
	}
	if r.AgentID == "" {
		r.AgentID = p.AgentID
	}
	if r.AgentID == "" {
		return api.Thread{}, &api.Error{Code: api.CodeInvalid, Message: "No agent is chosen.", Hint: "Choose one of the agents found."}
	}
	t := api.Thread{ID: id, ProjectID: p.ID, Title: title, AgentID: r.AgentID,
		Permission: r.Permission, Model: r.Model, Effort: r.Effort, Plan: r.Plan, CreatedAt: e.now(), UpdatedAt: e.now()}
	if own != nil {
		t.Dir, t.Branch, t.SetupJobID = own.made.Dir, own.made.Branch, own.job
	}
	events := stored(t.ID, []api.Event{{Type: api.EventThreadUpserted, At: e.now(), TraceID: c.trace, Thread: &t}})
	if p.AgentID != r.AgentID {
		p.AgentID = r.AgentID
		events = append(events, e.projectEvent(c, p))
	}
	return t, c.commit(ctx, t.ID, events, t)
}

// projectPath turns what a person gave into the path of an existing directory, symlinks resolved.
func projectPath(given string) (string, error) {
	path := strings.TrimSpace(given)
	if path == "" || strings.ContainsRune(path, 0) {
		return "", &api.Error{Code: api.CodeInvalid, Message: "No folder is given.", Hint: "Choose a folder."}
	}
	if filepath.Separator == '/' && windowsLooking(path) {
		return "", &api.Error{Code: api.CodePathUntranslatable, Message: "This is a Windows path, and this environment does not run on Windows: " + path,
			Hint: "Give the path as this environment sees it, or open the folder in the Windows environment."}
	}
	if path == "~" || strings.HasPrefix(path, "~/") || filepath.Separator == '\\' && strings.HasPrefix(path, `~\`) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", &api.Error{Code: api.CodeInvalid, Message: "No home directory is known here.", Hint: "Give an absolute path."}
		}
		path = filepath.Join(home, path[1:])
	}
	if !filepath.IsAbs(path) {
		return "", &api.Error{Code: api.CodeInvalid, Message: "The path is not absolute: " + path, Hint: "Give the whole path, or one that begins with ~."}
	}
	resolved, err := filepath.EvalSymlinks(filepath.Clean(path))
	var info os.FileInfo
	if err == nil {
		info, err = os.Stat(resolved)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", &api.Error{Code: api.CodeNotFound, Message: "There is no folder " + path + ".", Hint: "Check the path."}
	case errors.Is(err, os.ErrPermission):
		return "", &api.Error{Code: api.CodeForbidden, Message: "The folder can't be opened: " + path, Hint: "Check its permissions."}
	case err != nil:
		return "", &api.Error{Code: api.CodeInvalid, Message: "The folder can't be opened: " + path, Details: err.Error()}
	case !info.IsDir():
		return "", &api.Error{Code: api.CodeInvalid, Message: path + " is not a folder.", Hint: "Choose the folder it is in."}
	}
	return resolved, nil
}

// windowsLooking recognises C:\x, C:/x, C: and \\server\share.
func windowsLooking(p string) bool {
	if strings.HasPrefix(p, `\\`) {
		return true
	}
	if len(p) < 2 || p[1] != ':' {
		return false
	}
	letter := p[0] | 0x20
	return letter >= 'a' && letter <= 'z' && (len(p) == 2 || p[2] == '\\' || p[2] == '/')
}
