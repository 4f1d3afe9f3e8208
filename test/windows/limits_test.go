//go:build linux && wine

package windows

import (
	"os"
	"strings"
	"testing"

	"catamaran/test/windows/wine"
)

// limits are what Wine 10 cannot do, or does in another way than Windows, and what
// that keeps these tests from showing. A test that meets one skips by its id, so
// every run prints what it did not show; docs/windows-checklist.md has what to do
// about each on a real machine.
var limits = map[string]string{
	"webview2":        "no WebView2 runtime runs here, so no native window of the page",
	"powershell":      "Wine's powershell.exe prints nothing and exits with 0",
	"git":             "there is no Git for Windows here, so checkpoints and diffs of the native backend are not shown",
	"links":           "symbolic links and junctions are not made, although the calls say so",
	"acl":             "access lists are accepted and forgotten; that only this user opens the pipe is not shown",
	"ctrl-break":      "CTRL_BREAK is not delivered and may hang the sender",
	"first-pipe-dial": "the first client of a pipe made by go-winio gets an instance that nobody serves; the tests dial once in vain",
	"exit":            "a program that ends itself may hang in that for ever, with its handles open; a session ends such a process after a second, so how fast an end is, is not shown",
	"single-bytes":    "a read of one byte from a pipe costs a round trip to Wine's server, so the link is not tried byte by byte",
	"folder-in-use":   "a folder is renamed although a file in it is open or a process stands in it, so an update that Windows would refuse is not shown to be",
	"conpty":          "a program at a pseudo-console gets no standard handles, and its size stays as it was made, so terminals of the native backend are not shown",
	"wow64":           "there is no 32-bit half, so that System32 of a 32-bit program is found under Sysnative is not shown",
	"durability":      "what a file holds after a power loss is not shown",
	"arm64":           "only the amd64 programs run; those for arm64 are built and vetted",
	"real-wsl":        "wsl.exe is the simulator: no virtual machine, idle stop, networking modes or updates",
	"defender":        "no SmartScreen, no virus scanner, no company policy",
}

func limit(t *testing.T, id string) {
	t.Helper()
	why, ok := limits[id]
	if !ok {
		t.Fatalf("no limit %q", id)
	}
	t.Skipf("limit %s: %s", id, why)
}

// TestLimits counts every limit as a skipped test. Those that can be probed
// cheaply are: one that Wine no longer has fails, and wants a test in its place.
func TestLimits(t *testing.T) {
	s := wine.Start(t)
	probes := map[string]func() bool{
		"powershell": func() bool {
			out, _, _ := s.Run(nil, "powershell.exe", "-Command", "echo works")
			return strings.Contains(out, "works")
		},
		"git": func() bool {
			_, _, code := s.Run(nil, "cmd.exe", "/c", "git --version")
			return code == 0
		},
		"links": func() bool {
			s.Run(nil, "cmd.exe", "/c", `echo x> C:\target.txt & mklink C:\link.txt C:\target.txt`)
			b, err := os.ReadFile(s.C("link.txt"))
			return err == nil && strings.HasPrefix(string(b), "x")
		},
	}
	for id := range limits {
		t.Run(id, func(t *testing.T) {
			if probe := probes[id]; probe != nil && probe() {
				t.Fatalf("this Wine has no limit %s any more; write the test and take the limit off the list", id)
			}
			limit(t, id)
		})
	}
}
