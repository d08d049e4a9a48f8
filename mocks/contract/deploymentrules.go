package contract

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// ruleMembers are the members of a deployment that have a default, and what it is.
func ruleMembers() body {
	none := []any{}
	return body{
		"textMode": "visible", "maskSelectors": none, "showSelectors": none, "blockSelectors": none, "neverShowSelectors": none, "readonlySelectors": none,
		"pauseCriteria": none, "allowAgentControl": false, "allowAgentNavigation": false, "allowAgentSubmit": false, "allowDraw": false,
		"controlMode": "full", "controlSelectors": none, "assetOrigins": none, "pageRules": none,
	}
}

// someRules are others than the defaults for all of them.
func someRules() body {
	return body{
		"textMode": "private", "maskSelectors": []any{".a"}, "showSelectors": []any{"#b", "input[name=\"c\"]"}, "blockSelectors": []any{".d"},
		"neverShowSelectors": []any{"#e"}, "readonlySelectors": []any{".f"}, "pauseCriteria": []any{body{"urlFragment": "/pay", "condition": "StartsWith"}},
		"allowAgentControl": true, "allowAgentNavigation": true, "allowAgentSubmit": true, "allowDraw": true,
		"controlMode": "fieldsOnly", "controlSelectors": []any{"[role=tab]"}, "assetOrigins": []any{"https://cdn.example", "http://127.0.0.1:8082"},
		"pageRules": []any{
			body{"urlPattern": `https://shop\.example/pay(\?.*)?`, "maskSelectors": []any{".g"}, "readonlySelectors": []any{"[type=submit]"}},
			body{"urlPattern": ".*", "maskSelectors": []any{}, "readonlySelectors": []any{".h"}},
		},
	}
}

// same reports whether two things are the same JSON.
func same(a, b any) bool {
	return reflect.DeepEqual(plainJSON(a), plainJSON(b))
}

func plainJSON(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	return plain
}

// hasMembers reports every wanted member that an object has not, or has otherwise.
func hasMembers(t T, what string, got map[string]any, want body) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !same(got[name], want[name]) {
			t.Errorf("%s: %s is %v, want %v", what, name, got[name], want[name])
		}
	}
}

func deploymentRules(t T, sc *scene) {
	id := sc.deployment(t).ID
	path := deploymentsPath + "/" + id
	defaults := ruleMembers()
	defaults["consentTexts"], defaults["defaultFor"] = body{}, []any{}
	hasMembers(t, "of a new one", sc.want(t, http.StatusOK, sc.get(t, path)).object(t), defaults)

	all := someRules()
	all["name"], all["allowedOrigins"], all["startUrl"] = "Shop", []any{shop}, shop+"/help"
	all["consentVersion"], all["consentTexts"] = "2026-03", body{"en": "May we see this page?", "pt-BR": "Podemos ver?"}
	put := func(in body) call { return call{method: http.MethodPut, path: path, token: sc.token(t), body: in} }
	hasMembers(t, "of the answer to PUT", sc.want(t, http.StatusOK, put(all)).object(t), all)
	hasMembers(t, "after PUT", sc.want(t, http.StatusOK, sc.get(t, path)).object(t), all)

	sc.want(t, http.StatusOK, put(body{"name": "Shop", "allowedOrigins": []any{shop}}))
	got := sc.want(t, http.StatusOK, sc.get(t, path)).object(t)
	hasMembers(t, "after a PUT without rules", got, defaults)
	if got["consentVersion"] != nil || got["startUrl"] != nil {
		t.Errorf("after a PUT without them there are consentVersion %v and startUrl %v", got["consentVersion"], got["startUrl"])
	}
}

func deploymentOfSession(t T, sc *scene) {
	conv := sc.conversation(t, "message").ID
	create := func(t T, in body) sessionBody {
		t.Helper()
		var b sessionBody
		sc.want(t, http.StatusCreated, sc.post(t, sessionsPath, in)).into(t, &b)
		if got := sc.read(t, b.ID); got.DeploymentID != b.DeploymentID {
			t.Errorf("the session was created on %q and reads as on %q", b.DeploymentID, got.DeploymentID)
		}
		sc.want(t, http.StatusNoContent, sc.deleteOf(t, sessionPath(b.ID)))
		var record recordBody
		sc.want(t, http.StatusOK, sc.get(t, historyPath+"/"+b.ID)).into(t, &record)
		if record.DeploymentID != b.DeploymentID {
			t.Errorf("the record is on %q, want %q", record.DeploymentID, b.DeploymentID)
		}
		return b
	}
	named := sc.createBody(conv)
	named["deploymentId"] = sc.deployment(t).ID
	if got := create(t, named).DeploymentID; got != named["deploymentId"] {
		t.Errorf("the session is on %q, want the named %s", got, named["deploymentId"])
	}
	// Deployments come by name, so this one is before those that the target has.
	var first deploymentBody
	sc.want(t, http.StatusCreated, sc.post(t, deploymentsPath, body{"name": "!", "allowedOrigins": []any{shop}, "defaultFor": []any{"agent"}})).into(t, &first)
	remove := sc.deleteOf(t, deploymentsPath+"/"+first.ID)
	sc.later(func(t T) {
		t.Helper()
		sc.do(t, remove)
	})
	if got := create(t, sc.createBody(conv)).DeploymentID; got != first.ID {
		t.Errorf("a session in which the agent shares is on %q, want the default %s", got, first.ID)
	}
	if got := create(t, named).DeploymentID; got != named["deploymentId"] {
		t.Errorf("beside a default the session is on %q, want the named %s", got, named["deploymentId"])
	}
	customer := sc.createBody(conv)
	customer["participants"] = append([]any{body{"role": "customer"}}, sc.pair()...)
	if got := create(t, customer).DeploymentID; got == first.ID {
		t.Errorf("a session in which the customer shares is on the agents' default")
	}
	sc.want(t, http.StatusNoContent, remove)
	if got := create(t, sc.createBody(conv)).DeploymentID; got == first.ID {
		t.Errorf("a session is on a deployment that was deleted")
	}
	for _, id := range []string{unknownID(83), "no-uuid", first.ID} {
		in := sc.createBody(conv)
		in["deploymentId"] = id
		if got := sc.badRequest(t, sc.post(t, sessionsPath, in)).fields(); !slices.Equal(got, []string{"deploymentId"}) {
			t.Errorf("for deployment %q the details name %q, want deploymentId", id, got)
		}
	}
	sc.noLiveSession(t, conv)
}

