package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

func conversationCases() []Case {
	return []Case{
		{"T9 the tutorial's list is an object with an array of entities", listConversations},
		{"T9 limit and pageSize mean the same, and pages do not overlap", pageConversations},
		{"T9 values that are not allowed are 400 and name the parameter", listConversationsRefused},
		{"T10 participants carry role and userId", conversationParticipants},
		{"T12 an active conversation says so, a disconnected one too", conversationState},
		{"T12 voice and digital conversations both qualify", mediaQualify},
		{"conversations are created, 201 with Location", createConversation},
		{"conversations that break rules are not created", createConversationRefused},
		{"conversations attributes are merged", patchAttributes},
		{"conversations attributes are refused with the official codes", patchAttributesRefused},
		{"conversations disconnect is idempotent, 202 with a string", disconnectTwice},
		{"conversations DELETE needs a user", deleteConversation},
		{"conversations unknown ids are 404 with the official code", unknownConversation},
	}
}

func userCases() []Case {
	return []Case{
		{"T11 a user that exists is 200, one that does not is 404", getUser},
		{"T11 users are listed by page and by id", listUsers},
		{"T11 asking for the own user needs one", usersMe},
	}
}

func listConversations(t T, sc *scene) {
	sc.conversation(t, "message")
	for _, limit := range []int{1, 5} {
		p := page[conversationBody](t, sc.want(t, http.StatusOK, sc.get(t, fmt.Sprintf("%s?state=active&limit=%d", conversationsPath, limit))))
		if n := len(p.Entities); n == 0 || n > limit || *p.PageSize != limit || *p.PageNumber != 1 {
			t.Errorf("limit=%d: %d entities, pageSize %d, pageNumber %d", limit, n, *p.PageSize, *p.PageNumber)
		}
		for _, c := range p.Entities {
			if c.State != "active" || c.EndTime != "" {
				t.Errorf("state=active lists a conversation that is %s and ended at %q", c.State, c.EndTime)
			}
		}
	}
	p := page[conversationBody](t, sc.want(t, http.StatusOK, sc.get(t, conversationsPath+"?state=active&limit=5&pageNumber=100000")))
	if len(p.Entities) != 0 {
		t.Errorf("a page past the end has %d entities", len(p.Entities))
	}
	// What nobody knows is ignored.
	sc.want(t, http.StatusOK, sc.get(t, conversationsPath+"?state=active&limit=1&sortOrder=none&x=%F0%9F%92%A1"))
}

func pageConversations(t T, sc *scene) {
	made := map[string]bool{}
	for range 3 {
		made[sc.conversation(t, "callback").ID] = true
	}
	seen := map[string]bool{}
	path := conversationsPath + "?communicationType=callback&pageSize=2"
	for path != "" {
		p := page[conversationBody](t, sc.want(t, http.StatusOK, sc.get(t, path)))
		if len(p.Entities) > 2 {
			t.Fatalf("pageSize=2 gave %d entities", len(p.Entities))
		}
		for _, c := range p.Entities {
			if seen[c.ID] {
				t.Errorf("conversation %s stands on two pages", c.ID)
			}
			seen[c.ID] = true
		}
		path = ""
		if p.NextURI != nil {
			path = *p.NextURI
		}
	}
	for id := range made {
		if !seen[id] {
			t.Errorf("conversation %s stands on no page", id)
		}
	}
	byLimit := page[conversationBody](t, sc.want(t, http.StatusOK, sc.get(t, conversationsPath+"?communicationType=callback&limit=2")))
	bySize := page[conversationBody](t, sc.want(t, http.StatusOK, sc.get(t, conversationsPath+"?communicationType=callback&pageSize=2")))
	if len(byLimit.Entities) != len(bySize.Entities) || byLimit.Entities[0].ID != bySize.Entities[0].ID {
		t.Errorf("limit=2 and pageSize=2 list different conversations")
	}
}

func listConversationsRefused(t T, sc *scene) {
	for query, field := range map[string]string{
		"state=sleeping": "state", "limit=0": "limit", "limit=101": "limit", "limit=five": "limit", "limit=-1": "limit", "limit=99999999999999999999": "limit",
		"pageSize=0": "pageSize", "pageNumber=0": "pageNumber", "pageNumber=x": "pageNumber", "communicationType=telegraph": "communicationType",
	} {
		e := sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.get(t, conversationsPath+"?"+query))
		if got := e.fields(); !slices.Equal(got, []string{field}) {
			t.Errorf("%s: details name %q, want %q", query, got, field)
		}
	}
}

