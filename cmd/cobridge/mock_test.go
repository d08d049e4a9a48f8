package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cobridge/cobridge/mocks"
)

// mockLine reads the line of --json.
func mockLine(t *testing.T, p *process) (line []byte, info mocks.ServerInfo) {
	t.Helper()
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		rest, _ := io.ReadAll(p.err)
		t.Fatalf("read the line: %v\n%s", err, rest)
	}
	// The clock is written as the service does, and is not read here.
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(line, &keys); err != nil {
		t.Fatalf("line = %q, want JSON", line)
	}
	delete(keys, "clock")
	rest, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(rest, &info); err != nil {
		t.Fatalf("line = %q: %v", line, err)
	}
	return line, info
}

func fetch(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// The mock as a script sees it: the demo's keys and more, a graceful end, and an exit
// code that tells of requests that nobody answers.
func TestMockProcess(t *testing.T) {
	t.Parallel()
	p := start(t, "mock", "--listen", "127.0.0.1:0", "--json", "--scenario", "session-already-there", "--time", "2026-01-01T00:00:00Z", "--strict",
		"--fault", "GET /version=500", "--fault", "GET /version=html502;after=1")
	line, info := mockLine(t, p)
	for _, key := range []string{"agentUserId", "baseUrl", "clientId", "clientSecret", "conversationId", "customerUrl", "joinUrls", "orgId", "supervisorUserId"} {
		if !bytes.Contains(line, []byte(`"`+key+`":`)) {
			t.Errorf("the line has no %s: %s", key, line)
		}
	}
	if !bytes.Contains(line, []byte(`"now":"2026-01-01T00:00:00.000Z"`)) || info.SessionID == "" || info.Scenario != "session-already-there" {
		t.Errorf("the line is %s, want what the flags say", line)
	}
	var got []int
	for range 4 {
		status, _ := fetch(t, http.MethodGet, info.BaseURL+"/version", "")
		got = append(got, status)
	}
	if want := []int{500, 200, 502, 200}; !slices.Equal(got, want) {
		t.Errorf("with faults the statuses are %v, want %v", got, want)
	}
	if status, body := fetch(t, http.MethodGet, info.BaseURL+"/api/v2/cobrowse/session", ""); status != http.StatusNotFound || !strings.Contains(body, "contextId") {
		t.Errorf("an unknown path = %d %s, want the service's 404", status, body)
	}
	if line := p.until(t, "matches no route"); !strings.Contains(line, "/api/v2/cobrowse/sessions") {
		t.Errorf("standard error says %q, want the nearest route", line)
	}
	p.signal(t, syscall.SIGTERM)
	if rest, code := p.wait(t); rest != "" || code != exitFailed {
		t.Errorf("after SIGTERM: exit code %d and output %q, want %d and nothing", code, rest, exitFailed)
	}
}

// Without unmatched requests a strict mock ends well, whatever it speaks; and it leaves
// nothing behind.
func TestMockEndsWell(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	p := startWith(t, limit, []string{"TMPDIR=" + temp}, "mock", "--listen", "127.0.0.1:0", "--json", "--strict", "--tls-self-signed", "--log", "calls", "--clock", "running")
	_, info := mockLine(t, p)
	if !strings.HasPrefix(info.BaseURL, "https://127.0.0.1:") || !strings.HasPrefix(info.CustomerURL, info.BaseURL) {
		t.Errorf("the base URL is %s and links begin with it: %s", info.BaseURL, info.CustomerURL)
	}
	p.signal(t, os.Interrupt)
	if _, code := p.wait(t); code != exitDone {
		t.Errorf("after SIGINT: exit code %d, want 0", code)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("in the directory for temporary files there is %v (%v), want nothing", left, err)
	}
}

func TestMockWrongUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"the mock has well-known credentials": {"--listen", "0.0.0.0:0"},
		"no scenario \"chaos\"":               {"--scenario", "chaos"},
		"want now, or a time":                 {"--time", "yesterday"},
		"\"0001-01-01T00:00:00Z\": want now":  {"--time", "0001-01-01T00:00:00Z"},
		"times is 0: want 1 or more":          {"--fault", "GET /version=500;times=0"},
		"want standing or running":            {"--clock", "broken"},
		"there are 401, 429":                  {"--fault", "GET /version=teapot"},
		"want one of off, warn":               {"--log", "loud"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"mock"}, args...), console{out: &out, err: &errs})
		if code != exitUsage || !strings.Contains(errs.String(), want) || out.Len() > 0 {
			t.Errorf("mock %v: exit code %d, %q, %q, want %d and %q", args, code, &out, &errs, exitUsage, want)
		}
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"mock", "--listen", "127.0.0.1:0", "--fault", "GET /nothing=500"}, console{out: &out, err: &errs}); code != exitFailed || !strings.Contains(errs.String(), "nearest route") {
		t.Errorf("a fault on a route that there is not: exit code %d, %q", code, &errs)
	}
}

// What is printed for people has what they need, and says what it is.
func TestMockText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	info := mocks.ServerInfo{BaseURL: "http://127.0.0.1:1", ClientID: "the-client", AdminURL: "http://127.0.0.1:1/__mock", Scenario: "active-conversation"}
	if err := printMock(&out, info, ""); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"well known", "the-client", "http://127.0.0.1:1/__mock", "active-conversation"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the text has no %q:\n%s", text, &out)
		}
	}
	if strings.Contains(out.String(), "certificate") {
		t.Errorf("the text has a certificate, and there is none:\n%s", &out)
	}
}

// What follows a rule can be guessed: only a double may name things so. A command that
// serves people must not be able to.
func TestOnlyDoublesNameThingsByRule(t *testing.T) {
	t.Parallel()
	given := regexp.MustCompile(`\bIDs:|NameBy\(`)
	sources, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		if !strings.HasSuffix(source.Name(), ".go") || strings.HasSuffix(source.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(source.Name())
		if err != nil {
			t.Fatal(err)
		}
		if given.Match(text) {
			t.Errorf("%s gives the application a source of names", source.Name())
		}
	}
}

// The guide tells every fault, scenario and call of the admin API.
func TestMockGuideIsWhole(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/mock-server.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, name := range slices.Concat(mocks.FaultNames(), scenarioNames()) {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/mock-server.md does not speak of %s", name)
		}
	}
	path := ""
	for line := range strings.Lines(string(mocks.AdminOpenAPI)) {
		if m := regexp.MustCompile(`^  (/\S+):$`).FindStringSubmatch(line); m != nil {
			path = strings.ReplaceAll(m[1], "{participant}", "{role or id}")
		}
		if m := regexp.MustCompile(`^    (get|post|delete):$`).FindStringSubmatch(line); m != nil {
			method := strings.ToUpper(m[1])
			if !strings.Contains(text, "`"+method+" "+path+"`") && !strings.Contains(text, "`"+method+" "+mocks.AdminPath+path+"`") {
				t.Errorf("docs/mock-server.md does not speak of %s %s", method, path)
			}
		}
	}
}
