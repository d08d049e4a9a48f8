package gcb_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/gcb"
	"github.com/cobridge/cobridge/cobrowse"
)

// bubble returns a client in a bubble of synctest, whose time is the client's.
func bubble(t *testing.T, cfg gcb.Config, server roundTrip) *gcb.Client {
	t.Helper()
	cfg.URL, cfg.Transport, cfg.Clock = "https://old.example/cobrowse", server, time.Now
	return newClient(t, cfg)
}

// stuck answers when the request is given up.
func stuck(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// stuckBody is an answer of which no byte comes.
type stuckBody struct{ ctx context.Context } //nolint:containedctx // it is that of the request

func (b stuckBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (stuckBody) Close() error { return nil }

func TestTimeouts(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]roundTrip{
		"no answer": stuck,
		"no body": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: stuckBody{r.Context()}, ContentLength: -1}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int32
				c := bubble(t, gcb.Config{Timeout: 5 * time.Second, TryTimeout: 2 * time.Second, Retries: 10}, func(r *http.Request) (*http.Response, error) {
					tries.Add(1)
					return server(r)
				})
				begin := time.Now()
				_, err := c.Record(t.Context(), id)
				wantReason(t, err, gcb.ReasonTimeout)
				if took := time.Since(begin); took != 5*time.Second || tries.Load() != 3 {
					t.Errorf("gave up after %s and %d tries, want 5s and 3", took, tries.Load())
				}
			})
		})
	}
}

// The waits between tries grow, differ, and are those that the server asks for.
func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		c := bubble(t, gcb.Config{Timeout: time.Hour, Retries: 4, Wait: 100 * time.Millisecond}, func(*http.Request) (*http.Response, error) {
			at = append(at, time.Now())
			return response(http.StatusBadGateway, ""), nil
		})
		_, err := c.Record(t.Context(), id)
		wantReason(t, err, gcb.ReasonServerError)
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
	for _, tt := range []struct {
		name   string
		header []string
		status int
		tries  int32
		took   time.Duration
		after  time.Duration // that the failure names
	}{
		{"seconds", []string{"Retry-After", "3"}, http.StatusTooManyRequests, 2, 3 * time.Second, 3 * time.Second},
		{"a date", []string{"Retry-After", "Wed, 04 Mar 2026 05:06:11 GMT", "Date", "Wed, 04 Mar 2026 05:06:07 GMT"}, http.StatusServiceUnavailable, 2, 4 * time.Second, 4 * time.Second},
		{"too long", []string{"Retry-After", "3600"}, http.StatusTooManyRequests, 1, 0, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int32
				c := bubble(t, gcb.Config{Timeout: 8 * time.Second, TryTimeout: time.Second, Retries: 1}, func(*http.Request) (*http.Response, error) {
					tries.Add(1)
					return response(tt.status, "", tt.header...), nil
				})
				begin := time.Now()
				_, err := c.Record(t.Context(), id)
				failed, _ := errors.AsType[*cobridge.Error](err)
				if failed == nil || failed.RetryAfter != tt.after || tries.Load() != tt.tries || time.Since(begin) != tt.took {
					t.Errorf("%v after %d tries and %s, want Retry-After %s after %d and %s", err, tries.Load(), time.Since(begin), tt.after, tt.tries, tt.took)
				}
			})
		})
	}
}

// A server that fails is left alone, then tried once, and asked again when it is well.
func TestBreaker(t *testing.T) {
	t.Parallel()
	fails := map[string]roundTrip{
		"errors":  func(*http.Request) (*http.Response, error) { return response(http.StatusInternalServerError, ""), nil },
		"no link": func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"no end":  stuck,
		"no bytes": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: stuckBody{r.Context()}, ContentLength: -1}, nil
		},
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var well atomic.Bool
				var tries atomic.Int32
				c := bubble(t, gcb.Config{Failures: 5, Rest: 10 * time.Second, Retries: -1, Timeout: time.Second, TryTimeout: time.Second}, func(r *http.Request) (*http.Response, error) {
					tries.Add(1)
					if well.Load() {
						return response(http.StatusOK, sample), nil
					}
					return fail(r)
				})
				ask := func(want gcb.Reason, n int32) {
					t.Helper()
					_, err := c.Record(t.Context(), id)
					if want == "" && err != nil {
						t.Errorf("Record = %v", err)
					} else if want != "" {
						wantReason(t, err, want)
					}
					if tries.Load() != n {
						t.Errorf("%d tries, want %d", tries.Load(), n)
					}
				}
				_, err := c.Record(t.Context(), id)
				failed, _ := errors.AsType[*gcb.Error](err)
				if failed == nil {
					t.Fatalf("Record = %v, want a failure", err)
				}
				for n := range int32(4) {
					ask(failed.Reason, n+2)
				}
				ask(gcb.ReasonResting, 5)
				<-time.After(10*time.Second + time.Millisecond)
				ask(failed.Reason, 6) // one try
				ask(gcb.ReasonResting, 6)
				well.Store(true)
				<-time.After(10*time.Second + time.Millisecond)
				ask("", 7)
				ask("", 8)
			})
		})
	}
}

