package bayeux_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/bayeux"
)

// Single requests and what they are answered with. CLIENT stands for a client
// that has just made its handshake.
func TestAnswers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, tt := range []struct {
		name, send string
		want       []string
	}{
		{
			"a single object instead of an array", `{"id":"7","channel":"/service/test/silent","clientId":"CLIENT"}`,
			[]string{"/service/test/silent 7 ok"},
		},
		{
			"the first connect is answered at once", `[{"id":"2","channel":"/meta/connect","connectionType":"long-polling","clientId":"CLIENT","advice":{"timeout":0}}]`,
			[]string{"/meta/connect 2 ok"},
		},
		{
			"acknowledgement, then the answer with the request's id", `[{"id":"5","channel":"/service/test/echo","clientId":"CLIENT","data":{"a":1}}]`,
			[]string{"/service/test/echo 5 ok", `/service/test/echo 5 event {"a":1}`},
		},
		{
			"a call without an id", `[{"channel":"/service/test/echo","clientId":"CLIENT","data":{"a":1}}]`,
			[]string{"/service/test/echo ok", `/service/test/echo event {"a":1}`},
		},
		{
			"a refusal is a negative acknowledgement and no event", `[{"id":"5","channel":"/service/test/refuse","clientId":"CLIENT","data":{}}]`,
			[]string{"/service/test/refuse 5 404"},
		},
		{
			"another failure", `[{"id":"5","channel":"/service/test/fail","clientId":"CLIENT","data":{}}]`,
			[]string{"/service/test/fail 5 500"},
		},
		{
			"a channel without an answer", `[{"id":"5","channel":"/service/nobody","clientId":"CLIENT","data":{}}]`,
			[]string{"/service/nobody 5 404"},
		},
		{
			"answers of a batch in its order", `[{"id":"5","channel":"/service/test/echo","clientId":"CLIENT","data":1},{"id":"6","channel":"/service/test/refuse","clientId":"CLIENT"},{"id":"7","channel":"/service/test/echo","clientId":"CLIENT","data":2}]`,
			[]string{"/service/test/echo 5 ok", "/service/test/echo 5 event 1", "/service/test/refuse 6 404", "/service/test/echo 7 ok", "/service/test/echo 7 event 2"},
		},
		{
			"a connect in a batch does not wait", `[{"id":"5","channel":"/meta/connect","clientId":"CLIENT"},{"id":"6","channel":"/service/test/silent","clientId":"CLIENT"}]`,
			[]string{"/meta/connect 5 ok", "/service/test/silent 6 ok"},
		},
		{
			"subscription to a service channel succeeds", `[{"id":"5","channel":"/meta/subscribe","subscription":"/service/test/joined","clientId":"CLIENT"}]`,
			[]string{"/meta/subscribe 5 ok"},
		},
		{
			"several subscriptions at once", `[{"id":"5","channel":"/meta/subscribe","subscription":["/news","/news/*","/news/**","/**"],"clientId":"CLIENT"}]`,
			[]string{"/meta/subscribe 5 ok"},
		},
		{
			"the end of a subscription that never was", `[{"id":"5","channel":"/meta/unsubscribe","subscription":"/news","clientId":"CLIENT"}]`,
			[]string{"/meta/unsubscribe 5 ok"},
		},
		{
			"no subscription to channels of the protocol", `[{"id":"5","channel":"/meta/subscribe","subscription":"/meta/connect","clientId":"CLIENT"}]`,
			[]string{"/meta/subscribe 5 403"},
		},
		{
			"a subscription that is none", `[{"id":"5","channel":"/meta/subscribe","subscription":{"a":1},"clientId":"CLIENT"}]`,
			[]string{"/meta/subscribe 5 400"},
		},
		{
			"publishing is refused where the application does not want it", `[{"id":"5","channel":"/news","clientId":"CLIENT","data":{}}]`,
			[]string{"/news 5 403"},
		},
		{
			"nobody publishes on several channels", `[{"id":"5","channel":"/news/**","clientId":"CLIENT","data":{}}]`,
			[]string{"/news/** 5 403"},
		},
		{
			"an unknown channel of the protocol", `[{"id":"5","channel":"/meta/teapot","clientId":"CLIENT"}]`,
			[]string{"/meta/teapot 5 404"},
		},
		{
			"no channel", `[{"id":"5","clientId":"CLIENT","data":{}}]`,
			[]string{"5 400"},
		},
		{
			"members of wrong types are as good as missing", `[{"id":{"a":1},"channel":7,"clientId":["CLIENT"],"advice":7,"ext":"x"}]`,
			[]string{"400"},
		},
		{
			"disconnect", `[{"id":"9","channel":"/meta/disconnect","clientId":"CLIENT"}]`,
			[]string{"/meta/disconnect 9 ok"},
		},
		{
			"after the disconnect the client is unknown", `[{"id":"9","channel":"/meta/disconnect","clientId":"CLIENT"},{"id":"10","channel":"/service/test/echo","clientId":"CLIENT","data":{}}]`,
			[]string{"/meta/disconnect 9 ok", "/service/test/echo 10 402 handshake"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id := h.enter(t)
			got := h.ask(t, strings.ReplaceAll(tt.send, "CLIENT", id))
			if diff := cmp.Diff(tt.want, shape(got)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, id := range []string{
		"", `"clientId":"nobody",`, `"clientId":null,`, `"clientId":7,`, `"clientId":{"$gt":""},`, `"clientId":["a"],`,
		`"clientId":"` + strings.Repeat("A", 60_000) + `",`, `"clientId":"../../etc/passwd",`, `"clientId":"\u0000",`, `"clientId":"' OR 1=1 --",`,
	} {
		for _, channel := range []string{"/meta/connect", "/meta/subscribe", "/meta/unsubscribe", "/meta/disconnect", "/meta/teapot", "/service/test/echo", "/service/nobody", "/news"} {
			got := h.ask(t, `[{`+id+`"id":"5","channel":"`+channel+`","subscription":"/news","data":{}}]`)
			want := []map[string]any{{
				"id": "5", "channel": channel, "successful": false, "error": "402::Unknown client",
				"advice": map[string]any{"reconnect": "handshake", "interval": 0.0, "timeout": 30000.0, "maxInterval": 15000.0},
			}}
			if diff := cmp.Diff(want, []map[string]any(got)); diff != "" {
				t.Errorf("%.40s on %s (-want +got):\n%s", id, channel, diff)
			}
		}
	}
	if clients, networks, _, _, _ := h.Sizes(); clients != 0 || networks != 0 {
		t.Errorf("%d clients and %d networks are remembered", clients, networks)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	advice := func(reconnect string, interval float64) map[string]any {
		return map[string]any{"reconnect": reconnect, "interval": interval, "timeout": 30000.0, "maxInterval": 15000.0}
	}
	for _, tt := range []struct {
		name, send string
		change     func(*bayeux.Config)
		want       map[string]any
	}{
		{
			"as documented", handshakeText(`,"advice":{"timeout":60000,"interval":0}`), nil,
			map[string]any{
				"successful": true, "clientId": "*", "advice": advice("retry", 0),
				"supportedConnectionTypes": []any{"websocket", "long-polling"},
			},
		},
		{
			"only what is switched on is named", handshakeText(""),
			func(cfg *bayeux.Config) { cfg.Transports = []bayeux.Transport{bayeux.LongPolling} },
			map[string]any{"successful": true, "clientId": "*", "advice": advice("retry", 0), "supportedConnectionTypes": []any{"long-polling"}},
		},
		{
			"the ack extension", handshakeText(`,"ext":{"ack":true}`), nil,
			map[string]any{
				"successful": true, "clientId": "*", "advice": advice("retry", 0), "ext": map[string]any{"ack": map[string]any{"enabled": true}},
				"supportedConnectionTypes": []any{"websocket", "long-polling"},
			},
		},
		{
			"nothing in common", `[{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["iframe"]}]`, nil,
			map[string]any{
				"successful": false, "error": "400::None of the connection types is supported", "advice": advice("none", 0),
				"supportedConnectionTypes": []any{"websocket", "long-polling"},
			},
		},
		{
			"no connection types at all", `[{"id":"1","channel":"/meta/handshake","version":"1.0"}]`, nil,
			map[string]any{
				"successful": false, "error": "400::None of the connection types is supported", "advice": advice("none", 0),
				"supportedConnectionTypes": []any{"websocket", "long-polling"},
			},
		},
		{
			"a later protocol", `[{"id":"1","channel":"/meta/handshake","version":"2.0","minimumVersion":"2.0","supportedConnectionTypes":["long-polling"]}]`, nil,
			map[string]any{
				"successful": false, "error": "400::The version is not supported", "advice": advice("none", 0),
				"supportedConnectionTypes": []any{"websocket", "long-polling"},
			},
		},
		{
			"refused by the application", handshakeText(`,"ext":{"refuse":true}`), nil,
			map[string]any{
				"successful": false, "error": "403::Not today", "advice": advice("none", 0),
				"supportedConnectionTypes": []any{"websocket", "long-polling"},
			},
		},
		{
			"the server is full", handshakeText(""), func(cfg *bayeux.Config) { cfg.Limits.Clients = 1 },
			map[string]any{
				"successful": false, "error": "503::Too many clients", "advice": advice("handshake", 2000),
				"supportedConnectionTypes": []any{"websocket", "long-polling"},
			},
		},
		{
			"the address has enough", handshakeText(""), func(cfg *bayeux.Config) { cfg.Limits.ClientsPerNetwork = 1 },
			map[string]any{
				"successful": false, "error": "503::Too many clients", "advice": advice("handshake", 2000),
				"supportedConnectionTypes": []any{"websocket", "long-polling"},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(cfg *bayeux.Config) {
				if tt.change != nil {
					tt.change(cfg)
				}
			})
			h.enter(t) // the place that the last two do not get
			got := h.ask(t, tt.send)[0]
			if id, _ := got["clientId"].(string); len(id) >= 26 {
				got["clientId"] = "*"
			}
			maps.Copy(tt.want, map[string]any{"id": "1", "channel": "/meta/handshake", "version": "1.0", "minimumVersion": "1.0"})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("handshake (-want +got):\n%s", diff)
			}
		})
	}
}

// Each of these is no envelope, or past a limit: an HTTP error, and the end of a
// WebSocket.
func TestBadEnvelopes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	many := "[" + strings.Repeat("{},", 9_999) + "{}]"
	for _, tt := range []struct {
		name, body string
		status     int
		code       int
	}{
		{"nothing", "", http.StatusBadRequest, 1002},
		{"an empty array", "[]", http.StatusBadRequest, 1002},
		{"no JSON", "<html>", http.StatusBadRequest, 1002},
		{"cut off", `[{"channel":"/meta/handshake"`, http.StatusBadRequest, 1002},
		{"more after the end", `{"channel":"/meta/connect"}{}`, http.StatusBadRequest, 1002},
		{"numbers", `[1,2]`, http.StatusBadRequest, 1002},
		{"null", `null`, http.StatusBadRequest, 1002},
		{"an array with null", `[null]`, http.StatusBadRequest, 1002},
		{"arrays in an array", `[[{"channel":"/meta/connect"}]]`, http.StatusBadRequest, 1002},
		{"a text", `"hello"`, http.StatusBadRequest, 1002},
		{"not UTF-8", "{\"channel\":\"\xff\"}", http.StatusBadRequest, 0}, // the library has closed by then
		{"too deep", `{"data":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, http.StatusBadRequest, 1002},
		{"10000 messages", many, http.StatusRequestEntityTooLarge, 1009},
		{"too large", `{"data":"` + strings.Repeat("a", 64<<10) + `"}`, http.StatusRequestEntityTooLarge, 1009},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if status, _, body := h.post(t, "", tt.body); status != tt.status {
				t.Errorf("POST: %d %s, want %d", status, body, tt.status)
			}
			if tt.code == 0 {
				return
			}
			w := h.dial(t)
			w.send(t, tt.body)
			if got := w.closed(t); got != tt.code {
				t.Errorf("WebSocket closed with %d, want %d", got, tt.code)
			}
		})
	}
}

// A client is the same at each address, and with and without a slash.
func TestAddresses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, path := range []string{"", "/", "/handshake", "/connect", "/disconnect", "/any/thing?x=1"} {
		status, head, body := h.post(t, path, "["+handshakeText("")+"]")
		if status != http.StatusOK || !strings.Contains(string(body), "clientId") {
			t.Errorf("handshake at %q: %d %s", path, status, body)
		}
		if got := head.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control = %q", got)
		}
	}
}

func TestBroadcast(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(cfg *bayeux.Config) {
		cfg.Limits.Subscriptions = 3
		cfg.OnPublish = func(_ context.Context, _ bayeux.Client, channel string, _ json.RawMessage) error {
			if channel == "/secret" {
				return &bayeux.Error{Code: 401, Text: "Not for you"}
			}
			return nil
		}
		cfg.OnSubscribe = func(_ context.Context, _ bayeux.Client, channel string) error {
			if channel == "/secret" {
				return &bayeux.Error{Code: 401, Text: "Not for you"}
			}
			return nil
		}
	})
	listen := func(channel string) string {
		id := h.enter(t)
		if got := h.ask(t, `{"id":"2","channel":"/meta/subscribe","subscription":"`+channel+`","clientId":"`+id+`"}`); got[0]["successful"] != true || got[0]["subscription"] != channel {
			t.Fatalf("subscribe = %v", got)
		}
		return id
	}
	exact, below, deep, all, other := listen("/news/sport"), listen("/news/*"), listen("/news/**"), listen("/**"), listen("/news/weather")
	got := h.ask(t, `{"id":"3","channel":"/news/sport","clientId":"`+exact+`","data":{"n":1}}`)
	if diff := cmp.Diff([]string{"/news/sport 3 ok", `/news/sport event {"n":1}`}, shape(got)); diff != "" {
		t.Errorf("the sender, who has subscribed (-want +got):\n%s", diff)
	}
	if err := h.Publish(t.Context(), "/news/sport/tennis", map[string]int{"n": 2}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, id string
		want     []string
	}{
		{"one channel", exact, nil},
		{"one level", below, []string{`/news/sport event {"n":1}`}},
		{"all levels", deep, []string{`/news/sport event {"n":1}`, `/news/sport/tennis event {"n":2}`}},
		{"everything", all, []string{`/news/sport event {"n":1}`, `/news/sport/tennis event {"n":2}`}},
		{"another channel", other, nil},
	} {
		got := h.ask(t, `{"id":"4","channel":"/meta/connect","clientId":"`+tt.id+`","advice":{"timeout":0}}`)
		if diff := cmp.Diff(append(tt.want, "/meta/connect 4 ok"), shape(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	got = h.ask(t, fmt.Sprintf(`[
		{"id":"5","channel":"/secret","clientId":%[1]q,"data":{}},
		{"id":"6","channel":"/meta/subscribe","subscription":"/secret","clientId":%[1]q},
		{"id":"7","channel":"/meta/subscribe","subscription":["/a","/b"],"clientId":%[1]q},
		{"id":"8","channel":"/meta/subscribe","subscription":"/c","clientId":%[1]q},
		{"id":"9","channel":"/meta/subscribe","subscription":"/a","clientId":%[1]q},
		{"id":"10","channel":"/meta/unsubscribe","subscription":"/a","clientId":%[1]q},
		{"id":"11","channel":"/meta/subscribe","subscription":"/c","clientId":%[1]q},
		{"id":"12","channel":"/news","clientId":%[1]q}]`, other))
	want := []string{
		"/secret 5 401", "/meta/subscribe 6 401", "/meta/subscribe 7 ok", "/meta/subscribe 8 403", "/meta/subscribe 9 ok",
		"/meta/unsubscribe 10 ok", "/meta/subscribe 11 ok", "/news 12 400",
	}
	if diff := cmp.Diff(want, shape(got)); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	for _, channel := range []string{"/service/test/echo", "/meta/connect", "/news/*", "news"} {
		if err := h.Publish(t.Context(), channel, 1); err == nil {
			t.Errorf("Publish on %s succeeds", channel)
		}
	}
	for _, id := range []string{exact, below, deep, all, other} {
		h.ask(t, `{"channel":"/meta/disconnect","clientId":"`+id+`"}`)
	}
	if clients, networks, subscriptions, _, _ := h.Sizes(); clients+networks+subscriptions != 0 {
		t.Errorf("%d clients, %d networks, %d subscriptions are left", clients, networks, subscriptions)
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(cfg *bayeux.Config) {
		cfg.OnGone = func(bayeux.Client, bayeux.Reason) { panic("a secret") }
		cfg.Advice.MaxInterval = 50 * time.Millisecond
	})
	w := h.dial(t)
	id := w.enter(t)
	w.send(t, `{"id":"2","channel":"/service/test/panic","clientId":"`+id+`","data":{"password":"swordfish"}}`)
	if diff := cmp.Diff([]string{"/service/test/panic 2 500"}, shape(w.receive(t, 1))); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	eventually(t, "the client is lost, and its end panics", func() bool { return h.Stats().Panics == 2 })
	for _, secret := range []string{"a secret", "swordfish", id} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log has %q in it:\n%s", secret, h.log)
		}
	}
}
