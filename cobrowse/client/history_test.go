package client_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jarcoal/httpmock"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks"
)

const routeHistory = "GET /api/v2/cobrowse/history"

// ended lets n sessions begin and end, and returns their ids, latest end first.
func ended(m *mocks.Mock, n int) []string {
	var ids []string
	for range n {
		id := m.StartSession(m.ConversationID)
		m.Turn(1e9)
		m.EndSession(id)
		ids = append(ids, id)
	}
	slices.Reverse(ids)
	return ids
}

// Records come over all pages, whatever happens on the way and passes.
func TestHistoryOverPages(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil)
	want := ended(m, 5)
	m.Fail(routeHistory, mocks.CutBody().After(1))
	m.Fail(routeHistory, mocks.MalformedJSON())
	m.Fail(routeHistory, mocks.GatewayError(http.StatusBadGateway).After(1))
	var got []string
	for record, err := range c.History(t.Context(), client.HistoryQuery{ConversationID: m.ConversationID, PageSize: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, record.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("records %q, want %q", got, want)
	}
	if n := len(m.CallsTo(routeHistory)); n != 3+3 {
		t.Errorf("%d requests, want three pages and three failures", n)
	}
}

// A failure in the middle comes after what was read, once.
func TestHistoryFailsInTheMiddle(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil)
	want := ended(m, 5)[:2]
	m.Fail(routeHistory, mocks.InternalError().After(1))
	var got []string
	var failures []error
	for record, err := range c.History(t.Context(), client.HistoryQuery{PageSize: 2}) {
		if err != nil {
			failures = append(failures, err)
			continue
		}
		got = append(got, record.ID)
	}
	if !slices.Equal(got, want) || len(failures) != 1 || client.StatusOf(failures[0]) != http.StatusInternalServerError {
		t.Errorf("records %q and failures %v, want %q and the 500", got, failures, want)
	}
}

// Pages that lead in a circle, or on and on to nothing, are not followed for ever.
func TestHistoryLeadsNowhere(t *testing.T) {
	t.Parallel()
	numbered := func(record string, cursor func(n int) int) httpmock.Responder {
		n := 0
		return func(r *http.Request) (*http.Response, error) {
			n++
			return jsonAnswer(200, fmt.Sprintf(`{"entities":[%s],"nextUri":"/api/v2/cobrowse/history?after=%d"}`, record, cursor(n)))(r)
		}
	}
	for _, tt := range []struct {
		name     string
		answer   httpmock.Responder
		requests int
	}{
		{"a circle of three", numbered(`{"id":"s1"}`, func(n int) int { return n % 3 }), 4},
		{"new cursors and no records", numbered("", func(n int) int { return n }), 101},
		{"no cursor", jsonAnswer(200, `{"entities":[],"nextUri":"/api/v2/cobrowse/history"}`), 1},
		{"no address", jsonAnswer(200, `{"entities":[],"nextUri":"%zz`+strings.Repeat("x", 1000)+`"}`), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, c := newService(t)
			s.withTokens().on("GET", "/api/v2/cobrowse/history", tt.answer)
			var last error
			for _, err := range c.History(t.Context(), client.HistoryQuery{}) {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), "does not go on") || len(last.Error()) > 400 {
				t.Errorf("the last thing is %.500v, want a short failure", last)
			}
			if n := len(s.seen) - 1; n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
		})
	}
}

// A service that does not turn the page is found out.
func TestPagesLeadNowhere(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"always the first": `{"entities":[{"id":"s1"}],"pageNumber":1,"nextUri":"/x"}`,
		"more than all":    `{"entities":[{"id":"s1"}],"pageCount":1,"nextUri":"/x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newService(t)
			s.withTokens().on("GET", "/api/v2/cobrowse/sessions", jsonAnswer(200, answer))
			var last error
			n := 0
			for _, err := range c.AllSessions(t.Context(), client.SessionQuery{}) {
				last = err
				n++
			}
			if last == nil || n != 2 {
				t.Errorf("%d things, the last one %v; want one session and a failure", n, last)
			}
		})
	}
}

// What an error says is short, whatever the answer was.
func TestErrorsAreShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	details := strings.TrimSuffix(strings.Repeat(`{"errorCode":"`+long+`","fieldName":"`+long+`"},`, 50), ",")
	s, c := newService(t)
	s.withTokens().on("GET", "/api/v2/users/u1", jsonAnswer(400, `{"message":"`+long+`","code":"`+long+`","contextId":"`+long+`","details":[`+details+`]}`))
	if _, err := c.User(t.Context(), "u1"); err == nil || len(err.Error()) > 10_000 {
		t.Errorf("an error of %d bytes, want fewer than 10000", len(err.Error()))
	}
	s.on("GET", "/api/v2/users/u2", jsonAnswer(302, "", "Location", "https://elsewhere.example/?secret"))
	if _, err := c.User(t.Context(), "u2"); err == nil || !strings.Contains(err.Error(), "base URL") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a redirect gives %v, want a hint at the base URL", err)
	}
	s.on("GET", "/api/v2/users/u3", jsonAnswer(200, "<html>secret</html>", "Content-Type", "text/html; charset=utf-8"))
	if _, err := c.User(t.Context(), "u3"); err == nil || !strings.Contains(err.Error(), "base URL") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a page gives %v, want a hint at the base URL", err)
	}
}
