package gcb

import (
	"context"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
)

// flights lets all who want the same at the same time wait for one read of it, and
// remembers for a while what there was not.
type flights[V any] struct {
	clock   cobridge.Clock
	timeout time.Duration // of one read, whoever waits for it
	wg      sync.WaitGroup

	mu      sync.Mutex
	inAir   map[string]*flight[V]
	missing missing
}

// flight is one read. It ends early when nobody waits for it any more.
type flight[V any] struct {
	done   chan struct{}
	cancel context.CancelFunc
	value  V     // as the other field, once done is closed
	err    error // ditto

	waiting int // guarded by flights.mu
}

func newFlights[V any](clock cobridge.Clock, timeout, remember time.Duration, room int) *flights[V] {
	return &flights[V]{
		clock: clock, timeout: timeout, inAir: map[string]*flight[V]{},
		missing: missing{lasts: remember, room: room, until: map[string]time.Time{}},
	}
}

// get returns what read returns. Others may get the same value: it must not be changed.
func (f *flights[V]) get(ctx context.Context, key string, read func(context.Context) (V, error)) (V, error) {
	var none V
	f.mu.Lock()
	if f.missing.has(key, f.clock.Now()) {
		f.mu.Unlock()
		return none, notFound()
	}
	on := f.inAir[key]
	if on == nil {
		on = f.start(ctx, key, read)
	}
	on.waiting++
	f.mu.Unlock()

	select {
	case <-on.done:
		return on.value, on.err
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		if on.waiting--; on.waiting == 0 {
			on.cancel()
			f.land(key, on)
		}
		return none, ctx.Err()
	}
}

// start begins a read that does not end with the context of who asked first.
func (f *flights[V]) start(ctx context.Context, key string, read func(context.Context) (V, error)) *flight[V] {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.timeout)
	on := &flight[V]{done: make(chan struct{}), cancel: cancel}
	f.inAir[key] = on
	f.wg.Go(func() {
		defer cancel()
		on.value, on.err = read(ctx)
		f.mu.Lock()
		if cobridge.CodeOf(on.err) == cobridge.CodeNotFound {
			f.missing.add(key, f.clock.Now())
		}
		f.land(key, on)
		f.mu.Unlock()
		close(on.done)
	})
	return on
}

// land forgets a flight, unless another one has its place already.
func (f *flights[V]) land(key string, on *flight[V]) {
	if f.inAir[key] == on {
		delete(f.inAir, key)
	}
}

// missing remembers what was not there. All entries last equally long, so the
// oldest is the first to go.
type missing struct {
	lasts time.Duration
	room  int
	until map[string]time.Time
	order []string // of the keys in until, oldest first
}

func (m *missing) has(key string, now time.Time) bool {
	until, ok := m.until[key]
	return ok && now.Before(until)
}

func (m *missing) add(key string, now time.Time) {
	if _, ok := m.until[key]; ok { // its place in the order is too early, which does no harm
		m.until[key] = now.Add(m.lasts)
		return
	}
	for len(m.order) > 0 && (len(m.order) >= m.room || !now.Before(m.until[m.order[0]])) {
		delete(m.until, m.order[0])
		m.order = m.order[1:]
	}
	m.until[key] = now.Add(m.lasts)
	m.order = append(m.order, key)
}
