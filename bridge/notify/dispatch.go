package notify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
)

// lane is what is known in memory of a webhook with something pending.
type lane struct {
	next   time.Time // when something may be due; zero = at once
	idle   bool      // nothing is pending but what is under way
	poked  bool      // something has changed since it was looked
	paused time.Time // until then nothing is sent
	slow   bool      // its latest answer was late
	flying map[DeliveryID]bool
	turn   uint64 // its place among those that wait: since when it is due, or was served last
}

// due reports whether it is to be looked for something to send.
func (l *lane) due(now time.Time) bool {
	return !l.idle && !l.next.After(now) && !l.paused.After(now)
}

// poke says that something of the webhook may be due.
func (s *Webhooks) poke(id WebhookID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[id]
	if l == nil {
		l = &lane{flying: map[DeliveryID]bool{}, idle: true}
		s.lanes[id] = l
	}
	s.rouse(l)
	s.nudge()
}

// rouse has a lane looked at. One that had nothing to do queues behind those that wait
// already, or whoever has the most to send would always be first; mu is held.
func (s *Webhooks) rouse(l *lane) {
	if l.idle {
		s.queue(l)
	}
	l.idle, l.poked, l.next = false, true, time.Time{}
}

// queue puts a lane behind all others; mu is held.
func (s *Webhooks) queue(l *lane) {
	s.turns++
	l.turn = s.turns
}

func (s *Webhooks) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look
	}
}

// tell wakes who waits for a change; mu is held.
func (s *Webhooks) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Run sends what is due until ctx ends. What is under way then is cut off, and sent
// again at the next start: a receiver may see it twice.
func (s *Webhooks) Run(ctx context.Context) error {
	if err := s.pokeAll(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	var attempts sync.WaitGroup
	defer attempts.Wait()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for ticks := 1; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-ticker.C:
			if ticks++; s.cfg.Shared && ticks%othersEvery == 0 {
				if err := s.pokeAll(ctx); err != nil && ctx.Err() == nil {
					s.cfg.Log.WarnContext(ctx, "looking for what other processes left behind failed", "err", err)
				}
			}
		}
		s.pass(ctx, &attempts)
	}
}

// pokeAll says that something of every webhook may be due.
func (s *Webhooks) pokeAll(ctx context.Context) error {
	all, err := s.store.Webhooks(ctx, "")
	if err != nil {
		return fmt.Errorf("list webhooks: %w", err)
	}
	for _, w := range all {
		s.poke(w.ID)
	}
	return nil
}

// claim takes a delivery for this process: it is due for others only when an attempt
// would surely have ended. It returns false if another process has it.
func (s *Webhooks) claim(ctx context.Context, d Delivery, at time.Time) (bool, error) {
	if !s.cfg.Shared {
		return true, nil
	}
	until := at.Add(s.limits.Timeout + storeTime + claimSlack)
	changed, err := s.store.ChangeDeliveries(ctx, d.WebhookID, []DeliveryID{d.ID}, func(d *Delivery) bool {
		if d.State != Pending || d.At.After(at) {
			return false
		}
		d.At = until
		return true
	})
	return len(changed) == 1, err
}

