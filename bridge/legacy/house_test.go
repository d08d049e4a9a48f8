package legacy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
)

var t0 = time.Date(2026, time.March, 4, 5, 6, 7, 89_000_000, time.UTC)

const (
	orgID  = "0a1b2c3d-0000-4000-8000-000000000001"
	talkID = "0a1b2c3d-0000-4000-8000-00000000c001"

	clientID = "desk"
	// It reads differently once form-decoded.
	clientSecret = "a-secret-of-the-desk-client+with%41-escapes"
	otherSecret  = "a-secret-of-a-client-of-another-organisation"

	base = "/gks-server/v1"
	page = "https://bank.example" // of the allow-list
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

// house is the whole service over a real store, with Knowledge Center sessions
// switched on, under a clock that the test moves.
type house struct {
	t      testing.TB
	app    *bridge.App
	clock  *testenv.Clock
	client *http.Client
	token  string // of the organisation
	log    *bytes.Buffer
}

func newHouse(t testing.TB, change ...func(*config.Config)) *house {
	t.Helper()
	cfg := config.Default()
	cfg.BaseURL = "http://cobridge.example"
	cfg.Store = "bolt:" + filepath.Join(t.TempDir(), "store.db")
	cfg.Limits.TokenPerMinute, cfg.Limits.AddressPerMinute = 0, 0
	cfg.Legacy.Organisation = orgID
	cfg.Legacy.Knowledge.Enabled = true
	cfg.Organisations = []config.Organisation{
		{
			ID: orgID, Name: "Bank",
			Clients: []config.Client{
				{ID: clientID, Name: "Desk", Scopes: []string{"conversations"}, Secret: clientSecret},
				{ID: "reader", Name: "Reader", Scopes: []string{"user:read", "conversations:readonly"}, Secret: clientSecret},
			},
			Conversations: []config.Conversation{{ID: talkID, MediaType: "chat", Participants: []config.Participant{{Purpose: "customer", Name: "Kim Customer"}}}},
		},
		{
			ID: "0a1b2c3d-0000-4000-8000-000000000002", Name: "Other",
			Clients: []config.Client{{ID: "other", Name: "Other", Scopes: []string{"conversations"}, Secret: otherSecret}},
		},
	}
	for _, fn := range change {
		fn(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatalf("configuration: %v", err)
	}
	h := &house{t: t, clock: testenv.NewClock(t0), log: &bytes.Buffer{}}
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Clock: h.clock.Now})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	h.app, h.client = app, &http.Client{Transport: app.Transport()}
	h.token = h.newToken(clientID, clientSecret)
	return h
}

func profile(p string) func(*config.Config) {
	return func(c *config.Config) { c.Legacy.Knowledge.Profile = p }
}

func (h *house) newToken(id, secret string) string {
	h.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	a := h.call(request{method: http.MethodPost, path: "/oauth/token", body: form.Encode(), head: []string{"Content-Type: application/x-www-form-urlencoded", "Authorization:"}})
	token, _ := a.body["access_token"].(string)
	if token == "" {
		h.t.Fatalf("token = %d %s", a.status, a.text)
	}
	return token
}

// request is a call. Its Authorization is the house's token unless head has another
// one; a header without a value is left out. There is no other header by itself.
type request struct {
	method, path, body string
	head               []string // "Name: value"
}

type answer struct {
	status int
	head   http.Header
	text   string
	body   map[string]any // nil unless it is an object
}

// session is what both places of an answer may hold.
func (a answer) session() map[string]any {
	s, _ := a.body["response"].(map[string]any)
	return s
}

func (a answer) id() string {
	id, _ := a.session()["sessionId"].(string)
	return id
}

func (h *house) call(r request) answer {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), r.method, "http://cobridge.example"+r.path, strings.NewReader(r.body))
	if err != nil {
		h.t.Fatalf("request: %v", err)
	}
	if h.token != "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	for _, line := range r.head {
		name, value, _ := strings.Cut(line, ":")
		if name == "Authorization" {
			req.Header.Del(name)
		}
		if value = strings.TrimSpace(value); value != "" {
			req.Header[name] = append(req.Header[name], value) // as it is written here
		}
	}
	resp, err := h.client.Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatalf("%s %s: read: %v", r.method, r.path, err)
	}
	a := answer{status: resp.StatusCode, head: resp.Header, text: string(data)}
	_ = json.Unmarshal(data, &a.body)
	return a
}

// tenant is the query that profile 9.0 wants.
func tenant(profile string) string {
	if profile == "9.0" {
		return "?tenantId=1"
	}
	return ""
}

// wantFailure checks a failure in the words of the Knowledge Center.
func wantFailure(t testing.TB, what string, a answer, status int, description string) {
	t.Helper()
	inner, _ := a.body["error"].(map[string]any)
	text, _ := a.body["description"].(string)
	if a.status != status || a.body["code"] != float64(status) || inner["code"] != a.body["code"] || inner["description"] != a.body["description"] || len(a.body) != 3 ||
		text == "" || !strings.Contains(text, description) {
		t.Errorf("%s = %d %s, want %d in the dialect of Knowledge Center with %q", what, a.status, a.text, status, description)
	}
}
