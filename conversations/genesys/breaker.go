package genesys

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/sony/gobreaker/v2"
)

// errServer is how an answer with a status of 500 or more counts.
var errServer = errors.New("server error")

// guarded lets no request to one host through while that is known to fail. A request
// has failed when there is no whole answer to it, or one that the server failed; a
// refusal (4xx) is a good answer.
type guarded struct {
	next    http.RoundTripper
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
}

func newGuarded(cfg Config, host string) *guarded {
	return &guarded{next: cfg.Transport, breaker: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: host, MaxRequests: 1, Timeout: cfg.Rest,
		ReadyToTrip: func(n gobreaker.Counts) bool { return int(n.ConsecutiveFailures) >= cfg.Failures },
		// A caller who has left says nothing about the server.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(host string, from, to gobreaker.State) {
			cfg.Log.Warn("genesys cloud: circuit breaker", "host", host, "from", from.String(), "to", to.String())
		},
	})}
}

// RoundTrip implements [http.RoundTripper].
func (g *guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	done, err := g.breaker.Allow()
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := g.next.RoundTrip(req)
	switch {
	case err != nil:
		done(err)
		return nil, err
	case resp.StatusCode >= http.StatusInternalServerError:
		done(errServer)
	default:
		resp.Body = &judged{ReadCloser: resp.Body, done: done}
	}
	return resp, nil
}

// judged tells the breaker how a body ended.
type judged struct {
	io.ReadCloser

	once sync.Once
	done func(error)
}

func (j *judged) Read(p []byte) (int, error) {
	n, err := j.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		j.once.Do(func() { j.done(nil) })
	case err != nil:
		j.once.Do(func() { j.done(err) })
	}
	return n, err
}

// Close is called early for an answer that is not wanted: the server did what it should.
func (j *judged) Close() error {
	j.once.Do(func() { j.done(nil) })
	return j.ReadCloser.Close()
}
