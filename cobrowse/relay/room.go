package relay

// Room is the picture of one session: what its sharer has sent since the last full
// frame, and who is looking.
type Room struct{}

// Close ends the room: its viewers get nothing more, its buffer is dropped and all
// later calls do nothing. Closing twice is fine.
func (r *Room) Close() {}

// SetSharer says where acks and requests for full frames go; nil when the sharer
// is gone. The picture stays.
func (r *Room) SetSharer(q *Queue) {}

// Have returns the newest frame that the room has, zeros before the first one. It
// belongs into the sharer's welcome.
func (r *Room) Have() (epoch uint32, seq uint64) { return 0, 0 }

// Receive takes an ev frame of the sharer, as it came, checks it and relays it byte
// for byte. data is kept and must not change any more.
//
// It fails with ErrTooLarge, ErrBadFrame, ErrPaused, ErrStaleEpoch or a
// *MaskingError; nobody has seen the frame then. Frames that came before are
// dropped without an error. So are those after a gap, and those that are too large
// for what they are: the sharer is asked for a full frame.
func (r *Room) Receive(data []byte) error { return nil }

// Pause drops the picture, here and in the viewers' queues, and refuses frames
// until it is called with false; after that only a full frame is taken.
func (r *Room) Pause(on bool) {}

// Join adds a viewer and gives it the picture, or asks the sharer for one.
func (r *Room) Join(q *Queue) {}

// Leave removes a viewer.
func (r *Room) Leave(q *Queue) {}

// Hide says whether a viewer's page is hidden. A hidden viewer gets nothing of the
// picture, and a new one when it is visible again and has missed something.
func (r *Room) Hide(q *Queue, hidden bool) {}

// Resync gives a viewer whose picture is broken a new one, not at once if it had
// one only just now.
func (r *Room) Resync(q *Queue) {}

// Broadcast puts a frame into the queues of all viewers but except, which may be nil.
func (r *Room) Broadcast(f *Frame, except *Queue) {}

// BroadcastLatest does the same with a frame of which only the newest counts, see
// [Queue.PutLatest]. Viewers that are hidden or slow do not get it.
func (r *Room) BroadcastLatest(from string, f *Frame, except *Queue) {}

// Quality says how well a viewer keeps up: "good", "fair" (it had to be given a new
// picture within the last minute) or "poor" (it has none now, or is slow); "" for
// others than viewers.
func (r *Room) Quality(q *Queue) string { return "" }

// Stats returns the room's counters.
func (r *Room) Stats() Stats { return Stats{} }
