package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/settings"
)

// desk is the desktop's half, for these tests.
type desk struct {
	mu     sync.Mutex
	logs   map[string]string
	opened []string
	list   api.Forwarding
}

func (d *desk) Check(context.Context) []api.Finding {
	return []api.Finding{{ID: "state", Severity: api.SeverityOK, Title: "fine"}}
}
func (d *desk) Version() api.VersionInfo { return api.VersionInfo{Version: "1.2.3"} }
func (d *desk) ArchiveName() string      { return "diag.zip" }
func (d *desk) Archive(g api.Diagnosis, now api.Environments, logs map[string]string) (string, []byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logs = logs
	return "diag.zip", []byte(fmt.Sprintf("PK %d %d", len(g.Findings), len(now.Environments))), nil
}
func (d *desk) Get() api.Forwarding { return d.list }
func (d *desk) Set(c api.ForwardingChange) (api.Forwarding, error) {
	if len(c.Variables) == 0 {
		return api.Forwarding{}, &api.Error{Code: api.CodeInvalid, Message: "no"}
	}
	d.list = api.Forwarding{Variables: c.Variables}
	return d.list, nil
}
func (d *desk) Openers() []api.Opener { return []api.Opener{{ID: "folder", Name: "Folder"}} }
func (d *desk) Open(_ context.Context, distro, path, target string) error {
	d.opened = append(d.opened, distro+"|"+path+"|"+target)
	return nil
}

