package cobrowse

import (
	"slices"
	"time"

	"github.com/cobridge/cobridge/conversations"
)

// SessionID names a session, and after its end the history record: a lower-case UUID.
type SessionID string

// ParticipantID names a participant of a session. It is the user id of an agent
// or supervisor and a generated UUID for a customer.
type ParticipantID string

// State is where a session stands in its life.
type State string

// A session goes from idle to active to ended, or from idle to ended, and never back.
const (
	StateIdle   State = "idle"   // not both sides have been connected yet
	StateActive State = "active" // the sharer and a viewer have been connected at the same moment
	StateEnded  State = "ended"  // final
)

// Role is what a participant is.
type Role string

// The roles of participants.
const (
	RoleCustomer   Role = "customer"
	RoleAgent      Role = "agent"
	RoleSupervisor Role = "supervisor"
	RoleController Role = "controller" // steers a session and sees nothing of it; comes with [Service.Enter] alone
)

// Roles returns the roles that somebody can be invited as.
func Roles() []Role { return []Role{RoleAgent, RoleCustomer, RoleSupervisor} }

// ParticipantState tells whether a participant has come.
type ParticipantState string

// States of a participant.
const (
	ParticipantInvited ParticipantState = "invited"
	ParticipantJoined  ParticipantState = "joined"
	ParticipantLeft    ParticipantState = "left"
)

// EndReason says why a session ended. The values stand on the wire.
type EndReason string

// The end reasons.
const (
	EndParticipantLeft   EndReason = "participantLeft"   // the customer or the agent pressed exit
	EndConversationEnded EndReason = "conversationEnded" // the anchor is gone
	EndInactive          EndReason = "inactive"          // nobody joined or did anything for Settings.Timeout
	EndNeverJoined       EndReason = "neverJoined"       // it never became active
	EndConnectionLost    EndReason = "connectionLost"    // sharer or agent did not come back within the grace time
	EndMaxDuration       EndReason = "maxDuration"
	EndRequested         EndReason = "ended"            // through the API
	EndMaskingViolation  EndReason = "maskingViolation" // masked content was seen on the wire
	EndStopped           EndReason = "stopped"          // by a controller
)

// EndReasons returns every end reason.
func EndReasons() []EndReason {
	return []EndReason{
		EndParticipantLeft, EndConversationEnded, EndInactive, EndNeverJoined, EndConnectionLost, EndMaxDuration, EndRequested,
		EndMaskingViolation, EndStopped,
	}
}

// Settings are what the creator of a session may choose.
type Settings struct {
	AllowRemoteControl bool          `json:",omitzero"` // a viewer may ask to control the sharer's page
	Timeout            time.Duration // of inactivity; 1..480 whole minutes
}

// Connection is the present or latest live link of a participant.
type Connection struct {
	Number   uint64    `json:",omitzero"` // counts the participant's links, from 1; 0 = never had one
	Open     bool      `json:",omitzero"` // a stream is open
	ClosedAt time.Time `json:",omitzero"` // since when there is none; the grace time counts from here
	Node     string    `json:",omitzero"` // the process that has it, where several serve one store
}

// Participant is somebody who was invited into a session.
type Participant struct {
	ID         ParticipantID
	UserID     conversations.UserID `json:",omitzero"` // empty for a customer, a controller, and an agent of whom only the desk is known
	Desk       string               `json:",omitzero"` // browser of somebody who came with the nine digits
	Role       Role
	Name       string `json:",omitzero"`
	State      ParticipantState
	JoinedAt   time.Time `json:",omitzero"` // first time; zero before
	LeftAt     time.Time `json:",omitzero"` // zero while invited or joined
	Stays      []Stay    `json:",omitzero"` // from when to when the participant was there, oldest first
	Removed    bool      `json:",omitzero"` // may not come back unless invited again
	Invitation uint64    `json:",omitzero"` // counts the invitations after the first; a join token is good for its own only
	// AllowControl lets a supervisor ask for what agents may ask for.
	AllowControl bool       `json:",omitzero"`
	Connection   Connection `json:",omitzero"`
	Resume       Resume     `json:",omitzero"`
}

