package enginetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

func sessionTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"what was stored is read, before and after a restart": testStored,
		"every field of sessions and deployments is kept":     testEveryField,
		"an unknown session is not found":                     testUnknownSession,
		"the store shares no memory with the caller":          testNoSharedMemory,
		"another version than the next one is stale":          testStale,
		"a second create of an id is stale":                   testCreateTwice,
		"an ended session takes no more changes":              testEndedIsFinal,
		"a session can be stored when it has ended already":   testStoredEnded,
		"ids have any characters":                             testUnicode,
		"a session has many changes and its latest is read":   testManyVersions,
		"a refused change leaves nothing":                     testAtomic,
		"failures come in the promised order":                 testOrderOfFailures,
		"a join token is redeemed once":                       testRedeem,
		"an idempotency key is remembered until it expires":   testRepeatable,
		"overdue sessions come oldest deadline first":         testOverdue,
		"a call whose context has ended stores nothing":       testContextEnded,
	}
}

func testStored(t *testing.T, e Engine) {
	idle := session("s-1", "c-1")
	active := session("s-2", "c-2")
	active.ActivatedAt = t0.Add(time.Second)
	over := ended(session("s-3", "c-3"), t0.Add(time.Minute))
	mustApply(t, e, change(idle), change(active), change(session("s-3", "c-3")), change(over))
	for range 2 {
		wantSession(t, e, idle)
		wantSession(t, e, active)
		wantSession(t, e, over)
		e = e.Reopen(t)
	}
	mustApply(t, e, change(next(idle)))
	wantSession(t, e, next(idle))
}

func testUnknownSession(t *testing.T, e Engine) {
	mustApply(t, e, change(session("s-1", "c-1")))
	for _, id := range []cobrowse.SessionID{"s-2", "s", "s-11", "", "\x00"} {
		wantNoSession(t, e, id)
	}
}

func testNoSharedMemory(t *testing.T, e Engine) {
	want := session("s-1", "c-1")
	mine := want.Clone()
	c := change(mine)
	c.Take = []cobrowse.Claim{conversationClaim("c-1")}
	mustApply(t, e, c)
	mine.Participants[0].Name, mine.Pages[0].URL, mine.Grants[0].TextVersion, mine.Actions[0].Path = "changed", "changed", "changed", "changed"
	c.Take[0].Key = "changed"
	wantSession(t, e, want)

	read, err := e.Session(t.Context(), "s-1")
	mustStore(t, err)
	read.Participants[0].Name, read.Pages[0].URL, read.Grants[0].TextVersion, read.Actions[0].Path = "changed", "changed", "changed", "changed"
	wantSession(t, e, want)

	listed, _, err := e.Sessions(t.Context(), cobrowse.Query{OrgID: org, Limit: 1})
	mustStore(t, err)
	if len(listed) != 1 {
		t.Fatalf("Sessions returned %d sessions, want 1", len(listed))
	}
	listed[0].Participants[0].Name = "changed"
	wantSession(t, e, want)
}

func testStale(t *testing.T, e Engine) {
	s := session("s-1", "c-1")
	for _, version := range []uint64{0, 2, 3} {
		s.Version = version
		wantIs(t, fmt.Sprintf("Apply of version %d to nothing", version), e.Apply(t.Context(), change(s)), cobrowse.ErrStale)
	}
	wantNoSession(t, e, s.ID)
	s.Version = 1
	mustApply(t, e, change(s), change(next(s)))
	for _, version := range []uint64{0, 1, 2, 4, 1 << 63} {
		other := next(s)
		other.Version, other.CreatedBy = version, "somebody else"
		wantIs(t, fmt.Sprintf("Apply of version %d to version 2", version), e.Apply(t.Context(), change(other)), cobrowse.ErrStale)
	}
	wantSession(t, e, next(s))
}

func testCreateTwice(t *testing.T, e Engine) {
	first := session("s-1", "c-1")
	second := session("s-1", "c-2")
	second.OrgID = otherOrg
	mustApply(t, e, change(first))
	wantIs(t, "Apply", e.Apply(t.Context(), change(second)), cobrowse.ErrStale)
	mustApply(t, e, change(ended(first, t0)))
	wantIs(t, "Apply after the end", e.Apply(t.Context(), change(second)), cobrowse.ErrStale)
	wantSession(t, e, ended(first, t0))
}

