package relay_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cobridge/cobridge/cobrowse/relay"
)

// slowLimits let a viewer fall behind after four frames.
func slowLimits() relay.Limits {
	l := relay.DefaultLimits()
	l.QueueFrames = 4
	return l
}

func TestSlowViewerLosesFramesAndConverges(t *testing.T) {
	t.Parallel()
	inRoom(t, slowLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, slowLimits())
		slow, fast := newViewer(t, "slow", slowLimits()), newViewer(t, "fast", slowLimits())
		room.Join(slow.queue)
		room.Join(fast.queue)
		s.weight = 100_000 // a tail of a few frames is hardly more than the full frame
		s.full()
		slow.take() // and is busy writing it
		fast.read()
		slow.queue.Put(control(`{"t":"state"}`))
		for i := range 100 {
			s.change(i)
			fast.read()
		}
		fast.shows(s.picture)
		if got := room.Quality(slow.queue); got != relay.QualityPoor {
			t.Errorf("quality of the slow one = %q, want poor", got)
		}
		if got := room.Quality(fast.queue); got != relay.QualityGood {
			t.Errorf("quality of the fast one = %q, want good", got)
		}
		before := slow.picture
		slow.read() // has written the first ones at last, and gets what was not dropped
		slow.shows(before)
		if !slices.Equal(slow.others, []string{"state"}) {
			t.Errorf("the slow one got %q besides, want the state", slow.others)
		}
		slow.read()
		slow.shows(s.picture)
		if got := room.Quality(slow.queue); got != relay.QualityFair {
			t.Errorf("quality of the slow one = %q, want fair", got)
		}
		if fast.rebuilds != 1 || slow.rebuilds != 2 {
			t.Errorf("rebuilds of the fast one %d, of the slow one %d, want 1 and 2", fast.rebuilds, slow.rebuilds)
		}
		wantNeeds(t, s.listen())
		if got := room.Stats(); got.Resyncs != 1 || got.Dropped != 5 {
			t.Errorf("stats = %+v, want 1 resync and 5 dropped frames", got)
		}
		pass(time.Minute)
		if got := room.Quality(slow.queue); got != relay.QualityGood {
			t.Errorf("quality of the slow one after a minute = %q, want good", got)
		}
	})
}

func TestSlowViewerWithALongBuffer(t *testing.T) {
	t.Parallel()
	inRoom(t, slowLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, slowLimits())
		slow, fast := newViewer(t, "slow", slowLimits()), newViewer(t, "fast", slowLimits())
		room.Join(slow.queue)
		room.Join(fast.queue)
		s.weight = 1000
		s.full()
		slow.take()
		fast.read()
		for i := range 20 { // more than half a full frame
			s.change(i)
			fast.read()
		}
		slow.read()
		wantNeeds(t, s.listen(), "lag")
		s.full()
		fast.read()
		slow.read()
		for _, v := range []*viewer{slow, fast} {
			v.shows(s.picture)
		}
		if fast.rebuilds != 1 || fast.skips != 1 {
			t.Errorf("the fast one rebuilt %d times and skipped %d, want 1 and 1", fast.rebuilds, fast.skips)
		}

		// Without a sharer the long buffer is better than nothing.
		pass(2 * time.Second)
		s.change(1)
		slow.take()
		for i := range 40 {
			s.change(i)
			fast.read()
		}
		room.SetSharer(nil)
		slow.read()
		slow.read()
		slow.shows(s.picture)
	})
}

// A viewer that is slow all the time gets a new picture ever more rarely.
func TestResyncsAreSpaced(t *testing.T) {
	t.Parallel()
	inRoom(t, slowLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, slowLimits())
		v := newViewer(t, "slow", slowLimits())
		room.Join(v.queue)
		s.weight = 3_000_000
		s.full()
		var at []time.Duration // the first one, and the next once that is written
		start := time.Now()
		for time.Since(start) < 100*time.Second {
			for i := range 6 {
				s.change(i)
			}
			known := v.rebuilds
			v.read()
			if v.rebuilds > known {
				at = append(at, time.Since(start))
			}
			pass(100 * time.Millisecond)
		}
		if got, want := fmt.Sprint(at), "[0s 100ms 2s 6s 14s 30s 1m0s 1m30s]"; got != want {
			t.Errorf("new pictures at %s, want %s", got, want)
		}
		pass(time.Minute)
		v.read()
		v.shows(s.picture)
	})
}

