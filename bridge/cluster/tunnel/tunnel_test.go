package tunnel_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"go.uber.org/goleak"

	"github.com/cobridge/cobridge/bridge/cluster"
	"github.com/cobridge/cobridge/bridge/cluster/tunnel"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

const testKey = "thirty-two bytes of a test's key"

// registry is a store in which everything is as the test says.
type registry struct {
	cluster.Store

	peers  map[string]string // name to address
	owners map[cobrowse.SessionID]string
	self   string
}

func (r *registry) Register(_ context.Context, p cluster.Peer, _ time.Duration) error {
	r.self = p.ID
	return nil
}

func (r *registry) Beat(ctx context.Context, _ string, _ time.Duration) (cluster.Present, error) {
	return r.Peers(ctx)
}

func (r *registry) Peers(context.Context) (cluster.Present, error) {
	p := cluster.Present{Now: time.Now()}
	for id, address := range r.peers {
		p.Peers = append(p.Peers, cluster.Seen{Peer: cluster.Peer{ID: id, Address: address}})
	}
	return p, nil
}

func (r *registry) Owner(_ context.Context, id cobrowse.SessionID) (cluster.Lease, error) {
	return cluster.Lease{Node: r.owners[id], Fence: 1}, nil
}

// node is a server with tunnels. What has no room elsewhere is echoed, with what is
// known of the client first.
type node struct {
	*tunnel.Tunnels

	id      string
	address string
}

func start(t testing.TB, r *registry) *node {
	t.Helper()
	return startOver(t, r, nil, nil)
}

// startOver starts one that speaks TLS if it has a certificate, and trusts roots.
func startOver(t testing.TB, r *registry, certificate *tls.Certificate, roots *x509.CertPool) *node {
	t.Helper()
	n, err := cluster.New(t.Context(), cluster.Config{Store: r, Clock: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	tunnels := tunnel.New(tunnel.Config{Node: n, Key: []byte(testKey), Clock: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}})
	app := web.NewApp(web.Config{Log: slog.New(slog.DiscardHandler), Clock: time.Now, Relayed: tunnels.Relayed})
	upgrader := websocket.FastHTTPUpgrader{CheckOrigin: nil}
	app.Get("/stream/:id", func(c *fiber.Ctx) error {
		if relayed, err := tunnels.Relay(c, cobrowse.SessionID(c.Params("id"))); relayed || err != nil {
			return err
		}
		if c.Query("refuse") != "" {
			c.Set("X-Test", "refused")
			return c.Status(fiber.StatusTeapot).SendString("no")
		}
		first, err := json.Marshal(map[string]any{"client": web.ClientAddr(c).String(), "secure": web.Secure(c), "relayed": web.Relayed(c), "cookie": c.Cookies("a"), "host": c.Hostname()})
		if err != nil {
			return err
		}
		return upgrader.Upgrade(c.Context(), func(ws *websocket.Conn) {
			defer func() { _ = ws.Close() }()
			if ws.WriteMessage(websocket.TextMessage, first) != nil {
				return
			}
			for {
				kind, text, err := ws.ReadMessage()
				if err != nil {
					return
				}
				if string(text) == "bye" {
					_ = ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4410, "over"))
					return
				}
				if ws.WriteMessage(kind, text) != nil {
					return
				}
			}
		})
	})
	app.Post("/messages/:owner", func(c *fiber.Ctx) error {
		if forwarded, err := tunnels.Forward(c, c.Params("owner")); forwarded || err != nil {
			return err
		}
		return c.SendString(fmt.Sprintf("%s from %s at %s, relayed %t", c.Body(), web.ClientAddr(c), n.ID(), web.Relayed(c)))
	})
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	if certificate != nil {
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12})
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(ln) }()
	t.Cleanup(func() {
		if err := app.ShutdownWithTimeout(5 * time.Second); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Listener: %v", err)
		}
	})
	return &node{Tunnels: tunnels, id: n.ID(), address: address}
}

