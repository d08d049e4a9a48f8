package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks/contract"
)

// limitedDemo starts the real program, with the usual rate limits.
func limitedDemo(t *testing.T) demoInfo {
	t.Helper()
	p := start(t, "demo", "--listen", "127.0.0.1:0", "--json", "--rate-limit")
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("read the demo's line: %v", err)
	}
	var info demoInfo
	if err := json.Unmarshal(line, &info); err != nil {
		t.Fatalf("the demo's line is %q: %v", line, err)
	}
	return info
}

// verify runs the command against a service that has what the demo has.
func verify(t *testing.T, info demoInfo, args ...string) result {
	t.Helper()
	env := []string{envClientID + "=" + info.ClientID, envSecret + "=" + info.ClientSecret}
	args = append([]string{"verify", "--base-url", info.BaseURL, "--agent", info.AgentUserID, "--supervisor", info.SupervisorUserID, "--calls-per-minute", "1000000"}, args...)
	return cli(t, env, "", args...)
}

// reported decodes what --json prints.
func reported(t *testing.T, r result) report {
	t.Helper()
	var got report
	if err := json.Unmarshal([]byte(r.out), &got); err != nil {
		t.Fatalf("%v: %q, %q", err, r.out, r.err)
	}
	return got
}

func TestVerify(t *testing.T) {
	t.Parallel()
	info := limitedDemo(t)
	junit := filepath.Join(t.TempDir(), "junit.xml")
	r := verify(t, info, "--knowledge-path", "/gks-server/v1", "--junit", junit)
	if r.code != 0 || strings.Contains(r.out, "FAILED ") || r.err != "" {
		t.Fatalf("exit code %d, output %s, errors %q; want all kept", r.code, r.out, r.err)
	}
	r.want(t, 0, "T21      409 names the live session ", "")
	r.want(t, 0, " 0 FAILED, ", "")
	r.want(t, 0, "the target names no client of another organisation", "")
	var suite junitSuite
	text, err := os.ReadFile(junit)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(text, &suite); err != nil || len(suite.Cases) != suite.Tests || suite.Tests < 100 || suite.Failures != 0 || suite.Skipped == 0 {
		t.Errorf("the JUnit report has %d of %d cases, %d failures, %d skipped (%v)", len(suite.Cases), suite.Tests, suite.Failures, suite.Skipped, err)
	}

	// Nothing of it is left.
	api, err := client.New(client.Options{BaseURL: info.BaseURL, ClientID: info.ClientID, ClientSecret: info.ClientSecret})
	if err != nil {
		t.Fatal(err)
	}
	if live, err := api.Sessions(t.Context(), client.SessionQuery{State: "live"}); err != nil || len(live.Entities) > 0 {
		t.Errorf("%d sessions are live (%v), want none", len(live.Entities), err)
	}

	// On the one conversation that it is given; --server is another name of the flag.
	again := reported(t, cli(t, []string{envClientID + "=" + info.ClientID, envSecret + "=" + info.ClientSecret}, "", "verify", "--server", info.BaseURL, "--agent", info.AgentUserID,
		"--supervisor", info.SupervisorUserID, "--calls-per-minute", "1000000", "--conversation-id", info.ConversationID, "--json", "--run", "^(T13|T21|T24|conversations) "))
	if again.Totals.OK < 4 || again.Totals.Failed > 0 || again.Totals.Skipped < 3 {
		t.Errorf("on one conversation: %+v, want some kept, some skipped, none failed", again.Totals)
	}
	if api.CheckToken(t.Context()) != nil {
		t.Errorf("the access tokens of others have ended")
	}
}

