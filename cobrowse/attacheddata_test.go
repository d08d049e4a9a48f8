package cobrowse_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

func TestAttachData(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.start(t, agentAndSupervisor).Session
	event := func(s cobrowse.Session) cobrowse.Event {
		return cobrowse.Event{Type: cobrowse.EventCreated, At: s.CreatedAt, OrgID: org, SessionID: s.ID, ConversationID: s.ConversationID}
	}
	wantCode(t, "a directory that is down", h.again(t, downDirectory{}).AttachData(t.Context(), event(first)), cobridge.CodeUnavailable)
	attach := func(e cobrowse.Event) {
		t.Helper()
		for range 2 { // events come at least once
			if err := h.AttachData(t.Context(), e); err != nil {
				t.Fatalf("AttachData: %v", err)
			}
		}
	}
	attach(event(first))
	if _, err := h.End(t.Context(), org, first.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	h.clock.Advance(time.Minute)
	second, err := h.Start(t.Context(), cobrowse.StartRequest{OrgID: org, ConversationID: first.ConversationID, Participants: agentAndSupervisor})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	attach(event(second.Session))
	c, err := h.directory.Conversation(t.Context(), org, first.ConversationID)
	if err != nil {
		t.Fatalf("Conversation: %v", err)
	}
	want := map[string]string{"CoBrowseSessionId": string(second.Session.ID), "CoBrowseSessionsQuantity": "2", "CoBrowseStartTime": "1772600767000"}
	if diff := cmp.Diff(want, c.Participants[0].Attributes); diff != "" {
		t.Errorf("the customer's attributes (-want +got):\n%s", diff)
	}
	if len(c.Participants[1].Attributes) != 0 {
		t.Errorf("the agent's attributes = %v, want none", c.Participants[1].Attributes)
	}
	attach(cobrowse.Event{Type: cobrowse.EventCreated, OrgID: org, SessionID: "s", ConversationID: "gone"})
	attach(cobrowse.Event{Type: cobrowse.EventCreated, OrgID: org, SessionID: "s"}) // no conversation yet

	alone, err := h.directory.Create(t.Context(), org, conversations.NewConversation{Medium: conversations.MediumCall, Participants: []conversations.NewParticipant{{Purpose: conversations.PurposeAgent, UserID: ann}}})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	attach(cobrowse.Event{Type: cobrowse.EventUpdated, At: t0, OrgID: org, SessionID: "attached", ConversationID: alone.ID})
	if c, err := h.directory.Conversation(t.Context(), org, alone.ID); err != nil || c.Participants[0].Attributes["CoBrowseSessionId"] != "attached" {
		t.Errorf("without a customer the agent's attributes = %v, %v", c.Participants[0].Attributes, err)
	}
}

// A conversation that takes no more attributes must not hold up those behind it:
// an event that can never be handled is given up.
func TestAttachDataGivesUpWhatIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session
	c, err := h.directory.Conversation(t.Context(), org, s.ConversationID)
	if err != nil {
		t.Fatalf("Conversation: %v", err)
	}
	full := func() error {
		for batch := range 11 {
			data := map[string]string{}
			for i := range 100 {
				data[fmt.Sprintf("k%d-%d", batch, i)] = "v"
			}
			if err := h.directory.SetAttributes(t.Context(), org, c.ID, c.Participants[0].ID, data); err != nil {
				return err
			}
		}
		return nil
	}
	wantCode(t, "filling the customer's attributes", full(), cobridge.CodeConstraintValidation)
	event := cobrowse.Event{Type: cobrowse.EventCreated, At: s.CreatedAt, OrgID: org, SessionID: s.ID, ConversationID: s.ConversationID}
	if err := h.AttachData(t.Context(), event); err != nil {
		t.Errorf("AttachData = %v, want nil: trying again would change nothing", err)
	}
}
