package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-resty/resty/v2"
)

const (
	defaultTimeout = 10 * time.Second
	defaultMaxWait = 30 * time.Second
	defaultRetries = 3
	defaultPoll    = 2 * time.Second
	firstWait      = 200 * time.Millisecond
	maxAnswer      = 16 << 20 // bytes; a page of 100 history records with many page visits stays far below
)

// Options say how to reach the service.
type Options struct {
	// BaseURL is the service's public address with a gateway's prefix, if there is
	// one: https://host[:port][/prefix]. Required.
	BaseURL string

	ClientID     string // OAuth client; may be empty if only RedeemJoinToken and StartFromPage are called
	ClientSecret string
	Scopes       []string // to ask for; empty = all that the client has

	Transport http.RoundTripper // carries the requests, those for tokens too; nil = one of its own
	Timeout   time.Duration     // of one request with everything that belongs to it, a token too; 0 = 10 s
	Retries   int               // how often a request is repeated at most; 0 = 3, negative = never
	MaxWait   time.Duration     // longest wait before a repeat; a longer Retry-After is an error. 0 = 30 s
	PollEvery time.Duration     // longest pause between two looks of WaitActive and WaitEnded, unless the service asks for more; 0 = 2 s
	UserAgent string            // "" = cobridge-client

	// Clock tells when tokens are over; nil = time.Now. A test with a clock of its own
	// that it turns gives the same one here.
	Clock func() time.Time
}

// Client calls the service. All methods may be called concurrently, end early
// when their context does, and fail with an [*Error] when the service refuses.
type Client struct {
	api    *resty.Client // with a bearer
	open   *resty.Client // without
	bearer *bearer
	clock  func() time.Time
	poll   time.Duration
}

// New returns a Client. It sends nothing yet: wrong credentials show at the first call.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.BaseURL, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("base URL: want an absolute http or https URL without query")
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxWait == 0 {
		o.MaxWait = defaultMaxWait
	}
	if o.Retries == 0 {
		o.Retries = defaultRetries
	}
	if o.PollEvery == 0 {
		o.PollEvery = defaultPoll
	}
	if o.UserAgent == "" {
		o.UserAgent = "cobridge-client"
	}
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the default where there is nothing else to judge tokens by
	}
	b := newBearer(base.String(), o)
	return &Client{api: newResty(base.String(), b, o), open: newResty(base.String(), o.Transport, o), bearer: b, clock: o.Clock, poll: o.PollEvery}, nil
}

// newTransport is like http.DefaultTransport, which belongs to everybody.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 100, MaxIdleConnsPerHost: 16,
		IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: defaultTimeout, ResponseHeaderTimeout: 30 * time.Second,
	}
}

func newResty(base string, transport http.RoundTripper, o Options) *resty.Client {
	// The service never redirects calls of the API; following one would send the
	// body, and perhaps the token, somewhere else.
	hc := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return resty.NewWithClient(hc).
		SetBaseURL(base).
		SetTimeout(o.Timeout).
		SetHeader("Accept", "application/json").
		SetHeader("User-Agent", o.UserAgent).
		SetLogger(silent{}). // its log lines would have URLs in them
		SetResponseBodyLimit(maxAnswer).
		SetRetryCount(max(0, o.Retries)).
		SetRetryWaitTime(firstWait).
		SetRetryMaxWaitTime(o.MaxWait).
		SetRetryAfter(func(_ *resty.Client, r *resty.Response) (time.Duration, error) {
			wait := retryAfter(r.Header())
			if asked, ok := r.Request.Context().Value(tokenWait{}).(*time.Duration); ok && r.RawResponse == nil {
				wait = *asked
			}
			if wait > o.MaxWait {
				return 0, errGiveUp
			}
			return wait, nil
		})
}

// tokenWait is the key in a request's context under which the wait stands that the
// answer to its latest token request asks for.
type tokenWait struct{}

// errGiveUp ends the repeats; call then returns what the service said.
var errGiveUp = errors.New("the service asks for a longer wait than allowed")

