package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// A record is a session as it is stored, live or ended: its version in eight bytes,
// so that the writer can compare it without reading the rest, and its JSON.
const versionSize = 8

func encodeRecord(s *cobrowse.Session) ([]byte, error) {
	const usual = 1024 // bytes of a session with two participants
	record := bytes.NewBuffer(binary.BigEndian.AppendUint64(make([]byte, 0, usual), s.Version))
	if err := json.NewEncoder(record).Encode(s); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return bytes.TrimSuffix(record.Bytes(), []byte("\n")), nil
}

func decodeRecord(record []byte) (*cobrowse.Session, error) {
	if len(record) < versionSize {
		return nil, errors.New("decode what is stored: a session record is too short")
	}
	s, err := decode[cobrowse.Session](record[versionSize:])
	return &s, err
}

// change is a cobrowse.Change made ready for the writer: encoded, with its keys, and
// without memory of the caller's.
type change struct {
	at         time.Time
	prev       *cobrowse.Session // as it is stored; nil creates
	next       *cobrowse.Session
	record     []byte
	take       []taking
	release    []releasing
	redeem     *cobrowse.RedeemedToken
	repeatable *repeating
	events     []cobrowse.Event
	encoded    [][]byte // the events
}

type repeating struct {
	key, value []byte
	expires    time.Time
}

// storedRepeatable is how a cobrowse.Repeatable is stored: its key is the entry's.
type storedRepeatable struct {
	BodyHash  []byte
	SessionID cobrowse.SessionID
	ExpiresAt time.Time
}

// Apply implements [cobrowse.Store].
func (s *Store) Apply(ctx context.Context, c cobrowse.Change) error {
	if c.Session.ID == "" {
		return errors.New("apply change: the session has no id")
	}
	prepared, err := s.prepareChange(ctx, c)
	if err != nil {
		return fmt.Errorf("apply change: %w", err)
	}
	err = s.update(ctx, func(t *txn) error { return s.apply(t, prepared) })
	if err != nil {
		return fmt.Errorf("apply change: %w", err)
	}
	return nil
}

// prepareChange does everything that needs no place in the order of writes. A session
// that is not of the version before now was not at this moment: that decides already.
func (s *Store) prepareChange(ctx context.Context, c cobrowse.Change) (*change, error) {
	next := c.Session.Clone()
	p := &change{at: c.At, next: &next}
	switch next.Version {
	case 0:
		return nil, cobrowse.ErrStale
	case 1:
	default:
		found, err := s.find(ctx, next.ID)
		switch {
		case cobridge.CodeOf(err) == cobridge.CodeNotFound:
			return nil, cobrowse.ErrStale
		case err != nil:
			return nil, err
		case !found.Live() || found.Version != next.Version-1:
			return nil, cobrowse.ErrStale
		}
		p.prev = found
	}
	var err error
	if p.record, err = encodeRecord(p.next); err != nil {
		return nil, err
	}
	for _, claim := range c.Take {
		p.take = append(p.take, newTaking(claim, next.ID))
	}
	for _, release := range c.Release {
		p.release = append(p.release, newReleasing(release))
	}
	if c.Redeem != nil {
		redeem := *c.Redeem
		p.redeem = &redeem
	}
	if r := c.Repeatable; r != nil {
		value, err := encode(storedRepeatable{BodyHash: r.BodyHash[:], SessionID: r.SessionID, ExpiresAt: r.ExpiresAt})
		if err != nil {
			return nil, err
		}
		p.repeatable = &repeating{key: repeatKey(r.RepeatKey), value: value, expires: r.ExpiresAt}
	}
	for _, event := range c.Events {
		event.Sequence = 0 // stands in the key
		data, err := encode(event)
		if err != nil {
			return nil, err
		}
		p.events, p.encoded = append(p.events, event), append(p.encoded, data)
	}
	return p, nil
}

func repeatKey(k cobrowse.RepeatKey) []byte {
	key := make([]byte, 0, 16+len(k.OrgID)+len(k.ClientID)+len(k.Route)+len(k.Key))
	return appendStr(appendStr(appendStr(appendStr(key, string(k.OrgID)), k.ClientID), k.Route), k.Key)
}

