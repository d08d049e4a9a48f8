package knowledge

import (
	"context"
	"time"
)

// Store keeps sessions. Engines share no memory with the caller, judge expiry by the
// times given and never by a clock of their own, and are safe for concurrent use.
// What a call has acknowledged survives a crash.
type Store interface {
	// KnowledgeSession returns what is stored, expired or not. It fails with
	// CodeNotFound for an unknown key.
	KnowledgeSession(ctx context.Context, key Key) (Session, error)
	// CreateKnowledgeSession stores s in one atomic step, over an older one of the same
	// key. It fails with [ErrIdentityTaken] if a session of another key shares one of
	// s.Identities(), has an ExpiresAt after since, and live says yes to it. live is
	// quick, has no side effect, and is asked from the latest expiry down.
	CreateKnowledgeSession(ctx context.Context, s Session, since time.Time, live func(Session) bool) error
	// ChangeKnowledgeSession stores what fn returns for the session of the key, the
	// zero Session if there is none, in one atomic step, and returns it. Nothing is
	// written if that is what was there. An error of fn changes nothing and is returned
	// as it is. fn keeps the key; it may run more than once, so it has no side effect.
	ChangeKnowledgeSession(ctx context.Context, key Key, fn func(Session) (Session, error)) (Session, error)
	// PurgeKnowledgeSessions deletes at most limit sessions, of all organisations,
	// whose ExpiresAt is not after the given time, and returns how many.
	PurgeKnowledgeSessions(ctx context.Context, expired time.Time, limit int) (int, error)
}

// Conversations leaves the id of a session on a conversation. Implementations may be
// called concurrently; doing it again changes nothing.
type Conversations interface {
	TieKnowledgeSession(ctx context.Context, org OrgID, conversationID string, id SessionID) error
}
