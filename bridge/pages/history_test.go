package pages_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/pages"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

// records is a service that has histories alone.
type records struct {
	pages.Service

	session cobrowse.Session
	err     error
}

func (r records) InspectHistory(_ context.Context, raw string) (cobrowse.Session, error) {
	if raw != "good" {
		return cobrowse.Session{}, &cobridge.Error{Code: cobridge.CodeJoinTokenInvalid}
	}
	return r.session, r.err
}

var historyStart = time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)

// historyAt is when the page is looked at.
var historyAt = historyStart.Add(90 * time.Minute)

func newHistory(t *testing.T, r records) *fiber.App {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	app := web.NewApp(web.Config{Log: log, Clock: time.Now})
	p, err := pages.New(pages.Config{Service: r, Log: log, Clock: func() time.Time { return historyAt }})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	p.Mount(app)
	return app
}

// eventful is a session in which everything happened.
func eventful() cobrowse.Session {
	after := func(minutes, seconds int) time.Time {
		return historyStart.Add(time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second)
	}
	const kim, ada, sam = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-0000000000a1", "11111111-0000-4000-8000-0000000000b2"
	return cobrowse.Session{
		ID: "22222222-0000-4000-8000-000000000001", ConversationID: "33333333-0000-4000-8000-000000000001", Token: "123456789",
		CreatedAt: historyStart, ActivatedAt: after(0, 40), EndedAt: after(23, 10), EndReason: cobrowse.EndParticipantLeft,
		Participants: []cobrowse.Participant{
			{ID: kim, Role: cobrowse.RoleCustomer, Name: "Kim Customer", JoinedAt: after(0, 12), LeftAt: after(23, 10)},
			{ID: ada, Role: cobrowse.RoleAgent, Name: "Ada Agent", JoinedAt: after(0, 40), LeftAt: after(23, 10)},
			{ID: sam, Role: cobrowse.RoleSupervisor, Name: "Sam Supervisor", JoinedAt: after(9, 5), LeftAt: after(15, 30)},
		},
		Pages: []cobrowse.PageVisit{
			{URL: "http://shop.example/shop/", Title: "Products – Demo shop", EnteredAt: after(0, 45), LeftAt: after(3, 2)},
			{URL: "http://shop.example/shop/product/lamp", Title: "Desk lamp – Demo shop", EnteredAt: after(3, 2), LeftAt: after(8, 40)},
			{URL: "http://shop.example/shop/checkout", Title: "Checkout – Demo shop", EnteredAt: after(8, 40), LeftAt: after(23, 10)},
		},
		Grants: []cobrowse.Grant{
			{Kind: cobrowse.GrantSharing, By: kim, TextVersion: "2026-11", GivenAt: after(0, 30)},
			{Kind: cobrowse.GrantDraw, To: ada, By: kim, TextVersion: "2026-11", GivenAt: after(4, 0), ExpiresAt: after(9, 0)},
			{Kind: cobrowse.GrantControl, To: ada, By: kim, TextVersion: "2026-11", GivenAt: after(10, 0), RevokedAt: after(14, 20), RevokedBy: kim},
			{Kind: cobrowse.GrantControl, To: ada, By: kim, TextVersion: "2026-11", GivenAt: after(17, 0)},
		},
		Actions: []cobrowse.Action{
			{At: after(10, 30), LastAt: after(10, 30), ParticipantID: ada, Kind: "click", Path: "form > label:nth-of-type(3) > input", Result: "ok", Count: 1},
			{At: after(10, 40), LastAt: after(11, 10), ParticipantID: ada, Kind: "text", Path: "form > label:nth-of-type(3) > input", Result: "ok", Count: 14},
			{At: after(12, 30), LastAt: after(12, 30), ParticipantID: ada, Kind: "text", Path: "form > fieldset:nth-of-type(2) > input", Result: "masked", Count: 1},
			{At: after(18, 0), LastAt: after(18, 0), ParticipantID: ada, Kind: "set", Path: "form > select", Result: "ok", Count: 1},
		},
		ActionsLeftOut: 7,
	}
}

func historyURL(s cobrowse.Session, token string) string {
	return "http://cobridge.example/cobrowse/history/" + string(s.ID) + "?token=" + token
}

