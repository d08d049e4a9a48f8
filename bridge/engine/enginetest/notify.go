package enginetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/oauth"
)

func notifyTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"a notification channel is kept over a restart":           testChannelKept,
		"channels of clients and organisations are apart":         testChannelsApart,
		"a new channel makes room in the same step":               testChannelRoom,
		"of many channels that are made at once none is too many": testChannelRoomRace,
		"a change of a channel is one atomic step":                testChannelChangeRace,
		"a refused change of a channel changes nothing":           testChannelChangeRefused,
		"expired channels are purged up to the limit":             testChannelPurge,
	}
}

func channel(id notify.ChannelID) notify.Channel {
	return notify.Channel{
		ID: id, Topics: []string{"v2.users.u-1.conversations", "v2.users.u-2.conversations.cobrowseSessions"},
		Token: oauth.Principal{
			OrgID: string(org), ClientID: "client", Scopes: []string{"notifications", "conversations:readonly"}, TokenID: "jti", Generation: 1 << 63,
			IssuedAt: t0, ExpiresAt: t0.Add(24 * time.Hour),
		},
		CreatedAt: t0, UsedAt: t0.Add(time.Minute), ExpiresAt: t0.Add(time.Hour), Version: 3,
	}
}

func noRoom([]notify.Channel) []notify.ChannelID { return nil }

func mustCreateChannel(t *testing.T, e Engine, channels ...notify.Channel) {
	t.Helper()
	for _, c := range channels {
		removed, err := e.CreateNotificationChannel(t.Context(), c, noRoom)
		if err != nil || len(removed) > 0 {
			t.Fatalf("CreateNotificationChannel = %q, %v", removed, err)
		}
	}
}

// wantChannels checks what is stored of the client's channels, in this order.
func wantChannels(t *testing.T, e Engine, want ...notify.Channel) {
	t.Helper()
	got, err := e.NotificationChannels(t.Context(), org, "client")
	mustStore(t, err)
	wantSame(t, "NotificationChannels", got, want)
	for _, w := range want {
		one, err := e.NotificationChannel(t.Context(), w.ID)
		mustStore(t, err)
		wantSame(t, "NotificationChannel", one, w)
	}
}

func testChannelKept(t *testing.T, e Engine) {
	later, bare := channel("n-1"), notify.Channel{ID: "n-2", Token: oauth.Principal{OrgID: string(org), ClientID: "client"}, CreatedAt: t0.Add(-time.Hour)}
	mustCreateChannel(t, e, later, bare)
	for range 2 {
		wantChannels(t, e, bare, later)
		_, err := e.NotificationChannel(t.Context(), "n-3")
		wantCode(t, "NotificationChannel of an unknown id", err, cobridge.CodeEntityNotFound)
		e = e.Reopen(t)
	}
}

func testChannelsApart(t *testing.T, e Engine) {
	first, theirs, elsewhere := channel("n-1"), channel("n-2"), channel("n-3")
	theirs.Token.ClientID, elsewhere.Token.OrgID = "client2", string(otherOrg)
	mustCreateChannel(t, e, first, theirs, elsewhere)
	wantChannels(t, e, first)
	// What is named of others is not there to be deleted.
	_, err := e.CreateNotificationChannel(t.Context(), channel("n-4"), func(have []notify.Channel) []notify.ChannelID {
		wantSame(t, "the channels that room is shown", have, []notify.Channel{first})
		return []notify.ChannelID{"n-2", "n-3"}
	})
	mustStore(t, err)
	for _, id := range []notify.ChannelID{"n-1", "n-2", "n-3", "n-4"} {
		_, err := e.NotificationChannel(t.Context(), id)
		mustStore(t, err)
	}
}

