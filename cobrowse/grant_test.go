package cobrowse_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

const (
	annPID = cobrowse.ParticipantID(ann)
	benPID = cobrowse.ParticipantID(ben)
)

// site stores a deployment on which everything may be asked for.
func (h *house) site(t *testing.T, change ...func(*cobrowse.Deployment)) cobrowse.Deployment {
	t.Helper()
	d := cobrowse.Deployment{
		OrgID: org, Name: "Shop", AllowedOrigins: []string{"https://shop.example"}, StartURL: "https://shop.example/",
		Rules: cobrowse.SharingRules{AllowAgentControl: true, AllowAgentNavigation: true, AllowDraw: true},
	}
	for _, fn := range change {
		fn(&d)
	}
	d, err := h.CreateDeployment(t.Context(), d)
	if err != nil {
		t.Fatalf("CreateDeployment: %v", err)
	}
	return d
}

// shared starts a session on a deployment with a customer, an agent and a
// supervisor, who are all connected.
func (h *house) shared(t *testing.T, change ...func(*cobrowse.StartRequest)) (s cobrowse.Session, customer cobrowse.Joined) {
	t.Helper()
	r := cobrowse.StartRequest{
		OrgID: org, ClientID: "client", ConversationID: h.conversation(t, "message"), Participants: everybody, AllowRemoteControl: true, DeploymentID: h.site(t).ID,
	}
	for _, fn := range change {
		fn(&r)
	}
	started, err := h.Start(t.Context(), r)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	customer = h.connect(t, started.Session, started.Session.Sharer())
	h.connect(t, started.Session, annPID)
	h.connect(t, started.Session, benPID)
	return h.look(t, started.Session.ID), customer
}

func (h *house) grant(t *testing.T, s cobrowse.Session, by cobrowse.Joined, r cobrowse.GrantRequest) {
	t.Helper()
	if err := h.Grant(t.Context(), s.ID, by.Participant.ID, by.Participant.Connection.Number, r); err != nil {
		t.Fatalf("Grant(%+v): %v", r, err)
	}
}

func TestAConsentIsARecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, customer := h.shared(t)
	h.grant(t, s, customer, cobrowse.GrantRequest{Kind: cobrowse.GrantSharing, TextVersion: "2026-01"})
	h.grant(t, s, customer, cobrowse.GrantRequest{Kind: cobrowse.GrantSharing, TextVersion: "2026-01"}) // again, after a reload
	h.clock.Advance(time.Second)
	h.grant(t, s, customer, cobrowse.GrantRequest{Kind: cobrowse.GrantControl, To: annPID, TextVersion: "2026-01", TTL: time.Minute})
	s = h.look(t, s.ID)
	want := []cobrowse.Grant{
		{Kind: cobrowse.GrantSharing, By: customer.Participant.ID, TextVersion: "2026-01", GivenAt: t0},
		{
			Kind: cobrowse.GrantControl, To: annPID, By: customer.Participant.ID, TextVersion: "2026-01", GivenAt: t0.Add(time.Second),
			ExpiresAt: t0.Add(time.Second + time.Minute),
		},
	}
	if !slices.Equal(s.Grants, want) {
		t.Fatalf("grants = %+v, want %+v", s.Grants, want)
	}
	if !s.Granted(cobrowse.GrantControl, annPID, h.clock.Now()) || s.Granted(cobrowse.GrantControl, benPID, h.clock.Now()) ||
		s.Granted(cobrowse.GrantDraw, annPID, h.clock.Now()) || !s.Granted(cobrowse.GrantSharing, benPID, h.clock.Now()) {
		t.Error("Granted says otherwise than the grants")
	}
	if s.Granted(cobrowse.GrantControl, annPID, t0.Add(2*time.Minute)) {
		t.Error("an expired grant is in force")
	}
	h.clock.Advance(time.Second)
	if err := h.Revoke(t.Context(), s.ID, customer.Participant.ID, customer.Participant.Connection.Number, "", ""); err != nil {
		t.Fatal(err)
	}
	s = h.look(t, s.ID)
	if g := s.Grants[1]; !g.RevokedAt.Equal(h.clock.Now()) || g.RevokedBy != customer.Participant.ID || g.InForce(h.clock.Now()) {
		t.Errorf("revoked grant = %+v", g)
	}
	if !s.Granted(cobrowse.GrantSharing, "", h.clock.Now()) {
		t.Error("taking back all control stopped sharing too")
	}
	h.clock.Advance(time.Second)
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatal(err)
	}
	if g := h.look(t, s.ID).Grants[0]; !g.RevokedAt.Equal(h.clock.Now()) || g.RevokedBy != "" {
		t.Errorf("after the end the consent is %+v, want it revoked by nobody", g)
	}
}

