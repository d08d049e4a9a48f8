package contract

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
)

func knowledgeCases() []Case {
	return []Case{
		{"knowledge sessions need no body, and each create gives a new one", knowledgeCreate},
		{"knowledge sessions of one customer in one visit are one", knowledgeIdentity},
		{"knowledge sessions that are unknown are created by a GET, one by many at once", knowledgeRetrieve},
		{"knowledge sessions are tied to a customer once", knowledgeTie},
		{"knowledge sessions end when nobody asks for them", knowledgeExpiry},
		{"knowledge sessions fail in words of their own", knowledgeFailures},
		{"knowledge sessions leave their id on a conversation", knowledgeConversation},
	}
}

type knowledgeInfo struct {
	SessionID  string `json:"sessionId"`
	CustomerID string `json:"customerId"`
	AgentID    string `json:"agentId"`
	VisitID    string `json:"visitId"`
}

type knowledgeBody struct {
	knowledgeInfo
	Response knowledgeInfo `json:"response"`
}

func (sc *scene) needKnowledge(t T) {
	t.Helper()
	if sc.target.Knowledge == "" {
		t.Skipf("the target offers no Knowledge Center sessions")
	}
}

// knowledge is a call as real clients make it: without a content type unless there
// is a body.
func (sc *scene) knowledge(t T, method, id string, body any, headers ...string) call {
	t.Helper()
	c := call{method: method, path: sc.target.Knowledge + "/sessions/" + id, token: sc.token(t), body: body, header: http.Header{}}
	if body == nil {
		c.header["Content-Type"] = nil
	}
	for i := 0; i < len(headers); i += 2 {
		c.header.Set(headers[i], headers[i+1])
	}
	return c
}

// knowledgeSession makes a call that must succeed; both places of the answer say the same.
func (sc *scene) knowledgeSession(t T, c call) knowledgeInfo {
	t.Helper()
	var got knowledgeBody
	a := sc.want(t, http.StatusOK, c)
	a.into(t, &got)
	if got.SessionID == "" || got.knowledgeInfo != got.Response {
		t.Errorf("%v: the session is %+v at the top level and %+v in response, want the same", a.call, got.knowledgeInfo, got.Response)
	}
	return got.knowledgeInfo
}

// newKnowledge returns a new anonymous session; its id serves to name people of whom
// nobody has heard.
func (sc *scene) newKnowledge(t T) string {
	t.Helper()
	return sc.knowledgeSession(t, sc.knowledge(t, http.MethodPut, "new", nil)).SessionID
}

func knowledgeCreate(t T, sc *scene) {
	sc.needKnowledge(t)
	first, second := sc.newKnowledge(t), sc.newKnowledge(t)
	if first == second {
		t.Errorf("two creates gave the same session")
	}
	visit := map[string]any{"visitId": "v-17", "unknown": 1}
	got := sc.knowledgeSession(t, sc.knowledge(t, http.MethodPut, "new", visit, "gkc_agentId", "ada-"+first, "GKC_CUSTOMERID", "kim-"+first))
	if want := (knowledgeInfo{got.SessionID, "kim-" + first, "ada-" + first, "v-17"}); got != want {
		t.Errorf("create = %+v, want %+v", got, want)
	}
	if again := sc.knowledgeSession(t, sc.knowledge(t, http.MethodGet, got.SessionID, nil)); again != got {
		t.Errorf("retrieve = %+v, want %+v", again, got)
	}
}

func knowledgeIdentity(t T, sc *scene) {
	sc.needKnowledge(t)
	kim := "kim-" + sc.newKnowledge(t)
	sc.knowledgeSession(t, sc.knowledge(t, http.MethodPut, "new", nil, "gkc_customerId", kim))
	sc.knowledgeRefused(t, http.StatusBadRequest, sc.knowledge(t, http.MethodPut, "new", nil, "gkc_customerId", kim))
	sc.knowledgeSession(t, sc.knowledge(t, http.MethodPut, "new", map[string]any{"visitId": "another"}, "gkc_customerId", kim))
}

func knowledgeRetrieve(t T, sc *scene) {
	sc.needKnowledge(t)
	unknown := "unknown-" + sc.newKnowledge(t)
	answers := make([]answer, sc.target.Limits.Racers)
	var wg sync.WaitGroup
	for i := range answers {
		c := sc.knowledge(t, http.MethodGet, unknown, nil, "gkc_customerId", "customer-"+strconv.Itoa(i))
		wg.Go(func() {
			a, faults, err := sc.send(t.Context(), c)
			if err != nil || len(faults) > 0 || a.status != http.StatusOK {
				t.Errorf("%v: %v %v", a, faults, err)
			}
			answers[i] = a
		})
	}
	wg.Wait()
	customer := ""
	for _, a := range answers {
		var got knowledgeBody
		a.into(t, &got)
		if customer == "" {
			customer = got.CustomerID
		}
		if got.SessionID != unknown || got.CustomerID != customer {
			t.Errorf("parallel calls saw session %q of %q, want %q of %q as another did", got.SessionID, got.CustomerID, unknown, customer)
		}
	}
}

