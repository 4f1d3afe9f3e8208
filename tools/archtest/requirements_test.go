package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// wslRows is how many requirements each section of WSL mode has (W1.1 to W9.3).
var wslRows = []int{6, 5, 6, 6, 9, 5, 4, 8, 3}

var (
	rowForm  = regexp.MustCompile(`^\| (W\d\.\d) \| [^|]+ \| ([^|]*)\| ([^|]*)\|$`)
	testName = regexp.MustCompile("`([^`]+)`")
)

// TestEveryRequirementHasATest keeps docs/wsl-mode.md whole and true: every row
// is there once, every test it names exists, and what is not shown says why.
func TestEveryRequirementHasATest(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join(root(t), "docs", "wsl-mode.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i, n := range wslRows {
		for j := range n {
			want = append(want, fmt.Sprintf("W%d.%d", i+1, j+1))
		}
	}
	at := 0
	for line := range strings.Lines(string(doc)) {
		if !strings.HasPrefix(line, "| W") {
			continue
		}
		m := rowForm.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Errorf("not a row: %s", line)
			continue
		}
		if at >= len(want) || m[1] != want[at] {
			t.Fatalf("row %s, want them all in order (%d so far)", m[1], at)
		}
		at++
		tests := testName.FindAllStringSubmatch(m[2], -1)
		missing, open := strings.CutPrefix(strings.TrimSpace(m[3]), "not yet: ")
		switch {
		case len(tests) == 0 && !open:
			t.Errorf("%s: neither a test nor \"not yet:\"", m[1])
		case open && missing == "" || !open && strings.TrimSpace(m[3]) != "":
			t.Errorf("%s: the last column is empty or \"not yet:\" and a reason", m[1])
		}
		for _, name := range tests {
			if err := exists(root(t), name[1]); err != nil {
				t.Errorf("%s: %v", m[1], err)
			}
		}
	}
	if at != len(want) {
		t.Errorf("%d rows, want %d", at, len(want))
	}
}

// exists looks a test up: folder.TestName, or a file.
func exists(root, name string) error {
	folder, test, ok := strings.Cut(name, ".")
	if !ok || !strings.HasPrefix(test, "Test") && !strings.HasPrefix(test, "Fuzz") {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		return err
	}
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if strings.Contains(string(b), "\nfunc "+test+"(") {
			return nil
		}
	}
	return fmt.Errorf("there is no test %s in %s", test, folder)
}
