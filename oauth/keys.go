package oauth

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cobridge/cobridge"
)

const (
	// keyRefresh is the greatest age of the key set that signs: within it every instance
	// has noticed that another one rotated the key.
	keyRefresh = time.Minute

	// keyRetention is how long a key verifies after a newer one was made: the longest
	// lifetime of a token, plus the time in which a late instance may have signed with the
	// old key, plus as much again for clocks that differ.
	keyRetention = MaxLifetime + 2*keyRefresh

	// unknownKeyInterval bounds how often tokens with unknown key ids, which anybody can
	// make up, cause a look into the store.
	unknownKeyInterval = time.Second

	rsaBits = 2048 // RFC 7518, section 3.3: at least 2048
)

// keySet is what was read from the store at one moment. It is never changed.
type keySet struct {
	signing  *signingKey
	byID     map[string]*signingKey
	ordered  []*signingKey // oldest first; the last one signs
	loadedAt time.Time
}

// signingKey is a stored key made ready for use.
type signingKey struct {
	id        string
	algorithm Algorithm
	method    jwt.SigningMethod
	private   crypto.Signer
	public    crypto.PublicKey
	header    string // encoded JOSE header of the tokens it signs, with the dot
	jwk       JWK
	createdAt time.Time
	until     time.Time // last moment at which it verifies; zero for the newest key
}

// verifies reports whether a token that k signed may still be good.
func (k *signingKey) verifies(at time.Time) bool {
	return k.until.IsZero() || at.Before(k.until)
}

// keyring keeps the current key set of one instance.
type keyring struct {
	store     Store
	clock     cobridge.Clock
	algorithm Algorithm

	current atomic.Pointer[keySet]

	mu        sync.Mutex // held while loading or rotating
	unknownAt time.Time  // guarded by mu: the last load that an unknown key id caused
}

// open loads the keys, and makes the first one when the newest is not of the configured
// algorithm or there is none. When two instances do so at the same moment both keys
// are kept, and both come to sign with the newer one.
func (r *keyring) open(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.load(ctx); err != nil {
		return err
	}
	if k := r.current.Load().signing; k != nil && k.algorithm == r.algorithm {
		return nil
	}
	_, err := r.add(ctx)
	return err
}

// forSigning returns the newest key, looking for a newer one when the set is old.
func (r *keyring) forSigning(ctx context.Context) (*signingKey, error) {
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	return r.current.Load().signing, nil
}

// refresh loads the keys if they were loaded longer ago than keyRefresh.
func (r *keyring) refresh(ctx context.Context) error {
	now := r.clock.Now()
	if now.Sub(r.current.Load().loadedAt) < keyRefresh {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.current.Load().loadedAt) < keyRefresh {
		return nil // somebody did it while we waited
	}
	return r.load(ctx)
}

// forVerifying returns the key with this id, nil if there is none that verifies now.
// The error is the store's.
func (r *keyring) forVerifying(ctx context.Context, id string) (*signingKey, error) {
	now := r.clock.Now()
	k := r.current.Load().byID[id]
	if k == nil {
		if err := r.loadUnknown(ctx, id, now); err != nil {
			return nil, err
		}
		k = r.current.Load().byID[id]
	}
	if k == nil || !k.verifies(now) {
		return nil, nil //nolint:nilnil // no key is an answer here, and not the store's failure
	}
	return k, nil
}

// loadUnknown loads the keys because id is not among them, unless that was tried a
// moment ago.
func (r *keyring) loadUnknown(ctx context.Context, id string, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current.Load().byID[id] != nil || (!r.unknownAt.IsZero() && now.Sub(r.unknownAt) < unknownKeyInterval) {
		return nil
	}
	r.unknownAt = now
	return r.load(ctx)
}

// rotate makes a new signing key and returns its id.
func (r *keyring) rotate(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.load(ctx); err != nil {
		return "", err
	}
	return r.add(ctx)
}

// rotateAged makes a new signing key if the newest is older than age.
func (r *keyring) rotateAged(ctx context.Context, age time.Duration) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.load(ctx); err != nil {
		return false, err
	}
	if r.clock.Now().Sub(r.current.Load().signing.createdAt) <= age {
		return false, nil
	}
	_, err := r.add(ctx)
	return err == nil, err
}

