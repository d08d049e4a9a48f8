package oauth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cobridge/cobridge"
)

// Principal is who calls: a client, known by the access token it showed.
type Principal struct {
	OrgID      string
	ClientID   string
	ClientName string
	Scopes     []string // shared with others; read only
	TokenID    string   // the token's jti
	Generation uint64   // of the client when the token was issued
	IssuedAt   time.Time
	ExpiresAt  time.Time // the token is dead from here on
}

// Require returns nil if the token satisfies the scope, else CodeMissingScope.
func (p Principal) Require(scope Scope) error { return Require(p.Scopes, scope) }

// Verify returns who the bearer of an access token is. A token that is not good in any
// way is CodeBadCredentials; another error is a failure of the store. A good signature is
// remembered; that the token has not expired and was not revoked, and that its client
// lives and is of the same generation, is looked up every time.
func (s *Service) Verify(ctx context.Context, raw string) (Principal, error) {
	token, err := s.parse(ctx, raw)
	if err != nil {
		return Principal{}, err
	}
	p := token.principal
	client, err := s.alive(ctx, p)
	if err != nil {
		return Principal{}, err
	}
	p.ClientName = client.Name
	return p, nil
}

// Alive returns nil if the token that p was verified from is still good, and fails as
// Verify does. It is for what outlives the request that it was opened with.
func (s *Service) Alive(ctx context.Context, p Principal) error {
	_, err := s.alive(ctx, p)
	return err
}

// alive looks up whether a token, whose signature was good, has not died since.
func (s *Service) alive(ctx context.Context, p Principal) (Client, error) {
	now := s.clock.Now()
	if !now.Before(p.ExpiresAt) {
		return Client{}, badCredentials(errExpired)
	}
	client, err := s.store.Client(ctx, p.ClientID)
	if err != nil {
		if cobridge.CodeOf(err) == cobridge.CodeNotFound {
			return Client{}, badCredentials(errClientState)
		}
		return Client{}, fmt.Errorf("verify access token: %w", err)
	}
	if client.State == StateDisabled || client.Generation != p.Generation || client.OrgID != p.OrgID {
		return Client{}, badCredentials(errClientState)
	}
	revoked, err := s.store.Revoked(ctx, p.TokenID, now)
	if err != nil {
		return Client{}, fmt.Errorf("verify access token: %w", err)
	}
	if revoked {
		return Client{}, badCredentials(errRevoked)
	}
	return client, nil
}

// parse returns what a token says that this installation signed. It does not answer for
// expiry and revocation. Errors are as with Verify.
func (s *Service) parse(ctx context.Context, raw string) (*signedToken, error) {
	if raw == "" || len(raw) > maxTokenLen {
		return nil, badCredentials(errMalformed)
	}
	var room [maxTokenLen]byte // on the stack, where a conversion of raw would allocate
	digest := tokenDigest(sha256.Sum256(room[:copy(room[:], raw)]))
	if token := s.cache.get(digest); token != nil {
		return token, nil
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return !tokenCharacter(r) }) {
		return nil, badCredentials(errMalformed) // base64 decoding skips line breaks, strict or not
	}
	var c claims
	var storeErr error
	_, err := s.parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) {
		key, err := s.keyOf(ctx, t)
		if err != nil {
			storeErr = err
			return nil, err
		}
		if key == nil {
			return nil, errKeyUnknown
		}
		return key.public, nil
	})
	if storeErr != nil {
		return nil, fmt.Errorf("verify access token: %w", storeErr)
	}
	if err != nil {
		return nil, badCredentials(refusal(err))
	}
	token := c.signed()
	s.cache.put(digest, token)
	return token, nil
}

// tokenCharacter is the alphabet of a compact JWS.
func tokenCharacter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

// keyOf returns the key that must have signed t, nil if there is none. The algorithm is
// the key's; the header has no say in it.
func (s *Service) keyOf(ctx context.Context, t *jwt.Token) (*signingKey, error) {
	typ, _ := t.Header["typ"].(string)
	id, _ := t.Header["kid"].(string)
	if _, critical := t.Header["crit"]; critical || typ != tokenType || id == "" {
		return nil, nil //nolint:nilnil // no key is an answer here, and not the store's failure
	}
	key, err := s.keys.forVerifying(ctx, id)
	if err != nil || key == nil || key.method.Alg() != t.Method.Alg() {
		return nil, err
	}
	return key, nil
}

// Introspection answers an introspection request (RFC 7662). Unless Active is true it
// says nothing.
type Introspection struct {
	Active    bool
	Principal Principal
	Issuer    string
	Audience  string
}

// Introspect tells caller, a client that was authenticated, about an access token of its
// own organisation. Every other token, good or not, is just not active. An error is a
// failure of the store.
func (s *Service) Introspect(ctx context.Context, caller Client, raw string) (Introspection, error) {
	p, err := s.Verify(ctx, raw)
	switch {
	case cobridge.CodeOf(err) == cobridge.CodeBadCredentials:
		return Introspection{}, nil
	case err != nil:
		return Introspection{}, fmt.Errorf("introspect: %w", err)
	case p.OrgID != caller.OrgID:
		return Introspection{}, nil
	}
	return Introspection{Active: true, Principal: p, Issuer: s.issuer, Audience: s.audience}, nil
}
