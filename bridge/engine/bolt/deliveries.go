package bolt

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
)

// deliveryPrefix is what the keys of a webhook's deliveries begin with.
func deliveryPrefix(w notify.WebhookID) []byte {
	return appendStr(make([]byte, 0, 4+len(w)+40), string(w))
}

func deliveryKey(w notify.WebhookID, id notify.DeliveryID) []byte {
	return append(deliveryPrefix(w), id...)
}

// statePrefix is what the entries of a webhook's deliveries in one state begin with.
func statePrefix(w notify.WebhookID, state notify.DeliveryState) []byte {
	key := appendStr(make([]byte, 0, 4+len(w)+1+timeSize+8+40), string(w))
	return append(key, byte(slices.Index(notify.DeliveryStates(), state))) //nolint:gosec // 0..2
}

// statePlace is the entry of a delivery in its state.
func statePlace(prefix []byte, p notify.Place) []byte {
	key := append(appendTime(bytes.Clone(prefix), p.At), sequenceKey(p.Sequence)...)
	return append(key, p.ID...)
}

// deliveryEntries are the index entries of a delivery.
func deliveryEntries(d notify.Delivery) []indexEntry {
	key := deliveryKey(d.WebhookID, d.ID)
	entries := []indexEntry{{deliveryByState, statePlace(statePrefix(d.WebhookID, d.State), notify.PlaceOf(d)), nil}}
	if d.State == notify.Pending {
		return append(entries, indexEntry{deliveryByAge, timeKey(d.CreatedAt, key), nil})
	}
	return append(entries, indexEntry{deliveryByExpiry, timeKey(d.ExpiresAt, key), nil})
}

// count adds n to what is counted of the delivery's state.
func count(t *notify.Tally, d notify.Delivery, n int) {
	switch d.State {
	case notify.Pending:
		t.Pending += n
	case notify.Delivered:
		t.Delivered += n
	default:
		t.Dead += n
	}
}

// delivery reads a delivery by its key; the zero value if there is none.
func (t *txn) delivery(key []byte) (notify.Delivery, error) {
	value := t.get(deliveryBucket, key)
	if value == nil {
		return notify.Delivery{}, nil
	}
	return decode[notify.Delivery](value)
}

func (t *txn) putDelivery(d notify.Delivery, counted *notify.Tally) error {
	encoded, err := encode(d)
	if err != nil {
		return err
	}
	t.put(deliveryBucket, deliveryKey(d.WebhookID, d.ID), encoded)
	for _, entry := range deliveryEntries(d) {
		t.put(entry.bucket, entry.key, entry.value)
	}
	count(counted, d, 1)
	return nil
}

func (t *txn) deleteDelivery(d notify.Delivery, counted *notify.Tally) {
	t.del(deliveryBucket, deliveryKey(d.WebhookID, d.ID))
	for _, entry := range deliveryEntries(d) {
		t.del(entry.bucket, entry.key)
	}
	count(counted, d, -1)
}

func (t *txn) tally(id []byte) (notify.Tally, error) {
	value := t.get(tallyBucket, id)
	if value == nil {
		return notify.Tally{}, nil
	}
	return decode[notify.Tally](value)
}

func (t *txn) putTally(id notify.WebhookID, counted notify.Tally) error {
	encoded, err := encode(counted)
	if err != nil {
		return err
	}
	t.put(tallyBucket, []byte(id), encoded)
	return t.err
}

// AddDelivery implements [notify.Outbox].
func (s *Store) AddDelivery(ctx context.Context, d notify.Delivery, most int, full func(*notify.Delivery)) (*notify.Delivery, error) {
	d = d.Clone()
	var stored *notify.Delivery
	err := s.update(ctx, func(t *txn) error {
		stored = nil
		if t.get(webhookBucket, []byte(d.WebhookID)) == nil || t.get(deliveryBucket, deliveryKey(d.WebhookID, d.ID)) != nil {
			return nil
		}
		counted, err := t.tally([]byte(d.WebhookID))
		if err != nil {
			return err
		}
		added := d
		if counted.Pending >= most && added.State == notify.Pending {
			full(&added)
		}
		if added.State == notify.Dead {
			if err := t.forgetDead(d.WebhookID, &counted, most-1); err != nil {
				return err
			}
		}
		if err := t.putDelivery(added, &counted); err != nil {
			return err
		}
		stored = &added
		return t.putTally(d.WebhookID, counted)
	})
	if err != nil {
		return nil, fmt.Errorf("store delivery: %w", err)
	}
	return stored, nil
}

// forgetDead deletes dead deliveries until there are at most as many, the oldest first.
func (t *txn) forgetDead(w notify.WebhookID, counted *notify.Tally, most int) error {
	over := min(counted.Dead-most, purgeBatch)
	if over <= 0 {
		return nil
	}
	prefix := statePrefix(w, notify.Dead)
	for _, entry := range firstBelow(t.bucket(deliveryByState).Cursor(), prefix, []byte{0xff}, over) {
		d, err := t.delivery(deliveryKey(w, notify.DeliveryID(entry[len(prefix)+timeSize+8:])))
		if err != nil {
			return err
		}
		t.deleteDelivery(d, counted)
	}
	return nil
}

