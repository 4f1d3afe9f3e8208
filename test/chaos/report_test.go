//go:build linux

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// report is what a run leaves behind.
type report struct {
	seed       uint64
	took       time.Duration
	steps      map[string]int // by kind
	counts     map[string]int // of what came of them
	worst      map[string]time.Duration
	trail      []string // the last steps, for a violation
	violations []string
}

// maxTrail is how many steps a violation is shown with.
const maxTrail = 40

func (r *report) String() string {
	var b strings.Builder
	total := 0
	for _, n := range r.steps {
		total += n
	}
	fmt.Fprintf(&b, "chaos report: seed %d, %v, %d steps, %d violations\n", r.seed, r.took.Round(time.Second), total, len(r.violations))
	b.WriteString("steps:\n")
	for _, k := range slices.Sorted(maps.Keys(r.steps)) {
		fmt.Fprintf(&b, "  %6d  %s\n", r.steps[k], k)
	}
	b.WriteString("what came of them:\n")
	for _, k := range slices.Sorted(maps.Keys(r.counts)) {
		fmt.Fprintf(&b, "  %6d  %s\n", r.counts[k], k)
	}
	b.WriteString("longest:\n")
	for _, k := range slices.Sorted(maps.Keys(r.worst)) {
		fmt.Fprintf(&b, "  %8v  %s\n", r.worst[k].Round(time.Millisecond), k)
	}
	for _, v := range r.violations {
		fmt.Fprintf(&b, "VIOLATION: %s\n", v)
	}
	if len(r.violations) > 0 {
		fmt.Fprintf(&b, "the last steps:\n  %s\n", strings.Join(r.trail, "\n  "))
		fmt.Fprintf(&b, "again with: make chaos SEED=%d\n", r.seed)
	}
	return b.String()
}
