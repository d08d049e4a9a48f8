package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

func conflictCases() []Case {
	return []Case{
		{"T21 409 names the live session", conflictAnswer},
		{"T22 one of many concurrent creates wins, the others name it", createRace},
		{"T22 after the end a new session has a new id", createAfterEnd},
		{"T22 after the time-out a new session has a new id", createAfterTimeout},
		{"T23 the list shows whether a session exists", listByConversation},
		{"T23 the list knows every state, and refuses others", listStates},
		{"T24 new tokens for the existing session instead of a new one", reissueAfterConflict},
	}
}

func conflictAnswer(t T, sc *scene) {
	b := sc.session(t)
	c := sc.post(t, sessionsPath, sc.createBody(b.ConversationID))
	a := sc.want(t, http.StatusConflict, c)
	var e envelope
	a.into(t, &e)
	if e.Code != "request.conflict" || e.EntityID != b.ID || e.EntityName != "cobrowseSession" || e.MessageParams["conversationId"] != b.ConversationID {
		t.Errorf("%v, want request.conflict about cobrowseSession %s and messageParams.conversationId", a, b.ID)
	}
	if e.ID != b.ID || e.SessionID != b.ID || e.ConversationID != b.ConversationID || e.SelfURI != sessionPath(b.ID) {
		t.Errorf("%v, want id, sessionId, conversationId and selfUri of session %s", a, b.ID)
	}
	if !strings.HasSuffix(a.header.Get("Location"), sessionPath(b.ID)) {
		t.Errorf("Location is %q, want %s", a.header.Get("Location"), sessionPath(b.ID))
	}
	if !slices.ContainsFunc(e.Details, func(d detail) bool {
		return d.ErrorCode == "cobrowse.session.active" && d.FieldName == "conversationId" && d.EntityID == b.ID && d.EntityName == "cobrowseSession"
	}) {
		t.Errorf("%v, want a detail cobrowse.session.active for conversationId", a)
	}
}

func createRace(t T, sc *scene) {
	for round := range sc.target.Limits.Rounds {
		conv := sc.conversation(t, "message").ID
		c := sc.post(t, sessionsPath, sc.createBody(conv))
		answers := make([]answer, sc.target.Limits.Racers)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				a, faults, err := sc.send(t.Context(), c)
				if err != nil {
					t.Errorf("%v", err)
				}
				for _, fault := range faults {
					t.Errorf("%v\n\t%s", a, fault)
				}
				answers[i] = a
			})
		}
		wg.Wait()
		var winners []string
		blockers := map[string]bool{}
		for _, a := range answers {
			switch a.status {
			case http.StatusCreated:
				var b sessionBody
				a.into(t, &b)
				winners = append(winners, b.ID)
			case http.StatusConflict:
				var e envelope
				a.into(t, &e)
				blockers[e.SessionID] = true
			default:
				t.Errorf("%v, want 201 or 409", a)
			}
		}
		if len(winners) != 1 || len(blockers) > 1 || len(blockers) == 1 && !blockers[winners[0]] {
			t.Fatalf("round %d: the winners are %q and the others name %v, want one winner that all name", round, winners, blockers)
		}
		p := page[sessionBody](t, sc.want(t, http.StatusOK, sc.get(t, sessionsPath+"?state=any&conversationId="+conv)))
		if len(p.Entities) != 1 || p.Entities[0].ID != winners[0] {
			t.Errorf("round %d: the conversation has %d sessions, want the winner alone", round, len(p.Entities))
		}
	}
}

func createAfterEnd(t T, sc *scene) {
	first := sc.session(t)
	sc.want(t, http.StatusNoContent, call{method: http.MethodDelete, path: sessionPath(first.ID), token: sc.token(t)})
	second := sc.sessionOn(t, first.ConversationID)
	if second.ID == first.ID {
		t.Errorf("the second session has the id of the first")
	}
	if got := sc.read(t, first.ID); got.State != "ended" {
		t.Errorf("the first session is %s after the second began, want ended", got.State)
	}
}

