package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
)

// The two headers keep their underscore on the way through a proxy, which may write
// them in other letters; nginx needs underscores_in_headers for it.
func TestKnowledgeHeadersThroughAProxy(t *testing.T) {
	t.Parallel()
	info, _ := demo(t)
	client := &http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	token := (&crashHouse{t: t, info: info, client: client}).newToken()
	target, err := url.Parse(info.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
	}})
	t.Cleanup(proxy.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, proxy.URL+"/gks-server/v1/sessions/new", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["gkc_customerId"], req.Header["gkc_agentId"] = []string{"kim@example.org"}, []string{"ada"}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var got struct{ CustomerID, AgentID string }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.CustomerID != "kim@example.org" || got.AgentID != "ada" {
		t.Errorf("create through a proxy = %d %+v (%v), want both names", resp.StatusCode, got, err)
	}
}

// What was answered is still there after a kill: 64 clients over real connections
// make sessions and tie them, the process dies in the middle, and each session
// belongs to whom it was said to.
func TestKnowledgeSessionsSurviveAKill(t *testing.T) {
	t.Parallel()
	const clients, rounds = 64, 4
	transport := &http.Transport{MaxIdleConns: clients, MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	h := &crashHouse{t: t, data: filepath.Join(t.TempDir(), "data"), client: &http.Client{Transport: transport, Timeout: limit}}
	h.start("127.0.0.1:0")
	const base = "/gks-server/v1/sessions/"
	owners := map[string]any{} // session to the visit that was acknowledged
	var mu sync.Mutex
	for round := range rounds {
		unknown := fmt.Sprintf("unknown-%d", round)
		seen := map[any]bool{}
		var kill sync.Once
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				// Everybody claims the same unknown session, then has one alone.
				visit := fmt.Sprintf("v-%d-%d", round, i)
				status, s := h.call(http.MethodGet, base+unknown, h.token, "")
				mu.Lock()
				if status == http.StatusOK {
					seen[s["created"]] = true
				}
				mu.Unlock()
				status, s = h.call(http.MethodPut, base+"new", h.token, fmt.Sprintf(`{"visitId":%q}`, visit))
				mu.Lock()
				if id, ok := s["sessionId"].(string); ok && status == http.StatusOK {
					owners[id] = visit
				} else if status != 0 {
					t.Errorf("create = %d %v", status, s)
				}
				done := len(owners)
				mu.Unlock()
				if round%2 == 1 && done%clients == clients/2 {
					kill.Do(func() { _ = h.p.cmd.Process.Kill() })
				}
			})
		}
		wg.Wait()
		if len(seen) > 1 {
			t.Errorf("%d parallel calls made %d sessions of one id, want one", clients, len(seen))
		}
		if round%2 == 1 {
			h.kill()
		}
	}
	if len(owners) < clients {
		t.Errorf("%d sessions were acknowledged, want at least %d", len(owners), clients)
	}
	for id, visit := range owners {
		if status, s := h.call(http.MethodGet, base+id, h.token, ""); status != http.StatusOK || s["visitId"] != visit {
			t.Errorf("a session after the crash = %d, visit %v; acknowledged was %v", status, s["visitId"], visit)
		}
	}
}
