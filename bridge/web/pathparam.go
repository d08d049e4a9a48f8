package web

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// PathParam returns a path parameter as its owner wrote it, with its escapes undone;
// one with a broken escape stays as it came.
func PathParam(c *fiber.Ctx, name string) string {
	value := c.Params(name)
	if !strings.Contains(value, "%") {
		return value
	}
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}
