package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cobridge/cobridge"
)

const (
	webDeploymentsURL    = "/api/v2/webdeployments/deployments"
	webConfigurationsURL = "/api/v2/webdeployments/configurations"
)

// webSite is the part of a web deployment that tests look at.
type webSite struct {
	ID            string `json:"id"`
	Configuration struct {
		Version string `json:"version"`
		SelfURI string `json:"selfUri"`
	} `json:"configuration"`
	SelfURI string `json:"selfUri"`
}

func TestWebDeployment(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var d deploymentAnswer
	h.want(t, http.StatusCreated, http.MethodPost, deploymentsURL, `{"name":"Shop","allowedOrigins":["`+shop+`","http://localhost:8081"],"maskSelectors":[".card"],
		"readonlySelectors":["#pay"],"pauseCriteria":[{"urlFragment":"/pay","condition":"Includes"}],"allowAgentControl":true,"textMode":"private"}`).into(t, &d)
	a := h.want(t, http.StatusOK, http.MethodGet, webDeploymentsURL+"/"+d.ID, "")
	golden(t, "web-deployment", a)
	var site webSite
	a.into(t, &site)
	published := h.want(t, http.StatusOK, http.MethodGet, site.Configuration.SelfURI, "")
	golden(t, "web-configuration", published)
	if again := h.want(t, http.StatusOK, http.MethodGet, site.Configuration.SelfURI, ""); again.body != published.body {
		t.Errorf("the version reads as %s, then as %s", published.body, again.body)
	}
	// What the official words leave out is no new version; the rest is.
	var later webSite
	h.want(t, http.StatusOK, http.MethodPut, deploymentsURL+"/"+d.ID, `{"name":"Store","allowedOrigins":["`+shop+`"],"maskSelectors":[".card"],
		"readonlySelectors":["#pay"],"pauseCriteria":[{"urlFragment":"/pay","condition":"Includes"}],"allowAgentControl":true}`)
	h.want(t, http.StatusOK, http.MethodGet, site.SelfURI, "").into(t, &later)
	if later.Configuration.Version != site.Configuration.Version {
		t.Errorf("another name made version %s of %s", later.Configuration.Version, site.Configuration.Version)
	}
	h.want(t, http.StatusOK, http.MethodPut, deploymentsURL+"/"+d.ID, `{"name":"Store","allowedOrigins":["`+shop+`"],"maskSelectors":[".card"]}`)
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, site.Configuration.SelfURI, "")
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, webConfigurationsURL+"/"+string(ann)+"/versions/"+site.Configuration.Version, "")
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, webDeploymentsURL+"/"+string(ann), "")
}

// Pages follow one another in both directions, and each finds its own address.
func TestWebDeploymentPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	type list struct {
		Entities    []webSite `json:"entities"`
		SelfURI     string    `json:"selfUri"`
		NextURI     string    `json:"nextUri"`
		PreviousURI string    `json:"previousUri"`
		Total       int       `json:"total"`
	}
	idsOf := func(l list) string {
		ids := make([]string, len(l.Entities))
		for i, e := range l.Entities {
			ids[i] = e.ID
		}
		return strings.Join(ids, " ")
	}
	read := func(uri string) (l list, ids string) {
		h.want(t, http.StatusOK, http.MethodGet, uri, "").into(t, &l)
		return l, idsOf(l)
	}
	if l, ids := read(webDeploymentsURL + "?expand=&pageNumber=7"); ids != "" || l.Total != 0 || l.NextURI != "" || l.PreviousURI != "" {
		t.Errorf("of no deployments there is %+v", l)
	}
	for range 5 {
		h.deployment(t, `"`+shop+`"`)
	}
	all, _ := read(webDeploymentsURL)
	if len(all.Entities) != 5 || all.Total != 5 || all.NextURI != "" || all.PreviousURI != "" {
		t.Fatalf("the list is %+v, want all five on one page", all)
	}
	var forth, back []string
	var last list
	for uri := webDeploymentsURL + "?pageSize=2"; uri != ""; uri = last.NextURI {
		var ids string
		last, ids = read(uri)
		forth = append(forth, ids)
		if _, same := read(last.SelfURI); same != ids {
			t.Errorf("%s is the address of %q, want %q", last.SelfURI, same, ids)
		}
	}
	for uri := last.SelfURI; uri != ""; uri = last.PreviousURI {
		var ids string
		last, ids = read(uri)
		back = append(back, ids)
		if _, same := read(last.SelfURI); same != ids {
			t.Errorf("%s is the address of %q, want %q", last.SelfURI, same, ids)
		}
	}
	slices.Reverse(back)
	if len(forth) != 3 || strings.Join(forth, " ") != idsOf(all) || !slices.Equal(forth, back) {
		t.Errorf("forth %q, back %q; want three pages of %q", forth, back, idsOf(all))
	}
	end, _ := read(webDeploymentsURL + "?after=" + all.Entities[4].ID)
	if len(end.Entities) != 0 || end.NextURI != "" || end.PreviousURI != "" {
		t.Errorf("after the last there is %+v", end)
	}
	for _, query := range []string{"after=x", "before=x", "pageSize=0", "pageSize=101"} {
		h.refused(t, http.StatusBadRequest, cobridge.CodeInvalidQueryParam, http.MethodGet, webDeploymentsURL+"?"+query, "")
	}
}
