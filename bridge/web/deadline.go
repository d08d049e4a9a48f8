package web

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Deadline returns the middleware that ends the request's context after limit.
// The context dies with the handler: what must outlive the request, a WebSocket
// for instance, needs one of its own.
func Deadline(limit time.Duration) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := context.WithTimeout(c.UserContext(), limit)
		defer cancel()
		c.SetUserContext(ctx)
		return c.Next()
	}
}
