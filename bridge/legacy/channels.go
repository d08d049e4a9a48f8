package legacy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

// cometdPath is where CometD clients connect, below the base path.
const cometdPath = "/cometd"

// The service channels of sessions
// (https://docs.genesys.com/Documentation/GCB, API/ClientCometD and API/ServerCometD).
const (
	channelCreate      = "/service/session/create"
	channelJoin        = "/service/session/join"
	channelExit        = "/service/session/exit"
	channelStop        = "/service/session/stop"
	channelJoined      = "/service/session/joined"
	channelActivated   = "/service/session/activated"
	channelDeactivated = "/service/session/deactivated"
)

// ChannelsConfig is what [NewChannels] is told. A zero in Advice or Limits is its
// default in package bayeux.
type ChannelsConfig struct {
	Live            LiveConfig
	Events          cobrowse.Events
	Clock           cobridge.Clock // of the world: deadlines of sockets are set by it
	CallbackPolling bool           // offer JSONP, which browsers do not protect as they do the others
	Advice          bayeux.Advice
	Limits          bayeux.Limits

	// Prefix and Forward are those of [bayeux.Config]: where several processes serve one
	// store, a client stays with the one that let it in.
	Prefix  func() string
	Forward func(c *fiber.Ctx, id bayeux.ClientID) (bool, error)
}

// Channels are the live sessions of the old product over CometD. [Channels.Run] tells
// its clients what happens to their sessions on other surfaces.
type Channels struct {
	live

	events  cobrowse.Events
	server  *bayeux.Server
	rooms   *rooms
	origins []string // of pages that may speak to us
}

// NewChannels returns Channels that nobody can reach before [Channels.Mount].
func NewChannels(cfg ChannelsConfig) *Channels {
	ch := &Channels{live: live{cfg.Live}, events: cfg.Events}
	ch.origins = ch.everybody().Origins
	transports := []bayeux.Transport{bayeux.WebSocket, bayeux.LongPolling}
	if cfg.CallbackPolling {
		transports = append(transports, bayeux.CallbackPolling)
	}
	ch.server = bayeux.New(bayeux.Config{
		Clock: cfg.Clock, Log: cfg.Live.Log, Limits: cfg.Limits, Advice: cfg.Advice, Transports: transports,
		AllowOrigin:  func(origin string) bool { return slices.Contains(ch.origins, origin) },
		AllowHeaders: []string{cookieServer, web.HeaderCorrelationID},
		OnHandshake:  ch.handshake,
		OnGone:       ch.gone,
		Prefix:       cfg.Prefix, Forward: cfg.Forward,
	})
	ch.rooms = newRooms(ch.server.Deliver)
	ch.server.HandleService(channelCreate, ch.create)
	ch.server.HandleService(channelJoin, ch.join)
	ch.server.HandleService(channelExit, ch.exit)
	ch.server.HandleService(channelStop, ch.stop)
	return ch
}

// Mount adds the routes. The app must have been made by web.NewApp with
// [LiveDialects] among its dialects.
func (ch *Channels) Mount(r fiber.Router) {
	path := ch.BasePath + cometdPath
	r.Use(path, ch.giveCookies)
	ch.server.Mount(r, path)
}

// Run tells clients what happens to their sessions, until ctx ends. It calls ready
// once nothing escapes it any more; ready may be nil.
func (ch *Channels) Run(ctx context.Context, ready func()) error {
	return ch.events.Follow(ctx, "", ready, ch.follow)
}

// Shutdown tells clients to come back later and closes their connections. It is
// called before the HTTP server is shut down, and before the context of Run ends.
// No session ends by it: clients may come back within the grace time.
func (ch *Channels) Shutdown(ctx context.Context) error { return ch.server.Shutdown(ctx) }

// Stats returns what the CometD server has come to.
func (ch *Channels) Stats() bayeux.Stats { return ch.server.Stats() }

// giveCookies gives the browser its cookies with the first answer. Later answers have
// none: what waits for an event keeps its headers.
func (ch *Channels) giveCookies(c *fiber.Ctx) error {
	origin := c.Get(fiber.HeaderOrigin)
	if (origin == "" || slices.Contains(ch.origins, origin)) && isHandshake(c) {
		ch.setServerCookie(c)
		ch.deskOf(c)
	}
	return c.Next()
}

