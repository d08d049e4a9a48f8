package genesys_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/conversations/genesys"
)

// anyUser answers for every user.
func anyUser(w http.ResponseWriter, r *http.Request) {
	text(user(conversations.UserID(r.PathValue("id")), "conversation:cobrowse:add"))(w, r)
}

func nthUser(n int) conversations.UserID {
	return conversations.UserID(fmt.Sprintf("0a1b2c3d-0000-4000-8000-%012d", n))
}

// ask asks for n users at the same time and returns how many calls failed.
func ask(t *testing.T, d *genesys.Directory, from, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := d.User(t.Context(), org, nthUser(from+i)); err != nil {
				t.Errorf("User: %v", err)
			}
		})
	}
	wg.Wait()
}

// However many calls are made when the token has to be replaced, one new token is
// asked for and no call fails: shortly before the end, after it, and when the token
// was revoked.
func TestOneTokenForAll(t *testing.T) {
	t.Parallel()
	const calls = 200
	for name, expire := range map[string]func(*cloud){
		"29 seconds before its end": func(c *cloud) { c.clock.Advance(271 * time.Second) },
		"at its end":                func(c *cloud) { c.clock.Advance(300 * time.Second) },
		"long after it":             func(c *cloud) { c.clock.Advance(time.Hour) },
		"when it was revoked":       func(c *cloud) { c.revoke() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.mux.HandleFunc("GET /api/v2/users/{id}", anyUser)
			c.lives(300 * time.Second)
			d := c.directory()
			ask(t, d, 0, calls)
			if got := c.tokens.Load(); got != 1 {
				t.Fatalf("%d token requests at the beginning, want 1", got)
			}
			expire(c)
			ask(t, d, calls, calls)
			if got := c.tokens.Load(); got != 2 {
				t.Errorf("%d token requests in all, want 2", got)
			}
		})
	}
}

// A token is used until 30 seconds before its end, and for half of its life if that is
// shorter; each new one may live differently.
func TestTokenLifetimeChanges(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/users/{id}", anyUser)
	c.lives(300 * time.Second)
	d := c.directory()
	n := 0
	want := func(after time.Duration, tokens int32) {
		t.Helper()
		c.clock.Advance(after)
		n++
		ask(t, d, n, 1)
		if got := c.tokens.Load(); got != tokens {
			t.Errorf("%d token requests, want %d", got, tokens)
		}
	}
	want(0, 1)
	want(269*time.Second, 1)
	c.lives(20 * time.Second)
	want(time.Second, 2)
	want(9*time.Second, 2)
	want(time.Second, 3)
	c.lives(24 * time.Hour)
	want(10*time.Second, 4)
	want(23*time.Hour, 4)
}

// A login that is away for a moment harms nobody while the old token lives.
func TestOldTokenOutlivesALoginThatIsAway(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/users/{id}", anyUser)
	c.lives(300 * time.Second)
	d := c.directory(func(cfg *genesys.Config) { cfg.Retries = -1 })
	ask(t, d, 0, 1)
	c.tokenBy(refusing(http.StatusServiceUnavailable, "service.unavailable", "Away."))
	c.clock.Advance(275 * time.Second)
	ask(t, d, 1, 50)
	if got := c.tokens.Load(); got != 2 {
		t.Errorf("%d token requests, want one more than before", got)
	}
	c.clock.Advance(25 * time.Second)
	_, err := d.User(t.Context(), org, ann)
	wantFailure(t, err, genesys.ReasonServerError)
	c.tokenBy(nil)
	ask(t, d, 100, 1)
}

// A wrong secret is tried once, not once per caller, and again after a while.
func TestWrongSecret(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	d := c.directory(func(cfg *genesys.Config) { cfg.ClientSecret = "wrong" })
	for i := range 20 {
		_, err := d.User(t.Context(), org, nthUser(i))
		wantFailure(t, err, genesys.ReasonBadCredentials)
	}
	if got := c.tokens.Load(); got != 1 {
		t.Errorf("%d token requests, want 1", got)
	}
	c.clock.Advance(11 * time.Second)
	_, err := d.User(t.Context(), org, ann)
	wantFailure(t, err, genesys.ReasonBadCredentials)
	if got := c.tokens.Load(); got != 2 {
		t.Errorf("%d token requests after a while, want 2", got)
	}
}

// A service that takes none of its own tokens is not asked for one after the other.
func TestFreshTokenRefused(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.lives(-time.Second)
	c.mux.HandleFunc("GET /api/v2/users/{id}", anyUser)
	d := c.directory()
	for i := range 20 {
		_, err := d.User(t.Context(), org, nthUser(i))
		wantFailure(t, err, genesys.ReasonTokenRefused)
	}
	if got := c.tokens.Load(); got > 2 {
		t.Errorf("%d token requests, want at most 2", got)
	}
	c.lives(time.Hour)
	c.clock.Advance(11 * time.Second)
	ask(t, d, 100, 1)
}

// What comes instead of a token.
func TestTokenFailures(t *testing.T) {
	t.Parallel()
	oauth := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			text(body)(w, r)
		}
	}
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    genesys.Reason
	}{
		"401":             {oauth(401, `{"error":"invalid_client","error_description":"private"}`), genesys.ReasonBadCredentials},
		"other grant":     {oauth(400, `{"error":"unauthorized_client"}`), genesys.ReasonBadCredentials},
		"scope":           {oauth(400, `{"error":"invalid_scope"}`), genesys.ReasonMissingScope},
		"invalid request": {oauth(400, `{"error":"invalid_request"}`), genesys.ReasonStatus},
		"a page, 404": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "<html>private</html>", http.StatusNotFound)
		}, genesys.ReasonNotJSON},
		"a page, 200": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>private</html>"))
		}, genesys.ReasonNotJSON},
		"no token":     {oauth(200, `{"token_type":"bearer"}`), genesys.ReasonNotJSON},
		"server error": {oauth(500, `private`), genesys.ReasonServerError},
		"busy":         {refusing(429, "too.many.requests", "", "Retry-After", "3600"), genesys.ReasonBusy},
		"redirect":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, genesys.ReasonRedirect},
		"cut off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			text(`{"access_token":`)(w, r)
		}, genesys.ReasonNotJSON},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.tokenBy(tt.handler)
			d := c.directory()
			_, err := d.User(t.Context(), org, ann)
			wantFailure(t, err, tt.want)
			if got := c.calls.Load(); got != 0 {
				t.Errorf("%d calls without a token", got)
			}
		})
	}
}

// Whoever leaves while a token is on its way does not take it away from others.
func TestTokenRequestOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/users/{id}", anyUser)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	c.tokenBy(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-goOn
		c.giveToken(w, r)
	})
	d := c.directory()
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := d.User(ctx, org, ann)
		left <- err
	}()
	<-arrived
	stays := make(chan error)
	go func() {
		_, err := d.User(t.Context(), org, nthUser(1))
		stays <- err
	}()
	cancel()
	if err := <-left; err == nil {
		t.Error("the caller who left got an answer")
	}
	close(goOn)
	if err := <-stays; err != nil {
		t.Errorf("the caller who stayed: %v", err)
	}
	if got := c.tokens.Load(); got != 1 {
		t.Errorf("%d token requests, want 1", got)
	}
}
