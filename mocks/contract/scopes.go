package contract

import (
	"net/http"
	"slices"
	"strings"
)

func scopeCases() []Case {
	return []Case{
		{"T6 the five scopes can be granted, one by one", grantScopes},
		{"T6 every call wants its scope", enforceScopes},
		{"T6 the official names of scopes mean the same", aliasScopes},
		{"T6 T32 a client gets only the scopes that it was given", limitedScopes},
	}
}

// route is one call that needs a token. Its ids exist nowhere, so that nothing
// happens whoever is let through.
type route struct {
	method, path string
	scope        string // "" = any token will do
	body         any    // one that passes the rules of syntax
}

func (s *suite) routes() []route {
	session, conv, id := sessionPath(unknownID(10)), conversationsPath+"/"+unknownID(11), unknownID(12)
	deployment := body{"name": "Shop", "allowedOrigins": []any{"https://shop.example"}}
	all := append(append(officialRoutes(unknownID(11), id, id), webhookRoutes(id)...), []route{
		{http.MethodGet, mePath, "", nil},
		{http.MethodHead, mePath, "", nil},
		{http.MethodDelete, mePath, "", nil},
		{http.MethodGet, "/api/v2/oauth/scopes", "", nil},
		{http.MethodGet, "/api/v2/users/me", "", nil},
		{http.MethodGet, conversationsPath + "?state=active&limit=1", scopeConversationsRead, nil},
		{http.MethodGet, conv, scopeConversationsRead, nil},
		{http.MethodPost, conversationsPath, scopeConversationsWrite, body{"mediaType": "call", "participants": []any{body{"purpose": "agent", "userId": id}}}},
		{http.MethodDelete, conv, scopeConversationsWrite, nil},
		{http.MethodPost, conv + "/disconnect", scopeConversationsWrite, nil},
		{http.MethodPatch, conv + "/participants/" + id + "/attributes", scopeConversationsWrite, body{"attributes": body{"k": "v"}}},
		{http.MethodGet, usersPath, scopeUserRead, nil},
		{http.MethodGet, usersPath + "/" + id, scopeUserRead, nil},
		{http.MethodPost, sessionsPath, scopeSessionWrite, body{"conversationId": id, "participants": s.pair()}},
		{http.MethodGet, sessionsPath, scopeSessionRead, nil},
		{http.MethodGet, session, scopeSessionRead, nil},
		{http.MethodPatch, session, scopeSessionWrite, body{"state": "ended"}},
		{http.MethodDelete, session, scopeSessionWrite, nil},
		{http.MethodPost, session + "/participants", scopeSessionWrite, invite(id, "supervisor")},
		{http.MethodDelete, session + "/participants/" + id, scopeSessionWrite, nil},
		{http.MethodPost, session + "/participants/" + id + "/tokens", scopeSessionRead, nil},
		{http.MethodPost, attachPath, scopeSessionWrite, body{"sessionToken": "123456789", "conversationId": id, "participant": invite(id, "agent")}},
		{http.MethodGet, deploymentsPath, scopeSessionRead, nil},
		{http.MethodPost, deploymentsPath, scopeSessionWrite, deployment},
		{http.MethodGet, deploymentsPath + "/" + id, scopeSessionRead, nil},
		{http.MethodPut, deploymentsPath + "/" + id, scopeSessionWrite, deployment},
		{http.MethodDelete, deploymentsPath + "/" + id, scopeSessionWrite, nil},
		{http.MethodGet, historyPath, scopeSessionRead, nil},
		{http.MethodGet, webhooksPath, scopeSessionRead, nil},
		{http.MethodGet, historyPath + "/" + id, scopeSessionRead, nil},
		{http.MethodPut, historyPath + "/" + id, scopeSessionWrite, body{"sessionToken": "123456789", "dateCreated": "1999-01-02T03:04:05Z", "dateEnded": "1999-01-02T04:04:05Z"}},
		{http.MethodPost, linksPath(id), scopeSessionRead, nil},
		{http.MethodGet, cobrowsePath, scopeConversationsRead, nil},
		{http.MethodPost, offerPath(id), scopeConversationsWrite, nil},
	}...)
	if s.target.ConversationID == "" {
		return all
	}
	// Where one is named, the target may create none.
	return slices.DeleteFunc(all, func(r route) bool { return r.method == http.MethodPost && r.path == conversationsPath })
}