func TestHistoryPage(t *testing.T) {
	t.Parallel()
	s := eventful()
	a := visit(t, newHistory(t, records{session: s}), http.MethodGet, historyURL(s, "good"))
	if a.StatusCode != http.StatusOK {
		t.Fatalf("status = %d, want 200\n%s", a.StatusCode, a.body)
	}
	for header, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Content-Language": "en", "Vary": "Accept-Language",
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
			"require-trusted-types-for 'script'; trusted-types 'none'",
	} {
		if got := a.Header.Get(header); got != want {
			t.Errorf("%s = %q, want %q", header, got, want)
		}
	}
	for _, want := range []string{
		`<body data-state="ended">`, "The customer or the agent has ended it.", "23 min 10 s", string(s.ConversationID),
		"Sam Supervisor", `datetime="2026-11-21T16:09:05.000Z">2026-11-21 16:09:05`, // who was there when
		"<bdi>Desk lamp – Demo shop</bdi>", "<span>5 min 38 s</span>", "http://shop.example/shop/product/lamp",
		"everybody in the session", "2026-11", "taken back by Kim Customer", "expired", "end of the session",
		"form &gt; label:nth-of-type(3) &gt; input", "14 times", "refused: private", "There were 7 more",
		`<rect class="seg" x="43.17%" y="3" width="18.71%" height="18" rx="4"><title>Control, Ada Agent: 4 min 20 s</title>`,
		`<text x="21.58%" y="20">5:00</text>`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, secret := range []string{string(s.Token), "token=good"} {
		if strings.Contains(a.body, secret) {
			t.Errorf("the page has %s", secret)
		}
	}
	if inline := regexp.MustCompile(`(?i)<script>|<style|\sstyle=|\son\w+=`).FindString(a.body); inline != "" {
		t.Errorf("the page has %q, which its policy forbids", inline)
	}
	wellFormed(t, a.body)
}

func TestHistoryPageInGerman(t *testing.T) {
	t.Parallel()
	s := eventful()
	app := newHistory(t, records{session: s})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/cobrowse/history/"+string(s.ID)+"?token=good", http.NoBody)
	r.Header.Set("Accept-Language", "de-AT")
	response, err := app.Test(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	page := new(strings.Builder)
	if err := response.Write(page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Content-Language: de", `<html lang="de">`, "Einwilligungen", "zurückgenommen von Kim Customer", "Die Kundenseite oder die Agentenseite hat sie beendet.", "Kundenseite", "14 mal"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %s", want)
		}
	}
}

