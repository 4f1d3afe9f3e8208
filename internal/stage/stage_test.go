package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/api"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shells are the interpreters of /bin/sh in distros: Debian's, Fedora's, Alpine's.
// busybox also brings its own head, wc, sha256sum, mv and find, as on Alpine.
var shells = map[string][]string{
	"dash":    {"dash"},
	"bash":    {"bash", "--posix"},
	"busybox": {"busybox", "sh"},
}

func eachShell(t *testing.T, f func(t *testing.T, shell []string)) {
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(shell[0]); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatalf("%s is not installed", shell[0])
				}
				t.Skipf("%s is not installed (apt-get install %s)", shell[0], shell[0])
			}
			f(t, shell)
		})
	}
}

// fakeBackend is a program that answers like a backend far enough for these
// tests; the padding makes it larger than every pipe and read-ahead buffer.
const fakeBackend = `#!/bin/sh
case $1 in version) exit 0 ;; esac
echo "up $* umask=$(umask) home=$CATAMARAN_HOME lc=$LC_ALL"
read -r line
echo "got $line"
exit 0
`

func carry(t *testing.T, content string) *Carried {
	t.Helper()
	dir := t.TempDir()
	padded := content + "#" + strings.Repeat("x", 400<<10) + "\n"
	for _, arch := range architectures {
		if err := os.WriteFile(filepath.Join(dir, FilePrefix+arch), []byte(padded+"# "+arch+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type distro struct {
	home  string
	shell []string
	path  string // in front of PATH
	setup string // run as root of an own mount namespace before the script
	force bool   // Argv's
}

// run is one start in a distro.
type run struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
	stderr bytes.Buffer
}

func start(t *testing.T, c *Carried, d distro) *run {
	t.Helper()
	argv := c.Argv(d.force)
	args := append(append([]string{}, d.shell...), argv[1:]...)
	if d.setup != "" {
		// The shell's own words follow as positional parameters.
		args = append([]string{"unshare", "-rm", "sh", "-c", d.setup + ` && exec "$@"`, "sh"}, args...)
	}
	r := &run{cmd: exec.Command(args[0], args[1:]...)}
	r.cmd.Env = []string{"HOME=" + d.home, "PATH=" + d.path + os.Getenv("PATH")}
	r.cmd.Stderr = &r.stderr
	r.cmd.WaitDelay = 5 * time.Second
	var err error
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if r.stdout, err = r.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.end)
	return r
}

func (r *run) end() {
	r.stdin.Close()
	r.cmd.Process.Kill()
	r.cmd.Wait()
}

func negotiate(t *testing.T, c *Carried, r *run) (Placed, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return c.Negotiate(ctx, r.stdin, r.stdout, func(b []byte) { t.Logf("noise %q", b) }, nil)
}

// bring stages (or not), checks that the backend runs and that not a byte is lost either way.
func bring(t *testing.T, c *Carried, d distro) Placed {
	t.Helper()
	r := start(t, c, d)
	p, err := negotiate(t, c, r)
	if err != nil {
		t.Fatalf("negotiate: %v (%s)", err, details(err))
	}
	if _, err := io.WriteString(r.stdin, "the envelope\n"); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(p.Rest)
	if err != nil {
		t.Fatal(err)
	}
	mask := "0022"
	want := fmt.Sprintf("up serve --stdio umask=%s home=%s/.catamaran lc=\ngot the envelope\n", mask, d.home)
	if string(out) != want {
		t.Fatalf("output after the negotiation\n%q, want\n%q; stderr %s", out, want, r.stderr.String())
	}
	if err := r.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return p
}

func details(err error) string {
	if e := api.AsError(err); e != nil {
		return string(e.Code) + " | " + e.Hint + " | " + e.Details
	}
	return ""
}

func homeWithBlanks(t *testing.T) string {
	h := filepath.Join(t.TempDir(), "a home * with blanks")
	if err := os.Mkdir(h, 0o700); err != nil {
		t.Fatal(err)
	}
	return h
}

func staged(home, digest string) string {
	return filepath.Join(home, ".catamaran", "bin", digest, "catamaran-backend")
}

// onlyGood fails unless the folder of digest holds exactly the good file, executable by its owner alone.
func onlyGood(t *testing.T, home, digest string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(staged(home, digest)))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("folder holds %v, want the backend alone", entries)
	}
	b, err := measure(staged(home, digest))
	if err != nil || b.digest != digest {
		t.Errorf("staged file has digest %s (%v), want %s", b.digest, err, digest)
	}
	for _, p := range []string{".catamaran", ".catamaran/bin", ".catamaran/bin/" + digest, ".catamaran/bin/" + digest + "/catamaran-backend"} {
		fi, err := os.Stat(filepath.Join(home, p))
		if err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("%s: mode %v, want 0700 (%v)", p, fi.Mode(), err)
		}
	}
}

