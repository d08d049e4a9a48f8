package mocks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/docs/openapitest"
	"github.com/cobridge/cobridge/mocks"
)

// remote is a Server that listens, as a test in another language sees it.
type remote struct {
	t       *testing.T
	server  *mocks.Server
	base    string
	http    *http.Client
	checker *openapitest.Checker // of the admin API; nil = not looked at
	token   string
	stop    func() error // may be called more than once
}

// listen starts a Server on a free port and stops it when the test ends.
func listen(t *testing.T, o mocks.ServerOptions) *remote {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.BaseURL = "http://" + ln.Addr().String()
	if o.Time.IsZero() {
		o.Time = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	}
	server, err := mocks.NewServer(t.Context(), o)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln) }()
	transport := &http.Transport{DisableCompression: true}
	stop := sync.OnceValue(func() error {
		transport.CloseIdleConnections()
		cancel()
		return errors.Join(<-ended, server.Close())
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop = %v", err)
		}
	})
	r := &remote{t: t, stop: stop, server: server, base: o.BaseURL, checker: openapitest.NewCheckerOf(t, mocks.AdminOpenAPI)}
	r.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return r
}

// send sends a request to the service or to the admin API.
func (r *remote) send(method, path, body string, header ...string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if admin, ok := strings.CutPrefix(path, mocks.AdminPath); ok && err == nil && resp.StatusCode != http.StatusForbidden {
		checked := req.Clone(req.Context())
		checked.URL, err = url.Parse(r.base + admin)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := r.checker.Check(checked, []byte(body), resp, data); err != nil && !strings.Contains(path, "/nothing") {
			r.t.Errorf("the admin API's description: %v", err)
		}
	}
	return answer{resp.StatusCode, resp.Header, data, err}
}

// admin calls the admin API, wants a status and decodes the answer.
func (r *remote) admin(method, path, body string, want int, out any) {
	r.t.Helper()
	got := r.send(method, mocks.AdminPath+path, body)
	if got.err != nil || got.status != want {
		r.t.Fatalf("%s %s %s = %d %s (%v), want %d", method, path, body, got.status, got.body, got.err, want)
	}
	if out != nil {
		if err := json.Unmarshal(got.body, out); err != nil {
			r.t.Fatalf("%s %s: %v in %s", method, path, err, got.body)
		}
	}
}

// authorize gets an access token as every client does.
func (r *remote) authorize() {
	r.t.Helper()
	info := r.server.Info()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {info.ClientID}, "client_secret": {info.ClientSecret}}
	r.token = ""
	got := r.send(http.MethodPost, "/oauth/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	if r.token = got.member("access_token"); got.status != http.StatusOK || r.token == "" {
		r.t.Fatalf("token = %d %s (%v)", got.status, got.body, got.err)
	}
}

func (r *remote) create() answer {
	r.t.Helper()
	info := r.server.Info()
	return r.send(http.MethodPost, "/api/v2/cobrowse/sessions", `{"conversationId":"`+info.ConversationID+`","participants":[{"userId":"`+info.AgentUserID+`","role":"agent"},{"userId":"`+info.SupervisorUserID+`","role":"supervisor"}]}`)
}

// look is what tests read of sessions.
type look struct {
	SessionID, ConversationID, State, EndReason, SessionToken string
	Participants                                              []struct {
		Role, State string
		Connected   bool
	}
	Events []struct{ Type string }
}

func (l look) events() string {
	types := make([]string, len(l.Events))
	for i, e := range l.Events {
		types[i] = e.Type
	}
	return strings.Join(types, " ")
}

