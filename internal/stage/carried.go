package stage

import (
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed stage.sh
var source string

// script is what is sent: the source without comment lines and blank lines.
var script = strip(source)

// FilePrefix precedes the architecture in the name of a carried backend.
const FilePrefix = "catamaran-backend-linux-"

var architectures = []string{"amd64", "arm64"}

type backend struct {
	path   string
	size   int64
	digest string
}

// Carried is the set of Linux backends this desktop carries. It may be used by
// several negotiations at once.
type Carried struct {
	backends map[string]backend
	// nonce tells the script's lines from whatever else a distro prints. It is no secret.
	nonce string
}

// Load reads the carried backends from dir: files catamaran-backend-linux-amd64
// and -arm64. One may be missing, since a machine needs only its own; both
// missing is an error. The files are hashed here and read again while staging.
func Load(dir string) (*Carried, error) {
	var n [8]byte
	if _, err := rand.Read(n[:]); err != nil {
		return nil, fmt.Errorf("load carried backends: %w", err)
	}
	c := &Carried{backends: map[string]backend{}, nonce: hex.EncodeToString(n[:])}
	for _, arch := range architectures {
		path := filepath.Join(dir, FilePrefix+arch)
		b, err := measure(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("load carried backends: %w", err)
		}
		c.backends[arch] = b
	}
	if len(c.backends) == 0 {
		return nil, fmt.Errorf("load carried backends: %s holds no %s<architecture>", dir, FilePrefix)
	}
	return c, nil
}

func measure(path string) (backend, error) {
	f, err := os.Open(path)
	if err != nil {
		return backend{}, err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return backend{}, err
	}
	if size == 0 {
		return backend{}, fmt.Errorf("%s is empty", path)
	}
	return backend{path: path, size: size, digest: hex.EncodeToString(h.Sum(nil))}, nil
}

// Digest is the lower-case hex SHA-256 of the carried backend for arch (amd64,
// arm64), "" when there is none.
func (c *Carried) Digest(arch string) string { return c.backends[arch].digest }

// Argv is the command to run in the distro. force replaces a file that is there.
//
// The script goes as an argument and not over stdin because a shell that reads
// its script from stdin reads ahead and would swallow the start of the backend.
// It is about 2 KB; Windows allows 32,767 units for a whole command line.
func (c *Carried) Argv(force bool) []string {
	forced := "0"
	if force {
		forced = "1"
	}
	argv := []string{"/bin/sh", "-c", script, "catamaran", c.nonce, forced}
	for _, arch := range architectures {
		b, ok := c.backends[arch]
		if !ok {
			argv = append(argv, "-", "0")
			continue
		}
		argv = append(argv, b.digest, strconv.FormatInt(b.size, 10))
	}
	return argv
}

func strip(src string) string {
	var out strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(src, "\r\n", "\n")) {
		if t := strings.TrimSpace(line); t == "" || t[0] == '#' {
			continue
		}
		out.WriteString(line)
	}
	return out.String()
}
