//go:build oldgit

package git

import (
	"strings"
	"testing"

	"catamaran/internal/api"
)

// TestTooOld runs where the machine's Git is older than what is needed; see tools/gits.
func TestTooOld(t *testing.T) {
	t.Parallel()
	v, err := Check(t.Context())
	e := api.AsError(err)
	if e == nil || e.Code != api.CodeUnavailable || !strings.Contains(e.Message, v) || !strings.Contains(e.Hint, minVersion) {
		t.Fatalf("Git %q gives %+v", v, err)
	}
}
