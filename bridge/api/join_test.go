package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/limit"
)

const joinURL = "/api/v2/cobrowse/join"

func TestJoin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.create(t, talk)
	join := func(i int) answer {
		t.Helper()
		return h.want(t, http.StatusOK, http.MethodPost, joinURL, `{"token":"`+s.tokenAt(t, i)+`","tab":"t1"}`, "Authorization:")
	}
	sharer := join(0)
	golden(t, "joined-sharer", sharer)
	if got := sharer.header.Get("Set-Cookie"); got != "" || !strings.Contains(sharer.body, `"resume":"`) {
		t.Errorf("the sharer has a cookie, or no secret in the body: %s", sharer.body)
	}
	viewer := join(1)
	golden(t, "joined-viewer", viewer)
	cookies := (&http.Response{Header: viewer.header}).Cookies()
	if len(cookies) != 1 || strings.Contains(viewer.body, "resume") {
		t.Fatalf("the viewer has %d cookies and %s", len(cookies), viewer.body)
	}
	c := cookies[0]
	if want := "/gateway" + sessionsURL + "/" + s.ID + "/stream"; c.Path != want || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || !strings.HasPrefix(c.Name, "cobridge_resume_") || c.Value == "" {
		t.Errorf("the cookie is %s, want a strict one for %s", c.Name, want)
	}
	h.refused(t, http.StatusGone, cobridge.CodeJoinTokenUsed, http.MethodPost, joinURL, `{"token":"`+s.tokenAt(t, 0)+`"}`)
	h.refused(t, http.StatusUnauthorized, cobridge.CodeJoinTokenInvalid, http.MethodPost, joinURL, `{"token":"a.b.c"}`)
	h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPost, joinURL, `{}`)

	second := h.create(t, talk2)
	a := h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, joinURL, `{"token":"`+second.tokenAt(t, 0)+`"}`)
	if got := a.envelope(t).Details; len(got) == 0 || got[0].ErrorCode != "cobrowse.agent.busy" {
		t.Errorf("details are %+v, want cobrowse.agent.busy", got)
	}
	h.clock.Advance(16 * time.Minute)
	h.refused(t, http.StatusUnauthorized, cobridge.CodeJoinTokenExpired, http.MethodPost, joinURL, `{"token":"`+second.tokenAt(t, 0)+`"}`)
}

func TestJoinEndedSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.create(t, talk)
	h.want(t, http.StatusAccepted, http.MethodPost, "/api/v2/conversations/"+string(talk)+"/disconnect", "")
	h.refused(t, http.StatusGone, cobridge.CodeSessionEnded, http.MethodPost, joinURL, `{"token":"`+s.tokenAt(t, 0)+`"}`)
	if a := h.want(t, http.StatusOK, http.MethodGet, sessionsURL+"/"+s.ID, ""); !strings.Contains(a.body, `"endReason":"conversationEnded"`) {
		t.Errorf("the session is %s", a.body)
	}
}

func TestGuessesAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(d *api.Deps) {
		clock := func() time.Time { return t0 }
		d.Limits.JoinTokens = limit.NewGuess(limit.Config{PerMinute: 2, Clock: clock})
		d.Limits.SessionTokens = limit.NewScan(limit.ScanConfig{Each: 2, Clock: clock})
	})
	s := h.create(t, talk)
	attach := `{"sessionToken":"000 000 000","conversationId":"` + string(talk2) + `","participant":{"userId":"` + string(ann) + `"}}`
	for range 2 {
		h.refused(t, http.StatusUnauthorized, cobridge.CodeJoinTokenInvalid, http.MethodPost, joinURL, `{"token":"x"}`)
		h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodPost, sessionsURL+"/attach", attach)
	}
	a := h.refused(t, http.StatusTooManyRequests, cobridge.CodeTooManyRequests, http.MethodPost, joinURL, `{"token":"`+s.tokenAt(t, 0)+`"}`)
	if got := a.header.Get("Retry-After"); got != "30" || !strings.Contains(a.body, "30 seconds") {
		t.Errorf("Retry-After %q, body %s", got, a.body)
	}
	h.refused(t, http.StatusTooManyRequests, cobridge.CodeTooManyRequests, http.MethodPost, sessionsURL+"/attach", attach)
}
