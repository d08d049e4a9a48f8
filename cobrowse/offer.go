package cobrowse

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// OfferRequest asks for a session that the agent of a conversation offers to its customer.
type OfferRequest struct {
	OrgID          conversations.OrgID
	ClientID       string
	ConversationID conversations.ID
	DeploymentID   DeploymentID // as in StartRequest

	// IdempotencyKey and Route are as in StartRequest. Requests that name the same
	// conversation and the same deployment, or none, are the same.
	IdempotencyKey string
	Route          string
}

// start is the part of a request to start a session that an offer says itself.
func (r OfferRequest) start() StartRequest {
	return StartRequest{
		OrgID: r.OrgID, ClientID: r.ClientID, ConversationID: r.ConversationID, DeploymentID: r.DeploymentID,
		IdempotencyKey: r.IdempotencyKey, Route: r.Route, BodyHash: sha256.Sum256([]byte(string(r.ConversationID) + "\x00" + string(r.DeploymentID))),
		offer: true,
	}
}

// Offer starts a session on a conversation whose customer shares and whose agent
// looks: the first agent who has not left. The viewer may ask for control if the
// deployment says so. It fails like [Service.Start], and with CodeNotAUser if the
// conversation has no agent.
func (s *Service) Offer(ctx context.Context, r OfferRequest) (Started, error) {
	start := r.start()
	if r.IdempotencyKey != "" { // before anything is asked that may have changed since
		if started, err := s.repeat(ctx, start); err != nil || started.Replayed {
			return started, err
		}
	}
	c, err := s.activeConversation(ctx, r.OrgID, r.ConversationID)
	if err != nil {
		return Started{}, err
	}
	agent := slices.IndexFunc(c.Participants, func(p conversations.Participant) bool {
		return p.Purpose == conversations.PurposeAgent && p.UserID != "" && p.Connected()
	})
	if agent < 0 {
		return Started{}, &cobridge.Error{
			Code: cobridge.CodeNotAUser, Message: "The session is for the agent of the conversation, and it has none.",
			Params: map[string]string{"conversationId": string(r.ConversationID)}, EntityID: string(r.ConversationID), EntityName: "conversation",
		}
	}
	customer := Invite{Role: RoleCustomer}
	if i := CustomerOf(c); i >= 0 {
		customer.Name = cut(c.Participants[i].Name, maxName)
	}
	start.Participants = []Invite{customer, {UserID: c.Participants[agent].UserID, Role: RoleAgent}}
	if start.DeploymentID, err = s.deploymentFor(ctx, start, []Participant{{ID: "customer", Role: RoleCustomer}}); err != nil {
		return Started{}, err
	}
	if start.DeploymentID != "" {
		d, err := s.Deployment(ctx, r.OrgID, start.DeploymentID)
		if err != nil && cobridge.CodeOf(err) != cobridge.CodeNotFound { // deleted in between: the strictest rules
			return Started{}, err
		}
		start.AllowRemoteControl = d.Rules.AllowAgentControl
	}
	return s.Start(ctx, start)
}

// CustomerOf returns the index of the participant of a conversation who shares its
// page as a session's customer, -1 if there is none.
func CustomerOf(c conversations.Conversation) int {
	return slices.IndexFunc(c.Participants, func(p conversations.Participant) bool {
		return p.Purpose == conversations.PurposeCustomer || p.Purpose == conversations.PurposeExternal
	})
}

// Offered reports whether s waits for its customer: nobody has come as the one
// whose page is shown. Its deadline is then the end of the offer.
func (s Session) Offered() bool {
	p, ok := s.Participant(s.Sharer())
	return ok && p.Role == RoleCustomer && p.Connection.Number == 0 && s.Live()
}

// CommunicationID names a participant's part in s, a lower-case UUID. It is derived,
// so that nothing has to be stored for it.
func (s Session) CommunicationID(p ParticipantID) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("cobrowse communication\x00"+string(s.ID)+"\x00"+string(p))).String()
}

