package wslsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Scenario is the whole state of a simulated machine that a test chooses. What
// changes by itself (which distros run, how often a fault has struck) is kept
// beside it, never in it.
type Scenario struct {
	// Profile is the version of WSL that is simulated; "" means store-2.7.
	Profile string `json:"profile,omitempty"`
	// Locale of wsl.exe's own words, e.g. de-DE; "" means en-US.
	Locale string `json:"locale,omitempty"`
	// Default is the name of the default distro. "" or a name that nobody has means a dangling default.
	Default string   `json:"default,omitempty"`
	Distros []Distro `json:"distros"`
	// Drives are the mounted fixed drives; nil means C and D. An empty list means none.
	Drives []string `json:"drives,omitempty"`
	// WindowsDir is wsl.exe's current directory, WindowsPath its PATH, as Windows would have them.
	WindowsDir  string `json:"windowsDir,omitempty"`
	WindowsPath string `json:"windowsPath,omitempty"`
	// IdleStopMS is how long a distro without a client keeps running, in milliseconds; 0 means 15000, -1 for ever.
	IdleStopMS int `json:"idleStopMs,omitempty"`
	// VMDelayMS is what a start costs on top when the virtual machine does not run, in
	// milliseconds; it runs on for VMIdleMS after its last distro, 0 means 60000 [B34].
	VMDelayMS int `json:"vmDelayMs,omitempty"`
	VMIdleMS  int `json:"vmIdleMs,omitempty"`
	Knobs
	// Transcripts are what --install, --update and --list --online print; without one they are refused [B8].
	Transcripts map[string]Transcript `json:"transcripts,omitempty"`
	// DefaultKey replaces the registry value DefaultDistribution, to let it point nowhere [B40].
	DefaultKey string  `json:"defaultKey,omitempty"`
	Faults     []Fault `json:"faults,omitempty"`
}

// Knobs select among behaviours that differ between versions or are not verified.
type Knobs struct {
	// Forwarder makes one call two processes, an outer and an inner wsl.exe [B24].
	Forwarder bool `json:"forwarder,omitempty"`
	// HoldStdoutMS is how long wslhost keeps the inherited stdout open after a launch, in milliseconds [B23].
	HoldStdoutMS int `json:"holdStdoutMs,omitempty"`
	// OldWarnings gives untranslatable paths the old form of init [B21].
	OldWarnings bool `json:"oldWarnings,omitempty"`
	// StateWords translates the states of --list --verbose [B15].
	StateWords map[string]string `json:"stateWords,omitempty"`
	// WslpathReason follows the path in wslpath's error: "", "Invalid argument" or "Result not representable" [B38].
	WslpathReason string `json:"wslpathReason,omitempty"`
	// StubExit is the exit code of --status without WSL; 0 means 50 [B10].
	StubExit uint32 `json:"stubExit,omitempty"`
	// VersionExit makes --version fail without a word, as early Store builds did with 128 [A1.5].
	VersionExit uint32 `json:"versionExit,omitempty"`
	// NetworkingMode and VMID are what wslinfo answers; "" means nat, and a fixed id [B39].
	NetworkingMode string `json:"networkingMode,omitempty"`
	VMID           string `json:"vmId,omitempty"`
}

// Transcript is a scripted answer.
type Transcript struct {
	Stdout  string `json:"stdout"`
	Exit    uint32 `json:"exit,omitempty"`
	DelayMS int    `json:"delayMs,omitempty"`
}

