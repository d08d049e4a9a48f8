package api

import (
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// badQuery is the failure for a query parameter.
func badQuery(name, rule string) error {
	return &cobridge.Error{
		Code: cobridge.CodeInvalidQueryParam, Message: "The query parameter " + name + " " + rule + ".",
		Details: []cobridge.Detail{{ErrorCode: string(cobridge.CodeInvalidQueryParam), FieldName: name}},
	}
}

// choice is a value that a query parameter may have, and what it means.
type choice[T any] struct {
	name  string
	means T
}

// choose reads a query parameter with a closed set of values; the first one
// stands for an absent or empty parameter.
func choose[T any](c *fiber.Ctx, name string, choices []choice[T]) (T, error) {
	given := c.Query(name, choices[0].name)
	names := make([]string, 0, len(choices))
	for _, ch := range choices {
		if ch.name == given {
			return ch.means, nil
		}
		if ch.name != "" {
			names = append(names, ch.name)
		}
	}
	var none T
	return none, badQuery(name, "must be one of "+strings.Join(names, ", "))
}

// queryTime reads a moment in any form of RFC 3339; zero if there is none.
func queryTime(c *fiber.Ctx, name string) (time.Time, error) {
	text := c.Query(name)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, badQuery(name, "must be a date-time such as 2026-03-04T05:06:07.089Z")
	}
	return at.UTC(), nil
}
