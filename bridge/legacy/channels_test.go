package legacy_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/oauth"
)

// Section 3 of the specification, once through.
func TestChannels(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t)
	kim, sam, ada := h.browser(shop).comet(), h.browser("").comet(h.bearer()), h.browser(desktop).comet(h.bearer())

	created := kim.must("create", `{}`)
	digits, _ := created["sessionToken"].(string)
	if !nineDigits.MatchString(digits) || len(created) != 1 {
		t.Fatalf("create = %v", created)
	}
	if a := h.browser(shop).call(http.MethodGet, "/rest/live/sessions/"+digits, ""); a.status != http.StatusOK {
		t.Errorf("get = %d %s", a.status, a.text)
	}
	check := func(what string, got map[string]any, number int, users ...any) string {
		t.Helper()
		token, _ := got["userToken"].(string)
		history, _ := got["sessionHistoryId"].(string)
		want := map[string]any{"userToken": token, "userId": float64(number), "users": append([]any{}, users...), "sessionHistoryId": history}
		if diff := cmp.Diff(want, got); diff != "" || token == "" || len(history) != 36 {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		return token
	}
	check("the customer's join", kim.join(digits, 1, `,"name":"Kim Customer"`), 1)
	control := check("the controller's join", sam.join(digits, 3), 2, map[string]any{"userId": "1", "role": 1.0, "name": "Kim Customer"})
	h.clock.Advance(time.Second)
	active := h.clock.Now().UnixMilli()
	joined := ada.join(digits, 2, `,"name":"Ada Agent"`)
	if ada.before != 0 {
		t.Errorf("before the answer came %v", ada.diary[:ada.before])
	}
	check("the agent's join", joined, 3, map[string]any{"userId": "1", "role": 1.0, "name": "Kim Customer"}, map[string]any{"userId": "2", "role": 3.0})
	h.clock.Advance(time.Minute)
	ended := h.clock.Now().UnixMilli()
	if got := sam.must("stop", `{"userToken":"`+control+`"}`); len(got) != 0 {
		t.Errorf("stop = %v, want {}", got)
	}
	activated, deactivated := fmt.Sprintf(`activated {"activationTime":%d}`, active), fmt.Sprintf(`deactivated {"activationTime":%d,"deactivationTime":%d}`, active, ended)
	const agentCame = `joined {"name":"Ada Agent","role":2,"userId":"3"}`
	for who, tt := range map[string]struct {
		client *cometd
		want   []string
	}{
		"customer":   {kim, []string{`joined {"role":3,"userId":"2"}`, agentCame, activated, deactivated}},
		"controller": {sam, []string{agentCame, activated, deactivated}},
		"agent":      {ada, []string{activated, deactivated}},
	} {
		if diff := cmp.Diff(tt.want, tt.client.until(len(tt.want))); diff != "" {
			t.Errorf("the %s heard (-want +got):\n%s", who, diff)
		}
		tt.client.quiet(len(tt.want))
	}
	if got := sam.must("stop", `{"userToken":"`+control+`"}`); len(got) != 0 {
		t.Errorf("stop once more = %v, want {}", got)
	}
	if _, failure := kim.publish("exit", `{"userToken":"`+control+`"}`); failure != "410::The session was deactivated" {
		t.Errorf("exit after the end = %q", failure)
	}
	if n := h.channels.Rooms(); n != 0 {
		t.Errorf("%d rooms are left", n)
	}
	s := h.sessionOf(joined["sessionHistoryId"])
	if s.EndReason != cobrowse.EndStopped {
		t.Errorf("end reason = %q, want %q", s.EndReason, cobrowse.EndStopped)
	}
	h.browser("").call(http.MethodGet, "/rest/live/users/"+control+"/session/stop", "")
	for what, secret := range map[string]string{
		"the digits": digits, "a user token": control, "the access token": h.token, "a client's id": kim.id, "a browser's name": kim.cookies[1].Value, "a person's name": "Kim",
	} {
		if secret == "" || strings.Contains(h.log.String(), secret) {
			t.Errorf("%s (%q) is in the log:\n%s", what, secret, h.log)
		}
	}
}

