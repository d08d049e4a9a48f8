package limit

import (
	"context"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
)

// Scan limits guesses at a space that is small enough to be searched, such as nine
// digits: those of each key by itself, and those of all keys together. Keys that
// have guessed right within a day have a budget of their own, so that somebody who
// uses up that of the strangers keeps no agent from work, and searches no faster. A nil
// Scan limits nothing.
type Scan struct {
	each, strangers, acquaintances *Guess

	clock cobridge.Clock
	mu    sync.Mutex
	young map[string]time.Time // when it guessed right
	older map[string]time.Time
}

// ScanConfig is what a Scan is built from: wrong guesses in a minute. A zero limits
// nothing.
type ScanConfig struct {
	Name          string // as in Config
	Each          int    // of one key
	Strangers     int    // of all keys that have not guessed right lately
	Acquaintances int    // of all that have
	Clock         cobridge.Clock
	Store         Store // as in Config
}

const (
	// remembered is how long a right guess counts.
	remembered = 24 * time.Hour
	// maxAcquaintances bounds them in memory. More than that are no contact centre.
	maxAcquaintances = 20_000
)

// NewScan returns a limit for guesses that could be a search.
func NewScan(cfg ScanConfig) *Scan {
	guess := func(name string, perMinute int) *Guess {
		return NewGuess(Config{Name: cfg.Name + name, PerMinute: perMinute, Clock: cfg.Clock, Store: cfg.Store})
	}
	return &Scan{
		each: guess("each:", cfg.Each), strangers: guess("strangers", cfg.Strangers), acquaintances: guess("acquaintances", cfg.Acquaintances),
		clock: cfg.Clock, young: map[string]time.Time{},
	}
}

// Check is called before a guess is looked at. It fails with CodeTooManyRequests
// and RetryAfter when there were too many wrong ones.
func (s *Scan) Check(ctx context.Context, key string) error {
	if s == nil {
		return nil
	}
	if err := s.each.Check(ctx, key); err != nil {
		return err
	}
	return s.all(key).Check(ctx, "")
}

// Fail is called after each wrong guess.
func (s *Scan) Fail(ctx context.Context, key string) error {
	if s == nil {
		return nil
	}
	if err := s.each.Fail(ctx, key); err != nil {
		return err
	}
	return s.all(key).Fail(ctx, "")
}

// Succeed is called after each right guess.
func (s *Scan) Succeed(key string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= maxAcquaintances/2 {
		s.young, s.older = map[string]time.Time{}, s.young
	}
	s.young[key] = s.clock()
}

// all returns the budget that a key shares.
func (s *Scan) all(key string) *Guess {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.young[key]
	if !ok {
		at, ok = s.older[key]
	}
	if ok && s.clock().Sub(at) < remembered {
		return s.acquaintances
	}
	return s.strangers
}
