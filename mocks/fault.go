package mocks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cobridge/cobridge"
)

// Fault is something that goes wrong with an answer. Refusals are the service's own,
// in the words that the route has for them; the rest is what a network or a proxy in
// between can do. The functions below make one, which happens to one request; Times
// and After change that. A Fault is a value, and may be used more than once.
type Fault struct {
	name  string
	times int // 0 = once
	after int // requests that are let through before
	do    func(*exchange) (*http.Response, error)

	wait time.Duration // for which the route is closed to all requests

	spec FaultSpec // it was made of; zero = of none
}

// Times makes the fault happen to n requests, one after the other; at least one.
func (f Fault) Times(n int) Fault {
	f.times = max(n, 1)
	return f
}

// After lets n requests through before the fault happens.
func (f Fault) After(n int) Fault {
	f.after = max(n, 0)
	return f
}

// String names the fault.
func (f Fault) String() string { return f.name }

// TooManyRequests is the service's 429 with Retry-After: wait, in whole seconds and
// at least one. Until so much time has passed, on the mock's clock or in truth, all
// requests to the route get the same, as from a rate limit: a caller who comes back
// too early is seen in the record of calls with another 429. Each of [Fault.Times] is such a
// time.
func TooManyRequests(wait time.Duration) Fault {
	wait = max((wait + time.Second - 1).Truncate(time.Second), time.Second)
	f := refusal("429 Retry-After "+strconv.Itoa(int(wait/time.Second)), &cobridge.Error{
		Code: cobridge.CodeTooManyRequests, Message: "The rate limit is exceeded.", RetryAfter: wait,
	})
	f.wait = wait
	return f
}

// Unavailable is the service's 503 with Retry-After: what it answers while something
// it needs is out of reach. 0 means the service's own default.
func Unavailable(retryAfter time.Duration) Fault {
	return refusal("503", &cobridge.Error{Code: cobridge.CodeUnavailable, RetryAfter: retryAfter})
}

// InternalError is the service's 500. Nothing was carried out.
func InternalError() Fault { return refusal("500", &cobridge.Error{Code: cobridge.CodeInternal}) }

// TimedOut is the service's 504: it gave up. Nothing was carried out.
func TimedOut() Fault { return refusal("504", &cobridge.Error{Code: cobridge.CodeRequestTimeout}) }

// TokenExpired is the service's 401: the access token that the request brings is dead
// before its time, for this request and all later ones, as after a revocation. The
// next token is good again. A request without a token that is good fails the test.
func TokenExpired() Fault {
	return Fault{name: "401 dead token", do: func(x *exchange) (*http.Response, error) {
		raw, ok := strings.CutPrefix(x.request.Header.Get("Authorization"), "Bearer ")
		if !ok {
			return nil, fmt.Errorf("%s brings no access token that could expire", x.call.Route)
		}
		p, err := x.double.app.OAuth().Verify(x.request.Context(), raw)
		if err != nil {
			return nil, fmt.Errorf("%s brings no access token that could expire: %w", x.call.Route, err)
		}
		if err := x.double.app.OAuth().RevokeToken(x.request.Context(), p); err != nil {
			return nil, err
		}
		return x.serve()
	}}
}

// GatewayError is an answer of a proxy that does not reach the service: 502, 503 or
// 504 with a page of HTML.
func GatewayError(status int) Fault {
	return Fault{name: strconv.Itoa(status) + " of a gateway", do: func(x *exchange) (*http.Response, error) {
		switch status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		default:
			return nil, fmt.Errorf("GatewayError(%d): want 502, 503 or 504", status)
		}
		title := strconv.Itoa(status) + " " + http.StatusText(status)
		page := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"
		return &http.Response{
			Status: title, StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: x.request,
			Header: http.Header{"Content-Type": {"text/html"}, "Content-Length": {strconv.Itoa(len(page))}},
			Body:   io.NopCloser(strings.NewReader(page)), ContentLength: int64(len(page)),
		}, nil
	}}
}

// Delay holds the answer back until the mock's clock has been turned by d or as much
// time has passed in truth. A caller who gives up before finds that the request was
// carried out nevertheless.
func Delay(d time.Duration) Fault {
	return Fault{name: "delay " + d.String(), do: func(x *exchange) (*http.Response, error) {
		answered := x.double.clock.after(d)
		resp, err := x.serve()
		select {
		case <-answered.rings:
			return resp, err
		case <-x.request.Context().Done():
			return nil, networkError{x.request.Context().Err()}
		}
	}}
}

