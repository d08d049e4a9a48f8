package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
)

const (
	// leaseLength is how long a name rests after its follower's process was killed; a
	// follower that ends gives the name back at once. Whoever waits for it asks every
	// leaseAsk.
	leaseLength = 10 * time.Second
	leaseRenew  = leaseLength / 4
	leaseAsk    = time.Second
	// cursorEvery bounds how often a follower's place is stored.
	cursorEvery = time.Second
	// cursorWait bounds the last store of it when the follower ends.
	cursorWait = 2 * time.Second
)

// errLeaseLost: somebody else follows under this name, or soon will.
var errLeaseLost = errors.New("the lease of the name was lost")

// Follow implements [cobrowse.Events]. One follower of a name, in all processes, is at
// work at a time; the others wait until it ends, and go on after the last event that it
// has handled. A new name starts with the oldest event that has not been purged. The
// place of a name is stored about once a second and at the end, so after a crash fn
// sees the events of the last second again. A follower that was suspended for longer
// than its lease may call fn at the same time as the one that has taken over, once:
// what it has handled does not count any more. When the store is closed, Follow fails
// with CodeUnavailable.
func (s *Store) Follow(ctx context.Context, name string, ready func(), fn func(context.Context, cobrowse.Event) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("follow events: %w", err)
	}
	if !s.enter() {
		return fmt.Errorf("follow events: %w", unavailable(errClosed))
	}
	defer s.followers.Done()
	open, cancel := s.whileOpen(ctx)
	defer cancel()
	err := s.follow(open, name, ready, fn)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case open.Err() != nil:
		err = unavailable(errClosed)
	}
	return fmt.Errorf("follow events: %w", err)
}

// enter counts a follower, unless the store is closing.
func (s *Store) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		return false
	default:
		s.followers.Add(1)
		return true
	}
}

func (s *Store) follow(ctx context.Context, name string, ready func(), fn func(context.Context, cobrowse.Event) error) error {
	f := &follower{store: s, name: name, handle: fn}
	if name == "" {
		var err error
		f.age = s.tail.next(0).age
		if f.place, err = s.lastStored(ctx); err != nil {
			return err
		}
		if ready != nil {
			ready()
		}
		return f.work(ctx)
	}
	if ready != nil { // events wait for their name, whoever follows under it
		ready()
	}
	for {
		l, err := s.lease(ctx, name)
		if err != nil {
			return err
		}
		f.lease, f.place, f.age = l, l.place, l.age
		f.saved = f.place
		leased, cancel := context.WithCancelCause(ctx)
		var renewing sync.WaitGroup
		renewing.Go(func() { l.renew(leased, cancel) })
		err = f.work(leased)
		f.stop(leased)
		cancel(nil)
		renewing.Wait()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errLeaseLost) || errors.Is(context.Cause(leased), errLeaseLost):
			s.log.WarnContext(ctx, "an event follower has lost the lease of its name", "follower", name)
		default:
			return err
		}
	}
}

// lease is the right to follow under a name. Its number is larger than that of every
// earlier one, and nobody can store a place with a number that is not the latest.
type lease struct {
	store *Store
	name  string
	fence string
	place uint64
	age   uint64 // of the tail when the place was read
}

func (s *Store) followerKey(name string) string { return s.key("{index}:follower:" + part(name)) }

// lease waits until the name is free.
func (s *Store) lease(ctx context.Context, name string) (*lease, error) {
	owner := rand.Text()
	failing := firstPause
	for {
		l := &lease{store: s, name: name}
		pause, err := l.acquire(ctx, owner)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil: // as events that fail, until it works
			s.log.WarnContext(ctx, "event follower cannot start", "follower", name, "retryIn", failing, "err", err)
			pause, failing = failing, min(2*failing, longestRetry)
		case l.fence != "":
			return l, nil
		}
		timer := time.NewTimer(min(pause, leaseAsk))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// acquire takes the lease if the name is free, else it says how long it is not.
func (l *lease) acquire(ctx context.Context, owner string) (time.Duration, error) {
	s := l.store
	answer, err := s.run(ctx, call{s.script.lease, []string{s.followerKey(l.name)}, []string{owner, strconv.FormatInt(leaseLength.Milliseconds(), 10)}})
	if err != nil {
		return 0, err
	}
	values, err := list(answer)
	if err != nil {
		return 0, err
	}
	if values[0] == "0" {
		left, err := strconv.ParseInt(values[1], 10, 64)
		return time.Duration(left+1) * time.Millisecond, err
	}
	if values[2] != "" {
		if l.place, err = strconv.ParseUint(values[2], 10, 64); err != nil {
			return 0, fmt.Errorf("read a follower's place: %w", err)
		}
	}
	// What the server has lost must be noticed before the place is believed.
	heard := s.tail.end()
	last, err := s.lastStored(ctx)
	if err == nil && last < heard {
		err = s.checkTail(ctx)
	}
	if err != nil {
		return 0, err
	}
	l.fence, l.age = values[0], s.tail.next(0).age
	if l.place > last {
		s.log.ErrorContext(ctx, "the store's server has lost events that a follower had handled", "follower", l.name, "place", l.place, "now", last)
		l.place = last
	}
	return 0, nil
}

// renew keeps the lease until ctx ends. If it could not be renewed before it was over,
// or somebody has taken it, it is lost.
func (l *lease) renew(ctx context.Context, lost context.CancelCauseFunc) {
	over := time.NewTimer(leaseLength)
	defer over.Stop()
	ticker := time.NewTicker(leaseRenew)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			lost(errLeaseLost)
			return
		case <-ticker.C:
		}
		asked := time.NewTimer(leaseLength) // counts from before the server did
		err := l.keep(ctx, 0, leaseLength)
		switch {
		case errors.Is(err, errLeaseLost):
			asked.Stop()
			lost(errLeaseLost)
			return
		case err != nil:
			asked.Stop()
		default:
			over.Stop()
			over = asked
		}
	}
}

