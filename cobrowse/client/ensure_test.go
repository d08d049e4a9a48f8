package client_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks"
)

// forAll asks for a session of everybody on the mock's conversation.
func forAll(m *mocks.Mock) client.NewSession {
	return client.NewSession{ConversationID: m.ConversationID, Participants: []client.Invite{
		{Role: "customer", Name: "Kim Customer"}, {UserID: m.AgentUserID, Role: "agent"}, {UserID: m.SupervisorUserID, Role: "supervisor"},
	}}
}

// forStaff asks for one in which the agent shares and a supervisor looks on.
func forStaff(m *mocks.Mock) client.NewSession {
	in := forAll(m)
	in.Participants = in.Participants[1:]
	return in
}

func TestEnsureSession(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil)
	first, created, err := c.EnsureSession(t.Context(), forAll(m))
	if err != nil || !created {
		t.Fatalf("EnsureSession without a session = created %t, %v, want a new one", created, err)
	}
	second, created, err := c.EnsureSession(t.Context(), forAll(m))
	if err != nil || created || second.ID != first.ID {
		t.Fatalf("EnsureSession = %s, created %t, %v, want %s, which is there", second.ID, created, err, first.ID)
	}
	var roles []string
	for i, p := range second.Participants {
		if p.JoinURL == "" || p.JoinURL == first.Participants[i].JoinURL {
			t.Errorf("the %s of the reused session has join URL %q, want a fresh one", p.Role, p.JoinURL)
		}
		roles = append(roles, joins(t, c, p.JoinURL))
	}
	if diff := cmp.Diff([]string{"customer", "agent", "supervisor"}, roles); diff != "" {
		t.Errorf("roles that the URLs give (-want +got):\n%s", diff)
	}
	if got := len(m.Sessions()); got != 1 {
		t.Errorf("the service has %d sessions, want 1", got)
	}
}

// Whom a session lacks is invited; those whom the request does not name get no URL.
func TestEnsureSessionInvites(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil)
	in := forAll(m)
	in.Participants = in.Participants[:2]
	first, _, err := c.EnsureSession(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	in.Participants = []client.Invite{{UserID: m.AgentUserID}, {UserID: m.SupervisorUserID, Role: "supervisor", AllowControl: true}}
	second, created, err := c.EnsureSession(t.Context(), in)
	if err != nil || created || second.ID != first.ID || len(second.Participants) != 3 {
		t.Fatalf("EnsureSession = %+v, created %t, %v, want session %s with three participants", second, created, err, first.ID)
	}
	if p := second.Participants[0]; p.Role != "customer" || p.JoinURL != "" {
		t.Errorf("who was not asked for: %+v, want the customer without a URL", p)
	}
	if role := joins(t, c, second.Participants[1].JoinURL); role != "agent" {
		t.Errorf("the URL for whom no role was asked gives %q, want agent", role)
	}
	if p := second.Participants[2]; !p.AllowControl || joins(t, c, p.JoinURL) != "supervisor" {
		t.Errorf("who was invited: %+v, want a supervisor who may ask for control", p)
	}
}

