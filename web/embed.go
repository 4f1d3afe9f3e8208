// Package web is the page: the built assets, embedded, and the handler that
// serves them. It knows nothing of the API, holds no state and makes no
// request. The gateway and the stand-alone backend mount Handler under "/"
// after their own routes. The page's source is in src; `make web` builds it
// into dist, of which only .keep is committed, so that the Go packages build
// before the page does.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

//go:embed all:dist
var dist embed.FS

// FS returns the built page; without a build it holds only ".keep".
func FS() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	return sub
}

// Handler serves the page: GET and HEAD, the rest is 405. Files under assets/
// have a hash in their name and are cached for ever; everything else is
// no-store. A path that is no file and has no extension is the page itself
// (its router reads the path), unless it belongs to the API ("/api/", "/ws",
// "/e/"), which is 404. The policy headers allow the page's own scripts and
// connections only.
func Handler() http.Handler { return sharedHandler() }

// Compressing is done once for all handlers.
var sharedHandler = sync.OnceValue(func() http.Handler { return newHandler(FS()) })

// policy: of inline scripts only those that index.html itself holds, by their hash; styles may be inline because components set custom properties on elements; scripts may not.
const policy = "default-src 'none'; script-src 'self'%s; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
	"font-src 'self' data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const notBuilt = "The page was not built: run `make web`, then build the program again.\n"

// asset is a file. plain is nil where it is kept as gzip only.
type asset struct {
	name, ctype string
	plain, gz   []byte
}

type handler struct {
	files  map[string]*asset
	policy string
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// policyOf is the policy of a page: the hashes of its own inline scripts are in it.
func policyOf(page []byte) string {
	var hashes strings.Builder
	for _, m := range inlineScript.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(m[1])
		hashes.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
	}
	return fmt.Sprintf(policy, hashes.String())
}

func newHandler(from fs.FS) *handler {
	h := &handler{files: map[string]*asset{}}
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestCompression)
	if err != nil {
		panic(fmt.Sprintf("gzip level: %v", err))
	}
	// Errors cannot happen on an embedded tree; a file left out answers 404.
	_ = fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		if whole, ok := strings.CutSuffix(name, ".gz"); ok {
			if _, err := fs.Stat(from, whole); err == nil {
				return nil // comes with the file itself
			}
			gz, err := fs.ReadFile(from, name)
			if err == nil {
				h.files[whole] = &asset{name: whole, ctype: typeOf(whole), gz: gz}
			}
			return err
		}
		plain, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		a := &asset{name: name, ctype: typeOf(name), plain: plain}
		if gz, err := fs.ReadFile(from, name+".gz"); err == nil {
			a.gz = gz
		} else if len(plain) > 1024 && compressible(a.ctype) {
			a.gz = compress(z, plain)
		}
		h.files[name] = a
		return nil
	})
	if page := h.files["index.html"]; page != nil {
		h.policy = policyOf(page.plain)
	}
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	a := h.files[name]
	if a == nil && isPage(name) {
		a = h.files["index.html"]
		if a == nil {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, notBuilt, http.StatusServiceUnavailable)
			return
		}
	}
	if a == nil {
		w.Header().Set("Cache-Control", "no-store")
		http.NotFound(w, r)
		return
	}
	h.serve(w, r, a)
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request, a *asset) {
	head := w.Header()
	head.Set("Content-Type", a.ctype)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	if a.name == "index.html" {
		head.Set("Content-Security-Policy", h.policy)
	}
	if strings.HasPrefix(a.name, "assets/") {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		head.Set("Cache-Control", "no-store")
	}
	body := a.plain
	if a.gz != nil {
		head.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			head.Set("Content-Encoding", "gzip")
			body = a.gz
		}
	}
	if body == nil && a.gz != nil {
		var err error
		if body, err = unpack(a.gz); err != nil {
			http.Error(w, "damaged", http.StatusInternalServerError)
			return
		}
	}
	head.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the reader went away; nobody is left to tell
	}
}

// isPage tells a route of the page from a missing file or an API path.
func isPage(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	switch first {
	case "api", "ws", "e", "assets":
		return false
	}
	return name == "" || path.Ext(name) == ""
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "*" {
			continue
		}
		q := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(params), "q="))
		if f, err := strconv.ParseFloat(q, 64); err == nil && f == 0 {
			return false
		}
		return true
	}
	return false
}

// typeOf does not ask the system first: its table differs between machines and Windows maps .js to text/plain on some.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".woff2":
		return "font/woff2"
	case ".wasm":
		return "application/wasm"
	case ".png":
		return "image/png"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func compressible(ctype string) bool {
	return strings.HasPrefix(ctype, "text/") || strings.Contains(ctype, "json") || strings.Contains(ctype, "svg") || strings.Contains(ctype, "wasm")
}

// compress packs b with z, which may be used again: a new one takes 800 KB.
func compress(z *gzip.Writer, b []byte) []byte {
	var out bytes.Buffer
	z.Reset(&out)
	if _, err := io.Copy(z, bytes.NewReader(b)); err != nil {
		return nil
	}
	if err := z.Close(); err != nil {
		return nil
	}
	return out.Bytes()
}

// unpack is for the rare client that takes no gzip.
func unpack(gz []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(gz))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
