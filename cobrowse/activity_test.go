package cobrowse_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
)

// countingStore counts reads of sessions.
type countingStore struct {
	cobrowse.Store
	reads atomic.Int64
}

func (c *countingStore) Session(ctx context.Context, id cobrowse.SessionID) (cobrowse.Session, error) {
	c.reads.Add(1)
	return c.Store.Session(ctx, id)
}

// User input that waits to be stored is forgotten when its session has ended,
// even if another process, or somebody between two steps, ended it.
func TestWaitingActivityOfEndedSessionIsForgotten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	store := &countingStore{Store: h.store}
	service := cobrowse.New(cobrowse.Config{
		Store: store, Index: h.store, Deployments: h.store, Directory: h.directory, Clock: h.clock.Now, Rules: h.rules,
		Tokens: cobrowse.NewJoinTokens([]byte("0123456789abcdef0123456789abcdef"), "https://bridge.example", time.Minute, h.clock.Now),
		Log:    slog.New(slog.DiscardHandler),
	})
	s := h.start(t, agentAndSupervisor).Session
	h.connect(t, s, cobrowse.ParticipantID(ann))
	h.clock.Advance(time.Second)
	if err := service.Activity(t.Context(), s.ID); err != nil {
		t.Fatalf("Activity: %v", err)
	}
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	h.clock.Advance(time.Minute)
	sweep := func() int64 {
		before := store.reads.Load()
		if _, err := service.Sweep(t.Context()); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
		return store.reads.Load() - before
	}
	if first := sweep(); first == 0 {
		t.Fatal("the first sweep did not look at the session, so there was nothing to forget")
	}
	if second := sweep(); second != 0 {
		t.Errorf("the second sweep read %d sessions, want none", second)
	}
}
