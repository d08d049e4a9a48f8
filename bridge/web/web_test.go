package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/bridge/web"
)

// newApp returns an application with cfg completed, and its log.
func newApp(cfg web.Config) (*fiber.App, *testenv.Buffer) {
	log := &testenv.Buffer{}
	cfg.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return web.NewApp(cfg), log
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, app *fiber.App, method, target, body string, header ...string) answer {
	t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := app.Test(req, 10_000)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return readAnswer(t, resp)
}

func readAnswer(t *testing.T, resp *http.Response) answer {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// envelope is the documented shape, written down once more so that a change of
// the code's own struct is noticed.
type envelope struct {
	Message       string            `json:"message"`
	Code          string            `json:"code"`
	Status        int               `json:"status"`
	MessageParams map[string]string `json:"messageParams"`
	ContextID     string            `json:"contextId"`
	EntityID      string            `json:"entityId"`
	EntityName    string            `json:"entityName"`
	Details       []struct {
		ErrorCode  string `json:"errorCode"`
		FieldName  string `json:"fieldName"`
		EntityID   string `json:"entityId"`
		EntityName string `json:"entityName"`
	} `json:"details"`
	Errors []any `json:"errors"`
}

// wantEnvelope checks the shape that all failures have, and returns it.
func wantEnvelope(t *testing.T, a answer, status int, code string) envelope {
	t.Helper()
	var e envelope
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("answer %d %q is no envelope: %v", a.status, a.body, err)
	}
	if a.status != status || e.Status != status || e.Code != code {
		t.Errorf("status = %d, in the envelope %d, code %q, want %d and %q; body %s", a.status, e.Status, e.Code, status, code, a.body)
	}
	if got := a.header.Get(web.HeaderCorrelationID); got == "" || got != e.ContextID {
		t.Errorf("%s = %q, contextId = %q, want both the same and not empty", web.HeaderCorrelationID, got, e.ContextID)
	}
	if e.Message == "" || e.Details == nil || e.Errors == nil {
		t.Errorf("message %q, details %v, errors %v, want a text and two arrays; body %s", e.Message, e.Details, e.Errors, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q, want application/json", got)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}
	return e
}

// golden compares with testdata/name.golden; COBRIDGE_GOLDEN=1 rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name + ".golden"
	if os.Getenv("COBRIDGE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// listen serves app on a free port and returns its address.
func listen(t *testing.T, app *fiber.App) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(ln) }()
	t.Cleanup(func() {
		if err := app.ShutdownWithTimeout(5 * time.Second); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String()
}
