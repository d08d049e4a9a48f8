package notify_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
)

func TestDelivered(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{})
	w, quiet := p.hook(t, hookURL), p.hook(t, otherURL, "cobrowse.session.ended")
	before := event(1, t0.Add(-time.Second)) // before there was a webhook
	elsewhere := event(2, t0)
	elsewhere.OrgID = otherOrg
	p.record(t, before, elsewhere, event(3, t0), event(3, t0))
	p.settle(t)
	got := p.to.take(hookURL)
	if len(got) != 1 || string(got[0].Body) != `{"n":3}` || !got[0].At.Equal(t0) || !verify(w.Secrets[0].Text(), got[0]) {
		t.Fatalf("the receiver got %+v, want event 3 once, with a good signature", got)
	}
	if other := p.to.take(otherURL); len(other) != 0 {
		t.Errorf("the other got %+v, want nothing", other)
	}
	p.counts(t, w, notify.Tally{Delivered: 1})
	p.counts(t, quiet, notify.Tally{})
	d, err := p.Delivery(t.Context(), org, w.ID, got[0].ID)
	if err != nil || d.State != notify.Delivered || len(d.Attempts) != 1 || d.Attempts[0].Status != 200 {
		t.Errorf("Delivery = %+v, %v", d, err)
	}
	// It is forgotten after a day, and the event that comes again then is another one.
	p.clock.Advance(24 * time.Hour)
	if n, err := p.Purge(t.Context()); n != 1 || err != nil {
		t.Errorf("Purge = %d, %v, want 1", n, err)
	}
}

func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{DisableAfter: -1})
	w := p.hook(t, hookURL)
	p.to.set(hookURL, notify.Answer{Status: 500, Result: notify.ResultStatus})
	p.record(t, event(1, t0))
	p.settle(t)
	first := p.to.take(hookURL)
	if len(first) != 1 {
		t.Fatalf("%d attempts at once, want 1", len(first))
	}
	for i, delay := range notify.DefaultDelays() {
		p.restart(t) // nothing of it is in memory alone
		p.after(t, delay-time.Millisecond)
		if early := p.to.take(hookURL); len(early) != 0 {
			t.Fatalf("attempt %d came before its time", i+2)
		}
		p.after(t, time.Millisecond)
		again := p.to.take(hookURL)
		if len(again) != 1 || again[0].ID != first[0].ID || !again[0].At.Equal(p.clock.Now()) || !verify(w.Secrets[0].Text(), again[0]) {
			t.Fatalf("attempt %d = %+v, want the same id with a new time and signature", i+2, again)
		}
	}
	p.counts(t, w, notify.Tally{Dead: 1})
	dead := p.list(t, w, notify.Dead)
	if len(dead) != 1 || dead[0].Why != notify.DeadAttempts || len(dead[0].Attempts) != 10 || p.dead[notify.DeadAttempts] != 1 {
		t.Fatalf("dead = %+v, want one after 10 attempts", dead)
	}
	// Replayed, it starts anew, and gets through.
	p.to.set(hookURL, notify.Answer{Status: 200, Result: notify.ResultDelivered})
	d, err := p.Replay(t.Context(), org, w.ID, dead[0].ID)
	if err != nil || d.State != notify.Pending {
		t.Fatalf("Replay = %+v, %v", d, err)
	}
	p.settle(t)
	if got := p.to.take(hookURL); len(got) != 1 || got[0].ID != first[0].ID {
		t.Errorf("the replay sent %+v, want the same id once", got)
	}
	p.counts(t, w, notify.Tally{Delivered: 1})
	// What is dead and not replayed is forgotten.
	p.to.set(hookURL, notify.Answer{Status: 500, Result: notify.ResultStatus})
	p.record(t, event(2, p.clock.Now()))
	p.settle(t)
	for _, delay := range notify.DefaultDelays() {
		p.after(t, delay)
	}
	p.counts(t, w, notify.Tally{Delivered: 1, Dead: 1})
	p.clock.Advance(14 * 24 * time.Hour)
	if n, err := p.Purge(t.Context()); n != 2 || err != nil {
		t.Errorf("Purge = %d, %v, want 2", n, err)
	}
	p.counts(t, w, notify.Tally{})
}

