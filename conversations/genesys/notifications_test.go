package genesys_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/conversations/genesys"
)

const topic = "v2.users." + string(ann) + ".conversations"

// stage is a cloud with notifications, and a directory that watches a conversation
// there, by polls that nobody lives to see.
type stage struct {
	*cloud

	t          *testing.T
	directory  *genesys.Directory
	connected  chan *websocket.Conn // each socket that was opened
	subscribed chan []string        // each list of topics
	ended      chan conversations.ID
	looks      chan struct{} // one for each look at the conversation; nobody has to read them

	mu    sync.Mutex
	state string // of the conversation
	agent conversations.UserID
	uri   func(base string) string // where sockets are
}

func newStage(t *testing.T, change ...func(*stage, *genesys.Config)) *stage {
	t.Helper()
	s := &stage{
		cloud: newCloud(t), t: t, connected: make(chan *websocket.Conn, 10), subscribed: make(chan []string, 10), ended: make(chan conversations.ID, 10),
		looks: make(chan struct{}, 1000), state: "connected", agent: ann, uri: func(base string) string { return base + "/channels/ch1" },
	}
	s.mux.HandleFunc("GET /api/v2/conversations/{id}", func(w http.ResponseWriter, r *http.Request) {
		text(s.conversation())(w, r)
		s.looks <- struct{}{}
	})
	s.mux.HandleFunc("POST /api/v2/notifications/channels", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		answer(w, map[string]any{"id": "ch1", "connectUri": s.uri(strings.Replace(s.url, "http:", "ws:", 1)), "expires": "2026-03-05T05:06:07.000Z"})
	})
	s.mux.HandleFunc("PUT /api/v2/notifications/channels/ch1/subscriptions", func(w http.ResponseWriter, r *http.Request) {
		var list []struct {
			ID string `json:"id"`
		}
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			t.Errorf("subscriptions: %v", err)
		}
		topics := make([]string, len(list))
		for i := range list {
			topics[i] = list[i].ID
		}
		answer(w, map[string]any{"entities": []any{}})
		s.subscribed <- topics
	})
	var sockets http.ServeMux
	sockets.HandleFunc("/channels/ch1", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the access token was sent with the socket")
		}
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		s.connected <- conn
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				_ = conn.Close()
				return
			}
		}
	})
	s.sockets = &sockets
	s.directory = s.cloud.directory(func(cfg *genesys.Config) {
		cfg.Poll = time.Hour
		cfg.Live = func(context.Context) ([]conversations.ID, error) { return []conversations.ID{talk}, nil }
		for _, fn := range change {
			fn(s, cfg)
		}
	})
	s.directory.OnEnd(func(_ context.Context, _ conversations.OrgID, id conversations.ID) { s.ended <- id })
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.directory.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

func (s *stage) conversation() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(conversation(talk, s.state), string(ann), string(s.agent))
}

func (s *stage) set(state string, agent conversations.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.agent = state, agent
}

// wait returns what comes, within the time that nothing here takes.
func wait[V any](t *testing.T, what string, c <-chan V) V {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

func (s *stage) send(conn *websocket.Conn, frame string) {
	s.t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		s.t.Errorf("send: %v", err)
	}
}

func event(topic, body string) string {
	return `{"topicName":"` + topic + `","version":"2","eventBody":` + body + `,"metadata":{"CorrelationId":"x"}}`
}

// ready waits until the channel tells of the conversation: the first look, the
// subscription, and the look after it.
func (s *stage) ready() *websocket.Conn {
	s.t.Helper()
	conn := wait(s.t, "socket", s.connected)
	if got := wait(s.t, "subscription", s.subscribed); !slices.Equal(got, []string{topic}) {
		s.t.Errorf("subscribed to %q, want %q", got, topic)
	}
	wait(s.t, "first look", s.looks)
	wait(s.t, "look after the subscription", s.looks)
	return conn
}

