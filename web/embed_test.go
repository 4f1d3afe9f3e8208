package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func get(h http.Handler, method, target, encoding string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestHandler(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("console.log(1);\n", 200)
	h := newHandler(fstest.MapFS{
		"index.html":         {Data: []byte("<!doctype html>page")},
		"assets/main-abc.js": {Data: []byte(long)},
		"favicon.svg":        {Data: []byte("<svg/>")},
		".keep":              {},
	})
	for _, c := range []struct {
		name, method, target string
		status               int
		ctype, cache         string
	}{
		{"page", "GET", "/", 200, "text/html; charset=utf-8", "no-store"},
		{"page by name", "GET", "/index.html", 200, "text/html; charset=utf-8", "no-store"},
		{"route of the page", "GET", "/thread/abc", 200, "text/html; charset=utf-8", "no-store"},
		{"asset", "GET", "/assets/main-abc.js", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"old asset", "GET", "/assets/main-old.js", 404, "", "no-store"},
		{"file", "GET", "/favicon.svg", 200, "image/svg+xml", "no-store"},
		{"no file", "GET", "/nothing.png", 404, "", "no-store"},
		{"api", "GET", "/api/environments", 404, "", "no-store"},
		{"environment", "GET", "/e/local/api/descriptor", 404, "", "no-store"},
		{"socket", "GET", "/ws", 404, "", "no-store"},
		{"hidden file", "GET", "/.keep", 404, "", "no-store"},
		{"dots", "GET", "/../../etc/passwd", 200, "text/html; charset=utf-8", "no-store"},
		{"head", "HEAD", "/", 200, "text/html; charset=utf-8", "no-store"},
		{"post", "POST", "/", 405, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res := get(h, c.method, c.target, "")
			if res.StatusCode != c.status {
				t.Fatalf("status %d, want %d", res.StatusCode, c.status)
			}
			if got := res.Header.Get("Content-Type"); c.ctype != "" && got != c.ctype {
				t.Errorf("type %q, want %q", got, c.ctype)
			}
			if got := res.Header.Get("Cache-Control"); got != c.cache {
				t.Errorf("cache %q, want %q", got, c.cache)
			}
		})
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("console.log(1);\n", 200)
	h := newHandler(fstest.MapFS{"assets/a.js": {Data: []byte(long)}})
	for _, c := range []struct {
		accept string
		gz     bool
	}{{"", false}, {"gzip", true}, {"br, gzip;q=0.8", true}, {"gzip;q=0", false}, {"*", true}, {"br", false}} {
		res := get(h, "GET", "/assets/a.js", c.accept)
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != c.gz {
			t.Errorf("%q: gzip %v, want %v", c.accept, got, c.gz)
			continue
		}
		var r io.Reader = res.Body
		if c.gz {
			z, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			r = z
		}
		b, err := io.ReadAll(r)
		if err != nil || string(b) != long {
			t.Errorf("%q: body of %d bytes, %v", c.accept, len(b), err)
		}
		if res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: no Vary", c.accept)
		}
	}
}

// TestGzipOnly: what is kept as gzip alone is served to everybody.
func TestGzipOnly(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("console.log(1);\n", 200)
	h := newHandler(fstest.MapFS{"assets/lang.js.gz": {Data: compress(gzip.NewWriter(io.Discard), []byte(long))}, "assets/bad.js.gz": {Data: []byte("no gzip")}})
	for _, accept := range []string{"", "gzip"} {
		res := get(h, "GET", "/assets/lang.js", accept)
		var r io.Reader = res.Body
		if res.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			r = z
		}
		b, err := io.ReadAll(r)
		if err != nil || string(b) != long || res.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%q: %d bytes, %v, %v", accept, len(b), err, res.Header)
		}
	}
	if res := get(h, "GET", "/assets/bad.js", ""); res.StatusCode != http.StatusInternalServerError {
		t.Error(res.Status)
	}
	if res := get(h, "GET", "/assets/lang.js.gz", ""); res.StatusCode != http.StatusNotFound {
		t.Error(res.Status)
	}
}

func TestNotBuiltSaysWhatToDo(t *testing.T) {
	t.Parallel()
	res := get(newHandler(fstest.MapFS{".keep": {}}), "GET", "/", "")
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(b), "make web") {
		t.Errorf("%d %q", res.StatusCode, b)
	}
}

func TestPolicyNamesThePagesOwnInlineScripts(t *testing.T) {
	t.Parallel()
	h := newHandler(fstest.MapFS{"index.html": {Data: []byte("<script>alert(1)</script><script src=\"/a.js\"></script><script>two()</script>")}})
	policy := get(h, "GET", "/", "").Header.Get("Content-Security-Policy")
	// printf 'alert(1)' | openssl dgst -sha256 -binary | base64, and the same of two().
	want := "script-src 'self' 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=' 'sha256-iMrPAWirDC2X0OhZzLsM2MRIWSmepJGI4r7D8ZlwBOw=';"
	if !strings.Contains(policy, want) {
		t.Errorf("policy %q", policy)
	}
	if policy := get(newHandler(fstest.MapFS{"index.html": {Data: []byte("none")}}), "GET", "/", "").Header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self';") {
		t.Errorf("policy without scripts %q", policy)
	}
}
