package contract

import (
	"encoding/json"
	"net/http"
	"strings"
)

// conversation starts a conversation of the medium between a customer and the
// agent, which is disconnected at the end of the case; or returns the one that the
// target has, once in a case and only while nobody has a session on it.
func (sc *scene) conversation(t T, medium string) conversationBody {
	t.Helper()
	if sc.target.ConversationID == "" {
		return sc.conversationAs(t, sc.token(t), medium, sc.target.AgentUserID)
	}
	if sc.used {
		t.Skipf("it needs more conversations than the one that the target names")
	}
	var conv conversationBody
	sc.want(t, http.StatusOK, sc.get(t, conversationsPath+"/"+sc.target.ConversationID)).into(t, &conv)
	if conv.State != "active" {
		t.Skipf("conversation %s is %q, not active", conv.ID, conv.State)
	}
	if live := sc.list(t, "conversationId="+conv.ID).Entities; len(live) > 0 {
		t.Skipf("conversation %s has a live session, which is left alone", conv.ID)
	}
	sc.used = true
	return conv
}

// ownConversation is conversation for a case that changes it or ends it, or wants
// it of that medium.
func (sc *scene) ownConversation(t T, medium string) conversationBody {
	t.Helper()
	sc.needConversations(t)
	return sc.conversation(t, medium)
}

// needConversations skips the case unless it may create conversations.
func (sc *scene) needConversations(t T) {
	t.Helper()
	if sc.target.ConversationID != "" {
		t.Skipf("it needs a conversation of its own, and the target names one to use")
	}
}

func (sc *scene) conversationAs(t T, token, medium, agent string) conversationBody {
	t.Helper()
	a := sc.do(t, call{method: http.MethodPost, path: conversationsPath, token: token, body: body{
		"mediaType": medium,
		"participants": []any{
			body{"purpose": "customer", "name": "Kim"},
			body{"purpose": "agent", "userId": agent},
		},
	}})
	if a.status != http.StatusCreated {
		t.Fatalf("%v, want 201", a)
	}
	var conv conversationBody
	a.into(t, &conv)
	sc.later(func(t T) {
		t.Helper()
		// Not the token of then: the clock may have moved since.
		fresh := sc.token(t)
		if agent == sc.target.OtherUserID {
			fresh = sc.other(t)
		}
		sc.do(t, call{method: http.MethodPost, path: conversationsPath + "/" + conv.ID + "/disconnect", token: fresh})
	})
	return conv
}

// remember notes the session that a call has started.
func (s *suite) remember(a answer) {
	path, _, _ := strings.Cut(a.call.path, "?")
	if a.call.method != http.MethodPost || a.status != http.StatusCreated && a.status != http.StatusOK {
		return
	}
	if path != sessionsPath && path != attachPath && (!strings.HasPrefix(path, conversationsPath+"/") || !strings.HasSuffix(path, "/cobrowse")) {
		return
	}
	var started struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(a.body, &started) == nil && started.ID != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.made = append(s.made, started.ID)
	}
}

// endMade ends the sessions that were started on a conversation that goes on.
func (sc *scene) endMade(t T) {
	t.Helper()
	sc.mu.Lock()
	made := sc.made
	sc.made = nil
	sc.mu.Unlock()
	for _, id := range made {
		sc.do(t, sc.deleteOf(t, sessionPath(id)))
	}
}
