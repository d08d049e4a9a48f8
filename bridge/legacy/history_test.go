package legacy_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/gcb"
	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/docs/openapitest"
	"github.com/cobridge/cobridge/oauth"
)

const (
	historyPath = "/cobrowse/rest/history/sessions/"
	recordID    = "0b5c3a52-2f6e-11ef-9c1e-0242ac120002" // of the published sample
	desk        = "https://desk.example"
)

// callers are access tokens, or credentials, and what they may.
var callers = map[string]oauth.Principal{
	"reader":  {OrgID: orgID, Scopes: []string{"cobrowse:session:read"}, TokenID: "1"},
	"writer":  {OrgID: orgID, Scopes: []string{"cobrowse:session:write", "conversations"}, TokenID: "2"},
	"foreign": {OrgID: "0a1b2c3d-0000-4000-8000-000000000002", Scopes: []string{"cobrowse:session:read"}, TokenID: "3"},
}

// gate knows the callers.
type gate struct{}

func (gate) Verify(_ context.Context, raw string) (oauth.Principal, error) {
	if p, ok := callers[raw]; ok {
		return p, nil
	}
	return oauth.Principal{}, &cobridge.Error{Code: cobridge.CodeBadCredentials}
}

func (gate) Authenticate(_ context.Context, id, secret string) (oauth.Client, error) {
	if p, ok := callers[id]; ok && secret == clientSecret {
		return oauth.Client{ID: id, OrgID: p.OrgID, Scopes: p.Scopes}, nil
	}
	return oauth.Client{}, &oauth.Error{Code: oauth.CodeInvalidClient}
}

// archive is sessions by id.
type archive map[cobrowse.SessionID]cobrowse.Session

func (a archive) Get(_ context.Context, org conversations.OrgID, id cobrowse.SessionID) (cobrowse.Session, error) {
	if s, ok := a[id]; ok && s.OrgID == org {
		return s, nil
	}
	return cobrowse.Session{}, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "The cobrowse session was not found."}
}

// history is an application with the history surface alone.
func history(t *testing.T, sessions interface {
	Get(context.Context, conversations.OrgID, cobrowse.SessionID) (cobrowse.Session, error)
}, change ...func(*legacy.HistoryConfig),
) *fiber.App {
	t.Helper()
	cfg := legacy.HistoryConfig{
		Sessions: sessions, BasePath: "/cobrowse", Access: legacy.Access{Org: orgID, OAuth: gate{}, Origins: []string{desk}},
	}
	for _, fn := range change {
		fn(&cfg)
	}
	app := web.NewApp(web.Config{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Clock: testenv.NewClock(t0).Now, Dialects: legacy.HistoryDialects(cfg)})
	legacy.MountHistory(app, cfg)
	return app
}

