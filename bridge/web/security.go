package web

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
)

// SecurityHeaders returns the middleware that sets the headers of an answer that
// no browser should show as a page, frame, guess the type of or, under /api/v2
// and /oauth, keep. Handlers of pages set their own over them. Strict-Transport-Security
// is sent over TLS, our own or that of a trusted proxy, unless noHSTS is set.
func SecurityHeaders(noHSTS bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if noHSTS {
			c.Locals(noHSTSKey{}, true)
		}
		secure(c)
		return c.Next()
	}
}

type noHSTSKey struct{}

// secure sets the headers, unless it was done before: a page may have changed them since.
func secure(c *fiber.Ctx) {
	head := &c.Response().Header
	if len(head.Peek(fiber.HeaderXContentTypeOptions)) > 0 {
		return
	}
	head.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	head.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	head.Set(fiber.HeaderXFrameOptions, "DENY")
	head.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	if path := c.Path(); below(path, "/api/v2") || below(path, "/oauth") {
		head.Set(fiber.HeaderCacheControl, "no-store")
	}
	if Secure(c) && c.Locals(noHSTSKey{}) == nil {
		head.Set(fiber.HeaderStrictTransportSecurity, "max-age="+strconv.Itoa(int(hstsMaxAge/time.Second)))
	}
}
