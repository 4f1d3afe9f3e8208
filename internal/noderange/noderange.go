// Package noderange reads the version ranges that Node programs ask for in
// "engines" of their package.json and tells whether a version satisfies one.
// It is pure: it looks for nothing and runs nothing. Package doctor calls it.
//
// The grammar is the one of npm's semver: comparators with ^ ~ > >= < <= =,
// joined by blanks (and) and || (or), hyphen ranges, partial versions and
// x-ranges. A pre-release counts as what it is in the order of versions, as npm
// has it for "engines": 22.0.0-nightly satisfies >=22 but not >=22.0.0.
package noderange

import (
	"fmt"
	"strconv"
	"strings"
)

// Bounds of what is read: a range comes out of a file that anybody may have written.
const (
	maxRange  = 1024
	maxNumber = 1 << 40
)

// Version is major.minor.patch with an optional pre-release.
type Version struct {
	Major, Minor, Patch int64
	Pre                 []string
}

// ParseVersion reads a full version, with or without a leading v. Build metadata is dropped.
func ParseVersion(s string) (Version, error) {
	p, err := parsePartial(strings.TrimSpace(s))
	if err != nil || p.fields != 3 {
		return Version{}, fmt.Errorf("%.64q is not a version", s)
	}
	return p.Version, nil
}

func (v Version) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
	if len(v.Pre) > 0 {
		s += "-" + strings.Join(v.Pre, ".")
	}
	return s
}

// Compare orders two versions by semver's precedence.
func (v Version) Compare(w Version) int {
	for _, d := range [][2]int64{{v.Major, w.Major}, {v.Minor, w.Minor}, {v.Patch, w.Patch}} {
		if d[0] != d[1] {
			if d[0] < d[1] {
				return -1
			}
			return 1
		}
	}
	switch {
	case len(v.Pre) == 0 && len(w.Pre) == 0:
		return 0
	case len(v.Pre) == 0:
		return 1
	case len(w.Pre) == 0:
		return -1
	}
	for i := 0; i < len(v.Pre) && i < len(w.Pre); i++ {
		if c := comparePre(v.Pre[i], w.Pre[i]); c != 0 {
			return c
		}
	}
	return sign(len(v.Pre) - len(w.Pre))
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func comparePre(a, b string) int {
	an, aok := number(a)
	bn, bok := number(b)
	switch {
	case aok && bok && an == bn:
		return 0
	case aok && bok && an < bn, aok && !bok:
		return -1
	case aok && bok, bok:
		return 1
	}
	return strings.Compare(a, b)
}

func number(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	for _, r := range s {
		if r < '0' || r > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= maxNumber
}

// partial is a version of which only the first fields are given.
type partial struct {
	Version
	fields int // 0 (any) to 3
}

func parsePartial(s string) (partial, error) {
	bad := fmt.Errorf("%.64q is not a version", s)
	s = strings.TrimLeft(s, "=")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "v"), "V")
	s, _, _ = strings.Cut(s, "+")
	core, pre, hasPre := strings.Cut(s, "-")
	var p partial
	if core == "" {
		if hasPre {
			return p, bad
		}
		return p, nil
	}
	parts := strings.Split(core, ".")
	if len(parts) > 3 {
		return p, bad
	}
	any := false
	for i, part := range parts {
		if part == "x" || part == "X" || part == "*" {
			any = true
			continue
		}
		n, ok := number(part)
		if !ok {
			return p, bad
		}
		if any {
			continue // 1.x.3 is 1.x, as npm reads it
		}
		switch i {
		case 0:
			p.Major = n
		case 1:
			p.Minor = n
		case 2:
			p.Patch = n
		}
		p.fields = i + 1
	}
	if hasPre {
		if pre == "" {
			return p, bad
		}
		if p.fields == 3 {
			p.Pre = strings.Split(pre, ".")
			for _, id := range p.Pre {
				if !preID(id) {
					return p, bad
				}
			}
		}
	}
	return p, nil
}

func preID(s string) bool {
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' {
			return false
		}
	}
	return s != ""
}

// comparator is one bound: op is one of < <= > >= =.
type comparator struct {
	op string
	v  Version
}

// Range is alternatives of comparators that must all hold.
type Range struct {
	text string
	sets [][]comparator
}

// Parse reads a range; "" and "*" take every version.
func Parse(s string) (Range, error) {
	if len(s) > maxRange {
		return Range{}, fmt.Errorf("the range is longer than %d bytes", maxRange)
	}
	r := Range{text: strings.TrimSpace(s)}
	for part := range strings.SplitSeq(s, "||") {
		set, err := parseSet(part)
		if err != nil {
			return Range{}, fmt.Errorf("range %.64q: %w", s, err)
		}
		r.sets = append(r.sets, set)
	}
	return r, nil
}

