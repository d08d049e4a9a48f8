package client

import (
	"context"
	"crypto/rand"
	"iter"
	"net/http"
	"time"
)

const (
	idempotencyKey = "Idempotency-Key"
	sessionsPath   = "/api/v2/cobrowse/sessions"
)

// Session is one cobrowse attempt on one conversation.
type Session struct {
	ID             string        `json:"id"`
	SessionID      string        `json:"sessionId"`                // the same
	SessionToken   string        `json:"sessionToken"`             // nine digits, to be read out
	ConversationID string        `json:"conversationId,omitempty"` // empty until a session that a customer started is attached
	DeploymentID   string        `json:"deploymentId,omitempty"`   // the web site that is shared; empty = none, everything is private
	State          string        `json:"state"`                    // idle, active or ended
	Participants   []Participant `json:"participants"`
	Settings       Settings      `json:"settings"`
	DateCreated    time.Time     `json:"dateCreated"`
	DateActivated  time.Time     `json:"dateActivated,omitzero"`     // zero before
	DateEnded      time.Time     `json:"dateEnded,omitzero"`         // zero while it lives
	EndReason      string        `json:"endReason,omitempty"`        // with DateEnded
	InactiveAt     time.Time     `json:"inactivityTimeout,omitzero"` // when it ends unless something happens before; while it lives
	CreatedBy      *CreatedBy    `json:"createdBy,omitempty"`        // in the answer to create alone
	SelfURI        string        `json:"selfUri"`
}

// CreatedBy names the OAuth client that created a session.
type CreatedBy struct {
	ID string `json:"id"`
}

// Participant is somebody who was invited into a session.
type Participant struct {
	ID           string    `json:"id"`               // the user id where there is one
	UserID       string    `json:"userId,omitempty"` // empty for a customer
	Role         string    `json:"role"`             // agent, customer, supervisor, or controller for a connection of the old world
	CobrowseRole string    `json:"cobrowseRole"`     // sharer, viewer or controller
	Name         string    `json:"name,omitempty"`
	State        string    `json:"state"`                  // invited, joined or left
	AllowControl bool      `json:"allowControl,omitempty"` // a supervisor who may ask for control
	DateJoined   time.Time `json:"dateJoined,omitzero"`
	DateLeft     time.Time `json:"dateLeft,omitzero"`
	JoinURL      string    `json:"joinUrl,omitempty"` // lets its holder in; in the answer to create, attach and add alone
}

// Settings are what the creator of a session chooses.
type Settings struct {
	AllowRemoteControl bool `json:"allowRemoteControl"` // a viewer may ask to control the shared page
	TimeoutInMinutes   int  `json:"timeoutInMinutes"`   // of inactivity; 1..480
}

// Invite names somebody who shall take part.
type Invite struct {
	UserID string `json:"userId,omitempty"` // required unless the role is customer
	Role   string `json:"role,omitempty"`   // agent, customer or supervisor; "" = derived from the conversation
	Name   string `json:"name,omitempty"`   // "" = the user's

	AllowControl bool `json:"allowControl,omitempty"` // a supervisor may ask for control, as agents may
}

// NewSettings are the settings of a session to be created, or to be changed; nil
// leaves a thing to the service, or as it is.
type NewSettings struct {
	AllowRemoteControl *bool `json:"allowRemoteControl,omitempty"`
	TimeoutInMinutes   *int  `json:"timeoutInMinutes,omitempty"` // 1..480
}

// NewSession describes a session to be created.
type NewSession struct {
	ConversationID string       `json:"conversationId"`
	DeploymentID   string       `json:"deploymentId,omitempty"` // the web site that will be shared; "" = the default for who shares
	Participants   []Invite     `json:"participants"`
	Settings       *NewSettings `json:"settings,omitempty"`

	// IdempotencyKey lets the service know a repeat, for 24 hours: 1..255 printable
	// ASCII characters. "" = a new one for each call, under which the call itself
	// is repeated when an answer is lost.
	IdempotencyKey string `json:"-"`
}

