package oauth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cobridge/cobridge"
)

// GrantTypeClientCredentials is the one grant type that is served.
const GrantTypeClientCredentials = "client_credentials"

// maxScopeParam bounds the scope parameter in bytes; all known names together have fewer.
const maxScopeParam = 2048

// GrantRequest is a token request (RFC 6749, section 4.4.2), with the credentials
// wherever they came from.
type GrantRequest struct {
	ClientID     string
	ClientSecret string
	GrantType    string
	Scope        string // names separated by spaces; "" = all scopes of the client
}

// String leaves the secret out.
func (r GrantRequest) String() string { return "grant request of client " + r.ClientID }

// GoString leaves the secret out.
func (r GrantRequest) GoString() string { return r.String() }

// LogValue leaves the secret out.
func (r GrantRequest) LogValue() slog.Value { return slog.StringValue(r.String()) }

// AccessToken is a token that was issued.
type AccessToken struct {
	Raw       string        // what goes into the Authorization header; a secret
	ExpiresIn time.Duration // whole seconds
	Scope     string        // the granted scopes, separated by spaces
	TokenID   string        // its jti
	ClientID  string
	OrgID     string
}

// String leaves the token itself out.
func (t AccessToken) String() string { return "access token " + t.TokenID }

// GoString leaves the token itself out.
func (t AccessToken) GoString() string { return t.String() }

// LogValue leaves the token itself out.
func (t AccessToken) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Grant answers a token request. A refusal is an [*Error]; any other error is a failure
// of the store. A request without a grant type or with an overlong scope is
// invalid_request; credentials that are not good, and a disabled client, are
// invalid_client without a word on which; an inactive client is unauthorized_client; a
// scope that is unknown or that the client was not given is invalid_scope.
func (s *Service) Grant(ctx context.Context, req GrantRequest) (AccessToken, error) {
	switch {
	case req.GrantType == "":
		return AccessToken{}, &Error{CodeInvalidRequest, "grant_type is missing"}
	case len(req.Scope) > maxScopeParam:
		return AccessToken{}, &Error{CodeInvalidRequest, "scope is too long"}
	}
	client, err := s.authenticate(ctx, req.ClientID, req.ClientSecret)
	if err != nil {
		return AccessToken{}, err
	}
	if req.GrantType != GrantTypeClientCredentials {
		return AccessToken{}, &Error{CodeUnsupportedGrantType, "grant_type must be " + GrantTypeClientCredentials}
	}
	if client.State != StateActive {
		return AccessToken{}, &Error{CodeUnauthorizedClient, "the client may not get new tokens"}
	}
	scope, err := grantedScope(client.Scopes, req.Scope)
	if err != nil {
		return AccessToken{}, err
	}
	return s.issue(ctx, client, scope)
}

// Authenticate returns the client whose credentials these are, for the endpoints that a
// client calls as itself. Otherwise it fails with [*Error] invalid_client, in the same
// time whether the id is unknown or the secret is wrong; a disabled client is refused as
// well. Any other error is a failure of the store.
func (s *Service) Authenticate(ctx context.Context, id, secret string) (Client, error) {
	client, err := s.authenticate(ctx, id, secret)
	if err != nil {
		return Client{}, err
	}
	return client.Clone(), nil
}

// authenticate is Authenticate without the copy.
func (s *Service) authenticate(ctx context.Context, id, secret string) (Client, error) {
	client, err := s.store.Client(ctx, id)
	known := err == nil
	if !known {
		if cobridge.CodeOf(err) != cobridge.CodeNotFound {
			return Client{}, fmt.Errorf("authenticate client: %w", err)
		}
		client = Client{}
	}
	if matches := s.secretMatches(client.Secrets, secret); !matches || !known || client.State == StateDisabled {
		return Client{}, &Error{CodeInvalidClient, "authentication failed"}
	}
	return client, nil
}

// secretMatches reports whether secret is a live one of the client's. It compares
// maxSecrets times for every client, the unknown one without secrets included.
func (s *Service) secretMatches(secrets []SecretHash, secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	now := s.clock.Now()
	matched := 0
	for i := range maxSecrets {
		hash, live := s.decoy, 0
		if i < len(secrets) {
			hash = secrets[i].Hash
			if secrets[i].live(now) {
				live = 1
			}
		}
		matched |= s.compare(hash[:], sum[:]) & live
	}
	return matched == 1
}

// grantedScope returns the scopes of the new token: all that the client has, or the
// requested ones if the client's satisfy every one of them.
func grantedScope(has []string, requested string) (string, error) {
	if strings.TrimSpace(requested) == "" {
		return strings.Join(has, " "), nil
	}
	var scopes []string
	for name := range strings.FieldsSeq(requested) {
		if !Scope(name).Known() || !Satisfies(has, Scope(name)) {
			return "", &Error{CodeInvalidScope, "a requested scope is unknown or was not given to the client"}
		}
		if !slices.Contains(scopes, name) {
			scopes = append(scopes, name)
		}
	}
	return strings.Join(scopes, " "), nil
}

// issue makes a token for a client that was found worthy.
func (s *Service) issue(ctx context.Context, client Client, scope string) (AccessToken, error) {
	key, err := s.keys.forSigning(ctx)
	if err != nil {
		return AccessToken{}, fmt.Errorf("issue access token: %w", err)
	}
	now := s.clock.Now()
	c := claims{
		Issuer:     s.issuer,
		Audience:   audience{s.audience},
		Subject:    client.ID,
		ClientID:   client.ID,
		OrgID:      client.OrgID,
		Scope:      scope,
		TokenID:    uuid.NewString(),
		Generation: client.Generation,
		// Whole seconds, rounded so that the token lives no shorter than it was told.
		IssuedAt:  now.Unix(),
		ExpiresAt: now.Add(client.Lifetime + time.Second - time.Millisecond).Unix(),
	}
	raw, err := c.sign(key)
	if err != nil {
		return AccessToken{}, fmt.Errorf("issue access token: %w", err)
	}
	return AccessToken{
		Raw: raw, ExpiresIn: client.Lifetime, Scope: scope,
		TokenID: c.TokenID, ClientID: client.ID, OrgID: client.OrgID,
	}, nil
}
