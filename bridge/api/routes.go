package api

import (
	"context"
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/limit"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/docs"
	"github.com/cobridge/cobridge/oauth"
)

// Deps is what the handlers call. Everything is required unless it says otherwise.
type Deps struct {
	OAuth         authority     // an *oauth.Service
	Sessions      sessions      // a *cobrowse.Service
	Deployments   deployments   // a cobrowse.DeploymentStore: who may call from which page is asked before anything else
	Directory     directory     // a conversations.Directory
	Conversations starter       // a *conversations.Local; nil where conversations come from elsewhere and so cannot be started
	Organisations organisations // a *conversations.Local, for names; nil = without
	Notifications channels      // a *notify.Service
	Webhooks      webhooks      // a *notify.Webhooks

	BaseURL       string           // public address of the service, with a gateway's prefix: https://host[:port][/prefix]
	ViewerBaseURL string           // of the pages for viewers; empty = BaseURL
	Cookie        web.ResumeCookie // of viewers
	// SDKTexts are the words of the customer script by language and name. There is
	// English at least, with the consent text that is asked for where a deployment
	// has none of its own.
	SDKTexts map[string]map[string]string
	Limits   Limits
	Checks   []Check // for /readyz
	// ProbesApart leaves /healthz and /readyz to MountProbes.
	ProbesApart bool
	Version     string
	Commit      string // may be empty

	NewContextID func() string // of what is told without a request behind it; nil = random UUIDs
}

// Limits are the rate limits of these routes. A nil one limits nothing.
type Limits struct {
	Address       *limit.Limiter // calls per client network, before it is known who calls
	Token         *limit.Limiter // calls per access token
	Starts        *limit.Limiter // sessions started from customers' pages, per client network
	Credentials   *limit.Guess   // wrong client credentials, per client network
	JoinTokens    *limit.Guess   // wrong join tokens, per client network
	SessionTokens *limit.Scan    // wrong session tokens, per client network and of all together
}

// authority is the part of *oauth.Service that is called here.
type authority interface {
	Verify(ctx context.Context, raw string) (oauth.Principal, error)
	Grant(ctx context.Context, req oauth.GrantRequest) (oauth.AccessToken, error)
	Authenticate(ctx context.Context, id, secret string) (oauth.Client, error)
	Introspect(ctx context.Context, caller oauth.Client, raw string) (oauth.Introspection, error)
	Revoke(ctx context.Context, caller oauth.Client, raw string) error
	RevokeToken(ctx context.Context, p oauth.Principal) error
	Client(ctx context.Context, id string) (oauth.Client, error)
	JWKS(ctx context.Context) (oauth.JWKSet, error)
}

// sessions is the part of *cobrowse.Service that is called here.
type sessions interface {
	CheckStart(r cobrowse.StartRequest) error
	Start(ctx context.Context, r cobrowse.StartRequest) (cobrowse.Started, error)
	Get(ctx context.Context, org conversations.OrgID, id cobrowse.SessionID) (cobrowse.Session, error)
	List(ctx context.Context, r cobrowse.ListRequest) ([]cobrowse.Session, int, error)
	UpdateSettings(ctx context.Context, org conversations.OrgID, id cobrowse.SessionID, patch cobrowse.SettingsPatch) (cobrowse.Session, error)
	End(ctx context.Context, org conversations.OrgID, id cobrowse.SessionID, reason cobrowse.EndReason) (cobrowse.Session, error)
	AddParticipant(ctx context.Context, org conversations.OrgID, id cobrowse.SessionID, in cobrowse.Invite) (cobrowse.Session, cobrowse.Participant, cobrowse.JoinToken, error)
	RemoveParticipant(ctx context.Context, org conversations.OrgID, id cobrowse.SessionID, participant cobrowse.ParticipantID) (cobrowse.Session, error)
	IssueToken(ctx context.Context, org conversations.OrgID, id cobrowse.SessionID, participant cobrowse.ParticipantID) (cobrowse.JoinToken, error)
	Attach(ctx context.Context, r cobrowse.AttachRequest) (cobrowse.Session, cobrowse.JoinToken, error)
	Redeem(ctx context.Context, raw, tab string) (cobrowse.Joined, error)
	Offer(ctx context.Context, r cobrowse.OfferRequest) (cobrowse.Started, error)
	ByOffer(ctx context.Context, k cobrowse.OfferKey) (cobrowse.Session, cobrowse.JoinToken, error)
	Decline(ctx context.Context, k cobrowse.OfferKey, secret cobrowse.ResumeSecret) (cobrowse.Session, error)
	Watch(session cobrowse.Session, participant cobrowse.ParticipantID) (cobrowse.JoinToken, error)
	Controls(session cobrowse.Session, participant cobrowse.ParticipantID) bool
	Replace(ctx context.Context, org conversations.OrgID, id cobrowse.SessionID, participant cobrowse.ParticipantID, user conversations.UserID) (cobrowse.Session, error)
	Record(ctx context.Context, org conversations.OrgID, id cobrowse.SessionID) (cobrowse.Session, error)
	Records(ctx context.Context, r cobrowse.RecordRequest) ([]cobrowse.Session, bool, error)
	Import(ctx context.Context, org conversations.OrgID, record cobrowse.Session) (bool, error)
	HistoryLink(ctx context.Context, org conversations.OrgID, id cobrowse.SessionID) (cobrowse.HistoryLink, error)

	StartFromDeployment(ctx context.Context, r cobrowse.DeploymentStart) (cobrowse.Session, cobrowse.JoinToken, error)
	CreateDeployment(ctx context.Context, d cobrowse.Deployment) (cobrowse.Deployment, error)
	UpdateDeployment(ctx context.Context, d cobrowse.Deployment) (cobrowse.Deployment, error)
	Deployment(ctx context.Context, org conversations.OrgID, id cobrowse.DeploymentID) (cobrowse.Deployment, error)
	Deployments(ctx context.Context, org conversations.OrgID) ([]cobrowse.Deployment, error)
	DeleteDeployment(ctx context.Context, org conversations.OrgID, id cobrowse.DeploymentID) error
}

