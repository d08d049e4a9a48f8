package conversations

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cobridge/cobridge"
)

// Bounds of what a caller may store in the local directory.
const (
	maxParticipants   = 50   // far above any real conversation; bounds one record
	maxAttributes     = 100  // per participant and call
	maxAttributeKey   = 100  // characters
	maxAttributeValue = 4096 // bytes; a URL with its query fits
	maxName           = 256  // characters, of names and the external tag
	maxQueueID        = 64   // bytes; a UUID fits
)

// Local is the directory that this installation keeps itself. All methods may
// be called concurrently.
type Local struct {
	store Store
	clock cobridge.Clock
	ids   IDs // nil = random

	mu       sync.Mutex
	onEnd    []func(context.Context, OrgID, ID)
	onChange []func(context.Context, OrgID, ID)
}

var _ Directory = (*Local)(nil)

// NewLocal returns a directory over store.
func NewLocal(store Store, clock cobridge.Clock) *Local {
	return &Local{store: store, clock: clock}
}

// OnEnd registers fn to be called, in the caller's goroutine, after a
// conversation has ended and before the call that ended it returns.
func (l *Local) OnEnd(fn func(context.Context, OrgID, ID)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onEnd = append(l.onEnd, fn)
}

// OnChange registers fn to be called, in the caller's goroutine, after a
// conversation was created, changed or has ended, and before the call that did it
// returns; of an end, after the functions of [Local.OnEnd]. It must not wait for
// anything. It is told that something changed, not what: of two changes at once the
// later may be told first, so who wants to know reads the conversation.
func (l *Local) OnChange(fn func(context.Context, OrgID, ID)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onChange = append(l.onChange, fn)
}

// changed tells of a change.
func (l *Local) changed(ctx context.Context, org OrgID, id ID) {
	l.mu.Lock()
	subscribers := slices.Clone(l.onChange)
	l.mu.Unlock()
	for _, fn := range subscribers {
		fn(ctx, org, id)
	}
}

// Organisation fails with CodeNotFound.
func (l *Local) Organisation(ctx context.Context, id OrgID) (Organisation, error) {
	return l.store.Organisation(ctx, id)
}

// Conversation implements [Directory].
func (l *Local) Conversation(ctx context.Context, org OrgID, id ID) (Conversation, error) {
	return l.store.Conversation(ctx, org, id)
}

// Conversations implements [Directory].
func (l *Local) Conversations(ctx context.Context, org OrgID, q Query) ([]Conversation, int, error) {
	return l.store.Conversations(ctx, org, q)
}

// User implements [Directory].
func (l *Local) User(ctx context.Context, org OrgID, id UserID) (User, error) {
	return l.store.User(ctx, org, id)
}

// Users implements [Directory].
func (l *Local) Users(ctx context.Context, org OrgID, q UserQuery) ([]User, int, error) {
	return l.store.Users(ctx, org, q)
}

// NewParticipant describes one participant of a conversation to be created.
type NewParticipant struct {
	Purpose    Purpose
	UserID     UserID // only for agent and user; must exist
	Name       string // default: the user's name
	QueueID    string // that routed the participant here; may be empty
	MediaRoles []string
	Attributes map[string]string
}

// NewConversation describes a conversation to be created.
type NewConversation struct {
	ID           ID        // default: a new UUID
	StartedAt    time.Time // default: now
	Medium       Medium
	ExternalTag  string
	Participants []NewParticipant // 1..50
}

// Create starts a conversation: every participant is connected in its medium.
// It fails with CodeConstraintValidation and one detail per problem, with
// CodeUserNotFound, or with CodeConflict if the given id is taken.
func (l *Local) Create(ctx context.Context, org OrgID, in NewConversation) (Conversation, error) {
	if err := in.validate(); err != nil {
		return Conversation{}, err
	}
	now := l.clock.Now()
	c := Conversation{ID: in.ID, OrgID: org, ExternalTag: in.ExternalTag, StartedAt: in.StartedAt}
	if c.ID == "" {
		id, err := l.newID()
		if err != nil {
			return Conversation{}, err
		}
		c.ID = id
	}
	if c.StartedAt.IsZero() {
		c.StartedAt = now
	}
	for _, np := range in.Participants {
		p := Participant{
			ID: ParticipantID(l.newUUID("conversationParticipant")), Purpose: np.Purpose, UserID: np.UserID, Name: np.Name, QueueID: np.QueueID, MediaRoles: slices.Clone(np.MediaRoles),
			Attributes: maps.Clone(np.Attributes), ConnectedAt: c.StartedAt,
		}
		if p.UserID != "" {
			u, err := l.store.User(ctx, org, p.UserID)
			if err != nil {
				return Conversation{}, fmt.Errorf("look up a participant's user: %w", err)
			}
			if p.Name == "" {
				p.Name = u.Name
			}
		}
		p.Communications = []Communication{{ID: l.newUUID("communication"), Medium: in.Medium, State: StateConnected, Direction: "inbound", ConnectedAt: c.StartedAt}}
		c.Participants = append(c.Participants, p)
	}
	if err := l.store.CreateConversation(ctx, c); err != nil {
		return Conversation{}, fmt.Errorf("create conversation: %w", err)
	}
	l.changed(ctx, org, c.ID)
	return c, nil
}

