package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// Failure is an error made ready for an answer: all of it may be shown to the
// caller, except Err.
type Failure struct {
	Status     int               // HTTP status, 400..599
	Code       cobridge.Code     // one of cobridge.Codes()
	Message    string            // one sentence; with 429 it names the seconds to wait
	Params     map[string]string // may be nil
	Details    []cobridge.Detail // may be nil
	EntityID   string
	EntityName string
	RetryAfter time.Duration  // whole seconds, at least one, with 429 and 503; else 0
	ContextID  string         // the request's correlation id
	Members    map[string]any // further members of the answer, from [WithBody]; may be nil
	Err        error          // the error as it was returned, for a dialect that knows more kinds of it; never to be written out
}

// Dialect is how the paths below one prefix speak of failures. Write writes the
// body and may change the status; status, correlation id, Retry-After and the
// headers of [WithBody] are set before it is called.
type Dialect struct {
	Prefix string // whole path segments, such as "/oauth"; of several that match, the longest counts
	Write  func(c *fiber.Ctx, f Failure) error
}

// Header is one header of an answer.
type Header struct {
	Name, Value string
}

// bodyError is an error with additions to its answer.
type bodyError struct {
	err     error
	members map[string]any
	headers []Header
}

func (e *bodyError) Error() string { return e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// WithBody returns err with further top-level members and headers for its answer.
// The 409 for a second session uses it to name the first one. A member that has
// the name of a member of the envelope is left out.
func WithBody(err error, members map[string]any, headers ...Header) error {
	return &bodyError{err: err, members: members, headers: headers}
}

// ErrorHandler returns the one place where an error becomes an answer. An
// [cobridge.Error] is answered with its code's status, a passed deadline with
// 504, the router's own errors with fixed texts, and whatever else there is with
// 500 and a fixed text; the cause of a 5xx goes to log, and only there.
//
// The body is the envelope of Genesys Cloud (ErrorBody in
// https://github.com/MyPureCloud/platform-client-sdk-go) unless the path belongs
// to one of the dialects. A request whose head could not be read has no path, so
// it is answered with the envelope too.
func ErrorHandler(log *slog.Logger, dialects ...Dialect) fiber.ErrorHandler {
	dialects = slices.Clone(dialects)
	slices.SortStableFunc(dialects, func(a, b Dialect) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	return func(c *fiber.Ctx, err error) error {
		f := failureOf(err)
		f.ContextID = ContextID(c)
		if f.Status >= fiber.StatusInternalServerError {
			logFailure(c.UserContext(), log, f)
		}
		prepare(c, f)
		write := writeEnvelope
		path := c.Path()
		for _, d := range dialects {
			if below(path, d.Prefix) {
				write = d.Write
				break
			}
		}
		if err := write(c, f); err != nil {
			log.ErrorContext(c.UserContext(), "error answer failed", "err", err)
			c.Status(fiber.StatusInternalServerError)
			return writeEnvelope(c, Failure{
				Status: fiber.StatusInternalServerError, Code: cobridge.CodeInternal,
				Message: statusOf[cobridge.CodeInternal].text, ContextID: f.ContextID,
			})
		}
		return nil
	}
}

// below tells whether path is prefix or lies under it.
func below(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// failureOf sorts err into the table of codes.
func failureOf(err error) Failure {
	f := Failure{Code: cobridge.CodeInternal, Err: err}
	if b, ok := errors.AsType[*bodyError](err); ok {
		f.Members = b.members
	}
	e, coded := errors.AsType[*cobridge.Error](err)
	_, published := statusOf[cobridge.CodeOf(err)]
	if coded && published && e.Code != cobridge.CodeInternal {
		f.Code, f.Message, f.Params, f.Details = e.Code, e.Message, e.Params, e.Details
		f.EntityID, f.EntityName, f.RetryAfter = e.EntityID, e.EntityName, e.RetryAfter
	} else if errors.Is(err, context.DeadlineExceeded) {
		f.Code = cobridge.CodeRequestTimeout
	} else if errors.Is(err, context.Canceled) { // nobody but the service itself cancels a request
		f.Code = cobridge.CodeUnavailable
	} else if e, ok := errors.AsType[*fiber.Error](err); ok && !coded {
		f.Code = codeOfStatus(e.Code)
	}
	known := statusOf[f.Code]
	f.Status = known.status
	if f.Message == "" {
		f.Message = known.text
	}
	switch f.Code {
	case cobridge.CodeTooManyRequests:
		f.RetryAfter = wholeSeconds(f.RetryAfter)
		f.Message += fmt.Sprintf(" Retry the request in %d seconds.", int(f.RetryAfter/time.Second))
	case cobridge.CodeUnavailable:
		f.RetryAfter = wholeSeconds(cmp.Or(f.RetryAfter, defaultRetryAfter))
	default:
		f.RetryAfter = 0
	}
	return f
}

// wholeSeconds rounds up: a caller who waits that long does not come too early.
func wholeSeconds(d time.Duration) time.Duration {
	return max((d + time.Second - 1).Truncate(time.Second), time.Second)
}

// prepare sets what every dialect has in common, and takes back what a handler
// had already written about an answer that now does not come.
func prepare(c *fiber.Ctx, f Failure) {
	secure(c)
	head := &c.Response().Header
	setContextID(c, f.ContextID) // again: after a panic the answer was emptied
	for _, name := range []string{fiber.HeaderContentEncoding, fiber.HeaderContentDisposition, fiber.HeaderETag, fiber.HeaderLastModified, fiber.HeaderLocation} {
		head.Del(name)
	}
	c.Response().ResetBody()
	head.Set(fiber.HeaderCacheControl, "no-store")
	if f.RetryAfter > 0 {
		head.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
	if b, ok := errors.AsType[*bodyError](f.Err); ok {
		for _, h := range b.headers {
			head.Set(h.Name, h.Value)
		}
	}
	c.Locals(codeKey{}, f.Code)
	c.Status(f.Status)
}

// codeKey finds the code of the failure among the locals of a request.
type codeKey struct{}

// logged is a cause that whoever found it has logged: once, and not again for each
// request that fails for it.
type logged interface {
	error
	Logged() bool
}

func logFailure(ctx context.Context, log *slog.Logger, f Failure) {
	if cause, ok := errors.AsType[logged](f.Err); ok && cause.Logged() {
		return
	}
	attrs := []slog.Attr{slog.String("code", string(f.Code)), slog.Any("err", f.Err)}
	if p, ok := errors.AsType[*panicError](f.Err); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	log.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
}
