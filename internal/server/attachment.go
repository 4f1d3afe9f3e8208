package server

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/attachment"
	"catamaran/internal/auth"
)

const (
	// attachmentLife is how long an attachment's address can be read.
	attachmentLife = 10 * time.Minute
	// FileNameHeader carries an uploaded file's name, percent-encoded.
	FileNameHeader = "Catamaran-File-Name"
	// unsent stands in an address for the thread of a file that was not sent yet.
	unsent = "-"
)

// serveUpload keeps the body as a file that a message may carry.
func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	err := s.authorize(auth.Bearer(r))
	if err == nil {
		err = s.ready()
	}
	var a api.Attachment
	if err == nil {
		name, uerr := url.PathUnescape(r.Header.Get(FileNameHeader))
		if uerr != nil {
			name = "" // a name is made then
		}
		a, err = s.o.Engine.Upload(r.Context(), name, http.MaxBytesReader(w, r.Body, attachment.Most))
	}
	if err != nil {
		auth.WriteError(w, s.explain(pathUpload, err))
		return
	}
	writeJSON(w, a)
}

// attachmentAudience is what a signed address is good for: one file.
func attachmentAudience(path string) string { return "attachment " + path }

// attachmentURL signs an address. That the file is there is found out here, where it can be told well.
func (s *Server) attachmentURL(_ context.Context, r api.AttachmentRef) (api.AttachmentURL, error) {
	if err := s.ready(); err != nil {
		return api.AttachmentURL{}, err
	}
	if _, _, err := s.o.Engine.Attachment(r.ThreadID, r.ID); err != nil {
		return api.AttachmentURL{}, err
	}
	thread := r.ThreadID
	if thread == "" {
		thread = unsent
	}
	path := thread + "/" + r.ID
	ends := time.Now().Add(attachmentLife)
	return api.AttachmentURL{
		URL: pathAttachment + path + "?" + url.Values{"signed": {s.o.Identity.Sign(attachmentAudience(path), ends)}}.Encode(), ExpiresAt: ends.UnixMilli(),
	}, nil
}

// serveAttachment answers a signed address, or a request with a token. A signature that
// is given counts alone: the desktop adds its token to whatever it passes on.
func (s *Server) serveAttachment(w http.ResponseWriter, r *http.Request, path string) {
	var err error
	if signed := r.URL.Query().Get("signed"); signed == "" {
		err = s.authorize(auth.Bearer(r))
	} else if s.o.Identity.Verify(signed, attachmentAudience(path), time.Now()) != nil {
		// Not 401: nobody's session ended.
		err = &api.Error{Code: api.CodeForbidden, Message: "This address is not good any more.", Hint: "Open the file from its message again."}
	}
	if err == nil {
		err = s.ready()
	}
	var f *os.File
	var a api.Attachment
	if err == nil {
		f, a, err = s.openAttachment(path)
	}
	if err != nil {
		auth.WriteError(w, s.explain(pathAttachment, err))
		return
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", a.Mime)
	h.Set("X-Content-Type-Options", "nosniff")
	// Nothing in it may run or load anything, also where it is opened as a page.
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": a.Name}))
	http.ServeContent(w, r, "", time.Time{}, f)
}

func (s *Server) openAttachment(path string) (*os.File, api.Attachment, error) {
	thread, id, ok := strings.Cut(path, "/")
	if thread == unsent {
		thread = ""
	} else if thread == "" {
		ok = false
	}
	if !ok {
		return nil, api.Attachment{}, &api.Error{Code: api.CodeNotFound, Message: "There is nothing at this address."}
	}
	file, a, err := s.o.Engine.Attachment(thread, id)
	if err != nil {
		return nil, a, err
	}
	f, err := os.Open(file)
	return f, a, err
}
