package legacy_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/config"
)

func basic(id, secret string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func rule(name string) func(*config.Config) {
	return func(c *config.Config) {
		c.Legacy.Access.Knowledge = name
		c.Legacy.AllowedOrigins = []string{page}
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	const nobody = "Authorization:"
	for _, tt := range []struct {
		rule, name string
		head       []string
		status     int
		challenge  string
	}{
		{"bearer", "an access token", nil, 200, ""},
		{"bearer", "a token of any scope", []string{"TOKEN reader"}, 200, ""},
		{"bearer", "nothing", []string{nobody}, 401, `Bearer realm="cobridge"`},
		{"bearer", "no token at all", []string{"Authorization: Bearer x"}, 401, `Bearer realm="cobridge", error="invalid_token"`},
		{"bearer", "credentials", []string{basic(clientID, clientSecret)}, 401, `Bearer realm="cobridge"`},
		{"bearer", "a page of the list", []string{nobody, "Origin: " + page}, 401, `Bearer realm="cobridge"`},
		{"bearer", "another organisation", []string{"TOKEN other"}, 404, ""},
		{"basic", "credentials", []string{basic(clientID, clientSecret)}, 200, ""},
		{"basic", "credentials, form-encoded", []string{basic(clientID, url.QueryEscape(clientSecret))}, 200, ""},
		{"basic", "nothing", []string{nobody}, 401, `Basic realm="cobridge", charset="UTF-8"`},
		{"basic", "an access token", nil, 401, `Basic realm="cobridge", charset="UTF-8"`},
		{"basic", "a wrong secret", []string{basic(clientID, clientSecret+"x")}, 401, `Basic realm="cobridge", charset="UTF-8"`},
		{"basic", "an unknown client", []string{basic("nobody", clientSecret)}, 401, `Basic realm="cobridge", charset="UTF-8"`},
		{"basic", "what cannot be read", []string{"Authorization: Basic !"}, 401, `Basic realm="cobridge", charset="UTF-8"`},
		{"basic", "another organisation", []string{basic("other", otherSecret)}, 404, ""},
		{"origin", "a page of the list", []string{nobody, "Origin: " + page}, 200, ""},
		{"origin", "a page of the list by its Referer", []string{nobody, "Referer: " + page + "/accounts?x=y"}, 200, ""},
		{"origin", "an Origin counts more than a Referer", []string{nobody, "Origin: https://evil.example", "Referer: " + page + "/"}, 403, ""},
		{"origin", "a page of another origin", []string{nobody, "Origin: https://evil.example"}, 403, ""},
		{"origin", "one that begins like it", []string{nobody, "Origin: " + page + ".evil.example"}, 403, ""},
		{"origin", "a Referer that has it as its user", []string{nobody, "Referer: " + page + "@evil.example/"}, 403, ""},
		{"origin", "no page", []string{nobody}, 403, ""},
		{"origin", "an opaque origin", []string{nobody, "Origin: null"}, 403, ""},
		{"origin", "an access token", nil, 403, ""},
		{"open", "nothing", []string{nobody}, 200, ""},
		{"open", "any page", []string{nobody, "Origin: https://evil.example"}, 200, ""},
	} {
		t.Run(tt.rule+", "+tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, rule(tt.rule))
			head := tt.head
			if len(head) > 0 {
				if id, ok := strings.CutPrefix(head[0], "TOKEN "); ok {
					head = []string{"Authorization: Bearer " + h.newToken(id, map[string]string{"reader": clientSecret, "other": otherSecret}[id])}
				}
			}
			for _, r := range []request{
				{method: http.MethodPut, path: base + "/sessions/new"},
				{method: http.MethodGet, path: base + "/sessions/s-1"},
				{method: http.MethodPost, path: base + "/sessions/s-1"},
			} {
				r.head = head
				a := h.call(r)
				if tt.status != http.StatusOK {
					wantFailure(t, r.method, a, tt.status, "")
				} else if a.status != http.StatusOK {
					t.Errorf("%s = %d %s, want 200", r.method, a.status, a.text)
				}
				if got := a.head.Get("WWW-Authenticate"); got != tt.challenge {
					t.Errorf("%s: WWW-Authenticate = %q, want %q", r.method, got, tt.challenge)
				}
			}
		})
	}
}

