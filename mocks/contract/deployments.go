package contract

import (
	"net/http"
	"slices"
	"strings"
)

func deploymentCases() []Case {
	return []Case{
		{"deployments are created, read, listed, replaced and deleted", deploymentLife},
		{"deployments that break rules are refused", deploymentRefused},
		{"deployments have rules for what is seen and done, with defaults", deploymentRules},
		{"deployments that are named, or the default, are a session's", deploymentOfSession},
		{"deployments start a session for a page of an allowed origin", startFromDeployment},
		{"deployments refuse pages of other origins", startForeignOrigin},
		{"deployments tell the script on their pages how to share", scriptSettings},
		{"deployments tell pages of other origins nothing", settingsForeignOrigin},
	}
}

func attachCases() []Case {
	return []Case{
		{"attach ties a customer's session to a conversation", attachSession},
		{"attach obeys one session per conversation", attachConflict},
		{"attach refuses unknown sessions, conversations and users", attachUnknown},
		{"attach refuses what breaks rules", attachRefused},
	}
}

const shop = "https://shop.example"

type deploymentBody struct {
	ID             string   `json:"id"`
	Name           string   `json:"name"`
	AllowedOrigins []string `json:"allowedOrigins"`
	StartURL       string   `json:"startUrl"`
	MaskSelectors  []string `json:"maskSelectors"`
	PauseCriteria  []struct {
		URLFragment string `json:"urlFragment"`
		Condition   string `json:"condition"`
	} `json:"pauseCriteria"`
	AllowAgentControl bool   `json:"allowAgentControl"`
	DateCreated       string `json:"dateCreated"`
	SelfURI           string `json:"selfUri"`
}

// startedBody is the answer of a start from a customer's page.
type startedBody struct {
	ID            string `json:"id"`
	SessionID     string `json:"sessionId"`
	SessionToken  string `json:"sessionToken"`
	ParticipantID string `json:"participantId"`
	State         string `json:"state"`
	Token         string `json:"token"`
	ExpiresAt     string `json:"expiresAt"`
	JoinURL       string `json:"joinUrl"`
}

// deployment makes one for the shop; it is deleted at the end of the case.
func (sc *scene) deployment(t T) deploymentBody {
	t.Helper()
	var d deploymentBody
	sc.want(t, http.StatusCreated, sc.post(t, deploymentsPath, body{"name": "Shop", "allowedOrigins": []any{shop, "http://localhost:8081"}})).into(t, &d)
	sc.later(func(t T) {
		t.Helper()
		sc.do(t, sc.deleteOf(t, deploymentsPath+"/"+d.ID))
	})
	return d
}

func startPath(deployment string) string { return deploymentsPath + "/" + deployment + "/sessions" }

func start(deployment, origin string, in any) call {
	c := call{method: http.MethodPost, path: startPath(deployment), body: in}
	if origin != "" {
		c.header = http.Header{"Origin": {origin}}
	}
	return c
}

// started starts a session from the shop; it is ended at the end of the case.
func (sc *scene) started(t T) startedBody {
	t.Helper()
	var b startedBody
	sc.want(t, http.StatusCreated, start(sc.deployment(t).ID, shop, body{"customerName": "Kim"})).into(t, &b)
	sc.later(func(t T) {
		t.Helper()
		sc.do(t, sc.deleteOf(t, sessionPath(b.ID)))
	})
	return b
}

