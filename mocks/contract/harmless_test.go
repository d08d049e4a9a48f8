package contract_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks/contract"
)

func harmless(t *testing.T) []contract.Case {
	t.Helper()
	var cases []contract.Case
	for _, c := range contract.Cases() {
		if c.Harmless() {
			cases = append(cases, c)
		}
	}
	if n := len(contract.Cases()); len(cases) < n/2 {
		t.Fatalf("%d of %d cases are harmless, want at least half of them", len(cases), n)
	}
	return cases
}

// usual leaves the rate limits as they are for everybody.
func usual(cfg *config.Config) { cfg.Limits = config.Default().Limits }

// meter counts what a run does.
type meter struct {
	next http.RoundTripper

	mu                      sync.Mutex
	calls                   int
	refused                 int // with 429
	secrets, tokens, digits int // wrong guesses
	defaults                int // deployments that would be others' sessions', too
	atOnce, most            int
	perToken                map[string]int
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	m.mu.Lock()
	m.calls++
	m.atOnce++
	m.most = max(m.most, m.atOnce)
	if m.perToken == nil {
		m.perToken = map[string]int{}
	}
	m.perToken[r.Header.Get("Authorization")]++
	m.mu.Unlock()
	resp, err := m.next.RoundTrip(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.atOnce--
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if strings.HasPrefix(r.URL.Path, "/api/v2/cobrowse/deployments") && resp.StatusCode < 300 && bytes.Contains(sent, []byte(`"defaultFor":["`)) {
		m.defaults++
	}
	var failure struct{ Error, Code string }
	_ = json.Unmarshal(body, &failure) // a page, for instance, is none
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		m.refused++
	case failure.Error == "invalid_client":
		m.secrets++
	case failure.Code == "join.token.invalid":
		m.tokens++
	case resp.StatusCode == http.StatusNotFound && strings.Contains(r.URL.Path, "/webdeployments/") && strings.Contains(r.URL.Path, "/cobrowse/"),
		resp.StatusCode == http.StatusNotFound && strings.HasSuffix(r.URL.Path, "/attach") && failure.Code == "not.found":
		m.digits++
	}
	return resp, nil
}

// The harmless part passes where the usual rate limits are on, makes no more wrong
// guesses than it says, one call at a time, and leaves what was there as it was.
func TestHarmlessPart(t *testing.T) {
	t.Parallel()
	app, clock := openApp(t, usual)
	m := &meter{next: app.Transport()}
	tg := target(app.BaseURL(), &http.Client{Transport: app.Transport()})
	ready(t, tg.Client, tg.BaseURL)
	before := theirs(t, tg, clock)

	tg.Client = &http.Client{Transport: m}
	tg.Retries = 3
	tg.Pace = func(context.Context) error {
		clock.Advance(50 * time.Millisecond) // as fast as an address may go for ever
		return nil
	}
	contract.RunCases(reporter{t}, tg, harmless(t))
	t.Logf("%d calls, of which %d came too early; wrong guesses at secrets %d, join tokens %d, digits %d; most with one token %d",
		m.calls, m.refused, m.secrets, m.tokens, m.digits, largest(m.perToken))
	if m.defaults > 0 {
		t.Errorf("%d deployments of the suite were the default for others' sessions meanwhile, want none", m.defaults)
	}
	if m.most > 1 {
		t.Errorf("%d calls were under way at once, want 1", m.most)
	}
	if m.secrets > contract.HarmlessSecretGuesses || m.tokens > contract.HarmlessTokenGuesses || m.digits > contract.HarmlessDigitGuesses {
		t.Errorf("wrong guesses: %d at secrets, %d at join tokens, %d at digits; want at most %d, %d and %d", m.secrets, m.tokens, m.digits,
			contract.HarmlessSecretGuesses, contract.HarmlessTokenGuesses, contract.HarmlessDigitGuesses)
	}
	if m.refused > 0 {
		t.Errorf("%d calls were beyond a rate limit, want none", m.refused)
	}
	before.untouched(t)
}

func largest(counts map[string]int) int {
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	return most
}

// world is what others have on a target, as it was seen once.
type world struct {
	api  *client.Client
	seen map[string]any
	read func(*testing.T) map[string]any
}

