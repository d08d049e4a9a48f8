package web

import (
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// outcome is what a code means in HTTP, and the text for a failure that brings none.
type outcome struct {
	status int
	text   string
}

// statusOf is the whole mapping. TestEveryCodeHasAStatus walks cobridge.Codes()
// against it and against docs/errors.md, so no code can be forgotten.
var statusOf = map[cobridge.Code]outcome{
	cobridge.CodeBadRequest:           {fiber.StatusBadRequest, "The request could not be understood."},
	cobridge.CodeConstraintValidation: {fiber.StatusBadRequest, "The request breaks one or more rules."},
	cobridge.CodeInvalidQueryParam:    {fiber.StatusBadRequest, "A query parameter has a value that is not allowed."},
	cobridge.CodeNotAUser:             {fiber.StatusBadRequest, "This call needs a user, but the caller is an application."},
	cobridge.CodeIdempotencyMismatch:  {fiber.StatusBadRequest, "The Idempotency-Key was used before with another request."},
	cobridge.CodeStateRequired:        {fiber.StatusBadRequest, "The state of a communication can only be changed to disconnected."},
	cobridge.CodeQueueNotFound:        {fiber.StatusBadRequest, "There is no such queue."},
	cobridge.CodeAttributeNull:        {fiber.StatusBadRequest, "The attributes must not be null."},
	cobridge.CodeInvalidTopic:         {fiber.StatusBadRequest, "There is no such topic."},
	cobridge.CodeTooManySubscriptions: {fiber.StatusBadRequest, "The channel would have too many topics."},
	cobridge.CodeAuthRequired:         {fiber.StatusUnauthorized, "No authentication bearer token was given."},
	cobridge.CodeBadCredentials:       {fiber.StatusUnauthorized, "The access token is not valid."},
	cobridge.CodeJoinTokenInvalid:     {fiber.StatusUnauthorized, "The join token is not valid."},
	cobridge.CodeJoinTokenExpired:     {fiber.StatusUnauthorized, "The join token has expired."},
	cobridge.CodeResumeInvalid:        {fiber.StatusUnauthorized, "The connection cannot be resumed."},
	cobridge.CodeMissingScope:         {fiber.StatusForbidden, "The client is not authorized for this scope."},
	cobridge.CodeMissingPermissions:   {fiber.StatusForbidden, "A permission is missing."},
	cobridge.CodeNotAuthorized:        {fiber.StatusForbidden, "This is not allowed."},
	cobridge.CodeUnauthorizedTopic:    {fiber.StatusForbidden, "The client may not subscribe to this topic."},
	cobridge.CodeNotFound:             {fiber.StatusNotFound, "There is nothing at this address."},
	cobridge.CodeEntityNotFound:       {fiber.StatusNotFound, "There is no notification channel with this id."},
	cobridge.CodeUserNotFound:         {fiber.StatusNotFound, "There is no user with this id."},
	cobridge.CodeConversationNotFound: {fiber.StatusNotFound, "There is no conversation with this id."},
	cobridge.CodeParticipantNotFound:  {fiber.StatusNotFound, "There is no participant with this id."},
	cobridge.CodeMethodNotAllowed:     {fiber.StatusMethodNotAllowed, "The address does not support this method."},
	cobridge.CodeClientTimeout:        {fiber.StatusRequestTimeout, "The request did not arrive in time."},
	cobridge.CodeConflict:             {fiber.StatusConflict, "The request conflicts with the present state."},
	cobridge.CodeJoinTokenUsed:        {fiber.StatusGone, "The join token was used before."},
	cobridge.CodeSessionEnded:         {fiber.StatusGone, "The cobrowse session has ended."},
	cobridge.CodeTooLarge:             {fiber.StatusRequestEntityTooLarge, "The body is too large."},
	cobridge.CodeUnsupportedMediaType: {fiber.StatusUnsupportedMediaType, "The body must be application/json in UTF-8."},
	cobridge.CodeHeaderTooLarge:       {fiber.StatusRequestHeaderFieldsTooLarge, "The head of the request is too large."},
	cobridge.CodeTooManyRequests:      {fiber.StatusTooManyRequests, "Too many requests."},
	cobridge.CodeInternal:             {fiber.StatusInternalServerError, "An unexpected error occurred."},
	cobridge.CodeUnavailable:          {fiber.StatusServiceUnavailable, "The service is not available at the moment."},
	cobridge.CodeRequestTimeout:       {fiber.StatusGatewayTimeout, "The request could not be answered in time."},
}

// StatusOf returns the HTTP status that answers a failure with this code, and
// 500 for a code that is not published.
func StatusOf(code cobridge.Code) int {
	if o, ok := statusOf[code]; ok {
		return o.status
	}
	return fiber.StatusInternalServerError
}

// codeOfStatus names the failures that the router and the server find by
// themselves. They come as a bare status with a text that may hold parts of the
// request, so only the status is looked at.
func codeOfStatus(status int) cobridge.Code {
	switch status {
	case fiber.StatusUnauthorized:
		return cobridge.CodeAuthRequired
	case fiber.StatusForbidden:
		return cobridge.CodeNotAuthorized
	case fiber.StatusNotFound:
		return cobridge.CodeNotFound
	case fiber.StatusMethodNotAllowed:
		return cobridge.CodeMethodNotAllowed
	case fiber.StatusRequestTimeout:
		return cobridge.CodeClientTimeout
	case fiber.StatusRequestEntityTooLarge:
		return cobridge.CodeTooLarge
	case fiber.StatusUnsupportedMediaType:
		return cobridge.CodeUnsupportedMediaType
	case fiber.StatusTooManyRequests:
		return cobridge.CodeTooManyRequests
	case fiber.StatusRequestHeaderFieldsTooLarge:
		return cobridge.CodeHeaderTooLarge
	case fiber.StatusServiceUnavailable:
		return cobridge.CodeUnavailable
	case fiber.StatusGatewayTimeout:
		return cobridge.CodeRequestTimeout
	}
	if status >= fiber.StatusBadRequest && status < fiber.StatusInternalServerError {
		return cobridge.CodeBadRequest
	}
	return cobridge.CodeInternal
}
