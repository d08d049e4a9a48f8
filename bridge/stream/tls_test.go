package stream_test

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/bridge/web"
)

// Over TLS there is no writev: what waits is written as one piece.
func TestPictureOverTLS(t *testing.T) {
	t.Parallel()
	sc := show(t)
	source := httptest.NewTLSServer(nil) // for its certificate
	defer source.Close()
	hub := stream.New(stream.Config{
		Service: sc.Service, Events: sc.store, Clock: time.Now, Log: discard(),
	})
	app := web.NewApp(web.Config{Log: discard(), Clock: time.Now})
	hub.Mount(app)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		_ = app.Listener(tls.NewListener(listener, &tls.Config{Certificates: source.TLS.Certificates, MinVersion: tls.VersionTLS13}))
	})
	defer func() {
		if err := hub.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		_ = app.ShutdownWithContext(t.Context())
		running.Wait()
	}()
	dialer := websocket.Dialer{
		Subprotocols: []string{"cobridge.v1"}, HandshakeTimeout: patience,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	join := func(token string) *client {
		conn, response, err := dialer.DialContext(t.Context(), "wss://"+listener.Addr().String()+"/api/v2/cobrowse/sessions/"+string(sc.session.ID)+"/stream", nil)
		if err != nil {
			t.Fatalf("dial: %v", err)
		}
		_ = response.Body.Close()
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		c := &client{Conn: conn}
		c.send(t, map[string]any{"t": "hello", "v": 1, "token": token})
		c.expect(t, "welcome")
		return c
	}
	sharer, agent := join(sc.token(t, sc.session, sc.kim)), join(sc.token(t, sc.session, annPID))
	frames := []string{full(1, 600_000), next(1, 2), evFrame(1, 3, false, 10_000), next(1, 4)}
	for _, f := range frames {
		sharer.send(t, f)
	}
	for _, f := range frames {
		agent.sees(t, f)
	}
	late := join(sc.token(t, sc.session, benPID))
	for _, f := range frames {
		late.sees(t, f)
	}
	for _, c := range []*client{sharer, agent, late} { // who reads answers the goodbye
		running.Go(func() {
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					if !strings.Contains(err.Error(), "1001") {
						t.Errorf("closed with %v, want 1001", err)
					}
					return
				}
			}
		})
	}
}
