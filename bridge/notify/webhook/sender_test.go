package webhook_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cobridge/cobridge/bridge/egress"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/notify/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var t0 = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

func loopback() egress.Policy {
	return egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

func newSender(t *testing.T, p egress.Policy) *webhook.Sender {
	t.Helper()
	transport := egress.Transport(p)
	t.Cleanup(transport.CloseIdleConnections)
	return webhook.New(webhook.Config{Transport: transport, Clock: func() time.Time { return t0 }, UserAgent: "cobridge/1"})
}

func request(url string) notify.SendRequest {
	return notify.SendRequest{URL: url, ID: "msg_1", At: t0, Signature: "v1,c2ln v1,b2xk", Body: []byte(`{"type":"t"}`)}
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

func TestSend(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"type":"t"}` {
			t.Errorf("body = %q", body)
		}
		seen <- r
		w.WriteHeader(http.StatusNoContent)
	})
	got := newSender(t, loopback()).Send(t.Context(), request(server.URL+"/hooks?a=b"))
	if want := (notify.Answer{Status: 204, Result: notify.ResultDelivered}); got != want {
		t.Errorf("Send = %+v, want %+v", got, want)
	}
	r := <-seen
	if r.Method != http.MethodPost || r.URL.String() != "/hooks?a=b" {
		t.Errorf("request = %s %s", r.Method, r.URL)
	}
	for name, want := range map[string]string{
		"webhook-id": "msg_1", "webhook-timestamp": "1767323045", "webhook-signature": "v1,c2ln v1,b2xk",
		"Content-Type": "application/json", "User-Agent": "cobridge/1",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status     int
		retryAfter string
		want       notify.Answer
	}{
		{200, "", notify.Answer{Status: 200, Result: notify.ResultDelivered}},
		{299, "5", notify.Answer{Status: 299, Result: notify.ResultDelivered}},
		{301, "", notify.Answer{Status: 301, Result: notify.ResultRedirect}},
		{308, "", notify.Answer{Status: 308, Result: notify.ResultRedirect}},
		{400, "", notify.Answer{Status: 400, Result: notify.ResultStatus}},
		{410, "", notify.Answer{Status: 410, Result: notify.ResultGone}},
		{429, "7", notify.Answer{Status: 429, Result: notify.ResultStatus, RetryAfter: 7 * time.Second}},
		{503, "Fri, 02 Jan 2026 03:05:05 GMT", notify.Answer{Status: 503, Result: notify.ResultStatus, RetryAfter: time.Minute}},
		{503, "Fri, 02 Jan 2026 03:00:05 GMT", notify.Answer{Status: 503, Result: notify.ResultStatus}},
		{503, "-1", notify.Answer{Status: 503, Result: notify.ResultStatus}},
		{503, "99999999999999999999", notify.Answer{Status: 503, Result: notify.ResultStatus}},
		{500, "soon", notify.Answer{Status: 500, Result: notify.ResultStatus}},
	} {
		other := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", other.URL)
			if tt.retryAfter != "" {
				w.Header().Set("Retry-After", tt.retryAfter)
			}
			w.WriteHeader(tt.status)
		})
		if got := newSender(t, loopback()).Send(t.Context(), request(server.URL)); got != tt.want {
			t.Errorf("Send at status %d, Retry-After %q = %+v, want %+v", tt.status, tt.retryAfter, got, tt.want)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	open := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the address was reached") })
	encrypted := httptest.NewUnstartedServer(http.NotFoundHandler())
	encrypted.Config.ErrorLog = nil
	encrypted.StartTLS()
	t.Cleanup(encrypted.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	cut := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 2")
			_ = conn.Close()
		}
	})
	for _, tt := range []struct {
		name, url string
		policy    egress.Policy
		want      notify.AttemptResult
	}{
		{"forbidden", open.URL, egress.Policy{}, notify.ResultForbidden},
		{"forbidden by name", strings.Replace(open.URL, "127.0.0.1", "localhost", 1), egress.Policy{}, notify.ResultForbidden},
		{"refused", closed, loopback(), notify.ResultRefused},
		{"dns", "http://nowhere.invalid/", loopback(), notify.ResultDNS},
		{"certificate", encrypted.URL, loopback(), notify.ResultTLS},
		{"no TLS at all", strings.Replace(cut.URL, "http:", "https:", 1), loopback(), notify.ResultTLS},
		{"cut", cut.URL, loopback(), notify.ResultBroken},
		{"no URL", "http://a b/", loopback(), notify.ResultBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := newSender(t, tt.policy).Send(t.Context(), request(tt.url)); got != (notify.Answer{Result: tt.want}) {
				t.Errorf("Send = %+v, want %s", got, tt.want)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	answered := make(chan struct{})
	server := serve(t, func(http.ResponseWriter, *http.Request) { <-answered })
	defer close(answered)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got := newSender(t, loopback()).Send(ctx, request(server.URL)); got != (notify.Answer{Result: notify.ResultTimeout}) {
		t.Errorf("Send = %+v, want %s", got, notify.ResultTimeout)
	}
}

// TestEndlessAnswer: an answer without end holds nobody up.
func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for page := bytes.Repeat([]byte("x"), 4096); ; {
			if _, err := w.Write(page); err != nil {
				return
			}
		}
	})
	if got := newSender(t, loopback()).Send(t.Context(), request(server.URL)); got != (notify.Answer{Status: 200, Result: notify.ResultDelivered}) {
		t.Errorf("Send = %+v", got)
	}
}
