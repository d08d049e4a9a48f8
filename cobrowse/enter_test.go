package cobrowse_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// open opens a session as a page of the old world does.
func (h *house) open(t *testing.T) cobrowse.Session {
	t.Helper()
	s, err := h.Open(t.Context(), cobrowse.OpenRequest{OrgID: org})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

// enter lets somebody in over a connection of the old world.
func (h *house) enter(t *testing.T, s cobrowse.Session, r cobrowse.EnterRequest) cobrowse.Entered {
	t.Helper()
	e, err := h.tryEnter(t, s, r)
	if err != nil {
		t.Fatalf("Enter as %s: %v", r.Role, err)
	}
	return e
}

func (h *house) tryEnter(t *testing.T, s cobrowse.Session, r cobrowse.EnterRequest) (cobrowse.Entered, error) {
	t.Helper()
	r.OrgID = org
	if r.Token == "" {
		r.Token = s.Token
	}
	return h.Enter(t.Context(), r)
}

func wantFailure(t *testing.T, what string, err error, code cobridge.Code, detail string) {
	t.Helper()
	var got string
	if e, ok := errors.AsType[*cobridge.Error](err); ok && len(e.Details) > 0 {
		got = e.Details[0].ErrorCode
	}
	if cobridge.CodeOf(err) != code || got != detail {
		t.Errorf("%s = %v (detail %q), want %s (detail %q)", what, err, got, code, detail)
	}
}

// An agent who was taken out and invited again comes in as one who is expected.
func TestEnterInvitedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, everybody).Session
	h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer, Connected: true})
	h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "desk-1", Connected: true})
	if _, err := h.RemoveParticipant(t.Context(), org, s.ID, cobrowse.ParticipantID(ann)); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := h.AddParticipant(t.Context(), org, s.ID, cobrowse.Invite{UserID: ann, Role: cobrowse.RoleAgent}); err != nil {
		t.Fatal(err)
	}
	back := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "desk-2", Connected: true})
	if back.Participant.ID != cobrowse.ParticipantID(ann) || !back.Participant.Connection.Open {
		t.Errorf("who is in: %+v, want Ann", back.Participant)
	}
	_, err := h.tryEnter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "desk-3", Connected: true})
	wantFailure(t, "a third desk", err, cobridge.CodeConflict, cobrowse.DetailRoleTaken)
}

func TestEnterInTheOldOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open(t)
	if s.State() != cobrowse.StateIdle || len(s.Token) != 9 || s.ConversationID != "" {
		t.Fatalf("opened: %+v", s)
	}
	customer := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer, Name: "Ola", Connected: true})
	controller := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleController, Connected: true})
	if got := controller.Session.State(); got != cobrowse.StateIdle {
		t.Errorf("with a controller the session is %s, want idle", got)
	}
	h.clock.Advance(time.Minute)
	agent := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Name: "Mira", Desk: "desk-1", Connected: true})
	if got := agent.Session; got.State() != cobrowse.StateActive || !got.ActivatedAt.Equal(t0.Add(time.Minute)) {
		t.Errorf("with the agent the session is %s since %s, want active", got.State(), got.ActivatedAt)
	}
	for e, want := range map[*cobrowse.Entered]int{&customer: 1, &controller: 2, &agent: 3} {
		if got := agent.Session.UserNumber(e.Participant.ID); got != want {
			t.Errorf("%s has number %d, want %d", e.Participant.Role, got, want)
		}
	}
	if _, err := h.Stop(t.Context(), org, agent.UserToken); cobridge.CodeOf(err) != cobridge.CodeNotAuthorized {
		t.Errorf("Stop by the agent = %v, want not.authorized", err)
	}
	ended, err := h.Stop(t.Context(), org, controller.UserToken)
	if err != nil || ended.EndReason != cobrowse.EndStopped {
		t.Fatalf("Stop by the controller = %q, %v; want stopped", ended.EndReason, err)
	}
	h.clock.Advance(time.Minute)
	again, err := h.Stop(t.Context(), org, controller.UserToken)
	if err != nil || !again.EndedAt.Equal(ended.EndedAt) {
		t.Errorf("Stop again = ended at %s, %v; want %s", again.EndedAt, err, ended.EndedAt)
	}
	_, err = h.Exit(t.Context(), org, customer.UserToken)
	wantFailure(t, "Exit after the end", err, cobridge.CodeSessionEnded, "")
	for _, role := range []cobrowse.Role{cobrowse.RoleCustomer, cobrowse.RoleAgent, cobrowse.RoleController} {
		_, err := h.tryEnter(t, s, cobrowse.EnterRequest{Role: role, Connected: true})
		wantFailure(t, "Enter after the end as "+string(role), err, cobridge.CodeSessionEnded, "")
	}
	h.clock.Advance(25 * time.Hour)
	_, err = h.ByToken(t.Context(), org, s.Token)
	wantFailure(t, "ByToken a day later", err, cobridge.CodeNotFound, "")
}

