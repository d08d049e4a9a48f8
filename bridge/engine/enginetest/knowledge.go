package enginetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/knowledge"
)

func knowledgeTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"a knowledge session is kept over a restart":                testKnowledgeKept,
		"knowledge sessions of tenants and organisations are apart": testKnowledgeApart,
		"a live identity is not created twice":                      testKnowledgeIdentity,
		"an identity follows its session":                           testKnowledgeIdentityMoves,
		"one of 64 creates of an identity wins":                     testKnowledgeCreateRace,
		"a change is one atomic step":                               testKnowledgeChangeRace,
		"a refused change changes nothing":                          testKnowledgeChangeRefused,
		"expired knowledge sessions are purged up to the limit":     testKnowledgePurge,
	}
}

func knowledgeKey(id knowledge.SessionID) knowledge.Key {
	return knowledge.Key{OrgID: knowledge.OrgID(org), TenantID: "1", ID: id}
}

func knowledgeSession(id knowledge.SessionID) knowledge.Session {
	return knowledge.Session{
		Key: knowledgeKey(id), Facts: knowledge.Facts{CustomerID: "kim@example.org", AgentID: "ada", VisitID: "v-1", GlobalVisitID: "g-1"},
		ConversationID: "c-1", CreatedAt: t0, LastAccess: t0.Add(time.Minute), ExpiresAt: t0.Add(time.Hour),
	}
}

func always(knowledge.Session) bool { return true }

func mustCreateKnowledge(t *testing.T, e Engine, sessions ...knowledge.Session) {
	t.Helper()
	for _, s := range sessions {
		mustStore(t, e.CreateKnowledgeSession(t.Context(), s, t0, func(knowledge.Session) bool { return false }))
	}
}

func testKnowledgeKept(t *testing.T, e Engine) {
	odd := knowledgeSession("ä/\u2028 %2F")
	odd.Facts, odd.TenantID, odd.ConversationID = knowledge.Facts{}, "", ""
	want := []knowledge.Session{knowledgeSession("s-1"), odd}
	mustCreateKnowledge(t, e, want...)
	for range 2 {
		for _, w := range want {
			got, err := e.KnowledgeSession(t.Context(), w.Key)
			mustStore(t, err)
			wantSame(t, "KnowledgeSession", got, w)
		}
		_, err := e.KnowledgeSession(t.Context(), knowledgeKey("s-2"))
		wantCode(t, "KnowledgeSession of an unknown id", err, cobridge.CodeNotFound)
		e = e.Reopen(t)
	}
}

func testKnowledgeApart(t *testing.T, e Engine) {
	first := knowledgeSession("s-1")
	others := []knowledge.Session{first, first}
	others[0].TenantID, others[1].OrgID = "2", knowledge.OrgID(otherOrg)
	mustCreateKnowledge(t, e, first)
	for _, other := range others {
		_, err := e.KnowledgeSession(t.Context(), other.Key)
		wantCode(t, fmt.Sprintf("KnowledgeSession(%+v)", other.Key), err, cobridge.CodeNotFound)
		mustStore(t, e.CreateKnowledgeSession(t.Context(), other, t0, always))
	}
	changed, err := e.ChangeKnowledgeSession(t.Context(), first.Key, func(s knowledge.Session) (knowledge.Session, error) {
		s.VisitID = "v-2"
		return s, nil
	})
	mustStore(t, err)
	for _, want := range append(others, changed) {
		got, err := e.KnowledgeSession(t.Context(), want.Key)
		mustStore(t, err)
		wantSame(t, fmt.Sprintf("KnowledgeSession(%+v)", want.Key), got, want)
	}
}

