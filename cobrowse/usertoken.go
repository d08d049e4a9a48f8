package cobrowse

import (
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cobridge/cobridge/conversations"
)

// User tokens are told from every other JWT of the installation by type and audience.
const (
	userTokenType     = "cobridge-user+jwt"
	userTokenAudience = "cobridge:user"
	userTokenKeyID    = "user-1"
)

// userClaims are what a user token says: this user of this session. It proves that
// for as long as the session is remembered.
type userClaims struct {
	OrgID     conversations.OrgID `json:"org"`
	SessionID SessionID           `json:"sid"`
	jwt.RegisteredClaims
}

// userToken signs the token with which a user of the old world names itself. It is
// good for the given time, and stands in paths: it has only characters that need no
// escaping.
func (j *JoinTokens) userToken(s Session, p Participant, lifetime time.Duration) (string, error) {
	now := j.clock.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, userClaims{
		OrgID: s.OrgID, SessionID: s.ID,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: j.issuer, Audience: jwt.ClaimStrings{userTokenAudience}, Subject: string(p.ID),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(lifetime)),
		},
	})
	token.Header["typ"], token.Header["kid"] = userTokenType, userTokenKeyID
	return token.SignedString(j.key)
}

// verifyUser returns what a user token says, and whether it is a good one.
func (j *JoinTokens) verifyUser(raw string) (userClaims, bool) {
	var claims userClaims
	if len(raw) > joinTokenMaxSize {
		return claims, false
	}
	token, err := j.userParser.ParseWithClaims(raw, &claims, func(t *jwt.Token) (any, error) {
		if t.Header["typ"] != userTokenType || t.Header["kid"] != userTokenKeyID {
			return nil, jwt.ErrTokenUnverifiable
		}
		return j.key, nil
	})
	return claims, err == nil && token.Valid && claims.SessionID != "" && claims.Subject != "" && claims.OrgID != ""
}
