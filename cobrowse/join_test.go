package cobrowse_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// TestJoinTokenIsRedeemedOnce is invariant I6.
func TestJoinTokenIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	started := h.start(t, agentAndSupervisor)
	raw := started.Tokens[1].Raw
	for range 3 {
		if _, p, err := h.Inspect(t.Context(), raw); err != nil || p.ID != cobrowse.ParticipantID(ben) {
			t.Fatalf("Inspect = %+v, %v; want Ben, any number of times", p, err)
		}
	}
	var winners atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = h.Redeem(t.Context(), raw, "")
			} else {
				_, err = h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: started.Session.ID, Token: raw})
			}
			switch cobridge.CodeOf(err) {
			case "":
				winners.Add(1)
			case cobridge.CodeJoinTokenUsed:
			default:
				t.Errorf("redeem: %v", err)
			}
		})
	}
	wg.Wait()
	if got := winners.Load(); got != 1 {
		t.Errorf("%d of 32 redeemed one token, want 1", got)
	}
	_, _, err := h.Inspect(t.Context(), raw)
	wantCode(t, "Inspect of a used token", err, cobridge.CodeJoinTokenUsed)
}

func TestJoinTokenLife(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	started := h.start(t, agentAndSupervisor)
	h.clock.Advance(15*time.Minute - time.Millisecond)
	if _, _, err := h.Inspect(t.Context(), started.Tokens[0].Raw); err != nil {
		t.Errorf("Inspect in the last moment: %v", err)
	}
	h.clock.Advance(time.Millisecond)
	_, _, err := h.Inspect(t.Context(), started.Tokens[0].Raw)
	wantCode(t, "Inspect after 15 minutes", err, cobridge.CodeJoinTokenExpired)
	_, err = h.Redeem(t.Context(), started.Tokens[0].Raw, "")
	wantCode(t, "Redeem after 15 minutes", err, cobridge.CodeJoinTokenExpired)
	if strings.Trim(started.Tokens[0].Raw, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~") != "" {
		t.Errorf("token %q has characters that need escaping in a URL", started.Tokens[0].Raw)
	}
}

// TestTokensOfOneMoment: a further token at the same moment changes nothing that would
// have to be stored; a later one puts off the end.
func TestTokensOfOneMoment(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	started := h.start(t, agentAndSupervisor)
	for _, step := range []struct {
		after   time.Duration
		version uint64
	}{{0, 1}, {time.Millisecond, 2}, {0, 2}} {
		h.clock.Advance(step.after)
		if _, err := h.IssueToken(t.Context(), org, started.Session.ID, annPID); err != nil {
			t.Fatalf("IssueToken: %v", err)
		}
		s := h.look(t, started.Session.ID)
		if want := h.clock.Now().Add(20 * time.Minute); s.Version != step.version || !s.Deadline.Equal(want) {
			t.Errorf("%v later: version %d that ends at %v, want %d and %v", step.after, s.Version, s.Deadline, step.version, want)
		}
	}
}

// TestJoinTokenIsAJWT: any library reads what stands in a join token.
func TestJoinTokenIsAJWT(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	started := h.start(t, agentAndSupervisor)
	claims := jwt.MapClaims{}
	token, err := jwt.ParseWithClaims(started.Tokens[0].Raw, claims, func(*jwt.Token) (any, error) {
		return []byte("0123456789abcdef0123456789abcdef"), nil
	}, jwt.WithTimeFunc(h.clock.Now), jwt.WithStrictDecoding())
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	if diff := cmp.Diff(map[string]any{"alg": "HS256", "kid": "join-1", "typ": "cobridge-join+jwt"}, token.Header); diff != "" {
		t.Errorf("the header differs (-want +got):\n%s", diff)
	}
	if id, _ := claims["jti"].(string); len(id) != 36 {
		t.Errorf("jti = %q, want a UUID", id)
	}
	delete(claims, "jti")
	want := jwt.MapClaims{
		"iss": "https://bridge.example", "aud": []any{"cobridge:join"}, "sub": string(ann), "org": string(org), "sid": string(started.Session.ID), "role": "agent",
		"iat": float64(t0.Unix()), "exp": float64(t0.Add(15 * time.Minute).Unix()),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("the claims differ (-want +got):\n%s", diff)
	}
}

