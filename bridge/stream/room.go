package stream

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/relay"
)

// room is one session as the clients of this process know it. Where locks nest,
// the order is Hub.mu or room.mu, never both; below them those of relay; link.mu last.
type room struct {
	id      cobrowse.SessionID
	picture *relay.Room
	members int // links that are in, or come in; guarded by Hub.mu: the room goes with the last

	mu       sync.Mutex
	links    []*link
	sharer   *link            // whose page is shown, nil while it is not connected here
	session  cobrowse.Session // as it was told last, without what grows
	peers    *relay.Frame     // what was told last
	state    *relay.Frame
	page     *relay.Frame
	grants   *relay.Frame
	expiry   *time.Timer // for the next grant that ends by itself
	paused   string      // why the sharer shows nothing now; empty = it does
	focus    *relay.Frame
	hidden   *relay.Frame
	asks     []asked
	declined []asked // not to be asked again before until
	sent     map[cobrowse.ParticipantID][]sentAction
}

// enter finds or makes the room of a session, for one more link.
func (h *Hub) enter(id cobrowse.SessionID) (r *room, draining bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r = h.rooms[id]
	if r == nil {
		r = &room{id: id, picture: h.pictures.Open()}
		h.rooms[id] = r
	}
	r.members++
	return r, h.draining
}

// leave takes a link's place in a room away. An empty room is gone.
func (h *Hub) leave(r *room) {
	h.mu.Lock()
	r.members--
	empty := r.members == 0
	if empty {
		delete(h.rooms, r.id)
	}
	h.mu.Unlock()
	if !empty {
		return
	}
	r.picture.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.expiry != nil {
		r.expiry.Stop()
	}
}

func (h *Hub) room(id cobrowse.SessionID) *room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rooms[id]
}

// hear passes an event on to those it concerns.
func (h *Hub) hear(ctx context.Context, e cobrowse.Event) {
	r := h.room(e.SessionID)
	if r == nil {
		return
	}
	switch e.Type {
	case cobrowse.EventParticipantRemoved: // refresh has another word for the removed
	case cobrowse.EventGranted, cobrowse.EventRevoked: // no links come or go
	default:
		r.replace(e.ParticipantID, e.Connection)
	}
	h.refresh(ctx, e.SessionID)
}

// replace closes the links of a participant that are older than this one.
func (r *room) replace(id cobrowse.ParticipantID, number uint64) {
	if id == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.links {
		if l.member.participant == id && l.member.number < number {
			l.shut(closeReplaced, "")
		}
	}
}

// refresh looks at a session and tells its clients what is new.
func (h *Hub) refresh(ctx context.Context, id cobrowse.SessionID) {
	ctx, cancel := context.WithTimeout(ctx, h.limits.Call)
	defer cancel()
	s, err := h.service.Look(ctx, id)
	if err != nil && cobridge.CodeOf(err) != cobridge.CodeNotFound {
		// The next event, or the next look, makes up for it.
		h.log.WarnContext(ctx, "session not read", "sessionId", string(id), "err", err)
		return
	}
	r := h.room(id)
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		for _, l := range r.links {
			l.shut(closeNotFound, string(cobridge.CodeNotFound))
		}
		return
	}
	h.tell(r, s)
}

// admission is what a link is welcomed with, besides its session.
type admission struct {
	secret *resumeBody // nil if it is in a cookie
	rules  cobrowse.Deployment
	may    []cobrowse.GrantKind
}