// theirs lets others work with the target: with the same client, agent and
// supervisor as the suite.
func theirs(t *testing.T, tg contract.Target, clock *testenv.Clock) *world {
	t.Helper()
	api, err := client.New(client.Options{BaseURL: tg.BaseURL, ClientID: tg.ClientID, ClientSecret: tg.ClientSecret, Transport: tg.Client.Transport})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	conv, err := api.CreateConversation(ctx, client.NewConversation{MediaType: "message", Participants: []client.NewConversationParticipant{
		{Purpose: "customer", Name: "Kim", Attributes: map[string]string{"order": "4711"}}, {Purpose: "agent", UserID: tg.AgentUserID},
	}})
	must(err)
	session, err := api.CreateSession(ctx, client.NewSession{ConversationID: conv.ID, Participants: []client.Invite{
		{UserID: tg.AgentUserID, Role: "agent"}, {UserID: tg.SupervisorUserID, Role: "supervisor"},
	}})
	must(err)
	shop, err := api.CreateDeployment(ctx, client.NewDeployment{Name: "Our shop", AllowedOrigins: []string{"https://our.example"}})
	must(err)
	started, err := api.StartFromPage(ctx, shop.ID, "https://our.example", "Kim")
	must(err)
	// The agent is in the session.
	token, err := api.IssueJoinToken(ctx, session.ID, tg.AgentUserID)
	must(err)
	_, err = api.RedeemJoinToken(ctx, token.Token, "tab-1")
	must(err)

	w := &world{api: api, read: func(t *testing.T) map[string]any {
		t.Helper()
		conversation, err := api.Conversation(t.Context(), conv.ID)
		must(err)
		one, err := api.Session(t.Context(), session.ID)
		must(err)
		other, err := api.Session(t.Context(), started.ID)
		must(err)
		deployment, err := api.Deployment(t.Context(), shop.ID)
		must(err)
		live := []string{}
		for s, err := range api.AllSessions(t.Context(), client.SessionQuery{State: "live"}) {
			must(err)
			live = append(live, s.ID)
		}
		deployments := []string{}
		for d, err := range api.AllDeployments(t.Context(), client.Paging{}) {
			must(err)
			deployments = append(deployments, d.ID)
		}
		return map[string]any{
			"conversation": conversation, "session": one, "started session": other, "deployment": deployment, "live sessions": live, "deployments": deployments,
		}
	}}
	// What a session does to its conversation comes a moment later.
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		conversation, err := api.Conversation(ctx, conv.ID)
		must(err)
		if conversation.Participants[0].Attributes["CoBrowseAssociated"] != "" {
			break
		}
		<-ticker.C
		clock.Advance(200 * time.Millisecond) // or the limit of calls would be used up
	}
	w.seen = w.read(t)
	return w
}

// untouched checks that all of it is as it was, and that nothing live has come to it.
func (w *world) untouched(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(w.seen, w.read(t)); diff != "" {
		t.Errorf("what others have is not as it was (-before +after):\n%s", diff)
	}
	if err := w.api.CheckToken(t.Context()); err != nil {
		t.Errorf("the access token of others: %v", err)
	}
}

// Where conversations are a cloud's, one is named: what needs another is skipped,
// and that one stays as it was.
func TestHarmlessPartOnOneConversation(t *testing.T) { //nolint:tparallel // its runs come one after the other
	t.Parallel()
	app, clock := openApp(t)
	tg := target(app.BaseURL(), &http.Client{Transport: app.Transport()})
	ready(t, tg.Client, tg.BaseURL)
	w := theirs(t, tg, clock)
	conv, err := w.api.CreateConversation(t.Context(), client.NewConversation{MediaType: "call", Participants: []client.NewConversationParticipant{
		{Purpose: "customer"}, {Purpose: "agent", UserID: tg.AgentUserID},
	}})
	if err != nil {
		t.Fatal(err)
	}
	tg.ConversationID = conv.ID
	for _, name := range []string{"first", "second"} { // ids and keys of one run are not in the way of the next
		if !t.Run(name, func(t *testing.T) { contract.RunCases(reporter{t}, tg, harmless(t)) }) {
			return
		}
	}
	w.untouched(t)
	after, err := w.api.Conversation(t.Context(), conv.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range after.Participants { // what every session leaves there
		maps.DeleteFunc(p.Attributes, func(name, _ string) bool { return strings.Contains(name, "CoBrowse") })
	}
	if diff := cmp.Diff(conv, after); diff != "" {
		t.Errorf("the conversation is not as it was (-before +after):\n%s", diff)
	}

	// A session of somebody else on it is left alone.
	session, err := w.api.CreateSession(t.Context(), client.NewSession{ConversationID: conv.ID, Participants: []client.Invite{{UserID: tg.SupervisorUserID, Role: "agent"}}})
	if err != nil {
		t.Fatal(err)
	}
	contract.RunCases(reporter{t}, tg, harmless(t))
	if got, err := w.api.Session(t.Context(), session.ID); err != nil || got.State != "idle" {
		t.Errorf("somebody's session on the conversation is %q (%v), want idle", got.State, err)
	}
}

// Who reads the list of cases finds each of them judged: no reason is given for a
// case that there is not.
func TestHarm(t *testing.T) {
	t.Parallel()
	for _, c := range contract.Cases() {
		if c.Harmless() != (c.Harm() == "") {
			t.Errorf("%s: Harmless is %t and Harm %q", c.Name, c.Harmless(), c.Harm())
		}
	}
	for _, name := range contract.Harms() {
		if !slices.ContainsFunc(contract.Cases(), func(c contract.Case) bool { return c.Name == name || strings.HasPrefix(c.Name, name) }) {
			t.Errorf("there is no case %q", name)
		}
	}
}