// TestForgedJoinTokens: what is not exactly a join token of this installation is refused.
func TestForgedJoinTokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	started := h.start(t, agentAndSupervisor)
	key := []byte("0123456789abcdef0123456789abcdef")
	sign := func(change func(header map[string]any, claims jwt.MapClaims), method jwt.SigningMethod, key any) string {
		t.Helper()
		claims := jwt.MapClaims{
			"iss": "https://bridge.example", "aud": "cobridge:join", "sub": string(ben), "jti": "j1", "exp": t0.Add(time.Minute).Unix(),
			"org": string(org), "sid": string(started.Session.ID), "role": "supervisor",
		}
		token := jwt.NewWithClaims(method, claims)
		token.Header["typ"], token.Header["kid"] = "cobridge-join+jwt", "join-1"
		change(token.Header, claims)
		raw, err := token.SignedString(key)
		if err != nil {
			t.Fatalf("sign: %v", err)
		}
		return raw
	}
	set := func(name string, value any) func(map[string]any, jwt.MapClaims) {
		return func(_ map[string]any, c jwt.MapClaims) { c[name] = value }
	}
	if _, _, err := h.Inspect(t.Context(), sign(func(map[string]any, jwt.MapClaims) {}, jwt.SigningMethodHS256, key)); err != nil {
		t.Fatalf("a token made as ours is made is refused, so this test proves nothing: %v", err)
	}
	for name, raw := range map[string]string{
		"empty":               "",
		"noise":               "a.b.c",
		"too long":            strings.Repeat("a", 5000),
		"another key":         sign(func(map[string]any, jwt.MapClaims) {}, jwt.SigningMethodHS256, []byte("another key, another installation")),
		"alg none":            sign(func(map[string]any, jwt.MapClaims) {}, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"alg HS512":           sign(func(map[string]any, jwt.MapClaims) {}, jwt.SigningMethodHS512, key),
		"an access token":     sign(func(h map[string]any, _ jwt.MapClaims) { h["typ"] = "at+jwt" }, jwt.SigningMethodHS256, key),
		"no type":             sign(func(h map[string]any, _ jwt.MapClaims) { delete(h, "typ") }, jwt.SigningMethodHS256, key),
		"another key id":      sign(func(h map[string]any, _ jwt.MapClaims) { h["kid"] = "x" }, jwt.SigningMethodHS256, key),
		"another audience":    sign(set("aud", "cobridge"), jwt.SigningMethodHS256, key),
		"another issuer":      sign(set("iss", "https://other.example"), jwt.SigningMethodHS256, key),
		"no expiry":           sign(func(_ map[string]any, c jwt.MapClaims) { delete(c, "exp") }, jwt.SigningMethodHS256, key),
		"no id":               sign(set("jti", ""), jwt.SigningMethodHS256, key),
		"another org":         sign(set("org", string(otherOrg)), jwt.SigningMethodHS256, key),
		"another session":     sign(set("sid", "0a1b2c3d-0000-4000-8000-00000000ffff"), jwt.SigningMethodHS256, key),
		"another role":        sign(set("role", "agent"), jwt.SigningMethodHS256, key),
		"a line break":        sign(func(map[string]any, jwt.MapClaims) {}, jwt.SigningMethodHS256, key) + "\n",
		"another participant": sign(set("sub", string(cyn)), jwt.SigningMethodHS256, key),
	} {
		_, _, err := h.Inspect(t.Context(), raw)
		wantCode(t, "Inspect "+name, err, cobridge.CodeJoinTokenInvalid)
		_, err = h.Redeem(t.Context(), raw, "")
		wantCode(t, "Redeem "+name, err, cobridge.CodeJoinTokenInvalid)
	}
	_, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: "0a1b2c3d-0000-4000-8000-00000000ffff", Token: started.Tokens[0].Raw})
	wantCode(t, "Connect to another session than the token's", err, cobridge.CodeJoinTokenInvalid)
}

