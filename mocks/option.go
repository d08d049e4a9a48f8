package mocks

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
)

// Option changes what [New] starts.
type Option func(*settings)

// settings are what the options have said.
type settings struct {
	baseURL  string
	hosts    []string
	now      time.Time
	lenient  bool
	scenario Scenario
	changes  []func(*config.Config)
	faults   []plannedFault

	origins []string // that are answered; empty = all
	running bool     // the clock
	// webhooks receives what they are told; nil = whoever is at their addresses.
	webhooks http.RoundTripper
	ids      bridge.IDs // nil = random
}

func newSettings(options []Option) settings {
	// A whole second: tokens live for whole seconds, so they are over when a test thinks so.
	now := time.Now().Truncate(time.Second) //nolint:forbidigo // where the clock begins unless WithTime says so: dates in answers look as in truth
	s := settings{baseURL: DefaultBaseURL, now: now}
	for _, option := range options {
		option(&s)
	}
	return s
}

type plannedFault struct {
	route string
	fault Fault
}

// Given puts the code under test in a situation; [ActiveConversation] without it.
func Given(s Scenario) Option {
	return func(o *settings) { o.scenario = s }
}

// WithFault is [Mock.Fail] from the beginning.
func WithFault(route string, f Fault) Option {
	return func(o *settings) { o.faults = append(o.faults, plannedFault{route, f}) }
}

// WithTime sets the clock. Without it the clock begins with the present time, so that
// code that compares dates in answers with its own clock is not surprised.
func WithTime(now time.Time) Option {
	return func(o *settings) { o.now = now }
}

// WithBaseURL says where the service seems to be, scheme://host[:port], for code that
// has the address built in. It is [DefaultBaseURL] without it.
func WithBaseURL(baseURL string) Option {
	return func(o *settings) { o.baseURL = baseURL }
}

// WithHosts makes the mock answer at further addresses, scheme://host[:port], for
// code that asks for tokens on another host than for the rest.
func WithHosts(baseURLs ...string) Option {
	return func(o *settings) { o.hosts = append(o.hosts, baseURLs...) }
}

// WithConfig changes the configuration of the service before it starts: everything
// that docs/config.md has, but the store and the addresses. A configuration that the
// service would not start with fails the test. Rate limits are off in a mock; whoever
// switches them on has to turn the clock, too.
func WithConfig(change func(*config.Config)) Option {
	return func(o *settings) { o.changes = append(o.changes, change) }
}

// WithLegacy switches the surfaces of the old products on: Co-browse over REST and
// Knowledge Center sessions, for the organisation and the web site of the mock.
func WithLegacy() Option {
	return WithConfig(func(c *config.Config) {
		c.Legacy.Enabled, c.Legacy.Knowledge.Enabled, c.Legacy.Deployment = true, true, siteID
		c.Legacy.AllowedOrigins = append(c.Legacy.AllowedOrigins, SiteOrigin)
	})
}

// AllowUnmatched lets the service answer requests that it has no route for, with 404
// or 405, in place of failing the test: for tests of just that.
func AllowUnmatched() Option {
	return func(o *settings) { o.lenient = true }
}

// originsOf checks addresses and returns them as they are compared, each once.
func originsOf(addresses []string) ([]string, error) {
	var origins []string
	for _, address := range addresses {
		u, err := url.Parse(strings.TrimSuffix(address, "/"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
			return nil, fmt.Errorf("address %q: want scheme://host[:port]", address)
		}
		if origin := u.Scheme + "://" + strings.ToLower(u.Host); !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return origins, nil
}
