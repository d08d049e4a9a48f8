package limit

import (
	"context"
	"fmt"
	"time"

	"github.com/cobridge/cobridge"
)

// Rule is the size of a bucket and how fast it fills.
type Rule struct {
	PerMinute int // tokens added in a minute, evenly; 0 or less = no limit
	Burst     int // tokens in a full bucket, where every bucket starts; 0 = PerMinute
}

// refill is the time in which one token comes back.
func (r Rule) refill() time.Duration { return max(time.Minute/time.Duration(r.PerMinute), 1) }

func (r Rule) normal() Rule {
	if r.Burst <= 0 {
		r.Burst = r.PerMinute
	}
	return r
}

// Store keeps buckets. Each call is one atomic step. A key always comes with the
// same rule, and at tells the time, never the store's own clock. A bucket that
// the store does not know is full, so it may forget those that have refilled.
type Store interface {
	// Take removes a token and returns 0; or, where there is none, removes nothing
	// and returns how long it takes until there is one.
	Take(ctx context.Context, key string, rule Rule, at time.Time) (time.Duration, error)
	// Wait returns how long it takes until there is a token, 0 if there is one. It
	// changes nothing.
	Wait(ctx context.Context, key string, rule Rule, at time.Time) (time.Duration, error)
	// Charge removes a token even where there is none: then the bucket owes it, up
	// to [MaxDebt] of refilling.
	Charge(ctx context.Context, key string, rule Rule, at time.Time) error
}

// MaxDebt bounds how long a bucket that was overdrawn by [Store.Charge] stays empty.
const MaxDebt = 15 * time.Minute

// Config is what a limit is told. Clock is required.
type Config struct {
	PerMinute int            // calls, or wrong guesses, in a minute; 0 = no limit
	Burst     int            // how many may come at once; 0 = PerMinute
	MaxKeys   int            // of the memory kept where Store is nil; 0 = 100000
	Clock     cobridge.Clock // its monotonic part, if it has one, is used
	Store     Store          // nil = a Memory of its own
	Name      string         // put before each key, for limits that share a Store
}

func (c Config) rule() Rule { return Rule{PerMinute: c.PerMinute, Burst: c.Burst}.normal() }

func (c Config) store() Store {
	if c.Store != nil {
		return c.Store
	}
	return NewMemory(c.MaxKeys)
}

// Limiter allows each key so many calls in a minute: a token bucket.
type Limiter struct {
	rule  Rule
	clock cobridge.Clock
	store Store
	name  string
}

// New returns a limiter.
func New(cfg Config) *Limiter {
	return &Limiter{rule: cfg.rule(), clock: cfg.Clock, store: cfg.store(), name: cfg.Name}
}

// Allow takes one call off key's allowance. It fails with CodeTooManyRequests and
// RetryAfter, the time until the next call is allowed, when nothing is left;
// a refused call costs nothing.
func (l *Limiter) Allow(ctx context.Context, key string) error {
	if l.rule.PerMinute <= 0 {
		return nil
	}
	wait, err := l.store.Take(ctx, l.name+key, l.rule, l.clock())
	if err != nil {
		return fmt.Errorf("take from rate limit: %w", err)
	}
	if wait > 0 {
		return &cobridge.Error{Code: cobridge.CodeTooManyRequests, Message: "The rate limit is exceeded.", RetryAfter: wait}
	}
	return nil
}

// Guess allows each key so many wrong guesses in a minute, of a client's secret
// for instance. Right ones cost nothing, however many there are. A nil Guess limits
// nothing.
type Guess struct {
	rule  Rule
	clock cobridge.Clock
	store Store
	name  string
}

// NewGuess returns a limit for guesses.
func NewGuess(cfg Config) *Guess {
	return &Guess{rule: cfg.rule(), clock: cfg.Clock, store: cfg.store(), name: cfg.Name}
}

// Check is called before a guess is looked at. It fails with CodeTooManyRequests
// and RetryAfter when key guessed wrong too often.
func (g *Guess) Check(ctx context.Context, key string) error {
	if g == nil || g.rule.PerMinute <= 0 {
		return nil
	}
	wait, err := g.store.Wait(ctx, g.name+key, g.rule, g.clock())
	if err != nil {
		return fmt.Errorf("read guess limit: %w", err)
	}
	if wait > 0 {
		return &cobridge.Error{Code: cobridge.CodeTooManyRequests, Message: "There were too many failed attempts.", RetryAfter: wait}
	}
	return nil
}

// Fail is called after each wrong guess. Guesses that run at the same time all
// pass Check before the first one fails; each is charged nevertheless, so that
// doing so gains nothing over time (see [MaxDebt]).
func (g *Guess) Fail(ctx context.Context, key string) error {
	if g == nil || g.rule.PerMinute <= 0 {
		return nil
	}
	if err := g.store.Charge(ctx, g.name+key, g.rule, g.clock()); err != nil {
		return fmt.Errorf("charge guess limit: %w", err)
	}
	return nil
}