// In a session that nobody shows, the agent's coming makes it active: that is how
// the old product counted. Elsewhere it takes both sides.
func TestAgentAloneActivatesOldSessionsOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	alone := h.enter(t, h.open(t), cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "d", Connected: true})
	if got := alone.Session.State(); got != cobrowse.StateActive {
		t.Errorf("old session with the agent alone: %s, want active", got)
	}
	started := h.start(t, []cobrowse.Invite{{Role: cobrowse.RoleCustomer}})
	one := h.enter(t, started.Session, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "e", Connected: true})
	if got := one.Session.State(); got != cobrowse.StateIdle {
		t.Errorf("other session with the agent alone: %s, want idle", got)
	}
	both := h.connect(t, started.Session, started.Session.Sharer())
	if got := both.Session.State(); got != cobrowse.StateActive {
		t.Errorf("other session with both: %s, want active", got)
	}
}

func TestWhoComesBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open(t)
	first := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer, Desk: "browser", Connected: true})
	_, err := h.tryEnter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer, Desk: "other", Connected: true})
	wantFailure(t, "a second customer", err, cobridge.CodeConflict, cobrowse.DetailRoleTaken)
	if err := h.Disconnected(t.Context(), s.ID, first.Participant.ID, first.Participant.Connection.Number); err != nil {
		t.Fatalf("Disconnected: %v", err)
	}
	for _, desk := range []string{"other", ""} {
		_, err = h.tryEnter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer, Desk: desk, Connected: true})
		wantFailure(t, "a stranger with the digits", err, cobridge.CodeNotAuthorized, cobrowse.DetailRoleTaken)
	}
	again := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer, Desk: "browser", Connected: true})
	if again.Participant.ID != first.Participant.ID || again.Participant.Connection.Number != first.Participant.Connection.Number+1 {
		t.Errorf("came back as %+v, want link %d of %s", again.Participant, first.Participant.Connection.Number+1, first.Participant.ID)
	}
	replaced := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer, Desk: "moved", UserToken: first.UserToken, Connected: true})
	if replaced.Participant.ID != first.Participant.ID {
		t.Errorf("with the user token: %s, want %s", replaced.Participant.ID, first.Participant.ID)
	}
	_, err = h.tryEnter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, UserToken: first.UserToken, Connected: true})
	wantFailure(t, "the customer's token for the agent", err, cobridge.CodeNotFound, "")
	other := h.open(t)
	_, err = h.tryEnter(t, other, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer, UserToken: first.UserToken, Connected: true})
	wantFailure(t, "a token of another session", err, cobridge.CodeNotFound, "")
	for _, raw := range []string{"x", first.UserToken + "x", h.start(t, everybody).Tokens[0].Raw} {
		_, _, err = h.ByUserToken(t.Context(), org, raw)
		wantFailure(t, "ByUserToken of something else", err, cobridge.CodeNotFound, "")
	}
	_, _, err = h.ByUserToken(t.Context(), otherOrg, first.UserToken)
	wantFailure(t, "ByUserToken of another organisation", err, cobridge.CodeNotFound, "")
}

