package cobridge

import (
	"errors"
	"slices"
	"time"
)

// Code names a kind of failure. Codes are published: they stand in error answers
// and in docs/errors.md, and are never renamed. Those that Genesys Cloud has are
// spelled as there (https://developer.genesys.cloud/platform/api/errors).
type Code string

// The published codes. bridge/web maps each of them to one HTTP status.
const (
	CodeBadRequest           Code = "bad.request"                         // the body cannot be read as what it should be
	CodeConstraintValidation Code = "constraint.validation"               // one or more fields break a rule; see Error.Details
	CodeInvalidQueryParam    Code = "invalid.query.param.value"           // a query parameter breaks a rule
	CodeNotAUser             Code = "not.a.user"                          // the call needs a user; the caller is an application
	CodeIdempotencyMismatch  Code = "idempotency.key.reused"              // an Idempotency-Key came back with another body
	CodeStateRequired        Code = "communication.state.required"        // a communication can be disconnected, nothing else
	CodeQueueNotFound        Code = "conversations.error.queue.not.found" // nothing is handed over to queues here
	CodeAttributeNull        Code = "conversation.error.participant.attribute.null"
	CodeInvalidTopic         Code = "notification.invalid.topic"
	CodeTooManySubscriptions Code = "notification.subscription.too.many.subscriptions"
	CodeAuthRequired         Code = "authentication.required" // no usable Authorization header
	CodeBadCredentials       Code = "bad.credentials"         // unknown, expired or revoked access token
	CodeJoinTokenInvalid     Code = "join.token.invalid"      // not a join token of this installation, or not for this session
	CodeJoinTokenExpired     Code = "join.token.expired"      // its fifteen minutes are over
	CodeResumeInvalid        Code = "resume.invalid"          // the resume secret is unknown, replaced or too old
	CodeMissingScope         Code = "app.not.authorized.for.scope"
	CodeMissingPermissions   Code = "missing.permissions"             // the user lacks a capability
	CodeNotAuthorized        Code = "not.authorized"                  // known caller, forbidden action (for instance a foreign Origin)
	CodeUnauthorizedTopic    Code = "notification.unauthorized.topic" // the client may not have this topic, or there is no such user
	CodeNotFound             Code = "not.found"
	CodeEntityNotFound       Code = "entity.not.found" // a notification channel
	CodeUserNotFound         Code = "general.resource.not.found"
	CodeConversationNotFound Code = "conversation.error.conversation.not.found"
	CodeParticipantNotFound  Code = "conversation.error.participant.not.found"
	CodeMethodNotAllowed     Code = "method.not.allowed"
	CodeClientTimeout        Code = "client.timeout"
	CodeConflict             Code = "request.conflict"
	CodeJoinTokenUsed        Code = "join.token.used"        // it was redeemed before
	CodeSessionEnded         Code = "cobrowse.session.ended" // the session a token or secret belongs to is over
	CodeTooLarge             Code = "request.entity.too.large"
	CodeUnsupportedMediaType Code = "unsupported.media.type"
	CodeHeaderTooLarge       Code = "request.header.too.large"
	CodeTooManyRequests      Code = "too.many.requests.retry.after"
	CodeInternal             Code = "internal.server.error"
	CodeUnavailable          Code = "service.unavailable"
	CodeRequestTimeout       Code = "request.timeout"
)

// Codes returns every published code, in the order of docs/errors.md.
func Codes() []Code {
	return slices.Clone(codes)
}

var codes = []Code{
	CodeBadRequest, CodeConstraintValidation, CodeInvalidQueryParam, CodeNotAUser, CodeIdempotencyMismatch,
	CodeStateRequired, CodeQueueNotFound, CodeAttributeNull,
	CodeInvalidTopic, CodeTooManySubscriptions,
	CodeAuthRequired, CodeBadCredentials, CodeJoinTokenInvalid, CodeJoinTokenExpired, CodeResumeInvalid,
	CodeMissingScope, CodeMissingPermissions, CodeNotAuthorized, CodeUnauthorizedTopic,
	CodeNotFound, CodeEntityNotFound, CodeUserNotFound, CodeConversationNotFound, CodeParticipantNotFound,
	CodeMethodNotAllowed, CodeClientTimeout,
	CodeConflict, CodeJoinTokenUsed, CodeSessionEnded,
	CodeTooLarge, CodeUnsupportedMediaType, CodeHeaderTooLarge, CodeTooManyRequests,
	CodeInternal, CodeUnavailable, CodeRequestTimeout,
}

// Detail is one of several problems in one request, or the precise reason behind
// a broader Code. All members are optional.
type Detail struct {
	ErrorCode  string // dotted, lower case; for instance "cobrowse.agent.busy"
	FieldName  string // path of the field in the request, for instance "participants[1].role"
	EntityID   string
	EntityName string // what kind of thing EntityID names, for instance "cobrowseSession"
}

// Error is a failure that a caller may see. It is a value: do not change one
// that was returned.
type Error struct {
	Code       Code
	Message    string            // one sentence that is safe to show to the caller
	Params     map[string]string // values the message speaks of; may be nil
	Details    []Detail
	EntityID   string        // the thing the failure is about, if there is one
	EntityName string        // its kind
	RetryAfter time.Duration // with CodeTooManyRequests and CodeUnavailable; else 0
	Err        error         // the cause, for the log alone; may be nil
}

// Error returns code, message and cause. It is meant for logs.
func (e *Error) Error() string {
	text := string(e.Code) + ": " + e.Message
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first [Error] in err's chain, "" for nil, and
// [CodeInternal] for any other error.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
