package contract_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/docs/openapitest"
	"github.com/cobridge/cobridge/mocks/contract"
)

// reporter lets the suite report to package testing.
type reporter struct{ *testing.T }

func (r reporter) Run(name string, f func(contract.T)) bool {
	return r.T.Run(name, func(t *testing.T) { f(reporter{t}) })
}

// openApp opens the service of testdata/service.yaml in this process, over a
// store of its own, and has it do its work in the background until the test ends.
func openApp(t *testing.T, change ...func(*config.Config)) (*bridge.App, *testenv.Clock) {
	t.Helper()
	cfg, err := config.Load(config.Sources{File: filepath.Join("testdata", "service.yaml")})
	if err != nil {
		t.Fatalf("load configuration: %v", err)
	}
	cfg.Store = "bolt:" + filepath.Join(t.TempDir(), "store.db")
	for _, f := range change {
		f(&cfg)
	}
	c := testenv.NewClock(time.Date(2026, time.March, 4, 5, 6, 7, 89e6, time.UTC))
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: log, Clock: c.Now, Version: "test"})
	if err != nil {
		t.Fatalf("open application: %v", err)
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
	return app, c
}

// target returns the target of testdata/service.yaml behind client.
func target(baseURL string, client *http.Client) contract.Target {
	return contract.Target{
		BaseURL:          baseURL,
		Client:           client,
		Credentials:      contract.Credentials{ClientID: "c0a40000-0000-4000-8000-0000000000e1", ClientSecret: "contract-suite-secret-of-the-first-client-0001"},
		Other:            contract.Credentials{ClientID: "c0a40000-0000-4000-8000-0000000000e2", ClientSecret: "contract-suite-secret-of-the-other-client-0002"},
		Limited:          contract.Credentials{ClientID: "c0a40000-0000-4000-8000-0000000000e3", ClientSecret: "contract-suite-secret-of-the-small-client-0003"},
		AgentUserID:      "c0a40000-0000-4000-8000-0000000000a1",
		SupervisorUserID: "c0a40000-0000-4000-8000-0000000000a2",
		IncapableUserID:  "c0a40000-0000-4000-8000-0000000000a3",
		OtherUserID:      "c0a40000-0000-4000-8000-0000000000b1",
		Knowledge:        "/gks-server/v1",
		Legacy:           contract.Legacy{BasePath: "/cobrowse", Page: "https://shop.invalid"},
	}
}

// ready waits until the application says that it can do its work.
func ready(t *testing.T, client *http.Client, baseURL string) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, baseURL+"/readyz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s is not ready after 30 s: %v", baseURL, err)
		}
	}
}

func TestInProcess(t *testing.T) {
	t.Parallel()
	app, clock := openApp(t)
	tg := target(app.BaseURL(), &http.Client{Transport: app.Transport()})
	tg.Advance = clock.Advance
	checker := openapitest.NewChecker(t)
	tg.Check = checker.Check
	ready(t, tg.Client, tg.BaseURL)
	contract.Run(reporter{t}, tg)
	if t.Failed() {
		return
	}
	// What is documented was answered. The exceptions cannot be brought about here.
	const offerPath = "/api/v2/webdeployments/deployments/{deploymentId}/cobrowse/{joinCode}"
	exceptions := map[string]string{
		"POST /oauth/token 429":                                         "rate limits are off, so that the suite can run at any speed; bridge/api tests them",
		"POST /oauth/revoke 429":                                        "the same",
		"POST /oauth/introspect 429":                                    "the same",
		"POST /api/v2/cobrowse/sessions/attach 429":                     "the same",
		"POST /api/v2/cobrowse/join 429":                                "the same",
		"GET " + offerPath + " 429":                                     "the same",
		"DELETE " + offerPath + " 429":                                  "the same",
		"POST /api/v2/cobrowse/deployments/{deploymentId}/sessions 429": "the same",
		"GET /api/v2/cobrowse/sessions/{sessionId}/stream 101":          "a WebSocket; bridge/stream tests it",
		"GET /api/v2/cobrowse/sessions/{sessionId}/stream/check 204":    "the same",
		"GET /channels/{channelId} 101":                                 "the same; bridge/notify/socket tests it",
		"DELETE /api/v2/cobrowse/webhooks/{webhookId} 409":              "only for one that stands in the configuration; bridge/api tests it",
		"PUT /api/v2/cobrowse/webhooks/{webhookId} 409":                 "the same",
		"POST /api/v2/cobrowse/webhooks/{webhookId}/rotate 409":         "the same",
		"POST /api/v2/cobrowse/webhooks/{webhookId}/enable 409":         "the same",
		"GET /metrics 200":                                              "bridge tests it",
		"GET / 302":                                                     "bridge/api tests it",
		"GET /cobrowse/join 303":                                        "only where viewers have an origin of their own; bridge/pages and TestDemo test it",
		"GET /cobrowse/join 404":                                        "bridge/pages tests it",
		"GET /cobrowse/history/{id} 404":                                "the same",
		"POST /cobrowse/rest/live/sessions 401":                         "only with another access rule; bridge/legacy tests it",
		"GET /cobrowse/rest/live/sessions/{sessionToken} 401":           "the same",
		"GET /cobrowse/rest/history/sessions/{sessionHistoryId} 403":    "the same",
		"GET /cobrowse/slave.html 303":                                  "only where viewers have an origin of their own; bridge/pages tests it",
		"GET /cobrowse/health 503":                                      "only while the service starts, stops or has lost its store; bridge/legacy tests it",
		"GET /readyz 503":                                               "only while the service starts, stops or has lost its store; bridge tests it",
	}
	for _, missing := range checker.Missing() {
		if exceptions[missing.String()] == "" {
			t.Errorf("%s is documented, but the contract never saw it", missing)
		}
		delete(exceptions, missing.String())
	}
	for seen := range exceptions {
		t.Errorf("%s is listed as an exception, but is not documented or was seen", seen)
	}
}

