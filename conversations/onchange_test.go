package conversations_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/conversations"
)

// Who follows a conversation hears of each change after it is stored, of an end once.
func TestOnChange(t *testing.T) {
	t.Parallel()
	now := t0
	l := newLocal(t, &now)
	type seen struct {
		ID     conversations.ID
		Active bool
		A      string // attribute of the customer
	}
	var got []seen
	ended := false
	l.OnEnd(func(context.Context, conversations.OrgID, conversations.ID) { ended = true })
	l.OnChange(func(ctx context.Context, of conversations.OrgID, id conversations.ID) {
		c, err := l.Conversation(ctx, of, id)
		if err != nil || of != org {
			t.Errorf("a change of %s in %s cannot be looked at: %v", id, of, err)
			return
		}
		if !c.Active() && !ended {
			t.Errorf("of the end OnChange heard before OnEnd")
		}
		got = append(got, seen{id, c.Active(), c.Participants[0].Attributes["a"]})
	})
	c, err := l.Create(t.Context(), org, talk(conversations.MediumCall))
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if _, err := l.Create(t.Context(), org, conversations.NewConversation{}); err == nil {
		t.Errorf("Create of nothing succeeded")
	}
	if err := l.SetAttributes(t.Context(), org, c.ID, c.Participants[0].ID, map[string]string{"a": "9"}); err != nil {
		t.Fatalf("SetAttributes: %v", err)
	}
	if err := l.SetAttributes(t.Context(), org, c.ID, "nobody", map[string]string{"a": "8"}); err == nil {
		t.Errorf("SetAttributes of nobody succeeded")
	}
	for range 2 { // the second changes nothing
		if err := l.Disconnect(t.Context(), org, c.ID); err != nil {
			t.Fatalf("Disconnect: %v", err)
		}
	}
	want := []seen{{c.ID, true, "1"}, {c.ID, true, "9"}, {c.ID, false, "9"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
