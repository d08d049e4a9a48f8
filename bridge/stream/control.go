package stream

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cobridge/cobridge/cobrowse"
)

// asked is a question that the sharer has not answered.
type asked struct {
	frame ask
	until time.Time
}

// sentAction is a ctl that the sharer has not answered.
type sentAction struct {
	n     uint64
	kind  string
	until time.Time
}

// ttl returns how long a consent is meant to hold. More than any rule allows stays
// more than that.
func (c consent) ttl() time.Duration { return time.Duration(c.TTL) * time.Second }

// ask puts a question before the sharer, and reports false if there is nobody to
// ask, or if one of the kind waits already or was declined a moment ago: who is
// asked again and again says yes to be left alone.
func (r *room) ask(f ask, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sharer == nil {
		return false
	}
	over := func(a asked) bool { return !now.Before(a.until) }
	same := func(a asked) bool { return a.frame.From == f.From && a.frame.Kind == f.Kind }
	r.asks, r.declined = slices.DeleteFunc(r.asks, over), slices.DeleteFunc(r.declined, over)
	if slices.ContainsFunc(r.asks, same) || slices.ContainsFunc(r.declined, same) {
		return false
	}
	r.asks = append(r.asks, asked{frame: f, until: now.Add(askAnswer)})
	r.sharer.tell(kindAsk, f)
	return true
}

// answer tells a viewer what the sharer said to its question; why is empty if that
// was yes. There is no answer to what nobody asked.
func (r *room) answer(c consent, why string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.asks, func(a asked) bool { return a.frame.From == c.To && a.frame.Kind == c.Kind })
	if i < 0 || c.N != 0 && r.asks[i].frame.N != c.N {
		return
	}
	f := answerFrame{T: kindAnswer, N: r.asks[i].frame.N, Kind: c.Kind, OK: why == "", Why: why}
	if why == whyDeclined {
		r.declined = append(r.declined, asked{frame: r.asks[i].frame, until: now.Add(askAgain)})
	}
	r.asks = slices.Delete(r.asks, i, i+1)
	r.tellParticipant(c.To, kindAnswer, f)
}

// tellParticipant sends a frame to the connections of one participant. mu is held.
func (r *room) tellParticipant(id cobrowse.ParticipantID, kind string, body any) {
	for _, l := range r.links {
		if l.member.participant == id {
			l.tell(kind, body)
		}
	}
}

// navigates reports whether a kind of ctl needs the grant to navigate, and not
// that to control.
func navigates(kind string) bool { return slices.Contains(ControlKinds()[6:], kind) }

// steer passes a viewer's action on to the sharer, or answers why not. The page
// checks again, and knows more.
func (l *link) steer(ctx context.Context, f ctl, within bool) {
	m := l.member
	f.T, f.From, f.Name = kindCtl, m.participant, m.name
	why := whyBusy
	if within {
		why = l.room.steer(l, f, l.hub.clock.Now())
	}
	callWith(l.hub.metrics.Control, controlLabel(why))
	if why != "" {
		l.tell(kindDone, done{T: kindDone, N: f.N, Why: why})
		return
	}
	if err := l.hub.service.Activity(ctx, m.session); err != nil {
		l.report(ctx, err) // the action is on its way
	}
}

func controlLabel(why string) string {
	if why == "" {
		return "sent"
	}
	return why
}

// steer returns why an action was not passed on, or "".
func (r *room) steer(l *link, f ctl, now time.Time) string {
	grant := cobrowse.GrantControl
	if navigates(f.Kind) {
		grant = cobrowse.GrantNavigate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case l.member.sharer || !r.live() || r.paused != "" || !r.session.Granted(grant, l.member.participant, now):
		return whyDenied
	case !slices.Contains(r.links, l) || r.sharer == nil: // replaced a moment ago; or nobody is there to do it
		return whyBusy
	}
	if epoch, _ := r.picture.Have(); f.Epoch != epoch {
		return whyStale
	}
	if f.Kind == "goto" && !safeURL(f.URL) {
		return whyUnsafe
	}
	wall := l.hub.wall.Now()
	waiting := slices.DeleteFunc(r.sent[f.From], func(a sentAction) bool { return !wall.Before(a.until) })
	if len(waiting) >= actionsWaiting || slices.ContainsFunc(waiting, func(a sentAction) bool { return a.n == f.N }) {
		r.sent[f.From] = waiting
		return whyBusy
	}
	if r.sent == nil {
		r.sent = map[cobrowse.ParticipantID][]sentAction{}
	}
	r.sent[f.From] = append(waiting, sentAction{n: f.N, kind: f.Kind, until: wall.Add(actionAnswer)})
	r.sharer.tell(kindCtl, f)
	return ""
}

