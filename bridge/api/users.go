package api

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/conversations"
)

const usersPath = "/api/v2/users"

// maxUserIDs is how many ids one list may ask for, as in the cloud.
const maxUserIDs = 100

// userBody is the official model User.
type userBody struct {
	ID       conversations.UserID    `json:"id"`
	Name     string                  `json:"name"`
	Email    string                  `json:"email,omitempty"`
	Username string                  `json:"username,omitempty"`
	Title    string                  `json:"title,omitempty"`
	State    conversations.UserState `json:"state"`
	Version  int                     `json:"version"`
	SelfURI  string                  `json:"selfUri"`

	Authorization *authorizationBody `json:"authorization,omitempty"` // only if it is asked for
}

// authorizationBody is the official model UserAuthorization. There are no roles here:
// the permissions are the user's cobrowse capability.
type authorizationBody struct {
	Roles       []struct{} `json:"roles"`
	Permissions []string   `json:"permissions"`
}

// The permissions of the cobrowse capability, as in the cloud.
const (
	permissionDigital = "conversation:cobrowse:add"
	permissionVoice   = "conversation:cobrowseVoice:add"
)

func newAuthorizationBody(c conversations.Capability) *authorizationBody {
	body := &authorizationBody{Roles: []struct{}{}, Permissions: []string{}}
	if c.Digital {
		body.Permissions = append(body.Permissions, permissionDigital)
	}
	if c.Voice {
		body.Permissions = append(body.Permissions, permissionVoice)
	}
	return body
}

func newUserBody(u conversations.User) userBody {
	return userBody{
		ID: u.ID, Name: u.Name, Email: u.Email, Username: u.Email, Title: u.Title, State: u.State, Version: u.Version,
		SelfURI: usersPath + "/" + string(u.ID),
	}
}

func userStates() []choice[[]conversations.UserState] {
	states := []choice[[]conversations.UserState]{}
	for _, s := range []conversations.UserState{conversations.UserActive, conversations.UserInactive, conversations.UserDeleted} {
		states = append(states, choice[[]conversations.UserState]{string(s), []conversations.UserState{s}})
	}
	return append(states, choice[[]conversations.UserState]{"any", nil})
}

// listUsers answers GET /api/v2/users.
func (a *api) listUsers(c *fiber.Ctx) error {
	page, err := web.Paging(c, web.PageRule{})
	if err != nil {
		return err
	}
	states, err := choose(c, "state", userStates())
	if err != nil {
		return err
	}
	var ids []conversations.UserID
	for _, value := range c.Context().QueryArgs().PeekMulti("id") {
		for id := range strings.SplitSeq(string(value), ",") {
			if id = strings.TrimSpace(id); id != "" {
				ids = append(ids, conversations.UserID(id))
			}
		}
	}
	if len(ids) > maxUserIDs {
		return badQuery("id", "may name at most 100 users")
	}
	found, total, err := a.Directory.Users(c.UserContext(), orgOf(c), conversations.UserQuery{
		IDs: ids, States: states, Offset: page.Offset(), Limit: page.Size,
	})
	if err != nil {
		return err
	}
	bodies := make([]userBody, len(found))
	for i, u := range found {
		bodies[i] = newUserBody(u)
	}
	return c.JSON(web.NewPage(c, page, bodies, total))
}

// getUser answers GET /api/v2/users/{userId}. A deleted user is not there, unless
// it is asked for.
func (a *api) getUser(c *fiber.Ctx) error {
	usual := choice[[]conversations.UserState]{"", []conversations.UserState{conversations.UserActive, conversations.UserInactive}}
	states, err := choose(c, "state", append([]choice[[]conversations.UserState]{usual}, userStates()...))
	if err != nil {
		return err
	}
	id := conversations.UserID(web.PathParam(c, "userId"))
	u, err := a.Directory.User(c.UserContext(), orgOf(c), id)
	if err != nil {
		return err
	}
	if states != nil && !slices.Contains(states, u.State) {
		return conversations.UserNotFound(id)
	}
	body := newUserBody(u)
	if expands(c, "authorization") {
		body.Authorization = newAuthorizationBody(u.Cobrowse)
	}
	return c.JSON(body)
}

// expands reports whether the query asks for more than the usual: expand is repeated
// or has commas. What cannot be expanded here is ignored.
func expands(c *fiber.Ctx, what string) bool {
	for _, value := range c.Context().QueryArgs().PeekMulti("expand") {
		for name := range strings.SplitSeq(string(value), ",") {
			if strings.TrimSpace(name) == what {
				return true
			}
		}
	}
	return false
}
