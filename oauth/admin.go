package oauth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CreateClient makes a client and returns it with its secret, which cannot be had again.
// CodeConstraintValidation if spec breaks rules, CodeConflict if the id is taken. That the
// organisation exists is for the caller to know.
func (s *Service) CreateClient(ctx context.Context, spec ClientSpec) (Client, string, error) {
	c, secret, err := NewClient(spec, s.clock.Now())
	if err != nil {
		return Client{}, "", err
	}
	if err := s.store.CreateClient(ctx, c.Clone()); err != nil {
		return Client{}, "", fmt.Errorf("create client: %w", err)
	}
	return c, secret, nil
}

// Client returns the client with this id, or fails with CodeNotFound.
func (s *Service) Client(ctx context.Context, id string) (Client, error) {
	c, err := s.store.Client(ctx, id)
	if err != nil {
		return Client{}, fmt.Errorf("read client: %w", err)
	}
	return c.Clone(), nil
}

// Clients returns the clients of an organisation, or all for orgID "", ordered by id.
func (s *Service) Clients(ctx context.Context, orgID string) ([]Client, error) {
	stored, err := s.store.Clients(ctx, orgID)
	if err != nil {
		return nil, fmt.Errorf("list clients: %w", err)
	}
	clients := make([]Client, len(stored))
	for i, c := range stored {
		clients[i] = c.Clone()
	}
	return clients, nil
}

// RotateSecret gives a client a new secret and returns it. The current one goes on working
// for the overlap, 0..MaxOverlap; tokens are not touched (see KillTokens). CodeNotFound,
// or CodeConstraintValidation for an overlap out of range.
func (s *Service) RotateSecret(ctx context.Context, id string, overlap time.Duration) (string, error) {
	var secret string
	now := s.clock.Now()
	err := s.store.UpdateClient(ctx, id, func(c *Client) (err error) {
		secret, err = c.Rotate(overlap, now)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("rotate client secret: %w", err)
	}
	return secret, nil
}

// ClientUpdate says what to change; nil leaves a thing as it is.
type ClientUpdate struct {
	Name     *string
	Scopes   *[]string
	Lifetime *time.Duration // of tokens issued from now on
	State    *State
}

// UpdateClient changes a client and returns it as it is now. Taking a scope away, like
// disabling, kills the tokens that the client has. CodeNotFound, or
// CodeConstraintValidation with one detail for each problem.
func (s *Service) UpdateClient(ctx context.Context, id string, update ClientUpdate) (Client, error) {
	return s.update(ctx, id, "update client", update.apply)
}

// SetState changes the state of a client alone.
func (s *Service) SetState(ctx context.Context, id string, state State) (Client, error) {
	return s.UpdateClient(ctx, id, ClientUpdate{State: &state})
}

// KillTokens makes every access token that the client has been given so far invalid.
// CodeNotFound if there is no such client.
func (s *Service) KillTokens(ctx context.Context, id string) error {
	_, err := s.update(ctx, id, "kill client tokens", func(c *Client) error {
		c.KillTokens()
		return nil
	})
	return err
}

// DeleteClient removes a client, and with it all its tokens. CodeNotFound if there is none.
func (s *Service) DeleteClient(ctx context.Context, id string) error {
	if err := s.store.DeleteClient(ctx, id); err != nil {
		return fmt.Errorf("delete client: %w", err)
	}
	s.watchers.tell(Revocation{ClientID: id})
	return nil
}

// update applies fn and tells the subscribers if it killed the client's tokens.
func (s *Service) update(ctx context.Context, id, action string, fn func(*Client) error) (Client, error) {
	var before uint64
	var after Client
	err := s.store.UpdateClient(ctx, id, func(c *Client) error {
		before = c.Generation
		if err := fn(c); err != nil {
			return err
		}
		after = c.Clone()
		return nil
	})
	if err != nil {
		return Client{}, fmt.Errorf("%s: %w", action, err)
	}
	if after.Generation != before {
		s.watchers.tell(Revocation{ClientID: id})
	}
	return after, nil
}

// apply changes c, or returns everything that is wrong with the result.
func (u ClientUpdate) apply(c *Client) error {
	if u.Name != nil {
		c.Name = strings.TrimSpace(*u.Name)
	}
	if u.Scopes != nil {
		taken := slices.ContainsFunc(c.Scopes, func(had string) bool { return !Satisfies(*u.Scopes, Scope(had)) })
		if taken {
			c.KillTokens()
		}
		c.Scopes = slices.Clone(*u.Scopes)
	}
	if u.Lifetime != nil {
		c.Lifetime = *u.Lifetime
	}
	if u.State != nil {
		if !u.State.known() {
			c.State = *u.State // problems names it together with the rest
		} else if err := c.SetState(*u.State); err != nil {
			return err
		}
	}
	return invalidClient(c.problems())
}