// isHandshake tells whether a client begins with this request.
func isHandshake(c *fiber.Ctx) bool {
	const handshake = "/meta/handshake"
	switch c.Method() {
	case fiber.MethodPost:
		return strings.HasSuffix(c.Path(), "/handshake") || bytes.Contains(c.Request().Body(), []byte(handshake))
	case fiber.MethodGet:
		return c.Get(fiber.HeaderUpgrade) != "" || bytes.Contains(c.Request().URI().QueryArgs().Peek("message"), []byte(handshake))
	default:
		return false
	}
}

// handshake takes a note of who a client is. Whoever shows credentials must show good
// ones; what is needed is asked when a session is begun or joined. Scripts cannot set
// the header for a WebSocket: they put its value into ext.authorization.
func (ch *Channels) handshake(ctx context.Context, r bayeux.Request, ext json.RawMessage) (any, error) {
	v := &visitor{authorization: r.Authorization, desk: r.Cookie(cookieDesk)}
	var in struct {
		Authorization string `json:"authorization"`
	}
	if ext != nil && json.Unmarshal(ext, &in) == nil && in.Authorization != "" {
		v.authorization = in.Authorization
	}
	if !isDesk(v.desk) {
		v.desk = newDesk()
	}
	scheme, _, _ := strings.Cut(v.authorization, " ")
	for _, rule := range []Rule{RuleBearer, RuleBasic} {
		// Any other scheme is for somebody else, such as a proxy.
		if strings.EqualFold(scheme, string(rule)) && ch.asksFor(rule) {
			if _, err := ch.access(rule).judge(ctx, v.shown(r)); err != nil {
				return nil, told(err)
			}
		}
	}
	return v, nil
}

func (ch *Channels) asksFor(rule Rule) bool {
	r := ch.Rules
	return slices.Contains([]Rule{r.Create, r.Customer, r.Agent, r.Controller}, rule)
}

// create answers a request for a new session. It does not join it.
func (ch *Channels) create(ctx context.Context, client bayeux.Client, _ json.RawMessage) (any, error) {
	v, err := visitorOf(client)
	if err != nil {
		return nil, err
	}
	if _, err := ch.creating().judge(ctx, v.shown(client.Request)); err != nil {
		return nil, told(err)
	}
	session, err := ch.open(ctx, client.Request.Network)
	if err != nil {
		return nil, told(err)
	}
	return created{SessionToken: session.Token}, nil
}

// joinRequest is the data of a join.
type joinRequest struct {
	SessionToken string `json:"sessionToken"`
	Role         int    `json:"role"`
	Name         string `json:"name"`
	UserToken    string `json:"userToken"` // an addition of ours: of an earlier join, to come back as the same user
}

// join answers a request to join a session. Joining once more is coming back.
func (ch *Channels) join(ctx context.Context, client bayeux.Client, data json.RawMessage) (any, error) {
	v, err := visitorOf(client)
	if err != nil {
		return nil, err
	}
	var in joinRequest
	if err := readData(data, &in); err != nil {
		return nil, err
	}
	role := roleOf(in.Role)
	if role == "" {
		return nil, told(badRole())
	}
	if in.SessionToken == "" {
		return nil, &bayeux.Error{Code: 400, Args: []string{"sessionToken"}, Text: "The sessionToken is missing"}
	}
	if _, err := ch.entering(role).judge(ctx, v.shown(client.Request)); err != nil {
		return nil, told(err)
	}
	token, err := readDigits(in.SessionToken)
	if err != nil {
		return nil, told(err)
	}
	old, err := ch.rooms.membership(v, token, role)
	if err != nil {
		return nil, err
	}
	if old != nil && in.UserToken == "" {
		in.UserToken = old.userToken
	}
	e, err := ch.enter(ctx, client.Request.Network, cobrowse.EnterRequest{
		OrgID: ch.Org, Token: token, Role: role, Name: in.Name, Desk: v.desk, UserToken: in.UserToken, Connected: true,
	})
	if err != nil {
		return nil, told(err, string(token))
	}
	m := newMember(client.ID, v, e)
	if !ch.rooms.add(m, e.Session) { // the client has gone in the meantime
		ch.disconnected(ctx, m)
		return nil, &bayeux.Error{Code: 402, Text: "Unknown client"}
	}
	// Read again: of what happened before the member was there nobody would tell it.
	ch.tell(ctx, e.Session.ID)
	return newJoined(e), nil
}

// userRequest is the data of exit and stop.
type userRequest struct {
	UserToken string `json:"userToken"`
}

// exit answers a request to leave: the customer's or the agent's ends the session.
func (ch *Channels) exit(ctx context.Context, client bayeux.Client, data json.RawMessage) (any, error) {
	return ch.finish(ctx, client, data, ch.Sessions.Exit)
}

