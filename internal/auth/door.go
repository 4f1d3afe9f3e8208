package auth

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"catamaran/internal/api"
)

// Door wraps a handler with what every loopback door needs: the Host allow-list
// (127.0.0.1, localhost, [::1] with the given port; 0 accepts any port) and the
// Origin allow-list on every request that says where it comes from,
// http.CrossOriginProtection beside them, and the security headers. A request
// without Origin (a navigation, a program) passes here and still needs a token
// where one is due. Failures are answered with an api.Error. It sends no CORS
// header, so no other page can read an answer.
func Door(next http.Handler, port int) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowedHost(r.Host, port) {
			// A name that leads here by DNS rebinding ends at this line.
			secureHeaders(w.Header(), "")
			WriteError(w, forbidden("This address is not one of Catamaran's."))
			return
		}
		secureHeaders(w.Header(), r.Host)
		if o := r.Header.Values("Origin"); len(o) > 1 || len(o) == 1 && !allowedOrigin(o[0], port) {
			WriteError(w, forbidden("Another page may not use Catamaran."))
			return
		}
		if foreignFetch(r) || cross.Check(r) != nil {
			WriteError(w, forbidden("Another page may not use Catamaran."))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func forbidden(message string) error {
	return &api.Error{Code: api.CodeForbidden, Message: message, Hint: "Open Catamaran by the address it printed."}
}

// foreignFetch reports a browser's own word that another page asks for anything
// but a navigation here. Other ports of this machine count as "same-site".
func foreignFetch(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		navigation := (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
			r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
		return !navigation
	}
	return false
}

// allowedHost reports whether a Host header names this machine's loopback and the port.
func allowedHost(host string, port int) bool {
	name, p := host, "80"
	if h, q, err := net.SplitHostPort(host); err == nil {
		name, p = "["+h+"]", q
		if !strings.Contains(h, ":") {
			name = h
		}
	}
	switch strings.ToLower(name) {
	case "127.0.0.1", "localhost", "[::1]":
	default:
		return false
	}
	n, err := strconv.ParseUint(p, 10, 16)
	return err == nil && (port == 0 || int(n) == port)
}

// allowedOrigin reports whether an Origin header is a page of this door.
func allowedOrigin(origin string, port int) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return allowedHost(u.Host, port)
}

// secureHeaders sets the headers of every answer. host is the checked Host: old
// WebKit does not count a WebSocket to the same origin as 'self', so it is named.
func secureHeaders(h http.Header, host string) {
	connect := "'self'"
	if host != "" {
		connect += " ws://" + host
	}
	// Inline style attributes are how highlighters and virtual lists place
	// things; scripts are never inline.
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "+
		"img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src "+connect+"; "+
		"worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// Bearer returns the token of the Authorization header, "" without one.
func Bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
