package wsl

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// FileRegistry reads what a JSON file says in place of the registry: the store
// that a simulator of wsl.exe keeps for machines without one. Values that are
// missing or of another type are read as Windows' own registry is read here.
func FileRegistry(path string) Registry { return fileRegistry(path) }

type fileRegistry string

type registryFile struct {
	Version             string
	DefaultDistribution string
	Keys                map[string]map[string]any
}

func (p fileRegistry) read() (registryFile, error) {
	var r registryFile
	b, err := os.ReadFile(string(p))
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return registryFile{}, fmt.Errorf("read registry file: %w", err)
	}
	return r, nil
}

func (p fileRegistry) Distros() (string, []RegistryEntry, error) {
	r, err := p.read()
	var out []RegistryEntry
	for key, values := range r.Keys {
		e := RegistryEntry{Key: key}
		e.Name, _ = values["DistributionName"].(string)
		e.State, e.Flags = dword(values["State"]), dword(values["Flags"])
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b RegistryEntry) int { return strings.Compare(a.Key, b.Key) })
	return r.DefaultDistribution, out, err
}

func (p fileRegistry) Version() string {
	r, err := p.read()
	if err != nil {
		return ""
	}
	return r.Version
}

func dword(v any) uint32 {
	if n, ok := v.(float64); ok && n >= 0 && n <= 1<<32-1 {
		return uint32(n)
	}
	return 0
}