// OfferKey is what a customer's page knows of a session: the deployment that it
// belongs to, and the nine digits. It proves nothing else.
type OfferKey struct {
	DeploymentID DeploymentID
	Origin       string // of the page, as its browser says
	Token        SessionToken
}

// ByOffer returns the live session that is, or was, offered to a customer's page,
// and as long as nobody has come to share it a join token for the customer. That
// token is worth nothing any more once somebody has. It fails with CodeNotFound
// (EntityName tells whether it is the deployment or the session), CodeNotAuthorized
// for a foreign origin, or CodeSessionEnded.
func (s *Service) ByOffer(ctx context.Context, k OfferKey) (Session, JoinToken, error) {
	session, err := s.byOffer(ctx, k)
	if err != nil {
		return Session{}, JoinToken{}, err
	}
	if !session.Live() {
		return Session{}, JoinToken{}, sessionEnded(session.ID)
	}
	if !session.Offered() {
		return session, JoinToken{}, nil
	}
	p, _ := session.Participant(session.Sharer())
	token, err := s.tokens.issueFirst(session, p)
	if err != nil {
		return Session{}, JoinToken{}, fmt.Errorf("sign join token: %w", err)
	}
	return session, token, nil
}

// Decline ends a session on behalf of its customer. While it is only offered the
// nine digits are enough; afterwards the sharer's resume secret must come with
// them. Declining an ended one changes nothing and succeeds. It fails with
// CodeNotFound and CodeNotAuthorized like ByOffer, or with CodeResumeInvalid.
func (s *Service) Decline(ctx context.Context, k OfferKey, secret ResumeSecret) (Session, error) {
	session, err := s.byOffer(ctx, k)
	if err != nil {
		return Session{}, err
	}
	return s.change(ctx, session.ID, func(d *decision) error {
		if !d.Session.Live() {
			return errUnchanged
		}
		sharer, _ := d.Session.Participant(d.Session.Sharer())
		if !d.Session.Offered() && !sharer.Resumes(secret, "", d.now) {
			return &cobridge.Error{Code: cobridge.CodeResumeInvalid, Message: "The session has been joined; only the page that is shared may end it."}
		}
		d.end(d.now, EndParticipantLeft)
		return nil
	})
}

// byOffer finds the session of a customer that belongs to a deployment. A session
// of another deployment, and one that an agent shares, is as unknown as digits that
// nobody has.
func (s *Service) byOffer(ctx context.Context, k OfferKey) (Session, error) {
	d, err := s.siteOf(ctx, k.DeploymentID, k.Origin)
	if err != nil {
		return Session{}, err
	}
	session, err := s.byDigits(ctx, d.OrgID, k.Token)
	if err != nil {
		return Session{}, err
	}
	sharer, ok := session.Participant(session.Sharer())
	if session.DeploymentID != d.ID || !ok || sharer.Role != RoleCustomer {
		return Session{}, digitsUnknown()
	}
	return session, nil
}

// Watch returns a join token for somebody who looks at a live session and has not
// been removed. Unlike [Service.IssueToken] it changes nothing: an offer lapses
// when it would have lapsed. It fails with CodeParticipantNotFound for everybody else.
func (s *Service) Watch(session Session, participant ParticipantID) (JoinToken, error) {
	p, ok := session.Participant(participant)
	if !ok || !session.Live() || p.Role == RoleController || p.ID == session.Sharer() {
		return JoinToken{}, participantNotFound(participant)
	}
	token, err := s.tokens.issue(session, p)
	if err != nil {
		return JoinToken{}, fmt.Errorf("sign join token: %w", err)
	}
	return token, nil
}

// Controls reports whether a participant steers the page of the sharer at present.
func (s *Service) Controls(session Session, participant ParticipantID) bool {
	return session.Granted(GrantControl, participant, s.clock.Now())
}
