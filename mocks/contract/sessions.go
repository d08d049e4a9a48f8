package contract

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

func settingsCases() []Case {
	return []Case{
		{"sessions GET of an unknown id is 404", getUnknownSession},
		{"sessions PATCH changes the settings that are given", patchSettings},
		{"sessions PATCH refuses what breaks rules", patchRefused},
	}
}

func participantCases() []Case {
	return []Case{
		{"participants a supervisor comes later, 201 with a join URL", addSupervisor},
		{"participants who supervise may be let ask for control, at creation or later", allowControl},
		{"participants that break rules are refused", addRefused},
		{"participants who are removed cannot come back", removeParticipant},
		{"participants removing the sharer ends the session", removeSharer},
	}
}

func endCases() []Case {
	return []Case{
		{"end DELETE ends a session, and again", endByDelete},
		{"end PATCH with ended or disconnected ends a session, and again", endByPatch},
		{"end is final", endIsFinal},
		{"end of the conversation ends its session", endOfConversation},
		{"end by inactivity after somebody came", endByInactivity},
		{"end by lost connection when the one who came is gone", endByLostConnection},
	}
}

func (s *suite) patch(t T, id string, b any) call {
	t.Helper()
	return call{method: http.MethodPatch, path: sessionPath(id), token: s.token(t), body: b}
}

func (s *suite) deleteOf(t T, path string) call {
	t.Helper()
	return call{method: http.MethodDelete, path: path, token: s.token(t)}
}

func getUnknownSession(t T, sc *scene) {
	for _, id := range []string{unknownID(60), "no-uuid", "%00", "%FF", "..%2f..%2fhealthz", strings.Repeat("a", 500)} {
		sc.refused(t, http.StatusNotFound, "not.found", sc.get(t, sessionsPath+"/"+id))
	}
}

func patchSettings(t T, sc *scene) {
	b := sc.session(t)
	for _, tt := range []struct {
		in      body
		control bool
		minutes int
	}{
		{body{"timeoutInMinutes": 30}, false, 30},
		{body{"allowRemoteControl": true}, true, 30},
		{body{"allowRemoteControl": false, "timeoutInMinutes": 480}, false, 480},
		{body{}, false, 480},
	} {
		var got sessionBody
		sc.want(t, http.StatusOK, sc.patch(t, b.ID, body{"settings": tt.in, "colour": "blue"})).into(t, &got)
		for _, s := range []sessionBody{got, sc.read(t, b.ID)} {
			if s.Settings.AllowRemoteControl == nil || *s.Settings.AllowRemoteControl != tt.control || s.timeout() != time.Duration(tt.minutes)*time.Minute {
				t.Errorf("after %v the settings are not allowRemoteControl=%t timeoutInMinutes=%d", tt.in, tt.control, tt.minutes)
			}
		}
	}
}

func patchRefused(t T, sc *scene) {
	b := sc.session(t)
	for _, tt := range []struct {
		in    body
		field string
	}{
		{body{"state": "active"}, "state"},
		{body{"state": 1}, "state"},
		{body{"settings": body{"timeoutInMinutes": 0}}, "settings.timeoutInMinutes"},
		{body{"settings": body{"timeoutInMinutes": 481}}, "settings.timeoutInMinutes"},
		{body{"settings": body{"allowRemoteControl": "no"}}, "settings.allowRemoteControl"},
	} {
		e := sc.badRequest(t, sc.patch(t, b.ID, tt.in))
		if got := e.fields(); !slices.Equal(got, []string{tt.field}) {
			t.Errorf("%v: details name %q, want %q", tt.in, got, tt.field)
		}
	}
	sc.badRequest(t, sc.patch(t, b.ID, body{})) // at least one of both
	if got := sc.read(t, b.ID); got.State != "idle" || got.timeout() != 10*time.Minute {
		t.Errorf("refused changes left the session %s with a time-out of %v", got.State, got.timeout())
	}
	sc.refused(t, http.StatusNotFound, "not.found", sc.patch(t, unknownID(61), body{"state": "ended"}))
	sc.refused(t, http.StatusNotFound, "not.found", sc.deleteOf(t, sessionPath(unknownID(61))))
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
	sc.refused(t, http.StatusConflict, "request.conflict", sc.patch(t, b.ID, body{"settings": body{"timeoutInMinutes": 30}}))
}

