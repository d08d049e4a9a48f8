package cobrowse

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// IssueToken returns a fresh join token for a participant who was not removed,
// any number of times. It fails with CodeNotFound, CodeParticipantNotFound, or
// CodeConflict if the session has ended.
func (s *Service) IssueToken(ctx context.Context, org conversations.OrgID, id SessionID, participant ParticipantID) (JoinToken, error) {
	session, err := s.changeMine(ctx, org, id, func(d *decision) error {
		i := d.Session.index(participant)
		if i < 0 || d.Session.Participants[i].Role == RoleController { // it has nothing to look at
			return participantNotFound(participant)
		}
		if !d.Session.Live() {
			return endedConflict(id)
		}
		return noteTokenIssue(d)
	})
	if err != nil {
		return JoinToken{}, err
	}
	p, _ := session.Participant(participant)
	token, err := s.tokens.issue(session, p)
	if err != nil {
		return JoinToken{}, fmt.Errorf("sign join token: %w", err)
	}
	return token, nil
}

// AddParticipant invites somebody into a live session. Somebody who was removed
// may be invited again. It fails with CodeConstraintValidation, CodeNotFound,
// CodeUserNotFound, CodeMissingPermissions, or CodeConflict: the session has
// ended, has such a participant or enough viewers, or the customer comes too late.
func (s *Service) AddParticipant(ctx context.Context, org conversations.OrgID, id SessionID, in Invite) (Session, Participant, JoinToken, error) {
	var bad problems
	if checkInvite(&bad, "", in); len(bad) > 0 {
		return Session{}, Participant{}, JoinToken{}, bad.err("The participant")
	}
	session, err := s.mine(ctx, org, id)
	if err != nil {
		return Session{}, Participant{}, JoinToken{}, err
	}
	p, err := s.newcomer(ctx, session, in)
	if err != nil {
		return Session{}, Participant{}, JoinToken{}, err
	}
	session, err = s.change(ctx, id, func(d *decision) error {
		if !d.Session.Live() {
			return endedConflict(id)
		}
		if err := s.admit(d, p); err != nil {
			return err
		}
		return noteTokenIssueIfIdle(d)
	})
	if err != nil {
		return Session{}, Participant{}, JoinToken{}, err
	}
	p, _ = session.Participant(p.ID)
	token, err := s.tokens.issue(session, p)
	if err != nil {
		return Session{}, Participant{}, JoinToken{}, fmt.Errorf("sign join token: %w", err)
	}
	return session, p, token, nil
}

func noteTokenIssueIfIdle(d *decision) error {
	if err := noteTokenIssue(d); !errors.Is(err, errUnchanged) {
		return err
	}
	return nil
}

// newcomer looks up who is invited into an existing session.
func (s *Service) newcomer(ctx context.Context, session Session, in Invite) (Participant, error) {
	if in.Role == "" {
		in.Role = RoleSupervisor
		if !slices.ContainsFunc(session.Participants, func(p Participant) bool { return p.Role == RoleAgent && !p.Removed }) {
			in.Role = RoleAgent
		}
	}
	if in.Role == RoleCustomer {
		return Participant{ID: s.newParticipantID(), Role: in.Role, Name: in.Name, State: ParticipantInvited}, nil
	}
	if session.ConversationID == "" {
		return s.newcomerTo(ctx, conversations.Conversation{OrgID: session.OrgID}, in)
	}
	c, err := s.directory.Conversation(ctx, session.OrgID, session.ConversationID)
	if err != nil {
		return Participant{}, fmt.Errorf("look up conversation: %w", err)
	}
	return s.newcomerTo(ctx, c, in)
}

// newcomerTo looks up one user for a session on c, which has no id as long as
// there is no conversation: of what kind it will be is not known then, and the
// capability for either kind will do.
func (s *Service) newcomerTo(ctx context.Context, c conversations.Conversation, in Invite) (Participant, error) {
	u, err := s.directory.User(ctx, c.OrgID, in.UserID)
	if err != nil {
		return Participant{}, fmt.Errorf("look up user: %w", err)
	}
	if u.State == conversations.UserDeleted {
		return Participant{}, conversations.UserNotFound(in.UserID)
	}
	may := u.MayCobrowse(c)
	if c.ID == "" {
		may = u.Cobrowse != conversations.Capability{}
	}
	if !may {
		return Participant{}, missingCapability(c, in.UserID, "userId")
	}
	name := in.Name
	if name == "" {
		name = u.Name
	}
	return Participant{ID: ParticipantID(in.UserID), UserID: in.UserID, Role: in.Role, Name: name, State: ParticipantInvited, AllowControl: in.AllowControl}, nil
}

