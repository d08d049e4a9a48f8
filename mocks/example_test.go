package mocks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-resty/resty/v2"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks"
)

// The code under test gets the mock's address, credentials and transport.
func ExampleNew() {
	t := newTrial() // in a test it is the *testing.T
	defer t.end()

	m := mocks.New(t)
	c, err := client.New(client.Options{BaseURL: m.BaseURL, ClientID: m.ClientID, ClientSecret: m.ClientSecret, Transport: m.Transport})
	if err != nil {
		t.Fatalf("%v", err)
	}
	pair := []client.Invite{{UserID: m.AgentUserID, Role: "agent"}, {UserID: m.SupervisorUserID, Role: "supervisor"}}

	first, err := c.CreateSession(t.Context(), client.NewSession{ConversationID: m.ConversationID, Participants: pair})
	fmt.Println(first.State, err)

	_, err = c.CreateSession(t.Context(), client.NewSession{ConversationID: m.ConversationID, Participants: pair})
	refused, _ := errors.AsType[*client.Error](err)
	fmt.Println(refused.Status, refused.SessionID == first.ID)
	// Output:
	// idle <nil>
	// 409 true
}

// One test goes through several situations with the same code.
func ExampleGiven() {
	t := newTrial()
	defer t.end()

	for _, scenario := range mocks.Scenarios() {
		m := mocks.New(t, mocks.Given(scenario))
		c, err := client.New(client.Options{BaseURL: m.BaseURL, ClientID: m.ClientID, ClientSecret: m.ClientSecret, Transport: m.Transport})
		if err != nil {
			t.Fatalf("%v", err)
		}
		_, err = c.CreateSession(t.Context(), client.NewSession{
			ConversationID: m.ConversationID, Participants: []client.Invite{{UserID: m.AgentUserID, Role: "agent"}, {UserID: m.SupervisorUserID, Role: "supervisor"}},
		})
		fmt.Printf("%s: %d\n", scenario, max(client.StatusOf(err), http.StatusCreated))
	}
	// Output:
	// active conversation: 201
	// no conversation: 404
	// foreign conversation: 404
	// ended conversation: 404
	// user without capability: 403
	// session already there: 409
	// session already active: 409
}

// A request fails once in the service's own words, and the record shows what the
// code under test made of it.
func ExampleMock_Fail() {
	t := newTrial()
	defer t.end()

	m := mocks.New(t)
	m.Fail("GET /api/v2/cobrowse/sessions/{sessionId}", mocks.Unavailable(time.Second))
	api := resty.New().SetTransport(m.Transport).SetBaseURL(m.BaseURL).SetAuthToken(m.AccessToken())
	id := m.StartSession(m.ConversationID)

	for range 2 {
		resp, err := api.R().SetContext(t.Context()).Get("/api/v2/cobrowse/sessions/" + id)
		if err != nil {
			t.Fatalf("%v", err)
		}
		fmt.Printf("%d %q\n", resp.StatusCode(), resp.Header().Get("Retry-After"))
	}
	for _, call := range m.Calls() {
		fmt.Printf("%s %q\n", call.Route, call.Fault)
	}
	// Output:
	// 503 "1"
	// 200 ""
	// GET /api/v2/cobrowse/sessions/{sessionId} "503"
	// GET /api/v2/cobrowse/sessions/{sessionId} ""
}

// The clock stands still until it is turned, and then everything is settled.
func ExampleMock_Turn() {
	t := newTrial()
	defer t.end()

	m := mocks.New(t, mocks.Given(mocks.SessionThere))
	m.Turn(19 * time.Minute)
	fmt.Println(m.Session(m.SessionID).State())
	m.Turn(time.Minute)
	fmt.Println(m.Session(m.SessionID).State(), m.Session(m.SessionID).EndReason)
	// Output:
	// idle
	// ended neverJoined
}