// agentAlone starts a session with the agent as its only participant.
func (sc *scene) agentAlone(t T) sessionBody {
	t.Helper()
	var b sessionBody
	sc.want(t, http.StatusCreated, sc.post(t, sessionsPath, body{
		"conversationId": sc.conversation(t, "message").ID, "participants": []any{invite(sc.target.AgentUserID, "agent")},
	})).into(t, &b)
	return b
}

func participantsPath(session string) string { return sessionPath(session) + "/participants" }

func addSupervisor(t T, sc *scene) {
	b := sc.agentAlone(t)
	a := sc.want(t, http.StatusCreated, sc.post(t, participantsPath(b.ID), invite(sc.target.SupervisorUserID, "supervisor")))
	var p participantBody
	a.into(t, &p)
	if p.ID != sc.target.SupervisorUserID || p.UserID != p.ID || p.Role != "supervisor" || p.CobrowseRole != "viewer" || p.State != "invited" {
		t.Errorf("the new participant is %s (user %s), %s, %s, %s", p.ID, p.UserID, p.Role, p.CobrowseRole, p.State)
	}
	if got := a.header.Get("Location"); !strings.Contains(got, sessionPath(b.ID)) {
		t.Errorf("Location is %q, want something of %s", got, sessionPath(b.ID))
	}
	sc.opens(t, tokenOf(t, p.JoinURL))
	if got := sc.read(t, b.ID); len(got.Participants) != 2 || got.participant("supervisor").UserID != sc.target.SupervisorUserID {
		t.Errorf("participants are %+v, want agent and supervisor", got.Participants)
	}
	sc.issue(t, b.ID, sc.target.SupervisorUserID)
}

func allowControl(t T, sc *scene) {
	for _, allowed := range []bool{true, false} {
		supervisor := invite(sc.target.SupervisorUserID, "supervisor")
		supervisor["allowControl"] = allowed
		in := sc.createBody(sc.conversation(t, "message").ID)
		in["participants"] = []any{invite(sc.target.AgentUserID, "agent"), supervisor}
		var b sessionBody
		sc.want(t, http.StatusCreated, sc.post(t, sessionsPath, in)).into(t, &b)
		for _, got := range []participantBody{b.participant("supervisor"), sc.read(t, b.ID).participant("supervisor")} {
			if got.AllowControl != allowed {
				t.Errorf("allowControl of the supervisor is %t, want %t", got.AllowControl, allowed)
			}
		}
		sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)+"/participants/"+sc.target.SupervisorUserID))
		var later participantBody
		sc.want(t, http.StatusCreated, sc.post(t, sessionPath(b.ID)+"/participants", supervisor)).into(t, &later)
		if later.AllowControl != allowed {
			t.Errorf("allowControl of the one who comes later is %t, want %t", later.AllowControl, allowed)
		}
	}
	b := sc.session(t)
	if b.participant("supervisor").AllowControl {
		t.Errorf("a supervisor may ask for control without having been let")
	}
	sc.badRequest(t, sc.post(t, sessionPath(b.ID)+"/participants", body{"userId": sc.target.SupervisorUserID, "allowControl": "yes"}))
}

