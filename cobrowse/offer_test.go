package cobrowse_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

const page = "https://shop.example"

func (h *house) shopOf(t *testing.T, roles ...cobrowse.Role) cobrowse.DeploymentID {
	t.Helper()
	d, err := h.CreateDeployment(t.Context(), cobrowse.Deployment{
		OrgID: org, Name: "Shop", AllowedOrigins: []string{page}, DefaultFor: roles, Rules: cobrowse.SharingRules{AllowAgentControl: true},
	})
	if err != nil {
		t.Fatalf("CreateDeployment: %v", err)
	}
	return d.ID
}

// offer offers a session on a new conversation on a new site.
func (h *house) offer(t *testing.T) (cobrowse.Session, cobrowse.OfferKey) {
	t.Helper()
	site := h.shopOf(t)
	started, err := h.Offer(t.Context(), cobrowse.OfferRequest{
		OrgID: org, ClientID: "client", ConversationID: h.conversation(t, conversations.MediumMessage), DeploymentID: site,
	})
	if err != nil {
		t.Fatalf("Offer: %v", err)
	}
	return started.Session, cobrowse.OfferKey{DeploymentID: site, Origin: page, Token: started.Session.Token}
}

func TestOffer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	site := h.shopOf(t, cobrowse.RoleCustomer)
	c := h.conversation(t, conversations.MediumCall)
	r := cobrowse.OfferRequest{OrgID: org, ClientID: "client", ConversationID: c}
	started, err := h.Offer(t.Context(), r)
	if err != nil {
		t.Fatalf("Offer: %v", err)
	}
	s := started.Session
	sharer, _ := s.Participant(s.Sharer())
	viewer, ok := s.Participant(cobrowse.ParticipantID(ann))
	if sharer.Role != cobrowse.RoleCustomer || sharer.Name != "Kim" || !ok || viewer.Role != cobrowse.RoleAgent || len(s.Participants) != 2 {
		t.Errorf("participants are %+v, want Kim, who shares, and Ann", s.Participants)
	}
	if s.DeploymentID != site || !s.Settings.AllowRemoteControl || s.CreatedBy != "client" || !s.Offered() {
		t.Errorf("deployment %q, control %t, by %q, offered %t; want the default one with its control", s.DeploymentID, s.Settings.AllowRemoteControl, s.CreatedBy, s.Offered())
	}
	_, err = h.Offer(t.Context(), r)
	wantFailure(t, "a second offer", err, cobridge.CodeConflict, cobrowse.DetailSessionActive)

	none, err := h.directory.Create(t.Context(), org, conversations.NewConversation{Medium: conversations.MediumChat, Participants: []conversations.NewParticipant{
		{Purpose: conversations.PurposeCustomer}, {Purpose: conversations.PurposeUser, UserID: ben},
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Offer(t.Context(), cobrowse.OfferRequest{OrgID: org, ConversationID: none.ID})
	wantFailure(t, "an offer of nobody", err, cobridge.CodeNotAUser, "")
	_, err = h.Offer(t.Context(), cobrowse.OfferRequest{OrgID: otherOrg, ConversationID: c})
	wantFailure(t, "an offer on a foreign conversation", err, cobridge.CodeConversationNotFound, "")
	_, err = h.Offer(t.Context(), cobrowse.OfferRequest{OrgID: org, ConversationID: none.ID, DeploymentID: "nothing"})
	wantFailure(t, "an offer of nobody on an unknown site", err, cobridge.CodeNotAUser, "")
	_, err = h.Offer(t.Context(), cobrowse.OfferRequest{OrgID: org, ConversationID: h.conversation(t, conversations.MediumChat), DeploymentID: "nothing"})
	wantFailure(t, "an offer on an unknown site", err, cobridge.CodeConstraintValidation, "unknown")

	// Nobody takes it: it lapses, and the conversation is free.
	h.clock.Advance(s.Deadline.Sub(h.clock.Now()))
	if got := h.look(t, s.ID); got.EndReason != cobrowse.EndNeverJoined || got.Offered() {
		t.Errorf("at its deadline the offer is %s (%s), want it lapsed", got.State(), got.EndReason)
	}
	if _, err := h.Offer(t.Context(), r); err != nil {
		t.Errorf("an offer after the first lapsed = %v", err)
	}
}

// A repeat of an offer, in parallel or later, is the offer: as it is now, and it
// lapses when it would have lapsed.
func TestOfferIdempotencyKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	site := h.shopOf(t)
	r := cobrowse.OfferRequest{
		OrgID: org, ClientID: "client", ConversationID: h.conversation(t, conversations.MediumMessage), DeploymentID: site,
		IdempotencyKey: "k1", Route: "POST /cobrowse",
	}
	var mu sync.Mutex
	ids := map[cobrowse.SessionID]int{}
	fresh := 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			started, err := h.Offer(t.Context(), r)
			if err != nil {
				t.Errorf("Offer: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[started.Session.ID]++
			if !started.Replayed {
				fresh++
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || fresh != 1 {
		t.Fatalf("16 parallel repeats gave %d sessions, %d of them new; want one of each", len(ids), fresh)
	}
	first, err := h.Offer(t.Context(), r)
	if err != nil {
		t.Fatalf("repeat: %v", err)
	}
	h.clock.Advance(time.Minute)
	if later, err := h.Offer(t.Context(), r); err != nil || !later.Session.Deadline.Equal(first.Session.Deadline) {
		t.Errorf("repeat after a minute ends at %v, %v; want %v", later.Session.Deadline, err, first.Session.Deadline)
	}

	elsewhere, onDefault, otherClient := r, r, r
	elsewhere.ConversationID = h.conversation(t, conversations.MediumMessage)
	onDefault.DeploymentID = ""
	for what, other := range map[string]cobrowse.OfferRequest{"another conversation": elsewhere, "another deployment": onDefault} {
		_, err := h.Offer(t.Context(), other)
		wantCode(t, what, err, cobridge.CodeIdempotencyMismatch)
	}
	otherClient.ClientID = "client-2"
	_, err = h.Offer(t.Context(), otherClient)
	wantCode(t, "another client's key", err, cobridge.CodeConflict)

	// Neither the end of the session nor that of the conversation changes what the key stands for.
	if err := h.directory.Disconnect(t.Context(), org, r.ConversationID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.End(t.Context(), org, first.Session.ID, cobrowse.EndRequested); err != nil {
		t.Fatal(err)
	}
	ended, err := h.Offer(t.Context(), r)
	if err != nil || !ended.Replayed || ended.Session.ID != first.Session.ID || ended.Session.Live() || len(ended.Tokens) != 0 {
		t.Errorf("repeat after the end = %+v, %v; want the ended session without tokens", ended, err)
	}
	h.clock.Advance(24 * time.Hour)
	_, err = h.Offer(t.Context(), r)
	wantCode(t, "the request a day later", err, cobridge.CodeConversationNotFound)
}

// Whoever sees the nine digits before the customer has nothing in hand once the
// customer has come.
func TestOfferTokenIsForTheFirstWhoComes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, key := h.offer(t)
	_, early, err := h.ByOffer(t.Context(), key)
	if err != nil || early.Raw == "" {
		t.Fatalf("ByOffer = %v, want a token", err)
	}
	_, second, err := h.ByOffer(t.Context(), key)
	if err != nil || second.Raw == early.Raw {
		t.Fatalf("ByOffer again = %v, want another token", err)
	}
	if got := h.look(t, s.ID); !got.Deadline.Equal(s.Deadline) {
		t.Errorf("looking moved the end of the offer from %s to %s", s.Deadline, got.Deadline)
	}
	joined, err := h.Redeem(t.Context(), second.Raw, "tab")
	if err != nil {
		t.Fatalf("Redeem: %v", err)
	}
	for _, raw := range []string{early.Raw, second.Raw} {
		_, err = h.Redeem(t.Context(), raw, "tab")
		wantFailure(t, "a token of before", err, cobridge.CodeJoinTokenUsed, "")
		_, _, err = h.Inspect(t.Context(), raw)
		wantFailure(t, "a look at a token of before", err, cobridge.CodeJoinTokenUsed, "")
	}
	if got := h.look(t, s.ID); got.Version != joined.Session.Version {
		t.Errorf("the session was changed by a token that is worth nothing")
	}
	taken, none, err := h.ByOffer(t.Context(), key)
	if err != nil || none.Raw != "" || taken.Offered() {
		t.Errorf("ByOffer once shared = %v, token %t; want none", err, none.Raw != "")
	}
	// Nor does the customer's going open the place again.
	if err := h.Disconnected(t.Context(), s.ID, joined.Participant.ID, joined.Participant.Connection.Number); err != nil {
		t.Fatal(err)
	}
	if _, none, err := h.ByOffer(t.Context(), key); err != nil || none.Raw != "" {
		t.Errorf("ByOffer while the customer is away = %v, token %t; want none", err, none.Raw != "")
	}
}

func TestOfferIsOfOneSite(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, key := h.offer(t)
	agentShares, err := h.Start(t.Context(), cobrowse.StartRequest{
		OrgID: org, ConversationID: h.conversation(t, conversations.MediumChat), DeploymentID: key.DeploymentID, Participants: agentAndSupervisor,
	})
	if err != nil {
		t.Fatal(err)
	}
	wrong := cobrowse.SessionToken("1" + string(s.Token[1:8]) + string('0'+(s.Token[8]-'0'+1)%10))
	for name, tt := range map[string]struct {
		change func(*cobrowse.OfferKey)
		code   cobridge.Code
	}{
		"unknown digits":   {func(k *cobrowse.OfferKey) { k.Token = wrong }, cobridge.CodeNotFound},
		"another site":     {func(k *cobrowse.OfferKey) { k.DeploymentID = h.shopOf(t) }, cobridge.CodeNotFound},
		"no site":          {func(k *cobrowse.OfferKey) { k.DeploymentID = "nothing" }, cobridge.CodeNotFound},
		"the agent shares": {func(k *cobrowse.OfferKey) { k.Token = agentShares.Session.Token }, cobridge.CodeNotFound},
		"another origin":   {func(k *cobrowse.OfferKey) { k.Origin = "https://evil.example" }, cobridge.CodeNotAuthorized},
		"no origin":        {func(k *cobrowse.OfferKey) { k.Origin = "" }, cobridge.CodeNotAuthorized},
	} {
		k := key
		tt.change(&k)
		_, _, err := h.ByOffer(t.Context(), k)
		wantFailure(t, "ByOffer, "+name, err, tt.code, "")
		_, err = h.Decline(t.Context(), k, "")
		wantFailure(t, "Decline, "+name, err, tt.code, "")
	}
	if got := h.look(t, s.ID); !got.Offered() {
		t.Errorf("the offer is gone: %s", got.EndReason)
	}
}

func TestDecline(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, open := h.offer(t)
	ended, err := h.Decline(t.Context(), open, "")
	if err != nil || ended.EndReason != cobrowse.EndParticipantLeft {
		t.Fatalf("Decline = %q, %v", ended.EndReason, err)
	}
	h.clock.Advance(time.Minute)
	again, err := h.Decline(t.Context(), open, "")
	if err != nil || !again.EndedAt.Equal(ended.EndedAt) {
		t.Errorf("Decline again = %s, %v; want the first end, %s", again.EndedAt, err, ended.EndedAt)
	}
	_, _, err = h.ByOffer(t.Context(), open)
	wantFailure(t, "ByOffer of a declined one", err, cobridge.CodeSessionEnded, "")

	s, key := h.offer(t)
	_, token, err := h.ByOffer(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	joined, err := h.Redeem(t.Context(), token.Raw, "tab")
	if err != nil {
		t.Fatal(err)
	}
	viewer := h.connect(t, s, cobrowse.ParticipantID(ann))
	for name, secret := range map[string]cobrowse.ResumeSecret{"none": "", "a wrong one": "x", "the viewer's": viewer.Secret} {
		_, err := h.Decline(t.Context(), key, secret)
		wantFailure(t, "Decline with "+name, err, cobridge.CodeResumeInvalid, "")
	}
	if ended, err = h.Decline(t.Context(), key, joined.Secret); err != nil || ended.EndReason != cobrowse.EndParticipantLeft {
		t.Errorf("Decline with the sharer's = %q, %v", ended.EndReason, err)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, _ := h.offer(t)
	old := h.connect(t, s, cobrowse.ParticipantID(ann))
	for name, tt := range map[string]struct {
		of     cobrowse.ParticipantID
		user   conversations.UserID
		code   cobridge.Code
		detail string
	}{
		"nobody":              {cobrowse.ParticipantID(ann), "", cobridge.CodeConstraintValidation, "required"},
		"an unknown user":     {cobrowse.ParticipantID(ann), "nobody", cobridge.CodeUserNotFound, ""},
		"who may not":         {cobrowse.ParticipantID(ann), dan, cobridge.CodeMissingPermissions, "cobrowse.capability"},
		"the same":            {cobrowse.ParticipantID(ann), ann, cobridge.CodeConflict, cobrowse.DetailParticipant},
		"in whose place":      {"nobody", ben, cobridge.CodeParticipantNotFound, ""},
		"whose page is shown": {s.Sharer(), ben, cobridge.CodeConflict, cobrowse.DetailRoleTaken},
	} {
		_, err := h.Replace(t.Context(), org, s.ID, tt.of, tt.user)
		wantFailure(t, "Replace: "+name, err, tt.code, tt.detail)
	}
	_, err := h.Replace(t.Context(), otherOrg, s.ID, cobrowse.ParticipantID(ann), ben)
	wantFailure(t, "Replace in a foreign session", err, cobridge.CodeNotFound, "")

	got, err := h.Replace(t.Context(), org, s.ID, cobrowse.ParticipantID(ann), ben)
	if err != nil {
		t.Fatalf("Replace: %v", err)
	}
	in, ok := got.Participant(cobrowse.ParticipantID(ben))
	if !ok || in.Role != cobrowse.RoleAgent || !got.Live() {
		t.Errorf("in the place of Ann is %+v, want Ben as agent of a live session", in)
	}
	if _, ok := got.Participant(cobrowse.ParticipantID(ann)); ok {
		t.Error("Ann is still in the session")
	}
	_, err = h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: old.Participant.ID, Secret: old.Secret, Tab: "tab"})
	wantFailure(t, "Ann's coming back", err, cobridge.CodeResumeInvalid, "")
	// Ann is free for another session, and her going does not count as lost.
	h.connect(t, h.start(t, agentAndSupervisor).Session, cobrowse.ParticipantID(ann))
	h.clock.Advance(h.rules.Grace + time.Second)
	if now := h.look(t, s.ID); !now.Live() {
		t.Errorf("the session ended with Ann: %s", now.EndReason)
	}
	h.connect(t, got, cobrowse.ParticipantID(ben))
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatal(err)
	}
	_, err = h.Replace(t.Context(), org, s.ID, cobrowse.ParticipantID(ben), ann)
	wantFailure(t, "Replace after the end", err, cobridge.CodeConflict, cobrowse.DetailSessionEnded)
}

// Watch gives the way in to those who look, and keeps nothing alive.
func TestWatch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, _ := h.offer(t)
	h.clock.Advance(time.Minute)
	token, err := h.Watch(s, cobrowse.ParticipantID(ann))
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	if got := h.look(t, s.ID); !got.Deadline.Equal(s.Deadline) || got.Version != s.Version {
		t.Errorf("Watch changed the session")
	}
	if _, p, err := h.Inspect(t.Context(), token.Raw); err != nil || p.UserID != ann {
		t.Errorf("the token is of %q, %v; want Ann's", p.UserID, err)
	}
	_, err = h.Watch(s, s.Sharer())
	wantFailure(t, "Watch of the sharer", err, cobridge.CodeParticipantNotFound, "")
	_, err = h.Watch(s, "nobody")
	wantFailure(t, "Watch of nobody", err, cobridge.CodeParticipantNotFound, "")
	ended, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Watch(ended, cobrowse.ParticipantID(ann))
	wantFailure(t, "Watch after the end", err, cobridge.CodeParticipantNotFound, "")
}

// Sessions without a conversation can be left out of a list.
func TestListAttached(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open(t)
	s, _ := h.offer(t)
	found, total, err := h.List(t.Context(), cobrowse.ListRequest{OrgID: org, Attached: true, Limit: 10})
	if err != nil || total != 1 || !slices.EqualFunc(found, []cobrowse.SessionID{s.ID}, func(f cobrowse.Session, id cobrowse.SessionID) bool { return f.ID == id }) {
		t.Errorf("List of attached sessions = %d, %v; want the one that has a conversation", total, err)
	}
}
