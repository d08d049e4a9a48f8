package genesys

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/sony/gobreaker/v2"

	"github.com/cobridge/cobridge"
)

// Reason says why a call failed.
type Reason string

// The reasons.
const (
	ReasonUnreachable       Reason = "unreachable"       // no connection, or it broke off
	ReasonTimeout           Reason = "timeout"           // no whole answer in time
	ReasonBusy              Reason = "busy"              // 429
	ReasonServerError       Reason = "serverError"       // 5xx
	ReasonBadCredentials    Reason = "badCredentials"    // the OAuth client's id or secret is refused
	ReasonTokenRefused      Reason = "tokenRefused"      // a fresh access token is refused
	ReasonMissingScope      Reason = "missingScope"      // the OAuth client may not ask for this at all
	ReasonMissingPermission Reason = "missingPermission" // its roles do not cover this
	ReasonRedirect          Reason = "redirect"          // to somewhere else, where nobody follows
	ReasonStatus            Reason = "status"            // any other
	ReasonTooLarge          Reason = "tooLarge"
	ReasonNotJSON           Reason = "notJson"   // a page, or half an answer
	ReasonBadAnswer         Reason = "badAnswer" // JSON, but not what it should be
	ReasonOtherID           Reason = "otherId"   // the answer is about something else than the question
)

// Reasons returns every reason.
func Reasons() []Reason {
	return []Reason{
		ReasonUnreachable, ReasonTimeout, ReasonBusy, ReasonServerError, ReasonBadCredentials, ReasonTokenRefused,
		ReasonMissingScope, ReasonMissingPermission, ReasonRedirect, ReasonStatus, ReasonTooLarge, ReasonNotJSON, ReasonBadAnswer, ReasonOtherID,
	}
}

// Advice is one sentence for whoever runs the service: what is wrong and what to do.
func (r Reason) Advice() string {
	switch r {
	case ReasonUnreachable:
		return "The Genesys Cloud service cannot be reached; check genesysCloud.region or baseUrl, name resolution, proxy and firewall."
	case ReasonTimeout:
		return "The Genesys Cloud service does not answer in time; look at its status page and at the line, or raise genesysCloud.timeout."
	case ReasonBusy:
		return "The Genesys Cloud service limits the rate of this OAuth client; wait, and look for other programs that use the same client."
	case ReasonServerError:
		return "The Genesys Cloud service fails by itself; look at its status page."
	case ReasonBadCredentials:
		return "The Genesys Cloud service refuses the OAuth client; check genesysCloud.clientId, clientSecret and the region, and that the client is active and of the grant type Client Credentials."
	case ReasonTokenRefused:
		return "The Genesys Cloud service refuses an access token that it has just given out; check that genesysCloud.loginUrl belongs to the same region as the API."
	case ReasonMissingScope:
		return "The OAuth client lacks a scope at the Genesys Cloud service; give it conversations and users:readonly."
	case ReasonMissingPermission:
		return "The roles of the OAuth client at the Genesys Cloud service do not cover this call; give it the permissions of docs/genesys-cloud.md in all divisions concerned."
	case ReasonRedirect, ReasonNotJSON:
		return "Something that is not the Genesys Cloud API answers; check genesysCloud.region or baseUrl, and proxies in between."
	case ReasonStatus:
		return "The Genesys Cloud service refuses the call; the log has its status and code."
	case ReasonTooLarge, ReasonBadAnswer, ReasonOtherID:
		return "The Genesys Cloud service gives an answer that is none to the question; report it with the correlation id."
	}
	return "The Genesys Cloud service gives no usable answer."
}

// passing reports whether repeating the call soon may help.
func (r Reason) passing() bool {
	switch r {
	case ReasonUnreachable, ReasonTimeout, ReasonServerError, ReasonBusy:
		return true
	default:
		return false
	}
}

// Error is the cause of a call that failed. It stands in a *cobridge.Error with
// CodeUnavailable, whose message is the reason's advice.
type Error struct {
	Reason Reason
	Status int    // HTTP status; 0 if there was no answer
	Code   string // of the service's envelope or its OAuth error; may be empty
	Text   string // more than the reason says, for people; may be empty
	Err    error  // of the connection; may be nil

	after time.Duration // what the service asks to wait; 0 = nothing said
	rests bool          // no call was made: it has failed so often that it is left alone for a while
}

