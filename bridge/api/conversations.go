package api

import (
	"context"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/conversations"
)

const conversationsPath = "/api/v2/conversations"

// conversationBody is the official model Conversation with what the tutorial's
// clients read beside: state, and role in each participant.
type conversationBody struct {
	ID           conversations.ID     `json:"id"`
	ExternalTag  string               `json:"externalTag,omitempty"`
	State        string               `json:"state"` // active or disconnected
	StartTime    web.Time             `json:"startTime"`
	EndTime      web.Time             `json:"endTime,omitzero"`
	Participants []conversationMember `json:"participants"`
	SelfURI      string               `json:"selfUri"`
}

// conversationMember is the official model Participant.
type conversationMember struct {
	ID               conversations.ParticipantID `json:"id"`
	Purpose          conversations.Purpose       `json:"purpose"`
	Role             string                      `json:"role"`
	UserID           conversations.UserID        `json:"userId,omitempty"`
	UserURI          string                      `json:"userUri,omitempty"`
	Name             string                      `json:"name,omitempty"`
	QueueID          string                      `json:"queueId,omitempty"`
	MediaRoles       []string                    `json:"mediaRoles,omitempty"`
	StartTime        web.Time                    `json:"startTime,omitzero"`
	ConnectedTime    web.Time                    `json:"connectedTime,omitzero"`
	EndTime          web.Time                    `json:"endTime,omitzero"`
	Attributes       map[string]string           `json:"attributes"`
	Calls            []communicationBody         `json:"calls,omitempty"`
	Callbacks        []communicationBody         `json:"callbacks,omitempty"`
	Chats            []communicationBody         `json:"chats,omitempty"`
	Emails           []communicationBody         `json:"emails,omitempty"`
	Messages         []communicationBody         `json:"messages,omitempty"`
	CobrowseSessions []cobrowseCommunication     `json:"cobrowsesessions"` // all lower case in the official model; never null
}

type communicationBody struct {
	ID               string                           `json:"id"`
	State            conversations.CommunicationState `json:"state"`
	Type             string                           `json:"type,omitempty"` // of a message
	Direction        string                           `json:"direction"`
	ConnectedTime    web.Time                         `json:"connectedTime,omitzero"`
	DisconnectedTime web.Time                         `json:"disconnectedTime,omitzero"`
}

func newConversationBody(c conversations.Conversation) conversationBody {
	body := conversationBody{
		ID: c.ID, ExternalTag: c.ExternalTag, State: "disconnected", StartTime: web.Time(c.StartedAt), EndTime: web.Time(c.EndedAt),
		Participants: make([]conversationMember, 0, len(c.Participants)), SelfURI: conversationsPath + "/" + string(c.ID),
	}
	if c.Active() {
		body.State = "active"
	}
	for _, p := range c.Participants {
		body.Participants = append(body.Participants, newConversationMember(p))
	}
	// Clients of the tutorial take the first agent they find.
	slices.SortStableFunc(body.Participants, func(a, b conversationMember) int {
		switch aGone, bGone := !a.EndTime.IsZero(), !b.EndTime.IsZero(); {
		case aGone == bGone:
			return 0
		case bGone:
			return -1
		default:
			return 1
		}
	})
	return body
}

func newConversationMember(p conversations.Participant) conversationMember {
	m := conversationMember{
		ID: p.ID, Purpose: p.Purpose, Role: p.Role(), UserID: p.UserID, Name: p.Name, QueueID: p.QueueID, MediaRoles: p.MediaRoles,
		StartTime: web.Time(p.ConnectedAt), ConnectedTime: web.Time(p.ConnectedAt), EndTime: web.Time(p.EndedAt),
		Attributes: p.Attributes, CobrowseSessions: []cobrowseCommunication{},
	}
	if m.Attributes == nil {
		m.Attributes = map[string]string{}
	}
	if p.UserID != "" {
		m.UserURI = usersPath + "/" + string(p.UserID)
	}
	for _, com := range p.Communications {
		body := communicationBody{
			ID: com.ID, State: com.State, Direction: com.Direction,
			ConnectedTime: web.Time(com.ConnectedAt), DisconnectedTime: web.Time(com.DisconnectedAt),
		}
		switch com.Medium {
		case conversations.MediumCall:
			m.Calls = append(m.Calls, body)
		case conversations.MediumCallback:
			m.Callbacks = append(m.Callbacks, body)
		case conversations.MediumChat:
			m.Chats = append(m.Chats, body)
		case conversations.MediumEmail:
			m.Emails = append(m.Emails, body)
		case conversations.MediumMessage:
			body.Type = "webmessaging" // the one kind of message that cobrowse exists for
			m.Messages = append(m.Messages, body)
		}
	}
	return m
}