func conversationParticipants(t T, sc *scene) {
	conv := sc.ownConversation(t, "message")
	var got conversationBody
	sc.want(t, http.StatusOK, sc.get(t, conversationsPath+"/"+conv.ID)).into(t, &got)
	var agents int
	for _, p := range got.Participants {
		if p.ID == "" || p.Role == "" || p.Role != p.Purpose {
			t.Errorf("a participant has id %q, role %q and purpose %q, want both words alike", p.ID, p.Role, p.Purpose)
		}
		if p.Attributes == nil {
			t.Errorf("participant %s has no attributes object", p.ID)
		}
		if len(p.Messages) != 1 || p.Messages[0].State != "connected" {
			t.Errorf("participant %s has messages %+v, want one that is connected", p.ID, p.Messages)
		}
		if p.Role == "agent" {
			agents++
			if p.UserID != sc.target.AgentUserID || p.UserURI != usersPath+"/"+p.UserID {
				t.Errorf("the agent has userId %q and userUri %q, want those of %s", p.UserID, p.UserURI, sc.target.AgentUserID)
			}
		}
	}
	if agents != 1 || len(got.Participants) != 2 {
		t.Errorf("%d participants, %d of them agents, want 2 and 1", len(got.Participants), agents)
	}
}

func conversationState(t T, sc *scene) {
	conv := sc.ownConversation(t, "chat")
	if conv.State != "active" || conv.EndTime != "" {
		t.Errorf("a new conversation is %q and ended at %q", conv.State, conv.EndTime)
	}
	listed := func(t T, state string) bool {
		t.Helper()
		for path := conversationsPath + "?communicationType=chat&pageSize=100&state=" + state; path != ""; {
			p := page[conversationBody](t, sc.want(t, http.StatusOK, sc.get(t, path)))
			if slices.ContainsFunc(p.Entities, func(c conversationBody) bool { return c.ID == conv.ID }) {
				return true
			}
			path = ""
			if p.NextURI != nil {
				path = *p.NextURI
			}
		}
		return false
	}
	if !listed(t, "active") || listed(t, "disconnected") || !listed(t, "any") {
		t.Errorf("an active conversation must be listed as active and any, not as disconnected")
	}
	sc.want(t, http.StatusAccepted, sc.post(t, conversationsPath+"/"+conv.ID+"/disconnect", nil))
	var ended conversationBody
	sc.want(t, http.StatusOK, sc.get(t, conversationsPath+"/"+conv.ID)).into(t, &ended)
	if ended.State == "active" || ended.EndTime == "" {
		t.Errorf("a disconnected conversation is %q and ended at %q", ended.State, ended.EndTime)
	}
	if listed(t, "active") || !listed(t, "disconnected") || !listed(t, "any") {
		t.Errorf("a disconnected conversation must be listed as disconnected and any, not as active")
	}
}

func mediaQualify(t T, sc *scene) {
	for _, medium := range []string{"call", "callback", "chat", "email", "message"} {
		sc.sessionOn(t, sc.ownConversation(t, medium).ID)
	}
}

func createConversation(t T, sc *scene) {
	sc.needConversations(t)
	a := sc.want(t, http.StatusCreated, sc.post(t, conversationsPath, body{
		"mediaType": "call", "externalTag": "ticket-4711", "unknownMember": []any{1, body{}},
		"participants": []any{body{"purpose": "customer", "name": "Kim", "attributes": body{"lang": "de"}}, body{"purpose": "agent", "userId": sc.target.AgentUserID}},
	}))
	var conv conversationBody
	a.into(t, &conv)
	if !uuidForm.MatchString(conv.ID) || conv.SelfURI != conversationsPath+"/"+conv.ID || !strings.HasSuffix(a.header.Get("Location"), conv.SelfURI) {
		t.Errorf("id %q, selfUri %q, Location %q", conv.ID, conv.SelfURI, a.header.Get("Location"))
	}
	if conv.ExternalTag != "ticket-4711" {
		t.Errorf("externalTag is %q", conv.ExternalTag)
	}
	date(t, "startTime", conv.StartTime)
	sc.want(t, http.StatusAccepted, sc.post(t, conv.SelfURI+"/disconnect", nil))
}

