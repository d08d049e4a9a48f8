package client

import (
	"context"
	"net/http"
)

// TokenInfo tells whose access token is used and what it may do.
type TokenInfo struct {
	Organization     Organization `json:"organization"`
	HomeOrganization Organization `json:"homeOrganization"`
	AuthorizedScope  []string     `json:"authorizedScope"`
	OAuthClient      OAuthClient  `json:"OAuthClient"` // with a capital O, as the real service writes it
}

// Organization names an organisation.
type Organization struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// OAuthClient is the client that a token was issued to.
type OAuthClient struct {
	ID                  string       `json:"id"`
	Name                string       `json:"name"`
	AuthorizedGrantType string       `json:"authorizedGrantType"` // CLIENT-CREDENTIALS
	Scope               []string     `json:"scope"`
	State               string       `json:"state"` // active, inactive or disabled
	Organization        Organization `json:"organization"`
}

const tokensMePath = "/api/v2/tokens/me"

// TokenInfo returns what the service knows of the access token in use.
func (c *Client) TokenInfo(ctx context.Context) (TokenInfo, error) {
	var info TokenInfo
	_, err := c.do(ctx, call{method: http.MethodGet, path: tokensMePath, into: &info})
	return info, err
}

// CheckToken asks whether the credentials work; it fails with an [*Error] of
// status 401 if they do not.
func (c *Client) CheckToken(ctx context.Context) error {
	_, err := c.do(ctx, call{method: http.MethodHead, path: tokensMePath})
	return err
}

// RevokeToken gives the access token back: it is dead at once, for every copy of
// it. The next call gets a new one.
func (c *Client) RevokeToken(ctx context.Context) error {
	if _, err := c.do(ctx, call{method: http.MethodDelete, path: tokensMePath}); err != nil {
		return err
	}
	return c.bearer.forget(ctx)
}
