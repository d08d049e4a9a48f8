package enginetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/conversations"
)

// webhooks is what an engine stores of webhooks.
type webhooks interface {
	notify.WebhookStore
	notify.Outbox
}

// outbox is an engine with it.
type outbox struct {
	webhooks
	Engine
}

func (o outbox) reopen(t *testing.T) outbox {
	t.Helper()
	return withOutbox(t, o.Reopen(t))
}

func withOutbox(t *testing.T, e Engine) outbox {
	t.Helper()
	w, ok := e.Store.(webhooks)
	if !ok {
		t.Fatalf("the engine %T does not store webhooks", e.Store)
	}
	return outbox{w, e}
}

// RunWebhooks runs the suite of [notify.WebhookStore] and [notify.Outbox]; open is as
// with [Run].
func RunWebhooks(t *testing.T, open func(*testing.T) Engine) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, outbox){
		"a webhook is kept over a restart":                        testWebhookKept,
		"webhooks of organisations are apart, the oldest first":   testWebhooksApart,
		"of many webhooks that are made at once none is too many": testWebhookMost,
		"a change of a webhook is one atomic step":                testWebhookChangeRace,
		"a refused change of a webhook changes nothing":           testWebhookChangeRefused,
		"a webhook is deleted with its deliveries":                testWebhookDelete,
		"a delivery is stored once and kept over a restart":       testDeliveryOnce,
		"of one delivery that is added by many one is stored":     testDeliveryRace,
		"deliveries are listed by state and time, page by page":   testDeliveryList,
		"a change moves deliveries from state to state":           testDeliveryChange,
		"no change of a delivery is lost":                         testDeliveryChangeRace,
		"a full outbox takes no more, and forgets the oldest":     testOutboxFull,
		"expired deliveries are purged up to the limit":           testDeliveryPurge,
		"the backlog counts all webhooks":                         testBacklog,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, withOutbox(t, open(t)))
		})
	}
}

func hook(id notify.WebhookID) notify.Webhook {
	return notify.Webhook{
		ID: id, OrgID: org, Name: "CRM", URL: "https://example.org/hooks", Events: []string{"cobrowse.session.created"},
		Secrets:    []notify.WebhookSecret{{Key: []byte{1, 0, 255}, CreatedAt: t0}, {Key: []byte{2}, CreatedAt: t0, ExpiresAt: t0.Add(time.Hour)}},
		Configured: true, CreatedBy: "client", CreatedAt: t0, UpdatedAt: t0.Add(time.Minute),
		Disabled: notify.DisabledGone, DisabledAt: t0, FailingSince: t0,
	}
}

func delivery(w notify.WebhookID, n int) notify.Delivery {
	return notify.Delivery{
		ID: notify.DeliveryID(fmt.Sprintf("msg_%03d", n)), WebhookID: w, OrgID: org, Type: "cobrowse.session.created", Sequence: uint64(n),
		EventAt: t0, SessionID: "s-1", Body: []byte(`{"n":1}`), State: notify.Pending, CreatedAt: t0.Add(time.Duration(n) * time.Second), At: t0.Add(time.Duration(n) * time.Second),
		Tries: 1, Attempts: []notify.Attempt{{At: t0, Took: time.Second, Status: 500, Result: notify.ResultStatus}},
	}
}

func over(d notify.Delivery, state notify.DeliveryState) notify.Delivery {
	d.State, d.ExpiresAt = state, d.At.Add(time.Hour)
	if state == notify.Dead {
		d.Why = notify.DeadAttempts
	}
	return d
}

func unreachable(*notify.Delivery) { panic("the outbox is not full") }

func mustCreateWebhook(t *testing.T, o outbox, all ...notify.Webhook) {
	t.Helper()
	for _, w := range all {
		mustStore(t, o.CreateWebhook(t.Context(), w, 0))
	}
}

