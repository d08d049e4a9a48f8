package socket_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/notify/socket"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

const (
	org   = "org"
	topic = "v2.users.ada.conversations"
	beat  = `{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}`
	pong  = `{"topicName":"channel.metadata","eventBody":{"message":"pong"}}`
	wait  = 20 * time.Second // for what must come; nothing waits that long
)

type tokens struct {
	mu   sync.Mutex
	dead bool
}

func (k *tokens) Alive(context.Context, oauth.Principal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return &cobridge.Error{Code: cobridge.CodeBadCredentials}
	}
	return nil
}

func (k *tokens) kill() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dead = true
}

type everybody struct{}

func (everybody) Users(_ context.Context, _ conversations.OrgID, q conversations.UserQuery) ([]conversations.User, int, error) {
	users := make([]conversations.User, len(q.IDs))
	for i, id := range q.IDs {
		users[i].ID = id
	}
	return users, len(users), nil
}

// house is channels on a real listener.
type house struct {
	*notify.Service
	server  *socket.Server
	tokens  *tokens
	log     *testenv.Buffer
	address string
	token   oauth.Principal
}

func newHouse(t *testing.T, change ...func(*socket.Config, *notify.Config)) *house {
	t.Helper()
	store, err := bolt.Open(t.Context(), bolt.Config{Path: filepath.Join(t.TempDir(), "store.db"), Volatile: true})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	h := &house{tokens: &tokens{}, log: &testenv.Buffer{}, token: oauth.Principal{
		OrgID: org, ClientID: "client", TokenID: "token", Scopes: []string{"conversations:readonly"}, ExpiresAt: time.Now().Add(time.Hour),
	}}
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	rules := notify.Config{Store: store, Clock: time.Now, Tokens: h.tokens, Users: everybody{}}
	cfg := socket.Config{Clock: time.Now, Log: log, Limits: socket.Limits{Close: 100 * time.Millisecond, Leave: 50 * time.Millisecond}}
	for _, fn := range change {
		fn(&cfg, &rules)
	}
	h.Service = notify.New(rules)
	cfg.Channels = h.Service
	h.server = socket.New(cfg)
	app := web.NewApp(web.Config{Log: log, Clock: time.Now})
	h.server.Mount(app)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	h.address = ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- app.Listener(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		if err := errors.Join(h.server.Shutdown(ctx), app.ShutdownWithContext(ctx), <-done, store.Close()); err != nil {
			t.Errorf("close the house: %v", err)
		}
	})
	return h
}

// channel makes one that has the topic.
func (h *house) channel(t *testing.T) notify.ChannelID {
	t.Helper()
	c, err := h.Create(t.Context(), h.token)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if _, err := h.Subscribe(t.Context(), h.token, c.ID, notify.SubscribeRequest{Topics: []string{topic}}); err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	return c.ID
}

func (h *house) publish(frame string) {
	to, _ := notify.ParseTopic(topic)
	h.Publish(org, to, []byte(frame))
}

// dial connects without looking at the first frame.
func (h *house) dial(t *testing.T, id notify.ChannelID) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{HandshakeTimeout: wait}
	conn, resp, err := dialer.DialContext(t.Context(), "ws://"+h.address+"/channels/"+string(id), http.Header{"Origin": {"https://anywhere.example"}})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	return conn
}

// connect connects and is welcomed.
func (h *house) connect(t *testing.T, id notify.ChannelID) *websocket.Conn {
	t.Helper()
	conn := h.dial(t, id)
	wantFrame(t, conn, beat)
	return conn
}

func read(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	kind, data, err := conn.ReadMessage()
	if err != nil || kind != websocket.TextMessage {
		t.Fatalf("read = kind %d, %v, want a text frame", kind, err)
	}
	return string(data)
}

func wantFrame(t *testing.T, conn *websocket.Conn, want string) {
	t.Helper()
	if got := read(t, conn); got != want {
		t.Fatalf("read %s\nwant %s", got, want)
	}
}

func send(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// wantClose reads to the end, and wants it to be one with this code.
func wantClose(t *testing.T, conn *websocket.Conn, want int) {
	t.Helper()
	for {
		_, _, err := conn.ReadMessage()
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != want {
			t.Errorf("the connection ended with %v, want %d", err, want)
		}
		return
	}
}

func TestHeartbeatsAndPings(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *socket.Config, _ *notify.Config) { c.Limits.Heartbeat = 20 * time.Millisecond })
	conn := h.connect(t, h.channel(t))
	wantFrame(t, conn, beat)
	wantFrame(t, conn, beat)
	send(t, conn, `{"message":"ping"}`)
	for got := beat; got != pong; {
		if got = read(t, conn); got != beat && got != pong {
			t.Fatalf("read %s, want heartbeats and a pong", got)
		}
	}
}

