//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// ahead is how many frames the sharer is at most ahead of the slowest viewer.
	ahead = 64

	crowdBuffer = 64 << 10 // bytes, of each connection for reading
)

// crowd is one sharer and those who look at its page: a load generator that speaks
// WebSocket. Its methods are called one at a time.
type crowd struct {
	sharer   *socket
	watchers []*watcher
	started  time.Time // what the times in frames count from

	sequence uint64 // of the frame that was sent last
	full     []byte // events of the full frame
	wanted   atomic.Bool

	timing  atomic.Bool
	target  atomic.Uint64 // a watcher that gets there says so; 0 = nobody waits
	moved   chan struct{} // has room for one signal
	closing atomic.Bool
	failed  atomic.Pointer[error]
	readers sync.WaitGroup
}

// watcher is one viewer.
type watcher struct {
	*socket
	seen      atomic.Uint64 // number of the last frame; others that it need not show count
	delivered atomic.Uint64 // ev frames

	mu        sync.Mutex
	latencies []time.Duration
}

// openCrowd opens the connections, lets the sharer send its page, and waits until
// everybody has it.
func openCrowd(ctx context.Context, viewers int, full []byte, sharer func() (*socket, error), viewer func(i int) (*socket, error)) (*crowd, error) {
	c := &crowd{started: time.Now(), full: full, moved: make(chan struct{}, 1)}
	var err error
	if c.sharer, err = sharer(); err != nil {
		return nil, fmt.Errorf("sharer: %w", err)
	}
	for i := range viewers {
		s, err := viewer(i)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("viewer: %w", err), c.close())
		}
		c.watchers = append(c.watchers, &watcher{socket: s})
	}
	c.read(c.sharer, func(text []byte, _ int) error {
		if isKind(text, "need") {
			c.wanted.Store(true)
		}
		return nil
	})
	for _, w := range c.watchers {
		c.read(w.socket, func(text []byte, _ int) error { return c.look(w, text) })
	}
	c.wanted.Store(true)
	if err := c.send(ctx, 0, nil); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := c.await(ctx, c.sequence); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// read follows a socket in the background.
func (c *crowd) read(s *socket, look func([]byte, int) error) {
	c.readers.Go(func() {
		if err := s.follow(look); !c.closing.Load() {
			c.failed.CompareAndSwap(nil, &err)
			c.signal()
		}
	})
}

// close ends all connections and waits for those who read them.
func (c *crowd) close() error {
	c.closing.Store(true)
	err := c.sharer.Close()
	for _, w := range c.watchers {
		err = errors.Join(err, w.Close())
	}
	c.readers.Wait()
	return err
}

func (c *crowd) signal() {
	select {
	case c.moved <- struct{}{}:
	default:
	}
}

// look counts a frame that a watcher got. Each one must follow the one before: who
// was left behind makes the row invalid.
func (c *crowd) look(w *watcher, text []byte) error {
	ev := isKind(text, "ev")
	if !ev && !isKind(text, "skip") {
		return nil
	}
	sequence, ok := number(text, `,"s":`)
	last := w.seen.Load()
	if !ok || last != 0 && sequence != last+1 {
		return fmt.Errorf("a viewer got frame %d after %d", sequence, last)
	}
	if ev {
		w.delivered.Add(1)
		if c.timing.Load() {
			sent, _ := number(text, `,"c":`)
			took := time.Since(c.started) - time.Duration(sent) //nolint:gosec // G115: a time since the start
			w.mu.Lock()
			w.latencies = append(w.latencies, took)
			w.mu.Unlock()
		}
	}
	w.seen.Store(sequence)
	if target := c.target.Load(); target != 0 && last < target && sequence >= target {
		c.signal()
	}
	return nil
}

// slowest returns the number that every watcher has seen.
func (c *crowd) slowest() uint64 {
	least := c.sequence
	for _, w := range c.watchers {
		least = min(least, w.seen.Load())
	}
	return least
}

func (c *crowd) deliveries() uint64 {
	var sum uint64
	for _, w := range c.watchers {
		sum += w.delivered.Load()
	}
	return sum
}

// await waits until every watcher has seen a frame.
func (c *crowd) await(ctx context.Context, sequence uint64) error {
	c.target.Store(sequence)
	defer c.target.Store(0)
	if c.slowest() >= sequence {
		return nil
	}
	hang := time.NewTimer(hangLimit)
	defer hang.Stop()
	for {
		select {
		case <-c.moved:
		case <-hang.C:
			return fmt.Errorf("frame %d has not reached everybody after %s", sequence, hangLimit)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := c.failed.Load(); err != nil {
			return *err
		}
		if c.slowest() >= sequence {
			return nil
		}
	}
}

// send sends n frames with these events in one piece, and the whole page before
// them if the server wants it.
func (c *crowd) send(ctx context.Context, n int, events []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.failed.Load(); err != nil {
		return *err
	}
	s := c.sharer
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = s.out[:0]
	add := func(full bool, events []byte) {
		c.sequence++
		var space [96]byte
		s.out = appendClientFrame(s.out, opText, appendEvHead(space[:0], c.sequence, time.Since(c.started), full), events)
	}
	if c.wanted.Swap(false) {
		add(true, c.full)
	}
	for range n {
		add(false, events)
	}
	return s.write(s.out)
}

// flood sends frames as fast as the slowest watcher takes them.
func (c *crowd) flood(ctx context.Context, lasts time.Duration, events []byte) sample {
	return c.measured(func() error {
		for start := time.Now(); time.Since(start) < lasts; {
			// In halves, so that who waits is woken once for many frames.
			if c.sequence > ahead/2 {
				if err := c.await(ctx, c.sequence-ahead/2); err != nil {
					return err
				}
			}
			if err := c.send(ctx, ahead/2-1, events); err != nil { // and the page, perhaps
				return err
			}
		}
		return c.await(ctx, c.sequence)
	})
}

// pacedRate is how many frames a second a page sends on which much happens.
const pacedRate = 30

// paced sends frames of several sizes at an even pace and measures how long each
// one takes.
func (c *crowd) paced(ctx context.Context, lasts time.Duration, events [][]byte) sample {
	for _, w := range c.watchers {
		w.mu.Lock()
		w.latencies = w.latencies[:0]
		w.mu.Unlock()
	}
	c.timing.Store(true)
	s := c.measured(func() error {
		tick := time.NewTicker(time.Second / pacedRate)
		defer tick.Stop()
		start := time.Now()
		for i := 0; time.Since(start) < lasts; i++ {
			<-tick.C
			if err := c.send(ctx, 1, events[i%len(events)]); err != nil {
				return err
			}
		}
		return c.await(ctx, c.sequence)
	})
	c.timing.Store(false)
	for _, w := range c.watchers {
		w.mu.Lock()
		s.latencies = append(s.latencies, w.latencies...)
		w.mu.Unlock()
	}
	return s
}

// measured counts the deliveries while f runs. Its failure makes the row invalid.
func (c *crowd) measured(f func() error) sample {
	before, start := c.deliveries(), time.Now()
	err := f()
	s := sample{elapsed: time.Since(start), requests: int(c.deliveries() - before)} //nolint:gosec // G115: a count
	if err != nil {
		s.errors, s.failure = 1, err
	}
	return s
}
