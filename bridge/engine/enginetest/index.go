package enginetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

func indexTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"sessions are listed live first, each newest first":  testSessionsOrder,
		"sessions are selected by conversation and state":    testSessionsSelected,
		"records before KeptSince are left out":              testKeptSince,
		"a list of sessions is cut into pages":               testSessionPages,
		"an organisation lists nothing of another":           testOrgIsolation,
		"without an organisation all are listed":             testAllOrganisations,
		"a session that is attached is found by its new id":  testAttached,
		"records are listed newest end first, then by id":    testRecordsOrder,
		"records are selected by conversation and time":      testRecordsSelected,
		"records are paged by cursor, also with equal times": testRecordPages,
		"records that come meanwhile do not disturb a page":  testRecordPagesMeanwhile,
	}
}

// populate stores five sessions of org (two ended) and one of another organisation.
func populate(t *testing.T, e Engine) {
	t.Helper()
	at := func(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }
	create := func(id string, conversation conversations.ID, owner conversations.OrgID, minutes int) cobrowse.Session {
		s := session(id, conversation)
		s.OrgID, s.CreatedAt = owner, at(minutes)
		mustApply(t, e, change(s))
		return s
	}
	create("idle-1", "c-1", org, 1)
	active := create("active-2", "c-2", org, 2)
	active = next(active)
	active.ActivatedAt = at(3)
	mustApply(t, e, change(active))
	create("idle-3", "c-3", org, 3)
	// The one that was created first ends last.
	for id, minutes := range map[string][2]int{"ended-9": {0, 9}, "ended-8": {1, 8}} {
		mustApply(t, e, change(ended(create(id, "c-1", org, minutes[0]), at(minutes[1]))))
	}
	create("foreign", "c-1", otherOrg, 4)
}

func wantList(t *testing.T, e Engine, q cobrowse.Query, total int, want ...string) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	got, count, err := e.Sessions(t.Context(), q)
	mustStore(t, err)
	if !slices.Equal(ids(got), want) || count != total {
		t.Errorf("Sessions(%+v) = %v of %d, want %v of %d", q, ids(got), count, want, total)
	}
}

func testSessionsOrder(t *testing.T, e Engine) {
	populate(t, e)
	for range 2 {
		wantList(t, e, cobrowse.Query{OrgID: org}, 5, "idle-3", "active-2", "idle-1", "ended-9", "ended-8")
		e = e.Reopen(t)
	}
	got, _, err := e.Sessions(t.Context(), cobrowse.Query{OrgID: org, Limit: 100})
	mustStore(t, err)
	for _, s := range got {
		wantSession(t, e, s)
	}
}

func testSessionsSelected(t *testing.T, e Engine) {
	populate(t, e)
	for _, tt := range []struct {
		conversation conversations.ID
		states       []cobrowse.State
		want         []string
	}{
		{"", []cobrowse.State{cobrowse.StateIdle}, []string{"idle-3", "idle-1"}},
		{"", []cobrowse.State{cobrowse.StateActive}, []string{"active-2"}},
		{"", []cobrowse.State{cobrowse.StateEnded}, []string{"ended-9", "ended-8"}},
		{"", []cobrowse.State{cobrowse.StateEnded, cobrowse.StateIdle}, []string{"idle-3", "idle-1", "ended-9", "ended-8"}},
		{"c-1", nil, []string{"idle-1", "ended-9", "ended-8"}},
		{"c-1", []cobrowse.State{cobrowse.StateIdle, cobrowse.StateActive}, []string{"idle-1"}},
		{"c-1", []cobrowse.State{cobrowse.StateActive}, nil},
		{"c-2", []cobrowse.State{cobrowse.StateActive}, []string{"active-2"}},
		{"c-2", []cobrowse.State{cobrowse.StateIdle}, nil}, // it was, before it became active
		{"c-", nil, nil},
		{"c-9", nil, nil},
	} {
		wantList(t, e, cobrowse.Query{OrgID: org, ConversationID: tt.conversation, States: tt.states}, len(tt.want), tt.want...)
		wantList(t, e, cobrowse.Query{OrgID: org, ConversationID: tt.conversation, States: tt.states, Attached: true}, len(tt.want), tt.want...)
	}
	mustApply(t, e, change(session("alone-4", "")))
	wantList(t, e, cobrowse.Query{OrgID: org}, 6, "idle-3", "active-2", "idle-1", "alone-4", "ended-9", "ended-8")
	wantList(t, e, cobrowse.Query{OrgID: org, Attached: true}, 5, "idle-3", "active-2", "idle-1", "ended-9", "ended-8")
	wantList(t, e, cobrowse.Query{OrgID: org, Attached: true, Offset: 1, Limit: 2}, 5, "active-2", "idle-1")
	wantList(t, e, cobrowse.Query{Attached: true}, 6, "foreign", "idle-3", "active-2", "idle-1", "ended-9", "ended-8")
}

