package bridge_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
)

const sessionsPath = "/api/v2/cobrowse/sessions"

// inCloud makes an application read conversations and users from the one at cloud.
func inCloud(cloud string) func(*config.Config) {
	return func(c *config.Config) {
		c.Directory = config.DirectoryGenesysCloud
		c.GenesysCloud.BaseURL, c.GenesysCloud.ClientID, c.GenesysCloud.ClientSecret = cloud, config.DemoClientID, config.DemoClientSecret
		c.GenesysCloud.Poll = 20 * time.Millisecond // shorter than can be configured: nobody wants to wait
		c.Organisations[0].Users, c.Organisations[0].Conversations = nil, nil
	}
}

// between is a gateway in front of a service, which can be shut.
type between struct {
	url  string
	shut atomic.Int32 // status that it answers with; 0 = it lets through
}

func newBetween(t *testing.T, to string) *between {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	g := &between{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := int(g.shut.Load()); status != 0 {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>maintenance</html>")
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

// until asks for a session until it is as wanted; the test's own deadline ends it.
func (h *house) until(token, id, want string) {
	h.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		status, data := h.call(http.MethodGet, sessionsPath+"/"+id, token, "")
		if status == http.StatusOK && decode[sessionBody](h.t, data).State == want {
			return
		} else if time.Now().After(deadline) {
			h.t.Fatalf("the session is %d %s, want it %s", status, data, want)
		}
	}
}

// A session hangs on a conversation that lives in another installation, which plays the
// cloud: it is created on it, leaves its data there, outlives a time in which the cloud
// is away, and ends when the conversation does.
func TestDirectoryOfAnotherInstallation(t *testing.T) {
	t.Parallel()
	cloud := serve(t, filepath.Join(t.TempDir(), "cloud.db"), io.Discard)
	gate := newBetween(t, cloud.base)
	log := &testenv.Buffer{}
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), log, inCloud(gate.url))
	_, token := h.token(config.DemoClientSecret)
	_, cloudToken := cloud.token(config.DemoClientSecret)

	// What is asked here is answered from there.
	status, data := h.call(http.MethodGet, "/api/v2/conversations?state=active&limit=5", token, "")
	if status != http.StatusOK || !strings.Contains(string(data), config.DemoConversationID) || !strings.Contains(string(data), `"total":2`) {
		t.Fatalf("conversations: %d %s", status, data)
	}
	if status, data = h.call(http.MethodGet, "/api/v2/users/"+config.DemoAgentID, token, ""); status != http.StatusOK || !strings.Contains(string(data), "Ada Agent") {
		t.Errorf("user: %d %s", status, data)
	}
	if status, data = h.call(http.MethodPost, "/api/v2/conversations", token, `{"mediaType":"chat","participants":[{"purpose":"customer"}]}`); status != http.StatusMethodNotAllowed {
		t.Errorf("starting a conversation: %d %s, want 405", status, data)
	}
	unknown := strings.Replace(createBody, config.DemoConversationID, "0f2c4a51-6f0e-4f52-9a55-3a2f7f0a1c11", 1)
	if status, data = h.call(http.MethodPost, sessionsPath, token, unknown); status != http.StatusNotFound {
		t.Errorf("create on an unknown conversation: %d %s, want 404", status, data)
	}

	// A session on its conversation; a second one is refused.
	status, data = h.call(http.MethodPost, sessionsPath, token, createBody)
	session := decode[sessionBody](t, data)
	if status != http.StatusCreated || len(session.Participants) != 2 || session.Participants[0].JoinURL == "" {
		t.Fatalf("create: %d %s", status, data)
	}
	if status, data = h.call(http.MethodPost, sessionsPath, token, createBody); status != http.StatusConflict || !strings.Contains(string(data), session.ID) {
		t.Errorf("create again: %d %s, want 409 with the session", status, data)
	}
	attached := func() string {
		_, data := cloud.call(http.MethodGet, "/api/v2/conversations/"+config.DemoConversationID, cloudToken, "")
		return string(data)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(attached(), `"CoBrowseSessionId":"`+session.ID+`"`); {
		if time.Now().After(deadline) {
			t.Fatalf("the conversation lacks the session's id: %s", attached())
		}
	}

	// The cloud is away. The session lives, a new one waits, and the answer says why.
	for _, away := range []int{http.StatusNotFound, http.StatusOK} {
		gate.shut.Store(int32(away))
		other := strings.Replace(createBody, config.DemoConversationID, config.DemoClickConversationID, 1)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.base+sessionsPath, strings.NewReader(other))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := h.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Code    string            `json:"code"`
			Message string            `json:"message"`
			Params  map[string]string `json:"messageParams"`
		}
		err = json.NewDecoder(resp.Body).Decode(&body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || body.Params["reason"] != "notJson" {
			t.Errorf("create while the cloud answers pages with %d: %d, Retry-After %q, %+v, %v", away, resp.StatusCode, resp.Header.Get("Retry-After"), body, err)
		}
		// A round of looks at conversations comes to nothing, and Reconcile too.
		if err := h.app.Cobrowse().Reconcile(t.Context()); err != nil && !strings.Contains(err.Error(), "notJson") {
			t.Errorf("Reconcile: %v", err)
		}
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "conversations cannot be looked at"); {
			if time.Now().After(deadline) {
				t.Fatal("the log does not say that conversations cannot be looked at")
			}
			h.call(http.MethodGet, "/healthz", "", "")
		}
		if status, data = h.call(http.MethodGet, sessionsPath+"/"+session.ID, token, ""); status != http.StatusOK || decode[sessionBody](t, data).State != "idle" {
			t.Errorf("the session while the cloud is away: %d %s", status, data)
		}
		if status, data = h.call(http.MethodPost, sessionsPath+"/"+session.ID+"/participants/"+config.DemoAgentID+"/tokens", token, ""); status != http.StatusOK {
			t.Errorf("a join token while the cloud is away: %d %s", status, data)
		}
	}
	gate.shut.Store(0)

	// The conversation ends there, and so the session here.
	if status, data = cloud.call(http.MethodPost, "/api/v2/conversations/"+config.DemoConversationID+"/disconnect", cloudToken, ""); status != http.StatusAccepted {
		t.Fatalf("disconnect: %d %s", status, data)
	}
	h.until(token, session.ID, "ended")
	if _, data = h.call(http.MethodGet, sessionsPath+"/"+session.ID, token, ""); !strings.Contains(string(data), `"endReason":"conversationEnded"`) {
		t.Errorf("the session: %s, want it ended by its conversation", data)
	}
	if text := log.String(); strings.Contains(text, config.DemoClientSecret) || strings.Contains(text, cloudToken) {
		t.Error("the log has a secret")
	}
}

