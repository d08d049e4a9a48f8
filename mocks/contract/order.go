package contract

import (
	"net/http"
	"strings"
)

func orderCases() []Case {
	return []Case{{"order of checks on create: 401, 403, 415, 413 and 400, 404 conversation, 404 user, 403 capability, 409", orderOnCreate}}
}

// orderOnCreate sends requests that violate two rules at once; the earlier one
// must answer (spec section 6.2).
func orderOnCreate(t T, sc *scene) {
	live := sc.session(t).ConversationID
	agent := invite(sc.target.AgentUserID, "agent")
	with := func(conversation string, user string) body {
		return body{"conversationId": conversation, "participants": []any{agent, invite(user, "supervisor")}}
	}
	syntax := func(b body) body {
		b["settings"] = body{"timeoutInMinutes": 0}
		return b
	}
	huge := `{"conversationId":"` + strings.Repeat("x", sc.target.Limits.MaxBody) + `"}`
	text := http.Header{"Content-Type": {"text/plain"}}
	noScope := sc.scoped(t, scopeSessionRead)
	good, nobody := sc.token(t), unknownID(100)

	type violation struct {
		name   string
		token  string
		header http.Header
		body   any
		status int
		code   string
	}
	const (
		noConversation = "conversation.error.conversation.not.found"
		noUser         = "general.resource.not.found"
		noScopeCode    = "app.not.authorized.for.scope"
	)
	rows := []violation{
		{"401 before 415", "bad", text, "x", http.StatusUnauthorized, "bad.credentials"},
		{"401 before 413", "bad", nil, huge, http.StatusUnauthorized, "bad.credentials"},
		{"401 before 400", "bad", nil, "{", http.StatusUnauthorized, "bad.credentials"},
		{"401 before 404", "bad", nil, with(unknownID(101), nobody), http.StatusUnauthorized, "bad.credentials"},
		{"401 before 409", "bad", nil, with(live, sc.target.SupervisorUserID), http.StatusUnauthorized, "bad.credentials"},
		{"403 scope before 415", noScope, text, "x", http.StatusForbidden, noScopeCode},
		{"403 scope before 413", noScope, nil, huge, http.StatusForbidden, noScopeCode},
		{"403 scope before 400", noScope, nil, "{", http.StatusForbidden, noScopeCode},
		{"403 scope before field rules", noScope, nil, body{}, http.StatusForbidden, noScopeCode},
		{"403 scope before 404 conversation", noScope, nil, with(unknownID(101), sc.target.SupervisorUserID), http.StatusForbidden, noScopeCode},
		{"403 scope before 404 user", noScope, nil, with(live, nobody), http.StatusForbidden, noScopeCode},
		{"403 scope before 409", noScope, nil, with(live, sc.target.SupervisorUserID), http.StatusForbidden, noScopeCode},
		{"415 before 413", good, text, huge, http.StatusUnsupportedMediaType, "unsupported.media.type"},
		{"415 before 400", good, text, "{", http.StatusUnsupportedMediaType, "unsupported.media.type"},
		{"413 before 404", good, nil, huge, http.StatusRequestEntityTooLarge, "request.entity.too.large"},
		{"400 before 404 conversation", good, nil, syntax(with(unknownID(101), sc.target.SupervisorUserID)), http.StatusBadRequest, "constraint.validation"},
		{"400 before 404 user", good, nil, syntax(with(live, nobody)), http.StatusBadRequest, "constraint.validation"},
		{"400 before 409", good, nil, syntax(with(live, sc.target.SupervisorUserID)), http.StatusBadRequest, "constraint.validation"},
		{"404 conversation before 404 user", good, nil, with(unknownID(101), nobody), http.StatusNotFound, noConversation},
		{"404 user before 409", good, nil, with(live, nobody), http.StatusNotFound, noUser},
	}
	if incapable := sc.target.IncapableUserID; incapable != "" {
		both := body{"conversationId": live, "participants": []any{agent, invite(incapable, "supervisor"), invite(nobody, "supervisor")}}
		rows = append(rows,
			violation{"401 before 403 capability", "bad", nil, with(live, incapable), http.StatusUnauthorized, "bad.credentials"},
			violation{"403 scope before 403 capability", noScope, nil, with(live, incapable), http.StatusForbidden, noScopeCode},
			violation{"400 before 403 capability", good, nil, syntax(with(live, incapable)), http.StatusBadRequest, "constraint.validation"},
			violation{"404 conversation before 403 capability", good, nil, with(unknownID(101), incapable), http.StatusNotFound, noConversation},
			violation{"404 user before 403 capability", good, nil, both, http.StatusNotFound, noUser},
			violation{"403 capability before 409", good, nil, with(live, incapable), http.StatusForbidden, "missing.permissions"},
		)
	}
	for _, row := range rows {
		t.Run(row.name, func(t T) {
			sc.refused(t, row.status, row.code, call{method: http.MethodPost, path: sessionsPath, token: row.token, header: row.header, body: row.body})
		})
	}
}
