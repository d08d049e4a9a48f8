package web_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/cobridge/cobridge/bridge/web"
)

// newCtx returns a context of app that belongs to no connection.
func newCtx(tb testing.TB, app *fiber.App) *fiber.Ctx {
	tb.Helper()
	c := app.AcquireCtx(&fasthttp.RequestCtx{})
	tb.Cleanup(func() { app.ReleaseCtx(c) })
	return c
}

func TestCorrelationID(t *testing.T) {
	t.Parallel()
	app, log := newApp(web.Config{})
	app.Get("/ok", func(c *fiber.Ctx) error {
		if got, want := web.ContextIDFrom(c.UserContext()), web.ContextID(c); got != want {
			t.Errorf("id in the context = %q, of the request = %q, want the same", got, want)
		}
		return c.SendString(web.ContextID(c))
	})
	const own = "3d1e8f3c-54a7-4c0e-8c55-07d7a0f3b0de"
	for name, tt := range map[string]struct {
		given string
		kept  bool
	}{
		"none":         {"", false},
		"a UUID":       {own, true},
		"64 long":      {strings.Repeat("a", 64), true},
		"65 long":      {strings.Repeat("a", 65), false},
		"with a space": {"a b", false},
		"with JSON":    {`a","code":"x`, false},
		"with markup":  {"<script>", false},
		"not ASCII":    {"ä", false},
	} {
		for target, status := range map[string]int{"/ok": 200, "/missing": 404} {
			a := send(t, app, http.MethodGet, target, "", web.HeaderCorrelationID, tt.given)
			got := a.header.Get(web.HeaderCorrelationID)
			if a.status != status || len(a.header.Values(web.HeaderCorrelationID)) != 1 {
				t.Errorf("%s %s: status %d with ids %q, want %d and one id", name, target, a.status, a.header.Values(web.HeaderCorrelationID), status)
			}
			if tt.kept && got != tt.given {
				t.Errorf("%s %s: id = %q, want the caller's", name, target, got)
			}
			if id, err := uuid.Parse(got); !tt.kept && (err != nil || id.Version() != 4) {
				t.Errorf("%s %s: id = %q, want a new UUID of version 4", name, target, got)
			}
			if status == 200 && a.body != got {
				t.Errorf("%s: handler saw %q, the header is %q", name, a.body, got)
			}
		}
	}
	if !strings.Contains(log.String(), `"contextId":"`+own+`"`) {
		t.Errorf("the access log lacks the contextId: %s", log)
	}
}

func TestLogHandlerKeepsItselfAround(t *testing.T) {
	t.Parallel()
	app, _ := newApp(web.Config{})
	c := newCtx(t, app)
	id := web.ContextID(c)
	var out bytes.Buffer
	inner := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})
	handler := web.NewLogHandler(inner)
	if web.NewLogHandler(handler) != handler {
		t.Error("NewLogHandler wraps a LogHandler again, want it returned as it is")
	}
	log := slog.New(handler).With("area", "test").WithGroup("g")
	log.InfoContext(c.UserContext(), "below the level")
	log.WarnContext(c.UserContext(), "with", "k", 1)
	log.WarnContext(context.Background(), "without")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("lines = %q, want two", lines)
	}
	if want := "area=test g.k=1 g.contextId=" + id; !strings.HasSuffix(lines[0], want) {
		t.Errorf("line = %q, want it to end with %q", lines[0], want)
	}
	if strings.Contains(lines[1], "contextId") {
		t.Errorf("line = %q, want no contextId", lines[1])
	}
}

func BenchmarkCorrelation(b *testing.B) {
	app := fiber.New()
	app.Use(web.Correlate(nil))
	app.Get("/", func(*fiber.Ctx) error { return nil })
	serve := app.Handler()
	for _, given := range []string{"", "3d1e8f3c-54a7-4c0e-8c55-07d7a0f3b0de"} {
		name := "caller=new"
		if given != "" {
			name = "caller=own"
		}
		b.Run(name, func(b *testing.B) {
			ctx := &fasthttp.RequestCtx{}
			ctx.Request.SetRequestURI("/")
			if given != "" {
				ctx.Request.Header.Set(web.HeaderCorrelationID, given)
			}
			b.ReportAllocs()
			for b.Loop() {
				ctx.ResetUserValues()
				serve(ctx)
			}
		})
	}
}
