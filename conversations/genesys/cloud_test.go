package genesys_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/conversations/genesys"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

const (
	org      conversations.OrgID         = "0a1b2c3d-0000-4000-8000-000000000001"
	other    conversations.OrgID         = "0a1b2c3d-0000-4000-8000-000000000002"
	talk     conversations.ID            = "0a1b2c3d-0000-4000-8000-0000000000c1"
	talk2    conversations.ID            = "0a1b2c3d-0000-4000-8000-0000000000c2"
	customer conversations.ParticipantID = "0a1b2c3d-0000-4000-8000-0000000000d1"
	ann      conversations.UserID        = "0a1b2c3d-0000-4000-8000-0000000000a1"

	clientID = "client-of-the-bridge"
	secret   = "a-secret-that-must-not-be-logged"
)

var t0 = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)

// cloud is a Genesys Cloud service on a loopback listener: it gives out access tokens,
// refuses calls without a good one, and hands all others on.
type cloud struct {
	t     *testing.T
	url   string
	clock *testenv.Clock
	log   *testenv.Buffer

	mux     *http.ServeMux // of /api/v2, behind the check of the token
	sockets http.Handler   // of /channels
	calls   atomic.Int32   // of /api/v2
	tokens  atomic.Int32   // token requests

	mu       sync.Mutex
	lifetime time.Duration
	good     map[string]time.Time // access tokens and their ends
	token    http.HandlerFunc     // in place of the usual token endpoint; nil = that
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{
		t: t, clock: testenv.NewClock(t0), log: &testenv.Buffer{}, mux: http.NewServeMux(), lifetime: time.Hour, good: map[string]time.Time{},
	}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// directory returns a directory on the cloud, whose log and failures are searched for
// secrets at the end.
func (c *cloud) directory(change ...func(*genesys.Config)) *genesys.Directory {
	c.t.Helper()
	cfg := genesys.Config{
		BaseURL: c.url, ClientID: clientID, ClientSecret: secret, Organisation: org, Wait: time.Microsecond, Failures: 1000, Timeout: 20 * time.Second,
		Clock: c.clock.Now, Log: slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, fn := range change {
		fn(&cfg)
	}
	d, err := genesys.New(cfg)
	if err != nil {
		c.t.Fatalf("New: %v", err)
	}
	c.t.Cleanup(func() {
		d.Close()
		if text := c.log.String(); strings.Contains(text, secret) || strings.Contains(text, "access-") {
			c.t.Errorf("the log has a secret in it:\n%s", text)
		}
	})
	return d
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/oauth/token" {
		c.tokens.Add(1)
		c.mu.Lock()
		instead := c.token
		c.mu.Unlock()
		if instead != nil {
			instead(w, r)
			return
		}
		c.giveToken(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/channels/") {
		c.sockets.ServeHTTP(w, r)
		return
	}
	c.calls.Add(1)
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.mu.Lock()
	end, ok := c.good[token]
	c.mu.Unlock()
	if !ok || !c.clock.Now().Before(end) {
		refuse(w, http.StatusUnauthorized, "bad.credentials", "Invalid login credentials.")
		return
	}
	if _, pattern := c.mux.Handler(r); pattern == "" {
		refuse(w, http.StatusNotFound, "not.found", "Nothing is at this address.")
		return
	}
	c.mux.ServeHTTP(w, r)
}

func (c *cloud) giveToken(w http.ResponseWriter, r *http.Request) {
	id, key, _ := r.BasicAuth()
	if id != clientID || key != secret || r.PostFormValue("grant_type") != "client_credentials" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest) // as the real service has been reported to
		_, _ = io.WriteString(w, `{"error":"invalid_client","description":"authentication failed","error_description":"authentication failed"}`)
		return
	}
	c.mu.Lock()
	token := fmt.Sprintf("access-%d", c.tokens.Load())
	c.good[token] = c.clock.Now().Add(c.lifetime)
	lifetime := c.lifetime
	c.mu.Unlock()
	answer(w, map[string]any{"access_token": token, "token_type": "bearer", "expires_in": int(lifetime.Seconds())})
}

// revoke makes all access tokens useless.
func (c *cloud) revoke() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.good)
}

// tokenBy replaces the token endpoint; nil brings the usual one back.
func (c *cloud) tokenBy(fn http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = fn
}

// lives sets how long further tokens do.
func (c *cloud) lives(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lifetime = d
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// refuse answers with the service's envelope.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ININ-Correlation-Id", "3d1e8f3c-54a7-4c0e-8c55-07d7a0f3b0de")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"message": message, "code": code, "status": status, "contextId": "3d1e8f3c-54a7-4c0e-8c55-07d7a0f3b0de", "details": []any{}, "errors": []any{},
	})
}

func refusing(status int, code, message string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		refuse(w, status, code, message)
	}
}

// conversation is one in the official shape, in which a customer and Ann write messages.
func conversation(id conversations.ID, state string) string {
	return `{"id":"` + string(id) + `","startTime":"2026-03-04T05:00:00.000Z","participants":[
 {"id":"` + string(customer) + `","purpose":"customer","name":"Kim","attributes":{"a":"1"},"messages":[{"id":"m1","state":"` + state + `","type":"webmessaging","direction":"inbound"}]},
 {"id":"0a1b2c3d-0000-4000-8000-0000000000d2","purpose":"agent","userId":"` + string(ann) + `","messages":[{"id":"m2","state":"` + state + `"}],"cobrowsesessions":[]}],
 "selfUri":"/api/v2/conversations/` + string(id) + `"}`
}

func user(id conversations.UserID, permissions ...string) string {
	list, _ := json.Marshal(permissions)
	return `{"id":"` + string(id) + `","name":"Ann","email":"ann@example.org","state":"active","version":7,"authorization":{"roles":[],"permissions":` + string(list) + `}}`
}

// wantFailure checks a failure, and that it says nothing it should not.
func wantFailure(t *testing.T, err error, want genesys.Reason) {
	t.Helper()
	if got := genesys.ReasonOf(err); got != want || cobridge.CodeOf(err) != cobridge.CodeUnavailable {
		t.Errorf("failure = %v, want %s and code %s", err, want, cobridge.CodeUnavailable)
	}
	for _, hidden := range []string{secret, "access-", "/api/v2", "private"} {
		if err != nil && strings.Contains(err.Error(), hidden) {
			t.Errorf("failure %q has %q in it", err, hidden)
		}
	}
}
