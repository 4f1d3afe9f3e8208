package browser

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
	"catamaran/test/product"

	"github.com/chromedp/chromedp"
)

// homeWith is a state folder whose confirmed mode is that of the file's text.
func homeWith(t *testing.T, mode string) string {
	t.Helper()
	home := t.TempDir()
	dir := filepath.Join(home, "desktop")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "mode.json"), []byte(mode), 0o600)); err != nil {
		t.Fatal(err)
	}
	return home
}

func modeFile(t *testing.T, home string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(home, "desktop", "mode.json"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func startOn(t *testing.T, m *wsltest.Machine, home string) *product.Desktop {
	t.Helper()
	return product.StartDesktop(t, product.Options{Home: home, Env: []string{"CATAMARAN_WSL_EXE=" + m.Exe}})
}

// state waits until an environment's group in the sidebar is in a state.
func (b *tab) state(id, state string) {
	b.t.Helper()
	b.do("see "+id+" "+state, chromedp.WaitVisible(chromedp.CSS(css("env-group-"+id)+fmt.Sprintf(`[data-state=%q]`, state))))
}

// later moves the page's clock on; the desktop's goes on as before.
func (b *tab) later(seconds int) {
	b.t.Helper()
	b.eval(fmt.Sprintf(`(() => { const n = Date.now.bind(Date); Date.now = () => n() + %d * 1000; })()`, seconds))
}

func (b *tab) reload() {
	b.t.Helper()
	b.do("reload", chromedp.Reload())
}

var damaged = wslsim.Fault{ID: "disk", On: wslsim.OnStart, Kind: wslsim.Fail,
	Text: "The distribution failed to start because its virtual disk is corrupted.", Code: "Wsl/Service/CreateInstance/WSL_E_DISK_CORRUPTED"}

// W8.6, W5.4, W8.7: a distro that hangs for ever. The window paints, asks no
// backend, offers the three ways out, and each of them works.
func TestDistroThatHangsForEver(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	m.SetFault(wslsim.Fault{ID: "hang", On: wslsim.OnStart, Distro: "Debian", Kind: wslsim.Hang})
	d := startOn(t, m, homeWith(t, `{"mode":"wsl-only","distro":"Debian"}`))
	b := open(t, d.URL)
	b.see("env-status-starting")
	// "Waking up" at first, "to wake up" when that takes long.
	b.seeText("env-status-starting", "up Debian")
	if n := b.count("env-offers"); n != "0" {
		t.Error("the ways out are offered at once")
	}
	b.later(61)
	b.see("env-offers")
	b.look("never-ready")
	b.click("open-log")
	b.see("log-text")
	b.look("log")
	b.do("close the log", chromedp.KeyEvent("\x1b"))
	b.gone("log-dialog")
	if n := b.asked("/e/"); n != 0 {
		t.Errorf("%d requests to environments without a backend", n)
	}

	b.click("use-local")
	b.state("local", "ready")
	b.seeText("notice", "for now")
	b.addProject(product.GitRepo(t, t.TempDir()))
	b.look("fallback-by-hand")
	if n := b.asked("/e/wsl"); n != 0 {
		t.Errorf("%d requests to the distro that hangs", n)
	}
	b.newThread()
	b.prompt("list the files here")
	b.see("turn-footer")

	m.ClearFault("hang")
	b.click("open-settings")
	b.click("restart-wsl")
	b.see("restart-wsl-confirm")
	b.look("restart-wsl")
	b.click("restart-wsl-confirm")
	b.state("wsl:Debian", "ready")
	b.gone("notice")
	b.clean()
}

// W8.6, W8.7: this computer's own backend is missing, or never says a word.
func TestNoBackendAtAll(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script string }{{"missing", ""}, {"silent", "#!/bin/sh\nexec sleep 600\n"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bin, whole := t.TempDir(), product.Bin(t)
			program, backend := filepath.Join(bin, "catamaran"), filepath.Join(bin, "catamaran-backend")
			if err := copyFile(filepath.Join(whole, "catamaran"), program); err != nil {
				t.Fatal(err)
			}
			if c.script != "" {
				if err := os.WriteFile(backend, []byte(c.script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			d := product.StartDesktop(t, product.Options{Bin: bin})
			b := open(t, d.URL)
			if c.script != "" {
				b.see("env-status-starting")
				b.later(61)
				b.see("env-offers")
				b.see("open-log")
				b.look("local-never-ready")
			} else {
				b.see("env-status-failed")
				b.seeText("env-status-failed", "The installation is incomplete")
				b.look("local-missing")
				if n := b.asked("/e/"); n != 0 {
					t.Errorf("%d requests to a backend that is not there", n)
				}
				if err := copyFile(filepath.Join(whole, "catamaran-backend"), backend); err != nil {
					t.Fatal(err)
				}
				b.click("status-retry")
				b.see("empty-no-project")
			}
			b.clean()
		})
	}
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

// W8.5, W8.7: beside this computer a distro boots slowly, then fails. What it
// had stays in sight, opens when it is up, and Retry works.
func TestBothWithASlowAndAFailingDistro(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	repo := product.GitRepo(t, m.Home("Ubuntu"))
	d := startOn(t, m, homeWith(t, `{"mode":"both","distro":"Ubuntu","primary":"wsl:Ubuntu"}`))
	b := open(t, d.URL)
	b.state("local", "ready")
	b.state("wsl:Ubuntu", "ready")
	group := css("env-group-wsl:Ubuntu")
	b.do("add a project in the distro", chromedp.WaitVisible(chromedp.CSS(group+" "+css("add-project"))), chromedp.Click(chromedp.CSS(group+" "+css("add-project"))))
	b.fill("project-path", repo)
	b.click("project-add")
	b.gone("project-path")
	b.until("the project is kept", `(localStorage.getItem("catamaran.shell.wsl:Ubuntu") ?? "").includes("shop")`)

	m.Edit(func(s *wslsim.Scenario) { s.Distros[0].StartDelayMS = 3000 })
	m.Terminate("Ubuntu")
	b.do("see it boot", chromedp.WaitVisible(chromedp.CSS(group+" "+css("env-stage"))))
	b.reload()
	b.until("its stage and how long", fmt.Sprintf(`/Waking up Ubuntu\s+\d+ s/.test(document.querySelector('%s [data-testid="env-stage"]')?.innerText ?? "")`, group))
	before := b.asked("/e/wsl")
	b.do("open the kept project", chromedp.Click(chromedp.CSS(group+" "+css("project-group")+" .open")))
	b.see("env-status-starting")
	b.look("booting-beside")
	if b.eval(fmt.Sprintf(`document.querySelector('%s').dataset.state`, group)) == "staging" && b.asked("/e/wsl") != before {
		t.Errorf("requests to a distro that boots: %d", b.asked("/e/wsl")-before)
	}
	b.see("composer-input")
	b.state("wsl:Ubuntu", "ready")

	m.Edit(func(s *wslsim.Scenario) { s.Distros[0].StartDelayMS = 0 })
	m.SetFault(damaged)
	m.Terminate("Ubuntu")
	b.see("env-failed")
	b.seeText("env-failed", "disk")
	b.do("its project stays", chromedp.WaitVisible(chromedp.CSS(group+" "+css("project-group"))))
	b.look("failed-beside")
	b.state("local", "ready")
	m.ClearFault("disk")
	b.click("env-retry")
	b.state("wsl:Ubuntu", "ready")
	b.see("composer-input")
	b.clean()
}

// W8.4: behind the same name is another environment now. Its threads go, from
// the screen and from what is kept; those beside it stay.
func TestAnotherEnvironmentUnderTheSameName(t *testing.T) {
	t.Parallel()
	for _, reload := range []bool{false, true} {
		t.Run(fmt.Sprintf("reload %v", reload), func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, wslsim.Scenario{})
			native, linux := product.GitRepo(t, t.TempDir()), product.GitRepo(t, m.Home("Ubuntu"))
			d := startOn(t, m, homeWith(t, `{"mode":"both","distro":"Ubuntu"}`))
			b := open(t, d.URL)
			b.state("local", "ready")
			b.state("wsl:Ubuntu", "ready")
			for _, at := range []struct{ env, repo, prompt string }{{"local", native, "list the files here"}, {"wsl:Ubuntu", linux, "show the log of the old life"}} {
				add := chromedp.CSS(css("env-group-"+at.env) + " " + css("add-project"))
				b.do("add a project in "+at.env, chromedp.WaitVisible(add), chromedp.Click(add))
				b.fill("project-path", at.repo)
				b.click("project-add")
				b.gone("project-path")
				b.see("composer-input")
				b.prompt(at.prompt)
				b.see("turn-footer")
			}
			b.until("on the distro's thread", `location.pathname.startsWith("/t/wsl")`)
			b.until("its threads are kept", `(localStorage.getItem("catamaran.shell.wsl:Ubuntu") ?? "").includes("the old life")`)

			m.Edit(func(s *wslsim.Scenario) { s.Distros[0].StartDelayMS = 2000 })
			m.Terminate("Ubuntu")
			b.do("see it go", chromedp.WaitVisible(chromedp.CSS(css("env-group-wsl:Ubuntu")+" "+css("env-stage"))))
			removeState(t, m.Home("Ubuntu"))
			if reload {
				b.reload()
				b.until("the kept thread in the sidebar", fmt.Sprintf(`[...document.querySelectorAll('%s [data-testid="thread-row"]')].length === 1`, css("env-group-wsl:Ubuntu")))
			}
			b.state("wsl:Ubuntu", "ready")
			b.until("the route has left", `location.pathname === "/"`)
			b.until("one thread is left, this computer's", fmt.Sprintf(`document.querySelectorAll('[data-testid="thread-row"]').length === 1 && document.querySelectorAll('%s [data-testid="thread-row"]').length === 1`, css("env-group-local")))
			b.until("nothing of it is kept", `!(localStorage.getItem("catamaran.shell.wsl:Ubuntu") ?? "").includes("the old life")`)
			b.click("thread-row")
			b.see("turn-footer")
			b.clean()
		})
	}
}

// removeState removes a backend's identity and database below a home.
func removeState(t *testing.T, home string) {
	t.Helper()
	found := false
	err := filepath.WalkDir(home, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "identity" && strings.Contains(p, "backend") {
			found = true
			return errors.Join(os.RemoveAll(filepath.Dir(p)), filepath.SkipAll)
		}
		return err
	})
	if err != nil && !errors.Is(err, filepath.SkipAll) || !found {
		t.Fatalf("remove the backend's state below %s: found %v, %v", home, found, err)
	}
}

// W6.5, W8.1: WSL is chosen and gone. This computer does the work, the choice
// is kept, and a click takes it back for good.
func TestChosenWSLIsGone(t *testing.T) {
	t.Parallel()
	home := homeWith(t, `{"mode":"wsl-only","distro":"Ubuntu"}`)
	d := product.StartDesktop(t, product.Options{Home: home, Env: []string{"CATAMARAN_WSL_EXE=" + filepath.Join(t.TempDir(), "wsl.exe")}})
	b := open(t, d.URL)
	b.see("notice")
	b.seeText("notice", "Your choice is kept")
	b.state("local", "ready")
	b.addProject(product.GitRepo(t, t.TempDir()))
	b.newThread()
	b.prompt("list the files here")
	b.see("turn-footer")
	b.click("open-settings")
	b.see("wsl-recovery")
	b.look("wsl-gone")
	if got := modeFile(t, home); !strings.Contains(got, "wsl-only") {
		t.Errorf("the preference was not kept: %s", got)
	}
	b.click("notice-local")
	b.click("mode-confirm")
	b.gone("mode-dialog")
	b.gone("notice")
	b.gone("wsl-recovery")
	b.see("wsl-unavailable")
	b.look("wsl-never")
	if got := modeFile(t, home); !strings.Contains(got, `"local"`) {
		t.Errorf("the mode on disk: %s", got)
	}
	b.clean()
}

// W8.1: where WSL never was nothing of it is shown.
func TestNoWSL(t *testing.T) {
	t.Parallel()
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.click("open-settings")
	b.see("wsl-unavailable")
	b.see("env-memory")
	for _, id := range []string{"mode-local", "distro-select", "wsl-recovery", "wsl-health"} {
		if n := b.count(id); n != "0" {
			t.Errorf("%s is shown", id)
		}
	}
	b.clean()
}

// W8.1: a picked distro is only staged while WSL is off, utility distros are
// behind "show all", and a running environment says what it is.
func TestStagedDistroAndFacts(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Default: "Ubuntu", Distros: []wslsim.Distro{{Name: "Ubuntu"}, {Name: "Debian"}, {Name: "docker-desktop"}, {Name: "Fedora", State: "Installing"}}})
	home := t.TempDir()
	d := startOn(t, m, home)
	b := open(t, d.URL)
	b.click("open-settings")
	b.see("distro-select")
	options := func() string {
		return b.eval(fmt.Sprintf(`[...document.querySelector('%s').options].map(o => o.text + (o.disabled ? " !" : "")).join("|")`, css("distro-select")))
	}
	b.until("the distros", fmt.Sprintf(`document.querySelector('%s').options.length > 2`, css("distro-select")))
	if got := options(); strings.Contains(got, "docker") || !strings.Contains(got, "Default (Ubuntu)") || !strings.Contains(got, "Ubuntu (default, WSL 2") || !strings.Contains(got, "Fedora (WSL 2, installing") {
		t.Errorf("distros: %s", got)
	}
	b.click("distro-show-all")
	if got := options(); !strings.Contains(got, "docker-desktop") || !strings.HasSuffix(strings.TrimSpace(got[strings.Index(got, "docker"):]), "!") {
		t.Errorf("all distros: %s", got)
	}
	b.look("settings-all-distros")
	b.chooseDistro("Debian")
	b.until("the choice shows", fmt.Sprintf(`document.querySelector('%s').value === "Debian"`, css("distro-select")))
	if n := b.count("mode-dialog"); n != "0" || m.Running("Debian") || m.Running("Ubuntu") {
		t.Error("a staged choice had an effect")
	}
	b.reload()
	b.see("distro-select")
	b.until("the choice is kept", fmt.Sprintf(`document.querySelector('%s').value === "Debian"`, css("distro-select")))
	if got := modeFile(t, home); !strings.Contains(got, "Debian") || !strings.Contains(got, `"local"`) {
		t.Errorf("the mode on disk: %s", got)
	}
	b.click("mode-both")
	b.seeText("mode-dialog", "Debian run side by side")
	b.click("mode-confirm")
	b.changed("both")
	b.state("wsl:Debian", "ready")
	facts := css("env-row-wsl:Debian")
	b.until("what the environment says of itself", fmt.Sprintf(`/version .*linux\/.*process \d+[\s\S]*\d+ MB now[\s\S]*%s/.test(document.querySelector('%s').innerText)`, strings.ReplaceAll(m.Home("Debian"), "/", `\/`), facts))
	b.seeText("wsl-health", "Version 2.")
	b.look("settings-facts")
	b.clean()
}

// W7.1: a distro that was cloned carries its original's identity. Settings says
// so, and a click tells the two apart without losing a thread.
func TestClonedDistroGetsAnIdentity(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	d := product.StartDesktop(t, product.Options{Env: []string{"CATAMARAN_WSL_EXE=" + m.Exe}})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.changeMode("both")
	b.changed("both")
	b.see("env-group-wsl:default")
	b.changeMode("local")
	b.changed("local")
	if err := os.CopyFS(filepath.Join(m.Home("Debian"), ".catamaran"), os.DirFS(filepath.Join(m.Home("Ubuntu"), ".catamaran"))); err != nil {
		t.Fatal(err)
	}
	b.chooseDistro("Debian")
	b.changeMode("both")
	b.changed("both")
	b.seeText("env-twin", "the same identity")
	b.look("cloned-distro")
	b.click("env-new-identity")
	b.gone("env-twin")
	b.see("env-group-wsl:Debian")
	b.clean()
}
