package browser

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
	"catamaran/test/product"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// Secrets in play in these tests.
const (
	secretKey   = "sk-ant-forwarded-0123456789abcdef"
	secretOther = "hunter2 \"quoted\" & odd"
	secretToken = "a-plain-looking-value-of-the-user"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// both starts a desktop with both environments and secrets to forward.
func both(t *testing.T) (*product.Desktop, *wsltest.Machine) {
	t.Helper()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	// An agent of Node whose node is too old, and one that only Windows has.
	pkg := filepath.Join(m.Home("Ubuntu"), "lib", "gemini-cli")
	write(t, filepath.Join(pkg, "package.json"), `{"name":"gemini-cli","engines":{"node":"^20.19.0 || >=22.12"}}`, 0o644)
	write(t, filepath.Join(pkg, "dist", "cli.js"), "#!/usr/bin/env node\n", 0o755)
	write(t, filepath.Join(m.Bin("Ubuntu"), "node"), "#!/bin/sh\necho v18.20.4\n", 0o755)
	write(t, filepath.Join(m.Home("Ubuntu"), ".profile"), "export PATH=\""+m.Bin("Ubuntu")+":$PATH\"\n", 0o644)
	m.Tool("Ubuntu", "gemini", filepath.Join(pkg, "dist", "cli.js"))
	home := t.TempDir()
	write(t, filepath.Join(home, "desktop", "mode.json"), `{"mode":"both","distro":"Ubuntu"}`, 0o600)
	write(t, filepath.Join(home, "desktop", "forward.json"), `{"variables":[{"name":"ANTHROPIC_API_KEY"},{"name":"MY_PASSPHRASE","wins":true},{"name":"MY_OTHER"}]}`, 0o600)
	d := product.StartDesktop(t, product.Options{Home: home, Env: append(m.Env(), "CATAMARAN_WSL_EXE="+m.Exe,
		"ANTHROPIC_API_KEY="+secretKey, "MY_PASSPHRASE="+secretOther, "MY_OTHER="+secretToken)})
	return d, m
}

// W9.1, W9.2, W3.6 as a person sees them.
func TestDiagnosticsPage(t *testing.T) {
	t.Parallel()
	d, _ := both(t)
	b := open(t, d.URL)
	b.see("env-group-wsl:Ubuntu")
	b.do("wait for both", chromedp.Poll[chromedp.Void](`performance.now() > 0 && document.querySelectorAll('[data-testid^="env-group-"]').length === 2`))
	b.click("open-settings")
	b.seeText("env-row-local", "version")
	b.seeText("env-row-wsl:Ubuntu", "version")
	b.see("forward-MY_PASSPHRASE")
	b.seeText("forward-MY_PASSPHRASE", "set")
	b.fill("forward-name", "NOT VALID")
	b.click("forward-add")
	b.seeText("forward-error", "not the name of a variable")
	b.fill("forward-name", "EXTRA_KEY")
	b.click("forward-add")
	b.seeText("forward-EXTRA_KEY", "not set here")
	b.click("forward-wins-EXTRA_KEY")
	b.gone("forward-error")
	b.look("forwarded")
	b.click("forward-remove-MY_OTHER")
	b.gone("forward-MY_OTHER")
	if f, err := os.ReadFile(filepath.Join(d.Home, "desktop", "forward.json")); err != nil || !bytes.Contains(f, []byte(`"EXTRA_KEY"`)) || bytes.Contains(f, []byte("MY_OTHER")) {
		t.Errorf("%s %v", f, err)
	}

	b.click("settings-diagnostics")
	b.see("diagnostics-group-wsl:Ubuntu")
	b.see("diagnostics-group-local")
	b.see("diagnostics-group-desktop")
	b.seeText("finding-wsl:Ubuntu/agent:gemini", "too old for Gemini CLI: found 18.20.4, needs ^20.19.0 || >=22.12")
	b.seeText("diagnostics-summary", "warning")
	b.look("diagnostics")
	b.click("diagnostics-run")
	b.seeText("diagnostics-summary", "Checking")
	b.do("see the end of the run", chromedp.WaitEnabled(sel("diagnostics-run")))
	b.do("catch the download", chromedp.Evaluate[chromedp.Void](`(() => { const create = URL.createObjectURL; URL.createObjectURL = (o) => { window.caught = o; return create.call(URL, o); }; HTMLAnchorElement.prototype.click = function () { window.caughtName = this.download; }; })()`))
	b.click("diagnostics-export")
	b.do("export", chromedp.Poll[chromedp.Void](`window.caught?.size > 0`, chromedp.WithPollingTimeout(wait)))
	if name := b.eval("window.caughtName"); !strings.HasPrefix(name, "catamaran-diagnostics-") {
		t.Errorf("the file is called %q", name)
	}
	if kind := b.eval("window.caught.type"); kind != "application/zip" {
		t.Errorf("the file is %q", kind)
	}
	if text := b.eval("document.body.innerText"); strings.Contains(text, secretKey) || strings.Contains(text, secretToken) {
		t.Error("a value is on the page")
	}
	b.clean()
}

// ready waits until both environments are up, for their findings.
func ready(t *testing.T, d *product.Desktop, token string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	c, _, err := websocket.Dial(ctx, strings.Replace(d.Base, "http", "ws", 1)+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := wsjson.Write(ctx, c, api.ClientFrame{Type: api.FrameSubscribe, ID: "1", Topic: api.TopicEnvironments}); err != nil {
		t.Fatal(err)
	}
	for up := 0; up < 2; {
		var f api.ServerFrame
		if err := wsjson.Read(ctx, c, &f); err != nil {
			t.Fatal("wait for both environments: ", err)
		}
		if f.Environments == nil {
			continue
		}
		up = 0
		for _, e := range f.Environments.Environments {
			if e.State == api.EnvReady {
				up++
			}
		}
	}
}

// forms are the ways a secret could show.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	return []string{secret, strings.Trim(string(quoted), `"`), url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))}
}

// W7.4, W9.3: the archive of an app whose secrets did get into its logs holds none of them.
func TestExportHoldsNoSecret(t *testing.T) {
	t.Parallel()
	d, _ := both(t)
	code := strings.TrimPrefix(d.URL, d.Base+"/#code=")
	session := signIn(t, d)
	bin := product.Bin(t)
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "catamaran"), args...)
		cmd.Env = append(product.CleanEnv(t), "CATAMARAN_HOME="+d.Home)
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("catamaran %v: %v\n%s%s", args, err, out, errOut.String())
		}
		return out
	}
	ready(t, d, session.Token)
	secrets := []string{secretKey, secretOther, secretToken, session.Token}
	// What must never happen, happened: each secret is in a log, in each form.
	var leak strings.Builder
	for _, s := range secrets {
		for _, f := range forms(s) {
			leak.WriteString(`{"msg":"leak ` + f + `"}` + "\n")
		}
	}
	leak.WriteString(`{"url":"http://127.0.0.1:1/#code=` + code + `"}` + "\n")
	leak.WriteString("export SOME_API_KEY=unknown-to-the-app-1234567\nAuthorization: Bearer unknown-bearer-7654321\n")
	secrets = append(secrets, "unknown-to-the-app-1234567", "unknown-bearer-7654321", code)
	write(t, filepath.Join(d.Home, "desktop", "logs", "backend-leak.log"), leak.String(), 0o600)
	write(t, filepath.Join(d.Home, "backend", "logs", "old.log"), leak.String(), 0o600)

	var diagnosis api.Diagnosis
	if err := json.Unmarshal(run("doctor", "--json"), &diagnosis); err != nil {
		t.Fatal(err)
	}
	text := string(run("doctor"))
	file := filepath.Join(t.TempDir(), "out.zip")
	run("doctor", "--export", file)
	cli, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, d.Base+"/api/diagnostics", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Fatal("without a token: ", res.Status, err)
	}
	req.Body = io.NopCloser(strings.NewReader("{}"))
	req.Header.Set("Authorization", "Bearer "+session.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	for what, archive := range map[string][]byte{"cli": cli, "page": page} {
		z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]string{}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			names[f.Name] = string(b)
			for _, s := range secrets {
				for _, form := range forms(s) {
					if bytes.Contains(b, []byte(form)) {
						t.Errorf("%s: %s holds %q", what, f.Name, form)
					}
				}
			}
		}
		for name, want := range map[string]string{
			"findings.json": "agent:gemini", "versions.json": "desktop", "environments.json": "wsl:Ubuntu", "config/mode.json": `"both"`,
			"config/forward.json": "MY_PASSPHRASE", "logs/desktop.log": "desktop starts", "logs/backend.log": "", "logs/backend-leak.log": "leak", "README.txt": "Catamaran",
		} {
			if !strings.Contains(names[name], want) || names[name] == "" {
				t.Errorf("%s: %s = %.300q", what, name, names[name])
			}
		}
		for name := range names {
			if strings.Contains(name, "identity") {
				t.Errorf("%s: %s is in it", what, name)
			}
		}
	}
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("doctor prints %q", s)
		}
	}
	seen := map[string]api.Severity{}
	for _, f := range diagnosis.Findings {
		seen[f.Environment+"/"+f.ID] = f.Severity
		if f.Severity == api.SeverityWarning && (f.Why == "" || f.Repair == "") {
			t.Errorf("no word of why or of a repair: %+v", f)
		}
	}
	for id, want := range map[string]api.Severity{
		"/desktop": api.SeverityOK, "/wsl": api.SeverityOK, "/distro:Ubuntu": api.SeverityOK, "/virtualization": api.SeverityOK, "local/home": api.SeverityOK, "local/git": api.SeverityOK,
		"wsl:Ubuntu/agent:gemini": api.SeverityWarning, "wsl:Ubuntu/clock": api.SeverityOK, "wsl:Ubuntu/shell": api.SeverityOK, "wsl:Ubuntu/path": api.SeverityOK, "wsl:Ubuntu/agent:opencode": api.SeverityInfo,
	} {
		if seen[id] != want {
			t.Errorf("%s is %q; want %q", id, seen[id], want)
		}
	}
	if !strings.Contains(text, "wsl:Ubuntu\n") || !strings.Contains(text, "needs ^20.19.0 || >=22.12") {
		t.Errorf("doctor prints:\n%s", text)
	}
}

