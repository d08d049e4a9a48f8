package contract_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/testenv"
)

// tutorialHost is where the tutorial believes the organisation "sunny" to be.
const (
	tutorialOrg  = "sunny"
	tutorialHost = tutorialOrg + ".mypurecloud.com"
)

// startTutorialService starts the demonstration's data under the tutorial's host
// name, and a proxy that leads there: neither a name service nor a network is
// needed.
func startTutorialService(t *testing.T) (p process, proxy *url.URL) {
	t.Helper()
	p = startProcess(t, "serve", "--config", configFile(t, "tutorial.yaml", ""))
	return p, startProxy(t, tutorialHost+":443", p.address)
}

// startProxy starts an HTTP proxy that knows one place, host:port, and connects
// those who ask for it with address.
func startProxy(t *testing.T, place, address string) *url.URL {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var tunnels sync.WaitGroup
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != place {
			http.Error(w, "this proxy leads to "+place+" only", http.StatusForbidden)
			return
		}
		var dialer net.Dialer
		service, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			http.Error(w, "the service is not there", http.StatusBadGateway)
			return
		}
		caller, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = service.Close()
			return
		}
		tunnels.Add(1)
		defer tunnels.Done()
		both := func() {
			_ = caller.Close()
			_ = service.Close()
		}
		stop := context.AfterFunc(ctx, both)
		defer stop()
		defer both()
		if _, err := io.WriteString(caller, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
			return
		}
		var there sync.WaitGroup
		there.Go(func() {
			defer both()
			_, _ = io.Copy(service, buffered)
		})
		_, _ = io.Copy(caller, service)
		both()
		there.Wait()
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		cancel()
		_ = server.Close()
		<-served
		tunnels.Wait()
	})
	return &url.URL{Scheme: "http", Host: ln.Addr().String()}
}

// throughProxy returns a client that sees the service as the tutorial does.
func throughProxy(t *testing.T, p process, proxy *url.URL) *http.Client {
	t.Helper()
	client := clientTrusting(t, p.cert)
	client.Timeout = 10 * time.Second
	client.Transport.(*http.Transport).Proxy = http.ProxyURL(proxy)
	return client
}

// opens checks that a join URL opens a page.
func opens(t *testing.T, client *http.Client, joinURL string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, joinURL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("open a join URL: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || len(body) == 0 {
		t.Errorf("a join URL opens with %d %s, %d bytes, %v; want a page", resp.StatusCode, resp.Header.Get("Content-Type"), len(body), err)
	}
}

// tutorial.yaml's client and supervisor.
const (
	tutorialClient     = "7a700000-0000-4000-8000-0000000000e1"
	tutorialSecret     = "tutorial-secret-that-is-for-this-test-alone-0001"
	tutorialSupervisor = "7a700000-0000-4000-8000-0000000000b2"
)

// A published client that nobody here wrote works as it is: the stand-in of its
// calls runs over TLS, twice, so that it meets the 409 as well.
func TestTutorial(t *testing.T) {
	t.Parallel()
	python := testenv.Need(t, testenv.PythonHTTPX)
	p, proxy := startTutorialService(t)
	cert := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(cert, p.cert, 0o600); err != nil {
		t.Fatal(err)
	}
	client := throughProxy(t, p, proxy)
	printed := regexp.MustCompile(`(?m)^(Agent|Supervisor): (https://` + regexp.QuoteMeta(tutorialHost) + `/cobrowse/join\?token=\S+)$`)
	for _, run := range []struct {
		name   string
		exists bool
	}{{"first", false}, {"second", true}} {
		cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "tutorial.py"))
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PYTHONDONTWRITEBYTECODE=1",
			"HTTPS_PROXY=" + proxy.String(), "SSL_CERT_FILE=" + cert,
			"GENESYS_ORG=" + tutorialOrg, "GENESYS_CLIENT_ID=" + tutorialClient, "GENESYS_CLIENT_SECRET=" + tutorialSecret,
			"SUPERVISOR_USER_ID=" + tutorialSupervisor,
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s run: %v\n%s%s", run.name, err, out, &stderr)
		}
		if got := strings.Contains(string(out), "active already"); got != run.exists {
			t.Errorf("%s run: it met a live session: %t, want %t", run.name, got, run.exists)
		}
		found := printed.FindAllStringSubmatch(string(out), -1)
		if len(found) != 2 || found[0][1] != "Agent" || found[1][1] != "Supervisor" || found[0][2] == found[1][2] {
			t.Fatalf("%s run: it printed %d join URLs, want one of the agent and one of the supervisor", run.name, len(found))
		}
		for _, f := range found {
			opens(t, client, f[2])
		}
	}
}

