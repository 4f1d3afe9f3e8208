package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catamaran/internal/update"
)

// manifest writes and signs the list of archives that running apps update themselves from.
func (d *dist) manifest() error {
	path := os.Getenv("CATAMARAN_UPDATE_SIGN_KEY")
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return fmt.Errorf("CATAMARAN_UPDATE_SIGN_KEY names no file with an ed25519 seed of %d bytes in base64", ed25519.SeedSize)
	}
	m := update.Manifest{Version: d.version, Released: d.time.UnixMilli(), Notes: os.Getenv("CATAMARAN_RELEASE_NOTES")}
	for system, suffix := range map[string]string{"linux": "linux-%s.tar.gz", "darwin": "macos-%s.tar.gz", "windows": "windows-%s-portable.zip"} {
		for _, arch := range []string{"amd64", "arm64"} {
			name := "catamaran-" + d.version + "-" + fmt.Sprintf(suffix, arch)
			sum, size, err := digest(filepath.Join(d.out, name))
			if os.IsNotExist(err) {
				continue // this run did not make it
			}
			if err != nil {
				return err
			}
			m.Files = append(m.Files, update.File{OS: system, Arch: arch, Name: name, Bytes: size, SHA256: sum})
		}
	}
	slices.SortFunc(m.Files, func(a, b update.File) int { return strings.Compare(a.Name, b.Name) })
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if err := os.WriteFile(filepath.Join(d.out, "manifest.json"), b, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.out, "manifest.json.sig"), update.Sign(b, ed25519.NewKeyFromSeed(seed)), 0o644)
}