// W3.1, W3.2, W3.3: the first start copies, the second one does not.
func TestFirstAndSecondStart(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell []string) {
		c := carry(t, fakeBackend)
		d := distro{home: homeWithBlanks(t), shell: shell}
		p := bring(t, c, d)
		if !p.Staged || !p.Verified {
			t.Errorf("first start: %+v, want staged and verified", p)
		}
		onlyGood(t, d.home, p.Digest)
		q := bring(t, c, d)
		if q.Staged || q.Digest != p.Digest || q.Arch != p.Arch {
			t.Errorf("second start: %+v, want the same file untouched", q)
		}
	})
}

func TestReplaced(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		spoil func(good []byte) []byte
		mode  os.FileMode
		force bool
	}{
		{"half-written", func(b []byte) []byte { return b[:len(b)/2] }, 0o700, false},
		{"not executable", func(b []byte) []byte { return b }, 0o600, false},
		{"other bytes of the same size, forced", func(b []byte) []byte { return bytes.Repeat([]byte{'z'}, len(b)) }, 0o700, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell []string) {
				c := carry(t, fakeBackend)
				d := distro{home: homeWithBlanks(t), shell: shell}
				p := bring(t, c, d)
				f := staged(d.home, p.Digest)
				good, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(f, tc.spoil(good), tc.mode); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(f, tc.mode); err != nil {
					t.Fatal(err)
				}
				d.force = tc.force
				if q := bring(t, c, d); !q.Staged {
					t.Error("the spoilt file was used")
				}
				onlyGood(t, d.home, p.Digest)
			})
		})
	}
}

// W3.2: two desktops at once end with one good file.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell []string) {
		c := carry(t, fakeBackend)
		d := distro{home: homeWithBlanks(t), shell: shell}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { bring(t, c, d) })
		}
		wg.Wait()
		onlyGood(t, d.home, c.Digest(bring(t, c, d).Arch))
	})
}

// W3.2: a cut stream leaves nothing that can be executed.
func TestCutStream(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell []string) {
		c := carry(t, fakeBackend)
		d := distro{home: homeWithBlanks(t), shell: shell}
		r := start(t, c, d)
		_, err := c.Negotiate(t.Context(), &cutter{w: r.stdin, left: 100 << 10}, r.stdout, nil, nil)
		if e := api.AsError(err); e == nil || e.Code != api.CodeStageFailed || !strings.Contains(e.Message, "cut off") {
			t.Fatalf("error %v, want the copy was cut off", err)
		}
		r.cmd.Wait()
		err = filepath.WalkDir(filepath.Join(d.home, ".catamaran"), func(p string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				t.Errorf("left behind: %s", p)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		bring(t, c, d)
	})
}

