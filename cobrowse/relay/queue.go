package relay

import (
	"slices"
	"sync"
)

// Queue holds the frames that wait for one connection, bounded in frames and bytes.
// Whoever has something for the client puts it here and never waits; the one
// goroutine that writes to the client takes everything at once:
//
//	for range q.Ready() {
//		batch = q.Take(batch[:0])
//		if q.Overflowed() {
//			return // close the connection with 4408
//		}
//		write(batch)
//		clear(batch) // so that what was written can be freed
//		q.Written()
//	}
type Queue struct {
	limits Limits
	ready  chan struct{}

	mu         sync.Mutex // comes last: nothing else is locked while it is held
	items      []item     // short or nil while the connection is idle
	control    load       // of items that are never dropped
	picture    load       // of items of class picture
	overflowed bool
	writing    bool   // something was taken and Written was not called since
	whenIdle   func() // to call once everything is written
}

// item is a frame that waits.
type item struct {
	frame *Frame
	class class
	key   string // of a frame of which only the newest counts
}

type class uint8

const (
	classControl class = iota // never dropped
	classLatest               // replaced by the next one of its key
	classPicture              // dropped when the viewer loses its picture
	classRebuild              // a new picture: not held against the bound
)

// load is what waits.
type load struct{ frames, bytes int }

func (l *load) add(f *Frame)    { l.frames++; l.bytes += len(f.payload) }
func (l *load) remove(f *Frame) { l.frames--; l.bytes -= len(f.payload) }

func (l *load) fits(f *Frame, limits Limits) bool {
	return l.frames < limits.QueueFrames && l.bytes+len(f.payload) <= limits.QueueBytes
}

// keepItems is the capacity that an empty queue keeps, so that one that is always
// emptied in time needs no new slice for each frame and an idle one next to nothing.
const keepItems = 16

// NewQueue returns an empty queue bounded by l.QueueFrames and l.QueueBytes, once
// for the picture and once for everything else. A new picture comes on top: it is
// shared with the room's buffer and put only when nothing else of the picture waits.
func NewQueue(l Limits) *Queue { return &Queue{limits: l, ready: make(chan struct{}, 1)} }

// Put adds a frame that is never dropped. It returns false when the bound is
// reached: from then on the queue takes nothing more, Overflowed is true and the
// connection is to be closed (4408).
func (q *Queue) Put(f *Frame) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.overflowed {
		return false
	}
	if !q.control.fits(f, q.limits) {
		q.overflowed = true
		q.signal()
		return false
	}
	q.control.add(f)
	q.push(item{frame: f})
	return true
}

// Overflowed tells whether a frame that must not be dropped did not fit, also one
// that a Room put. Ready is signalled when that happens.
func (q *Queue) Overflowed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.overflowed
}

// PutLatest adds a frame of which only the newest counts, such as a pointer: it
// replaces the one with the same key that still waits, and waits at the end. When
// the queue is full it is dropped.
func (q *Queue) PutLatest(from string, f *Frame) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.IndexFunc(q.items, func(it item) bool { return it.class == classLatest && it.key == from }); i >= 0 {
		q.control.remove(q.items[i].frame)
		q.items = slices.Delete(q.items, i, i+1)
	}
	if q.overflowed || !q.control.fits(f, q.limits) {
		return
	}
	q.control.add(f)
	q.push(item{frame: f, class: classLatest, key: from})
}

// Ready returns the channel that is signalled when frames wait. Its capacity is
// one; a signal may come when there is nothing to take any more.
func (q *Queue) Ready() <-chan struct{} { return q.ready }

// Take appends everything that waits to into, in order, and returns it. The writer
// calls Written when it has written what it took.
func (q *Queue) Take(into []*Frame) []*Frame {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		into = append(into, it.frame)
	}
	q.writing = q.writing || len(q.items) > 0
	clear(q.items)
	q.items = q.items[:0]
	q.control, q.picture = load{}, load{}
	return into
}

// Written says that what was taken has been handed to the client. A viewer that
// lost frames gets its new picture once everything is written.
func (q *Queue) Written() {
	q.mu.Lock()
	q.writing = false
	var idle func()
	if len(q.items) == 0 {
		idle, q.whenIdle = q.whenIdle, nil
		q.trim()
	}
	q.mu.Unlock()
	if idle != nil {
		idle() // locks the room, which is locked before queues are
	}
}

// putPicture adds a frame of the picture. It returns false if there is no room for it.
func (q *Queue) putPicture(f *Frame) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.picture.fits(f, q.limits) {
		return false
	}
	q.picture.add(f)
	q.push(item{frame: f, class: classPicture})
	return true
}

// rebuild puts a new picture in place of what waits of the old one, and returns how
// many ev frames that were.
func (q *Queue) rebuild(intro *Frame, picture []*Frame) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	dropped = q.drop(false)
	q.items = slices.Grow(q.items, 1+len(picture))
	q.push(item{frame: intro, class: classRebuild})
	for _, f := range picture {
		q.push(item{frame: f, class: classRebuild})
	}
	return dropped
}

// dropPicture drops what waits of the picture and returns how many ev frames that
// were. A new picture that was not taken yet can be spared: else one who is given it
// amid many frames would never see any.
func (q *Queue) dropPicture(spareNew bool) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.drop(spareNew)
}

// drop is dropPicture with mu held.
func (q *Queue) drop(spareNew bool) int {
	dropped := 0
	q.items = slices.DeleteFunc(q.items, func(it item) bool {
		if it.class != classPicture && (it.class != classRebuild || spareNew) {
			return false
		}
		if it.frame.kind == kindEv {
			dropped++
		}
		return true
	})
	q.picture = load{}
	return dropped
}

// idle tells whether everything has been written. If not, it calls then once that is
// so, in place of what was to be called before.
func (q *Queue) idle(then func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.writing && len(q.items) == 0 {
		q.whenIdle = nil
		return true
	}
	q.whenIdle = then
	return false
}

// forget takes back what idle was asked to call.
func (q *Queue) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.whenIdle = nil
}

// push adds an item. mu is held.
func (q *Queue) push(it item) {
	if len(q.items) == 0 {
		q.signal()
	}
	q.items = append(q.items, it)
}

// trim gives back what many waiting frames took. mu is held and nothing waits.
func (q *Queue) trim() {
	if cap(q.items) > keepItems {
		q.items = nil
	}
}

func (q *Queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}
