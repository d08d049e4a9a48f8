package redis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/conversations"
)

// Members of the channels' index begin with what they are for.
const (
	ownerMember = "o" // str(org) str(client) time(created) channel
	quietMember = "x" // time(expiry) channel
)

func ownerPrefix(org, client string) string { return ownerMember + str(org) + str(client) }

func channelMembers(c notify.Channel) []string {
	return []string{
		ownerPrefix(c.Token.OrgID, c.Token.ClientID) + binaryTime(c.CreatedAt) + string(c.ID),
		quietMember + binaryTime(c.ExpiresAt) + string(c.ID),
	}
}

// NotificationChannel implements [notify.Store].
func (s *Store) NotificationChannel(ctx context.Context, id notify.ChannelID) (notify.Channel, error) {
	c, _, err := s.channel(ctx, id)
	if err != nil {
		return c, fmt.Errorf("read notification channel: %w", err)
	}
	return c, nil
}

// channel reads a channel together with what is stored.
func (s *Store) channel(ctx context.Context, id notify.ChannelID) (c notify.Channel, stored string, err error) {
	if stored, err = s.record(ctx, channelShelf, string(id)); err != nil {
		return c, "", err
	}
	if stored == "" {
		return c, "", notify.NotFound()
	}
	c, err = decode[notify.Channel](stored)
	return c, stored, err
}

// owned reads the channels of a client, the oldest first, and the members that lead to
// them, and what is stored of them.
func (s *Store) owned(ctx context.Context, org, client string) (all []notify.Channel, members, stored []string, err error) {
	prefix := ownerPrefix(org, client)
	if members, err = s.between(ctx, channelShelf, atLeast(prefix), below(successor(prefix)), -1); err != nil {
		return nil, nil, nil, err
	}
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m[len(prefix)+timeSize:]
	}
	if stored, err = s.recordsOf(ctx, channelShelf, names); err != nil {
		return nil, nil, nil, err
	}
	for _, data := range stored {
		if data == "" {
			return nil, nil, nil, errChanged // it was deleted since
		}
		c, err := decode[notify.Channel](data)
		if err != nil {
			return nil, nil, nil, err
		}
		all = append(all, c)
	}
	return all, members, stored, nil
}

// NotificationChannels implements [notify.Store].
func (s *Store) NotificationChannels(ctx context.Context, org conversations.OrgID, clientID string) ([]notify.Channel, error) {
	var all []notify.Channel
	err := until(ctx, func() (err error) {
		all, _, _, err = s.owned(ctx, string(org), clientID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list notification channels: %w", err)
	}
	return all, nil
}

// CreateNotificationChannel implements [notify.Store].
func (s *Store) CreateNotificationChannel(ctx context.Context, c notify.Channel, room func([]notify.Channel) []notify.ChannelID) ([]notify.ChannelID, error) {
	encoded, err := encode(c)
	var removed []notify.ChannelID
	if err == nil {
		err = until(ctx, func() error {
			have, members, stored, err := s.owned(ctx, c.Token.OrgID, c.Token.ClientID)
			if err != nil {
				return err
			}
			prefix := ownerPrefix(c.Token.OrgID, c.Token.ClientID)
			var w writing
			w.among(atLeast(prefix), below(successor(prefix)), members)
			removed = room(have)
			for i, old := range have {
				if slices.Contains(removed, old.ID) {
					w.same(string(old.ID), stored[i])
					w.del(string(old.ID))
					w.rem(channelMembers(old)...)
				}
			}
			w.put(string(c.ID), encoded)
			w.add(channelMembers(c)...)
			return s.write(ctx, channelShelf, &w)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("store notification channel: %w", err)
	}
	return removed, nil
}

// ChangeNotificationChannel implements [notify.Store]. What fn makes is written if
// nobody was faster, else it runs again.
func (s *Store) ChangeNotificationChannel(ctx context.Context, id notify.ChannelID, fn func(*notify.Channel) error) (notify.Channel, error) {
	var result notify.Channel
	var failed error // of fn: returned as it is
	err := until(ctx, func() error {
		old, stored, err := s.channel(ctx, id)
		if err != nil {
			return err
		}
		changed := old.Clone()
		if failed = fn(&changed); failed != nil {
			return failed
		}
		encoded, err := encode(changed)
		if err != nil {
			return err
		}
		result = changed
		var w writing
		w.same(string(id), stored)
		w.rem(channelMembers(old)...)
		w.put(string(id), encoded)
		w.add(channelMembers(changed)...)
		return s.write(ctx, channelShelf, &w)
	})
	switch {
	case failed != nil:
		return notify.Channel{}, failed
	case err != nil:
		return notify.Channel{}, fmt.Errorf("change notification channel: %w", err)
	}
	return result, nil
}

// PurgeNotificationChannels implements [notify.Store].
func (s *Store) PurgeNotificationChannels(ctx context.Context, expired time.Time, limit int) (int, error) {
	n, err := s.purgeShelf(ctx, channelShelf, quietMember, after(expired), limit,
		func(member string) string { return member[1+timeSize:] },
		func(stored string) ([]string, error) {
			c, err := decode[notify.Channel](stored)
			return channelMembers(c), err
		})
	if err != nil {
		return n, fmt.Errorf("purge notification channels: %w", err)
	}
	return n, nil
}
