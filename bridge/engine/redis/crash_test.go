package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/redis"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

var t0 = time.Date(2026, time.January, 2, 3, 4, 5, 678_000_000, time.UTC)

const org conversations.OrgID = "0a000000-0000-4000-8000-000000000001"

// process is a client between a store and its server: a process that can be killed or
// suspended in the middle of what it does.
type process struct {
	rueidis.Client

	mu      sync.Mutex
	armed   bool
	seen    int // exchanges since it was armed
	at      int // the exchange at which it happens
	after   int // how many commands of that exchange still reach the server
	dead    bool
	reached bool

	suspend, resume chan struct{} // instead of dying, if not nil
}

var errKilled = errors.New("killed")

func (p *process) DoMulti(ctx context.Context, commands ...rueidis.Completed) []rueidis.RedisResult {
	words := commands[0].Commands()
	if slices.Contains(words, redis.LeftoverScript()) || words[0] == "XRANGE" || words[0] == "GET" { // of other goroutines
		return p.Client.DoMulti(ctx, commands...)
	}
	p.mu.Lock()
	dead, here := p.dead, p.armed && p.seen == p.at
	if p.armed {
		p.seen++
	}
	if here {
		p.reached = true
		p.dead = p.suspend == nil
	}
	p.mu.Unlock()
	switch {
	case dead:
		return killed(len(commands))
	case here && p.suspend != nil:
		close(p.suspend)
		<-p.resume
	case here:
		if n := min(p.after, len(commands)); n > 0 {
			p.Client.DoMulti(ctx, commands[:n]...)
		}
		return killed(len(commands))
	}
	return p.Client.DoMulti(ctx, commands...)
}

func killed(n int) []rueidis.RedisResult {
	results := make([]rueidis.RedisResult, n)
	for i := range results {
		results[i] = rueidis.NewErrorResult(errKilled)
	}
	return results
}

func (p *process) hasReached() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reached
}

func (p *process) arm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = true
}

// openBetween opens a store in a process of its own.
func openBetween(t *testing.T, address string, p *process) *redis.Store {
	t.Helper()
	store, err := redis.OpenBetween(t.Context(), redis.Config{Address: address, Log: slog.New(slog.NewTextHandler(t.Output(), nil))},
		func(c rueidis.Client) rueidis.Client {
			p.Client = c
			return p
		})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return store
}

func session(id cobrowse.SessionID) cobrowse.Session {
	return cobrowse.Session{
		ID: id, OrgID: org, ConversationID: "c-1", Token: "123456789", CreatedAt: t0, Deadline: t0.Add(20 * time.Minute),
		DeadlineReason: cobrowse.EndNeverJoined, Version: 1,
	}
}

var (
	talk   = cobrowse.Claim{Kind: cobrowse.ClaimConversation, OrgID: org, Key: "c-1"}
	digits = cobrowse.Claim{Kind: cobrowse.ClaimSessionToken, Key: "123456789"}
	agent  = cobrowse.Claim{Kind: cobrowse.ClaimAgent, OrgID: org, Key: "u-1"}
	repeat = cobrowse.RepeatKey{OrgID: org, ClientID: "client", Route: "POST /x", Key: "k"}
)

func event(s cobrowse.Session, kind cobrowse.EventType) cobrowse.Event {
	return cobrowse.Event{Type: kind, At: t0, OrgID: s.OrgID, SessionID: s.ID, Connection: s.Version}
}

func creating(id cobrowse.SessionID) cobrowse.Change {
	s := session(id)
	return cobrowse.Change{
		At: t0, Session: s, Take: []cobrowse.Claim{talk, digits},
		Redeem:     &cobrowse.RedeemedToken{ID: "jti", ExpiresAt: t0.Add(time.Hour)},
		Repeatable: &cobrowse.Repeatable{RepeatKey: repeat, BodyHash: [32]byte{1}, SessionID: id, ExpiresAt: t0.Add(time.Hour)},
		Events:     []cobrowse.Event{event(s, cobrowse.EventCreated), event(s, cobrowse.EventUpdated)},
	}
}

// joining is the second version: it takes another claim and puts the deadline off.
func joining(id cobrowse.SessionID) cobrowse.Change {
	s := session(id)
	s.Version, s.ActivatedAt, s.Deadline = 2, t0.Add(time.Minute), t0.Add(time.Hour)
	return cobrowse.Change{At: t0, Session: s, Take: []cobrowse.Claim{talk, agent}, Events: []cobrowse.Event{event(s, cobrowse.EventActivated)}}
}

