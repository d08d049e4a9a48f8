package bridge_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
)

// from calls as a browser does that shows a page of this origin.
func (h *house) from(origin, method, path, body string) (int, []byte) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.base+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatalf("request: %v", err)
	}
	req.Header.Set("Origin", origin)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return h.do(req)
}

// shop is the origin of the demo's shop.
func (h *house) shop() string { return strings.Replace(h.base, "127.0.0.1", "shop.localhost", 1) }

type liveBody struct {
	SessionToken     string `json:"sessionToken"`
	SessionHistoryID string `json:"sessionHistoryId"`
	UserToken        string `json:"userToken"`
	JoinToken        string `json:"joinToken"`
}

// One session, seen, tied, refused twice and ended through the surfaces of two
// worlds.
func TestBothWorldsShowTheSameSessions(t *testing.T) {
	t.Parallel()
	log := &testenv.Buffer{}
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), log, func(c *config.Config) { c.Log.Level = "debug" })
	_, token := h.token(config.DemoClientSecret)

	status, data := h.from(h.shop(), http.MethodPost, "/cobrowse/rest/live/sessions", "")
	if status != http.StatusOK {
		t.Fatalf("begin on an old page: %d %s", status, data)
	}
	digits := decode[liveBody](t, data).SessionToken
	live := "/cobrowse/rest/live/sessions/" + digits
	status, data = h.from(h.shop(), http.MethodPost, live+"/join", `{"role":1,"name":"Kim Customer"}`)
	customer := decode[liveBody](t, data)
	if status != http.StatusOK || customer.JoinToken == "" {
		t.Fatalf("join as the customer: %d %s", status, data)
	}
	session := "/api/v2/cobrowse/sessions/" + customer.SessionHistoryID

	attach := `{"sessionToken":"` + digits + `","conversationId":"` + config.DemoConversationID + `","participant":{"userId":"` + config.DemoAgentID + `"}}`
	if status, data = h.call(http.MethodPost, "/api/v2/cobrowse/sessions/attach", token, attach); status != http.StatusCreated {
		t.Fatalf("attach: %d %s", status, data)
	}
	if status, data = h.call(http.MethodPost, "/api/v2/cobrowse/sessions", token, createBody); status != http.StatusConflict || !strings.Contains(string(data), customer.SessionHistoryID) {
		t.Errorf("a second session of the conversation: %d %s, want 409 that names the first", status, data)
	}
	status, data = h.from(h.base, http.MethodPost, live+"/join", `{"role":3}`)
	controller := decode[liveBody](t, data)
	if status != http.StatusOK {
		t.Fatalf("join as a controller: %d %s", status, data)
	}
	if _, data = h.call(http.MethodGet, session, token, ""); !strings.Contains(string(data), `"role":"controller","cobrowseRole":"controller"`) {
		t.Errorf("the API does not show the controller: %s", data)
	}
	if status, data = h.call(http.MethodGet, "/cobrowse/rest/history/sessions/"+customer.SessionHistoryID, token, ""); status != http.StatusOK || strings.Contains(string(data), "deactivationTime") {
		t.Errorf("history of the live session: %d %s, want what is known", status, data)
	}
	for range 2 {
		status, data = h.call(http.MethodGet, "/cobrowse/rest/live/users/"+controller.UserToken+"/session/stop", "", "")
		if status != http.StatusOK || !strings.Contains(string(data), `"deactivationTime":`) || strings.Contains(string(data), `"activationTime":`) {
			t.Errorf("stop: %d %s, want the end and no beginning", status, data)
		}
	}
	if _, data = h.call(http.MethodGet, session, token, ""); !strings.Contains(string(data), `"endReason":"stopped"`) {
		t.Errorf("the API does not show the end: %s", data)
	}
	if status, _ = h.from(h.shop(), http.MethodGet, live, ""); status != http.StatusNotFound {
		t.Errorf("digits of an ended session: %d, want 404", status)
	}
	if status, data = h.from(h.shop(), http.MethodPost, live+"/join", `{"role":1,"userToken":"`+customer.UserToken+`"}`); status != http.StatusGone {
		t.Errorf("coming back after the end: %d %s, want 410", status, data)
	}

	// The other way round: a session of the API, ended there.
	if status, data = h.call(http.MethodPost, "/api/v2/cobrowse/sessions", token, createBody); status != http.StatusCreated {
		t.Fatalf("create: %d %s", status, data)
	}
	if text := log.String(); !strings.Contains(text, "Session created. Token: ********* Id: "+customer.SessionHistoryID) || strings.Contains(text, digits) {
		t.Error("the log lacks the line that operators look for, or has the nine digits")
	}
	for _, secret := range []string{customer.UserToken, customer.JoinToken, controller.UserToken} {
		if strings.Contains(log.String(), secret) {
			t.Error("the log has a token")
		}
	}
}

