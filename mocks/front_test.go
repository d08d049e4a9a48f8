package mocks_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/mocks"
)

var joinToken = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)

// Faults are seen over the wire as a client sees them in truth.
func TestFaultsOverTheWire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		spec   string
		check  func(answer) bool
		done   bool // the session is there nevertheless
		action func(*remote)
	}{
		{spec: "429;retryAfter=3", check: func(a answer) bool {
			return a.status == 429 && a.header.Get("Retry-After") == "3" && a.member("code") != ""
		}},
		{spec: "500", check: func(a answer) bool { return a.status == 500 && a.member("contextId") != "" }},
		{spec: "503;retryAfter=9", check: func(a answer) bool { return a.status == 503 && a.header.Get("Retry-After") == "9" }},
		{spec: "504", check: func(a answer) bool { return a.status == 504 && a.member("code") == "request.timeout" }},
		{spec: "401", check: func(a answer) bool { return a.status == 401 && a.member("code") == "bad.credentials" }},
		{spec: "html502", check: func(a answer) bool {
			return a.status == 502 && a.header.Get("Content-Type") == "text/html" && strings.Contains(string(a.body), "<h1>502")
		}},
		{spec: "html503", check: func(a answer) bool { return a.status == 503 && strings.Contains(string(a.body), "<html>") }},
		{spec: "html504", check: func(a answer) bool { return a.status == 504 && strings.Contains(string(a.body), "<html>") }},
		{spec: "connectionReset", check: func(a answer) bool { return errors.Is(a.err, syscall.ECONNRESET) || errors.Is(a.err, io.EOF) }},
		{spec: "answerLost", check: func(a answer) bool { return errors.Is(a.err, syscall.ECONNRESET) || errors.Is(a.err, io.EOF) }, done: true},
		{spec: "cutBody", check: func(a answer) bool {
			return a.status == 201 && len(a.body) > 10 && errors.Is(a.err, io.ErrUnexpectedEOF)
		}, done: true},
		{spec: "malformedJson", check: func(a answer) bool { return a.status == 201 && len(a.body) > 10 && a.err == nil && !json.Valid(a.body) }, done: true},
		{spec: "delay;seconds=0.05", check: func(a answer) bool { return a.status == 201 && json.Valid(a.body) }, done: true},
	} {
		t.Run(tt.spec, func(t *testing.T) {
			t.Parallel()
			spec, err := mocks.ParseFault("POST /api/v2/cobrowse/sessions=" + tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			r := listen(t, mocks.ServerOptions{Faults: []mocks.FaultSpec{spec}})
			r.authorize()
			var pending struct{ Faults []mocks.PendingFault }
			if r.admin(http.MethodGet, "/faults", "", http.StatusOK, &pending); len(pending.Faults) != 1 || pending.Faults[0].FaultSpec != spec || pending.Faults[0].Left != 1 {
				t.Errorf("pending faults are %+v, want %+v", pending.Faults, spec)
			}
			if got := r.create(); !tt.check(got) {
				t.Errorf("create = %d %v %q, %v", got.status, got.header, got.body, got.err)
			}
			var all struct{ Sessions []look }
			if r.admin(http.MethodGet, "/sessions", "", http.StatusOK, &all); (len(all.Sessions) == 1) != tt.done {
				t.Errorf("there are %d sessions; carried out: want %t", len(all.Sessions), tt.done)
			}
			var calls struct{ Calls []struct{ Fault string } }
			if r.admin(http.MethodGet, "/calls?route=POST+/api/v2/cobrowse/sessions", "", http.StatusOK, &calls); len(calls.Calls) != 1 || calls.Calls[0].Fault == "" {
				t.Errorf("calls are %+v, want one with a fault", calls.Calls)
			}
			r.admin(http.MethodPost, "/clock", `{"advanceSeconds":10}`, http.StatusOK, nil)
			if tt.spec == "401" {
				r.authorize()
			}
			want := http.StatusCreated
			if tt.done {
				want = http.StatusConflict
			}
			if got := r.create(); got.status != want {
				t.Errorf("create afterwards = %d %s (%v), want %d", got.status, got.body, got.err, want)
			}
			if n := r.server.Problems(); n != 0 {
				t.Errorf("%d problems, want none", n)
			}
		})
	}
}

