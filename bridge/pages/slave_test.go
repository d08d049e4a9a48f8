package pages_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/pages"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

const (
	deskOrigin  = "https://desk.example"
	oldSite     = cobrowse.DeploymentID("0a1b2c3d-0000-4000-8000-0000000000d1")
	otherSite   = cobrowse.DeploymentID("0a1b2c3d-0000-4000-8000-0000000000d2")
	goneSite    = cobrowse.DeploymentID("0a1b2c3d-0000-4000-8000-0000000000d3")
	onOldSite   = cobrowse.SessionID("0a1b2c3d-0000-4000-8000-0000000000e1")
	onOtherSite = cobrowse.SessionID("0a1b2c3d-0000-4000-8000-0000000000e2")
	onGoneSite  = cobrowse.SessionID("0a1b2c3d-0000-4000-8000-0000000000e3")
)

// sessions are a service that knows some sessions, and fails for one.
type sessions struct{ pages.Service }

func (sessions) Look(_ context.Context, id cobrowse.SessionID) (cobrowse.Session, error) {
	switch id {
	case onOldSite:
		return cobrowse.Session{ID: id, DeploymentID: oldSite}, nil
	case onOtherSite:
		return cobrowse.Session{ID: id, DeploymentID: otherSite}, nil
	case onGoneSite:
		return cobrowse.Session{ID: id, DeploymentID: goneSite}, nil
	case "broken":
		return cobrowse.Session{}, &cobridge.Error{Code: cobridge.CodeUnavailable}
	}
	return cobrowse.Session{}, &cobridge.Error{Code: cobridge.CodeNotFound}
}

type sites struct{}

func (sites) Deployment(_ context.Context, id cobrowse.DeploymentID) (cobrowse.Deployment, error) {
	switch id {
	case oldSite:
		return cobrowse.Deployment{ID: id, Rules: cobrowse.SharingRules{AssetOrigins: []string{"https://old-cdn.example"}}}, nil
	case otherSite:
		return cobrowse.Deployment{ID: id, Rules: cobrowse.SharingRules{AssetOrigins: []string{"https://other-cdn.example"}}}, nil
	}
	return cobrowse.Deployment{}, &cobridge.Error{Code: cobridge.CodeNotFound}
}