// spoiling stands between the command and a service and changes answers. Links
// still lead to the service.
func spoiling(t *testing.T, info demoInfo, spoil func(*http.Response, []byte) []byte) demoInfo {
	t.Helper()
	to, err := url.Parse(info.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode == http.StatusSwitchingProtocols {
				return nil
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			if err := resp.Body.Close(); err != nil {
				return err
			}
			body = spoil(resp, body)
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			resp.Header.Del("Content-Length")
			return nil
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	info.BaseURL = server.URL
	return info
}

// A service that breaks a promise is found out, and what lets people in is not shown.
func TestVerifyFindsABreak(t *testing.T) {
	t.Parallel()
	info, _ := demo(t)
	var mu sync.Mutex
	var secrets []string
	secret := regexp.MustCompile(`"(?:access_token|token)":"([^"]+)"|\?token=([\w.-]+)"`)
	broken := spoiling(t, info, func(resp *http.Response, body []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		for _, found := range secret.FindAllSubmatch(body, -1) {
			secrets = append(secrets, string(found[1])+string(found[2]))
		}
		switch resp.StatusCode {
		case http.StatusConflict:
			return bytes.ReplaceAll(body, []byte(`"sessionId"`), []byte(`"session"`))
		case http.StatusCreated:
			resp.StatusCode, resp.Status = http.StatusAccepted, "202 Accepted" // with tokens in it
		}
		return body
	})
	args := []string{"--public-url", info.BaseURL, "--run", "^T(13|21|25|3) ", "--junit", filepath.Join(t.TempDir(), "junit.xml")}
	table := verify(t, broken, args...)
	table.want(t, exitFailed, "FAILED", "promises are not kept")
	table.want(t, exitFailed, "      > POST /api/v2/conversations", "")
	table.want(t, exitFailed, "want 201", "")
	if !strings.Contains(table.out, "access_token and numeric expires_in, nothing to store") || strings.Contains(table.out, " 0 ok,") {
		t.Errorf("what is kept is not said to be:\n%s", table.out)
	}
	document := verify(t, broken, append(args, "--json")...)
	got := reported(t, document)
	if document.code != exitFailed || got.Totals.Failed == 0 || got.Totals.OK == 0 {
		t.Errorf("exit code %d with %+v", document.code, got.Totals)
	}
	for _, one := range got.Cases {
		if one.Status == failed && (len(one.Failures) == 0 || one.Failures[0].Request == "" || one.Failures[0].Answer == "" || one.Failures[0].Message == "") {
			t.Errorf("the failure of %q does not say what was sent, answered and expected: %+v", one.Name, one.Failures)
		}
	}
	junit, err := os.ReadFile(args[len(args)-1])
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(secrets) < 5 {
		t.Fatalf("the proxy has seen %d tokens", len(secrets))
	}
	for _, one := range append(secrets, info.ClientSecret) {
		for _, out := range []string{table.out, table.err, document.out, document.err, string(junit)} {
			if one != "" && strings.Contains(out, one) {
				t.Errorf("a token or secret is shown")
			}
		}
	}
}

// One clear sentence instead of a hundred failures.
func TestVerifyCannotStart(t *testing.T) {
	t.Parallel()
	info, stop := demo(t)
	wrong, nobody := info, info
	wrong.ClientSecret = "not-the-secret-of-anybody"
	nobody.AgentUserID = "00000000-0000-4000-8000-000000000000"
	cloud := spoiling(t, info, func(resp *http.Response, body []byte) []byte {
		if resp.Request.Method == http.MethodPost && resp.Request.URL.Path == "/api/v2/conversations" {
			resp.StatusCode, resp.Status = http.StatusForbidden, "403 Forbidden"
			return []byte(`{"message":"Conversations are another system's.","code":"not.authorized","status":403,"details":[],"errors":[]}`)
		}
		return body
	})
	one := func(r result, code int, sentence string) {
		t.Helper()
		r.want(t, code, "", sentence)
		if strings.Contains(r.out, "FAILED") || strings.Count(r.err, "\n") > 3 || strings.Contains(r.err, wrong.ClientSecret) {
			t.Errorf("output %q, errors %q; want one sentence", r.out, r.err)
		}
	}
	one(verify(t, wrong), exitFailed, "refuses the client's credentials")
	one(verify(t, nobody), exitFailed, "--agent "+nobody.AgentUserID+": 404 Not Found")
	one(verify(t, info, "--conversation-id", "nothing"), exitFailed, "--conversation-id nothing: 404 Not Found")
	one(verify(t, cloud), exitFailed, "name an active one with --conversation-id")
	verify(t, cloud, "--conversation-id", info.ConversationID, "--public-url", info.BaseURL, "--run", "^T21 ").want(t, exitDone, "1 ok, 0 FAILED", "")
	one(verify(t, info, "--supervisor", info.AgentUserID), exitUsage, "--agent and --supervisor")
	one(verify(t, info, "--run", "("), exitUsage, "--run: ")
	one(verify(t, info, "--run", "no such case"), exitUsage, "--list shows them")
	one(verify(t, info, "--calls-per-minute", "0"), exitUsage, "--calls-per-minute")
	one(verify(t, info, "--junit", filepath.Join(t.TempDir(), "not", "there.xml")), exitUsage, "--junit: ")
	one(verify(t, info, "--timeout", "-1s"), exitUsage, "--timeout: ")
	one(verify(t, info, "--other-client-id", "x"), exitUsage, "belong together")
	one(verify(t, info, "--legacy-path", "/cobrowse"), exitUsage, "belong together")
	one(cli(t, nil, "", "verify", "--base-url", info.BaseURL), exitUsage, "--client-id")
	stop()
	one(verify(t, info), exitFailed, info.BaseURL+" cannot be reached")
}

// Interrupted, it ends what it has begun.
func TestVerifyInterrupted(t *testing.T) {
	t.Parallel()
	info, _ := demo(t)
	ctx, cancel := context.WithCancel(t.Context())
	created := 0
	between := spoiling(t, info, func(resp *http.Response, body []byte) []byte {
		if resp.Request.Method == http.MethodPost && resp.Request.URL.Path == "/api/v2/cobrowse/sessions" && resp.StatusCode == http.StatusCreated {
			if created++; created == 3 {
				cancel()
			}
		}
		return body
	})
	var out, errs bytes.Buffer
	code := run(ctx, []string{
		"verify", "--base-url", between.BaseURL, "--public-url", info.BaseURL, "--agent", info.AgentUserID, "--supervisor", info.SupervisorUserID, "--calls-per-minute", "1000000",
	}, console{env: []string{envClientID + "=" + info.ClientID, envSecret + "=" + info.ClientSecret}, in: strings.NewReader(""), out: &out, err: &errs})
	if code != exitFailed || !strings.Contains(errs.String(), "stopped") || !strings.Contains(out.String(), "stopped before") {
		t.Errorf("exit code %d, errors %q, output %s", code, &errs, &out)
	}
	api, err := client.New(client.Options{BaseURL: info.BaseURL, ClientID: info.ClientID, ClientSecret: info.ClientSecret})
	if err != nil {
		t.Fatal(err)
	}
	if live, err := api.Sessions(t.Context(), client.SessionQuery{State: "live"}); err != nil || len(live.Entities) > 0 {
		t.Errorf("%d sessions are live (%v), want none", len(live.Entities), err)
	}
}

func TestVerifyList(t *testing.T) {
	t.Parallel()
	r := cli(t, nil, "", "verify", "--list")
	r.want(t, 0, "T21", "")
	r.want(t, 0, "no: it moves the clock", "")
	var all []struct {
		Name     string
		Harmless bool
		Why      string
	}
	if err := json.Unmarshal([]byte(cli(t, nil, "", "verify", "--list", "--json").out), &all); err != nil || len(all) != len(contract.Cases()) {
		t.Fatalf("--list --json has %d cases (%v), want %d", len(all), err, len(contract.Cases()))
	}
	for _, one := range all {
		if one.Harmless == (one.Why != "") {
			t.Errorf("%q: harmless is %t and why %q", one.Name, one.Harmless, one.Why)
		}
	}
}

// What docs/verify.md says to type is typed, and every flag that it speaks of is there.
func TestVerifyDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "verify.md"))
	if err != nil {
		t.Fatal(err)
	}
	help := cli(t, nil, "", "verify", "--help").out
	for _, flag := range regexp.MustCompile("--[a-z][a-z-]+").FindAllString(string(text), -1) {
		if !strings.Contains(help, flag) {
			t.Errorf("docs/verify.md speaks of %s, which the command has not", flag)
		}
	}
	info, _ := demo(t)
	env, ran := []string{}, 0
	dir := t.TempDir()
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "$ export "); ok {
			env = append(env, name)
		}
		args, ok := strings.CutPrefix(line, "$ cobridge ")
		if !ok {
			continue
		}
		ran++
		args = strings.NewReplacer("http://127.0.0.1:8080", info.BaseURL, "'", "", "contract.xml", filepath.Join(dir, "contract.xml")).Replace(args)
		r := cli(t, env, "", append(strings.Fields(args), "--calls-per-minute", "1000000")...)
		r.want(t, 0, " 0 FAILED, ", "")
	}
	if ran < 2 {
		t.Errorf("docs/verify.md has %d command lines, want at least 2", ran)
	}
	if _, err := os.Stat(filepath.Join(dir, "contract.xml")); err != nil {
		t.Errorf("the report: %v", err)
	}
}

