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
	return c.JSON(newUserBody(u))
}
