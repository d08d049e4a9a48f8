package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/oauth"
)

const (
	orgID  = "7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a01"
	userID = "7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a02"
	talkID = "7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a03"
	siteID = "7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a04"
	secret = "0123456789abcdef0123456789abcdef"
)

// full is a configuration in which everything is set and good.
func full() config.Config {
	c := config.Default()
	c.Organisations = []config.Organisation{{
		ID: orgID, Name: "Example",
		Users: []config.User{{ID: userID, Name: "Ada Agent", Email: "ada@example.com", Title: "Agent", State: "active", Cobrowse: config.Capability{Voice: true}}},
		Conversations: []config.Conversation{{
			ID: talkID, MediaType: "call", ExternalTag: "t",
			Participants: []config.Participant{{Purpose: "customer", Name: "Kim", Attributes: map[string]string{"a.b": "c"}}, {Purpose: "agent", UserID: userID, MediaRoles: []string{"coach"}}},
		}},
		Clients: []config.Client{{ID: "client", Name: "Client", Scopes: []string{"users", "cobrowse:session:read"}, Lifetime: time.Hour, Secret: secret}},
		Deployments: []config.Deployment{{
			ID: siteID, Name: "Shop", AllowedOrigins: []string{"https://shop.example", "http://127.0.0.1:8081"}, StartURL: "https://shop.example/help",
			MaskSelectors: []string{".card"}, ReadonlySelectors: []string{"#total"}, PauseCriteria: []config.PauseCriterion{{URLFragment: "/pay", Condition: "Includes"}},
			AllowAgentControl: true, AllowAgentNavigation: true, AllowAgentSubmit: true, AllowDraw: true, ControlMode: "fieldsOnly", ControlSelectors: []string{".tab"},
			TextMode: "private", ShowSelectors: []string{"h1"}, BlockSelectors: []string{".ad"}, NeverShowSelectors: []string{"#pin"}, AssetOrigins: []string{"https://cdn.example"},
			PageRules:      []config.PageRule{{URLPattern: `https://shop\.example/pay.*`, MaskSelectors: []string{".iban"}, ReadonlySelectors: []string{"#total"}}},
			ConsentVersion: "2026-03", ConsentTexts: map[string]string{"de": "Ihre Seite wird gezeigt."}, DefaultFor: []string{"customer", "agent"},
		}},
	}}
	return c
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if err := full().Validate(); err != nil {
		t.Fatalf("Validate of a good one = %v", err)
	}
	org := func(c *config.Config) *config.Organisation { return &c.Organisations[0] }
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		want   string // start of the only problem; empty = none
	}{
		{"listen without port", func(c *config.Config) { c.Listen = "localhost" }, `listen: "localhost", want host:port`},
		{"listen with a named port", func(c *config.Config) { c.Listen = ":http" }, `listen: port "http"`},
		{"admin on the same address", func(c *config.Config) { c.AdminListen = c.Listen }, `adminListen: 127.0.0.1:8080, want another`},
		{"base URL with a gateway's prefix", func(c *config.Config) { c.BaseURL = "https://gw.example/cobrowse" }, ``},
		{"base URL without scheme", func(c *config.Config) { c.BaseURL = "a.example" }, `baseUrl: "a.example", want an absolute`},
		{"base URL with a query", func(c *config.Config) { c.BaseURL = "https://a.example?x" }, `baseUrl: "https://a.example?x", want it without`},
		{"base URL with a user", func(c *config.Config) { c.BaseURL = "https://u@a.example" }, `baseUrl: `},
		{"base URL of another scheme", func(c *config.Config) { c.BaseURL = "ftp://a.example" }, `baseUrl: `},
		{"viewer with a path", func(c *config.Config) { c.ViewerBaseURL = "https://v.example/x" }, `viewerBaseUrl: "https://v.example/x", want it without a path`},
		{"certificate without key", func(c *config.Config) { c.TLS.CertFile = "c" }, `tls: certFile and keyFile belong together`},
		{"self-signed beside files", func(c *config.Config) { c.TLS = config.TLS{CertFile: "c", KeyFile: "k", SelfSigned: true} }, `tls.selfSigned: `},
		{"name with a port", func(c *config.Config) { c.TLS.Names = []string{"::1", "a.example:1"} }, `tls.names[1]: "a.example:1"`},
		{"proxy without mask", func(c *config.Config) { c.TrustedProxies = []string{"::/0", "10.0.0.1"} }, `trustedProxies[1]: "10.0.0.1"`},
		{"unknown store", func(c *config.Config) { c.Store = "mysql://:password@h" }, `store: mysql:, want bolt:FILE or redis://HOST:PORT`},
		{"self-signed without a file", func(c *config.Config) { c.Store, c.TLS.SelfSigned = "redis://:password@h", true }, `tls.selfSigned: true, but the certificate is kept beside the store`},
		{"store without scheme", func(c *config.Config) { c.Store = "file.db" }, `store: no scheme, want bolt:FILE`},
		{"store without file", func(c *config.Config) { c.Store = "bolt:" }, `store: bolt: without a file`},
		{"log level", func(c *config.Config) { c.Log.Level = "loud" }, `log.level: "loud", want debug, info, warn or error`},
		{"log format", func(c *config.Config) { c.Log.Format = "xml" }, `log.format: "xml", want text or json`},
		{"issuer", func(c *config.Config) { c.OAuth.Issuer = "me" }, `oauth.issuer: `},
		{"algorithm", func(c *config.Config) { c.OAuth.SigningAlgorithm = "none" }, `oauth.signingAlgorithm: "none", want EdDSA or RS256`},
		{"key lifetime", func(c *config.Config) { c.OAuth.KeyLifetime = time.Hour }, `oauth.keyLifetime: 1h, want 24h..3650d`},
		{"status", func(c *config.Config) { c.OAuth.InvalidClientStatus = 403 }, `oauth.invalidClientStatus: 403, want 401 or 400`},
		{"join tokens too short", func(c *config.Config) { c.Join.TokenLifetime = 9 * time.Second }, `join.tokenLifetime: 9s, want 10s..15m`},
		{"join tokens too long", func(c *config.Config) { c.Join.TokenLifetime = 16 * time.Minute }, `join.tokenLifetime: 16m, want 10s..15m`},
		{"time-out too long", func(c *config.Config) { c.Session.DefaultTimeout = 481 * time.Minute }, `session.defaultTimeout: 8h1m, want 1m..8h`},
		{"never joined", func(c *config.Config) { c.Session.NeverJoined = 0 }, `session.neverJoined: 0s`},
		{"grace", func(c *config.Config) { c.Session.Grace = time.Hour }, `session.grace: 1h, want 5s..30m`},
		{"duration", func(c *config.Config) { c.Session.MaxDuration = 8 * 24 * time.Hour }, `session.maxDuration: 8d`},
		{"viewers", func(c *config.Config) { c.Session.MaxViewers = 0 }, `session.maxViewers: 0, want 1..100`},
		{"history", func(c *config.Config) { c.Retention.History = 0 }, `retention.history: 0s`},
		{"conversations", func(c *config.Config) { c.Retention.Conversations = 0 }, `retention.conversations: 0s`},
		{"no rate limits", func(c *config.Config) {
			c.Limits.TokenPerMinute, c.Limits.AddressPerMinute, c.Limits.FailedLoginsPerMinute, c.Limits.StartsPerMinute = 0, 0, 0, 0
		}, ``},
		{"negative rate", func(c *config.Config) { c.Limits.TokenPerMinute = -1 }, `limits.tokenPerMinute: -1`},
		{"negative address rate", func(c *config.Config) { c.Limits.AddressPerMinute = -1 }, `limits.addressPerMinute: -1`},
		{"negative login rate", func(c *config.Config) { c.Limits.FailedLoginsPerMinute = -1 }, `limits.failedLoginsPerMinute: -1`},
		{"negative start rate", func(c *config.Config) { c.Limits.StartsPerMinute = -1 }, `limits.startsPerMinute: -1`},
		{"small bodies", func(c *config.Config) { c.Limits.BodyBytes = 10 }, `limits.bodyBytes: 10`},
		{"no connections", func(c *config.Config) { c.Limits.Connections = 0 }, `limits.connections: 0`},
		{"no streams", func(c *config.Config) { c.Limits.StreamsPerAddress = 0 }, `limits.streamsPerAddress: 0`},
		{"hardly any frames", func(c *config.Config) { c.Limits.PageFramesPerSecond = 9 }, `limits.pageFramesPerSecond: 9, want 10..1000000`},
		{"bytes for no page", func(c *config.Config) { c.Limits.PageBytesPerSecond = 1 << 10 }, `limits.pageBytesPerSecond: 1024, want 524288..1073741824`},
		{"drain", func(c *config.Config) { c.Shutdown.Drain = -1 }, `shutdown.drain: `},

		{"knowledge", func(c *config.Config) { c.Legacy.Knowledge.Enabled = true }, ``},
		{"knowledge of nobody", func(c *config.Config) { c.Organisations, c.Legacy.Knowledge.Enabled = nil, true }, `legacy.organisation: missing`},
		{"knowledge of an organisation in the store", func(c *config.Config) {
			c.Organisations, c.Legacy.Organisation, c.Legacy.Knowledge.Enabled = nil, orgID, true
		}, ``},
		{"legacy organisation", func(c *config.Config) { c.Legacy.Organisation = "Example" }, `legacy.organisation: "Example", want a lower-case UUID`},
		{"legacy origin", func(c *config.Config) { c.Legacy.AllowedOrigins = []string{"a.example"} }, `legacy.allowedOrigins[0]: "a.example", want`},
		{"access rule", func(c *config.Config) { c.Legacy.Access.Knowledge = "none" }, `legacy.access.knowledge: "none", want bearer, basic, origin or open`},
		{"origin without origins", func(c *config.Config) {
			c.Legacy.Knowledge.Enabled, c.Legacy.Access.Knowledge = true, config.AccessOrigin
		}, `legacy.allowedOrigins: none, want some`},
		{"base path with a slash at the end", func(c *config.Config) { c.Legacy.Knowledge.BasePath = "/gks-server/" }, `legacy.knowledge.basePath: "/gks-server/", want a path`},
		{"no base path", func(c *config.Config) { c.Legacy.Knowledge.BasePath = "" }, `legacy.knowledge.basePath: "", want a path`},
		{"base path with a parameter", func(c *config.Config) { c.Legacy.Knowledge.BasePath = "/:x" }, `legacy.knowledge.basePath: "/:x", want a path`},
		{"base path of ours", func(c *config.Config) { c.Legacy.Knowledge.BasePath = "/api/v2" }, `legacy.knowledge.basePath: /api/v2, want one that does not begin with /api`},
		{"sessions twice", func(c *config.Config) {
			c.Legacy.Knowledge.BareSessions, c.Legacy.Knowledge.BasePath = true, "/sessions"
		}, `legacy.knowledge.bareSessions: true`},
		{"profile", func(c *config.Config) { c.Legacy.Knowledge.Profile = "8.5.2" }, `legacy.knowledge.profile: "8.5.2", want 8.5.0, 8.5.1 or 9.0`},
		{"tenant", func(c *config.Config) { c.Legacy.Knowledge.Tenants = []string{"1", ""} }, `legacy.knowledge.tenants[1]: 0 bytes`},
		{"co-browse of nobody", func(c *config.Config) {
			c.Organisations, c.Legacy.Enabled, c.Legacy.Deployment, c.Legacy.AllowedOrigins = nil, true, siteID, []string{"https://a.example"}
		}, `legacy.organisation: missing beside legacy.enabled`},
		{"co-browse without rules", func(c *config.Config) {
			c.Legacy.Enabled, c.Legacy.AllowedOrigins = true, []string{"https://a.example"}
		}, `legacy.deployment: missing beside legacy.enabled`},
		{"co-browse without pages", func(c *config.Config) { c.Legacy.Enabled, c.Legacy.Deployment = true, siteID }, `legacy.allowedOrigins: none, want some for the rule origin in legacy.access.create`},
		{"legacy deployment", func(c *config.Config) { c.Legacy.Deployment = "shop" }, `legacy.deployment: "shop", want a lower-case UUID`},
		{"restrictions of nothing", func(c *config.Config) { c.Legacy.DOMRestrictions.Source = "dom.xml" }, `legacy.deployment: missing beside legacy.domRestrictions.source`},
		{"desk origin", func(c *config.Config) { c.Legacy.DeskOrigins = []string{"https://d.example/"} }, `legacy.deskOrigins[0]: `},
		{"wildcard", func(c *config.Config) { c.Legacy.AllowedOrigins = []string{"https://*.example"} }, `legacy.allowedOrigins[0]: "https://*.example", want each origin in full`},
		{"base path of the API", func(c *config.Config) { c.Legacy.BasePath = "/api/cobrowse" }, `legacy.basePath: /api/cobrowse, want one that does not begin with /api`},
		{"base path of Knowledge Center", func(c *config.Config) { c.Legacy.BasePath = "/gks-server/v1" }, `legacy.basePath: /gks-server/v1, which legacy.knowledge.basePath is too`},
		{"server name", func(c *config.Config) { c.Legacy.ServerName = "a b" }, `legacy.serverName: "a b", want 1..64`},
		{"server address", func(c *config.Config) { c.Legacy.ServerURL = "a.example" }, `legacy.serverUrl: "a.example", want http(s)://`},
		{"upstream", func(c *config.Config) { c.Legacy.Upstream.URL = "ftp://a.example" }, `legacy.upstream.url: "ftp://a.example", want http(s)://`},
		{"upstream time-out", func(c *config.Config) { c.Legacy.Upstream.Timeout = time.Hour }, `legacy.upstream.timeout: 1h, want 100ms..1m`},
		{"restrictions too often", func(c *config.Config) { c.Legacy.DOMRestrictions.Every = time.Millisecond }, `legacy.domRestrictions.every: 1ms, want 1s..24h`},
		{"idle time-out", func(c *config.Config) { c.Legacy.Knowledge.IdleTimeout = time.Second }, `legacy.knowledge.idleTimeout: 1s, want 1m..7d`},

		{"upper-case UUID", func(c *config.Config) { org(c).ID = strings.ToUpper(orgID) }, `organisations[0].id: `},
		{"organisation without name", func(c *config.Config) { org(c).Name = " " }, `organisations[0].name: 0 characters, want 1..200`},
		{"an id twice", func(c *config.Config) {
			org(c).Users[0].ID, org(c).Conversations[0].Participants[1].UserID = talkID, talkID
		}, `organisations[0].conversations[0].id: ` + talkID + `, stands at organisations[0].users[0].id already`},
		{"an id in two organisations", func(c *config.Config) {
			c.Organisations = append(c.Organisations, config.Organisation{ID: userID, Name: "Other"})
		}, `organisations[1].id: ` + userID + `, stands at organisations[0].users[0].id already`},
		{"state", func(c *config.Config) { org(c).Users[0].State = "gone" }, `organisations[0].users[0].state: "gone", want active, inactive or deleted`},
		{"mail address", func(c *config.Config) { org(c).Users[0].Email = "ada" }, `organisations[0].users[0].email: `},
		{"medium", func(c *config.Config) { org(c).Conversations[0].MediaType = "fax" }, `organisations[0].conversations[0].mediaType: "fax"`},
		{"nobody", func(c *config.Config) { org(c).Conversations[0].Participants = nil }, `organisations[0].conversations[0].participants: 0 of them, want 1..50`},
		{"purpose", func(c *config.Config) { org(c).Conversations[0].Participants[0].Purpose = "boss" }, `organisations[0].conversations[0].participants[0].purpose: "boss"`},
		{"agent without user", func(c *config.Config) { org(c).Conversations[0].Participants[1].UserID = "" }, `organisations[0].conversations[0].participants[1].userId: missing`},
		{"customer with user", func(c *config.Config) { org(c).Conversations[0].Participants[0].UserID = userID }, `organisations[0].conversations[0].participants[0].userId: `},
		{"user of another organisation", func(c *config.Config) {
			c.Organisations = append(c.Organisations, config.Organisation{ID: siteID[:35] + "9", Name: "Other", Users: org(c).Users})
			org(c).Users = nil
		}, `organisations[0].conversations[0].participants[1].userId: "` + userID + `" is no user of this organisation`},
		{"client id", func(c *config.Config) { org(c).Clients[0].ID = "a b" }, `organisations[0].clients[0].id: "a b"`},
		{"no scopes", func(c *config.Config) { org(c).Clients[0].Scopes = nil }, `organisations[0].clients[0].scopes: none`},
		{"unknown scope", func(c *config.Config) { org(c).Clients[0].Scopes = []string{"users", "root"} }, `organisations[0].clients[0].scopes[1]: "root"`},
		{"lifetime", func(c *config.Config) { org(c).Clients[0].Lifetime = time.Minute }, `organisations[0].clients[0].lifetime: 1m, want 300s..172800s`},
		{"short secret", func(c *config.Config) { org(c).Clients[0].Secret = config.Secret(secret[1:]) }, `organisations[0].clients[0].secret: 31 characters, want 32..256`},
		{"no secret", func(c *config.Config) { org(c).Clients[0].Secret = "" }, `organisations[0].clients[0].secret: 0 characters`},
		{"secret with a line break", func(c *config.Config) { org(c).Clients[0].Secret = secret + "\nx" }, `organisations[0].clients[0].secret: has characters`},
		{"the demo's secret", func(c *config.Config) { org(c).Clients[0].Secret = config.DemoClientSecret }, `organisations[0].clients[0]: these are the well-known credentials`},
		{"the demo's client", func(c *config.Config) { org(c).Clients[0].ID = config.DemoClientID }, `organisations[0].clients[0]: these are the well-known credentials`},
		{"no origins", func(c *config.Config) {
			org(c).Deployments[0].AllowedOrigins, org(c).Deployments[0].StartURL = nil, ""
		}, `organisations[0].deployments[0].allowedOrigins: none`},
		{"origin with a path", func(c *config.Config) { org(c).Deployments[0].AllowedOrigins[1] = "https://a.example/" }, `organisations[0].deployments[0].allowedOrigins[1]: `},
		{"origin with the default port", func(c *config.Config) { org(c).Deployments[0].AllowedOrigins[1] = "https://a.example:443" }, `organisations[0].deployments[0].allowedOrigins[1]: `},
		{"start page elsewhere", func(c *config.Config) { org(c).Deployments[0].StartURL = "https://other.example/" }, `organisations[0].deployments[0].startUrl: `},
		{"empty mask", func(c *config.Config) { org(c).Deployments[0].MaskSelectors[0] = " " }, `organisations[0].deployments[0].maskSelectors[0]: empty`},
		{"empty read-only selector", func(c *config.Config) { org(c).Deployments[0].ReadonlySelectors[0] = "" }, `organisations[0].deployments[0].readonlySelectors[0]: empty`},
		{"empty show selector", func(c *config.Config) { org(c).Deployments[0].ShowSelectors[0] = "" }, `organisations[0].deployments[0].showSelectors[0]: empty`},
		{"empty block selector", func(c *config.Config) { org(c).Deployments[0].BlockSelectors[0] = "" }, `organisations[0].deployments[0].blockSelectors[0]: empty`},
		{"empty never-show selector", func(c *config.Config) { org(c).Deployments[0].NeverShowSelectors[0] = "" }, `organisations[0].deployments[0].neverShowSelectors[0]: empty`},
		{"empty control selector", func(c *config.Config) { org(c).Deployments[0].ControlSelectors[0] = "" }, `organisations[0].deployments[0].controlSelectors[0]: empty`},
		{"text mode", func(c *config.Config) { org(c).Deployments[0].TextMode = "hidden" }, `organisations[0].deployments[0].textMode: "hidden", want visible or private`},
		{"control mode", func(c *config.Config) { org(c).Deployments[0].ControlMode = "none" }, `organisations[0].deployments[0].controlMode: "none", want full or fieldsOnly`},
		{"page rule without an address", func(c *config.Config) { org(c).Deployments[0].PageRules[0].URLPattern = "" }, `organisations[0].deployments[0].pageRules[0].urlPattern: `},
		{"page rule for no addresses", func(c *config.Config) { org(c).Deployments[0].PageRules[0].URLPattern = "(" }, `organisations[0].deployments[0].pageRules[0].urlPattern: "(", want`},
		{"empty mask of a page rule", func(c *config.Config) { org(c).Deployments[0].PageRules[0].MaskSelectors[0] = " " }, `organisations[0].deployments[0].pageRules[0].maskSelectors[0]: empty`},
		{"asset origin with a path", func(c *config.Config) { org(c).Deployments[0].AssetOrigins[0] = "https://cdn.example/x" }, `organisations[0].deployments[0].assetOrigins[0]: `},
		{"language", func(c *config.Config) { org(c).Deployments[0].ConsentTexts = map[string]string{"German": "x"} }, `organisations[0].deployments[0].consentTexts: "German"`},
		{"empty consent", func(c *config.Config) { org(c).Deployments[0].ConsentTexts = map[string]string{"de": " "} }, `organisations[0].deployments[0].consentTexts.de: empty`},
		{"consent without a version", func(c *config.Config) { org(c).Deployments[0].ConsentVersion = "" }, `organisations[0].deployments[0].consentVersion: missing`},
		{"default for a role that never shares", func(c *config.Config) { org(c).Deployments[0].DefaultFor = []string{"supervisor"} }, `organisations[0].deployments[0].defaultFor[0]: "supervisor"`},
		{"default twice", func(c *config.Config) { org(c).Deployments[0].DefaultFor = []string{"agent", "agent"} }, `organisations[0].deployments[0].defaultFor[1]: agent, stands at organisations[0].deployments[0].defaultFor[0] already`},
		{"condition", func(c *config.Config) { org(c).Deployments[0].PauseCriteria[0].Condition = "Like" }, `organisations[0].deployments[0].pauseCriteria[0].condition: "Like"`},
		{"empty fragment", func(c *config.Config) { org(c).Deployments[0].PauseCriteria[0].URLFragment = "" }, `organisations[0].deployments[0].pauseCriteria[0].urlFragment: empty`},
	} {
		c := full()
		tt.change(&c)
		got := problemsOf(t, c.Validate())
		switch {
		case tt.want == "" && len(got) > 0, tt.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], tt.want)):
			t.Errorf("%s: problems = %q, want one that starts with %q", tt.name, got, tt.want)
		}
	}
}

