package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
)

func TestSessionLife(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	created := h.want(t, http.StatusCreated, http.MethodPost, sessionsURL, createBody(talk))
	golden(t, "session-created", created)
	var s sessionAnswer
	created.into(t, &s)
	self := sessionsURL + "/" + s.ID
	if got := created.header.Get("Location"); got != self || s.SelfURI != self || s.SessionID != s.ID {
		t.Errorf("Location %q, selfUri %q, sessionId %q of session %s", got, s.SelfURI, s.SessionID, s.ID)
	}
	if s.tokenAt(t, 0) == s.tokenAt(t, 1) {
		t.Error("both participants have one join token")
	}

	read := h.want(t, http.StatusOK, http.MethodGet, self, "")
	golden(t, "session-read", read)
	for _, secret := range []string{"joinUrl", "createdBy", s.tokenAt(t, 0)} {
		if strings.Contains(read.body, secret) {
			t.Errorf("reading the session shows %s", secret[:min(len(secret), 10)])
		}
	}
	listed := h.want(t, http.StatusOK, http.MethodGet, sessionsURL+"?conversationId="+string(talk), "")
	golden(t, "session-list", listed)

	conflict := h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, sessionsURL, createBody(talk))
	golden(t, "session-conflict", conflict)
	if got := conflict.header.Get("Location"); got != self || strings.Contains(conflict.body, "joinUrl") {
		t.Errorf("409 has Location %q, want %s, and the body %s", got, self, conflict.body)
	}

	h.clock.Advance(time.Second)
	patched := h.want(t, http.StatusOK, http.MethodPatch, self, `{"settings":{"allowRemoteControl":true,"timeoutInMinutes":3e1}}`)
	if !strings.Contains(patched.body, `"settings":{"allowRemoteControl":true,"timeoutInMinutes":30}`) {
		t.Errorf("patched session is %s", patched.body)
	}
	ended := h.want(t, http.StatusOK, http.MethodPatch, self, `{"state":"disconnected"}`)
	golden(t, "session-ended", ended)
	if again := h.want(t, http.StatusOK, http.MethodPatch, self, `{"state":"ended"}`); again.body != ended.body {
		t.Errorf("ending twice changed the session:\n%s\n%s", ended.body, again.body)
	}
	for range 2 {
		if a := h.want(t, http.StatusNoContent, http.MethodDelete, self, ""); a.body != "" {
			t.Errorf("DELETE answers %q, want nothing", a.body)
		}
	}
	h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPatch, self, `{"settings":{"timeoutInMinutes":3}}`)
	h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, self+"/participants/"+string(ann)+"/tokens", "")
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, sessionsURL+"/"+string(ann), "")
	h.create(t, talk)
}

// A session is on the deployment that its creator names, else on the default of
// whoever shares, else on none.
func TestDeploymentOfASession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	with := func(deployment string) string {
		return `{"deploymentId":"` + deployment + `",` + strings.TrimPrefix(createBody(talk), "{")
	}
	create := func(t *testing.T, body string) (s sessionAnswer) {
		t.Helper()
		h.want(t, http.StatusCreated, http.MethodPost, sessionsURL, body).into(t, &s)
		var read sessionAnswer
		h.want(t, http.StatusOK, http.MethodGet, sessionsURL+"/"+s.ID, "").into(t, &read)
		if read.DeploymentID != s.DeploymentID {
			t.Errorf("it was created on %q and reads as on %q", s.DeploymentID, read.DeploymentID)
		}
		h.want(t, http.StatusNoContent, http.MethodDelete, sessionsURL+"/"+s.ID, "")
		return s
	}
	if got := create(t, createBody(talk)).DeploymentID; got != "" {
		t.Errorf("without any deployment it is on %q", got)
	}
	named := h.deployment(t, `"`+shop+`"`)
	if got := create(t, with(named)).DeploymentID; got != named {
		t.Errorf("it is on %q, want the named %s", got, named)
	}
	var agents, customers deploymentAnswer
	for role, d := range map[string]*deploymentAnswer{"agent": &agents, "customer": &customers} {
		h.want(t, http.StatusCreated, http.MethodPost, deploymentsURL, `{"name":"For `+role+`","allowedOrigins":["`+shop+`"],"defaultFor":["`+role+`"]}`).into(t, d)
	}
	if got := create(t, createBody(talk)).DeploymentID; got != agents.ID {
		t.Errorf("an agent shares on %q, want %s", got, agents.ID)
	}
	withCustomer := strings.Replace(createBody(talk), `"participants":[`, `"participants":[{"role":"customer"},`, 1)
	if got := create(t, withCustomer).DeploymentID; got != customers.ID {
		t.Errorf("a customer shares on %q, want %s", got, customers.ID)
	}
	if got := create(t, with(named)).DeploymentID; got != named {
		t.Errorf("beside the defaults it is on %q, want the named %s", got, named)
	}
	var foreign deploymentAnswer
	h.want(t, http.StatusCreated, http.MethodPost, deploymentsURL, `{"name":"Theirs","allowedOrigins":["`+shop+`"]}`, "Authorization: Bearer "+h.grant(t, "other-client")).into(t, &foreign)
	for _, id := range []string{"nothing", "", foreign.ID} {
		a := h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPost, sessionsURL, with(id))
		if got := a.envelope(t).Details; len(got) != 1 || got[0].FieldName != "deploymentId" {
			t.Errorf("for deployment %q the details are %+v", id, got)
		}
	}
}

