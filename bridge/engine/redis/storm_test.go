package redis_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/redis"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// talks is the number of conversations that are fought over.
const talks = 12

// Processes that are killed at random in the middle of what they do create, change and
// end sessions of a few conversations. In the end everything fits together: nothing that
// was acknowledged is missing, no conversation has two live sessions, indexes, claims and
// events say what the records say.
func TestProcessesThatDie(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	address := fresh(server.URL)
	const workers, mortal, deaths = 8, 6, 30
	var mu sync.Mutex
	acknowledged := map[cobrowse.SessionID]uint64{} // version
	told := map[cobrowse.SessionID]bool{}           // as holder
	note := func(s cobrowse.Session) {
		mu.Lock()
		defer mu.Unlock()
		acknowledged[s.ID] = max(acknowledged[s.ID], s.Version)
	}
	var working, dying sync.WaitGroup
	buried := make(chan struct{}) // all of those that die
	for w := range workers {
		group, lives := &working, 1
		if w < mortal {
			group, lives = &dying, deaths
		}
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w))) // the same each time
			for life := range lives {
				p := &process{at: random.IntN(80), after: random.IntN(6)}
				store := openBetween(t, address, p)
				if w < mortal {
					p.arm()
				}
				for turn := 0; !p.hasReached(); turn++ {
					select {
					case <-buried:
						return
					default:
					}
					id := cobrowse.SessionID(fmt.Sprintf("s-%d-%d-%d", w, life, turn))
					talk := conversations.ID(fmt.Sprint("c-", random.IntN(talks)))
					c := created(id, talk)
					c.Events[0].Connection = 1
					err := store.Apply(t.Context(), c)
					if err == nil {
						note(c.Session)
						continue
					}
					claimed, lost := errors.AsType[*cobrowse.ClaimedError](err)
					if !lost {
						wantDead(t, p, err)
						continue
					}
					mu.Lock()
					told[claimed.Holder] = true
					mu.Unlock()
					change(t, store, p, claimed.Holder, random, note)
				}
				if err := store.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		})
	}
	dying.Wait()
	close(buried)
	working.Wait()
	survivor := mustOpen(t, address)
	if _, err := survivor.FinishLeftovers(t.Context(), 0); err != nil {
		t.Fatalf("FinishLeftovers: %v", err)
	}
	checkStorm(t, survivor, acknowledged, told)
}

// change changes or ends the session that stands in the way.
func change(t *testing.T, store *redis.Store, p *process, id cobrowse.SessionID, random *rand.Rand, note func(cobrowse.Session)) {
	t.Helper()
	s, err := store.Session(t.Context(), id)
	if err != nil {
		wantDead(t, p, err)
		return
	}
	if !s.Live() {
		return
	}
	claim := cobrowse.Claim{Kind: cobrowse.ClaimConversation, OrgID: org, Key: string(s.ConversationID)}
	s.Version++
	c := cobrowse.Change{At: t0, Session: s, Events: []cobrowse.Event{event(s, cobrowse.EventUpdated)}}
	switch random.IntN(3) {
	case 0:
		c.Session.ActivatedAt = t0
		c.Take = []cobrowse.Claim{claim} // that it has
	default:
		c.Session.EndedAt = t0
		c.Release = []cobrowse.Release{{Claim: claim}}
	}
	switch err := store.Apply(t.Context(), c); {
	case err == nil:
		note(c.Session)
	case !errors.Is(err, cobrowse.ErrStale):
		wantDead(t, p, err)
	}
}

// wantDead: only a process that was killed hears of errors.
func wantDead(t *testing.T, p *process, err error) {
	t.Helper()
	if !p.hasReached() || cobridge.CodeOf(err) != cobridge.CodeUnavailable {
		t.Errorf("error %v of a process that was killed: %t", err, p.hasReached())
	}
}

