package notify_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

var t0 = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)

const (
	org      = "org"
	otherOrg = "other"
	all      = "v2.users.ada.conversations"
	cobrowse = "v2.users.ada.conversations.cobrowseSessions"
	sams     = "v2.users.sam.conversations.calls"
	queue    = "v2.routing.queues.q-1.conversations"
)

// tokens are dead or alive.
type tokens struct {
	mu   sync.Mutex
	dead map[string]bool
	err  error
}

func (k *tokens) Alive(_ context.Context, p oauth.Principal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	if k.dead[p.TokenID] {
		return &cobridge.Error{Code: cobridge.CodeBadCredentials}
	}
	return nil
}

func (k *tokens) kill(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dead[id] = true
}

// users exist in one organisation each.
type users map[conversations.OrgID][]conversations.UserID

func (u users) Users(_ context.Context, org conversations.OrgID, q conversations.UserQuery) ([]conversations.User, int, error) {
	var found []conversations.User
	for _, id := range u[org] {
		if slices.Contains(q.IDs, id) {
			found = append(found, conversations.User{ID: id})
		}
	}
	return found, len(found), nil
}

type world struct {
	*notify.Service
	clock  *testenv.Clock
	tokens *tokens
	store  *bolt.Store
}

func newWorld(t *testing.T, limits notify.Limits) *world {
	t.Helper()
	store, err := bolt.Open(t.Context(), bolt.Config{Path: filepath.Join(t.TempDir(), "store.db"), Volatile: true})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	w := &world{clock: testenv.NewClock(t0), tokens: &tokens{dead: map[string]bool{}}, store: store}
	w.Service = notify.New(notify.Config{
		Store: store, Clock: w.clock.Now, Tokens: w.tokens, Limits: limits,
		Users: users{org: {"ada", "sam"}, otherOrg: {"eve"}},
	})
	return w
}

// principal is a token of a client that may have every topic, for 48 hours.
func principal(client, token string) oauth.Principal {
	return oauth.Principal{
		OrgID: org, ClientID: client, TokenID: token, Scopes: []string{"notifications", "conversations:readonly"}, IssuedAt: t0, ExpiresAt: t0.Add(48 * time.Hour),
	}
}

func (w *world) create(t *testing.T, p oauth.Principal) notify.Channel {
	t.Helper()
	c, err := w.Create(t.Context(), p)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	w.clock.Advance(time.Second) // so that each is younger than the one before
	return c
}

func (w *world) subscribe(t *testing.T, p oauth.Principal, id notify.ChannelID, topics ...string) {
	t.Helper()
	if _, err := w.Subscribe(t.Context(), p, id, notify.SubscribeRequest{Topics: topics}); err != nil {
		t.Fatalf("Subscribe(%q): %v", topics, err)
	}
}

func (w *world) open(t *testing.T, id notify.ChannelID) *notify.Line {
	t.Helper()
	l, err := w.Open(t.Context(), id)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(l.Close)
	return l
}

func wantCode(t *testing.T, what string, err error, want cobridge.Code) {
	t.Helper()
	if got := cobridge.CodeOf(err); got != want {
		t.Errorf("%s = %v, code %q, want %q", what, err, got, want)
	}
}

func (w *world) publish(topics ...string) {
	for _, name := range topics {
		topic, _ := notify.ParseTopic(name)
		w.Publish(org, topic, []byte(name))
	}
}

func wantHeard(t *testing.T, l *notify.Line, want ...string) {
	t.Helper()
	var got []string
	for _, frame := range l.Take() {
		got = append(got, string(frame))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}

func wantEnd(t *testing.T, l *notify.Line, want notify.End) {
	t.Helper()
	select {
	case <-l.Done():
	default:
		t.Errorf("the line has not ended, want %q", want)
	}
	if got := l.Why(); got != want {
		t.Errorf("the line ended with %q, want %q", got, want)
	}
}

func topicsOf(list []notify.Subscription) []string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.Topic + " " + string(s.State)
	}
	return names
}

