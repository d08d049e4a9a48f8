package bridge_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/web"
)

// What a client writes with a body of unknown length, without one, and when it asks
// for the connection to be closed is answered as over a socket, one after the other.
func TestTransportSendsWhatClientsSend(t *testing.T) {
	t.Parallel()
	app, _ := inMemory(t)
	through := app.Transport()
	form := "grant_type=client_credentials&client_id=" + config.DemoClientID + "&client_secret=" + config.DemoClientSecret
	for _, c := range []struct {
		name, method, path string
		body               io.Reader
		change             func(*http.Request)
		status             int
		empty              bool
		broken             bool
	}{
		{name: "no body", method: http.MethodGet, path: "/healthz", status: http.StatusOK},
		{name: "HEAD", method: http.MethodHead, path: "/healthz", status: http.StatusOK, empty: true},
		{name: "a body", method: http.MethodPost, path: "/oauth/token", body: strings.NewReader(form), status: http.StatusOK},
		{name: "an empty body", method: http.MethodPost, path: "/oauth/token", body: http.NoBody, status: http.StatusBadRequest},
		{name: "a body of unknown length", method: http.MethodPost, path: "/oauth/token", body: io.MultiReader(strings.NewReader(form)), status: http.StatusOK},
		{name: "a body that is announced", method: http.MethodPost, path: "/oauth/token", body: strings.NewReader(form), change: func(r *http.Request) {
			r.Header.Set("Expect", "100-continue")
		}, status: http.StatusOK},
		{name: "a body that breaks off", method: http.MethodPost, path: "/oauth/token", body: io.MultiReader(strings.NewReader("grant"), iotest.ErrReader(errors.New("cable is out"))), broken: true},
		{name: "the last of a connection", method: http.MethodGet, path: "/healthz", change: func(r *http.Request) { r.Close = true }, status: http.StatusOK},
		{name: "one more", method: http.MethodGet, path: "/healthz", status: http.StatusOK},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "https://any.example"+c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if c.change != nil {
			c.change(r)
		}
		resp, err := through.RoundTrip(r)
		if c.broken != (err != nil) {
			t.Errorf("%s: RoundTrip = %v, want an error: %t", c.name, err, c.broken)
		}
		if err != nil {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.Body.Close() != nil {
			t.Errorf("%s: read the body: %v", c.name, err)
		}
		if resp.StatusCode != c.status || (len(body) == 0) != c.empty || resp.Request != r {
			t.Errorf("%s = %d with %d bytes, want %d, and none: %t", c.name, resp.StatusCode, len(body), c.status, c.empty)
		}
	}
}

// Many requests at the same time each get their own answer.
func TestTransportServesMany(t *testing.T) {
	t.Parallel()
	app, _ := inMemory(t)
	through := app.Transport()
	var wg sync.WaitGroup
	for w := range 40 {
		wg.Go(func() {
			for i := range 10 {
				path := fmt.Sprintf("/no-such-page-%d-%d", w, i)
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://any.example"+path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				id := fmt.Sprintf("request-%d-%d", w, i)
				r.Header.Set(web.HeaderCorrelationID, id)
				resp, err := through.RoundTrip(r)
				if err != nil {
					t.Errorf("GET %s: %v", path, err)
					return
				}
				_ = resp.Body.Close()
				if got := resp.Header.Get(web.HeaderCorrelationID); resp.StatusCode != http.StatusNotFound || got != id {
					t.Errorf("GET %s = %d with id %q, want 404 and %q", path, resp.StatusCode, got, id)
				}
			}
		})
	}
	wg.Wait()
}
