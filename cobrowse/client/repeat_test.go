package client_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/cobridge/cobridge/cobrowse/client"
)

func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	s, c := newService(t, func(o *client.Options) { o.Retries = 3 })
	s.on("POST", "/oauth/token", jsonAnswer(401, `{"error":"invalid_client","description":"d","error_description":"authentication failed"}`, "ININ-Correlation-Id", "ctx"))
	_, err := c.User(t.Context(), "u1")
	got, ok := errors.AsType[*client.Error](err)
	if want := (&client.Error{Status: 401, Code: "invalid_client", Message: "authentication failed", ContextID: "ctx"}); !ok || !cmp.Equal(got, want) {
		t.Errorf("User = %v, want %v", err, want)
	}
	if len(s.seen) != 1 {
		t.Errorf("%d token requests, want 1", len(s.seen))
	}
	if got := s.seen[0]; !strings.Contains(got, "Basic "+base64.StdEncoding.EncodeToString([]byte("id:secret"))) {
		t.Errorf("token request = %q, want Basic credentials", got)
	}
}

// A token that was revoked is replaced once, and the body is sent again whole.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	s, c := newService(t)
	refused := jsonAnswer(401, `{"code":"bad.credentials","status":401,"message":"m"}`)
	s.withTokens().on("POST", "/api/v2/conversations", refused, jsonAnswer(201, `{"id":"c1"}`))
	if _, err := c.CreateConversation(t.Context(), client.NewConversation{MediaType: "call"}); err != nil {
		t.Fatalf("CreateConversation = %v", err)
	}
	body := ` {"mediaType":"call","participants":null}`
	want := []string{
		"token id:secret grant_type=client_credentials", "POST /api/v2/conversations Bearer t1" + body,
		"token id:secret grant_type=client_credentials", "POST /api/v2/conversations Bearer t2" + body,
	}
	if diff := cmp.Diff(want, s.seen); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestRefusedTwice(t *testing.T) {
	t.Parallel()
	s, c := newService(t, func(o *client.Options) { o.Retries = 3 })
	s.withTokens().on("GET", "/api/v2/users/u1", jsonAnswer(401, `{"code":"bad.credentials","status":401,"message":"m"}`))
	if _, err := c.User(t.Context(), "u1"); client.StatusOf(err) != 401 {
		t.Errorf("User = %v, want 401", err)
	}
	if got, want := len(s.seen), 4; got != want { // token, call, token, call
		t.Errorf("%d requests, want %d: %q", got, want, s.seen)
	}
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	s, c := newService(t, func(o *client.Options) { o.Scopes = []string{"users", "conversations"} })
	s.withTokens().on("DELETE", "/api/v2/tokens/me", jsonAnswer(200, ""))
	s.on("HEAD", "/api/v2/tokens/me", jsonAnswer(200, ""))
	for _, fn := range []func(context.Context) error{c.CheckToken, c.RevokeToken, c.CheckToken, c.CheckToken} {
		if err := fn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"token id:secret grant_type=client_credentials&scope=users+conversations", "HEAD /api/v2/tokens/me Bearer t1", "DELETE /api/v2/tokens/me Bearer t1",
		"token id:secret grant_type=client_credentials&scope=users+conversations", "HEAD /api/v2/tokens/me Bearer t2", "HEAD /api/v2/tokens/me Bearer t2",
	}
	if diff := cmp.Diff(want, s.seen); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// What is repeated, and when. Time is synctest's: it stands still but for waiting.
func TestRepeats(t *testing.T) {
	t.Parallel()
	busy := func(headers ...string) httpmock.Responder {
		return jsonAnswer(429, `{"code":"too.many.requests.retry.after","status":429,"message":"m"}`, headers...)
	}
	away := jsonAnswer(503, `{"code":"service.unavailable","status":503,"message":"m"}`)
	broken := func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
	good := jsonAnswer(200, `{"id":"x"}`)
	get := func(ctx context.Context, c *client.Client) error { _, err := c.Session(ctx, "s1"); return err }
	create := func(ctx context.Context, c *client.Client) error {
		_, err := c.CreateSession(ctx, client.NewSession{ConversationID: "c1"})
		return err
	}
	patch := func(ctx context.Context, c *client.Client) error {
		_, err := c.UpdateSession(ctx, "s1", client.NewSettings{})
		return err
	}
	for _, tt := range []struct {
		name    string
		do      func(context.Context, *client.Client) error
		method  string
		answers []httpmock.Responder
		calls   int
		status  int           // of the error; 0 = none, -1 = an error without
		waited  time.Duration // at least
	}{
		{"Retry-After in seconds", get, "GET", []httpmock.Responder{busy("Retry-After", "7"), good}, 2, 0, 7 * time.Second},
		{"Retry-After as a date", get, "GET", []httpmock.Responder{busy("Retry-After", "Wed, 04 Mar 2026 05:06:20 GMT", "Date", "Wed, 04 Mar 2026 05:06:07 GMT"), good}, 2, 0, 13 * time.Second},
		{"a wait that is too long", get, "GET", []httpmock.Responder{busy("Retry-After", "31")}, 1, 429, 0},
		{"503 until it is given up", get, "GET", []httpmock.Responder{away}, 4, 503, 400 * time.Millisecond},
		{"a broken connection", get, "GET", []httpmock.Responder{broken, good}, 2, 0, 0},
		{"500 is final", get, "GET", []httpmock.Responder{jsonAnswer(500, `{}`)}, 1, 500, 0},
		{"404 is final", get, "GET", []httpmock.Responder{jsonAnswer(404, `{}`)}, 1, 404, 0},
		{"create, because of its key", create, "POST", []httpmock.Responder{broken, away, good}, 3, 0, 0},
		{"a change is not repeated", patch, "PATCH", []httpmock.Responder{away}, 1, 503, 0},
		{"nor one of which nobody knows", patch, "PATCH", []httpmock.Responder{broken}, 1, -1, 0},
		{"a change that was turned away is", patch, "PATCH", []httpmock.Responder{busy("Retry-After", "1"), good}, 2, 0, time.Second},
		{"half of the JSON", get, "GET", []httpmock.Responder{jsonAnswer(200, `{"id":"x`), good}, 2, 0, 0},
		{"half of the JSON of a create", create, "POST", []httpmock.Responder{jsonAnswer(201, `{"id":"x`), good}, 2, 0, 0},
		{"half of the JSON of a change", patch, "PATCH", []httpmock.Responder{jsonAnswer(200, `{"id":"x`)}, 1, -1, 0},
		{"somebody's page is final", get, "GET", []httpmock.Responder{jsonAnswer(200, `<html>`, "Content-Type", "text/html")}, 1, -1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newService(t, func(o *client.Options) { o.Retries = 3 })
				path := "/api/v2/cobrowse/sessions/s1"
				if tt.method == http.MethodPost {
					path = "/api/v2/cobrowse/sessions"
				}
				var keys []string
				answers := slices.Clone(tt.answers)
				for i, answer := range answers {
					answers[i] = func(r *http.Request) (*http.Response, error) {
						keys = append(keys, r.Header.Get("Idempotency-Key"))
						return answer(r)
					}
				}
				s.withTokens().on(tt.method, path, answers...)
				start := time.Now()
				err := tt.do(t.Context(), c)
				if client.StatusOf(err) != max(tt.status, 0) || (err == nil) != (tt.status == 0) {
					t.Errorf("error = %v, want status %d", err, tt.status)
				}
				if got := len(s.seen) - 1; got != tt.calls {
					t.Errorf("%d calls, want %d", got, tt.calls)
				}
				if waited := time.Since(start); waited < tt.waited {
					t.Errorf("waited %s, want at least %s", waited, tt.waited)
				}
				if tt.method == http.MethodPost && (keys[0] == "" || len(slices.Compact(keys)) != 1) {
					t.Errorf("keys = %q, want the same one each time", keys)
				}
				for _, line := range s.seen[1:] {
					if line != s.seen[1] {
						t.Errorf("repeat = %q, want %q again", line, s.seen[1])
					}
				}
			})
		})
	}
}