// Of a live session the page shows what happened so far.
func TestHistoryPageOfALiveSession(t *testing.T) {
	t.Parallel()
	s := eventful()
	s.EndedAt, s.EndReason, s.Pages[2].LeftAt = time.Time{}, "", time.Time{}
	for i := range 2 {
		s.Participants[i].LeftAt = time.Time{}
	}
	a := visit(t, newHistory(t, records{session: s}), http.MethodGet, historyURL(s, "good"))
	for _, want := range []string{`<body data-state="live">`, "Still going on", "is there", "in force", "1 h 30 min", "<span>1 h 21 min</span>"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(a.body, "Why it ended") {
		t.Error("the page says why a live session ended")
	}
}

// A session that nobody came to has a page as well.
func TestHistoryPageOfAnEmptySession(t *testing.T) {
	t.Parallel()
	s := cobrowse.Session{
		ID: "22222222-0000-4000-8000-000000000002", CreatedAt: historyStart, EndedAt: historyStart, EndReason: cobrowse.EndNeverJoined,
		Participants: []cobrowse.Participant{{ID: "1", Role: cobrowse.RoleAgent}},
	}
	a := visit(t, newHistory(t, records{session: s}), http.MethodGet, historyURL(s, "good"))
	if a.StatusCode != http.StatusOK {
		t.Fatalf("status = %d", a.StatusCode)
	}
	for _, want := range []string{"No page was shown.", "Nothing was agreed to.", "Nobody else did anything on the page.", "did not come", "<bdi>never</bdi>", "<bdi>Agent</bdi>"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	wellFormed(t, a.body)
}

// What came from the sharer's browser is text, whatever it holds.
func TestHistoryPageWritesHostileTextAsText(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}` + "\u202e`'</title></svg><style>*{}</style>"
	s := eventful()
	s.Pages[0].Title, s.Pages[1].URL = evil, "javascript:alert(3)//"+evil
	s.Pages[2].URL = "https://user:secret-password@shop.example/a?secret-query=1#secret-fragment"
	s.Actions[0].Path, s.Actions[1].Kind, s.Actions[2].Result = evil, evil, evil
	s.Grants[0].TextVersion, s.Participants[0].Name, s.EndReason = evil, evil, evil
	s.Violation = cobrowse.Violation{At: historyStart, Path: evil}
	a := visit(t, newHistory(t, records{session: s}), http.MethodGet, historyURL(s, "good"))
	if a.StatusCode != http.StatusOK {
		t.Fatalf("status = %d", a.StatusCode)
	}
	for _, secret := range []string{"secret-password", "secret-query", "secret-fragment"} {
		if strings.Contains(a.body, secret) {
			t.Errorf("the page has the %s of an address", secret)
		}
	}
	if got := strings.Count(a.body, "<script"); got != 1 {
		t.Errorf("the page has %d scripts, want its own", got)
	}
	// With html/template no > stands in an attribute, so that this sees whole tags.
	if found := regexp.MustCompile(`(?i)<(?:img|style|iframe|form|base)\b|<[a-z][^>]*\s(?:on\w+|style)=`).FindString(a.body); found != "" {
		t.Errorf("the page has %q", found)
	}
	if links := regexp.MustCompile(`<a [^>]*href="[^"]*"`).FindAllString(a.body, -1); len(links) != 1 {
		t.Errorf("the page has the links %q, want the one to its headline", links)
	}
	if !strings.Contains(a.body, "Private data was about to be shown") {
		t.Error("the page does not tell of the violation")
	}
}

func TestHistoryRefusals(t *testing.T) {
	t.Parallel()
	s := eventful()
	fail := func(code cobridge.Code) error { return &cobridge.Error{Code: code, Message: "detail-of-the-service"} }
	for name, tt := range map[string]struct {
		path   string
		err    error
		status int
		head   string
	}{
		"no token":           {"http://x/cobrowse/history/" + string(s.ID), nil, 400, "This link is incomplete"},
		"bad token":          {historyURL(s, "bad"), nil, 401, "This link is not valid"},
		"expired":            {historyURL(s, "good"), fail(cobridge.CodeJoinTokenExpired), 401, "This link has expired"},
		"gone":               {historyURL(s, "good"), fail(cobridge.CodeNotFound), 404, "There is no such history"},
		"of another session": {strings.Replace(historyURL(s, "good"), "22222222", "22222223", 1), nil, 401, "This link is not valid"},
		"fault":              {historyURL(s, "good"), fail(cobridge.CodeUnavailable), 503, "Something went wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := visit(t, newHistory(t, records{session: s, err: tt.err}), http.MethodGet, tt.path)
			if a.StatusCode != tt.status || heading(a) != tt.head {
				t.Errorf("answer = %d %q, want %d %q", a.StatusCode, heading(a), tt.status, tt.head)
			}
			if strings.Contains(a.body, "Kim Customer") || strings.Contains(a.body, "<script") || strings.Contains(a.body, "detail-of-the-service") || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("the page says too much:\n%s", a.body)
			}
		})
	}
}