func TestToldAndSubscribedOverTheSocket(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.channel(t)
	conn := h.connect(t, id)
	h.publish(`{"n":1}`)
	wantFrame(t, conn, `{"n":1}`)
	for _, tt := range []struct {
		send                            string
		result, status, message, corrID string
	}{
		{`{"message":"subscribe","topics":["v2.users.sam.conversations.calls"],"correlationId":"x"}`, "200", "subscribed", "", "x"},
		{`{"message":"subscribe","topics":["v2.users.sam.presence"],"correlationId":"y"}`, "400", "failure", "notification.invalid.topic", "y"},
		{`{"message":"subscribe"}`, "200", "subscribed", "", ""},
		{`{"message":"subscribe","topics":[],"correlationId":"` + strings.Repeat("x", 101) + `"}`, "200", "subscribed", "", ""},
	} {
		send(t, conn, tt.send)
		var got struct{ Result, Status, Message, CorrelationID string }
		if err := json.Unmarshal([]byte(read(t, conn)), &got); err != nil {
			t.Fatalf("answer: %v", err)
		}
		if got.Result != tt.result || got.Status != tt.status || got.Message != tt.message || got.CorrelationID != tt.corrID {
			t.Errorf("%s is answered with %+v", tt.send, got)
		}
	}
	c, err := h.Channel(t.Context(), h.token, id)
	if err != nil || len(c.Topics) != 2 {
		t.Errorf("the channel has %q, %v, want two topics", c.Topics, err)
	}
	send(t, conn, `{"message":"of a later version"}`)
	send(t, conn, `{"message":"ping"}`)
	wantFrame(t, conn, pong)
	h.tokens.kill()
	send(t, conn, `{"message":"subscribe","topics":["`+topic+`"]}`)
	wantFrame(t, conn, `{"result":"404","status":"error","message":"entity.not.found"}`)
}

func TestReconnect(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.channel(t)
	first := h.connect(t, id)
	second := h.connect(t, id)
	wantClose(t, first, 4409)
	h.publish(`{"n":1}`)
	wantFrame(t, second, `{"n":1}`)
	_ = second.Close() // without a word
	third := h.connect(t, id)
	h.publish(`{"n":2}`)
	wantFrame(t, third, `{"n":2}`)
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	stays, leaves := h.connect(t, h.channel(t)), h.connect(t, h.channel(t))
	done := make(chan error, 1)
	go func() { done <- h.server.Shutdown(context.Background()) }()
	for _, conn := range []*websocket.Conn{stays, leaves} {
		if got := read(t, conn); !strings.HasPrefix(got, `{"topicName":"v2.system.socket_closing",`) {
			t.Errorf("read %s, want v2.system.socket_closing", got)
		}
	}
	_ = leaves.Close()
	h.publish(`{"n":1}`) // until it closes, it is told
	wantFrame(t, stays, `{"n":1}`)
	wantClose(t, stays, websocket.CloseGoingAway)
	if err := <-done; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	h.wantRefused(t, h.channel(t), http.StatusServiceUnavailable, websocketHeader())
}

// A client that does not read does not hold a shutdown up.
func TestShutdownInTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *socket.Config, _ *notify.Config) { c.Limits.Leave, c.Limits.Close = time.Hour, time.Hour })
	h.connect(t, h.channel(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown = %v, want %v", err, context.Canceled)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	short := func(_ *socket.Config, c *notify.Config) { c.Limits.Life = 200 * time.Millisecond }
	for name, tt := range map[string]struct {
		change func(*socket.Config, *notify.Config)
		do     func(*testing.T, *house, *websocket.Conn)
		want   int
	}{
		"token": {nil, func(_ *testing.T, h *house, _ *websocket.Conn) {
			h.Revoked(oauth.Revocation{ClientID: "client", TokenID: "token"})
		}, 4401},
		"expiry":   {short, nil, 4410},
		"not JSON": {nil, func(t *testing.T, _ *house, conn *websocket.Conn) { t.Helper(); send(t, conn, "ping") }, 4400},
		"too deep": {nil, func(t *testing.T, _ *house, conn *websocket.Conn) {
			t.Helper()
			send(t, conn, strings.Repeat("[", 9)+strings.Repeat("]", 9))
		}, 4400},
		"too large": {nil, func(t *testing.T, _ *house, conn *websocket.Conn) {
			t.Helper()
			send(t, conn, strings.Repeat(" ", 256<<10+1))
		}, websocket.CloseMessageTooBig},
		"binary": {nil, func(t *testing.T, _ *house, conn *websocket.Conn) {
			t.Helper()
			if err := conn.WriteMessage(websocket.BinaryMessage, []byte(`{"message":"ping"}`)); err != nil {
				t.Errorf("write: %v", err)
			}
		}, 4400},
		"rate": {nil, func(_ *testing.T, _ *house, conn *websocket.Conn) {
			for conn.WriteMessage(websocket.TextMessage, []byte(`{"message":"x"}`)) == nil {
				_ = conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			}
		}, 4429},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var change []func(*socket.Config, *notify.Config)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			h := newHouse(t, change...)
			conn := h.connect(t, h.channel(t))
			if name == "rate" { // the other side does not read what it is not sent
				go tt.do(t, h, conn)
			} else if tt.do != nil {
				tt.do(t, h, conn)
			}
			wantClose(t, conn, tt.want)
			h.gone(t)
		})
	}
}

