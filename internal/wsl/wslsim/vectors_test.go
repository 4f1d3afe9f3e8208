package wslsim

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// vectors reads one file of shared vectors; at least n lines must be there.
func vectors[T any](t *testing.T, name string, n int) []T {
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

func TestCommandLine(t *testing.T) { // B2, B7
	t.Parallel()
	type vector struct {
		ID, Raw, Via string
		LinuxArgv    []string `json:"linux_argv"`
		ExpectCode   string   `json:"expect_code"`
	}
	for _, v := range vectors[vector](t, "command-line", 23) {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			c, err := parse(v.Raw)
			if v.LinuxArgv != nil && v.Via == "" {
				if err != nil || c.form != formExec || !slices.Equal(c.argv, v.LinuxArgv) {
					t.Fatalf("got %q, %v; want %q", c.argv, err, v.LinuxArgv)
				}
			}
			if v.Via != "" && (err != nil || c.form != formShell) {
				t.Fatalf("not through the shell: %+v, %v", c, err)
			}
			if v.ExpectCode != "" && v.ID != "Q29" { // Q29 is decided with the directory
				var ce *codeError
				if !errors.As(err, &ce) || ce.code != v.ExpectCode {
					t.Fatalf("got %v, want %s", err, v.ExpectCode)
				}
			}
		})
	}
}

