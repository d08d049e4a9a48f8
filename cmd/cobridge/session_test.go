package main

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/cobrowse/client"
)

// The commands that call a service, against the demo over TLS, from a session's
// creation to its record.
func TestSessionCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	info, _ := demo(t, "--data", dir, "--tls-self-signed", "--tls-name", "cobridge.example")
	certificate := filepath.Join(dir, "cobridge-cert.pem")
	env := []string{"COBRIDGE_SERVER=" + info.BaseURL, "COBRIDGE_CLIENT_ID=" + info.ClientID, "COBRIDGE_CLIENT_SECRET=" + info.ClientSecret, "COBRIDGE_CA_FILE=" + certificate}
	do := func(args ...string) result {
		t.Helper()
		return cli(t, env, "", args...)
	}
	transport, err := trusting(certificate)
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(client.Options{BaseURL: info.BaseURL, ClientID: info.ClientID, ClientSecret: info.ClientSecret, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	create := []string{"session", "create", "--conversation", info.ConversationID, "--agent", info.AgentUserID}
	var session startedSession
	if r := do(append(create, "--inactivity-minutes", "30", "--json")...); json.Unmarshal([]byte(r.out), &session) != nil || !session.Created || session.Settings.TimeoutInMinutes != 30 {
		t.Fatalf("create = %+v, want a new session", r)
	}
	do(create...).want(t, 1, "", "it is "+session.ID+", with which --reuse goes on")
	do(append(create, "--reuse")...).want(t, 0, "reused "+session.ID, "")
	var reused startedSession
	if r := do(append(create, "--supervisor", info.SupervisorUserID, "--reuse", "--json")...); json.Unmarshal([]byte(r.out), &reused) != nil || reused.Created || reused.ID != session.ID || len(reused.Participants) != 2 {
		t.Fatalf("create --reuse = %+v, want the session with its supervisor", r)
	}
	do(append(create, "--customer", "--customer-name", "Kim", "--reuse")...).want(t, 1, "", "without a customer: 409")

	do("session", "list").want(t, 0, session.ID, "")
	do("session", "list").want(t, 0, "agent invited, supervisor invited", "")
	do("session", "list", "--state", "ended", "--json").want(t, 0, "", "")
	do("session", "list", "--state", "asleep").want(t, 1, "", "400 Bad Request")
	var shown client.Session
	if r := do("session", "show", session.ID); json.Unmarshal([]byte(r.out), &shown) != nil || shown.ID != session.ID || strings.Contains(r.out, "joinUrl") {
		t.Errorf("show = %+v, want the session without join URLs", r)
	}
	do("session", "show", "nobody").want(t, 1, "", "404 Not Found")

	issued := do("session", "token", session.ID, info.AgentUserID)
	if u, err := url.Parse(strings.TrimSpace(issued.out)); err != nil || issued.code != 0 || u.Path != "/cobrowse/join" || u.Query().Get("token") == "" {
		t.Errorf("token = %+v, want a join URL", issued)
	}
	do("session", "token", session.ID, info.AgentUserID, "--json").want(t, 0, `"expiresAt"`, "")
	do("session", "token", session.ID, "nobody").want(t, 1, "", "404 Not Found")
	do("session", "token", session.ID).want(t, 0, "supervisor  "+info.SupervisorUserID, "")
	var all client.Session
	if r := do("session", "token", session.ID, "--json"); json.Unmarshal([]byte(r.out), &all) != nil || len(all.Participants) != 2 || all.Participants[1].JoinURL == "" {
		t.Errorf("token of all = %+v, want both with a join URL", r)
	}
	do("session", "wait", session.ID, "--for", "10ms").want(t, 1, "", "session "+session.ID+" is not active after 10ms")

	do("history", "get", session.ID).want(t, 1, "", "404 Not Found")
	do("session", "end", session.ID, "nobody").want(t, 1, "ended "+session.ID, "nobody: 404")
	do("session", "end", session.ID).want(t, 0, "ended "+session.ID, "")
	do("session", "wait", session.ID).want(t, 1, "", "ended before it became active: ended")
	do("session", "wait", session.ID, "--state", "ended").want(t, 0, "ended "+session.ID+" ended\n", "")
	do("session", "wait", session.ID, "--state", "ended", "--json").want(t, 0, `"endReason": "ended"`, "")
	do("session", "wait", "nobody").want(t, 1, "", "404 Not Found")
	link := do("history", "link", session.ID)
	if u, err := url.Parse(strings.TrimSpace(link.out)); err != nil || link.code != 0 || u.Path != "/cobrowse/history/"+session.ID || u.Query().Get("token") == "" {
		t.Errorf("link = %+v, want the address of the history page", link)
	}
	do("history", "link", session.ID, "--json").want(t, 0, `"expiresAt"`, "")
	do("history", "link", "nobody").want(t, 1, "", "404 Not Found")
	do("session", "token", session.ID, info.AgentUserID).want(t, 1, "", "409 Conflict")
	do("history", "get", session.ID).want(t, 0, `"endReason": "ended"`, "")
	do("history", "export").want(t, 0, session.ID, "")
	do("history", "export", "--conversation", "other").want(t, 0, "", "")
	do("history", "export", "--from", "2020-01-01", "--to", "2020-01-02T00:00:00Z").want(t, 0, "", "")

	output := filepath.Join(dir, "export.jsonl")
	do("history", "export", "--output", output).want(t, 0, "", "")
	text, err := os.ReadFile(output)
	var record client.HistoryRecord
	if err != nil || json.Unmarshal(text, &record) != nil || record.ID != session.ID || strings.Count(string(text), "\n") != 1 {
		t.Errorf("export wrote %q (%v), want one record", text, err)
	}
	do("history", "export", "--output", output).want(t, 1, "", "exists")

	site, err := api.CreateDeployment(t.Context(), client.NewDeployment{Name: "Site of the test", AllowedOrigins: []string{"https://shop.example"}, AllowDraw: true})
	if err != nil {
		t.Fatalf("create deployment: %v", err)
	}
	do("deployment", "list").want(t, 0, site.ID+"  Site of the test", "")
	do("deployment", "list", "--json").want(t, 0, `"id":"`+site.ID+`"`, "")
	do("deployment", "show", site.ID).want(t, 0, `"allowDraw": true`, "")
	do("deployment", "show", "nobody").want(t, 1, "", "404 Not Found")

	// A secret from standard input; one that is wrong; a certificate that is not trusted.
	cli(t, env[:2], info.ClientSecret+"\n", "session", "list", "--client-secret-file", "-", "--ca-file", certificate).want(t, 0, "ID", "")
	cli(t, env, "wrong", "session", "list", "--client-secret-file", "-").want(t, 1, "", "invalid_client")
	cli(t, env[:3], "", "session", "list").want(t, 1, "", "certificate")
}

// An export that fails in the middle leaves no file that looks whole.
func TestExportFails(t *testing.T) {
	t.Parallel()
	info, stop := demo(t)
	stop()
	output := filepath.Join(t.TempDir(), "export.jsonl")
	env := []string{"COBRIDGE_CLIENT_ID=x", "COBRIDGE_CLIENT_SECRET=y"}
	cli(t, env, "", "history", "export", "--server", info.BaseURL, "--timeout", "100ms", "--output", output).want(t, 1, "", "connection refused")
	if _, err := os.Stat(output); err == nil {
		t.Error("a failed export left its file")
	}
}

func TestMoment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"":                          {},
		"2026-03-04":                time.Date(2026, time.March, 4, 0, 0, 0, 0, time.UTC),
		"2026-03-04T05:06:07+01:00": time.Date(2026, time.March, 4, 4, 6, 7, 0, time.UTC),
	} {
		if got, err := moment(text); err != nil || !got.Equal(want) {
			t.Errorf("moment(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
}
