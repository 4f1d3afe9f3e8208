package product

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"catamaran/internal/update"
)

// Releases is an update server on loopback whose key and address are built into the programs it makes.
type Releases struct {
	t            testing.TB
	goos, goarch string
	key          ed25519.PrivateKey
	ldflags      string

	mu    sync.Mutex
	files map[string][]byte
}

// NewReleases serves releases for a system until the test ends.
func NewReleases(t testing.TB, goos, goarch string) *Releases {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Releases{t: t, goos: goos, goarch: goarch, key: private}
	r.ldflags = fmt.Sprintf("-s -w -X catamaran/internal/build.UpdateURL=http://%s -X catamaran/internal/build.UpdateKey=%s", l.Addr(), base64.StdEncoding.EncodeToString(public))
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		b, ok := r.files[strings.TrimPrefix(req.URL.Path, "/")]
		r.mu.Unlock()
		if !ok {
			http.NotFound(w, req)
			return
		}
		http.ServeContent(w, req, "", time.Unix(1, 0), bytes.NewReader(b))
	}), ReadHeaderTimeout: 10 * time.Second}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return r
}

// Program builds the desktop as a version of its own; flags go to the linker too.
func (r *Releases) Program(version, to string, flags ...string) {
	r.t.Helper()
	ld := strings.Join(append([]string{r.ldflags, "-X catamaran/internal/build.Version=" + version}, flags...), " ")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", ld, "-o", to, "./cmd/catamaran")
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOOS="+r.goos, "GOARCH="+r.goarch)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("build: %v\n%s", err, out)
	}
}

// Publish makes a signed release of programs, the only one there is from then on;
// each is a file's content by its name.
func (r *Releases) Publish(version string, programs map[string][]byte) {
	r.t.Helper()
	name, b, err := version+".tar.gz", bytes.Buffer{}, error(nil)
	if r.goos == "windows" {
		name = version + ".zip"
		err = zipOf(&b, "catamaran-"+version, programs)
	} else {
		err = tarOf(&b, "catamaran-"+version, programs)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	m, err := json.Marshal(update.Manifest{Version: version, Notes: "Better.", Files: []update.File{{
		OS: r.goos, Arch: r.goarch, Name: name, Bytes: int64(b.Len()), SHA256: fmt.Sprintf("%x", sha256.Sum256(b.Bytes())),
	}}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files = map[string][]byte{"manifest.json": m, "manifest.json.sig": update.Sign(m, r.key), name: b.Bytes()}
}

func tarOf(to io.Writer, top string, programs map[string][]byte) error {
	z, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	for name, text := range programs {
		if err := w.WriteHeader(&tar.Header{Name: top + "/" + name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return z.Close()
}

func zipOf(to io.Writer, top string, programs map[string][]byte) error {
	w := zip.NewWriter(to)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
	for name, text := range programs {
		f, err := w.Create(top + "/" + name)
		if err != nil {
			return err
		}
		if _, err := f.Write(text); err != nil {
			return err
		}
	}
	return w.Close()
}