// The same calls in Go, which needs no other program.
func TestTutorialCalls(t *testing.T) {
	t.Parallel()
	p, proxy := startTutorialService(t)
	client := throughProxy(t, p, proxy)
	base := "https://" + tutorialHost
	send := func(method, path, token, contentType, body string, want int, into any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != want {
			t.Fatalf("%s %s = %d, want %d", method, path, resp.StatusCode, want)
		}
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Fatalf("%s %s: decode: %v", method, path, err)
		}
	}
	const asJSON = "application/json"
	var token struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {tutorialClient}, "client_secret": {tutorialSecret}}
	send("POST", "/oauth/token", "", "application/x-www-form-urlencoded", form.Encode(), http.StatusOK, &token)
	if token.ExpiresIn <= 30 {
		t.Errorf("expires_in = %v, want more than the 30 s in which a client renews", token.ExpiresIn)
	}
	var list struct {
		Entities []struct {
			ID           string `json:"id"`
			Participants []struct {
				Role   string `json:"role"`
				UserID string `json:"userId"`
			} `json:"participants"`
		} `json:"entities"`
	}
	send("GET", "/api/v2/conversations?state=active&limit=5", token.AccessToken, asJSON, "", http.StatusOK, &list)
	if len(list.Entities) == 0 {
		t.Fatalf("there is no active conversation")
	}
	agent := ""
	for _, member := range list.Entities[0].Participants {
		if member.Role == "agent" && agent == "" {
			agent = member.UserID
		}
	}
	for _, user := range []string{agent, tutorialSupervisor} {
		var found struct{}
		send("GET", "/api/v2/users/"+user, token.AccessToken, asJSON, "", http.StatusOK, &found)
	}
	create := fmt.Sprintf(`{"conversationId":%q,"participants":[{"userId":%q,"role":"agent"},{"userId":%q,"role":"supervisor"}],"settings":{"allowRemoteControl":false,"timeoutInMinutes":10}}`,
		list.Entities[0].ID, agent, tutorialSupervisor)
	var session, again struct {
		ID string `json:"id"`
	}
	send("POST", "/api/v2/cobrowse/sessions", token.AccessToken, asJSON, create, http.StatusCreated, &session)
	// One published client returns the body of the 409 as the session.
	send("POST", "/api/v2/cobrowse/sessions", token.AccessToken, asJSON, create, http.StatusConflict, &again)
	var live struct {
		Entities []struct {
			ID string `json:"id"`
		} `json:"entities"`
	}
	send("GET", "/api/v2/cobrowse/sessions?conversationId="+list.Entities[0].ID, token.AccessToken, asJSON, "", http.StatusOK, &live)
	if len(live.Entities) != 1 || live.Entities[0].ID != session.ID || again.ID != session.ID {
		t.Errorf("the list has %d sessions and the 409 names %q, want %q alone", len(live.Entities), again.ID, session.ID)
	}
	for _, user := range []string{agent, tutorialSupervisor} {
		var issued struct {
			Token     string `json:"token"`
			ExpiresAt string `json:"expiresAt"`
		}
		send("POST", "/api/v2/cobrowse/sessions/"+session.ID+"/participants/"+user+"/tokens", token.AccessToken, asJSON, "", http.StatusOK, &issued)
		if issued.Token == "" || issued.ExpiresAt == "" {
			t.Errorf("a token or its end is missing")
		}
		opens(t, client, base+"/cobrowse/join?token="+issued.Token)
	}
}