// TestJitter: attempts come later than the delay by up to a fifth, never sooner.
func TestJitter(t *testing.T) {
	t.Parallel()
	for random, want := range map[float64]time.Duration{0: 100 * time.Second, 0.5: 110 * time.Second, 1: 120 * time.Second} {
		p := newPost(t, notify.WebhookLimits{Delays: []time.Duration{100 * time.Second}})
		p.random = random
		w := p.hook(t, hookURL)
		p.to.set(hookURL, notify.Answer{Result: notify.ResultRefused})
		p.record(t, event(1, t0))
		p.settle(t)
		if d := p.list(t, w, notify.Pending); len(d) != 1 || !d[0].At.Equal(t0.Add(want)) {
			t.Errorf("with %g: pending = %+v, want the next attempt after %v", random, d, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{})
	w := p.hook(t, hookURL)
	p.to.set(hookURL, notify.Answer{Status: 429, Result: notify.ResultStatus, RetryAfter: 90 * time.Second})
	p.record(t, event(1, t0))
	p.settle(t)
	if d := p.list(t, w, notify.Pending); len(d) != 1 || !d[0].At.Equal(t0.Add(90*time.Second)) {
		t.Fatalf("pending = %+v, want the next attempt after what the answer asked for", d)
	}
	p.record(t, event(2, t0)) // the whole webhook waits
	p.settle(t)
	if got := p.to.take(hookURL); len(got) != 1 {
		t.Errorf("%d attempts while the receiver wants to be left alone, want 1", len(got))
	}
	p.to.set(hookURL, notify.Answer{Status: 503, Result: notify.ResultStatus, RetryAfter: 1000 * time.Hour})
	p.after(t, 90*time.Second)
	for _, d := range p.list(t, w, notify.Pending) {
		if d.At.After(p.clock.Now().Add(24 * time.Hour)) {
			t.Errorf("the next attempt is at %v, want within a day", d.At)
		}
	}
	// However long it wants to be left alone, what is due otherwise comes after an hour.
	p.to.take(hookURL)
	p.record(t, event(3, p.clock.Now()))
	p.after(t, time.Hour-time.Millisecond)
	if got := p.to.take(hookURL); len(got) != 0 {
		t.Errorf("%d attempts within the hour, want none", len(got))
	}
	p.after(t, time.Millisecond)
	if got := p.to.take(hookURL); len(got) == 0 {
		t.Error("after an hour the whole webhook still waits")
	}
}

// TestCutOff: an attempt that a stop cuts off is none: it is made again at the start.
func TestCutOff(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{})
	w := p.hook(t, hookURL)
	p.to.hung = make(chan struct{})
	p.record(t, event(1, t0))
	<-p.to.hung
	p.stop()
	p.to.hung = nil
	p.start(t)
	p.settle(t)
	if got := p.to.take(hookURL); len(got) != 2 || got[0].ID != got[1].ID {
		t.Errorf("it was sent %+v, want twice with the same id", got)
	}
	if d := p.list(t, w, notify.Delivered); len(d) != 1 || len(d[0].Attempts) != 1 {
		t.Errorf("delivered = %+v, want one after one attempt", d)
	}
}

// TestFailingOneAtATime: a webhook that fails is tried by one attempt, not by as many
// as it may have.
func TestFailingOneAtATime(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{PerWebhook: 4})
	p.hook(t, hookURL)
	p.to.set(hookURL, notify.Answer{Result: notify.ResultRefused})
	p.record(t, event(1, t0))
	p.settle(t)
	var now, most atomic.Int32
	p.to.setFunc(hookURL, func(notify.SendRequest) notify.Answer {
		n := now.Add(1)
		defer now.Add(-1)
		for range 1000 { // others would come now
			runtime.Gosched()
		}
		most.Store(max(most.Load(), n, now.Load()))
		return notify.Answer{Result: notify.ResultRefused}
	})
	for i := range 8 {
		p.record(t, event(i+2, t0))
	}
	p.settle(t)
	if most.Load() != 1 {
		t.Errorf("%d attempts at the same time, want 1", most.Load())
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{PerWebhook: 1})
	w := p.hook(t, hookURL)
	p.to.set(hookURL, notify.Answer{Status: 410, Result: notify.ResultGone})
	p.record(t, event(1, t0), event(2, t0))
	p.settle(t)
	if got := p.to.take(hookURL); len(got) != 1 {
		t.Errorf("%d attempts, want 1", len(got))
	}
	got, err := p.Webhook(t.Context(), org, w.ID)
	if err != nil || got.Disabled != notify.DisabledGone || p.disabled[notify.DisabledGone] != 1 {
		t.Errorf("Webhook = %+v, %v, want it disabled", got, err)
	}
	p.record(t, event(3, t0))
	p.counts(t, w, notify.Tally{Dead: 3})
	if p.dead[notify.DeadGone] != 2 || p.dead[notify.DeadDisabled] != 1 {
		t.Errorf("dead for these reasons: %v, want what waited gone, and what came later for a disabled webhook", p.dead)
	}
	_, err = p.Replay(t.Context(), org, w.ID, p.list(t, w, notify.Dead)[0].ID)
	wantCode(t, "Replay while it is disabled", err, cobridge.CodeConflict)
	_, err = p.ReplayDead(t.Context(), org, w.ID, time.Time{})
	wantCode(t, "ReplayDead while it is disabled", err, cobridge.CodeConflict)
	_, err = p.Test(t.Context(), org, w.ID)
	wantCode(t, "Test while it is disabled", err, cobridge.CodeConflict)
	// It was a mistake: it is enabled, and what it missed is sent.
	p.to.set(hookURL, notify.Answer{Status: 200, Result: notify.ResultDelivered})
	if _, err := p.Enable(t.Context(), org, w.ID); err != nil {
		t.Fatal(err)
	}
	if n, err := p.ReplayDead(t.Context(), org, w.ID, t0); n != 3 || err != nil {
		t.Errorf("ReplayDead = %d, %v, want 3", n, err)
	}
	p.settle(t)
	p.counts(t, w, notify.Tally{Delivered: 3})
}

