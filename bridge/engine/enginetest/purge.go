package enginetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

func purgeTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"history that ended before is forgotten, live sessions are not": testPurgeHistory,
		"what has expired is forgotten and may be used again":           testPurgeExpired,
		"events older than asked for are forgotten":                     testPurgeEvents,
		"no call forgets more than its limit":                           testPurgeLimit,
		"nothing is forgotten where nothing is asked for":               testPurgeNothing,
	}
}

func wantPurged(t *testing.T, e Engine, p cobrowse.Purge, limit, want int) {
	t.Helper()
	got, err := e.Purge(t.Context(), p, limit)
	if err != nil || got != want {
		t.Errorf("Purge(%+v, %d) = %d, %v, want %d", p, limit, got, err, want)
	}
}

func testPurgeHistory(t *testing.T, e Engine) {
	all := history(t, e, "c", 1, 2, 3)
	foreign := session("foreign", "c")
	foreign.OrgID, foreign.EndedAt = otherOrg, t0.Add(time.Minute)
	live := session("live", "c")
	mustApply(t, e, change(foreign), change(live))
	wantPurged(t, e, cobrowse.Purge{Ended: t0.Add(2 * time.Minute)}, 100, 2) // one of each organisation
	for range 2 {
		wantRecords(t, e, cobrowse.RecordQuery{OrgID: org, Limit: 10}, all[:2])
		wantRecords(t, e, cobrowse.RecordQuery{OrgID: org, ConversationID: "c", Limit: 10}, all[:2])
		wantRecords(t, e, cobrowse.RecordQuery{OrgID: otherOrg, Limit: 10}, nil)
		wantNoSession(t, e, all[2].ID)
		wantNoSession(t, e, foreign.ID)
		wantSession(t, e, all[0])
		wantSession(t, e, live)
		e = e.Reopen(t)
	}
}

func testPurgeExpired(t *testing.T, e Engine) {
	claim := conversationClaim("c-1")
	key := cobrowse.RepeatKey{OrgID: org, Key: "k"}
	expiry := t0.Add(time.Hour)
	first := taking("s-1", claim)
	first.Redeem = &cobrowse.RedeemedToken{ID: "jti", ExpiresAt: expiry}
	first.Repeatable = &cobrowse.Repeatable{RepeatKey: key, SessionID: "s-1", ExpiresAt: expiry}
	give := change(next(first.Session))
	give.Release = []cobrowse.Release{{Claim: claim, Until: expiry}}
	mustApply(t, e, first, give)

	wantPurged(t, e, cobrowse.Purge{At: expiry.Add(-time.Millisecond)}, 100, 0)
	second := taking("s-2", claim)
	second.Redeem = first.Redeem
	wantIs(t, "Apply", e.Apply(t.Context(), second), cobrowse.ErrTokenUsed)
	second.Redeem = nil
	wantClaimed(t, e.Apply(t.Context(), second), claim, "")

	wantPurged(t, e, cobrowse.Purge{At: expiry}, 100, 3)
	wantPurged(t, e, cobrowse.Purge{At: expiry}, 100, 0)
	e = e.Reopen(t)
	_, err := e.Repeatable(t.Context(), key, t0)
	wantCode(t, "Repeatable", err, cobridge.CodeNotFound)
	second.Redeem = first.Redeem
	mustApply(t, e, second)
	wantHolder(t, e, claim, "s-2")
}

func testPurgeEvents(t *testing.T, e Engine) {
	c := change(session("s-1", ""))
	for i := range 4 {
		ev := event(c.Session, cobrowse.EventUpdated)
		ev.At = t0.Add(time.Duration(i) * time.Minute)
		c.Events = append(c.Events, ev)
	}
	mustApply(t, e, c)
	wantPurged(t, e, cobrowse.Purge{Events: t0.Add(2 * time.Minute)}, 100, 2)
	for range 2 {
		got := collect(t, e, "late", 2)
		for i, ev := range got {
			if want := t0.Add(time.Duration(i+2) * time.Minute); !ev.At.Equal(want) {
				t.Errorf("event %d that is left is of %v, want %v", i, ev.At, want)
			}
		}
		e = e.Reopen(t)
		// The name has handled these two; another has not.
		c = change(next(c.Session))
		c.Events = []cobrowse.Event{event(c.Session, cobrowse.EventUpdated)}
		c.Events[0].At = t0.Add(2 * time.Minute)
		c.Events = append(c.Events, c.Events[0])
		c.Events[1].At = t0.Add(3 * time.Minute)
		mustApply(t, e, c)
	}
}

func testPurgeLimit(t *testing.T, e Engine) {
	const n = 1200 // more than any engine deletes in one step
	expiry := t0.Add(time.Hour)
	race(8, func(w int) {
		for i := range n / 8 {
			c := change(session(fmt.Sprintf("s-%d-%d", w, i), "c"))
			c.Session.EndedAt = t0
			c.Redeem = &cobrowse.RedeemedToken{ID: string(c.Session.ID), ExpiresAt: expiry}
			c.Events = []cobrowse.Event{event(c.Session, cobrowse.EventEnded)}
			if err := e.Apply(t.Context(), c); err != nil {
				t.Errorf("Apply = %v", err)
			}
		}
	})
	p := cobrowse.Purge{At: expiry, Ended: t0.Add(time.Second), Events: t0.Add(time.Second)}
	wantPurged(t, e, p, 7, 7)
	if _, total, err := e.Sessions(t.Context(), cobrowse.Query{OrgID: org, Limit: 1}); err != nil || total < n-7 {
		t.Errorf("Sessions counts %d, %v after 7 were purged, want at least %d", total, err, n-7)
	}
	wantPurged(t, e, p, 3000, 3000)
	wantPurged(t, e, p, 3000, 3*n-3007)
	wantPurged(t, e, p, 3000, 0)
	wantList(t, e, cobrowse.Query{OrgID: org}, 0)
}

func testPurgeNothing(t *testing.T, e Engine) {
	all := history(t, e, "c", 1, 2)
	c := full(session("s-1", "c-1"))
	mustApply(t, e, c)
	wantPurged(t, e, cobrowse.Purge{}, 100, 0)
	wantRecords(t, e, cobrowse.RecordQuery{OrgID: org, Limit: 10}, all)
	collect(t, e, "reader", len(c.Events))
}
