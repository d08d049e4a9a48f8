package legacy_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/bridge/limit"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
)

var nineDigits = regexp.MustCompile(`^[0-9]{9}$`)

// Section 2.1 of the specification, with the cookie for load balancers.
func TestCreateSession(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t)
	b := h.browser(shop)
	for _, body := range []string{"", "not looked at"} {
		a := b.call(http.MethodPost, "/rest/live/sessions", body)
		digits, _ := a.body["sessionToken"].(string)
		if a.status != http.StatusOK || !nineDigits.MatchString(digits) || a.body["sessionServerName"] != "cob-node-a" || len(a.body) != 2 {
			t.Fatalf("create = %d %s", a.status, a.text)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json;charset=UTF-8", "Cache-Control": "no-store",
			"Access-Control-Allow-Origin": shop, "Access-Control-Allow-Credentials": "true", "gcbSessionServer": "cob-node-a",
		} {
			if got := a.head.Get(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		if cookies := strings.Join(a.head.Values("Set-Cookie"), "\n"); !strings.Contains(cookies, "gcbSessionServer=cob-node-a; path=/; HttpOnly") || strings.Contains(cookies, "Secure") {
			t.Errorf("Set-Cookie = %q, want gcbSessionServer for every path, not for TLS alone", cookies)
		}
		if got := a.head.Get("Access-Control-Expose-Headers"); !strings.Contains(got, "gcbSessionServer") || !strings.Contains(got, "Retry-After") {
			t.Errorf("Access-Control-Expose-Headers = %q", got)
		}
		s, err := h.ByToken(t.Context(), orgID, cobrowse.SessionToken(digits))
		if err != nil || s.State() != cobrowse.StateIdle || !s.Legacy || s.DeploymentID != h.cfg.Deployment {
			t.Errorf("the session is %+v, %v; want an idle one of the deployment", s, err)
		}
	}
	if a := b.call(http.MethodPost, "/rest/live/sessions/", ""); a.status != http.StatusOK {
		t.Errorf("create with a slash at the end = %d", a.status)
	}
	wantREST(t, "GET of all sessions", b.call(http.MethodGet, "/rest/live/sessions", ""), http.StatusMethodNotAllowed, "method_not_allowed")
	wantREST(t, "another page", h.browser(stranger).call(http.MethodPost, "/rest/live/sessions", ""), http.StatusForbidden, "forbidden")
	wantREST(t, "no page", h.browser("").call(http.MethodPost, "/rest/live/sessions", ""), http.StatusForbidden, "forbidden")
}

// A deployment that the configuration names and that does not exist is nobody's mistake
// who calls.
func TestCreateWithoutDeployment(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, func(cfg *legacy.ChannelsConfig) { cfg.Live.Deployment = "0a1b2c3d-0000-4000-8000-00000000dddd" })
	wantREST(t, "create", h.browser(shop).call(http.MethodPost, "/rest/live/sessions", ""), http.StatusServiceUnavailable, "service_unavailable")
}

// The line that operators look for, without what would let somebody in.
func TestCreatedLogLine(t *testing.T) {
	t.Parallel()
	for _, shown := range []bool{false, true} {
		h := newLiveHouse(t, func(cfg *legacy.ChannelsConfig) { cfg.Live.LogSessionToken = shown })
		rest := h.open()
		overCometD, _ := h.browser(shop).comet().must("create", `{}`)["sessionToken"].(string)
		for _, digits := range []string{rest, overCometD} {
			s, err := h.ByToken(t.Context(), orgID, cobrowse.SessionToken(digits))
			if err != nil {
				t.Fatal(err)
			}
			want := "level=INFO msg=\"Session created. Token: ********* Id: " + string(s.ID)
			if shown {
				want = "level=INFO msg=\"Session created. Token: " + digits + " Id: " + string(s.ID)
			}
			if !strings.Contains(h.log.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, h.log)
			}
			if got := strings.Contains(h.log.String(), digits); got != shown {
				t.Errorf("digits in the log = %t, want %t", got, shown)
			}
		}
	}
}

