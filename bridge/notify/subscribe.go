package notify

import (
	"context"
	"fmt"
	"slices"

	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// SubscribeRequest says what a channel shall tell.
type SubscribeRequest struct {
	Topics  []string
	Replace bool // of what it told before, only these stay
	// IgnoreErrors leaves out the topics that are refused, in place of failing.
	IgnoreErrors bool
}

// Subscribe gives a channel of the bearer's client more topics, or others, and lets it
// live on, by this token from now on. It returns all topics that the channel then has,
// and after them those that were refused. It fails with CodeEntityNotFound,
// CodeInvalidTopic, CodeUnauthorizedTopic (a scope is missing, or there is no such user,
// which is told apart from nobody) or CodeTooManySubscriptions, and has then changed nothing.
func (s *Service) Subscribe(ctx context.Context, p oauth.Principal, id ChannelID, r SubscribeRequest) ([]Subscription, error) {
	before, err := s.Channel(ctx, p, id)
	if err != nil {
		return nil, err
	}
	if len(r.Topics) > s.limits.Topics {
		return nil, tooMany(s.limits.Topics)
	}
	topics, refused, err := s.choose(ctx, p, before.Topics, r)
	if err != nil {
		return nil, err
	}
	p.ClientName = ""
	c, err := s.store.ChangeNotificationChannel(ctx, id, func(c *Channel) error {
		kept := c.Topics
		if r.Replace {
			kept = nil
		}
		c.Topics = make([]string, 0, len(kept)+len(topics))
		seen := make(map[string]struct{}, cap(c.Topics))
		for _, name := range slices.Concat(kept, topics) {
			// What was subscribed with another token is kept only if this one may, too.
			if t, ok := ParseTopic(name); !ok || t.Part.missing(p.Scopes) != nil {
				continue
			}
			if _, twice := seen[name]; !twice {
				seen[name] = struct{}{}
				c.Topics = append(c.Topics, name)
			}
		}
		if len(c.Topics) > s.limits.Topics {
			return tooMany(s.limits.Topics)
		}
		c.Token, c.UsedAt = p, s.clock.Now()
		c.ExpiresAt = s.expiry(*c)
		c.Version++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	s.apply(c)
	s.changed(id, false)
	return append(c.Subscriptions(), refused...), nil
}

// Unsubscribe takes all topics off a channel of the bearer's client. It fails with
// CodeEntityNotFound.
func (s *Service) Unsubscribe(ctx context.Context, p oauth.Principal, id ChannelID) error {
	if _, err := s.Channel(ctx, p, id); err != nil {
		return err
	}
	c, err := s.store.ChangeNotificationChannel(ctx, id, func(c *Channel) error {
		c.Topics = nil
		c.Version++
		return nil
	})
	if err != nil {
		return fmt.Errorf("unsubscribe: %w", err)
	}
	s.apply(c)
	s.changed(id, false)
	return nil
}

// Subscriptions returns the topics of the channel.
func (c Channel) Subscriptions() []Subscription {
	all := make([]Subscription, len(c.Topics))
	for i, topic := range c.Topics {
		all[i] = Subscription{Topic: topic, State: Permitted}
	}
	return all
}

// choose sorts what was asked for into topics that the bearer may have and others.
func (s *Service) choose(ctx context.Context, p oauth.Principal, have []string, r SubscribeRequest) (good []string, refused []Subscription, err error) {
	known, err := s.knownUsers(ctx, p, have, r.Topics)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range r.Topics {
		no := Subscription{Topic: shortened(name), State: Rejected}
		t, ok := ParseTopic(name)
		switch {
		case !ok:
			no.Reason, err = textInvalid, invalidTopic(name)
		case t.Part.missing(p.Scopes) != nil:
			no.Reason, no.Missing, err = textScope, t.Part.missing(p.Scopes), unauthorizedTopic(name, textScope)
		case t.Holder == HolderUser && !known[conversations.UserID(t.ID)]:
			no.Reason, err = textUser, unauthorizedTopic(name, textUser)
		default:
			good = append(good, name)
			continue
		}
		if !r.IgnoreErrors {
			return nil, nil, err
		}
		refused = append(refused, no)
	}
	return good, refused, nil
}

// knownUsers looks up the users of topics. Those of topics that the channel has need not
// be asked for again.
func (s *Service) knownUsers(ctx context.Context, p oauth.Principal, have, want []string) (map[conversations.UserID]bool, error) {
	known := map[conversations.UserID]bool{}
	for _, name := range have {
		if t, ok := ParseTopic(name); ok && t.Holder == HolderUser {
			known[conversations.UserID(t.ID)] = true
		}
	}
	var ask []conversations.UserID
	for _, name := range want {
		if t, ok := ParseTopic(name); ok && t.Holder == HolderUser && !known[conversations.UserID(t.ID)] {
			ask = append(ask, conversations.UserID(t.ID))
		}
	}
	slices.Sort(ask)
	for some := range slices.Chunk(slices.Compact(ask), userBatch) {
		users, _, err := s.users.Users(ctx, conversations.OrgID(p.OrgID), conversations.UserQuery{IDs: some, Limit: userBatch})
		if err != nil {
			return nil, fmt.Errorf("look up users of topics: %w", err)
		}
		for _, u := range users {
			known[u.ID] = true
		}
	}
	return known, nil
}
