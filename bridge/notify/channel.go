package notify

import (
	"context"
	"slices"
	"time"

	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// ChannelID names a channel: a random lower-case UUID. Whoever knows it can listen,
// so it is never logged.
type ChannelID string

// Channel is a list of topics that one connection at a time can listen to. It is a
// value: what a [Store] hands out is a copy. Times are UTC.
type Channel struct {
	ID     ChannelID
	Token  oauth.Principal // whose channel it is: of the token that made it, or subscribed last
	Topics []string        // in the order of subscribing, each once

	CreatedAt time.Time
	UsedAt    time.Time // when it was made, subscribed or connected to last
	ExpiresAt time.Time // unknown from here on
	// Version counts the changes of Topics and Token, from 1.
	Version uint64
}

// OrgID is the organisation that the channel belongs to.
func (c Channel) OrgID() conversations.OrgID { return conversations.OrgID(c.Token.OrgID) }

// Clone returns a copy of c that shares no memory with it.
func (c Channel) Clone() Channel {
	c.Topics = slices.Clone(c.Topics)
	c.Token.Scopes = slices.Clone(c.Token.Scopes)
	return c
}

// SubscriptionState says what became of a topic.
type SubscriptionState string

// The states of a subscription. The values stand on the wire.
const (
	Permitted SubscriptionState = "Permitted"
	Rejected  SubscriptionState = "Rejected"
)

// Subscription is a topic of a channel, or one that was refused.
type Subscription struct {
	Topic   string
	State   SubscriptionState
	Reason  string   // of a refused one, a sentence
	Missing []string // scopes, one of which is needed
}

// Store keeps channels. Engines share no memory with the caller, judge expiry by the
// times given and never by a clock of their own, and are safe for concurrent use. What
// a call has acknowledged survives a crash.
type Store interface {
	// NotificationChannel returns what is stored, expired or not. It fails with
	// CodeEntityNotFound.
	NotificationChannel(ctx context.Context, id ChannelID) (Channel, error)
	// NotificationChannels returns the channels of a client, the oldest first.
	NotificationChannels(ctx context.Context, org conversations.OrgID, clientID string) ([]Channel, error)
	// CreateNotificationChannel stores c and deletes, in the same atomic step, those of
	// the client's channels that room names when it is shown all of them, oldest first.
	// It returns which. room is quick, has no side effect and may be asked more than once.
	CreateNotificationChannel(ctx context.Context, c Channel, room func([]Channel) []ChannelID) ([]ChannelID, error)
	// ChangeNotificationChannel stores what fn makes of the channel, in one atomic step,
	// and returns it. It fails with CodeEntityNotFound. An error of fn changes nothing
	// and is returned as it is. fn changes neither ID nor the token's organisation and
	// client; it may run more than once, so it has no side effect.
	ChangeNotificationChannel(ctx context.Context, id ChannelID, fn func(*Channel) error) (Channel, error)
	// PurgeNotificationChannels deletes at most limit channels, of all organisations,
	// whose ExpiresAt is not after the given time, and returns how many.
	PurgeNotificationChannels(ctx context.Context, expired time.Time, limit int) (int, error)
}
