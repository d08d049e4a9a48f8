package pages_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/pages"
	"github.com/cobridge/cobridge/cobrowse"
)

func TestGetKeepsTheToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	token := h.token(t, s, annPID)
	link := h.base + "/cobrowse/join?token=" + token
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} {
		a := request(t, method, link, "", nil)
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%s = %d, want 200", method, a.StatusCode)
		}
		if (a.body == "") != (method == http.MethodHead) {
			t.Errorf("%s: body of %d bytes", method, len(a.body))
		}
		if strings.Contains(a.body, token) {
			t.Errorf("%s: the token is in the page", method)
		}
	}
	if _, err := h.Cobrowse().Redeem(t.Context(), token, ""); err != nil {
		t.Errorf("Redeem = %v, want the token to be good", err)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	stream := strings.Replace(h.base, "http", "ws", 1)
	for name, tt := range map[string]struct {
		answer
		policy string
	}{
		"join": {get(t, h.joinURL(t, s, annPID)), "default-src 'none'; script-src 'self'; connect-src 'self' " + stream + "; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; " +
			"frame-src 'none'; object-src 'none'; media-src 'none'; worker-src 'none'; manifest-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
			"require-trusted-types-for 'script'; trusted-types default"},
		"message": {get(t, h.base+"/cobrowse/join?token=x"), "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
			"require-trusted-types-for 'script'; trusted-types 'none'"},
	} {
		a := tt.answer
		for header, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"Cross-Origin-Opener-Policy": "same-origin", "Content-Language": "en", "X-Frame-Options": "DENY",
			"Content-Security-Policy": tt.policy,
		} {
			if got := a.Header.Get(header); got != want {
				t.Errorf("%s: %s = %q, want %q", name, header, got, want)
			}
		}
		if got := a.Header.Get("Permissions-Policy"); !strings.Contains(got, "camera=()") || !strings.Contains(got, "microphone=()") {
			t.Errorf("%s: Permissions-Policy = %q", name, got)
		}
		if !strings.Contains(a.Header.Get("Vary"), "Accept-Language") {
			t.Errorf("%s: Vary = %q, want Accept-Language", name, a.Header.Get("Vary"))
		}
	}
	// A Host that could add to the policy is left out of it.
	odd := request(t, http.MethodGet, h.joinURL(t, s, annPID), "a;script-src*", nil)
	if got := odd.Header.Get("Content-Security-Policy"); strings.Contains(got, "script-src*") {
		t.Errorf("policy = %q", got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	h, foreign := newHouse(t), newHouse(t)
	expired := h.token(t, h.start(t, agentAndSupervisor), annPID)
	h.advance(16 * time.Minute)
	live, over := h.start(t, agentAndSupervisor), h.start(t, agentAndSupervisor)
	overToken, used := h.token(t, over, annPID), h.token(t, live, annPID)
	if _, err := h.Cobrowse().Redeem(t.Context(), used, ""); err != nil {
		t.Fatalf("Redeem: %v", err)
	}
	h.end(t, over)
	foreignSession := foreign.start(t, agentAndSupervisor)
	ids := func(s cobrowse.SessionID, p cobrowse.ParticipantID) string {
		return "?session=" + string(s) + "&participant=" + string(p)
	}
	for name, tt := range map[string]struct {
		query  string
		status int
		head   string
	}{
		"expired":             {"?token=" + expired, 401, "This join link has expired"},
		"of another service":  {"?token=" + foreign.token(t, foreignSession, annPID), 401, "This join link is not valid"},
		"no token at all":     {"?token=%3Cscript%3E", 401, "This join link is not valid"},
		"cut off":             {"?token=" + h.token(t, live, annPID)[:100], 401, "This join link is not valid"},
		"used":                {"?token=" + used, 410, "This join link was used before"},
		"of an ended session": {"?token=" + overToken, 410, "The session has ended"},
		"missing":             {"", 400, "This join link is incomplete"},
		"empty":               {"?token=", 400, "This join link is incomplete"},
		"half an address":     {"?session=" + string(live.ID), 400, "This join link is incomplete"},
		"ended":               {ids(over.ID, annPID), 410, "The session has ended"},
		"unknown session":     {ids("0a1b2c3d-0000-4000-8000-00000000ffff", annPID), 404, "There is no such session"},
		"unknown participant": {ids(live.ID, "0a1b2c3d-0000-4000-8000-00000000ffff"), 404, "There is no such session"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := get(t, h.base+"/cobrowse/join"+tt.query)
			if a.StatusCode != tt.status || heading(a) != tt.head {
				t.Errorf("answer = %d %q, want %d %q", a.StatusCode, heading(a), tt.status, tt.head)
			}
			if strings.Contains(a.body, "<script") {
				t.Error("the page has a script")
			}
			if next := regexp.MustCompile(`<p class="next">([^<]+)</p>`).FindStringSubmatch(a.body); next == nil {
				t.Error("the page does not say what to do next")
			}
		})
	}
	// The same address again, when all is well.
	if a := get(t, h.base+"/cobrowse/join"+ids(live.ID, annPID)); a.StatusCode != http.StatusOK {
		t.Errorf("a live session's address = %d, want 200", a.StatusCode)
	}
	if a := get(t, h.base+"/cobrowse/join/"+ids(live.ID, annPID)); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `src="../assets/`) {
		t.Errorf("with a slash at the end = %d, want 200 and assets one step up", a.StatusCode)
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for header, want := range map[string]string{
		"": "en", "de": "de", "de-AT,en;q=0.8": "de", "fr,de;q=0.5,en;q=0.4": "de", "en;q=0.9, de;q=0.8": "en", "fr": "en", "de;q=0,en;q=0.1": "en",
		"DE": "de", "de;q=x,": "en", "*": "en", "de;q=7": "en",
	} {
		a := request(t, http.MethodGet, h.base+"/cobrowse/join", "", map[string]string{"Accept-Language": header})
		if got := a.Header.Get("Content-Language"); got != want || !strings.Contains(a.body, `<html lang="`+want+`">`) {
			t.Errorf("Accept-Language %q: %q, want %q", header, got, want)
		}
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	// Styles and icon of the join page stand in it: its policy lets the picture load nothing of ours.
	for name, tt := range map[string]struct {
		answer
		assets int
	}{
		"join": {get(t, h.joinURL(t, s, annPID)), 1}, "message": {get(t, h.base+"/cobrowse/join?token=x"), 2},
	} {
		links := regexp.MustCompile(`(?:src|href)="(assets/[^"]+)"`).FindAllStringSubmatch(tt.body, -1)
		if len(links) != tt.assets {
			t.Fatalf("%s: the page has %d assets, want %d", name, len(links), tt.assets)
		}
		for _, link := range links {
			asset := get(t, h.base+"/cobrowse/"+link[1])
			if asset.StatusCode != http.StatusOK || asset.Header.Get("Content-Type") != types[path.Ext(link[1])] ||
				asset.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || asset.body == "" {
				t.Errorf("%s: %s = %d %v", name, link[1], asset.StatusCode, asset.Header)
			}
		}
	}
	for _, name := range []string{"join.js", "join.000000000000.js", "join.html", "..%2fjoin.html", "texts/en.json"} {
		if got := get(t, h.base+"/cobrowse/assets/"+name).StatusCode; got != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", name, got)
		}
	}
}

