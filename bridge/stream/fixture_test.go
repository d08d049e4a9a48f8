package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

const (
	org    conversations.OrgID  = "0a1b2c3d-0000-4000-8000-000000000001"
	ann    conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000a1" // agent
	ben    conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000b2" // supervisor
	cyn    conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000c3" // supervisor
	annPID                      = cobrowse.ParticipantID(ann)
	benPID                      = cobrowse.ParticipantID(ben)
	cynPID                      = cobrowse.ParticipantID(cyn)
	shop                        = "https://shop.example"
	tab                         = "tab-1"

	// patience is how long a test waits for what must come.
	patience = 20 * time.Second
)

// counter counts what a Hub tells its metrics.
type counter struct {
	mu     sync.Mutex
	counts map[string]int
	change chan struct{} // closed and replaced at each count
}

func newCounter() *counter { return &counter{counts: map[string]int{}, change: make(chan struct{})} }

func (c *counter) add(name string) { c.addMany(name, 1) }

func (c *counter) addMany(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[name] += n
	close(c.change)
	c.change = make(chan struct{})
}

func (c *counter) get(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[name]
}

// wait waits until something was counted so often.
func (c *counter) wait(t *testing.T, name string, n int) {
	t.Helper()
	late := time.After(patience)
	for {
		c.mu.Lock()
		got, change := c.counts[name], c.change
		c.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-change:
		case <-late:
			t.Fatalf("%s was counted %d times, want %d", name, got, n)
		}
	}
}

func (c *counter) metrics() stream.Metrics {
	named := func(prefix string) func(string) { return func(name string) { c.add(prefix + name) } }
	return stream.Metrics{
		Opened: func() { c.add("opened") }, Closed: named("closed "), Refused: named("refused "),
		FrameIn: named("in "), Panicked: func() { c.add("panicked") }, Control: named("control "),
		FrameOut: func(kind string, n int) { c.addMany("out "+kind, n) },
		Dropped:  func() { c.add("dropped") }, Paused: func() { c.add("paused") }, Violated: func() { c.add("violated") },
	}
}

// house is a running service with a stream on a loopback port.
type house struct {
	*cobrowse.Service
	store     *bolt.Store
	directory *conversations.Local
	log       *testenv.Buffer

	*node
}

// node is one process of an installation.
type node struct {
	hub    *stream.Hub
	counts *counter
	base   string // http://127.0.0.1:port
	stop   func() // may be called more than once
}

// change alters the configuration of a hub before it is built.
type change func(*stream.Config)

func newHouse(t *testing.T, changes ...change) *house {
	t.Helper()
	h := &house{log: &testenv.Buffer{}}
	store, err := bolt.Open(t.Context(), bolt.Config{Path: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	clock := cobridge.Clock(time.Now)
	h.store, h.directory = store, conversations.NewLocal(store, clock)
	h.Service = cobrowse.New(cobrowse.Config{
		Store: store, Index: store, Deployments: store, Directory: h.directory, Clock: clock, Rules: cobrowse.DefaultRules(), Log: log,
		Tokens: cobrowse.NewJoinTokens([]byte("0123456789abcdef0123456789abcdef"), "https://bridge.example", 15*time.Minute, clock),
	})
	both := conversations.Capability{Voice: true, Digital: true}
	var users []conversations.User
	for id, name := range map[conversations.UserID]string{ann: "Ann", ben: "Ben", cyn: "Cyn"} {
		users = append(users, conversations.User{ID: id, Name: name, State: conversations.UserActive, Cobrowse: both})
	}
	if err := h.directory.Seed(t.Context(), conversations.Organisation{ID: org, Name: "Test"}, users, nil); err != nil {
		t.Fatalf("seed: %v", err)
	}
	h.node = h.newNode(t, log, changes...)
	return h
}

// newNode starts a hub over the house's store.
func (h *house) newNode(t *testing.T, log *slog.Logger, changes ...change) *node {
	t.Helper()
	n := &node{counts: newCounter()}
	cfg := stream.Config{Service: h.Service, Events: h.store, Deployments: h.store, Clock: time.Now, Log: log, Metrics: n.counts.metrics()}
	var listener net.Listener
	for _, change := range changes {
		change(&cfg)
	}
	n.hub = stream.New(cfg)
	app := web.NewApp(web.Config{Log: log, Clock: time.Now})
	n.hub.Mount(app)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	n.base = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.hub.Run(ctx, func() { close(ready) }); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want canceled", err)
		}
	})
	running.Go(func() {
		if err := app.Listener(smallBuffers{listener}); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	n.stop = sync.OnceFunc(func() {
		ctx, stopped := context.WithTimeout(context.Background(), patience)
		defer stopped()
		if err := n.hub.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if err := app.ShutdownWithContext(ctx); err != nil {
			t.Errorf("stop server: %v", err)
		}
		cancel()
		running.Wait()
	})
	t.Cleanup(n.stop)
	<-ready
	return n
}

// smallBuffers accepts connections whose kernel buffers fill quickly.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = tcp.SetWriteBuffer(4096)
	}
	return conn, err
}