// Whatever surface ends a session, CometD clients hear it, once.
func TestDeactivated(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *liveHouse, cobrowse.Session, map[string]*cometd, map[string]map[string]any){
		"the customer's exit": func(_ *testing.T, _ *liveHouse, _ cobrowse.Session, who map[string]*cometd, in map[string]map[string]any) {
			who["kim"].must("exit", `{"userToken":"`+in["kim"]["userToken"].(string)+`"}`)
		},
		"the agent's exit, said by somebody else": func(_ *testing.T, _ *liveHouse, _ cobrowse.Session, who map[string]*cometd, in map[string]map[string]any) {
			who["sam"].must("exit", `{"userToken":"`+in["ada"]["userToken"].(string)+`"}`)
		},
		"a stop over REST": func(t *testing.T, h *liveHouse, _ cobrowse.Session, _ map[string]*cometd, in map[string]map[string]any) {
			if a := h.browser("").call(http.MethodGet, "/rest/live/users/"+in["sam"]["userToken"].(string)+"/session/stop", ""); a.status != http.StatusOK {
				t.Fatalf("stop = %d %s", a.status, a.text)
			}
		},
		"the end over the API": func(t *testing.T, h *liveHouse, s cobrowse.Session, _ map[string]*cometd, _ map[string]map[string]any) {
			if _, err := h.End(t.Context(), orgID, s.ID, cobrowse.EndRequested); err != nil {
				t.Fatal(err)
			}
		},
		"a time-out": func(t *testing.T, h *liveHouse, _ cobrowse.Session, _ map[string]*cometd, _ map[string]map[string]any) {
			h.clock.Advance(time.Hour)
			if _, err := h.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newLiveHouse(t, deskRules)
			digits := h.open()
			who := map[string]*cometd{"kim": h.browser(shop).comet(), "sam": h.browser(desktop).comet(), "ada": h.browser(desktop).comet()}
			in := map[string]map[string]any{"kim": who["kim"].join(digits, 1), "sam": who["sam"].join(digits, 3), "ada": who["ada"].join(digits, 2)}
			s := h.sessionOf(in["kim"]["sessionHistoryId"])
			end(t, h, s, who, in)
			for name, want := range map[string][]string{
				"kim": {"joined", "joined", "activated", "deactivated"}, "sam": {"joined", "activated", "deactivated"}, "ada": {"activated", "deactivated"},
			} {
				if diff := cmp.Diff(want, who[name].heard(len(want))); diff != "" {
					t.Errorf("%s heard (-want +got):\n%s", name, diff)
				}
				who[name].quiet(len(want))
				if _, failure := who[name].publish("join", joinData(digits, 3)); name != "kim" && failure != "410:"+digits+":The session was deactivated" {
					t.Errorf("%s joins after the end = %q, want 410", name, failure)
				}
			}
			if n := h.channels.Rooms(); n != 0 {
				t.Errorf("%d rooms are left", n)
			}
		})
	}
}

// A session that never was active has one stamp.
func TestDeactivatedBeforeActivation(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, deskRules)
	kim, sam, digits := h.browser(shop).comet(), h.browser(desktop).comet(), h.open()
	kim.join(digits, 1)
	sam.must("stop", `{"userToken":"`+sam.join(digits, 3)["userToken"].(string)+`"}`)
	want := []string{`joined {"role":3,"userId":"2"}`, `deactivated {"deactivationTime":` + strconv.FormatInt(h.clock.Now().UnixMilli(), 10) + `}`}
	if diff := cmp.Diff(want, kim.until(2)); diff != "" {
		t.Errorf("the customer heard (-want +got):\n%s", diff)
	}
}

