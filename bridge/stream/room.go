package stream

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// room is one session as the clients of this process know it. The hub's mu guards it.
type room struct {
	links   map[*link]struct{}
	version uint64 // of the session that was told last
	ended   bool
	why     cobrowse.EndReason
	sharer  cobrowse.ParticipantID
	peers   told
	state   told
	page    told
}

// told is the latest frame of one kind.
type told struct {
	text    []byte
	message message
}

// message is a frame on its way to clients, encoded once for all of them.
type message struct {
	kind     string
	size     int
	prepared *websocket.PreparedMessage
}

func newMessage(kind string, frame any) (told, error) {
	text, err := json.Marshal(frame)
	if err != nil {
		return told{}, err
	}
	prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, text)
	if err != nil {
		return told{}, err
	}
	return told{text: text, message: message{kind: kind, size: len(text), prepared: prepared}}, nil
}

// hear passes an event on to those it concerns.
func (h *Hub) hear(ctx context.Context, e cobrowse.Event) {
	h.mu.Lock()
	r := h.rooms[e.SessionID]
	if r == nil {
		h.mu.Unlock()
		return
	}
	if e.ParticipantID != "" && e.Type != cobrowse.EventParticipantRemoved { // refresh has another word for the removed
		for l := range r.links {
			if l.member.participant == e.ParticipantID && l.member.number < e.Connection {
				l.shut(closeReplaced, "")
			}
		}
	}
	h.mu.Unlock()
	h.refresh(ctx, e.SessionID)
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
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[id]
	if r == nil {
		return
	}
	if err != nil {
		for l := range r.links {
			l.shut(closeNotFound, string(cobridge.CodeNotFound))
		}
		return
	}
	h.tell(r, s)
}

// join adds a link to its session's room and welcomes it. A link of the same
// participant with a lower number is replaced.
func (h *Hub) join(l *link, joined cobrowse.Joined, secret *resumeBody) {
	s := joined.Session
	welcome, err := newMessage(kindWelcome, welcomeFrame{
		T: kindWelcome, Version: version, Session: s.ID, Participant: joined.Participant.ID, Role: joined.Participant.Role,
		CobrowseRole: cobrowseRole(s, joined.Participant.ID), State: stateOf(s), Now: formatTime(h.clock.Now()), Deadline: deadlineOf(s), Resume: secret,
		Limits: limitsBody{
			FrameBytes: h.limits.FrameBytes, FramesPerSecond: h.limits.FramesPerSecond, FrameBurst: h.limits.FrameBurst,
			PingSeconds: h.limits.PingEvery.Seconds(), GraceSeconds: h.grace.Seconds(),
		},
	})
	if err != nil {
		h.log.Error("frame not encoded", "err", err)
		l.shut(closeInternal, "")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	l.member = member{session: s.ID, participant: joined.Participant.ID, number: joined.Participant.Connection.Number}
	if h.draining {
		l.shut(closeGoingAway, `{"retryMs":1000}`)
	}
	r := h.rooms[s.ID]
	if r == nil {
		r = &room{links: map[*link]struct{}{}}
		h.rooms[s.ID] = r
	}
	l.put(welcome.message)
	h.tell(r, s)
	// The others have heard what is new; this one needs all of it.
	r.links[l] = struct{}{}
	for _, frame := range []told{r.peers, r.state} {
		if frame.text != nil {
			l.put(frame.message)
		}
	}
	if l.member.participant != r.sharer && r.page.text != nil {
		l.put(r.page.message)
	}
	h.settle(r, s)
}

// part removes a link from its room.
func (h *Hub) part(l *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.links, l)
	r := h.rooms[l.member.session]
	if r == nil {
		return
	}
	delete(r.links, l)
	if len(r.links) == 0 {
		delete(h.rooms, l.member.session)
	}
}

// tell sends what has changed in a session to everybody in it. Sessions may be
// read out of order: an older one than the last is not news. mu is held.
func (h *Hub) tell(r *room, s cobrowse.Session) {
	if s.Version < r.version {
		return
	}
	r.version, r.sharer = s.Version, s.Sharer()
	r.ended, r.why = !s.Live(), s.EndReason
	for _, news := range []struct {
		last  *told
		kind  string
		frame any
	}{
		{&r.peers, kindPeers, newPeersFrame(s)},
		{&r.state, kindState, newStateFrame(s)},
		{&r.page, kindPage, newPageFrame(s)},
	} {
		next, err := newMessage(news.kind, news.frame)
		if err != nil {
			h.log.Error("frame not encoded", "err", err)
			continue
		}
		if bytes.Equal(next.text, news.last.text) {
			continue
		}
		*news.last = next
		for l := range r.links {
			if news.kind != kindPage || l.member.participant != r.sharer {
				l.put(next.message)
			}
		}
	}
	h.settle(r, s)
}

// settle closes the links that have no place in the session any more. mu is held.
func (h *Hub) settle(r *room, s cobrowse.Session) {
	for l := range r.links {
		p, ok := s.Participant(l.member.participant)
		switch {
		case r.ended:
			l.shut(closeEnded, string(r.why))
		case s.Version < r.version:
		case !ok:
			l.shut(closeForbidden, "removed")
		case l.member.number < p.Connection.Number:
			l.shut(closeReplaced, "")
		case l.member.number == p.Connection.Number && p.State == cobrowse.ParticipantLeft:
			l.shut(closeEnded, "left")
		}
	}
}
