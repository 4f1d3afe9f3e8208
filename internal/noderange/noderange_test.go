package noderange

import (
	"strings"
	"testing"
)

// W9.2
func TestContains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ r, yes, no string }{
		{"", "0.0.1 22.0.0 9.9.9-beta", ""},
		{"*", "0.0.1 22.0.0", ""},
		{"x", "1.2.3", ""},
		{">=22", "22.0.0 22.0.0-nightly 24.1.0", "21.9.9 18.20.4"},
		{">= 20.19.0", "20.19.0 v22.1.0 20.19.1", "20.18.9 20.19.0-rc.1"},
		{">=22.0.0", "22.0.0", "22.0.0-nightly20240401"},
		{">22", "23.0.0", "22.99.9 22.0.0"},
		{">22.3", "22.4.0", "22.3.9"},
		{">22.3.1", "22.3.2", "22.3.1"},
		{"<=22", "22.9.9 1.0.0", "23.0.0 23.0.0-rc.1"},
		{"<=22.3", "22.3.9", "22.4.0"},
		{"<=22.3.1", "22.3.1", "22.3.2"},
		{"<22", "21.9.9", "22.0.0 22.0.0-rc.1"},
		{"<22.3.1", "22.3.0 22.3.1-rc.1", "22.3.1"},
		{"=20.1.2", "20.1.2", "20.1.3"},
		{"v20.1.2", "20.1.2", "20.1.3"},
		{"=v20", "20.0.0 20.9.1", "19.9.9 21.0.0"},
		{"^20", "20.0.0 20.99.0", "21.0.0 19.0.0"},
		{"^20.19.0 || ^22.13.0 || >=24", "20.19.0 20.20.1 22.13.0 24.0.0 25.1.0", "20.18.0 21.0.0 22.12.9 23.4.0"},
		{"^20.19", "20.19.0 20.30.0", "20.18.9 21.0.0"},
		{"^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0 2.0.0-rc"},
		{"^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"},
		{"^0.2", "0.2.0 0.2.9", "0.3.0"},
		{"^0.0.3", "0.0.3", "0.0.4 0.0.2"},
		{"^0.0", "0.0.0 0.0.9", "0.1.0"},
		{"^0", "0.0.0 0.9.9", "1.0.0"},
		{"^1.x", "1.0.0 1.9.9", "2.0.0"},
		{"^*", "1.2.3", ""},
		{"~20.1.2", "20.1.2 20.1.9", "20.2.0 20.1.1"},
		{"~20.1", "20.1.0 20.1.9", "20.2.0"},
		{"~20", "20.0.0 20.9.0", "21.0.0"},
		{"~>20.1", "20.1.5", "20.2.0"},
		{"20.x", "20.0.0 20.9.9", "21.0.0"},
		{"20.*.3", "20.0.0 20.9.9", "21.0.0"},
		{"20", "20.5.1", "21.0.0 19.9.9"},
		{">=18 <21", "18.0.0 20.9.9", "17.9.9 21.0.0"},
		{">=18 <21 || >=22.1", "20.0.0 22.1.0", "21.5.0 22.0.9"},
		{">=18, <21", "19.0.0", "21.0.0"},
		{"18 - 20", "18.0.0 20.9.9", "17.9.9 21.0.0"},
		{"18.2.0 - 20.1.3", "18.2.0 20.1.3", "18.1.9 20.1.4"},
		{">=1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.11 1.2.3-rc.1 1.2.3", "1.2.3-beta.1 1.2.3-alpha 1.2.3-1"},
		{"1.2.3+build.5", "1.2.3 1.2.3+other", "1.2.4"},
		{"<*", "", "0.0.1 1.0.0"},
		{"||", "1.0.0", ""},
	} {
		r, err := Parse(c.r)
		if err != nil {
			t.Errorf("%q: %v", c.r, err)
			continue
		}
		for want, versions := range map[bool]string{true: c.yes, false: c.no} {
			for _, s := range strings.Fields(versions) {
				v, err := ParseVersion(s)
				if err != nil {
					t.Errorf("%s: %v", s, err)
				} else if r.Contains(v) != want {
					t.Errorf("%q contains %s = %v", c.r, s, !want)
				}
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"latest", ">=", ">= <2", "1.2.3.4", "1.a", "^^1", "1 - ", "-1", ">=1.2.3-", "1.2.3-a..b", "lts/*", "99999999999999999999", strings.Repeat("1 ", 1000), ">=1.2.3-ü"} {
		if r, err := Parse(s); err == nil {
			t.Errorf("%q was read as %v", s, r.sets)
		}
	}
	for _, s := range []string{"", "1", "1.2", "x.1.2", "node", "1.2.x"} {
		if v, err := ParseVersion(s); err == nil {
			t.Errorf("%q was read as %v", s, v)
		}
	}
}

func TestBelow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r, v string
		want bool
	}{
		{">=22", "20.1.0", true}, {">=22", "22.0.0", false}, {"^20.19 || >=22", "18.0.0", true}, {"^20.19 || >=22", "21.0.0", false},
		{"<20", "22.0.0", false}, {"18.x", "22.0.0", false}, {">22.1.0", "22.1.0", true}, {"*", "1.0.0", false},
	} {
		r, err := Parse(c.r)
		if err != nil {
			t.Fatal(err)
		}
		v, err := ParseVersion(c.v)
		if err != nil {
			t.Fatal(err)
		}
		if r.Below(v) != c.want {
			t.Errorf("%q below of %s = %v", c.r, c.v, !c.want)
		}
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	// The order of semver.org, item 11.
	order := strings.Fields("1.0.0-0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.1.0 2.0.0")
	for i := range order {
		for j := range order {
			a, _ := ParseVersion(order[i])
			b, _ := ParseVersion(order[j])
			if got := a.Compare(b); got != sign(i-j) {
				t.Errorf("compare %s %s = %d", order[i], order[j], got)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{">=22", "^20.19.0 || ~22.1 || 24.x", "18 - 20", ">=1.2.3-beta.2 <2", "*", "=v1", "1.2.3+b"} {
		f.Add(s, "22.1.0")
	}
	f.Add("<1", "1.0.0-0")
	f.Fuzz(func(t *testing.T, s, version string) {
		r, err := Parse(s)
		v, verr := ParseVersion(version)
		if err != nil || verr != nil {
			return
		}
		if r.Contains(v) && r.Below(v) {
			t.Errorf("%s is in %q and below it", v, s)
		}
		again, err := ParseVersion(v.String())
		if err != nil || again.Compare(v) != 0 {
			t.Errorf("%s reads as %v, %v", v, again, err)
		}
		exact, err := Parse("=" + v.String())
		if err != nil || !exact.Contains(v) {
			t.Errorf("=%s does not contain it: %v", v, err)
		}
	})
}
