package legacy

import (
	"context"
	"slices"
	"sync"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// maxJoins bounds the sessions that one client is in at a time. A page is in one; a
// program that steers sessions for a whole desk is in several.
const maxJoins = 100

// finishing is a way to leave or to end a session.
type finishing func(ctx context.Context, org conversations.OrgID, userToken string) (cobrowse.Session, error)

// visitor is a CometD client, from its handshake until it has gone.
type visitor struct {
	authorization string // shown at the handshake; a secret
	desk          string

	// Guarded by the lock of rooms.
	gone    bool
	members []*member
}

// shown is what a client shows with a request. What it showed at the handshake holds
// as long as it shows nothing else, and is looked at again each time: it may have
// been revoked since.
func (v *visitor) shown(r bayeux.Request) shown {
	s := shown{origin: r.Origin, authorization: r.Authorization, network: r.Network}
	if s.authorization == "" {
		s.authorization = v.authorization
	}
	return s
}

// visitorOf returns who a client is.
func visitorOf(client bayeux.Client) (*visitor, error) {
	v, ok := client.Value.(*visitor)
	if !ok {
		return nil, &cobridge.Error{Code: cobridge.CodeInternal, Message: "The client has no handshake."}
	}
	return v, nil
}

// member is one user of a session that is a CometD client.
type member struct {
	client      bayeux.ClientID
	visitor     *visitor
	session     cobrowse.SessionID
	token       cobrowse.SessionToken
	participant cobrowse.ParticipantID
	role        cobrowse.Role
	link        uint64 // number of the link that this client is
	userToken   string

	// What it was told.
	known     []cobrowse.ParticipantID // who is there, itself included
	activated bool
}

func newMember(client bayeux.ClientID, v *visitor, e cobrowse.Entered) *member {
	m := &member{
		client: client, visitor: v, session: e.Session.ID, token: e.Session.Token,
		participant: e.Participant.ID, role: e.Participant.Role, link: e.Participant.Connection.Number, userToken: e.UserToken,
	}
	for _, p := range present(e.Session) { // the answer to the join names them
		m.known = append(m.known, p.ID)
	}
	return m
}

// room is what CometD knows of one session while somebody there is its client.
type room struct {
	version uint64 // of the session, as it was told last
	members []*member
}

// rooms are all of them. What members were told is compared with the session as it
// is, so that nothing depends on who learns of a change, how often and in which order.
type rooms struct {
	deliver func(ctx context.Context, id bayeux.ClientID, channel string, data any) error

	mu   sync.Mutex // also held while events are handed over, which waits for nobody, so that they keep their order
	byID map[cobrowse.SessionID]*room
}

func newRooms(deliver func(context.Context, bayeux.ClientID, string, any) error) *rooms {
	return &rooms{deliver: deliver, byID: map[cobrowse.SessionID]*room{}}
}

// membership returns the place that a client has in the session with these digits,
// nil if it has none. It fails when the client has another role in it, or is in as
// many sessions as it may be.
func (r *rooms) membership(v *visitor, token cobrowse.SessionToken, role cobrowse.Role) (*member, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range v.members {
		switch {
		case m.token != token:
		case m.role != role:
			return nil, &bayeux.Error{Code: 409, Args: []string{string(token)}, Text: "This client has another role in the session"}
		default:
			return m, nil
		}
	}
	if len(v.members) >= maxJoins {
		return nil, &bayeux.Error{Code: 409, Args: []string{string(token)}, Text: "This client is in too many sessions"}
	}
	return nil, nil
}

// add gives a member its place, in that of an earlier join of the same client. A
// user that has come with another client since, such as a second tab, hears what
// happens in both. It returns false when the client has gone.
func (r *rooms) add(m *member, s cobrowse.Session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.visitor.gone {
		return false
	}
	place := r.byID[s.ID]
	if place == nil {
		place = &room{}
		r.byID[s.ID] = place
	}
	for _, old := range slices.Clone(m.visitor.members) {
		if old.session == m.session && old.participant == m.participant {
			m.activated = old.activated
			r.forget(old)
		}
	}
	r.byID[s.ID] = place // which may have been emptied
	place.members = append(place.members, m)
	m.visitor.members = append(m.visitor.members, m)
	return true
}

// forget takes a member's place; mu is held. A room that is empty goes.
func (r *rooms) forget(m *member) {
	is := func(other *member) bool { return other == m }
	m.visitor.members = slices.DeleteFunc(m.visitor.members, is)
	place := r.byID[m.session]
	if place == nil {
		return
	}
	if place.members = slices.DeleteFunc(place.members, is); len(place.members) == 0 {
		delete(r.byID, m.session)
	}
}

// leave forgets a client and returns the places that it had.
func (r *rooms) leave(v *visitor) []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := slices.Clone(v.members)
	v.gone = true
	for _, m := range members {
		r.forget(m)
	}
	return members
}