// What is no fault of the server does not count against it.
func TestBreakerStaysClosed(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]roundTrip{
		"not found": func(*http.Request) (*http.Response, error) { return response(http.StatusNotFound, ""), nil },
		"refused":   func(*http.Request) (*http.Response, error) { return response(http.StatusForbidden, ""), nil },
		"too large": func(*http.Request) (*http.Response, error) { return response(http.StatusOK, sample), nil },
		"given up":  stuck,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int32
				c := bubble(t, gcb.Config{Failures: 2, Retries: -1, MaxBody: 10}, func(r *http.Request) (*http.Response, error) {
					tries.Add(1)
					return server(r)
				})
				for i := range int32(10) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					_, err := c.Record(ctx, cobrowse.SessionID("0b5c3a52-2f6e-11ef-9c1e-02420000000"+string('0'+i)))
					cancel()
					synctest.Wait()
					if tries.Load() != i+1 {
						t.Fatalf("%d tries after %d reads, the last: %v", tries.Load(), i+1, err)
					}
				}
			})
		})
	}
}

// Whoever wants the same at the same time waits for one read. It ends with the last
// of them, and not with the first.
func TestOneFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries, cancelled atomic.Int32
		answers := make(chan string)
		c := bubble(t, gcb.Config{Timeout: time.Minute, TryTimeout: time.Minute}, func(r *http.Request) (*http.Response, error) {
			tries.Add(1)
			select {
			case a := <-answers:
				return response(http.StatusOK, a), nil
			case <-r.Context().Done():
				cancelled.Add(1)
				return nil, r.Context().Err()
			}
		})
		const callers = 32
		first, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var good atomic.Int32
		wg.Go(func() {
			if _, err := c.Record(first, id); !errors.Is(err, context.Canceled) {
				t.Errorf("who left got %v", err)
			}
		})
		synctest.Wait()
		for range callers {
			wg.Go(func() {
				s, err := c.Record(t.Context(), id)
				if err != nil || s.ID != id {
					t.Errorf("Record = %+v, %v", s, err)
					return
				}
				s.Pages[0].URL = "changed" // of this caller alone
				good.Add(1)
			})
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		if tries.Load() != 1 || cancelled.Load() != 0 {
			t.Errorf("%d requests, %d given up; want 1 and 0", tries.Load(), cancelled.Load())
		}
		answers <- sample
		wg.Wait()
		if good.Load() != callers {
			t.Errorf("%d of %d got the record", good.Load(), callers)
		}

		// When all have left nobody waits any more.
		all, leave := context.WithCancel(t.Context())
		for range 3 {
			wg.Go(func() { _, _ = c.Record(all, id) })
		}
		synctest.Wait()
		leave()
		wg.Wait()
		synctest.Wait()
		if tries.Load() != 2 || cancelled.Load() != 1 {
			t.Errorf("%d requests, %d given up; want 2 and 1", tries.Load(), cancelled.Load())
		}
		// And who comes then is not told that they had left.
		wg.Go(func() {
			if _, err := c.Record(t.Context(), id); err != nil {
				t.Errorf("Record = %v", err)
			}
		})
		answers <- sample
		wg.Wait()
	})
}

// Reads of different sessions are bounded, so that they do not overrun the server.
func TestParallel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var inside, most, done atomic.Int32
		c := bubble(t, gcb.Config{Parallel: 3, Timeout: time.Minute, TryTimeout: time.Minute}, func(*http.Request) (*http.Response, error) {
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-time.After(time.Second)
			inside.Add(-1)
			return response(http.StatusNotFound, ""), nil
		})
		var wg sync.WaitGroup
		for i := range 9 {
			wg.Go(func() {
				_, err := c.Record(t.Context(), cobrowse.SessionID("0b5c3a52-2f6e-11ef-9c1e-02420000000"+strconv.Itoa(i)))
				if cobridge.CodeOf(err) == cobridge.CodeNotFound {
					done.Add(1)
				}
			})
		}
		wg.Wait()
		if most.Load() != 3 || done.Load() != 9 {
			t.Errorf("%d at the same time and %d in all, want 3 and 9", most.Load(), done.Load())
		}
	})
}
