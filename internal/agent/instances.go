package agent

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
	"catamaran/internal/logfile"
)

const (
	// instancesFile and secretsFile lie in the backend's data folder, both 0600.
	instancesFile = "agents.json"
	secretsFile   = "agent-secrets.json"

	instancesMost = 50
	variablesMost = 100
	valueMost     = 32 << 10 // bytes
	argsMost      = 100
	settingsMost  = 4 << 20 // bytes of a file
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	instanceID   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
)

// instances keeps what a person set for agents. Values of secrets lie in a file of
// their own and leave it only into an agent's environment.
type instances struct {
	dir string // "" keeps nothing
	mu  sync.Mutex
}

type instanceFile struct {
	Instances []api.AgentInstance `json:"instances"`
}

// secrets are values by instance and variable.
type secrets map[string]map[string]string

// load reads both files; secrets' Set is filled in. A file that cannot be read is set
// aside, so that nothing of it is lost and the app goes on.
func (s *instances) load() ([]api.AgentInstance, secrets, error) {
	var f instanceFile
	values := secrets{}
	if s.dir == "" {
		return nil, values, nil
	}
	err := errors.Join(readSettings(filepath.Join(s.dir, instancesFile), &f), readSettings(filepath.Join(s.dir, secretsFile), &values))
	if err != nil {
		return nil, nil, err
	}
	if values == nil {
		values = secrets{}
	}
	for _, in := range f.Instances {
		for i, v := range in.Env {
			if v.Secret {
				in.Env[i].Value, in.Env[i].Set = "", values[in.ID][v.Name] != ""
				logfile.Secret(values[in.ID][v.Name])
			}
		}
	}
	return f.Instances, values, nil
}

func readSettings(path string, v any) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var b []byte
	if err == nil && info.Size() > settingsMost {
		err = errors.New("it is too large")
	}
	if err == nil {
		b, err = atomicfile.ReadFile(path)
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &mistyped) {
		if rerr := atomicfile.Rename(path, path+".unreadable"); rerr != nil {
			return errors.Join(err, rerr)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("agent settings: %w", err)
	}
	return nil
}

