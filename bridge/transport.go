package bridge

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/web"
)

// Transport returns a round tripper that answers requests from the application
// itself, without a socket, whatever host they name. Streams need a listener.
// Background work, such as ending overdue sessions, goes on only while
// [App.Run] or [App.Serve] does. It may be used concurrently.
func (a *App) Transport() http.RoundTripper { return transport{a.fiber} }

// Refusal returns a round tripper that answers every request as the service does
// when err is what stops it: with the status, the headers and the dialect of the
// path that was asked. Nothing is carried out. It is for tests of what callers do
// when the service is busy or out of order. It may be used concurrently.
func (a *App) Refusal(err error) http.RoundTripper {
	app := web.NewApp(a.web)
	app.Use(func(*fiber.Ctx) error { return err })
	return transport{app}
}

type transport struct{ fiber *fiber.App }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI = ""
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	resp, err := t.fiber.Test(in, -1) // no limit but the application's own
	if err != nil {
		return nil, err
	}
	resp.Request = r
	return resp, nil
}
