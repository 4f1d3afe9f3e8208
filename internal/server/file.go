package server

import (
	"context"
	"mime"
	"net/http"
	"strconv"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

// inPlace resolves a place to its folder: clients send ids, never folders.
func inPlace[Req, Res any](ctx context.Context, s *Server, at api.FilePlace, r Req, f func(context.Context, string, Req) (Res, error)) (res Res, err error) {
	if s.o.Files == nil {
		return res, &api.Error{Code: api.CodeUnavailable, Message: "This backend shows no files."}
	}
	dir, err := s.o.Engine.Folder(ctx, at.ProjectID, at.ThreadID)
	if err != nil {
		return res, err
	}
	return f(ctx, dir, r)
}

func (s *Server) findFiles(ctx context.Context, r api.FileFind) (api.FoundFiles, error) {
	return inPlace(ctx, s, r.FilePlace, r, s.o.Files.Find)
}

func (s *Server) listFiles(ctx context.Context, r api.FileList) (api.FileFolder, error) {
	return inPlace(ctx, s, r.FilePlace, r.Path, s.o.Files.List)
}

func (s *Server) readFile(ctx context.Context, r api.FileRead) (api.FileView, error) {
	return inPlace(ctx, s, r.FilePlace, r, s.o.Files.Read)
}

func (s *Server) searchFiles(ctx context.Context, r api.FileSearch) (api.FileMatches, error) {
	return inPlace(ctx, s, r.FilePlace, r, s.o.Files.Search)
}

// serveFile answers a file's own bytes. The page asks with its token and shows
// a picture from memory, so there is no address that could be kept or passed on.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	err := s.authorize(auth.Bearer(r))
	if err == nil {
		err = s.ready()
	}
	var in api.FileRef
	if err == nil {
		err = auth.ReadJSON(w, r, maxSignIn, &in)
	}
	if err != nil {
		auth.WriteError(w, s.explain(api.PathFileBytes, err))
		return
	}
	b, err := inPlace(r.Context(), s, in.FilePlace, in.Path, s.o.Files.Bytes)
	if err != nil {
		auth.WriteError(w, s.explain(api.PathFileBytes, err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", b.Mime)
	h.Set("Content-Length", strconv.Itoa(len(b.Data)))
	// Whatever the bytes are, nothing takes them for a page of ours or runs what is in them.
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": b.Name}))
	_, _ = w.Write(b.Data) // a client that went away has nobody to tell
}