func TestRawLineRoundTrip(t *testing.T) {
	t.Parallel()
	for _, argv := range [][]string{
		{"sh", "-c", `echo "a b" \ 'c'`}, {"x", `C:\my dir\`}, {"x", ""}, {"x", `\\"`}, {"x", "a\nb", "\t"}, {"x", `a\\\"b`}, {"a b", "c"},
	} {
		c, err := parse(rawLine(append([]string{`C:\Program Files\wsl.exe`, "-d", "U", "--exec"}, argv...)))
		if err != nil || !slices.Equal(c.argv, argv) {
			t.Errorf("%q came back as %q, %v", argv, c.argv, err)
		}
	}
}

func FuzzRawLine(f *testing.F) {
	f.Add("sh", `a "b" \`, `\\"`)
	f.Add("x", "", " \t\n")
	f.Fuzz(func(t *testing.T, prog, a, b string) {
		// The first word has no escapes: a quote in it cannot be passed.
		if strings.ContainsAny(prog+a+b, "\x00") || strings.Contains(prog, `"`) || prog == "" {
			return
		}
		if strings.HasSuffix(prog, `\`) && strings.ContainsAny(prog, " \t") {
			return
		}
		argv := []string{prog, a, b}
		c, err := parse(rawLine(append([]string{"wsl.exe", "--exec"}, argv...)))
		if err != nil || !slices.Equal(c.argv, argv) {
			t.Fatalf("%q came back as %q, %v", argv, c.argv, err)
		}
	})
}

func TestRefusals(t *testing.T) { // B5, B17
	t.Parallel()
	for _, line := range []string{"--install", "--update", "--list --online", "--mount x", "-d Ubuntu --list", "--export a b", "--status x", "--shell-type odd -- x"} {
		m := &machine{Scenario: Two()}
		c, err := parse("wsl.exe " + line)
		if err == nil && (c.verb == "install" || c.verb == "update") {
			if m.transcript(c.option) == exitRefused {
				continue
			}
		}
		if err == nil && c.verb == "list" {
			_, _, _, _, err = listFlags(c.tail)
		}
		var r refusal
		if !errors.As(err, &r) {
			t.Errorf("%s: %v %v; want a refusal", line, err, m.Default)
		}
	}
	for line, want := range map[string]string{
		"--nope":                    "Invalid command line argument: --nope\r\nPlease use 'wsl.exe --help' to get a list of supported arguments.\r\n", // E29
		"-d":                        "Argument --distribution is missing a required parameter.\r\n",
		"-d A -d B -- x":            "The distribution name has already been set.\r\n",
		"--distribution-id  ":       "Argument --distribution-id is missing a required parameter.\r\n",
		"-d A --nope --exec whoami": "Invalid command line argument: --nope\r\nPlease use 'wsl.exe --help' to get a list of supported arguments.\r\n",
	} {
		_, err := parse("wsl.exe " + line)
		var u usageError
		if !errors.As(err, &u) || string(u) != want {
			t.Errorf("%s: got %q", line, err)
		}
	}
}

func TestListVerboseText(t *testing.T) { // B13
	t.Parallel()
	type vector struct {
		ID, Text string
		Rows     [][4]any
		Len      int    `json:"utf16le_len"`
		Sum      string `json:"utf16le_sha256"`
	}
	for _, v := range vectors[vector](t, "simulator-list-verbose-text", 5) {
		var rows []row
		for _, r := range v.Rows {
			rows = append(rows, row{r[0].(float64) == 1, r[1].(string), r[2].(string), r[3].(string)})
		}
		got := listVerbose(rows)
		if got != v.Text {
			t.Errorf("%s: got %q", v.ID, got)
		}
		b := encode(got, false)
		if sum := sha256.Sum256(b); len(b) != v.Len || hex.EncodeToString(sum[:]) != v.Sum {
			t.Errorf("%s: other bytes", v.ID)
		}
	}
}

// run answers a verb that needs no distro running, in UTF-8.
func run(t *testing.T, s Scenario, args string) (string, uint32) {
	t.Helper()
	var out bytes.Buffer
	m := &machine{Scenario: s, dir: t.TempDir(), profile: profiles[s.profileName()], out: own{&out, true}}
	c, err := parse(args)
	if err == nil {
		err = m.known(c)
	}
	if err != nil {
		code := m.fail(err)
		return out.String(), code
	}
	code := m.run(c)
	return out.String(), code
}

func TestWords(t *testing.T) { // B15, B17
	t.Parallel()
	type vector struct {
		ID, Locale, Cmd, Text string
		B64                   string `json:"stdout_b64_utf16le"`
		Exit                  uint32
	}
	all := append(vectors[vector](t, "list-localised", 5), vectors[vector](t, "status", 2)...)
	all = append(append(all, vectors[vector](t, "version", 7)...), vectors[vector](t, "no-distributions", 3)...)
	for _, v := range all {
		s := Two()
		if v.ID == "V09" {
			s.Profile = "inbox-10"
		}
		s.Locale = v.Locale
		want := v.Text
		if v.B64 != "" {
			s.Distros = nil
			b, err := base64.StdEncoding.DecodeString(v.B64)
			if err != nil {
				t.Fatal(err)
			}
			got, code := run(t, s, v.Cmd)
			if !bytes.Equal(encode(got, false), b) || code != v.Exit {
				t.Errorf("%s: got %q, %d", v.ID, got, code)
			}
			continue
		}
		if got, code := run(t, s, v.Cmd); got != want || code != v.Exit {
			t.Errorf("%s: got %q, %d; want %q", v.ID, got, code, want)
		}
	}
	for locale, w := range locales {
		if w.label == "" {
			t.Errorf("%s: no label", locale)
		}
	}
}

func TestWSLENV(t *testing.T) { // B19
	t.Parallel()
	type vector struct {
		ID      string
		Windows map[string]string  `json:"windows_env"`
		Linux   map[string]*string `json:"linux_env"`
		Stderr  string             `json:"stderr_contains"`
	}
	for _, v := range vectors[vector](t, "wslenv", 17) {
		s := Two()
		s.Drives = []string{"C"}
		env, bad := s.linuxEnv("/sc", s.Distros[0], "dev", func(k string) (string, bool) { x, ok := v.Windows[k]; return x, ok })
		for name, want := range v.Linux {
			i := slices.IndexFunc(env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
			switch {
			case want == nil && i >= 0:
				t.Errorf("%s: %s crossed", v.ID, env[i])
			case want != nil && (i < 0 || env[i] != name+"="+*want):
				t.Errorf("%s: %s is not %q in %q", v.ID, name, *want, env)
			}
		}
		if v.Stderr != "" && (len(bad) == 0 || !strings.Contains(v.Stderr, "'"+bad[0]+"'")) {
			t.Errorf("%s: untranslatable: %q", v.ID, bad)
		}
	}
}

func TestWslpath(t *testing.T) { // B37, B38
	t.Parallel()
	type vector struct {
		ID, Distro, Cwd, Profile string
		Args                     []string
		Exit                     int
		Stdout, Stderr           *string
		StderrPrefix             string            `json:"stderr_prefix"`
		StdoutPrefix             string            `json:"stdout_prefix"`
		Conf                     map[string]string `json:"wsl_conf"`
	}
	for _, v := range vectors[vector](t, "wslpath", 47) {
		s := Two()
		s.Profile = "store-2.9"
		if v.Profile != "" {
			s.Profile = "store-2.7"
		}
		d := Distro{Name: v.Distro, AutomountRoot: v.Conf["automount.root"]}
		var out, errs bytes.Buffer
		code := wslpath(s.mounts(d), "", v.Args, v.Cwd, &out, &errs)
		switch {
		case code != v.Exit, v.Stdout != nil && out.String() != *v.Stdout, v.Stderr != nil && errs.String() != *v.Stderr,
			!strings.HasPrefix(errs.String(), v.StderrPrefix), !strings.HasPrefix(out.String(), v.StdoutPrefix):
			t.Errorf("%s %q: exit %d, stdout %q, stderr %q", v.ID, v.Args, code, out.String(), errs.String())
		}
	}
}

func TestScenarioIsStrict(t *testing.T) { // B4
	t.Parallel()
	dir := t.TempDir()
	if err := Create(dir, Two()); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`{"distros":[],"nope":1}`, `{"distros":[{"name":"A","colour":1}]}`, `{"distros":[]} x`, `{"distros":[],"profile":"inbox-1"}`,
		`{"distros":[{"name":"a/b"}]}`, `{"distros":[{"name":"A"},{"name":"a"}]}`, `{"distros":[],"faults":[{"id":"x","on":"list","kind":"explode"}]}`} {
		if err := os.WriteFile(dir+"/scenario.json", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil {
			t.Errorf("accepted %s", text)
		}
	}
}
