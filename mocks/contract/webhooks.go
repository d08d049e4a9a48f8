package contract

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

func webhookCases() []Case {
	return []Case{
		{"webhooks are created with a secret that is shown once, read, listed, replaced and deleted", webhookLife},
		{"webhooks that break rules are refused", webhookRefused},
		{"webhooks want the scope to read sessions from who creates and replaces them", webhookScopes},
		{"webhooks get another secret on request", webhookRotate},
		{"webhooks that are disabled are told nothing until they are enabled", webhookDisabled},
		{"webhooks are tested, and what became of it is listed and sent again", webhookDeliveries},
		{"webhooks of one organisation are bounded", webhookMost},
	}
}

const (
	webhooksPath = "/api/v2/cobrowse/webhooks"
	// nowhere is an address that a webhook may have and where nobody is: the name does
	// not exist (RFC 6761).
	nowhere = "https://webhooks.invalid/cobrowse"
)

type webhookBody struct {
	ID             string   `json:"id"`
	Name           string   `json:"name"`
	URL            string   `json:"url"`
	Events         []string `json:"events"`
	Disabled       bool     `json:"disabled"`
	DisabledReason string   `json:"disabledReason"`
	Previous       string   `json:"previousSecretExpires"`
	DateCreated    string   `json:"dateCreated"`
	Secret         string   `json:"secret"`
	SelfURI        string   `json:"selfUri"`
}

type webhookDelivery struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	State    string `json:"state"`
	Attempts []struct {
		Result string `json:"result"`
	} `json:"attempts"`
	Payload struct {
		Type string `json:"type"`
		Data struct {
			WebhookID string `json:"webhookId"`
		} `json:"data"`
	} `json:"payload"`
	SelfURI string `json:"selfUri"`
}

func webhookPath(id string) string { return webhooksPath + "/" + id }

// webhook makes one that is told of ends alone; it is deleted at the end of the case.
func (sc *scene) webhook(t T) webhookBody {
	t.Helper()
	var w webhookBody
	sc.want(t, http.StatusCreated, sc.post(t, webhooksPath, body{"name": "CRM", "url": nowhere, "events": []any{"cobrowse.session.ended"}})).into(t, &w)
	sc.later(func(t T) {
		t.Helper()
		sc.do(t, sc.deleteOf(t, webhookPath(w.ID)))
	})
	return w
}

func (sc *scene) putWebhook(t T, id string, in body) call {
	t.Helper()
	return call{method: http.MethodPut, path: webhookPath(id), token: sc.token(t), body: in}
}

// webhookRoutes are the calls about one webhook.
func webhookRoutes(id string) []route {
	const delivery = "msg_0" // none is called so
	return []route{
		{http.MethodGet, webhookPath(id), scopeSessionRead, nil},
		{http.MethodDelete, webhookPath(id), scopeSessionWrite, nil},
		{http.MethodPost, webhookPath(id) + "/rotate", scopeSessionWrite, nil},
		{http.MethodPost, webhookPath(id) + "/enable", scopeSessionWrite, nil},
		{http.MethodPost, webhookPath(id) + "/test", scopeSessionWrite, nil},
		{http.MethodGet, webhookPath(id) + "/deliveries", scopeSessionRead, nil},
		{http.MethodPost, webhookPath(id) + "/deliveries/replay", scopeSessionWrite, nil},
		{http.MethodGet, webhookPath(id) + "/deliveries/" + delivery, scopeSessionRead, nil},
		{http.MethodPost, webhookPath(id) + "/deliveries/" + delivery + "/replay", scopeSessionWrite, nil},
	}
}

func webhookLife(t T, sc *scene) {
	a := sc.want(t, http.StatusCreated, sc.post(t, webhooksPath, body{"name": "CRM", "url": nowhere, "events": []any{"cobrowse.session.ended"}, "colour": "blue"}))
	var w, got webhookBody
	a.into(t, &w)
	sc.later(func(t T) {
		t.Helper()
		sc.do(t, sc.deleteOf(t, webhookPath(w.ID)))
	})
	path := webhookPath(w.ID)
	if !uuidForm.MatchString(w.ID) || w.SelfURI != path || !strings.HasSuffix(a.header.Get("Location"), path) || a.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(w.Secret, "whsec_") {
		t.Errorf("id %q, selfUri %q, Location %q, Cache-Control %q, or a secret without whsec_", w.ID, w.SelfURI, a.header.Get("Location"), a.header.Get("Cache-Control"))
	}
	sc.want(t, http.StatusOK, sc.get(t, path)).into(t, &got)
	if got.Name != "CRM" || got.URL != nowhere || !slices.Equal(got.Events, []string{"cobrowse.session.ended"}) || got.Disabled || got.Secret != "" {
		t.Errorf("the webhook reads as %+v", got)
	}
	date(t, "dateCreated", got.DateCreated)
	if !slices.ContainsFunc(page[webhookBody](t, sc.want(t, http.StatusOK, sc.get(t, webhooksPath+"?pageSize=100"))).Entities, func(e webhookBody) bool { return e.ID == w.ID && e.Secret == "" }) {
		t.Errorf("the webhook is not in the list, or with its secret")
	}
	got = webhookBody{}
	sc.want(t, http.StatusOK, sc.putWebhook(t, w.ID, body{"url": nowhere + "/2"})).into(t, &got)
	if got.ID != w.ID || got.Name != "" || got.URL != nowhere+"/2" || len(got.Events) != 0 || got.Secret != "" || got.DateCreated != w.DateCreated {
		t.Errorf("after PUT the webhook reads as %+v, want what was sent alone, with the first id and date", got)
	}
	sc.want(t, http.StatusNoContent, sc.deleteOf(t, path))
	for _, r := range webhookRoutes(w.ID) {
		sc.refused(t, http.StatusNotFound, "not.found", call{method: r.method, path: r.path, token: sc.token(t)})
	}
	sc.refused(t, http.StatusNotFound, "not.found", sc.putWebhook(t, w.ID, body{"url": nowhere}))
	sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.get(t, webhooksPath+"?pageSize=0"))
}

