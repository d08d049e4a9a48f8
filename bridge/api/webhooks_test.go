package api_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/egress"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/oauth"
)

const webhooksURL = "/api/v2/cobrowse/webhooks"

// receiver is a notify.Sender.
type receiver struct {
	mu     sync.Mutex
	status int
	got    []notify.SendRequest
}

func (r *receiver) Send(_ context.Context, in notify.SendRequest) notify.Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, in)
	if r.status == http.StatusOK {
		return notify.Answer{Status: r.status, Result: notify.ResultDelivered}
	}
	return notify.Answer{Status: r.status, Result: notify.ResultStatus}
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

type webhookAnswer struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

type deliveryAnswer struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	SelfURI string `json:"selfUri"`
}

// webhookHouse is a house with webhooks, whose receivers answer 200.
func webhookHouse(t *testing.T) (*house, *notify.Webhooks, *receiver) {
	t.Helper()
	to := &receiver{status: http.StatusOK}
	var hooks *notify.Webhooks
	h := newHouse(t, func(d *api.Deps) {
		store, ok := d.Deployments.(*bolt.Store)
		if !ok {
			t.Fatal("the house has another store")
		}
		hooks = notify.NewWebhooks(notify.WebhooksConfig{
			Store: store, Clock: func() time.Time { return t0 }, Sender: to, Log: slog.New(slog.DiscardHandler), Ping: api.WebhookPing,
			Rule: notify.URLRule{Address: func(a netip.Addr) error { return egress.Policy{}.Check(a) }},
			Render: func(ctx context.Context, e cobrowse.Event) ([]byte, error) {
				return api.WebhookPayload(ctx, d.Sessions, e)
			},
			Limits: notify.WebhookLimits{PerOrg: 3, Delays: []time.Duration{}},
		})
		d.Webhooks = hooks
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- hooks.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return h, hooks, to
}

func (h *house) webhook(t *testing.T, body string) (self string) {
	t.Helper()
	var w webhookAnswer
	h.want(t, http.StatusCreated, http.MethodPost, webhooksURL, body).into(t, &w)
	return webhooksURL + "/" + w.ID
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	h, _, _ := webhookHouse(t)
	created := h.want(t, http.StatusCreated, http.MethodPost, webhooksURL, `{"name":"CRM","url":"https://crm.example/hooks","events":["cobrowse.session.created"]}`)
	var w webhookAnswer
	created.into(t, &w)
	self := webhooksURL + "/" + w.ID
	if created.header.Get("Location") != self || created.header.Get("Cache-Control") != "no-store" {
		t.Errorf("created with %v", created.header)
	}
	if _, err := notify.ParseSecret(w.Secret); err != nil {
		t.Errorf("secret: %v", err)
	}
	rotated := h.want(t, http.StatusOK, http.MethodPost, self+"/rotate", "")
	var again webhookAnswer
	rotated.into(t, &again)
	if again.Secret == w.Secret || !strings.Contains(rotated.body, `"previousSecretExpires":"2026-03-05T05:06:07.089Z"`) || rotated.header.Get("Cache-Control") != "no-store" {
		t.Errorf("rotated = %s", rotated.body)
	}
	for _, a := range []answer{
		h.want(t, http.StatusOK, http.MethodGet, self, ""), h.want(t, http.StatusOK, http.MethodGet, webhooksURL, ""),
		h.want(t, http.StatusOK, http.MethodPut, self, `{"url":"https://crm.example/other","disabled":true}`),
		h.want(t, http.StatusOK, http.MethodPost, self+"/enable", ""),
	} {
		if strings.Contains(a.body, "whsec_") || strings.Contains(a.body, "createdBy") {
			t.Errorf("the secret, or who created it, is shown again: %s", a.body)
		}
	}
	if got := h.want(t, http.StatusOK, http.MethodGet, self, "").body; !strings.Contains(got, `"url":"https://crm.example/other","events":[],"disabled":false`) {
		t.Errorf("the webhook = %s", got)
	}
	h.webhook(t, `{"url":"https://a.example/"}`)
	h.webhook(t, `{"url":"https://b.example/","disabled":false}`)
	h.refused(t, http.StatusConflict, "request.conflict", http.MethodPost, webhooksURL, `{"url":"https://c.example/"}`)
	h.refused(t, http.StatusBadRequest, "invalid.query.param.value", http.MethodGet, webhooksURL+"?pageSize=0", "")
	h.want(t, http.StatusNoContent, http.MethodDelete, self, "")
	for _, r := range []struct{ method, path, body string }{
		{http.MethodGet, self, ""},
		{http.MethodDelete, self, ""},
		{http.MethodPut, self, `{"url":"https://c.example/"}`},
		{http.MethodPost, self + "/rotate", ""},
		{http.MethodPost, self + "/enable", ""},
		{http.MethodPost, self + "/test", ""},
		{http.MethodGet, self + "/deliveries", ""},
		{http.MethodPost, self + "/deliveries/replay", ""},
		{http.MethodGet, self + "/deliveries/msg_1", ""},
		{http.MethodPost, self + "/deliveries/msg_1/replay", ""},
	} {
		h.refused(t, http.StatusNotFound, "not.found", r.method, r.path, r.body)
	}
}

func TestWebhookRefusals(t *testing.T) {
	t.Parallel()
	h, _, _ := webhookHouse(t)
	self := h.webhook(t, `{"url":"https://crm.example/hooks"}`)
	for body, field := range map[string]string{
		`{}`:                              "url",
		`{"url":""}`:                      "url",
		`{"url":7}`:                       "url",
		`{"url":"http://crm.example/"}`:   "url",
		`{"url":"https://u:p@a.example"}`: "url",
		`{"url":"https://10.0.0.1/"}`:     "url",
		`{"url":"https://[::1]/"}`:        "url",
		`{"url":"https://169.254.169.254/latest/meta-data"}`:                                        "url",
		`{"url":"https://a.example/","events":["session.created"]}`:                                 "events[0]",
		`{"url":"https://a.example/","events":["cobrowse.session.ended","cobrowse.webhook.ping"]}`:  "events[1]",
		`{"url":"https://a.example/","events":["cobrowse.session.ended","cobrowse.session.ended"]}`: "events[1]",
		`{"url":"https://a.example/","name":"` + strings.Repeat("n", 201) + `"}`:                    "name",
		`{"url":"https://a.example/","disabled":"yes"}`:                                             "disabled",
		`{"url":"https://a.example/` + strings.Repeat("x", 2048) + `"}`:                             "url",
	} {
		for method, path := range map[string]string{http.MethodPost: webhooksURL, http.MethodPut: self} {
			a := h.want(t, http.StatusBadRequest, method, path, body)
			if e := a.envelope(t); len(e.Details) != 1 || e.Details[0].FieldName != field {
				t.Errorf("%s with %s = %s, want a detail about %s", method, body, a.body, field)
			}
		}
	}
	h.refused(t, http.StatusBadRequest, "constraint.validation", http.MethodPost, self+"/deliveries/replay", `{"since":"yesterday"}`)
	for _, query := range []string{"?state=gone", "?after=x", "?after=" + strings.Repeat("x", 300), "?after=MS4y", "?pageSize=1000"} {
		h.refused(t, http.StatusBadRequest, "invalid.query.param.value", http.MethodGet, self+"/deliveries"+query, "")
	}
	h.refused(t, http.StatusNotFound, "not.found", http.MethodGet, self+"/deliveries/msg_1", "")
	h.refused(t, http.StatusNotFound, "not.found", http.MethodPost, self+"/deliveries/msg_1/replay", "")
	// Who cannot read sessions cannot have them told.
	if _, _, err := h.oauth.CreateClient(t.Context(), oauth.ClientSpec{ID: "writer", OrgID: string(org), Name: "Writer", Secret: clientSecret, Scopes: []string{string(oauth.ScopeCobrowseWrite)}}); err != nil {
		t.Fatal(err)
	}
	writer := "Authorization: Bearer " + h.grant(t, "writer")
	h.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", http.MethodPost, webhooksURL, `{"url":"https://a.example/"}`, writer)
	h.refused(t, http.StatusForbidden, "app.not.authorized.for.scope", http.MethodPut, self, `{"url":"https://a.example/"}`, writer)
	// One of the configuration is the configuration's.
	h.want(t, http.StatusOK, http.MethodPut, self, `{"url":"https://crm.example/hooks","disabled":true}`)
	for _, path := range []string{"/test", "/deliveries/replay", "/deliveries/msg_1/replay"} {
		h.refused(t, http.StatusConflict, "request.conflict", http.MethodPost, self+path, "")
	}
}

func TestConfiguredWebhook(t *testing.T) {
	t.Parallel()
	h, hooks, _ := webhookHouse(t)
	const id = "0a1b2c3d-0000-4000-8000-00000000f001"
	if err := hooks.Seed(t.Context(), []notify.ConfiguredWebhook{{ID: id, OrgID: org, Key: make([]byte, 24), WebhookSpec: notify.WebhookSpec{URL: "https://crm.example/", Disabled: true}}}); err != nil {
		t.Fatal(err)
	}
	self := webhooksURL + "/" + id
	h.want(t, http.StatusOK, http.MethodGet, self, "")
	for _, r := range []struct{ method, path, body string }{
		{http.MethodDelete, self, ""}, {http.MethodPut, self, `{"url":"https://c.example/"}`}, {http.MethodPost, self + "/rotate", ""}, {http.MethodPost, self + "/enable", ""},
	} {
		h.refused(t, http.StatusConflict, "request.conflict", r.method, r.path, r.body)
	}
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	h, hooks, to := webhookHouse(t)
	self := h.webhook(t, `{"url":"https://crm.example/hooks"}`)
	s, err := h.sessions.Start(t.Context(), cobrowse.StartRequest{
		OrgID: org, ConversationID: talk, ClientID: clientID,
		Participants: []cobrowse.Invite{{Role: cobrowse.RoleAgent, UserID: ann}, {Role: cobrowse.RoleSupervisor, UserID: ben}},
	})
	if err != nil {
		t.Fatal(err)
	}
	happen := func(n int) {
		t.Helper()
		for i := range n {
			if err := hooks.Record(t.Context(), cobrowse.Event{
				Sequence: uint64(i + 1), Type: cobrowse.EventCreated, At: t0, OrgID: org, SessionID: s.Session.ID, ConversationID: talk,
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := hooks.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	to.answer(http.StatusInternalServerError)
	happen(3)
	list := func(query string) (all []deliveryAnswer) {
		t.Helper()
		for path := self + "/deliveries" + query; path != ""; {
			var page struct {
				Entities []deliveryAnswer `json:"entities"`
				NextURI  string           `json:"nextUri"`
			}
			h.want(t, http.StatusOK, http.MethodGet, path, "").into(t, &page)
			all, path = append(all, page.Entities...), page.NextURI
		}
		return all
	}
	dead := list("?state=dead&pageSize=2")
	if len(dead) != 3 || len(list("")) != 0 || len(list("?state=delivered")) != 0 {
		t.Fatalf("dead = %+v, want 3 and no others", dead)
	}
	one := h.want(t, http.StatusOK, http.MethodGet, dead[0].SelfURI, "")
	token := string(s.Session.Token)
	if strings.Contains(one.body, token) || strings.Contains(one.body, "joinUrl") || !strings.Contains(one.body, `"result":"status"`) || !strings.Contains(one.body, `"state":"idle"`) {
		t.Errorf("the delivery = %s, want the session in it, without what lets somebody in", one.body)
	}
	if body := string(to.got[0].Body); strings.Contains(body, token) || strings.Contains(body, "sessionToken") ||
		!strings.HasPrefix(body, `{"type":"cobrowse.session.created","timestamp":"2026-03-04T05:06:07.089Z","data":{"organizationId":"`+string(org)+`","sequence":`) {
		t.Errorf("what is told = %s", body)
	}
	to.answer(http.StatusOK)
	replayed := h.want(t, http.StatusAccepted, http.MethodPost, dead[0].SelfURI+"/replay", "")
	if replayed.header.Get("Location") != dead[0].SelfURI {
		t.Errorf("replayed with %v", replayed.header)
	}
	happen(0)
	if got := h.want(t, http.StatusAccepted, http.MethodPost, self+"/deliveries/replay", `{"since":"2026-03-04T05:06:07.090Z"}`).body; got != `{"replayed":0}` {
		t.Errorf("replayed since later = %s", got)
	}
	if got := h.want(t, http.StatusAccepted, http.MethodPost, self+"/deliveries/replay", `{"since":"2026-03-04T05:06:07.089Z"}`).body; got != `{"replayed":2}` {
		t.Errorf("replayed = %s", got)
	}
	happen(0)
	if got := h.want(t, http.StatusAccepted, http.MethodPost, self+"/deliveries/replay", "").body; got != `{"replayed":0}` {
		t.Errorf("replayed without a body = %s", got)
	}
	if got := list("?state=delivered"); len(got) != 3 {
		t.Errorf("delivered = %+v, want 3", got)
	}
	ping := h.want(t, http.StatusAccepted, http.MethodPost, self+"/test", "")
	happen(0)
	var p deliveryAnswer
	ping.into(t, &p)
	h.want(t, http.StatusOK, http.MethodGet, p.SelfURI, "").into(t, &p)
	if p.State != "delivered" {
		t.Errorf("the ping is %s", p.State)
	}
	if body := string(to.got[len(to.got)-1].Body); body != fmt.Sprintf(`{"type":"cobrowse.webhook.ping","timestamp":"2026-03-04T05:06:07.089Z","data":{"organizationId":%q,"webhookId":%q}}`, org, strings.TrimPrefix(self, webhooksURL+"/")) {
		t.Errorf("the ping = %s", body)
	}
}
