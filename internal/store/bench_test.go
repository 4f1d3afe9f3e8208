package store

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

func benchAppend(b *testing.B, durable bool) {
	s := open(b, Options{})
	seed(b, s)
	text := strings.Repeat("some text of a message ", 20)
	var n atomic.Int64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			w := &Write{Events: []Event{item("t", fmt.Sprint("i", i), i, text)}, Durable: durable}
			if err := s.Commit(context.Background(), w); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// Items of agents: safe against a killed process, not synced.
func BenchmarkAppend(b *testing.B) { benchAppend(b, false) }

// Commands of people: synced; concurrent ones share the sync.
func BenchmarkAppendDurable(b *testing.B) { benchAppend(b, true) }
