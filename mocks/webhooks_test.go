package mocks_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks"
)

// TestWithWebhooks: an integration's receiver is told of a session, refuses once, and
// is told again when the clock is turned.
func TestWithWebhooks(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	m := mocks.New(t, mocks.WithWebhooks(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		kind, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"type":"`), `"`)
		got = append(got, fmt.Sprint(r.Host, r.URL.Path, " ", kind, " ", strings.HasPrefix(r.Header.Get("webhook-signature"), "v1,")))
		if len(got) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})))
	api, err := client.New(client.Options{BaseURL: m.BaseURL, ClientID: m.ClientID, ClientSecret: m.ClientSecret, Transport: m.Transport})
	if err != nil {
		t.Fatal(err)
	}
	hook, err := api.CreateWebhook(t.Context(), client.NewWebhook{URL: "https://crm.example/hooks", Events: []string{"cobrowse.session.created"}})
	if err != nil || !strings.HasPrefix(hook.Secret, "whsec_") {
		t.Fatalf("CreateWebhook = %+v, %v", hook, err)
	}
	if _, err := api.CreateSession(t.Context(), client.NewSession{ConversationID: m.ConversationID, Participants: []client.Invite{{UserID: m.AgentUserID}, {UserID: m.SupervisorUserID}}}); err != nil {
		t.Fatal(err)
	}
	m.Tell()
	const want = "crm.example/hooks cobrowse.session.created true"
	if len(got) != 1 || got[0] != want {
		t.Fatalf("told %q, want %q", got, want)
	}
	m.Turn(6 * time.Second)
	if len(got) != 2 || got[1] != want {
		t.Errorf("told %q, want it again", got)
	}
	if now, err := api.Webhook(t.Context(), hook.ID); err != nil || now.Deliveries != (client.Tally{Delivered: 1}) || now.Secret != "" {
		t.Errorf("Webhook = %+v, %v", now, err)
	}
}

// Without a receiver nothing leaves the test.
func TestNoNetwork(t *testing.T) {
	t.Parallel()
	m := mocks.New(t)
	api, err := client.New(client.Options{BaseURL: m.BaseURL, ClientID: m.ClientID, ClientSecret: m.ClientSecret, Transport: m.Transport})
	if err != nil {
		t.Fatal(err)
	}
	hook, err := api.CreateWebhook(t.Context(), client.NewWebhook{URL: "https://crm.example/hooks"})
	if err != nil {
		t.Fatal(err)
	}
	ping, err := api.TestWebhook(t.Context(), hook.ID)
	if err != nil {
		t.Fatal(err)
	}
	m.Tell()
	if d, err := api.Delivery(t.Context(), hook.ID, ping.ID); err != nil || d.State != "dead" || d.Attempts[0].Result != "broken" {
		t.Errorf("Delivery = %+v, %v", d, err)
	}
}
