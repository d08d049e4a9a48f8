package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// spareTime is how long before its end a token is no longer used: a request with it
// may take a while to arrive. Of a short life it is a quarter.
const spareTime = 30 * time.Second

// bearer puts an access token on each request. A token is used until shortly
// before its end; if the service refuses it sooner, as it does after a revocation
// or a restart with new keys, it is dropped and the request sent once more. However
// many calls wait for a token, one of them asks for it, and what it hears, a refusal
// too, holds for all who waited.
type bearer struct {
	next  http.RoundTripper
	conf  clientcredentials.Config
	http  *http.Client // for token requests
	clock func() time.Time

	failures atomic.Int64 // of token requests

	lock    chan struct{} // held while what follows is read or changed; a channel, so that waiting ends with a context
	token   *oauth2.Token
	until   time.Time // when token is not used any more; zero = nobody knows
	failure error     // of the latest token request; nil = it gave a token
}

func newBearer(base string, o Options) *bearer {
	return &bearer{
		next: o.Transport,
		conf: clientcredentials.Config{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: base + "/oauth/token", Scopes: o.Scopes,
			AuthStyle: oauth2.AuthStyleInHeader, // never auto: it would repeat a refused request in the other style
		},
		http:  &http.Client{Transport: o.Transport, Timeout: o.Timeout},
		clock: o.Clock,
		lock:  make(chan struct{}, 1),
	}
}

// get returns a token that is not the given one, which was refused.
func (b *bearer) get(ctx context.Context, refused *oauth2.Token) (*oauth2.Token, error) {
	failures := b.failures.Load()
	select {
	case b.lock <- struct{}{}:
		defer func() { <-b.lock }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := b.clock()
	if b.token != nil && b.token != refused && (b.until.IsZero() || now.Before(b.until)) {
		return b.token, nil
	}
	if b.failure != nil && b.failures.Load() != failures { // somebody has asked since this call came
		return nil, b.failure
	}
	b.token, b.failure = nil, nil
	token, err := b.conf.Token(context.WithValue(ctx, oauth2.HTTPClient, b.http))
	if err != nil {
		err = fmt.Errorf("get access token: %w", err)
		if ctx.Err() == nil { // else it is this caller's haste, and says nothing to the others
			b.failure = err
			b.failures.Add(1)
		}
		return nil, err
	}
	b.token, b.until = token, time.Time{}
	if life := lifetime(token); life > 0 {
		b.until = now.Add(life - min(spareTime, life/4))
	}
	return token, nil
}

// lifetime reads expires_in, a number of seconds that some send as a string. What
// oauth2 makes of it goes by the machine's clock. 0 = not said.
func lifetime(token *oauth2.Token) time.Duration {
	const most = 10 * 365 * 24 * time.Hour
	var seconds float64
	switch in := token.Extra("expires_in").(type) {
	case float64:
		seconds = in
	case int64:
		seconds = float64(in)
	case string:
		seconds, _ = strconv.ParseFloat(in, 64) // 0 then
	}
	if seconds > most.Seconds() {
		return most
	}
	return time.Duration(seconds * float64(time.Second))
}

// forget drops the token.
func (b *bearer) forget(ctx context.Context) error {
	select {
	case b.lock <- struct{}{}:
		b.token = nil
		<-b.lock
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// RoundTrip implements [http.RoundTripper].
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	var refused *oauth2.Token
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
		again := err == nil && resp.StatusCode == http.StatusUnauthorized && refused == nil && (r.Body == nil || r.Body == http.NoBody || r.GetBody != nil)
		if !again {
			return resp, err
		}
		refused = token
		_, _ = io.CopyN(io.Discard, resp.Body, 4096) // so that the connection can be used again
		_ = resp.Body.Close()
	}
}
