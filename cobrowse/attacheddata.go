package cobrowse

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// The attached data that a session leaves on its conversation, under the names
// of the legacy product, whose reports read them.
const (
	AttachedSessionID = "CoBrowseSessionId"        // of the latest session
	AttachedQuantity  = "CoBrowseSessionsQuantity" // how many sessions the conversation has had
	AttachedStartTime = "CoBrowseStartTime"        // of the first session, milliseconds since 1970
)

// AttachData writes a new session to the attributes of its conversation: those of
// the customer, else of the first agent. It is called with each event, at least
// once; a failure means to call it again with the same one, and what can never
// succeed is none. The session itself never fails for it.
func (s *Service) AttachData(ctx context.Context, e Event) error {
	if e.ConversationID == "" || e.Type != EventCreated && e.Type != EventUpdated {
		return nil
	}
	c, err := s.directory.Conversation(ctx, e.OrgID, e.ConversationID)
	if cobridge.CodeOf(err) == cobridge.CodeConversationNotFound {
		return nil // forgotten meanwhile
	} else if err != nil {
		return fmt.Errorf("look up conversation: %w", err)
	}
	i := slices.IndexFunc(c.Participants, func(p conversations.Participant) bool { return p.Purpose == conversations.PurposeCustomer })
	if i < 0 {
		i = slices.IndexFunc(c.Participants, func(p conversations.Participant) bool { return p.Purpose == conversations.PurposeAgent })
	}
	if i < 0 || c.Participants[i].Attributes[AttachedSessionID] == string(e.SessionID) {
		return nil
	}
	old := c.Participants[i].Attributes
	quantity, _ := strconv.Atoi(old[AttachedQuantity]) // none, or not ours: the first
	data := map[string]string{AttachedSessionID: string(e.SessionID), AttachedQuantity: strconv.Itoa(quantity + 1)}
	if old[AttachedStartTime] == "" {
		data[AttachedStartTime] = strconv.FormatInt(e.At.UnixMilli(), 10)
	}
	err = s.directory.SetAttributes(ctx, e.OrgID, c.ID, c.Participants[i].ID, data)
	switch cobridge.CodeOf(err) {
	case "":
		return nil
	case cobridge.CodeConstraintValidation, cobridge.CodeConversationNotFound, cobridge.CodeParticipantNotFound:
		// It would be refused again, and what comes after it would wait for ever.
		s.log.WarnContext(ctx, "attached data refused", "sessionId", string(e.SessionID), "conversationId", string(c.ID), "err", err)
		return nil
	default:
		return fmt.Errorf("write attached data: %w", err)
	}
}
