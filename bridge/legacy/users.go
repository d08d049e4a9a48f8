package legacy

import (
	"strconv"

	"github.com/cobridge/cobridge/cobrowse"
)

// The numbers of roles in the old product.
const (
	roleCustomer   = 1
	roleAgent      = 2
	roleController = 3
)

// roleOf returns the role that a number of the old product means, "" for a number
// that means none.
func roleOf(number int) cobrowse.Role {
	switch number {
	case roleCustomer:
		return cobrowse.RoleCustomer
	case roleAgent:
		return cobrowse.RoleAgent
	case roleController:
		return cobrowse.RoleController
	}
	return ""
}

// numberOf is how the old product would call a role. It knows no supervisors: they
// look at the page like an agent.
func numberOf(role cobrowse.Role) int {
	switch role {
	case cobrowse.RoleCustomer:
		return roleCustomer
	case cobrowse.RoleController:
		return roleController
	default:
		return roleAgent
	}
}

// user is a user of a session in the words of the old product. The id is a string
// here and a number in the answer to a join, as documented.
type user struct {
	UserID string `json:"userId"`
	Role   int    `json:"role"`
	Name   string `json:"name,omitempty"`
}

// present returns who is in a session now, in the order of their numbers.
func present(s cobrowse.Session) []cobrowse.Participant {
	var here []cobrowse.Participant
	for _, p := range s.Participants {
		if p.State == cobrowse.ParticipantJoined && !p.Removed {
			here = append(here, p)
		}
	}
	return here
}

func newUser(s cobrowse.Session, p cobrowse.Participant) user {
	return user{UserID: strconv.Itoa(s.UserNumber(p.ID)), Role: numberOf(p.Role), Name: p.Name}
}

// usersBeside returns who is in a session besides one of them; never nil, since it
// becomes JSON.
func usersBeside(s cobrowse.Session, id cobrowse.ParticipantID) []user {
	users := []user{}
	for _, p := range present(s) {
		if p.ID != id {
			users = append(users, newUser(s, p))
		}
	}
	return users
}

// joined is the answer to a join.
type joined struct {
	UserToken        string             `json:"userToken"`
	UserID           int                `json:"userId"`
	Users            []user             `json:"users"` // who was there before
	SessionHistoryID cobrowse.SessionID `json:"sessionHistoryId"`
}

func newJoined(e cobrowse.Entered) joined {
	return joined{
		UserToken: e.UserToken, UserID: e.Session.UserNumber(e.Participant.ID),
		Users: usersBeside(e.Session, e.Participant.ID), SessionHistoryID: e.Session.ID,
	}
}

// activation is what everybody is told when a session becomes active.
type activation struct {
	ActivationTime int64 `json:"activationTime"` // milliseconds since 1970
}

// deactivation is what everybody is told when a session has ended, and the answer to
// whoever stops it. There is no reason in it, as documented.
type deactivation struct {
	ActivationTime   *int64 `json:"activationTime,omitempty"` // absent if it was never active
	DeactivationTime int64  `json:"deactivationTime"`
}

func newDeactivation(s cobrowse.Session) deactivation {
	return deactivation{ActivationTime: moment(s.ActivatedAt), DeactivationTime: s.EndedAt.UnixMilli()}
}
