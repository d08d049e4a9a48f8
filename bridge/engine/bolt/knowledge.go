package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cobridge/cobridge/bridge/knowledge"
)

func knowledgeKey(k knowledge.Key) []byte {
	return append(orgPrefixOf(string(k.OrgID), k.TenantID, len(k.ID)), k.ID...)
}

// orgPrefixOf is two strings with their lengths, either may be empty, and room.
func orgPrefixOf(first, second string, room int) []byte {
	return appendStr(appendStr(make([]byte, 0, 8+len(first)+len(second)+room), first), second)
}

// identityPrefix is what the entries of an identity begin with.
func identityPrefix(i knowledge.Identity) []byte {
	key := orgPrefixOf(string(i.OrgID), i.TenantID, 16+len(i.Kind)+len(i.Who)+len(i.VisitID)+len(i.GlobalVisitID)+timeSize+40)
	for _, part := range []string{string(i.Kind), i.Who, i.VisitID, i.GlobalVisitID} {
		key = appendStr(key, part)
	}
	return key
}

// knowledgeEntries are the index entries of a session.
func knowledgeEntries(s knowledge.Session) []indexEntry {
	all := []indexEntry{{knowledgeByExpiry, timeKey(s.ExpiresAt, knowledgeKey(s.Key)), nil}}
	for _, identity := range s.Identities() {
		all = append(all, indexEntry{knowledgeByIdentity, append(appendTime(identityPrefix(identity), s.ExpiresAt), s.ID...), nil})
	}
	return all
}

// knowledgeSession reads a session; the zero value if there is none.
func (t *txn) knowledgeSession(key knowledge.Key) (knowledge.Session, error) {
	value := t.get(knowledgeBucket, knowledgeKey(key))
	if value == nil {
		return knowledge.Session{}, nil
	}
	return decode[knowledge.Session](value)
}

func (t *txn) deleteKnowledgeSession(s knowledge.Session) {
	if s.ID == "" {
		return
	}
	t.del(knowledgeBucket, knowledgeKey(s.Key))
	for _, entry := range knowledgeEntries(s) {
		t.del(entry.bucket, entry.key)
	}
}

func (t *txn) replaceKnowledgeSession(old, s knowledge.Session, encoded []byte) {
	t.deleteKnowledgeSession(old)
	t.put(knowledgeBucket, knowledgeKey(s.Key), encoded)
	for _, entry := range knowledgeEntries(s) {
		t.put(entry.bucket, entry.key, entry.value)
	}
}

// identityTaken reports whether another session that live says yes to has the identity.
func (t *txn) identityTaken(s knowledge.Session, identity knowledge.Identity, since time.Time, live func(knowledge.Session) bool) (bool, error) {
	prefix := identityPrefix(identity)
	least := append(bytes.Clone(prefix), through(since)...)
	c := t.bucket(knowledgeByIdentity).Cursor()
	for key, _ := lastBelow(c, successor(prefix)); bytes.HasPrefix(key, prefix) && bytes.Compare(key, least) >= 0; key, _ = previous(c, key) {
		other, err := t.knowledgeSession(knowledge.Key{OrgID: s.OrgID, TenantID: s.TenantID, ID: knowledge.SessionID(key[len(prefix)+timeSize:])})
		if err != nil {
			return false, err
		}
		if other.ID != s.ID && live(other) {
			return true, nil
		}
	}
	return false, nil
}

// KnowledgeSession implements [knowledge.Store].
func (s *Store) KnowledgeSession(ctx context.Context, key knowledge.Key) (knowledge.Session, error) {
	var found knowledge.Session
	err := s.view(ctx, func(t *txn) (err error) {
		found, err = t.knowledgeSession(key)
		return err
	})
	switch {
	case err != nil:
		return found, fmt.Errorf("read knowledge session: %w", err)
	case found.ID == "":
		return found, knowledge.NotFound()
	}
	return found, nil
}

// CreateKnowledgeSession implements [knowledge.Store].
func (s *Store) CreateKnowledgeSession(ctx context.Context, session knowledge.Session, since time.Time, live func(knowledge.Session) bool) error {
	encoded, err := encode(session)
	if err == nil {
		err = s.update(ctx, func(t *txn) error {
			for _, identity := range session.Identities() {
				if taken, err := t.identityTaken(session, identity, since, live); err != nil {
					return err
				} else if taken {
					return knowledge.ErrIdentityTaken
				}
			}
			old, err := t.knowledgeSession(session.Key)
			if err != nil {
				return err
			}
			t.replaceKnowledgeSession(old, session, encoded)
			return t.err
		})
	}
	if err != nil {
		return fmt.Errorf("store knowledge session: %w", err)
	}
	return nil
}

// ChangeKnowledgeSession implements [knowledge.Store]. As with UpdateConversation, fn
// runs outside of any transaction, and again if somebody was faster.
func (s *Store) ChangeKnowledgeSession(ctx context.Context, key knowledge.Key, fn func(knowledge.Session) (knowledge.Session, error)) (knowledge.Session, error) {
	fail := func(err error) (knowledge.Session, error) {
		return knowledge.Session{}, fmt.Errorf("change knowledge session: %w", err)
	}
	for {
		var old knowledge.Session
		var stored []byte
		err := s.view(ctx, func(t *txn) error {
			stored = bytes.Clone(t.get(knowledgeBucket, knowledgeKey(key)))
			return nil
		})
		if err == nil && stored != nil {
			old, err = decode[knowledge.Session](stored)
		}
		if err != nil {
			return fail(err)
		}
		changed, err := fn(old)
		if err != nil {
			return knowledge.Session{}, err
		}
		changed.Key = key
		encoded, err := encode(changed)
		if err != nil {
			return fail(err)
		}
		if bytes.Equal(encoded, stored) {
			return changed, nil
		}
		err = s.update(ctx, func(t *txn) error {
			if !bytes.Equal(t.get(knowledgeBucket, knowledgeKey(key)), stored) {
				return errChanged
			}
			t.replaceKnowledgeSession(old, changed, encoded)
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

// PurgeKnowledgeSessions implements [knowledge.Store].
func (s *Store) PurgeKnowledgeSessions(ctx context.Context, expired time.Time, limit int) (int, error) {
	n, err := s.purge(ctx, limit, func(t *txn, limit int) (int, error) {
		keys := t.expired(knowledgeByExpiry, through(expired), limit)
		for _, key := range keys {
			session, err := decode[knowledge.Session](t.get(knowledgeBucket, key[timeSize:]))
			if err != nil {
				return 0, err
			}
			t.deleteKnowledgeSession(session)
		}
		return len(keys), nil
	})
	if err != nil {
		return n, fmt.Errorf("purge knowledge sessions: %w", err)
	}
	return n, nil
}
