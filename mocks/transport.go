package mocks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// exchange is one request on its way.
type exchange struct {
	double  *double
	request *http.Request
	body    []byte
	call    *Call
}

// respond answers a request and records it. What the network is said to have done is a
// networkError.
func (d *double) respond(r *http.Request) (*http.Response, error) {
	if !d.enter() {
		return nil, errEnded
	}
	defer d.leave()
	body, err := readAll(r, d.bodyLimit)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	x := &exchange{double: d, request: r, body: body}
	matched, known := d.routes.match(r.Method, r.URL.EscapedPath())
	x.call = &Call{Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Route: matched.name, Header: plainHeader(r.Header), Body: body}
	if !known {
		x.call.nearest = d.routes.nearest(r.Method, r.URL.EscapedPath())
	}
	var fault *Fault
	if d.answersFor(r) && known {
		if fault = d.faults.take(matched.name, d.clock.after); fault != nil {
			x.call.Fault = fault.name
		}
	}
	d.calls.begin(x.call)
	resp, err := x.answer(known, fault)
	status := 0
	if resp != nil {
		status = resp.StatusCode
	}
	d.calls.end(x.call, status, plainError(err))
	if d.observe != nil {
		d.observe(*x.call)
	}
	return resp, err
}

// answer decides who answers.
func (x *exchange) answer(known bool, fault *Fault) (*http.Response, error) {
	d, r := x.double, x.request
	switch {
	case !d.answersFor(r):
		err := fmt.Errorf("mocks: %s goes to %s://%s, and this is a double of %s; see WithHosts", x.call.plain(), r.URL.Scheme, r.URL.Host, strings.Join(d.origins, ", "))
		d.problem("%v", err)
		return nil, err
	case !d.listens && (r.Header.Get("Upgrade") != "" || known && polls(x.call.Route)):
		err := fmt.Errorf("mocks: %s is a stream or a long poll, which needs a listener", x.call.plain())
		d.problem("%v", err)
		return nil, err
	case !known && !d.lenient:
		d.problem("mocks: %s matches no route; %s", x.call.plain(), x.call.nearest)
	case fault != nil:
		resp, err := fault.do(x)
		if _, ok := errors.AsType[networkError](err); err != nil && !ok {
			d.problem("mocks: the fault %q: %v", fault.name, err)
		}
		return resp, err
	}
	return x.serve()
}

// polls reports whether a route is one of CometD's: the service answers when there is
// something to say, on a connection that a transport in memory does not have.
func polls(route string) bool {
	method, path, _ := strings.Cut(route, " ")
	return method != http.MethodOptions && (strings.HasSuffix(path, "/cometd") || strings.Contains(path, "/cometd/"))
}

// Unwrap returns what the code under test shall see.
func (e networkError) Unwrap() error { return e.error }

// plainError is err as the code under test shall see it.
func plainError(err error) error {
	if e, ok := errors.AsType[networkError](err); ok {
		return e.error
	}
	return err
}

// serve lets the service answer.
func (x *exchange) serve() (*http.Response, error) {
	// What the service writes to a conversation, it writes a moment after the answer.
	// A test that looks at once shall not depend on luck.
	if x.request.Method == http.MethodGet && strings.HasPrefix(x.request.URL.Path, "/api/v2/conversations") {
		if err := x.double.app.Attached(x.request.Context()); err != nil {
			return nil, err
		}
	}
	return x.roundTrip(x.double.service)
}

func (x *exchange) roundTrip(through http.RoundTripper) (*http.Response, error) {
	r := x.request.WithContext(x.request.Context()) // a copy; nobody changes what it points to
	r.Body, r.ContentLength, r.GetBody = http.NoBody, int64(len(x.body)), nil
	if len(x.body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(x.body))
	}
	resp, err := through.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("ask the service: %w", err)
	}
	resp.Request = x.request
	return resp, nil
}

// readAll reads the body and closes it, as a transport must. Of one that is longer than
// limit, unless that is 0, it reads as much as the service needs to refuse it.
func readAll(r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	from := io.Reader(r.Body)
	if limit > 0 {
		from = io.LimitReader(r.Body, limit+1)
	}
	body, err := io.ReadAll(from)
	return body, errors.Join(err, r.Body.Close())
}

// answersFor reports whether the request is for one of the mock's hosts.
func (d *double) answersFor(r *http.Request) bool {
	return len(d.origins) == 0 || slices.Contains(d.origins, strings.ToLower(r.URL.Scheme+"://"+r.URL.Host))
}
