package config

import (
	"fmt"
	"net"
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
	DemoDeploymentID        = "de300000-0000-4000-8000-0000000000d1"
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
	c.Log.Level = "warn" // the console belongs to what can be clicked
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
			{ID: DemoClickConversationID, MediaType: "call", StartedAt: o.Now.Add(-time.Minute), Participants: demoParticipants("Chris Customer")},
		},
		Clients: []Client{{ID: DemoClientID, Name: "Demo client", Scopes: scopes(), Secret: DemoClientSecret}},
	}}
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