// TestDistroShells is W3.5 and W3.6 in the whole product: each login shell of a
// distro, with a start-up file that prints things, and who wins. The fake agent
// tells by its version what it was given.
func TestDistroShells(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ shell, file string }{{"bash", ".bash_profile"}, {"zsh", ".zprofile"}, {"fish", ".config/fish/config.fish"}, {"dash", ".profile"}} {
		t.Run(c.shell, func(t *testing.T) {
			t.Parallel()
			shell, err := exec.LookPath(c.shell)
			if err != nil {
				t.Fatalf("%s is missing; `go run ./tools/check -only tools` installs it", c.shell)
			}
			m := wsltest.Scenario(t, wslsim.Scenario{
				Default: "Ubuntu", Distros: []wslsim.Distro{{Name: "Ubuntu", Shell: shell}}, WindowsPath: `C:\Windows\system32;C:\Users\dev\AppData\Roaming\npm`,
			})
			tools := filepath.Join(m.Home("Ubuntu"), "my tools")
			write(t, filepath.Join(m.Home("Ubuntu"), c.file), "echo welcome; echo trouble >&2\nexport PATH=\""+tools+":$PATH\"; export STAYS=1; export YIELDS=1\n", 0o644)
			write(t, filepath.Join(tools, "opencode"), "#!/bin/sh\necho \"$STAYS.$YIELDS.${NEW:-0}\"\n", 0o755)
			home := t.TempDir()
			write(t, filepath.Join(home, "desktop", "mode.json"), `{"mode":"both","distro":"Ubuntu"}`, 0o600)
			write(t, filepath.Join(home, "desktop", "forward.json"), `{"variables":[{"name":"STAYS"},{"name":"YIELDS","wins":true},{"name":"NEW"},{"name":"UNSET"}]}`, 0o600)
			d := product.StartDesktop(t, product.Options{Home: home, Env: append(m.Env(), "CATAMARAN_WSL_EXE="+m.Exe, "STAYS=2", "YIELDS=2", "NEW=2")})
			s := signIn(t, d)
			ready(t, d, s.Token)
			g := diagnose(t, d, s.Token)
			for id, want := range map[string]string{"shell": shell, "path": tools, "agent:opencode": "OpenCode 1.2.2 is " + tools} {
				f := g[`wsl:Ubuntu/`+id]
				if !strings.Contains(f.Title, want) {
					t.Errorf("%s: %+v", id, f)
				}
			}
			// W9.2: the Windows folders that interop puts into the PATH are not searched.
			if f := g["wsl:Ubuntu/path"]; strings.Contains(f.Title, "/mnt/") {
				t.Errorf("%+v", f)
			}
		})
	}
}

