package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// envelope is an error answer under /api/v2. On a conflict it also names the
// session that is in the way.
type envelope struct {
	Message       string            `json:"message"`
	Code          string            `json:"code"`
	Status        int               `json:"status"`
	MessageParams map[string]string `json:"messageParams"`
	ContextID     string            `json:"contextId"`
	Details       []detail          `json:"details"`
	Errors        []json.RawMessage `json:"errors"`
	EntityID      string            `json:"entityId"`
	EntityName    string            `json:"entityName"`

	ID             string `json:"id"`
	SessionID      string `json:"sessionId"`
	ConversationID string `json:"conversationId"`
	SelfURI        string `json:"selfUri"`
}

type detail struct {
	ErrorCode  string `json:"errorCode"`
	FieldName  string `json:"fieldName"`
	EntityID   string `json:"entityId"`
	EntityName string `json:"entityName"`
}

// fields returns the names of the fields that the details speak of, sorted.
func (e envelope) fields() []string {
	var names []string
	for _, d := range e.Details {
		names = append(names, d.FieldName)
	}
	slices.Sort(names)
	return names
}

var (
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	codeForm = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z0-9]+)*$`)
	dateLike = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d`)
	dateForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	urlSafe  = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)
	// leak is text that only a driver, a runtime or a parser writes.
	leak = regexp.MustCompile(`(?i)goroutine \d|panic:|\.go:\d|bbolt|fasthttp|unmarshal|invalid character|json: |runtime error|sql:|/tmp/`)
)

// correlationHeader stands on every answer (spec section 2.2).
const correlationHeader = "ININ-Correlation-Id"

// blame returns what is wrong with an answer whatever was asked: the rules that
// hold for each of them.
func blame(a answer) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }

	if a.status >= http.StatusInternalServerError {
		fault("a server error")
	}
	if id := a.header.Get(correlationHeader); !uuidForm.MatchString(id) {
		fault("%s is %q, want a UUID", correlationHeader, id)
	}
	if a.status >= http.StatusBadRequest && leak.Match(a.body) {
		fault("the body speaks of the implementation: %q", leak.Find(a.body))
	}
	api := strings.HasPrefix(a.call.path, "/api/v2")
	if a.status >= http.StatusBadRequest && api && a.call.method != http.MethodHead {
		blameEnvelope(a, fault)
	}
	if len(a.body) == 0 {
		return faults
	}
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		fault("Content-Type is %q", a.header.Get("Content-Type"))
		return faults
	}
	if kind != "application/json" {
		if api {
			fault("Content-Type is %q, want application/json", kind)
		}
		return faults
	}
	var body any
	if err := json.Unmarshal(a.body, &body); err != nil {
		fault("the body is not JSON: %v", err)
		return faults
	}
	blameValue("", body, fault)
	blameCredentials(a, fault)
	return faults
}

// blameEnvelope checks the members that every error has.
func blameEnvelope(a answer, fault func(string, ...any)) {
	var members map[string]json.RawMessage
	var e envelope
	if err := json.Unmarshal(a.body, &members); err != nil {
		fault("the error is not a JSON object: %v", err)
		return
	}
	if err := json.Unmarshal(a.body, &e); err != nil {
		fault("the error is not the envelope: %v", err)
		return
	}
	for _, name := range []string{"message", "code", "status", "contextId", "details", "errors"} {
		if _, ok := members[name]; !ok {
			fault("the envelope lacks %s", name)
		}
	}
	if strings.TrimSpace(e.Message) == "" {
		fault("the envelope's message is empty")
	}
	if !codeForm.MatchString(e.Code) {
		fault("the envelope's code is %q", e.Code)
	}
	if e.Status != a.status {
		fault("the envelope's status is %d", e.Status)
	}
	if id := a.header.Get(correlationHeader); e.ContextID != id {
		fault("contextId is %q and %s is %q", e.ContextID, correlationHeader, id)
	}
	if e.Details == nil || e.Errors == nil {
		fault("details and errors must be arrays: %s, %s", members["details"], members["errors"])
	}
	if a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") == "" {
		fault("Retry-After is missing")
	}
}

