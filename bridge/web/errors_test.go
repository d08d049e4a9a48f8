package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
)

func TestEveryCodeHasAStatus(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z.]+)` \\| (\\d{3}) \\| [^|]+ \\| [^|]+ \\|$").FindAllStringSubmatch(string(doc), -1)
	var failure error
	app, _ := newApp(web.Config{})
	app.Get("/api/v2/fail", func(*fiber.Ctx) error { return failure })
	codes := cobridge.Codes()
	if len(rows) != len(codes) {
		t.Errorf("rows in docs/errors.md = %d, want %d, one for each code", len(rows), len(codes))
	}
	documented := map[string]string{}
	for _, row := range rows {
		documented[row[1]] = row[2]
	}
	for _, code := range codes {
		failure = fmt.Errorf("do it: %w", &cobridge.Error{Code: code, Err: errors.New("driver text")})
		a := send(t, app, http.MethodGet, "/api/v2/fail", "")
		wantEnvelope(t, a, web.StatusOf(code), string(code))
		if strings.Contains(a.body, "driver text") || strings.Contains(a.body, "do it") {
			t.Errorf("%s: the answer shows the cause: %s", code, a.body)
		}
		if got, want := documented[string(code)], strconv.Itoa(a.status); got != want {
			t.Errorf("%s: docs/errors.md says %q, the answer is %s", code, got, want)
		}
	}
}

func TestErrorsBecomeAnswers(t *testing.T) {
	t.Parallel()
	type M = map[string]any
	full := &cobridge.Error{
		Code: cobridge.CodeConflict, Message: "A cobrowse session is already active for this conversation.",
		Params: map[string]string{"conversationId": "c7"}, EntityID: "d4", EntityName: "cobrowseSession",
		Details: []cobridge.Detail{{ErrorCode: "cobrowse.session.active", FieldName: "conversationId", EntityID: "d4", EntityName: "cobrowseSession"}},
		Err:     errors.New("secret driver text"),
	}
	for name, tt := range map[string]struct {
		err        error
		status     int
		code       string
		message    string // "" = whatever
		retryAfter string
		header     [2]string
	}{
		"coded":                {err: full, status: 409, code: "request.conflict", message: full.Message},
		"unknown":              {err: errors.New("secret driver text"), status: 500, code: "internal.server.error", message: "An unexpected error occurred."},
		"internal with a text": {err: &cobridge.Error{Code: cobridge.CodeInternal, Message: "secret driver text"}, status: 500, code: "internal.server.error", message: "An unexpected error occurred."},
		"unpublished code":     {err: &cobridge.Error{Code: "secret.code", Message: "secret driver text"}, status: 500, code: "internal.server.error", message: "An unexpected error occurred."},
		"deadline":             {err: fmt.Errorf("secret driver text: %w", context.DeadlineExceeded), status: 504, code: "request.timeout"},
		"deadline in internal": {err: &cobridge.Error{Code: cobridge.CodeInternal, Err: context.DeadlineExceeded}, status: 504, code: "request.timeout"},
		"deadline in conflict": {err: &cobridge.Error{Code: cobridge.CodeConflict, Err: context.DeadlineExceeded}, status: 409, code: "request.conflict"},
		"cancelled":            {err: context.Canceled, status: 503, code: "service.unavailable", retryAfter: "5"},
		"router 404":           {err: fiber.NewError(404, "secret driver text"), status: 404, code: "not.found"},
		"router 422":           {err: fiber.NewError(422, "secret driver text"), status: 400, code: "bad.request"},
		"router 502":           {err: fiber.NewError(502, "secret driver text"), status: 500, code: "internal.server.error"},
		"router 431":           {err: fiber.NewError(431, "secret driver text"), status: 431, code: "request.header.too.large"},
		"no header":            {err: &cobridge.Error{Code: cobridge.CodeAuthRequired}, status: 401, code: "authentication.required", header: [2]string{"Www-Authenticate", `Bearer realm="cobridge"`}},
		"dead token":           {err: &cobridge.Error{Code: cobridge.CodeBadCredentials}, status: 401, code: "bad.credentials", header: [2]string{"Www-Authenticate", `Bearer realm="cobridge", error="invalid_token"`}},
		"too many": {
			err:    &cobridge.Error{Code: cobridge.CodeTooManyRequests, Message: "The rate limit is exceeded.", RetryAfter: 2001 * time.Millisecond},
			status: 429, code: "too.many.requests.retry.after", message: "The rate limit is exceeded. Retry the request in 3 seconds.", retryAfter: "3",
		},
		"too many for an instant": {err: &cobridge.Error{Code: cobridge.CodeTooManyRequests, RetryAfter: 1}, status: 429, code: "too.many.requests.retry.after", retryAfter: "1"},
		"unavailable":             {err: &cobridge.Error{Code: cobridge.CodeUnavailable, RetryAfter: 30 * time.Second}, status: 503, code: "service.unavailable", retryAfter: "30"},
		"with a header":           {err: fmt.Errorf("start session: %w", web.WithBody(full, nil, web.Header{Name: "Location", Value: "/api/v2/x"})), status: 409, code: "request.conflict", header: [2]string{"Location", "/api/v2/x"}},
		"an addition that fails":  {err: web.WithBody(full, M{"bad": func() {}}), status: 500, code: "internal.server.error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, log := newApp(web.Config{})
			app.Get("/api/v2/fail", func(c *fiber.Ctx) error {
				c.Set("ETag", `"half written"`)
				c.Set("Location", "/half-written")
				_ = c.Status(201).SendString("half written")
				return tt.err
			})
			a := send(t, app, http.MethodGet, "/api/v2/fail", "")
			e := wantEnvelope(t, a, tt.status, tt.code)
			if tt.message != "" && e.Message != tt.message {
				t.Errorf("message = %q, want %q", e.Message, tt.message)
			}
			if got := a.header.Get("Retry-After"); got != tt.retryAfter {
				t.Errorf("Retry-After = %q, want %q", got, tt.retryAfter)
			}
			if name, want := tt.header[0], tt.header[1]; name != "" && a.header.Get(name) != want {
				t.Errorf("%s = %q, want %q", name, a.header.Get(name), want)
			}
			if shown := fmt.Sprint(a); strings.Contains(shown, "secret") || strings.Contains(shown, "half") {
				t.Errorf("the answer shows what it must not: %s", shown)
			}
			if got, want := strings.Contains(log.String(), `"level":"ERROR"`), tt.status >= 500; got != want {
				t.Errorf("logged as an error = %v, want %v; log %s", got, want, log)
			}
			if tt.status >= 500 && !strings.Contains(log.String(), a.header.Get(web.HeaderCorrelationID)) {
				t.Errorf("the log lacks the correlation id: %s", log)
			}
		})
	}
}

func TestEnvelopeGolden(t *testing.T) {
	t.Parallel()
	app, _ := newApp(web.Config{})
	conflict := &cobridge.Error{
		Code: cobridge.CodeConflict, Message: "A cobrowse session is already active for this conversation.",
		Params: map[string]string{"conversationId": "c7"}, EntityID: "d4", EntityName: "cobrowseSession",
		Details: []cobridge.Detail{{ErrorCode: "cobrowse.session.active", FieldName: "conversationId", EntityID: "d4", EntityName: "cobrowseSession"}},
	}
	app.Get("/conflict", func(*fiber.Ctx) error {
		return web.WithBody(conflict, map[string]any{
			"sessionId": "d4", "id": "d4", "conversationId": "c7", "selfUri": "/api/v2/cobrowse/sessions/d4",
			"code": "stolen", "details": "stolen",
		}, web.Header{Name: "Location", Value: "/api/v2/cobrowse/sessions/d4"})
	})
	app.Get("/limit", func(*fiber.Ctx) error {
		return &cobridge.Error{Code: cobridge.CodeTooManyRequests, Message: "The rate limit is exceeded.", RetryAfter: 1500 * time.Millisecond}
	})
	for _, name := range []string{"conflict", "limit", "unknown"} {
		a := send(t, app, http.MethodGet, "/"+name, "", web.HeaderCorrelationID, "3d1e8f3c-54a7-4c0e-8c55-07d7a0f3b0de")
		golden(t, name, strconv.Itoa(a.status)+"\n"+a.body+"\n")
	}
}

func TestDialects(t *testing.T) {
	t.Parallel()
	speak := func(word string) func(*fiber.Ctx, web.Failure) error {
		return func(c *fiber.Ctx, f web.Failure) error {
			if f.Code == cobridge.CodeBadRequest {
				return errors.New("cannot say it")
			}
			c.Status(f.Status - 1)
			return c.SendString(word + " " + string(f.Code) + " " + f.ContextID)
		}
	}
	app, _ := newApp(web.Config{Dialects: []web.Dialect{{"/oauth", speak("oauth")}, {"/oauth/deep/", speak("deep")}, {"/silent", func(*fiber.Ctx, web.Failure) error { return nil }}}})
	app.Get("/oauth/fail", func(*fiber.Ctx) error { return &cobridge.Error{Code: cobridge.CodeConflict} })
	app.Get("/oauth/unsayable", func(*fiber.Ctx) error { return &cobridge.Error{Code: cobridge.CodeBadRequest} })
	app.Get("/silent/x", func(c *fiber.Ctx) error {
		_ = c.SendString("half written")
		return &cobridge.Error{Code: cobridge.CodeConflict}
	})
	if a := send(t, app, http.MethodGet, "/silent/x", ""); a.status != 409 || a.body != "" {
		t.Errorf("a dialect without a body = %d %q, want 409 and nothing of the handler's", a.status, a.body)
	}
	for target, want := range map[string]string{
		"/oauth": "oauth not.found", "/oauth/x": "oauth not.found", "/oauth/fail": "oauth request.conflict",
		"/oauth/deep/x": "deep not.found", "/oauth/deep": "deep not.found", "/oauth/deeper": "oauth not.found",
	} {
		a := send(t, app, http.MethodGet, target, "")
		if got, want := a.body, want+" "+a.header.Get(web.HeaderCorrelationID); got != want {
			t.Errorf("%s answers %q, want %q", target, got, want)
		}
	}
	if a := send(t, app, http.MethodGet, "/oauth/fail", ""); a.status != 408 {
		t.Errorf("status = %d, want the dialect's own 408", a.status)
	}
	for _, target := range []string{"/", "/oauthx", "/api/v2/oauth", "//oauth/x"} {
		wantEnvelope(t, send(t, app, http.MethodGet, target, ""), 404, "not.found")
	}
	wantEnvelope(t, send(t, app, http.MethodGet, "/oauth/unsayable", ""), 500, "internal.server.error")
}

func TestMethodNotAllowedKeepsAllow(t *testing.T) {
	t.Parallel()
	app, _ := newApp(web.Config{})
	ok := func(c *fiber.Ctx) error { return c.SendString("ok") }
	app.Get("/api/v2/thing/:id", ok)
	app.Delete("/api/v2/thing/:id", ok)
	a := send(t, app, http.MethodPost, "/api/v2/thing/1", "")
	wantEnvelope(t, a, 405, "method.not.allowed")
	if got, want := a.header.Get("Allow"), "GET, HEAD, DELETE"; got != want {
		t.Errorf("Allow = %q, want %q", got, want)
	}
	for _, method := range []string{"BREW", "get", "PROPFIND"} { // Fiber alone would answer these in plain text
		a := send(t, app, method, "/api/v2/thing/1", "")
		wantEnvelope(t, a, 405, "method.not.allowed")
		if a.header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", method)
		}
	}
	if a := send(t, app, http.MethodHead, "/api/v2/missing", ""); a.status != 404 || a.body != "" {
		t.Errorf("HEAD of nothing = %d %q, want 404 and no body", a.status, a.body)
	}
}

func TestPanicIsAnsweredAndItsValueNotLogged(t *testing.T) {
	t.Parallel()
	var routes []string
	app, log := newApp(web.Config{
		Dialects: []web.Dialect{{"/broken", func(*fiber.Ctx, web.Failure) error { panic("secret page content") }}},
		Observe:  func(route, _ string, status int, _ time.Duration) { routes = append(routes, fmt.Sprint(route, status)) },
	})
	app.Get("/panic", func(*fiber.Ctx) error { panic("secret page content") })
	app.Get("/index", func(c *fiber.Ctx) error { return c.SendString([]string{}[len(c.Path())]) })
	wantEnvelope(t, send(t, app, http.MethodGet, "/panic", ""), 500, "internal.server.error")
	wantEnvelope(t, send(t, app, http.MethodGet, "/index", ""), 500, "internal.server.error")
	if a := send(t, app, http.MethodGet, "/broken/x", ""); a.status != 500 || a.body != "" {
		t.Errorf("a dialect that panics = %d %q, want 500 and no body", a.status, a.body)
	}
	if want := []string{"/panic500", "/index500", "unmatched500"}; !slices.Equal(routes, want) {
		t.Errorf("observed = %q, want %q", routes, want)
	}
	text := log.String()
	if strings.Contains(text, "secret") {
		t.Errorf("the log has the value of the panic: %s", text)
	}
	for _, want := range []string{"panic with a string", "index out of range", `"stack":"goroutine`, "errors_test.go"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q: %s", want, text)
		}
	}
}

