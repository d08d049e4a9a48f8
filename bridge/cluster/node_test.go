package cluster_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/cluster"
	"github.com/cobridge/cobridge/bridge/engine/redis"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The driver closes the connections to nodes that it does not need a few seconds late.
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"))
}

const (
	beat = 50 * time.Millisecond
	life = 500 * time.Millisecond
)

// site is a store that several processes of a test serve.
type site struct {
	store *redis.Store

	mu   sync.Mutex
	gone []string // names whose links were to be closed
}

func newSite(t *testing.T, address string) *site {
	t.Helper()
	store, err := redis.Open(t.Context(), redis.Config{Address: address + "?prefix=" + strings.ToLower(rand.Text()) + ":"})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &site{store: store}
}

// process is one of them.
type process struct {
	*cluster.Node

	lost chan cobrowse.SessionID
	stop func() // ends Run and waits
}

// start adds a process that runs until the test ends or stop is called. A nil store is
// the site's own.
func (s *site) start(t *testing.T, store cluster.Store) *process {
	t.Helper()
	if store == nil {
		store = s.store
	}
	n, err := cluster.New(t.Context(), cluster.Config{
		Store: store, Clock: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Address: "127.0.0.1:1", Beat: beat, Life: life,
		Gone: func(_ context.Context, id string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.gone = append(s.gone, id)
			return nil
		},
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	p := &process{Node: n, lost: make(chan cobrowse.SessionID, 100)}
	n.OnLost(func(id cobrowse.SessionID) { p.lost <- id })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(p.stop)
	return p
}

func (s *site) mourned(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.gone, id)
}

// until waits for something that comes about without telling.
func until(t *testing.T, what string, fn func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for timeout := time.After(20 * time.Second); !fn(); {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("within 20 s it did not come about that %s", what)
		}
	}
}

func wantElsewhere(t *testing.T, err error, owner string) {
	t.Helper()
	e, ok := errors.AsType[*cluster.ElsewhereError](err)
	if !ok || e.Owner != owner || cobridge.CodeOf(err) != cobridge.CodeUnavailable {
		t.Errorf("Hold = %v, want code %q and that it is at %s", err, cobridge.CodeUnavailable, owner)
	}
}

// paused is a store that does not answer while a process is suspended.
type paused struct {
	cluster.Store

	mu sync.Mutex
}

func (p *paused) Beat(ctx context.Context, id string, life time.Duration) (cluster.Present, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Store.Beat(ctx, id, life)
}