func TestReplayDeadSince(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{Delays: []time.Duration{}, DisableAfter: -1, Outbox: 1000})
	w := p.hook(t, hookURL)
	p.to.set(hookURL, notify.Answer{Result: notify.ResultRefused})
	const n = 450 // more than one step
	for i := range n {
		p.record(t, event(i+1, p.clock.Now()))
		p.clock.Advance(time.Minute)
	}
	p.settle(t)
	p.counts(t, w, notify.Tally{Dead: n})
	p.to.set(hookURL, notify.Answer{Status: 204, Result: notify.ResultDelivered})
	if got, err := p.ReplayDead(t.Context(), org, w.ID, t0.Add(100*time.Minute)); got != n-100 || err != nil {
		t.Errorf("ReplayDead = %d, %v, want %d", got, err, n-100)
	}
	p.settle(t)
	p.counts(t, w, notify.Tally{Delivered: n - 100, Dead: 100})
}

func TestDisabledAfterDays(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{Delays: []time.Duration{time.Hour}, DisableAfter: 48 * time.Hour})
	w := p.hook(t, hookURL)
	p.to.set(hookURL, notify.Answer{Result: notify.ResultTimeout})
	for i := range 48 {
		p.record(t, event(i+1, p.clock.Now()))
		p.settle(t)
		if got, err := p.Webhook(t.Context(), org, w.ID); err != nil || got.Disabled != "" || got.FailingSince.IsZero() {
			t.Fatalf("after %d h: Webhook = %+v, %v, want it failing", i, got, err)
		}
		if i == 20 { // one answer makes it good again
			p.to.set(hookURL, notify.Answer{Status: 200, Result: notify.ResultDelivered})
			p.after(t, time.Hour)
			if got, err := p.Webhook(t.Context(), org, w.ID); err != nil || !got.FailingSince.IsZero() {
				t.Fatalf("Webhook = %+v, %v, want it working", got, err)
			}
			p.to.set(hookURL, notify.Answer{Result: notify.ResultTimeout})
			p.record(t, event(1000, p.clock.Now()))
			p.settle(t)
		}
		p.clock.Advance(time.Hour)
	}
	p.clock.Advance(24 * time.Hour)
	p.record(t, event(2000, p.clock.Now()))
	p.settle(t)
	got, err := p.Webhook(t.Context(), org, w.ID)
	if err != nil || got.Disabled != notify.DisabledFailing || p.disabled[notify.DisabledFailing] != 1 {
		t.Errorf("Webhook = %+v, %v, want it disabled", got, err)
	}
	if n := len(p.list(t, w, notify.Pending)); n != 0 {
		t.Errorf("%d deliveries are pending, want none", n)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{})
	w := p.hook(t, hookURL, "cobrowse.session.ended")
	d, err := p.Test(t.Context(), org, w.ID)
	if err != nil || d.Type != notify.PingType || !strings.HasPrefix(string(d.ID), "msg_") || len(d.ID) != 36 {
		t.Fatalf("Test = %+v, %v", d, err)
	}
	p.settle(t)
	p.to.set(hookURL, notify.Answer{Result: notify.ResultDNS})
	if _, err := p.Test(t.Context(), org, w.ID); err != nil {
		t.Fatal(err)
	}
	p.settle(t)
	p.counts(t, w, notify.Tally{Delivered: 1, Dead: 1}) // it is tried once
	if got, err := p.Webhook(t.Context(), org, w.ID); err != nil || !got.FailingSince.IsZero() {
		t.Errorf("Webhook = %+v, %v, want it untouched by a test", got, err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{})
	w := p.hook(t, hookURL)
	changed, err := p.Rotate(t.Context(), org, w.ID)
	if err != nil {
		t.Fatal(err)
	}
	before, after := w.Secrets[0].Text(), changed.Secrets[0].Text()
	if before == after {
		t.Fatal("the secret is the same")
	}
	for _, tt := range []struct {
		wait          time.Duration
		before, after bool
	}{{0, true, true}, {24*time.Hour - time.Second, true, true}, {time.Second, false, true}} {
		p.clock.Advance(tt.wait)
		p.record(t, event(1, p.clock.Now()))
		p.settle(t)
		got := p.to.take(hookURL)
		if len(got) != 1 || verify(before, got[0]) != tt.before || verify(after, got[0]) != tt.after {
			t.Errorf("%v later: signatures %q", tt.wait, got)
		}
	}
}