// ask sends a request, by default of a caller who may read.
func ask(t *testing.T, app *fiber.App, method, path string, head ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://cobridge.example"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer reader")
	for _, line := range head {
		name, value, _ := strings.Cut(line, ":")
		req.Header.Del(name)
		if value = strings.TrimSpace(value); value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := app.Test(req, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: resp.StatusCode, head: resp.Header, text: string(text)}
}

// wantDocumented checks an answer to a GET of the record against the API document.
func wantDocumented(t *testing.T, doc *openapitest.Checker, a answer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, historyPath+recordID, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Check(req, nil, &http.Response{StatusCode: a.status, Header: a.head}, []byte(a.text)); err != nil {
		t.Error(err)
	}
}

// wantHistoryFailure checks a failure in the words of the old cobrowse server.
func wantHistoryFailure(t *testing.T, what string, a answer, status int, name string) {
	t.Helper()
	if a.status != status || !strings.HasPrefix(a.text, `{"error":"`+name+`","message":"`) || !strings.HasSuffix(a.text, `"}`) || strings.Contains(a.text, `:""`) ||
		a.head.Get("Content-Type") != "application/json;charset=UTF-8" {
		t.Errorf("%s = %d %s %q, want %d %s", what, a.status, a.text, a.head.Get("Content-Type"), status, name)
	}
}

func ms(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return time.UnixMilli(n).UTC()
}

// sample is the session of section 6.1 of the specification.
func sample() cobrowse.Session {
	return cobrowse.Session{
		ID: recordID, OrgID: orgID, Token: "407215938",
		CreatedAt: ms("1718036395021"), ActivatedAt: ms("1718036402110"), EndedAt: ms("1718036755482"), EndReason: cobrowse.EndParticipantLeft,
		Pages: []cobrowse.PageVisit{
			{URL: "https://shop.example/cart", Title: "Cart", EnteredAt: ms("1718036402195"), LeftAt: ms("1718036498240")},
			{URL: "https://shop.example/checkout", EnteredAt: ms("1718036498240"), LeftAt: ms("1718036755482")},
		},
	}
}

// historyCase is a session that differs from the sample, and its record.
type historyCase struct {
	name   string
	change func(*cobrowse.Session)
	want   string
}

// historyCases are the published sample, and what else a session can be.
func historyCases() []historyCase {
	const head = `{"id":"` + recordID + `","sessionToken":"407215938","creationTime":1718036395021,`
	return []historyCase{
		{"the published sample", func(*cobrowse.Session) {}, head + `"activationTime":1718036402110,"deactivationTime":1718036755482,"pages":[` +
			`{"url":"https://shop.example/cart","enteredTimestamp":1718036402195,"duration":96},` +
			`{"url":"https://shop.example/checkout","enteredTimestamp":1718036498240,"duration":257}]}`},
		{"a token with zeros, an address with an ampersand", func(s *cobrowse.Session) {
			s.Token, s.Pages = "000000042", []cobrowse.PageVisit{{URL: "https://shop.example/a&b<c", EnteredAt: s.ActivatedAt}}
		}, strings.Replace(head, "407215938", "000000042", 1) + `"activationTime":1718036402110,"deactivationTime":1718036755482,"pages":[` +
			`{"url":"https://shop.example/a&b<c","enteredTimestamp":1718036402110,"duration":353}]}`},
		{"never active", func(s *cobrowse.Session) { s.ActivatedAt = time.Time{} }, head + `"deactivationTime":1718036755482,"pages":[]}`},
		{"live, never active", func(s *cobrowse.Session) { s.ActivatedAt, s.EndedAt = time.Time{}, time.Time{} }, head + `"pages":[]}`},
		{"live", func(s *cobrowse.Session) { s.EndedAt, s.Pages[1].LeftAt = time.Time{}, time.Time{} }, head + `"activationTime":1718036402110,"pages":[` +
			`{"url":"https://shop.example/cart","enteredTimestamp":1718036402195,"duration":96},` +
			`{"url":"https://shop.example/checkout","enteredTimestamp":1718036498240}]}`},
		{"live, the customer's browser is gone for the moment", func(s *cobrowse.Session) { s.EndedAt = time.Time{} }, head + `"activationTime":1718036402110,"pages":[` +
			`{"url":"https://shop.example/cart","enteredTimestamp":1718036402195,"duration":96},` +
			`{"url":"https://shop.example/checkout","enteredTimestamp":1718036498240}]}`},
		{"active, no page", func(s *cobrowse.Session) { s.Pages = nil }, head + `"activationTime":1718036402110,"deactivationTime":1718036755482,"pages":[]}`},
		{"a page before activation, and one that stood there then", func(s *cobrowse.Session) {
			s.Pages[0].EnteredAt = ms("1718036396000")
			s.Pages = append([]cobrowse.PageVisit{
				{URL: "https://shop.example/", EnteredAt: ms("1718036395100"), LeftAt: ms("1718036395900")},
				{URL: "https://shop.example/left-at-that-moment", EnteredAt: ms("1718036395900"), LeftAt: ms("1718036402110")},
			}, s.Pages...)
		}, head + `"activationTime":1718036402110,"deactivationTime":1718036755482,"pages":[` +
			`{"url":"https://shop.example/cart","enteredTimestamp":1718036402110,"duration":96},` +
			`{"url":"https://shop.example/checkout","enteredTimestamp":1718036498240,"duration":257}]}`},
		{"all pages before activation", func(s *cobrowse.Session) {
			s.Pages = []cobrowse.PageVisit{{URL: "https://shop.example/", EnteredAt: ms("1718036395100"), LeftAt: ms("1718036396000")}}
		}, head + `"activationTime":1718036402110,"deactivationTime":1718036755482,"pages":[]}`},
		{"the first page comes late and still counts from activation", func(s *cobrowse.Session) { s.Pages = s.Pages[1:] }, head + `"activationTime":1718036402110,"deactivationTime":1718036755482,"pages":[` +
			`{"url":"https://shop.example/checkout","enteredTimestamp":1718036498240,"duration":353}]}`},
		{"a gap between pages belongs to none, one before the end to the last", func(s *cobrowse.Session) {
			s.Pages[0].LeftAt, s.Pages[1].LeftAt = ms("1718036412109"), ms("1718036500000")
		}, head + `"activationTime":1718036402110,"deactivationTime":1718036755482,"pages":[` +
			`{"url":"https://shop.example/cart","enteredTimestamp":1718036402195,"duration":9},` +
			`{"url":"https://shop.example/checkout","enteredTimestamp":1718036498240,"duration":257}]}`},
		{"seconds are rounded down, to nothing", func(s *cobrowse.Session) {
			s.Pages = append(s.Pages, cobrowse.PageVisit{URL: "https://shop.example/thanks", EnteredAt: ms("1718036754483"), LeftAt: s.EndedAt})
			s.Pages[1].LeftAt = ms("1718036754483")
		}, head + `"activationTime":1718036402110,"deactivationTime":1718036755482,"pages":[` +
			`{"url":"https://shop.example/cart","enteredTimestamp":1718036402195,"duration":96},` +
			`{"url":"https://shop.example/checkout","enteredTimestamp":1718036498240,"duration":256},` +
			`{"url":"https://shop.example/thanks","enteredTimestamp":1718036754483,"duration":0}]}`},
		{"a clock that was set back", func(s *cobrowse.Session) { s.EndedAt = ms("1718036498000") }, head + `"activationTime":1718036402110,"deactivationTime":1718036498000,"pages":[` +
			`{"url":"https://shop.example/cart","enteredTimestamp":1718036402195,"duration":96},` +
			`{"url":"https://shop.example/checkout","enteredTimestamp":1718036498240,"duration":0}]}`},
	}
}

func TestHistoryRecord(t *testing.T) {
	t.Parallel()
	doc := openapitest.NewChecker(t)
	for _, tt := range historyCases() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := sample()
			tt.change(&s)
			a := ask(t, history(t, archive{recordID: s}), http.MethodGet, historyPath+recordID)
			if diff := cmp.Diff(tt.want, a.text); a.status != http.StatusOK || diff != "" {
				t.Errorf("status %d (-want +got):\n%s", a.status, diff)
			}
			wantDocumented(t, doc, a)
			if kind, cache := a.head.Get("Content-Type"), a.head.Get("Cache-Control"); kind != "application/json;charset=UTF-8" || cache != "no-store" {
				t.Errorf("Content-Type %q, Cache-Control %q", kind, cache)
			}
		})
	}
}

