package bayeux_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/bayeux"
)

func (h *house) count(t testing.TB, id string, n int) {
	t.Helper()
	if err := h.Deliver(t.Context(), bayeux.ClientID(id), "/service/test/count", n); err != nil {
		t.Fatalf("Deliver: %v", err)
	}
}

func same(t testing.TB, what string, want []string, got messages) {
	t.Helper()
	if diff := cmp.Diff(want, shape(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Events come before the reply of the connect that brings them, and end its wait.
func TestLongPollEndsWithAnEvent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.enter(t)
	waiting := h.poll(t, id, "3")
	h.count(t, id, 1)
	same(t, "connect", []string{"/service/test/count event 1", "/meta/connect 3 ok"}, receive(t, "the answer", waiting))
	h.count(t, id, 2)
	h.count(t, id, 3)
	same(t, "the next connect", []string{"/service/test/count event 2", "/service/test/count event 3", "/meta/connect 4 ok"}, receive(t, "the answer", h.poll(t, id, "4")))
	// What waits may come with the answer to another message.
	h.count(t, id, 4)
	got := h.ask(t, `{"id":"5","channel":"/service/test/echo","clientId":"`+id+`","data":5}`)
	same(t, "a call", []string{"/service/test/echo 5 ok", "/service/test/count event 4", "/service/test/echo 5 event 5"}, got)
}

func TestHoldTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(cfg *bayeux.Config) { cfg.Advice.Timeout = 100 * time.Millisecond })
	id := h.enter(t)
	same(t, "over HTTP", []string{"/meta/connect 3 ok"}, receive(t, "the answer", h.poll(t, id, "3")))
	// A client may ask for less.
	h2 := newHouse(t)
	id2 := h2.enter(t)
	same(t, "a shorter wait", []string{"/meta/connect 3 ok"},
		receive(t, "the answer", h2.pollWith(t, `[{"id":"3","channel":"/meta/connect","clientId":"`+id2+`","advice":{"timeout":50}}]`)))
	w := h.dial(t)
	id = w.enter(t)
	w.send(t, `{"id":"3","channel":"/meta/connect","connectionType":"websocket","clientId":"`+id+`"}`)
	same(t, "over a WebSocket", []string{"/meta/connect 3 ok"}, w.receive(t, 1))
}

// A page that was loaded anew goes on with its client id: the newer connect counts.
func TestSecondConnect(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.enter(t)
	older := h.poll(t, id, "3")
	newer := h.poll(t, id, "4")
	same(t, "the older", []string{"/meta/connect 3 ok"}, receive(t, "the older", older))
	h.count(t, id, 1)
	same(t, "the newer", []string{"/service/test/count event 1", "/meta/connect 4 ok"}, receive(t, "the newer", newer))

	// Two tabs that push each other away are slowed down.
	third := h.poll(t, id, "5")
	fourth := h.poll(t, id, "6")
	got := receive(t, "the third", third)
	if advice, _ := got[0]["advice"].(map[string]any); advice["reconnect"] != "retry" || advice["interval"] != 2000.0 {
		t.Errorf("the third = %v, want the advice to wait", got)
	}

	// From long-polling to a WebSocket.
	w := h.dial(t)
	w.send(t, `{"id":"7","channel":"/meta/connect","clientId":"`+id+`"}`)
	receive(t, "the fourth", fourth)
	h.count(t, id, 2)
	same(t, "over the WebSocket", []string{"/service/test/count event 2"}, w.receive(t, 1))
	w.send(t, `{"id":"8","channel":"/meta/connect","clientId":"`+id+`"}`)
	same(t, "the older on the same WebSocket", []string{"/meta/connect 7 ok"}, w.receive(t, 1)[:1])
}

func TestWebSocketEventsComeAsTheyAre(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.dial(t)
	id := w.enter(t)
	h.count(t, id, 1) // waits for the first connect
	w.send(t, `[{"id":"2","channel":"/meta/connect","clientId":"`+id+`","advice":{"timeout":0}}]`)
	same(t, "the first connect", []string{"/service/test/count event 1", "/meta/connect 2 ok"}, w.receive(t, 2))
	w.send(t, `[{"id":"3","channel":"/meta/connect","clientId":"`+id+`"}]`)
	h.count(t, id, 2)
	same(t, "an event", []string{"/service/test/count event 2"}, w.receive(t, 1))
	w.send(t, `{"id":"4","channel":"/service/test/echo","clientId":"`+id+`","data":{}}`)
	same(t, "a call", []string{"/service/test/echo 4 ok", "/service/test/echo 4 event {}"}, w.receive(t, 2))
	w.send(t, `{"id":"5","channel":"/meta/disconnect","clientId":"`+id+`"}`)
	same(t, "goodbye", []string{"/meta/connect 3 ok none", "/meta/disconnect 5 ok"}, w.receive(t, 2))
	if got := receive(t, "OnGone", h.gone); string(got.client.ID) != id || got.reason != bayeux.Disconnected {
		t.Errorf("gone: %v", got)
	}
	// A client that does not close is closed.
	if code := w.closed(t); code != 1000 {
		t.Errorf("closed with %d, want 1000", code)
	}
}

