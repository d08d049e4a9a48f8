package bridge

import (
	"context"
	"time"

	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/limit"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/notify/socket"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// wall is the clock of sockets' deadlines: they are of this world, whatever time the
// service is told.
func wall() time.Time { return time.Now() } //nolint:forbidigo // it is what it is for

// openNotifications builds notification channels, which end with their tokens.
func (a *App) openNotifications(o Options) {
	a.notify = notify.New(notify.Config{Store: a.store, Clock: a.clock, Tokens: a.oauth, Users: a.directory, NewID: o.newIDs("channel"), Changed: func(id notify.ChannelID, opened bool) {
		a.tell(news{Channel: id, Opened: opened})
	}})
	a.deaf = a.oauth.Subscribe(func(r oauth.Revocation) {
		a.notify.Revoked(r)
		a.tell(news{Client: r.ClientID, Token: r.TokenID})
	})
}

// mountNotifications adds their WebSocket, and has them hear of what d knows.
func (a *App) mountNotifications(d api.Deps, address *limit.Limiter) {
	cfg := socket.Config{
		Channels: a.notify, Log: a.log,
		Clock: wall,
	}
	if address != nil {
		cfg.Allow = address.Allow
	}
	a.metrics.notifications(a.notify.Connections)
	a.sockets = socket.New(cfg)
	a.sockets.Mount(a.fiber)
	a.feed = api.NewFeed(d, a.notify, a.log)
	a.local.OnChange(func(ctx context.Context, org conversations.OrgID, id conversations.ID) {
		a.feed.ConversationChanged(ctx, org, id)
		a.tell(news{Org: org, Conversation: id})
	})
	if a.cloud != nil {
		a.cloud.OnChange(a.feed.ConversationChanged)
	}
}

// tellNotifications tells channels what happens until ctx ends.
func (a *App) tellNotifications(ctx context.Context, ready func()) error {
	done := make(chan struct{})
	defer func() { <-done }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(done)
		a.feed.Run(ctx)
	}()
	return a.store.Follow(ctx, "", ready, func(_ context.Context, e cobrowse.Event) error {
		a.feed.SessionChanged(e)
		return nil
	})
}

// purgeNotifications forgets channels whose time is over.
func (a *App) purgeNotifications(ctx context.Context) {
	if _, err := a.notify.Purge(ctx); err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "purging notification channels failed", "err", err)
	}
}