func createAfterTimeout(t T, sc *scene) {
	sc.needAdvance(t)
	first := sc.session(t)
	sc.advance(sc.target.Limits.NeverJoined - time.Second)
	sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, sessionsPath, sc.createBody(first.ConversationID)))
	sc.advance(time.Second)
	second := sc.sessionOn(t, first.ConversationID)
	got := sc.read(t, first.ID)
	if second.ID == first.ID || got.State != "ended" || got.EndReason != "neverJoined" {
		t.Errorf("the first session is %s by %q, want ended by neverJoined and another id for the second", got.State, got.EndReason)
	}
	// It ended when its time was over, whenever that was noticed.
	if ended, want := date(t, "dateEnded", got.DateEnded), date(t, "dateCreated", first.DateCreated).Add(sc.target.Limits.NeverJoined); !ended.Equal(want) {
		t.Errorf("dateEnded is %v, want %v", ended, want)
	}
}

func (sc *scene) list(t T, query string) pageBody[sessionBody] {
	t.Helper()
	return page[sessionBody](t, sc.want(t, http.StatusOK, sc.get(t, sessionsPath+"?"+query)))
}

func listByConversation(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	if p := sc.list(t, "conversationId="+conv); p.Entities == nil || len(p.Entities) != 0 || *p.Total != 0 {
		t.Errorf("a conversation without a session lists %d of %d", len(p.Entities), *p.Total)
	}
	b := sc.sessionOn(t, conv)
	p := sc.list(t, "conversationId="+conv)
	if len(p.Entities) != 1 || p.Entities[0].ID != b.ID || p.Entities[0].SessionID != b.ID || len(p.Entities[0].Participants) != 2 || *p.Total != 1 {
		t.Errorf("the list is %+v, want session %s with its participants", p.Entities, b.ID)
	}
	if p := sc.list(t, "conversationId="+unknownID(40)); len(p.Entities) != 0 {
		t.Errorf("an unknown conversation lists %d sessions, want an empty list", len(p.Entities))
	}
}

func listStates(t T, sc *scene) {
	conv := sc.ownConversation(t, "message").ID
	ended := sc.sessionOn(t, conv)
	sc.want(t, http.StatusNoContent, call{method: http.MethodDelete, path: sessionPath(ended.ID), token: sc.token(t)})
	live := sc.sessionOn(t, conv)
	for state, want := range map[string][]string{
		"": {live.ID}, "live": {live.ID}, "idle": {live.ID}, "active": {}, "ended": {ended.ID}, "any": {live.ID, ended.ID},
	} {
		query := "conversationId=" + conv
		if state != "" {
			query += "&state=" + state
		}
		got := []string{}
		for _, b := range sc.list(t, query).Entities {
			got = append(got, b.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("state=%s lists %q, want %q", state, got, want)
		}
	}
	for n := 1; n <= 2; n++ {
		p := sc.list(t, fmt.Sprintf("conversationId=%s&state=any&pageSize=1&pageNumber=%d", conv, n))
		if want := []string{live.ID, ended.ID}[n-1]; len(p.Entities) != 1 || p.Entities[0].ID != want || *p.Total != 2 {
			t.Errorf("page %d has %d of %d entities, want session %s of 2", n, len(p.Entities), *p.Total, want)
		}
	}
	for _, query := range []string{"state=sleeping", "state=ACTIVE", "pageSize=0", "pageSize=101", "pageNumber=0", "pageNumber=1e3"} {
		sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.get(t, sessionsPath+"?"+query))
	}
}

func reissueAfterConflict(t T, sc *scene) {
	b := sc.session(t)
	var e envelope
	sc.want(t, http.StatusConflict, sc.post(t, sessionsPath, sc.createBody(b.ConversationID))).into(t, &e)
	found := sc.list(t, "conversationId="+b.ConversationID)
	if len(found.Entities) != 1 || found.Entities[0].ID != e.ID {
		t.Fatalf("the list and the 409 name different sessions")
	}
	for _, p := range found.Entities[0].Participants {
		issued := sc.issue(t, e.ID, p.UserID)
		sc.opens(t, issued.Token)
	}
}
