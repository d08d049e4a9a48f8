package client

import (
	"context"
	"net/http"
	"time"
)

const deploymentsPath = "/api/v2/cobrowse/deployments"

// NewDeployment describes a web site whose visitors may start sessions.
type NewDeployment struct {
	Name                 string           `json:"name"`
	AllowedOrigins       []string         `json:"allowedOrigins"`         // scheme://host[:port], lower case; at least one
	StartURL             string           `json:"startUrl,omitempty"`     // page that a customer's join URL leads to; on an allowed origin
	MaskSelectors        []string         `json:"maskSelectors,omitzero"` // CSS selectors whose content never leaves the page
	ReadonlySelectors    []string         `json:"readonlySelectors,omitzero"`
	PauseCriteria        []PauseCriterion `json:"pauseCriteria,omitzero"`
	AllowAgentControl    bool             `json:"allowAgentControl"`
	AllowAgentNavigation bool             `json:"allowAgentNavigation"`
	AllowDraw            bool             `json:"allowDraw"`
}

// PauseCriterion pauses sharing on pages whose URL matches.
type PauseCriterion struct {
	URLFragment string `json:"urlFragment"`
	Condition   string `json:"condition"` // Includes, DoesNotInclude, StartsWith, EndsWith or Equals
}

// Deployment is a web site whose visitors may start sessions.
type Deployment struct {
	ID string `json:"id"`
	NewDeployment
	DateCreated time.Time `json:"dateCreated"`
	SelfURI     string    `json:"selfUri"`
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

// ReplaceDeployment gives a deployment other contents. Scope cobrowse:session:write.
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
