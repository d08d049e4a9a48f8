package mocks

import (
	"context"
	"sync"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// links lead people who click into one session, on a conversation of its own, so
// that the scenario's stays as it is. They never go stale.
type links struct {
	double *double

	mu           sync.Mutex
	conversation string // "" before the first click
	session      string
}

// token returns a fresh join token for a role.
func (l *links) token(ctx context.Context, role cobrowse.Role) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.double
	if err := l.refresh(ctx); err != nil {
		return "", err
	}
	session, p, err := d.participant(ctx, l.session, string(role))
	if err != nil {
		return "", err
	}
	token, err := d.app.Cobrowse().IssueToken(ctx, session.OrgID, session.ID, p.ID)
	return token.Raw, err
}

// refresh starts a conversation and a session, unless they are there.
func (l *links) refresh(ctx context.Context) error {
	d := l.double
	if l.session != "" {
		session, err := d.session(ctx, l.session)
		switch {
		case err == nil && session.Live():
			return nil
		case err != nil && cobridge.CodeOf(err) != cobridge.CodeNotFound:
			return err
		}
	}
	if l.conversation != "" {
		if c, err := d.conversation(ctx, l.conversation); err != nil || !c.Active() {
			l.conversation = ""
		}
	}
	var err error
	if l.conversation == "" {
		if l.conversation, err = d.startConversation(ctx, "message", agentID); err != nil {
			return err
		}
	}
	l.session, err = d.startSessionOf(ctx, l.conversation, agentID)
	return err
}
