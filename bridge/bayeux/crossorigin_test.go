package bayeux_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/bridge/bayeux"
)

func from(origin string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Del("Origin")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	listed := newHouse(t)
	own := newHouse(t, func(cfg *bayeux.Config) { cfg.AllowOrigin = nil })
	host := strings.TrimSuffix(strings.TrimPrefix(own.base, "http://"), "/cometd")
	for _, tt := range []struct {
		name   string
		h      *house
		origin string
		want   int
	}{
		{"on the list", listed, shop, http.StatusOK},
		{"no browser", listed, "", http.StatusOK},
		{"not on the list", listed, "https://shop.example.evil.example", http.StatusForbidden},
		{"another scheme", listed, "http://shop.example", http.StatusForbidden},
		{"of a sandbox", listed, "null", http.StatusForbidden},
		{"without a list, our own host", own, "http://" + host, http.StatusOK},
		{"without a list, another", own, shop, http.StatusForbidden},
		{"without a list, of a sandbox", own, "null", http.StatusForbidden},
		{"without a list, nonsense", own, "://", http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := tt.h.Stats().Handshakes
			status, head, body := tt.h.post(t, "/handshake", handshakeText(""), from(tt.origin))
			if status != tt.want {
				t.Fatalf("POST: %d %s, want %d", status, body, tt.want)
			}
			want := ""
			if status == http.StatusOK {
				want = tt.origin
			} else if tt.h.Stats().Handshakes < before {
				t.Error("something was done")
			}
			if got := head.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("Access-Control-Allow-Origin: %q, want %q", got, want)
			}
			if got := head.Get("Access-Control-Allow-Credentials"); got != "true" && want != "" {
				t.Errorf("Access-Control-Allow-Credentials: %q", got)
			}
			if !strings.Contains(head.Get("Vary"), "Origin") {
				t.Errorf("Vary: %q", head.Get("Vary"))
			}
			h := http.Header{}
			if tt.origin != "" {
				h.Set("Origin", tt.origin)
			}
			want101 := tt.want
			if want101 == http.StatusOK {
				want101 = http.StatusSwitchingProtocols
			}
			if _, status := tt.h.upgrade(t, h); status != want101 {
				t.Errorf("WebSocket: %d, want %d", status, want101)
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(cfg *bayeux.Config) { cfg.AllowHeaders = []string{"gcbSessionServer"} })
	preflight := func(origin string) (int, http.Header) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, h.base+"/handshake", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "content-type")
		status, head, _ := h.do(t, r, from(origin))
		return status, head
	}
	status, head := preflight(shop)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": shop, "Access-Control-Allow-Credentials": "true", "Access-Control-Allow-Methods": "GET, POST",
		"Access-Control-Allow-Headers": "Content-Type, Authorization, gcbSessionServer", "Access-Control-Max-Age": "600",
	} {
		if got := head.Get(name); got != want || status != http.StatusNoContent {
			t.Errorf("%d %s: %q, want %q", status, name, got, want)
		}
	}
	if status, head := preflight("https://evil.example"); status != http.StatusForbidden || head.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign origin: %d %v", status, head)
	}
}

func TestCallbackPolling(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(cfg *bayeux.Config) { cfg.Transports = []bayeux.Transport{bayeux.CallbackPolling} })
	status, head, body := h.script(t, "_cometd_jsonp_3", handshakeText(""))
	inner, ok := strings.CutPrefix(string(body), "/**/_cometd_jsonp_3([")
	if status != http.StatusOK || !ok || !strings.HasSuffix(inner, "])") {
		t.Fatalf("handshake: %d %s", status, body)
	}
	for name, want := range map[string]string{"Content-Type": "text/javascript;charset=UTF-8", "X-Content-Type-Options": "nosniff"} {
		if got := head.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	id, _ := decode(t, []byte("["+strings.TrimSuffix(inner, ")")))[0]["clientId"].(string)
	answer := make(chan string, 1)
	go func() {
		_, _, body := h.script(t, "cb", connectBody(id, "4"))
		answer <- string(body)
	}()
	eventually(t, "it waits", func() bool { return h.Stats().Parked == 1 })
	if err := h.Deliver(t.Context(), bayeux.ClientID(id), "/service/x", "</script>\u2028"); err != nil {
		t.Fatal(err)
	}
	want := `/**/cb([{"channel":"/service/x","data":"\u003c/script\u003e\u2028"},{"id":"4","channel":"/meta/connect","successful":true}])`
	if got := receive(t, "the answer", answer); got != want {
		t.Errorf("connect:\n%s, want\n%s", got, want)
	}

	for name, tt := range map[string]struct {
		callback, message string
		change            func(*http.Request)
		want              int
	}{
		"a script as callback":  {"alert(1)//", handshakeText(""), nil, http.StatusBadRequest},
		"a markup as callback":  {"<b>", handshakeText(""), nil, http.StatusBadRequest},
		"an endless callback":   {strings.Repeat("a", 65), handshakeText(""), nil, http.StatusBadRequest},
		"no callback":           {"", handshakeText(""), nil, http.StatusBadRequest},
		"no message":            {"cb", "", nil, http.StatusBadRequest},
		"a page of nobody":      {"cb", handshakeText(""), func(r *http.Request) { r.Header.Del("Referer") }, http.StatusForbidden},
		"a page of a stranger":  {"cb", handshakeText(""), func(r *http.Request) { r.Header.Set("Referer", "https://evil.example/"+shop) }, http.StatusForbidden},
		"a stranger's origin":   {"cb", handshakeText(""), func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, http.StatusForbidden},
		"a page without a host": {"cb", handshakeText(""), func(r *http.Request) { r.Header.Set("Referer", "about:blank") }, http.StatusForbidden},
	} {
		change := tt.change
		if change == nil {
			change = func(*http.Request) {}
		}
		if status, _, body := h.script(t, tt.callback, tt.message, change); status != tt.want {
			t.Errorf("%s: %d %s, want %d", name, status, body, tt.want)
		}
	}
	if status, _, _ := h.post(t, "/handshake", handshakeText("")); status != http.StatusBadRequest {
		t.Errorf("long-polling, which is off: %d", status)
	}
	off := newHouse(t)
	if status, _, _ := off.script(t, "cb", handshakeText("")); status != http.StatusBadRequest {
		t.Errorf("callback-polling, which is off: %d", status)
	}
}