// People who come by a stream are seen here too: an agent is announced, a supervisor
// is only found among the users.
func TestPeopleOfOtherSurfaces(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, deskRules)
	kim, digits := h.browser(shop).comet(), h.open()
	in := kim.join(digits, 1)
	s := h.sessionOf(in["sessionHistoryId"])
	ben := h.supervisor(t, s)
	a := h.browser(desktop).call(http.MethodPost, "/rest/live/sessions/"+digits+"/join", `{"role":2,"name":"Ada Agent"}`)
	if a.status != http.StatusOK || len(kim.diary) != 0 {
		t.Fatalf("join over REST = %d %s; the customer heard %v before the stream", a.status, a.text, kim.diary)
	}
	agent, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, Token: a.body["joinToken"].(string), Tab: "tab"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"activated", "joined"}, kim.heard(2)); diff != "" {
		t.Errorf("the customer heard (-want +got):\n%s", diff)
	}
	sam := h.browser(desktop).comet()
	want := []any{
		map[string]any{"userId": "1", "role": 1.0},
		map[string]any{"userId": "2", "role": 2.0, "name": "Sam Supervisor"},
		map[string]any{"userId": "3", "role": 2.0, "name": "Ada Agent"},
	}
	if diff := cmp.Diff(want, sam.join(digits, 3)["users"]); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"activated"}, sam.heard(1)); diff != "" {
		t.Errorf("who comes late heard (-want +got):\n%s", diff)
	}
	if err := h.Disconnected(t.Context(), s.ID, ben.Participant.ID, ben.Participant.Connection.Number); err != nil {
		t.Fatal(err)
	}
	if err := h.Leave(t.Context(), s.ID, agent.Participant.ID, agent.Participant.Connection.Number); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"activated", "joined", "joined", "deactivated"}, kim.heard(4)); diff != "" {
		t.Errorf("the customer heard (-want +got):\n%s", diff)
	}
}

// Who is lost is waited for; whoever comes back is the same user.
func TestComingBack(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, deskRules)
	digits := h.open()
	page, tabs := h.browser(shop), h.browser(desktop)
	kim, ada, sam := page.comet(), tabs.comet(), h.browser(desktop).comet()
	in := kim.join(digits, 1)
	ada.join(digits, 2)
	sam.join(digits, 3)
	if diff := cmp.Diff([]string{"joined", "activated", "joined"}, kim.heard(3)); diff != "" {
		t.Errorf("the customer heard (-want +got):\n%s", diff)
	}
	at := func(role cobrowse.Role) cobrowse.Participant {
		for _, p := range h.sessionOf(in["sessionHistoryId"]).Participants {
			if p.Role == role {
				return p
			}
		}
		t.Fatalf("no %s", role)
		return cobrowse.Participant{}
	}

	kim.bye()
	eventually(t, "the customer is waited for", func() bool { return !at(cobrowse.RoleCustomer).Connection.Open })
	if s := h.sessionOf(in["sessionHistoryId"]); !s.Live() || at(cobrowse.RoleCustomer).State != cobrowse.ParticipantJoined {
		t.Fatalf("the session after the customer's page was closed: %+v", s)
	}
	if _, failure := h.browser(shop).comet().publish("join", joinData(digits, 1)); !strings.HasPrefix(failure, "403:"+digits+":") {
		t.Errorf("another browser as the customer = %q, want 403", failure)
	}
	kim = page.comet() // the same browser, by its cookie
	again := kim.join(digits, 1)
	if again["userId"] != in["userId"] || at(cobrowse.RoleCustomer).Connection.Number != 2 || !at(cobrowse.RoleCustomer).Connection.Open {
		t.Errorf("back = %v, %+v", again, at(cobrowse.RoleCustomer).Connection)
	}
	if diff := cmp.Diff([]string{"activated"}, kim.heard(1)); diff != "" {
		t.Errorf("who comes back heard (-want +got):\n%s", diff)
	}
	// A page that is loaded anew before the old client is given up: it is the same user,
	// and the old client's end ends nothing.
	fresh := page.comet()
	fresh.join(digits, 1)
	fresh.heard(1)
	fresh.join(digits, 1) // and once more: nothing is told twice
	fresh.quiet(1)
	kim.bye()
	if p := at(cobrowse.RoleCustomer); p.Connection.Number != 4 || !p.Connection.Open {
		t.Errorf("after the end of the client that was replaced: %+v", p.Connection)
	}
	// From another browser with the user token.
	other := h.browser(shop).comet()
	if got := other.join(digits, 1, `,"userToken":"`+in["userToken"].(string)+`"`); got["userId"] != in["userId"] {
		t.Errorf("back with the user token = %v", got)
	}
	// The same again on the same client.
	if got := other.join(digits, 1); got["userId"] != in["userId"] {
		t.Errorf("a second join of the same client = %v", got)
	}
	if _, failure := other.publish("join", joinData(digits, 1, `,"userToken":"x"`)); failure != "404:"+digits+":No such user" {
		t.Errorf("a join with a user token of nobody = %q", failure)
	}

	// A controller leaves by going, and nobody waits.
	sam.bye()
	eventually(t, "the controller has left", func() bool { return at(cobrowse.RoleController).State == cobrowse.ParticipantLeft })
	ada.bye()
	eventually(t, "the agent is waited for", func() bool { return !at(cobrowse.RoleAgent).Connection.Open })
	tabs.comet().join(digits, 2)
	if s := h.sessionOf(in["sessionHistoryId"]); !s.Live() || !at(cobrowse.RoleAgent).Connection.Open {
		t.Errorf("the session after the agent has come back: %+v", s)
	}
	ada = tabs.comet()
	ada.join(digits, 2)
	h.clock.Advance(3 * time.Minute)
	if _, err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := h.sessionOf(in["sessionHistoryId"]); !s.Live() {
		t.Errorf("it ended by %q though everybody is there", s.EndReason)
	}
}

