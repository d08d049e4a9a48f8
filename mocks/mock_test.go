package mocks_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/mocks"
)

const (
	create  = "POST /api/v2/cobrowse/sessions"
	oneTalk = "GET /api/v2/conversations/{conversationId}"
)

// caller is a plain client with a token.
type caller struct {
	t     *testing.T
	mock  *mocks.Mock
	token string
}

func newCaller(t *testing.T, m *mocks.Mock) caller {
	t.Helper()
	return caller{t, m, m.AccessToken()}
}

// answer is what came back, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error // of the request or of reading the body
}

// member returns a top-level string of the JSON body.
func (a answer) member(name string) string {
	var members map[string]any
	_ = json.Unmarshal(a.body, &members)
	text, _ := members[name].(string)
	return text
}

func (c caller) do(ctx context.Context, method, url, body string) answer {
	c.t.Helper()
	if strings.HasPrefix(url, "/") {
		url = c.mock.BaseURL + url
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.mock.HTTPClient().Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, data, err}
}

func (c caller) get(path string) answer {
	c.t.Helper()
	return c.do(c.t.Context(), http.MethodGet, path, "")
}

func (c caller) create() answer {
	c.t.Helper()
	return c.do(c.t.Context(), http.MethodPost, "/api/v2/cobrowse/sessions", createBody(c.mock))
}

func createBody(m *mocks.Mock) string {
	return `{"conversationId":"` + m.ConversationID + `","participants":[{"userId":"` + m.AgentUserID + `","role":"agent"},{"userId":"` + m.SupervisorUserID + `","role":"supervisor"}]}`
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scenario mocks.Scenario
		status   int
		code     string
		read     int // what reading the conversation gives
	}{
		{mocks.ActiveConversation, 201, "", 200},
		{mocks.NoConversation, 404, "conversation.error.conversation.not.found", 404},
		{mocks.ForeignConversation, 404, "conversation.error.conversation.not.found", 404},
		{mocks.EndedConversation, 404, "conversation.error.conversation.not.found", 200},
		{mocks.IncapableUser, 403, "missing.permissions", 200},
		{mocks.SessionThere, 409, "request.conflict", 200},
		{mocks.SessionActive, 409, "request.conflict", 200},
	} {
		t.Run(tt.scenario.String(), func(t *testing.T) {
			t.Parallel()
			m := mocks.New(t, mocks.Given(tt.scenario))
			c := newCaller(t, m)
			if got := c.get("/api/v2/conversations/" + m.ConversationID); got.status != tt.read {
				t.Errorf("the conversation = %d, want %d", got.status, tt.read)
			}
			got := c.create()
			if got.status != tt.status || got.member("code") != tt.code {
				t.Errorf("create = %d %s, want %d %s", got.status, got.body, tt.status, tt.code)
			}
			if tt.status == http.StatusConflict && (m.SessionID == "" || got.member("sessionId") != m.SessionID) {
				t.Errorf("the 409 names session %q, want %q", got.member("sessionId"), m.SessionID)
			}
			if (m.SessionID != "") != (tt.status == http.StatusConflict) {
				t.Errorf("SessionID = %q", m.SessionID)
			}
		})
	}
	if n := len(mocks.Scenarios()); n != 7 {
		t.Errorf("there are %d scenarios, want the 7 tested here", n)
	}
}

func TestSessionActive(t *testing.T) {
	t.Parallel()
	m := mocks.New(t, mocks.Given(mocks.SessionActive))
	got := newCaller(t, m).get("/api/v2/cobrowse/sessions/" + m.SessionID)
	if got.member("state") != "active" {
		t.Errorf("the session is %s, want active", got.body)
	}
	m.Disconnect(m.SessionID, "customer")
	m.Turn(2 * time.Minute)
	if got := m.Session(m.SessionID).EndReason; got != "connectionLost" {
		t.Errorf("two minutes after the customer's link broke the end reason is %q, want connectionLost", got)
	}
}

// What has to be seen after the clock was turned is there at once, by whatever way
// one looks.
func TestTurnSettles(t *testing.T) {
	t.Parallel()
	m := mocks.New(t)
	c := newCaller(t, m)
	id := c.create().member("sessionId")
	m.Turn(time.Hour)
	if got := c.get("/api/v2/cobrowse/sessions?state=ended"); !strings.Contains(string(got.body), id) {
		t.Errorf("ended sessions are %s, want %s among them", got.body, id)
	}
	if ended := m.Session(id); ended.EndReason != "neverJoined" || !ended.EndedAt.Equal(ended.CreatedAt.Add(20*time.Minute)) {
		t.Errorf("the session ended %s for %q, want 20 minutes after %s for neverJoined", ended.EndedAt, ended.EndReason, ended.CreatedAt)
	}
	m.Turn(23 * time.Hour)
	if got := c.get("/api/v2/cobrowse/sessions"); got.status != http.StatusUnauthorized || got.member("code") != "bad.credentials" {
		t.Errorf("with a token of yesterday = %d %s, want 401 bad.credentials", got.status, got.body)
	}
}

