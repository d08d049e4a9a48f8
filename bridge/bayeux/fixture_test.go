package bayeux_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/bridge/web"
)

const (
	shop = "https://shop.example"
	// patience is how long a test waits for what must come.
	patience = 20 * time.Second
)

// house is a server on a loopback port.
type house struct {
	*bayeux.Server

	app  *fiber.App
	log  *testenv.Buffer
	base string // http://127.0.0.1:port/cometd
	web  *http.Client
	gone chan goodbye

	mu      sync.Mutex
	joined  []bayeux.ClientID
	request bayeux.Request // of the latest call
}

type goodbye struct {
	client bayeux.Client
	reason bayeux.Reason
}

func newHouse(t testing.TB, changes ...func(*bayeux.Config)) *house {
	t.Helper()
	h := &house{log: &testenv.Buffer{}, gone: make(chan goodbye, 10_000)}
	log := h.logger()
	cfg := bayeux.Config{
		Clock: time.Now, Log: log,
		AllowOrigin: func(origin string) bool { return origin == shop },
		OnGone:      func(c bayeux.Client, reason bayeux.Reason) { h.gone <- goodbye{c, reason} },
		OnHandshake: func(_ context.Context, _ bayeux.Request, ext json.RawMessage) (any, error) {
			if strings.Contains(string(ext), "refuse") {
				return nil, &bayeux.Error{Code: 403, Text: "Not today"}
			}
			return string(ext), nil
		},
	}
	for _, change := range changes {
		change(&cfg)
	}
	h.Server = bayeux.New(cfg)
	h.services()
	h.app = web.NewApp(web.Config{Log: log, Clock: time.Now})
	h.Mount(h.app, "/cometd")
	h.app.Get("/control/forget", func(c *fiber.Ctx) error {
		return c.JSON(h.ForgetAll())
	})
	h.app.Get("/control/cut", func(c *fiber.Ctx) error {
		h.Cut()
		return c.JSON(true)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.base = "http://" + ln.Addr().String() + "/cometd"
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	h.web = &http.Client{Transport: transport, Timeout: patience}
	served := make(chan error, 1)
	go func() { served <- h.app.Listener(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		transport.CloseIdleConnections()
		if err := h.app.ShutdownWithContext(ctx); err != nil {
			t.Errorf("shut the HTTP server down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if n := h.Stats().Panics; n != 0 && t.Name() != "TestPanics" {
			t.Errorf("%d panics:\n%s", n, h.log)
		}
	})
	return h
}

func (h *house) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// services are the channels of the tests: an echo, a refusal, and a session that
// is joined as in the legacy product.
func (h *house) services() {
	h.HandleService("/service/test/echo", func(_ context.Context, c bayeux.Client, data json.RawMessage) (any, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.request = c.Request
		return data, nil
	})
	h.HandleService("/service/test/silent", func(context.Context, bayeux.Client, json.RawMessage) (any, error) { return nil, nil })
	h.HandleService("/service/test/refuse", func(context.Context, bayeux.Client, json.RawMessage) (any, error) {
		return nil, &bayeux.Error{Code: 404, Args: []string{"407215938"}, Text: "No such session"}
	})
	h.HandleService("/service/test/fail", func(context.Context, bayeux.Client, json.RawMessage) (any, error) {
		return nil, io.ErrUnexpectedEOF
	})
	h.HandleService("/service/test/panic", func(context.Context, bayeux.Client, json.RawMessage) (any, error) { panic("a secret") })
	h.HandleService("/service/test/dismiss", func(_ context.Context, c bayeux.Client, _ json.RawMessage) (any, error) {
		h.Dismiss(c.ID)
		return map[string]bool{"ok": true}, nil
	})
	h.HandleService("/service/test/join", func(ctx context.Context, c bayeux.Client, data json.RawMessage) (any, error) {
		var in struct{ Role int }
		if err := json.Unmarshal(data, &in); err != nil {
			return nil, &bayeux.Error{Code: 400, Text: "No role"}
		}
		h.mu.Lock()
		before := append([]bayeux.ClientID(nil), h.joined...)
		h.joined = append(h.joined, c.ID)
		h.mu.Unlock()
		for _, other := range before {
			_ = h.Deliver(ctx, other, "/service/test/joined", map[string]int{"role": in.Role})
		}
		if in.Role == 2 {
			for _, everybody := range append(before, c.ID) {
				_ = h.Deliver(ctx, everybody, "/service/test/activated", map[string]int{"activationTime": 1})
			}
		}
		return map[string]int{"userId": len(before) + 1}, nil
	})
	h.HandleService("/service/test/events", func(ctx context.Context, c bayeux.Client, data json.RawMessage) (any, error) {
		var in struct{ Count int }
		if err := json.Unmarshal(data, &in); err != nil {
			return nil, err
		}
		go func() {
			for n := range in.Count {
				_ = h.Deliver(context.WithoutCancel(ctx), c.ID, "/service/test/count", map[string]int{"n": n})
				if n%10 == 9 {
					<-time.After(10 * time.Millisecond)
				}
			}
		}()
		return nil, nil
	})
}

// messages is what comes as an answer.
type messages []map[string]any

func (m messages) String() string {
	text, _ := json.Marshal([]map[string]any(m))
	return string(text)
}

// post sends a body as a page of the shop does.
func (h *house) post(t testing.TB, path, body string, change ...func(*http.Request)) (int, http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", shop)
	return h.do(t, r, change...)
}

func (h *house) do(t testing.TB, r *http.Request, change ...func(*http.Request)) (int, http.Header, []byte) {
	t.Helper()
	for _, c := range change {
		c(r)
	}
	answer, err := h.web.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	return answer.StatusCode, answer.Header, body
}

// ask posts messages and returns the answer.
func (h *house) ask(t testing.TB, body string) messages {
	t.Helper()
	status, _, answer := h.post(t, "/", body)
	if status != http.StatusOK {
		t.Fatalf("POST %.200s: %d %s", body, status, answer)
	}
	return decode(t, answer)
}

func decode(t testing.TB, body []byte) messages {
	t.Helper()
	var all messages
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&all); err != nil {
		t.Fatalf("answer %.200s: %v", body, err)
	}
	for _, m := range all {
		_, isReply := m["successful"]
		_, isEvent := m["data"]
		if isReply == isEvent {
			t.Errorf("a message is a reply or an event: %v", m)
		}
		if advice, ok := m["advice"].(map[string]any); ok && len(advice) != 4 {
			t.Errorf("advice must be complete: %v", m)
		}
	}
	return all
}

const shake = `{"id":"1","channel":"/meta/handshake","version":"1.0","minimumVersion":"0.9","supportedConnectionTypes":["websocket","long-polling","callback-polling"]%s}`

func handshakeText(more string) string { return strings.Replace(shake, "%s", more, 1) }

// enter makes a client and returns its id.
func (h *house) enter(t testing.TB) string {
	t.Helper()
	return h.enterWith(t, "")
}

func (h *house) enterWith(t testing.TB, more string) string {
	t.Helper()
	got := h.ask(t, handshakeText(more))
	id, _ := got[0]["clientId"].(string)
	if id == "" {
		t.Fatalf("handshake = %v", got)
	}
	return id
}

// poll sends a connect that may wait, and returns where its answer will come.
func (h *house) poll(t testing.TB, id, number string) <-chan messages {
	t.Helper()
	return h.pollWith(t, `[{"id":"`+number+`","channel":"/meta/connect","connectionType":"long-polling","clientId":"`+id+`"}]`)
}

// pollWith returns when the connect waits, or has its answer.
func (h *house) pollWith(t testing.TB, body string) <-chan messages {
	t.Helper()
	answer := make(chan messages, 1)
	before := h.Stats().Polls
	go func() {
		status, _, text := h.post(t, "/connect", body)
		if status != http.StatusOK {
			t.Errorf("connect: %d %s", status, text)
		}
		answer <- decode(t, text)
	}()
	eventually(t, "the connect waits", func() bool { return h.Stats().Polls > before || len(answer) > 0 })
	return answer
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

func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// shape is what a test compares of messages: channel, id, and what kind of
// message it is; an error with its code, and advice with what it says.
func shape(all messages) []string {
	var lines []string
	for _, m := range all {
		line, _ := m["channel"].(string)
		if id, ok := m["id"].(string); ok {
			line += " " + id
		}
		switch {
		case m["data"] != nil:
			data, _ := json.Marshal(m["data"])
			line += " event " + string(data)
		case m["successful"] == true:
			line += " ok"
		default:
			failure, _ := m["error"].(string)
			code, _, _ := strings.Cut(failure, ":")
			line += " " + code
		}
		if advice, ok := m["advice"].(map[string]any); ok {
			line += " " + advice["reconnect"].(string)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// wire is a WebSocket.
type wire struct {
	*websocket.Conn
}

func (h *house) dial(t testing.TB, change ...func(http.Header)) *wire {
	t.Helper()
	head := http.Header{"Origin": {shop}}
	for _, c := range change {
		c(head)
	}
	w, status := h.upgrade(t, head)
	if w == nil {
		t.Fatalf("dial: %d", status)
	}
	return w
}

// upgrade asks for a WebSocket; it is nil where the status is not 101.
func (h *house) upgrade(t testing.TB, head http.Header) (*wire, int) {
	t.Helper()
	conn, answer, err := websocket.DefaultDialer.DialContext(t.Context(), strings.Replace(h.base, "http", "ws", 1), head)
	if answer == nil {
		t.Fatalf("dial: %v", err)
	}
	_ = answer.Body.Close()
	if err != nil {
		return nil, answer.StatusCode
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return &wire{conn}, answer.StatusCode
}

func (w *wire) send(t testing.TB, text string) {
	t.Helper()
	if err := w.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// receive reads frames until there are n messages.
func (w *wire) receive(t testing.TB, n int) messages {
	t.Helper()
	var all messages
	for len(all) < n {
		_, text, err := w.ReadMessage()
		if err != nil {
			t.Fatalf("after %v: %v", all, err)
		}
		all = append(all, decode(t, text)...)
	}
	return all
}

func (w *wire) enter(t testing.TB) string {
	t.Helper()
	w.send(t, handshakeText(""))
	id, _ := w.receive(t, 1)[0]["clientId"].(string)
	return id
}

// closed returns the code that the server closed with.
func (w *wire) closed(t testing.TB) int {
	t.Helper()
	for {
		_, _, err := w.ReadMessage()
		if e, ok := errors.AsType[*websocket.CloseError](err); ok {
			return e.Code
		}
		if err != nil {
			t.Fatalf("read: %v", err)
		}
	}
}

// script asks by callback-polling.
func (h *house) script(t testing.TB, callback, message string, change ...func(*http.Request)) (int, http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.base+"/handshake?"+url.Values{"jsonp": {callback}, "message": {message}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Referer", shop+"/page?x=1")
	return h.do(t, r, change...)
}
