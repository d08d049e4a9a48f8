package bolt

import (
	"bytes"
	"context"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cobridge/cobridge/cobrowse"
)

// OpenLimited opens a store whose file cannot grow beyond a size, as on a full disk.
func OpenLimited(ctx context.Context, cfg Config, size int) (*Store, error) {
	return open(ctx, cfg, bbolt.Options{MaxSize: size})
}

// Do runs op as one write, among all others.
func (s *Store) Do(ctx context.Context, op func(put func(key, value []byte)) error) error {
	return s.update(ctx, func(t *txn) error {
		return op(func(key, value []byte) { t.put(secretBucket, key, value) })
	})
}

// CacheSessions shrinks the cache of a store that nobody uses yet.
func (s *Store) CacheSessions(limit int) {
	s.sessions = newRecordCache[cobrowse.SessionID, cobrowse.Session](limit)
}

// CachedSessions counts what the cache holds, and the lookups under way.
func (s *Store) CachedSessions() (sessions, lookups int) {
	s.sessions.mu.RLock()
	defer s.sessions.mu.RUnlock()
	return len(s.sessions.entries), len(s.sessions.lookups)
}

// Dump returns what is stored under bucket names and readable keys.
func (s *Store) Dump() (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	err := s.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			entries := map[string]string{}
			all[string(name)] = entries
			return b.ForEach(func(key, value []byte) error {
				entries[string(key)] = string(value)
				return nil
			})
		})
	})
	return all, err
}

// TimeKey exposes the form of a moment in a key.
func TimeKey(t time.Time) []byte { return appendTime(nil, t) }

// TimeOf reads it back.
func TimeOf(key []byte) time.Time { return timeOf(key) }

// TextKey exposes the form of a sorted text in a key.
func TextKey(s string) []byte { return appendText(nil, s) }

// StrKey exposes the form of a string in a key.
func StrKey(s string) []byte { return appendStr(nil, s) }

// Backwards deletes entries of a bucket that has many, then goes backwards over it
// in the same transaction, from below bound.
func (s *Store) Backwards(remove func(key []byte) bool, bound []byte) (keys []string, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(secretBucket.name())
		var gone [][]byte
		if err := b.ForEach(func(key, _ []byte) error {
			if remove(key) {
				gone = append(gone, bytes.Clone(key))
			}
			return nil
		}); err != nil {
			return err
		}
		for _, key := range gone {
			if err := b.Delete(key); err != nil {
				return err
			}
		}
		c := b.Cursor()
		for key, _ := lastBelow(c, bound); key != nil; key, _ = previous(c, key) {
			keys = append(keys, string(key))
		}
		return nil
	})
	return keys, err
}
