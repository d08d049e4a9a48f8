package api

import (
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

const (
	webDeploymentsPath = "/api/v2/webdeployments/deployments"
	offerPath          = webDeploymentsPath + "/:deploymentId/cobrowse/:joinCode"
)

// headerResume carries the resume secret of the page that is shared.
const headerResume = "Cobrowse-Resume-Secret"

// The official calls of a customer's browser, which has no access token: a join code
// and the deployment's pages are all that lets it in.

// getOffer answers GET …/{deploymentId}/cobrowse/{joinCode}.
func (a *api) getOffer(c *fiber.Ctx) error {
	var s cobrowse.Session
	var token cobrowse.JoinToken
	err := a.withOffer(c, func(key cobrowse.OfferKey) (err error) {
		s, token, err = a.Sessions.ByOffer(c.UserContext(), key)
		return err
	})
	if err != nil {
		return err
	}
	conversation, err := a.conversationOf(c.UserContext(), s)
	if err != nil {
		return err
	}
	body := a.newOfferBody(s, conversation, webDeploymentsPath+"/"+string(s.DeploymentID)+"/cobrowse/"+string(s.Token))
	body.SessionJoinToken = token.Raw
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(body)
}

// deleteOffer answers DELETE …/{deploymentId}/cobrowse/{joinCode}.
func (a *api) deleteOffer(c *fiber.Ctx) error {
	if err := a.withOffer(c, func(key cobrowse.OfferKey) error {
		_, err := a.Sessions.Decline(c.UserContext(), key, cobrowse.ResumeSecret(c.Get(headerResume)))
		return err
	}); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// withOffer runs look for the offer in the path. Unknown digits count: there are
// only so many with nine of them. What are none, the id of a session too, is as
// unknown, and costs neither a guess nor a look.
func (a *api) withOffer(c *fiber.Ctx, look func(cobrowse.OfferKey) error) error {
	if _, err := a.allowOrigin(c); err != nil {
		return err
	}
	token, err := cobrowse.ParseSessionToken(web.PathParam(c, "joinCode"))
	if err != nil {
		return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No live session has this join code.", EntityName: cobrowse.EntitySession}
	}
	ctx := c.UserContext()
	digits, network := a.Limits.SessionTokens, web.ClientNetwork(c)
	if err := digits.Check(ctx, network); err != nil {
		return err
	}
	err = look(cobrowse.OfferKey{DeploymentID: deploymentParam(c), Origin: c.Get(fiber.HeaderOrigin), Token: token})
	if failure, ok := asFailure(err); ok && failure.Code == cobridge.CodeNotFound && failure.EntityName == cobrowse.EntitySession {
		if err := digits.Fail(ctx, network); err != nil {
			return err
		}
	}
	if err == nil {
		digits.Succeed(network)
	}
	return err
}

// preflightOffer answers the question that browsers ask before deleteOffer.
func (a *api) preflightOffer(c *fiber.Ctx) error {
	allowed, err := a.allowOrigin(c)
	if err != nil {
		return err
	}
	if allowed {
		c.Set(fiber.HeaderAccessControlAllowMethods, fiber.MethodGet+", "+fiber.MethodDelete)
		c.Set(fiber.HeaderAccessControlAllowHeaders, "Content-Type, "+headerResume+", "+web.HeaderCorrelationID)
		c.Set(fiber.HeaderAccessControlMaxAge, "600")
	}
	return c.SendStatus(fiber.StatusNoContent)
}
