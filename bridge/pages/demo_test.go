package pages_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/pages"
	"github.com/cobridge/cobridge/bridge/web"
)

const (
	demoAPI  = "http://127.0.0.1:8080"
	demoShop = "http://shop.localhost:8080"
)

// newDemo returns the pages of the demonstration, and something of the API's behind them.
func newDemo(t *testing.T) *fiber.App {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	app := web.NewApp(web.Config{Log: log, Clock: time.Now})
	p, err := pages.New(pages.Config{Log: log})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	err = p.MountDemo(app, pages.DemoConfig{BaseURL: demoAPI, ShopURL: demoShop, ShopDeployment: "shop-deployment", DeskDeployment: "desk-deployment"})
	if err != nil {
		t.Fatalf("MountDemo: %v", err)
	}
	p.Mount(app)
	app.Get("/api/v2/users", func(c *fiber.Ctx) error { return c.SendString("users") })
	return app
}

func visit(t *testing.T, app *fiber.App, method, address string) answer {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	r := httptest.NewRequestWithContext(t.Context(), method, "/"+path, http.NoBody)
	r.Host = host
	response, err := app.Test(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return answer{response, string(body)}
}

func TestDemoPages(t *testing.T) {
	t.Parallel()
	app := newDemo(t)
	for address, wants := range map[string][]string{
		demoShop + "/shop/":            {"<h1>Six good things for a quiet room</h1>", `<b data-basket-count>`, "€ 89.00"},
		demoShop + "/shop/product/mug": {"<h1>Ceramic mug</h1>", `name="colour"`, `role="tablist"`},
		demoShop + "/shop/basket":      {"<h1>Your basket</h1>"},
		demoShop + "/shop/checkout":    {`autocomplete="cc-number"`, `autocomplete="cc-csc"`, `type="password"`, `type="hidden"`, `<select name="country"`, "<textarea", `contenteditable="true"`, `type="checkbox"`, `type="email"`},
		demoShop + "/shop/payment":     {"Sharing pauses on this page", `autocomplete="one-time-code"`},
		demoShop + "/shop/thanks":      {"<h1>Thank you</h1>"},
		demoShop + "/shop/account":     {"<h1>Your account</h1>", "data-cb-mask", "data-cb-block"},
		demoShop + "/shop/help":        {`href="/shop/payment"`},
		demoShop + "/shop/designer":    {"<canvas", "<shop-stepper", `<iframe class="sizes" src="/shop/sizes"`},
		demoShop + "/shop/sizes":       {"<table>"},
		demoShop + "/demo/playground":  {`type="date"`, `type="range"`, `autocomplete="one-time-code"`, "data-lint"},
		demoAPI + "/demo/desktop":      {"<h1 data-name>Kim Customer</h1>", `data-deployment="desk-deployment"`},
	} {
		a := visit(t, app, http.MethodGet, address)
		if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s = %d %v", address, a.StatusCode, a.Header)
		}
		framed := strings.HasSuffix(address, "/sizes")
		if !framed {
			wants = append(wants, `<script async src="`+demoAPI+`/cobrowse/js/cobridge.js" data-deployment="`)
		}
		if strings.HasPrefix(address, demoShop) && !framed {
			wants = append(wants, `data-deployment="shop-deployment"`)
		}
		for _, want := range wants {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s has no %s", address, want)
			}
		}
		if inline := regexp.MustCompile(`(?i)<script>|<style|\sstyle=|\son\w+=`).FindString(a.body); inline != "" {
			t.Errorf("%s has %q, which its policy forbids", address, inline)
		}
		ancestors, frame := "'none'", "DENY"
		if framed {
			ancestors, frame = "'self'", "SAMEORIGIN"
		}
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self' " + demoAPI + "; style-src 'self'; img-src 'self'; connect-src " + demoAPI + " ws://127.0.0.1:8080; frame-src 'self'; " +
				"frame-ancestors " + ancestors + "; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'",
			"X-Frame-Options": frame, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin", "Cache-Control": "no-cache",
		} {
			if got := a.Header.Get(header); got != want {
				t.Errorf("%s: %s = %q, want %q", address, header, got, want)
			}
		}
		// Whatever a page refers to is there.
		links := regexp.MustCompile(`(?:src|href)="(/[^"#]*)"`).FindAllStringSubmatch(a.body, -1)
		if len(links) == 0 {
			t.Errorf("%s refers to nothing", address)
		}
		base := demoShop
		if strings.HasPrefix(address, demoAPI) {
			base = demoAPI
		}
		for _, link := range links {
			path := strings.ReplaceAll(link[1], "&amp;", "&")
			to := visit(t, app, http.MethodGet, base+path)
			if to.StatusCode != http.StatusOK || to.body == "" {
				t.Errorf("%s refers to %s, which is %d", address, path, to.StatusCode)
			}
			if strings.Contains(path, "/assets/") && (to.Header.Get("Cross-Origin-Resource-Policy") != "cross-origin" || to.Header.Get("Cache-Control") != "public, max-age=31536000, immutable") {
				t.Errorf("%s: %v", path, to.Header)
			}
		}
	}
}

