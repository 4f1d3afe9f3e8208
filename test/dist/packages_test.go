//go:build dist

package dist

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catamaran/internal/api"
)

// What the installers may weigh at most, in bytes: that for one user, and the MSI, whose compression is weaker.
var most = map[string]int{"-setup.exe": 30e6, ".msi": 33e6}

var (
	root     string // of the project
	packages string // dist/, or CATAMARAN_DIST_DIR
	built    string // bin/, or CATAMARAN_DIST_BIN
	version  string
)

func TestMain(m *testing.M) {
	var err error
	if root, err = filepath.Abs(filepath.Join("..", "..")); err == nil {
		packages, version = filepath.Join(root, "dist"), os.Getenv("CATAMARAN_DIST_VERSION")
		if d := os.Getenv("CATAMARAN_DIST_DIR"); d != "" {
			packages = d
		}
		built = filepath.Join(root, "bin")
		if d := os.Getenv("CATAMARAN_DIST_BIN"); d != "" {
			built = d
		}
		_, err = os.Stat(filepath.Join(packages, "SHA256SUMS"))
	}
	if err == nil && version == "" {
		err = fmt.Errorf("CATAMARAN_DIST_VERSION is not set")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the packages are missing (make test-dist makes them):", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// of is the path of a package by the end of its name.
func of(suffix string) string { return filepath.Join(packages, "catamaran-"+version+"-"+suffix) }

// run runs a program to its end and returns what it says.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every package has its checksum, there is none too many, and none is too heavy.
func TestSumsAndSizes(t *testing.T) {
	t.Parallel()
	sums := map[string]string{}
	for line := range strings.Lines(string(read(t, filepath.Join(packages, "SHA256SUMS")))) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sums[name] = sum
	}
	entries, err := os.ReadDir(packages)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "SHA256SUMS" {
			continue
		}
		b := read(t, filepath.Join(packages, e.Name()))
		if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != sums[e.Name()] {
			t.Errorf("%s: %s, SHA256SUMS has %q", e.Name(), got, sums[e.Name()])
		}
		delete(sums, e.Name())
		for suffix, most := range most {
			if strings.HasSuffix(e.Name(), suffix) && len(b) > most {
				t.Errorf("%s has %d bytes, more than %d", e.Name(), len(b), most)
			}
		}
	}
	if len(sums) > 0 {
		t.Errorf("SHA256SUMS names files that are not there: %v", sums)
	}
}

// The bill of materials names every module of every program and some of the
// page's libraries; the licences' text has a part for each.
func TestBillOfMaterials(t *testing.T) {
	t.Parallel()
	var doc struct {
		BomFormat, SpecVersion string
		Metadata               struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version, Purl string }
	}
	if err := json.Unmarshal(read(t, filepath.Join(packages, "catamaran-"+version+".cdx.json")), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.BomFormat != "CycloneDX" || doc.SpecVersion != "1.5" || doc.Metadata.Component.Version != version {
		t.Errorf("%+v", doc.Metadata)
	}
	listed := map[string]bool{}
	npm := 0
	for _, c := range doc.Components {
		listed[c.Name+" "+c.Version] = true
		if !strings.HasPrefix(c.Purl, "pkg:golang/") && !strings.HasPrefix(c.Purl, "pkg:npm/") {
			t.Errorf("%s has the address %q", c.Name, c.Purl)
		}
		if strings.HasPrefix(c.Purl, "pkg:npm/") {
			npm++
		}
	}
	if npm < 5 {
		t.Errorf("%d libraries of the page", npm)
	}
	// What a program says of itself is the truth.
	for _, exe := range []string{"dist/linux-amd64/catamaran", "windows-amd64/catamaran-backend.exe", "windows-amd64/catamaran-window.exe", "catamaran-window"} {
		mods := 0
		for line := range strings.Lines(run(t, "go", "version", "-m", filepath.Join(built, exe))) {
			f := strings.Fields(line)
			if len(f) < 3 || f[0] != "dep" || strings.HasPrefix(f[1], "catamaran") {
				continue
			}
			mods++
			if !listed[f[1]+" "+f[2]] {
				t.Errorf("%s contains %s %s, which the bill does not list", exe, f[1], f[2])
			}
		}
		if mods == 0 {
			t.Errorf("%s says of no modules", exe)
		}
	}
	text := string(unpack(t, of("linux-amd64.tar.gz"))["THIRD-PARTY-LICENSES.txt"].body)
	for _, c := range doc.Components {
		if !strings.Contains(text, "\n"+c.Name+" "+c.Version+"\n") {
			t.Errorf("there is no licence of %s %s", c.Name, c.Version)
		}
	}
}

