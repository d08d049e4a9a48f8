package cobrowse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// Config is what a Service is built from. Nothing may be left out but the remote server.
type Config struct {
	Store       Store
	Index       Index
	Deployments DeploymentStore
	Directory   conversations.Directory
	Tokens      *JoinTokens
	Clock       cobridge.Clock
	Log         *slog.Logger
	Rules       Rules

	// Remote is asked for sessions that are not here; nil = nobody is. They belong
	// to RemoteOrg alone. With RemoteImport the records that were read are stored.
	Remote       Remote
	RemoteOrg    conversations.OrgID
	RemoteImport bool

	IDs IDs // nil = names are drawn at random, which everything but a test double wants

	// Node names this process where several serve one store: the links that it opens
	// bear its name. Nil = there is no other.
	Node func() string
}

// Service applies the rules of cobrowse sessions. All methods may be called concurrently.
type Service struct {
	store       Store
	index       Index
	deployments DeploymentStore
	directory   conversations.Directory
	tokens      *JoinTokens
	clock       cobridge.Clock
	log         *slog.Logger
	rules       Rules
	remote      remote
	ids         IDs
	node        func() string

	// activity holds, per session, the latest user input that is not stored yet.
	// actions are those of viewers that are not stored yet.
	mu       sync.Mutex
	activity map[SessionID]time.Time
	actions  map[SessionID][]Action
	defaults map[conversations.OrgID]defaults

	deploymentChanges int // made through this service

	deploymentWrite sync.Mutex // held from the read of a deployment to its write; taken before mu
}

// New returns a Service.
func New(cfg Config) *Service {
	return &Service{
		store: cfg.Store, index: cfg.Index, deployments: cfg.Deployments, directory: cfg.Directory, tokens: cfg.Tokens,
		clock: cfg.Clock, log: cfg.Log, rules: cfg.Rules, remote: remote{Remote: cfg.Remote, org: cfg.RemoteOrg, keeps: cfg.RemoteImport}, ids: cfg.IDs, node: cfg.Node,
		activity: map[SessionID]time.Time{}, actions: map[SessionID][]Action{}, defaults: map[conversations.OrgID]defaults{},
	}
}

// nodeName is the present name of this process; empty if there is no other.
func (s *Service) nodeName() string {
	if s.node == nil {
		return ""
	}
	return s.node()
}

// maxAttempts bounds how often a decision is taken anew because somebody else
// changed the session in between. Each round has a winner, so this many lost
// rounds mean that as many others got through.
const maxAttempts = 100

// errUnchanged is returned by a decision that found nothing to do.
var errUnchanged = errors.New("nothing to change")

// decision is one attempt to change a session.
type decision struct {
	Change
	now time.Time
}

func (d *decision) event(t EventType, i int) {
	s := &d.Session
	e := Event{Type: t, At: d.now, OrgID: s.OrgID, SessionID: s.ID, ConversationID: s.ConversationID, EndReason: s.EndReason}
	if i >= 0 {
		e.ParticipantID, e.Connection = s.Participants[i].ID, s.Participants[i].Connection.Number
	}
	d.Events = append(d.Events, e)
}

// end ends the session of d and gives back what it held.
func (d *decision) end(at time.Time, reason EndReason) {
	s := &d.Session
	s.end(at, reason)
	if s.ConversationID != "" {
		d.Release = append(d.Release, Release{Claim: conversationClaim(s.OrgID, s.ConversationID)})
	}
	for _, p := range s.Participants {
		for _, claim := range agentClaims(s.OrgID, p) {
			d.Release = append(d.Release, Release{Claim: claim})
		}
	}
	d.Release = append(d.Release, Release{Claim: tokenClaim(s.Token), Until: at.Add(sessionTokenRest)})
	d.event(EventEnded, -1)
}

// sessionTokenRest is how long nine digits are not given out again: an old
// number might still be on somebody's screen.
const sessionTokenRest = 24 * time.Hour

func conversationClaim(org conversations.OrgID, id conversations.ID) Claim {
	return Claim{Kind: ClaimConversation, OrgID: org, Key: string(id)}
}

// agentClaims are what an agent who is in a session holds: its user and its desk,
// as far as they are known.
func agentClaims(org conversations.OrgID, p Participant) []Claim {
	var claims []Claim
	if p.Role == RoleAgent && p.UserID != "" {
		claims = append(claims, Claim{Kind: ClaimAgent, OrgID: org, Key: string(p.UserID)})
	}
	if p.Role == RoleAgent && p.Desk != "" {
		claims = append(claims, Claim{Kind: ClaimAgent, OrgID: org, Key: "desk:" + p.Desk})
	}
	return claims
}