// TestHistoryOfAnotherServer: a record that another server of the same kind tells is
// told again as it was, value by value.
func TestHistoryOfAnotherServer(t *testing.T) {
	t.Parallel()
	for _, tt := range historyCases() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := sample()
			tt.change(&s)
			there := history(t, archive{recordID: s}, func(c *legacy.HistoryConfig) { c.Access.Rule = legacy.RuleOpen })
			client, err := gcb.New(gcb.Config{URL: "http://old.example/cobrowse", Transport: transport{there}, Clock: testenv.NewClock(t0).Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			read, err := client.Record(t.Context(), recordID)
			if err != nil {
				t.Fatal(err)
			}
			read.OrgID = orgID
			want := strings.ReplaceAll(tt.want, "a&b<c", "a&b%3Cc") // as browsers write it
			if diff := cmp.Diff(want, ask(t, history(t, archive{recordID: read}), http.MethodGet, historyPath+recordID).text); diff != "" {
				t.Errorf("told again (-first +again):\n%s", diff)
			}
		})
	}
}

// transport answers requests from an application.
type transport struct{ app *fiber.App }

func (a transport) RoundTrip(r *http.Request) (*http.Response, error) { return a.app.Test(r, -1) }

func TestHistoryAddresses(t *testing.T) {
	t.Parallel()
	const bare = "/history/sessions/"
	sessions := archive{recordID: sample()}
	app := history(t, sessions, func(c *legacy.HistoryConfig) { c.BareHistory = true })
	want := ask(t, app, http.MethodGet, historyPath+recordID).text
	for _, path := range []string{
		historyPath + recordID + "/", historyPath + strings.ToUpper(recordID), bare + recordID, bare + strings.ToUpper(recordID), historyPath + "%30" + recordID[1:], historyPath + recordID + "?x=y",
	} {
		if a := ask(t, app, http.MethodGet, path); a.status != http.StatusOK || a.text != want {
			t.Errorf("%s = %d %s, want the record", path, a.status, a.text)
		}
		a := ask(t, app, http.MethodHead, path)
		if a.status != http.StatusOK || a.text != "" || a.head.Get("Content-Type") != "application/json;charset=UTF-8" || a.head.Get("Content-Length") != strconv.Itoa(len(want)) {
			t.Errorf("HEAD %s = %d %q %v", path, a.status, a.text, a.head)
		}
	}
	for _, at := range []string{historyPath, bare} {
		for _, id := range []string{
			"407215938", "x", recordID[1:], recordID + "0", strings.ReplaceAll(recordID, "-", ""), "%7B" + recordID + "%7D", "urn:uuid:" + recordID, strings.Replace(recordID, "0", "g", 1),
			recordID + "%00", "%ff", "..%2F" + recordID, strings.Repeat("a", 2000), "null", "%20" + recordID,
		} {
			wantHistoryFailure(t, id, ask(t, app, http.MethodGet, at+id), http.StatusBadRequest, "bad_request")
		}
		wantHistoryFailure(t, "an unknown id", ask(t, app, http.MethodGet, at+"0b5c3a52-2f6e-11ef-9c1e-0242ac120003"), http.StatusNotFound, "not_found")
		wantHistoryFailure(t, "no id", ask(t, app, http.MethodGet, at), http.StatusNotFound, "not_found")
		wantHistoryFailure(t, "more than an id", ask(t, app, http.MethodGet, at+recordID+"/pages"), http.StatusNotFound, "not_found")
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			wantHistoryFailure(t, method, ask(t, app, method, at+recordID), http.StatusMethodNotAllowed, "method_not_allowed")
		}
	}
	off := history(t, sessions)
	if a := ask(t, off, http.MethodGet, bare+recordID); a.status != http.StatusNotFound {
		t.Errorf("without the switch the bare address = %d %s, want 404", a.status, a.text)
	}
	moved := history(t, sessions, func(c *legacy.HistoryConfig) { c.BasePath = "/gcb/web" })
	if a := ask(t, moved, http.MethodGet, "/gcb/web/rest/history/sessions/"+recordID); a.status != http.StatusOK {
		t.Errorf("another base path = %d %s", a.status, a.text)
	}
	broken := history(t, failing{})
	wantHistoryFailure(t, "a store that fails", ask(t, broken, http.MethodGet, historyPath+recordID), http.StatusInternalServerError, "internal_server_error")
}

