package enginetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
)

func eventTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"events come in order, with what was stored of them":          testEventOrder,
		"an unnamed follower hears of what is committed after ready":  testUnnamed,
		"a name goes on where it was, over restarts":                  testNamed,
		"names do not disturb one another":                            testNames,
		"a failed event comes again, and none after it before":        testEventFails,
		"errors of an unnamed follower are ignored":                   testUnnamedFails,
		"Follow returns the context's error":                          testFollowEnds,
		"a handler can read and write the store":                      testHandlerUsesStore,
		"many followers hear of everything while many write":          testManyFollowers,
		"a slow follower does not hold up writers or other followers": testSlowFollower,
		"a follower that is far behind misses nothing":                testFarBehind,
		"a reader of an event reads the session of it or a later one": testEventThenRead,
		"sequence numbers grow, over restarts and emptied stores":     testSequence,
		"each session's events have the order of its changes":         testOrderPerSession,
	}
}

// withEvents returns a change that creates a session with n events.
func withEvents(id string, n int) cobrowse.Change {
	c := change(session(id, ""))
	for i := range n {
		ev := event(c.Session, cobrowse.EventUpdated)
		ev.Connection = uint64(i)
		c.Events = append(c.Events, ev)
	}
	return c
}

// collect follows under a name until n events have come.
func collect(t *testing.T, e Engine, name string, n int) []cobrowse.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []cobrowse.Event
	err := e.Follow(ctx, name, nil, func(_ context.Context, ev cobrowse.Event) error {
		if got = append(got, ev); len(got) == n {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Follow(%q) = %v after %d of %d events", name, err, len(got), n)
	}
	return got
}

// following is a follower in a goroutine of its own.
type following struct {
	events chan cobrowse.Event
	stop   func() error // ends it and returns what Follow returned
}

// follow starts a follower and returns when it is in place.
func follow(t *testing.T, e Engine, name string, room int) following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := following{events: make(chan cobrowse.Event, room)}
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- e.Follow(ctx, name, func() { close(ready) }, func(ctx context.Context, ev cobrowse.Event) error {
			select {
			case f.events <- ev:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	f.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = f.stop() })
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatalf("Follow = %v before it was ready", err)
	case <-time.After(time.Minute):
		t.Fatal("the follower was not ready within a minute")
	}
	return f
}

func (f following) take(t *testing.T, n int) []cobrowse.Event {
	t.Helper()
	var got []cobrowse.Event
	timeout := time.After(time.Minute)
	for len(got) < n {
		select {
		case ev := <-f.events:
			got = append(got, ev)
		case <-timeout:
			t.Fatalf("%d of %d events within a minute", len(got), n)
		}
	}
	return got
}

// wantNoEvents checks that no event was ever stored: the first that comes is a marker.
func wantNoEvents(t *testing.T, e Engine) {
	t.Helper()
	mustApply(t, e, withEvents("marker", 1))
	if got := collect(t, e, "no events", 1)[0]; got.SessionID != "marker" {
		t.Errorf("there is an event of session %s, want none", got.SessionID)
	}
}

// unnumbered returns the events without what the engine adds.
func unnumbered(events []cobrowse.Event) []cobrowse.Event {
	out := make([]cobrowse.Event, 0, len(events))
	for _, ev := range events {
		ev.Sequence = 0
		out = append(out, ev)
	}
	return out
}

func wantGrowing(t *testing.T, events []cobrowse.Event) {
	t.Helper()
	for i := 1; i < len(events); i++ {
		if events[i].Sequence <= events[i-1].Sequence {
			t.Errorf("sequence %d follows %d, want growing ones", events[i].Sequence, events[i-1].Sequence)
		}
	}
}

func testEventOrder(t *testing.T, e Engine) {
	first, second := withEvents("s-1", 3), withEvents("s-2", 2)
	second.Events[1] = cobrowse.Event{Type: cobrowse.EventEnded, At: t0.Add(-time.Hour), OrgID: otherOrg, SessionID: "ä", EndReason: cobrowse.EndInactive}
	mustApply(t, e, first, second)
	want := append(unnumbered(first.Events), unnumbered(second.Events)...)
	for _, name := range []string{"a", "b"} {
		got := collect(t, e, name, len(want))
		wantSame(t, "events", unnumbered(got), want)
		wantGrowing(t, got)
		if got[0].Sequence == 0 {
			t.Error("the first event has sequence 0, want one given by the engine")
		}
		e = e.Reopen(t)
	}
}

