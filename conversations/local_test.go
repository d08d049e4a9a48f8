package conversations_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/conversations"
)

var t0 = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)

const (
	org conversations.OrgID  = "0a1b2c3d-0000-4000-8000-000000000001"
	ann conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000a1"
)

// newLocal returns a directory on a real store file, in which Ann works. Its
// clock stands still at *now.
func newLocal(t *testing.T, now *time.Time) *conversations.Local {
	t.Helper()
	store, err := bolt.Open(t.Context(), bolt.Config{Path: filepath.Join(t.TempDir(), "store.db"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	l := conversations.NewLocal(store, func() time.Time { return *now })
	if err := l.Seed(t.Context(), conversations.Organisation{ID: org, Name: "Test"}, []conversations.User{{ID: ann, Name: "Ann", State: conversations.UserActive}}, nil); err != nil {
		t.Fatalf("seed: %v", err)
	}
	return l
}

func talk(medium conversations.Medium) conversations.NewConversation {
	return conversations.NewConversation{Medium: medium, Participants: []conversations.NewParticipant{
		{Purpose: conversations.PurposeCustomer, Name: "Kim", Attributes: map[string]string{"a": "1", "b": "2"}},
		{Purpose: conversations.PurposeAgent, UserID: ann},
	}}
}

// Whoever creates a conversation hears of every rule that it breaks at once.
func TestCreateReportsAllProblems(t *testing.T) {
	t.Parallel()
	now := t0
	l := newLocal(t, &now)
	_, err := l.Create(t.Context(), org, conversations.NewConversation{
		Medium: "smoke", ExternalTag: strings.Repeat("x", 257),
		Participants: []conversations.NewParticipant{
			{Purpose: conversations.PurposeAgent},
			{Purpose: conversations.PurposeCustomer, UserID: ann},
			{Purpose: "guest", Name: strings.Repeat("é", 257)},
			{Purpose: conversations.PurposeIVR, Attributes: map[string]string{"": "x", "long": strings.Repeat("x", 4097)}},
		},
	})
	e, ok := errors.AsType[*cobridge.Error](err)
	if !ok || e.Code != cobridge.CodeConstraintValidation {
		t.Fatalf("Create = %v, want %s", err, cobridge.CodeConstraintValidation)
	}
	want := []cobridge.Detail{
		{FieldName: "mediaType", ErrorCode: "unknown"},
		{FieldName: "externalTag", ErrorCode: "too.long"},
		{FieldName: "participants[0].userId", ErrorCode: "required"},
		{FieldName: "participants[1].userId", ErrorCode: "not.allowed"},
		{FieldName: "participants[2].purpose", ErrorCode: "unknown"},
		{FieldName: "participants[2].name", ErrorCode: "too.long"},
		{FieldName: "participants[3].attributes", ErrorCode: "key.size"},
		{FieldName: "participants[3].attributes.long", ErrorCode: "too.long"},
	}
	if diff := cmp.Diff(want, e.Details); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

// A conversation is active until it ends; ending it again keeps the first time,
// but tells the subscribers again.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	now := t0
	l := newLocal(t, &now)
	told := 0
	l.OnEnd(func(context.Context, conversations.OrgID, conversations.ID) { told++ })
	c, err := l.Create(t.Context(), org, talk(conversations.MediumCall))
	if err != nil || !c.Active() {
		t.Fatalf("Create = %+v, %v; want an active conversation", c, err)
	}
	if got, want := c.Participants[1].Name, "Ann"; got != want {
		t.Errorf("the agent's name is %q, want the user's, %q", got, want)
	}
	for range 2 {
		now = now.Add(time.Minute)
		if err := l.Disconnect(t.Context(), org, c.ID); err != nil {
			t.Fatalf("Disconnect: %v", err)
		}
	}
	ended, err := l.Conversation(t.Context(), org, c.ID)
	if err != nil || ended.Active() || !ended.EndedAt.Equal(t0.Add(time.Minute)) {
		t.Errorf("after two ends: active %t, ended at %v, %v; want the first end", ended.Active(), ended.EndedAt, err)
	}
	for _, p := range ended.Participants {
		if p.Connected() || p.Communications[0].State != conversations.StateDisconnected {
			t.Errorf("participant %s is still connected", p.Purpose)
		}
	}
	if told != 2 {
		t.Errorf("subscribers were called %d times, want 2", told)
	}
	if err := l.Disconnect(t.Context(), "0a1b2c3d-0000-4000-8000-000000000002", c.ID); cobridge.CodeOf(err) != cobridge.CodeConversationNotFound {
		t.Errorf("Disconnect by another organisation = %v, want %s", err, cobridge.CodeConversationNotFound)
	}
}

func TestSetAttributesMerges(t *testing.T) {
	t.Parallel()
	now := t0
	l := newLocal(t, &now)
	c, err := l.Create(t.Context(), org, talk(conversations.MediumChat))
	if err != nil {
		t.Fatal(err)
	}
	customer := c.Participants[0].ID
	if err := l.SetAttributes(t.Context(), org, c.ID, customer, map[string]string{"b": "3", "c": "4"}); err != nil {
		t.Fatalf("SetAttributes: %v", err)
	}
	for name, tt := range map[string]struct {
		participant conversations.ParticipantID
		attributes  map[string]string
		want        cobridge.Code
	}{
		"null":                {customer, nil, cobridge.CodeAttributeNull},
		"too long":            {customer, map[string]string{"c": strings.Repeat("x", 4097)}, cobridge.CodeConstraintValidation},
		"unknown participant": {"nobody", map[string]string{}, cobridge.CodeParticipantNotFound},
	} {
		if err := l.SetAttributes(t.Context(), org, c.ID, tt.participant, tt.attributes); cobridge.CodeOf(err) != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	after, err := l.Conversation(t.Context(), org, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "3", "c": "4"}, after.Participants[0].Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

// The capability is given for voice and for digital media, each for itself.
func TestMayCobrowse(t *testing.T) {
	t.Parallel()
	now := t0
	l := newLocal(t, &now)
	for _, medium := range conversations.Media() {
		c, err := l.Create(t.Context(), org, talk(medium))
		if err != nil {
			t.Fatal(err)
		}
		voice := medium == conversations.MediumCall || medium == conversations.MediumCallback
		for _, may := range []conversations.Capability{{}, {Voice: true}, {Digital: true}, {Voice: true, Digital: true}} {
			u := conversations.User{Cobrowse: may}
			if got, want := u.MayCobrowse(c), voice && may.Voice || !voice && may.Digital; got != want {
				t.Errorf("%+v in a %s: %t, want %t", may, medium, got, want)
			}
		}
	}
}

// Seeding again changes users that changed, and leaves conversations alone.
func TestSeedAgain(t *testing.T) {
	t.Parallel()
	now := t0
	l := newLocal(t, &now)
	started := talk(conversations.MediumMessage)
	started.ID = "0a1b2c3d-0000-4000-8000-0000000000c1"
	seed := func(title string) conversations.User {
		t.Helper()
		users := []conversations.User{{ID: ann, Name: "Ann", Title: title, State: conversations.UserActive}}
		if err := l.Seed(t.Context(), conversations.Organisation{ID: org, Name: "Test"}, users, []conversations.NewConversation{started}); err != nil {
			t.Fatalf("Seed: %v", err)
		}
		u, err := l.User(t.Context(), org, ann)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if got := seed("").Version; got != 1 {
		t.Errorf("version of an unchanged user = %d, want 1", got)
	}
	if err := l.Disconnect(t.Context(), org, started.ID); err != nil {
		t.Fatal(err)
	}
	if u := seed("Lead"); u.Version != 2 || u.Title != "Lead" {
		t.Errorf("changed user = %+v, want version 2 and the new title", u)
	}
	if c, err := l.Conversation(t.Context(), org, started.ID); err != nil || c.Active() {
		t.Errorf("a seeded conversation that has ended: active %t, %v; want it to stay ended", c.Active(), err)
	}
}
