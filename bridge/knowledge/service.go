package knowledge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cobridge/cobridge"
)

// Config is what a [Service] is built from.
type Config struct {
	Store         Store          // required
	Clock         cobridge.Clock // required
	Profile       Profile        // "" = [Profile850]
	IdleTimeout   time.Duration  // of a session, restarted by each call; 0 = [DefaultIdleTimeout]
	Tenants       []string       // that profile 9.0 knows; empty = any
	Conversations Conversations  // nil = sessions are tied to a conversation in the store only
	Log           *slog.Logger   // nil = nothing is logged
	NewID         func() string  // of sessions; nil = random ones, which everything but a test double wants
}

// Service is the three operations. Its methods may be called concurrently.
type Service struct {
	store         Store
	clock         cobridge.Clock
	profile       Profile
	idle          time.Duration
	tenants       []string
	conversations Conversations
	log           *slog.Logger
	newID         func() SessionID
	unwritten     unwritten
}

// New returns a Service.
func New(cfg Config) (*Service, error) {
	s := &Service{
		store: cfg.Store, clock: cfg.Clock, profile: cfg.Profile, idle: cfg.IdleTimeout,
		tenants: slices.Clone(cfg.Tenants), conversations: cfg.Conversations, log: cfg.Log, newID: newSessionID,
		unwritten: unwritten{most: maxUnwritten},
	}
	if cfg.NewID != nil {
		s.newID = func() SessionID { return SessionID(cfg.NewID()) }
	}
	if s.profile == "" {
		s.profile = Profile850
	}
	if s.idle == 0 {
		s.idle = DefaultIdleTimeout
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	switch {
	case s.store == nil || s.clock == nil:
		return nil, errors.New("knowledge: store and clock are required")
	case !s.profile.Known():
		return nil, fmt.Errorf("knowledge: %q is no profile", s.profile)
	case s.idle < touchesPerTimeout*time.Millisecond:
		return nil, fmt.Errorf("knowledge: the idle time-out is %s, want at least %s", s.idle, touchesPerTimeout*time.Millisecond)
	}
	return s, nil
}

// Create makes a session with a new id. It fails with CodeConflict if a live session
// of the tenant has the same customer, or the same agent, in the same visit; anonymous
// ones never collide. What is too long or not readable, and in profile 9.0 an unknown
// tenant, is CodeBadRequest.
func (s *Service) Create(ctx context.Context, org OrgID, tenant string, f Facts) (Session, error) {
	key, err := s.key(Key{OrgID: org, TenantID: tenant, ID: s.newID()})
	if err != nil {
		return Session{}, err
	}
	if err := f.check(); err != nil {
		return Session{}, err
	}
	now := s.clock.Now()
	session := s.fresh(key, f, now)
	err = s.store.CreateKnowledgeSession(ctx, session, now.Add(-s.slack()), func(other Session) bool { return s.live(other, now) })
	switch {
	case errors.Is(err, ErrIdentityTaken):
		return Session{}, alreadyExists()
	case err != nil:
		return Session{}, fmt.Errorf("create knowledge session: %w", err)
	}
	return session, nil
}

// Retrieve returns a session. An unknown one is created with the key's id and named
// by f, in one atomic step; in profile 8.5.1 it is CodeNotFound. Of a known one f
// changes nothing. Other failures are as with Create.
func (s *Service) Retrieve(ctx context.Context, key Key, f Facts) (Session, error) {
	key, err := s.key(key)
	if err != nil {
		return Session{}, err
	}
	if err := f.check(); err != nil {
		return Session{}, err
	}
	now := s.clock.Now()
	found, err := s.find(ctx, key, now)
	if err == nil {
		return s.touch(ctx, found, now)
	}
	if cobridge.CodeOf(err) != cobridge.CodeNotFound {
		return Session{}, fmt.Errorf("retrieve knowledge session: %w", err)
	}
	if !s.profile.createsOnRetrieve() {
		return Session{}, NotFound()
	}
	session, err := s.change(ctx, key, now, func(old Session, live bool) (Session, error) {
		if live { // another call was faster
			return s.accessed(old, now), nil
		}
		return s.fresh(key, f, now), nil
	})
	if err != nil {
		return Session{}, fmt.Errorf("retrieve knowledge session: %w", err)
	}
	return session, nil
}

// Update is what an update changes.
type Update struct {
	Facts
	ConversationID string // of the organisation; empty = stays as it is
	// MayTie is whether the caller may write to conversations: without, the
	// conversation is kept with the session and hears nothing of it.
	MayTie bool
}

// Update ties a session to whom it belongs; an unknown one is created with the key's
// id first. A session that is tied to another customer or agent is CodeConflict and
// stays as it is; the same values again succeed. Other failures are as with Create.
// That a conversation cannot be told is logged and is no failure.
func (s *Service) Update(ctx context.Context, key Key, u Update) (Session, error) {
	key, err := s.key(key)
	if err != nil {
		return Session{}, err
	}
	if err := errors.Join(u.check(), checkFact("conversationId", u.ConversationID)); err != nil {
		return Session{}, err
	}
	session, err := s.update(ctx, key, u, s.clock.Now())
	if err != nil {
		return Session{}, err
	}
	if u.ConversationID != "" && u.MayTie && s.conversations != nil {
		s.tell(ctx, session)
	}
	return session, nil
}

func (s *Service) update(ctx context.Context, key Key, u Update, now time.Time) (Session, error) {
	found, err := s.find(ctx, key, now)
	switch {
	case err == nil:
		// Most updates repeat what is known; those need no write.
		tied, err := u.apply(found)
		if err != nil {
			return Session{}, err
		}
		if tied == found {
			return s.touch(ctx, found, now)
		}
	case cobridge.CodeOf(err) != cobridge.CodeNotFound:
		return Session{}, fmt.Errorf("update knowledge session: %w", err)
	}
	session, err := s.change(ctx, key, now, func(old Session, live bool) (Session, error) {
		if !live {
			return u.apply(s.fresh(key, Facts{}, now))
		}
		tied, err := u.apply(old)
		if err == nil && tied != old {
			tied = s.renewed(tied, now)
		}
		return tied, err
	})
	if err != nil {
		return Session{}, fmt.Errorf("update knowledge session: %w", err)
	}
	return session, nil
}

// apply returns the session as the update leaves it.
func (u Update) apply(to Session) (Session, error) {
	facts, err := to.tie(u.Facts)
	if err != nil {
		return to, err
	}
	to.Facts = facts
	if u.ConversationID != "" {
		to.ConversationID = u.ConversationID
	}
	return to, nil
}

// tell leaves the session's id on its conversation.
func (s *Service) tell(ctx context.Context, session Session) {
	ctx, cancel := context.WithTimeout(ctx, tieTimeout)
	defer cancel()
	if err := s.conversations.TieKnowledgeSession(ctx, session.OrgID, session.ConversationID, session.ID); err != nil {
		s.log.WarnContext(ctx, "knowledge session not written to its conversation", "conversationId", session.ConversationID, "err", err)
	}
}

// Purge forgets sessions that have expired and returns how many.
func (s *Service) Purge(ctx context.Context) (int, error) {
	now := s.clock.Now()
	s.unwritten.forget(now.Add(-s.idle))
	total := 0
	for {
		n, err := s.store.PurgeKnowledgeSessions(ctx, now.Add(-s.slack()), purgeBatch)
		total += n
		if err != nil {
			return total, fmt.Errorf("purge knowledge sessions: %w", err)
		}
		if n < purgeBatch {
			return total, nil
		}
	}
}

// key checks a key and leaves the tenant out where the profile has none.
func (s *Service) key(key Key) (Key, error) {
	if err := key.check(); err != nil {
		return Key{}, err
	}
	if !s.profile.needsTenant() {
		key.TenantID = ""
		return key, nil
	}
	if key.TenantID == "" {
		return Key{}, badRequest("the query parameter tenantId is missing")
	}
	if err := checkFact("tenantId", key.TenantID); err != nil {
		return Key{}, err
	}
	if len(s.tenants) > 0 && !slices.Contains(s.tenants, key.TenantID) {
		return Key{}, badRequest("the tenant is unknown")
	}
	return key, nil
}

// find returns a live session; CodeNotFound if there is none.
func (s *Service) find(ctx context.Context, key Key, now time.Time) (Session, error) {
	found, err := s.store.KnowledgeSession(ctx, key)
	if err == nil && !s.live(found, now) {
		err = NotFound()
	}
	return found, err
}

// change is one atomic step on a session; live tells whether there is one.
func (s *Service) change(ctx context.Context, key Key, now time.Time, fn func(old Session, live bool) (Session, error)) (Session, error) {
	session, err := s.store.ChangeKnowledgeSession(ctx, key, func(old Session) (Session, error) {
		return fn(old, s.live(old, now))
	})
	if err != nil {
		return Session{}, err
	}
	if session.LastAccess.Before(now) {
		s.unwritten.add(key, now) // where there is no room, it counts as not made
		session.LastAccess = now
	} else {
		s.unwritten.written(key, session.LastAccess)
	}
	return session, nil
}

// touch restarts the idle time-out of a live session, in memory if that will do.
func (s *Service) touch(ctx context.Context, found Session, now time.Time) (Session, error) {
	if now.Sub(found.LastAccess) < s.slack() && s.unwritten.add(found.Key, now) {
		found.LastAccess = now
		return found, nil
	}
	session, err := s.change(ctx, found.Key, now, func(old Session, live bool) (Session, error) {
		if !live { // purged meanwhile, by a clock that is ahead of this call
			old = found
		}
		return s.renewed(old, now), nil
	})
	if err != nil {
		return Session{}, fmt.Errorf("renew knowledge session: %w", err)
	}
	return session, nil
}

// slack is how much older than the last call what is stored of it may be.
func (s *Service) slack() time.Duration { return s.idle / touchesPerTimeout }

// live reports whether a stored session, which may be the zero one, has not expired.
func (s *Service) live(session Session, now time.Time) bool {
	if session.ID == "" {
		return false
	}
	if now.Before(session.ExpiresAt) {
		return true
	}
	last := s.unwritten.last(session.Key)
	return !last.Before(session.LastAccess) && now.Before(last.Add(s.idle))
}

func (s *Service) fresh(key Key, f Facts, now time.Time) Session {
	return s.renewed(Session{Key: key, Facts: f, CreatedAt: now}, now)
}

// renewed returns the session with its idle time-out restarted.
func (s *Service) renewed(session Session, now time.Time) Session {
	if now.After(session.LastAccess) {
		session.LastAccess, session.ExpiresAt = now, now.Add(s.idle)
	}
	return session
}

// accessed is renewed, unless what is stored is new enough.
func (s *Service) accessed(session Session, now time.Time) Session {
	if now.Sub(session.LastAccess) < s.slack() {
		return session
	}
	return s.renewed(session, now)
}
