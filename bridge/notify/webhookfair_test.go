package notify_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/conversations"
)

const neighbour conversations.OrgID = "9c1b3bd8-5b0c-4c5b-8d2e-3f4a5b6c7d8e"

// neighbourHook is a webhook of an organisation that shares the service with org.
func (p *post) neighbourHook(t *testing.T) (came chan struct{}) {
	t.Helper()
	if _, err := p.Create(t.Context(), neighbour, "client", notify.WebhookSpec{URL: otherURL}); err != nil {
		t.Fatal(err)
	}
	came = make(chan struct{}, 1)
	p.to.setFunc(otherURL, func(notify.SendRequest) notify.Answer {
		came <- struct{}{}
		return notify.Answer{Status: 200, Result: notify.ResultDelivered}
	})
	return came
}

// TestBacklogOfOthers: an organisation whose webhooks have much to be told, and whose
// receivers take their time, but not so much that they count as slow, keeps none waiting
// for longer than a worker takes to be free.
func TestBacklogOfOthers(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{Workers: 4, PerWebhook: 2, Outbox: 1000})
	started, release := make(chan struct{}, 1000), make(chan struct{})
	for i := range 4 {
		url := fmt.Sprintf("https://busy-%d.example/", i)
		p.hook(t, url)
		p.to.setFunc(url, func(notify.SendRequest) notify.Answer {
			started <- struct{}{}
			<-release
			return notify.Answer{Status: 200, Result: notify.ResultDelivered}
		})
	}
	came := p.neighbourHook(t)
	const backlog = 50
	for i := range backlog {
		p.record(t, event(i+1, t0))
	}
	wait := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s took too long", what)
		}
	}
	wait("the first attempt", started)
	theirs := event(backlog+1, t0)
	theirs.OrgID = neighbour
	p.record(t, theirs)
	const most = 8 // attempts of others that may end before
	for n := 0; ; n++ {
		select {
		case <-came:
			close(release)
			p.settle(t)
			return
		default:
		}
		if n == most {
			close(release)
			t.Fatalf("%d attempts of another organisation have ended, and the neighbour is still waiting", n)
		}
		release <- struct{}{}
		select {
		case <-came:
			close(release)
			p.settle(t)
			return
		case <-started:
		case <-time.After(20 * time.Second):
			t.Fatal("nothing happens")
		}
	}
}

// TestHangingReceiversOfOthers: receivers that hang are known to be slow only when they
// have hung once. One organisation must not have all workers till then.
func TestHangingReceiversOfOthers(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{Workers: 8, PerWebhook: 2})
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hangs := make(chan struct{}, 100)
	for i := range 10 {
		url := fmt.Sprintf("https://hang-%d.example/", i)
		p.hook(t, url)
		p.to.setFunc(url, func(notify.SendRequest) notify.Answer {
			hangs <- struct{}{}
			<-release
			return notify.Answer{Result: notify.ResultTimeout}
		})
	}
	came := p.neighbourHook(t)
	for i := range 5 {
		p.record(t, event(i+1, t0))
	}
	for range 6 {
		<-hangs
	}
	theirs := event(100, t0)
	theirs.OrgID = neighbour
	p.record(t, theirs)
	select {
	case <-came:
	case <-time.After(5 * time.Second):
		t.Error("receivers of another organisation hang, and the neighbour's webhook is not told")
	}
}

// TestReplayedIntoAFullOutbox: what is replayed takes room that pending deliveries have,
// or somebody could fill the store with them: let what happens die, replay it, and so on.
func TestReplayedIntoAFullOutbox(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{Outbox: 10})
	w := p.hook(t, hookURL)
	p.to.set(hookURL, notify.Answer{Status: 500, Result: notify.ResultStatus})
	for round := range 5 {
		for i := range 20 {
			p.record(t, event(round*20+i+1, t0))
		}
		if _, err := p.ReplayDead(t.Context(), org, w.ID, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if dead := p.list(t, w, notify.Dead); len(dead) > 0 {
			_, err := p.Replay(t.Context(), org, w.ID, dead[0].ID)
			wantCode(t, "Replay into a full outbox", err, cobridge.CodeConflict)
		}
		got, err := p.Tally(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if got.Pending > 10 {
			t.Fatalf("%d are pending in an outbox for 10", got.Pending)
		}
	}
	// Room that comes free is there for more.
	p.to.set(hookURL, notify.Answer{Status: 200, Result: notify.ResultDelivered})
	p.after(t, time.Hour)
	if n, err := p.ReplayDead(t.Context(), org, w.ID, time.Time{}); n != 10 || err != nil {
		t.Errorf("ReplayDead = %d, %v, want the 10 that are dead", n, err)
	}
	p.settle(t)
}
