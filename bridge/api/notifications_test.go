package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/oauth"
)

type channelAnswer struct {
	ConnectURI string    `json:"connectUri"`
	ID         string    `json:"id"`
	Expires    time.Time `json:"expires"`
}

type topicsAnswer struct {
	Entities []struct {
		ID                 string   `json:"id"`
		State              string   `json:"state"`
		RejectionReason    string   `json:"rejectionReason"`
		MissingPermissions []string `json:"missingPermissions"`
	} `json:"entities"`
}

const channelsPath = "/api/v2/notifications/channels"

func (h *house) channel(t *testing.T) channelAnswer {
	t.Helper()
	a := h.do(t, http.MethodPost, channelsPath, "")
	var c channelAnswer
	a.into(t, &c)
	if a.status != http.StatusOK {
		t.Fatalf("open a channel: %d %s", a.status, a.body)
	}
	return c
}

func TestChannels(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.channel(t)
	// With the gateway's prefix, and as the scheme of the public address asks for.
	if want := "wss://cobridge.example/gateway/channels/" + c.ID; c.ConnectURI != want || !c.Expires.Equal(t0.Add(24*time.Hour)) {
		t.Errorf("the channel is %+v, want connectUri %s, until a day from now, when the token dies", c, want)
	}
	for _, tt := range []struct {
		method, path, token string
		status              int
	}{
		{http.MethodHead, channelsPath + "/" + c.ID, h.token, http.StatusOK},
		{http.MethodHead, channelsPath + "/" + c.ID, h.grant(t, clientID), http.StatusOK},
		{http.MethodHead, channelsPath + "/" + c.ID, h.grant(t, "other-client"), http.StatusNotFound},
		{http.MethodHead, channelsPath + "/no-such", h.token, http.StatusNotFound},
		{http.MethodHead, channelsPath + "/" + c.ID, "none", http.StatusUnauthorized},
		{http.MethodHead, channelsPath + "/" + c.ID, h.grant(t, "reader"), http.StatusForbidden},
		{http.MethodGet, channelsPath + "/" + c.ID, h.token, http.StatusMethodNotAllowed},
		{http.MethodGet, channelsPath + "?includechannels=user", h.token, http.StatusBadRequest},
	} {
		if a := h.do(t, tt.method, tt.path, "", "Authorization: Bearer "+tt.token); a.status != tt.status {
			t.Errorf("%s %s = %d, want %d", tt.method, tt.path, a.status, tt.status)
		}
	}
	h.clock.Advance(time.Second)
	if a := h.do(t, http.MethodPost, channelsPath, "", "Authorization: Bearer "+h.grant(t, clientID)); a.status != http.StatusOK {
		t.Errorf("a second channel with another token = %d", a.status)
	}
	for query, want := range map[string]int{"": 1, "?includechannels=token": 1, "?includechannels=oauthclient": 2} {
		var list struct{ Entities []channelAnswer }
		h.do(t, http.MethodGet, channelsPath+query, "").into(t, &list)
		if len(list.Entities) != want || list.Entities[0] != c {
			t.Errorf("GET %s lists %+v, want %d, the first one first", query, list.Entities, want)
		}
	}
}

