package stream_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

func TestHelloWithJoinToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	token := h.token(t, s, annPID)

	c := h.dial(t, dialing{session: s.ID})
	c.send(t, map[string]any{"t": "hello", "v": 1, "token": token, "tab": tab})
	welcome := c.expect(t, "welcome")
	for key, want := range map[string]any{
		"v": 1.0, "session": string(s.ID), "participant": string(annPID), "role": "agent", "cobrowseRole": "sharer", "state": "waiting",
	} {
		if got := welcome[key]; got != want {
			t.Errorf("welcome.%s = %v, want %v", key, got, want)
		}
	}
	if now, deadline := welcome["now"], welcome["deadline"]; now == nil || deadline == nil || now.(string) >= deadline.(string) {
		t.Errorf("now %v, deadline %v: want the deadline later", now, deadline)
	}
	if limits, _ := welcome["limits"].(map[string]any); limits["frameBytes"] != 16384.0 || limits["graceSeconds"] != 120.0 {
		t.Errorf("limits = %v, want frames of 16384 bytes and 120 s of grace", welcome["limits"])
	}
	if resume, _ := welcome["resume"].(map[string]any); len(resume["token"].(string)) != 43 {
		t.Errorf("resume = %v, want a secret of 43 characters", welcome["resume"])
	}
	peers := c.expect(t, "peers")
	if connected, listed := peer(peers, annPID); !connected || !listed {
		t.Errorf("peers = %v, want Ann connected", peers)
	}
	if connected, listed := peer(peers, benPID); connected || !listed {
		t.Errorf("peers = %v, want Ben listed and not connected", peers)
	}
	c.state(t, "waiting")

	again := h.dial(t, dialing{session: s.ID})
	again.send(t, map[string]any{"t": "hello", "v": 1, "token": token})
	before := again.closed(t, 4401, "join.token.used")
	if len(before) != 1 || before[0]["t"] != "err" || before[0]["code"] != "join.token.used" || before[0]["fatal"] != true {
		t.Errorf("before the close came %v, want one fatal err", before)
	}
}

func TestTokenInSubprotocol(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	c := h.dial(t, dialing{session: s.ID, token: h.token(t, s, annPID), query: "?tab=" + tab})
	if got := c.expect(t, "welcome")["participant"]; got != string(annPID) {
		t.Errorf("participant = %v, want %s", got, annPID)
	}
	if got := cookies(c.answer); len(got) > 0 {
		t.Errorf("the sharer got a cookie: %v", got)
	}
}

func TestSharerResumes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	hello := func(secret string) *client {
		c := h.dial(t, dialing{session: s.ID, origin: "own"})
		c.send(t, map[string]any{"t": "hello", "v": 1, "participant": annPID, "tab": "another", "resume": map[string]any{"token": secret}})
		return c
	}
	first := string(h.redeem(t, s, annPID))
	one := hello(first)
	second := one.expect(t, "welcome")["resume"].(map[string]any)["token"].(string)
	two := hello(second)
	two.expect(t, "welcome")
	one.closed(t, 4409, "")
	// The first secret was replaced, and its replacement used.
	hello(first).closed(t, 4401, "resume.invalid")
	hello("").closed(t, 4401, "authentication.required")
}

func cookies(r *answer) []*http.Cookie { return (&http.Response{Header: r.Header}).Cookies() }

// cookie returns the resume cookie of an answer.
func cookie(t *testing.T, r *answer) *http.Cookie {
	t.Helper()
	for _, c := range cookies(r) {
		if strings.HasPrefix(c.Name, "cobridge_resume_") {
			return c
		}
	}
	t.Fatalf("no resume cookie in %v", r.Header)
	return nil
}

func TestViewerResumesWithCookie(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	name := web.ResumeCookie{}.Name(string(benPID))
	first := name + "=" + string(h.redeem(t, s, benPID))
	query := "?participant=" + string(benPID) + "&tab=" + tab

	// A foreign page, or a program without an origin, does not get in with it, nor does it use it up.
	for _, origin := range []string{"https://evil.example", "null", ""} {
		if _, response, err := h.try(t, dialing{session: s.ID, query: query, cookie: first, origin: origin}); err == nil || response.StatusCode != http.StatusForbidden {
			t.Errorf("origin %q: %v, %v, want 403", origin, response, err)
		}
	}
	one := h.dial(t, dialing{session: s.ID, query: query, cookie: first, origin: "own"})
	set := cookie(t, one.answer)
	if set.Name != name || !set.HttpOnly || set.SameSite != http.SameSiteStrictMode || set.Path != "/api/v2/cobrowse/sessions/"+string(s.ID)+"/stream" {
		t.Errorf("cookie = %v, want %s, HttpOnly, SameSite=Strict, path of the stream", set, name)
	}
	if welcome := one.expect(t, "welcome"); welcome["resume"] != nil || welcome["cobrowseRole"] != "viewer" {
		t.Errorf("welcome = %v, want a viewer and no secret for the script", welcome)
	}
	two := h.dial(t, dialing{session: s.ID, query: query, cookie: name + "=" + set.Value, origin: "own"})
	two.expect(t, "welcome")
	one.closed(t, 4409, "")
	if _, response, err := h.try(t, dialing{session: s.ID, query: query, cookie: first, origin: "own"}); err == nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("old secret: %v, %v, want 401", response, err)
	}
}