func mustAdd(t *testing.T, o outbox, all ...notify.Delivery) {
	t.Helper()
	for _, d := range all {
		got, err := o.AddDelivery(t.Context(), d, 1000, unreachable)
		mustStore(t, err)
		if got == nil {
			t.Fatalf("AddDelivery(%s) stored nothing", d.ID)
		}
	}
}

// wantDeliveries checks what is stored, in this order, and what is counted.
func wantDeliveries(t *testing.T, o outbox, w notify.WebhookID, state notify.DeliveryState, want ...notify.Delivery) {
	t.Helper()
	got, err := o.Deliveries(t.Context(), notify.DeliveryQuery{WebhookID: w, State: state, Limit: 1000})
	mustStore(t, err)
	wantSame(t, "Deliveries "+string(state), got, want)
	counted, err := o.Tally(t.Context(), w)
	mustStore(t, err)
	if n := map[notify.DeliveryState]int{notify.Pending: counted.Pending, notify.Delivered: counted.Delivered, notify.Dead: counted.Dead}[state]; n != len(want) {
		t.Errorf("Tally has %d %s, want %d", n, state, len(want))
	}
}

func testWebhookKept(t *testing.T, o outbox) {
	full, bare := hook("w-1"), notify.Webhook{ID: "w-2", OrgID: org, CreatedAt: t0.Add(time.Minute)}
	mustCreateWebhook(t, o, full, bare)
	wantCode(t, "CreateWebhook with an id that is taken", o.CreateWebhook(t.Context(), full, 0), cobridge.CodeConflict)
	for range 2 {
		for _, want := range []notify.Webhook{full, bare} {
			got, err := o.Webhook(t.Context(), want.ID)
			mustStore(t, err)
			wantSame(t, "Webhook", got, want)
		}
		_, err := o.Webhook(t.Context(), "w-3")
		wantCode(t, "Webhook with an unknown id", err, cobridge.CodeNotFound)
		o = o.reopen(t)
	}
}

func testWebhooksApart(t *testing.T, o outbox) {
	first, second, theirs := hook("w-2"), hook("w-1"), hook("w-0")
	second.CreatedAt, theirs.OrgID = t0.Add(time.Second), otherOrg
	mustCreateWebhook(t, o, second, first, theirs)
	for _, tt := range []struct {
		org  conversations.OrgID
		want []notify.Webhook
	}{
		{org, []notify.Webhook{first, second}}, {otherOrg, []notify.Webhook{theirs}}, {"", []notify.Webhook{first, second, theirs}}, {"0a", nil},
	} {
		got, err := o.Webhooks(t.Context(), tt.org)
		mustStore(t, err)
		wantSame(t, fmt.Sprintf("Webhooks(%q)", tt.org), got, tt.want)
	}
}

func testWebhookMost(t *testing.T, o outbox) {
	const most = 3
	other := hook("w-other")
	other.OrgID = otherOrg
	mustCreateWebhook(t, o, other)
	race(12, func(i int) {
		if err := o.CreateWebhook(t.Context(), hook(notify.WebhookID(fmt.Sprintf("w-%d", i))), most); err != nil && cobridge.CodeOf(err) != cobridge.CodeConflict {
			t.Errorf("CreateWebhook = %v", err)
		}
	})
	got, err := o.Webhooks(t.Context(), org)
	mustStore(t, err)
	if len(got) != most {
		t.Errorf("the organisation has %d webhooks, want %d", len(got), most)
	}
}

func testWebhookChangeRace(t *testing.T, o outbox) {
	const n = 32
	mustCreateWebhook(t, o, hook("w-1"))
	race(n, func(i int) {
		if _, err := o.ChangeWebhook(t.Context(), "w-1", func(w *notify.Webhook) error {
			w.Events = append(w.Events, fmt.Sprintf("event-%d", i))
			return nil
		}); err != nil {
			t.Errorf("ChangeWebhook = %v", err)
		}
	})
	got, err := o.Webhook(t.Context(), "w-1")
	mustStore(t, err)
	if len(got.Events) != 1+n {
		t.Errorf("the webhook has %d events, want %d", len(got.Events), 1+n)
	}
	_, err = o.ChangeWebhook(t.Context(), "w-2", func(*notify.Webhook) error { return nil })
	wantCode(t, "ChangeWebhook with an unknown id", err, cobridge.CodeNotFound)
}

