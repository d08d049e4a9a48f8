package stream_test

import (
	"context"

	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/cobrowse"
)

type cobrowseConfig = stream.Config

// serviceWith is the real service with a hook.
type serviceWith struct {
	stream.Service
	activity chan<- cobrowse.SessionID
	panics   bool
}

func (s serviceWith) Activity(ctx context.Context, id cobrowse.SessionID) error {
	if s.panics {
		panic("in the service")
	}
	if s.activity != nil {
		s.activity <- id
	}
	return s.Service.Activity(ctx, id)
}

// deafEvents never tells anything.
type deafEvents struct{}

func (deafEvents) Follow(ctx context.Context, _ string, ready func(), _ func(context.Context, cobrowse.Event) error) error {
	ready()
	<-ctx.Done()
	return ctx.Err()
}

// brokenViolate cannot store a violation.
type brokenViolate struct{ stream.Service }

func (brokenViolate) Violate(context.Context, cobrowse.SessionID, string) error { return errStore }
