package relay

import (
	"bytes"
	"container/list"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Room is the picture of one session: what its sharer has sent since the last full
// frame, and who is looking.
type Room struct {
	rooms  *Rooms
	limits Limits

	// Locks nest in the order receiving, mu, mu of Rooms or of a Queue.
	receiving sync.Mutex // guards wire: one frame is checked at a time
	wire      tripwire

	mu      sync.Mutex // guards all below
	closed  bool
	paused  bool
	sharer  *Queue // nil when gone
	viewers []*viewer
	epoch   uint32 // 0 before the first frame
	seq     uint64 // of the newest frame in it
	broken  bool   // nothing but a full frame is of use
	buffer  buffer
	needs   needs
	acks    acks
	stats   Stats
	place   *list.Element // in the list of Rooms, whose mu guards it
}

// acks tells the sharer what has arrived.
type acks struct {
	frames int         // since the last one
	timer  *time.Timer // set while frames > 0
}

// Close ends the room: its viewers get nothing more, its buffer is dropped and all
// later calls do nothing. Closing twice is fine.
func (r *Room) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	r.emptyBuffer()
	for _, v := range r.viewers {
		v.forget()
	}
	r.viewers, r.sharer = nil, nil
	stop(&r.needs.gap.timer)
	stop(&r.needs.growth.timer)
	stop(&r.acks.timer)
	r.rooms.remove(r, r.stats)
}

// SetSharer says where acks and requests for full frames go; nil when the sharer
// is gone. The picture stays.
func (r *Room) SetSharer(q *Queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.sharer = q
	r.acks.frames = 0 // its welcome says what has arrived
	stop(&r.acks.timer)
	if q != nil && r.needs.why != "" {
		r.patience()
	}
	r.settle()
}

// Have returns the newest frame that the room has, zeros before the first one. It
// belongs into the sharer's welcome.
func (r *Room) Have() (epoch uint32, seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.epoch, r.seq
}

// Receive takes an ev frame of the sharer, as it came, checks it and relays it byte
// for byte. data is kept and must not change any more.
//
// It fails with ErrTooLarge, ErrBadFrame, ErrPaused, ErrStaleEpoch or a
// *MaskingError; nobody has seen the frame then. Frames that came before are
// dropped without an error. So are those after a gap, and those that are too large
// for what they are: the sharer is asked for a full frame.
func (r *Room) Receive(data []byte) error {
	r.receiving.Lock()
	defer r.receiving.Unlock()
	err := r.receive(data)
	if err != nil {
		r.mu.Lock()
		r.stats.Refused++
		r.mu.Unlock()
		return err
	}
	return nil
}

func (r *Room) receive(data []byte) error {
	if len(data) > r.limits.FullBytes {
		return ErrTooLarge
	}
	h, ok := readHead(data)
	if !ok {
		return ErrBadFrame
	}
	if use, err := r.expects(h); !use || err != nil {
		return err
	}
	// Not under mu: viewers who come, go or have written something need not wait.
	if err := r.wire.check(data, h, r.limits.Depth); err != nil {
		return err
	}
	if cap(data) > len(data)+len(data)/4 {
		data = bytes.Clone(data) // it may be kept for long
	}
	grown, err := r.accept(NewFrame(kindEv, data), h)
	if grown {
		r.rooms.reclaim()
	}
	return err
}

// expects tells whether a frame is worth looking at.
func (r *Room) expects(h head) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return false, nil
	case r.paused:
		return false, ErrPaused
	case h.epoch < r.epoch:
		return false, ErrStaleEpoch
	case h.epoch == r.epoch && h.seq <= r.seq:
		r.stats.Duplicates++
		r.acknowledge() // the sharer does not know that it has arrived
		return false, nil
	}
	return true, nil
}

// accept takes a frame that was found in order into the picture. It tells whether
// the buffer has grown.
func (r *Room) accept(f *Frame, h head) (grown bool, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false, nil
	}
	if r.paused {
		return false, ErrPaused // it came to that while the frame was checked
	}
	if h.epoch != r.epoch {
		r.epoch, r.seq = h.epoch, 0
		r.interrupt()
	}
	if h.mark != markFull {
		switch {
		case len(f.payload) > r.limits.EventBytes:
			r.interrupt()
			r.need(needSize, true)
		case h.seq != r.seq+1:
			r.interrupt()
		}
		if r.broken {
			r.stats.Lost++
			r.need(needReset, true)
			return false, nil
		}
	} else if h.seq != r.seq+1 {
		r.interrupt()
	}
	r.seq = h.seq
	r.stats.FramesIn++
	checkout := h.mark == markFull && !r.broken
	r.keep(f, h)
	r.deliver(f, h, checkout)
	r.acknowledge()
	return true, nil
}