func grantScopes(t T, sc *scene) {
	for _, scope := range Scopes() {
		var info tokenInfo
		sc.want(t, http.StatusOK, call{path: mePath, token: sc.scoped(t, scope)}).into(t, &info)
		if !slices.Equal(info.AuthorizedScope, []string{scope}) {
			t.Errorf("a token for %s has the scopes %q", scope, info.AuthorizedScope)
		}
	}
}

func enforceScopes(t T, sc *scene) {
	for _, r := range sc.routes() {
		if r.scope == "" {
			continue
		}
		name := r.method + " " + strings.ReplaceAll(r.path, unknownID(12), "{id}")
		t.Run(name, func(t T) {
			var others []string
			for _, scope := range Scopes() {
				if scope != r.scope {
					others = append(others, scope)
				}
			}
			// Writing conversations includes reading them: conversations satisfies conversations:readonly.
			if r.scope == scopeConversationsRead {
				others = slices.DeleteFunc(others, func(s string) bool { return s == scopeConversationsWrite })
			}
			e := sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", call{method: r.method, path: r.path, body: r.body, token: sc.scoped(t, others...)})
			if open, shut := strings.Index(e.Message, "["), strings.Index(e.Message, "]"); open < 0 || shut < open {
				t.Errorf("the message %q does not name the missing scope in brackets", e.Message)
			}
			if strings.HasSuffix(r.path, deploymentsPath) && r.method == http.MethodPost {
				return // it would make one
			}
			if a := sc.do(t, call{method: r.method, path: r.path, body: r.body, token: sc.scoped(t, r.scope)}); a.status == http.StatusForbidden || a.status == http.StatusUnauthorized {
				t.Errorf("%v with the scope that it needs", a)
			}
		})
	}
}

func aliasScopes(t T, sc *scene) {
	token := sc.scoped(t, "conversations:readonly", "users:readonly")
	sc.want(t, http.StatusOK, call{path: conversationsPath + "?limit=1", token: token})
	sc.want(t, http.StatusOK, call{path: usersPath + "/" + sc.target.AgentUserID, token: token})
	sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", call{path: sessionsPath, token: token})
	// The wide scope satisfies what the narrow one does.
	sc.want(t, http.StatusOK, call{path: conversationsPath + "?limit=1", token: sc.scoped(t, "conversations")})
}

func limitedScopes(t T, sc *scene) {
	sc.needLimited(t)
	token := sc.grant(t, sc.target.Limited, nil)
	sc.want(t, http.StatusOK, call{path: sessionsPath, token: token})
	sc.want(t, http.StatusOK, call{path: usersPath + "/" + sc.target.AgentUserID, token: token})
	conv := sc.conversation(t, "call")
	sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", call{method: http.MethodPost, path: sessionsPath, token: token, body: sc.createBody(conv.ID)})
	sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", call{path: conversationsPath, token: token})
	c := oauthPost("/oauth/token", sc.grantForm("client_id", sc.target.Limited.ClientID, "client_secret", sc.target.Limited.ClientSecret, "scope", scopeSessionWrite))
	sc.tokenRefused(t, c, http.StatusBadRequest, "invalid_scope")
	// It is a client of the same organisation: what it may, it may on all sessions.
	session := sc.session(t)
	sc.want(t, http.StatusOK, call{path: sessionPath(session.ID), token: token})
	sc.want(t, http.StatusOK, call{method: http.MethodPost, path: tokensPath(session.ID, sc.target.AgentUserID), token: token})
}
