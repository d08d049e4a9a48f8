package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/docs"
)

// docsPolicy allows the page at /docs what it needs and nothing from elsewhere.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsPage has relative addresses, so that it works behind a gateway's prefix.
const docsPage = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>cobridge API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/page.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The document itself is at <a href="openapi.yaml">openapi.yaml</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/page.js"></script>
</body>
</html>
`

const docsStyle = "body { margin: 0; background: #fafafa; }\n"

const docsScript = `"use strict";
SwaggerUIBundle({
  url: "openapi.yaml",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis],
});
`

// mountDocs adds the parts of the page at /docs.
func mountDocs(r fiber.Router) {
	for _, part := range []struct {
		name, kind string
		content    []byte
		compressed bool
	}{
		{"swagger-ui-bundle.js", "text/javascript; charset=utf-8", docs.SwaggerJS, true},
		{"swagger-ui.css", "text/css; charset=utf-8", docs.SwaggerCSS, true},
		{"page.js", "text/javascript; charset=utf-8", []byte(docsScript), false},
		{"page.css", "text/css; charset=utf-8", []byte(docsStyle), false},
	} {
		r.Add(fiber.MethodGet, "/docs/"+part.name, asset(part.kind, part.content, part.compressed))
	}
}

// getDocs answers GET /docs.
func getDocs(c *fiber.Ctx) error {
	if strings.HasSuffix(c.Path(), "/") {
		return c.Redirect("../docs", fiber.StatusMovedPermanently) // the page's addresses are relative
	}
	c.Set(fiber.HeaderContentSecurityPolicy, docsPolicy)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	return c.SendString(docsPage)
}

// getOpenAPI answers GET /openapi.yaml.
func (a *api) getOpenAPI(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/yaml")
	c.Set(fiber.HeaderCacheControl, "no-cache")
	return c.Send(a.openAPI())
}

// servedDocument returns the document with the addresses that callers see, made
// when it is first asked for.
func servedDocument(document []byte, prefix string) func() []byte {
	return sync.OnceValue(func() []byte {
		if prefix == "" {
			return document
		}
		document = bytes.Replace(document, []byte("servers:\n  - url: /\n"), []byte("servers:\n  - url: "+prefix+"\n"), 1)
		return bytes.Replace(document, []byte("tokenUrl: /oauth/token\n"), []byte("tokenUrl: "+prefix+"/oauth/token\n"), 1)
	})
}

// asset serves a constant file. One that is kept compressed is unpacked, once, for
// the rare callers that do not take it so.
func asset(kind string, content []byte, compressed bool) fiber.Handler {
	sum := sync.OnceValue(func() string {
		h := sha256.Sum256(content)
		return `"` + hex.EncodeToString(h[:8]) + `"`
	})
	unpacked := sync.OnceValues(func() ([]byte, error) { return unpack(content) })
	return func(c *fiber.Ctx) error {
		c.Vary(fiber.HeaderAcceptEncoding)
		c.Set(fiber.HeaderETag, sum())
		c.Set(fiber.HeaderCacheControl, "no-cache") // kept, and asked about each time
		if c.Get(fiber.HeaderIfNoneMatch) == sum() {
			return c.SendStatus(fiber.StatusNotModified)
		}
		c.Set(fiber.HeaderContentType, kind)
		switch {
		case !compressed:
			return c.Send(content)
		case c.AcceptsEncodings("gzip") == "gzip":
			c.Set(fiber.HeaderContentEncoding, "gzip")
			return c.Send(content)
		}
		plain, err := unpacked()
		if err != nil {
			return fmt.Errorf("unpack asset: %w", err)
		}
		return c.Send(plain)
	}
}

func unpack(compressed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