// Rules of a file hold from the first page on. When the file breaks they stay, and
// a service that has never read a good one masks whatever is typed.
func TestRestrictionsHoldFromTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, store := filepath.Join(dir, "dom.xml"), filepath.Join(dir, "store.db")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := func(h *house) string {
		t.Helper()
		status, data := h.from(h.shop(), http.MethodGet, "/api/v2/cobrowse/deployments/"+config.DemoShopDeploymentID+"/settings", "")
		if status != http.StatusOK {
			t.Fatalf("settings: %d %s", status, data)
		}
		return string(data)
	}
	from := func(c *config.Config) { c.Legacy.DOMRestrictions.Source = file }
	write(`<domRestrictions><restrictionsSet><uriTemplate type="regexp" pattern=".*/checkout"/><dataMasking><element selector="#iban"/></dataMasking></restrictionsSet></domRestrictions>`)
	h := serve(t, store, io.Discard, from)
	if got := settings(h); !strings.Contains(got, "#iban") || strings.Contains(got, `"textarea"`) {
		t.Errorf("settings lack the file's rule: %s", got)
	}
	_, data := h.call(http.MethodGet, "/metrics", "", "")
	for _, want := range []string{"cobridge_restrictions_rules 1", "cobridge_restrictions_refused 0"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("metrics lack %q", want)
		}
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	write(`<domRestrictions><restrictionsSet><uriTemplate type="regexp" pattern="("/></restrictionsSet></domRestrictions>`)
	h = serve(t, store, io.Discard, from)
	if got := settings(h); !strings.Contains(got, "#iban") || !strings.Contains(got, `"textarea"`) {
		t.Errorf("with a bad file since the start: %s, want the old rule and all that is typed masked", got)
	}
	if _, data = h.call(http.MethodGet, "/metrics", "", ""); !strings.Contains(string(data), "cobridge_restrictions_refused 1") {
		t.Error("the metrics do not show that the file is refused")
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	if got := settings(serve(t, store, io.Discard)); strings.Contains(got, "#iban") || strings.Contains(got, `"textarea"`) {
		t.Errorf("without a file: %s, want none of its rules", got)
	}
}

// What is not here is asked of the old server, in both words; and kept, if so wished.
func TestRecordsOfTheOldServer(t *testing.T) {
	t.Parallel()
	const id = "0b5c3a52-2f6e-11ef-9c1e-0242ac120002"
	asked := make(chan string, 100)
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		switch r.URL.Path {
		case "/cobrowse/rest/history/sessions/" + id:
			_, _ = io.WriteString(w, strings.ReplaceAll(`{"id":"`+id+`","sessionToken":"407215938","creationTime":NOW021,"activationTime":NOW402,"deactivationTime":NOW755,"pages":[{"url":"https://shop.example/cart","enteredTimestamp":NOW450,"duration":0}]}`, "NOW", strconv.FormatInt(time.Now().Unix()-60, 10)))
		case "/cobrowse/rest/live/sessions/407215939":
			_, _ = io.WriteString(w, `{"sessionToken":"407215939","sessionServerName":"cob-old","sessionServerUrl":"https://old.example/cobrowse"}`)
		default:
			http.Error(w, "no", http.StatusNotFound)
		}
	}))
	t.Cleanup(old.Close)
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), io.Discard, func(c *config.Config) {
		c.Legacy.Upstream.URL, c.Legacy.Upstream.Import = old.URL+"/cobrowse", true
	})
	_, token := h.token(config.DemoClientSecret)
	status, data := h.call(http.MethodGet, "/cobrowse/rest/history/sessions/"+id, token, "")
	if status != http.StatusOK || !strings.Contains(string(data), `"url":"https://shop.example/cart"`) {
		t.Errorf("legacy history: %d %s", status, data)
	}
	for _, path := range []string{"/api/v2/cobrowse/history/", "/api/v2/cobrowse/sessions/"} {
		if status, data = h.call(http.MethodGet, path+id, token, ""); status != http.StatusOK || !strings.Contains(string(data), `"state":"ended"`) {
			t.Errorf("GET %s = %d %s", path, status, data)
		}
	}
	if n := len(asked); n != 1 {
		t.Errorf("the old server was asked %d times for one record that is kept, want once", n)
	}
	if status, data = h.from(h.shop(), http.MethodGet, "/cobrowse/rest/live/sessions/407215939", ""); status != http.StatusOK || !strings.Contains(string(data), "cob-old") {
		t.Errorf("live session of the old server: %d %s", status, data)
	}
	if status, _ = h.call(http.MethodGet, "/cobrowse/rest/history/sessions/0b5c3a52-2f6e-11ef-9c1e-0242ac120003", token, ""); status != http.StatusNotFound {
		t.Errorf("a record that nobody has: %d, want 404", status)
	}
}

// An old server that is away makes nobody's guesses cheaper, and is not told again
// with each of them.
func TestGuessesWhileTheOldServerIsAway(t *testing.T) {
	t.Parallel()
	old := httptest.NewServer(http.NotFoundHandler())
	old.Close()
	log := &testenv.Buffer{}
	h := serve(t, filepath.Join(t.TempDir(), "store.db"), log, func(c *config.Config) { c.Legacy.Upstream.URL = old.URL })
	statuses := map[int]int{}
	for i := range 30 {
		status, _ := h.from(h.shop(), http.MethodGet, "/cobrowse/rest/live/sessions/1234567"+strconv.Itoa(10+i), "")
		statuses[status]++
	}
	if statuses[http.StatusServiceUnavailable] != 10 || statuses[http.StatusTooManyRequests] != 20 {
		t.Errorf("30 wrong numbers: %v, want 10 times 503 and then 429", statuses)
	}
	if n := strings.Count(log.String(), "request failed"); n > 6 {
		t.Errorf("the log has %d failures, want those alone before the server was left in peace", n)
	}
}
