package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/egress"
	"github.com/cobridge/cobridge/bridge/notify"
)

// The headers of the scheme
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
)

// maxAnswer is how much of an answer is read, in bytes, so that its connection can be
// used again. What it says does not matter.
const maxAnswer = 16 << 10

// Config is what a Sender is built from.
type Config struct {
	// Transport carries the requests; required. That of package egress looks at each
	// address before it connects.
	Transport http.RoundTripper
	Clock     cobridge.Clock // reads dates in Retry-After; required
	UserAgent string         // "" = cobridge-webhooks
}

// Sender is a [notify.Sender] over HTTP.
type Sender struct {
	client    *http.Client
	clock     cobridge.Clock
	userAgent string
}

var _ notify.Sender = (*Sender)(nil)

// New returns a Sender.
func New(cfg Config) *Sender {
	if cfg.UserAgent == "" {
		cfg.UserAgent = "cobridge-webhooks"
	}
	return &Sender{
		client: &http.Client{
			Transport: cfg.Transport,
			// A redirect is a failure: following it would send the body to an address that
			// nobody has entered.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		clock: cfg.Clock, userAgent: cfg.UserAgent,
	}
}

// Send implements [notify.Sender]: a POST with the body and the three headers.
func (s *Sender) Send(ctx context.Context, r notify.SendRequest) notify.Answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return notify.Answer{Result: notify.ResultBroken} // a URL that was good when it was stored
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.userAgent)
	req.Header.Set(headerID, string(r.ID))
	req.Header.Set(headerTimestamp, strconv.FormatInt(r.At.Unix(), 10))
	req.Header.Set(headerSignature, r.Signature)
	resp, err := s.client.Do(req)
	if err != nil {
		return notify.Answer{Result: resultOf(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	// The status has come: what the rest is like changes nothing.
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	answer := notify.Answer{Status: resp.StatusCode, Result: notify.ResultStatus}
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		answer.Result = notify.ResultDelivered
	case resp.StatusCode == http.StatusGone:
		answer.Result = notify.ResultGone
	case resp.StatusCode >= 300 && resp.StatusCode <= 399:
		answer.Result = notify.ResultRedirect
	default:
		answer.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), s.clock.Now())
	}
	return answer
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3); 0 if it is neither.
func retryAfter(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// resultOf sorts what a transport says. Its text has the URL in it and is not kept.
func resultOf(err error) notify.AttemptResult {
	if errors.Is(err, egress.ErrForbidden) {
		return notify.ResultForbidden
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return notify.ResultDNS
	}
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return notify.ResultTimeout
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return notify.ResultRefused
	}
	if isTLS(err) {
		return notify.ResultTLS
	}
	return notify.ResultBroken
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}