func TestRooms(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	t.Run("one room has one owner, which gives it back with the last link", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, server.URL)
		a, b := s.start(t, nil), s.start(t, nil)
		for range 2 {
			if err := a.Hold(t.Context(), "s-1"); err != nil {
				t.Fatalf("Hold: %v", err)
			}
		}
		wantElsewhere(t, b.Hold(t.Context(), "s-1"), a.ID())
		if peer, away, err := b.Route(t.Context(), "s-1"); err != nil || !away || peer.ID != a.ID() || peer.Address != "127.0.0.1:1" {
			t.Errorf("Route = %v, %t, %v; want %s", peer, away, err, a.ID())
		}
		if _, away, err := a.Route(t.Context(), "s-1"); err != nil || away {
			t.Errorf("Route at the owner = %t, %v; want that it is here", away, err)
		}
		first, err := s.store.Owner(t.Context(), "s-1")
		if err != nil || first.Node != a.ID() {
			t.Fatalf("Owner = %v, %v; want %s", first, err, a.ID())
		}
		a.Drop("s-1")
		wantElsewhere(t, b.Hold(t.Context(), "s-1"), a.ID())
		a.Drop("s-1")
		if err := b.Hold(t.Context(), "s-1"); err != nil {
			t.Errorf("Hold after the last Drop: %v", err)
		}
		if second, err := s.store.Owner(t.Context(), "s-1"); err != nil || second.Fence <= first.Fence {
			t.Errorf("Owner = %v, %v; want a number after %d", second, err, first.Fence)
		}
		if stats := a.Stats(); stats.Rooms != 0 || stats.Lost != 0 {
			t.Errorf("Stats = %+v, want no room and none lost", stats)
		}
		b.Drop("s-1")
	})

	t.Run("of many who race for a room one wins", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, server.URL)
		nodes := []*process{s.start(t, nil), s.start(t, nil), s.start(t, nil)}
		for round := range 20 {
			id := cobrowse.SessionID("s-" + string(rune('a'+round)))
			var mu sync.Mutex
			won := map[*process]int{}
			var race sync.WaitGroup
			for _, n := range nodes {
				for range 3 {
					race.Go(func() {
						err := n.Hold(t.Context(), id)
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							won[n]++
						} else if _, ok := errors.AsType[*cluster.ElsewhereError](err); !ok {
							t.Errorf("Hold: %v", err)
						}
					})
				}
			}
			race.Wait()
			if len(won) != 1 {
				t.Fatalf("%d processes have the room, want 1", len(won))
			}
			for n, links := range won {
				if links != 3 {
					t.Errorf("%d of 3 links are in at the owner", links)
				}
				for range links {
					n.Drop(id)
				}
			}
		}
	})

	t.Run("who leaves is mourned, and its room is free", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, server.URL)
		a, b := s.start(t, nil), s.start(t, nil)
		if err := a.Hold(t.Context(), "s-1"); err != nil {
			t.Fatalf("Hold: %v", err)
		}
		a.stop()
		until(t, "the room is taken over", func() bool { return b.Hold(t.Context(), "s-1") == nil })
		b.Drop("s-1")
	})

	t.Run("who is suspended loses its rooms and its name", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, server.URL)
		sleeper := &paused{Store: s.store}
		a, b := s.start(t, sleeper), s.start(t, nil)
		if err := a.Hold(t.Context(), "s-1"); err != nil {
			t.Fatalf("Hold: %v", err)
		}
		before := a.ID()
		sleeper.mu.Lock()
		until(t, "the others have given it up", func() bool { return s.mourned(before) })
		if err := b.Hold(t.Context(), "s-1"); err != nil {
			t.Errorf("Hold after the owner was given up: %v", err)
		}
		sleeper.mu.Unlock()
		if id := <-a.lost; id != "s-1" {
			t.Errorf("lost %s, want s-1", id)
		}
		if a.ID() == before {
			t.Error("it goes on under a name that was given up")
		}
		wantElsewhere(t, a.Hold(t.Context(), "s-1"), b.ID())
		a.Drop("s-1") // of the link that it had
		if l, err := s.store.Owner(t.Context(), "s-1"); err != nil || l.Node != b.ID() {
			t.Errorf("Owner = %v, %v; want %s: the end of an old link takes nothing away", l, err, b.ID())
		}
		if stats := a.Stats(); stats.Lost != 1 || stats.Renamed != 1 {
			t.Errorf("Stats = %+v, want 1 lost room and 1 other name", stats)
		}
		b.Drop("s-1")
	})

	t.Run("while the store is away nobody is given up", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, server.URL)
		stores := []*paused{{Store: s.store}, {Store: s.store}}
		nodes := []*process{s.start(t, stores[0]), s.start(t, stores[1])}
		if err := nodes[0].Hold(t.Context(), "s-1"); err != nil {
			t.Fatalf("Hold: %v", err)
		}
		names := []string{nodes[0].ID(), nodes[1].ID()}
		for _, p := range stores {
			p.mu.Lock()
		}
		until(t, "both lives seem to be over", func() bool {
			p, err := s.store.Peers(t.Context())
			return err == nil && len(p.Peers) == 2 && p.Peers[0].Overdue && p.Peers[1].Overdue
		})
		stores[1].mu.Unlock() // it hears of the store first
		until(t, "it is heard of", func() bool { return nodes[1].Check(t.Context()) == nil })
		stores[0].mu.Unlock()
		until(t, "the other is", func() bool { return nodes[0].Check(t.Context()) == nil })
		if nodes[0].ID() != names[0] || nodes[1].ID() != names[1] || nodes[0].Stats().Rooms != 1 {
			t.Errorf("names %s, %s with %+v; want %q and the room", nodes[0].ID(), nodes[1].ID(), nodes[0].Stats(), names)
		}
		nodes[0].Drop("s-1")
	})

	t.Run("a lease that the store has lost is written again, unless somebody has it", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, server.URL)
		a := s.start(t, nil)
		for _, id := range []cobrowse.SessionID{"s-1", "s-2"} {
			if err := a.Hold(t.Context(), id); err != nil {
				t.Fatalf("Hold: %v", err)
			}
			l, err := s.store.Owner(t.Context(), id)
			if err != nil {
				t.Fatalf("Owner: %v", err)
			}
			if err := s.store.Release(t.Context(), id, l, time.Millisecond); err != nil {
				t.Fatalf("Release: %v", err)
			}
		}
		if _, err := s.store.Take(t.Context(), "s-2", "somebody", "", time.Minute); err != nil {
			t.Fatalf("Take: %v", err)
		}
		if id := <-a.lost; id != "s-2" {
			t.Errorf("lost %s, want s-2", id)
		}
		until(t, "the lease is there again", func() bool {
			l, err := s.store.Owner(t.Context(), "s-1")
			return err == nil && l.Node == a.ID()
		})
		a.Drop("s-1")
		a.Drop("s-2")
	})
}

