package contract

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// answerLimit is how long a client of the tutorial waits (T8).
const answerLimit = 10 * time.Second

// maxAnswer bounds what is read of one answer.
const maxAnswer = 16 << 20

// suite is what the cases share.
type suite struct {
	target Target
	run    string // no other run on the same target has the same

	mu      sync.Mutex
	passed  time.Duration // by which the target's clock was moved
	tokens  map[string]cachedToken
	slowest time.Duration
	slowAt  string // the call that was slowest
	calls   int
	made    []string // ids of sessions that were started
}

type cachedToken struct {
	raw  string
	ends time.Duration // on the scale of passed
	uses int
}

// mostUses of an access token keep clear of the limit of each, where there are limits.
const mostUses = 100

func newSuite(target Target) *suite {
	target.Limits = target.Limits.withDefaults()
	target.BaseURL = strings.TrimSuffix(target.BaseURL, "/")
	if target.PublicURL == "" {
		target.PublicURL = target.BaseURL
	}
	target.PublicURL = strings.TrimSuffix(target.PublicURL, "/")
	client := *target.Client // an answer is looked at as it came, and nothing is remembered in between
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	target.Client = &client
	return &suite{target: target, tokens: map[string]cachedToken{}, run: strings.ToLower(rand.Text())}
}

// scene is one case's view of the suite: it ends what the case has begun.
type scene struct {
	*suite
	undo []func(T)
	used bool // the target's conversation is
}

// lasting lets a case end what it has begun although it was told to stop.
type lasting struct{ T }

func (l lasting) Context() context.Context { return context.WithoutCancel(l.T.Context()) }

func (sc *scene) later(f func(T)) { sc.undo = append(sc.undo, f) }

func (sc *scene) close(t T) {
	t.Helper()
	for _, f := range slices.Backward(sc.undo) {
		f(t)
	}
	if sc.used {
		sc.endMade(t)
	}
}

// call is one request. Its zero values: GET, no token, no body, the JSON content
// type that real clients send always.
type call struct {
	method string
	path   string // with query, below the base address; or a whole address
	token  string
	body   any // nil = none, []byte and string as they are, everything else as JSON
	header http.Header
	form   url.Values // sent instead of body
	// quiet is for an answer that is no part of the documented API.
	quiet bool
}

// answer is what came back.
type answer struct {
	call   call
	status int
	header http.Header
	body   []byte
}

func (c call) String() string {
	method := c.method
	if method == "" {
		method = http.MethodGet
	}
	path := c.path
	if i := strings.Index(path, "token="); i >= 0 {
		path = path[:i] + "token=…" // a report is a log too
	}
	if before, rest, ok := strings.Cut(path, "/rest/live/users/"); ok {
		_, after, _ := strings.Cut(rest, "/")
		path = before + "/rest/live/users/…/" + after
	}
	if len(path) > 160 {
		path = path[:160] + "…"
	}
	return method + " " + path
}

func (a answer) String() string {
	body := strings.ToValidUTF8(string(a.body), "?")
	if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		body = "(a page)"
	}
	if a.status < http.StatusBadRequest {
		body = fmt.Sprintf("(%d bytes)", len(a.body)) // it may hold tokens
	}
	if len(body) > 600 {
		body = body[:600] + "…"
	}
	return fmt.Sprintf("%v: %d %s", a.call, a.status, body)
}

// send makes one call and returns what every answer must be blamed for. It may
// be called concurrently.
func (s *suite) send(ctx context.Context, c call) (answer, []string, error) {
	for try := 0; ; try++ {
		if s.target.Pace != nil {
			if err := s.target.Pace(ctx); err != nil {
				return answer{}, nil, fmt.Errorf("%v: %w", c, err)
			}
		}
		a, faults, err := s.sendOnce(ctx, c)
		if err != nil || a.status != http.StatusTooManyRequests || try >= s.target.Retries {
			return a, faults, err
		}
		if err := pause(ctx, a.header.Get("Retry-After")); err != nil {
			return answer{}, nil, fmt.Errorf("%v: %w", c, err)
		}
	}
}

// mostPatience bounds what Retry-After may ask for.
const mostPatience = time.Minute

