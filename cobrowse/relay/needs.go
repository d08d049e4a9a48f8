package relay

import "time"

// Reasons why the sharer is asked for a full frame, as the wire names them.
const (
	needJoin  = "join"  // a viewer has come and there is nothing to give it
	needLag   = "lag"   // a viewer has lost frames
	needSize  = "size"  // the buffer is long, or a frame was too large
	needReset = "reset" // frames are missing
)

// needs says when the sharer is asked for a full frame. Making one costs its page
// tens of milliseconds, so there is a gap between two requests, and a longer one
// while nobody answers or while the page only grows. It is guarded by its room's mu.
type needs struct {
	why    string // what a full frame is wanted for; "" if none is
	urgent bool   // somebody has no picture without it
	gap    pace   // between any two requests; longer while they are not answered
	growth pace   // between those for a growing buffer; longer while it grows
}

// newNeeds returns needs whose gaps are not running.
func newNeeds(l Limits) needs {
	return needs{gap: pace{least: l.NeedEvery, most: l.NeedMax}, growth: pace{least: l.NeedEvery, most: l.NeedMax}}
}

// pace is a gap between two things, doubled by each of them up to a longest one.
type pace struct {
	least, most time.Duration
	last        time.Duration // the last gap; 0 if the next one is the least
	timer       *time.Timer   // set while a gap lasts
}

// open tells whether no gap lasts.
func (p *pace) open() bool { return p.timer == nil }

// lengthen returns the next gap.
func (p *pace) lengthen() time.Duration {
	p.last = min(max(p.least, 2*p.last), p.most)
	return p.last
}

func (p *pace) reset() { p.last = 0 }

// later calls then after d with mu held, in place of what *slot was to call. Until
// then *slot is set. mu is held.
func (r *Room) later(slot **time.Timer, d time.Duration, then func()) {
	stop(slot)
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if *slot != timer { // stopped, but too late
			return
		}
		*slot = nil
		then()
	})
	*slot = timer
}

func stop(slot **time.Timer) {
	if *slot != nil {
		(*slot).Stop()
		*slot = nil
	}
}

// need wants a full frame. mu is held, as in all below.
func (r *Room) need(why string, urgent bool) {
	if r.needs.why == "" || urgent && !r.needs.urgent {
		r.needs.why = why
	}
	r.needs.urgent = r.needs.urgent || urgent
	r.ask()
}

// ask asks the sharer if a full frame is wanted and it is time.
func (r *Room) ask() {
	n := &r.needs
	if n.why == "" || r.sharer == nil || r.paused || r.closed || !n.gap.open() || !n.urgent && !n.growth.open() {
		return
	}
	r.sharer.Put(NewFrame("need", []byte(`{"t":"need","what":"full","why":"`+n.why+`"}`)))
	r.stats.Needs++
	r.later(&n.gap.timer, n.gap.lengthen(), r.ask)
	if !n.urgent {
		r.later(&n.growth.timer, n.growth.lengthen(), r.grown)
	}
}

// grown is called when the gap after a request for a growing buffer is over.
func (r *Room) grown() {
	if r.needs.why == "" {
		r.needs.growth.reset() // the page has stopped growing
	}
	r.ask()
}

// answered says that a full frame has come.
func (r *Room) answered() {
	r.needs.why, r.needs.urgent = "", false
	r.needs.gap.reset()
}

// patience gives the sharer time to send a full frame of its own accord, as it does
// when it is back or goes on after a pause.
func (r *Room) patience() {
	if r.needs.gap.open() {
		r.later(&r.needs.gap.timer, r.limits.NeedEvery, r.ask)
	}
}
