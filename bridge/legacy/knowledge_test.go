package legacy_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/config"
)

func profiles() []string { return []string{"8.5.0", "8.5.1", "9.0"} }

// TestDecisions is the table of section 6 of the specification, in all profiles.
func TestDecisions(t *testing.T) {
	t.Parallel()
	const customer, lee, agent = "gkc_customerId: kim@example.org", "gkc_customerId: lee@example.org", "gkc_agentId: ada"
	const notFound = "404 Session not found"
	type row struct {
		name   string
		before []request // what makes the state; each is 200
		call   request
		want   map[string]string // by profile: "200 " and customer and agent, or the failure
	}
	same := func(want string) map[string]string {
		return map[string]string{"8.5.0": want, "8.5.1": want, "9.0": want}
	}
	create := func(head ...string) request {
		return request{method: http.MethodPut, path: "/sessions/new", head: head}
	}
	get := func(head ...string) request {
		return request{method: http.MethodGet, path: "/sessions/s-1", head: head}
	}
	post := func(head ...string) request {
		return request{method: http.MethodPost, path: "/sessions/s-1", head: head}
	}
	rows := []row{
		{"create, anonymous", nil, create(), same("200 -/-")},
		{"create, anonymous, again", []request{create()}, create(), same("200 -/-")},
		{"create, customer", nil, create(customer), same("200 kim@example.org/-")},
		{"create, agent", nil, create(agent), same("200 -/ada")},
		{"create, both", nil, create(customer, agent), same("200 kim@example.org/ada")},
		{"create, customer with a live session", []request{create(customer)}, create(customer), same("400 a session of this customer or agent already exists")},
		{"create, agent with a live session", []request{create(agent)}, create(agent), same("400 a session of this customer or agent already exists")},
		{"create, customer tied to a live session", []request{post(customer)}, create(customer), same("400 a session of this customer or agent already exists")},
		{"create, another customer", []request{create(customer)}, create(lee), same("200 lee@example.org/-")},
		{"retrieve, exists", []request{post(customer)}, get(), same("200 kim@example.org/-")},
		{"retrieve, unknown", nil, get(), map[string]string{"8.5.0": "200 -/-", "8.5.1": notFound, "9.0": "200 -/-"}},
		{"retrieve, unknown, with headers", nil, get(customer, agent), map[string]string{"8.5.0": "200 kim@example.org/ada", "8.5.1": notFound, "9.0": "200 kim@example.org/ada"}},
		{"retrieve, unknown, of a customer with a live session", []request{create(customer)}, get(customer), map[string]string{"8.5.0": "200 kim@example.org/-", "8.5.1": notFound, "9.0": "200 kim@example.org/-"}},
		{"retrieve, anonymous, with headers: does not tie", []request{post()}, get(customer), same("200 -/-")},
		{"retrieve, tied, with another customer's header", []request{post(customer)}, get(lee), same("200 kim@example.org/-")},
		{"update, unknown", nil, post(customer), same("200 kim@example.org/-")},
		{"update, unknown, nothing said", nil, post(), same("200 -/-")},
		{"update, ties", []request{post()}, post(customer), same("200 kim@example.org/-")},
		{"update, ties the agent as well", []request{post(customer)}, post(agent), same("200 kim@example.org/ada")},
		{"update, the same again", []request{post(customer)}, post(customer), same("200 kim@example.org/-")},
		{"update, nothing said", []request{post(customer)}, post(), same("200 kim@example.org/-")},
		{"update, tied to another customer", []request{post(customer)}, post(lee), same("400 session is already tied to another customer")},
		{"update, tied to another agent", []request{post(agent)}, post("gkc_agentId: eve"), same("400 session is already tied to another agent")},
	}
	for _, p := range profiles() {
		t.Run(p, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, profile(p))
			for i, tt := range rows {
				// Each row has people and sessions of its own.
				own := strings.NewReplacer("kim@", fmt.Sprintf("kim-%d@", i), "lee@", fmt.Sprintf("lee-%d@", i), "ada", fmt.Sprintf("ada-%d", i), "eve", fmt.Sprintf("eve-%d", i), "s-1", fmt.Sprintf("s-%d", i))
				do := func(r request) answer {
					r.path = base + own.Replace(r.path) + tenant(p)
					for j, line := range r.head {
						r.head[j] = own.Replace(line)
					}
					return h.call(r)
				}
				for j, r := range tt.before {
					r.head = slices.Clone(r.head)
					if a := do(r); a.status != http.StatusOK {
						t.Fatalf("%s: call %d before = %d %s", tt.name, j, a.status, a.text)
					}
				}
				call := tt.call
				call.head = slices.Clone(call.head)
				a := do(call)
				if status, description, _ := strings.Cut(tt.want[p], " "); status != "200" {
					wantFailure(t, tt.name, a, map[string]int{"400": 400, "404": 404}[status], description)
					continue
				}
				got := fmt.Sprintf("%d %s/%s", a.status, orDash(a.session()["customerId"]), orDash(a.session()["agentId"]))
				if want := own.Replace(tt.want[p]); got != want {
					t.Errorf("%s: got %s (%s), want %s", tt.name, got, a.text, want)
				}
				if want := own.Replace("s-1"); strings.HasSuffix(tt.call.path, "/s-1") && a.id() != want {
					t.Errorf("%s: session id = %q, want the one that was asked for, %q", tt.name, a.id(), want)
				}
			}
		})
	}
}

