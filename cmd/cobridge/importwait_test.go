package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobridge/cobridge/bridge/gcb"
	"github.com/cobridge/cobridge/cobrowse/client"
)

// roundTrip is a server without sockets, so that time can be that of a bubble.
type roundTrip func(*http.Request) (int, string)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := f(r)
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	h := http.Header{"Content-Type": {"application/json"}}
	switch status {
	case http.StatusCreated:
		h.Set("Location", "/api/v2/cobrowse/history/x")
	case http.StatusTooManyRequests:
		h.Set("Retry-After", "20")
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
}

// waiting imports 40 records from one server to another in a bubble and returns what
// became of them, and how long it took.
func waiting(t *testing.T, patience time.Duration, old, service roundTrip) (*tally, time.Duration, error) {
	t.Helper()
	from, err := gcb.New(gcb.Config{
		URL: "https://old.example/cobrowse", Transport: old, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
		Timeout: 20 * time.Second, Retries: importRetries, Failures: importFailures, Rest: importRest,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	api, err := client.New(client.Options{BaseURL: "https://cobridge.example", ClientID: "x", ClientSecret: "y", Transport: service})
	if err != nil {
		t.Fatal(err)
	}
	var list wanted
	for i := range 40 {
		list.ids = append(list.ids, oldSession(i))
	}
	im := &importer{old: from, api: api, patience: patience, parallel: 4, tally: newTally(list)}
	begin := time.Now()
	err = im.run(t.Context(), list.ids)
	im.tally.rest(list.ids)
	return im.tally, time.Since(begin), err
}

// wellService takes every record.
func wellService(r *http.Request) (int, string) {
	switch {
	case r.URL.Path == "/oauth/token":
		return http.StatusOK, `{"access_token":"t","token_type":"bearer","expires_in":86400}`
	case r.Method == http.MethodGet:
		return http.StatusOK, `{"entities":[]}`
	default:
		return http.StatusCreated, `{}`
	}
}

// An old server that is down is waited for; what it lost before that was noticed, and
// nothing else, is left to the next run.
func TestImportWaitsForTheOldServer(t *testing.T) {
	t.Parallel()
	o := &oldCobrowse{n: 40}
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(time.Minute)
		o.ended = time.Now()
		var tries atomic.Int32
		tl, took, err := waiting(t, 2*time.Minute, func(r *http.Request) (int, string) {
			tries.Add(1)
			if time.Now().Before(back) {
				return 0, ""
			}
			for i := range o.n {
				if strings.HasSuffix(r.URL.Path, oldSession(i)) {
					return http.StatusOK, o.record(i)
				}
			}
			return http.StatusNotFound, ""
		}, wellService)
		if err != nil || tl.imported+len(tl.lost) != 40 || len(tl.lost) == 0 || len(tl.lost) > importFailures || took < time.Minute || took > 70*time.Second {
			t.Errorf("after %s: %v, %d imported, lost %v", took, err, tl.imported, tl.lost)
		}
		for _, l := range tl.lost {
			if l.why != "unreachable" {
				t.Errorf("lost %+v, want unreachable", l)
			}
		}
		if n := tries.Load(); n > 40*4 {
			t.Errorf("%d requests, many of them to a server that was down", n)
		}
	})
}

// It is not waited for without end: the run stops, and says how many had no turn.
func TestImportGivesUpInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tl, took, err := waiting(t, 2*time.Minute, func(*http.Request) (int, string) { return 0, "" }, wellService)
		if !errors.Is(err, errGivenUp) || !strings.Contains(err.Error(), "the old server does not answer") || took < 2*time.Minute || took > 3*time.Minute {
			t.Errorf("after %s: %v", took, err)
		}
		untried := 0
		for _, l := range tl.lost {
			if l.why == reasonNotTried {
				untried++
			}
		}
		if tl.imported != 0 || len(tl.lost) != 40 || untried < 20 {
			t.Errorf("%d imported, %d lost, %d not tried", tl.imported, len(tl.lost), untried)
		}
	})
}

// A service that asks to wait is waited for as long as it asks; one that is down as
// long as an old server.
func TestImportWaitsForTheService(t *testing.T) {
	t.Parallel()
	o := &oldCobrowse{n: 40, ended: time.Now()}
	well := func(r *http.Request) (int, string) {
		for i := range o.n {
			if strings.HasSuffix(r.URL.Path, oldSession(i)) {
				return http.StatusOK, o.record(i)
			}
		}
		return http.StatusNotFound, ""
	}
	for _, tt := range []struct {
		name    string
		status  int
		away    time.Duration
		givesUp bool
	}{
		{"busy", http.StatusTooManyRequests, 20 * time.Minute, false},
		{"down", 0, time.Minute, false},
		{"starting", http.StatusServiceUnavailable, time.Minute, false},
		{"gone", 0, time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				back := time.Now().Add(tt.away)
				tl, took, err := waiting(t, 2*time.Minute, well, func(r *http.Request) (int, string) {
					if r.Method == http.MethodPut && time.Now().Before(back) {
						return tt.status, ""
					}
					return wellService(r)
				})
				if tt.givesUp {
					if !errors.Is(err, errGivenUp) || tl.imported != 0 || took < 2*time.Minute || took > 5*time.Minute {
						t.Errorf("after %s: %v, %d imported", took, err, tl.imported)
					}
					return
				}
				if err != nil || tl.imported != 40 || took < tt.away || took > tt.away+2*time.Minute {
					t.Errorf("after %s: %v, %d imported, lost %v", took, err, tl.imported, tl.lost)
				}
			})
		})
	}
}
