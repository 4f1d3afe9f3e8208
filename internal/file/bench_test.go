package file

import (
	"fmt"
	"testing"
)

// hundredThousand are paths in the shape of a large repository.
func hundredThousand() *list {
	words := []string{"server", "client", "engine", "Thread", "view", "model", "test", "util", "parser", "render", "Index", "config", "store", "queue", "agent", "turn"}
	exts := []string{".go", ".ts", ".svelte", ".md", ".json", "_test.go"}
	paths := make([]string, 0, 100_000)
	for i := range 100_000 {
		n := i * 2654435761 >> 4
		w := func(k int) string { return words[n>>(4*k)&15] }
		paths = append(paths, fmt.Sprintf("packages/%s/src/%s-%d/%s/%s%s%d%s", w(0), w(1), i/40, w(2), w(3), w(4), i%97, exts[n>>20%6]))
	}
	return of(paths...)
}

func BenchmarkFind(b *testing.B) {
	l := hundredThousand()
	for _, q := range []string{"", "s", "se", "server", "thrvw", "pkgsrvThread42", "zzzz"} {
		b.Run("query="+q, func(b *testing.B) {
			for b.Loop() {
				l.find(q, 20, false, nil)
			}
		})
	}
}