// WebSockets that are refused, or that break a rule.
func TestWebSocketRules(t *testing.T) {
	t.Parallel()
	t.Run("switched off", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(cfg *bayeux.Config) { cfg.Transports = []bayeux.Transport{bayeux.LongPolling} })
		if _, status := h.upgrade(t, nil); status != http.StatusBadRequest {
			t.Errorf("upgrade: %d", status)
		}
	})
	for name, change := range map[string]func(*bayeux.Config){
		"enough of them":                  func(cfg *bayeux.Config) { cfg.Limits.Sockets = 1 },
		"enough of them from the address": func(cfg *bayeux.Config) { cfg.Limits.SocketsPerNetwork = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, change)
			first := h.dial(t)
			first.enter(t)
			if _, status := h.upgrade(t, nil); status != http.StatusServiceUnavailable {
				t.Errorf("upgrade: %d", status)
			}
			_ = first.Close()
			eventually(t, "the place is free", func() bool { return h.Stats().Sockets == 0 })
			if _, status := h.upgrade(t, nil); status != http.StatusSwitchingProtocols {
				t.Errorf("upgrade afterwards: %d", status)
			}
		})
	}
	t.Run("no handshake in time", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(cfg *bayeux.Config) { cfg.Limits.Hello, cfg.Limits.PingEvery = 50e6, 10e6 })
		w := h.dial(t)
		if _, _, err := w.ReadMessage(); err == nil {
			t.Error("a message came")
		}
	})
	t.Run("a binary frame", func(t *testing.T) {
		t.Parallel()
		w := newHouse(t).dial(t)
		_ = w.WriteMessage(websocket.BinaryMessage, []byte(handshakeText("")))
		if code := w.closed(t); code != 1002 {
			t.Errorf("closed with %d, want 1002", code)
		}
	})
	t.Run("a client that does not read", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		w := h.dial(t)
		id := w.enter(t)
		w.send(t, connectBody(id, "2"))
		long := `"` + strings.Repeat("x", 60_000) + `"`
		for n := range 400 { // several times what fits into all buffers on the way
			if w.WriteMessage(websocket.TextMessage, []byte(`{"id":"`+strconv.Itoa(n)+`","channel":"/service/test/echo","clientId":"`+id+`","data":`+long+`}`)) != nil {
				break
			}
		}
		eventually(t, "the socket has gone", func() bool { return h.Stats().Sockets == 0 })
	})
	t.Run("a second client on one socket", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(cfg *bayeux.Config) { cfg.Advice.MaxInterval = 50e6 })
		w := h.dial(t)
		first := w.enter(t)
		w.send(t, connectBody(first, "2"))
		second := w.enter(t)
		if got := receive(t, "OnGone", h.gone); string(got.client.ID) != first && string(got.client.ID) != second {
			t.Errorf("gone: %v", got)
		}
		receive(t, "OnGone", h.gone)
		w.send(t, connectBody(second, "3"))
		same(t, "connect of a client that is lost", []string{"/meta/connect 3 402 handshake"}, w.receive(t, 1))
	})
}

func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{
		handshakeText(`,"advice":{"timeout":60000,"interval":0},"ext":{"ack":true}`),
		`[{"id":"4","channel":"/meta/connect","connectionType":"long-polling","clientId":"k3m8c0q1w7z5","advice":{"timeout":0},"ext":{"ack":3}}]`,
		`[{"channel":"/service/session/create","id":"2","data":{}}]`,
		`[{"channel":"/meta/subscribe","subscription":["/a","/b/*"],"id":7}]`,
		`{"channel":"/service/session/join","id":"5","data":{"sessionToken":"407215938","role":2,"name":"Ada"}}`,
		`[]`, `[[]]`, `[null]`, `{"id":"\ud800"}`, `[{"id":1e400}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		answer, err := bayeux.DecodeEnvelope(data)
		if err != nil {
			return
		}
		if !json.Valid(answer) {
			t.Errorf("%q is answered with %q", data, answer)
		}
	})
}
