package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/engine"
)

var picture = append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte{7}, 3000)...)

// noAgents is a registry that knows none.
type noAgents struct{}

func (noAgents) List(context.Context, bool) ([]api.Agent, error) { return nil, nil }
func (noAgents) Resolve(context.Context, string) (agent.Driver, agent.Config, []string, error) {
	return nil, agent.Config{}, nil, &api.Error{Code: api.CodeAgentNotFound, Message: "None."}
}

// run gives the server an engine that works.
func (f *fixture) run() {
	f.t.Helper()
	ready := make(chan struct{})
	e, err := engine.New(engine.Options{DataDir: f.t.TempDir(), Agents: noAgents{}, Phase: func(p api.Phase, reason *api.Error) {
		f.SetPhase(p, reason)
		if p == api.PhaseReady {
			close(ready)
		}
	}})
	if err != nil {
		f.t.Fatal(err)
	}
	f.o.Engine = e
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.t.Errorf("engine: %v", err)
		}
	})
	<-ready
}

// upload sends a file and decodes the answer into out.
func (f *fixture) upload(prefix, token, name string, body []byte, out any) int {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), "POST", f.http.URL+prefix+pathUpload, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "image/svg+xml") // nobody asks
	r.Header.Set(FileNameHeader, name)
	return f.answer(r, out)
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	for name, prefix := range map[string]string{"link": "", "door": "/e/local"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			if prefix != "" {
				f = newDoor(t)
			}
			f.run()
			var e api.Error
			if code := f.upload(prefix, "x", "a.png", picture, &e); code != 401 {
				t.Errorf("without a session: %d %+v", code, e)
			}
			for what, body := range map[string][]byte{"svg": []byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), "large": append(picture, make([]byte, 10<<20)...)} {
				if code := f.upload(prefix, f.token(), what, body, &e); code != 400 && code != 413 {
					t.Errorf("%s: %d %+v", what, code, e)
				}
			}
			var a api.Attachment
			if code := f.upload(prefix, f.token(), "Bild%20%C3%A4.png", picture, &a); code != 200 || a.Name != "Bild ä.png" || a.Mime != "image/png" || a.Bytes != int64(len(picture)) {
				t.Fatalf("%d %+v", code, a)
			}
			var u api.AttachmentURL
			if code := f.do("POST", prefix+"/api/call/attachment.url", f.token(), fmt.Sprintf(`{"id":%q}`, a.ID), &u); code != 200 || u.ExpiresAt <= time.Now().UnixMilli() {
				t.Fatalf("%d %+v", code, u)
			}
			if code := f.do("POST", prefix+"/api/call/attachment.url", f.token(), `{"id":"a_0"}`, &e); code != 404 {
				t.Errorf("an address for nothing: %d", code)
			}
			res, err := http.Get(f.http.URL + prefix + u.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			h := res.Header
			if err != nil || res.StatusCode != 200 || !bytes.Equal(got, picture) || h.Get("Content-Type") != "image/png" || h.Get("X-Content-Type-Options") != "nosniff" ||
				h.Get("Content-Security-Policy") != "default-src 'none'; sandbox" || !strings.HasPrefix(h.Get("Content-Disposition"), "inline; filename") || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %d bytes, %v, %v", res.Status, len(got), h, err)
			}
			signed := u.URL[strings.Index(u.URL, "?"):]
			old := f.o.Identity.Sign(attachmentAudience("-/"+a.ID), time.Now().Add(-time.Second))
			for what, c := range map[string]struct {
				url  string
				code int
			}{
				"unsigned":        {"/api/attachment/-/" + a.ID, 401},
				"another file":    {"/api/attachment/-/a_0" + signed, 403},
				"another thread":  {"/api/attachment/t_1/" + a.ID + signed, 403},
				"expired":         {"/api/attachment/-/" + a.ID + "?signed=" + old, 403},
				"a session token": {"/api/attachment/-/" + a.ID + "?signed=" + f.token(), 403},
				"no file":         {"/api/attachment/", 401},
			} {
				if code := f.do("GET", prefix+c.url, "", "", &e); code != c.code {
					t.Errorf("%s: %d, want %d", what, code, c.code)
				}
			}
			// The desktop adds its own token to what it passes on: a wrong signature stays wrong.
			if code := f.do("GET", prefix+"/api/attachment/-/"+a.ID+"?signed="+old, f.token(), "", &e); code != 403 {
				t.Errorf("expired, with a token: %d", code)
			}
			if code := f.do("GET", prefix+"/api/attachment/-/"+a.ID, f.token(), "", nil); code != 200 {
				t.Errorf("with a token: %d", code)
			}
			for _, path := range []string{"/api/attachment/../" + a.ID, "/api/attachment/-/..%2f..%2fcatamaran.db", "/api/attachment//" + a.ID} {
				if code := f.do("GET", prefix+path, f.token(), "", nil); code == 200 {
					t.Errorf("%s is served", path)
				}
			}
		})
	}
}