func testUnnamed(t *testing.T, e Engine) {
	mustApply(t, e, withEvents("before", 2))
	f := follow(t, e, "", 10)
	mustApply(t, e, withEvents("after", 1))
	if got := f.take(t, 1)[0].SessionID; got != "after" {
		t.Errorf("the first event is of session %q, want the one committed after ready", got)
	}
	wantIs(t, "Follow", f.stop(), context.Canceled)
	again := follow(t, e, "", 10) // has no memory
	mustApply(t, e, withEvents("later", 1))
	if got := again.take(t, 1)[0].SessionID; got != "later" {
		t.Errorf("the first event of the second follower is of session %q, want later", got)
	}
}

func testNamed(t *testing.T, e Engine) {
	for round := range 4 {
		c := withEvents(fmt.Sprintf("s-%d", round), 3)
		mustApply(t, e, c)
		// It stops of its own accord, so all it has handled is known to be handled.
		wantSame(t, fmt.Sprintf("round %d", round), unnumbered(collect(t, e, "name", 3)), unnumbered(c.Events))
		if round%2 == 1 {
			e = e.Reopen(t)
		}
	}
}

func testNames(t *testing.T, e Engine) {
	mustApply(t, e, withEvents("s-1", 2))
	collect(t, e, "a", 2)
	if got := collect(t, e, "b", 1)[0].SessionID; got != "s-1" {
		t.Errorf("the first event of b is of %q, want s-1 although a has handled it", got)
	}
	mustApply(t, e, withEvents("s-2", 1))
	if got := collect(t, e, "a", 1)[0].SessionID; got != "s-2" {
		t.Errorf("the next event of a is of %q, want s-2", got)
	}
	if got := collect(t, e, "b", 1)[0]; got.SessionID != "s-1" || got.Connection != 1 {
		t.Errorf("the next event of b is %+v, want the second of s-1", got)
	}
}

func testEventFails(t *testing.T, e Engine) {
	mustApply(t, e, withEvents("s-1", 3))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var calls []uint64
	err := e.Follow(ctx, "name", nil, func(_ context.Context, ev cobrowse.Event) error {
		calls = append(calls, ev.Connection)
		if ev.Connection == 1 && len(calls) < 4 {
			return errors.New("not now")
		}
		if ev.Connection == 2 {
			cancel()
		}
		return nil
	})
	wantIs(t, "Follow", err, context.Canceled)
	wantSame(t, "events the handler was called with", calls, []uint64{0, 1, 1, 1, 2})

	// What failed when the follower ended comes again.
	mustApply(t, e, withEvents("s-2", 1))
	failing, stop := context.WithCancel(t.Context())
	err = e.Follow(failing, "name", nil, func(context.Context, cobrowse.Event) error {
		stop()
		return errors.New("not now")
	})
	wantIs(t, "Follow", err, context.Canceled)
	e = e.Reopen(t)
	if got := collect(t, e, "name", 1)[0].SessionID; got != "s-2" {
		t.Errorf("the event after a restart is of %q, want the failed one of s-2", got)
	}
}

func testUnnamedFails(t *testing.T, e Engine) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var calls []uint64
	ready := func() {
		if err := e.Apply(ctx, withEvents("s-1", 3)); err != nil {
			t.Errorf("Apply = %v", err)
		}
	}
	err := e.Follow(ctx, "", ready, func(_ context.Context, ev cobrowse.Event) error {
		if calls = append(calls, ev.Connection); ev.Connection == 2 {
			cancel()
		}
		return errors.New("never")
	})
	wantIs(t, "Follow", err, context.Canceled)
	wantSame(t, "events the handler was called with", calls, []uint64{0, 1, 2})
}

func testFollowEnds(t *testing.T, e Engine) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"", "name"} {
		wantIs(t, "Follow with an ended context", e.Follow(ctx, name, nil, func(context.Context, cobrowse.Event) error {
			t.Error("the handler was called")
			return nil
		}), context.Canceled)
		late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
		wantIs(t, "Follow past a deadline", e.Follow(late, name, nil, func(context.Context, cobrowse.Event) error { return nil }), context.DeadlineExceeded)
		stop()
	}
}

func testHandlerUsesStore(t *testing.T, e Engine) {
	mustApply(t, e, withEvents("s-1", 1))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := e.Follow(ctx, "name", nil, func(ctx context.Context, ev cobrowse.Event) error {
		s, err := e.Session(ctx, ev.SessionID)
		if err != nil {
			return err
		}
		if s.Version == 5 {
			cancel()
			return nil
		}
		c := change(next(s))
		c.Events = []cobrowse.Event{event(s, cobrowse.EventUpdated)}
		return e.Apply(ctx, c)
	})
	wantIs(t, "Follow", err, context.Canceled)
}

