package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Error is an answer of the service that is not a success.
type Error struct {
	Status     int               // HTTP status
	Code       string            // dotted name, such as request.conflict; of RFC 6749 for tokens, such as invalid_client; may be empty
	Message    string            // for people
	ContextID  string            // names the request in the service's log
	Params     map[string]string // values that the message speaks of
	Details    []Detail          // one for each problem of a request
	SessionID  string            // with 409 on create and attach: the live session that is in the way
	RetryAfter time.Duration     // what the service asks to wait; 0 = nothing said
}

// Detail is one of several problems of a request.
type Detail struct {
	ErrorCode  string `json:"errorCode,omitempty"`
	FieldName  string `json:"fieldName,omitempty"` // path in the body, such as participants[1].role
	EntityID   string `json:"entityId,omitempty"`
	EntityName string `json:"entityName,omitempty"`
}

// Bounds of what an error says, which may come from anywhere and go into a log.
const (
	maxText    = 300 // characters of one thing
	maxDetails = 10
)

// Error returns status, code, message, the fields with problems and the request's id,
// all of reasonable length.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", e.Status, http.StatusText(e.Status))
	if e.Code != "" {
		fmt.Fprintf(&b, " (%.*s)", maxText, e.Code)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %.*s", maxText, e.Message)
	}
	fields := 0
	for _, d := range e.Details {
		if d.FieldName == "" {
			continue
		}
		if fields++; fields > maxDetails {
			b.WriteString(" and more")
			break
		}
		fmt.Fprintf(&b, " [%.*s: %.*s]", maxText, d.FieldName, maxText, d.ErrorCode)
	}
	if e.ContextID != "" {
		fmt.Fprintf(&b, " (request %.*s)", maxText, e.ContextID)
	}
	return b.String()
}

// StatusOf returns the HTTP status of an [*Error] in err's chain, 0 if there is none.
func StatusOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// newError reads an answer. One that is not the service's envelope, for instance
// of a proxy in between, gives an error without code; its text is not shown.
func newError(status int, h http.Header, body []byte) *Error {
	var envelope struct {
		Message       string            `json:"message"`
		Code          string            `json:"code"`
		MessageParams map[string]string `json:"messageParams"`
		ContextID     string            `json:"contextId"`
		Details       []Detail          `json:"details"`
		SessionID     string            `json:"sessionId"`
	}
	if len(body) > 0 && json.Unmarshal(body, &envelope) != nil { // an answer to HEAD has none
		envelope.Message = "the answer is not the service's; something in between may have sent it"
	}
	if len(body) == 0 && status/100 == http.StatusMultipleChoices/100 { // the service does not
		envelope.Message = "the answer leads elsewhere; is the base URL that of the service?"
	}
	e := &Error{
		Status: status, Code: envelope.Code, Message: envelope.Message, ContextID: envelope.ContextID, Params: envelope.MessageParams,
		Details: envelope.Details, SessionID: envelope.SessionID, RetryAfter: retryAfter(h),
	}
	if e.ContextID == "" {
		e.ContextID = h.Get("ININ-Correlation-Id")
	}
	return e
}

// tokenFailure returns the refusal of a token request that is the cause of err.
func tokenFailure(err error) (*Error, bool) {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || refused.Response == nil {
		return nil, false
	}
	return &Error{
		Status: refused.Response.StatusCode, Code: refused.ErrorCode, Message: refused.ErrorDescription,
		ContextID: refused.Response.Header.Get("ININ-Correlation-Id"), RetryAfter: retryAfter(refused.Response.Header),
	}, true
}