func testWebhookChangeRefused(t *testing.T, o outbox) {
	w := hook("w-1")
	mustCreateWebhook(t, o, w)
	refusal := &cobridge.Error{Code: cobridge.CodeConflict}
	_, err := o.ChangeWebhook(t.Context(), "w-1", func(w *notify.Webhook) error {
		w.Events[0], w.Secrets[0].Key[0] = "other", 9
		return refusal
	})
	wantIs(t, "ChangeWebhook", err, refusal)
	got, err := o.Webhook(t.Context(), "w-1")
	mustStore(t, err)
	wantSame(t, "Webhook", got, w)
}

func testWebhookDelete(t *testing.T, o outbox) {
	mustCreateWebhook(t, o, hook("w-1"), hook("w-10"))
	kept := delivery("w-10", 1)
	mustAdd(t, o, kept)
	for i := range 7 {
		d := delivery("w-1", i)
		if i%2 == 0 {
			d = over(d, notify.Dead)
		}
		mustAdd(t, o, d)
	}
	mustStore(t, o.DeleteWebhook(t.Context(), "w-1"))
	wantCode(t, "DeleteWebhook again", o.DeleteWebhook(t.Context(), "w-1"), cobridge.CodeNotFound)
	got, err := o.AddDelivery(t.Context(), delivery("w-1", 1), 10, unreachable)
	if got != nil || err != nil {
		t.Errorf("AddDelivery to a webhook that is gone = %v, %v, want nothing", got, err)
	}
	for range 2 {
		_, err = o.Tally(t.Context(), "w-1")
		wantCode(t, "Tally of a webhook that is gone", err, cobridge.CodeNotFound)
		_, err = o.Delivery(t.Context(), "w-1", "msg_001")
		wantCode(t, "Delivery of a webhook that is gone", err, cobridge.CodeNotFound)
		wantDeliveries(t, o, "w-10", notify.Pending, kept)
		o = o.reopen(t)
	}
	mustCreateWebhook(t, o, hook("w-1")) // the same id again has nothing of before
	for _, state := range notify.DeliveryStates() {
		wantDeliveries(t, o, "w-1", state)
	}
}

func testDeliveryOnce(t *testing.T, o outbox) {
	mustCreateWebhook(t, o, hook("w-1"), hook("w-2"))
	d := delivery("w-1", 1)
	mustAdd(t, o, d)
	again := d
	again.Body, again.State = []byte("{}"), notify.Dead
	got, err := o.AddDelivery(t.Context(), again, 10, unreachable)
	if got != nil || err != nil {
		t.Errorf("AddDelivery again = %v, %v, want nothing", got, err)
	}
	same := delivery("w-2", 1) // another webhook's
	mustAdd(t, o, same)
	d.Body[0] = 'x' // the engine has a copy
	d.Body = []byte(`{"n":1}`)
	for range 2 {
		one, err := o.Delivery(t.Context(), "w-1", d.ID)
		mustStore(t, err)
		wantSame(t, "Delivery", one, d)
		wantDeliveries(t, o, "w-1", notify.Pending, d)
		wantDeliveries(t, o, "w-2", notify.Pending, same)
		_, err = o.Delivery(t.Context(), "w-1", "msg_002")
		wantCode(t, "Delivery with an unknown id", err, cobridge.CodeNotFound)
		o = o.reopen(t)
	}
}

func testDeliveryRace(t *testing.T, o outbox) {
	mustCreateWebhook(t, o, hook("w-1"))
	d := delivery("w-1", 1)
	race(16, func(int) {
		if _, err := o.AddDelivery(t.Context(), d, 1, unreachable); err != nil {
			t.Errorf("AddDelivery = %v", err)
		}
	})
	wantDeliveries(t, o, "w-1", notify.Pending, d)
}