func testKnowledgeIdentity(t *testing.T, e Engine) {
	mustCreateKnowledge(t, e, knowledgeSession("s-1"))
	e = e.Reopen(t)
	expiry := knowledgeSession("s-1").ExpiresAt
	for _, tt := range []struct {
		name  string
		facts knowledge.Facts
		since time.Time
		live  bool
		want  error
	}{
		{"the same", knowledgeSession("").Facts, t0, true, knowledge.ErrIdentityTaken},
		{"the same customer", knowledge.Facts{CustomerID: "kim@example.org", AgentID: "eve", VisitID: "v-1", GlobalVisitID: "g-1"}, t0, true, knowledge.ErrIdentityTaken},
		{"the same agent", knowledge.Facts{CustomerID: "lee@example.org", AgentID: "ada", VisitID: "v-1", GlobalVisitID: "g-1"}, t0, true, knowledge.ErrIdentityTaken},
		{"the agent alone", knowledge.Facts{AgentID: "ada", VisitID: "v-1", GlobalVisitID: "g-1"}, t0, true, knowledge.ErrIdentityTaken},
		{"up to its expiry", knowledgeSession("").Facts, expiry.Add(-time.Nanosecond), true, knowledge.ErrIdentityTaken},
		{"from its expiry on", knowledgeSession("").Facts, expiry, true, nil},
		{"not live", knowledgeSession("").Facts, t0, false, nil},
		{"another visit", knowledge.Facts{CustomerID: "kim@example.org", VisitID: "v-2", GlobalVisitID: "g-1"}, t0, true, nil},
		{"no visit", knowledge.Facts{CustomerID: "kim@example.org", GlobalVisitID: "g-1"}, t0, true, nil},
		{"another visitor", knowledge.Facts{CustomerID: "kim@example.org", VisitID: "v-1"}, t0, true, nil},
		{"the customer as agent", knowledge.Facts{AgentID: "kim@example.org", VisitID: "v-1", GlobalVisitID: "g-1"}, t0, true, nil},
		{"a shorter name", knowledge.Facts{CustomerID: "kim@example.or", VisitID: "gv-1", GlobalVisitID: "g-1"}, t0, true, nil},
		{"nobody", knowledge.Facts{VisitID: "v-1", GlobalVisitID: "g-1"}, t0, true, nil},
	} {
		s := knowledge.Session{Key: knowledgeKey("s-2"), Facts: tt.facts, CreatedAt: t0, LastAccess: t0, ExpiresAt: t0.Add(time.Minute)}
		err := e.CreateKnowledgeSession(t.Context(), s, tt.since, func(other knowledge.Session) bool {
			if other != knowledgeSession("s-1") {
				t.Errorf("%s: live was asked about %+v", tt.name, other)
			}
			return tt.live
		})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: CreateKnowledgeSession = %v, want %v", tt.name, err, tt.want)
		}
		_, err = e.ChangeKnowledgeSession(t.Context(), s.Key, func(old knowledge.Session) (knowledge.Session, error) {
			if (old == s) != (tt.want == nil) {
				t.Errorf("%s: stored is %+v", tt.name, old)
			}
			return knowledge.Session{Key: s.Key}, nil // out of the way
		})
		mustStore(t, err)
	}
	// It is in nobody's way but others': the same key is written over.
	mustStore(t, e.CreateKnowledgeSession(t.Context(), knowledgeSession("s-1"), t0, always))
}

func testKnowledgeIdentityMoves(t *testing.T, e Engine) {
	s := knowledgeSession("s-1")
	s.AgentID = ""
	mustCreateKnowledge(t, e, s)
	change := func(fn func(*knowledge.Session)) {
		t.Helper()
		_, err := e.ChangeKnowledgeSession(t.Context(), s.Key, func(old knowledge.Session) (knowledge.Session, error) {
			fn(&old)
			return old, nil
		})
		mustStore(t, err)
	}
	want := func(what string, facts knowledge.Facts, since time.Time, want error) {
		t.Helper()
		other := knowledge.Session{Key: knowledgeKey("s-2"), Facts: facts, ExpiresAt: t0}
		if err := e.CreateKnowledgeSession(t.Context(), other, since, always); !errors.Is(err, want) {
			t.Errorf("%s: CreateKnowledgeSession = %v, want %v", what, err, want)
		}
	}
	change(func(s *knowledge.Session) { s.VisitID = "v-2" })
	want("the visit it had", knowledge.Facts{CustomerID: "kim@example.org", VisitID: "v-1", GlobalVisitID: "g-1"}, t0, nil)
	want("the visit it has", knowledge.Facts{CustomerID: "kim@example.org", VisitID: "v-2", GlobalVisitID: "g-1"}, t0, knowledge.ErrIdentityTaken)
	change(func(s *knowledge.Session) { s.ExpiresAt = t0.Add(2 * time.Hour) })
	want("after its first expiry", knowledge.Facts{CustomerID: "kim@example.org", VisitID: "v-2", GlobalVisitID: "g-1"}, t0.Add(90*time.Minute), knowledge.ErrIdentityTaken)
	change(func(s *knowledge.Session) { s.AgentID = "ada" })
	want("the agent it was given", knowledge.Facts{AgentID: "ada", VisitID: "v-2", GlobalVisitID: "g-1"}, t0, knowledge.ErrIdentityTaken)
}

