package gcb_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/gcb"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
)

const (
	id     cobrowse.SessionID    = "0b5c3a52-2f6e-11ef-9c1e-0242ac120002"
	digits cobrowse.SessionToken = "407215938"
	secret                       = "pass-of-the-gateway"

	// sample is that of the reference (History REST, section "Get session history").
	sample = `{"id":"0b5c3a52-2f6e-11ef-9c1e-0242ac120002",
 "sessionToken":"407215938",
 "creationTime":1718036395021,
 "activationTime":1718036402110,
 "deactivationTime":1718036755482,
 "pages":[
  {"url":"https://shop.example/cart","enteredTimestamp":1718036402195,"duration":96},
  {"url":"https://shop.example/checkout","enteredTimestamp":1718036498240,"duration":257}]}`
)

// newClient returns a client whose log and errors are searched for secrets at the end.
func newClient(t *testing.T, cfg gcb.Config) *gcb.Client {
	t.Helper()
	var log testenv.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.Clock == nil {
		cfg.Clock = testenv.NewClock(time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)).Now
	}
	if cfg.Wait == 0 {
		cfg.Wait = time.Microsecond
	}
	if cfg.Failures == 0 {
		cfg.Failures = 1000
	}
	c, err := gcb.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		c.Close()
		if text := log.String(); strings.Contains(text, secret) || strings.Contains(text, string(digits)) {
			t.Errorf("the log has a secret in it:\n%s", text)
		}
	})
	return c
}

// serve starts a legacy server and returns a client of it, and how many requests came.
func serve(t *testing.T, cfg gcb.Config, handle http.HandlerFunc) (*gcb.Client, *atomic.Int32) {
	t.Helper()
	var hits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		handle(w, r)
	}))
	t.Cleanup(server.Close)
	cfg.URL = server.URL + "/cobrowse/"
	return newClient(t, cfg), &hits
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		_, _ = io.WriteString(w, body)
	}
}

