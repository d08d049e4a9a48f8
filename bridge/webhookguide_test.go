package bridge_test

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/testenv"
)

const guideSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// block returns the only code block of docs/webhooks.md in a language.
func block(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "webhooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("docs/webhooks.md has %d blocks of %s, want 1", len(found), language)
	}
	return string(found[0][1])
}

// TestWebhookGuide runs the receivers of docs/webhooks.md and sends to them.
func TestWebhookGuide(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		language, file string
		command        func(t *testing.T, file string) []string
	}{
		{"go", "main.go", func(t *testing.T, file string) []string {
			t.Helper()
			program := filepath.Join(filepath.Dir(file), "receiver")
			if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, file).CombinedOutput(); err != nil {
				t.Fatalf("go build: %v\n%s", err, out)
			}
			return []string{program}
		}},
		{"js", "main.mjs", func(t *testing.T, file string) []string {
			t.Helper()
			return []string{testenv.Need(t, testenv.Node), file}
		}},
		{"python", "main.py", func(t *testing.T, file string) []string {
			t.Helper()
			return []string{testenv.Need(t, testenv.PythonHTTPX), file}
		}},
	} {
		t.Run(tt.language, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), tt.file)
			if err := os.WriteFile(file, []byte(block(t, tt.language)), 0o600); err != nil {
				t.Fatal(err)
			}
			command := tt.command(t, file)
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+guideSecret, "PORT=0")
			cmd.Stderr = t.Output()
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			lines := bufio.NewScanner(out)
			next := func() string {
				t.Helper()
				if !lines.Scan() {
					t.Fatalf("the receiver has ended: %v", lines.Err())
				}
				return lines.Text()
			}
			address, ok := strings.CutPrefix(next(), "listening on ")
			if !ok {
				t.Fatal("the receiver does not say where it listens")
			}
			refuse(t, "http://"+address)

			h := serve(t, filepath.Join(t.TempDir(), "store.db"), t.Output(), func(c *config.Config) {
				c.Webhooks.AllowHTTP, c.Webhooks.AllowNetworks = true, []string{"127.0.0.0/8"}
				c.Organisations[0].Webhooks = []config.Webhook{{ID: hookID, URL: "http://" + address, Secret: guideSecret}}
			})
			_, token := h.token(config.DemoClientSecret)
			path := "/api/v2/cobrowse/webhooks/" + hookID
			status, answer := h.call(http.MethodPost, path+"/test", token, "")
			if status != http.StatusAccepted {
				t.Fatalf("test = %d %s", status, answer)
			}
			if got := next(); got != "told cobrowse.webhook.ping" {
				t.Errorf("the receiver says %q", got)
			}
			// Again under the same id: it is taken, and not told twice.
			id := decode[struct {
				ID string `json:"id"`
			}](t, answer).ID
			for _, ask := range []string{path + "/deliveries/" + id + "/replay", path + "/test"} {
				if err := h.app.WebhooksTold(t.Context()); err != nil {
					t.Fatal(err)
				}
				if status, answer := h.call(http.MethodPost, ask, token, ""); status != http.StatusAccepted {
					t.Fatalf("%s = %d %s", ask, status, answer)
				}
			}
			if err := h.app.WebhooksTold(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := next(); got != "told cobrowse.webhook.ping" {
				t.Errorf("the receiver says %q", got)
			}
			_, answer = h.call(http.MethodGet, path+"/deliveries?state=delivered", token, "")
			if n := strings.Count(string(answer), `"result":"delivered"`); n != 3 {
				t.Errorf("%d attempts were taken, want 3: %s", n, answer)
			}
		})
	}
}

// refuse sends what is not from the service, and what is too old.
func refuse(t *testing.T, url string) {
	t.Helper()
	key, err := notify.ParseSecret(guideSecret)
	if err != nil {
		t.Fatal(err)
	}
	body, now := []byte(`{"type":"forged"}`), time.Now()
	good := []notify.WebhookSecret{{Key: key}}
	for name, tt := range map[string]struct {
		at        time.Time
		signature string
	}{
		"no signature":        {now, ""},
		"another secret":      {now, notify.Sign([]notify.WebhookSecret{{Key: make([]byte, 24)}}, "msg_1", now, body)},
		"another body":        {now, notify.Sign(good, "msg_1", now, []byte(`{}`))},
		"another id":          {now, notify.Sign(good, "msg_2", now, body)},
		"old":                 {now.Add(-time.Hour), notify.Sign(good, "msg_1", now.Add(-time.Hour), body)},
		"signature of nobody": {now, "v1, v2,x v1,%%% " + strconv.Itoa(7)},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Webhook-Id", "msg_1")
		req.Header.Set("Webhook-Timestamp", strconv.FormatInt(tt.at.Unix(), 10))
		req.Header.Set("Webhook-Signature", tt.signature)
		transport := &http.Transport{DisableKeepAlives: true}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s is answered %d, want 401", name, resp.StatusCode)
		}
	}
}
