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

type settingsAnswer struct {
	Language string `json:"language"`
	Consent  struct {
		Version string `json:"version"`
		Sharing string `json:"sharing"`
	} `json:"consent"`
	Texts map[string]string `json:"texts"`
}

func settingsPath(id string) string { return deploymentsURL + "/" + id + "/settings" }

func TestScriptSettings(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.deployment(t, `"`+shop+`","https://help.example"`)
	a := h.want(t, http.StatusOK, http.MethodGet, settingsPath(id), "", "Authorization:", "Origin: "+shop)
	golden(t, "script-settings", a)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": shop, "Vary": "Origin", "Cache-Control": "private, max-age=60", "Access-Control-Allow-Credentials": "",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	// A page on the service's own origin sends no Origin with a GET.
	if a := h.want(t, http.StatusOK, http.MethodGet, settingsPath(id), "", "Authorization:"); a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Vary") != "Origin" {
		t.Errorf("without an Origin the answer has %v", a.header)
	}
	for _, origin := range []string{"https://other.example", "null", shop + ":444", "http://shop.example", "https://SHOP.example"} {
		a := h.refused(t, http.StatusForbidden, cobridge.CodeNotAuthorized, http.MethodGet, settingsPath(id), "", "Authorization:", "Origin: "+origin)
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("for origin %q the answer has %s", origin, name)
			}
		}
	}
	for _, origin := range []string{"Origin:", "Origin: " + shop} {
		h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, settingsPath("nothing"), "", "Authorization:", origin)
	}
}

// The words of the controls, and of what is agreed to, with the version that is recorded.
func TestScriptSettingsLanguages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	own := `{"name":"Shop","allowedOrigins":["` + shop + `"],"consentVersion":"own-3","consentTexts":`
	for _, tt := range []struct {
		texts, lang             string
		language, version, text string
	}{
		{`{}`, "", "en", "en-1", "Show this page?"},
		{`{}`, "de", "de", "de-1", "Diese Seite zeigen?"},
		{`{}`, "DE-ch", "de", "de-1", "Diese Seite zeigen?"},
		{`{}`, "de-CH-1996", "de", "de-1", "Diese Seite zeigen?"},
		{`{}`, "fr", "en", "en-1", "Show this page?"},
		{`{}`, "-", "en", "en-1", "Show this page?"},
		{`{}`, "../../etc", "en", "en-1", "Show this page?"},
		{`{}`, "de-" + strings.Repeat("x", 100), "en", "en-1", "Show this page?"},
		{`{"en":"Ours"}`, "en", "en", "own-3", "Ours"},
		{`{"en":"Ours"}`, "fr", "en", "own-3", "Ours"},
		{`{"en":"Ours"}`, "de", "de", "de-1", "Diese Seite zeigen?"},
		{`{"de":"Unser","de-CH":"Uese"}`, "de-CH", "de", "own-3", "Uese"},
		{`{"de":"Unser","de-CH":"Uese"}`, "de-ch", "de", "own-3", "Uese"},
		{`{"de":"Unser","de-CH":"Uese"}`, "de-AT", "de", "own-3", "Unser"},
		{`{"de":"Unser","de-CH":"Uese"}`, "en", "en", "en-1", "Show this page?"},
		{`{"fr":"Le notre"}`, "fr-CA", "en", "own-3", "Le notre"},
	} {
		var d deploymentAnswer
		h.want(t, http.StatusCreated, http.MethodPost, deploymentsURL, own+tt.texts+`}`).into(t, &d)
		var got settingsAnswer
		h.want(t, http.StatusOK, http.MethodGet, settingsPath(d.ID)+"?lang="+tt.lang, "", "Authorization:", "Origin: "+shop).into(t, &got)
		if got.Language != tt.language || got.Consent.Version != tt.version || got.Consent.Sharing != tt.text || got.Texts["stop"] == "" {
			t.Errorf("texts %s, lang %q: %+v, want %s, %s, %q", tt.texts, tt.lang, got, tt.language, tt.version, tt.text)
		}
	}
}

func TestScriptSettingsLimit(t *testing.T) {
	t.Parallel()
	var id string
	h := newHouse(t, func(d *api.Deps) {
		d.Limits.Address = limit.New(limit.Config{PerMinute: 3, Clock: func() time.Time { return t0 }}) // the token, the deployment and one more
	})
	id = h.deployment(t, `"`+shop+`"`)
	h.want(t, http.StatusOK, http.MethodGet, settingsPath(id), "", "Authorization:", "Origin: "+shop)
	h.refused(t, http.StatusTooManyRequests, cobridge.CodeTooManyRequests, http.MethodGet, settingsPath(id), "", "Authorization:", "Origin: "+shop)
}

// A script without the words to ask for consent cannot ask, so it gets nothing.
func TestScriptSettingsWithoutTexts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(d *api.Deps) { d.SDKTexts = nil })
	h.refused(t, http.StatusInternalServerError, cobridge.CodeInternal, http.MethodGet, settingsPath(h.deployment(t, `"`+shop+`"`)), "", "Authorization:", "Origin: "+shop)
}

// What breaks the rules of the new members is named, field by field.
func TestDeploymentRules(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for in, want := range map[string]string{
		`"textMode":"hidden"`:                                      "textMode unknown",
		`"controlMode":""`:                                         "controlMode unknown",
		`"showSelectors":[""]`:                                     "showSelectors[0] required",
		`"blockSelectors":[" "]`:                                   "blockSelectors[0] size",
		`"neverShowSelectors":"#a"`:                                "neverShowSelectors type",
		`"controlSelectors":[1]`:                                   "controlSelectors[0] type",
		`"assetOrigins":["https://cdn.example/x"]`:                 "assetOrigins[0] format",
		`"assetOrigins":["https://cdn.example","data:"]`:           "assetOrigins[1] format",
		`"allowAgentSubmit":"yes"`:                                 "allowAgentSubmit type",
		`"consentTexts":{"de":"x"}`:                                "consentVersion required",
		`"consentVersion":"v1","consentTexts":{"de_DE":"x"}`:       "consentTexts language",
		`"consentVersion":"v1","consentTexts":{"de":""}`:           "consentTexts.de required",
		`"consentVersion":"v1","consentTexts":{"de":1}`:            "consentTexts.de type",
		`"consentVersion":"` + strings.Repeat("v", 65) + `"`:       "consentVersion too.long",
		`"defaultFor":["supervisor"]`:                              "defaultFor[0] unknown",
		`"defaultFor":["agent","agent"]`:                           "defaultFor duplicate",
		`"pauseCriteria":[{"urlFragment":"/","condition":"Near"}]`: "pauseCriteria[0].condition unknown",
	} {
		a := h.refused(t, http.StatusBadRequest, cobridge.CodeConstraintValidation, http.MethodPost, deploymentsURL, `{"name":"Shop","allowedOrigins":["`+shop+`"],`+in+`}`)
		details := a.envelope(t).Details
		if len(details) != 1 || details[0].FieldName+" "+details[0].ErrorCode != want {
			t.Errorf("%s: details are %+v, want %s", in, details, want)
		}
	}
	// Members in another case are unknown ones, also where they belong to a list of rules.
	var d struct {
		MaskSelectors []string `json:"maskSelectors"`
	}
	h.want(t, http.StatusCreated, http.MethodPost, deploymentsURL, `{"name":"Shop","allowedOrigins":["`+shop+`"],"MASKSELECTORS":[".x"]}`).into(t, &d)
	if len(d.MaskSelectors) != 0 {
		t.Errorf("a member in another case was read: %q", d.MaskSelectors)
	}
}
