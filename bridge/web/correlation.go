package web

import (
	"context"
	"log/slog"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
)

// HeaderCorrelationID stands on every answer and names the request in the logs,
// spelled as Genesys Cloud does.
const HeaderCorrelationID = "ININ-Correlation-Id"

type contextIDKey struct{}

// ContextID returns the correlation id of the request: the caller's own if it
// sent one of 1..64 letters, digits and dashes, else a new UUID. The first call
// sets the header of the answer and the id in the request's context.
func ContextID(c *fiber.Ctx) string { return contextID(c, uuid.NewString) }

// contextID is ContextID with a source of new ids.
func contextID(c *fiber.Ctx, newID func() string) string {
	ctx := c.UserContext()
	if id := ContextIDFrom(ctx); id != "" {
		return id
	}
	id := string(c.Request().Header.Peek(HeaderCorrelationID))
	if !isContextID(id) {
		id = newID()
	}
	c.SetUserContext(context.WithValue(ctx, contextIDKey{}, id))
	setContextID(c, id)
	return id
}

// setContextID does what Set does, which would write Inin-Correlation-Id. Names
// are equal in any case, but people search for this one.
func setContextID(c *fiber.Ctx, id string) {
	c.Response().Header.SetCanonical([]byte(HeaderCorrelationID), []byte(id))
}

// ContextIDFrom returns the correlation id in ctx, "" if there is none.
func ContextIDFrom(ctx context.Context) string {
	id, _ := ctx.Value(contextIDKey{}).(string)
	return id
}

func isContextID(s string) bool {
	if len(s) == 0 || len(s) > maxContextID {
		return false
	}
	for _, b := range []byte(s) {
		if b != '-' && (b < '0' || b > '9') && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') {
			return false
		}
	}
	return true
}

// Correlate returns the middleware that gives a request its correlation id. A
// caller's own comes first, else one of newID; nil = random UUIDs.
func Correlate(newID func() string) fiber.Handler {
	if newID == nil {
		newID = uuid.NewString
	}
	return func(c *fiber.Ctx) error {
		contextID(c, newID)
		return c.Next()
	}
}

// LogHandler adds the correlation id of a record's context to the record, as
// contextId. Below a group it stands in that group.
type LogHandler struct {
	inner slog.Handler
}

// NewLogHandler returns a [LogHandler] that hands the records on to inner. An
// inner that is one already is returned as it is.
func NewLogHandler(inner slog.Handler) *LogHandler {
	if h, ok := inner.(*LogHandler); ok {
		return h
	}
	return &LogHandler{inner: inner}
}

// Enabled implements [slog.Handler].
func (h *LogHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h *LogHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := ContextIDFrom(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("contextId", id))
	}
	return h.inner.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &LogHandler{inner: h.inner.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h *LogHandler) WithGroup(name string) slog.Handler {
	return &LogHandler{inner: h.inner.WithGroup(name)}
}
