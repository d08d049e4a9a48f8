package bolt

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

// clientCache holds all clients. Their slices are shared and never changed.
type clientCache struct {
	mu      sync.RWMutex
	clients map[string]oauth.Client
}

func newClientCache() *clientCache { return &clientCache{clients: map[string]oauth.Client{}} }

func (c *clientCache) get(id string) (oauth.Client, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	client, ok := c.clients[id]
	return client, ok
}

func (c *clientCache) put(client oauth.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients[client.ID] = client
}

func (c *clientCache) remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.clients, id)
}

// revocationCache holds all revocations that have not been purged.
type revocationCache struct {
	mu    sync.RWMutex
	until map[string]time.Time
}

func newRevocationCache() *revocationCache { return &revocationCache{until: map[string]time.Time{}} }

func (c *revocationCache) get(jti string) time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.until[jti]
}

func (c *revocationCache) put(jti string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until[jti] = until
}

// remove takes keys of the index by time.
func (c *revocationCache) remove(keys [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		delete(c.until, string(key[timeSize:]))
	}
}

func (s *Store) loadClients(_ context.Context, t *txn) error {
	return t.bucket(clientBucket).ForEach(func(_, value []byte) error {
		c, err := decode[oauth.Client](value)
		if err != nil {
			return err
		}
		s.clients.put(c)
		return nil
	})
}

func (s *Store) loadRevocations(_ context.Context, t *txn) error {
	return t.bucket(revocationBucket).ForEach(func(jti, until []byte) error {
		s.revocations.put(string(jti), timeOf(until))
		return nil
	})
}

func clientNotFound(id string) error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No OAuth client has this id.", EntityID: id, EntityName: "oauthClient"}
}

// Client implements [oauth.Store].
func (s *Store) Client(_ context.Context, id string) (oauth.Client, error) {
	if err := s.alive(); err != nil {
		return oauth.Client{}, err
	}
	c, ok := s.clients.get(id)
	if !ok {
		return oauth.Client{}, clientNotFound(id)
	}
	return c, nil
}

// Clients implements [oauth.Store].
func (s *Store) Clients(_ context.Context, orgID string) ([]oauth.Client, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	s.clients.mu.RLock()
	defer s.clients.mu.RUnlock()
	var found []oauth.Client
	for _, c := range s.clients.clients {
		if orgID == "" || c.OrgID == orgID {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b oauth.Client) int { return cmp.Compare(a.ID, b.ID) })
	return found, nil
}

// CreateClient implements [oauth.Store].
func (s *Store) CreateClient(ctx context.Context, c oauth.Client) error {
	c = c.Clone()
	encoded, err := encode(c)
	if err == nil {
		err = s.update(ctx, func(t *txn) error {
			if t.get(clientBucket, []byte(c.ID)) != nil {
				return &cobridge.Error{Code: cobridge.CodeConflict, Message: "The id of the OAuth client is taken.", EntityID: c.ID, EntityName: "oauthClient"}
			}
			t.put(clientBucket, []byte(c.ID), encoded)
			t.after = append(t.after, func() { s.clients.put(c) })
			return t.err
		})
	}
	if err != nil {
		return fmt.Errorf("create OAuth client: %w", err)
	}
	return nil
}

// UpdateClient implements [oauth.Store]. fn runs in the caller's goroutine; what it
// makes is written if nobody was faster, else it runs again.
func (s *Store) UpdateClient(ctx context.Context, id string, fn func(*oauth.Client) error) error {
	for {
		old, err := s.Client(ctx, id)
		if err != nil {
			return err
		}
		next := old.Clone()
		if err := fn(&next); err != nil {
			return err
		}
		next.ID, next.OrgID = old.ID, old.OrgID
		next = next.Clone() // fn may have kept a slice
		before, err := encode(old)
		if err != nil {
			return fmt.Errorf("update OAuth client: %w", err)
		}
		after, err := encode(next)
		if err != nil {
			return fmt.Errorf("update OAuth client: %w", err)
		}
		if bytes.Equal(before, after) {
			return nil
		}
		err = s.update(ctx, func(t *txn) error {
			stored := t.get(clientBucket, []byte(id))
			if stored == nil {
				return clientNotFound(id)
			}
			if !bytes.Equal(stored, before) {
				return errChanged
			}
			t.put(clientBucket, []byte(id), after)
			t.after = append(t.after, func() { s.clients.put(next) })
			return t.err
		})
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errChanged):
			return fmt.Errorf("update OAuth client: %w", err)
		}
	}
}

// DeleteClient implements [oauth.Store].
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	err := s.update(ctx, func(t *txn) error {
		if t.get(clientBucket, []byte(id)) == nil {
			return clientNotFound(id)
		}
		t.del(clientBucket, []byte(id))
		t.after = append(t.after, func() { s.clients.remove(id) })
		return t.err
	})
	if err != nil {
		return fmt.Errorf("delete OAuth client: %w", err)
	}
	return nil
}

// Keys implements [oauth.Store].
func (s *Store) Keys(ctx context.Context) ([]oauth.Key, error) {
	var keys []oauth.Key
	err := s.view(ctx, func(t *txn) error {
		return t.bucket(keyBucket).ForEach(func(_, value []byte) error {
			k, err := decode[oauth.Key](value)
			keys = append(keys, k)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	return keys, nil
}

// AddKey implements [oauth.Store].
func (s *Store) AddKey(ctx context.Context, k oauth.Key) error {
	encoded, err := encode(k)
	if err == nil {
		err = s.update(ctx, func(t *txn) error {
			if t.get(keyBucket, []byte(k.ID)) != nil {
				return &cobridge.Error{Code: cobridge.CodeConflict, Message: "The id of the signing key is taken.", EntityID: k.ID, EntityName: "signingKey"}
			}
			t.put(keyBucket, []byte(k.ID), encoded)
			return t.err
		})
	}
	if err != nil {
		return fmt.Errorf("store signing key: %w", err)
	}
	return nil
}

// DeleteKeys implements [oauth.Store].
func (s *Store) DeleteKeys(ctx context.Context, ids ...string) error {
	ids = slices.Clone(ids)
	err := s.update(ctx, func(t *txn) error {
		for _, id := range ids {
			t.del(keyBucket, []byte(id))
		}
		return t.err
	})
	if err != nil {
		return fmt.Errorf("delete signing keys: %w", err)
	}
	return nil
}

// Revoke implements [oauth.Store].
func (s *Store) Revoke(ctx context.Context, jti string, until time.Time) error {
	err := s.update(ctx, func(t *txn) error {
		if old := t.get(revocationBucket, []byte(jti)); old != nil {
			if !until.After(timeOf(old)) {
				return nil
			}
			t.del(revocationByUntil, timeKey(timeOf(old), jti))
		}
		t.put(revocationBucket, []byte(jti), appendTime(nil, until))
		t.put(revocationByUntil, timeKey(until, jti), nil)
		t.after = append(t.after, func() { s.revocations.put(jti, until) })
		return t.err
	})
	if err != nil {
		return fmt.Errorf("revoke access token: %w", err)
	}
	return nil
}

// Revoked implements [oauth.Store].
func (s *Store) Revoked(_ context.Context, jti string, at time.Time) (bool, error) {
	if err := s.alive(); err != nil {
		return false, err
	}
	return s.revocations.get(jti).After(at), nil
}