// join adds a link to its session's room and welcomes it. A link of the same
// participant with a lower number is replaced.
func (h *Hub) join(l *link, joined *cobrowse.Joined, with *admission) {
	r, draining := h.enter(joined.Session.ID)
	if draining {
		l.shut(closeGoingAway, `{"retryMs":1000}`)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l.member, l.room = memberOf(joined), r
	if l.member.sharer {
		l.limitWire(h.limits.Picture.FullBytes)
		h.present(r, l)
	}
	h.tell(r, joined.Session) // the others hear what is new; this one needs all of it
	welcome := welcomeFrame{
		T: kindWelcome, Version: version, Session: joined.Session.ID, Participant: l.member.participant, Role: l.member.role,
		CobrowseRole: cobrowseRole(joined.Session, l.member.participant), State: newStateFrame(r.session, r.paused).State,
		Now: formatTime(h.clock.Now()), Deadline: deadlineOf(r.session), Resume: with.secret,
		Rules: newRulesBody(with.rules), May: append([]cobrowse.GrantKind{}, with.may...), Limits: h.limitsBody(),
	}
	if l.member.sharer {
		epoch, sequence := r.picture.Have()
		welcome.Have = &haveBody{Epoch: epoch, Sequence: sequence}
	}
	l.tell(kindWelcome, welcome)
	r.links = append(r.links, l)
	for _, frame := range []*relay.Frame{r.peers, r.state, r.grants} {
		if frame != nil {
			l.put(frame)
		}
	}
	if l.member.sharer {
		for _, a := range r.asks { // the page that had them may be gone
			l.tell(kindAsk, a.frame)
		}
		r.picture.SetSharer(l.out)
	} else {
		for _, frame := range []*relay.Frame{r.page, r.hidden} {
			if frame != nil {
				l.put(frame)
			}
		}
		r.picture.Join(l.out)
		if r.focus != nil { // after the picture that it is about
			l.put(r.focus)
		}
	}
	r.settle()
}

// present makes a link the sharer's. What the one before said of its page is
// void; a page that is paused says so again. mu is held.
func (h *Hub) present(r *room, l *link) {
	r.sharer = l
	if r.paused != "" {
		r.paused = ""
		r.picture.Pause(false)
	}
	if r.hidden != nil {
		r.hidden = nil
		if f := h.encode(kindVis, vis{T: kindVis}); f != nil {
			r.picture.Broadcast(f, nil)
		}
	}
	r.focus = nil
}

// part removes a link from its room.
func (h *Hub) part(l *link) {
	h.mu.Lock()
	delete(h.links, l)
	h.mu.Unlock()
	r := l.room
	if r == nil {
		return
	}
	r.mu.Lock()
	r.links = slices.DeleteFunc(r.links, func(other *link) bool { return other == l })
	if !l.member.sharer {
		r.picture.Leave(l.out)
	} else if r.sharer == l {
		r.sharer = nil
		r.picture.SetSharer(nil)
	}
	r.mu.Unlock()
	h.leave(r)
}

// tell sends what has changed in a session to everybody in it. Sessions may be
// read out of order: an older one than the last is not news. mu is held.
func (h *Hub) tell(r *room, s cobrowse.Session) {
	if s.Version < r.session.Version {
		return
	}
	s.Actions, s.Pages = nil, slices.Clone(s.Pages[max(0, len(s.Pages)-1):])
	r.session = s
	h.retell(r)
	r.settle()
}

// retell sends what has changed since it was told last. mu is held.
func (h *Hub) retell(r *room) {
	grants, next := newGrantsFrame(r.session, h.clock.Now())
	h.wake(r, next)
	for _, news := range []struct {
		last **relay.Frame
		kind string
		body any
	}{
		{&r.peers, kindPeers, newPeersFrame(r.session, r.quality)},
		{&r.state, kindState, newStateFrame(r.session, r.paused)},
		{&r.grants, kindGrants, grants},
		{&r.page, kindPage, newPageFrame(r.session)},
	} {
		frame := h.encode(news.kind, news.body)
		if frame == nil || *news.last != nil && bytes.Equal(frame.Payload(), (*news.last).Payload()) {
			continue
		}
		*news.last = frame
		for _, l := range r.links {
			if news.kind != kindPage || !l.member.sharer {
				l.put(frame)
			}
		}
	}
}

// wake makes the hub look again when the next grant ends. mu is held.
func (h *Hub) wake(r *room, next time.Time) {
	if r.expiry != nil {
		r.expiry.Stop()
		r.expiry = nil
	}
	if next.IsZero() {
		return
	}
	id := r.id
	// Times have whole milliseconds: one later it has ended for sure.
	r.expiry = time.AfterFunc(next.Sub(h.clock.Now())+time.Millisecond, func() {
		select {
		case h.due <- id:
		default: // so many at once that the regular look is as good
		}
	})
}

// settle closes the links that have no place in the session any more. mu is held.
func (r *room) settle() {
	for _, l := range r.links {
		p, ok := r.session.Participant(l.member.participant)
		switch {
		case !r.live():
			l.shut(closeEnded, string(r.session.EndReason))
		case !ok:
			l.shut(closeForbidden, "removed")
		case l.member.number < p.Connection.Number:
			l.shut(closeReplaced, "")
		case l.member.number == p.Connection.Number && p.State == cobrowse.ParticipantLeft:
			l.shut(closeEnded, "left")
		}
	}
}

// live reports whether the session has not ended. mu is held.
func (r *room) live() bool { return r.session.Live() }

func (r *room) isSharer(l *link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sharer == l
}

// mayShare reports whether frames of this link are the picture: it is the sharer's
// present one, and the sharer has agreed.
func (r *room) mayShare(l *link, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sharer == l && r.agreed(now)
}

// agreed reports whether the sharer has agreed to share. mu is held.
func (r *room) agreed(now time.Time) bool {
	return r.live() && r.session.Granted(cobrowse.GrantSharing, "", now)
}

// shows reports whether this is the sharer and its page can be seen now. mu is held.
func (r *room) shows(l *link) bool {
	return r.sharer == l && r.paused == "" && r.agreed(l.hub.clock.Now())
}

// pause stops the picture, or lets it go on.
func (r *room) pause(l *link, f pause) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sharer != l {
		return
	}
	r.paused = ""
	if f.On {
		r.paused = "page"
		if f.Why == "customer" {
			r.paused = f.Why
		}
		call(l.hub.metrics.Paused)
	}
	r.focus = nil
	r.picture.Pause(f.On)
	l.hub.retell(r)
}

// quality returns how good the connection of a participant is: "" if that is not
// known. mu is held.
func (r *room) quality(id cobrowse.ParticipantID) string {
	var latest *link
	for _, l := range r.links {
		if l.member.participant == id && (latest == nil || cmp.Less(latest.member.number, l.member.number)) {
			latest = l
		}
	}
	if latest == nil || latest.trip.quality() == "" {
		return "" // how well it keeps up says nothing while it had nothing to keep up with
	}
	return worse(latest.trip.quality(), r.picture.Quality(latest.out))
}

// measured looks whether a pong has changed the quality of a connection.
func (h *Hub) measured(l *link) {
	r := l.room
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// Pongs come all the time: only a change is worth making the frames anew.
	if quality := r.quality(l.member.participant); r.live() && quality != l.told {
		l.told = quality
		h.retell(r)
	}
}
