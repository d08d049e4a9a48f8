package enginetest

import (
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

func claimTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"a claim has one holder until it is released":           testClaim,
		"a session keeps its claims when it ends":               testClaimOfEnded,
		"taking a held claim again succeeds":                    testTakeAgain,
		"releasing what is not held changes nothing":            testReleaseForeign,
		"a claim rests until the given time":                    testClaimRests,
		"kinds, organisations and keys are different claims":    testClaimsDiffer,
		"claims move between sessions in one change each":       testClaimMoves,
		"a claim that is released and taken in a change stays":  testReleaseAndTake,
		"a claim that rested and was taken again is not purged": testTakenAfterRest,
		"a claim that rests tells who gave it back":             testRetired,
	}
}

// taking returns a change that creates a session with the claims.
func taking(id string, claims ...cobrowse.Claim) cobrowse.Change {
	c := change(session(id, ""))
	c.Take = claims
	return c
}

func wantHolder(t *testing.T, e Engine, c cobrowse.Claim, want cobrowse.SessionID) {
	t.Helper()
	if got := holder(t.Context(), t, e, c); got != want {
		t.Errorf("Holder(%v) = %q, want %q", c, got, want)
	}
}

func testClaim(t *testing.T, e Engine) {
	claim := conversationClaim("c-1")
	wantHolder(t, e, claim, "")
	first := taking("s-1", claim)
	mustApply(t, e, first)
	wantHolder(t, e, claim, "s-1")
	wantClaimed(t, e.Apply(t.Context(), taking("s-2", claim)), claim, "s-1")
	e = e.Reopen(t)
	wantClaimed(t, e.Apply(t.Context(), taking("s-2", claim)), claim, "s-1")
	give := change(ended(first.Session, t0))
	give.Release = []cobrowse.Release{{Claim: claim}}
	mustApply(t, e, give)
	wantHolder(t, e, claim, "")
	mustApply(t, e, taking("s-2", claim))
	wantHolder(t, e, claim, "s-2")
}

func testClaimOfEnded(t *testing.T, e Engine) {
	claim := conversationClaim("c-1")
	first := taking("s-1", claim)
	mustApply(t, e, first, change(ended(first.Session, t0)))
	wantHolder(t, e, claim, "s-1")
	wantClaimed(t, e.Apply(t.Context(), taking("s-2", claim)), claim, "s-1")
}

func testTakeAgain(t *testing.T, e Engine) {
	claim := conversationClaim("c-1")
	first := taking("s-1", claim, claim)
	mustApply(t, e, first)
	again := change(next(first.Session))
	again.Take = []cobrowse.Claim{claim}
	mustApply(t, e, again)
	wantHolder(t, e, claim, "s-1")
}

func testReleaseForeign(t *testing.T, e Engine) {
	claim, resting := conversationClaim("c-1"), conversationClaim("c-2")
	first := taking("s-1", claim, resting)
	give := change(next(first.Session))
	give.Release = []cobrowse.Release{{Claim: resting, Until: t0.Add(time.Hour)}}
	other := taking("s-2")
	other.Release = []cobrowse.Release{{Claim: claim}, {Claim: resting}, {Claim: conversationClaim("c-3"), Until: t0.Add(time.Hour)}}
	mustApply(t, e, first, give, other)
	wantHolder(t, e, claim, "s-1")
	wantClaimed(t, e.Apply(t.Context(), taking("s-3", resting)), resting, "")
	mustApply(t, e, taking("s-3", conversationClaim("c-3")))
}

func testClaimRests(t *testing.T, e Engine) {
	claim := cobrowse.Claim{Kind: cobrowse.ClaimSessionToken, Key: "123456789"}
	first := taking("s-1", claim)
	give := change(ended(first.Session, t0))
	give.Release = []cobrowse.Release{{Claim: claim, Until: t0.Add(24 * time.Hour)}}
	mustApply(t, e, first, give)
	e = e.Reopen(t)
	wantHolder(t, e, claim, "")
	second := taking("s-2", claim)
	for _, after := range []time.Duration{0, 24*time.Hour - time.Millisecond} {
		second.At = t0.Add(after)
		wantClaimed(t, e.Apply(t.Context(), second), claim, "")
	}
	second.At = t0.Add(24 * time.Hour)
	mustApply(t, e, second)
	wantHolder(t, e, claim, "s-2")
}

