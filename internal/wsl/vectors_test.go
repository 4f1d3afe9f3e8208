package wsl

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"catamaran/internal/api"
)

func vectors[T any](t testing.TB, name string, n int) []T {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []T
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var v T
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, v)
	}
	if len(out) < n {
		t.Fatalf("%s: %d vectors, want %d", name, len(out), n)
	}
	return out
}

func utf16le(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

type listVector struct {
	ID     string
	Stdin  string `json:"stdin_b64"`
	Expect []row
}

func (v listVector) bytes(t testing.TB) []byte {
	b, err := base64.StdEncoding.DecodeString(v.Stdin)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseListVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[listVector](t, "list-verbose-parse", 12) {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			rows, warnings := parseList(v.bytes(t))
			if !slices.Equal(rows, v.Expect) || len(warnings) != 0 {
				t.Fatalf("got %+v, %q; want %+v", rows, warnings, v.Expect)
			}
		})
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	const head = "  NAME            STATE           VERSION\r\n"
	ubuntu := row{"Ubuntu", true, "Running", 2}
	for name, c := range map[string]struct {
		in       []byte
		want     []row
		warnings int
	}{
		"CR CR LF":                 {[]byte("  NAME      STATE           VERSION\r\r\n* Ubuntu    Running         2\r\r\n"), []row{ubuntu}, 0},
		"name with blanks":         {[]byte("  NAME         STATE           VERSION\r\n* my distro    Running         2\r\n"), []row{{"my distro", true, "Running", 2}}, 0},
		"non-ASCII name":           {utf16le("  NAME      STATE           VERSION\r\n* Übüntü    Running         2\r\n"), []row{{"Übüntü", true, "Running", 2}}, 0},
		"name beyond the BMP":      {utf16le("  NAME    STATE           VERSION\r\n* a🐧b    Running         2\r\n"), []row{{"a🐧b", true, "Running", 2}}, 0},
		"unknown version kept":     {[]byte("  NAME      STATE           VERSION\r\n* Ubuntu    Running         3\r\n"), []row{{"Ubuntu", true, "Running", 3}}, 1},
		"version is no number":     {[]byte("  NAME      STATE           VERSION\r\n* Ubuntu    Running         x\r\n"), []row{{"Ubuntu", true, "Running", 0}}, 1},
		"partial last row dropped": {[]byte("  NAME      STATE           VERSION\r\n* Ubuntu    Running         2\r\n  Debian    Stopped         2"), []row{ubuntu}, 0},
		"half a unit at the end":   {utf16le("  NAME      STATE           VERSION\r\n* Ubuntu    Running         2\r\n  Deb")[:137], []row{ubuntu}, 0},
		"cut inside the line end":  {utf16le("  NAME      STATE           VERSION\r\n* Ubuntu    Running         2\r\n")[:135], []row{ubuntu}, 0},
		"other column widths":      {[]byte(head + "* Ubuntu  Running   2\r\n"), []row{ubuntu}, 0},
		"warning above the table":  {[]byte("wsl: something is odd\r\n" + head + "* Ubuntu          Running         2\r\n"), []row{ubuntu}, 0},
		"no table":                 {[]byte("Windows Subsystem for Linux has no installed distributions.\r\n\r\nUse 'wsl.exe --list --online'\r\n"), nil, 0},
		"empty":                    {nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, warnings := parseList(c.in)
			if !slices.Equal(rows, c.want) || len(warnings) != c.warnings {
				t.Fatalf("got %+v, %q; want %+v", rows, warnings, c.want)
			}
		})
	}
}

func FuzzParseList(f *testing.F) {
	for _, v := range vectors[listVector](f, "list-verbose-parse", 12) {
		f.Add(v.bytes(f))
	}
	f.Add([]byte("  A  B\n*  x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, _ := parseList(b)
		for _, r := range rows {
			if r.Name == "" || strings.HasPrefix(r.Name, " ") || strings.HasSuffix(r.Name, " ") || r.Version < 0 {
				t.Fatalf("%q gave the row %+v", b, r)
			}
		}
	})
}