func TestHookThatPanicsDoesNotEndTheProcess(t *testing.T) {
	t.Parallel()
	app, _ := newApp(web.Config{Observe: func(route, _ string, _ int, _ time.Duration) {
		if route == "/x" {
			panic("hook")
		}
	}})
	app.Get("/x", func(c *fiber.Ctx) error { return c.SendString("partial") })
	wantEnvelope(t, send(t, app, http.MethodGet, "/x", ""), 500, "internal.server.error")
}

func BenchmarkEnvelope(b *testing.B) {
	app, _ := newApp(web.Config{})
	failure := error(&cobridge.Error{
		Code: cobridge.CodeConstraintValidation, Message: "The request breaks one or more rules.", Params: map[string]string{"conversationId": "c7"},
		Details: []cobridge.Detail{{ErrorCode: "missing", FieldName: "conversationId"}, {ErrorCode: "missing", FieldName: "participants"}},
	})
	handler := app.Config().ErrorHandler
	for name, err := range map[string]error{"members=0": failure, "members=2": web.WithBody(failure, map[string]any{"id": "d4", "sessionId": "d4"})} {
		b.Run(name, func(b *testing.B) {
			ctx := newCtx(b, app)
			b.ReportAllocs()
			for b.Loop() {
				if err := handler(ctx, err); err != nil {
					b.Fatal(err)
				}
			}
			if !json.Valid(ctx.Response().Body()) {
				b.Fatalf("answer = %s, want JSON", ctx.Response().Body())
			}
		})
	}
}
