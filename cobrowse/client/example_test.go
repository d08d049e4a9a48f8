package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks"
)

// From a conversation to the end of its session. The service is one in memory, from
// package mocks; to reach a real one, leave Transport out.
func Example() {
	m, _, end := onStage()
	defer end()
	ctx := context.Background()

	c, err := client.New(client.Options{
		BaseURL: m.BaseURL, ClientID: m.ClientID, ClientSecret: m.ClientSecret,
		Transport: m.Transport, PollEvery: 10 * time.Millisecond,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	talks, err := c.Conversations(ctx, client.ConversationQuery{MediaType: "message"})
	if err != nil {
		fmt.Println(err)
		return
	}
	session, created, err := c.EnsureSession(ctx, client.NewSession{
		ConversationID: talks.Entities[0].ID,
		Participants:   []client.Invite{{Role: "customer"}, {Role: "agent", UserID: m.AgentUserID}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("created:", created)
	for _, p := range session.Participants {
		fmt.Println(p.Role, "opens", p.JoinURL != "")
	}

	m.Join(session.ID, "customer") // in a browser, for real
	m.Join(session.ID, "agent")
	if session, err = c.WaitActive(ctx, session.ID); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(session.State)

	if err := c.EndSession(ctx, session.ID); err != nil {
		fmt.Println(err)
		return
	}
	record, err := c.HistoryRecord(ctx, session.ID)
	fmt.Println(record.EndReason, err)
	// Output:
	// created: true
	// customer opens true
	// agent opens true
	// active
	// ended <nil>
}

// Without EnsureSession: the 409 names the session that is there.
func ExampleError() {
	m, c, end := onStage(mocks.Given(mocks.SessionThere))
	defer end()

	_, err := c.CreateSession(context.Background(), client.NewSession{
		ConversationID: m.ConversationID, Participants: []client.Invite{{Role: "agent", UserID: m.AgentUserID}},
	})
	if refused, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(refused.Status, refused.Code)
		fmt.Println(refused.Details[0].FieldName, refused.Details[0].ErrorCode)
		fmt.Println(refused.SessionID == m.SessionID)
	}
	// Output:
	// 409 request.conflict
	// conversationId cobrowse.session.active
	// true
}

// Whoever comes second gets the same session, and a supervisor can come later.
func ExampleClient_EnsureSession() {
	m, c, end := onStage()
	defer end()
	ctx := context.Background()
	agent := client.Invite{Role: "agent", UserID: m.AgentUserID}
	supervisor := client.Invite{Role: "supervisor", UserID: m.SupervisorUserID}

	first, created, err := c.EnsureSession(ctx, client.NewSession{ConversationID: m.ConversationID, Participants: []client.Invite{agent}})
	fmt.Println(created, err)

	second, created, err := c.EnsureSession(ctx, client.NewSession{ConversationID: m.ConversationID, Participants: []client.Invite{agent, supervisor}})
	fmt.Println(created, err, second.ID == first.ID)
	for _, p := range second.Participants {
		fmt.Println(p.Role, p.Name, p.JoinURL != "")
	}
	// Output:
	// true <nil>
	// false <nil> true
	// agent Ada Agent true
	// supervisor Sam Supervisor true
}

// In a session that has begun without the customer the agent shares, and that stays.
func ExampleReuseError() {
	m, c, end := onStage()
	defer end()
	ctx := context.Background()
	agent := client.Invite{Role: "agent", UserID: m.AgentUserID}
	if _, _, err := c.EnsureSession(ctx, client.NewSession{ConversationID: m.ConversationID, Participants: []client.Invite{agent}}); err != nil {
		fmt.Println(err)
		return
	}

	wanted := client.NewSession{ConversationID: m.ConversationID, Participants: []client.Invite{{Role: "customer"}, agent}}
	_, _, err := c.EnsureSession(ctx, wanted)
	if other, ok := errors.AsType[*client.ReuseError](err); ok {
		fmt.Println("cannot take part:", other.Invite.Role)
		if err := c.EndSession(ctx, other.Session.ID); err != nil {
			fmt.Println(err)
			return
		}
		_, created, err := c.EnsureSession(ctx, wanted)
		fmt.Println(created, err)
	}
	// Output:
	// cannot take part: customer
	// true <nil>
}

func ExampleClient_RefreshJoinURLs() {
	m, c, end := onStage(mocks.Given(mocks.SessionThere))
	defer end()

	session, err := c.RefreshJoinURLs(context.Background(), m.SessionID)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range session.Participants {
		u, err := url.Parse(p.JoinURL)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p.Role, u.Path, u.Query().Has("token"))
	}
	// Output:
	// customer /cobrowse/join true
	// agent /cobrowse/join true
	// supervisor /cobrowse/join true
}

// A page asks for the link whenever it is drawn; the service is asked when it has to be.
func ExampleClient_JoinLink() {
	m, c, end := onStage(mocks.Given(mocks.SessionThere))
	defer end()

	link := c.JoinLink(m.SessionID, m.AgentUserID, 2*time.Minute)
	for range 3 {
		token, err := link.Token(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(token.ExpiresAt.Sub(m.Now()))
		m.Turn(7 * time.Minute)
	}
	// Output:
	// 15m0s
	// 8m0s
	// 15m0s
}

// Nobody comes, and the wait ends with the session.
func ExampleClient_WaitActive() {
	m, c, end := onStage(mocks.Given(mocks.SessionThere))
	defer end()
	m.Turn(20 * time.Minute)

	_, err := c.WaitActive(context.Background(), m.SessionID)
	if ended, ok := errors.AsType[*client.EndedError](err); ok {
		fmt.Println(ended.Session.EndReason)
	}
	// Output: neverJoined
}

func ExampleClient_WaitEnded() {
	m, c, end := onStage(mocks.Given(mocks.SessionActive))
	defer end()
	go m.Leave(m.SessionID, "customer")

	session, err := c.WaitEnded(context.Background(), m.SessionID)
	fmt.Println(session.State, session.EndReason, err)
	// Output: ended participantLeft <nil>
}

// Ending a session twice is no failure.
func ExampleClient_EndSession() {
	m, c, end := onStage(mocks.Given(mocks.SessionActive))
	defer end()

	for range 2 {
		fmt.Println(c.EndSession(context.Background(), m.SessionID))
	}
	fmt.Println(client.StatusOf(c.EndSession(context.Background(), "nobody")) == http.StatusNotFound)
	// Output:
	// <nil>
	// <nil>
	// true
}

// Records come page by page while the loop runs; a break stops reading.
func ExampleClient_History() {
	m, c, end := onStage(mocks.Given(mocks.SessionActive))
	defer end()
	m.Leave(m.SessionID, "agent")

	for record, err := range c.History(context.Background(), client.HistoryQuery{ConversationID: m.ConversationID, PageSize: 50}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(record.EndReason, len(record.Participants), len(record.Stays))
	}
	// Output: participantLeft 3 2
}
