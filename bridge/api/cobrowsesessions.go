package api

import (
	"cmp"
	"context"
	"sync"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// The official cobrowse calls, which name sessions by their conversation. Where a
// participant is meant, they take its id in the conversation, or in the session.

const cobrowsePath = conversationsPath + "/cobrowsesessions"

// routeOffer names the route to which an Idempotency-Key of an offer belongs.
const routeOffer = "POST " + conversationsPath + "/{conversationId}/cobrowse"

// maxShown is how many sessions of one conversation are told with it.
const maxShown = 25

// createCobrowse answers POST /api/v2/conversations/{conversationId}/cobrowse,
// which has no body. The deployment is named by a query parameter of ours.
func (a *api) createCobrowse(c *fiber.Ctx) error {
	ctx, p, id := c.UserContext(), principal(c), conversationParam(c)
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	started, err := a.Sessions.Offer(ctx, cobrowse.OfferRequest{
		OrgID: conversations.OrgID(p.OrgID), ClientID: p.ClientID, ConversationID: id, DeploymentID: cobrowse.DeploymentID(c.Query("deploymentId")),
		IdempotencyKey: key, Route: routeOffer,
	})
	if failure, ok := asFailure(err); ok && failure.Code == cobridge.CodeConstraintValidation {
		return badQuery("deploymentId", "must name a deployment of the organisation")
	} else if err != nil {
		return namingSession(err, id)
	}
	conversation, err := a.conversationOf(ctx, started.Session)
	if err != nil {
		return err
	}
	replayed(c, started)
	return c.JSON(a.newOfferBody(started.Session, conversation, cobrowsePath+"/"+string(id)))
}

// listCobrowse answers GET /api/v2/conversations/cobrowsesessions: officially those
// of the caller's user; an application sees those of its organisation.
func (a *api) listCobrowse(c *fiber.Ctx) error {
	page, err := web.Paging(c, web.PageRule{})
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	found, total, err := a.Sessions.List(ctx, cobrowse.ListRequest{
		OrgID: orgOf(c), States: []cobrowse.State{cobrowse.StateIdle, cobrowse.StateActive}, Attached: true, Offset: page.Offset(), Limit: page.Size,
	})
	if err != nil {
		return err
	}
	bodies := make([]cobrowseConversation, len(found))
	if err := sideBySide(len(found), func(i int) error {
		conversation, err := a.conversationOf(ctx, found[i])
		bodies[i] = a.newCobrowseConversation(conversation, found[i])
		return err
	}); err != nil {
		return err
	}
	return c.JSON(web.NewPage(c, page, bodies, total))
}

// lookups is how many conversations are asked for at once: they may be far away.
const lookups = 8

// sideBySide calls fn for 0 to n-1, some at a time, and waits for all.
func sideBySide(n int, fn func(i int) error) error {
	var wg sync.WaitGroup
	failures := make([]error, n)
	next := make(chan int)
	for range min(n, lookups) {
		wg.Go(func() {
			for i := range next {
				failures[i] = fn(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range failures {
		if err != nil {
			return err // one is enough to tell
		}
	}
	return nil
}

// getCobrowse answers GET /api/v2/conversations/cobrowsesessions/{conversationId}.
// Who may change conversations gets each viewer's way in: officially there is no
// other call that would tell it.
func (a *api) getCobrowse(c *fiber.Ctx) error {
	s, conversation, err := a.cobrowseOf(c)
	if err != nil {
		return err
	}
	body := a.newCobrowseConversation(conversation, s)
	if s.Live() && principal(c).Require(oauth.ScopeConversations) == nil {
		for i, one := range a.sidesOf(conversation, s) {
			if one.participant.ID == s.Sharer() {
				continue
			}
			token, err := a.Sessions.Watch(s, one.participant.ID)
			if err != nil {
				return err
			}
			body.Participants[i].ViewerURL = a.joinURL(token)
		}
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(body)
}

// patchCobrowse answers PATCH …/{conversationId} with the conversation. It ends the
// session for everybody; another state changes nothing.
func (a *api) patchCobrowse(c *fiber.Ctx) error {
	var in struct {
		State string `json:"state"`
	}
	if err := a.decode(c, schemaCobrowse, &in); err != nil {
		return err
	}
	s, conversation, err := a.cobrowseOf(c)
	if err != nil {
		return err
	}
	if in.State == stateDisconnected {
		if _, err := a.Sessions.End(c.UserContext(), s.OrgID, s.ID, cobrowse.EndRequested); err != nil {
			return err
		}
	}
	body, err := a.conversationWithCobrowse(c.UserContext(), conversation)
	if err != nil {
		return err
	}
	return c.JSON(body)
}

// patchCobrowseParticipant answers PATCH …/participants/{participantId}: 202
// without a body.
func (a *api) patchCobrowseParticipant(c *fiber.Ctx) error {
	var in struct {
		State string `json:"state"`
	}
	if err := a.decode(c, schemaMediaParticipant, &in); err != nil {
		return err
	}
	s, one, err := a.cobrowseSide(c)
	if err != nil {
		return err
	}
	if in.State == stateDisconnected {
		if err := a.hangUp(c.UserContext(), s, one.participant); err != nil {
			return err
		}
	}
	return c.Status(fiber.StatusAccepted).Send(nil)
}

// hangUp disconnects one participant. Without the sharer or the agent there is no
// cobrowsing, so that ends the session; who only supervise are taken out.
func (a *api) hangUp(ctx context.Context, s cobrowse.Session, p cobrowse.Participant) error {
	if !s.Live() {
		return nil
	}
	if p.ID != s.Sharer() && p.Role != cobrowse.RoleAgent {
		_, err := a.Sessions.RemoveParticipant(ctx, s.OrgID, s.ID, p.ID)
		return err
	}
	_, err := a.Sessions.End(ctx, s.OrgID, s.ID, cobrowse.EndRequested)
	return err
}

// patchCobrowseAttributes answers PATCH …/attributes: 202 with what the participant
// has then.
func (a *api) patchCobrowseAttributes(c *fiber.Ctx) error {
	var in struct {
		Attributes map[string]string `json:"attributes"`
	}
	if err := a.decode(c, schemaAttributes, &in); err != nil {
		return err
	}
	s, one, err := a.cobrowseSide(c)
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	if err := a.Directory.SetAttributes(ctx, s.OrgID, s.ConversationID, one.id, in.Attributes); err != nil {
		return err
	}
	conversation, err := a.Directory.Conversation(ctx, s.OrgID, s.ConversationID)
	if err != nil {
		return err
	}
	p, _ := conversation.Participant(one.id)
	if p.Attributes == nil {
		p.Attributes = map[string]string{}
	}
	return c.Status(fiber.StatusAccepted).JSON(fiber.Map{"attributes": p.Attributes})
}

// patchCobrowseCommunication answers PATCH …/communications/{communicationId}.
func (a *api) patchCobrowseCommunication(c *fiber.Ctx) error {
	var in struct {
		State string `json:"state"`
	}
	if err := a.decode(c, schemaCommunication, &in); err != nil {
		return err
	}
	if in.State != stateDisconnected {
		return &cobridge.Error{
			Code: cobridge.CodeStateRequired, Message: "The state of a communication can only be changed to disconnected.",
			Details: []cobridge.Detail{{ErrorCode: string(cobridge.CodeStateRequired), FieldName: "state"}},
		}
	}
	s, one, err := a.cobrowseSide(c)
	if err != nil {
		return err
	}
	if id := web.PathParam(c, "communicationId"); id != one.communicationID {
		return &cobridge.Error{
			Code: cobridge.CodeNotFound, Message: "The participant has no communication with this id.",
			Params: map[string]string{"communicationId": id}, EntityID: id, EntityName: "communication",
		}
	}
	if err := a.hangUp(c.UserContext(), s, one.participant); err != nil {
		return err
	}
	return c.JSON(struct{}{})
}

// replaceCobrowseParticipant answers POST …/replace: another user looks in the
// place of a viewer. There are no queues and no addresses here to transfer to.
func (a *api) replaceCobrowseParticipant(c *fiber.Ctx) error {
	var in struct {
		UserID  conversations.UserID `json:"userId"`
		QueueID string               `json:"queueId"`
	}
	if err := a.decode(c, schemaTransfer, &in); err != nil {
		return err
	}
	if in.QueueID != "" {
		return &cobridge.Error{
			Code: cobridge.CodeQueueNotFound, Message: "There is no queue with this id; a session is handed over to a user.",
			Params: map[string]string{"queueId": in.QueueID}, Details: []cobridge.Detail{{ErrorCode: string(cobridge.CodeQueueNotFound), FieldName: "queueId"}},
		}
	}
	s, one, err := a.cobrowseSide(c)
	if err != nil {
		return err
	}
	if _, err := a.Sessions.Replace(c.UserContext(), s.OrgID, s.ID, one.participant.ID, in.UserID); err != nil {
		return err
	}
	return c.Status(fiber.StatusAccepted).Send(nil)
}

// getCobrowseWrapup answers GET …/wrapup: nobody wraps a cobrowse session up here.
func (a *api) getCobrowseWrapup(c *fiber.Ctx) error {
	if _, _, err := a.cobrowseSide(c); err != nil {
		return err
	}
	return c.JSON(struct{}{})
}

// getCobrowseWrapupCodes answers GET …/wrapupcodes: there are none.
func (a *api) getCobrowseWrapupCodes(c *fiber.Ctx) error {
	if _, _, err := a.cobrowseSide(c); err != nil {
		return err
	}
	return c.JSON([]struct{}{})
}

// putCobrowseRecording answers PUT …/recordingstate: pictures of pages are not
// recorded here, so NONE is the only state that the schema lets through.
func (a *api) putCobrowseRecording(c *fiber.Ctx) error {
	var in struct {
		RecordingState string `json:"recordingState"` // the SDKs' word
		State          string `json:"state"`
	}
	if err := a.decode(c, schemaRecording, &in); err != nil {
		return err
	}
	state := cmp.Or(in.RecordingState, in.State)
	if state == "" {
		return &cobridge.Error{
			Code: cobridge.CodeConstraintValidation, Message: "The request says no state of recording.",
			Details: []cobridge.Detail{{ErrorCode: "required", FieldName: "recordingState"}},
		}
	}
	if _, _, err := a.cobrowseOf(c); err != nil {
		return err
	}
	return c.JSON(state)
}

func conversationParam(c *fiber.Ctx) conversations.ID {
	return conversations.ID(web.PathParam(c, "conversationId"))
}

// cobrowseOf returns the session that the conversation in the path has, else the
// one that it had last. A conversation that never had one is not found.
func (a *api) cobrowseOf(c *fiber.Ctx) (cobrowse.Session, conversations.Conversation, error) {
	ctx, org, id := c.UserContext(), orgOf(c), conversationParam(c)
	found, err := a.cobrowseOn(ctx, org, id, 1)
	if err != nil {
		return cobrowse.Session{}, conversations.Conversation{}, err
	}
	if len(found) == 0 {
		if _, err := a.Directory.Conversation(ctx, org, id); err != nil {
			return cobrowse.Session{}, conversations.Conversation{}, err
		}
		return cobrowse.Session{}, conversations.Conversation{}, &cobridge.Error{
			Code: cobridge.CodeNotFound, Message: "The conversation has no cobrowse session.",
			Params: map[string]string{"conversationId": string(id)}, EntityID: string(id), EntityName: "conversation",
		}
	}
	conversation, err := a.conversationOf(ctx, found[0])
	return found[0], conversation, err
}

// cobrowseOn returns the latest sessions of a conversation, a live one first.
func (a *api) cobrowseOn(ctx context.Context, org conversations.OrgID, id conversations.ID, limit int) ([]cobrowse.Session, error) {
	if id == "" {
		return nil, nil
	}
	found, _, err := a.Sessions.List(ctx, cobrowse.ListRequest{OrgID: org, ConversationID: id, Limit: limit})
	return found, err
}

// cobrowseSide is cobrowseOf for one participant.
func (a *api) cobrowseSide(c *fiber.Ctx) (cobrowse.Session, side, error) {
	s, conversation, err := a.cobrowseOf(c)
	if err != nil {
		return cobrowse.Session{}, side{}, err
	}
	id := web.PathParam(c, "participantId")
	for _, one := range a.sidesOf(conversation, s) {
		if id == string(one.id) || id == string(one.participant.ID) {
			return s, one, nil
		}
	}
	return cobrowse.Session{}, side{}, &cobridge.Error{
		Code: cobridge.CodeParticipantNotFound, Message: "No participant of this session has this id.",
		Params: map[string]string{"participantId": id}, EntityID: id, EntityName: cobrowse.EntityParticipant,
	}
}

// conversationOf returns the conversation of a session. A session does not depend
// on who keeps conversations: of one that is not known any more, or cannot be asked
// for at the moment, there is what the session says.
func (a *api) conversationOf(ctx context.Context, s cobrowse.Session) (conversations.Conversation, error) {
	bare := conversations.Conversation{ID: s.ConversationID, OrgID: s.OrgID, StartedAt: s.CreatedAt, EndedAt: s.EndedAt}
	if s.ConversationID == "" {
		return bare, nil
	}
	found, err := a.Directory.Conversation(ctx, s.OrgID, s.ConversationID)
	switch cobridge.CodeOf(err) {
	case cobridge.CodeConversationNotFound, cobridge.CodeUnavailable:
		return bare, nil
	default:
		return found, err
	}
}
