package cobrowse

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// Join tokens are told from every other JWT of the installation by type and audience.
const (
	joinTokenType     = "cobridge-join+jwt"
	joinTokenAudience = "cobridge:join"
	joinTokenKeyID    = "join-1"
	joinTokenMaxLife  = 15 * time.Minute
	joinTokenMaxSize  = 2048 // bytes; ours have about 500
)

// JoinToken lets one participant into one session, once.
type JoinToken struct {
	Raw           string // JWT: only characters that need no escaping in a URL
	SessionID     SessionID
	ParticipantID ParticipantID
	ExpiresAt     time.Time
}

// JoinTokens signs and verifies join tokens. It may be used concurrently.
type JoinTokens struct {
	key      []byte
	header   string // of each join token, encoded, and the point behind it
	issuer   string
	lifetime time.Duration
	clock    cobridge.Clock
	parser   *jwt.Parser

	historyParser *jwt.Parser // of history links
	userParser    *jwt.Parser // of user tokens
}

// joinClaims are the claims of a join token.
type joinClaims struct {
	OrgID     conversations.OrgID `json:"org"`
	SessionID SessionID           `json:"sid"`
	Role      Role                `json:"role"`
	// Invitation is left out for the first one.
	Invitation uint64 `json:"inv,omitempty"`
	// First makes a token good only as long as nobody has come as its participant.
	First bool `json:"first,omitempty"`
	jwt.RegisteredClaims
}

// NewJoinTokens returns a signer with HMAC-SHA-256: nobody but this installation
// verifies join tokens. The key has at least 32 bytes; the lifetime is cut to 15 minutes.
func NewJoinTokens(key []byte, issuer string, lifetime time.Duration, clock cobridge.Clock) *JoinTokens {
	parser := func(audience string) *jwt.Parser {
		return jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
			jwt.WithExpirationRequired(), jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return clock.Now() }),
		)
	}
	return &JoinTokens{
		key: key, header: base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"`+joinTokenKeyID+`","typ":"`+joinTokenType+`"}`)) + ".", issuer: issuer, lifetime: min(lifetime, joinTokenMaxLife), clock: clock,
		parser: parser(joinTokenAudience), historyParser: parser(historyTokenAudience), userParser: parser(userTokenAudience),
	}
}

// issue signs a token for one participant.
func (j *JoinTokens) issue(s Session, p Participant) (JoinToken, error) {
	return j.sign(s, p, false)
}

// issueFirst signs a token that is worth nothing once somebody has come as p:
// whoever got it beforehand cannot take that place away.
func (j *JoinTokens) issueFirst(s Session, p Participant) (JoinToken, error) {
	return j.sign(s, p, true)
}

// signedClaims are joinClaims to be encoded. A create signs several tokens, and the
// types of the library take twice as long for it.
type signedClaims struct {
	OrgID      conversations.OrgID `json:"org"`
	SessionID  SessionID           `json:"sid"`
	Role       Role                `json:"role"`
	Invitation uint64              `json:"inv,omitempty"`
	First      bool                `json:"first,omitempty"`
	Issuer     string              `json:"iss"`
	Subject    ParticipantID       `json:"sub"`
	Audience   [1]string           `json:"aud"`
	ExpiresAt  int64               `json:"exp"`
	IssuedAt   int64               `json:"iat"`
	ID         string              `json:"jti"`
}

func (j *JoinTokens) sign(s Session, p Participant, first bool) (JoinToken, error) {
	now := j.clock.Now()
	expires := now.Add(j.lifetime).Truncate(time.Second) // a JWT counts whole seconds
	claims, err := json.Marshal(signedClaims{
		OrgID: s.OrgID, SessionID: s.ID, Role: p.Role, Invitation: p.Invitation, First: first, Issuer: j.issuer, Subject: p.ID,
		Audience: [1]string{joinTokenAudience}, ExpiresAt: expires.Unix(), IssuedAt: now.Unix(), ID: uuid.NewString(),
	})
	if err != nil {
		return JoinToken{}, err
	}
	const usual = 640 // bytes of a token
	text := base64.RawURLEncoding.AppendEncode(append(make([]byte, 0, usual), j.header...), claims)
	mac := hmac.New(sha256.New, j.key)
	mac.Write(text)
	text = base64.RawURLEncoding.AppendEncode(append(text, '.'), mac.Sum(nil))
	return JoinToken{Raw: string(text), SessionID: s.ID, ParticipantID: p.ID, ExpiresAt: expires}, nil
}

// verify checks everything that the token itself tells. It fails with
// CodeJoinTokenExpired or CodeJoinTokenInvalid and does not say more.
func (j *JoinTokens) verify(raw string) (joinClaims, error) {
	invalid := &cobridge.Error{Code: cobridge.CodeJoinTokenInvalid, Message: "This is not a valid join token."}
	// The decoder below skips line breaks, and nothing else than what we sign is ours.
	if len(raw) > joinTokenMaxSize || strings.ContainsAny(raw, "\r\n") {
		return joinClaims{}, invalid
	}
	var claims joinClaims
	token, err := j.parser.ParseWithClaims(raw, &claims, func(t *jwt.Token) (any, error) {
		if t.Header["typ"] != joinTokenType || t.Header["kid"] != joinTokenKeyID {
			return nil, jwt.ErrTokenUnverifiable
		}
		return j.key, nil
	})
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return joinClaims{}, invalid
	case errors.Is(err, jwt.ErrTokenExpired):
		return joinClaims{}, &cobridge.Error{Code: cobridge.CodeJoinTokenExpired, Message: "This join token has expired; ask for a new one."}
	case err != nil || !token.Valid || claims.ID == "" || claims.SessionID == "" || claims.Subject == "" || claims.OrgID == "":
		return joinClaims{}, invalid
	}
	return claims, nil
}
