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

func TestBearer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other := h.grant(t, clientID)
	for name, tt := range map[string]struct {
		header string
		status int
		code   cobridge.Code
	}{
		"none":                {"Authorization:", http.StatusUnauthorized, cobridge.CodeAuthRequired},
		"Basic":               {"Authorization: Basic YTpi", http.StatusUnauthorized, cobridge.CodeAuthRequired},
		"scheme alone":        {"Authorization: Bearer", http.StatusUnauthorized, cobridge.CodeAuthRequired},
		"two words":           {"Authorization: Bearer a b", http.StatusUnauthorized, cobridge.CodeAuthRequired},
		"unknown":             {"Authorization: Bearer abc", http.StatusUnauthorized, cobridge.CodeBadCredentials},
		"changed":             {"Authorization: Bearer " + other + "x", http.StatusUnauthorized, cobridge.CodeBadCredentials},
		"good":                {"Authorization: Bearer " + other, http.StatusOK, ""},
		"good, lower case":    {"Authorization: bearer " + other, http.StatusOK, ""},
		"good, in upper case": {"Authorization: BEARER  " + other, http.StatusOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.do(t, http.MethodGet, "/api/v2/tokens/me", "", tt.header)
			if a.status != tt.status || tt.code != "" && a.envelope(t).Code != string(tt.code) {
				t.Errorf("answer is %d %s, want %d %s", a.status, a.body, tt.status, tt.code)
			}
			h.want(t, tt.status, http.MethodHead, "/api/v2/tokens/me", "", tt.header)
		})
	}
}

func TestExpiredToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.clock.Advance(25 * time.Hour)
	h.refused(t, http.StatusUnauthorized, cobridge.CodeBadCredentials, http.MethodGet, "/api/v2/tokens/me", "")
}

// Every route that needs a scope names it, with its alternatives, before anything
// else about the request is looked at.
func TestScopes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	sessionsOnly := "Authorization: Bearer " + h.grant(t, "reader")
	usersOnly := "Authorization: Bearer " + h.grant(t, "directory")
	for _, r := range api.Routes() {
		if r.Open || r.Method == http.MethodHead {
			continue
		}
		path := strings.NewReplacer("{", "", "}", "").Replace(r.Path)
		h.refused(t, http.StatusUnauthorized, cobridge.CodeAuthRequired, r.Method, path, "not json", "Authorization:")
		if r.Scope == "" {
			continue
		}
		token := sessionsOnly
		if r.Scope == "cobrowse:session:read" {
			token = usersOnly
		}
		a := h.refused(t, http.StatusForbidden, cobridge.CodeMissingScope, r.Method, path, "not json", token)
		if !strings.Contains(a.body, "["+r.Scope) {
			t.Errorf("%s %s: the message does not name [%s: %s", r.Method, path, r.Scope, a.body)
		}
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	perMinute := func(n int) *limit.Limiter {
		return limit.New(limit.Config{PerMinute: n, Clock: func() time.Time { return t0 }})
	}
	t.Run("per token", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(d *api.Deps) { d.Limits.Token = perMinute(2) })
		for range 2 {
			h.want(t, http.StatusOK, http.MethodGet, "/api/v2/tokens/me", "")
		}
		a := h.refused(t, http.StatusTooManyRequests, cobridge.CodeTooManyRequests, http.MethodGet, "/api/v2/tokens/me", "")
		if got := a.header.Get("Retry-After"); got != "30" {
			t.Errorf("Retry-After = %q, want 30", got)
		}
		another := h.grant(t, clientID)
		h.want(t, http.StatusOK, http.MethodGet, "/api/v2/tokens/me", "", "Authorization: Bearer "+another)
	})
	t.Run("per address, before the token is looked at", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(d *api.Deps) { d.Limits.Address = perMinute(2) }) // the house itself takes one
		h.refused(t, http.StatusUnauthorized, cobridge.CodeBadCredentials, http.MethodGet, "/api/v2/tokens/me", "", "Authorization: Bearer x")
		h.refused(t, http.StatusTooManyRequests, cobridge.CodeTooManyRequests, http.MethodGet, "/api/v2/tokens/me", "", "Authorization: Bearer x")
		h.want(t, http.StatusOK, http.MethodGet, "/healthz", "")
	})
}

func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.refused(t, http.StatusNotFound, cobridge.CodeNotFound, http.MethodGet, "/api/v2/nothing", "")
	h.refused(t, http.StatusMethodNotAllowed, cobridge.CodeMethodNotAllowed, http.MethodPut, sessionsURL, "{}")
}
