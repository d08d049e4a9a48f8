package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/cobrowse/client"
)

// scripted is a running script command.
type scripted struct {
	t     *testing.T
	in    *io.PipeWriter
	lines chan map[string]any
	code  chan int
	errs  *bytes.Buffer // whole when code came
}

func startScript(t *testing.T, joinURL string, args ...string) *scripted {
	t.Helper()
	in, write := io.Pipe()
	read, out := io.Pipe()
	s := &scripted{t: t, in: write, lines: make(chan map[string]any, 1000), code: make(chan int, 1), errs: &bytes.Buffer{}}
	go func() {
		s.code <- run(t.Context(), append([]string{"script"}, args...), console{env: []string{envJoinURL + "=" + joinURL}, in: in, out: out, err: s.errs})
		_ = out.Close()
		_ = in.Close()
	}()
	go func() {
		for scanner := bufio.NewScanner(read); scanner.Scan(); {
			line := map[string]any{}
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				t.Errorf("the line %q is no JSON", scanner.Text())
			}
			s.lines <- line
		}
		close(s.lines)
	}()
	t.Cleanup(func() { _ = write.Close() })
	return s
}

// until reads lines until one has the members.
func (s *scripted) until(members map[string]any) map[string]any {
	s.t.Helper()
	var before []map[string]any
	for line := range s.lines {
		fits := true
		for name, value := range members {
			fits = fits && line[name] == value
		}
		if fits {
			return line
		}
		before = append(before, line)
	}
	s.t.Fatalf("no line with %v came, but %v (%s)", members, before, s.errs)
	return nil
}

// do carries out one line and returns its answer.
func (s *scripted) do(line string) map[string]any {
	s.t.Helper()
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		s.t.Fatalf("write: %v (%s)", err, s.errs)
	}
	return s.until(map[string]any{"event": "done"})
}

func (s *scripted) done(line string) map[string]any {
	s.t.Helper()
	got := s.do(line)
	if got["ok"] != true {
		s.t.Errorf("%s is answered with %v", line, got)
	}
	return got
}