func attribute(c conversations.Conversation, name string) string {
	for _, p := range c.Participants {
		if value, ok := p.Attributes[name]; ok {
			return value
		}
	}
	return ""
}

// The service writes attributes a moment after its answer; a test must not have to wait.
func TestAttributesAreThereAtOnce(t *testing.T) {
	t.Parallel()
	m := mocks.New(t)
	c := newCaller(t, m)
	for range 20 {
		id := c.create().member("sessionId")
		if got := c.get("/api/v2/conversations/" + m.ConversationID); !strings.Contains(string(got.body), `"CoBrowseSessionId":"`+id+`"`) {
			t.Fatalf("the conversation is %s, want CoBrowseSessionId %s in it", got.body, id)
		}
		m.EndSession(id)
		if got := attribute(m.Conversation(m.ConversationID), "CoBrowseSessionId"); got != id {
			t.Fatalf("CoBrowseSessionId is %q, want %s", got, id)
		}
	}
}

func TestExpireTokens(t *testing.T) {
	t.Parallel()
	m := mocks.New(t)
	old := newCaller(t, m)
	m.ExpireTokens()
	if got := old.create(); got.status != http.StatusUnauthorized {
		t.Errorf("with an expired token = %d, want 401", got.status)
	}
	if got := newCaller(t, m).create(); got.status != http.StatusCreated {
		t.Errorf("with a new token = %d, want 201", got.status)
	}
	few := caller{t, m, m.AccessToken("cobrowse:session:read")}
	if got := few.create(); got.status != http.StatusForbidden {
		t.Errorf("without the scope = %d, want 403", got.status)
	}
}

func TestMocksAreStrangers(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			m := mocks.New(t)
			c := newCaller(t, m)
			if got := c.create(); got.status != http.StatusCreated {
				t.Errorf("create = %d %s, want 201", got.status, got.body)
			}
			if n := len(m.Sessions()); n != 1 {
				t.Errorf("the mock has %d sessions, want its own", n)
			}
			if n := len(m.Calls()); n != 1 {
				t.Errorf("the mock has %d calls, want its own", n)
			}
			m.Turn(time.Duration(i) * time.Hour)
		})
	}
}

func TestUnmatchedRequestsFailTheTest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, url string
		status            int      // 0 = an error
		want              []string // in the failure
	}{
		{"a misspelt path", "POST", "/api/v2/cobrowse/session", 404, []string{"POST /api/v2/cobrowse/session", "matches no route", "nearest route is POST /api/v2/cobrowse/sessions"}},
		{"another method", "PUT", "/api/v2/cobrowse/sessions", 405, []string{"PUT /api/v2/cobrowse/sessions", "for GET, HEAD, POST"}},
		{"a part left out", "POST", "/api/v2/cobrowse/sessions/4711/tokens", 404, []string{"nearest route is POST /api/v2/cobrowse/sessions/{sessionId}/participants/{participantId}/tokens"}},
		{"a wrong prefix", "GET", "/api/v1/users/me", 404, []string{"nearest route is GET /api/v2/users/me"}},
		{"a token in the query", "GET", "/cobrowse/joined?token=verysecret", 404, []string{"token=***", "nearest route is GET /cobrowse/join"}},
		{"another host", "GET", "https://api.mypurecloud.invalid/api/v2/users/me", 0, []string{"https://api.mypurecloud.invalid", mocks.DefaultBaseURL, "WithHosts"}},
		{"another scheme", "GET", "http://cobridge.mock.invalid/api/v2/users/me", 0, []string{"http://cobridge.mock.invalid"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			trial := newTrial()
			m := mocks.New(trial)
			got := caller{t, m, ""}.do(t.Context(), tt.method, tt.url, "")
			if got.status != tt.status || (got.err != nil) != (tt.status == 0) {
				t.Errorf("the answer is %d, %v, want %d", got.status, got.err, tt.status)
			}
			wantOne(t, trial.end(), tt.want...)
		})
	}
}

