package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/cobrowse/client"
)

// limit ends a test that would hang; nothing waits so long when all is well.
const limit = 60 * time.Second

// binary builds the program once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cobridge-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "cobridge")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", &buildError{string(out)}
	}
	return path, nil
})

type buildError struct{ text string }

func (e *buildError) Error() string { return "go build: " + e.text }

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// process is the program, running.
type process struct {
	cmd      *exec.Cmd
	out, err *bufio.Reader
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startWith(t, limit, nil, args...)
}

// startWith starts the program with some more variables; it is killed after a time.
func startWith(t *testing.T, limit time.Duration, env []string, args ...string) *process {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals to stop a process with")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(t.Context(), path, args...)}
	p.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "COBRIDGE_") }), env...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out, p.err = bufio.NewReader(out), bufio.NewReader(errs)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(limit, func() { _ = p.cmd.Process.Kill() })
	t.Cleanup(func() {
		kill.Stop()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return p
}

// signal sends a signal.
func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal: %v", err)
	}
}

// wait returns what is left of standard output, and the exit code.
func (p *process) wait(t *testing.T) (string, int) {
	t.Helper()
	rest, err := io.ReadAll(p.out)
	if err != nil {
		t.Fatalf("read output: %v", err)
	}
	_, _ = io.Copy(io.Discard, p.err)
	_ = p.cmd.Wait()
	return string(rest), p.cmd.ProcessState.ExitCode()
}

// until reads standard error up to the line with the text.
func (p *process) until(t *testing.T, text string) string {
	t.Helper()
	var seen strings.Builder
	for {
		line, err := p.err.ReadString('\n')
		seen.WriteString(line)
		if err != nil {
			t.Fatalf("no line with %q: %v\n%s", text, err, &seen)
		}
		if strings.Contains(line, text) {
			return line
		}
	}
}

// The demo as a script sees it: one line with exactly these keys, everything in
// it good, a graceful end on SIGTERM, and the same again over the same data.
func TestDemoProcess(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	sessionID := ""
	for round := range 2 {
		p := start(t, "demo", "--listen", "127.0.0.1:0", "--json", "--data", data)
		line, err := p.out.ReadBytes('\n')
		if err != nil {
			rest, _ := io.ReadAll(p.err)
			t.Fatalf("read the line: %v\n%s", err, rest)
		}
		var keys map[string]json.RawMessage
		var info demoInfo
		if json.Unmarshal(line, &keys) != nil || json.Unmarshal(line, &info) != nil {
			t.Fatalf("line = %q, want JSON", line)
		}
		want := []string{"agentUserId", "baseUrl", "clientId", "clientSecret", "conversationId", "customerUrl", "joinUrls", "orgId", "supervisorUserId"}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(keys))); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		api, err := client.New(client.Options{BaseURL: info.BaseURL, ClientID: info.ClientID, ClientSecret: info.ClientSecret})
		if err != nil {
			t.Fatal(err)
		}
		active, err := api.Conversations(t.Context(), client.ConversationQuery{})
		if err != nil {
			t.Fatalf("list conversations: %v", err)
		}
		var ids []string
		for _, c := range active.Entities {
			ids = append(ids, c.ID)
		}
		if diff := cmp.Diff([]string{info.ConversationID, config.DemoClickConversationID}, ids); diff != "" {
			t.Errorf("active conversations (-want +got):\n%s", diff)
		}
		checkLinks(t, info)
		session, err := api.CreateSession(t.Context(), client.NewSession{
			ConversationID: info.ConversationID, Participants: []client.Invite{{UserID: info.AgentUserID, Role: "agent"}, {UserID: info.SupervisorUserID, Role: "supervisor"}},
		})
		switch {
		case round == 0:
			if err != nil {
				t.Fatalf("create session: %v", err)
			}
			sessionID = session.ID
		case client.StatusOf(err) != http.StatusConflict || !strings.Contains(err.Error(), "request.conflict"):
			t.Errorf("create over the same data = %v, want 409", err)
		default:
			if again, err := api.Session(t.Context(), sessionID); err != nil || again.State != "idle" {
				t.Errorf("the session of the first start = %+v, %v", again, err)
			}
		}
		p.signal(t, syscall.SIGTERM)
		if rest, code := p.wait(t); rest != "" || code != 0 {
			t.Errorf("after SIGTERM: exit code %d and output %q, want 0 and nothing", code, rest)
		}
	}
}

// checkLinks follows the demo's links: each leads to the join page with a token of
// its own, every time.
func checkLinks(t *testing.T, info demoInfo) {
	t.Helper()
	hc := &http.Client{Timeout: limit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	tokens := map[string]bool{}
	for range 2 {
		for _, link := range []string{info.CustomerURL, info.JoinURLs.Agent, info.JoinURLs.Supervisor} {
			resp, err := hc.Get(link)
			if err != nil {
				t.Fatalf("follow %s: %v", link, err)
			}
			_ = resp.Body.Close()
			u, err := url.Parse(resp.Header.Get("Location"))
			if err != nil || resp.StatusCode != http.StatusSeeOther || u.Path != "/cobrowse/join" {
				t.Errorf("%s = %d to %q, want 303 to the join page", link, resp.StatusCode, u)
				continue
			}
			tokens[u.Query().Get("token")] = true
		}
	}
	if len(tokens) != 6 || tokens[""] {
		t.Errorf("%d different tokens behind 6 clicks", len(tokens))
	}
}

// What the demo prints for people has what they need, and says what it is.
func TestDemoText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := served{cfg: config.Demo(config.DemoOptions{Store: "bolt:x"}), certFile: "it's.pem"}
	s.cfg.BaseURL = "https://127.0.0.1:1"
	if err := printDemo(&out, s); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"well known", "https://127.0.0.1:1/demo/join/customer", "https://127.0.0.1:1/demo/join/agent", "https://127.0.0.1:1/demo/join/supervisor", "https://127.0.0.1:1/docs",
		"curl -s --cacert '", `it'\''s.pem'`, "/oauth/token", "/api/v2/cobrowse/sessions", "/tokens", config.DemoClientID, config.DemoClientSecret, config.DemoConversationID,
	} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the text has no %q:\n%s", text, &out)
		}
	}
}

// serve logs where it listens and what is odd, ends gracefully on the first
// signal, and at once on the second.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--store", "bolt:"+filepath.Join(t.TempDir(), "s.db"), "--shutdown-drain", "5m", "--log-format", "json")
	var line struct{ Address string }
	if err := json.Unmarshal([]byte(p.until(t, `"listening"`)), &line); err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", line.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// A request that does not end keeps the first signal waiting.
	head := "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(answer, "100") {
		t.Fatalf("answer to the head = %q, %v, want 100 Continue", answer, err)
	}
	p.signal(t, os.Interrupt)
	p.until(t, "shutting down")
	p.signal(t, os.Interrupt)
	begin := time.Now()
	if _, code := p.wait(t); code == 0 {
		t.Error("exit code = 0 after a second signal, want another")
	}
	if took := time.Since(begin); took > limit/2 {
		t.Errorf("the second signal took %s", took)
	}
}
