package main

import (
	"crypto/sha1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// build is where `make dist` has put the programs of one system.
func (d *dist) build(parts ...string) string {
	return filepath.Join(append([]string{d.bin}, parts...)...)
}

// linux makes an archive, a .deb and an .rpm for each architecture. The window is
// of this machine's architecture only, for it is built with cgo.
func (d *dist) linux(l *licences) error {
	for _, arch := range d.archs {
		set := map[string]string{
			"catamaran":         d.build("dist", "linux-"+arch, "catamaran"),
			"catamaran-backend": d.build("carried", "catamaran-backend-linux-"+arch),
		}
		if window := d.build("catamaran-window"); isFor(window, arch) {
			set["catamaran-window"] = window
		}
		name := "catamaran-" + d.version + "-linux-" + arch
		dir, err := d.stage(name, set, l, "")
		if err != nil {
			return err
		}
		if err := d.settle(dir); err != nil {
			return err
		}
		if d.wants("linux", "tar") {
			if err := d.tarGz(dir, filepath.Join(d.out, name+".tar.gz")); err != nil {
				return err
			}
		}
		lib := filepath.Join(d.work, "lib-"+arch)
		for inside, from := range set {
			if inside == "catamaran" {
				continue
			}
			if err := copyFile(from, filepath.Join(lib, inside)); err != nil {
				return err
			}
		}
		if err := d.settle(lib); err != nil {
			return err
		}
		nfpm := d.build("nfpm")
		for _, kind := range []string{"deb", "rpm"} {
			if !d.wants("linux", kind) {
				continue
			}
			env := []string{"DIST_ARCH=" + arch, "DIST_VERSION=" + d.version, "DIST_ROOT=" + dir, "DIST_LIB=" + lib}
			if err := d.command(env, nfpm, "package", "--config", "packaging/linux/nfpm.yaml", "--packager", kind, "--target", d.out); err != nil {
				return err
			}
		}
	}
	return nil
}

// isFor tells by the ELF header whether a program is there and for the architecture.
func isFor(path, arch string) bool {
	b := make([]byte, 20)
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if _, err := f.Read(b); err != nil {
		return false
	}
	machine := map[string]byte{"amd64": 0x3e, "arm64": 0xb7}
	return b[18] == machine[arch]
}

// darwin makes archives without the window: a web view there needs a Mac to build.
func (d *dist) darwin(l *licences) error {
	for _, arch := range d.archs {
		name := "catamaran-" + d.version + "-macos-" + arch
		dir, err := d.stage(name, map[string]string{
			"catamaran":         d.build("dist", "darwin-"+arch, "catamaran"),
			"catamaran-backend": d.build("dist", "darwin-"+arch, "catamaran-backend"),
		}, l, "")
		if err != nil {
			return err
		}
		if err := d.tarGz(dir, filepath.Join(d.out, name+".tar.gz")); err != nil {
			return err
		}
	}
	return nil
}

// windows makes the portable archive and the installer for each architecture,
// and the MSI for amd64 (wixl knows no other).
func (d *dist) windows(l *licences) error {
	for _, arch := range d.archs {
		from := d.build("windows-" + arch)
		name := "catamaran-" + d.version + "-windows-" + arch
		dir, err := d.stage(name, map[string]string{
			"catamaran.exe":                         filepath.Join(from, "catamaran.exe"),
			"catamaran.com":                         filepath.Join(from, "catamaran.com"),
			"catamaran-backend.exe":                 filepath.Join(from, "catamaran-backend.exe"),
			"catamaran-window.exe":                  filepath.Join(from, "catamaran-window.exe"),
			"carried/catamaran-backend-linux-amd64": d.build("carried", "catamaran-backend-linux-amd64"),
			"carried/catamaran-backend-linux-arm64": d.build("carried", "catamaran-backend-linux-arm64"),
		}, l, ".txt")
		if err != nil {
			return err
		}
		for _, exe := range []string{"catamaran.exe", "catamaran.com", "catamaran-backend.exe", "catamaran-window.exe"} {
			if err := d.sign.file(filepath.Join(dir, exe)); err != nil {
				return err
			}
		}
		if err := d.settle(dir); err != nil {
			return err
		}
		for _, p := range []struct {
			kind, suffix string
			make         func(dir, to string) error
		}{
			{"zip", "-portable.zip", func(dir, to string) error { return d.zip(dir, "Catamaran", to) }},
			{"nsis", "-setup.exe", d.nsis},
			{"msi", ".msi", d.msi},
		} {
			if !d.wants("windows", p.kind) || p.kind == "msi" && arch != "amd64" {
				continue
			}
			if err := p.make(dir, filepath.Join(d.out, name+p.suffix)); err != nil {
				return fmt.Errorf("%s: %w", p.kind, err)
			}
		}
	}
	return nil
}

func (d *dist) nsis(dir, to string) error {
	icon, err := d.icon()
	if err != nil {
		return err
	}
	args := []string{"-V2", "-NOCD", "-DVERSION=" + d.version, "-DNUMBER=" + d.number, "-DROOT=" + dir, "-DOUT=" + to, "-DICON=" + icon}
	if s := d.sign.script(d.work); s != "" {
		args = append(args, "-DSIGN="+s)
	}
	return d.command(nil, "makensis", append(args, "packaging/windows/installer.nsi")...)
}

// icon makes the installer's icon of the program's pictures.
func (d *dist) icon() (string, error) {
	to := filepath.Join(d.work, "catamaran.ico")
	if _, err := os.Stat(to); err == nil {
		return to, nil
	}
	return to, writeIcon(to, []string{"assets/icon-16.png", "assets/icon-32.png", "assets/icon-48.png", "assets/icon-256.png"})
}

// msi is not signed while it is made, for wixl has no hook. Its two ids, random
// elsewhere, are made of the version, so that the same commit gives the same bytes.
func (d *dist) msi(dir, to string) error {
	// wixl takes no absolute paths.
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if dir, err = filepath.Rel(here, dir); err != nil {
		return err
	}
	if err := d.command(nil, "wixl", "-a", "x64", "-D", "Number="+strings.Join(strings.Split(d.number, ".")[:3], "."), "-D", "Root="+dir,
		"-D", "Product="+uuid("product "+d.version), "-o", to, "packaging/windows/catamaran.wxs"); err != nil {
		return err
	}
	if err := settleMSI(to, uuid("package "+d.version), d.time); err != nil {
		return err
	}
	return d.sign.file(to)
}

// uuid is a name-based one (RFC 9562, version 5).
func uuid(name string) string {
	h := sha1.Sum([]byte("catamaran " + name))
	h[6], h[8] = h[6]&0x0f|0x50, h[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16]))
}

func have(program string) bool { _, err := exec.LookPath(program); return err == nil }