// The shop's origin has the shop and nothing else, and the shop is nowhere else.
func TestDemoOrigins(t *testing.T) {
	t.Parallel()
	app := newDemo(t)
	for _, tt := range []struct {
		method, address string
		status          int
		location        string
	}{
		{http.MethodGet, demoShop + "/", 303, "/shop/"},
		{http.MethodGet, demoShop + "/shop", 200, ""},
		{http.MethodHead, demoShop + "/shop/help", 200, ""},
		{http.MethodGet, "http://SHOP.localhost:8080/shop/", 200, ""},
		{http.MethodGet, demoShop + "/shop/nothing", 404, ""},
		{http.MethodGet, demoShop + "/shop/product/nothing", 404, ""},
		{http.MethodGet, demoShop + "/shop/assets/shop.css", 404, ""},
		{http.MethodGet, demoShop + "/shop/assets/..%2fshop.css", 404, ""},
		{http.MethodGet, demoShop + "/demo/desktop", 404, ""},
		{http.MethodGet, demoShop + "/cobrowse/js/cobridge-lint.js", 404, ""},
		{http.MethodGet, demoShop + "/cobrowse/join", 404, ""},
		{http.MethodGet, demoShop + "/api/v2/users", 404, ""},
		{http.MethodPost, demoShop + "/shop/payment", 303, "/shop/payment"},
		{http.MethodPost, demoShop + "/shop/thanks", 303, "/shop/thanks"},
		{http.MethodGet, demoAPI + "/shop/help", 303, demoShop + "/shop/help"},
		{http.MethodGet, demoAPI + "/shop//evil.example", 303, demoShop + "/shop//evil.example"},
		{http.MethodGet, demoAPI + "/demo/playground", 303, demoShop + "/demo/playground"},
		{http.MethodGet, demoAPI + "/api/v2/users", 200, ""},
		{http.MethodGet, demoAPI + "/cobrowse/js/cobridge-lint.js", 200, ""},
		{http.MethodGet, demoAPI + "/shopping", 404, ""},
	} {
		a := visit(t, app, tt.method, tt.address)
		if a.StatusCode != tt.status || a.Header.Get("Location") != tt.location {
			t.Errorf("%s %s = %d %q, want %d %q", tt.method, tt.address, a.StatusCode, a.Header.Get("Location"), tt.status, tt.location)
		}
	}
}

func TestMountDemoRefusesBadShopURL(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	for _, address := range []string{"", "shop.localhost", demoAPI, demoShop + "/shop", "://"} {
		if err := p.MountDemo(fiber.New(), pages.DemoConfig{BaseURL: demoAPI, ShopURL: address}); err == nil {
			t.Errorf("MountDemo accepts %q", address)
		}
	}
}