// cutter closes the pipe after some bytes, as a dying desktop does.
type cutter struct {
	w    io.WriteCloser
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) >= c.left {
		n, _ := c.w.Write(b[:c.left])
		c.w.Close()
		return n, io.ErrClosedPipe
	}
	c.left -= len(b)
	return c.w.Write(b)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	fakeUname := func(t *testing.T, machine string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "uname"), []byte("#!/bin/sh\necho "+machine+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return dir + ":"
	}
	mount := func(options string) func(*testing.T, *distro) {
		return func(t *testing.T, d *distro) {
			if out, err := exec.Command("unshare", "-rm", "true").CombinedOutput(); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatalf("no mount namespace of our own: %s", out)
				}
				t.Skipf("needs a mount namespace of its own, which this machine refuses: %s", out)
			}
			d.setup = "mount -t tmpfs -o " + options + " tmpfs '" + d.home + "'"
		}
	}
	for _, tc := range []struct {
		name    string
		prepare func(t *testing.T, d *distro)
		message string
		hint    string
	}{
		{"architecture", func(t *testing.T, d *distro) { d.path = fakeUname(t, "riscv64") }, "riscv64", "x86-64"},
		{"32 bit", func(t *testing.T, d *distro) { d.path = fakeUname(t, "i686") }, "i686", "x86-64"},
		{"no home", func(t *testing.T, d *distro) { d.home = "" }, "no home directory", "wsl.conf"},
		{"something in the way", func(t *testing.T, d *distro) {
			if err := os.WriteFile(filepath.Join(d.home, ".catamaran"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "cannot be created", "ls -ld"},
		{"read-only home", mount("ro"), "read-only", "wsl --shutdown"},
		{"full disk", mount("size=64k"), "no space left", "df -h"},
		{"noexec home", mount("noexec"), "may not be executed", "noexec"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell []string) {
				if shell[0] == "busybox" && (tc.name == "architecture" || tc.name == "32 bit") {
					return // busybox has its own uname, whatever PATH says
				}
				c := carry(t, fakeBackend)
				d := distro{home: homeWithBlanks(t), shell: shell}
				tc.prepare(t, &d)
				_, err := negotiate(t, c, start(t, c, d))
				e := api.AsError(err)
				if e == nil || e.Code != api.CodeStageFailed {
					t.Fatalf("error %v, want %s", err, api.CodeStageFailed)
				}
				if !strings.Contains(e.Message, tc.message) || !strings.Contains(e.Hint, tc.hint) {
					t.Errorf("%q (%q; details %q), want %q and a hint with %q", e.Message, e.Hint, e.Details, tc.message, tc.hint)
				}
			})
		})
	}
}

// A file that changes between Load and the copy never becomes the backend.
func TestDigestMismatch(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell []string) {
		c := carry(t, fakeBackend)
		for arch, b := range c.backends {
			content, err := os.ReadFile(b.path)
			if err != nil {
				t.Fatal(err)
			}
			content[len(content)-20] ^= 1
			if err := os.WriteFile(b.path, content, 0o600); err != nil {
				t.Fatal(arch, err)
			}
		}
		d := distro{home: homeWithBlanks(t), shell: shell}
		_, err := negotiate(t, c, start(t, c, d))
		if e := api.AsError(err); e == nil || !e.Retryable || !strings.Contains(e.Message, "damaged") {
			t.Fatalf("error %v, want that it arrived damaged", err)
		}
		for _, b := range c.backends {
			if _, err := os.Stat(staged(d.home, b.digest)); err == nil {
				t.Error("the damaged file was installed")
			}
		}
	})
}

