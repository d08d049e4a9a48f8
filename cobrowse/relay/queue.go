package relay

// Queue holds the frames that wait for one connection, bounded in frames and bytes.
// Whoever has something for the client puts it here and never waits; the one
// goroutine that writes to the client takes everything at once:
//
//	for {
//		select {
//		case <-q.Ready():
//			batch = q.Take(batch[:0])
//			if q.Overflowed() { close the connection with 4408 }
//			write(batch)
//			clear(batch) // so that written frames can be freed
//			q.Written()
//		…
type Queue struct {
	ready chan struct{}
}

// NewQueue returns an empty queue bounded by l.QueueFrames and l.QueueBytes, once
// for the picture and once for everything else.
func NewQueue(l Limits) *Queue { return &Queue{ready: make(chan struct{}, 1)} }

// Put adds a frame that is never dropped. It returns false when the bound is
// reached: from then on the queue takes nothing more, Overflowed is true and the
// connection is to be closed (4408).
func (q *Queue) Put(f *Frame) bool { return true }

// Overflowed tells whether a frame that must not be dropped did not fit, also one
// that a Room put. Ready is signalled when that happens.
func (q *Queue) Overflowed() bool { return false }

// PutLatest adds a frame of which only the newest counts, such as a pointer: it
// replaces the one with the same key that still waits. When the queue is full it is
// dropped.
func (q *Queue) PutLatest(from string, f *Frame) {}

// Ready returns the channel that is signalled when frames wait. Its capacity is
// one; a signal may come when there is nothing to take any more.
func (q *Queue) Ready() <-chan struct{} { return q.ready }

// Take appends everything that waits to into, in order, and returns it. The writer
// calls Written when it has written what it took.
func (q *Queue) Take(into []*Frame) []*Frame { return into }

// Written says that what was taken has been handed to the client. A viewer that
// lost frames gets its new picture once it has written everything.
func (q *Queue) Written() {}
