package contract

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

func createCases() []Case {
	return []Case{
		{"T13 T17 create answers 201 with Location, id, sessionId and join URLs", createAnswer},
		{"T14 role is optional and derived", createWithoutRoles},
		{"T14 the supervisor need not be in the conversation", createStrangerSupervisor},
		{"T14 a customer is the sharer and gets an id of its own", createWithCustomer},
		{"T15 settings are kept and have defaults", createSettings},
		{"T17 joinUrl and createdBy stand in the answer of create only", createOnlyMembers},
		{"T31 join URLs start with the public base address", joinURLBase},
		{"T13 unknown members and parameters are ignored", createUnknownMembers},
	}
}

func createRefusalCases() []Case {
	return []Case{
		{"T16 a session cannot exist without a conversation", createWithoutConversation},
		{"T18 a bad payload is 400 and names every field", createBadPayload},
		{"T19 a client without the write scope is 403", createWithoutScope},
		{"T19 T32 a user without the capability is 403", createIncapable},
		{"T20 an unknown or ended conversation is 404", createUnknownConversation},
		{"T20 an unknown userId is 404", createUnknownUser},
		{"T20 a conversation or user of another organisation is 404", createForeign},
	}
}

func createAnswer(t T, sc *scene) {
	conv := sc.conversation(t, "message")
	a := sc.want(t, http.StatusCreated, sc.post(t, sessionsPath, sc.createBody(conv.ID)))
	var b sessionBody
	a.into(t, &b)
	if !uuidForm.MatchString(b.ID) || b.SessionID != b.ID || b.ConversationID != conv.ID || b.State != "idle" {
		t.Errorf("id %q, sessionId %q, conversationId %q, state %q: want equal UUIDs, %q and idle", b.ID, b.SessionID, b.ConversationID, b.State, conv.ID)
	}
	if b.SelfURI != sessionPath(b.ID) || !strings.HasSuffix(a.header.Get("Location"), b.SelfURI) {
		t.Errorf("selfUri is %q and Location %q, want %s", b.SelfURI, a.header.Get("Location"), sessionPath(b.ID))
	}
	if b.CreatedBy == nil || b.CreatedBy.ID != sc.target.ClientID {
		t.Errorf("createdBy is %+v, want client %s", b.CreatedBy, sc.target.ClientID)
	}
	if len(b.Participants) != 2 {
		t.Fatalf("there are %d participants, want 2", len(b.Participants))
	}
	for role, want := range map[string]participantBody{
		"agent":      {UserID: sc.target.AgentUserID, CobrowseRole: "sharer"},
		"supervisor": {UserID: sc.target.SupervisorUserID, CobrowseRole: "viewer"},
	} {
		p := b.participant(role)
		if p.ID != want.UserID || p.UserID != want.UserID || p.CobrowseRole != want.CobrowseRole || p.State != "invited" || p.DateJoined != "" {
			t.Errorf("the %s is id %q, userId %q, %s, %s, joined %q; want id and userId %q, %s, invited", role, p.ID, p.UserID, p.CobrowseRole, p.State, p.DateJoined, want.UserID, want.CobrowseRole)
		}
		tokenOf(t, p.JoinURL)
	}
	created := date(t, "dateCreated", b.DateCreated)
	if ends := date(t, "inactivityTimeout", b.InactivityTimeout); !ends.After(created) {
		t.Errorf("inactivityTimeout %v is not after dateCreated %v", ends, created)
	}
	if got := sc.read(t, b.ID); got.ID != b.ID || got.ConversationID != conv.ID || len(got.Participants) != 2 || got.DateCreated != b.DateCreated {
		t.Errorf("GET gives another session than create: %+v", got)
	}
}

func createWithoutRoles(t T, sc *scene) {
	conv := sc.conversation(t, "call")
	var b sessionBody
	sc.want(t, http.StatusCreated, sc.post(t, sessionsPath, body{
		"conversationId": conv.ID, "participants": []any{invite(sc.target.AgentUserID, ""), invite(sc.target.SupervisorUserID, "")},
	})).into(t, &b)
	if b.participant("agent").UserID != sc.target.AgentUserID || b.participant("supervisor").UserID != sc.target.SupervisorUserID {
		t.Errorf("roles are %+v, want the conversation's agent as agent and the other as supervisor", b.Participants)
	}
}

