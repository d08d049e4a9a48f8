package cobrowse_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// happened returns all events that were stored so far.
func (h *house) happened(t *testing.T) []cobrowse.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	last := h.start(t, agentAndSupervisor).Session // whose creation comes after all of them
	var events []cobrowse.Event
	err := h.store.Follow(ctx, t.Name(), nil, func(_ context.Context, e cobrowse.Event) error {
		if e.SessionID == last.ID {
			cancel()
		} else {
			events = append(events, e)
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Follow: %v", err)
	}
	return events
}

// attached returns the attributes of the conversation's first participant, its customer.
func (h *house) attached(t *testing.T, id conversations.ID) map[string]string {
	t.Helper()
	c, err := h.directory.Conversation(t.Context(), org, id)
	if err != nil {
		t.Fatalf("Conversation: %v", err)
	}
	for _, p := range c.Participants[1:] {
		if len(p.Attributes) != 0 {
			t.Errorf("the attributes of the %s = %v, want none", p.Purpose, p.Attributes)
		}
	}
	return c.Participants[0].Attributes
}

// attach hears of events, each of them twice: they come at least once.
func (h *house) attach(t *testing.T, events ...cobrowse.Event) {
	t.Helper()
	for _, e := range events {
		for range 2 {
			if err := h.AttachData(t.Context(), e); err != nil {
				t.Fatalf("AttachData of %s: %v", e.Type, err)
			}
		}
	}
}

func eventOf(s cobrowse.Session, kind cobrowse.EventType) cobrowse.Event {
	return cobrowse.Event{Type: kind, At: s.CreatedAt, OrgID: s.OrgID, SessionID: s.ID, ConversationID: s.ConversationID}
}

// restart starts another session on the conversation of one that has ended.
func (h *house) restart(t *testing.T, s cobrowse.Session, invites []cobrowse.Invite) cobrowse.Session {
	t.Helper()
	started, err := h.Start(t.Context(), cobrowse.StartRequest{OrgID: org, ConversationID: s.ConversationID, Participants: invites})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return started.Session
}

func (h *house) finish(t *testing.T, s cobrowse.Session) {
	t.Helper()
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
}

// TestAttachData goes through the sessions of one conversation.
func TestAttachData(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, everybody).Session
	wantCode(t, "a directory that is down", h.again(t, downDirectory{}).AttachData(t.Context(), eventOf(s, cobrowse.EventCreated)), cobridge.CodeUnavailable)
	want := func(when string, kind cobrowse.EventType, want map[string]string) {
		t.Helper()
		h.attach(t, eventOf(s, kind))
		if diff := cmp.Diff(want, h.attached(t, s.ConversationID)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	const began = "1772600767000"
	first := string(s.ID)
	want("nobody has come", cobrowse.EventCreated, map[string]string{"CoBrowseSessionId": first, "CoBrowseSessionsQuantity": "1", "CoBrowseStartTime": began})
	h.clock.Advance(2 * time.Second)
	h.connect(t, s, s.Sharer())
	want("the customer has come", cobrowse.EventParticipantJoined, map[string]string{"CoBrowseSessionId": first, "CoBrowseSessionsQuantity": "1", "CoBrowseStartTime": began})
	h.connect(t, s, cobrowse.ParticipantID(ann))
	want("the agent has come", cobrowse.EventParticipantJoined, map[string]string{
		"CoBrowseSessionId": first, "CoBrowseSessionsQuantity": "1", "CoBrowseStartTime": began, "CoBrowseAssociated": "Yes", "IsCoBrowseDenied": "No",
	})
	h.clock.Advance(30*time.Second + 600*time.Millisecond)
	h.finish(t, s)
	want("the first session has ended", cobrowse.EventEnded, map[string]string{
		"CoBrowseSessionId": first, "CoBrowseSessionsQuantity": "1", "CoBrowseStartTime": began, "CoBrowseAssociated": "No", "IsCoBrowseDenied": "No", "CoBrowseDuration": "30",
	})

	h.clock.Advance(time.Minute)
	s = h.restart(t, s, everybody)
	second := string(s.ID)
	want("a second one", cobrowse.EventCreated, map[string]string{
		"CoBrowseSessionId": second, "CoBrowseSessionsQuantity": "2", "CoBrowseStartTime": began, "CoBrowseAssociated": "No", "IsCoBrowseDenied": "No", "CoBrowseDuration": "30",
	})
	h.clock.Advance(time.Minute)
	h.finish(t, s)
	want("to which nobody came", cobrowse.EventEnded, map[string]string{
		"CoBrowseSessionId": second, "CoBrowseSessionsQuantity": "2", "CoBrowseStartTime": began, "CoBrowseAssociated": "No", "IsCoBrowseDenied": "Yes", "CoBrowseDuration": "30",
	})

	h.clock.Advance(time.Minute)
	s = h.restart(t, s, everybody)
	h.connect(t, s, cobrowse.ParticipantID(ann))
	want("a third one, the agent is there first", cobrowse.EventParticipantJoined, map[string]string{
		"CoBrowseSessionId": string(s.ID), "CoBrowseSessionsQuantity": "3", "CoBrowseStartTime": began, "CoBrowseAssociated": "Yes", "IsCoBrowseDenied": "Yes", "CoBrowseDuration": "30",
	})
	h.connect(t, s, s.Sharer())
	want("and the customer", cobrowse.EventActivated, map[string]string{
		"CoBrowseSessionId": string(s.ID), "CoBrowseSessionsQuantity": "3", "CoBrowseStartTime": began, "CoBrowseAssociated": "Yes", "IsCoBrowseDenied": "No", "CoBrowseDuration": "30",
	})
	h.clock.Advance(10*time.Second + 400*time.Millisecond)
	if _, err := h.RemoveParticipant(t.Context(), org, s.ID, cobrowse.ParticipantID(ann)); err != nil {
		t.Fatalf("RemoveParticipant: %v", err)
	}
	want("the agent was taken out", cobrowse.EventParticipantRemoved, map[string]string{
		"CoBrowseSessionId": string(s.ID), "CoBrowseSessionsQuantity": "3", "CoBrowseStartTime": began, "CoBrowseAssociated": "No", "IsCoBrowseDenied": "No", "CoBrowseDuration": "30",
	})
	if err := h.directory.Disconnect(t.Context(), org, s.ConversationID); err != nil {
		t.Fatalf("Disconnect: %v", err)
	}
	want("the conversation is over: milliseconds of both sessions make a second more", cobrowse.EventEnded, map[string]string{
		"CoBrowseSessionId": string(s.ID), "CoBrowseSessionsQuantity": "3", "CoBrowseStartTime": began, "CoBrowseAssociated": "No", "IsCoBrowseDenied": "No", "CoBrowseDuration": "41",
	})
}

// Events may come again, late, in another order, or all at once after a long time:
// what is written in the end is the same.
func TestAttachDataInAnyOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, everybody).Session
	for i := range 4 {
		if i > 0 {
			h.clock.Advance(time.Second)
			s = h.restart(t, s, everybody)
		}
		h.clock.Advance(time.Second)
		h.connect(t, s, s.Sharer())
		if i != 2 { // to the third one no agent comes
			h.connect(t, s, cobrowse.ParticipantID(ann))
		}
		h.clock.Advance(time.Duration(i+1) * 1500 * time.Millisecond)
		if i < 3 {
			h.finish(t, s)
		}
	}
	events := h.happened(t)
	if len(events) < 20 {
		t.Fatalf("%d events, want all of four sessions", len(events))
	}
	want := map[string]string{
		"CoBrowseSessionId": string(s.ID), "CoBrowseSessionsQuantity": "4", "CoBrowseStartTime": "1772600767000",
		"CoBrowseAssociated": "Yes", "IsCoBrowseDenied": "No", "CoBrowseDuration": "4",
	}
	check := func(how string) {
		t.Helper()
		if diff := cmp.Diff(want, h.attached(t, s.ConversationID)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", how, diff)
		}
	}
	h.attach(t, events...)
	check("all, as they came")
	h.attach(t, events[len(events)/2:]...)
	check("the later half again, as after a crash")
	for seed := range uint64(20) {
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		h.attach(t, events...)
		check(fmt.Sprintf("shuffled, seed %d", seed))
	}
	// The end is heard of before the rest of what happened.
	h.clock.Advance(2*time.Second + 500*time.Millisecond)
	h.finish(t, s)
	want["CoBrowseAssociated"], want["CoBrowseDuration"] = "No", "13"
	h.attach(t, eventOf(s, cobrowse.EventEnded))
	check("the end")
	h.attach(t, events...)
	check("and what had been before")
}

