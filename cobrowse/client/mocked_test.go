package client_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks"
)

// The routes that tests let go wrong, or count.
const (
	routeToken       = "POST /oauth/token"
	routeCreate      = "POST /api/v2/cobrowse/sessions"
	routeSession     = "GET /api/v2/cobrowse/sessions/{sessionId}"
	routeParticipant = "POST /api/v2/cobrowse/sessions/{sessionId}/participants"
	routeIssue       = "POST /api/v2/cobrowse/sessions/{sessionId}/participants/{participantId}/tokens"
)

// newMock returns the service in memory and a client of it, which shares its clock and
// hardly waits between two looks.
func newMock(t *testing.T, change func(*client.Options), options ...mocks.Option) (*mocks.Mock, *client.Client) {
	t.Helper()
	m := mocks.New(t, options...)
	return m, newClient(t, m, change)
}

// newClient returns a further client of a mock.
func newClient(t *testing.T, m *mocks.Mock, change func(*client.Options)) *client.Client {
	t.Helper()
	o := client.Options{BaseURL: m.BaseURL, ClientID: m.ClientID, ClientSecret: m.ClientSecret, Transport: m.Transport, Clock: m.Now, PollEvery: 1}
	if change != nil {
		change(&o)
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// interlude is a transport that lets something happen just before the nth request
// with a method and a suffix of the path.
type interlude struct {
	next   http.RoundTripper
	method string
	suffix string
	then   func(n int) // from 1; no two at the same time

	mu sync.Mutex
	n  int
}

func (i *interlude) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == i.method && strings.HasSuffix(r.URL.Path, i.suffix) {
		i.mu.Lock()
		i.n++
		i.then(i.n)
		i.mu.Unlock()
	}
	return i.next.RoundTrip(r)
}

// newMockBetween is newMock with something that happens between requests.
func newMockBetween(t *testing.T, method, suffix string, then func(m *mocks.Mock, n int), options ...mocks.Option) (*mocks.Mock, *client.Client) {
	t.Helper()
	var m *mocks.Mock
	between := &interlude{method: method, suffix: suffix}
	m, c := newMock(t, func(o *client.Options) { between.next, o.Transport = o.Transport, between }, options...)
	between.then = func(n int) { then(m, n) }
	return m, c
}

// joins uses a join URL up as the page does, and returns the role that it gives.
func joins(t *testing.T, c *client.Client, joinURL string) string {
	t.Helper()
	u, err := url.Parse(joinURL)
	if err != nil {
		t.Fatal(err)
	}
	joined, err := c.RedeemJoinToken(t.Context(), u.Query().Get("token"), "")
	if err != nil {
		t.Errorf("join with %q: %v", joinURL, err)
	}
	return joined.Role
}
