package wsltest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/wsl-simulator.md")

// behaviours are what a simulator of wsl.exe must do, by number.
var behaviours = []string{
	1: "a real process, native and as a Windows program", "parses a raw command line", "32-bit exit codes",
	"one scenario directory, unknown keys refused", "what is not simulated is refused with 250", "one store for simulator and registry",
	"tokens cut at blanks, quotes only for --cd", "the options the app needs; --install and --update as transcripts", "profile inbox-10", "profile stub-absent",
	"text and errors on stdout, warnings on stderr", "UTF-16LE, or UTF-8 with WSL_UTF8=1", "--list --verbose to the byte", "--list --quiet to the byte",
	"ten languages; translated state words", "success texts", "error texts with their code path", "--running with its flags",
	"the Linux environment, nothing leaking", "--exec, shell forms, login shells", "working directory and its warnings", "own session, terminal of 80x24",
	"wslhost, perhaps holding stdout", "outer and inner wsl.exe", "stdin copied eagerly", "output in pieces of 4096 bytes",
	"blocks when nobody reads", "all output before the exit", "the end of the main program ends the pipes", "a killed wsl.exe is SIGHUP; not in WSL 1",
	"no signal is passed on", "exit codes as in the vectors", "stopped, starting, running; delays", "idle stop; the virtual machine's end",
	"--terminate, --shutdown, background update", "the file side of \\\\\\\\wsl.localhost", "wslpath on the scenario's mounts", "wslpath's failures",
	"wslinfo", "faults by scenario, command and call", "every behaviour names its fact", "a report of profiles and knobs", "what to check first on Windows",
}

var behaviour = regexp.MustCompile(`\bB([0-9]{1,2})\b(?: to B([0-9]{1,2})\b)?`)

// named collects which files name which behaviour.
func named(t *testing.T, patterns ...string) map[int][]string {
	t.Helper()
	out := map[int][]string{}
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") != strings.HasSuffix(pattern, "_test.go") {
				continue
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range behaviour.FindAllSubmatch(b, -1) {
				from, _ := strconv.Atoi(string(m[1]))
				to := from
				if len(m[2]) > 0 {
					to, _ = strconv.Atoi(string(m[2]))
				}
				for n := from; n <= to; n++ {
					if name := filepath.Base(file); !slices.Contains(out[n], name) {
						out[n] = append(out[n], name)
					}
				}
			}
		}
	}
	return out
}

// Behaviour without a name is a bug of the simulator, and so is a name without a
// test (B41). docs/wsl-simulator.md shows where each one is.
func TestEveryBehaviourIsNamed(t *testing.T) {
	t.Parallel()
	code := named(t, "../wslsim/*.go")
	tests := named(t, "../wslsim/*_test.go", "*_test.go", "../*_test.go", "conformance.go")
	var b strings.Builder
	b.WriteString("| | behaviour | code | tests |\n| --- | --- | --- | --- |\n")
	for n := 1; n < len(behaviours); n++ {
		if len(code[n]) == 0 || len(tests[n]) == 0 {
			t.Errorf("B%d (%s): code %v, tests %v", n, behaviours[n], code[n], tests[n])
		}
		slices.Sort(code[n])
		slices.Sort(tests[n])
		fmt.Fprintf(&b, "| B%d | %s | %s | %s |\n", n, behaviours[n], strings.Join(code[n], ", "), strings.Join(tests[n], ", "))
	}
	if len(behaviours) != 44 {
		t.Errorf("%d behaviours", len(behaviours)-1)
	}
	const doc, begin, end = "../../../docs/wsl-simulator.md", "<!-- behaviours: begin -->\n", "<!-- behaviours: end -->"
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/wsl-simulator.md has no table")
	}
	if *update {
		if err := os.WriteFile(doc, []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != b.String() {
		t.Error("docs/wsl-simulator.md is stale: go test ./internal/wsl/wsltest -run EveryBehaviour -update")
	}
}