func webhookRefused(t T, sc *scene) {
	w := sc.webhook(t)
	for _, tt := range []struct {
		name  string
		in    body
		field string
	}{
		{"no address", body{"name": "x"}, "url"},
		{"address is a number", body{"url": 7}, "url"},
		{"address of another scheme", body{"url": "ftp://webhooks.invalid/"}, "url"},
		{"address with a password", body{"url": "https://user:password@webhooks.invalid/"}, "url"},
		{"address with a fragment", body{"url": nowhere + "#x"}, "url"},
		{"metadata of the cloud", body{"url": "https://169.254.169.254/latest/meta-data/"}, "url"},
		{"long address", body{"url": nowhere + strings.Repeat("x", 2048)}, "url"},
		{"long name", body{"url": nowhere, "name": strings.Repeat("n", 201)}, "name"},
		{"unknown event", body{"url": nowhere, "events": []any{"cobrowse.session.ended", "session.ended"}}, "events[1]"},
		{"event twice", body{"url": nowhere, "events": []any{"cobrowse.session.ended", "cobrowse.session.ended"}}, "events[1]"},
		{"a word for yes", body{"url": nowhere, "disabled": "yes"}, "disabled"},
	} {
		t.Run(tt.name, func(t T) {
			for _, c := range []call{sc.post(t, webhooksPath, tt.in), sc.putWebhook(t, w.ID, tt.in)} {
				if got := sc.badRequest(t, c).fields(); !slices.Equal(got, []string{tt.field}) {
					t.Errorf("%s: details name %q, want %q", c.method, got, tt.field)
				}
			}
		})
	}
	sc.refused(t, http.StatusBadRequest, "constraint.validation", sc.post(t, webhookPath(w.ID)+"/deliveries/replay", body{"since": "yesterday"}))
	for _, query := range []string{"?state=any", "?after=x", "?pageSize=101"} {
		sc.refused(t, http.StatusBadRequest, "invalid.query.param.value", sc.get(t, webhookPath(w.ID)+"/deliveries"+query))
	}
	for _, r := range webhookRoutes(w.ID)[7:] {
		sc.refused(t, http.StatusNotFound, "not.found", call{method: r.method, path: r.path, token: sc.token(t)})
	}
}

func webhookScopes(t T, sc *scene) {
	w := sc.webhook(t)
	for _, scope := range []string{scopeSessionWrite, scopeSessionRead, scopeUserRead} {
		token := sc.scoped(t, scope)
		sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", call{method: http.MethodPost, path: webhooksPath, token: token, body: body{"url": nowhere}})
		sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", call{method: http.MethodPut, path: webhookPath(w.ID), token: token, body: body{"url": nowhere}})
	}
	// The token counts before what the body says, and so does the scope.
	sc.refused(t, http.StatusUnauthorized, "bad.credentials", call{method: http.MethodPost, path: webhooksPath, token: "bad", body: "{"})
	sc.refused(t, http.StatusUnauthorized, "bad.credentials", call{method: http.MethodPut, path: webhookPath(w.ID), token: "bad", body: "{"})
	sc.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", call{method: http.MethodPost, path: webhooksPath, token: sc.scoped(t, scopeSessionWrite), body: "{"})
	var got webhookBody
	sc.want(t, http.StatusOK, sc.get(t, webhookPath(w.ID))).into(t, &got)
	if got.Name != w.Name {
		t.Errorf("the webhook was changed: %+v", got)
	}
}

func webhookRotate(t T, sc *scene) {
	w := sc.webhook(t)
	var got webhookBody
	a := sc.want(t, http.StatusOK, sc.post(t, webhookPath(w.ID)+"/rotate", nil))
	a.into(t, &got)
	if got.Secret == w.Secret || !strings.HasPrefix(got.Secret, "whsec_") || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the secret is the one before or none, or its answer may be kept")
	}
	date(t, "previousSecretExpires", got.Previous)
}

