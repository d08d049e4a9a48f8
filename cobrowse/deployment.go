package cobrowse

import (
	"maps"
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
	ConsentVersion string            // of ConsentTexts; goes into the record of each consent
	ConsentTexts   map[string]string // by language, "en": what the customer is asked before anything is shared; none = the built-in text
	DefaultFor     []Role            // sharers, customer or agent, whose sessions use it when their creator names none
	CreatedAt      time.Time

	// Restrictions are page rules that come from elsewhere than the deployment's own
	// settings; SetPageRules alone changes them.
	Restrictions []PageRule
}

// SharingRules restrict what a viewer sees and may do. The members are those of
// a messenger configuration's cobrowse settings in Genesys Cloud.
// Those below AllowDraw are our own.
type SharingRules struct {
	MaskSelectors        []string // CSS selectors whose content never leaves the page
	ReadonlySelectors    []string // CSS selectors that a viewer cannot change or click
	PauseCriteria        []PauseCriterion
	AllowAgentControl    bool
	AllowAgentNavigation bool
	AllowDraw            bool

	TextMode           TextMode // empty = TextVisible
	ShowSelectors      []string // CSS selectors of form fields whose values are shown; of texts that are, with TextPrivate
	BlockSelectors     []string // CSS selectors of elements that are an empty box to viewers
	NeverShowSelectors []string // CSS selectors that no page can switch to shown
	AllowAgentSubmit   bool     // a viewer in control may submit forms
	ControlMode        ControlMode
	ControlSelectors   []string   // CSS selectors that may be clicked too with ControlFieldsOnly
	AssetOrigins       []string   // from which viewers may load images and fonts; scheme://host[:port]
	PageRules          []PageRule // more restrictions, on some pages
}

// TextMode says what is shown of the words on a page.
type TextMode string

// The text modes.
const (
	TextVisible TextMode = "visible" // all that is not masked
	TextPrivate TextMode = "private" // nothing but what ShowSelectors name
)

// ControlMode says how far control goes.
type ControlMode string

// The control modes.
const (
	ControlFull       ControlMode = "full"
	ControlFieldsOnly ControlMode = "fieldsOnly" // clicks on fields, labels, tabs and ControlSelectors alone
)

// withDefaults names the modes that were left out.
func (d Deployment) withDefaults() Deployment {
	if d.Rules.TextMode == "" {
		d.Rules.TextMode = TextVisible
	}
	if d.Rules.ControlMode == "" {
		d.Rules.ControlMode = ControlFull
	}
	return d
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
	d.Rules.ShowSelectors = slices.Clone(d.Rules.ShowSelectors)
	d.Rules.BlockSelectors = slices.Clone(d.Rules.BlockSelectors)
	d.Rules.NeverShowSelectors = slices.Clone(d.Rules.NeverShowSelectors)
	d.Rules.ControlSelectors = slices.Clone(d.Rules.ControlSelectors)
	d.Rules.AssetOrigins = slices.Clone(d.Rules.AssetOrigins)
	d.Rules.PageRules = clonePageRules(d.Rules.PageRules)
	d.Restrictions = clonePageRules(d.Restrictions)
	d.ConsentTexts = maps.Clone(d.ConsentTexts)
	d.DefaultFor = slices.Clone(d.DefaultFor)
	return d
}