// listConversations answers GET /api/v2/conversations, for the tutorial's
// parameters and the official one.
func (a *api) listConversations(c *fiber.Ctx) error {
	page, err := web.Paging(c, web.PageRule{Limit: true})
	if err != nil {
		return err
	}
	yes, no := true, false
	active, err := choose(c, "state", []choice[*bool]{{"active", &yes}, {"disconnected", &no}, {"any", nil}})
	if err != nil {
		return err
	}
	media := []choice[conversations.Medium]{{}}
	for _, m := range conversations.Media() {
		media = append(media, choice[conversations.Medium]{string(m), m})
	}
	medium, err := choose(c, "communicationType", media)
	if err != nil {
		return err
	}
	found, total, err := a.Directory.Conversations(c.UserContext(), orgOf(c), conversations.Query{
		Active: active, Medium: medium, Offset: page.Offset(), Limit: page.Size,
	})
	if err != nil {
		return err
	}
	bodies := make([]conversationBody, len(found))
	for i, conversation := range found {
		if bodies[i], err = a.conversationWithCobrowse(c.UserContext(), conversation); err != nil {
			return err
		}
	}
	return c.JSON(web.NewPage(c, page, bodies, total))
}

type createConversationRequest struct {
	MediaType    conversations.Medium `json:"mediaType"`
	ExternalTag  string               `json:"externalTag"`
	Participants []struct {
		Purpose    conversations.Purpose `json:"purpose"`
		UserID     conversations.UserID  `json:"userId"`
		Name       string                `json:"name"`
		QueueID    string                `json:"queueId"`
		Attributes map[string]string     `json:"attributes"`
	} `json:"participants"`
}

// createConversation answers POST /api/v2/conversations.
func (a *api) createConversation(c *fiber.Ctx) error {
	var in createConversationRequest
	if err := a.decode(c, schemaConversation, &in); err != nil {
		return err
	}
	started := conversations.NewConversation{Medium: in.MediaType, ExternalTag: in.ExternalTag}
	for _, p := range in.Participants {
		started.Participants = append(started.Participants, conversations.NewParticipant{
			Purpose: p.Purpose, UserID: p.UserID, Name: p.Name, QueueID: p.QueueID, Attributes: p.Attributes,
		})
	}
	conversation, err := a.Conversations.Create(c.UserContext(), orgOf(c), started)
	if err != nil {
		return err
	}
	body := newConversationBody(conversation)
	c.Set(fiber.HeaderLocation, body.SelfURI)
	return c.Status(fiber.StatusCreated).JSON(body)
}

// getConversation answers GET /api/v2/conversations/{conversationId}.
func (a *api) getConversation(c *fiber.Ctx) error {
	conversation, err := a.Directory.Conversation(c.UserContext(), orgOf(c), conversations.ID(web.PathParam(c, "conversationId")))
	if err != nil {
		return err
	}
	body, err := a.conversationWithCobrowse(c.UserContext(), conversation)
	if err != nil {
		return err
	}
	return c.JSON(body)
}

// conversationWithCobrowse is newConversationBody with the cobrowse sessions that
// the conversation has, or had lately.
func (a *api) conversationWithCobrowse(ctx context.Context, c conversations.Conversation) (conversationBody, error) {
	body := newConversationBody(c)
	found, err := a.cobrowseOn(ctx, c.OrgID, c.ID, maxShown)
	for _, s := range found {
		a.addCobrowse(&body, c, s)
	}
	return body, err
}

// disconnectConversation answers POST /api/v2/conversations/{conversationId}/disconnect:
// 202 with a JSON string, as the official service does.
func (a *api) disconnectConversation(c *fiber.Ctx) error {
	if err := a.Directory.Disconnect(c.UserContext(), orgOf(c), conversations.ID(web.PathParam(c, "conversationId"))); err != nil {
		return err
	}
	return c.Status(fiber.StatusAccepted).JSON("disconnected")
}

// setAttributes answers PATCH …/participants/{participantId}/attributes: 202 without a body.
func (a *api) setAttributes(c *fiber.Ctx) error {
	var in struct {
		Attributes map[string]string `json:"attributes"`
	}
	if err := a.decode(c, schemaAttributes, &in); err != nil {
		return err
	}
	err := a.Directory.SetAttributes(c.UserContext(), orgOf(c), conversations.ID(web.PathParam(c, "conversationId")),
		conversations.ParticipantID(web.PathParam(c, "participantId")), in.Attributes)
	if err != nil {
		return err
	}
	return c.Status(fiber.StatusAccepted).Send(nil)
}