func checkStorm(t *testing.T, s *redis.Store, acknowledged map[cobrowse.SessionID]uint64, told map[cobrowse.SessionID]bool) {
	t.Helper()
	ctx := t.Context()
	stored := map[cobrowse.SessionID]cobrowse.Session{}
	live := map[conversations.ID]cobrowse.SessionID{}
	keys, err := s.Raw().Do(ctx, s.Raw().B().Keys().Pattern(s.Key("session{*")).Build()).AsStrSlice()
	if err != nil {
		t.Fatalf("KEYS: %v", err)
	}
	for _, key := range keys {
		id := cobrowse.SessionID(strings.Trim(strings.TrimPrefix(key, s.Key("session")), "{}"))
		one, err := s.Session(ctx, id)
		if err != nil {
			t.Fatalf("Session(%s): %v", id, err)
		}
		stored[id] = one
		if !one.Live() {
			continue
		}
		if other := live[one.ConversationID]; other != "" {
			t.Errorf("conversation %s has the live sessions %s and %s", one.ConversationID, id, other)
		}
		live[one.ConversationID] = id
	}
	for id, version := range acknowledged {
		if stored[id].Version < version {
			t.Errorf("session %s has version %d, want %d, which was acknowledged", id, stored[id].Version, version)
		}
	}
	for id := range told {
		if _, ok := stored[id]; !ok {
			t.Errorf("session %s is not stored, but was said to hold a conversation", id)
		}
	}
	for i := range talks {
		talk := conversations.ID(fmt.Sprint("c-", i))
		holder, _ := s.Holder(ctx, cobrowse.Claim{Kind: cobrowse.ClaimConversation, OrgID: org, Key: string(talk)})
		if holder != live[talk] {
			t.Errorf("conversation %s is held by %q, its live session is %q", talk, holder, live[talk])
		}
	}
	defer func() { // what nobody holds can be had at once
		soon, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		for i := range talks {
			if talk := conversations.ID(fmt.Sprint("c-", i)); live[talk] == "" {
				if err := s.Apply(soon, created(cobrowse.SessionID("late-"+talk), talk)); err != nil {
					t.Errorf("Apply for conversation %s, which nobody holds = %v", talk, err)
				}
			}
		}
	}()
	for state, want := range map[cobrowse.State]func(cobrowse.Session) bool{
		cobrowse.StateIdle:   func(s cobrowse.Session) bool { return s.State() == cobrowse.StateIdle },
		cobrowse.StateActive: func(s cobrowse.Session) bool { return s.State() == cobrowse.StateActive },
		cobrowse.StateEnded:  func(s cobrowse.Session) bool { return s.State() == cobrowse.StateEnded },
	} {
		n := 0
		for _, one := range stored {
			if want(one) {
				n++
			}
		}
		found, total, err := s.Sessions(ctx, cobrowse.Query{OrgID: org, States: []cobrowse.State{state}, Limit: 10000})
		if err != nil || total != n || len(found) != n {
			t.Errorf("Sessions lists %d of %d that are %s, %v; want %d", len(found), total, state, err, n)
		}
	}
	if stats, err := s.Stats(ctx); err != nil || stats.Unfinished != 0 || int(stats.LiveSessions) != len(live) {
		t.Errorf("Stats = %+v, %v; want %d live sessions and nothing unfinished", stats, err, len(live))
	}
	if len(stored) < 100 {
		t.Errorf("only %d sessions were stored: that tells nothing", len(stored))
	}
	checkEvents(t, s, stored)
}

// checkEvents checks that the events of each session are those of its versions, each once
// and in order.
func checkEvents(t *testing.T, s *redis.Store, stored map[cobrowse.SessionID]cobrowse.Session) {
	t.Helper()
	want := uint64(0)
	for _, one := range stored {
		want += one.Version
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen, n := map[cobrowse.SessionID]uint64{}, uint64(0)
	err := s.Follow(ctx, "check", nil, func(_ context.Context, e cobrowse.Event) error {
		if e.Connection != seen[e.SessionID]+1 {
			t.Errorf("session %s: the event of version %d follows that of %d", e.SessionID, e.Connection, seen[e.SessionID])
		}
		seen[e.SessionID] = e.Connection
		if n++; n == want {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Follow = %v after %d of %d events", err, n, want)
	}
}
