package relay_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobridge/cobridge/cobrowse/relay"
)

func TestRelay(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		early := newViewer(t, "early", relay.DefaultLimits())
		room.Join(early.queue)
		s.full()
		s.change(1)
		s.change(2)
		early.read()
		early.shows(s.picture)

		late := newViewer(t, "late", relay.DefaultLimits())
		room.Join(late.queue)
		s.change(3)
		late.read()
		late.shows(s.picture)
		early.read()
		early.shows(s.picture)
		if e, n := room.Have(); e != 1 || n != 4 {
			t.Errorf("Have = %d, %d, want 1, 4", e, n)
		}
		wantNeeds(t, s.listen())
		if early.rebuilds != 1 || late.rebuilds != 1 {
			t.Errorf("rebuilds = %d and %d, want one each", early.rebuilds, late.rebuilds)
		}
	})
}

func TestFramesAreRelayedByteForByte(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		full := evFrame(1, 1, "full", fullEvents(""))
		change := evFrame(1, 2, "", ` {"type":3, "data":{"source":0}, "odd\u0020name":[1.50,"\u00e9"]} `)
		for _, data := range [][]byte{full, change} {
			if err := room.Receive([]byte(string(data))); err != nil {
				t.Fatal(err)
			}
		}
		got := v.queue.Take(nil)
		if len(got) != 3 || string(got[1].Payload()) != string(full) || string(got[2].Payload()) != string(change) {
			t.Errorf("got %d frames, want a sync and the two as they were sent", len(got))
		}
	})
}

// A reader that asks for more memory than it needs must not make the buffer pay for it.
func TestBufferKeepsNoSpareMemory(t *testing.T) {
	t.Parallel()
	room := relay.NewRooms(relay.DefaultLimits()).Open()
	defer room.Close()
	v := newViewer(t, "ada", relay.DefaultLimits())
	room.Join(v.queue)
	data := append(make([]byte, 0, 1<<20), evFrame(1, 1, "full", fullEvents(""))...)
	if err := room.Receive(data); err != nil {
		t.Fatal(err)
	}
	got := v.queue.Take(nil)[1].Payload()
	if string(got) != string(data) || cap(got) > 2*len(data) {
		t.Errorf("keeps %d bytes for a frame of %d", cap(got), len(data))
	}
}

func TestCheckoutIsSkippedByThoseInSync(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		s.full()
		s.change(1)
		s.full()
		s.change(2)
		v.read()
		v.shows(s.picture)
		if v.rebuilds != 1 || v.skips != 1 {
			t.Errorf("rebuilds %d, skips %d, want 1 and 1", v.rebuilds, v.skips)
		}
	})
}

func TestDuplicatesAreDropped(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		s.full()
		s.change(1)
		for seq := range uint64(2) { // after a reconnect
			s.ok(room.Receive(evFrame(1, seq+1, "", `{"type":3,"data":{},"change":99}`)))
		}
		s.change(2)
		v.read()
		v.shows(s.picture)
		if got := room.Stats(); got.Duplicates != 2 || got.FramesIn != 3 {
			t.Errorf("stats = %+v, want 2 duplicates of 3 frames", got)
		}
		pass(time.Second)
		s.listen()
		if s.acked != 3 {
			t.Errorf("acked %d, want 3", s.acked)
		}
	})
}

func TestGapNeedsReset(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		s.full()
		s.changeBody(1)
		s.seq++ // lost on the way
		s.change(2)
		s.change(3)
		wantNeeds(t, s.listen(), "reset")
		if _, seq := room.Have(); seq != 1 {
			t.Errorf("has %d, want 1: what came after the gap is of no use", seq)
		}
		s.full()
		s.change(4)
		v.read()
		v.shows(s.picture)
		if got := room.Stats().Lost; got != 2 {
			t.Errorf("lost = %d, want 2", got)
		}
		// A full frame closes a gap by itself.
		s.seq += 5
		s.full()
		s.change(5)
		v.read()
		v.shows(s.picture)
		wantNeeds(t, s.listen())
	})
}

func TestNewEpoch(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		s.full()
		s.change(1)
		s.reload()
		s.full()
		s.change(2)
		v.read()
		v.shows(s.picture)
		if v.rebuilds != 1 {
			t.Errorf("rebuilds = %d, want 1: what waits of the old page is of no use", v.rebuilds)
		}
		wantErr(t, "Receive of the old epoch", room.Receive(evFrame(1, 3, "", "")), relay.ErrStaleEpoch)

		s.reload() // without a full frame first
		s.change(3)
		wantNeeds(t, s.listen(), "reset")
		s.full()
		v.read()
		v.shows(s.picture)
	})
}

