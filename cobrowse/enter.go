package cobrowse

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// Bounds of what comes with the nine digits.
const (
	maxDesk        = 64 // characters: a UUID with a prefix fits
	maxControllers = 20 // of one session; whoever has left makes room
)

// OpenRequest asks for a session as pages of the old world ask for one.
type OpenRequest struct {
	OrgID        conversations.OrgID
	DeploymentID DeploymentID // whose rules hold; empty = the strictest
	CustomerName string
}

// Open creates an idle session that has a customer, who has not come yet, and no
// conversation; people enter it with its nine digits. It fails with CodeNotFound
// (no such deployment) or CodeConstraintValidation.
func (s *Service) Open(ctx context.Context, r OpenRequest) (Session, error) {
	d := Deployment{OrgID: r.OrgID}
	if r.DeploymentID != "" {
		var err error
		if d, err = s.Deployment(ctx, r.OrgID, r.DeploymentID); err != nil {
			return Session{}, err
		}
	}
	return s.openOn(ctx, d, r.CustomerName, true)
}

// openOn creates a session for whoever visits the pages of d.
func (s *Service) openOn(ctx context.Context, d Deployment, name string, legacy bool) (Session, error) {
	var bad problems
	if len([]rune(name)) > maxName {
		bad.add("name", "too.long")
	}
	if err := bad.err("The request"); err != nil {
		return Session{}, err
	}
	return s.create(ctx, Session{
		OrgID: d.OrgID, DeploymentID: d.ID, Legacy: legacy, Settings: Settings{AllowRemoteControl: d.Rules.AllowAgentControl, Timeout: s.rules.DefaultTimeout},
		Participants: []Participant{{ID: s.newParticipantID(), Role: RoleCustomer, Name: name, State: ParticipantInvited}},
	}, StartRequest{})
}

// ByToken returns the live session that has these nine digits. It fails with
// CodeNotFound, or with CodeSessionEnded while the digits of an ended one rest.
func (s *Service) ByToken(ctx context.Context, org conversations.OrgID, token SessionToken) (Session, error) {
	session, err := s.byDigits(ctx, org, token)
	if err == nil && !session.Live() {
		return Session{}, sessionEnded(session.ID)
	}
	return session, err
}

// byDigits returns the session that has these nine digits, or whose they were when
// it ended, as long as they rest. It fails with CodeNotFound.
func (s *Service) byDigits(ctx context.Context, org conversations.OrgID, token SessionToken) (Session, error) {
	id, err := s.store.Holder(ctx, tokenClaim(token))
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		id, err = s.store.Retired(ctx, tokenClaim(token), s.clock.Now())
	}
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Session{}, digitsUnknown()
	} else if err != nil {
		return Session{}, fmt.Errorf("look up session token: %w", err)
	}
	session, err := s.read(ctx, id)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound || err == nil && session.OrgID != org {
		return Session{}, digitsUnknown()
	}
	return session, err
}

func digitsUnknown() error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No live session has this session token.", EntityName: EntitySession}
}

// EnterRequest lets somebody in who knows the nine digits.
type EnterRequest struct {
	OrgID conversations.OrgID
	Token SessionToken
	Role  Role   // RoleCustomer, RoleAgent or RoleController
	Name  string // may be empty
	// Desk names the browser, or else the connection, that somebody comes from: at
	// most 64 characters. A customer or an agent comes back from the same one only,
	// and an agent's desk is in one session at a time. Empty = none.
	Desk string
	// UserToken is that of an earlier Enter: its user comes back, from wherever.
	UserToken string
	// Connected opens the participant's link at once. Without it there is a join
	// token for the stream.
	Connected bool
}

// Entered tells who was let in.
type Entered struct {
	Session     Session
	Participant Participant
	UserToken   string    // proves to be this user of this session, for as long as it is remembered
	JoinToken   JoinToken // unless the link is open
}