func deploymentLife(t T, sc *scene) {
	a := sc.want(t, http.StatusCreated, sc.post(t, deploymentsPath, body{
		"name": "Shop", "allowedOrigins": []any{shop}, "startUrl": shop + "/help", "maskSelectors": []any{".card-number"},
		"pauseCriteria": []any{body{"urlFragment": "/pay", "condition": "Includes"}}, "allowAgentControl": true, "colour": "blue",
	}))
	var d, got deploymentBody
	a.into(t, &d)
	path := deploymentsPath + "/" + d.ID
	if !uuidForm.MatchString(d.ID) || d.SelfURI != path || !strings.HasSuffix(a.header.Get("Location"), path) {
		t.Errorf("id %q, selfUri %q, Location %q", d.ID, d.SelfURI, a.header.Get("Location"))
	}
	sc.want(t, http.StatusOK, sc.get(t, path)).into(t, &got)
	if got.Name != "Shop" || !slices.Equal(got.AllowedOrigins, []string{shop}) || got.StartURL != shop+"/help" || !slices.Equal(got.MaskSelectors, []string{".card-number"}) || len(got.PauseCriteria) != 1 || !got.AllowAgentControl {
		t.Errorf("the deployment reads as %+v", got)
	}
	date(t, "dateCreated", got.DateCreated)
	listed := func(t T) bool {
		t.Helper()
		for path := deploymentsPath + "?pageSize=100"; path != ""; {
			p := page[deploymentBody](t, sc.want(t, http.StatusOK, sc.get(t, path)))
			if slices.ContainsFunc(p.Entities, func(e deploymentBody) bool { return e.ID == d.ID }) {
				return true
			}
			path = ""
			if p.NextURI != nil {
				path = *p.NextURI
			}
		}
		return false
	}
	if !listed(t) {
		t.Errorf("the deployment is not in the list")
	}
	replace := call{method: http.MethodPut, path: path, token: sc.token(t), body: body{"name": "Store", "allowedOrigins": []any{"http://localhost:8081"}}}
	got = deploymentBody{}
	sc.want(t, http.StatusOK, replace).into(t, &got)
	if got.ID != d.ID || got.Name != "Store" || got.StartURL != "" || len(got.MaskSelectors) != 0 || got.AllowAgentControl || got.DateCreated != d.DateCreated {
		t.Errorf("after PUT the deployment reads as %+v, want what was sent alone, with the first id and date", got)
	}
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, path))
	if listed(t) {
		t.Errorf("the deleted deployment is in the list")
	}
	for _, c := range []call{sc.get(t, path), replace, sc.deleteOf(t, path), start(d.ID, shop, body{})} {
		sc.refused(t, http.StatusNotFound, "not.found", c)
	}
	sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.get(t, deploymentsPath+"?pageSize=0"))
}

func deploymentRefused(t T, sc *scene) {
	d := sc.deployment(t)
	origins := []any{shop}
	for _, tt := range []struct {
		name  string
		in    body
		field string
	}{
		{"no name", body{"allowedOrigins": origins}, "name"},
		{"empty name", body{"name": "", "allowedOrigins": origins}, "name"},
		{"name is a number", body{"name": 1, "allowedOrigins": origins}, "name"},
		{"no origins", body{"name": "x"}, "allowedOrigins"},
		{"empty origins", body{"name": "x", "allowedOrigins": []any{}}, "allowedOrigins"},
		{"origin with a path", body{"name": "x", "allowedOrigins": []any{shop + "/help"}}, "allowedOrigins[0]"},
		{"origin of another scheme", body{"name": "x", "allowedOrigins": []any{shop, "file://x"}}, "allowedOrigins[1]"},
		{"every origin", body{"name": "x", "allowedOrigins": []any{"*"}}, "allowedOrigins[0]"},
		{"start page elsewhere", body{"name": "x", "allowedOrigins": origins, "startUrl": "https://elsewhere.example/"}, "startUrl"},
		{"start page is a script", body{"name": "x", "allowedOrigins": origins, "startUrl": "javascript:alert(1)"}, "startUrl"},
		{"unknown condition", body{"name": "x", "allowedOrigins": origins, "pauseCriteria": []any{body{"urlFragment": "/", "condition": "Near"}}}, "pauseCriteria[0].condition"},
		{"unknown text mode", body{"name": "x", "allowedOrigins": origins, "textMode": "hidden"}, "textMode"},
		{"unknown control mode", body{"name": "x", "allowedOrigins": origins, "controlMode": "none"}, "controlMode"},
		{"empty selector", body{"name": "x", "allowedOrigins": origins, "neverShowSelectors": []any{"#a", ""}}, "neverShowSelectors[1]"},
		{"asset origin with a path", body{"name": "x", "allowedOrigins": origins, "assetOrigins": []any{"https://cdn.example/x"}}, "assetOrigins[0]"},
		{"consent text without a version", body{"name": "x", "allowedOrigins": origins, "consentTexts": body{"en": "May we?"}}, "consentVersion"},
		{"empty consent text", body{"name": "x", "allowedOrigins": origins, "consentVersion": "v1", "consentTexts": body{"en": ""}}, "consentTexts.en"},
		{"default for somebody who never shares", body{"name": "x", "allowedOrigins": origins, "defaultFor": []any{"supervisor"}}, "defaultFor[0]"},
		{"address pattern that is none", body{"name": "x", "allowedOrigins": origins, "pageRules": []any{body{"urlPattern": "("}}}, "pageRules[0].urlPattern"},
		{"address pattern that browsers read otherwise", body{"name": "x", "allowedOrigins": origins, "pageRules": []any{body{"urlPattern": ".*"}, body{"urlPattern": "(?i)a"}}}, "pageRules[1].urlPattern"},
		{"empty selector of a page rule", body{"name": "x", "allowedOrigins": origins, "pageRules": []any{body{"urlPattern": ".*", "maskSelectors": []any{""}}}}, "pageRules[0].maskSelectors[0]"},
		{"selector is a number", body{"name": "x", "allowedOrigins": origins, "maskSelectors": []any{7}}, "maskSelectors[0]"},
	} {
		t.Run(tt.name, func(t T) {
			for _, c := range []call{sc.post(t, deploymentsPath, tt.in), {method: http.MethodPut, path: deploymentsPath + "/" + d.ID, token: sc.token(t), body: tt.in}} {
				e := sc.badRequest(t, c)
				if got := e.fields(); !slices.Equal(got, []string{tt.field}) {
					t.Errorf("%s: details name %q, want %q", c.method, got, tt.field)
				}
			}
		})
	}
}