func TestPause(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		s.full()
		v.read()
		s.change(1)
		v.queue.Put(control(`{"t":"state"}`))
		room.Pause(true)
		if got := v.queue.Take(nil); len(got) != 1 || got[0].Kind() != "state" {
			t.Errorf("%d frames wait when paused, want the state alone", len(got))
		}
		v.queue.Written()
		if got := room.Stats().BufferBytes; got != 0 {
			t.Errorf("%d bytes are kept while paused, want 0", got)
		}
		s.seq++
		wantErr(t, "Receive while paused", room.Receive(evFrame(1, s.seq, "", "")), relay.ErrPaused)
		late := newViewer(t, "sam", relay.DefaultLimits())
		room.Join(late.queue)
		pass(time.Minute)
		wantNeeds(t, s.listen())
		if n := len(late.queue.Take(nil)); n != 0 {
			t.Errorf("a viewer who joins in a pause gets %d frames, want none", n)
		}

		room.Pause(false)
		wantNeeds(t, s.listen()) // the sharer does it by itself
		s.change(2)              // but this one did not
		pass(2 * time.Second)
		wantNeeds(t, s.listen(), "reset")
		s.full()
		for _, v := range []*viewer{v, late} {
			v.read()
			v.shows(s.picture)
		}
	})
}

func TestRefusedFrames(t *testing.T) {
	t.Parallel()
	l := relay.DefaultLimits()
	l.FullBytes, l.EventBytes = 4000, 1000
	change := `{"type":3,"data":{"source":0}}`
	full := fullEvents("")
	for _, tt := range []struct {
		name string
		data string
		want error
	}{
		{"a change", string(evFrame(1, 2, "", change)), nil},
		{"a move", string(evFrame(1, 2, "move", `{"type":3,"data":{"source":1}},{"type":3,"data":{"source":6}}`)), nil},
		{"a checkout", string(evFrame(1, 2, "full", full)), nil},
		{"no events", string(evFrame(1, 2, "", "")), nil},
		{"spaces among events", string(evFrame(1, 2, "", " "+change+"\n,\t"+change+" ")), nil},
		{"the largest numbers", `{"t":"ev","e":4294967295,"s":9007199254740991,"c":9007199254740991,"k":"full","b":[` + full + `]}`, nil},

		{"empty", ``, relay.ErrBadFrame},
		{"another kind", `{"t":"ptr","e":1,"s":2,"c":1,"b":[]}`, relay.ErrBadFrame},
		{"another order", `{"t":"ev","s":2,"e":1,"c":1,"b":[]}`, relay.ErrBadFrame},
		{"a space in the head", `{"t":"ev", "e":1,"s":2,"c":1,"b":[]}`, relay.ErrBadFrame},
		{"no client time", `{"t":"ev","e":1,"s":2,"b":[]}`, relay.ErrBadFrame},
		{"no events member", `{"t":"ev","e":1,"s":2,"c":1}`, relay.ErrBadFrame},
		{"events that are none", `{"t":"ev","e":1,"s":2,"c":1,"b":{}}`, relay.ErrBadFrame},
		{"an event that is none", string(evFrame(1, 2, "", "1")), relay.ErrBadFrame},
		{"an event without a type", string(evFrame(1, 2, "", `{"data":{}}`)), relay.ErrBadFrame},
		{"epoch 0", string(evFrame(0, 2, "", change)), relay.ErrBadFrame},
		{"number 0", string(evFrame(1, 0, "", change)), relay.ErrBadFrame},
		{"a leading zero", `{"t":"ev","e":01,"s":2,"c":1,"b":[]}`, relay.ErrBadFrame},
		{"a negative number", `{"t":"ev","e":1,"s":-2,"c":1,"b":[]}`, relay.ErrBadFrame},
		{"a fraction", `{"t":"ev","e":1,"s":2.5,"c":1,"b":[]}`, relay.ErrBadFrame},
		{"an epoch beyond 32 bits", `{"t":"ev","e":4294967296,"s":2,"c":1,"b":[]}`, relay.ErrBadFrame},
		{"a number beyond 53 bits", `{"t":"ev","e":1,"s":9007199254740992,"c":1,"b":[]}`, relay.ErrBadFrame},
		{"another mark", string(evFrame(1, 2, "half", change)), relay.ErrBadFrame},
		{"a second number after the events", `{"t":"ev","e":1,"s":2,"c":1,"b":[],"s":1}`, relay.ErrBadFrame},
		{"something behind it", string(evFrame(1, 2, "", change)) + " {}", relay.ErrBadFrame},
		{"cut short", strings.TrimSuffix(string(evFrame(1, 2, "", change)), "}"), relay.ErrBadFrame},
		{"not JSON inside", string(evFrame(1, 2, "", `{"type":3,"data":{"source":0,}}`)), relay.ErrBadFrame},
		{"a control character", string(evFrame(1, 2, "", "{\"type\":3,\"data\":\"\x01\"}")), relay.ErrBadFrame},
		{"not UTF-8", string(evFrame(1, 2, "", "{\"type\":3,\"data\":\"\xff\"}")), relay.ErrBadFrame},
		{"too deep", string(evFrame(1, 2, "", `{"type":3,"data":`+strings.Repeat("[", 198)+strings.Repeat("]", 198)+`}`)), relay.ErrBadFrame},
		{"just not too deep", string(evFrame(1, 2, "", `{"type":3,"data":`+strings.Repeat("[", 197)+strings.Repeat("]", 197)+`}`)), nil},
		{"two types", string(evFrame(1, 2, "", `{"type":3,"type":2,"data":{"source":0}}`)), relay.ErrBadFrame},
		{"two types, one in disguise", string(evFrame(1, 2, "", `{"type":3,"\u0074ype":2,"data":{"node":{}}}`)), relay.ErrBadFrame},

		{"a full one that is not marked", string(evFrame(1, 2, "", full)), relay.ErrBadFrame},
		{"a snapshot that is not marked, in disguise", string(evFrame(1, 2, "", `{"typ\u0065":2.0e0,"data":{"node":{}}}`)), relay.ErrBadFrame},
		{"full without events", string(evFrame(1, 2, "full", "")), relay.ErrBadFrame},
		{"full without a snapshot", string(evFrame(1, 2, "full", `{"type":4,"data":{}},{"type":3,"data":{}}`)), relay.ErrBadFrame},
		{"full without a tree", string(evFrame(1, 2, "full", `{"type":4,"data":{}},{"type":2,"data":{}}`)), relay.ErrBadFrame},
		{"full in the wrong order", string(evFrame(1, 2, "full", `{"type":2,"data":{"node":{}}},{"type":4,"data":{}}`)), relay.ErrBadFrame},
		{"full and more", string(evFrame(1, 2, "full", full+","+change)), relay.ErrBadFrame},
		{"a change marked as a move", string(evFrame(1, 2, "move", change)), relay.ErrBadFrame},
		{"a custom event marked as a move", string(evFrame(1, 2, "move", `{"type":5,"data":{"source":1}}`)), relay.ErrBadFrame},
		{"too large", string(evFrame(1, 2, "full", full+strings.Repeat(" ", 4000))), relay.ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inRoom(t, l, func(t *testing.T, room *relay.Room) {
				v := newViewer(t, "ada", l)
				room.Join(v.queue)
				if err := room.Receive(evFrame(1, 1, "full", fullEvents(""))); err != nil {
					t.Fatal(err)
				}
				v.queue.Take(nil)
				wantErr(t, "Receive", room.Receive([]byte(tt.data)), tt.want)
				if got := len(v.queue.Take(nil)); (got > 0) != (tt.want == nil) {
					t.Errorf("the viewer got %d frames after %v", got, tt.want)
				}
			})
		})
	}
}

