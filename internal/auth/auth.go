// Package auth holds the keys to the doors: one-time codes, session tokens
// signed with a backend's or a gateway's own key, the environment id, and the
// Host and Origin checks every loopback door uses. It never logs a secret, sets
// no cookie and sends no CORS header; there is no way to switch it off. Packages
// server and gateway call it.
//
// Invariants: a key never leaves its Identity; a code works once; every answer
// that leaves through WriteError is an api.Error; comparisons of secrets take
// the same time whatever they hold.
package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"catamaran/internal/api"
)

// NewToken returns 256 random bits, URL-safe.
func NewToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: the runtime ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// maxCodes bounds the codes alive at one time; the oldest gives way.
const maxCodes = 64

// Codes are one-time credentials. Only their hashes are kept, so that neither a
// memory dump of the table nor the time of a look-up tells a code.
type Codes struct {
	ttl time.Duration

	mu   sync.Mutex
	live map[[sha256.Size]byte]time.Time // when each was issued
}

// NewCodes makes a store in which a code dies at first use or after ttl. A ttl
// of zero or less keeps codes until they are used.
func NewCodes(ttl time.Duration) *Codes {
	return &Codes{ttl: ttl, live: map[[sha256.Size]byte]time.Time{}}
}

// Issue makes a new code (256 bits, URL-safe).
func (c *Codes) Issue() string {
	code := NewToken()
	c.Add(code)
	return code
}

// Add registers a credential made elsewhere (the envelope's). An empty one is ignored.
func (c *Codes) Add(code string) {
	if code == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.pruneLocked(now)
	if len(c.live) >= maxCodes {
		var oldest [sha256.Size]byte
		var at time.Time
		for k, t := range c.live {
			if at.IsZero() || t.Before(at) {
				oldest, at = k, t
			}
		}
		delete(c.live, oldest)
	}
	c.live[sha256.Sum256([]byte(code))] = now
}

// Redeem uses a code up; *api.Error CodeUnauthorized when it is unknown, used or too old.
func (c *Codes) Redeem(code string) error {
	h := sha256.Sum256([]byte(code))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pruneLocked(time.Now())
	if _, ok := c.live[h]; !ok {
		return &api.Error{
			Code:    api.CodeUnauthorized,
			Message: "This sign-in code is unknown, was used before, or is too old.",
			Hint:    "Open Catamaran again to get a new one.",
		}
	}
	delete(c.live, h)
	return nil
}

func (c *Codes) pruneLocked(now time.Time) {
	if c.ttl <= 0 {
		return
	}
	for k, t := range c.live {
		if now.Sub(t) > c.ttl {
			delete(c.live, k)
		}
	}
}
