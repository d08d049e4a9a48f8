package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-resty/resty/v2"
)

// patience is for how long a wait goes on looking while nothing but failures comes
// back: a service that is restarted or moved is back by then, an address that is wrong
// is not.
const patience = 10 * time.Minute

// EndedError says that a session ended while something else of it was waited for.
type EndedError struct {
	Session Session // as it ended; DateActivated tells whether it was active before
}

// Error names the session and why it ended.
func (e *EndedError) Error() string {
	reason := e.Session.EndReason
	if reason == "" {
		reason = "nobody knows why"
	}
	if e.Session.DateActivated.IsZero() {
		return fmt.Sprintf("session %s ended before it became active: %s", e.Session.ID, reason)
	}
	return fmt.Sprintf("session %s has ended: %s", e.Session.ID, reason)
}

// WaitActive waits until a session is active: the one who shares and somebody who
// looks on are there. It fails with an [*EndedError] if the session ends, or has ended,
// with the context's error, and as [Client.Session] does.
//
// It looks again and again, which needs no WebSocket and goes through any proxy: at
// first after a fraction of a second, later each [Options].PollEvery, or when the
// service wants it in a Retry-After. A service that is away is waited for, up to ten
// minutes. Scope cobrowse:session:read.
func (c *Client) WaitActive(ctx context.Context, sessionID string) (Session, error) {
	session, err := c.wait(ctx, sessionID, stateActive, func(s Session) bool { return s.State == stateActive || s.State == stateEnded })
	if err == nil && session.State == stateEnded {
		return session, &EndedError{Session: session}
	}
	return session, err
}

// WaitEnded waits until a session has ended and returns it with its EndReason. It
// looks, and fails, as [Client.WaitActive] does.
func (c *Client) WaitEnded(ctx context.Context, sessionID string) (Session, error) {
	return c.wait(ctx, sessionID, stateEnded, func(s Session) bool { return s.State == stateEnded })
}

// wait looks at a session until it is as wanted.
func (c *Client) wait(ctx context.Context, id, state string, wanted func(Session) bool) (Session, error) {
	var last Session
	var failure error // of the latest look; nil = it saw the session
	away := time.Duration(0)
	for pause := min(firstWait, c.poll); ; pause = min(pause*3/2, c.poll) {
		session, err := c.Session(ctx, id)
		next := pause
		switch {
		case err == nil && wanted(session):
			return session, nil
		case err == nil:
			last, failure, away = session, nil, 0
		case ctx.Err() != nil: // see below
		case passes(err):
			failure = err
			if refused, ok := errors.AsType[*Error](err); ok {
				next = max(next, refused.RetryAfter)
			}
			if away += next; away > patience {
				return last, fmt.Errorf("wait until session %s is %s: %w", id, state, err)
			}
		default:
			return last, fmt.Errorf("wait until session %s is %s: %w", id, state, err)
		}
		if err := rest(ctx, next); err != nil {
			if failure != nil {
				return last, fmt.Errorf("wait until session %s is %s: %w; the service's latest answer: %w", id, state, err, failure)
			}
			return last, fmt.Errorf("wait until session %s is %s: %w", id, state, err)
		}
	}
}

// rest waits for d and a little more, so that those who began together do not stay
// together; or until the context ends.
func rest(ctx context.Context, d time.Duration) error {
	if ctx.Err() == nil {
		timer := time.NewTimer(d + rand.N(d/8+1)) //nolint:gosec // nobody gains from guessing it
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// passes reports whether a failure of a look may be over at the next one.
func passes(err error) bool {
	if refused, ok := errors.AsType[*Error](err); ok {
		return retryStatus(refused.Status)
	}
	return !errors.Is(err, errAnswer) && !errors.Is(err, resty.ErrResponseBodyTooLarge)
}