// keep stores the place, 0 = as it is, and renews the lease; or gives it back, for 0.
func (l *lease) keep(ctx context.Context, place uint64, length time.Duration) error {
	s := l.store
	at := ""
	if place > 0 {
		at = strconv.FormatUint(place, 10)
	}
	answer, err := s.run(ctx, call{s.script.keep, []string{s.followerKey(l.name)}, []string{l.fence, strconv.FormatInt(length.Milliseconds(), 10), at}})
	if err != nil {
		return err
	}
	if mine, err := answer.AsInt64(); err != nil {
		return fmt.Errorf("read the answer of a script: %w", err)
	} else if mine == 0 {
		return errLeaseLost
	}
	return nil
}

// follower is one call of Follow.
type follower struct {
	store  *Store
	name   string
	lease  *lease // nil without a name
	handle func(context.Context, cobrowse.Event) error

	place uint64 // latest event that was handled
	saved uint64 // the one that is stored
	age   uint64 // of the tail that place belongs to

	due  *time.Timer      // to store place
	tick <-chan time.Time // of due while it runs, else nil
}

// work handles events until ctx ends or the lease is lost.
func (f *follower) work(ctx context.Context) error {
	f.due, f.tick = time.NewTimer(cursorEvery), nil
	f.due.Stop()
	pause := firstPause
	for {
		err := f.step(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errLeaseLost):
			return err
		case err == nil:
			pause = firstPause
			continue
		}
		f.store.log.WarnContext(ctx, "event follower has to wait for the store", "follower", f.name, "retryIn", pause, "err", err)
		if err := f.wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longestRetry)
	}
}

// stop stores the place once more and gives the name back, although ctx has ended.
func (f *follower) stop(ctx context.Context) {
	f.due.Stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cursorWait)
	defer cancel()
	if err := f.lease.keep(ctx, f.place, 0); err != nil && !errors.Is(err, errLeaseLost) {
		// The events of the last second come again: that is what the callers expect.
		f.store.log.WarnContext(ctx, "place of event follower not stored", "follower", f.name, "err", err)
	}
}

// step handles the events that are there, or waits for more.
func (f *follower) step(ctx context.Context) error {
	v := f.store.tail.next(f.place)
	if v.age != f.age { // what was handled may be lost, and its numbers given to others
		f.age, f.place = v.age, min(f.place, v.last)
		return nil
	}
	if v.more == nil {
		var err error
		if v.events, err = f.store.readEvents(ctx, f.place, followBatch); err != nil {
			return err
		}
		if len(v.events) == 0 { // all of them were purged
			f.place = v.floor
			return nil
		}
	}
	for _, event := range v.events {
		if err := f.deliver(ctx, event); err != nil {
			return err
		}
	}
	if len(v.events) > 0 {
		return nil
	}
	select {
	case <-v.more:
		return nil
	case <-f.tick:
		return f.save(ctx)
	case <-ctx.Done():
		return ctx.Err()
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

// wait pauses before something is tried again; the place is stored meanwhile.
func (f *follower) wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case <-f.tick:
			if err := f.save(ctx); errors.Is(err, errLeaseLost) {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
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
		return f.save(ctx)
	default:
		return nil
	}
}

// save stores the place. If that fails it is tried again with the next event, or later.
func (f *follower) save(ctx context.Context) error {
	f.tick = nil
	if f.place == f.saved {
		return nil
	}
	place := f.place
	err := f.lease.keep(ctx, place, leaseLength)
	switch {
	case err == nil:
		f.saved = place
	case errors.Is(err, errLeaseLost):
		return err
	default:
		f.due.Reset(cursorEvery)
		f.tick = f.due.C
	}
	return nil
}