// A conversation may outlive the records of its first sessions, and have more of them
// than are read at a time.
func TestAttachDataOfManySessions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, everybody).Session
	const n = 120
	for i := range n {
		if i > 0 {
			s = h.restart(t, s, everybody)
		}
		h.connect(t, s, s.Sharer())
		h.connect(t, s, cobrowse.ParticipantID(ann))
		h.clock.Advance(1010 * time.Millisecond)
		h.finish(t, s)
	}
	h.attach(t, eventOf(s, cobrowse.EventEnded))
	want := map[string]string{
		"CoBrowseSessionId": string(s.ID), "CoBrowseSessionsQuantity": "120", "CoBrowseStartTime": "1772600767000",
		"CoBrowseAssociated": "No", "IsCoBrowseDenied": "No", "CoBrowseDuration": "121",
	}
	if diff := cmp.Diff(want, h.attached(t, s.ConversationID)); diff != "" {
		t.Errorf("all of them (-want +got):\n%s", diff)
	}
	purge := func(before time.Time) {
		t.Helper()
		if _, err := h.store.Purge(t.Context(), cobrowse.Purge{At: h.clock.Now(), Ended: before}, 1000); err != nil {
			t.Fatalf("Purge: %v", err)
		}
		if _, total, err := h.store.Sessions(t.Context(), cobrowse.Query{OrgID: org, ConversationID: s.ConversationID, Limit: 1}); err != nil || total >= n {
			t.Fatalf("%d sessions are kept (%v), want fewer", total, err)
		}
	}
	purge(t0.Add(time.Minute)) // about half of them
	s = h.restart(t, s, everybody)
	h.attach(t, eventOf(s, cobrowse.EventCreated))
	want["CoBrowseSessionId"], want["CoBrowseSessionsQuantity"] = string(s.ID), "121"
	if diff := cmp.Diff(want, h.attached(t, s.ConversationID)); diff != "" {
		t.Errorf("one more, when some are forgotten (-want +got):\n%s", diff)
	}
	h.finish(t, s)
	h.clock.Advance(time.Second)
	purge(h.clock.Now()) // all of them
	h.attach(t, eventOf(s, cobrowse.EventEnded))
	s = h.restart(t, s, everybody)
	h.attach(t, eventOf(s, cobrowse.EventCreated))
	want["CoBrowseSessionId"], want["CoBrowseSessionsQuantity"] = string(s.ID), "122"
	if diff := cmp.Diff(want, h.attached(t, s.ConversationID)); diff != "" {
		t.Errorf("one more, when all are forgotten (-want +got):\n%s", diff)
	}
}