func TestNewTokenReplacesTheLink(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session
	first := h.connect(t, s, cobrowse.ParticipantID(ben))
	second := h.connect(t, s, cobrowse.ParticipantID(ben))
	if second.Participant.Connection.Number <= first.Participant.Connection.Number {
		t.Errorf("link numbers %d, %d; want them to grow", first.Participant.Connection.Number, second.Participant.Connection.Number)
	}
	_, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: first.Participant.ID, Secret: first.Secret, Tab: "tab"})
	wantCode(t, "resuming the replaced link", err, cobridge.CodeResumeInvalid)
	h.disconnect(t, first) // late news of the old link
	if p, _ := h.look(t, s.ID).Participant(cobrowse.ParticipantID(ben)); !p.Connection.Open {
		t.Error("the end of the old link closed the new one")
	}
}

func TestResumeSecretRotates(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session
	joined := h.connect(t, s, cobrowse.ParticipantID(ben))
	resume := func(secret cobrowse.ResumeSecret, tab string) (cobrowse.ResumeSecret, error) {
		j, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: cobrowse.ParticipantID(ben), Secret: secret, Tab: tab})
		return j.Secret, err
	}
	first := joined.Secret
	second, err := resume(first, "tab")
	if err != nil || second == first {
		t.Fatalf("resume = %q, %v; want a new secret", second, err)
	}
	// The answer with the second secret got lost: the first is good for a minute, in this tab.
	_, err = resume(first, "another tab")
	wantCode(t, "replaced secret in another tab", err, cobridge.CodeResumeInvalid)
	h.clock.Advance(time.Minute - time.Millisecond)
	third, err := resume(first, "tab")
	if err != nil {
		t.Fatalf("replaced secret within a minute: %v", err)
	}
	_, err = resume(second, "tab")
	wantCode(t, "the secret that never arrived", err, cobridge.CodeResumeInvalid)
	fourth, err := resume(third, "tab")
	if err != nil {
		t.Fatalf("newest secret: %v", err)
	}
	_, err = resume(first, "tab")
	wantCode(t, "a secret whose successor was used", err, cobridge.CodeResumeInvalid)
	h.clock.Advance(time.Minute)
	_, err = resume(third, "tab")
	wantCode(t, "replaced secret after a minute", err, cobridge.CodeResumeInvalid)
	_, err = resume("", "tab")
	wantCode(t, "no secret", err, cobridge.CodeResumeInvalid)
	if _, err := resume(fourth, "tab"); err != nil {
		t.Errorf("current secret: %v", err)
	}
	_, err = h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: "unknown", ParticipantID: cobrowse.ParticipantID(ben), Secret: fourth})
	wantCode(t, "unknown session", err, cobridge.CodeResumeInvalid)
}

// A replaced secret that is used again and again does not live longer for it.
func TestReplacedSecretDiesAfterAMinute(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session
	first := h.connect(t, s, cobrowse.ParticipantID(ben)).Secret
	resume := func(secret cobrowse.ResumeSecret) error {
		_, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: cobrowse.ParticipantID(ben), Secret: secret, Tab: "tab"})
		return err
	}
	if err := resume(first); err != nil {
		t.Fatalf("resume: %v", err)
	}
	h.clock.Advance(50 * time.Second)
	if err := resume(first); err != nil {
		t.Fatalf("replaced secret within a minute: %v", err)
	}
	h.clock.Advance(10 * time.Second)
	wantCode(t, "secret that was replaced a minute ago", resume(first), cobridge.CodeResumeInvalid)
}

func TestAgentIsInOneSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first, second := h.start(t, agentAndSupervisor), h.start(t, agentAndSupervisor) // never blocks create
	h.connect(t, first.Session, cobrowse.ParticipantID(ann))
	_, err := h.Redeem(t.Context(), second.Tokens[0].Raw, "")
	e, ok := errors.AsType[*cobridge.Error](err)
	if !ok || e.Code != cobridge.CodeConflict || e.Details[0].ErrorCode != cobrowse.DetailAgentBusy || e.EntityID != string(first.Session.ID) {
		t.Fatalf("Redeem in a second session = %v, want a conflict that names the first", err)
	}
	h.connect(t, first.Session, cobrowse.ParticipantID(ann)) // the same session again is fine
	h.connect(t, second.Session, cobrowse.ParticipantID(ben))
	h.connect(t, first.Session, cobrowse.ParticipantID(ben)) // supervisors may be in several
	if _, err := h.End(t.Context(), org, first.Session.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	if _, err := h.Redeem(t.Context(), second.Tokens[0].Raw, ""); err != nil {
		t.Errorf("Redeem of the refused token after the first session ended: %v", err)
	}

	free := newHouse(t, func(r *cobrowse.Rules) { r.OneSessionPerAgent = false })
	a, b := free.start(t, agentAndSupervisor).Session, free.start(t, agentAndSupervisor).Session
	free.connect(t, a, cobrowse.ParticipantID(ann))
	free.connect(t, b, cobrowse.ParticipantID(ann))
}