// A channel ends with its token, whoever asks.
func TestChannelsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.channel(t)
	second := "Authorization: Bearer " + h.grant(t, clientID)
	if a := h.do(t, http.MethodDelete, "/api/v2/tokens/me", ""); a.status != http.StatusOK {
		t.Fatalf("revoke: %d", a.status)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPut, http.MethodPost} {
		body := ""
		if method == http.MethodPut || method == http.MethodPost {
			body = "[]"
		}
		a := h.do(t, method, channelsPath+"/"+c.ID+"/subscriptions", body, second)
		if e := a.envelope(t); a.status != http.StatusNotFound || e.Code != "entity.not.found" {
			t.Errorf("%s of a channel whose token is dead = %d %s", method, a.status, e.Code)
		}
	}
	a := h.do(t, http.MethodGet, channelsPath+"?includechannels=oauthclient", "", second)
	if !strings.Contains(a.body, `"entities":[]`) {
		t.Errorf("the list has it still: %s", a.body)
	}
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	path := channelsPath + "/" + h.channel(t).ID + "/subscriptions"
	anns, bens := "v2.users."+string(ann)+".conversations", "v2.users."+string(ben)+".conversations.cobrowseSessions"
	eves := "v2.users." + string(eve) + ".conversations"
	one := func(topics ...string) string { return `[{"id":"` + strings.Join(topics, `"},{"id":"`) + `"}]` }
	small, err := h.oauth.Grant(t.Context(), oauth.GrantRequest{GrantType: oauth.GrantTypeClientCredentials, ClientID: clientID, ClientSecret: clientSecret, Scope: "notifications cobrowse:session:read"})
	if err != nil {
		t.Fatalf("grant: %v", err)
	}
	for _, tt := range []struct {
		name, method, path, body, token string
		status                          int
		code                            string
		topics                          []string // and states
	}{
		{"add", http.MethodPost, path, one(anns, bens), h.token, 200, "", []string{anns + " Permitted", bens + " Permitted"}},
		{"replace", http.MethodPut, path, one(bens, anns, anns), h.token, 200, "", []string{bens + " Permitted", anns + " Permitted"}},
		{"add nothing", http.MethodPost, path, "[]", h.token, 200, "", []string{bens + " Permitted", anns + " Permitted"}},
		{"no such topic", http.MethodPost, path, one("v2.users.x.presence"), h.token, 400, "notification.invalid.topic", nil},
		{"of another organisation", http.MethodPost, path, one(eves), h.token, 403, "notification.unauthorized.topic", nil},
		{"of nobody", http.MethodPost, path, one("v2.users.nobody.conversations"), h.token, 403, "notification.unauthorized.topic", nil},
		{"without the scope", http.MethodPost, path, one(anns), small.Raw, 403, "notification.unauthorized.topic", nil},
		{"too many", http.MethodPost, path, "[" + strings.TrimSuffix(strings.Repeat(`{"id":"`+anns+`"},`, 1001), ",") + "]", h.token, 400, "notification.subscription.too.many.subscriptions", nil},
		{"with errors", http.MethodPut, path + "?ignoreErrors=true", one("x", bens, eves), h.token, 200, "", []string{bens + " Permitted", "x Rejected", eves + " Rejected"}},
		{"ignore what", http.MethodPut, path + "?ignoreErrors=maybe", one(bens), h.token, 400, "invalid.query.param.value", nil},
		{"an object", http.MethodPut, path, `{"id":"x"}`, h.token, 400, "bad.request", nil},
		{"no body", http.MethodPut, path, "", h.token, 400, "bad.request", nil},
		{"no id", http.MethodPut, path, `[{"id":"x"},{}]`, h.token, 400, "constraint.validation", nil},
		{"null", http.MethodPut, path, `[null]`, h.token, 400, "constraint.validation", nil},
		{"a number", http.MethodPut, path, `[{"id":1}]`, h.token, 400, "bad.request", nil},
		{"read", http.MethodGet, path, "", h.token, 200, "", []string{bens + " Permitted"}},
		{"drop", http.MethodDelete, path, "", h.token, 204, "", nil},
		{"read again", http.MethodGet, path, "", h.token, 200, "", []string{}},
	} {
		a := h.do(t, tt.method, tt.path, tt.body, "Authorization: Bearer "+tt.token)
		if a.status != tt.status {
			t.Errorf("%s = %d %s, want %d", tt.name, a.status, a.body, tt.status)
			continue
		}
		if tt.code != "" {
			if e := a.envelope(t); e.Code != tt.code {
				t.Errorf("%s is refused with %s, want %s", tt.name, e.Code, tt.code)
			}
			continue
		}
		if tt.topics == nil {
			continue
		}
		var got topicsAnswer
		a.into(t, &got)
		names := []string{}
		for _, e := range got.Entities {
			names = append(names, e.ID+" "+e.State)
			if (e.State == "Rejected") != (e.RejectionReason != "") {
				t.Errorf("%s: %s is %s for the reason %q", tt.name, e.ID, e.State, e.RejectionReason)
			}
		}
		if strings.Join(names, "\n") != strings.Join(tt.topics, "\n") {
			t.Errorf("%s: topics are %q, want %q", tt.name, names, tt.topics)
		}
	}
}

func TestAvailableTopics(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.do(t, http.MethodGet, "/api/v2/notifications/availabletopics?expand=description", "")
	for _, topic := range []string{
		"v2.users.{id}.conversations", "v2.users.{id}.conversations.cobrowseSessions", "v2.users.{id}.conversations.messages",
		"v2.routing.queues.{id}.conversations", "v2.routing.queues.{id}.conversations.cobrowseSessions",
	} {
		if !strings.Contains(a.body, `"id":"`+topic+`"`) {
			t.Errorf("%s is not listed", topic)
		}
	}
}