func testChannelRoom(t *testing.T, e Engine) {
	a, b, c := channel("n-1"), channel("n-2"), channel("n-3")
	mustCreateChannel(t, e, a, b)
	removed, err := e.CreateNotificationChannel(t.Context(), c, func([]notify.Channel) []notify.ChannelID { return []notify.ChannelID{"n-1"} })
	mustStore(t, err)
	wantSame(t, "removed", removed, []notify.ChannelID{"n-1"})
	for range 2 {
		wantChannels(t, e, b, c)
		_, err = e.NotificationChannel(t.Context(), "n-1")
		wantCode(t, "NotificationChannel of the one that made room", err, cobridge.CodeEntityNotFound)
		e = e.Reopen(t)
	}
	_, err = e.ChangeNotificationChannel(t.Context(), "n-1", func(*notify.Channel) error { return nil })
	wantCode(t, "ChangeNotificationChannel", err, cobridge.CodeEntityNotFound)
}

func testChannelRoomRace(t *testing.T, e Engine) {
	const most = 3
	race(16, func(i int) {
		_, err := e.CreateNotificationChannel(t.Context(), channel(notify.ChannelID(fmt.Sprintf("n-%d", i))), func(have []notify.Channel) []notify.ChannelID {
			if len(have) < most {
				return nil
			}
			return []notify.ChannelID{have[0].ID}
		})
		if err != nil {
			t.Errorf("CreateNotificationChannel = %v", err)
		}
	})
	got, err := e.NotificationChannels(t.Context(), org, "client")
	mustStore(t, err)
	if len(got) != most {
		t.Errorf("%d channels are left, want %d", len(got), most)
	}
}

func testChannelChangeRace(t *testing.T, e Engine) {
	const n = 32
	c := channel("n-1")
	mustCreateChannel(t, e, c)
	race(n, func(i int) {
		if _, err := e.ChangeNotificationChannel(t.Context(), c.ID, func(c *notify.Channel) error {
			c.Topics = append(c.Topics, fmt.Sprintf("topic-%d", i))
			c.Version++
			return nil
		}); err != nil {
			t.Errorf("ChangeNotificationChannel = %v", err)
		}
	})
	got, err := e.NotificationChannel(t.Context(), c.ID)
	mustStore(t, err)
	if len(got.Topics) != len(c.Topics)+n || got.Version != c.Version+n {
		t.Errorf("the channel has %d topics and version %d, want %d and %d", len(got.Topics), got.Version, len(c.Topics)+n, c.Version+n)
	}
}

func testChannelChangeRefused(t *testing.T, e Engine) {
	c := channel("n-1")
	mustCreateChannel(t, e, c)
	refusal := &cobridge.Error{Code: cobridge.CodeTooManySubscriptions}
	_, err := e.ChangeNotificationChannel(t.Context(), c.ID, func(c *notify.Channel) error {
		c.Topics[0], c.Token.Scopes[0] = "other", "other"
		return refusal
	})
	wantIs(t, "ChangeNotificationChannel", err, refusal)
	wantChannels(t, e, c)
}

func testChannelPurge(t *testing.T, e Engine) {
	const n = 5
	for i := range n {
		c := channel(notify.ChannelID(fmt.Sprintf("n-%d", i)))
		c.ExpiresAt = t0.Add(time.Duration(i) * time.Minute)
		mustCreateChannel(t, e, c)
	}
	// Its expiry has moved, so it is not found under the old one.
	_, err := e.ChangeNotificationChannel(t.Context(), "n-0", func(c *notify.Channel) error {
		c.ExpiresAt = t0.Add(time.Hour)
		return nil
	})
	mustStore(t, err)
	for _, tt := range []struct {
		at          time.Time
		limit, want int
	}{
		{t0, 100, 0},
		{t0.Add(2 * time.Minute), 1, 1},
		{t0.Add(2 * time.Minute), 100, 1},
		{t0.Add(3*time.Minute - time.Nanosecond), 100, 0},
		{t0.Add(59 * time.Minute), 100, 2},
		{t0.Add(time.Hour), 100, 1},
		{t0.Add(time.Hour), 100, 0},
	} {
		got, err := e.PurgeNotificationChannels(t.Context(), tt.at, tt.limit)
		if err != nil || got != tt.want {
			t.Errorf("PurgeNotificationChannels(%v, %d) = %d, %v, want %d", tt.at, tt.limit, got, err, tt.want)
		}
		e = e.Reopen(t)
	}
	wantChannels(t, e)
}