// Whose attributes they are, and events of which there is nothing to say.
func TestAttachDataOfWhom(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, everybody).Session
	h.attach(t,
		cobrowse.Event{Type: cobrowse.EventCreated, OrgID: org, SessionID: "s", ConversationID: "gone"},
		cobrowse.Event{Type: cobrowse.EventCreated, OrgID: org, SessionID: "s"}, // no conversation yet
		cobrowse.Event{Type: cobrowse.EventCreated, OrgID: otherOrg, SessionID: s.ID, ConversationID: s.ConversationID},
		eventOf(s, cobrowse.EventPageVisited), eventOf(s, cobrowse.EventParticipantConnected),
	)
	if got := h.attached(t, s.ConversationID); len(got) != 0 {
		t.Errorf("attributes = %v, want none: nothing was said that concerns them", got)
	}
	alone, err := h.directory.Create(t.Context(), org, conversations.NewConversation{Medium: conversations.MediumCall, Participants: []conversations.NewParticipant{{Purpose: conversations.PurposeAgent, UserID: ann}}})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	s.ConversationID = alone.ID
	h.attach(t, eventOf(h.restart(t, s, agentAndSupervisor), cobrowse.EventCreated))
	if got := h.attached(t, alone.ID); got["CoBrowseSessionsQuantity"] != "1" {
		t.Errorf("without a customer the agent's attributes = %v", got)
	}
	// What others have written there is no number.
	if err := h.directory.SetAttributes(t.Context(), org, alone.ID, alone.Participants[0].ID, map[string]string{
		"CoBrowseSessionId": "theirs", "CoBrowseSessionsQuantity": "many", "CoBrowseDuration": "-", "mine": "x",
	}); err != nil {
		t.Fatalf("SetAttributes: %v", err)
	}
	h.attach(t, cobrowse.Event{Type: cobrowse.EventUpdated, OrgID: org, ConversationID: alone.ID})
	if got := h.attached(t, alone.ID); got["CoBrowseSessionsQuantity"] != "1" || got["mine"] != "x" {
		t.Errorf("attributes after others wrote them = %v", got)
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
	if err := h.AttachData(t.Context(), eventOf(s, cobrowse.EventCreated)); err != nil {
		t.Errorf("AttachData = %v, want nil: trying again would change nothing", err)
	}
}