func TestDisconnectEndsTheLongPoll(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.enter(t)
	waiting := h.poll(t, id, "3")
	same(t, "disconnect", []string{"/meta/disconnect 4 ok"}, h.ask(t, `{"id":"4","channel":"/meta/disconnect","clientId":"`+id+`"}`))
	same(t, "connect", []string{"/meta/connect 3 ok none"}, receive(t, "the connect", waiting))
	if got := receive(t, "OnGone", h.gone); got.reason != bayeux.Disconnected || got.client.Value != "" {
		t.Errorf("gone: %v", got)
	}
	same(t, "afterwards", []string{"/meta/connect 5 402 handshake"}, h.ask(t, `{"id":"5","channel":"/meta/connect","clientId":"`+id+`"}`))
}

func TestDismiss(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.enter(t)
	waiting := h.poll(t, id, "3")
	got := h.ask(t, `{"id":"4","channel":"/service/test/dismiss","clientId":"`+id+`"}`)
	same(t, "the call", []string{"/service/test/dismiss 4 ok", `/service/test/dismiss 4 event {"ok":true}`}, got)
	same(t, "the connect", []string{"/meta/connect 3 ok none"}, receive(t, "the connect", waiting))
	if got := receive(t, "OnGone", h.gone); got.reason != bayeux.Dismissed {
		t.Errorf("gone: %v", got)
	}
	if err := h.Deliver(t.Context(), bayeux.ClientID(id), "/service/x", 1); err == nil {
		t.Error("Deliver to a client that has gone succeeds")
	}
}

// The answer to who joins, then joined to the others, then activated to everybody.
func TestJoinOrder(t *testing.T) {
	t.Parallel()
	join := func(id, role string) string {
		return `{"id":"9","channel":"/service/test/join","clientId":"` + id + `","data":{"role":` + role + `}}`
	}
	const answer1, answer2, answer3 = `/service/test/join 9 event {"userId":1}`, `/service/test/join 9 event {"userId":2}`, `/service/test/join 9 event {"userId":3}`
	const joined2, joined3, activated = `/service/test/joined event {"role":2}`, `/service/test/joined event {"role":3}`, `/service/test/activated event {"activationTime":1}`
	ok := "/service/test/join 9 ok"

	t.Run("over long-polling", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		customer, controller, agent := h.enter(t), h.enter(t), h.enter(t)
		same(t, "customer", []string{ok, answer1}, h.ask(t, join(customer, "1")))
		same(t, "controller", []string{ok, answer2}, h.ask(t, join(controller, "3")))
		waiting := h.poll(t, agent, "3") // which must not get ahead of the answer
		same(t, "agent", []string{ok, answer3, activated}, h.ask(t, join(agent, "2")))
		same(t, "customer's events", []string{joined3, joined2, activated, "/meta/connect 4 ok"}, receive(t, "connect", h.poll(t, customer, "4")))
		same(t, "controller's events", []string{joined2, activated, "/meta/connect 4 ok"}, receive(t, "connect", h.poll(t, controller, "4")))
		h.count(t, agent, 1)
		same(t, "agent's connect", []string{"/service/test/count event 1", "/meta/connect 3 ok"}, receive(t, "connect", waiting))
	})
	t.Run("over WebSockets", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		person := func(role string) *wire {
			w := h.dial(t)
			id := w.enter(t)
			w.send(t, `[{"id":"2","channel":"/meta/connect","clientId":"`+id+`","advice":{"timeout":0}}]`)
			w.receive(t, 1)
			w.send(t, `[{"id":"3","channel":"/meta/connect","clientId":"`+id+`"}]`)
			w.send(t, join(id, role))
			return w
		}
		customer := person("1")
		same(t, "customer", []string{ok, answer1}, customer.receive(t, 2))
		controller := person("3")
		same(t, "controller", []string{ok, answer2}, controller.receive(t, 2))
		agent := person("2")
		same(t, "agent", []string{ok, answer3, activated}, agent.receive(t, 3))
		same(t, "customer's events", []string{joined3, joined2, activated}, customer.receive(t, 3))
		same(t, "controller's events", []string{joined2, activated}, controller.receive(t, 2))
	})
}