// wantReason checks a failure, and that it says nothing it should not.
func wantReason(t *testing.T, err error, want gcb.Reason) {
	t.Helper()
	failed, ok := errors.AsType[*gcb.Error](err)
	if !ok || failed.Reason != want || cobridge.CodeOf(err) != cobridge.CodeUnavailable {
		t.Errorf("failure = %v, want %s and code %s", err, want, cobridge.CodeUnavailable)
	}
	for _, hidden := range []string{secret, string(digits), "/rest/", "private"} {
		if err != nil && strings.Contains(err.Error(), hidden) {
			t.Errorf("failure %q has %q in it", err, hidden)
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, gcb.Config{User: "gate", Password: secret}, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.Method != http.MethodGet || r.URL.Path != "/cobrowse/rest/history/sessions/"+string(id) || user != "gate" || password != secret || r.Header.Get("Origin") != "" {
			t.Errorf("request is %s %s by %s, Origin %q", r.Method, r.URL, user, r.Header.Get("Origin"))
		}
		answer(sample)(w, r)
	})
	got, err := c.Record(t.Context(), id)
	if err != nil {
		t.Fatalf("Record: %v", err)
	}
	at := func(milli int64) time.Time { return time.UnixMilli(milli).UTC() }
	want := cobrowse.Session{
		ID: id, Token: digits, Legacy: true, CreatedAt: at(1718036395021), ActivatedAt: at(1718036402110), EndedAt: at(1718036755482),
		Pages: []cobrowse.PageVisit{
			{URL: "https://shop.example/cart", EnteredAt: at(1718036402195), LeftAt: at(1718036498240)},
			{URL: "https://shop.example/checkout", EnteredAt: at(1718036498240), LeftAt: at(1718036755482)},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// What servers may send that is a record nevertheless.
func TestRecordTolerates(t *testing.T) {
	t.Parallel()
	at := func(milli int64) time.Time { return time.UnixMilli(milli).UTC() }
	base := cobrowse.Session{ID: id, Token: digits, Legacy: true, CreatedAt: at(1000)}
	with := func(change func(*cobrowse.Session)) cobrowse.Session {
		s := base.Clone()
		change(&s)
		return s
	}
	head := `{"id":"` + string(id) + `","sessionToken":"407215938","creationTime":1000`
	for _, tt := range []struct {
		name, body string
		want       cobrowse.Session
	}{
		{"a session that lives", head + `,"pages":[]}`, base},
		{"null for what is not known", head + `,"activationTime":null,"deactivationTime":null,"pages":null}`, base},
		{"zero for what is not known", head + `,"activationTime":0,"deactivationTime":0}`, base},
		{"members that nobody knows", head + `,"users":[{"userId":"1"}],"x":{}}`, base},
		{"a byte order mark, and space", "\ufeff " + head + "}\n", base},
		{"an id in capitals", `{"id":"` + strings.ToUpper(string(id)) + `","sessionToken":"407215938","creationTime":1000}`, base},
		{
			"a page that is shown", head + `,"activationTime":2000,"pages":[{"url":"https://shop.example/","enteredTimestamp":2100}]}`,
			with(func(s *cobrowse.Session) {
				s.ActivatedAt, s.Pages = at(2000), []cobrowse.PageVisit{{URL: "https://shop.example/", EnteredAt: at(2100)}}
			}),
		},
		{
			"a last page without duration", head + `,"deactivationTime":9000,"pages":[{"url":"https://shop.example/","enteredTimestamp":2100}]}`,
			with(func(s *cobrowse.Session) {
				s.EndedAt, s.Pages = at(9000), []cobrowse.PageVisit{{URL: "https://shop.example/", EnteredAt: at(2100), LeftAt: at(9000)}}
			}),
		},
		{
			"the seconds of the first page count from the activation, of others from their entry",
			head + `,"activationTime":2000,"deactivationTime":90000,"pages":[{"url":"https://shop.example/a","enteredTimestamp":3500,"duration":10},{"url":"https://shop.example/b","enteredTimestamp":20000,"duration":3}]}`,
			with(func(s *cobrowse.Session) {
				s.ActivatedAt, s.EndedAt = at(2000), at(90000)
				s.Pages = []cobrowse.PageVisit{
					{URL: "https://shop.example/a", EnteredAt: at(3500), LeftAt: at(12000)}, {URL: "https://shop.example/b", EnteredAt: at(20000), LeftAt: at(23000)},
				}
			}),
		},
		{
			"what may be private in an address, and what is none",
			head + `,"deactivationTime":9000,"pages":[{"url":"https://kim:x@shop.example/a?private=1#private","enteredTimestamp":2000,"duration":1},{"url":"about:blank","enteredTimestamp":3000,"duration":0}]}`,
			with(func(s *cobrowse.Session) {
				s.EndedAt, s.Pages = at(9000), []cobrowse.PageVisit{{URL: "https://shop.example/a", EnteredAt: at(2000), LeftAt: at(3000)}}
			}),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _ := serve(t, gcb.Config{}, answer(tt.body))
			got, err := c.Record(t.Context(), id)
			if err != nil {
				t.Fatalf("Record: %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

// Answers that no repeat makes better: one request, and a failure that says why.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	broken := func(old, replacement string) http.HandlerFunc {
		if !strings.Contains(sample, old) {
			t.Fatalf("the sample has no %q", old)
		}
		return answer(strings.Replace(sample, old, replacement, 1))
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for _, tt := range []struct {
		name   string
		handle http.HandlerFunc
		want   gcb.Reason
	}{
		{"a page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<html>private</html>")
		}, gcb.ReasonNotJSON},
		{"a page that claims to be JSON", answer("<!doctype html><p>private"), gcb.ReasonNotJSON},
		{"nothing", answer(""), gcb.ReasonNotJSON},
		{"no content", status(http.StatusNoContent), gcb.ReasonStatus},
		{"an array", answer("[" + sample + "]"), gcb.ReasonNotJSON},
		{"half of it", answer(sample[:100]), gcb.ReasonNotJSON},
		{"something behind it", answer(sample + "private"), gcb.ReasonNotJSON},
		{"another session", broken("0b5c3a52", "1b5c3a52"), gcb.ReasonOtherID},
		{"no session", answer("{}"), gcb.ReasonBadRecord},
		{"an id that is a number", broken(`"0b5c3a52-2f6e-11ef-9c1e-0242ac120002"`, "7"), gcb.ReasonBadRecord},
		{"digits that are a number", broken(`"407215938"`, "407215938"), gcb.ReasonBadRecord},
		{"eight digits", broken(`"407215938"`, `"40721593"`), gcb.ReasonBadRecord},
		{"digits with spaces", broken(`"407215938"`, `"407 215 938"`), gcb.ReasonBadRecord},
		{"no creation", broken(`"creationTime":1718036395021,`, ``), gcb.ReasonBadRecord},
		{"a creation in words", broken(`1718036395021`, `"private"`), gcb.ReasonBadRecord},
		{"a creation before there was time", broken(`1718036395021`, `-5`), gcb.ReasonBadRecord},
		{"a creation beyond all calendars", broken(`1718036395021`, `9223372036854775807`), gcb.ReasonBadRecord},
		{"half a millisecond", broken(`1718036395021`, `1718036395021.5`), gcb.ReasonBadRecord},
		{"activated before it was created", broken(`1718036402110`, `1718036395020`), gcb.ReasonBadRecord},
		{"ended before it was activated", broken(`1718036755482`, `1718036402109`), gcb.ReasonBadRecord},
		{"pages that are an object", answer(`{"id":"` + string(id) + `","pages":{}}`), gcb.ReasonBadRecord},
		{"a page that is a text", answer(`{"id":"` + string(id) + `","pages":["private"]}`), gcb.ReasonBadRecord},
		{"a page that was never entered", broken(`"enteredTimestamp":1718036402195,`, ``), gcb.ReasonBadRecord},
		{"a negative duration", broken(`"duration":96`, `"duration":-1`), gcb.ReasonBadRecord},
		{"an endless duration", broken(`"duration":96`, `"duration":99999999999`), gcb.ReasonBadRecord},
		{"nesting without end", answer(`{"id":` + strings.Repeat("[", 20_000)), gcb.ReasonNotJSON},
		{"no access", status(http.StatusUnauthorized), gcb.ReasonRefused},
		{"forbidden", status(http.StatusForbidden), gcb.ReasonRefused},
		{"a teapot", status(http.StatusTeapot), gcb.ReasonStatus},
		{"an endless body", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat(" ", 32<<10)); err != nil {
					return
				}
			}
		}, gcb.ReasonTooLarge},
		{"a gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 1<<20))
			_ = z.Close()
		}, gcb.ReasonTooLarge},
		{"a long body", answer(sample + strings.Repeat(" ", 64<<10)), gcb.ReasonTooLarge},
		{"a redirect without a place", status(http.StatusFound), gcb.ReasonRedirect},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, hits := serve(t, gcb.Config{MaxBody: 64 << 10, User: "gate", Password: secret}, tt.handle)
			_, err := c.Record(t.Context(), id)
			wantReason(t, err, tt.want)
			if n := hits.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		answer(sample)(w, r)
	}))
	defer other.Close()
	c, _ := serve(t, gcb.Config{User: "gate", Password: secret}, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/private", http.StatusTemporaryRedirect)
	})
	_, err := c.Record(t.Context(), id)
	wantReason(t, err, gcb.ReasonRedirect)
	if elsewhere.Load() != 0 {
		t.Error("the credentials went elsewhere")
	}
}

