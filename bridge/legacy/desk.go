package legacy

import (
	"crypto/rand"
	"regexp"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/web"
)

const (
	// cookieServer names the node that has a session, for load balancers. Its name is
	// that of the old product.
	cookieServer = "gcbSessionServer"
	// cookieDesk is ours: it names a browser, so that the customer of a page that was
	// loaded anew is the same one, and an agent is in one session at a time.
	cookieDesk = "cobridgeDesk"
	// deskAge is how long a browser keeps its name, in seconds.
	deskAge = 365 * 24 * 60 * 60
)

// deskPattern is what rand.Text makes: 130 random bits.
var deskPattern = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// isDesk tells whether we have made this name for a browser.
func isDesk(name string) bool { return deskPattern.MatchString(name) }

func newDesk() string { return rand.Text() }

// setServerCookie pins the browser to this node. Where browsers drop the cookies of
// other sites, pages of 9.0 send the same in a header; the name of that one could not
// be read, so it is the cookie's.
func (l *live) setServerCookie(c *fiber.Ctx) {
	c.Set(cookieServer, l.ServerName)
	c.Append(fiber.HeaderAccessControlExposeHeaders, cookieServer)
	setCookie(c, &fiber.Cookie{Name: cookieServer, Value: l.ServerName, Path: "/", SessionOnly: true})
}

// deskOf returns the name of the browser that calls. One without a name gets one,
// which stands in the request as if it had come with it.
func (l *live) deskOf(c *fiber.Ctx) string {
	if name := c.Cookies(cookieDesk); isDesk(name) {
		return name
	}
	name := newDesk()
	c.Request().Header.SetCookie(cookieDesk, name)
	setCookie(c, &fiber.Cookie{Name: cookieDesk, Value: name, Path: l.BasePath, MaxAge: deskAge})
	return name
}

// setCookie sets a cookie that no script sees. Pages of customers are of other sites
// than ours, to which browsers send only what says that this is meant, and that only
// over TLS.
func setCookie(c *fiber.Ctx, cookie *fiber.Cookie) {
	cookie.HTTPOnly = true
	cookie.SameSite = fiber.CookieSameSiteDisabled
	if web.Secure(c) {
		cookie.Secure, cookie.SameSite = true, fiber.CookieSameSiteNoneMode
	}
	c.Cookie(cookie)
}
