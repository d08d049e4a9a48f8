package legacy

import (
	"context"
	"log/slog"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// LiveConfig is what the surfaces of live sessions are told, [MountLive] for REST and
// [NewChannels] for CometD.
type LiveConfig struct {
	Sessions   liveSessions // a *cobrowse.Service
	Log        *slog.Logger
	Org        conversations.OrgID   // that the surfaces belong to
	Deployment cobrowse.DeploymentID // whose rules hold for sessions that begin here
	BasePath   string                // of the legacy server, such as /cobrowse
	ServerName string                // sessionServerName, and the value of the cookie gcbSessionServer
	ServerURL  string                // sessionServerUrl; "" = left out
	Pages      []string              // origins of customers' pages
	Desks      []string              // origins of agents' desktops
	Own        []string              // origins of our own pages
	Rules      LiveRules
	OAuth      authority // an *oauth.Service
	Limits     LiveLimits
	// LogSessionToken has the nine digits stand in the log line of a new session.
	LogSessionToken bool
	// Ready is asked by the health check; nil = always.
	Ready func(context.Context) error
	// Elsewhere is asked which other server has a session that nobody has here; it
	// fails with CodeNotFound. Nil = nobody is asked.
	Elsewhere func(context.Context, cobrowse.SessionToken) (LiveSession, error)
}

// LiveRules are the access rules of live sessions. With the rule origin, create and
// customer mean Pages, agent and controller mean Desks and Own, and get means all of
// them: an agent's desktop asks it before it joins.
type LiveRules struct {
	Create, Get                 Rule
	Customer, Agent, Controller Rule // for joining in the role
}

// LiveLimits are the rate limits of live sessions, the same ones that the API counts
// by. A nil one limits nothing.
type LiveLimits struct {
	Limits

	Starts limiter // sessions begun, per client network
	// Wrong session tokens, per client network and of all together: there are only so
	// many with nine digits.
	SessionTokens scan // a *limit.Scan
}

// LiveSession is what everybody may know of a live session: which server has it.
type LiveSession struct {
	SessionToken      cobrowse.SessionToken `json:"sessionToken"`
	SessionServerName string                `json:"sessionServerName"`
	SessionServerURL  string                `json:"sessionServerUrl,omitempty"`
}

// liveSessions is the part of *cobrowse.Service that is called here.
type liveSessions interface {
	Open(ctx context.Context, r cobrowse.OpenRequest) (cobrowse.Session, error)
	Enter(ctx context.Context, r cobrowse.EnterRequest) (cobrowse.Entered, error)
	ByToken(ctx context.Context, org conversations.OrgID, token cobrowse.SessionToken) (cobrowse.Session, error)
	Exit(ctx context.Context, org conversations.OrgID, userToken string) (cobrowse.Session, error)
	Stop(ctx context.Context, org conversations.OrgID, userToken string) (cobrowse.Session, error)
	Look(ctx context.Context, id cobrowse.SessionID) (cobrowse.Session, error)
	Disconnected(ctx context.Context, id cobrowse.SessionID, participant cobrowse.ParticipantID, number uint64) error
}

// live is what REST and CometD have in common.
type live struct {
	LiveConfig
}

// access is the rule for one kind of call, and whose pages it means.
func (l *live) access(rule Rule, origins ...[]string) Access {
	return Access{Rule: rule, Org: l.Org, Origins: slices.Concat(origins...), Cookies: true, OAuth: l.OAuth, Limits: l.Limits.Limits}
}

func (l *live) creating() Access { return l.access(l.Rules.Create, l.Pages) }

func (l *live) getting() Access { return l.access(l.Rules.Get, l.Pages, l.Desks, l.Own) }

// entering is the rule for joining in a role.
func (l *live) entering(role cobrowse.Role) Access {
	switch role {
	case cobrowse.RoleCustomer:
		return l.access(l.Rules.Customer, l.Pages)
	case cobrowse.RoleController:
		return l.access(l.Rules.Controller, l.Desks, l.Own)
	default:
		return l.access(l.Rules.Agent, l.Desks, l.Own)
	}
}

// everybody are the pages that may read answers, whatever they are.
func (l *live) everybody() Access { return l.access(RuleOpen, l.Pages, l.Desks, l.Own) }

// liveAPI answers the Realtime REST API of Genesys Co-browse
// (https://docs.genesys.com/Documentation/GCB, API/RESTfulRealtime).
type liveAPI struct {
	live
}

// maxLiveBody bounds the body of a join in bytes: a name and a user token.
const maxLiveBody = 4 << 10

// MountLive adds the calls of live sessions and the health check. The app must have
// been made by web.NewApp with [LiveDialects] among its dialects.
func MountLive(r fiber.Router, cfg LiveConfig) {
	l := &liveAPI{live{cfg}}
	sessions := cfg.BasePath + "/rest/live/sessions"
	session, join, stop := sessions+"/:sessionToken", sessions+"/:sessionToken/join", cfg.BasePath+"/rest/live/users/:userToken/session/stop"
	// Add and not Get, which would bring HEAD along: a HEAD must not stop a session.
	r.Add(fiber.MethodPost, sessions, l.opened(l.create))
	r.Add(fiber.MethodGet, session, l.opened(l.get))
	r.Add(fiber.MethodPost, join, l.opened(l.join))
	r.Add(fiber.MethodGet, stop, l.opened(l.stop))
	r.Get(cfg.BasePath+"/health", l.health)
	if len(cfg.Pages)+len(cfg.Desks) > 0 {
		const headers = fiber.HeaderAuthorization + ", " + fiber.HeaderContentType + ", " + web.HeaderCorrelationID + ", " + cookieServer
		for path, method := range map[string]string{sessions: fiber.MethodPost, session: fiber.MethodGet, join: fiber.MethodPost, stop: fiber.MethodGet} {
			r.Options(path, l.everybody().preflight(method, headers))
		}
	}
}

// LiveDialects are how the paths of these surfaces speak of failures.
func LiveDialects(cfg LiveConfig) []web.Dialect {
	write := writeCobrowseFailure(Access{})
	var dialects []web.Dialect
	for _, below := range []string{"/rest", "/health", cometdPath} {
		dialects = append(dialects, web.Dialect{Prefix: cfg.BasePath + below, Write: write})
	}
	return dialects
}

// opened lets pages of the allow-lists read the answer, failures too.
func (l *liveAPI) opened(handle fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderCacheControl, "no-store")
		l.everybody().allowOrigin(c)
		return handle(c)
	}
}

