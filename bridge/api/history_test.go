package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.create(t, talk)
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, historyURL+"/"+s.ID, "")
	in, err := h.sessions.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: cobrowse.SessionID(s.ID), Token: s.tokenAt(t, 0)})
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	for _, page := range []string{shop + "/?secret=1", shop + "/cart"} {
		if err := h.sessions.VisitPage(t.Context(), in.Session.ID, in.Participant.ID, in.Participant.Connection.Number, page, "Shop"); err != nil {
			t.Fatalf("VisitPage: %v", err)
		}
		h.clock.Advance(90 * time.Second)
	}
	h.want(t, http.StatusNoContent, http.MethodDelete, sessionsURL+"/"+s.ID, "")
	record := h.want(t, http.StatusOK, http.MethodGet, historyURL+"/"+s.ID, "")
	golden(t, "record", record)
	if strings.Contains(record.body, "secret") {
		t.Errorf("the record has a query in it: %s", record.body)
	}
}

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var ids []string // newest end first
	for range 5 {
		s := h.create(t, talk)
		h.clock.Advance(time.Second)
		h.want(t, http.StatusNoContent, http.MethodDelete, sessionsURL+"/"+s.ID, "")
		ids = slices.Insert(ids, 0, s.ID)
	}
	type records struct {
		Entities []sessionAnswer `json:"entities"`
		NextURI  string          `json:"nextUri"`
	}
	walk := func(path string) (got []string, pages int) {
		t.Helper()
		for path != "" {
			var page records
			h.want(t, http.StatusOK, http.MethodGet, path, "").into(t, &page)
			for _, e := range page.Entities {
				got = append(got, e.ID)
			}
			path, pages = page.NextURI, pages+1
		}
		return got, pages
	}
	at := func(d time.Duration) string { return t0.Add(d).Format("2006-01-02T15:04:05.000Z") }
	for _, tt := range []struct {
		query string
		want  []string
		pages int
	}{
		{"", ids, 1},
		{"?pageSize=2", ids, 3},
		{"?pageSize=2&conversationId=" + string(talk), ids, 3},
		{"?conversationId=" + string(talk2), nil, 1},
		{"?pageSize=1&from=" + at(2*time.Second) + "&to=" + at(4*time.Second), ids[2:4], 2},
		{"?from=2026-03-04T06:06:09.089%2B01:00&to=" + at(4*time.Second), ids[2:4], 1},
	} {
		got, pages := walk(historyURL + tt.query)
		if !slices.Equal(got, tt.want) || pages != tt.pages {
			t.Errorf("%q gives %v on %d pages, want %v on %d", tt.query, got, pages, tt.want, tt.pages)
		}
	}
	for _, query := range []string{"?from=yesterday", "?to=1", "?after=x", "?after=" + strings.Repeat("A", 201), "?after=" + "LTEueA", "?pageSize=0"} {
		h.refused(t, http.StatusBadRequest, cobridge.CodeInvalidQueryParam, http.MethodGet, historyURL+query, "")
	}
	if a := h.want(t, http.StatusOK, http.MethodGet, historyURL+"?conversationId=none", ""); !strings.Contains(a.body, `"entities":[]`) {
		t.Errorf("no records are %s, want an empty list", a.body)
	}
}
