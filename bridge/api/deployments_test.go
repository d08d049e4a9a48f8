package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/limit"
	"github.com/cobridge/cobridge/cobrowse"
)

type deploymentAnswer struct {
	ID string `json:"id"`
}

func (h *house) deployment(t testing.TB, origins string) string {
	t.Helper()
	var d deploymentAnswer
	h.want(t, http.StatusCreated, http.MethodPost, deploymentsURL, `{"name":"Shop","allowedOrigins":[`+origins+`]}`).into(t, &d)
	return d.ID
}

func TestDeployments(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	created := h.want(t, http.StatusCreated, http.MethodPost, deploymentsURL, `{"name":"Shop","allowedOrigins":["`+shop+`"],"startUrl":"`+shop+
		`/help","maskSelectors":[".card"],"readonlySelectors":["#pay"],"pauseCriteria":[{"urlFragment":"/pay","condition":"Includes"}],"allowAgentControl":true}`)
	golden(t, "deployment", created)
	var d deploymentAnswer
	created.into(t, &d)
	self := deploymentsURL + "/" + d.ID
	if got := created.header.Get("Location"); got != self {
		t.Errorf("Location = %q, want %q", got, self)
	}
	if got := h.want(t, http.StatusOK, http.MethodGet, self, ""); got.body != created.body {
		t.Errorf("it reads as %s, want %s", got.body, created.body)
	}
	h.deployment(t, `"https://a.example"`)
	for query, want := range map[string]int{"": 2, "?pageSize=1": 1, "?pageSize=1&pageNumber=2": 1, "?pageSize=1&pageNumber=3": 0} {
		var page struct {
			Entities []deploymentAnswer `json:"entities"`
			Total    int                `json:"total"`
		}
		h.want(t, http.StatusOK, http.MethodGet, deploymentsURL+query, "").into(t, &page)
		if len(page.Entities) != want || page.Total != 2 {
			t.Errorf("%q lists %d of %d, want %d of 2", query, len(page.Entities), page.Total, want)
		}
	}
	golden(t, "deployment-replaced", h.want(t, http.StatusOK, http.MethodPut, self, `{"name":"Store","allowedOrigins":["`+shop+`"]}`))
	all := `{"name":"Shop","allowedOrigins":["` + shop + `"],"startUrl":"` + shop + `/","textMode":"private","maskSelectors":[".a"],"showSelectors":[".b"],"blockSelectors":[".c"],` +
		`"neverShowSelectors":[".d"],"readonlySelectors":[".e"],"pauseCriteria":[{"urlFragment":"/pay","condition":"EndsWith"}],"allowAgentControl":true,"allowAgentNavigation":true,` +
		`"allowAgentSubmit":true,"allowDraw":true,"controlMode":"fieldsOnly","controlSelectors":[".f"],"assetOrigins":["https://cdn.example"],"pageRules":[{"urlPattern":".*/pay","maskSelectors":[".g"]}],"consentVersion":"v7",` +
		`"consentTexts":{"de":"Darf das gezeigt werden?","en":"May this be shown?"},"defaultFor":["customer","agent"]}`
	golden(t, "deployment-full", h.want(t, http.StatusOK, http.MethodPut, self, all))
	golden(t, "deployment-full", h.want(t, http.StatusOK, http.MethodGet, self, "")) // it was stored, all of it
	h.want(t, http.StatusOK, http.MethodPut, self, `{"name":"Store","allowedOrigins":["`+shop+`"]}`)
	golden(t, "deployment-replaced", h.want(t, http.StatusOK, http.MethodGet, self, "")) // nothing of it was kept
	// Rules that come from elsewhere are told, and nobody's to set or to take away.
	id := cobrowse.DeploymentID(self[strings.LastIndexByte(self, '/')+1:])
	if _, err := h.sessions.SetPageRules(t.Context(), org, id, []cobrowse.PageRule{{URLPattern: ".*", MaskSelectors: []string{".file"}}}); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"name":"Store","allowedOrigins":["` + shop + `"]}`, `{"name":"Store","allowedOrigins":["` + shop + `"],"restrictions":[]}`} {
		var d struct {
			PageRules    []any
			Restrictions []struct{ MaskSelectors []string }
		}
		h.want(t, http.StatusOK, http.MethodPut, self, body).into(t, &d)
		if len(d.PageRules) != 0 || len(d.Restrictions) != 1 || !slices.Equal(d.Restrictions[0].MaskSelectors, []string{".file"}) {
			t.Errorf("after %s the deployment has %+v, want the restriction", body, d)
		}
	}
	if got := h.want(t, http.StatusOK, http.MethodGet, self+"/settings", "").body; !strings.Contains(got, `"pageRules":[{"urlPattern":".*","maskSelectors":[".file"]`) {
		t.Errorf("the script is told %s, want the restriction", got)
	}
	a := h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPut, self, `{"name":"Store","allowedOrigins":["`+shop+`"],"startUrl":"https://elsewhere.example/"}`)
	if got := a.envelope(t).Details; len(got) != 1 || got[0].FieldName != "startUrl" {
		t.Errorf("details are %+v, want startUrl", got)
	}
	a = h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPut, self, `{"name":"Store","allowedOrigins":["https://*.shop.example"]}`)
	if got := a.envelope(t).Details; len(got) != 1 || got[0].FieldName != "allowedOrigins[0]" || got[0].ErrorCode != "format" {
		t.Errorf("details are %+v, want a wildcard", got)
	}
	other := "Authorization: Bearer " + h.grant(t, "other-client")
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, self, "", other)
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodDelete, self, "", other)
	h.want(t, http.StatusNoContent, http.MethodDelete, self, "")
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodDelete, self, "")
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodPut, self, `{"name":"Store","allowedOrigins":["`+shop+`"]}`)
	h.refused(t, http.StatusBadRequest, cobridge.CodeInvalidQueryParam, http.MethodGet, deploymentsURL+"?pageNumber=0", "")
}

func TestStartFromCustomersPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.deployment(t, `"`+shop+`"`)
	path := deploymentsURL + "/" + id + "/sessions"
	started := h.want(t, http.StatusCreated, http.MethodPost, path, `{"customerName":"Kim"}`, "Authorization:", "Origin: "+shop)
	golden(t, "started", started)
	if got := started.header.Get("Access-Control-Allow-Origin"); got != shop || started.header.Get("Vary") != "Origin" {
		t.Errorf("Access-Control-Allow-Origin %q, Vary %q", got, started.header.Get("Vary"))
	}
	var s struct {
		ID           string `json:"id"`
		SessionToken string `json:"sessionToken"`
	}
	started.into(t, &s)

	digits := s.SessionToken[:3] + " " + s.SessionToken[3:6] + "-" + s.SessionToken[6:]
	attach := func(conversation string) string {
		return `{"sessionToken":"` + digits + `","conversationId":"` + conversation + `","participant":{"userId":"` + string(ann) + `","role":"agent"}}`
	}
	h.refused(t, http.StatusNotFound, cobridge.CodeConversationNotFound, http.MethodPost, sessionsURL+"/attach", attach("nothing"))
	busy := h.create(t, talk2)
	conflict := h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, sessionsURL+"/attach", attach(string(talk2)))
	if got := conflict.header.Get("Location"); got != sessionsURL+"/"+busy.ID || !strings.Contains(conflict.body, `"sessionId":"`+busy.ID+`"`) {
		t.Errorf("409 has Location %q and %s, want %s", got, conflict.body, busy.ID)
	}
	attached := h.want(t, http.StatusCreated, http.MethodPost, sessionsURL+"/attach", attach(string(talk)))
	golden(t, "attached", attached)
	if got := strings.Count(attached.body, "joinUrl"); got != 1 {
		t.Errorf("attach shows %d join URLs, want that of the agent alone", got)
	}
	h.want(t, http.StatusNoContent, http.MethodDelete, sessionsURL+"/"+busy.ID, "")
	taken := h.refused(t, http.StatusConflict, cobridge.CodeConflict, http.MethodPost, sessionsURL+"/attach", attach(string(talk2)))
	if got := taken.envelope(t).Details; len(got) == 0 || got[0].ErrorCode != "cobrowse.session.attached" {
		t.Errorf("details are %+v", got)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(d *api.Deps) {
		d.Limits.Starts = limit.New(limit.Config{PerMinute: 1, Clock: func() time.Time { return t0 }})
	})
	path := deploymentsURL + "/" + h.deployment(t, `"`+shop+`"`) + "/sessions"
	for _, tt := range []struct {
		name, path, origin string
		allowed            bool
		status             int
		code               cobridge.Code
	}{
		{"allowed", path, shop, true, http.StatusCreated, ""},
		{"a page may read that it is too fast", path, shop, true, http.StatusTooManyRequests, cobridge.CodeTooManyRequests},
	} {
		preflight := h.want(t, http.StatusNoContent, http.MethodOptions, tt.path, "", "Authorization:", "Content-Type:", "Origin: "+tt.origin, "Access-Control-Request-Method: POST")
		post := h.want(t, tt.status, http.MethodPost, tt.path, "", "Authorization:", "Origin: "+tt.origin)
		for _, a := range []answer{preflight, post} {
			if got := a.header.Get("Access-Control-Allow-Origin"); got != tt.origin {
				t.Errorf("%s: Access-Control-Allow-Origin = %q, want %q", tt.name, got, tt.origin)
			}
		}
		if preflight.header.Get("Access-Control-Allow-Methods") != "POST" {
			t.Errorf("%s: the preflight allows %q", tt.name, preflight.header.Get("Access-Control-Allow-Methods"))
		}
	}
	free := newHouse(t)
	path = deploymentsURL + "/" + free.deployment(t, `"`+shop+`"`) + "/sessions"
	for _, tt := range []struct {
		path, origin string
		status       int
	}{
		{path, "https://other.example", http.StatusForbidden},
		{path, "null", http.StatusForbidden},
		{path, "", http.StatusForbidden},
		{deploymentsURL + "/nothing/sessions", shop, http.StatusNotFound},
	} {
		preflight := free.want(t, http.StatusNoContent, http.MethodOptions, tt.path, "", "Authorization:", "Content-Type:", "Origin: "+tt.origin)
		post := free.want(t, tt.status, http.MethodPost, tt.path, `{}`, "Authorization:", "Origin: "+tt.origin)
		for _, a := range []answer{preflight, post} {
			for name := range a.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s for origin %q has %s", tt.path, tt.origin, name)
				}
			}
		}
	}
	a := free.want(t, http.StatusOK, http.MethodGet, sessionsURL, "", "Origin: "+shop)
	if got := a.header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("a call with an access token allows the origin %q", got)
	}
}
