package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"catamaran/internal/api"
)

func TestDoor(t *testing.T) {
	t.Parallel()
	type header map[string]string
	for name, tc := range map[string]struct {
		method, host string
		header       header
		anyPort      bool
		refused      bool
	}{
		"ip":                         {host: "127.0.0.1:4711"},
		"name":                       {host: "LocalHost:4711"},
		"ipv6":                       {host: "[::1]:4711"},
		"other port":                 {host: "127.0.0.1:4712", refused: true},
		"any port":                   {host: "127.0.0.1:4712", anyPort: true},
		"no port":                    {host: "127.0.0.1", refused: true},
		"rebound name":               {host: "evil.example:4711", refused: true},
		"rebound name, any port":     {host: "evil.example:4711", anyPort: true, refused: true},
		"name that begins right":     {host: "127.0.0.1.evil.example:4711", refused: true},
		"other loopback":             {host: "127.0.0.2:4711", refused: true},
		"all addresses":              {host: "0.0.0.0:4711", refused: true},
		"bare ipv6":                  {host: "::1:4711", refused: true},
		"signed port":                {host: "127.0.0.1:+4711", refused: true},
		"own origin":                 {host: "127.0.0.1:4711", header: header{"Origin": "http://127.0.0.1:4711"}},
		"own origin by name":         {host: "localhost:4711", header: header{"Origin": "http://localhost:4711"}},
		"foreign origin":             {host: "127.0.0.1:4711", header: header{"Origin": "https://evil.example"}, refused: true},
		"foreign port":               {host: "127.0.0.1:4711", header: header{"Origin": "http://127.0.0.1:3000"}, refused: true},
		"null origin":                {host: "127.0.0.1:4711", header: header{"Origin": "null"}, refused: true},
		"empty origin":               {host: "127.0.0.1:4711", header: header{"Origin": ""}, refused: true},
		"https origin":               {host: "127.0.0.1:4711", header: header{"Origin": "https://127.0.0.1:4711"}, refused: true},
		"origin with user":           {host: "127.0.0.1:4711", header: header{"Origin": "http://a@127.0.0.1:4711"}, refused: true},
		"origin with path":           {host: "127.0.0.1:4711", header: header{"Origin": "http://127.0.0.1:4711/x"}, refused: true},
		"upgrade, foreign origin":    {host: "127.0.0.1:4711", header: header{"Upgrade": "websocket", "Origin": "https://evil.example"}, refused: true},
		"cross-site fetch":           {host: "127.0.0.1:4711", header: header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, refused: true},
		"other port's fetch":         {host: "127.0.0.1:4711", header: header{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, refused: true},
		"link from elsewhere":        {host: "127.0.0.1:4711", header: header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}},
		"frame elsewhere":            {host: "127.0.0.1:4711", header: header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, refused: true},
		"form from elsewhere":        {method: "POST", host: "127.0.0.1:4711", header: header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, refused: true},
		"own post":                   {method: "POST", host: "127.0.0.1:4711", header: header{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:4711"}},
		"program's post":             {method: "POST", host: "127.0.0.1:4711"},
		"post from another own name": {method: "POST", host: "127.0.0.1:4711", header: header{"Origin": "http://localhost:4711"}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method := tc.method
			if method == "" {
				method = "GET"
			}
			port := 4711
			if tc.anyPort {
				port = 0
			}
			r := httptest.NewRequest(method, "/api/environments", nil)
			r.Host = tc.host
			for k, v := range tc.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			reached := false
			Door(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }), port).ServeHTTP(w, r)
			if reached == tc.refused {
				t.Fatalf("reached %v, status %d", reached, w.Code)
			}
			if tc.refused {
				var e api.Error
				if json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Code != api.CodeForbidden || w.Code != 403 {
					t.Fatalf("status %d, body %s", w.Code, w.Body)
				}
			}
			h := w.Header()
			csp := h.Get("Content-Security-Policy")
			if !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "connect-src 'self'") ||
				h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
				t.Fatalf("headers %v", h)
			}
			if strings.Contains(csp, "evil") {
				t.Fatal("a refused host is in the policy")
			}
			for k := range h {
				if strings.HasPrefix(k, "Access-Control-") || k == "Set-Cookie" {
					t.Fatalf("header %s is sent", k)
				}
			}
		})
	}
}