// Everything that the admin API has, and each answer as its description says.
func TestAdmin(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{Seed: 7})
	r.authorize()
	created := r.create()
	if created.status != http.StatusCreated {
		t.Fatalf("create = %d %s", created.status, created.body)
	}
	id := created.member("sessionId")

	var session look
	for _, who := range []string{"agent", "supervisor"} {
		r.admin(http.MethodPost, "/sessions/"+id+"/participants/"+who+"/join", "", http.StatusOK, &session)
	}
	if want := "session.created participant.joined participant.connected participant.joined participant.connected session.activated"; session.State != "active" || session.events() != want {
		t.Errorf("with both there the session is %s after %q, want active after %q", session.State, session.events(), want)
	}
	r.admin(http.MethodPost, "/sessions/"+id+"/participants/supervisor/disconnect", "", http.StatusOK, &session)
	r.admin(http.MethodPost, "/sessions/"+id+"/participants/nobody/join", "", http.StatusNotFound, nil)
	r.admin(http.MethodPost, "/sessions/"+id+"/participants/agent/dance", "", http.StatusNotFound, nil)
	r.admin(http.MethodPost, "/sessions/"+id+"/participants/agent/leave", "", http.StatusOK, &session)
	if session.State != "ended" || session.EndReason != "participantLeft" {
		t.Errorf("when the agent has left the session is %s for %q", session.State, session.EndReason)
	}

	var other look
	r.admin(http.MethodPost, "/sessions", "", http.StatusCreated, &other)
	r.admin(http.MethodPost, "/sessions", "", http.StatusConflict, nil)
	r.admin(http.MethodDelete, "/sessions/"+other.SessionID, "", http.StatusOK, &other)
	if other.EndReason != "ended" {
		t.Errorf("the end reason is %q, want ended", other.EndReason)
	}
	r.admin(http.MethodGet, "/sessions/"+id, "", http.StatusOK, nil)
	r.admin(http.MethodGet, "/sessions/00000000-dead-4bad-8000-000000000001", "", http.StatusNotFound, nil)
	var all struct{ Sessions []look }
	if r.admin(http.MethodGet, "/sessions", "", http.StatusOK, &all); len(all.Sessions) != 2 {
		t.Errorf("%d sessions, want 2", len(all.Sessions))
	}

	var talk struct {
		ConversationID, State string
		Participants          []struct{ Attributes map[string]string }
	}
	r.admin(http.MethodPost, "/conversations", `{"mediaType":"call"}`, http.StatusCreated, &talk)
	if got := r.send(http.MethodPost, mocks.AdminPath+"/conversations", `{"mediaType":"telex"}`); got.status != http.StatusBadRequest || !bytes.Contains(got.body, []byte("mediaType")) {
		t.Errorf("a conversation by telex = %d %s, want 400 and the field's name", got.status, got.body)
	}
	r.admin(http.MethodPost, "/sessions", `{"conversationId":"`+talk.ConversationID+`"}`, http.StatusCreated, &session)
	r.admin(http.MethodGet, "/conversations/"+talk.ConversationID, "", http.StatusOK, &talk)
	if got := talk.Participants[0].Attributes["CoBrowseSessionId"]; got != session.SessionID {
		t.Errorf("the conversation has session %q, want %s", got, session.SessionID)
	}
	r.admin(http.MethodDelete, "/conversations/"+talk.ConversationID, "", http.StatusOK, &talk)
	r.admin(http.MethodGet, "/sessions/"+session.SessionID, "", http.StatusOK, &session)
	if talk.State != "ended" || session.EndReason != "conversationEnded" {
		t.Errorf("conversation %s, session ended for %q, want both ended by the first", talk.State, session.EndReason)
	}
	r.admin(http.MethodGet, "/conversations/none", "", http.StatusNotFound, nil)
	r.admin(http.MethodDelete, "/conversations/none", "", http.StatusNotFound, nil)
	r.admin(http.MethodDelete, "/sessions/none", "", http.StatusNotFound, nil)

	var token struct{ AccessToken string }
	r.admin(http.MethodPost, "/tokens", `{"scopes":["user:read"]}`, http.StatusCreated, &token)
	r.admin(http.MethodPost, "/tokens", `{"scopes":["world:rule"]}`, http.StatusBadRequest, nil)
	r.token = token.AccessToken
	if got := r.create(); got.status != http.StatusForbidden {
		t.Errorf("create with a token for users = %d, want 403", got.status)
	}
	r.admin(http.MethodDelete, "/tokens", "", http.StatusNoContent, nil)
	if got := r.create(); got.status != http.StatusUnauthorized {
		t.Errorf("create with an expired token = %d, want 401", got.status)
	}

	for path, body := range map[string]string{
		"/clock":  `{"advanceSeconds":-1}`,
		"/reset":  `{"scenario":"chaos"}`,
		"/faults": `{"route":"GET /nothing","fault":"500"}`,
	} {
		r.admin(http.MethodPost, path, body, http.StatusBadRequest, nil)
		r.admin(http.MethodPost, path, `{"surprise":1}`, http.StatusBadRequest, nil)
		r.admin(http.MethodPost, path, `{`, http.StatusBadRequest, nil)
	}
	r.admin(http.MethodGet, "/calls?route=GET+/nothing", "", http.StatusBadRequest, nil)
	r.admin(http.MethodGet, "/calls?unmatched=maybe", "", http.StatusBadRequest, nil)
	r.admin(http.MethodDelete, "/faults?route=GET+/nothing", "", http.StatusBadRequest, nil)
	r.admin(http.MethodGet, "/nothing", "", http.StatusNotFound, nil)
	r.admin(http.MethodGet, "/join/boss", "", http.StatusNotFound, nil)
	for _, path := range []string{"/info", "/openapi.yaml", "/clock", "/faults", "/calls"} {
		r.admin(http.MethodGet, path, "", http.StatusOK, nil2(path))
	}
	r.admin(http.MethodPost, "/faults", `{"route":"*","fault":"500"}`, http.StatusCreated, nil)
	r.admin(http.MethodDelete, "/faults?route=*", "", http.StatusNoContent, nil)
	r.admin(http.MethodDelete, "/calls", "", http.StatusNoContent, nil)
	r.admin(http.MethodPost, "/clock", `{"advanceSeconds":60}`, http.StatusOK, nil)
	r.admin(http.MethodPost, "/reset", "", http.StatusOK, nil)
	r.admin(http.MethodGet, "/join/agent", "", http.StatusSeeOther, nil)
	if missing := r.checker.Missing(); len(missing) > 0 {
		t.Errorf("of the admin API's description this was never seen: %v", missing)
	}
}

