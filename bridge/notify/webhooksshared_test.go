package notify_test

import (
	"io"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/notify"
)

// TestShared: of several processes on one store each event is sent by one, and what
// one that dies has begun another one sends.
func TestShared(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{})
	p.settle(t) // the ones that it comes with share nothing; now they have nothing to look for
	p.Webhooks = p.on(t, p.store, true)
	other := p.on(t, p.store, true)
	w := p.hook(t, hookURL)
	begun, held := make(chan struct{}), make(chan struct{})
	p.to.setFunc(hookURL, func(notify.SendRequest) notify.Answer {
		close(begun)
		<-held
		return notify.Answer{Result: notify.ResultBroken}
	})
	p.record(t, event(1, t0))
	first := run(t, p.Webhooks, io.NopCloser(nil))
	<-begun
	// While the first one has it, nobody else takes it.
	second := run(t, other, io.NopCloser(nil))
	defer second()
	settle := func() {
		t.Helper()
		if err := other.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	settle()
	p.clock.Advance(15 * time.Second) // as long as an attempt may take
	settle()
	if got := p.to.take(hookURL); len(got) != 1 {
		t.Fatalf("it was sent %d times, want once", len(got))
	}
	ended := make(chan struct{})
	go func() { defer close(ended); first() }() // it ends in the middle of the attempt
	p.to.set(hookURL, notify.Answer{Status: 200, Result: notify.ResultDelivered})
	p.clock.Advance(time.Minute)
	settle()
	if got := p.to.take(hookURL); len(got) != 1 {
		t.Errorf("after the end of the first it was sent %d times, want once", len(got))
	}
	close(held)
	<-ended
	p.counts(t, w, notify.Tally{Delivered: 1})

	// Both at once.
	third := p.on(t, p.store, true)
	defer run(t, third, io.NopCloser(nil))()
	const n = 100
	for i := range n {
		p.record(t, event(i+2, p.clock.Now()))
		for _, one := range []*notify.Webhooks{other, third} {
			if err := one.Record(t.Context(), event(i+2, p.clock.Now())); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, one := range []*notify.Webhooks{other, third} {
		if _, err := one.Enable(t.Context(), org, w.ID); err != nil { // so that both look
			t.Fatal(err)
		}
		if err := one.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	settle()
	if got := p.to.take(hookURL); len(got) != n {
		t.Errorf("%d were sent, want %d", len(got), n)
	}
	p.counts(t, w, notify.Tally{Delivered: n + 1})
}