func TestDoorTwoOrigins(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "127.0.0.1:4711"
	r.Header["Origin"] = []string{"http://127.0.0.1:4711", "https://evil.example"}
	w := httptest.NewRecorder()
	Door(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }), 4711).ServeHTTP(w, r)
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":            "",
		"Bearer abc":  "abc",
		"bearer  abc": "abc",
		"Basic abc":   "",
		"Bearer":      "",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", in)
		if got := Bearer(r); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWriteError(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err    error
		status int
		code   api.Code
	}{
		"own":       {fmt.Errorf("load: %w", &api.Error{Code: api.CodeNotFound, Message: "No such thread."}), 404, api.CodeNotFound},
		"token":     {&api.Error{Code: api.CodeTokenExpired}, 401, api.CodeTokenExpired},
		"not ready": {&api.Error{Code: api.CodeNotReady}, 503, api.CodeNotReady},
		"unknown":   {errors.New("secret path /home/x"), 500, api.CodeInternal},
		"deadline":  {fmt.Errorf("git: %w", context.DeadlineExceeded), 504, api.CodeTimeout},
		"cancelled": {context.Canceled, 499, api.CodeCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			WriteError(w, tc.err)
			var e api.Error
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
				t.Fatal(err)
			}
			if w.Code != tc.status || e.Code != tc.code || w.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("status %d, %+v", w.Code, e)
			}
			if strings.Contains(w.Body.String(), "secret") {
				t.Fatal("an internal error leaks")
			}
			if (tc.code == api.CodeInternal) != (e.Ref != "") {
				t.Fatalf("ref %q", e.Ref)
			}
		})
	}
}

func TestExplainLogsTheRef(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	e := Explain(slog.New(slog.NewTextHandler(&b, nil)), errors.New("disk on fire"))
	if !strings.Contains(b.String(), e.Ref) || !strings.Contains(b.String(), "disk on fire") {
		t.Fatalf("log %q, ref %q", b.String(), e.Ref)
	}
}

func TestReadJSON(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body, contentType string
		chunked           bool
		want              api.Code
		path              string
	}{
		"good":           {body: `{"path":"/x","new":1}`, contentType: "application/json", path: "/x"},
		"with charset":   {body: `{"path":"/x"}`, contentType: "application/json; charset=utf-8", path: "/x"},
		"chunked":        {body: `{"path":"/x"}`, contentType: "application/json", chunked: true, path: "/x"},
		"empty":          {},
		"empty, chunked": {chunked: true},
		"form":           {body: `{"path":"/x"}`, contentType: "text/plain", want: api.CodeInvalid},
		"undeclared":     {body: `{"path":"/x"}`, want: api.CodeInvalid},
		"not json":       {body: `path=/x`, contentType: "application/json", want: api.CodeInvalid},
		"two values":     {body: `{} {}`, contentType: "application/json", want: api.CodeInvalid},
		"wrong type":     {body: `{"path":7}`, contentType: "application/json", want: api.CodeInvalid},
		"too large":      {body: `{"path":"` + strings.Repeat("x", 200) + `"}`, contentType: "application/json", want: api.CodeTooLarge},
		"too large, chunked": {
			body: `{"path":"` + strings.Repeat("x", 200) + `"}`, contentType: "application/json", chunked: true, want: api.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body io.Reader = strings.NewReader(tc.body)
			if tc.chunked {
				body = struct{ io.Reader }{body}
			}
			r := httptest.NewRequest("POST", "/", body)
			if tc.contentType != "" {
				r.Header.Set("Content-Type", tc.contentType)
			}
			var got api.ProjectAdd
			err := ReadJSON(httptest.NewRecorder(), r, 100, &got)
			if api.CodeOf(err) != tc.want || (err == nil && got.Path != tc.path) {
				t.Fatalf("error %v, got %+v", err, got)
			}
		})
	}
}
