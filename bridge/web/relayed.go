package web

import (
	"net/netip"

	"github.com/gofiber/fiber/v2"
)

// Caller is what another process of ours says of the client that it speaks for.
type Caller struct {
	Addr   netip.Addr
	Secure bool
}

// RelayedFunc finds out whether another process of ours has sent a request on, and for
// whom. It fails for a request that only says so.
type RelayedFunc func(c *fiber.Ctx) (who Caller, relayed bool, err error)

// FromNode returns the middleware that believes other processes of ours, after
// [ClientAddress]: [ClientAddr] and [Secure] are then about the client, not about them.
func FromNode(relayed RelayedFunc) fiber.Handler {
	return func(c *fiber.Ctx) error {
		who, ok, err := relayed(c)
		if err != nil {
			return err
		}
		if ok {
			c.Locals(clientKey{}, client{addr: who.Addr, secure: who.Secure, relayed: true})
		}
		return c.Next()
	}
}

// Relayed reports whether another process of ours has sent the request on.
func Relayed(c *fiber.Ctx) bool {
	seen, ok := c.Locals(clientKey{}).(client)
	return ok && seen.relayed
}
