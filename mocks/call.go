package mocks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Call is a request that the mock has got, and how it was answered. It is a copy.
type Call struct {
	Method string
	Path   string
	Query  url.Values
	Route  string      // of the service, as in [Mock.Routes]; "" = none matched
	Header http.Header // with *** in place of credentials
	Body   []byte      // of the request, as it was sent
	Status int         // of the answer; 0 = none came, or it is still under way
	Fault  string      // that the answer was given to; "" = none
	Err    error       // what the network is said to have done; nil = it worked

	nearest string // route, where none matched
}

// Decode decodes the JSON body of the request into v.
func (c Call) Decode(v any) error {
	if err := json.Unmarshal(c.Body, v); err != nil {
		return fmt.Errorf("body of %s: %w", c, err)
	}
	return nil
}

// String returns method, path and outcome on one line, without tokens.
func (c Call) String() string {
	var b strings.Builder
	b.WriteString(c.plain())
	switch {
	case c.Err != nil:
		b.WriteString(": " + c.Err.Error())
	case c.Status == 0:
		b.WriteString(": no answer yet")
	default:
		fmt.Fprintf(&b, ": %d", c.Status)
	}
	if c.Fault != "" {
		b.WriteString(" (" + c.Fault + ")")
	}
	return b.String()
}

// plain names the request without its outcome.
func (c Call) plain() string {
	text := c.Method + " " + c.plainPath()
	if len(c.Query) > 0 {
		text += "?" + plainQuery(c.Query)
	}
	return text
}

const redacted = "***"

// plainPath is the path without the tokens that stand in some.
func (c Call) plainPath() string {
	parts := strings.Split(c.Path, "/")
	_, form, _ := strings.Cut(c.Route, " ")
	for i, segment := range strings.Split(form, "/") {
		if i < len(parts) && parameter(segment) && secretName(segment) {
			parts[i] = redacted
		}
	}
	return strings.Join(parts, "/")
}

func plainQuery(query url.Values) string {
	plain := url.Values{}
	for name, values := range query {
		if secretName(name) {
			values = []string{redacted}
		}
		plain[name] = values
	}
	return strings.ReplaceAll(plain.Encode(), url.QueryEscape(redacted), redacted)
}

// secretName tells whether a parameter of this name holds something that lets its
// holder in.
func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"token", "secret", "password", "assertion", "code"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

func plainHeader(h http.Header) http.Header {
	plain := h.Clone()
	for name := range plain {
		switch name {
		case "Authorization":
			scheme, _, _ := strings.Cut(h.Get(name), " ")
			plain.Set(name, scheme+" "+redacted)
		case "Cookie", "Proxy-Authorization":
			plain.Set(name, redacted)
		}
	}
	return plain
}

// calls are recorded in the order in which they arrive.
type calls struct {
	most int // that are kept, 0 = all

	mu  sync.Mutex
	all []*Call
}

func (c *calls) begin(call *Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && len(c.all) >= c.most {
		c.all = append(c.all[:0], c.all[len(c.all)-c.most/2:]...) // the older half goes
	}
	c.all = append(c.all, call)
}

func (c *calls) end(call *Call, status int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call.Status, call.Err = status, err
}

func (c *calls) to(route string) []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []Call
	for _, call := range c.all {
		if route == "" || call.Route == route {
			found = append(found, *call)
		}
	}
	return found
}

func (c *calls) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = nil
}

// Calls returns all requests so far, oldest first. Those of the mock's own methods
// are not among them.
func (m *Mock) Calls() []Call { return m.double.calls.to("") }

// CallsTo returns the requests to one route so far, oldest first. The route is one of
// [Mock.Routes], such as "POST /api/v2/cobrowse/sessions"; another fails the test.
func (m *Mock) CallsTo(route string) []Call {
	m.t.Helper()
	return m.double.calls.to(m.named(route).name)
}

// ForgetCalls empties the record, for instance after what comes before the test proper.
func (m *Mock) ForgetCalls() { m.double.calls.forget() }
