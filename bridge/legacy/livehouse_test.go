package legacy_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/bridge/limit"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/docs/openapitest"
	"github.com/cobridge/cobridge/oauth"
)

const (
	shop     = "https://shop.example" // a customer's page
	desktop  = "https://desk.example" // an agent's desktop
	stranger = "https://evil.example" // on no list
	legacyAt = "/cobrowse"
	samID    = "0a1b2c3d-0000-4000-8000-0000000000b2" // a user who may supervise

	// patience is how long a test waits for what must come.
	patience = 20 * time.Second
)

// liveHouse is the surfaces of live sessions over a real store, on a loopback port.
type liveHouse struct {
	*cobrowse.Service

	t        testing.TB
	channels *legacy.Channels
	clock    *testenv.Clock
	log      *testenv.Buffer
	base     string // http://127.0.0.1:port/cobrowse
	oauth    *oauth.Service
	token    string // an access token of the organisation
	cfg      legacy.LiveConfig
	document *openapitest.Checker // of every answer over REST
}

// apiDocument is read once for all tests.
var apiDocument struct {
	once sync.Once
	read *openapitest.Checker
}

// newLiveHouse lets customers in by their origin, and agents and controllers by an
// access token, as the defaults have it.
func newLiveHouse(t testing.TB, changes ...func(*legacy.ChannelsConfig)) *liveHouse {
	t.Helper()
	h := &liveHouse{t: t, clock: testenv.NewClock(t0), log: &testenv.Buffer{}}
	apiDocument.once.Do(func() { apiDocument.read = openapitest.NewChecker(t) })
	h.document = apiDocument.read
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, err := bolt.Open(t.Context(), bolt.Config{Path: filepath.Join(t.TempDir(), "store.db"), Log: log})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	directory := conversations.NewLocal(store, h.clock.Now)
	if err := directory.Seed(t.Context(), conversations.Organisation{ID: orgID, Name: "Shop"}, []conversations.User{
		{ID: samID, Name: "Sam Supervisor", State: conversations.UserActive, Cobrowse: conversations.Capability{Voice: true, Digital: true}},
	}, nil); err != nil {
		t.Fatalf("seed: %v", err)
	}
	h.Service = cobrowse.New(cobrowse.Config{
		Store: store, Index: store, Deployments: store, Directory: directory, Clock: h.clock.Now, Log: log, Rules: cobrowse.DefaultRules(),
		Tokens: cobrowse.NewJoinTokens([]byte("0123456789abcdef0123456789abcdef"), "https://bridge.example", 15*time.Minute, h.clock.Now),
	})
	site, err := h.CreateDeployment(t.Context(), cobrowse.Deployment{OrgID: orgID, Name: "Shop", AllowedOrigins: []string{shop}})
	if err != nil {
		t.Fatalf("create deployment: %v", err)
	}
	h.oauth, err = oauth.New(t.Context(), oauth.Config{Store: store, Clock: h.clock.Now, Issuer: "https://bridge.example", Audience: "https://bridge.example"})
	if err != nil {
		t.Fatalf("start oauth: %v", err)
	}
	h.token = h.accessToken(clientID, orgID)

	cfg := legacy.ChannelsConfig{
		Events: store, Clock: time.Now,
		Live: legacy.LiveConfig{
			Sessions: h.Service, Log: log, Org: orgID, Deployment: site.ID, BasePath: legacyAt, ServerName: "cob-node-a",
			Pages: []string{shop}, Desks: []string{desktop}, OAuth: h.oauth,
			Rules: legacy.LiveRules{
				Create: legacy.RuleOrigin, Get: legacy.RuleOrigin, Customer: legacy.RuleOrigin, Agent: legacy.RuleBearer, Controller: legacy.RuleBearer,
			},
			Limits: legacy.LiveLimits{SessionTokens: h.scan(1000)},
		},
	}
	for _, change := range changes {
		change(&cfg)
	}
	h.cfg = cfg.Live
	h.channels = legacy.NewChannels(cfg)
	h.serve(log)
	return h
}

