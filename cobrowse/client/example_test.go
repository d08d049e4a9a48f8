package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/jarcoal/httpmock"

	"github.com/cobridge/cobridge/cobrowse/client"
)

// exampleService stands in for a service: one conversation, which has a session.
func exampleService() http.RoundTripper {
	const base = "https://cobridge.example"
	mock := httpmock.NewMockTransport()
	answer := func(method, path string, status int, body string) {
		mock.RegisterResponder(method, base+path, httpmock.NewStringResponder(status, body).HeaderSet(http.Header{"Content-Type": {"application/json"}}))
	}
	answer("POST", "/oauth/token", 200, `{"access_token":"t","token_type":"bearer","expires_in":86400}`)
	answer("GET", "/api/v2/conversations", 200, `{"entities":[{"id":"c1","participants":[{"role":"agent","userId":"u1"}]}]}`)
	answer("POST", "/api/v2/cobrowse/sessions", 409, `{"code":"request.conflict","status":409,"sessionId":"s1"}`)
	answer("POST", "/api/v2/cobrowse/sessions/s1/participants/u1/tokens", 200, `{"token":"t","joinUrl":"https://cobridge.example/cobrowse/join?token=t"}`)
	answer("GET", "/api/v2/cobrowse/history", 200, `{"entities":[{"id":"s0","endReason":"participantLeft","pages":[{"url":"https://shop.example/"}]}]}`)
	return mock
}

// Find a conversation, create a session on it, and meet the one that is there.
func Example() {
	ctx := context.Background()
	c, err := client.New(client.Options{
		BaseURL: "https://cobridge.example", ClientID: "client", ClientSecret: "secret",
		Transport: exampleService(), // leave it out to reach the real one
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	active, err := c.Conversations(ctx, client.ConversationQuery{Paging: client.Paging{Size: 1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	conversation := active.Entities[0]
	agent := conversation.Participants[0].UserID
	session, err := c.CreateSession(ctx, client.NewSession{
		ConversationID: conversation.ID,
		Participants:   []client.Invite{{UserID: agent, Role: "agent"}, {Role: "customer"}},
	})
	id := session.ID
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.SessionID != "" {
		fmt.Println("there is one already:", refused.SessionID)
		id, err = refused.SessionID, nil
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := c.IssueJoinToken(ctx, id, agent)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.JoinURL)
	// Output:
	// there is one already: s1
	// https://cobridge.example/cobrowse/join?token=t
}

func ExampleClient_History() {
	c, err := client.New(client.Options{BaseURL: "https://cobridge.example", ClientID: "client", ClientSecret: "secret", Transport: exampleService()})
	if err != nil {
		fmt.Println(err)
		return
	}
	for record, err := range c.History(context.Background(), client.HistoryQuery{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(record.ID, record.EndReason, len(record.Pages))
	}
	// Output: s0 participantLeft 1
}