func withDesk(d *desk) func(*Options) {
	return func(o *Options) { o.Doctor, o.Forward, o.Opener = d, d, d }
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	d := &desk{}
	f := start(t, withDesk(d))
	var asked api.DoctorRun
	f.b.doctor = func(r api.DoctorRun) (int, any) {
		asked = r
		return http.StatusOK, api.DoctorReport{Findings: []api.Finding{{ID: "git", Severity: api.SeverityOK, Title: "Git", Environment: "a lie"}}, Log: "the log"}
	}
	token := f.signIn()
	res, body := f.do("POST", "/api/call/"+api.MethodDiagnose, token, "{}")
	var got api.Diagnosis
	if err := json.Unmarshal([]byte(body), &got); err != nil || res.StatusCode != 200 || got.Version.Version != "1.2.3" || got.Checked == 0 {
		t.Fatal(res.Status, body, err)
	}
	if asked.Now == 0 || asked.Log || !asked.Fresh {
		t.Errorf("asked %+v", asked)
	}
	seen := map[string]int{}
	for _, x := range got.Findings {
		seen[x.Environment+"/"+x.ID]++
	}
	ready := 0
	for _, e := range f.pool.Snapshot().Environments {
		want := 0
		if e.State == api.EnvReady {
			want, ready = 1, ready+1
		}
		if seen[e.ID+"/git"] != want || seen[e.ID+"/state"] != 1 {
			t.Errorf("%s (%s): %v", e.ID, e.State, seen)
		}
	}
	if ready == 0 || seen["/state"] != 1 || seen["a lie/git"] != 0 {
		t.Errorf("%v", seen)
	}

	// One that cannot be checked is a finding, and the others' stay.
	f.b.doctor = func(api.DoctorRun) (int, any) {
		return http.StatusNotFound, api.Error{Code: api.CodeNotFound, Message: "There is no method of this name."}
	}
	if _, body := f.do("POST", "/api/call/"+api.MethodDiagnose, token, "{}"); !strings.Contains(body, "could not be checked") || !strings.Contains(body, `"fine"`) {
		t.Error(body)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	d := &desk{}
	f := start(t, withDesk(d))
	f.b.doctor = func(r api.DoctorRun) (int, any) {
		if !r.Log {
			return http.StatusBadRequest, nil
		}
		return http.StatusOK, api.DoctorReport{Log: "the log"}
	}
	if res, _ := f.do("POST", "/api/diagnostics", "", "{}"); res.StatusCode != http.StatusUnauthorized {
		t.Error(res.Status)
	}
	res, body := f.do("POST", "/api/diagnostics", f.signIn(), "{}")
	if res.StatusCode != 200 || !strings.HasPrefix(body, "PK ") || res.Header.Get("Content-Type") != "application/zip" || !strings.Contains(res.Header.Get("Content-Disposition"), `"diag.zip"`) || res.Header.Get("Cache-Control") != "no-store" {
		t.Error(res.Status, res.Header, body)
	}
	if len(d.logs) == 0 {
		t.Error("no backend's log was asked for")
	}
	srv := httptest.NewServer(f.g.Control())
	defer srv.Close()
	cres, err := http.Post(srv.URL+"/api/diagnostics", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cres.Body.Close()
	if b, _ := io.ReadAll(cres.Body); cres.StatusCode != 200 || !strings.HasPrefix(string(b), "PK ") {
		t.Error(cres.Status, string(b))
	}
}

func TestForwardingAndOpening(t *testing.T) {
	t.Parallel()
	d := &desk{}
	f := start(t, withDesk(d))
	token := f.signIn()
	f.pool.set(func(p *pool) {
		for i := range p.now.Environments {
			if e := &p.now.Environments[i]; e.ID == "wsl:Ubuntu" {
				e.Distro = "Ubuntu-24.04"
			}
		}
	})
	for _, c := range []struct {
		method, body, want string
		status             int
	}{
		{api.MethodForwardSet, `{"variables":[{"name":"A","wins":true}]}`, `"wins":true`, 200},
		{api.MethodForwardGet, `{}`, `"name":"A"`, 200},
		{api.MethodForwardSet, `{}`, `"invalid_request"`, 400},
		{api.MethodOpeners, `{"id":"local"}`, `"Folder"`, 200},
		{api.MethodOpeners, `{"id":"wsl:Nope"}`, `environment_unknown`, 404},
		{api.MethodOpenIn, `{"environment":"wsl:Ubuntu","path":"/x y","target":"vscode"}`, `{}`, 200},
		{api.MethodOpenIn, `{"environment":"local","path":"/x","target":"folder"}`, `{}`, 200},
		{api.MethodOpenIn, `{"environment":"nope","path":"/x","target":"folder"}`, `environment_unknown`, 404},
	} {
		if res, body := f.do("POST", "/api/call/"+c.method, token, c.body); res.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %s %s", c.method, c.body, res.Status, body)
		}
	}
	if got := strings.Join(d.opened, " "); got != "Ubuntu-24.04|/x y|vscode |/x|folder" {
		t.Errorf("opened %q", got)
	}
}

func TestWithoutADesk(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	for _, m := range []string{api.MethodDiagnose, api.MethodForwardGet, api.MethodForwardSet, api.MethodOpeners, api.MethodOpenIn, api.MethodSettingsGet, api.MethodSettingsSet} {
		if res, body := f.do("POST", "/api/call/"+m, token, "{}"); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s %s", m, res.Status, body)
		}
	}
	if res, _ := f.do("POST", "/api/diagnostics", token, "{}"); res.StatusCode != http.StatusServiceUnavailable {
		t.Error(res.Status)
	}
}

func TestSettingsAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := start(t, func(o *Options) { o.Settings = settings.New(dir) })
	token := f.signIn()
	for _, c := range []struct {
		method, body, want string
		status             int
	}{
		{api.MethodSettingsGet, `{}`, `"keys":[]`, 200},
		{api.MethodSettingsSet, `{"values":{"appearance.theme":"dark"},"keys":[{"key":"f9","command":"view.theme"}]}`, `"appearance.theme":"dark"`, 200},
		{api.MethodSettingsGet, `{}`, `"command":"view.theme"`, 200},
		{api.MethodSettingsSet, `{"values":{"no such name":1}}`, `"invalid_request"`, 400},
		{api.MethodSettingsSet, `{"keys":[{"key":"f9"}]}`, `"invalid_request"`, 400},
	} {
		if res, body := f.do("POST", "/api/call/"+c.method, token, c.body); res.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %s %s", c.method, c.body, res.Status, body)
		}
	}
}
