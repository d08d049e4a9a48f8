package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/cobridge/cobridge/cobrowse"
)

const (
	// tailSize is how many of the latest events are kept in memory: a follower that
	// is not further behind needs no transaction.
	tailSize = 1024
	// followBatch bounds what a follower holds at a time.
	followBatch = 64
	// cursorEvery bounds how often a follower's place is stored, each time a commit.
	cursorEvery = time.Second
	// cursorWait bounds the last store of it when the follower ends.
	cursorWait = 2 * time.Second

	// A failed event is tried again after firstPause, then after twice as long, and
	// so on up to longestPause.
	firstPause   = 50 * time.Millisecond
	longestPause = 30 * time.Second
)

// eventTail holds the latest events and wakes who waits for more.
type eventTail struct {
	mu     sync.Mutex
	events []cobrowse.Event // ascending; all after floor
	floor  uint64           // what is at or below it has to be read from the file
	last   uint64           // latest event
	more   chan struct{}    // closed when events come
}

func newEventTail() *eventTail {
	return &eventTail{more: make(chan struct{})}
}

// publish is called by the writer, after the commit.
func (e *eventTail) publish(events []cobrowse.Event) {
	if len(events) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, events...)
	e.last = events[len(events)-1].Sequence
	if len(e.events) >= 2*tailSize {
		old := len(e.events) - tailSize
		e.floor = e.events[old-1].Sequence
		e.events = slices.Clone(e.events[old:])
	}
	close(e.more)
	e.more = make(chan struct{})
}

// forget is called by the writer after it has deleted all events up to the given one.
func (e *eventTail) forget(through uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := sort.Search(len(e.events), func(i int) bool { return e.events[i].Sequence > through })
	e.events = slices.Clone(e.events[i:])
}

// end returns the sequence of the latest event.
func (e *eventTail) end() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

// next returns some events after the given one, and what to wait for if there are
// none. Those at or below floor have to be read from the file: then both are nil.
func (e *eventTail) next(after uint64) (events []cobrowse.Event, more <-chan struct{}, floor uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if after < e.floor {
		return nil, nil, e.floor
	}
	i := sort.Search(len(e.events), func(i int) bool { return e.events[i].Sequence > after })
	// What was published is never changed in place, so it may be shared.
	return e.events[i:min(i+followBatch, len(e.events))], e.more, e.floor
}

// LastEvent returns the sequence of the latest event, 0 if there was none yet.
func (s *Store) LastEvent() uint64 { return s.tail.end() }

func (s *Store) loadEvents(_ context.Context, t *txn) error {
	s.tail.last = t.bucket(eventBucket).Sequence()
	s.tail.floor = s.tail.last
	return nil
}

// readEvents returns some events after the given one from the file.
func (s *Store) readEvents(ctx context.Context, after uint64) ([]cobrowse.Event, error) {
	var events []cobrowse.Event
	err := s.view(ctx, func(t *txn) error {
		c := t.bucket(eventBucket).Cursor()
		for key, value := c.Seek(sequenceKey(after + 1)); key != nil && len(events) < followBatch; key, value = c.Next() {
			event, err := decode[cobrowse.Event](value)
			if err != nil {
				return err
			}
			event.Sequence = binary.BigEndian.Uint64(key)
			events = append(events, event)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return events, nil
}

// Follow implements [cobrowse.Events]. A new name starts with the oldest event that
// has not been purged. The place of a name is stored about once a second and at the
// end, so after a crash fn sees the events of the last second again. When the store
// is closed, Follow fails with CodeUnavailable.
func (s *Store) Follow(ctx context.Context, name string, ready func(), fn func(context.Context, cobrowse.Event) error) error {
	f := &follower{store: s, name: name, handle: fn}
	if err := f.start(ctx); err != nil {
		return fmt.Errorf("follow events: %w", err)
	}
	defer f.stop(ctx)
	if ready != nil {
		ready()
	}
	for {
		if err := f.step(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("follow events: %w", err)
		}
	}
}

// follower is one call of Follow.
type follower struct {
	store  *Store
	name   string
	handle func(context.Context, cobrowse.Event) error

	place uint64           // latest event that was handled
	saved uint64           // the one that is stored
	due   *time.Timer      // to store place; nil without a name
	tick  <-chan time.Time // of due while it runs, else nil
}

func (f *follower) start(ctx context.Context) error {
	if f.name == "" {
		f.place = f.store.tail.end()
		if err := ctx.Err(); err != nil {
			return err
		}
		return f.store.alive()
	}
	f.due = time.NewTimer(cursorEvery)
	f.due.Stop()
	return f.store.view(ctx, func(t *txn) error {
		if value := t.get(cursorBucket, []byte(f.name)); value != nil {
			f.place = binary.BigEndian.Uint64(value)
			f.saved = f.place
		}
		return nil
	})
}

// stop stores the place once more, although ctx has ended.
func (f *follower) stop(ctx context.Context) {
	if f.name == "" {
		return
	}
	f.due.Stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cursorWait)
	defer cancel()
	if err := f.save(ctx); err != nil {
		// The events of the last second come again: that is what the callers expect.
		f.store.log.WarnContext(ctx, "place of event follower not stored", "follower", f.name, "err", err)
	}
}

// step handles the events that are there, or waits for more.
func (f *follower) step(ctx context.Context) error {
	events, more, floor := f.store.tail.next(f.place)
	if more == nil {
		var err error
		if events, err = f.store.readEvents(ctx, f.place); err != nil {
			return err
		}
		if len(events) == 0 { // all of them were purged
			f.place = floor
			return nil
		}
	}
	for _, event := range events {
		if err := f.deliver(ctx, event); err != nil {
			return err
		}
	}
	if len(events) > 0 {
		return nil
	}
	select {
	case <-more:
		return nil
	case <-f.tick:
		return f.saveNow(ctx)
	case <-ctx.Done():
		return ctx.Err()
	case <-f.store.closing:
		return unavailable(berrors.ErrDatabaseNotOpen)
	}
}

// deliver calls the handler until it succeeds; without a name once.
func (f *follower) deliver(ctx context.Context, event cobrowse.Event) error {
	pause := firstPause
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := f.handle(ctx, event)
		if err == nil || f.name == "" {
			f.place = event.Sequence
			return f.noteProgress(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.store.log.WarnContext(ctx, "event handler failed", "follower", f.name, "sequence", event.Sequence, "type", event.Type, "retryIn", pause, "err", err)
		if err := f.wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longestPause)
	}
}

// wait pauses before an event is tried again; the place before it is stored meanwhile.
func (f *follower) wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case <-f.tick:
			if err := f.saveNow(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-f.store.closing:
			return unavailable(berrors.ErrDatabaseNotOpen)
		}
	}
}

// noteProgress sees to it that the place is stored soon.
func (f *follower) noteProgress(ctx context.Context) error {
	if f.name == "" {
		return nil
	}
	if f.tick == nil {
		f.due.Reset(cursorEvery)
		f.tick = f.due.C
	}
	select {
	case <-f.tick:
		return f.saveNow(ctx)
	default:
		return nil
	}
}

func (f *follower) saveNow(ctx context.Context) error {
	f.tick = nil
	return f.save(ctx)
}

func (f *follower) save(ctx context.Context) error {
	place := f.place
	if place == f.saved {
		return nil
	}
	err := f.store.update(ctx, func(t *txn) error {
		t.put(cursorBucket, []byte(f.name), sequenceKey(place))
		return t.err
	})
	if err != nil {
		return fmt.Errorf("store a follower's place: %w", err)
	}
	f.saved = place
	return nil
}
