package contract

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func historyCases() []Case {
	return []Case{
		{"history has a session when it has ended, not before", historyAfterEnd},
		{"history is listed newest first, by cursor", historyCursor},
		{"history is listed by the time of the end", historyWindow},
		{"history refuses parameters that are not allowed", historyRefused},
		{"history is kept for its time and then gone", historyRetention},
		{"history of a session that a customer started names its digits", historyOfStarted},
		{"history is shown by a link, that of a live session too", historyLinks},
		{"history of another server is imported, once", historyImport},
		{"history of another server is refused if it breaks rules", historyImportRefused},
		{"history of another server is refused for the id of a live session, or of somebody else", historyImportTaken},
	}
}

type recordBody struct {
	sessionBody
	SessionToken string    `json:"sessionToken"`
	Pages        *[]any    `json:"pages"`
	Grants       *[]any    `json:"grants"`
	Actions      *[]any    `json:"actions"`
	ended        time.Time // parsed dateEnded
}

type recordsBody struct {
	Entities []recordBody `json:"entities"`
	NextURI  string       `json:"nextUri"`
	SelfURI  string       `json:"selfUri"`
}

func (sc *scene) records(t T, path string) recordsBody {
	t.Helper()
	var r recordsBody
	sc.want(t, http.StatusOK, sc.get(t, path)).into(t, &r)
	if r.Entities == nil {
		t.Errorf("GET %s has no entities", path)
	}
	for i := range r.Entities {
		r.Entities[i].ended = date(t, "dateEnded", r.Entities[i].DateEnded)
	}
	return r
}

func historyAfterEnd(t T, sc *scene) {
	sc.needConversations(t)
	b := sc.session(t)
	sc.refused(t, http.StatusNotFound, "not.found", sc.get(t, historyPath+"/"+b.ID))
	if r := sc.records(t, historyPath+"?conversationId="+b.ConversationID); len(r.Entities) != 0 {
		t.Errorf("a live session has %d records", len(r.Entities))
	}
	sc.want(t, http.StatusOK, redeem(tokenOf(t, b.participant("supervisor").JoinURL), "tab-1"))
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
	var got recordBody
	sc.want(t, http.StatusOK, sc.get(t, historyPath+"/"+b.ID)).into(t, &got)
	if got.ID != b.ID || got.SessionID != b.ID || got.ConversationID != b.ConversationID || got.State != "ended" || got.EndReason != "ended" || got.DateCreated != b.DateCreated || len(got.Participants) != 2 {
		t.Errorf("the record is %+v, want that of session %s", got.sessionBody, b.ID)
	}
	if got.SelfURI != historyPath+"/"+b.ID && got.SelfURI != sessionPath(b.ID) {
		t.Errorf("selfUri is %q", got.SelfURI)
	}
	if s := got.participant("supervisor"); s.State != "left" || s.DateJoined == "" {
		t.Errorf("the supervisor is %s, joined %q, want left", s.State, s.DateJoined)
	}
	if got.Pages == nil || got.Grants == nil || got.Actions == nil {
		t.Errorf("pages, grants and actions must be arrays")
	}
	if r := sc.records(t, historyPath+"?conversationId="+b.ConversationID); len(r.Entities) != 1 || r.Entities[0].ID != b.ID {
		t.Errorf("the conversation has %d records, want that of %s", len(r.Entities), b.ID)
	}
	for _, id := range []string{unknownID(90), "no-uuid", "%FF"} {
		sc.refused(t, http.StatusNotFound, "not.found", sc.get(t, historyPath+"/"+id))
	}
}

// endedOn starts and ends n sessions on a new conversation and returns their
// ids, newest first.
func (sc *scene) endedOn(t T, n int) (conversation string, ids []string) {
	t.Helper()
	conversation = sc.ownConversation(t, "message").ID
	for range n {
		b := sc.sessionOn(t, conversation)
		sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
		ids = append(ids, b.ID)
		if sc.target.Advance != nil {
			sc.advance(time.Second)
		}
	}
	slices.Reverse(ids)
	return conversation, ids
}

func historyCursor(t T, sc *scene) {
	conv, want := sc.endedOn(t, 5)
	for _, size := range []string{"1", "2", "5", "100"} {
		var got []string
		var last time.Time
		path := historyPath + "?conversationId=" + conv + "&pageSize=" + size
		for pages := 0; path != "" && pages < 20; pages++ {
			r := sc.records(t, path)
			for _, e := range r.Entities {
				if !last.IsZero() && e.ended.After(last) {
					t.Errorf("pageSize=%s: %v comes after %v, want newest first", size, e.ended, last)
				}
				last = e.ended
				got = append(got, e.ID)
			}
			if path = r.NextURI; path != "" && len(r.Entities) == 0 {
				t.Fatalf("pageSize=%s: an empty page has a nextUri", size)
			}
			if path != "" && (!strings.Contains(path, "after=") || !strings.Contains(path, conv)) {
				t.Errorf("pageSize=%s: nextUri is %s, want the cursor and the filter", size, path)
			}
		}
		// Without a clock to move, two ends may fall into one millisecond; then any order of them will do.
		if sc.target.Advance == nil {
			slices.Sort(got)
			want = slices.Sorted(slices.Values(want))
		}
		if !slices.Equal(got, want) {
			t.Errorf("pageSize=%s: the pages list %q, want %q", size, got, want)
		}
	}
}

