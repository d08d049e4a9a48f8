package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

// Members of the OAuth index begin with what they are for.
const (
	clientMember     = "c" // client
	signingMember    = "k" // key
	revocationMember = "r" // time(until) token
)

func clientRecord(id string) string      { return "client:" + id }
func signingRecord(id string) string     { return "key:" + id }
func revocationRecord(jti string) string { return "revoked:" + jti }

func clientNotFound(id string) error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No OAuth client has this id.", EntityID: id, EntityName: "oauthClient"}
}

// Client implements [oauth.Store]. It asks the server: another node may have changed the
// client a moment ago.
func (s *Store) Client(ctx context.Context, id string) (oauth.Client, error) {
	c, _, err := s.oauthClient(ctx, id)
	return c, err
}

func (s *Store) oauthClient(ctx context.Context, id string) (c oauth.Client, stored string, err error) {
	stored, err = s.record(ctx, oauthShelf, clientRecord(id))
	if err == nil && stored != "" {
		c, err = decode[oauth.Client](stored)
	}
	switch {
	case err != nil:
		return c, "", fmt.Errorf("read OAuth client: %w", err)
	case stored == "":
		return c, "", clientNotFound(id)
	}
	return c, stored, nil
}

// listed reads the records that members of the OAuth index lead to.
func listed[T any](ctx context.Context, s *Store, member string, record func(string) string) ([]T, error) {
	names, err := s.between(ctx, oauthShelf, atLeast(member), below(successor(member)), -1)
	if err != nil {
		return nil, err
	}
	for i, m := range names {
		names[i] = record(strings.TrimPrefix(m, member))
	}
	found, _, err := recordsAs[T](ctx, s, oauthShelf, names)
	return found, err
}

// Clients implements [oauth.Store].
func (s *Store) Clients(ctx context.Context, orgID string) ([]oauth.Client, error) {
	found, err := listed[oauth.Client](ctx, s, clientMember, clientRecord)
	if err != nil {
		return nil, fmt.Errorf("list OAuth clients: %w", err)
	}
	found = slices.DeleteFunc(found, func(c oauth.Client) bool { return orgID != "" && c.OrgID != orgID })
	slices.SortFunc(found, func(a, b oauth.Client) int { return cmp.Compare(a.ID, b.ID) })
	return found, nil
}

// CreateClient implements [oauth.Store].
func (s *Store) CreateClient(ctx context.Context, c oauth.Client) error {
	encoded, err := encode(c)
	if err == nil {
		var w writing
		w.same(clientRecord(c.ID), "")
		w.put(clientRecord(c.ID), encoded)
		w.add(clientMember + c.ID)
		err = s.write(ctx, oauthShelf, &w)
	}
	if errors.Is(err, errChanged) {
		err = &cobridge.Error{Code: cobridge.CodeConflict, Message: "The id of the OAuth client is taken.", EntityID: c.ID, EntityName: "oauthClient"}
	}
	if err != nil {
		return fmt.Errorf("create OAuth client: %w", err)
	}
	return nil
}

// UpdateClient implements [oauth.Store]. What fn makes is written if nobody was faster,
// else it runs again.
func (s *Store) UpdateClient(ctx context.Context, id string, fn func(*oauth.Client) error) error {
	var failed error // of fn: returned as it is
	err := until(ctx, func() error {
		old, stored, err := s.oauthClient(ctx, id)
		if err != nil {
			return err
		}
		next := old.Clone()
		if failed = fn(&next); failed != nil {
			return failed
		}
		next.ID, next.OrgID = old.ID, old.OrgID
		encoded, err := encode(next)
		if err != nil || encoded == stored {
			return err
		}
		var w writing
		w.same(clientRecord(id), stored)
		w.put(clientRecord(id), encoded)
		return s.write(ctx, oauthShelf, &w)
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return fmt.Errorf("update OAuth client: %w", err)
	}
	return nil
}

// DeleteClient implements [oauth.Store].
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	err := until(ctx, func() error {
		_, stored, err := s.oauthClient(ctx, id)
		if err != nil {
			return err
		}
		var w writing
		w.same(clientRecord(id), stored)
		w.del(clientRecord(id))
		w.rem(clientMember + id)
		return s.write(ctx, oauthShelf, &w)
	})
	if err != nil {
		return fmt.Errorf("delete OAuth client: %w", err)
	}
	return nil
}

// Keys implements [oauth.Store].
func (s *Store) Keys(ctx context.Context) ([]oauth.Key, error) {
	keys, err := listed[oauth.Key](ctx, s, signingMember, signingRecord)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	return keys, nil
}

// AddKey implements [oauth.Store].
func (s *Store) AddKey(ctx context.Context, k oauth.Key) error {
	encoded, err := encode(k)
	if err == nil {
		var w writing
		w.same(signingRecord(k.ID), "")
		w.put(signingRecord(k.ID), encoded)
		w.add(signingMember + k.ID)
		err = s.write(ctx, oauthShelf, &w)
	}
	if errors.Is(err, errChanged) {
		err = &cobridge.Error{Code: cobridge.CodeConflict, Message: "The id of the signing key is taken.", EntityID: k.ID, EntityName: "signingKey"}
	}
	if err != nil {
		return fmt.Errorf("store signing key: %w", err)
	}
	return nil
}

// DeleteKeys implements [oauth.Store].
func (s *Store) DeleteKeys(ctx context.Context, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	var w writing
	for _, id := range ids {
		w.del(signingRecord(id))
		w.rem(signingMember + id)
	}
	if err := s.write(ctx, oauthShelf, &w); err != nil {
		return fmt.Errorf("delete signing keys: %w", err)
	}
	return nil
}

func revocationMemberOf(until time.Time, jti string) string {
	return revocationMember + binaryTime(until) + jti
}

// Revoke implements [oauth.Store].
func (s *Store) Revoke(ctx context.Context, jti string, untilTime time.Time) error {
	name, encoded := revocationRecord(jti), binaryTime(untilTime)
	err := until(ctx, func() error {
		stored, err := s.record(ctx, oauthShelf, name)
		if err != nil || stored >= encoded {
			return err
		}
		var w writing
		w.same(name, stored)
		if stored != "" {
			w.rem(revocationMember + stored + jti)
		}
		w.put(name, encoded)
		w.add(revocationMemberOf(untilTime, jti))
		return s.write(ctx, oauthShelf, &w)
	})
	if err != nil {
		return fmt.Errorf("revoke access token: %w", err)
	}
	return nil
}

// Revoked implements [oauth.Store]. It asks the server: another node may have revoked
// the token a moment ago.
func (s *Store) Revoked(ctx context.Context, jti string, at time.Time) (bool, error) {
	stored, err := s.record(ctx, oauthShelf, revocationRecord(jti))
	if err != nil {
		return false, fmt.Errorf("read revocation: %w", err)
	}
	return stored != "" && timeOf(stored).After(at), nil
}

// PurgeRevocations implements [oauth.Store].
func (s *Store) PurgeRevocations(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := s.purgeShelf(ctx, oauthShelf, revocationMember, after(before), limit,
		func(member string) string { return revocationRecord(member[1+timeSize:]) },
		func(string) ([]string, error) { return nil, nil })
	if err != nil {
		return n, fmt.Errorf("purge revocations: %w", err)
	}
	return n, nil
}