// TestAgentIsFreeAfterTheGrace: nobody sweeps; the passed deadline of the other
// session alone must free the agent.
func TestAgentIsFreeAfterTheGrace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first, second := h.start(t, agentAndSupervisor).Session, h.start(t, agentAndSupervisor)
	h.disconnect(t, h.connect(t, first, cobrowse.ParticipantID(ann)))
	h.clock.Advance(2*time.Minute - time.Millisecond)
	_, err := h.Redeem(t.Context(), second.Tokens[0].Raw, "")
	wantCode(t, "Redeem within the grace", err, cobridge.CodeConflict)
	h.clock.Advance(time.Millisecond)
	if _, err := h.Redeem(t.Context(), second.Tokens[0].Raw, ""); err != nil {
		t.Errorf("Redeem after the grace: %v", err)
	}
}

func TestLeave(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		who  func(s cobrowse.Session) cobrowse.ParticipantID
		want cobrowse.State
	}{
		"customer":   {func(s cobrowse.Session) cobrowse.ParticipantID { return s.Sharer() }, cobrowse.StateEnded},
		"agent":      {func(cobrowse.Session) cobrowse.ParticipantID { return cobrowse.ParticipantID(ann) }, cobrowse.StateEnded},
		"supervisor": {func(cobrowse.Session) cobrowse.ParticipantID { return cobrowse.ParticipantID(ben) }, cobrowse.StateIdle},
	} {
		h := newHouse(t)
		s := h.start(t, everybody).Session
		joined := h.connect(t, s, tt.who(s))
		number := joined.Participant.Connection.Number
		if err := h.Leave(t.Context(), s.ID, joined.Participant.ID, number-1); err != nil || !h.look(t, s.ID).Live() {
			t.Errorf("%s: Leave of a replaced link = %v, and the session is %s; want nothing to happen", name, err, h.look(t, s.ID).State())
		}
		if err := h.Leave(t.Context(), s.ID, joined.Participant.ID, number); err != nil {
			t.Errorf("%s: Leave: %v", name, err)
		}
		got := h.look(t, s.ID)
		if p, _ := got.Participant(joined.Participant.ID); got.State() != tt.want || p.State != cobrowse.ParticipantLeft {
			t.Errorf("%s left: session %s, participant %s; want %s, left", name, got.State(), p.State, tt.want)
		}
		if tt.want == cobrowse.StateEnded {
			if got.EndReason != cobrowse.EndParticipantLeft {
				t.Errorf("%s left: end reason %s", name, got.EndReason)
			}
			continue
		}
		_, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: joined.Participant.ID, Secret: joined.Secret, Tab: "tab"})
		wantCode(t, "resuming after the exit", err, cobridge.CodeResumeInvalid)
		if back := h.connect(t, s, joined.Participant.ID); back.Participant.State != cobrowse.ParticipantJoined {
			t.Errorf("a supervisor who came back is %s, want joined", back.Participant.State)
		}
	}
}

