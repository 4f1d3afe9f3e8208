// Command dist makes the packages, on Linux, from what `make dist` has built:
// installers and a portable archive for Windows, .deb, .rpm and archives for
// Linux, archives for macOS (without the window, which needs a Mac), their
// checksums, a bill of materials and the licences of what is inside.
//
// Every time in a package is that of the commit, so that the same commit can give
// the same bytes, but for signatures with a time stamp.
//
// Environment: CATAMARAN_UPDATE_SIGN_KEY names a file with an ed25519 seed in
// base64; with it the manifest that running apps look for is written and signed
// (make dist UPDATE_URL=... UPDATE_KEY=... builds the other half in). CATAMARAN_SIGN_CERT and CATAMARAN_SIGN_KEY name PEM files to sign
// the Windows programs and installers with, CATAMARAN_SIGN_TIMESTAMP a time-stamp
// server. Without them nothing is signed, and the last lines say so.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// dist is one run.
type dist struct {
	version string    // semantic, without a v
	number  string    // four numbers, for Windows
	time    time.Time // of the commit
	out     string    // where packages go
	work    string    // scratch
	bin     string    // what make dist has built
	only    []string  // systems or kinds; all when empty
	archs   []string
	sign    *signer
}

func main() {
	version := flag.String("version", "", "semantic version of the packages")
	out := flag.String("out", "dist", "folder of the packages")
	bin := flag.String("bin", "bin", "folder of the programs")
	only := flag.String("only", "", "comma-separated systems (linux, darwin, windows) or kinds (tar, deb, rpm, zip, nsis, msi)")
	archs := flag.String("arch", "amd64,arm64", "comma-separated processors")
	flag.Parse()
	if err := run(*version, *out, *bin, *only, *archs); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(version, out, bin, only, archs string) error {
	d := &dist{version: strings.TrimPrefix(version, "v"), out: out, bin: bin, archs: strings.Split(archs, ",")}
	if only != "" {
		d.only = strings.Split(only, ",")
	}
	if d.version == "" {
		return fmt.Errorf("-version is missing")
	}
	d.number = numbers(d.version)
	stamp, err := output("git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(stamp), 10, 64)
	if err != nil {
		return err
	}
	d.time = time.Unix(seconds, 0).UTC()
	if d.out, err = filepath.Abs(out); err != nil {
		return err
	}
	if err := os.RemoveAll(d.out); err != nil {
		return err
	}
	if err := os.MkdirAll(d.out, 0o755); err != nil {
		return err
	}
	d.work = filepath.Join(d.out, ".work")
	defer os.RemoveAll(d.work)
	if d.sign, err = newSigner(d.time); err != nil {
		return err
	}
	terms, err := collect(d.version)
	if err != nil {
		return err
	}
	if err := terms.writeSBOM(filepath.Join(d.out, "catamaran-"+d.version+".cdx.json"), d.time); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		make func(*licences) error
	}{{"linux", d.linux}, {"darwin", d.darwin}, {"windows", d.windows}} {
		if !slices.ContainsFunc(kinds[step.name], func(kind string) bool { return d.wants(step.name, kind) }) {
			continue
		}
		if err := step.make(terms); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	if err := d.manifest(); err != nil {
		return err
	}
	return d.report()
}

// kinds are the packages of each system.
var kinds = map[string][]string{"linux": {"tar", "deb", "rpm"}, "darwin": {"tar"}, "windows": {"zip", "nsis", "msi"}}

// wants tells whether this run makes a kind of package.
func (d *dist) wants(system, kind string) bool {
	return len(d.only) == 0 || slices.Contains(d.only, system) || slices.Contains(d.only, kind)
}

// numbers makes Windows' four numbers of a version; what comes after - or + has no place in them.
func numbers(version string) string {
	core, _, _ := strings.Cut(version, "+")
	core, _, _ = strings.Cut(core, "-")
	parts := append(strings.Split(core, "."), "0", "0", "0", "0")
	return strings.Join(parts[:4], ".")
}

// stage fills a folder of one system's programs: from are files, each with its name inside.
func (d *dist) stage(name string, files map[string]string, l *licences, text string) (string, error) {
	dir := filepath.Join(d.work, name)
	for inside, from := range files {
		if err := copyFile(from, filepath.Join(dir, inside)); err != nil {
			return "", err
		}
	}
	if err := copyFile("LICENSE", filepath.Join(dir, "LICENSE"+text)); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "THIRD-PARTY-LICENSES.txt"), []byte(l.text), 0o644)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, in); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// settle gives every file of a folder the commit's time: packagers take it over.
func (d *dist) settle(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, d.time, d.time)
	})
}

// report writes the checksums and prints the list.
func (d *dist) report() error {
	entries, err := os.ReadDir(d.out)
	if err != nil {
		return err
	}
	var sums []string
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(d.out, e.Name())
		sum, size, err := digest(path)
		if err != nil {
			return err
		}
		sums = append(sums, sum+"  "+e.Name()+"\n")
		fmt.Printf("%8.1f MB  %s\n", float64(size)/1e6, e.Name())
	}
	sort.Slice(sums, func(i, j int) bool { return sums[i][64:] < sums[j][64:] })
	if err := os.WriteFile(filepath.Join(d.out, "SHA256SUMS"), []byte(strings.Join(sums, "")), 0o644); err != nil {
		return err
	}
	if d.sign == nil {
		fmt.Println("Nothing is signed: set CATAMARAN_SIGN_CERT and CATAMARAN_SIGN_KEY for that.")
	}
	return nil
}

func digest(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return "", 0, err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), size, nil
}

func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(out), nil
}

// command runs a packager; what it says is shown only when it fails.
func (d *dist) command(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+strconv.FormatInt(d.time.Unix(), 10), "TZ=UTC")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
