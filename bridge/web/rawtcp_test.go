package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/bridge/web"
)

// exchange writes raw bytes to a new connection and returns the first answer and
// whether the server then closed the connection.
func exchange(t *testing.T, addr, raw string) (a answer, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// Not awaited: the server may answer and close before it has read all of it.
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(conn, raw)
	}()
	defer func() { <-written }()
	reader := bufio.NewReader(conn)
	method, _, _ := strings.Cut(raw, " ")
	resp, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read answer to %.80q: %v", raw, err)
	}
	a = readAnswer(t, resp)
	if !resp.Close {
		return a, false
	}
	_, err = reader.ReadByte() // end of file, or a reset where the body was not read
	return a, err != nil
}

func newRawApp(t *testing.T, cfg web.Config) (addr string, log *testenv.Buffer) {
	t.Helper()
	app, log := newApp(cfg)
	app.Get("/ok", func(c *fiber.Ctx) error { return c.SendString("ok") })
	app.Post("/echo", func(c *fiber.Ctx) error { return c.Send(c.Body()) })
	return listen(t, app), log
}

func TestAmbiguousRequestsAreRefused(t *testing.T) {
	t.Parallel()
	addr, log := newRawApp(t, web.Config{})
	const secret = "Authorization: Bearer top-secret\r\n"
	const post = "POST /echo HTTP/1.1\r\nHost: a\r\n" + secret
	requests := map[string]string{
		"length and coding":               post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"coding and length":               post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"length and coding, odd case":     post + "content-LENGTH: 5\r\ntransfer-ENCODING: Chunked\r\n\r\n0\r\n\r\n",
		"length 0 and coding":             post + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":                     post + "Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
		"two equal lengths":               post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"list of lengths":                 post + "Content-Length: 2, 2\r\n\r\n{}",
		"signed length":                   post + "Content-Length: +2\r\n\r\n{}",
		"negative length":                 post + "Content-Length: -2\r\n\r\n{}",
		"hexadecimal length":              post + "Content-Length: 0x2\r\n\r\n{}",
		"length of letters":               post + "Content-Length: abc\r\n\r\n{}",
		"two codings":                     post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"list of codings":                 post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"unknown coding":                  post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"identity coding":                 post + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
		"identity coding alone":           post + "Transfer-Encoding: identity\r\n\r\n",
		"coding in HTTP/1.0":              "POST /echo HTTP/1.0\r\nHost: a\r\n" + secret + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"coding after a vertical tab":     post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"space before the colon":          post + "Content-Length : 2\r\n\r\n{}",
		"space in a name":                 post + "Transfer Encoding: chunked\r\n\r\n",
		"folded line":                     post + "X-A: b\r\n Content-Length: 5\r\n\r\n",
		"folded coding":                   post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		"folded first line":               "POST /echo HTTP/1.1\r\n Host: a\r\n" + secret + "\r\n",
		"bare line feed":                  "POST /echo HTTP/1.1\r\nHost: a\r\n" + secret + "X-A: b\nContent-Length: 2\r\n\r\n{}",
		"bare line feed before a coding":  "POST /echo HTTP/1.1\r\nHost: a\r\n" + secret + "Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"bare carriage return in a value": post + "X-A: b\rContent-Length: 2\r\n\r\n{}",
		"zero byte in a value":            post + "X-A: b\x00c\r\n\r\n",
		"line without a colon":            post + "Content-Length\r\n\r\n",
		"empty name":                      post + ": 5\r\n\r\n",
		"two hosts":                       post + "Host: b\r\n\r\n",
		"no host":                         "GET /ok HTTP/1.1\r\n" + secret + "\r\n",
		"broken chunk":                    post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
		"chunk without its end":           post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n",
		"garbage":                         "\x16\x03\x01\x02\x00\x01top-secret\r\n\r\n",
		"no version":                      "GET /ok?token=top-secret\r\n\r\n",
		"another version":                 "GET /ok?token=top-secret HTTP/2.0\r\nHost: a\r\n\r\n",
		"the word timeout":                "timeout top-secret\r\n\r\n",
	}
	// Parallel subtests run when this function is over: the log is looked at after them.
	t.Cleanup(func() {
		if text := log.String(); strings.Contains(text, "secret") || strings.Contains(text, `"level":"ERROR"`) {
			t.Errorf("the log shows the request, or calls it our error: %s", text)
		}
	})
	for name, raw := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, closed := exchange(t, addr, raw)
			wantEnvelope(t, a, 400, "bad.request")
			if !closed {
				t.Error("the connection stays open, want it closed: what follows cannot be told apart from the body")
			}
			if shown := fmt.Sprint(a); strings.Contains(shown, "secret") || strings.Contains(shown, "Host") {
				t.Errorf("the answer shows the request: %s", shown)
			}
			if a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("no security headers")
			}
		})
	}
}

