package stream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/relay"
)

// A write to a WebSocket whose handler has returned must not reach the client
// that comes next: fasthttp would hand the connection's shell on to it. Without
// KeepHijackedConns, which web.NewApp sets, most of these rounds fail.
func TestLateWriteReachesNobody(t *testing.T) {
	t.Parallel()
	app := web.NewApp(web.Config{Log: discard(), Clock: time.Now})
	upgrader := websocket.FastHTTPUpgrader{}
	late := make(chan *websocket.Conn, 1)
	app.Get("/leak", func(c *fiber.Ctx) error {
		return upgrader.Upgrade(c.Context(), func(ws *websocket.Conn) {
			defer func() { late <- ws }() // against the rule: it outlives the handler
			defer func() { _ = ws.Close() }()
			_, _, _ = ws.ReadMessage()
		})
	})
	app.Get("/next", func(c *fiber.Ctx) error {
		return upgrader.Upgrade(c.Context(), func(ws *websocket.Conn) {
			defer func() { _ = ws.Close() }()
			_, _, _ = ws.ReadMessage()
			_ = ws.WriteMessage(websocket.TextMessage, []byte("for the next"))
			_, _, _ = ws.ReadMessage()
		})
	})
	base := serve(t, app)
	for round := range 20 {
		first := dialRaw(t, base+"/leak")
		_ = first.Close()
		leaked := <-late
		next := dialRaw(t, base+"/next")
		// The shell is taken back a moment after the handler has returned, and used
		// again when the next one comes.
		if err := leaked.WriteMessage(websocket.TextMessage, []byte("for the first")); err == nil {
			t.Errorf("round %d: a late write succeeded", round)
		}
		if err := next.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
			t.Fatalf("write: %v", err)
		}
		if _, data, err := next.ReadMessage(); err != nil || string(data) != "for the next" {
			t.Errorf("round %d: the next client read %q, %v, want its own message", round, data, err)
		}
		_ = next.Close()
	}
}

func serve(t *testing.T, app *fiber.App) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := app.Listener(listener); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		if err := app.ShutdownWithTimeout(patience); err != nil {
			t.Errorf("shut down: %v", err)
		}
		running.Wait()
	})
	return "ws://" + listener.Addr().String()
}

func dialRaw(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	conn, response, err := (&websocket.Dialer{HandshakeTimeout: patience}).DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	_ = response.Body.Close()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// The same with the hub: while clients come and go under a flood of news, each
// sees its own welcome first, and never another session's frames.
func TestComingAndGoingUnderFlood(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, two := h.start(t, agentAndSupervisor), h.start(t, []cobrowse.Invite{{UserID: cyn, Role: cobrowse.RoleAgent}, {UserID: ben, Role: cobrowse.RoleSupervisor}})
	joined, err := h.Redeem(t.Context(), h.token(t, one, annPID), tab)
	if err != nil {
		t.Fatalf("Redeem: %v", err)
	}
	var flood sync.WaitGroup
	stop := make(chan struct{})
	flood.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			page := fmt.Sprintf("https://shop.example/%d", i)
			if err := h.VisitPage(context.Background(), one.ID, annPID, joined.Participant.Connection.Number, page, ""); err != nil {
				t.Errorf("VisitPage: %v", err)
				return
			}
		}
	})
	for range 15 {
		c := h.join(t, one, benPID)
		c.expect(t, "page")
		_ = c.NetConn().Close() // in the middle of it
		other := h.dial(t, dialing{session: two.ID, token: h.token(t, two, benPID)})
		if f, err := other.read(); err != nil || f["t"] != "welcome" || f["session"] != string(two.ID) {
			t.Errorf("first frame = %v, %v, want the own welcome", f, err)
		}
		_ = other.Close()
	}
	close(stop)
	flood.Wait()
}

