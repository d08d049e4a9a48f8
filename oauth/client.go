package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/cobridge/cobridge"
)

// Bounds of what a client may have. The lifetimes are those of accessTokenValiditySeconds
// at Genesys Cloud (https://developer.genesys.cloud/authorization/platform-auth/).
const (
	MinLifetime     = 300 * time.Second
	MaxLifetime     = 172800 * time.Second
	DefaultLifetime = 86400 * time.Second

	// MaxOverlap bounds for how long a replaced secret may go on working.
	MaxOverlap = 30 * 24 * time.Hour

	maxIDLen     = 128 // bytes; ours are UUIDs of 36
	maxNameLen   = 200 // characters
	minSecretLen = 16  // characters of a given secret; ours have 43
	maxSecretLen = 256 // characters; bounds what an unauthenticated caller makes us hash
	maxSecrets   = 2   // the current one and the one it replaced
)

// State says what a client may do.
type State string

// The states of a client, as in TokenInfo of Genesys Cloud.
const (
	StateActive   State = "active"
	StateInactive State = "inactive" // gets no new tokens; those it has stay good
	StateDisabled State = "disabled" // gets no new tokens, and those it had are dead for ever
)

// Client is an application that may ask for access tokens. It is a value, stored as
// JSON under its Go field names. Its slices are replaced, never changed in place.
type Client struct {
	ID         string // a UUID, or 1..128 of A-Z a-z 0-9 . _ ~ -
	OrgID      string // the organisation that it belongs to; never changes
	Name       string // 1..200 characters
	Scopes     []string
	Lifetime   time.Duration // of its access tokens: MinLifetime..MaxLifetime, whole seconds
	State      State
	Generation uint64       // stands in every token; a token of another generation is dead
	Secrets    []SecretHash // at most two, the current one last
	CreatedAt  time.Time    // UTC
}

// SecretHash is what is kept of a secret. Why SHA-256 is enough for secrets of 256
// random bits: docs/adr/0002-fast-hash-for-client-secrets.md.
type SecretHash struct {
	Hash      [sha256.Size]byte
	CreatedAt time.Time // UTC
	ExpiresAt time.Time // UTC; zero = it does not expire
}

// live reports whether the secret may be used at the time given.
func (h SecretHash) live(at time.Time) bool {
	return h.ExpiresAt.IsZero() || at.Before(h.ExpiresAt)
}

// NewSecret returns a new client secret: 256 random bits as 43 base64url characters.
func NewSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ClientSpec says how a new client shall be.
type ClientSpec struct {
	ID       string // "" = a new UUID
	OrgID    string // required
	Name     string // required, 1..200 characters
	Scopes   []string
	Lifetime time.Duration // 0 = DefaultLifetime

	// Secret is meant for demonstrations and tests, where the credentials must be known
	// beforehand: 16..256 printable ASCII characters, no space. "" = a new random one, which is the
	// only kind that the fast hash protects.
	Secret string
}

// NewClient returns an active client as specified, created at now, together with its
// secret, which exists nowhere else afterwards. A spec that breaks rules fails with
// CodeConstraintValidation and one detail for each problem.
func NewClient(spec ClientSpec, now time.Time) (Client, string, error) {
	c := Client{
		ID:         spec.ID,
		OrgID:      spec.OrgID,
		Name:       strings.TrimSpace(spec.Name),
		Scopes:     slices.Clone(spec.Scopes),
		Lifetime:   spec.Lifetime,
		State:      StateActive,
		Generation: firstGeneration(),
		CreatedAt:  now,
	}
	if c.ID == "" {
		c.ID = uuid.NewString()
	}
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	found := c.problems()
	secret := spec.Secret
	switch {
	case secret == "":
		secret = NewSecret()
	case len(secret) < minSecretLen || len(secret) > maxSecretLen || !printableASCII(secret):
		found = append(found, problem{"secret", "must be 16 to 256 printable ASCII characters without spaces"})
	}
	if err := invalidClient(found); err != nil {
		return Client{}, "", err
	}
	c.Secrets = []SecretHash{{Hash: sha256.Sum256([]byte(secret)), CreatedAt: now}}
	return c, secret, nil
}

// firstGeneration is random, so that a client that was deleted and made again under
// its old id does not bring the tokens of its former life back. It leaves room to count
// and stays below 2^53, the integers that every JSON reader can hold.
func firstGeneration() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	return binary.BigEndian.Uint64(b[:])>>12 + 1
}