func TestParseFault(t *testing.T) {
	t.Parallel()
	got, err := mocks.ParseFault(" POST /a/{b} = 429 ; retryAfter=2.5;times=3;after=1")
	if want := (mocks.FaultSpec{Route: "POST /a/{b}", Fault: "429", RetryAfter: 2.5, Times: 3, After: 1}); err != nil || got != want {
		t.Errorf("ParseFault = %+v, %v, want %+v", got, err, want)
	}
	for text, want := range map[string]string{
		"":                          "ROUTE=FAULT",
		"GET /x":                    "ROUTE=FAULT",
		"=500":                      "no route",
		"GET /x=teapot":             "there are 401, 429",
		"GET /x=500;color=red":      `no "color"`,
		"GET /x=429;times=often":    "no number",
		"GET /x=500;retryAfter=1":   "no retryAfter",
		"GET /x=delay":              "a delay has seconds",
		"GET /x=500;seconds=2":      "a delay has seconds",
		"GET /x=429;retryAfter=-1":  "out of range",
		"GET /x=429;retryAfter=NaN": "out of range",
		"GET /x=500;times=-1":       "1 or more",
		"GET /x=500;times=0":        "1 or more",
		"GET /x=500;after=-1":       "below 0",
	} {
		if _, err := mocks.ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseFault(%q) = %v, want %q in it", text, err, want)
		}
	}
}

// What matches no route is answered as the service does, and listed with the nearest.
func TestUnmatchedOverTheWire(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{})
	r.authorize()
	if got := r.send(http.MethodPost, "/api/v2/cobrowse/session", "{}"); got.status != http.StatusNotFound || got.member("code") != "not.found" {
		t.Errorf("an unknown path = %d %s, want the service's 404", got.status, got.body)
	}
	if got := r.send(http.MethodPut, "/api/v2/cobrowse/sessions", "{}"); got.status != http.StatusMethodNotAllowed {
		t.Errorf("an unknown method = %d, want 405", got.status)
	}
	var calls struct {
		Calls []struct{ Method, Path, Nearest string }
	}
	r.admin(http.MethodGet, "/calls?unmatched=true", "", http.StatusOK, &calls)
	if len(calls.Calls) != 2 || !strings.HasSuffix(calls.Calls[0].Nearest, "POST /api/v2/cobrowse/sessions") || !strings.Contains(calls.Calls[1].Nearest, "GET, HEAD, POST") {
		t.Errorf("unmatched calls are %+v, want two with the nearest routes", calls.Calls)
	}
	if n := r.server.Problems(); n != 2 {
		t.Errorf("%d problems, want 2", n)
	}
}

// The record of calls has no token and no secret in it, wherever it was sent.
func TestCallsKeepNoSecret(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{})
	r.authorize()
	raw := r.token
	r.create()
	r.send(http.MethodGet, "/cobrowse/join?token="+raw, "")
	r.send(http.MethodGet, "/typo/"+raw, "")
	r.send(http.MethodPost, "/oauth/revoke", "token="+raw, "Content-Type", "application/x-www-form-urlencoded", "Cookie", "a="+raw)
	r.send(http.MethodPost, "/api/v2/cobrowse/join", `{"more":[{"token":"`+raw+`"}]}`, "X-Api-Token", raw)
	got := r.send(http.MethodGet, mocks.AdminPath+"/calls", "")
	for _, secret := range []string{raw, r.server.Info().ClientSecret} {
		if strings.Contains(string(got.body), secret) {
			t.Errorf("the calls have a secret in them: %s", got.body)
		}
	}
	for _, text := range []string{`"conversationId":"` + r.server.Info().ConversationID, `"client_secret":["***"]`, `"grant_type":["client_credentials"]`, `"token":"***"`, `/typo/***`} {
		if !strings.Contains(string(got.body), text) {
			t.Errorf("the calls have no %s: %s", text, got.body)
		}
	}
}

