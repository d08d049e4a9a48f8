package bridge_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/bridge/config"
)

const closing = "v2.system.socket_closing"

// told is one notification.
type told struct {
	TopicName string `json:"topicName"`
	Version   string `json:"version"`
	EventBody struct {
		ID           string `json:"id"`
		State        string `json:"state"`
		EndTime      string `json:"endTime"`
		Message      string `json:"message"`
		Participants []struct {
			ID                string            `json:"id"`
			Purpose           string            `json:"purpose"`
			State             string            `json:"state"`
			UserID            string            `json:"userId"`
			Attributes        map[string]string `json:"attributes"`
			CobrowseSessionID string            `json:"cobrowseSessionId"`
			CobrowseRole      string            `json:"cobrowseRole"`
			Queue             *struct {
				ID string `json:"id"`
			} `json:"queue"`
			User *struct {
				ID string `json:"id"`
			} `json:"user"`
			CobrowseSessions []struct {
				State             string `json:"state"`
				CobrowseSessionID string `json:"cobrowseSessionId"`
			} `json:"cobrowsesessions"`
		} `json:"participants"`
	} `json:"eventBody"`
	Metadata struct {
		CorrelationID string `json:"CorrelationId"`
	} `json:"metadata"`
}

// desk is a client of a demo that listens.
type desk struct {
	house               *house
	token, channel, uri string
	conn                *websocket.Conn
	raw                 []byte // the latest frame
}

