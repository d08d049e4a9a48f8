package cobrowse

import (
	"slices"
	"time"

	"github.com/cobridge/cobridge/conversations"
)

// DeploymentID names a deployment, the "site id" in a customer's page: a lower-case UUID.
type DeploymentID string

// Deployment is a web site whose visitors may start sessions.
type Deployment struct {
	ID             DeploymentID
	OrgID          conversations.OrgID
	Name           string
	AllowedOrigins []string // scheme://host[:port], lower case, no path
	StartURL       string   // page that a sharer's join URL leads to; on an allowed origin, or empty
	Rules          SharingRules
	CreatedAt      time.Time
}

// SharingRules restrict what a viewer sees and may do. The members are those of
// a messenger configuration's cobrowse settings in Genesys Cloud.
type SharingRules struct {
	MaskSelectors        []string // CSS selectors whose content never leaves the page
	ReadonlySelectors    []string // CSS selectors that a viewer cannot change or click
	PauseCriteria        []PauseCriterion
	AllowAgentControl    bool
	AllowAgentNavigation bool
	AllowDraw            bool
}

// PauseCriterion pauses sharing on pages whose URL matches.
type PauseCriterion struct {
	URLFragment string
	Condition   PauseCondition
}

// PauseCondition says how a URL is compared.
type PauseCondition string

// The pause conditions.
const (
	PauseIncludes       PauseCondition = "Includes"
	PauseDoesNotInclude PauseCondition = "DoesNotInclude"
	PauseStartsWith     PauseCondition = "StartsWith"
	PauseEndsWith       PauseCondition = "EndsWith"
	PauseEquals         PauseCondition = "Equals"
)

// PauseConditions returns every known condition.
func PauseConditions() []PauseCondition {
	return []PauseCondition{PauseIncludes, PauseDoesNotInclude, PauseStartsWith, PauseEndsWith, PauseEquals}
}

// Allows reports whether pages of the given origin may use d. The comparison is
// exact: browsers send origins in lower case and without a default port.
func (d Deployment) Allows(origin string) bool {
	return origin != "" && slices.Contains(d.AllowedOrigins, origin)
}

// Clone returns a copy of d that shares no memory with it.
func (d Deployment) Clone() Deployment {
	d.AllowedOrigins = slices.Clone(d.AllowedOrigins)
	d.Rules.MaskSelectors = slices.Clone(d.Rules.MaskSelectors)
	d.Rules.ReadonlySelectors = slices.Clone(d.Rules.ReadonlySelectors)
	d.Rules.PauseCriteria = slices.Clone(d.Rules.PauseCriteria)
	return d
}
