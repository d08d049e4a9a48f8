package oauth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cobridge/cobridge"
)

const (
	// tokenType is the "typ" that tells an access token from every other JWT that the
	// installation signs (RFC 9068, section 2.1).
	tokenType = "at+jwt"

	// maxTokenLen bounds what is hashed and decoded, in bytes. A token that names every
	// known scope has about 1 KB.
	maxTokenLen = 4096

	// issuedAtLeeway lets a token pass that was issued by an instance whose clock is a
	// little ahead. There is none for the expiry.
	issuedAtLeeway = 5 * time.Second
)

// Why a token is refused, for the log alone: fixed texts, since what a parser says
// quotes the token.
var (
	errMalformed   = errors.New("malformed")
	errKeyUnknown  = errors.New("unknown signing key")
	errSignature   = errors.New("wrong signature")
	errClaims      = errors.New("wrong issuer, audience, type or claims")
	errExpired     = errors.New("expired")
	errRevoked     = errors.New("revoked")
	errClientState = errors.New("client is unknown, disabled or of a later generation")
)

// claims is the payload of an access token, RFC 9068 with two claims of our own.
type claims struct {
	Issuer     string   `json:"iss"`
	Audience   audience `json:"aud"`
	Subject    string   `json:"sub"` // the client: there is no user
	ClientID   string   `json:"client_id"`
	OrgID      string   `json:"org"`
	Scope      string   `json:"scope"`
	TokenID    string   `json:"jti"`
	Generation uint64   `json:"gen"`
	IssuedAt   int64    `json:"iat"` // seconds since 1970
	ExpiresAt  int64    `json:"exp"`
}

// audience is one name or a list of them; we write one.
type audience []string

// MarshalJSON writes a single name as a string.
func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON reads both forms.
func (a *audience) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		*a = make([]string, 1)
		return json.Unmarshal(data, &(*a)[0])
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// GetIssuer implements jwt.Claims.
func (c *claims) GetIssuer() (string, error) { return c.Issuer, nil }

// GetSubject implements jwt.Claims.
func (c *claims) GetSubject() (string, error) { return c.Subject, nil }

// GetAudience implements jwt.Claims.
func (c *claims) GetAudience() (jwt.ClaimStrings, error) { return jwt.ClaimStrings(c.Audience), nil }

// GetIssuedAt implements jwt.Claims.
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error) { return numericDate(c.IssuedAt), nil }

// GetExpirationTime implements jwt.Claims.
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return numericDate(c.ExpiresAt), nil }

// GetNotBefore implements jwt.Claims; there is no such claim in our tokens.
func (c *claims) GetNotBefore() (*jwt.NumericDate, error) {
	return nil, nil //nolint:nilnil // how jwt.Claims says that a claim is absent
}

// numericDate takes 0 for an absent claim.
func numericDate(seconds int64) *jwt.NumericDate {
	if seconds == 0 {
		return nil
	}
	return jwt.NewNumericDate(time.Unix(seconds, 0))
}

// Validate is called by the parser after its own checks.
func (c *claims) Validate() error {
	if c.Subject == "" || c.ClientID != c.Subject || c.OrgID == "" || c.TokenID == "" || c.IssuedAt <= 0 || c.ExpiresAt <= c.IssuedAt {
		return errClaims
	}
	return nil
}

// sign returns the token in the compact form of RFC 7515.
func (c *claims) sign(key *signingKey) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	signingInput := key.header + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := key.method.Sign(signingInput, key.private)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return signingInput + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// signed returns what the claims vouch for.
func (c *claims) signed() *signedToken {
	return &signedToken{
		principal: Principal{
			OrgID:      c.OrgID,
			ClientID:   c.ClientID,
			Scopes:     strings.Fields(c.Scope),
			TokenID:    c.TokenID,
			Generation: c.Generation,
			IssuedAt:   time.Unix(c.IssuedAt, 0).UTC(),
			ExpiresAt:  time.Unix(c.ExpiresAt, 0).UTC(),
		},
	}
}

// newParser pins everything that the library leaves open unless told: without these
// options it takes any audience, no expiry and any HMAC.
func newParser(issuer, audience string, clock cobridge.Clock) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{string(EdDSA), string(RS256)}),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(issuedAtLeeway),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(clock.Now),
	)
}

// refusal turns the library's error into one of ours.
func refusal(err error) error {
	for _, r := range []struct{ library, ours error }{
		{errKeyUnknown, errKeyUnknown},
		{errClaims, errClaims},
		{jwt.ErrTokenExpired, errExpired},
		{jwt.ErrTokenInvalidClaims, errClaims},
		{jwt.ErrTokenSignatureInvalid, errSignature},
	} {
		if errors.Is(err, r.library) {
			return r.ours
		}
	}
	return errMalformed
}

// badCredentials is the one answer for every token that is not good.
func badCredentials(reason error) error {
	return &cobridge.Error{
		Code:    cobridge.CodeBadCredentials,
		Message: "The access token is unknown, expired or revoked.",
		Err:     reason,
	}
}