func addRefused(t T, sc *scene) {
	b := sc.agentAlone(t)
	sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, participantsPath(b.ID), invite(sc.target.AgentUserID, "supervisor")))
	sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, participantsPath(b.ID), body{"role": "customer", "name": "Kim"}))
	sc.refused(t, http.StatusNotFound, "general.resource.not.found", sc.post(t, participantsPath(b.ID), invite(unknownID(62), "supervisor")))
	sc.refused(t, http.StatusNotFound, "not.found", sc.post(t, participantsPath(unknownID(63)), invite(sc.target.SupervisorUserID, "supervisor")))
	if sc.target.IncapableUserID != "" {
		sc.refused(t, http.StatusForbidden, "missing.permissions", sc.post(t, participantsPath(b.ID), invite(sc.target.IncapableUserID, "supervisor")))
	}
	for _, tt := range []struct {
		in    any
		field string
	}{
		{body{}, "userId"},
		{body{"userId": ""}, "userId"},
		{body{"userId": 5}, "userId"},
		{invite(sc.target.SupervisorUserID, "king"), "role"},
		{invite(sc.target.SupervisorUserID, "customer"), "userId"},
	} {
		e := sc.badRequest(t, sc.post(t, participantsPath(b.ID), tt.in))
		if got := e.fields(); !slices.Equal(got, []string{tt.field}) {
			t.Errorf("%v: details name %q, want %q", tt.in, got, tt.field)
		}
	}
	if got := sc.read(t, b.ID); len(got.Participants) != 1 {
		t.Errorf("refused calls left %d participants, want 1", len(got.Participants))
	}
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
	sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, participantsPath(b.ID), invite(sc.target.SupervisorUserID, "supervisor")))
}

func removeParticipant(t T, sc *scene) {
	b := sc.session(t)
	path, token := participantsPath(b.ID)+"/"+sc.target.SupervisorUserID, tokenOf(t, b.participant("supervisor").JoinURL)
	sc.want(t, http.StatusOK, redeem(sc.issue(t, b.ID, sc.target.SupervisorUserID).Token, "tab-1"))
	if a := sc.want(t, http.StatusNoContent, sc.deleteOf(t, path)); len(a.body) > 0 {
		t.Errorf("%v: 204 has a body of %d bytes", a.call, len(a.body))
	}
	sc.refused(t, http.StatusNotFound, "conversation.error.participant.not.found", sc.post(t, tokensPath(b.ID, sc.target.SupervisorUserID), nil))
	if a := sc.do(t, redeem(token, "tab-1")); a.status != http.StatusUnauthorized && a.status != http.StatusGone {
		t.Errorf("%v for a token of somebody who was removed, want 401 or 410", a)
	}
	sc.refused(t, http.StatusNotFound, "conversation.error.participant.not.found", sc.deleteOf(t, path))
	sc.refused(t, http.StatusNotFound, "conversation.error.participant.not.found", sc.deleteOf(t, participantsPath(b.ID)+"/"+unknownID(64)))
	sc.refused(t, http.StatusNotFound, "not.found", sc.deleteOf(t, participantsPath(unknownID(65))+"/"+sc.target.AgentUserID))
	if got := sc.read(t, b.ID); got.State != "idle" {
		t.Errorf("the session is %s without its supervisor, want idle", got.State)
	}
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
	sc.refused(t, http.StatusConflict, "request.conflict", sc.deleteOf(t, participantsPath(b.ID)+"/"+sc.target.AgentUserID))
}

func removeSharer(t T, sc *scene) {
	b := sc.session(t)
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, participantsPath(b.ID)+"/"+sc.target.AgentUserID))
	if got := sc.read(t, b.ID); got.State != "ended" {
		t.Errorf("the session is %s without its sharer, want ended", got.State)
	}
}

func endByDelete(t T, sc *scene) {
	b := sc.session(t)
	var first sessionBody
	for i := range 3 {
		if a := sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID))); len(a.body) > 0 {
			t.Errorf("%v: 204 has a body of %d bytes", a.call, len(a.body))
		}
		got := sc.read(t, b.ID)
		if i == 0 {
			first = got
		}
		if got.State != "ended" || got.EndReason != "ended" || got.DateEnded == "" || got.DateEnded != first.DateEnded || got.InactivityTimeout != "" {
			t.Errorf("after %d calls: %s by %q at %q (first %q), time-out %q", i+1, got.State, got.EndReason, got.DateEnded, first.DateEnded, got.InactivityTimeout)
		}
	}
}

