package gcb

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/sony/gobreaker/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// Reason says why a read failed.
type Reason string

// The reasons.
const (
	ReasonUnreachable Reason = "unreachable" // no connection, or it broke off
	ReasonTimeout     Reason = "timeout"
	ReasonResting     Reason = "resting"     // it failed so often that it is left alone for a while
	ReasonBusy        Reason = "busy"        // 429
	ReasonServerError Reason = "serverError" // 5xx
	ReasonRefused     Reason = "refused"     // 401 or 403: the credentials, or the origin
	ReasonRedirect    Reason = "redirect"    // to somewhere else, where nobody follows
	ReasonStatus      Reason = "status"      // any other
	ReasonTooLarge    Reason = "tooLarge"
	ReasonNotJSON     Reason = "notJson"   // a page, or half an answer
	ReasonBadRecord   Reason = "badRecord" // JSON, but not what it should be
	ReasonOtherID     Reason = "otherId"   // the answer is about another session
)

// Reasons returns every reason.
func Reasons() []Reason {
	return []Reason{
		ReasonUnreachable, ReasonTimeout, ReasonResting, ReasonBusy, ReasonServerError, ReasonRefused, ReasonRedirect, ReasonStatus,
		ReasonTooLarge, ReasonNotJSON, ReasonBadRecord, ReasonOtherID,
	}
}

// Passing reports whether the reason may be gone in a while.
func (r Reason) Passing() bool {
	switch r {
	case ReasonUnreachable, ReasonTimeout, ReasonResting, ReasonBusy, ReasonServerError:
		return true
	default:
		return false
	}
}

// Error is the cause of a read that failed. It stands in a *cobridge.Error with
// CodeUnavailable.
type Error struct {
	Reason Reason
	Status int    // HTTP status; 0 if there was no answer
	Text   string // more than the reason says, for people; may be empty
	Err    error  // of the connection; may be nil
}

// Error says what is known, for logs: no credentials, no path and nothing of what was sent.
func (e *Error) Error() string {
	text := "legacy server: " + string(e.Reason)
	if e.Status != 0 {
		text += " (" + strconv.Itoa(e.Status) + ")"
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Logged reports whether the log has it already: that the server is left alone is
// said when it begins.
func (e *Error) Logged() bool { return e.Reason == ReasonResting }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// unavailable makes a failure of e that callers may see.
func (e *Error) unavailable(retryAfter time.Duration) error {
	return &cobridge.Error{
		Code: cobridge.CodeUnavailable, Message: "The legacy Co-browse server gives no usable answer (" + string(e.Reason) + ").",
		Params: map[string]string{"reason": string(e.Reason)}, RetryAfter: retryAfter, Err: e,
	}
}

// notFound is the failure of a read for which the server says that there is none.
func notFound() error {
	return &cobridge.Error{
		Code: cobridge.CodeNotFound, Message: "The legacy Co-browse server knows no such session.", EntityName: cobrowse.EntitySession,
	}
}

// failureOf turns what a read ended with into a failure; nil for an answer that is
// worth reading.
func (c *Client) failureOf(resp *resty.Response, err error) error {
	if err != nil && !errors.Is(err, errGiveUp) {
		return c.brokenOff(err)
	}
	switch status := resp.StatusCode(); {
	case status == http.StatusOK:
		return nil
	case status == http.StatusNotFound, status == http.StatusGone, status == statusUnknownID:
		return notFound()
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return (&Error{Reason: ReasonRefused, Status: status}).unavailable(0)
	case status == http.StatusTooManyRequests:
		return (&Error{Reason: ReasonBusy, Status: status}).unavailable(cmp.Or(retryAfter(resp.Header()), c.cfg.Rest))
	case status >= 500:
		return (&Error{Reason: ReasonServerError, Status: status}).unavailable(retryAfter(resp.Header()))
	case status >= 300 && status < 400:
		return (&Error{Reason: ReasonRedirect, Status: status}).unavailable(0)
	default:
		return (&Error{Reason: ReasonStatus, Status: status}).unavailable(0)
	}
}

// statusUnknownID is what the legacy server is taken to say about an id that is none
// of its own kind: it is not documented, and its own ids are UUIDs of version 1.
const statusUnknownID = http.StatusBadRequest

// brokenOff is the failure of a read without a whole answer.
func (c *Client) brokenOff(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // the rest of it is the address
	}
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return (&Error{Reason: ReasonResting}).unavailable(c.cfg.Rest)
	case errors.Is(err, resty.ErrResponseBodyTooLarge):
		return (&Error{Reason: ReasonTooLarge, Text: "more than " + strconv.Itoa(c.cfg.MaxBody) + " bytes"}).unavailable(0)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return (&Error{Reason: ReasonTimeout}).unavailable(0)
	default:
		return (&Error{Reason: ReasonUnreachable, Text: "no whole answer", Err: ofConnection(err)}).unavailable(0)
	}
}

// ofConnection returns the part of err that is about the connection alone; others
// quote what the server has sent.
func ofConnection(err error) error {
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return failed
	}
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return failed
	}
	return nil
}