// apply checks, in the order that cobrowse.Store promises, and then writes.
func (s *Store) apply(t *txn, c *change) error {
	if err := c.check(t); err != nil {
		return err
	}
	c.putSession(t)
	for _, r := range c.release {
		r.put(t, c.next.ID)
	}
	for _, taken := range c.take {
		taken.put(t)
	}
	if c.redeem != nil {
		t.put(redeemedBucket, []byte(c.redeem.ID), appendTime(nil, c.redeem.ExpiresAt))
		t.put(redeemedByExpiry, timeKey(c.redeem.ExpiresAt, c.redeem.ID), nil)
	}
	if r := c.repeatable; r != nil {
		if old := t.get(repeatableBucket, r.key); old != nil {
			expired, err := decode[storedRepeatable](old)
			if err != nil {
				return err
			}
			t.del(repeatableByExpiry, timeKey(expired.ExpiresAt, r.key))
		}
		t.put(repeatableBucket, r.key, r.value)
		t.put(repeatableByExpiry, timeKey(r.expires, r.key), nil)
	}
	for i := range c.events {
		sequence, err := t.bucket(eventBucket).NextSequence()
		if err != nil {
			return err
		}
		c.events[i].Sequence = sequence
		t.put(eventBucket, sequenceKey(sequence), c.encoded[i])
	}
	t.after = append(t.after, func() { s.applied(c) })
	return nil
}

func (c *change) check(t *txn) error {
	id := []byte(c.next.ID)
	stored := t.get(liveBucket, id)
	switch {
	case c.prev == nil && (stored != nil || t.get(historyBucket, id) != nil):
		return cobrowse.ErrStale
	case c.prev != nil && (stored == nil || binary.BigEndian.Uint64(stored) != c.prev.Version):
		return cobrowse.ErrStale
	}
	if r := c.repeatable; r != nil {
		if old := t.get(repeatableBucket, r.key); old != nil {
			remembered, err := decode[storedRepeatable](old)
			if err != nil {
				return err
			}
			if c.at.Before(remembered.ExpiresAt) {
				return cobrowse.ErrRepeated
			}
		}
	}
	if c.redeem != nil && t.get(redeemedBucket, []byte(c.redeem.ID)) != nil {
		return cobrowse.ErrTokenUsed
	}
	for _, taken := range c.take {
		if err := taken.check(t, c.next.ID, c.at); err != nil {
			return err
		}
	}
	return nil
}

// putSession stores the record where it belongs and brings the indexes up to date.
// Entries that stay as they are are not written again.
func (c *change) putSession(t *txn) {
	id := []byte(c.next.ID)
	if c.prev != nil && !c.next.Live() {
		t.del(liveBucket, id)
	}
	if c.next.Live() {
		t.put(liveBucket, id, c.record)
	} else {
		t.put(historyBucket, id, c.record)
	}
	var before, after []indexEntry
	if c.prev != nil {
		before = indexEntries(c.prev)
	}
	after = indexEntries(c.next)
	same := func(a, b indexEntry) bool { return a.bucket == b.bucket && bytes.Equal(a.key, b.key) }
	for _, old := range before {
		if !containsEntry(after, old, same) {
			t.del(old.bucket, old.key)
		}
	}
	for _, entry := range after {
		if !containsEntry(before, entry, func(a, b indexEntry) bool { return same(a, b) && bytes.Equal(a.value, b.value) }) {
			t.put(entry.bucket, entry.key, entry.value)
		}
	}
}

func containsEntry(entries []indexEntry, e indexEntry, same func(a, b indexEntry) bool) bool {
	for _, other := range entries {
		if same(other, e) {
			return true
		}
	}
	return false
}

type indexEntry struct {
	bucket     bucket
	key, value []byte
}

// indexEntries returns every entry that leads to s.
func indexEntries(s *cobrowse.Session) []indexEntry {
	entries := make([]indexEntry, 0, 3)
	org, conversation, id := string(s.OrgID), string(s.ConversationID), string(s.ID)
	if !s.Live() {
		entries = append(entries, indexEntry{bucket: historyByOrg, key: orgTimeKey(org, "", s.EndedAt, id)})
		if conversation != "" {
			entries = append(entries, indexEntry{bucket: historyByConversation, key: orgTimeKey(org, conversation, s.EndedAt, id)})
		}
		return entries
	}
	state := []byte(s.State())
	entries = append(entries,
		indexEntry{bucket: deadlineBucket, key: timeKey(s.Deadline, s.ID)},
		indexEntry{bucket: liveByOrg, key: orgTimeKey(org, "", s.CreatedAt, id), value: state})
	if conversation != "" {
		entries = append(entries, indexEntry{bucket: liveByConversation, key: orgTimeKey(org, conversation, s.CreatedAt, id), value: state})
	}
	return entries
}