// purge deletes the keys that verify nothing any more.
func (r *keyring) purge(ctx context.Context) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.load(ctx); err != nil {
		return 0, err
	}
	var ids []string
	now := r.clock.Now()
	for _, k := range r.current.Load().ordered {
		if !k.verifies(now) {
			ids = append(ids, k.id)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if err := r.store.DeleteKeys(ctx, ids...); err != nil {
		return 0, fmt.Errorf("delete signing keys: %w", err)
	}
	return len(ids), r.load(ctx)
}

// add makes a key, stores it and takes it into use; mu is held and the set is fresh.
func (r *keyring) add(ctx context.Context) (string, error) {
	now := r.clock.Now()
	if k := r.current.Load().signing; k != nil && !now.After(k.createdAt) {
		now = k.createdAt.Add(time.Millisecond) // the newest signs, even when the clock went back
	}
	key, err := newKey(r.algorithm, now)
	if err != nil {
		return "", err
	}
	if err := r.store.AddKey(ctx, key); err != nil {
		return "", fmt.Errorf("add signing key: %w", err)
	}
	return key.ID, r.load(ctx)
}

// load reads the keys; mu is held.
func (r *keyring) load(ctx context.Context) error {
	stored, err := r.store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("load signing keys: %w", err)
	}
	set := &keySet{byID: make(map[string]*signingKey, len(stored)), loadedAt: r.clock.Now()}
	known := map[string]*signingKey{}
	if old := r.current.Load(); old != nil {
		known = old.byID
	}
	for _, s := range stored {
		var k signingKey
		if old := known[s.ID]; old != nil {
			k = *old // parsing an RSA key costs more than the whole rest
		} else if k, err = parseKey(s); err != nil {
			return fmt.Errorf("load signing keys: %w", err)
		}
		set.ordered = append(set.ordered, &k)
		set.byID[k.id] = &k
	}
	slices.SortFunc(set.ordered, func(a, b *signingKey) int {
		return cmp.Or(a.createdAt.Compare(b.createdAt), strings.Compare(a.id, b.id))
	})
	for i, k := range set.ordered {
		k.until = time.Time{}
		if i+1 < len(set.ordered) {
			k.until = set.ordered[i+1].createdAt.Add(keyRetention)
		} else {
			set.signing = k
		}
	}
	r.current.Store(set)
	return nil
}

// public returns what is published: every key that verifies now, the signing one first.
func (r *keyring) public() JWKSet {
	now := r.clock.Now()
	set := JWKSet{Keys: []JWK{}}
	for _, k := range slices.Backward(r.current.Load().ordered) {
		if k.verifies(now) {
			set.Keys = append(set.Keys, k.jwk)
		}
	}
	return set
}

// newKey generates a key. Only RS256 ever pays for an RSA one, which takes up to a second.
func newKey(algorithm Algorithm, now time.Time) (Key, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		err = fmt.Errorf("unknown algorithm %q", algorithm)
	}
	if err != nil {
		return Key{}, fmt.Errorf("generate signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, fmt.Errorf("encode signing key: %w", err)
	}
	jwk, err := newJWK(private.Public())
	if err != nil {
		return Key{}, err
	}
	return Key{ID: jwk.KeyID, Algorithm: algorithm, Private: der, CreatedAt: now}, nil
}

// parseKey makes a stored key ready for use. Its errors name the key and give nothing
// of it away.
func parseKey(stored Key) (signingKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(stored.Private)
	if err != nil {
		return signingKey{}, fmt.Errorf("%v cannot be read: %w", stored, err)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return signingKey{}, fmt.Errorf("%v cannot sign", stored)
	}
	jwk, err := newJWK(private.Public())
	if err != nil {
		return signingKey{}, err
	}
	if jwk.Algorithm != string(stored.Algorithm) || jwk.KeyID != stored.ID {
		return signingKey{}, fmt.Errorf("%v is not what its record says", stored)
	}
	method := jwt.GetSigningMethod(jwk.Algorithm)
	if method == nil {
		return signingKey{}, errors.New("signing method is not linked in: " + jwk.Algorithm)
	}
	header, err := json.Marshal(map[string]string{"alg": jwk.Algorithm, "kid": jwk.KeyID, "typ": tokenType})
	if err != nil {
		return signingKey{}, fmt.Errorf("encode token header: %w", err)
	}
	return signingKey{
		id:        stored.ID,
		algorithm: stored.Algorithm,
		method:    method,
		private:   private,
		public:    private.Public(),
		header:    base64.RawURLEncoding.EncodeToString(header) + ".",
		jwk:       jwk,
		createdAt: stored.CreatedAt,
	}, nil
}
