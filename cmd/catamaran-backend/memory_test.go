package main

import "testing"

func TestGarbagePercent(t *testing.T) {
	t.Parallel()
	for held, want := range map[int64]int{0: 100, 8 << 20: 50, 24 << 20: 25, 256 << 20: 10} {
		if got := garbagePercent(held); got != want {
			t.Errorf("%d MiB: %d, want %d", held>>20, got, want)
		}
	}
}
