package cobrowse

import (
	"context"
	"fmt"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// Record returns a history record: a session as it was when it ended, from the
// remote server too. It fails as Get does, and with CodeNotFound for a live session.
func (s *Service) Record(ctx context.Context, org conversations.OrgID, id SessionID) (Session, error) {
	session, err := s.Get(ctx, org, id)
	if err != nil {
		return Session{}, err
	}
	if session.Live() {
		return Session{}, &cobridge.Error{
			Code: cobridge.CodeNotFound, Message: "The cobrowse session has not ended, so there is no record of it yet.",
			Params: map[string]string{"sessionId": string(id)}, EntityID: string(id), EntityName: EntitySession,
		}
	}
	return session, nil
}

// RecordRequest selects history records of one organisation.
type RecordRequest struct {
	OrgID          conversations.OrgID
	ConversationID conversations.ID // empty = all
	From, To       time.Time        // ended at or after From and before To; zero = open
	After          RecordCursor     // zero = from the newest
	Limit          int              // at least 1
}

// Records returns history records, newest end first, and whether there are more.
func (s *Service) Records(ctx context.Context, r RecordRequest) ([]Session, bool, error) {
	from := s.keptSince()
	if r.From.After(from) {
		from = r.From
	}
	records, err := s.index.Records(ctx, RecordQuery{
		OrgID: r.OrgID, ConversationID: r.ConversationID, From: from, To: r.To, After: r.After, Limit: r.Limit + 1,
	})
	if err != nil {
		return nil, false, fmt.Errorf("list history records: %w", err)
	}
	if len(records) > r.Limit {
		return records[:r.Limit], true, nil
	}
	return records, false, nil
}
