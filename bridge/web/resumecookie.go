package web

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// ResumeCookie is the cookie that holds a viewer's resume secret. Only one
// session's stream gets to see it, no script does, and no request that another
// site causes carries it. It goes with the browser. The zero value is for a
// service without a path prefix.
type ResumeCookie struct {
	prefix string
	secure bool
}

// NewResumeCookie returns the cookie for viewers at the given public address:
// scheme://host[:port][/prefix].
func NewResumeCookie(base string) (ResumeCookie, error) {
	u, err := url.Parse(base)
	if err != nil {
		return ResumeCookie{}, err
	}
	return ResumeCookie{prefix: strings.TrimRight(u.EscapedPath(), "/"), secure: u.Scheme == "https"}, nil
}

// Name returns the cookie's name for one participant: a browser may be in several
// sessions, and in one session as several participants. The id is hashed because
// a cookie's name has a smaller alphabet than ids.
func (ResumeCookie) Name(participantID string) string {
	sum := sha256.Sum256([]byte(participantID))
	return "cobridge_resume_" + hex.EncodeToString(sum[:8])
}

// StreamURI returns the path of a session's stream as a viewer's browser sees it.
func (r ResumeCookie) StreamURI(sessionID string) string {
	return r.prefix + "/api/v2/cobrowse/sessions/" + sessionID + "/stream"
}

// Set gives the browser the secret for its next connect.
func (r ResumeCookie) Set(c *fiber.Ctx, sessionID, participantID, secret string) {
	c.Cookie(&fiber.Cookie{
		Name: r.Name(participantID), Value: secret, Path: r.StreamURI(sessionID),
		HTTPOnly: true, Secure: r.secure || Secure(c), SameSite: fiber.CookieSameSiteStrictMode, SessionOnly: true,
	})
}
