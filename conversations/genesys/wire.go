package genesys

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cobridge/cobridge/conversations"
)

// uuidPattern is what all ids of the service look like; nothing else is put into a path.
var uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

const maxName = 256 // characters of a name that are kept

// moment is a date-time of the service. Year 1 stands for none: some of its parts
// send the zero of their language.
type moment time.Time

// UnmarshalJSON implements [json.Unmarshaler].
func (m *moment) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New("a date-time that is no string")
	}
	*m = moment{}
	if text == nil || *text == "" {
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(layout, *text); err == nil {
			if t.Year() > 1 {
				*m = moment(t.UTC().Truncate(time.Millisecond))
			}
			return nil
		}
	}
	return errors.New("a date-time that is none")
}

func (m moment) time() time.Time { return time.Time(m) }

// wireConversation is what is read of the official model Conversation.
type wireConversation struct {
	ID           string             `json:"id"`
	ExternalTag  string             `json:"externalTag"`
	StartTime    moment             `json:"startTime"`
	EndTime      moment             `json:"endTime"`
	Participants *[]wireParticipant `json:"participants"`
}

// wireParticipant is what is read of the official model Participant, and of the
// media-specific ones, which name the user otherwise.
type wireParticipant struct {
	ID            string         `json:"id"`
	Purpose       string         `json:"purpose"`
	UserID        string         `json:"userId"`
	User          wireRef        `json:"user"`
	Name          string         `json:"name"`
	QueueID       string         `json:"queueId"`
	MediaRoles    []string       `json:"mediaRoles"`
	Attributes    map[string]any `json:"attributes"`
	StartTime     moment         `json:"startTime"`
	ConnectedTime moment         `json:"connectedTime"`
	EndTime       moment         `json:"endTime"`

	Calls             []wireCommunication `json:"calls"`
	Callbacks         []wireCommunication `json:"callbacks"`
	Chats             []wireCommunication `json:"chats"`
	Emails            []wireCommunication `json:"emails"`
	Messages          []wireCommunication `json:"messages"`
	InternalMessages  []wireCommunication `json:"internalMessages"`
	SocialExpressions []wireCommunication `json:"socialExpressions"`
	Videos            []wireCommunication `json:"videos"`
}

type wireRef struct {
	ID string `json:"id"`
}

type wireCommunication struct {
	ID               string `json:"id"`
	State            string `json:"state"`
	Direction        string `json:"direction"`
	ConnectedTime    moment `json:"connectedTime"`
	DisconnectedTime moment `json:"disconnectedTime"`
}

// media returns the communications by medium. Cobrowse, shared screens, monitoring
// and evaluations are none by which people talk: they do not keep a conversation alive.
func (p wireParticipant) media() []struct {
	medium conversations.Medium
	list   []wireCommunication
} {
	return []struct {
		medium conversations.Medium
		list   []wireCommunication
	}{
		{conversations.MediumCall, p.Calls},
		{conversations.MediumCallback, p.Callbacks},
		{conversations.MediumChat, p.Chats},
		{conversations.MediumEmail, p.Emails},
		{conversations.MediumMessage, p.Messages},
		{"internalMessage", p.InternalMessages},
		{"socialExpression", p.SocialExpressions},
		{"video", p.Videos},
	}
}

func badAnswer(text string) error { return &Error{Reason: ReasonBadAnswer, Text: text} }

// decode reads JSON. What it fails with says nothing of what was sent.
func decode(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &Error{Reason: ReasonNotJSON}
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return badAnswer("a value of another type at " + e.Field)
	}
	return badAnswer("a value that cannot be read")
}

// parseConversation translates one conversation; it must be the one asked for, unless
// want is empty.
func parseConversation(body []byte, org conversations.OrgID, want conversations.ID) (conversations.Conversation, error) {
	var in wireConversation
	if err := decode(body, &in); err != nil {
		return conversations.Conversation{}, err
	}
	id := conversations.ID(strings.ToLower(in.ID))
	switch {
	case want != "" && id != want:
		return conversations.Conversation{}, &Error{Reason: ReasonOtherID}
	case !uuidPattern.MatchString(string(id)):
		return conversations.Conversation{}, badAnswer("a conversation without an id")
	case in.Participants == nil || len(*in.Participants) == 0:
		// Both are required in the official model. Nobody would be talking here, which
		// is too much to conclude from half an answer.
		return conversations.Conversation{}, badAnswer("a conversation without participants")
	}
	c := conversations.Conversation{ID: id, OrgID: org, ExternalTag: in.ExternalTag, StartedAt: in.StartTime.time(), EndedAt: in.EndTime.time()}
	communications := 0
	for _, p := range *in.Participants {
		participant := p.translate()
		communications += len(participant.Communications)
		c.Participants = append(c.Participants, participant)
	}
	if communications == 0 && c.EndedAt.IsZero() {
		return conversations.Conversation{}, badAnswer("a conversation without communications")
	}
	return c, nil
}