// Sharer and viewer, each a command, through join, picture, control and end.
func TestScript(t *testing.T) {
	t.Parallel()
	info, _ := demo(t)
	api, err := client.New(client.Options{BaseURL: info.BaseURL, ClientID: info.ClientID, ClientSecret: info.ClientSecret})
	if err != nil {
		t.Fatal(err)
	}
	deployment, err := api.CreateDeployment(t.Context(), client.NewDeployment{Name: "Shop", AllowedOrigins: []string{"https://shop.example"}, AllowAgentControl: true, AllowDraw: true})
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	session, err := api.CreateSession(t.Context(), client.NewSession{
		ConversationID: info.ConversationID, DeploymentID: deployment.ID, Settings: &client.NewSettings{AllowRemoteControl: &yes},
		Participants: []client.Invite{{Role: "customer", Name: "Kim Customer"}, {UserID: info.AgentUserID, Role: "agent"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	page := writeFile(t, t.TempDir(), "order.html", `<title>Order</title><h1>Your order</h1><form><label>Voucher <input name=voucher data-cb-show></label><input type=password name=pin value=4711></form>`)
	sharer := startScript(t, session.Participants[0].JoinURL, "sharer", "--allow", "control", "--page", page)
	if joined := sharer.until(map[string]any{"event": "joined"}); joined["role"] != "customer" {
		t.Errorf("the sharer has joined as %v", joined)
	}
	viewer := startScript(t, session.Participants[1].JoinURL, "viewer")
	sharer.done(`{"do":"waitPeer","role":"agent"}`)
	viewer.done(`{"do":"waitText","text":"Your order"}`)
	picture, _ := viewer.done(`{"do":"picture","id":7}`)["value"].(map[string]any)
	if picture["title"] != "Order" || picture["url"] != "https://shop.example/" || strings.Contains(string(mustJSON(t, picture)), "4711") {
		t.Errorf("the picture is %v", picture)
	}
	if got := viewer.do(`{"do":"fill","field":"voucher","value":"x"}`); got["ok"] != false || got["why"] != "denied" {
		t.Errorf("without a grant: %v, want denied", got)
	}
	viewer.done(`{"do":"ask","what":"control"}`)
	viewer.done(`{"do":"fill","field":"voucher","value":"QUIET10"}`)
	sharer.until(map[string]any{"event": "action", "what": "set", "ok": true, "path": "html>body>form>label>input"})
	if got := sharer.done(`{"do":"value","field":"voucher","id":"a"}`); got["value"] != "QUIET10" || got["id"] != "a" {
		t.Errorf("the field holds %v", got)
	}
	if got := viewer.do(`{"do":"ask","what":"draw"}`); got["why"] != "declined" {
		t.Errorf("what is not allowed is answered with %v", got)
	}
	sharer.done(`{"do":"navigate","url":"https://shop.example/thanks","html":"<title>Thanks</title><h1>Thank you</h1>"}`)
	viewer.until(map[string]any{"event": "page", "url": "https://shop.example/thanks"})
	viewer.done(`{"do":"waitText","text":"Thank you"}`)
	viewer.done(`{"do":"cut"}`)
	viewer.until(map[string]any{"event": "joined"})
	if got := viewer.do(`{"do":"waitText","text":"never","timeout":0.05}`); got["ok"] != false || !strings.Contains(fmt.Sprint(got["why"]), "timed out") {
		t.Errorf("a text that is not there was waited for: %v", got)
	}
	for _, wrong := range []string{`{"do":"fly"}`, `nonsense`, `{"do":"fill","value":"x"}`, `{"do":"click"}`, `{"do":"click","element":"#nothing"}`} {
		if got := viewer.do(wrong); got["ok"] != false || got["why"] == "" {
			t.Errorf("%s is answered with %v", wrong, got)
		}
	}
	viewer.done(`{"do":"end"}`)
	sharer.until(map[string]any{"event": "ended"})
	for name, s := range map[string]*scripted{"sharer": sharer, "viewer": viewer} {
		if code := <-s.code; code != exitDone {
			t.Errorf("the %s ends with %d: %s", name, code, s.errs)
		}
	}
	// It lets in once.
	again := startScript(t, session.Participants[1].JoinURL, "viewer")
	if code := <-again.code; code != exitFailed || !strings.Contains(again.errs.String(), "cobridge: ") || strings.Contains(again.errs.String(), "token=") {
		t.Errorf("with a join URL of an ended session: %d, %q", code, again.errs)
	}
	cli(t, nil, "", "script", "viewer").want(t, exitUsage, "", "--join-url")
	cli(t, nil, "", "script", "sharer", "--join-url", "https://x.example/nothing").want(t, exitFailed, "", "join.url.invalid")
	cli(t, nil, "", "script", "sharer", "--join-url", "x", "--allow", "everything").want(t, exitUsage, "", "--allow everything")
	cli(t, nil, "", "script", "sharer", "--join-url", "x", "--page-url", "shop").want(t, exitUsage, "", "--page-url shop")
}

// The commands of docs/scripted-browsers.md, with the double: its site lets viewers ask.
// An interrupt ends the command, and says so.
func TestScriptWithMock(t *testing.T) {
	t.Parallel()
	p := start(t, "mock", "--listen", "127.0.0.1:0", "--json")
	_, info := mockLine(t, p)
	env := []string{envServer + "=" + info.BaseURL, envClientID + "=" + info.ClientID, envSecret + "=" + info.ClientSecret}
	made := cli(t, env, "", "session", "create", "--conversation", info.ConversationID, "--deployment", info.DeploymentID, "--customer", "--agent", info.AgentUserID, "--remote-control", "--json")
	made.want(t, exitDone, "joinUrl", "")
	var session client.Session
	if err := json.Unmarshal([]byte(made.out), &session); err != nil {
		t.Fatal(err)
	}
	joinURL := func(role string) string {
		return session.Participants[slices.IndexFunc(session.Participants, func(p client.Participant) bool { return p.Role == role })].JoinURL
	}
	sharer := startWith(t, limit, []string{envJoinURL + "=" + joinURL("customer")}, "script", "sharer", "--allow", "control,draw,navigate")
	viewer := startScript(t, joinURL("agent"), "viewer")
	viewer.done(`{"do":"waitText","text":"Your order"}`)
	for _, what := range []string{"control", "draw", "navigate"} {
		viewer.done(`{"do":"ask","what":"` + what + `"}`)
	}
	viewer.done(`{"do":"fill","field":"voucher","value":"QUIET10"}`)
	sharer.signal(t, os.Interrupt)
	rest, code := sharer.wait(t)
	if !strings.Contains(rest, `"event":"ended","why":"left"`) || code != exitDone {
		t.Errorf("interrupted, the sharer ends with %d and %s", code, rest)
	}
	viewer.done(`{"do":"leave"}`)
	viewer.until(map[string]any{"event": "ended", "why": "left"})
	if code := <-viewer.code; code != exitDone {
		t.Errorf("the viewer leaves with %d: %s", code, viewer.errs)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The tables of docs/scripted-browsers.md list what there is, and nothing else.
func TestScriptDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "scripted-browsers.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := func(head string) []string {
		_, table, ok := strings.Cut(string(text), "| "+head+" | of | members |\n|---|---|---|\n")
		if !ok {
			t.Fatalf("there is no table of %q", head)
		}
		table, _, _ = strings.Cut(table, "\n\n")
		var names []string
		for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(table, -1) {
			names = append(names, row[1])
		}
		slices.Sort(names)
		return names
	}
	source := func(path, pattern string) []string {
		code, err := os.ReadFile(filepath.FromSlash(path))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, found := range regexp.MustCompile(pattern).FindAllSubmatch(code, -1) {
			names = append(names, string(found[1]))
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	if got, want := listed("do"), source("scriptcmd.go", `(?m)^	case "(\w+)":$`); !slices.Equal(got, want) {
		t.Errorf("the table of orders is\n%q, want\n%q", got, want)
	}
	want := append(source("../../cobrowse/client/live/options.go", `(?m)^	Event\w+ += "(\w+)"`), "done")
	slices.Sort(want)
	if got := listed("event"); !slices.Equal(got, want) {
		t.Errorf("the table of events is\n%q, want\n%q", got, want)
	}
}

// A service on which sessions come about passes --live, and one that breaks them does not.
func TestVerifyLive(t *testing.T) {
	t.Parallel()
	info, _ := demo(t)
	verify(t, info, "--live", "--run", "^live").want(t, exitDone, "1 ok, 0 FAILED", "")
	verify(t, info, "--live", "--run", "^live", "--conversation-id", info.ConversationID).want(t, exitDone, "1 ok, 0 FAILED", "")
	api, err := client.New(client.Options{BaseURL: info.BaseURL, ClientID: info.ClientID, ClientSecret: info.ClientSecret})
	if err != nil {
		t.Fatal(err)
	}
	if deployments, err := api.Deployments(t.Context(), client.Paging{}); err != nil || strings.Contains(string(mustJSON(t, deployments)), "cobridge verify") {
		t.Errorf("the deployment is left (%v)", err)
	}
	if _, err := api.CreateSession(t.Context(), client.NewSession{ConversationID: info.ConversationID, Participants: []client.Invite{{UserID: info.SupervisorUserID, Role: "agent"}}}); err != nil {
		t.Fatal(err)
	}
	verify(t, info, "--live", "--run", "^live", "--conversation-id", info.ConversationID).want(t, exitDone, "skipped", "")

	// Through a proxy it is the same; what keeps people out turns it red.
	locked := false
	between := spoiling(t, info, func(resp *http.Response, body []byte) []byte {
		if locked && resp.Request.URL.Path == "/api/v2/cobrowse/join" {
			resp.StatusCode, resp.Status = http.StatusGone, "410 Gone"
		}
		return body
	})
	verify(t, between, "--live", "--run", "^live").want(t, exitDone, "1 ok, 0 FAILED", "")
	locked = true
	verify(t, between, "--live", "--run", "^live").want(t, exitFailed, "the sharer comes in: ", "1 of 1 promises are not kept")
}