// CreateSession creates a session; each participant of the answer has a JoinURL.
// 404 without such a conversation or user, 403 for a user without the capability.
// If the conversation has a live session it is 409, and [Error].SessionID names it;
// [Client.EnsureSession] goes on with that one. Scope cobrowse:session:write.
func (c *Client) CreateSession(ctx context.Context, in NewSession) (Session, error) {
	key := in.IdempotencyKey
	if key == "" {
		key = rand.Text()
	}
	var session Session
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: sessionsPath, body: in, into: &session, header: map[string]string{idempotencyKey: key}, again: true,
	})
	return session, err
}

// Session returns one session, ended or not; 404 if there is none. Scope
// cobrowse:session:read.
func (c *Client) Session(ctx context.Context, id string) (Session, error) {
	var session Session
	_, err := c.do(ctx, call{method: http.MethodGet, path: sessionsPath + "/" + segment(id), into: &session})
	return session, err
}

// SessionQuery selects sessions, live ones first, newest first.
type SessionQuery struct {
	ConversationID string // "" = all
	State          string // live, idle, active, ended or any; "" = live
	Paging
}

// Sessions returns one page. Scope cobrowse:session:read.
func (c *Client) Sessions(ctx context.Context, q SessionQuery) (Page[Session], error) {
	return list[Session](ctx, c, sessionsPath, q.into(values("conversationId", q.ConversationID, "state", q.State)))
}

// AllSessions goes through all pages from the given one on. A failure is the last
// thing that it yields.
func (c *Client) AllSessions(ctx context.Context, q SessionQuery) iter.Seq2[Session, error] {
	return all(q.Paging, func(at Paging) (Page[Session], error) {
		q.Paging = at
		return c.Sessions(ctx, q)
	})
}

// UpdateSession changes settings of a live session; 409 if it has ended. Scope
// cobrowse:session:write.
func (c *Client) UpdateSession(ctx context.Context, id string, settings NewSettings) (Session, error) {
	var session Session
	body := map[string]any{"settings": settings}
	_, err := c.do(ctx, call{method: http.MethodPatch, path: sessionsPath + "/" + segment(id), body: body, into: &session})
	return session, err
}

// EndSession ends a session. Ending an ended one succeeds. Scope cobrowse:session:write.
func (c *Client) EndSession(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: sessionsPath + "/" + segment(id)})
	return err
}

// AddParticipant invites one more participant; the answer has a JoinURL. Scope
// cobrowse:session:write.
func (c *Client) AddParticipant(ctx context.Context, sessionID string, in Invite) (Participant, error) {
	var p Participant
	_, err := c.do(ctx, call{method: http.MethodPost, path: sessionsPath + "/" + segment(sessionID) + "/participants", body: in, into: &p})
	return p, err
}

// RemoveParticipant takes a participant out; removing the sharer ends the
// session. Scope cobrowse:session:write.
func (c *Client) RemoveParticipant(ctx context.Context, sessionID, participantID string) error {
	path := sessionsPath + "/" + segment(sessionID) + "/participants/" + segment(participantID)
	_, err := c.do(ctx, call{method: http.MethodDelete, path: path})
	return err
}

// Attachment ties a session that a customer started to a conversation.
type Attachment struct {
	SessionToken   string `json:"sessionToken"` // the nine digits that the customer reads out; blanks and hyphens do not matter
	ConversationID string `json:"conversationId"`
	Participant    Invite `json:"participant"` // the agent
}

// Attach ties a session that a customer started to a conversation and invites the
// agent, whose participant in the answer has a JoinURL. 409 as with
// [Client.CreateSession]. Scope cobrowse:session:write.
func (c *Client) Attach(ctx context.Context, in Attachment) (Session, error) {
	var session Session
	_, err := c.do(ctx, call{method: http.MethodPost, path: sessionsPath + "/attach", body: in, into: &session})
	return session, err
}
