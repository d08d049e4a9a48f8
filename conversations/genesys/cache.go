package genesys

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
)

// cache lets all who want the same at the same time wait for one read of it, and
// remembers for a while what was read, and what there was not.
type cache[V any] struct {
	clock   cobridge.Clock
	timeout time.Duration // of one read, whoever waits for it
	keep    time.Duration // what was read
	missing time.Duration // what there was not
	room    int
	absent  func(error) bool // says that there is none

	wg    sync.WaitGroup
	mu    sync.Mutex
	inAir map[string]*flight[V]
	known map[string]entry[V]
	order []string // of known, oldest first; may name what is there no more
}

type entry[V any] struct {
	value V
	err   error // nil, or that there is none
	at    time.Time
}

// flight is one read. It ends early when nobody waits for it any more.
type flight[V any] struct {
	done   chan struct{}
	cancel context.CancelFunc
	value  V     // as the other field, once done is closed
	err    error // ditto

	waiting int // guarded by cache.mu
}

// get returns what is known and younger than maxAge (0 = the usual time), else what
// read returns. Others may get the same value: it must not be changed.
func (c *cache[V]) get(ctx context.Context, key string, maxAge time.Duration, read func(context.Context) (V, error)) (V, error) {
	c.mu.Lock()
	if e, ok := c.known[key]; ok {
		keep := max(c.keep, maxAge)
		if e.err != nil {
			keep = c.missing
		}
		if c.clock.Now().Sub(e.at) < keep {
			c.mu.Unlock()
			return e.value, e.err
		}
	}
	return c.fly(ctx, key, read)
}

// fresh reads, whatever is known.
func (c *cache[V]) fresh(ctx context.Context, key string, read func(context.Context) (V, error)) (V, error) {
	c.mu.Lock()
	return c.fly(ctx, key, read)
}

// fly is called with the lock, which it gives back.
func (c *cache[V]) fly(ctx context.Context, key string, read func(context.Context) (V, error)) (V, error) {
	on := c.inAir[key]
	if on == nil {
		on = c.start(ctx, key, read)
	}
	on.waiting++
	c.mu.Unlock()

	select {
	case <-on.done:
		return on.value, on.err
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		if on.waiting--; on.waiting == 0 {
			on.cancel()
			c.land(key, on)
		}
		var none V
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return none, (&Error{Reason: ReasonTimeout}).unavailable()
		}
		return none, ctx.Err()
	}
}

// start begins a read that does not end with the context of who asked first.
func (c *cache[V]) start(ctx context.Context, key string, read func(context.Context) (V, error)) *flight[V] {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	on := &flight[V]{done: make(chan struct{}), cancel: cancel}
	c.inAir[key] = on
	c.wg.Go(func() {
		defer cancel()
		on.value, on.err = read(ctx)
		c.mu.Lock()
		// A flight that has lost its place may have seen what was before a change.
		if c.land(key, on) && (on.err == nil || c.absent(on.err)) {
			c.put(key, on.value, on.err)
		}
		c.mu.Unlock()
		close(on.done)
	})
	return on
}

// land forgets a flight, unless another one has its place already.
func (c *cache[V]) land(key string, on *flight[V]) bool {
	if c.inAir[key] != on {
		return false
	}
	delete(c.inAir, key)
	return true
}

// put is called with the lock.
func (c *cache[V]) put(key string, value V, err error) {
	if _, ok := c.known[key]; !ok {
		for len(c.order) >= c.room {
			delete(c.known, c.order[0])
			c.order = c.order[1:]
		}
		c.order = append(c.order, key)
	}
	c.known[key] = entry[V]{value: value, err: err, at: c.clock.Now()}
}

// forget makes the next get read again: what is known, or being read, is out of date.
func (c *cache[V]) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.inAir, key)
	if e, ok := c.known[key]; ok {
		e.at = time.Time{} // its place in the order stays
		c.known[key] = e
	}
}
