package api

import (
	"cmp"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

const deploymentsPath = "/api/v2/cobrowse/deployments"

// deploymentBody is a deployment in answers.
type deploymentBody struct {
	ID          cobrowse.DeploymentID `json:"id"`
	Name        string                `json:"name"`
	StartURL    string                `json:"startUrl,omitempty"`
	rulesBody                         // its members stand beside the others
	Consent     string                `json:"consentVersion,omitempty"`
	Texts       map[string]string     `json:"consentTexts"`
	DefaultFor  []cobrowse.Role       `json:"defaultFor"`
	FromFile    []pageRuleBody        `json:"restrictions,omitempty"` // nobody but the service sets them
	DateCreated web.Time              `json:"dateCreated"`
	SelfURI     string                `json:"selfUri"`
}

// rulesBody are the rules of a deployment, in requests and answers.
type rulesBody struct {
	TextMode             cobrowse.TextMode    `json:"textMode"`
	MaskSelectors        []string             `json:"maskSelectors"`
	ShowSelectors        []string             `json:"showSelectors"`
	BlockSelectors       []string             `json:"blockSelectors"`
	NeverShowSelectors   []string             `json:"neverShowSelectors"`
	ReadonlySelectors    []string             `json:"readonlySelectors"`
	PauseCriteria        []pauseBody          `json:"pauseCriteria"`
	AllowAgentControl    bool                 `json:"allowAgentControl"`
	AllowAgentNavigation bool                 `json:"allowAgentNavigation"`
	AllowDraw            bool                 `json:"allowDraw"`
	AllowAgentSubmit     bool                 `json:"allowAgentSubmit"`
	ControlMode          cobrowse.ControlMode `json:"controlMode"`
	ControlSelectors     []string             `json:"controlSelectors"`
	AllowedOrigins       []string             `json:"allowedOrigins"`
	AssetOrigins         []string             `json:"assetOrigins"`
	PageRules            []pageRuleBody       `json:"pageRules"`
}

type pauseBody struct {
	URLFragment string                  `json:"urlFragment"`
	Condition   cobrowse.PauseCondition `json:"condition"`
}

// pageRuleBody is a rule by address. Its lists may be left out.
type pageRuleBody struct {
	URLPattern        string   `json:"urlPattern"`
	MaskSelectors     []string `json:"maskSelectors"`
	ReadonlySelectors []string `json:"readonlySelectors"`
}

func newPageRules(rules []cobrowse.PageRule) []pageRuleBody {
	bodies := make([]pageRuleBody, len(rules))
	for i, r := range rules {
		bodies[i] = pageRuleBody{URLPattern: r.URLPattern, MaskSelectors: list(r.MaskSelectors), ReadonlySelectors: list(r.ReadonlySelectors)}
	}
	return bodies
}

func newRulesBody(d cobrowse.Deployment) rulesBody {
	r := d.Rules
	body := rulesBody{
		TextMode: cmp.Or(r.TextMode, cobrowse.TextVisible), MaskSelectors: list(r.MaskSelectors), ShowSelectors: list(r.ShowSelectors),
		BlockSelectors: list(r.BlockSelectors), NeverShowSelectors: list(r.NeverShowSelectors), ReadonlySelectors: list(r.ReadonlySelectors),
		PauseCriteria: make([]pauseBody, len(r.PauseCriteria)), AllowAgentControl: r.AllowAgentControl, AllowAgentNavigation: r.AllowAgentNavigation,
		AllowDraw: r.AllowDraw, AllowAgentSubmit: r.AllowAgentSubmit, ControlMode: cmp.Or(r.ControlMode, cobrowse.ControlFull),
		ControlSelectors: list(r.ControlSelectors), AllowedOrigins: list(d.AllowedOrigins), AssetOrigins: list(r.AssetOrigins),
		PageRules: newPageRules(r.PageRules),
	}
	for i, p := range r.PauseCriteria {
		body.PauseCriteria[i] = pauseBody(p)
	}
	return body
}

func (b rulesBody) rules() cobrowse.SharingRules {
	rules := cobrowse.SharingRules{
		TextMode: b.TextMode, MaskSelectors: b.MaskSelectors, ShowSelectors: b.ShowSelectors, BlockSelectors: b.BlockSelectors,
		NeverShowSelectors: b.NeverShowSelectors, ReadonlySelectors: b.ReadonlySelectors, AllowAgentControl: b.AllowAgentControl,
		AllowAgentNavigation: b.AllowAgentNavigation, AllowDraw: b.AllowDraw, AllowAgentSubmit: b.AllowAgentSubmit, ControlMode: b.ControlMode,
		ControlSelectors: b.ControlSelectors, AssetOrigins: b.AssetOrigins,
	}
	for _, p := range b.PauseCriteria {
		rules.PauseCriteria = append(rules.PauseCriteria, cobrowse.PauseCriterion(p))
	}
	for _, p := range b.PageRules {
		rules.PageRules = append(rules.PageRules, cobrowse.PageRule(p))
	}
	return rules
}

func newDeploymentBody(d cobrowse.Deployment) deploymentBody {
	body := deploymentBody{
		ID: d.ID, Name: d.Name, StartURL: d.StartURL, rulesBody: newRulesBody(d), Consent: d.ConsentVersion, Texts: d.ConsentTexts,
		DefaultFor: list(d.DefaultFor), FromFile: newPageRules(d.Restrictions), DateCreated: web.Time(d.CreatedAt), SelfURI: deploymentsPath + "/" + string(d.ID),
	}
	if body.Texts == nil {
		body.Texts = map[string]string{} // an object, never null
	}
	return body
}

// readDeployment reads a body; id, organisation and dates are not the caller's to say.
func (a *api) readDeployment(c *fiber.Ctx) (cobrowse.Deployment, error) {
	var in struct {
		Name     string `json:"name"`
		StartURL string `json:"startUrl"`
		rulesBody
		Consent    string            `json:"consentVersion"`
		Texts      map[string]string `json:"consentTexts"`
		DefaultFor []cobrowse.Role   `json:"defaultFor"`
	}
	if err := a.decode(c, schemaDeployment, &in); err != nil {
		return cobrowse.Deployment{}, err
	}
	return cobrowse.Deployment{
		OrgID: orgOf(c), Name: in.Name, AllowedOrigins: in.AllowedOrigins, StartURL: in.StartURL, Rules: in.rules(),
		ConsentVersion: in.Consent, ConsentTexts: in.Texts, DefaultFor: in.DefaultFor,
	}, nil
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
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return mayRead(c, d), nil
}

// mayRead tells the browser that a page of the request's origin may read the
// answer, if the deployment has this origin.
func mayRead(c *fiber.Ctx, d cobrowse.Deployment) bool {
	origin := c.Get(fiber.HeaderOrigin)
	if !d.Allows(origin) {
		return false
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	c.Set(fiber.HeaderAccessControlExposeHeaders, fiber.HeaderRetryAfter+", "+web.HeaderCorrelationID)
	return true
}

func deploymentParam(c *fiber.Ctx) cobrowse.DeploymentID {
	return cobrowse.DeploymentID(web.PathParam(c, "deploymentId"))
}
