package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Legacy configures the surfaces of the old products. They belong to one
// organisation.
type Legacy struct {
	Organisation   string          `yaml:"organisation" doc:"Id of the organisation that the surfaces of the old products belong to. Empty: the only one of organisations."`
	AllowedOrigins []string        `yaml:"allowedOrigins" doc:"Origins of pages that may call them, scheme://host[:port]: for the access rule origin, and so that browsers let these pages read the answers."`
	Access         LegacyAccess    `yaml:"access"`
	Knowledge      LegacyKnowledge `yaml:"knowledge"`
}

// LegacyAccess says who may call each of these surfaces.
type LegacyAccess struct {
	Knowledge string `yaml:"knowledge" doc:"Who may use Knowledge Center sessions: bearer (an access token of the organisation), basic (id and secret of one of its OAuth clients), origin (pages of legacy.allowedOrigins) or open (everybody)."`
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
		Access:    LegacyAccess{Knowledge: AccessBearer},
		Knowledge: LegacyKnowledge{BasePath: "/gks-server/v1", Profile: "8.5.0", Tenants: []string{"1"}, IdleTimeout: 30 * time.Minute},
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
	if l.Knowledge.Enabled && c.LegacyOrganisation() == "" {
		found.add("legacy.organisation", "missing beside legacy.knowledge.enabled, and organisations has %d of them", len(c.Organisations))
	}
	checkOrigins(found, "legacy.allowedOrigins", l.AllowedOrigins)
	oneOf(found, "legacy.access.knowledge", l.Access.Knowledge, AccessBearer, AccessBasic, AccessOrigin, AccessOpen)
	if l.Knowledge.Enabled && l.Access.Knowledge == AccessOrigin && len(l.AllowedOrigins) == 0 {
		found.add("legacy.allowedOrigins", "none, want some for the rule origin in legacy.access.knowledge")
	}
	k := l.Knowledge
	checkBasePath(found, "legacy.knowledge.basePath", k.BasePath)
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

func checkBasePath(found *problems, path, value string) {
	if !basePathPattern.MatchString(value) {
		found.add(path, "%q, want a path such as /gks-server/v1, without a slash at the end", value)
		return
	}
	if first := strings.Split(value, "/")[1]; slices.Contains(ownSegments(), first) {
		found.add(path, "%s, want one that does not begin with /%s, which the service uses itself", value, first)
	}
}

// legacyWarnings are those of [Config.Warnings].
func (c Config) legacyWarnings() []string {
	if !c.Legacy.Knowledge.Enabled {
		return nil
	}
	switch c.Legacy.Access.Knowledge {
	case AccessOpen:
		return []string{"legacy.access.knowledge is open: whoever reaches the service may create and read Knowledge Center sessions in anybody's name."}
	case AccessOrigin:
		return []string{"legacy.access.knowledge is origin: only browsers tell the truth about where a page comes from, other programs say what they like."}
	}
	return nil
}
