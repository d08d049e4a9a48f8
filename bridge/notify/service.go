package notify

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// Tokens is the part of *oauth.Service that is called here.
type Tokens interface {
	// Alive fails with CodeBadCredentials for a token that has died.
	Alive(ctx context.Context, p oauth.Principal) error
}

// Users is the part of conversations.Directory that is called here.
type Users interface {
	Users(ctx context.Context, org conversations.OrgID, q conversations.UserQuery) ([]conversations.User, int, error)
}

// Config is what a Service is built from; all but Limits is required.
type Config struct {
	Store  Store
	Clock  cobridge.Clock
	Tokens Tokens
	Users  Users
	Limits Limits // zero = defaults

	// NewID makes the ids of channels. Nil = random ones, 122 bits of which cannot be
	// guessed; whoever sets it gives that up, as a test double may.
	NewID func() string

	// Changed is told of channels that have other topics, or that somebody has connected
	// to (opened); see [Service.ChangedElsewhere]. It must not wait. Nil = nobody is told.
	Changed func(id ChannelID, opened bool)
}

// Service is the rules of channels.
type Service struct {
	store  Store
	clock  cobridge.Clock
	tokens Tokens
	users  Users
	limits Limits
	newID  func() string
	tell   func(id ChannelID, opened bool)

	mu     sync.RWMutex
	lines  map[ChannelID]*Line
	topics map[conversations.OrgID]map[string]map[*Line]struct{} // no empty map in it
}

// New returns a Service without connections.
func New(cfg Config) *Service {
	return &Service{
		store: cfg.Store, clock: cfg.Clock, tokens: cfg.Tokens, users: cfg.Users, limits: cfg.Limits.withDefaults(), newID: cfg.NewID, tell: cfg.Changed,
		lines: map[ChannelID]*Line{}, topics: map[conversations.OrgID]map[string]map[*Line]struct{}{},
	}
}

