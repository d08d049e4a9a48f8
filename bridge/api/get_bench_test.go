package api_test

import (
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// What one GET of a session costs beside a bare handler that writes the same
// bytes. The network is left out: over it the difference is smaller.
func BenchmarkGetSession(b *testing.B) {
	h := newHouse(b)
	s := h.create(b, talk)
	bytes := []byte(h.want(b, http.StatusOK, http.MethodGet, sessionsURL+"/"+s.ID, "").body)
	bare := fiber.New()
	bare.Get("/*", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(bytes)
	})
	for name, handle := range map[string]fasthttp.RequestHandler{"handler=bare": bare.Handler(), "handler=session": h.app.Handler()} {
		b.Run(name, func(b *testing.B) {
			var ctx fasthttp.RequestCtx
			ctx.Request.Header.SetHost("cobridge.example")
			ctx.Request.SetRequestURI(sessionsURL + "/" + s.ID)
			ctx.Request.Header.Set("Authorization", "Bearer "+h.token)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Response.Reset()
				ctx.ResetUserValues()
				handle(&ctx)
			}
			if got := ctx.Response.StatusCode(); got != http.StatusOK {
				b.Fatalf("status = %d, want 200", got)
			}
		})
	}
}