func startFromDeployment(t T, sc *scene) {
	d := sc.deployment(t)
	preflight := sc.want(t, http.StatusNoContent, call{method: http.MethodOptions, path: startPath(d.ID), header: http.Header{
		"Origin": {shop}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type"},
	}})
	if got := preflight.header.Get("Access-Control-Allow-Origin"); got != shop {
		t.Errorf("the preflight allows %q, want %s", got, shop)
	}
	for _, in := range []any{body{"customerName": "Kim"}, body{}, nil} {
		a := sc.want(t, http.StatusCreated, start(d.ID, shop, in))
		var b startedBody
		a.into(t, &b)
		if got := a.header.Get("Access-Control-Allow-Origin"); got != shop {
			t.Errorf("Access-Control-Allow-Origin is %q, want %s", got, shop)
		}
		if len(b.SessionToken) != 9 || strings.Trim(b.SessionToken, "0123456789") != "" || b.SessionID != b.ID || b.State != "idle" || tokenOf(t, b.JoinURL) != b.Token {
			t.Errorf("the start gave session %s (%s), %s, a session token of %d characters, or a joinUrl without the token", b.ID, b.SessionID, b.State, len(b.SessionToken))
		}
		date(t, "expiresAt", b.ExpiresAt)
		sc.opens(t, b.Token)
		got := sc.read(t, b.ID)
		if got.ConversationID != "" || len(got.Participants) != 1 || got.participant("customer").CobrowseRole != "sharer" || got.participant("customer").ID != b.ParticipantID {
			t.Errorf("the session is %+v, want no conversation and the customer as sharer", got)
		}
		sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
	}
	for _, in := range []any{body{"customerName": 7}, body{"customerName": strings.Repeat("x", 257)}, "{", "[]"} {
		sc.badRequest(t, start(d.ID, shop, in))
	}
}

func startForeignOrigin(t T, sc *scene) {
	d := sc.deployment(t)
	for _, origin := range []string{"", "null", "https://shop.example.evil.example", "http://shop.example", shop + ":444", shop + "/", "https://SHOP.example"} {
		a := sc.do(t, start(d.ID, origin, body{}))
		var e envelope
		a.into(t, &e)
		if a.status != http.StatusForbidden || e.Code != "not.authorized" || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v for origin %q, want 403 not.authorized without CORS headers", a, origin)
		}
	}
	for _, id := range []string{unknownID(80), "no-uuid"} {
		sc.refused(t, http.StatusNotFound, "not.found", start(id, shop, body{}))
	}
}

func attachCall(sc *scene, t T, token, conversation string, participant any) call {
	t.Helper()
	return sc.post(t, attachPath, body{"sessionToken": token, "conversationId": conversation, "participant": participant})
}