func TestOneSessionPerDesk(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first, second := h.open(t), h.open(t)
	h.enter(t, first, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "desk", Connected: true})
	for _, connected := range []bool{true, false} {
		_, err := h.tryEnter(t, second, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "desk", Connected: connected})
		wantFailure(t, "the desk's second session", err, cobridge.CodeConflict, cobrowse.DetailAgentBusy)
	}
	if _, err := h.tryEnter(t, second, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "other desk", Connected: true}); err != nil {
		t.Errorf("another desk: %v", err)
	}
	if _, err := h.End(t.Context(), org, first.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	h.enter(t, h.open(t), cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "desk", Connected: true})
}

// The stream's way in: a join token for what the digits stand for.
func TestEnterForTheStream(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open(t)
	customer := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer})
	agent := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "desk", Name: "Mira"})
	if agent.Session.State() != cobrowse.StateIdle || agent.Participant.Connection.Number != 0 {
		t.Errorf("before the stream: %s, link %d; want idle and none", agent.Session.State(), agent.Participant.Connection.Number)
	}
	for _, token := range []string{customer.JoinToken.Raw, agent.JoinToken.Raw} {
		if _, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, Token: token}); err != nil {
			t.Fatalf("Connect: %v", err)
		}
	}
	if got, _ := h.Look(t.Context(), s.ID); got.State() != cobrowse.StateActive {
		t.Errorf("with both streams: %s, want active", got.State())
	}
	_, err := h.tryEnter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "other"})
	wantFailure(t, "a second agent", err, cobridge.CodeConflict, cobrowse.DetailRoleTaken)
	back := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, UserToken: agent.UserToken})
	if _, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, Token: back.JoinToken.Raw}); err != nil {
		t.Errorf("Connect with the second token: %v", err)
	}
}

func TestControllers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session // the agent shares
	var last cobrowse.Entered
	for range 30 {
		h.clock.Advance(time.Second)
		last = h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleController, Connected: true})
	}
	controllers := 0
	for _, p := range last.Session.Participants {
		if p.Role == cobrowse.RoleController {
			controllers++
		}
	}
	if controllers != 20 {
		t.Errorf("%d controllers are remembered, want 20", controllers)
	}
	if _, err := h.IssueToken(t.Context(), org, s.ID, last.Participant.ID); cobridge.CodeOf(err) != cobridge.CodeParticipantNotFound {
		t.Errorf("a join token for a controller: %v, want not found", err)
	}
	// Who has left makes room before anybody who is there, however late it came.
	h.clock.Advance(time.Second)
	late := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleController, Connected: true})
	if _, err := h.Exit(t.Context(), org, late.UserToken); err != nil {
		t.Fatalf("Exit: %v", err)
	}
	before := h.look(t, s.ID).Participants
	after := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleController, Connected: true}).Session.Participants
	for i, p := range before {
		if replaced := after[i].ID != p.ID; replaced != (p.ID == late.Participant.ID) {
			t.Errorf("controller %d of %d (open %t) replaced = %t", i, len(before), p.Connection.Open, replaced)
		}
	}
	left, err := h.Exit(t.Context(), org, last.UserToken)
	if err != nil || !left.Live() {
		t.Errorf("Exit of a controller: live = %t, %v; want it to go on", left.Live(), err)
	}
	_, err = h.tryEnter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer, Connected: true})
	wantFailure(t, "a customer of a session without one", err, cobridge.CodeConflict, cobrowse.DetailCustomerLate)
	_, err = h.tryEnter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Connected: true})
	wantFailure(t, "the sharer by digits", err, cobridge.CodeConflict, cobrowse.DetailRoleTaken)
	_, err = h.tryEnter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleSupervisor, Connected: true})
	wantFailure(t, "a supervisor by digits", err, cobridge.CodeConstraintValidation, "unknown")
}

