package bridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// seed stores what the configuration says exists: organisations, users,
// deployments and clients as they stand there now, conversations if they are new.
func (a *App) seed(ctx context.Context, organisations []config.Organisation) error {
	for _, o := range organisations {
		org := conversations.Organisation{ID: conversations.OrgID(o.ID), Name: o.Name}
		users, started := seedUsers(o.Users), seedConversations(o.Conversations)
		if a.cloud != nil && o.ID == a.cfg.DirectoryOrganisation() {
			users, started = nil, nil // it has its own
		}
		if err := a.local.Seed(ctx, org, users, started); err != nil {
			return fmt.Errorf("organisation %s: %w", o.ID, err)
		}
		for _, d := range o.Deployments {
			store := a.cobrowse.UpdateDeployment
			if _, err := a.cobrowse.Deployment(ctx, org.ID, cobrowse.DeploymentID(d.ID)); cobridge.CodeOf(err) == cobridge.CodeNotFound {
				store = a.cobrowse.CreateDeployment
			}
			if _, err := store(ctx, seedDeployment(org.ID, d)); err != nil {
				return fmt.Errorf("deployment %s: %w", d.ID, err)
			}
		}
		for _, c := range o.Clients {
			if err := a.seedClient(ctx, o.ID, c); err != nil {
				return fmt.Errorf("client %s: %w", c.ID, err)
			}
		}
	}
	return nil
}

func seedUsers(in []config.User) []conversations.User {
	users := make([]conversations.User, len(in))
	for i, u := range in {
		users[i] = conversations.User{
			ID: conversations.UserID(u.ID), Name: u.Name, Email: u.Email, Title: u.Title, State: conversations.UserState(u.State),
			Cobrowse: conversations.Capability{Voice: u.Cobrowse.Voice, Digital: u.Cobrowse.Digital},
		}
		if u.State == "" {
			users[i].State = conversations.UserActive
		}
	}
	return users
}

func seedConversations(in []config.Conversation) []conversations.NewConversation {
	list := make([]conversations.NewConversation, len(in))
	for i, c := range in {
		list[i] = conversations.NewConversation{
			ID: conversations.ID(c.ID), StartedAt: c.StartedAt, Medium: conversations.Medium(c.MediaType), ExternalTag: c.ExternalTag,
		}
		for _, p := range c.Participants {
			list[i].Participants = append(list[i].Participants, conversations.NewParticipant{
				Purpose: conversations.Purpose(p.Purpose), UserID: conversations.UserID(p.UserID), Name: p.Name, MediaRoles: p.MediaRoles, Attributes: p.Attributes,
			})
		}
	}
	return list
}

func seedDeployment(org conversations.OrgID, d config.Deployment) cobrowse.Deployment {
	out := cobrowse.Deployment{
		ID: cobrowse.DeploymentID(d.ID), OrgID: org, Name: d.Name, AllowedOrigins: d.AllowedOrigins, StartURL: d.StartURL,
		ConsentVersion: d.ConsentVersion, ConsentTexts: d.ConsentTexts,
		Rules: cobrowse.SharingRules{
			TextMode: cobrowse.TextMode(d.TextMode), MaskSelectors: d.MaskSelectors, ShowSelectors: d.ShowSelectors, BlockSelectors: d.BlockSelectors,
			NeverShowSelectors: d.NeverShowSelectors, ReadonlySelectors: d.ReadonlySelectors,
			AllowAgentControl: d.AllowAgentControl, AllowAgentNavigation: d.AllowAgentNavigation, AllowAgentSubmit: d.AllowAgentSubmit, AllowDraw: d.AllowDraw,
			ControlMode: cobrowse.ControlMode(d.ControlMode), ControlSelectors: d.ControlSelectors, AssetOrigins: d.AssetOrigins,
		},
	}
	for _, p := range d.PauseCriteria {
		out.Rules.PauseCriteria = append(out.Rules.PauseCriteria, cobrowse.PauseCriterion{URLFragment: p.URLFragment, Condition: cobrowse.PauseCondition(p.Condition)})
	}
	for _, p := range d.PageRules {
		out.Rules.PageRules = append(out.Rules.PageRules, cobrowse.PageRule{URLPattern: p.URLPattern, MaskSelectors: p.MaskSelectors, ReadonlySelectors: p.ReadonlySelectors})
	}
	for _, role := range d.DefaultFor {
		out.DefaultFor = append(out.DefaultFor, cobrowse.Role(role))
	}
	return out
}

// seedClient makes the stored client equal to the configured one. A client whose
// secret was changed in the configuration is made anew, which kills its tokens.
func (a *App) seedClient(ctx context.Context, org string, c config.Client) error {
	spec := oauth.ClientSpec{ID: c.ID, OrgID: org, Name: c.Name, Scopes: c.Scopes, Lifetime: c.Lifetime, Secret: c.Secret.Reveal()}
	_, _, err := a.oauth.CreateClient(ctx, spec)
	if cobridge.CodeOf(err) != cobridge.CodeConflict {
		return err
	}
	stored, err := a.oauth.Client(ctx, c.ID)
	if err != nil {
		return err
	}
	if stored.OrgID != org {
		return fmt.Errorf("the store has a client with this id in another organisation, %s", stored.OrgID)
	}
	// A disabled client is refused whatever its secret, and stays disabled.
	_, err = a.oauth.Authenticate(ctx, c.ID, spec.Secret)
	if refusal, ok := errors.AsType[*oauth.Error](err); ok && refusal.Code == oauth.CodeInvalidClient && stored.State != oauth.StateDisabled {
		if err := a.oauth.DeleteClient(ctx, c.ID); err != nil {
			return err
		}
		_, _, err := a.oauth.CreateClient(ctx, spec)
		return err
	}
	lifetime := c.Lifetime
	if lifetime == 0 {
		lifetime = oauth.DefaultLifetime
	}
	_, err = a.oauth.UpdateClient(ctx, c.ID, oauth.ClientUpdate{Name: &c.Name, Scopes: &c.Scopes, Lifetime: &lifetime})
	return err
}