func createStrangerSupervisor(t T, sc *scene) {
	b := sc.session(t) // the conversation has a customer and the agent only
	if b.participant("supervisor").UserID != sc.target.SupervisorUserID {
		t.Errorf("the supervisor is %+v, want user %s", b.participant("supervisor"), sc.target.SupervisorUserID)
	}
}

func createWithCustomer(t T, sc *scene) {
	conv := sc.conversation(t, "message")
	var b sessionBody
	sc.want(t, http.StatusCreated, sc.post(t, sessionsPath, body{
		"conversationId": conv.ID, "participants": []any{body{"role": "customer", "name": "Kim"}, invite(sc.target.AgentUserID, "agent")},
	})).into(t, &b)
	customer, agent := b.participant("customer"), b.participant("agent")
	if !uuidForm.MatchString(customer.ID) || customer.UserID != "" || customer.CobrowseRole != "sharer" || customer.Name != "Kim" || agent.CobrowseRole != "viewer" {
		t.Errorf("the customer is %+v and the agent %+v, want a sharer with a UUID of its own, named Kim, and a viewer", customer, agent)
	}
	tokenOf(t, customer.JoinURL)
}

func createSettings(t T, sc *scene) {
	for _, tt := range []struct {
		name    string
		in      body
		control bool
		minutes int // 0 = some default
	}{
		{"none", nil, false, 0},
		{"empty", body{}, false, 0},
		{"as in the first example", body{"allowRemoteControl": false, "timeoutInMinutes": 10}, false, 10},
		{"as in the second example", body{"allowRemoteControl": true, "timeoutInMinutes": 15}, true, 15},
		{"shortest", body{"timeoutInMinutes": 1}, false, 1},
		{"longest", body{"timeoutInMinutes": 480}, false, 480},
	} {
		t.Run(tt.name, func(t T) {
			in := body{"conversationId": sc.conversation(t, "message").ID, "participants": sc.pair()}
			if tt.in != nil {
				in["settings"] = tt.in
			}
			var b sessionBody
			sc.want(t, http.StatusCreated, sc.post(t, sessionsPath, in)).into(t, &b)
			got := b.Settings
			if got.AllowRemoteControl == nil || *got.AllowRemoteControl != tt.control {
				t.Errorf("allowRemoteControl is not %t", tt.control)
			}
			if got.TimeoutInMinutes == nil || *got.TimeoutInMinutes < 1 || tt.minutes != 0 && *got.TimeoutInMinutes != tt.minutes {
				t.Errorf("timeoutInMinutes is not %d", tt.minutes)
			}
		})
	}
}

// createOnlyMembers reads the session in every other way; blameCredentials
// looks at the answers.
func createOnlyMembers(t T, sc *scene) {
	b := sc.session(t)
	sc.read(t, b.ID)
	sc.want(t, http.StatusOK, sc.get(t, sessionsPath+"?state=any&conversationId="+b.ConversationID))
	sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, sessionsPath, sc.createBody(b.ConversationID)))
	sc.want(t, http.StatusOK, call{method: http.MethodPatch, path: sessionPath(b.ID), token: sc.token(t), body: body{"settings": body{"timeoutInMinutes": 20}}})
	sc.want(t, http.StatusOK, call{method: http.MethodPatch, path: sessionPath(b.ID), token: sc.token(t), body: body{"state": "ended"}})
	sc.read(t, b.ID)
	sc.want(t, http.StatusOK, sc.get(t, historyPath+"/"+b.ID))
	sc.want(t, http.StatusOK, sc.get(t, historyPath+"?conversationId="+b.ConversationID))
}

func joinURLBase(t T, sc *scene) {
	b := sc.session(t)
	issued := sc.issue(t, b.ID, sc.target.AgentUserID)
	want := sc.target.PublicURL + "/cobrowse/join?token="
	for _, got := range []string{b.participant("agent").JoinURL, b.participant("supervisor").JoinURL, issued.JoinURL} {
		if !strings.HasPrefix(got, want) {
			start, _, _ := strings.Cut(got, "token=")
			t.Errorf("a joinUrl starts with %s, want %s", start, want)
		}
	}
}

