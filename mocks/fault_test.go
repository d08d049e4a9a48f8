package mocks_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cobridge/cobridge/docs/openapitest"
	"github.com/cobridge/cobridge/mocks"
)

const version = "GET /version"

// A refusal looks as the API document says, and the next request is fine.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		fault      mocks.Fault
		status     int
		code       string
		retryAfter string
	}{
		{"500", mocks.InternalError(), 500, "internal.server.error", ""},
		{"503", mocks.Unavailable(7 * time.Second), 503, "service.unavailable", "7"},
		{"504", mocks.TimedOut(), 504, "request.timeout", ""},
		{"429", mocks.TooManyRequests(1500 * time.Millisecond), 429, "too.many.requests.retry.after", "2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := mocks.New(t, mocks.WithFault(create, tt.fault))
			c := newCaller(t, m)
			got := c.create()
			if got.status != tt.status || got.member("code") != tt.code || got.member("contextId") == "" || got.header.Get("Retry-After") != tt.retryAfter {
				t.Errorf("create = %d, Retry-After %q, %s, want %d, %q and %s in the envelope", got.status, got.header.Get("Retry-After"), got.body, tt.status, tt.retryAfter, tt.code)
			}
			if n := len(m.Sessions()); n != 0 {
				t.Errorf("%d sessions were created nevertheless", n)
			}
			m.Turn(2 * time.Second)
			if got := c.create(); got.status != http.StatusCreated {
				t.Errorf("create afterwards = %d %s, want 201", got.status, got.body)
			}
		})
	}
}

// Each answer to a fault that the service gives is one that its document has.
func TestRefusalsAreDocumented(t *testing.T) {
	t.Parallel()
	m := mocks.New(t)
	checker := openapitest.NewChecker(t)
	token := m.AccessToken()
	for _, f := range []mocks.Fault{mocks.TooManyRequests(time.Second), mocks.InternalError(), mocks.Unavailable(0), mocks.TimedOut(), mocks.TokenExpired()} {
		m.Fail(create, f)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.BaseURL+"/api/v2/cobrowse/sessions", strings.NewReader(createBody(m)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := m.HTTPClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if err := checker.Check(req, []byte(createBody(m)), resp, body); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		m.Turn(time.Second)
	}
}

// The token endpoint speaks RFC 6749 also when it refuses.
func TestTokenEndpointRefuses(t *testing.T) {
	t.Parallel()
	m := mocks.New(t, mocks.WithFault("POST /oauth/token", mocks.TooManyRequests(30*time.Second)))
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {m.ClientID}, "client_secret": {m.ClientSecret}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.BaseURL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := m.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out struct{ Error, Code string }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.Error == "" || out.Code != "" {
		t.Errorf("the body is %+v, %v, want an error of RFC 6749", out, err)
	}
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "30" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the answer is %d %v", resp.StatusCode, resp.Header)
	}
}

// Until its time is over a rate limit refuses everybody, so that whoever comes back
// too early is seen.
func TestTooManyRequestsLasts(t *testing.T) {
	t.Parallel()
	m := mocks.New(t)
	m.Fail(version, mocks.TooManyRequests(time.Hour).Times(2))
	c := caller{t, m, ""}
	var got []int
	for range 3 {
		got = append(got, c.get("/version").status)
	}
	m.Turn(time.Hour)
	got = append(got, c.get("/version").status) // the second of Times
	m.Turn(time.Hour - time.Millisecond)
	got = append(got, c.get("/version").status)
	m.Turn(time.Millisecond)
	got = append(got, c.get("/version").status)
	want := []int{429, 429, 429, 429, 429, 200}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("the answers are %v, want %v", got, want)
		}
	}
	if other := c.get("/healthz").status; other != http.StatusOK {
		t.Errorf("another route = %d, want 200", other)
	}
}

func TestTokenExpired(t *testing.T) {
	t.Parallel()
	m := mocks.New(t, mocks.WithFault(create, mocks.TokenExpired()))
	c := newCaller(t, m)
	for range 2 { // dead is dead: the fault happened to the first request only
		if got := c.create(); got.status != http.StatusUnauthorized || got.member("code") != "bad.credentials" {
			t.Errorf("create = %d %s, want 401 bad.credentials", got.status, got.body)
		}
	}
	if got := newCaller(t, m).create(); got.status != http.StatusCreated {
		t.Errorf("with a new token = %d, want 201", got.status)
	}
}

