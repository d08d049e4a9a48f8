package stream_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/cluster"
	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/cobrowse"
)

// ledger are rooms of which a test decides where they are.
type ledger struct {
	mu        sync.Mutex
	elsewhere bool
	held      int
	taken     int // in all
	change    chan struct{}
}

func (l *ledger) Relay(*fiber.Ctx, cobrowse.SessionID) (bool, error) { return false, nil }

func (l *ledger) Hold(context.Context, cobrowse.SessionID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.elsewhere {
		return &cobridge.Error{Code: cobridge.CodeUnavailable, RetryAfter: time.Second, Err: &cluster.ElsewhereError{Owner: "x"}}
	}
	l.held++
	l.taken++
	return nil
}

func (l *ledger) Drop(cobrowse.SessionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held--
	close(l.change)
	l.change = make(chan struct{})
}

func (l *ledger) move(elsewhere bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.elsewhere = elsewhere
}

func (l *ledger) counts() (held, taken int, change <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held, l.taken, l.change
}

func shared() (*ledger, change) {
	l := &ledger{change: make(chan struct{})}
	return l, func(c *stream.Config) { c.Rooms = l }
}

// A room is taken for those who may come in, and given back for each of them.
func TestStrangersTakeNoRoom(t *testing.T) {
	t.Parallel()
	l, with := shared()
	h := newHouse(t, with)
	s := h.start(t, everybody)
	if _, got, err := h.try(t, dialing{session: s.ID, token: "not.a.token"}); err == nil || got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token that is none: %v, %d; want %d", err, got.StatusCode, http.StatusUnauthorized)
	}
	if _, got, err := h.try(t, dialing{session: s.ID, origin: "own", query: "?participant=" + string(annPID) + "&tab=" + tab, cookie: "cobridge_resume_" + string(annPID) + "=guessed"}); err == nil || got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a secret that is none: %v, %d; want %d", err, got.StatusCode, http.StatusUnauthorized)
	}
	stranger := h.dial(t, dialing{session: s.ID})
	stranger.send(t, map[string]any{"t": "hello", "v": 1, "participant": annPID, "resume": map[string]string{"token": "guessed"}, "tab": tab})
	for {
		if _, _, err := stranger.ReadMessage(); err != nil {
			break
		}
	}
	if held, taken, _ := l.counts(); held != 0 || taken != 0 {
		t.Fatalf("strangers took the room %d times, and have it %d times", taken, held)
	}
	agent := h.join(t, s, annPID)
	h.dial(t, dialing{session: s.ID, token: h.token(t, s, benPID)})
	if held, taken, _ := l.counts(); held != 2 || taken != 2 {
		t.Errorf("two who are in have it %d times, took it %d times; want 2 and 2", held, taken)
	}
	_ = agent.Close()
	for timeout := time.After(patience); ; {
		held, _, change := l.counts()
		if held == 1 {
			break
		}
		select {
		case <-change:
		case <-timeout:
			t.Fatalf("after one has gone it is had %d times, want 1", held)
		}
	}
	h.stop()
	if held, _, _ := l.counts(); held != 0 {
		t.Errorf("at the end it is had %d times, want 0", held)
	}
}

// Who loses the race for a room is told to come again, and what lets in is not used up.
func TestRoomElsewhere(t *testing.T) {
	t.Parallel()
	l, with := shared()
	h := newHouse(t, with)
	s := h.start(t, everybody)
	token := h.token(t, s, annPID)
	l.move(true)
	if _, got, err := h.try(t, dialing{session: s.ID, token: token}); err == nil || got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "1" {
		t.Errorf("before the upgrade: %v, %d; want 503 and Retry-After 1", err, got.StatusCode)
	}
	c := h.dial(t, dialing{session: s.ID})
	c.send(t, map[string]any{"t": "hello", "v": 1, "token": token, "tab": tab})
	for {
		_, _, err := c.ReadMessage()
		if err == nil {
			continue
		}
		if e, ok := err.(*websocket.CloseError); !ok || e.Code != websocket.CloseGoingAway || e.Text != `{"retryMs":100}` { //nolint:errorlint // the library wraps nothing
			t.Errorf("after it: %v, want 1001 with retryMs", err)
		}
		break
	}
	l.move(false)
	c = h.dial(t, dialing{session: s.ID})
	c.send(t, map[string]any{"t": "hello", "v": 1, "token": token, "tab": tab})
	c.expect(t, "welcome")

	// The room is somewhere else now.
	h.hub.GiveUp("another session")
	h.hub.GiveUp(s.ID)
	for {
		_, _, err := c.ReadMessage()
		if err == nil {
			continue
		}
		if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
			t.Errorf("a link of a room that was lost ends with %v, want 1001", err)
		}
		break
	}
}