// scan limits wrong digits.
func (h *liveHouse) scan(perMinute int) *limit.Scan {
	return limit.NewScan(limit.ScanConfig{Each: perMinute, Strangers: 10 * perMinute, Acquaintances: 10 * perMinute, Clock: h.clock.Now})
}

// deskRules lets agents and controllers in by their origin.
func deskRules(cfg *legacy.ChannelsConfig) {
	cfg.Live.Rules.Agent, cfg.Live.Rules.Controller = legacy.RuleOrigin, legacy.RuleOrigin
}

func (h *liveHouse) accessToken(id, org string) string {
	h.t.Helper()
	_, secret, err := h.oauth.CreateClient(h.t.Context(), oauth.ClientSpec{ID: id, OrgID: org, Name: "Desk", Scopes: []string{"user:read"}})
	if err != nil {
		h.t.Fatalf("create client: %v", err)
	}
	token, err := h.oauth.Grant(h.t.Context(), oauth.GrantRequest{ClientID: id, ClientSecret: secret, GrantType: oauth.GrantTypeClientCredentials})
	if err != nil {
		h.t.Fatalf("grant: %v", err)
	}
	return token.Raw
}

// serve listens and follows events until the test ends.
func (h *liveHouse) serve(log *slog.Logger) {
	h.t.Helper()
	app := web.NewApp(web.Config{
		Log: log, Clock: time.Now, Dialects: legacy.LiveDialects(h.cfg),
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, // a test may say that it is one that speaks TLS
	})
	legacy.MountLive(app, h.cfg)
	h.channels.Mount(app)
	app.Get("/control/stats", func(c *fiber.Ctx) error { return c.JSON(h.channels.Stats()) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.base = "http://" + ln.Addr().String() + legacyAt
	served, followed, ready := make(chan error, 1), make(chan error, 1), make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	go func() { served <- app.Listener(ln) }()
	go func() { followed <- h.channels.Run(ctx, func() { close(ready) }) }()
	<-ready
	h.t.Cleanup(func() { h.stop(app, served, followed, stop) })
}

func (h *liveHouse) stop(app *fiber.App, served, followed chan error, stop context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.channels.Shutdown(ctx); err != nil {
		h.t.Errorf("shut channels down: %v", err)
	}
	if err := app.ShutdownWithContext(ctx); err != nil {
		h.t.Errorf("shut the HTTP server down: %v", err)
	}
	if err := <-served; err != nil {
		h.t.Errorf("serve: %v", err)
	}
	stop()
	if err := <-followed; !errors.Is(err, context.Canceled) {
		h.t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
	if n := h.channels.Stats().Panics; n != 0 {
		h.t.Errorf("%d panics:\n%s", n, h.log)
	}
}

// browser is a page of an origin in a browser of its own, with its cookies.
type browser struct {
	*liveHouse

	origin string
	web    *http.Client
}

func (h *liveHouse) browser(origin string) *browser {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	transport := &http.Transport{}
	h.t.Cleanup(transport.CloseIdleConnections)
	return &browser{h, origin, &http.Client{Transport: transport, Jar: jar, Timeout: patience}}
}

// call sends a request below the base path; a header is "Name: value".
func (b *browser) call(method, path, body string, head ...string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if b.origin != "" {
		r.Header.Set("Origin", b.origin)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range head {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	resp, err := b.web.Do(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatalf("%s %s: read: %v", method, path, err)
	}
	a := answer{status: resp.StatusCode, head: resp.Header, text: string(data)}
	_ = json.Unmarshal(data, &a.body)
	if method != http.MethodOptions && !strings.HasPrefix(path, "/cometd") {
		if err := b.document.Check(r, []byte(body), resp, data); err != nil {
			b.t.Errorf("what is documented: %v", err)
		}
	}
	return a
}

// open begins a session over REST and returns its nine digits.
func (h *liveHouse) open() string {
	h.t.Helper()
	a := h.browser(shop).call(http.MethodPost, "/rest/live/sessions", "")
	digits, _ := a.body["sessionToken"].(string)
	if a.status != http.StatusOK || len(digits) != 9 {
		h.t.Fatalf("create = %d %s", a.status, a.text)
	}
	return digits
}

// sessionOf returns the session that has these digits, or had them.
func (h *liveHouse) sessionOf(historyID any) cobrowse.Session {
	h.t.Helper()
	id, _ := historyID.(string)
	s, err := h.Look(h.t.Context(), cobrowse.SessionID(id))
	if err != nil {
		h.t.Fatalf("look at %q: %v", id, err)
	}
	return s
}

// message is a Bayeux message.
type message map[string]any

func (m message) data() map[string]any {
	data, _ := m["data"].(map[string]any)
	return data
}

// cometd is a CometD client over a WebSocket.
type cometd struct {
	h       *liveHouse
	conn    *websocket.Conn
	id      string
	number  int
	diary   []string // channels and data of all events, in order
	before  int      // how many came before the latest answer
	cookies []*http.Cookie
}

// comet opens a WebSocket and makes a handshake.
func (b *browser) comet(head ...string) *cometd {
	b.t.Helper()
	c, reply := b.handshake("", head...)
	if reply["successful"] != true {
		b.t.Fatalf("handshake = %v", reply)
	}
	return c
}

// handshake returns the answer to a handshake with more members, such as `,"ext":{}`.
func (b *browser) handshake(more string, head ...string) (*cometd, message) {
	b.t.Helper()
	header := http.Header{}
	if b.origin != "" {
		header.Set("Origin", b.origin)
	}
	for _, line := range head {
		name, value, _ := strings.Cut(line, ": ")
		header.Set(name, value)
	}
	dialer := websocket.Dialer{HandshakeTimeout: patience, Jar: b.web.Jar}
	conn, resp, err := dialer.DialContext(b.t.Context(), strings.Replace(b.base, "http", "ws", 1)+"/cometd", header)
	if err != nil {
		b.t.Fatalf("dial: %v", err)
	}
	_ = resp.Body.Close()
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	c := &cometd{h: b.liveHouse, conn: conn, cookies: resp.Cookies()}
	c.write(`{"id":"h","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"]` + more + `}`)
	reply := c.answerTo("h")
	c.id, _ = reply["clientId"].(string)
	if c.id != "" {
		c.write(`{"id":"c","channel":"/meta/connect","connectionType":"websocket","clientId":"` + c.id + `"}`)
	}
	return c, reply
}

func (c *cometd) write(text string) {
	c.h.t.Helper()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.h.t.Fatalf("write: %v", err)
	}
}

// read returns the next messages. Events go into the diary.
func (c *cometd) read() []message {
	c.h.t.Helper()
	_, text, err := c.conn.ReadMessage()
	if err != nil {
		c.h.t.Fatalf("read: %v (diary: %v)", err, c.diary)
	}
	var all []message
	if err := json.Unmarshal(text, &all); err != nil {
		c.h.t.Fatalf("read %s: %v", text, err)
	}
	for _, m := range all {
		switch {
		case m["data"] != nil && m["id"] == nil:
			channel, _ := m["channel"].(string)
			data, _ := json.Marshal(m["data"])
			c.diary = append(c.diary, strings.TrimPrefix(channel, "/service/session/")+" "+string(data))
		case m["data"] != nil:
			c.before = len(c.diary)
		}
	}
	return all
}

// answerTo returns the reply to a message, and after it the event with its answer,
// which must have come later.
func (c *cometd) answerTo(id string) message {
	c.h.t.Helper()
	for {
		for _, m := range c.read() {
			if m["id"] == id && m["successful"] != nil {
				return m
			}
		}
	}
}

// publish sends data on a channel of sessions and returns what the answer's event
// has, or the error.
func (c *cometd) publish(what, data string) (map[string]any, string) {
	c.h.t.Helper()
	c.number++
	id := "p" + string(rune('0'+c.number%10))
	text := `{"id":"` + id + `","channel":"/service/session/` + what + `","clientId":"` + c.id + `"`
	if data != "" {
		text += `,"data":` + data
	}
	c.write(text + "}")
	var got map[string]any
	failure, acknowledged, answered := "", false, false
	for !answered {
		for _, m := range c.read() {
			switch {
			case m["id"] != id:
			case m["successful"] == false:
				failure, _ = m["error"].(string)
				answered = true
			case m["successful"] == true:
				acknowledged = true
			case !acknowledged:
				c.h.t.Fatalf("%s: the answer came before the acknowledgement", what)
			default:
				got, answered = m.data(), true
			}
		}
	}
	return got, failure
}

// must is publish where a failure ends the test.
func (c *cometd) must(what, data string) map[string]any {
	c.h.t.Helper()
	got, failure := c.publish(what, data)
	if failure != "" {
		c.h.t.Fatalf("%s %s: %s", what, data, failure)
	}
	return got
}

// join joins and returns the answer.
func (c *cometd) join(digits string, role int, more ...string) map[string]any {
	c.h.t.Helper()
	return c.must("join", joinData(digits, role, more...))
}

func joinData(digits string, role int, more ...string) string {
	data, _ := json.Marshal(map[string]any{"sessionToken": digits, "role": role})
	return strings.TrimSuffix(string(data), "}") + strings.Join(more, "") + "}"
}

// until reads until the diary has that many entries.
func (c *cometd) until(n int) []string {
	c.h.t.Helper()
	for len(c.diary) < n {
		c.read()
	}
	return c.diary
}

// heard returns what the diary speaks of, without data.
func (c *cometd) heard(n int) []string {
	c.h.t.Helper()
	var channels []string
	for _, entry := range c.until(n) {
		channel, _, _ := strings.Cut(entry, " ")
		channels = append(channels, channel)
	}
	return channels
}

// quiet makes sure that nothing more has come: what goes out before an answer comes before it.
func (c *cometd) quiet(n int) {
	c.h.t.Helper()
	c.publish("stop", `{}`)
	if len(c.diary) != n {
		c.h.t.Errorf("diary = %v, want %d entries", c.diary, n)
	}
}

// bye disconnects and waits until the server has forgotten the client.
func (c *cometd) bye() {
	c.h.t.Helper()
	before := c.h.channels.Stats().Disconnected
	c.write(`{"id":"d","channel":"/meta/disconnect","clientId":"` + c.id + `"}`)
	c.answerTo("d")
	eventually(c.h.t, "the client is forgotten", func() bool { return c.h.channels.Stats().Disconnected > before })
}

// eventually waits for what no event tells.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	late := time.After(patience)
	for !is() {
		select {
		case <-late:
			t.Fatalf("not in time: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// bearer is the header of an access token.
func (h *liveHouse) bearer() string { return "Authorization: Bearer " + h.token }

// wantREST checks a failure in the words of REST.
func wantREST(t testing.TB, what string, a answer, status int, name string) {
	t.Helper()
	text, _ := a.body["message"].(string)
	delete(a.body, "reason") // more exactly, where there is more than one
	if a.status != status || a.body["error"] != name || text == "" || len(a.body) != 2 {
		t.Errorf("%s = %d %s, want %d %s and a message", what, a.status, a.text, status, name)
	}
}

// supervisor has a supervisor come into the session, over the stream.
func (h *liveHouse) supervisor(t *testing.T, s cobrowse.Session) cobrowse.Joined {
	t.Helper()
	_, _, token, err := h.AddParticipant(t.Context(), orgID, s.ID, cobrowse.Invite{UserID: samID, Role: cobrowse.RoleSupervisor})
	if err != nil {
		t.Fatalf("invite: %v", err)
	}
	in, err := h.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, Token: token.Raw, Tab: "tab"})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return in
}