// slaveApp has the agent's page of the old product and nothing that it calls.
func slaveApp(t *testing.T, viewer string, cfg pages.LegacyConfig) *fiber.App {
	t.Helper()
	p, err := pages.New(pages.Config{Service: sessions{}, Deployments: sites{}, ViewerBaseURL: viewer, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{ErrorHandler: func(c *fiber.Ctx, err error) error {
		return c.SendStatus(web.StatusOf(cobridge.CodeOf(err)))
	}})
	app.Use(p.Guard("https://api.example"))
	cfg.Deployment = oldSite
	p.MountSlave(app, cfg)
	p.Mount(app)
	app.All("/*", func(c *fiber.Ctx) error { return c.SendStatus(http.StatusTeapot) }) // whatever else there is
	return app
}

func ask(t *testing.T, app *fiber.App, method, address string, head map[string]string) answer {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, u.RequestURI(), http.NoBody)
	r.Host = u.Host
	for name, value := range head {
		r.Header.Set(name, value)
	}
	response, err := app.Test(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return answer{response, string(body)}
}

func directive(a answer, name string) string {
	for part := range strings.SplitSeq(a.Header.Get("Content-Security-Policy"), "; ") {
		if rest, ok := strings.CutPrefix(part, name+" "); ok {
			return rest
		}
	}
	return ""
}

// The desks that are allowed may frame the page, and nobody else; everything besides
// is as on the join page.
func TestSlaveMayBeFramedByDesksAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		desks     []string
		ancestors string
		xfo       string
	}{
		"no desk":        {nil, "'none'", "DENY"},
		"one":            {[]string{deskOrigin}, deskOrigin, ""},
		"two":            {[]string{deskOrigin, "http://localhost:8080"}, deskOrigin + " http://localhost:8080", ""},
		"what is none":   {[]string{"https://desk.example; script-src *"}, "'none'", "DENY"},
		"one and a star": {[]string{deskOrigin, "*"}, deskOrigin, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := slaveApp(t, "https://viewer.example", pages.LegacyConfig{DeskOrigins: tt.desks})
			a := ask(t, app, http.MethodGet, "https://viewer.example/cobrowse/slave.html", nil)
			if a.StatusCode != http.StatusOK {
				t.Fatalf("slave.html = %d", a.StatusCode)
			}
			if got := directive(a, "frame-ancestors"); got != tt.ancestors {
				t.Errorf("frame-ancestors %s, want %s", got, tt.ancestors)
			}
			if got := a.Header.Values("X-Frame-Options"); !slices.Equal(got, strings.Fields(tt.xfo)) {
				t.Errorf("X-Frame-Options = %q, want %q", got, tt.xfo)
			}
			for header, want := range map[string]string{
				"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Content-Language": "en",
				"Cross-Origin-Opener-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
			} {
				if got := a.Header.Get(header); got != want {
					t.Errorf("%s = %q, want %q", header, got, want)
				}
			}
			for name, want := range map[string]string{
				"default-src": "'none'", "script-src": "'self'", "frame-src": "'none'", "base-uri": "'none'", "form-action": "'none'", "require-trusted-types-for": "'script'",
				"img-src": "data: blob: https://old-cdn.example",
			} {
				if got := directive(a, name); got != want {
					t.Errorf("%s %s, want %s", name, got, want)
				}
			}
		})
	}
}

// Pictures come from where the deployment of the session lets them come from.
func TestSlaveHasThePolicyOfItsSession(t *testing.T) {
	t.Parallel()
	app := slaveApp(t, "", pages.LegacyConfig{DeskOrigins: []string{deskOrigin}})
	for query, tt := range map[string]struct {
		images  string
		session cobrowse.SessionID
	}{
		"":                                {"data: blob: https://old-cdn.example", ""},
		"?session=" + string(onOldSite):   {"data: blob: https://old-cdn.example", onOldSite},
		"?session=" + string(onOtherSite): {"data: blob: https://other-cdn.example", onOtherSite},
		"?session=" + string(onGoneSite):  {"data: blob:", onGoneSite},
		"?session=unknown":                {"data: blob: https://old-cdn.example", ""},
	} {
		a := ask(t, app, http.MethodGet, "https://api.example/cobrowse/slave.html"+query, nil)
		if got := directive(a, "img-src"); got != tt.images {
			t.Errorf("%s: img-src %s, want %s", query, got, tt.images)
		}
		_, rest, _ := strings.Cut(a.body, `id="setup">`)
		rest, _, _ = strings.Cut(rest, "</script>")
		var setup struct {
			Texts     map[string]string
			Languages []string
			Base      string
			Policy    string
			Session   cobrowse.SessionID
		}
		if err := json.Unmarshal([]byte(rest), &setup); err != nil {
			t.Fatalf("%s: setup %v", query, err)
		}
		if setup.Session != tt.session || setup.Base != "/cobrowse" || !slices.Equal(setup.Languages, []string{"de", "en"}) {
			t.Errorf("%s: setup = %q %q %q, want the session %q", query, setup.Session, setup.Base, setup.Languages, tt.session)
		}
		// By which the script finds out whether it has to come again.
		head := ask(t, app, http.MethodHead, "https://api.example/cobrowse/slave.html"+query, nil)
		if got := head.Header.Get("Content-Security-Policy"); head.StatusCode != http.StatusOK || got != setup.Policy || got != a.Header.Get("Content-Security-Policy") {
			t.Errorf("%s: HEAD = %d with policy %q, the page was told %q", query, head.StatusCode, got, setup.Policy)
		}
	}
	if a := ask(t, app, http.MethodGet, "https://api.example/cobrowse/slave.html?session=broken", nil); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a store that is away: %d, want 503", a.StatusCode)
	}
}

