//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

const (
	floodViewers = 100
	floodSize    = 2 << 10 // bytes
	smallPage    = 2 << 10 // bytes of the full frame

	pacedLimit = 1.5 // times the p99 of the floor
)

// relayed are the rows of the relay.
type relayed struct {
	flood *result   // nil when not wanted
	paced []*result // by number of viewers
}

// driver is what one round does with a crowd.
type driver func(ctx context.Context, c *crowd, lasts time.Duration) sample

// relay measures what the harness wants of the relay.
func (h *harness) relay(ctx context.Context, binary, dir string) (out relayed, err error) {
	if !h.wants("relay") && !h.wants("paced") {
		return out, nil
	}
	s, err := startLive(ctx, binary, filepath.Join(dir, "relay"), []string{liveShop}, liveShop+"/")
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if h.wants("relay") {
		h.say("relay")
		events := evBody(floodSize)
		flood := row{
			work: "2 KB frames as fast as the slowest viewer takes them", floor: "WebSocket fan-out of frames prepared once, all that wait in one `writev`",
			target: 0.50, conns: floodViewers,
		}
		out.flood, err = h.relayRow(ctx, s, flood, func(ctx context.Context, c *crowd, lasts time.Duration) sample {
			return c.flood(ctx, lasts, events)
		})
		if err != nil {
			return out, fmt.Errorf("relay: %w", err)
		}
	}
	if !h.wants("paced") {
		return out, nil
	}
	// A page that was scrolled, a few rows more, and many, by turns.
	events := [][]byte{evBody(100), evBody(floodSize), evBody(20 << 10)}
	for _, viewers := range []int{1, 10, 100} {
		h.say(fmt.Sprintf("paced, %d", viewers))
		paced := row{work: fmt.Sprintf("%d frames a second of 100 B, 2 KB and 20 KB by turns", pacedRate), conns: viewers}
		r, err := h.relayRow(ctx, s, paced, func(ctx context.Context, c *crowd, lasts time.Duration) sample {
			return c.paced(ctx, lasts, events)
		})
		if err != nil {
			return out, fmt.Errorf("paced: %w", err)
		}
		out.paced = append(out.paced, r)
	}
	return out, nil
}

// relayRow compares the relay with its floor. A delivery is a request.
func (h *harness) relayRow(ctx context.Context, s *service, r row, drive driver) (out *result, err error) {
	out = &result{row: r}
	viewers := r.conns
	var open []*crowd
	var floors []*child
	defer func() {
		for _, c := range open {
			err = errors.Join(err, c.close())
		}
		for _, floor := range floors {
			_ = floor.stop() // it has nothing to lose
		}
	}()
	add := func(pid int, sharer func() (*socket, error), viewer func(int) (*socket, error)) (side, error) {
		c, err := openCrowd(ctx, viewers, fullBody(smallPage), sharer, viewer)
		if err != nil {
			return side{}, err
		}
		open = append(open, c)
		return side{pid: pid, prepare: func(_ context.Context, lasts time.Duration, _ float64) (func(context.Context) (sample, error), error) {
			return func(ctx context.Context) (sample, error) { return drive(ctx, c, lasts), ctx.Err() }, nil
		}}, nil
	}
	addFloor := func() (side, error) {
		floor, err := h.startFloor(ctx, floorSpec{Kind: floorRelay})
		if err != nil {
			return side{}, err
		}
		floors = append(floors, floor)
		return add(floor.pid(),
			func() (*socket, error) { return dialSocket(ctx, floor.first, floorSharerPath, crowdBuffer) },
			func(int) (*socket, error) { return dialSocket(ctx, floor.first, floorViewerPath, crowdBuffer) })
	}
	if out.floor, err = addFloor(); err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	if h.calibrate {
		out.service, err = addFloor()
	} else {
		out.service, err = h.addService(ctx, s, viewers, add)
	}
	if err != nil {
		return nil, err
	}
	return out, h.compare(ctx, out)
}

// addService opens a session with so many viewers.
func (h *harness) addService(
	ctx context.Context, s *service, viewers int, add func(int, func() (*socket, error), func(int) (*socket, error)) (side, error),
) (side, error) {
	session, err := s.openSession(ctx, viewers)
	if err != nil {
		return side{}, err
	}
	return add(s.pid(),
		func() (*socket, error) {
			sharer, err := s.join(ctx, session.id, session.sharer, crowdBuffer)
			if err != nil {
				return nil, err
			}
			return sharer, sharer.agree()
		},
		func(i int) (*socket, error) { return s.join(ctx, session.id, session.viewers[i], crowdBuffer) })
}

// overrun is how many times the floor's p99 the service's is.
func (r *result) overrun() float64 {
	floor := quantile(r.floor.latencies, 0.99)
	if floor == 0 {
		return 0
	}
	return quantile(r.service.latencies, 0.99).Seconds() / floor.Seconds()
}

// missed tells whether a row was missed or is invalid.
func (r relayed) missed() bool {
	return r.flood != nil && (r.flood.errors > 0 || r.flood.ratio() < r.flood.target) ||
		slices.ContainsFunc(r.paced, func(r *result) bool { return r.errors > 0 || r.overrun() > pacedLimit })
}
