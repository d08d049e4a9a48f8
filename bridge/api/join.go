package api

import (
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

type joinedBody struct {
	SessionID     cobrowse.SessionID     `json:"sessionId"`
	ParticipantID cobrowse.ParticipantID `json:"participantId"`
	Role          cobrowse.Role          `json:"role"`
	CobrowseRole  string                 `json:"cobrowseRole"`
	State         cobrowse.State         `json:"state"`
	StreamURI     string                 `json:"streamUri"`
	Resume        cobrowse.ResumeSecret  `json:"resume,omitempty"` // the sharer's; a viewer's is in a cookie
}

// join answers POST /api/v2/cobrowse/join.
func (a *api) join(c *fiber.Ctx) error {
	var in struct {
		Token string `json:"token"`
		Tab   string `json:"tab"`
	}
	if err := a.decode(c, schemaJoin, &in); err != nil {
		return err
	}
	ctx := c.UserContext()
	guesses, network := a.Limits.JoinTokens, web.ClientNetwork(c)
	if err := guesses.Check(ctx, network); err != nil {
		return err
	}
	joined, err := a.Sessions.Redeem(ctx, in.Token, in.Tab)
	if err != nil {
		if cobridge.CodeOf(err) == cobridge.CodeJoinTokenInvalid {
			if err := guesses.Fail(ctx, network); err != nil {
				return err
			}
		}
		return err
	}
	s, p := joined.Session, joined.Participant
	body := joinedBody{
		SessionID: s.ID, ParticipantID: p.ID, Role: p.Role, CobrowseRole: cobrowseRole(p, s.Sharer()), State: s.State(),
		StreamURI: a.Cookie.StreamURI(string(s.ID)),
	}
	if p.ID == s.Sharer() {
		body.Resume = joined.Secret
	} else {
		a.Cookie.Set(c, string(s.ID), string(p.ID), string(joined.Secret))
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(body)
}