func TestSlaveLanguage(t *testing.T) {
	t.Parallel()
	app := slaveApp(t, "", pages.LegacyConfig{})
	for _, tt := range []struct{ query, accept, lang, head string }{
		{"", "", "en", "Join a customer&#39;s session"},
		{"", "de-AT,de;q=0.9", "de", "An einer Sitzung teilnehmen"},
		{"?lang=de", "en", "de", "An einer Sitzung teilnehmen"},
		{"?lang=en", "de", "en", "Join a customer&#39;s session"},
		{"?lang=xx", "de", "de", "An einer Sitzung teilnehmen"},
	} {
		a := ask(t, app, http.MethodGet, "https://api.example/cobrowse/slave.html"+tt.query, map[string]string{"Accept-Language": tt.accept})
		if got := a.Header.Get("Content-Language"); got != tt.lang || heading(a) != tt.head || !strings.Contains(a.body, `<html lang="`+tt.lang+`">`) {
			t.Errorf("%q, %q: %s %q, want %s %q", tt.query, tt.accept, got, heading(a), tt.lang, tt.head)
		}
	}
}

// Agents join on the viewers' origin, where the page finds what it needs and nobody
// finds more.
func TestSlaveOnTheViewersOrigin(t *testing.T) {
	t.Parallel()
	app := slaveApp(t, "https://viewer.example", pages.LegacyConfig{DeskOrigins: []string{deskOrigin}})
	a := ask(t, app, http.MethodGet, "https://api.example/cobrowse/slave.html?lang=de&session=1%262&other=x", nil)
	if got, want := a.Header.Get("Location"), "https://viewer.example/cobrowse/slave.html?lang=de&session=1%262"; a.StatusCode != http.StatusSeeOther || got != want {
		t.Errorf("on the API's origin: %d %q, want 303 %q", a.StatusCode, got, want)
	}
	// Browsers look at who frames on the way as well.
	if got := a.Header.Get("X-Frame-Options") + directive(a, "frame-ancestors"); got != deskOrigin {
		t.Errorf("on the way there: framed by %q, want %q", got, deskOrigin)
	}
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/cobrowse/slave.html", http.StatusOK},
		{http.MethodHead, "/cobrowse/slave.html", http.StatusOK},
		{http.MethodPost, "/cobrowse/slave.html", http.StatusNotFound},
		{http.MethodPost, "/cobrowse/rest/live/sessions/123456789/join", http.StatusTeapot},
		{http.MethodOptions, "/cobrowse/rest/live/sessions/123456789/join", http.StatusTeapot},
		{http.MethodGet, "/cobrowse/rest/live/sessions/123456789/join", http.StatusNotFound},
		{http.MethodPost, "/cobrowse/rest/live/sessions", http.StatusNotFound},
		{http.MethodPost, "/cobrowse/rest/live/sessions//join", http.StatusNotFound},
		{http.MethodPost, "/cobrowse/rest/live/sessions/1/join/x", http.StatusNotFound},
		{http.MethodGet, "/cobrowse/rest/live/sessions/123456789", http.StatusNotFound},
		{http.MethodGet, "/cobrowse/rest/live/users/x/session/stop", http.StatusNotFound},
		{http.MethodGet, "/cobrowse/rest/history/sessions/x", http.StatusNotFound},
		{http.MethodGet, "/cobrowse/cometd", http.StatusNotFound},
		{http.MethodGet, "/cobrowse/js/cobridge.js", http.StatusNotFound},
		{http.MethodPost, "/elsewhere/rest/live/sessions/123456789/join", http.StatusNotFound},
	} {
		if got := ask(t, app, tt.method, "https://viewer.example"+tt.path, nil).StatusCode; got != tt.want {
			t.Errorf("%s %s = %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
}

// The page finds its script wherever the old application lies.
func TestSlaveBelowAnotherPath(t *testing.T) {
	t.Parallel()
	for base, paths := range map[string][]string{
		"":              {"/cobrowse/slave.html", "/cobrowse/slave.html/"},
		"/gcb":          {"/gcb/slave.html", "/gcb/slave.html/"},
		"/old/cobrowse": {"/old/cobrowse/slave.html"},
	} {
		app := slaveApp(t, "https://viewer.example", pages.LegacyConfig{BasePath: base})
		for _, path := range paths {
			a := ask(t, app, http.MethodGet, "https://viewer.example"+path, nil)
			_, script, found := strings.Cut(a.body, `<script type="module" src="`)
			script, _, _ = strings.Cut(script, `"`)
			page, err := url.Parse("https://viewer.example" + path)
			if err == nil {
				page, err = page.Parse(script)
			}
			if !found || err != nil {
				t.Fatalf("%s: no script: %d %v", path, a.StatusCode, err)
			}
			if got := ask(t, app, http.MethodGet, page.String(), nil); got.StatusCode != http.StatusOK || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/javascript") {
				t.Errorf("%s: %s = %d", path, page.Path, got.StatusCode)
			}
		}
		if base != "" {
			if got := ask(t, app, http.MethodPost, "https://viewer.example"+base+"/rest/live/sessions/1/join", nil).StatusCode; got != http.StatusTeapot {
				t.Errorf("%s: join = %d, want it to be let through", base, got)
			}
		}
	}
}

// Nobody finds the page, or its call, where it is not mounted.
func TestNoSlave(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Config{Service: sessions{}, ViewerBaseURL: "https://viewer.example", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{ErrorHandler: func(c *fiber.Ctx, err error) error { return c.SendStatus(web.StatusOf(cobridge.CodeOf(err))) }})
	app.Use(p.Guard("https://api.example"))
	p.Mount(app)
	for _, path := range []string{"/cobrowse/slave.html", "/cobrowse/rest/live/sessions/123456789/join"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if got := ask(t, app, method, "https://viewer.example"+path, nil).StatusCode; got != http.StatusNotFound {
				t.Errorf("%s %s = %d, want 404", method, path, got)
			}
		}
	}
}