// nil2 is where the body of path goes: nowhere, if it is no JSON.
func nil2(path string) any {
	if path == "/openapi.yaml" {
		return nil
	}
	return &map[string]any{}
}

// A reset begins anew: with the situation of the start, or another one.
func TestReset(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{})
	for _, scenario := range mocks.Scenarios() {
		body := `{"scenario":"` + strings.ReplaceAll(scenario.String(), " ", "-") + `"}`
		var info struct{ Scenario, SessionID string }
		r.admin(http.MethodPost, "/reset", body, http.StatusOK, &info)
		r.authorize()
		want := map[mocks.Scenario]int{
			mocks.ActiveConversation: 201, mocks.NoConversation: 404, mocks.ForeignConversation: 404, mocks.EndedConversation: 404,
			mocks.IncapableUser: 403, mocks.SessionThere: 409, mocks.SessionActive: 409,
		}[scenario]
		if got := r.create(); got.status != want || info.SessionID != "" && got.member("sessionId") != info.SessionID {
			t.Errorf("%s: create = %d %s, want %d and session %q", scenario, got.status, got.body, want, info.SessionID)
		}
	}
	old := r.token
	r.admin(http.MethodPost, "/faults", `{"route":"*","fault":"500"}`, http.StatusCreated, nil)
	r.admin(http.MethodPost, "/reset", `{"time":"2030-01-01T00:00:00Z"}`, http.StatusOK, nil)
	if got := r.send(http.MethodGet, "/version", "").status; got != http.StatusOK {
		t.Errorf("after a reset = %d, want no fault any more", got)
	}
	if r.token = old; r.create().status != http.StatusUnauthorized {
		t.Error("a token of before the reset is still good")
	}
	var clock struct{ Now time.Time }
	if r.admin(http.MethodGet, "/clock", "", http.StatusOK, &clock); clock.Now.Year() != 2030 {
		t.Errorf("the clock is at %s, want 2030", clock.Now)
	}
	for _, year := range []string{"0001", "1969", "3000", "9999"} { // the double goes on as it is
		r.admin(http.MethodPost, "/reset", `{"time":"`+year+`-06-01T00:00:00Z"}`, http.StatusBadRequest, nil)
	}
	if r.admin(http.MethodGet, "/clock", "", http.StatusOK, &clock); clock.Now.Year() != 2030 {
		t.Errorf("after resets that were refused the clock is at %s, want 2030", clock.Now)
	}
	r.admin(http.MethodPost, "/reset", "", http.StatusOK, nil)
	if r.admin(http.MethodGet, "/clock", "", http.StatusOK, &clock); clock.Now.Year() != 2026 {
		t.Errorf("the clock is at %s, want that of the start", clock.Now)
	}
	var calls struct{ Calls []any }
	if r.admin(http.MethodGet, "/calls", "", http.StatusOK, &calls); len(calls.Calls) > 0 {
		t.Errorf("after a reset there are calls: %v", calls.Calls)
	}
}