func TestSlowViewerGetsNoMovesForAWhile(t *testing.T) {
	t.Parallel()
	inRoom(t, slowLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, slowLimits())
		slow, fast := newViewer(t, "slow", slowLimits()), newViewer(t, "fast", slowLimits())
		room.Join(slow.queue)
		room.Join(fast.queue)
		s.weight = 1_000_000
		s.full()
		for deadline := time.Now().Add(time.Minute); room.Quality(slow.queue) != relay.QualityPoor && time.Now().Before(deadline); pass(time.Second) {
			slow.read()
			room.Resync(slow.queue)
		}
		slow.read()
		fast.read()
		slow.shows(s.picture)
		if slow.rebuilds != 6 {
			t.Errorf("rebuilds = %d, want the first one and five more", slow.rebuilds)
		}
		for i := range 3 {
			s.move(i + 1)
			room.BroadcastLatest("sam", relay.NewFrame("ptr", []byte(`{"t":"ptr"}`)), nil)
			slow.read()
			fast.read()
		}
		fast.shows(s.picture)
		if slow.moves != 0 || slow.skips != 3 || len(slow.others) != 0 {
			t.Errorf("the slow one got %d moves, %d skips and %q, want 0, 3 and nothing", slow.moves, slow.skips, slow.others)
		}
		if fast.moves != 3 || len(fast.others) != 3 {
			t.Errorf("the fast one got %d moves and %q, want 3 and 3 pointers", fast.moves, fast.others)
		}
		pass(2 * time.Minute)
		slow.read()
		slow.shows(s.picture) // what it missed has been made up for
		s.move(9)
		slow.read()
		slow.shows(s.picture)
	})
}

func TestHiddenViewer(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		s.full()
		v.read()

		room.Hide(v.queue, true)
		room.Hide(v.queue, false) // has missed nothing
		s.change(1)
		v.read()
		v.shows(s.picture)
		if v.rebuilds != 1 {
			t.Errorf("rebuilds = %d, want 1", v.rebuilds)
		}

		room.Hide(v.queue, true)
		for i := range 1000 {
			s.change(i)
		}
		room.Broadcast(control(`{"t":"state"}`), nil)
		room.BroadcastLatest("sam", relay.NewFrame("ptr", []byte(`{"t":"ptr"}`)), nil)
		if got := v.queue.Take(nil); len(got) != 1 || got[0].Kind() != "state" {
			t.Errorf("a hidden viewer got %d frames, want the state alone", len(got))
		}
		v.queue.Written()
		room.Hide(v.queue, false)
		v.read()
		v.shows(s.picture)

		// A second time at once has to wait.
		room.Hide(v.queue, true)
		s.change(1)
		room.Hide(v.queue, false)
		v.read()
		if v.rebuilds != 2 {
			t.Errorf("rebuilds = %d, want 2", v.rebuilds)
		}
		pass(2 * time.Second)
		v.read()
		v.shows(s.picture)
	})
}

func TestBrokenViewerGetsANewPicture(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		s.full()
		v.read()
		v.picture = picture{}
		room.Resync(v.queue)
		v.read()
		v.shows(s.picture)
		for range 100 { // one that asks for ever
			room.Resync(v.queue)
			v.read()
		}
		if v.rebuilds != 2 {
			t.Errorf("rebuilds = %d, want 2", v.rebuilds)
		}
		pass(2 * time.Second)
		v.read()
		if v.rebuilds != 3 {
			t.Errorf("rebuilds = %d, want 3", v.rebuilds)
		}
	})
}

func TestJoinBeforeTheFirstFrame(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		room.Join(v.queue)
		pass(time.Minute)
		wantNeeds(t, s.listen()) // the customer was not yet asked, or is thinking
		s.full()
		v.read()
		v.shows(s.picture)
		if got := room.Stats().Viewers; got != 1 {
			t.Errorf("viewers = %d, want 1", got)
		}
	})
}

func TestLeave(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		v, other := newViewer(t, "ada", relay.DefaultLimits()), newViewer(t, "sam", relay.DefaultLimits())
		room.Join(v.queue)
		room.Join(other.queue)
		s.full()
		v.take() // still writing when it leaves
		room.Resync(v.queue)
		room.Leave(v.queue)
		room.Leave(v.queue)
		s.change(1)
		v.read()
		pass(time.Hour)
		if n := len(v.queue.Take(nil)); n != 0 {
			t.Errorf("%d frames after it left, want none", n)
		}
		other.read()
		other.shows(s.picture)
		if got := room.Quality(v.queue); got != "" {
			t.Errorf("quality of one who left = %q, want none", got)
		}
	})
}

func TestBroadcast(t *testing.T) {
	t.Parallel()
	inRoom(t, slowLimits(), func(t *testing.T, room *relay.Room) {
		a, b := newViewer(t, "ada", slowLimits()), newViewer(t, "sam", slowLimits())
		room.Join(a.queue)
		room.Join(b.queue)
		room.Broadcast(relay.NewFrame("focus", []byte(`{"t":"focus"}`)), nil)
		room.Broadcast(relay.NewFrame("draw", []byte(`{"t":"draw"}`)), a.queue)
		for range 5 {
			room.BroadcastLatest("ada", relay.NewFrame("ptr", []byte(`{"t":"ptr"}`)), a.queue)
		}
		a.read()
		b.read()
		if want := []string{"focus"}; !slices.Equal(a.others, want) {
			t.Errorf("ada got %q, want %q", a.others, want)
		}
		if want := []string{"focus", "draw", "ptr"}; !slices.Equal(b.others, want) {
			t.Errorf("sam got %q, want %q", b.others, want)
		}
		for range 5 {
			room.Broadcast(control(`{"t":"state"}`), nil)
		}
		if !a.queue.Overflowed() {
			t.Error("a queue that took no more is not marked, want overflowed")
		}
	})
}
