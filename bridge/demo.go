package bridge

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/cobrowse"
)

// mountDemo adds the demonstration's links. Each creates or reuses the session
// of the second conversation and sends the browser on with a fresh join token,
// so that a link never goes stale. They ask nobody who he is: the demo listens
// on loopback only.
func (a *App) mountDemo() {
	for path, role := range map[string]cobrowse.Role{
		config.DemoJoinCustomerPath: cobrowse.RoleCustomer, config.DemoJoinAgentPath: cobrowse.RoleAgent, config.DemoJoinSupervisorPath: cobrowse.RoleSupervisor,
	} {
		a.fiber.Get(path, func(c *fiber.Ctx) error {
			token, err := a.demoToken(c.UserContext(), role)
			if err != nil {
				return err
			}
			c.Set(fiber.HeaderCacheControl, "no-store")
			return c.Redirect(a.baseURL+"/cobrowse/join?token="+token.Raw, fiber.StatusSeeOther)
		})
	}
}

// demoToken returns a token for the demo session, which it starts if there is none.
func (a *App) demoToken(ctx context.Context, role cobrowse.Role) (cobrowse.JoinToken, error) {
	started, err := a.cobrowse.Start(ctx, cobrowse.StartRequest{
		OrgID: config.DemoOrgID, ClientID: config.DemoClientID, ConversationID: config.DemoClickConversationID, AllowRemoteControl: true,
		Participants: []cobrowse.Invite{
			{Role: cobrowse.RoleCustomer, Name: "Chris Customer"},
			{Role: cobrowse.RoleAgent, UserID: config.DemoAgentID},
			{Role: cobrowse.RoleSupervisor, UserID: config.DemoSupervisorID},
		},
	})
	session := started.Session
	if conflict := conflictOf(err); conflict != "" {
		session, err = a.cobrowse.Get(ctx, config.DemoOrgID, conflict)
	}
	if err != nil {
		return cobrowse.JoinToken{}, err
	}
	for _, p := range session.Participants {
		if p.Role == role {
			return a.cobrowse.IssueToken(ctx, session.OrgID, session.ID, p.ID)
		}
	}
	return cobrowse.JoinToken{}, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "The demo session has no participant of this role."}
}

// conflictOf returns the live session that a refused start names, or "".
func conflictOf(err error) cobrowse.SessionID {
	if e, ok := errors.AsType[*cobridge.Error](err); ok && e.Code == cobridge.CodeConflict {
		return cobrowse.SessionID(e.EntityID)
	}
	return ""
}