// Links to histories are made for the viewers' origin, if there is one.
func TestHistoryPageOnTheViewersOrigin(t *testing.T) {
	t.Parallel()
	var viewer string
	h := newHouse(t, func(c *config.Config) {
		_, port, _ := strings.Cut(c.Listen, ":")
		viewer = "viewer.localhost:" + port
		c.ViewerBaseURL = "http://" + viewer
	})
	s := h.start(t, everybody)
	link, err := h.Cobrowse().HistoryLink(t.Context(), org, s.ID)
	if err != nil {
		t.Fatalf("HistoryLink: %v", err)
	}
	for _, host := range []string{viewer, ""} {
		a := request(t, http.MethodGet, h.base+"/cobrowse/history/"+string(s.ID)+"?token="+link.Raw, host, nil)
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "<bdi>Kim Customer</bdi>") || strings.Contains(a.body, link.Raw) {
			t.Errorf("host %q = %d with %d bytes", host, a.StatusCode, len(a.body))
		}
	}
	if a := request(t, http.MethodPost, h.base+"/cobrowse/history/"+string(s.ID), viewer, nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("POST on the viewers' origin = %d, want 404", a.StatusCode)
	}
	// Neither lets in where the other does.
	token := h.token(t, s, annPID)
	if a := request(t, http.MethodGet, h.base+"/cobrowse/history/"+string(s.ID)+"?token="+token, "", nil); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a join token shows the history: %d, want 401", a.StatusCode)
	}
	if a := get(t, h.base+"/cobrowse/join?token="+link.Raw); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a link to the history lets join: %d, want 401", a.StatusCode)
	}
}

// The page's parts are there, from each address that it has.
func TestHistoryAssets(t *testing.T) {
	t.Parallel()
	s := eventful()
	app := newHistory(t, records{session: s})
	for _, address := range []string{historyURL(s, "good"), strings.Replace(historyURL(s, "good"), "?", "/?", 1)} {
		a := visit(t, app, http.MethodGet, address)
		links := regexp.MustCompile(`(?:src|href)="((?:\.\./)+assets/[^"]+)"`).FindAllStringSubmatch(a.body, -1)
		if len(links) != 3 {
			t.Fatalf("%s has %d parts, want icon, style and script", address, len(links))
		}
		for _, link := range links {
			base, _, _ := strings.Cut(address, "?")
			base = base[:strings.LastIndex(base, "/")+1]
			for rest, ok := link[1], true; ok; {
				if rest, ok = strings.CutPrefix(rest, "../"); ok {
					base = base[:strings.LastIndex(strings.TrimSuffix(base, "/"), "/")+1]
					continue
				}
				if part := visit(t, app, http.MethodGet, base+rest); part.StatusCode != http.StatusOK {
					t.Errorf("%s of %s = %d, want 200", base+rest, address, part.StatusCode)
				}
			}
		}
	}
}

// Every text of the history page is used, and says something.
func TestHistoryTexts(t *testing.T) {
	t.Parallel()
	files := os.DirFS("../../cobrowse/webui/src")
	var sources strings.Builder
	for _, name := range []string{"history/history.html", "history/history.js"} {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(data)
	}
	for _, name := range []string{"history.go", "historyview.go"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(data)
	}
	for _, language := range []string{"en", "de"} {
		data, err := fs.ReadFile(files, "texts/history/"+language+".json")
		if err != nil {
			t.Fatal(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(data, &texts); err != nil {
			t.Fatalf("%s: %v", language, err)
		}
		built := regexp.MustCompile(`^(fact|grant|action|result|missing|expired|invalid|gone|failed)\.`)
		for key, text := range texts {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: %s is empty", language, key)
			}
			if !built.MatchString(key) && !strings.Contains(sources.String(), `"`+key+`"`) {
				t.Errorf("nothing says %s", key)
			}
		}
		for _, kind := range cobrowse.GrantKinds() {
			if texts["grant."+string(kind)] == "" {
				t.Errorf("%s: no text for the grant %s", language, kind)
			}
		}
	}
}

// wellFormed checks that each start tag has its end tag, and each number is one.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	if found := regexp.MustCompile(`NaN|Inf|%!|<no value>|\s(?:x|width)="-`).FindString(page); found != "" {
		t.Errorf("the page has %q", found)
	}
	balance := map[string]int{}
	for _, tag := range regexp.MustCompile(`<(/?)(section|div|table|thead|tbody|tr|td|th|svg|ol|li|dl|dt|dd|p|main|bdi|span|code|time)[\s>]`).FindAllStringSubmatch(page, -1) {
		if tag[1] == "" {
			balance[tag[2]]++
		} else {
			balance[tag[2]]--
		}
	}
	for name, n := range balance {
		if n != 0 {
			t.Errorf("%s: %+d start tags more than end tags", name, n)
		}
	}
}
