package oauth

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cobridge/cobridge"
)

// Revocation tells that tokens died before their time.
type Revocation struct {
	ClientID string
	TokenID  string // the one token; "" = every token that the client had
}

// Concerns reports whether the bearer of p is concerned.
func (r Revocation) Concerns(p Principal) bool {
	return r.ClientID == p.ClientID && (r.TokenID == "" || r.TokenID == p.TokenID)
}

// Subscribe has fn called after each revocation that went through this Service, until
// cancel is called. fn runs in the goroutine of whoever revokes, and so must not wait.
// It may run once more while cancel returns. Whoever opens something long-lived
// subscribes first and then verifies the token, so that no revocation falls between;
// that a token expires is not told, Principal.ExpiresAt says when.
func (s *Service) Subscribe(fn func(Revocation)) (cancel func()) {
	return s.watchers.add(fn)
}

// Revoke kills an access token on behalf of caller, a client that was authenticated
// (RFC 7009). A token that is unknown, expired or of another organisation succeeds and
// changes nothing. One of another client of the same organisation is refused with
// [*Error] unauthorized_client. Other errors are failures of the store.
func (s *Service) Revoke(ctx context.Context, caller Client, raw string) error {
	token, err := s.parse(ctx, raw)
	if err != nil {
		if cobridge.CodeOf(err) == cobridge.CodeBadCredentials {
			return nil
		}
		return fmt.Errorf("revoke: %w", err)
	}
	p := token.principal
	switch {
	case p.OrgID != caller.OrgID || !s.clock.Now().Before(p.ExpiresAt):
		return nil
	case p.ClientID != caller.ID:
		return &Error{CodeUnauthorizedClient, "the token was issued to another client"}
	}
	return s.RevokeToken(ctx, p)
}

// RevokeToken kills the access token that p was verified from. It is durable when this
// returns nil. Doing it twice succeeds.
func (s *Service) RevokeToken(ctx context.Context, p Principal) error {
	if err := s.store.Revoke(ctx, p.TokenID, p.ExpiresAt); err != nil {
		return fmt.Errorf("revoke access token: %w", err)
	}
	s.watchers.tell(Revocation{ClientID: p.ClientID, TokenID: p.TokenID})
	return nil
}

// watchers is a list of subscribers. The zero value is ready for use.
type watchers struct {
	mu   sync.Mutex
	next uint64
	fns  map[uint64]func(Revocation)
}

func (w *watchers) add(fn func(Revocation)) (cancel func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fns == nil {
		w.fns = make(map[uint64]func(Revocation))
	}
	w.next++
	id := w.next
	w.fns[id] = fn
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.fns, id)
	}
}

// tell calls the subscribers without the lock, so that they may subscribe and cancel.
func (w *watchers) tell(r Revocation) {
	w.mu.Lock()
	fns := slices.Collect(maps.Values(w.fns))
	w.mu.Unlock()
	for _, fn := range fns {
		fn(r)
	}
}