func testEndedIsFinal(t *testing.T, e Engine) {
	s := session("s-1", "c-1")
	over := ended(s, t0)
	mustApply(t, e, change(s), change(over))
	back := next(over)
	back.EndedAt, back.EndReason = time.Time{}, ""
	wantIs(t, "Apply that brings it back", e.Apply(t.Context(), change(back)), cobrowse.ErrStale)
	wantIs(t, "Apply that ends it again", e.Apply(t.Context(), change(ended(over, t0.Add(time.Hour)))), cobrowse.ErrStale)
	wantSession(t, e, over)
}

func testStoredEnded(t *testing.T, e Engine) {
	s := session("s-1", "c-1")
	s.EndedAt, s.EndReason = t0, cobrowse.EndInactive
	mustApply(t, e, change(s))
	wantSession(t, e, s)
	records, err := e.Records(t.Context(), cobrowse.RecordQuery{OrgID: org, Limit: 10})
	mustStore(t, err)
	wantSame(t, "Records", ids(records), []string{"s-1"})
	overdue, err := e.Overdue(t.Context(), t0.AddDate(1, 0, 0), 10)
	mustStore(t, err)
	wantSame(t, "Overdue", overdue, nil)
}

func testUnicode(t *testing.T, e Engine) {
	// Neighbours in every encoding: a separator, a prefix, other lengths, other scripts.
	keys := []string{"a", "ab", "b", "a|b", "a\x00b", "a\x00", "\xc3\xa4", "山田", "😀", "\u2028", "A"}
	for i, key := range keys {
		s := session(key, "c")
		s.ConversationID = ""
		c := change(s)
		c.Take = []cobrowse.Claim{{Kind: cobrowse.ClaimAgent, OrgID: org, Key: key}}
		c.Redeem = &cobrowse.RedeemedToken{ID: key, ExpiresAt: t0.Add(time.Hour)}
		c.Repeatable = &cobrowse.Repeatable{RepeatKey: cobrowse.RepeatKey{OrgID: org, Key: key}, SessionID: s.ID, ExpiresAt: t0.Add(time.Hour)}
		mustApply(t, e, c)
		if got, want := holder(t.Context(), t, e, c.Take[0]), s.ID; got != want {
			t.Errorf("Holder of key %d = %q, want %q", i, got, want)
		}
	}
	for _, key := range keys {
		wantSession(t, e, func() cobrowse.Session { s := session(key, ""); return s }())
		r, err := e.Repeatable(t.Context(), cobrowse.RepeatKey{OrgID: org, Key: key}, t0)
		if err != nil || r.SessionID != cobrowse.SessionID(key) {
			t.Errorf("Repeatable(%q) = session %q, %v", key, r.SessionID, err)
		}
	}
	// Parts of a key do not run into one another.
	for _, k := range []cobrowse.RepeatKey{{OrgID: org + "a"}, {OrgID: org, ClientID: "a"}, {OrgID: org, Route: "a"}, {OrgID: org, ClientID: "a", Key: "b"}} {
		_, err := e.Repeatable(t.Context(), k, t0)
		wantCode(t, fmt.Sprintf("Repeatable(%q)", k), err, cobridge.CodeNotFound)
	}
}

func testManyVersions(t *testing.T, e Engine) {
	s := session("s-1", "c-1")
	mustApply(t, e, change(s))
	for range 50 {
		s = next(s)
		s.Deadline = s.Deadline.Add(time.Second)
		mustApply(t, e, change(s))
		wantSession(t, e, s)
	}
	overdue, err := e.Overdue(t.Context(), t0.AddDate(1, 0, 0), 10)
	mustStore(t, err)
	wantSame(t, "Overdue lists the session once", overdue, []cobrowse.SessionID{"s-1"})
}

// full is a change with something of everything, whose last claim is taken.
func full(s cobrowse.Session) cobrowse.Change {
	c := change(s)
	c.Take = []cobrowse.Claim{
		{Kind: cobrowse.ClaimAgent, OrgID: org, Key: "u-free"}, {Kind: cobrowse.ClaimSessionToken, Key: "987654321"}, conversationClaim("c-taken"),
	}
	c.Redeem = &cobrowse.RedeemedToken{ID: "jti-full", ExpiresAt: t0.Add(time.Hour)}
	c.Repeatable = &cobrowse.Repeatable{RepeatKey: cobrowse.RepeatKey{OrgID: org, Key: "k-full"}, SessionID: s.ID, ExpiresAt: t0.Add(time.Hour)}
	c.Events = []cobrowse.Event{event(s, cobrowse.EventCreated), event(s, cobrowse.EventUpdated)}
	return c
}

