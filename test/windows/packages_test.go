//go:build linux && wine

package windows

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/test/windows/wine"
)

// packages have Windows parts, or lean on files, locks, processes and paths as
// Windows has them. Their unit tests run as Windows programs. Not here: packages
// whose tests are about sh, bash or Git, which this Windows does not have.
var packages = []string{
	"atomicfile", "auth", "environment", "forward", "gateway", "hostpath", "link", "logfile", "loginenv", "openin", "proc", "settings", "shell", "store", "update", "wsl",
}

// beyond are tests of packages that meet a limit of Wine.
var beyond = map[string]map[string]string{
	"link": {"TestOverSingleBytes": "single-bytes"},
}

// elsewhere are tests that show nothing more here than on Linux, where they run
// too: relays played in the test's own process, at the price of Wine's pipes.
var elsewhere = map[string][]string{
	"link": {"TestOverSmallPieces", "TestOverUnevenPieces", "TestOverNoisyPipe"},
}

// packageTime bounds the tests of one package.
const packageTime = 4 * time.Minute

var resultLine = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+)`)

// TestPackages runs the unit tests of the packages with Windows parts, each in a Windows of its own.
func TestPackages(t *testing.T) {
	for _, pkg := range packages {
		t.Run(pkg, func(t *testing.T) {
			t.Parallel()
			s := wine.Start(t)
			dir := filepath.Join(s.Dir, "src")
			exe := filepath.Join(dir, "unit.exe")
			build := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-o", exe, "./internal/"+pkg)
			build.Dir = filepath.Join("..", "..")
			build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
			if b, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build: %v\n%s", err, b)
			}
			testdata := filepath.Join(build.Dir, "internal", pkg, "testdata")
			if _, err := os.Stat(testdata); err == nil {
				s.Give(testdata, filepath.Join(dir, "testdata"))
			}
			if err := ownTree(dir); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), packageTime)
			defer cancel()
			skip := slices.Clone(elsewhere[pkg])
			for name, id := range beyond[pkg] {
				t.Run(name, func(t *testing.T) { limit(t, id) })
				skip = append(skip, name)
			}
			args := []string{"-test.v", "-test.timeout=3m", "-test.skip=^(" + strings.Join(append(skip, "-"), "|") + ")$"}
			cmd := s.CommandIn(ctx, dir, []string{"CI=" + os.Getenv("CI")}, s.Win(exe), args...)
			out, err := cmd.CombinedOutput()
			results(t, string(out), err)
		})
	}
}

// results makes each test that a test program ran one of ours, so that it is counted.
func results(t *testing.T, out string, err error) {
	t.Helper()
	ran := 0
	speaks, saidBy := "", map[string][]string{} // by the test itself or one within
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		if f := strings.Fields(line); len(f) == 3 && f[0] == "===" {
			speaks, _, _ = strings.Cut(f[2], "/")
			continue
		}
		m := resultLine.FindStringSubmatch(line)
		if m == nil {
			saidBy[speaks] = append(saidBy[speaks], line)
			continue
		}
		if strings.Contains(m[2], "/") {
			continue
		}
		said := strings.Join(saidBy[m[2]], "\n")
		ran++
		t.Run(m[2], func(t *testing.T) {
			switch m[1] {
			case "FAIL":
				t.Fatal(said)
			case "SKIP":
				t.Skip(said)
			}
		})
	}
	if ran == 0 || err != nil && !t.Failed() {
		t.Errorf("%v\n%s", err, out)
	}
}