// Every text of the page is one that it shows, in all languages.
func TestSlaveTexts(t *testing.T) {
	t.Parallel()
	const dir = "../../cobrowse/webui/src/"
	var sources strings.Builder
	for _, name := range []string{"slave/slave.js", "slave/slave.html", "slave/digits.js", "parts.html", "viewer/session.js", "viewer/grants.js", "viewer/control.js"} {
		data, err := os.ReadFile(dir + name)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(data)
	}
	own, shared := map[string]string{}, map[string]string{}
	for name, texts := range map[string]map[string]string{"texts/slave/en.json": own, "texts/en.json": shared} {
		data, err := os.ReadFile(dir + name)
		if err == nil {
			err = json.Unmarshal(data, &texts)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for key, text := range own {
		_, inPlaceOf := shared[key]
		kind, _, _ := strings.Cut(key, ".")
		_, last, _ := strings.Cut(key[len(kind):], ".")
		part := last[strings.LastIndex(last, ".")+1:]
		source := sources.String()
		said := inPlaceOf || strings.Contains(source, `"`+key+`"`) || strings.Contains(source, "'"+key+"'") ||
			kind == "state" || kind == "nosession" ||
			kind == "form" && strings.Contains(source, "'"+last+"'") ||
			kind == "digits" && strings.Contains(source, "'"+strings.TrimSuffix(last, "."+part)+"'")
		if strings.TrimSpace(text) == "" || !said {
			t.Errorf("nothing says %s", key)
		}
	}
}
