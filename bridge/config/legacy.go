package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Legacy configures the surfaces of the old products. They belong to one
// organisation.
type Legacy struct {
	Enabled         bool            `yaml:"enabled" doc:"Offer the surfaces of Genesys Co-browse 8.5 and 9.0: live sessions over REST and CometD, history, gcb.min.js and slave.html."`
	Organisation    string          `yaml:"organisation" doc:"Id of the organisation that the surfaces of the old products belong to. Empty: the only one of organisations."`
	Deployment      string          `yaml:"deployment" doc:"Id of the deployment whose rules hold for sessions that begin on one of these surfaces. Its allowedOrigins are the pages that may be shared. Needed with legacy.enabled."`
	BasePath        string          `yaml:"basePath" doc:"What the paths of Co-browse begin with: the end of data-gcb-url on the customers' pages."`
	ServerName      string          `yaml:"serverName" doc:"The sessionServerName of answers, and the value of the cookie gcbSessionServer."`
	ServerURL       string          `yaml:"serverUrl" doc:"The sessionServerUrl of answers: the address of this node's Co-browse application. Empty: left out."`
	AllowedOrigins  []string        `yaml:"allowedOrigins" doc:"Origins of customers' pages that may call them, scheme://host[:port]: for the access rule origin, and so that browsers let these pages read the answers."`
	DeskOrigins     []string        `yaml:"deskOrigins" doc:"Origins of agent desktops: they may show slave.html in a frame, and the access rule origin of agents and controllers means these."`
	Access          LegacyAccess    `yaml:"access"`
	LogSessionToken bool            `yaml:"logSessionToken" doc:"Write the nine digits into the log line of a new session, as the old server did. Else they are masked."`
	CallbackPolling bool            `yaml:"callbackPolling" doc:"Offer CometD's JSONP transport, which needs no CORS and so protects less."`
	DOMRestrictions DOMRestrictions `yaml:"domRestrictions"`
	Upstream        LegacyUpstream  `yaml:"upstream"`
	Knowledge       LegacyKnowledge `yaml:"knowledge"`
}

// DOMRestrictions say where the file lies that masks and locks elements of pages.
type DOMRestrictions struct {
	Source string        `yaml:"source" doc:"File or http(s) address of a DOM restrictions file (XML) of Co-browse, whose rules are added to legacy.deployment. Empty: none."`
	Every  time.Duration `yaml:"every" doc:"How often it is looked at for changes; 1s to 1d."`
}

// LegacyUpstream is a Co-browse server that is still there.
type LegacyUpstream struct {
	URL      string        `yaml:"url" doc:"Address of the application of an old Co-browse server, such as https://host/cobrowse. Sessions and history records that are not here are looked for there. Empty: none."`
	Timeout  time.Duration `yaml:"timeout" doc:"How long one question to it may take in all; 100ms to 1m."`
	Import   bool          `yaml:"import" doc:"Keep what was found there as a history record of our own."`
	User     string        `yaml:"user" doc:"Name for HTTP Basic, if the server or a proxy before it asks for one."`
	Password Secret        `yaml:"password" doc:"Password that belongs to it."`
}

// LegacyAccess says who may call each of these surfaces.
type LegacyAccess struct {
	Create     string `yaml:"create" doc:"Who may begin a session. Each of these is bearer (an access token of the organisation), basic (id and secret of one of its OAuth clients), origin (pages of legacy.allowedOrigins) or open (everybody)."`
	Get        string `yaml:"get" doc:"Who may ask which server has a session."`
	Customer   string `yaml:"customer" doc:"Who may enter a session as its customer (role 1)."`
	Agent      string `yaml:"agent" doc:"Who may enter a session as its agent (role 2). Here origin means legacy.deskOrigins and our own pages."`
	Controller string `yaml:"controller" doc:"Who may steer a session (role 3). Here origin means the same."`
	History    string `yaml:"history" doc:"Who may read history records."`
	Knowledge  string `yaml:"knowledge" doc:"Who may use Knowledge Center sessions."`
}

