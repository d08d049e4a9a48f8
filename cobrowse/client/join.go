package client

import (
	"context"
	"net/http"
	"time"
)

// JoinToken lets one participant into one session, once.
type JoinToken struct {
	Token         string    `json:"token"`
	ExpiresAt     time.Time `json:"expiresAt"`
	JoinURL       string    `json:"joinUrl"` // for the participant's browser
	SessionID     string    `json:"sessionId"`
	ParticipantID string    `json:"participantId"`
}

// IssueJoinToken returns a fresh token for a participant, at most 15 minutes good;
// 409 if the session has ended. Tokens that were issued before stay as they are.
// Scope cobrowse:session:read.
func (c *Client) IssueJoinToken(ctx context.Context, sessionID, participantID string) (JoinToken, error) {
	var token JoinToken
	path := sessionsPath + "/" + segment(sessionID) + "/participants/" + segment(participantID) + "/tokens"
	_, err := c.do(ctx, call{method: http.MethodPost, path: path, into: &token, again: true})
	return token, err
}

// Joined is what a redeemed join token gives.
type Joined struct {
	SessionID     string `json:"sessionId"`
	ParticipantID string `json:"participantId"`
	Role          string `json:"role"`
	CobrowseRole  string `json:"cobrowseRole"` // sharer or viewer
	State         string `json:"state"`        // of the session
	StreamURI     string `json:"streamUri"`    // path of the WebSocket, with a gateway's prefix
	Resume        string `json:"resume"`       // a sharer's resume secret; a viewer's is in Cookies

	Cookies []*http.Cookie `json:"-"` // to be sent with the WebSocket's handshake
}

// RedeemJoinToken uses a join token up, as the join page does. Tab names the
// caller, may be empty, and is what a rejoin is told from a second visitor by.
// 401 for a token that is wrong or too old, 409 for one that was used or whose
// agent is busy elsewhere, 410 for one of an ended session. It needs no access token.
func (c *Client) RedeemJoinToken(ctx context.Context, token, tab string) (Joined, error) {
	var joined Joined
	body := map[string]string{"token": token}
	if tab != "" {
		body["tab"] = tab
	}
	header, err := c.do(ctx, call{method: http.MethodPost, path: "/api/v2/cobrowse/join", body: body, into: &joined, open: true})
	joined.Cookies = (&http.Response{Header: header}).Cookies()
	return joined, err
}

// StartedSession is a session that a customer has started.
type StartedSession struct {
	ID            string    `json:"id"`
	SessionID     string    `json:"sessionId"`    // the same
	SessionToken  string    `json:"sessionToken"` // nine digits, to be read to an agent
	ParticipantID string    `json:"participantId"`
	State         string    `json:"state"`
	Token         string    `json:"token"` // the customer's join token
	ExpiresAt     time.Time `json:"expiresAt"`
	JoinURL       string    `json:"joinUrl"`
}

// StartFromPage starts a session as a page of a deployment does: origin must be
// among the deployment's allowed ones. It needs no access token.
func (c *Client) StartFromPage(ctx context.Context, deploymentID, origin, customerName string) (StartedSession, error) {
	var started StartedSession
	body := map[string]string{}
	if customerName != "" {
		body["customerName"] = customerName
	}
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: deploymentsPath + "/" + segment(deploymentID) + "/sessions", body: body, into: &started, open: true,
		header: map[string]string{"Origin": origin},
	})
	return started, err
}
