package bridge

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/cobridge/cobridge/bridge/web"
)

// Transport returns a round tripper that answers requests from the application
// itself, without a socket, whatever host they name: the server reads what a client
// would send, on connections in memory. Streams need a listener. A request that is
// given up is answered all the same, and RoundTrip waits for that.
// Background work, such as ending overdue sessions, goes on only while
// [App.Run] or [App.Serve] does. It may be used concurrently, until Close.
func (a *App) Transport() http.RoundTripper {
	a.fiber.Handler() // the server starts with its first listener, of which there may be none
	return &transport{server: a.fiber.Server(), resting: &a.resting}
}

// Refusal returns a round tripper that answers every request as the service does
// when err is what stops it: with the status, the headers and the dialect of the
// path that was asked. Nothing is carried out. It is for tests of what callers do
// when the service is busy or out of order. It may be used concurrently.
func (a *App) Refusal(err error) http.RoundTripper {
	app := web.NewApp(a.web)
	app.Use(func(*fiber.Ctx) error { return err })
	app.Handler()
	return &transport{server: app.Server()}
}

type transport struct {
	server  *fasthttp.Server
	resting *memoryConns // nil: a connection ends with its first answer
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	c := t.resting.take()
	if c == nil {
		c = newMemoryConn()
		go c.serve(t.server)
	}
	defer t.resting.put(c)
	return c.roundTrip(r)
}