// interrupt says that the frames that follow do not continue the picture: only a
// full frame begins a new one. mu is held, as in all below.
func (r *Room) interrupt() {
	r.emptyBuffer()
	if r.broken {
		return
	}
	r.broken = true
	for _, v := range r.viewers {
		if v.loss == lossNone {
			r.lose(v, lossBroken)
		}
	}
}

// keep puts a frame into the buffer.
func (r *Room) keep(f *Frame, h head) {
	switch {
	case h.mark == markFull:
		r.emptyBuffer()
		r.buffer.start(f, h.seq)
		r.broken = false
		r.answered()
	case r.buffer.empty(): // it was dropped: without its full frame a frame is of no use
		return
	default:
		r.buffer.add(f)
	}
	r.rooms.hold(r, cost(f))
	if r.buffer.bytes > r.limits.BufferBytes {
		r.emptyBuffer()
		r.need(needSize, false)
		return
	}
	if r.buffer.heavy(r.limits) {
		r.need(needSize, false)
	}
}

// acknowledge tells the sharer what has arrived, not more often than needed.
func (r *Room) acknowledge() {
	if r.sharer == nil {
		return
	}
	r.acks.frames++
	switch {
	case r.acks.frames >= r.limits.AckFrames:
		r.ack()
	case r.acks.timer == nil:
		r.later(&r.acks.timer, r.limits.AckEvery, r.ack)
	}
}

func (r *Room) ack() {
	r.acks.frames = 0
	stop(&r.acks.timer)
	text := make([]byte, 0, 64)
	text = append(text, `{"t":"ack","e":`...)
	text = strconv.AppendUint(text, uint64(r.epoch), 10)
	text = append(text, `,"s":`...)
	text = strconv.AppendUint(text, r.seq, 10)
	if r.sharer != nil {
		r.sharer.PutLatest(ackKey, NewFrame("ack", append(text, '}')))
	}
}

// ackKey is no participant's id.
const ackKey = "\x00ack"

// Pause drops the picture, here and in the viewers' queues, and refuses frames
// until it is called with false; after that only a full frame is taken.
func (r *Room) Pause(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || on == r.paused {
		return
	}
	r.paused = on
	if on {
		r.interrupt()
		return
	}
	if r.epoch != 0 {
		r.patience()
		r.need(needReset, true)
	}
}

// Join adds a viewer and gives it the picture, or asks the sharer for one.
func (r *Room) Join(q *Queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.viewer(q) != nil {
		return
	}
	v := &viewer{queue: q, loss: lossNew, pace: pace{least: r.limits.ResyncEvery, most: r.limits.ResyncMax}}
	r.viewers = append(r.viewers, v)
	r.restore(v)
}

// Leave removes a viewer.
func (r *Room) Leave(q *Queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.viewers = slices.DeleteFunc(r.viewers, func(v *viewer) bool {
		if v.queue != q {
			return false
		}
		v.forget()
		return true
	})
}

// Hide says whether a viewer's page is hidden. A hidden viewer gets nothing of the
// picture, and a new one when it is visible again and has missed something.
func (r *Room) Hide(q *Queue, hidden bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.viewer(q); v != nil {
		v.hidden = hidden
		r.restore(v)
	}
}

// Resync gives a viewer whose picture is broken a new one, not at once if it had
// one only just now.
func (r *Room) Resync(q *Queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.viewer(q); v != nil {
		r.lose(v, lossAsked)
		r.restore(v)
	}
}

// Broadcast puts a frame into the queues of all viewers but except, which may be nil.
func (r *Room) Broadcast(f *Frame, except *Queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.viewers {
		if v.queue != except {
			v.queue.Put(f) // a queue that has no room for it says so to its writer
		}
	}
}

// BroadcastLatest does the same with a frame of which only the newest counts, see
// [Queue.PutLatest]. Viewers that are hidden or slow do not get it.
func (r *Room) BroadcastLatest(from string, f *Frame, except *Queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.viewers {
		if v.queue != except && !v.hidden && v.thin == nil {
			v.queue.PutLatest(from, f)
		}
	}
}

// The qualities of a viewer.
const (
	QualityGood = "good"
	QualityFair = "fair" // had to be given a new picture within the last minute
	QualityPoor = "poor" // has lost the picture because it is slow, or is so often
)

// Quality says how well a viewer keeps up; "" for others than viewers.
func (r *Room) Quality(q *Queue) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch v := r.viewer(q); {
	case v == nil:
		return ""
	case v.thin != nil, v.loss == lossSlow:
		return QualityPoor
	case len(v.recent) > 0:
		return QualityFair
	}
	return QualityGood
}

// Stats returns the room's counters.
func (r *Room) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Viewers, s.BufferBytes = len(r.viewers), r.buffer.bytes
	return s
}

func (r *Room) viewer(q *Queue) *viewer {
	for _, v := range r.viewers {
		if v.queue == q {
			return v
		}
	}
	return nil
}