// A conversation's end is known as soon as the service tells of it.
func TestNotifiedOfEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	conn := s.ready()
	// What is not about it, or cannot be understood, changes nothing.
	for _, frame := range []string{
		`{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}`, "no json", "[]", "null", `{"topicName":7}`,
		event(topic, `{"id":7}`), event(topic, "null"), event("v2.users.x.presence", `{}`),
		event(topic, conversation(talk2, "disconnected")),
	} {
		s.send(conn, frame)
	}
	s.set("disconnected", ann)
	s.send(conn, event(topic, s.conversation()))
	if got := wait(t, "end", s.ended); got != talk {
		t.Errorf("%s has ended, want %s", got, talk)
	}
}

// A word about an end that the API does not confirm ends nothing.
func TestNotificationIsConfirmed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	conn := s.ready()
	s.send(conn, event(topic, conversation(talk, "disconnected")))
	wait(t, "look", s.looks)
	if err := s.directory.Poll(t.Context()); err != nil { // which looks again, since something is odd
		t.Errorf("Poll: %v", err)
	}
	wait(t, "look of the poll", s.looks)
	select {
	case id := <-s.ended:
		t.Errorf("%s has ended", id)
	default:
	}
}

// Conversations that are told of are polled seldom; without the channel, each time.
func TestNotificationsSavePolls(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	conn := s.ready()
	polls := func(n int) int {
		t.Helper()
		before := s.calls.Load()
		for range n {
			if err := s.directory.Poll(t.Context()); err != nil {
				t.Errorf("Poll: %v", err)
			}
			s.clock.Advance(time.Hour)
		}
		return int(s.calls.Load() - before)
	}
	// The look after the subscription is counted when its answer has been read.
	for deadline := time.Now().Add(20 * time.Second); polls(1) != 0; {
		if time.Now().After(deadline) {
			t.Fatal("each poll looks at a conversation that is told of")
		}
	}
	s.lives(48 * time.Hour)
	if got := polls(9); got > 1 {
		t.Errorf("%d looks in nine polls, want one at most", got)
	}
	_ = conn.Close()
	next := wait(t, "new socket", s.connected)
	wait(t, "new subscription", s.subscribed)
	_ = next
}

// When somebody else takes over, the channel follows.
func TestTopicsFollowTheConversation(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	conn := s.ready()
	s.set("connected", nthUser(5))
	s.send(conn, event(topic, s.conversation()))
	if got, want := wait(t, "new subscription", s.subscribed), "v2.users."+string(nthUser(5))+".conversations"; !slices.Equal(got, []string{want}) {
		t.Errorf("subscribed to %q, want %q", got, want)
	}
}

// A channel that ends, by a word or without one, is replaced, and what happened in
// between is noticed.
func TestChannelIsReplaced(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*stage, *websocket.Conn){
		"announced": func(s *stage, conn *websocket.Conn) {
			s.send(conn, `{"topicName":"v2.system.socket_closing","eventBody":{"message":"closing"}}`)
		},
		"cut": func(_ *stage, conn *websocket.Conn) { _ = conn.Close() },
		"a frame without end": func(s *stage, conn *websocket.Conn) {
			_ = conn.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", 2<<20)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			conn := s.ready()
			s.set("disconnected", ann)
			end(s, conn)
			wait(t, "new socket", s.connected)
			wait(t, "new subscription", s.subscribed)
			if got := wait(t, "end", s.ended); got != talk {
				t.Errorf("%s has ended, want %s", got, talk)
			}
		})
	}
}

// Nobody connects to where a channel should not be.
func TestChannelElsewhere(t *testing.T) {
	t.Parallel()
	for name, uri := range map[string]string{
		"another host": "ws://127.0.0.1:1/channels/ch1", "a page": "https://api.cloud.example/channels", "nothing": "", "credentials": "ws://u:p@127.0.0.1/x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, func(s *stage, _ *genesys.Config) { s.uri = func(string) string { return uri } })
			wait(t, "look", s.looks)
			for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.log.String(), "state=none"); {
				if time.Now().After(deadline) {
					t.Fatal("the log does not say that there are no notifications")
				}
				wait(t, "tick", time.After(time.Millisecond))
			}
			s.set("disconnected", ann)
			if err := s.directory.Poll(t.Context()); err != nil {
				t.Errorf("Poll: %v", err)
			}
			wait(t, "end, by the poll", s.ended)
		})
	}
}
