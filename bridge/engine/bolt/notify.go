package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/conversations"
)

// channelPrefix is what the entries of a client's channels begin with.
func channelPrefix(org, client string) []byte {
	return orgPrefixOf(org, client, timeSize+40)
}

// channelEntries are the index entries of a channel.
func channelEntries(c notify.Channel) []indexEntry {
	return []indexEntry{
		{channelByClient, append(appendTime(channelPrefix(c.Token.OrgID, c.Token.ClientID), c.CreatedAt), c.ID...), nil},
		{channelByExpiry, timeKey(c.ExpiresAt, c.ID), nil},
	}
}

// channel reads a channel; the zero value if there is none.
func (t *txn) channel(id []byte) (notify.Channel, error) {
	value := t.get(channelBucket, id)
	if value == nil {
		return notify.Channel{}, nil
	}
	return decode[notify.Channel](value)
}

// channels reads the channels of a client, the oldest first.
func (t *txn) channels(org, client string) ([]notify.Channel, error) {
	var all []notify.Channel
	prefix := channelPrefix(org, client)
	c := t.bucket(channelByClient).Cursor()
	for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = c.Next() {
		channel, err := t.channel(key[len(prefix)+timeSize:])
		if err != nil {
			return nil, err
		}
		all = append(all, channel)
	}
	return all, nil
}

func (t *txn) putChannel(c notify.Channel, encoded []byte) {
	t.put(channelBucket, []byte(c.ID), encoded)
	for _, entry := range channelEntries(c) {
		t.put(entry.bucket, entry.key, entry.value)
	}
}

func (t *txn) deleteChannel(c notify.Channel) {
	if c.ID == "" {
		return
	}
	t.del(channelBucket, []byte(c.ID))
	for _, entry := range channelEntries(c) {
		t.del(entry.bucket, entry.key)
	}
}

// NotificationChannel implements [notify.Store].
func (s *Store) NotificationChannel(ctx context.Context, id notify.ChannelID) (notify.Channel, error) {
	var found notify.Channel
	err := s.view(ctx, func(t *txn) (err error) {
		found, err = t.channel([]byte(id))
		return err
	})
	switch {
	case err != nil:
		return found, fmt.Errorf("read notification channel: %w", err)
	case found.ID == "":
		return found, notify.NotFound()
	}
	return found, nil
}

// NotificationChannels implements [notify.Store].
func (s *Store) NotificationChannels(ctx context.Context, org conversations.OrgID, clientID string) ([]notify.Channel, error) {
	var all []notify.Channel
	err := s.view(ctx, func(t *txn) (err error) {
		all, err = t.channels(string(org), clientID)
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
		err = s.update(ctx, func(t *txn) error {
			have, err := t.channels(c.Token.OrgID, c.Token.ClientID)
			if err != nil {
				return err
			}
			removed = room(have)
			for _, id := range removed {
				for _, old := range have {
					if old.ID == id {
						t.deleteChannel(old)
					}
				}
			}
			t.putChannel(c, encoded)
			return t.err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("store notification channel: %w", err)
	}
	return removed, nil
}

// ChangeNotificationChannel implements [notify.Store]. As with UpdateConversation, fn
// runs outside of any transaction, and again if somebody was faster.
func (s *Store) ChangeNotificationChannel(ctx context.Context, id notify.ChannelID, fn func(*notify.Channel) error) (notify.Channel, error) {
	fail := func(err error) (notify.Channel, error) {
		return notify.Channel{}, fmt.Errorf("change notification channel: %w", err)
	}
	for {
		var stored []byte
		err := s.view(ctx, func(t *txn) error {
			stored = bytes.Clone(t.get(channelBucket, []byte(id)))
			return nil
		})
		if err == nil && stored == nil {
			err = notify.NotFound()
		}
		if err != nil {
			return fail(err)
		}
		old, err := decode[notify.Channel](stored)
		if err != nil {
			return fail(err)
		}
		changed := old.Clone()
		if err := fn(&changed); err != nil {
			return notify.Channel{}, err
		}
		encoded, err := encode(changed)
		if err != nil {
			return fail(err)
		}
		err = s.update(ctx, func(t *txn) error {
			if !bytes.Equal(t.get(channelBucket, []byte(id)), stored) {
				return errChanged
			}
			t.deleteChannel(old)
			t.putChannel(changed, encoded)
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

// PurgeNotificationChannels implements [notify.Store].
func (s *Store) PurgeNotificationChannels(ctx context.Context, at time.Time, limit int) (int, error) {
	n, err := s.purge(ctx, limit, func(t *txn, limit int) (int, error) {
		keys := t.expired(channelByExpiry, through(at), limit)
		for _, key := range keys {
			channel, err := t.channel(key[timeSize:])
			if err != nil {
				return 0, err
			}
			t.deleteChannel(channel)
		}
		return len(keys), nil
	})
	if err != nil {
		return n, fmt.Errorf("purge notification channels: %w", err)
	}
	return n, nil
}
