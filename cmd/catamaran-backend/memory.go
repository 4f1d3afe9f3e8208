package main

import (
	"os"
	"runtime/debug"
	"sync"
)

const (
	// garbageMost is how much garbage may gather between two collections besides what is
	// live without the histories of terminals, about.
	garbageMost = 8 << 20
	// garbageStep is how much the histories change before that is looked at again.
	garbageStep = 2 << 20
	// percentLeast bounds how often the collector runs with many large histories.
	percentLeast = 10
)

// garbageRoom keeps the collector from letting as much garbage gather as the histories of
// terminals take: they hold no pointers, so a collection costs no more for them.
type garbageRoom struct {
	mu   sync.Mutex
	step int64
}

// fit is told what the histories take.
func (g *garbageRoom) fit(held int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	step := held / garbageStep
	if step == g.step || os.Getenv("GOGC") != "" {
		return
	}
	g.step = step
	debug.SetGCPercent(garbagePercent(held))
}

// garbagePercent is the collector's setting for histories of held bytes.
func garbagePercent(held int64) int {
	return int(max(percentLeast, 100*garbageMost/(garbageMost+held)))
}
