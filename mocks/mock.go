package mocks

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jarcoal/httpmock"

	"github.com/cobridge/cobridge/bridge"
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

	BaseURL string // of the token endpoint, the API and the join page; scheme://host

	Credentials             // of an OAuth client with all scopes
	Reader      Credentials // of one that may read sessions and users, and nothing else
	Other       Credentials // of one in another organisation

	OrgID            string
	AgentUserID      string // agent of the conversation; may cobrowse, unless the scenario says otherwise
	SupervisorUserID string // may cobrowse
	IncapableUserID  string // may not cobrowse
	OtherUserID      string // a user of the other organisation
	DeploymentID     string // a web site, with the one origin SiteOrigin

	ConversationID string // what the scenario is about
	SessionID      string // that the conversation has; "" unless the scenario has one

	t       T
	app     *bridge.App
	clock   *clock
	routes  routes
	origins []string // that are answered, in lower case
	lenient bool
	faults  faults
	calls   calls

	mu       sync.Mutex
	ended    bool
	underWay int
	idle     chan struct{} // closed when ended and nothing is under way
}

// errEnded is the answer to what comes after the test.
var errEnded = errors.New("mocks: the test has ended")

// patience is how long the end of a test waits for requests that are under way.
const patience = 10 * time.Second

// New starts the service in memory for one test and stops it when the test ends. The
// test fails for each request that the service has no route for, and for each fault
// that was asked for and did not happen. A mock takes some five milliseconds to
// start.
func New(t T, options ...Option) *Mock {
	t.Helper()
	// A whole second: tokens live for whole seconds, so they are over when a test thinks so.
	now := time.Now().Truncate(time.Second) //nolint:forbidigo // where the clock begins unless WithTime says so: dates in answers look as in truth
	s := settings{baseURL: DefaultBaseURL, now: now}
	for _, option := range options {
		option(&s)
	}
	origins, err := originsOf(append([]string{s.baseURL}, s.hosts...))
	if err != nil {
		t.Fatalf("mocks: %v", err)
	}
	m := &Mock{
		Transport: httpmock.NewMockTransport(), BaseURL: origins[0], Credentials: Credentials{clientID, clientSecret},
		Reader: Credentials{readerID, readerSecret}, Other: Credentials{strangersID, strangersSecret},
		OrgID: orgID, AgentUserID: agentID, SupervisorUserID: supervisorID, IncapableUserID: incapableID, OtherUserID: strangerID,
		DeploymentID: siteID, ConversationID: activeTalkID,
		t: t, clock: newClock(s.now), origins: origins, lenient: s.lenient, faults: faults{queues: map[string][]*pending{}}, idle: make(chan struct{}),
	}
	m.open(s)
	m.routes = newRoutes(m.app.Routes())
	m.Transport.RegisterNoResponder(m.respond)
	m.arrange(s.scenario)
	for _, f := range s.faults {
		m.Fail(f.route, f.fault)
	}
	return m
}

// open starts the service, and sees to its end.
func (m *Mock) open(s settings) {
	m.t.Helper()
	cfg := newConfig(m.BaseURL, m.clock.Now())
	for _, change := range s.changes {
		change(&cfg)
	}
	cfg.Store = "bolt:" + filepath.Join(m.t.TempDir(), "store.db")
	if err := cfg.Validate(); err != nil {
		m.t.Fatalf("mocks: configuration: %v", err)
	}
	log := slog.New(slog.NewTextHandler(logWriter{m}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithCancel(context.WithoutCancel(m.t.Context()))
	app, err := bridge.Open(ctx, cfg, bridge.Options{Log: log, Clock: m.clock.Now, Version: "mock", VolatileStore: true})
	if err != nil {
		cancel()
		m.t.Fatalf("mocks: open the service: %v", err)
	}
	m.app = app
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	m.t.Cleanup(func() {
		m.close()
		cancel()
		if err := errors.Join(<-ended, app.Close()); err != nil {
			m.t.Errorf("mocks: close the service: %v", err)
		}
	})
	select {
	case <-app.Begun():
	case err := <-ended:
		ended <- nil
		m.t.Fatalf("mocks: start the service: %v", err)
	}
}

// close lets no request in any more and waits for those that are under way.
func (m *Mock) close() {
	for _, fault := range m.faults.unmet() {
		m.t.Errorf("mocks: a fault did not happen: %s", fault)
	}
	m.clock.stop()
	m.mu.Lock()
	m.ended = true
	if m.underWay == 0 {
		close(m.idle)
	}
	m.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-m.idle:
	case <-late.C:
		m.t.Errorf("mocks: requests are still under way %s after the end of the test", patience)
	}
}

// enter reports whether a request may come in; leave is called after it.
func (m *Mock) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ended {
		m.underWay++
	}
	return !m.ended
}

func (m *Mock) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.underWay--; m.ended && m.underWay == 0 {
		close(m.idle)
	}
}

// HTTPClient returns a client over Transport, without a token. Redirects are
// followed, as far as they stay with the mock.
func (m *Mock) HTTPClient() *http.Client { return &http.Client{Transport: m.Transport} }

// Routes returns the routes of the service as "METHOD /path/{parameter}".
func (m *Mock) Routes() []string {
	names := make([]string, len(m.routes))
	for i, r := range m.routes {
		names[i] = r.name
	}
	return names
}

// Now returns the time of the mock's clock, which stands still until it is turned.
func (m *Mock) Now() time.Time { return m.clock.Now() }

// Turn moves the clock on: tokens and sessions whose time is over are over when it
// returns, and a [Delay] or a [TooManyRequests] that is over is, too. Nothing waits.
// The clock does not go back.
func (m *Mock) Turn(d time.Duration) {
	m.t.Helper()
	if d < 0 {
		m.t.Fatalf("mocks: Turn(%s): the clock does not go back", d)
	}
	// What happened before is written down at the time at which it happened.
	if err := m.app.Attached(m.t.Context()); err != nil {
		m.t.Fatalf("mocks: wait for attributes of conversations: %v", err)
	}
	m.clock.turn(d)
	if err := m.app.Settle(m.t.Context()); err != nil {
		m.t.Fatalf("mocks: settle what is due: %v", err)
	}
}

// named returns a route of the service.
func (m *Mock) named(name string) route {
	m.t.Helper()
	r, ok := m.routes.named(name)
	if !ok {
		wanted := parseRoute(name)
		m.t.Fatalf("mocks: the service has no route %q; %s", name, m.routes.nearest(wanted.method, "/"+strings.Join(wanted.segments, "/")))
	}
	return r
}

// logWriter hands what the service logs, from warnings up, to the test.
type logWriter struct{ mock *Mock }

func (w logWriter) Write(line []byte) (int, error) {
	w.mock.t.Logf("service: %s", line)
	return len(line), nil
}
