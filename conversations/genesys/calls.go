package genesys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/sony/gobreaker/v2"
)

// correlationHeader names a request in the logs of the service.
const correlationHeader = "ININ-Correlation-Id"

// noRedirect follows nowhere: whoever redirects means another server, which is not to
// get the credentials.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newTransport(cfg Config) *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 2 * cfg.Parallel, MaxIdleConnsPerHost: cfg.Parallel,
		MaxConnsPerHost: cfg.Parallel, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: cfg.TryTimeout,
		MaxResponseHeaderBytes: maxHead, DisableCompression: true, // so that the size of an answer is what was sent
	}
}

// newResty puts the layers together, from the connection up: breaker, token, repeats.
func newResty(cfg Config, b *bearer) *resty.Client {
	hc := &http.Client{Transport: b, CheckRedirect: noRedirect}
	return resty.NewWithClient(hc).
		SetTimeout(cfg.TryTimeout).
		SetHeader("Accept", "application/json").
		SetHeader("Accept-Encoding", "identity").
		SetHeader("User-Agent", cfg.UserAgent).
		SetLogger(silent{}). // its lines would have addresses in them
		SetDisableWarn(true).
		SetResponseBodyLimit(cfg.MaxBody).
		SetRetryCount(cfg.Retries).
		SetRetryWaitTime(cfg.Wait).
		SetRetryMaxWaitTime(maxWait).
		SetRetryAfter(func(_ *resty.Client, r *resty.Response) (time.Duration, error) {
			wait := retryAfter(r.Header())
			if wait >= cfg.Timeout {
				return 0, errGiveUp
			}
			return wait, nil // 0 = the usual wait, with jitter
		}).
		AddRetryCondition(repeatable)
}

// errGiveUp ends the repeats: the service asks for a longer wait than there is time.
var errGiveUp = errors.New("the service asks for a longer wait than allowed")

// repeatable decides alone whether a call is repeated. All calls that are made here
// have the same effect when they are made twice.
func repeatable(r *resty.Response, err error) bool {
	if e, ok := errors.AsType[*Error](err); ok { // there is no token
		return e.Reason.passing() && e.after == 0 && !e.rests
	}
	if err != nil {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, resty.ErrResponseBodyTooLarge) &&
			!errors.Is(err, gobreaker.ErrOpenState) && !errors.Is(err, gobreaker.ErrTooManyRequests)
	}
	return r.StatusCode() == http.StatusTooManyRequests || r.StatusCode() >= http.StatusInternalServerError
}

// call makes one call below /api/v2 and returns the body of a 2xx answer. An *Error
// says why there is none; the end of ctx is returned as it is.
func (d *Directory) call(ctx context.Context, method, path string, query url.Values, body any) ([]byte, error) {
	answer, err := d.try(ctx, method, path, query, body)
	e, failed := errors.AsType[*Error](err)
	switch _, none := absent(err); {
	case err == nil:
		d.cfg.Observe("ok")
	case none:
		d.cfg.Observe("notFound")
	case failed:
		d.cfg.Observe(string(e.Reason))
	}
	return answer, err
}

func (d *Directory) try(ctx context.Context, method, path string, query url.Values, body any) ([]byte, error) {
	if wait := d.paused(); wait > 0 {
		return nil, &Error{Reason: ReasonBusy, Text: "no call was made", after: wait}
	}
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return nil, endOf(asked)
	}
	req := d.http.R().SetContext(ctx).SetQueryParamsFromValues(query)
	if id := d.cfg.CorrelationID(ctx); id != "" {
		req.SetHeader(correlationHeader, id)
	}
	if body != nil {
		req.SetHeader("Content-Type", "application/json").SetBody(body)
	}
	resp, err := req.Execute(method, d.base+"/api/v2"+path)
	if err != nil && asked.Err() != nil {
		return nil, endOf(asked)
	}
	e := failureOf(resp, err)
	if e == nil {
		return resp.Body(), nil
	}
	d.remember(e)
	if e.Reason == ReasonBusy {
		if e.after == 0 {
			e.after = retrySoon
		}
		e.after = min(e.after, maxPause)
		d.pause(e.after)
	}
	return nil, e
}

// remember lets failures without a call have the reason of the last call that failed.
func (d *Directory) remember(e *Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case e.rests && d.lastFailure != "":
		e.Reason = d.lastFailure
	case !e.rests && e.Reason.passing() && e.Reason != ReasonBusy:
		d.lastFailure = e.Reason
	}
}

// endOf is the failure of a call whose caller has gone, or has no time any more.
func endOf(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return &Error{Reason: ReasonTimeout}
}

// pause keeps everybody from calling for a while: rates are limited by token.
func (d *Directory) pause(wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if until := d.cfg.Clock.Now().Add(wait); until.After(d.pausedUntil) {
		d.pausedUntil = until
	}
}

func (d *Directory) paused() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pausedUntil.Sub(d.cfg.Clock.Now())
}

// read gets and translates one answer.
func read[V any](ctx context.Context, d *Directory, path string, query url.Values, translate func([]byte) (V, error)) (V, error) {
	var none V
	body, err := d.call(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return none, err
	}
	return translate(body)
}

// failed makes what callers may see of a failure, unless it is that already.
func failed(action string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return fmt.Errorf("%s: %w", action, e.unavailable())
	}
	return fmt.Errorf("%s: %w", action, err)
}

// absent reports whether the service says, in words that are about the thing asked
// for, that there is none. Its bare not.found may be about the address as well, and
// so comes from a wrong base URL, which must not end anything.
func absent(err error) (code string, ok bool) {
	e, is := errors.AsType[*Error](err)
	if !is || !e.is(http.StatusNotFound) || e.Code == "not.found" || !strings.Contains(e.Code, "not") {
		return "", false
	}
	return e.Code, true
}

// silent is resty's logger: what failed is in the error.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}