func TestAllowUnmatched(t *testing.T) {
	t.Parallel()
	m := mocks.New(t, mocks.AllowUnmatched())
	c := caller{t, m, ""}
	if got := c.get("/api/v2/cobrowse/session"); got.status != http.StatusNotFound || got.member("code") != "not.found" {
		t.Errorf("an unknown path = %d %s, want the service's 404", got.status, got.body)
	}
	if got := c.do(t.Context(), http.MethodPut, "/api/v2/cobrowse/sessions", ""); got.status != http.StatusMethodNotAllowed {
		t.Errorf("another method = %d, want the service's 405", got.status)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	m := mocks.New(t, mocks.WithBaseURL("https://api.Region.invalid/"), mocks.WithHosts("https://login.region.invalid"))
	if m.BaseURL != "https://api.region.invalid" {
		t.Errorf("BaseURL = %q", m.BaseURL)
	}
	c := newCaller(t, m)
	if got := c.get("https://login.region.invalid/version"); got.status != http.StatusOK {
		t.Errorf("on the other host = %d %v, want 200", got.status, got.err)
	}
	if got := c.create(); !strings.Contains(string(got.body), `"https://api.region.invalid/cobrowse/join?token=`) {
		t.Errorf("create = %s, want join URLs at the base address", got.body)
	}
}

func TestWhatNeedsAListener(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, method, path, upgrade string }{
		{"a stream", http.MethodGet, "/api/v2/cobrowse/sessions/1/stream", "websocket"},
		{"CometD", http.MethodPost, "/cobrowse/cometd", ""},
		{"CometD with a message type", http.MethodPost, "/cobrowse/cometd/connect", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			trial := newTrial()
			m := mocks.New(trial, mocks.WithLegacy())
			req, err := http.NewRequestWithContext(t.Context(), tt.method, m.BaseURL+tt.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if tt.upgrade != "" {
				req.Header.Set("Upgrade", tt.upgrade)
				req.Header.Set("Connection", "Upgrade")
			}
			if resp, err := m.HTTPClient().Do(req); err == nil {
				_ = resp.Body.Close()
				t.Errorf("the answer is %d, want an error", resp.StatusCode)
			}
			wantOne(t, trial.end(), tt.path, "needs a listener")
		})
	}
}

// Whatever the service routes, the mock knows by the same name.
func TestEveryRouteIsKnown(t *testing.T) {
	t.Parallel()
	m := mocks.New(t, mocks.WithLegacy())
	c := newCaller(t, m)
	parameter := regexp.MustCompile(`\{[^}]+\}`)
	for _, route := range m.Routes() {
		if strings.Contains(route, "/cometd") || strings.HasSuffix(route, "/stream") {
			continue
		}
		method, path, _ := strings.Cut(route, " ")
		m.ForgetCalls()
		got := c.do(t.Context(), method, parameter.ReplaceAllString(path, "a%2Fb"), "")
		if calls := m.CallsTo(route); len(calls) == 0 {
			t.Errorf("%s: the call is taken for %q", route, m.Calls()[0].Route)
		}
		if got.member("code") == "method.not.allowed" || got.err != nil {
			t.Errorf("%s = %d %s, %v", route, got.status, got.body, got.err)
		}
		if strings.HasPrefix(path, "/oauth/") || method == http.MethodDelete {
			c = newCaller(t, m) // the token may be gone
		}
	}
}

// Responders of other services stand beside the mock.
func TestOtherResponders(t *testing.T) {
	t.Parallel()
	m := mocks.New(t)
	m.Transport.RegisterResponder(http.MethodGet, "https://crm.invalid/customers/1", httpmock.NewStringResponder(http.StatusOK, "Kim"))
	if got := (caller{t, m, ""}).get("https://crm.invalid/customers/1"); string(got.body) != "Kim" {
		t.Errorf("the other service says %q, %v", got.body, got.err)
	}
}

func TestWithConfigAndLegacy(t *testing.T) {
	t.Parallel()
	m := mocks.New(t, mocks.WithLegacy(), mocks.WithConfig(func(c *config.Config) { c.Session.NeverJoined = 5 * time.Minute }))
	c := newCaller(t, m)
	if !slices.Contains(m.Routes(), "GET /gks-server/v1/sessions/{sessionId}") {
		t.Errorf("there is no Knowledge Center among %q", m.Routes())
	}
	id := c.create().member("sessionId")
	m.Turn(5 * time.Minute)
	if got := c.get("/cobrowse/rest/history/sessions/" + id); got.status != http.StatusOK {
		t.Errorf("legacy history = %d %s, want the session that ended after five minutes", got.status, got.body)
	}
	trial := newTrial()
	trial.attempt(func() { mocks.New(trial, mocks.WithConfig(func(c *config.Config) { c.Session.Grace = -1 })) })
	wantOne(t, trial.end(), "configuration", "session.grace")
}