func knowledgeTie(t T, sc *scene) {
	sc.needKnowledge(t)
	id := sc.newKnowledge(t)
	if got := sc.knowledgeSession(t, sc.knowledge(t, http.MethodGet, id, nil, "gkc_customerId", "lee-"+id)); got.CustomerID != "" {
		t.Errorf("a GET tied the session to %s", got.CustomerID)
	}
	for range 2 {
		if got := sc.knowledgeSession(t, sc.knowledge(t, http.MethodPost, id, nil, "gkc_customerId", "kim-"+id)); got.CustomerID != "kim-"+id {
			t.Errorf("the session is tied to %q", got.CustomerID)
		}
	}
	sc.knowledgeRefused(t, http.StatusBadRequest, sc.knowledge(t, http.MethodPost, id, nil, "gkc_customerId", "lee-"+id))
	created := sc.knowledgeSession(t, sc.knowledge(t, http.MethodPost, "made-up-"+id, nil, "gkc_customerId", "kim-"+id))
	if created.SessionID != "made-up-"+id || created.CustomerID != "kim-"+id {
		t.Errorf("an update of an unknown session gave %+v", created)
	}
}

func knowledgeExpiry(t T, sc *scene) {
	sc.needKnowledge(t)
	sc.needAdvance(t)
	id := sc.newKnowledge(t)
	sc.knowledgeSession(t, sc.knowledge(t, http.MethodPost, id, nil, "gkc_customerId", "kim-"+id))
	for range 2 { // each call starts the time-out anew
		sc.advance(sc.target.Limits.Knowledge * 9 / 10)
		if got := sc.knowledgeSession(t, sc.knowledge(t, http.MethodGet, id, nil)); got.CustomerID != "kim-"+id {
			t.Errorf("before the time-out the session belongs to %q", got.CustomerID)
		}
	}
	sc.advance(sc.target.Limits.Knowledge)
	if got := sc.knowledgeSession(t, sc.knowledge(t, http.MethodGet, id, nil)); got.CustomerID != "" {
		t.Errorf("after the time-out the session still belongs to %s", got.CustomerID)
	}
}

// knowledgeRefused makes a call that must fail in the dialect of these sessions.
func (sc *scene) knowledgeRefused(t T, status int, c call) {
	t.Helper()
	type failure struct {
		Code        int    `json:"code"`
		Description string `json:"description"`
	}
	var got struct {
		failure
		Error failure `json:"error"`
	}
	a := sc.want(t, status, c)
	a.into(t, &got)
	if got.Code != status || got.Description == "" || got.failure != got.Error {
		t.Errorf("%v, want code %d and a description, twice", a, status)
	}
}

func knowledgeFailures(t T, sc *scene) {
	sc.needKnowledge(t)
	for _, c := range []call{
		sc.knowledge(t, http.MethodPut, "new", nil),
		sc.knowledge(t, http.MethodGet, "s-1", nil),
		sc.knowledge(t, http.MethodPost, "s-1", nil),
	} {
		c.token = ""
		sc.knowledgeRefused(t, http.StatusUnauthorized, c)
		c.token = "no-token-of-anybody"
		sc.knowledgeRefused(t, http.StatusUnauthorized, c)
		c.token = sc.token(t)
		c.header.Set("gkc_customerId", strings.Repeat("x", 300))
		sc.knowledgeRefused(t, http.StatusBadRequest, c)
		if sc.target.Other.ClientID != "" {
			c.token = sc.other(t)
			sc.knowledgeRefused(t, http.StatusNotFound, c)
		}
	}
	sc.knowledgeRefused(t, http.StatusBadRequest, sc.knowledge(t, http.MethodPost, "s-1", map[string]any{"visitId": 17}))
	sc.knowledgeRefused(t, http.StatusUnsupportedMediaType, func() call {
		c := sc.knowledge(t, http.MethodPost, "s-1", "visitId=v-17")
		c.header.Set("Content-Type", "text/plain")
		return c
	}())
	sc.knowledgeRefused(t, http.StatusMethodNotAllowed, sc.knowledge(t, http.MethodDelete, "s-1", nil))
	sc.knowledgeRefused(t, http.StatusNotFound, sc.knowledge(t, http.MethodGet, "s-1/more", nil))
}

func knowledgeConversation(t T, sc *scene) {
	sc.needKnowledge(t)
	id := sc.newKnowledge(t)
	talk := sc.ownConversation(t, "chat")
	sc.knowledgeSession(t, sc.knowledge(t, http.MethodPost, id, map[string]any{"conversationId": talk.ID}))
	var got conversationBody
	sc.want(t, http.StatusOK, sc.get(t, "/api/v2/conversations/"+talk.ID)).into(t, &got)
	for _, p := range got.Participants {
		if p.Attributes["kcSessionId"] == id {
			return
		}
	}
	t.Errorf("no participant of the conversation has the attribute kcSessionId: %+v", got.Participants)
}
