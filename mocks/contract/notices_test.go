package contract_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cobridge/cobridge/mocks/contract"
)

// recorder is a contract.T without package testing: it shows that the interface
// is enough, and what the suite has to say.
type recorder struct {
	ctx context.Context //nolint:containedctx // T hands it out, as *testing.T does

	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Logf(string, ...any)      {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(string, ...any) { runtime.Goexit() }

func (r *recorder) Run(_ string, f func(contract.T)) bool {
	before := len(r.failures)
	var wg sync.WaitGroup
	wg.Go(func() { f(r) })
	wg.Wait()
	return len(r.failures) == before
}

// seen is an answer on its way to the suite.
type seen struct {
	status int
	header http.Header
	body   []byte
}

// spoiler changes an answer for the worse.
type spoiler func(req *http.Request, a *seen)

// breaking is a transport that spoils answers.
type breaking struct {
	http.RoundTripper
	spoil spoiler
}

func (b breaking) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	a := seen{resp.StatusCode, resp.Header, body}
	b.spoil(req, &a)
	resp.StatusCode, resp.Header = a.status, a.header
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(a.body)), int64(len(a.body))
	return resp, nil
}

// A suite that passes whatever it is shown proves nothing. Each row breaks the
// service in one way, runs the case that must notice and wants it to fail.
func TestSuiteNoticesBreaches(t *testing.T) {
	app, clock := openApp(t)
	base := target(app.BaseURL(), &http.Client{Transport: app.Transport()})
	base.Advance = clock.Advance
	base.Limits = contract.Limits{Racers: 4, Rounds: 1}
	ready(t, base.Client, base.BaseURL)

	// in changes bodies of answers to one method and path.
	in := func(method, path, pattern, replacement string) spoiler {
		where, what := regexp.MustCompile(path), regexp.MustCompile(pattern)
		return func(req *http.Request, a *seen) {
			if req.Method == method && where.MatchString(req.URL.Path) {
				a.body = what.ReplaceAll(a.body, []byte(replacement))
			}
		}
	}
	status := func(method, path string, from, to int) spoiler {
		where := regexp.MustCompile(path)
		return func(req *http.Request, a *seen) {
			if req.Method == method && where.MatchString(req.URL.Path) && a.status == from {
				a.status = to
			}
		}
	}
	header := func(path, name, value string) spoiler {
		where := regexp.MustCompile(path)
		return func(req *http.Request, a *seen) {
			if where.MatchString(req.URL.Path) {
				a.header.Del(name)
				if value != "" {
					a.header.Set(name, value)
				}
			}
		}
	}
	const sessions = "^/api/v2/cobrowse/sessions$"
	for _, tt := range []struct {
		name  string
		cases string // prefix of the cases that must notice
		spoil spoiler
	}{
		{"no correlation id", "conventions: every answer", header(".", "ININ-Correlation-Id", "")},
		{"one correlation id for all", "conventions: every answer", header(".", "ININ-Correlation-Id", "3d1e4b0f-4f43-4f3e-b3c1-2f6a0f6f8a01")},
		{"token answer is 201", "T2 credentials in the form", status("POST", "/oauth/token", 200, 201)},
		{"expires_in is a string", "T3 ", in("POST", "/oauth/token", `"expires_in":(\d+)`, `"expires_in":"$1"`)},
		{"wrong secret is 400", "T5 a wrong secret", status("POST", "/oauth/token", 401, 400)},
		{"no error_description", "T5 other failures", in("POST", "/oauth/token", `"error_description"`, `"text"`)},
		{"tokens may be kept", "T3 ", header("/oauth/token", "Cache-Control", "max-age=60")},
		{"no scope is 404", "T6 every call", status("GET", ".", 403, 404)},
		{"entities is null", "T23 the list shows", in("GET", sessions, `"entities":\[\]`, `"entities":null`)},
		{"role is missing", "T10 ", in("GET", "/conversations", `"role":`, `"rolle":`)},
		{"userId is empty", "T10 ", in("GET", "/conversations", `"userId":"[^"]*"`, `"userId":""`)},
		{"dates with an offset", "T13 ", in("POST", sessions, `(\.\d{3})Z"`, `$1+00:00"`)},
		{"create answers 200", "T13 ", status("POST", sessions, 201, 200)},
		{"no Location", "T13 ", header(sessions, "Location", "")},
		{"another sessionId", "T13 ", in("POST", sessions, `"sessionId":"[^"]*"`, `"sessionId":"x"`)},
		{"join URLs elsewhere", "T31 ", in("POST", ".", `"joinUrl":"http://[^/]*`, `"joinUrl":"http://elsewhere.example`)},
		{"GET leaks a join URL", "T17 ", in("GET", "/cobrowse/sessions/", `"cobrowseRole"`, `"joinUrl":"x","cobrowseRole"`)},
		{"GET leaks the creator", "T17 ", in("GET", "/cobrowse/sessions/", `"dateCreated"`, `"createdBy":{"id":"x"},"dateCreated"`)},
		{"the default time-out is missing", "T15 ", in("POST", sessions, `"timeoutInMinutes":\d+,?`, ``)},
		{"bad payload without details", "T18 ", in("POST", sessions, `"details":\[.*\],"errors"`, `"details":[],"errors"`)},
		{"no capability is 404", "T19 T32 ", status("POST", sessions, 403, 404)},
		{"unknown user is 400", "T20 an unknown userId", status("POST", sessions, 404, 400)},
		{"foreign conversation is 403", "T20 a conversation or user of another", status("POST", sessions, 404, 403)},
		{"409 does not name the session", "T21 ", in("POST", sessions, `"sessionId":`, `"id2":`)},
		{"409 names another session", "T22 one of many", in("POST", sessions, `"errors":\[\](.*)"sessionId":"[^"]*"`, `"errors":[]$1"sessionId":"other"`)},
		{"two winners", "T22 one of many", status("POST", sessions, 409, 201)},
		{"the ended session is live", "T22 after the end", in("GET", "/cobrowse/sessions/", `"state":"ended"`, `"state":"idle"`)},
		{"always the same token", "T28 every call", sameToken()},
		{"tokens live for an hour", "T27 expiresAt", in("POST", "/tokens$", `"expiresAt":"\d{4}`, `"expiresAt":"2099`)},
		{"token of an ended session is 404", "T25 a session that has ended", status("POST", "/tokens$", 409, 404)},
		{"the page may be kept", "T30 the join URL opens", header("/cobrowse/join$", "Cache-Control", "public")},
		{"the page tells its address", "T30 the join URL opens", header("/cobrowse/join$", "Referrer-Policy", "")},
		{"the page runs anything", "T30 the join URL opens", header("/cobrowse/join$", "Content-Security-Policy", "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'")},
		{"opening burns the token", "T30 opening the page", burning(app.Transport())},
		{"a used token is 401", "T30 a token is redeemed once", status("POST", "/cobrowse/join$", 410, 401)},
		{"the cookie can be read", "T30 the viewer's secret", cookieWithout("; HttpOnly")},
		{"the cookie goes everywhere", "T30 the viewer's secret", cookieWithout("; SameSite=Strict")},
		{"a live session has history", "history has a session when", status("GET", "/history/", 404, 200)},
		{"a server error", "bad input: 200 levels", status("POST", sessions, 400, 500)},
		{"driver text", "conversations unknown ids", in("GET", "/conversations/", `"message":"[^"]*"`, `"message":"bbolt: bucket not found"`)},
		{"envelope without errors", "sessions GET of an unknown", in("GET", "/sessions/", `,"errors":\[\]`, ``)},
		{"another organisation's is 403", "isolation every call", status("GET", "/cobrowse/", 404, 403)},
		{"the order of checks", "order of checks", status("POST", sessions, 415, 400)},
		{"a replay without its mark", "idempotency a repeat after the end", header(sessions, "Idempotent-Replayed", "")},
		{"a replayed offer without its mark", "official: an offer repeated", header("/cobrowse$", "Idempotent-Replayed", "")},
		{"a key that was used with something else is a conflict", "official: an offer repeated", status("POST", "/cobrowse$", 400, 409)},
		{"settings that are not those", "official: the settings of a deployment", in("GET", "/versions/", `"allowAgentControl":true`, `"allowAgentControl":false`)},
		{"an old version of the settings", "official: the settings of a deployment", status("GET", "/versions/", 404, 200)},
		{"settings of another organisation", "official: published settings", status("GET", "/webdeployments/", 404, 200)},
		{"not JSON", "own token: GET", header("/tokens/me", "Content-Type", "text/plain")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var cases []contract.Case
			for _, c := range contract.Cases() {
				if strings.HasPrefix(c.Name, tt.cases) {
					cases = append(cases, c)
				}
			}
			if len(cases) == 0 {
				t.Fatalf("no case starts with %q", tt.cases)
			}
			run := func(transport http.RoundTripper) []string {
				tg := base
				client := *base.Client
				client.Transport = transport
				tg.Client = &client
				r := &recorder{ctx: t.Context()}
				// In a goroutine of its own: Fatalf ends it.
				r.Run("", func(rt contract.T) { contract.RunCases(rt, tg, cases) })
				return r.failures
			}
			if failures := run(base.Client.Transport); len(failures) > 0 {
				t.Fatalf("%q fails on the sound service: %q", tt.cases, failures)
			}
			if failures := run(breaking{base.Client.Transport, tt.spoil}); len(failures) == 0 {
				t.Errorf("nothing of %q notices it", tt.cases)
			}
		})
	}
}

