package bolt_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

func benchStore(b *testing.B) *bolt.Store {
	b.Helper()
	store, err := bolt.Open(b.Context(), bolt.Config{Path: filepath.Join(b.TempDir(), "store.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	return store
}

// creation is what the service stores when a session starts: ids that are drawn in
// the order of time, and a session token that is random. Nine digits would meet
// again in a long run.
func creation() cobrowse.Change {
	s := newSession(uuid.Must(uuid.NewV7()).String(), conversations.ID(uuid.Must(uuid.NewV7()).String()))
	return cobrowse.Change{
		At: t0, Session: s, Take: []cobrowse.Claim{claimOf(s), {Kind: cobrowse.ClaimSessionToken, Key: uuid.NewString()}},
		Events: []cobrowse.Event{{Type: cobrowse.EventCreated, At: t0, OrgID: s.OrgID, SessionID: s.ID, ConversationID: s.ConversationID}},
	}
}

func BenchmarkCreate(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			store := benchStore(b)
			b.ReportAllocs()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if err := store.Apply(b.Context(), creation()); err != nil {
							b.Errorf("Apply = %v", err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
		})
	}
}

func BenchmarkRefusedCreate(b *testing.B) {
	store := benchStore(b)
	first := creation()
	if err := store.Apply(b.Context(), first); err != nil {
		b.Fatal(err)
	}
	again := creation()
	again.Take[0] = first.Take[0]
	b.ReportAllocs()
	for b.Loop() {
		if err := store.Apply(b.Context(), again); err == nil {
			b.Fatal("a second create succeeded")
		}
	}
}

func BenchmarkSession(b *testing.B) {
	store := benchStore(b)
	live, over := creation(), creation()
	over.Session.EndedAt = t0
	for _, c := range []cobrowse.Change{live, over} {
		if err := store.Apply(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	for name, id := range map[string]cobrowse.SessionID{"live": live.Session.ID, "ended": over.Session.ID} {
		b.Run("state="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := store.Session(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRevoked(b *testing.B) {
	store := benchStore(b)
	if err := store.Revoke(b.Context(), "jti", t0); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := store.Revoked(b.Context(), "another", t0); err != nil {
			b.Fatal(err)
		}
	}
}
