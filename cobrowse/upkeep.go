package cobrowse

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

const (
	sweepInterval = time.Second // how late a passed deadline is noticed if nobody looks
	sweepBatch    = 500         // sessions, or entries to forget, in one step
	purgeInterval = time.Minute
	recoverAtOnce = 64             // sessions
	eventsKept    = 24 * time.Hour // how far a named follower may be behind
)

// Run ends sessions whose deadline has passed, stores user input that waits, and
// forgets what is past its retention, until ctx ends. At the start it ends the
// sessions of conversations that ended while nobody watched. Failures are logged
// and tried again; Run returns nil.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	if err := s.Reconcile(ctx); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "reconciling with the directory failed", "err", err)
	}
	var purged time.Time
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "sweeping sessions failed", "err", err)
		}
		if now := s.clock.Now(); now.Sub(purged) >= purgeInterval {
			purged = now
			if err := s.purge(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "purging history failed", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			s.flush(context.WithoutCancel(ctx), 0)
			return nil
		case <-ticker.C:
		}
	}
}

// Sweep stores user input that has waited long enough and ends sessions whose
// deadline has passed. It returns how many it ended.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	s.flush(ctx, activityInterval)
	ended := 0
	for {
		ids, err := s.store.Overdue(ctx, s.clock.Now(), sweepBatch)
		if err != nil {
			return ended, fmt.Errorf("find overdue sessions: %w", err)
		}
		progress := false
		for _, id := range ids {
			session, err := s.read(ctx, id)
			if err != nil && cobridge.CodeOf(err) != cobridge.CodeNotFound {
				return ended, err
			}
			if err == nil && !session.Live() {
				ended++
			}
			progress = progress || err == nil
		}
		if len(ids) < sweepBatch || !progress {
			return ended, nil
		}
	}
}

// flush stores user input of sessions whose stored activity is at least the
// given age.
func (s *Service) flush(ctx context.Context, age time.Duration) {
	now := s.clock.Now()
	s.mu.Lock()
	waiting := make([]SessionID, 0, len(s.activity))
	for id := range s.activity {
		waiting = append(waiting, id)
	}
	s.mu.Unlock()
	for _, id := range waiting {
		session, err := s.change(ctx, id, func(d *decision) error {
			at := s.pending(id)
			if !d.Session.Live() || !at.After(d.Session.LastActivityAt) || now.Sub(d.Session.LastActivityAt) < age {
				return errUnchanged
			}
			d.Session.LastActivityAt = at
			return nil
		})
		if cobridge.CodeOf(err) == cobridge.CodeNotFound || err == nil && !session.Live() {
			s.mu.Lock()
			delete(s.activity, id)
			s.mu.Unlock()
		} else if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "storing user input failed", "sessionId", string(id), "err", err)
		}
	}
}

func (s *Service) purge(ctx context.Context) error {
	now := s.clock.Now()
	for {
		n, err := s.index.Purge(ctx, Purge{At: now, Ended: s.keptSince(), Events: now.Add(-eventsKept)}, sweepBatch)
		if err != nil {
			return fmt.Errorf("purge: %w", err)
		}
		if n < sweepBatch {
			return nil
		}
	}
}

// ConversationEnded ends the session of a conversation that has ended, if it has one.
func (s *Service) ConversationEnded(ctx context.Context, org conversations.OrgID, id conversations.ID) error {
	holder, err := s.store.Holder(ctx, conversationClaim(org, id))
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return nil
	} else if err != nil {
		return fmt.Errorf("find the session of a conversation: %w", err)
	}
	_, err = s.change(ctx, holder, func(d *decision) error {
		if !d.Session.Live() || d.Session.ConversationID != id {
			return errUnchanged
		}
		d.end(d.now, EndConversationEnded)
		return nil
	})
	return err
}

// Reconcile ends the live sessions of conversations that are over or gone. What
// the directory cannot be asked about stays as it is.
func (s *Service) Reconcile(ctx context.Context) error {
	live, err := s.live(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, session := range live {
		if session.ConversationID == "" {
			continue
		}
		c, err := s.directory.Conversation(ctx, session.OrgID, session.ConversationID)
		over := err == nil && !c.Active() || cobridge.CodeOf(err) == cobridge.CodeConversationNotFound
		switch {
		case over:
			if err := s.ConversationEnded(ctx, session.OrgID, session.ConversationID); err != nil {
				failed = append(failed, err)
			}
		case err != nil:
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// live returns every live session of the installation.
func (s *Service) live(ctx context.Context) ([]Session, error) {
	var live []Session
	for {
		page, total, err := s.index.Sessions(ctx, Query{States: []State{StateIdle, StateActive}, Offset: len(live), Limit: sweepBatch})
		if err != nil {
			return nil, fmt.Errorf("list live sessions: %w", err)
		}
		live = append(live, page...)
		if len(page) == 0 || len(live) >= total {
			return live, nil
		}
	}
}

// Recover is called when a process has opened a store that no other uses, before
// it lets anybody in: links that died with the process before are closed now, so
// that their people are waited for like others whose connection was lost.
func (s *Service) Recover(ctx context.Context) error {
	live, err := s.live(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var failed []error
	var wg sync.WaitGroup
	turns := make(chan struct{}, recoverAtOnce) // commits are shared: one by one would take long
	for _, session := range live {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			if _, err := s.change(ctx, session.ID, closeLinks); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("close the links of session %s: %w", session.ID, err))
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// closeLinks closes what is open.
func closeLinks(d *decision) error {
	closed := false
	for i := range d.Session.Participants {
		if d.Session.Live() && d.Session.Participants[i].Connection.Open {
			d.Session.unlink(i, d.now)
			d.event(EventParticipantDisconnected, i)
			closed = true
		}
	}
	if !closed {
		return errUnchanged
	}
	d.Session.leavePage(d.now)
	return nil
}
