package mocks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// DefaultBaseURL is where the double says that it is. The name exists nowhere, so a
// request that does not go through the mock fails.
const DefaultBaseURL = "https://cobridge.mock.invalid"

// SiteOrigin is the origin of the web site of Mock.DeploymentID.
const SiteOrigin = "https://shop.mock.invalid"

// Everything has the same name in every mock, so that golden files can have them.
const (
	orgID        = "c0b41d00-0000-4000-8000-000000000001"
	otherOrgID   = "c0b41d00-0000-4000-8000-000000000002"
	agentID      = "c0b41d00-0000-4000-8000-0000000000a1"
	supervisorID = "c0b41d00-0000-4000-8000-0000000000a2"
	incapableID  = "c0b41d00-0000-4000-8000-0000000000a3"
	strangerID   = "c0b41d00-0000-4000-8000-0000000000b1"
	activeTalkID = "c0b41d00-0000-4000-8000-0000000000c1"
	othersTalkID = "c0b41d00-0000-4000-8000-0000000000c2"
	noTalkID     = "c0b41d00-0000-4000-8000-0000000000cf"
	siteID       = "c0b41d00-0000-4000-8000-0000000000d1"
	clientID     = "c0b41d00-0000-4000-8000-0000000000e1"
	strangersID  = "c0b41d00-0000-4000-8000-0000000000e2"
	readerID     = "c0b41d00-0000-4000-8000-0000000000e3"

	clientSecret    = "cobridge-mock-secret-of-the-client-00000000"
	strangersSecret = "cobridge-mock-secret-of-the-stranger-000000"
	readerSecret    = "cobridge-mock-secret-of-the-reader-00000000"
)

// Credentials are those of an OAuth client.
type Credentials struct {
	ClientID     string
	ClientSecret string
}

// World is what there is in a double, and where: a test needs it to use the API. The
// fields are not to be changed.
type World struct {
	BaseURL string // of the token endpoint, the API and the join page; scheme://host

	Credentials             // of an OAuth client with all scopes
	Reader      Credentials // of one that may read sessions and users, and nothing else
	Other       Credentials // of one in another organisation

	OrgID            string
	AgentUserID      string // agent of the conversation; may cobrowse, unless the scenario says otherwise
	SupervisorUserID string // may cobrowse
	IncapableUserID  string // may not cobrowse
	OtherUserID      string // a user of the other organisation
	DeploymentID     string // a web site, with the one origin SiteOrigin

	ConversationID string // what the scenario is about
	SessionID      string // that the conversation has; "" unless the scenario has one
}

func newWorld(baseURL string) World {
	return World{
		BaseURL: baseURL, Credentials: Credentials{clientID, clientSecret},
		Reader: Credentials{readerID, readerSecret}, Other: Credentials{strangersID, strangersSecret},
		OrgID: orgID, AgentUserID: agentID, SupervisorUserID: supervisorID, IncapableUserID: incapableID, OtherUserID: strangerID,
		DeploymentID: siteID, ConversationID: activeTalkID,
	}
}

// Scenario is a situation in which the code under test is put. It decides what
// Mock.ConversationID, Mock.AgentUserID and Mock.SessionID name, so that one test can
// go through several with the same code.
type Scenario int

// The scenarios, and what creating a session on Mock.ConversationID then gives.
const (
	ActiveConversation  Scenario = iota // a conversation of a customer and an agent: 201. Where no other is given
	NoConversation                      // there is no such conversation: 404
	ForeignConversation                 // it is another organisation's: 404, as if there were none
	EndedConversation                   // it has ended: 404
	IncapableUser                       // Mock.AgentUserID lacks the cobrowse capability: 403
	SessionThere                        // it has a session that waits for its people, Mock.SessionID: 409
	SessionActive                       // it has one in which customer and agent are connected, Mock.SessionID: 409
)

// Scenarios returns all scenarios.
func Scenarios() []Scenario {
	return []Scenario{ActiveConversation, NoConversation, ForeignConversation, EndedConversation, IncapableUser, SessionThere, SessionActive}
}

// String returns a few words, for the names of sub-tests.
func (s Scenario) String() string {
	switch s {
	case ActiveConversation:
		return "active conversation"
	case NoConversation:
		return "no conversation"
	case ForeignConversation:
		return "foreign conversation"
	case EndedConversation:
		return "ended conversation"
	case IncapableUser:
		return "user without capability"
	case SessionThere:
		return "session already there"
	case SessionActive:
		return "session already active"
	}
	return fmt.Sprintf("Scenario(%d)", int(s))
}

// name is String with dashes, as on command lines and in JSON.
func (s Scenario) name() string { return strings.ReplaceAll(s.String(), " ", "-") }

// ParseScenario returns the scenario whose String is text, with spaces or dashes
// between the words.
func ParseScenario(text string) (Scenario, error) {
	var names []string
	for _, s := range Scenarios() {
		if s.name() == strings.ReplaceAll(text, " ", "-") {
			return s, nil
		}
		names = append(names, s.name())
	}
	return 0, fmt.Errorf("there is no scenario %q; there are %s", text, strings.Join(names, ", "))
}

