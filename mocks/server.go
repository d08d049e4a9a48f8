package mocks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
)

// ServerOptions are what a [Server] begins with, and goes back to when it is reset.
type ServerOptions struct {
	// BaseURL is the address of its listener, scheme://host:port: links in answers
	// begin with it, and whoever speaks to the admin API has to name it, localhost or
	// a loopback address with the same port.
	BaseURL string

	Scenario Scenario
	Seed     uint64    // of the ids; the same calls give the same ids in every run
	Time     time.Time // of the clock; zero = the present at the start and at each reset
	Running  bool      // let the clock run, else it stands still until it is turned

	Faults      []FaultSpec
	SiteOrigins []string // that may share pages besides [SiteOrigin]
	RateLimit   bool     // apply the service's usual rate limits
	Legacy      bool     // offer the surfaces of the old products
	SelfSigned  bool     // the listener speaks TLS with a certificate of its own

	Log    *slog.Logger // nil = nothing is logged
	OnCall func(Call)   // called with each call when it has been answered; nil = nobody is
}

// Server is the double of [New] for everybody who has no [T]: the service in this
// process, answering HTTP and WebSockets, with an admin API below [AdminPath] to steer
// it and to look inside. It has no protection but that of its address: it belongs on
// loopback. All methods may be called concurrently, except Close, which is called once
// and last.
type Server struct {
	options ServerOptions
	log     *slog.Logger
	hosts   []string // that the admin API answers to
	dir     string
	proxy   *httputil.ReverseProxy
	admin   http.Handler

	problems atomic.Int64

	mu      sync.RWMutex // held to read while a request looks for the double, to write during a reset
	double  *double      // nil when closed
	now     situation
	started int // doubles so far
	links   *links
}

// situation is what a reset can change.
type situation struct {
	scenario Scenario
	seed     uint64
	time     time.Time
}

const (
	keptCalls  = 5_000
	keptEvents = 20_000

	// serverDrain is how long streams and calls under way may take at a reset and at
	// the end. Clients of notification channels are told two seconds before they are
	// closed; beyond that, nobody who tests wants to wait.
	serverDrain = 3 * time.Second
)

// NewServer starts the service. It listens nowhere yet: see [Server.Serve].
func NewServer(ctx context.Context, o ServerOptions) (*Server, error) {
	origins, err := originsOf([]string{o.BaseURL})
	if err != nil {
		return nil, fmt.Errorf("mocks: %w", err)
	}
	o.BaseURL = origins[0]
	if _, err := originsOf(o.SiteOrigins); err != nil {
		return nil, fmt.Errorf("mocks: %w", err)
	}
	s := &Server{options: o, log: o.Log, hosts: hostsOf(o.BaseURL), now: situation{o.Scenario, o.Seed, o.Time}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.dir, err = os.MkdirTemp("", "cobridge-mock-"); err != nil {
		return nil, fmt.Errorf("mocks: make temporary directory: %w", err)
	}
	s.proxy, s.admin = s.newProxy(), s.newAdmin()
	if err := s.start(ctx, s.now); err != nil {
		return nil, errors.Join(fmt.Errorf("mocks: %w", err), os.RemoveAll(s.dir))
	}
	return s, nil
}

// hostsOf returns the names by which a server on loopback may be spoken to.
func hostsOf(baseURL string) []string {
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil
	}
	names := []string{u.Host}
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if host := net.JoinHostPort(name, u.Port()); !slices.Contains(names, host) {
			names = append(names, host)
		}
	}
	return names
}

// start makes a double; mu is held to write, or nobody else is there.
func (s *Server) start(ctx context.Context, now situation) error {
	set := settings{
		baseURL: s.options.BaseURL, now: now.time, running: s.options.Running, scenario: now.scenario, ids: newSeededIDs(now.seed),
		changes: []func(*config.Config){s.configure},
	}
	if set.now.IsZero() {
		set.now = time.Now().Truncate(time.Second) //nolint:forbidigo // as newSettings
	}
	if s.options.Legacy {
		WithLegacy()(&set)
	}
	for _, spec := range s.options.Faults {
		fault, err := spec.build()
		if err != nil {
			return err
		}
		set.faults = append(set.faults, plannedFault{spec.Route, fault})
	}
	s.started++
	dir := filepath.Join(s.dir, strconv.Itoa(s.started))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make a directory for the store: %w", err)
	}
	d, err := openDouble(ctx, set, place{
		dir: dir, log: s.log, problem: s.problem, listens: true, keepCalls: keptCalls, keepEvents: keptEvents, observe: s.options.OnCall,
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	s.double, s.now, s.links = d, now, &links{double: d}
	return nil
}

// configure changes what the double's configuration has by default.
func (s *Server) configure(c *config.Config) {
	c.Shutdown.Drain = serverDrain
	c.TLS.SelfSigned = s.options.SelfSigned
	c.Webhooks.AllowHTTP, c.Webhooks.AllowNetworks = true, []string{"127.0.0.0/8", "::1/128"} // where tests listen
	if s.options.RateLimit {
		c.Limits = config.Default().Limits
	}
	site := &c.Organisations[0].Deployments[0]
	site.AllowedOrigins = append(site.AllowedOrigins, s.options.SiteOrigins...)
	if s.options.Legacy {
		c.Legacy.AllowedOrigins = append(c.Legacy.AllowedOrigins, s.options.SiteOrigins...)
	}
}

// problem notes what a test should fail for.
func (s *Server) problem(format string, args ...any) {
	s.problems.Add(1)
	s.log.Warn("problem", "problem", fmt.Sprintf(format, args...))
}

// Problems returns how often a request matched no route of the service, or a fault
// could not happen, since the start; a reset does not forget them.
func (s *Server) Problems() int { return int(s.problems.Load()) }

// reset ends the service and starts it anew in a situation.
func (s *Server) reset(ctx context.Context, to situation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.double == nil {
		return errEnded
	}
	old, dir := s.double, filepath.Join(s.dir, strconv.Itoa(s.started))
	s.double = nil
	err := errors.Join(old.close(), os.RemoveAll(dir))
	return errors.Join(err, s.start(context.WithoutCancel(ctx), to))
}

// current returns the double, or fails after the end.
func (s *Server) current() (*double, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.double == nil {
		return nil, errEnded
	}
	return s.double, nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isAdmin(r.URL.Path) {
		s.admin.ServeHTTP(w, r)
		return
	}
	s.proxy.ServeHTTP(w, r)
}

// Serve answers on ln until ctx ends. The address of ln is that of
// ServerOptions.BaseURL.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 15 * time.Second, IdleTimeout: 100 * time.Second, // as the service
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	shut := make(chan error, 1)
	go func() { shut <- server.Shutdown(drain) }() // accepts no more; waits for long polls, which the end of the double ends
	err := s.stop()
	if serr := <-shut; serr != nil {
		err = errors.Join(err, serr, server.Close())
	}
	if serr := <-ended; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

// stop ends the double.
func (s *Server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.double
	s.double = nil
	if d == nil {
		return nil
	}
	return d.close()
}

// Close ends the service and forgets everything.
func (s *Server) Close() error { return errors.Join(s.stop(), os.RemoveAll(s.dir)) }