// Distro is one registered distribution.
type Distro struct {
	Name string `json:"name"`
	// GUID in braces; Create fills it in.
	GUID string `json:"guid,omitempty"`
	// Version is 1 or 2; 0 means 2. In version 1 nothing gets SIGHUP when wsl.exe is killed [B30].
	Version int `json:"version,omitempty"`
	// State is "" for an installed distro (then Stopped or Running by itself), or
	// Installing, Uninstalling, Converting or Exporting for ever.
	State string `json:"state,omitempty"`
	// User is the default user, "" means dev; Users are further ones beside root.
	User  string   `json:"user,omitempty"`
	Users []string `json:"users,omitempty"`
	// Home of User; "" means home/<user> in the distro's folder of the scenario.
	Home string `json:"home,omitempty"`
	// Shell of every user; "" means /bin/sh.
	Shell string `json:"shell,omitempty"`
	// StartDelayMS is how long a cold start takes, in milliseconds; -1 means for ever.
	StartDelayMS int `json:"startDelayMs,omitempty"`
	// SystemdDelayMS is the wait for systemd at a start, at most InitTimeoutMS (0 means 10000) [B33].
	SystemdDelayMS int `json:"systemdDelayMs,omitempty"`
	InitTimeoutMS  int `json:"initTimeoutMs,omitempty"`
	// ClockShiftMS is by how much the distro's clock is ahead, in milliseconds. The host's
	// kernel has one clock, so only the program date in the distro's PATH shows it [B40].
	ClockShiftMS int64 `json:"clockShiftMs,omitempty"`
	// Registry replaces values of the distro's key; null removes one [B40].
	Registry map[string]any `json:"registry,omitempty"`
	// Location is the Windows folder of the disk.
	Location string `json:"location,omitempty"`
	// Env is put over the distro's default environment (registry value DefaultEnvironment).
	Env map[string]string `json:"env,omitempty"`
	// AutomountRoot is where drives are mounted; "" means /mnt, "off" not at all.
	AutomountRoot string `json:"automountRoot,omitempty"`
	// NoInterop and NoWindowsPath are interop.enabled and interop.appendWindowsPath turned off.
	NoInterop     bool `json:"noInterop,omitempty"`
	NoWindowsPath bool `json:"noWindowsPath,omitempty"`
}

const scenarioFile = "scenario.json"

var (
	guidForm = regexp.MustCompile(`^\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?$`)
	safeName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

// Two is the scenario of `make run-wsl`: Ubuntu, the default, and Debian.
func Two() Scenario {
	return Scenario{Default: "Ubuntu", Distros: []Distro{{Name: "Ubuntu"}, {Name: "Debian"}}}
}

// Create writes s into dir, which is made when missing, with the homes of its
// distros. What an earlier scenario in dir had in the homes stays.
func Create(dir string, s Scenario) error {
	next := 0xaa
	for i := range s.Distros {
		for s.Distros[i].GUID == "" {
			guid := fmt.Sprintf("{00000000-0000-0000-0000-%012x}", next)
			if _, taken := s.findGUID(guid); !taken {
				s.Distros[i].GUID = guid
			}
			next++
		}
	}
	if err := Save(dir, s); err != nil {
		return err
	}
	for _, d := range s.Distros {
		if err := d.makeFolders(dir); err != nil {
			return fmt.Errorf("wslsim: create scenario: %w", err)
		}
	}
	return nil
}

// makeFolders makes the homes of a distro and the folder of its own programs; what is there stays as it is.
func (d Distro) makeFolders(dir string) error {
	subs := []string{d.bin(dir)}
	for _, user := range append([]string{d.user(), "root"}, d.Users...) {
		subs = append(subs, d.home(dir, user))
	}
	for _, sub := range subs {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// Save replaces the scenario in dir atomically; commands that start afterwards see it.
func Save(dir string, s Scenario) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("wslsim: save scenario: %w", err)
	}
	// The registry goes first: a distro that is listed is registered.
	if err := replace(dir, RegistryFile, s.registry()); err != nil {
		return err
	}
	return replace(dir, scenarioFile, s)
}

// replace writes v as JSON into the file name of dir, atomically.
func replace(dir, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("wslsim: save scenario: %w", err)
	}
	f, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return fmt.Errorf("wslsim: save scenario: %w", err)
	}
	defer os.Remove(f.Name())
	_, werr := f.Write(append(b, '\n'))
	if err := errors.Join(werr, f.Close()); err != nil {
		return fmt.Errorf("wslsim: save scenario: %w", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("wslsim: save scenario: %w", err)
	}
	return nil
}

