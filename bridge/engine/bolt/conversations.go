package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// A facet is what queries ask of a conversation, kept in the index so that those
// that do not match need not be read: '1' if it is active, else '0', and its media.
func facet(c conversations.Conversation) []byte {
	f := []byte{'0'}
	if c.Active() {
		f[0] = '1'
	}
	var media []string
	for _, p := range c.Participants {
		for _, com := range p.Communications {
			media = append(media, string(com.Medium))
		}
	}
	slices.Sort(media)
	return append(f, strings.Join(slices.Compact(media), ",")...)
}

func matches(f []byte, q conversations.Query) bool {
	if q.Active != nil && *q.Active != (f[0] == '1') {
		return false
	}
	return q.Medium == "" || slices.Contains(strings.Split(string(f[1:]), ","), string(q.Medium))
}

func startKey(c conversations.Conversation) []byte {
	key := appendStr(make([]byte, 0, 4+len(c.OrgID)+timeSize+len(c.ID)), string(c.OrgID))
	return append(appendInverted(key, c.StartedAt), c.ID...)
}

// talk is a conversation as it is stored, decoded and encoded. It is never changed.
type talk struct {
	conversation conversations.Conversation
	encoded      []byte
}

// keep has a conversation read from memory, once the transaction is committed.
func (s *Store) keep(t *txn, stored *talk) {
	t.after = append(t.after, func() {
		if len(stored.encoded) > largestTalk {
			s.talks.remove(stored.conversation.ID)
			return
		}
		s.talks.put(stored.conversation.ID, stored)
	})
}

func (t *txn) putConversation(c conversations.Conversation, encoded []byte) {
	t.put(conversationBucket, []byte(c.ID), encoded)
	t.put(conversationByStart, startKey(c), facet(c))
	if !c.EndedAt.IsZero() {
		t.put(conversationByEnd, timeKey(c.EndedAt, c.ID), nil)
	}
}

func (t *txn) deleteConversation(c conversations.Conversation) {
	t.del(conversationBucket, []byte(c.ID))
	t.del(conversationByStart, startKey(c))
	if !c.EndedAt.IsZero() {
		t.del(conversationByEnd, timeKey(c.EndedAt, c.ID))
	}
}

// replaceConversation writes those entries that are other ones now.
func (t *txn) replaceConversation(old conversations.Conversation, next *talk) {
	now := next.conversation
	t.put(conversationBucket, []byte(now.ID), next.encoded)
	if before, after := startKey(old), startKey(now); !bytes.Equal(before, after) {
		t.del(conversationByStart, before)
		t.put(conversationByStart, after, facet(now))
	} else if f := facet(now); !bytes.Equal(facet(old), f) {
		t.put(conversationByStart, after, f)
	}
	if !old.EndedAt.Equal(now.EndedAt) {
		if !old.EndedAt.IsZero() {
			t.del(conversationByEnd, timeKey(old.EndedAt, old.ID))
		}
		if !now.EndedAt.IsZero() {
			t.put(conversationByEnd, timeKey(now.EndedAt, now.ID), nil)
		}
	}
}

// CreateConversation implements [conversations.Store].
func (s *Store) CreateConversation(ctx context.Context, c conversations.Conversation) error {
	created := &talk{conversation: c.Clone()}
	var err error
	if created.encoded, err = encode(created.conversation); err != nil {
		return fmt.Errorf("create conversation: %w", err)
	}
	err = s.update(ctx, func(t *txn) error {
		c := created.conversation
		if t.get(conversationBucket, []byte(c.ID)) != nil {
			return &cobridge.Error{
				Code: cobridge.CodeConflict, Message: "The id of the conversation is taken.", EntityID: string(c.ID), EntityName: "conversation",
			}
		}
		t.putConversation(c, created.encoded)
		s.keep(t, created)
		return t.err
	})
	if err != nil {
		return fmt.Errorf("create conversation: %w", err)
	}
	return nil
}

// Conversation implements [conversations.Store].
func (s *Store) Conversation(ctx context.Context, org conversations.OrgID, id conversations.ID) (conversations.Conversation, error) {
	found, err := s.talk(ctx, org, id)
	if err != nil {
		return conversations.Conversation{}, err
	}
	return found.conversation.Clone(), nil
}