func orDash(v any) any {
	if v == nil {
		return "-"
	}
	return v
}

// TestWorkedExchange is section 10 of the specification.
func TestWorkedExchange(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	created := h.call(request{method: http.MethodPut, path: base + "/sessions/new"})
	if created.status != http.StatusOK || created.id() == "" || created.body["sessionId"] != created.id() {
		t.Fatalf("create = %d %s, want a session at the top level and in response", created.status, created.text)
	}
	h.clock.Advance(time.Second)
	session := base + "/sessions/" + created.id()
	tied := h.call(request{method: http.MethodPost, path: session, body: `{"visitId":"v-17"}`, head: []string{"gkc_customerId: kim@example.org", "Content-Type: application/json"}})
	info := map[string]any{
		"sessionId": created.id(), "customerId": "kim@example.org", "visitId": "v-17",
		"created": float64(t0.UnixMilli()), "lastAccess": float64(t0.Add(time.Second).UnixMilli()),
	}
	want := map[string]any{"response": info}
	maps.Copy(want, info)
	if diff := cmp.Diff(want, tied.body); tied.status != http.StatusOK || diff != "" {
		t.Errorf("update = %d (-want +got):\n%s", tied.status, diff)
	}
	wantFailure(t, "update for another customer", h.call(request{method: http.MethodPost, path: session, head: []string{"gkc_customerId: lee@example.org"}}),
		http.StatusBadRequest, "session is already tied to another customer")
	if a := h.call(request{method: http.MethodGet, path: base + "/sessions/never-seen"}); a.status != http.StatusOK || a.id() != "never-seen" {
		t.Errorf("retrieve of an unknown session = %d %s", a.status, a.text)
	}
	if cache := tied.head.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", cache)
	}
}

// TestShapes: both places of the payload, and the tenant of 9.0.
func TestShapes(t *testing.T) {
	t.Parallel()
	for p, top := range map[string]bool{"8.5.0": true, "8.5.1": true, "9.0": false} {
		h := newHouse(t, profile(p))
		a := h.call(request{method: http.MethodPut, path: base + "/sessions/new?tenantId=1"})
		_, hasTop := a.body["sessionId"]
		if a.status != http.StatusOK || a.id() == "" || hasTop != top {
			t.Errorf("%s: create = %d %s, want the payload in response, at the top level: %t", p, a.status, a.text, top)
		}
		if got, want := orDash(a.session()["tenantId"]), map[bool]any{true: "-", false: "1"}[top]; got != want {
			t.Errorf("%s: tenantId = %v, want %v", p, got, want)
		}
		for _, absent := range []string{"customerId", "agentId", "visitId", "globalVisitId", "conversationId"} {
			if _, there := a.session()[absent]; there {
				t.Errorf("%s: an anonymous session has the member %s: %s", p, absent, a.text)
			}
		}
		if kind := a.head.Get("Content-Type"); kind != "application/json" {
			t.Errorf("%s: content type %q", p, kind)
		}
	}
}