// x/oauth2 puts tokens on requests, so the mock goes below it.
func ExampleMock_transport() {
	t := newTrial()
	defer t.end()

	m := mocks.New(t)
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, m.HTTPClient())
	tokens := clientcredentials.Config{ClientID: m.ClientID, ClientSecret: m.ClientSecret, TokenURL: m.BaseURL + "/oauth/token", AuthStyle: oauth2.AuthStyleInHeader}
	api := resty.NewWithClient(tokens.Client(ctx)).SetBaseURL(m.BaseURL)

	resp, err := api.R().SetContext(ctx).Get("/api/v2/conversations/" + m.ConversationID)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, call := range m.Calls() {
		fmt.Println(call.Route, call.Status, call.Header.Get("Authorization"))
	}
	fmt.Println(resp.StatusCode())
	// Output:
	// POST /oauth/token 200 Basic ***
	// GET /api/v2/conversations/{conversationId} 200 Bearer ***
	// 200
}

// People come and go without a browser.
func ExampleMock_Join() {
	t := newTrial()
	defer t.end()

	m := mocks.New(t, mocks.Given(mocks.SessionThere))
	m.Join(m.SessionID, "customer")
	m.Join(m.SessionID, "agent")
	fmt.Println(m.Session(m.SessionID).State())
	m.Leave(m.SessionID, "customer")
	fmt.Println(m.Session(m.SessionID).State(), m.Session(m.SessionID).EndReason)
	// Output:
	// active
	// ended participantLeft
}

// Tokens die before their time, and the code under test has to get another one.
func ExampleMock_ExpireTokens() {
	t := newTrial()
	defer t.end()

	m := mocks.New(t)
	c, err := client.New(client.Options{BaseURL: m.BaseURL, ClientID: m.ClientID, ClientSecret: m.ClientSecret, Transport: m.Transport})
	if err != nil {
		t.Fatalf("%v", err)
	}
	for range 2 {
		if _, err := c.Conversation(t.Context(), m.ConversationID); err != nil {
			t.Fatalf("%v", err)
		}
		m.ExpireTokens()
	}
	for _, call := range m.Calls() {
		fmt.Println(call.Route, call.Status)
	}
	// Output:
	// POST /oauth/token 200
	// GET /api/v2/conversations/{conversationId} 200
	// GET /api/v2/conversations/{conversationId} 401
	// POST /oauth/token 200
	// GET /api/v2/conversations/{conversationId} 200
}

// The answer to a create gets lost on the way. The record of calls shows that it was
// asked for again under the same key, and the service that there is one session.
func ExampleMock_CallsTo() {
	t := newTrial()
	defer t.end()

	const create = "POST /api/v2/cobrowse/sessions"
	m := mocks.New(t, mocks.WithFault(create, mocks.AnswerLost()))
	c, err := client.New(client.Options{BaseURL: m.BaseURL, ClientID: m.ClientID, ClientSecret: m.ClientSecret, Transport: m.Transport})
	if err != nil {
		t.Fatalf("%v", err)
	}
	_, created, err := c.EnsureSession(t.Context(), client.NewSession{
		ConversationID: m.ConversationID, Participants: []client.Invite{{Role: "customer"}, {Role: "agent", UserID: m.AgentUserID}},
	})
	fmt.Println(created, err)

	calls := m.CallsTo(create)
	for _, call := range calls {
		fmt.Printf("%d %q\n", call.Status, call.Fault)
	}
	fmt.Println(calls[0].Header.Get("Idempotency-Key") == calls[1].Header.Get("Idempotency-Key"), len(m.Sessions()))
	// Output:
	// true <nil>
	// 0 "answer lost"
	// 201 ""
	// true 1
}

// The service in memory is configured as a real one is.
func ExampleWithConfig() {
	t := newTrial()
	defer t.end()

	m := mocks.New(t, mocks.WithConfig(func(c *config.Config) { c.Session.NeverJoined = time.Minute }))
	id := m.StartSession(m.ConversationID)
	m.Turn(time.Minute)
	fmt.Println(m.Session(id).EndReason)
	// Output: neverJoined
}