// The same calls give the same answers, byte by byte but for signatures, in every run
// with the same seed, and other ids with another.
func TestSeeded(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		r := listen(t, mocks.ServerOptions{Seed: seed, Legacy: true})
		r.base = r.server.Info().BaseURL
		r.authorize()
		var all bytes.Buffer
		note := func(a answer) answer {
			text := strings.ReplaceAll(string(a.body), strings.TrimPrefix(r.base, "http://"), "BASE")
			text = joinToken.ReplaceAllString(text, "TOKEN")
			all.WriteString(a.header.Get("ININ-Correlation-Id") + " " + text + "\n")
			return a
		}
		id := note(r.create()).member("sessionId")
		note(r.create()) // 409
		note(r.send(http.MethodPost, "/api/v2/conversations", `{"mediaType":"chat","participants":[{"purpose":"customer","name":"Kim"},{"purpose":"agent","userId":"`+r.server.Info().AgentUserID+`"}]}`))
		note(r.send(http.MethodPost, "/api/v2/notifications/channels", ""))
		secret := r.send(http.MethodPost, "/api/v2/cobrowse/webhooks", `{"url":"https://hooks.invalid/"}`)
		all.WriteString(secret.member("id") + "\n")
		note(r.send(http.MethodPost, "/api/v2/cobrowse/deployments", `{"name":"Shop 2","allowedOrigins":["https://two.invalid"]}`))
		note(r.send(http.MethodPost, "/gks-server/v1/sessions/new", "", "gkc_tenantId", "1"))
		note(r.send(http.MethodDelete, "/api/v2/cobrowse/sessions/"+id, ""))
		note(r.send(http.MethodGet, "/api/v2/cobrowse/history/"+id, "")) // has the nine digits
		note(r.send(http.MethodGet, "/api/v2/conversations", ""))
		return all.String()
	}
	first := run(1)
	if again := run(1); again != first {
		t.Errorf("a second run with the same seed differs (-first +second):\n%s", cmp.Diff(strings.Split(first, "\n"), strings.Split(again, "\n")))
	}
	if other := run(2); other == first {
		t.Error("another seed gives the same ids")
	}
}

// Whoever calls during a reset is answered by the service of before or after, or told
// that there is none just now.
func TestResetUnderLoad(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{})
	calling, done := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for calling.Err() == nil {
				for _, path := range []string{"/version", mocks.AdminPath + "/sessions"} {
					got := r.send(http.MethodGet, path, "") //nolint:contextcheck // the test has it
					if got.err != nil || got.status != http.StatusOK && got.status != http.StatusServiceUnavailable {
						t.Errorf("GET %s during a reset = %d %s (%v), want 200 or 503", path, got.status, got.body, got.err)
						return
					}
				}
			}
		})
	}
	var resets sync.WaitGroup
	for range 2 {
		resets.Go(func() {
			for range 3 {
				if got := r.send(http.MethodPost, mocks.AdminPath+"/reset", ""); got.status != http.StatusOK {
					t.Errorf("reset = %d %s (%v)", got.status, got.body, got.err)
				}
			}
		})
	}
	resets.Wait()
	done()
	callers.Wait()
}