func TestTenantOfNine(t *testing.T) {
	t.Parallel()
	h := newHouse(t, profile("9.0"), func(c *config.Config) { c.Legacy.Knowledge.Tenants = []string{"1", "2"} })
	for _, r := range []request{
		{method: http.MethodPut, path: "/sessions/new"},
		{method: http.MethodGet, path: "/sessions/s-1"},
		{method: http.MethodPost, path: "/sessions/s-1"},
	} {
		for query, want := range map[string]string{"": "missing", "?tenantId=": "missing", "?tenantid=1": "missing", "?tenantId=3": "unknown", "?tenantId=1%20": "unknown"} {
			wantFailure(t, r.method+" "+query, h.call(request{method: r.method, path: base + r.path + query}), http.StatusBadRequest, want)
		}
		for _, query := range []string{"?tenantId=1", "?x=y&tenantId=2"} {
			if a := h.call(request{method: r.method, path: base + r.path + query}); a.status != http.StatusOK {
				t.Errorf("%s %s = %d %s", r.method, query, a.status, a.text)
			}
		}
	}
	// The other profiles do not look at it.
	h = newHouse(t)
	if a := h.call(request{method: http.MethodGet, path: base + "/sessions/s-1?tenantId=3"}); a.status != http.StatusOK {
		t.Errorf("8.5.0 with a tenant = %d %s", a.status, a.text)
	}
}

// TestHeadersInAnyCase: the two headers as clients and proxies may write them; only
// the underscore must stay.
func TestHeadersInAnyCase(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i, names := range [][2]string{
		{"gkc_agentId", "gkc_customerId"}, {"GKC_AGENTID", "GKC_CUSTOMERID"}, {"gkc_agentid", "gkc_customerid"}, {"Gkc_AgentId", "Gkc_CustomerId"}, {"gKC_aGENTiD", "gKC_cUSTOMERiD"},
	} {
		customer := fmt.Sprintf("kim-%d@example.org", i)
		a := h.call(request{method: http.MethodPut, path: base + "/sessions/new", head: []string{names[0] + ": ada-" + customer, names[1] + ": " + customer}})
		if a.status != http.StatusOK || a.session()["customerId"] != customer || a.session()["agentId"] != "ada-"+customer {
			t.Errorf("%v: %d %s", names, a.status, a.text)
		}
	}
	a := h.call(request{method: http.MethodPut, path: base + "/sessions/new", head: []string{"gkc-customerId: kim@example.org", "gkccustomerId: kim@example.org"}})
	if a.status != http.StatusOK || a.session()["customerId"] != nil {
		t.Errorf("without the underscore: %d %s, want an anonymous session", a.status, a.text)
	}
	wantFailure(t, "a header twice", h.call(request{method: http.MethodPut, path: base + "/sessions/new", head: []string{"gkc_customerId: kim@example.org", "gkc_customerId: lee@example.org"}}),
		http.StatusBadRequest, "gkc_customerId is repeated")
}