// Stay is a time for which a participant was in the session. Reloads and repaired
// connections are part of one.
type Stay struct {
	From time.Time
	To   time.Time // zero while it lasts
}

// PageVisit is one page of the sharer.
type PageVisit struct {
	URL       string // sanitised: no user info, query or fragment
	Title     string
	EnteredAt time.Time
	LeftAt    time.Time `json:",omitzero"` // zero while it is shown
}

// Session is one cobrowse attempt on one conversation. It is a value: a Store
// hands out copies, so changing one changes nothing until it is part of a
// [Change]. As it was when it ended it is the history record.
type Session struct {
	ID             SessionID
	OrgID          conversations.OrgID
	ConversationID conversations.ID `json:",omitzero"` // empty until a session started by a customer is attached
	DeploymentID   DeploymentID     `json:",omitzero"` // whose pages may be shared, and whose rules hold; may be empty
	Token          SessionToken     // nine digits, unique among live sessions
	Legacy         bool             `json:",omitzero"` // opened in the ways of the old product: the agent alone makes it active
	Settings       Settings
	Participants   []Participant
	Pages          []PageVisit `json:",omitzero"` // oldest first
	Grants         []Grant     `json:",omitzero"` // oldest first
	Actions        []Action    `json:",omitzero"` // oldest first
	ActionsLeftOut int         `json:",omitzero"` // that came when there was no room for more
	Violation      Violation   `json:",omitzero"` // of masking; zero = none

	CreatedAt   time.Time
	CreatedBy   string    // OAuth client id, or empty
	ActivatedAt time.Time `json:",omitzero"` // zero before
	EndedAt     time.Time `json:",omitzero"` // zero while live
	EndReason   EndReason `json:",omitzero"` // set together with EndedAt

	TokenIssuedAt  time.Time // latest join token
	LastActivityAt time.Time `json:",omitzero"` // latest join, user input or control; zero before the first join
	// Deadline is the moment at which the session ends unless something happens
	// before. A passed deadline is the end, whoever notices first.
	Deadline       time.Time
	DeadlineReason EndReason

	// Version counts the committed changes, from 1. A Store refuses a change that
	// was computed from another version than the one it holds.
	Version uint64
}

// State tells where s stands.
func (s Session) State() State {
	switch {
	case !s.EndedAt.IsZero():
		return StateEnded
	case !s.ActivatedAt.IsZero():
		return StateActive
	default:
		return StateIdle
	}
}

// Live reports whether s has not ended.
func (s Session) Live() bool { return s.EndedAt.IsZero() }

// Sharer returns the id of the participant whose page is shown: the customer if
// the session has one, else the agent. It is fixed at creation.
func (s Session) Sharer() ParticipantID {
	for _, role := range []Role{RoleCustomer, RoleAgent} {
		for _, p := range s.Participants {
			if p.Role == role {
				return p.ID
			}
		}
	}
	return ""
}

// Participant returns the participant with the given id who was not removed.
func (s Session) Participant(id ParticipantID) (Participant, bool) {
	if i := s.index(id); i >= 0 {
		return s.Participants[i], true
	}
	return Participant{}, false
}

// UserNumber returns the number of a participant in its session, from 1; 0 if it
// is none. Numbers stay as they are while the session lives.
func (s Session) UserNumber(id ParticipantID) int {
	return slices.IndexFunc(s.Participants, func(p Participant) bool { return p.ID == id }) + 1
}

func (s Session) index(id ParticipantID) int {
	return slices.IndexFunc(s.Participants, func(p Participant) bool { return p.ID == id && !p.Removed })
}

// Clone returns a copy of s that shares no memory with it.
func (s Session) Clone() Session {
	s.Participants = slices.Clone(s.Participants)
	for i := range s.Participants {
		s.Participants[i].Stays = slices.Clone(s.Participants[i].Stays)
	}
	s.Pages = slices.Clone(s.Pages)
	s.Grants = slices.Clone(s.Grants)
	s.Actions = slices.Clone(s.Actions)
	return s
}
