package forward

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catamaran/internal/api"
	"github.com/google/go-cmp/cmp"
)

func lookup(env map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := env[k]; return v, ok }
}

// W3.6
func TestList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vars := lookup(map[string]string{"OPENAI_API_KEY": "sk-secret-value", "MY_PROXY": "http://p", "EMPTY": "", "OTHER": "o"})
	l := Open(dir, vars)
	if f := l.Get(); !f.Default || len(f.Variables) != len(defaults) || l.Warning() != nil {
		t.Fatalf("%+v", f)
	}
	env, wins := l.Values()
	if d := cmp.Diff(map[string]string{"OPENAI_API_KEY": "sk-secret-value"}, env); d != "" || wins != nil {
		t.Error(d, wins)
	}
	got, err := l.Set(api.ForwardingChange{Variables: []api.ForwardedVariable{{Name: "MY_PROXY", Wins: true}, {Name: "EMPTY"}, {Name: "OPENAI_API_KEY"}, {Name: "UNSET", Wins: true}}})
	want := api.Forwarding{Variables: []api.ForwardedVariable{{Name: "MY_PROXY", Wins: true, Set: true}, {Name: "EMPTY"}, {Name: "OPENAI_API_KEY", Set: true}, {Name: "UNSET", Wins: true}}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	again := Open(dir, vars)
	if d := cmp.Diff(want, again.Get()); d != "" {
		t.Error(d)
	}
	env, wins = again.Values()
	if d := cmp.Diff(map[string]string{"OPENAI_API_KEY": "sk-secret-value", "MY_PROXY": "http://p"}, env); d != "" || !slices.Equal(wins, []string{"MY_PROXY"}) {
		t.Error(d, wins)
	}
	b, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil || strings.Contains(string(b), "sk-secret") || strings.Contains(string(b), "http://p") {
		t.Errorf("%s %v", b, err)
	}
	if got, err := again.Set(api.ForwardingChange{Reset: true}); err != nil || !got.Default || !Open(dir, vars).Get().Default {
		t.Errorf("%+v %v", got, err)
	}
}

func TestRefusedNames(t *testing.T) {
	t.Parallel()
	l := Open(t.TempDir(), lookup(nil))
	before := l.Get()
	for _, names := range [][]string{{""}, {"A=B"}, {"1A"}, {"A B"}, {"PATH"}, {"Path"}, {"WSLENV"}, {"CATAMARAN_HOME"}, {"USERPROFILE"}, {"Ä"}, {"OK", "OK"}, {"A\x00"}, make([]string, 200)} {
		var vs []api.ForwardedVariable
		for _, n := range names {
			vs = append(vs, api.ForwardedVariable{Name: n})
		}
		if _, err := l.Set(api.ForwardingChange{Variables: vs}); api.AsError(err) == nil {
			t.Errorf("%q: %v", names, err)
		}
	}
	if d := cmp.Diff(before, l.Get()); d != "" {
		t.Error(d)
	}
}

func TestDamagedFileIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, File)
	for _, text := range []string{"not json", `{"variables":[{"name":"PATH"}]}`, `{"variables":[{"name":"A"},{"name":"A"}]}`, strings.Repeat(" ", maxFile+10)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := Open(dir, lookup(nil))
		if !l.Get().Default || l.Warning() == nil {
			t.Errorf("%.40q: %+v", text, l.Get())
		}
		if b, _ := os.ReadFile(path); string(b) != text {
			t.Errorf("%.40q was changed", text)
		}
	}
}

func TestValuesAreBounded(t *testing.T) {
	t.Parallel()
	l := Open(t.TempDir(), lookup(map[string]string{"OPENAI_API_KEY": strings.Repeat("x", maxValues), "ANTHROPIC_API_KEY": "a", "GEMINI_API_KEY": "g"}))
	env, _ := l.Values()
	if d := cmp.Diff(map[string]string{"ANTHROPIC_API_KEY": "a"}, env); d != "" {
		t.Error(d)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"variables":[{"name":"A","wins":true}]}`))
	f.Add([]byte(`{"variables":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parse(b)
		if err != nil {
			return
		}
		for _, e := range entries {
			if Check(e.Name) != nil {
				t.Errorf("%q", e.Name)
			}
		}
	})
}