func createConversationRefused(t T, sc *scene) {
	sc.needConversations(t)
	agent := body{"purpose": "agent", "userId": sc.target.AgentUserID}
	for _, tt := range []struct {
		name   string
		body   body
		fields []string
	}{
		{"no media type", body{"participants": []any{agent}}, []string{"mediaType"}},
		{"unknown media type", body{"mediaType": "telegraph", "participants": []any{agent}}, []string{"mediaType"}},
		{"no participants", body{"mediaType": "call"}, []string{"participants"}},
		{"empty participants", body{"mediaType": "call", "participants": []any{}}, []string{"participants"}},
		{"unknown purpose", body{"mediaType": "call", "participants": []any{body{"purpose": "ghost"}}}, []string{"participants[0].purpose"}},
		{"an agent without userId", body{"mediaType": "call", "participants": []any{body{"purpose": "agent"}}}, []string{"participants[0].userId"}},
		{"several problems", body{"mediaType": "x", "participants": []any{agent, body{"purpose": "agent"}}}, []string{"mediaType", "participants[1].userId"}},
	} {
		t.Run(tt.name, func(t T) {
			e := sc.refused(t, http.StatusBadRequest, "constraint.validation", sc.post(t, conversationsPath, tt.body))
			if got := e.fields(); !slices.Equal(got, tt.fields) {
				t.Errorf("details name %q, want %q", got, tt.fields)
			}
		})
	}
	sc.refused(t, http.StatusNotFound, "general.resource.not.found", sc.post(t, conversationsPath, body{
		"mediaType": "call", "participants": []any{body{"purpose": "agent", "userId": unknownID(20)}},
	}))
}

// attributesPath is that of the first participant.
func attributesPath(conv conversationBody) string {
	return conversationsPath + "/" + conv.ID + "/participants/" + conv.Participants[0].ID + "/attributes"
}

func patchAttributes(t T, sc *scene) {
	conv := sc.ownConversation(t, "message")
	patch := func(b any) call {
		return call{method: http.MethodPatch, path: attributesPath(conv), token: sc.token(t), body: b}
	}
	for _, set := range []body{{"a": "1", "b": "2"}, {"b": "3"}, {}} {
		if a := sc.want(t, http.StatusAccepted, patch(body{"attributes": set})); len(a.body) > 0 {
			t.Errorf("%v: 202 has a body of %d bytes", a.call, len(a.body))
		}
	}
	var got conversationBody
	sc.want(t, http.StatusOK, sc.get(t, conversationsPath+"/"+conv.ID)).into(t, &got)
	for _, p := range got.Participants {
		if p.ID == conv.Participants[0].ID && (p.Attributes["a"] != "1" || p.Attributes["b"] != "3") {
			t.Errorf("attributes are %v, want a=1 and b=3", p.Attributes)
		}
	}
}

func patchAttributesRefused(t T, sc *scene) {
	conv := sc.ownConversation(t, "message")
	patch := func(path string, b any) call {
		return call{method: http.MethodPatch, path: path, token: sc.token(t), body: b}
	}
	sc.refused(t, http.StatusBadRequest, "conversation.error.participant.attribute.null", patch(attributesPath(conv), `{"attributes":null}`))
	for in, field := range map[string]string{`{}`: "attributes", `{"attributes":[]}`: "attributes", `{"attributes":{"a":1}}`: "attributes.a", `{"attributes":{"a":null}}`: "attributes.a"} {
		a := sc.want(t, http.StatusBadRequest, patch(attributesPath(conv), in))
		var e envelope
		a.into(t, &e)
		if got := e.fields(); !slices.Equal(got, []string{field}) {
			t.Errorf("%s: details name %q, want %q", in, got, field)
		}
	}
	conv.Participants[0].ID = unknownID(21)
	sc.refused(t, http.StatusNotFound, "conversation.error.participant.not.found", patch(attributesPath(conv), body{"attributes": body{"a": "1"}}))
	conv.ID = unknownID(22)
	sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", patch(attributesPath(conv), body{"attributes": body{"a": "1"}}))
}

