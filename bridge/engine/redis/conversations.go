package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// Members of the directory's index begin with what they are for.
const (
	talkMember = "t" // str(org) active str(medium or empty) time(start), inverted, conversation
	endMember  = "e" // time(end) conversation
	nameMember = "n" // str(org) str(state or empty) text(name) user
)

func talkRecord(id conversations.ID) string { return "conversation:" + string(id) }

func activeFlag(active bool) string {
	if active {
		return "1"
	}
	return "0"
}

func talkPrefix(org conversations.OrgID, active bool, medium conversations.Medium) string {
	return talkMember + str(org) + activeFlag(active) + str(medium)
}

// talkMembers are the members that lead to a conversation: one for all media together,
// and one for each that it has.
func talkMembers(c conversations.Conversation) []string {
	media := []conversations.Medium{""}
	for _, p := range c.Participants {
		for _, com := range p.Communications {
			if com.Medium != "" && !slices.Contains(media, com.Medium) {
				media = append(media, com.Medium)
			}
		}
	}
	var members []string
	for _, medium := range media {
		members = append(members, talkPrefix(c.OrgID, c.Active(), medium)+invertedTime(c.StartedAt)+string(c.ID))
	}
	if !c.EndedAt.IsZero() {
		members = append(members, endMember+binaryTime(c.EndedAt)+string(c.ID))
	}
	return members
}

// CreateConversation implements [conversations.Store].
func (s *Store) CreateConversation(ctx context.Context, c conversations.Conversation) error {
	encoded, err := encode(c)
	if err == nil {
		var w writing
		w.same(talkRecord(c.ID), "")
		w.put(talkRecord(c.ID), encoded)
		w.add(talkMembers(c)...)
		err = s.write(ctx, directoryShelf, &w)
	}
	if errors.Is(err, errChanged) {
		err = &cobridge.Error{Code: cobridge.CodeConflict, Message: "The id of the conversation is taken.", EntityID: string(c.ID), EntityName: "conversation"}
	}
	if err != nil {
		return fmt.Errorf("create conversation: %w", err)
	}
	return nil
}

// Conversation implements [conversations.Store].
func (s *Store) Conversation(ctx context.Context, org conversations.OrgID, id conversations.ID) (conversations.Conversation, error) {
	c, _, err := s.conversation(ctx, org, id)
	return c, err
}

// conversation returns it together with what is stored.
func (s *Store) conversation(ctx context.Context, org conversations.OrgID, id conversations.ID) (c conversations.Conversation, stored string, err error) {
	stored, err = s.record(ctx, directoryShelf, talkRecord(id))
	if err == nil && stored != "" {
		c, err = decode[conversations.Conversation](stored)
	}
	switch {
	case err != nil:
		return conversations.Conversation{}, "", fmt.Errorf("read conversation: %w", err)
	case stored == "" || c.OrgID != org:
		return conversations.Conversation{}, "", conversations.NotFound(id)
	}
	return c, stored, nil
}

// Conversations implements [conversations.Store].
func (s *Store) Conversations(ctx context.Context, org conversations.OrgID, q conversations.Query) ([]conversations.Conversation, int, error) {
	var arms []arm
	for _, active := range []bool{true, false} {
		if q.Active == nil || *q.Active == active {
			arms = append(arms, arm{key: directoryShelf.index(), prefix: talkPrefix(org, active, q.Medium)})
		}
	}
	page, total, err := s.merge(ctx, arms, false, q.Offset, q.Limit)
	if err != nil {
		return nil, 0, fmt.Errorf("list conversations: %w", err)
	}
	names := make([]string, len(page))
	for i, m := range page {
		names[i] = talkRecord(conversations.ID(m[timeSize:]))
	}
	found, missing, err := recordsAs[conversations.Conversation](ctx, s, directoryShelf, names)
	if err != nil {
		return nil, 0, fmt.Errorf("list conversations: %w", err)
	}
	return found, total - missing, nil
}

// UpdateConversation implements [conversations.Store]. What fn returns is written if
// nobody was faster, else it runs again.
func (s *Store) UpdateConversation(ctx context.Context, org conversations.OrgID, id conversations.ID, fn func(*conversations.Conversation) error) (conversations.Conversation, error) {
	var result conversations.Conversation
	var failed error // of fn: returned as it is
	err := until(ctx, func() error {
		old, stored, err := s.conversation(ctx, org, id)
		if err != nil {
			return err
		}
		next := old.Clone()
		if failed = fn(&next); failed != nil {
			return failed
		}
		next.ID, next.OrgID = old.ID, old.OrgID
		next = next.Clone() // fn may have kept a slice
		result = next
		encoded, err := encode(next)
		if err != nil || encoded == stored {
			return err
		}
		var w writing
		w.same(talkRecord(id), stored)
		w.rem(talkMembers(old)...)
		w.add(talkMembers(next)...)
		w.put(talkRecord(id), encoded)
		return s.write(ctx, directoryShelf, &w)
	})
	switch {
	case failed != nil:
		return conversations.Conversation{}, failed
	case err != nil:
		return conversations.Conversation{}, fmt.Errorf("update conversation: %w", err)
	}
	return result, nil
}

// PurgeConversations implements [conversations.Store].
func (s *Store) PurgeConversations(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := s.purgeShelf(ctx, directoryShelf, endMember, binaryTime(before), limit,
		func(member string) string { return talkRecord(conversations.ID(member[1+timeSize:])) },
		func(stored string) ([]string, error) {
			c, err := decode[conversations.Conversation](stored)
			return talkMembers(c), err
		})
	if err != nil {
		return n, fmt.Errorf("purge conversations: %w", err)
	}
	return n, nil
}

// PutOrganisation implements [conversations.Store].
func (s *Store) PutOrganisation(ctx context.Context, o conversations.Organisation) error {
	encoded, err := encode(o)
	if err == nil {
		var w writing
		w.put("organisation:"+string(o.ID), encoded)
		err = s.write(ctx, directoryShelf, &w)
	}
	if err != nil {
		return fmt.Errorf("store organisation: %w", err)
	}
	return nil
}

// Organisation implements [conversations.Store].
func (s *Store) Organisation(ctx context.Context, id conversations.OrgID) (conversations.Organisation, error) {
	var o conversations.Organisation
	stored, err := s.record(ctx, directoryShelf, "organisation:"+string(id))
	if err == nil && stored != "" {
		o, err = decode[conversations.Organisation](stored)
	}
	switch {
	case err != nil:
		return o, fmt.Errorf("read organisation: %w", err)
	case stored == "":
		return o, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No organisation has this id.", EntityID: string(id), EntityName: "organization"}
	}
	return o, nil
}
