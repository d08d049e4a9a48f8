package api

import (
	"context"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/limit"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// principalKey finds the caller among the locals of a request.
type principalKey struct{}

// principal returns the caller of a route that is not open.
func principal(c *fiber.Ctx) *oauth.Principal {
	p, _ := c.Locals(principalKey{}).(*oauth.Principal)
	return p
}

// orgOf returns the caller's organisation.
func orgOf(c *fiber.Ctx) conversations.OrgID { return conversations.OrgID(principal(c).OrgID) }

// guard lets in who may call the route: first the limit per network, which also
// stands before wrong tokens; then 401, the limit per token, and 403.
func (a *api) guard(r route) fiber.Handler {
	limited := strings.HasPrefix(r.path, "/api/") || strings.HasPrefix(r.path, "/oauth/")
	return func(c *fiber.Ctx) error {
		ctx := c.UserContext()
		if limited {
			if err := allow(ctx, a.Limits.Address, c); err != nil {
				return err
			}
		}
		if r.scope == open {
			return r.handle(c)
		}
		raw, err := web.Bearer(c)
		if err != nil {
			return err
		}
		p, err := a.OAuth.Verify(ctx, raw)
		if err != nil {
			return err
		}
		if a.Limits.Token != nil {
			if err := a.Limits.Token.Allow(ctx, p.TokenID); err != nil {
				return err
			}
		}
		if r.scope != anyToken {
			if err := p.Require(r.scope); err != nil {
				return err
			}
		}
		c.Locals(principalKey{}, &p)
		return r.handle(c)
	}
}

// allow takes one call off the allowance of the caller's network.
func allow(ctx context.Context, l *limit.Limiter, c *fiber.Ctx) error {
	if l == nil {
		return nil
	}
	return l.Allow(ctx, web.ClientNetwork(c))
}

// notAUser answers calls that only make sense for the token's own user.
func (a *api) notAUser(*fiber.Ctx) error { return &cobridge.Error{Code: cobridge.CodeNotAUser} }
