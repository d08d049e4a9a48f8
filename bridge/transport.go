package bridge

import (
	"net/http"
)

// Transport returns a round tripper that answers requests from the application
// itself, without a socket, whatever host they name. Streams need a listener.
// Background work, such as ending overdue sessions, goes on only while
// [App.Run] or [App.Serve] does. It may be used concurrently.
func (a *App) Transport() http.RoundTripper { return transport{a} }

type transport struct{ app *App }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI = ""
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	resp, err := t.app.fiber.Test(in, -1) // no limit but the application's own
	if err != nil {
		return nil, err
	}
	resp.Request = r
	return resp, nil
}
