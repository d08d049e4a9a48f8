package api

import (
	"cmp"
	"slices"

	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// The official models of cobrowsing. They are other words for the same sessions:
// a conversation has a communication of its own for each participant of a session.

// offerBody is the official model CobrowseWebMessagingSession. SessionJoinToken is
// the word of the official offer events, and stands in the answer to a customer's
// page alone.
type offerBody struct {
	ID                cobrowse.SessionID    `json:"id"`
	JoinCode          cobrowse.SessionToken `json:"joinCode"`
	WebsocketURL      string                `json:"websocketUrl"`
	DateOfferEnds     web.Time              `json:"dateOfferEnds,omitzero"` // while nobody has come to share
	CommunicationType string                `json:"communicationType"`
	SessionJoinToken  string                `json:"sessionJoinToken,omitempty"`
	SelfURI           string                `json:"selfUri"`
}

// cobrowseConversation is the official model CobrowseConversation.
type cobrowseConversation struct {
	ID                conversations.ID `json:"id"`
	Participants      []cobrowseMember `json:"participants"`
	OtherMediaURIs    []string         `json:"otherMediaUris"`
	RecentTransfers   []struct{}       `json:"recentTransfers"`
	InactivityTimeout web.Time         `json:"inactivityTimeout,omitzero"` // when the session ends unless something happens
	SelfURI           string           `json:"selfUri"`
}

// cobrowseMember is the official model CobrowseMediaParticipant: a participant and
// its communication in one.
type cobrowseMember struct {
	ID             conversations.ParticipantID `json:"id"`
	Name           string                      `json:"name,omitempty"`
	StartTime      web.Time                    `json:"startTime"`
	ConnectedTime  web.Time                    `json:"connectedTime,omitzero"`
	EndTime        web.Time                    `json:"endTime,omitzero"`
	Purpose        conversations.Purpose       `json:"purpose"`
	State          string                      `json:"state"`
	DisconnectType string                      `json:"disconnectType,omitempty"`
	Held           bool                        `json:"held"`
	WrapupRequired bool                        `json:"wrapupRequired"`
	MediaRoles     []string                    `json:"mediaRoles"`
	User           *userReference              `json:"user,omitempty"`
	Attributes     map[string]string           `json:"attributes"`

	// CommunicationID is ours: the official model has it in conversations alone.
	CommunicationID   string                        `json:"communicationId"`
	CobrowseSessionID cobrowse.SessionID            `json:"cobrowseSessionId"`
	CobrowseRole      string                        `json:"cobrowseRole"`
	Controlling       []conversations.ParticipantID `json:"controlling"`
	ViewerURL         string                        `json:"viewerUrl,omitempty"`
}

// userReference is how media-specific models name a user.
type userReference struct {
	ID      conversations.UserID `json:"id"`
	SelfURI string               `json:"selfUri"`
}

// cobrowseCommunication is the official model Cobrowsesession, without viewerUrl:
// who may read a conversation may not look at the customer's page with that alone.
type cobrowseCommunication struct {
	ID                string                        `json:"id"`
	State             string                        `json:"state"`
	InitialState      string                        `json:"initialState"`
	CobrowseSessionID cobrowse.SessionID            `json:"cobrowseSessionId"`
	CobrowseRole      string                        `json:"cobrowseRole"`
	Controlling       []conversations.ParticipantID `json:"controlling"`
	StartAlertingTime web.Time                      `json:"startAlertingTime,omitzero"`
	ConnectedTime     web.Time                      `json:"connectedTime,omitzero"`
	DisconnectedTime  web.Time                      `json:"disconnectedTime,omitzero"`
	DisconnectType    string                        `json:"disconnectType,omitempty"`
}

// The states of a cobrowse communication that occur here.
const (
	stateOffering     = "offering" // the customer is asked to share
	stateAlerting     = "alerting" // a viewer is awaited
	stateConnected    = "connected"
	stateDisconnected = "disconnected"
)

// side is a participant of a session as the conversation sees it.
type side struct {
	session         cobrowse.SessionID
	participant     cobrowse.Participant
	id              conversations.ParticipantID // of the conversation's participant, else of the session's
	member          conversations.Participant   // the conversation's participant; zero if there is none
	role            string
	communicationID string
	controlling     []conversations.ParticipantID

	initial, state, disconnectType string
	alerting, connected, ended     web.Time
}

// sidesOf returns those who are or were in a session, the sharer among them.
// Controllers of the old world have no word in the official models.
func (a *api) sidesOf(c conversations.Conversation, s cobrowse.Session) []side {
	sharer := s.Sharer()
	sides := make([]side, 0, len(s.Participants))
	for _, p := range s.Participants {
		if p.Role == cobrowse.RoleController || p.Removed && (s.Live() || p.JoinedAt.IsZero()) {
			continue
		}
		one := side{
			session: s.ID, participant: p, id: conversations.ParticipantID(p.ID), role: cobrowseRole(p, sharer),
			communicationID: s.CommunicationID(p.ID), controlling: []conversations.ParticipantID{},
			initial: stateAlerting, alerting: web.Time(s.CreatedAt), connected: web.Time(p.JoinedAt),
		}
		if p.ID == sharer {
			one.initial = stateOffering
		}
		if i := memberOf(c, p); i >= 0 {
			one.member, one.id = c.Participants[i], c.Participants[i].ID
		}
		switch {
		case !s.Live():
			one.state, one.disconnectType = stateDisconnected, disconnectType(s.EndReason)
			one.ended = web.Time(s.EndedAt)
			if !p.LeftAt.IsZero() {
				one.ended = web.Time(p.LeftAt)
			}
		case p.State == cobrowse.ParticipantLeft:
			one.state, one.disconnectType, one.ended = stateDisconnected, "client", web.Time(p.LeftAt)
		case p.State == cobrowse.ParticipantJoined:
			one.state = stateConnected
		default:
			one.state = one.initial
		}
		sides = append(sides, one)
	}
	if i := slices.IndexFunc(sides, func(one side) bool { return one.participant.ID == sharer }); i >= 0 && s.Live() {
		for j := range sides {
			if a.Sessions.Controls(s, sides[j].participant.ID) {
				sides[j].controlling = append(sides[j].controlling, sides[i].id)
			}
		}
	}
	return sides
}

// memberOf returns the index of the conversation's participant that a session's
// participant is: one who has not left, if there are several; -1 if there is none.
func memberOf(c conversations.Conversation, p cobrowse.Participant) int {
	if p.Role == cobrowse.RoleCustomer {
		return cobrowse.CustomerOf(c)
	}
	found := -1
	for i, member := range c.Participants {
		if p.UserID != "" && member.UserID == p.UserID && (found < 0 || member.Connected() && !c.Participants[found].Connected()) {
			found = i
		}
	}
	return found
}

// disconnectType is the official word for the end of a session.
func disconnectType(reason cobrowse.EndReason) string {
	switch reason {
	case cobrowse.EndParticipantLeft:
		return "endpoint"
	case cobrowse.EndRequested:
		return "client"
	case cobrowse.EndStopped:
		return "peer"
	case cobrowse.EndConversationEnded:
		return "system"
	case cobrowse.EndConnectionLost:
		return "transport.failure"
	case cobrowse.EndMaskingViolation:
		return "error"
	default: // inactive, neverJoined, maxDuration
		return "timeout"
	}
}

// purpose is what a participant is in its conversation; somebody who is not in it
// is named as if it were.
func (one side) purpose() conversations.Purpose {
	invited := conversations.PurposeUser
	switch one.participant.Role {
	case cobrowse.RoleCustomer:
		invited = conversations.PurposeCustomer
	case cobrowse.RoleAgent:
		invited = conversations.PurposeAgent
	default: // supervisors
	}
	return cmp.Or(one.member.Purpose, invited)
}

func (a *api) newCobrowseConversation(c conversations.Conversation, s cobrowse.Session) cobrowseConversation {
	body := cobrowseConversation{
		ID: s.ConversationID, Participants: []cobrowseMember{}, OtherMediaURIs: []string{}, RecentTransfers: []struct{}{},
		SelfURI: cobrowsePath + "/" + string(s.ConversationID),
	}
	if s.Live() {
		body.InactivityTimeout = web.Time(s.Deadline)
	}
	for _, one := range a.sidesOf(c, s) {
		m := cobrowseMember{
			ID: one.id, Name: cmp.Or(one.participant.Name, one.member.Name), StartTime: one.alerting, ConnectedTime: one.connected, EndTime: one.ended,
			Purpose: one.purpose(), State: one.state, DisconnectType: one.disconnectType, MediaRoles: one.member.MediaRoles, Attributes: one.member.Attributes,
			CommunicationID: one.communicationID, CobrowseSessionID: s.ID, CobrowseRole: one.role, Controlling: one.controlling,
		}
		if m.MediaRoles == nil {
			m.MediaRoles = []string{}
		}
		if m.Attributes == nil {
			m.Attributes = map[string]string{}
		}
		if user := one.participant.UserID; user != "" {
			m.User = &userReference{ID: user, SelfURI: usersPath + "/" + string(user)}
		}
		body.Participants = append(body.Participants, m)
	}
	return body
}

// addCobrowse adds the communications of a session to those participants of a
// conversation that take part in it.
func (a *api) addCobrowse(body *conversationBody, c conversations.Conversation, s cobrowse.Session) {
	for _, one := range a.sidesOf(c, s) {
		for i := range body.Participants {
			m := &body.Participants[i]
			if m.ID != one.member.ID {
				continue
			}
			m.CobrowseSessions = append(m.CobrowseSessions, cobrowseCommunication{
				ID: one.communicationID, State: one.state, InitialState: one.initial, CobrowseSessionID: s.ID, CobrowseRole: one.role, Controlling: one.controlling,
				StartAlertingTime: one.alerting, ConnectedTime: one.connected, DisconnectedTime: one.ended, DisconnectType: one.disconnectType,
			})
		}
	}
}

// communicationType is the official word for what a conversation is held over.
func communicationType(c conversations.Conversation) string {
	switch voice, digital := c.Kinds(); {
	case voice:
		return "Call"
	case digital:
		return "Message"
	default:
		return "Unknown"
	}
}

// newOfferBody needs no conversation but for its kind.
func (a *api) newOfferBody(s cobrowse.Session, c conversations.Conversation, self string) offerBody {
	body := offerBody{
		ID: s.ID, JoinCode: s.Token, CommunicationType: communicationType(c), SelfURI: self,
		// http becomes ws, https becomes wss
		WebsocketURL: "ws" + a.BaseURL[len("http"):] + sessionsPath + "/" + string(s.ID) + "/stream",
	}
	if s.Offered() {
		body.DateOfferEnds = web.Time(s.Deadline)
	}
	return body
}
