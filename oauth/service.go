package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cobridge/cobridge"
)

const defaultCacheSize = 8192

// purgeBatch is how many revocations go in one transaction, so that others get their turn.
const purgeBatch = 500

// Config is what a [Service] is built from.
type Config struct {
	Store     Store          // required
	Clock     cobridge.Clock // required
	Issuer    string         // "iss" of the access tokens; required
	Audience  string         // "aud" of the access tokens; required
	Algorithm Algorithm      // of keys made from now on; "" = EdDSA
	CacheSize int            // remembered signatures, about 0.5 KB each; 0 = 8192, at least 2
}

// Service issues, verifies and revokes access tokens and administers clients. It may be
// used concurrently. Several Services, in one process or in many, may share a Store.
type Service struct {
	store    Store
	clock    cobridge.Clock
	issuer   string
	audience string
	parser   *jwt.Parser
	keys     *keyring
	cache    *tokenCache
	watchers watchers

	// compare is subtle.ConstantTimeCompare; a test counts its calls.
	compare func(x, y []byte) int
	// decoy is compared where a client has no secret to compare with.
	decoy [sha256.Size]byte
}

// New returns a Service, having made the first signing key if the store has none of the
// configured algorithm. All problems of cfg are reported together.
func New(ctx context.Context, cfg Config) (*Service, error) {
	var problems []error
	for _, p := range []struct {
		bad  bool
		text string
	}{
		{cfg.Store == nil, "store is missing"},
		{cfg.Clock == nil, "clock is missing"},
		{cfg.Issuer == "", "issuer is missing"},
		{cfg.Audience == "", "audience is missing"},
		{cfg.Algorithm != "" && cfg.Algorithm != EdDSA && cfg.Algorithm != RS256, "algorithm is neither EdDSA nor RS256"},
		{cfg.CacheSize != 0 && cfg.CacheSize < 2, "cache size is less than 2"},
	} {
		if p.bad {
			problems = append(problems, errors.New(p.text))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("configure oauth: %w", err)
	}
	if cfg.Algorithm == "" {
		cfg.Algorithm = EdDSA
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = defaultCacheSize
	}
	s := &Service{
		store:    cfg.Store,
		clock:    cfg.Clock,
		issuer:   cfg.Issuer,
		audience: cfg.Audience,
		keys:     &keyring{store: cfg.Store, clock: cfg.Clock, algorithm: cfg.Algorithm},
		cache:    newTokenCache(cfg.CacheSize),
		compare:  subtle.ConstantTimeCompare,
	}
	s.parser = newParser(cfg.Issuer, cfg.Audience, cfg.Clock)
	_, _ = rand.Read(s.decoy[:]) // never fails: it ends the process instead
	if err := s.keys.open(ctx); err != nil {
		return nil, fmt.Errorf("open oauth: %w", err)
	}
	return s, nil
}

// RotateKey makes a new signing key, takes it into use and returns its key id. The old
// ones stay in the JWKS and verify until the last token that they can have signed has
// expired. Other instances sign with the new key within a minute and verify with it at
// once.
func (s *Service) RotateKey(ctx context.Context) (string, error) {
	id, err := s.keys.rotate(ctx)
	if err != nil {
		return "", fmt.Errorf("rotate signing key: %w", err)
	}
	return id, nil
}

// RotateAgedKey rotates the signing key if it was made longer ago than age, and
// reports whether it did. Several instances may call it: a key that another has
// just made is young.
func (s *Service) RotateAgedKey(ctx context.Context, age time.Duration) (bool, error) {
	rotated, err := s.keys.rotateAged(ctx, age)
	if err != nil {
		return false, fmt.Errorf("rotate aged signing key: %w", err)
	}
	return rotated, nil
}

// JWKS returns the public keys that verify access tokens (RFC 7517), the signing one first.
func (s *Service) JWKS(ctx context.Context) (JWKSet, error) {
	if err := s.keys.refresh(ctx); err != nil {
		return JWKSet{}, err
	}
	return s.keys.public(), nil
}

// Purge forgets what can make no difference any more: revocations of expired tokens and
// keys of which no token lives. It returns how many of both it removed. Call it now and
// then; nothing goes wrong without.
func (s *Service) Purge(ctx context.Context) (int, error) {
	removed, err := s.keys.purge(ctx)
	if err != nil {
		return removed, fmt.Errorf("purge: %w", err)
	}
	// An instance whose clock is behind ours may still take the token for a live one.
	before := s.clock.Now().Add(-keyRefresh)
	for {
		n, err := s.store.PurgeRevocations(ctx, before, purgeBatch)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("purge revocations: %w", err)
		}
		if n < purgeBatch {
			return removed, nil
		}
	}
}