func TestListSessions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.create(t, talk)
	h.want(t, http.StatusNoContent, http.MethodDelete, sessionsURL+"/"+first.ID, "")
	h.clock.Advance(time.Second)
	second, third := h.create(t, talk), h.create(t, talk2)
	for query, want := range map[string][]string{
		"":                                     {third.ID, second.ID},
		"?state=live":                          {third.ID, second.ID},
		"?state=idle":                          {third.ID, second.ID},
		"?state=active":                        {},
		"?state=ended":                         {first.ID},
		"?state=any&preserve=x":                {third.ID, second.ID, first.ID},
		"?state=any&pageSize=2&pageNumber=2":   {first.ID},
		"?conversationId=" + string(talk2):     {third.ID},
		"?conversationId=nothing":              {},
		"?state=any&pageSize=1&pageNumber=999": {},
	} {
		var page struct {
			Entities []sessionAnswer `json:"entities"`
		}
		h.want(t, http.StatusOK, http.MethodGet, sessionsURL+query, "").into(t, &page)
		got := []string{}
		for _, s := range page.Entities {
			got = append(got, s.ID)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q lists %v, want %v", query, got, want)
		}
	}
	for _, query := range []string{"?state=open", "?pageSize=0", "?pageSize=101", "?pageNumber=x"} {
		h.refused(t, http.StatusBadRequest, cobridge.CodeInvalidQueryParam, http.MethodGet, sessionsURL+query, "")
	}
}

// The order of checks: each request has several things wrong with it, and the
// first of them is what the answer names.
func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(t, talk)
	body := func(conversation, user string, timeout int) string {
		return fmt.Sprintf(`{"conversationId":%q,"participants":[{"userId":%q,"role":"agent"},{"userId":%q,"role":"supervisor"}],"settings":{"timeoutInMinutes":%d}}`,
			conversation, ann, user, timeout)
	}
	const nowhere, nobody = "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-00000000000a"
	for _, tt := range []struct {
		name, body string
		header     []string
		status     int
		code       cobridge.Code
	}{
		{"media type before the body", "{", []string{"Content-Type: text/plain"}, http.StatusUnsupportedMediaType, cobridge.CodeUnsupportedMediaType},
		{"rules before the conversation", body(nowhere, nobody, 0), nil, http.StatusBadRequest, cobridge.CodeConstraintValidation},
		{"conversation before the user", body(nowhere, nobody, 5), nil, http.StatusNotFound, cobridge.CodeConversationNotFound},
		{"user before the conflict", body(string(talk), nobody, 5), nil, http.StatusNotFound, cobridge.CodeUserNotFound},
		{"user of another organisation", body(string(talk), string(eve), 5), nil, http.StatusNotFound, cobridge.CodeUserNotFound},
		{"capability before the conflict", body(string(talk), string(dan), 5), nil, http.StatusForbidden, cobridge.CodeMissingPermissions},
		{"conflict", body(string(talk), string(ben), 5), nil, http.StatusConflict, cobridge.CodeConflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h.refused(t, tt.status, tt.code, http.MethodPost, sessionsURL, tt.body, tt.header...)
		})
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const key = "Idempotency-Key: order 4711!"
	first := h.want(t, http.StatusCreated, http.MethodPost, sessionsURL, createBody(talk), key)
	var s, repeated sessionAnswer
	first.into(t, &s)
	if got := first.header.Get("Idempotent-Replayed"); got != "" {
		t.Errorf("the first answer says Idempotent-Replayed: %s", got)
	}
	h.clock.Advance(time.Minute)
	again := h.want(t, http.StatusCreated, http.MethodPost, sessionsURL, createBody(talk), key)
	again.into(t, &repeated)
	if again.header.Get("Idempotent-Replayed") != "true" || repeated.ID != s.ID || repeated.tokenAt(t, 0) == s.tokenAt(t, 0) {
		t.Errorf("the repeat is %s with Idempotent-Replayed %q, want %s with fresh tokens", repeated.ID, again.header.Get("Idempotent-Replayed"), s.ID)
	}
	h.refused(t, http.StatusBadRequest, cobridge.CodeIdempotencyMismatch, http.MethodPost, sessionsURL, createBody(talk2), key)
	h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, sessionsURL, createBody(talk), "Idempotency-Key: another")
	h.want(t, http.StatusNoContent, http.MethodDelete, sessionsURL+"/"+s.ID, "")
	over := h.want(t, http.StatusOK, http.MethodPost, sessionsURL, createBody(talk), key)
	if over.header.Get("Idempotent-Replayed") != "true" || !strings.Contains(over.body, `"state":"ended"`) || strings.Contains(over.body, "joinUrl") {
		t.Errorf("the repeat after the end is %s", over.body)
	}
	for _, bad := range []string{strings.Repeat("x", 256), "tab\tkey", "schlüssel"} {
		a := h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPost, sessionsURL, createBody(talk), "Idempotency-Key: "+bad)
		if got := a.envelope(t).Details; len(got) != 1 || got[0].FieldName != "Idempotency-Key" {
			t.Errorf("details are %+v", got)
		}
	}
	h.want(t, http.StatusCreated, http.MethodPost, sessionsURL, createBody(talk), "Idempotency-Key: "+strings.Repeat("x", 255))
}

func TestParticipantsAndTokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.create(t, talk)
	self := sessionsURL + "/" + s.ID
	h.want(t, http.StatusNoContent, http.MethodDelete, self+"/participants/"+string(ben), "")
	if a := h.want(t, http.StatusOK, http.MethodGet, self, ""); strings.Contains(a.body, string(ben)) {
		t.Errorf("a removed participant is still there: %s", a.body)
	}
	h.refused(t, http.StatusNotFound, cobridge.CodeParticipantNotFound, http.MethodPost, self+"/participants/"+string(ben)+"/tokens", "")
	golden(t, "participant-added", h.want(t, http.StatusCreated, http.MethodPost, self+"/participants", `{"userId":"`+string(ben)+`","role":"supervisor"}`))
	h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, self+"/participants", `{"userId":"`+string(ben)+`"}`)
	h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, self+"/participants", `{"role":"customer"}`)
	h.want(t, http.StatusNoContent, http.MethodDelete, self+"/participants/"+string(ben), "")
	if a := h.want(t, http.StatusCreated, http.MethodPost, self+"/participants", `{"userId":"`+string(ben)+`","role":"supervisor","allowControl":true}`); !strings.Contains(a.body, `"allowControl":true`) {
		t.Errorf("a supervisor who may ask for control is %s", a.body)
	}
	golden(t, "join-token", h.want(t, http.StatusOK, http.MethodPost, self+"/participants/"+string(ben)+"/tokens", ""))
	h.want(t, http.StatusNoContent, http.MethodDelete, self+"/participants/"+string(ann), "")
	if a := h.want(t, http.StatusOK, http.MethodGet, self, ""); !strings.Contains(a.body, `"state":"ended"`) {
		t.Errorf("without the sharer the session is %s, want ended", a.body)
	}
	h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodDelete, self+"/participants/"+string(ben), "")
}

func TestForeignSessionsAreNotThere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.create(t, talk)
	other := "Authorization: Bearer " + h.grant(t, "other-client")
	self := sessionsURL + "/" + s.ID
	for _, call := range [][3]string{
		{http.MethodGet, self, ""},
		{http.MethodPatch, self, `{"state":"ended"}`},
		{http.MethodDelete, self, ""},
		{http.MethodPost, self + "/participants", `{"userId":"` + string(eve) + `"}`},
		{http.MethodDelete, self + "/participants/" + string(ann), ""},
		{http.MethodPost, self + "/participants/" + string(ann) + "/tokens", ""},
		{http.MethodGet, historyURL + "/" + s.ID, ""},
	} {
		h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, call[0], call[1], call[2], other)
	}
	if a := h.want(t, http.StatusOK, http.MethodGet, self, ""); !strings.Contains(a.body, `"state":"idle"`) {
		t.Errorf("the session is %s", a.body)
	}
}