func (d *desk) call(t *testing.T, method, path, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.house.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("ININ-Correlation-Id", "of-"+method)
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	} else {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := d.house.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s = %d", method, path, resp.StatusCode)
	}
	if into != nil {
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

// grant gets the demo client's token.
func (d *desk) grant(t *testing.T) {
	t.Helper()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	d.call(t, http.MethodPost, "/oauth/token", "grant_type=client_credentials&client_id="+config.DemoClientID+"&client_secret="+config.DemoClientSecret, &token)
	d.token = token.AccessToken
}

// connect (again) listens to the channel.
func (d *desk) connect(t *testing.T) {
	t.Helper()
	conn, resp, err := (&websocket.Dialer{HandshakeTimeout: 20 * time.Second}).DialContext(t.Context(), d.uri, nil)
	if err != nil {
		t.Fatalf("connect to the channel: %v", err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	d.conn = conn
	if got := d.next(t); got.EventBody.Message != "WebSocket Heartbeat" {
		t.Errorf("the first frame is %+v, want a heartbeat", got)
	}
}

func (d *desk) next(t *testing.T) told {
	t.Helper()
	_, data, err := d.conn.ReadMessage()
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	d.raw = data
	var got told
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("read %s: %v", data, err)
	}
	return got
}

// until reads frames of the topic until one is as wanted.
func (d *desk) until(t *testing.T, what, topic string, wanted func(told) bool) told {
	t.Helper()
	for {
		got := d.next(t)
		if bytes.Contains(d.raw, []byte("join?token=")) || bytes.Contains(d.raw, []byte("viewerUrl")) || bytes.Contains(d.raw, []byte("joinUrl")) {
			t.Fatalf("a notification lets in: %s", d.raw)
		}
		if got.TopicName == topic && wanted(got) {
			if topic != closing && (got.Version != "2" || got.Metadata.CorrelationID == "") {
				t.Errorf("%s: version %q, correlation id %q", what, got.Version, got.Metadata.CorrelationID)
			}
			return got
		}
	}
}

// A desk is told of a conversation and of its session, from the beginning to the end,
// over a stop of the service; nobody else's matters reach it.
func TestNotifications(t *testing.T) {
	t.Parallel()
	store := filepath.Join(t.TempDir(), "store.db")
	h := serve(t, store, io.Discard)
	d := &desk{house: h}
	d.grant(t)
	var channel struct{ ID, ConnectURI string }
	d.call(t, http.MethodPost, "/api/v2/notifications/channels", "", &channel)
	d.channel, d.uri = channel.ID, channel.ConnectURI
	d.connect(t)
	agent, supervisor := config.DemoAgentID, config.DemoSupervisorID
	all, calls := "v2.users."+agent+".conversations", "v2.users."+agent+".conversations.calls"
	sessions, supervised := "v2.users."+agent+".conversations.cobrowseSessions", "v2.users."+supervisor+".conversations.cobrowseSessions"
	queue := "v2.routing.queues.q-1.conversations"
	topics := "[]"
	for _, topic := range []string{all, calls, sessions, supervised, queue} {
		topics = strings.TrimSuffix(topics, "]") + `,{"id":"` + topic + `"}]`
	}
	d.call(t, http.MethodPut, "/api/v2/notifications/channels/"+d.channel+"/subscriptions", strings.Replace(topics, "[,", "[", 1), nil)

	// A conversation begins,
	var conv struct {
		ID           string
		Participants []struct{ ID, Purpose string }
	}
	d.call(t, http.MethodPost, "/api/v2/conversations", `{"mediaType":"call","participants":[{"purpose":"customer","name":"Kim"},{"purpose":"agent","userId":"`+agent+`","queueId":"q-1"}]}`, &conv)
	of := func(id string) func(told) bool {
		return func(n told) bool { return n.EventBody.ID == id }
	}
	got := d.until(t, "begins, in one medium", calls, of(conv.ID))
	if p := got.EventBody.Participants; len(p) != 2 || p[1].State != "connected" || p[1].User == nil || p[1].User.ID != agent || p[1].Queue == nil || p[1].Queue.ID != "q-1" {
		t.Errorf("the call is told as %+v", p)
	}
	if got.Metadata.CorrelationID != "of-POST" {
		t.Errorf("the correlation id is %q, want the request's", got.Metadata.CorrelationID)
	}
	got = d.until(t, "begins", all, of(conv.ID))
	if got.EventBody.State != "active" || got.EventBody.Participants[1].UserID != agent {
		t.Errorf("the conversation is told as %+v", got.EventBody)
	}
	d.until(t, "begins, in its queue", queue, of(conv.ID))

	// has attributes,
	d.call(t, http.MethodPatch, "/api/v2/conversations/"+conv.ID+"/participants/"+conv.Participants[0].ID+"/attributes", `{"attributes":{"order":"17"}}`, nil)
	d.until(t, "changes", all, func(n told) bool {
		return n.EventBody.ID == conv.ID && n.EventBody.Participants[0].Attributes["order"] == "17"
	})

	// a session,
	var session struct{ ID string }
	d.call(t, http.MethodPost, "/api/v2/cobrowse/sessions", `{"conversationId":"`+conv.ID+`","participants":[{"userId":"`+agent+`","role":"agent"},{"userId":"`+supervisor+`","role":"supervisor"}]}`, &session)
	for _, topic := range []string{sessions, supervised} {
		got = d.until(t, "a session", topic, of(conv.ID))
		p := got.EventBody.Participants
		if len(p) != 2 || p[0].CobrowseSessionID != session.ID || p[0].CobrowseRole != "sharer" || p[1].CobrowseRole != "viewer" {
			t.Errorf("%s tells of the session as %+v", topic, p)
		}
	}
	with := func(id, state string) func(told) bool {
		return func(n told) bool {
			p := n.EventBody.Participants
			return n.EventBody.ID == id && len(p) == 2 && slices.ContainsFunc(p[1].CobrowseSessions, func(c struct {
				State             string `json:"state"`
				CobrowseSessionID string `json:"cobrowseSessionId"`
			},
			) bool {
				return c.CobrowseSessionID == session.ID && strings.HasPrefix(c.State, state)
			})
		}
	}
	d.until(t, "a session in its conversation", all, with(conv.ID, ""))

	// The service stops and says so; the topics are there when it is back.
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	d.until(t, "stops", closing, func(n told) bool { return n.EventBody.Message != "" })
	for {
		if _, _, err := d.conn.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Errorf("the connection ended with %v, want 1001", err)
			}
			break
		}
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	d.house = serve(t, store, io.Discard)
	d.token = "" // of another issuer: the service has another address
	d.grant(t)
	d.uri = strings.Replace(d.uri, h.base[len("http"):], d.house.base[len("http"):], 1)
	d.connect(t)

	// It ends, and its session with it.
	d.call(t, http.MethodPost, "/api/v2/conversations/"+conv.ID+"/disconnect", "", nil)
	d.until(t, "the session ends", sessions, func(n told) bool {
		return n.EventBody.ID == conv.ID && n.EventBody.Participants[0].State == "disconnected"
	})
	d.until(t, "ends", all, func(n told) bool {
		return with(conv.ID, "disconnected")(n) && n.EventBody.State == "disconnected" && n.EventBody.EndTime != ""
	})
	// The token dies, and with it the channel. At its new address the service would not
	// take it for one of its own, but a client's tokens can be ended at once.
	if err := d.house.app.OAuth().KillTokens(t.Context(), config.DemoClientID); err != nil {
		t.Fatalf("end the client's tokens: %v", err)
	}
	for {
		if _, _, err := d.conn.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, 4401) {
				t.Errorf("after its token's death the connection ended with %v, want 4401", err)
			}
			return
		}
	}
}
