package oauth

// ErrorCode is an "error" value of RFC 6749, section 5.2.
type ErrorCode string

// The codes that this package fails with.
const (
	CodeInvalidRequest       ErrorCode = "invalid_request"
	CodeInvalidClient        ErrorCode = "invalid_client"
	CodeUnauthorizedClient   ErrorCode = "unauthorized_client"
	CodeUnsupportedGrantType ErrorCode = "unsupported_grant_type"
	CodeInvalidScope         ErrorCode = "invalid_scope"
)

// Error is a refusal at one of the OAuth endpoints, which do not speak the error
// envelope of the rest of the API. It says nothing that helps in guessing credentials.
type Error struct {
	Code        ErrorCode
	Description string // safe to show; ASCII, as RFC 6749 demands
}

// Error returns code and description.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Description }
