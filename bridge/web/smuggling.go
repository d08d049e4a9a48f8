package web

import (
	"bytes"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// RefuseSmuggling returns the middleware that refuses, with 400 and the end of
// the connection, a request whose length two servers could read in two ways
// (RFC 9112, sections 2.2, 5.2, 6.1 and 6.3). fasthttp itself refuses repeated
// and unreadable lengths, and accepts what is refused here: Content-Length
// beside Transfer-Encoding, a transfer coding in HTTP/1.0 or other than chunked,
// folded lines, names with a space, lines that end without a carriage return,
// and versions of HTTP that it does not speak.
func RefuseSmuggling() fiber.Handler {
	return func(c *fiber.Ctx) error {
		head := &c.Request().Header
		version := string(head.Protocol())
		known := version == "HTTP/1.1" || version == "HTTP/1.0"
		if !known || !clearFraming(head.RawHeaders(), head.IsHTTP11()) {
			c.Context().SetConnectionClose()
			return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "The head of the request is ambiguous."}
		}
		return c.Next()
	}
}

// clearFraming reads the head as it came: the parsed header no longer knows of a
// Content-Length that it has overruled.
func clearFraming(raw []byte, http11 bool) bool {
	length, coding := false, false
	for len(raw) > 0 {
		line, rest, found := bytes.Cut(raw, []byte{'\n'})
		raw = rest
		line, crlf := bytes.CutSuffix(line, []byte{'\r'})
		if found != crlf || bytes.IndexByte(line, '\r') >= 0 {
			return false
		}
		if len(line) == 0 {
			continue
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		if bytes.ContainsAny(name, " \t") { // a folded line starts with one
			return false
		}
		switch {
		case bytes.EqualFold(name, []byte(fiber.HeaderContentLength)):
			length = true
		case bytes.EqualFold(name, []byte(fiber.HeaderTransferEncoding)):
			coding = true
			if !http11 || !bytes.EqualFold(bytes.Trim(value, " \t"), []byte("chunked")) {
				return false
			}
		}
	}
	return !length || !coding
}
