package bridge

import (
	"context"
	"errors"
	"slices"

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

// demoToken returns a token for the demo session.
func (a *App) demoToken(ctx context.Context, role cobrowse.Role) (cobrowse.JoinToken, error) {
	session, err := a.demoSession(ctx, role)
	if err != nil {
		return cobrowse.JoinToken{}, err
	}
	for _, p := range session.Participants {
		if p.Role == role && !p.Removed {
			return a.cobrowse.IssueToken(ctx, session.OrgID, session.ID, p.ID)
		}
	}
	if role != cobrowse.RoleSupervisor {
		return cobrowse.JoinToken{}, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "The demo session has no participant of this role."}
	}
	_, _, token, err := a.cobrowse.AddParticipant(ctx, session.OrgID, session.ID, cobrowse.Invite{UserID: config.DemoSupervisorID, Role: role})
	return token, err
}

// demoSession returns the session of the conversation for clicking, which it
// starts if there is none. One that a customer started on the shop's page comes
// first: who works there sees its nine digits and types them in, which the demo
// does in the agent's place.
func (a *App) demoSession(ctx context.Context, role cobrowse.Role) (cobrowse.Session, error) {
	if role != cobrowse.RoleCustomer {
		session, err := a.demoAttach(ctx)
		if err != nil || session.ID != "" {
			return session, err
		}
	}
	started, err := a.cobrowse.Start(ctx, cobrowse.StartRequest{
		OrgID: config.DemoOrgID, ClientID: config.DemoClientID, ConversationID: config.DemoClickConversationID, AllowRemoteControl: true,
		Participants: []cobrowse.Invite{
			{Role: cobrowse.RoleCustomer, Name: "Kim Customer"},
			{Role: cobrowse.RoleAgent, UserID: config.DemoAgentID},
			{Role: cobrowse.RoleSupervisor, UserID: config.DemoSupervisorID},
		},
	})
	if conflict := conflictOf(err); conflict != "" {
		return a.cobrowse.Get(ctx, config.DemoOrgID, conflict)
	}
	return started.Session, err
}

// demoAttach ties the latest session that a customer started on the shop's page
// to the conversation for clicking. A session that is there already goes on if
// its customer has come. Without anybody waiting it returns an empty session.
func (a *App) demoAttach(ctx context.Context) (cobrowse.Session, error) {
	live, _, err := a.cobrowse.List(ctx, cobrowse.ListRequest{
		OrgID: config.DemoOrgID, States: []cobrowse.State{cobrowse.StateIdle, cobrowse.StateActive}, Limit: 100,
	})
	if err != nil {
		return cobrowse.Session{}, err
	}
	i := slices.IndexFunc(live, func(s cobrowse.Session) bool {
		sharer, _ := s.Participant(s.Sharer())
		return s.ConversationID == "" && s.DeploymentID == config.DemoShopDeploymentID && sharer.Connection.Open
	})
	if i < 0 {
		return cobrowse.Session{}, nil
	}
	request := cobrowse.AttachRequest{
		OrgID: config.DemoOrgID, SessionToken: live[i].Token, ConversationID: config.DemoClickConversationID,
		Participant: cobrowse.Invite{UserID: config.DemoAgentID, Role: cobrowse.RoleAgent},
	}
	session, _, err := a.cobrowse.Attach(ctx, request)
	conflict := conflictOf(err)
	if conflict == "" {
		return session, err
	}
	holder, err := a.cobrowse.Get(ctx, config.DemoOrgID, conflict)
	if err != nil {
		return cobrowse.Session{}, err
	}
	if sharer, _ := holder.Participant(holder.Sharer()); sharer.Connection.Open {
		return holder, nil
	}
	if _, err := a.cobrowse.End(ctx, config.DemoOrgID, holder.ID, cobrowse.EndRequested); err != nil {
		return cobrowse.Session{}, err
	}
	session, _, err = a.cobrowse.Attach(ctx, request)
	return session, err
}

// conflictOf returns the live session that a refused start names, or "".
func conflictOf(err error) cobrowse.SessionID {
	if e, ok := errors.AsType[*cobridge.Error](err); ok && e.Code == cobridge.CodeConflict {
		return cobrowse.SessionID(e.EntityID)
	}
	return ""
}