func TestPanicInPump(t *testing.T) {
	t.Parallel()
	t.Run("read", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(c *stream.Config) { c.Service = serviceWith{Service: c.Service, panics: true} })
		s := h.start(t, agentAndSupervisor)
		agent, supervisor := h.join(t, s, annPID), h.join(t, s, benPID)
		supervisor.send(t, map[string]any{"t": "act"})
		supervisor.closed(t, 1011, "")
		agent.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, benPID); return !connected })
		if got := h.counts.get("panicked"); got != 1 {
			t.Errorf("panics counted = %d, want 1", got)
		}
	})
	t.Run("write", func(t *testing.T) {
		t.Parallel()
		var once sync.Once
		h := newHouse(t, func(c *stream.Config) {
			out := c.Metrics.FrameOut
			c.Metrics.FrameOut = func(kind string, n int) {
				out(kind, n)
				if kind == "err" {
					once.Do(func() { panic("in the write pump") })
				}
			}
		})
		s := h.start(t, agentAndSupervisor)
		agent, supervisor := h.join(t, s, annPID), h.join(t, s, benPID)
		supervisor.send(t, map[string]any{"t": "page", "url": "https://shop.example/"}) // answered with err
		supervisor.closed(t, 1011, "")
		agent.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, benPID); return !connected })
		if got := h.counts.get("panicked"); got != 1 {
			t.Errorf("panics counted = %d, want 1", got)
		}
	})
}

