package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// The states and roles that this package acts on; there are more.
const (
	stateActive = "active"
	stateEnded  = "ended"

	roleCustomer   = "customer"
	roleSupervisor = "supervisor"
	roleController = "controller"
)

// ensureTries bounds how often EnsureSession starts over because a session ended, or
// somebody was taken out of it, before it could be used.
const ensureTries = 5

// errAgain says that what was found does not hold any more.
var errAgain = errors.New("the session has changed meanwhile")

// ReuseError says that the live session of a conversation is not what a request asks
// for and cannot become it: another site is shared, somebody who shall share comes too
// late, or has another role. It wraps the [*Error] of the service, of status 409.
type ReuseError struct {
	Session Session // the live one; others may be using it
	Invite  *Invite // who cannot take part in it; nil if it is not about one
	Err     error
}

// Error names the session, who cannot take part, and why.
func (e *ReuseError) Error() string {
	switch {
	case e.Invite == nil:
		return fmt.Sprintf("session %s cannot be used: %v", e.Session.ID, e.Err)
	case e.Invite.UserID == "":
		return fmt.Sprintf("session %s cannot be used, without a %s: %v", e.Session.ID, e.Invite.Role, e.Err)
	default:
		return fmt.Sprintf("session %s cannot be used, without %s as %q: %v", e.Session.ID, e.Invite.UserID, e.Invite.Role, e.Err)
	}
}

// Unwrap returns Err.
func (e *ReuseError) Unwrap() error { return e.Err }

// EnsureSession returns the live session of a conversation, and creates it if there is
// none. Whoever the request names takes part in it and has a fresh JoinURL; of a
// session that was there, those whom it lacks are invited, its settings stay, and
// others have no JoinURL. If it ends before it can be used, another one is created.
//
// It fails as [Client.CreateSession] does, but for the 409; and with a [*ReuseError],
// together with the session, where the live one cannot be used: end it first, or do
// without. An IdempotencyKey holds for the first create; if that session has ended
// since, a new one is created. Scopes cobrowse:session:write and cobrowse:session:read.
func (c *Client) EnsureSession(ctx context.Context, in NewSession) (session Session, created bool, err error) {
	var met error
	for range ensureTries {
		session, err = c.CreateSession(ctx, in)
		refused, ok := errors.AsType[*Error](err)
		switch {
		case err == nil && session.State != stateEnded:
			return session, true, nil
		case err == nil: // an earlier request with this key had created it
			in.IdempotencyKey, met = "", fmt.Errorf("session %s has ended", session.ID)
			continue
		case !ok || refused.Status != http.StatusConflict || refused.SessionID == "":
			return Session{}, false, err
		}
		if session, err = c.reuse(ctx, in, refused); !errors.Is(err, errAgain) {
			return session, false, err
		}
		met = refused
	}
	return Session{}, false, fmt.Errorf("create or reuse a session: %d ended before they could be used: %w", ensureTries, met)
}

// reuse makes the session that a 409 names serve the request. It fails with errAgain
// if there is no such session any more.
func (c *Client) reuse(ctx context.Context, in NewSession, refused *Error) (Session, error) {
	session, err := c.liveSession(ctx, refused.SessionID)
	switch {
	case err != nil:
		return Session{}, err
	case session.ConversationID != in.ConversationID:
		return Session{}, fmt.Errorf("session %s, which is said to be in the way, is on another conversation: %w", session.ID, refused)
	case in.DeploymentID != "" && session.DeploymentID != in.DeploymentID:
		return session, &ReuseError{Session: session, Err: fmt.Errorf("it shares the site of deployment %q: %w", session.DeploymentID, refused)}
	}
	for _, invite := range in.Participants {
		err := c.seat(ctx, &session, invite)
		if reuse, ok := errors.AsType[*ReuseError](err); ok {
			return reuse.Session, err
		}
		if err != nil {
			return Session{}, err
		}
	}
	return session, nil
}

// liveSession returns a session that lives, or errAgain.
func (c *Client) liveSession(ctx context.Context, id string) (Session, error) {
	session, err := c.Session(ctx, id)
	if StatusOf(err) == http.StatusNotFound || err == nil && session.State == stateEnded {
		return Session{}, errAgain
	}
	return session, err
}

// seat sees to it that somebody takes part in the session and has a fresh JoinURL.
func (c *Client) seat(ctx context.Context, session *Session, in Invite) error {
	i := placeOf(*session, in)
	if i < 0 {
		added, err := c.AddParticipant(ctx, session.ID, in)
		if err == nil {
			session.Participants = append(session.Participants, added)
			return nil
		}
		// Somebody else may have added the same one at the same moment, or the answer
		// got lost: what counts is who is there now.
		now, lookErr := c.liveSession(ctx, session.ID)
		if lookErr != nil {
			return lookErr
		}
		if i = placeOf(now, in); i < 0 && StatusOf(err) == http.StatusConflict {
			return &ReuseError{Session: now, Invite: &in, Err: err}
		}
		if i < 0 {
			return fmt.Errorf("add a participant to session %s: %w", session.ID, err)
		}
		*session = keepURLs(now, *session)
	}
	token, err := c.IssueJoinToken(ctx, session.ID, session.Participants[i].ID)
	switch StatusOf(err) {
	case http.StatusConflict, http.StatusNotFound: // ended, or taken out
		return errAgain
	}
	session.Participants[i].JoinURL = token.JoinURL
	return err
}

// placeOf finds whom an invite names among those who take part; -1 if nobody is it,
// or somebody who is not what the invite asks for.
func placeOf(session Session, in Invite) int {
	return slices.IndexFunc(session.Participants, func(p Participant) bool {
		if in.Role == roleCustomer {
			return p.Role == roleCustomer
		}
		return p.UserID != "" && p.UserID == in.UserID && (in.Role == "" || in.Role == p.Role) &&
			(p.AllowControl || !in.AllowControl || p.Role != roleSupervisor)
	})
}

// keepURLs puts the join URLs of old to those who still take part.
func keepURLs(session, old Session) Session {
	for i, p := range session.Participants {
		j := slices.IndexFunc(old.Participants, func(q Participant) bool { return q.ID == p.ID })
		if j >= 0 && p.JoinURL == "" {
			session.Participants[i].JoinURL = old.Participants[j].JoinURL
		}
	}
	return session
}