func testDeliveryList(t *testing.T, o outbox) {
	mustCreateWebhook(t, o, hook("w-1"), hook("w-2"))
	var want []notify.Delivery
	for i := range 7 {
		d := delivery("w-1", 6-i)
		d.At = t0.Add(time.Duration(i/3) * time.Minute) // three at the same time
		want = append(want, d)
	}
	mustAdd(t, o, want...)
	mustAdd(t, o, over(delivery("w-1", 50), notify.Dead), delivery("w-2", 60))
	slices.SortFunc(want, func(a, b notify.Delivery) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return int(a.Sequence) - int(b.Sequence)
	})
	q := notify.DeliveryQuery{WebhookID: "w-1", State: notify.Pending, Limit: 2}
	var got []notify.Delivery
	for {
		page, err := o.Deliveries(t.Context(), q)
		mustStore(t, err)
		got = append(got, page...)
		if len(page) < q.Limit {
			break
		}
		q.After = notify.PlaceOf(page[len(page)-1])
	}
	wantSame(t, "all pages", got, want)
	page, err := o.Deliveries(t.Context(), notify.DeliveryQuery{WebhookID: "w-1", State: notify.Pending, Limit: 1000, After: notify.Place{At: t0.Add(time.Minute)}})
	mustStore(t, err)
	wantSame(t, "Deliveries from a time on", page, want[3:])
}

func testDeliveryChange(t *testing.T, o outbox) {
	mustCreateWebhook(t, o, hook("w-1"))
	a, b, c := delivery("w-1", 1), delivery("w-1", 2), delivery("w-1", 3)
	mustAdd(t, o, a, b, c)
	a2 := over(a, notify.Dead)
	got, err := o.ChangeDeliveries(t.Context(), "w-1", []notify.DeliveryID{a.ID, b.ID, "msg_unknown", a.ID}, func(d *notify.Delivery) bool {
		if d.ID == b.ID {
			d.Body[0] = 'x' // refused, so it changes nothing
			return false
		}
		*d = over(*d, notify.Dead)
		return true
	})
	mustStore(t, err)
	wantSame(t, "ChangeDeliveries", got, []notify.Delivery{a2})
	for range 2 {
		wantDeliveries(t, o, "w-1", notify.Pending, b, c)
		wantDeliveries(t, o, "w-1", notify.Dead, a2)
		o = o.reopen(t)
	}
	// And back, at another time.
	a.At, a.State, a.ExpiresAt, a.Why, a.Tries = t0.Add(time.Hour), notify.Pending, time.Time{}, "", 0
	_, err = o.ChangeDeliveries(t.Context(), "w-1", []notify.DeliveryID{a.ID}, func(d *notify.Delivery) bool { *d = a; return true })
	mustStore(t, err)
	wantDeliveries(t, o, "w-1", notify.Pending, b, c, a)
	wantDeliveries(t, o, "w-1", notify.Dead)
	if n, err := o.PurgeDeliveries(t.Context(), t0.Add(100*time.Hour), 100); n != 0 || err != nil {
		t.Errorf("PurgeDeliveries of pending ones = %d, %v, want none", n, err)
	}
}

func testDeliveryChangeRace(t *testing.T, o outbox) {
	const n = 32
	mustCreateWebhook(t, o, hook("w-1"))
	d := delivery("w-1", 1)
	mustAdd(t, o, d)
	race(n, func(int) {
		if _, err := o.ChangeDeliveries(t.Context(), "w-1", []notify.DeliveryID{d.ID}, func(d *notify.Delivery) bool { d.Tries++; return true }); err != nil {
			t.Errorf("ChangeDeliveries = %v", err)
		}
	})
	d.Tries += n
	wantDeliveries(t, o, "w-1", notify.Pending, d)
}