func writeSettings(path string, v any) (err error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("agent settings: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".agents-*") // 0600
	if err != nil {
		return fmt.Errorf("agent settings: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("agent settings: %w", err)
	}
	return atomicfile.Rename(f.Name(), path)
}

// list returns what was saved, without secrets.
func (s *instances) list() ([]api.AgentInstance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, _, err := s.load()
	if all == nil {
		all = []api.AgentInstance{}
	}
	return all, err
}

// save makes or changes one and returns it as it is listed.
func (s *instances) save(in api.AgentInstance, known []Preset) (api.AgentInstance, error) {
	if s.dir == "" {
		return in, &api.Error{Code: api.CodeUnavailable, Message: "Settings of agents are not kept here."}
	}
	if err := checkInstance(in, known); err != nil {
		return in, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all, values, err := s.load()
	if err != nil {
		return in, err
	}
	at := slices.IndexFunc(all, func(o api.AgentInstance) bool { return o.ID == in.ID })
	isKnown := slices.ContainsFunc(known, func(p Preset) bool { return p.ID == in.ID })
	switch {
	case in.ID == "":
		in.ID = freshID(in, all)
	case at < 0 && !isKnown:
		return in, &api.Error{Code: api.CodeNotFound, Message: "These settings are not there (any more).", Hint: "Make them anew."}
	case isKnown && in.Base != in.ID:
		return in, &api.Error{Code: api.CodeInvalid, Message: "Settings of a known agent are about that agent."}
	}
	if at < 0 && len(all) >= instancesMost {
		return in, &api.Error{Code: api.CodeConflict, Message: "There are 50 agents already.", Hint: "Remove one first."}
	}
	mine := map[string]string{}
	for i, v := range in.Env {
		if !v.Secret {
			in.Env[i].Set = false
			continue
		}
		if v.Value == "" {
			v.Value = values[in.ID][v.Name] // it stays
		}
		if v.Value != "" {
			mine[v.Name] = v.Value
			logfile.Secret(v.Value)
		}
		in.Env[i].Value, in.Env[i].Set = "", v.Value != ""
	}
	if delete(values, in.ID); len(mine) > 0 {
		values[in.ID] = mine
	}
	if at >= 0 {
		all[at] = in
	} else {
		all = append(all, in)
	}
	return in, s.write(all, values)
}

func (s *instances) write(all []api.AgentInstance, values secrets) error {
	return errors.Join(writeSettings(filepath.Join(s.dir, secretsFile), values), writeSettings(filepath.Join(s.dir, instancesFile), instanceFile{all}))
}

func (s *instances) remove(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, values, err := s.load()
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(all, func(o api.AgentInstance) bool { return o.ID == id })
	if len(left) == len(all) {
		return &api.Error{Code: api.CodeNotFound, Message: "These settings are not there (any more)."}
	}
	delete(values, id)
	return s.write(left, values)
}

// env is what an instance's agent is given besides the environment's own.
func instanceEnv(in api.AgentInstance, values secrets) []string {
	var env []string
	for _, v := range in.Env {
		value := v.Value
		if v.Secret {
			value = values[in.ID][v.Name]
		}
		env = append(env, v.Name+"="+value)
	}
	return env
}

// without is an environment less some variables.
func without(env, names []string) []string {
	if len(names) == 0 {
		return env
	}
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(names, name)
	})
}

func freshID(in api.AgentInstance, all []api.AgentInstance) string {
	for {
		var raw [3]byte
		_, _ = rand.Read(raw[:]) // never fails
		base := in.Base
		if base == "" {
			base = "acp"
		}
		id := base + "-" + hex.EncodeToString(raw[:])
		if !slices.ContainsFunc(all, func(o api.AgentInstance) bool { return o.ID == id }) {
			return id
		}
	}
}

// checkInstance says what is wrong with settings.
func checkInstance(in api.AgentInstance, known []Preset) error {
	invalid := func(message, hint string) error {
		return &api.Error{Code: api.CodeInvalid, Message: message, Hint: hint}
	}
	isText := func(s string, most int) bool { return len(s) <= most && !strings.ContainsRune(s, 0) }
	switch {
	case in.ID != "" && !instanceID.MatchString(in.ID):
		return invalid("This is not the id of an agent.", "")
	case in.Base != "" && !slices.ContainsFunc(known, func(p Preset) bool { return p.ID == in.Base }):
		return invalid("There is no agent named "+in.Base+".", "Choose one of the known agents, or none for a program of your own.")
	case in.Base == "" && (strings.TrimSpace(in.Name) == "" || strings.TrimSpace(in.Path) == ""):
		return invalid("A program of your own needs a name and a path.", "Give both.")
	case len(in.Name) > 100 || strings.ContainsAny(in.Name, "\n\r\x00"):
		return invalid("A name has at most 100 characters, on one line.", "")
	case !isText(in.Path, 4096) || len(in.Args) > argsMost || slices.ContainsFunc(in.Args, func(a string) bool { return !isText(a, valueMost) }):
		return invalid("The path or the arguments are too long.", "")
	case len(in.Env) > variablesMost || len(in.Without) > variablesMost:
		return invalid("There are too many variables.", "An agent takes at most 100.")
	}
	seen := map[string]bool{}
	for _, v := range in.Env {
		switch {
		case !variableName.MatchString(v.Name) || strings.HasPrefix(strings.ToUpper(v.Name), "CATAMARAN_"):
			return invalid(fmt.Sprintf("%.64q cannot be set as a variable.", v.Name), "Use letters, digits and underscores; names that begin with CATAMARAN_ are the app's own.")
		case seen[v.Name]:
			return invalid("The variable "+v.Name+" is there twice.", "Remove one.")
		case !isText(v.Value, valueMost):
			return invalid("The value of "+v.Name+" is too long.", "It may have 32 KiB.")
		}
		seen[v.Name] = true
	}
	return nil
}