// admit adds p to the session of d.
func (s *Service) admit(d *decision, p Participant) error {
	session := &d.Session
	viewers := 0
	for _, other := range session.Participants {
		switch {
		case other.Removed:
		case other.ID == p.ID:
			return sessionConflict(session.ID, DetailParticipant, "The session has this participant.")
		case p.Role == RoleAgent && other.Role == RoleAgent:
			return sessionConflict(session.ID, DetailParticipant, "The session has an agent.")
		case other.ID != session.Sharer() && other.Role != RoleController:
			viewers++
		}
	}
	if p.Role == RoleCustomer {
		return sessionConflict(session.ID, DetailCustomerLate, "A customer takes part from the start or not at all.")
	}
	if viewers >= s.rules.MaxViewers {
		return sessionConflict(session.ID, DetailViewersLimit, "The session has as many viewers as are allowed.")
	}
	i := slices.IndexFunc(session.Participants, func(old Participant) bool { return old.ID == p.ID })
	if i < 0 {
		i = len(session.Participants)
		session.Participants = append(session.Participants, p)
	} else { // was removed before: comes back with the numbers of its links, so that old links and old tokens stay old
		p.Invitation = session.Participants[i].Invitation + 1
		p.Connection, p.JoinedAt, p.Stays = session.Participants[i].Connection, session.Participants[i].JoinedAt, session.Participants[i].Stays
		session.Participants[i] = p
	}
	d.event(EventParticipantAdded, i)
	return nil
}

// RemoveParticipant disconnects a participant for good; without the sharer there
// is nothing left to show, so removing the sharer ends the session. It fails with
// CodeNotFound, CodeParticipantNotFound, or CodeConflict if the session has ended.
func (s *Service) RemoveParticipant(ctx context.Context, org conversations.OrgID, id SessionID, participant ParticipantID) (Session, error) {
	return s.changeMine(ctx, org, id, func(d *decision) error {
		i := d.Session.index(participant)
		if i < 0 {
			return participantNotFound(participant)
		}
		if !d.Session.Live() {
			return endedConflict(id)
		}
		if participant == d.Session.Sharer() {
			d.end(d.now, EndRequested)
			return nil
		}
		d.remove(i)
		return nil
	})
}

// remove takes participant i, who is not the sharer, out of the session.
func (d *decision) remove(i int) {
	p := &d.Session.Participants[i]
	d.Session.revoke(d, "", func(g Grant) bool { return g.To == p.ID })
	p.Removed, p.Resume = true, Resume{}
	if p.State == ParticipantJoined {
		p.leave(d.now)
	}
	if p.Connection.Open {
		p.Connection.Open, p.Connection.ClosedAt = false, d.now
	}
	p.Connection.Number++ // whatever link is still there is old from now on
	for _, claim := range agentClaims(d.Session.OrgID, *p) {
		d.Release = append(d.Release, Release{Claim: claim})
	}
	d.event(EventParticipantRemoved, i)
}

// Replace takes a viewer out of a live session and invites a user in the same role
// in its place, in one step. It fails with CodeConstraintValidation, CodeNotFound,
// CodeParticipantNotFound, CodeUserNotFound, CodeMissingPermissions, or
// CodeConflict: the session has ended or has the user, or the participant shares.
func (s *Service) Replace(ctx context.Context, org conversations.OrgID, id SessionID, participant ParticipantID, user conversations.UserID) (Session, error) {
	if user == "" {
		var bad problems
		bad.add("userId", "required")
		return Session{}, bad.err("The request")
	}
	session, err := s.mine(ctx, org, id)
	if err != nil {
		return Session{}, err
	}
	old, ok := session.Participant(participant)
	switch {
	case !ok || old.Role == RoleController:
		return Session{}, participantNotFound(participant)
	case !session.Live():
		return Session{}, endedConflict(id)
	case participant == session.Sharer(): // fixed at creation
		return Session{}, sessionConflict(id, DetailRoleTaken, "The participant whose page is shown cannot be replaced.")
	}
	p, err := s.newcomer(ctx, session, Invite{UserID: user, Role: old.Role, AllowControl: old.AllowControl})
	if err != nil {
		return Session{}, err
	}
	return s.change(ctx, id, func(d *decision) error {
		i := d.Session.index(participant)
		switch {
		case i < 0:
			return participantNotFound(participant)
		case !d.Session.Live():
			return endedConflict(id)
		case d.Session.index(p.ID) >= 0:
			return sessionConflict(id, DetailParticipant, "The session has this participant.")
		}
		d.remove(i)
		if err := s.admit(d, p); err != nil {
			return err
		}
		return noteTokenIssueIfIdle(d)
	})
}

