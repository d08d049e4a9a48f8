package legacy

import (
	"context"
	"log/slog"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// maxDigitsText bounds the text of nine digits with what people put between them, in bytes.
const maxDigitsText = 64

// readDigits reads nine digits as people write them. What is none belongs to no
// session, so it is like unknown digits to the caller, but costs neither a guess nor
// a look.
func readDigits(text string) (cobrowse.SessionToken, error) {
	if len(text) > maxDigitsText {
		return "", unknownDigits()
	}
	token, err := cobrowse.ParseSessionToken(text)
	if err != nil {
		return "", unknownDigits()
	}
	return token, nil
}

func unknownDigits() error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No live session has this session token."}
}

func badRole() error {
	return &cobridge.Error{
		Code: cobridge.CodeBadRequest, Message: "The role must be 1 (customer), 2 (agent) or 3 (controller).",
		Details: []cobridge.Detail{{ErrorCode: "unknown", FieldName: "role"}},
	}
}

// guess looks digits up. Wrong ones count against whoever tries, and against
// everybody together.
func (l *live) guess(ctx context.Context, network string, look func() error) error {
	digits := l.Limits.SessionTokens
	if digits == nil {
		return look()
	}
	if err := digits.Check(ctx, network); err != nil {
		return err
	}
	err := look()
	switch cobridge.CodeOf(err) {
	case "":
		digits.Succeed(network)
	case cobridge.CodeNotFound, cobridge.CodeUnavailable: // unknown here, and nobody else can say
		if err := digits.Fail(ctx, network); err != nil {
			return err
		}
	default: // neither right nor wrong
	}
	return err
}

// open begins a session.
func (l *live) open(ctx context.Context, network string) (cobrowse.Session, error) {
	if err := allow(ctx, l.Limits.Starts, network); err != nil {
		return cobrowse.Session{}, err
	}
	session, err := l.Sessions.Open(ctx, cobrowse.OpenRequest{OrgID: l.Org, DeploymentID: l.Deployment})
	if cobridge.CodeOf(err) == cobridge.CodeNotFound { // the deployment of the configuration: nothing that the caller could know
		return cobrowse.Session{}, &cobridge.Error{Code: cobridge.CodeUnavailable, Err: err}
	} else if err != nil {
		return cobrowse.Session{}, err
	}
	l.logCreated(ctx, session)
	return session, nil
}

// maskedDigits stand in the log in place of the nine digits.
const maskedDigits = "*********"

// logCreated writes the line that operators of the old server look for: "Session
// created. Token: {} Id: {}".
func (l *live) logCreated(ctx context.Context, s cobrowse.Session) {
	digits := maskedDigits
	if l.LogSessionToken {
		digits = string(s.Token)
	}
	line := "Session created. Token: " + digits + " Id: " + string(s.ID)
	l.Log.LogAttrs(ctx, slog.LevelInfo, line) //nolint:sloglint // the text is that of the old product, values and all
}

// enter lets somebody in who knows the nine digits.
func (l *live) enter(ctx context.Context, network string, r cobrowse.EnterRequest) (cobrowse.Entered, error) {
	var e cobrowse.Entered
	err := l.guess(ctx, network, func() (err error) {
		e, err = l.Sessions.Enter(ctx, r)
		return err
	})
	return e, err
}
