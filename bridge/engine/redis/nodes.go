package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/cobridge/cobridge/bridge/cluster"
	"github.com/cobridge/cobridge/cobrowse"
)

var _ cluster.Store = (*Store)(nil)

// The processes are in one slot: until when each lives by the server's clock, its
// address, and the names that were buried, with the moment. Each room is in the slot of
// its session.
const (
	nodesUntil  = "{nodes}:until"
	nodesPeers  = "{nodes}:peers"
	nodesBuried = "{nodes}:buried"
	nodesNews   = "{nodes}:news" // a channel
)

const (
	luaNow = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`
	// registerText: KEYS until, peers. ARGV id, peer, life in ms.
	registerText = luaNow + `redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1`
	// beatText: KEYS until, peers, buried. ARGV id (empty = only look), life in ms. It
	// answers whether the id is there, the time, the peers as peer and milliseconds that
	// are left, and the burials as name and age.
	beatText = luaNow + `local there = 1
if ARGV[1] ~= '' then
	if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
		redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
	else
		there = 0
	end
end
local out = {there, string.format('%.0f', now)}
local lives = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
out[3] = tostring(#lives / 2)
for i = 1, #lives, 2 do
	out[#out + 1] = redis.call('HGET', KEYS[2], lives[i]) or '{}'
	out[#out + 1] = string.format('%.0f', tonumber(lives[i + 1]) - now)
end
local buried = redis.call('HGETALL', KEYS[3])
for i = 1, #buried, 2 do
	out[#out + 1] = buried[i]
	out[#out + 1] = string.format('%.0f', now - tonumber(buried[i + 1]))
end
return out`
	// buryNodeText: KEYS until, peers, buried. ARGV id, 1 = whether or not its life is over.
	buryNodeText = luaNow + `local over = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not over or ARGV[2] ~= '1' and tonumber(over) > now then
	return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], string.format('%.0f', now))
return 1`

	// takeRoomText: KEYS room. ARGV node, from or empty, keep in ms. It answers who has the
	// room now, and the fencing number.
	takeRoomText = `local r = redis.call('HMGET', KEYS[1], 'node', 'fence')
local owner = r[1] or ''
if owner == ARGV[1] then
	redis.call('PEXPIRE', KEYS[1], ARGV[3])
	return {owner, r[2]}
end
if owner ~= '' and owner ~= ARGV[2] then
	return {owner, r[2]}
end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'node', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {ARGV[1], tostring(fence)}`
	// keepRoomText: KEYS room. ARGV node, fence, keep in ms. A server that took over from
	// another may have lost the lease: it is written again.
	keepRoomText = `local r = redis.call('HMGET', KEYS[1], 'node', 'fence')
if not r[2] then
	redis.call('HSET', KEYS[1], 'node', ARGV[1], 'fence', ARGV[2])
elseif r[1] ~= ARGV[1] or r[2] ~= ARGV[2] then
	return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`
	// releaseRoomText: KEYS room. ARGV node, fence, keep in ms. The number stays.
	releaseRoomText = `local r = redis.call('HMGET', KEYS[1], 'node', 'fence')
if r[1] == ARGV[1] and r[2] == ARGV[2] then
	redis.call('HDEL', KEYS[1], 'node')
	redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1`
)

func (s *Store) nodeKeys() []string {
	return []string{s.key(nodesUntil), s.key(nodesPeers), s.key(nodesBuried)}
}

func (s *Store) roomKey(id cobrowse.SessionID) string { return s.key("room{" + part(id) + "}") }

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Register implements [cluster.Store].
func (s *Store) Register(ctx context.Context, p cluster.Peer, life time.Duration) error {
	peer, err := encode(p)
	if err != nil {
		return err
	}
	_, err = s.run(ctx, call{newScript(registerText), s.nodeKeys()[:2], []string{p.ID, peer, milliseconds(life)}})
	return err
}

// Beat implements [cluster.Store].
func (s *Store) Beat(ctx context.Context, id string, life time.Duration) (cluster.Present, error) {
	return s.present(ctx, id, life)
}

// Peers implements [cluster.Store].
func (s *Store) Peers(ctx context.Context) (cluster.Present, error) { return s.present(ctx, "", 0) }

func (s *Store) present(ctx context.Context, id string, life time.Duration) (cluster.Present, error) {
	answer, err := s.run(ctx, call{newScript(beatText), s.nodeKeys(), []string{id, milliseconds(life)}})
	if err != nil {
		return cluster.Present{}, err
	}
	all, err := list(answer)
	if err != nil || len(all) < 3 {
		return cluster.Present{}, fmt.Errorf("read the answer of a script: %w", err)
	}
	if all[0] != "1" {
		return cluster.Present{}, cluster.ErrBuried
	}
	number := func(text string) int64 {
		n, convErr := strconv.ParseInt(text, 10, 64)
		if convErr != nil && err == nil {
			err = fmt.Errorf("read the answer of a script: %w", convErr)
		}
		return n
	}
	p := cluster.Present{Now: time.UnixMilli(number(all[1])).UTC()}
	peers := int(number(all[2]))
	for i := 3; i+1 < len(all); i += 2 {
		if len(p.Peers) == peers {
			p.Buried = append(p.Buried, cluster.Burial{ID: all[i], Age: time.Duration(number(all[i+1])) * time.Millisecond})
			continue
		}
		var seen cluster.Seen
		if jsonErr := json.Unmarshal([]byte(all[i]), &seen.Peer); jsonErr != nil && err == nil {
			err = fmt.Errorf("decode what is stored: %w", jsonErr)
		}
		seen.Overdue = number(all[i+1]) < 0
		p.Peers = append(p.Peers, seen)
	}
	return p, err
}

// Bury implements [cluster.Store].
func (s *Store) Bury(ctx context.Context, id string, force bool) (bool, error) {
	flag := "0"
	if force {
		flag = "1"
	}
	answer, err := s.run(ctx, call{newScript(buryNodeText), s.nodeKeys(), []string{id, flag}})
	if err != nil {
		return false, err
	}
	done, err := answer.AsInt64()
	return done == 1, err
}

// Forget implements [cluster.Store].
func (s *Store) Forget(ctx context.Context, id string) error {
	_, err := s.do(ctx, s.client.B().Hdel().Key(s.key(nodesBuried)).Field(id).Build())
	return err
}

// Take implements [cluster.Store].
func (s *Store) Take(ctx context.Context, session cobrowse.SessionID, node, from string, keep time.Duration) (cluster.Lease, error) {
	answer, err := s.run(ctx, call{newScript(takeRoomText), []string{s.roomKey(session)}, []string{node, from, milliseconds(keep)}})
	if err != nil {
		return cluster.Lease{}, err
	}
	words, err := list(answer)
	if err != nil {
		return cluster.Lease{}, err
	}
	return leaseOf(words)
}

// Owner implements [cluster.Store].
func (s *Store) Owner(ctx context.Context, session cobrowse.SessionID) (cluster.Lease, error) {
	result, err := s.do(ctx, s.client.B().Hmget().Key(s.roomKey(session)).Field("node", "fence").Build())
	if err != nil {
		return cluster.Lease{}, err
	}
	message, err := result.ToMessage()
	if err != nil {
		return cluster.Lease{}, err
	}
	words, err := list(message)
	if err != nil {
		return cluster.Lease{}, err
	}
	return leaseOf(words)
}

func leaseOf(words []string) (cluster.Lease, error) {
	if len(words) != 2 || words[1] == "" {
		return cluster.Lease{}, nil
	}
	fence, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		return cluster.Lease{}, fmt.Errorf("decode what is stored: a fencing number: %w", err)
	}
	return cluster.Lease{Node: words[0], Fence: fence}, nil
}

// Keep implements [cluster.Store].
func (s *Store) Keep(ctx context.Context, held map[cobrowse.SessionID]cluster.Lease, keep time.Duration) ([]cobrowse.SessionID, error) {
	script := newScript(keepRoomText)
	var ids, lost []cobrowse.SessionID
	var calls []call
	flush := func() error {
		answers, err := s.runAll(ctx, calls...)
		if err != nil {
			return err
		}
		for i, answer := range answers {
			kept, err := answer.AsInt64()
			if err != nil {
				return fmt.Errorf("read the answer of a script: %w", err)
			}
			if kept == 0 {
				lost = append(lost, ids[i])
			}
		}
		ids, calls = ids[:0], calls[:0]
		return nil
	}
	for id, l := range held {
		ids = append(ids, id)
		calls = append(calls, call{script, []string{s.roomKey(id)}, []string{l.Node, strconv.FormatUint(l.Fence, 10), milliseconds(keep)}})
		if len(calls) == pageSize {
			if err := flush(); err != nil {
				return lost, err
			}
		}
	}
	if len(calls) == 0 {
		return lost, nil
	}
	return lost, flush()
}

// Release implements [cluster.Store].
func (s *Store) Release(ctx context.Context, session cobrowse.SessionID, l cluster.Lease, keep time.Duration) error {
	_, err := s.run(ctx, call{newScript(releaseRoomText), []string{s.roomKey(session)}, []string{l.Node, strconv.FormatUint(l.Fence, 10), milliseconds(keep)}})
	return err
}

// Tell implements [cluster.Store].
func (s *Store) Tell(ctx context.Context, text string) error {
	_, err := s.do(ctx, s.client.B().Spublish().Channel(s.key(nodesNews)).Message(text).Build())
	return err
}

// newsWaiting may be heard and not be done yet.
const newsWaiting = 4096

var errBehind = errors.New("more is told than can be done")

// Listen implements [cluster.Store].
func (s *Store) Listen(ctx context.Context, ready func(), fn func(text string)) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	listening, cancel := context.WithCancelCause(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel(nil)
	heard, subscribed := make(chan string, newsWaiting), make(chan struct{}, 1)
	work.Go(func() { // not in the driver's goroutine: what is done may ask the server
		for {
			select {
			case <-listening.Done():
				return
			case <-subscribed:
				ready()
			case text := <-heard:
				fn(text)
			}
		}
	})
	// The driver connects and subscribes again by itself; each time something may have
	// been missed.
	hooked := rueidis.WithOnSubscriptionHook(listening, func(rueidis.PubSubSubscription) {
		select {
		case subscribed <- struct{}{}:
		default: // it waits already
		}
	})
	err := s.client.Receive(hooked, s.client.B().Ssubscribe().Channel(s.key(nodesNews)).Build(), func(m rueidis.PubSubMessage) {
		select {
		case heard <- m.Message:
		default:
			cancel(errBehind) // whoever listens begins anew, and looks what was missed
		}
	})
	if cause := context.Cause(listening); errors.Is(cause, errBehind) {
		return cause
	}
	return s.failure(ctx, err)
}

// Followed returns the sequence of the latest event that the follower of this name has
// noted as handled, about a second late; 0 if there never was one.
func (s *Store) Followed(ctx context.Context, name string) (uint64, error) {
	result, err := s.do(ctx, s.client.B().Hget().Key(s.followerKey(name)).Field("place").Build())
	if err != nil {
		return 0, err
	}
	place, err := result.AsUint64()
	if rueidis.IsRedisNil(err) {
		return 0, nil
	}
	return place, err
}
