package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/cobrowse"
)

// followOne makes a named follower store its place after one event.
func followOne(t *testing.T, store *bolt.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := store.Follow(ctx, "follower", nil, func(context.Context, cobrowse.Event) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Follow = %v", err)
	}
}

// A cache of four sessions under sixteen that change all the time: whoever reads
// sees at least the version that was acknowledged before.
func TestSmallCacheIsNeverBehind(t *testing.T) {
	t.Parallel()
	const sessions, versions, limit = 16, 40, 4
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	store.CacheSessions(limit)
	var mu sync.Mutex
	acknowledged := map[cobrowse.SessionID]uint64{}
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range sessions {
		writers.Go(func() {
			s := newSession(fmt.Sprintf("s-%d", i), "c")
			for range versions {
				if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: s}); err != nil {
					t.Errorf("Apply = %v", err)
					return
				}
				mu.Lock()
				acknowledged[s.ID] = s.Version
				mu.Unlock()
				s.Version++
			}
			s.EndedAt = t0
			if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: s}); err != nil {
				t.Errorf("Apply of the end = %v", err)
			}
			if got, err := store.Session(t.Context(), s.ID); err != nil || got.Live() {
				t.Errorf("Session after the end = live %t, %v", got.Live(), err)
			}
		})
	}
	for r := range 4 {
		readers.Go(func() {
			for i := r; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := cobrowse.SessionID(fmt.Sprintf("s-%d", i%sessions))
				mu.Lock()
				least := acknowledged[id]
				mu.Unlock()
				if got, err := store.Session(t.Context(), id); least > 0 && (err != nil || got.Version < least) {
					t.Errorf("Session(%s) = version %d, %v, after version %d was acknowledged", id, got.Version, err, least)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if cached, lookups := store.CachedSessions(); cached != 0 || lookups != 0 {
		t.Errorf("%d sessions and %d lookups are left in the cache, want none after all have ended", cached, lookups)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 4
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	store.CacheSessions(limit)
	for round := range 3 {
		for i := range 3 * limit {
			s := newSession(fmt.Sprintf("s-%d", i), "c")
			if round == 0 {
				if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: s}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := store.Session(t.Context(), s.ID); err != nil {
				t.Errorf("Session = %v", err)
			}
			if cached, lookups := store.CachedSessions(); cached > limit || lookups != 0 {
				t.Fatalf("%d sessions and %d lookups in a cache for %d", cached, lookups, limit)
			}
		}
	}
}
