package mocks

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/cobridge/cobridge/cobrowse"
)

func (c *adminCall) clock() clockInfo {
	return clockInfo{Now: moment(c.double.clock.Now()), Running: c.server.options.Running}
}

func getClock(c *adminCall) error { return c.answer(http.StatusOK, c.clock()) }

// postClock turns the clock on; what is over is over when it answers.
func postClock(c *adminCall) error {
	var in struct {
		AdvanceSeconds float64 `json:"advanceSeconds"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	const tenYears = 10 * 366 * 24 * 60 * 60
	if in.AdvanceSeconds <= 0 || in.AdvanceSeconds > tenYears {
		return adminError{http.StatusBadRequest, "advanceSeconds: want more than 0 and at most ten years; the clock does not go back, but a reset sets it"}
	}
	if err := c.double.turn(c.ctx(), seconds(in.AdvanceSeconds)); err != nil {
		return err
	}
	return c.answer(http.StatusOK, c.clock())
}

func (c *adminCall) faults() error {
	return c.answer(http.StatusOK, map[string]any{"faults": c.double.faults.list()})
}

func getFaults(c *adminCall) error { return c.faults() }

func postFault(c *adminCall) error {
	var in FaultSpec
	if err := c.decode(&in); err != nil {
		return err
	}
	fault, err := in.build()
	if err == nil {
		err = c.double.fail(in.Route, fault)
	}
	if err != nil {
		return adminError{http.StatusBadRequest, err.Error()}
	}
	return c.answer(http.StatusCreated, map[string]any{"faults": c.double.faults.list()})
}

// route returns the route of the query, by the service's name for it; "" = all.
func (c *adminCall) route() (string, error) {
	name := c.r.URL.Query().Get("route")
	if name == "" || name == anyRoute {
		return name, nil
	}
	r, err := c.double.named(name)
	if err != nil {
		return "", adminError{http.StatusBadRequest, err.Error()}
	}
	return r.name, nil
}

func deleteFaults(c *adminCall) error {
	route, err := c.route()
	if err != nil {
		return err
	}
	c.double.faults.clear(route)
	return c.done()
}

// getCalls lists the calls, oldest first: those of a route, with a status, or those
// that matched no route.
func getCalls(c *adminCall) error {
	route, err := c.route()
	if err != nil {
		return err
	}
	if route == anyRoute {
		route = ""
	}
	query := c.r.URL.Query()
	status := 0
	if text := query.Get("status"); text != "" {
		if status, err = strconv.Atoi(text); err != nil {
			return adminError{http.StatusBadRequest, "status: want a number"}
		}
	}
	unmatched := false
	if text := query.Get("unmatched"); text != "" {
		if unmatched, err = strconv.ParseBool(text); err != nil {
			return adminError{http.StatusBadRequest, "unmatched: want true or false"}
		}
	}
	calls := []callBody{}
	for _, call := range c.double.calls.to(route) {
		if (status == 0 || call.Status == status) && (!unmatched || call.nearest != "") {
			calls = append(calls, newCallBody(call))
		}
	}
	return c.answer(http.StatusOK, map[string]any{"calls": calls})
}

func deleteCalls(c *adminCall) error {
	c.double.calls.forget()
	return c.done()
}

func postToken(c *adminCall) error {
	var in struct {
		Scopes []string `json:"scopes"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	token, err := c.double.accessToken(c.ctx(), in.Scopes)
	if err != nil {
		return adminError{http.StatusBadRequest, err.Error()}
	}
	return c.answer(http.StatusCreated, map[string]any{"accessToken": token})
}

// deleteTokens kills the tokens that clientId has been given.
func deleteTokens(c *adminCall) error {
	if err := c.double.expireTokens(c.ctx()); err != nil {
		return err
	}
	return c.done()
}

func postConversation(c *adminCall) error {
	in := struct {
		MediaType   string `json:"mediaType"`
		AgentUserID string `json:"agentUserId"`
	}{"message", c.double.AgentUserID}
	if err := c.decode(&in); err != nil {
		return err
	}
	id, err := c.double.startConversation(c.ctx(), in.MediaType, in.AgentUserID)
	if err != nil {
		return err
	}
	return c.conversation(http.StatusCreated, id)
}

func (c *adminCall) conversation(status int, id string) error {
	found, err := c.double.conversation(c.ctx(), id)
	if err != nil {
		return err
	}
	return c.answer(status, newConversationBody(found))
}

func getConversation(c *adminCall) error { return c.conversation(http.StatusOK, c.r.PathValue("id")) }

// deleteConversation ends a conversation, and with it its session.
func deleteConversation(c *adminCall) error {
	if err := c.double.endConversation(c.ctx(), c.r.PathValue("id")); err != nil {
		return err
	}
	return c.conversation(http.StatusOK, c.r.PathValue("id"))
}

func getSessions(c *adminCall) error {
	all, err := c.double.sessions(c.ctx())
	if err != nil {
		return err
	}
	sessions := make([]sessionBody, len(all))
	for i, session := range all {
		sessions[i] = newSessionBody(session, nil)
	}
	return c.answer(http.StatusOK, map[string]any{"sessions": sessions})
}

func postSession(c *adminCall) error {
	in := struct {
		ConversationID string `json:"conversationId"`
	}{c.double.ConversationID}
	if err := c.decode(&in); err != nil {
		return err
	}
	id, err := c.double.startSession(c.ctx(), in.ConversationID)
	if err != nil {
		return err
	}
	return c.session(http.StatusCreated, id)
}

func (c *adminCall) session(status int, id string) error {
	session, err := c.double.session(c.ctx(), id)
	if err != nil {
		return err
	}
	events, err := c.double.events.of(c.ctx(), session.ID)
	if err != nil {
		return err
	}
	return c.answer(status, newSessionBody(session, events))
}

func getSession(c *adminCall) error { return c.session(http.StatusOK, c.r.PathValue("id")) }

func deleteSession(c *adminCall) error {
	if err := c.double.endSession(c.ctx(), c.r.PathValue("id")); err != nil {
		return err
	}
	return c.session(http.StatusOK, c.r.PathValue("id"))
}

// postParticipant lets somebody come, lose his link or go, without a browser.
func postParticipant(c *adminCall) error {
	id, who := c.r.PathValue("id"), c.r.PathValue("participant")
	var err error
	switch action := c.r.PathValue("action"); action {
	case "join":
		err = c.double.join(c.ctx(), id, who)
	case "disconnect":
		err = c.double.disconnect(c.ctx(), id, who)
	case "leave":
		err = c.double.leaves(c.ctx(), id, who)
	default:
		err = adminError{http.StatusNotFound, "a participant can join, disconnect and leave, not " + strconv.Quote(action)}
	}
	if err != nil {
		return err
	}
	return c.session(http.StatusOK, id)
}

// getJoin sends a browser to the join page, into one session for all who click.
func getJoin(c *adminCall) error {
	c.server.mu.RLock()
	links := c.server.links
	c.server.mu.RUnlock()
	role := cobrowse.Role(c.r.PathValue("role"))
	if !slices.Contains([]cobrowse.Role{cobrowse.RoleCustomer, cobrowse.RoleAgent, cobrowse.RoleSupervisor}, role) {
		return adminError{http.StatusNotFound, "there are links for customer, agent and supervisor"}
	}
	token, err := links.token(c.ctx(), role)
	if err != nil {
		return err
	}
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.Header().Set("Location", c.double.BaseURL+"/cobrowse/join?token="+token)
	c.w.WriteHeader(http.StatusSeeOther)
	return nil
}
