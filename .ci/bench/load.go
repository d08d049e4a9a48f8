//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// hangLimit is how long after the end of a round an answer may still come.
const hangLimit = 10 * time.Second

// load is what one round sends: each connection sends a request, waits for the
// answer, and sends the next, until the time is over or there is nothing to send.
type load struct {
	addr  string
	conns int
	lasts time.Duration
	want  int // status; every other one is an error
	// request appends the next request of a connection to buf; false when there is none.
	request func(conn int, buf []byte) ([]byte, bool)
	// answer looks at a body, which dies with the next request. May be nil.
	answer func(conn int, body []byte) error
}

// sample is what came of one load.
type sample struct {
	requests  int
	errors    int
	failure   error // the first error
	elapsed   time.Duration
	latencies []time.Duration // unordered
}

func (s sample) rate() float64 { return float64(s.requests) / s.elapsed.Seconds() }

// run sends the load. Connections are opened before the clock starts.
func (l load) run(ctx context.Context) (sample, error) {
	conns, err := l.open(ctx)
	if err != nil {
		return sample{}, err
	}
	return l.send(ctx, conns)
}

// open opens the connections.
func (l load) open(ctx context.Context) ([]*conn, error) {
	conns := make([]*conn, 0, l.conns)
	var dialer net.Dialer
	for range l.conns {
		c, err := dialer.DialContext(ctx, "tcp", l.addr)
		if err != nil {
			closeAll(conns)
			return nil, fmt.Errorf("connect: %w", err)
		}
		conns = append(conns, &conn{Conn: c, reader: bufio.NewReaderSize(c, 16<<10), latencies: make([]time.Duration, 0, 1<<14)})
	}
	return conns, nil
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		_ = c.Close() // nothing more is wanted of it
	}
}

// send sends the load over these connections, and closes them.
func (l load) send(ctx context.Context, conns []*conn) (sample, error) {
	defer closeAll(conns)
	start := time.Now()
	end := start.Add(l.lasts)
	var wg sync.WaitGroup
	for i, c := range conns {
		if err := c.SetDeadline(end.Add(hangLimit)); err != nil {
			return sample{}, fmt.Errorf("set deadline: %w", err)
		}
		wg.Go(func() { c.failure = c.drive(ctx, l, i, end) })
	}
	wg.Wait()
	s := sample{elapsed: time.Since(start)}
	for _, c := range conns {
		s.requests += len(c.latencies)
		s.latencies = append(s.latencies, c.latencies...)
		if c.failure != nil {
			s.errors++
			s.failure = errors.Join(s.failure, c.failure)
		}
	}
	return s, ctx.Err()
}

// conn is one connection of the load generator. It speaks as much HTTP/1.1 as
// the answers need, so that its own work weighs little.
type conn struct {
	net.Conn
	reader    *bufio.Reader
	latencies []time.Duration
	failure   error
}

// drive sends until end. Its first error ends it, and the row is invalid then.
func (c *conn) drive(ctx context.Context, l load, number int, end time.Time) error {
	var buf []byte
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
		request, more := l.request(number, buf[:0])
		if !more {
			return nil
		}
		buf = request
		status, body, err := c.exchange(request)
		if err != nil {
			return err
		}
		if status != l.want {
			return fmt.Errorf("status %d, want %d: %.200s", status, l.want, body)
		}
		if l.answer != nil {
			if err := l.answer(number, body); err != nil {
				return err
			}
		}
		done := time.Now()
		c.latencies = append(c.latencies, done.Sub(now))
		now = done
	}
	return nil
}

var (
	errStatusLine = errors.New("unreadable status line")
	errNoLength   = errors.New("the answer has no length or ends the connection")
)

// exchange sends one request and reads its answer.
func (c *conn) exchange(request []byte) (status int, body []byte, err error) {
	if _, err := c.Write(request); err != nil {
		return 0, nil, fmt.Errorf("send: %w", err)
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, nil, fmt.Errorf("receive: %w", err)
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, nil, errStatusLine
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, errStatusLine
	}
	length := -1
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, nil, fmt.Errorf("receive: %w", err)
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, nil, errNoLength
			}
		case bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")):
			return 0, nil, errNoLength
		}
	}
	if length < 0 || length > c.reader.Size() {
		return 0, nil, errNoLength
	}
	if body, err = c.reader.Peek(length); err != nil {
		return 0, nil, fmt.Errorf("receive: %w", err)
	}
	_, err = c.reader.Discard(length)
	return status, body, err
}

// head renders the first part of a request, up to the length of its body.
func head(method, path, addr string, headers ...string) string {
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: " + addr}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n"
}

// withBody appends a request with a body.
func withBody(buf []byte, head string, body []byte) []byte {
	buf = append(buf, head...)
	buf = append(buf, "Content-Length: "...)
	buf = strconv.AppendInt(buf, int64(len(body)), 10)
	buf = append(buf, "\r\n\r\n"...)
	return append(buf, body...)
}

// quantile returns the q-th quantile of sorted values; 0 without any.
func quantile[T any](sorted []T, q float64) T {
	if len(sorted) == 0 {
		var none T
		return none
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// median returns the middle value; the lower one of two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return quantile(sorted, float64(len(sorted)-1)/2/float64(max(1, len(sorted))))
}
