package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/docs/openapitest"
	"github.com/cobridge/cobridge/oauth"
)

var t0 = time.Date(2026, time.March, 4, 5, 6, 7, 89_000_000, time.UTC)

const (
	org      conversations.OrgID  = "0a1b2c3d-0000-4000-8000-000000000001"
	otherOrg conversations.OrgID  = "0a1b2c3d-0000-4000-8000-000000000002"
	ann      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000a1" // agent
	ben      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000b2" // supervisor
	dan      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000d4" // may not cobrowse
	gus      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000f6" // deleted
	eve      conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000e5" // of the other organisation
	talk     conversations.ID     = "0a1b2c3d-0000-4000-8000-00000000c001"
	talk2    conversations.ID     = "0a1b2c3d-0000-4000-8000-00000000c002"

	clientID     = "test-client"
	clientSecret = "a-secret-of-the-test+client%41" // reads differently once form-decoded
	baseURL      = "https://cobridge.example/gateway"
	shop         = "https://shop.example"
)

// house is the API over real services on a real store file. Every answer is held
// against docs/openapi.yaml.
type house struct {
	app       *fiber.App
	checker   *openapitest.Checker
	clock     *testenv.Clock
	oauth     *oauth.Service
	sessions  *cobrowse.Service
	directory *conversations.Local
	store     *bolt.Store
	token     string // of a client with all scopes
}

func newHouse(t testing.TB, change ...func(*api.Deps)) *house {
	t.Helper()
	return newHouseWith(t, http.StatusUnauthorized, change...)
}

func newHouseWith(t testing.TB, invalidClient int, change ...func(*api.Deps)) *house {
	t.Helper()
	c := testenv.NewClock(t0)
	log := slog.New(slog.DiscardHandler)
	store, err := bolt.Open(t.Context(), bolt.Config{Path: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	h := &house{checker: shared.get(t), clock: c, store: store, directory: conversations.NewLocal(store, c.Now)}
	h.oauth, err = oauth.New(t.Context(), oauth.Config{Store: store, Clock: c.Now, Issuer: baseURL, Audience: baseURL})
	if err != nil {
		t.Fatalf("oauth: %v", err)
	}
	h.sessions = cobrowse.New(cobrowse.Config{
		Store: store, Index: store, Deployments: store, Directory: h.directory, Clock: c.Now, Log: log, Rules: cobrowse.DefaultRules(),
		Tokens: cobrowse.NewJoinTokens(bytes.Repeat([]byte("k"), 32), baseURL, 15*time.Minute, c.Now),
	})
	h.directory.OnEnd(func(ctx context.Context, org conversations.OrgID, id conversations.ID) {
		if err := h.sessions.ConversationEnded(ctx, org, id); err != nil {
			t.Errorf("ConversationEnded: %v", err)
		}
	})
	h.seed(t)
	cookie, err := web.NewResumeCookie(baseURL)
	if err != nil {
		t.Fatalf("resume cookie: %v", err)
	}
	deps := api.Deps{
		OAuth: h.oauth, Sessions: h.sessions, Deployments: store, Directory: h.directory, Conversations: h.directory, Organisations: h.directory,
		Notifications: notify.New(notify.Config{Store: store, Clock: c.Now, Tokens: h.oauth, Users: h.directory}),
		BaseURL:       baseURL + "/", Cookie: cookie, Version: "0.1.0", Commit: "4f1c0de",
		SDKTexts: map[string]map[string]string{
			"en": {"consent.version": "en-1", "consent.sharing": "Show this page?", "stop": "Stop"},
			"de": {"consent.version": "de-1", "consent.sharing": "Diese Seite zeigen?", "stop": "Beenden"},
		},
		Checks: []api.Check{{Name: "store", Run: func(context.Context) error { return nil }}},
	}
	for _, fn := range change {
		fn(&deps)
	}
	h.app = web.NewApp(web.Config{Log: log, Clock: c.Now, Dialects: []web.Dialect{api.OAuthDialect(invalidClient)}})
	api.Mount(h.app, deps)
	h.token = h.grant(t, clientID)
	return h
}

func (h *house) seed(t testing.TB) {
	t.Helper()
	both := conversations.Capability{Voice: true, Digital: true}
	active := conversations.UserActive
	agents := []conversations.NewParticipant{
		{Purpose: conversations.PurposeCustomer, Name: "Kim"},
		{Purpose: conversations.PurposeAgent, UserID: ann},
	}
	for _, err := range []error{
		h.directory.Seed(t.Context(), conversations.Organisation{ID: org, Name: "North"}, []conversations.User{
			{ID: ann, Name: "Ann", Email: "ann@north.example", State: active, Cobrowse: both},
			{ID: ben, Name: "Ben", Title: "Team lead", State: active, Cobrowse: both},
			{ID: dan, Name: "Dan", State: conversations.UserInactive},
			{ID: gus, Name: "Gus", State: conversations.UserDeleted, Cobrowse: both},
		}, []conversations.NewConversation{
			{ID: talk, StartedAt: t0.Add(-time.Minute), Medium: conversations.MediumMessage, ExternalTag: "ticket-1", Participants: agents},
			{ID: talk2, StartedAt: t0.Add(-time.Hour), Medium: conversations.MediumCall, Participants: agents},
		}),
		h.directory.Seed(t.Context(), conversations.Organisation{ID: otherOrg, Name: "South"}, []conversations.User{
			{ID: eve, Name: "Eve", State: active, Cobrowse: both},
		}, nil),
	} {
		if err != nil {
			t.Fatalf("seed: %v", err)
		}
	}
	all := []string{string(oauth.ScopeCobrowseRead), string(oauth.ScopeCobrowseWrite), string(oauth.ScopeConversationsWrite), string(oauth.ScopeUserRead), string(oauth.ScopeConversationsRead), string(oauth.ScopeNotifications), string(oauth.ScopeWebDeployments)}
	for _, spec := range []oauth.ClientSpec{
		{ID: clientID, OrgID: string(org), Name: "Tests", Secret: clientSecret, Scopes: all},
		{ID: "other-client", OrgID: string(otherOrg), Name: "Others", Secret: clientSecret, Scopes: all},
		{ID: "reader", OrgID: string(org), Name: "Reader", Secret: clientSecret, Scopes: []string{string(oauth.ScopeCobrowseRead)}},
		{ID: "directory", OrgID: string(org), Name: "Directory", Secret: clientSecret, Scopes: []string{string(oauth.ScopeUserRead)}},
	} {
		if _, _, err := h.oauth.CreateClient(t.Context(), spec); err != nil {
			t.Fatalf("create client: %v", err)
		}
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// envelope is the part of a failure that tests look at.
type envelope struct {
	Code    string `json:"code"`
	Details []struct {
		ErrorCode string `json:"errorCode"`
		FieldName string `json:"fieldName"`
	} `json:"details"`
}

func (a answer) envelope(t testing.TB) envelope {
	t.Helper()
	var e envelope
	a.into(t, &e)
	return e
}

func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("answer %d is not the JSON that was expected: %v\n%s", a.status, err, a.body)
	}
}

// do sends a request and holds the exchange against the document. Header lines
// are "Name: value"; a line without a value removes the header.
func (h *house) do(t testing.TB, method, path, body string, header ...string) answer {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+h.token)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); value == "" {
			req.Header.Del(name)
		} else {
			req.Header.Set(name, value)
		}
	}
	resp, err := h.app.Test(req, 10_000)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	got, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatalf("%s %s: read answer: %v", method, path, err)
	}
	if err := h.checker.Check(req, []byte(body), resp, got); err != nil {
		t.Errorf("%v", err)
	}
	if resp.Header.Get("ININ-Correlation-Id") == "" {
		t.Errorf("%s %s: the answer has no correlation id", method, path)
	}
	return answer{resp.StatusCode, resp.Header, string(got)}
}