func TestPlainFramingIsAccepted(t *testing.T) {
	t.Parallel()
	addr, _ := newRawApp(t, web.Config{})
	for name, tt := range map[string]struct{ raw, body string }{
		"length":       {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", "{}"},
		"chunks":       {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", "{}"},
		"no body":      {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Type: application/json\r\n\r\n", ""},
		"HTTP/1.0":     {"GET /ok HTTP/1.0\r\nHost: a\r\n\r\n", "ok"},
		"empty header": {"GET /ok HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n\r\n", "ok"},
		"head":         {"HEAD /ok HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		"continue":     {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ""},
	} {
		a, _ := exchange(t, addr, tt.raw)
		if a.status != 200 || a.body != tt.body {
			t.Errorf("%s: %d %q, want 200 %q", name, a.status, a.body, tt.body)
		}
	}
}

func TestWhatIsTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	addr, _ := newRawApp(t, web.Config{BodyLimit: 1 << 16})
	for name, tt := range map[string]struct {
		raw    string
		status int
		code   string
	}{
		"one long header":  {"GET /ok HTTP/1.1\r\nHost: a\r\nX-A: " + strings.Repeat("a", 10_000) + "\r\n\r\n", 431, "request.header.too.large"},
		"many headers":     {"GET /ok HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-A: b\r\n", 5000) + "\r\n", 431, "request.header.too.large"},
		"endless headers":  {"GET /ok HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-A: b\r\n", 5000), 431, "request.header.too.large"},
		"long address":     {"GET /ok?" + strings.Repeat("a", 10_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 431, "request.header.too.large"},
		"announced body":   {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n", 413, "request.entity.too.large"},
		"enormous length":  {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n", 413, "request.entity.too.large"},
		"overflown length": {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400, "bad.request"},
		"body in chunks":   {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n11171\r\n" + strings.Repeat("a", 0x11171) + "\r\n0\r\n\r\n", 413, "request.entity.too.large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, closed := exchange(t, addr, tt.raw)
			wantEnvelope(t, a, tt.status, tt.code)
			if !closed {
				t.Error("the connection stays open, want it closed")
			}
		})
	}
}

func TestSlowRequestsAreCutOff(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	addr, _ := newRawApp(t, web.Config{ReadTimeout: 150 * time.Millisecond, Observe: func(route, method string, status int, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(route, method, status))
	}})
	for name, raw := range map[string]string{
		"head": "GET /ok HTTP/1.1\r\nHost: a\r\nX-Slow: ",
		"body": "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
	} {
		a, closed := exchange(t, addr, raw)
		wantEnvelope(t, a, 408, "client.timeout")
		if !closed {
			t.Errorf("slow %s: the connection stays open, want it closed", name)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := "unreadable408"; !slices.Contains(seen, want) {
		t.Errorf("observed = %q, want %q among them", seen, want)
	}
}

func TestEachRequestOfAConnectionIsItsOwn(t *testing.T) {
	t.Parallel()
	app, _ := newApp(web.Config{})
	var kept []string
	app.Get("/keep/:id", func(c *fiber.Ctx) error {
		kept = append(kept, c.Params("id"), c.Query("q"), c.Get("X-H"))
		return c.SendString(web.ContextID(c))
	})
	addr := listen(t, app)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	ids := map[string]bool{}
	for _, raw := range []string{
		"GET /keep/aaa?q=1 HTTP/1.1\r\nHost: a\r\nX-H: one\r\n\r\n",
		"GET /keep/bbb?q=2 HTTP/1.1\r\nHost: a\r\nX-H: two\r\n\r\n",
		"GET /keep/ccc?q=3 HTTP/1.1\r\nHost: a\r\nX-H: thr\r\n\r\n",
		"what is this\r\n\r\n",
	} {
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		ids[readAnswer(t, resp).header.Get(web.HeaderCorrelationID)] = true
	}
	if len(ids) != 4 {
		t.Errorf("correlation ids = %v, want four different ones", ids)
	}
	if want := []string{"aaa", "1", "one", "bbb", "2", "two", "ccc", "3", "thr"}; !slices.Equal(kept, want) {
		t.Errorf("values kept after their handlers = %q, want %q", kept, want)
	}
}
