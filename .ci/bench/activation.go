//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// activatedSessions is how many agents join at once, each a session of its own.
const activatedSessions = 500

// activated is how long it takes from an agent's join until others hear that the
// session is active.
type activated struct {
	*result // latencies of the service: at the controller

	customer []time.Duration // sorted
}

// activation measures what the harness wants of it.
func (h *harness) activation(ctx context.Context, binary, dir string) (out *activated, err error) {
	if !h.wants("activation") {
		return nil, nil //nolint:nilnil // not wanted
	}
	h.say("activation")
	size, err := activationSize(ctx, binary, filepath.Join(dir, "activationsize"))
	if err != nil {
		return nil, fmt.Errorf("activation: %w", err)
	}
	s, err := startLegacy(ctx, binary, filepath.Join(dir, "activation"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	spec := floorSpec{Kind: floorAppend, Body: []byte("{}"), Record: slices.Repeat([]byte{'x'}, size), Dir: dir}
	floor, err := h.startFloor(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer func() { _ = floor.stop() }() // it has nothing to lose
	out = &activated{result: &result{row: row{
		work:  fmt.Sprintf("%d agents join at once, each a session in which customer and controller wait", activatedSessions),
		floor: fmt.Sprintf("bare fasthttp handler, append + fdatasync of %d bytes, grouped", size), conns: activatedSessions,
	}}}
	d := &desks{service: s}
	defer func() { err = errors.Join(err, d.close()) }()
	out.floor = bareAtOnce(floor)
	out.service = side{pid: s.pid(), prepare: func(ctx context.Context, _ time.Duration, _ float64) (func(context.Context) (sample, error), error) {
		if err := d.open(ctx, activatedSessions); err != nil {
			return nil, err
		}
		return func(ctx context.Context) (sample, error) {
			made, customer := d.activate(ctx)
			if len(out.service.rates) > 0 { // the first round is the warm-up
				out.customer = append(out.customer, customer...)
			}
			return made, ctx.Err()
		}, nil
	}}
	if h.calibrate {
		second, err := h.startFloor(ctx, spec)
		if err != nil {
			return nil, err
		}
		defer func() { _ = second.stop() }()
		out.service = bareAtOnce(second)
	}
	if err := h.compare(ctx, out.result); err != nil {
		return nil, fmt.Errorf("activation: %w", err)
	}
	slices.Sort(out.customer)
	return out, nil
}

// bareAtOnce is the floor: one request on each of as many connections as agents join.
func bareAtOnce(floor *child) side {
	request := withBody(nil, head(http.MethodPost, channelJoin, floor.first, jsonHeader), []byte("{}"))
	return side{pid: floor.pid(), prepare: func(ctx context.Context, _ time.Duration, _ float64) (func(context.Context) (sample, error), error) {
		sent := make([]bool, activatedSessions) // each connection looks at its own
		l := load{
			addr: floor.first, conns: activatedSessions, lasts: hangLimit, want: http.StatusCreated,
			request: func(i int, buf []byte) ([]byte, bool) {
				first := !sent[i]
				sent[i] = true
				return append(buf, request...), first
			},
		}
		conns, err := l.open(ctx)
		return func(ctx context.Context) (sample, error) { return l.send(ctx, conns) }, err
	}}
}

// activationSize returns how many bytes the store keeps of a session that is active.
func activationSize(ctx context.Context, binary, dir string) (int, error) {
	s, err := startLegacy(ctx, binary, dir)
	if err != nil {
		return 0, err
	}
	d := &desks{service: s}
	err = d.open(ctx, 1)
	if err == nil {
		made, _ := d.activate(ctx)
		err = made.failure
	}
	if err := errors.Join(err, d.close(), s.stop()); err != nil {
		return 0, err
	}
	return storedBytes(dir, d.all[0].session)
}

// desks are sessions of which each has a customer and a controller in it, and an agent
// who is about to join.
type desks struct {
	service *service
	all     []desk
}

type desk struct {
	digits                      string
	session                     string // id
	control                     string // user token of the controller
	customer, controller, agent *comet
}

// open opens n of them, with clients of their own, in place of those that were there.
func (d *desks) open(ctx context.Context, n int) error {
	// Those of the last round are ended: what follows a lost client would come into a later one.
	err := parallel(ctx, len(d.all), func(i int) error { return d.all[i].end() })
	if err := errors.Join(err, d.close()); err != nil {
		return err
	}
	d.all = make([]desk, n)
	return parallel(ctx, n, func(i int) error { return d.all[i].open(ctx, d.service) })
}

// open begins a session as the old product's page and desktop do it.
func (k *desk) open(ctx context.Context, s *service) (err error) {
	bearer := "Bearer " + s.token
	for _, client := range []struct {
		of                    **comet
		origin, authorization string
	}{{&k.customer, liveShop, ""}, {&k.controller, "", bearer}, {&k.agent, "", bearer}} {
		if *client.of, err = openComet(ctx, s.addr, client.origin, client.authorization); err != nil {
			return err
		}
	}
	var created struct {
		SessionToken string `json:"sessionToken"`
	}
	if err := k.customer.call(channelCreate, object{}, &created); err != nil {
		return err
	}
	k.digits = created.SessionToken
	if _, err := k.customer.join(k.digits, roleCustomer); err != nil {
		return err
	}
	in, err := k.controller.join(k.digits, roleController)
	k.session, k.control = in.SessionHistoryID, in.UserToken
	return err
}

// end ends the session.
func (k *desk) end() error {
	return k.controller.call(channelStop, object{"userToken": k.control}, &object{})
}

// close closes the clients.
func (d *desks) close() (err error) {
	for _, k := range d.all {
		for _, c := range []*comet{k.customer, k.controller, k.agent} {
			if c != nil {
				err = errors.Join(err, c.Close())
			}
		}
	}
	return err
}

// activate has all agents join and waits until everybody has heard that the sessions
// are active. Latencies are those at the controllers.
func (d *desks) activate(ctx context.Context) (made sample, customer []time.Duration) {
	n := len(d.all)
	joined, heard := make([]time.Time, n), make([][3]time.Time, n)
	failures := make(chan error, 3*n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, k := range d.all {
		for j, c := range []*comet{k.controller, k.customer, k.agent} {
			wg.Go(func() {
				<-start
				if c == k.agent {
					joined[i] = time.Now()
					if err := c.say(channelJoin, object{"data": joining(k.digits, roleAgent)}); err != nil {
						failures <- err
						return
					}
				}
				var err error
				if _, heard[i][j], err = c.until(channelActivated); err != nil {
					failures <- err
				}
			})
		}
	}
	begin := time.Now()
	close(start)
	wg.Wait()
	made.elapsed = time.Since(begin)
	close(failures)
	for err := range failures {
		made.errors++
		made.failure = errors.Join(made.failure, err)
	}
	if made.errors > 0 || ctx.Err() != nil {
		return made, nil
	}
	for i := range d.all {
		made.latencies = append(made.latencies, heard[i][0].Sub(joined[i]))
		customer = append(customer, heard[i][1].Sub(joined[i]))
	}
	made.requests = n
	return made, customer
}