type errorVector struct {
	ID, Text string
	Exit     uint32
	Code     string `json:"expect_code"`
	Class    class  `json:"expect_class"`
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, v := range vectors[errorVector](t, "error-classification", 22) {
		for encoding, out := range map[string][]byte{
			"UTF-8": []byte(v.Text), "UTF-16": utf16le(v.Text),
			"after Linux noise": append([]byte("<3>WSL (9) noise\n"), utf16le(v.Text)...),
		} {
			t.Run(v.ID+"/"+encoding, func(t *testing.T) {
				t.Parallel()
				if c, code := classify(out, v.Exit); c != v.Class || code != v.Code {
					t.Fatalf("got %s %q, want %s %q", c, code, v.Class, v.Code)
				}
			})
		}
	}
	for _, c := range []struct {
		code string
		want class
	}{
		{"Wsl/Service/CreateInstance/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED", classVirtualization},
		{"Wsl/Service/CreateInstance/CreateVm/0x80370102", classVirtualization},
		{"Wsl/Service/CreateInstance/CreateVm/ParseConfig/E_INVALIDARG", classConfig},
		{"Wsl/0x8007041d", classService},
		{"Wsl/CallMsi/Install/0x80080005", classInstall},
		{"Wsl/Service/CreateInstance/CreateVm/0x8007023f", classSession},
		{"Wsl/Service/CreateInstance/WSL_E_DISK_CORRUPTED", classDiskDamaged},
		{"Wsl/Service/0xdeadbeef", classUnknown},
	} {
		if got, code := classify([]byte("words\r\nlabel: "+c.code+"\r\n"), exitOwn); got != c.want || code != c.code {
			t.Errorf("%s: %s %q", c.code, got, code)
		}
	}
}

func TestEveryAnswerHelps(t *testing.T) {
	t.Parallel()
	seen := map[string]class{}
	for c, a := range answers {
		if a.code == "" || a.message == "" || a.hint == "" {
			t.Errorf("%s: %+v", c, a)
		}
		if other, taken := seen[a.message]; taken {
			t.Errorf("%s and %s say the same", c, other)
		}
		seen[a.message] = c
	}
}

func FuzzExtract(f *testing.F) {
	for _, v := range vectors[errorVector](f, "error-classification", 22) {
		f.Add([]byte(v.Text), v.Exit)
		f.Add(utf16le(v.Text), v.Exit)
	}
	f.Fuzz(func(t *testing.T, b []byte, exit uint32) {
		c, code := classify(b, exit)
		if c != classLinuxExit && answers[c].code == "" {
			t.Fatalf("%q, %d: class %q has no answer", b, exit, c)
		}
		if exit < 256 && code != "" {
			t.Fatalf("%q: a Linux exit %d gave the code %q", b, exit, code)
		}
	})
}

// The text for "no distro" has neither a row nor a code: discovery must ask further.
func TestNoDistributionVectors(t *testing.T) {
	t.Parallel()
	type vector struct {
		ID   string
		B64  string `json:"stdout_b64_utf16le"`
		Exit uint32
	}
	for _, v := range vectors[vector](t, "no-distributions", 3) {
		b := listVector{Stdin: v.B64}.bytes(t)
		rows, _ := parseList(b)
		if c, code := classify(b, v.Exit); len(rows) != 0 || code != "" || c != classUsage {
			t.Errorf("%s: %+v, %s %q", v.ID, rows, c, code)
		}
	}
}

func TestVersionVectors(t *testing.T) {
	t.Parallel()
	type vector struct {
		ID, Text string
		Expect   struct{ WSL string }
	}
	for _, v := range vectors[vector](t, "version", 7) {
		for _, b := range [][]byte{[]byte(v.Text), utf16le(v.Text)} {
			if got := parseVersion(b); got != v.Expect.WSL {
				t.Errorf("%s: got %q", v.ID, got)
			}
		}
	}
}