func TestWhoMayBeGivenWhat(t *testing.T) {
	t.Parallel()
	all := []cobrowse.GrantKind{cobrowse.GrantControl, cobrowse.GrantDraw, cobrowse.GrantNavigate}
	for name, c := range map[string]struct {
		start func(*cobrowse.StartRequest)
		site  func(*cobrowse.Deployment)
		who   cobrowse.ParticipantID
		want  []cobrowse.GrantKind
	}{
		"agent":      {who: annPID, want: all},
		"supervisor": {who: benPID},
		"supervisor who was invited to": {
			start: func(r *cobrowse.StartRequest) {
				r.Participants = slices.Clone(r.Participants)
				r.Participants[2].AllowControl = true
			}, who: benPID, want: all,
		},
		"control is off in the session": {
			start: func(r *cobrowse.StartRequest) { r.AllowRemoteControl = false }, who: annPID, want: []cobrowse.GrantKind{cobrowse.GrantDraw},
		},
		"control is off on the site": {
			site: func(d *cobrowse.Deployment) { d.Rules.AllowAgentControl = false }, who: annPID, want: all[1:],
		},
		"nothing without a site": {start: func(r *cobrowse.StartRequest) { r.DeploymentID = "" }, who: annPID},
		"somebody else":          {who: "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			s, customer := h.shared(t, func(r *cobrowse.StartRequest) {
				if c.site != nil {
					r.DeploymentID = h.site(t, c.site).ID
				}
				if c.start != nil {
					c.start(r)
				}
			})
			got, err := h.MayAsk(t.Context(), s, c.who)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("MayAsk = %v, %v, want %v", got, err, c.want)
			}
			for _, kind := range all {
				err := h.Grant(t.Context(), s.ID, customer.Participant.ID, customer.Participant.Connection.Number, cobrowse.GrantRequest{Kind: kind, To: c.who})
				want := cobridge.CodeNotAuthorized
				if slices.Contains(c.want, kind) {
					want = ""
				}
				wantCode(t, "Grant "+string(kind), err, want)
			}
			if own, err := h.MayAsk(t.Context(), s, s.Sharer()); err != nil || len(own) > 0 {
				t.Errorf("the sharer may ask itself for %v, %v", own, err)
			}
		})
	}
}

func TestGrantsRefuseNonsense(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, customer := h.shared(t)
	for name, r := range map[string]cobrowse.GrantRequest{
		"kind":    {Kind: "everything", To: annPID},
		"to":      {Kind: cobrowse.GrantControl},
		"sharing": {Kind: cobrowse.GrantSharing, To: annPID},
		"ttl":     {Kind: cobrowse.GrantControl, To: annPID, TTL: 9 * time.Hour},
		"version": {Kind: cobrowse.GrantSharing, TextVersion: string(make([]byte, 65))},
	} {
		wantCode(t, name, h.Grant(t.Context(), s.ID, customer.Participant.ID, customer.Participant.Connection.Number, r), cobridge.CodeConstraintValidation)
	}
	agent, _ := s.Participant(annPID)
	err := h.Grant(t.Context(), s.ID, annPID, agent.Connection.Number, cobrowse.GrantRequest{Kind: cobrowse.GrantControl, To: annPID})
	wantCode(t, "a viewer who grants", err, cobridge.CodeNotAuthorized)
	err = h.Revoke(t.Context(), s.ID, annPID, agent.Connection.Number, cobrowse.GrantControl, benPID)
	wantCode(t, "a viewer who revokes another's", err, cobridge.CodeNotAuthorized)
	if len(h.look(t, s.ID).Grants) > 0 {
		t.Error("something was granted")
	}
}

func TestControlBelongsToOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, customer := h.shared(t, func(r *cobrowse.StartRequest) {
		r.Participants = slices.Clone(r.Participants)
		r.Participants[2].AllowControl = true
	})
	h.grant(t, s, customer, cobrowse.GrantRequest{Kind: cobrowse.GrantControl, To: annPID})
	h.grant(t, s, customer, cobrowse.GrantRequest{Kind: cobrowse.GrantDraw, To: annPID})
	h.grant(t, s, customer, cobrowse.GrantRequest{Kind: cobrowse.GrantControl, To: benPID})
	now := h.clock.Now()
	s = h.look(t, s.ID)
	if s.Granted(cobrowse.GrantControl, annPID, now) || !s.Granted(cobrowse.GrantControl, benPID, now) || !s.Granted(cobrowse.GrantDraw, annPID, now) {
		t.Errorf("grants = %+v", s.Grants)
	}
	agent, _ := s.Participant(annPID)
	if err := h.Revoke(t.Context(), s.ID, annPID, agent.Connection.Number, "", ""); err != nil {
		t.Fatal(err)
	}
	if s = h.look(t, s.ID); s.Granted(cobrowse.GrantDraw, annPID, now) || !s.Granted(cobrowse.GrantControl, benPID, now) {
		t.Errorf("a viewer who gives back everything gave back %+v", s.Grants)
	}
	if _, err := h.RemoveParticipant(t.Context(), org, s.ID, benPID); err != nil {
		t.Fatal(err)
	}
	if h.look(t, s.ID).Granted(cobrowse.GrantControl, benPID, now) {
		t.Error("somebody who was removed is in control")
	}
}

func TestControlIsSwitchedOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, customer := h.shared(t)
	h.grant(t, s, customer, cobrowse.GrantRequest{Kind: cobrowse.GrantControl, To: annPID})
	off := false
	s, err := h.UpdateSettings(t.Context(), org, s.ID, cobrowse.SettingsPatch{AllowRemoteControl: &off})
	if err != nil || s.Granted(cobrowse.GrantControl, annPID, h.clock.Now()) {
		t.Errorf("UpdateSettings = %+v, %v: want control taken back", s.Grants, err)
	}
}

func TestTheSharersOtherTab(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, customer := h.shared(t)
	copied := cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: customer.Participant.ID, Secret: customer.Secret, Tab: "copy"}
	_, err := h.Connect(t.Context(), copied)
	wantCode(t, "a second tab", err, cobridge.CodeConflict)
	copied.Take = true
	taken, err := h.Connect(t.Context(), copied)
	if err != nil || taken.Participant.Connection.Number != customer.Participant.Connection.Number+1 {
		t.Fatalf("a tab that takes over: %+v, %v", taken.Participant.Connection, err)
	}
	if err := h.Disconnected(t.Context(), s.ID, taken.Participant.ID, taken.Participant.Connection.Number); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: taken.Participant.ID, Secret: taken.Secret, Tab: "third"}); err != nil {
		t.Errorf("a tab that comes when the other has gone: %v", err)
	}
}

func TestOnlyPagesOfTheSite(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, customer := h.shared(t)
	visit := func(address string) error {
		return h.VisitPage(t.Context(), s.ID, customer.Participant.ID, customer.Participant.Connection.Number, address, "A page")
	}
	for _, address := range []string{"https://bank.example/", "http://shop.example/", "https://shop.example.evil/", "https://shop.example:444/"} {
		wantCode(t, address, visit(address), cobridge.CodeNotAuthorized)
	}
	for _, address := range []string{"https://SHOP.example/basket?token=x", ""} {
		if err := visit(address); err != nil {
			t.Errorf("VisitPage(%q): %v", address, err)
		}
	}
	if pages := h.look(t, s.ID).Pages; len(pages) != 1 || pages[0].URL != "https://SHOP.example/basket" {
		t.Errorf("pages = %+v", pages)
	}
}

func TestAChangedDefaultIsKnownAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d := h.site(t, func(d *cobrowse.Deployment) { d.DefaultFor = []cobrowse.Role{cobrowse.RoleCustomer} })
	if got := h.start(t, everybody).Session.DeploymentID; got != d.ID {
		t.Errorf("deployment %q, want the default %q", got, d.ID)
	}
	d.DefaultFor = nil
	if _, err := h.UpdateDeployment(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got := h.start(t, everybody).Session.DeploymentID; got != "" {
		t.Errorf("deployment %q, want none after the change", got)
	}
}

func TestWhoWasThereWhen(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, _ := h.shared(t)
	supervisor, _ := s.Participant(benPID)
	h.clock.Advance(time.Minute)
	if err := h.Leave(t.Context(), s.ID, benPID, supervisor.Connection.Number); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Minute)
	h.connect(t, s, benPID) // comes back
	h.connect(t, s, annPID) // reloads: no new stay
	h.clock.Advance(time.Minute)
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatal(err)
	}
	at := func(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }
	for id, want := range map[cobrowse.ParticipantID][]cobrowse.Stay{
		benPID: {{From: at(0), To: at(1)}, {From: at(2), To: at(3)}}, annPID: {{From: at(0), To: at(3)}},
	} {
		if p, _ := h.look(t, s.ID).Participant(id); !slices.Equal(p.Stays, want) {
			t.Errorf("stays of %s = %v, want %v", id, p.Stays, want)
		}
	}
	if p, _ := s.Participant(benPID); len(p.Stays) != 1 || !p.Stays[0].To.IsZero() {
		t.Errorf("a session that was read before has changed: %v", p.Stays)
	}
}