// Delivery implements [notify.Outbox].
func (s *Store) Delivery(ctx context.Context, w notify.WebhookID, id notify.DeliveryID) (notify.Delivery, error) {
	var d notify.Delivery
	err := s.view(ctx, func(t *txn) (err error) {
		d, err = t.delivery(deliveryKey(w, id))
		return err
	})
	switch {
	case err != nil:
		return d, fmt.Errorf("read delivery: %w", err)
	case d.ID == "":
		return d, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No delivery has this id.", EntityID: string(id), EntityName: "webhookDelivery"}
	}
	return d, nil
}

// Deliveries implements [notify.Outbox].
func (s *Store) Deliveries(ctx context.Context, q notify.DeliveryQuery) ([]notify.Delivery, error) {
	var found []notify.Delivery
	err := s.view(ctx, func(t *txn) error {
		prefix := statePrefix(q.WebhookID, q.State)
		from := prefix
		if q.After != (notify.Place{}) {
			from = statePlace(prefix, q.After)
		}
		c := t.bucket(deliveryByState).Cursor()
		for key, _ := c.Seek(from); bytes.HasPrefix(key, prefix) && len(found) < q.Limit; key, _ = c.Next() {
			if q.After.ID != "" && bytes.Equal(key, from) {
				continue
			}
			d, err := t.delivery(deliveryKey(q.WebhookID, notify.DeliveryID(key[len(prefix)+timeSize+8:])))
			if err != nil {
				return err
			}
			found = append(found, d)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return found, nil
}

// ChangeDeliveries implements [notify.Outbox].
func (s *Store) ChangeDeliveries(ctx context.Context, w notify.WebhookID, ids []notify.DeliveryID, fn func(*notify.Delivery) bool) ([]notify.Delivery, error) {
	ids = slices.Clone(ids)
	var all []notify.Delivery
	err := s.update(ctx, func(t *txn) error {
		var before, after []notify.Delivery
		for i, id := range ids {
			old, err := t.delivery(deliveryKey(w, id))
			if err != nil {
				return err
			}
			changed := old.Clone()
			if old.ID != "" && !slices.Contains(ids[:i], id) && fn(&changed) {
				before, after = append(before, old), append(after, changed)
			}
		}
		all = after
		if len(after) == 0 {
			return nil
		}
		counted, err := t.tally([]byte(w))
		if err != nil {
			return err
		}
		for i := range after {
			t.deleteDelivery(before[i], &counted)
			if err := t.putDelivery(after[i], &counted); err != nil {
				return err
			}
		}
		return t.putTally(w, counted)
	})
	if err != nil {
		return nil, fmt.Errorf("change deliveries: %w", err)
	}
	return all, nil
}

// Tally implements [notify.Outbox].
func (s *Store) Tally(ctx context.Context, w notify.WebhookID) (notify.Tally, error) {
	var counted notify.Tally
	known := false
	err := s.view(ctx, func(t *txn) (err error) {
		known = t.get(webhookBucket, []byte(w)) != nil
		counted, err = t.tally([]byte(w))
		return err
	})
	switch {
	case err != nil:
		return counted, fmt.Errorf("count deliveries: %w", err)
	case !known:
		return counted, noWebhook(w)
	}
	return counted, nil
}

// Backlog implements [notify.Outbox].
func (s *Store) Backlog(ctx context.Context) (notify.Tally, time.Time, error) {
	var total notify.Tally
	var oldest time.Time
	err := s.view(ctx, func(t *txn) error {
		if key, _ := t.bucket(deliveryByAge).Cursor().First(); key != nil {
			oldest = timeOf(key)
		}
		return t.bucket(tallyBucket).ForEach(func(_, value []byte) error {
			counted, err := decode[notify.Tally](value)
			total.Pending += counted.Pending
			total.Delivered += counted.Delivered
			total.Dead += counted.Dead
			return err
		})
	})
	if err != nil {
		return notify.Tally{}, time.Time{}, fmt.Errorf("count deliveries: %w", err)
	}
	return total, oldest, nil
}

// PurgeDeliveries implements [notify.Outbox].
func (s *Store) PurgeDeliveries(ctx context.Context, at time.Time, limit int) (int, error) {
	n, err := s.purge(ctx, limit, func(t *txn, limit int) (int, error) {
		keys := t.expired(deliveryByExpiry, through(at), limit)
		counted := map[notify.WebhookID]*notify.Tally{}
		all := make([]notify.Delivery, len(keys))
		for i, key := range keys {
			d, err := t.delivery(key[timeSize:])
			if err != nil {
				return 0, err
			}
			if all[i] = d; counted[d.WebhookID] == nil {
				tally, err := t.tally([]byte(d.WebhookID))
				if err != nil {
					return 0, err
				}
				counted[d.WebhookID] = &tally
			}
		}
		for _, d := range all {
			t.deleteDelivery(d, counted[d.WebhookID])
		}
		for w, tally := range counted {
			if err := t.putTally(w, *tally); err != nil {
				return 0, err
			}
		}
		return len(keys), nil
	})
	if err != nil {
		return n, fmt.Errorf("purge deliveries: %w", err)
	}
	return n, nil
}
