package genesys_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/conversations/genesys"
)

// pass lets the time of the bubble pass.
func pass(d time.Duration) { <-time.After(d) }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func response(status int, body string, headers ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
	for i := 0; i+1 < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	return resp
}

// bubble returns a directory in a bubble of synctest, whose time is the directory's.
// The service behind it gives out tokens and hands all else on.
func bubble(t *testing.T, cfg genesys.Config, service roundTrip) *genesys.Directory {
	t.Helper()
	cfg.BaseURL, cfg.ClientID, cfg.ClientSecret, cfg.Organisation = "https://api.cloud.example", clientID, secret, org
	cfg.Clock, cfg.Log = time.Now, slog.New(slog.DiscardHandler)
	cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "login.cloud.example" {
			return response(http.StatusOK, `{"access_token":"access-1","token_type":"bearer","expires_in":86400}`), nil
		}
		return service(r)
	})
	d, err := genesys.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		d := bubble(t, genesys.Config{Timeout: 5 * time.Second, TryTimeout: 2 * time.Second, Retries: 10, Failures: 100}, func(r *http.Request) (*http.Response, error) {
			tries.Add(1)
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		begin := time.Now()
		_, err := d.Conversation(t.Context(), org, talk)
		wantFailure(t, err, genesys.ReasonTimeout)
		if took := time.Since(begin); took != 5*time.Second || tries.Load() != 3 {
			t.Errorf("gave up after %s and %d tries, want 5s and 3", took, tries.Load())
		}
		// Whoever has less time is told when it is over.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		_, err = d.Conversation(ctx, org, talk)
		wantFailure(t, err, genesys.ReasonTimeout)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("gave up after %s, want 1s", took)
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		d := bubble(t, genesys.Config{Timeout: time.Hour, Retries: 4, Failures: 100}, func(*http.Request) (*http.Response, error) {
			at = append(at, time.Now())
			return response(http.StatusBadGateway, ""), nil
		})
		_, err := d.Conversation(t.Context(), org, talk)
		wantFailure(t, err, genesys.ReasonServerError)
		if len(at) != 5 {
			t.Fatalf("%d tries, want 5", len(at))
		}
		for i := range 4 {
			wait, most := at[i+1].Sub(at[i]), 100*time.Millisecond<<i
			if least := max(most/2, 100*time.Millisecond); wait < least || wait > most {
				t.Errorf("wait %d took %s, want %s..%s", i, wait, least, most)
			}
		}
	})
}

// A rate limit is waited for if there is time, and obeyed by everybody if not.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		after string        // Retry-After
		tries int32         // of the first call
		took  time.Duration // by the first call
		rest  time.Duration // that nobody calls
	}{
		{"short", "3", 2, 3 * time.Second, 0},
		{"long", "60", 1, 0, time.Minute},
		{"an hour", "3600", 1, 0, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int32
				d := bubble(t, genesys.Config{Timeout: 8 * time.Second}, func(*http.Request) (*http.Response, error) {
					if tries.Add(1) == 1 {
						return response(429, `{"code":"too.many.requests.retry.after","status":429,"contextId":"x"}`, "Retry-After", tt.after), nil
					}
					return response(200, conversation(talk, "connected")), nil
				})
				begin := time.Now()
				_, err := d.Conversation(t.Context(), org, talk)
				if tries.Load() != tt.tries || time.Since(begin) != tt.took {
					t.Errorf("%d tries in %s, want %d in %s", tries.Load(), time.Since(begin), tt.tries, tt.took)
				}
				if tt.rest == 0 {
					if err != nil {
						t.Errorf("Conversation: %v", err)
					}
					return
				}
				wantFailure(t, err, genesys.ReasonBusy)
				after := func(err error) time.Duration {
					e, _ := errors.AsType[*cobridge.Error](err)
					if e == nil {
						t.Fatalf("failure = %v", err)
					}
					return e.RetryAfter
				}
				if got := after(err); got != tt.rest {
					t.Errorf("Retry-After is %s, want %s", got, tt.rest)
				}
				pass(tt.rest - time.Second)
				_, err = d.Conversation(t.Context(), org, talk)
				wantFailure(t, err, genesys.ReasonBusy)
				if got := after(err); got != time.Second || tries.Load() != 1 {
					t.Errorf("Retry-After is %s after %d calls, want 1s after 1", got, tries.Load())
				}
				pass(time.Second)
				if _, err = d.Conversation(t.Context(), org, talk); err != nil {
					t.Errorf("Conversation afterwards: %v", err)
				}
			})
		})
	}
}