// failing is a store that is down.
type failing struct{}

func (failing) Get(context.Context, conversations.OrgID, cobrowse.SessionID) (cobrowse.Session, error) {
	return cobrowse.Session{}, io.ErrUnexpectedEOF
}

func TestHistoryAccess(t *testing.T) {
	t.Parallel()
	const nobody = "Authorization:"
	doc := openapitest.NewChecker(t)
	for _, tt := range []struct {
		rule      legacy.Rule
		name      string
		head      string
		status    int
		word      string
		challenge string
	}{
		{"", "the default is bearer", nobody, 401, "unauthorized", `Bearer realm="cobridge"`},
		{"bearer", "who may read sessions", "Authorization: Bearer reader", 200, "", ""},
		{"bearer", "who may not", "Authorization: Bearer writer", 403, "forbidden", ""},
		{"bearer", "another organisation", "Authorization: Bearer foreign", 404, "not_found", ""},
		{"bearer", "a token that is none", "Authorization: Bearer x", 401, "unauthorized", `Bearer realm="cobridge", error="invalid_token"`},
		{"basic", "who may read sessions", basic("reader", clientSecret), 200, "", ""},
		{"basic", "who may not", basic("writer", clientSecret), 403, "forbidden", ""},
		{"basic", "another organisation", basic("foreign", clientSecret), 404, "not_found", ""},
		{"basic", "a wrong secret", basic("reader", "x"), 401, "unauthorized", `Basic realm="cobridge", charset="UTF-8"`},
		{"origin", "a page of the list", "Origin: " + desk, 200, "", ""},
		{"origin", "its Referer", "Referer: " + desk + "/reports", 200, "", ""},
		{"origin", "another page", "Origin: https://evil.example", 403, "forbidden", ""},
		{"open", "anybody", nobody, 200, "", ""},
	} {
		t.Run(string(tt.rule)+", "+tt.name, func(t *testing.T) {
			t.Parallel()
			app := history(t, archive{recordID: sample()}, func(c *legacy.HistoryConfig) { c.Access.Rule = tt.rule })
			head := []string{nobody, tt.head}
			a := ask(t, app, http.MethodGet, historyPath+recordID, head...)
			if tt.word != "" {
				wantHistoryFailure(t, "get", a, tt.status, tt.word)
			} else if a.status != tt.status {
				t.Errorf("get = %d %s, want %d", a.status, a.text, tt.status)
			}
			wantDocumented(t, doc, a)
			if got := a.head.Get("WWW-Authenticate"); got != tt.challenge {
				t.Errorf("WWW-Authenticate = %q, want %q", got, tt.challenge)
			}
			// Who is kept out learns nothing about ids.
			if tt.status != http.StatusOK {
				for _, id := range []string{"x", "0b5c3a52-2f6e-11ef-9c1e-0242ac120003"} {
					wantHistoryFailure(t, id, ask(t, app, http.MethodGet, historyPath+id, head...), tt.status, tt.word)
				}
			}
		})
	}
}

