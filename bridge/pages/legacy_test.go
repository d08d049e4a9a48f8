package pages_test

import (
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/pages"
	"github.com/cobridge/cobridge/bridge/web"
)

const legacyAPI = "http://api.example"

// newLegacy returns the old product's pages below a base path, and ours behind them.
func newLegacy(t *testing.T, cfg pages.LegacyConfig) *fiber.App {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	app := web.NewApp(web.Config{Log: log, Clock: time.Now})
	p, err := pages.New(pages.Config{Log: log})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if err := p.MountLegacy(app, cfg); err != nil {
		t.Fatalf("MountLegacy: %v", err)
	}
	p.Mount(app)
	return app
}

func TestLegacyScript(t *testing.T) {
	t.Parallel()
	for base, path := range map[string]string{"": "/cobrowse", "/cobrowse": "/cobrowse", "/gcb/cobrowse": "/gcb/cobrowse", "/old/": "/old"} {
		app := newLegacy(t, pages.LegacyConfig{BasePath: base, BaseURL: legacyAPI + "/gateway/", Deployment: "shop-deployment"})
		for _, name := range []string{"gcb.min.js", "cobridge-control.js", "cobridge-lint.js", "LEGAL.txt"} {
			a := visit(t, app, http.MethodGet, legacyAPI+path+"/js/"+name)
			if a.StatusCode != http.StatusOK || a.body != readDist(t, name) {
				t.Errorf("base path %q: %s = %d with %d bytes", base, name, a.StatusCode, len(a.body))
			}
			for header, want := range map[string]string{
				"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin", "X-Content-Type-Options": "nosniff",
			} {
				if got := a.Header.Get(header); got != want {
					t.Errorf("base path %q: %s: %s = %q, want %q", base, name, header, got, want)
				}
			}
		}
		// A page may pin the version; the address of another one leads to this one.
		version := visit(t, app, http.MethodHead, legacyAPI+path+"/js/gcb.min.js").Header.Get("Content-Location")
		if !regexp.MustCompile(`^[0-9a-f]{12}/gcb\.min\.js$`).MatchString(version) {
			t.Fatalf("base path %q: Content-Location = %q", base, version)
		}
		pinned := visit(t, app, http.MethodGet, legacyAPI+path+"/js/"+version)
		if pinned.StatusCode != http.StatusOK || !strings.Contains(pinned.Header.Get("Cache-Control"), "immutable") || pinned.body != readDist(t, "gcb.min.js") {
			t.Errorf("base path %q: %s = %d %v", base, version, pinned.StatusCode, pinned.Header)
		}
		if a := visit(t, app, http.MethodGet, legacyAPI+path+"/js/0123456789ab/gcb.min.js"); a.StatusCode != http.StatusFound || a.Header.Get("Location") != "../gcb.min.js" {
			t.Errorf("base path %q: another version = %d %v", base, a.StatusCode, a.Header)
		}
		// The customer script stays where it is.
		if a := visit(t, app, http.MethodGet, legacyAPI+"/cobrowse/js/cobridge.js"); a.StatusCode != http.StatusOK {
			t.Errorf("base path %q: cobridge.js = %d", base, a.StatusCode)
		}
	}
}

func TestLegacyStart(t *testing.T) {
	t.Parallel()
	app := newLegacy(t, pages.LegacyConfig{BaseURL: legacyAPI + "/gateway/", Deployment: "shop-deployment"})
	a := visit(t, app, http.MethodGet, legacyAPI+"/cobrowse/js/gcb.json")
	if want := `{"base":"http://api.example/gateway","deployment":"shop-deployment"}`; a.StatusCode != http.StatusOK || a.body != want {
		t.Errorf("gcb.json = %d %s, want %s", a.StatusCode, a.body, want)
	}
	for header, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff",
	} {
		if got := a.Header.Get(header); got != want {
			t.Errorf("gcb.json: %s = %q, want %q", header, got, want)
		}
	}
}

func TestLegacyConfig(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	for name, cfg := range map[string]pages.LegacyConfig{
		"no address": {Deployment: "d"}, "no http": {BaseURL: "ftp://api.example", Deployment: "d"}, "no deployment": {BaseURL: legacyAPI},
	} {
		if err := p.MountLegacy(fiber.New(), cfg); err == nil {
			t.Errorf("%s: MountLegacy succeeds", name)
		}
	}
}

// Without the old product nothing of it is served.
func TestLegacyOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, path := range []string{"/cobrowse/js/gcb.min.js", "/cobrowse/js/gcb.json"} {
		if a := get(t, h.base+path); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", path, a.StatusCode)
		}
	}
}

// The demonstration's old page has the snippet inside, and lets it run and nothing else.
func TestDemoLegacyPage(t *testing.T) {
	t.Parallel()
	app := newDemo(t)
	a := visit(t, app, http.MethodGet, demoShop+pages.DemoLegacyPath)
	found := regexp.MustCompile(`<script nonce="([A-Z2-7]{20,})">`).FindAllStringSubmatch(a.body, -1)
	if a.StatusCode != http.StatusOK || len(found) != 2 {
		t.Fatalf("%s = %d with %d scripts", pages.DemoLegacyPath, a.StatusCode, len(found))
	}
	for _, want := range []string{`app: "http://127.0.0.1:8080/cobrowse"`, `"data-gcb-url"`, `"genesys-js"`, `data-gcb-service-node="true"`} {
		if !strings.Contains(strings.ReplaceAll(a.body, `\/`, "/"), want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(a.body, "cobridge.js") {
		t.Error("the page has our own script, too")
	}
	policy := a.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "script-src 'self' 'nonce-"+found[0][1]+"' "+demoAPI+";") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "trusted-types") {
		t.Errorf("policy = %s", policy)
	}
	again := visit(t, app, http.MethodGet, demoShop+pages.DemoLegacyPath)
	if strings.Contains(again.body, found[0][1]) {
		t.Error("the nonce comes twice")
	}
}
