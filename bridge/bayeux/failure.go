package bayeux

import (
	"errors"
	"strconv"
	"strings"
)

// Error is a failure that is told to the client, in the form that the protocol
// has for it: "code:args:text", for instance "404:407215938:No such session". It
// is a value: do not change one that was returned.
type Error struct {
	Code int      // three digits, with the meanings of HTTP
	Args []string // what it is about; may be nil. A colon or comma in one becomes a space
	Text string   // for people; safe to be shown
}

// Error returns what the client is told.
func (e *Error) Error() string {
	args := make([]string, len(e.Args))
	for i, arg := range e.Args {
		args[i] = strings.NewReplacer(":", " ", ",", " ").Replace(arg)
	}
	return strconv.Itoa(e.Code) + ":" + strings.Join(args, ",") + ":" + e.Text
}

// ErrUnknownClient is returned for a client that never was or has been forgotten.
var ErrUnknownClient = errors.New("unknown client")

// ErrOverflow is returned for a client for which more waits than it may: it is
// forgotten.
var ErrOverflow = errors.New("too much waits for the client")

// What clients are told about their messages.
func errUnknownClient() *Error { return &Error{Code: 402, Text: "Unknown client"} }

func errBad(text string) *Error { return &Error{Code: 400, Text: text} }

func errForbidden(channel string) *Error {
	return &Error{Code: 403, Args: []string{channel}, Text: "Forbidden"}
}

func errNoChannel(channel string) *Error {
	return &Error{Code: 404, Args: []string{channel}, Text: "Unknown channel"}
}

func errInternal() *Error { return &Error{Code: 500, Text: "Internal error"} }

func errTooMany() *Error { return &Error{Code: 429, Text: "Too many messages"} }

func errBusy(text string) *Error { return &Error{Code: 503, Text: text} }