// Refusals, in the words of section 3.4.
func TestRefusals(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, deskRules)
	digits := h.open()
	kim, ada := h.browser(shop).comet(), h.browser(desktop).comet()
	in := kim.join(digits, 1)
	agent := ada.join(digits, 2)
	another := h.open()
	token := func(of map[string]any) string { return `{"userToken":"` + of["userToken"].(string) + `"}` }
	unknown := map[bool]string{true: "000000000", false: "000000001"}[digits != "000000000" && another != "000000000"]
	for _, tt := range []struct {
		name   string
		client *cometd
		what   string
		data   string
		want   string
	}{
		{"nothing", kim, "join", ``, "400::The data must be an object"},
		{"null", kim, "join", `null`, "400::The data must be an object"},
		{"an array", kim, "join", `[1]`, "400::The data must be an object"},
		{"a string", kim, "join", `"407215938"`, "400::The data must be an object"},
		{"no digits", kim, "join", `{"role":1}`, "400:sessionToken:The sessionToken is missing"},
		{"digits that are a number", kim, "join", `{"sessionToken":407215938,"role":1}`, "400:sessionToken:A member of the data has the wrong type"},
		{"no role", kim, "join", `{"sessionToken":"` + digits + `"}`, "400:role:The role must be 1 (customer), 2 (agent) or 3 (controller)"},
		{"role 0", kim, "join", joinData(digits, 0), "400:role:The role must be 1 (customer), 2 (agent) or 3 (controller)"},
		{"role 4", kim, "join", joinData(digits, 4), "400:role:The role must be 1 (customer), 2 (agent) or 3 (controller)"},
		{"a role that is text", kim, "join", `{"sessionToken":"` + digits + `","role":"2"}`, "400:role:A member of the data has the wrong type"},
		{"a role that is a fraction", kim, "join", `{"sessionToken":"` + digits + `","role":1.5}`, "400:role:A member of the data has the wrong type"},
		{"a name that is a number", kim, "join", joinData(digits, 1, `,"name":1`), "400:name:A member of the data has the wrong type"},
		{"a giant name", h.browser(shop).comet(), "join", joinData(another, 1, `,"name":"`+strings.Repeat("x", 9000)+`"`), "400:name:The request breaks one or more rules; see details"},
		{"unknown digits", kim, "join", joinData(unknown, 1), "404:" + unknown + ":No such session"},
		{"eight digits", kim, "join", joinData("12345678", 1), "404::No such session"},
		{"giant digits", kim, "join", joinData(strings.Repeat("1", 9000), 1), "404::No such session"},
		{"a second customer", h.browser(shop).comet(), "join", joinData(digits, 1), "409:" + digits + ":The session has somebody in this role"},
		{"a second agent", h.browser(desktop).comet(), "join", joinData(digits, 2), "409:" + digits + ":The session has somebody in this role"},
		{"another role of the same client", ada, "join", joinData(digits, 3), "409:" + digits + ":This client has another role in the session"},
		{"a second session of the agent", ada, "join", joinData(another, 2), "409:" + another + ":The agent is in another cobrowse session"},
		{"an agent from a customer's page", kim, "join", joinData(another, 2), "403::Pages of this origin may not call this address"},
		{"a customer from an agent's desktop", ada, "join", joinData(another, 1), "403::Pages of this origin may not call this address"},
		{"a create from an agent's desktop", ada, "create", `{}`, "403::Pages of this origin may not call this address"},
		{"exit without data", kim, "exit", ``, "400::The data must be an object"},
		{"exit of nobody", kim, "exit", `{}`, "400:userToken:The userToken is missing"},
		{"exit with a number", kim, "exit", `{"userToken":7}`, "400:userToken:A member of the data has the wrong type"},
		{"exit with a token of nobody", kim, "exit", `{"userToken":"x"}`, "404::No such user"},
		{"stop with a token of nobody", kim, "stop", `{"userToken":"` + strings.Repeat("x", 9000) + `"}`, "404::No such user"},
		{"stop by the customer", kim, "stop", token(in), "403::Only a controller stops a session"},
		{"stop by the agent", ada, "stop", token(agent), "403::Only a controller stops a session"},
		{"a channel of the server", kim, "joined", `{}`, "404:/service/session/joined:Unknown channel"},
	} {
		if got, failure := tt.client.publish(tt.what, tt.data); failure != tt.want {
			t.Errorf("%s: %v %q, want %q", tt.name, got, failure, tt.want)
		}
	}
	for _, data := range []string{``, `null`, `7`, `{"x":1}`} { // nothing is documented to be in it
		if got, failure := kim.publish("create", data); failure != "" || got["sessionToken"] == nil {
			t.Errorf("create with %q = %v %q", data, got, failure)
		}
	}
	if s := h.sessionOf(in["sessionHistoryId"]); !s.Live() || len(s.Participants) != 2 {
		t.Errorf("refusals have changed the session: %+v", s)
	}
}

