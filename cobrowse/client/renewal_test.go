package client_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks"
)

// crowd is how many calls meet the end of a token at the same time.
const crowd = 200

// together makes calls at the same time and returns what went wrong.
func together(do func() error) []error {
	var mu sync.Mutex
	var failures []error
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range crowd {
		wg.Go(func() {
			<-begin
			if err := do(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
			}
		})
	}
	close(begin)
	wg.Wait()
	return failures
}

// However a token ends, many calls at once get a new one with a single request, and
// none of them fails.
func TestOneTokenForAll(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		end     func(*mocks.Mock)
		refused bool // calls with the old token may be seen
	}{
		{"its time is over", func(m *mocks.Mock) { m.Turn(24 * time.Hour) }, false},
		{"its time is nearly over", func(m *mocks.Mock) { m.Turn(24*time.Hour - 30*time.Second) }, false},
		{"it was revoked", func(m *mocks.Mock) { m.ExpireTokens() }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, c := newMock(t, nil)
			look := func() error { _, err := c.Conversation(t.Context(), m.ConversationID); return err }
			if failures := together(look); len(failures) > 0 {
				t.Fatalf("%d of %d calls failed: %v", len(failures), crowd, failures[0])
			}
			if n := len(m.CallsTo(routeToken)); n != 1 {
				t.Fatalf("%d token requests at first, want 1", n)
			}
			tt.end(m)
			m.ForgetCalls()
			if failures := together(look); len(failures) > 0 {
				t.Errorf("%d of %d calls failed: %v", len(failures), crowd, failures[0])
			}
			if n := len(m.CallsTo(routeToken)); n != 1 {
				t.Errorf("%d token requests, want 1", n)
			}
			for _, call := range m.Calls() {
				if call.Status == http.StatusUnauthorized && !tt.refused {
					t.Fatalf("%v was sent with the old token", call)
				}
			}
		})
	}
}

// A token is used for as long as it is good.
func TestTokenUse(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, nil)
	for i, turn := range []time.Duration{0, 12 * time.Hour, 12*time.Hour - time.Minute, 31 * time.Second} {
		m.Turn(turn)
		if _, err := c.Conversation(t.Context(), m.ConversationID); err != nil {
			t.Fatal(err)
		}
		if got, want := len(m.CallsTo(routeToken)), i/3+1; got != want {
			t.Errorf("%d token requests after step %d, want %d", got, i, want)
		}
	}
}

// However a service says how long a token lives, or does not.
func TestTokenLifetimes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, expiresIn string
		tokens          int // after one call each second for a minute
	}{
		{"an hour", `3600`, 1},
		{"a string", `"20"`, 4},
		{"20 seconds, of which a quarter is spare", `20`, 4},
		{"not said", `0`, 1},
		{"nonsense", `-5`, 1},
		{"for ever", `99999999999`, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newService(t)
				n := 0
				s.on("POST", "/oauth/token", func(r *http.Request) (*http.Response, error) {
					n++
					return jsonAnswer(200, `{"access_token":"t","token_type":"bearer","expires_in":`+tt.expiresIn+`}`)(r)
				})
				s.on("GET", "/api/v2/users/u1", jsonAnswer(200, `{"id":"u1"}`))
				for range 60 {
					if _, err := c.User(t.Context(), "u1"); err != nil {
						t.Fatal(err)
					}
					<-time.After(time.Second)
				}
				if n != tt.tokens {
					t.Errorf("%d token requests, want %d", n, tt.tokens)
				}
			})
		})
	}
}

// A refusal, too, holds for all who waited for it: nobody locks the client out by
// asking two hundred times with the same wrong secret.
func TestOneRefusalForAll(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]httpmock.Responder{
		"a wrong secret": jsonAnswer(401, `{"error":"invalid_client"}`),
		"no connection":  func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newService(t)
				n := 0
				s.on("POST", "/oauth/token", func(r *http.Request) (*http.Response, error) {
					n++
					<-time.After(time.Second) // of the bubble: until all others wait
					return answer(r)
				})
				failures := together(func() error { _, err := c.User(t.Context(), "u1"); return err })
				if len(failures) != crowd || n != 1 {
					t.Errorf("%d failures after %d token requests, want %d after 1", len(failures), n, crowd)
				}
				if _, err := c.User(t.Context(), "u1"); err == nil || n != 2 {
					t.Errorf("the next call = %v after %d token requests, want it to ask again", err, n)
				}
			})
		})
	}
}

// One caller's haste is not the others' failure.
func TestHastyCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, hasty := newService(t, func(o *client.Options) { o.Timeout = time.Minute })
		n := 0
		s.on("POST", "/oauth/token", func(r *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return jsonAnswer(200, `{"access_token":"t","token_type":"bearer","expires_in":3600}`)(r)
		})
		s.on("GET", "/api/v2/users/u1", jsonAnswer(200, `{"id":"u1"}`))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first := make(chan error, 1)
		go func() {
			_, err := hasty.User(ctx, "u1")
			first <- err
		}()
		synctest.Wait()
		if _, err := hasty.User(t.Context(), "u1"); err != nil {
			t.Errorf("the patient caller's call = %v", err)
		}
		if err := <-first; err == nil {
			t.Error("the hasty caller's call worked")
		}
	})
}
