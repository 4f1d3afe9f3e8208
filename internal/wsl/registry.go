package wsl

import (
	"fmt"
	"regexp"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
)

// Registry reads what WSL has registered for this user. It answers without
// starting a process, so it cannot hang and knows no language.
type Registry interface {
	// Distros returns the default distro's GUID ("" when none is named) and every
	// subkey of the registry key Lxss. No key at all is no distro, not an error.
	Distros() (defaultGUID string, entries []RegistryEntry, err error)
	// Version is the version of the installed WSL package, "" when unknown.
	Version() string
}

// RegistryEntry is one subkey of Lxss with the values it has.
type RegistryEntry struct {
	Key   string // the subkey's name
	Name  string // DistributionName, "" when missing
	State uint32
	Flags uint32
}

var (
	guidKey = regexp.MustCompile(`^\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}$`)
	// storedStates are the values of State; running is never stored.
	storedStates = map[uint32]string{1: "Stopped", 3: "Installing", 4: "Uninstalling", 5: "Converting", 6: "Exporting"}
)

const (
	flagWSL2     = 8 // the registry's Version is the file system's format, not WSL 1 or 2
	systemDistro = "{20170608-0542-2019-0729-001120120214}"
)

// fromRegistry makes distros of registry entries; what is no distro is left out.
func fromRegistry(defaultGUID string, entries []RegistryEntry) []api.Distro {
	var out []api.Distro
	for _, e := range entries {
		if !guidKey.MatchString(e.Key) || strings.EqualFold(e.Key, systemDistro) || e.Name == "" {
			continue
		}
		d := api.Distro{Name: e.Name, ID: e.Key, Default: strings.EqualFold(e.Key, defaultGUID), Version: 1, State: storedStates[e.State]}
		if e.Flags&flagWSL2 != 0 {
			d.Version = 2
		}
		if d.State == "" {
			d.State = fmt.Sprintf("State %d", e.State)
		}
		out = append(out, judge(d, e.State == 1))
	}
	return out
}

func fromList(rows []row) []api.Distro {
	var out []api.Distro
	for _, r := range rows {
		out = append(out, judge(api.Distro{Name: r.Name, Default: r.Default, Version: r.Version, State: r.State}, !busyState(r.State)))
	}
	return out
}

// busyState: these words are fixed English in WSL; any other one is an installed distro's state.
func busyState(s string) bool {
	switch s {
	case "Installing", "Uninstalling", "Converting", "Exporting":
		return true
	}
	return false
}

// judge says whether a distro can be chosen, and if not, why.
func judge(d api.Distro, installed bool) api.Distro {
	d.Utility = Utility(d.Name)
	d.Selectable = true
	refuse := func(why string) { d.Selectable, d.Why = false, why }
	if err := hostpath.CheckDistro(d.Name); err != nil {
		refuse(err.Error())
	}
	if d.Utility {
		refuse("it belongs to another program and is not meant for work")
	}
	if !installed {
		refuse("it is busy: " + d.State)
	}
	return d
}

// Utility reports whether a distro belongs to another program (containers, VPN).
func Utility(name string) bool {
	n := strings.ToLower(name)
	for _, p := range []string{"docker-desktop", "rancher-desktop", "podman-"} {
		if strings.HasPrefix(n, p) {
			return true
		}
	}
	return n == "wsl-vpnkit"
}