// A code that a visitor may meet has texts, in every language, and every text is used.
func TestTexts(t *testing.T) {
	t.Parallel()
	files := os.DirFS("../../cobrowse/webui/src")
	names, err := fs.Glob(files, "texts/*.json")
	if err != nil || len(names) < 2 {
		t.Fatalf("texts = %v, %v, want two languages", names, err)
	}
	var sources strings.Builder
	for _, pattern := range []string{"join.js", "join.html", "message.html", "parts.html", "viewer/*.js"} {
		names, err := fs.Glob(files, pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s = %v, %v", pattern, names, err)
		}
		for _, name := range names {
			data, err := fs.ReadFile(files, name)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(data)
			if bytes.Contains(data, []byte("innerHTML")) {
				t.Errorf("%s writes markup", name)
			}
		}
	}
	var inEnglish map[string]string
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(data, &texts); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "texts/en.json" {
			inEnglish = texts
		}
		for key, text := range texts {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: %s is empty", name, key)
			}
		}
		for _, reason := range cobrowse.EndReasons() {
			if texts["ended."+string(reason)] == "" {
				t.Errorf("%s: no text for the end reason %s", name, reason)
			}
		}
		for _, role := range cobrowse.Roles() {
			if texts["role."+string(role)] == "" {
				t.Errorf("%s: no text for the role %s", name, role)
			}
		}
		for _, code := range []cobridge.Code{
			cobridge.CodeJoinTokenExpired, cobridge.CodeJoinTokenInvalid, cobridge.CodeJoinTokenUsed, cobridge.CodeSessionEnded, cobridge.CodeNotFound,
			cobridge.CodeResumeInvalid, cobridge.CodeNotAuthorized,
		} {
			for _, part := range []string{".head", ".text", ".next"} {
				if texts[string(code)+part] == "" {
					t.Errorf("%s: no text %s%s", name, code, part)
				}
			}
		}
	}
	// Those that join.js puts together from what the server says.
	built := regexp.MustCompile(`^(state|ended|role|peer|confirm|exit|veil|ask|done|quality|paused|sharerLost)\.`)
	for key := range inEnglish {
		stem := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(key, ".head"), ".text"), ".next"), ".note")
		named := strings.Contains(sources.String(), `"`+key+`"`) || strings.Contains(sources.String(), "'"+key+"'") || strings.Contains(sources.String(), "'"+stem+"'")
		if !named && !built.MatchString(key) && !slices.Contains(cobridge.Codes(), cobridge.Code(stem)) && stem != "missing" {
			t.Errorf("nothing says %s", key)
		}
	}
}