// newConfig returns the configuration of the double: the service's defaults, two
// organisations, and no rate limits, since a clock that stands still never refills one.
func newConfig(baseURL string, now time.Time) config.Config {
	c := config.Default()
	c.Listen, c.BaseURL = "127.0.0.1:0", baseURL
	c.Limits.TokenPerMinute, c.Limits.AddressPerMinute, c.Limits.FailedLoginsPerMinute, c.Limits.StartsPerMinute = 0, 0, 0, 0
	c.Legacy.Organisation = orgID
	able := config.Capability{Voice: true, Digital: true}
	c.Organisations = []config.Organisation{
		{
			ID: orgID, Name: "Mock",
			Users: []config.User{
				{ID: agentID, Name: "Ada Agent", Email: "ada@mock.invalid", Title: "Agent", Cobrowse: able},
				{ID: supervisorID, Name: "Sam Supervisor", Email: "sam@mock.invalid", Title: "Supervisor", Cobrowse: able},
				{ID: incapableID, Name: "Ivo Incapable", Email: "ivo@mock.invalid", Title: "Agent"},
			},
			Conversations: []config.Conversation{{ID: activeTalkID, MediaType: "message", StartedAt: now, Participants: between(agentID)}},
			Deployments: []config.Deployment{{
				ID: siteID, Name: "Shop", AllowedOrigins: []string{SiteOrigin}, StartURL: SiteOrigin + "/",
				AllowAgentControl: true, AllowAgentNavigation: true, AllowDraw: true, // in sessions whose settings let them
			}},
			Clients: []config.Client{
				{ID: clientID, Name: "Mock client", Scopes: scopes(), Secret: clientSecret},
				{ID: readerID, Name: "Mock reader", Scopes: []string{"cobrowse:session:read", "user:read"}, Secret: readerSecret},
			},
		},
		{
			ID: otherOrgID, Name: "Elsewhere",
			Users:         []config.User{{ID: strangerID, Name: "Olga Other", Email: "olga@elsewhere.invalid", Cobrowse: able}},
			Conversations: []config.Conversation{{ID: othersTalkID, MediaType: "message", StartedAt: now, Participants: between(strangerID)}},
			Clients:       []config.Client{{ID: strangersID, Name: "Elsewhere's client", Scopes: scopes(), Secret: strangersSecret}},
		},
	}
	return c
}

// scopes are all that there are.
func scopes() []string {
	var names []string
	for _, scope := range oauth.Scopes() {
		names = append(names, string(scope.Scope))
	}
	return names
}

// between are the two people of a conversation.
func between(agent string) []config.Participant {
	return []config.Participant{{Purpose: "customer", Name: "Kim Customer"}, {Purpose: "agent", UserID: agent}}
}

// arrange makes the situation.
func (d *double) arrange(ctx context.Context, s Scenario) error {
	var err error
	switch s {
	case ActiveConversation:
	case NoConversation:
		d.ConversationID = noTalkID
	case ForeignConversation:
		d.ConversationID = othersTalkID
	case EndedConversation:
		err = d.endConversation(ctx, d.ConversationID)
	case IncapableUser:
		d.AgentUserID = d.IncapableUserID
		d.ConversationID, err = d.startConversation(ctx, "message", d.AgentUserID)
	case SessionThere:
		d.SessionID, err = d.startSession(ctx, d.ConversationID)
	case SessionActive:
		if d.SessionID, err = d.startSession(ctx, d.ConversationID); err != nil {
			return err
		}
		if err := d.join(ctx, d.SessionID, string(cobrowse.RoleCustomer)); err != nil {
			return err
		}
		return d.join(ctx, d.SessionID, string(cobrowse.RoleAgent))
	default:
		return fmt.Errorf("there is no %s", s)
	}
	return err
}

func (d *double) startConversation(ctx context.Context, medium, agent string) (string, error) {
	c, err := d.app.Directory().Create(ctx, orgID, conversations.NewConversation{
		Medium: conversations.Medium(medium),
		Participants: []conversations.NewParticipant{
			{Purpose: conversations.PurposeCustomer, Name: "Kim Customer"},
			{Purpose: conversations.PurposeAgent, UserID: conversations.UserID(agent)},
		},
	})
	if err != nil {
		return "", fmt.Errorf("start a conversation: %w", err)
	}
	return string(c.ID), nil
}

func (d *double) endConversation(ctx context.Context, id string) error {
	if err := d.app.Directory().Disconnect(ctx, orgID, conversations.ID(id)); err != nil {
		return fmt.Errorf("end conversation %s: %w", id, err)
	}
	return nil
}

func (d *double) startSession(ctx context.Context, conversationID string) (string, error) {
	return d.startSessionOf(ctx, conversationID, d.AgentUserID)
}

func (d *double) startSessionOf(ctx context.Context, conversationID, agent string) (string, error) {
	started, err := d.app.Cobrowse().Start(ctx, cobrowse.StartRequest{
		OrgID: orgID, ClientID: clientID, ConversationID: conversations.ID(conversationID), AllowRemoteControl: true,
		Participants: []cobrowse.Invite{
			{Role: cobrowse.RoleCustomer, Name: "Kim Customer"},
			{Role: cobrowse.RoleAgent, UserID: conversations.UserID(agent)},
			{Role: cobrowse.RoleSupervisor, UserID: conversations.UserID(d.SupervisorUserID)},
		},
	})
	if err != nil {
		return "", fmt.Errorf("start a session on conversation %s: %w", conversationID, err)
	}
	return string(started.Session.ID), nil
}

// StartConversation starts a conversation of Kim Customer with Mock.AgentUserID, as
// in an organisation whose work goes on, and returns its id. The medium is call,
// callback, chat, email or message.
func (m *Mock) StartConversation(medium string) string {
	m.t.Helper()
	id, err := m.double.startConversation(m.t.Context(), medium, m.AgentUserID)
	m.must(err)
	return id
}

// EndConversation ends a conversation, and with it its session.
func (m *Mock) EndConversation(id string) {
	m.t.Helper()
	m.must(m.double.endConversation(m.t.Context(), id))
}

// StartSession starts a session of customer, agent and supervisor on a conversation,
// as another client of the organisation would, and returns its id.
func (m *Mock) StartSession(conversationID string) string {
	m.t.Helper()
	id, err := m.double.startSession(m.t.Context(), conversationID)
	m.must(err)
	return id
}
