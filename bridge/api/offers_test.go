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

func offerURL(deployment, code string) string {
	return "/api/v2/webdeployments/deployments/" + deployment + "/cobrowse/" + code
}

// asPage sends a request as a customer's browser does.
func (h *house) asPage(t testing.TB, status int, method, path string, header ...string) answer {
	t.Helper()
	return h.want(t, status, method, path, "", append([]string{"Authorization:", "Origin: " + shop}, header...)...)
}

func TestCustomersSideOfOffer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	site := h.deployment(t, `"`+shop+`"`)
	o := h.offer(t, talk, "?deploymentId="+site)
	path := offerURL(site, o.JoinCode)
	seen := h.asPage(t, http.StatusOK, http.MethodGet, path)
	golden(t, "offer-seen", seen)
	if seen.header.Get("Access-Control-Allow-Origin") != shop || seen.header.Get("Vary") != "Origin" || seen.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers are %v", seen.header)
	}
	var got offerAnswer
	seen.into(t, &got)
	if got.ID != o.ID || got.JoinCode != o.JoinCode || got.DateOfferEnds != o.DateOfferEnds || got.SelfURI != path {
		t.Errorf("the page sees %+v, want %+v", got, o)
	}
	h.asPage(t, http.StatusOK, http.MethodGet, offerURL(site, o.JoinCode[:3]+"%20"+o.JoinCode[3:6]+"-"+o.JoinCode[6:]))
	preflight := h.want(t, http.StatusNoContent, http.MethodOptions, path, "", "Authorization:", "Content-Type:", "Origin: "+shop, "Access-Control-Request-Method: DELETE")
	if preflight.header.Get("Access-Control-Allow-Methods") != "GET, DELETE" || !strings.Contains(preflight.header.Get("Access-Control-Allow-Headers"), "Cobrowse-Resume-Secret") {
		t.Errorf("the preflight allows %v", preflight.header)
	}
	var early offerAnswer
	h.asPage(t, http.StatusOK, http.MethodGet, path).into(t, &early)

	// The customer comes: from now on the digits let nobody in, and end nothing.
	var joined struct {
		CobrowseRole, Resume string
	}
	h.want(t, http.StatusOK, http.MethodPost, "/api/v2/cobrowse/join", `{"token":"`+got.SessionJoinToken+`","tab":"a"}`, "Authorization:").into(t, &joined)
	if joined.CobrowseRole != "sharer" || joined.Resume == "" {
		t.Fatalf("joined as %q", joined.CobrowseRole)
	}
	h.refused(t, http.StatusGone, cobridge.CodeJoinTokenUsed, http.MethodPost, "/api/v2/cobrowse/join", `{"token":"`+early.SessionJoinToken+`","tab":"b"}`, "Authorization:")
	taken := h.asPage(t, http.StatusOK, http.MethodGet, path)
	golden(t, "offer-taken", taken)
	if strings.Contains(taken.body, "sessionJoinToken") || strings.Contains(taken.body, "dateOfferEnds") {
		t.Errorf("once it is taken, the page sees %s", taken.body)
	}
	for _, secret := range []string{"", "Cobrowse-Resume-Secret: guess", "Cobrowse-Resume-Secret: " + o.JoinCode} {
		lines := []string{"Authorization:", "Origin: " + shop}
		if secret != "" {
			lines = append(lines, secret)
		}
		h.refused(t, http.StatusUnauthorized, cobridge.CodeResumeInvalid, http.MethodDelete, path, "", lines...)
	}
	h.asPage(t, http.StatusNoContent, http.MethodDelete, path, "Cobrowse-Resume-Secret: "+joined.Resume)
	var s sessionAnswer
	h.want(t, http.StatusOK, http.MethodGet, sessionsURL+"/"+o.ID, "").into(t, &s)
	if s.State != "ended" || s.EndReason != "participantLeft" {
		t.Errorf("the session is %s (%s)", s.State, s.EndReason)
	}
	h.asPage(t, http.StatusNoContent, http.MethodDelete, path) // nothing is left to protect
	h.refused(t, http.StatusGone, cobridge.CodeSessionEnded, http.MethodGet, path, "", "Authorization:", "Origin: "+shop)

	declined := h.offer(t, talk, "?deploymentId="+site)
	h.asPage(t, http.StatusNoContent, http.MethodDelete, offerURL(site, declined.JoinCode))
	if got := h.cobrowse(t, talk).as(t, "sharer"); got.State != "disconnected" || got.DisconnectType != "endpoint" {
		t.Errorf("after the customer declined, the sharer is %+v", got)
	}
}