// stop answers a controller's request to end a session.
func (ch *Channels) stop(ctx context.Context, client bayeux.Client, data json.RawMessage) (any, error) {
	return ch.finish(ctx, client, data, ch.Sessions.Stop)
}

func (ch *Channels) finish(ctx context.Context, client bayeux.Client, data json.RawMessage, do finishing) (any, error) {
	var in userRequest
	if err := readData(data, &in); err != nil {
		return nil, err
	}
	if in.UserToken == "" {
		return nil, &bayeux.Error{Code: 400, Args: []string{"userToken"}, Text: "The userToken is missing"}
	}
	if err := allow(ctx, ch.Limits.Address, client.Request.Network); err != nil {
		return nil, told(err)
	}
	session, err := do(ctx, ch.Org, in.UserToken)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return nil, &bayeux.Error{Code: 404, Text: "No such user"}
	} else if err != nil {
		return nil, told(err)
	}
	ch.rooms.tell(ctx, session)
	return struct{}{}, nil
}

// readData reads what came with a message: a JSON object whose members have the
// types they should have.
func readData(data json.RawMessage, v any) *bayeux.Error {
	if start := bytes.TrimLeft(data, " \t\r\n"); len(start) == 0 || start[0] != '{' {
		return &bayeux.Error{Code: 400, Text: "The data must be an object"}
	}
	err := json.Unmarshal(data, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &bayeux.Error{Code: 400, Args: []string{wrong.Field}, Text: "A member of the data has the wrong type"}
	} else if err != nil {
		return &bayeux.Error{Code: 400, Text: "The data cannot be read"}
	}
	return nil
}

// told is a failure as clients are told it; args says what it is about. What is no
// failure of the caller stays as it is: the server logs it.
func told(err error, args ...string) error {
	e, ok := errors.AsType[*cobridge.Error](err)
	if !ok {
		return err
	}
	text := strings.TrimSuffix(e.Message, ".")
	switch e.Code {
	case cobridge.CodeBadRequest, cobridge.CodeConstraintValidation:
		args = nil
		for _, d := range e.Details {
			args = append(args, d.FieldName)
		}
		return &bayeux.Error{Code: 400, Args: args, Text: text}
	case cobridge.CodeAuthRequired, cobridge.CodeBadCredentials, cobridge.CodeNotAuthorized:
		if text == "" {
			text = "This needs credentials"
		}
		return &bayeux.Error{Code: 403, Args: args, Text: text}
	case cobridge.CodeNotFound:
		if e.EntityName == cobrowse.EntityParticipant {
			return &bayeux.Error{Code: 404, Args: args, Text: "No such user"}
		}
		return &bayeux.Error{Code: 404, Args: args, Text: "No such session"}
	case cobridge.CodeConflict:
		return &bayeux.Error{Code: 409, Args: args, Text: text}
	case cobridge.CodeSessionEnded:
		return &bayeux.Error{Code: 410, Args: args, Text: "The session was deactivated"}
	case cobridge.CodeTooManyRequests:
		return &bayeux.Error{Code: 429, Args: []string{strconv.Itoa(int(e.RetryAfter/time.Second) + 1)}, Text: "Too many tries, wait for that many seconds"}
	case cobridge.CodeUnavailable:
		if e.Err != nil { // for the log
			return err
		}
		return &bayeux.Error{Code: 503, Text: "The service is not available at the moment"}
	default:
		return err
	}
}

// goneTimeout bounds what is written down about a client that has gone.
const goneTimeout = 10 * time.Second

// gone is told about each client that has left or was lost. Its users are waited for
// as after any other lost connection; a controller has left.
func (ch *Channels) gone(client bayeux.Client, _ bayeux.Reason) {
	v, ok := client.Value.(*visitor)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), goneTimeout)
	defer cancel()
	for _, m := range ch.rooms.leave(v) {
		ch.disconnected(ctx, m)
	}
}

// disconnected notes that a member's link has closed; one that was replaced changes nothing.
func (ch *Channels) disconnected(ctx context.Context, m *member) {
	ctx = context.WithoutCancel(ctx)
	if err := ch.Sessions.Disconnected(ctx, m.session, m.participant, m.link); err != nil && cobridge.CodeOf(err) != cobridge.CodeSessionEnded {
		ch.Log.ErrorContext(ctx, "noting a lost cometd client failed", "sessionId", string(m.session), "err", err)
	}
}
