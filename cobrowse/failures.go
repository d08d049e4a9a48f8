package cobrowse

import (
	"fmt"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// What Error.EntityName calls the things of this package.
const (
	EntitySession     = "cobrowseSession"
	EntityParticipant = "participant"
	EntityDeployment  = "deployment"
)

// Reasons in Detail.ErrorCode that callers may want to tell apart.
const (
	DetailSessionActive = "cobrowse.session.active"   // the conversation has a live session: EntityID
	DetailSessionEnded  = "cobrowse.session.ended"    // the session is over
	DetailAgentBusy     = "cobrowse.agent.busy"       // the agent is in another live session
	DetailAttached      = "cobrowse.session.attached" // the session belongs to another conversation
	DetailCustomerLate  = "cobrowse.customer.late"    // a customer cannot come later
	DetailParticipant   = "cobrowse.participant.exists"
	DetailRoleTaken     = "cobrowse.role.taken" // the session has somebody in this role
	DetailViewersLimit  = "cobrowse.viewers.limit"
	DetailOtherTab      = "cobrowse.tab.other" // the sharer is connected in another tab
	DetailGrantsLimit   = "cobrowse.grants.limit"
)

func sessionNotFound(id SessionID) error {
	return &cobridge.Error{
		Code: cobridge.CodeNotFound, Message: "No cobrowse session of this organisation has this id.",
		Params: map[string]string{"sessionId": string(id)}, EntityID: string(id), EntityName: EntitySession,
	}
}

func participantNotFound(id ParticipantID) error {
	return &cobridge.Error{
		Code: cobridge.CodeParticipantNotFound, Message: "No participant of this session has this id.",
		Params: map[string]string{"participantId": string(id)}, EntityID: string(id), EntityName: EntityParticipant,
	}
}

func sessionConflict(id SessionID, reason, message string) error {
	return &cobridge.Error{
		Code: cobridge.CodeConflict, Message: message, Params: map[string]string{"sessionId": string(id)},
		Details:  []cobridge.Detail{{ErrorCode: reason, EntityID: string(id), EntityName: EntitySession}},
		EntityID: string(id), EntityName: EntitySession,
	}
}

func endedConflict(id SessionID) error {
	return sessionConflict(id, DetailSessionEnded, "The cobrowse session has ended; start a new one.")
}

// conversationConflict is the 409 of the one-per-conversation rule.
func conversationConflict(conversation conversations.ID, holder SessionID) error {
	return &cobridge.Error{
		Code: cobridge.CodeConflict, Message: "A cobrowse session is already active for this conversation.",
		Params:   map[string]string{"conversationId": string(conversation), "sessionId": string(holder)},
		Details:  []cobridge.Detail{{ErrorCode: DetailSessionActive, FieldName: "conversationId", EntityID: string(holder), EntityName: EntitySession}},
		EntityID: string(holder), EntityName: EntitySession,
	}
}

func sessionEnded(id SessionID) error {
	return &cobridge.Error{
		Code: cobridge.CodeSessionEnded, Message: "The cobrowse session has ended.",
		Params: map[string]string{"sessionId": string(id)}, EntityID: string(id), EntityName: EntitySession,
	}
}

func tokenUsed() error {
	return &cobridge.Error{Code: cobridge.CodeJoinTokenUsed, Message: "This join token has been used; ask for a new one."}
}

// problems collects broken field rules.
type problems []cobridge.Detail

func (p *problems) add(field, code string) {
	*p = append(*p, cobridge.Detail{FieldName: field, ErrorCode: code})
}

func (p *problems) addf(code, format string, args ...any) { p.add(fmt.Sprintf(format, args...), code) }

func (p problems) err(what string) error {
	if len(p) == 0 {
		return nil
	}
	return &cobridge.Error{
		Code: cobridge.CodeConstraintValidation, Message: what + " breaks one or more rules; see details.", Details: p,
	}
}