// ending is the third: it gives all claims back.
func ending(id cobrowse.SessionID) cobrowse.Change {
	s := joining(id).Session
	s.Version, s.EndedAt, s.EndReason = 3, t0.Add(2*time.Minute), cobrowse.EndRequested
	return cobrowse.Change{
		At: t0, Session: s, Release: []cobrowse.Release{{Claim: talk}, {Claim: digits, Until: t0.Add(24 * time.Hour)}, {Claim: agent}},
		Events: []cobrowse.Event{event(s, cobrowse.EventEnded)},
	}
}

func mustApply(t *testing.T, s *redis.Store, changes ...cobrowse.Change) {
	t.Helper()
	for _, c := range changes {
		if err := s.Apply(t.Context(), c); err != nil {
			t.Fatalf("Apply of session %s, version %d: %v", c.Session.ID, c.Session.Version, err)
		}
	}
}

// wantWhole checks that everything that is stored is what the session's versions up to
// the given one have left, and that of the later ones there is no trace.
func wantWhole(t *testing.T, s *redis.Store, id cobrowse.SessionID, version uint64) {
	t.Helper()
	ctx := t.Context()
	got, err := s.Session(ctx, id)
	if version == 0 && cobridge.CodeOf(err) != cobridge.CodeNotFound || version > 0 && (err != nil || got.Version != version) {
		t.Errorf("Session = version %d, %v; want version %d", got.Version, err, version)
	}
	for claim, held := range map[cobrowse.Claim]bool{talk: version == 1 || version == 2, digits: version == 1 || version == 2, agent: version == 2} {
		holder, err := s.Holder(ctx, claim)
		if held && holder != id || !held && cobridge.CodeOf(err) != cobridge.CodeNotFound {
			t.Errorf("Holder of %s = %q, %v; want held: %t", claim.Kind, holder, err, held)
		}
	}
	if last, err := s.Retired(ctx, digits, t0.Add(time.Hour)); (version == 3) != (last == id) {
		t.Errorf("Retired = %q, %v at version %d", last, err, version)
	}
	if used, err := s.Redeemed(ctx, "jti", t0); err != nil || used != (version > 0) {
		t.Errorf("Redeemed = %t, %v at version %d", used, err, version)
	}
	if r, err := s.Repeatable(ctx, repeat, t0); (version > 0) != (err == nil && r.SessionID == id && r.BodyHash == [32]byte{1}) {
		t.Errorf("Repeatable = %+v, %v at version %d", r, err, version)
	}
	states := map[uint64]cobrowse.State{1: cobrowse.StateIdle, 2: cobrowse.StateActive, 3: cobrowse.StateEnded}
	for _, state := range states {
		for _, q := range []cobrowse.Query{{OrgID: org}, {OrgID: org, ConversationID: "c-1"}, {OrgID: org, Attached: true}, {}} {
			q.States, q.Limit = []cobrowse.State{state}, 10
			want := 0
			if states[version] == state {
				want = 1
			}
			if found, total, err := s.Sessions(ctx, q); err != nil || total != want || len(found) != want {
				t.Errorf("Sessions(%+v) = %d of %d, %v; want %d at version %d", q, len(found), total, err, want, version)
			}
		}
	}
	deadlines := map[uint64]time.Time{1: t0.Add(20 * time.Minute), 2: t0.Add(time.Hour)}
	for _, at := range deadlines {
		mine, live := deadlines[version]
		if ids, err := s.Overdue(ctx, at, 10); err != nil || (len(ids) == 1) != (live && !mine.After(at)) {
			t.Errorf("Overdue(%v) = %q, %v at version %d", at, ids, err, version)
		}
	}
	if stats, err := s.Stats(ctx); err != nil || stats.Unfinished != 0 {
		t.Errorf("Stats = %+v, %v; want nothing unfinished", stats, err)
	}
	wantEvents(t, s, version)
}

// wantNothingLeft checks that all of the session's changes were carried out and are
// known to be.
func wantNothingLeft(t *testing.T, s *redis.Store, id cobrowse.SessionID) {
	t.Helper()
	left, err := s.Raw().Do(t.Context(), s.Raw().B().Llen().Key(s.SessionKeys(string(id))[1]).Build()).AsInt64()
	if err != nil || left != 0 {
		t.Errorf("%d changes are left in the outbox, %v", left, err)
	}
}

