package web

import (
	"errors"
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// Values of the route label for requests that belong to no route. They are
// fixed, so that nobody can fill a metric with addresses.
const (
	RouteUnmatched  = "unmatched"  // no route, or not with this method
	RouteUnreadable = "unreadable" // the request could not be read; its method is ""
)

// ObserveFunc is told of every answer: the route's template (or one of the
// Route constants), the method, the status and the time from the head of the
// request to the finished answer. It may be called concurrently.
type ObserveFunc func(route, method string, status int, took time.Duration)

// Observe returns the middleware that has errors answered, logs the answer on
// level debug and tells observe (which may be nil) about it. The log has the
// route's template, never the path or the query: those hold ids and tokens.
func Observe(log *slog.Logger, clock cobridge.Clock, observe ObserveFunc) fiber.Handler {
	return func(c *fiber.Ctx) error {
		start := clock()
		err := c.Next()
		route := c.Route().Path
		if e, ok := errors.AsType[*fiber.Error](err); ok && (e.Code == fiber.StatusNotFound || e.Code == fiber.StatusMethodNotAllowed) {
			route = RouteUnmatched
		}
		if err != nil {
			// Here and not after us, so that the status is known below.
			if err := c.App().ErrorHandler(c, err); err != nil {
				return err
			}
		}
		status, took := c.Response().StatusCode(), clock().Sub(start)
		if observe != nil {
			observe(route, c.Method(), status, took)
		}
		ctx := c.UserContext()
		if log.Enabled(ctx, slog.LevelDebug) {
			attrs := []slog.Attr{
				slog.String("method", c.Method()), slog.String("route", route), slog.Int("status", status), slog.Duration("took", took),
			}
			if code, ok := c.Locals(codeKey{}).(cobridge.Code); ok {
				attrs = append(attrs, slog.String("code", string(code)))
			}
			log.LogAttrs(ctx, slog.LevelDebug, "request answered", attrs...)
		}
		return nil
	}
}