// Section 2.2: what everybody may know, and no more.
func TestGetSession(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t)
	digits := h.open()
	path := "/rest/live/sessions/" + digits
	want := map[string]any{"sessionToken": digits, "sessionServerName": "cob-node-a"}
	for name, ask := range map[string]func() answer{
		"a customer's page":  func() answer { return h.browser(shop).call(http.MethodGet, path, "") },
		"an agent's desktop": func() answer { return h.browser(desktop).call(http.MethodGet, path, "") },
		"by its Referer":     func() answer { return h.browser("").call(http.MethodGet, path, "", "Referer: "+desktop+"/desk?x") },
		"digits in three groups": func() answer {
			return h.browser(shop).call(http.MethodGet, "/rest/live/sessions/"+digits[:3]+"-"+digits[3:], "")
		},
	} {
		a := ask()
		if diff := cmp.Diff(want, a.body); a.status != http.StatusOK || diff != "" {
			t.Errorf("%s: get = %d (-want +got):\n%s", name, a.status, diff)
		}
	}
	for name, ask := range map[string]func() answer{
		"another page": func() answer { return h.browser(stranger).call(http.MethodGet, path, "") },
		"no page":      func() answer { return h.browser("").call(http.MethodGet, path, "") },
		"an Origin that counts more than the Referer": func() answer {
			return h.browser(stranger).call(http.MethodGet, path, "", "Referer: "+shop+"/")
		},
	} {
		a := ask()
		wantREST(t, name, a, http.StatusForbidden, "forbidden")
		if a.head.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may read the answer", name)
		}
	}
	b := h.browser(shop)
	unknown := map[bool]string{true: "000000000", false: "000000001"}[digits != "000000000"]
	for _, bad := range []string{unknown, "12345678", "1234567890", "12345678x", "%ff", strings.Repeat("1", 1000), "-", "%31%32"} {
		wantREST(t, bad, b.call(http.MethodGet, "/rest/live/sessions/"+bad, ""), http.StatusNotFound, "not_found")
	}
	s, err := h.ByToken(t.Context(), orgID, cobrowse.SessionToken(digits))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.End(t.Context(), orgID, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatal(err)
	}
	wantREST(t, "after the end", b.call(http.MethodGet, path, ""), http.StatusNotFound, "not_found")
}

func TestGetSessionServerURL(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, func(cfg *legacy.ChannelsConfig) {
		cfg.Live.ServerURL = "https://node-a.example/cobrowse?x&y"
		cfg.Live.Rules.Get = legacy.RuleOpen
		cfg.Live.Elsewhere = func(_ context.Context, token cobrowse.SessionToken) (legacy.LiveSession, error) {
			switch token {
			case "111111111":
				return legacy.LiveSession{SessionToken: token, SessionServerName: "old", SessionServerURL: "https://old.example/cobrowse"}, nil
			case "222222222":
				return legacy.LiveSession{}, &cobridge.Error{Code: cobridge.CodeUnavailable}
			default:
				return legacy.LiveSession{}, &cobridge.Error{Code: cobridge.CodeNotFound}
			}
		}
	})
	b := h.browser("")
	if a := b.call(http.MethodGet, "/rest/live/sessions/"+h.open(), ""); a.body["sessionServerUrl"] != "https://node-a.example/cobrowse?x&y" || !strings.Contains(a.text, "?x&y") {
		t.Errorf("get = %d %s", a.status, a.text)
	}
	want := map[string]any{"sessionToken": "111111111", "sessionServerName": "old", "sessionServerUrl": "https://old.example/cobrowse"}
	if diff := cmp.Diff(want, b.call(http.MethodGet, "/rest/live/sessions/111111111", "").body); diff != "" {
		t.Errorf("a session of another server (-want +got):\n%s", diff)
	}
	wantREST(t, "the other server is down", b.call(http.MethodGet, "/rest/live/sessions/222222222", ""), http.StatusServiceUnavailable, "service_unavailable")
	wantREST(t, "nobody has it", b.call(http.MethodGet, "/rest/live/sessions/333333333", ""), http.StatusNotFound, "not_found")
}

