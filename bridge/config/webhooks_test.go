package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
)

const goodWebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestWebhooks(t *testing.T) {
	t.Parallel()
	const id = "7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0b01"
	good := config.Webhook{ID: id, URL: "https://example.org/hooks", Secret: goodWebhookSecret, Events: []string{"cobrowse.session.created"}}
	for _, tt := range []struct {
		name   string
		change func(*config.Config, *config.Webhook)
		want   string // "" = nothing is wrong
	}{
		{"good", func(*config.Config, *config.Webhook) {}, ""},
		{"no id", func(_ *config.Config, w *config.Webhook) { w.ID = "" }, "organisations[0].webhooks[0].id"},
		{"no URL", func(_ *config.Config, w *config.Webhook) { w.URL = "" }, "organisations[0].webhooks[0].url"},
		{"user in URL", func(_ *config.Config, w *config.Webhook) { w.URL = "https://u:p@example.org/" }, "organisations[0].webhooks[0].url"},
		{"http", func(_ *config.Config, w *config.Webhook) { w.URL = "http://example.org/" }, "organisations[0].webhooks[0].url: http, want https"},
		{"http that is allowed", func(c *config.Config, w *config.Webhook) { w.URL, c.Webhooks.AllowHTTP = "http://example.org/", true }, ""},
		{"unknown event", func(_ *config.Config, w *config.Webhook) { w.Events = []string{"session.created"} }, "organisations[0].webhooks[0].events[0]"},
		{"event twice", func(_ *config.Config, w *config.Webhook) { w.Events = append(w.Events, w.Events[0]) }, "organisations[0].webhooks[0].events[1]"},
		{"long name", func(_ *config.Config, w *config.Webhook) { w.Name = strings.Repeat("n", 201) }, "organisations[0].webhooks[0].name"},
		{"no secret", func(_ *config.Config, w *config.Webhook) { w.Secret = "" }, "organisations[0].webhooks[0].secret: missing"},
		{"short secret", func(_ *config.Config, w *config.Webhook) { w.Secret = "whsec_c2hvcnQ=" }, "organisations[0].webhooks[0].secret: want whsec_"},
		{"secret of another kind", func(_ *config.Config, w *config.Webhook) { w.Secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }, "organisations[0].webhooks[0].secret: want whsec_"},
		{"network", func(c *config.Config, _ *config.Webhook) { c.Webhooks.AllowNetworks = []string{"10.0.0.1"} }, "webhooks.allowNetworks[0]"},
		{"delay", func(c *config.Config, _ *config.Webhook) { c.Webhooks.RetryDelays = []string{"5s", "soon"} }, "webhooks.retryDelays[1]"},
		{"short delay", func(c *config.Config, _ *config.Webhook) { c.Webhooks.RetryDelays = []string{"5ms"} }, "webhooks.retryDelays[0]"},
		{"no delays", func(c *config.Config, _ *config.Webhook) { c.Webhooks.RetryDelays = nil }, ""},
		{"too many delays", func(c *config.Config, _ *config.Webhook) { c.Webhooks.RetryDelays = slices.Repeat([]string{"5s"}, 21) }, "webhooks.retryDelays: 21"},
		{"timeout", func(c *config.Config, _ *config.Webhook) { c.Webhooks.Timeout = time.Minute }, "webhooks.timeout"},
		{"workers", func(c *config.Config, _ *config.Webhook) { c.Webhooks.Workers = 1 }, "webhooks.workers"},
		{"never disabled", func(c *config.Config, _ *config.Webhook) { c.Webhooks.DisableAfter = 0 }, ""},
		{"disabled too soon", func(c *config.Config, _ *config.Webhook) { c.Webhooks.DisableAfter = time.Minute }, "webhooks.disableAfter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, w := config.Default(), good
			w.Events = slices.Clone(good.Events)
			tt.change(&c, &w)
			c.Organisations = []config.Organisation{{ID: orgID, Name: "Organisation", Webhooks: []config.Webhook{w}}}
			err := c.Validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Validate = %v, want %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "u:p") || strings.Contains(err.Error(), "MfKQ")) {
				t.Errorf("Validate shows a secret: %v", err)
			}
		})
	}
}
