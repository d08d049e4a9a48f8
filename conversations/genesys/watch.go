package genesys

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

const (
	// lookAtOnce is how many conversations a poll looks at together, fewer than may be
	// called at the same time: who waits for an answer comes first.
	lookAtOnce = 4
	// seldom is how many polls pass over a conversation whose end is told of: a look
	// nevertheless, in case something was lost.
	seldom = 10
)

// watch is a conversation whose end is looked for.
type watch struct {
	looked  time.Time              // when it was asked for last; zero = never with success
	users   []conversations.UserID // who are in it, and so are told of what happens to it
	covered bool                   // the notification channel tells of it since before it was looked at
	doubts  int                    // how often its end was told of

	last  conversations.Conversation // as it was when it was asked for last; shared with the cache
	asked int                        // number of the latest question about it
	known int                        // of that whose answer is in users; an older answer may come later
}

// maxAge is how old an answer about the conversation may be: if its end is looked for
// anyway, until the next look is overdue, so that others who look for the same do not
// double the calls.
func (d *Directory) maxAge(id conversations.ID) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch w := d.watched[id]; {
	case w == nil:
		return 0
	case w.covered:
		return (seldom + 2) * d.cfg.Poll
	default:
		return 2 * d.cfg.Poll
	}
}

// Run looks for ends of the conversations that Config.Live names, and tells those who
// registered with [Directory.OnEnd], until ctx ends: by the notifications of the
// service where it has them, and by a poll, which is seldom for conversations that are
// told of. What cannot be asked about has not ended. Failures are logged when they
// begin and when they are over; Run returns nil.
func (d *Directory) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { d.listen(ctx) })
	defer wg.Wait()
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

// Poll looks once at each conversation that Config.Live names, except those that the
// notifications tell of. It fails with the first failure, and stops where the others
// would fail as well.
func (d *Directory) Poll(ctx context.Context) error {
	live, err := d.cfg.Live(ctx)
	if err != nil {
		return fmt.Errorf("list live conversations: %w", err)
	}
	err = d.lookAtAll(ctx, d.watch(live))
	d.topicsChanged()
	return err
}

// lookAtAll looks at some conversations at a time.
func (d *Directory) lookAtAll(ctx context.Context, ids []conversations.ID) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	turns := make(chan struct{}, lookAtOnce)
	for _, id := range ids {
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
				stop()
			}
		})
	}
	wg.Wait()
	return first
}

// watch notes whose end is looked for, and returns those that are due for a look.
func (d *Directory) watch(live []conversations.ID) []conversations.ID {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Clock.Now()
	watched := make(map[conversations.ID]*watch, len(live))
	due := make([]conversations.ID, 0, len(live))
	for _, id := range live {
		if watched[id] != nil || !d.mine(d.cfg.Organisation, string(id)) {
			continue // the latter is of another directory, before the configuration was changed
		}
		w := d.watched[id]
		if w == nil {
			w = &watch{}
		}
		watched[id] = w
		if !w.covered || now.Sub(w.looked) >= seldom*d.cfg.Poll {
			due = append(due, id)
		}
	}
	d.watched = watched
	// If a rate limit ends the round, the next one begins with those that were left over.
	slices.SortStableFunc(due, func(a, b conversations.ID) int { return watched[a].looked.Compare(watched[b].looked) })
	return due
}

// look asks for one conversation and tells of its end.
func (d *Directory) look(ctx context.Context, id conversations.ID) error {
	d.mu.Lock()
	asked := 0
	if w := d.watched[id]; w != nil {
		w.asked++
		asked = w.asked
	}
	d.mu.Unlock()
	c, err := d.conversations.fresh(ctx, string(id), d.readConversation(id))
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case cobridge.CodeOf(err) == cobridge.CodeConversationNotFound, err == nil && !c.Active():
		d.ended(ctx, id)
		return nil
	case err != nil:
		return err
	}
	d.mu.Lock()
	changed := false
	if w := d.watched[id]; w != nil && asked >= w.known {
		changed = w.last.ID != "" && !reflect.DeepEqual(w.last, c)
		w.looked, w.users, w.last, w.known = d.cfg.Clock.Now(), usersOf(c), c, asked
	}
	d.mu.Unlock()
	if changed {
		d.changedAt(ctx, id)
	}
	return nil
}

// usersOf returns who of the organisation takes part in a conversation at present.
func usersOf(c conversations.Conversation) []conversations.UserID {
	var users []conversations.UserID
	for _, p := range c.Participants {
		if uuidPattern.MatchString(string(p.UserID)) && p.Connected() && !slices.Contains(users, p.UserID) {
			users = append(users, p.UserID)
		}
	}
	return users
}