// Section 2.3: with the controller's user token alone, as often as one likes.
func TestStopSession(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t)
	b := h.browser(desktop)
	enter := func(digits string, role int) map[string]any {
		t.Helper()
		origin := map[bool]string{true: shop, false: desktop}[role == 1]
		a := h.browser(origin).call(http.MethodPost, "/rest/live/sessions/"+digits+"/join", joinData("", role), h.bearer())
		if a.status != http.StatusOK {
			t.Fatalf("join as %d = %d %s", role, a.status, a.text)
		}
		return a.body
	}
	stop := func(userToken any) answer {
		return b.call(http.MethodGet, "/rest/live/users/"+userToken.(string)+"/session/stop", "")
	}
	digits := h.open()
	customer, agent, controller := enter(digits, 1), enter(digits, 2), enter(digits, 3)
	for name, foreign := range map[string]any{"the customer": customer["userToken"], "the agent": agent["userToken"]} {
		wantREST(t, "stop by "+name, stop(foreign), http.StatusForbidden, "forbidden")
	}
	for _, bad := range []string{"x", "a.b.c", controller["userToken"].(string) + "x", strings.Repeat("x", 5000)} {
		wantREST(t, "stop by nobody", stop(bad), http.StatusNotFound, "not_found")
	}
	if a := b.call(http.MethodHead, "/rest/live/users/"+controller["userToken"].(string)+"/session/stop", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD = %d, want 405: it must stop nothing", a.status)
	}
	if s := h.sessionOf(controller["sessionHistoryId"]); !s.Live() {
		t.Fatal("refused stops have ended the session")
	}
	h.clock.Advance(time.Minute)
	ended := float64(h.clock.Now().UnixMilli())
	for range 2 {
		a := stop(controller["userToken"])
		if diff := cmp.Diff(map[string]any{"deactivationTime": ended}, a.body); a.status != http.StatusOK || diff != "" {
			t.Errorf("stop before the activation = %d (-want +got):\n%s", a.status, diff)
		}
		if got := a.head.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control = %q, want no-store", got)
		}
		h.clock.Advance(time.Minute)
	}
	if s := h.sessionOf(controller["sessionHistoryId"]); s.EndReason != cobrowse.EndStopped {
		t.Errorf("end reason = %q, want %q", s.EndReason, cobrowse.EndStopped)
	}

	digits = h.open()
	controller = enter(digits, 3)
	active := h.clock.Now()
	h.browser("").comet(h.bearer()).join(digits, 2)
	h.clock.Advance(time.Minute)
	want := map[string]any{"activationTime": float64(active.UnixMilli()), "deactivationTime": float64(h.clock.Now().UnixMilli())}
	if diff := cmp.Diff(want, stop(controller["userToken"]).body); diff != "" {
		t.Errorf("stop after the activation (-want +got):\n%s", diff)
	}
	wantREST(t, "join after the end", h.browser(shop).call(http.MethodPost, "/rest/live/sessions/"+digits+"/join", `{"role":1}`), http.StatusGone, "gone")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	for want, ready := range map[int]func(context.Context) error{
		200: nil, 503: func(context.Context) error { return errors.New("starting") },
	} {
		h := newLiveHouse(t, func(cfg *legacy.ChannelsConfig) { cfg.Live.Ready = ready })
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if a := h.browser("").call(method, "/health", ""); a.status != want || a.text != "" {
				t.Errorf("%s = %d %q, want %d and nothing", method, a.status, a.text, want)
			}
		}
	}
}

