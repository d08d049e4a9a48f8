package bridge_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/notify"
)

// inbox is a receiver of webhooks.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	bodies []string
	ids    []string
	came   chan struct{}
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	in := &inbox{status: http.StatusNoContent, came: make(chan struct{}, 100)}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		in.mu.Lock()
		defer in.mu.Unlock()
		in.bodies, in.ids = append(in.bodies, string(body)), append(in.ids, r.Header.Get("webhook-id"))
		w.WriteHeader(in.status)
		in.came <- struct{}{}
	}))
	t.Cleanup(in.Close)
	return in
}

func (in *inbox) answer(status int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.status = status
}

func (in *inbox) wait(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-in.came:
		case <-time.After(20 * time.Second):
			t.Fatal("nothing came to the webhook")
		}
	}
}

func (in *inbox) types() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	var types []string
	for _, body := range in.bodies {
		var e struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal([]byte(body), &e)
		types = append(types, strings.TrimPrefix(e.Type, "cobrowse."))
	}
	slices.Sort(types)
	return types
}

const hookID = "0a1b2c3d-0000-4000-8000-00000000f001"

func telling(in *inbox, networks ...string) func(*config.Config) {
	return func(c *config.Config) {
		c.Webhooks.AllowHTTP, c.Webhooks.AllowNetworks, c.Webhooks.RetryDelays = true, networks, []string{"1s"}
		c.Organisations[0].Webhooks = []config.Webhook{{
			ID: hookID, URL: in.URL + "/hooks", Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			Events: []string{"cobrowse.session.created", "cobrowse.session.ended"},
		}}
	}
}

// TestWebhooks: from a session to the receiver's door, over a restart and with a
// receiver that is away for a while.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	path := filepath.Join(t.TempDir(), "store.db")
	var log bytes.Buffer
	h := serve(t, path, &log, telling(in, "127.0.0.0/8"))
	_, token := h.token(config.DemoClientSecret)
	body := `{"conversationId":"` + config.DemoConversationID + `","participants":[{"userId":"` + config.DemoAgentID + `"},{"userId":"` + config.DemoSupervisorID + `"}]}`
	status, answer := h.call(http.MethodPost, "/api/v2/cobrowse/sessions", token, body)
	if status != http.StatusCreated {
		t.Fatalf("create = %d %s", status, answer)
	}
	session := decode[struct {
		ID           string `json:"id"`
		SessionToken string `json:"sessionToken"`
	}](t, answer)
	in.wait(t, 1)
	in.answer(http.StatusServiceUnavailable)
	if status, answer := h.call(http.MethodDelete, "/api/v2/cobrowse/sessions/"+session.ID, token, ""); status != http.StatusNoContent {
		t.Fatalf("end = %d %s", status, answer)
	}
	in.wait(t, 1)
	if err := h.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	in.answer(http.StatusOK)
	h = serve(t, path, &log, telling(in, "127.0.0.0/8"))
	in.wait(t, 1)
	if diff := cmp.Diff([]string{"session.created", "session.ended", "session.ended"}, in.types()); diff != "" {
		t.Errorf("what came (-want +got):\n%s", diff)
	}
	if in.ids[1] != in.ids[2] || in.ids[0] == in.ids[1] || in.bodies[1] != in.bodies[2] {
		t.Errorf("ids %q, want the same over attempts", in.ids)
	}
	for _, body := range in.bodies {
		if strings.Contains(body, session.SessionToken) || strings.Contains(body, "token") {
			t.Errorf("what is told has a credential in it: %s", body)
		}
	}
	if err := h.app.WebhooksTold(t.Context()); err != nil {
		t.Errorf("WebhooksTold: %v", err)
	}
	if err := h.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	for _, secret := range []string{"whsec_", "MfKQ", in.URL + "/hooks", session.SessionToken} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %q in it", secret)
		}
	}
}

// TestWebhookIntoTheHouse: an address of our own network is not connected to.
func TestWebhookIntoTheHouse(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	name := strings.Replace(in.URL, "127.0.0.1", "localhost", 1)
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), io.Discard, telling(in, "127.0.0.0/8"), func(c *config.Config) {
		c.Webhooks.AllowNetworks = nil
		c.Organisations[0].Webhooks[0].URL = name // the name says nothing, what it resolves to does
	})
	_, token := h.token(config.DemoClientSecret)
	if status, answer := h.call(http.MethodPost, "/api/v2/cobrowse/webhooks/"+hookID+"/test", token, ""); status != http.StatusAccepted {
		t.Fatalf("test = %d %s", status, answer)
	}
	if err := h.app.WebhooksTold(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, answer := h.call(http.MethodGet, "/api/v2/cobrowse/webhooks/"+hookID+"/deliveries?state=dead", token, "")
	if !strings.Contains(string(answer), `"result":"forbidden"`) || len(in.types()) != 0 {
		t.Errorf("deliveries = %s, and %d came, want it forbidden", answer, len(in.types()))
	}
	status, answer := h.call(http.MethodPost, "/api/v2/cobrowse/webhooks", token, `{"url":"`+in.URL+`"}`)
	if status != http.StatusBadRequest {
		t.Errorf("create = %d %s, want 400", status, answer)
	}
}

// The configuration knows the types of events by itself, since it imports nothing.
func TestWebhookTypes(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(notify.WebhookTypes(), config.WebhookTypes()); diff != "" {
		t.Errorf("types (-notify +config):\n%s", diff)
	}
}
