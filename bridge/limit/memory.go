package limit

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// defaultMaxKeys is the bound of a [Memory] that was given none: about 20 MB.
const defaultMaxKeys = 100_000

// Memory is the [Store] of one process. It holds at most so many keys, and
// forgets those that were not asked for the longest, roughly: keys are kept in
// two generations of half the size. When the younger one is full, it becomes the
// older, and what is left in the older is forgotten; a key that is asked for
// moves to the younger. All steps take the same time, whatever the number of keys.
//
// Somebody with very many keys can so make it forget another key's empty bucket.
// Where that matters, a second limit over all keys together has to stand beside.
type Memory struct {
	half int

	mu           sync.Mutex
	young, older map[string]*rate.Limiter
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store for at most maxKeys keys, 100000 if that is 0.
func NewMemory(maxKeys int) *Memory {
	if maxKeys <= 0 {
		maxKeys = defaultMaxKeys
	}
	return &Memory{half: max(maxKeys/2, 1), young: map[string]*rate.Limiter{}}
}

// Len returns the number of keys held.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.young) + len(m.older)
}

// Take implements [Store].
func (m *Memory) Take(_ context.Context, key string, rule Rule, at time.Time) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	bucket := m.bucket(key, rule)
	if bucket.AllowN(at, 1) {
		return 0, nil
	}
	return max(wait(bucket, rule, at), 1), nil // a refusal is never 0, whatever rounding says
}

// Wait implements [Store]. It does not begin to hold a key.
func (m *Memory) Wait(_ context.Context, key string, rule Rule, at time.Time) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.holds(key) {
		return 0, nil
	}
	return wait(m.bucket(key, rule), rule, at), nil
}

// Charge implements [Store].
func (m *Memory) Charge(_ context.Context, key string, rule Rule, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	// A reservation that nobody waits for: it takes the token from the future.
	if bucket := m.bucket(key, rule); wait(bucket, rule, at) < MaxDebt {
		bucket.ReserveN(at, 1)
	}
	return nil
}

func (m *Memory) holds(key string) bool {
	if _, ok := m.young[key]; ok {
		return true
	}
	_, ok := m.older[key]
	return ok
}

// bucket returns the bucket of key, a full one if it is not held; m.mu is held.
func (m *Memory) bucket(key string, rule Rule) *rate.Limiter {
	if bucket, ok := m.young[key]; ok {
		return bucket
	}
	bucket, ok := m.older[key]
	if ok {
		delete(m.older, key)
	} else {
		bucket = rate.NewLimiter(rate.Every(rule.refill()), rule.Burst)
	}
	if len(m.young) >= m.half {
		m.older, m.young = m.young, make(map[string]*rate.Limiter, m.half)
	}
	m.young[key] = bucket
	return bucket
}

// wait returns the time until the bucket has a whole token, rounded up so that
// somebody who waits it out is let in. What misses by less than a nanosecond is
// rounding of the bucket's own arithmetic.
func wait(bucket *rate.Limiter, rule Rule, at time.Time) time.Duration {
	missing := (1 - bucket.TokensAt(at)) * float64(rule.refill())
	if missing < 1 {
		return 0
	}
	return time.Duration(math.Ceil(missing))
}
