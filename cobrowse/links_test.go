package cobrowse_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
)

// TestCloseLinks: two processes serve one store and one of them dies. Its links go into
// grace, those of the other do not, and what the dead one says late changes nothing: no
// write of it needs more to be refused than the version of the session and the number of
// the link.
func TestCloseLinks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	named := func(name string) func(*cobrowse.Config) {
		return func(c *cobrowse.Config) { c.Node = func() string { return name } }
	}
	dead, alive := h.again(t, h.directory, named("dead")), h.again(t, h.directory, named("alive"))
	s := h.start(t, everybody).Session
	h.Service = dead
	sharer := h.connect(t, s, s.Sharer())
	h.Service = alive
	agent := h.connect(t, s, cobrowse.ParticipantID(ann))
	if got := sharer.Participant.Connection.Node; got != "dead" {
		t.Errorf("the link has the name %q, want dead", got)
	}
	before := h.look(t, s.ID).Version
	failure := errors.New("nobody knows")
	if err := alive.CloseLinks(t.Context(), func(context.Context, string) (bool, error) { return false, failure }); !errors.Is(err, failure) {
		t.Errorf("CloseLinks = %v, want %v", err, failure)
	}
	if err := alive.CloseLinks(t.Context(), func(context.Context, string) (bool, error) { return false, nil }); err != nil || h.look(t, s.ID).Version != before {
		t.Errorf("CloseLinks of nobody = %v, version %d; want nothing to change", err, h.look(t, s.ID).Version)
	}

	h.clock.Advance(time.Minute)
	closeDead := func() {
		t.Helper()
		if err := alive.CloseLinks(t.Context(), func(_ context.Context, node string) (bool, error) { return node == "dead", nil }); err != nil {
			t.Fatalf("CloseLinks: %v", err)
		}
	}
	closeDead()
	link := func(id cobrowse.ParticipantID) cobrowse.Connection {
		t.Helper()
		p, ok := h.look(t, s.ID).Participant(id)
		if !ok {
			t.Fatalf("there is no participant %s", id)
		}
		return p.Connection
	}
	if got := link(sharer.Participant.ID); got.Open || !got.ClosedAt.Equal(h.clock.Now()) {
		t.Errorf("the link of the dead process is %+v, want it closed now", got)
	}
	if got := link(agent.Participant.ID); !got.Open {
		t.Errorf("the link of the other process is %+v, want it open", got)
	}

	// The sharer comes back through the other process.
	back, err := alive.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: sharer.Participant.ID, Secret: sharer.Secret, Tab: "tab"})
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	closeDead()
	old := sharer.Participant.Connection.Number
	for call, err := range map[string]error{
		"Disconnected": dead.Disconnected(t.Context(), s.ID, sharer.Participant.ID, old),
		"VisitPage":    dead.VisitPage(t.Context(), s.ID, sharer.Participant.ID, old, "https://shop.example/old", "Old"),
		"Leave":        dead.Leave(t.Context(), s.ID, sharer.Participant.ID, old),
	} {
		if err != nil {
			t.Errorf("%s, late = %v, want nil", call, err)
		}
	}
	got := h.look(t, s.ID)
	if l := link(sharer.Participant.ID); !l.Open || l.Number != back.Participant.Connection.Number || l.Node != "alive" {
		t.Errorf("the link after all that is %+v, want it open at the other process", l)
	}
	if !got.Live() || len(got.Pages) != 0 {
		t.Errorf("the session has ended, or has pages: %+v", got.Pages)
	}
}
