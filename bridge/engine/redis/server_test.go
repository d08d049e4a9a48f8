package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/redis"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// What was acknowledged is there after kill -9 of the server, which writes it to its file
// before it answers, whether or not it syncs the file then; and the stores of all nodes go
// on with the server that is back.
func TestServerIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	for _, fsync := range []string{"always", "everysec"} {
		t.Run(fsync, func(t *testing.T) {
			t.Parallel()
			testKilledServer(t, testenv.StartRedis(t, "--appendfsync", fsync))
		})
	}
}

func testKilledServer(t *testing.T, server *testenv.RedisServer) {
	t.Helper()
	address := fresh(server.URL)
	nodes := []*redis.Store{mustOpen(t, address), mustOpen(t, address)}
	follower := make(chan cobrowse.Event, 10000)
	following, stop := context.WithCancel(t.Context())
	followed := make(chan error, 1)
	go func() {
		followed <- nodes[0].Follow(following, "events", nil, func(_ context.Context, e cobrowse.Event) error {
			follower <- e
			return nil
		})
	}()
	acknowledged := map[cobrowse.SessionID]bool{}
	var mu sync.Mutex
	var writers sync.WaitGroup
	enough := make(chan struct{})
	for w := range 8 {
		writers.Go(func() {
			for i := 0; ; i++ {
				id := cobrowse.SessionID(fmt.Sprintf("s-%d-%d", w, i))
				c := created(id, conversations.ID(id))
				err := nodes[w%2].Apply(t.Context(), c)
				if err != nil {
					if code := cobridge.CodeOf(err); code != cobridge.CodeUnavailable {
						t.Errorf("Apply without a server = %v with code %q, want code %q", err, code, cobridge.CodeUnavailable)
					}
					return
				}
				mu.Lock()
				acknowledged[id] = true
				if len(acknowledged) == 400 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	server.Kill(t)
	writers.Wait()
	wantUnavailable(t, nodes[1])
	server.Start(t)
	for _, node := range nodes {
		until(t, "the server is back", func() bool { return node.Ping(t.Context()) == nil })
	}
	for id := range acknowledged {
		if _, err := nodes[0].Session(t.Context(), id); err != nil {
			t.Fatalf("Session(%s) = %v after it was acknowledged", id, err)
		}
		if holder, err := nodes[1].Holder(t.Context(), cobrowse.Claim{Kind: cobrowse.ClaimConversation, OrgID: org, Key: string(id)}); holder != id {
			t.Fatalf("Holder = %q, %v; want %s", holder, err, id)
		}
	}
	if _, err := nodes[1].FinishLeftovers(t.Context(), 0); err != nil {
		t.Errorf("FinishLeftovers: %v", err)
	}
	// No event of what was acknowledged is missing, and each comes once or more.
	mustApply(t, nodes[1], created("last", "last"))
	for timeout := time.After(time.Minute); len(acknowledged) > 0; {
		select {
		case e := <-follower:
			delete(acknowledged, e.SessionID)
		case <-timeout:
			t.Fatalf("the events of %d sessions did not come within a minute", len(acknowledged))
		}
	}
	stop()
	if err := <-followed; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow = %v, want %v: it goes on when the server is back", err, context.Canceled)
	}
}

// created is a change that creates a session with a claim of the conversation.
func created(id cobrowse.SessionID, conversation conversations.ID) cobrowse.Change {
	s := session(id)
	s.ConversationID = conversation
	return cobrowse.Change{
		At: t0, Session: s, Take: []cobrowse.Claim{{Kind: cobrowse.ClaimConversation, OrgID: org, Key: string(conversation)}},
		Events: []cobrowse.Event{event(s, cobrowse.EventCreated)},
	}
}

// until waits for something that comes about without telling.
func until(t *testing.T, what string, fn func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for timeout := time.After(time.Minute); !fn(); {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("within a minute it did not come about that %s", what)
		}
	}
}

// wantUnavailable checks that calls fail as they should, without the driver's words.
func wantUnavailable(t *testing.T, s *redis.Store) {
	t.Helper()
	_, session := s.Session(t.Context(), "s-1")
	_, _, sessions := s.Sessions(t.Context(), cobrowse.Query{Limit: 1})
	_, holder := s.Holder(t.Context(), talk)
	_, revoked := s.Revoked(t.Context(), "jti", t0)
	_, user := s.User(t.Context(), org, "u-1")
	for call, err := range map[string]error{
		"Session": session, "Sessions": sessions, "Holder": holder, "Revoked": revoked, "User": user,
		"Apply": s.Apply(t.Context(), creating("s-9")), "Ping": s.Ping(t.Context()),
	} {
		e, ok := errors.AsType[*cobridge.Error](err)
		if !ok || e.Code != cobridge.CodeUnavailable || e.Message != "The store is not available." {
			t.Errorf("%s = %v, want code %q", call, err, cobridge.CodeUnavailable)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Apply(ctx, creating("s-9")); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply with an ended context = %v, want %v", err, context.Canceled)
	}
}

func TestClosedStore(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	store := mustOpen(t, fresh(server.URL))
	following := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		following <- store.Follow(t.Context(), "name", func() { close(ready) }, func(context.Context, cobrowse.Event) error { return nil })
	}()
	<-ready
	for range 2 {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	wantUnavailable(t, store)
	for call, err := range map[string]error{
		"Follow that ran": <-following, "Follow": store.Follow(t.Context(), "", nil, nil),
	} {
		if cobridge.CodeOf(err) != cobridge.CodeUnavailable {
			t.Errorf("%s = %v, want code %q", call, err, cobridge.CodeUnavailable)
		}
	}
}

// The server forgets scripts when it is told to, and when it starts.
func TestScriptsAreFlushed(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	store := mustOpen(t, fresh(server.URL))
	stop := make(chan struct{})
	var flushing sync.WaitGroup
	flushing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				server.Do(t, "SCRIPT", "FLUSH")
			}
		}
	})
	for i := range 50 {
		mustApply(t, store, created(cobrowse.SessionID(fmt.Sprint("s-", i)), conversations.ID(fmt.Sprint("c-", i))))
		if err := store.PutUser(t.Context(), conversations.User{ID: conversations.UserID(fmt.Sprint("u-", i)), OrgID: org, Name: "Kim Customer"}); err != nil {
			t.Fatalf("PutUser: %v", err)
		}
	}
	close(stop)
	flushing.Wait()
	if _, total, err := store.Sessions(t.Context(), cobrowse.Query{OrgID: org, Limit: 1}); total != 50 || err != nil {
		t.Errorf("Sessions counts %d, %v; want 50", total, err)
	}
}