// safeURL reports whether an address is one of the web, or relative to one.
func safeURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "" || u.Scheme == "https" || u.Scheme == "http")
}

// done passes on what became of an action, and keeps it. A sharer cannot make
// entries: only what was sent to it, a moment ago, can be answered, and once.
func (l *link) done(ctx context.Context, f done) {
	if !l.sharerOnly() {
		return
	}
	kind, ok := l.room.done(l, f)
	if !ok {
		call(l.hub.metrics.Dropped)
		return
	}
	a := cobrowse.Action{ParticipantID: f.To, Kind: kind, Path: onePath(f.Path), Result: "ok"}
	if !f.OK {
		a.Result = refusal(f.Why)
	}
	if err := l.hub.service.Acted(ctx, l.member.session, a); err != nil {
		l.report(ctx, err)
	}
}

// done takes an answer out of what is waited for; ok is false if it is not.
func (r *room) done(l *link, f done) (kind string, ok bool) {
	wall := l.hub.wall.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.sent[f.To]
	i := slices.IndexFunc(waiting, func(a sentAction) bool { return a.n == f.N && wall.Before(a.until) })
	if i < 0 || r.sharer != l {
		return "", false
	}
	kind = waiting[i].kind
	if waiting = slices.Delete(waiting, i, i+1); len(waiting) == 0 {
		delete(r.sent, f.To)
	} else {
		r.sent[f.To] = waiting
	}
	answer := done{T: kindDone, N: f.N, OK: f.OK}
	if !f.OK {
		answer.Why = refusal(f.Why)
	}
	r.tellParticipant(f.To, kindDone, answer)
	return kind, true
}

// refusal returns why if it is one of [Refusals].
func refusal(why string) string {
	if slices.Contains(Refusals(), why) {
		return why
	}
	return whyError
}

// onePath returns the path to an element as it may be kept: one line, cut to 300 characters.
func onePath(path string) string {
	const most = 300
	path = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == utf8.RuneError {
			return ' '
		}
		return c
	}, path)
	if runes := []rune(path); len(runes) > most {
		return string(runes[:most])
	}
	return path
}

// focused passes on in which private field the sharer is.
func (r *room) focused(l *link, f focus) {
	f.T = kindFocus
	r.mu.Lock()
	defer r.mu.Unlock()
	epoch, _ := r.picture.Have()
	if !r.shows(l) || f.Epoch != epoch {
		return
	}
	frame := l.hub.encode(kindFocus, f)
	if r.focus = nil; f.Masked {
		r.focus = frame // for those who come later
	}
	r.picture.Broadcast(frame, nil)
}

// shown passes on whether the sharer looks at its page itself.
func (r *room) shown(l *link, f vis) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sharer != l {
		return
	}
	frame := l.hub.encode(kindVis, f)
	if r.hidden = nil; f.Hidden {
		r.hidden = frame
	}
	r.picture.Broadcast(frame, nil)
}

// pass hands a pointer or a part of a drawing to all others.
func (r *room) pass(l *link, kind string, body any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := l.hub.clock.Now()
	switch {
	case r.sharer == nil || !r.shows(r.sharer), !slices.Contains(r.links, l),
		kind == kindDraw && (l.member.sharer || !r.session.Granted(cobrowse.GrantDraw, l.member.participant, now)):
		call(l.hub.metrics.Dropped)
		return
	}
	frame := l.hub.encode(kind, body)
	if frame == nil {
		return
	}
	if kind == kindDraw {
		if l != r.sharer {
			r.sharer.put(frame)
		}
		r.picture.Broadcast(frame, l.out)
		return
	}
	from := string(l.member.participant)
	if l != r.sharer {
		r.sharer.out.PutLatest(from, frame)
	}
	r.picture.BroadcastLatest(from, frame, l.out)
}
