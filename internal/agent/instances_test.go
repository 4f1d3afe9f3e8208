//go:build unix

package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catamaran/internal/api"
)

// settled is a registry with two known agents in a folder of programs.
func settled(t *testing.T, dir string) (*Registry, string) {
	t.Helper()
	bin := t.TempDir()
	program(t, bin, "known", `[ "$1" = status ] && { [ "$TOKEN" = right ]; exit; }; echo 1.2.3`)
	presets := []Preset{
		{ID: "known", Name: "Known", Driver: "acp", Program: "known", Args: []string{"acp"}, VersionArgs: []string{"--version"}, StatusArgs: []string{"status"}, Install: "get known"},
		{ID: "other", Name: "Other", Driver: "acp", Program: "not-there", Install: "get other"},
	}
	r, err := NewRegistry(RegistryOptions{
		Drivers: map[string]Driver{"acp": noDriver{}}, Presets: presets, DemoPath: "/demo", Dir: dir,
		Env: func(context.Context, bool) ([]string, string) {
			return []string{"PATH=" + bin + ":/usr/bin:/bin", "SHARED=1", "OTHERS_KEY=x", "HOME=" + bin}, ""
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, bin
}

func agents(t *testing.T, r *Registry) map[string]api.Agent {
	t.Helper()
	list, err := r.List(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]api.Agent{}
	for _, a := range list {
		all[a.ID] = a
	}
	return all
}

// Not beside other tests, see TestOpenCodePrepare.
func TestInstances(t *testing.T) {
	dir := t.TempDir()
	r, bin := settled(t, dir)
	if a := agents(t, r); len(a) != 3 || a["known"].SignedIn != "no" || a["known"].Version != "1.2.3" || a["known"].Base != "known" || a["other"].State != "missing" {
		t.Fatalf("%+v", a)
	}
	save := func(in api.AgentInstance) api.AgentInstance {
		t.Helper()
		out, err := r.SaveInstance(in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	secret := api.AgentVariable{Name: "TOKEN", Value: "right", Secret: true}
	known := save(api.AgentInstance{ID: "known", Base: "known", Args: []string{"-v"}, Env: []api.AgentVariable{secret, {Name: "PLAIN", Value: "p"}}, Without: []string{"OTHERS_KEY"}})
	if known.Env[0].Value != "" || !known.Env[0].Set || known.Env[1].Value != "p" {
		t.Errorf("saved: %+v", known)
	}
	second := save(api.AgentInstance{Base: "known", Name: "Known at work", Env: []api.AgentVariable{{Name: "TOKEN", Value: "wrong", Secret: true}}})
	program(t, bin, "mine", "exit 0")
	own := save(api.AgentInstance{Name: "My own", Path: "~/mine", Args: []string{"--serve"}})
	bad := save(api.AgentInstance{Name: "Lost", Path: "/no/such/program"})
	save(api.AgentInstance{ID: "other", Base: "other", Disabled: true})

	for range 2 { // as it is, and read anew
		a := agents(t, r)
		if len(a) != 5 || a["known"].SignedIn != "yes" || a[second.ID].SignedIn != "no" || a[second.ID].Name != "Known at work" || a[second.ID].Base != "known" ||
			a[own.ID].State != "found" || a[own.ID].Path != filepath.Join(bin, "mine") || a[bad.ID].State != "failed" || !strings.Contains(a[bad.ID].Error.Message, "/no/such/program") {
			t.Errorf("%+v", a)
		}
		_, c, env, err := r.Resolve(t.Context(), "known")
		if err != nil || !slices.Equal(c.Args, []string{"acp", "-v"}) || !slices.Equal(c.Env, []string{"TOKEN=right", "PLAIN=p"}) || slices.Contains(env, "OTHERS_KEY=x") || !slices.Contains(env, "SHARED=1") {
			t.Errorf("%+v, %v, %v", c, env, err)
		}
		if _, c, env, err := r.Resolve(t.Context(), own.ID); err != nil || c.Name != "My own" || !slices.Equal(c.Args, []string{"--serve"}) || !slices.Contains(env, "OTHERS_KEY=x") {
			t.Errorf("%+v, %v", c, err)
		}
		if _, _, _, err := r.Resolve(t.Context(), bad.ID); api.CodeOf(err) != api.CodeAgentNotFound || !strings.Contains(api.AsError(err).Hint, "path") {
			t.Errorf("%v", err)
		}
		list, err := r.Instances()
		if err != nil || len(list) != 5 || list[0].Env[0].Value != "" || !list[0].Env[0].Set {
			t.Errorf("%+v, %v", list, err)
		}
		r2, err := NewRegistry(r.o)
		if err != nil {
			t.Fatal(err)
		}
		r = r2
	}
	for _, name := range []string{instancesFile, secretsFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, instancesFile)); err != nil || strings.Contains(string(b), "right") || strings.Contains(string(b), "wrong") {
		t.Errorf("secrets are in %s, %v", b, err)
	}

	// A secret stays where it is saved without a value, and goes with its variable or its instance.
	known.Name = "Renamed"
	save(known)
	if _, c, _, err := r.Resolve(t.Context(), "known"); err != nil || c.Env[0] != "TOKEN=right" || c.Name != "Renamed" {
		t.Errorf("%+v, %v", c, err)
	}
	known.Env = nil
	save(known)
	if err := r.RemoveInstance(second.ID); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, secretsFile)); err != nil || strings.TrimSpace(string(b)) != "{}" {
		t.Errorf("secrets that nobody wants stay: %s, %v", b, err)
	}
	if err := r.RemoveInstance(second.ID); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("removed twice: %v", err)
	}
}

func TestInstancesThatAreRefused(t *testing.T) {
	t.Parallel()
	r, _ := settled(t, t.TempDir())
	for name, in := range map[string]api.AgentInstance{
		"no path":         {Name: "x"},
		"no name":         {Path: "/x"},
		"unknown base":    {Base: "nothing"},
		"unknown id":      {ID: "known-1", Base: "known"},
		"another base":    {ID: "known", Base: "other"},
		"id with a slash": {ID: "../x", Base: "known"},
		"a bad variable":  {Base: "known", Env: []api.AgentVariable{{Name: "A=B"}}},
		"the app's own":   {Base: "known", Env: []api.AgentVariable{{Name: "CATAMARAN_HOME", Value: "/"}}},
		"twice":           {Base: "known", Env: []api.AgentVariable{{Name: "A"}, {Name: "A"}}},
		"a long value":    {Base: "known", Env: []api.AgentVariable{{Name: "A", Value: strings.Repeat("x", valueMost+1)}}},
		"a null byte":     {Base: "known", Args: []string{"a\x00b"}},
	} {
		if _, err := r.SaveInstance(in); api.AsError(err) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := r.Instances(); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestSettingsThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{instancesFile, secretsFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, _ := settled(t, dir)
	if a := agents(t, r); len(a) != 3 {
		t.Errorf("%+v", a)
	}
	if _, err := r.SaveInstance(api.AgentInstance{Base: "known"}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{instancesFile, secretsFile} {
		if b, err := os.ReadFile(filepath.Join(dir, name+".unreadable")); err != nil || string(b) != "{half" {
			t.Errorf("%s was not set aside: %q, %v", name, b, err)
		}
	}
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"instances":[{"id":"known","base":"known","env":[{"name":"T","secret":true}]}]}`), []byte(`{"known":{"T":"v"}}`))
	f.Add([]byte(`{"instances":[{},{"id":"x"}]}`), []byte(`[]`))
	f.Add([]byte(`null`), []byte(`{"a":null}`))
	f.Fuzz(func(t *testing.T, list, values []byte) {
		dir := t.TempDir()
		_ = os.WriteFile(filepath.Join(dir, instancesFile), list, 0o600) // what cannot be written is not there
		_ = os.WriteFile(filepath.Join(dir, secretsFile), values, 0o600)
		s := instances{dir: dir}
		all, kept, err := s.load()
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range all {
			for _, v := range in.Env {
				if v.Secret && v.Value != "" {
					t.Fatal("a secret is in the list")
				}
			}
			instanceEnv(in, kept)
		}
		if _, err := s.save(api.AgentInstance{Name: "x", Path: "/x", Env: []api.AgentVariable{{Name: "T", Value: "v", Secret: true}}}, nil); err != nil && api.AsError(err) == nil {
			t.Fatal(err)
		}
	})
}
