package genesys

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

const (
	defaultTimeout  = 5 * time.Second // below that of a request to us, so that its caller is told
	defaultRetries  = 2
	defaultParallel = 16
	defaultFailures = 5
	defaultRest     = 10 * time.Second
	defaultPoll     = 30 * time.Second
	firstWait       = 100 * time.Millisecond
	maxWait         = 30 * time.Second

	// defaultMaxBody has room for a page of 100 conversations with long attributes, in bytes.
	defaultMaxBody = 8 << 20
	maxHead        = 64 << 10 // bytes of an answer's header

	// maxPause bounds how long a rate limit is obeyed without a look: whoever says an
	// hour by mistake must not stop the service for one.
	maxPause = 5 * time.Minute

	// How long answers are believed. A user's permissions change seldom; a conversation
	// may just be beginning when somebody asks for it.
	keepConversation    = 5 * time.Second
	missingConversation = 2 * time.Second
	keepUser            = 30 * time.Second
	missingUser         = 10 * time.Second
	cacheRoom           = 8192 // entries of each kind, a few KB each at most
)

// Config says how to reach the service. Region or BaseURL, ClientID, ClientSecret,
// Organisation, Clock and Log are required.
type Config struct {
	Region  string // id or domain of one of Regions
	BaseURL string // in place of Region: http[s]://host[:port][/path], below which /api/v2 is
	// LoginURL is where /oauth/token is. Empty: the region's, or that of BaseURL with
	// //api. replaced by //login.
	LoginURL string

	ClientID, ClientSecret string // of an OAuth client with the grant Client Credentials

	// Organisation is what we call the organisation that the client belongs to. Nothing
	// is found for any other.
	Organisation conversations.OrgID

	Timeout    time.Duration // of one call with all its repeats; 0 = 5 s
	TryTimeout time.Duration // of one try, and of a token request; 0 = half of Timeout
	Retries    int           // how often a call is repeated at most; 0 = twice, negative = never
	Wait       time.Duration // before the first repeat, about; doubled for each further one. 0 = 100 ms
	Parallel   int           // calls and connections at the same time; 0 = 16
	MaxBody    int           // of one answer in bytes; 0 = 8 MiB
	Failures   int           // of tries in a row, after which a host is left alone; 0 = 5
	Rest       time.Duration // how long it then is; 0 = 10 s

	// Poll is how often Run looks at each conversation that Live names; 0 = 30 s.
	Poll time.Duration
	// Live names the conversations whose end has to be noticed. Nil: none.
	Live func(ctx context.Context) ([]conversations.ID, error)

	// CorrelationID names the request that a call belongs to, for the logs of both
	// sides; "" if there is none. Nil: never.
	CorrelationID func(ctx context.Context) string

	// Observe is told how each call ended, with all its repeats: "ok", "notFound" or one
	// of Reasons. It is called concurrently. Nil: nobody.
	Observe func(result string)

	Transport http.RoundTripper // carries everything but WebSockets; nil = one of its own
	UserAgent string            // empty = cobridge
	Clock     cobridge.Clock    // judges the age of tokens and answers
	Log       *slog.Logger
}

// complete checks what is required and fills in what is not.
func (c Config) complete() (Config, error) {
	switch {
	case c.ClientID == "" || c.ClientSecret == "":
		return Config{}, errors.New("genesys cloud: id and secret of an OAuth client are required")
	case c.Organisation == "":
		return Config{}, errors.New("genesys cloud: an organisation is required")
	}
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.TryTimeout = cmp.Or(c.TryTimeout, c.Timeout/2)
	c.Retries = max(0, cmp.Or(c.Retries, defaultRetries))
	c.Wait = cmp.Or(c.Wait, firstWait)
	c.Parallel = cmp.Or(c.Parallel, defaultParallel)
	c.MaxBody = cmp.Or(c.MaxBody, defaultMaxBody)
	c.Failures = cmp.Or(c.Failures, defaultFailures)
	c.Rest = cmp.Or(c.Rest, defaultRest)
	c.Poll = cmp.Or(c.Poll, defaultPoll)
	c.UserAgent = cmp.Or(c.UserAgent, "cobridge")
	if c.Live == nil {
		c.Live = func(context.Context) ([]conversations.ID, error) { return nil, nil }
	}
	if c.Observe == nil {
		c.Observe = func(string) {}
	}
	if c.CorrelationID == nil {
		c.CorrelationID = func(context.Context) string { return "" }
	}
	return c, nil
}