// A service whose directory cannot be reached starts, and says so to those who need it.
func TestStartWithoutDirectory(t *testing.T) {
	t.Parallel()
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), io.Discard, inCloud(dead.URL))
	_, token := h.token(config.DemoClientSecret)
	for _, path := range []string{"/api/v2/conversations", "/api/v2/conversations/" + config.DemoConversationID, "/api/v2/users", "/api/v2/users/" + config.DemoAgentID} {
		if status, data := h.call(http.MethodGet, path, token, ""); status != http.StatusServiceUnavailable || !strings.Contains(string(data), `"code":"service.unavailable"`) {
			t.Errorf("%s: %d %s, want 503", path, status, data)
		}
	}
	if status, data := h.call(http.MethodPost, sessionsPath, token, createBody); status != http.StatusServiceUnavailable || !strings.Contains(string(data), "genesysCloud.region") {
		t.Errorf("create: %d %s, want 503 with what to do", status, data)
	}
	if status, data := h.call(http.MethodGet, "/readyz", "", ""); status != http.StatusOK {
		t.Errorf("readyz: %d %s", status, data)
	}
}

// A conversation that is ended from here ends there.
func TestDisconnectInAnotherInstallation(t *testing.T) {
	t.Parallel()
	cloud := serve(t, filepath.Join(t.TempDir(), "cloud.db"), io.Discard)
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), io.Discard, inCloud(cloud.base), func(c *config.Config) { c.GenesysCloud.Poll = time.Hour })
	_, token := h.token(config.DemoClientSecret)
	_, cloudToken := cloud.token(config.DemoClientSecret)
	_, data := h.call(http.MethodPost, sessionsPath, token, createBody)
	session := decode[sessionBody](t, data)
	if status, data := h.call(http.MethodPost, "/api/v2/conversations/"+config.DemoConversationID+"/disconnect", token, ""); status != http.StatusAccepted {
		t.Fatalf("disconnect: %d %s", status, data)
	}
	if _, data := cloud.call(http.MethodGet, "/api/v2/conversations/"+config.DemoConversationID, cloudToken, ""); !strings.Contains(string(data), `"state":"disconnected"`) {
		t.Errorf("the conversation: %s", data)
	}
	if _, data := h.call(http.MethodGet, sessionsPath+"/"+session.ID, token, ""); !strings.Contains(string(data), `"endReason":"conversationEnded"`) {
		t.Errorf("the session: %s, want it ended at once", data)
	}
}

func TestCheckOnline(t *testing.T) {
	t.Parallel()
	cloud := serve(t, filepath.Join(t.TempDir(), "cloud.db"), io.Discard, func(c *config.Config) {
		few := c.Organisations[0].Clients[0]
		few.ID, few.Scopes = "few-scopes", []string{"conversations:readonly"}
		c.Organisations[0].Clients = append(c.Organisations[0].Clients, few)
	})
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	for name, tt := range map[string]struct {
		change func(*config.Config)
		good   int    // findings before the first that is not
		reason string // what the first failure is about; "" = all is well
	}{
		"good":         {func(*config.Config) {}, 4, ""},
		"local":        {func(c *config.Config) { c.Directory = config.DirectoryLocal }, 0, ""},
		"wrong secret": {func(c *config.Config) { c.GenesysCloud.ClientSecret = "wrong" }, 0, "clientSecret"},
		"few scopes":   {func(c *config.Config) { c.GenesysCloud.ClientID = "few-scopes" }, 2, "scope"},
		"wrong path":   {func(c *config.Config) { c.GenesysCloud.BaseURL, c.GenesysCloud.LoginURL = cloud.base+"/x", cloud.base }, 2, "refuses the call"},
		"unreachable":  {func(c *config.Config) { c.GenesysCloud.BaseURL = dead.URL }, 0, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Demo(config.DemoOptions{Store: "bolt:unused", Now: time.Now()})
			inCloud(cloud.base)(&cfg)
			tt.change(&cfg)
			found, err := bridge.CheckOnline(context.Background(), cfg, bridge.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now})
			if err != nil {
				t.Fatalf("CheckOnline: %v", err)
			}
			for i, f := range found {
				if bad := tt.reason != "" && i == tt.good; (f.Err != nil) != bad {
					t.Errorf("%s: %v", f.What, f.Err)
				} else if bad && !strings.Contains(f.Advice, tt.reason) {
					t.Errorf("%s: advice %q, want something about %q", f.What, f.Advice, tt.reason)
				}
			}
			if tt.reason == "" && len(found) != tt.good || tt.reason != "" && len(found) <= tt.good {
				t.Errorf("%d findings: %+v", len(found), found)
			}
		})
	}
}
