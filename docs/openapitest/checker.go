package openapitest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/cobridge/cobridge/docs"
)

// Checker compares what went over the wire with the document, and remembers which
// operations and statuses it has seen.
type Checker struct {
	doc *openapi3.T

	mu   sync.Mutex
	seen map[Seen]int
}

// Seen is one documented kind of answer.
type Seen struct {
	Operation string // method and path of the document, such as "GET /api/v2/users/{userId}"
	Status    int    // 0 = the default response
}

// String returns the operation and the status.
func (s Seen) String() string {
	if s.Status == 0 {
		return s.Operation + " default"
	}
	return s.Operation + " " + strconv.Itoa(s.Status)
}

// NewChecker loads the document and fails the test if it is not valid.
func NewChecker(tb testing.TB) *Checker {
	tb.Helper()
	return NewCheckerOf(tb, docs.OpenAPI)
}

// NewCheckerOf loads another document than the service's.
func NewCheckerOf(tb testing.TB, document []byte) *Checker {
	tb.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		tb.Fatalf("load the OpenAPI document: %v", err)
	}
	if err := doc.Validate(tb.Context()); err != nil {
		tb.Fatalf("validate the OpenAPI document: %v", err)
	}
	return &Checker{doc: doc, seen: map[Seen]int{}}
}

// Check returns what is wrong with an answer, and with a request that was
// accepted: whoever sends a bad one on purpose must be refused. The bodies are
// given as bytes; those in req and resp are not touched. A path that the document
// does not have must be answered with 404, or with 405 if it has it for another method.
func (k *Checker) Check(req *http.Request, reqBody []byte, resp *http.Response, respBody []byte) error {
	copied := req.Clone(context.Background())
	copied.Body = io.NopCloser(bytes.NewReader(reqBody))
	if copied.URL.Host == "" {
		copied.URL = &url.URL{Scheme: "http", Host: "localhost", Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	}
	route, params, found := k.find(req.Method, copied.URL.EscapedPath())
	if !found && req.Method == http.MethodHead { // comes with each GET, without the body
		if _, _, found := k.find(http.MethodGet, copied.URL.EscapedPath()); found && len(respBody) == 0 {
			return nil
		}
	}
	if !found {
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed || resp.StatusCode == http.StatusRequestHeaderFieldsTooLarge {
			return nil
		}
		return fmt.Errorf("%s %s is answered with %d and not documented", req.Method, req.URL.Path, resp.StatusCode)
	}
	operation := req.Method + " " + route.Path
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, MultiError: true, SkipSettingDefaults: true,
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	}
	input := &openapi3filter.RequestValidationInput{Request: copied, PathParams: params, Route: route, Options: options}
	if resp.StatusCode < http.StatusBadRequest {
		if len(reqBody) == 0 { // clients send a content type with requests that have no body
			copied.Header.Del("Content-Type")
		}
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			return fmt.Errorf("%s: the request was accepted with %d but does not match the document: %w", operation, resp.StatusCode, err)
		}
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		options.ExcludeResponseBody = true // a page is for people; kin-openapi cannot read it
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header, Options: options,
	}
	answer.SetBodyBytes(respBody)
	if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil {
		return fmt.Errorf("%s: the answer %d does not match the document: %w\n%s", operation, resp.StatusCode, err, respBody)
	}
	documented := Seen{operation, resp.StatusCode}
	response := route.Operation.Responses.Status(resp.StatusCode)
	if response == nil {
		documented.Status = 0
		response = route.Operation.Responses.Default()
	}
	if response != nil && len(response.Value.Content) == 0 && len(respBody) > 0 {
		return fmt.Errorf("%s: the answer %d has a body, which is not documented: %s", operation, resp.StatusCode, respBody)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[documented]++
	return nil
}

// find returns the operation of a request. A fixed segment of a path wins over a
// parameter, and a slash at the end means nothing.
func (k *Checker) find(method, path string) (*routers.Route, map[string]string, bool) {
	wanted := strings.Split(strings.TrimSuffix(path, "/"), "/")
	var best *routers.Route
	var bestParams map[string]string
	for template, item := range k.doc.Paths.Map() {
		params, ok := match(strings.Split(strings.TrimSuffix(template, "/"), "/"), wanted)
		operation := item.GetOperation(method)
		if ok && operation != nil && (best == nil || len(params) < len(bestParams)) {
			best = &routers.Route{Spec: k.doc, Path: template, PathItem: item, Method: method, Operation: operation}
			bestParams = params
		}
	}
	return best, bestParams, best != nil
}

func match(template, path []string) (map[string]string, bool) {
	if len(template) != len(path) {
		return nil, false
	}
	params := map[string]string{}
	for i, segment := range template {
		name, isParam := strings.CutPrefix(segment, "{")
		switch {
		case isParam && path[i] != "":
			value, err := url.PathUnescape(path[i])
			if err != nil {
				return nil, false
			}
			params[strings.TrimSuffix(name, "}")] = value
		case segment != path[i]:
			return nil, false
		}
	}
	return params, true
}

// Seen returns what was checked so far, ordered.
func (k *Checker) Seen() []Seen {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.SortedFunc(maps.Keys(k.seen), compare)
}

// Missing returns the documented operations and statuses that were not seen yet,
// ordered; default responses do not count.
func (k *Checker) Missing() []Seen {
	k.mu.Lock()
	defer k.mu.Unlock()
	var missing []Seen
	for path, item := range k.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				code, err := strconv.Atoi(status)
				if err != nil {
					continue
				}
				if s := (Seen{method + " " + path, code}); k.seen[s] == 0 {
					missing = append(missing, s)
				}
			}
		}
	}
	slices.SortFunc(missing, compare)
	return missing
}

func compare(a, b Seen) int {
	if c := strings.Compare(a.Operation, b.Operation); c != 0 {
		return c
	}
	return a.Status - b.Status
}
