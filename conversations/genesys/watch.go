package genesys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// lookAtOnce is how many conversations a poll looks at together, fewer than may be
// called at the same time: who waits for an answer comes first.
const lookAtOnce = 4

// maxAge is how old an answer about the conversation may be: if its end is looked for
// anyway, until the next look is overdue, so that others who look for the same do not
// double the calls.
func (d *Directory) maxAge(id conversations.ID) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watched[id] {
		return 2 * d.cfg.Poll
	}
	return 0
}

// Run looks for ends of the conversations that Config.Live names, at once and then at
// each poll, and tells those who registered with [Directory.OnEnd], until ctx ends.
// What cannot be asked about has not ended. Failures are logged when they begin and
// when they are over; Run returns nil.
func (d *Directory) Run(ctx context.Context) error {
	ticker := time.NewTicker(d.cfg.Poll)
	defer ticker.Stop()
	failing := false
	for {
		err := d.Poll(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			failing = true
			d.cfg.Log.WarnContext(ctx, "conversations cannot be looked at; sessions go on", "reason", string(ReasonOf(err)), "advice", ReasonOf(err).Advice(), "err", err)
		case err == nil && failing:
			failing = false
			d.cfg.Log.InfoContext(ctx, "conversations can be looked at again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Poll looks once at each conversation that Config.Live names. It fails with the
// first failure, and stops where the others would fail as well.
func (d *Directory) Poll(ctx context.Context) error {
	live, err := d.cfg.Live(ctx)
	if err != nil {
		return fmt.Errorf("list live conversations: %w", err)
	}
	d.watch(live)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	turns := make(chan struct{}, lookAtOnce)
	for _, id := range live {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-turns }()
			err := d.look(ctx, id)
			if err == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
			switch ReasonOf(err) {
			case ReasonOtherID, ReasonBadAnswer, ReasonStatus, ReasonTooLarge, ReasonMissingPermission: // of this one
			default:
				stop(err)
			}
		})
	}
	wg.Wait()
	return first
}

// watch notes whose end is looked for.
func (d *Directory) watch(live []conversations.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.watched)
	for _, id := range live {
		if d.mine(d.cfg.Organisation, string(id)) {
			d.watched[id] = true
		}
	}
}

// look asks for one conversation and tells of its end.
func (d *Directory) look(ctx context.Context, id conversations.ID) error {
	if !d.mine(d.cfg.Organisation, string(id)) {
		return nil // of another directory, before the configuration was changed
	}
	c, err := d.conversations.fresh(ctx, string(id), d.readConversation(id))
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case cobridge.CodeOf(err) == cobridge.CodeConversationNotFound, err == nil && !c.Active():
		d.ended(ctx, id)
		return nil
	}
	return err
}
