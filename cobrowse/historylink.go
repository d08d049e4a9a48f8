package cobrowse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// History links are told from join tokens by type and audience, and let nobody
// into a session.
const (
	historyTokenType     = "cobridge-history+jwt"
	historyTokenAudience = "cobridge:history"
)

// HistoryLink shows the history of one session to whoever has it, as often as
// wanted until it expires.
type HistoryLink struct {
	Raw       string // JWT: only characters that need no escaping in a URL
	ExpiresAt time.Time
}

// historyClaims are the claims of a history link.
type historyClaims struct {
	OrgID conversations.OrgID `json:"org"`
	jwt.RegisteredClaims
}

// HistoryLink signs a link to the history page of a session, which may be live.
// It expires like a join token. It fails with CodeNotFound.
func (s *Service) HistoryLink(ctx context.Context, org conversations.OrgID, id SessionID) (HistoryLink, error) {
	session, err := s.Get(ctx, org, id)
	if err != nil {
		return HistoryLink{}, err
	}
	link, err := s.tokens.issueHistory(session)
	if err != nil {
		return HistoryLink{}, fmt.Errorf("sign history link: %w", err)
	}
	return link, nil
}

// InspectHistory returns the session that a history link shows, live or ended. It
// fails with CodeJoinTokenInvalid or CodeJoinTokenExpired, or CodeNotFound when
// the record is past its retention.
func (s *Service) InspectHistory(ctx context.Context, raw string) (Session, error) {
	claims, err := s.tokens.verifyHistory(raw)
	if err != nil {
		return Session{}, err
	}
	return s.Get(ctx, claims.OrgID, SessionID(claims.Subject))
}

func (j *JoinTokens) issueHistory(s Session) (HistoryLink, error) {
	now := j.clock.Now()
	expires := now.Add(j.lifetime).Truncate(time.Second)
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, historyClaims{OrgID: s.OrgID, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: j.issuer, Audience: jwt.ClaimStrings{historyTokenAudience}, Subject: string(s.ID),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
	}})
	token.Header["typ"], token.Header["kid"] = historyTokenType, joinTokenKeyID
	raw, err := token.SignedString(j.key)
	if err != nil {
		return HistoryLink{}, err
	}
	return HistoryLink{Raw: raw, ExpiresAt: expires}, nil
}

func (j *JoinTokens) verifyHistory(raw string) (historyClaims, error) {
	invalid := &cobridge.Error{Code: cobridge.CodeJoinTokenInvalid, Message: "This is not a valid link to a history."}
	if len(raw) > joinTokenMaxSize || strings.ContainsAny(raw, "\r\n") {
		return historyClaims{}, invalid
	}
	var claims historyClaims
	token, err := j.historyParser.ParseWithClaims(raw, &claims, func(t *jwt.Token) (any, error) {
		if t.Header["typ"] != historyTokenType || t.Header["kid"] != joinTokenKeyID {
			return nil, jwt.ErrTokenUnverifiable
		}
		return j.key, nil
	})
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return historyClaims{}, invalid
	case errors.Is(err, jwt.ErrTokenExpired):
		return historyClaims{}, &cobridge.Error{Code: cobridge.CodeJoinTokenExpired, Message: "This link has expired; ask for a new one."}
	case err != nil || !token.Valid || claims.Subject == "" || claims.OrgID == "":
		return historyClaims{}, invalid
	}
	return claims, nil
}
