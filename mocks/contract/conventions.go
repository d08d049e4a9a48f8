package contract

import (
	"net/http"
	"net/url"
	"strings"
)

func conventionCases() []Case {
	return []Case{
		{"conventions: an unknown path of the API is 404 with the envelope", unknownPath},
		{"conventions: another method is 405 and names those that are allowed", otherMethod},
		{"conventions: every answer has a correlation id, errors repeat it", correlation},
		{"conventions: 401 says how to authenticate", challenge},
		{"operations: health, readiness, version and the API document are open", operations},
	}
}

// lastCases look back on everything that was sent.
func lastCases() []Case {
	return []Case{{"T8 every call answers within 10 s", slowestCall}}
}

func unknownPath(t T, sc *scene) {
	for _, path := range []string{"/api/v2/nothing", "/api/v2", "/api/v2/cobrowse", "/api/v2/cobrowse/sessions/" + unknownID(110) + "/nothing", "/api/v2/%2e%2e/healthz"} {
		for _, token := range []string{sc.token(t), ""} {
			c := call{path: path, token: token, quiet: true}
			if a := sc.do(t, c); a.status != http.StatusNotFound && (token != "" || a.status != http.StatusUnauthorized) {
				t.Errorf("%v, want 404", a)
			}
		}
	}
}

func otherMethod(t T, sc *scene) {
	for path, method := range map[string]string{sessionsPath: http.MethodPut, historyPath: http.MethodDelete, usersPath: http.MethodPost} {
		a := sc.do(t, call{method: method, path: path, token: sc.token(t), body: body{}, quiet: true})
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") == "" {
			t.Errorf("%v with Allow %q, want 405 and the methods", a, a.header.Get("Allow"))
		}
	}
}

func correlation(t T, sc *scene) {
	seen := map[string]bool{}
	for range 3 {
		for _, c := range []call{sc.get(t, mePath), sc.get(t, sessionPath(unknownID(111))), {path: "/cobrowse/join?token=x"}, oauthPost("/oauth/token", url.Values{})} {
			id := sc.do(t, c).header.Get(correlationHeader)
			if seen[id] {
				t.Errorf("correlation id %s was given twice", id)
			}
			seen[id] = true
		}
	}
}

func challenge(t T, sc *scene) {
	for _, token := range []string{"", "abc"} {
		if got := sc.want(t, http.StatusUnauthorized, call{path: mePath, token: token}).header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
			t.Errorf("WWW-Authenticate is %q, want a Bearer challenge (RFC 6750, section 3)", got)
		}
	}
}

func operations(t T, sc *scene) {
	for path, kind := range map[string]string{
		"/healthz": "application/json", "/readyz": "application/json", "/version": "application/json", "/openapi.yaml": "application/yaml", "/docs": "text/html",
	} {
		a := sc.want(t, http.StatusOK, call{path: path})
		if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, kind) || len(a.body) == 0 {
			t.Errorf("GET %s is %q with %d bytes, want %s", path, got, len(a.body), kind)
		}
	}
}

func slowestCall(t T, sc *scene) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	// A call that took longer has already failed: the suite does not wait for it.
	if sc.slowest >= answerLimit {
		t.Errorf("%s took %v, want less than %v", sc.slowAt, sc.slowest, answerLimit)
	}
	t.Logf("%d calls, the slowest %s in %v", sc.calls, sc.slowAt, sc.slowest)
}
