package wsltest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No vector may get lost on the way from the facts to the tests: every file holds
// exactly the ids listed, and copies of one file are the same.
func TestNoVectorIsMissing(t *testing.T) {
	t.Parallel()
	listed, err := os.ReadFile("testdata/ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, total := map[string]string{}, 0
	for line := range strings.Lines(string(listed)) {
		name, ids, _ := strings.Cut(strings.TrimSpace(line), " ")
		want[name] = ids
		total += len(strings.Fields(ids))
	}
	if len(want) != 13 || total != 168 {
		t.Errorf("%d files with %d vectors are listed", len(want), total)
	}
	var files []string
	for _, pattern := range []string{"testdata", "../testdata", "../wslsim/testdata", "../../hostpath/testdata"} {
		found, err := filepath.Glob(filepath.Join(pattern, "*.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	seen := map[string][]byte{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		if other, ok := seen[name]; ok && !bytes.Equal(other, b) {
			t.Errorf("%s differs from its copy", file)
		}
		seen[name] = b
		var ids []string
		sc := bufio.NewScanner(bytes.NewReader(b))
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			var v struct{ ID string }
			if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			ids = append(ids, v.ID)
		}
		if got := strings.Join(ids, " "); got != want[name] {
			t.Errorf("%s holds %s, listed are %s", file, got, want[name])
		}
	}
	for name := range want {
		if seen[name] == nil {
			t.Errorf("%s is nowhere", name)
		}
	}
}
