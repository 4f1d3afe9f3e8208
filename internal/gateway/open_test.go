package gateway

import (
	"testing"

	"catamaran/internal/api"
)

// A path on a drive is this computer's, unless only a distro runs: its backend
// then translates the path or refuses it (W2.2).
func TestOwnerOfADrive(t *testing.T) {
	t.Parallel()
	both := []api.Environment{{ID: "local"}, {ID: "wsl:Ubuntu", Distro: "Ubuntu"}}
	for name, c := range map[string]struct {
		mode             api.Mode
		primary, path    string
		wantID, wantPath string
	}{
		"both":            {api.ModeBoth, "wsl:Ubuntu", `C:\code`, "local", `C:\code`},
		"only WSL":        {api.ModeWSLOnly, "wsl:Ubuntu", `C:\code`, "wsl:Ubuntu", `C:\code`},
		"fell back":       {api.ModeWSLOnly, "local", `C:\code`, "local", `C:\code`},
		"only WSL, share": {api.ModeWSLOnly, "wsl:Ubuntu", `\\wsl$\ubuntu\x`, "wsl:Ubuntu", "/x"},
		"only WSL, plain": {api.ModeWSLOnly, "wsl:Ubuntu", "/srv", "local", "/srv"},
	} {
		id, path, err := owner(c.path, api.Environments{Config: api.ModeConfig{Mode: c.mode}, Primary: c.primary, Environments: both})
		if id != c.wantID || path != c.wantPath || err != nil {
			t.Errorf("%s: %q, %q, %v", name, id, path, err)
		}
	}
}
