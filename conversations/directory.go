package conversations

import (
	"context"
	"time"

	"github.com/cobridge/cobridge"
)

// Query selects conversations of one organisation, newest start first, then by id.
type Query struct {
	Active *bool  // nil = all; true = only active ones; false = only others
	Medium Medium // "" = all; else those with a communication of it
	Offset int
	Limit  int // at least 1
}

// UserQuery selects users of one organisation, by name, then by id.
type UserQuery struct {
	IDs    []UserID    // empty = all
	States []UserState // empty = all
	Offset int
	Limit  int // at least 1
}

// Directory answers questions about conversations and users. What belongs to
// another organisation is not found. An unreachable directory answers
// [cobridge.CodeUnavailable]; it never answers "not found" for what it could not
// look up. Implementations may be called concurrently.
type Directory interface {
	// Conversation fails with CodeConversationNotFound.
	Conversation(ctx context.Context, org OrgID, id ID) (Conversation, error)
	// Conversations returns one page and the number of all that match.
	Conversations(ctx context.Context, org OrgID, q Query) ([]Conversation, int, error)
	// User fails with CodeUserNotFound. A deleted user is found and says so.
	User(ctx context.Context, org OrgID, id UserID) (User, error)
	// Users returns one page and the number of all that match.
	Users(ctx context.Context, org OrgID, q UserQuery) ([]User, int, error)
	// SetAttributes merges attributes into those of a participant: given keys are
	// set, others stay. It fails with CodeConversationNotFound or CodeParticipantNotFound.
	SetAttributes(ctx context.Context, org OrgID, id ID, p ParticipantID, attributes map[string]string) error
	// Disconnect ends a conversation. Ending an ended one changes nothing and succeeds.
	Disconnect(ctx context.Context, org OrgID, id ID) error
}

// Store keeps what [Local] knows. Engines share no memory with the caller and
// are safe for concurrent use. What a call has acknowledged survives a crash.
type Store interface {
	// PutOrganisation creates or replaces an organisation.
	PutOrganisation(ctx context.Context, o Organisation) error
	// Organisation fails with CodeNotFound.
	Organisation(ctx context.Context, id OrgID) (Organisation, error)
	// PutUser creates or replaces a user.
	PutUser(ctx context.Context, u User) error
	// User fails with CodeUserNotFound for an unknown id or another organisation.
	User(ctx context.Context, org OrgID, id UserID) (User, error)
	Users(ctx context.Context, org OrgID, q UserQuery) ([]User, int, error)
	// CreateConversation fails with CodeConflict if the id is taken in any organisation.
	CreateConversation(ctx context.Context, c Conversation) error
	// Conversation fails with CodeConversationNotFound for an unknown id or another organisation.
	Conversation(ctx context.Context, org OrgID, id ID) (Conversation, error)
	Conversations(ctx context.Context, org OrgID, q Query) ([]Conversation, int, error)
	// UpdateConversation applies fn in one atomic step and returns the result. An
	// error of fn changes nothing and is returned as it is. fn may run more than
	// once, so it must have no side effect.
	UpdateConversation(ctx context.Context, org OrgID, id ID, fn func(*Conversation) error) (Conversation, error)
	// PurgeConversations deletes at most limit conversations that ended before the
	// given time and returns how many it deleted.
	PurgeConversations(ctx context.Context, before time.Time, limit int) (int, error)
}

// NotFound is the failure for a conversation that org may not see or that is not there.
func NotFound(id ID) error {
	return &cobridge.Error{
		Code: cobridge.CodeConversationNotFound, Message: "No conversation of this organisation has this id.",
		Params: map[string]string{"conversationId": string(id)}, EntityID: string(id), EntityName: "conversation",
	}
}

// UserNotFound is the failure for a user that org may not see or that is not there.
func UserNotFound(id UserID) error {
	return &cobridge.Error{
		Code: cobridge.CodeUserNotFound, Message: "No user of this organisation has this id.",
		Params: map[string]string{"userId": string(id)}, EntityID: string(id), EntityName: "user",
	}
}