func tokenClaim(t SessionToken) Claim { return Claim{Kind: ClaimSessionToken, Key: string(t)} }

// change reads a session, lets decide alter a copy of it and commits the result,
// and begins anew when somebody else was faster. decide sees ended sessions too
// and may run more than once; errUnchanged from it means success.
func (s *Service) change(ctx context.Context, id SessionID, decide func(*decision) error) (Session, error) {
	for range maxAttempts {
		stored, err := s.read(ctx, id)
		if err != nil {
			return Session{}, err
		}
		next, err := s.attempt(ctx, stored, decide)
		if errors.Is(err, ErrStale) {
			continue
		}
		return next, err
	}
	return Session{}, fmt.Errorf("change session: %w", ErrStale)
}

// attempt takes one decision on a stored session and commits it.
func (s *Service) attempt(ctx context.Context, stored Session, decide func(*decision) error) (Session, error) {
	d := &decision{Change: Change{Session: stored.Clone()}, now: s.clock.Now()}
	d.At = d.now
	if err := decide(d); errors.Is(err, errUnchanged) {
		return stored, nil
	} else if err != nil {
		return stored, err
	}
	if d.Session.Live() {
		if at := s.pending(stored.ID); at.After(d.Session.LastActivityAt) {
			d.Session.LastActivityAt = at
		}
		if d.Session.ActivatedAt.IsZero() && d.Session.begins() {
			d.Session.ActivatedAt = d.now
			d.event(EventActivated, -1)
		}
		d.Session.Deadline, d.Session.DeadlineReason = s.rules.deadline(d.Session)
	}
	actions := s.takeActions(stored.ID)
	d.Session.addActions(actions)
	d.Session.Version = stored.Version + 1
	if err := s.store.Apply(ctx, d.Change); err != nil {
		s.giveBackActions(stored.ID, actions)
		return stored, err
	}
	s.committed(ctx, stored, d.Session)
	return d.Session, nil
}

func (s *Service) committed(ctx context.Context, before, after Session) {
	s.mu.Lock()
	if at, ok := s.activity[after.ID]; ok && (!after.Live() || !at.After(after.LastActivityAt)) {
		delete(s.activity, after.ID)
	}
	s.mu.Unlock()
	switch {
	case before.Version == 0:
		s.log.InfoContext(ctx, "session started", "sessionId", string(after.ID), "conversationId", string(after.ConversationID))
	case before.Live() && !after.Live():
		s.log.InfoContext(ctx, "session ended", "sessionId", string(after.ID), "conversationId", string(after.ConversationID), "endReason", string(after.EndReason))
	}
}

// read returns a session as it is now: one whose deadline has passed is ended first.
func (s *Service) read(ctx context.Context, id SessionID) (Session, error) {
	for range maxAttempts {
		stored, err := s.store.Session(ctx, id)
		if err != nil {
			if cobridge.CodeOf(err) == cobridge.CodeNotFound {
				return Session{}, sessionNotFound(id)
			}
			return Session{}, fmt.Errorf("read session: %w", err)
		}
		settled, err := s.settle(ctx, stored)
		if errors.Is(err, ErrStale) {
			continue
		}
		return settled, err
	}
	return Session{}, fmt.Errorf("read session: %w", ErrStale)
}

// settle applies a passed deadline, dated at the deadline. User input that came
// in time but is not stored yet keeps the session alive.
func (s *Service) settle(ctx context.Context, stored Session) (Session, error) {
	if !stored.Live() || s.clock.Now().Before(stored.Deadline) {
		return stored, nil
	}
	return s.attempt(ctx, stored, func(d *decision) error {
		if at := s.pending(stored.ID); at.After(stored.LastActivityAt) {
			d.Session.LastActivityAt = at
			if deadline, _ := s.rules.deadline(d.Session); d.now.Before(deadline) {
				return nil
			}
			d.Session.Deadline, d.Session.DeadlineReason = s.rules.deadline(d.Session)
		}
		d.end(d.Session.Deadline, d.Session.DeadlineReason)
		return nil
	})
}

// mine reads a session of one organisation; history records past their
// retention are gone, whether they were purged or not.
func (s *Service) mine(ctx context.Context, org conversations.OrgID, id SessionID) (Session, error) {
	session, err := s.read(ctx, id)
	if err != nil {
		return Session{}, err
	}
	if session.OrgID != org || !session.Live() && session.EndedAt.Before(s.keptSince()) {
		return Session{}, sessionNotFound(id)
	}
	return session, nil
}

