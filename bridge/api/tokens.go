package api

import (
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// metadataBody is that of RFC 8414, section 2.
type metadataBody struct {
	Issuer               string   `json:"issuer"`
	TokenEndpoint        string   `json:"token_endpoint"`
	KeysURI              string   `json:"jwks_uri"`
	RevocationEndpoint   string   `json:"revocation_endpoint"`
	IntrospectEndpoint   string   `json:"introspection_endpoint"`
	Documentation        string   `json:"service_documentation"`
	Scopes               []string `json:"scopes_supported"`
	ResponseTypes        []string `json:"response_types_supported"`
	GrantTypes           []string `json:"grant_types_supported"`
	TokenAuthMethods     []string `json:"token_endpoint_auth_methods_supported"`
	RevokeAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectAuthMethod []string `json:"introspection_endpoint_auth_methods_supported"`
}

// getMetadata answers GET /.well-known/oauth-authorization-server (RFC 8414).
func (a *api) getMetadata(c *fiber.Ctx) error {
	methods := []string{"client_secret_basic", "client_secret_post"}
	body := metadataBody{
		Issuer: a.BaseURL, TokenEndpoint: a.BaseURL + "/oauth/token", KeysURI: a.BaseURL + "/.well-known/jwks.json",
		RevocationEndpoint: a.BaseURL + "/oauth/revoke", IntrospectEndpoint: a.BaseURL + "/oauth/introspect",
		Documentation: a.BaseURL + "/docs", ResponseTypes: []string{}, GrantTypes: []string{oauth.GrantTypeClientCredentials},
		TokenAuthMethods: methods, RevokeAuthMethods: methods, IntrospectAuthMethod: methods,
	}
	for _, s := range oauth.Scopes() {
		body.Scopes = append(body.Scopes, string(s.Scope))
	}
	return c.JSON(body)
}

// getKeys answers GET /.well-known/jwks.json (RFC 7517).
func (a *api) getKeys(c *fiber.Ctx) error {
	set, err := a.OAuth.JWKS(c.UserContext())
	if err != nil {
		return err
	}
	return c.JSON(set)
}

type scopeBody struct {
	ID          string `json:"id"`
	Description string `json:"description"`
	SelfURI     string `json:"selfUri"`
}

type scopesBody struct {
	Total    int         `json:"total"`
	Entities []scopeBody `json:"entities"`
	SelfURI  string      `json:"selfUri"`
}

// getScopes answers GET /api/v2/oauth/scopes.
func (a *api) getScopes(c *fiber.Ctx) error {
	const self = "/api/v2/oauth/scopes"
	known := oauth.Scopes()
	body := scopesBody{Total: len(known), Entities: make([]scopeBody, len(known)), SelfURI: self}
	for i, s := range known {
		body.Entities[i] = scopeBody{ID: string(s.Scope), Description: s.Description, SelfURI: self + "/" + string(s.Scope)}
	}
	return c.JSON(body)
}

type organizationBody struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// tokenInfoBody is the model TokenInfo of Genesys Cloud, capitals and all.
type tokenInfoBody struct {
	Organization     organizationBody `json:"organization"`
	HomeOrganization organizationBody `json:"homeOrganization"`
	AuthorizedScope  []string         `json:"authorizedScope"`
	OAuthClient      oauthClientBody  `json:"OAuthClient"`
}

type oauthClientBody struct {
	ID                  string           `json:"id"`
	Name                string           `json:"name"`
	AuthorizedGrantType string           `json:"authorizedGrantType"`
	Scope               []string         `json:"scope"`
	RoleDivisions       []string         `json:"roleDivisions"` // of the real service's permission model; always empty
	State               string           `json:"state"`
	Organization        organizationBody `json:"organization"`
}

// getTokensMe answers GET /api/v2/tokens/me.
func (a *api) getTokensMe(c *fiber.Ctx) error {
	ctx, p := c.UserContext(), principal(c)
	client, err := a.OAuth.Client(ctx, p.ClientID)
	if err != nil {
		return err
	}
	org := organizationBody{ID: p.OrgID}
	if a.Organisations != nil {
		known, err := a.Organisations.Organisation(ctx, conversations.OrgID(p.OrgID))
		if err != nil && cobridge.CodeOf(err) != cobridge.CodeNotFound {
			return err
		}
		org.Name = known.Name
	}
	return c.JSON(tokenInfoBody{
		Organization: org, HomeOrganization: org, AuthorizedScope: list(p.Scopes),
		OAuthClient: oauthClientBody{
			ID: client.ID, Name: client.Name, AuthorizedGrantType: "CLIENT-CREDENTIALS", Scope: list(client.Scopes),
			RoleDivisions: []string{}, State: string(client.State), Organization: org,
		},
	})
}

// headTokensMe answers HEAD /api/v2/tokens/me: that it is reached says it all.
func (a *api) headTokensMe(c *fiber.Ctx) error { return c.Status(fiber.StatusOK).Send(nil) }

// deleteTokensMe answers DELETE /api/v2/tokens/me.
func (a *api) deleteTokensMe(c *fiber.Ctx) error {
	if err := a.OAuth.RevokeToken(c.UserContext(), *principal(c)); err != nil {
		return err
	}
	return c.Status(fiber.StatusOK).Send(nil)
}

// list returns s, or an empty list for nil: arrays are never null on the wire.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
