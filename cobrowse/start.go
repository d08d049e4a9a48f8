package cobrowse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// Bounds of what a caller may ask for.
const (
	maxInvites = 50  // in one request; Rules.MaxViewers is usually lower
	maxName    = 256 // characters
)

// repeatableFor is how long an Idempotency-Key is remembered.
const repeatableFor = 24 * time.Hour

// Invite asks for a participant.
type Invite struct {
	UserID conversations.UserID // required for agents and supervisors, refused for a customer
	Role   Role                 // empty: agent if the user is an agent of the conversation and no other is invited as one, else supervisor
	Name   string               // default: the user's name
	// AllowControl lets a supervisor ask for control, drawing and navigation; an
	// agent may in any case.
	AllowControl bool
}

// StartRequest asks for a session on a conversation.
type StartRequest struct {
	OrgID              conversations.OrgID
	ClientID           string
	ConversationID     conversations.ID
	Participants       []Invite
	AllowRemoteControl bool
	Timeout            time.Duration // of inactivity; 0 = the installation's default
	// DeploymentID names the site that is shared; empty = the deployment that is
	// the default for the sharer's role, if there is one.
	DeploymentID DeploymentID

	// IdempotencyKey, if not empty, makes a repeated request give the first one's
	// session. Route and BodyHash tell whether it is the same request.
	IdempotencyKey string
	Route          string
	BodyHash       [32]byte

	offer bool // no join token is asked for
}

// Started is the answer to a StartRequest.
type Started struct {
	Session  Session
	Tokens   []JoinToken // one per participant; none if the session has ended meanwhile
	Replayed bool        // the session was created by an earlier request with the same Idempotency-Key
}

// Start creates a session. The checks come in a fixed order:
// CodeConstraintValidation (with one detail per problem), CodeIdempotencyMismatch,
// CodeConversationNotFound (unknown, foreign or not active), CodeUserNotFound,
// CodeMissingPermissions, and CodeConflict, whose EntityID is the session that
// the conversation has. In a race exactly one caller wins.
func (s *Service) Start(ctx context.Context, r StartRequest) (Started, error) {
	if err := s.CheckStart(r); err != nil {
		return Started{}, err
	}
	if r.IdempotencyKey != "" {
		if started, err := s.repeat(ctx, r); err != nil || started.Replayed {
			return started, err
		}
	}
	conversation, err := s.activeConversation(ctx, r.OrgID, r.ConversationID)
	if err != nil {
		return Started{}, err
	}
	participants, err := s.invite(ctx, conversation, r.Participants)
	if err != nil {
		return Started{}, err
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = s.rules.DefaultTimeout
	}
	deployment, err := s.deploymentFor(ctx, r, participants)
	if err != nil {
		return Started{}, err
	}
	session, err := s.create(ctx, Session{
		OrgID: r.OrgID, DeploymentID: deployment, ConversationID: r.ConversationID, CreatedBy: r.ClientID, Participants: participants,
		Settings: Settings{AllowRemoteControl: r.AllowRemoteControl, Timeout: timeout},
	}, r)
	if errors.Is(err, ErrRepeated) {
		return s.repeat(ctx, r)
	}
	if err != nil {
		return Started{}, err
	}
	// The conversation may have ended while the session was created, too early for
	// its end to find the session.
	if again, err := s.directory.Conversation(ctx, r.OrgID, r.ConversationID); err == nil && !again.Active() {
		if _, err := s.End(ctx, r.OrgID, session.ID, EndConversationEnded); err != nil {
			return Started{}, err
		}
		return Started{}, conversations.NotFound(r.ConversationID)
	}
	tokens, err := s.tokensFor(session)
	return Started{Session: session, Tokens: tokens}, err
}

// deploymentFor returns the deployment that a request names, or the first one that
// is the default for the role of the sharer, or none.
func (s *Service) deploymentFor(ctx context.Context, r StartRequest, participants []Participant) (DeploymentID, error) {
	if r.DeploymentID != "" {
		_, err := s.Deployment(ctx, r.OrgID, r.DeploymentID)
		if cobridge.CodeOf(err) == cobridge.CodeNotFound {
			var bad problems
			bad.add("deploymentId", "unknown")
			return "", bad.err("The session")
		}
		return r.DeploymentID, err
	}
	defaults, err := s.defaultDeployments(ctx, r.OrgID)
	if err != nil {
		return "", err
	}
	session := Session{Participants: participants}
	sharer, _ := session.Participant(session.Sharer())
	return defaults[sharer.Role], nil
}

// defaultsFor is how long the default deployments of an organisation are
// remembered; what this process changes is known at once.
const defaultsFor = time.Second

// defaults are the default deployments of one organisation.
type defaults struct {
	byRole map[Role]DeploymentID
	until  time.Time
}