// What is shown at the handshake holds for the client, until it is revoked.
func TestCredentialsOfClients(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t)
	digits := h.open()
	for name, c := range map[string]func() (*cometd, message){
		"the header": func() (*cometd, message) { return h.browser("").handshake("", h.bearer()) },
		"in the message": func() (*cometd, message) {
			return h.browser(desktop).handshake(`,"ext":{"authorization":"Bearer ` + h.token + `"}`)
		},
	} {
		client, reply := c()
		if reply["successful"] != true {
			t.Fatalf("%s: handshake = %v", name, reply)
		}
		client.join(digits, 3)
	}
	for name, c := range map[string]func() (*cometd, message){
		"a wrong token":                func() (*cometd, message) { return h.browser("").handshake("", h.bearer()+"x") },
		"a wrong token in the message": func() (*cometd, message) { return h.browser(desktop).handshake(`,"ext":{"authorization":"bearer x"}`) },
		"a token of another organisation": func() (*cometd, message) {
			return h.browser("").handshake("", "Authorization: Bearer "+h.accessToken("other", "0a1b2c3d-0000-4000-8000-000000000002"))
		},
	} {
		_, reply := c()
		advice, _ := reply["advice"].(map[string]any)
		failure, _ := reply["error"].(string)
		if reply["successful"] != false || advice["reconnect"] != "none" || !strings.HasPrefix(failure, "40") {
			t.Errorf("%s: handshake = %v, want a refusal for good", name, reply)
		}
	}
	// Credentials that nobody asks for are for somebody else.
	if _, reply := h.browser(shop).handshake("", "Authorization: Basic x"); reply["successful"] != true {
		t.Errorf("with credentials of another kind: %v", reply)
	}
	for _, role := range []int{2, 3} {
		if _, failure := h.browser(desktop).comet().publish("join", joinData(digits, role)); !strings.HasPrefix(failure, "403:") {
			t.Errorf("role %d without a token = %q, want 403", role, failure)
		}
	}
	client := h.browser("").comet(h.bearer())
	client.join(digits, 3)
	p, err := h.oauth.Verify(t.Context(), h.token)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.oauth.RevokeToken(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, failure := client.publish("join", joinData(h.open(), 3)); !strings.HasPrefix(failure, "403:") {
		t.Errorf("join after the revocation = %q, want 403", failure)
	}
}

