package cobrowse

import (
	"errors"
	"fmt"
	"time"

	"github.com/cobridge/cobridge/conversations"
)

// Change is everything that one decision of the rules stores. A [Store] commits
// it as a whole or not at all.
type Change struct {
	// At is the moment of the decision. Engines judge every expiry by it.
	At time.Time
	// Session is the session after the change. Its Version must be one more than
	// the stored one; 1 creates it. A session that has ended is from then on kept
	// as history record and no longer among the live ones: it is stored once.
	Session Session
	// Take lists claims that the session must hold from now on. Taking a claim
	// that it holds already succeeds.
	Take []Claim
	// Release lists claims that the session gives back, each with the moment until
	// which nobody may take it again (zero = at once). Releasing a claim that the
	// session does not hold changes nothing.
	Release []Release
	// Redeem is the join token that is used up by this change, or nil.
	Redeem *RedeemedToken
	// Repeatable is the answer to remember for an Idempotency-Key, or nil.
	Repeatable *Repeatable
	// Events are appended in order, in the same commit.
	Events []Event
}

// ClaimKind says what a claim makes unique.
type ClaimKind string

// The kinds of claims.
const (
	ClaimConversation ClaimKind = "conversation" // one live session per organisation and conversation
	ClaimAgent        ClaimKind = "agent"        // one session at a time per organisation and agent
	ClaimSessionToken ClaimKind = "sessionToken" // nine digits, unique in the installation
)

// Claim is a name that at most one live session holds.
type Claim struct {
	Kind  ClaimKind
	OrgID conversations.OrgID // empty for ClaimSessionToken
	Key   string              // conversation id, user id or session token
}

// Release is a claim that is given back.
type Release struct {
	Claim
	Until time.Time // not to be taken again before; zero = at once
}

// RedeemedToken names a used join token.
type RedeemedToken struct {
	ID        string    // its jti
	ExpiresAt time.Time // afterwards the store may forget it
}

// RepeatKey is the scope of one Idempotency-Key.
type RepeatKey struct {
	OrgID    conversations.OrgID
	ClientID string
	Route    string // for instance "POST /api/v2/cobrowse/sessions"
	Key      string // as the caller sent it
}

// Repeatable remembers which session an Idempotency-Key created.
type Repeatable struct {
	RepeatKey
	BodyHash  [32]byte // SHA-256 of the request body
	SessionID SessionID
	ExpiresAt time.Time
}

// EventType names what happened to a session.
type EventType string

// The event types. The values stand on the wire.
const (
	EventCreated                 EventType = "session.created"
	EventUpdated                 EventType = "session.updated" // settings changed or a conversation was attached
	EventActivated               EventType = "session.activated"
	EventEnded                   EventType = "session.ended"
	EventParticipantAdded        EventType = "participant.added"
	EventParticipantJoined       EventType = "participant.joined" // a join token was redeemed
	EventParticipantConnected    EventType = "participant.connected"
	EventParticipantDisconnected EventType = "participant.disconnected"
	EventParticipantLeft         EventType = "participant.left"
	EventParticipantRemoved      EventType = "participant.removed"
	EventPageVisited             EventType = "page.visited"
	EventGranted                 EventType = "grant.given"   // to the participant; to everybody if it is the sharer
	EventRevoked                 EventType = "grant.revoked" // of the participant
)

// Event tells that a session changed. It carries names, not content: who needs
// more reads the session, which may have changed again since.
type Event struct {
	Sequence       uint64 `json:",omitzero"` // given by the engine; grows, may have gaps
	Type           EventType
	At             time.Time
	OrgID          conversations.OrgID
	SessionID      SessionID
	ConversationID conversations.ID `json:",omitzero"`
	ParticipantID  ParticipantID    `json:",omitzero"` // of participant and page events
	// Connection is the number of the participant's valid link after a participant
	// event: links with a lower number are replaced.
	Connection uint64    `json:",omitzero"`
	EndReason  EndReason `json:",omitzero"` // of EventEnded
}

// Failures of [Store.Apply]. Each means that nothing was stored.
var (
	// ErrStale: the session was changed since it was read. Read it and decide anew.
	ErrStale = errors.New("session changed in between")
	// ErrTokenUsed: the join token was redeemed before.
	ErrTokenUsed = errors.New("join token redeemed before")
	// ErrRepeated: the Idempotency-Key was used before and its record has not
	// expired. Engines check it before the claims.
	ErrRepeated = errors.New("idempotency key used before")
)

// ClaimedError tells that a claim is not free. Nothing was stored.
type ClaimedError struct {
	Claim Claim
	// Holder is the session that holds the claim; empty if it was given back and
	// may not be taken yet.
	Holder SessionID
}

// Error implements error.
func (e *ClaimedError) Error() string {
	return fmt.Sprintf("%s is claimed by session %q", e.Claim.Kind, e.Holder)
}
