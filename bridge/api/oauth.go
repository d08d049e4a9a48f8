package api

import (
	"errors"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/oauth"
)

// maxForm bounds a form at the OAuth endpoints, in bytes: an access token of two
// kilobytes and credentials fit several times over.
const maxForm = 16 << 10

// tokenBody is the answer of RFC 6749, section 5.1.
type tokenBody struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope,omitempty"`
}

// createToken answers POST /oauth/token: exactly 200, because the Go SDK of
// Genesys Cloud takes every other status for a failure.
func (a *api) createToken(c *fiber.Ctx) error {
	form, err := readForm(c)
	if err != nil {
		return err
	}
	tries, err := credentialsOf(c, form)
	if err != nil {
		return err
	}
	var token oauth.AccessToken
	err = a.tryCredentials(c, tries, func(id, secret string) (err error) {
		token, err = a.OAuth.Grant(c.UserContext(), oauth.GrantRequest{
			ClientID: id, ClientSecret: secret, GrantType: form.Get("grant_type"), Scope: form.Get("scope"),
		})
		return err
	})
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderPragma, "no-cache")
	return c.JSON(tokenBody{
		AccessToken: token.Raw, TokenType: "bearer", ExpiresIn: int64(token.ExpiresIn / time.Second), Scope: token.Scope,
	})
}

// revokeToken answers POST /oauth/revoke (RFC 7009).
func (a *api) revokeToken(c *fiber.Ctx) error {
	raw, caller, err := a.aboutToken(c)
	if err != nil {
		return err
	}
	if err := a.OAuth.Revoke(c.UserContext(), caller, raw); err != nil {
		return refused(err)
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderPragma, "no-cache")
	return c.Status(fiber.StatusOK).Send(nil)
}

