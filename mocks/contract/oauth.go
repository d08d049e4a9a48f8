package contract

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// oauthError is an error of the token endpoint: RFC 6749, section 5.2, and the
// third member that Genesys Cloud adds (spec section 1.2).
type oauthError struct {
	Error            string `json:"error"`
	Description      string `json:"description"`
	ErrorDescription string `json:"error_description"`
}

func tokenCases() []Case {
	return []Case{
		{"T1 one base address has the token endpoint, the API and the join page", oneBase},
		{"T2 credentials in the form", formCredentials},
		{"T2 credentials in a Basic header", basicCredentials},
		{"T2 two different credentials are invalid_request", bothCredentials},
		{"T3 access_token and numeric expires_in, nothing to store", tokenAnswer},
		{"T4 one token serves many calls", tokenReuse},
		{"T4 a token is good until 30 s before its end and not after it", tokenEnd},
		{"T5 a wrong secret is 401 with a readable body", wrongSecret},
		{"T5 an unknown client is refused like a wrong secret", unknownClient},
		{"T5 other failures are 400 with a readable body", tokenFailures},
		{"T7 calls without a usable token are 401", withoutToken},
		{"T7 the scheme Bearer is read in any case", bearerCase},
		{"T7 the JSON content type is fine without a body", emptyBodies},
		{"oauth a revoked token is dead at once", revokedToken},
		{"oauth introspection knows live tokens of the own organisation only", introspection},
		{"oauth metadata and keys name this installation", metadata},
	}
}

// oauthPost is a POST of a form to one of the token endpoints.
func oauthPost(path string, form url.Values) call {
	return call{method: http.MethodPost, path: path, form: form}
}

func (s *suite) grantForm(more ...string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {s.target.ClientID}, "client_secret": {s.target.ClientSecret}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

func oneBase(t T, sc *scene) {
	token, _ := sc.fresh(t, sc.target.Credentials)
	sc.want(t, http.StatusOK, call{path: conversationsPath + "?state=active&limit=1", token: token})
	session := sc.session(t)
	issued := sc.issue(t, session.ID, sc.target.AgentUserID)
	sc.opens(t, issued.Token)
}

func formCredentials(t T, sc *scene) {
	sc.want(t, http.StatusOK, oauthPost("/oauth/token", sc.grantForm()))
}

func basicCredentials(t T, sc *scene) {
	// The 29 bytes that the official clients send.
	sc.want(t, http.StatusOK, call{method: http.MethodPost, path: "/oauth/token", body: "grant_type=client_credentials", header: http.Header{
		"Authorization": {basic(sc.target.Credentials)}, "Content-Type": {"application/x-www-form-urlencoded"},
	}})
}

func bothCredentials(t T, sc *scene) {
	c := oauthPost("/oauth/token", sc.grantForm("client_id", unknownID(1)))
	c.header = http.Header{"Authorization": {basic(sc.target.Credentials)}}
	sc.tokenRefused(t, c, http.StatusBadRequest, "invalid_request")
}

func (s *suite) tokenRefused(t T, c call, status int, code string) answer {
	t.Helper()
	a := s.want(t, status, c)
	var e oauthError
	a.into(t, &e)
	if e.Error != code || e.ErrorDescription == "" || e.Description != e.ErrorDescription {
		t.Errorf("%v, want error %q with description and error_description alike", a, code)
	}
	if got := a.header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("%v: Cache-Control is %q, want no-store", a, got)
	}
	return a
}

func tokenAnswer(t T, sc *scene) {
	a := sc.want(t, http.StatusOK, oauthPost("/oauth/token", sc.grantForm()))
	members := a.object(t)
	if s, ok := members["access_token"].(string); !ok || !urlSafe.MatchString(s) {
		t.Errorf("access_token is no string that fits into a header")
	}
	if n, ok := members["expires_in"].(float64); !ok || n < 300 || n > 172800 {
		t.Errorf("expires_in is %v, want a number from 300 to 172800", members["expires_in"])
	}
	if members["token_type"] != "bearer" {
		t.Errorf("token_type is %v, want bearer", members["token_type"])
	}
	if _, ok := members["refresh_token"]; ok {
		t.Errorf("there is a refresh_token; this grant has none")
	}
	if got := a.header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("Cache-Control is %q, want no-store", got)
	}
}

func tokenReuse(t T, sc *scene) {
	token, _ := sc.fresh(t, sc.target.Credentials)
	for range 3 {
		sc.want(t, http.StatusOK, call{path: conversationsPath + "?state=active&limit=1", token: token})
	}
}

func tokenEnd(t T, sc *scene) {
	sc.needAdvance(t)
	token, lifetime := sc.fresh(t, sc.target.Credentials)
	sc.advance(lifetime - 31*time.Second)
	sc.want(t, http.StatusOK, call{path: mePath, token: token})
	// Past the end and past the leeway that a verifier may allow for skewed clocks.
	sc.advance(31*time.Second + time.Minute)
	sc.refused(t, http.StatusUnauthorized, "bad.credentials", call{path: mePath, token: token})
}