var (
	agentAndSupervisor = []cobrowse.Invite{{UserID: ann, Role: cobrowse.RoleAgent}, {UserID: ben, Role: cobrowse.RoleSupervisor}}
	everybody          = append([]cobrowse.Invite{{Role: cobrowse.RoleCustomer, Name: "Kim"}}, agentAndSupervisor...)
)

// start starts a session; the agent is the sharer unless there is a customer.
func (h *house) start(t *testing.T, invites []cobrowse.Invite) cobrowse.Session {
	t.Helper()
	c, err := h.directory.Create(t.Context(), org, conversations.NewConversation{
		Medium: conversations.MediumMessage, Participants: []conversations.NewParticipant{
			{Purpose: conversations.PurposeCustomer, Name: "Kim"}, {Purpose: conversations.PurposeAgent, UserID: ann},
		},
	})
	if err != nil {
		t.Fatalf("create conversation: %v", err)
	}
	started, err := h.Start(t.Context(), cobrowse.StartRequest{OrgID: org, ClientID: "client", ConversationID: c.ID, Participants: invites, AllowRemoteControl: true})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return started.Session
}

func (h *house) token(t *testing.T, s cobrowse.Session, p cobrowse.ParticipantID) string {
	t.Helper()
	token, err := h.IssueToken(t.Context(), org, s.ID, p)
	if err != nil {
		t.Fatalf("IssueToken: %v", err)
	}
	return token.Raw
}

// redeem is what POST /api/v2/cobrowse/join does.
func (h *house) redeem(t *testing.T, s cobrowse.Session, p cobrowse.ParticipantID) cobrowse.ResumeSecret {
	t.Helper()
	joined, err := h.Redeem(t.Context(), h.token(t, s, p), tab)
	if err != nil {
		t.Fatalf("Redeem: %v", err)
	}
	return joined.Secret
}

// client is one end of a stream.
type client struct {
	*websocket.Conn
	answer *answer // with status 101
}

// answer is an HTTP answer that was read.
type answer struct {
	StatusCode int
	Header     http.Header
	body       []byte
}

// read reads an answer; the library leaves the body of a refusal with the first
// kilobyte in it.
func read(t *testing.T, response *http.Response) *answer {
	t.Helper()
	if response == nil {
		return &answer{}
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatalf("close answer: %v", err)
	}
	return &answer{StatusCode: response.StatusCode, Header: response.Header, body: body}
}

// dialing is how a test opens a stream.
type dialing struct {
	session   cobrowse.SessionID
	query     string
	origin    string
	token     string // in the subprotocols
	cookie    string
	compress  bool
	protocols []string // nil = cobridge.v1
}