// LegacyKnowledge configures Knowledge Center sessions.
type LegacyKnowledge struct {
	Enabled      bool          `yaml:"enabled" doc:"Offer Knowledge Center sessions."`
	BasePath     string        `yaml:"basePath" doc:"What their paths begin with."`
	BareSessions bool          `yaml:"bareSessions" doc:"Offer them at /sessions as well."`
	Profile      string        `yaml:"profile" doc:"Version of the server whose behaviour is offered: 8.5.0, 8.5.1 (also for 8.5.2 and 8.5.3) or 9.0."`
	Tenants      []string      `yaml:"tenants" doc:"Values of tenantId that profile 9.0 accepts. Empty: any."`
	IdleTimeout  time.Duration `yaml:"idleTimeout" doc:"How long a session lives without a call; 1m to 7d."`
}

// The access rules of legacy surfaces.
const (
	AccessBearer = "bearer"
	AccessBasic  = "basic"
	AccessOrigin = "origin"
	AccessOpen   = "open"
)

func defaultLegacy() Legacy {
	return Legacy{
		BasePath: "/cobrowse", ServerName: "cobridge",
		Access: LegacyAccess{
			Create: AccessOrigin, Get: AccessOrigin, Customer: AccessOrigin, Agent: AccessBearer, Controller: AccessBearer,
			History: AccessBearer, Knowledge: AccessBearer,
		},
		DOMRestrictions: DOMRestrictions{Every: 30 * time.Second},
		Upstream:        LegacyUpstream{Timeout: 5 * time.Second},
		Knowledge:       LegacyKnowledge{BasePath: "/gks-server/v1", Profile: "8.5.0", Tenants: []string{"1"}, IdleTimeout: 30 * time.Minute},
	}
}

// LegacyOrganisation returns the id of the organisation that the legacy surfaces
// belong to, "" if nothing says which.
func (c Config) LegacyOrganisation() string {
	if c.Legacy.Organisation == "" && len(c.Organisations) == 1 {
		return c.Organisations[0].ID
	}
	return c.Legacy.Organisation
}

var basePathPattern = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// ownSegments are the first segments of the service's own paths.
func ownSegments() []string {
	return []string{"api", "cobrowse", "demo", "docs", "healthz", "metrics", "oauth", "readyz", "shop", "version"}
}

func (c Config) checkLegacy(found *problems) {
	l := c.Legacy
	if l.Organisation != "" && !uuidPattern.MatchString(l.Organisation) {
		found.add("legacy.organisation", "%q, want a lower-case UUID", l.Organisation)
	}
	for name, enabled := range map[string]bool{"legacy.enabled": l.Enabled, "legacy.knowledge.enabled": l.Knowledge.Enabled} {
		if enabled && c.LegacyOrganisation() == "" {
			found.add("legacy.organisation", "missing beside %s, and organisations has %d of them", name, len(c.Organisations))
		}
	}
	checkPages(found, "legacy.allowedOrigins", l.AllowedOrigins)
	checkPages(found, "legacy.deskOrigins", l.DeskOrigins)
	origins := ""
	for _, surface := range l.access() {
		oneOf(found, "legacy.access."+surface.name, surface.rule, AccessBearer, AccessBasic, AccessOrigin, AccessOpen)
		if surface.enabled && surface.rule == AccessOrigin && !surface.desk && origins == "" {
			origins = surface.name
		}
	}
	if origins != "" && len(l.AllowedOrigins) == 0 && !c.Demo { // whose are known when it listens
		found.add("legacy.allowedOrigins", "none, want some for the rule origin in legacy.access.%s", origins)
	}
	c.checkCobrowse(found)
	k := l.Knowledge
	checkBasePath(found, "legacy.knowledge.basePath", k.BasePath, ownSegments()...)
	if k.BareSessions && k.BasePath == "/sessions" {
		found.add("legacy.knowledge.bareSessions", "true beside the base path /sessions, want another one")
	}
	oneOf(found, "legacy.knowledge.profile", k.Profile, "8.5.0", "8.5.1", "9.0")
	within(found, "legacy.knowledge.idleTimeout", k.IdleTimeout, time.Minute, 7*day)
	for i, tenant := range k.Tenants {
		if n := len(tenant); n < 1 || n > maxNameLen {
			found.add(fmt.Sprintf("legacy.knowledge.tenants[%d]", i), "%d bytes, want 1..%d", n, maxNameLen)
		}
	}
}