// CutBody breaks the connection in the middle of the answer's body: reading it ends
// with io.ErrUnexpectedEOF. The request was carried out.
func CutBody() Fault {
	return Fault{name: "body cut", do: func(x *exchange) (*http.Response, error) {
		resp, half, err := x.half()
		if err == nil {
			resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(half), brokenReader{}))
		}
		return resp, err
	}}
}

// MalformedJSON ends the answer's body in the middle without a word, as a proxy does
// that has a limit: what comes is not JSON. The request was carried out.
func MalformedJSON() Fault {
	return Fault{name: "half of the JSON", do: func(x *exchange) (*http.Response, error) {
		resp, half, err := x.half()
		if err == nil {
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(half)), int64(len(half))
			resp.Header.Set("Content-Length", strconv.Itoa(len(half)))
		}
		return resp, err
	}}
}

// ConnectionRefused is the error of a connection that nobody accepts. Nothing was
// carried out.
func ConnectionRefused() Fault {
	return Fault{name: "connection refused", do: func(*exchange) (*http.Response, error) {
		return nil, networkError{&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
	}}
}

// AnswerLost is the error of a connection that breaks before the answer comes. The
// request was carried out: this is what Idempotency-Key is for.
func AnswerLost() Fault {
	return Fault{name: "answer lost", do: func(x *exchange) (*http.Response, error) {
		if _, err := x.serve(); err != nil {
			return nil, err
		}
		return nil, networkError{&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}}
	}}
}

// refusal answers as the service does when err stops it.
func refusal(name string, err error) Fault {
	return Fault{name: name, do: func(x *exchange) (*http.Response, error) {
		return x.roundTrip(x.double.app.Refusal(err))
	}}
}

// networkError is what the code under test shall see; other errors of a fault say
// that the test is wrong.
type networkError struct{ error }

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// half serves the request and returns the first half of the answer's body.
func (x *exchange) half() (*http.Response, []byte, error) {
	resp, err := x.serve()
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, nil, errors.Join(fmt.Errorf("%s opens a stream, which has no body that could be cut", x.call.Route), resp.Body.Close())
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if len(body) < 2 {
		return nil, nil, fmt.Errorf("the answer to %s, %d, has no body that could be cut", x.call.Route, resp.StatusCode)
	}
	return resp, body[:len(body)/2], nil
}

// anyRoute stands for all routes.
const anyRoute = "*"

// faults are what is still to go wrong, per route in the order in which it was asked for.
type faults struct {
	mu     sync.Mutex
	queues map[string][]*pending
}

type pending struct {
	Fault
	left   int
	closed *alarm // the route is closed until it goes off; nil = it is open
}

func (f *faults) add(route string, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queues[route] = append(f.queues[route], &pending{Fault: fault, left: max(fault.times, 1)})
}

// take returns what happens to a request to the route, nil for nothing.
func (f *faults) take(route string, after func(time.Duration) *alarm) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range []string{route, anyRoute} {
		if fault := f.next(key, after); fault != nil {
			return fault
		}
	}
	return nil
}

// next is called with mu held.
func (f *faults) next(key string, after func(time.Duration) *alarm) *Fault {
	queue := f.queues[key]
	if len(queue) == 0 {
		return nil
	}
	p := queue[0]
	if p.closed != nil {
		if !p.closed.over() {
			return &p.Fault
		}
		p.closed = nil
		if p.left == 0 {
			f.queues[key] = queue[1:]
			return f.next(key, after)
		}
	}
	if p.after > 0 {
		p.after--
		return nil
	}
	p.left--
	if p.wait > 0 {
		p.closed = after(p.wait)
	} else if p.left == 0 {
		f.queues[key] = queue[1:]
	}
	return &p.Fault
}

// unmet describes what has not gone wrong although it was asked for.
func (f *faults) unmet() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for route, queue := range f.queues {
		for _, p := range queue {
			if p.left > 0 {
				all = append(all, fmt.Sprintf("%s, %d more of %q", route, p.left, p.name))
			}
		}
	}
	return all
}

// Fail makes requests to one route go wrong, from the next one on. The route is one of
// [Mock.Routes], such as "POST /api/v2/cobrowse/sessions", or "*" for all; the names
// of its parameters do not matter. Several faults of a route happen one after the
// other. One that has not happened when the test ends fails it.
func (m *Mock) Fail(route string, f Fault) {
	m.t.Helper()
	m.must(m.double.fail(route, f))
}

func (d *double) fail(route string, f Fault) error {
	if f.do == nil {
		return fmt.Errorf("Fail(%q) with the zero Fault; make one with TooManyRequests, Unavailable and so on", route)
	}
	if route != anyRoute {
		r, err := d.named(route)
		if err != nil {
			return err
		}
		route = r.name
	}
	d.faults.add(route, f)
	return nil
}
