package bayeux_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/bridge/web"
)

// raw is a connection on which requests are written by hand.
type raw struct {
	net.Conn

	in *bufio.Reader
}

func (h *house) connect(t testing.TB) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(h.base, "http://"), "/cometd"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &raw{conn, bufio.NewReader(conn)}
}

func request(version, headers, body string) string {
	return fmt.Sprintf("POST /cometd/connect HTTP/%s\r\nHost: bridge.example\r\n%sContent-Length: %d\r\n\r\n%s", version, headers, len(body), body)
}

func connectBody(id, number string) string {
	return `[{"id":"` + number + `","channel":"/meta/connect","clientId":"` + id + `"}]`
}

func (r *raw) write(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(r, text); err != nil {
		t.Fatal(err)
	}
}

// answer reads the answer; last tells whether the connection ends with it.
func (r *raw) answer(t testing.TB) (head http.Header, last bool, got messages) {
	t.Helper()
	answer, err := http.ReadResponse(r.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Header, answer.Close, decode(t, body)
}

// A connection goes to and fro between the HTTP server and the lines, and the
// answers of both have the same headers.
func TestConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.enter(t)
	r := h.connect(t)
	var heads []http.Header
	for n := range 5 {
		r.write(t, request("1.1", "Origin: "+shop+"\r\nININ-Correlation-Id: abc\r\n", connectBody(id, "3")))
		eventually(t, "it waits", func() bool { return h.Stats().Parked == 1 })
		h.count(t, id, n)
		head, _, got := r.answer(t)
		same(t, "connect", []string{fmt.Sprintf("/service/test/count event %d", n), "/meta/connect 3 ok"}, got)
		heads = append(heads, head)
		r.write(t, request("1.1", "Origin: "+shop+"\r\nININ-Correlation-Id: abc\r\n", `{"id":"4","channel":"/service/test/echo","clientId":"`+id+`","data":1}`))
		head, _, got = r.answer(t)
		same(t, "call", []string{"/service/test/echo 4 ok", "/service/test/echo 4 event 1"}, got)
		heads = append(heads, head)
	}
	for _, head := range heads {
		head.Del("Content-Length")
		if _, err := http.ParseTime(head.Get("Date")); err != nil {
			t.Errorf("Date: %v", err)
		}
		head.Del("Date")
		if got, want := fmt.Sprint(head), fmt.Sprint(heads[0]); got != want {
			t.Errorf("headers differ:\n%s\n%s", got, want)
		}
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json;charset=UTF-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Origin",
		"Access-Control-Allow-Origin": shop, "Access-Control-Allow-Credentials": "true", "Inin-Correlation-Id": "abc",
	} {
		if got := heads[0].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Clients that want or need the connection to end get that.
func TestConnectionEnds(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]func(id string) string{
		"asked for": func(id string) string { return request("1.1", "Connection: close\r\n", connectBody(id, "3")) },
		"HTTP/1.0":  func(id string) string { return request("1.0", "", connectBody(id, "3")) },
		"a further request at once": func(id string) string {
			return request("1.1", "", connectBody(id, "3")) + request("1.1", "", connectBody(id, "4"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			id := h.enter(t)
			r := h.connect(t)
			r.write(t, text(id))
			eventually(t, "it waits", func() bool { return h.Stats().Parked == 1 })
			h.count(t, id, 1)
			_, last, got := r.answer(t)
			same(t, "connect", []string{"/service/test/count event 1", "/meta/connect 3 ok"}, got)
			if !last {
				t.Error("the answer does not say that the connection ends")
			}
			if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("afterwards: %v, want EOF", err)
			}
		})
	}
}

// Nobody writes to a client that has gone: what it should have got waits for its
// next connect.
func TestPeerGone(t *testing.T) {
	t.Parallel()
	t.Run("noticed when there is something to be said", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		id := h.enter(t)
		r := h.connect(t)
		r.write(t, request("1.1", "", connectBody(id, "3")))
		eventually(t, "it waits", func() bool { return h.Stats().Parked == 1 })
		_ = r.Close()
		<-time.After(20 * time.Millisecond) // the end is on its way
		h.count(t, id, 1)
		same(t, "the next connect", []string{"/service/test/count event 1", "/meta/connect 4 ok"}, receive(t, "connect", h.poll(t, id, "4")))
	})
	t.Run("noticed by looking", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(cfg *bayeux.Config) {
			cfg.Limits.Look = 10 * time.Millisecond
			cfg.Advice.MaxInterval = 50 * time.Millisecond
		})
		id := h.enter(t)
		r := h.connect(t)
		r.write(t, request("1.1", "", connectBody(id, "3")))
		eventually(t, "it waits", func() bool { return h.Stats().Parked == 1 })
		_ = r.Close()
		if got := receive(t, "OnGone", h.gone); string(got.client.ID) != id || got.reason != bayeux.ConnectionLost {
			t.Errorf("gone: %v", got)
		}
		if clients, networks, _, _, lines := h.Sizes(); clients+networks+lines != 0 {
			t.Errorf("left: %d clients, %d networks, %d lines", clients, networks, lines)
		}
	})
	t.Run("of a WebSocket", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		w := h.dial(t)
		id := w.enter(t)
		w.send(t, connectBody(id, "2"))
		_ = w.NetConn().Close()
		eventually(t, "the socket has gone", func() bool { return h.Stats().Sockets == 0 })
		h.count(t, id, 1)
		same(t, "the next connect", []string{"/service/test/count event 1", "/meta/connect 4 ok"}, receive(t, "connect", h.poll(t, id, "4")))
	})
}

