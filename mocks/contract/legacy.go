package contract

import (
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Legacy says where a target offers the surfaces of Genesys Co-browse. They belong
// to the first organisation; agents, controllers and readers of history show an
// access token.
type Legacy struct {
	BasePath string // such as /cobrowse
	Page     string // origin of customers' pages: begins sessions and enters them as the customer
}

func legacyCases() []Case {
	return []Case{
		{"legacy: a session begins on a page, is entered in each role and stopped by its controller", legacyLife},
		{"legacy: a session of the API is entered by its nine digits", legacyEntersSession},
		{"legacy: one session per conversation, whichever way it began", legacyOnePerConversation},
		{"legacy: refusals are in words of their own", legacyRefusals},
		{"legacy: history is told as the old server told it", legacyHistory},
		{"legacy: the agent's page and the health check are there", legacyPages},
	}
}

func (sc *scene) needLegacy(t T) {
	t.Helper()
	if sc.target.Legacy.BasePath == "" {
		t.Skipf("the target offers no surfaces of Co-browse")
	}
}

// legacy is a call as a customer's page makes it.
func (sc *scene) legacy(method, path string, b any) call {
	c := call{method: method, path: sc.target.Legacy.BasePath + path, body: b, header: http.Header{"Origin": {sc.target.Legacy.Page}}}
	if b == nil {
		c.header["Content-Type"] = nil
	}
	return c
}

type legacyUser struct {
	UserToken        string `json:"userToken"`
	UserID           int    `json:"userId"`
	SessionHistoryID string `json:"sessionHistoryId"`
	JoinToken        string `json:"joinToken"`
	Users            []struct {
		UserID string `json:"userId"`
		Role   int    `json:"role"`
		Name   string `json:"name"`
	} `json:"users"`
}

var nineDigits = regexp.MustCompile(`^[0-9]{9}$`)

// legacyOpen begins a session on a page and returns its digits.
func (sc *scene) legacyOpen(t T) string {
	t.Helper()
	var got struct {
		SessionToken      string `json:"sessionToken"`
		SessionServerName string `json:"sessionServerName"`
	}
	a := sc.want(t, http.StatusOK, sc.legacy(http.MethodPost, "/rest/live/sessions", nil))
	a.into(t, &got)
	if !nineDigits.MatchString(got.SessionToken) || got.SessionServerName == "" {
		t.Errorf("%v: %d digits on server %q, want nine and a name", a.call, len(got.SessionToken), got.SessionServerName)
	}
	if cookies := strings.Join(a.header.Values("Set-Cookie"), "; "); !strings.Contains(cookies, "gcbSessionServer="+got.SessionServerName) {
		t.Errorf("%v: no cookie gcbSessionServer", a.call)
	}
	return got.SessionToken
}

// legacyJoin is the call that enters a session in a role: 1 customer, 2 agent, 3 controller.
func (sc *scene) legacyJoin(t T, digits string, role int, name string) call {
	t.Helper()
	c := sc.legacy(http.MethodPost, "/rest/live/sessions/"+digits+"/join", body{"role": role, "name": name})
	if role != 1 {
		c.token = sc.token(t)
		c.header.Del("Origin")
	}
	return c
}

func (sc *scene) legacyEnter(t T, digits string, role int, name string) legacyUser {
	t.Helper()
	var got legacyUser
	a := sc.want(t, http.StatusOK, sc.legacyJoin(t, digits, role, name))
	a.into(t, &got)
	if got.UserToken == "" || got.UserID < 1 || got.SessionHistoryID == "" || (got.JoinToken == "") != (role == 3) {
		t.Errorf("%v: incomplete, or a join token for the wrong role", a.call)
	}
	sc.later(func(t T) { sc.do(t, sc.deleteOf(t, sessionPath(got.SessionHistoryID))) })
	return got
}

// legacyStop is the call that stops a session with a user token.
func (sc *scene) legacyStop(userToken string) call {
	return call{path: sc.target.Legacy.BasePath + "/rest/live/users/" + userToken + "/session/stop"}
}

func legacyLife(t T, sc *scene) {
	sc.needLegacy(t)
	digits := sc.legacyOpen(t)
	get := sc.legacy(http.MethodGet, "/rest/live/sessions/"+digits, nil)
	sc.want(t, http.StatusOK, get)
	customer := sc.legacyEnter(t, digits, 1, "Ola")
	controller := sc.legacyEnter(t, digits, 3, "")
	agent := sc.legacyEnter(t, digits, 2, "Mira")
	if n := len(agent.Users); n == 0 || agent.SessionHistoryID != customer.SessionHistoryID || agent.UserID == customer.UserID {
		t.Errorf("the agent is user %d beside %d users, want a number of its own beside the controller", agent.UserID, n)
	}
	if got := sc.read(t, customer.SessionHistoryID); got.State != "idle" || len(got.Participants) != 3 {
		t.Errorf("the API shows the session %s with %d participants, want idle with three", got.State, len(got.Participants))
	}
	sc.want(t, http.StatusForbidden, sc.legacyStop(agent.UserToken))
	for range 2 {
		var stamps struct {
			Activation   int64 `json:"activationTime"`
			Deactivation int64 `json:"deactivationTime"`
		}
		a := sc.want(t, http.StatusOK, sc.legacyStop(controller.UserToken))
		a.into(t, &stamps)
		if stamps.Activation != 0 || stamps.Deactivation == 0 {
			t.Errorf("stop: active from %d to %d, want never, and an end", stamps.Activation, stamps.Deactivation)
		}
	}
	if got := sc.read(t, customer.SessionHistoryID); got.State != "ended" {
		t.Errorf("the API shows the session %s after the stop", got.State)
	}
	sc.want(t, http.StatusNotFound, get)
	sc.want(t, http.StatusGone, sc.legacyJoin(t, digits, 2, "Mira"))
}

func legacyEntersSession(t T, sc *scene) {
	sc.needLegacy(t)
	digits := sc.session(t).SessionToken
	sc.legacyEnter(t, digits, 3, "")
	// The agent shares in this one: there is no place for another, nor for a customer.
	sc.want(t, http.StatusConflict, sc.legacyJoin(t, digits, 2, "Mira"))
	sc.want(t, http.StatusConflict, sc.legacyJoin(t, digits, 1, "Ola"))
}

func legacyOnePerConversation(t T, sc *scene) {
	sc.needLegacy(t)
	digits, conversation := sc.legacyOpen(t), sc.conversation(t, "message").ID
	customer := sc.legacyEnter(t, digits, 1, "Ola")
	sc.want(t, http.StatusCreated, sc.post(t, attachPath, body{
		"sessionToken": digits, "conversationId": conversation, "participant": body{"userId": sc.target.AgentUserID},
	}))
	a := sc.want(t, http.StatusConflict, sc.post(t, sessionsPath, sc.createBody(conversation)))
	if !strings.Contains(string(a.body), customer.SessionHistoryID) {
		t.Errorf("%v: the refusal does not name the session that began on a page", a.call)
	}
}

// legacyRefused makes a call that must fail in the dialect of these surfaces.
func (sc *scene) legacyRefused(t T, status int, c call) {
	t.Helper()
	var got struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}
	a := sc.want(t, status, c)
	a.into(t, &got)
	if got.Error == "" || got.Message == "" {
		t.Errorf("%v, want error and message", a)
	}
}

