package contract

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	webConfigurationsPath = "/api/v2/webdeployments/configurations"
	scopeWebDeployments   = "webdeployments:readonly"
)

// webDeployment is an official WebDeployment.
type webDeployment struct {
	ID             string   `json:"id"`
	Name           string   `json:"name"`
	AllowedDomains []string `json:"allowedDomains"`
	DateCreated    string   `json:"dateCreated"`
	Status         string   `json:"status"`
	Configuration  struct {
		ID      string `json:"id"`
		Version string `json:"version"`
		SelfURI string `json:"selfUri"`
	} `json:"configuration"`
	SelfURI string `json:"selfUri"`
}

// webConfiguration is an official WebDeploymentConfigurationVersion.
type webConfiguration struct {
	ID       string `json:"id"`
	Version  string `json:"version"`
	SelfURI  string `json:"selfUri"`
	Cobrowse struct {
		Enabled              bool     `json:"enabled"`
		AllowAgentControl    bool     `json:"allowAgentControl"`
		AllowAgentNavigation bool     `json:"allowAgentNavigation"`
		AllowDraw            bool     `json:"allowDraw"`
		Channels             []string `json:"channels"`
		MaskSelectors        []string `json:"maskSelectors"`
		ReadonlySelectors    []string `json:"readonlySelectors"`
		PauseCriteria        []struct {
			URLFragment string `json:"urlFragment"`
			Condition   string `json:"condition"`
		} `json:"pauseCriteria"`
	} `json:"cobrowse"`
}

// webReader returns an access token that may read the official side of deployments.
// It skips the case if the client may not.
func (sc *scene) webReader(t T, cr Credentials) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {cr.ClientID}, "client_secret": {cr.ClientSecret}, "scope": {scopeWebDeployments}}
	if a := sc.do(t, call{method: http.MethodPost, path: "/oauth/token", form: form}); a.status == http.StatusBadRequest {
		t.Skipf("the target's client has no scope %s", scopeWebDeployments)
	}
	token, _ := sc.fresh(t, cr, scopeWebDeployments)
	return token
}

func officialSettings(t T, sc *scene) {
	token := sc.webReader(t, sc.target.Credentials)
	d := sc.deployment(t)
	own := body{
		"name": "Shop", "allowedOrigins": []any{shop, "http://localhost:8081"}, "maskSelectors": []any{".card"}, "readonlySelectors": []any{"#pay"},
		"pauseCriteria": []any{body{"urlFragment": "/pay", "condition": "EndsWith"}}, "allowAgentControl": true, "allowDraw": true,
	}
	sc.want(t, http.StatusOK, call{method: http.MethodPut, path: deploymentsPath + "/" + d.ID, token: sc.token(t), body: own})

	get := func(path string) call { return call{path: path, token: token} }
	var site webDeployment
	sc.want(t, http.StatusOK, get(webDeploymentsPath+"/"+d.ID)).into(t, &site)
	if site.ID != d.ID || site.Name != "Shop" || site.Status != "Active" || !slices.Equal(site.AllowedDomains, []string{"shop.example", "localhost:8081"}) || site.SelfURI != webDeploymentsPath+"/"+d.ID {
		t.Errorf("the deployment is %+v", site)
	}
	date(t, "dateCreated", site.DateCreated)
	listed := false
	for path := webDeploymentsPath + "?pageSize=100"; path != "" && !listed; {
		var list struct {
			Entities []webDeployment `json:"entities"`
			NextURI  string          `json:"nextUri"`
		}
		sc.want(t, http.StatusOK, get(path)).into(t, &list)
		listed = slices.ContainsFunc(list.Entities, func(e webDeployment) bool { return e.ID == d.ID && e.Configuration == site.Configuration })
		path = list.NextURI
	}
	if !listed {
		t.Errorf("the deployment is not in the list")
	}

	var published webConfiguration
	sc.want(t, http.StatusOK, get(site.Configuration.SelfURI)).into(t, &published)
	if published.ID != site.Configuration.ID || published.Version != site.Configuration.Version || published.SelfURI != site.Configuration.SelfURI ||
		published.SelfURI != webConfigurationsPath+"/"+published.ID+"/versions/"+published.Version {
		t.Errorf("the configuration is %+v, want that of %+v", published, site)
	}
	s := published.Cobrowse
	if !s.Enabled || !s.AllowAgentControl || s.AllowAgentNavigation || !s.AllowDraw || !slices.Equal(s.Channels, []string{"Webmessaging", "Voice"}) || !slices.Equal(s.MaskSelectors, []string{".card"}) ||
		!slices.Equal(s.ReadonlySelectors, []string{"#pay"}) || len(s.PauseCriteria) != 1 || s.PauseCriteria[0].URLFragment != "/pay" || s.PauseCriteria[0].Condition != "EndsWith" {
		t.Errorf("the settings are %+v, want those of %v", s, own)
	}

	// Other settings are another version, and the one before is gone.
	own["allowDraw"] = false
	sc.want(t, http.StatusOK, call{method: http.MethodPut, path: deploymentsPath + "/" + d.ID, token: sc.token(t), body: own})
	sc.refused(t, http.StatusNotFound, "not.found", get(published.SelfURI))
	sc.want(t, http.StatusOK, get(site.SelfURI)).into(t, &site)
	sc.want(t, http.StatusOK, get(site.Configuration.SelfURI)).into(t, &published)
	if published.Cobrowse.AllowDraw {
		t.Errorf("the new version has the old settings")
	}

	for _, path := range []string{
		webDeploymentsPath + "/" + unknownID(109), webDeploymentsPath + "/%00", webConfigurationsPath + "/" + unknownID(109) + "/versions/" + published.Version,
		webConfigurationsPath + "/" + d.ID + "/versions/0", webConfigurationsPath + "/" + d.ID + "/versions/draft",
	} {
		sc.refused(t, http.StatusNotFound, "not.found", get(path))
	}
	sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", get(webDeploymentsPath+"?after="+unknownID(109)))
	for _, path := range []string{webDeploymentsPath, site.SelfURI, published.SelfURI} {
		sc.refused(t, http.StatusUnauthorized, "authentication.required", call{path: path})
		e := sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", call{path: path, token: sc.scoped(t, scopeSessionRead)})
		if !strings.Contains(e.Message, scopeWebDeployments) {
			t.Errorf("the message %q does not name the missing scope", e.Message)
		}
	}
}

func officialSettingsApart(t T, sc *scene) {
	sc.needOther(t)
	mine, other := sc.webReader(t, sc.target.Credentials), sc.webReader(t, sc.target.Other)
	d := sc.deployment(t)
	var site webDeployment
	sc.want(t, http.StatusOK, call{path: webDeploymentsPath + "/" + d.ID, token: mine}).into(t, &site)
	for _, path := range []string{site.SelfURI, site.Configuration.SelfURI} {
		sc.refused(t, http.StatusNotFound, "not.found", call{path: path, token: other})
	}
	sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", call{path: webDeploymentsPath + "?after=" + d.ID, token: other})
	if a := sc.want(t, http.StatusOK, call{path: webDeploymentsPath + "?pageSize=100", token: other}); strings.Contains(string(a.body), d.ID) {
		t.Errorf("the list of one organisation has a deployment of another")
	}
}
