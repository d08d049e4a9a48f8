package legacy

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// Rule says what a caller of a surface has to show.
type Rule string

// The access rules.
const (
	RuleBearer Rule = "bearer" // an access token of the organisation, with whatever scopes
	RuleBasic  Rule = "basic"  // id and secret of one of its OAuth clients
	RuleOrigin Rule = "origin" // an Origin, or else a Referer, of the allow-list
	RuleOpen   Rule = "open"   // nothing
)

// Access is who may call a surface. OAuth is required with the rules bearer and
// basic. The zero Rule is bearer.
type Access struct {
	Rule    Rule
	Org     conversations.OrgID // that the surface belongs to
	Origins []string            // allow-list, scheme://host[:port] as browsers send it
	Cookies bool                // browsers let these pages send and get cookies
	OAuth   authority           // an *oauth.Service
	Limits  Limits
}

// authority is the part of *oauth.Service that is called here.
type authority interface {
	Verify(ctx context.Context, raw string) (oauth.Principal, error)
	Authenticate(ctx context.Context, id, secret string) (oauth.Client, error)
}

// Limits are the rate limits of a surface, the same ones that the API counts by. A
// nil one limits nothing.
type Limits struct {
	Address     limiter // calls per client network
	Token       limiter // calls per access token or client
	Credentials guesses // wrong client credentials, per client network
}

// limiter is the part of *limit.Limiter that is called here.
type limiter interface {
	Allow(ctx context.Context, key string) error
}

// scan is the part of *limit.Scan that is called here.
type scan interface {
	guesses
	Succeed(key string)
}

// guesses is the part of *limit.Guess that is called here.
type guesses interface {
	Check(ctx context.Context, key string) error
	Fail(ctx context.Context, key string) error
}

// caller is who was let in. With the rules origin and open nothing is known of it.
type caller struct {
	scopes []string
}

// may reports whether the caller has shown that it has a scope.
func (c caller) may(scope oauth.Scope) bool { return oauth.Require(c.scopes, scope) == nil }

// shown is what a caller shows of itself, by whatever way it calls. It holds a
// secret.
type shown struct {
	origin        string // of the page, "" = none
	authorization string // as in the header of this name
	network       string // as in web.ClientNetwork
}

// shownBy is what an HTTP request shows.
func shownBy(c *fiber.Ctx) shown {
	return shown{origin: originOf(c), authorization: c.Get(fiber.HeaderAuthorization), network: web.ClientNetwork(c)}
}

// admit lets a caller in that came by HTTP, as judge does, and lets its page read
// the answer.
func (a Access) admit(c *fiber.Ctx) (caller, error) {
	a.allowOrigin(c)
	return a.judge(c.UserContext(), shownBy(c))
}

// judge lets a caller in, or fails: with CodeAuthRequired or CodeBadCredentials, with
// CodeNotFound for a caller of another organisation, to whom the surface is not there,
// and with CodeNotAuthorized for a page of another origin.
func (a Access) judge(ctx context.Context, s shown) (caller, error) {
	if err := allow(ctx, a.Limits.Address, s.network); err != nil {
		return caller{}, err
	}
	switch a.Rule {
	case RuleOpen:
		return caller{}, nil
	case RuleOrigin:
		if !slices.Contains(a.Origins, s.origin) {
			return caller{}, &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "Pages of this origin may not call this address."}
		}
		return caller{}, nil
	case RuleBasic:
		return a.basic(ctx, s)
	default:
		return a.bearer(ctx, s)
	}
}

func (a Access) bearer(ctx context.Context, s shown) (caller, error) {
	raw, err := web.BearerOf(s.authorization)
	if err != nil {
		return caller{}, err
	}
	p, err := a.OAuth.Verify(ctx, raw)
	if err != nil {
		return caller{}, err
	}
	if err := allow(ctx, a.Limits.Token, p.TokenID); err != nil {
		return caller{}, err
	}
	return a.ofOrganisation(p.OrgID, p.Scopes)
}

func (a Access) basic(ctx context.Context, s shown) (caller, error) {
	tries := web.BasicOf(s.authorization)
	if len(tries) == 0 {
		return caller{}, &cobridge.Error{Code: cobridge.CodeAuthRequired, Message: "The call needs the id and the secret of an OAuth client (HTTP Basic)."}
	}
	if wrong := a.Limits.Credentials; wrong != nil {
		if err := wrong.Check(ctx, s.network); err != nil {
			return caller{}, err
		}
	}
	for _, t := range tries {
		client, err := a.OAuth.Authenticate(ctx, t.ID, t.Secret)
		if e, ok := errors.AsType[*oauth.Error](err); ok && e.Code == oauth.CodeInvalidClient {
			continue
		}
		if err != nil {
			return caller{}, err
		}
		if err := allow(ctx, a.Limits.Token, "client:"+client.ID); err != nil {
			return caller{}, err
		}
		return a.ofOrganisation(client.OrgID, client.Scopes)
	}
	if wrong := a.Limits.Credentials; wrong != nil {
		if err := wrong.Fail(ctx, s.network); err != nil {
			return caller{}, err
		}
	}
	return caller{}, &cobridge.Error{Code: cobridge.CodeBadCredentials, Message: "The client's id or secret is wrong."}
}

func (a Access) ofOrganisation(org string, scopes []string) (caller, error) {
	if conversations.OrgID(org) != a.Org {
		return caller{}, &cobridge.Error{Code: cobridge.CodeNotFound}
	}
	return caller{scopes: scopes}, nil
}

// allow counts a call, unless there is no limit.
func allow(ctx context.Context, limit limiter, key string) error {
	if limit == nil {
		return nil
	}
	return limit.Allow(ctx, key)
}

// originOf returns the origin of the page that calls, "" if the request does not say
// it. The legacy server of 9.0 takes a Referer where there is no Origin.
func originOf(c *fiber.Ctx) string {
	if origin := c.Get(fiber.HeaderOrigin); origin != "" {
		return origin
	}
	u, err := url.Parse(c.Get(fiber.HeaderReferer))
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// allowOrigin lets a page of the allow-list read the answer, failures too, and
// reports whether it is one.
func (a Access) allowOrigin(c *fiber.Ctx) bool {
	if len(a.Origins) == 0 {
		return false
	}
	c.Vary(fiber.HeaderOrigin)
	origin := c.Get(fiber.HeaderOrigin)
	if !slices.Contains(a.Origins, origin) {
		return false
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	if a.Cookies {
		c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
	}
	c.Set(fiber.HeaderAccessControlExposeHeaders, fiber.HeaderRetryAfter+", "+web.HeaderCorrelationID)
	return true
}

// preflight answers the question that browsers ask before a call with the method and
// the headers.
func (a Access) preflight(methods, headers string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if a.allowOrigin(c) {
			c.Set(fiber.HeaderAccessControlAllowMethods, methods)
			c.Set(fiber.HeaderAccessControlAllowHeaders, headers)
			c.Set(fiber.HeaderAccessControlMaxAge, "600")
		}
		return c.SendStatus(fiber.StatusNoContent)
	}
}

// challenge returns what has to stand beside a 401 (RFC 9110, section 11.6.1).
func (a Access) challenge(code cobridge.Code) string {
	switch {
	case a.Rule == RuleBasic:
		return `Basic realm="cobridge", charset="UTF-8"`
	case code == cobridge.CodeBadCredentials:
		return `Bearer realm="cobridge", error="invalid_token"`
	default:
		return `Bearer realm="cobridge"`
	}
}
