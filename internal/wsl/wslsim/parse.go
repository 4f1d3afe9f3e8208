package wslsim

import (
	"strings"
)

// rawLine rebuilds the Windows command line from an argument vector by the
// quoting rules Go itself uses on Windows [B2].
func rawLine(argv []string) string {
	var b strings.Builder
	for i, a := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		escapeArg(&b, a)
	}
	return b.String()
}

func escapeArg(b *strings.Builder, s string) {
	quote := s == "" || strings.ContainsAny(s, " \t")
	if quote {
		b.WriteByte('"')
	}
	slashes := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, slashes+1))
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteByte(s[i])
	}
	if quote {
		b.WriteString(strings.Repeat(`\`, slashes))
		b.WriteByte('"')
	}
}

// argvW splits s as CommandLineToArgvW does [A2.1]: the first word has its own
// rule, and only a space or a tab separates.
func argvW(s string) []string {
	s = trimBlank(s)
	if s == "" {
		return nil
	}
	first, rest := firstWord(s)
	return append([]string{first}, tailW(rest)...)
}

// firstWord has no backslash escapes; it ends at a blank, or at the next quote when it begins with one [A2.1].
func firstWord(s string) (word, rest string) {
	if strings.HasPrefix(s, `"`) {
		if i := strings.IndexByte(s[1:], '"'); i >= 0 {
			return s[1 : 1+i], s[2+i:]
		}
		return s[1:], ""
	}
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// tailW splits words after the first: 2n backslashes before a quote halve, \" is
// a quote, "" inside quotes is one quote [A2.1].
func tailW(s string) []string {
	var out []string
	for {
		s = trimBlank(s)
		if s == "" {
			return out
		}
		var b strings.Builder
		quoted := false
		i := 0
		for ; i < len(s); i++ {
			c := s[i]
			if !quoted && (c == ' ' || c == '\t') {
				break
			}
			switch c {
			case '\\':
				n := 0
				for i+n < len(s) && s[i+n] == '\\' {
					n++
				}
				if i+n < len(s) && s[i+n] == '"' {
					b.WriteString(strings.Repeat(`\`, n/2))
					if n%2 == 1 {
						b.WriteByte('"')
						i += n
					} else {
						i += n - 1
					}
				} else {
					b.WriteString(strings.Repeat(`\`, n))
					i += n - 1
				}
			case '"':
				if quoted && i+1 < len(s) && s[i+1] == '"' {
					b.WriteByte('"')
					i++
				} else {
					quoted = !quoted
				}
			default:
				b.WriteByte(c)
			}
		}
		out = append(out, b.String())
		s = s[i:]
	}
}

func trimBlank(s string) string { return strings.TrimLeft(s, " \t") }

// token takes the next word by wsl.exe's own rule: cut at space and tab, quotes mean nothing [B7].
func token(s string) (tok, rest string) {
	s = trimBlank(s)
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// cdToken is the exception: a leading quote runs to the next quote, no escape inside [A1.2].
func cdToken(s string) (tok, rest string, quoted bool) {
	s = trimBlank(s)
	if !strings.HasPrefix(s, `"`) {
		tok, rest = token(s)
		return tok, rest, false
	}
	if i := strings.IndexByte(s[1:], '"'); i >= 0 {
		return s[1 : 1+i], s[2+i:], true
	}
	return s[1:], "", true
}

type form int

const (
	formLogin form = iota // no command: the user's login shell
	formShell             // $SHELL -c rest
	formExec              // argument vector
)

// command is a parsed command line.
type command struct {
	// verb is "" for launching a program, else an option without its dashes.
	verb string
	// option is the verb as it was written.
	option string
	arg    string   // of terminate, set-default and unregister
	tail   []string // of list, import, install and update

	distro, guid, user string
	hasDistro          bool
	cd                 string
	hasCD              bool
	home               bool // ~
	byID               bool // --distribution-id
	shellType          bool // --shell-type
	system             bool // --system
	form               form
	login              bool // --shell-type login
	argv               []string
	script             string
}

// refusal is a command line this simulator does not simulate [B5].
type refusal string

func (r refusal) Error() string { return string(r) }

// usageError is text wsl.exe prints on stdout before it exits with -1, without a code line [B17].
type usageError string

func (u usageError) Error() string { return string(u) }

// codeError is a failure of wsl.exe with its code path.
type codeError struct{ text, code string }

func (e *codeError) Error() string { return e.text }

var knownUnsimulated = map[string]bool{
	"--parent-console": true, "--uninstall": true, "--import-in-place": true, "--export": true, "--manage": true,
	"--mount": true, "--unmount": true, "--debug-shell": true, "--set-default-version": true, "--set-version": true,
}

// parse reads a raw command line by wsl.exe's rules [A1.2].
func parse(raw string) (command, error) {
	var c command
	_, rest := firstWord(trimBlank(raw))
	shellType := ""
	first := true
	for {
		before := trimBlank(rest)
		tok, after := token(before)
		if tok == "" {
			if c.verb == "" && shellType == "none" {
				return c, errInvalidArg
			}
			c.login = true
			return c, nil
		}
		atStart := first
		first = false
		switch {
		case atStart && guidForm.MatchString(tok):
			c.guid, c.hasDistro = tok, true
			rest = after
			if t, r := token(after); t == "~" {
				c.home, rest = true, r
			}
			continue
		case atStart && tok == "~":
			c.home, rest = true, after
			continue
		case tok == "--exec" || tok == "-e":
			return c.exec(after)
		case tok == "--":
			return c.shell(after, shellType)
		case !strings.HasPrefix(tok, "-"):
			return c.shell(before, shellType)
		}
		var value string
		var err error
		switch tok {
		case "-d", "--distribution":
			if value, rest, err = param(after, "--distribution"); err != nil {
				return c, err
			}
			if c.hasDistro {
				return c, usageError("The distribution name has already been set.\r\n")
			}
			c.distro, c.hasDistro = value, true
		case "--distribution-id":
			if value, rest, err = param(after, "--distribution-id"); err != nil {
				return c, err
			}
			if !guidForm.MatchString(value) {
				return c, errInvalidArg
			}
			c.guid, c.hasDistro, c.byID = value, true, true
		case "--system":
			c.system, rest = true, after
		case "-u", "--user":
			if c.user, rest, err = param(after, "--user"); err != nil {
				return c, err
			}
		case "--cd":
			var quoted bool
			c.cd, rest, quoted = cdToken(after)
			if c.cd == "" && !quoted {
				return c, missing("--cd")
			}
			c.hasCD = true
		case "--shell-type":
			if shellType, rest, err = param(after, "--shell-type"); err != nil {
				return c, err
			}
			c.shellType = true
			if shellType != "standard" && shellType != "login" && shellType != "none" {
				return c, refusal("--shell-type " + shellType)
			}
		default:
			if !atStart {
				if knownUnsimulated[tok] || isVerb(tok) {
					return c, refusal(tok + " after another option")
				}
				return c, badArgument(tok)
			}
			return c.asVerb(tok, after)
		}
	}
}

var errInvalidArg = &codeError{"The parameter is incorrect. ", "Wsl/E_INVALIDARG"} // E28

func missing(option string) error {
	return usageError("Argument " + option + " is missing a required parameter.\r\n")
}

const invalidArgument = "Invalid command line argument: "

func badArgument(tok string) error { // E29
	return usageError(invalidArgument + tok + "\r\nPlease use 'wsl.exe --help' to get a list of supported arguments.\r\n")
}

func param(s, option string) (value, rest string, err error) {
	value, rest = token(s)
	if value == "" {
		return "", "", missing(option)
	}
	return value, rest, nil
}

func (c command) exec(rest string) (command, error) {
	c.form = formExec
	if c.argv = argvW(rest); len(c.argv) == 0 {
		return c, errInvalidArg // [A2.1], Q30
	}
	return c, nil
}

func (c command) shell(rest, shellType string) (command, error) {
	if shellType == "none" {
		return c.exec(rest)
	}
	c.login = shellType == "login"
	if c.script = trimBlank(rest); c.script == "" {
		c.login = true // `--` with nothing after it [A2.1]
		return c, nil
	}
	c.form = formShell
	return c, nil
}

func isVerb(tok string) bool {
	switch tok {
	case "-l", "--list", "--import", "--install", "--update", "--unregister", "--status", "-v", "--version", "--help", "-t", "--terminate", "--shutdown", "-s", "--set-default", "--setdefault":
		return true
	}
	return false
}

func (c command) asVerb(tok, after string) (command, error) {
	var err error
	rest := after
	c.option = tok
	switch tok {
	case "--import", "--install", "--update":
		c.verb, c.tail = tok[2:], tailW(after)
		return c, nil
	case "--unregister":
		c.verb = "unregister"
		c.arg, rest, err = param(after, "--unregister")
	case "-l", "--list":
		c.verb, c.tail = "list", tailW(after)
		return c, nil
	case "--status":
		c.verb = "status"
	case "-v", "--version":
		c.verb = "version"
	case "--help":
		c.verb = "help"
	case "-t", "--terminate":
		c.verb = "terminate"
		c.arg, rest, err = param(after, "--terminate")
	case "-s", "--set-default", "--setdefault":
		c.verb = "set-default"
		c.arg, rest, err = param(after, "--set-default")
	case "--shutdown":
		c.verb = "shutdown"
		if t, r := token(after); t == "--force" {
			rest = r
		}
	default:
		if knownUnsimulated[tok] {
			return c, refusal(tok)
		}
		return c, badArgument(tok)
	}
	if err != nil {
		return c, err
	}
	if trimBlank(rest) != "" {
		return c, refusal(tok + " followed by " + trimBlank(rest))
	}
	return c, nil
}
