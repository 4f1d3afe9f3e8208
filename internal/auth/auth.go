// Package auth holds the keys to the doors: one-time codes, session tokens
// signed with a backend's or a gateway's own key, the environment id, and the
// Host and Origin checks every loopback door uses. It never logs a secret.
package auth

import (
	"errors"
	"net/http"
	"time"

	"catamaran/internal/api"
)

var errSkeleton = errors.New("auth: not built yet")

// Identity is a backend's or a gateway's identity, kept in its state folder.
type Identity struct {
	EnvironmentID string // UUID
	key           []byte
}

// LoadIdentity reads dir/identity, or creates it (0600, O_EXCL, fsynced, folder 0700). Two
// processes racing end with one identity.
func LoadIdentity(dir string) (*Identity, error) { return nil, errSkeleton }

// Sign makes a session token that ends at expires.
func (i *Identity) Sign(audience string, expires time.Time) string { return "" }

// Verify checks a token in constant time. Errors: *api.Error with CodeTokenMalformed, CodeTokenForeign, CodeTokenExpired or CodeTokenRevoked.
func (i *Identity) Verify(token, audience string, now time.Time) error { return errSkeleton }

// Revoke makes one token invalid for the life of the process.
func (i *Identity) Revoke(token string) {}

// Codes are one-time credentials.
type Codes struct{}

// NewCodes makes a store in which a code dies at first use or after ttl.
func NewCodes(ttl time.Duration) *Codes { return nil }

// Issue makes a new code (256 bits, URL-safe).
func (c *Codes) Issue() string { return "" }

// Add registers a credential made elsewhere (the envelope's).
func (c *Codes) Add(code string) {}

// Redeem uses a code up; *api.Error CodeUnauthorized when it is unknown, used or too old.
func (c *Codes) Redeem(code string) error { return errSkeleton }

// NewToken returns 256 random bits, URL-safe.
func NewToken() string { return "" }

// Door wraps a handler with the Host allow-list (127.0.0.1, localhost, [::1] with the given port) on every
// request and the Origin allow-list on everything but plain GETs of assets; failures are answered with an api.Error.
func Door(next http.Handler, port int) http.Handler { return next }

// Bearer returns the token of the Authorization header, "" without one.
func Bearer(r *http.Request) string { return "" }

// WriteError answers with err as JSON and the status that fits its code.
func WriteError(w http.ResponseWriter, err error) {}

var _ = api.CodeInternal