func TestBadFrames(t *testing.T) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	for name, tt := range map[string]struct {
		text string
		in   bool // the client has said hello before
	}{
		"not JSON":              {"hello", true},
		"an array":              {`["t","act"]`, true},
		"t comes second":        {`{"v":1,"t":"act"}`, true},
		"T instead of t":        {`{"T":"act"}`, true},
		"a number for t":        {`{"t":1}`, true},
		"unfinished":            {`{"t":"act"`, true},
		"something after it":    {`{"t":"act"} {}`, true},
		"too deep":              {`{"t":"act","x":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + "}", true},
		"deep unknown":          {`{"t":"later","x":` + strings.Repeat("[", 8000) + strings.Repeat("]", 8000) + "}", true},
		"broken UTF-8":          {"{\"t\":\"act\",\"x\":\"\xff\"}", true},
		"url of a wrong type":   {`{"t":"page","url":1}`, true},
		"act before hello":      {`{"t":"act"}`, false},
		"unknown before hello":  {`{"t":"later"}`, false},
		"hello of a wrong type": {`{"t":"hello","v":"1"}`, false},
		"empty":                 {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			var c *client
			if tt.in {
				c = h.join(t, s, benPID)
			} else {
				c = h.dial(t, dialing{session: s.ID})
			}
			c.send(t, tt.text)
			before := c.closed(t, 4400, "")
			if last := before[len(before)-1]; last["t"] != "err" || last["code"] != string(cobridge.CodeBadRequest) || last["fatal"] != true {
				t.Errorf("last frame = %v, want a fatal err", last)
			}
		})
	}
	c := h.join(t, s, benPID)
	if err := c.WriteMessage(websocket.BinaryMessage, []byte(`{"t":"act"}`)); err != nil {
		t.Fatal(err)
	}
	c.closed(t, 4400, "")
}

func TestUnknownIsIgnored(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	c := h.join(t, s, annPID)
	for _, text := range []string{
		`{"t":"later","v":"of a later version","b":[{}]}`, ` { "t" : "act" , "more" : {"x":[1]} } `, `{"t":"hello","v":1}`,
	} {
		c.send(t, text)
	}
	c.send(t, map[string]any{"t": "end"})
	c.closed(t, 1000, "participantLeft")
	for name, want := range map[string]int{"in unknown": 1, "in act": 1, "in hello": 2, "in end": 1} {
		if got := h.counts.get(name); got != want {
			t.Errorf("%s = %d, want %d", name, got, want)
		}
	}
}

// The library's own limit counts what is on the wire: 1 MiB of one letter is
// about 1 KiB there. The frame is a valid act, so without our limit it would pass.
func TestFrameTooLarge(t *testing.T) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	frame := func(size int) string { return `{"t":"act","x":"` + strings.Repeat("a", size-18) + `"}` }
	limit := 16 << 10
	for name, tt := range map[string]struct {
		compress bool
		text     string
		fits     bool
	}{
		"at the limit":                  {false, frame(limit), true},
		"above it":                      {false, frame(limit + 1), false},
		"compressed, at the limit":      {true, frame(limit), true},
		"compressed, above it":          {true, frame(limit + 1), false},
		"compressed, 1 MiB from 1 KiB":  {true, frame(1 << 20), false},
		"compressed, 16 MiB from 16 KB": {true, frame(15 << 20), false},
	} {
		t.Run(name, func(t *testing.T) {
			c := h.dial(t, dialing{session: s.ID, compress: tt.compress, token: h.token(t, s, benPID)})
			if got := strings.Contains(c.answer.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate"); got != tt.compress {
				t.Errorf("compression = %t, want %t", got, tt.compress)
			}
			c.expect(t, "welcome")
			acts := h.counts.get("in act")
			c.send(t, tt.text)
			if tt.fits {
				h.counts.wait(t, "in act", acts+1)
				return
			}
			c.closed(t, 1009, "")
			if got := h.counts.get("in act"); got != acts {
				t.Error("the frame was handled")
			}
		})
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	limited := func(c *stream.Config) { c.Limits.FrameBurst, c.Limits.FramesPerSecond = 10, 0.001 }
	for name, flood := range map[string]func(*client) error{
		"frames": func(c *client) error { return c.WriteMessage(websocket.TextMessage, []byte(`{"t":"later"}`)) },
		"pings":  func(c *client) error { return c.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience)) },
		"pongs":  func(c *client) error { return c.WriteControl(websocket.PongMessage, nil, time.Now().Add(patience)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, limited)
			s := h.start(t, agentAndSupervisor)
			c := h.join(t, s, annPID)
			for range 10 { // hello was the first
				if err := flood(c); err != nil {
					t.Fatalf("send: %v", err)
				}
			}
			c.closed(t, 4429, "")
		})
	}
}

func TestHelloMustComeInTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *stream.Config) { c.Limits.Hello = 100 * time.Millisecond })
	s := h.start(t, agentAndSupervisor)
	silent := h.dial(t, dialing{session: s.ID})
	// Pongs keep a stranger no longer.
	chatty := h.dial(t, dialing{session: s.ID})
	stop := make(chan struct{})
	var pongs sync.WaitGroup
	pongs.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_ = chatty.WriteControl(websocket.PongMessage, nil, time.Now().Add(time.Second))
			}
		}
	})
	silent.closed(t, 4408, "hello")
	chatty.closed(t, 4408, "hello")
	close(stop)
	pongs.Wait()
}

func TestDeadClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *stream.Config) {
		c.Limits.PingEvery, c.Limits.DeadAfter = 50*time.Millisecond, 400*time.Millisecond
	})
	s := h.start(t, agentAndSupervisor)
	agent, dead := h.join(t, s, annPID), h.join(t, s, benPID)
	_ = dead // nobody reads from it any more, so nothing answers the pings
	agent.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, benPID); return connected })
	agent.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, benPID); return !connected })
	h.counts.wait(t, "closed lost", 1)
	if got := h.counts.get("closed lost"); got != 1 {
		t.Errorf("lost = %d, want the dead client alone", got)
	}
}

// A client that reads nothing is cut while the server still writes to it, and
// the others are not held up.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *stream.Config) {
		c.Limits.Picture, c.Limits.Close, c.Limits.Write = relay.DefaultLimits(), 100*time.Millisecond, time.Hour
		c.Limits.Picture.QueueFrames = 64
	})
	s := h.start(t, []cobrowse.Invite{
		{UserID: ann, Role: cobrowse.RoleAgent}, {UserID: ben, Role: cobrowse.RoleSupervisor}, {UserID: cyn, Role: cobrowse.RoleSupervisor},
	})
	sharer, slow, quick := h.join(t, s, annPID), h.join(t, s, benPID), h.join(t, s, cynPID)
	if tcp, ok := slow.NetConn().(*net.TCPConn); !ok || tcp.SetReadBuffer(4096) != nil {
		t.Fatal("the read buffer was not set")
	}
	now, err := h.Look(t.Context(), s.ID)
	if err != nil {
		t.Fatalf("Look: %v", err)
	}
	agent, _ := now.Participant(annPID)
	for i := 0; h.counts.get("closed tooSlow") == 0; i++ {
		if i == 10_000 {
			t.Fatal("the slow client was never closed")
		}
		page := fmt.Sprintf("https://shop.example/%d/%s", i, strings.Repeat("x", 1900))
		if err := h.VisitPage(t.Context(), s.ID, annPID, agent.Connection.Number, page, ""); err != nil {
			t.Fatalf("VisitPage: %v", err)
		}
		quick.until(t, "page", func(f map[string]any) bool { return f["url"] == page })
	}
	sharer.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, benPID); return connected })
	sharer.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, benPID); return !connected })
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent, stranger := h.join(t, s, annPID), h.dial(t, dialing{session: s.ID})
	var answered sync.WaitGroup
	for _, c := range []*client{agent, stranger} {
		answered.Go(func() {
			for {
				_, err := c.read()
				if err == nil {
					continue
				}
				if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != 1001 || !strings.HasPrefix(e.Text, `{"retryMs":`) {
					t.Errorf("closed with %v, want 1001 and retryMs", err)
				}
				return
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.hub.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown = %v, want nil", err)
	}
	// All handlers have ended: the close is stored.
	now, err := h.Look(t.Context(), s.ID)
	if err != nil {
		t.Fatalf("Look: %v", err)
	}
	if p, _ := now.Participant(annPID); p.Connection.Open {
		t.Error("the agent still counts as connected")
	}
	answered.Wait()
	_, response, err := h.try(t, dialing{session: s.ID})
	if err == nil {
		t.Fatal("a stream was opened after the shutdown")
	}
	checkEnvelope(t, response, 503, cobridge.CodeUnavailable)
}

// Clients that do not answer the goodbye do not hold up the end of the process.
func TestShutdownOfSilentClients(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *stream.Config) { c.Limits.Close = time.Hour })
	s := h.start(t, agentAndSupervisor)
	h.join(t, s, annPID) // and reads no more
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.hub.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown = %v, want the deadline", err)
	}
	h.counts.wait(t, "closed goingAway", 1)
}

func TestSocketLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limits stream.Limits
		known  int // clients that say who they are first
		status int
		code   cobridge.Code
	}{
		"strangers of a network": {stream.Limits{StrangersPerNetwork: 1}, 2, 429, cobridge.CodeTooManyRequests},
		"all strangers":          {stream.Limits{Strangers: 1}, 2, 503, cobridge.CodeUnavailable},
		"sockets of a network":   {stream.Limits{SocketsPerNetwork: 3}, 2, 429, cobridge.CodeTooManyRequests},
		"all sockets":            {stream.Limits{Sockets: 3}, 2, 503, cobridge.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(c *stream.Config) { c.Limits = tt.limits })
			s := h.start(t, agentAndSupervisor)
			for _, p := range []cobrowse.ParticipantID{annPID, benPID}[:tt.known] {
				h.join(t, s, p)
			}
			stranger := h.dial(t, dialing{session: s.ID})
			_, response, err := h.try(t, dialing{session: s.ID})
			if err == nil {
				t.Fatal("one more was let in")
			}
			checkEnvelope(t, response, tt.status, tt.code)
			if response.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			// The place is free again once the stranger has gone.
			_ = stranger.Close()
			h.counts.wait(t, "closed lost", 1)
			for {
				if _, _, err := h.try(t, dialing{session: s.ID}); err == nil {
					break
				}
				if t.Context().Err() != nil {
					t.Fatal("the place was not given back")
				}
			}
		})
	}
}

// Who shows a token or the cookie at once is no stranger: connections that say
// nothing cannot keep such clients out.
func TestStrangersDoNotKeepOthersOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *stream.Config) { c.Limits.Strangers, c.Limits.StrangersPerNetwork = 1, 1 })
	s := h.start(t, agentAndSupervisor)
	h.dial(t, dialing{session: s.ID})
	h.dial(t, dialing{session: s.ID, token: h.token(t, s, annPID)}).expect(t, "welcome")
	_, refusal, err := h.try(t, dialing{session: s.ID, token: "nonsense"})
	if err == nil {
		t.Fatal("a bad token was let in")
	}
	checkEnvelope(t, refusal, 401, cobridge.CodeJoinTokenInvalid)
	if _, refusal, err = h.try(t, dialing{session: s.ID}); err == nil {
		t.Fatal("a second stranger was let in")
	}
	checkEnvelope(t, refusal, 429, cobridge.CodeTooManyRequests)
}

// brokenConn cannot be written to.
type brokenConn struct{ net.Conn }

func (brokenConn) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }

type brokenListener struct{ net.Listener }

func (l brokenListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return brokenConn{conn}, err
}

// When the 101 answer cannot be written, the handler is never called: the link
// that was opened for it must not stay open for ever.
func TestAnswerThatNeverArrives(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	hub := stream.New(stream.Config{
		Service: h.Service, Events: h.store, Clock: time.Now, Log: discard(), Limits: stream.Limits{Handshake: 20 * time.Millisecond},
	})
	app := web.NewApp(web.Config{Log: discard(), Clock: time.Now})
	hub.Mount(app)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = app.Listener(brokenListener{listener}) })
	supervisor := h.join(t, s, benPID)
	token := h.token(t, s, annPID)
	_, _, err = (&websocket.Dialer{Subprotocols: []string{"cobridge.v1", "cobridge.token." + token}}).DialContext( //nolint:bodyclose // there is no answer
		t.Context(), "ws://"+listener.Addr().String()+"/api/v2/cobrowse/sessions/"+string(s.ID)+"/stream", nil)
	if err == nil {
		t.Fatal("the stream was opened")
	}
	supervisor.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, annPID); return connected })
	supervisor.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, annPID); return !connected })
	if err := hub.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v, want every place given back", err)
	}
	if err := app.Shutdown(); err != nil {
		t.Errorf("shut down: %v", err)
	}
	running.Wait()
}

func TestNoSecretInLog(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	token := h.token(t, s, annPID)
	c := h.dial(t, dialing{session: s.ID})
	c.send(t, map[string]any{"t": "hello", "v": 1, "token": token})
	secret := c.expect(t, "welcome")["resume"].(map[string]any)["token"].(string)
	c.send(t, map[string]any{"t": "page", "url": "https://shop.example/private?q=hush", "title": "Hush"})
	h.counts.wait(t, "in page", 1)
	bad := h.dial(t, dialing{session: s.ID})
	bad.send(t, map[string]any{"t": "hello", "v": 1, "token": token})
	bad.closed(t, 4401, "join.token.used")
	if _, _, err := h.try(t, dialing{session: s.ID, token: token}); err == nil {
		t.Error("a used token got in")
	}
	h.stop()
	log := h.log.String()
	for _, hidden := range []string{token, secret, "hush", "Hush", "private"} {
		if strings.Contains(log, hidden) {
			t.Errorf("the log has %q in it", hidden)
		}
	}
	if !strings.Contains(log, "session started") {
		t.Error("the log has nothing in it")
	}
}
