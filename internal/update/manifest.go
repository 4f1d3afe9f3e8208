// Package update finds, fetches and installs newer versions of the app. A
// release is a manifest with the digests of its archives, signed with an ed25519
// key whose public half is built in; an archive that does not have its digest is
// never opened. Nothing is fetched or installed unasked.
//
// It starts no process and knows no window: cmd/catamaran gives it what ends the
// app and starts the new one, package gateway shows what it knows.
//
// Invariants: files are replaced only while nobody holds the app's state folder;
// at every moment either the old or the new version is whole under the app's
// path or its neighbour ".old"; a version that does not come up is undone.
package update

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// context separates these signatures from any other use of the key.
const signatureContext = "catamaran update manifest 1\n"

// Manifest describes one release.
type Manifest struct {
	Version  string `json:"version"` // semantic, without a v
	Released int64  `json:"released"`
	Notes    string `json:"notes,omitempty"`
	Files    []File `json:"files"`
}

// File is an archive of one system.
type File struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	// Name is a file beside the manifest.
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Sign returns the signature file of a manifest: base64 and a newline.
func Sign(manifest []byte, key ed25519.PrivateKey) []byte {
	sig := ed25519.Sign(key, append([]byte(signatureContext), manifest...))
	return []byte(base64.StdEncoding.EncodeToString(sig) + "\n")
}

// maxArchive bounds an archive; the largest of today is a tenth of it.
const maxArchive = 512 << 20

// Verify checks the signature and reads the manifest. Errors say what is wrong with it.
func Verify(manifest, signature []byte, key ed25519.PublicKey) (Manifest, error) {
	var m Manifest
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(signature)))
	if err != nil || len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, append([]byte(signatureContext), manifest...), sig) {
		return m, errors.New("the manifest's signature is not that of this app's publisher")
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return m, fmt.Errorf("the manifest is damaged: %w", err)
	}
	if _, ok := parse(m.Version); !ok {
		return m, fmt.Errorf("the manifest's version %q is none", m.Version)
	}
	for _, f := range m.Files {
		sum, err := hex.DecodeString(f.SHA256)
		switch {
		case err != nil || len(sum) != 32:
			return m, fmt.Errorf("the manifest has no digest for %s", f.Name)
		case f.Name == "" || f.Name != path.Base(f.Name) || strings.ContainsAny(f.Name, `\?#%`):
			return m, fmt.Errorf("the manifest names a file %q that is not beside it", f.Name)
		case f.Bytes <= 0 || f.Bytes > maxArchive:
			return m, fmt.Errorf("the manifest says %d bytes for %s", f.Bytes, f.Name)
		}
	}
	return m, nil
}

// For returns the archive of a system.
func (m Manifest) For(goos, arch string) (File, bool) {
	for _, f := range m.Files {
		if f.OS == goos && f.Arch == arch {
			return f, true
		}
	}
	return File{}, false
}

// Newer compares semantic versions (semver.org 2.0.0, build metadata ignored).
// What is no version is older than everything.
func Newer(a, b string) bool {
	x, okA := parse(a)
	y, okB := parse(b)
	if !okA || !okB {
		return okA && !okB
	}
	for i := range x.core {
		if x.core[i] != y.core[i] {
			return x.core[i] > y.core[i]
		}
	}
	switch {
	case len(x.pre) == 0 || len(y.pre) == 0:
		return len(x.pre) == 0 && len(y.pre) > 0
	}
	for i := 0; i < len(x.pre) && i < len(y.pre); i++ {
		if x.pre[i] == y.pre[i] {
			continue
		}
		n, errN := strconv.ParseUint(x.pre[i], 10, 64)
		k, errK := strconv.ParseUint(y.pre[i], 10, 64)
		switch {
		case errN == nil && errK == nil:
			return n > k
		case errN == nil || errK == nil:
			return errN != nil // words come after numbers
		}
		return x.pre[i] > y.pre[i]
	}
	return len(x.pre) > len(y.pre)
}

type version struct {
	core [3]uint64
	pre  []string
}

func parse(s string) (version, bool) {
	var v version
	s, _, _ = strings.Cut(s, "+")
	core, pre, hasPre := strings.Cut(s, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return v, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil || len(p) > 1 && p[0] == '0' {
			return v, false
		}
		v.core[i] = n
	}
	if hasPre {
		v.pre = strings.Split(pre, ".")
		for _, p := range v.pre {
			if p == "" {
				return v, false
			}
		}
	}
	return v, true
}