func testClaimsDiffer(t *testing.T, e Engine) {
	claims := []cobrowse.Claim{
		{Kind: cobrowse.ClaimConversation, OrgID: org, Key: "x"},
		{Kind: cobrowse.ClaimConversation, OrgID: otherOrg, Key: "x"},
		{Kind: cobrowse.ClaimAgent, OrgID: org, Key: "x"},
		{Kind: cobrowse.ClaimSessionToken, Key: "x"},
		{Kind: cobrowse.ClaimConversation, OrgID: org, Key: "X"},
		{Kind: cobrowse.ClaimConversation, OrgID: org + "x", Key: ""},
	}
	for i, claim := range claims {
		mustApply(t, e, taking(string(rune('a'+i)), claim))
	}
	for i, claim := range claims {
		wantHolder(t, e, claim, cobrowse.SessionID(rune('a'+i)))
	}
}

func testClaimMoves(t *testing.T, e Engine) {
	claim := conversationClaim("c-1")
	a, b := taking("s-a", claim), taking("s-b")
	mustApply(t, e, a, b)
	for range 5 {
		a, b = change(next(a.Session)), change(next(b.Session))
		a.Release = []cobrowse.Release{{Claim: claim}}
		b.Take = []cobrowse.Claim{claim}
		mustApply(t, e, a, b)
		wantHolder(t, e, claim, b.Session.ID)
		a, b = b, a
	}
}

func testReleaseAndTake(t *testing.T, e Engine) {
	claim := conversationClaim("c-1")
	first := taking("s-1", claim)
	both := change(next(first.Session))
	both.Release = []cobrowse.Release{{Claim: claim, Until: t0.Add(time.Hour)}}
	both.Take = []cobrowse.Claim{claim}
	mustApply(t, e, first, both)
	wantHolder(t, e, claim, "s-1")
}

func testTakenAfterRest(t *testing.T, e Engine) {
	claim := conversationClaim("c-1")
	first := taking("s-1", claim)
	give := change(next(first.Session))
	give.Release = []cobrowse.Release{{Claim: claim, Until: t0.Add(time.Minute)}}
	second := taking("s-2", claim)
	second.At = t0.Add(time.Minute)
	mustApply(t, e, first, give, second)
	_, err := e.Purge(t.Context(), cobrowse.Purge{At: t0.Add(time.Hour)}, 100)
	mustStore(t, err)
	wantHolder(t, e, claim, "s-2")
}

func testRetired(t *testing.T, e Engine) {
	claim := cobrowse.Claim{Kind: cobrowse.ClaimSessionToken, Key: "123456789"}
	want := func(at time.Time, want cobrowse.SessionID) {
		t.Helper()
		got, err := e.Retired(t.Context(), claim, at)
		if want == "" && cobridge.CodeOf(err) != cobridge.CodeNotFound || want != "" && (err != nil || got != want) {
			t.Errorf("Retired at %s = %q, %v; want %q", at, got, err, want)
		}
	}
	want(t0, "") // nobody has had it
	first := taking("s-1", claim)
	mustApply(t, e, first)
	want(t0, "") // it is held
	give := change(ended(first.Session, t0))
	give.Release = []cobrowse.Release{{Claim: claim, Until: t0.Add(time.Hour)}}
	mustApply(t, e, give)
	e = e.Reopen(t)
	want(t0.Add(time.Hour-time.Millisecond), "s-1")
	want(t0.Add(time.Hour), "")
	second := taking("s-2", claim)
	second.At = t0.Add(time.Hour)
	mustApply(t, e, second)
	want(t0, "")
	again := change(next(second.Session))
	again.Release = []cobrowse.Release{{Claim: claim}} // without a rest
	mustApply(t, e, again)
	want(t0, "")
}
