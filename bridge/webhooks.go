package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/egress"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/notify/webhook"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// openWebhooks builds webhooks and stores those of the configuration.
func (a *App) openWebhooks(ctx context.Context, o Options) error {
	cfg := a.cfg.Webhooks
	policy := egress.Policy{Allow: cfg.Networks()}
	transport := o.WebhookTransport
	if transport == nil {
		own := egress.Transport(policy)
		a.webhookIdle, transport = own.CloseIdleConnections, own
	}
	limits := notify.WebhookLimits{
		PerOrg: cfg.PerOrganisation, Outbox: cfg.Outbox, Workers: cfg.Workers, PerWebhook: cfg.PerWebhook, Timeout: cfg.Timeout, Delays: cfg.Delays(),
		KeepDead: cfg.KeepDead, DisableAfter: cfg.DisableAfter,
	}
	if cfg.DisableAfter == 0 {
		limits.DisableAfter = -1
	}
	a.told = newProgress(a.store.LastEvent())
	a.webhooks = notify.NewWebhooks(notify.WebhooksConfig{
		Store: a.store, Clock: a.clock, Log: a.log, Limits: limits, Shared: !strings.HasPrefix(a.cfg.Store, "bolt:"),
		Sender: webhook.New(webhook.Config{Transport: transport, Clock: a.clock, UserAgent: userAgent(o.Version)}),
		Rule:   notify.URLRule{AllowHTTP: cfg.AllowHTTP, Address: policy.Check},
		Render: func(ctx context.Context, e cobrowse.Event) ([]byte, error) {
			return api.WebhookPayload(ctx, a.cobrowse, e)
		},
		NewID: o.newIDs("webhook"),
		Ping:  api.WebhookPing, Observe: a.metrics.webhooks(),
	})
	a.metrics.backlog(a.webhooks.Backlog) //nolint:contextcheck // it is read when metrics are
	if err := a.webhooks.Seed(ctx, configuredWebhooks(a.cfg.Organisations)); err != nil {
		return fmt.Errorf("webhooks of the configuration: %w", err)
	}
	return nil
}

func userAgent(version string) string {
	if version == "" {
		return "cobridge-webhooks"
	}
	return "cobridge-webhooks/" + version
}

func configuredWebhooks(organisations []config.Organisation) []notify.ConfiguredWebhook {
	var all []notify.ConfiguredWebhook
	for _, o := range organisations {
		for _, w := range o.Webhooks {
			key, err := notify.ParseSecret(w.Secret.Reveal())
			if err != nil {
				continue // the configuration has been validated
			}
			all = append(all, notify.ConfiguredWebhook{
				ID: notify.WebhookID(w.ID), OrgID: conversations.OrgID(o.ID), Key: key,
				WebhookSpec: notify.WebhookSpec{Name: w.Name, URL: w.URL, Events: w.Events, Disabled: w.Disabled},
			})
		}
	}
	return all
}

// tellWebhooks stores what happens for those who want to be told, until ctx ends.
func (a *App) tellWebhooks(ctx context.Context) error {
	return a.store.Follow(ctx, "webhooks", nil, func(ctx context.Context, e cobrowse.Event) error {
		err := a.webhooks.Record(ctx, e)
		if err == nil {
			a.told.reach(e.Sequence)
		}
		return err
	})
}

// WebhooksTold waits, while Run runs, until what has happened since Open was offered
// to every webhook that is to be told now. It is for tests.
func (a *App) WebhooksTold(ctx context.Context) error {
	return errors.Join(a.told.wait(ctx, a.store.LastEvent()), a.webhooks.Settle(ctx))
}

// Webhooks returns the rules of webhooks.
func (a *App) Webhooks() *notify.Webhooks { return a.webhooks }

// purgeWebhooks forgets deliveries that are past their retention.
func (a *App) purgeWebhooks(ctx context.Context) {
	if _, err := a.webhooks.Purge(ctx); err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "purging deliveries of webhooks failed", "err", err)
	}
}