// repeatable decides alone whether a request is sent again. One that may have
// been carried out is repeated only if that makes no difference.
func (r call) repeatable(resp *resty.Response, err error) bool {
	if failed, ok := tokenFailure(err); ok { // the request itself was never sent
		if asked, ok := resp.Request.Context().Value(tokenWait{}).(*time.Duration); ok {
			*asked = failed.RetryAfter
		}
		// A 429 that says how long to wait has seen too many wrong secrets, which
		// waiting does not make right.
		return retryStatus(failed.Status) && (failed.Status != http.StatusTooManyRequests || failed.RetryAfter == 0)
	}
	switch r.method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete:
	default:
		if !r.again {
			return err == nil && resp.StatusCode() == http.StatusTooManyRequests // was turned away at the door
		}
	}
	if err != nil {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, resty.ErrResponseBodyTooLarge)
	}
	cut := resp.IsSuccess() && r.into != nil && isJSON(resp.Header()) && !json.Valid(resp.Body())
	return cut || retryStatus(resp.StatusCode())
}

func retryStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// call is one request to the service.
type call struct {
	method string
	path   string // below the base URL, with its parts escaped
	query  url.Values
	body   any // encoded as JSON; nil = none
	header map[string]string
	into   any  // what a good answer is decoded into; nil = nothing
	open   bool // without an access token
	again  bool // a POST or PATCH for which it makes no difference whether it is carried out once or twice
}

// errAnswer is a success of which the body cannot be understood.
var errAnswer = errors.New("decode answer")

// decode reads the body of a success.
func (r call) decode(resp *resty.Response) error {
	err := json.Unmarshal(resp.Body(), r.into)
	switch {
	case err == nil:
		return nil
	case isJSON(resp.Header()):
		return fmt.Errorf("%w: %w", errAnswer, err)
	default: // somebody else's page; what is on it is not shown
		return fmt.Errorf("%w: it is no JSON; is the base URL that of the service?", errAnswer)
	}
}

// isJSON reports whether an answer says that it is JSON, or nothing.
func isJSON(h http.Header) bool {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || media == "application/json" || strings.HasSuffix(media, "+json")
}

// do sends r and decodes the answer.
func (c *Client) do(ctx context.Context, r call) (http.Header, error) {
	via := c.api
	if r.open {
		via = c.open
	}
	req := via.R().SetContext(context.WithValue(ctx, tokenWait{}, new(time.Duration))).AddRetryCondition(r.repeatable).SetHeader("Content-Type", "application/json").SetHeaders(r.header)
	if len(r.query) > 0 {
		req.SetQueryParamsFromValues(r.query)
	}
	if r.body != nil {
		encoded, err := json.Marshal(r.body) // bytes and no reader: a repeat would send a reader empty
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		req.SetBody(encoded)
	}
	resp, err := req.Execute(r.method, r.path)
	if failed, ok := tokenFailure(err); ok {
		return nil, failed
	}
	if err != nil && !errors.Is(err, errGiveUp) {
		return nil, fmt.Errorf("%s %s: %w", r.method, pathOnly(r.path), plainURL(err))
	}
	if !resp.IsSuccess() {
		return nil, newError(resp.StatusCode(), resp.Header(), resp.Body())
	}
	if r.into != nil {
		if err := r.decode(resp); err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.method, pathOnly(r.path), err)
		}
	}
	return resp.Header(), nil
}

func pathOnly(path string) string {
	before, _, _ := strings.Cut(path, "?")
	return before
}

// plainURL takes the URL out of a transport's error: do has said which call it was.
func plainURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// retryAfter reads Retry-After: seconds or a date. A date is compared with the
// answer's own, so that a wrong clock on either side does no harm. 0 = nothing said.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(now))
}

// segment escapes an id as one part of a path. Two ids would climb out of theirs
// nevertheless.
func segment(id string) string {
	if id == "." || id == ".." {
		return strings.ReplaceAll(id, ".", "%2E")
	}
	return url.PathEscape(id)
}

// silent is resty's logger: what failed is in the error.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}
