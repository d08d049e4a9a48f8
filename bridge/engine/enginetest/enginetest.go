package enginetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/knowledge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// Store is everything that an engine stores.
type Store interface {
	cobrowse.Store
	cobrowse.Index
	cobrowse.Events
	cobrowse.DeploymentStore
	cobrowse.SecretStore
	conversations.Store
	oauth.Store
	knowledge.Store
	notify.Store
}

// Engine is one opened engine.
type Engine struct {
	Store
	// Reopen ends this engine as a stop of the process would and opens it again on
	// what it has stored; the first must not be used afterwards.
	Reopen func(*testing.T) Engine
}

// Run runs the suite; open returns an empty engine and registers its own cleanup. It
// is called once per behaviour, also at the same time.
func Run(t *testing.T, open func(*testing.T) Engine) {
	t.Helper()
	for _, part := range []struct {
		name  string
		tests map[string]func(*testing.T, Engine)
	}{
		{"sessions", sessionTests()},
		{"claims", claimTests()},
		{"races", raceTests()},
		{"index", indexTests()},
		{"purge", purgeTests()},
		{"events", eventTests()},
		{"deployments", deploymentTests()},
		{"conversations", conversationTests()},
		{"oauth", oauthTests()},
		{"knowledge", knowledgeTests()},
		{"notification channels", notifyTests()},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			for name, test := range part.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, open(t))
				})
			}
		})
	}
}

var t0 = time.Date(2026, time.January, 2, 3, 4, 5, 678_000_000, time.UTC)

const (
	org      conversations.OrgID = "0a000000-0000-4000-8000-000000000001"
	otherOrg conversations.OrgID = "0a000000-0000-4000-8000-000000000002"
)

// session returns a live session of org as the rules would make it.
func session(id string, conversation conversations.ID) cobrowse.Session {
	return cobrowse.Session{
		ID: cobrowse.SessionID(id), OrgID: org, ConversationID: conversation, Token: "123456789",
		Settings: cobrowse.Settings{AllowRemoteControl: true, Timeout: 15 * time.Minute},
		Participants: []cobrowse.Participant{
			{ID: "p-1", UserID: "p-1", Role: cobrowse.RoleAgent, Name: "Ann", State: cobrowse.ParticipantInvited},
			{
				ID: "p-2", Role: cobrowse.RoleCustomer, Name: "Jürgen 山田 \x00 \u2028", State: cobrowse.ParticipantJoined, JoinedAt: t0,
				Connection: cobrowse.Connection{Number: 3, ClosedAt: t0}, Resume: cobrowse.Resume{Current: [32]byte{1, 2, 3}, PreviousUntil: t0, Tab: "t"},
			},
		},
		Pages:     []cobrowse.PageVisit{{URL: "https://shop.example/a?<&>", Title: "Ä", EnteredAt: t0}},
		Grants:    []cobrowse.Grant{{Kind: cobrowse.GrantSharing, By: "p-2", TextVersion: "en-1", GivenAt: t0}, {Kind: cobrowse.GrantControl, To: "p-1", By: "p-2", GivenAt: t0, ExpiresAt: t0.Add(time.Minute)}},
		Actions:   []cobrowse.Action{{At: t0, LastAt: t0.Add(time.Second), ParticipantID: "p-1", Kind: "text", Path: "form > input#<&>", Result: "ok", Count: 2}},
		CreatedAt: t0, CreatedBy: "client", TokenIssuedAt: t0, Deadline: t0.Add(20 * time.Minute), DeadlineReason: cobrowse.EndNeverJoined, Version: 1,
	}
}

// next returns s one version later, with something changed.
func next(s cobrowse.Session) cobrowse.Session {
	s = s.Clone()
	s.Version++
	s.LastActivityAt = t0.Add(time.Duration(s.Version) * time.Second)
	return s
}

// ended returns s one version later, ended.
func ended(s cobrowse.Session, at time.Time) cobrowse.Session {
	s = next(s)
	s.EndedAt, s.EndReason = at, cobrowse.EndRequested
	return s
}

func change(s cobrowse.Session) cobrowse.Change { return cobrowse.Change{At: t0, Session: s} }

func conversationClaim(id conversations.ID) cobrowse.Claim {
	return cobrowse.Claim{Kind: cobrowse.ClaimConversation, OrgID: org, Key: string(id)}
}

func event(s cobrowse.Session, kind cobrowse.EventType) cobrowse.Event {
	return cobrowse.Event{Type: kind, At: t0, OrgID: s.OrgID, SessionID: s.ID, ConversationID: s.ConversationID, ParticipantID: "p-1", Connection: 7}
}

// mustApply stores what the test starts from.
func mustApply(t *testing.T, e Engine, changes ...cobrowse.Change) {
	t.Helper()
	for _, c := range changes {
		if err := e.Apply(t.Context(), c); err != nil {
			t.Fatalf("Apply of session %s, version %d: %v", c.Session.ID, c.Session.Version, err)
		}
	}
}

// mustStore fails the test if a call that stores something failed.
func mustStore(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("store: %v", err)
	}
}

func wantIs(t *testing.T, call string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", call, err, want)
	}
}

func wantCode(t *testing.T, call string, err error, want cobridge.Code) {
	t.Helper()
	if got := cobridge.CodeOf(err); got != want {
		t.Errorf("%s = %v with code %q, want code %q", call, err, got, want)
	}
}

// wantClaimed checks that err names the claim and its holder.
func wantClaimed(t *testing.T, err error, claim cobrowse.Claim, holder cobrowse.SessionID) {
	t.Helper()
	claimed, ok := errors.AsType[*cobrowse.ClaimedError](err)
	if !ok {
		t.Errorf("Apply = %v, want a ClaimedError of %v", err, claim)
		return
	}
	if claimed.Claim != claim || claimed.Holder != holder {
		t.Errorf("Apply = claim %v held by %q, want claim %v held by %q", claimed.Claim, claimed.Holder, claim, holder)
	}
}

// wantSession checks what is stored of a session.
func wantSession(t *testing.T, e Engine, want cobrowse.Session) {
	t.Helper()
	got, err := e.Session(t.Context(), want.ID)
	if err != nil {
		t.Errorf("Session(%s) = %v", want.ID, err)
		return
	}
	wantSame(t, fmt.Sprintf("Session(%s)", want.ID), got, want)
}

// wantSame compares what was read with what was stored; nil and empty lists are the same.
func wantSame[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantNoSession(t *testing.T, e Engine, id cobrowse.SessionID) {
	t.Helper()
	_, err := e.Session(t.Context(), id)
	wantCode(t, fmt.Sprintf("Session(%s)", id), err, cobridge.CodeNotFound)
}

// holder returns who holds a claim, "" if nobody does.
func holder(ctx context.Context, t *testing.T, e Engine, c cobrowse.Claim) cobrowse.SessionID {
	t.Helper()
	id, err := e.Holder(ctx, c)
	if err != nil {
		wantCode(t, "Holder", err, cobridge.CodeNotFound)
	}
	return id
}

func ids(sessions []cobrowse.Session) []string {
	out := make([]string, 0, len(sessions))
	for _, s := range sessions {
		out = append(out, string(s.ID))
	}
	return out
}
