package bridge

import (
	"context"

	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// IDs makes the names that the application gives to things, in place of chance: see
// [cobrowse.IDs]. Only a test double has one. There is no key of the configuration
// for it, and no command that serves people sets it: what follows a rule can be
// guessed, nine digits and channels among it. Tokens, secrets and keys are random
// whatever is set here. Kinds that domains do not name are channel, knowledgeSession,
// correlation (of requests) and notice (of what has no request behind it).
type IDs interface {
	cobrowse.IDs
}

var _ conversations.IDs = IDs(nil)

// newIDs returns what draws ids of a kind; nil leaves it to chance.
func (o Options) newIDs(kind string) func() string {
	if o.IDs == nil {
		return nil
	}
	return func() string { return o.IDs.UUID(kind) }
}

// Follow calls fn with what happens to sessions from now on, one event after the
// other, until ctx ends. Ready is called when nothing can be missed any more. It is
// for whoever tests with the application.
func (a *App) Follow(ctx context.Context, ready func(), fn func(cobrowse.Event)) error {
	return a.store.Follow(ctx, "", ready, func(_ context.Context, e cobrowse.Event) error {
		fn(e)
		return nil
	})
}

// LastEvent returns the sequence of the latest event, 0 if there was none yet.
func (a *App) LastEvent() uint64 { return a.store.LastEvent() }