// A service whose conversations are a cloud's: another instance plays that.
func TestVerifyWithACloud(t *testing.T) {
	t.Parallel()
	cloud, _ := demo(t)
	dir := t.TempDir()
	info := cloud
	info.BaseURL, info.ClientID, info.ClientSecret = "http://"+freeAddress(t), "c0a40000-0000-4000-8000-0000000000e9", strings.Repeat("desktop", 6)
	p := start(t, "serve", "--config", writeFile(t, dir, "cobridge.yaml", `
baseUrl: `+info.BaseURL+`
store: bolt:`+filepath.Join(dir, "cobridge.db")+`
directory: genesyscloud
genesysCloud: {baseUrl: "`+cloud.BaseURL+`", clientId: `+cloud.ClientID+`, clientSecret: `+cloud.ClientSecret+`}
organisations:
  - id: `+cloud.OrgID+`
    name: Example
    clients: [{id: `+info.ClientID+`, name: Desktop, secret: `+info.ClientSecret+`, scopes: ["cobrowse:session:write", "cobrowse:session:read", "conversations:read", "conversations:write", "user:read"]}]
`), "--listen", strings.TrimPrefix(info.BaseURL, "http://"))
	p.until(t, "listening")
	verify(t, info).want(t, exitFailed, "", "name an active one with --conversation-id")
	r := verify(t, info, "--conversation-id", info.ConversationID, "--live")
	r.want(t, exitDone, " 0 FAILED, ", "")
	r.want(t, exitDone, "it needs a conversation of its own", "")
	if t.Failed() {
		t.Logf("%s", r.out)
	}
}
