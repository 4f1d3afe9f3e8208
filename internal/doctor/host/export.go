package host

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	"catamaran/internal/api"
)

// Bounds of an archive, in bytes and files.
const (
	maxLogFile = 1 << 20
	maxLogs    = 40
	maxConfig  = 64 << 10
)

// configFiles are the files of the desktop's folder that go into an archive. It
// is a list of what may, so that a new file with a secret is left out by itself.
var configFiles = []string{"mode.json", "mode.pending.json", "forward.json", "port"}

// Bundle is what goes into an archive (W9.3).
type Bundle struct {
	Diagnosis    api.Diagnosis
	Environments *api.Environments
	// Desktop is the desktop's state folder, LogDirs the folders whose *.log files are taken.
	Desktop string
	LogDirs []string
	// BackendLogs are logs that came over a link, by environment id.
	BackendLogs map[string]string
	// Redact takes known secrets out of text; patterns of secrets are taken out besides.
	Redact func(string) string
	Now    time.Time
}

// Name is a file name for an archive made at t.
func Name(t time.Time) string {
	return "catamaran-diagnostics-" + t.Format("2006-01-02-150405") + ".zip"
}

// Archive makes the zip in memory: it is bounded by what goes in. A file that
// cannot be read is named with the reason instead.
func Archive(b Bundle) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	redact := func(s string) string {
		if b.Redact != nil {
			s = b.Redact(s)
		}
		return Patterns(s)
	}
	var failed error
	add := func(name, text string) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: b.Now})
		if err == nil {
			_, err = w.Write([]byte(redact(text)))
		}
		failed = errors.Join(failed, err)
	}
	add("README.txt", "Made by Catamaran "+b.Diagnosis.Version.Version+" for a report about a problem.\n\n"+
		"findings.json   what the doctor found\nversions.json   versions of the desktop and the backends\nenvironments.json  their states\n"+
		"config/         settings; names of forwarded variables, never values\nlogs/           the end of each log\n\n"+
		"Known secrets and what looks like one are taken out. Paths, project names and names of\nprograms are not: look through it before you send it.\n")
	add("findings.json", document(b.Diagnosis))
	versions := map[string]any{"desktop": b.Diagnosis.Version}
	if b.Environments != nil {
		add("environments.json", document(b.Environments))
		for _, e := range b.Environments.Environments {
			if e.Version != "" {
				versions[e.ID] = map[string]string{"version": e.Version, "os": e.OS, "arch": e.Arch}
			}
		}
	}
	add("versions.json", document(versions))
	for _, name := range configFiles {
		text, err := readEnd(filepath.Join(b.Desktop, name), maxConfig)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			text = []byte("could not be read: " + err.Error())
		}
		add("config/"+name, string(text))
	}
	taken := map[string]bool{}
	for _, dir := range b.LogDirs {
		for _, path := range logsIn(dir) {
			if len(taken) >= maxLogs {
				break
			}
			name := "logs/" + filepath.Base(path)
			if taken[name] {
				name = "logs/" + filepath.Base(filepath.Dir(filepath.Dir(path))) + "-" + filepath.Base(path)
			}
			taken[name] = true
			text, err := readEnd(path, maxLogFile)
			if err != nil {
				text = []byte("could not be read: " + err.Error())
			}
			add(name, string(text))
		}
	}
	ids := make([]string, 0, len(b.BackendLogs))
	for id := range b.BackendLogs {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for i, id := range ids {
		if b.BackendLogs[id] != "" {
			add(fmt.Sprintf("logs/environment-%d-%s.log", i, fileName(id)), b.BackendLogs[id])
		}
	}
	if err := errors.Join(failed, z.Close()); err != nil {
		return nil, fmt.Errorf("make the archive: %w", err)
	}
	return out.Bytes(), nil
}

func document(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return "could not be written: " + err.Error()
	}
	return b.String()
}

func logsIn(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var paths []string
	for _, e := range entries {
		if e.Type().IsRegular() && strings.Contains(e.Name(), ".log") {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths
}

func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, s)
}

const redacted = "[redacted]"

// patterns are what secrets look like wherever they come from: our own session
// tokens and launch codes, headers, keys of the usual services, key-value pairs
// with a telling name, addresses with a password.
var patterns = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`ct1\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?`), redacted},
	{regexp.MustCompile(`(#code=)[A-Za-z0-9_%-]+`), "${1}" + redacted},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`), "${1} " + redacted},
	{regexp.MustCompile(`\b(sk|pk|rk)-[A-Za-z0-9_-]{12,}`), redacted},
	{regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{12,}|xox[a-z]-[A-Za-z0-9-]{8,}|npm_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{16,}|gsk_[A-Za-z0-9]{16,}|xai-[A-Za-z0-9]{16,})`), redacted},
	{regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{20,}`), redacted},
	{regexp.MustCompile(`\bAKIA[A-Z0-9]{12,}`), redacted},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)?`), redacted},
	{regexp.MustCompile(`(?i)([A-Za-z0-9_-]*(?:api[_-]?key|token|secret|passwo?r?d|credential|authorization)[A-Za-z0-9_-]*\\?["']?\s*[=:]\s*\\?["']?)[^\s"',;\\}\]\[]{6,}`), "${1}" + redacted},
	{regexp.MustCompile(`(://[^/\s:@"]*:)[^/\s:@"]+(@)`), "${1}" + redacted + "${2}"},
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\z)`), redacted},
}

// Patterns takes out what looks like a secret.
func Patterns(s string) string {
	for _, p := range patterns {
		s = p.re.ReplaceAllString(s, p.with)
	}
	return s
}