// TestRotateTwice: that is how a secret that somebody has seen is made worthless at once.
func TestRotateTwice(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{})
	w := p.hook(t, hookURL)
	var secrets []string
	for range 2 {
		changed, err := p.Rotate(t.Context(), org, w.ID)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, changed.Secrets[0].Text())
	}
	p.record(t, event(1, t0))
	p.settle(t)
	got := p.to.take(hookURL)
	if len(got) != 1 || verify(w.Secrets[0].Text(), got[0]) || !verify(secrets[0], got[0]) || !verify(secrets[1], got[0]) {
		t.Errorf("sent = %+v, want it signed by the latest two secrets alone", got)
	}
}

// TestSlowWebhook: who does not answer holds nobody up.
func TestSlowWebhook(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{Workers: 4, PerWebhook: 2})
	release := make(chan struct{})
	const slow = 5 // together they would take all workers
	for i := range slow {
		url := fmt.Sprintf("https://slow-%d.example/", i)
		p.hook(t, url)
		p.to.set(url, notify.Answer{Result: notify.ResultTimeout})
	}
	p.record(t, event(1, t0))
	p.settle(t) // now they are known to fail
	for i := range slow {
		url := fmt.Sprintf("https://slow-%d.example/", i)
		p.to.setFunc(url, func(notify.SendRequest) notify.Answer { <-release; return notify.Answer{Result: notify.ResultTimeout} })
	}
	w := p.hook(t, hookURL)
	came := make(chan struct{}, 100)
	p.to.setFunc(hookURL, func(notify.SendRequest) notify.Answer {
		came <- struct{}{}
		return notify.Answer{Status: 200, Result: notify.ResultDelivered}
	})
	for i := range 50 {
		p.record(t, event(i+2, t0))
	}
	for range 50 {
		select {
		case <-came:
		case <-time.After(20 * time.Second):
			t.Fatal("the good webhook was held up")
		}
	}
	close(release)
	p.settle(t)
	p.counts(t, w, notify.Tally{Delivered: 50})
}

