package contract

import (
	"net/http"
	"slices"
)

func isolationCases() []Case {
	return []Case{
		{"isolation every call with an id of another organisation is 404", isolateCalls},
		{"isolation lists hold nothing of another organisation", isolateLists},
	}
}

func isolateCalls(t T, sc *scene) {
	sc.needOther(t)
	live, deployment := sc.session(t), sc.deployment(t)
	started := sc.started(t)
	ended := sc.session(t)
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(ended.ID)))
	var conv conversationBody
	sc.want(t, http.StatusOK, sc.get(t, conversationsPath+"/"+live.ConversationID)).into(t, &conv)

	session, agent := sessionPath(live.ID), sc.target.AgentUserID
	conversation := conversationsPath + "/" + conv.ID
	shopBody := body{"name": "Stolen", "allowedOrigins": []any{"https://elsewhere.example"}}
	for _, r := range []struct {
		method, path string
		body         any
		code         string
	}{
		{http.MethodGet, conversation, nil, "conversation.error.conversation.not.found"},
		{http.MethodPost, conversation + "/disconnect", nil, "conversation.error.conversation.not.found"},
		{http.MethodPatch, conversation + "/participants/" + conv.Participants[0].ID + "/attributes", body{"attributes": body{"a": "b"}}, "conversation.error.conversation.not.found"},
		{http.MethodPost, conversationsPath, body{"mediaType": "call", "participants": []any{body{"purpose": "agent", "userId": agent}}}, "general.resource.not.found"},
		{http.MethodGet, usersPath + "/" + agent, nil, "general.resource.not.found"},
		{http.MethodPost, sessionsPath, sc.createBody(conv.ID), "conversation.error.conversation.not.found"},
		{http.MethodGet, session, nil, "not.found"},
		{http.MethodGet, sessionPath(ended.ID), nil, "not.found"},
		{http.MethodPatch, session, body{"state": "ended"}, "not.found"},
		{http.MethodPatch, session, body{"settings": body{"timeoutInMinutes": 99}}, "not.found"},
		{http.MethodPatch, sessionPath(ended.ID), body{"state": "ended"}, "not.found"},
		{http.MethodDelete, session, nil, "not.found"},
		{http.MethodDelete, sessionPath(ended.ID), nil, "not.found"},
		{http.MethodPost, session + "/participants", invite(agent, "supervisor"), "not.found"},
		{http.MethodDelete, session + "/participants/" + agent, nil, "not.found"},
		{http.MethodPost, tokensPath(live.ID, agent), nil, "not.found"},
		{http.MethodPost, tokensPath(ended.ID, agent), nil, "not.found"},
		{http.MethodGet, historyPath + "/" + ended.ID, nil, "not.found"},
		{http.MethodPost, linksPath(ended.ID), nil, "not.found"},
		{http.MethodPost, linksPath(live.ID), nil, "not.found"},
		{http.MethodGet, deploymentsPath + "/" + deployment.ID, nil, "not.found"},
		{http.MethodPut, deploymentsPath + "/" + deployment.ID, shopBody, "not.found"},
		{http.MethodDelete, deploymentsPath + "/" + deployment.ID, nil, "not.found"},
	} {
		sc.refused(t, http.StatusNotFound, r.code, call{method: r.method, path: r.path, body: r.body, token: sc.other(t)})
	}
	hook := sc.webhook(t)
	for _, r := range append(webhookRoutes(hook.ID), route{method: http.MethodPut, path: webhookPath(hook.ID), body: body{"url": nowhere}}) {
		sc.refused(t, http.StatusNotFound, "not.found", call{method: r.method, path: r.path, body: r.body, token: sc.other(t)})
	}
	for _, r := range append(officialRoutes(conv.ID, agent, unknownID(84)), route{method: http.MethodPost, path: offerPath(conv.ID)}) {
		sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", call{method: r.method, path: r.path, body: r.body, token: sc.other(t)})
	}
	if user := sc.target.OtherUserID; user != "" {
		// The other organisation has a conversation and a user; the session is not its own.
		theirs := sc.conversationAs(t, sc.other(t), "message", user)
		sc.refused(t, http.StatusNotFound, "not.found", call{method: http.MethodPost, path: attachPath, token: sc.other(t), body: body{
			"sessionToken": started.SessionToken, "conversationId": theirs.ID, "participant": invite(user, "agent"),
		}})
		sc.refused(t, http.StatusNotFound, "general.resource.not.found", sc.post(t, participantsPath(live.ID), invite(user, "supervisor")))
		sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", sc.get(t, conversationsPath+"/"+theirs.ID))
	}
	// Nothing of all this had an effect.
	if got := sc.read(t, live.ID); got.State != "idle" || len(got.Participants) != 2 || got.timeout() != live.timeout() {
		t.Errorf("the session was changed from outside: %+v", got)
	}
	var d deploymentBody
	sc.want(t, http.StatusOK, sc.get(t, deploymentsPath+"/"+deployment.ID)).into(t, &d)
	if d.Name != deployment.Name {
		t.Errorf("the deployment was changed from outside: %+v", d)
	}
	var after conversationBody
	sc.want(t, http.StatusOK, sc.get(t, conversation)).into(t, &after)
	if after.State != "active" || slices.ContainsFunc(after.Participants, func(p memberBody) bool {
		return p.Attributes["a"] != ""
	}) {
		t.Errorf("the conversation was changed from outside")
	}
}

func isolateLists(t T, sc *scene) {
	sc.needOther(t)
	live, deployment := sc.session(t), sc.deployment(t)
	ended := sc.session(t)
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(ended.ID)))
	ours := []string{live.ID, ended.ID, live.ConversationID, deployment.ID, sc.target.AgentUserID}
	for _, path := range []string{
		sessionsPath + "?state=any&pageSize=100", sessionsPath + "?state=any&conversationId=" + live.ConversationID,
		sessionsPath + "?state=any&conversationId=" + ended.ConversationID, historyPath + "?pageSize=100",
		historyPath + "?conversationId=" + ended.ConversationID, cobrowsePath + "?pageSize=100", conversationsPath + "?state=any&pageSize=100",
		deploymentsPath + "?pageSize=100", usersPath + "?state=any&pageSize=100", usersPath + "?id=" + sc.target.AgentUserID,
	} {
		a := sc.want(t, http.StatusOK, call{path: path, token: sc.other(t)})
		var list struct {
			Entities []named `json:"entities"`
		}
		a.into(t, &list)
		for _, e := range list.Entities {
			if slices.Contains(ours, e.ID) {
				t.Errorf("GET %s of the other organisation lists our %s", path, e.ID)
			}
		}
	}
}
