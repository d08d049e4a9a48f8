//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// side is one of the two that are compared.
type side struct {
	pid int
	// prepare makes what a round needs that is to last as long, at about so many
	// requests a second, and returns what is measured.
	prepare func(ctx context.Context, lasts time.Duration, rate float64) (func(context.Context) (sample, error), error)

	rates     []float64
	latencies []time.Duration
	requests  int // warm-up included
	measured  int
	processor time.Duration // of the measured requests
}

// cost is the processor time of one request, in the server's process.
func (s *side) cost() time.Duration {
	return s.processor / time.Duration(max(1, s.measured))
}

// result is a measured row.
type result struct {
	row
	service, floor side
	ratios         []float64 // one per pair of rounds
	errors         int
	failure        error
	others         float64 // share of the processors that other processes took
}

func (r *result) ratio() float64 { return median(r.ratios) }

// guess is how many requests a second are prepared for before anything is known; a
// warm-up that runs out of them is just shorter.
const guess = 6000

// measure measures a row of requests.
func (h *harness) measure(ctx context.Context, r row, s *service) (*result, error) {
	floor, err := h.startFloor(ctx, r.spec)
	if err != nil {
		return nil, err
	}
	defer func() { _ = floor.stop() }() // it has nothing to lose
	out := &result{row: r, service: r.side(s.pid(), s.addr, r.service), floor: r.side(floor.pid(), floor.first, r.bare)}
	if h.calibrate {
		second, err := h.startFloor(ctx, r.spec)
		if err != nil {
			return nil, err
		}
		defer func() { _ = second.stop() }()
		out.service = r.side(second.pid(), second.first, r.bare)
		out.check = nil
	}
	return out, h.compare(ctx, out)
}

// side is one that is sent requests.
func (r row) side(pid int, addr string, prepare func(context.Context, string, time.Duration, float64) (requests, error)) side {
	return side{pid: pid, prepare: func(ctx context.Context, lasts time.Duration, rate float64) (func(context.Context) (sample, error), error) {
		requests, err := prepare(ctx, addr, lasts, rate)
		return load{addr: addr, conns: r.conns, lasts: lasts, want: r.want, request: requests.next, answer: requests.answer}.run, err
	}}
}

// compare runs the rounds of a row in pairs, of which every second one starts
// with the floor, so that a drift of the machine favours neither.
func (h *harness) compare(ctx context.Context, out *result) error {
	pair := []*side{&out.service, &out.floor}
	for i, side := range pair {
		if err := out.round(ctx, side, pair[1-i], h.warm, guess); err != nil {
			return err
		}
	}
	for range h.rounds {
		for i, side := range pair {
			// Rounds of one side differ by some per cent; a fifth more is enough.
			if err := out.round(ctx, side, pair[1-i], h.lasts, 1.2*side.rates[len(side.rates)-1]); err != nil {
				return err
			}
		}
		slices.Reverse(pair)
		if out.errors > 0 {
			return nil // the row is invalid
		}
	}
	for _, side := range pair {
		side.rates = side.rates[1:] // the first was the warm-up
		slices.Sort(side.latencies)
	}
	for i, rate := range out.service.rates {
		out.ratios = append(out.ratios, rate/out.floor.rates[i])
	}
	out.others /= float64(2 * h.rounds)
	if out.check != nil {
		if err := out.check(ctx, out.service.requests); err != nil {
			out.errors++
			out.failure = err
		}
	}
	return nil
}

// round runs one round of one side. The first one of a side is its warm-up. The
// other side is halted meanwhile, so that what it still has to do after its own
// rounds, such as what follows a create in the background, disturbs nobody else's.
func (r *result) round(ctx context.Context, s, other *side, lasts time.Duration, rate float64) (err error) {
	if err := syscall.Kill(other.pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("halt the other side: %w", err)
	}
	defer func() { err = errors.Join(err, syscall.Kill(other.pid, syscall.SIGCONT)) }()
	run, err := s.prepare(ctx, lasts, rate)
	if err != nil {
		return err
	}
	runtime.GC() // ours, so that none of what was before is collected meanwhile
	start := time.Now()
	before, err := usage(s.pid)
	if err != nil {
		return err
	}
	sample, err := run(ctx)
	if err != nil {
		return err
	}
	after, err := usage(s.pid)
	if err != nil {
		return err
	}
	watched := time.Since(start) // connections are opened and closed in it, too
	first := len(s.rates) == 0
	s.rates = append(s.rates, sample.rate())
	s.requests += sample.requests
	r.errors += sample.errors
	r.failure = errors.Join(r.failure, sample.failure)
	if first {
		return nil
	}
	s.measured += sample.requests
	s.latencies = append(s.latencies, sample.latencies...)
	s.processor += after.server - before.server
	r.others += after.others(before, watched)
	return nil
}

// times are processor times so far.
type times struct{ server, self, machine time.Duration }

// others is the share of the processors that neither we nor the server took since
// before, so long ago.
func (t times) others(before times, elapsed time.Duration) float64 {
	others := (t.machine - before.machine) - (t.server - before.server) - (t.self - before.self)
	return max(0, others.Seconds()/elapsed.Seconds()/float64(runtime.NumCPU()))
}

func usage(pid int) (t times, err error) {
	if t.server, err = processor(pid); err != nil {
		return t, err
	}
	if t.self, err = processor(os.Getpid()); err != nil {
		return t, err
	}
	t.machine, err = machineBusy()
	return t, err
}

func (h *harness) startFloor(ctx context.Context, spec floorSpec) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find ourselves: %w", err)
	}
	return startChild(ctx, spec, self, floorRole)
}
