package legacy_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cobridge/cobridge/cobrowse"
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

// FuzzChannels sends whatever data can hold on each channel: the answer is what was
// asked for, or a refusal with a code of the table, and nobody gets anywhere with it.
func FuzzChannels(f *testing.F) {
	for _, data := range []string{
		``, `{}`, `null`, `{"sessionToken":"407215938","role":2,"name":"Mira"}`, `{"userToken":"u-9f2c"}`, `{"sessionToken":"407 215-938","role":3}`,
		`{"sessionToken":407215938,"role":"1"}`, `{"sessionToken":"000000000","role":1e0,"userToken":null}`, `{"role":99999999999999999999}`, `[{"userToken":[]}]`, `"x"`, `1`,
		`{"sessionToken":"\u0660\u0661","role":1}`, `{"userToken":"eyJhbGciOiJub25lIn0.e30."}`,
	} {
		for channel := range uint8(4) {
			f.Add(channel, data)
		}
	}
	h := newLiveHouse(f, deskRules)
	digits := h.open()
	page := h.browser(shop)
	shake := page.call(http.MethodPost, "/cometd/handshake", `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}`)
	var hello []struct{ ClientID string }
	if err := json.Unmarshal([]byte(shake.text), &hello); err != nil || hello[0].ClientID == "" {
		f.Fatalf("handshake = %s", shake.text)
	}
	codes := regexp.MustCompile(`^(400|402|403|404|409|410|429|503):[^:]*:[^:]+$`)
	f.Fuzz(func(t *testing.T, which uint8, data string) {
		channel := "/service/session/" + []string{"create", "join", "exit", "stop"}[which%4]
		body := `[{"id":"1","channel":"` + channel + `","clientId":"` + hello[0].ClientID + `","data":` + data + `}]`
		if data == "" {
			body = strings.Replace(body, `,"data":`, "", 1)
		}
		own, house := *page, *h // fails this run alone
		own.liveHouse, house.t = &house, t
		a := own.call(http.MethodPost, "/cometd/", body)
		if a.status != http.StatusOK {
			if a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s %q = %d %s", channel, data, a.status, a.text)
			}
			return
		}
		var all []struct {
			Successful bool
			Error      string
			Data       struct{ SessionToken, UserToken string }
		}
		if err := json.Unmarshal([]byte(a.text), &all); err != nil || len(all) == 0 {
			t.Fatalf("%s %q = %s", channel, data, a.text)
		}
		for _, m := range all {
			if m.Error != "" && !codes.MatchString(m.Error) {
				t.Errorf("%s %q is refused with %q", channel, data, m.Error)
			}
			if m.Data.UserToken != "" {
				t.Errorf("%s %q lets somebody in: %s", channel, data, a.text)
			}
		}
		if _, err := h.ByToken(t.Context(), orgID, cobrowse.SessionToken(digits)); err != nil {
			t.Errorf("%s %q has ended the session: %v", channel, data, err)
		}
	})
}
