package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	crashRounds = 200 // of the race for one conversation
	crashRacers = 64
)

// crashHouse is the demo as a process that is killed and started again.
type crashHouse struct {
	t      *testing.T
	data   string
	info   demoInfo
	p      *process
	client *http.Client
	token  string

	mu    sync.Mutex
	owner map[string]string // conversation to the acknowledged session
	ended map[string]bool   // sessions whose end was acknowledged
	dead  []string          // tokens whose revocation was acknowledged
}

// TestKilledInTheMiddle is invariants I1 and I2 at the real thing: 64 clients race
// for each of 200 conversations, the process is killed twice in the middle of a
// race and once at the end, and nothing that was acknowledged is missing.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	transport := &http.Transport{MaxIdleConns: crashRacers, MaxIdleConnsPerHost: crashRacers}
	defer transport.CloseIdleConnections()
	h := &crashHouse{
		t: t, data: filepath.Join(t.TempDir(), "data"), client: &http.Client{Transport: transport, Timeout: limit},
		owner: map[string]string{}, ended: map[string]bool{},
	}
	h.start("127.0.0.1:0")
	for round := range crashRounds {
		conversation := h.conversation()
		if round == crashRounds/3 || round == 2*crashRounds/3 {
			h.raceAndKill(conversation)
		}
		h.race(conversation) // after the crash it is decided, or is now
		switch round % 10 {
		case 4:
			h.end(h.owner[conversation])
		case 7:
			h.revoke()
		}
	}
	h.kill()
	h.check()
	if len(h.owner) != crashRounds || len(h.ended) != crashRounds/10 || len(h.dead) != crashRounds/10 {
		t.Errorf("%d sessions, %d ends, %d revocations; want %d, %d, %d", len(h.owner), len(h.ended), len(h.dead), crashRounds, crashRounds/10, crashRounds/10)
	}
}

func (h *crashHouse) start(listen string) {
	h.t.Helper()
	h.p = start(h.t, "demo", "--listen", listen, "--json", "--data", h.data)
	line, err := h.p.out.ReadBytes('\n')
	if err != nil {
		rest, _ := io.ReadAll(h.p.err)
		h.t.Fatalf("start: %v\n%s", err, rest)
	}
	if err := json.Unmarshal(line, &h.info); err != nil {
		h.t.Fatalf("read the line: %v", err)
	}
	if h.token == "" {
		h.token = h.newToken()
	}
}

// kill ends the process without a word to it, and starts it again on the same address.
func (h *crashHouse) kill() {
	h.t.Helper()
	if err := h.p.cmd.Process.Kill(); err != nil {
		h.t.Fatalf("kill: %v", err)
	}
	_ = h.p.cmd.Wait()
	u, err := url.Parse(h.info.BaseURL)
	if err != nil {
		h.t.Fatal(err)
	}
	h.start(net.JoinHostPort(u.Hostname(), u.Port()))
}

// call returns status 0 if the process was gone.
func (h *crashHouse) call(method, path, token, body string) (int, map[string]any) {
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.info.BaseURL+path, strings.NewReader(body))
	if err != nil {
		h.t.Errorf("request: %v", err)
		return 0, nil
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	var members map[string]any
	_ = json.NewDecoder(bytes.NewReader(data)).Decode(&members)
	return resp.StatusCode, members
}

func (h *crashHouse) newToken() string {
	h.t.Helper()
	resp, err := h.client.PostForm(h.info.BaseURL+"/oauth/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {h.info.ClientID}, "client_secret": {h.info.ClientSecret},
	})
	if err != nil {
		h.t.Fatalf("token: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.AccessToken == "" {
		h.t.Fatalf("token = %d, %v", resp.StatusCode, err)
	}
	return out.AccessToken
}

func (h *crashHouse) conversation() string {
	h.t.Helper()
	status, c := h.call(http.MethodPost, "/api/v2/conversations", h.token, fmt.Sprintf(`{"mediaType":"chat","participants":[{"purpose":"agent","userId":%q}]}`, h.info.AgentUserID))
	if status != http.StatusCreated {
		h.t.Fatalf("create conversation = %d %v", status, c)
	}
	return c["id"].(string)
}

