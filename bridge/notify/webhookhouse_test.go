package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/testenv"
	rules "github.com/cobridge/cobridge/cobrowse"
)

// receivers answer attempts by address.
type receivers struct {
	mu     sync.Mutex
	answer map[string]func(notify.SendRequest) notify.Answer
	got    []notify.SendRequest
	hung   chan struct{} // if it is there, an attempt is told here, and ends when it is cut off
}

func (r *receivers) Send(ctx context.Context, in notify.SendRequest) notify.Answer {
	r.mu.Lock()
	r.got = append(r.got, in)
	answer, hung := r.answer[in.URL], r.hung
	r.mu.Unlock()
	if hung != nil {
		hung <- struct{}{}
		<-ctx.Done()
		return notify.Answer{Result: notify.ResultTimeout}
	}
	if answer == nil {
		return notify.Answer{Status: 200, Result: notify.ResultDelivered}
	}
	return answer(in)
}

func (r *receivers) set(url string, a notify.Answer) {
	r.setFunc(url, func(notify.SendRequest) notify.Answer { return a })
}

func (r *receivers) setFunc(url string, fn func(notify.SendRequest) notify.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer[url] = fn
}

// take returns what came to an address since the last time.
func (r *receivers) take(url string) []notify.SendRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	var some, rest []notify.SendRequest
	for _, in := range r.got {
		if in.URL == url {
			some = append(some, in)
		} else {
			rest = append(rest, in)
		}
	}
	r.got = rest
	return some
}

// post is an installation with webhooks.
type post struct {
	*notify.Webhooks
	clock    *testenv.Clock
	store    *bolt.Store
	path     string
	to       *receivers
	limits   notify.WebhookLimits
	stop     func()
	mu       sync.Mutex
	dead     map[notify.DeadReason]int
	disabled map[notify.DisableReason]int
	rendered error
	random   float64 // that spreads attempts
}

const hookURL, otherURL = "https://example.org/hooks", "https://example.com/hooks"

func newPost(t *testing.T, limits notify.WebhookLimits) *post {
	t.Helper()
	p := &post{
		clock: testenv.NewClock(t0), path: filepath.Join(t.TempDir(), "store.db"), limits: limits,
		to:   &receivers{answer: map[string]func(notify.SendRequest) notify.Answer{}},
		dead: map[notify.DeadReason]int{}, disabled: map[notify.DisableReason]int{},
	}
	p.start(t)
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *post) start(t *testing.T) {
	t.Helper()
	store, err := bolt.Open(t.Context(), bolt.Config{Path: p.path, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	p.store = store
	p.Webhooks = p.on(t, store, false)
	p.stop = run(t, p.Webhooks, store)
}

// on returns webhooks that send from a store, also beside others.
func (p *post) on(t *testing.T, store *bolt.Store, shared bool) *notify.Webhooks {
	t.Helper()
	return notify.NewWebhooks(notify.WebhooksConfig{
		Store: store, Shared: shared, Clock: p.clock.Now, Sender: p.to, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Rule: urlRule(false), Limits: p.limits,
		Render: func(_ context.Context, e rules.Event) ([]byte, error) {
			return fmt.Appendf(nil, `{"n":%d}`, e.Sequence), p.rendered
		},
		Ping:   func(notify.Webhook, time.Time) ([]byte, error) { return []byte(`{}`), nil },
		Random: func() float64 { return p.random },
		Observe: notify.WebhookObserver{
			Dead:     func(r notify.DeadReason) { p.mu.Lock(); p.dead[r]++; p.mu.Unlock() },
			Disabled: func(r notify.DisableReason) { p.mu.Lock(); p.disabled[r]++; p.mu.Unlock() },
		},
	})
}

// run sends, until what it returns is called, which closes the store.
func run(t *testing.T, w *notify.Webhooks, store io.Closer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, store.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
}

// restart ends the process, as it were, and begins it anew on what is stored.
func (p *post) restart(t *testing.T) {
	t.Helper()
	p.stop()
	p.start(t)
}

func (p *post) hook(t *testing.T, url string, events ...string) notify.Webhook {
	t.Helper()
	w, err := p.Create(t.Context(), org, "client", notify.WebhookSpec{URL: url, Events: events})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return w
}

func event(n int, at time.Time) rules.Event {
	return rules.Event{Sequence: uint64(n), Type: rules.EventCreated, At: at, OrgID: org, SessionID: rules.SessionID(fmt.Sprint("s-", n))}
}

func (p *post) record(t *testing.T, events ...rules.Event) {
	t.Helper()
	for _, e := range events {
		if err := p.Record(t.Context(), e); err != nil {
			t.Fatalf("Record: %v", err)
		}
	}
}

func (p *post) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Settle(ctx); err != nil {
		t.Fatalf("Settle: %v", err)
	}
}

func (p *post) after(t *testing.T, d time.Duration) {
	t.Helper()
	p.clock.Advance(d)
	p.settle(t)
}

func (p *post) list(t *testing.T, w notify.Webhook, state notify.DeliveryState) []notify.Delivery {
	t.Helper()
	found, err := p.Deliveries(t.Context(), org, notify.DeliveryQuery{WebhookID: w.ID, State: state, Limit: 1000})
	if err != nil {
		t.Fatalf("Deliveries: %v", err)
	}
	return found
}

func (p *post) counts(t *testing.T, w notify.Webhook, want notify.Tally) {
	t.Helper()
	got, err := p.Tally(t.Context(), w)
	if err != nil || got != want {
		t.Errorf("Tally = %+v, %v, want %+v", got, err, want)
	}
}
