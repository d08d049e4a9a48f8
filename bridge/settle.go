package bridge

import (
	"context"
	"errors"
	"sync"
)

// Settle does at once what [App.Run] otherwise does within seconds: it ends sessions
// whose time is over or whose conversation has ended, forgets what is past its
// retention, and waits until what has happened since Open is written to the
// conversations and told to webhooks. It is for tests that move the clock, while Run
// runs.
func (a *App) Settle(ctx context.Context) error {
	_, err := a.cobrowse.Sweep(ctx)
	err = errors.Join(err, a.cobrowse.Reconcile(ctx))
	a.tidy(ctx)
	return errors.Join(err, a.Attached(ctx), a.WebhooksTold(ctx))
}

// Begun is closed when [App.Run] does its work for the first time: when /readyz
// says so.
func (a *App) Begun() <-chan struct{} { return a.begun }

// Attached waits until what has happened since Open is written to the
// conversations, while Run runs.
func (a *App) Attached(ctx context.Context) error {
	return a.attached.wait(ctx, a.store.LastEvent())
}

// progress tells how far a follower of events has come.
type progress struct {
	mu    sync.Mutex
	place uint64
	moved chan struct{} // closed at the next step
}

func newProgress(place uint64) *progress {
	return &progress{place: place, moved: make(chan struct{})}
}

func (p *progress) reach(place uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if place <= p.place {
		return // it comes again after a restart
	}
	p.place = place
	close(p.moved)
	p.moved = make(chan struct{})
}

// behind returns how many events are missing up to the given one.
func (p *progress) behind(place uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(place, p.place) - p.place
}

func (p *progress) wait(ctx context.Context, place uint64) error {
	for {
		p.mu.Lock()
		reached, moved := p.place >= place, p.moved
		p.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
