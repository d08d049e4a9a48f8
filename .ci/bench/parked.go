//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	parkedClients = 10_000
	parkedFiles   = parkedClients + 200 // that each of the two processes needs

	stillOver   = 20 * time.Second // nobody comes back yet; half of it until the collector has cleared up
	cycleOver   = 30 * time.Second // each comes back once: how long a connect waits
	parkedEvery = time.Second      // between readings of the memory
	parkedLimit = 3 * time.Minute  // for all of it

	metricParked  = "cobridge_cometd_parked"
	metricClients = "cobridge_cometd_clients"
	metricEvery   = 100 * time.Millisecond
)

// parkedPollers is what long-polling Bayeux clients cost that nothing is told to.
type parkedPollers struct {
	without string // why nothing was measured
	clients int
	before  int64 // RssAnon of the process, bytes
	still   window
	cycle   window
	failure error
}

// window is what was seen over some time.
type window struct {
	lasts  time.Duration
	memory int64   // RssAnon of the process, the middle one of all readings, bytes
	most   int64   // the greatest of them
	busy   float64 // processor time of the process, as a share of one core
	back   int64   // clients whose connect was answered and who made the next one
	others float64 // share of the processors that other processes took
}

// each is the memory of one client, in bytes, when that of the process is so much.
func (p *parkedPollers) each(memory int64) int64 { return (memory - p.before) / int64(p.clients) }