// A page that is open in a browser of this machine cannot steer the double.
func TestAdminKeepsPagesOut(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{})
	port := r.base[strings.LastIndex(r.base, ":"):]
	for _, tt := range []struct {
		name   string
		path   string
		header []string
		want   int
	}{
		{"a test", "/info", nil, 200},
		{"localhost", "/info", []string{"Host", "LocalHost" + port}, 200},
		{"IPv6", "/info", []string{"Host", "[::1]" + port}, 200},
		{"a name that leads here", "/info", []string{"Host", "rebound.invalid" + port}, 403},
		{"another port", "/info", []string{"Host", "127.0.0.1:1"}, 403},
		{"a page of another origin", "/info", []string{"Origin", "https://page.invalid"}, 403},
		{"a page without an origin", "/info", []string{"Origin", "null"}, 403},
		{"a page's own origin", "/info", []string{"Origin", r.base, "Sec-Fetch-Site", "same-origin"}, 200},
		{"an image", "/info", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"the address bar", "/info", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, 200},
		{"a link to the page that joins", "/join/agent", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 303},
		{"a link to something else", "/info", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
	} {
		if got := r.send(http.MethodGet, mocks.AdminPath+tt.path, "", tt.header...); got.status != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.name, got.status, got.body, tt.want)
		}
	}
	if got := r.send(http.MethodGet, "/version", "", "Host", "anything.invalid"); got.status != http.StatusOK {
		t.Errorf("the service itself under another name = %d, want 200", got.status)
	}
}

// The clock of a token and of a session is the mock's; one that runs goes on by itself.
func TestClockOverTheWire(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{Running: true})
	r.authorize()
	id := r.create().member("sessionId")
	type clock struct {
		Now     time.Time
		Running bool
	}
	var before, after clock
	r.admin(http.MethodGet, "/clock", "", http.StatusOK, &before)
	for after = before; !after.Now.After(before.Now); { // each call takes some time
		r.admin(http.MethodGet, "/clock", "", http.StatusOK, &after)
	}
	if !before.Running || after.Now.Sub(before.Now) > time.Minute {
		t.Errorf("the clock went from %+v to %+v", before, after)
	}
	r.admin(http.MethodPost, "/clock", `{"advanceSeconds":86401}`, http.StatusOK, &after) // tokens live for whole seconds
	if d := after.Now.Sub(before.Now); d < 24*time.Hour || d > 25*time.Hour {
		t.Errorf("the clock was turned by %s, want a day", d)
	}
	if got := r.create(); got.status != http.StatusUnauthorized {
		t.Errorf("a day later create = %d, want 401", got.status)
	}
	var session look
	if r.admin(http.MethodGet, "/sessions/"+id, "", http.StatusOK, &session); session.EndReason != "neverJoined" {
		t.Errorf("a day later the session is %+v, want it ended because nobody joined", session)
	}
}