func testManyFollowers(t *testing.T, e Engine) {
	const followers, writers, each = 20, 8, 25
	var all []following
	for i := range followers {
		name := ""
		if i%4 == 0 {
			name = fmt.Sprintf("name-%d", i)
		}
		all = append(all, follow(t, e, name, 10))
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		race(writers, func(w int) {
			for i := range each {
				if err := e.Apply(t.Context(), withEvents(fmt.Sprintf("s-%d-%d", w, i), 2)); err != nil {
					t.Errorf("Apply = %v", err)
				}
			}
		})
	})
	var reading sync.WaitGroup
	for _, f := range all {
		reading.Go(func() {
			seen := map[cobrowse.SessionID]int{}
			var latest uint64
			for range 2 * writers * each {
				select {
				case ev := <-f.events:
					if ev.Sequence <= latest {
						t.Errorf("sequence %d came after %d", ev.Sequence, latest)
					}
					latest = ev.Sequence
					seen[ev.SessionID]++
				case <-time.After(time.Minute):
					t.Errorf("only events of %d sessions came", len(seen))
					return
				}
			}
			if len(seen) != writers*each {
				t.Errorf("events of %d sessions came, want %d", len(seen), writers*each)
			}
		})
	}
	reading.Wait()
	writing.Wait()
}

func testSlowFollower(t *testing.T, e Engine) {
	follow(t, e, "", 0) // nobody takes its events
	follow(t, e, "stuck", 0)
	quick := follow(t, e, "", 10)
	for i := range 100 {
		mustApply(t, e, withEvents(fmt.Sprintf("s-%d", i), 1))
		if got, want := quick.take(t, 1)[0].SessionID, cobrowse.SessionID(fmt.Sprintf("s-%d", i)); got != want {
			t.Fatalf("event of %q, want %q", got, want)
		}
	}
}

func testFarBehind(t *testing.T, e Engine) {
	const n, each = 40, 100 // more than an engine may keep at hand
	behind := follow(t, e, "", 0)
	race(n, func(i int) {
		if err := e.Apply(t.Context(), withEvents(fmt.Sprintf("s-%d", i), each)); err != nil {
			t.Errorf("Apply = %v", err)
		}
	})
	for _, events := range [][]cobrowse.Event{behind.take(t, n*each), collect(t, e, "name", n*each)} {
		wantGrowing(t, events)
		for i, ev := range events {
			if got, want := ev.Connection, uint64(i%each); got != want {
				t.Fatalf("event %d is number %d of its change, want %d", i, got, want)
			}
		}
	}
}

func testEventThenRead(t *testing.T, e Engine) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const changes = 30
	s := session("s-1", "")
	ready := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		<-ready
		for range changes {
			c := change(s)
			c.Events = []cobrowse.Event{event(s, cobrowse.EventUpdated)}
			c.Events[0].Connection = s.Version
			if err := e.Apply(ctx, c); err != nil {
				t.Errorf("Apply = %v", err)
			}
			s = next(s)
		}
	})
	err := e.Follow(ctx, "", func() { close(ready) }, func(ctx context.Context, ev cobrowse.Event) error {
		read, err := e.Session(ctx, ev.SessionID)
		if err != nil || read.Version < ev.Connection {
			t.Errorf("after the event of version %d, Session = version %d, %v", ev.Connection, read.Version, err)
		}
		if ev.Connection == changes {
			cancel()
		}
		return nil
	})
	writing.Wait()
	wantIs(t, "Follow", err, context.Canceled)
}

func testSequence(t *testing.T, e Engine) {
	var all []cobrowse.Event
	for i := range 3 {
		mustApply(t, e, withEvents(fmt.Sprintf("s-%d", i), 2))
		all = append(all, collect(t, e, "name", 2)...)
		_, err := e.Purge(t.Context(), cobrowse.Purge{Events: t0.AddDate(1, 0, 0)}, 100)
		mustStore(t, err)
		e = e.Reopen(t)
	}
	wantGrowing(t, all)
}

func testOrderPerSession(t *testing.T, e Engine) {
	f := follow(t, e, "", 1000)
	const writers, each = 8, 20
	race(writers, func(w int) {
		s := session(fmt.Sprintf("s-%d", w), "")
		for range each {
			c := change(s)
			c.Events = []cobrowse.Event{event(s, cobrowse.EventUpdated)}
			c.Events[0].Connection = s.Version
			if err := e.Apply(t.Context(), c); err != nil {
				t.Errorf("Apply = %v", err)
			}
			s = next(s)
		}
	})
	latest := map[cobrowse.SessionID]uint64{}
	for _, ev := range f.take(t, writers*each) {
		if ev.Connection != latest[ev.SessionID]+1 {
			t.Errorf("session %s: the event of version %d follows that of %d", ev.SessionID, ev.Connection, latest[ev.SessionID])
		}
		latest[ev.SessionID] = ev.Connection
	}
}