func TestBodies(t *testing.T) {
	t.Parallel()
	const isJSON = "Content-Type: application/json"
	for _, tt := range []struct {
		name, body string
		head       []string
		status     int
		want       string // visitId/globalVisitId, or part of the description
	}{
		{"none", "", nil, 200, "-/-"},
		{"none, but a content type", "", []string{isJSON}, 200, "-/-"},
		{"none, another content type", "", []string{"Content-Type: text/plain"}, 200, "-/-"},
		{"both", `{"visitId":"v-17","globalVisitId":"g-1"}`, []string{isJSON}, 200, "v-17/g-1"},
		{"with a charset", `{"visitId":"v-17"}`, []string{"Content-Type: application/json; charset=UTF-8"}, 200, "v-17/-"},
		{"no content type", `{"visitId":"v-17"}`, nil, 200, "v-17/-"},
		{"empty object", `{}`, []string{isJSON}, 200, "-/-"},
		{"empty strings", `{"visitId":"","globalVisitId":""}`, []string{isJSON}, 200, "-/-"},
		{"unknown members", `{"visitId":"v-17","x":{"y":[1,null]},"conversation":1}`, []string{isJSON}, 200, "v-17/-"},
		{"escapes", `{"visitId":"\u00e4\/"}`, []string{isJSON}, 200, "ä//-"},
		{"a number", `{"visitId":17}`, []string{isJSON}, 400, "visitId must be a string"},
		{"null", `{"globalVisitId":null}`, []string{isJSON}, 400, "globalVisitId must be a string"},
		{"an object", `{"visitId":{}}`, []string{isJSON}, 400, "visitId must be a string"},
		{"an array", `["v-17"]`, []string{isJSON}, 400, "must be one JSON object"},
		{"a string", `"v-17"`, []string{isJSON}, 400, "must be one JSON object"},
		{"the word null", `null`, []string{isJSON}, 400, "must be one JSON object"},
		{"half of it", `{"visitId":"v`, []string{isJSON}, 400, "not valid JSON"},
		{"two of them", `{}{}`, []string{isJSON}, 400, "not valid JSON"},
		{"a form", `visitId=v-17`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "application/json"},
		{"not UTF-8", "{\"visitId\":\"\xff\"}", []string{isJSON}, 400, "UTF-8"},
		{"control characters", `{"visitId":"a\u0000"}`, []string{isJSON}, 400, "visitId must have"},
		{"too long", `{"visitId":"` + strings.Repeat("v", 257) + `"}`, []string{isJSON}, 400, "at most 256 bytes"},
		{"too large", `{"x":"` + strings.Repeat("v", 9<<10) + `"}`, []string{isJSON}, 413, "larger than 8192"},
		{"too deep", strings.Repeat(`{"x":`, 70) + "1" + strings.Repeat("}", 70), []string{isJSON}, 400, "deep"},
		{"header too long", "", []string{"gkc_customerId: " + strings.Repeat("x", 257)}, 400, "customer id"},
		{"header not UTF-8", "", []string{"gkc_agentId: J\xfcrgen"}, 400, "agent id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			for _, r := range []request{{method: http.MethodPut, path: base + "/sessions/new"}, {method: http.MethodPost, path: base + "/sessions/s-1"}} {
				r.body, r.head = tt.body, tt.head
				a := h.call(r)
				if tt.status != http.StatusOK {
					wantFailure(t, r.method, a, tt.status, tt.want)
					continue
				}
				if got := fmt.Sprintf("%v/%v", orDash(a.session()["visitId"]), orDash(a.session()["globalVisitId"])); a.status != http.StatusOK || got != tt.want {
					t.Errorf("%s = %d %s, visits %s, want %s", r.method, a.status, a.text, got, tt.want)
				}
			}
		})
	}
}

// TestSessionIDsAreOpaque: whatever a client made up is its session.
func TestSessionIDsAreOpaque(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for path, want := range map[string]string{
		"00000000-0000-0000-0000-0000000000": "00000000-0000-0000-0000-0000000000",
		"a%2Fb":                              "a/b", "a%20b%25": "a b%", "J%C3%BCrgen": "Jürgen", "NEW": "NEW", "a:b*c+d": "a:b*c+d", "..%2F..": "../..",
		strings.Repeat("x", 128): strings.Repeat("x", 128),
	} {
		if a := h.call(request{method: http.MethodPost, path: base + "/sessions/" + path}); a.status != http.StatusOK || a.id() != want {
			t.Errorf("update of %s = %d %s, want session %q", path, a.status, a.text, want)
		}
	}
	for _, path := range []string{strings.Repeat("x", 129), "a%00b", "%ff", "a%0Ab"} {
		wantFailure(t, path, h.call(request{method: http.MethodGet, path: base + "/sessions/" + path}), http.StatusBadRequest, "session id")
	}
	if strings.Contains(h.log.String(), "Jürgen") || strings.Contains(h.log.String(), "00000000-0000-0000-0000-0000000000") {
		t.Error("a session id stands in the log")
	}
}