// The twin of the CometD channel, for pages with a stream.
func TestJoinOverREST(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t)
	digits := h.open()
	path := "/rest/live/sessions/" + digits + "/join"
	kim, ada := h.browser(shop), h.browser(desktop)
	a := kim.call(http.MethodPost, path, `{"role":1,"name":"Kim Customer"}`)
	joinToken, _ := a.body["joinToken"].(string)
	historyID := a.body["sessionHistoryId"]
	if a.status != http.StatusOK || a.body["userId"] != 1.0 || joinToken == "" || a.body["expiresAt"].(float64) <= float64(h.clock.Now().UnixMilli()) {
		t.Fatalf("join = %d %s", a.status, a.text)
	}
	if diff := cmp.Diff([]any{}, a.body["users"]); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	in, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: cobrowse.SessionID(historyID.(string)), Token: joinToken, Tab: "tab"})
	if err != nil || string(in.Participant.ID) != a.body["participantId"] || in.Participant.Name != "Kim Customer" {
		t.Fatalf("Connect = %+v, %v", in, err)
	}
	desk := strings.Join(a.head.Values("Set-Cookie"), "\n")
	if !regexp.MustCompile(`cobridgeDesk=[A-Z2-7]{26}; max-age=31536000; path=/cobrowse; HttpOnly`).MatchString(desk) {
		t.Errorf("Set-Cookie = %q, want a cobridgeDesk", desk)
	}
	if again := kim.call(http.MethodPost, path, `{"role":1}`); again.status != http.StatusOK || again.body["participantId"] != a.body["participantId"] || len(again.head.Values("Set-Cookie")) != 0 {
		t.Errorf("the same browser again = %d %s %v, want the same customer and no new cookie", again.status, again.text, again.head)
	}
	wantREST(t, "a second customer", h.browser(shop).call(http.MethodPost, path, `{"role":1}`), http.StatusConflict, "conflict")
	other := h.browser(shop).call(http.MethodPost, path, `{"role":1,"userToken":"`+a.body["userToken"].(string)+`"}`)
	if other.status != http.StatusOK || other.body["participantId"] != a.body["participantId"] {
		t.Errorf("another browser with the user token = %d %s", other.status, other.text)
	}

	agent := ada.call(http.MethodPost, path, `{"role":2,"name":"Ada Agent"}`, h.bearer())
	if diff := cmp.Diff([]any{map[string]any{"userId": "1", "role": 1.0, "name": "Kim Customer"}}, agent.body["users"]); agent.status != http.StatusOK || diff != "" {
		t.Errorf("join of the agent = %d %s, users (-want +got):\n%s", agent.status, agent.text, diff)
	}
	if cookies := strings.Join(agent.head.Values("Set-Cookie"), "\n"); !strings.Contains(cookies, "gcbSessionServer=cob-node-a") {
		t.Errorf("Set-Cookie = %q, want gcbSessionServer", cookies)
	}
	controller := ada.call(http.MethodPost, path, `{"role":3}`, h.bearer())
	if controller.status != http.StatusOK || controller.body["joinToken"] != nil || controller.body["expiresAt"] != nil || controller.body["userToken"] == nil {
		t.Errorf("join of a controller = %d %s, want no join token", controller.status, controller.text)
	}

	a = ada.call(http.MethodPost, path, `{"role":2}`)
	wantREST(t, "an agent without a token", a, http.StatusUnauthorized, "unauthorized")
	if got := a.head.Get("WWW-Authenticate"); got != `Bearer realm="cobridge"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
	basicHouse := newLiveHouse(t, func(cfg *legacy.ChannelsConfig) { cfg.Live.Rules.Controller = legacy.RuleBasic })
	a = basicHouse.browser(desktop).call(http.MethodPost, "/rest/live/sessions/"+digits+"/join", `{"role":3}`)
	wantREST(t, "a controller without credentials", a, http.StatusUnauthorized, "unauthorized")
	if got := a.head.Get("WWW-Authenticate"); got != `Basic realm="cobridge", charset="UTF-8"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
	wantREST(t, "an agent of another organisation", ada.call(http.MethodPost, path, `{"role":2}`, "Authorization: Bearer "+h.accessToken("other", "0a1b2c3d-0000-4000-8000-000000000002")), http.StatusNotFound, "not_found")
	wantREST(t, "a customer of another page", h.browser(stranger).call(http.MethodPost, path, `{"role":1}`), http.StatusForbidden, "forbidden")
	for _, bad := range []string{``, `[]`, `{`, `{}`, `{"role":"2"}`, `{"role":0}`, `{"role":4}`, `{"role":-1}`, `{"role":1.5}`, `{"role":1,"name":7}`, `{"role":1,"userToken":{}}`} {
		wantREST(t, "a body of "+bad, kim.call(http.MethodPost, path, bad), http.StatusBadRequest, "bad_request")
	}
	wantREST(t, "a giant name", h.browser(shop).call(http.MethodPost, "/rest/live/sessions/"+h.open()+"/join", `{"role":1,"name":"`+strings.Repeat("x", 1000)+`"}`), http.StatusBadRequest, "bad_request")
	wantREST(t, "a giant body", kim.call(http.MethodPost, path, `{"role":1,"name":"`+strings.Repeat("x", 5000)+`"}`), http.StatusRequestEntityTooLarge, "request_entity_too_large")
	wantREST(t, "another content type", kim.call(http.MethodPost, path, `{"role":1}`, "Content-Type: text/plain"), http.StatusUnsupportedMediaType, "unsupported_media_type")
	wantREST(t, "a user token of nobody", kim.call(http.MethodPost, path, `{"role":1,"userToken":"x"}`), http.StatusNotFound, "not_found")
	foreign := h.browser(shop).call(http.MethodPost, "/rest/live/sessions/"+h.open()+"/join", `{"role":1}`)
	wantREST(t, "a user token of another session", kim.call(http.MethodPost, path, `{"role":1,"userToken":"`+foreign.body["userToken"].(string)+`"}`), http.StatusNotFound, "not_found")
}