// Settle waits, while Run runs, until nothing is due and nothing is under way. It is
// for tests that move the clock.
func (s *Webhooks) Settle(ctx context.Context) error {
	s.mu.Lock()
	first := s.passes
	s.nudge()
	for {
		now, quiet := s.clock.Now(), s.passes > first && s.flying == 0
		for _, l := range s.lanes {
			quiet = quiet && !l.due(now)
		}
		changed := s.changed
		s.mu.Unlock()
		if quiet {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.mu.Lock()
	}
}

// pass starts what is due, those webhooks first that have waited longest for a turn.
func (s *Webhooks) pass(ctx context.Context, attempts *sync.WaitGroup) {
	s.mu.Lock()
	now := s.clock.Now()
	var due []WebhookID
	for id, l := range s.lanes {
		if l.due(now) {
			due = append(due, id)
		} else if l.idle && len(l.flying) == 0 && !l.slow && !l.paused.After(now) {
			delete(s.lanes, id)
		}
	}
	slices.SortFunc(due, func(a, b WebhookID) int {
		return cmp.Or(cmp.Compare(s.lanes[a].turn, s.lanes[b].turn), cmp.Compare(a, b))
	})
	s.mu.Unlock()
	for _, id := range due {
		if ctx.Err() == nil {
			s.serve(ctx, id, now, attempts)
		}
	}
	s.mu.Lock()
	s.passes++
	s.tell()
	s.mu.Unlock()
}

// serve starts what is due of one webhook.
func (s *Webhooks) serve(ctx context.Context, id WebhookID, now time.Time, attempts *sync.WaitGroup) {
	s.mu.Lock()
	if s.flying >= s.limits.Workers {
		s.mu.Unlock() // it keeps its place; somebody's end wakes
		return
	}
	l := s.lanes[id]
	l.poked = false
	under := len(l.flying)
	s.mu.Unlock()

	w, err := s.store.Webhook(ctx, id)
	var found []Delivery
	if err == nil && w.Disabled != "" {
		err = s.bury(ctx, w)
	} else if err == nil {
		found, err = s.store.Deliveries(ctx, DeliveryQuery{WebhookID: id, State: Pending, Limit: under + s.limits.PerWebhook + 1})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case cobridge.CodeOf(err) == cobridge.CodeNotFound: // deleted
		l.idle = true
		return
	case err != nil:
		if ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "looking for what webhooks are to be told failed", "webhookId", string(id), "err", err)
		}
		l.paused = now.Add(lookEvery)
		return
	}
	room, slow := s.limits.PerWebhook, l.slow
	if !w.FailingSince.IsZero() {
		room, slow = 1, true // one attempt at a time says whether it is back
	}
	l.idle, l.next = !l.poked, time.Time{}
	for _, d := range found {
		if l.flying[d.ID] {
			continue
		}
		if d.At.After(now) {
			if !l.poked {
				l.idle, l.next = false, d.At
			}
			return
		}
		if len(l.flying) >= room {
			return // the end of an attempt pokes
		}
		// Slow ones share half of the workers: the other half is there for the others. Who
		// hangs is known to be slow only afterwards, so an organisation never has all.
		if s.flying >= s.limits.Workers || s.of[w.OrgID] >= s.limits.perOrgWorkers() || slow && s.slow >= max(s.limits.Workers/2, 1) {
			l.idle = false // somebody else's end wakes
			l.paused = time.Time{}
			l.next = time.Time{}
			return
		}
		l.flying[d.ID] = true
		s.flying++
		s.of[w.OrgID]++
		if slow {
			s.slow++
		}
		s.queue(l)
		attempts.Go(func() { s.attempt(ctx, w, d, slow) })
	}
}

// bury ends all that is pending of a disabled webhook.
func (s *Webhooks) bury(ctx context.Context, w Webhook) error {
	now := s.clock.Now()
	why := DeadDisabled
	if w.Disabled == DisabledGone {
		why = DeadGone
	}
	for {
		found, err := s.store.Deliveries(ctx, DeliveryQuery{WebhookID: w.ID, State: Pending, Limit: buryBatch})
		if err != nil || len(found) == 0 {
			return err
		}
		ids := make([]DeliveryID, len(found))
		for i, d := range found {
			ids[i] = d.ID
		}
		changed, err := s.store.ChangeDeliveries(ctx, w.ID, ids, func(d *Delivery) bool {
			if d.State != Pending {
				return false
			}
			d.end(Dead, why, now, s.limits.KeepDead)
			return true
		})
		if err != nil {
			return err
		}
		for range changed {
			s.cfg.Observe.Dead(why)
		}
	}
}

// attempt makes one attempt, if nobody else does, and stores what became of it.
func (s *Webhooks) attempt(ctx context.Context, w Webhook, d Delivery, slow bool) {
	at := s.clock.Now()
	claimed, err := s.claim(ctx, d, at)
	if !claimed {
		var pause time.Time
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "claiming a delivery failed", "webhookId", string(w.ID), "deliveryId", string(d.ID), "err", err)
			pause = at.Add(lookEvery)
		}
		s.land(w, d.ID, slow, slow, pause)
		return
	}
	sending, cancel := context.WithTimeout(ctx, s.limits.Timeout)
	answer := s.cfg.Sender.Send(sending, SendRequest{URL: w.URL, ID: d.ID, At: at, Signature: Sign(w.Secrets, d.ID, at, d.Body), Body: d.Body})
	cancel()
	took := s.clock.Now().Sub(at)
	var pause time.Time
	// An attempt that our own end cut off is none: it is made again.
	if answer.Result == ResultDelivered || ctx.Err() == nil {
		s.cfg.Observe.Attempt(answer.Result, took)
		storing, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
		err := s.conclude(storing, w, d, Attempt{At: at, Took: took, Status: answer.Status, Result: answer.Result}, answer.RetryAfter)
		cancel()
		if err != nil {
			// It is still pending. Not at once, or a receiver that works would be told of it
			// without end by a store that does not.
			s.cfg.Log.WarnContext(ctx, "storing what became of a delivery failed", "webhookId", string(w.ID), "deliveryId", string(d.ID), "err", err)
			pause = at.Add(s.limits.Timeout)
		}
		if answer.RetryAfter > 0 && answer.Result == ResultStatus {
			pause = at.Add(min(answer.RetryAfter, longestPause))
		}
	}
	s.land(w, d.ID, slow, took >= slowAnswer, pause)
}

