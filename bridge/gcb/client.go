package gcb

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/sony/gobreaker/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

const (
	defaultTimeout  = 5 * time.Second // below that of a request to us, so that its caller is told
	defaultRetries  = 2
	defaultParallel = 16
	defaultFailures = 5
	defaultRest     = 10 * time.Second
	firstWait       = 100 * time.Millisecond
	maxWait         = 30 * time.Second

	// defaultMaxBody has room for a record of ten thousand pages, in bytes.
	defaultMaxBody = 4 << 20
	maxHead        = 64 << 10 // bytes of an answer's header

	// recordMissing and liveMissing are how long it is believed that there is none.
	// Nine digits may be drawn just after somebody has guessed them.
	recordMissing = time.Minute
	liveMissing   = 5 * time.Second
	missingRoom   = 4096 // entries of each kind, about 100 bytes each
)

// Config says how to reach the server. URL, Clock and Log are required.
type Config struct {
	// URL is where the server's paths begin, the <app> of its documentation:
	// http[s]://host[:port][/path]. No credentials may stand in it.
	URL string
	// User and Password are sent as HTTP Basic, as a gateway in front of the server
	// may want; the server itself asks for none. Empty: nothing is sent.
	User, Password string
	// Origin is sent with reads of live sessions, which the server may allow for
	// some only. Empty: that of URL.
	Origin string

	Timeout    time.Duration // of one read with all its repeats; 0 = 5 s
	TryTimeout time.Duration // of one try; 0 = half of Timeout
	Retries    int           // how often a read is repeated at most; 0 = twice, negative = never
	Wait       time.Duration // before the first repeat, about; doubled for each further one. 0 = 100 ms
	Parallel   int           // reads at the same time; 0 = 16
	MaxBody    int           // of one answer, unpacked, in bytes; 0 = 4 MiB
	Failures   int           // of tries in a row, after which the server is left alone; 0 = 5
	Rest       time.Duration // how long it then is; 0 = 10 s

	Transport http.RoundTripper // nil = one of its own
	UserAgent string            // empty = cobridge
	Clock     cobridge.Clock    // judges how long something is known to be missing
	Log       *slog.Logger
}

// Client reads from one legacy server. Close it when no call is made any more. It
// implements cobrowse.Remote.
type Client struct {
	cfg     Config
	base    string // without a slash at the end
	http    *resty.Client
	slots   chan struct{}
	records *flights[cobrowse.Session]
	lives   *flights[cobrowse.RemoteLive]
	own     *http.Transport // nil if it is the caller's
}

var _ cobrowse.Remote = (*Client)(nil)

// New returns a Client. It sends nothing yet.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(cfg.URL, "/"))
	switch {
	case err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("address of the legacy server: want an absolute http or https URL without query")
	case base.User != nil:
		return nil, errors.New("address of the legacy server: credentials do not belong into it")
	case cfg.User == "" && cfg.Password != "":
		return nil, errors.New("legacy server: a password without a user")
	}
	cfg.Origin = cmp.Or(cfg.Origin, base.Scheme+"://"+strings.ToLower(base.Host))
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	cfg.TryTimeout = cmp.Or(cfg.TryTimeout, cfg.Timeout/2)
	cfg.Retries = max(0, cmp.Or(cfg.Retries, defaultRetries))
	cfg.Wait = cmp.Or(cfg.Wait, firstWait)
	cfg.Parallel = cmp.Or(cfg.Parallel, defaultParallel)
	cfg.MaxBody = cmp.Or(cfg.MaxBody, defaultMaxBody)
	cfg.Failures = cmp.Or(cfg.Failures, defaultFailures)
	cfg.Rest = cmp.Or(cfg.Rest, defaultRest)
	cfg.UserAgent = cmp.Or(cfg.UserAgent, "cobridge")
	c := &Client{
		base: base.String(), slots: make(chan struct{}, cfg.Parallel),
		records: newFlights[cobrowse.Session](cfg.Clock, cfg.Timeout, recordMissing, missingRoom),
		lives:   newFlights[cobrowse.RemoteLive](cfg.Clock, cfg.Timeout, liveMissing, missingRoom),
	}
	if cfg.Transport == nil {
		c.own = newTransport(cfg)
		cfg.Transport = c.own
	}
	c.cfg, c.http = cfg, newResty(cfg)
	return c, nil
}

