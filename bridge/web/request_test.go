package web_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/web"
)

func TestPaging(t *testing.T) {
	t.Parallel()
	app, _ := newApp(web.Config{})
	list := func(rule web.PageRule) fiber.Handler {
		return func(c *fiber.Ctx) error {
			req, err := web.Paging(c, rule)
			if err != nil {
				return err
			}
			var entities []string
			for i := req.Offset(); i < min(req.Offset()+req.Size, 120); i++ {
				entities = append(entities, strconv.Itoa(i))
			}
			return c.JSON(web.NewPage(c, req, entities, 120))
		}
	}
	app.Get("/api/v2/users", list(web.PageRule{}))
	app.Get("/api/v2/conversations", list(web.PageRule{Limit: true}))
	app.Get("/api/v2/small", list(web.PageRule{Default: 5, Max: 10}))
	app.Get("/api/v2/none", func(c *fiber.Ctx) error {
		req, err := web.Paging(c, web.PageRule{})
		if err != nil {
			return err
		}
		return c.JSON(web.NewPage[string](c, req, nil, 0))
	})
	for name, target := range map[string]string{
		"page-default": "/api/v2/users",
		"page-middle":  "/api/v2/users?pageSize=50&pageNumber=2&name=a%26b%20%C3%A4%22&id=1&id=2&flag",
		"page-last":    "/api/v2/users?pageSize=50&pageNumber=3",
		"page-beyond":  "/api/v2/users?pageSize=50&pageNumber=9",
		"page-limit":   "/api/v2/conversations?state=active&limit=5",
		"page-both":    "/api/v2/conversations?limit=5&pageSize=2",
		"page-unaware": "/api/v2/small?limit=7",
		"page-none":    "/api/v2/none?pageNumber=",
	} {
		a := send(t, app, http.MethodGet, target, "")
		if a.status != 200 {
			t.Errorf("%s: %d %s, want 200", target, a.status, a.body)
		}
		golden(t, name, "GET "+target+"\n"+strings.ReplaceAll(a.body, `,"`, ",\n\"")+"\n")
	}
	for query, fields := range map[string][]string{
		"pageSize=0": {"pageSize"}, "pageSize=101": {"pageSize"}, "pageSize=-1": {"pageSize"}, "pageSize=x": {"pageSize"}, "pageSize=1.5": {"pageSize"},
		"pageNumber=0": {"pageNumber"}, "pageNumber=1000001": {"pageNumber"}, "pageNumber=99999999999999999999": {"pageNumber"},
		"limit=0": {"limit"}, "limit=101&pageNumber=a": {"limit", "pageNumber"},
	} {
		e := wantEnvelope(t, send(t, app, http.MethodGet, "/api/v2/conversations?"+query, ""), 400, "invalid.query.param.value")
		var got []string
		for _, d := range e.Details {
			got = append(got, d.FieldName)
		}
		if diff := cmp.Diff(fields, got); diff != "" {
			t.Errorf("%s: fields (-want +got):\n%s", query, diff)
		}
	}
	wantEnvelope(t, send(t, app, http.MethodGet, "/api/v2/small?pageSize=11", ""), 400, "invalid.query.param.value")
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	// app.Test connects from 0.0.0.0.
	proxies := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	show := func(c *fiber.Ctx) error {
		return c.SendString(fmt.Sprint(web.ClientAddr(c), " ", web.ClientNetwork(c), " ", web.Secure(c)))
	}
	trusting, _ := newApp(web.Config{TrustedProxies: proxies})
	trusting.Get("/", show)
	plain, _ := newApp(web.Config{})
	plain.Get("/", show)
	for name, tt := range map[string]struct {
		app    *fiber.App
		header []string
		want   string
	}{
		"nobody trusted":         {plain, []string{"X-Forwarded-For", "203.0.113.7", "X-Forwarded-Proto", "https", "X-Forwarded-Ssl", "on"}, "0.0.0.0 0.0.0.0 false"},
		"none":                   {trusting, nil, "0.0.0.0 0.0.0.0 false"},
		"one":                    {trusting, []string{"X-Forwarded-For", "203.0.113.7", "X-Forwarded-Proto", "https"}, "203.0.113.7 203.0.113.7 true"},
		"a claim before it":      {trusting, []string{"X-Forwarded-For", "1.2.3.4, 203.0.113.7", "X-Forwarded-Proto", "https,http"}, "203.0.113.7 203.0.113.7 false"},
		"proxies behind it":      {trusting, []string{"X-Forwarded-For", "1.2.3.4,203.0.113.7 , 10.1.1.1,fd00::1"}, "203.0.113.7 203.0.113.7 false"},
		"several lines":          {trusting, []string{"X-Forwarded-For", "1.2.3.4", "X-Forwarded-For", "203.0.113.7", "X-Forwarded-For", "10.0.0.1"}, "203.0.113.7 203.0.113.7 false"},
		"proxies only":           {trusting, []string{"X-Forwarded-For", "10.0.0.9, 10.0.0.1"}, "10.0.0.9 10.0.0.9 false"},
		"garbage stops the walk": {trusting, []string{"X-Forwarded-For", "203.0.113.7, unknown, 10.0.0.1"}, "10.0.0.1 10.0.0.1 false"},
		"garbage alone":          {trusting, []string{"X-Forwarded-For", "<script>"}, "0.0.0.0 0.0.0.0 false"},
		"IPv6 counts by network": {trusting, []string{"X-Forwarded-For", "2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2:3:4:5:6 2001:db8:1:2::/64 false"},
		"IPv6 with a port":       {trusting, []string{"X-Forwarded-For", "[2001:db8::1]:4711"}, "2001:db8::1 2001:db8::/64 false"},
		"IPv6 in brackets":       {trusting, []string{"X-Forwarded-For", "[2001:db8::1]"}, "2001:db8::1 2001:db8::/64 false"},
		"IPv6 with a zone":       {trusting, []string{"X-Forwarded-For", "fe80::1%eth0"}, "fe80::1 fe80::/64 false"},
		"IPv4 with a port":       {trusting, []string{"X-Forwarded-For", "203.0.113.7:4711"}, "203.0.113.7 203.0.113.7 false"},
		"mapped IPv4":            {trusting, []string{"X-Forwarded-For", "203.0.113.7, ::ffff:10.0.0.1"}, "203.0.113.7 203.0.113.7 false"},
		"a long list":            {trusting, []string{"X-Forwarded-For", "203.0.113.7" + strings.Repeat(", 10.0.0.1", 40)}, "10.0.0.1 10.0.0.1 false"},
	} {
		if a := send(t, tt.app, http.MethodGet, "/", "", tt.header...); a.body != tt.want {
			t.Errorf("%s: client = %q, want %q", name, a.body, tt.want)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	app, _ := newApp(web.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}})
	app.Get("/api/v2/ok", func(c *fiber.Ctx) error { return c.SendString("ok") })
	app.Get("/page", func(c *fiber.Ctx) error {
		c.Set("Content-Security-Policy", "default-src 'self'")
		return c.SendString("ok")
	})
	for target, want := range map[string]map[string]string{
		"/api/v2/ok": {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Strict-Transport-Security": ""},
		"/page":      {"Cache-Control": "", "Content-Security-Policy": "default-src 'self'"},
		"/missing":   {"Cache-Control": "no-store"},
	} {
		a := send(t, app, http.MethodGet, target, "")
		maps.Copy(want, map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Server": ""})
		for name, value := range want {
			if got := a.header.Get(name); got != value {
				t.Errorf("%s: %s = %q, want %q", target, name, got, value)
			}
		}
	}
	a := send(t, app, http.MethodGet, "/api/v2/ok", "", "X-Forwarded-Proto", "https")
	if got, want := a.header.Get("Strict-Transport-Security"), "max-age=31536000"; got != want {
		t.Errorf("behind TLS: Strict-Transport-Security = %q, want %q", got, want)
	}
	without, _ := newApp(web.Config{NoHSTS: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}})
	without.Get("/api/v2/ok", func(c *fiber.Ctx) error { return c.SendString("ok") })
	if got := send(t, without, http.MethodGet, "/api/v2/ok", "", "X-Forwarded-Proto", "https").header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("switched off: Strict-Transport-Security = %q, want none", got)
	}
}

func TestDeadlineReachesTheHandler(t *testing.T) {
	t.Parallel()
	app, _ := newApp(web.Config{RequestTimeout: 20 * time.Millisecond})
	app.Get("/slow", func(c *fiber.Ctx) error {
		<-c.UserContext().Done()
		return fmt.Errorf("read store: %w", c.UserContext().Err())
	})
	wantEnvelope(t, send(t, app, http.MethodGet, "/slow", ""), 504, "request.timeout")
	standard, _ := newApp(web.Config{})
	standard.Get("/", func(c *fiber.Ctx) error {
		until, ok := c.UserContext().Deadline()
		if left := time.Until(until); !ok || left > 9*time.Second || left < 5*time.Second {
			t.Errorf("deadline in %v, %v, want one of at most 9 s", left, ok)
		}
		return nil
	})
	send(t, standard, http.MethodGet, "/", "")
}

func TestObserve(t *testing.T) {
	t.Parallel()
	type seen struct {
		Route, Method string
		Status        int
		Took          time.Duration
	}
	var got []seen
	now := time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	app, log := newApp(web.Config{
		Clock: func() time.Time { now = now.Add(time.Millisecond); return now },
		Observe: func(route, method string, status int, took time.Duration) {
			got = append(got, seen{route, method, status, took})
		},
	})
	app.Get("/api/v2/things/:id", func(c *fiber.Ctx) error { return c.SendString("ok") })
	app.Get("/fail/:id", func(*fiber.Ctx) error { return http.ErrNoLocation })
	app.Group("/closed", func(*fiber.Ctx) error { return fiber.ErrForbidden }).Get("/:id", func(*fiber.Ctx) error { return nil })
	for _, target := range []string{"/api/v2/things/top-secret?token=top-secret", "/fail/top-secret", "/closed/top-secret", "/top-secret"} {
		send(t, app, http.MethodGet, target, "")
	}
	send(t, app, http.MethodPut, "/api/v2/things/top-secret", "")
	send(t, app, "BREW", "/top-secret", "")
	want := []seen{
		{"/api/v2/things/:id", "GET", 200, time.Millisecond},
		{"/fail/:id", "GET", 500, time.Millisecond},
		{"/closed", "GET", 403, time.Millisecond},
		{web.RouteUnmatched, "GET", 404, time.Millisecond},
		{web.RouteUnmatched, "PUT", 405, time.Millisecond},
		{web.RouteUnmatched, "", 405, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	text := log.String()
	if strings.Contains(text, "secret") {
		t.Errorf("the access log has what a caller wrote: %s", text)
	}
	for _, part := range []string{`"route":"/api/v2/things/:id"`, `"status":200`, `"code":"not.found"`, `"level":"DEBUG"`} {
		if !strings.Contains(text, part) {
			t.Errorf("the access log lacks %s: %s", part, text)
		}
	}
}

func TestServerSettings(t *testing.T) {
	t.Parallel()
	app, _ := newApp(web.Config{})
	server := app.Server()
	if !server.KeepHijackedConns || !server.SecureErrorLogMessage || !server.DisablePreParseMultipartForm || !server.CloseOnShutdown {
		t.Error("a setting of the server that protects clients from each other is off")
	}
	if server.ReadTimeout == 0 || server.WriteTimeout == 0 || server.IdleTimeout == 0 {
		t.Errorf("timeouts = %v, %v, %v, want none of them 0", server.ReadTimeout, server.WriteTimeout, server.IdleTimeout)
	}
	if server.ReadBufferSize != 8<<10 || server.MaxRequestBodySize != 256<<10 {
		t.Errorf("head and body limits = %d, %d, want 8 KiB and 256 KiB", server.ReadBufferSize, server.MaxRequestBodySize)
	}
	if cfg := app.Config(); !cfg.Immutable || cfg.Prefork || !cfg.EnableTrustedProxyCheck || len(cfg.TrustedProxies) > 0 {
		t.Error("Immutable and EnableTrustedProxyCheck must be on, Prefork and Fiber's own trust off")
	}
}