func (r Range) String() string { return r.text }

func parseSet(s string) ([]comparator, error) {
	if low, high, ok := hyphen(s); ok {
		return hyphenSet(low, high)
	}
	// An operator may stand apart from its version.
	words := strings.Fields(strings.ReplaceAll(s, ",", " "))
	set := []comparator{}
	for i := 0; i < len(words); i++ {
		w := words[i]
		op := operator(w)
		if rest := w[len(op):]; rest != "" {
			w = rest
		} else if i+1 < len(words) {
			i++
			w = words[i]
		} else {
			return nil, fmt.Errorf("%q stands alone", op)
		}
		if operator(w) != "" && w[0] != '=' {
			return nil, fmt.Errorf("%q is not a version", w)
		}
		p, err := parsePartial(w)
		if err != nil {
			return nil, err
		}
		set = append(set, expand(op, p)...)
	}
	return set, nil
}

func operator(w string) string {
	for _, op := range []string{"<=", ">=", "~>", "<", ">", "=", "^", "~"} {
		if strings.HasPrefix(w, op) {
			return op
		}
	}
	return ""
}

func hyphen(s string) (low, high string, ok bool) {
	f := strings.Fields(s)
	if len(f) == 3 && f[1] == "-" {
		return f[0], f[2], true
	}
	return "", "", false
}

func hyphenSet(low, high string) ([]comparator, error) {
	l, err := parsePartial(low)
	if err != nil {
		return nil, err
	}
	h, err := parsePartial(high)
	if err != nil {
		return nil, err
	}
	return append(expand(">=", l), expand("<=", h)...), nil
}

// zero is the first of all versions of its number, pre-releases included.
var zero = []string{"0"}

// next is the first version after everything that p's given fields name.
func (p partial) next() Version {
	switch p.fields {
	case 1:
		return Version{Major: p.Major + 1, Pre: zero}
	case 2:
		return Version{Major: p.Major, Minor: p.Minor + 1, Pre: zero}
	}
	return Version{Major: p.Major, Minor: p.Minor, Patch: p.Patch + 1, Pre: zero}
}

func expand(op string, p partial) []comparator {
	if p.fields == 0 {
		if op == "<" || op == ">" {
			return []comparator{{"<", Version{Pre: zero}}} // nothing
		}
		return nil
	}
	if p.fields < 3 {
		p.Pre = zero
	}
	span := func(end Version) []comparator { return []comparator{{">=", p.Version}, {"<", end}} }
	switch op {
	case "^":
		switch {
		case p.Major > 0 || p.fields == 1:
			return span(Version{Major: p.Major + 1, Pre: zero})
		case p.Minor > 0 || p.fields == 2:
			return span(Version{Minor: p.Minor + 1, Pre: zero})
		}
		return span(Version{Patch: p.Patch + 1, Pre: zero})
	case "~", "~>":
		if p.fields == 3 {
			return span(Version{Major: p.Major, Minor: p.Minor + 1, Pre: zero})
		}
		return span(p.next())
	case ">":
		if p.fields < 3 {
			return []comparator{{">=", p.next()}}
		}
	case "<=":
		if p.fields < 3 {
			return []comparator{{"<", p.next()}}
		}
	case "<":
		if p.fields < 3 {
			return []comparator{{"<", p.Version}}
		}
	case "", "=":
		if p.fields < 3 {
			return span(p.next())
		}
		op = "="
	}
	return []comparator{{op, p.Version}}
}

// Contains tells whether v satisfies the range.
func (r Range) Contains(v Version) bool {
	for _, set := range r.sets {
		if holds(set, v) {
			return true
		}
	}
	return false
}

func holds(set []comparator, v Version) bool {
	for _, c := range set {
		d := v.Compare(c.v)
		ok := false
		switch c.op {
		case "<":
			ok = d < 0
		case "<=":
			ok = d <= 0
		case ">":
			ok = d > 0
		case ">=":
			ok = d >= 0
		default:
			ok = d == 0
		}
		if !ok {
			return false
		}
	}
	return true
}

// Below tells whether v is older than everything in the range, so that a newer
// version and not an older one is what is needed.
func (r Range) Below(v Version) bool {
	for _, set := range r.sets {
		older := false
		for _, c := range set {
			if (c.op == ">=" || c.op == "=") && v.Compare(c.v) < 0 || c.op == ">" && v.Compare(c.v) <= 0 {
				older = true
			}
		}
		if !older {
			return false
		}
	}
	return len(r.sets) > 0
}
