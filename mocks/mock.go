package mocks

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/jarcoal/httpmock"
)

// T is what a mock needs of a test: *testing.T and *testing.B have it.
type T interface {
	Helper()
	Context() context.Context
	Cleanup(f func())
	TempDir() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Mock is the service in memory, with what a test needs to use it. The fields are not
// to be changed.
type Mock struct {
	// Transport answers the requests: give it to the code under test, below whatever
	// puts tokens on them. Further responders of other services can be registered on it.
	Transport *httpmock.MockTransport

	World // its fields are the mock's: m.BaseURL, m.ClientID, m.ConversationID and so on

	t      T
	double *double
}

// New starts the service in memory for one test and stops it when the test ends. The
// test fails for each request that the service has no route for, and for each fault
// that was asked for and did not happen. A mock takes some five milliseconds to
// start.
func New(t T, options ...Option) *Mock {
	t.Helper()
	s := newSettings(options)
	origins, err := originsOf(append([]string{s.baseURL}, s.hosts...))
	if err != nil {
		t.Fatalf("mocks: %v", err)
	}
	s.baseURL, s.origins = origins[0], origins
	if s.webhooks == nil {
		s.webhooks = noNetwork{}
	}
	d, err := openDouble(t.Context(), s, place{
		dir: t.TempDir(), problem: t.Errorf,
		log: slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatalf("mocks: %v", err)
	}
	m := &Mock{Transport: httpmock.NewMockTransport(), World: d.World, t: t, double: d}
	m.Transport.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		resp, err := d.respond(r)
		return resp, plainError(err)
	})
	t.Cleanup(func() {
		for _, fault := range d.faults.unmet() {
			t.Errorf("mocks: a fault did not happen: %s", fault)
		}
		if err := d.close(); err != nil {
			t.Errorf("mocks: close the service: %v", err)
		}
	})
	return m
}

// must ends the test for an error.
func (m *Mock) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("mocks: %v", err)
	}
}

// HTTPClient returns a client over Transport, without a token. Redirects are
// followed, as far as they stay with the mock.
func (m *Mock) HTTPClient() *http.Client { return &http.Client{Transport: m.Transport} }

// Routes returns the routes of the service as "METHOD /path/{parameter}".
func (m *Mock) Routes() []string { return m.double.routeNames() }

// Now returns the time of the mock's clock, which stands still until it is turned.
func (m *Mock) Now() time.Time { return m.double.clock.Now() }

// Turn moves the clock on: tokens and sessions whose time is over are over when it
// returns, and a [Delay] or a [TooManyRequests] that is over is, too. Nothing waits.
// The clock does not go back.
func (m *Mock) Turn(d time.Duration) {
	m.t.Helper()
	m.must(m.double.turn(m.t.Context(), d))
}

// named returns a route of the service.
func (m *Mock) named(name string) route {
	m.t.Helper()
	r, err := m.double.named(name)
	m.must(err)
	return r
}

// logWriter hands what the service logs, from warnings up, to the test.
type logWriter struct{ t T }

func (w logWriter) Write(line []byte) (int, error) {
	w.t.Logf("service: %s", line)
	return len(line), nil
}
