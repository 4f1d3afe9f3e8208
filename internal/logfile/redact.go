package logfile

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

const redacted = "[redacted]"

const (
	// minSecret is the shortest value that is taken out: shorter ones occur by
	// chance and would make the log unreadable.
	minSecret = 6
	// maxSecrets bounds what is remembered; the oldest are kept, as they are the
	// long-lived ones.
	maxSecrets = 4096
)

var (
	secretsMu sync.Mutex
	secrets   = map[string]bool{}
	replacer  atomic.Pointer[strings.Replacer]
)

// Secret makes every log of this process write "[redacted]" in place of value
// from now on: as it is, and quoted, escaped for a URL or in base64. Values of
// fewer than 6 bytes are ignored, so are those beyond 4,096 different ones.
func Secret(value string) {
	if len(value) < minSecret {
		return
	}
	secretsMu.Lock()
	defer secretsMu.Unlock()
	if secrets[value] || len(secrets) >= maxSecrets {
		return
	}
	secrets[value] = true
	var forms []string
	for s := range secrets {
		forms = append(forms, formsOf(s)...)
	}
	// The longest first: one secret may begin with another.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	forms = slices.Compact(forms)
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		pairs = append(pairs, form, redacted)
	}
	replacer.Store(strings.NewReplacer(pairs...))
}

// formsOf lists the ways in which a value shows in a JSON line.
func formsOf(value string) []string {
	once := inJSON(value)
	raw := []byte(value)
	return []string{
		value, once, inJSON(once), // quoted in an error's text, and that in JSON
		inHTML(value), inJSON(inHTML(value)), // the same by an encoder that escapes for HTML
		url.QueryEscape(value), url.PathEscape(value),
		base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
	}
}

// inJSON is s as it stands between the quotes of a JSON string.
func inJSON(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return s
	}
	return strings.TrimSuffix(strings.TrimSuffix(b.String(), "\n"), `"`)[1:]
}

// inHTML is inJSON with the escapes that encoding/json makes by default.
func inHTML(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return s
	}
	return string(b[1 : len(b)-1])
}

// Redact takes the registered secrets out of s.
func Redact(s string) string {
	if r := replacer.Load(); r != nil {
		return r.Replace(s)
	}
	return s
}

func redactBytes(b []byte) []byte {
	r := replacer.Load()
	if r == nil {
		return b
	}
	return []byte(r.Replace(string(b)))
}

// redactAttr hides attributes by their key: code and key as they are (an error
// code belongs under another name), the others also as part of one.
func redactAttr(groups []string, a slog.Attr) slog.Attr {
	if secretKey(a.Key) || slices.ContainsFunc(groups, secretKey) {
		return slog.String(a.Key, redacted)
	}
	return a
}

func secretKey(key string) bool {
	key = strings.ToLower(key)
	if key == "code" || key == "key" {
		return true
	}
	for _, word := range []string{"token", "credential", "authorization", "secret", "password", "apikey", "api_key"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}
