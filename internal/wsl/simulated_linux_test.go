package wsl

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

// Every text of the error vectors, printed by a process instead of a launch, and
// what the product makes of it: the two sides of one vector meet.
func TestErrorVectorsThroughTheSimulator(t *testing.T) {
	t.Parallel()
	vs := vectors[errorVector](t, "error-classification", 22)
	s := wslsim.Scenario{Default: "E00", Distros: []wslsim.Distro{{Name: "E00"}}}
	for _, v := range vs {
		s.Distros = append(s.Distros, wslsim.Distro{Name: v.ID})
		s.Faults = append(s.Faults, wslsim.Fault{ID: v.ID, On: wslsim.OnLaunch, Distro: v.ID, Kind: wslsim.Output, Text: v.Text, Exit: v.Exit})
	}
	m := wsltest.Scenario(t, s)
	c := New(Options{Exe: m.Exe})
	for _, v := range vs {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			p, err := c.Launch(api.Distro{Name: v.ID}, []string{"true"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Stdout().Close()
			out, err := io.ReadAll(p.Stdout())
			if err != nil || string(out) != v.Text {
				t.Fatalf("%q, %v", out, err)
			}
			got, wanted := c.ExitError(p, out), answers[v.Class].code
			if v.Exit < 256 { // a Linux exit, whatever was printed; the stub is found by Resolve
				wanted = api.CodeBackendExited
			}
			if got.Code != wanted || v.Code != "" && v.Exit >= 256 && !strings.Contains(got.Message, v.Code) {
				t.Errorf("got %+v, want %s", got, wanted)
			}
		})
	}
}

// The tables of the simulator's vectors are read back by the product.
func TestReadsTheSimulatorsTables(t *testing.T) {
	t.Parallel()
	s := wslsim.Scenario{Default: "Ubuntu"}
	for _, name := range []string{"Ubuntu", "my distro", "日本語 ディストロ", "x", strings.Repeat("long-", 20)} {
		s.Distros = append(s.Distros, wslsim.Distro{Name: name})
	}
	for _, profile := range []string{"store-2.7", "store-2.9", "store-0.6x", "inbox-10"} {
		s.Profile = profile
		m := wsltest.Scenario(t, s)
		w := New(Options{Exe: m.Exe, ListTimeout: time.Minute}).Discover(t.Context())
		if w.Error != nil || len(w.Distros) != len(s.Distros) {
			t.Fatalf("%s: %+v", profile, w)
		}
		for i, d := range w.Distros {
			if d.Name != s.Distros[i].Name || d.State != "Stopped" || d.Version != 2 || d.Default != (i == 0) {
				t.Errorf("%s: %s", profile, fmt.Sprintf("%+v", d))
			}
		}
	}
}
