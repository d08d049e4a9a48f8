package bridge

import (
	"context"
	"encoding/json"

	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// news is what one process tells the others at once. It is a hint: what is stored counts,
// and a process that may have missed some looks there. Events of sessions are not among
// it, they come to all by themselves.
type news struct {
	From         string              `json:"from"`
	Conversation conversations.ID    `json:"conversation,omitempty"` // has changed
	Org          conversations.OrgID `json:"org,omitempty"`
	Channel      notify.ChannelID    `json:"channel,omitempty"` // has other topics, or
	Opened       bool                `json:"opened,omitempty"`  // somebody is connected to it
	Client       string              `json:"client,omitempty"`  // its tokens have died, or
	Token        string              `json:"token,omitempty"`   // this one
}

// waitingNews may wait to be told; more are left out, as if the connection was lost.
const waitingNews = 4096

// tell has the other processes hear of something, if there may be any.
func (a *App) tell(n news) {
	if a.node == nil {
		return
	}
	select {
	case a.untold <- n:
	default:
		a.log.Warn("the other nodes are not told of a change: too many wait")
	}
}

// tellOthers tells what waits until ctx ends.
func (a *App) tellOthers(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-a.untold:
			n.From = a.node.ID()
			text, err := json.Marshal(n)
			if err != nil {
				return err
			}
			if err := a.node.Tell(ctx, string(text)); err != nil && ctx.Err() == nil {
				a.log.WarnContext(ctx, "the other nodes were not told of a change", "err", err)
			}
		}
	}
}

// hearOthers does here what other processes tell, until ctx ends.
func (a *App) hearOthers(ctx context.Context) error {
	missed := func() {
		if err := a.notify.Refresh(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "notification channels were not read anew", "err", err)
		}
	}
	return a.node.Listen(ctx, missed, func(text string) {
		var n news
		if err := json.Unmarshal([]byte(text), &n); err != nil || n.From == a.node.ID() {
			return // of a version that we do not know, or our own
		}
		switch {
		case n.Conversation != "":
			a.feed.ConversationChanged(ctx, n.Org, n.Conversation)
		case n.Channel != "":
			if err := a.notify.ChangedElsewhere(ctx, n.Channel, n.Opened); err != nil && ctx.Err() == nil {
				a.log.WarnContext(ctx, "a notification channel was not read anew", "err", err)
			}
		case n.Client != "":
			a.notify.Revoked(oauth.Revocation{ClientID: n.Client, TokenID: n.Token})
		}
	})
}