type file struct {
	body []byte
	mode os.FileMode
}

// unpack reads an archive by its paths below the one top folder.
func unpack(t *testing.T, name string) map[string]file {
	t.Helper()
	all := map[string]file{}
	put := func(p string, mode os.FileMode, r io.Reader) {
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, inside, ok := strings.Cut(p, "/")
		if !ok || path.Clean(p) != p || path.IsAbs(p) {
			t.Fatalf("%s has the entry %q", filepath.Base(name), p)
		}
		all[inside] = file{b, mode}
	}
	if strings.HasSuffix(name, ".zip") {
		z, err := zip.OpenReader(name)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			put(f.Name, f.Mode(), r)
			r.Close()
		}
		return all
	}
	z, err := gzip.NewReader(bytes.NewReader(read(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		put(h.Name, h.FileInfo().Mode(), r)
	}
}

// program fails unless b is a program of that system and processor.
func program(t *testing.T, name string, b []byte, system, arch string) {
	t.Helper()
	r := bytes.NewReader(b)
	ok := false
	switch system {
	case "linux":
		if f, err := elf.NewFile(r); err == nil {
			ok = f.Machine == map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]
		}
	case "windows":
		if f, err := pe.NewFile(r); err == nil {
			ok = f.Machine == map[string]uint16{"amd64": pe.IMAGE_FILE_MACHINE_AMD64, "arm64": pe.IMAGE_FILE_MACHINE_ARM64}[arch]
			h, is64 := f.OptionalHeader.(*pe.OptionalHeader64)
			const gui = 2
			if console := strings.Contains(name, "backend") || strings.HasSuffix(name, ".com"); is64 && !console && h.Subsystem != gui {
				t.Errorf("%s would open a console", name)
			}
			if f.Section(".rsrc") == nil {
				t.Errorf("%s has no icon, version and manifest", name)
			}
		}
	case "macos":
		if f, err := macho.NewFile(r); err == nil {
			ok = f.Cpu == map[string]macho.Cpu{"amd64": macho.CpuAmd64, "arm64": macho.CpuArm64}[arch]
		}
	}
	if !ok {
		t.Errorf("%s is no program of %s on %s", name, system, arch)
	}
}

// The archives hold what they promise and nothing else, each program for its system.
func TestArchives(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		suffix, system, arch string
		programs, linux      []string
		window               bool
	}{
		{"linux-amd64.tar.gz", "linux", "amd64", []string{"catamaran", "catamaran-backend", "catamaran-window"}, nil, true},
		{"linux-arm64.tar.gz", "linux", "arm64", []string{"catamaran", "catamaran-backend"}, nil, false},
		{"macos-amd64.tar.gz", "macos", "amd64", []string{"catamaran", "catamaran-backend"}, nil, false},
		{"macos-arm64.tar.gz", "macos", "arm64", []string{"catamaran", "catamaran-backend"}, nil, false},
		{"windows-amd64-portable.zip", "windows", "amd64", []string{"catamaran.exe", "catamaran.com", "catamaran-backend.exe", "catamaran-window.exe"}, []string{"amd64", "arm64"}, true},
		{"windows-arm64-portable.zip", "windows", "arm64", []string{"catamaran.exe", "catamaran.com", "catamaran-backend.exe", "catamaran-window.exe"}, []string{"amd64", "arm64"}, true},
	} {
		t.Run(c.suffix, func(t *testing.T) {
			t.Parallel()
			all := unpack(t, of(c.suffix))
			licence := "LICENSE"
			if c.system == "windows" {
				licence += ".txt"
			}
			want := append([]string{licence, "THIRD-PARTY-LICENSES.txt"}, c.programs...)
			for _, p := range c.programs {
				program(t, p, all[p].body, c.system, c.arch)
				if c.system != "windows" && all[p].mode.Perm() != 0o755 {
					t.Errorf("%s has the mode %v", p, all[p].mode)
				}
			}
			for _, arch := range c.linux {
				p := "carried/catamaran-backend-linux-" + arch
				program(t, p, all[p].body, "linux", arch)
				want = append(want, p)
			}
			var got []string
			for name, f := range all {
				got = append(got, name)
				if len(f.body) == 0 {
					t.Errorf("%s is empty", name)
				}
				for _, trace := range []string{root, os.Getenv("HOME") + "/go/"} {
					if bytes.Contains(f.body, []byte(trace)) {
						t.Errorf("%s names this machine's folder %s", name, trace)
					}
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("it has %q, want %q", got, want)
			}
		})
	}
}

