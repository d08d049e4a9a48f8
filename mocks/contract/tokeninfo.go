package contract

import (
	"net/http"
)

func tokenInfoCases() []Case {
	return []Case{
		{"own token: GET tells the organisation and the client", tokenInfoAnswer},
		{"own token: HEAD tells by its status alone", tokenInfoHead},
		{"own token: DELETE ends the token", tokenInfoDelete},
		{"oauth the scopes that can be granted are listed", scopeList},
	}
}

type tokenInfo struct {
	Organization    named    `json:"organization"`
	AuthorizedScope []string `json:"authorizedScope"`
	OAuthClient     struct {
		named
		AuthorizedGrantType string   `json:"authorizedGrantType"`
		Scope               []string `json:"scope"`
		State               string   `json:"state"`
		Organization        named    `json:"organization"`
	} `json:"OAuthClient"`
}

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func tokenInfoAnswer(t T, sc *scene) {
	// The official Go client adds the parameter always.
	a := sc.want(t, http.StatusOK, sc.get(t, mePath+"?preserveIdleTTL=false"))
	var info tokenInfo
	a.into(t, &info)
	if info.Organization.ID == "" || info.OAuthClient.ID != sc.target.ClientID || info.OAuthClient.AuthorizedGrantType != "CLIENT-CREDENTIALS" || info.OAuthClient.State != "active" {
		t.Errorf("tokens/me is %+v, want the organisation and client %s, CLIENT-CREDENTIALS, active", info, sc.target.ClientID)
	}
	if len(info.AuthorizedScope) == 0 {
		t.Errorf("authorizedScope is empty")
	}
	if sc.target.Other.ClientID == "" {
		return
	}
	var other tokenInfo
	sc.want(t, http.StatusOK, call{path: mePath, token: sc.other(t)}).into(t, &other)
	if other.Organization.ID == info.Organization.ID {
		t.Errorf("the other client is of the same organisation %s", other.Organization.ID)
	}
}

func tokenInfoHead(t T, sc *scene) {
	for token, want := range map[string]int{sc.token(t): http.StatusOK, "": http.StatusUnauthorized, "abc": http.StatusUnauthorized} {
		if a := sc.want(t, want, call{method: http.MethodHead, path: mePath, token: token}); len(a.body) > 0 {
			t.Errorf("%v: HEAD has a body of %d bytes", a.call, len(a.body))
		}
	}
}

func tokenInfoDelete(t T, sc *scene) {
	token, _ := sc.fresh(t, sc.target.Credentials)
	spared, _ := sc.fresh(t, sc.target.Credentials)
	if a := sc.want(t, http.StatusOK, call{method: http.MethodDelete, path: mePath, token: token}); len(a.body) > 0 {
		t.Errorf("%v: DELETE has a body of %d bytes", a.call, len(a.body))
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		sc.refused(t, http.StatusUnauthorized, "bad.credentials", call{method: method, path: mePath, token: token})
	}
	sc.want(t, http.StatusOK, call{path: mePath, token: spared}) // the client's other tokens live on
}

func scopeList(t T, sc *scene) {
	var list struct {
		Total    *int `json:"total"`
		Entities []struct {
			ID string `json:"id"`
		} `json:"entities"`
	}
	sc.want(t, http.StatusOK, sc.get(t, "/api/v2/oauth/scopes")).into(t, &list)
	known := map[string]bool{}
	for _, e := range list.Entities {
		known[e.ID] = true
	}
	for _, scope := range Scopes() {
		if !known[scope] {
			t.Errorf("the list of scopes lacks %s", scope)
		}
	}
	if list.Total == nil || *list.Total != len(list.Entities) {
		t.Errorf("total and the number of entities differ")
	}
}
