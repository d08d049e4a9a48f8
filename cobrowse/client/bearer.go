package client

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// bearer puts an access token on each request. A token is used until shortly
// before its end; if the service refuses it sooner, as it does after a revocation
// or a restart with new keys, it is dropped and the request sent once more.
type bearer struct {
	next http.RoundTripper
	conf clientcredentials.Config
	http *http.Client // for token requests

	lock  chan struct{} // held while token is read or got; a channel, so that waiting ends with a context
	token *oauth2.Token
}

func newBearer(base string, o Options) *bearer {
	return &bearer{
		next: o.Transport,
		conf: clientcredentials.Config{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: base + "/oauth/token", Scopes: o.Scopes,
			AuthStyle: oauth2.AuthStyleInHeader, // never auto: it would repeat a refused request in the other style
		},
		http: &http.Client{Transport: o.Transport, Timeout: o.Timeout},
		lock: make(chan struct{}, 1),
	}
}

// get returns a token that is not the given one, which was refused.
func (b *bearer) get(ctx context.Context, refused *oauth2.Token) (*oauth2.Token, error) {
	select {
	case b.lock <- struct{}{}:
		defer func() { <-b.lock }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if b.token.Valid() && b.token != refused {
		return b.token, nil
	}
	b.token = nil
	token, err := b.conf.Token(context.WithValue(ctx, oauth2.HTTPClient, b.http))
	if err != nil {
		return nil, fmt.Errorf("get access token: %w", err)
	}
	b.token = token
	return token, nil
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