// A token that was revoked, and one whose client is gone, is dead here too.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if a := h.call(request{method: http.MethodDelete, path: "/api/v2/tokens/me"}); a.status != http.StatusOK {
		t.Fatalf("revoke = %d %s", a.status, a.text)
	}
	wantFailure(t, "create", h.call(request{method: http.MethodPut, path: base + "/sessions/new"}), http.StatusUnauthorized, "")
}

// The limits are those of the API, counted together with its calls.
func TestLimits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *config.Config) { c.Limits.TokenPerMinute = 3 })
	path := base + "/sessions/s-1"
	for i, p := range []string{path, "/api/v2/tokens/me", path} {
		if a := h.call(request{method: http.MethodGet, path: p}); a.status != http.StatusOK {
			t.Fatalf("call %d = %d %s", i, a.status, a.text)
		}
	}
	a := h.call(request{method: http.MethodGet, path: path})
	wantFailure(t, "the fourth call", a, http.StatusTooManyRequests, "Retry the request in")
	if a.head.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	h = newHouse(t, rule(config.AccessBasic), func(c *config.Config) { c.Limits.FailedLoginsPerMinute = 2 })
	wrong := request{method: http.MethodGet, path: path, head: []string{basic(clientID, "wrong")}}
	for range 2 {
		wantFailure(t, "a wrong secret", h.call(wrong), http.StatusUnauthorized, "")
	}
	wantFailure(t, "the third wrong secret", h.call(wrong), http.StatusTooManyRequests, "")
	right := request{method: http.MethodGet, path: path, head: []string{basic(clientID, clientSecret)}}
	wantFailure(t, "the right secret after them", h.call(right), http.StatusTooManyRequests, "")
	h = newHouse(t, rule(config.AccessOpen), func(c *config.Config) { c.Limits.AddressPerMinute = 3 }) // one is for the token
	for range 2 {
		h.call(request{method: http.MethodGet, path: path})
	}
	wantFailure(t, "one call too many from an address", h.call(request{method: http.MethodGet, path: path}), http.StatusTooManyRequests, "")
}

// Pages of the allow-list may ask and read, failures too; others get no permission.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	for _, name := range []string{config.AccessBearer, config.AccessOrigin, config.AccessOpen} {
		h := newHouse(t, rule(name))
		for path, methods := range map[string]string{"/sessions/new": "PUT", "/sessions/s-1": "GET, POST"} {
			for origin, want := range map[string]string{page: page, "https://evil.example": ""} {
				a := h.call(request{method: http.MethodOptions, path: base + path, head: []string{"Authorization:", "Origin: " + origin, "Access-Control-Request-Method: PUT"}})
				allowed, headers := a.head.Get("Access-Control-Allow-Methods"), a.head.Get("Access-Control-Allow-Headers")
				if a.status != http.StatusNoContent || a.head.Get("Access-Control-Allow-Origin") != want || a.head.Get("Vary") == "" {
					t.Errorf("%s: preflight of %s for %s = %d %v", name, path, origin, a.status, a.head)
				}
				if want != "" && (allowed != methods || !strings.Contains(headers, "gkc_customerId") || !strings.Contains(headers, "gkc_agentId")) {
					t.Errorf("%s: preflight of %s allows %q with %q, want %q and both headers", name, path, allowed, headers, methods)
				}
				failure := h.call(request{method: http.MethodGet, path: base + "/sessions/%ff", head: []string{"Origin: " + origin}})
				if got := failure.head.Get("Access-Control-Allow-Origin"); got != want {
					t.Errorf("%s: a failure for %s has Access-Control-Allow-Origin %q, want %q", name, origin, got, want)
				}
			}
		}
	}
	h := newHouse(t)
	wantFailure(t, "a preflight without an allow-list", h.call(request{method: http.MethodOptions, path: base + "/sessions/new", head: []string{"Origin: " + page}}), http.StatusMethodNotAllowed, "")
}