// WebSockets go through, and end with a reset.
func TestNotificationsOverTheWire(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{})
	r.authorize()
	channel := r.send(http.MethodPost, "/api/v2/notifications/channels", "")
	id, uri := channel.member("id"), channel.member("connectUri")
	if !strings.HasPrefix(uri, strings.Replace(r.base, "http:", "ws:", 1)) {
		t.Fatalf("connectUri is %q, want one of %s", uri, r.base)
	}
	if got := r.send(http.MethodPut, "/api/v2/notifications/channels/"+id+"/subscriptions", `[{"id":"v2.users.`+r.server.Info().AgentUserID+`.conversations"}]`); got.status != http.StatusOK {
		t.Fatalf("subscribe = %d %s", got.status, got.body)
	}
	conn, resp, err := (&websocket.Dialer{HandshakeTimeout: 10 * time.Second}).DialContext(t.Context(), uri, nil)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer func() { _ = conn.Close() }()
	_ = resp.Body.Close()
	r.admin(http.MethodPost, "/conversations", "", http.StatusCreated, nil)
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	var notice struct{ TopicName string }
	for !strings.Contains(notice.TopicName, r.server.Info().AgentUserID) { // others come first: the connection's own
		if err := conn.ReadJSON(&notice); err != nil {
			t.Fatalf("wait for a notice of the agent's conversations: %v", err)
		}
	}
	r.admin(http.MethodPost, "/reset", "", http.StatusOK, nil)
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
	if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != websocket.CloseGoingAway {
		t.Errorf("after a reset the socket ended with %v, want %d", err, websocket.CloseGoingAway)
	}
}

// Long polls go through: an answer that comes when there is something to say.
func TestCometDOverTheWire(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{Legacy: true})
	post := func(body string) answer {
		return r.send(http.MethodPost, "/cobrowse/cometd", body, "Origin", mocks.SiteOrigin)
	}
	shaken := post(`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`)
	var hand []struct {
		ClientID   string
		Successful bool
	}
	if err := json.Unmarshal(shaken.body, &hand); err != nil || len(hand) != 1 || !hand[0].Successful {
		t.Fatalf("handshake = %d %s (%v)", shaken.status, shaken.body, err)
	}
	connect := `[{"channel":"/meta/connect","clientId":"` + hand[0].ClientID + `","connectionType":"long-polling"}]`
	polled := make(chan answer, 1)
	go func() { polled <- post(connect) }()
	// The poll is under way when it stands in the record without an answer.
	for waiting := false; !waiting; {
		var calls struct {
			Calls []struct {
				Path   string
				Status int
			}
		}
		r.admin(http.MethodGet, "/calls", "", http.StatusOK, &calls)
		waiting = len(calls.Calls) == 2 && calls.Calls[1].Status == 0
	}
	if got := post(`[{"channel":"/meta/disconnect","clientId":"` + hand[0].ClientID + `"}]`); got.status != http.StatusOK {
		t.Errorf("disconnect = %d %s", got.status, got.body)
	}
	if got := <-polled; got.status != http.StatusOK || !strings.Contains(string(got.body), "/meta/connect") {
		t.Errorf("the long poll = %d %s (%v), want an answer at the end", got.status, got.body, got.err)
	}
}

// The links lead everybody into one session, beside the scenario's conversation.
func TestJoinLinks(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{})
	info := r.server.Info()
	for range 2 {
		for _, link := range []string{info.CustomerURL, info.JoinURLs.Agent, info.JoinURLs.Supervisor} {
			got := r.send(http.MethodGet, strings.TrimPrefix(link, r.base), "")
			where := got.header.Get("Location")
			if got.status != http.StatusSeeOther || !strings.HasPrefix(where, r.base+"/cobrowse/join?token=") {
				t.Errorf("%s = %d to %q, want the join page", link, got.status, where)
			}
			if page := r.send(http.MethodGet, strings.TrimPrefix(where, r.base), ""); page.status != http.StatusOK || !strings.Contains(page.header.Get("Content-Type"), "text/html") {
				t.Errorf("%s = %d", where, page.status)
			}
		}
	}
	var all struct{ Sessions []look }
	r.admin(http.MethodGet, "/sessions", "", http.StatusOK, &all)
	if len(all.Sessions) != 1 || all.Sessions[0].ConversationID == info.ConversationID {
		t.Fatalf("sessions are %+v, want one on a conversation of its own", all.Sessions)
	}
	r.admin(http.MethodDelete, "/conversations/"+all.Sessions[0].ConversationID, "", http.StatusOK, nil)
	r.admin(http.MethodGet, "/join/agent", "", http.StatusSeeOther, nil)
	if r.admin(http.MethodGet, "/sessions", "", http.StatusOK, &all); len(all.Sessions) != 2 {
		t.Errorf("%d sessions, want a new one after the end of the first", len(all.Sessions))
	}
}

