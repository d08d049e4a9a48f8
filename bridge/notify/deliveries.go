package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// Record stores, for each webhook that wants to know of the event, what it is to be
// told; an event that comes again is stored once. It fails if something could not be
// stored, and then the event is to be recorded again.
//
// A webhook that was disabled because nobody was there gets dead deliveries, which can
// be replayed when somebody is; one that was disabled on request gets nothing.
func (s *Webhooks) Record(ctx context.Context, e cobrowse.Event) error {
	all, err := s.store.Webhooks(ctx, e.OrgID)
	if err != nil {
		return fmt.Errorf("list webhooks: %w", err)
	}
	name, now := TypeOf(e.Type), s.clock.Now()
	var body []byte
	for _, w := range all {
		if !w.Wants(name) || w.Disabled == DisabledByRequest || e.At.Before(w.CreatedAt) {
			continue
		}
		if body == nil {
			if body, err = s.cfg.Render(ctx, e); cobridge.CodeOf(err) == cobridge.CodeNotFound {
				return nil // the session and its record are gone
			} else if err != nil {
				return fmt.Errorf("write what webhooks are told: %w", err)
			}
		}
		d := Delivery{
			ID: deliveryID(w.ID, e), WebhookID: w.ID, OrgID: w.OrgID, Type: name, Sequence: e.Sequence, EventAt: e.At, SessionID: e.SessionID,
			Body: body, State: Pending, CreatedAt: now, At: now,
		}
		if w.Disabled != "" {
			d.end(Dead, DeadDisabled, now, s.limits.KeepDead)
		}
		if _, err := s.add(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// add stores a delivery, which is dead if the outbox is full. It returns nil if it is
// there already, or its webhook is not.
func (s *Webhooks) add(ctx context.Context, d Delivery) (*Delivery, error) {
	stored, err := s.store.AddDelivery(ctx, d, s.limits.Outbox, func(d *Delivery) { d.end(Dead, DeadFull, d.CreatedAt, s.limits.KeepDead) })
	switch {
	case err != nil:
		return nil, fmt.Errorf("store delivery: %w", err)
	case stored == nil:
	case stored.State == Dead:
		s.cfg.Observe.Dead(stored.Why)
	default:
		s.poke(d.WebhookID)
	}
	return stored, nil
}

// Test sends a webhook a ping, once. What became of it shows in the delivery that is
// returned. It fails with CodeNotFound, or CodeConflict if the webhook is disabled.
func (s *Webhooks) Test(ctx context.Context, org conversations.OrgID, id WebhookID) (Delivery, error) {
	w, err := s.enabled(ctx, org, id)
	if err != nil {
		return Delivery{}, err
	}
	now := s.clock.Now()
	body, err := s.cfg.Ping(w, now)
	if err != nil {
		return Delivery{}, fmt.Errorf("write ping: %w", err)
	}
	stored, err := s.add(ctx, Delivery{
		ID: DeliveryID("msg_" + strings.ReplaceAll(uuid.NewString(), "-", "")), WebhookID: id, OrgID: org, Type: PingType, EventAt: now,
		Body: body, State: Pending, CreatedAt: now, At: now,
	})
	if err != nil {
		return Delivery{}, err
	}
	if stored == nil {
		return Delivery{}, webhookNotFound(id) // deleted meanwhile
	}
	return *stored, nil
}

// enabled fails as [Webhooks.Webhook] does, and with CodeConflict for one that is disabled.
func (s *Webhooks) enabled(ctx context.Context, org conversations.OrgID, id WebhookID) (Webhook, error) {
	w, err := s.Webhook(ctx, org, id)
	if err != nil {
		return Webhook{}, err
	}
	if w.Disabled != "" {
		return Webhook{}, disabled(id)
	}
	return w, nil
}

// Deliveries lists those of a webhook in one state: pending ones by their next
// attempt, others by their end. It fails with CodeNotFound.
func (s *Webhooks) Deliveries(ctx context.Context, org conversations.OrgID, q DeliveryQuery) ([]Delivery, error) {
	if _, err := s.Webhook(ctx, org, q.WebhookID); err != nil {
		return nil, err
	}
	found, err := s.store.Deliveries(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return found, nil
}

// Tally counts the deliveries of a webhook. It fails with CodeNotFound.
func (s *Webhooks) Tally(ctx context.Context, w Webhook) (Tally, error) {
	t, err := s.store.Tally(ctx, w.ID)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Tally{}, webhookNotFound(w.ID)
	} else if err != nil {
		return Tally{}, fmt.Errorf("count deliveries: %w", err)
	}
	return t, nil
}

// Delivery fails with CodeNotFound.
func (s *Webhooks) Delivery(ctx context.Context, org conversations.OrgID, id WebhookID, delivery DeliveryID) (Delivery, error) {
	if _, err := s.Webhook(ctx, org, id); err != nil {
		return Delivery{}, err
	}
	d, err := s.store.Delivery(ctx, id, delivery)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Delivery{}, deliveryNotFound(delivery)
	} else if err != nil {
		return Delivery{}, fmt.Errorf("look up delivery: %w", err)
	}
	return d, nil
}

// room returns how many more deliveries of a webhook may be pending.
func (s *Webhooks) room(ctx context.Context, id WebhookID) (int, error) {
	t, err := s.store.Tally(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("count deliveries: %w", err)
	}
	return max(s.limits.Outbox-t.Pending, 0), nil
}

// Replay sends a delivery again, whatever became of it, under the same id. It fails
// with CodeNotFound, or CodeConflict if the webhook is disabled or has as many pending
// deliveries as it may have.
func (s *Webhooks) Replay(ctx context.Context, org conversations.OrgID, id WebhookID, delivery DeliveryID) (Delivery, error) {
	if _, err := s.enabled(ctx, org, id); err != nil {
		return Delivery{}, err
	}
	room, err := s.room(ctx, id)
	if err != nil {
		return Delivery{}, err
	}
	changed, err := s.replay(ctx, id, []DeliveryID{delivery}, func(d Delivery) bool { return room > 0 || d.State == Pending })
	switch {
	case err != nil:
		return Delivery{}, err
	case len(changed) > 0:
		return changed[0], nil
	}
	if _, err := s.Delivery(ctx, org, id, delivery); err != nil {
		return Delivery{}, err
	}
	return Delivery{}, &cobridge.Error{
		Code: cobridge.CodeConflict, Message: "As many deliveries of this webhook are pending as may be.", EntityID: string(id), EntityName: entityWebhook,
	}
}

func (s *Webhooks) replay(ctx context.Context, id WebhookID, deliveries []DeliveryID, which func(Delivery) bool) ([]Delivery, error) {
	now := s.clock.Now()
	changed, err := s.store.ChangeDeliveries(ctx, id, deliveries, func(d *Delivery) bool {
		if !which(*d) {
			return false
		}
		d.replay(now)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	s.poke(id)
	return changed, nil
}

// ReplayDead sends all dead deliveries again of events since the given time, those first
// that died first, as long as there is room for pending ones, and returns how many there
// were; those that go dead meanwhile are not among them. It
// fails with CodeNotFound, or CodeConflict if the webhook is disabled.
func (s *Webhooks) ReplayDead(ctx context.Context, org conversations.OrgID, id WebhookID, since time.Time) (int, error) {
	if _, err := s.enabled(ctx, org, id); err != nil {
		return 0, err
	}
	room, err := s.room(ctx, id)
	if err != nil {
		return 0, err
	}
	now, total := s.clock.Now(), 0
	for q := (DeliveryQuery{WebhookID: id, State: Dead, After: Place{At: since}, Limit: buryBatch}); ; { // an event is not after its delivery's end
		found, err := s.store.Deliveries(ctx, q)
		if err != nil {
			return total, fmt.Errorf("list dead deliveries: %w", err)
		}
		var ids []DeliveryID
		for _, d := range found {
			q.After = PlaceOf(d)
			if !d.EventAt.Before(since) && !d.At.After(now) && total+len(ids) < room {
				ids = append(ids, d.ID)
			}
		}
		if len(ids) > 0 {
			changed, err := s.replay(ctx, id, ids, func(d Delivery) bool { return d.State == Dead })
			total += len(changed)
			if err != nil {
				return total, err
			}
		}
		if len(found) < q.Limit || total >= room {
			return total, nil
		}
	}
}

// Purge forgets what was kept for long enough.
func (s *Webhooks) Purge(ctx context.Context) (int, error) {
	now, total := s.clock.Now(), 0
	for {
		n, err := s.store.PurgeDeliveries(ctx, now, purgeBatch)
		total += n
		if err != nil || n < purgeBatch {
			return total, err
		}
	}
}

// Backlog returns how many deliveries of all webhooks are in which state, and the age
// of the oldest pending one, 0 if there is none.
func (s *Webhooks) Backlog(ctx context.Context) (Tally, time.Duration, error) {
	t, oldest, err := s.store.Backlog(ctx)
	if err != nil || oldest.IsZero() {
		return t, 0, err
	}
	return t, max(s.clock.Now().Sub(oldest), 0), nil
}

const entityDelivery = "webhookDelivery"

func deliveryNotFound(id DeliveryID) error {
	return &cobridge.Error{
		Code: cobridge.CodeNotFound, Message: "There is no delivery with this id.",
		Params: map[string]string{"deliveryId": string(id)}, EntityID: string(id), EntityName: entityDelivery,
	}
}