// gone waits until no connection is left.
func (h *house) gone(t *testing.T) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(wait); h.Connections() > 0; <-ticker.C {
		if time.Now().After(end) {
			t.Fatalf("%d connections are left", h.Connections())
		}
	}
}

func TestSlowClientIsCut(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	slow, quick := h.connect(t, h.channel(t)), h.connect(t, h.channel(t))
	frame := `{"x":"` + strings.Repeat("x", 64<<10) + `"}`
	heard := make(chan int)
	go func() {
		n := 0
		for {
			if _, _, err := quick.ReadMessage(); err != nil {
				heard <- n
				return
			}
			n++
		}
	}()
	// At the rate of the quick one; the slow one reads nothing.
	ticker := time.NewTicker(100 * time.Microsecond)
	defer ticker.Stop()
	sent := 0
	for end := time.Now().Add(wait); h.Connections() == 2; <-ticker.C {
		if time.Now().After(end) {
			t.Fatal("a client that does not read is not cut")
		}
		h.publish(frame)
		sent++
	}
	_ = slow.Close()
	_ = quick.Close()
	if n := <-heard; n == 0 {
		t.Errorf("the other client heard nothing of %d frames", sent)
	}
}

func TestSilentClientIsCut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *socket.Config, _ *notify.Config) {
		c.Limits.PingEvery, c.Limits.DeadAfter = 20*time.Millisecond, 300*time.Millisecond
	})
	silent, answering := h.connect(t, h.channel(t)), h.connect(t, h.channel(t))
	go func() {
		for {
			if _, _, err := answering.ReadMessage(); err != nil { // it answers pings
				return
			}
		}
	}()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(wait); h.Connections() == 2; <-ticker.C {
		if time.Now().After(end) {
			t.Fatal("a client that answers no ping is not cut")
		}
	}
	if n := h.Connections(); n != 1 {
		t.Errorf("%d connections are left, want the one that answers", n)
	}
	_ = silent.Close()
}

func websocketHeader() http.Header {
	return http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
}

func (h *house) wantRefused(t *testing.T, id notify.ChannelID, status int, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/channels/%s", h.address, id), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatalf("request: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var e struct {
		Status int
		Code   string
	}
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || resp.StatusCode != status || e.Status != status || e.Code == "" {
		t.Errorf("answer %d %+v (%v), want %d with the envelope", resp.StatusCode, e, err, status)
	}
}

func TestRefusedBeforeTheUpgrade(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.channel(t)
	listener := h.connect(t, id)
	h.wantRefused(t, "5d2e7a0c-8b41-4c6f-9a3e-2f1b0c9d8e7f", http.StatusNotFound, websocketHeader())
	for name, value := range map[string]string{"Upgrade": "", "Sec-Websocket-Version": "8", "Sec-Websocket-Key": "short"} {
		header := websocketHeader()
		header.Set(name, value)
		h.wantRefused(t, id, http.StatusBadRequest, header)
	}
	// None of them took the channel from who has it.
	h.publish(`{"n":1}`)
	wantFrame(t, listener, `{"n":1}`)

	busy := newHouse(t, func(c *socket.Config, _ *notify.Config) {
		c.Limits.Sockets = 1
		c.Allow = func(_ context.Context, network string) error {
			if network != "127.0.0.1" {
				t.Errorf("Allow was asked for %q", network)
			}
			return nil
		}
	})
	busy.connect(t, busy.channel(t))
	busy.wantRefused(t, busy.channel(t), http.StatusServiceUnavailable, websocketHeader())
	limited := newHouse(t, func(c *socket.Config, _ *notify.Config) {
		c.Allow = func(context.Context, string) error { return &cobridge.Error{Code: cobridge.CodeTooManyRequests} }
	})
	limited.wantRefused(t, limited.channel(t), http.StatusTooManyRequests, websocketHeader())
}

// The id of a channel lets in: it is never logged.
func TestChannelsAreNotLogged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.channel(t)
	conn := h.connect(t, id)
	send(t, conn, `{"message":"subscribe","topics":["x"]}`)
	read(t, conn)
	send(t, conn, "no JSON")
	wantClose(t, conn, 4400)
	h.tokens.kill()
	h.wantRefused(t, id, http.StatusNotFound, websocketHeader())
	if text := h.log.String(); strings.Contains(text, string(id)) {
		t.Errorf("the log names the channel:\n%s", text)
	}
}
