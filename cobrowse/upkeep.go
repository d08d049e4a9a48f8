package cobrowse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

const (
	sweepInterval = time.Second    // how late a passed deadline is noticed if nobody looks
	sweepBatch    = 500            // sessions, or entries to forget, in one step
	tidyInterval  = time.Minute    // between looks at the directory and the history
	atOnce        = 64             // sessions that are looked at together
	eventsKept    = 24 * time.Hour // how far a named follower may be behind
)

// Run ends sessions whose deadline has passed and stores user input that waits,
// each second, until ctx ends. At the start and each minute it ends the sessions of
// conversations that ended while nobody told us, and forgets what is past its
// retention. Failures are logged and tried again; Run returns nil.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	var tidied time.Time
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "sweeping sessions failed", "err", err)
		}
		if now := s.clock.Now(); now.Sub(tidied) >= tidyInterval {
			tidied = now
			if err := s.Reconcile(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "reconciling with the directory failed", "err", err)
			}
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
		var failed []error // of one session, which must not hold up the others
		known := 0
		for _, id := range ids {
			switch session, err := s.read(ctx, id); {
			case err != nil && cobridge.CodeOf(err) != cobridge.CodeNotFound:
				failed = append(failed, err)
			case err == nil:
				known++
				if !session.Live() {
					ended++
				}
			}
		}
		if len(ids) < sweepBatch || known == 0 || len(failed) > 0 {
			return ended, errors.Join(failed...)
		}
	}
}

// flush stores user input of sessions whose stored activity is at least the
// given age, and what viewers did.
func (s *Service) flush(ctx context.Context, age time.Duration) {
	now := s.clock.Now()
	s.mu.Lock()
	waiting := make([]SessionID, 0, len(s.activity))
	for id := range s.activity {
		waiting = append(waiting, id)
	}
	for id := range s.actions {
		if _, ok := s.activity[id]; !ok {
			waiting = append(waiting, id)
		}
	}
	s.mu.Unlock()
	for _, id := range waiting {
		session, err := s.change(ctx, id, func(d *decision) error {
			at := s.pending(id)
			switch {
			case !d.Session.Live():
				return errUnchanged
			case at.After(d.Session.LastActivityAt) && now.Sub(d.Session.LastActivityAt) >= age:
				d.Session.LastActivityAt = at
			case !s.hasActions(id):
				return errUnchanged
			}
			return nil
		})
		if cobridge.CodeOf(err) == cobridge.CodeNotFound || err == nil && !session.Live() {
			s.mu.Lock()
			delete(s.activity, id)
			delete(s.actions, id)
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
	return s.eachLive(ctx, func(session Session) (bool, error) {
		if session.ConversationID == "" {
			return true, nil
		}
		c, err := s.directory.Conversation(ctx, session.OrgID, session.ConversationID)
		if err == nil && c.Active() {
			return true, nil
		}
		if err != nil && cobridge.CodeOf(err) != cobridge.CodeConversationNotFound {
			return true, err
		}
		err = s.ConversationEnded(ctx, session.OrgID, session.ConversationID)
		return err != nil, err
	})
}

// Recover is called when a process has opened a store that no other uses, before
// it lets anybody in: links that died with the process before are closed now, so
// that their people are waited for like others whose connection was lost.
func (s *Service) Recover(ctx context.Context) error {
	return s.CloseLinks(ctx, func(context.Context, string) (bool, error) { return true, nil })
}

// CloseLinks closes the open links of processes that are gone, like Recover. gone is
// asked about the process of a link after the link was read: one that is started now
// makes itself known before it opens any.
func (s *Service) CloseLinks(ctx context.Context, gone func(ctx context.Context, node string) (bool, error)) error {
	return s.eachLive(ctx, func(session Session) (bool, error) {
		if !slices.ContainsFunc(session.Participants, func(p Participant) bool { return p.Connection.Open }) {
			return true, nil
		}
		after, err := s.change(ctx, session.ID, func(d *decision) error { return closeLinks(ctx, d, gone) })
		return err != nil || after.Live(), err
	})
}

// eachLive calls do for the live sessions of the installation, some at a time, so
// that they share commits. do tells whether the session is live afterwards: the
// list is read in pages, from which those that ended disappear. Its failures are
// counted, and the first one is returned.
func (s *Service) eachLive(ctx context.Context, do func(Session) (live bool, err error)) error {
	var failures int
	var first error
	for offset := 0; ; {
		page, _, err := s.index.Sessions(ctx, Query{States: []State{StateIdle, StateActive}, Offset: offset, Limit: sweepBatch})
		if err != nil {
			return fmt.Errorf("list live sessions: %w", err)
		}
		live, errs := make([]bool, len(page)), make([]error, len(page))
		turns := make(chan struct{}, atOnce)
		var wg sync.WaitGroup
		for i, session := range page {
			turns <- struct{}{}
			wg.Go(func() {
				defer func() { <-turns }()
				live[i], errs[i] = do(session)
			})
		}
		wg.Wait()
		for i := range page {
			if live[i] {
				offset++
			}
			if errs[i] != nil {
				if failures++; first == nil {
					first = errs[i]
				}
			}
		}
		if len(page) < sweepBatch {
			break
		}
	}
	if first != nil {
		return fmt.Errorf("%d live sessions failed, the first: %w", failures, first)
	}
	return nil
}

// closeLinks closes what is open at processes that are gone.
func closeLinks(ctx context.Context, d *decision, gone func(ctx context.Context, node string) (bool, error)) error {
	closed, sharer := false, false
	for i := range d.Session.Participants {
		if !d.Session.Live() || !d.Session.Participants[i].Connection.Open {
			continue
		}
		dead, err := gone(ctx, d.Session.Participants[i].Connection.Node)
		if err != nil {
			return err
		}
		if dead {
			d.Session.unlink(i, d.now)
			d.event(EventParticipantDisconnected, i)
			closed, sharer = true, sharer || d.Session.Participants[i].ID == d.Session.Sharer()
		}
	}
	if !closed {
		return errUnchanged
	}
	if sharer {
		d.Session.leavePage(d.now)
	}
	return nil
}