// What anybody delivers to a client while its call is in progress comes after the
// answer, and calls of one client come one after another.
func TestDeliveredDuringACall(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan string, 10), make(chan struct{})
	h := newHouse(t)
	h.HandleService("/service/slow", func(_ context.Context, _ bayeux.Client, data json.RawMessage) (any, error) {
		entered <- string(data)
		<-leave
		return data, nil
	})
	id := h.enter(t)
	waiting := h.poll(t, id, "3")
	h.count(t, id, 0)
	same(t, "the connect before", []string{"/service/test/count event 0", "/meta/connect 3 ok"}, receive(t, "connect", waiting))
	waiting = h.poll(t, id, "4")
	call := func(n string) <-chan messages {
		answer := make(chan messages, 1)
		go func() {
			answer <- h.ask(t, `{"id":"`+n+`","channel":"/service/slow","clientId":"`+id+`","data":`+n+`}`)
		}()
		return answer
	}
	first := call("1")
	if got := receive(t, "the call", entered); got != "1" {
		t.Fatalf("entered %s", got)
	}
	h.count(t, id, 11)
	second := call("2")
	leave <- struct{}{}
	same(t, "first", []string{"/service/slow 1 ok", "/service/slow 1 event 1", "/service/test/count event 11"}, receive(t, "the first", first))
	if got := receive(t, "the second call", entered); got != "2" {
		t.Fatalf("entered %s", got)
	}
	h.count(t, id, 12)
	leave <- struct{}{}
	same(t, "second", []string{"/service/slow 2 ok", "/service/slow 2 event 2", "/service/test/count event 12"}, receive(t, "the second", second))
	h.count(t, id, 13)
	same(t, "the connect", []string{"/service/test/count event 13", "/meta/connect 4 ok"}, receive(t, "connect", waiting))
}

func TestTooManyCallsAtATime(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	h := newHouse(t, func(cfg *bayeux.Config) { cfg.Limits.Calls = 1 })
	h.HandleService("/service/slow", func(context.Context, bayeux.Client, json.RawMessage) (any, error) {
		close(entered)
		<-leave
		return nil, nil
	})
	id := h.enter(t)
	first := make(chan messages, 1)
	go func() { first <- h.ask(t, `{"id":"1","channel":"/service/slow","clientId":"`+id+`"}`) }()
	receive(t, "the call", entered)
	same(t, "another", []string{"/service/test/echo 2 503"}, h.ask(t, `{"id":"2","channel":"/service/test/echo","clientId":"`+id+`","data":1}`))
	close(leave)
	same(t, "the first", []string{"/service/slow 1 ok"}, receive(t, "the first", first))
}

// A client that sends without end is told so, and still connects.
func TestTooManyMessages(t *testing.T) {
	t.Parallel()
	now := time.Now()
	h := newHouse(t, func(cfg *bayeux.Config) {
		cfg.Clock = func() time.Time { return now }
		cfg.Limits.PerSecond, cfg.Limits.Messages = 1, 3
	})
	id := h.enter(t)
	echo := func(n string) string {
		return `{"id":"` + n + `","channel":"/service/test/echo","clientId":"` + id + `","data":1}`
	}
	same(t, "a burst", []string{"/service/test/echo 1 ok", "/service/test/echo 1 event 1", "/service/test/echo 2 ok", "/service/test/echo 2 event 1"}, h.ask(t, "["+echo("1")+","+echo("2")+"]"))
	subscribe := `{"id":"3","channel":"/meta/subscribe","clientId":"` + id + `","subscription":"/news"}`
	same(t, "the last that is left", []string{"/meta/subscribe 3 ok"}, h.ask(t, subscribe))
	same(t, "one more", []string{"/service/test/echo 4 429"}, h.ask(t, echo("4")))
	same(t, "and another", []string{"/meta/subscribe 3 429"}, h.ask(t, subscribe))
	same(t, "connect", []string{"/meta/connect 5 ok"}, h.ask(t, `{"id":"5","channel":"/meta/connect","clientId":"`+id+`","advice":{"timeout":0}}`))
	if got := h.Stats().Limited; got != 2 {
		t.Errorf("%d messages were refused, want 2", got)
	}
}