func TestBasicCredentialsOfClients(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, func(cfg *legacy.ChannelsConfig) { cfg.Live.Rules.Controller = config.AccessBasic })
	_, secret, err := h.oauth.CreateClient(t.Context(), oauth.ClientSpec{ID: "program", OrgID: orgID, Name: "Program"})
	if err != nil {
		t.Fatal(err)
	}
	h.browser("").comet(basic("program", secret)).join(h.open(), 3)
	if _, reply := h.browser("").handshake("", basic("program", "wrong")); reply["successful"] != false {
		t.Errorf("handshake with a wrong secret = %v", reply)
	}
}

// Cookies come with the first answer, and attributes as the connection needs them.
func TestCookiesOfChannels(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t)
	names := func(cookies []*http.Cookie) []string {
		var all []string
		for _, c := range cookies {
			if !c.HttpOnly || c.Secure || c.SameSite != 0 {
				t.Errorf("cookie %v, want HttpOnly alone", c)
			}
			all = append(all, c.Name+" "+c.Path)
		}
		return all
	}
	b := h.browser(shop)
	if diff := cmp.Diff([]string{"gcbSessionServer /", "cobridgeDesk /cobrowse"}, names(b.comet().cookies)); diff != "" {
		t.Errorf("cookies of the first WebSocket (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"gcbSessionServer /"}, names(b.comet().cookies)); diff != "" {
		t.Errorf("cookies of the second WebSocket (-want +got):\n%s", diff)
	}
	const shake = `[{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`
	b = h.browser(shop)
	if a := b.call(http.MethodPost, "/cometd/handshake", shake); a.status != http.StatusOK || len(a.head.Values("Set-Cookie")) != 2 {
		t.Errorf("the first handshake = %d %v, want two cookies", a.status, a.head)
	}
	for _, path := range []string{"/cometd", "/cometd/"} { // older clients, and what a message is stands in it alone
		a := b.call(http.MethodPost, path, shake)
		if got := a.head.Values("Set-Cookie"); a.status != http.StatusOK || len(got) != 1 {
			t.Errorf("handshake at %s = %d %v, want one cookie: the desk has a name", path, a.status, got)
		}
	}
	if a := b.call(http.MethodPost, "/cometd/connect", `[{"id":"2","channel":"/meta/connect","connectionType":"long-polling","clientId":"x"}]`); len(a.head.Values("Set-Cookie")) != 0 {
		t.Errorf("connect sets %v", a.head.Values("Set-Cookie"))
	}
	a := h.browser(stranger).call(http.MethodPost, "/cometd/handshake", shake)
	wantREST(t, "a page of no list", a, http.StatusForbidden, "forbidden")
	if len(a.head.Values("Set-Cookie")) != 0 {
		t.Errorf("a page of no list gets %v", a.head.Values("Set-Cookie"))
	}
}

// Pages of customers are of other sites, which get cookies only over TLS, and only
// those that say so.
func TestCookiesOverTLS(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t)
	const proxied = "X-Forwarded-Proto: https"
	want := regexp.MustCompile(`^(gcbSessionServer=cob-node-a; path=/; HttpOnly; secure; SameSite=None|cobridgeDesk=[A-Z2-7]{26}; max-age=31536000; path=/cobrowse; HttpOnly; secure; SameSite=None)$`)
	for name, got := range map[string][]string{
		"create":    h.browser(shop).call(http.MethodPost, "/rest/live/sessions", "", proxied).head.Values("Set-Cookie"),
		"join":      h.browser(desktop).call(http.MethodPost, "/rest/live/sessions/"+h.open()+"/join", `{"role":2}`, proxied, h.bearer()).head.Values("Set-Cookie"),
		"handshake": h.browser(shop).call(http.MethodPost, "/cometd/handshake", `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`, proxied).head.Values("Set-Cookie"),
	} {
		if len(got) != 2 || !want.MatchString(got[0]) || !want.MatchString(got[1]) {
			t.Errorf("%s: Set-Cookie = %q, want both cookies with Secure and SameSite=None", name, got)
		}
	}
}

// A program steers the sessions of a whole desk over one client, within bounds.
func TestControllerOfManySessions(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, deskRules)
	hub := h.browser(desktop).comet()
	var tokens []any
	for range 100 {
		tokens = append(tokens, hub.join(h.open(), 3)["userToken"])
	}
	if _, failure := hub.publish("join", joinData(h.open(), 3)); !strings.HasPrefix(failure, "409:") {
		t.Errorf("session 101 of one client = %q, want 409", failure)
	}
	hub.must("stop", `{"userToken":"`+tokens[0].(string)+`"}`)
	hub.until(1)
	hub.must("exit", `{"userToken":"`+tokens[1].(string)+`"}`) // ends nothing, and nothing is told
	hub.quiet(1)
	for range 2 {
		hub.join(h.open(), 3)
	}
	hub.bye()
	eventually(t, "the rooms are given up", func() bool { return h.channels.Rooms() == 0 })
}

