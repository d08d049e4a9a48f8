//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

const (
	idleSessions = 1000
	idlePerRoom  = 5         // viewers
	idlePage     = 20 << 10  // bytes of a small page's full frame
	idleBuffer   = 1 << 10   // bytes, of each connection for reading
	joiners      = 32        // connections that are opened at a time
	viewerLimit  = 24 * 1000 // bytes of memory for each idle viewer

	settleEvery  = 2 * time.Second
	settleOver   = 15   // readings, of which the middle one counts: longer than pings are apart
	settleMost   = 5    // times so many
	settleWithin = 0.05 // of the one before
)

// idleViewers is what idle streams take of the service's memory.
type idleViewers struct {
	sessions, viewers int
	page              int // bytes of the full frame in each session

	before, withSharers, withViewers, withPictures int64 // RssAnon of the process, bytes
	sharer, each, picture                          int64 // of one
}

func (v *idleViewers) missed() bool { return v.each > viewerLimit }

// viewers measures what viewers take who look at a page on which nothing happens.
func (h *harness) viewers(ctx context.Context, binary, dir string) (out *idleViewers, err error) {
	if !h.wants("viewers") {
		return nil, nil //nolint:nilnil // not wanted
	}
	h.say("viewers")
	s, err := startLive(ctx, binary, filepath.Join(dir, "viewers"), []string{liveShop}, liveShop+"/")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	sessions := make([]liveSession, idleSessions)
	err = parallel(ctx, idleSessions, func(i int) (err error) {
		sessions[i], err = s.openSession(ctx, idlePerRoom)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("viewers: %w", err)
	}
	idle := &idlers{service: s}
	defer func() { err = errors.Join(err, idle.close()) }()
	out = &idleViewers{sessions: idleSessions, viewers: idleSessions * idlePerRoom}
	sharers := make([]*socket, idleSessions)
	full := appendEvHead(nil, 1, 0, true)
	full = append(full, fullBody(idlePage)...)
	out.page = len(full)
	for _, step := range []struct {
		reading *int64
		n       int
		do      func(i int) error
	}{
		{&out.before, 0, nil},
		{&out.withSharers, idleSessions, func(i int) (err error) {
			sharers[i], err = idle.join(ctx, sessions[i].id, sessions[i].sharer)
			return err
		}},
		{&out.withViewers, out.viewers, func(i int) error {
			session := sessions[i/idlePerRoom]
			_, err := idle.join(ctx, session.id, session.viewers[i%idlePerRoom])
			return err
		}},
		{&out.withPictures, idleSessions, func(i int) error { return errors.Join(sharers[i].agree(), sharers[i].send(opText, full)) }},
	} {
		if err := parallel(ctx, step.n, step.do); err != nil {
			return nil, fmt.Errorf("viewers: %w", err)
		}
		if *step.reading, err = settle(ctx, s.pid()); err != nil {
			return nil, err
		}
		if err := idle.failure(); err != nil {
			return nil, fmt.Errorf("viewers: %w", err)
		}
	}
	out.sharer = (out.withSharers - out.before) / idleSessions
	out.each = (out.withViewers - out.withSharers) / int64(out.viewers)
	out.picture = (out.withPictures - out.withViewers) / idleSessions
	return out, nil
}

// idlers are connections on which only pings are answered.
type idlers struct {
	service *service
	readers sync.WaitGroup

	mu      sync.Mutex
	open    []*socket
	closing bool
	failed  error // the first
}

func (d *idlers) join(ctx context.Context, session, token string) (*socket, error) {
	s, err := d.service.join(ctx, session, token, idleBuffer)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.open = append(d.open, s)
	d.mu.Unlock()
	d.readers.Go(func() {
		err := s.follow(func([]byte, int) error { return nil })
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.closing && d.failed == nil {
			d.failed = err
		}
	})
	return s, nil
}

// failure is why a connection has ended that should not have.
func (d *idlers) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

func (d *idlers) close() (err error) {
	d.mu.Lock()
	d.closing = true
	for _, s := range d.open {
		err = errors.Join(err, s.Close())
	}
	d.mu.Unlock()
	d.readers.Wait()
	return err
}

// parallel calls do for 0 up to n-1, some at a time, until one fails.
func parallel(ctx context.Context, n int, do func(i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(joiners, n) {
		wg.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// settle waits until the memory of a process stays as it is and returns it. What is
// allocated and collected meanwhile, for pings for instance, makes it go up and down:
// so it is the middle one of many readings, when it hardly differs from the one
// before. If that does not come, it is the middle one of all since the first.
func settle(ctx context.Context, pid int) (int64, error) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	var last float64
	var all []float64
	for i := range settleMost {
		readings := make([]float64, settleOver)
		for i := range readings {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			now, err := rssAnon(pid)
			if err != nil {
				return 0, err
			}
			readings[i] = float64(now)
		}
		middle := median(readings)
		if diff := middle - last; diff < settleWithin*middle && -diff < settleWithin*middle {
			return int64(middle), nil
		}
		if last = middle; i > 0 {
			all = append(all, readings...)
		}
	}
	return int64(median(all)), nil
}