func wrongSecret(t T, sc *scene) {
	sc.tokenRefused(t, oauthPost("/oauth/token", sc.grantForm("client_secret", "not-the-secret-of-this-client-at-all-00000")), http.StatusUnauthorized, "invalid_client")
	c := call{method: http.MethodPost, path: "/oauth/token", form: url.Values{"grant_type": {"client_credentials"}}, header: http.Header{
		"Authorization": {basic(Credentials{sc.target.ClientID, "not-the-secret-of-this-client-at-all-00000"})},
	}}
	a := sc.tokenRefused(t, c, http.StatusUnauthorized, "invalid_client")
	if got := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic ") {
		t.Errorf("WWW-Authenticate is %q, want a Basic challenge, since Basic was tried", got)
	}
}

func unknownClient(t T, sc *scene) {
	sc.tokenRefused(t, oauthPost("/oauth/token", sc.grantForm("client_id", unknownID(2))), http.StatusUnauthorized, "invalid_client")
}

func tokenFailures(t T, sc *scene) {
	for _, tt := range []struct {
		name string
		call call
		code string
	}{
		{"no grant_type", oauthPost("/oauth/token", without(sc.grantForm(), "grant_type")), "invalid_request"},
		{"another grant_type", oauthPost("/oauth/token", sc.grantForm("grant_type", "password")), "unsupported_grant_type"},
		{"grant_type twice", oauthPost("/oauth/token", twice(sc.grantForm(), "grant_type")), "invalid_request"},
		{"client_id twice", oauthPost("/oauth/token", twice(sc.grantForm(), "client_id")), "invalid_request"},
		{"unknown scope", oauthPost("/oauth/token", sc.grantForm("scope", "no:such:scope")), "invalid_scope"},
		{"a JSON body", call{method: http.MethodPost, path: "/oauth/token", body: body{"grant_type": "client_credentials"}}, "invalid_request"},
		{"an unreadable form", call{method: http.MethodPost, path: "/oauth/token", body: "grant_type=%zz", header: http.Header{
			"Content-Type": {"application/x-www-form-urlencoded"},
		}}, "invalid_request"},
		{"no body", call{method: http.MethodPost, path: "/oauth/token"}, "invalid_request"},
	} {
		t.Run(tt.name, func(t T) { sc.tokenRefused(t, tt.call, http.StatusBadRequest, tt.code) })
	}
}

func without(form url.Values, name string) url.Values {
	form.Del(name)
	return form
}

func twice(form url.Values, name string) url.Values {
	form.Add(name, form.Get(name))
	return form
}

func withoutToken(t T, sc *scene) {
	for _, r := range sc.routes() {
		c := call{method: r.method, path: r.path, body: r.body}
		if r.method == http.MethodHead {
			sc.want(t, http.StatusUnauthorized, c)
			continue
		}
		sc.refused(t, http.StatusUnauthorized, "authentication.required", c)
	}
	live, _ := sc.fresh(t, sc.target.Credentials)
	forged := live[:len(live)-8] + strings.Map(func(r rune) rune {
		if r == 'A' {
			return 'B'
		}
		return 'A'
	}, live[len(live)-8:])
	for _, tt := range []struct{ name, header, code string }{
		{"empty", "", "authentication.required"},
		{"scheme alone", "Bearer", "authentication.required"},
		{"scheme and a space", "Bearer ", "authentication.required"},
		{"another scheme", basic(sc.target.Credentials), "authentication.required"},
		{"no token of ours", "Bearer abc", "bad.credentials"},
		{"forged signature", "Bearer " + forged, "bad.credentials"},
		{"no signature", "Bearer eyJhbGciOiJub25lIn0." + strings.Split(live+"..", ".")[1] + ".", "bad.credentials"},
		{"two tokens", "Bearer " + live + " " + live, ""},
	} {
		t.Run(tt.name, func(t T) {
			a := sc.want(t, http.StatusUnauthorized, call{path: mePath, header: http.Header{"Authorization": {tt.header}}})
			var e envelope
			a.into(t, &e)
			if tt.code != "" && e.Code != tt.code {
				t.Errorf("%v, want code %s", a, tt.code)
			}
		})
	}
	t.Run("a join token", func(t T) {
		issued := sc.issue(t, sc.session(t).ID, sc.target.AgentUserID)
		sc.refused(t, http.StatusUnauthorized, "bad.credentials", call{path: mePath, token: issued.Token})
	})
}

func bearerCase(t T, sc *scene) {
	for _, scheme := range []string{"bearer", "BEARER", "Bearer"} {
		sc.want(t, http.StatusOK, call{path: mePath, header: http.Header{"Authorization": {scheme + " " + sc.token(t)}}})
	}
}