// wantEvents checks that the events of each version came once and in order, and none else.
func wantEvents(t *testing.T, s *redis.Store, version uint64) {
	t.Helper()
	want := [][]cobrowse.EventType{{cobrowse.EventCreated, cobrowse.EventUpdated}, {cobrowse.EventActivated}, {cobrowse.EventEnded}}
	types := append(slices.Concat(want[:version]...), "marker")
	last := cobrowse.Change{At: t0, Session: cobrowse.Session{ID: cobrowse.SessionID("marker-" + strings.ToLower(t.Name())), OrgID: "other", CreatedAt: t0, EndedAt: t0, Version: 1}}
	last.Events = []cobrowse.Event{{Type: "marker", At: t0}}
	mustApply(t, s, last)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []cobrowse.EventType
	err := s.Follow(ctx, "check", nil, func(_ context.Context, e cobrowse.Event) error {
		if got = append(got, e.Type); e.Type == "marker" {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || !slices.Equal(got, types) {
		t.Errorf("events = %q, %v; want %q", got, err, types)
	}
}

// A process is killed at each exchange of a change, with each part of the exchange's
// commands done. Whatever is left, another process makes the change whole or undoes it.
func TestKilledInTheMiddleOfAChange(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	const id cobrowse.SessionID = "s-1"
	all := []cobrowse.Change{creating(id), joining(id), ending(id)}
	for version, name := range []string{"create", "join", "end"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cuts, committed := 0, 0
			for exchange := range 10 {
				for after := range 20 {
					p := &process{at: exchange, after: after}
					address := fresh(server.URL)
					store := openBetween(t, address, p)
					mustApply(t, store, all[:version]...)
					p.arm()
					err := store.Apply(t.Context(), all[version])
					if !p.hasReached() {
						if err != nil || cuts < 4 || committed == 0 || committed == cuts {
							t.Fatalf("Apply = %v after %d cuts, %d of them committed", err, cuts, committed)
						}
						return // it is not so long
					}
					cuts++
					if !testSurvivor(t, address, id, all, version, err, &committed) {
						t.Fatalf("exchange %d after %d commands", exchange, after)
					}
					if after >= 8 {
						break
					}
				}
			}
			t.Fatal("Apply takes more than 10 exchanges")
		})
	}
}

// testSurvivor checks what a killed process has left, and goes on with the session.
func testSurvivor(t *testing.T, address string, id cobrowse.SessionID, all []cobrowse.Change, version int, err error, committed *int) bool {
	t.Helper()
	survivor := mustOpen(t, address)
	defer func() {
		if err := survivor.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	if _, err := survivor.FinishLeftovers(t.Context(), 0); err != nil {
		t.Errorf("FinishLeftovers: %v", err)
	}
	stored := uint64(version)
	if got, err := survivor.Session(t.Context(), id); err == nil && got.Version > stored {
		stored++
		*committed++
	}
	if err == nil && stored == uint64(version) {
		t.Error("Apply = nil, and nothing is stored")
	}
	wantWhole(t, survivor, id, stored)
	for _, c := range all[stored:] { // nothing that was left stands in the way
		mustApply(t, survivor, c)
	}
	if stored < uint64(len(all)) {
		wantNothingLeft(t, survivor, id)
	} else {
		mustApply(t, survivor, func() cobrowse.Change {
			c := creating("s-2")
			c.Redeem, c.Repeatable, c.Take = nil, nil, c.Take[:1]
			return c
		}())
	}
	return !t.Failed()
}

// The same, but nobody finishes leftovers: the next who wants the conversation does.
func TestKilledAndTheConversationIsWanted(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	for exchange := range 5 {
		t.Run(fmt.Sprint("exchange ", exchange), func(t *testing.T) {
			t.Parallel()
			for _, after := range []int{0, 3, 100} {
				p := &process{at: exchange, after: after}
				address := fresh(server.URL)
				store, survivor := openBetween(t, address, p), mustOpen(t, address)
				p.arm()
				_ = store.Apply(t.Context(), creating("s-1")) // nobody hears its answer
				other := creating("s-2")
				other.Redeem, other.Repeatable = nil, nil
				err := survivor.Apply(t.Context(), other)
				_, lost := survivor.Session(t.Context(), "s-1")
				claimed, refused := errors.AsType[*cobrowse.ClaimedError](err)
				switch {
				case lost == nil && (!refused || claimed.Holder != "s-1" || claimed.Claim != talk):
					t.Errorf("after %d commands: Apply = %v although s-1 is stored", after, err)
				case lost != nil && err != nil:
					t.Errorf("after %d commands: Apply = %v although s-1 is not stored", after, err)
				}
			}
		})
	}
}

// A process is suspended in the middle of a create, and another does not wait for it.
func TestSuspendedBeforeItsCommit(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	p := &process{at: 1, suspend: make(chan struct{}), resume: make(chan struct{})}
	address := fresh(server.URL)
	store, other := openBetween(t, address, p), mustOpen(t, address)
	p.arm()
	answer := make(chan error, 1)
	go func() { answer <- store.Apply(t.Context(), creating("s-1")) }()
	<-p.suspend
	second := creating("s-2")
	mustApply(t, other, second)
	close(p.resume)
	if err := <-answer; !errors.Is(err, cobrowse.ErrRepeated) {
		t.Errorf("Apply of the suspended process = %v, want %v", err, cobrowse.ErrRepeated)
	}
	wantWhole(t, other, "s-2", 1)
	wantNothingLeft(t, other, "s-2")
}

// A process is suspended after its commit. What it does when it goes on changes nothing
// of what was done meanwhile.
func TestSuspendedAfterItsCommit(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	for _, exchange := range []int{2, 3} {
		p := &process{at: exchange, suspend: make(chan struct{}), resume: make(chan struct{})}
		address := fresh(server.URL)
		store, other := openBetween(t, address, p), mustOpen(t, address)
		p.arm()
		answer := make(chan error, 1)
		go func() { answer <- store.Apply(t.Context(), creating("s-1")) }()
		<-p.suspend
		mustApply(t, other, joining("s-1"), ending("s-1"))
		next := creating("s-2")
		next.Take, next.Redeem, next.Repeatable, next.Events = next.Take[:1], nil, nil, nil
		next.Session.OrgID, next.Session.ConversationID = "elsewhere", ""
		next.Session.EndedAt = t0
		mustApply(t, other, next)
		close(p.resume)
		if err := <-answer; err != nil {
			t.Errorf("Apply = %v although it was committed", err)
		}
		if holder, err := other.Holder(t.Context(), talk); holder != "s-2" {
			t.Errorf("Holder = %q, %v; want s-2", holder, err)
		}
		give := next
		give.Session.Version = 2
		if err := other.Apply(t.Context(), give); !errors.Is(err, cobrowse.ErrStale) {
			t.Errorf("Apply to an ended session = %v, want %v", err, cobrowse.ErrStale)
		}
		wantEvents(t, other, 3)
		wantNothingLeft(t, other, "s-1")
	}
}

// A process is suspended before it gives a claim back that the session then takes again.
func TestSuspendedBeforeARelease(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	p := &process{at: 2, suspend: make(chan struct{}), resume: make(chan struct{})}
	address := fresh(server.URL)
	store, other := openBetween(t, address, p), mustOpen(t, address)
	mustApply(t, other, creating("s-1"))
	p.arm()
	give, take := joining("s-1"), joining("s-1")
	give.Take, give.Release = nil, []cobrowse.Release{{Claim: talk}}
	take.Session.Version, take.Take = 3, []cobrowse.Claim{talk}
	answer := make(chan error, 1)
	go func() { answer <- store.Apply(t.Context(), give) }()
	<-p.suspend
	mustApply(t, other, take)
	close(p.resume)
	if err := <-answer; err != nil {
		t.Errorf("Apply = %v although it was committed", err)
	}
	if holder, err := other.Holder(t.Context(), talk); holder != "s-1" {
		t.Errorf("Holder = %q, %v; want s-1, which took it again", holder, err)
	}
	if _, err := other.FinishLeftovers(t.Context(), 0); err != nil {
		t.Errorf("FinishLeftovers: %v", err)
	}
	second := creating("s-2")
	second.Redeem, second.Repeatable = nil, nil
	if claimed, ok := errors.AsType[*cobrowse.ClaimedError](other.Apply(t.Context(), second)); !ok || claimed.Holder != "s-1" {
		t.Errorf("another create of the conversation = %v, want it refused for s-1", claimed)
	}
}
