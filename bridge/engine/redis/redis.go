package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/knowledge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

var (
	_ cobrowse.Store           = (*Store)(nil)
	_ cobrowse.Index           = (*Store)(nil)
	_ cobrowse.Events          = (*Store)(nil)
	_ cobrowse.DeploymentStore = (*Store)(nil)
	_ cobrowse.SecretStore     = (*Store)(nil)
	_ conversations.Store      = (*Store)(nil)
	_ oauth.Store              = (*Store)(nil)
	_ knowledge.Store          = (*Store)(nil)
	_ notify.Store             = (*Store)(nil)
	_ notify.WebhookStore      = (*Store)(nil)
	_ notify.Outbox            = (*Store)(nil)
)

const (
	// callLimit bounds one exchange with the server, unless the caller's context ends before.
	callLimit = 5 * time.Second
	// finishLimit bounds what is done for a change after it was decided, whether or not
	// the caller still waits.
	finishLimit = 3 * time.Second
	// closeLimit bounds how long Close waits for followers.
	closeLimit = 2 * time.Second
	// pageSize is how many keys are asked for or deleted in one exchange.
	pageSize = 200
)

// Config says where the store is.
type Config struct {
	// Address is a URL, as [ParseAddress] describes it.
	Address string
	// Log receives what an operator acts on; nil = nothing is logged.
	Log *slog.Logger
}

// Store is an open store. Close it after everything that uses it has stopped.
type Store struct {
	client     rueidis.Client
	log        *slog.Logger
	prefix     string
	script     scripts
	durability Durability

	mu        sync.Mutex // before closing is closed, followers may be added
	closing   chan struct{}
	closeOnce func() error
	closed    atomic.Bool
	work      sync.WaitGroup // the tail and the finisher
	followers sync.WaitGroup
	tail      *eventTail
}

// Open connects to the store. It fails if no server answers, if one is too old or may
// throw data away, and if a newer version wrote what is there.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	return open(ctx, cfg, func(c rueidis.Client) rueidis.Client { return c })
}

func open(ctx context.Context, cfg Config, wrap func(rueidis.Client) rueidis.Client) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	address, err := ParseAddress(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	client, err := rueidis.NewClient(address.option)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", address, err)
	}
	s := &Store{client: wrap(client), log: cfg.Log, prefix: address.Prefix, script: newScripts(), closing: make(chan struct{}), tail: newEventTail()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.closeOnce = sync.OnceValue(s.close)
	if err := s.prepare(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("open store %s: %w", address, err)
	}
	s.work.Go(s.readTail)
	s.work.Go(s.finishLeftovers)
	d := s.durability
	s.log.InfoContext(ctx, "store opened", "address", address.String(), "prefix", s.prefix, "mode", d.Mode, "server", d.Server,
		"version", d.Version, "appendOnly", d.AppendOnly, "appendFsync", d.AppendFsync, "replicas", d.Replicas)
	if !d.AppendOnly {
		s.log.WarnContext(ctx, "the Redis server keeps no append-only file: when it stops, what was stored since its last snapshot is lost")
	}
	return s, nil
}

// format is the version of what is stored: keys, and the JSON form of the domains'
// structs. A change that an older program would misread raises it.
const format = 1

// prepare checks the servers and what is stored.
func (s *Store) prepare(ctx context.Context) error {
	var err error
	if s.durability, err = inspect(ctx, s.client); err != nil {
		return err
	}
	b := s.client.B
	results, err := s.doAll(ctx, b().Set().Key(s.key("{index}:format")).Value(strconv.Itoa(format)).Nx().Build(),
		b().Get().Key(s.key("{index}:format")).Build(), b().Get().Key(s.key("{index}:sequence")).Build())
	if err != nil {
		return err
	}
	if found, err := results[1].AsInt64(); err != nil || found > format {
		return fmt.Errorf("it has format %d, this version of cobridge knows formats up to %d: start the newer version that wrote it", found, format)
	}
	last, err := results[2].AsUint64()
	if err != nil && !rueidis.IsRedisNil(err) {
		return fmt.Errorf("read the sequence of events: %w", err)
	}
	s.tail.start(last)
	return nil
}

// Close ends followers and closes the connections. Later calls fail with
// CodeUnavailable. It may be called more than once.
func (s *Store) Close() error { return s.closeOnce() }

func (s *Store) close() error {
	s.mu.Lock()
	close(s.closing)
	s.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		s.followers.Wait()
		s.work.Wait()
		close(gone)
	}()
	timer := time.NewTimer(closeLimit)
	defer timer.Stop()
	select {
	case <-gone:
	case <-timer.C: // a handler of events does not return
	}
	s.closed.Store(true)
	s.client.Close()
	return nil
}

// Ping fails with CodeUnavailable when the store is closed or no server answers.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.do(ctx, s.client.B().Get().Key(s.key("{index}:format")).Build())
	return err
}

// Stats are numbers for metrics.
type Stats struct {
	LiveSessions int64
	// Unfinished are changes that were begun and neither finished nor given up yet:
	// those under way, and those that a process left when it was killed.
	Unfinished int64
}

// Stats asks for the present numbers.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var commands []rueidis.Completed
	for _, name := range []string{idleIndex, activeIndex, intentIndex} {
		commands = append(commands, s.client.B().Zcard().Key(s.key(name)).Build())
	}
	results, err := s.doAll(ctx, commands...)
	if err != nil {
		return Stats{}, err
	}
	var counts [3]int64
	for i := range counts {
		if counts[i], err = results[i].AsInt64(); err != nil {
			return Stats{}, fmt.Errorf("count sessions: %w", err)
		}
	}
	return Stats{LiveSessions: counts[0] + counts[1], Unfinished: counts[2]}, nil
}

// Durability returns what the servers said about themselves when the store was opened.
func (s *Store) Durability() Durability { return s.durability }

// key is the name under which something is stored.
func (s *Store) key(name string) string { return s.prefix + name }

// failure translates what the driver says. The context of the call is the caller's,
// without the limit that was set here.
func (s *Store) failure(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	if refusal, ok := rueidis.IsRedisErr(err); ok && !passing(refusal) {
		return fmt.Errorf("the store's server refused a command: %w", err)
	}
	return unavailable(err)
}

func unavailable(cause error) error {
	return &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "The store is not available.", Err: cause}
}

var errClosed = errors.New("the store is closed")
