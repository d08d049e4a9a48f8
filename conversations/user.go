package conversations

// UserID names a user: a lower-case UUID.
type UserID string

// UserState says whether a user can work.
type UserState string

// States of a user.
const (
	UserActive   UserState = "active"
	UserInactive UserState = "inactive"
	UserDeleted  UserState = "deleted"
)

// Capability is the cobrowse permission of a user, per kind of interaction: the
// permissions conversation:cobrowseVoice:add and conversation:cobrowse:add.
type Capability struct {
	Voice   bool
	Digital bool
}

// User is somebody who works in an organisation.
type User struct {
	ID       UserID
	OrgID    OrgID
	Name     string
	Email    string
	Title    string
	State    UserState
	Cobrowse Capability
	Version  int // grows with each change; starts at 1
}

// MayCobrowse reports whether u may take part in a cobrowse session on c: it
// needs the capability for one of the kinds of communication that c has now.
func (u User) MayCobrowse(c Conversation) bool {
	voice, digital := c.Kinds()
	return voice && u.Cobrowse.Voice || digital && u.Cobrowse.Digital
}