func TestLargeFrameIsReplacedByAFullOne(t *testing.T) {
	t.Parallel()
	l := relay.DefaultLimits()
	l.EventBytes = 500
	inRoom(t, l, func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, l)
		v := newViewer(t, "ada", l)
		room.Join(v.queue)
		s.full()
		s.ok(s.send("", s.changeBody(1)+strings.Repeat(" ", 500)))
		s.change(2)
		wantNeeds(t, s.listen(), "size")
		s.full()
		v.read()
		v.shows(s.picture)
	})
}

func TestAcks(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		s.full()
		s.change(1)
		pass(499 * time.Millisecond)
		s.listen()
		if s.acks != 0 {
			t.Errorf("acks after 499 ms = %d, want 0", s.acks)
		}
		pass(time.Millisecond)
		s.listen()
		if s.acks != 1 || s.acked != 2 {
			t.Errorf("acks after 500 ms = %d of %d, want 1 of 2", s.acks, s.acked)
		}
		for i := range 32 {
			s.change(i)
		}
		s.listen()
		if s.acks != 2 || s.acked != 34 {
			t.Errorf("acks after 32 frames = %d of %d, want 2 of 34", s.acks, s.acked)
		}
		pass(time.Hour)
		s.listen()
		if s.acks != 2 {
			t.Errorf("acks of an idle sharer = %d, want 2", s.acks)
		}
	})
}