func (n *node) try(t *testing.T, d dialing) (*client, *answer, error) {
	t.Helper()
	head := http.Header{}
	if d.origin == "own" {
		d.origin = n.base
	}
	if d.origin != "" {
		head.Set("Origin", d.origin)
	}
	if d.cookie != "" {
		head.Set("Cookie", d.cookie)
	}
	dialer := websocket.Dialer{Subprotocols: d.protocols, EnableCompression: d.compress, HandshakeTimeout: patience}
	if d.protocols == nil {
		dialer.Subprotocols = []string{"cobridge.v1"}
	}
	if d.token != "" {
		dialer.Subprotocols = append(dialer.Subprotocols, "cobridge.token."+d.token)
	}
	url := strings.Replace(n.base, "http", "ws", 1) + "/api/v2/cobrowse/sessions/" + string(d.session) + "/stream" + d.query
	conn, response, err := dialer.DialContext(t.Context(), url, head)
	got := read(t, response)
	if err != nil {
		return nil, got, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatalf("set deadline: %v", err)
	}
	return &client{Conn: conn, answer: got}, got, nil
}

func (n *node) dial(t *testing.T, d dialing) *client {
	t.Helper()
	c, response, err := n.try(t, d)
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, response)
	}
	if got, want := c.Subprotocol(), "cobridge.v1"; got != want {
		t.Errorf("subprotocol = %q, want %q", got, want)
	}
	return c
}

// join lets a participant in with a token in hello, and reads welcome, peers and state.
func (h *house) join(t *testing.T, s cobrowse.Session, p cobrowse.ParticipantID) *client {
	t.Helper()
	c := h.dial(t, dialing{session: s.ID})
	c.send(t, map[string]any{"t": "hello", "v": 1, "token": h.token(t, s, p), "tab": tab})
	c.expect(t, "welcome")
	return c
}

func (c *client) send(t *testing.T, frame any) {
	t.Helper()
	text, ok := frame.(string)
	if !ok {
		data, err := json.Marshal(frame)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		text = string(data)
		// Maps have no order; t stands first.
		if m, isMap := frame.(map[string]any); isMap {
			kind, _ := json.Marshal(m["t"])
			delete(m, "t")
			rest, _ := json.Marshal(m)
			text = `{"t":` + string(kind) + strings.TrimSuffix(","+string(rest)[1:], ",}")
			if len(m) == 0 {
				text = `{"t":` + string(kind) + "}"
			}
		}
	}
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatalf("send %.80s: %v", text, err)
	}
}

// read reads the next frame.
func (c *client) read() (map[string]any, error) {
	_, data, err := c.ReadMessage()
	if err != nil {
		return nil, err
	}
	frame := map[string]any{}
	return frame, json.Unmarshal(data, &frame)
}

// expect reads until a frame of this kind comes, and returns it.
func (c *client) expect(t *testing.T, kind string) map[string]any {
	t.Helper()
	return c.until(t, kind, func(map[string]any) bool { return true })
}

// until reads until a frame of this kind fits.
func (c *client) until(t *testing.T, kind string, fits func(map[string]any) bool) map[string]any {
	t.Helper()
	for {
		frame, err := c.read()
		if err != nil {
			t.Fatalf("read: %v, want a frame %q", err, kind)
		}
		if frame["t"] == kind && fits(frame) {
			return frame
		}
	}
}

// state reads until the session is in this state.
func (c *client) state(t *testing.T, want string) map[string]any {
	t.Helper()
	return c.until(t, "state", func(f map[string]any) bool { return f["state"] == want })
}

// closed reads until the server closes, and checks the code. It returns what came before.
func (c *client) closed(t *testing.T, code int, reason string) []map[string]any {
	t.Helper()
	var before []map[string]any
	for {
		frame, err := c.read()
		if e, ok := errors.AsType[*websocket.CloseError](err); ok {
			if e.Code != code || e.Text != reason {
				t.Errorf("closed with %d %q, want %d %q", e.Code, e.Text, code, reason)
			}
			return before
		}
		if err != nil {
			t.Fatalf("read: %v, want close %d", err, code)
		}
		before = append(before, frame)
	}
}

// peer returns whether a participant is in a peers frame, and connected.
func peer(frame map[string]any, id cobrowse.ParticipantID) (connected, listed bool) {
	list, _ := frame["list"].([]any)
	for _, item := range list {
		if p, ok := item.(map[string]any); ok && p["id"] == string(id) {
			connected, _ = p["connected"].(bool)
			return connected, true
		}
	}
	return false, false
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