func legacyRefusals(t T, sc *scene) {
	sc.needLegacy(t)
	digits := sc.legacyOpen(t)
	sc.legacyEnter(t, digits, 3, "") // so that it is ended afterwards
	for _, c := range []call{
		sc.legacy(http.MethodPost, "/rest/live/sessions", nil),
		sc.legacy(http.MethodGet, "/rest/live/sessions/"+digits, nil),
		sc.legacyJoin(t, digits, 1, ""),
	} {
		c.header.Set("Origin", "https://elsewhere.invalid")
		sc.legacyRefused(t, http.StatusForbidden, c)
	}
	for _, wrong := range []string{"12345678", "x"} { // no digits: they cost no guess
		sc.legacyRefused(t, http.StatusNotFound, sc.legacy(http.MethodGet, "/rest/live/sessions/"+wrong, nil))
		sc.legacyRefused(t, http.StatusNotFound, sc.legacyJoin(t, wrong, 1, ""))
	}
	sc.legacyRefused(t, http.StatusBadRequest, sc.legacyJoin(t, digits, 7, ""))
	anonymous := sc.legacyJoin(t, digits, 2, "Mira")
	anonymous.token = ""
	sc.legacyRefused(t, http.StatusUnauthorized, anonymous)
	sc.legacyRefused(t, http.StatusNotFound, sc.legacyStop("no-token-of-anybody"))
	if sc.target.Other.ClientID != "" {
		foreign := sc.legacyJoin(t, digits, 2, "Mira")
		foreign.token = sc.other(t)
		sc.legacyRefused(t, http.StatusNotFound, foreign)
	}
}

func legacyHistory(t T, sc *scene) {
	sc.needLegacy(t)
	started := sc.session(t)
	history := func(id string) call {
		return call{path: sc.target.Legacy.BasePath + "/rest/history/sessions/" + id, token: sc.token(t)}
	}
	var record struct {
		ID           string `json:"id"`
		SessionToken string `json:"sessionToken"`
		Creation     int64  `json:"creationTime"`
		Deactivation int64  `json:"deactivationTime"`
		Pages        []any  `json:"pages"`
	}
	sc.want(t, http.StatusOK, history(started.ID)).into(t, &record)
	if record.Deactivation != 0 || record.ID != started.ID {
		t.Errorf("history of a live session = %+v, want no end", record)
	}
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(started.ID)))
	sc.want(t, http.StatusOK, history(started.ID)).into(t, &record)
	if record.Deactivation < record.Creation || record.Creation < time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() || record.Pages == nil || !nineDigits.MatchString(record.SessionToken) {
		t.Errorf("history = %+v, want times in milliseconds and a list of pages", record)
	}
	sc.legacyRefused(t, http.StatusNotFound, history(unknownID(9)))
	sc.legacyRefused(t, http.StatusBadRequest, history("no-uuid"))
	anonymous := history(started.ID)
	anonymous.token = ""
	sc.legacyRefused(t, http.StatusUnauthorized, anonymous)
	if sc.target.Other.ClientID != "" {
		foreign := history(started.ID)
		foreign.token = sc.other(t)
		sc.legacyRefused(t, http.StatusNotFound, foreign)
	}
}

func legacyPages(t T, sc *scene) {
	sc.needLegacy(t)
	if a := sc.want(t, http.StatusOK, call{path: sc.target.Legacy.BasePath + "/health"}); len(a.body) > 0 {
		t.Errorf("%v has a body", a.call)
	}
	a := sc.want(t, http.StatusOK, call{path: sc.target.Legacy.BasePath + "/slave.html"})
	if !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors") {
		t.Errorf("%v does not say who may frame it", a.call)
	}
}