func testAtomic(t *testing.T, e Engine) {
	taker := change(session("s-1", "c-taken"))
	taker.Take = []cobrowse.Claim{conversationClaim("c-taken")}
	s := session("s-2", "c-2")
	held := cobrowse.Claim{Kind: cobrowse.ClaimAgent, OrgID: org, Key: "u-held"}
	second := change(s)
	second.Take = []cobrowse.Claim{held}
	mustApply(t, e, taker, second)

	for name, c := range map[string]cobrowse.Change{"create": full(session("s-3", "c-3")), "end": full(ended(s, t0))} {
		c.Release = []cobrowse.Release{{Claim: held}}
		wantClaimed(t, e.Apply(t.Context(), c), conversationClaim("c-taken"), "s-1")
		for _, claim := range c.Take[:2] {
			if got := holder(t.Context(), t, e, claim); got != "" {
				t.Errorf("%s: claim %v is held by %q after the refusal, want nobody", name, claim, got)
			}
		}
		if used, err := e.Redeemed(t.Context(), "jti-full", t0); used || err != nil {
			t.Errorf("%s: Redeemed = %t, %v after the refusal", name, used, err)
		}
		_, err := e.Repeatable(t.Context(), c.Repeatable.RepeatKey, t0)
		wantCode(t, name+": Repeatable after the refusal", err, cobridge.CodeNotFound)
	}
	wantNoSession(t, e, "s-3")
	wantSession(t, e, s)
	if got := holder(t.Context(), t, e, held); got != "s-2" {
		t.Errorf("the claim that was to be released is held by %q, want s-2", got)
	}
	records, err := e.Records(t.Context(), cobrowse.RecordQuery{OrgID: org, Limit: 10})
	mustStore(t, err)
	wantSame(t, "Records after the refusal", ids(records), nil)
	wantNoEvents(t, e)
}

func testOrderOfFailures(t *testing.T, e Engine) {
	taker := full(session("s-1", "c-taken"))
	mustApply(t, e, taker)
	c := full(session("s-2", "c-2"))
	c.Session.Version = 5
	wantIs(t, "Apply with everything wrong", e.Apply(t.Context(), c), cobrowse.ErrStale)
	c.Session.Version = 1
	wantIs(t, "Apply with the key used", e.Apply(t.Context(), c), cobrowse.ErrRepeated)
	c.Repeatable = nil
	wantIs(t, "Apply with the token used", e.Apply(t.Context(), c), cobrowse.ErrTokenUsed)
	c.Redeem = nil
	for i := range c.Take { // the first that is not free is named
		wantClaimed(t, e.Apply(t.Context(), c), taker.Take[i], "s-1")
		c.Take[i].Key += "-free"
	}
	mustApply(t, e, c)
}

func testRedeem(t *testing.T, e Engine) {
	s := session("s-1", "c-1")
	c := change(s)
	c.Redeem = &cobrowse.RedeemedToken{ID: "jti-1", ExpiresAt: t0.Add(time.Minute)}
	mustApply(t, e, c)
	again := change(next(s))
	again.Redeem = c.Redeem
	wantIs(t, "Apply", e.Apply(t.Context(), again), cobrowse.ErrTokenUsed)
	wantSession(t, e, s)
	for _, tt := range []struct {
		id   string
		at   time.Time
		want bool
	}{
		{"jti-1", t0, true},
		{"jti-1", t0.Add(time.Minute - time.Millisecond), true},
		{"jti-1", t0.Add(time.Minute), false},
		{"jti-2", t0, false},
		{"", t0, false},
	} {
		got, err := e.Redeemed(t.Context(), tt.id, tt.at)
		if err != nil || got != tt.want {
			t.Errorf("Redeemed(%q, t0+%v) = %t, %v, want %t", tt.id, tt.at.Sub(t0), got, err, tt.want)
		}
	}
	e = e.Reopen(t)
	wantIs(t, "Apply after a restart", e.Apply(t.Context(), again), cobrowse.ErrTokenUsed)
}

