package relay

import "time"

// Limits bound what one sharer, one viewer and all rooms together may take. All
// must be positive; [DefaultLimits] has the values of the protocol.
type Limits struct {
	FullBytes  int // the largest frame, a full one, in bytes of JSON
	EventBytes int // the largest other frame; a larger one is dropped and a full one is asked for
	Depth      int // levels of objects and arrays in a frame, its own object included

	// A full frame is asked for when the buffer of a room passes one of these.
	CheckoutBytes  int // bytes
	CheckoutFactor int // times the bytes of its full frame
	CheckoutFrames int // frames

	BufferBytes  int // of one room; a buffer beyond it is dropped
	ProcessBytes int // of all rooms; the buffers of those that are idle longest are dropped

	QueueFrames int // frames that may wait for one client
	QueueBytes  int // bytes that may wait for one client; a new picture comes on top

	NeedEvery, NeedMax     time.Duration // between two requests for a full frame: the first gap, doubled up to the last
	ResyncEvery, ResyncMax time.Duration // between two new pictures of one viewer: the same

	SlowResyncs int           // new pictures within SlowFor that make a viewer a slow one
	SlowFor     time.Duration // how long a slow viewer gets neither pointers nor moves

	AckFrames int           // frames after which the sharer gets an ack
	AckEvery  time.Duration // the longest that a frame waits for its ack
}

// DefaultLimits returns the limits of docs/protocol.md.
func DefaultLimits() Limits {
	return Limits{
		FullBytes: 4 << 20, EventBytes: 512 << 10, Depth: 200,
		CheckoutBytes: 2_000_000, CheckoutFactor: 4, CheckoutFrames: 2000,
		BufferBytes: 8 << 20, ProcessBytes: 512 << 20,
		QueueFrames: 256, QueueBytes: 4 << 20,
		NeedEvery: 2 * time.Second, NeedMax: 30 * time.Second,
		ResyncEvery: 2 * time.Second, ResyncMax: 30 * time.Second,
		SlowResyncs: 5, SlowFor: time.Minute,
		AckFrames: 32, AckEvery: 500 * time.Millisecond,
	}
}
