package api

import (
	"errors"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

const sessionsPath = "/api/v2/cobrowse/sessions"

// sessionBody is a session on the wire. CreatedBy and the join URLs stand in the
// answers of create and attach alone, so that reading gives no credentials away.
type sessionBody struct {
	ID                cobrowse.SessionID    `json:"id"`
	SessionID         cobrowse.SessionID    `json:"sessionId"`    // the same; the tutorial's text calls it so
	SessionToken      cobrowse.SessionToken `json:"sessionToken"` // nine digits, for people and the legacy surfaces
	ConversationID    conversations.ID      `json:"conversationId,omitempty"`
	DeploymentID      cobrowse.DeploymentID `json:"deploymentId,omitempty"`
	State             cobrowse.State        `json:"state"`
	Participants      []participantBody     `json:"participants"`
	Settings          settingsBody          `json:"settings"`
	DateCreated       web.Time              `json:"dateCreated"`
	DateActivated     web.Time              `json:"dateActivated,omitzero"`
	DateEnded         web.Time              `json:"dateEnded,omitzero"`
	EndReason         cobrowse.EndReason    `json:"endReason,omitempty"`
	InactivityTimeout web.Time              `json:"inactivityTimeout,omitzero"` // when it ends unless something happens; while it lives
	CreatedBy         *clientBody           `json:"createdBy,omitempty"`
	SelfURI           string                `json:"selfUri"`
}

type settingsBody struct {
	AllowRemoteControl bool `json:"allowRemoteControl"`
	TimeoutInMinutes   int  `json:"timeoutInMinutes"`
}

type clientBody struct {
	ID string `json:"id"`
}

type participantBody struct {
	ID           cobrowse.ParticipantID    `json:"id"`
	UserID       conversations.UserID      `json:"userId,omitempty"`
	Role         cobrowse.Role             `json:"role"`
	CobrowseRole string                    `json:"cobrowseRole"`
	Name         string                    `json:"name,omitempty"`
	State        cobrowse.ParticipantState `json:"state"`
	AllowControl bool                      `json:"allowControl,omitempty"` // a supervisor who may ask for control
	DateJoined   web.Time                  `json:"dateJoined,omitzero"`
	DateLeft     web.Time                  `json:"dateLeft,omitzero"`
	JoinURL      string                    `json:"joinUrl,omitempty"`
}

func newSessionBody(s cobrowse.Session) sessionBody {
	body := sessionBody{
		ID: s.ID, SessionID: s.ID, SessionToken: s.Token, ConversationID: s.ConversationID, DeploymentID: s.DeploymentID, State: s.State(),
		Participants: make([]participantBody, 0, len(s.Participants)),
		Settings:     settingsBody{AllowRemoteControl: s.Settings.AllowRemoteControl, TimeoutInMinutes: int(s.Settings.Timeout / time.Minute)},
		DateCreated:  web.Time(s.CreatedAt), DateActivated: web.Time(s.ActivatedAt), DateEnded: web.Time(s.EndedAt), EndReason: s.EndReason,
		SelfURI: sessionsPath + "/" + string(s.ID),
	}
	if s.Live() {
		body.InactivityTimeout = web.Time(s.Deadline)
	}
	sharer := s.Sharer()
	for _, p := range s.Participants {
		// Who was taken out of a live session is none of it any more; the record knows who was there.
		if !p.Removed || !s.Live() && !p.JoinedAt.IsZero() {
			body.Participants = append(body.Participants, newParticipantBody(p, sharer))
		}
	}
	return body
}

func newParticipantBody(p cobrowse.Participant, sharer cobrowse.ParticipantID) participantBody {
	return participantBody{
		ID: p.ID, UserID: p.UserID, Role: p.Role, CobrowseRole: cobrowseRole(p, sharer), Name: p.Name, State: p.State,
		AllowControl: p.AllowControl, DateJoined: web.Time(p.JoinedAt), DateLeft: web.Time(p.LeftAt),
	}
}

// cobrowseRole is the official word for the side a participant is on. Who is on
// neither has none: the word is ours.
func cobrowseRole(p cobrowse.Participant, sharer cobrowse.ParticipantID) string {
	switch {
	case p.ID == sharer:
		return "sharer"
	case p.Role == cobrowse.RoleController:
		return "controller"
	default:
		return "viewer"
	}
}

// creator returns the client that created s, nil if a customer started it.
func creator(s cobrowse.Session) *clientBody {
	if s.CreatedBy == "" {
		return nil
	}
	return &clientBody{ID: s.CreatedBy}
}

// addJoinURLs puts the join URLs to the participants that have a token.
func (a *api) addJoinURLs(body *sessionBody, tokens ...cobrowse.JoinToken) {
	for _, t := range tokens {
		for i := range body.Participants {
			if body.Participants[i].ID == t.ParticipantID {
				body.Participants[i].JoinURL = a.joinURL(t)
			}
		}
	}
}

// asFailure finds the failure that a caller may see.
func asFailure(err error) (*cobridge.Error, bool) { return errors.AsType[*cobridge.Error](err) }