// talk returns a conversation that is shared and must not be changed.
func (s *Store) talk(ctx context.Context, org conversations.OrgID, id conversations.ID) (*talk, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	if cached := s.talks.get(id); cached != nil {
		if cached.conversation.OrgID != org {
			return nil, conversations.NotFound(id)
		}
		return cached, nil
	}
	var kept *talk
	mark := s.talks.begin(id)
	defer func() { s.talks.finish(id, mark, kept) }()
	found := &talk{}
	err := s.view(ctx, func(t *txn) error {
		found.encoded = bytes.Clone(t.get(conversationBucket, []byte(id)))
		return nil
	})
	if err == nil && found.encoded != nil {
		found.conversation, err = decode[conversations.Conversation](found.encoded)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("read conversation: %w", err)
	case found.encoded == nil || found.conversation.OrgID != org:
		return nil, conversations.NotFound(id)
	case len(found.encoded) <= largestTalk:
		kept = found
	}
	return found, nil
}

// Conversations implements [conversations.Store].
func (s *Store) Conversations(ctx context.Context, org conversations.OrgID, q conversations.Query) ([]conversations.Conversation, int, error) {
	var found []conversations.Conversation
	total := 0
	err := s.view(ctx, func(t *txn) error {
		prefix := orgPrefix(string(org), "")
		c := t.bucket(conversationByStart).Cursor()
		for key, f := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, f = c.Next() {
			if !matches(f, q) {
				continue
			}
			if total++; total <= q.Offset || len(found) >= q.Limit {
				continue
			}
			one, err := decode[conversations.Conversation](t.get(conversationBucket, key[len(prefix)+timeSize:]))
			if err != nil {
				return err
			}
			found = append(found, one)
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list conversations: %w", err)
	}
	return found, total, nil
}

// errChanged: what fn was applied to is no longer what is stored.
var errChanged = errors.New("changed in between")

// UpdateConversation implements [conversations.Store]. fn runs in the caller's
// goroutine, outside of any transaction: it may take its time and ask the store.
// What it returns is written if nobody was faster, else it runs again.
func (s *Store) UpdateConversation(ctx context.Context, org conversations.OrgID, id conversations.ID, fn func(*conversations.Conversation) error) (conversations.Conversation, error) {
	for {
		old, err := s.talk(ctx, org, id)
		if err != nil {
			return conversations.Conversation{}, err
		}
		next := old.conversation.Clone()
		if err := fn(&next); err != nil {
			return conversations.Conversation{}, err
		}
		next.ID, next.OrgID = old.conversation.ID, old.conversation.OrgID
		written := &talk{conversation: next.Clone()} // fn may have kept a slice
		if written.encoded, err = encode(written.conversation); err != nil {
			return conversations.Conversation{}, fmt.Errorf("update conversation: %w", err)
		}
		if bytes.Equal(written.encoded, old.encoded) {
			return written.conversation, nil
		}
		err = s.update(ctx, func(t *txn) error {
			if !bytes.Equal(t.get(conversationBucket, []byte(id)), old.encoded) {
				return errChanged
			}
			t.replaceConversation(old.conversation, written)
			s.keep(t, written)
			return t.err
		})
		switch {
		case err == nil:
			return written.conversation.Clone(), nil
		case !errors.Is(err, errChanged):
			return conversations.Conversation{}, fmt.Errorf("update conversation: %w", err)
		}
	}
}

// PutOrganisation implements [conversations.Store].
func (s *Store) PutOrganisation(ctx context.Context, o conversations.Organisation) error {
	encoded, err := encode(o)
	if err == nil {
		err = s.update(ctx, func(t *txn) error {
			t.put(organisationBucket, []byte(o.ID), encoded)
			return t.err
		})
	}
	if err != nil {
		return fmt.Errorf("store organisation: %w", err)
	}
	return nil
}

// Organisation implements [conversations.Store].
func (s *Store) Organisation(ctx context.Context, id conversations.OrgID) (conversations.Organisation, error) {
	var o conversations.Organisation
	found := false
	err := s.view(ctx, func(t *txn) (err error) {
		if value := t.get(organisationBucket, []byte(id)); value != nil {
			found = true
			o, err = decode[conversations.Organisation](value)
		}
		return err
	})
	switch {
	case err != nil:
		return o, fmt.Errorf("read organisation: %w", err)
	case !found:
		return o, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No organisation has this id.", EntityID: string(id), EntityName: "organization"}
	}
	return o, nil
}