// Create opens a channel without topics for the bearer of a token. A client that has
// all it may have loses the one that was used least recently, one without a connection
// first.
func (s *Service) Create(ctx context.Context, p oauth.Principal) (Channel, error) {
	now := s.clock.Now()
	p.ClientName = "" // may change
	c := Channel{ID: s.newChannelID(), Token: p, CreatedAt: now, UsedAt: now, Version: 1}
	c.ExpiresAt = s.expiry(c)
	removed, err := s.store.CreateNotificationChannel(ctx, c, s.room)
	if err != nil {
		return Channel{}, fmt.Errorf("open notification channel: %w", err)
	}
	for _, id := range removed {
		s.changed(id, false)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, id := range removed {
		if l := s.lines[id]; l != nil {
			l.finish(EndExpired)
		}
	}
	return c, nil
}

// expiry is when a channel that was used just now ends: with its token at the latest.
func (s *Service) expiry(c Channel) (at time.Time) {
	at = c.UsedAt.Add(s.limits.Life)
	if c.Token.ExpiresAt.Before(at) {
		at = c.Token.ExpiresAt
	}
	return at
}

// room chooses the channels that make room for one more.
func (s *Service) room(have []Channel) []ChannelID {
	now := s.clock.Now()
	var gone []ChannelID
	var stay []Channel
	for _, c := range have {
		if now.Before(c.ExpiresAt) {
			stay = append(stay, c)
		} else {
			gone = append(gone, c.ID)
		}
	}
	over := len(stay) - s.limits.Channels + 1
	if over <= 0 {
		return gone
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	connected := func(c Channel) int {
		if s.lines[c.ID] != nil {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(stay, func(a, b Channel) int {
		return cmp.Or(cmp.Compare(connected(a), connected(b)), a.UsedAt.Compare(b.UsedAt))
	})
	for _, c := range stay[:over] {
		gone = append(gone, c.ID)
	}
	return gone
}

// Channels returns the channels of the bearer's client, or of the token alone, the
// oldest first.
func (s *Service) Channels(ctx context.Context, p oauth.Principal, ofClient bool) ([]Channel, error) {
	all, err := s.store.NotificationChannels(ctx, conversations.OrgID(p.OrgID), p.ClientID)
	if err != nil {
		return nil, fmt.Errorf("list notification channels: %w", err)
	}
	live := make([]Channel, 0, len(all))
	for _, c := range all {
		if !ofClient && c.Token.TokenID != p.TokenID {
			continue
		}
		err := s.alive(ctx, c)
		if err != nil && cobridge.CodeOf(err) != cobridge.CodeEntityNotFound {
			return nil, err
		}
		if err == nil {
			live = append(live, c)
		}
	}
	return live, nil
}

// Channel returns a channel of the bearer's client. It fails with CodeEntityNotFound for
// every other, and for one whose time is over or whose token has died.
func (s *Service) Channel(ctx context.Context, p oauth.Principal, id ChannelID) (Channel, error) {
	c, err := s.store.NotificationChannel(ctx, id)
	if err != nil {
		return Channel{}, fmt.Errorf("read notification channel: %w", err)
	}
	if !owns(p, c) {
		return Channel{}, NotFound()
	}
	return c, s.alive(ctx, c)
}

func owns(p oauth.Principal, c Channel) bool {
	return c.Token.OrgID == p.OrgID && c.Token.ClientID == p.ClientID
}

// alive fails with CodeEntityNotFound for a channel that has ended.
func (s *Service) alive(ctx context.Context, c Channel) error {
	if !s.clock.Now().Before(c.ExpiresAt) {
		return NotFound()
	}
	switch err := s.tokens.Alive(ctx, c.Token); {
	case cobridge.CodeOf(err) == cobridge.CodeBadCredentials:
		return NotFound()
	case err != nil:
		return fmt.Errorf("look at the token of a notification channel: %w", err)
	}
	return nil
}

// Open connects to a channel. Whoever was connected before is cut off: two cannot
// listen. Its id is all that is asked for. It fails with CodeEntityNotFound. The caller
// closes the line.
func (s *Service) Open(ctx context.Context, id ChannelID) (*Line, error) {
	l := newLine(s, id)
	s.mu.Lock()
	// From here on it hears of changed subscriptions, so that none falls between.
	if before := s.lines[id]; before != nil {
		before.finish(EndReplaced)
		s.forget(before)
	}
	s.lines[id] = l
	s.mu.Unlock()
	c, err := s.store.ChangeNotificationChannel(ctx, id, func(c *Channel) error {
		c.UsedAt = s.clock.Now()
		return nil
	})
	if err == nil {
		s.apply(c)
		err = s.alive(ctx, c) // the order matters: a token that dies from here on ends the line
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("connect to notification channel: %w", err)
	}
	s.changed(id, true)
	return l, nil
}

// apply makes the line of a channel hear what was subscribed to, unless it knows of
// later changes.
func (s *Service) apply(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[c.ID]
	if l == nil || l.version >= c.Version {
		return
	}
	s.unsubscribe(l)
	l.version, l.token, l.expires, l.topics = c.Version, c.Token, c.ExpiresAt, make(map[string]struct{}, len(c.Topics))
	org := s.topics[c.OrgID()]
	if org == nil && len(c.Topics) > 0 {
		org = map[string]map[*Line]struct{}{}
		s.topics[c.OrgID()] = org
	}
	for _, topic := range c.Topics {
		l.topics[topic] = struct{}{}
		if org[topic] == nil {
			org[topic] = map[*Line]struct{}{}
		}
		org[topic][l] = struct{}{}
	}
}

// unsubscribe takes the topics off a line; mu is held.
func (s *Service) unsubscribe(l *Line) {
	id := conversations.OrgID(l.token.OrgID)
	org := s.topics[id]
	for topic := range l.topics {
		delete(org[topic], l)
		if len(org[topic]) == 0 {
			delete(org, topic)
		}
	}
	if org != nil && len(org) == 0 {
		delete(s.topics, id)
	}
	l.topics = nil
}

// forget takes a line off its channel; mu is held.
func (s *Service) forget(l *Line) {
	s.unsubscribe(l)
	if s.lines[l.channel] == l {
		delete(s.lines, l.channel)
	}
}

// Listening reports whether anybody of an organisation listens to anything.
func (s *Service) Listening(org conversations.OrgID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.topics[org]) > 0
}

// Wanted reports whether anybody of an organisation listens to a topic.
func (s *Service) Wanted(org conversations.OrgID, t Topic) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.topics[org][t.String()]) > 0
}

// Publish tells a frame of at most [MaxFrame] bytes to everybody of the organisation
// who listens to the topic. It waits for nobody; the frame is not to be changed afterwards.
func (s *Service) Publish(org conversations.OrgID, t Topic, frame []byte) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for l := range s.topics[org][t.String()] {
		l.Put(frame)
	}
}

// Revoked ends the lines of tokens that have died. It is for [oauth.Service.Subscribe].
func (s *Service) Revoked(r oauth.Revocation) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, l := range s.lines {
		if r.Concerns(l.token) {
			l.finish(EndToken)
		}
	}
}

// Connections returns how many lines are open.
func (s *Service) Connections() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.lines)
}

// Purge deletes channels whose time is over, and ends their lines. It returns how many.
func (s *Service) Purge(ctx context.Context) (int, error) {
	s.mu.RLock()
	lines := make([]*Line, 0, len(s.lines))
	for _, l := range s.lines {
		if l.version > 0 { // it has heard of its channel
			lines = append(lines, l)
		}
	}
	s.mu.RUnlock()
	for _, l := range lines {
		l.Check()
	}
	for total := 0; ; {
		n, err := s.store.PurgeNotificationChannels(ctx, s.clock.Now(), purgeBatch)
		total += n
		if err != nil {
			return total, fmt.Errorf("purge notification channels: %w", err)
		}
		if n < purgeBatch {
			return total, nil
		}
	}
}

// newChannelID returns a random UUID (RFC 9562, version 4): 122 random bits.
func (s *Service) newChannelID() ChannelID {
	if s.newID != nil {
		return ChannelID(s.newID())
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return ChannelID(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}
