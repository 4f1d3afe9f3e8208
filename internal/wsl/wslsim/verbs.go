package wslsim

import (
	"sort"
	"strconv"
	"strings"
)

func (m *machine) run(c command) uint32 {
	switch c.verb {
	case "":
		return m.launch(c)
	case "list":
		return m.list(c.tail)
	case "help": // exit -1 [A1.2]
		m.listing(textUsage)
		return exitFailure
	}
	on, change := c.verb, ""
	switch c.verb {
	case "install", "update": // only a scripted transcript [B8]
		return m.transcript(c.option)
	case "terminate", "set-default", "unregister":
		d, ok := m.find(c.arg)
		if !ok {
			return m.fail(m.notFound())
		}
		change = d.Name
	}
	if code, done := m.strike(on, change); done {
		return code
	}
	switch c.verb {
	case "version": // does not call the service [A1.5]
		if m.VersionExit != 0 {
			return m.VersionExit
		}
		m.out.print(m.versionText())
		return 0
	case "status":
		m.out.print(m.statusText())
		return 0
	case "shutdown": // prints nothing [B16]
		if err := Shutdown(m.dir); err != nil {
			return m.fail(err)
		}
		return 0
	}
	var err error
	switch c.verb {
	case "terminate": // terminating a stopped distro is success [A1.6]
		err = Terminate(m.dir, change)
	case "set-default":
		m.Default = change
		err = Save(m.dir, m.Scenario)
	case "unregister":
		err = m.unregister(change)
	case "import":
		err = m.importDistro(c.tail)
	default:
		return refuse(c.verb)
	}
	if err != nil {
		return m.fail(err)
	}
	m.out.print(textSuccess)
	return 0
}

func (m *machine) notFound() error { // E01
	return &codeError{m.words().notFound, "Wsl/Service/WSL_E_DISTRO_NOT_FOUND"}
}

func (m *machine) versionText() string {
	values := [7]string{m.profile.version, "6.6.114.1-1", "1.0.73.2", "1.2.6676", "1.611.1-81528511", "10.0.26100.1-240331-1435.ge-release", "10.0.26200.8457"}
	var b strings.Builder
	for i, label := range m.words().version {
		b.WriteString(label + values[i] + "\r\n")
	}
	return b.String()
}

func (m *machine) statusText() string {
	w := m.words()
	s := ""
	if d, ok := m.find(m.Default); ok { // absent when there is no default [A1.5]
		s = w.status[0] + d.Name + "\r\n"
	}
	return s + w.status[1] + "2\r\n"
}

// ordered is the default first, then the order of registry subkeys: GUID text order [A1.3].
func (s Scenario) ordered() []Distro {
	out := append([]Distro(nil), s.Distros...)
	sort.SliceStable(out, func(i, j int) bool {
		di, dj := strings.EqualFold(out[i].Name, s.Default), strings.EqualFold(out[j].Name, s.Default)
		if di != dj {
			return di
		}
		return out[i].GUID < out[j].GUID
	})
	return out
}

// listFlags reads the tail of --list: short flags combine, -- stops options [A1.2].
func listFlags(words []string) (quiet, verbose, running, all bool, err error) {
	for _, w := range words {
		letters := ""
		switch {
		case w == "--quiet":
			quiet = true
		case w == "--verbose":
			verbose = true
		case w == "--running":
			running = true
		case w == "--all":
			all = true
		case w == "--online":
			return false, false, false, false, refusal("--list --online")
		case len(w) > 1 && w[0] == '-' && w[1] != '-':
			letters = w[1:]
		default:
			return false, false, false, false, refusal("--list " + w)
		}
		for _, l := range letters {
			switch l {
			case 'q':
				quiet = true
			case 'v':
				verbose = true
			case 'o':
				return false, false, false, false, refusal("--list --online")
			default:
				return false, false, false, false, usageError(textUsage)
			}
		}
	}
	if quiet && verbose || all && running { // [A1.4], Q32
		return false, false, false, false, usageError(textUsage)
	}
	return quiet, verbose, running, all, nil
}

func (m *machine) list(words []string) uint32 {
	if len(words) == 1 && (words[0] == "--online" || words[0] == "-o") {
		return m.transcript("--list --online")
	}
	quiet, verbose, running, all, err := listFlags(words)
	if err != nil {
		return m.fail(err)
	}
	if code, done := m.strike(OnList, ""); done {
		return code
	}
	if len(m.Distros) == 0 {
		if quiet { // nothing and exit 0 [A1.4]
			return 0
		}
		m.listing(m.words().noDistro) // N02 to N04
		return exitFailure
	}
	if verbose { // every state, --running ignored [A1.3, B18, Q33]
		var rows []row
		for _, d := range m.ordered() {
			state := m.state(d)
			if word, ok := m.StateWords[state]; ok { // [B15]
				state = word
			}
			rows = append(rows, row{strings.EqualFold(d.Name, m.Default), d.Name, state, strconv.Itoa(d.version())})
		}
		m.listing(listVerbose(rows))
		return 0
	}
	var names []string
	for _, d := range m.ordered() {
		if running && m.state(d) != "Running" || !all && d.State != "" {
			continue
		}
		names = append(names, d.Name)
	}
	if running && len(names) == 0 && !quiet {
		m.listing(textNoRun) // [B18]
		return exitFailure
	}
	var b strings.Builder
	if !quiet {
		b.WriteString(m.words().header + "\r\n")
	}
	for _, n := range names { // with --quiet bare names [B14]
		if !quiet && strings.EqualFold(n, m.Default) {
			n += m.words().def
		}
		b.WriteString(n + "\r\n")
	}
	m.listing(b.String())
	return 0
}

func (m *machine) state(d Distro) string {
	if d.State != "" {
		return d.State
	}
	if Running(m.dir, d.Name) {
		return "Running"
	}
	return "Stopped"
}

// target is the distro and the user a launch is for.
func (m *machine) target(c command) (Distro, string, error) {
	var d Distro
	ok := false
	switch {
	case c.guid != "":
		if d, ok = m.findGUID(c.guid); !ok { // [A1.2]
			return d, "", &codeError{m.words().notFound, "Wsl/Service/ReadDistroConfig/WSL_E_DISTRO_NOT_FOUND"}
		}
	case c.hasDistro:
		if d, ok = m.find(c.distro); !ok {
			return d, "", m.notFound()
		}
	default:
		if d, ok = m.find(m.Default); !ok { // no code line [A1.9]
			return d, "", usageError(m.words().noDistro)
		}
	}
	if d.State != "" { // E25
		return d, "", &codeError{textBusy, "Wsl/Service/E_ILLEGAL_STATE_CHANGE"}
	}
	if c.system { // the simulated machine has GUI support off [A1.6]
		return d, "", &codeError{`GUI application support is disabled via C:\Users\dev\.wslconfig or /etc/wsl.conf.`, "Wsl/Service/CreateInstance/WSL_E_GUI_APPLICATIONS_DISABLED"}
	}
	user := d.user()
	if c.user != "" {
		user = c.user
	}
	if d.home(m.dir, user) == "" { // E19
		return d, "", &codeError{m.words().noUser, "Wsl/WSL_E_USER_NOT_FOUND"}
	}
	return d, user, nil
}