// pause waits as many seconds as a header says, a second if it says nothing.
func pause(ctx context.Context, seconds string) error {
	wait := time.Second
	if n, err := strconv.Atoi(seconds); err == nil {
		wait = min(max(wait, time.Duration(n)*time.Second), mostPatience)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *suite) sendOnce(ctx context.Context, c call) (answer, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	body, err := c.bytes()
	if err != nil {
		return answer{}, nil, fmt.Errorf("%v: encode body: %w", c, err)
	}
	if c.method == "" {
		c.method = http.MethodGet
	}
	address := c.path
	if strings.HasPrefix(address, "/") {
		address = s.target.BaseURL + address
	}
	req, err := http.NewRequestWithContext(ctx, c.method, address, bytes.NewReader(body))
	if err != nil {
		return answer{}, nil, fmt.Errorf("%v: make request: %w", c, err)
	}
	if len(body) == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "*/*")
	if c.form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, values := range c.header {
		if values == nil {
			req.Header.Del(name)
			continue
		}
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	began := time.Now()
	resp, err := s.target.Client.Do(req)
	if err != nil {
		return answer{}, nil, fmt.Errorf("%v: %w", c, err)
	}
	got, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close() // it was read to the end, or refused to be
	// An answer to a body that was refused unread is followed by a reset.
	if err != nil && resp.StatusCode != http.StatusRequestEntityTooLarge {
		return answer{}, nil, fmt.Errorf("%v: read answer: %w", c, err)
	}
	s.note(c, time.Since(began))
	a := answer{call: c, status: resp.StatusCode, header: resp.Header, body: got}
	s.remember(a)
	faults := blame(a)
	if s.target.Check != nil && !c.quiet {
		if err := s.target.Check(req, body, resp, got); err != nil {
			faults = append(faults, "check: "+err.Error())
		}
	}
	return a, faults, nil
}

func (s *suite) note(c call, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if took > s.slowest {
		s.slowest, s.slowAt = took, c.String()
	}
}

func (c call) bytes() ([]byte, error) {
	if c.form != nil {
		return []byte(c.form.Encode()), nil
	}
	switch b := c.body.(type) {
	case nil:
		return nil, nil
	case []byte:
		return b, nil
	case string:
		return []byte(b), nil
	default:
		return json.Marshal(b)
	}
}

// do makes one call and reports what every answer must be blamed for. Without
// an answer the case cannot go on.
func (s *suite) do(t T, c call) answer {
	t.Helper()
	a, faults, err := s.send(t.Context(), c)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, fault := range faults {
		t.Errorf("%v\n\t%s", a, fault)
	}
	return a
}

// want is do for a call that must have the given status, else the case ends.
func (s *suite) want(t T, status int, c call) answer {
	t.Helper()
	a := s.do(t, c)
	if a.status != status {
		t.Fatalf("%v, want %d", a, status)
	}
	return a
}

// refused is do for a call that must fail with the given status and code. The
// case goes on if it does not.
func (s *suite) refused(t T, status int, code string, c call) envelope {
	t.Helper()
	a := s.do(t, c)
	var e envelope
	if err := json.Unmarshal(a.body, &e); err != nil || a.status != status || e.Code != code {
		t.Errorf("%v, want %d %s", a, status, code)
	}
	return e
}

// into decodes the answer's JSON body into v.
func (a answer) into(t T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v: the body is not the JSON that was expected: %v", a, err)
	}
}

// object returns the answer's JSON object.
func (a answer) object(t T) map[string]any {
	t.Helper()
	var v map[string]any
	a.into(t, &v)
	return v
}

// token returns an access token of the suite's client with all of [Scopes].
func (s *suite) token(t T) string {
	t.Helper()
	return s.grant(t, s.target.Credentials, nil)
}

// scoped returns an access token of the suite's client with only these scopes.
func (s *suite) scoped(t T, scopes ...string) string {
	t.Helper()
	return s.grant(t, s.target.Credentials, scopes)
}

// other returns an access token of the other organisation.
func (s *suite) other(t T) string {
	t.Helper()
	return s.grant(t, s.target.Other, nil)
}

// grant returns an access token, one that it got before if that is still good.
func (s *suite) grant(t T, cr Credentials, scopes []string) string {
	t.Helper()
	key := cr.ClientID + " " + strings.Join(scopes, " ")
	s.mu.Lock()
	cached, ok := s.tokens[key]
	now := s.passed
	if ok = ok && now < cached.ends && (s.target.Retries == 0 || cached.uses < mostUses); ok {
		cached.uses++
		s.tokens[key] = cached
	}
	s.mu.Unlock()
	if ok {
		return cached.raw
	}
	raw, lifetime := s.fresh(t, cr, scopes...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[key] = cachedToken{raw: raw, ends: now + lifetime - 30*time.Second}
	return raw
}

// fresh returns an access token that nobody else uses, and its lifetime.
func (s *suite) fresh(t T, cr Credentials, scopes ...string) (string, time.Duration) {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {cr.ClientID}, "client_secret": {cr.ClientSecret}}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	var got tokenBody
	s.want(t, http.StatusOK, call{method: http.MethodPost, path: "/oauth/token", form: form}).into(t, &got)
	if got.AccessToken == "" {
		t.Fatalf("POST /oauth/token gave no access_token")
	}
	return got.AccessToken, time.Duration(got.ExpiresIn * float64(time.Second))
}

// advance moves the target's clock.
func (s *suite) advance(d time.Duration) {
	s.target.Advance(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed += d
}

func basic(cr Credentials) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(cr.ClientID+":"+cr.ClientSecret))
}
