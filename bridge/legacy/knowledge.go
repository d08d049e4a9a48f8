package legacy

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/knowledge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/oauth"
)

// KnowledgeConfig is what [MountKnowledge] is told.
type KnowledgeConfig struct {
	Sessions     knowledgeSessions // a *knowledge.Service
	Access       Access
	Profile      knowledge.Profile // of Sessions; it decides the shape of answers
	BasePath     string            // of the legacy server, such as /gks-server/v1
	BareSessions bool              // also without it
}

// knowledgeSessions is the part of *knowledge.Service that is called here.
type knowledgeSessions interface {
	Create(ctx context.Context, org knowledge.OrgID, tenant string, f knowledge.Facts) (knowledge.Session, error)
	Retrieve(ctx context.Context, key knowledge.Key, f knowledge.Facts) (knowledge.Session, error)
	Update(ctx context.Context, key knowledge.Key, u knowledge.Update) (knowledge.Session, error)
}

const (
	// The two headers that name whom a session belongs to. They have an underscore,
	// never a dash, and compare in any case as all names of headers do.
	headerKnowledgeAgent    = "gkc_agentId"
	headerKnowledgeCustomer = "gkc_customerId"

	// newKnowledgeSession stands in the path in place of an id where one is created;
	// so no session can have it as its id.
	newKnowledgeSession = "new"

	// maxKnowledgeBody bounds a body in bytes: three ids at their longest, with every
	// character escaped, are below it.
	maxKnowledgeBody = 8 << 10

	// statusKnowledgeTaken answers a create whose identity has a live session, and an
	// update of a session that is tied to somebody else (reference of 8.5.0: "400 if
	// the dataset already exists"). Everywhere else here a conflict is 409.
	statusKnowledgeTaken = fiber.StatusBadRequest
)

// knowledgeAPI answers the Session Management API of Genesys Knowledge Center
// (https://docs.genesys.com/Documentation/KC, API/SessionManagement).
type knowledgeAPI struct {
	KnowledgeConfig
}

// MountKnowledge adds the three operations of Knowledge Center sessions. The app must
// have been made by web.NewApp with [KnowledgeDialects] among its dialects.
func MountKnowledge(r fiber.Router, cfg KnowledgeConfig) {
	k := &knowledgeAPI{cfg}
	for _, base := range cfg.bases() {
		created, session := base+"/sessions/"+newKnowledgeSession, base+"/sessions/:sessionId"
		r.Put(created, k.admitted(k.create))
		r.Get(session, k.admitted(k.retrieve))
		r.Post(session, k.admitted(k.update))
		if len(cfg.Access.Origins) > 0 {
			const headers = "Authorization, Content-Type, " + headerKnowledgeAgent + ", " + headerKnowledgeCustomer + ", " + web.HeaderCorrelationID
			r.Options(created, cfg.Access.preflight(fiber.MethodPut, headers))
			r.Options(session, cfg.Access.preflight(fiber.MethodGet+", "+fiber.MethodPost, headers))
		}
	}
}

// bases are what the paths begin with.
func (cfg KnowledgeConfig) bases() []string {
	if cfg.BareSessions {
		return []string{cfg.BasePath, ""}
	}
	return []string{cfg.BasePath}
}

// knowledgeFailure is an error of this surface. No public document has its body; what
// the reference of 9.0 says is "error code and description".
type knowledgeFailure struct {
	Code        int    `json:"code"` // the HTTP status
	Description string `json:"description"`
}

type knowledgeErrorBody struct {
	knowledgeFailure
	Error knowledgeFailure `json:"error"` // the same again, for clients that look one level down
}

// KnowledgeDialects are how the paths of this surface speak of failures.
func KnowledgeDialects(cfg KnowledgeConfig) []web.Dialect {
	write := func(c *fiber.Ctx, f web.Failure) error {
		if f.Code == cobridge.CodeConflict {
			f.Status = statusKnowledgeTaken
		}
		if f.Status == fiber.StatusUnauthorized {
			c.Set(fiber.HeaderWWWAuthenticate, cfg.Access.challenge(f.Code))
		}
		out := knowledgeFailure{Code: f.Status, Description: f.Message}
		return c.Status(f.Status).JSON(knowledgeErrorBody{out, out})
	}
	dialects := []web.Dialect{{Prefix: cfg.BasePath, Write: write}}
	if cfg.BareSessions {
		dialects = append(dialects, web.Dialect{Prefix: "/sessions", Write: write})
	}
	return dialects
}

// admitted lets the caller in first.
func (k *knowledgeAPI) admitted(handle func(*fiber.Ctx, caller) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderCacheControl, "no-store")
		who, err := k.Access.admit(c)
		if err != nil {
			return err
		}
		return handle(c, who)
	}
}

// create answers PUT …/sessions/new. Success is 200, not 201.
func (k *knowledgeAPI) create(c *fiber.Ctx, _ caller) error {
	in, err := readKnowledge(c)
	if err != nil {
		return err
	}
	key := k.key(c, "")
	s, err := k.Sessions.Create(c.UserContext(), key.OrgID, key.TenantID, in.Facts)
	if err != nil {
		return err
	}
	return k.answer(c, s)
}

// retrieve answers GET …/sessions/{sessionId}; what the headers say names a session
// that is created by it. A body is not looked at.
func (k *knowledgeAPI) retrieve(c *fiber.Ctx, _ caller) error {
	id, err := knowledgeID(c)
	if err != nil {
		return err
	}
	facts, err := knowledgeClaims(c)
	if err != nil {
		return err
	}
	s, err := k.Sessions.Retrieve(c.UserContext(), k.key(c, id), facts)
	if err != nil {
		return err
	}
	return k.answer(c, s)
}