// Load reads the scenario in dir. A key it does not know is an error: the
// simulator must never guess what a test meant [B4].
func Load(dir string) (Scenario, error) {
	var s Scenario
	b, err := os.ReadFile(filepath.Join(dir, scenarioFile))
	if err != nil {
		return s, fmt.Errorf("wslsim: load scenario: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("wslsim: load scenario: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return s, errors.New("wslsim: load scenario: text after the end")
	}
	return s, s.check()
}

func (s Scenario) check() error {
	if _, ok := profiles[s.profileName()]; !ok {
		return fmt.Errorf("wslsim: profile %q is not simulated", s.Profile)
	}
	if s.Locale != "" && locales[s.Locale].label == "" {
		return fmt.Errorf("wslsim: locale %q is not simulated", s.Locale)
	}
	seen := map[string]bool{}
	for _, d := range s.Distros {
		key := strings.ToLower(d.Name)
		switch {
		case d.Name == "" || strings.ContainsAny(d.Name, "/\\\x00\r\n") || seen[key]:
			return fmt.Errorf("wslsim: distro name %q is empty, taken or impossible", d.Name)
		case d.GUID != "" && (!guidForm.MatchString(d.GUID) || d.GUID[0] != '{'):
			return fmt.Errorf("wslsim: distro %q: bad guid %q", d.Name, d.GUID)
		case d.Version < 0 || d.Version > 2:
			return fmt.Errorf("wslsim: distro %q: bad version %d", d.Name, d.Version)
		}
		switch d.State {
		case "", "Installing", "Uninstalling", "Converting", "Exporting":
		default:
			return fmt.Errorf("wslsim: distro %q: state %q is not simulated", d.Name, d.State)
		}
		seen[key] = true
	}
	for _, l := range s.Drives {
		if len(l) != 1 || l[0] < 'A' || l[0] > 'Z' {
			return fmt.Errorf("wslsim: drive %q is not one capital letter", l)
		}
	}
	for verb := range s.Transcripts {
		if verb != "--install" && verb != "--update" && verb != "--list --online" {
			return fmt.Errorf("wslsim: a transcript of %s is not simulated", verb)
		}
	}
	switch s.WslpathReason {
	case "", "Invalid argument", "Result not representable":
	default:
		return fmt.Errorf("wslsim: wslpath gives no reason %q", s.WslpathReason)
	}
	for _, f := range s.Faults {
		if err := f.check(); err != nil {
			return err
		}
	}
	return nil
}

func (s Scenario) profileName() string {
	if s.Profile == "" {
		return "store-2.7"
	}
	return s.Profile
}

func (s Scenario) drives() []string {
	if s.Drives == nil {
		return []string{"C", "D"}
	}
	return s.Drives
}

func (s Scenario) windowsDir() string {
	if s.WindowsDir == "" {
		return `C:\Windows\System32`
	}
	return s.WindowsDir
}

func (s Scenario) windowsPath() string {
	if s.WindowsPath == "" {
		return `C:\Windows\system32;C:\Windows`
	}
	return s.WindowsPath
}

// find looks a distro up by name without regard to case [A1.2].
func (s Scenario) find(name string) (Distro, bool) {
	for _, d := range s.Distros {
		if strings.EqualFold(d.Name, name) {
			return d, true
		}
	}
	return Distro{}, false
}

func (s Scenario) findGUID(guid string) (Distro, bool) {
	for _, d := range s.Distros {
		if strings.EqualFold(strings.Trim(d.GUID, "{}"), strings.Trim(guid, "{}")) {
			return d, true
		}
	}
	return Distro{}, false
}

func (d Distro) version() int {
	if d.Version == 0 {
		return 2
	}
	return d.Version
}

func (d Distro) user() string {
	if d.User == "" {
		return "dev"
	}
	return d.User
}

func (d Distro) shell() string {
	if d.Shell == "" {
		return "/bin/sh"
	}
	return d.Shell
}

// folder is named after the distro where the name is a plain file name, so that people find it.
func (d Distro) folder(dir string) string {
	name := d.Name
	if !safeName.MatchString(name) || strings.HasPrefix(name, ".") {
		name = strings.Trim(d.GUID, "{}")
	}
	return filepath.Join(dir, "distros", name)
}

func (d Distro) bin(dir string) string { return filepath.Join(d.folder(dir), "bin") }

// home is a user's home directory, the same path on both sides of \\wsl.localhost [B36]; "" when the distro has no such user.
func (d Distro) home(dir, user string) string {
	if user == "root" {
		return filepath.Join(d.folder(dir), "root")
	}
	if user == d.user() {
		if d.Home != "" {
			return d.Home
		}
		return filepath.Join(d.folder(dir), "home", user)
	}
	for _, u := range d.Users {
		if u == user {
			return filepath.Join(d.folder(dir), "home", user)
		}
	}
	return ""
}
