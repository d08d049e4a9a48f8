package bridge_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
)

// inMemory opens the demo without a listener; its work in the background runs until
// the test ends.
func inMemory(t *testing.T) (*bridge.App, *testenv.Clock) {
	t.Helper()
	clock := testenv.NewClock(time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC))
	cfg := config.Demo(config.DemoOptions{Store: "bolt:" + filepath.Join(t.TempDir(), "store.db"), Now: clock.Now()})
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Clock: clock.Now, VolatileStore: true})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		if err := app.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	select {
	case <-app.Begun():
	case <-time.After(30 * time.Second):
		t.Fatal("it does not begin")
	}
	return app, clock
}

func TestSettle(t *testing.T) {
	t.Parallel()
	app, clock := inMemory(t)
	started, err := app.Cobrowse().Start(t.Context(), cobrowse.StartRequest{
		OrgID: config.DemoOrgID, ClientID: config.DemoClientID, ConversationID: config.DemoConversationID,
		Participants: []cobrowse.Invite{{Role: cobrowse.RoleCustomer}, {Role: cobrowse.RoleAgent, UserID: config.DemoAgentID}},
	})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	attribute := func(name string) string {
		t.Helper()
		c, err := app.Directory().Conversation(t.Context(), config.DemoOrgID, config.DemoConversationID)
		if err != nil {
			t.Fatalf("Conversation: %v", err)
		}
		for _, p := range c.Participants {
			if value := p.Attributes[name]; value != "" {
				return value
			}
		}
		return ""
	}
	if err := app.Attached(t.Context()); err != nil {
		t.Fatalf("Attached: %v", err)
	}
	if got := attribute("CoBrowseSessionId"); got != string(started.Session.ID) {
		t.Errorf("after Attached CoBrowseSessionId is %q, want %s", got, started.Session.ID)
	}
	if got := attribute("IsCoBrowseDenied"); got == "Yes" {
		t.Errorf("while the session lives IsCoBrowseDenied is Yes")
	}
	clock.Advance(20 * time.Minute)
	if err := app.Settle(t.Context()); err != nil {
		t.Fatalf("Settle: %v", err)
	}
	// The session says so itself, whoever looks; that it was ended shows in what is
	// written to the conversation then.
	if got := attribute("IsCoBrowseDenied"); got != "Yes" {
		t.Errorf("after Settle IsCoBrowseDenied is %q, want Yes, since nobody came", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := app.Settle(ctx); err == nil {
		t.Errorf("Settle with a context that has ended = nil, want its error")
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	app, _ := inMemory(t)
	refuse := app.Refusal(&cobridge.Error{Code: cobridge.CodeTooManyRequests, Message: "Enough.", RetryAfter: 7 * time.Second})
	for _, tt := range []struct{ path, member string }{
		{"/api/v2/cobrowse/sessions", "contextId"}, // the envelope
		{"/oauth/token", "error"},                  // RFC 6749
		{"/cobrowse/rest/live/sessions", "message"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, app.BaseURL()+tt.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := refuse.RoundTrip(req)
		if err != nil {
			t.Fatalf("POST %s: %v", tt.path, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		var members map[string]any
		if err := json.Unmarshal(body, &members); err != nil || members[tt.member] == nil {
			t.Errorf("POST %s: %s, want an object with %s", tt.path, body, tt.member)
		}
		if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "7" || resp.Header.Get("ININ-Correlation-Id") == "" {
			t.Errorf("POST %s = %d %v, want 429, Retry-After 7 and a correlation id", tt.path, resp.StatusCode, resp.Header)
		}
	}
}