// deployments is the part of cobrowse.DeploymentStore that is called here: a
// customer's page knows no organisation.
type deployments interface {
	Deployment(ctx context.Context, id cobrowse.DeploymentID) (cobrowse.Deployment, error)
}

// directory is the part of conversations.Directory that is called here.
type directory interface {
	Conversation(ctx context.Context, org conversations.OrgID, id conversations.ID) (conversations.Conversation, error)
	Conversations(ctx context.Context, org conversations.OrgID, q conversations.Query) ([]conversations.Conversation, int, error)
	User(ctx context.Context, org conversations.OrgID, id conversations.UserID) (conversations.User, error)
	Users(ctx context.Context, org conversations.OrgID, q conversations.UserQuery) ([]conversations.User, int, error)
	SetAttributes(ctx context.Context, org conversations.OrgID, id conversations.ID, p conversations.ParticipantID, attributes map[string]string) error
	Disconnect(ctx context.Context, org conversations.OrgID, id conversations.ID) error
}

// starter starts conversations.
type starter interface {
	Create(ctx context.Context, org conversations.OrgID, in conversations.NewConversation) (conversations.Conversation, error)
}

// organisations knows the names of organisations.
type organisations interface {
	Organisation(ctx context.Context, id conversations.OrgID) (conversations.Organisation, error)
}

// What a route asks of the caller besides the scopes of package oauth.
const (
	open     oauth.Scope = "-" // nothing: no access token is looked at
	anyToken oauth.Scope = ""  // any good access token
)

type route struct {
	method, path string
	scope        oauth.Scope
	handle       fiber.Handler
}

