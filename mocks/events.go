package mocks

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// events are what has happened to sessions, oldest first.
type events struct {
	app    *bridge.App // nil = nothing is kept
	most   int
	cancel context.CancelFunc
	ended  chan error

	mu    sync.Mutex
	all   []cobrowse.Event
	place uint64        // of the latest
	moved chan struct{} // closed at the next one
}

// open begins to listen; nothing that happens after it is missed. The context is
// that of the whole life.
func (e *events) open(ctx context.Context, app *bridge.App, most int) error {
	ctx, e.cancel = context.WithCancel(ctx)
	e.most, e.ended, e.moved = most, make(chan error, 1), make(chan struct{})
	e.place = app.LastEvent()
	ready := make(chan struct{})
	go func() { e.ended <- app.Follow(ctx, func() { close(ready) }, e.add) }()
	select {
	case <-ready:
		e.app = app
		return nil
	case err := <-e.ended:
		e.cancel()
		return fmt.Errorf("follow events: %w", err)
	}
}

func (e *events) close() error {
	if e.app == nil {
		return nil
	}
	e.cancel()
	if err := <-e.ended; err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("follow events: %w", err)
	}
	return nil
}

func (e *events) add(event cobrowse.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.all) >= e.most {
		e.all = append(e.all[:0], e.all[len(e.all)-e.most/2:]...) // the older half goes
	}
	e.all = append(e.all, event)
	e.place = event.Sequence
	close(e.moved)
	e.moved = make(chan struct{})
}

// of returns what has happened to a session until now.
func (e *events) of(ctx context.Context, id cobrowse.SessionID) ([]cobrowse.Event, error) {
	last := e.app.LastEvent()
	for {
		e.mu.Lock()
		reached, moved := e.place >= last, e.moved
		var found []cobrowse.Event
		for _, event := range e.all {
			if event.SessionID == id {
				found = append(found, event)
			}
		}
		e.mu.Unlock()
		if reached {
			return found, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
