package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/cobridge/cobridge/cobrowse/client"
)

const base = "https://cobridge.example/gw"

// service is a mocked service that gives out tokens t1, t2, ... and notes what it is asked.
type service struct {
	*httpmock.MockTransport
	tokens int
	seen   []string // method, path with query, bearer, body
}

// newService returns a mock and a client of it. At the end every responder must
// have been called.
func newService(t *testing.T, change ...func(*client.Options)) (*service, *client.Client) {
	t.Helper()
	s := &service{MockTransport: httpmock.NewMockTransport()}
	o := client.Options{BaseURL: base + "/", ClientID: "id", ClientSecret: "secret", Transport: s, Retries: -1}
	for _, fn := range change {
		fn(&o)
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	t.Cleanup(func() {
		for call, n := range s.GetCallCountInfo() {
			if n == 0 {
				t.Errorf("%s was never called", call)
			}
		}
	})
	return s, c
}

// withTokens lets the mock answer token requests.
func (s *service) withTokens() *service {
	s.RegisterResponder(http.MethodPost, base+"/oauth/token", func(r *http.Request) (*http.Response, error) {
		id, secret, _ := r.BasicAuth()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		s.seen = append(s.seen, fmt.Sprintf("token %s:%s %s", id, secret, body))
		s.tokens++
		return httpmock.NewJsonResponse(http.StatusOK, map[string]any{"access_token": fmt.Sprintf("t%d", s.tokens), "token_type": "bearer", "expires_in": 3600})
	})
	return s
}

// on answers one call; each further answer is for the next call.
func (s *service) on(method, path string, answers ...httpmock.Responder) {
	n := 0
	s.RegisterResponder(method, base+path, func(r *http.Request) (*http.Response, error) {
		var body []byte
		if r.Body != nil {
			var err error
			if body, err = io.ReadAll(r.Body); err != nil {
				return nil, err
			}
		}
		s.seen = append(s.seen, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Method, strings.TrimPrefix(r.URL.RequestURI(), "/gw"), r.Header.Get("Authorization"), body)))
		answer := answers[min(n, len(answers)-1)]
		n++
		return answer(r)
	})
}

