package cobrowse_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/cobrowse"
)

// TestEvents plays a session and hears, in order, what every other surface hears.
func TestEvents(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	events := make(chan cobrowse.Event, 64)
	ready, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = h.store.Follow(ctx, "", func() { close(ready) }, func(_ context.Context, e cobrowse.Event) error {
			events <- e
			return nil
		})
	}()
	<-ready
	t.Cleanup(func() { cancel(); <-done })

	s := h.start(t, agentAndSupervisor).Session
	agent := h.connect(t, s, cobrowse.ParticipantID(ann))
	h.connect(t, s, cobrowse.ParticipantID(ben))
	if err := h.VisitPage(t.Context(), s.ID, agent.Participant.ID, agent.Participant.Connection.Number, "https://shop.example/", "Shop"); err != nil {
		t.Fatalf("VisitPage: %v", err)
	}
	h.disconnect(t, agent)
	if _, err := h.RemoveParticipant(t.Context(), org, s.ID, cobrowse.ParticipantID(ben)); err != nil {
		t.Fatalf("RemoveParticipant: %v", err)
	}
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}

	type heard struct {
		Type        cobrowse.EventType
		Participant cobrowse.ParticipantID
		Connection  uint64
		EndReason   cobrowse.EndReason
	}
	annID, benID := cobrowse.ParticipantID(ann), cobrowse.ParticipantID(ben)
	want := []heard{
		{Type: cobrowse.EventCreated},
		{Type: cobrowse.EventParticipantJoined, Participant: annID, Connection: 1},
		{Type: cobrowse.EventParticipantConnected, Participant: annID, Connection: 1},
		{Type: cobrowse.EventParticipantJoined, Participant: benID, Connection: 1},
		{Type: cobrowse.EventParticipantConnected, Participant: benID, Connection: 1},
		{Type: cobrowse.EventActivated},
		{Type: cobrowse.EventPageVisited, Participant: annID, Connection: 1},
		{Type: cobrowse.EventParticipantDisconnected, Participant: annID, Connection: 1},
		{Type: cobrowse.EventParticipantRemoved, Participant: benID, Connection: 2},
		{Type: cobrowse.EventEnded, EndReason: cobrowse.EndRequested},
	}
	var got []heard
	var last uint64
	for range want {
		e := <-events
		if e.SessionID != s.ID || e.OrgID != org || e.ConversationID != s.ConversationID || e.At.IsZero() || e.Sequence <= last {
			t.Errorf("event %+v lacks a name, or its sequence is not above %d", e, last)
		}
		last = e.Sequence
		got = append(got, heard{e.Type, e.ParticipantID, e.Connection, e.EndReason})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