func TestRegistryVectors(t *testing.T) {
	t.Parallel()
	type vector struct {
		ID       string
		Registry struct {
			DistributionName, Subkey string
			State, Flags             uint32
		}
		Expect struct {
			Name string
			WSL  int
			Show bool
		}
	}
	const guid = "{00000000-0000-0000-0000-0000000000aa}"
	for _, v := range vectors[vector](t, "registry", 7) {
		key := guid
		if v.Registry.Subkey != "" {
			key = v.Registry.Subkey
		}
		ds := fromRegistry(guid, []RegistryEntry{{key, v.Registry.DistributionName, v.Registry.State, v.Registry.Flags}})
		// Shown for choosing: a distro that is busy is listed with its state but cannot be chosen (W1.4).
		if show := len(ds) == 1 && ds[0].Selectable; show != v.Expect.Show {
			t.Errorf("%s: got %+v", v.ID, ds)
		}
		if v.Expect.Name != "" && (ds[0].Name != v.Expect.Name || ds[0].Version != v.Expect.WSL || !ds[0].Default) {
			t.Errorf("%s: got %+v", v.ID, ds[0])
		}
	}
}

func TestDecodeKeepsText(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"UTF-8": []byte("aé\r\n"), "UTF-16": utf16le("aé\r\n"), "UTF-16 BOM": append([]byte{0xff, 0xfe}, utf16le("aé\r\n")...),
		"UTF-8 BOM": []byte("\ufeffaé\r\n"), "half a unit": append(utf16le("aé\r\n"), 'x'), "half a rune": append([]byte("aé\r\n"), 0xe3, 0x83),
	} {
		if got := decode(b); got != "aé\r\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := details([]byte("a\x1b[31mb\r\n\x07c")); got != "a[31mb\nc" {
		t.Errorf("details: %q", got)
	}
}

func TestLaunchArgs(t *testing.T) {
	t.Parallel()
	const guid = "{00000000-0000-0000-0000-0000000000aa}"
	for name, c := range map[string]struct {
		d    api.Distro
		argv []string
		want []string
		code api.Code
	}{
		"plain":           {api.Distro{Name: "Ubuntu-22.04", ID: guid}, []string{"sh", "-c", "x y"}, []string{"-d", "Ubuntu-22.04", "--cd", "~", "--exec", "sh", "-c", "x y"}, ""},
		"blank, by id":    {api.Distro{Name: "a b", ID: guid}, []string{"sh"}, []string{"--distribution-id", guid, "--cd", "~", "--exec", "sh"}, ""},
		"blank, no id":    {api.Distro{Name: "a b"}, []string{"sh"}, nil, api.CodeDistroInvalid},
		"empty name":      {api.Distro{}, []string{"sh"}, nil, api.CodeDistroInvalid},
		"injected id":     {api.Distro{Name: "a b", ID: guid + " --user root"}, []string{"sh"}, nil, api.CodeDistroInvalid},
		"injected option": {api.Distro{Name: "a --user root"}, []string{"sh"}, nil, api.CodeDistroInvalid},
		"no program":      {api.Distro{Name: "Ubuntu"}, nil, nil, api.CodeInvalid},
		"zero byte":       {api.Distro{Name: "Ubuntu"}, []string{"a\x00b"}, nil, api.CodeInvalid},
		"too long":        {api.Distro{Name: "Ubuntu"}, []string{strings.Repeat("x", 20000)}, nil, api.CodeTooLarge},
	} {
		got, err := launchArgs(c.d, c.argv)
		if !reflect.DeepEqual(got, c.want) || api.CodeOf(err) != c.code {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	got := environ([]string{"A=b", "WSL_UTF8=0", "CATAMARAN_HOME=/x", "WSLENV=A/u: B /p::", "CATAMARAN_TOKEN=s"})
	if want := []string{"A=b", "WSLENV=A/u: B /p::", "WSL_UTF8=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
