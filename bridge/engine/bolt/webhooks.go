package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/conversations"
)

// webhookEntry is where a webhook stands in the list of its organisation.
func webhookEntry(w notify.Webhook) []byte {
	return orgTimeKey(string(w.OrgID), "", w.CreatedAt, string(w.ID))
}

// webhook reads a webhook; the zero value if there is none.
func (t *txn) webhook(id []byte) (notify.Webhook, error) {
	value := t.get(webhookBucket, id)
	if value == nil {
		return notify.Webhook{}, nil
	}
	return decode[notify.Webhook](value)
}

func noWebhook(id notify.WebhookID) error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No webhook has this id.", EntityID: string(id), EntityName: "webhook"}
}

// Webhook implements [notify.WebhookStore].
func (s *Store) Webhook(ctx context.Context, id notify.WebhookID) (notify.Webhook, error) {
	var w notify.Webhook
	err := s.view(ctx, func(t *txn) (err error) {
		w, err = t.webhook([]byte(id))
		return err
	})
	switch {
	case err != nil:
		return w, fmt.Errorf("read webhook: %w", err)
	case w.ID == "":
		return w, noWebhook(id)
	}
	return w, nil
}

// Webhooks implements [notify.WebhookStore].
func (s *Store) Webhooks(ctx context.Context, org conversations.OrgID) ([]notify.Webhook, error) {
	var all []notify.Webhook
	err := s.view(ctx, func(t *txn) error {
		var prefix []byte
		if org != "" {
			prefix = orgPrefix(string(org), "")
		}
		c := t.bucket(webhookByOrg).Cursor()
		for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix) && key != nil; key, _ = c.Next() {
			w, err := t.webhook(key[len(strPrefix(key))+timeSize:])
			if err != nil {
				return err
			}
			all = append(all, w)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	return all, nil
}

// CreateWebhook implements [notify.WebhookStore].
func (s *Store) CreateWebhook(ctx context.Context, w notify.Webhook, most int) error {
	encoded, err := encode(w)
	if err == nil {
		entry := webhookEntry(w)
		err = s.update(ctx, func(t *txn) error {
			if t.get(webhookBucket, []byte(w.ID)) != nil {
				return &cobridge.Error{Code: cobridge.CodeConflict, Message: "The id of the webhook is taken.", EntityID: string(w.ID), EntityName: "webhook"}
			}
			if most > 0 {
				prefix, n := orgPrefix(string(w.OrgID), ""), 0
				c := t.bucket(webhookByOrg).Cursor()
				for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = c.Next() {
					n++
				}
				if n >= most {
					return &cobridge.Error{Code: cobridge.CodeConflict, Message: "The organisation has as many webhooks as it may have.", EntityName: "webhook"}
				}
			}
			t.put(webhookBucket, []byte(w.ID), encoded)
			t.put(webhookByOrg, entry, nil)
			return t.err
		})
	}
	if err != nil {
		return fmt.Errorf("store webhook: %w", err)
	}
	return nil
}

// ChangeWebhook implements [notify.WebhookStore]. As with notification channels, fn runs
// outside of any transaction, and again if somebody was faster.
func (s *Store) ChangeWebhook(ctx context.Context, id notify.WebhookID, fn func(*notify.Webhook) error) (notify.Webhook, error) {
	fail := func(err error) (notify.Webhook, error) {
		return notify.Webhook{}, fmt.Errorf("change webhook: %w", err)
	}
	for {
		var stored []byte
		err := s.view(ctx, func(t *txn) error {
			stored = bytes.Clone(t.get(webhookBucket, []byte(id)))
			return nil
		})
		if err == nil && stored == nil {
			return notify.Webhook{}, noWebhook(id)
		}
		if err != nil {
			return fail(err)
		}
		changed, err := decode[notify.Webhook](stored)
		if err != nil {
			return fail(err)
		}
		if err := fn(&changed); err != nil {
			return notify.Webhook{}, err
		}
		encoded, err := encode(changed)
		if err != nil {
			return fail(err)
		}
		err = s.update(ctx, func(t *txn) error {
			if !bytes.Equal(t.get(webhookBucket, []byte(id)), stored) {
				return errChanged
			}
			t.put(webhookBucket, []byte(id), encoded)
			return t.err
		})
		switch {
		case err == nil:
			return changed, nil
		case !errors.Is(err, errChanged):
			return fail(err)
		}
	}
}

// DeleteWebhook implements [notify.WebhookStore]: some deliveries at a time, so that
// others get their turn, and with the last of them the webhook.
func (s *Store) DeleteWebhook(ctx context.Context, id notify.WebhookID) error {
	for {
		done := false
		err := s.update(ctx, func(t *txn) error {
			done = false
			w, err := t.webhook([]byte(id))
			if err != nil {
				return err
			}
			if w.ID == "" {
				return noWebhook(id)
			}
			prefix := deliveryPrefix(id)
			keys := firstBelow(t.bucket(deliveryBucket).Cursor(), prefix, []byte{0xff}, purgeBatch)
			all := make([]notify.Delivery, len(keys))
			for i, key := range keys {
				if all[i], err = t.delivery(key); err != nil {
					return err
				}
			}
			counted, err := t.tally([]byte(id))
			if err != nil {
				return err
			}
			for _, d := range all {
				t.deleteDelivery(d, &counted)
			}
			if len(keys) == purgeBatch {
				return t.putTally(id, counted)
			}
			t.del(tallyBucket, []byte(id))
			t.del(webhookBucket, []byte(id))
			t.del(webhookByOrg, webhookEntry(w))
			done = true
			return t.err
		})
		if err != nil {
			return fmt.Errorf("delete webhook: %w", err)
		}
		if done {
			return nil
		}
	}
}