// Enter lets somebody into the live session with these nine digits. A customer
// or an agent who was invited and never came gives its place to whoever comes
// first; afterwards it is for the same desk or user token alone. Controllers
// are as many as want to, up to a bound.
//
// It fails with CodeNotFound (no such digits, or a foreign user token),
// CodeSessionEnded, CodeConstraintValidation, CodeNotAuthorized (the place is
// somebody else's, who has gone), or CodeConflict: cobrowse.role.taken or
// cobrowse.agent.busy.
func (s *Service) Enter(ctx context.Context, r EnterRequest) (Entered, error) {
	if err := r.check(); err != nil {
		return Entered{}, err
	}
	session, err := s.ByToken(ctx, r.OrgID, r.Token)
	if err != nil {
		return Entered{}, err
	}
	var back ParticipantID
	if r.UserToken != "" {
		claims, ok := s.tokens.verifyUser(r.UserToken)
		if !ok || claims.OrgID != r.OrgID || claims.SessionID != session.ID {
			return Entered{}, userUnknown()
		}
		back = ParticipantID(claims.Subject)
	}
	var entered ParticipantID
	for range maxAttempts {
		session, err = s.change(ctx, session.ID, func(d *decision) error {
			if !d.Session.Live() {
				return sessionEnded(d.Session.ID)
			}
			i, err := s.place(d, r, back)
			if err != nil {
				return err
			}
			entered = d.Session.Participants[i].ID
			return s.comeIn(ctx, d, i, r.Connected)
		})
		claimed, ok := errors.AsType[*ClaimedError](err)
		if !ok {
			break
		}
		if err = s.stillHeld(ctx, claimed, agentBusy(claimed.Holder)); err != nil {
			break
		}
	}
	if err != nil {
		return Entered{}, err
	}
	e := Entered{Session: session}
	e.Participant, _ = session.Participant(entered)
	if e.UserToken, err = s.tokens.userToken(session, e.Participant, s.rules.MaxDuration+s.rules.Retention); err != nil {
		return Entered{}, fmt.Errorf("sign user token: %w", err)
	}
	if !r.Connected {
		if e.JoinToken, err = s.tokens.issue(session, e.Participant); err != nil {
			return Entered{}, fmt.Errorf("sign join token: %w", err)
		}
	}
	return e, nil
}

func (r EnterRequest) check() error {
	var bad problems
	if r.Role != RoleCustomer && r.Role != RoleAgent && r.Role != RoleController {
		bad.add("role", "unknown")
	}
	if len([]rune(r.Name)) > maxName {
		bad.add("name", "too.long")
	}
	if len(r.Desk) > maxDesk {
		bad.add("desk", "too.long")
	}
	return bad.err("The request")
}

// place finds or makes the participant that r is about. back is the one that a
// user token names.
func (s *Service) place(d *decision, r EnterRequest, back ParticipantID) (int, error) {
	session := &d.Session
	if back != "" {
		i := session.index(back)
		if i < 0 || session.Participants[i].Role != r.Role {
			return 0, userUnknown()
		}
		return i, nil
	}
	if r.Role == RoleController {
		return s.placeController(d, r), nil
	}
	i := slices.IndexFunc(session.Participants, func(p Participant) bool { return p.Role == r.Role && !p.Removed })
	if i < 0 {
		if r.Role == RoleCustomer {
			return 0, sessionConflict(session.ID, DetailCustomerLate, "A customer takes part from the start or not at all.")
		}
		p := Participant{ID: s.newParticipantID(), Role: r.Role, Name: r.Name, State: ParticipantInvited, Desk: r.Desk}
		if err := s.admit(d, p); err != nil {
			return 0, err
		}
		return len(session.Participants) - 1, nil
	}
	p := &session.Participants[i]
	switch {
	case r.Role == RoleAgent && p.ID == session.Sharer():
		return 0, sessionConflict(session.ID, DetailRoleTaken, "The agent shares a page in this session.")
	case p.State == ParticipantInvited: // nobody has come yet, or not since another invitation
		p.Desk = r.Desk
		if p.Name == "" {
			p.Name = r.Name
		}
	case r.Desk != "" && r.Desk == p.Desk: // comes back
	case p.Connection.Open:
		return 0, sessionConflict(session.ID, DetailRoleTaken, "The session has somebody in this role.")
	default:
		return 0, &cobridge.Error{
			Code: cobridge.CodeNotAuthorized, Message: "Only who was in this role before may come back.",
			Details: []cobridge.Detail{{ErrorCode: DetailRoleTaken}},
		}
	}
	return i, nil
}