func (s *Service) keptSince() time.Time { return s.clock.Now().Add(-s.rules.Retention) }

// changeMine is change for a session of one organisation.
func (s *Service) changeMine(ctx context.Context, org conversations.OrgID, id SessionID, decide func(*decision) error) (Session, error) {
	if _, err := s.mine(ctx, org, id); err != nil {
		return Session{}, err
	}
	return s.change(ctx, id, decide)
}

// Get returns a session, or the history record that it became, from the remote
// server too. It fails with CodeNotFound, or with CodeUnavailable if it is not here
// and the remote server does not answer.
func (s *Service) Get(ctx context.Context, org conversations.OrgID, id SessionID) (Session, error) {
	session, err := s.mine(ctx, org, id)
	if err != nil {
		return s.orRemote(ctx, org, id, err)
	}
	return session, nil
}

// Look returns a session by its id alone, for adapters that have let the caller
// in by other means. It fails with CodeNotFound.
func (s *Service) Look(ctx context.Context, id SessionID) (Session, error) {
	return s.read(ctx, id)
}

// ListRequest selects sessions of one organisation.
type ListRequest struct {
	OrgID          conversations.OrgID
	ConversationID conversations.ID // empty = all
	States         []State          // empty = all
	Attached       bool             // leave out sessions that have no conversation
	Offset         int
	Limit          int // at least 1
}

// List returns one page, live sessions first, newest first, and the number of all that match.
func (s *Service) List(ctx context.Context, r ListRequest) ([]Session, int, error) {
	found, total, err := s.index.Sessions(ctx, Query{
		OrgID: r.OrgID, ConversationID: r.ConversationID, States: r.States, Attached: r.Attached, KeptSince: s.keptSince(),
		Offset: r.Offset, Limit: r.Limit,
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list sessions: %w", err)
	}
	kept := found[:0]
	for _, session := range found {
		settled := session
		if session.Live() && !s.clock.Now().Before(session.Deadline) {
			if settled, err = s.read(ctx, session.ID); err != nil {
				return nil, 0, err
			}
		}
		if len(r.States) > 0 && !slices.Contains(r.States, settled.State()) {
			total--
			continue
		}
		kept = append(kept, settled)
	}
	return kept, total, nil
}

// SettingsPatch changes the given settings of a session.
type SettingsPatch struct {
	AllowRemoteControl *bool
	Timeout            *time.Duration // 1..480 whole minutes
}

// UpdateSettings changes settings of a live session. It fails with CodeNotFound,
// CodeConstraintValidation, or CodeConflict if the session has ended.
func (s *Service) UpdateSettings(ctx context.Context, org conversations.OrgID, id SessionID, patch SettingsPatch) (Session, error) {
	var bad problems
	if patch.Timeout != nil {
		checkTimeout(&bad, *patch.Timeout)
	}
	if err := bad.err("The session"); err != nil {
		return Session{}, err
	}
	return s.changeMine(ctx, org, id, func(d *decision) error {
		if !d.Session.Live() {
			return endedConflict(id)
		}
		before := d.Session.Settings
		if patch.AllowRemoteControl != nil {
			d.Session.Settings.AllowRemoteControl = *patch.AllowRemoteControl
		}
		if patch.Timeout != nil {
			d.Session.Settings.Timeout = *patch.Timeout
		}
		if d.Session.Settings == before {
			return errUnchanged
		}
		if !d.Session.Settings.AllowRemoteControl {
			d.Session.revoke(d, "", func(g Grant) bool { return g.Kind == GrantControl || g.Kind == GrantNavigate })
		}
		d.event(EventUpdated, -1)
		return nil
	})
}

func checkTimeout(bad *problems, timeout time.Duration) {
	if timeout < MinTimeout || timeout > MaxTimeout || timeout%time.Minute != 0 {
		bad.add("settings.timeoutInMinutes", "range")
	}
}

// End ends a session. Ending an ended one changes nothing and succeeds.
func (s *Service) End(ctx context.Context, org conversations.OrgID, id SessionID, reason EndReason) (Session, error) {
	return s.changeMine(ctx, org, id, func(d *decision) error {
		if !d.Session.Live() {
			return errUnchanged
		}
		d.end(d.now, reason)
		return nil
	})
}