// A customer's page is not trusted: however many long addresses it names, the
// record stays small, because each change writes all of it.
func TestPagesOfASessionAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor).Session
	sharer := h.connect(t, s, cobrowse.ParticipantID(ann)).Participant
	for i := range 100 {
		address := fmt.Sprintf("https://shop.example/%d/%s", i, strings.Repeat("x", 2000))
		if err := h.VisitPage(t.Context(), s.ID, sharer.ID, sharer.Connection.Number, address, strings.Repeat("ü", 256)); err != nil {
			t.Fatalf("page %d: %v", i, err)
		}
	}
	size := 0
	pages := h.look(t, s.ID).Pages
	for _, p := range pages {
		size += len(p.URL) + len(p.Title)
	}
	if len(pages) < 10 || size > 68<<10 {
		t.Errorf("%d pages with %d bytes are kept, want at least 10 and at most 68 KiB", len(pages), size)
	}
	first, last := pages[0], pages[len(pages)-1]
	if !strings.HasPrefix(first.URL, "https://shop.example/0/") || !strings.HasPrefix(last.URL, "https://shop.example/99/") || !last.LeftAt.IsZero() {
		t.Errorf("kept from %.25s to %.25s, want the first page and the one that is shown", first.URL, last.URL)
	}
}

func TestVisitPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, everybody).Session
	sharer := h.connect(t, s, s.Sharer())
	viewer := h.connect(t, s, cobrowse.ParticipantID(ann))
	visit := func(j cobrowse.Joined, url string) error {
		return h.VisitPage(t.Context(), s.ID, j.Participant.ID, j.Participant.Connection.Number, url, "Title")
	}
	wantCode(t, "a viewer's page", visit(viewer, "https://shop.example/"), cobridge.CodeNotAuthorized)
	for _, bad := range []string{"javascript:alert(1)", "file:///etc/passwd", "/relative", "https://", "::", "https://shop.example/" + strings.Repeat("a", 20_000)} {
		wantCode(t, bad[:min(len(bad), 30)], visit(sharer, bad), cobridge.CodeConstraintValidation)
	}
	for _, page := range []string{"https://kim:secret@shop.example/cart?token=secret#secret", "https://shop.example/cart?other=secret", "https://shop.example/pay", ""} {
		if err := visit(sharer, page); err != nil {
			t.Errorf("VisitPage(%q): %v", page, err)
		}
		h.clock.Advance(time.Second)
	}
	pages := h.look(t, s.ID).Pages
	if len(pages) != 2 || pages[0].URL != "https://shop.example/cart" || pages[1].URL != "https://shop.example/pay" {
		t.Fatalf("pages = %+v, want the cart once, without secrets, then the pay page", pages)
	}
	if got := pages[0].LeftAt.Sub(pages[0].EnteredAt); got != 2*time.Second {
		t.Errorf("time in the cart = %v, want 2s", got)
	}
	if pages[1].LeftAt.IsZero() {
		t.Error("the last page was not left")
	}
}

func TestParticipants(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, everybody).Session
	add := func(in cobrowse.Invite) error {
		_, _, _, err := h.AddParticipant(t.Context(), org, s.ID, in)
		return err
	}
	wantCode(t, "present already", add(cobrowse.Invite{UserID: ben, Role: cobrowse.RoleSupervisor}), cobridge.CodeConflict)
	wantCode(t, "second customer", add(cobrowse.Invite{Role: cobrowse.RoleCustomer}), cobridge.CodeConflict)
	wantCode(t, "unknown user", add(cobrowse.Invite{UserID: eve, Role: cobrowse.RoleSupervisor}), cobridge.CodeUserNotFound)
	wantCode(t, "no capability", add(cobrowse.Invite{UserID: dan, Role: cobrowse.RoleSupervisor}), cobridge.CodeMissingPermissions)
	wantCode(t, "no user", add(cobrowse.Invite{Role: cobrowse.RoleSupervisor}), cobridge.CodeConstraintValidation)

	in := h.connect(t, s, cobrowse.ParticipantID(ben))
	old, err := h.IssueToken(t.Context(), org, s.ID, cobrowse.ParticipantID(ben))
	if err != nil {
		t.Fatalf("IssueToken: %v", err)
	}
	removed, err := h.RemoveParticipant(t.Context(), org, s.ID, cobrowse.ParticipantID(ben))
	if err != nil || !removed.Live() {
		t.Fatalf("RemoveParticipant = %s, %v; want a live session", removed.State(), err)
	}
	_, err = h.IssueToken(t.Context(), org, s.ID, cobrowse.ParticipantID(ben))
	wantCode(t, "token for somebody removed", err, cobridge.CodeParticipantNotFound)
	_, err = h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, ParticipantID: in.Participant.ID, Secret: in.Secret, Tab: "tab"})
	wantCode(t, "resume of somebody removed", err, cobridge.CodeResumeInvalid)
	back, p, token, err := h.AddParticipant(t.Context(), org, s.ID, cobrowse.Invite{UserID: ben, Role: cobrowse.RoleSupervisor})
	if err != nil || len(back.Participants) != 3 || p.State != cobrowse.ParticipantInvited {
		t.Fatalf("AddParticipant of somebody removed = %+v, %v; want the same entry, invited", p, err)
	}
	_, err = h.Redeem(t.Context(), old.Raw, "")
	wantCode(t, "a token from before the removal", err, cobridge.CodeJoinTokenInvalid)
	again, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, Token: token.Raw})
	if err != nil || again.Participant.Connection.Number <= in.Participant.Connection.Number {
		t.Errorf("Connect = link %d, %v; want a number above %d", again.Participant.Connection.Number, err, in.Participant.Connection.Number)
	}
	ended, err := h.RemoveParticipant(t.Context(), org, s.ID, s.Sharer())
	if err != nil || ended.Live() {
		t.Errorf("removing the sharer = %s, %v; want the end", ended.State(), err)
	}
	alone := h.start(t, agentAndSupervisor).Session
	_, _, _, err = h.AddParticipant(t.Context(), org, alone.ID, cobrowse.Invite{Role: cobrowse.RoleCustomer})
	wantCode(t, "a customer who comes later", err, cobridge.CodeConflict)
}