// The suite cleans up behind itself: a second run on the same target meets
// nothing that the first one left.
func TestRunsAgain(t *testing.T) {
	t.Parallel()
	app, clock := openApp(t)
	tg := target(app.BaseURL(), &http.Client{Transport: app.Transport()})
	tg.Advance = clock.Advance
	tg.Limits = contract.Limits{Racers: 4, Rounds: 1}
	ready(t, tg.Client, tg.BaseURL)
	for _, name := range []string{"first", "second"} {
		reporter{t}.Run(name, func(rt contract.T) { contract.Run(rt, tg) })
		clock.Advance(time.Minute) // the limits against guessing look at a minute
	}
}

// Behind a gateway that takes a prefix off, links start with the address that the
// world sees.
func TestPublicAddress(t *testing.T) {
	t.Parallel()
	const public = "https://contact.example/gateway"
	app, clock := openApp(t, func(cfg *config.Config) { cfg.BaseURL = public })
	tg := target("http://cobridge.internal", &http.Client{Transport: app.Transport()})
	tg.PublicURL, tg.Advance = public, clock.Advance
	tg.Limits = contract.Limits{Racers: 4, Rounds: 1}
	ready(t, tg.Client, tg.BaseURL)
	contract.Run(reporter{t}, tg)
}

// The real binary, over TLS, with a certificate that it made itself.
func TestProcess(t *testing.T) {
	t.Parallel()
	p := startProcess(t, "serve", "--config", configFile(t, "service.yaml", ""))
	tg := target(p.baseURL, p.client)
	tg.Check = openapitest.NewChecker(t).Check
	contract.Run(reporter{t}, tg)
}

// The demonstration has one organisation and no user without the capability;
// what it has keeps the contract too.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := startProcess(t, "demo", "--data", t.TempDir(), "--json")
	tg := contract.Target{
		BaseURL: p.baseURL, Client: p.client, Credentials: contract.Credentials{ClientID: p.demo.ClientID, ClientSecret: p.demo.ClientSecret},
		AgentUserID: p.demo.AgentUserID, SupervisorUserID: p.demo.SupervisorUserID, Knowledge: "/gks-server/v1",
		Check:  openapitest.NewChecker(t).Check,
		Limits: contract.Limits{Rounds: 1},
	}
	contract.Run(reporter{t}, tg)
}

func clientTrusting(t *testing.T, pem []byte) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("there is no certificate to trust")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestEveryCaseHasItsOwnName(t *testing.T) {
	t.Parallel()
	var names []string
	for _, c := range contract.Cases() {
		names = append(names, c.Name)
		if strings.Contains(c.Name, "/") {
			t.Errorf("case %q: a slash in a name splits it for go test -run", c.Name)
		}
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) {
		t.Errorf("%d cases have %d names", len(names), n)
	}
}

// What the checklist wants to be documented (T33) is documented.
func TestRemediesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, remedies, ok := strings.Cut(string(text), "\n## Remedies\n")
	if !ok {
		t.Fatalf("docs/errors.md has no section Remedies")
	}
	for heading, mentions := range map[string][]string{
		"### 401: ": {"expires_in", "/tokens", "fifteen minutes"},
		"### 403: ": {"cobrowse:session:write", "cobrowse:session:read", "capability"},
		"### 404: ": {"state=active", "/api/v2/users/", "another organisation"},
		"### 409: ": {"/api/v2/cobrowse/sessions?conversationId=", "join tokens"},
	} {
		_, section, ok := strings.Cut(remedies, heading)
		if !ok {
			t.Errorf("docs/errors.md has no remedy %q", heading)
			continue
		}
		section, _, _ = strings.Cut(section, "\n### ")
		for _, mention := range mentions {
			if !strings.Contains(section, mention) {
				t.Errorf("docs/errors.md, remedy %q does not speak of %q", heading, mention)
			}
		}
	}
}