// With an origin of their own, viewers are led there, and find only what they need.
func TestViewerOrigin(t *testing.T) {
	t.Parallel()
	var port string
	h := newHouse(t, func(c *config.Config) {
		_, port, _ = strings.Cut(c.Listen, ":")
		c.ViewerBaseURL = "http://viewer.localhost:" + port
	})
	viewer := "viewer.localhost:" + port
	s := h.start(t, agentAndSupervisor)
	token := h.token(t, s, annPID)

	a := get(t, h.base+"/cobrowse/join?token="+token)
	if got, want := a.Header.Get("Location"), "http://"+viewer+"/cobrowse/join#token="+token; a.StatusCode != http.StatusSeeOther || got != want {
		t.Errorf("hand-over = %d %q, want 303 %q", a.StatusCode, got, want)
	}
	if got := a.Header.Get("Cache-Control") + a.Header.Get("Referrer-Policy"); got != "no-storeno-referrer" {
		t.Errorf("hand-over may be kept: %q", got)
	}
	a = get(t, h.address(s))
	if got, want := a.Header.Get("Location"), strings.Replace(h.address(s), h.base, "http://"+viewer, 1); a.StatusCode != http.StatusSeeOther || !sameQuery(got, want) {
		t.Errorf("hand-over of an address = %d %q, want 303 %q", a.StatusCode, got, want)
	}
	if a := get(t, h.base+"/cobrowse/join?token=x"); a.StatusCode != http.StatusUnauthorized || a.Header.Get("Location") != "" {
		t.Errorf("a bad token = %d, want 401 and no hand-over", a.StatusCode)
	}
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/cobrowse/join", 200}, // the token is in the fragment
		{http.MethodHead, "/cobrowse/join", 200},
		{http.MethodGet, "/cobrowse/join?token=" + token, 200},
		{http.MethodGet, "/cobrowse/join?token=x", 401},
		{http.MethodPost, "/api/v2/cobrowse/join", 400}, // there, though without a body
		{http.MethodGet, "/api/v2/cobrowse/sessions/" + string(s.ID) + "/stream", 400},
		{http.MethodGet, "/api/v2/cobrowse/sessions/" + string(s.ID) + "/stream/check", 204},
		{http.MethodGet, "/api/v2/cobrowse/sessions/" + string(s.ID), 404},
		{http.MethodGet, "/api/v2/cobrowse/sessions", 404},
		{http.MethodPost, "/oauth/token", 404},
		{http.MethodGet, "/docs", 404},
		{http.MethodGet, "/", 404},
	} {
		if got := request(t, tt.method, h.base+tt.path, viewer, nil).StatusCode; got != tt.status {
			t.Errorf("%s %s on the viewers' origin = %d, want %d", tt.method, tt.path, got, tt.status)
		}
	}
	if got := get(t, h.base+"/cobrowse/join").StatusCode; got != http.StatusBadRequest {
		t.Errorf("no token on the API's origin = %d, want 400", got)
	}
}

