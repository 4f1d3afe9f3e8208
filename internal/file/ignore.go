package file

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Rules of .gitignore files, as gitignore(5) describes them, without a process.
// A test compares them with git check-ignore.

const (
	// maxRules bounds the lines of one file, maxRuleFile its bytes.
	maxRules    = 5000
	maxRuleFile = 1 << 20
)

// rule is one line: a pattern for paths below base ("." is the top).
type rule struct {
	base    string
	pattern []string // elements; "**" alone stands for any number
	negate  bool
	folders bool // folders only
	// anywhere: the pattern had no slash and matches a name in any folder.
	anywhere bool
}

// rules of a folder and all above it, in order: the last that matches counts.
type rules struct {
	above *rules
	at    string // the folder these are of
	list  []rule
	// hidden: this folder itself is ignored, so everything in it is.
	hidden bool
}

// rulesFor reads the rules that apply in the folder at (slashes, "." is the top) of dir.
func rulesFor(dir, at string) *rules {
	r := topRules(dir)
	if at == "." {
		return r
	}
	walked := "."
	for elem := range strings.SplitSeq(at, "/") {
		walked = path.Join(walked, elem)
		r = r.enter(dir, walked)
	}
	return r
}

// topRules are those of the folder itself and of .git/info/exclude.
func topRules(dir string) *rules {
	r := &rules{at: "."}
	r.list = append(r.list, readRules(dir, filepath.Join(".git", "info", "exclude"), ".")...)
	r.list = append(r.list, readRules(dir, ".gitignore", ".")...)
	return r
}

// enter returns the rules inside the sub-folder at.
func (r *rules) enter(dir, at string) *rules {
	sub := &rules{above: r, at: at, hidden: r.hidden || r.ignored(at, true)}
	if !sub.hidden {
		sub.list = readRules(dir, filepath.Join(filepath.FromSlash(at), ".gitignore"), at)
	}
	return sub
}

func readRules(dir, name, base string) []rule {
	// Not followed: git does not follow a link in the place of these files either.
	info, err := os.Lstat(filepath.Join(dir, name))
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	o, err := openIn(dir, filepath.ToSlash(name))
	if err != nil {
		return nil
	}
	defer o.Close()
	b, err := io.ReadAll(io.LimitReader(o, maxRuleFile))
	if err != nil {
		return nil
	}
	return parseRules(b, base)
}

// parseRules reads the lines of a .gitignore; what it does not understand matches nothing.
func parseRules(b []byte, base string) []rule {
	b = bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF"))
	var list []rule
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxRuleFile+1)
	for lines.Scan() && len(list) < maxRules {
		if r, ok := parseRule(lines.Text(), base); ok {
			list = append(list, r)
		}
	}
	return list
}

func parseRule(line, base string) (rule, bool) {
	line = trimSpaces(strings.TrimSuffix(line, "\r"))
	if line == "" || line[0] == '#' {
		return rule{}, false
	}
	r := rule{base: base}
	if line[0] == '!' {
		r.negate, line = true, line[1:]
	}
	if rest, ok := strings.CutSuffix(line, "/"); ok {
		r.folders, line = true, rest
	}
	r.anywhere = !strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" {
		return rule{}, false
	}
	r.pattern = strings.Split(line, "/")
	return r, true
}

// trimSpaces drops spaces at the end that no backslash protects.
func trimSpaces(s string) string {
	end := len(s)
	for end > 0 && s[end-1] == ' ' {
		slashes := 0
		for i := end - 2; i >= 0 && s[i] == '\\'; i-- {
			slashes++
		}
		if slashes%2 == 1 {
			break
		}
		end--
	}
	return s[:end]
}

// ignored reports whether a path (below the top, slashes) directly in these rules' folder is ignored.
func (r *rules) ignored(p string, folder bool) bool {
	if r.hidden {
		return true
	}
	name := path.Base(p)
	for level := r; level != nil; level = level.above {
		for i := len(level.list) - 1; i >= 0; i-- {
			if c := &level.list[i]; c.matches(p, name, folder) {
				return !c.negate
			}
		}
	}
	return false
}

func (c *rule) matches(p, name string, folder bool) bool {
	if c.folders && !folder {
		return false
	}
	if c.anywhere {
		return wild(c.pattern[0], name)
	}
	if c.base != "." {
		p = strings.TrimPrefix(p, c.base+"/")
	}
	return wildPath(c.pattern, p)
}

// wildPath matches whole elements; "**" stands for any number of them, at the
// end for at least one. Like wild it goes back to the last "**" only, which
// finds every match and keeps hostile patterns cheap.
func wildPath(pattern []string, p string) bool {
	elems := strings.Split(p, "/")
	star, mark := -1, 0
	i, n := 0, 0
	at := func(n int) string { // the pattern with "*" behind a "**" at its end
		if n == len(pattern) {
			return "*"
		}
		return pattern[n]
	}
	last := len(pattern)
	if last > 0 && pattern[last-1] == "**" {
		last++
	}
	for i < len(elems) {
		if n < last && at(n) == "**" {
			star, mark = n, i
			n++
			continue
		}
		if n < last && wild(at(n), elems[i]) {
			n++
			i++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		n, i = star+1, mark
	}
	return n == last
}

// wild matches one element against *, ?, [...] and backslashes, in time that grows with the product of both.
func wild(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++
			continue
		}
		if n, ok := wildByte(pattern[p:], s[i]); ok {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// wildByte matches one byte with what the pattern begins with; n is how much of the pattern that was.
func wildByte(pattern string, b byte) (n int, ok bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '\\':
		if len(pattern) < 2 {
			return 0, false
		}
		return 2, pattern[1] == b
	case '[':
		return wildSet(pattern, b)
	}
	return 1, pattern[0] == b
}

// classes of [[:name:]].
var classes = map[string]func(byte) bool{
	"alpha": func(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' },
	"digit": func(b byte) bool { return b >= '0' && b <= '9' },
	"alnum": func(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' || b >= '0' && b <= '9' },
	"upper": func(b byte) bool { return b >= 'A' && b <= 'Z' },
	"lower": func(b byte) bool { return b >= 'a' && b <= 'z' },
	"space": func(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' },
	"punct": func(b byte) bool {
		return b > ' ' && b < 0x7f && !(b|0x20 >= 'a' && b|0x20 <= 'z' || b >= '0' && b <= '9')
	},
	"xdigit": func(b byte) bool { return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f' },
}

func wildSet(pattern string, b byte) (int, bool) {
	i := 1
	negate := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negate {
		i++
	}
	found := false
	for first := true; ; first = false {
		if i >= len(pattern) {
			return 0, false // never closed: matches nothing
		}
		if pattern[i] == ']' && !first {
			return i + 1, found != negate
		}
		if strings.HasPrefix(pattern[i:], "[:") {
			name, _, ok := strings.Cut(pattern[i+2:], ":]")
			if class := classes[name]; ok && class != nil {
				found = found || class(b)
				i += len(name) + 4
				continue
			}
		}
		lo := pattern[i]
		if lo == '\\' && i+1 < len(pattern) {
			i++
			lo = pattern[i]
		}
		i++
		hi := lo
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			hi = pattern[i+1]
			i += 2
			if hi == '\\' && i < len(pattern) {
				hi = pattern[i]
				i++
			}
		}
		found = found || lo <= b && b <= hi
	}
}