// has reports whether anybody is to be told about a session.
func (r *rooms) has(id cobrowse.SessionID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id] != nil
}

// tell tells the members of a session what has changed: first who has come, then
// that it is active, then that it has ended, after which nobody is a member. With
// the context of a call it goes out after the answer.
func (r *rooms) tell(ctx context.Context, s cobrowse.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	place := r.byID[s.ID]
	if place == nil || s.Version < place.version {
		return
	}
	place.version = s.Version
	members := slices.Clone(place.members)
	// Whoever cannot be reached is gone, or about to be: the server says so by itself.
	if s.Live() {
		r.tellJoined(ctx, s, members)
	}
	if !s.ActivatedAt.IsZero() {
		for _, m := range members {
			if !m.activated {
				m.activated = true
				_ = r.deliver(ctx, m.client, channelActivated, activation{s.ActivatedAt.UnixMilli()})
			}
		}
	}
	for _, m := range members {
		if s.Live() {
			r.tellOut(ctx, s, m)
			continue
		}
		_ = r.deliver(ctx, m.client, channelDeactivated, newDeactivation(s))
		r.forget(m)
	}
}

// tellJoined tells who has come. Nobody is told of supervisors, whom the old product
// does not have: its clients would take them for the agent.
func (r *rooms) tellJoined(ctx context.Context, s cobrowse.Session, members []*member) {
	here := present(s)
	var ids []cobrowse.ParticipantID
	for _, p := range here {
		ids = append(ids, p.ID)
	}
	for _, m := range members {
		for _, p := range here {
			if p.Role != cobrowse.RoleSupervisor && !slices.Contains(m.known, p.ID) {
				_ = r.deliver(ctx, m.client, channelJoined, newUser(s, p))
			}
		}
		m.known = ids
	}
}

// tellOut takes the place of a member who is in a live session no more. A controller
// has left by itself; for somebody who was removed it is the end of the session.
func (r *rooms) tellOut(ctx context.Context, s cobrowse.Session, m *member) {
	i := slices.IndexFunc(s.Participants, func(p cobrowse.Participant) bool { return p.ID == m.participant })
	switch {
	case i < 0:
		r.forget(m)
	case s.Participants[i].Removed:
		ended := s
		ended.EndedAt = s.Participants[i].LeftAt
		_ = r.deliver(ctx, m.client, channelDeactivated, newDeactivation(ended))
		r.forget(m)
	case s.Participants[i].State != cobrowse.ParticipantJoined:
		r.forget(m)
	}
}

// follow tells members what an event says has happened, on whatever surface.
func (ch *Channels) follow(ctx context.Context, e cobrowse.Event) error {
	switch e.Type {
	case cobrowse.EventCreated, cobrowse.EventUpdated, cobrowse.EventPageVisited, cobrowse.EventGranted, cobrowse.EventRevoked:
		return nil // nothing that the old product tells of
	default:
		if ch.rooms.has(e.SessionID) {
			ch.tell(ctx, e.SessionID)
		}
		return nil
	}
}

// tell tells members about a session as it is now.
func (ch *Channels) tell(ctx context.Context, id cobrowse.SessionID) {
	session, err := ch.Sessions.Look(ctx, id)
	if err != nil {
		if ctx.Err() == nil {
			ch.Log.ErrorContext(ctx, "telling cometd clients of a session failed", "sessionId", string(id), "err", err)
		}
		return
	}
	ch.rooms.tell(ctx, session)
}
