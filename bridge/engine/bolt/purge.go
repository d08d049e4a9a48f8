package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// purgeBatch bounds the deletions of one transaction, so that others pass between.
const purgeBatch = 500

// purge calls step, each time in a transaction of its own, until limit entries are
// gone or step finds no more. step deletes at most the given number of entries.
func (s *Store) purge(ctx context.Context, limit int, step func(t *txn, limit int) (int, error)) (int, error) {
	total := 0
	for total < limit {
		var n int
		at := min(limit-total, purgeBatch)
		err := s.update(ctx, func(t *txn) (err error) {
			n, err = step(t, at)
			return errors.Join(err, t.err)
		})
		if err != nil {
			return total, err
		}
		total += n
		if n < at {
			break
		}
	}
	return total, nil
}

// expired returns at most limit of an index's entries whose time, which the key
// begins with, comes before bound; the keys are copies.
func (t *txn) expired(index bucket, bound []byte, limit int) [][]byte {
	return firstBelow(t.bucket(index).Cursor(), nil, bound, limit)
}

// firstBelow returns at most limit keys that start with prefix and go on with
// something below bound.
func firstBelow(c *bbolt.Cursor, prefix, bound []byte, limit int) [][]byte {
	var keys [][]byte
	end := append(bytes.Clone(prefix), bound...)
	for key, _ := c.Seek(prefix); key != nil && len(keys) < limit && bytes.Compare(key, end) < 0; key, _ = c.Next() {
		keys = append(keys, bytes.Clone(key))
	}
	return keys
}

// through is a bound that takes in everything at the given time, and nothing later.
func through(at time.Time) []byte { return appendTime(nil, at.Add(time.Nanosecond)) }

// before is a bound that leaves out the given time.
func before(at time.Time) []byte { return appendTime(nil, at) }

// Purge implements [cobrowse.Index]. Events are forgotten from the oldest commit on,
// up to the first that is to be kept.
func (s *Store) Purge(ctx context.Context, p cobrowse.Purge, limit int) (int, error) {
	n, err := s.purge(ctx, limit, func(t *txn, limit int) (int, error) {
		deleted := 0
		for _, part := range []func(*txn, cobrowse.Purge, int) (int, error){purgeHistory, purgeExpired, s.purgeEvents} {
			n, err := part(t, p, limit-deleted)
			if err != nil {
				return 0, err
			}
			deleted += n
		}
		return deleted, nil
	})
	if err != nil {
		return n, fmt.Errorf("purge: %w", err)
	}
	return n, nil
}

func purgeHistory(t *txn, p cobrowse.Purge, limit int) (int, error) {
	deleted := 0
	for _, prefix := range t.organisations(historyByOrg) {
		for _, key := range firstBelow(t.bucket(historyByOrg).Cursor(), prefix, before(p.Ended), limit-deleted) {
			id := key[len(prefix)+timeSize:]
			record, err := decodeRecord(t.get(historyBucket, id))
			if err != nil {
				return 0, err
			}
			t.del(historyBucket, id)
			for _, entry := range indexEntries(record) {
				t.del(entry.bucket, entry.key)
			}
			deleted++
		}
	}
	return deleted, nil
}

// purgeExpired forgets what is found by the time that its index begins with.
func purgeExpired(t *txn, p cobrowse.Purge, limit int) (int, error) {
	deleted := 0
	for _, kind := range []struct{ index, entries bucket }{
		{redeemedByExpiry, redeemedBucket}, {repeatableByExpiry, repeatableBucket}, {claimByUntil, claimBucket},
	} {
		for _, key := range t.expired(kind.index, through(p.At), limit-deleted) {
			t.del(kind.index, key)
			t.del(kind.entries, key[timeSize:])
			deleted++
		}
	}
	return deleted, nil
}

func (s *Store) purgeEvents(t *txn, p cobrowse.Purge, limit int) (int, error) {
	var old [][]byte
	c := t.bucket(eventBucket).Cursor()
	for key, value := c.First(); key != nil && len(old) < limit; key, value = c.Next() {
		event, err := decode[cobrowse.Event](value)
		if err != nil {
			return 0, err
		}
		if !event.At.Before(p.Events) {
			break
		}
		old = append(old, bytes.Clone(key))
	}
	if len(old) == 0 {
		return 0, nil
	}
	for _, key := range old {
		t.del(eventBucket, key)
	}
	last := binary.BigEndian.Uint64(old[len(old)-1])
	t.after = append(t.after, func() { s.tail.forget(last) })
	return len(old), nil
}

// PurgeConversations implements [conversations.Store].
func (s *Store) PurgeConversations(ctx context.Context, ended time.Time, limit int) (int, error) {
	n, err := s.purge(ctx, limit, func(t *txn, limit int) (int, error) {
		keys := t.expired(conversationByEnd, before(ended), limit)
		for _, key := range keys {
			c, err := decode[conversations.Conversation](t.get(conversationBucket, key[timeSize:]))
			if err != nil {
				return 0, err
			}
			t.deleteConversation(c)
			t.after = append(t.after, func() { s.talks.remove(c.ID) })
		}
		return len(keys), nil
	})
	if err != nil {
		return n, fmt.Errorf("purge conversations: %w", err)
	}
	return n, nil
}

// PurgeRevocations implements [oauth.Store].
func (s *Store) PurgeRevocations(ctx context.Context, at time.Time, limit int) (int, error) {
	n, err := s.purge(ctx, limit, func(t *txn, limit int) (int, error) {
		keys := t.expired(revocationByUntil, through(at), limit)
		for _, key := range keys {
			t.del(revocationByUntil, key)
			t.del(revocationBucket, key[timeSize:])
		}
		t.after = append(t.after, func() { s.revocations.remove(keys) })
		return len(keys), nil
	})
	if err != nil {
		return n, fmt.Errorf("purge revocations: %w", err)
	}
	return n, nil
}
