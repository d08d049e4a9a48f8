package main

import "testing"

func TestTheHeapMayGrowLessTheMoreLives(t *testing.T) {
	t.Parallel()
	for lives, want := range map[uint64]int{0: 400, 5 << 20: 400, 12 << 20: 400, 24 << 20: 200, 48 << 20: 100, 4 << 30: 100} {
		if got := percentFor(lives); got != want {
			t.Errorf("percentFor(%d MiB) = %d, want %d", lives>>20, got, want)
		}
	}
}
