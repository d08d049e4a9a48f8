package bayeux_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fasthttp/websocket"
)

// A client that asks and does not read is not listened to any more, rather than that
// its answers pile up; it loses none of them.
func TestWhoDoesNotReadIsNotHeard(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.dial(t)
	const frames, each = 150, 256
	frame := "[" + strings.TrimSuffix(strings.Repeat(`{"channel":"/`+strings.Repeat("<", 100)+`"},`, each), ",") + "]"
	var sent atomic.Int64
	failed := make(chan error, 1)
	go func() {
		for range frames {
			if err := w.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
				failed <- err
				return
			}
			sent.Add(1)
		}
		failed <- nil
	}()
	// Until the server takes no more of them.
	still, before := 0, int64(-1)
	eventually(t, "nothing is taken any more", func() bool {
		if now := sent.Load(); now == before {
			still++
		} else {
			still, before = 0, now
		}
		return still > 300 || before == frames
	})
	if before == frames {
		t.Errorf("all %d frames were taken from a client that reads nothing", frames)
	}
	for got := 0; got < frames*each; {
		_, text, err := w.ReadMessage()
		if err != nil {
			t.Fatalf("after %d of %d answers: %v", got, frames*each, err)
		}
		got += strings.Count(string(text), `"successful":false`)
	}
	if err := receive(t, "the last frame", failed); err != nil {
		t.Errorf("send: %v", err)
	}
}