func TestAfterTheTest(t *testing.T) {
	t.Parallel()
	trial := newTrial()
	m := mocks.New(trial)
	if failures := trial.end(); len(failures) > 0 {
		t.Fatalf("an idle mock fails the test: %q", failures)
	}
	if got := (caller{t, m, ""}).get("/version"); got.err == nil {
		t.Errorf("a request after the test = %d, want an error", got.status)
	}
	if failures := trial.so(); len(failures) > 0 {
		t.Errorf("a request after the test is told to the test: %q", failures)
	}
}

// A request that is under way when the test ends is let go.
func TestEndLetsGo(t *testing.T) {
	t.Parallel()
	trial := newTrial()
	m := mocks.New(trial)
	m.Fail("GET /version", mocks.Delay(24*time.Hour))
	answered := make(chan answer, 1)
	go func() { answered <- caller{t, m, ""}.get("/version") }()
	for len(m.Calls()) == 0 {
		runtime.Gosched()
	}
	if failures := trial.end(); len(failures) > 0 {
		t.Errorf("the end of the test failed: %q", failures)
	}
	if got := <-answered; got.status != http.StatusOK && got.err == nil {
		t.Errorf("the answer is %d, want 200 or an error", got.status)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(*trial)
		want []string
	}{
		{"a route that is not there", func(t *trial) { mocks.New(t).Fail("POST /api/v2/cobrowse/session", mocks.TimedOut()) }, []string{`no route "POST /api/v2/cobrowse/session"`, "POST /api/v2/cobrowse/sessions"}},
		{"calls to such a one", func(t *trial) { mocks.New(t).CallsTo("/version") }, []string{"no route"}},
		{"no fault", func(t *trial) { mocks.New(t).Fail(create, mocks.Fault{}) }, []string{"zero Fault"}},
		{"back in time", func(t *trial) { mocks.New(t).Turn(-time.Second) }, []string{"does not go back"}},
		{"an unknown session", func(t *trial) { mocks.New(t).Session("x") }, []string{"session x"}},
		{"an unknown conversation", func(t *trial) { mocks.New(t).Conversation("x") }, []string{"conversation x"}},
		{"an unknown participant", func(t *trial) {
			m := mocks.New(t, mocks.Given(mocks.SessionThere))
			m.Join(m.SessionID, "boss")
		}, []string{`no participant "boss"`}},
		{"a base URL with a path", func(t *trial) { mocks.New(t, mocks.WithBaseURL("https://host.invalid/api")) }, []string{"scheme://host"}},
		{"a session where there is one", func(t *trial) {
			m := mocks.New(t, mocks.Given(mocks.SessionThere))
			m.StartSession(m.ConversationID)
		}, []string{"start a session"}},
		{"an unknown scenario", func(t *trial) { mocks.New(t, mocks.Given(99)) }, []string{"Scenario(99)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			trial := newTrial()
			trial.attempt(func() { tt.do(trial) })
			wantOne(t, trial.end(), tt.want...)
		})
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	m := mocks.New(t)
	c := newCaller(t, m)
	c.create()
	c.get("/cobrowse/join?token=verysecret")
	calls := m.CallsTo(create)
	if len(calls) != 1 || calls[0].Status != http.StatusCreated || calls[0].Method != http.MethodPost || string(calls[0].Body) != createBody(m) {
		t.Fatalf("calls to create are %v, want one with the body that was sent", calls)
	}
	var sent struct{ ConversationID string }
	if err := calls[0].Decode(&sent); err != nil || sent.ConversationID != m.ConversationID {
		t.Errorf("Decode = %v, %+v, want conversation %s", err, sent, m.ConversationID)
	}
	all := m.Calls()
	if len(all) != 2 {
		t.Fatalf("calls are %v, want two", all)
	}
	if got, want := all[1].String(), "GET /cobrowse/join?token=***: "; !strings.HasPrefix(got, want) || strings.Contains(got, "verysecret") {
		t.Errorf("String = %q, want %q at its beginning and no token", got, want)
	}
	if got := all[0].Header.Get("Authorization"); got != "Bearer ***" {
		t.Errorf("the recorded header is %q, want no token in it", got)
	}
	m.ForgetCalls()
	if left := m.Calls(); len(left) > 0 {
		t.Errorf("after ForgetCalls there are %v", left)
	}
	err := mocks.Call{Method: http.MethodPost, Path: "/x", Body: []byte("{")}.Decode(&sent)
	if _, ok := errors.AsType[*json.SyntaxError](err); !ok {
		t.Errorf("Decode of half an object = %v, want a syntax error", err)
	}
}