// Somebody whom the API removes is out, as after the end.
func TestRemovedAgent(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, deskRules)
	digits := h.open()
	kim, ada := h.browser(shop).comet(), h.browser(desktop).comet()
	kim.join(digits, 1)
	in := ada.join(digits, 2)
	s := h.sessionOf(in["sessionHistoryId"])
	if _, err := h.RemoveParticipant(t.Context(), orgID, s.ID, s.Participants[1].ID); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"activated", "deactivated"}, ada.heard(2)); diff != "" {
		t.Errorf("the agent heard (-want +got):\n%s", diff)
	}
	kim.until(2)
	kim.quiet(2)
}

// Two controllers race with the end of the session: whoever was let in hears of it.
func TestJoinAgainstEnd(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, deskRules)
	kim := h.browser(shop).comet()
	var hubs []*cometd
	for range 4 {
		hubs = append(hubs, h.browser(desktop).comet())
	}
	for range 20 {
		digits := kim.must("create", `{}`)["sessionToken"].(string)
		in := kim.join(digits, 1)
		ended := make(chan error, 1)
		go func() {
			_, err := h.Exit(t.Context(), orgID, in["userToken"].(string))
			ended <- err
		}()
		for _, hub := range hubs {
			before := len(hub.diary)
			if _, failure := hub.publish("join", joinData(digits, 3)); failure == "" {
				for !strings.HasPrefix(hub.until(before + 1)[len(hub.diary)-1], "deactivated") {
					before = len(hub.diary)
				}
			}
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the rooms are given up", func() bool { return h.channels.Rooms() == 0 })
}

// Nothing ends by a shutdown, and whoever comes meanwhile is told to come back.
func TestShutdownOfChannels(t *testing.T) {
	t.Parallel()
	h := newLiveHouse(t, deskRules)
	digits := h.open()
	kim := h.browser(shop).comet()
	in := kim.join(digits, 1)
	if err := h.channels.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := h.sessionOf(in["sessionHistoryId"]); !s.Live() || s.Participants[0].Connection.Number != 1 {
		t.Errorf("after the shutdown: %+v", s)
	}
	const shake = `[{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`
	wantREST(t, "a handshake during the shutdown", h.browser(shop).call(http.MethodPost, "/cometd/handshake", shake), http.StatusServiceUnavailable, "service_unavailable")
}

// Callback-polling is there only where it is switched on.
func TestCallbackPolling(t *testing.T) {
	t.Parallel()
	const path = `/cometd/handshake?jsonp=cb&message=%5B%7B%22id%22%3A%221%22%2C%22channel%22%3A%22%2Fmeta%2Fhandshake%22%2C%22version%22%3A%221.0%22%2C%22supportedConnectionTypes%22%3A%5B%22callback-polling%22%5D%7D%5D`
	h := newLiveHouse(t)
	wantREST(t, "switched off", h.browser("").call(http.MethodGet, path, "", "Referer: "+shop+"/"), http.StatusBadRequest, "bad_request")
	h = newLiveHouse(t, func(cfg *legacy.ChannelsConfig) {
		cfg.CallbackPolling = true
		cfg.Advice = bayeux.Advice{MaxInterval: 50 * time.Millisecond}
	})
	a := h.browser("").call(http.MethodGet, path, "", "Referer: "+shop+"/")
	if a.status != http.StatusOK || !strings.Contains(a.text, `"successful":true`) || len(a.head.Values("Set-Cookie")) != 2 {
		t.Errorf("switched on = %d %s %v", a.status, a.text, a.head)
	}
	wantREST(t, "a page of no list", h.browser("").call(http.MethodGet, path, "", "Referer: "+stranger+"/"), http.StatusForbidden, "forbidden")
	eventually(t, "who does not connect is forgotten", func() bool { return h.channels.Stats().ConnectionLost == 1 })
}
