package api

import (
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

const deploymentsPath = "/api/v2/cobrowse/deployments"

// deploymentBody is a deployment in requests and answers.
type deploymentBody struct {
	ID                   cobrowse.DeploymentID `json:"id"`
	Name                 string                `json:"name"`
	AllowedOrigins       []string              `json:"allowedOrigins"`
	StartURL             string                `json:"startUrl,omitempty"`
	MaskSelectors        []string              `json:"maskSelectors"`
	ReadonlySelectors    []string              `json:"readonlySelectors"`
	PauseCriteria        []pauseBody           `json:"pauseCriteria"`
	AllowAgentControl    bool                  `json:"allowAgentControl"`
	AllowAgentNavigation bool                  `json:"allowAgentNavigation"`
	AllowDraw            bool                  `json:"allowDraw"`
	DateCreated          web.Time              `json:"dateCreated"`
	SelfURI              string                `json:"selfUri"`
}

type pauseBody struct {
	URLFragment string                  `json:"urlFragment"`
	Condition   cobrowse.PauseCondition `json:"condition"`
}

func newDeploymentBody(d cobrowse.Deployment) deploymentBody {
	body := deploymentBody{
		ID: d.ID, Name: d.Name, AllowedOrigins: list(d.AllowedOrigins), StartURL: d.StartURL,
		MaskSelectors: list(d.Rules.MaskSelectors), ReadonlySelectors: list(d.Rules.ReadonlySelectors), PauseCriteria: []pauseBody{},
		AllowAgentControl: d.Rules.AllowAgentControl, AllowAgentNavigation: d.Rules.AllowAgentNavigation, AllowDraw: d.Rules.AllowDraw,
		DateCreated: web.Time(d.CreatedAt), SelfURI: deploymentsPath + "/" + string(d.ID),
	}
	for _, p := range d.Rules.PauseCriteria {
		body.PauseCriteria = append(body.PauseCriteria, pauseBody(p))
	}
	return body
}

// readDeployment reads a body; id, organisation and dates are not the caller's to say.
func (a *api) readDeployment(c *fiber.Ctx) (cobrowse.Deployment, error) {
	var in struct {
		Name                 string      `json:"name"`
		AllowedOrigins       []string    `json:"allowedOrigins"`
		StartURL             string      `json:"startUrl"`
		MaskSelectors        []string    `json:"maskSelectors"`
		ReadonlySelectors    []string    `json:"readonlySelectors"`
		PauseCriteria        []pauseBody `json:"pauseCriteria"`
		AllowAgentControl    bool        `json:"allowAgentControl"`
		AllowAgentNavigation bool        `json:"allowAgentNavigation"`
		AllowDraw            bool        `json:"allowDraw"`
	}
	if err := a.decode(c, schemaDeployment, &in); err != nil {
		return cobrowse.Deployment{}, err
	}
	d := cobrowse.Deployment{
		OrgID: orgOf(c), Name: in.Name, AllowedOrigins: in.AllowedOrigins, StartURL: in.StartURL,
		Rules: cobrowse.SharingRules{
			MaskSelectors: in.MaskSelectors, ReadonlySelectors: in.ReadonlySelectors,
			AllowAgentControl: in.AllowAgentControl, AllowAgentNavigation: in.AllowAgentNavigation, AllowDraw: in.AllowDraw,
		},
	}
	for _, p := range in.PauseCriteria {
		d.Rules.PauseCriteria = append(d.Rules.PauseCriteria, cobrowse.PauseCriterion(p))
	}
	return d, nil
}

// listDeployments answers GET /api/v2/cobrowse/deployments. An organisation has few.
func (a *api) listDeployments(c *fiber.Ctx) error {
	page, err := web.Paging(c, web.PageRule{})
	if err != nil {
		return err
	}
	all, err := a.Sessions.Deployments(c.UserContext(), orgOf(c))
	if err != nil {
		return err
	}
	first := min(page.Offset(), len(all))
	var bodies []deploymentBody
	for _, d := range all[first:min(first+page.Size, len(all))] {
		bodies = append(bodies, newDeploymentBody(d))
	}
	return c.JSON(web.NewPage(c, page, bodies, len(all)))
}

// createDeployment answers POST /api/v2/cobrowse/deployments.
func (a *api) createDeployment(c *fiber.Ctx) error {
	d, err := a.readDeployment(c)
	if err != nil {
		return err
	}
	if d, err = a.Sessions.CreateDeployment(c.UserContext(), d); err != nil {
		return err
	}
	body := newDeploymentBody(d)
	c.Set(fiber.HeaderLocation, body.SelfURI)
	return c.Status(fiber.StatusCreated).JSON(body)
}

// getDeployment answers GET /api/v2/cobrowse/deployments/{deploymentId}.
func (a *api) getDeployment(c *fiber.Ctx) error {
	d, err := a.Sessions.Deployment(c.UserContext(), orgOf(c), deploymentParam(c))
	if err != nil {
		return err
	}
	return c.JSON(newDeploymentBody(d))
}

// putDeployment answers PUT /api/v2/cobrowse/deployments/{deploymentId}.
func (a *api) putDeployment(c *fiber.Ctx) error {
	d, err := a.readDeployment(c)
	if err != nil {
		return err
	}
	d.ID = deploymentParam(c)
	if d, err = a.Sessions.UpdateDeployment(c.UserContext(), d); err != nil {
		return err
	}
	return c.JSON(newDeploymentBody(d))
}

// deleteDeployment answers DELETE /api/v2/cobrowse/deployments/{deploymentId}.
func (a *api) deleteDeployment(c *fiber.Ctx) error {
	if err := a.Sessions.DeleteDeployment(c.UserContext(), orgOf(c), deploymentParam(c)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

type startedBody struct {
	ID            cobrowse.SessionID     `json:"id"`
	SessionID     cobrowse.SessionID     `json:"sessionId"`
	SessionToken  cobrowse.SessionToken  `json:"sessionToken"`
	ParticipantID cobrowse.ParticipantID `json:"participantId"`
	State         cobrowse.State         `json:"state"`
	Token         string                 `json:"token"`
	ExpiresAt     web.Time               `json:"expiresAt"`
	JoinURL       string                 `json:"joinUrl"`
}

// startFromDeployment answers POST …/{deploymentId}/sessions, which pages of the
// deployment's origins call. A browser sends Origin whatever the page wants.
func (a *api) startFromDeployment(c *fiber.Ctx) error {
	ctx := c.UserContext()
	if _, err := a.allowOrigin(c); err != nil {
		return err
	}
	if err := allow(ctx, a.Limits.Starts, c); err != nil {
		return err
	}
	var in struct {
		CustomerName string `json:"customerName"`
	}
	if web.HasBody(c) {
		if err := a.decode(c, schemaStart, &in); err != nil {
			return err
		}
	}
	s, token, err := a.Sessions.StartFromDeployment(ctx, cobrowse.DeploymentStart{
		DeploymentID: deploymentParam(c), Origin: c.Get(fiber.HeaderOrigin), CustomerName: in.CustomerName,
	})
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(fiber.StatusCreated).JSON(startedBody{
		ID: s.ID, SessionID: s.ID, SessionToken: s.Token, ParticipantID: token.ParticipantID, State: s.State(),
		Token: token.Raw, ExpiresAt: web.Time(token.ExpiresAt), JoinURL: a.joinURL(token),
	})
}

// preflightStart answers the question that browsers ask before startFromDeployment.
func (a *api) preflightStart(c *fiber.Ctx) error {
	allowed, err := a.allowOrigin(c)
	if err != nil {
		return err
	}
	if allowed {
		c.Set(fiber.HeaderAccessControlAllowMethods, fiber.MethodPost)
		c.Set(fiber.HeaderAccessControlAllowHeaders, "Content-Type, "+web.HeaderCorrelationID)
		c.Set(fiber.HeaderAccessControlMaxAge, "600")
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// allowOrigin lets a page of the deployment read the answer, failures too. That
// there is no such deployment is for the call itself to say.
func (a *api) allowOrigin(c *fiber.Ctx) (bool, error) {
	c.Vary(fiber.HeaderOrigin)
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		return false, nil
	}
	d, err := a.Deployments.Deployment(c.UserContext(), deploymentParam(c))
	if cobridge.CodeOf(err) == cobridge.CodeNotFound || err == nil && !d.Allows(origin) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	c.Set(fiber.HeaderAccessControlExposeHeaders, fiber.HeaderRetryAfter+", "+web.HeaderCorrelationID)
	return true, nil
}

func deploymentParam(c *fiber.Ctx) cobrowse.DeploymentID {
	return cobrowse.DeploymentID(param(c, "deploymentId"))
}