// The list here is a copy, because this package stands below package oauth.
func TestScopesAreThoseOfOAuth(t *testing.T) {
	t.Parallel()
	var want []string
	for _, s := range oauth.Scopes() {
		want = append(want, string(s.Scope))
	}
	got := slices.Clone(config.Demo(config.DemoOptions{}).Organisations[0].Clients[0].Scopes)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)
	c := config.Demo(config.DemoOptions{Listen: "127.0.0.1:0", Store: "bolt:x", SelfSigned: true, TLSNames: []string{"a.example"}, Now: now})
	if err := c.Validate(); err != nil {
		t.Errorf("Validate of the demo = %v", err)
	}
	if c.Limits.TokenPerMinute != 0 || c.Limits.AddressPerMinute != 0 || c.Limits.FailedLoginsPerMinute != 0 || c.Limits.StartsPerMinute != 0 {
		t.Errorf("limits = %+v, want none", c.Limits)
	}
	if limited := config.Demo(config.DemoOptions{Store: "bolt:x", RateLimit: true}); limited.Limits != config.Default().Limits {
		t.Errorf("limits on demand = %+v, want the defaults", limited.Limits)
	}
	talks := c.Organisations[0].Conversations
	if talks[0].ID != config.DemoConversationID || talks[1].ID != config.DemoClickConversationID || !talks[0].StartedAt.After(talks[1].StartedAt) {
		t.Errorf("the conversation for scripts does not start last: %+v", talks)
	}
	if len(config.DemoClientSecret) < 32 {
		t.Errorf("the demo's secret has %d characters, want 32", len(config.DemoClientSecret))
	}
	c.Demo, c.Legacy.AllowedOrigins = false, []string{"https://a.example"}
	if got := problemsOf(t, c.Validate()); len(got) != 1 || !strings.Contains(got[0], "well-known") {
		t.Errorf("outside of the demo: problems = %q, want one about the well-known credentials", got)
	}
}

