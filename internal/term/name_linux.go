package term

import (
	"os"
	"strconv"
	"strings"
)

// programName is the name of a process, "" where it is gone.
func programName(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return ""
	}
	return cleanTitle(strings.TrimSpace(string(b)))
}
