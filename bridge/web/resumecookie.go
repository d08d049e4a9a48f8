package web

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/gofiber/fiber/v2"
)

// ResumeCookieName returns the name of the cookie that holds the resume secret of
// one participant of a cobrowse session: a browser may be in several sessions, and
// in one session as several participants. The id is hashed because a cookie's
// name has a smaller alphabet than ids.
func ResumeCookieName(participantID string) string {
	sum := sha256.Sum256([]byte(participantID))
	return "cobridge_resume_" + hex.EncodeToString(sum[:8])
}

// SetResumeCookie gives a viewer's browser the secret for its next connect. Only
// this session's stream gets to see it, no script does, and no request that
// another site causes carries it. It goes with the browser.
func SetResumeCookie(c *fiber.Ctx, sessionID, participantID, secret string) {
	c.Cookie(&fiber.Cookie{
		Name: ResumeCookieName(participantID), Value: secret, Path: "/api/v2/cobrowse/sessions/" + sessionID + "/stream",
		HTTPOnly: true, Secure: Secure(c), SameSite: fiber.CookieSameSiteStrictMode, SessionOnly: true,
	})
}