// Over TLS it is the same, and the connection is taken up again.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	donor := httptest.NewTLSServer(nil) // it brings a certificate
	config, client := donor.TLS.Clone(), donor.Client()
	donor.Close()
	config.NextProtos = nil
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	app := web.NewApp(web.Config{Log: h.logger(), Clock: time.Now})
	h.Mount(app, "/cometd")
	served := make(chan error, 1)
	go func() { served <- app.Listener(tls.NewListener(inner, config)) }()
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if err := errors.Join(app.ShutdownWithTimeout(patience), <-served); err != nil {
			t.Error(err)
		}
	})
	client.Timeout = patience
	h.base, h.web = "https://"+inner.Addr().String()+"/cometd", client
	id := h.enter(t)
	for n := range 3 {
		waiting := h.poll(t, id, "3")
		h.count(t, id, n)
		same(t, "connect", []string{fmt.Sprintf("/service/test/count event %d", n), "/meta/connect 3 ok"}, receive(t, "connect", waiting))
		eventually(t, "the connection rests", func() bool { return h.Stats().Resting == 1 })
		var info httptrace.GotConnInfo
		trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { info = got }}
		h.post(t, "/", `{"id":"4","channel":"/service/test/silent","clientId":"`+id+`"}`, func(r *http.Request) {
			*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
		})
		if !info.Reused {
			t.Error("a new connection was needed")
		}
	}
	waiting := h.poll(t, id, "5")
	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "connect", []string{"/meta/connect 5 503 handshake"}, receive(t, "connect", waiting))
}

// The times are those of the advice, to the moment.
func TestTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		lost := make(chan time.Duration, 1)
		s := bayeux.New(bayeux.Config{
			Clock: time.Now, Log: (&house{log: &testenv.Buffer{}}).logger(),
			OnGone: func(_ bayeux.Client, reason bayeux.Reason) {
				if reason != bayeux.ConnectionLost {
					t.Errorf("reason = %s", reason)
				}
				lost <- time.Since(begin)
			},
		})
		s.Poll(t.Context(), handshakeText(""), nil, nil)
		if got := <-lost; got != 15*time.Second {
			t.Errorf("a client that never connects is lost after %s, want 15s", got)
		}
		answer, _ := s.Poll(t.Context(), handshakeText(""), nil, nil)
		id := decode(t, answer)[0]["clientId"].(string)
		begin = time.Now()
		ours, theirs := net.Pipe()
		back := make(chan struct{})
		if _, waits := s.Poll(t.Context(), connectBody(id, "2"), ours, func(net.Conn) error { close(back); return nil }); !waits {
			t.Fatal("the connect does not wait")
		}
		got, err := http.ReadResponse(bufio.NewReader(theirs), nil)
		if err != nil || time.Since(begin) != 30*time.Second {
			t.Fatalf("answer after %s (%v), want 30s", time.Since(begin), err)
		}
		defer func() { _ = got.Body.Close() }()
		body, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "connect", []string{"/meta/connect 2 ok"}, decode(t, body))
		<-back
		if got := <-lost; got != 45*time.Second {
			t.Errorf("lost after %s, want 45s", got)
		}
		if err := s.Deliver(t.Context(), bayeux.ClientID(id), "/service/x", 1); !errors.Is(err, bayeux.ErrUnknownClient) {
			t.Errorf("Deliver = %v", err)
		}
	})
}

