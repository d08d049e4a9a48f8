package genesys

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// Finding is one thing that [Directory.Probe] tried.
type Finding struct {
	What string // for people, lower case
	Err  error  // nil = it works; else with an *Error
}

// nobody is an id that the service does not give out.
const nobody = "00000000-0000-4000-8000-000000000000"

// Probe tries what the directory needs, without changing anything: an access token,
// reading conversations, and reading users with their permissions. It stops where the
// rest could not work either. That attributes can be written and conversations be ended
// shows only when it is done.
func (d *Directory) Probe(ctx context.Context) []Finding {
	var found []Finding
	try := func(what string, err error) bool {
		if e, ok := errors.AsType[*Error](err); ok {
			err = e.unavailable()
		}
		found = append(found, Finding{What: what, Err: err})
		return err == nil
	}
	_, err := d.bearer.get(ctx, nil)
	if err != nil && !errors.Is(err, context.Canceled) {
		if _, ok := errors.AsType[*Error](err); !ok {
			err = &Error{Reason: ReasonTimeout}
		}
	}
	if !try("access token", err) {
		return found
	}
	_, err = d.call(ctx, http.MethodGet, "/conversations/"+nobody, nil, nil)
	if e, ok := errors.AsType[*Error](err); ok && e.is(http.StatusNotFound) {
		err = nil // it may be asked, and does not know one
	}
	try("read conversations", err)
	page, err := read(ctx, d, "/users", url.Values{"pageSize": {"1"}, "pageNumber": {"1"}}, parsePage)
	if !try("read users", err) || len(*page.Entities) == 0 {
		return found
	}
	u, err := parseUser((*page.Entities)[0], d.cfg.Organisation, "")
	if err == nil {
		_, err = d.User(ctx, d.cfg.Organisation, u.ID)
	}
	try("read users' permissions", err)
	return found
}