// A distro without any tool that hashes still gets its backend; the hello's digest is then compared.
func TestWithoutHashTool(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for _, tool := range []string{"head", "wc", "mv", "chmod", "mkdir", "uname", "rm", "ls", "find", "grep", "sh"} {
		p, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(p, filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	dash, err := exec.LookPath("dash")
	if err != nil {
		t.Fatal(err)
	}
	c := carry(t, fakeBackend)
	d := distro{home: homeWithBlanks(t), shell: []string{"env", "PATH=" + bin, dash}}
	if p := bring(t, c, d); !p.Staged || p.Verified {
		t.Errorf("%+v, want staged and not verified", p)
	}
}

// W3.2: current and previous are kept, older ones and scratch files go, a running one stays.
func TestPrune(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, shell []string) {
		d := distro{home: homeWithBlanks(t), shell: shell}
		bin := filepath.Join(d.home, ".catamaran", "bin")
		sleep, err := exec.LookPath("sleep")
		if err != nil {
			t.Fatal(err)
		}
		program, err := os.ReadFile(sleep)
		if err != nil {
			t.Fatal(err)
		}
		old := func(digit string, age time.Duration) string {
			dir := filepath.Join(bin, strings.Repeat(digit, 64))
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			// A child that another test forks meanwhile would keep the file open for writing, and it could not be run.
			syscall.ForkLock.RLock()
			err := os.WriteFile(filepath.Join(dir, "catamaran-backend"), program, 0o700)
			syscall.ForkLock.RUnlock()
			if err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-age)
			if err := os.Chtimes(dir, at, at); err != nil {
				t.Fatal(err)
			}
			return dir
		}
		previous, older, running := old("a", time.Hour), old("b", 2*time.Hour), old("c", 3*time.Hour)
		foreign := filepath.Join(bin, "not ours")
		if err := os.Mkdir(foreign, 0o700); err != nil {
			t.Fatal(err)
		}
		stale, fresh := filepath.Join(previous, ".new-1-x"), filepath.Join(previous, ".new-2-x")
		for _, f := range []string{stale, fresh} {
			if err := os.WriteFile(f, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for p, age := range map[string]time.Duration{stale: 49 * time.Hour, previous: time.Hour} {
			if err := os.Chtimes(p, time.Now().Add(-age), time.Now().Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		used := exec.Command(filepath.Join(running, "catamaran-backend"), "60")
		if err := used.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { used.Process.Kill(); used.Wait() }()

		p := bring(t, carry(t, fakeBackend), d)
		for path, want := range map[string]bool{
			staged(d.home, p.Digest): true, previous: true, older: false, running: true, foreign: true, stale: false, fresh: true,
		} {
			if _, err := os.Stat(path); (err == nil) != want {
				t.Errorf("%s is there: %v, want %v", strings.TrimPrefix(path, bin), err == nil, want)
			}
		}
	})
}

func TestScriptSurvivesQuoting(t *testing.T) {
	t.Parallel()
	if i := strings.IndexAny(script, "\"\\\r"); i >= 0 {
		t.Errorf("the script holds %q; Windows quoting would have to carry it", script[i])
	}
	c := carry(t, fakeBackend)
	total := 0
	for _, a := range c.Argv(true) {
		total += len(a) + 3
	}
	if total > 8000 {
		t.Errorf("the command is %d bytes long; keep it well under 32,767", total)
	}
	t.Logf("the command is %d bytes long", total)
}

func TestLoad(t *testing.T) {
	t.Parallel()
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("an empty folder was taken")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FilePrefix+"arm64"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.Digest("arm64") == "" || c.Digest("amd64") != "" {
		t.Errorf("digests %v", c.backends)
	}
	if err := os.WriteFile(filepath.Join(dir, FilePrefix+"amd64"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("an empty file was taken")
	}
}

func TestNegotiateEndsWithContext(t *testing.T) {
	t.Parallel()
	c := carry(t, fakeBackend)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	go cancel(cause)
	if _, err := c.Negotiate(ctx, io.Discard, r, nil, nil); !errors.Is(err, cause) {
		t.Errorf("error %v, want the context's cause", err)
	}
}

func FuzzNegotiate(f *testing.F) {
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FilePrefix+"amd64"), []byte("backend"), 0o600); err != nil {
		f.Fatal(err)
	}
	c, err := Load(dir)
	if err != nil {
		f.Fatal(err)
	}
	c.nonce = "n"
	for _, s := range []string{
		"CATAMARAN-STAGE n exec amd64 \nrest",
		"noiseCATAMARAN-STAGE n need amd64 \nCATAMARAN-STAGE n staged amd64 sha256 \nCATAMARAN-STAGE n exec amd64\n\x00\x01",
		"w\x00s\x00l\x00:\x00\r\x00\n\x00CATAMARAN-STAGE n fail write head: No space left on device",
		"CATAMARAN-STAGE m exec amd64\nCATAMARAN-STAGE n exec arm64\n",
		"CATAMARAN-STAGE n staged amd64\n",
		"CATAMARAN-STAGE n need amd64\nCATAMARAN-STAGE n exec amd64\n",
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		if piece <= 0 || piece > 4096 {
			piece = 1
		}
		var noise bytes.Buffer
		src := &pieces{b: in, n: piece}
		p, err := c.Negotiate(t.Context(), io.Discard, src, func(b []byte) { noise.Write(b) }, nil)
		if err != nil {
			if e := api.AsError(err); e == nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("error of no known kind: %v", err)
			}
			return
		}
		rest, err := io.ReadAll(p.Rest)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(in, rest) || !bytes.HasPrefix(in, noise.Bytes()[:min(noise.Len(), bytes.Index(in, []byte(marker)))]) {
			t.Fatalf("bytes were changed: noise %q, rest %q", noise.Bytes(), rest)
		}
		if head := in[:len(in)-len(rest)]; !bytes.HasSuffix(head, []byte("\n")) {
			t.Fatalf("the rest does not begin after a line: %q", head)
		}
	})
}

type pieces struct {
	b []byte
	n int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.n)], p.b)
	p.b = p.b[n:]
	return n, nil
}
