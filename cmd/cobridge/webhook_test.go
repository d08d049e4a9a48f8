package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/cobrowse/client"
)

// The commands for webhooks against the demo, with an address where nobody is.
func TestWebhookCommands(t *testing.T) {
	t.Parallel()
	info, _ := demo(t)
	env := []string{"COBRIDGE_SERVER=" + info.BaseURL, "COBRIDGE_CLIENT_ID=" + info.ClientID, "COBRIDGE_CLIENT_SECRET=" + info.ClientSecret}
	do := func(args ...string) result {
		t.Helper()
		return cli(t, env, "", append([]string{"webhook"}, args...)...)
	}
	var hook client.Webhook
	if r := do("create", "https://webhooks.invalid/hooks", "--name", "CRM", "--events", "cobrowse.session.created,cobrowse.session.ended"); json.Unmarshal([]byte(r.out), &hook) != nil || !strings.HasPrefix(hook.Secret, "whsec_") || len(hook.Events) != 2 {
		t.Fatalf("create = %+v, want a webhook with its secret", r)
	}
	do("create", "http://webhooks.invalid/").want(t, 1, "", "400 Bad Request")
	do("create", "https://127.0.0.1/").want(t, 1, "", "url")
	do("create").want(t, 2, "", "accepts 1 arg")
	do("list").want(t, 0, "ok", "")
	do("list", "--json").want(t, 0, hook.ID, "")
	if r := do("show", hook.ID); r.code != 0 || strings.Contains(r.out, "whsec_") {
		t.Errorf("show = %+v, want the webhook without its secret", r)
	}
	do("show", "nobody").want(t, 1, "", "404 Not Found")
	if r := do("rotate", hook.ID); r.code != 0 || !strings.Contains(r.out, "whsec_") || strings.Contains(r.out, hook.Secret) {
		t.Errorf("rotate = %+v, want another secret", r)
	}
	var ping client.Delivery
	tested := do("test", hook.ID)
	tested.want(t, 1, `"state": "dead"`, "did not take the ping")
	if err := json.Unmarshal([]byte(tested.out), &ping); err != nil {
		t.Fatal(err)
	}
	do("test", hook.ID, "--wait", "0").want(t, 0, `"state": "pending"`, "")
	do("deliveries", hook.ID).want(t, 0, "dead: attempts", "")
	do("deliveries", hook.ID, "--state", "pending", "--json").want(t, 0, "", "")
	do("deliveries", hook.ID, "--state", "dead").want(t, 0, ping.ID, "")
	do("deliveries", hook.ID, "--state", "dead", "--json").want(t, 0, `"deadReason":"attempts"`, "")
	do("deliveries", hook.ID, "--state", "lost").want(t, 1, "", "400 Bad Request")
	do("replay", hook.ID).want(t, 2, "", "name deliveries, or give --dead")
	do("replay", hook.ID, ping.ID, "--dead").want(t, 2, "", "name deliveries, or give --dead")
	do("replay", hook.ID, ping.ID, "--since", "1h").want(t, 2, "", "name deliveries, or give --dead")
	do("replay", hook.ID, "--dead", "--since", "yesterday").want(t, 2, "", "--since")
	do("replay", hook.ID, "--dead", "--since", "2999-01-01T00:00:00Z").want(t, 0, "0 sent again", "")
	do("replay", hook.ID, ping.ID).want(t, 0, "1 sent again", "")
	do("replay", hook.ID, "--dead", "--since", "1h").want(t, 0, "sent again", "")
	do("replay", hook.ID, "msg_0").want(t, 1, "", "404 Not Found")
	do("enable", hook.ID).want(t, 0, `"disabled": false`, "")
	do("delete", hook.ID).want(t, 0, "", "")
	do("delete", hook.ID).want(t, 1, "", "404 Not Found")
}
