package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
)

// Members of the webhooks' index that lead to deliveries begin with what they are for.
const (
	standMember = "s" // str(webhook) state time(at) sequence delivery
	ageMember   = "a" // time(created) record, of pending ones
	spentMember = "x" // time(expiry) record, of the others
)

func deliveryRecord(w notify.WebhookID, id notify.DeliveryID) string {
	return "d" + str(w) + string(id)
}

func deliveriesPrefix(w notify.WebhookID) string { return standMember + str(w) }

func statePrefix(w notify.WebhookID, state notify.DeliveryState) string {
	return deliveriesPrefix(w) + strconv.Itoa(slices.Index(notify.DeliveryStates(), state))
}

func placeMember(p notify.Place) string {
	return binaryTime(p.At) + string(binary.BigEndian.AppendUint64(nil, p.Sequence)) + string(p.ID)
}

// deliveryID reads the delivery from what follows the state in a member.
func deliveryID(place string) notify.DeliveryID { return notify.DeliveryID(place[timeSize+8:]) }

func deliveryMembers(d notify.Delivery) []string {
	name := deliveryRecord(d.WebhookID, d.ID)
	members := []string{statePrefix(d.WebhookID, d.State) + placeMember(notify.PlaceOf(d))}
	switch {
	case d.State == notify.Pending:
		members = append(members, ageMember+binaryTime(d.CreatedAt)+name)
	case !d.ExpiresAt.IsZero():
		members = append(members, spentMember+binaryTime(d.ExpiresAt)+name)
	}
	return members
}

// dropDeliveries deletes the deliveries that members with their states lead to.
func (s *Store) dropDeliveries(ctx context.Context, w *writing, id notify.WebhookID, members []string) error {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = deliveryRecord(id, deliveryID(m[len(deliveriesPrefix(id))+1:]))
	}
	stored, err := s.recordsOf(ctx, webhookShelf, names)
	if err != nil {
		return err
	}
	for i, data := range stored {
		w.same(names[i], data)
		w.del(names[i])
		w.rem(members[i])
		if data == "" {
			continue
		}
		d, err := decode[notify.Delivery](data)
		if err != nil {
			return err
		}
		w.rem(deliveryMembers(d)...)
	}
	return nil
}

