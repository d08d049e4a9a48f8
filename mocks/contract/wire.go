package contract

import (
	"net/http"
	"net/url"
	"strings"
)

// tokenBody is the answer of the token endpoint.
type tokenBody struct {
	AccessToken string  `json:"access_token"`
	TokenType   string  `json:"token_type"`
	ExpiresIn   float64 `json:"expires_in"`
}

// conversationBody is the part of a conversation that clients read.
type conversationBody struct {
	ID           string       `json:"id"`
	State        string       `json:"state"`
	StartTime    string       `json:"startTime"`
	EndTime      string       `json:"endTime"`
	ExternalTag  string       `json:"externalTag"`
	SelfURI      string       `json:"selfUri"`
	Participants []memberBody `json:"participants"`
}

// memberBody is a participant of a conversation.
type memberBody struct {
	ID         string            `json:"id"`
	Purpose    string            `json:"purpose"`
	Role       string            `json:"role"`
	UserID     string            `json:"userId"`
	UserURI    string            `json:"userUri"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes"`
	Calls      []communication   `json:"calls"`
	Messages   []communication   `json:"messages"`
}

type communication struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// sessionBody is a session as any call answers it.
type sessionBody struct {
	ID             string            `json:"id"`
	SessionID      string            `json:"sessionId"`
	SessionToken   string            `json:"sessionToken"`
	ConversationID string            `json:"conversationId"`
	DeploymentID   string            `json:"deploymentId"`
	State          string            `json:"state"`
	SelfURI        string            `json:"selfUri"`
	Participants   []participantBody `json:"participants"`
	Settings       struct {
		AllowRemoteControl *bool `json:"allowRemoteControl"`
		TimeoutInMinutes   *int  `json:"timeoutInMinutes"`
	} `json:"settings"`
	DateCreated       string `json:"dateCreated"`
	DateActivated     string `json:"dateActivated"`
	DateEnded         string `json:"dateEnded"`
	EndReason         string `json:"endReason"`
	InactivityTimeout string `json:"inactivityTimeout"`
	CreatedBy         *struct {
		ID string `json:"id"`
	} `json:"createdBy"`
}

type participantBody struct {
	ID           string `json:"id"`
	UserID       string `json:"userId"`
	Role         string `json:"role"`
	CobrowseRole string `json:"cobrowseRole"`
	Name         string `json:"name"`
	State        string `json:"state"`
	AllowControl bool   `json:"allowControl"`
	DateJoined   string `json:"dateJoined"`
	JoinURL      string `json:"joinUrl"`
}

// participant returns the one with the given role, or the zero value.
func (b sessionBody) participant(role string) participantBody {
	for _, p := range b.Participants {
		if p.Role == role {
			return p
		}
	}
	return participantBody{}
}

// issuedBody is the answer of the call that issues a join token.
type issuedBody struct {
	Token         string `json:"token"`
	ExpiresAt     string `json:"expiresAt"`
	JoinURL       string `json:"joinUrl"`
	SessionID     string `json:"sessionId"`
	ParticipantID string `json:"participantId"`
}

const (
	sessionsPath      = "/api/v2/cobrowse/sessions"
	conversationsPath = "/api/v2/conversations"
	historyPath       = "/api/v2/cobrowse/history"
	deploymentsPath   = "/api/v2/cobrowse/deployments"
	attachPath        = "/api/v2/cobrowse/sessions/attach"
	redeemPath        = "/api/v2/cobrowse/join"
	usersPath         = "/api/v2/users"
	mePath            = "/api/v2/tokens/me"
)

func sessionPath(id string) string { return sessionsPath + "/" + url.PathEscape(id) }

func tokensPath(session, participant string) string {
	return sessionPath(session) + "/participants/" + url.PathEscape(participant) + "/tokens"
}

// historyPagePath is where people look at histories.
const historyPagePath = "/cobrowse/history"

func linksPath(session string) string { return historyPath + "/" + url.PathEscape(session) + "/links" }

// joinPath is the join page's address with the token pasted in as it is, as the
// tutorial does.
func joinPath(token string) string { return "/cobrowse/join?token=" + token }

// body makes JSON objects readable in tables.
type body map[string]any

// invite names a participant of a session to be created.
func invite(user, role string) body {
	b := body{"userId": user}
	if role != "" {
		b["role"] = role
	}
	return b
}

// pair are the tutorial's two participants.
func (s *suite) pair() []any {
	return []any{invite(s.target.AgentUserID, "agent"), invite(s.target.SupervisorUserID, "supervisor")}
}

// createBody is the tutorial's body for POST sessions.
func (s *suite) createBody(conversation string) body {
	return body{
		"conversationId": conversation,
		"participants":   s.pair(),
		"settings":       body{"allowRemoteControl": false, "timeoutInMinutes": 10},
	}
}

// post is a POST with the suite's token.
func (s *suite) post(t T, path string, b any) call {
	t.Helper()
	return call{method: http.MethodPost, path: path, token: s.token(t), body: b}
}

func (s *suite) get(t T, path string) call {
	t.Helper()
	return call{path: path, token: s.token(t)}
}

// session starts the tutorial's session on a conversation of its own.
func (sc *scene) session(t T) sessionBody {
	t.Helper()
	return sc.sessionOn(t, sc.conversation(t, "message").ID)
}

func (sc *scene) sessionOn(t T, conversation string) sessionBody {
	t.Helper()
	var b sessionBody
	sc.want(t, http.StatusCreated, sc.post(t, sessionsPath, sc.createBody(conversation))).into(t, &b)
	return b
}

// read returns the session as it is now.
func (sc *scene) read(t T, id string) sessionBody {
	t.Helper()
	var b sessionBody
	sc.want(t, http.StatusOK, sc.get(t, sessionPath(id))).into(t, &b)
	return b
}

// issue returns a new join token of a participant.
func (sc *scene) issue(t T, session, participant string) issuedBody {
	t.Helper()
	var b issuedBody
	sc.want(t, http.StatusOK, call{method: http.MethodPost, path: tokensPath(session, participant), token: sc.token(t)}).into(t, &b)
	return b
}

// tokenOf returns the token in a join URL.
func tokenOf(t T, joinURL string) string {
	t.Helper()
	_, query, _ := strings.Cut(joinURL, "?token=")
	if !urlSafe.MatchString(query) {
		t.Fatalf("a joinUrl does not end with ?token= and a token of URL-safe characters")
	}
	return query
}
