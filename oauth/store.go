package oauth

import (
	"context"
	"log/slog"
	"time"
)

// Store keeps clients, signing keys and revocations. An engine implements it and may
// be called concurrently. Every method that changes something has done so durably
// when it returns nil, and has changed nothing when it returns an error that carries a
// code of this documentation. Expiry is judged by the times given, never by the
// engine's own clock.
//
// Client and Revoked run on every request of the service: an engine answers them from
// memory. No method interprets what it stores.
type Store interface {
	// Client returns the client with this id; CodeNotFound if there is none. For the
	// sake of the hot path the slices of the answer may be shared with the engine and
	// with other callers: nobody changes them, neither the caller nor the engine (a
	// later UpdateClient works on a copy).
	Client(ctx context.Context, id string) (Client, error)

	// Clients returns the clients of one organisation, or of all for orgID "", ordered
	// by id. The answer may be empty. Slices are shared as with Client.
	Clients(ctx context.Context, orgID string) ([]Client, error)

	// CreateClient saves c, or fails with CodeConflict if a client with its id exists.
	// Check and write are one atomic step.
	CreateClient(ctx context.Context, c Client) error

	// UpdateClient applies fn to the client in one atomic step: no other change of the
	// same client falls between what fn saw and what is written. fn gets a deep copy,
	// may run more than once (what its last run leaves is what is written) and so has no
	// side effect that a second run would spoil; it changes neither ID nor OrgID. An error of fn is returned as it is and nothing
	// is written. CodeNotFound if there is no such client.
	UpdateClient(ctx context.Context, id string, fn func(*Client) error) error

	// DeleteClient removes the client, or fails with CodeNotFound.
	DeleteClient(ctx context.Context, id string) error

	// Keys returns all signing keys in any order; none is not an error.
	Keys(ctx context.Context) ([]Key, error)

	// AddKey saves k, or fails with CodeConflict if a key with its id exists.
	AddKey(ctx context.Context, k Key) error

	// DeleteKeys removes the keys with these ids in one step. Unknown ids are ignored.
	DeleteKeys(ctx context.Context, ids ...string) error

	// Revoke records that the access token with this jti is dead. The engine may forget
	// it once until has passed. Revoking twice succeeds and keeps the later until.
	Revoke(ctx context.Context, jti string, until time.Time) error

	// Revoked reports whether jti was revoked with an until after at.
	Revoked(ctx context.Context, jti string, at time.Time) (bool, error)

	// PurgeRevocations removes at most limit revocations whose until is not after
	// before, and returns how many it removed. It never removes another.
	PurgeRevocations(ctx context.Context, before time.Time, limit int) (int, error)
}

// Algorithm names how access tokens are signed, as a JWS "alg" value (RFC 7518, RFC 8037).
type Algorithm string

// The algorithms that can be configured.
const (
	EdDSA Algorithm = "EdDSA" // Ed25519; the default
	RS256 Algorithm = "RS256" // RSA 2048; for verifiers that know nothing newer. Signs about forty times slower
)

// Key is one signing key as it is stored. The newest key signs; older ones go on
// verifying until the last token they can have signed has expired.
type Key struct {
	ID        string // the "kid": the key's RFC 7638 thumbprint
	Algorithm Algorithm
	Private   []byte    // PKCS #8, DER; a secret
	CreatedAt time.Time // UTC; the newest key signs
}

// String returns the key's id alone, so that a key in a message gives nothing away.
func (k Key) String() string { return "key " + k.ID }

// GoString does for %#v what String does for %v.
func (k Key) GoString() string { return k.String() }

// LogValue keeps the private part out of logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