// AddDelivery implements [notify.Outbox].
func (s *Store) AddDelivery(ctx context.Context, d notify.Delivery, most int, full func(*notify.Delivery)) (*notify.Delivery, error) {
	var result *notify.Delivery
	err := until(ctx, func() error {
		result = nil
		name, pending := deliveryRecord(d.WebhookID, d.ID), statePrefix(d.WebhookID, notify.Pending)
		dead := statePrefix(d.WebhookID, notify.Dead)
		// First the counts: a delivery that is not there after them is not among them.
		counts, err := s.countAll(ctx, webhookShelf, pending, dead)
		if err != nil {
			return err
		}
		there, err := s.recordsOf(ctx, webhookShelf, []string{hookRecord(d.WebhookID), name})
		if err != nil || there[0] == "" || there[1] != "" {
			return err
		}
		var w writing
		w.some(hookRecord(d.WebhookID))
		w.same(name, "")
		added := d.Clone()
		if added.State == notify.Pending {
			w.room(pending, most, counts[0] < most)
			if counts[0] >= most {
				full(&added)
			}
		}
		if over := counts[1] - (most - 1); added.State == notify.Dead && over > 0 {
			members, err := s.between(ctx, webhookShelf, atLeast(dead), below(successor(dead)), min(over, pageSize))
			if err != nil {
				return err
			}
			if err := s.dropDeliveries(ctx, &w, d.WebhookID, members); err != nil {
				return err
			}
		}
		encoded, err := encode(added)
		if err != nil {
			return err
		}
		w.put(name, encoded)
		w.add(deliveryMembers(added)...)
		if err := s.write(ctx, webhookShelf, &w); err != nil {
			return err
		}
		result = &added
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store delivery: %w", err)
	}
	return result, nil
}

// Delivery implements [notify.Outbox].
func (s *Store) Delivery(ctx context.Context, w notify.WebhookID, id notify.DeliveryID) (notify.Delivery, error) {
	var d notify.Delivery
	stored, err := s.record(ctx, webhookShelf, deliveryRecord(w, id))
	if err == nil && stored != "" {
		d, err = decode[notify.Delivery](stored)
	}
	switch {
	case err != nil:
		return d, fmt.Errorf("read delivery: %w", err)
	case stored == "":
		return d, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No delivery has this id.", EntityID: string(id), EntityName: "webhookDelivery"}
	}
	return d, nil
}

// Deliveries implements [notify.Outbox].
func (s *Store) Deliveries(ctx context.Context, q notify.DeliveryQuery) ([]notify.Delivery, error) {
	prefix := statePrefix(q.WebhookID, q.State)
	least := atLeast(prefix)
	if q.After != (notify.Place{}) {
		least = atLeast(prefix + placeMember(q.After))
		if q.After.ID != "" {
			least = below(prefix + placeMember(q.After)) // leaves it out
		}
	}
	names, err := s.between(ctx, webhookShelf, least, below(successor(prefix)), q.Limit)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	for i, m := range names {
		names[i] = deliveryRecord(q.WebhookID, deliveryID(m[len(prefix):]))
	}
	found, _, err := recordsAs[notify.Delivery](ctx, s, webhookShelf, names)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return found, nil
}

// ChangeDeliveries implements [notify.Outbox].
func (s *Store) ChangeDeliveries(ctx context.Context, w notify.WebhookID, ids []notify.DeliveryID, fn func(*notify.Delivery) bool) ([]notify.Delivery, error) {
	var names []string
	for _, id := range ids {
		if name := deliveryRecord(w, id); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var all []notify.Delivery
	err := until(ctx, func() error {
		all = nil
		stored, err := s.recordsOf(ctx, webhookShelf, names)
		if err != nil {
			return err
		}
		var c writing
		for i, data := range stored {
			if data == "" {
				continue
			}
			old, err := decode[notify.Delivery](data)
			if err != nil {
				return err
			}
			changed := old.Clone()
			if !fn(&changed) {
				continue
			}
			encoded, err := encode(changed)
			if err != nil {
				return err
			}
			c.same(names[i], data)
			c.rem(deliveryMembers(old)...)
			c.add(deliveryMembers(changed)...)
			c.put(names[i], encoded)
			all = append(all, changed)
		}
		if len(all) == 0 {
			return nil
		}
		return s.write(ctx, webhookShelf, &c)
	})
	if err != nil {
		return nil, fmt.Errorf("change deliveries: %w", err)
	}
	return all, nil
}

// tallyPrefixes are where the deliveries of a webhook are counted.
func tallyPrefixes(w notify.WebhookID) []string {
	return []string{statePrefix(w, notify.Pending), statePrefix(w, notify.Delivered), statePrefix(w, notify.Dead)}
}

// Tally implements [notify.Outbox].
func (s *Store) Tally(ctx context.Context, w notify.WebhookID) (notify.Tally, error) {
	stored, err := s.record(ctx, webhookShelf, hookRecord(w))
	if err != nil {
		return notify.Tally{}, fmt.Errorf("count deliveries: %w", err)
	}
	if stored == "" {
		return notify.Tally{}, noWebhook(w)
	}
	counts, err := s.countAll(ctx, webhookShelf, tallyPrefixes(w)...)
	if err != nil {
		return notify.Tally{}, fmt.Errorf("count deliveries: %w", err)
	}
	return notify.Tally{Pending: counts[0], Delivered: counts[1], Dead: counts[2]}, nil
}

// Backlog implements [notify.Outbox].
func (s *Store) Backlog(ctx context.Context) (notify.Tally, time.Time, error) {
	fail := func(err error) (notify.Tally, time.Time, error) {
		return notify.Tally{}, time.Time{}, fmt.Errorf("count deliveries: %w", err)
	}
	hooks, err := s.Webhooks(ctx, "")
	if err != nil {
		return fail(err)
	}
	var prefixes []string
	for _, hook := range hooks {
		prefixes = append(prefixes, tallyPrefixes(hook.ID)...)
	}
	counts, err := s.countAll(ctx, webhookShelf, prefixes...)
	if err != nil {
		return fail(err)
	}
	var total notify.Tally
	for n := range slices.Chunk(counts, 3) {
		total.Pending, total.Delivered, total.Dead = total.Pending+n[0], total.Delivered+n[1], total.Dead+n[2]
	}
	first, err := s.between(ctx, webhookShelf, atLeast(ageMember), below(successor(ageMember)), 1)
	if err != nil {
		return fail(err)
	}
	if len(first) == 0 {
		return total, time.Time{}, nil
	}
	return total, timeOf(first[0][len(ageMember):]), nil
}

// PurgeDeliveries implements [notify.Outbox].
func (s *Store) PurgeDeliveries(ctx context.Context, expired time.Time, limit int) (int, error) {
	n, err := s.purgeShelf(ctx, webhookShelf, spentMember, after(expired), limit,
		func(member string) string { return member[len(spentMember)+timeSize:] },
		func(stored string) ([]string, error) {
			d, err := decode[notify.Delivery](stored)
			return deliveryMembers(d), err
		})
	if err != nil {
		return n, fmt.Errorf("purge deliveries: %w", err)
	}
	return n, nil
}