// sameToken answers every request for a join token with the first answer.
func sameToken() spoiler {
	var mu sync.Mutex
	var first []byte
	return func(req *http.Request, a *seen) {
		mu.Lock()
		defer mu.Unlock()
		if !strings.HasSuffix(req.URL.Path, "/tokens") || a.status != http.StatusOK {
			return
		}
		if first == nil {
			first = a.body
		}
		a.body = first
	}
}

// burning redeems the token of every page that is opened, as a page would that
// takes a link preview for a person.
func burning(service http.RoundTripper) spoiler {
	client := &http.Client{Transport: service}
	return func(req *http.Request, _ *seen) {
		token := req.URL.Query().Get("token")
		if req.URL.Path != "/cobrowse/join" || token == "" {
			return
		}
		resp, err := client.Post("http://"+req.URL.Host+"/api/v2/cobrowse/join", "application/json", strings.NewReader(`{"token":"`+token+`","tab":"x"}`))
		if err == nil {
			_ = resp.Body.Close()
		}
	}
}

// cookieWithout takes an attribute from every cookie.
func cookieWithout(attribute string) spoiler {
	what := regexp.MustCompile("(?i)" + attribute)
	return func(_ *http.Request, a *seen) {
		for i, cookie := range a.header["Set-Cookie"] {
			a.header["Set-Cookie"][i] = what.ReplaceAllString(cookie, "")
		}
	}
}