// introspectionBody is the answer of RFC 7662, section 2.2.
type introspectionBody struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	ExpiresAt int64  `json:"exp,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	TokenID   string `json:"jti,omitempty"`
	Org       string `json:"org,omitempty"`
}

// introspectToken answers POST /oauth/introspect (RFC 7662).
func (a *api) introspectToken(c *fiber.Ctx) error {
	raw, caller, err := a.aboutToken(c)
	if err != nil {
		return err
	}
	found, err := a.OAuth.Introspect(c.UserContext(), caller, raw)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderPragma, "no-cache")
	if !found.Active {
		return c.JSON(introspectionBody{})
	}
	p := found.Principal
	return c.JSON(introspectionBody{
		Active: true, Scope: strings.Join(p.Scopes, " "), ClientID: p.ClientID, TokenType: "bearer", ExpiresAt: p.ExpiresAt.Unix(),
		IssuedAt: p.IssuedAt.Unix(), Subject: p.ClientID, Audience: found.Audience, Issuer: found.Issuer, TokenID: p.TokenID, Org: p.OrgID,
	})
}

// aboutToken reads a request about a token from a client that shows its credentials.
func (a *api) aboutToken(c *fiber.Ctx) (string, oauth.Client, error) {
	form, err := readForm(c)
	if err != nil {
		return "", oauth.Client{}, err
	}
	tries, err := credentialsOf(c, form)
	if err != nil {
		return "", oauth.Client{}, err
	}
	var caller oauth.Client
	err = a.tryCredentials(c, tries, func(id, secret string) (err error) {
		caller, err = a.OAuth.Authenticate(c.UserContext(), id, secret)
		return err
	})
	if err != nil {
		return "", oauth.Client{}, err
	}
	raw := form.Get("token")
	if raw == "" {
		return "", oauth.Client{}, invalidRequest("token is missing")
	}
	return raw, caller, nil
}

// readForm reads the body. RFC 6749, section 3.2, allows no parameter twice.
func readForm(c *fiber.Ctx) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err != nil || kind != fiber.MIMEApplicationForm {
		return nil, invalidRequest("the body must be application/x-www-form-urlencoded")
	}
	if coding := c.Get(fiber.HeaderContentEncoding); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, invalidRequest("the body must not be compressed")
	}
	body := c.Request().Body()
	if len(body) > maxForm {
		return nil, &cobridge.Error{Code: cobridge.CodeTooLarge}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("the body is not a form")
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, invalidRequest("a parameter is repeated")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return nil, invalidRequest("the form is not UTF-8")
		}
	}
	return form, nil
}

// credentialsOf returns the credentials that the request may mean: those of the
// form, or those of a Basic header, which may read in two ways.
func credentialsOf(c *fiber.Ctx, form url.Values) ([]web.Credentials, error) {
	inForm := web.Credentials{ID: form.Get("client_id"), Secret: form.Get("client_secret")}
	tries := web.BasicCredentials(c)
	if tries == nil {
		return []web.Credentials{inForm}, nil
	}
	if inForm == (web.Credentials{}) {
		return tries, nil
	}
	for _, t := range tries {
		if (inForm.ID == "" || inForm.ID == t.ID) && (inForm.Secret == "" || inForm.Secret == t.Secret) {
			return []web.Credentials{t}, nil
		}
	}
	return nil, invalidRequest("the credentials in the header and in the body differ")
}

// tryCredentials calls fn with each of the credentials until one is right. Wrong
// ones count for the caller's network; not for the client, or whoever knows its id
// could lock it out, and 256 random bits need no such help.
func (a *api) tryCredentials(c *fiber.Ctx, tries []web.Credentials, fn func(id, secret string) error) error {
	ctx := c.UserContext()
	guesses, network := a.Limits.Credentials, web.ClientNetwork(c)
	if err := guesses.Check(ctx, network); err != nil {
		return err
	}
	var err error
	for _, t := range tries {
		err = fn(t.ID, t.Secret)
		if e, ok := errors.AsType[*oauth.Error](err); !ok || e.Code != oauth.CodeInvalidClient {
			return refused(err)
		}
	}
	if err := guesses.Fail(ctx, network); err != nil {
		return err
	}
	return refused(err)
}

func invalidRequest(description string) error {
	return refused(&oauth.Error{Code: oauth.CodeInvalidRequest, Description: description})
}

// refused gives an *oauth.Error one of the published codes, which is what logs
// and metrics know; every other error is returned as it is.
func refused(err error) error {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		return err
	}
	code := cobridge.CodeBadRequest
	if e.Code == oauth.CodeInvalidClient {
		code = cobridge.CodeBadCredentials
	}
	return &cobridge.Error{Code: code, Err: e}
}

// oauthErrorBody is the error of RFC 6749, section 5.2, with the description under
// both names that clients of Genesys Cloud read.
type oauthErrorBody struct {
	Error            string `json:"error"`
	Description      string `json:"description"`
	ErrorDescription string `json:"error_description"`
}

// OAuthDialect is how the paths below /oauth speak of failures. Wrong client
// credentials are answered with the given status: 401, as RFC 6749 says, or 400,
// which the real service was seen to do.
func OAuthDialect(invalidClientStatus int) web.Dialect {
	return web.Dialect{Prefix: "/oauth", Write: func(c *fiber.Ctx, f web.Failure) error {
		out := oauthErrorBody{Error: string(oauth.CodeInvalidRequest), Description: f.Message}
		if e, ok := errors.AsType[*oauth.Error](f.Err); ok {
			out.Error, out.Description = string(e.Code), e.Description
			if e.Code == oauth.CodeInvalidClient {
				c.Status(invalidClientStatus)
				scheme, _, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
				if invalidClientStatus == fiber.StatusUnauthorized && strings.EqualFold(scheme, "basic") {
					c.Set(fiber.HeaderWWWAuthenticate, `Basic realm="cobridge", charset="UTF-8"`)
				}
			}
		} else {
			switch {
			case f.Code == cobridge.CodeTooManyRequests:
				out.Error = "too_many_requests"
			case f.Code == cobridge.CodeUnavailable:
				out.Error = "temporarily_unavailable"
			case f.Status >= fiber.StatusInternalServerError:
				out.Error = "server_error"
			}
		}
		out.ErrorDescription = out.Description
		c.Set(fiber.HeaderPragma, "no-cache")
		return c.JSON(out)
	}}
}