func disconnectTwice(t T, sc *scene) {
	conv := sc.ownConversation(t, "call")
	for range 2 {
		a := sc.want(t, http.StatusAccepted, sc.post(t, conversationsPath+"/"+conv.ID+"/disconnect", nil))
		var text string
		a.into(t, &text)
	}
}

func deleteConversation(t T, sc *scene) {
	conv := sc.ownConversation(t, "call")
	sc.refused(t, http.StatusBadRequest, "not.a.user", call{method: http.MethodDelete, path: conversationsPath + "/" + conv.ID, token: sc.token(t)})
	sc.sessionOn(t, conv.ID) // it lives on
}

func unknownConversation(t T, sc *scene) {
	for _, id := range []string{unknownID(23), "no-uuid", "%00", "..%2f..%2fetc", strings.Repeat("a", 500), "%F0%9F%92%A1", "%FF"} {
		sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", sc.get(t, conversationsPath+"/"+id))
		sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", sc.post(t, conversationsPath+"/"+id+"/disconnect", nil))
	}
}

type userBody struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	State   string `json:"state"`
	Version *int   `json:"version"`
	SelfURI string `json:"selfUri"`
}

func getUser(t T, sc *scene) {
	for _, id := range []string{sc.target.AgentUserID, sc.target.SupervisorUserID} {
		var u userBody
		sc.want(t, http.StatusOK, sc.get(t, usersPath+"/"+id+"?expand=presence")).into(t, &u)
		if u.ID != id || u.State != "active" || u.Version == nil || *u.Version < 1 || u.SelfURI != usersPath+"/"+id {
			t.Errorf("user %s is %+v", id, u)
		}
	}
	for _, id := range []string{unknownID(24), "no-uuid", "%00", strings.Repeat("a", 500), "%FF"} {
		sc.refused(t, http.StatusNotFound, "general.resource.not.found", sc.get(t, usersPath+"/"+id))
	}
	sc.want(t, http.StatusOK, sc.get(t, usersPath+"/"+sc.target.AgentUserID+"?state=active"))
	sc.refused(t, http.StatusNotFound, "general.resource.not.found", sc.get(t, usersPath+"/"+sc.target.AgentUserID+"?state=deleted"))
	sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.get(t, usersPath+"/"+sc.target.AgentUserID+"?state=asleep"))
}

func listUsers(t T, sc *scene) {
	p := page[userBody](t, sc.want(t, http.StatusOK, sc.get(t, usersPath+"?pageSize=1&pageNumber=1")))
	if len(p.Entities) != 1 || *p.Total < 2 {
		t.Errorf("pageSize=1 gave %d of %d users", len(p.Entities), *p.Total)
	}
	want := []string{sc.target.AgentUserID, sc.target.SupervisorUserID}
	for _, query := range []string{"id=" + want[0] + "&id=" + want[1], "id=" + want[0] + "," + want[1], "id=" + strings.Join(append(want, unknownID(25)), ",")} {
		var got []string
		for _, u := range page[userBody](t, sc.want(t, http.StatusOK, sc.get(t, usersPath+"?"+query))).Entities {
			got = append(got, u.ID)
		}
		if len(got) != 2 || !slices.Contains(got, want[0]) || !slices.Contains(got, want[1]) {
			t.Errorf("GET users?%s lists %q, want %q", query, got, want)
		}
	}
	if p := page[userBody](t, sc.want(t, http.StatusOK, sc.get(t, usersPath+"?id="+unknownID(26)))); len(p.Entities) != 0 {
		t.Errorf("an unknown id lists %d users", len(p.Entities))
	}
	sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.get(t, usersPath+"?state=asleep"))
	sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.get(t, usersPath+"?pageSize=none"))
}

func usersMe(t T, sc *scene) {
	token := sc.token(t)
	a := sc.do(t, call{path: "/api/v2/users/me", token: token})
	var e envelope
	a.into(t, &e)
	if a.status != http.StatusBadRequest || e.Code != "not.a.user" {
		t.Errorf("%v, want 400 not.a.user", a)
	}
}
