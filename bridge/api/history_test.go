package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/api"
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

// A record says who agreed to what and what was done with it; never what was typed.
func TestRecordOfControl(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var d deploymentAnswer
	h.want(t, http.StatusCreated, http.MethodPost, deploymentsURL, `{"name":"Desk","allowedOrigins":["`+shop+`"],"allowAgentControl":true,"allowDraw":true,"defaultFor":["agent"]}`).into(t, &d)
	var s sessionAnswer
	h.want(t, http.StatusCreated, http.MethodPost, sessionsURL, `{"conversationId":"`+string(talk)+`","participants":[{"userId":"`+string(ann)+`","role":"agent"},{"userId":"`+string(ben)+
		`","role":"supervisor","allowControl":true}],"settings":{"allowRemoteControl":true}}`).into(t, &s)
	if s.DeploymentID != d.ID {
		t.Fatalf("deploymentId = %q, want the agents' default %s", s.DeploymentID, d.ID)
	}
	id := cobrowse.SessionID(s.ID)
	sharer, err := h.sessions.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: id, Token: s.tokenAt(t, 0)})
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	me, number := sharer.Participant.ID, sharer.Participant.Connection.Number
	supervisor := cobrowse.ParticipantID(ben)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		h.clock.Advance(time.Second)
	}
	must("share", h.sessions.Grant(t.Context(), id, me, number, cobrowse.GrantRequest{Kind: cobrowse.GrantSharing, TextVersion: "en-1"}))
	must("give control", h.sessions.Grant(t.Context(), id, me, number, cobrowse.GrantRequest{Kind: cobrowse.GrantControl, To: supervisor, TTL: time.Minute}))
	must("let draw", h.sessions.Grant(t.Context(), id, me, number, cobrowse.GrantRequest{Kind: cobrowse.GrantDraw, To: supervisor}))
	for _, a := range []cobrowse.Action{
		{Kind: "text", Path: "form > input#name", Result: "ok"}, {Kind: "text", Path: "form > input#name", Result: "ok"}, {Kind: "click", Path: "button", Result: "submit"}, {Kind: "back", Result: "denied"},
	} {
		a.ParticipantID = supervisor
		must("act", h.sessions.Acted(t.Context(), id, a))
	}
	must("take control back", h.sessions.Revoke(t.Context(), id, me, number, cobrowse.GrantControl, supervisor))
	golden(t, "session-controlled", h.want(t, http.StatusOK, http.MethodGet, sessionsURL+"/"+s.ID, ""))
	must("end", h.sessions.Violate(t.Context(), id, "form > input#card"))
	golden(t, "record-controlled", h.want(t, http.StatusOK, http.MethodGet, historyURL+"/"+s.ID, ""))
}

func TestHistoryLink(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.create(t, talk)
	path := historyURL + "/" + s.ID + "/links"
	for _, state := range []string{"live", "ended"} {
		a := h.want(t, http.StatusCreated, http.MethodPost, path, "", "Content-Type:")
		golden(t, "history-link", a)
		var link struct {
			URL string `json:"url"`
		}
		a.into(t, &link)
		_, raw, _ := strings.Cut(link.URL, "?token=")
		if got, err := h.sessions.InspectHistory(t.Context(), raw); err != nil || string(got.ID) != s.ID {
			t.Errorf("the link of the %s session shows %q, %v, want %s", state, got.ID, err, s.ID)
		}
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control = %q, want no-store", got)
		}
		h.want(t, http.StatusNoContent, http.MethodDelete, sessionsURL+"/"+s.ID, "")
	}
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodPost, historyURL+"/nothing/links", "")
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodPost, path, "", "Authorization: Bearer "+h.grant(t, "other-client"))

	apart := newHouse(t, func(d *api.Deps) { d.ViewerBaseURL = "https://viewer.example/" })
	viewed := apart.create(t, talk)
	a := apart.want(t, http.StatusCreated, http.MethodPost, historyURL+"/"+viewed.ID+"/links", "")
	if want := `"url":"https://viewer.example/cobrowse/history/` + viewed.ID + `?token=`; !strings.Contains(a.body, want) {
		t.Errorf("with an origin of the viewers' own the answer is %s, want %s", a.body, want)
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
