//go:build linux && wine

package windows

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/test/windows/wine"
)

// TestRealKit runs the programs of the kit for a real Windows here, against the
// simulator: a kit that fails there must have failed for Windows' sake.
func TestRealKit(t *testing.T) {
	t.Parallel()
	s := &story{t: t, wine: wine.Start(t)}
	if err := s.machine(); err != nil {
		t.Fatal(err)
	}
	kit := s.wine.C("kit")
	for _, b := range []struct {
		env, args []string
	}{
		{[]string{"GOOS=windows"}, []string{"test", "-c", "-trimpath", "-ldflags=-s -w", "-tags", "realwsl", "-o", filepath.Join(kit, "real-amd64.exe"), "./test/real"}},
		{[]string{"GOOS=linux"}, []string{"build", "-trimpath", "-o", filepath.Join(kit, "peer-linux-amd64"), "./test/real/peer"}},
	} {
		cmd := exec.Command("go", b.args...)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64"), b.env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", b.args, err, out)
		}
	}
	if err := ownTree(kit); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), packageTime)
	defer cancel()
	out, err := s.wine.CommandIn(ctx, kit, nil, `C:\kit\real-amd64.exe`, "-test.v", "-test.timeout=4m",
		// What moves many megabytes takes minutes through Wine's pipes and two relays.
		"-test.skip=^TestLink$/^(Bulk|BothWays|ManyStreams|UnreadStreams)$").CombinedOutput()
	results(t, string(out), err)
	for _, id := range []string{"C2", "C4", "C5", "C9", "C10", "C11", "C12"} {
		if !strings.Contains(string(out), "ANSWER "+id+": ") {
			t.Errorf("question %s was not answered", id)
		}
	}
}
