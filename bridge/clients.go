package bridge

import (
	"context"
	"fmt"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// AddClient creates an OAuth client with a new random secret and returns it with
// that secret, which cannot be had again. An empty id becomes a new UUID; a
// secret of c is ignored. CodeNotFound if there is no such organisation,
// CodeConstraintValidation for a broken rule, CodeConflict if the id is taken.
func (a *App) AddClient(ctx context.Context, orgID string, c config.Client) (config.Client, error) {
	if _, err := a.local.Organisation(ctx, conversations.OrgID(orgID)); err != nil {
		return config.Client{}, fmt.Errorf("organisation %s: %w", orgID, err)
	}
	made, secret, err := a.oauth.CreateClient(ctx, oauth.ClientSpec{ID: c.ID, OrgID: orgID, Name: c.Name, Scopes: c.Scopes, Lifetime: c.Lifetime})
	if err != nil {
		return config.Client{}, err
	}
	return config.Client{ID: made.ID, Name: made.Name, Scopes: made.Scopes, Lifetime: made.Lifetime, Secret: config.Secret(secret)}, nil
}
