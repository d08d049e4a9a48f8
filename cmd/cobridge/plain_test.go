package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/cobrowse/client"
)

// hostile is a text that would clear a terminal, change its title, and write over the
// line: by ESC, by the C1 characters that mean the same, and by the direction of reading.
const hostile = "Kim\x1b[2J\x1b]0;owned\a\u009b31m\r\x7f\b\u202egnp.exe"

// hostileService answers everything with hostile texts.
func hostileService(t *testing.T) []string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body any
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/oauth/token":
			body = map[string]any{"access_token": "t", "token_type": "bearer", "expires_in": 3600}
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/webhooks"):
			body = map[string]any{"entities": []any{map[string]any{"id": "1", "name": hostile, "url": hostile}}, "pageCount": 1, "pageNumber": 1, "total": 1}
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/1"):
			body = map[string]any{"id": "1", "name": hostile}
		default:
			w.WriteHeader(http.StatusConflict)
			body = map[string]any{"status": 409, "code": "conflict", "message": hostile}
		}
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return []string{"COBRIDGE_SERVER=" + srv.URL, "COBRIDGE_CLIENT_ID=client", "COBRIDGE_CLIENT_SECRET=secret"}
}

// What others have written does nothing to the terminal of whoever reads it.
func TestTerminalObeysNobody(t *testing.T) {
	t.Parallel()
	env := hostileService(t)
	for _, args := range [][]string{
		{"webhook", "list"},
		{"webhook", "list", "--json"},
		{"webhook", "show", "1"},
		{"webhook", "delete", "1"},
	} {
		r := cli(t, env, "", args...)
		shown := r.out + r.err
		if !strings.Contains(shown, "Kim") {
			t.Errorf("%v = %+v, want the name", args, r)
		}
		if i := strings.IndexAny(shown, "\x1b\a\u009b\r\x7f\b\u202e"); i >= 0 {
			t.Errorf("%v shows %q, want no character that a terminal obeys", args, shown[i:])
		}
	}
	// JSON says the same as before.
	var hook client.Webhook
	if err := json.Unmarshal([]byte(cli(t, env, "", "webhook", "show", "1").out), &hook); err != nil || hook.Name != hostile {
		t.Errorf("name = %q, %v, want %q", hook.Name, err, hostile)
	}
}