func signIn(t *testing.T, d *product.Desktop) api.Session {
	t.Helper()
	res, err := http.Post(d.Base+"/api/session", "application/json", strings.NewReader(`{"code":"`+strings.TrimPrefix(d.URL, d.Base+"/#code=")+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var s api.Session
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil || s.Token == "" {
		t.Fatal(res.Status, err)
	}
	return s
}

func diagnose(t *testing.T, d *product.Desktop, token string) map[string]api.Finding {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.Base+"/api/call/"+api.MethodDiagnose, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var g api.Diagnosis
	if err := json.NewDecoder(res.Body).Decode(&g); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	all := map[string]api.Finding{}
	for _, f := range g.Findings {
		all[f.Environment+"/"+f.ID] = f
	}
	return all
}

// TestOpenIn is W2.5 as far as this system goes: a native folder reaches the
// program, a distro's is refused with a reason, a file is never opened.
func TestOpenIn(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	bin := t.TempDir()
	told := filepath.Join(t.TempDir(), "told")
	for _, name := range []string{"xdg-open", "code"} {
		write(t, filepath.Join(bin, name), "#!/bin/sh\nprintf '%s|%s\\n' \"${0##*/}\" \"$*\" >>"+told+"\n", 0o755)
	}
	d := product.StartDesktop(t, product.Options{Env: []string{"PATH=" + bin + ":" + os.Getenv("PATH")}})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.newThread()
	b.see("project-menu")
	for _, id := range []string{"folder", "vscode"} {
		b.click("project-menu")
		b.click("open-in-" + id)
		b.gone("open-in-" + id)
	}
	b.click("project-menu")
	b.look("open-in")
	token := b.eval(`sessionStorage.getItem("catamaran.token")`)
	for path, want := range map[string]int{repo: 200, filepath.Join(repo, "README.md"): 404, "relative": 400} {
		body, _ := json.Marshal(api.OpenIn{Environment: "local", Path: path, Target: "folder"})
		req, err := http.NewRequest(http.MethodPost, d.Base+"/api/call/"+api.MethodOpenIn, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if (want == 200) != (res.StatusCode == 200) {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	text, err := os.ReadFile(told)
	if err != nil || !strings.Contains(string(text), "xdg-open|"+repo+"\n") || !strings.Contains(string(text), "code|"+repo+"\n") || strings.Contains(string(text), "README") {
		t.Errorf("%s %v", text, err)
	}

	// A file opens in the editor where it is read: at a match of the search, at a change of a diff.
	opened := func(want string) {
		t.Helper()
		eventually(t, "told "+want, func() bool {
			text, _ := os.ReadFile(told)
			return strings.Contains(string(text), "code|--goto "+filepath.Join(repo, want)+"\n")
		})
	}
	b.do("close the menu", chromedp.KeyEvent("\x1b"))
	b.do("open the files", chromedp.KeyEvent("E", chromedp.KeyModifiers(chromedp.ModifierCtrl, chromedp.ModifierShift)))
	b.click("files-search")
	b.fill("search-text", "sum +=")
	b.click("search-match")
	b.see("file-text")
	b.click("file-menu")
	b.click("open-file-vscode")
	opened("src/total.go:6")
	put(t, repo, "src/basket.go", "package shop\n\ntype Basket struct{ Prices []int }\n\n// Empty has nothing in it.\nvar Empty Basket\n")
	b.click("panel-tab-changes")
	b.seeText("diff-view", "Empty has nothing")
	b.click("diff-file-menu")
	b.click("open-file-vscode")
	opened("src/basket.go:4")
	b.clean()
}