func (p wireParticipant) translate() conversations.Participant {
	userID := p.UserID
	if userID == "" {
		userID = p.User.ID
	}
	out := conversations.Participant{
		ID: conversations.ParticipantID(strings.ToLower(p.ID)), Purpose: conversations.Purpose(strings.ToLower(p.Purpose)),
		UserID: conversations.UserID(strings.ToLower(userID)), Name: cut(p.Name, maxName), QueueID: cut(strings.ToLower(p.QueueID), maxName), MediaRoles: lower(p.MediaRoles),
		ConnectedAt: p.ConnectedTime.time(), EndedAt: p.EndTime.time(),
	}
	if out.ConnectedAt.IsZero() {
		out.ConnectedAt = p.StartTime.time()
	}
	for key, value := range p.Attributes {
		if text, ok := value.(string); ok { // the official model has nothing else
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[key] = text
		}
	}
	for _, of := range p.media() {
		for _, com := range of.list {
			state := conversations.CommunicationState(strings.ToLower(com.State))
			if state == "" && !com.DisconnectedTime.time().IsZero() {
				state = conversations.StateDisconnected
			}
			out.Communications = append(out.Communications, conversations.Communication{
				ID: com.ID, Medium: of.medium, State: state, Direction: strings.ToLower(com.Direction),
				ConnectedAt: com.ConnectedTime.time(), DisconnectedAt: com.DisconnectedTime.time(),
			})
		}
	}
	return out
}

// wireUser is what is read of the official model User.
type wireUser struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Email         string `json:"email"`
	Title         string `json:"title"`
	State         string `json:"state"`
	Version       int    `json:"version"`
	Authorization *struct {
		Permissions []string `json:"permissions"`
	} `json:"authorization"`
}

// The permissions that are the cobrowse capability.
const (
	permissionVoice   = "conversation:cobrowseVoice:add"
	permissionDigital = "conversation:cobrowse:add"
)

// parseUser translates one user; it must be the one asked for, unless want is empty.
// A user's permissions are there when they were asked for.
func parseUser(body []byte, org conversations.OrgID, want conversations.UserID) (conversations.User, error) {
	var in wireUser
	if err := decode(body, &in); err != nil {
		return conversations.User{}, err
	}
	id := conversations.UserID(strings.ToLower(in.ID))
	switch {
	case want != "" && id != want:
		return conversations.User{}, &Error{Reason: ReasonOtherID}
	case !uuidPattern.MatchString(string(id)):
		return conversations.User{}, badAnswer("a user without an id")
	}
	u := conversations.User{
		ID: id, OrgID: org, Name: cut(in.Name, maxName), Email: in.Email, Title: in.Title, State: conversations.UserState(strings.ToLower(in.State)),
		Version: max(1, in.Version),
	}
	if u.State == "" {
		u.State = conversations.UserActive
	}
	if want == "" {
		return u, nil
	}
	if in.Authorization == nil {
		if u.State == conversations.UserDeleted {
			return u, nil // who has none any more
		}
		return conversations.User{}, &Error{Reason: ReasonMissingPermission, Text: "the answer about a user has no authorization, in which the permissions stand"}
	}
	u.Cobrowse = conversations.Capability{
		Voice:   granted(in.Authorization.Permissions, permissionVoice),
		Digital: granted(in.Authorization.Permissions, permissionDigital),
	}
	return u, nil
}

// granted reports whether one of the permissions is the given one or, with a star in
// place of one of its parts or of all that follow, covers it.
func granted(permissions []string, wanted string) bool {
	parts := strings.Split(wanted, ":")
	return slices.ContainsFunc(permissions, func(permission string) bool {
		have := strings.Split(permission, ":")
		for i, part := range parts {
			switch {
			case i >= len(have):
				return have[len(have)-1] == "*"
			case have[i] != "*" && !strings.EqualFold(have[i], part):
				return false
			}
		}
		return len(have) == len(parts)
	})
}

// wirePage is a listing, of either paging style. Its cursors are not followed: pages
// are asked for by number.
type wirePage struct {
	Entities *[]json.RawMessage `json:"entities"`
	Total    *int               `json:"total"`
}

func parsePage(body []byte) (wirePage, error) {
	var page wirePage
	if err := decode(body, &page); err != nil {
		return wirePage{}, err
	}
	if page.Entities == nil {
		return wirePage{}, badAnswer("a listing without entities")
	}
	return page, nil
}

func cut(s string, characters int) string {
	if runes := []rune(s); len(runes) > characters {
		return string(runes[:characters])
	}
	return s
}

func lower(list []string) []string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = strings.ToLower(out[i])
	}
	return out
}
