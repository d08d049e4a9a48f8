package contract

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func officialCases() []Case {
	return []Case{
		{"official: a session is offered, read and ended by its conversation", officialLife},
		{"official: one session per conversation, in either words", officialConflict},
		{"official: a viewer's way in is for those who may change conversations", officialViewerURL},
		{"official: participants are disconnected, replaced and given attributes", officialParticipants},
		{"official: refusals have the official codes", officialRefused},
		{"official: the list has what is live and has a conversation", officialList},
		{"official: a customer's page takes an offer with its join code, once", officialTake},
		{"official: a customer's page declines an offer; later the shared page alone may stop", officialDecline},
		{"official: join codes are for the pages of their deployment", officialForeignPage},
		{"official: an offer that nobody takes lapses", officialLapse},
		{"official: an offer repeated with its key is the same offer", officialRepeat},
		{"official: the settings of a deployment are published, the current version alone", officialSettings},
		{"official: published settings are for their organisation", officialSettingsApart},
	}
}

const (
	cobrowsePath       = "/api/v2/conversations/cobrowsesessions"
	webDeploymentsPath = "/api/v2/webdeployments/deployments"
)

// offerBody is a CobrowseWebMessagingSession.
type offerBody struct {
	ID                string `json:"id"`
	JoinCode          string `json:"joinCode"`
	WebsocketURL      string `json:"websocketUrl"`
	DateOfferEnds     string `json:"dateOfferEnds"`
	CommunicationType string `json:"communicationType"`
	SessionJoinToken  string `json:"sessionJoinToken"`
	SelfURI           string `json:"selfUri"`
}

// cobrowseBody is a CobrowseConversation.
type cobrowseBody struct {
	ID           string         `json:"id"`
	Participants []cobrowsePart `json:"participants"`
	SelfURI      string         `json:"selfUri"`
}