func endByPatch(t T, sc *scene) {
	for _, word := range []string{"ended", "disconnected"} {
		b := sc.session(t)
		var dates []string
		for range 2 {
			var got sessionBody
			sc.want(t, http.StatusOK, sc.patch(t, b.ID, body{"state": word})).into(t, &got)
			if got.ID != b.ID || got.State != "ended" || got.EndReason != "ended" {
				t.Errorf("%s: the session is %s by %q, want ended by ended", word, got.State, got.EndReason)
			}
			dates = append(dates, got.DateEnded)
		}
		if dates[0] != dates[1] {
			t.Errorf("%s: ending again moved the end from %s to %s", word, dates[0], dates[1])
		}
	}
}

func endIsFinal(t T, sc *scene) {
	b := sc.session(t)
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
	want := sc.read(t, b.ID)
	sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, tokensPath(b.ID, sc.target.AgentUserID), nil))
	sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, participantsPath(b.ID), invite(sc.target.SupervisorUserID, "supervisor")))
	sc.refused(t, http.StatusConflict, "request.conflict", sc.patch(t, b.ID, body{"settings": body{"allowRemoteControl": true}}))
	sc.refused(t, http.StatusGone, "cobrowse.session.ended", redeem(tokenOf(t, b.participant("agent").JoinURL), "tab-1"))
	sc.sessionOn(t, b.ConversationID)
	if got := sc.read(t, b.ID); got.State != "ended" || got.DateEnded != want.DateEnded || got.EndReason != want.EndReason || got.Settings.AllowRemoteControl == nil || *got.Settings.AllowRemoteControl {
		t.Errorf("the ended session has changed: %+v, was %+v", got, want)
	}
}

func endOfConversation(t T, sc *scene) {
	sc.needConversations(t)
	b := sc.session(t)
	sc.want(t, http.StatusAccepted, sc.post(t, conversationsPath+"/"+b.ConversationID+"/disconnect", nil))
	if got := sc.read(t, b.ID); got.State != "ended" || got.EndReason != "conversationEnded" {
		t.Errorf("the session is %s by %q, want ended by conversationEnded", got.State, got.EndReason)
	}
	sc.want(t, http.StatusOK, sc.get(t, historyPath+"/"+b.ID))
}

func endByInactivity(t T, sc *scene) {
	sc.needAdvance(t)
	var b sessionBody
	sc.want(t, http.StatusCreated, sc.post(t, sessionsPath, body{
		"conversationId": sc.conversation(t, "message").ID, "participants": sc.pair(), "settings": body{"timeoutInMinutes": 1},
	})).into(t, &b)
	// A supervisor who goes is missed by nobody, so it is the inactivity that counts.
	sc.want(t, http.StatusOK, redeem(tokenOf(t, b.participant("supervisor").JoinURL), "tab-1"))
	joined := date(t, "dateJoined", sc.read(t, b.ID).participant("supervisor").DateJoined)
	sc.advance(59 * time.Second)
	if got := sc.read(t, b.ID); got.State != "idle" {
		t.Errorf("the session is %s before its time-out, want idle", got.State)
	}
	sc.advance(2 * time.Second)
	got := sc.read(t, b.ID)
	if got.State != "ended" || got.EndReason != "inactive" {
		t.Fatalf("the session is %s by %q, want ended by inactive", got.State, got.EndReason)
	}
	if ended := date(t, "dateEnded", got.DateEnded); !ended.Equal(joined.Add(time.Minute)) {
		t.Errorf("dateEnded is %v, want a minute after %v", ended, joined)
	}
}

func endByLostConnection(t T, sc *scene) {
	sc.needAdvance(t)
	b := sc.session(t)
	// Redeemed, but no stream comes: the grace time runs from the start.
	sc.want(t, http.StatusOK, redeem(tokenOf(t, b.participant("agent").JoinURL), "tab-1"))
	sc.advance(5 * time.Minute)
	if got := sc.read(t, b.ID); got.State != "ended" || got.EndReason != "connectionLost" {
		t.Errorf("the session is %s by %q, want ended by connectionLost", got.State, got.EndReason)
	}
}