// A service that fails again and again is left alone, and found again.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		var up atomic.Bool
		d := bubble(t, genesys.Config{Retries: -1, Failures: 3, Rest: 10 * time.Second}, func(*http.Request) (*http.Response, error) {
			tries.Add(1)
			if up.Load() {
				return response(200, conversation(talk, "connected")), nil
			}
			return response(http.StatusBadGateway, ""), nil
		})
		for range 20 {
			_, err := d.Conversation(t.Context(), org, talk)
			wantFailure(t, err, genesys.ReasonServerError) // also where no call was made
		}
		if got := tries.Load(); got != 3 {
			t.Errorf("%d tries, want 3", got)
		}
		up.Store(true)
		pass(10*time.Second + time.Millisecond)
		if _, err := d.Conversation(t.Context(), org, talk); err != nil {
			t.Errorf("Conversation afterwards: %v", err)
		}
	})
}

// Callers who leave say nothing about the service: it is not left alone for them.
func TestBreakerOfCallersWhoLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		slow.Store(true)
		d := bubble(t, genesys.Config{Retries: -1, Failures: 3, Rest: time.Hour}, func(r *http.Request) (*http.Response, error) {
			if slow.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return response(202, `"accepted"`), nil
		})
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			if err := d.Disconnect(ctx, org, talk); err == nil {
				t.Fatal("Disconnect of a caller who left is no error")
			}
		}
		slow.Store(false)
		if err := d.Disconnect(t.Context(), org, talk); err != nil {
			t.Errorf("Disconnect afterwards: %v", err)
		}
	})
}

// The number of calls at the same time is bounded.
func TestParallelCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		d := bubble(t, genesys.Config{Parallel: 4}, func(r *http.Request) (*http.Response, error) {
			most.Store(max(most.Load(), now.Add(1)))
			pass(10 * time.Millisecond)
			now.Add(-1)
			return response(200, user(conversations.UserID(strings.TrimPrefix(r.URL.Path, "/api/v2/users/")))), nil
		})
		ask(t, d, 0, 40)
		if got := most.Load(); got != 4 {
			t.Errorf("%d calls at the same time, want 4", got)
		}
	})
}

// talks is what a service knows of conversations, and whether it can be reached.
type talks struct {
	mu    sync.Mutex
	state map[conversations.ID]string // "" = it knows none
	away  roundTrip                   // nil = it is there
	calls int
}

func (s *talks) set(id conversations.ID, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state[id] = state
}

func (s *talks) goAway(how roundTrip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = how
}

func (s *talks) roundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.away != nil {
		return s.away(r)
	}
	id := conversations.ID(strings.TrimPrefix(r.URL.Path, "/api/v2/conversations/"))
	if state := s.state[id]; state != "" {
		return response(200, conversation(id, state)), nil
	}
	return response(404, `{"code":"conversation.error.conversation.not.found","status":404,"contextId":"x"}`), nil
}

func (s *talks) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// watching runs a directory that looks for the ends of both conversations each 30
// seconds, and returns whose it has told of.
func watching(t *testing.T, s *talks, cfg genesys.Config) (d *genesys.Directory, told func() []conversations.ID) {
	t.Helper()
	var mu sync.Mutex
	var ends []conversations.ID
	cfg.Live = func(context.Context) ([]conversations.ID, error) { return []conversations.ID{talk, talk2}, nil }
	d = bubble(t, cfg, s.roundTrip)
	d.OnEnd(func(_ context.Context, in conversations.OrgID, id conversations.ID) {
		mu.Lock()
		defer mu.Unlock()
		if in != org {
			t.Errorf("told of organisation %s", in)
		}
		ends = append(ends, id)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
	return d, func() []conversations.ID {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		all := ends
		ends = nil
		return all
	}
}

func TestRunTellsOfEnds(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]string{"disconnected": "disconnected", "forgotten": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &talks{state: map[conversations.ID]string{talk: "connected", talk2: "connected"}}
				d, told := watching(t, s, genesys.Config{})
				pass(5 * time.Minute)
				if ends := told(); len(ends) != 0 {
					t.Fatalf("told of %v while they go on", ends)
				}
				// Others who ask for the same between two looks cost nothing.
				before := s.count()
				pass(29 * time.Second)
				if _, err := d.Conversation(t.Context(), org, talk); err != nil || s.count() != before {
					t.Errorf("Conversation: %v and %d calls", err, s.count()-before)
				}
				s.set(talk2, state)
				pass(31 * time.Second)
				ends := told()
				if len(ends) == 0 || ends[0] != talk2 {
					t.Errorf("told of %v, want %s", ends, talk2)
				}
			})
		})
	}
}