type cobrowsePart struct {
	ID   string `json:"id"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Purpose           string            `json:"purpose"`
	State             string            `json:"state"`
	DisconnectType    string            `json:"disconnectType"`
	Attributes        map[string]string `json:"attributes"`
	CommunicationID   string            `json:"communicationId"`
	CobrowseSessionID string            `json:"cobrowseSessionId"`
	CobrowseRole      string            `json:"cobrowseRole"`
	ViewerURL         string            `json:"viewerUrl"`
}

// on returns the one on a side, or the zero value.
func (b cobrowseBody) on(side string) cobrowsePart {
	for _, p := range b.Participants {
		if p.CobrowseRole == side {
			return p
		}
	}
	return cobrowsePart{}
}

func offerPath(conversation string) string {
	return conversationsPath + "/" + url.PathEscape(conversation) + "/cobrowse"
}

func cobrowseOf(conversation string) string { return cobrowsePath + "/" + url.PathEscape(conversation) }

func participantOf(conversation, participant string) string {
	return cobrowseOf(conversation) + "/participants/" + url.PathEscape(participant)
}

// officialRoutes are the official calls on a conversation and its participant.
func officialRoutes(conversation, participant, communication string) []route {
	one := participantOf(conversation, participant)
	disconnected := body{"state": "disconnected"}
	return []route{
		{http.MethodGet, cobrowseOf(conversation), scopeConversationsRead, nil},
		{http.MethodPatch, cobrowseOf(conversation), scopeConversationsWrite, disconnected},
		{http.MethodPut, cobrowseOf(conversation) + "/recordingstate", scopeConversationsWrite, body{"state": "NONE"}},
		{http.MethodPatch, one, scopeConversationsWrite, disconnected},
		{http.MethodPatch, one + "/attributes", scopeConversationsWrite, body{"attributes": body{"k": "v"}}},
		{http.MethodPatch, one + "/communications/" + communication, scopeConversationsWrite, disconnected},
		{http.MethodPost, one + "/replace", scopeConversationsWrite, body{"userId": unknownID(100)}},
		{http.MethodGet, one + "/wrapup", scopeConversationsRead, nil},
		{http.MethodGet, one + "/wrapupcodes", scopeConversationsRead, nil},
	}
}

// offer offers a session on a new conversation, on a deployment of its own.
func (sc *scene) offer(t T) (o offerBody, conversation, deployment string) {
	t.Helper()
	conversation, deployment = sc.conversation(t, "message").ID, sc.deployment(t).ID
	sc.want(t, http.StatusOK, sc.post(t, offerPath(conversation)+"?deploymentId="+deployment, nil)).into(t, &o)
	return o, conversation, deployment
}

func (sc *scene) cobrowse(t T, conversation string) cobrowseBody {
	t.Helper()
	var b cobrowseBody
	sc.want(t, http.StatusOK, sc.get(t, cobrowseOf(conversation))).into(t, &b)
	return b
}

func (sc *scene) patchPath(t T, path string, in any) call {
	t.Helper()
	return call{method: http.MethodPatch, path: path, token: sc.token(t), body: in}
}

// asPage is a call of a customer's browser.
func asPage(method, deployment, code, origin string) call {
	c := call{method: method, path: webDeploymentsPath + "/" + deployment + "/cobrowse/" + url.PathEscape(code), header: http.Header{}}
	if origin != "" {
		c.header.Set("Origin", origin)
	}
	return c
}

// withCobrowse is the part of a conversation that has its cobrowse sessions.
type withCobrowse struct {
	ID           string `json:"id"`
	Participants []struct {
		ID               string `json:"id"`
		CobrowseSessions []struct {
			ID                string `json:"id"`
			State             string `json:"state"`
			CobrowseSessionID string `json:"cobrowseSessionId"`
			CobrowseRole      string `json:"cobrowseRole"`
			DisconnectType    string `json:"disconnectType"`
			ViewerURL         string `json:"viewerUrl"`
		} `json:"cobrowsesessions"`
	} `json:"participants"`
}

// showsCobrowse checks that a conversation has the communications of a session.
func showsCobrowse(t T, got withCobrowse, want cobrowseBody) {
	t.Helper()
	for _, p := range want.Participants {
		for _, member := range got.Participants {
			if member.ID != p.ID {
				continue
			}
			if len(member.CobrowseSessions) == 0 {
				t.Errorf("the conversation's participant %s has no cobrowse session", p.ID)
				continue
			}
			if com := member.CobrowseSessions[0]; com.ID != p.CommunicationID || com.State != p.State || com.CobrowseSessionID != p.CobrowseSessionID || com.CobrowseRole != p.CobrowseRole || com.ViewerURL != "" {
				t.Errorf("the conversation shows %+v, want what the session says: %+v, without viewerUrl", com, p)
			}
		}
	}
}

func officialLife(t T, sc *scene) {
	for medium, kind := range map[string]string{"message": "Message", "call": "Call"} {
		conv := sc.ownConversation(t, medium).ID
		var o offerBody
		sc.want(t, http.StatusOK, sc.post(t, offerPath(conv), nil)).into(t, &o)
		date(t, "dateOfferEnds", o.DateOfferEnds)
		if !nineDigits.MatchString(o.JoinCode) || !strings.HasPrefix(o.WebsocketURL, "ws") || !strings.Contains(o.WebsocketURL, o.ID) || o.CommunicationType != kind || o.SessionJoinToken != "" {
			t.Errorf("offered %+v, want nine digits, the stream's address and %s", o, kind)
		}
		s := sc.read(t, o.ID)
		if s.SessionToken != o.JoinCode || s.ConversationID != conv || s.State != "idle" || s.participant("customer").CobrowseRole != "sharer" || s.participant("agent").UserID != sc.target.AgentUserID {
			t.Errorf("in the other words it is %+v", s)
		}
		b := sc.cobrowse(t, conv)
		sharer, viewer := b.on("sharer"), b.on("viewer")
		if b.ID != conv || o.SelfURI != b.SelfURI || sharer.Purpose != "customer" || sharer.State != "offering" || viewer.Purpose != "agent" || viewer.State != "alerting" ||
			viewer.User.ID != sc.target.AgentUserID || viewer.CobrowseSessionID != o.ID || !uuidForm.MatchString(viewer.CommunicationID) {
			t.Errorf("the session reads as %+v", b)
		}
		var shown withCobrowse
		sc.want(t, http.StatusOK, sc.get(t, conversationsPath+"/"+conv)).into(t, &shown)
		showsCobrowse(t, shown, b)
		sc.want(t, http.StatusOK, sc.patchPath(t, cobrowseOf(conv), body{"state": "connected"}))
		if got := sc.read(t, o.ID).State; got != "idle" {
			t.Errorf("connected made the session %s", got)
		}
		for range 2 {
			sc.want(t, http.StatusOK, sc.patchPath(t, cobrowseOf(conv), body{"state": "disconnected"})).into(t, &shown)
			b = sc.cobrowse(t, conv)
			if got := b.on("viewer"); got.State != "disconnected" || got.DisconnectType == "" || got.ViewerURL != "" {
				t.Errorf("after the end the viewer is %+v", got)
			}
			showsCobrowse(t, shown, b)
		}
		if got := sc.read(t, o.ID); got.State != "ended" || got.EndReason != "ended" {
			t.Errorf("in the other words it is %s (%s)", got.State, got.EndReason)
		}
	}
}

func officialConflict(t T, sc *scene) {
	o, conv, _ := sc.offer(t)
	e := sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, sessionsPath, sc.createBody(conv)))
	if e.SessionID != o.ID {
		t.Errorf("the 409 names %q, want the offer %s", e.SessionID, o.ID)
	}
	live := sc.session(t)
	e = sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, offerPath(live.ConversationID), nil))
	if e.SessionID != live.ID || e.ConversationID != live.ConversationID {
		t.Errorf("the 409 names %q on %q, want %s on %s", e.SessionID, e.ConversationID, live.ID, live.ConversationID)
	}
	// The agent's page is shown in it, to somebody who is not in the conversation.
	b := sc.cobrowse(t, live.ConversationID)
	if sharer, viewer := b.on("sharer"), b.on("viewer"); sharer.User.ID != sc.target.AgentUserID || viewer.User.ID != sc.target.SupervisorUserID || viewer.ViewerURL == "" {
		t.Errorf("in the official words it is %+v", b)
	}
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(o.ID)))
	var again offerBody
	sc.want(t, http.StatusOK, sc.post(t, offerPath(conv), nil)).into(t, &again)
	if again.ID == o.ID || again.JoinCode == o.JoinCode {
		t.Errorf("after the end a new offer has the id or the join code of the first")
	}
}

func officialViewerURL(t T, sc *scene) {
	_, conv, _ := sc.offer(t)
	before := sc.cobrowse(t, conv)
	token := tokenOf(t, before.on("viewer").ViewerURL)
	if before.on("sharer").ViewerURL != "" {
		t.Errorf("the customer's side has a viewerUrl")
	}
	sc.opens(t, token)
	var b cobrowseBody
	sc.want(t, http.StatusOK, call{path: cobrowseOf(conv), token: sc.scoped(t, "conversations:readonly")}).into(t, &b)
	if b.on("viewer").ID == "" || b.on("viewer").ViewerURL != "" {
		t.Errorf("a mere reader sees the viewer as %+v, want no viewerUrl", b.on("viewer"))
	}
	var joined joinedBody
	sc.want(t, http.StatusOK, redeem(token, "tab-1")).into(t, &joined)
	after := sc.cobrowse(t, conv).on("viewer")
	if joined.Role != "agent" || after.State != "connected" || tokenOf(t, after.ViewerURL) == token {
		t.Errorf("joined as %s; the viewer is %s, want connected, with a fresh viewerUrl", joined.Role, after.State)
	}
}

func officialParticipants(t T, sc *scene) {
	sc.needConversations(t)
	_, conv, _ := sc.offer(t)
	viewer := sc.cobrowse(t, conv).on("viewer")
	path := participantOf(conv, viewer.ID)
	for range 2 { // attributes merge
		sc.want(t, http.StatusAccepted, sc.patchPath(t, path+"/attributes", body{"attributes": body{"a": "1"}}))
	}
	var got struct {
		Attributes map[string]string `json:"attributes"`
	}
	sc.want(t, http.StatusAccepted, sc.patchPath(t, path+"/attributes", body{"attributes": body{"b": "2"}})).into(t, &got)
	if got.Attributes["a"] != "1" || got.Attributes["b"] != "2" || sc.cobrowse(t, conv).on("viewer").Attributes["a"] != "1" {
		t.Errorf("the attributes are %v, want both", got.Attributes)
	}
	sc.want(t, http.StatusOK, sc.get(t, path+"/wrapup"))
	sc.want(t, http.StatusOK, sc.get(t, path+"/wrapupcodes"))
	sc.want(t, http.StatusOK, call{method: http.MethodPut, path: cobrowseOf(conv) + "/recordingstate", token: sc.token(t), body: body{"state": "NONE"}})
	sc.want(t, http.StatusOK, call{method: http.MethodPut, path: cobrowseOf(conv) + "/recordingstate", token: sc.token(t), body: body{"recordingState": "NONE"}})
	sc.want(t, http.StatusAccepted, sc.patchPath(t, path, body{"state": "connected"}))

	sc.want(t, http.StatusAccepted, sc.post(t, path+"/replace", body{"transferType": "Unattended", "userId": sc.target.SupervisorUserID}))
	next := sc.cobrowse(t, conv).on("viewer")
	if next.User.ID != sc.target.SupervisorUserID || next.Purpose != "agent" {
		t.Errorf("the viewer is %+v, want the other user in the agent's place", next)
	}
	sc.opens(t, tokenOf(t, next.ViewerURL))
	path = participantOf(conv, next.ID)
	for range 2 {
		sc.want(t, http.StatusOK, sc.patchPath(t, path+"/communications/"+next.CommunicationID, body{"state": "disconnected"}))
	}
	if got := sc.cobrowse(t, conv).on("sharer").State; got != "disconnected" {
		t.Errorf("without its viewer the session's sharer is %s", got)
	}
	sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, path+"/replace", body{"userId": sc.target.AgentUserID}))

	_, conv, _ = sc.offer(t)
	sc.want(t, http.StatusAccepted, sc.patchPath(t, participantOf(conv, sc.cobrowse(t, conv).on("sharer").ID), body{"state": "disconnected"}))
	if got := sc.cobrowse(t, conv).on("viewer").State; got != "disconnected" {
		t.Errorf("without its sharer the session's viewer is %s", got)
	}
}

func officialRefused(t T, sc *scene) {
	_, conv, _ := sc.offer(t)
	viewer := sc.cobrowse(t, conv).on("viewer")
	one, path := cobrowseOf(conv), participantOf(conv, viewer.ID)
	for _, tt := range []struct {
		call  call
		field string
	}{
		{sc.patchPath(t, one, body{"state": "ended"}), "state"},
		{sc.patchPath(t, one, body{}), "state"},
		{sc.patchPath(t, path, body{"state": 1}), "state"},
		{sc.patchPath(t, path, body{"wrapup": body{"code": "x"}}), "wrapup"},
		{sc.patchPath(t, path, body{"held": true}), "held"},
		{call{method: http.MethodPut, path: one + "/recordingstate", token: sc.token(t), body: body{"state": "ACTIVE"}}, "state"},
		{call{method: http.MethodPut, path: one + "/recordingstate", token: sc.token(t), body: body{"recordingState": "paused"}}, "recordingState"},
		{sc.post(t, path+"/replace", body{"userName": "Kim"}), "userId"},
	} {
		e := sc.refused(t, http.StatusBadRequest, "constraint.validation", tt.call)
		if got := e.fields(); !slices.Equal(got, []string{tt.field}) {
			t.Errorf("%v: details name %q, want %q", tt.call, got, tt.field)
		}
	}
	sc.refused(t, http.StatusBadRequest, "conversation.error.participant.attribute.null", sc.patchPath(t, path+"/attributes", body{"attributes": nil}))
	sc.refused(t, http.StatusBadRequest, "conversations.error.queue.not.found", sc.post(t, path+"/replace", body{"queueId": unknownID(101)}))
	sc.refused(t, http.StatusBadRequest, "communication.state.required", sc.patchPath(t, path+"/communications/"+viewer.CommunicationID, body{"state": "connected"}))
	sc.refused(t, http.StatusNotFound, "not.found", sc.patchPath(t, path+"/communications/"+unknownID(102), body{"state": "disconnected"}))
	sc.refused(t, http.StatusNotFound, "general.resource.not.found", sc.post(t, path+"/replace", body{"userId": unknownID(103)}))
	if sc.target.IncapableUserID != "" {
		sc.refused(t, http.StatusForbidden, "missing.permissions", sc.post(t, path+"/replace", body{"userId": sc.target.IncapableUserID}))
	}
	sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, path+"/replace", body{"userId": sc.target.AgentUserID}))
	never := sc.conversation(t, "chat").ID
	for _, r := range officialRoutes(never, viewer.ID, viewer.CommunicationID) {
		sc.refused(t, http.StatusNotFound, "not.found", call{method: r.method, path: r.path, token: sc.token(t), body: r.body})
	}
	for _, r := range officialRoutes(conv, unknownID(104), viewer.CommunicationID)[3:] {
		sc.refused(t, http.StatusNotFound, "conversation.error.participant.not.found", call{method: r.method, path: r.path, token: sc.token(t), body: r.body})
	}
	for _, id := range []string{unknownID(105), "no-uuid", "%00", "..%2f..%2fhealthz"} {
		sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", sc.get(t, cobrowsePath+"/"+id))
	}
	sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", sc.post(t, offerPath(unknownID(105)), nil))
	e := sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.post(t, offerPath(never)+"?deploymentId="+unknownID(106), nil))
	if got := e.fields(); !slices.Equal(got, []string{"deploymentId"}) {
		t.Errorf("details name %q, want deploymentId", got)
	}
	if got := sc.cobrowse(t, conv).on("viewer"); got.State != "alerting" || got.ID != viewer.ID {
		t.Errorf("refused calls changed the viewer to %+v", got)
	}
	sc.noSession(t, never)

	// An application offers for the agent of the conversation.
	var nobody conversationBody
	sc.want(t, http.StatusCreated, sc.post(t, conversationsPath, body{"mediaType": "message", "participants": []any{body{"purpose": "customer"}}})).into(t, &nobody)
	sc.refused(t, http.StatusBadRequest, "not.a.user", sc.post(t, offerPath(nobody.ID), nil))
	sc.want(t, http.StatusAccepted, sc.post(t, conversationsPath+"/"+nobody.ID+"/disconnect", nil))
	sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", sc.post(t, offerPath(nobody.ID), nil))
}

func officialList(t T, sc *scene) {
	o, conv, _ := sc.offer(t)
	alone := sc.started(t)
	lists := func(t T) (live, other bool) {
		t.Helper()
		for path := cobrowsePath + "?pageSize=100"; path != ""; {
			p := page[cobrowseBody](t, sc.want(t, http.StatusOK, sc.get(t, path)))
			for _, e := range p.Entities {
				live = live || e.ID == conv && e.on("sharer").CobrowseSessionID == o.ID
				other = other || e.ID == "" || e.on("sharer").CobrowseSessionID == alone.ID
				if e.on("viewer").ViewerURL != "" {
					t.Errorf("the list has a viewerUrl")
				}
			}
			path = ""
			if p.NextURI != nil {
				path = *p.NextURI
			}
		}
		return live, other
	}
	if live, other := lists(t); !live || other {
		t.Errorf("the list has the session: %t; it has one without a conversation: %t", live, other)
	}
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(o.ID)))
	if live, _ := lists(t); live {
		t.Errorf("the list has the session after its end")
	}
	sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.get(t, cobrowsePath+"?pageNumber=0"))
}

func officialTake(t T, sc *scene) {
	o, conv, deployment := sc.offer(t)
	spoken := o.JoinCode[:3] + " " + o.JoinCode[3:6] + "-" + o.JoinCode[6:]
	var first, second offerBody
	a := sc.want(t, http.StatusOK, asPage(http.MethodGet, deployment, o.JoinCode, shop))
	a.into(t, &first)
	sc.want(t, http.StatusOK, asPage(http.MethodGet, deployment, spoken, shop)).into(t, &second)
	if got := a.header.Get("Access-Control-Allow-Origin"); got != shop {
		t.Errorf("Access-Control-Allow-Origin is %q, want %s", got, shop)
	}
	if first.ID != o.ID || first.JoinCode != o.JoinCode || first.DateOfferEnds != o.DateOfferEnds || first.SessionJoinToken == "" || second.SessionJoinToken == "" {
		t.Errorf("the page sees %s until %s, or no token; want %s until %s", first.ID, first.DateOfferEnds, o.ID, o.DateOfferEnds)
	}
	sc.opens(t, first.SessionJoinToken)
	var joined joinedBody
	sc.want(t, http.StatusOK, redeem(first.SessionJoinToken, "tab-1")).into(t, &joined)
	if joined.Role != "customer" || joined.CobrowseRole != "sharer" || joined.Resume == "" {
		t.Errorf("joined as %s, %s", joined.Role, joined.CobrowseRole)
	}
	// Whoever saw the digits before has nothing now.
	for _, token := range []string{first.SessionJoinToken, second.SessionJoinToken} {
		sc.refused(t, http.StatusGone, "join.token.used", redeem(token, "tab-2"))
	}
	var taken offerBody
	sc.want(t, http.StatusOK, asPage(http.MethodGet, deployment, o.JoinCode, shop)).into(t, &taken)
	if taken.SessionJoinToken != "" || taken.DateOfferEnds != "" {
		t.Errorf("an offer that was taken still has a token or an end")
	}
	if got := sc.cobrowse(t, conv).on("sharer").State; got != "connected" {
		t.Errorf("the sharer is %s, want connected", got)
	}
}

func officialDecline(t T, sc *scene) {
	o, conv, deployment := sc.offer(t)
	preflight := asPage(http.MethodOptions, deployment, o.JoinCode, shop)
	preflight.header.Set("Access-Control-Request-Method", http.MethodDelete)
	if got := sc.want(t, http.StatusNoContent, preflight).header.Get("Access-Control-Allow-Methods"); !strings.Contains(got, http.MethodDelete) {
		t.Errorf("the preflight allows %q, want DELETE", got)
	}
	for range 2 {
		sc.want(t, http.StatusNoContent, asPage(http.MethodDelete, deployment, o.JoinCode, shop))
	}
	if got := sc.read(t, o.ID); got.State != "ended" || got.EndReason != "participantLeft" {
		t.Errorf("the declined session is %s (%s)", got.State, got.EndReason)
	}
	sc.refused(t, http.StatusGone, "cobrowse.session.ended", asPage(http.MethodGet, deployment, o.JoinCode, shop))

	sc.want(t, http.StatusOK, sc.post(t, offerPath(conv)+"?deploymentId="+deployment, nil)).into(t, &o)
	sc.want(t, http.StatusOK, asPage(http.MethodGet, deployment, o.JoinCode, shop)).into(t, &o)
	var joined joinedBody
	sc.want(t, http.StatusOK, redeem(o.SessionJoinToken, "tab-1")).into(t, &joined)
	stop := asPage(http.MethodDelete, deployment, o.JoinCode, shop)
	sc.refused(t, http.StatusUnauthorized, "resume.invalid", stop)
	stop.header.Set("Cobrowse-Resume-Secret", "a guess")
	sc.refused(t, http.StatusUnauthorized, "resume.invalid", stop)
	if got := sc.read(t, o.ID); got.State != "idle" {
		t.Errorf("refused, the session is %s", got.State)
	}
	stop.header.Set("Cobrowse-Resume-Secret", joined.Resume)
	sc.want(t, http.StatusNoContent, stop)
	if got := sc.read(t, o.ID); got.State != "ended" {
		t.Errorf("stopped by its own page, the session is %s", got.State)
	}
}

func officialForeignPage(t T, sc *scene) {
	o, conv, deployment := sc.offer(t)
	for _, origin := range []string{"", "null", "https://elsewhere.example", shop + ":444"} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			e := sc.refused(t, http.StatusForbidden, "not.authorized", asPage(method, deployment, o.JoinCode, origin))
			if e.EntityID == o.ID {
				t.Errorf("%s for origin %q names the session", method, origin)
			}
		}
	}
	sc.refused(t, http.StatusNotFound, "not.found", asPage(http.MethodDelete, unknownID(107), o.JoinCode, shop))
	// What cannot be a join code costs no guess.
	for _, code := range []string{o.ID, o.JoinCode[1:], o.JoinCode + "0", "１２３４５６７８９"} {
		sc.refused(t, http.StatusNotFound, "not.found", asPage(http.MethodGet, deployment, code, shop))
		sc.refused(t, http.StatusNotFound, "not.found", asPage(http.MethodDelete, deployment, code, shop))
	}
	// These do.
	sc.refused(t, http.StatusNotFound, "not.found", asPage(http.MethodDelete, sc.deployment(t).ID, o.JoinCode, shop))
	sc.want(t, http.StatusOK, asPage(http.MethodGet, deployment, o.JoinCode, shop))
	if got := sc.cobrowse(t, conv).on("sharer").State; got != "offering" {
		t.Errorf("after all that the offer's sharer is %s", got)
	}
}

func officialLapse(t T, sc *scene) {
	sc.needAdvance(t)
	o, conv, deployment := sc.offer(t)
	var seen offerBody
	sc.advance(sc.target.Limits.NeverJoined / 2)
	sc.want(t, http.StatusOK, asPage(http.MethodGet, deployment, o.JoinCode, shop)).into(t, &seen)
	if seen.DateOfferEnds != o.DateOfferEnds || sc.cobrowse(t, conv).on("viewer").ViewerURL == "" {
		t.Errorf("half way the offer ends at %s, want %s: looking keeps nothing alive", seen.DateOfferEnds, o.DateOfferEnds)
	}
	sc.advance(sc.target.Limits.NeverJoined / 2)
	if got := sc.cobrowse(t, conv).on("sharer"); got.State != "disconnected" || got.DisconnectType != "timeout" {
		t.Errorf("at the end of the offer the sharer is %+v", got)
	}
	sc.refused(t, http.StatusGone, "cobrowse.session.ended", redeem(seen.SessionJoinToken, "tab-1"))
	sc.refused(t, http.StatusGone, "cobrowse.session.ended", asPage(http.MethodGet, deployment, o.JoinCode, shop))
	var again offerBody
	sc.want(t, http.StatusOK, sc.post(t, offerPath(conv), nil)).into(t, &again)
	if again.ID == o.ID {
		t.Errorf("the lapsed offer came back")
	}
}

func officialRepeat(t T, sc *scene) {
	conv, deployment := sc.conversation(t, "message").ID, sc.deployment(t).ID
	site := "?deploymentId=" + deployment
	key := http.Header{"Idempotency-Key": {"offer-" + deployment}}
	offered := func(path string, headers ...http.Header) call {
		c := sc.post(t, path, nil)
		if len(headers) > 0 {
			c.header = headers[0]
		}
		return c
	}
	for _, bad := range []string{strings.Repeat("k", 256), "schlüssel"} {
		e := sc.badRequest(t, offered(offerPath(conv)+site, http.Header{"Idempotency-Key": {bad}}))
		if got := e.fields(); !slices.Equal(got, []string{"Idempotency-Key"}) {
			t.Errorf("details name %q, want Idempotency-Key", got)
		}
	}
	sc.refused(t, http.StatusNotFound, "conversation.error.conversation.not.found", offered(offerPath(unknownID(108))+site, key)) // is not remembered
	var first, second offerBody
	a := sc.want(t, http.StatusOK, offered(offerPath(conv)+site, key))
	a.into(t, &first)
	if got := a.header.Get(replayedHeader); got != "" {
		t.Errorf("the first answer has %s: %s", replayedHeader, got)
	}
	a = sc.want(t, http.StatusOK, offered(offerPath(conv)+site, key))
	a.into(t, &second)
	if got := a.header.Get(replayedHeader); got != "true" || second != first {
		t.Errorf("the repeat is %+v with %s: %s, want %+v", second, replayedHeader, got, first)
	}
	sc.refused(t, http.StatusConflict, "request.conflict", offered(offerPath(conv)+site))
	for _, other := range []string{offerPath(conv), offerPath(unknownID(108)) + site} {
		sc.refused(t, http.StatusBadRequest, "idempotency.key.reused", offered(other, key))
	}
	// The key of one route is unknown to the other.
	c := sc.post(t, sessionsPath, sc.createBody(conv))
	c.header = key
	sc.refused(t, http.StatusConflict, "request.conflict", c)

	sc.want(t, http.StatusOK, sc.patchPath(t, cobrowseOf(conv), body{"state": "disconnected"}))
	var over offerBody
	sc.want(t, http.StatusOK, offered(offerPath(conv)+site, key)).into(t, &over)
	if over.ID != first.ID || over.DateOfferEnds != "" {
		t.Errorf("after the end the repeat is %+v, want %s, offered no more", over, first.ID)
	}
	if sc.target.Advance != nil {
		sc.advance(24*time.Hour + time.Second)
		sc.want(t, http.StatusOK, offered(offerPath(conv)+site, key)).into(t, &second)
		if second.ID == first.ID {
			t.Errorf("after 24 hours the key still gives the first session")
		}
	}
}
