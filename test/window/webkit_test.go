//go:build window

package window

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"catamaran/test/product"
)

// webkit is a session of WebKit's own browser, driven over the WebDriver protocol.
type webkit struct {
	t       *testing.T
	session string
}

const elementKey = "element-6066-11e4-a52e-4f735466cecf" // WebDriver's name of an element's id

func newWebKit(t *testing.T, d *display) *webkit {
	t.Helper()
	need(t, "WebKitWebDriver")
	found, _ := filepath.Glob("/usr/lib/*/webkit2gtk-4.*/MiniBrowser")
	if len(found) == 0 {
		t.Fatal("WebKit's MiniBrowser is missing; run make test-window, which installs it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	driver := exec.Command("dbus-run-session", "--", "WebKitWebDriver", "--port="+strconv.Itoa(port))
	driver.Env = append(d.env(), "HOME="+t.TempDir())
	var said output
	driver.Stdout, driver.Stderr = &said, &said
	start(t, driver)
	t.Cleanup(func() {
		if t.Failed() {
			fmt.Println(said.String())
		}
	})
	w := &webkit{t: t, session: fmt.Sprintf("http://127.0.0.1:%d", port)}
	until(t, "WebKitWebDriver answers", func() bool {
		r, err := http.Get(w.session + "/status")
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
	var s struct{ SessionID string }
	w.call("POST", "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"webkitgtk:browserOptions": map[string]any{"binary": found[0], "args": []string{"--automation"}},
	}}}, &s)
	w.session += "/session/" + s.SessionID
	t.Cleanup(func() { _ = w.try("DELETE", "", nil, nil) })
	return w
}

func (w *webkit) try(method, path string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, w.session+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	client := http.Client{Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var v struct{ Value json.RawMessage }
	if err := json.Unmarshal(answer, &v); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, v.Value)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(v.Value, into)
}

func (w *webkit) call(method, path string, body, into any) {
	w.t.Helper()
	if err := w.try(method, path, body, into); err != nil {
		w.t.Fatal(err)
	}
}

// find waits for an element by its test id.
func (w *webkit) find(id string) string {
	w.t.Helper()
	var el map[string]string
	until(w.t, "see "+id, func() bool {
		if w.try("POST", "/element", map[string]string{"using": "css selector", "value": `[data-testid="` + id + `"]`}, &el) != nil {
			return false
		}
		var shown bool
		return w.try("GET", "/element/"+el[elementKey]+"/displayed", nil, &shown) == nil && shown
	})
	return el[elementKey]
}

func (w *webkit) click(id string) {
	w.t.Helper()
	until(w.t, "click "+id, func() bool { return w.try("POST", "/element/"+w.find(id)+"/click", map[string]any{}, nil) == nil })
}

func (w *webkit) typeIn(id, text string) {
	w.t.Helper()
	el := w.find(id)
	w.call("POST", "/element/"+el+"/clear", map[string]any{}, nil)
	w.call("POST", "/element/"+el+"/value", map[string]string{"text": text}, nil)
}

func (w *webkit) text(id string) string {
	w.t.Helper()
	var s string
	w.call("GET", "/element/"+w.find(id)+"/text", nil, &s)
	return s
}

func (w *webkit) look(name string) {
	w.t.Helper()
	dir := os.Getenv("CATAMARAN_SCREENSHOTS")
	if dir == "" {
		return
	}
	var s string
	w.call("GET", "/screenshot", nil, &s)
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), b, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// The page in WebKit: a project, a prompt to the demo agent, its command and its
// edit approved, the diff opened; and a reload finds it all again.
func TestPageInWebKit(t *testing.T) {
	t.Parallel()
	d := newDisplay(t)
	repo := product.GitRepo(t, t.TempDir())
	desktop := product.StartDesktop(t, product.Options{})
	w := newWebKit(t, d)
	w.call("POST", "/url", map[string]string{"url": desktop.URL}, nil)
	w.click("add-project")
	w.typeIn("project-path", repo)
	w.click("project-add")
	w.click("new-thread")
	w.typeIn("composer-input", "try everything")
	w.click("send")
	w.find("approval-command")
	w.click("approve-allow_once")
	w.find("approval-edits")
	w.look("webkit-approval")
	w.click("approve-allow_once")
	w.find("changes-card")
	if got := w.text("changes-card"); !strings.Contains(got, "catamaran-demo.md") {
		t.Errorf("the changes card says %q", got)
	}
	w.click("open-diff")
	until(t, "the diff is shown", func() bool { return strings.Contains(w.text("diff-view"), "catamaran-demo.md") })
	w.look("webkit-diff")
	w.call("POST", "/refresh", map[string]any{}, nil)
	w.find("changes-card")
	if b, err := os.ReadFile(filepath.Join(repo, "catamaran-demo.md")); err != nil || len(b) == 0 {
		t.Errorf("the agent's file: %q, %v", b, err)
	}
}