// placeController makes a participant for a controller, in the place of one that
// has left if there are too many.
func (s *Service) placeController(d *decision, r EnterRequest) int {
	session := &d.Session
	p := Participant{ID: s.newParticipantID(), Role: RoleController, Name: r.Name, State: ParticipantInvited, Desk: r.Desk}
	oldest, n := -1, 0
	for i, other := range session.Participants {
		if other.Role != RoleController {
			continue
		}
		n++
		if oldest < 0 || givesWay(other, session.Participants[oldest]) {
			oldest = i
		}
	}
	if n < maxControllers {
		session.Participants = append(session.Participants, p)
		return len(session.Participants) - 1
	}
	session.Participants[oldest] = p
	return oldest
}

// givesWay reports whether p is to make room before q: who has left does so before
// who is there, and then who came first.
func givesWay(p, q Participant) bool {
	if p.Connection.Open != q.Connection.Open {
		return q.Connection.Open
	}
	return p.JoinedAt.Before(q.JoinedAt)
}

// comeIn opens the link of participant i, or prepares for its join token.
func (s *Service) comeIn(ctx context.Context, d *decision, i int, connected bool) error {
	session := &d.Session
	p := &session.Participants[i]
	busy := p.Role == RoleAgent && s.rules.OneSessionPerAgent
	if !connected {
		if busy { // the token would be refused: better to say so now
			for _, claim := range agentClaims(session.OrgID, *p) {
				if err := s.checkFree(ctx, claim, session.ID); err != nil {
					return err
				}
			}
		}
		return noteTokenIssueIfIdle(d)
	}
	if busy {
		d.Take = append(d.Take, agentClaims(session.OrgID, *p)...)
	}
	p.Resume = Resume{} // whatever else was this participant is it no longer
	session.link(i, d.now, true, s.nodeName())
	session.LastActivityAt = d.now
	d.event(EventParticipantJoined, i)
	d.event(EventParticipantConnected, i)
	return nil
}

// checkFree fails with CodeConflict if another live session holds a claim.
func (s *Service) checkFree(ctx context.Context, claim Claim, by SessionID) error {
	holder, err := s.store.Holder(ctx, claim)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound || err == nil && holder == by {
		return nil
	} else if err != nil {
		return fmt.Errorf("look up the agent's session: %w", err)
	}
	return s.stillHeld(ctx, &ClaimedError{Claim: claim, Holder: holder}, agentBusy(holder))
}

func agentBusy(holder SessionID) error {
	return sessionConflict(holder, DetailAgentBusy, "The agent is in another cobrowse session.")
}

func userUnknown() error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No user of a session has this user token.", EntityName: EntityParticipant}
}

// ByUserToken returns the session and the participant that a user token names; the
// session may have ended. It fails with CodeNotFound.
func (s *Service) ByUserToken(ctx context.Context, org conversations.OrgID, raw string) (Session, Participant, error) {
	claims, ok := s.tokens.verifyUser(raw)
	if !ok || claims.OrgID != org {
		return Session{}, Participant{}, userUnknown()
	}
	session, err := s.mine(ctx, org, claims.SessionID)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Session{}, Participant{}, userUnknown()
	} else if err != nil {
		return Session{}, Participant{}, err
	}
	p, ok := session.Participant(ParticipantID(claims.Subject))
	if !ok {
		return Session{}, Participant{}, userUnknown()
	}
	return session, p, nil
}

// Exit is a user's leaving: the customer's or the agent's ends the session, that
// of a controller ends nothing. It fails with CodeNotFound or CodeSessionEnded.
func (s *Service) Exit(ctx context.Context, org conversations.OrgID, userToken string) (Session, error) {
	session, p, err := s.ByUserToken(ctx, org, userToken)
	if err != nil {
		return Session{}, err
	}
	return s.change(ctx, session.ID, func(d *decision) error {
		i := d.Session.index(p.ID)
		switch {
		case !d.Session.Live():
			return sessionEnded(session.ID)
		case i < 0:
			return userUnknown()
		}
		return d.leave(i)
	})
}

// Stop ends a session on behalf of one of its controllers. Stopping an ended one
// changes nothing and succeeds. It fails with CodeNotFound, or CodeNotAuthorized
// for anybody else's user token.
func (s *Service) Stop(ctx context.Context, org conversations.OrgID, userToken string) (Session, error) {
	session, p, err := s.ByUserToken(ctx, org, userToken)
	if err != nil {
		return Session{}, err
	}
	if p.Role != RoleController {
		return Session{}, &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "Only a controller stops a session."}
	}
	return s.End(ctx, org, session.ID, EndStopped)
}