// table is the API's table of contents.
func (a *api) table() []route {
	const (
		get, head, post, put, patch, del, options = fiber.MethodGet, fiber.MethodHead, fiber.MethodPost, fiber.MethodPut, fiber.MethodPatch, fiber.MethodDelete, fiber.MethodOptions

		readTalks, writeTalks       = oauth.ScopeConversationsReadonly, oauth.ScopeConversations
		readUsers                   = oauth.ScopeUsersReadonly
		readSessions, writeSessions = oauth.ScopeCobrowseRead, oauth.ScopeCobrowseWrite
		readSites                   = oauth.ScopeWebDeploymentsReadonly
		notifications               = oauth.ScopeNotifications
	)
	return []route{
		{post, "/oauth/token", open, a.createToken},
		{post, "/oauth/revoke", open, a.revokeToken},
		{post, "/oauth/introspect", open, a.introspectToken},
		{get, "/.well-known/oauth-authorization-server", open, a.getMetadata},
		{get, "/.well-known/jwks.json", open, a.getKeys},
		{head, "/api/v2/tokens/me", anyToken, a.headTokensMe}, // before GET, which would answer it too
		{get, "/api/v2/tokens/me", anyToken, a.getTokensMe},
		{del, "/api/v2/tokens/me", anyToken, a.deleteTokensMe},
		{get, "/api/v2/oauth/scopes", anyToken, a.getScopes},

		// The official cobrowse calls: before /conversations/{conversationId}, which would take them.
		{get, cobrowsePath, readTalks, a.listCobrowse},
		{get, cobrowsePath + "/:conversationId", readTalks, a.getCobrowse},
		{patch, cobrowsePath + "/:conversationId", writeTalks, a.patchCobrowse},
		{put, cobrowsePath + "/:conversationId/recordingstate", writeTalks, a.putCobrowseRecording},
		{patch, cobrowsePath + "/:conversationId/participants/:participantId", writeTalks, a.patchCobrowseParticipant},
		{patch, cobrowsePath + "/:conversationId/participants/:participantId/attributes", writeTalks, a.patchCobrowseAttributes},
		{patch, cobrowsePath + "/:conversationId/participants/:participantId/communications/:communicationId", writeTalks, a.patchCobrowseCommunication},
		{post, cobrowsePath + "/:conversationId/participants/:participantId/replace", writeTalks, a.replaceCobrowseParticipant},
		{get, cobrowsePath + "/:conversationId/participants/:participantId/wrapup", readTalks, a.getCobrowseWrapup},
		{get, cobrowsePath + "/:conversationId/participants/:participantId/wrapupcodes", readTalks, a.getCobrowseWrapupCodes},
		{post, "/api/v2/conversations/:conversationId/cobrowse", writeTalks, a.createCobrowse},
		{get, offerPath, open, a.getOffer},
		{del, offerPath, open, a.deleteOffer},
		{options, offerPath, open, a.preflightOffer},

		{get, "/api/v2/conversations", readTalks, a.listConversations},
		{post, "/api/v2/conversations", writeTalks, a.createConversation},
		{get, "/api/v2/conversations/:conversationId", readTalks, a.getConversation},
		{del, "/api/v2/conversations/:conversationId", writeTalks, a.notAUser},
		{post, "/api/v2/conversations/:conversationId/disconnect", writeTalks, a.disconnectConversation},
		{patch, "/api/v2/conversations/:conversationId/participants/:participantId/attributes", writeTalks, a.setAttributes},
		{get, "/api/v2/users", readUsers, a.listUsers},
		{get, "/api/v2/users/me", anyToken, a.notAUser},
		{get, "/api/v2/users/:userId", readUsers, a.getUser},

		{get, "/api/v2/cobrowse/sessions", readSessions, a.listSessions},
		{post, "/api/v2/cobrowse/sessions", writeSessions, a.createSession},
		{post, "/api/v2/cobrowse/sessions/attach", writeSessions, a.attachSession},
		{get, "/api/v2/cobrowse/sessions/:sessionId", readSessions, a.getSession},
		{patch, "/api/v2/cobrowse/sessions/:sessionId", writeSessions, a.patchSession},
		{del, "/api/v2/cobrowse/sessions/:sessionId", writeSessions, a.deleteSession},
		{post, "/api/v2/cobrowse/sessions/:sessionId/participants", writeSessions, a.addParticipant},
		{del, "/api/v2/cobrowse/sessions/:sessionId/participants/:participantId", writeSessions, a.removeParticipant},
		{post, "/api/v2/cobrowse/sessions/:sessionId/participants/:participantId/tokens", readSessions, a.issueToken},
		{post, "/api/v2/cobrowse/join", open, a.join},
		{get, "/api/v2/cobrowse/history", readSessions, a.listHistory},
		{get, "/api/v2/cobrowse/history/:sessionId", readSessions, a.getRecord},
		{put, "/api/v2/cobrowse/history/:sessionId", writeSessions, a.putRecord},
		{post, "/api/v2/cobrowse/history/:sessionId/links", readSessions, a.createHistoryLink},

		{get, "/api/v2/cobrowse/deployments", readSessions, a.listDeployments},
		{post, "/api/v2/cobrowse/deployments", writeSessions, a.createDeployment},
		{get, "/api/v2/cobrowse/deployments/:deploymentId", readSessions, a.getDeployment},
		{put, "/api/v2/cobrowse/deployments/:deploymentId", writeSessions, a.putDeployment},
		{del, "/api/v2/cobrowse/deployments/:deploymentId", writeSessions, a.deleteDeployment},
		{post, "/api/v2/cobrowse/deployments/:deploymentId/sessions", open, a.startFromDeployment},
		{options, "/api/v2/cobrowse/deployments/:deploymentId/sessions", open, a.preflightStart},
		{get, "/api/v2/cobrowse/deployments/:deploymentId/settings", open, a.getScriptSettings},

		{get, webDeploymentsPath, readSites, a.listWebDeployments},
		{get, webDeploymentsPath + "/:deploymentId", readSites, a.getWebDeployment},
		{get, webConfigurationsPath + "/:configurationId/versions/:versionId", readSites, a.getWebConfiguration},

		{get, webhooksPath, readSessions, a.listWebhooks},
		{post, webhooksPath, writeSessions, a.createWebhook},
		{get, webhooksPath + "/:webhookId", readSessions, a.getWebhook},
		{put, webhooksPath + "/:webhookId", writeSessions, a.putWebhook},
		{del, webhooksPath + "/:webhookId", writeSessions, a.deleteWebhook},
		{post, webhooksPath + "/:webhookId/rotate", writeSessions, a.rotateWebhook},
		{post, webhooksPath + "/:webhookId/enable", writeSessions, a.enableWebhook},
		{post, webhooksPath + "/:webhookId/test", writeSessions, a.testWebhook},
		{get, webhooksPath + "/:webhookId/deliveries", readSessions, a.listDeliveries},
		{post, webhooksPath + "/:webhookId/deliveries/replay", writeSessions, a.replayDead},
		{get, webhooksPath + "/:webhookId/deliveries/:deliveryId", readSessions, a.getDelivery},
		{post, webhooksPath + "/:webhookId/deliveries/:deliveryId/replay", writeSessions, a.replayDelivery},

		{get, "/api/v2/notifications/availabletopics", notifications, a.listTopics},
		{post, channelsPath, notifications, a.createChannel},
		{get, channelsPath, notifications, a.listChannels},
		{head, channelsPath + "/:channelId", notifications, a.headChannel},
		{get, channelsPath + "/:channelId/subscriptions", notifications, a.listSubscriptions},
		{post, channelsPath + "/:channelId/subscriptions", notifications, a.addSubscriptions},
		{put, channelsPath + "/:channelId/subscriptions", notifications, a.replaceSubscriptions},
		{del, channelsPath + "/:channelId/subscriptions", notifications, a.deleteSubscriptions},

		{get, "/", open, a.getRoot},
		{get, "/healthz", open, getHealth},
		{get, "/readyz", open, a.getReadiness},
		{get, "/version", open, a.getVersion},
		{get, "/openapi.yaml", open, a.getOpenAPI},
		{get, "/docs", open, getDocs},
	}
}

