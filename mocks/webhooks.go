package mocks

import (
	"errors"
	"net/http"
	"net/http/httptest"
)

// WithWebhooks hands what webhooks are told to h, whatever address they have: a mock
// has no network, and without this option every attempt to tell a webhook fails. The
// requests are those of the service, signed and with its headers. h is called by other
// goroutines than the test's.
func WithWebhooks(h http.Handler) Option {
	return func(o *settings) { o.webhooks = handlerTransport{h} }
}

// Tell waits until everything that has happened was told to the webhooks that are to
// be told of it, as far as they are there.
func (m *Mock) Tell() {
	m.t.Helper()
	if err := m.double.app.WebhooksTold(m.t.Context()); err != nil {
		m.t.Fatalf("mocks: tell webhooks: %v", err)
	}
}

// handlerTransport answers requests by a handler, without a network.
type handlerTransport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (h handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	in.Host = r.URL.Host
	answer := httptest.NewRecorder()
	h.handler.ServeHTTP(answer, in)
	resp := answer.Result()
	resp.Request = r
	return resp, nil
}

// errNoNetwork is how attempts end where nobody has said who receives them.
var errNoNetwork = errors.New("mocks: there is no network; see WithWebhooks")

type noNetwork struct{}

// RoundTrip implements http.RoundTripper.
func (noNetwork) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNoNetwork }
