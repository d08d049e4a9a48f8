package client

import (
	"context"
	"net/http"
	"time"
)

// RefreshJoinURLs returns a live session as [Client.CreateSession] does: everybody in
// it has a fresh JoinURL. URLs that were given out before stay as they are. 404 if
// there is no such session, 409 if it has ended. Scope cobrowse:session:read.
func (c *Client) RefreshJoinURLs(ctx context.Context, sessionID string) (Session, error) {
	session, err := c.Session(ctx, sessionID)
	if err != nil {
		return Session{}, err
	}
	all := session.Participants
	session.Participants = make([]Participant, 0, len(all))
	for _, p := range all {
		if p.Role != roleController { // which has nothing to look at
			token, err := c.IssueJoinToken(ctx, sessionID, p.ID)
			if StatusOf(err) == http.StatusNotFound { // was taken out a moment ago
				continue
			}
			if err != nil {
				return Session{}, err
			}
			p.JoinURL = token.JoinURL
		}
		session.Participants = append(session.Participants, p)
	}
	return session, nil
}

// JoinLink is a source of join URLs for one participant: what it gives is good for a
// while, so a page can show a button that works whenever it is pressed. It may be used
// concurrently.
type JoinLink struct {
	client      *Client
	session     string
	participant string
	spare       time.Duration

	lock  chan struct{} // held while token is read or got; a channel, so that waiting ends with a context
	token JoinToken     // the zero value = none
}

// JoinLink returns a source of join URLs that are good for spare at least, of 15
// minutes at most. Whether time is over is judged by [Options].Clock.
func (c *Client) JoinLink(sessionID, participantID string, spare time.Duration) *JoinLink {
	return &JoinLink{client: c, session: sessionID, participant: participantID, spare: spare, lock: make(chan struct{}, 1)}
}

// Token returns the token that it returned last, or a fresh one if less than spare
// remains of it. It fails as [Client.IssueJoinToken] does: 409 when the session has
// ended. A token lets in once; for the next time there is Renew.
func (l *JoinLink) Token(ctx context.Context) (JoinToken, error) {
	return l.get(ctx, false)
}

// Renew returns a fresh token, and so does Token from now on.
func (l *JoinLink) Renew(ctx context.Context) (JoinToken, error) {
	return l.get(ctx, true)
}

func (l *JoinLink) get(ctx context.Context, renew bool) (JoinToken, error) {
	select {
	case l.lock <- struct{}{}:
		defer func() { <-l.lock }()
	case <-ctx.Done():
		return JoinToken{}, ctx.Err()
	}
	if !renew && l.token.ExpiresAt.Sub(l.client.clock()) > l.spare {
		return l.token, nil
	}
	token, err := l.client.IssueJoinToken(ctx, l.session, l.participant)
	if err != nil {
		return JoinToken{}, err // what was given out before may be good still, but not for long
	}
	l.token = token
	return token, nil
}