// want is do for a call that must have the given status.
func (h *house) want(t testing.TB, status int, method, path, body string, header ...string) answer {
	t.Helper()
	a := h.do(t, method, path, body, header...)
	if a.status != status {
		t.Fatalf("%s %s = %d, want %d\n%s", method, path, a.status, status, a.body)
	}
	return a
}

// refused is do for a call that must fail with the given status and code.
func (h *house) refused(t testing.TB, status int, code cobridge.Code, method, path, body string, header ...string) answer {
	t.Helper()
	a := h.do(t, method, path, body, header...)
	if got := a.envelope(t).Code; a.status != status || got != string(code) {
		t.Errorf("%s %s = %d %s, want %d %s\n%s", method, path, a.status, got, status, code, a.body)
	}
	return a
}

const formType = "Content-Type: application/x-www-form-urlencoded"

// grant returns an access token of a client; all of them have the same secret.
func (h *house) grant(t testing.TB, id string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {clientSecret}}
	var body struct {
		AccessToken string `json:"access_token"`
	}
	h.want(t, http.StatusOK, http.MethodPost, "/oauth/token", form.Encode(), formType, "Authorization:").into(t, &body)
	return body.AccessToken
}

// sessionAnswer is the part of a session that tests look at.
type sessionAnswer struct {
	ID                string `json:"id"`
	SessionID         string `json:"sessionId"`
	ConversationID    string `json:"conversationId"`
	DeploymentID      string `json:"deploymentId"`
	State             string `json:"state"`
	EndReason         string `json:"endReason"`
	InactivityTimeout string `json:"inactivityTimeout"`
	Participants      []struct {
		ID           string `json:"id"`
		UserID       string `json:"userId"`
		Role         string `json:"role"`
		CobrowseRole string `json:"cobrowseRole"`
		State        string `json:"state"`
		JoinURL      string `json:"joinUrl"`
	} `json:"participants"`
	CreatedBy *struct {
		ID string `json:"id"`
	} `json:"createdBy"`
	SelfURI string `json:"selfUri"`
}

// tokenAt returns the join token of participant i.
func (s sessionAnswer) tokenAt(t testing.TB, i int) string {
	t.Helper()
	token, ok := strings.CutPrefix(s.Participants[i].JoinURL, baseURL+"/cobrowse/join?token=")
	if !ok {
		t.Fatalf("joinUrl %q does not start with the public address", s.Participants[i].JoinURL)
	}
	return token
}

const (
	sessionsURL    = "/api/v2/cobrowse/sessions"
	historyURL     = "/api/v2/cobrowse/history"
	deploymentsURL = "/api/v2/cobrowse/deployments"
)

func createBody(conversation conversations.ID) string {
	return `{"conversationId":"` + string(conversation) + `","participants":[{"userId":"` + string(ann) + `","role":"agent"},{"userId":"` + string(ben) +
		`","role":"supervisor"}],"settings":{"timeoutInMinutes":10}}`
}

func (h *house) create(t testing.TB, conversation conversations.ID) sessionAnswer {
	t.Helper()
	var s sessionAnswer
	h.want(t, http.StatusCreated, http.MethodPost, sessionsURL, createBody(conversation)).into(t, &s)
	return s
}
