package mocks

import (
	"encoding/json"
	"maps"
	"net/url"
	"strings"

	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// callBody is a recorded call, without what lets its holder in.
type callBody struct {
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Query   map[string][]string `json:"query,omitempty"`
	Route   string              `json:"route,omitempty"`
	Nearest string              `json:"nearest,omitempty"` // route, where none matched
	Headers map[string][]string `json:"headers"`
	Body    any                 `json:"body,omitempty"`   // JSON, or the members of a form
	Status  int                 `json:"status,omitempty"` // absent: none came, or it is still under way
	Fault   string              `json:"fault,omitempty"`
	Error   string              `json:"error,omitempty"` // what the network is said to have done
}

func newCallBody(c Call) callBody {
	b := callBody{
		Method: c.Method, Path: withoutTokens(c.plainPath()), Query: plainValues(c.Query), Route: c.Route, Nearest: c.nearest,
		Headers: map[string][]string{}, Body: plainBody(c), Status: c.Status, Fault: c.Fault,
	}
	for name, values := range c.Header {
		if secretName(name) {
			values = []string{redacted}
		}
		b.Headers[name] = values
	}
	if c.Err != nil {
		b.Error = c.Err.Error()
	}
	return b
}

// withoutTokens masks what looks like a JWT, for paths of which no route says what
// their parts are.
func withoutTokens(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.Count(part, ".") >= 2 && strings.HasPrefix(part, "eyJ") {
			parts[i] = redacted
		}
	}
	return strings.Join(parts, "/")
}

func plainValues(values url.Values) map[string][]string {
	if len(values) == 0 {
		return nil
	}
	plain := map[string][]string{}
	for name, all := range values {
		if secretName(name) {
			all = []string{redacted}
		}
		plain[name] = all
	}
	return plain
}

// plainBody returns the body of a request, if it is JSON or a form.
func plainBody(c Call) any {
	if strings.HasPrefix(c.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(c.Body))
		if err != nil {
			return nil
		}
		return plainValues(form)
	}
	var v any
	if json.Unmarshal(c.Body, &v) != nil {
		return nil
	}
	return plainJSON(v)
}

// plainJSON masks members that hold secrets, in place.
func plainJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if _, text := member.(string); text && secretName(name) {
				v[name] = redacted
			} else {
				v[name] = plainJSON(member)
			}
		}
	case []any:
		for i := range v {
			v[i] = plainJSON(v[i])
		}
	}
	return v
}

// conversationBody is a look at a conversation.
type conversationBody struct {
	ConversationID string                    `json:"conversationId"`
	State          string                    `json:"state"` // active or ended
	DateStarted    moment                    `json:"dateStarted"`
	DateEnded      moment                    `json:"dateEnded,omitzero"`
	Participants   []conversationParticipant `json:"participants"`
}

type conversationParticipant struct {
	ID         string            `json:"id"`
	Purpose    string            `json:"purpose"`
	UserID     string            `json:"userId,omitempty"`
	Name       string            `json:"name,omitempty"`
	Attributes map[string]string `json:"attributes"`
}

func newConversationBody(c conversations.Conversation) conversationBody {
	b := conversationBody{ConversationID: string(c.ID), State: "active", DateStarted: moment(c.StartedAt), DateEnded: moment(c.EndedAt), Participants: []conversationParticipant{}}
	if !c.Active() {
		b.State = "ended"
	}
	for _, p := range c.Participants {
		one := conversationParticipant{ID: string(p.ID), Purpose: string(p.Purpose), UserID: string(p.UserID), Name: p.Name, Attributes: map[string]string{}}
		maps.Copy(one.Attributes, p.Attributes)
		b.Participants = append(b.Participants, one)
	}
	return b
}

// sessionBody is a look at a session.
type sessionBody struct {
	SessionID      string               `json:"sessionId"`
	ConversationID string               `json:"conversationId,omitempty"`
	State          string               `json:"state"` // idle, active or ended
	EndReason      string               `json:"endReason,omitempty"`
	SessionToken   string               `json:"sessionToken"` // nine digits
	DateCreated    moment               `json:"dateCreated"`
	DateActivated  moment               `json:"dateActivated,omitzero"`
	DateEnded      moment               `json:"dateEnded,omitzero"`
	Deadline       moment               `json:"deadline,omitzero"` // when it ends unless something happens before
	Participants   []sessionParticipant `json:"participants"`
	Events         []eventBody          `json:"events,omitempty"` // oldest first; where one session is asked for
}

type sessionParticipant struct {
	ID        string `json:"id"`
	UserID    string `json:"userId,omitempty"`
	Role      string `json:"role"`
	Name      string `json:"name,omitempty"`
	State     string `json:"state"` // invited, joined or left
	Connected bool   `json:"connected"`
	Removed   bool   `json:"removed,omitempty"`
}

type eventBody struct {
	Type          string `json:"type"`
	At            moment `json:"at"`
	ParticipantID string `json:"participantId,omitempty"`
	EndReason     string `json:"endReason,omitempty"`
}

func newSessionBody(s cobrowse.Session, events []cobrowse.Event) sessionBody {
	b := sessionBody{
		SessionID: string(s.ID), ConversationID: string(s.ConversationID), State: string(s.State()), EndReason: string(s.EndReason), SessionToken: string(s.Token),
		DateCreated: moment(s.CreatedAt), DateActivated: moment(s.ActivatedAt), DateEnded: moment(s.EndedAt), Participants: []sessionParticipant{},
	}
	if s.Live() {
		b.Deadline = moment(s.Deadline)
	}
	for _, p := range s.Participants {
		b.Participants = append(b.Participants, sessionParticipant{
			ID: string(p.ID), UserID: string(p.UserID), Role: string(p.Role), Name: p.Name, State: string(p.State), Connected: p.Connection.Open, Removed: p.Removed,
		})
	}
	for _, e := range events {
		b.Events = append(b.Events, eventBody{Type: string(e.Type), At: moment(e.At), ParticipantID: string(e.ParticipantID), EndReason: string(e.EndReason)})
	}
	return b
}
