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
	"time"
)

// transcript answers --install and --update from the scenario: really doing
// either would change more than a scenario can say [B8].
func (m *machine) transcript(option string) uint32 {
	t, ok := m.Transcripts[option]
	if !ok {
		return refuse(option + " without a transcript in the scenario")
	}
	wait(time.Duration(t.DelayMS) * time.Millisecond)
	m.out.print(t.Stdout)
	return t.Exit
}

// unregister removes a distro with all it holds [A1.6].
func (m *machine) unregister(name string) error {
	if err := Terminate(m.dir, name); err != nil {
		return err
	}
	var keep []Distro
	for _, d := range m.Distros {
		if d.Name == name {
			if err := os.RemoveAll(d.folder(m.dir)); err != nil {
				return err
			}
			continue
		}
		keep = append(keep, d)
	}
	m.Distros = keep
	return Save(m.dir, m.Scenario)
}

// registrable are the names WSL itself accepts [A1.6].
var registrable = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,256}$`)

// importDistro is `--import name dir file [--version n]`. The file must look like
// a tar, plain or compressed; nothing of it is unpacked, since a simulated distro
// has the host's file system [A1.6].
func (m *machine) importDistro(args []string) error {
	version := 0
	var words []string
	for len(args) > 0 {
		switch a := args[0]; {
		case a == "--version" && len(args) > 1 && (args[1] == "1" || args[1] == "2"):
			version = int(args[1][0] - '0')
			args = args[1:]
		case strings.HasPrefix(a, "--"):
			return refusal("--import " + a)
		default:
			words = append(words, a)
		}
		args = args[1:]
	}
	if len(words) != 3 {
		return usageError(textUsage)
	}
	name, location, file := words[0], words[1], words[2]
	if !registrable.MatchString(name) || strings.EqualFold(name, "Legacy") {
		return errInvalidArg
	}
	if _, taken := m.find(name); taken {
		return &codeError{"A distribution with the supplied name already exists.", "Wsl/Service/RegisterDistro/ERROR_ALREADY_EXISTS"}
	}
	for _, d := range m.Distros {
		if d.Location != "" && strings.EqualFold(d.Location, location) {
			return &codeError{"The supplied install location is already in use.", "Wsl/Service/RegisterDistro/ERROR_FILE_EXISTS"}
		}
	}
	head, err := headOf(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &codeError{"The system cannot find the file specified. ", "Wsl/ERROR_FILE_NOT_FOUND"}
	case err != nil:
		return err
	case bytes.HasPrefix(head, []byte("vhdxfile")):
		return &codeError{"This looks like a VHD file. Use --vhd to import a VHD instead of a tar.", "Wsl/Service/RegisterDistro/WSL_E_IMPORT_FAILED"}
	case !isArchive(head):
		m.err.print("bsdtar: Error opening archive: Unrecognized archive format\r\n")
		return &codeError{"Importing the distribution failed.", "Wsl/Service/RegisterDistro/WSL_E_IMPORT_FAILED"}
	}
	m.Distros = append(m.Distros, Distro{Name: name, Version: version, Location: location})
	if len(m.Distros) == 1 {
		m.Default = name
	}
	return Create(m.dir, m.Scenario)
}

func headOf(file string) ([]byte, error) {
	f := os.Stdin
	if file != "-" {
		var err error
		if f, err = os.Open(file); err != nil {
			return nil, err
		}
		defer f.Close()
	}
	head, err := io.ReadAll(io.LimitReader(f, 512))
	if err == nil && file == "-" {
		_, err = io.Copy(io.Discard, f)
	}
	return head, err
}

func isArchive(head []byte) bool {
	return len(head) >= 262 && string(head[257:262]) == "ustar" || bytes.HasPrefix(head, []byte{0x1f, 0x8b}) || bytes.HasPrefix(head, []byte("\xfd7zXZ\x00"))
}

const updateFile = "update.json"

type update struct {
	UntilMS int64  `json:"untilMs"`
	Text    string `json:"text"`
	Code    string `json:"code"`
}

// BackgroundUpdate is WSL replacing itself: everything in every distro ends, and
// for d every command that needs the service fails with text and code [A4, B35].
func BackgroundUpdate(dir string, d time.Duration, text, code string) error {
	if err := replace(dir, updateFile, update{time.Now().Add(d).UnixMilli(), text, code}); err != nil {
		return err
	}
	return Shutdown(dir)
}

func (m *machine) updating(c command) (uint32, bool) {
	b, err := os.ReadFile(filepath.Join(m.dir, updateFile))
	if err != nil || c.verb == "version" {
		return 0, false
	}
	var u update
	if err := json.Unmarshal(b, &u); err != nil {
		return m.fail(fmt.Errorf("%s: %w", updateFile, err)), true
	}
	if time.Now().UnixMilli() >= u.UntilMS {
		return 0, false
	}
	return m.fail(&codeError{u.Text, u.Code}), true
}

// wslinfo is the program of that name inside a distro [B39].
func wslinfo(s Scenario, d Distro, args []string, stdout, stderr io.Writer) int {
	end, answer := "\n", ""
	for _, a := range args {
		switch a {
		case "-n":
			end = ""
		case "--networking-mode":
			answer = s.NetworkingMode
			if answer == "" {
				answer = "nat"
			}
			if d.version() == 1 {
				answer = "wsl1"
			}
		case "--vm-id":
			answer = s.VMID
			if answer == "" {
				answer = "{3c9f5a10-0000-4000-8000-000000000001}"
			}
		case "--version":
			answer = strings.TrimSuffix(profiles[s.profileName()].version, ".0")
		default:
			fmt.Fprintf(stderr, "Invalid command line argument: %s\n", a)
			return 1
		}
	}
	if answer == "" {
		fmt.Fprint(stderr, "wslinfo: Invalid argument\n")
		return 1
	}
	fmt.Fprint(stdout, answer+end)
	return 0
}

func wslinfoMain(dir, distro string, args []string) int {
	s, err := Load(dir)
	d, ok := s.find(distro)
	if err != nil || !ok {
		fmt.Fprintln(os.Stderr, "WSLSIM: wslinfo:", err, distro)
		return exitRefused
	}
	return wslinfo(s, d, args, os.Stdout, os.Stderr)
}
