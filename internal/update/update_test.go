package update

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"catamaran/internal/api"
)

func TestNewer(t *testing.T) {
	t.Parallel()
	order := []string{"", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"}
	for i, a := range order {
		for k, b := range order {
			if got := Newer(a, b); got != (i > k) {
				t.Errorf("Newer(%q, %q) = %v", a, b, got)
			}
		}
	}
	for _, bad := range []string{"v1.0.0", "1.0", "01.0.0", "1.0.0-", "1.0.0-a..b", "1.0.x", "-1.0.0", "c761ec7"} {
		if Newer(bad, "0.0.1") {
			t.Errorf("%q is taken for a version", bad)
		}
	}
	if Newer("1.0.0+b", "1.0.0+a") {
		t.Error("build metadata decides")
	}
}

// publisher is an update server of one release on loopback.
type publisher struct {
	url      string
	key      string
	private  ed25519.PrivateKey
	archive  []byte
	manifest []byte
	sig      []byte
	cutAt    atomic.Int64 // bytes after which a download is cut, once
	asked    atomic.Int64
	ranges   atomic.Int64
}

func tarOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

// noise does not get smaller by compression.
func noise(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return string(b)
}

func publish(t *testing.T, version string, archive []byte) *publisher {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{private: private, key: base64.StdEncoding.EncodeToString(public), archive: archive}
	p.cutAt.Store(-1)
	p.release(t, version)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		switch r.URL.Path {
		case "/r/manifest.json":
			w.Write(p.manifest)
		case "/r/manifest.json.sig":
			w.Write(p.sig)
		case "/r/app.tar.gz":
			if r.Header.Get("Range") != "" {
				p.ranges.Add(1)
			}
			if cut := p.cutAt.Swap(-1); cut >= 0 {
				w.Header().Set("Content-Length", fmt.Sprint(len(p.archive)))
				w.Write(p.archive[:cut])
				panic(http.ErrAbortHandler)
			}
			http.ServeContent(w, r, "app.tar.gz", time.Unix(1, 0), bytes.NewReader(p.archive))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	p.url = srv.URL + "/r"
	return p
}

func (p *publisher) release(t *testing.T, version string) {
	t.Helper()
	var err error
	p.manifest, err = json.Marshal(Manifest{Version: version, Notes: "- better", Files: []File{{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Name: "app.tar.gz", Bytes: int64(len(p.archive)), SHA256: fmt.Sprintf("%x", sha256.Sum256(p.archive)),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	p.sig = Sign(p.manifest, p.private)
}

func updater(t *testing.T, p *publisher, change func(*Options)) *Updater {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o := Options{URL: p.url, Key: p.key, Current: "1.0.0", Dir: dir, State: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		Busy: func(context.Context) []string { return nil }, Begin: func(string, File, string) error { return nil }}
	if change != nil {
		change(&o)
	}
	return New(o)
}

func settled(t *testing.T, u *Updater) api.Update {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for u.Get().State == api.UpdateFetching {
		if time.Now().After(deadline) {
			t.Fatal("the download does not end")
		}
		time.Sleep(5 * time.Millisecond)
	}
	return u.Get()
}

// A newer version is found, a cut download goes on where it was, and what was
// fetched is handed over; while agents work it is not.
func TestFromCheckToInstall(t *testing.T) {
	t.Parallel()
	p := publish(t, "1.1.0", tarOf(t, map[string]string{"app/catamaran": noise(1 << 20)}))
	var busy []string
	var begun string
	u := updater(t, p, func(o *Options) {
		o.Busy = func(context.Context) []string { return busy }
		o.Begin = func(archive string, _ File, version string) error { begun = archive + " " + version; return nil }
	})
	if now, err := u.Check(context.Background()); err != nil || now.State != api.UpdateAvailable || now.Version != "1.1.0" || now.Notes != "- better" || now.Checked == 0 {
		t.Fatalf("%+v, %v", now, err)
	}
	if _, err := u.Install(context.Background()); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("install before the download: %v", err)
	}
	p.cutAt.Store(int64(len(p.archive) / 2))
	if _, err := u.Fetch(); err != nil {
		t.Fatal(err)
	}
	if now := settled(t, u); now.State != api.UpdateAvailable || now.Error == nil || !now.Error.Retryable {
		t.Fatalf("after a cut: %+v", now)
	}
	if _, err := u.Fetch(); err != nil {
		t.Fatal(err)
	}
	if now := settled(t, u); now.State != api.UpdateReady || now.Bytes != now.Total || p.ranges.Load() != 1 {
		t.Fatalf("%+v, %d ranges", now, p.ranges.Load())
	}
	busy = []string{"Fix it (This computer)"}
	if _, err := u.Install(context.Background()); api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), "Fix it") || begun != "" {
		t.Errorf("%v, %q", err, begun)
	}
	busy = nil
	if _, err := u.Install(context.Background()); err != nil || !strings.HasSuffix(begun, " 1.1.0") {
		t.Errorf("%v, %q", err, begun)
	}
	// The person's wish about the daily check stays over a restart.
	if _, err := u.Set(api.UpdateSet{Auto: false}); err != nil {
		t.Fatal(err)
	}
	if again := New(u.o); again.Get().Auto || again.Get().Checked == 0 {
		t.Errorf("%+v", again.Get())
	}
}

// Nothing that the publisher did not sign is taken.
func TestForgeries(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(p *publisher){
		"another key":       func(p *publisher) { _, k, _ := ed25519.GenerateKey(rand.Reader); p.sig = Sign(p.manifest, k) },
		"no signature":      func(p *publisher) { p.sig = nil },
		"a changed version": func(p *publisher) { p.manifest = bytes.Replace(p.manifest, []byte("1.1.0"), []byte("9.9.9"), 1) },
		"a path": func(p *publisher) {
			p.manifest = bytes.Replace(p.manifest, []byte("app.tar.gz"), []byte("../x"), 1)
			p.sig = Sign(p.manifest, p.private)
		},
		"no digest": func(p *publisher) {
			p.manifest = []byte(`{"version":"1.1.0","files":[{"os":"` + runtime.GOOS + `","arch":"` + runtime.GOARCH + `","name":"app.tar.gz","bytes":5}]}`)
			p.sig = Sign(p.manifest, p.private)
		},
		"no JSON": func(p *publisher) { p.manifest = []byte("{"); p.sig = Sign(p.manifest, p.private) },
	} {
		p := publish(t, "1.1.0", []byte("archive"))
		change(p)
		u := updater(t, p, nil)
		if now, err := u.Check(context.Background()); err == nil || now.State != api.UpdateIdle || now.Version != "" || now.Error == nil {
			t.Errorf("%s: %+v, %v", name, now, err)
		}
	}
	p := publish(t, "1.1.0", []byte("archive"))
	p.archive = []byte("another")
	u := updater(t, p, nil)
	if _, err := u.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	u.Fetch()
	if now := settled(t, u); now.State != api.UpdateAvailable || now.Error == nil || now.Error.Code != api.CodeInvalid {
		t.Errorf("another archive: %+v", now)
	}
	if left, _ := filepath.Glob(filepath.Join(u.o.State, "updates", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNoUpdates(t *testing.T) {
	t.Parallel()
	p := publish(t, "1.0.0", []byte("x"))
	if now, err := updater(t, p, nil).Check(context.Background()); err != nil || now.State != api.UpdateIdle {
		t.Errorf("the same version: %+v, %v", now, err)
	}
	for name, change := range map[string]func(*Options){
		"no server": func(o *Options) { o.URL = "" }, "no key": func(o *Options) { o.Key = "" }, "a bad key": func(o *Options) { o.Key = "AAAA" },
		"plain http": func(o *Options) { o.URL = "http://example.org/r" }, "a package": func(o *Options) { o.Dir = "/usr/bin" },
	} {
		asked := p.asked.Load()
		u := updater(t, p, change)
		if now := u.Get(); now.State != api.UpdateOff || now.Why == "" {
			t.Errorf("%s: %+v", name, now)
		}
		if _, err := u.Check(context.Background()); api.CodeOf(err) != api.CodeUnavailable || p.asked.Load() != asked {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func plan(t *testing.T, files map[string]string) (Plan, *[]string) {
	t.Helper()
	root := t.TempDir()
	p := Plan{Dir: filepath.Join(root, "app"), State: t.TempDir(), From: "1.0.0", To: "1.1.0", Archive: filepath.Join(root, "archive")}
	if err := os.Mkdir(p.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"catamaran": "old", "uninstall.exe": "u"} {
		if err := os.WriteFile(filepath.Join(p.Dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b := tarOf(t, files)
	p.SHA256 = fmt.Sprintf("%x", sha256.Sum256(b))
	if err := os.WriteFile(p.Archive, b, 0o600); err != nil {
		t.Fatal(err)
	}
	log := &[]string{}
	note := func(s string) { *log = append(*log, s) }
	p.Idle = func(context.Context) (func(), error) { note("idle"); return func() { note("release") }, nil }
	p.Start = func() error {
		b, err := os.ReadFile(filepath.Join(p.Dir, "catamaran"))
		note("start " + string(b))
		return err
	}
	p.Stop = func(context.Context) error { note("stop"); return nil }
	p.Healthy = func(context.Context, string) error { return nil }
	p.Try = func(_ context.Context, dir string) (string, error) { return "1.1.0", nil }
	return p, log
}

func TestInstall(t *testing.T) {
	t.Parallel()
	fresh := map[string]string{"app/catamaran": "new", "app/carried/x": "c"}
	for name, c := range map[string]struct {
		files  map[string]string
		change func(*Plan)
		log    string
		now    string
		fails  bool
	}{
		"works":              {fresh, nil, "idle, release, start new", "new", false},
		"does not come up":   {fresh, func(p *Plan) { p.Healthy = func(context.Context, string) error { return errors.New("silent") } }, "idle, release, start new, stop, idle, release, start old", "old", true},
		"does not run":       {fresh, func(p *Plan) { p.Try = func(context.Context, string) (string, error) { return "", errors.New("no") } }, "idle, release, start old", "old", true},
		"another version":    {fresh, func(p *Plan) { p.Try = func(context.Context, string) (string, error) { return "1.0.9", nil } }, "idle, release, start old", "old", true},
		"a changed archive":  {fresh, func(p *Plan) { p.SHA256 = strings.Repeat("0", 64) }, "start old", "old", true},
		"the app stays":      {fresh, func(p *Plan) { p.Idle = func(context.Context) (func(), error) { return nil, errors.New("busy") } }, "", "old", true},
		"a path that climbs": {map[string]string{"app/../../evil": "x"}, nil, "idle, release, start old", "old", true},
		"an absolute path":   {map[string]string{"/etc/x": "x"}, nil, "idle, release, start old", "old", true},
		"a bare file":        {map[string]string{"evil": "x"}, nil, "idle, release, start old", "old", true},
	} {
		p, log := plan(t, c.files)
		if c.change != nil {
			c.change(&p)
		}
		err := Install(context.Background(), p)
		if (err != nil) != c.fails || strings.Join(*log, ", ") != c.log {
			t.Errorf("%s: %v, %q", name, err, *log)
		}
		if b, _ := os.ReadFile(filepath.Join(p.Dir, "catamaran")); string(b) != c.now {
			t.Errorf("%s: the app's folder holds %q", name, b)
		}
		if b, _ := os.ReadFile(filepath.Join(p.Dir, "uninstall.exe")); string(b) != "u" {
			t.Errorf("%s: a file of the installer's is gone", name)
		}
		for _, left := range []string{p.Dir + ".new", p.Dir + ".old", filepath.Join(filepath.Dir(p.Dir), "evil")} {
			if _, err := os.Stat(left); err == nil {
				t.Errorf("%s: %s is left", name, filepath.Base(left))
			}
		}
		if o, ok := Last(p.State); name == "works" && (!ok || o.Failed != "") || name == "does not come up" && (!ok || !strings.Contains(o.Failed, "silent")) {
			t.Errorf("%s: outcome %+v", name, o)
		}
	}
}

func FuzzVerify(f *testing.F) {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	f.Add([]byte(`{"version":"1.0.0","files":[{"os":"linux","arch":"amd64","name":"a","bytes":1,"sha256":"00"}]}`))
	f.Add([]byte(`{"version":"1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Verify(b, Sign(b, private), public)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if filepath.Base(file.Name) != file.Name || file.Bytes <= 0 || len(file.SHA256) != 64 {
				t.Errorf("%+v", file)
			}
		}
	})
}