// defaultDeployments returns the first deployment, by name, that is the default
// for each role. Each create asks for them, and they hardly ever change.
func (s *Service) defaultDeployments(ctx context.Context, org conversations.OrgID) (map[Role]DeploymentID, error) {
	now := s.clock.Now()
	s.mu.Lock()
	known, ok := s.defaults[org]
	changes := s.deploymentChanges
	s.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.byRole, nil
	}
	all, err := s.deployments.Deployments(ctx, org)
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	known = defaults{byRole: map[Role]DeploymentID{}, until: now.Add(defaultsFor)}
	for _, d := range slices.Backward(all) {
		for _, role := range d.DefaultFor {
			known.byRole[role] = d.ID
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deploymentChanges == changes { // else the list may be older than a change
		s.defaults[org] = known
	}
	return known.byRole, nil
}

// forgetDefaults is called when a deployment has changed.
func (s *Service) forgetDefaults(org conversations.OrgID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deploymentChanges++
	delete(s.defaults, org)
}

// CheckStart is the first check of Start, which needs nobody to be asked: it fails
// with CodeConstraintValidation and one detail per problem.
func (s *Service) CheckStart(r StartRequest) error {
	var bad problems
	if r.ConversationID == "" {
		bad.add("conversationId", "required")
	}
	if n := len(r.Participants); n < 1 || n > maxInvites {
		bad.add("participants", "size")
	}
	seen := map[conversations.UserID]bool{}
	roles := map[Role]int{}
	unknown := false
	for i, in := range r.Participants {
		checkInvite(&bad, fmt.Sprintf("participants[%d].", i), in)
		if in.UserID != "" && seen[in.UserID] {
			bad.addf("duplicate", "participants[%d].userId", i)
		}
		seen[in.UserID] = true
		roles[in.Role]++
		unknown = unknown || in.Role != "" && !slices.Contains(Roles(), in.Role)
		if (in.Role == RoleAgent || in.Role == RoleCustomer) && roles[in.Role] > 1 {
			bad.addf("duplicate", "participants[%d].role", i)
		}
	}
	switch sharers := roles[RoleCustomer] + roles[RoleAgent]; {
	case len(r.Participants) == 0:
	case sharers == 0 && roles[""] == 0 && !unknown: // a mistyped role may have meant one
		bad.add("participants", "sharer.required")
	case len(r.Participants)-1 > s.rules.MaxViewers:
		bad.add("participants", "too.many")
	}
	if r.Timeout != 0 {
		checkTimeout(&bad, r.Timeout)
	}
	return bad.err("The session")
}

func checkInvite(bad *problems, at string, in Invite) {
	switch {
	case in.Role != "" && !slices.Contains(Roles(), in.Role):
		bad.add(at+"role", "unknown")
	case in.Role == RoleCustomer && in.UserID != "":
		bad.add(at+"userId", "not.allowed")
	case in.Role != RoleCustomer && in.UserID == "":
		bad.add(at+"userId", "required")
	}
	if len([]rune(in.Name)) > maxName {
		bad.add(at+"name", "too.long")
	}
}

// activeConversation returns a conversation that a session may be tied to.
func (s *Service) activeConversation(ctx context.Context, org conversations.OrgID, id conversations.ID) (conversations.Conversation, error) {
	c, err := s.directory.Conversation(ctx, org, id)
	if err != nil {
		return conversations.Conversation{}, fmt.Errorf("look up conversation: %w", err)
	}
	if !c.Active() {
		return conversations.Conversation{}, conversations.NotFound(id)
	}
	return c, nil
}

// invite turns invites into participants: first all users must exist, then all
// must have the capability, then roles that were left out are derived.
func (s *Service) invite(ctx context.Context, c conversations.Conversation, invites []Invite) ([]Participant, error) {
	participants := make([]Participant, len(invites))
	users := make([]conversations.User, len(invites))
	for i, in := range invites {
		participants[i] = Participant{ID: ParticipantID(in.UserID), UserID: in.UserID, Role: in.Role, Name: in.Name, State: ParticipantInvited, AllowControl: in.AllowControl}
		if in.Role == RoleCustomer {
			participants[i].ID = s.newParticipantID()
			continue
		}
		u, err := s.directory.User(ctx, c.OrgID, in.UserID)
		if err != nil {
			return nil, fmt.Errorf("look up user: %w", err)
		}
		if u.State == conversations.UserDeleted {
			return nil, conversations.UserNotFound(in.UserID)
		}
		users[i] = u
		if in.Name == "" {
			participants[i].Name = u.Name
		}
	}
	for i, p := range participants {
		if p.UserID != "" && !users[i].MayCobrowse(c) {
			return nil, missingCapability(c, p.UserID, fmt.Sprintf("participants[%d].userId", i))
		}
	}
	return participants, deriveRoles(c, participants)
}

// deriveRoles fills in the roles that were left out.
func deriveRoles(c conversations.Conversation, participants []Participant) error {
	agent := slices.ContainsFunc(participants, func(p Participant) bool { return p.Role == RoleAgent })
	for i := range participants {
		p := &participants[i]
		if p.Role != "" {
			continue
		}
		p.Role = RoleSupervisor
		if !agent && slices.ContainsFunc(c.Participants, func(cp conversations.Participant) bool {
			return cp.UserID == p.UserID && cp.Purpose == conversations.PurposeAgent
		}) {
			p.Role, agent = RoleAgent, true
		}
	}
	if (Session{Participants: participants}).Sharer() == "" {
		var bad problems
		bad.add("participants", "sharer.required")
		return bad.err("The session")
	}
	return nil
}

func missingCapability(c conversations.Conversation, user conversations.UserID, field string) error {
	permission := "conversation:cobrowse:add"
	if voice, digital := c.Kinds(); voice && !digital {
		permission = "conversation:cobrowseVoice:add"
	}
	return &cobridge.Error{
		Code: cobridge.CodeMissingPermissions, Message: "The user lacks the cobrowse capability for this kind of conversation: " + permission + ".",
		Params:   map[string]string{"userId": string(user), "permission": permission},
		Details:  []cobridge.Detail{{FieldName: field, ErrorCode: "cobrowse.capability", EntityID: string(user), EntityName: "user"}},
		EntityID: string(user), EntityName: "user",
	}
}

// create stores a new session with fresh ids. It fails with ErrRepeated, or
// CodeConflict if the conversation has a live session.
func (s *Service) create(ctx context.Context, session Session, r StartRequest) (Session, error) {
	id, err := s.newSessionID()
	if err != nil {
		return Session{}, err
	}
	for range maxAttempts {
		now := s.clock.Now()
		if session.Token, err = s.newSessionToken(); err != nil {
			return Session{}, err
		}
		session.ID, session.CreatedAt, session.TokenIssuedAt = id, now, now
		created, err := s.attempt(ctx, session, func(d *decision) error {
			d.Take = []Claim{tokenClaim(session.Token)}
			if session.ConversationID != "" {
				d.Take = append(d.Take, conversationClaim(session.OrgID, session.ConversationID))
			}
			if r.IdempotencyKey != "" {
				d.Repeatable = &Repeatable{RepeatKey: r.repeatKey(), BodyHash: r.BodyHash, SessionID: session.ID, ExpiresAt: now.Add(repeatableFor)}
			}
			d.event(EventCreated, -1)
			return nil
		})
		claimed, ok := errors.AsType[*ClaimedError](err)
		if !ok {
			return created, err
		}
		if claimed.Claim.Kind == ClaimConversation {
			if err := s.stillHeld(ctx, claimed, conversationConflict(session.ConversationID, claimed.Holder)); err != nil {
				return Session{}, err
			}
		} // else the nine digits are taken: draw again
	}
	return Session{}, fmt.Errorf("create session: %w", ErrStale)
}

// stillHeld returns conflict if the holder of a claim is live, and nil if it has
// ended, so that the claim is free now.
func (s *Service) stillHeld(ctx context.Context, claimed *ClaimedError, conflict error) error {
	holder, err := s.read(ctx, claimed.Holder)
	if err != nil {
		return fmt.Errorf("read the holder of a claim: %w", err)
	}
	if holder.Live() {
		return conflict
	}
	return nil
}

func (r StartRequest) repeatKey() RepeatKey {
	return RepeatKey{OrgID: r.OrgID, ClientID: r.ClientID, Route: r.Route, Key: r.IdempotencyKey}
}

// repeat answers a request whose Idempotency-Key was used before: the session as
// it is now, with fresh tokens while it lives. Replayed is false if the key is new.
func (s *Service) repeat(ctx context.Context, r StartRequest) (Started, error) {
	known, err := s.store.Repeatable(ctx, r.repeatKey(), s.clock.Now())
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Started{}, nil
	}
	if err != nil {
		return Started{}, fmt.Errorf("look up idempotency key: %w", err)
	}
	if known.BodyHash != r.BodyHash {
		return Started{}, &cobridge.Error{
			Code: cobridge.CodeIdempotencyMismatch, Message: "This Idempotency-Key was used with another request body.",
			EntityID: string(known.SessionID), EntityName: EntitySession,
		}
	}
	note := noteTokenIssue
	if r.offer {
		note = func(*decision) error { return errUnchanged }
	}
	session, err := s.change(ctx, known.SessionID, note)
	if err != nil {
		return Started{}, err
	}
	started := Started{Session: session, Replayed: true}
	if session.Live() {
		started.Tokens, err = s.tokensFor(session)
	}
	return started, err
}

// noteTokenIssue restarts the time after which a session that nobody joins ends.
func noteTokenIssue(d *decision) error {
	if d.Session.State() != StateIdle || d.Session.TokenIssuedAt.Equal(d.now) {
		return errUnchanged
	}
	d.Session.TokenIssuedAt = d.now
	return nil
}

// tokensFor signs a join token for everybody who may come.
func (s *Service) tokensFor(session Session) ([]JoinToken, error) {
	tokens := make([]JoinToken, 0, len(session.Participants))
	for _, p := range session.Participants {
		if p.Removed {
			continue
		}
		token, err := s.tokens.issue(session, p)
		if err != nil {
			return nil, fmt.Errorf("sign join token: %w", err)
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}
