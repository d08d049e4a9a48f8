package api_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/limit"
)

func basic(id, secret string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func form(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const grant = "grant_type=client_credentials"
	good := form("grant_type", "client_credentials", "client_id", clientID, "client_secret", clientSecret)
	for name, tt := range map[string]struct {
		body   string
		header []string
		status int
		code   string
	}{
		"form":                             {good, nil, http.StatusOK, ""},
		"form, with a character set":       {good, []string{formType + "; charset=utf-8"}, http.StatusOK, ""},
		"Basic as curl sends it":           {grant, []string{basic(clientID, clientSecret)}, http.StatusOK, ""},
		"Basic as x/oauth2 sends it":       {grant, []string{basic(url.QueryEscape(clientID), url.QueryEscape(clientSecret))}, http.StatusOK, ""},
		"Basic in lower case":              {grant, []string{strings.Replace(basic(clientID, clientSecret), "Basic", "basic", 1)}, http.StatusOK, ""},
		"both, equal":                      {good, []string{basic(clientID, clientSecret)}, http.StatusOK, ""},
		"both, equal once decoded":         {good, []string{basic(clientID, url.QueryEscape(clientSecret))}, http.StatusOK, ""},
		"Basic and the id in the form":     {grant + "&client_id=" + clientID, []string{basic(clientID, clientSecret)}, http.StatusOK, ""},
		"both, other ids":                  {good, []string{basic("other-client", clientSecret)}, http.StatusBadRequest, "invalid_request"},
		"both, other secrets":              {good, []string{basic(clientID, "something else")}, http.StatusBadRequest, "invalid_request"},
		"scope":                            {good + "&scope=cobrowse%3Asession%3Aread", nil, http.StatusOK, ""},
		"unknown scope":                    {good + "&scope=nonsense", nil, http.StatusBadRequest, "invalid_scope"},
		"wrong secret":                     {form("grant_type", "client_credentials", "client_id", clientID, "client_secret", "x"), nil, http.StatusUnauthorized, "invalid_client"},
		"unknown client":                   {form("grant_type", "client_credentials", "client_id", "x", "client_secret", "x"), nil, http.StatusUnauthorized, "invalid_client"},
		"no credentials":                   {grant, nil, http.StatusUnauthorized, "invalid_client"},
		"Basic that is not base64":         {grant, []string{"Authorization: Basic %%%"}, http.StatusUnauthorized, "invalid_client"},
		"Basic without a colon":            {grant, []string{"Authorization: Basic YWJj"}, http.StatusUnauthorized, "invalid_client"},
		"no grant type":                    {form("client_id", clientID, "client_secret", clientSecret), nil, http.StatusBadRequest, "invalid_request"},
		"empty grant type":                 {form("grant_type", "", "client_id", clientID, "client_secret", clientSecret), nil, http.StatusBadRequest, "invalid_request"},
		"another grant type":               {form("grant_type", "password", "client_id", clientID, "client_secret", clientSecret), nil, http.StatusBadRequest, "unsupported_grant_type"},
		"a parameter twice":                {good + "&grant_type=client_credentials", nil, http.StatusBadRequest, "invalid_request"},
		"an unknown parameter twice":       {good + "&a=1&a=2", nil, http.StatusBadRequest, "invalid_request"},
		"JSON":                             {`{"grant_type":"client_credentials"}`, []string{"Content-Type: application/json"}, http.StatusBadRequest, "invalid_request"},
		"no content type":                  {good, []string{"Content-Type:"}, http.StatusBadRequest, "invalid_request"},
		"broken escape":                    {grant + "&client_id=%zz", nil, http.StatusBadRequest, "invalid_request"},
		"broken UTF-8":                     {grant + "&client_id=%ff", nil, http.StatusBadRequest, "invalid_request"},
		"compressed":                       {good, []string{"Content-Encoding: gzip"}, http.StatusBadRequest, "invalid_request"},
		"empty":                            {"", nil, http.StatusBadRequest, "invalid_request"},
		"too large":                        {good + "&x=" + strings.Repeat("x", 20_000), nil, http.StatusRequestEntityTooLarge, "invalid_request"},
		"credentials with a Bearer header": {good, []string{"Authorization: Bearer x"}, http.StatusOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.do(t, http.MethodPost, "/oauth/token", tt.body, append([]string{formType, "Authorization:"}, tt.header...)...)
			var got struct {
				Error       string  `json:"error"`
				Description string  `json:"description"`
				Long        string  `json:"error_description"`
				Token       string  `json:"access_token"`
				Type        string  `json:"token_type"`
				ExpiresIn   float64 `json:"expires_in"`
			}
			a.into(t, &got)
			if a.status != tt.status || got.Error != tt.code {
				t.Fatalf("answer is %d %s, want %d %s", a.status, a.body, tt.status, tt.code)
			}
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
				t.Errorf("Cache-Control %q, Pragma %q", a.header.Get("Cache-Control"), a.header.Get("Pragma"))
			}
			if tt.status == http.StatusOK {
				if got.Token == "" || got.Type != "bearer" || got.ExpiresIn != 86400 {
					t.Errorf("token_type %q, expires_in %v, want bearer for a day", got.Type, got.ExpiresIn)
				}
				return
			}
			if got.Description == "" || got.Description != got.Long {
				t.Errorf("descriptions are %q and %q, want one text under both names", got.Description, got.Long)
			}
			triedBasic := len(tt.header) > 0 && strings.HasPrefix(tt.header[0], "Authorization: Basic")
			if challenged := a.header.Get("Www-Authenticate") != ""; challenged != (triedBasic && tt.status == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate = %q", a.header.Get("Www-Authenticate"))
			}
		})
	}
}

