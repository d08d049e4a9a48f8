package bridge

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
)

// mountAdmin adds what only the admin address has. Who can read metrics there is not
// yet somebody who may have the signing keys: these routes ask for more.
func (a *App) mountAdmin() {
	only := operatorOnly(a.cfg.AdminToken.Reveal())
	a.admin.Post("/backup", only, a.serveBackup)
	a.admin.Get("/debug/pprof", only, listProfiles)
	a.admin.Get("/debug/pprof/:profile", only, serveProfile)
}

// operatorOnly lets callers pass who send the token; without one, callers of this
// machine. A browser is refused in any case: what it sends may come from a page that
// somebody on this machine looks at.
func operatorOnly(token string) fiber.Handler {
	want := sha256.Sum256([]byte(token))
	return func(c *fiber.Ctx) error {
		site := c.Get("Sec-Fetch-Site")
		if c.Get(fiber.HeaderOrigin) != "" || site != "" && site != "none" && site != "same-origin" {
			return &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "This is not for pages."}
		}
		if token == "" {
			// A page whose host name leads here asks as itself, but cannot hide that name. What
			// a proxy of this machine hands on comes from this machine, whoever has sent it.
			if !web.ClientAddr(c).IsLoopback() || !namesLoopback(string(c.Context().Host())) || handedOn(c) {
				return &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "Without adminToken only this machine may ask, by its loopback address."}
			}
			return c.Next()
		}
		scheme, sent, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(sent)))
		switch {
		case !strings.EqualFold(scheme, "Bearer"):
			return &cobridge.Error{Code: cobridge.CodeAuthRequired, Message: "This takes the token of the configuration's adminToken."}
		case subtle.ConstantTimeCompare(got[:], want[:]) != 1:
			return &cobridge.Error{Code: cobridge.CodeBadCredentials, Message: "This is not the token of the configuration's adminToken."}
		}
		return c.Next()
	}
}

// handedOn reports whether a request says that a proxy has passed it on.
func handedOn(c *fiber.Ctx) bool {
	for _, name := range []string{"Forwarded", fiber.HeaderXForwardedFor, fiber.HeaderXForwardedHost, fiber.HeaderXForwardedProto, "X-Real-Ip", fiber.HeaderVia} {
		if len(c.Request().Header.Peek(name)) > 0 {
			return true
		}
	}
	return false
}

// namesLoopback reports whether the host of a request is one that always is this machine.
func namesLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
