package cobrowse

import (
	"context"
	"time"

	"github.com/cobridge/cobridge/conversations"
)

// Store keeps sessions, history records and claims. Engines pass
// bridge/engine/enginetest, share no memory with the caller and judge expiry by
// the times given, never by a clock of their own. What Apply has acknowledged
// survives a crash. All methods may be called concurrently.
type Store interface {
	// Apply commits c as a whole. It fails with ErrStale, ErrRepeated,
	// ErrTokenUsed or a *ClaimedError, checked in this order, and has then changed
	// nothing. Creating a session whose id exists is ErrStale.
	Apply(ctx context.Context, c Change) error
	// Session returns a live session or a history record. It fails with CodeNotFound.
	Session(ctx context.Context, id SessionID) (Session, error)
	// Holder returns the session that holds a claim, CodeNotFound if none does.
	Holder(ctx context.Context, c Claim) (SessionID, error)
	// Retired returns the session that has given back a claim which may not be taken
	// again at the given time. It fails with CodeNotFound.
	Retired(ctx context.Context, c Claim, at time.Time) (SessionID, error)
	// Repeatable returns what was remembered for a key and has not expired at the
	// given time. It fails with CodeNotFound.
	Repeatable(ctx context.Context, key RepeatKey, at time.Time) (Repeatable, error)
	// Redeemed reports whether a join token was redeemed and may not be forgotten at the given time.
	Redeemed(ctx context.Context, tokenID string, at time.Time) (bool, error)
	// Overdue returns at most limit live sessions whose deadline is not after the
	// given time, the oldest deadline first.
	Overdue(ctx context.Context, at time.Time, limit int) ([]SessionID, error)
}

// Index lists sessions and history records.
type Index interface {
	// Sessions returns one page, newest creation first among the live ones, which
	// come before history records, newest end first; and the number of all that match.
	Sessions(ctx context.Context, q Query) ([]Session, int, error)
	// Records returns at most q.Limit history records, newest end first, then by id, descending.
	Records(ctx context.Context, q RecordQuery) ([]Session, error)
	// Purge forgets history records that ended before p.Ended and, as of p.At,
	// expired redeemed tokens, repeatables, retired claims, and events older than
	// p.Events: at most limit entries in one call. It returns how many it deleted.
	Purge(ctx context.Context, p Purge, limit int) (int, error)
}

// Query selects sessions of one organisation.
type Query struct {
	OrgID          conversations.OrgID // empty = all, for the command line and reconciliation alone
	ConversationID conversations.ID    // empty = all
	States         []State             // empty = all
	Attached       bool                // leave out sessions that have no conversation
	KeptSince      time.Time           // leave out records that ended before
	Offset         int
	Limit          int // at least 1
}

// RecordQuery selects history records of one organisation.
type RecordQuery struct {
	OrgID          conversations.OrgID
	ConversationID conversations.ID // empty = all
	From, To       time.Time        // ended at or after From and before To; zero = open
	// After is the last record of the page before: only records that come later in
	// the order are returned. A zero ID starts at the newest.
	After RecordCursor
	Limit int // at least 1
}

// RecordCursor is a position in the order of history records.
type RecordCursor struct {
	EndedAt time.Time
	ID      SessionID
}

// Purge says what may be forgotten.
type Purge struct {
	At     time.Time
	Ended  time.Time
	Events time.Time
}

// Events carries what happened to whoever wants to know, at least once and in
// the order of each session's changes.
type Events interface {
	// Follow calls fn for each event, one at a time, until ctx ends, and returns
	// its error then. With a name it goes on after the last event that a follower
	// of this name has handled, also over restarts, and calls fn again, with a
	// growing pause, for an event on which it failed. Without a name it starts with
	// the events that are committed after the call, and errors of fn are ignored.
	// The follower is in place once ready is called; ready may be nil.
	Follow(ctx context.Context, name string, ready func(), fn func(context.Context, Event) error) error
}

// DeploymentStore keeps deployments.
type DeploymentStore interface {
	// PutDeployment creates or replaces a deployment. It fails with CodeConflict if
	// the id belongs to another organisation.
	PutDeployment(ctx context.Context, d Deployment) error
	// Deployment fails with CodeNotFound. Its id is unique in the installation.
	Deployment(ctx context.Context, id DeploymentID) (Deployment, error)
	// Deployments returns those of one organisation, by name, then by id.
	Deployments(ctx context.Context, org conversations.OrgID) ([]Deployment, error)
	// DeleteDeployment succeeds if there is none.
	DeleteDeployment(ctx context.Context, id DeploymentID) error
}

// SecretStore keeps the installation's own random secrets.
type SecretStore interface {
	// Secret returns the secret of this name. If there is none it stores the
	// proposed one, durably, and returns it: all callers see the same.
	Secret(ctx context.Context, name string, proposed []byte) ([]byte, error)
}
