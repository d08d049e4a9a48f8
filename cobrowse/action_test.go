package cobrowse_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

func TestActionsAreCountedAndKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, _ := h.shared(t)
	act := func(kind, path, result string) {
		t.Helper()
		if err := h.Acted(t.Context(), s.ID, cobrowse.Action{ParticipantID: annPID, Kind: kind, Path: path, Result: result}); err != nil {
			t.Fatal(err)
		}
	}
	act("text", "#name", "ok")
	h.clock.Advance(time.Second)
	act("text", "#name", "ok")
	act("click", "#send", "submit")
	if _, err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Second)
	act("click", "#send", "submit") // again, while the first is stored
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatal(err)
	}
	act("click", "#late", "ok") // nobody can act in a session that has ended
	if _, err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []cobrowse.Action{
		{At: t0, LastAt: t0.Add(time.Second), ParticipantID: annPID, Kind: "text", Path: "#name", Result: "ok", Count: 2},
		{At: t0.Add(time.Second), LastAt: t0.Add(2 * time.Second), ParticipantID: annPID, Kind: "click", Path: "#send", Result: "submit", Count: 2},
	}
	if got := h.look(t, s.ID).Actions; !slices.Equal(got, want) {
		t.Errorf("actions = %+v, want %+v", got, want)
	}
}

func TestActionsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, _ := h.shared(t)
	const tried = 1200
	for i := range tried {
		if err := h.Acted(t.Context(), s.ID, cobrowse.Action{ParticipantID: annPID, Kind: "click", Path: strings.Repeat("é", 400) + strconv.Itoa(i), Result: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			if _, err := h.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = h.look(t, s.ID)
	size := 0
	for _, a := range s.Actions {
		size += len(a.Path)
	}
	if n := len(s.Actions); n == 0 || n > 500 || size > 64<<10 || n+s.ActionsLeftOut != tried {
		t.Errorf("%d actions of %d bytes and %d left out, want at most 500 and 64 KiB, and %d together", n, size, s.ActionsLeftOut, tried)
	}
}

func TestAViolationEndsTheSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, _ := h.shared(t)
	for range 2 {
		if err := h.Violate(t.Context(), s.ID, "html>body>input"); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(time.Second)
	}
	s = h.look(t, s.ID)
	if s.EndReason != cobrowse.EndMaskingViolation || s.Violation != (cobrowse.Violation{At: t0, Path: "html>body>input"}) {
		t.Errorf("ended %q with %+v", s.EndReason, s.Violation)
	}
}

func TestHistoryLinks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, _ := h.shared(t)
	link, err := h.HistoryLink(t.Context(), org, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // as often as wanted
		if got, err := h.InspectHistory(t.Context(), link.Raw); err != nil || got.ID != s.ID {
			t.Errorf("InspectHistory = %q, %v", got.ID, err)
		}
	}
	_, err = h.HistoryLink(t.Context(), otherOrg, s.ID)
	wantCode(t, "another organisation", err, cobridge.CodeNotFound)
	token, err := h.IssueToken(t.Context(), org, s.ID, annPID)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.InspectHistory(t.Context(), token.Raw)
	wantCode(t, "a join token as history link", err, cobridge.CodeJoinTokenInvalid)
	_, _, err = h.Inspect(t.Context(), link.Raw)
	wantCode(t, "a history link as join token", err, cobridge.CodeJoinTokenInvalid)
	h.clock.Advance(15 * time.Minute)
	_, err = h.InspectHistory(t.Context(), link.Raw)
	wantCode(t, "later", err, cobridge.CodeJoinTokenExpired)
	_, err = h.InspectHistory(t.Context(), strings.Replace(link.Raw, ".", "..", 1))
	wantCode(t, "nonsense", err, cobridge.CodeJoinTokenInvalid)
}

func TestWhichSiteIsShared(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	desk := h.site(t, func(d *cobrowse.Deployment) { d.Name, d.DefaultFor = "Desk", []cobrowse.Role{cobrowse.RoleAgent} })
	shop := h.site(t, func(d *cobrowse.Deployment) { d.Name, d.DefaultFor = "Shop", []cobrowse.Role{cobrowse.RoleCustomer} })
	other := h.site(t, func(d *cobrowse.Deployment) { d.Name = "Another" })
	start := func(invites []cobrowse.Invite, id cobrowse.DeploymentID) (cobrowse.DeploymentID, error) {
		started, err := h.Start(t.Context(), cobrowse.StartRequest{
			OrgID: org, ConversationID: h.conversation(t, "message"), Participants: invites, DeploymentID: id,
		})
		return started.Session.DeploymentID, err
	}
	for name, c := range map[string]struct {
		invites  []cobrowse.Invite
		id, want cobrowse.DeploymentID
	}{
		"customer shares": {everybody, "", shop.ID},
		"agent shares":    {agentAndSupervisor, "", desk.ID},
		"by name":         {everybody, other.ID, other.ID},
	} {
		if got, err := start(c.invites, c.id); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
	_, err := start(everybody, "0a1b2c3d-0000-4000-8000-00000000dead")
	wantCode(t, "unknown deployment", err, cobridge.CodeConstraintValidation)
}
