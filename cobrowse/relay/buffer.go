package relay

// buffer is what a late viewer needs: the last full frame and all frames since, or
// nothing. It is guarded by its room's mu.
type buffer struct {
	frames []*Frame // the first one is full; they are numbered without a gap
	from   uint64   // number of the full frame
	full   int      // bytes of the full frame
	bytes  int      // of all, as cost counts them
}

// frameCost is what a frame takes besides its payload, so that many small ones are
// not free.
const frameCost = 160

func cost(f *Frame) int { return len(f.payload) + frameCost }

func (b *buffer) empty() bool { return len(b.frames) == 0 }

func (b *buffer) add(f *Frame) {
	b.frames = append(b.frames, f)
	b.bytes += cost(f)
}

// start begins a new buffer with a full frame.
func (b *buffer) start(f *Frame, seq uint64) {
	*b = buffer{from: seq, full: len(f.payload)}
	b.add(f)
}

// light tells whether the buffer is hardly more than a full frame, so that there is
// no point in asking for one.
func (b *buffer) light() bool {
	payload := b.bytes - len(b.frames)*frameCost
	return 2*payload < 3*b.full || len(b.frames) == 1
}

// heavy tells whether a late viewer would better be given a newer full frame.
func (b *buffer) heavy(l Limits) bool {
	return b.bytes > l.CheckoutBytes || b.bytes-len(b.frames)*frameCost > l.CheckoutFactor*b.full || len(b.frames) > l.CheckoutFrames
}

// emptyBuffer replaces a room's buffer by none. The room's mu is held.
func (r *Room) emptyBuffer() {
	if r.buffer.empty() {
		return
	}
	r.rooms.release(r, r.buffer.bytes)
	r.buffer = buffer{}
}

// dropBuffer makes room for other rooms. Viewers who have the picture keep it;
// those who come now wait for a full frame.
func (r *Room) dropBuffer() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.emptyBuffer()
}