func jsonAnswer(status int, body string, headers ...string) httpmock.Responder {
	return func(*http.Request) (*http.Response, error) {
		resp := httpmock.NewStringResponse(status, body)
		resp.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			resp.Header.Set(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

// Every call: what is sent, and that a plausible answer is understood.
func TestCalls(t *testing.T) {
	t.Parallel()
	const session = `{"id":"s1","sessionId":"s1","conversationId":"c1","state":"idle","participants":[{"id":"u1","userId":"u1","role":"agent","cobrowseRole":"sharer","state":"invited","joinUrl":"https://x/cobrowse/join?token=t"}],"settings":{"allowRemoteControl":true,"timeoutInMinutes":10},"dateCreated":"2026-03-04T05:06:07.089Z","inactivityTimeout":"2026-03-04T05:16:07.089Z","selfUri":"/api/v2/cobrowse/sessions/s1"}`
	const page = `{"entities":[%s],"pageSize":25,"pageNumber":1,"total":1,"pageCount":1,"selfUri":"/x","firstUri":"/x","lastUri":"/x"}`
	type result = any
	for _, tt := range []struct {
		name   string
		do     func(context.Context, *client.Client) (result, error)
		method string
		path   string // without query
		answer string
		status int
		sent   string // path with query, and body
		want   func(result) bool
	}{
		{
			name: "Conversations", method: "GET", path: "/api/v2/conversations", status: 200, answer: fmt.Sprintf(page, `{"id":"c1","state":"active","startTime":"2026-03-04T05:06:07.089Z","participants":[{"id":"p1","purpose":"agent","role":"agent","userId":"u1","attributes":{"a":"b"},"calls":[{"id":"k","state":"connected","direction":"inbound"}]}]}`),
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.Conversations(ctx, client.ConversationQuery{State: "any", MediaType: "call", Paging: client.Paging{Size: 5, Number: 2}})
			},
			sent: "GET /api/v2/conversations?communicationType=call&pageNumber=2&pageSize=5&state=any Bearer t1",
			want: func(r result) bool {
				p := r.(client.Page[client.Conversation])
				return p.Total == 1 && p.Entities[0].Participants[0].Calls[0].State == "connected" && p.Entities[0].StartTime.Nanosecond() == 89e6
			},
		},
		{
			name: "Conversation", method: "GET", path: "/api/v2/conversations/c1", status: 200, answer: `{"id":"c1","endTime":"2026-03-04T05:06:07.089Z"}`,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return c.Conversation(ctx, "c1") },
			sent: "GET /api/v2/conversations/c1 Bearer t1",
			want: func(r result) bool { return !r.(client.Conversation).EndTime.IsZero() },
		},
		{
			name: "an id with a slash", method: "GET", path: "/api/v2/conversations/a%2Fb%3Fc", status: 200, answer: `{"id":"a/b?c"}`,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return c.Conversation(ctx, "a/b?c") },
			sent: "GET /api/v2/conversations/a%2Fb%3Fc Bearer t1",
			want: func(r result) bool { return r.(client.Conversation).ID == "a/b?c" },
		},
		{
			name: "CreateConversation", method: "POST", path: "/api/v2/conversations", status: 201, answer: `{"id":"c1"}`,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.CreateConversation(ctx, client.NewConversation{MediaType: "call", Participants: []client.NewConversationParticipant{{Purpose: "customer", Name: "Kim"}, {Purpose: "agent", UserID: "u1"}}})
			},
			sent: `POST /api/v2/conversations Bearer t1 {"mediaType":"call","participants":[{"purpose":"customer","name":"Kim"},{"purpose":"agent","userId":"u1"}]}`,
			want: func(r result) bool { return r.(client.Conversation).ID == "c1" },
		},
		{
			name: "DisconnectConversation", method: "POST", path: "/api/v2/conversations/c1/disconnect", status: 202, answer: `"disconnected"`,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return nil, c.DisconnectConversation(ctx, "c1")
			},
			sent: "POST /api/v2/conversations/c1/disconnect Bearer t1",
		},
		{
			name: "SetAttributes", method: "PATCH", path: "/api/v2/conversations/c1/participants/p1/attributes", status: 202,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return nil, c.SetAttributes(ctx, "c1", "p1", map[string]string{"a.b": "c"})
			},
			sent: `PATCH /api/v2/conversations/c1/participants/p1/attributes Bearer t1 {"attributes":{"a.b":"c"}}`,
		},
		{
			name: "Users", method: "GET", path: "/api/v2/users", status: 200, answer: fmt.Sprintf(page, `{"id":"u1","name":"Ada","state":"active","version":3}`),
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.Users(ctx, client.UserQuery{IDs: []string{"u1", "u2"}, State: "any"})
			},
			sent: "GET /api/v2/users?id=u1&id=u2&state=any Bearer t1",
			want: func(r result) bool { return r.(client.Page[client.User]).Entities[0].Version == 3 },
		},
		{
			name: "User", method: "GET", path: "/api/v2/users/u1", status: 200, answer: `{"id":"u1","name":"Ada"}`,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return c.User(ctx, "u1") },
			sent: "GET /api/v2/users/u1 Bearer t1",
			want: func(r result) bool { return r.(client.User).Name == "Ada" },
		},
		{
			name: "CreateSession", method: "POST", path: "/api/v2/cobrowse/sessions", status: 201, answer: session,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.CreateSession(ctx, client.NewSession{ConversationID: "c1", Participants: []client.Invite{{UserID: "u1", Role: "agent"}}, Settings: &client.NewSettings{AllowRemoteControl: new(false), TimeoutInMinutes: new(10)}, IdempotencyKey: "k"})
			},
			sent: `POST /api/v2/cobrowse/sessions Bearer t1 {"conversationId":"c1","participants":[{"userId":"u1","role":"agent"}],"settings":{"allowRemoteControl":false,"timeoutInMinutes":10}}`,
			want: func(r result) bool {
				s := r.(client.Session)
				return s.ID == "s1" && s.Participants[0].JoinURL != "" && s.Settings.AllowRemoteControl && !s.InactiveAt.IsZero() && s.DateEnded.IsZero()
			},
		},
		{
			name: "Session", method: "GET", path: "/api/v2/cobrowse/sessions/s1", status: 200, answer: session,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return c.Session(ctx, "s1") },
			sent: "GET /api/v2/cobrowse/sessions/s1 Bearer t1",
			want: func(r result) bool { return r.(client.Session).State == "idle" },
		},
		{
			name: "Sessions", method: "GET", path: "/api/v2/cobrowse/sessions", status: 200, answer: fmt.Sprintf(page, session),
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.Sessions(ctx, client.SessionQuery{ConversationID: "c1", State: "ended"})
			},
			sent: "GET /api/v2/cobrowse/sessions?conversationId=c1&state=ended Bearer t1",
			want: func(r result) bool { return len(r.(client.Page[client.Session]).Entities) == 1 },
		},
		{
			name: "UpdateSession", method: "PATCH", path: "/api/v2/cobrowse/sessions/s1", status: 200, answer: session,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.UpdateSession(ctx, "s1", client.NewSettings{TimeoutInMinutes: new(30)})
			},
			sent: `PATCH /api/v2/cobrowse/sessions/s1 Bearer t1 {"settings":{"timeoutInMinutes":30}}`,
			want: func(r result) bool { return r.(client.Session).ID == "s1" },
		},
		{
			name: "EndSession", method: "DELETE", path: "/api/v2/cobrowse/sessions/s1", status: 204,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return nil, c.EndSession(ctx, "s1") },
			sent: "DELETE /api/v2/cobrowse/sessions/s1 Bearer t1",
		},
		{
			name: "AddParticipant", method: "POST", path: "/api/v2/cobrowse/sessions/s1/participants", status: 201, answer: `{"id":"u2","role":"supervisor","cobrowseRole":"viewer","state":"invited","joinUrl":"https://x"}`,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.AddParticipant(ctx, "s1", client.Invite{UserID: "u2", Role: "supervisor"})
			},
			sent: `POST /api/v2/cobrowse/sessions/s1/participants Bearer t1 {"userId":"u2","role":"supervisor"}`,
			want: func(r result) bool { return r.(client.Participant).JoinURL == "https://x" },
		},
		{
			name: "RemoveParticipant", method: "DELETE", path: "/api/v2/cobrowse/sessions/s1/participants/u2", status: 204,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return nil, c.RemoveParticipant(ctx, "s1", "u2")
			},
			sent: "DELETE /api/v2/cobrowse/sessions/s1/participants/u2 Bearer t1",
		},
		{
			name: "Attach", method: "POST", path: "/api/v2/cobrowse/sessions/attach", status: 201, answer: session,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.Attach(ctx, client.Attachment{SessionToken: "123 456 789", ConversationID: "c1", Participant: client.Invite{UserID: "u1", Role: "agent"}})
			},
			sent: `POST /api/v2/cobrowse/sessions/attach Bearer t1 {"sessionToken":"123 456 789","conversationId":"c1","participant":{"userId":"u1","role":"agent"}}`,
			want: func(r result) bool { return r.(client.Session).ConversationID == "c1" },
		},
		{
			name: "IssueJoinToken", method: "POST", path: "/api/v2/cobrowse/sessions/s1/participants/u1/tokens", status: 200, answer: `{"token":"a.b.c","expiresAt":"2026-03-04T05:21:07.000Z","joinUrl":"https://x","sessionId":"s1","participantId":"u1"}`,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return c.IssueJoinToken(ctx, "s1", "u1") },
			sent: "POST /api/v2/cobrowse/sessions/s1/participants/u1/tokens Bearer t1",
			want: func(r result) bool { return r.(client.JoinToken).Token == "a.b.c" },
		},
		{
			name: "HistoryRecord", method: "GET", path: "/api/v2/cobrowse/history/s1", status: 200, answer: strings.Replace(session, `"id"`, `"sessionToken":"123456789","pages":[{"url":"https://shop.example/","dateEntered":"2026-03-04T05:06:07.089Z","durationSeconds":7}],"id"`, 1),
			do:   func(ctx context.Context, c *client.Client) (result, error) { return c.HistoryRecord(ctx, "s1") },
			sent: "GET /api/v2/cobrowse/history/s1 Bearer t1",
			want: func(r result) bool {
				h := r.(client.HistoryRecord)
				return h.ID == "s1" && h.SessionToken == "123456789" && h.Pages[0].DurationSeconds == 7
			},
		},
		{
			name: "ImportHistoryRecord", method: "PUT", path: "/api/v2/cobrowse/history/s1", status: 200, answer: strings.Replace(session, `"id"`, `"sessionToken":"123456789","pages":[],"id"`, 1),
			do: func(ctx context.Context, c *client.Client) (result, error) {
				record, created, err := c.ImportHistoryRecord(ctx, "s1", client.NewHistoryRecord{
					SessionToken: "123456789", DateCreated: time.UnixMilli(1718036395021).UTC(), DateEnded: time.UnixMilli(1718036755482).UTC(),
					Pages: []client.PageVisit{{URL: "https://shop.example/", DateEntered: time.UnixMilli(1718036402195).UTC(), DurationSeconds: 7}},
				})
				if created {
					err = errors.Join(err, errors.New("200 is taken for a new record"))
				}
				return record, err
			},
			sent: `PUT /api/v2/cobrowse/history/s1 Bearer t1 {"sessionToken":"123456789","dateCreated":"2024-06-10T16:19:55.021Z","dateEnded":"2024-06-10T16:25:55.482Z","pages":[{"url":"https://shop.example/","dateEntered":"2024-06-10T16:20:02.195Z","durationSeconds":7}]}`,
			want: func(r result) bool { return r.(client.HistoryRecord).SessionToken == "123456789" },
		},
		{
			name: "CreateHistoryLink", method: "POST", path: "/api/v2/cobrowse/history/s1/links", status: 201, answer: `{"url":"https://x/cobrowse/history/s1?token=a.b.c","expiresAt":"2026-03-04T05:06:07.089Z"}`,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return c.CreateHistoryLink(ctx, "s1") },
			sent: "POST /api/v2/cobrowse/history/s1/links Bearer t1",
			want: func(r result) bool {
				l := r.(client.HistoryLink)
				return strings.HasSuffix(l.URL, "?token=a.b.c") && !l.ExpiresAt.IsZero()
			},
		},
		{
			name: "CreateSession on a deployment", method: "POST", path: "/api/v2/cobrowse/sessions", status: 201, answer: session,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.CreateSession(ctx, client.NewSession{ConversationID: "c1", DeploymentID: "d1", Participants: []client.Invite{{UserID: "u2", Role: "supervisor", AllowControl: true}}})
			},
			sent: `POST /api/v2/cobrowse/sessions Bearer t1 {"conversationId":"c1","deploymentId":"d1","participants":[{"userId":"u2","role":"supervisor","allowControl":true}]}`,
			want: func(r result) bool { return r.(client.Session).ID == "s1" },
		},
		{
			name: "Deployments", method: "GET", path: "/api/v2/cobrowse/deployments", status: 200, answer: fmt.Sprintf(page, `{"id":"d1","name":"Shop","maskSelectors":[".x"]}`),
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.Deployments(ctx, client.Paging{Number: 3})
			},
			sent: "GET /api/v2/cobrowse/deployments?pageNumber=3 Bearer t1",
			want: func(r result) bool { return r.(client.Page[client.Deployment]).Entities[0].MaskSelectors[0] == ".x" },
		},
		{
			name: "Deployment", method: "GET", path: "/api/v2/cobrowse/deployments/d1", status: 200, answer: `{"id":"d1","name":"Shop"}`,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return c.Deployment(ctx, "d1") },
			sent: "GET /api/v2/cobrowse/deployments/d1 Bearer t1",
			want: func(r result) bool { return r.(client.Deployment).Name == "Shop" },
		},
		{
			name: "CreateDeployment", method: "POST", path: "/api/v2/cobrowse/deployments", status: 201, answer: `{"id":"d1"}`,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.CreateDeployment(ctx, client.NewDeployment{Name: "Shop", AllowedOrigins: []string{"https://shop.example"}, PauseCriteria: []client.PauseCriterion{{URLFragment: "/pay", Condition: "Includes"}}})
			},
			sent: `POST /api/v2/cobrowse/deployments Bearer t1 {"name":"Shop","allowedOrigins":["https://shop.example"],"pauseCriteria":[{"urlFragment":"/pay","condition":"Includes"}],"allowAgentControl":false,"allowAgentNavigation":false,"allowAgentSubmit":false,"allowDraw":false}`,
			want: func(r result) bool { return r.(client.Deployment).ID == "d1" },
		},
		{
			name: "ReplaceDeployment", method: "PUT", path: "/api/v2/cobrowse/deployments/d1", status: 200, answer: `{"id":"d1"}`,
			do: func(ctx context.Context, c *client.Client) (result, error) {
				return c.ReplaceDeployment(ctx, "d1", client.NewDeployment{Name: "Shop", AllowedOrigins: []string{"https://shop.example"}, AllowDraw: true})
			},
			sent: `PUT /api/v2/cobrowse/deployments/d1 Bearer t1 {"name":"Shop","allowedOrigins":["https://shop.example"],"allowAgentControl":false,"allowAgentNavigation":false,"allowAgentSubmit":false,"allowDraw":true}`,
			want: func(r result) bool { return r.(client.Deployment).ID == "d1" },
		},
		{
			name: "DeleteDeployment", method: "DELETE", path: "/api/v2/cobrowse/deployments/d1", status: 204,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return nil, c.DeleteDeployment(ctx, "d1") },
			sent: "DELETE /api/v2/cobrowse/deployments/d1 Bearer t1",
		},
		{
			name: "TokenInfo", method: "GET", path: "/api/v2/tokens/me", status: 200, answer: `{"organization":{"id":"o1","name":"Org"},"homeOrganization":{"id":"o1"},"authorizedScope":["users"],"OAuthClient":{"id":"id","name":"C","authorizedGrantType":"CLIENT-CREDENTIALS","scope":["users"],"roleDivisions":[],"state":"active","organization":{"id":"o1"}}}`,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return c.TokenInfo(ctx) },
			sent: "GET /api/v2/tokens/me Bearer t1",
			want: func(r result) bool {
				i := r.(client.TokenInfo)
				return i.OAuthClient.State == "active" && i.Organization.Name == "Org"
			},
		},
		{
			name: "CheckToken", method: "HEAD", path: "/api/v2/tokens/me", status: 200,
			do:   func(ctx context.Context, c *client.Client) (result, error) { return nil, c.CheckToken(ctx) },
			sent: "HEAD /api/v2/tokens/me Bearer t1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, c := newService(t)
			s.withTokens().on(tt.method, tt.path, jsonAnswer(tt.status, tt.answer))
			got, err := tt.do(t.Context(), c)
			if err != nil {
				t.Fatalf("%s = %v", tt.name, err)
			}
			if diff := cmp.Diff([]string{"token id:secret grant_type=client_credentials", tt.sent}, s.seen); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if tt.want != nil && !tt.want(got) {
				t.Errorf("%s = %+v, which is not what was answered", tt.name, got)
			}
		})
	}
}