// TestEveryFailureIsInTheDialect: also those that no handler has seen.
func TestEveryFailureIsInTheDialect(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *config.Config) { c.Legacy.Knowledge.BareSessions = true })
	for _, at := range []string{base, ""} {
		for _, tt := range []struct {
			method, path, allow string
			status              int
		}{
			{http.MethodGet, "/sessions", "", 404},
			{http.MethodGet, "/sessions/a/b", "", 404},
			{http.MethodGet, "/sessions/new", "PUT", 405},
			{http.MethodPost, "/sessions/%6eew", "PUT", 405},
			{http.MethodPut, "/sessions/s-1", "GET, HEAD, POST", 405},
			{http.MethodDelete, "/sessions/s-1", "GET, HEAD, POST", 405},
		} {
			a := h.call(request{method: tt.method, path: at + tt.path})
			wantFailure(t, tt.method+" "+at+tt.path, a, tt.status, "")
			if got := a.head.Get("Allow"); got != tt.allow {
				t.Errorf("%s %s: Allow = %q, want %q", tt.method, at+tt.path, got, tt.allow)
			}
		}
	}
	wantFailure(t, "elsewhere below the base", h.call(request{method: http.MethodGet, path: base + "/kbs"}), http.StatusNotFound, "")
	if a := h.call(request{method: http.MethodGet, path: "/api/v2/nothing"}); a.body["message"] == nil || a.body["description"] != nil {
		t.Errorf("the API fails with %s, want its own envelope", a.text)
	}
}

func TestBasePath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		base string
		bare bool
	}{{"/gks-server/v1", false}, {"/knowmgt/gks-server/v1", true}, {"/sessions/v1", true}} {
		h := newHouse(t, func(c *config.Config) {
			c.Legacy.Knowledge.BasePath, c.Legacy.Knowledge.BareSessions = tt.base, tt.bare
		})
		if a := h.call(request{method: http.MethodPost, path: tt.base + "/sessions/s-1", head: []string{"gkc_customerId: kim@example.org"}}); a.status != http.StatusOK {
			t.Errorf("%s: update = %d %s", tt.base, a.status, a.text)
		}
		bare := h.call(request{method: http.MethodGet, path: "/sessions/s-1"})
		if tt.bare && bare.session()["customerId"] != "kim@example.org" || !tt.bare && bare.status != http.StatusNotFound {
			t.Errorf("%s, bare sessions %t: %d %s", tt.base, tt.bare, bare.status, bare.text)
		}
	}
}

// TestOffByDefault: nothing of it is there unless it is switched on.
func TestOffByDefault(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *config.Config) { c.Legacy.Knowledge = config.Default().Legacy.Knowledge })
	if a := h.call(request{method: http.MethodPut, path: base + "/sessions/new"}); a.status != http.StatusNotFound || a.body["message"] == nil {
		t.Errorf("create = %d %s, want the API's 404", a.status, a.text)
	}
}

// TestParallelRetrieve: 64 parallel GETs of one unknown id, each naming another
// customer, make one session.
func TestParallelRetrieve(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for round := range 5 {
		path := fmt.Sprintf("%s/sessions/unknown-%d", base, round)
		answers := make([]answer, 64)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				answers[i] = h.call(request{method: http.MethodGet, path: path, head: []string{fmt.Sprintf("gkc_customerId: customer-%d", i)}})
			})
		}
		wg.Wait()
		seen := map[any]bool{}
		for i, a := range answers {
			if a.status != http.StatusOK {
				t.Errorf("call %d = %d %s", i, a.status, a.text)
			}
			seen[a.session()["customerId"]] = true
		}
		if len(seen) != 1 {
			t.Errorf("round %d: 64 calls saw sessions of %d customers, want one session", round, len(seen))
		}
	}
}