func emptyBodies(t T, sc *scene) {
	session := sc.session(t)
	for _, header := range []http.Header{{"Content-Type": {"application/json"}}, {"Content-Type": {"application/json; charset=utf-8"}}, {"Content-Type": nil}} {
		sc.want(t, http.StatusOK, call{path: conversationsPath + "?state=active&limit=5", token: sc.token(t), header: header})
		sc.want(t, http.StatusOK, call{method: http.MethodPost, path: tokensPath(session.ID, sc.target.AgentUserID), token: sc.token(t), header: header})
	}
}

func revokedToken(t T, sc *scene) {
	token, _ := sc.fresh(t, sc.target.Credentials)
	sc.want(t, http.StatusOK, call{path: mePath, token: token})
	revoke := sc.grantForm("token", token)
	revoke.Del("grant_type")
	sc.want(t, http.StatusOK, oauthPost("/oauth/revoke", revoke))
	sc.refused(t, http.StatusUnauthorized, "bad.credentials", call{path: mePath, token: token})
	sc.want(t, http.StatusOK, oauthPost("/oauth/revoke", revoke)) // RFC 7009, section 2.2: a dead token is no error
	revoke.Set("token", "not-a-token")
	sc.want(t, http.StatusOK, oauthPost("/oauth/revoke", revoke))
	sc.tokenRefused(t, oauthPost("/oauth/revoke", without(revoke, "token")), http.StatusBadRequest, "invalid_request")
	revoke = sc.grantForm("token", "not-a-token", "client_secret", "not-the-secret-of-this-client-at-all-00000")
	sc.tokenRefused(t, oauthPost("/oauth/revoke", without(revoke, "grant_type")), http.StatusUnauthorized, "invalid_client")
}

func introspection(t T, sc *scene) {
	active := func(t T, cr Credentials, token string) bool {
		t.Helper()
		a := sc.want(t, http.StatusOK, oauthPost("/oauth/introspect", url.Values{"client_id": {cr.ClientID}, "client_secret": {cr.ClientSecret}, "token": {token}}))
		var b struct {
			Active *bool `json:"active"`
		}
		a.into(t, &b)
		if b.Active == nil {
			t.Fatalf("%v lacks active", a)
		}
		if !*b.Active && len(a.object(t)) != 1 {
			t.Errorf("%v says more of a token than that it is not active", a)
		}
		return *b.Active
	}
	token, _ := sc.fresh(t, sc.target.Credentials)
	if !active(t, sc.target.Credentials, token) {
		t.Errorf("a live token is said to be inactive")
	}
	if active(t, sc.target.Credentials, "not-a-token") {
		t.Errorf("no token is said to be active")
	}
	if sc.target.Other.ClientID != "" && active(t, sc.target.Other, token) {
		t.Errorf("another organisation is told that a token is active")
	}
	sc.want(t, http.StatusOK, call{method: http.MethodDelete, path: mePath, token: token})
	if active(t, sc.target.Credentials, token) {
		t.Errorf("a deleted token is said to be active")
	}
	form := sc.grantForm()
	sc.tokenRefused(t, oauthPost("/oauth/introspect", without(form, "grant_type")), http.StatusBadRequest, "invalid_request")
	form = sc.grantForm("token", token, "client_secret", "not-the-secret-of-this-client-at-all-00000")
	sc.tokenRefused(t, oauthPost("/oauth/introspect", without(form, "grant_type")), http.StatusUnauthorized, "invalid_client")
}

func metadata(t T, sc *scene) {
	var m struct {
		Issuer        string   `json:"issuer"`
		TokenEndpoint string   `json:"token_endpoint"`
		KeysURI       string   `json:"jwks_uri"`
		Grants        []string `json:"grant_types_supported"`
		Methods       []string `json:"token_endpoint_auth_methods_supported"`
	}
	sc.want(t, http.StatusOK, call{path: "/.well-known/oauth-authorization-server"}).into(t, &m)
	if m.Issuer == "" || m.TokenEndpoint != sc.target.PublicURL+"/oauth/token" || m.KeysURI != sc.target.PublicURL+"/.well-known/jwks.json" {
		t.Errorf("metadata is %+v, want an issuer and addresses below %s", m, sc.target.PublicURL)
	}
	if !slices.Contains(m.Grants, "client_credentials") || !slices.Contains(m.Methods, "client_secret_basic") || !slices.Contains(m.Methods, "client_secret_post") {
		t.Errorf("metadata is %+v, want client_credentials by client_secret_basic and client_secret_post", m)
	}
	var keys struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	sc.want(t, http.StatusOK, call{path: "/.well-known/jwks.json"}).into(t, &keys)
	if len(keys.Keys) == 0 {
		t.Errorf("there are no keys")
	}
	for _, key := range keys.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, ok := key[private]; ok {
				t.Errorf("a published key has the private member %q", private)
			}
		}
	}
}
