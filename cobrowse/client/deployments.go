package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

const deploymentsPath = "/api/v2/cobrowse/deployments"

// NewDeployment describes a web site whose visitors may start sessions. Lists
// that are empty and texts that are "" have the defaults of the API document.
type NewDeployment struct {
	Name           string   `json:"name"`
	AllowedOrigins []string `json:"allowedOrigins"`     // scheme://host[:port], lower case; at least one
	StartURL       string   `json:"startUrl,omitempty"` // page that a customer's join URL leads to; on an allowed origin

	// What viewers see. All selectors are CSS.
	TextMode           string           `json:"textMode,omitempty"`          // visible or private; "" = visible
	MaskSelectors      []string         `json:"maskSelectors,omitzero"`      // text and values that never leave the page
	ShowSelectors      []string         `json:"showSelectors,omitzero"`      // fields whose values are shown, and texts with private
	BlockSelectors     []string         `json:"blockSelectors,omitzero"`     // shown as empty boxes
	NeverShowSelectors []string         `json:"neverShowSelectors,omitzero"` // fields that are hidden whatever the page says
	PauseCriteria      []PauseCriterion `json:"pauseCriteria,omitzero"`
	PageRules          []PageRule       `json:"pageRules,omitzero"`    // more restrictions, on some pages
	AssetOrigins       []string         `json:"assetOrigins,omitzero"` // from where viewers' browsers may load pictures and fonts

	// What viewers may do, or ask for.
	AllowAgentControl    bool     `json:"allowAgentControl"`
	AllowAgentNavigation bool     `json:"allowAgentNavigation"`
	AllowAgentSubmit     bool     `json:"allowAgentSubmit"`
	AllowDraw            bool     `json:"allowDraw"`
	ReadonlySelectors    []string `json:"readonlySelectors,omitzero"`
	ControlMode          string   `json:"controlMode,omitempty"`     // full or fieldsOnly; "" = full
	ControlSelectors     []string `json:"controlSelectors,omitzero"` // what can be clicked with fieldsOnly besides fields

	ConsentVersion string            `json:"consentVersion,omitempty"` // names the wording of ConsentTexts; required with them
	ConsentTexts   map[string]string `json:"consentTexts,omitzero"`    // by language, what a customer reads before sharing
	DefaultFor     []string          `json:"defaultFor,omitzero"`      // customer, agent: of sessions without a deployment in which such a one shares
}

// PauseCriterion pauses sharing on pages whose URL matches.
type PauseCriterion struct {
	URLFragment string `json:"urlFragment"`
	Condition   string `json:"condition"` // Includes, DoesNotInclude, StartsWith, EndsWith or Equals
}

// PageRule restricts the pages whose whole address, with the query and without the
// fragment, matches a regular expression in the syntax that Go and browsers share.
type PageRule struct {
	URLPattern        string   `json:"urlPattern"`
	MaskSelectors     []string `json:"maskSelectors,omitzero"`     // as in a deployment
	ReadonlySelectors []string `json:"readonlySelectors,omitzero"` // as in a deployment
}

// Deployment is a web site whose visitors may start sessions.
type Deployment struct {
	ID string `json:"id"`
	NewDeployment
	Restrictions []PageRule `json:"restrictions,omitzero"` // beside PageRules, from a file that the service reads
	DateCreated  time.Time  `json:"dateCreated"`
	SelfURI      string     `json:"selfUri"`
}

// Deployments returns one page. Scope cobrowse:session:read.
func (c *Client) Deployments(ctx context.Context, at Paging) (Page[Deployment], error) {
	return list[Deployment](ctx, c, deploymentsPath, at.into(values()))
}

// Deployment returns one deployment; 404 if there is none. Scope cobrowse:session:read.
func (c *Client) Deployment(ctx context.Context, id string) (Deployment, error) {
	var d Deployment
	_, err := c.do(ctx, call{method: http.MethodGet, path: deploymentsPath + "/" + segment(id), into: &d})
	return d, err
}

// CreateDeployment creates a deployment. Scope cobrowse:session:write.
func (c *Client) CreateDeployment(ctx context.Context, in NewDeployment) (Deployment, error) {
	var d Deployment
	_, err := c.do(ctx, call{method: http.MethodPost, path: deploymentsPath, body: in, into: &d})
	return d, err
}

// AllDeployments goes through all pages from the given one on. A failure is the
// last thing that it yields.
func (c *Client) AllDeployments(ctx context.Context, at Paging) iter.Seq2[Deployment, error] {
	return all(at, func(at Paging) (Page[Deployment], error) { return c.Deployments(ctx, at) })
}

// ReplaceDeployment gives a deployment other contents, all of them. Scope cobrowse:session:write.
func (c *Client) ReplaceDeployment(ctx context.Context, id string, in NewDeployment) (Deployment, error) {
	var d Deployment
	_, err := c.do(ctx, call{method: http.MethodPut, path: deploymentsPath + "/" + segment(id), body: in, into: &d})
	return d, err
}

// DeleteDeployment deletes a deployment; its sessions go on. Scope cobrowse:session:write.
func (c *Client) DeleteDeployment(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: deploymentsPath + "/" + segment(id)})
	return err
}

// ScriptSettings are what the script on a customer's page works by.
type ScriptSettings struct {
	ID       string            `json:"id"` // of the deployment
	Name     string            `json:"name"`
	Language string            `json:"language"` // of Texts
	Rules    SharingRules      `json:"rules"`
	Consent  Consent           `json:"consent"`
	Texts    map[string]string `json:"texts"` // what the script shows
}

// SharingRules are the rules of a deployment as pages and streams get them.
type SharingRules struct {
	TextMode             string           `json:"textMode"`
	MaskSelectors        []string         `json:"maskSelectors"`
	ShowSelectors        []string         `json:"showSelectors"`
	BlockSelectors       []string         `json:"blockSelectors"`
	NeverShowSelectors   []string         `json:"neverShowSelectors"`
	ReadonlySelectors    []string         `json:"readonlySelectors"`
	PauseCriteria        []PauseCriterion `json:"pauseCriteria"`
	AllowAgentControl    bool             `json:"allowAgentControl"`
	AllowAgentNavigation bool             `json:"allowAgentNavigation"`
	AllowDraw            bool             `json:"allowDraw"`
	AllowAgentSubmit     bool             `json:"allowAgentSubmit"`
	ControlMode          string           `json:"controlMode"`
	ControlSelectors     []string         `json:"controlSelectors"`
	AllowedOrigins       []string         `json:"allowedOrigins"`
	AssetOrigins         []string         `json:"assetOrigins"`
	PageRules            []PageRule       `json:"pageRules"` // from wherever they come
}

// Consent is what a customer agrees to before anything is shared.
type Consent struct {
	Version string `json:"version"`
	Sharing string `json:"sharing"` // the text
}

// ScriptSettings returns what the script on a page of origin gets, in the language
// nearest to lang ("" = English). It needs no access token; 403 for an origin that
// is not allowed, 404 if there is no such deployment.
func (c *Client) ScriptSettings(ctx context.Context, deploymentID, origin, lang string) (ScriptSettings, error) {
	var settings ScriptSettings
	_, err := c.do(ctx, call{
		method: http.MethodGet, path: deploymentsPath + "/" + segment(deploymentID) + "/settings", query: values("lang", lang), into: &settings,
		open: true, header: map[string]string{"Origin": origin},
	})
	return settings, err
}