// TestBounds: never more attempts at the same time than allowed.
func TestBounds(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{Workers: 5, PerWebhook: 2})
	var mu sync.Mutex
	total, most := 0, 0
	per, mostPer := map[string]int{}, 0
	for i := range 4 {
		url := fmt.Sprintf("https://%d.example/", i)
		p.hook(t, url)
		p.to.setFunc(url, func(notify.SendRequest) notify.Answer {
			mu.Lock()
			total++
			per[url]++
			most, mostPer = max(most, total), max(mostPer, per[url])
			mu.Unlock()
			defer func() { mu.Lock(); total--; per[url]--; mu.Unlock() }()
			return notify.Answer{Status: 200, Result: notify.ResultDelivered}
		})
	}
	for i := range 40 {
		p.record(t, event(i+1, t0))
	}
	p.settle(t)
	if most > 5 || mostPer > 2 {
		t.Errorf("%d attempts at the same time and %d to one webhook, want at most 5 and 2", most, mostPer)
	}
}

func TestFullOutbox(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{Outbox: 3, DisableAfter: -1})
	w := p.hook(t, hookURL)
	p.to.set(hookURL, notify.Answer{Result: notify.ResultRefused})
	for i := range 8 {
		p.record(t, event(i+1, t0.Add(time.Duration(i))))
		p.settle(t)
	}
	p.counts(t, w, notify.Tally{Pending: 3, Dead: 3})
	if p.dead[notify.DeadFull] != 5 {
		t.Errorf("%d were told to be dead for a full outbox, want 5", p.dead[notify.DeadFull])
	}
}

func TestDisable(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{})
	w := p.hook(t, hookURL)
	p.to.set(hookURL, notify.Answer{Result: notify.ResultRefused})
	p.record(t, event(1, t0))
	p.settle(t)
	if _, err := p.Update(t.Context(), org, w.ID, notify.WebhookSpec{URL: hookURL, Disabled: true}); err != nil {
		t.Fatal(err)
	}
	p.settle(t)
	p.record(t, event(2, t0)) // who asked not to be told is not
	p.counts(t, w, notify.Tally{Dead: 1})
	if err := p.Delete(t.Context(), org, w.ID); err != nil {
		t.Fatal(err)
	}
	_, err := p.Webhook(t.Context(), org, w.ID)
	wantCode(t, "Webhook that is deleted", err, cobridge.CodeNotFound)
	p.settle(t)
}

func TestRules(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{PerOrg: 2})
	_, err := p.Create(t.Context(), org, "client", notify.WebhookSpec{URL: "http://127.0.0.1/", Name: strings.Repeat("n", 201), Events: []string{"a", notify.PingType}})
	wantCode(t, "Create", err, cobridge.CodeConstraintValidation)
	var fields []string
	if e, ok := errors.AsType[*cobridge.Error](err); ok {
		if want := "The webhook breaks one or more rules; url: want https."; e.Message != want {
			t.Errorf("message %q, want %q", e.Message, want)
		}
		for _, d := range e.Details {
			fields = append(fields, d.FieldName+" "+d.ErrorCode)
		}
	}
	if diff := cmp.Diff([]string{"url scheme", "name size", "events[0] unknown", "events[1] unknown"}, fields); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
	w := p.hook(t, hookURL)
	p.hook(t, hookURL)
	_, err = p.Create(t.Context(), org, "client", notify.WebhookSpec{URL: hookURL})
	wantCode(t, "Create of one too many", err, cobridge.CodeConflict)
	if _, err := p.Create(t.Context(), otherOrg, "client", notify.WebhookSpec{URL: hookURL}); err != nil {
		t.Errorf("Create in another organisation = %v", err)
	}
	for name, call := range map[string]func() error{
		"Webhook": func() error { _, err := p.Webhook(t.Context(), otherOrg, w.ID); return err },
		"Update": func() error {
			_, err := p.Update(t.Context(), otherOrg, w.ID, notify.WebhookSpec{URL: hookURL})
			return err
		},
		"Delete":     func() error { return p.Delete(t.Context(), otherOrg, w.ID) },
		"Rotate":     func() error { _, err := p.Rotate(t.Context(), otherOrg, w.ID); return err },
		"Enable":     func() error { _, err := p.Enable(t.Context(), otherOrg, w.ID); return err },
		"Test":       func() error { _, err := p.Test(t.Context(), otherOrg, w.ID); return err },
		"Replay":     func() error { _, err := p.Replay(t.Context(), otherOrg, w.ID, "msg_1"); return err },
		"ReplayDead": func() error { _, err := p.ReplayDead(t.Context(), otherOrg, w.ID, t0); return err },
		"Delivery":   func() error { _, err := p.Delivery(t.Context(), otherOrg, w.ID, "msg_1"); return err },
		"Deliveries": func() error {
			_, err := p.Deliveries(t.Context(), otherOrg, notify.DeliveryQuery{WebhookID: w.ID, State: notify.Dead, Limit: 1})
			return err
		},
	} {
		wantCode(t, name+" from another organisation", call(), cobridge.CodeNotFound)
	}
	_, err = p.Replay(t.Context(), org, w.ID, "msg_1")
	wantCode(t, "Replay of what is not there", err, cobridge.CodeNotFound)
}