func (in NewConversation) validate() error {
	var details []cobridge.Detail
	bad := func(field, code string) {
		details = append(details, cobridge.Detail{FieldName: field, ErrorCode: code})
	}
	if !slices.Contains(Media(), in.Medium) {
		bad("mediaType", "unknown")
	}
	if len([]rune(in.ExternalTag)) > maxName {
		bad("externalTag", "too.long")
	}
	if n := len(in.Participants); n < 1 || n > maxParticipants {
		bad("participants", "size")
	}
	for i, p := range in.Participants {
		at := fmt.Sprintf("participants[%d].", i)
		if !slices.Contains(Purposes(), p.Purpose) {
			bad(at+"purpose", "unknown")
		}
		switch {
		case p.Purpose == PurposeAgent || p.Purpose == PurposeUser:
			if p.UserID == "" {
				bad(at+"userId", "required")
			}
		case p.UserID != "":
			bad(at+"userId", "not.allowed")
		}
		if len([]rune(p.Name)) > maxName {
			bad(at+"name", "too.long")
		}
		if len(p.QueueID) > maxQueueID {
			bad(at+"queueId", "too.long")
		}
		details = append(details, checkAttributes(at+"attributes", p.Attributes)...)
	}
	return invalid(details)
}

func checkAttributes(field string, attributes map[string]string) []cobridge.Detail {
	if len(attributes) > maxAttributes {
		return []cobridge.Detail{{FieldName: field, ErrorCode: "size"}}
	}
	var details []cobridge.Detail
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		switch {
		case key == "" || len([]rune(key)) > maxAttributeKey:
			details = append(details, cobridge.Detail{FieldName: field, ErrorCode: "key.size"})
		case len(attributes[key]) > maxAttributeValue:
			details = append(details, cobridge.Detail{FieldName: field + "." + key, ErrorCode: "too.long"})
		}
	}
	return details
}

func invalid(details []cobridge.Detail) error {
	if len(details) == 0 {
		return nil
	}
	return &cobridge.Error{Code: cobridge.CodeConstraintValidation, Message: "The conversation breaks one or more rules; see details.", Details: details}
}

// SetAttributes implements [Directory]. A nil map fails with CodeAttributeNull,
// a participant with more than 1000 attributes with CodeConstraintValidation.
func (l *Local) SetAttributes(ctx context.Context, org OrgID, id ID, participant ParticipantID, attributes map[string]string) error {
	if attributes == nil {
		return &cobridge.Error{
			Code: cobridge.CodeAttributeNull, Message: "The attributes must be an object of strings.",
			Details: []cobridge.Detail{{FieldName: "attributes", ErrorCode: "required"}},
		}
	}
	if err := invalid(checkAttributes("attributes", attributes)); err != nil {
		return err
	}
	_, err := l.store.UpdateConversation(ctx, org, id, func(c *Conversation) error {
		i := slices.IndexFunc(c.Participants, func(p Participant) bool { return p.ID == participant })
		if i < 0 {
			return &cobridge.Error{
				Code: cobridge.CodeParticipantNotFound, Message: "No participant of this conversation has this id.",
				Params: map[string]string{"participantId": string(participant)}, EntityID: string(participant), EntityName: "participant",
			}
		}
		merged := maps.Clone(c.Participants[i].Attributes)
		if merged == nil {
			merged = map[string]string{}
		}
		maps.Copy(merged, attributes)
		if len(merged) > 10*maxAttributes {
			return invalid([]cobridge.Detail{{FieldName: "attributes", ErrorCode: "size"}})
		}
		c.Participants[i].Attributes = merged
		return nil
	})
	if err != nil {
		return fmt.Errorf("set attributes: %w", err)
	}
	l.changed(ctx, org, id)
	return nil
}

// Disconnect implements [Directory]. The functions given to [Local.OnEnd] are
// called even if the conversation had ended before, so that a call repeated
// after a crash finishes what the first began.
func (l *Local) Disconnect(ctx context.Context, org OrgID, id ID) error {
	now, ended := l.clock.Now(), false
	if _, err := l.store.UpdateConversation(ctx, org, id, func(c *Conversation) error {
		ended = c.EndedAt.IsZero()
		c.end(now)
		return nil
	}); err != nil {
		return fmt.Errorf("disconnect conversation: %w", err)
	}
	l.mu.Lock()
	subscribers := slices.Clone(l.onEnd)
	l.mu.Unlock()
	for _, fn := range subscribers {
		fn(ctx, org, id)
	}
	if ended {
		l.changed(ctx, org, id)
	}
	return nil
}

// Seed stores organisations and users as given and creates the conversations
// that are not there yet; existing ones, ended ones too, stay as they are.
func (l *Local) Seed(ctx context.Context, o Organisation, users []User, started []NewConversation) error {
	if err := l.store.PutOrganisation(ctx, o); err != nil {
		return fmt.Errorf("seed organisation: %w", err)
	}
	for _, u := range users {
		u.OrgID = o.ID
		old, err := l.store.User(ctx, o.ID, u.ID)
		switch {
		case err == nil:
			u.Version = old.Version
			if u == old {
				continue
			}
			u.Version++
		case cobridge.CodeOf(err) == cobridge.CodeUserNotFound:
			u.Version = 1
		default:
			return fmt.Errorf("seed user: %w", err)
		}
		if err := l.store.PutUser(ctx, u); err != nil {
			return fmt.Errorf("seed user: %w", err)
		}
	}
	for _, c := range started {
		if _, err := l.Create(ctx, o.ID, c); err != nil && cobridge.CodeOf(err) != cobridge.CodeConflict {
			return fmt.Errorf("seed conversation: %w", err)
		}
	}
	return nil
}

// Purge deletes conversations that ended more than the given time ago, at most
// limit of them, and returns how many.
func (l *Local) Purge(ctx context.Context, retention time.Duration, limit int) (int, error) {
	return l.store.PurgeConversations(ctx, l.clock.Now().Add(-retention), limit)
}