// These calls need no access token and must not send one.
func TestOpenCalls(t *testing.T) {
	t.Parallel()
	s, c := newService(t)
	s.on("POST", "/api/v2/cobrowse/join", jsonAnswer(200, `{"sessionId":"s1","participantId":"u1","role":"agent","cobrowseRole":"viewer","state":"idle","streamUri":"/gw/api/v2/cobrowse/sessions/s1/stream"}`, "Set-Cookie", "cobridge_resume_u1=x; Path=/; HttpOnly"))
	s.on("POST", "/api/v2/cobrowse/deployments/d1/sessions", func(r *http.Request) (*http.Response, error) {
		if got := r.Header.Get("Origin"); got != "https://shop.example" {
			t.Errorf("Origin = %q, want https://shop.example", got)
		}
		return jsonAnswer(201, `{"id":"s2","sessionToken":"123456789","token":"a.b.c"}`)(r)
	})
	s.on("GET", "/api/v2/cobrowse/deployments/d1/settings", func(r *http.Request) (*http.Response, error) {
		if got := r.Header.Get("Origin"); got != "https://shop.example" {
			t.Errorf("Origin = %q, want https://shop.example", got)
		}
		return jsonAnswer(200, `{"id":"d1","rules":{"textMode":"private"},"consent":{"version":"v1","sharing":"Darf ich?"},"texts":{"stop":"Beenden"}}`)(r)
	})
	joined, err := c.RedeemJoinToken(t.Context(), "a.b.c", "tab")
	if err != nil || joined.CobrowseRole != "viewer" || len(joined.Cookies) != 1 || joined.Cookies[0].Value != "x" {
		t.Errorf("RedeemJoinToken = %+v, %v, want a viewer with one cookie", joined, err)
	}
	started, err := c.StartFromPage(t.Context(), "d1", "https://shop.example", "Kim")
	if err != nil || started.SessionToken != "123456789" {
		t.Errorf("StartFromPage = %+v, %v", started, err)
	}
	settings, err := c.ScriptSettings(t.Context(), "d1", "https://shop.example", "de")
	if err != nil || settings.Rules.TextMode != "private" || settings.Consent.Version != "v1" || settings.Texts["stop"] != "Beenden" {
		t.Errorf("ScriptSettings = %+v, %v", settings, err)
	}
	want := []string{
		`POST /api/v2/cobrowse/join  {"tab":"tab","token":"a.b.c"}`, `POST /api/v2/cobrowse/deployments/d1/sessions  {"customerName":"Kim"}`,
		"GET /api/v2/cobrowse/deployments/d1/settings?lang=de",
	}
	if diff := cmp.Diff(want, s.seen); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestPagesOfSessions(t *testing.T) {
	t.Parallel()
	s, c := newService(t)
	s.withTokens().on("GET", "/api/v2/cobrowse/sessions",
		jsonAnswer(200, `{"entities":[{"id":"s1"},{"id":"s2"}],"nextUri":"/api/v2/cobrowse/sessions?pageNumber=2"}`),
		jsonAnswer(200, `{"entities":[{"id":"s3"}]}`))
	var got []string
	for session, err := range c.AllSessions(t.Context(), client.SessionQuery{State: "any", Paging: client.Paging{Size: 2}}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, session.ID)
	}
	if want := []string{"s1", "s2", "s3"}; !slices.Equal(got, want) {
		t.Errorf("sessions = %q, want %q", got, want)
	}
	if want := "GET /api/v2/cobrowse/sessions?pageNumber=2&pageSize=2&state=any Bearer t1"; s.seen[2] != want {
		t.Errorf("second page = %q, want %q", s.seen[2], want)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s, c := newService(t)
	s.withTokens().on("GET", "/api/v2/cobrowse/history",
		jsonAnswer(200, `{"entities":[{"id":"s1"},{"id":"s2"}],"nextUri":"/api/v2/cobrowse/history?after=x%3D1&pageSize=2"}`),
		jsonAnswer(200, `{"entities":[{"id":"s3"}]}`))
	from := time.Date(2026, time.March, 4, 6, 0, 0, 0, time.FixedZone("", 3600))
	var got []string
	for record, err := range c.History(t.Context(), client.HistoryQuery{ConversationID: "c1", From: from, PageSize: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, record.ID)
	}
	if want := []string{"s1", "s2", "s3"}; !slices.Equal(got, want) {
		t.Errorf("records = %q, want %q", got, want)
	}
	want := []string{
		"GET /api/v2/cobrowse/history?conversationId=c1&from=2026-03-04T05%3A00%3A00.000Z&pageSize=2 Bearer t1",
		"GET /api/v2/cobrowse/history?after=x%3D1&conversationId=c1&from=2026-03-04T05%3A00%3A00.000Z&pageSize=2 Bearer t1",
	}
	if diff := cmp.Diff(want, s.seen[1:]); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// A cursor that does not move must not be followed for ever; a break stops reading.
func TestHistoryEnds(t *testing.T) {
	t.Parallel()
	s, c := newService(t)
	s.withTokens().on("GET", "/api/v2/cobrowse/history", jsonAnswer(200, `{"entities":[{"id":"s1"}],"nextUri":"/api/v2/cobrowse/history?after=1"}`))
	var failure error
	n := 0
	for _, err := range c.History(t.Context(), client.HistoryQuery{}) {
		if n++; err != nil {
			failure = err
		}
	}
	if n != 3 || failure == nil {
		t.Errorf("History yielded %d times and %v, want two records and a failure", n, failure)
	}
	before := len(s.seen)
	for _, err := range c.History(t.Context(), client.HistoryQuery{}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if got := len(s.seen) - before; got != 1 {
		t.Errorf("after a break %d requests, want 1", got)
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	s, c := newService(t)
	s.withTokens().on("POST", "/api/v2/cobrowse/sessions", jsonAnswer(409, `{"message":"A cobrowse session is already active for this conversation.","code":"request.conflict","status":409,"contextId":"ctx","messageParams":{"conversationId":"c1"},"details":[{"errorCode":"cobrowse.session.active","fieldName":"conversationId","entityId":"s1","entityName":"cobrowseSession"}],"errors":[],"id":"s1","sessionId":"s1"}`))
	_, err := c.CreateSession(t.Context(), client.NewSession{ConversationID: "c1"})
	got, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Fatalf("CreateSession = %v, want *client.Error", err)
	}
	want := &client.Error{
		Status: 409, Code: "request.conflict", Message: "A cobrowse session is already active for this conversation.", ContextID: "ctx", SessionID: "s1",
		Params: map[string]string{"conversationId": "c1"}, Details: []client.Detail{{ErrorCode: "cobrowse.session.active", FieldName: "conversationId", EntityID: "s1", EntityName: "cobrowseSession"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if got, want := err.Error(), "409 Conflict (request.conflict): A cobrowse session is already active for this conversation. [conversationId: cobrowse.session.active] (request ctx)"; got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
	if client.StatusOf(err) != 409 || client.StatusOf(io.EOF) != 0 {
		t.Errorf("StatusOf = %d, %d, want 409, 0", client.StatusOf(err), client.StatusOf(io.EOF))
	}
}

// What is not the envelope, as from a proxy, is an error too, and its text is not shown.
func TestForeignAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]httpmock.Responder{
		"a page":         jsonAnswer(502, "<html>secret</html>", "ININ-Correlation-Id", "ctx"),
		"a redirect":     jsonAnswer(302, "", "Location", "https://elsewhere.example/"),
		"not JSON":       jsonAnswer(200, "<html>secret</html>"),
		"a wrong type":   jsonAnswer(200, `{"id":7}`),
		"an empty 404":   jsonAnswer(404, ""),
		"a huge answer":  jsonAnswer(200, `{"id":"`+strings.Repeat("x", 17<<20)+`"}`),
		"a broken lease": func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := newService(t)
			s.withTokens().on("GET", "/api/v2/users/u1", answer)
			_, err := c.User(t.Context(), "u1")
			if err == nil || strings.Contains(err.Error(), "secret") || len(err.Error()) > 300 {
				t.Errorf("User = %.400v, want a short error without the answer's text", err)
			}
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "cobridge.example", "ftp://cobridge.example", "https://cobridge.example?x", "https://", "https://a b"} {
		if _, err := client.New(client.Options{BaseURL: text}); err == nil {
			t.Errorf("New(%q) = nil, want an error", text)
		}
	}
	if _, err := client.New(client.Options{BaseURL: "http://127.0.0.1:8080"}); err != nil {
		t.Errorf("New = %v", err)
	}
}

// The types have every member that the service answers with: what its own tests
// have recorded reads, and writes, as the same.
func TestTypesHaveEveryMember(t *testing.T) {
	t.Parallel()
	for name, into := range map[string]any{
		"session-controlled": new(client.Session), "record-controlled": new(client.HistoryRecord), "deployment-full": new(client.Deployment),
		"script-settings": new(client.ScriptSettings), "history-link": new(client.HistoryLink), "started": new(client.StartedSession),
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "bridge", "api", "testdata", name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte(".000Z"), []byte("Z")) // Go writes no zeros there
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(into); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := json.Marshal(into)
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := errors.Join(json.Unmarshal(again, &got), json.Unmarshal(text, &want)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, answered (-) and encoded again (+):\n%s", name, diff)
		}
	}
}

// What is encoded reads as the same thing again; times are left out when zero.
func TestWireRoundTrip(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(client.HistoryRecord{Session: client.Session{ID: "s1"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dateEnded", "dateActivated", "inactivityTimeout", "createdBy"} {
		if strings.Contains(string(text), name) {
			t.Errorf("%s has %s, which is zero", text, name)
		}
	}
}
