package mocks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cobridge/cobridge/bridge"
)

// double is the service with what is added to it: a clock to turn, faults, a record
// of the calls. A Mock is one behind httpmock, a Server one behind a listener, so that
// neither can do what the other does not.
type double struct {
	World

	app     *bridge.App
	service http.RoundTripper // to app, without faults
	clock   *clock
	routes  routes
	origins []string // that are answered, in lower case; empty = all
	lenient bool
	faults  faults
	calls   calls
	events  events

	listens   bool  // so streams and long polls are answered
	bodyLimit int64 // of what is read of a request; 0 = none

	// problem hears of what a test should fail for.
	problem func(format string, args ...any)
	observe func(Call) // called with each call when it has been answered; nil = nobody

	cancel context.CancelFunc // ends ended
	ended  chan error         // of the application

	mu       sync.Mutex
	closed   bool
	underWay int
	idle     chan struct{} // closed when closed and nothing is under way
}

// errEnded is the answer to what comes after the test.
var errEnded = errors.New("mocks: the test has ended")

// patience is how long the end of a test waits for requests that are under way.
const patience = 10 * time.Second

// place is what a double needs of where it is.
type place struct {
	dir     string // of the store; somebody else removes it
	log     *slog.Logger
	problem func(format string, args ...any)
	listens bool // let the application listen, for streams and long polls

	keepCalls  int // 0 = all
	keepEvents int // 0 = none

	observe func(Call) // nil = nobody
}

// openDouble starts the service and puts it in the situation that s asks for. The context
// is for the start; close must be called on success.
func openDouble(ctx context.Context, s settings, p place) (*double, error) {
	if err := checkTime(s.now); err != nil {
		return nil, err
	}
	d := &double{
		World: newWorld(s.baseURL), clock: newClock(s.now), origins: s.origins, lenient: s.lenient, faults: faults{queues: map[string][]*pending{}},
		calls: calls{most: p.keepCalls}, listens: p.listens, problem: p.problem, observe: p.observe, ended: make(chan error, 1), idle: make(chan struct{}),
	}
	if s.running {
		d.clock.run()
	}
	if err := d.start(ctx, s, p); err != nil {
		return nil, err
	}
	if err := d.prepare(ctx, s); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// prepare makes the situation.
func (d *double) prepare(ctx context.Context, s settings) error {
	d.routes = newRoutes(d.app.Routes())
	if err := d.arrange(ctx, s.scenario); err != nil {
		return err
	}
	for _, f := range s.faults {
		if err := d.fail(f.route, f.fault); err != nil {
			return err
		}
	}
	return nil
}

// start starts the application.
func (d *double) start(ctx context.Context, s settings, p place) error {
	cfg := newConfig(d.BaseURL, d.clock.Now())
	for _, change := range s.changes {
		change(&cfg)
	}
	cfg.Store = "bolt:" + filepath.Join(p.dir, "store.db")
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	ctx = context.WithoutCancel(ctx)
	app, err := bridge.Open(ctx, cfg, bridge.Options{Log: p.log, Clock: d.clock.Now, Version: "mock", VolatileStore: true, IDs: s.ids, WebhookTransport: s.webhooks})
	if err != nil {
		return fmt.Errorf("open the service: %w", err)
	}
	d.app, d.service = app, app.Transport()
	if p.keepEvents > 0 {
		if err := d.events.open(ctx, app, p.keepEvents); err != nil {
			return errors.Join(err, app.Close())
		}
	}
	run := app.Run
	if p.listens {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return errors.Join(fmt.Errorf("listen for the double itself: %w", err), d.events.close(), app.Close())
		}
		d.service, d.bodyLimit = newInner(ln.Addr().String()), int64(cfg.Limits.BodyBytes)
		run = func(ctx context.Context) error { return app.Serve(ctx, ln, nil) }
	}
	ctx, d.cancel = context.WithCancel(ctx)
	go func() { d.ended <- run(ctx) }()
	select {
	case <-app.Begun():
		return nil
	case err := <-d.ended:
		d.cancel()
		return errors.Join(fmt.Errorf("start the service: %w", err), d.events.close(), app.Close())
	}
}

// close lets no request in any more, waits for those that are under way and stops the
// service. With a listener the service is told first: only that ends long polls.
func (d *double) close() error {
	d.clock.stop()
	d.mu.Lock()
	d.closed = true
	if d.underWay == 0 {
		close(d.idle)
	}
	d.mu.Unlock()
	if d.listens {
		d.cancel()
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	var err error
	select {
	case <-d.idle:
	case <-late.C:
		err = fmt.Errorf("requests are still under way %s after the end", patience)
	}
	if inner, ok := d.service.(*inner); ok {
		inner.CloseIdleConnections() // the service would wait for those that were never used
	}
	d.cancel()
	ended := <-d.ended
	if d.listens && errors.Is(ended, context.DeadlineExceeded) {
		ended = nil // streams whose clients do not say goodbye were cut
	}
	return errors.Join(err, ended, d.events.close(), d.app.Close())
}

// enter reports whether a request may come in; leave is called after it.
func (d *double) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.underWay++
	}
	return !d.closed
}

func (d *double) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

func (d *double) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.underWay--; d.closed && d.underWay == 0 {
		close(d.idle)
	}
}

// turn moves the clock on. When it returns, what is over is over.
func (d *double) turn(ctx context.Context, by time.Duration) error {
	if by < 0 {
		return fmt.Errorf("Turn(%s): the clock does not go back", by)
	}
	// What happened before is written down at the time at which it happened.
	if err := d.app.Attached(ctx); err != nil {
		return fmt.Errorf("wait for attributes of conversations: %w", err)
	}
	d.clock.turn(by)
	if err := d.app.Settle(ctx); err != nil {
		return fmt.Errorf("settle what is due: %w", err)
	}
	return nil
}

// named returns a route of the service.
func (d *double) named(name string) (route, error) {
	r, ok := d.routes.named(name)
	if !ok {
		wanted := parseRoute(name)
		return route{}, fmt.Errorf("the service has no route %q; %s", name, d.routes.nearest(wanted.method, "/"+strings.Join(wanted.segments, "/")))
	}
	return r, nil
}

// routeNames returns the routes as "METHOD /path/{parameter}".
func (d *double) routeNames() []string {
	names := make([]string, len(d.routes))
	for i, r := range d.routes {
		names[i] = r.name
	}
	return names
}
