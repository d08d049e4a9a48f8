package genesys_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/conversations/genesys"
)

// A change that is made from here is told of at once, and an end after it was told as one.
func TestChangesFromHere(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	accepted := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }
	c.mux.HandleFunc("PATCH /api/v2/conversations/{id}/participants/{participant}/attributes", accepted)
	c.mux.HandleFunc("POST /api/v2/conversations/{id}/disconnect", accepted)
	d := c.directory()
	var told []string
	note := func(what string) func(context.Context, conversations.OrgID, conversations.ID) {
		return func(_ context.Context, in conversations.OrgID, id conversations.ID) {
			if in != org || id != talk {
				t.Errorf("told of %s in %s", id, in)
			}
			told = append(told, what)
		}
	}
	d.OnChange(note("change"))
	d.OnEnd(note("end"))
	if err := d.SetAttributes(t.Context(), org, talk, customer, map[string]string{"a": "1"}); err != nil {
		t.Errorf("SetAttributes: %v", err)
	}
	if err := d.Disconnect(t.Context(), org, talk); err != nil {
		t.Errorf("Disconnect: %v", err)
	}
	if want := []string{"change", "end", "change"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}

// A change elsewhere is seen by the next look, once.
func TestChangesElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &talks{state: map[conversations.ID]string{talk: "alerting", talk2: "connected"}}
		d, ended := watching(t, s, genesys.Config{})
		changes := make(chan conversations.ID, 10)
		d.OnChange(func(_ context.Context, _ conversations.OrgID, id conversations.ID) { changes <- id })
		pass(5 * time.Minute)
		s.set(talk, "connected")
		pass(5 * time.Minute)
		synctest.Wait()
		if got := len(changes); got != 1 {
			t.Fatalf("told of %d changes, want 1", got)
		}
		if got := <-changes; got != talk || len(ended()) != 0 {
			t.Errorf("told of a change of %s, or of an end", got)
		}
	})
}

// A change elsewhere is told of when the service tells of it.
func TestChangesByNotification(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	conn := s.ready()
	changes := make(chan conversations.ID, 10)
	s.directory.OnChange(func(_ context.Context, _ conversations.OrgID, id conversations.ID) { changes <- id })
	s.send(conn, event(topic, conversation(talk, "alerting")))
	if got := wait(t, "change", changes); got != talk {
		t.Errorf("told of %s, want %s", got, talk)
	}
}
