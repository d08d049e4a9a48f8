package contract

import (
	"net/http"
	"net/url"
	"strings"
)

func badInputCases() []Case {
	return []Case{
		{"bad input: bodies that are no JSON object are 400 on every route", brokenBodies},
		{"bad input: 200 levels deep", deepBody},
		{"bad input: broken UTF-8", brokenText},
		{"bad input: too large a body is 413", largeBody},
		{"bad input: another content type is 415", otherContentType},
		{"bad input: a compressed body is not unpacked", compressedBody},
		{"bad input: long and strange strings are values like others", strangeStrings},
	}
}

// writers are the routes that read a body, on ids that exist.
func (sc *scene) writers(t T) (routes []route, conversation string) {
	t.Helper()
	b, d, w := sc.session(t), sc.deployment(t), sc.webhook(t)
	conv := sc.conversation(t, "message")
	return []route{
		{method: http.MethodPost, path: sessionsPath},
		{method: http.MethodPatch, path: sessionPath(b.ID)},
		{method: http.MethodPost, path: participantsPath(b.ID)},
		{method: http.MethodPost, path: attachPath},
		{method: http.MethodPost, path: deploymentsPath},
		{method: http.MethodPut, path: deploymentsPath + "/" + d.ID},
		{method: http.MethodPost, path: webhooksPath},
		{method: http.MethodPut, path: webhookPath(w.ID)},
		{method: http.MethodPut, path: historyPath + "/" + unknownID(93)},
		{method: http.MethodPost, path: conversationsPath},
		{method: http.MethodPatch, path: attributesPath(conv)},
		{method: http.MethodPatch, path: cobrowseOf(b.ConversationID)},
		{method: http.MethodPut, path: cobrowseOf(b.ConversationID) + "/recordingstate"},
		{method: http.MethodPatch, path: participantOf(b.ConversationID, sc.target.AgentUserID)},
		{method: http.MethodPatch, path: participantOf(b.ConversationID, sc.target.AgentUserID) + "/attributes"},
		{method: http.MethodPatch, path: participantOf(b.ConversationID, sc.target.AgentUserID) + "/communications/" + unknownID(94)},
		{method: http.MethodPost, path: participantOf(b.ConversationID, sc.target.SupervisorUserID) + "/replace"},
		{method: http.MethodPost, path: redeemPath},
	}, conv.ID
}

func brokenBodies(t T, sc *scene) {
	routes, conversation := sc.writers(t)
	for name, in := range map[string]any{
		"nothing": nil, "blanks": "  ", "an open brace": "{", "an array": "[]", "a string": `"x"`, "a number": "7", "null": "null", "true": "true",
		"two objects": "{}{}", "a comment": "{/* */}", "single quotes": "{'a':1}", "a trailing comma": `{"a":1,}`, "NaN": `{"a":NaN}`, "a byte order mark": "\ufeff{}",
		"a form": "a=b", "a lone surrogate key": `{"\ud800":`, "a NUL": "{\x00}", "an open string": `{"a":"`, "half a number": `{"a":1e}`,
	} {
		t.Run(name, func(t T) {
			for _, r := range routes {
				sc.refused(t, http.StatusBadRequest, "bad.request", call{method: r.method, path: r.path, token: sc.token(t), body: in})
			}
		})
	}
	sc.noSession(t, conversation)
}

func deepBody(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	for name, value := range map[string]string{
		"arrays": strings.Repeat("[", 200) + strings.Repeat("]", 200), "objects": strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "never closed": strings.Repeat("[", 200),
	} {
		t.Run(name, func(t T) {
			sc.refused(t, http.StatusBadRequest, "bad.request", sc.post(t, sessionsPath, `{"conversationId":"`+conv+`","participants":[],"x":`+value+`}`))
			sc.refused(t, http.StatusBadRequest, "bad.request", sc.post(t, sessionsPath, value))
		})
	}
	sc.noSession(t, conv)
}

func brokenText(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	for _, bytes := range []string{"\xff", "\xc3\x28", "\xed\xa0\x80", "\xf0\x9f\x92"} {
		sc.refused(t, http.StatusBadRequest, "bad.request", sc.post(t, sessionsPath, `{"conversationId":"`+conv+bytes+`","participants":[{"userId":"`+sc.target.AgentUserID+`"}]}`))
		sc.refused(t, http.StatusBadRequest, "bad.request", sc.post(t, sessionsPath, `{"`+bytes+`":1,"conversationId":"`+conv+`","participants":[{"userId":"`+sc.target.AgentUserID+`"}]}`))
	}
	sc.noSession(t, conv)
}

func largeBody(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	in := sc.createBody(conv)
	in["padding"] = strings.Repeat("x", sc.target.Limits.MaxBody)
	for _, path := range []string{sessionsPath, conversationsPath, deploymentsPath, attachPath} {
		sc.refused(t, http.StatusRequestEntityTooLarge, "request.entity.too.large", sc.post(t, path, in))
	}
	sc.noSession(t, conv)
}

func otherContentType(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	c := sc.post(t, sessionsPath, sc.createBody(conv))
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/xml", "application/json; charset=iso-8859-1", "json", ""} {
		c.header = http.Header{"Content-Type": {kind}}
		sc.refused(t, http.StatusUnsupportedMediaType, "unsupported.media.type", c)
	}
	sc.noSession(t, conv)
	c.header = http.Header{"Content-Type": {"application/json;charset=UTF-8"}}
	sc.want(t, http.StatusCreated, c)
}

func compressedBody(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	c := sc.post(t, sessionsPath, sc.createBody(conv))
	for _, coding := range []string{"gzip", "br", "deflate"} {
		c.header = http.Header{"Content-Encoding": {coding}}
		sc.refused(t, http.StatusUnsupportedMediaType, "unsupported.media.type", c)
	}
	sc.noSession(t, conv)
}

func strangeStrings(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	for _, s := range []string{"💡", "\u0000", "\u202e", "a\nb", "' OR 1=1 --", "<script>", "../../etc/passwd", "{{.}}", "%s%n"} {
		in := sc.createBody(conv)
		in["conversationId"] = s
		a := sc.do(t, sc.post(t, sessionsPath, in))
		if a.status != http.StatusNotFound && a.status != http.StatusBadRequest {
			t.Errorf("%v for conversationId %q, want 404 or 400", a, s)
		}
		sc.want(t, http.StatusOK, sc.get(t, sessionsPath+"?conversationId="+url.QueryEscape(s)))
		sc.want(t, http.StatusOK, sc.get(t, historyPath+"?conversationId="+url.QueryEscape(s)))
	}
	in := sc.createBody(conv)
	in["conversationId"] = strings.Repeat("c", 65)
	sc.badRequest(t, sc.post(t, sessionsPath, in))
	in = sc.createBody(conv)
	in["participants"] = []any{body{"role": "customer", "name": strings.Repeat("n", 257)}, invite(sc.target.AgentUserID, "agent")}
	sc.badRequest(t, sc.post(t, sessionsPath, in))
	sc.noSession(t, conv)
}