func TestCheckDemoListen(t *testing.T) {
	t.Parallel()
	for address, good := range map[string]bool{
		"127.0.0.1:8080": true, "127.5.5.5:0": true, "[::1]:0": true, "localhost:1": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:1": false, "192.0.2.1:1": false, "example.com:1": false, "localhost": false,
	} {
		if err := config.CheckDemoListen(address); (err == nil) != good {
			t.Errorf("CheckDemoListen(%q) = %v, want allowed = %t", address, err, good)
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, base, issuer, listener, wantBase, wantIssuer string }{
		{"derived", "", "", "127.0.0.1:1234", "http://127.0.0.1:1234", "http://127.0.0.1:1234"},
		{"all interfaces", "", "", "0.0.0.0:8080", "http://localhost:8080", "http://localhost:8080"},
		{"IPv6", "", "", "[::1]:8080", "http://[::1]:8080", "http://[::1]:8080"},
		{"no host", "", "", ":8080", "http://localhost:8080", "http://localhost:8080"},
		{"default port", "", "", "127.0.0.1:80", "http://127.0.0.1", "http://127.0.0.1"},
		{"default port and slash that are set", "https://A.example:443/p/", "", "127.0.0.1:1", "https://a.example/p", "https://a.example/p"},
		{"set", "https://a.example/p", "", "127.0.0.1:1", "https://a.example/p", "https://a.example/p"},
		{"issuer", "https://a.example", "https://i.example", "127.0.0.1:1", "https://a.example", "https://i.example"},
	} {
		c := config.Default()
		c.BaseURL, c.OAuth.Issuer = tt.base, tt.issuer
		if got := c.At(tt.listener); got.BaseURL != tt.wantBase || got.OAuth.Issuer != tt.wantIssuer {
			t.Errorf("%s: At = %q, %q, want %q, %q", tt.name, got.BaseURL, got.OAuth.Issuer, tt.wantBase, tt.wantIssuer)
		}
	}
	c := config.Default()
	c.TLS.SelfSigned, c.ViewerBaseURL = true, "https://localhost:443"
	if got, want := c.At("127.0.0.1:1").ViewerBaseURL, "https://localhost"; got != want {
		t.Errorf("viewer base URL = %q, want %q", got, want)
	}
	if got, want := c.At("127.0.0.1:1").BaseURL, "https://127.0.0.1:1"; got != want {
		t.Errorf("with TLS: base URL = %q, want %q", got, want)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	quiet := config.Default()
	quiet.BaseURL, quiet.ViewerBaseURL = "http://127.0.0.1:8080", "http://localhost:8080"
	quiet.Organisations = []config.Organisation{{}}
	if got := quiet.Warnings(); len(got) > 0 {
		t.Fatalf("warnings = %q, want none", got)
	}
	for name, tt := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"no organisation":          {func(c *config.Config) { c.Organisations = nil }, "organisations is empty"},
		"no viewer origin":         {func(c *config.Config) { c.ViewerBaseURL = "" }, "viewerBaseUrl is not set"},
		"the same origin":          {func(c *config.Config) { c.BaseURL, c.ViewerBaseURL = "https://a.example/x", "https://A.example:443" }, "origin of the API"},
		"plain http":               {func(c *config.Config) { c.BaseURL = "http://a.example" }, "plain http"},
		"base leads to itself":     {func(c *config.Config) { c.Listen, c.AdminListen = "0.0.0.0:8080", "127.0.0.1:1" }, "set baseUrl"},
		"public metrics":           {func(c *config.Config) { c.Listen, c.BaseURL = ":8080", "https://a.example" }, "adminListen"},
		"self-signed":              {func(c *config.Config) { c.TLS.SelfSigned = true }, "tls.selfSigned"},
		"no rate limit":            {func(c *config.Config) { c.Limits.TokenPerMinute = 0 }, "limits.tokenPerMinute"},
		"no limit of wrong logins": {func(c *config.Config) { c.Limits.FailedLoginsPerMinute = 0 }, "limits.failedLoginsPerMinute"},
		"open knowledge sessions": {func(c *config.Config) {
			c.Legacy.Knowledge.Enabled, c.Legacy.Access.Knowledge = true, config.AccessOpen
		}, "legacy.access.knowledge is open"},
		"digits in the log": {func(c *config.Config) { c.Legacy.LogSessionToken = true }, "legacy.logSessionToken is on"},
		"script elements":   {func(c *config.Config) { c.Legacy.Enabled, c.Legacy.CallbackPolling = true, true }, "legacy.callbackPolling is on"},
		"agents from desks": {func(c *config.Config) { c.Legacy.Enabled, c.Legacy.Access.Agent = true, config.AccessOrigin }, "legacy.access.agent is origin"},
		"open history":      {func(c *config.Config) { c.Legacy.Enabled, c.Legacy.Access.History = true, config.AccessOpen }, "legacy.access.history is open"},
		"knowledge sessions for pages": {func(c *config.Config) {
			c.Legacy.Knowledge.Enabled, c.Legacy.Access.Knowledge = true, config.AccessOrigin
		}, "legacy.access.knowledge is origin"},
	} {
		c := quiet
		tt.change(&c)
		if got := c.Warnings(); len(got) != 1 || !strings.Contains(got[0], tt.want) {
			t.Errorf("%s: warnings = %q, want one with %q", name, got, tt.want)
		}
	}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	c := config.Config{TrustedProxies: []string{"10.1.2.3/8", "2001:db8::/32"}}
	if got, want := fmt.Sprint(c.Proxies()), "[10.0.0.0/8 2001:db8::/32]"; got != want {
		t.Errorf("Proxies = %s, want %s", got, want)
	}
}

// Whatever is done to it, a secret does not show.
func TestSecretHides(t *testing.T) {
	t.Parallel()
	s := config.Secret("open-sesame-open-sesame")
	holder := struct{ S config.Secret }{s}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10s"} {
		shown = append(shown, fmt.Sprintf(verb, s), fmt.Sprintf(verb, holder), fmt.Sprintf(verb, &holder))
	}
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).InfoContext(t.Context(), "x", "secret", s, "holder", holder)
	slog.New(slog.NewTextHandler(&log, nil)).InfoContext(t.Context(), "x", "secret", s, "holder", holder)
	shown = append(shown, string(encoded), string(asYAML), log.String(), s.String())
	for _, text := range shown {
		if strings.Contains(text, "sesame") || strings.Contains(text, "736573616d65") || strings.Contains(text, "736573616D65") {
			t.Errorf("a secret shows: %s", text)
		}
		if !strings.Contains(text, "***") {
			t.Errorf("%q does not say that there is a secret", text)
		}
	}
	if got := config.Secret("").String(); got != "" {
		t.Errorf("an empty secret shows as %q, want nothing", got)
	}
}

