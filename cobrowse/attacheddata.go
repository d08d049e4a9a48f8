package cobrowse

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// The attached data that sessions leave on their conversation, under the names of
// the legacy product, whose reports read them.
const (
	AttachedSessionID  = "CoBrowseSessionId"        // of the latest session
	AttachedQuantity   = "CoBrowseSessionsQuantity" // how many sessions the conversation has had
	AttachedStartTime  = "CoBrowseStartTime"        // creation of the first session, milliseconds since 1970
	AttachedDuration   = "CoBrowseDuration"         // of all sessions together, whole seconds
	AttachedAssociated = "CoBrowseAssociated"       // AttachedYes while an agent is in the latest session
	AttachedDenied     = "IsCoBrowseDenied"         // AttachedYes if the latest session came to nothing

	AttachedYes = "Yes"
	AttachedNo  = "No"
)

// maxAttachedSessions bounds how many sessions of one conversation are looked at for
// its attached data, the latest ones. People have a few; programs that start them in
// a loop must not hold up the conversations of others.
const maxAttachedSessions = 500

// attachedPage is how many of them are in memory at a time.
const attachedPage = 50

// AttachData brings the attributes of a conversation, those of its customer, else of
// its first agent, in line with its sessions. It is called with each event, at least
// once, and in any order: what it writes follows from the sessions as they are now,
// never from the event or how often it came. A failure means to call it again with
// the same one, and what can never succeed is none. The session itself never fails
// for it.
func (s *Service) AttachData(ctx context.Context, e Event) error {
	if e.ConversationID == "" || !e.changesAttachedData() {
		return nil
	}
	facts, err := s.attachedFacts(ctx, e.OrgID, e.ConversationID)
	if err != nil {
		return err
	}
	if len(facts.sessions) == 0 {
		return nil // forgotten meanwhile
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
	if i < 0 {
		return nil
	}
	data := facts.changes(c.Participants[i].Attributes)
	if len(data) == 0 {
		return nil
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

// changesAttachedData reports whether the event may be one that attached data tell of.
func (e Event) changesAttachedData() bool {
	switch e.Type {
	case EventCreated, EventUpdated, EventActivated, EventEnded, EventParticipantJoined, EventParticipantRemoved:
		return true
	default:
		return false
	}
}

// attachedFacts is what the sessions of a conversation come to.
type attachedFacts struct {
	latest   Session
	sessions []SessionID   // that were looked at, latest first
	total    int           // that are kept
	first    time.Time     // creation of the first one; zero if it was not looked at
	duration time.Duration // of those that have ended
}

func (s *Service) attachedFacts(ctx context.Context, org conversations.OrgID, id conversations.ID) (attachedFacts, error) {
	var f attachedFacts
	for offset := 0; offset < maxAttachedSessions; offset += attachedPage {
		// The live one first, then by their end: on one conversation there is one at a
		// time, so this is the order in which it had them.
		sessions, total, err := s.index.Sessions(ctx, Query{OrgID: org, ConversationID: id, Offset: offset, Limit: attachedPage})
		if err != nil {
			return attachedFacts{}, fmt.Errorf("list sessions: %w", err)
		}
		f.total = total
		for _, session := range sessions {
			if len(f.sessions) == 0 {
				f.latest = session
			}
			f.sessions = append(f.sessions, session.ID)
			f.duration += sessionDuration(session)
			if len(f.sessions) == total {
				f.first = session.CreatedAt
			}
		}
		if len(f.sessions) >= total || len(sessions) == 0 {
			break
		}
	}
	return f, nil
}

// quantity counts on from what was written: by the sessions that came after the one
// that was the latest then. If that one is forgotten, they all did. So the number
// stays right for a conversation that outlives the records of its first sessions.
func (f attachedFacts) quantity(old map[string]string) int64 {
	since := slices.Index(f.sessions, SessionID(old[AttachedSessionID]))
	if since < 0 {
		since = f.total
	}
	return number(old[AttachedQuantity]) + int64(since)
}

// changes returns the attributes that have to be set. The start never moves and the
// duration never shrinks, whatever of the sessions is forgotten.
func (f attachedFacts) changes(old map[string]string) map[string]string {
	data := map[string]string{
		AttachedSessionID: string(f.latest.ID),
		AttachedQuantity:  strconv.FormatInt(f.quantity(old), 10),
	}
	if !f.first.IsZero() && old[AttachedStartTime] == "" {
		data[AttachedStartTime] = strconv.FormatInt(f.first.UnixMilli(), 10)
	}
	if f.total > 1 || !f.latest.Live() { // something has ended
		data[AttachedDuration] = strconv.FormatInt(max(int64(f.duration/attachedDurationUnit), number(old[AttachedDuration])), 10)
	}
	if yes, known := associated(f.latest); known {
		data[AttachedAssociated] = yesNo(yes)
	}
	if yes, known := denied(f.latest); known {
		data[AttachedDenied] = yesNo(yes)
	}
	for key, value := range data {
		if old[key] == value {
			delete(data, key)
		}
	}
	return data
}

// attachedDurationUnit is the unit of AttachedDuration, as of the durations in the
// legacy product's history; its reference names none.
const attachedDurationUnit = time.Second

// sessionDuration is what a session adds to AttachedDuration: the time for which it
// was active, once it has ended.
func sessionDuration(s Session) time.Duration {
	if s.Live() || s.ActivatedAt.IsZero() {
		return 0
	}
	return max(0, s.EndedAt.Sub(s.ActivatedAt))
}

// associated tells whether an agent is in the session; nothing is known of one into
// which no agent has come yet.
func associated(s Session) (yes, known bool) {
	for _, p := range s.Participants {
		if p.Role == RoleAgent && !p.JoinedAt.IsZero() {
			known = true
			yes = yes || s.Live() && !p.Removed && p.State == ParticipantJoined
		}
	}
	return yes, known
}

// denied tells whether the session came to nothing: it ended without ever having been
// active. Nothing is known of one that may still become it. The legacy reference is
// cut off where it has the rule.
func denied(s Session) (yes, known bool) {
	return s.ActivatedAt.IsZero(), !s.ActivatedAt.IsZero() || !s.Live()
}

// number reads what was written before; what is not ours, or not there, is 0.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func yesNo(yes bool) string {
	if yes {
		return AttachedYes
	}
	return AttachedNo
}