func attachSession(t T, sc *scene) {
	b, conv := sc.started(t), sc.conversation(t, "message").ID
	spoken := b.SessionToken[:3] + " " + b.SessionToken[3:6] + "-" + b.SessionToken[6:]
	a := sc.want(t, http.StatusCreated, attachCall(sc, t, spoken, conv, invite(sc.target.AgentUserID, "agent")))
	var got sessionBody
	a.into(t, &got)
	if got.ID != b.ID || got.ConversationID != conv || got.participant("agent").CobrowseRole != "viewer" || got.participant("customer").CobrowseRole != "sharer" {
		t.Errorf("attached session %s to %s with %+v, want %s, %s, the agent as viewer", got.ID, got.ConversationID, got.Participants, b.ID, conv)
	}
	if got.participant("customer").JoinURL != "" {
		t.Errorf("the agent's side gets the customer's join URL")
	}
	if !strings.HasSuffix(a.header.Get("Location"), sessionPath(b.ID)) {
		t.Errorf("Location is %q, want %s", a.header.Get("Location"), sessionPath(b.ID))
	}
	sc.opens(t, tokenOf(t, got.participant("agent").JoinURL))
	// From now on it holds the conversation's place.
	e := sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, sessionsPath, sc.createBody(conv)))
	if e.SessionID != b.ID {
		t.Errorf("the 409 names session %q, want %s", e.SessionID, b.ID)
	}
	// And it is attached once.
	other := sc.conversation(t, "message").ID
	if a := sc.do(t, attachCall(sc, t, b.SessionToken, other, invite(sc.target.SupervisorUserID, "supervisor"))); a.status != http.StatusConflict {
		t.Errorf("%v for a second conversation, want 409", a)
	}
	sc.noSession(t, other)
}

func attachConflict(t T, sc *scene) {
	b, live := sc.started(t), sc.session(t)
	e := sc.refused(t, http.StatusConflict, "request.conflict", attachCall(sc, t, b.SessionToken, live.ConversationID, invite(sc.target.AgentUserID, "agent")))
	if e.SessionID != live.ID {
		t.Errorf("the 409 names session %q, want %s", e.SessionID, live.ID)
	}
	if got := sc.read(t, b.ID); got.ConversationID != "" || len(got.Participants) != 1 {
		t.Errorf("the refused session is on %q with %d participants, want untouched", got.ConversationID, len(got.Participants))
	}
}

func attachUnknown(t T, sc *scene) {
	b, conv := sc.started(t), sc.conversation(t, "message").ID
	agent := invite(sc.target.AgentUserID, "agent")
	wrong := "1" + b.SessionToken[1:8] + string('0'+(b.SessionToken[8]-'0'+1)%10)
	sc.refused(t, http.StatusNotFound, "not.found", attachCall(sc, t, wrong, conv, agent))
	sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", attachCall(sc, t, b.SessionToken, unknownID(81), agent))
	sc.refused(t, http.StatusNotFound, "general.resource.not.found", attachCall(sc, t, b.SessionToken, conv, invite(unknownID(82), "agent")))
	if sc.target.IncapableUserID != "" {
		sc.refused(t, http.StatusForbidden, "missing.permissions", attachCall(sc, t, b.SessionToken, conv, invite(sc.target.IncapableUserID, "agent")))
	}
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
	if a := sc.do(t, attachCall(sc, t, b.SessionToken, conv, agent)); a.status != http.StatusNotFound && a.status != http.StatusConflict && a.status != http.StatusGone {
		t.Errorf("%v for a session that has ended, want it refused", a)
	}
	sc.noSession(t, conv)
}

func attachRefused(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	agent := invite(sc.target.AgentUserID, "agent")
	for _, tt := range []struct {
		in    body
		field string
	}{
		{body{"conversationId": conv, "participant": agent}, "sessionToken"},
		{body{"sessionToken": "12345678", "conversationId": conv, "participant": agent}, "sessionToken"},
		{body{"sessionToken": "12345678x", "conversationId": conv, "participant": agent}, "sessionToken"},
		{body{"sessionToken": "１２３４５６７８９", "conversationId": conv, "participant": agent}, "sessionToken"},
		{body{"sessionToken": 123456789, "conversationId": conv, "participant": agent}, "sessionToken"},
		{body{"sessionToken": "123456789", "participant": agent}, "conversationId"},
		{body{"sessionToken": "123456789", "conversationId": conv}, "participant"},
		{body{"sessionToken": "123456789", "conversationId": conv, "participant": body{}}, "participant.userId"},
		{body{"sessionToken": "123456789", "conversationId": conv, "participant": invite(sc.target.AgentUserID, "king")}, "participant.role"},
	} {
		e := sc.badRequest(t, sc.post(t, attachPath, tt.in))
		if got := e.fields(); !slices.Equal(got, []string{tt.field}) {
			t.Errorf("%v: details name %q, want %q", tt.in, got, tt.field)
		}
	}
	sc.noSession(t, conv)
}