// Waiting connects are told to come back, WebSockets are closed, and nobody new
// is let in.
func TestShutdown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.enter(t)
	waiting := h.poll(t, id, "3")
	w := h.dial(t)
	second := w.enter(t)
	w.send(t, connectBody(second, "4"))
	resting := h.connect(t)
	third := h.enter(t)
	resting.write(t, request("1.1", "", connectBody(third, "5")))
	eventually(t, "it waits", func() bool { return h.Stats().Parked == 2 })
	h.count(t, third, 1)
	resting.answer(t)
	eventually(t, "it rests", func() bool { return h.Stats().Resting == 1 })
	w.send(t, `{"id":"5","channel":"/service/test/silent","clientId":"`+second+`"}`)
	w.receive(t, 1) // so the connect is known as well

	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "the long poll", []string{"/meta/connect 3 503 handshake"}, receive(t, "connect", waiting))
	same(t, "the WebSocket", []string{"/meta/connect 4 503 handshake"}, w.receive(t, 1))
	if code := w.closed(t); code != 1001 {
		t.Errorf("closed with %d, want 1001", code)
	}
	if _, err := resting.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection that rested: %v, want EOF", err)
	}
	if status, _, _ := h.post(t, "/", handshakeText("")); status != http.StatusServiceUnavailable {
		t.Errorf("a handshake afterwards: %d", status)
	}
	if stats := h.Stats(); stats.Parked+stats.Resting+stats.Sockets != 0 || len(h.gone) != 0 {
		t.Errorf("left: %+v, %d told", stats, len(h.gone))
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestShutdownDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.dial(t)
	w.enter(t) // and never reads again: it does not answer the goodbye
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown = %v, want %v", err, context.Canceled)
	}
	eventually(t, "the socket is cut", func() bool { return h.Stats().Sockets == 0 })
}

// Clients that never come back cost nothing after a while. It looks at the heap,
// so it runs alone.
func TestAbandonedClientsAreForgotten(t *testing.T) {
	const crowd = 5000
	h := newHouse(t, func(cfg *bayeux.Config) {
		cfg.Advice.MaxInterval = 100 * time.Millisecond
		cfg.Limits.ClientsPerNetwork = crowd
	})
	round := func() {
		for range crowd / 100 {
			var batch []string
			for range 100 {
				batch = append(batch, handshakeText(""))
			}
			got := h.ask(t, "["+strings.Join(batch, ",")+"]")
			for _, m := range got[:10] {
				id, _ := m["clientId"].(string)
				h.ask(t, `{"channel":"/meta/subscribe","subscription":"/news","clientId":"`+id+`"}`)
				_ = h.Deliver(t.Context(), bayeux.ClientID(id), "/news", strings.Repeat("x", 1000))
			}
		}
		for range crowd {
			if got := receive(t, "OnGone", h.gone); got.reason != bayeux.ConnectionLost {
				t.Fatalf("gone: %v", got)
			}
		}
		if clients, networks, subscriptions, _, _ := h.Sizes(); clients+networks+subscriptions != 0 {
			t.Errorf("left: %d clients, %d networks, %d subscriptions", clients, networks, subscriptions)
		}
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	round()
	before := heap()
	for range 3 {
		round()
	}
	// Each of the 15000 clients would be half a kilobyte at least.
	if after := heap(); after > before+2<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}