// What a live session cannot become is said, and nothing is changed.
func TestEnsureSessionCannotReuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		there  func(*mocks.Mock) client.NewSession
		wanted func(*mocks.Mock) client.NewSession
		says   string
	}{
		{"a customer comes too late", forStaff, forAll, "without a customer: 409"},
		{"another role", func(m *mocks.Mock) client.NewSession {
			in := forAll(m)
			in.Participants = []client.Invite{{Role: "customer"}, {UserID: m.AgentUserID, Role: "supervisor"}}
			return in
		}, forAll, `as "agent": 409`},
		{"no control", forAll, func(m *mocks.Mock) client.NewSession {
			in := forAll(m)
			in.Participants[2].AllowControl = true
			return in
		}, `as "supervisor": 409`},
		{"another site", forAll, func(m *mocks.Mock) client.NewSession {
			in := forAll(m)
			in.DeploymentID = m.DeploymentID
			return in
		}, `deployment ""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, c := newMock(t, nil)
			there, err := c.CreateSession(t.Context(), tt.there(m))
			if err != nil {
				t.Fatal(err)
			}
			session, created, err := c.EnsureSession(t.Context(), tt.wanted(m))
			refused, ok := errors.AsType[*client.ReuseError](err)
			if !ok || created || session.ID != there.ID || refused.Session.ID != there.ID || client.StatusOf(err) != http.StatusConflict {
				t.Fatalf("EnsureSession = %s, created %t, %v, want a *ReuseError of status 409 with session %s", session.ID, created, err, there.ID)
			}
			if !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), there.ID) {
				t.Errorf("error %q, want it to name the session and %q", err, tt.says)
			}
			if now := m.Session(there.ID); !now.Live() || len(now.Participants) != len(there.Participants) {
				t.Errorf("the session has %d participants, live %t, want it as it was", len(now.Participants), now.Live())
			}
		})
	}
}

// Refusals that have nothing to do with a session come as they are.
func TestEnsureSessionRefused(t *testing.T) {
	t.Parallel()
	for scenario, want := range map[mocks.Scenario]int{
		mocks.NoConversation: http.StatusNotFound, mocks.ForeignConversation: http.StatusNotFound, mocks.EndedConversation: http.StatusNotFound,
		mocks.IncapableUser: http.StatusForbidden,
	} {
		t.Run(scenario.String(), func(t *testing.T) {
			t.Parallel()
			m, c := newMock(t, nil, mocks.Given(scenario))
			if _, _, err := c.EnsureSession(t.Context(), forAll(m)); client.StatusOf(err) != want {
				t.Errorf("EnsureSession = %v, want %d", err, want)
			}
		})
	}
}

// The session that the 409 names may be gone at any of the steps that follow, and who
// is in it may be gone, too.
func TestEnsureSessionGoneMeanwhile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, suffix string
		removed              bool // the agent, in place of the session
	}{
		{"before it is looked at", http.MethodGet, "", false},
		{"before the first join token", http.MethodPost, "/tokens", false},
		{"before somebody is added", http.MethodPost, "/participants", false},
		{"the agent", http.MethodPost, "/tokens", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var there client.Session
			m, c := newMockBetween(t, tt.method, tt.suffix, func(m *mocks.Mock, n int) {
				switch {
				case n > 1:
				case tt.removed:
					other := newClient(t, m, nil)
					if err := other.RemoveParticipant(t.Context(), there.ID, m.AgentUserID); err != nil {
						t.Error(err)
					}
				default:
					m.EndSession(there.ID)
				}
			})
			in := forAll(m)
			in.Participants = in.Participants[:2]
			var err error
			if there, err = c.CreateSession(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			session, created, err := c.EnsureSession(t.Context(), forAll(m))
			if err != nil || created == tt.removed || (session.ID == there.ID) != tt.removed || len(session.Participants) != 3 {
				t.Fatalf("EnsureSession = %s of %d, created %t, %v; there was %s", session.ID, len(session.Participants), created, err, there.ID)
			}
			for _, p := range session.Participants {
				if role := joins(t, c, p.JoinURL); role != p.Role {
					t.Errorf("the URL of the %s gives %q", p.Role, role)
				}
			}
		})
	}
}

// A service in which each session ends at once is not asked for ever.
func TestEnsureSessionGivesUp(t *testing.T) {
	t.Parallel()
	m, c := newMockBetween(t, http.MethodGet, "", func(m *mocks.Mock, _ int) {
		m.EndSession(string(m.Sessions()[0].ID))
		m.StartSession(m.ConversationID)
	}, mocks.Given(mocks.SessionThere))
	_, created, err := c.EnsureSession(t.Context(), forAll(m))
	if err == nil || created || client.StatusOf(err) != http.StatusConflict {
		t.Errorf("EnsureSession = created %t, %v, want the 409", created, err)
	}
	if n := len(m.CallsTo(routeCreate)); n != 5 {
		t.Errorf("%d creates, want 5", n)
	}
}

// Answers that get lost, or come in pieces, do not make a second session, and the one
// there is counts as created by the caller.
func TestEnsureSessionLostAnswers(t *testing.T) {
	t.Parallel()
	for _, fault := range []mocks.Fault{mocks.AnswerLost(), mocks.CutBody(), mocks.MalformedJSON(), mocks.GatewayError(http.StatusBadGateway)} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			m, c := newMock(t, nil, mocks.WithFault(routeCreate, fault))
			session, created, err := c.EnsureSession(t.Context(), forAll(m))
			if err != nil || !created || session.Participants[0].JoinURL == "" {
				t.Fatalf("EnsureSession = %+v, created %t, %v, want a new one", session, created, err)
			}
			calls := m.CallsTo(routeCreate)
			if len(m.Sessions()) != 1 || len(calls) != 2 {
				t.Errorf("%d sessions after %v, want one after two", len(m.Sessions()), calls)
			}
			if key := calls[0].Header.Get("Idempotency-Key"); key == "" || key != calls[1].Header.Get("Idempotency-Key") {
				t.Errorf("the calls had different keys")
			}
		})
	}
}

// Whether somebody was added is seen in the session, not in an answer that got lost.
func TestEnsureSessionLostAddition(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil, mocks.WithFault(routeParticipant, mocks.AnswerLost()))
	in := forAll(m)
	in.Participants = in.Participants[:2]
	if _, err := c.CreateSession(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	session, _, err := c.EnsureSession(t.Context(), forAll(m))
	if err != nil || len(session.Participants) != 3 {
		t.Fatalf("EnsureSession = %+v, %v, want three participants", session, err)
	}
	for _, p := range session.Participants {
		if role := joins(t, c, p.JoinURL); role != p.Role {
			t.Errorf("the URL of the %s gives %q", p.Role, role)
		}
	}
}

// Nobody was added, and it is said why.
func TestEnsureSessionAdditionFails(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil, mocks.WithFault(routeParticipant, mocks.InternalError()))
	in := forAll(m)
	in.Participants = in.Participants[:2]
	if _, err := c.CreateSession(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	_, _, err := c.EnsureSession(t.Context(), forAll(m))
	if _, reuse := errors.AsType[*client.ReuseError](err); reuse || client.StatusOf(err) != http.StatusInternalServerError {
		t.Errorf("EnsureSession = %v, want the 500", err)
	}
}

// The caller's key holds for as long as its session lives.
func TestEnsureSessionKey(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil)
	in := forAll(m)
	in.IdempotencyKey = "order 66"
	first, created, err := c.EnsureSession(t.Context(), in)
	if err != nil || !created {
		t.Fatalf("EnsureSession = created %t, %v", created, err)
	}
	again, created, err := c.EnsureSession(t.Context(), in)
	if err != nil || !created || again.ID != first.ID {
		t.Errorf("EnsureSession with the same key = %s, created %t, %v, want %s as from the first call", again.ID, created, err, first.ID)
	}
	m.EndSession(first.ID)
	next, created, err := c.EnsureSession(t.Context(), in)
	if err != nil || !created || next.ID == first.ID || next.State != "idle" {
		t.Errorf("EnsureSession after its end = %s, %s, created %t, %v, want another one", next.ID, next.State, created, err)
	}
}

// Many at once get one session, which one of them has created.
func TestEnsureSessionRace(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil)
	var mu sync.Mutex
	ids, made := map[string]int{}, 0
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			in := forAll(m)
			if i%2 == 0 {
				in.Participants = in.Participants[:2] // without the supervisor, whom the others then add
			}
			session, created, err := c.EnsureSession(t.Context(), in)
			if err != nil || len(session.Participants) < len(in.Participants) {
				t.Errorf("EnsureSession = %+v, %v", session, err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[session.ID]++
			if created {
				made++
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || made != 1 || len(m.Sessions()) != 1 {
		t.Errorf("sessions %v, of which %d were created by a caller and the service has %d; want one", ids, made, len(m.Sessions()))
	}
}

// A service that names a session of another conversation is not believed.
func TestEnsureSessionOfAnother(t *testing.T) {
	t.Parallel()
	s, c := newService(t)
	s.withTokens().on("POST", "/api/v2/cobrowse/sessions", jsonAnswer(409, `{"status":409,"sessionId":"s1"}`))
	s.on("GET", "/api/v2/cobrowse/sessions/s1", jsonAnswer(200, `{"id":"s1","conversationId":"c2","state":"active"}`))
	_, _, err := c.EnsureSession(t.Context(), client.NewSession{ConversationID: "c1"})
	if err == nil || !strings.Contains(err.Error(), "another conversation") || client.StatusOf(err) != http.StatusConflict {
		t.Errorf("EnsureSession = %v, want the 409 and why it is of no use", err)
	}
}

func TestRefreshJoinURLs(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil, mocks.Given(mocks.SessionActive))
	session, err := c.RefreshJoinURLs(t.Context(), m.SessionID)
	if err != nil || len(session.Participants) != 3 || session.State != "active" {
		t.Fatalf("RefreshJoinURLs = %+v, %v, want three participants of an active session", session, err)
	}
	for _, p := range session.Participants {
		if role := joins(t, c, p.JoinURL); role != p.Role {
			t.Errorf("the URL of the %s gives %q", p.Role, role)
		}
	}
	m.EndSession(m.SessionID)
	if _, err := c.RefreshJoinURLs(t.Context(), m.SessionID); client.StatusOf(err) != http.StatusConflict {
		t.Errorf("RefreshJoinURLs of an ended session = %v, want 409", err)
	}
	if _, err := c.RefreshJoinURLs(t.Context(), "nobody"); client.StatusOf(err) != http.StatusNotFound {
		t.Errorf("RefreshJoinURLs of no session = %v, want 404", err)
	}
}

// A connection of the old world has nothing to open, and who was taken out is left out.
func TestRefreshJoinURLsLeavesOut(t *testing.T) {
	t.Parallel()
	s, c := newService(t)
	s.withTokens().on("GET", "/api/v2/cobrowse/sessions/s1", jsonAnswer(200, `{"id":"s1","participants":[{"id":"a","role":"agent"},{"id":"b","role":"supervisor"},{"id":"c","role":"controller"}]}`))
	s.on("POST", "/api/v2/cobrowse/sessions/s1/participants/a/tokens", jsonAnswer(200, `{"joinUrl":"https://x"}`))
	s.on("POST", "/api/v2/cobrowse/sessions/s1/participants/b/tokens", jsonAnswer(404, `{"status":404}`))
	got, err := c.RefreshJoinURLs(t.Context(), "s1")
	want := []client.Participant{{ID: "a", Role: "agent", JoinURL: "https://x"}, {ID: "c", Role: "controller"}}
	if diff := cmp.Diff(want, got.Participants); err != nil || diff != "" {
		t.Errorf("RefreshJoinURLs = %v; participants (-want +got):\n%s", err, diff)
	}
}

func TestJoinLink(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil, mocks.Given(mocks.SessionActive))
	link := c.JoinLink(m.SessionID, m.SupervisorUserID, 5*time.Minute)
	get := func() client.JoinToken {
		t.Helper()
		token, err := link.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if left := token.ExpiresAt.Sub(m.Now()); left <= 5*time.Minute {
			t.Errorf("the token is good for %s, want more than 5m", left)
		}
		return token
	}
	first := get()
	m.Turn(9 * time.Minute)
	if token := get(); token != first {
		t.Error("with 6 minutes left it is another token")
	}
	m.Turn(time.Minute)
	second := get()
	if second == first {
		t.Error("with 5 minutes left it is the same token")
	}
	renewed, err := link.Renew(t.Context())
	if err != nil || renewed == second || get() != renewed {
		t.Errorf("Renew = %v, want another token, which stays", err)
	}
	if role := joins(t, c, renewed.JoinURL); role != "supervisor" {
		t.Errorf("the URL gives %q, want supervisor", role)
	}
	m.EndSession(m.SessionID)
	if _, err := link.Renew(t.Context()); client.StatusOf(err) != http.StatusConflict {
		t.Errorf("Renew after the end = %v, want 409", err)
	}
}

// However many ask, one of them gets a token.
func TestJoinLinkTogether(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil, mocks.Given(mocks.SessionThere))
	link := c.JoinLink(m.SessionID, m.AgentUserID, time.Minute)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := link.Token(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(m.CallsTo(routeIssue)); n != 1 {
		t.Errorf("%d tokens were issued, want 1", n)
	}
}