// A body that is too long is refused in the service's words, and not kept.
func TestLongBodyOverTheWire(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{})
	r.authorize()
	got := r.send(http.MethodPost, "/api/v2/cobrowse/sessions", `{"x":"`+strings.Repeat("x", 1<<20)+`"}`)
	if got.err == nil && got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a megabyte = %d %s, want 413", got.status, got.body)
	}
}

// A request under way when the double ends is answered, and the end does not hang.
func TestEndWithStreamsOpen(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{})
	r.authorize()
	uri := r.send(http.MethodPost, "/api/v2/notifications/channels", "").member("connectUri")
	conn, resp, err := (&websocket.Dialer{HandshakeTimeout: 10 * time.Second}).DialContext(t.Context(), uri, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	// It is still open when the server is told to end, which must not take long.
	begin := time.Now()
	if err := r.stop(); err != nil {
		t.Errorf("the end = %v", err)
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("the end took %s", took)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
	if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != websocket.CloseGoingAway {
		t.Errorf("the socket ended with %v, want %d", err, websocket.CloseGoingAway)
	}
	_ = conn.Close()
}

// The live stream goes through: who connects is in the session.
func TestStreamOverTheWire(t *testing.T) {
	t.Parallel()
	r := listen(t, mocks.ServerOptions{}) // its time is not the world's
	r.authorize()
	var created struct {
		SessionID    string
		Participants []struct{ JoinURL string }
	}
	if got := r.create(); json.Unmarshal(got.body, &created) != nil || len(created.Participants) != 2 {
		t.Fatalf("create = %d %s", got.status, got.body)
	}
	address := strings.Replace(r.base, "http:", "ws:", 1) + "/api/v2/cobrowse/sessions/" + created.SessionID + "/stream"
	for _, p := range created.Participants {
		dialer := &websocket.Dialer{HandshakeTimeout: 10 * time.Second, Subprotocols: []string{"cobridge.v1", "cobridge.token." + joinToken.FindString(p.JoinURL)}}
		conn, resp, err := dialer.DialContext(t.Context(), address, nil)
		if err != nil {
			t.Fatalf("connect: %v", err)
		}
		defer func() { _ = conn.Close() }()
		_ = resp.Body.Close()
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		var frame struct{ T, Session string }
		if err := conn.ReadJSON(&frame); err != nil || frame.T != "welcome" || frame.Session != created.SessionID {
			t.Fatalf("first frame = %+v, %v, want welcome", frame, err)
		}
	}
	var session look
	if r.admin(http.MethodGet, "/sessions/"+created.SessionID, "", http.StatusOK, &session); session.State != "active" || !session.Participants[0].Connected || !session.Participants[1].Connected {
		t.Errorf("with both streams open the session is %+v, want active and both connected", session)
	}
}

// Webhooks reach a receiver on this machine.
func TestWebhookFromServer(t *testing.T) {
	t.Parallel()
	told := make(chan string, 8)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Webhook-Signature") != "" {
			told <- string(body)
		}
	}))
	t.Cleanup(receiver.Close)
	r := listen(t, mocks.ServerOptions{})
	r.authorize()
	if got := r.send(http.MethodPost, "/api/v2/cobrowse/webhooks", `{"url":"`+receiver.URL+`/hook","events":["cobrowse.session.created"]}`); got.status != http.StatusCreated {
		t.Fatalf("create a webhook = %d %s", got.status, got.body)
	}
	id := r.create().member("sessionId")
	select {
	case body := <-told:
		if !strings.Contains(body, id) {
			t.Errorf("the receiver was told %s, want session %s", body, id)
		}
	case <-time.After(30 * time.Second):
		t.Error("the receiver was told nothing")
	}
}