func webhookDisabled(t T, sc *scene) {
	w := sc.webhook(t)
	var got webhookBody
	sc.want(t, http.StatusOK, sc.putWebhook(t, w.ID, body{"url": nowhere, "disabled": true})).into(t, &got)
	if !got.Disabled || got.DisabledReason != "request" {
		t.Errorf("the webhook reads as %+v, want it disabled", got)
	}
	for _, path := range []string{"/test", "/deliveries/replay", "/deliveries/msg_0/replay"} {
		sc.refused(t, http.StatusConflict, "request.conflict", sc.post(t, webhookPath(w.ID)+path, nil))
	}
	got = webhookBody{}
	sc.want(t, http.StatusOK, sc.post(t, webhookPath(w.ID)+"/enable", nil)).into(t, &got)
	if got.Disabled || got.DisabledReason != "" {
		t.Errorf("the webhook reads as %+v, want it enabled", got)
	}
}

// patienceForPing bounds the wait for an attempt at a name that does not exist.
const patienceForPing = 20 * time.Second

// outcome waits until a delivery is not pending any more.
func (sc *scene) outcome(t T, path string) webhookDelivery {
	t.Helper()
	const every = 20 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	over := time.NewTimer(patienceForPing)
	defer over.Stop()
	for {
		var d webhookDelivery
		sc.want(t, http.StatusOK, sc.get(t, path)).into(t, &d)
		if d.State != "pending" {
			return d
		}
		select {
		case <-ticker.C:
		case <-over.C:
			t.Fatalf("the delivery is pending after %s", patienceForPing)
		case <-t.Context().Done():
			t.Fatalf("the test has ended")
		}
	}
}

func webhookDeliveries(t T, sc *scene) {
	w := sc.webhook(t)
	a := sc.want(t, http.StatusAccepted, sc.post(t, webhookPath(w.ID)+"/test", nil))
	var ping webhookDelivery
	a.into(t, &ping)
	if ping.Type != "cobrowse.webhook.ping" || !strings.HasPrefix(ping.ID, "msg_") || !strings.HasSuffix(a.header.Get("Location"), ping.SelfURI) {
		t.Errorf("the ping reads as %+v, Location %q", ping, a.header.Get("Location"))
	}
	d := sc.outcome(t, ping.SelfURI)
	if d.State != "dead" || len(d.Attempts) != 1 || d.Attempts[0].Result == "delivered" || d.Payload.Type != ping.Type || d.Payload.Data.WebhookID != w.ID {
		t.Errorf("the ping became %+v, want it dead after one attempt, with what was told", d)
	}
	list := func(state string) []webhookDelivery {
		t.Helper()
		var listed struct {
			Entities []webhookDelivery `json:"entities"`
		}
		sc.want(t, http.StatusOK, sc.get(t, webhookPath(w.ID)+"/deliveries?state="+state)).into(t, &listed)
		return listed.Entities
	}
	if dead := list("dead"); len(dead) != 1 || dead[0].ID != ping.ID {
		t.Errorf("dead are %+v, want the ping", dead)
	}
	if others := append(list("pending"), list("delivered")...); len(others) != 0 {
		t.Errorf("others are %+v, want none", others)
	}
	var again webhookDelivery
	sc.want(t, http.StatusAccepted, sc.post(t, ping.SelfURI+"/replay", nil)).into(t, &again)
	if again.ID != ping.ID {
		t.Errorf("the replay has the id %s, want %s", again.ID, ping.ID)
	}
	if d := sc.outcome(t, ping.SelfURI); len(d.Attempts) != 2 {
		t.Errorf("after the replay there are %d attempts, want 2", len(d.Attempts))
	}
	var all struct {
		Replayed int `json:"replayed"`
	}
	sc.want(t, http.StatusAccepted, sc.post(t, webhookPath(w.ID)+"/deliveries/replay", body{"since": "2999-01-01T00:00:00Z"})).into(t, &all)
	if all.Replayed != 0 {
		t.Errorf("%d were replayed of events that are to come, want none", all.Replayed)
	}
	sc.want(t, http.StatusAccepted, sc.post(t, webhookPath(w.ID)+"/deliveries/replay", nil)).into(t, &all)
	if all.Replayed != 1 {
		t.Errorf("%d were replayed, want 1", all.Replayed)
	}
	sc.outcome(t, ping.SelfURI)
}

func webhookMost(t T, sc *scene) {
	const enough = 25 // the default is 20
	for range enough {
		a := sc.do(t, sc.post(t, webhooksPath, body{"url": nowhere, "disabled": true}))
		if a.status == http.StatusConflict {
			return
		}
		var w webhookBody
		a.into(t, &w)
		sc.later(func(t T) {
			t.Helper()
			sc.do(t, sc.deleteOf(t, webhookPath(w.ID)))
		})
	}
	t.Logf("the organisation may have more than %d webhooks", enough)
}