// noLiveSession checks that nothing lives on the conversation.
func (sc *scene) noLiveSession(t T, conversation string) {
	t.Helper()
	if p := sc.list(t, "conversationId="+conversation); len(p.Entities) != 0 {
		t.Errorf("the conversation has %d live sessions, want none", len(p.Entities))
	}
}

func settings(deployment, lang, origin string) call {
	c := call{path: deploymentsPath + "/" + deployment + "/settings"}
	if lang != "" {
		c.path += "?lang=" + url.QueryEscape(lang)
	}
	if origin != "" {
		c.header = http.Header{"Origin": {origin}}
	}
	return c
}

// settingsBody is what the script on a page works by.
type settingsBody struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Rules   map[string]any `json:"rules"`
	Consent struct {
		Version string `json:"version"`
		Sharing string `json:"sharing"`
	} `json:"consent"`
	Language string            `json:"language"`
	Texts    map[string]string `json:"texts"`
}

func scriptSettings(t T, sc *scene) {
	d := sc.deployment(t)
	a := sc.want(t, http.StatusOK, settings(d.ID, "", shop))
	for name, want := range map[string]string{"Access-Control-Allow-Origin": shop, "Vary": "Origin", "Cache-Control": "private, max-age=60"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var builtIn, got settingsBody
	a.into(t, &builtIn)
	if builtIn.ID != d.ID || builtIn.Name != d.Name || builtIn.Language != "en" || builtIn.Consent.Version == "" || builtIn.Consent.Sharing == "" || len(builtIn.Texts) == 0 {
		t.Errorf("the settings of %s are %+v", d.ID, builtIn)
	}
	hasMembers(t, "rules of a new one", builtIn.Rules, ruleMembers())

	all := someRules()
	all["name"], all["allowedOrigins"] = "Shop", []any{shop}
	all["consentVersion"], all["consentTexts"] = "2026-03", body{"de": "Dürfen wir mitschauen?"}
	sc.want(t, http.StatusOK, call{method: http.MethodPut, path: deploymentsPath + "/" + d.ID, token: sc.token(t), body: all})
	sc.want(t, http.StatusOK, settings(d.ID, "de-AT", shop)).into(t, &got)
	rules := someRules()
	rules["allowedOrigins"] = []any{shop}
	hasMembers(t, "rules", got.Rules, rules)
	if got.Language != "de" || got.Consent.Version != "2026-03" || got.Consent.Sharing != "Dürfen wir mitschauen?" {
		t.Errorf("in German the customer is asked %+v in %q, want the deployment's own text", got.Consent, got.Language)
	}
	// In a language for which the deployment has no text it is the built-in one, under its own version.
	for _, lang := range []string{"", "en", "xx"} {
		sc.want(t, http.StatusOK, settings(d.ID, lang, shop)).into(t, &got)
		if got.Consent != builtIn.Consent || got.Language != "en" {
			t.Errorf("with lang=%s the customer is asked %+v in %q, want the built-in text", lang, got.Consent, got.Language)
		}
	}
	// Pages on the service's own origin send no Origin with a GET.
	if a := sc.want(t, http.StatusOK, settings(d.ID, "", "")); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without an Origin the answer allows %q", a.header.Get("Access-Control-Allow-Origin"))
	}
}

func settingsForeignOrigin(t T, sc *scene) {
	d := sc.deployment(t)
	for _, origin := range []string{"null", "https://shop.example.evil.example", "http://shop.example", shop + ":444", shop + "/", "https://SHOP.example"} {
		a := sc.do(t, settings(d.ID, "", origin))
		var e envelope
		a.into(t, &e)
		if a.status != http.StatusForbidden || e.Code != "not.authorized" {
			t.Errorf("%v for origin %q, want 403 not.authorized", a, origin)
		}
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("for origin %q the answer has %s", origin, name)
			}
		}
	}
	for _, id := range []string{unknownID(84), "no-uuid"} {
		sc.refused(t, http.StatusNotFound, "not.found", settings(id, "", shop))
	}
}
