package wsl

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// row is one line of `--list --verbose`.
type row struct {
	Name    string `json:"name"`
	Default bool   `json:"default"`
	State   string `json:"state"`
	Version int    `json:"version"` // 0 when it is not a number
}

const stateWidth = 16 // of the state column in UTF-16 units; constant in WSL's source

// parseList reads `--list --verbose` by its layout, never by its words: some
// builds may translate them. Columns begin where the header's words begin; a row
// that does not fit them is read by its gaps. What is not a row is skipped, a
// version that is neither 1 nor 2 is kept with a warning.
func parseList(output []byte) (rows []row, warnings []string) {
	whole, _ := lines(decode(output))
	state, version := -1, -1
	for _, l := range whole {
		u := utf16.Encode([]rune(l))
		if state < 0 {
			state, version = columns(u)
			continue
		}
		r, ver, ok := byColumns(u, state, version)
		if !ok {
			r, ver, ok = byGaps(l)
		}
		if !ok {
			continue
		}
		n, err := strconv.Atoi(ver)
		if err != nil || n < 0 {
			n = 0
		}
		if r.Version = n; n != 1 && n != 2 {
			warnings = append(warnings, fmt.Sprintf("distro %q has the unknown WSL version %q", r.Name, ver))
		}
		rows = append(rows, r)
	}
	return rows, warnings
}

// columns finds where state and version begin in the header: two blanks, then
// three words apart by gaps. state is -1 when this is no header.
func columns(u []uint16) (state, version int) {
	if len(u) < 3 || u[0] != ' ' || u[1] != ' ' || u[2] == ' ' {
		return -1, -1
	}
	for i := 3; i+1 < len(u); i++ {
		if u[i] == ' ' && u[i+1] == ' ' {
			for i < len(u) && u[i] == ' ' {
				i++
			}
			if i+stateWidth >= len(u) {
				return -1, -1
			}
			return i, i + stateWidth
		}
	}
	return -1, -1
}

func byColumns(u []uint16, state, version int) (r row, ver string, ok bool) {
	if len(u) <= version || !marker(u) || u[state-1] != ' ' || u[state-2] != ' ' || u[state] == ' ' || u[version-1] != ' ' || u[version] == ' ' {
		return row{}, "", false
	}
	text := func(part []uint16) string { return strings.TrimRight(string(utf16.Decode(part)), " ") }
	r = row{Name: text(u[2:state]), Default: u[0] == '*', State: text(u[state:version])}
	ver = text(u[version:])
	return r, ver, r.Name != "" && !strings.Contains(ver, " ")
}

func marker(u []uint16) bool {
	return len(u) > 2 && (u[0] == '*' || u[0] == ' ') && u[1] == ' ' && u[2] != ' '
}

var gaps = regexp.MustCompile(`^([* ]) (\S.*?) {2,}(\S.*?) +(\S+)$`)

func byGaps(l string) (r row, ver string, ok bool) {
	m := gaps.FindStringSubmatch(strings.TrimRight(l, " "))
	if m == nil {
		return row{}, "", false
	}
	if _, err := strconv.Atoi(m[4]); err != nil {
		return row{}, "", false
	}
	return row{Name: m[2], Default: m[1] == "*", State: m[3]}, m[4], true
}

var dotted = regexp.MustCompile(`[0-9]+(\.[0-9]+)+`)

// parseVersion is the first dotted number on the first line of `--version`, "" when there is none.
func parseVersion(output []byte) string {
	whole, partial := lines(decode(output))
	if len(whole) > 0 {
		partial = whole[0]
	}
	return dotted.FindString(partial)
}
