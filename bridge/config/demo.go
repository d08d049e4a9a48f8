package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The demonstration has the same names and the same credentials everywhere, so
// that scripts and a second start on the same data find them. Everybody knows
// them: [Config.Validate] refuses them outside of the demonstration.
const (
	DemoOrgID               = "de300000-0000-4000-8000-000000000001"
	DemoAgentID             = "de300000-0000-4000-8000-0000000000a1"
	DemoSupervisorID        = "de300000-0000-4000-8000-0000000000b2"
	DemoConversationID      = "de300000-0000-4000-8000-0000000000c1" // for scripts: first in the list, without a session
	DemoClickConversationID = "de300000-0000-4000-8000-0000000000c2" // for clicking: what the demo's links use
	DemoShopDeploymentID    = "de300000-0000-4000-8000-0000000000d1" // the site that customers share
	DemoDeskDeploymentID    = "de300000-0000-4000-8000-0000000000d2" // the page that an agent shares where there is no customer
	DemoClientID            = "de300000-0000-4000-8000-0000000000e1"
	DemoClientSecret        = "cobridge-demo-secret-not-for-production-use-000000000000"
)

// The demonstration's own pages, relative to the base URL. Each creates or
// reuses the session of the second conversation, makes a fresh join token and
// redirects to the join page, so that a link never goes stale.
const (
	DemoJoinCustomerPath   = "/demo/join/customer"
	DemoJoinAgentPath      = "/demo/join/agent"
	DemoJoinSupervisorPath = "/demo/join/supervisor"

	DemoShopPath = "/shop/"        // on the shop's own origin
	DemoDeskPath = "/demo/desktop" // on that of the API
)

// DemoOptions are what can be chosen of the demonstration.
type DemoOptions struct {
	Listen     string // address; must be a loopback one. "" = 127.0.0.1:8080
	Store      string // as Config.Store
	SelfSigned bool
	TLSNames   []string  // further names in the self-signed certificate
	RateLimit  bool      // the usual limits; else none
	Now        time.Time // when the conversations have started
}

// Demo returns the configuration of the demonstration.
func Demo(o DemoOptions) Config {
	c := Default()
	c.Demo = true
	if o.Listen != "" {
		c.Listen = o.Listen
	}
	c.Store = o.Store
	c.TLS = TLS{SelfSigned: o.SelfSigned, Names: o.TLSNames}
	c.Legacy.Enabled, c.Legacy.Deployment, c.Legacy.Knowledge.Enabled = true, DemoShopDeploymentID, true
	c.Legacy.Access.Agent, c.Legacy.Access.Controller = AccessOrigin, AccessOrigin // slave.html of whoever tries it out
	c.Log.Level = "warn"                                                           // the console belongs to what can be clicked
	if !o.RateLimit {
		c.Limits.TokenPerMinute, c.Limits.AddressPerMinute, c.Limits.FailedLoginsPerMinute, c.Limits.StartsPerMinute = 0, 0, 0, 0
	}
	c.Organisations = []Organisation{{
		ID: DemoOrgID, Name: "Demo",
		Users: []User{
			{ID: DemoAgentID, Name: "Ada Agent", Email: "agent@demo.invalid", Title: "Agent", Cobrowse: Capability{Voice: true, Digital: true}},
			{ID: DemoSupervisorID, Name: "Sam Supervisor", Email: "supervisor@demo.invalid", Title: "Supervisor", Cobrowse: Capability{Voice: true, Digital: true}},
		},
		Conversations: []Conversation{
			// The list of conversations has the newest start first.
			{ID: DemoConversationID, MediaType: "message", StartedAt: o.Now, Participants: demoParticipants("Kim Customer")},
			{ID: DemoClickConversationID, MediaType: "call", StartedAt: o.Now.Add(-time.Minute), Participants: demoParticipants("Kim Customer")},
		},
		Clients: []Client{{ID: DemoClientID, Name: "Demo client", Scopes: scopes(), Secret: DemoClientSecret}},
	}}
	return c
}

// DemoShopOrigin returns the origin of the demonstration's shop: another host
// name of this machine, so that it shares neither cookies nor storage with the
// service, as in the world outside. Browsers know that it is this machine.
func (c Config) DemoShopOrigin() string {
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return ""
	}
	u.Host = strings.TrimSuffix(net.JoinHostPort("shop.localhost", u.Port()), ":")
	return u.Scheme + "://" + u.Host
}

// WithDemoSites adds the deployments of the demonstration, whose addresses are
// known only when it listens.
func (c Config) WithDemoSites() Config {
	shop := c.DemoShopOrigin()
	c.Legacy.AllowedOrigins = append([]string{shop}, c.Legacy.AllowedOrigins...)
	c.Organisations = slices.Clone(c.Organisations)
	for i := range c.Organisations {
		if c.Organisations[i].ID != DemoOrgID {
			continue
		}
		c.Organisations[i].Deployments = []Deployment{
			{
				ID: DemoShopDeploymentID, Name: "Demo shop", AllowedOrigins: []string{shop}, StartURL: shop + DemoShopPath, DefaultFor: []string{"customer"},
				ShowSelectors: []string{"[data-shown]"}, MaskSelectors: []string{"[data-private]"}, ReadonlySelectors: []string{"[data-fixed]"},
				PauseCriteria:     []PauseCriterion{{URLFragment: "/shop/payment", Condition: "Includes"}},
				AllowAgentControl: true, AllowAgentNavigation: true, AllowDraw: true, AssetOrigins: []string{shop},
			},
			{
				ID: DemoDeskDeploymentID, Name: "Demo desktop", AllowedOrigins: []string{originOf(c.BaseURL)}, StartURL: originOf(c.BaseURL) + DemoDeskPath,
				DefaultFor: []string{"agent"}, ShowSelectors: []string{"[data-shown]"}, MaskSelectors: []string{"[data-private]"},
				AllowAgentControl: true, AllowAgentNavigation: true, AllowDraw: true,
			},
		}
	}
	return c
}

func demoParticipants(customer string) []Participant {
	return []Participant{{Purpose: "customer", Name: customer}, {Purpose: "agent", UserID: DemoAgentID}}
}

// CheckDemoListen refuses addresses that other machines reach: the credentials
// of the demonstration are well known.
func CheckDemoListen(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen address %q: want host:port, for instance 127.0.0.1:8080", address)
	}
	if !loopback(host) {
		return fmt.Errorf("listen address %s: the demo has well-known credentials and listens on loopback only, for instance 127.0.0.1:8080", address)
	}
	return nil
}
