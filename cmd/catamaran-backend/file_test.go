package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"catamaran/internal/api"
)

// TestFilesOfAProject is everything the page asks about files, through the link.
func TestFilesOfAProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	picture := []byte("\x89PNG\r\n\x1a\nnot much of one")
	for name, content := range map[string]string{"src/harbour.go": "package src\n\n// Needle of the harbour.\n", "logo.png": string(picture), ".gitignore": "*.log\n", "big.log": "needle"} {
		path := filepath.Join(w.repo, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := start(t, w)
	d.ready()
	p := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	th := call[api.Thread](d, api.MethodThreadCreate, api.ThreadCreate{ProjectID: p.ID, AgentID: "demo"})
	at := api.FilePlace{ProjectID: p.ID}

	for _, place := range []api.FilePlace{at, {ThreadID: th.ID}, {ProjectID: p.ID, ThreadID: th.ID}} {
		found := call[api.FoundFiles](d, api.MethodFileFind, api.FileFind{FilePlace: place, Query: "harb"})
		if len(found.Files) != 1 || found.Files[0].Path != "src/harbour.go" || !found.Files[0].Changed {
			t.Errorf("%+v: %+v", place, found)
		}
	}
	if list := call[api.FileFolder](d, api.MethodFileList, api.FileList{FilePlace: at}); len(list.Entries) != 4 || list.Entries[0].Name != "src" {
		t.Errorf("%+v", list)
	}
	if v := call[api.FileView](d, api.MethodFileRead, api.FileRead{FilePlace: at, Path: "src/harbour.go"}); v.Content != api.ContentText || v.Text == "" || v.AbsolutePath != filepath.Join(w.repo, "src", "harbour.go") {
		t.Errorf("%+v", v)
	}
	if m := call[api.FileMatches](d, api.MethodFileSearch, api.FileSearch{FilePlace: at, Text: "needle"}); m.Lines != 1 || m.Files[0].Lines[0].Line != 3 {
		t.Errorf("%+v", m)
	}
	for name, ref := range map[string]api.FileRef{
		"out": {FilePlace: at, Path: "../state/backend/identity"}, "absolute": {FilePlace: at, Path: "/etc/passwd"},
	} {
		var out api.FileView
		if err := d.try("POST", "/api/call/"+api.MethodFileRead, ref, &out); api.CodeOf(err) != api.CodePathOutside {
			t.Errorf("%s: %v", name, err)
		}
	}
	var none api.FileView
	if err := d.try("POST", "/api/call/"+api.MethodFileRead, api.FileRead{FilePlace: api.FilePlace{ProjectID: "p_gone"}, Path: "x"}, &none); api.CodeOf(err) != api.CodeNotFound {
		t.Error(err)
	}

	body, err := json.Marshal(api.FileRef{FilePlace: at, Path: "logo.png"})
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{d.token: http.StatusOK, "": http.StatusUnauthorized} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://backend"+api.PathFileBytes, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := d.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != want {
			t.Fatalf("%s %v", res.Status, err)
		}
		if want == http.StatusOK && (!bytes.Equal(got, picture) || res.Header.Get("Content-Type") != "image/png" || res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Cache-Control") != "no-store") {
			t.Errorf("%q %v", got, res.Header)
		}
	}
}