// Two nodes race for one conversation after the other.
func TestTwoNodesRace(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) string{
		"one server": func(t *testing.T) string { return testenv.StartRedis(t, "--appendonly", "no").URL },
		"cluster":    func(t *testing.T) string { return testenv.StartRedisCluster(t).URL },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := fresh(start(t))
			nodes := []*redis.Store{mustOpen(t, address), mustOpen(t, address)}
			for round := range 20 {
				conversation := conversations.ID(fmt.Sprint("c-", round))
				var winners atomic.Int32
				var won atomic.Value
				var losers sync.Map
				var racing sync.WaitGroup
				for i := range 64 {
					racing.Go(func() {
						c := created(cobrowse.SessionID(fmt.Sprintf("s-%d-%d", round, i)), conversation)
						err := nodes[i%2].Apply(t.Context(), c)
						claimed, lost := errors.AsType[*cobrowse.ClaimedError](err)
						switch {
						case err == nil:
							winners.Add(1)
							won.Store(c.Session.ID)
						case lost:
							losers.Store(claimed.Holder, true)
						default:
							t.Errorf("Apply = %v, want nil or a ClaimedError", err)
						}
					})
				}
				racing.Wait()
				if n := winners.Load(); n != 1 {
					t.Fatalf("round %d: %d winners, want 1", round, n)
				}
				losers.Range(func(holder, _ any) bool {
					if holder != won.Load() {
						t.Errorf("round %d: a loser was told %v, want %v", round, holder, won.Load())
					}
					return true
				})
				for i, node := range nodes {
					if _, total, err := node.Sessions(t.Context(), cobrowse.Query{OrgID: org, ConversationID: conversation, Limit: 10}); total != 1 || err != nil {
						t.Errorf("round %d: node %d counts %d sessions, %v; want 1", round, i, total, err)
					}
				}
			}
			if stats, err := nodes[0].Stats(t.Context()); err != nil || stats.LiveSessions != 20 || stats.Unfinished != 0 {
				t.Errorf("Stats = %+v, %v; want 20 live sessions and nothing unfinished", stats, err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	evicting := testenv.StartRedis(t, "--appendonly", "no", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	newer := testenv.StartRedis(t, "--appendonly", "no")
	newer.Do(t, "SET", "n:{index}:format", "99")
	for _, tt := range []struct{ name, address, want string }{
		{"a server that evicts", evicting.URL, "maxmemory-policy"},
		{"what a newer version wrote", newer.URL + "?prefix=n:", "format 99"},
		{"an old Redis", fakeServer(t, "redis_version:6.2.14"), `version "6.2.14"`},
		{"a replica", fakeServer(t, "redis_version:7.2.0", "role:slave"), "no server says that it is a master"},
		{"no server", "redis://user:hunter2@127.0.0.1:1", "redis://127.0.0.1:1"},
		{"no address", "bolt:file", "want redis://HOST:PORT"},
	} {
		store, err := redis.Open(t.Context(), redis.Config{Address: tt.address})
		if err == nil {
			_ = store.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: Open = %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestDurability(t *testing.T) {
	t.Parallel()
	for fsync, args := range map[string][]string{
		"always": nil, "everysec": {"--appendfsync", "everysec"},
	} {
		server := testenv.StartRedis(t, args...)
		got := mustOpen(t, fresh(server.URL)).Durability()
		if got.Version == "" || got.Server == "" || !got.AppendOnly || got.AppendFsync != fsync || got.Masters != 1 || got.Mode != "standalone" {
			t.Errorf("Durability = %+v, want an append-only file synced %s", got, fsync)
		}
	}
	got := mustOpen(t, fresh(testenv.StartRedisCluster(t).URL)).Durability()
	if got.Masters != 3 || got.Mode != "cluster" || !got.AppendOnly || got.AppendFsync != "always" {
		t.Errorf("Durability of a cluster = %+v, want one of three masters", got)
	}
}

// fakeServer answers INFO with the given lines and refuses everything else, as a server
// of an old version does with what it does not know.
func fakeServer(t *testing.T, info ...string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	if len(info) == 1 {
		info = append(info, "role:master")
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { answer(conn, strings.Join(info, "\r\n")) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		serving.Wait()
	})
	return "redis://" + ln.Addr().String()
}

func answer(conn net.Conn, info string) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for {
		head, err := r.ReadString('\n')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "*")))
		if err != nil {
			return
		}
		var words []string
		for range n {
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
			word, err := r.ReadString('\n')
			if err != nil {
				return
			}
			words = append(words, strings.ToUpper(strings.TrimSpace(word)))
		}
		reply := "-ERR unknown command `" + words[0] + "`\r\n"
		switch words[0] {
		case "INFO":
			reply = fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)
		case "CLUSTER":
			reply = "-ERR This instance has cluster support disabled\r\n"
		case "CLIENT":
			reply = "+OK\r\n"
		case "PING":
			reply = "+PONG\r\n"
		}
		if _, err := conn.Write([]byte(reply)); err != nil {
			return
		}
	}
}

// replicated finds how far a master's first replica has come, and how far the master has.
var replicated = regexp.MustCompile(`(?s)slave0:\S*offset=(\d+).*master_repl_offset:(\d+)`)

// The master dies, its replica takes its place, and the store goes on with it. What had
// reached the replica is there, and of a conversation there is still one session.
func TestSentinel(t *testing.T) {
	t.Parallel()
	s := testenv.StartRedisSentinel(t)
	store := mustOpen(t, fresh(s.URL))
	if d := store.Durability(); d.Mode != "sentinel" || d.Replicas != 1 || d.Masters != 1 {
		t.Errorf("Durability = %+v, want a master with a replica behind Sentinel", d)
	}
	mustApply(t, store, created("s-1", "c-1"))
	// WAIT would count the writes of its own connection alone.
	until(t, "the replica has all", func() bool {
		found := replicated.FindStringSubmatch(s.Master.Do(t, "INFO", "replication"))
		return found != nil && found[1] == found[2]
	})
	s.Master.Kill(t)
	var err error
	until(t, "the replica takes its place", func() bool {
		err = store.Apply(t.Context(), created("s-2", "c-2"))
		if err != nil && cobridge.CodeOf(err) != cobridge.CodeUnavailable {
			t.Fatalf("Apply meanwhile = %v, want code %q", err, cobridge.CodeUnavailable)
		}
		return err == nil
	})
	if claimed, ok := errors.AsType[*cobrowse.ClaimedError](store.Apply(t.Context(), created("s-3", "c-1"))); !ok || claimed.Holder != "s-1" {
		t.Errorf("a second create of the conversation = %v, want it refused for s-1", claimed)
	}
	if _, total, err := store.Sessions(t.Context(), cobrowse.Query{OrgID: org, Limit: 10}); total != 2 || err != nil {
		t.Errorf("Sessions counts %d, %v; want 2", total, err)
	}
}

// One node of a cluster is gone for a while: what needs it is unavailable, and nothing is
// half done when it is back.
func TestNodeOfAClusterIsKilled(t *testing.T) {
	t.Parallel()
	cluster := testenv.StartRedisCluster(t)
	store := mustOpen(t, fresh(cluster.URL))
	n, failed := 0, 0
	create := func() error {
		n++
		return store.Apply(t.Context(), created(cobrowse.SessionID(fmt.Sprint("s-", n)), conversations.ID(fmt.Sprint("c-", n))))
	}
	for _, node := range cluster.Nodes {
		node.Kill(t)
		for range 10 {
			if err := create(); cobridge.CodeOf(err) == cobridge.CodeUnavailable {
				failed++
			} else if err != nil {
				t.Errorf("Apply without a node = %v, want nil or code %q", err, cobridge.CodeUnavailable)
			}
		}
		node.Start(t)
		until(t, "every node knows that the cluster is whole", func() bool {
			return !slices.ContainsFunc(cluster.Nodes, func(n *testenv.RedisServer) bool {
				return !strings.Contains(n.Do(t, "CLUSTER", "INFO"), "cluster_state:ok")
			})
		})
		if err := create(); err != nil {
			t.Errorf("Apply after the node is back = %v", err)
		}
	}
	if failed == 0 {
		t.Error("every create succeeded although a node was gone")
	}
	if _, err := store.FinishLeftovers(t.Context(), 0); err != nil {
		t.Fatalf("FinishLeftovers: %v", err)
	}
	there := 0
	for i := 1; i <= n; i++ {
		id, conversation := cobrowse.SessionID(fmt.Sprint("s-", i)), conversations.ID(fmt.Sprint("c-", i))
		_, err := store.Session(t.Context(), id)
		holder, _ := store.Holder(t.Context(), cobrowse.Claim{Kind: cobrowse.ClaimConversation, OrgID: org, Key: string(conversation)})
		_, listed, listing := store.Sessions(t.Context(), cobrowse.Query{OrgID: org, ConversationID: conversation, Limit: 1})
		switch {
		case err == nil && holder == id && listed == 1 && listing == nil:
			there++
		case cobridge.CodeOf(err) == cobridge.CodeNotFound && holder == "" && listed == 0:
		default:
			t.Errorf("session %s: %v, its conversation held by %q, listed %d times, %v", id, err, holder, listed, listing)
		}
	}
	if stats, err := store.Stats(t.Context()); err != nil || stats.Unfinished != 0 || stats.LiveSessions != int64(there) {
		t.Errorf("Stats = %+v, %v; want %d live sessions and nothing unfinished", stats, err, there)
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no", "--requirepass", "hunter@2")
	place := strings.TrimPrefix(server.URL, "redis+unix://")
	store := mustOpen(t, "redis+unix://:hunter%402@"+place+"?db=3")
	mustApply(t, store, creating("s-1"))
	wantWhole(t, mustOpen(t, "redis+unix://default:hunter%402@"+place+"?db=3"), "s-1", 1)
	for _, wrong := range []string{"", ":hunter3@"} {
		_, err := redis.Open(t.Context(), redis.Config{Address: "redis+unix://" + wrong + place})
		if err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("Open with a wrong password = %v, want an error without it", err)
		}
	}
}