// What is told reaches who subscribed to it, in the organisation, and nobody else.
func TestTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{})
	p := principal("client", "token")
	a, b := w.create(t, p), w.create(t, p)
	w.subscribe(t, p, a.ID, all, cobrowse)
	first, second := w.open(t, a.ID), w.open(t, b.ID)
	w.subscribe(t, p, b.ID, cobrowse, queue)
	if !w.Listening(org) || w.Listening(otherOrg) {
		t.Errorf("Listening = %t, %t, want true of the organisation alone", w.Listening(org), w.Listening(otherOrg))
	}
	w.publish(all, cobrowse, sams, queue)
	topic, _ := notify.ParseTopic(all)
	w.Publish(otherOrg, topic, []byte("foreign"))
	wantHeard(t, first, all, cobrowse)
	wantHeard(t, second, cobrowse, queue)
	select {
	case <-first.Ready():
	default:
		t.Errorf("a line with frames is not ready")
	}
	if err := w.Unsubscribe(t.Context(), p, a.ID); err != nil {
		t.Fatalf("Unsubscribe: %v", err)
	}
	if w.Wanted(org, topic) {
		t.Errorf("a topic is wanted that nobody has")
	}
	w.publish(all, cobrowse)
	wantHeard(t, first)
	wantHeard(t, second, cobrowse)
	first.Close()
	second.Close()
	if w.Listening(org) || w.Connections() != 0 {
		t.Errorf("with all lines closed somebody listens, or %d are open", w.Connections())
	}
}

// Topics stay when a connection goes, until the channel's time is over.
func TestSubscriptionsSurviveAReconnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{})
	p := principal("client", "token")
	c := w.create(t, p)
	w.subscribe(t, p, c.ID, all)
	w.open(t, c.ID).Close()
	w.publish(all) // lost: nobody is there
	w.clock.Advance(23 * time.Hour)
	l := w.open(t, c.ID)
	w.publish(all)
	wantHeard(t, l, all)
	// The time counts from the last subscription, not from the connection.
	w.clock.Advance(time.Hour)
	if left := l.Check(); left > 0 {
		t.Errorf("Check = %v after 24 hours", left)
	}
	wantEnd(t, l, notify.EndExpired)
	_, err := w.Open(t.Context(), c.ID)
	wantCode(t, "Open", err, cobridge.CodeEntityNotFound)
}

func TestSubscribingAgainRenews(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{})
	p := principal("client", "token")
	c := w.create(t, p)
	if want := t0.Add(24 * time.Hour); !c.ExpiresAt.Equal(want) {
		t.Errorf("ExpiresAt = %v, want %v", c.ExpiresAt, want)
	}
	l := w.open(t, c.ID)
	w.clock.Advance(20 * time.Hour)
	later := principal("client", "later")
	later.ExpiresAt = t0.Add(30 * time.Hour)
	w.subscribe(t, later, c.ID, all)
	got, err := w.Channel(t.Context(), p, c.ID)
	if err != nil || !got.ExpiresAt.Equal(later.ExpiresAt) || got.Token.TokenID != "later" {
		t.Errorf("Channel = until %v by %s, %v; want the time of the token that subscribed", got.ExpiresAt, got.Token.TokenID, err)
	}
	w.Revoked(oauth.Revocation{ClientID: "client", TokenID: "token"}) // it lives by the other one
	w.publish(all)
	wantHeard(t, l, all)
	w.Revoked(oauth.Revocation{ClientID: "client", TokenID: "later"})
	wantEnd(t, l, notify.EndToken)
}

func TestTokenDeathEndsTheChannel(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]oauth.Revocation{
		"one token":         {ClientID: "client", TokenID: "token"},
		"all of the client": {ClientID: "client"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, notify.Limits{})
			p, other := principal("client", "token"), principal("client", "other")
			c := w.create(t, p)
			l, bystander := w.open(t, c.ID), w.open(t, w.create(t, principal("somebody", "token")).ID)
			w.tokens.kill("token")
			w.Revoked(r)
			wantEnd(t, l, notify.EndToken)
			if why := bystander.Why(); why != "" {
				t.Errorf("another client's line ended with %q", why)
			}
			_, err := w.Open(t.Context(), c.ID)
			wantCode(t, "Open", err, cobridge.CodeEntityNotFound)
			_, err = w.Channel(t.Context(), other, c.ID)
			wantCode(t, "Channel", err, cobridge.CodeEntityNotFound)
			_, err = w.Subscribe(t.Context(), other, c.ID, notify.SubscribeRequest{Topics: []string{all}})
			wantCode(t, "Subscribe", err, cobridge.CodeEntityNotFound)
			wantCode(t, "Unsubscribe", w.Unsubscribe(t.Context(), other, c.ID), cobridge.CodeEntityNotFound)
			list, err := w.Channels(t.Context(), other, true)
			if err != nil || len(list) > 0 {
				t.Errorf("Channels = %v, %v, want none", list, err)
			}
		})
	}
}

