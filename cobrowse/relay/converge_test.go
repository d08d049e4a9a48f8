package relay_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobridge/cobridge/cobrowse/relay"
)

// writer plays the goroutine that writes to a viewer, taking its time for each batch.
type writer struct {
	*viewer

	pause time.Duration
	done  chan struct{}
	ended chan struct{}
}

func startWriter(t *testing.T, room *relay.Room, name string, l relay.Limits, pause time.Duration) *writer {
	w := &writer{viewer: newViewer(t, name, l), pause: pause, done: make(chan struct{}), ended: make(chan struct{})}
	room.Join(w.queue)
	go func() {
		defer close(w.ended)
		for {
			select {
			case <-w.done:
				return
			case <-w.queue.Ready():
			}
			w.take()
			if w.pause > 0 {
				select {
				case <-w.done:
					return
				case <-time.After(w.pause):
				}
			}
			w.queue.Written()
		}
	}()
	return w
}

func (w *writer) stop(room *relay.Room) {
	room.Leave(w.queue)
	close(w.done)
	<-w.ended
}

// Whatever happens, each viewer sees a full frame and then consecutive ones (the
// viewers of these tests complain about anything else), and once it is quiet all
// show what the sharer shows: invariant I9.
func TestViewersConverge(t *testing.T) {
	t.Parallel()
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { converge(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func converge(t *testing.T, random *rand.Rand) {
	l := relay.DefaultLimits()
	l.QueueFrames, l.QueueBytes = 6, 4000
	l.CheckoutFrames, l.BufferBytes, l.EventBytes = 40, 60_000, 5000
	l.ProcessBytes = 80_000
	rooms := relay.NewRooms(l)
	room := rooms.Open()
	defer room.Close()
	s := newSharer(t, room, l)
	s.weight = random.IntN(8000)
	neighbour := newSharer(t, rooms.Open(), l) // takes memory from the room
	defer neighbour.room.Close()
	neighbour.weight = 70_000

	paused, asked := false, false
	var viewers []*writer
	join := func(i int) *writer {
		pauses := []time.Duration{0, 20 * time.Millisecond, 700 * time.Millisecond, 5 * time.Second}
		return startWriter(t, room, fmt.Sprintf("viewer %d", i), l, pauses[i%len(pauses)])
	}
	for i := range 4 {
		viewers = append(viewers, join(i))
	}
	s.full()
	answer := func() {
		asked = len(s.listen()) > 0 || asked
		if asked && !paused {
			asked = false
			s.full()
		}
	}
	for range 400 {
		v := random.IntN(len(viewers))
		switch n := random.IntN(100); {
		case paused:
			if n < 20 {
				paused = false
				room.Pause(false)
				s.full()
			}
		case n < 55:
			for range 1 + random.IntN(8) {
				s.change(random.IntN(1000))
			}
		case n < 70:
			s.move(random.IntN(1000))
		case n < 72:
			s.full()
		case n < 74: // lost on the way
			s.changeBody(random.IntN(1000))
			s.seq++
			s.change(1)
		case n < 76: // sent twice
			s.ok(room.Receive(evFrame(s.epoch, max(1, s.seq), "", `{"type":3,"data":{},"change":5}`)))
		case n < 78: // too large
			s.ok(s.send("", s.changeBody(7)+fmt.Sprintf("%5000s", "")))
		case n < 80:
			s.reload()
			s.full()
		case n < 85:
			room.Hide(viewers[v].queue, random.IntN(2) == 0)
		case n < 87:
			room.Resync(viewers[v].queue)
		case n < 89:
			paused = true
			room.Pause(true)
		case n < 91:
			room.SetSharer(nil)
			room.SetSharer(s.queue)
		case n < 93:
			neighbour.full()
			neighbour.full()
		case n < 95:
			viewers[v].stop(room)
			viewers[v] = join(v)
		case n < 97:
			room.Broadcast(control(`{"t":"state"}`), nil)
		}
		answer()
		if random.IntN(3) == 0 {
			pass(time.Duration(random.IntN(400)) * time.Millisecond)
		}
	}
	if paused {
		paused = false
		room.Pause(false)
		s.full()
	}
	for _, v := range viewers {
		room.Hide(v.queue, false)
	}
	for range 1200 { // longer than a slow viewer's minute and the longest spacing
		answer()
		pass(200 * time.Millisecond)
	}
	for _, v := range viewers {
		v.shows(s.picture)
		v.stop(room)
	}
	if got := rooms.Stats(); got.BufferBytes > l.ProcessBytes {
		t.Errorf("buffers have %d bytes, want at most %d", got.BufferBytes, l.ProcessBytes)
	}
}
