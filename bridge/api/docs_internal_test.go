package api

import (
	"bytes"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/cobridge/cobridge/docs"
)

// An asset that is unpacked for its caller is unpacked once: a copy for each would
// let slow readers hold a megabyte and a half with every connection.
func TestUnpackedAssetIsShared(t *testing.T) {
	t.Parallel()
	app := fiber.New()
	handle := asset("text/javascript", docs.SwaggerJS, true)
	get := func() []byte {
		c := app.AcquireCtx(&fasthttp.RequestCtx{})
		defer app.ReleaseCtx(c)
		c.Request().Header.Set(fiber.HeaderAcceptEncoding, "identity")
		if err := handle(c); err != nil {
			t.Fatalf("asset: %v", err)
		}
		return c.Response().Body()
	}
	first, second := get(), get()
	if len(first) < len(docs.SwaggerJS) || !bytes.Equal(first, second) {
		t.Fatalf("answers have %d and %d bytes, want the unpacked asset twice", len(first), len(second))
	}
	if &first[0] != &second[0] {
		t.Error("each answer has a copy of its own")
	}
}