// pair is an owner of the room s-1 and a node that leads there.
func pair(t testing.TB) (owner, other *node) {
	t.Helper()
	owner = start(t, &registry{})
	other = start(t, &registry{peers: map[string]string{owner.id: owner.address}, owners: map[cobrowse.SessionID]string{"s-1": owner.id}})
	return owner, other
}

// answer is what came in place of an upgrade, or with it.
type answer struct {
	status int
	header http.Header
}

func dial(t testing.TB, n *node, path string, header http.Header) (*websocket.Conn, answer, error) {
	t.Helper()
	conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+n.address+path, header)
	var got answer
	if resp != nil {
		got = answer{resp.StatusCode, resp.Header}
		_ = resp.Body.Close()
	}
	if conn != nil {
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return conn, got, err
}

func read(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	_, text, err := conn.ReadMessage()
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(text)
}

func TestRelay(t *testing.T) {
	t.Parallel()
	_, other := pair(t)
	conn, _, err := dial(t, other, "/stream/s-1?tab=1", http.Header{"Cookie": {"a=b"}, "Host": {"cobrowse.example"}})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if got, want := read(t, conn), `{"client":"127.0.0.1","cookie":"b","host":"cobrowse.example","relayed":true,"secure":false}`; got != want {
		t.Errorf("the owner knows %s, want %s", got, want)
	}
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 3 << 20} {
		text := strings.Repeat("x", size)
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatalf("write: %v", err)
		}
		if got := read(t, conn); got != text {
			t.Fatalf("%d bytes came back of %d", len(got), size)
		}
	}
	if n := other.Open(); n != 1 {
		t.Errorf("%d tunnels are open, want 1", n)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte("bye")); err != nil {
		t.Fatalf("write: %v", err)
	}
	wantClose(t, conn, 4410, "over")
}

// An owner with a certificate is reached over TLS, by who trusts it.
func TestRelayOverTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil)
	server.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	owner := startOver(t, &registry{}, &server.TLS.Certificates[0], nil)
	known := func() *registry {
		return &registry{peers: map[string]string{owner.id: "https://" + owner.address}, owners: map[cobrowse.SessionID]string{"s-1": owner.id}}
	}
	conn, _, err := dial(t, startOver(t, known(), nil, trusted), "/stream/s-1", nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if got := read(t, conn); !strings.Contains(got, `"relayed":true,"secure":false`) {
		t.Errorf("the owner knows %s, want that the client's connection is not encrypted", got)
	}
	_, resp, err := dial(t, startOver(t, known(), nil, x509.NewCertPool()), "/stream/s-1", nil)
	wantAgain(t, resp, err)
}

func wantClose(t *testing.T, conn *websocket.Conn, code int, reason string) {
	t.Helper()
	_, _, err := conn.ReadMessage()
	if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != code || !strings.HasPrefix(e.Text, reason) {
		t.Errorf("the end is %v, want %d %s", err, code, reason)
	}
}

// What the owner answers before the upgrade is what the client gets.
func TestRelayRefused(t *testing.T) {
	t.Parallel()
	_, other := pair(t)
	_, resp, err := dial(t, other, "/stream/s-1?refuse=1", nil)
	if !errors.Is(err, websocket.ErrBadHandshake) || resp.status != http.StatusTeapot || resp.header.Get("X-Test") != "refused" {
		t.Errorf("dial = %v, %+v; want the owner's refusal", err, resp)
	}
	if n := other.Open(); n != 0 {
		t.Errorf("%d tunnels are open, want 0", n)
	}
}

func wantAgain(t *testing.T, resp answer, err error) {
	t.Helper()
	if !errors.Is(err, websocket.ErrBadHandshake) || resp.status != http.StatusServiceUnavailable || resp.header.Get("Retry-After") != "1" {
		t.Errorf("dial = %v, %+v; want 503 and Retry-After 1", err, resp)
	}
}

