package settings

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"catamaran/internal/api"

	"github.com/google/go-cmp/cmp"
)

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func put(t *testing.T, s *Store, name, content string) {
	t.Helper()
	if err := os.WriteFile(s.path(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *Store) api.Settings {
	t.Helper()
	v, err := s.Get()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNothingIsThereYet(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	v := get(t, s)
	if len(v.Values) != 0 || v.Keys == nil || len(v.Problems) != 0 || filepath.Base(v.Path) != ValuesFile {
		t.Errorf("an empty folder gives %+v", v)
	}
}

func TestWhatIsSetIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	rows := []api.KeyBinding{{Key: "mod+k", Command: "palette.open", When: "a && !b"}, {Key: "f2", Command: "-thread.rename"}}
	if _, err := s.Set(api.SettingsChange{Values: map[string]json.RawMessage{"appearance.theme": raw(`"dark"`), "editor.size": raw(`13`)}, Keys: &rows}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Set(api.SettingsChange{Values: map[string]json.RawMessage{"editor.size": raw("null")}}); err != nil {
		t.Fatal(err)
	}
	v := get(t, New(s.dir))
	if diff := cmp.Diff(rows, v.Keys); diff != "" {
		t.Errorf("key bindings: %s", diff)
	}
	if len(v.Values) != 1 || string(v.Values["appearance.theme"]) != `"dark"` {
		t.Errorf("values: %s", v.Values)
	}
	if b, _ := os.ReadFile(s.path(KeysFile)); !strings.Contains(string(b), "a && !b") {
		t.Errorf("the file is not for people: %s", b)
	}
	left, err := filepath.Glob(filepath.Join(s.dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBadRowsAreToldAndKept(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	put(t, s, KeysFile, "\xef\xbb\xbf[\n  {\"key\": \"mod+1\", \"command\": \"a\"},\n  {\"key\": \"mod+2\"},\n  {\"key\": 3, \"command\": \"b\"},\n  \"what\",\n  {\"key\": \"x\", \"command\": \"c\", \"wen\": \"d\"}\n]\n")
	v := get(t, s)
	if len(v.Keys) != 1 || v.Keys[0].Command != "a" {
		t.Fatalf("rows: %+v", v.Keys)
	}
	var lines []int
	for _, p := range v.Problems {
		lines = append(lines, p.Line)
		if p.File != KeysFile || p.Message == "" {
			t.Errorf("problem %+v", p)
		}
	}
	if diff := cmp.Diff([]int{3, 4, 5, 6}, lines); diff != "" {
		t.Errorf("lines: %s", diff)
	}
	rows := append(v.Keys, api.KeyBinding{Key: "mod+9", Command: "new"})
	after, err := s.Set(api.SettingsChange{Keys: &rows})
	if err != nil || len(after.Keys) != 2 || len(after.Problems) != 4 {
		t.Fatalf("after a change: %+v, %v", after, err)
	}
	if b, _ := os.ReadFile(s.path(KeysFile)); !strings.Contains(string(b), `"wen"`) {
		t.Errorf("a bad row was thrown away: %s", b)
	}
}

func TestADamagedFileIsSetAside(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	put(t, s, ValuesFile, "{\n\"a\": 1,\n oops }")
	put(t, s, KeysFile, `{"key": "x"}`)
	v := get(t, s)
	if len(v.Problems) != 2 || v.Problems[0].Line != 3 || len(v.Values) != 0 {
		t.Fatalf("problems: %+v", v.Problems)
	}
	rows := []api.KeyBinding{}
	v, err := s.Set(api.SettingsChange{Values: map[string]json.RawMessage{"a.b": raw("true")}, Keys: &rows})
	if err != nil || len(v.Problems) != 0 || string(v.Values["a.b"]) != "true" {
		t.Fatalf("after a change: %+v, %v", v, err)
	}
	for name, want := range map[string]string{ValuesFile: "oops", KeysFile: `"key"`} {
		if b, err := os.ReadFile(s.path(name + ".damaged")); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s set aside: %q, %v", name, b, err)
		}
	}
}

func TestWhatCannotBeKeptIsRefused(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	for name, c := range map[string]api.SettingsChange{
		"a name":      {Values: map[string]json.RawMessage{"../x": raw("1")}},
		"no JSON":     {Values: map[string]json.RawMessage{"a": raw("{")}},
		"a large one": {Values: map[string]json.RawMessage{"a": raw(`"` + strings.Repeat("x", maxValue) + `"`)}},
		"no key":      {Keys: &[]api.KeyBinding{{Command: "a"}}},
		"no command":  {Keys: &[]api.KeyBinding{{Key: "a", Command: "-"}}},
		"a long one":  {Keys: &[]api.KeyBinding{{Key: "a", Command: "a", When: strings.Repeat("a", maxText+1)}}},
		"many":        {Keys: new(make([]api.KeyBinding, maxRows+1))},
	} {
		_, err := s.Set(c)
		var e *api.Error
		if !errors.As(err, &e) || e.Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, _ := os.ReadDir(s.dir); len(left) > 0 {
		t.Errorf("something was written: %v", left)
	}
}

func TestAFolderThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	s := New(filepath.Join(t.TempDir(), "missing"))
	if _, err := s.Set(api.SettingsChange{Values: map[string]json.RawMessage{"a": raw("1")}}); err == nil {
		t.Error("no error")
	}
}

func TestChangesAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	s := New(t.TempDir())
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		wg.Go(func() {
			if _, err := s.Set(api.SettingsChange{Values: map[string]json.RawMessage{name: raw("1")}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if v := get(t, s); len(v.Values) != 6 {
		t.Errorf("values: %s", v.Values)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`[{"key":"mod+k","command":"a","when":"b"},{"key":1},3,null]`))
	f.Add([]byte(`{"a":1,"b.c":[true],"../":2}`))
	f.Add([]byte("\xef\xbb\xbf[\n{}\n"))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		k := parseKeys(b)
		if k.damaged != (len(k.problems) == 1 && k.rows == nil && k.bad == nil && k.damaged) {
			t.Errorf("damaged, yet with rows: %+v", k)
		}
		if len(k.bad) > len(k.problems) {
			t.Errorf("%d bad rows, %d told", len(k.bad), len(k.problems))
		}
		for _, r := range k.rows {
			if rowProblem(r) != "" {
				t.Errorf("row %+v is used", r)
			}
		}
		v := parseValues(b)
		for name, x := range v.known {
			if checkValue(name, x) != nil {
				t.Errorf("value %s of %q is used", x, name)
			}
		}
	})
}