// TestIdleTimeout: it is restarted by each call, and what has expired is unknown.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	for _, p := range profiles() {
		h := newHouse(t, profile(p), func(c *config.Config) { c.Legacy.Knowledge.IdleTimeout = 10 * time.Minute })
		path := base + "/sessions/s-1" + tenant(p)
		if a := h.call(request{method: http.MethodPost, path: path, head: []string{"gkc_customerId: kim@example.org"}}); a.status != http.StatusOK {
			t.Fatalf("%s: update = %d %s", p, a.status, a.text)
		}
		for _, pause := range []time.Duration{2 * time.Minute, 10*time.Minute - time.Millisecond, 5 * time.Minute, 10*time.Minute - time.Millisecond} {
			h.clock.Advance(pause)
			if a := h.call(request{method: http.MethodGet, path: path}); a.session()["customerId"] != "kim@example.org" {
				t.Errorf("%s: %v after the last call: %d %s, want the session", p, pause, a.status, a.text)
			}
		}
		h.clock.Advance(10 * time.Minute)
		h.token = h.newToken(clientID, clientSecret)
		a := h.call(request{method: http.MethodGet, path: path})
		if p == "8.5.1" {
			wantFailure(t, "retrieve of an expired session", a, http.StatusNotFound, "Session not found")
		} else if a.status != http.StatusOK || a.session()["customerId"] != nil {
			t.Errorf("%s: retrieve of an expired session = %d %s, want a new one", p, a.status, a.text)
		}
		if a := h.call(request{method: http.MethodPut, path: base + "/sessions/new" + tenant(p), head: []string{"gkc_customerId: kim@example.org"}}); a.status != http.StatusOK {
			t.Errorf("%s: create for the customer of an expired session = %d %s", p, a.status, a.text)
		}
	}
}

func TestTieToAConversation(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, conversation, client string
		rule                       string
		want                       any // the attribute
	}{
		{"its customer hears of it", talkID, clientID, config.AccessBearer, "kc-secret-1"},
		{"with the client's secret as well", talkID, clientID, config.AccessBasic, "kc-secret-1"},
		{"not from a caller who may not write conversations", talkID, "reader", config.AccessBearer, nil},
		{"not from a caller of whom nothing is known", talkID, clientID, config.AccessOpen, nil},
		{"an unknown one is no failure", "nothing", clientID, config.AccessBearer, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(c *config.Config) { c.Legacy.Access.Knowledge = tt.rule })
			head := []string{"Content-Type: application/json", "Authorization: Bearer " + h.newToken(tt.client, clientSecret)}
			if tt.rule == config.AccessBasic {
				head[1] = basic(tt.client, clientSecret)
			}
			a := h.call(request{method: http.MethodPost, path: base + "/sessions/kc-secret-1", body: `{"conversationId":"` + tt.conversation + `"}`, head: head})
			if a.status != http.StatusOK || a.session()["conversationId"] != tt.conversation {
				t.Errorf("update = %d %s, want 200 with the conversation", a.status, a.text)
			}
			c := h.call(request{method: http.MethodGet, path: "/api/v2/conversations/" + talkID})
			participants, _ := c.body["participants"].([]any)
			if len(participants) != 1 {
				t.Fatalf("conversation = %d %s", c.status, c.text)
			}
			attributes, _ := participants[0].(map[string]any)["attributes"].(map[string]any)
			if got := attributes["kcSessionId"]; got != tt.want {
				t.Errorf("kcSessionId = %v, want %v", got, tt.want)
			}
			if strings.Contains(h.log.String(), "kc-secret-1") {
				t.Error("the session id stands in the log")
			}
			if tt.conversation != talkID && !strings.Contains(h.log.String(), "knowledge session not written to its conversation") {
				t.Errorf("the log does not say that it failed:\n%s", h.log)
			}
		})
	}
	// On create the member is as unknown as any other.
	h := newHouse(t)
	if a := h.call(request{method: http.MethodPut, path: base + "/sessions/new", body: `{"conversationId":"` + talkID + `"}`}); a.status != http.StatusOK || a.session()["conversationId"] != nil {
		t.Errorf("create = %d %s", a.status, a.text)
	}
}
