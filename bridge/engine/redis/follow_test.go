package redis_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/engine/redis"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// node is a follower on a node of its own.
type node struct {
	store  *redis.Store
	events chan cobrowse.SessionID
	stop   context.CancelFunc
	done   chan error
}

func startNode(t *testing.T, address, name string) *node {
	t.Helper()
	n := &node{store: mustOpen(t, address), events: make(chan cobrowse.SessionID, 1000), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	n.stop = cancel
	ready := make(chan struct{})
	go func() {
		n.done <- n.store.Follow(ctx, name, func() { close(ready) }, func(_ context.Context, e cobrowse.Event) error {
			n.events <- e.SessionID
			return nil
		})
	}()
	t.Cleanup(cancel)
	<-ready
	return n
}

func (n *node) want(t *testing.T, ids ...cobrowse.SessionID) {
	t.Helper()
	for _, id := range ids {
		select {
		case got := <-n.events:
			if got != id {
				t.Errorf("event of session %s, want %s", got, id)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no event of session %s within a minute", id)
		}
	}
}

func apply(t *testing.T, s *redis.Store, id cobrowse.SessionID) {
	t.Helper()
	mustApply(t, s, created(id, conversations.ID(id)))
}

// Followers without a name are on every node; of a name one is at work, and the next
// goes on where it was.
func TestFollowersOnSeveralNodes(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	address := fresh(server.URL)
	everywhere := []*node{startNode(t, address, ""), startNode(t, address, "")}
	first := startNode(t, address, "name")
	apply(t, first.store, "s-1")
	first.want(t, "s-1")
	second := startNode(t, address, "name")
	for i := range 20 {
		apply(t, second.store, cobrowse.SessionID(fmt.Sprint("t-", i)))
		first.want(t, cobrowse.SessionID(fmt.Sprint("t-", i)))
	}
	first.stop()
	if err := <-first.done; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow = %v, want %v", err, context.Canceled)
	}
	apply(t, first.store, "s-2")
	second.want(t, "s-2") // and none of those before
	for _, n := range everywhere {
		n.want(t, "s-1")
		for i := range 20 {
			n.want(t, cobrowse.SessionID(fmt.Sprint("t-", i)))
		}
		n.want(t, "s-2")
	}
	select {
	case id := <-first.events:
		t.Errorf("the follower that has ended heard of %s", id)
	default:
	}
}

// A follower whose lease another process has taken stops, stores nothing any more, and
// waits for its turn.
func TestFollowerLosesItsLease(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	address := fresh(server.URL)
	first := startNode(t, address, "name")
	apply(t, first.store, "s-1")
	first.want(t, "s-1")
	// As after a pause that was longer than the lease: somebody has taken it, handled
	// what there was, and is gone again.
	key := first.store.Key("{index}:follower:name")
	raw := first.store.Raw()
	for _, pair := range [][2]string{{"fence", "7"}, {"place", "0"}, {"owner", ""}} {
		if err := raw.Do(t.Context(), raw.B().Hset().Key(key).FieldValue().FieldValue(pair[0], pair[1]).Build()).Error(); err != nil {
			t.Fatalf("HSET: %v", err)
		}
	}
	// It finds out when it stores its place, and begins where the other says.
	apply(t, first.store, "s-2")
	first.want(t, "s-2", "s-1", "s-2")
	fence, err := raw.Do(t.Context(), raw.B().Hget().Key(key).Field("fence").Build()).AsInt64()
	if err != nil || fence != 8 {
		t.Errorf("the fencing number is %d, %v; want 8", fence, err)
	}
}

// The server lost the latest events, as a replica has that was promoted too early: what
// comes afterwards is not taken for what was handled.
func TestServerLosesEvents(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	address := fresh(server.URL)
	named, unnamed := startNode(t, address, "name"), startNode(t, address, "")
	for i := range 5 {
		id := cobrowse.SessionID(fmt.Sprint("s-", i))
		apply(t, named.store, id)
		named.want(t, id)
		unnamed.want(t, id)
	}
	server.Do(t, "FLUSHALL")
	until(t, "the store notices", func() bool { return named.store.LastEvent() == 0 && unnamed.store.LastEvent() == 0 })
	apply(t, named.store, "after")
	named.want(t, "after")
	unnamed.want(t, "after")
}

// A replica without the latest events has taken the server's place, and has been given
// others of the same numbers before anybody noticed.
func TestAnotherServerWithOtherEvents(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	address := fresh(server.URL)
	named, unnamed := startNode(t, address, "name"), startNode(t, address, "")
	lua := func(script string, args ...string) {
		t.Helper()
		raw := named.store.Raw()
		keys := []string{named.store.Key("{index}:events"), named.store.Key("{index}:sequence"), named.store.Key("{index}:kept")}
		if err := raw.Do(t.Context(), raw.B().Eval().Script(script).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()).Error(); err != nil {
			t.Fatalf("EVAL: %v", err)
		}
	}
	for i := range 6 {
		id := cobrowse.SessionID(fmt.Sprint("s-", i))
		apply(t, named.store, id)
		named.want(t, id)
		unnamed.want(t, id)
		if i == 2 {
			lua("return redis.call('COPY', KEYS[1], KEYS[3])")
		}
	}
	event, err := json.Marshal(cobrowse.Event{At: t0, SessionID: "other"})
	if err != nil {
		t.Fatal(err)
	}
	lua(`redis.call('DEL', KEYS[1]) redis.call('RENAME', KEYS[3], KEYS[1]) redis.call('SET', KEYS[2], 9)
		for i = 4, 9 do redis.call('XADD', KEYS[1], i .. '-0', 'e', ARGV[1]) end return 1`, string(event))
	server.Do(t, "CLIENT", "KILL", "TYPE", "normal")
	named.want(t, "other", "other", "other", "other", "other", "other")
	unnamed.want(t, "other", "other", "other", "other", "other", "other")
}
