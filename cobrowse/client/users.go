package client

import (
	"context"
	"net/http"
)

// User is somebody who works in the organisation.
type User struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Email    string `json:"email,omitempty"`
	Username string `json:"username,omitempty"`
	Title    string `json:"title,omitempty"`
	State    string `json:"state"` // active, inactive or deleted
	Version  int    `json:"version"`
	SelfURI  string `json:"selfUri"`
}

// UserQuery selects users, by name.
type UserQuery struct {
	IDs   []string // at most 100; empty = all
	State string   // active, inactive, deleted or any; "" = active
	Paging
}

// Users returns one page. Scope user:read.
func (c *Client) Users(ctx context.Context, q UserQuery) (Page[User], error) {
	query := q.into(values("state", q.State))
	for _, id := range q.IDs {
		query.Add("id", id)
	}
	return list[User](ctx, c, "/api/v2/users", query)
}

// User returns one user; 404 if there is none. Scope user:read.
func (c *Client) User(ctx context.Context, id string) (User, error) {
	var user User
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v2/users/" + segment(id), into: &user})
	return user, err
}
