package conversations

import (
	"fmt"

	"github.com/google/uuid"
)

// IDs makes the names of things in place of chance, so that a test double gives the
// same ones in every run. Implementations may be called concurrently.
type IDs interface {
	// UUID returns a new UUID for the next thing of a kind: conversation,
	// conversationParticipant or communication.
	UUID(kind string) string
}

// NameBy makes ids the source of names, which are random without it or with nil. It
// is called before anything else.
func (l *Local) NameBy(ids IDs) { l.ids = ids }

func (l *Local) newUUID(kind string) string {
	if l.ids != nil {
		return l.ids.UUID(kind)
	}
	return uuid.NewString()
}

// newID returns a UUID that is ordered by time: neighbours share pages of a store.
func (l *Local) newID() (ID, error) {
	if l.ids != nil {
		return ID(l.ids.UUID("conversation")), nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("draw a conversation id: %w", err)
	}
	return ID(id.String()), nil
}