// Wrong digits count, whichever way they come; what cannot be digits does not.
func TestGuesses(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, deskRules)
	limited := func(network, all int) *liveHouse {
		return newLiveHouse(t, deskRules, func(cfg *legacy.ChannelsConfig) {
			cfg.Live.Limits.SessionTokens = limit.NewScan(limit.ScanConfig{Each: network, Strangers: all, Acquaintances: all, Clock: h.clock.Now})
		})
	}
	for name, limits := range map[string][2]int{"of one network": {3, 1000}, "of everybody": {1000, 3}} {
		h := limited(limits[0], limits[1])
		b, c := h.browser(desktop), h.browser(desktop).comet()
		digits := h.open()
		for range 10 {
			wantREST(t, "no digits", b.call(http.MethodGet, "/rest/live/sessions/12345678", ""), http.StatusNotFound, "not_found")
			if _, failure := c.publish("join", joinData("12345678", 2)); failure != "404::No such session" {
				t.Errorf("join with eight digits = %q", failure)
			}
		}
		wrong := "000000000"
		if digits == wrong {
			wrong = "000000001"
		}
		wantREST(t, "get", b.call(http.MethodGet, "/rest/live/sessions/"+wrong, ""), http.StatusNotFound, "not_found")
		wantREST(t, "join", b.call(http.MethodPost, "/rest/live/sessions/"+wrong+"/join", `{"role":2}`), http.StatusNotFound, "not_found")
		if _, failure := c.publish("join", joinData(wrong, 2)); failure != "404:"+wrong+":No such session" {
			t.Errorf("join over CometD = %q", failure)
		}
		a := b.call(http.MethodGet, "/rest/live/sessions/"+digits, "")
		wantREST(t, name+": the right digits after three wrong ones", a, http.StatusTooManyRequests, "too_many_requests")
		if a.head.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		if _, failure := c.publish("join", joinData(digits, 2)); !strings.HasPrefix(failure, "429:") {
			t.Errorf("%s: the right digits over CometD = %q, want 429", name, failure)
		}
	}
}

func TestLivePreflight(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t)
	for path, method := range map[string]string{
		"/rest/live/sessions": "POST", "/rest/live/sessions/407215938": "GET", "/rest/live/sessions/407215938/join": "POST",
		"/rest/live/users/x/session/stop": "GET", "/cometd": "GET, POST", "/cometd/handshake": "GET, POST",
	} {
		for origin, status := range map[string]int{shop: 204, desktop: 204, stranger: 204} {
			a := h.browser(origin).call(http.MethodOptions, path, "", "Access-Control-Request-Method: POST")
			allowed := origin != stranger
			if strings.HasPrefix(path, "/cometd") && !allowed {
				status = http.StatusForbidden
			}
			if got := a.head.Get("Access-Control-Allow-Methods"); a.status != status || allowed && (got != method || a.head.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(a.head.Get("Access-Control-Allow-Headers"), "gcbSessionServer")) || !allowed && a.head.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("preflight of %s for %s = %d %v", path, origin, a.status, a.head)
			}
		}
	}
}

// Sessions begun are limited like those of the customer script.
func TestStartLimit(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, func(cfg *legacy.ChannelsConfig) {
		cfg.Live.Limits.Starts = limit.New(limit.Config{PerMinute: 2, Clock: testenv.NewClock(t0).Now})
	})
	b, c := h.browser(shop), h.browser(shop).comet()
	if a := b.call(http.MethodPost, "/rest/live/sessions", ""); a.status != http.StatusOK {
		t.Fatalf("create = %d", a.status)
	}
	c.must("create", `{}`)
	wantREST(t, "the third session", b.call(http.MethodPost, "/rest/live/sessions", ""), http.StatusTooManyRequests, "too_many_requests")
	if _, failure := c.publish("create", `{}`); !strings.HasPrefix(failure, "429:") {
		t.Errorf("the fourth session over CometD = %q, want 429", failure)
	}
}