// A service that has no token to give just now is asked again when it says, unless
// that is too late; one that has seen too many wrong secrets is not.
func TestTokenLater(t *testing.T) {
	t.Parallel()
	good := jsonAnswer(200, `{"access_token":"t","token_type":"bearer","expires_in":3600}`)
	for _, tt := range []struct {
		name   string
		answer httpmock.Responder
		tokens int
		status int
		waited time.Duration
	}{
		{"away for 7 s", jsonAnswer(503, `{"error":"temporarily_unavailable"}`, "Retry-After", "7"), 2, 0, 7 * time.Second},
		{"away for an hour", jsonAnswer(503, `{"error":"temporarily_unavailable"}`, "Retry-After", "3600"), 1, 503, 0},
		{"a gateway's page", jsonAnswer(502, `<html>`), 2, 0, 200 * time.Millisecond},
		{"too many wrong secrets", jsonAnswer(429, `{"error":"slow_down"}`, "Retry-After", "7"), 1, 429, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newService(t, func(o *client.Options) { o.Retries = 1 })
				s.on("POST", "/oauth/token", tt.answer, good)
				if tt.status == 0 {
					s.on("POST", "/api/v2/conversations", jsonAnswer(201, `{"id":"c1"}`)) // never repeated itself
				}
				start := time.Now()
				_, err := c.CreateConversation(t.Context(), client.NewConversation{})
				if client.StatusOf(err) != tt.status || (err == nil) != (tt.status == 0) {
					t.Errorf("CreateConversation = %v, want status %d", err, tt.status)
				}
				if waited := time.Since(start); waited < tt.waited || waited > tt.waited+time.Second {
					t.Errorf("waited %s, want %s", waited, tt.waited)
				}
				if n := s.GetCallCountInfo()["POST "+base+"/oauth/token"]; n != tt.tokens {
					t.Errorf("%d token requests, want %d", n, tt.tokens)
				}
			})
		})
	}
}

// Each create has a key of its own unless the caller gives one.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	s, c := newService(t)
	var keys []string
	s.withTokens().on("POST", "/api/v2/cobrowse/sessions", func(r *http.Request) (*http.Response, error) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		return jsonAnswer(201, `{"id":"s1"}`)(r)
	})
	for _, key := range []string{"", "", "mine"} {
		if _, err := c.CreateSession(t.Context(), client.NewSession{IdempotencyKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	if keys[0] == "" || keys[0] == keys[1] || keys[2] != "mine" {
		t.Errorf("keys = %q, want two different ones and mine", keys)
	}
}

// A call ends with its context, also while another one is getting the token.
func TestContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newService(t, func(o *client.Options) { o.Timeout = time.Minute })
		release := make(chan struct{})
		s.on("POST", "/oauth/token", func(r *http.Request) (*http.Response, error) {
			<-release
			return jsonAnswer(200, `{"access_token":"t","token_type":"bearer","expires_in":3600}`)(r)
		})
		s.on("GET", "/api/v2/users/u1", jsonAnswer(200, `{"id":"u1"}`))
		done := make(chan error, 1)
		go func() {
			_, err := c.User(t.Context(), "u1")
			done <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.User(ctx, "u1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("User with a short context = %v, want its deadline", err)
		}
		close(release)
		if err := <-done; err != nil {
			t.Errorf("User = %v", err)
		}
	})
}