func testKeptSince(t *testing.T, e Engine) {
	populate(t, e)
	q := cobrowse.Query{OrgID: org, ConversationID: "c-1", KeptSince: t0.Add(8 * time.Minute)}
	wantList(t, e, q, 3, "idle-1", "ended-9", "ended-8")
	q.KeptSince = q.KeptSince.Add(time.Millisecond)
	wantList(t, e, q, 2, "idle-1", "ended-9")
	q.ConversationID, q.KeptSince = "", t0.AddDate(1, 0, 0) // live ones do not age
	wantList(t, e, q, 3, "idle-3", "active-2", "idle-1")
}

func testSessionPages(t *testing.T, e Engine) {
	populate(t, e)
	all := []string{"idle-3", "active-2", "idle-1", "ended-9", "ended-8"}
	for limit := 1; limit <= 6; limit++ {
		for offset := 0; offset <= 6; offset++ {
			from := min(offset, len(all))
			wantList(t, e, cobrowse.Query{OrgID: org, Offset: offset, Limit: limit}, 5, all[from:min(from+limit, len(all))]...)
		}
	}
	wantList(t, e, cobrowse.Query{OrgID: org, States: []cobrowse.State{cobrowse.StateIdle}, Offset: 1, Limit: 1}, 2, "idle-1")
}

func testOrgIsolation(t *testing.T, e Engine) {
	populate(t, e)
	wantList(t, e, cobrowse.Query{OrgID: otherOrg}, 1, "foreign")
	wantList(t, e, cobrowse.Query{OrgID: otherOrg, ConversationID: "c-1"}, 1, "foreign")
	wantList(t, e, cobrowse.Query{OrgID: otherOrg, ConversationID: "c-2"}, 0)
	wantList(t, e, cobrowse.Query{OrgID: "0a"}, 0) // a prefix of both
	records, err := e.Records(t.Context(), cobrowse.RecordQuery{OrgID: otherOrg, Limit: 10})
	mustStore(t, err)
	wantSame(t, "Records of the other organisation", ids(records), nil)
	// Two organisations may have sessions on conversations with the same id.
	claim := conversationClaim("c-7")
	mine, theirs := taking("s-7", claim), taking("s-8", claim)
	theirs.Session.OrgID, theirs.Take[0].OrgID = otherOrg, otherOrg
	mustApply(t, e, mine, theirs)
}

func testAllOrganisations(t *testing.T, e Engine) {
	populate(t, e)
	wantList(t, e, cobrowse.Query{}, 6, "foreign", "idle-3", "active-2", "idle-1", "ended-9", "ended-8")
	wantList(t, e, cobrowse.Query{Offset: 1, Limit: 2}, 6, "idle-3", "active-2")
	wantList(t, e, cobrowse.Query{ConversationID: "c-1"}, 4, "foreign", "idle-1", "ended-9", "ended-8")
	wantList(t, e, cobrowse.Query{ConversationID: "c-1", Offset: 1, Limit: 2}, 4, "idle-1", "ended-9")
	wantList(t, e, cobrowse.Query{States: []cobrowse.State{cobrowse.StateIdle}}, 3, "foreign", "idle-3", "idle-1")
}

func testAttached(t *testing.T, e Engine) {
	s := session("s-1", "")
	mustApply(t, e, change(s))
	s = next(s)
	s.ConversationID = "c-1"
	mustApply(t, e, change(s))
	wantList(t, e, cobrowse.Query{OrgID: org, ConversationID: "c-1"}, 1, "s-1")
	mustApply(t, e, change(ended(s, t0)))
	wantList(t, e, cobrowse.Query{OrgID: org, ConversationID: "c-1"}, 1, "s-1")
	wantList(t, e, cobrowse.Query{OrgID: org}, 1, "s-1")
}