// A session of the old world gets its conversation from the agent's side, which
// then knows who the agent at the desk is.
func TestAttachNamesTheAgentOfTheDesk(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open(t)
	desk := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "desk", Connected: true})
	conversation := h.conversation(t, "message")
	attached, token, err := h.Attach(t.Context(), cobrowse.AttachRequest{
		OrgID: org, SessionToken: s.Token, ConversationID: conversation, Participant: cobrowse.Invite{UserID: ann},
	})
	if err != nil {
		t.Fatalf("Attach: %v", err)
	}
	if token.ParticipantID != desk.Participant.ID || attached.ConversationID != conversation {
		t.Errorf("token for %s on %q, want %s", token.ParticipantID, attached.ConversationID, desk.Participant.ID)
	}
	agents := slices.DeleteFunc(attached.Participants, func(p cobrowse.Participant) bool { return p.Role != cobrowse.RoleAgent })
	if len(agents) != 1 || agents[0].UserID != ann || agents[0].Name != "Ann" || !agents[0].Connection.Open {
		t.Errorf("agents: %+v, want Ann alone, still connected", agents)
	}
	if _, err := h.Start(t.Context(), cobrowse.StartRequest{OrgID: org, ConversationID: conversation, Participants: agentAndSupervisor}); cobridge.CodeOf(err) != cobridge.CodeConflict {
		t.Errorf("Start on the attached conversation = %v, want a conflict", err)
	}
}

// A cloud session that was meant for somebody is entered by digits, too.
func TestEnterTakesThePlaceOfWhoWasInvited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, everybody).Session
	agent := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: "desk", Connected: true})
	if agent.Participant.UserID != ann || agent.Session.State() != cobrowse.StateIdle {
		t.Errorf("entered as %q in a session that is %s, want Ann and idle", agent.Participant.UserID, agent.Session.State())
	}
	customer := h.enter(t, s, cobrowse.EnterRequest{Role: cobrowse.RoleCustomer, Connected: true})
	if customer.Session.State() != cobrowse.StateActive {
		t.Errorf("with both: %s, want active", customer.Session.State())
	}
	// Ann is busy now, wherever she tries.
	other := h.start(t, []cobrowse.Invite{{Role: cobrowse.RoleCustomer}, {UserID: ann, Role: cobrowse.RoleAgent}}).Session
	_, err := h.Redeem(t.Context(), h.token(t, other, cobrowse.ParticipantID(ann)), "")
	wantFailure(t, "Ann's other session", err, cobridge.CodeConflict, cobrowse.DetailAgentBusy)
	ended, err := h.Exit(t.Context(), org, customer.UserToken)
	if err != nil || ended.EndReason != cobrowse.EndParticipantLeft {
		t.Errorf("Exit of the customer: %q, %v; want participantLeft", ended.EndReason, err)
	}
	if _, err := h.Redeem(t.Context(), h.token(t, other, cobrowse.ParticipantID(ann)), ""); err != nil {
		t.Errorf("Ann's other session afterwards: %v", err)
	}
}

func (h *house) token(t *testing.T, s cobrowse.Session, p cobrowse.ParticipantID) string {
	t.Helper()
	token, err := h.IssueToken(t.Context(), org, s.ID, p)
	if err != nil {
		t.Fatalf("IssueToken: %v", err)
	}
	return token.Raw
}

// Nine digits make a customer, an agent or a controller of somebody, and nobody else.
func TestEnterRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.open(t)
	long := strings.Repeat("ü", 257)
	for _, tt := range []struct {
		name   string
		r      cobrowse.EnterRequest
		detail string
	}{
		{"a supervisor", cobrowse.EnterRequest{Role: cobrowse.RoleSupervisor}, "unknown"},
		{"no role", cobrowse.EnterRequest{}, "unknown"},
		{"a long name", cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Name: long}, "too.long"},
		{"a long desk", cobrowse.EnterRequest{Role: cobrowse.RoleAgent, Desk: long[:65]}, "too.long"},
	} {
		_, err := h.tryEnter(t, s, tt.r)
		wantFailure(t, tt.name, err, cobridge.CodeConstraintValidation, tt.detail)
	}
	if got, err := h.ByToken(t.Context(), org, s.Token); err != nil || len(got.Participants) != 1 {
		t.Errorf("afterwards the session has %d participants (%v), want the customer alone", len(got.Participants), err)
	}
}
