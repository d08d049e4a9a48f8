package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/conversations"
)

// hookMember begins the members that lead to a webhook: str(org) time(created) webhook.
const hookMember = "w"

func hookRecord(id notify.WebhookID) string { return hookMember + string(id) }

func hookPrefix(org conversations.OrgID) string { return hookMember + str(org) }

func hookMemberOf(w notify.Webhook) string {
	return hookPrefix(w.OrgID) + binaryTime(w.CreatedAt) + string(w.ID)
}

func noWebhook(id notify.WebhookID) error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No webhook has this id.", EntityID: string(id), EntityName: "webhook"}
}

// webhook reads a webhook together with what is stored.
func (s *Store) webhook(ctx context.Context, id notify.WebhookID) (w notify.Webhook, stored string, err error) {
	if stored, err = s.record(ctx, webhookShelf, hookRecord(id)); err != nil {
		return w, "", err
	}
	if stored == "" {
		return w, "", noWebhook(id)
	}
	w, err = decode[notify.Webhook](stored)
	return w, stored, err
}

// Webhook implements [notify.WebhookStore].
func (s *Store) Webhook(ctx context.Context, id notify.WebhookID) (notify.Webhook, error) {
	w, _, err := s.webhook(ctx, id)
	if err != nil {
		return w, fmt.Errorf("read webhook: %w", err)
	}
	return w, nil
}

// Webhooks implements [notify.WebhookStore].
func (s *Store) Webhooks(ctx context.Context, org conversations.OrgID) ([]notify.Webhook, error) {
	prefix := hookMember
	if org != "" {
		prefix = hookPrefix(org)
	}
	names, err := s.between(ctx, webhookShelf, atLeast(prefix), below(successor(prefix)), -1)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	for i, m := range names {
		_, rest := cutStr(m[len(hookMember):])
		names[i] = hookRecord(notify.WebhookID(rest[timeSize:]))
	}
	all, _, err := recordsAs[notify.Webhook](ctx, s, webhookShelf, names)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	return all, nil
}

// CreateWebhook implements [notify.WebhookStore].
func (s *Store) CreateWebhook(ctx context.Context, w notify.Webhook, most int) error {
	encoded, err := encode(w)
	if err == nil {
		var c writing
		c.same(hookRecord(w.ID), "")
		if most > 0 {
			c.room(hookPrefix(w.OrgID), most, true)
		}
		c.put(hookRecord(w.ID), encoded)
		c.add(hookMemberOf(w))
		err = s.write(ctx, webhookShelf, &c)
	}
	if errors.Is(err, errChanged) { // no room, or the id is taken
		refusal := &cobridge.Error{Code: cobridge.CodeConflict, Message: "The organisation has as many webhooks as it may have.", EntityName: "webhook"}
		if _, _, taken := s.webhook(ctx, w.ID); taken == nil {
			refusal.Message, refusal.EntityID = "The id of the webhook is taken.", string(w.ID)
		}
		err = refusal
	}
	if err != nil {
		return fmt.Errorf("store webhook: %w", err)
	}
	return nil
}

// ChangeWebhook implements [notify.WebhookStore]. What fn makes is written if nobody was
// faster, else it runs again.
func (s *Store) ChangeWebhook(ctx context.Context, id notify.WebhookID, fn func(*notify.Webhook) error) (notify.Webhook, error) {
	var result notify.Webhook
	var failed error // of fn: returned as it is
	err := until(ctx, func() error {
		changed, stored, err := s.webhook(ctx, id)
		if err != nil {
			return err
		}
		if failed = fn(&changed); failed != nil {
			return failed
		}
		encoded, err := encode(changed)
		if err != nil {
			return err
		}
		result = changed
		var w writing
		w.same(hookRecord(id), stored)
		w.put(hookRecord(id), encoded)
		return s.write(ctx, webhookShelf, &w)
	})
	switch {
	case failed != nil:
		return notify.Webhook{}, failed
	case err != nil:
		return notify.Webhook{}, fmt.Errorf("change webhook: %w", err)
	}
	return result, nil
}

// DeleteWebhook implements [notify.WebhookStore]: some deliveries at a time, so that
// others get their turn, and with the last of them the webhook.
func (s *Store) DeleteWebhook(ctx context.Context, id notify.WebhookID) error {
	for done := false; !done; {
		err := until(ctx, func() error {
			hook, stored, err := s.webhook(ctx, id)
			if err != nil {
				return err
			}
			prefix := deliveriesPrefix(id)
			least, end := atLeast(prefix), below(successor(prefix))
			members, err := s.between(ctx, webhookShelf, least, end, pageSize)
			if err != nil {
				return err
			}
			var w writing
			if done = len(members) < pageSize; done {
				w.same(hookRecord(id), stored)
				w.among(least, end, members)
				w.del(hookRecord(id))
				w.rem(hookMemberOf(hook))
			}
			if err := s.dropDeliveries(ctx, &w, id, members); err != nil {
				return err
			}
			return s.write(ctx, webhookShelf, &w)
		})
		if err != nil {
			return fmt.Errorf("delete webhook: %w", err)
		}
	}
	return nil
}