// installed are the paths of the Linux packages.
var installed = []string{
	"usr/bin/catamaran", "usr/lib/catamaran/catamaran-backend", "usr/lib/catamaran/catamaran-window", "usr/share/applications/catamaran.desktop",
	"usr/share/icons/hicolor/128x128/apps/catamaran.png", "usr/share/icons/hicolor/scalable/apps/catamaran.svg",
	"usr/share/doc/catamaran/copyright", "usr/share/doc/catamaran/THIRD-PARTY-LICENSES.txt",
}

// The .deb is installed by dpkg into a root of its own, where its programs work,
// and removed without a trace.
func TestDeb(t *testing.T) {
	t.Parallel()
	deb := find(t, "catamaran_*_amd64.deb")
	if os.Geteuid() != 0 {
		t.Skip("dpkg needs root")
	}
	dir := t.TempDir()
	db := filepath.Join(dir, "var", "lib", "dpkg")
	for _, d := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(filepath.Join(db, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"status", "available"} {
		if err := os.WriteFile(filepath.Join(db, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "dpkg", "--root="+dir, "--force-script-chrootless", "--force-not-root", "--log=/dev/null", "--install", deb)
	for _, p := range installed {
		if st, err := os.Stat(filepath.Join(dir, p)); err != nil || st.Size() == 0 {
			t.Errorf("%s: %v", p, err)
		}
	}
	works(t, filepath.Join(dir, "usr", "bin", "catamaran"))
	if out := run(t, "dpkg", "--root="+dir, "--verify", "catamaran"); out != "" {
		t.Errorf("dpkg finds changes: %s", out)
	}
	run(t, "dpkg", "--root="+dir, "--force-script-chrootless", "--log=/dev/null", "--purge", "catamaran")
	_ = filepath.WalkDir(filepath.Join(dir, "usr"), func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			t.Errorf("left behind: %s", p)
		}
		return nil
	})
}

// The .rpm has the same files; its programs work.
func TestRpm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rpm := find(t, "catamaran-*.x86_64.rpm")
	run(t, "bsdtar", "-x", "-C", dir, "-f", rpm)
	if !bytes.Contains(read(t, rpm), []byte("build.catamaran.invalid\x00")) {
		t.Error("it names the machine that made it")
	}
	for _, p := range installed {
		if st, err := os.Stat(filepath.Join(dir, p)); err != nil || st.Size() == 0 {
			t.Errorf("%s: %v", p, err)
		}
	}
	works(t, filepath.Join(dir, "usr", "bin", "catamaran"))
}

func TestTarball(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, "tar", "-x", "-C", dir, "-f", of("linux-amd64.tar.gz"))
	works(t, filepath.Join(dir, "catamaran-"+version+"-linux-amd64", "catamaran"))
}

func find(t *testing.T, pattern string) string {
	t.Helper()
	all, _ := filepath.Glob(filepath.Join(packages, pattern))
	if len(all) != 1 {
		t.Fatalf("%s: %q", pattern, all)
	}
	return all[0]
}

// works asks an installed desktop who it is, and has it check what it needs: it finds its backend where it was put.
func works(t *testing.T, exe string) {
	t.Helper()
	home := t.TempDir()
	ask := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), exe, args...)
		cmd.Env = []string{"HOME=" + home, "CATAMARAN_HOME=" + filepath.Join(home, "state"), "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
		return cmd.Output()
	}
	out, err := ask("version", "--json")
	var v api.VersionInfo
	if err != nil || json.Unmarshal(out, &v) != nil || v.Version != version {
		t.Errorf("version: %v, %s", err, out)
	}
	if commit := strings.TrimSpace(run(t, "git", "-C", root, "rev-parse", "--short=12", "HEAD")); v.Commit != commit {
		t.Errorf("it is of commit %q, want %q", v.Commit, commit)
	}
	out, err = ask("doctor", "--json")
	var d api.Diagnosis
	if jerr := json.Unmarshal(out, &d); jerr != nil {
		t.Fatalf("doctor: %v, %v\n%s", err, jerr, out)
	}
	if d.Version.Version != version || len(d.Findings) == 0 {
		t.Errorf("doctor: %s", out)
	}
	for _, f := range d.Findings {
		if f.Severity == api.SeverityError {
			t.Errorf("doctor finds: %+v", f)
		}
	}
}
