package relay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobridge/cobridge/cobrowse/relay"
)

// picture is what a page shows, reduced to what can go wrong: content is the sum of
// all changes in order, place is the last movement. A full frame carries both.
type picture struct {
	Content uint64 `json:"content"`
	Place   int    `json:"place"`
}

func (p *picture) change(n int) { p.Content = p.Content*31 + uint64(n) }

// message is any frame, as a client reads it.
type message struct {
	T      string  `json:"t"`
	E      uint32  `json:"e"`
	S      uint64  `json:"s"`
	K      string  `json:"k"`
	From   uint64  `json:"from"`
	Frames int     `json:"frames"`
	Why    string  `json:"why"`
	B      []event `json:"b"`
}

type event struct {
	Type int `json:"type"`
	Data struct {
		Source int `json:"source"`
	} `json:"data"`
	Full   *picture `json:"full"`
	Change *int     `json:"change"`
	Place  *int     `json:"place"`
}

func parse(t *testing.T, f *relay.Frame) message {
	t.Helper()
	var m message
	if err := json.Unmarshal(f.Payload(), &m); err != nil {
		t.Fatalf("frame %.80s: %v", f.Payload(), err)
	}
	if m.T != f.Kind() {
		t.Errorf("frame %.80s has kind %q", f.Payload(), f.Kind())
	}
	return m
}

func evFrame(e uint32, s uint64, k, body string) []byte {
	if k != "" {
		k = `"k":"` + k + `",`
	}
	return fmt.Appendf(nil, `{"t":"ev","e":%d,"s":%d,"c":1732200000000,%s"b":[%s]}`, e, s, k, body)
}

// fullEvents are the two events of a full frame whose body has these child nodes.
func fullEvents(nodes string) string {
	return `{"type":4,"data":{"href":"https://shop.example/","width":800,"height":600},"timestamp":1},` +
		`{"type":2,"data":{"node":{"type":0,"childNodes":[{"type":1,"name":"html","publicId":"","systemId":"","id":2},` +
		`{"type":2,"tagName":"html","attributes":{},"childNodes":[{"type":2,"tagName":"head","attributes":{},"childNodes":[],"id":4},` +
		`{"type":2,"tagName":"body","attributes":{},"childNodes":[` + nodes + `],"id":5}],"id":3}],"id":1},"initialOffset":{"left":0,"top":0}},"timestamp":1}`
}

// sharer plays the customer's page.
type sharer struct {
	t     *testing.T
	room  *relay.Room
	queue *relay.Queue
	batch []*relay.Frame

	epoch   uint32
	seq     uint64
	picture picture
	weight  int // bytes that a full frame has besides

	needs []string // why, in order
	acked uint64
	acks  int
}

func newSharer(t *testing.T, room *relay.Room, l relay.Limits) *sharer {
	s := &sharer{t: t, room: room, queue: relay.NewQueue(l), epoch: 1}
	room.SetSharer(s.queue)
	return s
}

func (s *sharer) send(k, body string) error {
	s.seq++
	return s.room.Receive(evFrame(s.epoch, s.seq, k, body))
}

func (s *sharer) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("Receive e %d s %d = %v, want nil", s.epoch, s.seq, err)
	}
}

func (s *sharer) full() {
	s.t.Helper()
	picture, err := json.Marshal(s.picture)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ok(s.send("full", `{"type":4,"data":{},"timestamp":1},{"type":2,"data":{"node":{}},"full":`+string(picture)+`,"fill":"`+strings.Repeat("x", s.weight)+`"}`))
}

func (s *sharer) changeBody(n int) string {
	s.picture.change(n)
	return fmt.Sprintf(`{"type":3,"data":{"source":0,"adds":[]},"change":%d}`, n)
}

func (s *sharer) change(n int) {
	s.t.Helper()
	s.ok(s.send("", s.changeBody(n)))
}