// race lets everybody create a session on the conversation: exactly one wins,
// or nobody if it has one already, and all others are told the winner.
func (h *crashHouse) race(conversation string) {
	h.t.Helper()
	created, named := h.racers(conversation, nil)
	owner, had := h.owner[conversation]
	if !had && len(created) == 1 {
		owner = created[0]
	}
	h.owner[conversation] = owner
	others := crashRacers - 1
	if len(created) == 0 { // a create that was in flight when the process died may have been stored
		others, owner = crashRacers, named[0]
		if had && owner != h.owner[conversation] {
			h.t.Fatalf("conversation has session %s, but %s was acknowledged", owner, h.owner[conversation])
		}
		h.owner[conversation] = owner
	}
	if len(created) > 1 || had && len(created) > 0 || len(named) != others {
		h.t.Fatalf("%d created and %d conflicts (acknowledged before: %v), want one winner", len(created), len(named), had)
	}
	if i := slices.IndexFunc(named, func(id string) bool { return id != owner }); i >= 0 {
		h.t.Fatalf("a conflict names %s, want %s", named[i], owner)
	}
}

// racers returns the ids of 201 and of 409 answers; onFirst is called at the first answer.
func (h *crashHouse) racers(conversation string, onFirst func()) (created, named []string) {
	body := fmt.Sprintf(`{"conversationId":%q,"participants":[{"userId":%q,"role":"agent"},{"userId":%q,"role":"supervisor"}]}`,
		conversation, h.info.AgentUserID, h.info.SupervisorUserID)
	var first sync.Once
	var wg sync.WaitGroup
	for range crashRacers {
		wg.Go(func() {
			status, s := h.call(http.MethodPost, "/api/v2/cobrowse/sessions", h.token, body)
			h.mu.Lock()
			switch status {
			case 0:
			case http.StatusCreated:
				created = append(created, s["id"].(string))
			case http.StatusConflict:
				named = append(named, s["id"].(string))
			default:
				h.t.Errorf("create = %d %v", status, s)
			}
			h.mu.Unlock()
			if status != 0 && onFirst != nil {
				first.Do(onFirst)
			}
		})
	}
	wg.Wait()
	return created, named
}

// raceAndKill kills the process while the others still wait for their answers.
func (h *crashHouse) raceAndKill(conversation string) {
	h.t.Helper()
	created, named := h.racers(conversation, func() { _ = h.p.cmd.Process.Kill() })
	if len(created) > 1 {
		h.t.Fatalf("%d created, want one at most", len(created))
	}
	for _, id := range append(created, named...) {
		h.owner[conversation] = id
	}
	h.kill()
	h.check()
}

func (h *crashHouse) end(id string) {
	h.t.Helper()
	if status, body := h.call(http.MethodDelete, "/api/v2/cobrowse/sessions/"+id, h.token, ""); status != http.StatusNoContent {
		h.t.Fatalf("end = %d %v", status, body)
	}
	h.ended[id] = true
}

func (h *crashHouse) revoke() {
	h.t.Helper()
	token := h.newToken()
	if status, body := h.call(http.MethodDelete, "/api/v2/tokens/me", token, ""); status != http.StatusOK {
		h.t.Fatalf("revoke = %d %v", status, body)
	}
	h.dead = append(h.dead, token)
}

// check looks for everything that was acknowledged.
func (h *crashHouse) check() {
	h.t.Helper()
	for _, conversation := range slices.Sorted(maps.Keys(h.owner)) {
		id := h.owner[conversation]
		status, s := h.call(http.MethodGet, "/api/v2/cobrowse/sessions/"+id, h.token, "")
		if status != http.StatusOK || s["conversationId"] != conversation || (s["state"] == "ended") != h.ended[id] {
			h.t.Errorf("session %s after the crash = %d, state %v; acknowledged as ended: %v", id, status, s["state"], h.ended[id])
		}
		if h.ended[id] {
			if status, r := h.call(http.MethodGet, "/api/v2/cobrowse/history/"+id, h.token, ""); status != http.StatusOK || r["endReason"] != "ended" {
				h.t.Errorf("history record %s after the crash = %d %v", id, status, r)
			}
		}
	}
	for _, token := range h.dead {
		if status, _ := h.call(http.MethodGet, "/api/v2/tokens/me", token, ""); status != http.StatusUnauthorized {
			h.t.Errorf("revoked token after the crash = %d, want 401", status)
		}
	}
}
