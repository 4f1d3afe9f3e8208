package wslsim

import (
	"path/filepath"
	"sort"
	"strings"
)

const (
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games:/usr/local/games"
	wslLib      = "/usr/lib/wsl/lib"
)

// crossing is one variable that WSLENV takes into Linux.
type crossing struct{ name, value string }

// parseWSLENV is what WSLENV lets through [A2.4, W02 to W25]. lookup reads the
// Windows environment; untranslatable gets the paths that were dropped.
func parseWSLENV(wslenv string, lookup func(string) (string, bool), translate func(string) (string, bool)) (vars []crossing, untranslatable []string) {
	for _, entry := range strings.Split(strings.TrimRight(wslenv, " "), ":") {
		name, flags, _ := strings.Cut(entry, "/")
		if name == "" {
			continue
		}
		isPath, drop := false, false
		for _, f := range flags {
			switch f {
			case 'p', 'l':
				isPath = true
			case 'u':
			case 'w':
				drop = true
			default:
				drop = true
			}
		}
		if drop {
			continue
		}
		value, _ := lookup(name)
		if isPath {
			var parts []string
			for _, p := range strings.Split(value, ";") {
				if p == "" {
					continue
				}
				if l, ok := translate(p); ok {
					parts = append(parts, l)
				} else {
					untranslatable = append(untranslatable, p)
				}
			}
			if len(parts) == 0 {
				continue
			}
			value = strings.Join(parts, ":")
		}
		vars = append(vars, crossing{name, value})
	}
	return vars, untranslatable
}

// linuxEnv builds the environment of a program in the distro, in the order of
// [A2.3, B19]. Nothing of the simulator's own environment is in it but what
// WSLENV names. WSLg's variables are left out: the simulated machine has GUI support off.
func (s Scenario) linuxEnv(dir string, d Distro, user string, lookup func(string) (string, bool)) (env, untranslatable []string) {
	m := map[string]string{
		"HOSTTYPE": "x86_64", "LANG": "en_US.UTF-8", "PATH": defaultPath, "TERM": "xterm-256color",
	}
	for k, v := range d.Env {
		m[k] = v
	}
	mounts := s.mounts(d)
	translate := func(p string) (string, bool) { return mounts.absolute(p) }
	wslenv, _ := lookup("WSLENV")
	vars, bad := parseWSLENV(wslenv, lookup, translate)
	m["WSLENV"] = wslenv
	for _, v := range vars {
		m[v.name] = v.value
	}
	path := m["PATH"] + ":" + wslLib
	if !d.NoInterop && !d.NoWindowsPath {
		for _, p := range strings.Split(s.windowsPath(), ";") {
			if l, ok := translate(p); ok {
				path += ":" + l
			} else {
				bad = append(bad, p)
			}
		}
	}
	// The distro's own programs: stands for what its root file system has in /usr/local/bin.
	m["PATH"] = d.bin(dir) + ":" + path
	if !d.NoInterop {
		m["WSL_INTEROP"] = "/run/WSL/1_interop"
	}
	m["NAME"] = "wslsim"
	m["WSL_DISTRO_NAME"] = d.Name
	m["HOME"], m["USER"], m["LOGNAME"], m["SHELL"] = d.home(dir, user), user, user, d.shell()
	for k, v := range m {
		env = append(env, k+"="+v)
	}
	sort.Strings(env)
	return env, bad
}

// workDir applies --cd or the Windows current directory [A2.2]. An error is
// wsl.exe's own; bad is a Windows directory that could not be translated.
func (s Scenario) workDir(c command, d Distro, home string) (dir, bad string, err error) {
	if c.home {
		return home, "", nil
	}
	mounts := s.mounts(d)
	if c.hasCD {
		switch {
		case c.cd == "":
			return "", "", errInvalidArg
		case c.cd == "~":
			return home, "", nil
		case strings.HasPrefix(c.cd, "~"):
			return filepath.Join(home, c.cd[1:]), "", nil
		case strings.HasPrefix(c.cd, "/"):
			return c.cd, "", nil
		case !isDrivePath(c.cd) && !strings.HasPrefix(c.cd, `\\`):
			return "", "", errInvalidArg // Q29
		}
		if l, ok := mounts.absolute(c.cd); ok {
			return l, "", nil
		}
		return home, c.cd, nil
	}
	if l, ok := mounts.absolute(s.windowsDir()); ok {
		return l, "", nil
	}
	return home, s.windowsDir(), nil
}
