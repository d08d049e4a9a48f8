package relay

import (
	"container/list"
	"sync"
)

// Rooms are all rooms of the process. They bound what the rooms' buffers take
// together: the buffers that got no frame for longest are dropped first.
type Rooms struct {
	limits Limits

	mu     sync.Mutex // locked after a room's mu, never before
	rooms  map[*Room]struct{}
	recent *list.List // of *Room with a buffer; the one that got a frame last is in front
	bytes  int        // of all buffers
	closed Stats      // of the rooms that are closed
}

// NewRooms returns the rooms of a process, none yet.
func NewRooms(l Limits) *Rooms {
	return &Rooms{limits: l, rooms: map[*Room]struct{}{}, recent: list.New()}
}

// Open returns a new, empty room. Whoever opened it closes it.
func (rs *Rooms) Open() *Room {
	r := &Room{rooms: rs, limits: rs.limits, needs: newNeeds(rs.limits)}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.rooms[r] = struct{}{}
	return r
}

// Stats returns the sum over all rooms, closed ones included.
func (rs *Rooms) Stats() Stats {
	rs.mu.Lock()
	sum := rs.closed
	open := make([]*Room, 0, len(rs.rooms))
	for r := range rs.rooms {
		open = append(open, r)
	}
	rs.mu.Unlock()
	for _, r := range open {
		sum.add(r.Stats()) // one that is closed meanwhile is short until the next call
	}
	return sum
}

// Stats count what a room did since it was opened.
type Stats struct {
	FramesIn    uint64 // ev frames that were relayed
	Duplicates  uint64 // ev frames that had come before
	Refused     uint64 // ev frames that Receive answered with an error
	Lost        uint64 // ev frames dropped for want of what came before them, or for their size
	Deliveries  uint64 // ev frames put into viewers' queues
	Dropped     uint64 // ev frames taken out of viewers' queues again, or not put there because they were full
	Resyncs     uint64 // pictures sent to viewers that had lost theirs; the first one of a viewer does not count
	Needs       uint64 // full frames that the sharer was asked for
	Viewers     int    // now
	BufferBytes int    // now
}

func (s *Stats) add(o Stats) {
	s.FramesIn += o.FramesIn
	s.Duplicates += o.Duplicates
	s.Refused += o.Refused
	s.Lost += o.Lost
	s.Deliveries += o.Deliveries
	s.Dropped += o.Dropped
	s.Resyncs += o.Resyncs
	s.Needs += o.Needs
	s.Viewers += o.Viewers
	s.BufferBytes += o.BufferBytes
}

// hold says that r's buffer has grown by so many bytes; negative when it shrank. A
// room that has got a frame is the last to lose its buffer.
func (rs *Rooms) hold(r *Room, bytes int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.bytes += bytes
	if r.place == nil {
		r.place = rs.recent.PushFront(r)
		return
	}
	rs.recent.MoveToFront(r.place)
}

// release says that r has no buffer any more; it had so many bytes.
func (rs *Rooms) release(r *Room, bytes int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.bytes -= bytes
	if r.place != nil {
		rs.recent.Remove(r.place)
		r.place = nil
	}
}

// reclaim drops buffers until the rest is within the bound. No room is locked.
func (rs *Rooms) reclaim() {
	for {
		rs.mu.Lock()
		var oldest *Room
		if rs.bytes > rs.limits.ProcessBytes {
			if e := rs.recent.Back(); e != nil {
				oldest, _ = e.Value.(*Room)
			}
		}
		rs.mu.Unlock()
		if oldest == nil {
			return
		}
		oldest.dropBuffer()
	}
}

// remove forgets a closed room.
func (rs *Rooms) remove(r *Room, s Stats) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	s.Viewers, s.BufferBytes = 0, 0
	rs.closed.add(s)
	delete(rs.rooms, r)
}