// A sharer whose deployment has a start page is led there, with its token in the
// fragment; nobody else is, and nothing is redeemed.
func TestSharerStartsOnTheSite(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *config.Config) { c.ViewerBaseURL = "http://viewer.localhost" })
	if a := get(t, h.joinURL(t, h.start(t, agentAndSupervisor), annPID)); !strings.HasPrefix(a.Header.Get("Location"), "http://viewer.localhost/") {
		t.Errorf("a sharer without a site is led to %q, want the viewers' origin", a.Header.Get("Location"))
	}
	d := h.site(t, func(d *cobrowse.Deployment) { d.StartURL = shopOrigin + "/help?from=a+b" })
	s := h.start(t, everybody)
	token := h.token(t, s, s.Sharer())
	for _, host := range []string{"", "viewer.localhost"} {
		a := request(t, http.MethodGet, h.base+"/cobrowse/join?token="+token, host, nil)
		if got, want := a.Header.Get("Location"), shopOrigin+"/help?from=a+b#cobridge="+token; a.StatusCode != http.StatusSeeOther || got != want {
			t.Errorf("host %q: %d %q, want 303 %q", host, a.StatusCode, got, want)
		}
		if got := a.Header.Get("Cache-Control") + " " + a.Header.Get("Referrer-Policy"); got != "no-store no-referrer" {
			t.Errorf("the way there may be kept: %q", got)
		}
	}
	if _, _, err := h.Cobrowse().Inspect(t.Context(), token); err != nil {
		t.Errorf("Inspect = %v, want the token to be good", err)
	}
	if a := get(t, h.joinURL(t, s, annPID)); !strings.HasPrefix(a.Header.Get("Location"), "http://viewer.localhost/") {
		t.Errorf("a viewer is led to %q", a.Header.Get("Location"))
	}
	// A deployment that has gone leaves the page that says so.
	if err := h.Cobrowse().DeleteDeployment(t.Context(), org, d.ID); err != nil {
		t.Fatal(err)
	}
	if a := request(t, http.MethodGet, h.base+"/cobrowse/join?token="+token, "viewer.localhost", nil); a.StatusCode != http.StatusOK {
		t.Errorf("without the deployment = %d, want 200", a.StatusCode)
	}
}

// The policy of a session's page names where its images may come from.
func TestAssetOrigins(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.site(t, func(d *cobrowse.Deployment) {
		d.Rules.AssetOrigins = []string{"https://cdn.example", "http://127.0.0.1:99"}
	})
	s := h.start(t, everybody)
	for name, address := range map[string]string{"link": h.joinURL(t, s, annPID), "address": h.address(s)} {
		policy := get(t, address).Header.Get("Content-Security-Policy")
		for _, want := range []string{"; img-src data: blob: https://cdn.example http://127.0.0.1:99;", "; font-src data: https://cdn.example http://127.0.0.1:99;", "; style-src 'unsafe-inline';"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy = %q, want %q in it", name, policy, want)
			}
		}
	}
}

func sameQuery(a, b string) bool {
	sort := func(address string) string {
		base, query, _ := strings.Cut(address, "?")
		first, second, _ := strings.Cut(query, "&")
		return base + min(first, second) + max(first, second)
	}
	return sort(a) == sort(b)
}

func TestNewRefusesBadViewerBaseURL(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"viewer.example", "ftp://viewer.example", "https://", "://"} {
		if _, err := pages.New(pages.Config{Log: slog.New(slog.DiscardHandler), ViewerBaseURL: address}); err == nil {
			t.Errorf("New accepts %q", address)
		}
	}
}