func TestYAML(t *testing.T) {
	t.Parallel()
	printed, err := full().YAML()
	if err != nil {
		t.Fatalf("YAML = %v", err)
	}
	if text := string(printed); strings.Contains(text, secret) || !strings.Contains(text, "secret: '***'") || !strings.Contains(text, "history: 14d") {
		t.Errorf("YAML shows the secret, or does not hide it, or writes durations otherwise:\n%s", text)
	}
	got, err := config.Load(config.Sources{File: file(t, strings.ReplaceAll(string(printed), "'***'", secret))})
	if err != nil {
		t.Fatalf("Load of what was printed = %v\n%s", err, printed)
	}
	want := full()
	want.TLS.Names, want.TrustedProxies, want.Legacy.AllowedOrigins = []string{}, []string{}, []string{}
	want.Webhooks.AllowNetworks = []string{}
	want.Legacy.DeskOrigins = []string{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was printed reads as (-want +got):\n%s", diff)
	}
}

func TestDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	const path = "../../docs/config.md"
	if os.Getenv("COBRIDGE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(config.Document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Document(), string(got)); diff != "" {
		t.Errorf("docs/config.md is not what cobridge config doc prints; run make docs (-want +got):\n%s", diff)
	}
}

// The example of the document is a configuration.
func TestDocumentExample(t *testing.T) {
	t.Parallel()
	_, example, _ := strings.Cut(config.Document(), "```yaml\n")
	example, _, found := strings.Cut(example, "```")
	if !found {
		t.Fatal("the document has no example")
	}
	if _, err := config.Load(config.Sources{File: file(t, example)}); err != nil {
		t.Errorf("Load of the example = %v", err)
	}
}

// The server reserves room for a body as soon as its length is announced, so
// this product is what callers who send nothing else can make it take.
func TestBodiesOfAllConnectionsFitIntoMemory(t *testing.T) {
	t.Parallel()
	limits := config.Default().Limits
	if got := limits.BodyBytes * limits.Connections; got > 4<<30 {
		t.Errorf("%d connections with bodies of %d bytes are %d MiB, want at most 4096", limits.Connections, limits.BodyBytes, got>>20)
	}
}
