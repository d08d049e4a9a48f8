package cobrowse

import (
	"fmt"

	"github.com/google/uuid"
)

// IDs makes the names of things in place of chance. Whoever sets one gives up that
// names cannot be guessed, the nine digits among them: it is for test doubles, whose
// answers are to be the same in every run. Implementations may be called concurrently.
type IDs interface {
	// UUID returns a new UUID for the next thing of a kind: session, participant or deployment.
	UUID(kind string) string
	// Number returns a number from 0 to below-1 for the next thing of a kind.
	Number(kind string, below int64) int64
}

// newUUID returns a UUID that cannot be guessed, unless IDs are made.
func (s *Service) newUUID(kind string) string {
	if s.ids != nil {
		return s.ids.UUID(kind)
	}
	return uuid.NewString()
}

func (s *Service) newParticipantID() ParticipantID { return ParticipantID(s.newUUID("participant")) }

// newSessionID returns a UUID that is ordered by time: neighbours share pages of a store.
func (s *Service) newSessionID() (SessionID, error) {
	if s.ids != nil {
		return SessionID(s.ids.UUID("session")), nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("draw a session id: %w", err)
	}
	return SessionID(id.String()), nil
}

func (s *Service) newSessionToken() (SessionToken, error) {
	if s.ids != nil {
		return SessionToken(fmt.Sprintf("%0*d", sessionTokenDigits, s.ids.Number("sessionToken", sessionTokens))), nil
	}
	return NewSessionToken()
}
