package wslsim

import (
	"path/filepath"
	"strings"
)

// RegistryFile is the file of a scenario directory that stands for the registry
// key Lxss. It is written with the scenario and by nobody else, so that
// discovery by registry and by wsl.exe look at one store [B6].
const RegistryFile = "registry.json"

// EnvRegistry names a RegistryFile to the product where there is no registry.
const EnvRegistry = "WSLSIM_REGISTRY"

// Registry is the path of the scenario's registry.
func Registry(dir string) string { return filepath.Join(dir, RegistryFile) }

type registry struct {
	// Version is the Msi value of that name; "" is an inbox or absent WSL [A6].
	Version             string                    `json:"Version,omitempty"`
	DefaultDistribution string                    `json:"DefaultDistribution,omitempty"`
	Keys                map[string]map[string]any `json:"keys"`
}

// stored are the values of State; running is never stored [A6].
var stored = map[string]int{"": 1, "Installing": 3, "Uninstalling": 4, "Converting": 5, "Exporting": 6}

// nowhere is a GUID that no distro has.
const nowhere = "{deadbeef-0000-0000-0000-000000000000}"

func (s Scenario) registry() registry {
	r := registry{Version: profiles[s.profileName()].version, DefaultDistribution: s.DefaultKey, Keys: map[string]map[string]any{
		// Subkeys that are no distros are there on real machines [A6].
		"DiskMounts": {}, "{20170608-0542-2019-0729-001120120214}": {"DistributionName": "system", "State": 1, "Flags": 15},
	}}
	if d, ok := s.find(s.Default); r.DefaultDistribution == "" && ok {
		r.DefaultDistribution = d.GUID
	} else if r.DefaultDistribution == "" && s.Default != "" {
		r.DefaultDistribution = nowhere
	}
	for _, d := range s.Distros {
		if d.GUID == "" {
			continue
		}
		flags := 7
		if d.version() == 2 {
			flags |= 8 // Version is the file system's format, not this [A6]
		}
		v := map[string]any{
			"DistributionName": d.Name, "BasePath": `C:\wsl\` + strings.Trim(d.GUID, "{}"), "State": stored[d.State],
			"Flags": flags, "Version": 2, "DefaultUid": 1000,
		}
		if d.Location != "" {
			v["BasePath"] = d.Location
		}
		for name, value := range d.Registry {
			if value == nil {
				delete(v, name)
			} else {
				v[name] = value
			}
		}
		r.Keys[d.GUID] = v
	}
	return r
}