// A program has no cookies; a page gets one and no secret that a script can read.
func TestNextSecretOfViewerWithToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	program := h.dial(t, dialing{session: s.ID, token: h.token(t, s, benPID)})
	if welcome := program.expect(t, "welcome"); welcome["resume"] == nil {
		t.Error("a program got no secret")
	}
	page := h.dial(t, dialing{session: s.ID, token: h.token(t, s, benPID), origin: "own"})
	cookie(t, page.answer)
	if welcome := page.expect(t, "welcome"); welcome["resume"] != nil {
		t.Error("a page's script got the secret")
	}
	hello := h.dial(t, dialing{session: s.ID, origin: "own"})
	hello.send(t, map[string]any{"t": "hello", "v": 1, "token": h.token(t, s, benPID)})
	if welcome := hello.expect(t, "welcome"); welcome["resume"] != nil {
		t.Error("a page's script got the secret")
	}
}

func TestRefusedBeforeUpgrade(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	live, over := h.start(t, agentAndSupervisor), h.start(t, agentAndSupervisor)
	overToken, otherToken := h.token(t, over, annPID), h.token(t, h.start(t, agentAndSupervisor), annPID)
	if _, err := h.End(t.Context(), org, over.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	used := h.token(t, live, annPID)
	if _, err := h.Redeem(t.Context(), used, tab); err != nil {
		t.Fatalf("Redeem: %v", err)
	}
	unknown := cobrowse.SessionID("0a1b2c3d-0000-4000-8000-00000000ffff")
	for name, tt := range map[string]struct {
		dialing
		status int
		code   cobridge.Code
	}{
		"unknown session":      {dialing{session: unknown}, 404, cobridge.CodeNotFound},
		"no id":                {dialing{session: "%2e%2e%2f" + cobrowse.SessionID(strings.Repeat("x", 99))}, 404, cobridge.CodeNotFound},
		"ended session":        {dialing{session: over.ID}, 410, cobridge.CodeSessionEnded},
		"token of an ended":    {dialing{session: over.ID, token: overToken}, 410, cobridge.CodeSessionEnded},
		"broken token":         {dialing{session: live.ID, token: "eyJh.e30.x"}, 401, cobridge.CodeJoinTokenInvalid},
		"token of another":     {dialing{session: live.ID, token: otherToken}, 401, cobridge.CodeJoinTokenInvalid},
		"used token":           {dialing{session: live.ID, token: used}, 410, cobridge.CodeJoinTokenUsed},
		"no cookie":            {dialing{session: live.ID, query: "?participant=" + string(annPID), origin: "own"}, 401, cobridge.CodeResumeInvalid},
		"long tab":             {dialing{session: live.ID, query: "?tab=" + strings.Repeat("x", 65)}, 400, cobridge.CodeInvalidQueryParam},
		"foreign origin":       {dialing{session: live.ID, origin: "https://evil.example"}, 403, cobridge.CodeNotAuthorized},
		"origin of a sandbox":  {dialing{session: live.ID, origin: "null"}, 403, cobridge.CodeNotAuthorized},
		"our port elsewhere":   {dialing{session: live.ID, origin: strings.Replace(h.base, "127.0.0.1", "localhost", 1)}, 403, cobridge.CodeNotAuthorized},
		"our host over TLS":    {dialing{session: live.ID, origin: strings.Replace(h.base, "http", "https", 1)}, 403, cobridge.CodeNotAuthorized},
		"another subprotocol":  {dialing{session: live.ID, protocols: []string{"graphql-ws"}}, 400, cobridge.CodeBadRequest},
		"no subprotocol":       {dialing{session: live.ID, protocols: []string{}}, 400, cobridge.CodeBadRequest},
		"token, but no offer":  {dialing{session: live.ID, protocols: []string{}, token: "x"}, 400, cobridge.CodeBadRequest},
		"two tokens, last bad": {dialing{session: live.ID, protocols: []string{"cobridge.v1", "cobridge.token.a"}, token: "b"}, 401, cobridge.CodeJoinTokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, response, err := h.try(t, tt.dialing)
			if err == nil {
				t.Fatal("the stream was opened")
			}
			checkEnvelope(t, response, tt.status, tt.code)
		})
	}
}