// checkCobrowse looks at what concerns the surfaces of Co-browse.
func (c Config) checkCobrowse(found *problems) {
	l := c.Legacy
	switch {
	case l.Deployment != "" && !uuidPattern.MatchString(l.Deployment):
		found.add("legacy.deployment", "%q, want a lower-case UUID", l.Deployment)
	case l.Enabled && l.Deployment == "":
		found.add("legacy.deployment", "missing beside legacy.enabled")
	case l.DOMRestrictions.Source != "" && l.Deployment == "":
		found.add("legacy.deployment", "missing beside legacy.domRestrictions.source")
	}
	checkBasePath(found, "legacy.basePath", l.BasePath, without(ownSegments(), "cobrowse")...)
	if l.BasePath == l.Knowledge.BasePath {
		found.add("legacy.basePath", "%s, which legacy.knowledge.basePath is too", l.BasePath)
	}
	if !serverNamePattern.MatchString(l.ServerName) {
		found.add("legacy.serverName", "%q, want 1..64 letters, digits, dots, hyphens and underscores", l.ServerName)
	}
	for name, address := range map[string]string{"legacy.serverUrl": l.ServerURL, "legacy.upstream.url": l.Upstream.URL} {
		if address != "" && !isHTTP(address) {
			found.add(name, "%q, want http(s)://host[:port]/path", address)
		}
	}
	if l.Upstream.URL != "" && c.LegacyOrganisation() == "" {
		found.add("legacy.organisation", "missing beside legacy.upstream.url, and organisations has %d of them", len(c.Organisations))
	}
	if l.Upstream.Password != "" && l.Upstream.User == "" {
		found.add("legacy.upstream.user", "missing beside legacy.upstream.password")
	}
	within(found, "legacy.upstream.timeout", l.Upstream.Timeout, 100*time.Millisecond, time.Minute)
	within(found, "legacy.domRestrictions.every", l.DOMRestrictions.Every, time.Second, day)
}

// serverNamePattern has what needs no quoting in a cookie.
var serverNamePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func isHTTP(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}

func without(list []string, one string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == one })
}

// legacySurface is one of the surfaces that have an access rule.
type legacySurface struct {
	name, rule    string
	enabled, desk bool
	open          string // what everybody may do under the rule open
}

func (l Legacy) access() []legacySurface {
	on := l.Enabled
	return []legacySurface{
		{"create", l.Access.Create, on, false, "begin sessions"},
		{"get", l.Access.Get, on, false, "ask whether nine digits are those of a session"},
		{"customer", l.Access.Customer, on, false, "share a page in a session whose nine digits it knows"},
		{"agent", l.Access.Agent, on, true, "look at a customer's page with nothing but nine digits"},
		{"controller", l.Access.Controller, on, true, "stop a session with nothing but nine digits"},
		{"history", l.Access.History, on, false, "read the history record whose id it knows"},
		{"knowledge", l.Access.Knowledge, l.Knowledge.Enabled, false, "create and read Knowledge Center sessions in anybody's name"},
	}
}

func checkBasePath(found *problems, path, value string, taken ...string) {
	if !basePathPattern.MatchString(value) {
		found.add(path, "%q, want a path such as /gks-server/v1, without a slash at the end", value)
		return
	}
	if first := strings.Split(value, "/")[1]; slices.Contains(taken, first) {
		found.add(path, "%s, want one that does not begin with /%s, which the service uses itself", value, first)
	}
}

// legacyWarnings are those of [Config.Warnings].
func (c Config) legacyWarnings() []string {
	var warnings []string
	for _, surface := range c.Legacy.access() {
		switch {
		case !surface.enabled:
		case surface.rule == AccessOpen:
			warnings = append(warnings, "legacy.access."+surface.name+" is open: whoever reaches the service may "+surface.open+".")
		case surface.rule == AccessOrigin && (surface.desk || surface.name == "history" || surface.name == "knowledge"):
			warnings = append(warnings, "legacy.access."+surface.name+" is origin: only browsers tell the truth about where a page comes from, other programs say what they like.")
		}
	}
	if c.Legacy.Enabled && c.Legacy.CallbackPolling {
		warnings = append(warnings, "legacy.callbackPolling is on: script elements of any page can send CometD messages, and a Referer is all that tells whose.")
	}
	if c.Legacy.LogSessionToken {
		warnings = append(warnings, "legacy.logSessionToken is on: whoever reads the log can enter sessions that have begun.")
	}
	return warnings
}