func (s *sharer) move(n int) {
	s.t.Helper()
	s.picture.Place = n
	s.ok(s.send("move", fmt.Sprintf(`{"type":3,"data":{"source":3,"id":1},"place":%d}`, n)))
}

// reload begins the next epoch, without a frame.
func (s *sharer) reload() { s.epoch, s.seq = s.epoch+1, 0 }

// listen reads what the server has told the sharer, and returns the new needs.
func (s *sharer) listen() []string {
	s.t.Helper()
	known := len(s.needs)
	s.batch = s.queue.Take(s.batch[:0])
	for _, f := range s.batch {
		switch m := parse(s.t, f); m.T {
		case "need":
			s.needs = append(s.needs, m.Why)
		case "ack":
			s.acks++
			if m.E == s.epoch {
				s.acked = m.S
			}
		default:
			s.t.Errorf("the sharer got %s", f.Payload())
		}
	}
	s.queue.Written()
	return s.needs[known:]
}

// viewer plays a viewer's page. It complains about every frame that a page could not
// make sense of.
type viewer struct {
	t     *testing.T
	name  string
	queue *relay.Queue
	batch []*relay.Frame

	epoch   uint32
	seq     uint64
	picture picture
	synced  bool
	pending int // frames of a new picture that are still to come

	rebuilds int
	others   []string // kinds of other frames
	moves    int
	skips    int
}

func newViewer(t *testing.T, name string, l relay.Limits) *viewer {
	return &viewer{t: t, name: name, queue: relay.NewQueue(l)}
}

// read takes and applies all that waits, and says that it was written.
func (v *viewer) read() {
	v.t.Helper()
	v.take()
	v.queue.Written()
}

// take takes and applies all that waits, and stays busy with it.
func (v *viewer) take() {
	v.t.Helper()
	v.batch = v.queue.Take(v.batch[:0])
	for _, f := range v.batch {
		v.apply(f)
	}
}

func (v *viewer) apply(f *relay.Frame) {
	v.t.Helper()
	m := parse(v.t, f)
	switch m.T {
	case "sync":
		if v.pending != 0 || m.Frames < 1 {
			v.t.Errorf("%s got %s with %d frames still to come", v.name, f.Payload(), v.pending)
		}
		v.synced, v.pending, v.epoch, v.seq = true, m.Frames, m.E, m.From-1
		v.rebuilds++
		return
	case "ev", "skip":
	default:
		v.others = append(v.others, m.T)
		return
	}
	if !v.synced || m.E != v.epoch || m.S != v.seq+1 {
		v.t.Errorf("%s got %s %d/%d after %d/%d (synced %t)", v.name, m.T, m.E, m.S, v.epoch, v.seq, v.synced)
	}
	v.seq = m.S
	if m.T == "skip" {
		v.skips++
		return
	}
	if m.K == "full" && v.pending == 0 {
		v.t.Errorf("%s got the full frame %d/%d without a sync", v.name, m.E, m.S)
	}
	v.pending = max(0, v.pending-1)
	for _, e := range m.B {
		switch {
		case e.Full != nil:
			v.picture = *e.Full
		case e.Change != nil:
			v.picture.change(*e.Change)
		case e.Place != nil:
			v.picture.Place = *e.Place
			v.moves++
		}
	}
}

func (v *viewer) shows(want picture) {
	v.t.Helper()
	if v.picture != want || !v.synced || v.pending != 0 {
		v.t.Errorf("%s shows %+v (synced %t, %d frames still to come), want %+v", v.name, v.picture, v.synced, v.pending, want)
	}
}

// inRoom runs a test on fake time with a room that is closed afterwards.
func inRoom(t *testing.T, l relay.Limits, test func(*testing.T, *relay.Room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		room := relay.NewRooms(l).Open()
		defer room.Close()
		test(t, room)
	})
}

// pass lets time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func wantNeeds(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("needs = %q, want %q", got, want)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}
