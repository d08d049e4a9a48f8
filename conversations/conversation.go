package conversations

import (
	"maps"
	"slices"
	"time"
)

// OrgID names an organisation: a lower-case UUID.
type OrgID string

// ID names a conversation: a lower-case UUID.
type ID string

// ParticipantID names one participant of one conversation: a lower-case UUID.
// It is not a user id; see [Participant.UserID].
type ParticipantID string

// Organisation is a tenant. Nothing of one is visible to another.
type Organisation struct {
	ID   OrgID
	Name string
}

// Medium is the kind of a communication.
type Medium string

// The media a conversation can be created with.
const (
	MediumCall     Medium = "call"
	MediumCallback Medium = "callback"
	MediumChat     Medium = "chat"
	MediumEmail    Medium = "email"
	MediumMessage  Medium = "message"
)

// Media returns every known medium.
func Media() []Medium {
	return []Medium{MediumCall, MediumCallback, MediumChat, MediumEmail, MediumMessage}
}

// Voice reports whether m counts as voice; all other media count as digital.
// The cobrowse capability of a user is given per voice and digital.
func (m Medium) Voice() bool { return m == MediumCall || m == MediumCallback }

// Purpose says what a participant is in a conversation.
type Purpose string

// The purposes a participant of a conversation can have
// (https://developer.genesys.cloud, model Participant).
const (
	PurposeAgent    Purpose = "agent"
	PurposeUser     Purpose = "user"
	PurposeCustomer Purpose = "customer"
	PurposeExternal Purpose = "external"
	PurposeACD      Purpose = "acd"
	PurposeIVR      Purpose = "ivr"
)

// Purposes returns every known purpose.
func Purposes() []Purpose {
	return []Purpose{PurposeAgent, PurposeUser, PurposeCustomer, PurposeExternal, PurposeACD, PurposeIVR}
}

// CommunicationState is where a communication stands. Only the two states that
// the local directory produces are named; others come from remote directories.
type CommunicationState string

// States of a communication.
const (
	StateConnected    CommunicationState = "connected"
	StateDisconnected CommunicationState = "disconnected"
	StateTerminated   CommunicationState = "terminated"
)

// Over reports whether the communication has ended.
func (s CommunicationState) Over() bool { return s == StateDisconnected || s == StateTerminated }

// Communication is one participant's part in one medium.
type Communication struct {
	ID             string // lower-case UUID
	Medium         Medium
	State          CommunicationState
	Direction      string // "inbound" or "outbound", as seen by the contact centre
	ConnectedAt    time.Time
	DisconnectedAt time.Time `json:",omitzero"` // zero while it lasts
}

// Participant is somebody or something in a conversation.
type Participant struct {
	ID             ParticipantID
	Purpose        Purpose
	UserID         UserID            `json:",omitzero"` // empty for customers and machines
	Name           string            `json:",omitzero"`
	QueueID        string            `json:",omitzero"` // of the queue that the participant came through, or answers for
	MediaRoles     []string          `json:",omitzero"` // for instance "monitor" or "coach"
	Attributes     map[string]string `json:",omitzero"`
	Communications []Communication   `json:",omitzero"`
	ConnectedAt    time.Time
	EndedAt        time.Time `json:",omitzero"` // zero while connected
}

// Connected reports whether p takes part at present.
func (p Participant) Connected() bool { return p.EndedAt.IsZero() }

// Role is the word that the tutorial surface uses for the purpose: the same
// one, except that a user who only monitors or coaches is a "supervisor".
func (p Participant) Role() string {
	if p.Purpose == PurposeUser && (slices.Contains(p.MediaRoles, "monitor") || slices.Contains(p.MediaRoles, "coach")) {
		return "supervisor"
	}
	return string(p.Purpose)
}

// Conversation is one interaction with a customer.
type Conversation struct {
	ID           ID
	OrgID        OrgID
	ExternalTag  string `json:",omitzero"`
	StartedAt    time.Time
	EndedAt      time.Time `json:",omitzero"` // zero while it lasts
	Participants []Participant
}

// Active reports whether a cobrowse session may be tied to c: it has not ended
// and at least one communication is not over.
func (c Conversation) Active() bool {
	if !c.EndedAt.IsZero() {
		return false
	}
	for _, p := range c.Participants {
		for _, com := range p.Communications {
			if !com.State.Over() {
				return true
			}
		}
	}
	return false
}

// Kinds reports which kinds of communication of c are not over.
func (c Conversation) Kinds() (voice, digital bool) {
	for _, p := range c.Participants {
		for _, com := range p.Communications {
			if com.State.Over() {
				continue
			}
			voice = voice || com.Medium.Voice()
			digital = digital || !com.Medium.Voice()
		}
	}
	return voice, digital
}

// Participant returns the participant with the given id.
func (c Conversation) Participant(id ParticipantID) (Participant, bool) {
	i := slices.IndexFunc(c.Participants, func(p Participant) bool { return p.ID == id })
	if i < 0 {
		return Participant{}, false
	}
	return c.Participants[i], true
}

// end marks c and everything in it as over at the given time. Ending twice
// keeps the first time.
func (c *Conversation) end(at time.Time) {
	if !c.EndedAt.IsZero() {
		return
	}
	c.EndedAt = at
	for i := range c.Participants {
		p := &c.Participants[i]
		if p.EndedAt.IsZero() {
			p.EndedAt = at
		}
		for j := range p.Communications {
			if com := &p.Communications[j]; !com.State.Over() {
				com.State, com.DisconnectedAt = StateDisconnected, at
			}
		}
	}
}

// Clone returns a copy of c that shares no memory with it.
func (c Conversation) Clone() Conversation {
	c.Participants = slices.Clone(c.Participants)
	for i := range c.Participants {
		p := &c.Participants[i]
		p.MediaRoles = slices.Clone(p.MediaRoles)
		p.Attributes = maps.Clone(p.Attributes)
		p.Communications = slices.Clone(p.Communications)
	}
	return c
}
