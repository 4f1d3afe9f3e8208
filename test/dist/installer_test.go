//go:build dist

package dist

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/test/page"
	"catamaran/test/windows/wine"
)

// The installer for one user: installed silently, the app starts and works; an
// upgrade is refused while an agent works and otherwise ends the app, its backend
// with it, loses nothing and leaves the links as they were; uninstalling removes
// the programs and every key, and leaves the person's data.
func TestInstallerForOneUser(t *testing.T) {
	t.Parallel()
	next, number, cert := newer(t)
	s := wine.Start(t)
	s.Give(of("windows-amd64-setup.exe"), s.C("setup.exe"))
	s.Give(next, s.C("next.exe"))
	code(t, s, "shop")
	local := s.C("users", "tester", "AppData", "Local")
	dir := filepath.Join(local, "Programs", "Catamaran")
	exe := s.Win(filepath.Join(dir, "catamaran.exe"))
	entry := s.C("users", "tester", "AppData", "Roaming", "Microsoft", "Windows", "Start Menu", "Programs", "Catamaran.lnk")
	const uninstallKey = `HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\Catamaran`
	install := func(setup string, want int, args ...string) {
		t.Helper()
		if _, errOut, code := s.Run(nil, `C:\`+setup, append([]string{"/S"}, args...)...); code != want {
			t.Fatalf("%s %q: exit %d, want %d: %s", setup, args, code, want, errOut)
		}
	}
	says := func(want string) {
		t.Helper()
		if out, errOut, _ := s.Run(nil, exe, "version"); !strings.Contains(out, "catamaran "+want+" ") {
			t.Errorf("the installed program says %q %q, want version %s", out, errOut, want)
		}
		if got := registry(s, uninstallKey, "/v", "DisplayVersion"); !strings.Contains(got, want) {
			t.Errorf("Apps would show %q, want %s", got, want)
		}
	}

	install("setup.exe", 0)
	says(version)
	for name, f := range unpack(t, of("windows-amd64-portable.zip")) {
		if got := read(t, filepath.Join(dir, filepath.FromSlash(name))); !bytes.Equal(got, f.body) {
			t.Errorf("%s is not the portable archive's", name)
		}
	}
	if !bytes.Contains(read(t, entry), []byte(`\Programs\Catamaran\catamaran.exe`)) {
		t.Error("the Start menu's entry does not lead to the app")
	}
	if got := registry(s, `HKCU\`+linkKey); got != "" {
		t.Errorf("links are registered without being chosen: %s", got)
	}

	app := start(t, s, exe, nil)
	if app.launch.Version != version {
		t.Errorf("the app says it is %q", app.launch.Version)
	}
	app.page("add", "local", `C:\code\shop`)
	app.page("thread", "local")
	app.page("prompt", "local", "run echo hello")
	app.page("approve", "local")
	app.page("until", "local", "completed")

	// An agent works: the upgrade changes nothing and says so by its exit code.
	app.page("prompt", "local", "run echo second")
	app.page("until", "local", "waiting")
	install("next.exe", 5)
	says(version)
	app.page("approve", "local")
	app.page("until", "local", "completed")

	// It is idle: the upgrade ends it, and the next start has everything.
	install("next.exe", 0, "/LINKS")
	app.gone()
	says(number)
	for _, name := range append([]string{"uninstall.exe"}, programs...) {
		run(t, "osslsigncode", "verify", "-CAfile", cert, "-in", filepath.Join(dir, name))
	}
	if got := registry(s, `HKCU\`+linkKey); !strings.Contains(got, `catamaran.exe" link -- "%1"`) {
		t.Errorf("links were chosen; their key says %q", got)
	}
	session := page.Page{Token: app.client.Token}
	again := start(t, s, exe, &session)
	if again.launch.Version != number {
		t.Errorf("after the upgrade the app says it is %q", again.launch.Version)
	}
	if got := again.page("projects", "local"); !strings.Contains(got, `"name": "shop"`) {
		t.Errorf("after the upgrade: %s", got)
	}
	if got := again.page("threads", "local"); strings.Count(got, `"id":`) != 1 {
		t.Errorf("after the upgrade: %s", got)
	}
	again.look("installed")
	code(t, s, "linked")
	// Wine looks for schemes in HKEY_LOCAL_MACHINE alone, so what stands in the key is run as it says.
	if _, errOut, code := s.Run(nil, exe, "link", "--", `catamaran://open?path=C%3A%5Ccode%5Clinked`); code != 0 {
		t.Errorf("the link: exit %d: %s", code, errOut)
	}
	again.page("project", "local", "linked")

	// The same again, over the running app: what was chosen stays.
	install("next.exe", 0)
	again.gone()
	if registry(s, `HKCU\`+linkKey) == "" {
		t.Error("an upgrade without a word about links has taken them away")
	}

	last := start(t, s, exe, &session)
	// The uninstaller goes on in a copy of itself, which would hold a pipe of ours.
	if err := s.Command(t.Context(), nil, s.Win(filepath.Join(dir, "uninstall.exe")), "/S").Run(); err != nil {
		t.Fatalf("uninstall: %v", err)
	}
	last.gone()
	within(t, "the programs are gone", func() bool { return !exists(dir) })
	within(t, "the entry in Apps is gone", func() bool { return registry(s, uninstallKey) == "" })
	for _, key := range []string{`HKCU\Software\Catamaran`, `HKCU\Software\Classes\catamaran`, `HKCU\Software\Classes\Directory\shell\Catamaran`} {
		if got := registry(s, key); got != "" {
			t.Errorf("left in the registry: %s", got)
		}
	}
	if exists(entry) {
		t.Error("the Start menu's entry is left")
	}
	left, err := filepath.Glob(filepath.Join(local, "Catamaran", "backend", "*.db"))
	if err != nil || len(left) == 0 {
		all, _ := os.ReadDir(filepath.Join(local, "Catamaran"))
		t.Errorf("the person's data is gone: %v, %v", all, err)
	}
	install("setup.exe", 0)
	back := start(t, s, exe, &session)
	if got := back.page("projects", "local"); !strings.Contains(got, `"name": "shop"`) {
		t.Errorf("installed again: %s", got)
	}
}

// shortcuts are all files of this Windows that lead to the app from a menu.
func shortcuts(s *wine.Session) (all []string) {
	_ = filepath.WalkDir(s.C(), func(p string, e os.DirEntry, err error) error {
		if err == nil && e.Name() == "Catamaran.lnk" {
			all = append(all, p)
		}
		return nil
	})
	return all
}

// The MSI: installed and removed silently, over an app that runs; links only as a feature that was asked for.
func TestMSI(t *testing.T) {
	t.Parallel()
	s := wine.Start(t)
	s.Give(of("windows-amd64.msi"), s.C("catamaran.msi"))
	dir := s.C("Program Files", "Catamaran")
	exe := `C:\Program Files\Catamaran\catamaran.exe`
	msiexec := func(args ...string) {
		t.Helper()
		if out, errOut, code := s.Run(nil, "msiexec", append(args, "/qn")...); code != 0 {
			t.Fatalf("msiexec %q: exit %d\n%s%s", args, code, out, errOut)
		}
	}
	msiexec("/i", `C:\catamaran.msi`)
	for name, f := range unpack(t, of("windows-amd64-portable.zip")) {
		if got := read(t, filepath.Join(dir, filepath.FromSlash(name))); !bytes.Equal(got, f.body) {
			t.Errorf("%s is not the portable archive's", name)
		}
	}
	// Wine 10 puts the entry of an installation for all users elsewhere than Windows; that there is one is what counts.
	if got := shortcuts(s); len(got) != 1 {
		t.Errorf("entries in the Start menu: %q", got)
	}
	if got := registry(s, `HKLM\`+linkKey); got != "" {
		t.Errorf("links are registered without being chosen: %s", got)
	}
	app := start(t, s, exe, nil)
	if app.launch.Version != version {
		t.Errorf("the app says it is %q", app.launch.Version)
	}
	// It ends the app that runs, and its backend with it.
	msiexec("/x", `C:\catamaran.msi`)
	app.gone()
	if exists(filepath.Join(dir, "catamaran.exe")) || len(shortcuts(s)) > 0 {
		t.Error("the programs or the entry in the Start menu are left")
	}

	msiexec("/i", `C:\catamaran.msi`, "ADDLOCAL=Main,Links")
	if got := registry(s, `HKLM\`+linkKey); !strings.Contains(got, `catamaran.exe" link -- "%1"`) {
		t.Errorf("links were chosen; their key says %q", got)
	}
	code(t, s, "linked")
	app = start(t, s, exe, &app.client)
	s.Run(nil, "start", `catamaran://open?path=C%3A%5Ccode%5Clinked`)
	app.page("project", "local", "linked")
	s.Run(nil, exe, "quit")
	app.gone()
	msiexec("/x", `C:\catamaran.msi`)
	if got := registry(s, `HKLM\`+linkKey); got != "" {
		t.Errorf("left in the registry: %s", got)
	}
}