// Two nodes that each believe the other has the room send nobody to and fro, and a node
// that is not there keeps nobody waiting.
func TestRelayAgain(t *testing.T) {
	t.Parallel()
	first := &registry{peers: map[string]string{}, owners: map[cobrowse.SessionID]string{}}
	a := start(t, first)
	b := start(t, &registry{peers: map[string]string{a.id: a.address}, owners: map[cobrowse.SessionID]string{"s-1": a.id}})
	first.peers[b.id], first.owners["s-1"] = b.address, b.id
	_, resp, err := dial(t, b, "/stream/s-1", nil)
	wantAgain(t, resp, err)

	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	c := start(t, &registry{peers: map[string]string{"x": gone, "y": ""}, owners: map[cobrowse.SessionID]string{"s-1": "x", "s-2": "y"}})
	for _, path := range []string{"/stream/s-1", "/stream/s-2"} {
		_, resp, err = dial(t, c, path, nil)
		wantAgain(t, resp, err)
	}
}

// Nobody but a node speaks for others, and a signature is for one process.
func TestForgedHop(t *testing.T) {
	t.Parallel()
	owner, _ := pair(t)
	hop := cluster.Hop{To: owner.id, Client: netip.MustParseAddr("192.0.2.1"), At: time.Now()}
	request := cluster.Request{Method: http.MethodGet, Target: "/stream/s-1", Host: owner.address}
	for name, tt := range map[string]struct {
		header string
		status int
	}{
		"nothing signed":  {"v1 x 1 false 192.0.2.1 AAAA", http.StatusBadRequest},
		"another key":     {hop.Sign([]byte("x"+testKey), request), http.StatusBadRequest},
		"another process": {cluster.Hop{To: "x", Client: hop.Client, At: hop.At}.Sign([]byte(testKey), request), http.StatusServiceUnavailable},
	} {
		if _, resp, err := dial(t, owner, "/stream/s-1", http.Header{cluster.HopHeader: {tt.header}}); !errors.Is(err, websocket.ErrBadHandshake) || resp.status != tt.status {
			t.Errorf("%s: dial = %v, %+v; want status %d", name, err, resp, tt.status)
		}
	}
	conn, _, err := dial(t, owner, "/stream/s-1", http.Header{cluster.HopHeader: {hop.Sign([]byte(testKey), request)}})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if got := read(t, conn); !strings.Contains(got, `"client":"192.0.2.1"`) {
		t.Errorf("the owner knows %s, want the client that the hop names", got)
	}
}

// A node that stops tells the clients of its tunnels to come again, between two frames.
func TestShutdown(t *testing.T) {
	t.Parallel()
	_, other := pair(t)
	conn, _, err := dial(t, other, "/stream/s-1", nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	read(t, conn)
	if err := conn.WriteMessage(websocket.TextMessage, make([]byte, 1<<20)); err != nil {
		t.Fatalf("write: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- other.Shutdown(t.Context()) }()
	for {
		if _, _, err = conn.ReadMessage(); err != nil {
			break
		}
	}
	if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != 1001 || e.Text != `{"retryMs":500}` {
		t.Errorf("the end is %v, want 1001 with retryMs", err)
	}
	_ = conn.Close()
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	_, resp, err := dial(t, other, "/stream/s-1", nil)
	wantAgain(t, resp, err)
}

// The clients of an owner that was given up come again.
func TestParted(t *testing.T) {
	t.Parallel()
	owner, other := pair(t)
	conn, _, err := dial(t, other, "/stream/s-1", nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	read(t, conn)
	other.Parted("somebody else")
	other.Parted(owner.id)
	wantClose(t, conn, 1001, `{"retryMs":100}`)
}

// A request over HTTP goes to the process that is named, and is answered here when that
// one is gone.
func TestForward(t *testing.T) {
	t.Parallel()
	owner, other := pair(t)
	for to, want := range map[string]string{
		owner.id:     "hello from 127.0.0.1 at " + owner.id + ", relayed true",
		other.id:     "hello from 127.0.0.1 at " + other.id + ", relayed false",
		"who is not": "hello from 127.0.0.1 at " + other.id + ", relayed false",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+other.address+"/messages/"+strings.ReplaceAll(to, " ", "-"), strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("to %q: %v", to, err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(body) != want {
			t.Errorf("to %q: %q, %v; want %q", to, body, err, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
