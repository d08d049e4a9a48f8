package openapitest_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/docs/openapitest"
)

const conversation = `{"id":"c","state":"active","startTime":"2026-03-04T05:06:07.089Z","participants":[],"selfUri":"/api/v2/conversations/c"}`

func TestCheck(t *testing.T) {
	t.Parallel()
	k := openapitest.NewChecker(t)
	const path, correlated = "/api/v2/conversations/c", "ININ-Correlation-Id"
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		answer                   string
		drop                     string // header of the answer that is missing
		wrong                    string // part of the error; empty = none
	}{
		{name: "good", method: http.MethodGet, path: path, status: 200, answer: conversation},
		{name: "a slash at the end", method: http.MethodGet, path: path + "/", status: 200, answer: conversation},
		{name: "a member too many", method: http.MethodGet, path: path, status: 200, answer: strings.Replace(conversation, "{", `{"x":1,`, 1), wrong: "does not match the document"},
		{name: "a member missing", method: http.MethodGet, path: path, status: 200, answer: `{"id":"c"}`, wrong: "does not match the document"},
		{name: "a time without Z", method: http.MethodGet, path: path, status: 200, answer: strings.Replace(conversation, "Z", "+00:00", 1), wrong: "startTime"},
		{name: "a header missing", method: http.MethodGet, path: path, status: 200, answer: conversation, drop: correlated, wrong: correlated},
		{name: "another status gets the default", method: http.MethodGet, path: path, status: 418, answer: `{}`, wrong: "does not match the document"},
		{name: "a body that is not documented", method: http.MethodPatch, path: path + "/participants/p/attributes", body: `{"attributes":{}}`, status: 202, answer: `{}`, wrong: "has a body"},
		{name: "a bad request that was accepted", method: http.MethodPatch, path: path + "/participants/p/attributes", body: `{"attributes":7}`, status: 202, wrong: "was accepted"},
		{name: "an unknown path", method: http.MethodGet, path: "/api/v2/nothing", status: 200, answer: "{}", wrong: "not documented"},
		{name: "an unknown path that is not there", method: http.MethodGet, path: "/api/v2/nothing", status: 404, answer: "{}"},
		{name: "a fixed segment wins over a parameter", method: http.MethodGet, path: "/api/v2/users/me", status: 200, answer: "{}", wrong: "GET /api/v2/users/me:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, http.NoBody)
			req.Header.Set("Content-Type", "application/json")
			resp := &http.Response{StatusCode: tt.status, Header: http.Header{"Content-Type": {"application/json"}, http.CanonicalHeaderKey(correlated): {"1"}}}
			resp.Header.Del(tt.drop)
			err := k.Check(req, []byte(tt.body), resp, []byte(tt.answer))
			switch {
			case tt.wrong == "" && err != nil:
				t.Errorf("Check = %v, want nil", err)
			case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)):
				t.Errorf("Check = %v, want something with %q", err, tt.wrong)
			}
		})
	}
}

func TestSeenAndMissing(t *testing.T) {
	t.Parallel()
	k := openapitest.NewChecker(t)
	want := openapitest.Seen{Operation: "GET /api/v2/conversations/{conversationId}", Status: 200}
	if !slices.Contains(k.Missing(), want) {
		t.Fatalf("%v is not missing at the start", want)
	}
	before := len(k.Missing())
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v2/conversations/c", http.NoBody)
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}, "Inin-Correlation-Id": {"1"}}}
	if err := k.Check(req, nil, resp, []byte(conversation)); err != nil {
		t.Fatalf("Check: %v", err)
	}
	if !slices.Equal(k.Seen(), []openapitest.Seen{want}) || len(k.Missing()) != before-1 {
		t.Errorf("seen %v, missing %d of %d", k.Seen(), len(k.Missing()), before)
	}
}
