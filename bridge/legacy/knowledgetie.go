package legacy

import (
	"context"
	"fmt"
	"slices"

	"github.com/cobridge/cobridge/bridge/knowledge"
	"github.com/cobridge/cobridge/conversations"
)

// AttachedKnowledgeSession is the attribute of a conversation's participant that
// names the Knowledge Center session.
const AttachedKnowledgeSession = "kcSessionId"

// directory is the part of conversations.Directory that is called here.
type directory interface {
	Conversation(ctx context.Context, org conversations.OrgID, id conversations.ID) (conversations.Conversation, error)
	SetAttributes(ctx context.Context, org conversations.OrgID, id conversations.ID, p conversations.ParticipantID, attributes map[string]string) error
}

// KnowledgeTie leaves the ids of Knowledge Center sessions on conversations.
type KnowledgeTie struct {
	directory directory
}

var _ knowledge.Conversations = (*KnowledgeTie)(nil)

// NewKnowledgeTie returns a tie to the conversations of a conversations.Directory.
func NewKnowledgeTie(d directory) *KnowledgeTie { return &KnowledgeTie{directory: d} }

// TieKnowledgeSession writes the id to the attributes of the conversation's customer,
// else of its first agent: where the data of cobrowse sessions stand as well. A
// conversation with neither is left alone. Errors are the directory's.
func (t *KnowledgeTie) TieKnowledgeSession(ctx context.Context, org knowledge.OrgID, conversationID string, id knowledge.SessionID) error {
	owner := conversations.OrgID(org)
	c, err := t.directory.Conversation(ctx, owner, conversations.ID(conversationID))
	if err != nil {
		return fmt.Errorf("look up conversation: %w", err)
	}
	for _, purpose := range []conversations.Purpose{conversations.PurposeCustomer, conversations.PurposeAgent} {
		i := slices.IndexFunc(c.Participants, func(p conversations.Participant) bool { return p.Purpose == purpose })
		if i < 0 {
			continue
		}
		p := c.Participants[i]
		if p.Attributes[AttachedKnowledgeSession] == string(id) {
			return nil
		}
		if err := t.directory.SetAttributes(ctx, owner, c.ID, p.ID, map[string]string{AttachedKnowledgeSession: string(id)}); err != nil {
			return fmt.Errorf("write attribute: %w", err)
		}
		return nil
	}
	return nil
}