func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		fault    mocks.Fault
		check    func(answer) bool
		sessions int // that there are nevertheless
	}{
		{"refused", mocks.ConnectionRefused(), func(a answer) bool { return errors.Is(a.err, syscall.ECONNREFUSED) }, 0},
		{"lost", mocks.AnswerLost(), func(a answer) bool { return errors.Is(a.err, syscall.ECONNRESET) }, 1},
		{"cut", mocks.CutBody(), func(a answer) bool {
			return a.status == 201 && errors.Is(a.err, io.ErrUnexpectedEOF) && len(a.body) > 0 && !json.Valid(a.body)
		}, 1},
		{"malformed", mocks.MalformedJSON(), func(a answer) bool { return a.status == 201 && a.err == nil && len(a.body) > 0 && !json.Valid(a.body) }, 1},
		{"gateway", mocks.GatewayError(502), func(a answer) bool {
			return a.status == 502 && a.header.Get("Content-Type") == "text/html" && strings.Contains(string(a.body), "502 Bad Gateway")
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := mocks.New(t, mocks.WithFault(create, tt.fault))
			c := newCaller(t, m)
			if got := c.create(); !tt.check(got) {
				t.Errorf("create = %d %s, %v", got.status, got.body, got.err)
			}
			if n := len(m.Sessions()); n != tt.sessions {
				t.Errorf("there are %d sessions, want %d", n, tt.sessions)
			}
			call := m.CallsTo(create)[0]
			if call.Fault != tt.fault.String() {
				t.Errorf("the call says %q, want the fault %q", call.Fault, tt.fault)
			}
		})
	}
}

// Turning the clock ends a delay: nobody waits.
func TestDelay(t *testing.T) {
	t.Parallel()
	m := mocks.New(t, mocks.WithFault(version, mocks.Delay(48*time.Hour).Times(2)))
	c := caller{t, m, ""}
	answered := make(chan answer, 1)
	go func() { answered <- c.get("/version") }()
	for turned := time.Duration(0); ; turned += time.Hour {
		select {
		case got := <-answered:
			if got.status != http.StatusOK || turned < 48*time.Hour {
				t.Errorf("after %s the answer is %d, %v, want 200 after 48 h", turned, got.status, got.err)
			}
		default:
			m.Turn(time.Hour)
			continue
		}
		break
	}
	// Whoever does not want to wait that long gives up.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { answered <- c.do(ctx, http.MethodGet, "/version", "") }()
	for len(m.CallsTo(version)) < 2 {
		runtime.Gosched()
	}
	cancel()
	if got := <-answered; !errors.Is(got.err, context.Canceled) {
		t.Errorf("a caller who gives up gets %d, %v, want its own error", got.status, got.err)
	}
	// Truly waiting works as well.
	m.Fail(version, mocks.Delay(time.Millisecond))
	if got := c.get("/version"); got.status != http.StatusOK {
		t.Errorf("after a millisecond = %d, %v, want 200", got.status, got.err)
	}
}

func TestFaultsComeInOrder(t *testing.T) {
	t.Parallel()
	m := mocks.New(t)
	m.Fail(version, mocks.TimedOut().After(1).Times(2))
	m.Fail(version, mocks.InternalError())
	m.Fail("*", mocks.Unavailable(0))
	c := caller{t, m, ""}
	var got []int
	for range 6 {
		got = append(got, c.get("/version").status)
	}
	// The first is let through by the route's own faults and meets the one of all routes.
	for i, want := range []int{503, 504, 504, 500, 200, 200} {
		if got[i] != want {
			t.Fatalf("answer %d of %v, want %d", i, got, want)
		}
	}
}

// A fault happens as often as was asked for, whoever comes first.
func TestFaultsAreCounted(t *testing.T) {
	t.Parallel()
	m := mocks.New(t, mocks.WithFault(version, mocks.InternalError().Times(10)))
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[int]int{}
	for range 30 {
		wg.Go(func() {
			got := caller{t, m, ""}.get("/version")
			mu.Lock()
			defer mu.Unlock()
			count[got.status]++
		})
	}
	wg.Wait()
	if count[500] != 10 || count[200] != 20 {
		t.Errorf("the answers are %v, want 10 of 500 and 20 of 200", count)
	}
}

func TestFaultsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		route string
		fault mocks.Fault
		call  func(caller)
		want  []string
	}{
		{"it never happened", version, mocks.TimedOut().Times(2), func(c caller) { c.get("/version") }, []string{"did not happen", version, `1 more of "504"`}},
		{"no token that could expire", version, mocks.TokenExpired(), func(c caller) { c.get("/version") }, []string{"401 dead token", "no access token"}},
		{"no body to cut", "HEAD /version", mocks.CutBody(), func(c caller) { c.do(c.t.Context(), http.MethodHead, "/version", "") }, []string{"body cut", "no body"}},
		{"no status of a gateway", version, mocks.GatewayError(418), func(c caller) { c.get("/version") }, []string{"GatewayError(418)", "want 502, 503 or 504"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			trial := newTrial()
			m := mocks.New(trial)
			m.Fail(tt.route, tt.fault)
			tt.call(caller{t, m, ""})
			wantOne(t, trial.end(), tt.want...)
		})
	}
}
