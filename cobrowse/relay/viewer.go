package relay

import (
	"strconv"
	"time"
)

// viewer is somebody who looks at the picture. It is guarded by its room's mu.
//
// A viewer either has the picture, and then it gets each frame in order, or it has
// lost it and gets nothing of it until it is given a new one: a sync frame, a full
// frame and what came since.
type viewer struct {
	queue  *Queue
	hidden bool
	gone   bool
	loss   loss // lossNone: it has the picture
	waits  bool // its queue will say when everything is written

	pace   pace          // between its new pictures
	recent []*time.Timer // one for each new picture within the last SlowFor that was its own doing
	thin   *time.Timer   // set while it is slow: no pointers, no moves
	missed bool          // a move was left out
}

// loss says why a viewer does not have the picture. The later ones weigh more.
type loss uint8

const (
	lossNone   loss = iota
	lossNew         // it has just come
	lossBroken      // not its doing: a gap, a pause, a new page
	lossHidden      // it was hidden
	lossMoves       // it was slow for a while and missed movements
	lossAsked       // it says that its picture is broken
	lossSlow        // its queue was full
)

// own tells whether the loss is the viewer's own doing. Then its new pictures are
// spaced, and it counts how many it needs.
func (l loss) own() bool { return l == lossAsked || l == lossSlow }

// patient tells whether the viewer must first have written what it was given.
func (l loss) patient() bool { return l > lossBroken }

// lose takes the picture from a viewer, with what waits of it. One that is slow
// still gets a new picture that waits: it is the next thing it will show. mu is
// held, as in all below.
func (r *Room) lose(v *viewer, why loss) {
	v.loss = max(v.loss, why)
	r.stats.Dropped += uint64(v.queue.dropPicture(why == lossSlow)) //nolint:gosec // a count
}

// settle gives all viewers a new picture that have none and can take one.
func (r *Room) settle() {
	for _, v := range r.viewers {
		r.restore(v)
	}
}

// restore gives a viewer a new picture if it has none, can take one and there is one.
func (r *Room) restore(v *viewer) {
	if v.loss == lossNone || v.hidden || v.gone || r.paused {
		return
	}
	if r.epoch == 0 {
		return // the first full frame comes without being asked for
	}
	if v.loss.patient() && (!v.pace.open() || !r.written(v)) {
		return
	}
	if r.buffer.empty() {
		why := needJoin
		if v.loss.own() {
			why = needLag
		}
		r.need(why, true)
		return
	}
	if (v.loss.own() || v.loss == lossMoves) && !r.buffer.light() && r.sharer != nil {
		r.need(needLag, true)
		return
	}
	intro := `{"t":"sync","e":` + strconv.FormatUint(uint64(r.epoch), 10) + `,"from":` + strconv.FormatUint(r.buffer.from, 10) +
		`,"frames":` + strconv.Itoa(len(r.buffer.frames)) + `}`
	r.stats.Dropped += uint64(v.queue.rebuild(NewFrame("sync", []byte(intro)), r.buffer.frames)) //nolint:gosec // a count
	r.stats.Deliveries += uint64(len(r.buffer.frames))
	if v.loss != lossNew {
		r.stats.Resyncs++
	}
	r.restored(v)
}

// written tells whether the viewer has been sent everything; if not, it is restored
// once it has.
func (r *Room) written(v *viewer) bool {
	if v.waits {
		return false
	}
	v.waits = !v.queue.idle(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		v.waits = false
		r.restore(v)
	})
	return !v.waits
}

// restored notes that a viewer has been given a new picture.
func (r *Room) restored(v *viewer) {
	why := v.loss
	v.loss, v.missed = lossNone, false
	retry := func() { r.restore(v) }
	switch {
	case why.own():
		r.later(&v.pace.timer, v.pace.lengthen(), retry)
		r.count(v)
	case why.patient():
		r.later(&v.pace.timer, r.limits.ResyncEvery, retry)
	}
}

// count notes a new picture that was the viewer's own doing. After too many it is
// slow for a while.
func (r *Room) count(v *viewer) {
	v.recent = append(v.recent, nil)
	slot := new(*time.Timer)
	r.later(slot, r.limits.SlowFor, func() {
		v.recent = v.recent[1:]
		if len(v.recent) == 0 {
			v.recent = nil
			v.pace.reset()
		}
	})
	v.recent[len(v.recent)-1] = *slot
	if len(v.recent) < r.limits.SlowResyncs {
		return
	}
	r.later(&v.thin, r.limits.SlowFor, func() {
		if v.missed && v.loss == lossNone { // where things were moved to is part of the picture
			r.lose(v, lossMoves)
			r.restore(v)
		}
	})
}

// deliver puts an ev frame into the viewers' queues. A checkout is a full frame of
// which those who have the picture need only the number.
func (r *Room) deliver(f *Frame, h head, checkout bool) {
	var skip *Frame // made when somebody needs it
	for _, v := range r.viewers {
		switch {
		case v.loss != lossNone:
			if h.mark == markFull {
				r.restore(v)
			}
			continue
		case v.hidden:
			r.lose(v, lossHidden)
			continue
		}
		out := f
		if checkout || h.mark == markMove && v.thin != nil {
			if skip == nil {
				skip = newSkip(h)
			}
			out = skip
			v.missed = v.missed || !checkout
		}
		if !v.queue.putPicture(out) {
			r.stats.Dropped++
			r.lose(v, lossSlow)
			r.restore(v)
			continue
		}
		if out == f {
			r.stats.Deliveries++
		}
	}
}

func newSkip(h head) *Frame {
	text := make([]byte, 0, 64)
	text = append(text, `{"t":"skip","e":`...)
	text = strconv.AppendUint(text, uint64(h.epoch), 10)
	text = append(text, `,"s":`...)
	text = strconv.AppendUint(text, h.seq, 10)
	return NewFrame("skip", append(text, '}'))
}

// forget stops what is still to happen to a viewer.
func (v *viewer) forget() {
	v.gone = true
	v.queue.forget()
	stop(&v.pace.timer)
	stop(&v.thin)
	for _, t := range v.recent {
		t.Stop()
	}
}