// applied runs between the commit and its answer, so whoever was answered, and
// whoever hears of the events, reads the change.
func (s *Store) applied(c *change) {
	switch {
	case c.next.Live():
		s.sessions.put(c.next.ID, c.next)
		if c.prev == nil {
			s.counts.live.Add(1)
		}
	case c.prev != nil:
		s.sessions.remove(c.next.ID)
		s.counts.live.Add(-1)
	}
	s.tail.publish(c.events)
}

// Session implements [cobrowse.Store].
func (s *Store) Session(ctx context.Context, id cobrowse.SessionID) (cobrowse.Session, error) {
	found, err := s.find(ctx, id)
	if err != nil {
		return cobrowse.Session{}, err
	}
	return found.Clone(), nil
}

// find returns a session that is shared and must not be changed.
func (s *Store) find(ctx context.Context, id cobrowse.SessionID) (*cobrowse.Session, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	if cached := s.sessions.get(id); cached != nil {
		return cached, nil
	}
	if id == "" {
		return nil, sessionNotFound(id)
	}
	var found, live *cobrowse.Session
	mark := s.sessions.begin(id)
	defer func() { s.sessions.finish(id, mark, live) }()
	err := s.view(ctx, func(t *txn) (err error) {
		found, err = t.session(id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	if found == nil {
		return nil, sessionNotFound(id)
	}
	if found.Live() {
		live = found
	}
	return found, nil
}

// session reads a live or ended session; nil if there is none.
func (t *txn) session(id cobrowse.SessionID) (*cobrowse.Session, error) {
	for _, b := range []bucket{liveBucket, historyBucket} {
		if record := t.get(b, []byte(id)); record != nil {
			return decodeRecord(record)
		}
	}
	return nil, nil //nolint:nilnil // not exported: the callers turn it into what they need
}

func sessionNotFound(id cobrowse.SessionID) error {
	return &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No session has this id.", EntityID: string(id), EntityName: "cobrowseSession"}
}

// Repeatable implements [cobrowse.Store].
func (s *Store) Repeatable(ctx context.Context, key cobrowse.RepeatKey, at time.Time) (cobrowse.Repeatable, error) {
	var stored storedRepeatable
	err := s.view(ctx, func(t *txn) (err error) {
		if value := t.get(repeatableBucket, repeatKey(key)); value != nil {
			stored, err = decode[storedRepeatable](value)
		}
		return err
	})
	if err != nil {
		return cobrowse.Repeatable{}, fmt.Errorf("read repeatable: %w", err)
	}
	if !at.Before(stored.ExpiresAt) {
		return cobrowse.Repeatable{}, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "Nothing is remembered for this key."}
	}
	r := cobrowse.Repeatable{RepeatKey: key, SessionID: stored.SessionID, ExpiresAt: stored.ExpiresAt}
	copy(r.BodyHash[:], stored.BodyHash)
	return r, nil
}

// Redeemed implements [cobrowse.Store].
func (s *Store) Redeemed(ctx context.Context, tokenID string, at time.Time) (bool, error) {
	redeemed := false
	err := s.view(ctx, func(t *txn) error {
		expiry := t.get(redeemedBucket, []byte(tokenID))
		redeemed = expiry != nil && at.Before(timeOf(expiry))
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read redeemed token: %w", err)
	}
	return redeemed, nil
}

// Overdue implements [cobrowse.Store].
func (s *Store) Overdue(ctx context.Context, at time.Time, limit int) ([]cobrowse.SessionID, error) {
	var ids []cobrowse.SessionID
	err := s.view(ctx, func(t *txn) error {
		c := t.bucket(deadlineBucket).Cursor()
		for key, _ := c.First(); key != nil && len(ids) < limit && !timeOf(key).After(at); key, _ = c.Next() {
			ids = append(ids, cobrowse.SessionID(key[timeSize:]))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read deadlines: %w", err)
	}
	return ids, nil
}

// loadSessions fills the cache and counts the live sessions.
func (s *Store) loadSessions(ctx context.Context, t *txn) error {
	return t.bucket(liveBucket).ForEach(func(_, record []byte) error {
		if s.counts.live.Add(1) > int64(s.sessions.limit) {
			return ctx.Err()
		}
		found, err := decodeRecord(record)
		if err != nil {
			return err
		}
		s.sessions.add(found.ID, found)
		return nil
	})
}