func TestRoomsOnACluster(t *testing.T) {
	t.Parallel()
	s := newSite(t, testenv.StartRedisCluster(t).URL)
	a, b := s.start(t, nil), s.start(t, nil)
	for i := range 50 {
		id := cobrowse.SessionID("s-" + string(rune('0'+i)))
		if err := a.Hold(t.Context(), id); err != nil {
			t.Fatalf("Hold: %v", err)
		}
		wantElsewhere(t, b.Hold(t.Context(), id), a.ID())
		defer a.Drop(id)
	}
	if stats := b.Stats(); stats.Peers != 2 {
		t.Errorf("Stats = %+v, want 2 peers", stats)
	}
}

// What one tells all hear, also after the server was away; then they are told that
// they may have missed something.
func TestNews(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	s := newSite(t, server.URL)
	a, b := s.start(t, nil), s.start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	heard, missed := make(chan string, 10), make(chan struct{}, 10)
	done := make(chan error, 1)
	go func() {
		done <- b.Listen(ctx, func() { missed <- struct{}{} }, func(text string) { heard <- text })
	}()
	<-missed
	if err := a.Tell(t.Context(), "first"); err != nil {
		t.Fatalf("Tell: %v", err)
	}
	if text := <-heard; text != "first" {
		t.Errorf("heard %q, want first", text)
	}
	server.Kill(t)
	server.Start(t)
	<-missed
	until(t, "the store is back", func() bool { return a.Tell(t.Context(), "second") == nil })
	if text := <-heard; text != "second" {
		t.Errorf("heard %q, want second", text)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Listen = %v, want nil", err)
	}
}

func TestHop(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key := []byte("thirty-two bytes of a test's key")
	r := cluster.Request{Method: "GET", Target: "/stream?tab=1", Host: "cobrowse.example"}
	hop := cluster.Hop{To: "n-1", Client: netip.MustParseAddr("2001:db8::1"), Secure: true, At: now}
	header := hop.Sign(key, r)
	if got, err := cluster.ReadHop(key, r, header, now.Add(20*time.Second)); err != nil || got != hop {
		t.Errorf("ReadHop = %+v, %v; want %+v", got, err, hop)
	}
	other := cluster.Request{Method: "GET", Target: "/stream?tab=2", Host: r.Host}
	for name, read := range map[string]func() (cluster.Hop, error){
		"of another request": func() (cluster.Hop, error) { return cluster.ReadHop(key, other, header, now) },
		"with another key":   func() (cluster.Hop, error) { return cluster.ReadHop(append([]byte("x"), key...), r, header, now) },
		"for another client": func() (cluster.Hop, error) {
			return cluster.ReadHop(key, r, strings.Replace(header, "db8::1", "db8::2", 1), now)
		},
		"that is old":         func() (cluster.Hop, error) { return cluster.ReadHop(key, r, header, now.Add(31*time.Second)) },
		"of times to come":    func() (cluster.Hop, error) { return cluster.ReadHop(key, r, header, now.Add(-31*time.Second)) },
		"without a signature": func() (cluster.Hop, error) { return cluster.ReadHop(key, r, "v1", now) },
		"that is empty":       func() (cluster.Hop, error) { return cluster.ReadHop(key, r, "", now) },
	} {
		if got, err := read(); !errors.Is(err, cluster.ErrHop) {
			t.Errorf("ReadHop of a header %s = %+v, %v; want %v", name, got, err, cluster.ErrHop)
		}
	}
}
