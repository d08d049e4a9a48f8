package cobrowse

import (
	"slices"
	"time"
)

// Rules are the installation's settings of the life of sessions.
type Rules struct {
	DefaultTimeout     time.Duration // of inactivity, where a session does not choose; 1..480 minutes
	NeverJoined        time.Duration // after creation or the latest join token, without becoming active
	Grace              time.Duration // for the sharer or the agent to come back
	MaxDuration        time.Duration // of a session
	Retention          time.Duration // of history records
	OneSessionPerAgent bool          // an agent is in one session at a time
	MaxViewers         int           // agents and supervisors who look at one sharer
}

// DefaultRules returns the defaults of the documentation.
func DefaultRules() Rules {
	return Rules{
		DefaultTimeout: 15 * time.Minute, NeverJoined: 20 * time.Minute, Grace: 2 * time.Minute, MaxDuration: 8 * time.Hour,
		Retention: 14 * 24 * time.Hour, OneSessionPerAgent: true, MaxViewers: 5,
	}
}

// Bounds of a session's time-out.
const (
	MinTimeout = time.Minute
	MaxTimeout = 480 * time.Minute
)

// deadline returns the moment at which s ends unless something happens before,
// and the reason it then has. The earliest of all rules that apply wins.
func (r Rules) deadline(s Session) (time.Time, EndReason) {
	at, reason := s.CreatedAt.Add(r.MaxDuration), EndMaxDuration
	earlier := func(t time.Time, why EndReason) {
		if t.Before(at) {
			at, reason = t, why
		}
	}
	if s.ActivatedAt.IsZero() {
		latest := s.CreatedAt
		if s.TokenIssuedAt.After(latest) {
			latest = s.TokenIssuedAt
		}
		earlier(latest.Add(r.NeverJoined), EndNeverJoined)
	}
	if !s.LastActivityAt.IsZero() {
		earlier(s.LastActivityAt.Add(s.Settings.Timeout), EndInactive)
	}
	sharer := s.Sharer()
	for _, p := range s.Participants {
		// Who has not come, or not come again, is missed by nobody, nor is a supervisor who goes; the others are what the session is about.
		if p.Removed || p.State == ParticipantInvited || p.Connection.Open || p.ID != sharer && p.Role != RoleAgent {
			continue
		}
		earlier(p.Connection.ClosedAt.Add(r.Grace), EndConnectionLost)
	}
	return at, reason
}

// end ends s; ending twice keeps the first time and reason. Everybody who is in
// leaves, and pages are left. An ended session never comes back.
func (s *Session) end(at time.Time, reason EndReason) {
	if !s.EndedAt.IsZero() {
		return
	}
	s.EndedAt, s.EndReason = at, reason
	s.leavePage(at)
	for i := range s.Grants {
		if g := &s.Grants[i]; g.InForce(at) {
			g.RevokedAt = at
		}
	}
	for i := range s.Participants {
		p := &s.Participants[i]
		if p.State == ParticipantJoined {
			p.leave(at)
		}
		if p.Connection.Open {
			p.Connection.Open, p.Connection.ClosedAt = false, at
		}
		p.Resume = Resume{}
	}
}

// link gives participant i a new link, which replaces the one it had. A link
// that is not open yet is in grace from the start, and no process has it.
func (s *Session) link(i int, at time.Time, open bool, node string) {
	p := &s.Participants[i]
	p.Connection = Connection{Number: p.Connection.Number + 1, Open: open, Node: node}
	if !open {
		p.Connection.ClosedAt, p.Connection.Node = at, ""
	}
	if p.State != ParticipantJoined {
		p.come(at)
	}
}

// maxStays bounds what one participant's coming and going takes in a session; of
// somebody who comes more often the last stay is the rest.
const maxStays = 20

// come notes that p is there from now on.
func (p *Participant) come(at time.Time) {
	p.State, p.LeftAt = ParticipantJoined, time.Time{}
	if p.JoinedAt.IsZero() {
		p.JoinedAt = at
	}
	if n := len(p.Stays); n >= maxStays {
		p.Stays[n-1].To = time.Time{}
		return
	}
	p.Stays = append(p.Stays, Stay{From: at})
}

// leave notes that p is not there any more.
func (p *Participant) leave(at time.Time) {
	p.State, p.LeftAt = ParticipantLeft, at
	if n := len(p.Stays); n > 0 {
		p.Stays[n-1].To = at
	}
}

// begins reports whether s becomes active: the sharer and at least one viewer are
// connected. In a session of the old world the agent is enough.
func (s Session) begins() bool {
	sharer := s.Sharer()
	i := s.index(sharer)
	shown := i >= 0 && s.Participants[i].Connection.Open
	return slices.ContainsFunc(s.Participants, func(p Participant) bool {
		return p.ID != sharer && !p.Removed && p.Role != RoleController && p.Connection.Open && (shown || s.Legacy && p.Role == RoleAgent)
	})
}

// unlink notes that the valid link of participant i has closed. A supervisor or a
// controller has left with it but may come back; the others are waited for.
func (s *Session) unlink(i int, at time.Time) {
	p := &s.Participants[i]
	p.Connection.Open, p.Connection.ClosedAt = false, at
	if p.Role == RoleSupervisor || p.Role == RoleController {
		p.leave(at)
	}
}

// Bounds of what one session remembers; of a visitor who opens more pages the
// first ones are kept, and the present one. The bytes are those of addresses and
// titles: each change of a session writes all of them, and a customer's page may
// name what it likes.
const (
	maxPages     = 500
	maxPagesSize = 64 << 10
)

// enterPage adds a page, in the place of the last one if there is no room.
func (s *Session) enterPage(visit PageVisit) {
	size := len(visit.URL) + len(visit.Title)
	for _, p := range s.Pages {
		size += len(p.URL) + len(p.Title)
	}
	if n := len(s.Pages); n > 0 && (n >= maxPages || size > maxPagesSize) {
		s.Pages = s.Pages[:n-1]
	}
	s.Pages = append(s.Pages, visit)
}

func (s *Session) leavePage(at time.Time) {
	if n := len(s.Pages); n > 0 && s.Pages[n-1].LeftAt.IsZero() {
		s.Pages[n-1].LeftAt = at
	}
}