// An agent who is taken out and invited again is one who is still to come: nobody is
// missed, however long it takes, and whether it was there before or not.
func TestAgentInvitedAgain(t *testing.T) {
	t.Parallel()
	for name, wasThere := range map[string]bool{"had not come": false, "had come": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			s := h.start(t, everybody).Session
			h.connect(t, s, s.Sharer())
			h.connect(t, s, cobrowse.ParticipantID(ben))
			if wasThere {
				h.connect(t, s, cobrowse.ParticipantID(ann))
			}
			if _, err := h.RemoveParticipant(t.Context(), org, s.ID, cobrowse.ParticipantID(ann)); err != nil {
				t.Fatal(err)
			}
			h.clock.Advance(h.rules.Grace + time.Second)
			_, _, token, err := h.AddParticipant(t.Context(), org, s.ID, cobrowse.Invite{UserID: ann, Role: cobrowse.RoleAgent})
			if err != nil {
				t.Fatal(err)
			}
			h.clock.Advance(h.rules.Grace + time.Second)
			if s, err := h.Get(t.Context(), org, s.ID); err != nil || !s.Live() {
				t.Fatalf("Get = %s, ended for %q, %v; want a live session", s.State(), s.EndReason, err)
			}
			if _, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, Token: token.Raw}); err != nil {
				t.Errorf("Connect = %v", err)
			}
		})
	}
}

