//go:build !windows

package shell

import (
	"os"
	"path/filepath"
)

// downloads is this user's folder for downloads, or their home where there is none; "" leaves it to the system.
func downloads() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(home, "Downloads")
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return home
	}
	return dir
}