func historyWindow(t T, sc *scene) {
	sc.needAdvance(t)
	conv, ids := sc.endedOn(t, 3)
	all := sc.records(t, historyPath+"?conversationId="+conv).Entities
	if len(all) != 3 {
		t.Fatalf("there are %d records, want 3", len(all))
	}
	stamp := func(at time.Time) string { return url.QueryEscape(at.UTC().Format("2006-01-02T15:04:05.000Z")) }
	middle := all[1].ended
	for query, want := range map[string][]string{
		"&from=" + stamp(middle): ids[:2],
		"&to=" + stamp(middle):   ids[2:],
		"&from=" + stamp(middle) + "&to=" + stamp(middle.Add(time.Millisecond)):          ids[1:2],
		"&from=" + stamp(middle.Add(time.Hour)):                                          {},
		"&to=" + stamp(middle.Add(-time.Hour)):                                           {},
		"&from=" + stamp(middle.Add(-time.Hour)) + "&to=" + stamp(middle.Add(time.Hour)): ids,
	} {
		got := []string{}
		for _, e := range sc.records(t, historyPath+"?conversationId="+conv+query).Entities {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s lists %q, want %q", query, got, want)
		}
	}
}

func historyRefused(t T, sc *scene) {
	for query, field := range map[string]string{
		"from=yesterday": "from", "to=2026-13-01T00:00:00Z": "to", "after=%2E%2E": "after", "after=" + strings.Repeat("A", 300): "after", "pageSize=0": "pageSize", "pageSize=x": "pageSize",
	} {
		e := sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.get(t, historyPath+"?"+query))
		if got := e.fields(); !slices.Equal(got, []string{field}) {
			t.Errorf("%s: details name %q, want %q", query, got, field)
		}
	}
	// Another zone is the same moment.
	sc.records(t, historyPath+"?from="+url.QueryEscape("2026-03-04T05:06:07+02:00"))
}

func historyRetention(t T, sc *scene) {
	sc.needAdvance(t)
	b := sc.session(t)
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
	sc.advance(sc.target.Limits.Retention - time.Minute)
	sc.want(t, http.StatusOK, sc.get(t, historyPath+"/"+b.ID))
	sc.advance(2 * time.Minute)
	for _, path := range []string{historyPath + "/" + b.ID, sessionPath(b.ID)} {
		sc.refused(t, http.StatusNotFound, "not.found", sc.get(t, path))
	}
	if p := sc.list(t, "state=any&conversationId="+b.ConversationID); len(p.Entities) != 0 {
		t.Errorf("the list has %d sessions after the retention", len(p.Entities))
	}
	if r := sc.records(t, historyPath+"?conversationId="+b.ConversationID); len(r.Entities) != 0 {
		t.Errorf("the history has %d records after the retention", len(r.Entities))
	}
}

func historyOfStarted(t T, sc *scene) {
	b := sc.started(t)
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
	var got recordBody
	sc.want(t, http.StatusOK, sc.get(t, historyPath+"/"+b.ID)).into(t, &got)
	if got.SessionToken != b.SessionToken || got.ConversationID != "" {
		t.Errorf("the record has another session token, or conversation %q, want none", got.ConversationID)
	}
}

func historyLinks(t T, sc *scene) {
	b := sc.session(t)
	for _, state := range []string{"live", "ended"} {
		for range 2 { // a second one does not undo the first
			var got struct {
				URL       string `json:"url"`
				ExpiresAt string `json:"expiresAt"`
			}
			a := sc.want(t, http.StatusCreated, call{method: http.MethodPost, path: linksPath(b.ID), token: sc.token(t)})
			a.into(t, &got)
			address, token, _ := strings.Cut(got.URL, "?token=")
			if !strings.HasPrefix(address, "http") || !strings.HasSuffix(address, "/cobrowse/history/"+b.ID) || !urlSafe.MatchString(token) {
				t.Errorf("%s: the link is not the address of the history page with a token of URL-safe characters", state)
			}
			if got := a.header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s: Cache-Control is %q, want no-store", state, got)
			}
			date(t, "expiresAt", got.ExpiresAt)
			page := historyPagePath + "/" + b.ID
			pageOf(t, sc.want(t, http.StatusOK, call{path: page + "?token=" + token}))
			pageOf(t, sc.want(t, http.StatusBadRequest, call{path: page}))
			pageOf(t, sc.want(t, http.StatusUnauthorized, call{path: page + "?token=x" + token}))
			pageOf(t, sc.want(t, http.StatusUnauthorized, call{path: historyPagePath + "/" + unknownID(92) + "?token=" + token}))
			// It lets nobody into the session.
			if a := sc.do(t, redeem(token, "tab-1")); a.status != http.StatusUnauthorized {
				t.Errorf("%s: the link's token redeemed as a join token is %d, want 401", state, a.status)
			}
		}
		sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
	}
	for _, id := range []string{unknownID(91), "no-uuid"} {
		sc.refused(t, http.StatusNotFound, "not.found", call{method: http.MethodPost, path: linksPath(id), token: sc.token(t)})
	}
}
