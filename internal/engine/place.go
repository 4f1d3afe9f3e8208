package engine

import (
	"context"

	"catamaran/internal/api"
)

// Folder is the folder that a place means: a thread's own working tree, or else
// its project's folder. Errors are *api.Error.
func (e *Engine) Folder(ctx context.Context, projectID, threadID string) (string, error) {
	dir, err := e.folder(ctx, projectID, threadID)
	return dir, e.clientError("find the folder", err)
}

func (e *Engine) folder(ctx context.Context, projectID, threadID string) (string, error) {
	st, err := e.ready()
	if err != nil {
		return "", err
	}
	if threadID != "" {
		t, err := st.Thread(ctx, threadID)
		if err != nil {
			return "", err
		}
		if projectID != "" && projectID != t.ProjectID {
			return "", &api.Error{Code: api.CodeInvalid, Message: "The thread belongs to another project."}
		}
		if t.Dir != "" {
			return t.Dir, nil
		}
		projectID = t.ProjectID
	}
	p, err := e.project(ctx, st, projectID)
	return p.Path, err
}
