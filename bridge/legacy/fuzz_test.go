package legacy_test

import (
	"net/http"
	"slices"
	"testing"
	"unicode/utf8"
)

// FuzzKnowledge sends whatever headers and body can hold: the answer is a session, or
// a refusal in the dialect, and what was accepted is given back as it came.
func FuzzKnowledge(f *testing.F) {
	for _, body := range []string{``, `{}`, `{"visitId":"v-17"}`, `{"visitId":"v-17","globalVisitId":"g-1"}`, `{"visitId":null}`, `{"visitId":17,"x":[{}]}`, `[]`, "{\"visitId\":\"\xff\"}", `{"conversationId":"c"}`, `{"visitId":"\ud800"}`} {
		f.Add(uint8(0), "application/json", "kim@example.org", "ada", body)
		f.Add(uint8(1), "", "", "", body)
	}
	f.Add(uint8(2), "application/json; charset=UTF-8", "J\xfcrgen", "\t", "")
	f.Add(uint8(3), "text/plain", "Jürgen 山田", "a,b", "visitId=v-17")
	h := newHouse(f, profile("8.5.1"))
	h.token = ""
	token := "Authorization: Bearer " + h.newToken(clientID, clientSecret)
	methods := []request{{method: http.MethodPut, path: base + "/sessions/new"}, {method: http.MethodPost, path: base + "/sessions/fuzz"}, {method: http.MethodGet, path: base + "/sessions/fuzz"}}
	f.Fuzz(func(t *testing.T, which uint8, contentType, customer, agent, body string) {
		for _, value := range []string{contentType, customer, agent} {
			if slices.ContainsFunc([]byte(value), func(b byte) bool { return b < ' ' && b != '\t' || b == 0x7f }) {
				t.Skip("cannot be sent in a header")
			}
		}
		r := methods[int(which)%len(methods)]
		r.body = body
		r.head = []string{token, "Content-Type: " + contentType, "gkc_customerId: " + customer, "gkc_agentId: " + agent}
		own := *h // fails this run alone
		own.t = t
		a := own.call(r)
		switch a.status {
		case http.StatusOK:
			if id := a.id(); id == "" || r.method != http.MethodPut && id != "fuzz" || !utf8.ValidString(a.text) {
				t.Errorf("%s = %q, want a session", r.method, a.text)
			}
		case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
			wantFailure(t, r.method, a, a.status, "")
		default:
			t.Errorf("%s = %d %s", r.method, a.status, a.text)
		}
	})
}
