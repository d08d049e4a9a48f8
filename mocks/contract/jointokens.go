package contract

import (
	"net/http"
	"strings"
	"time"
)

func joinTokenCases() []Case {
	return []Case{
		{"T25 T26 an empty POST with the user id gives token and expiresAt", issueAnswer},
		{"T25 the read scope is enough", issueScope},
		{"T25 unknown sessions and participants are 404", issueUnknown},
		{"T25 a session that has ended is 409", issueEnded},
		{"T27 expiresAt is at most 15 minutes away", issueLifetime},
		{"T27 T30 an expired token opens nothing", expiredToken},
		{"T28 every call gives a fresh token, and all of them are good", issueFresh},
		{"T28 asking for a token keeps a session that waits alive", issueProlongs},
		{"T29 every participant named at creation can be given one", issueForAll},
		{"T30 tokens need no escaping", issueAlphabet},
	}
}

// joinTokenLife is how long a join token is good at most (T27).
const joinTokenLife = 15 * time.Minute

func issueAnswer(t T, sc *scene) {
	b := sc.session(t)
	a := sc.want(t, http.StatusOK, call{method: http.MethodPost, path: tokensPath(b.ID, sc.target.AgentUserID), token: sc.token(t)})
	var issued issuedBody
	a.into(t, &issued)
	if issued.SessionID != b.ID || issued.ParticipantID != sc.target.AgentUserID || issued.Token == "" || tokenOf(t, issued.JoinURL) != issued.Token {
		t.Errorf("sessionId %q, participantId %q, or token and joinUrl that differ; want %s and %s", issued.SessionID, issued.ParticipantID, b.ID, sc.target.AgentUserID)
	}
	date(t, "expiresAt", issued.ExpiresAt)
	if got := a.header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("Cache-Control is %q, want no-store", got)
	}
	// A body is not asked for; an empty object does no harm.
	sc.want(t, http.StatusOK, sc.post(t, tokensPath(b.ID, sc.target.AgentUserID), body{}))
}

func issueScope(t T, sc *scene) {
	b := sc.session(t)
	sc.want(t, http.StatusOK, call{method: http.MethodPost, path: tokensPath(b.ID, sc.target.AgentUserID), token: sc.scoped(t, scopeSessionRead)})
	sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", call{method: http.MethodPost, path: tokensPath(b.ID, sc.target.AgentUserID), token: sc.scoped(t, scopeSessionWrite)})
}

func issueUnknown(t T, sc *scene) {
	b := sc.session(t)
	sc.refused(t, http.StatusNotFound, "not.found", sc.post(t, tokensPath(unknownID(50), sc.target.AgentUserID), nil))
	for _, participant := range []string{unknownID(51), "no-uuid", sc.target.ClientID} {
		sc.refused(t, http.StatusNotFound, "conversation.error.participant.not.found", sc.post(t, tokensPath(b.ID, participant), nil))
	}
}

func issueEnded(t T, sc *scene) {
	b := sc.session(t)
	sc.want(t, http.StatusNoContent, call{method: http.MethodDelete, path: sessionPath(b.ID), token: sc.token(t)})
	e := sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, tokensPath(b.ID, sc.target.AgentUserID), nil))
	if len(e.Details) == 0 || e.Details[0].ErrorCode != "cobrowse.session.ended" {
		t.Errorf("details are %+v, want cobrowse.session.ended", e.Details)
	}
}

func issueLifetime(t T, sc *scene) {
	b := sc.session(t)
	left := date(t, "expiresAt", sc.issue(t, b.ID, sc.target.AgentUserID).ExpiresAt).Sub(date(t, "dateCreated", b.DateCreated))
	// dateCreated is some moments before the issue; a JWT counts whole seconds.
	if left <= joinTokenLife-time.Minute || left > joinTokenLife+answerLimit {
		t.Errorf("a token issued now is good for %v, want about %v", left, joinTokenLife)
	}
}

func expiredToken(t T, sc *scene) {
	sc.needAdvance(t)
	b := sc.session(t)
	fromCreate, issued := tokenOf(t, b.participant("agent").JoinURL), sc.issue(t, b.ID, sc.target.SupervisorUserID)
	sc.advance(joinTokenLife - 2*time.Second)
	sc.opens(t, issued.Token)
	sc.advance(3 * time.Second)
	for _, token := range []string{fromCreate, issued.Token} {
		sc.pageRefused(t, http.StatusUnauthorized, token)
		sc.refused(t, http.StatusUnauthorized, "join.token.expired", redeem(token, "tab-1"))
	}
	// The session lives on, and the next token opens it.
	sc.opens(t, sc.issue(t, b.ID, sc.target.SupervisorUserID).Token)
}

func issueFresh(t T, sc *scene) {
	b := sc.session(t)
	seen := map[string]bool{tokenOf(t, b.participant("agent").JoinURL): true}
	for range 5 {
		token := sc.issue(t, b.ID, sc.target.AgentUserID).Token
		if seen[token] {
			t.Errorf("a token was given out twice")
		}
		seen[token] = true
	}
	for token := range seen {
		sc.opens(t, token)
	}
}

func issueProlongs(t T, sc *scene) {
	sc.needAdvance(t)
	b := sc.session(t)
	sc.advance(sc.target.Limits.NeverJoined - time.Minute)
	sc.issue(t, b.ID, sc.target.AgentUserID)
	sc.advance(sc.target.Limits.NeverJoined - time.Minute)
	if got := sc.read(t, b.ID); got.State != "idle" {
		t.Errorf("the session is %s by %q although a token was issued, want idle", got.State, got.EndReason)
	}
	sc.advance(2 * time.Minute)
	if got := sc.read(t, b.ID); got.State != "ended" || got.EndReason != "neverJoined" {
		t.Errorf("the session is %s by %q, want ended by neverJoined", got.State, got.EndReason)
	}
}

func issueForAll(t T, sc *scene) {
	var b sessionBody
	sc.want(t, http.StatusCreated, sc.post(t, sessionsPath, body{
		"conversationId": sc.conversation(t, "message").ID, "participants": append(sc.pair(), body{"role": "customer"}),
	})).into(t, &b)
	if len(b.Participants) != 3 {
		t.Fatalf("there are %d participants, want 3", len(b.Participants))
	}
	for _, p := range b.Participants {
		if issued := sc.issue(t, b.ID, p.ID); issued.ParticipantID != p.ID {
			t.Errorf("the token for %s is for participant %q", p.ID, issued.ParticipantID)
		}
	}
}

func issueAlphabet(t T, sc *scene) {
	b := sc.session(t)
	for _, p := range b.Participants {
		if token := sc.issue(t, b.ID, p.ID).Token; !urlSafe.MatchString(token) || len(token) > 1500 {
			t.Errorf("a token of %d characters needs escaping, or makes the address too long", len(token))
		}
	}
}
