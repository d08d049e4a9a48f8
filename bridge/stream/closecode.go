package stream

import (
	"cmp"
	"errors"
	"slices"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/cluster"
	"github.com/cobridge/cobridge/cobrowse"
)

// CloseCode is one way in which the server ends a connection.
type CloseCode struct {
	Number int    // as in RFC 6455, section 7.4
	Name   string // for docs and metrics
	// Again tells whether the client may connect again with what it has: no, yes,
	// or later, after a pause.
	Again string
}

// Values of [CloseCode.Again].
const (
	AgainNo    = "no"
	AgainYes   = "yes"
	AgainLater = "later"
)

var (
	closeEnded          = CloseCode{1000, "ended", AgainNo}
	closeGoingAway      = CloseCode{1001, "goingAway", AgainLater}
	closeTooLarge       = CloseCode{1009, "tooLarge", AgainNo}
	closeInternal       = CloseCode{1011, "internal", AgainLater}
	closeBadFrame       = CloseCode{4400, "badFrame", AgainNo}
	closeUnknown        = CloseCode{4401, "notAuthenticated", AgainNo}
	closeForbidden      = CloseCode{4403, "forbidden", AgainNo}
	closeNotFound       = CloseCode{4404, "notFound", AgainNo}
	closeTooSlow        = CloseCode{4408, "tooSlow", AgainYes}
	closeReplaced       = CloseCode{4409, "replaced", AgainNo}
	closeSessionOver    = CloseCode{4410, "sessionOver", AgainNo}
	closeBusy           = CloseCode{4423, "busy", AgainLater}
	closeConsentMissing = CloseCode{4428, "consentMissing", AgainNo}
	closeRate           = CloseCode{4429, "rate", AgainLater}
	closeOverloaded     = CloseCode{4503, "overloaded", AgainLater}
)

// closeLost is no code: the client is gone, or does not answer any more, and
// nothing can be said to it.
var closeLost = CloseCode{0, "lost", AgainYes}

// closeByClient is no code of ours: the client has closed.
var closeByClient = CloseCode{0, "client", AgainYes}

// CloseCodes returns every code that the server closes a connection with, as
// docs/protocol.md lists them. The library adds 1002 for broken WebSocket frames.
func CloseCodes() []CloseCode {
	return []CloseCode{
		closeEnded, closeGoingAway, closeTooLarge, closeInternal, closeBadFrame, closeUnknown, closeForbidden, closeNotFound,
		closeTooSlow, closeReplaced, closeSessionOver, closeBusy, closeConsentMissing, closeRate, closeOverloaded,
	}
}

// closeFor names the close code for a failure of the service, and the reason
// that goes with it.
func closeFor(err error) (CloseCode, string) {
	if _, ok := errors.AsType[*cluster.ElsewhereError](err); ok {
		return closeGoingAway, comeAgain(0)
	}
	code := cobridge.CodeOf(err)
	switch code {
	case cobridge.CodeJoinTokenInvalid, cobridge.CodeJoinTokenExpired, cobridge.CodeJoinTokenUsed, cobridge.CodeResumeInvalid,
		cobridge.CodeAuthRequired, cobridge.CodeBadCredentials:
		return closeUnknown, string(code)
	case cobridge.CodeNotAuthorized, cobridge.CodeMissingPermissions:
		return closeForbidden, string(code)
	case cobridge.CodeNotFound, cobridge.CodeParticipantNotFound:
		return closeNotFound, string(code)
	case cobridge.CodeSessionEnded:
		return closeSessionOver, string(code)
	case cobridge.CodeConflict:
		if detailOf(err) == cobrowse.DetailOtherTab {
			return closeReplaced, "otherTab"
		}
		return closeBusy, cmp.Or(detailOf(err), string(code))
	case cobridge.CodeTooManyRequests:
		return closeRate, string(code)
	case cobridge.CodeUnavailable, cobridge.CodeRequestTimeout:
		return closeOverloaded, string(code)
	default:
		return closeInternal, string(cobridge.CodeInternal)
	}
}

// detailOf returns the precise reason of a failure, such as [cobrowse.DetailAgentBusy].
func detailOf(err error) string {
	e, ok := asError(err)
	if !ok {
		return ""
	}
	known := []string{cobrowse.DetailAgentBusy, cobrowse.DetailOtherTab}
	if i := slices.IndexFunc(e.Details, func(d cobridge.Detail) bool { return slices.Contains(known, d.ErrorCode) }); i >= 0 {
		return e.Details[i].ErrorCode
	}
	return ""
}