func TestHistoryCrossOrigin(t *testing.T) {
	t.Parallel()
	app := history(t, archive{recordID: sample()}, func(c *legacy.HistoryConfig) { c.BareHistory = true })
	for _, path := range []string{historyPath + recordID, "/history/sessions/" + recordID} {
		for origin, want := range map[string]string{desk: desk, "https://evil.example": ""} {
			preflight := ask(t, app, http.MethodOptions, path, "Authorization:", "Origin: "+origin, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization")
			methods, headers := preflight.head.Get("Access-Control-Allow-Methods"), preflight.head.Get("Access-Control-Allow-Headers")
			if preflight.status != http.StatusNoContent || preflight.head.Get("Access-Control-Allow-Origin") != want ||
				(want != "") != strings.Contains(methods, "GET") || (want != "") != strings.Contains(headers, "Authorization") {
				t.Errorf("preflight of %s for %s = %d %v", path, origin, preflight.status, preflight.head)
			}
			for _, authorization := range []string{"Bearer reader", ""} {
				a := ask(t, app, http.MethodGet, path, "Origin: "+origin, "Authorization: "+authorization)
				if got := a.head.Get("Access-Control-Allow-Origin"); got != want || a.head.Get("Vary") == "" {
					t.Errorf("%d for %s has Access-Control-Allow-Origin %q, want %q", a.status, origin, got, want)
				}
			}
		}
	}
}

// TestHistoryOfASession follows a session through its life, on a real store.
func TestHistoryOfASession(t *testing.T) {
	t.Parallel()
	const ada, sam = "0a1b2c3d-0000-4000-8000-0000000000a1", "0a1b2c3d-0000-4000-8000-0000000000b2"
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	clock := testenv.NewClock(t0)
	store, err := bolt.Open(t.Context(), bolt.Config{Path: filepath.Join(t.TempDir(), "store.db"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	directory := conversations.NewLocal(store, clock.Now)
	may := conversations.Capability{Voice: true, Digital: true}
	if err := directory.Seed(t.Context(), conversations.Organisation{ID: orgID, Name: "Bank"}, []conversations.User{
		{ID: ada, Name: "Ada", State: conversations.UserActive, Cobrowse: may}, {ID: sam, Name: "Sam", State: conversations.UserActive, Cobrowse: may},
	}, []conversations.NewConversation{{ID: talkID, Medium: conversations.MediumChat, Participants: []conversations.NewParticipant{
		{Purpose: conversations.PurposeCustomer, Name: "Kim"}, {Purpose: conversations.PurposeAgent, UserID: ada},
	}}}); err != nil {
		t.Fatal(err)
	}
	service := cobrowse.New(cobrowse.Config{
		Store: store, Index: store, Deployments: store, Directory: directory, Clock: clock.Now, Rules: cobrowse.DefaultRules(), Log: log,
		Tokens: cobrowse.NewJoinTokens([]byte("0123456789abcdef0123456789abcdef"), "https://cobridge.example", 15*time.Minute, clock.Now),
	})
	app := history(t, service)
	started, err := service.Start(t.Context(), cobrowse.StartRequest{
		OrgID: orgID, ConversationID: talkID, Participants: []cobrowse.Invite{{Role: cobrowse.RoleCustomer, Name: "Kim"}, {UserID: ada, Role: cobrowse.RoleAgent}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := started.Session
	want := func(when, rest string) {
		t.Helper()
		a := ask(t, app, http.MethodGet, historyPath+string(s.ID))
		wanted := `{"id":"` + string(s.ID) + `","sessionToken":"` + string(s.Token) + `","creationTime":` + strconv.FormatInt(t0.UnixMilli(), 10) + rest
		if diff := cmp.Diff(wanted, a.text); a.status != http.StatusOK || diff != "" {
			t.Errorf("%s: status %d (-want +got):\n%s", when, a.status, diff)
		}
	}
	connect := func(p cobrowse.ParticipantID) cobrowse.Joined {
		t.Helper()
		token, err := service.IssueToken(t.Context(), orgID, s.ID, p)
		if err != nil {
			t.Fatal(err)
		}
		joined, err := service.Connect(t.Context(), cobrowse.ConnectRequest{SessionID: s.ID, Token: token.Raw, Tab: "tab"})
		if err != nil {
			t.Fatal(err)
		}
		return joined
	}
	visit := func(j cobrowse.Joined, address string) {
		t.Helper()
		if err := service.VisitPage(t.Context(), s.ID, j.Participant.ID, j.Participant.Connection.Number, address, ""); err != nil {
			t.Fatal(err)
		}
	}
	stamp := func(d time.Duration) string { return strconv.FormatInt(t0.Add(d).UnixMilli(), 10) }

	want("as it is new", `,"pages":[]}`)
	clock.Advance(time.Second)
	kim := connect(s.Sharer())
	visit(kim, "https://shop.example/?q=private")
	clock.Advance(2 * time.Second)
	visit(kim, "https://shop.example/cart?card=4711#pay")
	want("while the customer is alone", `,"pages":[]}`)
	clock.Advance(4 * time.Second)
	connect(ada)
	want("with the agent", `,"activationTime":`+stamp(7*time.Second)+`,"pages":[{"url":"https://shop.example/cart","enteredTimestamp":`+stamp(7*time.Second)+`}]}`)
	clock.Advance(9900 * time.Millisecond)
	visit(kim, "https://shop.example/checkout")
	clock.Advance(61 * time.Second)
	if _, err := service.End(t.Context(), orgID, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatal(err)
	}
	ended := `,"activationTime":` + stamp(7*time.Second) + `,"deactivationTime":` + stamp(77900*time.Millisecond) + `,"pages":[{"url":"https://shop.example/cart","enteredTimestamp":` + stamp(7*time.Second) +
		`,"duration":9},{"url":"https://shop.example/checkout","enteredTimestamp":` + stamp(16900*time.Millisecond) + `,"duration":61}]}`
	want("after the end", ended)
	clock.Advance(14 * 24 * time.Hour)
	want("at the end of its retention", ended)
	clock.Advance(time.Millisecond)
	wantHistoryFailure(t, "after its retention", ask(t, app, http.MethodGet, historyPath+string(s.ID)), http.StatusNotFound, "not_found")

	other := history(t, service, func(c *legacy.HistoryConfig) {
		c.Access.Org, c.Access.Rule = "0a1b2c3d-0000-4000-8000-000000000002", legacy.RuleOpen
	})
	started, err = service.Start(t.Context(), cobrowse.StartRequest{OrgID: orgID, ConversationID: talkID, Participants: []cobrowse.Invite{{UserID: ada, Role: cobrowse.RoleAgent}, {UserID: sam, Role: cobrowse.RoleSupervisor}}})
	if err != nil {
		t.Fatal(err)
	}
	wantHistoryFailure(t, "a session of another organisation", ask(t, other, http.MethodGet, historyPath+string(started.Session.ID)), http.StatusNotFound, "not_found")
	// A session whose time is over has ended, whether anybody noticed or not.
	clock.Advance(20*time.Minute + time.Second)
	if a := ask(t, app, http.MethodGet, historyPath+string(started.Session.ID)); !strings.Contains(a.text, `,"deactivationTime":`) || strings.Contains(a.text, `"activationTime"`) {
		t.Errorf("a session that nobody joined = %d %s, want its end without an activation", a.status, a.text)
	}
}

func FuzzHistoryID(f *testing.F) {
	for _, id := range []string{recordID, strings.ToUpper(recordID), "407215938", "{" + recordID + "}", "urn:uuid:" + recordID, "", "a/b", "\x00", "%2e%2e"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		app := history(t, archive{recordID: sample()})
		a := ask(t, app, http.MethodGet, historyPath+url.PathEscape(id))
		if is := strings.EqualFold(id, recordID); is != (a.status == http.StatusOK) || !is && a.status != http.StatusBadRequest && a.status != http.StatusNotFound {
			t.Errorf("%q = %d %s", id, a.status, a.text)
		}
	})
}
