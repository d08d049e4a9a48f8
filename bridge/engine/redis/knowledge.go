package redis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cobridge/cobridge/bridge/knowledge"
)

// Members of the index of Knowledge Center sessions begin with what they are for.
const (
	identityMember = "i" // six strings of the identity, each with its length, time(expiry) session
	lapseMember    = "x" // time(expiry) record
)

func knowledgeRecord(k knowledge.Key) string { return str(k.OrgID) + str(k.TenantID) + string(k.ID) }

func identityPrefix(i knowledge.Identity) string {
	return identityMember + str(i.OrgID) + str(i.TenantID) + str(i.Kind) + str(i.Who) + str(i.VisitID) + str(i.GlobalVisitID)
}

func knowledgeMembers(s knowledge.Session) []string {
	members := []string{lapseMember + binaryTime(s.ExpiresAt) + knowledgeRecord(s.Key)}
	for _, identity := range s.Identities() {
		members = append(members, identityPrefix(identity)+binaryTime(s.ExpiresAt)+string(s.ID))
	}
	return members
}

// knowledgeSession reads a session together with what is stored; "" if there is none.
func (s *Store) knowledgeSession(ctx context.Context, key knowledge.Key) (found knowledge.Session, stored string, err error) {
	stored, err = s.record(ctx, knowledgeShelf, knowledgeRecord(key))
	if err == nil && stored != "" {
		found, err = decode[knowledge.Session](stored)
	}
	return found, stored, err
}

// replaceKnowledge writes a session over what was stored of its key.
func replaceKnowledge(w *writing, old knowledge.Session, stored string, next knowledge.Session, encoded string) {
	name := knowledgeRecord(next.Key)
	w.same(name, stored)
	if stored != "" {
		w.rem(knowledgeMembers(old)...)
	}
	w.put(name, encoded)
	w.add(knowledgeMembers(next)...)
}

// KnowledgeSession implements [knowledge.Store].
func (s *Store) KnowledgeSession(ctx context.Context, key knowledge.Key) (knowledge.Session, error) {
	found, stored, err := s.knowledgeSession(ctx, key)
	switch {
	case err != nil:
		return found, fmt.Errorf("read knowledge session: %w", err)
	case stored == "":
		return found, knowledge.NotFound()
	}
	return found, nil
}

// CreateKnowledgeSession implements [knowledge.Store].
func (s *Store) CreateKnowledgeSession(ctx context.Context, session knowledge.Session, since time.Time, live func(knowledge.Session) bool) error {
	encoded, err := encode(session)
	if err == nil {
		err = until(ctx, func() error {
			var w writing
			for _, identity := range session.Identities() {
				if err := s.identityFree(ctx, &w, session, identity, since, live); err != nil {
					return err
				}
			}
			old, stored, err := s.knowledgeSession(ctx, session.Key)
			if err != nil {
				return err
			}
			replaceKnowledge(&w, old, stored, session, encoded)
			return s.write(ctx, knowledgeShelf, &w)
		})
	}
	if err != nil {
		return fmt.Errorf("store knowledge session: %w", err)
	}
	return nil
}

// identityFree fails with ErrIdentityTaken, or notes on what it depends that it does not.
func (s *Store) identityFree(ctx context.Context, w *writing, session knowledge.Session, identity knowledge.Identity, since time.Time, live func(knowledge.Session) bool) error {
	prefix := identityPrefix(identity)
	least, end := atLeast(prefix+after(since)), below(successor(prefix))
	members, err := s.between(ctx, knowledgeShelf, least, end, -1)
	if err != nil {
		return err
	}
	w.among(least, end, members)
	for _, m := range slices.Backward(members) {
		key := knowledge.Key{OrgID: session.OrgID, TenantID: session.TenantID, ID: knowledge.SessionID(m[len(prefix)+timeSize:])}
		if key.ID == session.ID {
			continue
		}
		other, stored, err := s.knowledgeSession(ctx, key)
		switch {
		case err != nil:
			return err
		case stored == "": // it was deleted since
			return errChanged
		case live(other):
			return knowledge.ErrIdentityTaken
		}
		w.same(knowledgeRecord(key), stored)
	}
	return nil
}

// ChangeKnowledgeSession implements [knowledge.Store]. What fn returns is written if
// nobody was faster, else it runs again.
func (s *Store) ChangeKnowledgeSession(ctx context.Context, key knowledge.Key, fn func(knowledge.Session) (knowledge.Session, error)) (knowledge.Session, error) {
	var result knowledge.Session
	var failed error // of fn: returned as it is
	err := until(ctx, func() error {
		old, stored, err := s.knowledgeSession(ctx, key)
		if err != nil {
			return err
		}
		if result, failed = fn(old); failed != nil {
			return failed
		}
		result.Key = key
		encoded, err := encode(result)
		if err != nil || encoded == stored {
			return err
		}
		var w writing
		replaceKnowledge(&w, old, stored, result, encoded)
		return s.write(ctx, knowledgeShelf, &w)
	})
	switch {
	case failed != nil:
		return knowledge.Session{}, failed
	case err != nil:
		return knowledge.Session{}, fmt.Errorf("change knowledge session: %w", err)
	}
	return result, nil
}

// PurgeKnowledgeSessions implements [knowledge.Store].
func (s *Store) PurgeKnowledgeSessions(ctx context.Context, expired time.Time, limit int) (int, error) {
	n, err := s.purgeShelf(ctx, knowledgeShelf, lapseMember, after(expired), limit,
		func(member string) string { return member[1+timeSize:] },
		func(stored string) ([]string, error) {
			session, err := decode[knowledge.Session](stored)
			return knowledgeMembers(session), err
		})
	if err != nil {
		return n, fmt.Errorf("purge knowledge sessions: %w", err)
	}
	return n, nil
}