func createUnknownMembers(t T, sc *scene) {
	in := sc.createBody(sc.conversation(t, "message").ID)
	in["colour"] = body{"deep": []any{1, "two", nil}}
	sc.want(t, http.StatusCreated, sc.post(t, sessionsPath+"?dryRun=true&x=1", in))
}

func createWithoutConversation(t T, sc *scene) {
	for name, in := range map[string]body{
		"missing": {"participants": sc.pair()},
		"empty":   {"conversationId": "", "participants": sc.pair()},
		"null":    {"conversationId": nil, "participants": sc.pair()},
	} {
		e := sc.badRequest(t, sc.post(t, sessionsPath, in))
		if got := e.fields(); !slices.Equal(got, []string{"conversationId"}) {
			t.Errorf("%s: details name %q, want conversationId", name, got)
		}
	}
}

// badRequest is for a body that breaks rules: which of the two codes it gets
// depends on whether it can be read at all.
func (s *suite) badRequest(t T, c call) envelope {
	t.Helper()
	a := s.do(t, c)
	var e envelope
	if err := json.Unmarshal(a.body, &e); err != nil || a.status != http.StatusBadRequest || e.Code != "constraint.validation" && e.Code != "bad.request" {
		t.Errorf("%v, want 400 constraint.validation or bad.request", a)
	}
	return e
}

func createBadPayload(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	agent, supervisor := invite(sc.target.AgentUserID, "agent"), invite(sc.target.SupervisorUserID, "supervisor")
	with := func(participants ...any) body { return body{"conversationId": conv, "participants": participants} }
	settings := func(s any) body {
		return body{"conversationId": conv, "participants": sc.pair(), "settings": s}
	}
	for _, tt := range []struct {
		name   string
		body   body
		fields []string
	}{
		{"no participants member", body{"conversationId": conv}, []string{"participants"}},
		{"no participants", with(), []string{"participants"}},
		{"participants is an object", body{"conversationId": conv, "participants": body{}}, []string{"participants"}},
		{"participant is a string", with("agent"), []string{"participants[0]"}},
		{"51 participants", body{"conversationId": conv, "participants": slices.Repeat([]any{agent}, 51)}, []string{"participants"}},
		{"no userId", with(agent, body{"role": "supervisor"}), []string{"participants[1].userId"}},
		{"neither userId nor role", with(agent, body{}), []string{"participants[1].userId"}},
		{"empty userId", with(agent, invite("", "supervisor")), []string{"participants[1].userId"}},
		{"userId is a number", with(agent, body{"userId": 7, "role": "supervisor"}), []string{"participants[1].userId"}},
		{"the same userId twice", with(agent, invite(sc.target.AgentUserID, "supervisor")), []string{"participants[1].userId"}},
		{"unknown role", with(agent, invite(sc.target.SupervisorUserID, "king")), []string{"participants[1].role"}},
		{"role is a number", with(agent, body{"userId": sc.target.SupervisorUserID, "role": 1}), []string{"participants[1].role"}},
		{"a customer with a userId", with(agent, invite(sc.target.SupervisorUserID, "customer")), []string{"participants[1].userId"}},
		{"two customers", with(body{"role": "customer"}, agent, body{"role": "customer"}), []string{"participants[2].role"}},
		{"conversationId is a number", body{"conversationId": 5, "participants": sc.pair()}, []string{"conversationId"}},
		{"settings is a string", settings("fast"), []string{"settings"}},
		{"timeout 0", settings(body{"timeoutInMinutes": 0}), []string{"settings.timeoutInMinutes"}},
		{"timeout below 0", settings(body{"timeoutInMinutes": -10}), []string{"settings.timeoutInMinutes"}},
		{"timeout 481", settings(body{"timeoutInMinutes": 481}), []string{"settings.timeoutInMinutes"}},
		{"timeout enormous", settings(body{"timeoutInMinutes": 1e300}), []string{"settings.timeoutInMinutes"}},
		{"timeout 1.5", settings(body{"timeoutInMinutes": 1.5}), []string{"settings.timeoutInMinutes"}},
		{"timeout is a string", settings(body{"timeoutInMinutes": "10"}), []string{"settings.timeoutInMinutes"}},
		{"remote control is a string", settings(body{"allowRemoteControl": "yes"}), []string{"settings.allowRemoteControl"}},
		{
			"four problems",
			body{"participants": []any{agent, invite("", "king"), supervisor}, "settings": body{"timeoutInMinutes": 0}},
			[]string{"conversationId", "participants[1].role", "participants[1].userId", "settings.timeoutInMinutes"},
		},
	} {
		t.Run(tt.name, func(t T) {
			e := sc.badRequest(t, sc.post(t, sessionsPath, tt.body))
			if got := e.fields(); !slices.Equal(got, tt.fields) {
				t.Errorf("details name %q, want %q", got, tt.fields)
			}
		})
	}
	sc.noSession(t, conv)
}

