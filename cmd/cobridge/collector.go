package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	mostPercent  = 400      // of what lives, that the heap may grow by before it is collected
	leastPercent = 100      // the runtime's own default
	headroom     = 48 << 20 // bytes that it may grow by in any case

	tuneEvery = 5 * time.Second
	calm      = 8 << 20  // bytes; a process that allocates less in that time has nothing to do
	worthIt   = 32 << 20 // bytes that are held for nothing
)

// percentFor returns by how much of what lives the heap may grow: by headroom, within bounds.
func percentFor(lives uint64) int {
	return int(min(max(100*headroom/max(1, lives), leastPercent), mostPercent))
}

// tuneCollector lets the heap grow to five times what lives in it as long as that
// is little: collecting a few megabytes over and over costs more than it frees
// (docs/performance.md). The more lives, the less it may grow, and what a burst has
// left behind goes back to the system when it is over. It runs until ctx ends; GOGC
// in the environment switches it off.
func tuneCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(mostPercent)
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	tick := time.NewTicker(tuneEvery)
	defer tick.Stop()
	percent, before := mostPercent, uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		live, stacks, objects, free, allocated := samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64(), samples[4].Value.Uint64()
		lives := max(1, live+stacks)
		if want := percentFor(lives); want != percent {
			debug.SetGCPercent(want)
			percent = want
		}
		waste := free + objects - min(objects, live)
		if allocated-before < max(calm, lives/4) && waste > max(worthIt, lives/4) {
			debug.FreeOSMemory()
		}
		before = allocated
	}
}