// With the ack extension everything comes with answers of connects, and again
// until it is acknowledged.
func TestAcknowledgements(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.enterWith(t, `,"ext":{"ack":true}`)
	connect := func(number, ack string) messages {
		return h.ask(t, `{"id":"`+number+`","channel":"/meta/connect","clientId":"`+id+`","advice":{"timeout":0},"ext":{"ack":`+ack+`}}`)
	}
	batch := func(what string, got messages, want float64) {
		t.Helper()
		ext, _ := got[len(got)-1]["ext"].(map[string]any)
		if ext["ack"] != want {
			t.Errorf("%s: %v, want batch %v", what, got, want)
		}
	}
	got := connect("2", "0")
	same(t, "the first", []string{"/meta/connect 2 ok"}, got)
	batch("the first", got, 0)
	h.count(t, id, 1)
	same(t, "a call", []string{"/service/test/echo 3 ok"}, h.ask(t, `{"id":"3","channel":"/service/test/echo","clientId":"`+id+`","data":2}`))
	got = connect("4", "0")
	same(t, "events and the answer", []string{"/service/test/count event 1", "/service/test/echo 3 event 2", "/meta/connect 4 ok"}, got)
	batch("events", got, 1)
	h.count(t, id, 3)
	got = connect("5", "0") // the last answer was lost
	same(t, "again", []string{"/service/test/count event 1", "/service/test/echo 3 event 2", "/service/test/count event 3", "/meta/connect 5 ok"}, got)
	batch("again", got, 2)
	got = connect("6", "2")
	same(t, "acknowledged", []string{"/meta/connect 6 ok"}, got)
	batch("acknowledged", got, 2)
	for _, nonsense := range []string{"-1", `"2"`, "{}", "1.5", "null", "99999999999999999999"} {
		same(t, nonsense, []string{"/meta/connect 7 ok"}, connect("7", nonsense))
	}
	h.count(t, id, 4)
	connect("8", "2")
	// A batch that was never sent is as good as all.
	same(t, "too many", []string{"/meta/connect 9 ok"}, connect("9", "77"))
	got = connect("10", "2")
	same(t, "still acknowledged", []string{"/meta/connect 10 ok"}, got)

	// What is not acknowledged counts as waiting.
	small := newHouse(t, func(cfg *bayeux.Config) { cfg.Limits.QueueEvents = 3 })
	id = small.enterWith(t, `,"ext":{"ack":true}`)
	for n := range 3 {
		small.count(t, id, n)
		small.ask(t, `{"id":"2","channel":"/meta/connect","clientId":"`+id+`","advice":{"timeout":0},"ext":{"ack":0}}`)
	}
	if err := small.Deliver(t.Context(), bayeux.ClientID(id), "/service/x", 4); err == nil {
		t.Error("a client that acknowledges nothing gets more and more")
	}
	if got := receive(t, "OnGone", small.gone); got.reason != bayeux.Overflowed {
		t.Errorf("gone: %v", got)
	}
}

func TestOverflow(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bayeux.Config){
		"events": func(cfg *bayeux.Config) { cfg.Limits.QueueEvents = 5 },
		"bytes": func(cfg *bayeux.Config) {
			cfg.Limits.QueueBytes = 5 * len(`{"channel":"/service/test/count","data":0}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, change)
			id := h.enter(t)
			for n := range 5 {
				h.count(t, id, n)
			}
			if err := h.Deliver(t.Context(), bayeux.ClientID(id), "/service/test/count", 5); err == nil {
				t.Error("the sixth event fits")
			}
			if got := receive(t, "OnGone", h.gone); got.reason != bayeux.Overflowed {
				t.Errorf("gone: %v", got)
			}
			same(t, "afterwards", []string{"/meta/connect 3 402 handshake"}, receive(t, "connect", h.poll(t, id, "3")))
		})
	}
}

func TestRequestMetadata(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.enterWith(t, `,"ext":{"desk":7}`)
	_, _, _ = h.post(t, "/", `{"id":"2","channel":"/service/test/echo","clientId":"`+id+`","data":1}`, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer abc")
		r.Header.Set("Cookie", "a=1; gcbSessionServer=node-1")
	})
	h.mu.Lock()
	got := h.request
	h.mu.Unlock()
	if got.Transport != bayeux.LongPolling || got.Origin != shop || got.Authorization != "Bearer abc" || got.Cookie("gcbSessionServer") != "node-1" ||
		got.Cookie("b") != "" || got.Address.String() != "127.0.0.1" || got.Network != "127.0.0.1" || got.Host == "" || got.Secure {
		t.Errorf("request = %+v", got)
	}
	w := h.dial(t, func(head http.Header) {
		head.Set("Authorization", "Bearer def")
		head.Set("Cookie", "gcbSessionServer=node-2")
	})
	id = w.enter(t)
	w.send(t, `{"id":"2","channel":"/service/test/echo","clientId":"`+id+`","data":1}`)
	w.receive(t, 2)
	h.mu.Lock()
	got = h.request
	h.mu.Unlock()
	if got.Transport != bayeux.WebSocket || got.Origin != shop || got.Authorization != "Bearer def" || got.Cookie("gcbSessionServer") != "node-2" {
		t.Errorf("request = %+v", got)
	}
	h.ask(t, `{"channel":"/meta/disconnect","clientId":"`+id+`"}`)
	if got := receive(t, "OnGone", h.gone); got.client.Value != "" {
		t.Errorf("value = %v", got.client.Value)
	}
}
