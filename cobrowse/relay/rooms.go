package relay

// Rooms are all rooms of the process. They bound what the rooms' buffers take
// together: the buffers that got no frame for longest are dropped first.
type Rooms struct{ limits Limits }

// NewRooms returns the rooms of a process, none yet.
func NewRooms(l Limits) *Rooms { return &Rooms{limits: l} }

// Open returns a new, empty room. Whoever opened it closes it.
func (rs *Rooms) Open() *Room { return &Room{} }

// Stats returns the sum over all rooms, closed ones included.
func (rs *Rooms) Stats() Stats { return Stats{} }

// Stats count what a room did since it was opened.
type Stats struct {
	FramesIn    uint64 // ev frames that Receive relayed
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