// Clone returns a deep copy.
func (c Client) Clone() Client {
	c.Scopes = slices.Clone(c.Scopes)
	c.Secrets = slices.Clone(c.Secrets)
	return c
}

// Rotate gives c a new secret and returns it. The one that was current until now goes
// on working for the overlap, 0..MaxOverlap; an older one ends at once. Tokens are not
// touched: use KillTokens too when the old secret may be in wrong hands. An overlap out
// of range fails with CodeConstraintValidation.
func (c *Client) Rotate(overlap time.Duration, now time.Time) (string, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return "", invalidClient([]problem{{"overlap", "must be between 0 and 30 days"}})
	}
	var secrets []SecretHash
	if n := len(c.Secrets); n > 0 && overlap > 0 && c.Secrets[n-1].live(now) {
		old := c.Secrets[n-1]
		old.ExpiresAt = now.Add(overlap)
		secrets = append(secrets, old)
	}
	secret := NewSecret()
	secrets = append(secrets, SecretHash{Hash: sha256.Sum256([]byte(secret)), CreatedAt: now})
	c.Secrets = secrets
	return secret, nil
}

// KillTokens makes every access token that c has been given so far invalid.
func (c *Client) KillTokens() { c.Generation++ }

// SetState changes the state. Disabling kills the tokens, so they stay dead when the
// client is enabled again. An unknown state fails with CodeConstraintValidation.
func (c *Client) SetState(state State) error {
	if !state.known() {
		return invalidClient([]problem{{"state", "must be active, inactive or disabled"}})
	}
	if state == StateDisabled && c.State != StateDisabled {
		c.KillTokens()
	}
	c.State = state
	return nil
}

func (s State) known() bool {
	return s == StateActive || s == StateInactive || s == StateDisabled
}

// problems returns what breaks the rules in c, one detail each.
func (c *Client) problems() []problem {
	var found []problem
	if c.ID == "" || len(c.ID) > maxIDLen || strings.ContainsFunc(c.ID, func(r rune) bool { return !unreserved(r) }) {
		found = append(found, problem{"id", "must be 1 to 128 of A-Z a-z 0-9 . _ ~ -"})
	}
	if c.OrgID == "" || len(c.OrgID) > maxIDLen {
		found = append(found, problem{"orgId", "must be 1 to 128 bytes"})
	}
	if n := utf8.RuneCountInString(c.Name); n == 0 || n > maxNameLen || !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, unicode.IsControl) {
		found = append(found, problem{"name", "must be 1 to 200 characters without control characters"})
	}
	for i, scope := range c.Scopes {
		field := fmt.Sprintf("scopes[%d]", i)
		switch {
		case !Scope(scope).Known():
			found = append(found, problem{field, "is not a known scope"})
		case slices.Contains(c.Scopes[:i], scope):
			found = append(found, problem{field, "stands in the list twice"})
		}
	}
	if c.Lifetime < MinLifetime || c.Lifetime > MaxLifetime || c.Lifetime%time.Second != 0 {
		found = append(found, problem{"lifetime", "must be 300 to 172800 whole seconds"})
	}
	if !c.State.known() {
		found = append(found, problem{"state", "must be active, inactive or disabled"})
	}
	return found
}

// unreserved is the alphabet of RFC 3986, section 2.3: it needs no encoding in a URL, a
// form or a Basic header, which RFC 6749 would have form-encoded and most clients do not.
func unreserved(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._~-", r)
}

func printableASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// problem is one broken rule: the field's name, and what it must be.
type problem struct{ field, rule string }

// invalidClient makes one CodeConstraintValidation of the problems, nil of none.
func invalidClient(problems []problem) error {
	if len(problems) == 0 {
		return nil
	}
	details := make([]cobridge.Detail, len(problems))
	texts := make([]string, len(problems))
	for i, p := range problems {
		details[i] = cobridge.Detail{ErrorCode: string(cobridge.CodeConstraintValidation), FieldName: p.field, EntityName: "oauthClient"}
		texts[i] = p.field + " " + p.rule
	}
	return &cobridge.Error{
		Code:    cobridge.CodeConstraintValidation,
		Message: "The OAuth client is not valid: " + strings.Join(texts, "; ") + ".",
		Details: details,
	}
}