func checkEnvelope(t *testing.T, response *answer, status int, code cobridge.Code) {
	t.Helper()
	var envelope struct {
		Code      cobridge.Code `json:"code"`
		Status    int           `json:"status"`
		ContextID string        `json:"contextId"`
	}
	if err := json.Unmarshal(response.body, &envelope); err != nil {
		t.Fatalf("decode: %v", err)
	}
	if response.StatusCode != status || envelope.Status != status || envelope.Code != code || envelope.ContextID == "" {
		t.Errorf("answer = %d %+v, want %d %s", response.StatusCode, envelope, status, code)
	}
}

func get(t *testing.T, url string, head http.Header) *answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if head != nil {
		request.Header = head
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return read(t, response)
}

// A handshake that the upgrader would refuse must not use up a token.
func TestBrokenHandshakeKeepsToken(t *testing.T) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	token := h.token(t, s, annPID)
	good := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		"Sec-Websocket-Protocol": {"cobridge.v1, cobridge.token." + token},
	}
	for name, broken := range map[string]http.Header{
		"plain GET":   {"Connection": nil, "Upgrade": nil},
		"old version": {"Sec-Websocket-Version": {"8"}},
		"no key":      {"Sec-Websocket-Key": nil},
		"short key":   {"Sec-Websocket-Key": {"abcd"}},
	} {
		t.Run(name, func(t *testing.T) {
			head := good.Clone()
			maps.Copy(head, broken)
			checkEnvelope(t, get(t, h.base+"/api/v2/cobrowse/sessions/"+string(s.ID)+"/stream", head), 400, cobridge.CodeBadRequest)
			if _, _, err := h.Inspect(t.Context(), token); err != nil {
				t.Errorf("Inspect = %v, want the token to be good", err)
			}
		})
	}
}

func TestOnlyGet(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, h.base+"/api/v2/cobrowse/sessions/"+string(s.ID)+"/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, response); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD = %d, want 405", got.StatusCode)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, over := h.start(t, agentAndSupervisor), h.start(t, agentAndSupervisor)
	if _, err := h.End(t.Context(), org, over.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	secret := web.ResumeCookie{}.Name(string(benPID)) + "=" + string(h.redeem(t, s, benPID))
	at := func(id cobrowse.SessionID, query string, head http.Header) *answer {
		return get(t, h.base+"/api/v2/cobrowse/sessions/"+string(id)+"/stream/check"+query, head)
	}
	query := "?participant=" + string(benPID) + "&tab=" + tab
	for range 2 { // it uses nothing up
		if got := at(s.ID, query, http.Header{"Cookie": {secret}}).StatusCode; got != http.StatusNoContent {
			t.Errorf("good cookie: %d, want 204", got)
		}
	}
	if got := at(s.ID, "", nil).StatusCode; got != http.StatusNoContent {
		t.Errorf("without a participant: %d, want 204", got)
	}
	checkEnvelope(t, at(s.ID, query, http.Header{"Cookie": {secret + "x"}}), 401, cobridge.CodeResumeInvalid)
	checkEnvelope(t, at(s.ID, query, nil), 401, cobridge.CodeResumeInvalid)
	checkEnvelope(t, at(s.ID, query, http.Header{"Cookie": {secret}, "Origin": {"https://evil.example"}}), 403, cobridge.CodeNotAuthorized)
	checkEnvelope(t, at(over.ID, "", nil), 410, cobridge.CodeSessionEnded)
	checkEnvelope(t, at("0a1b2c3d-0000-4000-8000-00000000ffff", "", nil), 404, cobridge.CodeNotFound)
}

// The script on the customer's site asks why it was not let in, and can read the
// answer also when the session is over.
func TestCheckFromTheSite(t *testing.T) {
	t.Parallel()
	sc := prepare(t)
	at := func(origin string) *answer {
		return get(t, sc.base+"/api/v2/cobrowse/sessions/"+string(sc.session.ID)+"/stream/check", http.Header{"Origin": {origin}})
	}
	if got := at(shop); got.StatusCode != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Origin") != shop || got.Header.Get("Vary") != "Origin" {
		t.Errorf("from the site: %d %v, want 204 for the origin", got.StatusCode, got.Header)
	}
	foreign := at("https://evil.example")
	checkEnvelope(t, foreign, 403, cobridge.CodeNotAuthorized)
	if got := foreign.Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("a foreign page may read the answer: %q", got)
	}
	if _, err := sc.End(t.Context(), org, sc.session.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	over := at(shop)
	checkEnvelope(t, over, 410, cobridge.CodeSessionEnded)
	if got := over.Header.Get("Access-Control-Allow-Origin"); got != shop {
		t.Errorf("after the end the page cannot read why: %q", got)
	}
}