// land ends an attempt that counted as slow or not, and says whether its webhook is
// slow now, and until when nothing is to be sent to it.
func (s *Webhooks) land(w Webhook, delivery DeliveryID, counted, slow bool, pause time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[w.ID]
	delete(l.flying, delivery)
	s.flying--
	if s.of[w.OrgID]--; s.of[w.OrgID] == 0 {
		delete(s.of, w.OrgID)
	}
	if counted {
		s.slow--
	}
	l.slow = slow
	if pause.After(l.paused) {
		l.paused = pause
	}
	s.rouse(l)
	s.tell()
	s.nudge()
}

// conclude stores what follows from an attempt, for the delivery and for the webhook.
func (s *Webhooks) conclude(ctx context.Context, w Webhook, d Delivery, a Attempt, retryAfter time.Duration) error {
	random := s.cfg.Random()
	changed, err := s.store.ChangeDeliveries(ctx, w.ID, []DeliveryID{d.ID}, func(d *Delivery) bool {
		s.after(d, a, retryAfter, random)
		return true
	})
	if err != nil {
		return err
	}
	for _, d := range changed {
		if d.State == Dead {
			s.cfg.Observe.Dead(d.Why)
		}
	}
	if d.Type == PingType && a.Result != ResultDelivered && a.Result != ResultGone {
		return nil // somebody is trying it out
	}
	if a.Result == ResultDelivered && w.FailingSince.IsZero() {
		return nil
	}
	var why DisableReason
	_, err = s.store.ChangeWebhook(ctx, w.ID, func(w *Webhook) error {
		why = ""
		switch {
		case a.Result == ResultDelivered:
			w.FailingSince = time.Time{}
			return nil
		case w.FailingSince.IsZero():
			w.FailingSince = a.At
		}
		if w.Disabled != "" {
			return nil
		}
		if a.Result == ResultGone {
			why = DisabledGone
		} else if s.limits.DisableAfter > 0 && a.At.Sub(w.FailingSince) >= s.limits.DisableAfter {
			why = DisabledFailing
		}
		if why != "" {
			w.disable(why, a.At)
		}
		return nil
	})
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return nil // deleted meanwhile
	}
	if err == nil && why != "" {
		s.cfg.Observe.Disabled(why)
		s.cfg.Log.WarnContext(ctx, "webhook disabled", "webhookId", string(w.ID), "orgId", string(w.OrgID), "reason", string(why), "result", string(a.Result), "status", a.Status)
	}
	return err
}

// after makes of a delivery what follows from an attempt.
func (s *Webhooks) after(d *Delivery, a Attempt, retryAfter time.Duration, random float64) {
	d.Attempts = append(d.Attempts, a)
	if over := len(d.Attempts) - maxAttempts; over > 0 {
		d.Attempts = slices.Clone(d.Attempts[over:])
	}
	d.Tries++
	ended := a.At.Add(a.Took)
	switch {
	case a.Result == ResultDelivered:
		d.end(Delivered, "", ended, s.limits.KeepDelivered)
	case d.State != Pending: // it was given up meanwhile
	case a.Result == ResultGone:
		d.end(Dead, DeadGone, ended, s.limits.KeepDead)
	case d.Type == PingType, d.Tries > len(s.limits.Delays):
		d.end(Dead, DeadAttempts, ended, s.limits.KeepDead)
	default:
		delay := s.limits.Delays[d.Tries-1]
		delay += time.Duration(float64(delay) * spread * random)
		d.due(ended.Add(max(delay, min(retryAfter, longestWait))))
	}
}