// Error says what is known, for logs: no credentials, no path and nothing else of
// what was sent.
func (e *Error) Error() string {
	text := "genesys cloud: " + string(e.Reason)
	if e.Status != 0 {
		text += " (" + strconv.Itoa(e.Status) + ")"
	}
	if e.Code != "" {
		text += ": " + e.Code
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

const (
	// retrySoon and retryLater are what callers are told to wait where the service
	// says nothing: until an outage may be over, and until somebody may have
	// corrected a setting.
	retrySoon  = 10 * time.Second
	retryLater = time.Minute
)

// unavailable makes a failure of e that callers may see.
func (e *Error) unavailable() error {
	usual := retryLater
	if e.Reason.passing() {
		usual = retrySoon
	}
	return &cobridge.Error{
		Code: cobridge.CodeUnavailable, Message: e.Reason.Advice(), Params: map[string]string{"reason": string(e.Reason)},
		RetryAfter: cmp.Or(e.after, usual), Err: e,
	}
}

// ReasonOf returns why a call failed, "" if err has none.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

// envelope is what is read of the service's errors.
type envelope struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Status    int    `json:"status"`
	ContextID string `json:"contextId"`
}

var (
	// A code that may be repeated in logs, and the part of a message that names scopes
	// or permissions: the rest of what a foreign service writes stays out.
	codePattern  = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+){0,15}$`)
	namesPattern = regexp.MustCompile(`\[[A-Za-z0-9:_*., -]{1,300}\]`)
)

// failureOf turns what a call ended with into a failure; nil for a 2xx answer.
func failureOf(resp *resty.Response, err error) *Error {
	if err != nil && !errors.Is(err, errGiveUp) {
		return brokenOff(err)
	}
	status := resp.StatusCode()
	if status >= 200 && status < 300 {
		return nil
	}
	var body envelope
	own := json.Unmarshal(resp.Body(), &body) == nil && codePattern.MatchString(body.Code)
	e := &Error{Status: status, after: retryAfter(resp.Header())}
	if own {
		e.Code = body.Code
	}
	switch {
	case status == http.StatusUnauthorized:
		e.Reason = ReasonTokenRefused
	case status == http.StatusForbidden && body.Code == "app.not.authorized.for.scope":
		e.Reason, e.Text = ReasonMissingScope, namesPattern.FindString(body.Message)
	case status == http.StatusForbidden && own:
		e.Reason, e.Text = ReasonMissingPermission, namesPattern.FindString(body.Message)
	case status == http.StatusTooManyRequests:
		e.Reason = ReasonBusy
	case status >= http.StatusInternalServerError:
		e.Reason = ReasonServerError
	case status >= 300 && status < 400:
		e.Reason = ReasonRedirect
	case !own:
		e.Reason = ReasonNotJSON // the service itself answers with its envelope, 404 included
	default:
		e.Reason = ReasonStatus
		// Some gateways speak similarly, so that a code alone is not enough where
		// "not found" would have consequences.
		if body.Status != status || body.ContextID == "" && resp.Header().Get(correlationHeader) == "" {
			e.Reason = ReasonNotJSON
		}
	}
	return e
}

// is reports whether the service itself refuses with this status.
func (e *Error) is(status int) bool { return e.Reason == ReasonStatus && e.Status == status }

// brokenOff is the failure of a call without a whole answer.
func brokenOff(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		own := *e // of the token, which all who waited for it got
		return &own
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // the rest of it is the address
	}
	var timeout net.Error
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return &Error{Reason: ReasonUnreachable, Text: "left alone for a while", rests: true}
	case errors.Is(err, resty.ErrResponseBodyTooLarge):
		return &Error{Reason: ReasonTooLarge}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Reason: ReasonTimeout}
	default:
		return &Error{Reason: ReasonUnreachable, Text: "no whole answer", Err: ofConnection(err)}
	}
}

// ofConnection returns the part of err that is about the connection alone; others
// quote what the service has sent.
func ofConnection(err error) error {
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return failed
	}
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return failed
	}
	return nil
}

// retryAfter reads Retry-After: seconds or a date, which is compared with the
// answer's own. 0 = nothing said.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(now))
}