// blameValue checks rules of values: UTC dates with Z and milliseconds, arrays
// of entities, absent instead of null, relative selfUri (spec sections 2.4, 2.5).
func blameValue(at string, v any, fault func(string, ...any)) {
	switch v := v.(type) {
	case nil:
		fault("%s is null", at)
	case string:
		if dateLike.MatchString(v) && !dateForm.MatchString(v) {
			fault("%s is %q, want a date like 2026-03-04T05:06:07.089Z", at, v)
		}
	case []any:
		for i, item := range v {
			blameValue(fmt.Sprintf("%s[%d]", at, i), item, fault)
		}
	case map[string]any:
		if entities, ok := v["entities"]; ok {
			if _, ok := entities.([]any); !ok {
				fault("%s.entities is no array", at)
			}
		}
		if uri, ok := v["selfUri"].(string); ok && !strings.HasPrefix(uri, "/api/v2/") {
			fault("%s.selfUri is %q, want a path below /api/v2", at, uri)
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if name == "attributes" {
				continue // the caller's own texts
			}
			blameValue(at+"."+name, v[name], fault)
		}
	}
}

// blameCredentials checks that nothing which lets somebody in stands where a
// mere reader sees it (design section 4).
func blameCredentials(a answer, fault func(string, ...any)) {
	path, _, _ := strings.Cut(a.call.path, "?")
	if !strings.HasPrefix(path, "/api/v2") || a.call.method == http.MethodPost && a.status < http.StatusBadRequest {
		return
	}
	for _, name := range []string{`"joinUrl":`, `"createdBy":`, `"token":`, `/cobrowse/join?token=`, `"secret":`, `"resume":`} {
		if name == `"resume":` && strings.HasSuffix(path, "/settings") {
			continue // the word on a button
		}
		if name == `/cobrowse/join?token=` && strings.HasPrefix(path, cobrowsePath+"/") {
			continue // viewerUrl, for which there is no other call; officialViewerURL looks at who sees it
		}
		if strings.Contains(string(a.body), name) {
			fault("the answer holds %s, which only creating and issuing may show", name)
		}
	}
}

// date parses a date of an answer.
func date(t T, name, value string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000Z", value)
	if err != nil {
		t.Fatalf("%s is %q, want a date like 2026-03-04T05:06:07.089Z", name, value)
	}
	return at
}

// pageBody is a page of a list.
type pageBody[E any] struct {
	Entities    []E     `json:"entities"`
	PageSize    *int    `json:"pageSize"`
	PageNumber  *int    `json:"pageNumber"`
	Total       *int    `json:"total"`
	PageCount   *int    `json:"pageCount"`
	FirstURI    string  `json:"firstUri"`
	SelfURI     string  `json:"selfUri"`
	LastURI     string  `json:"lastUri"`
	NextURI     *string `json:"nextUri"`
	PreviousURI *string `json:"previousUri"`
}

// page reads a page and checks its envelope.
func page[E any](t T, a answer) pageBody[E] {
	t.Helper()
	var p pageBody[E]
	a.into(t, &p)
	if p.PageSize == nil || p.PageNumber == nil || p.Total == nil || p.PageCount == nil {
		t.Fatalf("%v lacks pageSize, pageNumber, total or pageCount", a)
	}
	if want := (*p.Total + *p.PageSize - 1) / *p.PageSize; *p.PageCount != want {
		t.Errorf("%v: pageCount is %d of %d by %d, want %d", a, *p.PageCount, *p.Total, *p.PageSize, want)
	}
	for name, uri := range map[string]string{"firstUri": p.FirstURI, "selfUri": p.SelfURI, "lastUri": p.LastURI} {
		if u, err := url.Parse(uri); err != nil || u.IsAbs() || !strings.HasPrefix(uri, "/api/v2/") {
			t.Errorf("%v: %s is %q, want a path below /api/v2", a, name, uri)
		}
	}
	if got, want := p.NextURI != nil, *p.PageNumber < *p.PageCount; got != want {
		t.Errorf("%v: nextUri is there: %t, want %t (page %d of %d)", a, got, want, *p.PageNumber, *p.PageCount)
	}
	if got, want := p.PreviousURI != nil, *p.PageNumber > 1 && *p.PageCount > 0; got != want && *p.PageNumber <= *p.PageCount {
		t.Errorf("%v: previousUri is there: %t, want %t (page %d of %d)", a, got, want, *p.PageNumber, *p.PageCount)
	}
	return p
}