// A failing look at the token is not its death.
func TestTokensThatCannotBeLookedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{})
	p := principal("client", "token")
	c := w.create(t, p)
	w.tokens.err = errors.New("store is gone")
	_, err := w.Channel(t.Context(), p, c.ID)
	wantCode(t, "Channel", err, cobridge.CodeInternal)
	_, err = w.Channels(t.Context(), p, true)
	wantCode(t, "Channels", err, cobridge.CodeInternal)
	_, err = w.Open(t.Context(), c.ID)
	wantCode(t, "Open", err, cobridge.CodeInternal)
	if n := w.Connections(); n != 0 {
		t.Errorf("%d lines are open", n)
	}
}

func TestChannelsBelongToTheirClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{})
	p := principal("client", "token")
	c := w.create(t, p)
	sameName := p
	sameName.OrgID = otherOrg
	for name, stranger := range map[string]oauth.Principal{"another client": principal("somebody", "token"), "another organisation": sameName} {
		_, err := w.Channel(t.Context(), stranger, c.ID)
		wantCode(t, name+": Channel", err, cobridge.CodeEntityNotFound)
		_, err = w.Subscribe(t.Context(), stranger, c.ID, notify.SubscribeRequest{Replace: true})
		wantCode(t, name+": Subscribe", err, cobridge.CodeEntityNotFound)
		wantCode(t, name+": Unsubscribe", w.Unsubscribe(t.Context(), stranger, c.ID), cobridge.CodeEntityNotFound)
		if list, err := w.Channels(t.Context(), stranger, true); err != nil || len(list) > 0 {
			t.Errorf("%s: Channels = %v, %v, want none", name, list, err)
		}
	}
	_, err := w.Channel(t.Context(), p, "unknown")
	wantCode(t, "Channel", err, cobridge.CodeEntityNotFound)
	// Another token of the client sees it among the client's, not among its own.
	other := principal("client", "other")
	for ofClient, want := range map[bool]int{true: 1, false: 0} {
		if list, err := w.Channels(t.Context(), other, ofClient); err != nil || len(list) != want {
			t.Errorf("Channels(ofClient: %t) has %d, %v, want %d", ofClient, len(list), err, want)
		}
	}
}

// One channel more than a client may have removes the least recently used one, and one
// that is connected last.
func TestRoomForOneMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{Channels: 3})
	p := principal("client", "token")
	oldest, middle, young := w.create(t, p), w.create(t, p), w.create(t, p)
	l := w.open(t, oldest.ID)
	w.subscribe(t, p, middle.ID, all) // used after young
	w.clock.Advance(time.Second)
	gone := func(want ...notify.ChannelID) {
		t.Helper()
		for _, c := range []notify.Channel{oldest, middle, young} {
			_, err := w.Channel(t.Context(), p, c.ID)
			if got := cobridge.CodeOf(err) == cobridge.CodeEntityNotFound; got != slices.Contains(want, c.ID) {
				t.Errorf("channel %s is gone: %t", c.ID, got)
			}
		}
	}
	next := w.create(t, p)
	gone(young.ID)
	w.open(t, next.ID)
	w.create(t, p)
	gone(young.ID, middle.ID)
	w.open(t, w.create(t, p).ID) // in place of the one before, which nobody is connected to
	gone(young.ID, middle.ID)
	if l.Why() != "" {
		t.Errorf("the line of the oldest ended with %q", l.Why())
	}
	w.create(t, p) // all are connected
	gone(young.ID, middle.ID, oldest.ID)
	wantEnd(t, l, notify.EndExpired)
}

func TestOneConnectionPerChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{})
	p := principal("client", "token")
	c := w.create(t, p)
	w.subscribe(t, p, c.ID, all)
	first := w.open(t, c.ID)
	second := w.open(t, c.ID)
	wantEnd(t, first, notify.EndReplaced)
	first.Close() // does not take the second off
	w.publish(all)
	wantHeard(t, second, all)
	if got := first.Take(); len(got) > 0 {
		t.Errorf("the first connection heard %q", got)
	}
}

func TestSlowReaderIsCut(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]notify.Limits{"frames": {Frames: 3}, "bytes": {Bytes: 3 * len(all)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, limits)
			p := principal("client", "token")
			slow, quick := w.create(t, p), w.create(t, p)
			w.subscribe(t, p, slow.ID, all)
			w.subscribe(t, p, quick.ID, all)
			a, b := w.open(t, slow.ID), w.open(t, quick.ID)
			for range 3 {
				w.publish(all)
				wantHeard(t, b, all)
			}
			if why := a.Why(); why != "" {
				t.Errorf("with as much as may wait the line ended with %q", why)
			}
			w.publish(all)
			wantEnd(t, a, notify.EndSlow)
			wantHeard(t, a) // all of it or nothing
			wantHeard(t, b, all)
		})
	}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{Topics: 4})
	p := principal("client", "token")
	c := w.create(t, p)
	few := p
	few.Scopes = []string{"notifications", "cobrowse:session:read"}
	steps := []struct {
		name string
		by   oauth.Principal
		notify.SubscribeRequest
		want []string
		code cobridge.Code
	}{
		{"adds", p, notify.SubscribeRequest{Topics: []string{all, cobrowse, all}}, []string{all + " Permitted", cobrowse + " Permitted"}, ""},
		{"adds to them", p, notify.SubscribeRequest{Topics: []string{cobrowse, queue}}, []string{all + " Permitted", cobrowse + " Permitted", queue + " Permitted"}, ""},
		{"nothing", p, notify.SubscribeRequest{}, []string{all + " Permitted", cobrowse + " Permitted", queue + " Permitted"}, ""},
		{"no such topic", p, notify.SubscribeRequest{Topics: []string{sams, "v2.users.ada.presence"}}, nil, cobridge.CodeInvalidTopic},
		{"no such user", p, notify.SubscribeRequest{Topics: []string{sams, "v2.users.kim.conversations"}}, nil, cobridge.CodeUnauthorizedTopic},
		{"another organisation's user", p, notify.SubscribeRequest{Topics: []string{"v2.users.eve.conversations"}}, nil, cobridge.CodeUnauthorizedTopic},
		{"scope is missing", few, notify.SubscribeRequest{Topics: []string{cobrowse, sams}}, nil, cobridge.CodeUnauthorizedTopic},
		{"too many at once", p, notify.SubscribeRequest{Topics: slices.Repeat([]string{all}, 5)}, nil, cobridge.CodeTooManySubscriptions},
		{"too many in all", p, notify.SubscribeRequest{Topics: []string{sams, "v2.users.sam.conversations"}}, nil, cobridge.CodeTooManySubscriptions},
		{
			"errors are ignored", p,
			notify.SubscribeRequest{Topics: []string{"x", sams, "v2.users.eve.conversations"}, Replace: true, IgnoreErrors: true},
			[]string{sams + " Permitted", "x Rejected", "v2.users.eve.conversations Rejected"},
			"",
		},
		{"replaces", p, notify.SubscribeRequest{Topics: []string{all, cobrowse}, Replace: true}, []string{all + " Permitted", cobrowse + " Permitted"}, ""},
		{"keeps what the token may have", few, notify.SubscribeRequest{}, []string{cobrowse + " Permitted"}, ""},
		{"replaces with nothing", p, notify.SubscribeRequest{Replace: true}, []string{}, ""},
	}
	for _, tt := range steps {
		before, err := w.Channel(t.Context(), p, c.ID)
		if err != nil {
			t.Fatalf("%s: Channel: %v", tt.name, err)
		}
		got, err := w.Subscribe(t.Context(), tt.by, c.ID, tt.SubscribeRequest)
		wantCode(t, tt.name, err, tt.code)
		if tt.code != "" {
			after, err := w.Channel(t.Context(), p, c.ID)
			if diff := cmp.Diff(before, after); err != nil || diff != "" {
				t.Errorf("%s: the channel changed (%v):\n%s", tt.name, err, diff)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, topicsOf(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// However subscriptions race, what a line hears is what the channel has in the end.
func TestRacingSubscriptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{})
	p := principal("client", "token")
	c := w.create(t, p)
	l := w.open(t, c.ID)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			topic := fmt.Sprintf("v2.routing.queues.q-%d.conversations", i)
			if _, err := w.Subscribe(t.Context(), p, c.ID, notify.SubscribeRequest{Topics: []string{topic}, Replace: i%4 == 0}); err != nil {
				t.Errorf("Subscribe: %v", err)
			}
		})
	}
	wg.Wait()
	got, err := w.Channel(t.Context(), p, c.ID)
	if err != nil {
		t.Fatalf("Channel: %v", err)
	}
	for i := range 16 {
		w.publish(fmt.Sprintf("v2.routing.queues.q-%d.conversations", i))
	}
	var heard []string
	for _, frame := range l.Take() {
		heard = append(heard, string(frame))
	}
	slices.Sort(heard)
	slices.Sort(got.Topics)
	if diff := cmp.Diff(got.Topics, heard); diff != "" {
		t.Errorf("topics of the channel (-) and what is heard (+):\n%s", diff)
	}
}

func TestSubscribeOverTheLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{})
	p := principal("client", "token")
	c := w.create(t, p)
	l := w.open(t, c.ID)
	if err := l.Subscribe(t.Context(), []string{all}); err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	wantCode(t, "Subscribe", l.Subscribe(t.Context(), []string{"v2.users.eve.conversations"}), cobridge.CodeUnauthorizedTopic)
	w.publish(all)
	wantHeard(t, l, all)
	w.tokens.kill("token")
	wantCode(t, "Subscribe", l.Subscribe(t.Context(), []string{cobrowse}), cobridge.CodeEntityNotFound)
}

func TestPurge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notify.Limits{Life: time.Hour})
	p := principal("client", "token")
	old := w.create(t, p)
	l := w.open(t, old.ID)
	w.clock.Advance(30 * time.Minute)
	young := w.create(t, p)
	w.clock.Advance(30 * time.Minute)
	if n, err := w.Purge(t.Context()); n != 1 || err != nil {
		t.Errorf("Purge = %d, %v, want 1", n, err)
	}
	wantEnd(t, l, notify.EndExpired)
	list, err := w.Channels(t.Context(), p, false)
	if err != nil || len(list) != 1 || list[0].ID != young.ID {
		t.Errorf("Channels = %v, %v, want the young one", list, err)
	}
}

func FuzzParseTopic(f *testing.F) {
	for _, name := range []string{
		"v2.users.a1b2.conversations.cobrowseSessions", "v2.routing.queues.a1b2.conversations.cobrowseSessions", "v2.users.a1b2.conversations",
		"v2.routing.queues.a1b2.conversations", "v2.users.a1b2.conversations.messages", "v2.users.a1b2.conversations.", "v2.users..conversations", "v2.system.socket_closing",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		topic, ok := notify.ParseTopic(name)
		if ok && topic.String() != name {
			t.Errorf("ParseTopic(%q) = %+v, which is written %q", name, topic, topic)
		}
		if ok && (strings.Contains(topic.ID, ".") || topic.ID == "") {
			t.Errorf("ParseTopic(%q) has the id %q", name, topic.ID)
		}
	})
}

func TestParseTopic(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		all: true, cobrowse: true, sams: true, queue: true,
		"v2.users.ada.conversations.": false, "v2.users..conversations": false, "v2.users.a b.conversations": false, "v2.users.ada.conversations.cobrowsesessions": false,
		"v2.users.ada.conversations.calls.x": false, "v2.users.ada": false, "v2.queues.q.conversations": false, "v2.users.ada?conversations": false,
		"v2.users." + strings.Repeat("a", 65) + ".conversations": false, "": false,
	} {
		if _, ok := notify.ParseTopic(name); ok != want {
			t.Errorf("ParseTopic(%q) = %t, want %t", name, ok, want)
		}
	}
}