func testKnowledgeCreateRace(t *testing.T, e Engine) {
	var winners atomic.Int32
	race(64, func(i int) {
		s := knowledgeSession(knowledge.SessionID(fmt.Sprintf("s-%d", i)))
		switch err := e.CreateKnowledgeSession(t.Context(), s, t0, always); {
		case err == nil:
			winners.Add(1)
		case !errors.Is(err, knowledge.ErrIdentityTaken):
			t.Errorf("CreateKnowledgeSession = %v, want nil or %v", err, knowledge.ErrIdentityTaken)
		}
	})
	if got := winners.Load(); got != 1 {
		t.Errorf("%d creates of one identity succeeded, want 1", got)
	}
}

func testKnowledgeChangeRace(t *testing.T, e Engine) {
	key := knowledgeKey("s-1")
	const n = 32
	var made atomic.Int32
	race(n, func(i int) {
		made1 := false
		got, err := e.ChangeKnowledgeSession(t.Context(), key, func(s knowledge.Session) (knowledge.Session, error) {
			made1 = s.ID == ""
			if made1 {
				s = knowledge.Session{Key: key, CreatedAt: t0, LastAccess: t0}
			}
			s.LastAccess = s.LastAccess.Add(time.Second)
			return s, nil
		})
		if err != nil || got.Key != key {
			t.Errorf("change %d = %+v, %v", i, got, err)
		}
		if made1 {
			made.Add(1)
		}
	})
	got, err := e.KnowledgeSession(t.Context(), key)
	mustStore(t, err)
	if want := t0.Add(n * time.Second); made.Load() != 1 || !got.LastAccess.Equal(want) {
		t.Errorf("%d calls made the session, last access %v; want 1, %v", made.Load(), got.LastAccess, want)
	}
}

func testKnowledgeChangeRefused(t *testing.T, e Engine) {
	mustCreateKnowledge(t, e, knowledgeSession("s-1"))
	refusal := &cobridge.Error{Code: cobridge.CodeConflict, Message: "no"}
	for _, id := range []knowledge.SessionID{"s-1", "s-2"} {
		_, err := e.ChangeKnowledgeSession(t.Context(), knowledgeKey(id), func(s knowledge.Session) (knowledge.Session, error) {
			s.Key, s.CustomerID = knowledgeKey(id), "lee@example.org"
			return s, refusal
		})
		wantIs(t, "ChangeKnowledgeSession", err, refusal)
	}
	got, err := e.KnowledgeSession(t.Context(), knowledgeKey("s-1"))
	mustStore(t, err)
	wantSame(t, "KnowledgeSession", got, knowledgeSession("s-1"))
	_, err = e.KnowledgeSession(t.Context(), knowledgeKey("s-2"))
	wantCode(t, "KnowledgeSession", err, cobridge.CodeNotFound)
}

func testKnowledgePurge(t *testing.T, e Engine) {
	const n = 7
	for i := range n {
		s := knowledgeSession(knowledge.SessionID(fmt.Sprintf("s-%d", i)))
		s.ExpiresAt = t0.Add(time.Duration(i) * time.Minute)
		if i%2 == 1 {
			s.OrgID = knowledge.OrgID(otherOrg)
		}
		mustCreateKnowledge(t, e, s)
	}
	// Its expiry has moved, so it is not found under the old one.
	_, err := e.ChangeKnowledgeSession(t.Context(), knowledgeKey("s-0"), func(s knowledge.Session) (knowledge.Session, error) {
		s.ExpiresAt = t0.Add(time.Hour)
		return s, nil
	})
	mustStore(t, err)
	for _, tt := range []struct {
		at          time.Time
		limit, want int
	}{
		{t0, 100, 0},
		{t0.Add(3 * time.Minute), 2, 2},
		{t0.Add(3 * time.Minute), 100, 1},
		{t0.Add(4*time.Minute - time.Nanosecond), 100, 0},
		{t0.Add(4 * time.Minute), 100, 1},
		{t0.Add(time.Hour), 100, 3},
		{t0.Add(time.Hour), 100, 0},
	} {
		got, err := e.PurgeKnowledgeSessions(t.Context(), tt.at, tt.limit)
		if err != nil || got != tt.want {
			t.Errorf("PurgeKnowledgeSessions(%v, %d) = %d, %v, want %d", tt.at, tt.limit, got, err, tt.want)
		}
		e = e.Reopen(t)
	}
	_, err = e.KnowledgeSession(t.Context(), knowledgeKey("s-0"))
	wantCode(t, "KnowledgeSession after the purge", err, cobridge.CodeNotFound)
	mustStore(t, e.CreateKnowledgeSession(t.Context(), knowledgeSession("s-9"), t0, always)) // of the index nothing is left
}