// judge lets a caller in; a 401 says what is asked for.
func (l *liveAPI) judge(c *fiber.Ctx, a Access) error {
	_, err := a.judge(c.UserContext(), shownBy(c))
	switch code := cobridge.CodeOf(err); code {
	case cobridge.CodeAuthRequired, cobridge.CodeBadCredentials:
		return web.WithBody(err, nil, web.Header{Name: fiber.HeaderWWWAuthenticate, Value: a.challenge(code)})
	default:
		return err
	}
}

// created is the answer to whoever begins a session.
type created struct {
	SessionToken      cobrowse.SessionToken `json:"sessionToken"`
	SessionServerName string                `json:"sessionServerName,omitempty"` // in REST
}

// create answers POST …/rest/live/sessions. Whatever body comes is ignored.
func (l *liveAPI) create(c *fiber.Ctx) error {
	if err := l.judge(c, l.creating()); err != nil {
		return err
	}
	session, err := l.open(c.UserContext(), web.ClientNetwork(c))
	if err != nil {
		return err
	}
	l.setServerCookie(c)
	l.deskOf(c)
	return sendJSON(c, created{session.Token, l.ServerName})
}

// get answers GET …/rest/live/sessions/{sessionToken}: which server has the session,
// and nothing else of it. One that has ended is unknown.
func (l *liveAPI) get(c *fiber.Ctx) error {
	if err := l.judge(c, l.getting()); err != nil {
		return err
	}
	ctx := c.UserContext()
	token, err := readDigits(web.PathParam(c, "sessionToken"))
	if err != nil {
		return err
	}
	answer := LiveSession{token, l.ServerName, l.ServerURL}
	err = l.guess(ctx, web.ClientNetwork(c), func() error {
		_, err := l.Sessions.ByToken(ctx, l.Org, token)
		if cobridge.CodeOf(err) == cobridge.CodeNotFound && l.Elsewhere != nil {
			answer, err = l.Elsewhere(ctx, token)
		}
		return err
	})
	if cobridge.CodeOf(err) == cobridge.CodeSessionEnded {
		return unknownDigits()
	} else if err != nil {
		return err
	}
	return sendJSON(c, answer)
}

// enteredByREST is the answer to a join over REST.
type enteredByREST struct {
	joined

	ParticipantID cobrowse.ParticipantID `json:"participantId"`
	// The join token is for the stream; a controller has nothing to look at.
	JoinToken string `json:"joinToken,omitempty"`
	ExpiresAt int64  `json:"expiresAt,omitempty"` // of the join token, milliseconds since 1970
}

// join answers POST …/rest/live/sessions/{sessionToken}/join, the twin of the CometD
// channel for pages that open the stream: an addition of ours.
func (l *liveAPI) join(c *fiber.Ctx) error {
	var in struct {
		Role      int    `json:"role"`
		Name      string `json:"name"`
		UserToken string `json:"userToken"`
	}
	if err := web.DecodeLimit(c, &in, maxLiveBody); err != nil {
		return err
	}
	role := roleOf(in.Role)
	if role == "" {
		return badRole()
	}
	if err := l.judge(c, l.entering(role)); err != nil {
		return err
	}
	token, err := readDigits(web.PathParam(c, "sessionToken"))
	if err != nil {
		return err
	}
	e, err := l.enter(c.UserContext(), web.ClientNetwork(c), cobrowse.EnterRequest{
		OrgID: l.Org, Token: token, Role: role, Name: in.Name, Desk: l.deskOf(c), UserToken: in.UserToken,
		// Nothing would ever open the link of a controller: it has no stream.
		Connected: role == cobrowse.RoleController,
	})
	if err != nil {
		return err
	}
	if role != cobrowse.RoleCustomer {
		l.setServerCookie(c)
	}
	answer := enteredByREST{joined: newJoined(e), ParticipantID: e.Participant.ID}
	if e.JoinToken.Raw != "" {
		answer.JoinToken, answer.ExpiresAt = e.JoinToken.Raw, e.JoinToken.ExpiresAt.UnixMilli()
	}
	return sendJSON(c, answer)
}

// stop answers GET …/rest/live/users/{userToken}/session/stop. The user token of a
// controller is all that it takes; once more gives the same answer.
func (l *liveAPI) stop(c *fiber.Ctx) error {
	ctx := c.UserContext()
	if err := allow(ctx, l.Limits.Address, web.ClientNetwork(c)); err != nil {
		return err
	}
	session, err := l.Sessions.Stop(ctx, l.Org, web.PathParam(c, "userToken"))
	if err != nil {
		return err
	}
	return sendJSON(c, newDeactivation(session))
}

// health answers GET …/health, without a word.
func (l *liveAPI) health(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	status := fiber.StatusOK
	if l.Ready != nil && l.Ready(c.UserContext()) != nil {
		status = fiber.StatusServiceUnavailable
	}
	c.Status(status)
	return nil
}