func TestRefusedInHello(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, other := h.start(t, agentAndSupervisor), h.start(t, agentAndSupervisor)
	for name, tt := range map[string]struct {
		hello  map[string]any
		code   int
		reason string
	}{
		"nothing shown":       {map[string]any{}, 4401, "authentication.required"},
		"broken token":        {map[string]any{"token": "x.y.z"}, 4401, "join.token.invalid"},
		"of another session":  {map[string]any{"token": h.token(t, other, annPID)}, 4401, "join.token.invalid"},
		"secret without name": {map[string]any{"resume": map[string]any{"token": "x"}}, 4401, "authentication.required"},
		"wrong secret":        {map[string]any{"participant": annPID, "resume": map[string]any{"token": "x"}}, 4401, "resume.invalid"},
		"unknown participant": {map[string]any{"participant": "nobody", "resume": map[string]any{"token": "x"}}, 4401, "resume.invalid"},
		"another version":     {map[string]any{"v": 2, "token": h.token(t, s, annPID)}, 4400, ""},
		"long token":          {map[string]any{"token": strings.Repeat("x", 4097)}, 4400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := h.dial(t, dialing{session: s.ID})
			hello := map[string]any{"t": "hello", "v": 1}
			maps.Copy(hello, tt.hello)
			c.send(t, hello)
			before := c.closed(t, tt.code, tt.reason)
			if len(before) != 1 || before[0]["t"] != "err" || before[0]["fatal"] != true {
				t.Errorf("before the close came %v, want one fatal err", before)
			}
		})
	}
}

func TestBusyAgentKeepsToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.join(t, h.start(t, agentAndSupervisor), annPID)
	s := h.start(t, agentAndSupervisor)
	token := h.token(t, s, annPID)
	c := h.dial(t, dialing{session: s.ID})
	c.send(t, map[string]any{"t": "hello", "v": 1, "token": token})
	c.closed(t, 4423, "cobrowse.agent.busy")
	_, response, err := h.try(t, dialing{session: s.ID, token: token})
	if err == nil {
		t.Fatal("a busy agent got in")
	}
	checkEnvelope(t, response, 409, cobridge.CodeConflict)
	if _, _, err := h.Inspect(t.Context(), token); err != nil {
		t.Errorf("Inspect = %v, want the token to be good", err)
	}
}

func TestDeploymentOrigin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	deployment := cobrowse.Deployment{ID: "0a1b2c3d-0000-4000-8000-0000000000dd", OrgID: org, Name: "Shop", AllowedOrigins: []string{shop}}
	if err := h.store.PutDeployment(t.Context(), deployment); err != nil {
		t.Fatalf("PutDeployment: %v", err)
	}
	s, token, err := h.StartFromDeployment(t.Context(), cobrowse.DeploymentStart{DeploymentID: deployment.ID, Origin: shop, CustomerName: "Kim"})
	if err != nil {
		t.Fatalf("StartFromDeployment: %v", err)
	}
	s, _, agent, err := h.AddParticipant(t.Context(), org, s.ID, cobrowse.Invite{UserID: ann, Role: cobrowse.RoleAgent})
	if err != nil {
		t.Fatalf("AddParticipant: %v", err)
	}
	if _, response, err := h.try(t, dialing{session: s.ID, origin: "https://evil.example"}); err == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("foreign page: %v, %v, want 403", response, err)
	}
	// The shop's page is for the sharer alone.
	viewer := h.dial(t, dialing{session: s.ID, origin: shop})
	viewer.send(t, map[string]any{"t": "hello", "v": 1, "token": agent.Raw})
	viewer.closed(t, 4403, "not.authorized")
	if _, _, err := h.Inspect(t.Context(), agent.Raw); err != nil {
		t.Errorf("Inspect = %v, want the viewer's token to be good", err)
	}
	sharer := h.dial(t, dialing{session: s.ID, origin: shop})
	sharer.send(t, map[string]any{"t": "hello", "v": 1, "token": token.Raw})
	if welcome := sharer.expect(t, "welcome"); welcome["resume"] == nil {
		t.Error("the sharer got no secret")
	}
	// And only for sessions that were started there.
	if _, response, err := h.try(t, dialing{session: h.start(t, everybody).ID, origin: shop}); err == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("another session: %v, %v, want 403", response, err)
	}
}
