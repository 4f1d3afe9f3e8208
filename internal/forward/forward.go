// Package forward keeps the user's list of variables that the desktop hands to
// the agents of every environment: names and who wins, in forward.json of the
// desktop's state folder. It reads values only to send them, never stores or
// shows one, and decides nothing about how they travel (the link's envelope) or
// where they end (package loginenv). The desktop calls it.
//
// Invariants: a value is in no file, no answer and no error; a file that cannot
// be read is kept and the built-in list used; a name that would break another
// system's environment, or that is this product's own, is refused.
package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
)

const (
	// File is the list's name in the desktop's state folder.
	File = "forward.json"
	// maxNames and maxValues bound the list and what is sent, in bytes; the envelope takes 1 MiB.
	maxNames  = 100
	maxValues = 256 << 10
	maxFile   = 64 << 10
)

// defaults are the variables that agents sign in with.
var defaults = []string{
	"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN",
	"OPENAI_API_KEY", "CODEX_API_KEY",
	"GEMINI_API_KEY", "GOOGLE_API_KEY",
	"OPENROUTER_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY", "XAI_API_KEY", "DEEPSEEK_API_KEY",
	"CURSOR_API_KEY",
}

var nameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// never are names that belong to one system and would break another (W3.5).
var never = []string{
	"PATH", "PATHEXT", "HOME", "USER", "USERNAME", "LOGNAME", "SHELL", "PWD", "OLDPWD", "SHLVL", "TERM", "TMPDIR", "TEMP", "TMP", "IFS",
	"USERPROFILE", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "SYSTEMROOT", "WINDIR", "COMSPEC", "WSLENV",
	"LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES",
}

// Check says why a name cannot be on the list; nil when it can.
func Check(name string) error {
	up := strings.ToUpper(name)
	switch {
	case !nameForm.MatchString(name):
		return &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("%.64q is not the name of a variable.", name), Hint: "Use letters, digits and underscores."}
	case strings.HasPrefix(up, "CATAMARAN_"), strings.HasPrefix(up, "WSL_"), slices.Contains(never, up):
		return &api.Error{Code: api.CodeInvalid, Message: name + " belongs to one system and is not handed to another.", Hint: "Set it in the environment's own start-up files."}
	}
	return nil
}

// entry is a line of the file.
type entry struct {
	Name string `json:"name"`
	Wins bool   `json:"wins,omitempty"`
}

type file struct {
	Variables []entry `json:"variables"`
}

// List is the list of one desktop. Safe for concurrent use.
type List struct {
	path   string
	lookup func(string) (string, bool)

	mu      sync.Mutex
	entries []entry
	builtIn bool
	warning error
}

// Open reads the list in dir; lookup gives the desktop's own variables. A file
// that cannot be read or understood stays as it is, and Warning tells of it.
func Open(dir string, lookup func(string) (string, bool)) *List {
	l := &List{path: filepath.Join(dir, File), lookup: lookup}
	l.reset()
	f, err := atomicfile.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l
	}
	if err != nil {
		l.warning = fmt.Errorf("read the list of forwarded variables: %w", err)
		return l
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	entries, perr := parse(b)
	if err = errors.Join(err, perr); err != nil {
		l.warning = fmt.Errorf("read the list of forwarded variables: %w", err)
		return l
	}
	l.entries, l.builtIn = entries, false
	return l
}

func parse(b []byte) ([]entry, error) {
	if len(b) > maxFile {
		return nil, errors.New("the file is too long")
	}
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, errors.New("the file is not a list of variables") // its own text may hold a value by mistake
	}
	return normal(f.Variables)
}

// normal checks a list; a name that is there twice is an error.
func normal(entries []entry) ([]entry, error) {
	if len(entries) > maxNames {
		return nil, &api.Error{Code: api.CodeTooLarge, Message: fmt.Sprintf("More than %d variables cannot be forwarded.", maxNames)}
	}
	seen := map[string]bool{}
	for _, e := range entries {
		if err := Check(e.Name); err != nil {
			return nil, err
		}
		if seen[e.Name] {
			return nil, &api.Error{Code: api.CodeInvalid, Message: e.Name + " is on the list twice."}
		}
		seen[e.Name] = true
	}
	return slices.Clone(entries), nil
}

func (l *List) reset() {
	l.entries, l.builtIn = nil, true
	for _, name := range defaults {
		l.entries = append(l.entries, entry{Name: name})
	}
}

// Warning is why the file could not be used; nil when all is well.
func (l *List) Warning() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.warning
}

// Get is the list as people see it: no values.
func (l *List) Get() api.Forwarding {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.getLocked()
}

func (l *List) getLocked() api.Forwarding {
	f := api.Forwarding{Variables: []api.ForwardedVariable{}, Default: l.builtIn}
	for _, e := range l.entries {
		v, ok := l.lookup(e.Name)
		f.Variables = append(f.Variables, api.ForwardedVariable{Name: e.Name, Wins: e.Wins, Set: ok && v != ""})
	}
	return f
}

// Set replaces the list, on disk first. Environments that run keep what they
// were started with. Errors: *api.Error for a bad name, or the disk's.
func (l *List) Set(c api.ForwardingChange) (api.Forwarding, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Reset {
		if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return api.Forwarding{}, fmt.Errorf("forget the list of forwarded variables: %w", err)
		}
		l.reset()
		l.warning = nil
		return l.getLocked(), nil
	}
	entries := []entry{}
	for _, v := range c.Variables {
		entries = append(entries, entry{Name: v.Name, Wins: v.Wins})
	}
	entries, err := normal(entries)
	if err != nil {
		return api.Forwarding{}, err
	}
	if err := l.write(entries); err != nil {
		return api.Forwarding{}, fmt.Errorf("keep the list of forwarded variables: %w", err)
	}
	l.entries, l.builtIn, l.warning = entries, false, nil
	return l.getLocked(), nil
}

func (l *List) write(entries []entry) error {
	b, err := json.MarshalIndent(file{entries}, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(l.path), ".forward-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return atomicfile.Rename(f.Name(), l.path)
}

// Values is what goes into an envelope now: the variables that are set, and the
// names of those that win. What would be too much for it is left out from the end.
func (l *List) Values() (env map[string]string, wins []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	env = map[string]string{}
	total := 0
	for _, e := range l.entries {
		v, ok := l.lookup(e.Name)
		if !ok || v == "" || strings.ContainsRune(v, 0) {
			continue
		}
		if total += len(e.Name) + len(v); total > maxValues {
			break
		}
		env[e.Name] = v
		if e.Wins {
			wins = append(wins, e.Name)
		}
	}
	return env, wins
}