// hijacked answers with bytes as they are and closes the connection.
func hijacked(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

// Faults that go by: the read is repeated, and succeeds if the next try does.
func TestRepeats(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault http.HandlerFunc
		want  gcb.Reason // if it stays
	}{
		{"500", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "private", http.StatusInternalServerError) }, gcb.ReasonServerError},
		{"503 with a page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, gcb.ReasonServerError},
		{"429", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, gcb.ReasonBusy},
		{"a reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, gcb.ReasonUnreachable},
		{"no HTTP", hijacked("SSH-2.0-private\r\n"), gcb.ReasonUnreachable},
		{"half of what was announced", hijacked("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(sample)+100) + "\r\n\r\n" + sample), gcb.ReasonUnreachable},
		{"chunks that end too early", hijacked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"), gcb.ReasonUnreachable},
		{"a head without end", hijacked("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), gcb.ReasonUnreachable},
		{"gzip that is none", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, sample)
		}, gcb.ReasonUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, faults := range []int32{2, 100} {
				var n atomic.Int32
				c, hits := serve(t, gcb.Config{Timeout: 30 * time.Second}, func(w http.ResponseWriter, r *http.Request) {
					if n.Add(1) <= faults {
						tt.fault(w, r)
						return
					}
					answer(sample)(w, r)
				})
				got, err := c.Record(t.Context(), id)
				if faults > 3 {
					wantReason(t, err, tt.want)
				} else if err != nil || got.ID != id {
					t.Errorf("after %d faults: %v", faults, err)
				}
				// net/http itself repeats a GET whose kept connection was closed under it.
				if n := hits.Load(); n < 3 || n > 6 {
					t.Errorf("%d requests, want 3", n)
				}
			}
		})
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNotFound, http.StatusGone, http.StatusBadRequest} {
		c, hits := serve(t, gcb.Config{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		_, err := c.Record(t.Context(), id)
		if cobridge.CodeOf(err) != cobridge.CodeNotFound || hits.Load() != 1 {
			t.Errorf("status %d = %v after %d requests, want %s after 1", status, err, hits.Load(), cobridge.CodeNotFound)
		}
		for _, bad := range []cobrowse.SessionID{"", "x", "../../secrets", cobrowse.SessionID(strings.ToUpper(string(id))), id + "0"} {
			if _, err := c.Record(t.Context(), bad); cobridge.CodeOf(err) != cobridge.CodeNotFound || hits.Load() != 1 {
				t.Errorf("id %q = %v after %d requests, want %s and none more", bad, err, hits.Load(), cobridge.CodeNotFound)
			}
		}
	}
}

// What there is not is not asked for again for a minute, and takes a bounded room.
func TestMissingIsRemembered(t *testing.T) {
	t.Parallel()
	clock := testenv.NewClock(time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC))
	var there atomic.Bool
	c, hits := serve(t, gcb.Config{Clock: clock.Now}, func(w http.ResponseWriter, r *http.Request) {
		if there.Load() && strings.HasSuffix(r.URL.Path, string(id)) {
			answer(sample)(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	ask := func(id cobrowse.SessionID, code cobridge.Code, requests int32) {
		t.Helper()
		_, err := c.Record(t.Context(), id)
		if got := cobridge.CodeOf(err); got != code || hits.Load() != requests {
			t.Errorf("Record = %v after %d requests, want code %q after %d", err, hits.Load(), code, requests)
		}
	}
	ask(id, cobridge.CodeNotFound, 1)
	there.Store(true)
	clock.Advance(time.Minute - time.Millisecond)
	ask(id, cobridge.CodeNotFound, 1)
	clock.Advance(time.Millisecond)
	ask(id, "", 2)
	ask(id, "", 3) // what there is, is read each time: a record may still grow
	there.Store(false)
	ask(id, cobridge.CodeNotFound, 4)
	const room = 4096
	for i := range room {
		ask(cobrowse.SessionID(fmt.Sprintf("%08x-2f6e-11ef-9c1e-0242ac120002", i)), cobridge.CodeNotFound, int32(5+i))
	}
	ask(id, cobridge.CodeNotFound, 5+room) // forgotten first: there was no room for it
}

func TestLive(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		want       cobrowse.RemoteLive // an URL of / is the server's
		reason     gcb.Reason
	}{
		{"with an address", `{"sessionToken":"407215938","sessionServerName":"cob-a","sessionServerUrl":"https://cob-a.example/cobrowse"}`, cobrowse.RemoteLive{Token: digits, ServerName: "cob-a", ServerURL: "https://cob-a.example/cobrowse"}, ""},
		{"without", `{"sessionToken":"407215938","sessionServerName":"cob-a"}`, cobrowse.RemoteLive{Token: digits, ServerName: "cob-a", ServerURL: "/"}, ""},
		{"another session", `{"sessionToken":"407215939","sessionServerName":"cob-a"}`, cobrowse.RemoteLive{}, gcb.ReasonOtherID},
		{"no session", `{}`, cobrowse.RemoteLive{}, gcb.ReasonBadRecord},
		{"a script for an address", `{"sessionToken":"407215938","sessionServerUrl":"javascript:alert(1)"}`, cobrowse.RemoteLive{}, gcb.ReasonBadRecord},
		{"credentials in the address", `{"sessionToken":"407215938","sessionServerUrl":"https://private:x@cob.example"}`, cobrowse.RemoteLive{}, gcb.ReasonBadRecord},
		{"a name without end", `{"sessionToken":"407215938","sessionServerName":"` + strings.Repeat("x", 300) + `"}`, cobrowse.RemoteLive{}, gcb.ReasonBadRecord},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var base string
			c, _ := serve(t, gcb.Config{Origin: "https://desk.example"}, func(w http.ResponseWriter, r *http.Request) {
				base = "http://" + r.Host + "/cobrowse"
				if r.URL.Path != "/cobrowse/rest/live/sessions/407215938" || r.Header.Get("Origin") != "https://desk.example" {
					t.Errorf("request is %s from %q", r.URL, r.Header.Get("Origin"))
				}
				answer(tt.body)(w, r)
			})
			got, err := c.Live(t.Context(), digits)
			if tt.reason != "" {
				wantReason(t, err, tt.reason)
				return
			}
			if tt.want.ServerURL == "/" {
				tt.want.ServerURL = base
			}
			if err != nil || got != tt.want {
				t.Errorf("Live = %+v, %v, want %+v", got, err, tt.want)
			}
			for _, bad := range []cobrowse.SessionToken{"", "12345678", "407 215 938", "../secret"} {
				if _, err := c.Live(t.Context(), bad); cobridge.CodeOf(err) != cobridge.CodeNotFound {
					t.Errorf("Live(%q) = %v, want not found", bad, err)
				}
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, cfg := range []gcb.Config{
		{URL: ""},
		{URL: "old.example"},
		{URL: "ftp://old.example"},
		{URL: "https://old.example?x=" + secret},
		{URL: "https://u:" + secret + "@old.example"},
		{URL: "https://old.example/\x7f" + secret},
		{URL: "https://old.example", Password: secret},
	} {
		if _, err := gcb.New(cfg); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("New(%+v) = %v, want a failure without the secret", cfg, err)
		}
	}
}

// roundTrip is a server without sockets.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func response(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), ProtoMajor: 1, ProtoMinor: 1}
}

// Whatever a server sends, there is a session with the id that was asked for, or a failure.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"id":"0b5c3a52-2f6e-11ef-9c1e-0242ac120002","sessionToken":"407215938","creationTime":1718036395021,"pages":[]}`))
	f.Add([]byte(`{"error":"not_found","message":"no such session"}`))
	f.Add([]byte("<html>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := gcb.New(gcb.Config{
			URL: "https://old.example", Clock: func() time.Time { return time.Unix(0, 0) }, Log: slog.New(slog.DiscardHandler),
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}, nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := c.Record(context.WithoutCancel(t.Context()), id)
		if _, known := errors.AsType[*gcb.Error](err); err != nil && !known {
			t.Fatalf("failure = %v, want one with a reason", err)
		}
		if err != nil {
			return
		}
		if s.ID != id || len(s.Token) != 9 || s.CreatedAt.IsZero() || !s.EndedAt.IsZero() && s.EndedAt.Before(s.CreatedAt) {
			t.Errorf("record = %+v", s)
		}
		for _, p := range s.Pages {
			if p.URL == "" || strings.ContainsAny(p.URL, "?#") || !p.LeftAt.IsZero() && p.LeftAt.Before(p.EnteredAt) {
				t.Errorf("page = %+v", p)
			}
		}
	})
}
