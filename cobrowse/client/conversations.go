package client

import (
	"context"
	"net/http"
	"time"
)

// Conversation is one interaction with a customer.
type Conversation struct {
	ID           string                    `json:"id"`
	ExternalTag  string                    `json:"externalTag,omitempty"`
	State        string                    `json:"state"` // active or disconnected
	StartTime    time.Time                 `json:"startTime"`
	EndTime      time.Time                 `json:"endTime,omitzero"` // zero while it lasts
	Participants []ConversationParticipant `json:"participants"`     // those who are connected first
	SelfURI      string                    `json:"selfUri"`
}

// ConversationParticipant is somebody or something in a conversation.
type ConversationParticipant struct {
	ID            string            `json:"id"`
	Purpose       string            `json:"purpose"`          // agent, user, customer, external, acd or ivr
	Role          string            `json:"role"`             // the same; supervisor for a user who monitors or coaches
	UserID        string            `json:"userId,omitempty"` // of agents and users
	UserURI       string            `json:"userUri,omitempty"`
	Name          string            `json:"name,omitempty"`
	MediaRoles    []string          `json:"mediaRoles,omitempty"`
	StartTime     time.Time         `json:"startTime,omitzero"`
	ConnectedTime time.Time         `json:"connectedTime,omitzero"`
	EndTime       time.Time         `json:"endTime,omitzero"` // zero while connected
	Attributes    map[string]string `json:"attributes"`
	Calls         []Communication   `json:"calls,omitempty"`
	Callbacks     []Communication   `json:"callbacks,omitempty"`
	Chats         []Communication   `json:"chats,omitempty"`
	Emails        []Communication   `json:"emails,omitempty"`
	Messages      []Communication   `json:"messages,omitempty"`
}

// Communication is a participant's part in one medium.
type Communication struct {
	ID               string    `json:"id"`
	State            string    `json:"state"`
	Type             string    `json:"type,omitempty"` // of a message
	Direction        string    `json:"direction"`      // inbound or outbound
	ConnectedTime    time.Time `json:"connectedTime,omitzero"`
	DisconnectedTime time.Time `json:"disconnectedTime,omitzero"`
}

// ConversationQuery selects conversations, newest start first.
type ConversationQuery struct {
	State     string // active, disconnected or any; "" = active
	MediaType string // call, callback, chat, email or message; "" = all
	Paging
}

// Conversations returns one page. Scope conversations:read.
func (c *Client) Conversations(ctx context.Context, q ConversationQuery) (Page[Conversation], error) {
	return list[Conversation](ctx, c, "/api/v2/conversations", q.into(values("state", q.State, "communicationType", q.MediaType)))
}

// Conversation returns one conversation; 404 if there is none. Scope conversations:read.
func (c *Client) Conversation(ctx context.Context, id string) (Conversation, error) {
	var conversation Conversation
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v2/conversations/" + segment(id), into: &conversation})
	return conversation, err
}

// NewConversation describes a conversation to be started.
type NewConversation struct {
	MediaType    string                       `json:"mediaType"` // call, callback, chat, email or message
	ExternalTag  string                       `json:"externalTag,omitempty"`
	Participants []NewConversationParticipant `json:"participants"` // 1..50
}

// NewConversationParticipant describes a participant of a conversation to be started.
type NewConversationParticipant struct {
	Purpose    string            `json:"purpose"`          // agent, user, customer, external, acd or ivr
	UserID     string            `json:"userId,omitempty"` // required for agent and user, refused for others
	Name       string            `json:"name,omitempty"`   // "" = the user's
	Attributes map[string]string `json:"attributes,omitempty"`
}

// CreateConversation starts a conversation in an installation that keeps its own
// directory; elsewhere it is refused with 403. Scope conversations:write.
func (c *Client) CreateConversation(ctx context.Context, in NewConversation) (Conversation, error) {
	var conversation Conversation
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/api/v2/conversations", body: in, into: &conversation})
	return conversation, err
}

// DisconnectConversation ends a conversation, and with it its session. Scope
// conversations:write.
func (c *Client) DisconnectConversation(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/api/v2/conversations/" + segment(id) + "/disconnect"})
	return err
}

// SetAttributes sets the given attributes of a participant; others stay. Scope
// conversations:write.
func (c *Client) SetAttributes(ctx context.Context, conversationID, participantID string, attributes map[string]string) error {
	body := map[string]any{"attributes": attributes}
	path := "/api/v2/conversations/" + segment(conversationID) + "/participants/" + segment(participantID) + "/attributes"
	_, err := c.do(ctx, call{method: http.MethodPatch, path: path, body: body})
	return err
}