// A page that grows is asked for a checkout ever more rarely; one that has stopped
// is asked soon again.
func TestNeedsAreSpaced(t *testing.T) {
	t.Parallel()
	l := relay.DefaultLimits()
	l.CheckoutFrames = 5
	inRoom(t, l, func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, l)
		start := time.Now()
		var at []time.Duration
		s.weight = 10_000
		s.full()
		grow := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); pass(100 * time.Millisecond) {
				s.change(1)
				for range s.listen() {
					at = append(at, time.Since(start).Round(time.Second/10))
					s.full()
				}
			}
		}
		grow(100 * time.Second)
		if got, want := fmt.Sprint(at), "[400ms 2.4s 6.4s 14.4s 30.4s 1m0.4s 1m30.4s]"; got != want {
			t.Errorf("needs at %s, want %s", got, want)
		}
		pass(30 * time.Second)
		wantNeeds(t, s.listen(), "size") // the last one
		s.full()
		pass(time.Minute)
		at, start = nil, time.Now()
		grow(4 * time.Second)
		if got, want := fmt.Sprint(at), "[400ms 2.4s]"; got != want {
			t.Errorf("needs after a rest at %s, want %s", got, want)
		}
	})
}

func TestUnansweredNeedsAreRepeated(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		s.change(1) // no full frame before it
		var at []time.Duration
		for start := time.Now(); time.Since(start) < 2*time.Minute; pass(time.Second) {
			for range s.listen() {
				at = append(at, time.Since(start))
			}
		}
		if got, want := fmt.Sprint(at), "[0s 2s 6s 14s 30s 1m0s 1m30s]"; got != want {
			t.Errorf("needs at %s, want %s", got, want)
		}
		s.full()
		s.listen()
		pass(time.Hour)
		wantNeeds(t, s.listen())
	})
}

func TestBufferIsBounded(t *testing.T) {
	t.Parallel()
	l := relay.DefaultLimits()
	l.BufferBytes = 20_000
	inRoom(t, l, func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, l)
		v := newViewer(t, "ada", l)
		room.Join(v.queue)
		s.weight = 10_000
		s.full()
		most := 0
		for i := range 200 {
			s.change(i)
			v.read()
			most = max(most, room.Stats().BufferBytes)
		}
		if most > l.BufferBytes {
			t.Errorf("the buffer had %d bytes, want at most %d", most, l.BufferBytes)
		}
		v.shows(s.picture)
		if v.rebuilds != 1 {
			t.Errorf("rebuilds = %d, want 1: who has the picture needs no buffer", v.rebuilds)
		}
		late := newViewer(t, "sam", l)
		room.Join(late.queue)
		pass(2 * time.Second)
		wantNeeds(t, s.listen(), "size", "join")
		s.full()
		late.read()
		late.shows(s.picture)
	})
}

func TestMemoryOfAllRooms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := relay.DefaultLimits()
		l.ProcessBytes = 25_000
		rooms := relay.NewRooms(l)
		var sharers []*sharer
		for range 3 {
			s := newSharer(t, rooms.Open(), l)
			s.weight = 10_000
			sharers = append(sharers, s)
		}
		sharers[0].full()
		sharers[1].full()
		sharers[0].change(1) // so the second one is idle longest
		sharers[2].full()
		if got := rooms.Stats().BufferBytes; got == 0 || got > l.ProcessBytes {
			t.Errorf("all buffers have %d bytes, want up to %d", got, l.ProcessBytes)
		}
		for i, kept := range []bool{true, false, true} {
			if got := sharers[i].room.Stats().BufferBytes > 0; got != kept {
				t.Errorf("room %d has its buffer: %t, want %t", i, got, kept)
			}
			v := newViewer(t, "ada", l)
			sharers[i].room.Join(v.queue)
			if kept {
				wantNeeds(t, sharers[i].listen())
			} else {
				wantNeeds(t, sharers[i].listen(), "join")
				sharers[i].full()
			}
			v.read()
			v.shows(sharers[i].picture)
		}
		frames := rooms.Stats().FramesIn
		for _, s := range sharers {
			s.room.Close()
			s.room.Close()
		}
		if got := rooms.Stats(); got.BufferBytes != 0 || got.Viewers != 0 || got.FramesIn != frames {
			t.Errorf("stats after all rooms are closed = %+v, want %d frames and nothing held", got, frames)
		}
	})
}

func TestClosedRoomDoesNothing(t *testing.T) {
	t.Parallel()
	inRoom(t, relay.DefaultLimits(), func(t *testing.T, room *relay.Room) {
		s := newSharer(t, room, relay.DefaultLimits())
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		s.full()
		s.listen()
		v.read()
		room.Close()
		s.change(1)
		room.Join(newViewer(t, "sam", relay.DefaultLimits()).queue)
		room.SetSharer(s.queue)
		room.Resync(v.queue)
		room.Hide(v.queue, true)
		room.Broadcast(control("x"), nil)
		room.Pause(true)
		room.Leave(v.queue)
		pass(time.Hour)
		if n := len(v.queue.Take(nil)) + len(s.queue.Take(nil)); n != 0 {
			t.Errorf("%d frames after the room was closed, want none", n)
		}
	})
}