// update answers POST …/sessions/{sessionId}.
func (k *knowledgeAPI) update(c *fiber.Ctx, who caller) error {
	id, err := knowledgeID(c)
	if err != nil {
		return err
	}
	in, err := readKnowledge(c)
	if err != nil {
		return err
	}
	in.MayTie = who.may(oauth.ScopeConversations)
	s, err := k.Sessions.Update(c.UserContext(), k.key(c, id), in)
	if err != nil {
		return err
	}
	return k.answer(c, s)
}

func (k *knowledgeAPI) key(c *fiber.Ctx, id knowledge.SessionID) knowledge.Key {
	return knowledge.Key{OrgID: knowledge.OrgID(k.Access.Org), TenantID: c.Query("tenantId"), ID: id}
}

// knowledgeID returns the session id of the path. The word for a new one is the
// address of create, which has no other method.
func knowledgeID(c *fiber.Ctx) (knowledge.SessionID, error) {
	id := web.PathParam(c, "sessionId")
	if id == newKnowledgeSession {
		return "", web.WithBody(&cobridge.Error{Code: cobridge.CodeMethodNotAllowed}, nil, web.Header{Name: fiber.HeaderAllow, Value: fiber.MethodPut})
	}
	return knowledge.SessionID(id), nil
}

// knowledgeRequest is the optional body of create and update.
type knowledgeRequest struct {
	VisitID        knowledgeText `json:"visitId"`
	GlobalVisitID  knowledgeText `json:"globalVisitId"`
	ConversationID knowledgeText `json:"conversationId"` // an addition of ours, of update
}

// knowledgeText is a string, and not null, which encoding/json would take for one.
type knowledgeText string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *knowledgeText) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '"' {
		// This kind of error gets the name of the field from the decoder.
		return &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeFor[string]()}
	}
	return json.Unmarshal(data, (*string)(t))
}

// readKnowledge reads headers and body. Real clients send neither body nor content
// type; a body without a content type is taken for JSON.
func readKnowledge(c *fiber.Ctx) (knowledge.Update, error) {
	facts, err := knowledgeClaims(c)
	if err != nil {
		return knowledge.Update{}, err
	}
	var in knowledgeRequest
	if web.HasBody(c) {
		if len(c.Request().Header.ContentType()) == 0 {
			c.Request().Header.SetContentType(fiber.MIMEApplicationJSON)
		}
		if err := web.DecodeLimit(c, &in, maxKnowledgeBody); err != nil {
			return knowledge.Update{}, err
		}
	}
	facts.VisitID, facts.GlobalVisitID = string(in.VisitID), string(in.GlobalVisitID)
	return knowledge.Update{Facts: facts, ConversationID: string(in.ConversationID)}, nil
}

// knowledgeClaims reads the two headers: claims of the caller, which nothing proves.
func knowledgeClaims(c *fiber.Ctx) (knowledge.Facts, error) {
	agent, err := claimed(c, headerKnowledgeAgent)
	if err != nil {
		return knowledge.Facts{}, err
	}
	customer, err := claimed(c, headerKnowledgeCustomer)
	if err != nil {
		return knowledge.Facts{}, err
	}
	return knowledge.Facts{AgentID: agent, CustomerID: customer}, nil
}

// claimed returns the value of a header, "" without one. A header that comes twice
// would be read otherwise by whoever stands between the caller and us.
func claimed(c *fiber.Ctx, name string) (string, error) {
	lines := c.Request().Header.PeekAll(name)
	switch len(lines) {
	case 0:
		return "", nil
	case 1:
		return strings.TrimSpace(string(lines[0])), nil
	default:
		return "", &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "The header " + name + " is repeated."}
	}
}

// knowledgeInfo is SessionInfo, whose definition is not public: names of members come
// from the requests and from what a real client reads. Absent rather than null.
type knowledgeInfo struct {
	SessionID      knowledge.SessionID `json:"sessionId"`
	CustomerID     string              `json:"customerId,omitempty"`
	AgentID        string              `json:"agentId,omitempty"`
	VisitID        string              `json:"visitId,omitempty"`
	GlobalVisitID  string              `json:"globalVisitId,omitempty"`
	TenantID       string              `json:"tenantId,omitempty"`
	ConversationID string              `json:"conversationId,omitempty"`
	Created        int64               `json:"created"`    // milliseconds since 1970
	LastAccess     int64               `json:"lastAccess"` // the same
}

func newKnowledgeInfo(s knowledge.Session) knowledgeInfo {
	return knowledgeInfo{
		SessionID: s.ID, CustomerID: s.CustomerID, AgentID: s.AgentID, VisitID: s.VisitID, GlobalVisitID: s.GlobalVisitID,
		TenantID: s.TenantID, ConversationID: s.ConversationID, Created: s.CreatedAt.UnixMilli(), LastAccess: s.LastAccess.UnixMilli(),
	}
}

// answer writes a session in the shape of the profile: the payload in the member
// response, as documented for 9.0; before it also at the top level, where a real
// client of the v1 API reads it.
func (k *knowledgeAPI) answer(c *fiber.Ctx, s knowledge.Session) error {
	info := newKnowledgeInfo(s)
	if k.Profile == knowledge.Profile90 {
		return c.JSON(struct {
			Response knowledgeInfo `json:"response"`
		}{info})
	}
	return c.JSON(struct {
		knowledgeInfo
		Response knowledgeInfo `json:"response"`
	}{info, info})
}