func TestDeploymentAndAttach(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	d, err := h.CreateDeployment(ctx, cobrowse.Deployment{OrgID: org, Name: "Shop", AllowedOrigins: []string{"https://shop.example"}, StartURL: "https://shop.example/help"})
	if err != nil {
		t.Fatalf("CreateDeployment: %v", err)
	}
	_, _, err = h.StartFromDeployment(ctx, cobrowse.DeploymentStart{DeploymentID: d.ID, Origin: "https://evil.example"})
	wantCode(t, "foreign origin", err, cobridge.CodeNotAuthorized)
	_, _, err = h.StartFromDeployment(ctx, cobrowse.DeploymentStart{DeploymentID: d.ID})
	wantCode(t, "no origin", err, cobridge.CodeNotAuthorized)
	_, _, err = h.StartFromDeployment(ctx, cobrowse.DeploymentStart{DeploymentID: "unknown", Origin: "https://shop.example"})
	wantCode(t, "unknown deployment", err, cobridge.CodeNotFound)
	s, token, err := h.StartFromDeployment(ctx, cobrowse.DeploymentStart{DeploymentID: d.ID, Origin: "https://shop.example"})
	if err != nil || s.ConversationID != "" || s.OrgID != org {
		t.Fatalf("StartFromDeployment = %+v, %v", s, err)
	}
	if _, err := h.Connect(ctx, cobrowse.ConnectRequest{SessionID: s.ID, Token: token.Raw}); err != nil {
		t.Fatalf("the customer connects: %v", err)
	}
	_, _, _, err = h.AddParticipant(ctx, org, s.ID, cobrowse.Invite{UserID: gus})
	wantCode(t, "deleted user before there is a conversation", err, cobridge.CodeUserNotFound)
	_, _, _, err = h.AddParticipant(ctx, org, s.ID, cobrowse.Invite{UserID: dan})
	wantCode(t, "no capability before there is a conversation", err, cobridge.CodeMissingPermissions)
	taken := h.start(t, agentAndSupervisor).Session
	free := h.conversation(t, conversations.MediumCall)
	attach := func(org conversations.OrgID, digits cobrowse.SessionToken, c conversations.ID, user conversations.UserID) (cobrowse.Session, error) {
		s, _, err := h.Attach(ctx, cobrowse.AttachRequest{OrgID: org, SessionToken: digits, ConversationID: c, Participant: cobrowse.Invite{UserID: user}})
		return s, err
	}
	wrong := cobrowse.SessionToken("000000000")
	if s.Token == wrong {
		wrong = "000000001"
	}
	_, err = attach(org, wrong, free, ann)
	wantCode(t, "wrong digits", err, cobridge.CodeNotFound)
	_, err = attach(org, s.Token, taken.ConversationID, ann)
	wantCode(t, "taken conversation", err, cobridge.CodeConflict)
	_, err = attach(org, s.Token, free, dan)
	wantCode(t, "no capability", err, cobridge.CodeMissingPermissions)
	foreign, err := h.directory.Create(ctx, otherOrg, conversations.NewConversation{Medium: conversations.MediumCall, Participants: []conversations.NewParticipant{{Purpose: conversations.PurposeAgent, UserID: eve}}})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	_, err = attach(otherOrg, s.Token, foreign.ID, eve)
	wantCode(t, "another organisation's digits", err, cobridge.CodeNotFound)

	attached, err := attach(org, s.Token, free, ann)
	if err != nil || attached.ConversationID != free {
		t.Fatalf("Attach = %q, %v; want the conversation", attached.ConversationID, err)
	}
	if again, err := attach(org, s.Token, free, ann); err != nil || len(again.Participants) != 2 {
		t.Errorf("Attach again = %d participants, %v; want the same", len(again.Participants), err)
	}
	_, err = attach(org, s.Token, h.conversation(t, conversations.MediumCall), ann)
	wantCode(t, "another conversation", err, cobridge.CodeConflict)
	_, err = h.Start(ctx, cobrowse.StartRequest{OrgID: org, ConversationID: free, Participants: agentAndSupervisor})
	wantCode(t, "create on the attached conversation", err, cobridge.CodeConflict)
	if got := h.connect(t, attached, cobrowse.ParticipantID(ann)).Session.State(); got != cobrowse.StateActive {
		t.Errorf("state with customer and agent = %s, want active", got)
	}
	if err := h.directory.Disconnect(ctx, org, free); err != nil {
		t.Fatalf("Disconnect: %v", err)
	}
	if got := h.look(t, s.ID).EndReason; got != cobrowse.EndConversationEnded {
		t.Errorf("end reason = %q, want conversationEnded", got)
	}
	_, err = attach(org, s.Token, free, ann)
	wantCode(t, "digits of an ended session", err, cobridge.CodeConversationNotFound)
}

func FuzzParseSessionToken(f *testing.F) {
	for _, seed := range []string{"123456789", "123 456 789", "123-456-789", " 000 000 000 ", "12345678", "1234567890", "12345678a", "１２３４５６７８９", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := cobrowse.ParseSessionToken(text)
		if err != nil {
			wantCode(t, text, err, cobridge.CodeConstraintValidation)
			return
		}
		if len(token) != 9 || strings.Trim(string(token), "0123456789") != "" {
			t.Errorf("ParseSessionToken(%q) = %q, want nine digits", text, token)
		}
		if again, err := cobrowse.ParseSessionToken(string(token)); err != nil || again != token {
			t.Errorf("ParseSessionToken(%q) = %q, %v; want itself", token, again, err)
		}
	})
}
