package genesys

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/cobridge/cobridge"
)

const (
	// earlyRenewal is how long before its end a token is replaced, as the tutorial's
	// clients do; half of its life if that is shorter.
	earlyRenewal = 30 * time.Second
	// usualLifetime holds where the service does not say how long a token lives:
	// the shortest that it can be set to.
	usualLifetime = 5 * time.Minute
	maxLifetime   = 48 * time.Hour
	// refusalRest is how long a refusal of the credentials, or of a fresh token, is
	// believed: asking again at once only locks the client out.
	refusalRest = 10 * time.Second
	// renewalRest is how long an old token that still lives is used after a renewal
	// failed, before the next try.
	renewalRest = 5 * time.Second
)

// bearer puts an access token on each request, and replaces it shortly before its
// end. A token that is refused sooner, as after a revocation, is dropped and the
// request sent once more. There is one token request at a time, for all who wait.
type bearer struct {
	next  http.RoundTripper
	conf  clientcredentials.Config
	http  *http.Client // for token requests
	clock cobridge.Clock
	limit time.Duration // of a token request

	mu      sync.Mutex
	wg      sync.WaitGroup
	token   *access  // nil before the first one
	renewal *renewal // nil while none is on its way
	refusal *Error   // of the credentials
	until   time.Time
	again   time.Time // when a renewal that failed is tried again, while the old token still lives
}

// access is an access token.
type access struct {
	*oauth2.Token

	got    time.Time
	renew  time.Time // when it is replaced
	end    time.Time
	proven bool // it was accepted at least once; guarded by bearer.mu
}

type renewal struct {
	done  chan struct{}
	token *access // as the other, once done is closed
	err   error
}

func newBearer(cfg Config, login string, api, loginTransport http.RoundTripper) *bearer {
	return &bearer{
		next: api, clock: cfg.Clock, limit: cfg.TryTimeout,
		conf: clientcredentials.Config{
			ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, TokenURL: login + "/oauth/token",
			AuthStyle: oauth2.AuthStyleInHeader, // never auto: it would repeat a refused request in the other style
		},
		http: &http.Client{Transport: loginTransport, Timeout: cfg.TryTimeout, CheckRedirect: noRedirect},
	}
}

// get returns a token that is not the given one, which was refused.
func (b *bearer) get(ctx context.Context, refused *access) (*access, error) {
	b.mu.Lock()
	now := b.clock.Now()
	usable := b.token != nil && b.token != refused && now.Before(b.token.end)
	switch {
	case usable && (now.Before(b.token.renew) || now.Before(b.again)):
		defer b.mu.Unlock()
		return b.token, nil
	case refused != nil && b.token == refused && !refused.proven && now.Before(refused.got.Add(refusalRest)):
		// It was refused from the start: the next one will be as well.
		b.mu.Unlock()
		return nil, &Error{Reason: ReasonTokenRefused, Status: http.StatusUnauthorized}
	case b.refusal != nil && now.Before(b.until):
		defer b.mu.Unlock()
		if usable {
			return b.token, nil
		}
		return nil, b.refusal
	}
	old := b.token
	on := b.renewal
	if on == nil {
		on = b.start(ctx)
	}
	b.mu.Unlock()
	select {
	case <-on.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if on.err != nil && usable && b.clock.Now().Before(old.end) {
		return old, nil // what is left of its life
	}
	return on.token, on.err
}

// start begins a token request that does not end with the context of who asked first.
func (b *bearer) start(ctx context.Context) *renewal {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.limit)
	on := &renewal{done: make(chan struct{})}
	b.renewal = on
	b.wg.Go(func() {
		defer cancel()
		token, err := b.request(ctx)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.renewal = nil
		if err != nil {
			on.err = err
			b.again = b.clock.Now().Add(renewalRest)
			if err.Status >= 400 && err.Status < 500 {
				b.refusal, b.until = err, b.clock.Now().Add(max(refusalRest, min(err.after, maxPause)))
			}
		} else {
			on.token, b.token, b.refusal = token, token, nil
		}
		close(on.done)
	})
	return on
}

// request gets a new token.
func (b *bearer) request(ctx context.Context) (*access, *Error) {
	asked := b.clock.Now()
	token, err := b.conf.Token(context.WithValue(ctx, oauth2.HTTPClient, b.http))
	if err != nil {
		return nil, tokenFailure(err)
	}
	// The library judges by its own clock, so that its Expiry is of no use here.
	life := usualLifetime
	if seconds, ok := token.Extra("expires_in").(float64); ok && seconds > 0 {
		life = time.Duration(min(seconds, maxLifetime.Seconds()) * float64(time.Second))
	}
	return &access{Token: token, got: asked, end: asked.Add(life), renew: asked.Add(life - min(earlyRenewal, life/2))}, nil
}

var oauthCodePattern = regexp.MustCompile(`^[a-z_]{1,64}$`)

// tokenFailure says why there is no token.
func tokenFailure(err error) *Error {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		if _, ok := errors.AsType[*url.Error](err); !ok {
			return &Error{Reason: ReasonNotJSON, Text: "token request"} // 2xx, and no token in it
		}
		e := brokenOff(err)
		e.Text = "token request"
		return e
	}
	status := answer.Response.StatusCode
	e := &Error{Status: status, Text: "token request", after: retryAfter(answer.Response.Header)}
	if oauthCodePattern.MatchString(answer.ErrorCode) {
		e.Code = answer.ErrorCode
	}
	switch {
	case status == http.StatusTooManyRequests:
		e.Reason = ReasonBusy
	case status >= http.StatusInternalServerError:
		e.Reason = ReasonServerError
	case status >= 300 && status < 400:
		e.Reason = ReasonRedirect
	case e.Code == "invalid_scope":
		e.Reason = ReasonMissingScope
	case e.Code == "invalid_client", e.Code == "unauthorized_client", e.Code == "unsupported_grant_type", status == http.StatusUnauthorized:
		e.Reason = ReasonBadCredentials // invalid_client comes with 400 or 401
	case e.Code == "":
		e.Reason = ReasonNotJSON
	default:
		e.Reason = ReasonStatus
	}
	return e
}

// accepted notes that the service has taken the token.
func (b *bearer) accepted(token *access) {
	b.mu.Lock()
	token.proven = true
	b.mu.Unlock()
}

// RoundTrip implements [http.RoundTripper].
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	var refused *access
	for {
		token, err := b.get(r.Context(), refused)
		if err != nil {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, err
		}
		next := r.Clone(r.Context())
		if refused != nil && r.GetBody != nil {
			if next.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
		token.SetAuthHeader(next)
		resp, err := b.next.RoundTrip(next)
		if err == nil && resp.StatusCode != http.StatusUnauthorized {
			b.accepted(token)
		}
		again := err == nil && resp.StatusCode == http.StatusUnauthorized && refused == nil && (r.Body == nil || r.Body == http.NoBody || r.GetBody != nil)
		if !again {
			return resp, err
		}
		refused = token
		_, _ = io.CopyN(io.Discard, resp.Body, 4096) // so that the connection can be used again
		_ = resp.Body.Close()
	}
}