func testOutboxFull(t *testing.T, o outbox) {
	mustCreateWebhook(t, o, hook("w-1"))
	const most = 2
	full := func(d *notify.Delivery) {
		d.State, d.Why, d.ExpiresAt = notify.Dead, notify.DeadFull, t0.Add(time.Hour)
	}
	all := make([]notify.Delivery, 6)
	for i := range all {
		all[i] = delivery("w-1", i)
		got, err := o.AddDelivery(t.Context(), all[i], most, full)
		mustStore(t, err)
		if i >= most {
			full(&all[i])
		}
		if got == nil {
			t.Fatalf("AddDelivery(%d) stored nothing", i)
		}
		wantSame(t, "AddDelivery", *got, all[i])
	}
	wantDeliveries(t, o, "w-1", notify.Pending, all[:2]...)
	wantDeliveries(t, o, "w-1", notify.Dead, all[4:]...)
	_, err := o.Delivery(t.Context(), "w-1", all[2].ID)
	wantCode(t, "Delivery of one that was forgotten", err, cobridge.CodeNotFound)
}

func testDeliveryPurge(t *testing.T, o outbox) {
	mustCreateWebhook(t, o, hook("w-1"), hook("w-2"))
	pending, dead, other, late := delivery("w-1", 1), over(delivery("w-1", 2), notify.Dead), over(delivery("w-2", 3), notify.Delivered), over(delivery("w-1", 4), notify.Delivered)
	late.ExpiresAt = t0.Add(5 * time.Hour)
	mustAdd(t, o, pending, dead, other, late)
	for _, tt := range []struct {
		at          time.Time
		limit, want int
	}{
		{dead.ExpiresAt.Add(-time.Nanosecond), 100, 0}, {other.ExpiresAt, 1, 1}, {other.ExpiresAt, 100, 1}, {other.ExpiresAt, 100, 0},
	} {
		if got, err := o.PurgeDeliveries(t.Context(), tt.at, tt.limit); got != tt.want || err != nil {
			t.Errorf("PurgeDeliveries(%v, %d) = %d, %v, want %d", tt.at, tt.limit, got, err, tt.want)
		}
	}
	for range 2 {
		wantDeliveries(t, o, "w-1", notify.Pending, pending)
		wantDeliveries(t, o, "w-1", notify.Dead)
		wantDeliveries(t, o, "w-1", notify.Delivered, late)
		wantDeliveries(t, o, "w-2", notify.Delivered)
		o = o.reopen(t)
	}
}

func testBacklog(t *testing.T, o outbox) {
	want := func(total notify.Tally, oldest time.Time) {
		t.Helper()
		got, at, err := o.Backlog(t.Context())
		mustStore(t, err)
		wantSame(t, "Backlog", got, total)
		if !at.Equal(oldest) {
			t.Errorf("the oldest pending one is of %v, want %v", at, oldest)
		}
	}
	want(notify.Tally{}, time.Time{})
	mustCreateWebhook(t, o, hook("w-1"), hook("w-2"))
	old, young := delivery("w-1", 1), delivery("w-2", 2)
	old.At = t0.Add(time.Hour) // retried later than the other
	mustAdd(t, o, young, old, over(delivery("w-2", 3), notify.Dead), over(delivery("w-2", 0), notify.Delivered))
	want(notify.Tally{Pending: 2, Delivered: 1, Dead: 1}, old.CreatedAt)
	_, err := o.ChangeDeliveries(t.Context(), "w-1", []notify.DeliveryID{old.ID}, func(d *notify.Delivery) bool { *d = over(*d, notify.Delivered); return true })
	mustStore(t, err)
	want(notify.Tally{Pending: 1, Delivered: 2, Dead: 1}, young.CreatedAt)
	mustStore(t, o.DeleteWebhook(t.Context(), "w-2"))
	want(notify.Tally{Delivered: 1}, time.Time{})
}