func TestSeed(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{})
	mine := p.hook(t, otherURL)
	first, second := make([]byte, 24), []byte(strings.Repeat("k", 24))
	c := notify.ConfiguredWebhook{ID: "w-1", OrgID: org, Key: first, WebhookSpec: notify.WebhookSpec{URL: hookURL}}
	seed := func(all ...notify.ConfiguredWebhook) {
		t.Helper()
		if err := p.Seed(t.Context(), all); err != nil {
			t.Fatalf("Seed: %v", err)
		}
	}
	seed(c)
	seed(c)
	w, err := p.Webhook(t.Context(), org, "w-1")
	if err != nil || !w.Configured || len(w.Secrets) != 1 {
		t.Fatalf("Webhook = %+v, %v", w, err)
	}
	_, err = p.Update(t.Context(), org, "w-1", notify.WebhookSpec{URL: otherURL})
	wantCode(t, "Update of a configured one", err, cobridge.CodeConflict)
	wantCode(t, "Delete of a configured one", p.Delete(t.Context(), org, "w-1"), cobridge.CodeConflict)
	_, err = p.Rotate(t.Context(), org, "w-1")
	wantCode(t, "Rotate of a configured one", err, cobridge.CodeConflict)
	// Another secret in the configuration: both sign for a day.
	c.Key = second
	seed(c)
	p.record(t, event(1, t0))
	p.settle(t)
	if got := p.to.take(hookURL); len(got) != 1 || len(strings.Fields(got[0].Signature)) != 2 {
		t.Errorf("after another secret: %+v, want two signatures", got)
	}
	// A start is no reason to try again what was given up.
	p.to.set(hookURL, notify.Answer{Status: 410, Result: notify.ResultGone})
	p.record(t, event(2, t0))
	p.settle(t)
	seed(c)
	if w, err := p.Webhook(t.Context(), org, "w-1"); err != nil || w.Disabled != notify.DisabledGone {
		t.Errorf("Webhook = %+v, %v, want it still disabled", w, err)
	}
	c.OrgID = otherOrg
	wantCode(t, "Seed of an id of another organisation", p.Seed(t.Context(), []notify.ConfiguredWebhook{c}), cobridge.CodeConflict)
	seed() // taken out
	_, err = p.Webhook(t.Context(), org, "w-1")
	wantCode(t, "Webhook that is not configured any more", err, cobridge.CodeNotFound)
	if _, err := p.Webhook(t.Context(), org, mine.ID); err != nil {
		t.Errorf("the webhook of the API is gone: %v", err)
	}
}

func TestRecordFails(t *testing.T) {
	t.Parallel()
	p := newPost(t, notify.WebhookLimits{})
	w := p.hook(t, hookURL)
	p.rendered = errors.New("the store is away")
	if err := p.Record(t.Context(), event(1, t0)); err == nil {
		t.Error("Record = nil, want an error, so that the event comes again")
	}
	p.rendered = &cobridge.Error{Code: cobridge.CodeNotFound}
	if err := p.Record(t.Context(), event(1, t0)); err != nil {
		t.Errorf("Record of a session that is gone = %v", err)
	}
	p.counts(t, w, notify.Tally{})
}