func testRepeatable(t *testing.T, e Engine) {
	key := cobrowse.RepeatKey{OrgID: org, ClientID: "client", Route: "POST /sessions", Key: "k"}
	first := change(session("s-1", "c-1"))
	first.Repeatable = &cobrowse.Repeatable{RepeatKey: key, BodyHash: [32]byte{1, 31: 2}, SessionID: "s-1", ExpiresAt: t0.Add(time.Hour)}
	mustApply(t, e, first)
	for range 2 {
		got, err := e.Repeatable(t.Context(), key, t0.Add(time.Hour-time.Millisecond))
		mustStore(t, err)
		wantSame(t, "Repeatable", got, *first.Repeatable)
		_, err = e.Repeatable(t.Context(), key, t0.Add(time.Hour))
		wantCode(t, "Repeatable at its expiry", err, cobridge.CodeNotFound)
		e = e.Reopen(t)
	}
	for _, other := range []cobrowse.RepeatKey{
		{OrgID: otherOrg, ClientID: "client", Route: "POST /sessions", Key: "k"},
		{OrgID: org, ClientID: "other", Route: "POST /sessions", Key: "k"},
		{OrgID: org, ClientID: "client", Route: "POST /other", Key: "k"},
		{OrgID: org, ClientID: "client", Route: "POST /sessions", Key: "K"},
	} {
		_, err := e.Repeatable(t.Context(), other, t0)
		wantCode(t, fmt.Sprintf("Repeatable(%+v)", other), err, cobridge.CodeNotFound)
	}
	second := change(session("s-2", "c-2"))
	second.Repeatable = &cobrowse.Repeatable{RepeatKey: key, SessionID: "s-2", ExpiresAt: t0.Add(2 * time.Hour)}
	second.At = t0.Add(time.Hour - time.Millisecond)
	wantIs(t, "Apply before the expiry", e.Apply(t.Context(), second), cobrowse.ErrRepeated)
	second.At = t0.Add(time.Hour)
	mustApply(t, e, second)
	// The expiry of the first must not take the second away.
	_, err := e.Purge(t.Context(), cobrowse.Purge{At: t0.Add(time.Hour)}, 100)
	mustStore(t, err)
	got, err := e.Repeatable(t.Context(), key, t0.Add(time.Hour))
	mustStore(t, err)
	wantSame(t, "Repeatable after it was used again", got, *second.Repeatable)
}

func testOverdue(t *testing.T, e Engine) {
	// Ids sort against the deadlines, so that only the deadlines can give the order.
	for i, id := range []string{"s-d", "s-c", "s-b", "s-a"} {
		s := session(id, "")
		s.Deadline = t0.Add(time.Duration(i) * time.Minute)
		mustApply(t, e, change(s))
	}
	want := func(at time.Duration, limit int, want ...cobrowse.SessionID) {
		t.Helper()
		got, err := e.Overdue(t.Context(), t0.Add(at), limit)
		mustStore(t, err)
		wantSame(t, fmt.Sprintf("Overdue(t0+%v, %d)", at, limit), got, want)
	}
	want(-time.Millisecond, 10)
	want(0, 10, "s-d")
	want(time.Minute, 10, "s-d", "s-c")
	want(time.Hour, 10, "s-d", "s-c", "s-b", "s-a")
	want(time.Hour, 2, "s-d", "s-c")

	first, err := e.Session(t.Context(), "s-d")
	mustStore(t, err)
	later := next(first)
	later.Deadline = t0.Add(10 * time.Minute)
	second, err := e.Session(t.Context(), "s-c")
	mustStore(t, err)
	mustApply(t, e, change(later), change(ended(second, t0)))
	e = e.Reopen(t)
	got, err := e.Overdue(t.Context(), t0.Add(time.Hour), 10)
	mustStore(t, err)
	wantSame(t, "Overdue after one was put off and one has ended", got, []cobrowse.SessionID{"s-b", "s-a", "s-d"})
}

func testContextEnded(t *testing.T, e Engine) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := e.Apply(ctx, change(session("s-1", "c-1")))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Apply with an ended context = %v, want %v", err, context.Canceled)
	}
	wantNoSession(t, e, "s-1")
	mustApply(t, e, change(session("s-1", "c-1")))
}
