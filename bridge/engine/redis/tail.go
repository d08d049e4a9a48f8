package redis

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/cobridge/cobridge/cobrowse"
)

const (
	// tailSize is how many of the latest events are kept in memory: a follower that is
	// not further behind asks no server.
	tailSize = 1024
	// tailBatch bounds one answer with new events.
	tailBatch = 512
	// tailBlock is how long the server waits for new events before it says that there
	// are none, and tailLimit how long it may take to say so.
	tailBlock = time.Second
	tailLimit = 5 * time.Second
	// followBatch bounds what a follower holds at a time.
	followBatch = 64

	// After a failure it is tried again after firstPause, then after twice as long, and
	// so on: a failed event up to longestPause, a lost connection up to longestRetry.
	firstPause   = 50 * time.Millisecond
	longestPause = 30 * time.Second
	longestRetry = 2 * time.Second
)

// eventTail holds the latest events and wakes who waits for more.
type eventTail struct {
	mu     sync.Mutex
	events []cobrowse.Event // ascending; all after floor
	floor  uint64           // what is at or below it has to be asked for
	last   uint64           // latest event
	age    uint64           // counts how often the server has lost events
	more   chan struct{}    // closed when events come
}

func newEventTail() *eventTail { return &eventTail{more: make(chan struct{})} }

// start begins after the given event, as a server does that has forgotten later ones.
func (e *eventTail) start(last uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events, e.floor, e.last, e.age = nil, last, last, e.age+1
	e.wake()
}

func (e *eventTail) wake() {
	close(e.more)
	e.more = make(chan struct{})
}

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
	e.wake()
}

// forget drops all events up to the given one, which were purged.
func (e *eventTail) forget(through uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := sort.Search(len(e.events), func(i int) bool { return e.events[i].Sequence > through })
	e.events = slices.Clone(e.events[i:])
}

// heard returns the events in memory and the latest of all.
func (e *eventTail) heard() ([]cobrowse.Event, uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.events, e.last // what was published is never changed in place
}

func (e *eventTail) end() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

// tailView is what the tail knows after some event.
type tailView struct {
	events []cobrowse.Event // some; shared, never changed in place
	more   <-chan struct{}  // closed when there are others; nil if the server has to be asked
	floor  uint64
	age    uint64
	last   uint64
}

func (e *eventTail) next(after uint64) tailView {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := tailView{floor: e.floor, age: e.age, last: e.last}
	if after < e.floor {
		return v
	}
	i := sort.Search(len(e.events), func(i int) bool { return e.events[i].Sequence > after })
	v.events, v.more = e.events[i:min(i+followBatch, len(e.events))], e.more
	return v
}

// LastEvent returns the sequence of the latest event that this process has heard of, 0
// if there was none yet.
func (s *Store) LastEvent() uint64 { return s.tail.end() }

// readTail brings new events into memory until the store is closed.
func (s *Store) readTail() {
	ctx, cancel := s.whileOpen(context.Background())
	defer cancel()
	pause := firstPause
	for {
		err := s.readMore(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if pause > firstPause {
				s.log.InfoContext(ctx, "events come again")
			}
			pause = firstPause
			continue
		}
		s.log.WarnContext(ctx, "no events come from the store", "retryIn", pause, "err", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		pause = min(2*pause, longestRetry)
	}
}

// readMore waits a while for new events.
func (s *Store) readMore(ctx context.Context) error {
	// Not WithTimeout: a context with a deadline has the driver read in a way that does
	// not notice when the context is cancelled.
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(tailLimit, cancel).Stop()
	last := s.tail.end()
	key := s.key(eventStream)
	results, err := s.client.Do(limited, s.client.B().Xread().Count(tailBatch).Block(tailBlock.Milliseconds()).Streams().Key(key).
		Id(strconv.FormatUint(last, 10)).Build()).AsXRead()
	if rueidis.IsRedisNil(err) {
		stored, err := s.lastStored(ctx)
		if err == nil && stored < last {
			err = s.checkTail(ctx)
		}
		return err
	}
	if err != nil {
		return s.failure(ctx, err)
	}
	events, err := readEntries(results[key])
	if err != nil {
		return err
	}
	// The driver goes on with another server without a word, so each time it is seen
	// whether these events follow those that were heard of.
	if heard, _ := s.tail.heard(); len(heard) > 0 {
		latest := heard[len(heard)-1]
		has, err := s.readEvents(ctx, latest.Sequence-1, 1)
		if err != nil {
			return err
		}
		if len(has) == 0 || has[0].Sequence <= latest.Sequence && has[0] != latest {
			return s.checkTail(ctx)
		}
	}
	s.tail.publish(events)
	return nil
}

// checkTail sees whether the server has lost events that were heard of: it was restarted
// without them, or a replica has taken its place that did not have them. Their numbers
// are then given to others, perhaps already.
func (s *Store) checkTail(ctx context.Context) error {
	heard, last := s.tail.heard()
	stored, err := s.lastStored(ctx)
	if err != nil {
		return err
	}
	common := min(last, stored)
	if len(heard) > 0 {
		has, err := s.readEvents(ctx, heard[0].Sequence-1, len(heard))
		if err != nil {
			return err
		}
		common = min(common, agreement(heard, has, stored))
	}
	if common >= last {
		return nil
	}
	s.log.ErrorContext(ctx, "the store's server has lost events, and what was stored with them", "heardOf", last, "common", common, "now", stored)
	s.tail.start(common)
	return nil
}

// agreement returns up to which event a server has what was heard of. Those before its
// first it may have purged.
func agreement(heard, has []cobrowse.Event, stored uint64) uint64 {
	common := heard[0].Sequence - 1
	for _, e := range heard {
		i := sort.Search(len(has), func(i int) bool { return has[i].Sequence >= e.Sequence })
		switch {
		case e.Sequence > stored, i == len(has) && i > 0:
			return common
		case len(has) > 0 && has[0].Sequence <= e.Sequence && has[i] != e:
			return common
		}
		common = e.Sequence
	}
	return common
}

func (s *Store) lastStored(ctx context.Context) (uint64, error) {
	result, err := s.do(ctx, s.client.B().Get().Key(s.key(eventSequence)).Build())
	if err != nil {
		return 0, err
	}
	last, err := result.AsUint64()
	if err != nil && !rueidis.IsRedisNil(err) {
		return 0, fmt.Errorf("read the sequence of events: %w", err)
	}
	return last, nil
}

// readEvents asks for some events after the given one.
func (s *Store) readEvents(ctx context.Context, after uint64, limit int) ([]cobrowse.Event, error) {
	result, err := s.do(ctx, s.client.B().Xrange().Key(s.key(eventStream)).Start(strconv.FormatUint(after+1, 10)).End("+").Count(int64(limit)).Build())
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	entries, err := result.AsXRange()
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return readEntries(entries)
}

func readEntries(entries []rueidis.XRangeEntry) ([]cobrowse.Event, error) {
	events := make([]cobrowse.Event, len(entries))
	for i, entry := range entries {
		event, err := decode[cobrowse.Event](entry.FieldValues["e"])
		if err != nil {
			return nil, err
		}
		sequence, _, _ := strings.Cut(entry.ID, "-")
		if event.Sequence, err = strconv.ParseUint(sequence, 10, 64); err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		events[i] = event
	}
	return events, nil
}
