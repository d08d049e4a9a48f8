package api

import (
	"crypto/sha256"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// routeCreate names the route to which an Idempotency-Key of a create belongs.
const routeCreate = "POST " + sessionsPath

// maxIdempotencyKey is the longest Idempotency-Key, in characters.
const maxIdempotencyKey = 255

type inviteRequest struct {
	UserID       conversations.UserID `json:"userId"`
	Role         cobrowse.Role        `json:"role"`
	Name         string               `json:"name"`
	AllowControl bool                 `json:"allowControl"`
}

func (r inviteRequest) invite() cobrowse.Invite {
	return cobrowse.Invite{UserID: r.UserID, Role: r.Role, Name: r.Name, AllowControl: r.AllowControl}
}

type settingsRequest struct {
	AllowRemoteControl *bool    `json:"allowRemoteControl"`
	TimeoutInMinutes   *float64 `json:"timeoutInMinutes"` // whole; JSON has one way more to write 10
}

// timeout returns the wanted time-out, 0 if there is none.
func (r settingsRequest) timeout() time.Duration {
	if r.TimeoutInMinutes == nil {
		return 0
	}
	return time.Duration(*r.TimeoutInMinutes) * time.Minute
}

// createSession answers POST /api/v2/cobrowse/sessions.
func (a *api) createSession(c *fiber.Ctx) error {
	var in struct {
		ConversationID conversations.ID      `json:"conversationId"`
		DeploymentID   cobrowse.DeploymentID `json:"deploymentId"`
		Participants   []inviteRequest       `json:"participants"`
		Settings       settingsRequest       `json:"settings"`
	}
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	broken := a.decode(c, schemaSession, &in)
	p := principal(c)
	req := cobrowse.StartRequest{
		OrgID: conversations.OrgID(p.OrgID), ClientID: p.ClientID, ConversationID: in.ConversationID, DeploymentID: in.DeploymentID,
		AllowRemoteControl: in.Settings.AllowRemoteControl != nil && *in.Settings.AllowRemoteControl, Timeout: in.Settings.timeout(),
		Participants: make([]cobrowse.Invite, len(in.Participants)),
	}
	for i, invited := range in.Participants {
		req.Participants[i] = invited.invite()
	}
	if broken != nil {
		return together(broken, a.Sessions.CheckStart(req))
	}
	if key != "" {
		req.IdempotencyKey, req.Route, req.BodyHash = key, routeCreate, sha256.Sum256(c.Request().Body())
	}
	started, err := a.Sessions.Start(c.UserContext(), req)
	if err != nil {
		return namingSession(err, in.ConversationID)
	}
	body := newSessionBody(started.Session)
	body.CreatedBy = creator(started.Session)
	a.addJoinURLs(&body, started.Tokens...)
	status := fiber.StatusCreated
	if replayed(c, started) && !started.Session.Live() {
		status = fiber.StatusOK
	}
	c.Set(fiber.HeaderLocation, body.SelfURI)
	return sendSession(c.Status(status), &body)
}

// idempotencyKey reads the header; "" if there is none.
func idempotencyKey(c *fiber.Ctx) (string, error) {
	lines := c.Request().Header.PeekAll("Idempotency-Key")
	if len(lines) == 0 {
		return "", nil
	}
	key := string(lines[0])
	good := len(lines) == 1 && key != "" && len(key) <= maxIdempotencyKey
	for i := 0; good && i < len(key); i++ {
		good = key[i] >= ' ' && key[i] <= '~'
	}
	if !good {
		return "", &cobridge.Error{
			Code: cobridge.CodeConstraintValidation, Message: "The Idempotency-Key must be 1 to 255 printable ASCII characters.",
			Details: []cobridge.Detail{{ErrorCode: "format", FieldName: "Idempotency-Key"}},
		}
	}
	return key, nil
}

// replayed tells the caller if the session is that of an earlier request with the
// same key, and returns whether it is.
func replayed(c *fiber.Ctx, started cobrowse.Started) bool {
	if started.Replayed {
		c.Set("Idempotent-Replayed", "true")
	}
	return started.Replayed
}

// namingSession adds the session that is in the way to a 409, in the shape of a
// session: one published client reads the answer as one.
func namingSession(err error, conversation conversations.ID) error {
	failure, ok := asFailure(err)
	if !ok || failure.Code != cobridge.CodeConflict || failure.EntityName != cobrowse.EntitySession || failure.EntityID == "" {
		return err
	}
	self := sessionsPath + "/" + failure.EntityID
	members := map[string]any{"id": failure.EntityID, "sessionId": failure.EntityID, "selfUri": self}
	if len(failure.Details) > 0 && failure.Details[0].ErrorCode == cobrowse.DetailSessionActive {
		members["conversationId"] = conversation
	}
	return web.WithBody(err, members, web.Header{Name: fiber.HeaderLocation, Value: self})
}

// listSessions answers GET /api/v2/cobrowse/sessions.
func (a *api) listSessions(c *fiber.Ctx) error {
	page, err := web.Paging(c, web.PageRule{})
	if err != nil {
		return err
	}
	states, err := choose(c, "state", []choice[[]cobrowse.State]{
		{"live", []cobrowse.State{cobrowse.StateIdle, cobrowse.StateActive}},
		{"idle", []cobrowse.State{cobrowse.StateIdle}},
		{"active", []cobrowse.State{cobrowse.StateActive}},
		{"ended", []cobrowse.State{cobrowse.StateEnded}},
		{"any", nil},
	})
	if err != nil {
		return err
	}
	found, total, err := a.Sessions.List(c.UserContext(), cobrowse.ListRequest{
		OrgID: orgOf(c), ConversationID: conversations.ID(c.Query("conversationId")), States: states, Offset: page.Offset(), Limit: page.Size,
	})
	if err != nil {
		return err
	}
	bodies := make([]sessionBody, len(found))
	for i, s := range found {
		bodies[i] = newSessionBody(s)
	}
	return c.JSON(web.NewPage(c, page, bodies, total))
}

// getSession answers GET /api/v2/cobrowse/sessions/{sessionId}.
func (a *api) getSession(c *fiber.Ctx) error {
	s, err := a.Sessions.Get(c.UserContext(), orgOf(c), sessionParam(c))
	if err != nil {
		return err
	}
	body := newSessionBody(s)
	return sendSession(c, &body)
}

// patchSession answers PATCH /api/v2/cobrowse/sessions/{sessionId}: settings
// first, so that both together work on a live session.
func (a *api) patchSession(c *fiber.Ctx) error {
	var in struct {
		State    string           `json:"state"`
		Settings *settingsRequest `json:"settings"`
	}
	if err := a.decode(c, schemaPatch, &in); err != nil {
		return err
	}
	if in.State == "" && in.Settings == nil {
		return &cobridge.Error{
			Code: cobridge.CodeConstraintValidation, Message: "The request changes nothing: state or settings must be given.",
			Details: []cobridge.Detail{{ErrorCode: "required", FieldName: "state"}, {ErrorCode: "required", FieldName: "settings"}},
		}
	}
	ctx, org, id := c.UserContext(), orgOf(c), sessionParam(c)
	var s cobrowse.Session
	var err error
	if in.Settings != nil {
		patch := cobrowse.SettingsPatch{AllowRemoteControl: in.Settings.AllowRemoteControl}
		if timeout := in.Settings.timeout(); timeout != 0 {
			patch.Timeout = &timeout
		}
		if s, err = a.Sessions.UpdateSettings(ctx, org, id, patch); err != nil {
			return err
		}
	}
	if in.State != "" {
		if s, err = a.Sessions.End(ctx, org, id, cobrowse.EndRequested); err != nil {
			return err
		}
	}
	return c.JSON(newSessionBody(s))
}

// deleteSession answers DELETE /api/v2/cobrowse/sessions/{sessionId}.
func (a *api) deleteSession(c *fiber.Ctx) error {
	if _, err := a.Sessions.End(c.UserContext(), orgOf(c), sessionParam(c), cobrowse.EndRequested); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// addParticipant answers POST …/{sessionId}/participants.
func (a *api) addParticipant(c *fiber.Ctx) error {
	var in inviteRequest
	if err := a.decode(c, schemaInvite, &in); err != nil {
		return err
	}
	s, p, token, err := a.Sessions.AddParticipant(c.UserContext(), orgOf(c), sessionParam(c), in.invite())
	if err != nil {
		return err
	}
	body := newParticipantBody(p, s.Sharer())
	body.JoinURL = a.joinURL(token)
	c.Set(fiber.HeaderLocation, sessionsPath+"/"+string(s.ID))
	return c.Status(fiber.StatusCreated).JSON(body)
}

// removeParticipant answers DELETE …/participants/{participantId}.
func (a *api) removeParticipant(c *fiber.Ctx) error {
	if _, err := a.Sessions.RemoveParticipant(c.UserContext(), orgOf(c), sessionParam(c), participantParam(c)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

type joinTokenBody struct {
	Token         string                 `json:"token"`
	ExpiresAt     web.Time               `json:"expiresAt"`
	JoinURL       string                 `json:"joinUrl"`
	SessionID     cobrowse.SessionID     `json:"sessionId"`
	ParticipantID cobrowse.ParticipantID `json:"participantId"`
}

// issueToken answers POST …/participants/{participantId}/tokens. It has no body.
func (a *api) issueToken(c *fiber.Ctx) error {
	token, err := a.Sessions.IssueToken(c.UserContext(), orgOf(c), sessionParam(c), participantParam(c))
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(joinTokenBody{
		Token: token.Raw, ExpiresAt: web.Time(token.ExpiresAt), JoinURL: a.joinURL(token),
		SessionID: token.SessionID, ParticipantID: token.ParticipantID,
	})
}

// attachSession answers POST /api/v2/cobrowse/sessions/attach. Wrong session
// tokens count: there are only so many with nine digits.
func (a *api) attachSession(c *fiber.Ctx) error {
	var in struct {
		SessionToken   string           `json:"sessionToken"`
		ConversationID conversations.ID `json:"conversationId"`
		Participant    inviteRequest    `json:"participant"`
	}
	if err := a.decode(c, schemaAttach, &in); err != nil {
		return err
	}
	token, err := cobrowse.ParseSessionToken(in.SessionToken)
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	digits, network := a.Limits.SessionTokens, web.ClientNetwork(c)
	if err := digits.Check(ctx, network); err != nil {
		return err
	}
	s, join, err := a.Sessions.Attach(ctx, cobrowse.AttachRequest{
		OrgID: orgOf(c), SessionToken: token, ConversationID: in.ConversationID, Participant: in.Participant.invite(),
	})
	if err != nil {
		if cobridge.CodeOf(err) == cobridge.CodeNotFound {
			if err := digits.Fail(ctx, network); err != nil {
				return err
			}
		}
		return namingSession(err, in.ConversationID)
	}
	digits.Succeed(network)
	body := newSessionBody(s)
	body.CreatedBy = creator(s)
	a.addJoinURLs(&body, join)
	c.Set(fiber.HeaderLocation, body.SelfURI)
	return c.Status(fiber.StatusCreated).JSON(body)
}

func sessionParam(c *fiber.Ctx) cobrowse.SessionID {
	return cobrowse.SessionID(web.PathParam(c, "sessionId"))
}

func participantParam(c *fiber.Ctx) cobrowse.ParticipantID {
	return cobrowse.ParticipantID(web.PathParam(c, "participantId"))
}
