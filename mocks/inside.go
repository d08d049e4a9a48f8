package mocks

import (
	"slices"
	"strings"

	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// Session returns a session as the service has it, ended or not. An id that there
// is not fails the test.
func (m *Mock) Session(id string) cobrowse.Session {
	m.t.Helper()
	session, err := m.app.Cobrowse().Look(m.t.Context(), cobrowse.SessionID(id))
	if err != nil {
		m.t.Fatalf("mocks: look at session %s: %v", id, err)
	}
	return session
}

// Sessions returns all sessions of the organisation, live ones first, newest first,
// and those that have ended.
func (m *Mock) Sessions() []cobrowse.Session {
	m.t.Helper()
	sessions, _, err := m.app.Cobrowse().List(m.t.Context(), cobrowse.ListRequest{OrgID: orgID, Limit: 10_000})
	if err != nil {
		m.t.Fatalf("mocks: look at the sessions: %v", err)
	}
	return sessions
}

// Conversation returns a conversation of the organisation as the service has it, with
// what sessions have written to it. An id that there is not fails the test.
func (m *Mock) Conversation(id string) conversations.Conversation {
	m.t.Helper()
	if err := m.app.Attached(m.t.Context()); err != nil {
		m.t.Fatalf("mocks: wait for the attributes of conversation %s: %v", id, err)
	}
	c, err := m.app.Directory().Conversation(m.t.Context(), orgID, conversations.ID(id))
	if err != nil {
		m.t.Fatalf("mocks: look at conversation %s: %v", id, err)
	}
	return c
}

// AccessToken returns an access token of Mock.ClientID with the given scopes, all of
// them by default: for code that is handed a token and gets none itself.
func (m *Mock) AccessToken(scopes ...string) string {
	m.t.Helper()
	token, err := m.app.OAuth().Grant(m.t.Context(), oauth.GrantRequest{
		ClientID: m.ClientID, ClientSecret: m.ClientSecret, GrantType: "client_credentials", Scope: strings.Join(scopes, " "),
	})
	if err != nil {
		m.t.Fatalf("mocks: get an access token: %v", err)
	}
	return token.Raw
}

// ExpireTokens kills all access tokens that Mock.ClientID has been given so far: they
// are 401 from now on, as after a change of its secret. New ones are good.
func (m *Mock) ExpireTokens() {
	m.t.Helper()
	if err := m.app.OAuth().KillTokens(m.t.Context(), m.ClientID); err != nil {
		m.t.Fatalf("mocks: expire tokens: %v", err)
	}
}

// Join lets a participant into a live session, who is named by its role or its id,
// and opens its link, as the join page does with a fresh token. When the sharer and
// somebody who looks on are there, the session becomes active.
func (m *Mock) Join(sessionID, participant string) {
	m.t.Helper()
	session, p := m.participant(sessionID, participant)
	token, err := m.app.Cobrowse().IssueToken(m.t.Context(), session.OrgID, session.ID, p.ID)
	if err != nil {
		m.t.Fatalf("mocks: a join token for %s in session %s: %v", participant, sessionID, err)
	}
	if _, err := m.app.Cobrowse().Connect(m.t.Context(), cobrowse.ConnectRequest{SessionID: session.ID, Token: token.Raw, Tab: "mock"}); err != nil {
		m.t.Fatalf("mocks: let %s into session %s: %v", participant, sessionID, err)
	}
}

// Disconnect breaks the link of a participant, as a network does: the service waits
// for it to come back for the grace time, two minutes of the mock's clock.
func (m *Mock) Disconnect(sessionID, participant string) {
	m.t.Helper()
	session, p := m.participant(sessionID, participant)
	if err := m.app.Cobrowse().Disconnected(m.t.Context(), session.ID, p.ID, p.Connection.Number); err != nil {
		m.t.Fatalf("mocks: break the link of %s in session %s: %v", participant, sessionID, err)
	}
}

// Leave presses a participant's exit button: that of the customer or the agent ends
// the session.
func (m *Mock) Leave(sessionID, participant string) {
	m.t.Helper()
	session, p := m.participant(sessionID, participant)
	if err := m.app.Cobrowse().Leave(m.t.Context(), session.ID, p.ID, p.Connection.Number); err != nil {
		m.t.Fatalf("mocks: let %s leave session %s: %v", participant, sessionID, err)
	}
}

// EndSession ends a session, as another client of the organisation would.
func (m *Mock) EndSession(id string) {
	m.t.Helper()
	if _, err := m.app.Cobrowse().End(m.t.Context(), orgID, cobrowse.SessionID(id), cobrowse.EndRequested); err != nil {
		m.t.Fatalf("mocks: end session %s: %v", id, err)
	}
}

// participant finds somebody in a session, by role or id.
func (m *Mock) participant(sessionID, name string) (cobrowse.Session, cobrowse.Participant) {
	m.t.Helper()
	session := m.Session(sessionID)
	i := slices.IndexFunc(session.Participants, func(p cobrowse.Participant) bool {
		return !p.Removed && (string(p.ID) == name || string(p.Role) == name)
	})
	if i < 0 {
		m.t.Fatalf("mocks: session %s has no participant %q", sessionID, name)
	}
	return session, session.Participants[i]
}