// Route is one row of the table, as docs/openapi.yaml writes it.
type Route struct {
	Method string
	Path   string // parameters in braces
	Scope  string // empty = none is needed
	Open   bool   // no access token is needed
}

// Routes returns every route that [Mount] adds, except the parts of the page at /docs.
func Routes() []Route {
	rows := (&api{}).table()
	routes := make([]Route, len(rows))
	for i, r := range rows {
		routes[i] = Route{Method: r.method, Path: pathParameter.ReplaceAllString(r.path, "{$1}"), Open: r.scope == open}
		if r.scope != open {
			routes[i].Scope = string(r.scope)
		}
	}
	return routes
}

var pathParameter = regexp.MustCompile(`:(\w+)`)

// api holds what the handlers need.
type api struct {
	Deps
	prefix  string // path part of BaseURL, without a slash at the end
	schemas *schemas
	openAPI func() []byte
}

// Mount adds the routes to r. The app must have been made by web.NewApp with
// [OAuthDialect] among its dialects.
func Mount(r fiber.Router, d Deps) {
	a := newAPI(d)
	for _, row := range a.table() {
		switch {
		case d.ProbesApart && isProbe(row):
		case d.Conversations == nil && isStarter(row): // 405, as for any method that a path does not have
		default:
			add(r, row, a.guard(row))
		}
	}
	mountDocs(r)
}

// isStarter reports whether the row needs a directory that is kept here.
func isStarter(r route) bool { return r.method == fiber.MethodPost && r.path == conversationsPath }

// add adds a route, and HEAD along with GET, as RFC 9110 (section 9.1) asks for.
func add(r fiber.Router, row route, handle fiber.Handler) {
	r.Add(row.method, row.path, handle)
	if row.method == fiber.MethodGet {
		r.Add(fiber.MethodHead, row.path, handle)
	}
}

// MountProbes adds what says whether the service lives and is ready, for an
// address of its own. It needs nothing of d but the Checks.
func MountProbes(r fiber.Router, d Deps) {
	a := &api{Deps: d}
	for _, row := range a.table() {
		if isProbe(row) {
			add(r, row, row.handle)
		}
	}
}

func isProbe(r route) bool { return r.path == "/healthz" || r.path == "/readyz" }

func newAPI(d Deps) *api {
	d.BaseURL, d.ViewerBaseURL = strings.TrimRight(d.BaseURL, "/"), strings.TrimRight(d.ViewerBaseURL, "/")
	a := &api{Deps: d, prefix: prefixOf(d.BaseURL), schemas: newSchemas(docs.OpenAPI)}
	a.openAPI = servedDocument(docs.OpenAPI, a.prefix)
	return a
}

// prefixOf returns the path of an absolute URL, without a slash at the end.
func prefixOf(base string) string {
	_, rest, _ := strings.Cut(base, "://")
	_, path, found := strings.Cut(rest, "/")
	if !found {
		return ""
	}
	return "/" + path
}

// joinURL is where a browser goes with a join token.
func (a *api) joinURL(t cobrowse.JoinToken) string {
	return a.BaseURL + "/cobrowse/join?token=" + t.Raw
}
