package knowledge

import (
	"errors"

	"github.com/cobridge/cobridge"
)

// ErrIdentityTaken is what a [Store] answers where a live session has an identity of
// the new one.
var ErrIdentityTaken = errors.New("knowledge: a live session has this identity")

// textNotFound is the error text that the reference of 8.5.1 names.
const textNotFound = "Session not found"

// NotFound is the failure for a session that is unknown or has expired.
func NotFound() error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: textNotFound}
}

// alreadyExists does not name the other session: to know its id is to have it.
func alreadyExists() error {
	return &cobridge.Error{Code: cobridge.CodeConflict, Message: "a session of this customer or agent already exists"}
}

func tiedToAnother(kind IdentityKind) error {
	return &cobridge.Error{Code: cobridge.CodeConflict, Message: "session is already tied to another " + string(kind)}
}

func badRequest(text string) error {
	return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: text}
}
