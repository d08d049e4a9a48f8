package cobrowse_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// damagedStore cannot read one session.
type damagedStore struct {
	cobrowse.Store
	id cobrowse.SessionID
}

var errDamaged = errors.New("damaged")

func (d damagedStore) Session(ctx context.Context, id cobrowse.SessionID) (cobrowse.Session, error) {
	if id == d.id {
		return cobrowse.Session{}, errDamaged
	}
	return d.Store.Session(ctx, id)
}

// One session that cannot be read must not keep the others from ending.
func TestSweepGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	damaged := h.start(t, agentAndSupervisor).Session
	h.clock.Advance(time.Second) // so that the damaged one is overdue first
	for range 3 {
		h.start(t, agentAndSupervisor)
	}
	h.clock.Advance(time.Hour)
	service := cobrowse.New(cobrowse.Config{
		Store: damagedStore{h.store, damaged.ID}, Index: h.store, Deployments: h.store, Directory: h.directory, Clock: h.clock.Now, Rules: h.rules,
		Tokens: cobrowse.NewJoinTokens([]byte("0123456789abcdef0123456789abcdef"), "https://bridge.example", time.Minute, h.clock.Now),
		Log:    slog.New(slog.DiscardHandler),
	})
	if ended, err := service.Sweep(t.Context()); ended != 3 || !errors.Is(err, errDamaged) {
		t.Errorf("Sweep ended %d sessions, %v; want the other 3, and the failure", ended, err)
	}
}

// Run notices, at the start and each minute, conversations that ended without a
// word to the sessions.
func TestRunReconciles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended, ready := make(chan cobrowse.Event, 8), make(chan struct{})
	followed, ran := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(followed)
		_ = h.store.Follow(ctx, "", func() { close(ready) }, func(_ context.Context, e cobrowse.Event) error {
			if e.Type == cobrowse.EventEnded {
				ended <- e
			}
			return nil
		})
	}()
	<-ready
	endQuietly := func() cobrowse.SessionID {
		s := h.start(t, agentAndSupervisor).Session
		if _, err := h.store.UpdateConversation(t.Context(), org, s.ConversationID, func(c *conversations.Conversation) error {
			c.EndedAt = h.clock.Now()
			return nil
		}); err != nil {
			t.Fatalf("UpdateConversation: %v", err)
		}
		return s.ID
	}
	first := endQuietly()
	go func() {
		defer close(ran)
		if err := h.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-ran; <-followed })
	if e := <-ended; e.SessionID != first || e.EndReason != cobrowse.EndConversationEnded {
		t.Errorf("at the start %s ended: %s, want %s", e.SessionID, e.EndReason, first)
	}
	second := endQuietly()
	h.clock.Advance(time.Minute)
	if e := <-ended; e.SessionID != second || e.EndReason != cobrowse.EndConversationEnded {
		t.Errorf("after a minute %s ended: %s, want %s", e.SessionID, e.EndReason, second)
	}
}

// A page of sessions from which some end must not hide others: every second of
// more than two pages is over, and all of the rest stay.
func TestReconcileSkipsNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const n = 1100 // pages have 500
	ids := make([]cobrowse.SessionID, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			s := h.start(t, agentAndSupervisor).Session
			ids[i] = s.ID
			if i%2 == 0 {
				return
			}
			if _, err := h.store.UpdateConversation(t.Context(), org, s.ConversationID, func(c *conversations.Conversation) error {
				c.EndedAt = h.clock.Now()
				return nil
			}); err != nil {
				t.Errorf("UpdateConversation: %v", err)
			}
		})
	}
	wg.Wait()
	if err := h.Reconcile(t.Context()); err != nil {
		t.Fatalf("Reconcile: %v", err)
	}
	for i, id := range ids {
		if got := h.look(t, id); got.Live() != (i%2 == 0) {
			t.Errorf("session %d is %s", i, got.State())
		}
	}
}
