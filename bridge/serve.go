package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/cobrowse"
)

// purgeInterval is how often what is past its retention is forgotten.
const purgeInterval = 10 * time.Minute

// attachedFollower is the follower of events that writes attached data.
const attachedFollower = "attached-data"

// Run does the work in the background, such as ending overdue sessions and
// telling streams what happens, until ctx ends. Serve calls it; it is for
// applications that are used through Transport.
func (a *App) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make(chan error, 16)
	listening, listeners := make(chan struct{}, 3), 2 // for what happens, before anybody is let in
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work := func(name string, fn func(context.Context) error) {
		wg.Go(func() {
			if err := fn(ctx); err != nil && ctx.Err() == nil {
				errs <- fmt.Errorf("%s: %w", name, err)
				cancel()
			}
		})
	}
	work("sessions", a.cobrowse.Run)
	listens := func() { listening <- struct{}{} }
	work("streams", func(ctx context.Context) error { return a.hub.Run(ctx, listens) })
	work("notifications", func(ctx context.Context) error { return a.tellNotifications(ctx, listens) })
	if a.channels != nil {
		listeners++
		work("channels", func(ctx context.Context) error { return a.channels.Run(ctx, listens) })
	}
	if a.restrictions != nil {
		work("restrictions", func(ctx context.Context) error { a.restrictions.Run(ctx); return nil })
	}
	if a.cloud != nil {
		work("directory", a.cloud.Run)
	}
	if a.node != nil {
		work("nodes", a.node.Run)
		work("news to other nodes", a.tellOthers)
		work("news of other nodes", a.hearOthers)
	}
	work("purge", a.purge)
	work("telling webhooks", a.tellWebhooks)
	work("webhooks", a.webhooks.Run)
	work("session metrics", func(ctx context.Context) error { return a.store.Follow(ctx, "", nil, a.counted) })
	work("attached data", func(ctx context.Context) error {
		return a.store.Follow(ctx, attachedFollower, nil, func(ctx context.Context, e cobrowse.Event) error {
			err := a.cobrowse.AttachData(ctx, e)
			if err != nil && ctx.Err() == nil {
				a.log.WarnContext(ctx, "writing attached data failed", "sessionId", string(e.SessionID), "conversationId", string(e.ConversationID), "err", err)
			}
			if err == nil {
				a.attached.reach(e.Sequence)
			}
			return err
		})
	})
	for ; listeners > 0 && ctx.Err() == nil; listeners-- {
		select {
		case <-listening:
		case <-ctx.Done():
		}
	}
	if ctx.Err() == nil {
		a.ready.Store(true)
		a.begin()
		<-ctx.Done()
	}
	a.ready.Store(false)
	wg.Wait()
	close(errs)
	return <-errs // nil when closed and empty
}

// purge forgets ended conversations, expired revocations and old signing keys,
// and replaces a signing key that has become old.
func (a *App) purge(ctx context.Context) error {
	ticker := time.NewTicker(purgeInterval)
	defer ticker.Stop()
	for {
		a.tidy(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// tidy does the work of purge once.
func (a *App) tidy(ctx context.Context) {
	if age := a.cfg.OAuth.KeyLifetime; age > 0 {
		rotated, err := a.oauth.RotateAgedKey(ctx, age)
		if err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "replacing the signing key failed", "err", err)
		} else if rotated {
			a.log.InfoContext(ctx, "signing key replaced")
		}
	}
	a.purgeKnowledge(ctx)
	a.purgeNotifications(ctx)
	a.purgeWebhooks(ctx)
	if _, err := a.oauth.Purge(ctx); err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "purging tokens failed", "err", err)
	}
	for {
		const batch = 500
		n, err := a.local.Purge(ctx, a.cfg.Retention.Conversations, batch)
		if err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "purging conversations failed", "err", err)
		}
		if err != nil || n < batch {
			break
		}
	}
}

// Serve answers on the listeners (the second is for the admin address and nil
// without one) until ctx ends. Then it stops in order: not ready, streams told to
// come back, running requests finished or cut after the drain time, background
// work ended. The store stays open.
func (a *App) Serve(ctx context.Context, ln, admin net.Listener) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	failed := make(chan error, 3)
	var wg sync.WaitGroup
	wg.Go(func() { failed <- a.Run(background) })
	serve := func(app *fiber.App, ln net.Listener) {
		if app != nil && ln != nil {
			wg.Go(func() {
				if err := app.Listener(ln); !errors.Is(err, net.ErrClosed) {
					failed <- err
				}
			})
		}
	}
	serve(a.fiber, ln)
	serve(a.admin, admin)

	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed: // nothing of it ends by itself
		if cause == nil {
			cause = errors.New("stopped serving")
		}
	}
	a.ready.Store(false)
	a.log.InfoContext(ctx, "shutting down", "drain", a.cfg.Shutdown.Drain)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.Shutdown.Drain)
	defer cancel()
	var notifications, tunnels error
	wg.Go(func() { notifications = a.sockets.Shutdown(drain) }) // at the same time: its clients get a moment
	if a.tunnels != nil {
		wg.Go(func() { tunnels = a.tunnels.Shutdown(drain) })
	}
	err := errors.Join(cause, a.hub.Shutdown(drain))
	if a.channels != nil {
		err = errors.Join(err, a.channels.Shutdown(drain))
	}
	err = errors.Join(err, shutdown(drain, a.fiber, ln), shutdown(drain, a.admin, admin))
	stop()
	wg.Wait()
	err = errors.Join(err, notifications, tunnels)
	close(failed)
	for other := range failed {
		err = errors.Join(err, other)
	}
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// shutdown finishes running requests. A server that has not begun to accept does
// not notice a shutdown, so its listener is closed as well.
func shutdown(ctx context.Context, app *fiber.App, ln net.Listener) error {
	if app == nil || ln == nil {
		return nil
	}
	err := app.ShutdownWithContext(ctx)
	if cerr := ln.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("finish running requests: %w", err)
	}
	return nil
}