// noSession checks that nothing was left behind.
func (sc *scene) noSession(t T, conversation string) {
	t.Helper()
	if sc.target.ConversationID != "" {
		sc.noLiveSession(t, conversation) // others have had some on it
		return
	}
	p := page[sessionBody](t, sc.want(t, http.StatusOK, sc.get(t, sessionsPath+"?state=any&conversationId="+conversation)))
	if len(p.Entities) != 0 || *p.Total != 0 {
		t.Errorf("conversation %s has %d sessions after refused calls, want none", conversation, len(p.Entities))
	}
}

func createWithoutScope(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	c := call{method: http.MethodPost, path: sessionsPath, body: sc.createBody(conv), token: sc.scoped(t, scopeSessionRead, scopeConversationsRead, scopeConversationsWrite, scopeUserRead)}
	sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", c)
	sc.noSession(t, conv)
}

func createIncapable(t T, sc *scene) {
	sc.needIncapable(t)
	for _, medium := range []string{"call", "message"} {
		conv := sc.ownConversation(t, medium).ID
		e := sc.refused(t, http.StatusForbidden, "missing.permissions", sc.post(t, sessionsPath, body{
			"conversationId": conv, "participants": []any{invite(sc.target.AgentUserID, "agent"), invite(sc.target.IncapableUserID, "supervisor")},
		}))
		if !slices.ContainsFunc(e.Details, func(d detail) bool { return d.FieldName == "participants[1].userId" }) && e.EntityID != sc.target.IncapableUserID {
			t.Errorf("the refusal does not say who lacks the capability: %+v", e)
		}
		sc.noSession(t, conv)
	}
}

func createUnknownConversation(t T, sc *scene) {
	for _, id := range []string{unknownID(30), "no-uuid", "💡"} {
		sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", sc.post(t, sessionsPath, sc.createBody(id)))
	}
	conv := sc.ownConversation(t, "call")
	sc.want(t, http.StatusAccepted, sc.post(t, conversationsPath+"/"+conv.ID+"/disconnect", nil))
	sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", sc.post(t, sessionsPath, sc.createBody(conv.ID)))
}

func createUnknownUser(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	for _, user := range []string{unknownID(31), "no-uuid"} {
		sc.refused(t, http.StatusNotFound, "general.resource.not.found", sc.post(t, sessionsPath, body{
			"conversationId": conv, "participants": []any{invite(sc.target.AgentUserID, "agent"), invite(user, "supervisor")},
		}))
	}
	sc.noSession(t, conv)
}

func createForeign(t T, sc *scene) {
	sc.needOther(t)
	conv := sc.conversation(t, "message").ID
	c := sc.post(t, sessionsPath, sc.createBody(conv))
	c.token = sc.other(t)
	sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", c)
	if sc.target.OtherUserID != "" {
		sc.refused(t, http.StatusNotFound, "general.resource.not.found", sc.post(t, sessionsPath, body{
			"conversationId": conv, "participants": []any{invite(sc.target.AgentUserID, "agent"), invite(sc.target.OtherUserID, "supervisor")},
		}))
	}
	sc.noSession(t, conv)
}

// timeout is the inactivity that the session bears.
func (b sessionBody) timeout() time.Duration {
	if b.Settings.TimeoutInMinutes == nil {
		return 0
	}
	return time.Duration(*b.Settings.TimeoutInMinutes) * time.Minute
}