// parked measures clients that wait with a long poll for something to be told.
func (h *harness) parked(ctx context.Context, binary, dir string) (out *parkedPollers, err error) {
	if !h.wants("bayeux") {
		return nil, nil //nolint:nilnil // not wanted
	}
	h.say("bayeux")
	out = &parkedPollers{clients: parkedClients}
	// The runtime of both processes has raised the limit as far as it goes.
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return nil, fmt.Errorf("read the limit of open files: %w", err)
	}
	if files.Max < parkedFiles {
		out.without = fmt.Sprintf("a process may open %d files here (`ulimit -Hn`), each of the two needs %d", files.Max, parkedFiles)
		h.say(out.without)
		return out, nil
	}
	s, err := startLegacy(ctx, binary, filepath.Join(dir, "bayeux"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := rest(ctx, idle); err != nil {
		return nil, err
	}
	if out.before, err = rssAnon(s.pid()); err != nil {
		return nil, err
	}
	crowd := &pollers{deadline: time.Now().Add(parkedLimit)}
	defer func() { err = errors.Join(err, crowd.close()) }()
	if err := parallel(ctx, parkedClients, func(int) error { return crowd.enter(ctx, s.addr) }); err != nil {
		return nil, fmt.Errorf("bayeux: %w", err)
	}
	if err := s.allParked(ctx); err != nil {
		return nil, fmt.Errorf("bayeux: %w", err)
	}
	for _, w := range []struct {
		of    *window
		lasts time.Duration
	}{{&out.still, stillOver}, {&out.cycle, cycleOver}} {
		if *w.of, err = crowd.watch(ctx, s.pid(), w.lasts); err != nil {
			return nil, fmt.Errorf("bayeux: %w", err)
		}
	}
	// Nobody was lost meanwhile, and all wait again.
	out.failure = errors.Join(crowd.failure(), s.allParked(ctx))
	return out, ctx.Err()
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// allParked waits until the service says that all clients wait.
func (s *service) allParked(ctx context.Context) error {
	tick := time.NewTicker(metricEvery)
	defer tick.Stop()
	for deadline := time.Now().Add(hangLimit); ; {
		clients, parked, err := s.cometClients(ctx)
		if err != nil {
			return err
		}
		if clients == parkedClients && parked == parkedClients {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the service knows %d clients of which %d wait, want %d", clients, parked, parkedClients)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// cometClients reads from the metrics how many CometD clients there are and how many
// of them wait.
func (s *service) cometClients(ctx context.Context) (clients, parked int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.demo.BaseURL+"/metrics", http.NoBody)
	if err != nil {
		return 0, 0, fmt.Errorf("read metrics: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, 0, fmt.Errorf("read metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, 0, fmt.Errorf("read metrics: %w", err)
	}
	for name, value := range map[string]*int{metricClients: &clients, metricParked: &parked} {
		found := false
		for line := range strings.Lines(string(text)) {
			if number, ok := strings.CutPrefix(line, name+" "); ok {
				f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
				*value, found = int(f), err == nil
			}
		}
		if !found {
			return 0, 0, fmt.Errorf("read metrics: no %s, status %d", name, response.StatusCode)
		}
	}
	return clients, parked, nil
}

// pollers are long-polling clients, each on a connection of its own.
type pollers struct {
	deadline time.Time // when all of it must be over
	back     atomic.Int64
	readers  sync.WaitGroup

	mu      sync.Mutex
	open    []net.Conn
	closing bool
	failed  error // the first
}

// enter adds one client and returns when it is about to wait.
func (p *pollers) enter(ctx context.Context, addr string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	p.mu.Lock()
	p.open = append(p.open, c)
	p.mu.Unlock()
	if err := c.SetDeadline(p.deadline); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	client := &poller{
		conn: conn{Conn: c, reader: bufio.NewReaderSize(c, idleBuffer)},
		head: head(http.MethodPost, cometdPath, addr, "Origin: "+liveShop, jsonHeader),
	}
	if err := client.enter(); err != nil {
		return err
	}
	p.readers.Go(func() {
		err := client.wait(func() { p.back.Add(1) })
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.closing && p.failed == nil {
			p.failed = err
		}
	})
	return nil
}

// failure is why a client has stopped that should not have.
func (p *pollers) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

func (p *pollers) close() (err error) {
	p.mu.Lock()
	p.closing = true
	for _, c := range p.open {
		err = errors.Join(err, c.Close())
	}
	p.mu.Unlock()
	p.readers.Wait()
	return err
}

// watch looks at the process for some time.
func (p *pollers) watch(ctx context.Context, pid int, lasts time.Duration) (w window, err error) {
	runtime.GC() // ours
	back, start := p.back.Load(), time.Now()
	before, err := usage(pid)
	if err != nil {
		return w, err
	}
	tick := time.NewTicker(parkedEvery)
	defer tick.Stop()
	var readings []float64
	for time.Since(start) < lasts {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return w, ctx.Err()
		}
		now, err := rssAnon(pid)
		if err != nil {
			return w, err
		}
		readings = append(readings, float64(now))
	}
	after, err := usage(pid)
	if err != nil {
		return w, err
	}
	w = window{lasts: time.Since(start), memory: int64(median(readings)), most: int64(slices.Max(readings)), back: p.back.Load() - back}
	w.busy = (after.server - before.server).Seconds() / w.lasts.Seconds()
	w.others = after.others(before, w.lasts)
	return w, nil
}

// poller is one long-polling Bayeux client.
type poller struct {
	conn

	head   string
	id     string // that the server has given it
	number int    // of the last message
	buf    []byte
}

// enter makes the client known, as the clients in browsers do it: a handshake, and a
// connect that is answered at once.
func (p *poller) enter() error {
	answer, err := p.ask(metaHandshake, `"version":"1.0","supportedConnectionTypes":["long-polling"]`)
	if err != nil {
		return err
	}
	var messages []bayeuxMessage
	if err := json.Unmarshal(answer, &messages); err != nil || len(messages) != 1 || messages[0].ClientID == "" {
		return fmt.Errorf("handshake: %.200s", answer)
	}
	p.id = messages[0].ClientID
	_, err = p.ask(metaConnect, `"connectionType":"long-polling","advice":{"timeout":0}`)
	return err
}

// wait makes one connect after the other, and says before each one but the first that
// it has come back. It ends with an error.
func (p *poller) wait(back func()) error {
	for {
		if _, err := p.ask(metaConnect, `"connectionType":"long-polling"`); err != nil {
			return err
		}
		back()
	}
}

// ask sends one message and returns the answer, which dies with the next one.
func (p *poller) ask(channel, members string) ([]byte, error) {
	p.number++
	message := `[{"id":"` + strconv.Itoa(p.number) + `","channel":"` + channel + `",` + members
	if p.id != "" {
		message += `,"clientId":"` + p.id + `"`
	}
	p.buf = withBody(p.buf[:0], p.head, []byte(message+`}]`))
	status, answer, err := p.exchange(p.buf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", channel, err)
	}
	if status != http.StatusOK || !bytes.Contains(answer, []byte(`"successful":true`)) {
		return nil, fmt.Errorf("%s: status %d: %.200s", channel, status, answer)
	}
	return answer, nil
}
