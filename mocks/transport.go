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
	mock    *Mock
	request *http.Request
	body    []byte
	call    *Call
}

// respond is the httpmock.Responder behind everything.
func (m *Mock) respond(r *http.Request) (*http.Response, error) {
	if !m.enter() {
		return nil, errEnded
	}
	defer m.leave()
	body, err := readAll(r)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	x := &exchange{mock: m, request: r, body: body}
	matched, known := m.routes.match(r.Method, r.URL.EscapedPath())
	x.call = &Call{Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Route: matched.name, Header: plainHeader(r.Header), Body: body}
	var fault *Fault
	if m.answersFor(r) && known {
		if fault = m.faults.take(matched.name, m.clock.after); fault != nil {
			x.call.Fault = fault.name
		}
	}
	m.calls.begin(x.call)
	resp, err := x.answer(known, fault)
	status := 0
	if resp != nil {
		status = resp.StatusCode
	}
	m.calls.end(x.call, status, err)
	return resp, err
}

// answer decides who answers.
func (x *exchange) answer(known bool, fault *Fault) (*http.Response, error) {
	m, r := x.mock, x.request
	switch {
	case !m.answersFor(r):
		err := fmt.Errorf("mocks: %s goes to %s://%s, and this is a double of %s; see WithHosts", x.call.plain(), r.URL.Scheme, r.URL.Host, strings.Join(m.origins, ", "))
		m.t.Errorf("%v", err)
		return nil, err
	case r.Header.Get("Upgrade") != "" || known && polls(x.call.Route):
		err := fmt.Errorf("mocks: %s is a stream or a long poll, which needs a listener", x.call.plain())
		m.t.Errorf("%v", err)
		return nil, err
	case !known && !m.lenient:
		m.t.Errorf("mocks: %s matches no route; %s", x.call.plain(), m.routes.nearest(r.Method, r.URL.EscapedPath()))
	case fault != nil:
		resp, err := fault.do(x)
		if _, ok := errors.AsType[networkError](err); err != nil && !ok {
			m.t.Errorf("mocks: the fault %q: %v", fault.name, err)
		} else if ok {
			err = errors.Unwrap(err)
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

// serve lets the service answer.
func (x *exchange) serve() (*http.Response, error) {
	// What the service writes to a conversation, it writes a moment after the answer.
	// A test that looks at once shall not depend on luck.
	if x.request.Method == http.MethodGet && strings.HasPrefix(x.request.URL.Path, "/api/v2/conversations") {
		if err := x.mock.app.Attached(x.request.Context()); err != nil {
			return nil, err
		}
	}
	return x.roundTrip(x.mock.app.Transport())
}

func (x *exchange) roundTrip(through http.RoundTripper) (*http.Response, error) {
	r := x.request.Clone(x.request.Context())
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

// readAll reads the body and closes it, as a transport must.
func readAll(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(r.Body)
	return body, errors.Join(err, r.Body.Close())
}

// answersFor reports whether the request is for one of the mock's hosts.
func (m *Mock) answersFor(r *http.Request) bool {
	return slices.Contains(m.origins, strings.ToLower(r.URL.Scheme+"://"+r.URL.Host))
}