// AttachRequest ties a session that a customer started to a conversation.
type AttachRequest struct {
	OrgID          conversations.OrgID
	SessionToken   SessionToken // as the customer read it out
	ConversationID conversations.ID
	Participant    Invite // who looks; the role defaults to agent
}

// Attach ties a session that has no conversation to one and invites somebody of
// it. Attaching the same again gives a fresh token. It fails with
// CodeConstraintValidation, CodeConversationNotFound, CodeUserNotFound,
// CodeMissingPermissions, CodeNotFound (no live session has these digits), or
// CodeConflict: one of the two is taken.
func (s *Service) Attach(ctx context.Context, r AttachRequest) (Session, JoinToken, error) {
	var bad problems
	if r.Participant.Role == "" {
		r.Participant.Role = RoleAgent
	}
	if r.ConversationID == "" {
		bad.add("conversationId", "required")
	}
	if r.Participant.Role == RoleCustomer {
		bad.add("participant.role", "not.allowed")
	}
	if checkInvite(&bad, "participant.", r.Participant); len(bad) > 0 {
		return Session{}, JoinToken{}, bad.err("The request")
	}
	c, err := s.activeConversation(ctx, r.OrgID, r.ConversationID)
	if err != nil {
		return Session{}, JoinToken{}, err
	}
	p, err := s.newcomerTo(ctx, c, r.Participant)
	if err != nil {
		return Session{}, JoinToken{}, err
	}
	id, err := s.store.Holder(ctx, tokenClaim(r.SessionToken))
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Session{}, JoinToken{}, digitsUnknown()
	} else if err != nil {
		return Session{}, JoinToken{}, fmt.Errorf("look up session token: %w", err)
	}
	var session Session
	var who ParticipantID
	for range maxAttempts {
		session, err = s.change(ctx, id, func(d *decision) (err error) {
			if d.Session.OrgID != r.OrgID || !d.Session.Live() {
				return digitsUnknown()
			}
			who, err = s.attach(d, r.ConversationID, p)
			return err
		})
		claimed, ok := errors.AsType[*ClaimedError](err)
		if !ok {
			break
		}
		if err = s.stillHeld(ctx, claimed, conversationConflict(r.ConversationID, claimed.Holder)); err != nil {
			break
		}
	}
	if err != nil {
		return Session{}, JoinToken{}, err
	}
	p, _ = session.Participant(who)
	token, err := s.tokens.issue(session, p)
	if err != nil {
		return Session{}, JoinToken{}, fmt.Errorf("sign join token: %w", err)
	}
	return session, token, nil
}

// attach ties the session of d to a conversation, and returns the participant that
// p is in it. An agent who came with the nine digits, and of whom nobody knew who
// it is, is that agent.
func (s *Service) attach(d *decision, conversation conversations.ID, p Participant) (ParticipantID, error) {
	session := &d.Session
	switch session.ConversationID {
	case "":
		session.ConversationID = conversation
		d.Take = append(d.Take, conversationClaim(session.OrgID, conversation))
		d.event(EventUpdated, -1)
	case conversation:
	default:
		return "", sessionConflict(session.ID, DetailAttached, "The session belongs to another conversation.")
	}
	if p.Role == RoleAgent {
		for i := range session.Participants {
			if old := &session.Participants[i]; old.Role == RoleAgent && !old.Removed && (old.UserID == "" || old.UserID == p.UserID) {
				if old.UserID == "" {
					old.UserID, old.Name = p.UserID, p.Name
					d.event(EventUpdated, i)
				}
				return old.ID, noteTokenIssueIfIdle(d)
			}
		}
	}
	if old, ok := session.Participant(p.ID); !ok || old.Role != p.Role {
		if err := s.admit(d, p); err != nil {
			return "", err
		}
	}
	return p.ID, noteTokenIssueIfIdle(d)
}