func TestInvalidClientAs400(t *testing.T) {
	t.Parallel()
	h := newHouseWith(t, http.StatusBadRequest)
	a := h.want(t, http.StatusBadRequest, http.MethodPost, "/oauth/token", "grant_type=client_credentials", formType, basic("x", "y"))
	if !strings.Contains(a.body, `"invalid_client"`) || a.header.Get("Www-Authenticate") != "" {
		t.Errorf("answer is %s with %q, want invalid_client without a challenge", a.body, a.header.Get("Www-Authenticate"))
	}
}

func TestWrongCredentialsAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(d *api.Deps) {
		d.Limits.Credentials = limit.NewGuess(limit.Config{PerMinute: 3, Clock: func() time.Time { return t0 }})
	})
	wrong := form("grant_type", "client_credentials", "client_id", clientID, "client_secret", "x")
	good := form("grant_type", "client_credentials", "client_id", clientID, "client_secret", clientSecret)
	for range 3 {
		h.want(t, http.StatusOK, http.MethodPost, "/oauth/token", good, formType, "Authorization:")
		h.want(t, http.StatusUnauthorized, http.MethodPost, "/oauth/token", wrong, formType, "Authorization:")
	}
	for path, body := range map[string]string{"/oauth/token": good, "/oauth/revoke": good + "&token=x", "/oauth/introspect": good + "&token=x"} {
		a := h.want(t, http.StatusTooManyRequests, http.MethodPost, path, body, formType, "Authorization:")
		if a.header.Get("Retry-After") != "20" || !strings.Contains(a.body, `"too_many_requests"`) {
			t.Errorf("%s: Retry-After %q, body %s", path, a.header.Get("Retry-After"), a.body)
		}
	}
}

func TestRevokeAndIntrospect(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	raw := h.grant(t, clientID)
	ask := func(id string) string {
		t.Helper()
		return h.want(t, http.StatusOK, http.MethodPost, "/oauth/introspect", form("token", raw), formType, basic(id, clientSecret)).body
	}
	if got := ask(clientID); !strings.Contains(got, `"active":true`) || !strings.Contains(got, `"client_id":"`+clientID+`"`) {
		t.Errorf("introspection says %s", got)
	}
	if got := ask("other-client"); got != `{"active":false}` {
		t.Errorf("another organisation learns %s", got)
	}
	for _, path := range []string{"/oauth/revoke", "/oauth/introspect"} {
		h.want(t, http.StatusBadRequest, http.MethodPost, path, "", formType, basic(clientID, clientSecret))
		h.want(t, http.StatusUnauthorized, http.MethodPost, path, form("token", raw), formType, basic(clientID, "x"))
	}
	h.want(t, http.StatusBadRequest, http.MethodPost, "/oauth/revoke", form("token", raw), formType, basic("reader", clientSecret))
	h.want(t, http.StatusOK, http.MethodPost, "/oauth/revoke", form("token", "nonsense"), formType, basic(clientID, clientSecret))
	a := h.want(t, http.StatusOK, http.MethodPost, "/oauth/revoke", form("token", raw, "token_type_hint", "access_token"), formType, basic(clientID, clientSecret))
	if a.body != "" {
		t.Errorf("revoke answers %q, want nothing", a.body)
	}
	if got := ask(clientID); got != `{"active":false}` {
		t.Errorf("a revoked token is %s", got)
	}
	h.refused(t, http.StatusUnauthorized, cobridge.CodeBadCredentials, http.MethodGet, "/api/v2/tokens/me", "", "Authorization: Bearer "+raw)
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var got struct {
		Issuer string `json:"issuer"`
		Token  string `json:"token_endpoint"`
		Keys   string `json:"jwks_uri"`
	}
	h.want(t, http.StatusOK, http.MethodGet, "/.well-known/oauth-authorization-server", "", "Authorization:").into(t, &got)
	if got.Issuer != baseURL || got.Token != baseURL+"/oauth/token" || got.Keys != baseURL+"/.well-known/jwks.json" {
		t.Errorf("metadata is %+v, want addresses below %s", got, baseURL)
	}
	if a := h.want(t, http.StatusOK, http.MethodGet, "/.well-known/jwks.json", "", "Authorization:"); !strings.Contains(a.body, `"kty":"OKP"`) {
		t.Errorf("keys are %s", a.body)
	}
	h.want(t, http.StatusNotFound, http.MethodGet, "/.well-known/openid-configuration", "")
}

func TestTokensMe(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	golden(t, "tokens-me", h.want(t, http.StatusOK, http.MethodGet, "/api/v2/tokens/me?preserveIdleTTL=false", ""))
	golden(t, "scopes", h.want(t, http.StatusOK, http.MethodGet, "/api/v2/oauth/scopes", ""))
	if a := h.want(t, http.StatusOK, http.MethodDelete, "/api/v2/tokens/me", ""); a.body != "" {
		t.Errorf("DELETE answers %q, want nothing", a.body)
	}
	h.refused(t, http.StatusUnauthorized, cobridge.CodeBadCredentials, http.MethodDelete, "/api/v2/tokens/me", "")
}
