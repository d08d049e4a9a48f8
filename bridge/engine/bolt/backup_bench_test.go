package bolt_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/cobrowse"
)

// BenchmarkBackup measures a backup of a store of some 100 MB, and what those who write
// notice of it: the 99th percentile and the longest of their waits with and without one.
func BenchmarkBackup(b *testing.B) {
	dir := b.TempDir()
	store := mustOpen(b, filepath.Join(dir, "store.db"))
	var wg sync.WaitGroup
	const writers, each = 64, 900
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				s := newSession(fmt.Sprintf("old-%04d-%04d", i, w), "")
				s.EndedAt = t0
				if err := store.Apply(b.Context(), cobrowse.Change{At: t0, Session: s, Events: []cobrowse.Event{{Type: cobrowse.EventEnded, At: t0, SessionID: s.ID}}}); err != nil {
					b.Errorf("Apply: %v", err)
				}
			}
		})
	}
	wg.Wait()
	size := store.Stats().FileBytes
	// waits runs fn while eight create sessions, and returns how long they waited.
	round := 0
	waits := func(fn func()) []time.Duration {
		ctx, stop := context.WithCancel(b.Context())
		round++
		var mu sync.Mutex
		var all []time.Duration
		for w := range 8 {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					begin := time.Now()
					if err := tryCreate(context.WithoutCancel(ctx), store, fmt.Sprintf("s-%d-%d-%d", round, w, i)); err != nil {
						b.Errorf("create: %v", err)
						return
					}
					mu.Lock()
					all = append(all, time.Since(begin))
					mu.Unlock()
				}
			})
		}
		fn()
		stop()
		wg.Wait()
		slices.Sort(all)
		return all
	}
	var alone, during []time.Duration
	b.SetBytes(size)
	n := 0
	for b.Loop() {
		b.StopTimer()
		alone = append(alone, waits(func() { <-time.After(300 * time.Millisecond) })...)
		path := filepath.Join(dir, fmt.Sprintf("backup-%d", n))
		n++
		during = append(during, waits(func() {
			b.StartTimer()
			_, err := bolt.WriteBackup(b.Context(), path, false, nil, func(w io.Writer) error {
				buffered := bufio.NewWriterSize(w, 1<<20)
				if _, err := store.Backup(b.Context(), buffered); err != nil {
					return err
				}
				b.StopTimer() // verifying is not what others wait for
				return buffered.Flush()
			})
			if err != nil {
				b.Errorf("WriteBackup: %v", err)
			}
		})...)
		b.StartTimer()
	}
	b.ReportMetric(float64(size)/1e6, "file-MB")
	b.ReportMetric(float64(store.Stats().FileBytes-size)/1e6, "grown-MB")
	for name, all := range map[string][]time.Duration{"alone": alone, "during": during} {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, name+"-p99-ms")
		b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, name+"-max-ms")
	}
}