// Close waits for reads that nobody waits for any more, and closes connections.
func (c *Client) Close() {
	c.records.wg.Wait()
	c.lives.wg.Wait()
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

func newTransport(cfg Config) *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: cfg.Parallel, MaxIdleConnsPerHost: cfg.Parallel,
		MaxConnsPerHost: cfg.Parallel, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: cfg.TryTimeout,
		MaxResponseHeaderBytes: maxHead, DisableCompression: true, // so that the size of an answer is what was sent
	}
}

func newResty(cfg Config) *resty.Client {
	// Whoever redirects means another server, which is not to get the credentials.
	hc := &http.Client{Transport: newGuarded(cfg), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	client := resty.NewWithClient(hc).
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
			return wait, nil
		}).
		AddRetryCondition(repeatable)
	if cfg.User != "" {
		client.SetBasicAuth(cfg.User, cfg.Password)
	}
	return client
}

// errGiveUp ends the repeats: the server asks for a longer wait than there is time.
var errGiveUp = errors.New("the server asks for a longer wait than allowed")

// repeatable decides alone whether a read is repeated.
func repeatable(r *resty.Response, err error) bool {
	if err != nil {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, resty.ErrResponseBodyTooLarge) &&
			!errors.Is(err, gobreaker.ErrOpenState) && !errors.Is(err, gobreaker.ErrTooManyRequests)
	}
	return r.StatusCode() == http.StatusTooManyRequests || r.StatusCode() >= http.StatusInternalServerError
}

// Record implements cobrowse.Remote: a session that lives has no EndedAt, and its
// last page no LeftAt. The context ends the waiting; the read goes on for others.
func (c *Client) Record(ctx context.Context, id cobrowse.SessionID) (cobrowse.Session, error) {
	if !isUUID(string(id)) {
		return cobrowse.Session{}, notFound()
	}
	session, err := c.records.get(ctx, string(id), func(ctx context.Context) (cobrowse.Session, error) {
		body, err := c.read(ctx, "/rest/history/sessions/"+string(id), "")
		if err != nil {
			return cobrowse.Session{}, err
		}
		return parseRecord(body, id)
	})
	return session.Clone(), err
}

// Live implements cobrowse.Remote. A server that does not say which node owns the
// session is itself the answer.
func (c *Client) Live(ctx context.Context, token cobrowse.SessionToken) (cobrowse.RemoteLive, error) {
	if digits, err := cobrowse.ParseSessionToken(string(token)); err != nil || digits != token {
		return cobrowse.RemoteLive{}, notFound()
	}
	return c.lives.get(ctx, string(token), func(ctx context.Context) (cobrowse.RemoteLive, error) {
		body, err := c.read(ctx, "/rest/live/sessions/"+string(token), c.cfg.Origin)
		if err != nil {
			return cobrowse.RemoteLive{}, err
		}
		return parseLive(body, token, c.base)
	})
}

// read fetches one answer, whole.
func (c *Client) read(ctx context.Context, path, origin string) ([]byte, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, c.brokenOff(ctx.Err())
	}
	req := c.http.R().SetContext(ctx)
	if origin != "" {
		req.SetHeader("Origin", origin)
	}
	resp, err := req.Get(c.base + path)
	if err := c.failureOf(resp, err); err != nil {
		return nil, err
	}
	if strings.Contains(strings.ToLower(resp.Header().Get("Content-Type")), "html") {
		return nil, (&Error{Reason: ReasonNotJSON, Status: resp.StatusCode(), Text: "a page"}).unavailable(0)
	}
	return resp.Body(), nil
}

// retryAfter reads Retry-After: seconds or a date, which is compared with the
// answer's own. 0 = nothing said.
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

// silent is resty's logger: what failed is in the error.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}
