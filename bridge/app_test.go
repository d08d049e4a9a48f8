package bridge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

// house is a demo application, served on a loopback listener.
type house struct {
	t      *testing.T
	app    *bridge.App
	base   string
	client *http.Client
	stop   func() error // ends serving and closes the store; may be called again
}

// serve starts the demo over a store file, with changes to its configuration.
func serve(t *testing.T, path string, log io.Writer, change ...func(*config.Config)) *house {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	cfg := config.Demo(config.DemoOptions{Listen: ln.Addr().String(), Store: "bolt:" + path, Now: time.Now()})
	for _, fn := range change {
		fn(&cfg)
	}
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), Clock: time.Now, Version: "test"})
	if err != nil {
		_ = ln.Close()
		t.Fatalf("open: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- app.Serve(ctx, ln, nil) }()
	// As browsers do, and not every resolver: names below localhost are this machine.
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
	}}
	h := &house{t: t, app: app, base: app.BaseURL(), client: &http.Client{Transport: transport, Timeout: 20 * time.Second}}
	h.stop = sync.OnceValue(func() error {
		transport.CloseIdleConnections()
		cancel()
		err := <-served
		if cerr := app.Close(); err == nil {
			err = cerr
		}
		return err
	})
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return h
}

func (h *house) call(method, path, token, body string) (int, []byte) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.base+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatalf("request: %v", err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return h.do(req)
}

func (h *house) do(req *http.Request) (int, []byte) {
	h.t.Helper()
	resp, err := h.client.Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatalf("%s %s: read: %v", req.Method, req.URL.Path, err)
	}
	return resp.StatusCode, data
}

func (h *house) token(secret string) (int, string) {
	h.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {config.DemoClientID}, "client_secret": {secret}}
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.base+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		h.t.Fatalf("request: %v", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, data := h.do(req)
	var out struct {
		AccessToken string `json:"access_token"`
	}
	_ = json.Unmarshal(data, &out)
	return status, out.AccessToken
}

const createBody = `{"conversationId":"` + config.DemoConversationID + `","participants":[{"userId":"` + config.DemoAgentID +
	`","role":"agent"},{"userId":"` + config.DemoSupervisorID + `","role":"supervisor"}]}`

type sessionBody struct {
	ID           string `json:"id"`
	State        string `json:"state"`
	Participants []struct {
		ID      string `json:"id"`
		JoinURL string `json:"joinUrl"`
	} `json:"participants"`
}

func decode[T any](t *testing.T, data []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("decode %q: %v", data, err)
	}
	return v
}

// TestRestart does the main job, restarts, and finds everything there: the
// session, the revoked token dead, the other token alive.
func TestRestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	sameIssuer := func(c *config.Config) { c.OAuth.Issuer = "https://bridge.example" }
	first := serve(t, path, io.Discard, sameIssuer)
	_, alive := first.token(config.DemoClientSecret)
	_, revoked := first.token(config.DemoClientSecret)
	status, data := first.call(http.MethodPost, "/api/v2/cobrowse/sessions", alive, createBody)
	if status != http.StatusCreated {
		t.Fatalf("create = %d %s, want 201", status, data)
	}
	session := decode[sessionBody](t, data)
	if status, _ := first.call(http.MethodDelete, "/api/v2/tokens/me", revoked, ""); status != http.StatusOK {
		t.Fatalf("DELETE tokens/me = %d, want 200", status)
	}
	if err := first.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}

	second := serve(t, path, io.Discard, sameIssuer)
	if status, data := second.call(http.MethodGet, "/api/v2/cobrowse/sessions/"+session.ID, alive, ""); status != http.StatusOK || decode[sessionBody](t, data).ID != session.ID {
		t.Errorf("GET session after the restart = %d %s, want it", status, data)
	}
	if status, data := second.call(http.MethodGet, "/api/v2/tokens/me", revoked, ""); status != http.StatusUnauthorized {
		t.Errorf("revoked token after the restart = %d %s, want 401", status, data)
	}
	if status, data := second.call(http.MethodPost, "/api/v2/cobrowse/sessions", alive, createBody); status != http.StatusConflict || decode[sessionBody](t, data).ID != session.ID {
		t.Errorf("second create after the restart = %d %s, want 409 with the id", status, data)
	}
	for _, p := range session.Participants {
		u, err := url.Parse(p.JoinURL)
		if err != nil {
			t.Fatalf("join URL: %v", err)
		}
		if status, data := second.call(http.MethodGet, u.RequestURI(), "", ""); status != http.StatusOK || !bytes.Contains(data, []byte("<html")) {
			t.Errorf("join URL after the restart = %d, want the page", status)
		}
	}
}

func TestSeedFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	if err := serve(t, path, io.Discard).stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	const secret = "another-secret-of-the-demo-client-0123456789"
	h := serve(t, path, io.Discard, func(c *config.Config) {
		c.Organisations[0].Clients[0].Secret = secret
		c.Organisations[0].Clients[0].Scopes = []string{"users:readonly"}
		c.Organisations[0].Users[0].Name = "Renamed"
	})
	if status, _ := h.token(config.DemoClientSecret); status != http.StatusUnauthorized {
		t.Errorf("old secret = %d, want 401", status)
	}
	_, token := h.token(secret)
	if status, data := h.call(http.MethodGet, "/api/v2/users/"+config.DemoAgentID, token, ""); status != http.StatusOK || !bytes.Contains(data, []byte(`"Renamed"`)) {
		t.Errorf("user = %d %s, want the new name", status, data)
	}
	if status, _ := h.call(http.MethodGet, "/api/v2/conversations", token, ""); status != http.StatusForbidden {
		t.Errorf("conversations with the scope taken away = %d, want 403", status)
	}
}

// TestDemoLinksNeverGoStale follows each of the demo's links twice.
func TestDemoLinksNeverGoStale(t *testing.T) {
	t.Parallel()
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), io.Discard)
	for range 2 {
		for _, path := range []string{config.DemoJoinCustomerPath, config.DemoJoinAgentPath, config.DemoJoinSupervisorPath} {
			if status, data := h.call(http.MethodGet, path, "", ""); status != http.StatusOK || !bytes.Contains(data, []byte("<html")) {
				t.Errorf("GET %s = %d, want the join page", path, status)
			}
		}
	}
}

func TestTransport(t *testing.T) {
	t.Parallel()
	cfg := config.Demo(config.DemoOptions{Store: "bolt:" + filepath.Join(t.TempDir(), "store.db"), Now: time.Now()})
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	h := &house{t: t, base: "https://any.example", client: &http.Client{Transport: app.Transport()}}
	_, token := h.token(config.DemoClientSecret)
	if status, data := h.call(http.MethodPost, "/api/v2/cobrowse/sessions", token, createBody); status != http.StatusCreated {
		t.Errorf("create = %d %s, want 201", status, data)
	}
	if status, _ := h.call(http.MethodPost, "/api/v2/cobrowse/sessions", token, createBody); status != http.StatusConflict {
		t.Errorf("second create = %d, want 409", status)
	}
}

// TestNoSecretInTheLog is invariant I11: everything is logged, on the lowest
// level, and none of the secrets that went over the wire is in it.
func TestNoSecretInTheLog(t *testing.T) {
	t.Parallel()
	log := &testenv.Buffer{}
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), log)
	_, token := h.token(config.DemoClientSecret)
	_, _ = h.token("wrong-secret-wrong-secret-wrong-secret")
	_, data := h.call(http.MethodPost, "/api/v2/cobrowse/sessions", token, createBody)
	session := decode[sessionBody](t, data)
	var secrets []string
	for _, p := range session.Participants {
		_, raw, _ := strings.Cut(p.JoinURL, "token=")
		h.call(http.MethodGet, "/cobrowse/join?token="+raw, "", "")
		_, joined := h.call(http.MethodPost, "/api/v2/cobrowse/join", "", `{"token":"`+raw+`"}`)
		secrets = append(secrets, raw)
		if resume := decode[struct{ Resume string }](t, joined).Resume; resume != "" {
			secrets = append(secrets, resume)
		}
		h.call(http.MethodPost, "/api/v2/cobrowse/join", "", `{"token":"`+raw+`"`) // malformed
	}
	h.call(http.MethodGet, "/api/v2/cobrowse/sessions/unknown?access_token="+token, token, "")
	h.call(http.MethodGet, "/nowhere/"+token, "", "")
	h.call(http.MethodDelete, "/api/v2/tokens/me", token, "")
	if err := h.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if len(secrets) < 3 {
		t.Fatalf("%d secrets seen, want the two join tokens and the sharer's resume secret", len(secrets))
	}
	secrets = append(secrets, token, config.DemoClientSecret, "wrong-secret-wrong-secret-wrong-secret")
	text := log.String()
	if !strings.Contains(text, "request answered") || !strings.Contains(text, session.ID) {
		t.Fatal("the log lacks what this test made, so it proves nothing")
	}
	for _, secret := range secrets {
		for _, part := range []string{secret, url.QueryEscape(secret), secret[len(secret)-16:]} {
			if strings.Contains(text, part) {
				t.Errorf("the log holds %q", part)
			}
		}
	}
}

// TestAttachedData waits until the conversation tells of its session.
func TestAttachedData(t *testing.T) {
	t.Parallel()
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), io.Discard)
	_, token := h.token(config.DemoClientSecret)
	_, data := h.call(http.MethodPost, "/api/v2/cobrowse/sessions", token, createBody)
	want := `"CoBrowseSessionId":"` + decode[sessionBody](t, data).ID + `"`
	for begin := time.Now(); !bytes.Contains(data, []byte(want)); {
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("conversation = %s, want %s", data, want)
		}
		_, data = h.call(http.MethodGet, "/api/v2/conversations/"+config.DemoConversationID, token, "")
	}
}

// TestStopAtOnce stops a service that has hardly begun to serve.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		if err := serve(t, filepath.Join(t.TempDir(), "store.db"), io.Discard).stop(); err != nil {
			t.Fatalf("stop: %v", err)
		}
	}
}
