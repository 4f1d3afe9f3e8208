package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"catamaran/internal/api"
)

// A token is "ct1." + claims + "." + MAC, the claims being JSON and both parts
// unpadded URL-safe base64. The MAC is HMAC-SHA256 over everything before the
// second dot, under the identity's key.
const (
	tokenPrefix = "ct1."
	// maxToken bounds what is looked at at all.
	maxToken = 1024
)

type claims struct {
	Environment string `json:"e"`
	Audience    string `json:"a"`
	Expires     int64  `json:"x"` // Unix milliseconds
	Nonce       []byte `json:"n"` // so that two tokens of one instant can be revoked apart
}

// strict64 refuses stray bits and line breaks, so that one token has one spelling.
var strict64 = base64.RawURLEncoding.Strict()

// Sign makes a session token that ends at expires. audience names the door it is for.
func (i *Identity) Sign(audience string, expires time.Time) string {
	nonce := make([]byte, 12)
	rand.Read(nonce)
	b, err := json.Marshal(claims{Environment: i.EnvironmentID, Audience: audience, Expires: expires.UnixMilli(), Nonce: nonce})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	signed := tokenPrefix + strict64.EncodeToString(b)
	return signed + "." + strict64.EncodeToString(i.mac(signed))
}

func (i *Identity) mac(signed string) []byte {
	m := hmac.New(sha256.New, i.key)
	m.Write([]byte(signed))
	return m.Sum(nil)
}

// Verify checks a token in constant time. Errors: *api.Error with
// CodeTokenMalformed (not a token at all), CodeTokenForeign (signed with
// another key, changed, or made for another door), CodeTokenExpired or
// CodeTokenRevoked.
func (i *Identity) Verify(token, audience string, now time.Time) error {
	signed, mac, c, ok := parseToken(token)
	if !ok {
		return tokenError(api.CodeTokenMalformed, "The session token is not one of Catamaran's.")
	}
	if !hmac.Equal(mac, i.mac(signed)) || c.Environment != i.EnvironmentID || c.Audience != audience {
		return tokenError(api.CodeTokenForeign, "The session belongs to another environment.")
	}
	if now.UnixMilli() >= c.Expires {
		return tokenError(api.CodeTokenExpired, "The session has expired.")
	}
	i.mu.Lock()
	_, revoked := i.revoked[sha256.Sum256([]byte(token))]
	i.mu.Unlock()
	if revoked {
		return tokenError(api.CodeTokenRevoked, "The session was ended.")
	}
	return nil
}

// parseToken splits a token into the signed part, its MAC and its claims. It
// checks the form only.
func parseToken(token string) (signed string, mac []byte, c claims, ok bool) {
	if len(token) > maxToken || !strings.HasPrefix(token, tokenPrefix) {
		return "", nil, c, false
	}
	body, sum, found := strings.Cut(token[len(tokenPrefix):], ".")
	if !found {
		return "", nil, c, false
	}
	// The decoder skips line breaks even when strict.
	if strings.ContainsAny(token, "\r\n") {
		return "", nil, c, false
	}
	mac, err := strict64.DecodeString(sum)
	if err != nil || len(mac) != sha256.Size {
		return "", nil, c, false
	}
	b, err := strict64.DecodeString(body)
	if err != nil || json.Unmarshal(b, &c) != nil {
		return "", nil, c, false
	}
	return token[:len(tokenPrefix)+len(body)], mac, c, true
}

func tokenError(code api.Code, message string) error {
	return &api.Error{Code: code, Message: message, Hint: "Sign in again."}
}

// Revoke makes one token invalid for the life of the process. A token this
// identity did not sign is ignored.
func (i *Identity) Revoke(token string) {
	signed, mac, c, ok := parseToken(token)
	if !ok || !hmac.Equal(mac, i.mac(signed)) {
		return
	}
	now := time.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	for k, until := range i.revoked {
		if until.Before(now) {
			delete(i.revoked, k)
		}
	}
	i.revoked[sha256.Sum256([]byte(token))] = time.UnixMilli(c.Expires)
}
