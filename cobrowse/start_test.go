package cobrowse_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

func TestStart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	started := h.start(t, agentAndSupervisor)
	s := started.Session
	if s.State() != cobrowse.StateIdle || s.Sharer() != cobrowse.ParticipantID(ann) || s.Settings.Timeout != 15*time.Minute {
		t.Errorf("session = state %s, sharer %s, timeout %v; want idle, the agent, 15m", s.State(), s.Sharer(), s.Settings.Timeout)
	}
	if len(started.Tokens) != 2 || !started.Tokens[0].ExpiresAt.Equal(t0.Add(15*time.Minute)) {
		t.Errorf("tokens = %+v, want two that last 15 minutes", started.Tokens)
	}
	if want := t0.Add(20 * time.Minute); !s.Deadline.Equal(want) || s.DeadlineReason != cobrowse.EndNeverJoined {
		t.Errorf("deadline = %v %s, want %v neverJoined", s.Deadline, s.DeadlineReason, want)
	}
	if _, err := cobrowse.ParseSessionToken(string(s.Token)); err != nil {
		t.Errorf("session token %q: %v", s.Token, err)
	}
	withCustomer := h.start(t, everybody).Session
	customer := withCustomer.Participants[0]
	if withCustomer.Sharer() != customer.ID || customer.UserID != "" || customer.Name != "Kim" {
		t.Errorf("sharer = %s, want the customer %+v", withCustomer.Sharer(), customer)
	}
}

// TestStartOrderOfChecks violates, row by row, one rule less: the first one that
// is broken must win.
func TestStartOrderOfChecks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	live := h.conversation(t, conversations.MediumMessage)
	if _, err := h.Start(t.Context(), cobrowse.StartRequest{OrgID: org, ConversationID: live, Participants: agentAndSupervisor}); err != nil {
		t.Fatalf("Start: %v", err)
	}
	over := h.conversation(t, conversations.MediumMessage)
	if err := h.directory.Disconnect(t.Context(), org, over); err != nil {
		t.Fatalf("Disconnect: %v", err)
	}
	invite := func(ids ...conversations.UserID) []cobrowse.Invite {
		list := []cobrowse.Invite{{UserID: ids[0], Role: cobrowse.RoleAgent}}
		for _, id := range ids[1:] {
			list = append(list, cobrowse.Invite{UserID: id, Role: cobrowse.RoleSupervisor})
		}
		return list
	}
	for _, tt := range []struct {
		name string
		req  cobrowse.StartRequest
		want cobridge.Code
	}{
		{"bad field and all else", cobrowse.StartRequest{OrgID: org, ConversationID: "unknown", Participants: invite(eve, eve)}, cobridge.CodeConstraintValidation},
		{"unknown conversation and user", cobrowse.StartRequest{OrgID: org, ConversationID: "unknown", Participants: invite(eve, dan)}, cobridge.CodeConversationNotFound},
		{"ended conversation and unknown user", cobrowse.StartRequest{OrgID: org, ConversationID: over, Participants: invite(eve, dan)}, cobridge.CodeConversationNotFound},
		{"foreign conversation", cobrowse.StartRequest{OrgID: otherOrg, ConversationID: live, Participants: invite(eve)}, cobridge.CodeConversationNotFound},
		{"user without capability before a foreign one", cobrowse.StartRequest{OrgID: org, ConversationID: live, Participants: invite(dan, eve)}, cobridge.CodeUserNotFound},
		{"deleted user", cobrowse.StartRequest{OrgID: org, ConversationID: live, Participants: invite(ann, gus)}, cobridge.CodeUserNotFound},
		{"no capability, on a taken conversation", cobrowse.StartRequest{OrgID: org, ConversationID: live, Participants: invite(ann, dan)}, cobridge.CodeMissingPermissions},
		{"voice only on a digital conversation", cobrowse.StartRequest{OrgID: org, ConversationID: live, Participants: invite(ann, cyn)}, cobridge.CodeMissingPermissions},
		{"taken conversation", cobrowse.StartRequest{OrgID: org, ConversationID: live, Participants: invite(ann, ben)}, cobridge.CodeConflict},
	} {
		_, err := h.Start(t.Context(), tt.req)
		wantCode(t, tt.name, err, tt.want)
	}
	voice := h.conversation(t, conversations.MediumCall)
	if _, err := h.Start(t.Context(), cobrowse.StartRequest{OrgID: org, ConversationID: voice, Participants: invite(ann, cyn)}); err != nil {
		t.Errorf("voice only on a voice conversation: %v, want success", err)
	}
}

func TestStartFieldRules(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.Start(t.Context(), cobrowse.StartRequest{OrgID: org, Timeout: 90 * time.Second, Participants: []cobrowse.Invite{
		{UserID: ann, Role: cobrowse.RoleAgent},
		{UserID: ann, Role: "boss"},
		{Role: cobrowse.RoleSupervisor},
		{UserID: ben, Role: cobrowse.RoleCustomer},
		{UserID: ben, Role: cobrowse.RoleAgent},
	}})
	e, ok := errors.AsType[*cobridge.Error](err)
	if !ok || e.Code != cobridge.CodeConstraintValidation {
		t.Fatalf("Start = %v, want constraint.validation", err)
	}
	var got []string
	for _, d := range e.Details {
		got = append(got, d.FieldName+" "+d.ErrorCode)
	}
	want := []string{
		"conversationId required", "participants[1].role unknown", "participants[1].userId duplicate", "participants[2].userId required",
		"participants[3].userId not.allowed", "participants[4].userId duplicate", "participants[4].role duplicate", "settings.timeoutInMinutes range",
	}
	if !slices.Equal(got, want) {
		t.Errorf("details = %q\nwant      %q", got, want)
	}
	for name, invites := range map[string][]cobrowse.Invite{
		"nobody":           nil,
		"supervisors only": {{UserID: ben, Role: cobrowse.RoleSupervisor}},
		"nobody to share":  {{UserID: ben}},
		"too many viewers": append(slices.Clone(agentAndSupervisor), cobrowse.Invite{UserID: "1"}, cobrowse.Invite{UserID: "2"}, cobrowse.Invite{UserID: "3"}, cobrowse.Invite{UserID: "4"}, cobrowse.Invite{UserID: "5"}),
	} {
		_, err := h.Start(t.Context(), cobrowse.StartRequest{OrgID: org, ConversationID: h.conversation(t, conversations.MediumChat), Participants: invites})
		wantCode(t, name, err, cobridge.CodeConstraintValidation)
	}
}

func TestStartDerivesRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, []cobrowse.Invite{{UserID: ben}, {UserID: ann}}).Session
	if s.Participants[0].Role != cobrowse.RoleSupervisor || s.Participants[1].Role != cobrowse.RoleAgent {
		t.Errorf("roles = %s, %s; want supervisor, and agent for the agent of the conversation", s.Participants[0].Role, s.Participants[1].Role)
	}
}

// TestStartRace is invariant I1 at the level of the rules.
func TestStartRace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 10 {
		conversation := h.conversation(t, conversations.MediumMessage)
		var mu sync.Mutex
		var winners, named []cobrowse.SessionID
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				started, err := h.Start(t.Context(), cobrowse.StartRequest{OrgID: org, ConversationID: conversation, Participants: agentAndSupervisor})
				mu.Lock()
				defer mu.Unlock()
				if e, ok := errors.AsType[*cobridge.Error](err); ok && e.Code == cobridge.CodeConflict {
					named = append(named, cobrowse.SessionID(e.EntityID))
				} else if err != nil {
					t.Errorf("Start: %v", err)
				} else {
					winners = append(winners, started.Session.ID)
				}
			})
		}
		wg.Wait()
		if len(winners) != 1 || len(named) != 63 {
			t.Fatalf("%d winners and %d conflicts, want 1 and 63", len(winners), len(named))
		}
		for _, id := range named {
			if id != winners[0] {
				t.Errorf("conflict names %s, want the winner %s", id, winners[0])
			}
		}
	}
}

func TestStartAfterEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.start(t, agentAndSupervisor).Session
	request := cobrowse.StartRequest{OrgID: org, ConversationID: first.ConversationID, Participants: agentAndSupervisor}
	if _, err := h.End(t.Context(), org, first.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	second, err := h.Start(t.Context(), request)
	if err != nil {
		t.Fatalf("Start after the end: %v", err)
	}
	if second.Session.ID == first.ID || second.Session.Token == first.Token {
		t.Errorf("the second session has the first one's id or digits")
	}
	// Nobody sweeps here: the passed deadline alone must free the conversation.
	h.clock.Advance(20 * time.Minute)
	third, err := h.Start(t.Context(), request)
	if err != nil {
		t.Fatalf("Start after the deadline: %v", err)
	}
	over := h.look(t, second.Session.ID)
	if over.EndReason != cobrowse.EndNeverJoined || !over.EndedAt.Equal(second.Session.Deadline) {
		t.Errorf("second session ended %v %s, want at its deadline %v, neverJoined", over.EndedAt, over.EndReason, second.Session.Deadline)
	}
	if third.Session.ID == second.Session.ID {
		t.Error("the ended session came back")
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	request := cobrowse.StartRequest{
		OrgID: org, ClientID: "client", ConversationID: h.conversation(t, conversations.MediumMessage), Participants: agentAndSupervisor,
		IdempotencyKey: "k1", Route: "POST /sessions", BodyHash: sha256.Sum256([]byte("body")),
	}
	var mu sync.Mutex
	ids := map[cobrowse.SessionID]int{}
	fresh := 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			started, err := h.Start(t.Context(), request)
			if err != nil {
				t.Errorf("Start: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[started.Session.ID]++
			if !started.Replayed {
				fresh++
			}
			if len(started.Tokens) != 2 {
				t.Errorf("%d tokens, want 2", len(started.Tokens))
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || fresh != 1 {
		t.Fatalf("16 parallel repeats gave %d sessions, %d of them new; want one of each", len(ids), fresh)
	}
	other := request
	other.BodyHash = sha256.Sum256([]byte("other"))
	_, err := h.Start(t.Context(), other)
	wantCode(t, "another body", err, cobridge.CodeIdempotencyMismatch)
	otherClient := request
	otherClient.ClientID = "client-2"
	_, err = h.Start(t.Context(), otherClient)
	wantCode(t, "another client's key", err, cobridge.CodeConflict)

	first, err := h.Start(t.Context(), request)
	if err != nil {
		t.Fatalf("repeat: %v", err)
	}
	if _, err := h.End(t.Context(), org, first.Session.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	ended, err := h.Start(t.Context(), request)
	if err != nil || !ended.Replayed || ended.Session.State() != cobrowse.StateEnded || len(ended.Tokens) != 0 {
		t.Errorf("repeat after the end = %+v, %v; want the ended session without tokens", ended, err)
	}
	h.clock.Advance(24 * time.Hour)
	again, err := h.Start(t.Context(), request)
	if err != nil || again.Replayed || again.Session.ID == first.Session.ID {
		t.Errorf("repeat after a day = %+v, %v; want a new session", again, err)
	}
}
