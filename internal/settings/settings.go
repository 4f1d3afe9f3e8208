// Package settings keeps what a person chose in the app: settings.json, an
// object of named values, and keys.json, a list of key bindings, both in the
// desktop's state folder (or the backend's, where it serves a page alone). The
// files may be edited by hand. The package gives the values no meaning: the page
// does. The gateway and the stand-alone door call it.
//
// Invariants: a file is replaced as a whole and only by one that was written and
// synced; what cannot be understood is told, never used and never thrown away: a
// bad row stays in the file, a file that is no JSON is renamed before another is written.
package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
)

const (
	// ValuesFile and KeysFile are the names in the state folder.
	ValuesFile = "settings.json"
	KeysFile   = "keys.json"

	maxFile  = 1 << 20 // bytes of a file
	maxNames = 500
	maxRows  = 2000
	maxValue = 64 << 10 // bytes of one value
	maxText  = 512      // bytes of a key, a command, a when-expression
)

var nameForm = regexp.MustCompile(`^[a-z][A-Za-z0-9]*(\.[A-Za-z0-9_:-]+)*$`)

// Store is the settings of one state folder. Safe for concurrent use in one process.
type Store struct {
	dir string
	mu  sync.Mutex
}

// New names the folder; it reads nothing.
func New(dir string) *Store { return &Store{dir: dir} }

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// Get reads both files. The error is a file that cannot be read at all; one
// that is not there is empty.
func (s *Store) Get() (api.Settings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, k, err := s.readLocked()
	return s.answer(v, k), err
}

func (s *Store) answer(v values, k keys) api.Settings {
	out := api.Settings{Values: v.known, Keys: k.rows, Path: s.path(ValuesFile), KeysPath: s.path(KeysFile), Problems: append(v.problems, k.problems...)}
	if out.Values == nil {
		out.Values = map[string]json.RawMessage{}
	}
	if out.Keys == nil {
		out.Keys = []api.KeyBinding{}
	}
	return out
}

func (s *Store) readLocked() (values, keys, error) {
	vb, verr := readFile(s.path(ValuesFile))
	kb, kerr := readFile(s.path(KeysFile))
	if err := errors.Join(verr, kerr); err != nil {
		return values{}, keys{}, fmt.Errorf("read settings: %w", err)
	}
	return parseValues(vb), parseKeys(kb), nil
}

// readFile answers nil for a file that is not there; one over the bound is cut one byte behind it.
func readFile(path string) ([]byte, error) {
	f, err := atomicfile.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Set changes values and rows, on disk first, and answers what is there then.
// Errors: *api.Error for what the person asked, or the disk's.
func (s *Store) Set(c api.SettingsChange) (api.Settings, error) {
	for name, v := range c.Values {
		if err := checkValue(name, v); err != nil {
			return api.Settings{}, err
		}
	}
	if c.Keys != nil {
		if err := checkRows(*c.Keys); err != nil {
			return api.Settings{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, k, err := s.readLocked()
	if err != nil {
		return api.Settings{}, err
	}
	if len(c.Values) > 0 {
		if v, err = s.setValues(v, c.Values); err != nil {
			return api.Settings{}, err
		}
	}
	if c.Keys != nil {
		if k, err = s.setKeys(k, *c.Keys); err != nil {
			return api.Settings{}, err
		}
	}
	return s.answer(v, k), nil
}

func (s *Store) setValues(v values, change map[string]json.RawMessage) (values, error) {
	all := maps.Clone(v.all)
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	for name, x := range change {
		if isNull(x) {
			delete(all, name)
		} else {
			all[name] = x
		}
	}
	if len(all) > maxNames {
		return v, &api.Error{Code: api.CodeTooLarge, Message: fmt.Sprintf("More than %d settings cannot be kept.", maxNames)}
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return v, fmt.Errorf("keep settings: %w", err)
	}
	if err := s.write(ValuesFile, b, v.damaged); err != nil {
		return v, err
	}
	return parseValues(b), nil
}

func (s *Store) setKeys(k keys, rows []api.KeyBinding) (keys, error) {
	list := make([]json.RawMessage, 0, len(rows)+len(k.bad))
	for _, r := range rows {
		b, err := marshalPlain(r)
		if err != nil {
			return k, fmt.Errorf("keep key bindings: %w", err)
		}
		list = append(list, b)
	}
	// What was not understood stays, behind the rest, until a person repairs or removes it.
	list = append(list, k.bad...)
	var b bytes.Buffer
	b.WriteString("[")
	for i, r := range list {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  ")
		b.Write(r)
	}
	if len(list) > 0 {
		b.WriteString("\n")
	}
	b.WriteString("]")
	if err := s.write(KeysFile, b.Bytes(), k.damaged); err != nil {
		return k, err
	}
	return parseKeys(b.Bytes()), nil
}

// marshalPlain keeps "&&" of a when-expression readable in the file.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// write replaces a file by content; one that could not be understood is moved aside first.
func (s *Store) write(name string, content []byte, damaged bool) error {
	if len(content) >= maxFile {
		return &api.Error{Code: api.CodeTooLarge, Message: name + " would be too large."}
	}
	f, err := os.CreateTemp(s.dir, "."+name+"-*")
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(content, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	if damaged {
		if err := atomicfile.Rename(s.path(name), s.path(name+".damaged")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set the damaged %s aside: %w", name, err)
		}
	}
	if err := atomicfile.Rename(f.Name(), s.path(name)); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

func checkValue(name string, v json.RawMessage) error {
	switch {
	case !nameForm.MatchString(name) || len(name) > maxText:
		return &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("%.64q is not the name of a setting.", name)}
	case len(v) > maxValue:
		return &api.Error{Code: api.CodeTooLarge, Message: fmt.Sprintf("The value of %s is too large.", name)}
	case !isNull(v) && !json.Valid(v):
		return &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("The value of %s is not valid JSON.", name)}
	}
	return nil
}

func checkRows(rows []api.KeyBinding) error {
	if len(rows) > maxRows {
		return &api.Error{Code: api.CodeTooLarge, Message: fmt.Sprintf("More than %d key bindings cannot be kept.", maxRows)}
	}
	for i, r := range rows {
		if why := rowProblem(r); why != "" {
			return &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("Key binding %d cannot be kept: %s.", i+1, why)}
		}
	}
	return nil
}

func rowProblem(r api.KeyBinding) string {
	switch {
	case r.Key == "":
		return "it has no key"
	case r.Command == "" || r.Command == "-":
		return "it has no command"
	case max(len(r.Key), len(r.Command), len(r.When)) > maxText:
		return "a text of it is too long"
	}
	return ""
}

func isNull(v json.RawMessage) bool {
	v = bytes.TrimSpace(v)
	return len(v) == 0 || slices.Equal(v, []byte("null"))
}