// history stores records that ended at the given minutes, named by them and a letter.
func history(t *testing.T, e Engine, conversation conversations.ID, minutes ...int) []cobrowse.Session {
	t.Helper()
	var all []cobrowse.Session
	for i, m := range minutes {
		s := session(fmt.Sprintf("%s-%02d-%c", conversation, m, 'a'+i), conversation)
		s.EndedAt, s.EndReason = t0.Add(time.Duration(m)*time.Minute), cobrowse.EndRequested
		mustApply(t, e, change(s))
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b cobrowse.Session) int {
		if c := b.EndedAt.Compare(a.EndedAt); c != 0 {
			return c
		}
		return slices.Compare([]byte(b.ID), []byte(a.ID))
	})
	return all
}

func wantRecords(t *testing.T, e Engine, q cobrowse.RecordQuery, want []cobrowse.Session) {
	t.Helper()
	got, err := e.Records(t.Context(), q)
	mustStore(t, err)
	wantSame(t, fmt.Sprintf("Records(%+v)", q), got, want)
}

func testRecordsOrder(t *testing.T, e Engine) {
	want := history(t, e, "c", 3, 1, 2, 2, 1, 0)
	mustApply(t, e, change(session("live", "c")))
	for range 2 {
		wantRecords(t, e, cobrowse.RecordQuery{OrgID: org, Limit: 100}, want)
		wantRecords(t, e, cobrowse.RecordQuery{OrgID: org, Limit: 2}, want[:2])
		e = e.Reopen(t)
	}
}

func testRecordsSelected(t *testing.T, e Engine) {
	one, two := history(t, e, "c-1", 1, 2, 3, 4), history(t, e, "c-2", 5)
	at := func(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }
	both := append(slices.Clone(two), one...)
	for _, tt := range []struct {
		query cobrowse.RecordQuery
		want  []cobrowse.Session
	}{
		{cobrowse.RecordQuery{}, both},
		{cobrowse.RecordQuery{ConversationID: "c-1"}, one},
		{cobrowse.RecordQuery{ConversationID: "c-3"}, nil},
		{cobrowse.RecordQuery{From: at(3)}, both[:3]}, // at or after
		{cobrowse.RecordQuery{To: at(3)}, both[3:]},   // before
		{cobrowse.RecordQuery{From: at(2), To: at(4)}, both[2:4]},
		{cobrowse.RecordQuery{From: at(4), To: at(2)}, nil},
		{cobrowse.RecordQuery{ConversationID: "c-1", From: at(2), To: at(4)}, one[1:3]},
		{cobrowse.RecordQuery{ConversationID: "c-2", To: at(5)}, nil},
	} {
		tt.query.OrgID, tt.query.Limit = org, 100
		wantRecords(t, e, tt.query, tt.want)
	}
}

func testRecordPages(t *testing.T, e Engine) {
	want := history(t, e, "c", 1, 1, 1, 2, 2, 0, 3, 1)
	for limit := 1; limit <= len(want); limit++ {
		for _, conversation := range []conversations.ID{"", "c"} {
			q := cobrowse.RecordQuery{OrgID: org, ConversationID: conversation, Limit: limit}
			var got []cobrowse.Session
			for {
				page, err := e.Records(t.Context(), q)
				mustStore(t, err)
				if len(page) == 0 {
					break
				}
				got = append(got, page...)
				last := page[len(page)-1]
				q.After = cobrowse.RecordCursor{EndedAt: last.EndedAt, ID: last.ID}
			}
			wantSame(t, fmt.Sprintf("all pages of %d", limit), ids(got), ids(want))
		}
	}
	// A cursor together with bounds, and one whose record is gone.
	after := cobrowse.RecordCursor{EndedAt: t0.Add(time.Minute), ID: "c-01-bb"}
	wantRecords(t, e, cobrowse.RecordQuery{OrgID: org, After: after, From: t0.Add(time.Minute), Limit: 100}, want[5:7])
	wantRecords(t, e, cobrowse.RecordQuery{OrgID: org, After: after, To: t0.Add(time.Minute), Limit: 100}, want[7:])
}

func testRecordPagesMeanwhile(t *testing.T, e Engine) {
	want := history(t, e, "c", 5, 4, 3, 2)
	first, err := e.Records(t.Context(), cobrowse.RecordQuery{OrgID: org, Limit: 2})
	mustStore(t, err)
	history(t, e, "d", 9, 8)
	rest, err := e.Records(t.Context(), cobrowse.RecordQuery{OrgID: org, Limit: 10, After: cobrowse.RecordCursor{EndedAt: first[1].EndedAt, ID: first[1].ID}})
	mustStore(t, err)
	wantSame(t, "both pages", ids(append(first, rest...)), ids(want))
}