// Ten minutes away, in whatever way: nobody's conversation ends, and what ended
// meanwhile is noticed afterwards.
func TestRunEndsNothingWhileAway(t *testing.T) {
	t.Parallel()
	page := func(status int) roundTrip {
		return func(*http.Request) (*http.Response, error) {
			return response(status, "<html>maintenance</html>", "Content-Type", "text/html"), nil
		}
	}
	envelope := func(status int, code string) roundTrip {
		return func(*http.Request) (*http.Response, error) {
			return response(status, `{"code":"`+code+`","message":"x","contextId":"y","status":`+strconv.Itoa(status)+"}", "ININ-Correlation-Id", "y"), nil
		}
	}
	for name, away := range map[string]roundTrip{
		"refused": func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"stuck": func(r *http.Request) (*http.Response, error) {
			return nil, context.DeadlineExceeded
		},
		"502":             page(502),
		"404 page":        page(404),
		"410 page":        page(410),
		"200 page":        page(200),
		"empty":           page(204),
		"no such address": envelope(404, "not.found"),
		"rate limit": func(*http.Request) (*http.Response, error) {
			return response(429, `{"code":"too.many.requests","status":429}`, "Retry-After", "3600"), nil
		},
		"401":     envelope(401, "bad.credentials"),
		"403":     envelope(403, "missing.permissions"),
		"half":    func(*http.Request) (*http.Response, error) { return response(200, `{"id":"`+string(talk)), nil },
		"nothing": func(*http.Request) (*http.Response, error) { return response(200, `{"id":"`+string(talk)+`"}`), nil },
		"another": func(*http.Request) (*http.Response, error) {
			return response(200, conversation("0a1b2c3d-0000-4000-8000-0000000000cf", "disconnected")), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &talks{state: map[conversations.ID]string{talk: "connected", talk2: "connected"}}
				d, told := watching(t, s, genesys.Config{})
				s.goAway(away)
				before := s.count()
				pass(10 * time.Minute)
				if ends := told(); len(ends) != 0 {
					t.Errorf("told of %v while it was away", ends)
				}
				if s.count() == before || s.count()-before > 300 {
					t.Errorf("%d calls in ten minutes", s.count()-before)
				}
				_, err := d.Conversation(t.Context(), org, talk)
				if e, _ := errors.AsType[*cobridge.Error](err); e == nil || e.Code != cobridge.CodeUnavailable || e.RetryAfter <= 0 {
					t.Errorf("Conversation while away = %v, want %s and when to retry", err, cobridge.CodeUnavailable)
				}
				s.goAway(nil)
				s.set(talk, "disconnected")
				pass(6 * time.Minute) // a rate limit is obeyed for five
				if ends := told(); len(ends) == 0 || ends[0] != talk {
					t.Errorf("told of %v afterwards, want %s", ends, talk)
				}
			})
		})
	}
}

// How each call ended is counted, once for all its tries.
func TestObserve(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.mux.HandleFunc("GET /api/v2/conversations/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == string(talk2) {
			refuse(w, http.StatusNotFound, "conversation.error.conversation.not.found", "")
			return
		}
		text(conversation(talk, "connected"))(w, r)
	})
	c.mux.HandleFunc("GET /api/v2/users/{id}", refusing(http.StatusInternalServerError, "internal.server.error", ""))
	var results []string
	d := c.directory(func(cfg *genesys.Config) { cfg.Observe = func(result string) { results = append(results, result) } })
	_, err1 := d.Conversation(t.Context(), org, talk)
	_, err2 := d.Conversation(t.Context(), org, talk2)
	_, err3 := d.User(t.Context(), org, ann)
	if want := []string{"ok", "notFound", "serverError"}; !slices.Equal(results, want) {
		t.Errorf("results are %q (%v, %v, %v), want %q", results, err1, err2, err3, want)
	}
}