// The tutorial's session of a customer, and one from a customer's page, are offers as well.
func TestOffersOfOtherSurfaces(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	site := h.deployment(t, `"`+shop+`"`)
	var s struct {
		ID           string
		SessionToken string
	}
	h.want(t, http.StatusCreated, http.MethodPost, sessionsURL, `{"conversationId":"`+string(talk2)+`","deploymentId":"`+site+`","participants":[{"role":"customer"},{"userId":"`+string(ann)+`","role":"agent"}]}`).into(t, &s)
	if got := h.asPage(t, http.StatusOK, http.MethodGet, offerURL(site, s.SessionToken)).body; !strings.Contains(got, `"communicationType":"Call"`) || !strings.Contains(got, s.ID) {
		t.Errorf("the tutorial's session is %s", got)
	}
	h.asPage(t, http.StatusCreated, http.MethodPost, deploymentsURL+"/"+site+"/sessions").into(t, &s)
	if got := h.asPage(t, http.StatusOK, http.MethodGet, offerURL(site, s.SessionToken)).body; !strings.Contains(got, `"communicationType":"Unknown"`) || !strings.Contains(got, "sessionJoinToken") {
		t.Errorf("the page's own session is %s", got)
	}
}

func TestOfferIsForItsPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	site, elsewhere := h.deployment(t, `"`+shop+`"`), h.deployment(t, `"`+shop+`"`)
	o := h.offer(t, talk, "?deploymentId="+site)
	agentShares := h.create(t, talk2) // of no deployment, and without a customer
	var digits struct{ SessionToken string }
	h.want(t, http.StatusOK, http.MethodGet, sessionsURL+"/"+agentShares.ID, "").into(t, &digits)
	for name, tt := range map[string]struct {
		path, origin string
		status       int
		code         cobridge.Code
		readable     bool
	}{
		"another origin":         {offerURL(site, o.JoinCode), "https://evil.example", http.StatusForbidden, cobridge.CodeNotAuthorized, false},
		"no origin":              {offerURL(site, o.JoinCode), "", http.StatusForbidden, cobridge.CodeNotAuthorized, false},
		"another deployment":     {offerURL(elsewhere, o.JoinCode), shop, http.StatusNotFound, cobridge.CodeNotFound, true},
		"no deployment":          {offerURL("nothing", o.JoinCode), shop, http.StatusNotFound, cobridge.CodeNotFound, false},
		"the session's id":       {offerURL(site, o.ID), shop, http.StatusNotFound, cobridge.CodeNotFound, true},
		"too few digits":         {offerURL(site, o.JoinCode[1:]), shop, http.StatusNotFound, cobridge.CodeNotFound, true},
		"an agent's page":        {offerURL(site, digits.SessionToken), shop, http.StatusNotFound, cobridge.CodeNotFound, true},
		"digits that nobody has": {offerURL(site, other(o.JoinCode)), shop, http.StatusNotFound, cobridge.CodeNotFound, true},
	} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			a := h.refused(t, tt.status, tt.code, method, tt.path, "", "Authorization:", "Origin: "+tt.origin)
			if got := a.header.Get("Access-Control-Allow-Origin") != ""; got != tt.readable {
				t.Errorf("%s %s: readable %t, want %t", name, method, got, tt.readable)
			}
			if strings.Contains(a.body, o.ID) && !strings.Contains(tt.path, o.ID) {
				t.Errorf("%s %s tells %s", name, method, a.body)
			}
		}
		h.want(t, http.StatusNoContent, http.MethodOptions, tt.path, "", "Authorization:", "Content-Type:", "Origin: "+tt.origin)
	}
	if got := h.cobrowse(t, talk).as(t, "sharer").State; got != "offering" {
		t.Errorf("after all that the sharer is %s", got)
	}
}

// other returns other digits.
func other(code string) string { return code[:8] + string('0'+(code[8]-'0'+1)%10) }

// Guessing join codes is limited, by either call; what cannot be a join code, and
// refusals for other reasons, do not count.
func TestOfferGuesses(t *testing.T) {
	t.Parallel()
	clock := func() time.Time { return t0 }
	h := newHouse(t, func(d *api.Deps) {
		d.Limits.SessionTokens = limit.NewScan(limit.ScanConfig{Each: 2, Strangers: 10, Acquaintances: 10, Clock: clock})
	})
	site := h.deployment(t, `"`+shop+`"`)
	o := h.offer(t, talk, "?deploymentId="+site)
	page := []string{"Authorization:", "Origin: " + shop}
	for range 5 {
		h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, offerURL(site, o.ID), "", page...)
		h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, offerURL("nothing", o.JoinCode), "", page...)
		h.refused(t, http.StatusForbidden, cobridge.CodeNotAuthorized, http.MethodGet, offerURL(site, o.JoinCode), "", "Authorization:", "Origin: https://evil.example")
	}
	h.asPage(t, http.StatusOK, http.MethodGet, offerURL(site, o.JoinCode))
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, offerURL(site, other(o.JoinCode)), "", page...)
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodDelete, offerURL(site, other(o.JoinCode)), "", page...)
	for _, method := range []string{http.MethodGet, http.MethodDelete} { // the right one too
		a := h.refused(t, http.StatusTooManyRequests, cobridge.CodeTooManyRequests, method, offerURL(site, o.JoinCode), "", page...)
		if a.header.Get("Retry-After") == "" || a.header.Get("Access-Control-Allow-Origin") != shop {
			t.Errorf("%s: headers are %v", method, a.header)
		}
	}
}
