package mocks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

func (d *double) session(ctx context.Context, id string) (cobrowse.Session, error) {
	session, err := d.app.Cobrowse().Look(ctx, cobrowse.SessionID(id))
	if err != nil {
		return session, fmt.Errorf("look at session %s: %w", id, err)
	}
	return session, nil
}

func (d *double) sessions(ctx context.Context) ([]cobrowse.Session, error) {
	sessions, _, err := d.app.Cobrowse().List(ctx, cobrowse.ListRequest{OrgID: orgID, Limit: 10_000})
	if err != nil {
		return nil, fmt.Errorf("look at the sessions: %w", err)
	}
	return sessions, nil
}

func (d *double) conversation(ctx context.Context, id string) (conversations.Conversation, error) {
	if err := d.app.Attached(ctx); err != nil {
		return conversations.Conversation{}, fmt.Errorf("wait for the attributes of conversation %s: %w", id, err)
	}
	c, err := d.app.Directory().Conversation(ctx, orgID, conversations.ID(id))
	if err != nil {
		return c, fmt.Errorf("look at conversation %s: %w", id, err)
	}
	return c, nil
}

func (d *double) accessToken(ctx context.Context, scopes []string) (string, error) {
	token, err := d.app.OAuth().Grant(ctx, oauth.GrantRequest{
		ClientID: d.ClientID, ClientSecret: d.ClientSecret, GrantType: "client_credentials", Scope: strings.Join(scopes, " "),
	})
	if err != nil {
		return "", fmt.Errorf("get an access token: %w", err)
	}
	return token.Raw, nil
}

func (d *double) expireTokens(ctx context.Context) error {
	if err := d.app.OAuth().KillTokens(ctx, d.ClientID); err != nil {
		return fmt.Errorf("expire tokens: %w", err)
	}
	return nil
}

// join lets a participant in, as the join page does.
func (d *double) join(ctx context.Context, sessionID, participant string) error {
	session, p, err := d.participant(ctx, sessionID, participant)
	if err != nil {
		return err
	}
	token, err := d.app.Cobrowse().IssueToken(ctx, session.OrgID, session.ID, p.ID)
	if err != nil {
		return fmt.Errorf("a join token for %s in session %s: %w", participant, sessionID, err)
	}
	if _, err := d.app.Cobrowse().Connect(ctx, cobrowse.ConnectRequest{SessionID: session.ID, Token: token.Raw, Tab: "mock"}); err != nil {
		return fmt.Errorf("let %s into session %s: %w", participant, sessionID, err)
	}
	return nil
}

func (d *double) disconnect(ctx context.Context, sessionID, participant string) error {
	session, p, err := d.participant(ctx, sessionID, participant)
	if err != nil {
		return err
	}
	if err := d.app.Cobrowse().Disconnected(ctx, session.ID, p.ID, p.Connection.Number); err != nil {
		return fmt.Errorf("break the link of %s in session %s: %w", participant, sessionID, err)
	}
	return nil
}

func (d *double) leaves(ctx context.Context, sessionID, participant string) error {
	session, p, err := d.participant(ctx, sessionID, participant)
	if err != nil {
		return err
	}
	if err := d.app.Cobrowse().Leave(ctx, session.ID, p.ID, p.Connection.Number); err != nil {
		return fmt.Errorf("let %s leave session %s: %w", participant, sessionID, err)
	}
	return nil
}

func (d *double) endSession(ctx context.Context, id string) error {
	if _, err := d.app.Cobrowse().End(ctx, orgID, cobrowse.SessionID(id), cobrowse.EndRequested); err != nil {
		return fmt.Errorf("end session %s: %w", id, err)
	}
	return nil
}

// participant finds somebody in a session, by role or id.
func (d *double) participant(ctx context.Context, sessionID, name string) (cobrowse.Session, cobrowse.Participant, error) {
	session, err := d.session(ctx, sessionID)
	if err != nil {
		return session, cobrowse.Participant{}, err
	}
	i := slices.IndexFunc(session.Participants, func(p cobrowse.Participant) bool {
		return !p.Removed && (string(p.ID) == name || string(p.Role) == name)
	})
	if i < 0 {
		return session, cobrowse.Participant{}, &noParticipantError{sessionID, name}
	}
	return session, session.Participants[i], nil
}

type noParticipantError struct{ session, name string }

func (e *noParticipantError) Error() string {
	return fmt.Sprintf("session %s has no participant %q", e.session, e.name)
}

// Session returns a session as the service has it, ended or not. An id that there
// is not fails the test.
func (m *Mock) Session(id string) cobrowse.Session {
	m.t.Helper()
	session, err := m.double.session(m.t.Context(), id)
	m.must(err)
	return session
}

// Sessions returns all sessions of the organisation, live ones first, newest first,
// and those that have ended.
func (m *Mock) Sessions() []cobrowse.Session {
	m.t.Helper()
	sessions, err := m.double.sessions(m.t.Context())
	m.must(err)
	return sessions
}

// Conversation returns a conversation of the organisation as the service has it, with
// what sessions have written to it. An id that there is not fails the test.
func (m *Mock) Conversation(id string) conversations.Conversation {
	m.t.Helper()
	c, err := m.double.conversation(m.t.Context(), id)
	m.must(err)
	return c
}

// AccessToken returns an access token of Mock.ClientID with the given scopes, all of
// them by default: for code that is handed a token and gets none itself.
func (m *Mock) AccessToken(scopes ...string) string {
	m.t.Helper()
	token, err := m.double.accessToken(m.t.Context(), scopes)
	m.must(err)
	return token
}

// ExpireTokens kills all access tokens that Mock.ClientID has been given so far: they
// are 401 from now on, as after a change of its secret. New ones are good.
func (m *Mock) ExpireTokens() {
	m.t.Helper()
	m.must(m.double.expireTokens(m.t.Context()))
}

// Join lets a participant into a live session, who is named by its role or its id,
// and opens its link, as the join page does with a fresh token. When the sharer and
// somebody who looks on are there, the session becomes active.
func (m *Mock) Join(sessionID, participant string) {
	m.t.Helper()
	m.must(m.double.join(m.t.Context(), sessionID, participant))
}

// Disconnect breaks the link of a participant, as a network does: the service waits
// for it to come back for the grace time, two minutes of the mock's clock.
func (m *Mock) Disconnect(sessionID, participant string) {
	m.t.Helper()
	m.must(m.double.disconnect(m.t.Context(), sessionID, participant))
}

// Leave presses a participant's exit button: that of the customer or the agent ends
// the session.
func (m *Mock) Leave(sessionID, participant string) {
	m.t.Helper()
	m.must(m.double.leaves(m.t.Context(), sessionID, participant))
}

// EndSession ends a session, as another client of the organisation would.
func (m *Mock) EndSession(id string) {
	m.t.Helper()
	m.must(m.double.endSession(m.t.Context(), id))
}
